//! Which output refers to which: Nix refuses outputs that refer to each other in a circle, and so do we, earlier and
//! with the names of the files.

use std::collections::{BTreeMap, BTreeSet};

use super::error::RealiseError;
use crate::error::Error;
use crate::plan::OutputName;
use crate::text;

/// The references between the outputs of one package, each with one example of why.
#[derive(Debug, Default)]
pub(super) struct References {
    why: BTreeMap<(OutputName, OutputName), String>,
}

impl References {
    /// `file` of the output `from` holds the store path of the output `to`, because of `what` there.
    pub(super) fn add(&mut self, from: OutputName, to: OutputName, file: &str, what: &str) {
        if from != to {
            self.why.entry((from, to)).or_insert_with(|| {
                format!(
                    "`{from}` to `{to}` ({} to {})",
                    text::quote(file),
                    text::quote(what)
                )
            });
        }
    }

    /// Adds all of `others`.
    pub(super) fn add_all(&mut self, others: References) {
        for (step, why) in others.why {
            self.why.entry(step).or_insert(why);
        }
    }

    /// Does `from` refer to `to`, itself or through others?
    pub(super) fn leads(&self, from: OutputName, to: OutputName) -> bool {
        let mut seen = BTreeSet::new();
        let mut front = vec![from];
        while let Some(at) = front.pop() {
            let next = self.why.keys().filter(|(from, _)| *from == at);
            front.extend(next.map(|(_, to)| *to).filter(|to| seen.insert(*to)));
        }
        seen.contains(&to)
    }

    /// `package` is for the message.
    ///
    /// # Errors
    /// Following the references from some output leads back to it.
    pub(super) fn check(&self, package: &str) -> Result<(), Error> {
        match self.cycle() {
            None => Ok(()),
            Some(steps) => Err(RealiseError::Cycle {
                package: package.to_owned(),
                steps,
            }
            .into()),
        }
    }

    /// The steps of a shortest circle; `None` when there is none.
    fn cycle(&self) -> Option<Vec<String>> {
        let starts: BTreeSet<OutputName> = self.why.keys().map(|(from, _)| *from).collect();
        starts
            .into_iter()
            .filter_map(|start| self.way_back(start))
            .min_by_key(Vec::len)
    }

    /// The shortest way from `start` back to itself, breadth first.
    fn way_back(&self, start: OutputName) -> Option<Vec<String>> {
        let mut seen = BTreeSet::new();
        let mut front: Vec<(OutputName, Vec<String>)> = vec![(start, Vec::new())];
        while !front.is_empty() {
            let mut next = Vec::new();
            for (at, steps) in front {
                for ((_, to), why) in self.why.iter().filter(|((from, _), _)| *from == at) {
                    let mut steps = steps.clone();
                    steps.push(why.clone());
                    if *to == start {
                        return Some(steps);
                    }
                    if seen.insert(*to) {
                        next.push((*to, steps));
                    }
                }
            }
            front = next;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_circles_are_found() {
        use OutputName::{Bin, Include, Lib, Out};
        let mut references = References::default();
        references.add(Bin, Lib, "bin/x", "libx.so.1");
        references.add(Out, Lib, "x", "lib/y");
        references.add(Lib, Lib, "lib/x", "lib/y");
        assert_eq!(references.cycle(), None);
        assert!(references.leads(Bin, Lib) && references.leads(Out, Lib));
        assert!(!references.leads(Lib, Bin) && !references.leads(Bin, Bin));
        references.add(Lib, Include, "lib/a", "include/b");
        references.add(Include, Bin, "include/a", "bin/b");
        let steps = references.cycle().unwrap();
        assert_eq!(
            steps,
            [
                "`bin` to `lib` (`bin/x` to `libx.so.1`)",
                "`lib` to `include` (`lib/a` to `include/b`)",
                "`include` to `bin` (`include/a` to `bin/b`)",
            ]
        );
    }
}
