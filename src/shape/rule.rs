//! Shapes as tables: plain data, written down in Rust or read at run time ([`super::Expression`]).

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Deref;
use std::sync::Arc;

use regex_lite::Regex;

/// What a value must be.
#[derive(Clone, Debug)]
pub enum Rule {
    /// Whatever it is; it is not looked at. A field with this rule that may be absent is tolerated, messages do not offer it.
    Anything,
    /// `true` or `false`.
    Bool,
    /// Exactly this integer.
    Exactly(i64),
    /// A string that passes.
    Text(Ref<Text>),
    /// A list whose items follow the rule.
    List(Ref<Rule>),
    /// `null`, or what the rule says.
    Nullable(Ref<Rule>),
    /// A list that follows one rule, or a record that follows another.
    Either(Ref<Either>),
    /// A record.
    Record(Ref<Record>),
}

/// A part of a table: a `static`, or made at run time.
#[derive(Debug)]
pub enum Ref<T: 'static> {
    /// Written down in Rust.
    Static(&'static T),
    /// Made at run time.
    Shared(Arc<T>),
}

impl<T> Clone for Ref<T> {
    fn clone(&self) -> Ref<T> {
        match self {
            Ref::Static(part) => Ref::Static(part),
            Ref::Shared(part) => Ref::Shared(Arc::clone(part)),
        }
    }
}

impl<T> Deref for Ref<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            Ref::Static(part) => part,
            Ref::Shared(part) => part,
        }
    }
}

impl<T> From<T> for Ref<T> {
    fn from(part: T) -> Ref<T> {
        Ref::Shared(Arc::new(part))
    }
}

impl Rule {
    /// A string of this kind.
    pub const fn text(text: &'static Text) -> Rule {
        Rule::Text(Ref::Static(text))
    }

    /// A list of these.
    pub const fn list(item: &'static Rule) -> Rule {
        Rule::List(Ref::Static(item))
    }

    /// `null` or this.
    pub const fn nullable(rule: &'static Rule) -> Rule {
        Rule::Nullable(Ref::Static(rule))
    }

    /// A list or a record.
    pub const fn either(either: &'static Either) -> Rule {
        Rule::Either(Ref::Static(either))
    }

    /// A record of this kind.
    pub const fn record(record: &'static Record) -> Rule {
        Rule::Record(Ref::Static(record))
    }
}

/// A kind of string.
#[derive(Debug)]
pub struct Text {
    /// Completes `expected ...`.
    pub expected: Cow<'static, str>,
    /// Which strings it is.
    pub test: Test,
    /// The same as an anchored regular expression (ECMA 262), as far as one can say it: for JSON Schema.
    pub pattern: Option<Cow<'static, str>>,
}

/// Which strings a [`Text`] is.
#[derive(Debug)]
pub enum Test {
    /// Those the function takes; its error completes `found ...`.
    By(fn(&str) -> Result<(), String>),
    /// These.
    OneOf(Vec<String>),
    /// Those of another kind that the regular expression matches as a whole.
    Matches {
        /// The other kind.
        base: Ref<Text>,
        /// Anchored at both ends.
        regex: Regex,
    },
}

/// The two rules of [`Rule::Either`].
#[derive(Debug)]
pub struct Either {
    /// Each item of a list.
    pub item: Rule,
    /// A record.
    pub record: Ref<Record>,
}

/// A kind of record.
#[derive(Debug)]
pub struct Record {
    /// What it is, with its article: `a release`.
    pub what: Cow<'static, str>,
    /// The members that have a name. At most 64.
    pub fields: Cow<'static, [Field]>,
    /// All other members.
    pub rest: Rest,
    /// Pairs of fields that have an order.
    pub ordered: &'static [Ordered],
    /// The name of what must hold beyond all this ([`super::judge_with`]); what extends the record keeps it.
    pub law: Option<&'static str>,
}

impl Record {
    /// What the value of the member `key` must be; `None` where there may be none. `is_marked` as [`Record::is_marked`] says.
    pub fn rule_of(&self, key: &str, is_marked: bool) -> Option<&Rule> {
        if let Some(field) = self.fields.iter().find(|field| field.name == key) {
            return Some(&field.rule);
        }
        match &self.rest {
            Rest::Refused => None,
            Rest::Each { rule, .. } => Some(rule),
            Rest::Marked { ending, marker, .. } if key.ends_with(ending) => Some(marker),
            Rest::Marked { present, .. } if is_marked => Some(present),
            Rest::Marked { absent, .. } => Some(absent),
        }
    }

    /// Is `key` that of a marker ([`Rest::Marked`])?
    pub fn is_marker(&self, key: &str) -> bool {
        matches!(&self.rest, Rest::Marked { ending, .. } if key.ends_with(ending))
            && self.fields.iter().all(|field| field.name != key)
    }

    /// Is a marker among `keys`?
    pub fn is_marked<K: AsRef<str>>(&self, mut keys: impl Iterator<Item = K>) -> bool {
        matches!(self.rest, Rest::Marked { .. }) && keys.any(|key| self.is_marker(key.as_ref()))
    }
}

/// How many fields a [`Record`] may have: one bit each.
pub(super) const MOST_FIELDS: usize = 64;

/// A member with a name.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its key.
    pub name: Cow<'static, str>,
    /// Must it be there?
    pub need: Need,
    /// What its value must be.
    pub rule: Rule,
    /// What it means, in a sentence without a period.
    pub doc: Cow<'static, str>,
}

impl Field {
    /// A member that must be there.
    pub const fn required(name: &'static str, rule: Rule, doc: &'static str) -> Field {
        Field {
            name: Cow::Borrowed(name),
            need: Need::Required,
            rule,
            doc: Cow::Borrowed(doc),
        }
    }

    /// A member that may be absent.
    pub const fn optional(name: &'static str, rule: Rule, doc: &'static str) -> Field {
        Field {
            name: Cow::Borrowed(name),
            need: Need::Optional,
            rule,
            doc: Cow::Borrowed(doc),
        }
    }
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
#[derive(Clone, Debug)]
pub enum Rest {
    /// There may be none.
    Refused,
    /// Each key is such a text, each value follows the rule.
    Each {
        /// What the key must be.
        key: Ref<Text>,
        /// What the value must be.
        rule: Rule,
    },
    /// As `Each`, the rule depending on whether the record has a marker: a member whose key has a certain ending.
    Marked {
        /// What the key must be.
        key: Ref<Text>,
        /// The ending of a marker's key: `_variant`.
        ending: &'static str,
        /// The usual key of a marker, for hints: `cuda_variant`.
        usual: &'static str,
        /// What a marker's value must be.
        marker: Rule,
        /// What other values must be if there is a marker.
        present: Rule,
        /// What they must be if there is none.
        absent: Rule,
    },
}

/// Two text fields of which the first must not be greater than the second.
#[derive(Clone, Copy, Debug)]
pub struct Ordered {
    /// The field that must not be greater.
    pub low: &'static str,
    /// The other field.
    pub high: &'static str,
    /// How such texts are ordered; `None` when one of them is no such text, which is found elsewhere.
    pub compare: fn(&str, &str) -> Option<Ordering>,
}
