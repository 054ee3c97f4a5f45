//! Nix values as [`View`]s, and reading arguments.

use std::borrow::Cow;

use super::abi::{self, Host, Stop, Value};
use crate::error::{Diagnostic, Error};
use crate::shape::{self, Findings, More, Seen, Spot, View};
use crate::text;

/// A Nix value to be judged. It is forced when it is looked at, and what is in it only when that is.
#[derive(Clone, Copy)]
pub(super) struct Node<'h, 'c> {
    host: &'h Host<'c>,
    value: Value,
    context: Context,
}

/// What becomes of string context.
#[derive(Clone, Copy)]
enum Context {
    /// It stays with the value, which is handed on as it is.
    Stays,
    /// A string that has some is refused: only its text would be used.
    Refused,
}

impl<'h, 'c> Node<'h, 'c> {
    pub(super) fn new(host: &'h Host<'c>, value: Value) -> Node<'h, 'c> {
        Node {
            host,
            value,
            context: Context::Stays,
        }
    }

    /// A value of which only the text is used: no string in it may refer to a store path.
    pub(super) fn plain(host: &'h Host<'c>, value: Value) -> Node<'h, 'c> {
        Node {
            host,
            value,
            context: Context::Refused,
        }
    }
}

impl<'h, 'c> View for Node<'h, 'c> {
    type Text = Cow<'c, str>;
    type Members = Members<'h, 'c>;
    type Items = Items<'h, 'c>;
    type Failure = Stop;

    const RECORD: &'static str = "a set";
    const LIST: &'static str = "a list";

    fn look(self) -> Result<Seen<Self>, Stop> {
        let host = self.host;
        Ok(match host.look(self.value)? {
            abi::Seen::Null => Seen::Null,
            abi::Seen::Bool(value) => Seen::Bool(value),
            abi::Seen::Int(value) => Seen::Int(value),
            abi::Seen::Float(value) => Seen::Float(value),
            abi::Seen::String(abi::Text {
                context: Some(store_path),
                ..
            }) if matches!(self.context, Context::Refused) => {
                return Err(Stop::Argument(format!(
                    "expected strings that do not refer to a store path, found one that refers to {}",
                    text::quote_bytes(store_path)
                )));
            }
            abi::Seen::String(text) => match std::str::from_utf8(text.bytes) {
                Ok(text) => Seen::Text(Cow::Borrowed(text)),
                Err(_) => Seen::Other("a string that is not UTF-8"),
            },
            abi::Seen::List(items) => Seen::List(Items {
                list: self,
                items,
                next: 0,
            }),
            abi::Seen::Attrs(attrs) => Seen::Record(Members {
                set: self,
                attrs,
                next: 0,
            }),
            other @ (abi::Seen::Path | abi::Seen::Function | abi::Seen::External) => {
                Seen::Other(other.name())
            }
        })
    }
}

/// The attributes of a set, in the order of their names.
#[derive(Clone)]
pub(super) struct Members<'h, 'c> {
    set: Node<'h, 'c>,
    attrs: abi::Attrs<'c>,
    next: usize,
}

impl<'h, 'c> Iterator for Members<'h, 'c> {
    type Item = (Cow<'c, str>, Node<'h, 'c>);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, value) = self.attrs.get(self.next)?;
        self.next += 1;
        Some((name, Node { value, ..self.set }))
    }
}

/// The items of a list, in order.
#[derive(Clone)]
pub(super) struct Items<'h, 'c> {
    list: Node<'h, 'c>,
    items: abi::Items<'c>,
    next: usize,
}

impl<'h, 'c> Iterator for Items<'h, 'c> {
    type Item = Node<'h, 'c>;

    fn next(&mut self) -> Option<Self::Item> {
        let value = self.items.get(self.next)?;
        self.next += 1;
        Some(Node { value, ..self.list })
    }
}

/// `findings` with the positions of the attributes they are about, sorted by place; and how many there are besides. `file`
/// is the name of the file that the value comes from, for what has no position of its own; empty if it comes from none.
pub(super) fn diagnose(
    findings: Findings<Node<'_, '_>>,
    file: &str,
) -> Result<(Vec<Diagnostic>, More), Stop> {
    let (findings, more) = findings.into_parts();
    let mut out = Vec::with_capacity(findings.len());
    for finding in findings {
        let (Spot::Value(node) | Spot::KeyOf(node)) = finding.spot;
        let (file, position) = match node.host.position(node.value)? {
            Some((file, position)) => (file, Some(position)),
            None => (file.to_owned(), None),
        };
        out.push(Diagnostic {
            severity: finding.severity,
            code: finding.code,
            file,
            position,
            path: finding.path,
            expected: finding.expected,
            found: finding.found,
            hint: finding.hint,
        });
    }
    // Stable: what is at one place, or at none, stays in the order of the shape.
    out.sort_by(|left, right| (&left.file, left.position).cmp(&(&right.file, right.position)));
    Ok((out, more))
}

/// Fails if there are findings, with all of them; `file` as for [`diagnose`].
pub(super) fn refuse(findings: Findings<Node<'_, '_>>, file: &str) -> Result<(), Stop> {
    if findings.is_empty() {
        return Ok(());
    }
    let (diagnostics, more) = diagnose(findings, file)?;
    match Error::from_problems(diagnostics) {
        Some(error) => Err(Stop::Judged(error.and_more(more.errors))),
        None => Ok(()),
    }
}

/// The attributes `names` of a set that may have no others; each is there or not.
///
/// Forces the set itself, none of its attributes. `what` names the set in messages.
pub(super) fn closed_attrs<const N: usize>(
    host: &Host<'_>,
    set: Value,
    what: &str,
    names: [&'static str; N],
) -> Result<[Option<Value>; N], Stop> {
    let attrs = match host.look(set)? {
        abi::Seen::Attrs(attrs) => attrs,
        other => {
            let known = names.map(|name| format!("`{name}`")).join(", ");
            return Err(Stop::Argument(format!(
                "expected a set with the attributes {known}, found {}",
                other.name()
            )));
        }
    };
    let mut values = [None; N];
    for (name, value) in attrs.iter() {
        let slot = values
            .iter_mut()
            .zip(names)
            .find(|(_, known)| *known == name);
        let Some((slot, _)) = slot else {
            let known = names.map(|name| format!("`{name}`")).join(", ");
            let near = shape::near(&name, names.into_iter())
                .map(|near| format!("\nhint: did you mean `{near}`"))
                .unwrap_or_default();
            return Err(Stop::Argument(format!(
                "expected the attributes {known} in {what}, found {}{near}",
                text::quote(&name)
            )));
        };
        *slot = Some(value);
    }
    Ok(values)
}

/// The string `value` without string context. `place` names it in messages.
pub(super) fn plain_string<'c>(
    host: &Host<'c>,
    value: Value,
    place: &str,
) -> Result<&'c str, Stop> {
    let string = match host.look(value)? {
        abi::Seen::String(string) => string,
        other => {
            return Err(Stop::Argument(format!(
                "`{place}`: expected a string, found {}",
                other.name()
            )));
        }
    };
    if let Some(store_path) = string.context {
        return Err(Stop::Argument(format!(
            "`{place}`: expected a string that does not refer to a store path, found one that refers to {}",
            text::quote_bytes(store_path)
        )));
    }
    std::str::from_utf8(string.bytes).map_err(|_| {
        Stop::Argument(format!(
            "`{place}`: expected a string in UTF-8, found other bytes in it"
        ))
    })
}
