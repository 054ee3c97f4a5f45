//! The one error type of the crate, and its one renderer.
//!
//! Every module keeps its own error enum private and implements [`Problem`] for it; what leaves a
//! module is the opaque [`Error`]. Callers ask questions ([`Error::place`], [`Error::hint`],
//! [`Error::is_rejected`]) instead of matching variants.

use std::fmt::{self, Write as _};

use crate::text::{self, Position};

/// How many problems the renderer shows before it only counts the rest.
pub const SHOWN_PROBLEMS: usize = 20;

/// Whose fault a problem is; decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The content was judged and is not acceptable: exit code 1.
    Rejected,
    /// The command line makes no sense: exit code 2.
    Usage,
    /// Input could not be read, output not be written, or the fault is ours: exit code 3.
    Fault,
}

impl Kind {
    /// The process exit code of this kind of problem.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::Rejected => 1,
            Kind::Usage => 2,
            Kind::Fault => 3,
        }
    }
}

/// How grave a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Odd, but nothing breaks.
    Warning,
    /// Not acceptable.
    Error,
}

impl Severity {
    /// `warning` or `error`.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// One thing that is wrong with a text or a value, in its parts: what machines read, and the [`Problem`] that people do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How grave it is.
    pub severity: Severity,
    /// Which kind of problem it is; stable: `missing-key`, `value`.
    pub code: &'static str,
    /// The file, safe to show; empty for a value that is in none.
    pub file: String,
    /// Where in the file; `None` when that is not known or it is about the whole file.
    pub position: Option<Position>,
    /// The attribute path; empty for the whole value, or text that is no value.
    pub path: String,
    /// Completes `expected ...`.
    pub expected: String,
    /// Completes `found ...`.
    pub found: String,
    /// What to try, in one sentence without a period.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// What is wrong, however grave: `expected X, found Y`.
    pub fn sentence(&self) -> String {
        format!("expected {}, found {}", self.expected, self.found)
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.severity {
            Severity::Error => {}
            Severity::Warning => f.write_str("warning: ")?,
        }
        f.write_str(&self.sentence())
    }
}

impl std::error::Error for Diagnostic {}

impl Problem for Diagnostic {
    fn place(&self) -> Option<String> {
        let mut place = self.file.clone();
        if let Some(position) = self.position {
            let _ = write!(place, ":{position}");
        }
        if !self.path.is_empty() {
            let between = if place.is_empty() { "" } else { ": " };
            let _ = write!(place, "{between}`{}`", self.path);
        }
        (!place.is_empty()).then_some(place)
    }

    fn hint(&self) -> Option<String> {
        self.hint.clone()
    }
}

/// One thing that is wrong.
///
/// The `Display` text follows the grammar `expected X, found Y` or `cannot DO: cause`: lowercase,
/// no final period, literals in backticks, and neither the place nor the text of `source()`
/// repeated in it; the renderer adds both.
pub trait Problem: std::error::Error + Send + Sync + 'static {
    /// Whose fault it is.
    fn kind(&self) -> Kind {
        Kind::Rejected
    }

    /// Where it is: a file (with `:line:column` if it is text), then an attribute path, an entry
    /// number and name, or an ELF table. Outside text in it is already quoted.
    fn place(&self) -> Option<String> {
        None
    }

    /// What to try, in one sentence without a period.
    fn hint(&self) -> Option<String> {
        None
    }
}

/// What went wrong: one or more [`Problem`]s, sorted by place.
pub struct Error {
    first: Box<dyn Problem>,
    rest: Vec<Box<dyn Problem>>,
    /// How many more there are that nobody kept.
    more: usize,
}

impl Error {
    /// All problems of one input, in the order given; `None` when there are none.
    pub fn from_problems<P: Problem>(problems: impl IntoIterator<Item = P>) -> Option<Error> {
        let mut problems = problems
            .into_iter()
            .map(|problem| Box::new(problem) as Box<dyn Problem>);
        let first = problems.next()?;
        Some(Error {
            first,
            rest: problems.collect(),
            more: 0,
        })
    }

    /// The problems of several errors as those of one; `None` when there are none.
    pub fn all(errors: impl IntoIterator<Item = Error>) -> Option<Error> {
        errors.into_iter().reduce(|mut all, error| {
            all.rest.push(error.first);
            all.rest.extend(error.rest);
            all.more += error.more;
            all
        })
    }

    /// The same with each place as `rename` tells it: of files that are not where anybody can look.
    pub fn with_places(self, rename: impl Fn(&str) -> String) -> Error {
        let renamed = |problem: Box<dyn Problem>| -> Box<dyn Problem> {
            let place = problem.place().map(|place| rename(&place));
            Box::new(Elsewhere { problem, place })
        };
        Error {
            first: renamed(self.first),
            rest: self.rest.into_iter().map(renamed).collect(),
            more: self.more,
        }
    }

    /// The same with `more` further problems that are only counted.
    pub fn and_more(mut self, more: usize) -> Error {
        self.more = more;
        self
    }

    /// The problems, first one first; never empty.
    pub fn problems(&self) -> impl Iterator<Item = &dyn Problem> {
        std::iter::once(&self.first)
            .chain(&self.rest)
            .map(|problem| &**problem)
    }

    /// Where the first problem is; `None` when it has no place of its own (usage).
    pub fn place(&self) -> Option<String> {
        self.first.place()
    }

    /// What to try about the first problem that has a hint.
    pub fn hint(&self) -> Option<String> {
        self.problems().find_map(Problem::hint)
    }

    /// The gravest kind among the problems.
    pub fn kind(&self) -> Kind {
        self.problems()
            .map(Problem::kind)
            .max()
            .unwrap_or(Kind::Fault)
    }

    /// Does one of the problems come of a `T`, also of one inside an [`std::io::Error`]?
    pub fn comes_of<T: std::error::Error + 'static>(&self) -> bool {
        self.problems().any(|problem| {
            let mut cause = problem.source();
            while let Some(error) = cause {
                // What was put into an I/O error is not among its sources.
                let inside = error
                    .downcast_ref::<std::io::Error>()
                    .and_then(std::io::Error::get_ref);
                if error.is::<T>() || inside.is_some_and(|inside| inside.is::<T>()) {
                    return true;
                }
                cause = error.source();
            }
            false
        })
    }

    /// Was the content judged and refused (as opposed to unreadable)?
    pub fn is_rejected(&self) -> bool {
        self.kind() == Kind::Rejected
    }

    /// The whole message: one paragraph per problem, at most [`SHOWN_PROBLEMS`], then a count of the rest.
    /// Ends without a line break.
    pub fn render(&self) -> String {
        let mut out = String::new();
        for problem in self.problems().take(SHOWN_PROBLEMS) {
            if !out.is_empty() {
                out.push('\n');
            }
            render_problem(&mut out, problem);
        }
        let more = (self.rest.len() + 1).saturating_sub(SHOWN_PROBLEMS) + self.more;
        if more > 0 {
            let _ = write!(out, "\nand {more} more");
        }
        out
    }
}

/// A problem whose place is told in other words.
#[derive(Debug)]
struct Elsewhere {
    problem: Box<dyn Problem>,
    place: Option<String>,
}

impl fmt::Display for Elsewhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problem.fmt(f)
    }
}

impl std::error::Error for Elsewhere {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.problem.source()
    }
}

impl Problem for Elsewhere {
    fn kind(&self) -> Kind {
        self.problem.kind()
    }

    fn place(&self) -> Option<String> {
        self.place.clone()
    }

    fn hint(&self) -> Option<String> {
        self.problem.hint()
    }
}

/// Appends one paragraph: place, what is wrong and its causes, then the hint on a line of its own.
fn render_problem(out: &mut String, problem: &dyn Problem) {
    if let Some(place) = problem.place() {
        let _ = write!(out, "{place}: ");
    }
    out.push_str(&message(problem));
    if let Some(hint) = problem.hint() {
        let _ = write!(out, "\nhint: {hint}");
    }
}

/// What is wrong and its causes, without place and hint.
pub fn message(problem: &dyn Problem) -> String {
    let mut out = problem.to_string();
    let mut cause = problem.source();
    while let Some(error) = cause {
        let _ = write!(out, ": {}", text::printable(&error.to_string()));
        cause = error.source();
    }
    out
}

impl<P: Problem> From<P> for Error {
    fn from(problem: P) -> Error {
        Error {
            first: Box::new(problem),
            rest: Vec::new(),
            more: 0,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("expected a digit, found `{found}`")]
    struct Sample {
        found: usize,
        #[source]
        source: Option<std::io::Error>,
    }

    impl Problem for Sample {
        fn place(&self) -> Option<String> {
            Some(format!("file.json:{}:1", self.found))
        }
        fn hint(&self) -> Option<String> {
            (self.found == 0).then(|| "count from one".to_owned())
        }
    }

    #[test]
    fn renders_place_cause_hint_and_counts_the_rest() {
        let source = Some(std::io::Error::other("disk\u{1b}[31m full"));
        let one = Error::from(Sample { found: 0, source });
        assert_eq!(
            one.render(),
            "file.json:0:1: expected a digit, found `0`: disk\\u{1b}[31m full\nhint: count from one"
        );
        let many = Error::from_problems((1..=23).map(|found| Sample {
            found,
            source: None,
        }))
        .unwrap();
        assert_eq!(many.render().lines().count(), SHOWN_PROBLEMS + 1);
        assert!(
            many.render()
                .ends_with("file.json:20:1: expected a digit, found `20`\nand 3 more")
        );
        assert_eq!(many.kind().exit_code(), 1);
    }
}
