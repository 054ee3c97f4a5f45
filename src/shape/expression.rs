//! Shapes from outside: values that name a shape of a table and say what is added to it.
//!
//! ```json
//! { "extends": "releasePackage", "fields": { "filename": "fileName", "cudnnVersion": { "nullOr": "majorMinor" } } }
//! ```

use std::borrow::Cow;

use regex_lite::Regex;

use super::judge::{Finding, Findings, Spot, describe};
use super::near::near;
use super::place::Path;
use super::rule::{Field, MOST_FIELDS, Need, Record, Ref, Rest, Rule, Test, Text};
use super::view::{Seen, View};
use crate::error::Severity;
use crate::text;

/// A shape with a name.
#[derive(Debug)]
pub struct Shape {
    /// Its name: a word in camel case, `redistribPackage`.
    pub name: &'static str,
    /// What it describes, in sentences (Markdown).
    pub doc: &'static str,
    /// Where we know it from: an address, a section, a file and key.
    pub source: &'static str,
    /// Values that fit, as JSON.
    pub fitting: &'static [&'static str],
    /// Values that do not, as JSON.
    pub refused: &'static [&'static str],
    /// The rule itself.
    pub rule: Rule,
}

/// A shape that was read from a value.
#[derive(Debug)]
pub struct Expression {
    /// What values must be.
    pub rule: Rule,
    /// The named shape at the bottom of what it extends; whatever holds for that one beyond its rule holds here too.
    pub base: Option<&'static str>,
}

/// How deep an expression may nest: a lazy value may nest without end.
const LEVELS: usize = 32;

/// How many parts an expression may have: a part that is used twice at each level doubles them.
const PARTS: usize = 10_000;

/// The keys of an expression that say something about it and nothing about values.
const REMARKS: [&str; 3] = ["doc", "source", "examples"];

impl Expression {
    /// Reads `value`, an expression over the shapes of `table`. A name alone is one, and so is a set of these keys:
    ///
    /// | key | means |
    /// |---|---|
    /// | `extends` | the expression that the others change; without it `fields` make a new record |
    /// | `fields` | expressions by field, added or put in place; `{ optional = E; }` for one that may be absent |
    /// | `each` | the expression for the values of all other keys |
    /// | `list`, `nullOr` | a list of these, `null` or this; stand alone |
    /// | `oneOf` | the strings it may be |
    /// | `matches` | a regular expression that must match the whole string, beside what it extends |
    /// | `what` | what a record is called in messages, with its article |
    /// | `doc`, `source`, `examples` | remarks |
    ///
    /// # Errors
    /// What is wrong with the expression itself, all of it; or a value that cannot be looked at.
    pub fn read<V: View>(
        table: &'static [Shape],
        value: V,
    ) -> Result<Result<Expression, Findings<V>>, V::Failure> {
        let mut reader = Reader {
            table,
            findings: Findings::default(),
            parts: 0,
        };
        let read = reader.expression(value, &Path::ROOT, 0)?;
        Ok(match read {
            Some(expression) if reader.findings.is_empty() => Ok(expression),
            _ => Err(reader.findings),
        })
    }

    fn of(rule: Rule) -> Expression {
        Expression { rule, base: None }
    }
}

struct Reader<V> {
    table: &'static [Shape],
    findings: Findings<V>,
    parts: usize,
}

/// The parts of an expression that were there.
struct Keys<V> {
    extends: Option<V>,
    fields: Option<V>,
    each: Option<V>,
    list: Option<V>,
    null_or: Option<V>,
    one_of: Option<V>,
    matches: Option<V>,
    what: Option<V>,
}

impl<V: View> Reader<V> {
    /// `None` after a finding.
    fn expression(
        &mut self,
        value: V,
        path: &Path<'_>,
        level: usize,
    ) -> Result<Option<Expression>, V::Failure> {
        self.parts = self.parts.saturating_add(1);
        if level > LEVELS || self.parts > PARTS {
            if self.findings.is_empty() {
                let expected = format!("a shape of at most {LEVELS} levels and {PARTS} parts");
                self.refuse(value, path, expected, "more".to_owned(), None);
            }
            return Ok(None);
        }
        match value.look()? {
            Seen::Text(name) => Ok(self.named(name.as_ref(), value, path)),
            Seen::Record(members) => {
                let Some(keys) = self.keys(members, path)? else {
                    return Ok(None);
                };
                self.composed(value, keys, path, level)
            }
            seen => {
                let expected = format!("the name of a shape, or {} that extends one", V::RECORD);
                self.refuse(value, path, expected, describe(&seen), None);
                Ok(None)
            }
        }
    }

    fn named(&mut self, name: &str, value: V, path: &Path<'_>) -> Option<Expression> {
        if let Some(shape) = self.table.iter().find(|shape| shape.name == name) {
            return Some(Expression {
                rule: shape.rule.clone(),
                base: Some(shape.name),
            });
        }
        let names = self.table.iter().map(|shape| shape.name);
        let hint = match near(name, names.clone()) {
            Some(near) => format!("did you mean {}", text::quote(near)),
            None => format!(
                "the shapes are {}",
                names.map(text::quote).collect::<Vec<_>>().join(", ")
            ),
        };
        let expected = "the name of a shape".to_owned();
        self.refuse(value, path, expected, text::quote(name), Some(hint));
        None
    }

    fn keys(
        &mut self,
        members: V::Members,
        path: &Path<'_>,
    ) -> Result<Option<Keys<V>>, V::Failure> {
        let mut keys = Keys {
            extends: None,
            fields: None,
            each: None,
            list: None,
            null_or: None,
            one_of: None,
            matches: None,
            what: None,
        };
        let mut is_fine = true;
        for (key, value) in members {
            let slot = match key.as_ref() {
                "extends" => &mut keys.extends,
                "fields" => &mut keys.fields,
                "each" => &mut keys.each,
                "list" => &mut keys.list,
                "nullOr" => &mut keys.null_or,
                "oneOf" => &mut keys.one_of,
                "matches" => &mut keys.matches,
                "what" => &mut keys.what,
                remark if REMARKS.contains(&remark) => continue,
                unknown => {
                    let known = [
                        "extends", "fields", "each", "list", "nullOr", "oneOf", "matches", "doc",
                    ];
                    let hint = near(unknown, known.into_iter())
                        .map(|near| format!("did you mean {}", text::quote(near)));
                    let expected = format!("one of the keys {}", known.map(text::quote).join(", "));
                    let (path, found) = (path.key(unknown), text::quote(unknown));
                    self.push(Spot::KeyOf(value), &path, expected, found, hint);
                    is_fine = false;
                    continue;
                }
            };
            *slot = Some(value);
        }
        Ok(is_fine.then_some(keys))
    }

    fn composed(
        &mut self,
        value: V,
        keys: Keys<V>,
        path: &Path<'_>,
        level: usize,
    ) -> Result<Option<Expression>, V::Failure> {
        let inner = level.saturating_add(1);
        let others = [
            keys.extends,
            keys.fields,
            keys.each,
            keys.one_of,
            keys.matches,
        ];
        if let Some(item) = keys.list.or(keys.null_or) {
            let name = if keys.list.is_some() {
                "list"
            } else {
                "nullOr"
            };
            if others.iter().any(Option::is_some) || (keys.list.is_some() && keys.null_or.is_some())
            {
                let (expected, found) =
                    (format!("`{name}` alone"), "other keys beside it".to_owned());
                self.refuse(value, path, expected, found, None);
                return Ok(None);
            }
            let read = self.expression(item, &path.key(name), inner)?;
            return Ok(read.map(|read| {
                let rule = Ref::from(read.rule);
                Expression::of(if keys.list.is_some() {
                    Rule::List(rule)
                } else {
                    Rule::Nullable(rule)
                })
            }));
        }
        let base = match keys.extends {
            Some(extends) => {
                let Some(base) = self.expression(extends, &path.key("extends"), inner)? else {
                    return Ok(None);
                };
                Some(base)
            }
            None if others.iter().all(Option::is_none) => {
                let (expected, found) = (
                    "one of `extends`, `fields`, `list`, `nullOr`, `oneOf`, `matches`".to_owned(),
                    format!("{} without them", V::RECORD),
                );
                self.refuse(value, path, expected, found, None);
                return Ok(None);
            }
            None => None,
        };
        if keys.one_of.is_some() || keys.matches.is_some() {
            if keys.fields.is_some() || keys.each.is_some() {
                let expected = "what restricts strings, or what records have".to_owned();
                self.refuse(value, path, expected, "both".to_owned(), None);
                return Ok(None);
            }
            if keys.one_of.is_some() && keys.matches.is_some() {
                let expected = "one of `oneOf` and `matches`".to_owned();
                self.refuse(value, path, expected, "both".to_owned(), None);
                return Ok(None);
            }
            return self.restricted(value, base, &keys, path);
        }
        if keys.fields.is_none() && keys.each.is_none() && keys.what.is_none() {
            return Ok(base);
        }
        self.record(value, base, &keys, path, inner)
    }

    /// A kind of string.
    fn restricted(
        &mut self,
        value: V,
        base: Option<Expression>,
        keys: &Keys<V>,
        path: &Path<'_>,
    ) -> Result<Option<Expression>, V::Failure> {
        let outer = base.as_ref().and_then(|base| base.base);
        let base = match base.map(|base| base.rule) {
            None => Ref::Static(&ANY),
            Some(Rule::Text(text)) => text,
            Some(_) => {
                let expected = "the shape of a string below `oneOf` or `matches`".to_owned();
                self.refuse(value, path, expected, "another shape".to_owned(), None);
                return Ok(None);
            }
        };
        let text = if let Some(one_of) = keys.one_of {
            let Some(texts) = self.texts(one_of, &base, &path.key("oneOf"))? else {
                return Ok(None);
            };
            let shown: Vec<_> = texts
                .iter()
                .take(12)
                .map(|text| text::quote(text))
                .collect();
            let dots = if texts.len() > shown.len() {
                ", ..."
            } else {
                ""
            };
            let escaped: Vec<_> = texts.iter().map(|text| escaped(text)).collect();
            Text {
                expected: format!("one of {}{dots}", shown.join(", ")).into(),
                pattern: Some(format!("^(?:{})$", escaped.join("|")).into()),
                test: Test::OneOf(texts),
            }
        } else {
            let Some(matches) = keys.matches else {
                return Ok(None);
            };
            let path = path.key("matches");
            let pattern = match matches.look()? {
                Seen::Text(pattern) => pattern,
                seen => {
                    let expected = "a regular expression (a string)".to_owned();
                    self.refuse(matches, &path, expected, describe(&seen), None);
                    return Ok(None);
                }
            };
            let pattern = pattern.as_ref();
            // Alone first: `a)|(?:b` is one only in brackets.
            let whole = Regex::new(pattern).and_then(|_| Regex::new(&format!("^(?:{pattern})$")));
            match whole {
                Ok(regex) => Text {
                    expected: format!("{} that matches {}", base.expected, text::quote(pattern))
                        .into(),
                    pattern: None,
                    test: Test::Matches { base, regex },
                },
                Err(error) => {
                    let expected = "a regular expression".to_owned();
                    let found = format!(
                        "{} ({})",
                        text::quote(pattern),
                        text::printable(&error.to_string())
                    );
                    self.refuse(matches, &path, expected, found, None);
                    return Ok(None);
                }
            }
        };
        Ok(Some(Expression {
            rule: Rule::Text(text.into()),
            base: outer,
        }))
    }

    /// The strings of a list that is not empty, all of which are of the kind `base`.
    fn texts(
        &mut self,
        value: V,
        base: &Text,
        path: &Path<'_>,
    ) -> Result<Option<Vec<String>>, V::Failure> {
        let mut texts = Vec::new();
        if let Seen::List(items) = value.look()? {
            for (number, item) in items.enumerate() {
                let path = path.item(number);
                self.parts = self.parts.saturating_add(1);
                let text = match item.look()? {
                    Seen::Text(text) if self.parts <= PARTS => text,
                    seen => {
                        let found = match seen {
                            Seen::Text(_) => format!("more than {PARTS} parts"),
                            seen => describe(&seen),
                        };
                        self.refuse(item, &path, "a string".to_owned(), found, None);
                        return Ok(None);
                    }
                };
                if let Err(found) = base.judge(text.as_ref()) {
                    self.refuse(item, &path, base.expected.to_string(), found, None);
                    return Ok(None);
                }
                texts.push(text.as_ref().to_owned());
            }
        }
        if texts.is_empty() {
            let expected = format!("{} of strings, not empty", V::LIST);
            let found = match value.look()? {
                Seen::List(_) => "an empty one".to_owned(),
                seen => describe(&seen),
            };
            self.refuse(value, path, expected, found, None);
            return Ok(None);
        }
        Ok(Some(texts))
    }

    fn record(
        &mut self,
        value: V,
        base: Option<Expression>,
        keys: &Keys<V>,
        path: &Path<'_>,
        level: usize,
    ) -> Result<Option<Expression>, V::Failure> {
        let outer = base.as_ref().and_then(|base| base.base);
        let (mut what, mut fields, mut rest, ordered, law) = match base.map(|base| base.rule) {
            None => (
                Cow::Borrowed("a record"),
                Vec::new(),
                Rest::Refused,
                [].as_slice(),
                None,
            ),
            Some(Rule::Record(record)) => (
                record.what.clone(),
                record.fields.to_vec(),
                record.rest.clone(),
                record.ordered,
                record.law,
            ),
            Some(_) => {
                let expected = "the shape of a record below `fields` or `each`".to_owned();
                self.refuse(value, path, expected, "another shape".to_owned(), None);
                return Ok(None);
            }
        };
        if let Some(said) = keys.what
            && let Seen::Text(said) = said.look()?
        {
            what = text::printable(said.as_ref())
                .chars()
                .take(text::SHOWN_CHARS)
                .collect::<String>()
                .into();
        }
        if let Some(added) = keys.fields {
            let path = path.key("fields");
            let members = match added.look()? {
                Seen::Record(members) => members,
                seen => {
                    let expected = format!("{} of shapes by field", V::RECORD);
                    self.refuse(added, &path, expected, describe(&seen), None);
                    return Ok(None);
                }
            };
            for (name, shape) in members {
                let name = name.as_ref();
                let Some((need, rule)) = self.field(shape, &path.key(name), level)? else {
                    continue;
                };
                let old = fields
                    .iter_mut()
                    .find(|field: &&mut Field| field.name == name);
                match old {
                    Some(field) => {
                        field.need = need;
                        field.rule = rule;
                    }
                    None => fields.push(Field {
                        name: name.to_owned().into(),
                        need,
                        rule,
                        doc: "".into(),
                    }),
                }
            }
            if fields.len() > MOST_FIELDS {
                let expected = format!("at most {MOST_FIELDS} fields");
                self.refuse(added, &path, expected, fields.len().to_string(), None);
            }
        }
        if let Some(each) = keys.each {
            let path = path.key("each");
            let Some(read) = self.expression(each, &path, level)? else {
                return Ok(None);
            };
            rest = replaced(rest, read.rule);
        }
        Ok(Some(Expression {
            rule: Rule::Record(
                Record {
                    what,
                    fields: fields.into(),
                    rest,
                    ordered,
                    law,
                }
                .into(),
            ),
            base: outer,
        }))
    }

    /// What a field must be: an expression, or `{ optional = expression; }`.
    fn field(
        &mut self,
        value: V,
        path: &Path<'_>,
        level: usize,
    ) -> Result<Option<(Need, Rule)>, V::Failure> {
        let inner = level.saturating_add(1);
        if let Seen::Record(members) = value.look()?
            && let Some((_, optional)) = members.clone().find(|(key, _)| key.as_ref() == "optional")
        {
            if members.count() != 1 {
                let found = "other keys beside it".to_owned();
                self.refuse(value, path, "`optional` alone".to_owned(), found, None);
                return Ok(None);
            }
            let read = self.expression(optional, &path.key("optional"), inner)?;
            return Ok(read.map(|read| (Need::Optional, read.rule)));
        }
        let read = self.expression(value, path, inner)?;
        Ok(read.map(|read| (Need::Required, read.rule)))
    }

    fn refuse(
        &mut self,
        value: V,
        path: &Path<'_>,
        expected: String,
        found: String,
        hint: Option<String>,
    ) {
        self.push(Spot::Value(value), path, expected, found, hint);
    }

    fn push(
        &mut self,
        spot: Spot<V>,
        path: &Path<'_>,
        expected: String,
        found: String,
        hint: Option<String>,
    ) {
        self.findings.push(Finding {
            severity: Severity::Error,
            code: "shape",
            spot,
            path: path.to_string(),
            expected,
            found,
            hint,
        });
    }
}

/// Any string.
static ANY: Text = Text {
    expected: Cow::Borrowed("a string"),
    test: Test::By(|_| Ok(())),
    pattern: None,
};

/// `rest` with another rule for its values.
fn replaced(rest: Rest, rule: Rule) -> Rest {
    match rest {
        Rest::Refused => Rest::Each {
            key: Ref::Static(&ANY),
            rule,
        },
        Rest::Each { key, .. } => Rest::Each { key, rule },
        Rest::Marked {
            key,
            ending,
            usual,
            marker,
            present,
            ..
        } => {
            // Where there is a marker, values are one level further down.
            let present = match present {
                Rule::Record(record) => Rule::Record(
                    Record {
                        what: record.what.clone(),
                        fields: record.fields.clone(),
                        rest: replaced(record.rest.clone(), rule.clone()),
                        ordered: record.ordered,
                        law: record.law,
                    }
                    .into(),
                ),
                other => other,
            };
            Rest::Marked {
                key,
                ending,
                usual,
                marker,
                present,
                absent: rule,
            }
        }
    }
}

/// `text` as a regular expression that matches it alone.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if r"\^$.|?*+()[]{}/".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
