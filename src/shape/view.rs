//! What can be judged: JSON text and Nix values through one trait.

/// A value seen from outside: one word of what it is, and its parts on request.
///
/// **Shape**: a view is a cheap handle (an index, a pointer-sized number), so it is `Copy`; nothing below it
/// is touched until [`View::look`] is called on the part itself. A lazy value is therefore forced exactly
/// where a rule names it. Dispatch is static: the engine is compiled once per kind of view.
pub trait View: Copy {
    /// Text of a string or a key.
    type Text: AsRef<str> + Clone;
    /// The members of a record, each key once or more, in their own order. Cloned to walk them twice.
    type Members: Iterator<Item = (Self::Text, Self)> + Clone;
    /// The items of a list, in order.
    type Items: Iterator<Item = Self>;
    /// Why a value cannot be looked at (a lazy value that throws); [`std::convert::Infallible`] for JSON.
    type Failure;

    /// What this door calls a record, with its article: `an object`, `a set`.
    const RECORD: &'static str;
    /// What this door calls a list, with its article.
    const LIST: &'static str;

    /// What the value is.
    ///
    /// # Errors
    /// Whatever computing the value itself failed with; the engine stops there and hands it on.
    fn look(self) -> Result<Seen<Self>, Self::Failure>;
}

/// What [`View::look`] saw.
pub enum Seen<V: View> {
    /// No value.
    Null,
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A number that is no integer.
    Float(f64),
    /// A string.
    Text(V::Text),
    /// A list.
    List(V::Items),
    /// A record: keys with values.
    Record(V::Members),
    /// Something JSON does not have, named with its article: `a function`, `a path`.
    Other(&'static str),
}
