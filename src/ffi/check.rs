//! `builtins.cudaRedist.check`, `problems` and `shapes`.

use std::ffi::CStr;

use serde_json::{Value as Json, json};

use super::abi::{Host, Stop, Value};
use super::view::{self, Node};
use super::{guard, tape};
use crate::error::{Error, Problem as _};
use crate::manifest::{self, TABLE};
use crate::shape::Expression;

pub(super) const CHECK: &CStr = c"
Checks a value by a shape and returns the value, as it was given.

- `shape`: the name of a shape, or an attribute of `builtins.cudaRedist.shapes`, which has all that have a name, each with
  `extends` (its name), `doc`, `source` and `examples`; or a set that says what is added to one:
  `extends` (a shape), `fields` (shapes by attribute; `{ optional = SHAPE; }` for one that may be absent), `each` (the
  shape of all other attributes), `oneOf` (strings), `matches` (a regular expression for the whole string). `{ list = SHAPE; }`
  and `{ nullOr = SHAPE; }` are shapes, too. `what` is what a record is called in messages; `doc`, `source` and `examples` are
  remarks. Strings in a shape may not refer to store paths.
- `value`: anything. Only what the shape names is evaluated. String context stays.

What differs from the shape is an error that shows all problems with the position of the attribute, its path, what was
expected and what was found; `builtins.tryEval` catches it, like `throw`. A wrong shape is an error that it does not catch.

```nix
builtins.cudaRedist.check {
  extends = \"releasePackage\";
  fields.filename = \"fileName\";
  fields.cudnnVersion = { nullOr = \"majorMinor\"; };
} (import ./release.nix)
```
";

guard::guard!(check_export, "check", check);

fn check(host: &Host<'_>, [shape, value]: [Value; 2]) -> Result<(), Stop> {
    let expression = read_shape(host, shape)?;
    let node = Node::new(host, value);
    view::refuse(manifest::errors(&expression.rule, node)?, "")?;
    host.give(value)
}

pub(super) const PROBLEMS: &CStr = c"
All that differs between a value and a shape, as a list; `[ ]` when it is fine. Of more than 10000 errors or warnings the first
10000 are in it.

- `shape`, `value`: as for `check`.

A problem is a set of `severity` (`\"error\"`, or `\"warning\"` for what is only odd: names and paths that do not agree, an
unknown platform), `code` (its kind, stable), `path` (the attribute path), `position` (`null`, or a set of `file`, `line` and
`column`), `expected`, `found`, `hint` (`null` or a string) and `message` (the sentence that `check` shows). They are sorted
by position. Only what the shape names is evaluated. The texts are for people: what they quote refers to no store path.

```nix
builtins.cudaRedist.problems \"version\" \"12.9-rc1\"
=> [ { code = \"value\"; expected = \"a version of digits and dots\"; found = \"`12.9-rc1`\"; ... } ]
```
";

guard::guard!(problems_export, "problems", problems);

fn problems(host: &Host<'_>, [shape, value]: [Value; 2]) -> Result<(), Stop> {
    let expression = read_shape(host, shape)?;
    let node = Node::new(host, value);
    let findings = manifest::problems(&expression.rule, node)?;
    let (diagnostics, _) = view::diagnose(findings, "")?;
    let problems = diagnostics.into_iter().map(|diagnostic| {
        let position = diagnostic.position.map(|position| {
            json!({ "file": diagnostic.file, "line": position.line, "column": position.column })
        });
        let place = diagnostic
            .place()
            .map_or(String::new(), |place| format!("{place}: "));
        json!({
            "severity": diagnostic.severity.name(),
            "code": diagnostic.code,
            "path": diagnostic.path,
            "position": position,
            "expected": diagnostic.expected,
            "found": diagnostic.found,
            "hint": diagnostic.hint,
            "message": format!("{place}{diagnostic}"),
        })
    });
    tape::build_json(host, &problems.collect())
}

pub(super) const SHAPES: &CStr = c"
The shapes that have a name: a set whose attributes can be given to `check` and `problems`, and be extended. Each has `extends`
(its name), `doc`, `source` and `examples`.

```nix
builtins.cudaRedist.shapes.redistrib.doc
builtins.cudaRedist.check (builtins.cudaRedist.shapes.releasePackage // { fields.filename = \"fileName\"; }) value
```
";

guard::guard!(shapes_export, "shapes", shapes);

fn shapes(host: &Host<'_>, []: [Value; 0]) -> Result<(), Stop> {
    tape::build_json(host, &table())
}

/// The table as a value: each shape as an expression that extends it by nothing.
fn table() -> Json {
    let shapes = TABLE.iter().map(|shape| {
        let examples: Vec<Json> = shape
            .fitting
            .iter()
            .filter_map(|text| serde_json::from_str(text).ok())
            .collect();
        let expression = json!({
            "extends": shape.name,
            "doc": shape.doc,
            "source": shape.source,
            "examples": examples,
        });
        (shape.name.to_owned(), expression)
    });
    Json::Object(shapes.collect())
}

/// The shape that `value` describes.
fn read_shape(host: &Host<'_>, value: Value) -> Result<Expression, Stop> {
    match Expression::read(TABLE, Node::plain(host, value))? {
        Ok(expression) => Ok(expression),
        Err(findings) => {
            let (diagnostics, more) = view::diagnose(findings, "")?;
            let error = Error::from_problems(diagnostics)
                .map(|error| error.and_more(more.errors).render())
                .unwrap_or_default();
            // The caller's mistake, not something that was judged: `tryEval` does not hide it.
            Err(Stop::Argument(format!("the shape is wrong:\n{error}")))
        }
    }
}
