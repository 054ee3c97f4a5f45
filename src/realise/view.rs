//! A merged view carried out: one folder with links to what lies in many.

use serde_json::json;
use std::sync::atomic::AtomicBool;

use super::merge::{self, Merged};
use super::stage::{Stage, Staging};
use super::support;
use super::{Event, Progress, go_on, list, stopped};
use crate::error::Error;
use crate::plan::{OutputName, View};
use crate::relpath::RelPath;

/// What was made of a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewReport {
    /// How many folders were merged.
    pub trees: usize,
    /// How many links there are.
    pub links: usize,
}

impl ViewReport {
    /// One JSON object, with a final newline.
    pub fn to_json(&self) -> String {
        let object = json!({ "trees": self.trees, "links": self.links });
        format!("{object:#}\n")
    }
}

/// Makes the view. `progress` is told of each [`Event`] as it happens; once `stop` is set it goes no further than to the next tree.
///
/// # Errors
/// It was stopped; a tree is not there; two of them have different files in one place; a link leads nowhere; the output exists already; the
/// file system refuses. There is no output then.
pub fn view(
    view: &View,
    staging: Staging,
    stop: &AtomicBool,
    progress: Progress<'_>,
) -> Result<ViewReport, Error> {
    let go_on = || go_on(stop).map_err(|_| stopped("view"));
    let stage = Stage::new(&view.outputs, staging)?;
    let out = stage.dir(OutputName::Out)?;
    let mut merged = Merged::default();
    for tree in &view.trees {
        go_on()?;
        merged.add(None, tree, &view.leave_out)?;
    }
    go_on()?;
    merged.carry_out(|_: &RelPath| Ok(out))?;
    merge::link(&view.links, |_: &RelPath| Ok(out))?;
    let folder = support::make_folder(out)?;
    support::write_mark(&folder, "view", OutputName::Out)?;
    let linked = view.links.iter().map(|(place, _)| place);
    support::write_stubs(&folder, merged.places().chain(linked))?;
    let report = ViewReport {
        trees: view.trees.len(),
        links: merged.len(),
    };
    progress(Event::Note(&format!(
        "{} links to {} packages and outputs",
        report.links, report.trees
    )));
    go_on()?;
    if staging == Staging::Discard {
        list(OutputName::Out, out, out, progress)?;
    }
    stage.commit()?;
    Ok(report)
}
