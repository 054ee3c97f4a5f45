//! Replays what fuzzing found: every kept input through the function that once failed on it.

use cuda_redist::elf::{self, Rung};

use crate::support;

#[path = "fuzz/targets.rs"]
mod targets;

#[test]
fn kept_inputs_are_handled() {
    let corpus = support::root().join("tests/corpus");
    let mut folders: Vec<String> = Vec::new();
    for folder in std::fs::read_dir(&corpus).unwrap() {
        let folder = folder.unwrap();
        let name = folder.file_name().into_string().unwrap();
        let (_, target) = targets::ALL
            .iter()
            .find(|(target, _)| *target == name)
            .unwrap_or_else(|| panic!("tests/corpus/{name} belongs to no target"));
        let mut inputs = 0;
        for input in std::fs::read_dir(folder.path()).unwrap() {
            let input = input.unwrap().path();
            let data = std::fs::read(&input).unwrap();
            eprintln!("{}", input.display()); // Shown when the target panics.
            target(&data);
            inputs += 1;
        }
        assert!(inputs > 0, "tests/corpus/{name} is empty");
        folders.push(name);
    }
    folders.sort();
    let mut names: Vec<_> = targets::ALL.iter().map(|(name, _)| *name).collect();
    names.sort();
    assert_eq!(folders, names, "every target keeps at least one input");
}

/// An ELF file's name starts with how its first edit finds its place.
#[test]
fn kept_edits_take_every_rung() {
    let dir = support::dir();
    let file = dir.path().join("file");
    let all = [
        Rung::Same,
        Rung::Slot,
        Rung::Grow,
        Rung::NewSegment,
        Rung::ExtendSegment,
    ];
    let mut found = Vec::new();
    for input in std::fs::read_dir(support::root().join("tests/corpus/elf_edit")).unwrap() {
        let input = input.unwrap();
        let name = input.file_name().into_string().unwrap();
        let Some(rung) = all
            .into_iter()
            .find(|rung| name.starts_with(&format!("{rung}-")))
        else {
            continue;
        };
        let data = std::fs::read(input.path()).unwrap();
        let (data, [edit, _], _) = targets::elf_edits(&data).unwrap();
        std::fs::write(&file, data).unwrap();
        assert_eq!(elf::rung(&file, &edit).unwrap(), rung, "{name}");
        found.push(rung);
    }
    found.sort();
    found.dedup();
    let mut all = all.to_vec();
    all.sort();
    assert_eq!(found, all);
}
