//! The engine that holds values against rules.

use std::collections::HashSet;
use std::fmt;

use super::near::near;
use super::place::Path;
use super::rule::{Need, Record, Rest, Rule, Test, Text};
use super::view::{Seen, View};
use crate::error::Severity;
use crate::text;

/// One difference between a value and its shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding<V> {
    /// How grave it is.
    pub severity: Severity,
    /// Which kind of difference it is, for machines: `missing-key`, `value`.
    pub code: &'static str,
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

/// All differences of one value.
#[derive(Debug)]
pub struct Findings<V> {
    list: Vec<Finding<V>>,
    errors: Tally,
    warnings: Tally,
}

/// How many there are of one severity.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    kept: usize,
    more: usize,
}

/// How many differences of each severity are kept; the others are only counted. A hostile text of some megabytes can hold
/// millions.
const KEPT: usize = 10_000;

/// How many differences there are besides those that were kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct More {
    /// Errors.
    pub errors: usize,
    /// Warnings.
    pub warnings: usize,
}

impl<V> Default for Findings<V> {
    fn default() -> Findings<V> {
        Findings {
            list: Vec::new(),
            errors: Tally::default(),
            warnings: Tally::default(),
        }
    }
}

impl<V> Findings<V> {
    /// Adds one.
    pub fn push(&mut self, finding: Finding<V>) {
        self.push_with(finding.severity, || finding);
    }

    /// Adds the one that `make` makes, which is not asked when there are enough.
    pub fn push_with(&mut self, severity: Severity, make: impl FnOnce() -> Finding<V>) {
        let tally = match severity {
            Severity::Error => &mut self.errors,
            Severity::Warning => &mut self.warnings,
        };
        if tally.kept < KEPT {
            tally.kept += 1;
            self.list.push(make());
        } else {
            tally.more = tally.more.saturating_add(1);
        }
    }

    /// Drops the warnings about values that are wrong as well: what is wrong with them comes first.
    pub fn without_echoes(mut self) -> Findings<V> {
        let is_error = |finding: &&Finding<V>| finding.severity == Severity::Error;
        let wrong: HashSet<String> = self
            .list
            .iter()
            .filter(is_error)
            .map(|finding| finding.path.clone())
            .collect();
        self.list.retain(|finding| {
            finding.severity == Severity::Error || !wrong.contains(&finding.path)
        });
        self
    }

    /// Adds those of a part that was judged by itself; `place` is the part's attribute path.
    pub fn add_below(&mut self, place: &str, part: Findings<V>) {
        for finding in part.list {
            let path = match finding.path.as_str() {
                "" => place.to_owned(),
                inside if inside.starts_with('[') => format!("{place}{inside}"),
                inside => format!("{place}.{inside}"),
            };
            self.push(Finding { path, ..finding });
        }
        self.errors.more = self.errors.more.saturating_add(part.errors.more);
        self.warnings.more = self.warnings.more.saturating_add(part.warnings.more);
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Those that were kept, in the order they were found; and how many there are besides.
    pub fn into_parts(self) -> (Vec<Finding<V>>, More) {
        let more = More {
            errors: self.errors.more,
            warnings: self.warnings.more,
        };
        (self.list, more)
    }
}

/// A record that has a law ([`Record::law`]), judged already.
pub struct Held<'h, V: View> {
    /// The name of the law.
    pub law: &'static str,
    /// What the record must be.
    pub record: &'h Record,
    /// Its members.
    pub members: V::Members,
    /// Where it is.
    pub path: &'h Path<'h>,
}

/// Holds `value` against `rule`; the findings are all there are, in the order of the rule, none if it fits.
///
/// # Errors
/// The first value that cannot be looked at ([`View::look`]).
pub fn judge<V: View>(rule: &Rule, value: V) -> Result<Findings<V>, V::Failure> {
    judge_with(rule, value, |_, _| Ok(()))
}

/// [`judge`], asking `hold` of each record that has a law once the record itself was judged.
///
/// # Errors
/// Those of [`judge`], and what `hold` fails with.
pub fn judge_with<V: View>(
    rule: &Rule,
    value: V,
    hold: impl FnMut(Held<'_, V>, &mut Findings<V>) -> Result<(), V::Failure>,
) -> Result<Findings<V>, V::Failure> {
    let mut judge = Judge {
        findings: Findings::default(),
        hold,
    };
    judge.value(rule, value, &Path::ROOT)?;
    Ok(judge.findings)
}

struct Judge<V, H> {
    findings: Findings<V>,
    hold: H,
}

impl<V: View, H> Judge<V, H>
where
    H: FnMut(Held<'_, V>, &mut Findings<V>) -> Result<(), V::Failure>,
{
    fn value(&mut self, rule: &Rule, value: V, path: &Path<'_>) -> Result<(), V::Failure> {
        match rule {
            Rule::Anything => Ok(()),
            Rule::Text(text) => self.text(text, value, path),
            Rule::Record(record) => match value.look()? {
                Seen::Record(members) => self.record(record, members, value, path),
                seen => self.refuse(rule, value, path, &seen),
            },
            Rule::Bool => match value.look()? {
                Seen::Bool(_) => Ok(()),
                seen => self.refuse(rule, value, path, &seen),
            },
            Rule::Exactly(number) => match value.look()? {
                Seen::Int(found) if found == *number => Ok(()),
                seen => self.refuse(rule, value, path, &seen),
            },
            Rule::List(item) => match value.look()? {
                Seen::List(items) => self.items(item, items, path),
                seen => self.refuse(rule, value, path, &seen),
            },
            Rule::Nullable(inner) => match value.look()? {
                Seen::Null => Ok(()),
                _ => self.value(inner, value, path),
            },
            Rule::Either(either) => match value.look()? {
                Seen::List(items) => self.items(&either.item, items, path),
                Seen::Record(members) => self.record(&either.record, members, value, path),
                seen => self.refuse(rule, value, path, &seen),
            },
        }
    }

    fn items(&mut self, rule: &Rule, items: V::Items, path: &Path<'_>) -> Result<(), V::Failure> {
        for (number, item) in items.enumerate() {
            self.value(rule, item, &path.item(number))?;
        }
        Ok(())
    }

    fn text(&mut self, rule: &Text, value: V, path: &Path<'_>) -> Result<(), V::Failure> {
        match value.look()? {
            Seen::Text(text) => {
                if let Err(found) = rule.judge(text.as_ref()) {
                    let hint = rule.near(text.as_ref()).map(did_you_mean);
                    let expected = rule.expected.to_string();
                    self.push("value", Spot::Value(value), path, expected, found, hint);
                }
                Ok(())
            }
            seen => {
                let (expected, found) = (rule.expected.to_string(), describe(&seen));
                self.push("type", Spot::Value(value), path, expected, found, None);
                Ok(())
            }
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
            if let Some((number, field)) = (0_u32..)
                .zip(record.fields.iter())
                .find(|(_, field)| field.name == key)
            {
                there |= 1_u64.checked_shl(number).unwrap_or(0);
                self.value(&field.rule, member, &path.key(key))?;
                continue;
            }
            match &record.rest {
                Rest::Refused => self.unknown_key(record, key, member, path),
                Rest::Each {
                    key: key_rule,
                    rule,
                } => {
                    self.key(key_rule, key, member, path);
                    self.member(record, rule, key, member, path)?;
                }
                Rest::Marked { .. } => {}
            }
        }
        if let Rest::Marked { .. } = &record.rest {
            self.marked(record, members.clone(), path)?;
        }
        for (number, field) in (0_u32..).zip(record.fields.iter()) {
            if field.need == Need::Required && there & 1_u64.checked_shl(number).unwrap_or(0) == 0 {
                let expected = format!("the key {}", text::quote(&field.name));
                let found = format!("{} without it", V::RECORD);
                self.push(
                    "missing-key",
                    Spot::Value(value),
                    path,
                    expected,
                    found,
                    None,
                );
            }
        }
        self.ordered(record, members.clone(), path)?;
        match record.law {
            Some(law) => {
                let held = Held {
                    law,
                    record,
                    members,
                    path,
                };
                (self.hold)(held, &mut self.findings)
            }
            None => Ok(()),
        }
    }

    /// The members of a record with [`Rest::Marked`] that have no name of their own.
    fn marked(
        &mut self,
        record: &Record,
        members: V::Members,
        path: &Path<'_>,
    ) -> Result<(), V::Failure> {
        let Rest::Marked {
            key: key_rule,
            usual,
            marker,
            present,
            absent,
            ..
        } = &record.rest
        else {
            return Ok(());
        };
        let found = members
            .clone()
            .map(|(key, _)| key)
            .find(|key| record.is_marker(key.as_ref()));
        let (rule, other) = match found {
            Some(_) => (present, absent),
            None => (absent, present),
        };
        for (key, member) in members {
            let key = key.as_ref();
            if record.fields.iter().any(|field| field.name == key) {
                continue;
            }
            self.key(key_rule, key, member, path);
            if record.is_marker(key) {
                self.value(marker, member, &path.key(key))?;
            } else if looks_like(other, rule, member)? {
                // Say that, and what is wrong with it as what it is, instead of all that differs from the rule.
                let hint = match &found {
                    Some(key) => format!("should {} not be there?", text::quote(key.as_ref())),
                    None => format!("is {} missing?", text::quote(usual)),
                };
                let (expected, found) = (describe_rule::<V>(rule), describe_rule::<V>(other));
                let spot = Spot::Value(member);
                self.push("nesting", spot, &path.key(key), expected, found, Some(hint));
                self.value(other, member, &path.key(key))?;
            } else {
                self.member(record, rule, key, member, path)?;
            }
        }
        Ok(())
    }

    fn ordered(
        &mut self,
        record: &Record,
        members: V::Members,
        path: &Path<'_>,
    ) -> Result<(), V::Failure> {
        for pair in record.ordered {
            let text = |name: &str| -> Result<Option<(V, V::Text)>, V::Failure> {
                if !matches!(record.rule_of(name, false), Some(Rule::Text(_))) {
                    return Ok(None);
                }
                let mut members = members.clone();
                let Some((_, member)) = members.find(|(key, _)| key.as_ref() == name) else {
                    return Ok(None);
                };
                Ok(match member.look()? {
                    Seen::Text(text) => Some((member, text)),
                    _ => None,
                })
            };
            let (Some((value, low)), Some((_, high))) = (text(pair.low)?, text(pair.high)?) else {
                continue;
            };
            let (low, high) = (low.as_ref(), high.as_ref());
            if (pair.compare)(low, high).is_some_and(std::cmp::Ordering::is_gt) {
                let expected = format!("at most `{}`, which is {}", pair.high, text::quote(high));
                let (path, found) = (path.key(pair.low), text::quote(low));
                self.push("order", Spot::Value(value), &path, expected, found, None);
            }
        }
        Ok(())
    }

    fn key(&mut self, rule: &Text, key: &str, member: V, path: &Path<'_>) {
        if let Err(found) = rule.judge(key) {
            let expected = format!("as key {}", rule.expected);
            let hint = rule.near(key).map(did_you_mean);
            self.push(
                "key",
                Spot::KeyOf(member),
                &path.key(key),
                expected,
                found,
                hint,
            );
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
        let before = self.findings.list.len();
        self.value(rule, member, &path.key(key))?;
        if self.findings.list.len() > before
            && matches!(rule, Rule::Record(_))
            && let Some(name) = near(key, record.names())
            && (!matches!(member.look()?, Seen::Record(_))
                || matches!(record.rule_of(name, false), Some(Rule::Record(_))))
            && let Some(first) = self.findings.list.get_mut(before)
        {
            first.hint = Some(did_you_mean(name));
        }
        Ok(())
    }

    fn unknown_key(&mut self, record: &Record, key: &str, member: V, path: &Path<'_>) {
        let expected = match record
            .names()
            .map(text::quote)
            .collect::<Vec<_>>()
            .as_slice()
        {
            [] => "no keys".to_owned(),
            [one] => format!("the key {one} only"),
            many => format!("one of the keys {}", many.join(", ")),
        };
        let hint = near(key, record.names()).map(did_you_mean);
        let (spot, found) = (Spot::KeyOf(member), text::quote(key));
        self.push("unknown-key", spot, &path.key(key), expected, found, hint);
    }

    fn refuse(
        &mut self,
        rule: &Rule,
        value: V,
        path: &Path<'_>,
        seen: &Seen<V>,
    ) -> Result<(), V::Failure> {
        let (expected, found) = (describe_rule::<V>(rule), describe(seen));
        self.push("type", Spot::Value(value), path, expected, found, None);
        Ok(())
    }

    fn push(
        &mut self,
        code: &'static str,
        spot: Spot<V>,
        path: &Path<'_>,
        expected: String,
        found: String,
        hint: Option<String>,
    ) {
        // The path of one that is only counted would cost more than all that was judged.
        self.findings.push_with(Severity::Error, || Finding {
            severity: Severity::Error,
            code,
            spot,
            path: path.to_string(),
            expected,
            found,
            hint,
        });
    }
}

impl Text {
    /// Is `text` of this kind? The error completes `found ...`.
    ///
    /// # Errors
    /// What is there instead.
    pub fn judge(&self, text: &str) -> Result<(), String> {
        match &self.test {
            Test::By(judge) => judge(text),
            Test::OneOf(texts) if texts.iter().any(|one| one == text) => Ok(()),
            Test::Matches { base, regex } => {
                base.judge(text)?;
                match regex.is_match(text) {
                    true => Ok(()),
                    false => Err(text::quote(text)),
                }
            }
            Test::OneOf(_) => Err(text::quote(text)),
        }
    }

    /// The text of this kind that was probably meant.
    fn near(&self, typed: &str) -> Option<&str> {
        match &self.test {
            Test::OneOf(texts) => near(typed, texts.iter().map(String::as_str)),
            _ => None,
        }
    }
}

impl Record {
    /// The names of its fields, without those that are merely tolerated.
    fn names(&self) -> impl Iterator<Item = &str> {
        let offered = |field: &&super::Field| {
            field.need == Need::Required || !matches!(field.rule, Rule::Anything)
        };
        self.fields.iter().filter(offered).map(|field| &*field.name)
    }
}

/// Are the keys of `value` those of a record that follows `other`, and not of one that follows `rule`? Looks at no member
/// further than its kind.
fn looks_like<V: View>(other: &Rule, rule: &Rule, value: V) -> Result<bool, V::Failure> {
    let (Rule::Record(other), Rule::Record(rule)) = (other, rule) else {
        return Ok(false);
    };
    let Seen::Record(members) = value.look()? else {
        return Ok(false);
    };
    let has = |record: &Record, key: &str| record.fields.iter().any(|field| field.name == key);
    let mut is_any = false;
    for (key, member) in members {
        let key = key.as_ref();
        let is_other = match &other.rest {
            Rest::Refused => has(other, key),
            _ => !has(rule, key) && matches!(member.look()?, Seen::Record(_)),
        };
        if !is_other {
            return Ok(false);
        }
        is_any = true;
    }
    Ok(is_any)
}

fn did_you_mean(name: &str) -> String {
    format!("did you mean {}", text::quote(name))
}

/// What `rule` asks for, in short; completes `expected ...`.
fn describe_rule<V: View>(rule: &Rule) -> String {
    match rule {
        Rule::Anything => "anything".to_owned(),
        Rule::Bool => "`true` or `false`".to_owned(),
        Rule::Exactly(number) => format!("the number {number}"),
        Rule::Text(text) => text.expected.to_string(),
        Rule::List(_) => V::LIST.to_owned(),
        Rule::Nullable(rule) => format!("`null` or {}", describe_rule::<V>(rule)),
        Rule::Either(either) => {
            format!("{} or {} ({})", V::LIST, V::RECORD, either.record.what)
        }
        Rule::Record(record) => format!("{} ({})", V::RECORD, record.what),
    }
}

/// What was seen, in short; completes `found ...`.
pub(super) fn describe<V: View>(seen: &Seen<V>) -> String {
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

impl<V> fmt::Display for Finding<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}, found {}", self.expected, self.found)
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::cell::RefCell;

    use super::super::rule::{Field, Ordered, Ref};
    use super::*;

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
        expected: Cow::Borrowed("a word"),
        test: Test::By(|text| {
            if text.contains(' ') {
                Err(text::quote(text))
            } else {
                Ok(())
            }
        }),
        pattern: None,
    };

    static SHAPE: Record = Record {
        what: Cow::Borrowed("a thing"),
        fields: Cow::Borrowed(&[
            Field::required("colour", Rule::text(&WORD), ""),
            Field::optional("size", Rule::nullable(&Rule::Exactly(1)), ""),
            Field::optional("words", Rule::list(&Rule::Text(Ref::Static(&WORD))), ""),
            Field::optional("extra", Rule::Anything, ""),
            Field::optional("least", Rule::text(&WORD), ""),
            Field::optional("most", Rule::text(&WORD), ""),
        ]),
        rest: Rest::Refused,
        ordered: &[Ordered {
            low: "least",
            high: "most",
            compare: |low, high| Some(low.cmp(high)),
        }],
        law: None,
    };

    static OPEN: Record = Record {
        what: Cow::Borrowed("things"),
        fields: Cow::Borrowed(&[Field::optional("single", Rule::Anything, "")]),
        rest: Rest::Marked {
            key: Ref::Static(&WORD),
            ending: "_kind",
            usual: "a_kind",
            marker: Rule::list(&Rule::Text(Ref::Static(&WORD))),
            present: Rule::text(&WORD),
            absent: Rule::record(&SHAPE),
        },
        ordered: &[],
        law: None,
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
            &Rule::record(record),
            Thunk {
                value,
                forced: &forced,
            },
        ) {
            Ok(findings) => findings
                .into_parts()
                .0
                .iter()
                .map(line)
                .collect::<Vec<_>>()
                .join("\n"),
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
        `color`: expected one of the keys `colour`, `size`, `words`, `least`, `most`, found `color` (did you mean `colour`)
        `zise`: expected one of the keys `colour`, `size`, `words`, `least`, `most`, found `zise`
        `weight`: expected one of the keys `colour`, `size`, `words`, `least`, `most`, found `weight`
        ``: expected the key `colour`, found a set without it
        ");
        insta::assert_snapshot!(found(&SHAPE, &Record(vec![fine(), ("words", Throw)])), @"thrown");
        let thing = || Record(vec![fine()]);
        assert_eq!(
            found(&OPEN, &Record(vec![("a", thing()), ("b", thing())])),
            ""
        );
        assert_eq!(
            found(
                &OPEN,
                &Record(vec![
                    ("a", Text("x")),
                    ("single", Null),
                    ("a_kind", List(vec![Text("b")]))
                ])
            ),
            ""
        );
        insta::assert_snapshot!(found(&OPEN, &Record(vec![("a", thing()), ("b", Text("x"))])), @"`b`: expected a set (a thing), found the string `x`");
        insta::assert_snapshot!(found(&OPEN, &Record(vec![("a", thing()), ("a_kind", List(vec![Null])), ("c d", Text("x"))])), @r#"
        `a`: expected a word, found a set
        `a_kind[0]`: expected a word, found `null`
        `"c d"`: expected as key a word, found `c d`
        "#);
        insta::assert_snapshot!(found(&OPEN, &Record(vec![("singel", Int(3))])), @"`singel`: expected a set (a thing), found the number 3");
    }

    #[test]
    fn only_what_a_rule_names_is_forced() {
        let value = Lazy::Record(vec![("colour", Lazy::Text("red")), ("extra", Lazy::Throw)]);
        let forced = RefCell::new(0);
        assert!(
            judge(
                &Rule::record(&SHAPE),
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
}
