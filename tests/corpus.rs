//! Replays what fuzzing found: every kept input through the function that once failed on it.

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
