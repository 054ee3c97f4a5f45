//! JSON text as a flat tape: parsed once by serde_json, walked without allocation.
//!
//! A tape reproduces what `builtins.fromJSON` makes of the same text. Where Nix would lose something it is refused:
//! doubled keys, NUL characters in strings (C strings end there) and integers that 64 bits hold only without a sign. So
//! are a byte order mark, which Nix skips, and nesting that could exhaust the stack.

use std::borrow::Cow;

use super::{parse, syntax};
use crate::error::{Diagnostic, Error};
use crate::shape::{Findings, More, Rule, Seen, Step, View};

/// One token of a tape, in the order of the text. A container is followed by its parts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Token<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A number with a fraction or an exponent, or an integer beyond 64 bits.
    Float(f64),
    /// A string, escapes resolved, without NUL.
    String(&'a str),
    /// A list; this many values follow.
    List(u32),
    /// A set; this many pairs of [`Token::Key`] and value follow, in the order of the text.
    Attrs(u32),
    /// The name of a member, as an index into the tape's keys ([`Tape::keys`]); equal keys have equal numbers.
    Key(u32),
}

/// What the tape stores: as [`Token`], containers knowing where they end, strings with escapes kept aside.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cell<'t> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'t str),
    /// An index into `Tape::unescaped`.
    Unescaped(u32),
    List {
        count: u32,
        end: u32,
    },
    Attrs {
        count: u32,
        end: u32,
    },
    Key(u32),
}

/// A JSON text, parsed.
///
/// **Shape**: one token per value and key; strings and keys are borrowed from the text unless they hold escapes. Keys are
/// stored once each and numbered from 0 in order of first use.
pub struct Tape<'t> {
    pub(super) text: &'t str,
    pub(super) cells: Vec<Cell<'t>>,
    pub(super) unescaped: Vec<String>,
    pub(super) keys: Vec<Cow<'t, str>>,
    pub(super) notes: Vec<Note>,
}

/// Something a parsed text must not hold, whatever its shape.
#[derive(Debug)]
pub(super) struct Note {
    /// The cell it is about.
    pub(super) cell: u32,
    pub(super) what: NoteKind,
}

/// The kinds of [`Note`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoteKind {
    /// The key was there before, at the cell `first`.
    DoubledKey { first: u32 },
    /// A string or key holds NUL.
    Nul,
    /// An integer above `i64::MAX` that 64 bits hold; Nix would make it negative.
    TooLarge(u64),
}

impl<'t> Tape<'t> {
    /// Parses `text`; `file` is its name in messages.
    ///
    /// The tape may still hold what [`Tape::judge`] refuses in any text, doubled keys for instance.
    ///
    /// # Errors
    /// Rejected: bytes that are not UTF-8, text that is not one JSON value, more than 127 levels of nesting, a text of
    /// more than [`super::MOST_BYTES`]. Each with file, line and column.
    pub fn parse(text: &'t [u8], file: &str) -> Result<Tape<'t>, Error> {
        Tape::try_parse(text, file).map_err(|diagnostic| Error::from(*diagnostic))
    }

    /// [`Tape::parse`], the refusal in its parts.
    pub(super) fn try_parse(text: &'t [u8], file: &str) -> Result<Tape<'t>, Box<Diagnostic>> {
        let text = syntax::utf8(text, file)?;
        parse::parse(text).map_err(|error| syntax::refusal(text, file, &error))
    }

    /// The tokens, in the order of the text.
    pub fn tokens(&self) -> impl ExactSizeIterator<Item = Token<'_>> {
        self.cells.iter().map(|cell| self.token(*cell))
    }

    /// The keys; [`Token::Key`] is an index into them.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &str> {
        self.keys.iter().map(|key| &**key)
    }

    /// The outermost value.
    pub fn root(&self) -> Node<'_, 't> {
        Node {
            tape: self,
            cell: 0,
        }
    }

    /// Judges the whole text by `rule`; `file` is its name in messages.
    ///
    /// # Errors
    /// Rejected: all problems, sorted by place; doubled keys and what else Nix would lose are among them.
    pub fn judge(&self, file: &str, rule: &Rule) -> Result<(), Error> {
        let Ok(findings) = super::errors(rule, self.root());
        self.report(file, findings)
    }

    /// `findings` and what the text must not hold in any case as one error, sorted by place, if there are any.
    ///
    /// # Errors
    /// Rejected: as described.
    pub(crate) fn report(&self, file: &str, findings: Findings<Node<'_, 't>>) -> Result<(), Error> {
        if findings.is_empty() && self.notes.is_empty() {
            return Ok(());
        }
        let (diagnostics, more) = self.diagnose(file, findings);
        match Error::from_problems(diagnostics) {
            Some(error) => Err(error.and_more(more.errors)),
            None => Ok(()),
        }
    }

    /// `findings` and what the text must not hold in any case, sorted by place; and how many there are besides.
    pub(super) fn diagnose(
        &self,
        file: &str,
        findings: Findings<Node<'_, 't>>,
    ) -> (Vec<Diagnostic>, More) {
        syntax::diagnose(self, file, findings)
    }

    /// The number of the key `name`, if it occurs.
    pub(super) fn key_number(&self, name: &str) -> Option<u32> {
        self.keys
            .iter()
            .position(|key| key == name)
            .and_then(|number| u32::try_from(number).ok())
    }

    /// The paths from the root to the cells `targets` (ascending), outermost step first; `shown` makes of each what is
    /// returned.
    ///
    /// One pass for all, up to the last of them.
    pub(super) fn paths_to<T>(
        &self,
        targets: impl IntoIterator<Item = u32>,
        shown: impl Fn(&[Step<'_>]) -> T,
    ) -> Vec<T> {
        let mut out = Vec::new();
        let mut targets = targets.into_iter().peekable();
        // The containers around the cell, outermost first: where each ends. `steps` has the way from each to its part.
        let mut open: Vec<u32> = Vec::new();
        let mut steps: Vec<Step<'_>> = Vec::new();
        for (at, cell) in (0_u32..).zip(&self.cells) {
            if targets.peek().is_none() {
                break;
            }
            while open.pop_if(|end| *end <= at).is_some() {
                steps.pop();
            }
            match (cell, steps.last_mut()) {
                (Cell::Key(key), Some(step)) => *step = Step::Key(self.key(*key)),
                (_, Some(Step::Item(number))) => *number = number.wrapping_add(1),
                // A member's value has the path of its key.
                _ => {}
            }
            while targets.next_if_eq(&at).is_some() {
                out.push(shown(&steps));
            }
            match cell {
                Cell::Attrs { end, .. } => {
                    open.push(*end);
                    steps.push(Step::Root);
                }
                Cell::List { end, .. } => {
                    open.push(*end);
                    // Its first item, which comes next, makes it 0.
                    steps.push(Step::Item(usize::MAX));
                }
                _ => {}
            }
        }
        out
    }

    fn key(&self, number: u32) -> &str {
        self.keys.get(index(number)).map_or("", |key| &**key)
    }

    fn token(&self, cell: Cell<'t>) -> Token<'_> {
        match cell {
            Cell::Null => Token::Null,
            Cell::Bool(value) => Token::Bool(value),
            Cell::Int(value) => Token::Int(value),
            Cell::Float(value) => Token::Float(value),
            Cell::Text(text) => Token::String(text),
            Cell::Unescaped(number) => {
                Token::String(self.unescaped.get(index(number)).map_or("", String::as_str))
            }
            Cell::List { count, .. } => Token::List(count),
            Cell::Attrs { count, .. } => Token::Attrs(count),
            Cell::Key(number) => Token::Key(number),
        }
    }

    /// The cell after the value at `cell` and all its parts.
    fn end_of(&self, cell: u32) -> u32 {
        match self.cells.get(index(cell)) {
            Some(Cell::List { end, .. } | Cell::Attrs { end, .. }) => *end,
            _ => cell.saturating_add(1),
        }
    }
}

/// Cell numbers are below 2^32 because texts are far shorter; this crate needs 32-bit addresses at least.
pub(super) fn index(cell: u32) -> usize {
    usize::try_from(cell).unwrap_or(usize::MAX)
}

/// A value of a tape.
#[derive(Clone, Copy)]
pub struct Node<'a, 't> {
    tape: &'a Tape<'t>,
    cell: u32,
}

impl Node<'_, '_> {
    /// The number of the value's token, from 0.
    pub(super) fn cell(self) -> u32 {
        self.cell
    }
}

/// What a value that was judged already is read with: `None` is another kind of value.
impl<'a, 't> Node<'a, 't> {
    /// The value itself; a tape is always at hand, so nothing can go wrong.
    pub(crate) fn seen(self) -> Seen<Node<'a, 't>> {
        let Ok(seen) = self.look();
        seen
    }

    /// The members of an object, in the order of the text.
    pub(crate) fn members(self) -> Option<Members<'a, 't>> {
        match self.seen() {
            Seen::Record(members) => Some(members),
            _ => None,
        }
    }

    /// A string, borrowed from the tape.
    pub(crate) fn text(self) -> Option<&'a str> {
        match self.seen() {
            Seen::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The strings of a list.
    pub(crate) fn texts(self) -> Option<Vec<String>> {
        match self.seen() {
            Seen::List(mut items) => items.try_fold(Vec::new(), |mut texts, item| {
                texts.push(item.text()?.to_owned());
                Some(texts)
            }),
            _ => None,
        }
    }
}

impl<'a, 't> View for Node<'a, 't> {
    type Text = &'a str;
    type Members = Members<'a, 't>;
    type Items = Items<'a, 't>;
    type Failure = std::convert::Infallible;

    const RECORD: &'static str = "an object";
    const LIST: &'static str = "a list";

    fn look(self) -> Result<Seen<Self>, std::convert::Infallible> {
        let first = self.cell.saturating_add(1);
        Ok(match self.tape.cells.get(index(self.cell)) {
            Some(Cell::List { end, .. }) => Seen::List(Items {
                tape: self.tape,
                at: first,
                end: *end,
            }),
            Some(Cell::Attrs { end, .. }) => Seen::Record(Members {
                tape: self.tape,
                at: first,
                end: *end,
            }),
            Some(cell) => match self.tape.token(*cell) {
                Token::String(text) => Seen::Text(text),
                Token::Bool(value) => Seen::Bool(value),
                Token::Int(value) => Seen::Int(value),
                Token::Float(value) => Seen::Float(value),
                Token::Null | Token::List(_) | Token::Attrs(_) | Token::Key(_) => Seen::Null,
            },
            None => Seen::Null,
        })
    }
}

/// The members of an object, in the order of the text.
#[derive(Clone)]
pub struct Members<'a, 't> {
    tape: &'a Tape<'t>,
    at: u32,
    end: u32,
}

impl<'a, 't> Iterator for Members<'a, 't> {
    type Item = (&'a str, Node<'a, 't>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.end {
            return None;
        }
        let Some(Cell::Key(key)) = self.tape.cells.get(index(self.at)) else {
            return None;
        };
        let cell = self.at.saturating_add(1);
        self.at = self.tape.end_of(cell);
        Some((
            self.tape.key(*key),
            Node {
                tape: self.tape,
                cell,
            },
        ))
    }
}

/// The items of a list, in order.
#[derive(Clone)]
pub struct Items<'a, 't> {
    tape: &'a Tape<'t>,
    at: u32,
    end: u32,
}

impl<'a, 't> Iterator for Items<'a, 't> {
    type Item = Node<'a, 't>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.end {
            return None;
        }
        let cell = self.at;
        self.at = self.tape.end_of(cell);
        Some(Node {
            tape: self.tape,
            cell,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::Path;
    use proptest::prelude::*;
    use serde_json::Value;

    /// The value of a tape, rebuilt from its tokens alone, as who walks them does.
    fn rebuilt<'a>(tape: &Tape<'_>, tokens: &mut impl Iterator<Item = Token<'a>>) -> Value {
        match tokens.next().unwrap() {
            Token::Null => Value::Null,
            Token::Bool(value) => value.into(),
            Token::Int(value) => value.into(),
            Token::Float(value) => value.into(),
            Token::String(text) => text.into(),
            Token::List(count) => (0..count).map(|_| rebuilt(tape, tokens)).collect(),
            Token::Attrs(count) => {
                let mut member = || {
                    let Some(Token::Key(number)) = tokens.next() else {
                        panic!("a key")
                    };
                    let key = tape.keys().nth(number as usize).unwrap().to_owned();
                    (key, rebuilt(tape, tokens))
                };
                Value::Object((0..count).map(|_| member()).collect())
            }
            Token::Key(_) => panic!("a key in place of a value"),
        }
    }

    /// The value of a tape, walked through [`View`].
    fn viewed(node: Node<'_, '_>) -> Value {
        let Ok(seen) = node.look();
        match seen {
            Seen::Null => Value::Null,
            Seen::Bool(value) => value.into(),
            Seen::Int(value) => value.into(),
            Seen::Float(value) => value.into(),
            Seen::Text(text) => text.into(),
            Seen::List(items) => items.map(viewed).collect(),
            Seen::Record(members) => Value::Object(
                members
                    .map(|(key, value)| (key.to_owned(), viewed(value)))
                    .collect(),
            ),
            Seen::Other(_) => panic!("nothing else is in JSON"),
        }
    }

    /// The paths of all values and keys, in the order of the text.
    fn walked(node: Node<'_, '_>, path: &Path<'_>, out: &mut Vec<String>) {
        out.push(path.to_string());
        let Ok(seen) = node.look();
        match seen {
            Seen::List(items) => items
                .enumerate()
                .for_each(|(number, item)| walked(item, &path.item(number), out)),
            Seen::Record(members) => members.for_each(|(key, value)| {
                out.push(path.key(key).to_string());
                walked(value, &path.key(key), out);
            }),
            _ => {}
        }
    }

    fn same(text: &str) {
        let tape = Tape::parse(text.as_bytes(), "x.json").unwrap();
        let value: Value = serde_json::from_str(text).unwrap();
        let mut tokens = tape.tokens();
        assert_eq!(rebuilt(&tape, &mut tokens), value, "{text}");
        assert!(tokens.next().is_none(), "{text}");
        assert_eq!(viewed(tape.root()), value, "{text}");
        let mut expected = Vec::new();
        walked(tape.root(), &Path::ROOT, &mut expected);
        let every = 0..tape.cells.len() as u32;
        let paths = tape.paths_to(every, |steps| syntax::chain(steps, &Path::ROOT));
        assert_eq!(paths, expected, "{text}");
        tape.judge("x.json", &Rule::Anything).unwrap();
        // The slow path counts tokens as the tape does.
        let every: Vec<u32> = (0..tape.cells.len() as u32).collect();
        let offsets = syntax::offsets(text, &every);
        assert_eq!(offsets.len(), every.len(), "{text}");
        for (offset, token) in offsets.into_iter().zip(tape.tokens()) {
            let byte = text.as_bytes()[offset];
            let fits = match token {
                Token::Attrs(_) => byte == b'{',
                Token::List(_) => byte == b'[',
                Token::Key(_) | Token::String(_) => byte == b'"',
                Token::Null => byte == b'n',
                Token::Bool(_) => matches!(byte, b't' | b'f'),
                Token::Int(_) | Token::Float(_) => byte == b'-' || byte.is_ascii_digit(),
            };
            assert!(fits, "{text}: {token:?} at {offset}");
        }
    }

    #[test]
    fn a_tape_holds_what_the_text_says() {
        for text in [
            "null",
            " [ ] ",
            "{}",
            "[[],[[]],{}]",
            r#"{"a":{"a":{"a":1}},"b":[{"a":2},{"b":3}]}"#,
            r#"{"a\"b\\":"\"\\\u00e4\ud83d\ude00","":""}"#,
            "[1,-1,0,1.5,1e3,-1e-3,9223372036854775807,-9223372036854775808,-9223372036854775809,18446744073709551616]",
            "[true,false,null]\r\n\t",
            r#"[{"a":1,"b":2},{"b":1,"a":2},{"c":3,"a":1,"b":2}]"#,
        ] {
            same(text);
        }
    }

    #[test]
    fn numbers_are_those_of_nix() {
        let tokens = |text: &str| {
            let tape = Tape::parse(text.as_bytes(), "x.json").unwrap();
            tape.judge("x.json", &Rule::Anything).unwrap();
            tape.tokens()
                .skip(1)
                .map(|token| format!("{token:?}"))
                .collect::<Vec<_>>()
                .join(" ")
        };
        // serde_json has -0 as a float; nlohmann's parser, and so Nix, as an integer.
        assert_eq!(
            tokens(r#"["-0",-0,-0.0,-0e1,-10e-400,-1e-999,-0]"#),
            r#"String("-0") Int(0) Float(-0.0) Float(-0.0) Float(-0.0) Float(-0.0) Int(0)"#
        );
        assert_eq!(
            tokens("[1,1.0,9223372036854775807]"),
            "Int(1) Float(1.0) Int(9223372036854775807)"
        );
        // Exactly rounded: strtod's result, not one next to it.
        for text in [
            "2.2250738585072011e-308",
            "0.1",
            "1.7976931348623157e308",
            "123456789.123456789e-30",
            "9007199254740993.0",
        ] {
            assert_eq!(
                tokens(&format!("[{text}]")),
                format!("Float({:?})", text.parse::<f64>().unwrap())
            );
        }
    }

    #[test]
    fn strings_without_escapes_are_borrowed() {
        let text = r#"{"key":"value","esc\u0061pe":"\n"}"#;
        let tape = Tape::parse(text.as_bytes(), "x.json").unwrap();
        let inside = |part: &str| text.as_bytes().as_ptr_range().contains(&part.as_ptr());
        let strings: Vec<_> = tape
            .keys()
            .chain(tape.tokens().filter_map(|token| match token {
                Token::String(text) => Some(text),
                _ => None,
            }))
            .collect();
        assert_eq!(strings, ["key", "escape", "value", "\n"]);
        assert_eq!(
            strings.into_iter().map(inside).collect::<Vec<_>>(),
            [true, false, true, false]
        );
    }

    fn refusal(text: impl AsRef<[u8]>) -> String {
        let refuse = || Tape::parse(text.as_ref(), "x.json")?.judge("x.json", &Rule::Anything);
        let error = refuse().unwrap_err();
        assert!(error.is_rejected());
        error.render()
    }

    #[test]
    fn what_nix_would_lose_is_refused() {
        insta::assert_snapshot!(refusal("{\"a\": 1,\n \"b\": {\"a\": 1, \"a\": 2, \"a\": 3}}"), @r"
        x.json:2:16: `b.a`: expected each key once, found it a second time, first at 2:8
        x.json:2:24: `b.a`: expected each key once, found it a second time, first at 2:8
        ");
        insta::assert_snapshot!(refusal(r#"[{"x y": {"a": {"a": 0}, "a": 2}}]"#), @r#"x.json:1:26: `[0]."x y".a`: expected each key once, found it a second time, first at 1:11"#);
        insta::assert_snapshot!(refusal(r#"{"a": 1, "\u0061": 2}"#), @"x.json:1:10: `a`: expected each key once, found it a second time, first at 1:2");
        insta::assert_snapshot!(refusal(r#"["\u0000", {"a\u0000": "\u0000"}]"#), @r#"
        x.json:1:2: `[0]`: expected text without NUL characters, which Nix cannot hold, found one
        x.json:1:13: `[1]."a\u{0}"`: expected text without NUL characters, which Nix cannot hold, found one
        x.json:1:24: `[1]."a\u{0}"`: expected text without NUL characters, which Nix cannot hold, found one
        "#);
        insta::assert_snapshot!(refusal("[0, 9223372036854775808]"), @"x.json:1:5: `[1]`: expected an integer of at most 9223372036854775807, found the number 9223372036854775808");
        // One pass for all places: one pass for each took minutes.
        let flood = format!("[{}\"\\u0000\"]", "\"\\u0000\",".repeat(299_999));
        assert!(refusal(flood).ends_with("`[19]`: expected text without NUL characters, which Nix cannot hold, found one\nand 299980 more"));
        // Large objects are searched by sorting.
        let many: Vec<_> = (0..100).map(|n| format!("\"k{}\": {n}", n % 99)).collect();
        insta::assert_snapshot!(refusal(format!("{{{}}}", many.join(", "))), @"x.json:1:1071: `k0`: expected each key once, found it a second time, first at 1:2");
    }

    #[test]
    fn what_is_no_json_is_refused_with_its_place() {
        insta::assert_snapshot!(refusal(""), @"x.json:1:1: expected a JSON value, found the end of the text");
        insta::assert_snapshot!(refusal("  \n"), @"x.json:2:1: expected a JSON value, found the end of the text");
        insta::assert_snapshot!(refusal("{\"a\": 1,\n}"), @"x.json:2:1: expected another value after the comma, found `}`");
        insta::assert_snapshot!(refusal("{\"a\" 1}"), @"x.json:1:6: expected `:`, found `1`");
        insta::assert_snapshot!(refusal("{\"a\": [1 2]}"), @"x.json:1:10: expected `,` or `]`, found `2`");
        insta::assert_snapshot!(refusal("{\"a\": 1 \"b\": 2}"), @r#"x.json:1:9: expected `,` or `}`, found `"`"#);
        insta::assert_snapshot!(refusal("{a: 1}"), @"x.json:1:2: expected a key in double quotes, found `a`");
        insta::assert_snapshot!(refusal("{\"ä\": nul}"), @"x.json:1:10: expected `true`, `false` or `null`, found `}`");
        insta::assert_snapshot!(refusal("[1,\n2"), @r"
        x.json:2:2: expected `,` or `]`, found the end of the text
        hint: the text ends too early; was the download cut short?
        ");
        insta::assert_snapshot!(refusal("[\"abc"), @r#"
        x.json:1:6: expected `"`, found the end of the text
        hint: the text ends too early; was the download cut short?
        "#);
        insta::assert_snapshot!(refusal("[\"a\nb\"]"), @r"x.json:1:4: expected control characters in strings as escapes, found `\n`");
        insta::assert_snapshot!(refusal("[\"\\x\"]"), @r#"x.json:1:4: expected one of the escapes `\" \\ \/ \b \f \n \r \t \u`, found `x`"#);
        insta::assert_snapshot!(refusal("[\"\\ud800\"]"), @r#"x.json:1:9: expected a low surrogate escape after the high one, found `"`"#);
        insta::assert_snapshot!(refusal("[01]"), @"x.json:1:3: expected a number as JSON writes it (no leading zero or plus, digits around the point), found `1`");
        insta::assert_snapshot!(refusal("[1e999]"), @"x.json:1:6: expected a number that a 64-bit float can hold, found `9`");
        insta::assert_snapshot!(refusal("[1,]"), @"x.json:1:4: expected another value after the comma, found `]`");
        insta::assert_snapshot!(refusal("{}\n{}"), @"x.json:2:1: expected the end of the text, found `{`");
        insta::assert_snapshot!(refusal("\u{feff}{}"), @r"
        x.json:1:1: expected a JSON value, found `\u{feff}`
        hint: the text starts with a byte order mark; remove it
        ");
        insta::assert_snapshot!(refusal("<!DOCTYPE html>"), @r"
        x.json:1:1: expected a JSON value, found `<`
        hint: this looks like a web page; look at the address it was fetched from
        ");
        insta::assert_snapshot!(refusal(b"{\"a\":\n \"\xff\"}"), @"x.json:2:3: expected UTF-8 text, found the byte 0xff");
        insta::assert_snapshot!(refusal("[".repeat(1_000_000)), @"x.json:1:128: expected at most 127 levels of nesting, found more");
    }

    #[test]
    fn nesting_is_bounded_where_the_message_says() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        same(&nested(127));
        assert!(Tape::parse(nested(128).as_bytes(), "x.json").is_err());
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let text = || "[a-c]{0,2}|\\PC{0,6}";
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>()
                .prop_filter("JSON has no NaN", |x| x.is_finite())
                .prop_map(Value::from),
            text().prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 64, 8, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                prop::collection::vec((text(), inner), 0..40)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]

        #[test]
        fn tapes_of_random_json_equal_serde_json(value in any_json(), pretty: bool) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            same(&text.unwrap());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(prop_oneof![
            prop::sample::select(&b"{}[]\",:\\ \nu0129.e-truefalsn"[..]), any::<u8>(),
        ], 0..60)) {
            let ours = Tape::parse(&bytes, "x.json");
            let theirs = serde_json::from_slice::<Value>(&bytes);
            // Alone serde_json would take bytes that are not UTF-8 outside of strings for a syntax error, as we do.
            prop_assert_eq!(ours.is_ok(), theirs.is_ok());
            if let Err(error) = ours { prop_assert!(error.render().starts_with("x.json:")); }
        }
    }
}
