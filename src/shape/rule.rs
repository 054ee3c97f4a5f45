//! Shapes as tables, and the engine that holds values against them.

use std::fmt;

use super::place::Path;
use super::view::{Seen, View};
use crate::text;

/// What a value must be.
#[derive(Clone, Copy, Debug)]
pub enum Rule {
    /// Whatever it is; it is not looked at. A field with this rule is tolerated, messages do not offer it.
    Anything,
    /// A string that passes.
    Text(&'static Text),
    /// Exactly this integer.
    Exactly(i64),
    /// A list whose items follow the rule.
    List(&'static Rule),
    /// `null`, or what the rule says.
    Nullable(&'static Rule),
    /// A record.
    Record(&'static Record),
}

/// A kind of string.
#[derive(Debug)]
pub struct Text {
    /// Completes `expected ...`.
    pub expected: &'static str,
    /// Judges the string; the error completes `found ...`.
    pub judge: fn(&str) -> Result<(), String>,
}

/// A kind of record.
#[derive(Debug)]
pub struct Record {
    /// What it is, with its article: `a release`.
    pub what: &'static str,
    /// The members that have a name. At most 64.
    pub fields: &'static [Field],
    /// All other members.
    pub rest: Rest,
}

/// A member with a name.
#[derive(Debug)]
pub struct Field {
    /// Its key.
    pub name: &'static str,
    /// Must it be there?
    pub need: Need,
    /// What its value must be.
    pub rule: Rule,
}

/// Must a member be there?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// It must.
    Required,
    /// It may be absent.
    Optional,
}

/// The members of a record that have no name of their own.
#[derive(Debug)]
pub enum Rest {
    /// There may be none.
    Refused,
    /// Each key is such a text, each value follows the rule.
    Each {
        /// What the key must be.
        key: &'static Text,
        /// What the value must be.
        rule: Rule,
    },
    /// As `Each`, the rule depending on whether the record has the field `on`.
    Depends {
        /// What the key must be.
        key: &'static Text,
        /// The name of a field.
        on: &'static str,
        /// The rule of values if the field is there.
        present: Rule,
        /// The rule of values if it is not.
        absent: Rule,
    },
}

/// One difference between a value and its shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding<V> {
    /// Where, for whoever can turn a view into a position.
    pub spot: Spot<V>,
    /// Where, as an attribute path; empty for the whole value.
    pub path: String,
    /// What was expected; completes `expected ...`.
    pub expected: String,
    /// What is there instead; completes `found ...`.
    pub found: String,
    /// What to try, if there is anything to say.
    pub hint: Option<String>,
}

/// What a [`Finding`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spot<V> {
    /// A value.
    Value(V),
    /// The key whose value this is.
    KeyOf(V),
}

/// Holds `value` against `rule`; the findings are all there are, in the order of the rule, none if it fits.
///
/// # Errors
/// The first value that cannot be looked at ([`View::look`]).
pub fn judge<V: View>(rule: &Rule, value: V) -> Result<Vec<Finding<V>>, V::Failure> {
    let mut judge = Judge {
        findings: Vec::new(),
    };
    judge.value(rule, value, &Path::ROOT)?;
    Ok(judge.findings)
}

struct Judge<V> {
    findings: Vec<Finding<V>>,
}

impl<V: View> Judge<V> {
    fn value(&mut self, rule: &Rule, value: V, path: &Path<'_>) -> Result<(), V::Failure> {
        match rule {
            Rule::Anything => Ok(()),
            Rule::Text(text) => self.text(text, value, path),
            Rule::Exactly(number) => match value.look()? {
                Seen::Int(found) if found == *number => Ok(()),
                seen => self.refuse(value, path, format!("the number {number}"), describe(&seen)),
            },
            Rule::List(rule) => match value.look()? {
                Seen::List(items) => {
                    for (number, item) in items.enumerate() {
                        self.value(rule, item, &path.item(number))?;
                    }
                    Ok(())
                }
                seen => self.refuse(value, path, V::LIST.to_owned(), describe(&seen)),
            },
            Rule::Nullable(rule) => match value.look()? {
                Seen::Null => Ok(()),
                _ => self.value(rule, value, path),
            },
            Rule::Record(record) => match value.look()? {
                Seen::Record(members) => self.record(record, members, value, path),
                seen => self.refuse(value, path, expected_record::<V>(record), describe(&seen)),
            },
        }
    }

    fn text(&mut self, rule: &Text, value: V, path: &Path<'_>) -> Result<(), V::Failure> {
        match value.look()? {
            Seen::Text(text) => match (rule.judge)(text.as_ref()) {
                Ok(()) => Ok(()),
                Err(found) => self.refuse(value, path, rule.expected.to_owned(), found),
            },
            seen => self.refuse(value, path, rule.expected.to_owned(), describe(&seen)),
        }
    }

    fn record(
        &mut self,
        record: &Record,
        members: V::Members,
        value: V,
        path: &Path<'_>,
    ) -> Result<(), V::Failure> {
        let mut there = 0_u64;
        for (key, member) in members.clone() {
            let key = key.as_ref();
            match record
                .fields
                .iter()
                .enumerate()
                .find(|(_, field)| field.name == key)
            {
                Some((number, field)) => {
                    there |= 1 << number;
                    self.value(&field.rule, member, &path.key(key))?;
                }
                None => match &record.rest {
                    Rest::Refused => self.unknown_key(record, key, member, path),
                    Rest::Each {
                        key: rule,
                        rule: value_rule,
                    } => {
                        self.key(rule, key, member, path);
                        self.member(record, value_rule, key, member, path)?;
                    }
                    Rest::Depends { .. } => {}
                },
            }
        }
        let has = |number: usize| there & (1 << number) != 0;
        if let Rest::Depends {
            key: key_rule,
            on,
            present,
            absent,
        } = &record.rest
        {
            let is_present = record
                .fields
                .iter()
                .position(|field| field.name == *on)
                .is_some_and(has);
            let (rule, other) = if is_present {
                (present, absent)
            } else {
                (absent, present)
            };
            for (key, member) in members {
                let key = key.as_ref();
                if record.fields.iter().all(|field| field.name != key) {
                    self.key(key_rule, key, member, path);
                    let before = self.findings.len();
                    self.member(record, rule, key, member, path)?;
                    // With the other rule it would be fine: say that instead of all that differs from this one.
                    if self.findings.len() > before && fits(other, member) {
                        self.findings.truncate(before);
                        let hint = match is_present {
                            true => format!("should `{on}` not be there?"),
                            false => format!("is `{on}` missing?"),
                        };
                        let (expected, found) =
                            (describe_rule::<V>(rule), describe_rule::<V>(other));
                        self.push(
                            Spot::Value(member),
                            &path.key(key),
                            expected,
                            found,
                            Some(hint),
                        );
                    }
                }
            }
        }
        for (number, field) in record.fields.iter().enumerate() {
            if field.need == Need::Required && !has(number) {
                let expected = format!("the key {}", text::quote(field.name));
                self.push(
                    Spot::Value(value),
                    path,
                    expected,
                    format!("{} without it", V::RECORD),
                    None,
                );
            }
        }
        Ok(())
    }

    fn key(&mut self, rule: &Text, key: &str, member: V, path: &Path<'_>) {
        if let Err(found) = (rule.judge)(key) {
            let expected = format!("as key {}", rule.expected);
            self.push(Spot::KeyOf(member), &path.key(key), expected, found, None);
        }
    }

    /// A member without a name of its own. If it is no record where one should be, its key may be a misspelt field.
    fn member(
        &mut self,
        record: &Record,
        rule: &Rule,
        key: &str,
        member: V,
        path: &Path<'_>,
    ) -> Result<(), V::Failure> {
        let before = self.findings.len();
        self.value(rule, member, &path.key(key))?;
        if self.findings.len() > before
            && let Some(name) = near(key, record.fields.iter().map(|field| field.name))
            && matches!(rule, Rule::Record(_))
            && !matches!(member.look()?, Seen::Record(_))
            && let Some(first) = self.findings.get_mut(before)
        {
            first.hint = Some(did_you_mean(name));
        }
        Ok(())
    }

    fn unknown_key(&mut self, record: &Record, key: &str, member: V, path: &Path<'_>) {
        // What is merely tolerated is not offered.
        let offered = |field: &&Field| !matches!(field.rule, Rule::Anything);
        let names = || record.fields.iter().filter(offered).map(|field| field.name);
        let expected = match names().map(text::quote).collect::<Vec<_>>().as_slice() {
            [] => "no keys".to_owned(),
            [one] => format!("the key {one} only"),
            many => format!("one of the keys {}", many.join(", ")),
        };
        let hint = near(key, names()).map(did_you_mean);
        self.push(
            Spot::KeyOf(member),
            &path.key(key),
            expected,
            text::quote(key),
            hint,
        );
    }

    fn refuse(
        &mut self,
        value: V,
        path: &Path<'_>,
        expected: String,
        found: String,
    ) -> Result<(), V::Failure> {
        self.push(Spot::Value(value), path, expected, found, None);
        Ok(())
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
            spot,
            path: path.to_string(),
            expected,
            found,
            hint,
        });
    }
}

/// Does `value` follow `rule`, and is it more than a record without members, which fits nearly anything?
fn fits<V: View>(rule: &Rule, value: V) -> bool {
    let is_empty =
        matches!(value.look(), Ok(Seen::Record(members)) if members.clone().next().is_none());
    !is_empty && judge(rule, value).is_ok_and(|findings| findings.is_empty())
}

fn did_you_mean(name: &str) -> String {
    format!("did you mean {}", text::quote(name))
}

fn expected_record<V: View>(record: &Record) -> String {
    format!("{} ({})", V::RECORD, record.what)
}

/// What `rule` asks for, in short.
fn describe_rule<V: View>(rule: &Rule) -> String {
    match rule {
        Rule::Anything => "anything".to_owned(),
        Rule::Text(text) => text.expected.to_owned(),
        Rule::Exactly(number) => format!("the number {number}"),
        Rule::List(_) => V::LIST.to_owned(),
        Rule::Nullable(rule) => format!("`null` or {}", describe_rule::<V>(rule)),
        Rule::Record(record) => expected_record::<V>(record),
    }
}

/// What was seen, in short; completes `found ...`.
fn describe<V: View>(seen: &Seen<V>) -> String {
    match seen {
        Seen::Null => "`null`".to_owned(),
        Seen::Bool(value) => format!("`{value}`"),
        Seen::Int(number) => format!("the number {number}"),
        Seen::Float(number) => format!("the number {number:?}"),
        Seen::Text(text) => format!("the string {}", text::quote(text.as_ref())),
        Seen::List(_) => V::LIST.to_owned(),
        Seen::Record(_) => V::RECORD.to_owned(),
        Seen::Other(what) => (*what).to_owned(),
    }
}

/// The one of `names` that `typed` most likely meant: at most two typing errors away, and most of it right.
pub fn near<'n>(typed: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    names
        .filter_map(|name| {
            let limit = (name.len() / 3).min(2);
            // Longer keys cannot be near, and hostile ones may be very long.
            (typed.len() <= name.len() + 2)
                .then(|| (distance(typed, name), name))
                .filter(|(far, _)| *far <= limit)
        })
        .min()
        .map(|(_, name)| name)
}

/// How many characters must be inserted, removed, replaced or swapped with their neighbour to make `left` from `right`.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    let mut previous = None;
    for (row, l) in left.chars().enumerate() {
        let mut line = vec![row + 1];
        for (column, r) in right.iter().enumerate() {
            let at =
                |line: &[usize], column: usize| line.get(column).copied().unwrap_or(usize::MAX - 1);
            let mut least =
                (at(&above, column) + usize::from(l != *r)).min(at(&above, column + 1) + 1);
            least = least.min(at(&line, column) + 1);
            let crossed = column
                .checked_sub(1)
                .filter(|c| right.get(*c) == Some(&l) && previous == Some(*r));
            if let Some(column) = crossed {
                least = least.min(at(&before, column) + 1);
            }
            line.push(least);
        }
        before = std::mem::replace(&mut above, line);
        previous = Some(l);
    }
    above.last().copied().unwrap_or(0)
}

impl<V> fmt::Display for Finding<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}, found {}", self.expected, self.found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    /// A lazy value as an evaluator has them: a thunk that notes when it is forced, or throws.
    #[derive(Debug)]
    enum Lazy {
        Null,
        Int(i64),
        Float(f64),
        Text(&'static str),
        List(Vec<Lazy>),
        Record(Vec<(&'static str, Lazy)>),
        Function,
        Throw,
    }

    #[derive(Clone, Copy)]
    struct Thunk<'a> {
        value: &'a Lazy,
        forced: &'a RefCell<usize>,
    }

    #[derive(Clone)]
    struct Parts<'a>(std::slice::Iter<'a, (&'static str, Lazy)>, Thunk<'a>);

    impl<'a> Iterator for Parts<'a> {
        type Item = (&'static str, Thunk<'a>);

        fn next(&mut self) -> Option<Self::Item> {
            self.0
                .next()
                .map(|(key, value)| (*key, Thunk { value, ..self.1 }))
        }
    }

    impl<'a> View for Thunk<'a> {
        type Text = &'static str;
        type Members = Parts<'a>;
        type Items = std::vec::IntoIter<Thunk<'a>>;
        type Failure = &'static str;

        const RECORD: &'static str = "a set";
        const LIST: &'static str = "a list";

        fn look(self) -> Result<Seen<Self>, &'static str> {
            *self.forced.borrow_mut() += 1;
            Ok(match self.value {
                Lazy::Null => Seen::Null,
                Lazy::Int(value) => Seen::Int(*value),
                Lazy::Float(value) => Seen::Float(*value),
                Lazy::Text(text) => Seen::Text(*text),
                Lazy::List(items) => Seen::List(
                    items
                        .iter()
                        .map(|value| Thunk { value, ..self })
                        .collect::<Vec<_>>()
                        .into_iter(),
                ),
                Lazy::Record(members) => Seen::Record(Parts(members.iter(), self)),
                Lazy::Function => Seen::Other("a function"),
                Lazy::Throw => return Err("thrown"),
            })
        }
    }

    static WORD: Text = Text {
        expected: "a word",
        judge: |text| {
            if text.contains(' ') {
                Err(text::quote(text))
            } else {
                Ok(())
            }
        },
    };

    static SHAPE: Record = Record {
        what: "a thing",
        fields: &[
            Field {
                name: "colour",
                need: Need::Required,
                rule: Rule::Text(&WORD),
            },
            Field {
                name: "size",
                need: Need::Optional,
                rule: Rule::Nullable(&Rule::Exactly(1)),
            },
            Field {
                name: "words",
                need: Need::Optional,
                rule: Rule::List(&Rule::Text(&WORD)),
            },
            Field {
                name: "extra",
                need: Need::Optional,
                rule: Rule::Anything,
            },
        ],
        rest: Rest::Refused,
    };

    static OPEN: Record = Record {
        what: "things",
        fields: &[Field {
            name: "single",
            need: Need::Optional,
            rule: Rule::Anything,
        }],
        rest: Rest::Depends {
            key: &WORD,
            on: "single",
            present: Rule::Text(&WORD),
            absent: Rule::Record(&SHAPE),
        },
    };

    fn found(record: &'static Record, value: &Lazy) -> String {
        let forced = RefCell::new(0);
        let line = |finding: &Finding<_>| {
            let hint = finding
                .hint
                .as_ref()
                .map_or(String::new(), |hint| format!(" ({hint})"));
            format!("`{}`: {finding}{hint}", finding.path)
        };
        match judge(
            &Rule::Record(record),
            Thunk {
                value,
                forced: &forced,
            },
        ) {
            Ok(findings) => findings.iter().map(line).collect::<Vec<_>>().join("\n"),
            Err(failure) => failure.to_owned(),
        }
    }

    #[test]
    fn differences_are_found() {
        use Lazy::{Float, Function, Int, List, Null, Record, Text, Throw};
        let fine = || ("colour", Text("red"));
        for value in [
            vec![fine()],
            vec![("size", Int(1)), fine()],
            vec![fine(), ("size", Null), ("words", List(vec![]))],
        ] {
            assert_eq!(found(&SHAPE, &Record(value)), "");
        }
        insta::assert_snapshot!(found(&SHAPE, &Function), @"``: expected a set (a thing), found a function");
        insta::assert_snapshot!(found(&SHAPE, &Record(vec![])), @"``: expected the key `colour`, found a set without it");
        insta::assert_snapshot!(found(&SHAPE, &Record(vec![("colour", Text("dark red")), ("size", Float(1.0))])), @r"
        `colour`: expected a word, found `dark red`
        `size`: expected the number 1, found the number 1.0
        ");
        insta::assert_snapshot!(found(&SHAPE, &Record(vec![fine(), ("words", List(vec![Text("a"), Text("b c"), Null]))])), @r"
        `words[1]`: expected a word, found `b c`
        `words[2]`: expected a word, found `null`
        ");
        insta::assert_snapshot!(found(&SHAPE, &Record(vec![("color", Text("red")), ("zise", Int(1)), ("weight", Int(1))])), @r"
        `color`: expected one of the keys `colour`, `size`, `words`, found `color` (did you mean `colour`)
        `zise`: expected one of the keys `colour`, `size`, `words`, found `zise`
        `weight`: expected one of the keys `colour`, `size`, `words`, found `weight`
        ``: expected the key `colour`, found a set without it
        ");
        insta::assert_snapshot!(found(&SHAPE, &Record(vec![fine(), ("words", Throw)])), @"thrown");
        let thing = || Record(vec![fine()]);
        assert_eq!(
            found(&OPEN, &Record(vec![("a", thing()), ("b", thing())])),
            ""
        );
        assert_eq!(
            found(&OPEN, &Record(vec![("a", Text("x")), ("single", Null)])),
            ""
        );
        insta::assert_snapshot!(found(&OPEN, &Record(vec![("a", thing()), ("b", Text("x"))])), @"`b`: expected a set (a thing), found a word (is `single` missing?)");
        insta::assert_snapshot!(found(&OPEN, &Record(vec![("a", thing()), ("single", Null), ("c d", Text("x"))])), @r#"
        `a`: expected a word, found a set (a thing) (should `single` not be there?)
        `"c d"`: expected as key a word, found `c d`
        "#);
        insta::assert_snapshot!(found(&OPEN, &Record(vec![("singel", Int(3))])), @"`singel`: expected a set (a thing), found the number 3 (did you mean `single`)");
    }

    #[test]
    fn only_what_a_rule_names_is_forced() {
        let value = Lazy::Record(vec![("colour", Lazy::Text("red")), ("extra", Lazy::Throw)]);
        let forced = RefCell::new(0);
        assert!(
            judge(
                &Rule::Record(&SHAPE),
                Thunk {
                    value: &value,
                    forced: &forced
                }
            )
            .unwrap()
            .is_empty()
        );
        assert_eq!(*forced.borrow(), 2);
        assert!(
            judge(
                &Rule::Anything,
                Thunk {
                    value: &Lazy::Throw,
                    forced: &forced
                }
            )
            .unwrap()
            .is_empty()
        );
    }

    #[test]
    fn near_names_are_proposed() {
        let names = ["license", "license_path", "version", "md5", "size"];
        for (typed, expected) in [
            ("licence", Some("license")),
            ("licens", Some("license")),
            ("licnese", Some("license")),
            ("verison", Some("version")),
            ("license-path", Some("license_path")),
            ("md6", Some("md5")),
            ("Size", Some("size")),
            ("seize", Some("size")),
            ("linux-x86_64", None),
            ("", None),
            ("sides", None),
        ] {
            assert_eq!(near(typed, names.into_iter()), expected, "{typed:?}");
        }
        assert_eq!(near(&"x".repeat(1 << 20), names.into_iter()), None);
    }
}
