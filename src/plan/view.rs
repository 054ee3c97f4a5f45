//! The plan of a merged view: one folder with links to what lies in many. No archive, nothing is copied.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

use super::extras::{A_GLOB, LINKS, links_of};
use super::pattern::Pattern;
use super::read::{
    AN_ABSOLUTE, OUTPUT, PlanProblem, judge_links, judge_typed, listed, member, nix_keys,
    no_outputs, optional, required,
};
use super::{Judged, OutputName};
use crate::error::Error;
use crate::manifest;
use crate::manifest::json::Tape;
use crate::relpath::RelPath;
use crate::shape::{Findings, Record, Ref, Rest, Rule};
use crate::text;

/// The only version of such plans there is so far.
const VIEW_VERSION: i64 = 1;

/// A merged view. Its fields can be read everywhere; only [`read_view()`] makes one.
#[derive(Clone, Debug)]
pub struct View {
    /// The folders whose content is linked, `nix-support` excepted. Absolute.
    pub trees: Vec<PathBuf>,
    /// Paths in them that are left out.
    pub leave_out: Vec<Pattern>,
    /// Links to make besides, and their texts: absolute, or a path that starts in the link's own folder.
    pub links: Vec<(RelPath, String)>,
    /// Where the view goes: under the one name [`OutputName::Out`]. Absolute.
    pub outputs: BTreeMap<OutputName, PathBuf>,
    _judged: Judged,
}

static VIEW_OUTPUTS: Record = Record {
    what: Cow::Borrowed("the path of the output"),
    fields: Cow::Borrowed(&[required(OutputName::Out.as_str(), Rule::text(&OUTPUT))]),
    rest: Rest::Refused,
    ordered: &[],
    law: None,
};

/// A view's keys: our own, then Nix's.
fn rule() -> Rule {
    let own = [
        required("viewVersion", Rule::Exactly(VIEW_VERSION)),
        required("trees", Rule::list(&AN_ABSOLUTE)),
        optional("leaveOut", Rule::list(&A_GLOB)),
        optional("links", Rule::record(&LINKS)),
        optional("outputs", Rule::record(&VIEW_OUTPUTS)),
    ];
    Rule::Record(Ref::from(Record {
        what: Cow::Borrowed("a view"),
        fields: Cow::Owned(own.into_iter().chain(nix_keys()).collect()),
        rest: Rest::Refused,
        ordered: &[],
        law: None,
    }))
}

/// Reads a view from the JSON `text`; `file` is its name in messages. With `outputs_from_command_line` these count, and
/// the text need not name any.
///
/// # Errors
/// Rejected: all problems of the text, sorted by place. Usage: another output than `out` on the command line.
pub fn read_view(
    text: &[u8],
    file: &str,
    outputs_from_command_line: Option<BTreeMap<OutputName, PathBuf>>,
) -> Result<View, Error> {
    let tape = Tape::parse(text, file)?;
    let root = tape.root();
    let Ok(findings) = manifest::errors(&rule(), root);
    tape.report(file, findings)?;
    let unexpected = || PlanProblem::Unexpected {
        file: text::printable(file),
    };
    let written = member(root, "outputs").and_then(|outputs| member(outputs, "out")?.text());
    let outputs = match (outputs_from_command_line, written) {
        (Some(outputs), _) => {
            judge_typed(&outputs)?;
            if outputs.len() > 1 {
                return Err(PlanProblem::Typed {
                    expected: "the output `out` alone".to_owned(),
                    found: listed(outputs.keys().map(|name| name.as_str()), "none"),
                }
                .into());
            }
            outputs
        }
        (None, Some(out)) => BTreeMap::from([(OutputName::Out, PathBuf::from(out))]),
        (None, None) => {
            let mut findings = Findings::default();
            findings.push(no_outputs(root));
            tape.report(file, findings)?;
            return Err(unexpected().into());
        }
    };
    let trees = member(root, "trees").and_then(|trees| trees.texts());
    let links = links_of(root).ok_or_else(unexpected)?;
    let mut findings = Findings::default();
    judge_links(root, &links, &mut findings);
    tape.report(file, findings)?;
    let leave_out = match member(root, "leaveOut") {
        Some(globs) => globs.texts(),
        None => Some(Vec::new()),
    };
    let leave_out = leave_out.and_then(|globs| -> Option<Vec<Pattern>> {
        globs.iter().map(|glob| Pattern::new(glob).ok()).collect()
    });
    Ok(View {
        trees: trees
            .ok_or_else(unexpected)?
            .into_iter()
            .map(PathBuf::from)
            .collect(),
        leave_out: leave_out.ok_or_else(unexpected)?,
        links,
        outputs,
        _judged: Judged,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIEW: &str = r#"{
  "viewVersion": 1, "name": "cudatoolkit", "builder": "/nix/store/b/bin/cuda-redist", "system": "x86_64-linux",
  "trees": ["/nix/store/a", "/nix/store/c-lib"],
  "leaveOut": ["LICENSE*"],
  "links": {"lib64": "lib"},
  "outputs": {"out": "/nix/store/o"}
}"#;

    fn refusal(text: &str) -> String {
        read_view(text.as_bytes(), "view.json", None)
            .unwrap_err()
            .render()
    }

    #[test]
    fn a_view_is_read() {
        let view = read_view(VIEW.as_bytes(), "view.json", None).unwrap();
        assert_eq!(view.trees.len(), 2);
        assert!(view.leave_out[0].matches(&RelPath::new("LICENSE.txt").unwrap()));
        assert_eq!(
            view.links,
            [(RelPath::new("lib64").unwrap(), "lib".to_owned())]
        );
        assert_eq!(
            view.outputs,
            BTreeMap::from([(OutputName::Out, PathBuf::from("/nix/store/o"))])
        );
    }

    #[test]
    fn what_is_no_view_is_refused() {
        let wrong = VIEW
            .replace("viewVersion\": 1", "viewVersion\": 2")
            .replace("\"/nix/store/a\"", "\"a\"")
            .replace("\"lib64\": \"lib\"", "\"../lib64\": \"../lib\"")
            .replace("leaveOut", "leaveOuts")
            .replace("\"out\":", "\"lib\":");
        insta::assert_snapshot!(refusal(&wrong), @r#"
        view.json:2:18: `viewVersion`: expected the number 1, found the number 2
        view.json:3:13: `trees[0]`: expected an absolute path without `.` and `..`, found `a`
        view.json:4:3: `leaveOuts`: expected one of the keys `viewVersion`, `trees`, `leaveOut`, `links`, `outputs`, found `leaveOuts`
        hint: did you mean `leaveOut`
        view.json:5:13: `links."../lib64"`: expected as key a path inside the package, without `.` and `..` and outside of `nix-support`, found `../lib64`
        view.json:5:25: `links."../lib64"`: expected an absolute path, or one that starts in the link's own folder, without `.` and `..`, found `../lib`
        view.json:6:14: `outputs`: expected the key `out`, found an object without it
        view.json:6:15: `outputs.lib`: expected the key `out` only, found `lib`
        "#);
        let nested = VIEW.replace(
            "\"lib64\": \"lib\"",
            "\"lib64\": \"lib\", \"lib64/x\": \"y\"",
        );
        insta::assert_snapshot!(refusal(&nested), @"view.json:5:40: `links.\"lib64/x\"`: expected links beside each other, found `lib64/x` inside `lib64`");
        insta::assert_snapshot!(refusal(&VIEW.replace("  \"outputs\": {\"out\": \"/nix/store/o\"}\n", "  \"args\": []\n")), @"
        view.json:1:1: expected the key `outputs`, found an object without it, and no outputs on the command line
        hint: inside a derivation Nix adds it; by hand, add `--out out=DIR`
        ");
        let typed = BTreeMap::from([
            (OutputName::Out, PathBuf::from("/o")),
            (OutputName::Lib, PathBuf::from("/l")),
        ]);
        let error = read_view(VIEW.as_bytes(), "view.json", Some(typed)).unwrap_err();
        insta::assert_snapshot!(error.render(), @"command line: expected the output `out` alone, found `out`, `lib`");
    }
}
