//! Each field of small files removed, misspelt, doubled, emptied and of the wrong type: a problem with the right code at the
//! changed place, or none where the file is still fine.

use cuda_redist::error::{Diagnostic, Severity};
use cuda_redist::manifest::{self, Judging, Kind};
use cuda_redist::text::Position;
use serde_json::{Value, json};

/// A key or the number of an item.
#[derive(Clone, Debug, PartialEq)]
enum Step {
    Key(String),
    Item(usize),
}

fn shown(path: &[Step]) -> String {
    let mut out = String::new();
    for step in path {
        match step {
            Step::Item(number) => out.push_str(&format!("[{number}]")),
            Step::Key(key) => {
                if !out.is_empty() {
                    out.push('.');
                }
                match key.contains('.') || key.starts_with(|c: char| c.is_ascii_digit()) {
                    true => out.push_str(&format!("\"{key}\"")),
                    false => out.push_str(key),
                }
            }
        }
    }
    out
}

/// The paths of all values below `value`.
fn paths(value: &Value, path: &mut Vec<Step>, out: &mut Vec<Vec<Step>>) {
    let parts: Vec<(Step, &Value)> = match value {
        Value::Object(object) => object
            .iter()
            .map(|(key, value)| (Step::Key(key.clone()), value))
            .collect(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(number, value)| (Step::Item(number), value))
            .collect(),
        _ => return,
    };
    for (step, part) in parts {
        path.push(step);
        out.push(path.clone());
        paths(part, path, out);
        path.pop();
    }
}

/// What is done to the value at a path.
#[derive(Clone, Debug)]
enum Change {
    Removed,
    Misspelt(String),
    Doubled,
    Replaced(Value),
}

/// Prints a value with one change, and notes where that is.
struct Printer<'c> {
    out: String,
    target: &'c [Step],
    change: &'c Change,
    /// Where the key of the target is (the second one, if doubled), and its value; of one removed, its parent's value.
    key: Option<Position>,
    value: Option<Position>,
}

impl Printer<'_> {
    fn here(&self) -> Position {
        Position::of(self.out.as_bytes(), self.out.len())
    }

    fn print(&mut self, value: &Value, path: &mut Vec<Step>) {
        let is_target = path == self.target;
        let is_parent = self
            .target
            .split_last()
            .is_some_and(|(_, parent)| path == parent);
        if is_target || (is_parent && matches!(self.change, Change::Removed)) {
            self.value = Some(self.here());
        }
        match (value, self.change) {
            (_, Change::Replaced(other)) if is_target => {
                self.out.push_str(&other.to_string());
            }
            (Value::Object(object), _) => {
                let parts = object.iter();
                let parts = parts.map(|(key, value)| (Step::Key(key.clone()), value));
                self.parts(['{', '}'], parts, path);
            }
            (Value::Array(items), _) => {
                let parts = items.iter().enumerate();
                let parts = parts.map(|(number, value)| (Step::Item(number), value));
                self.parts(['[', ']'], parts, path);
            }
            (leaf, _) => self.out.push_str(&leaf.to_string()),
        }
    }

    fn parts<'v>(
        &mut self,
        brackets: [char; 2],
        parts: impl Iterator<Item = (Step, &'v Value)>,
        path: &mut Vec<Step>,
    ) {
        self.out.push(brackets[0]);
        let mut comma = "";
        for (step, value) in parts {
            path.push(step.clone());
            let is_target = path == self.target;
            let times = match self.change {
                Change::Removed if is_target => 0,
                Change::Doubled if is_target => 2,
                _ => 1,
            };
            for _ in 0..times {
                self.out.push_str(comma);
                comma = ",";
                self.out.push_str("\n ");
                if is_target {
                    self.key = Some(self.here());
                }
                if let Step::Key(key) = &step {
                    let key = match self.change {
                        Change::Misspelt(other) if is_target => other,
                        _ => key,
                    };
                    self.out.push_str(&format!("{}: ", json!(key)));
                }
                self.print(value, path);
            }
            path.pop();
        }
        self.out.push('\n');
        self.out.push(brackets[1]);
    }
}

/// A changed file, and all that is wrong with it.
struct Changed {
    text: String,
    key: Option<Position>,
    value: Option<Position>,
    errors: Vec<Diagnostic>,
}

fn changed(kind: Kind, file: &Value, target: &[Step], change: &Change) -> Changed {
    let mut printer = Printer {
        out: String::new(),
        target,
        change,
        key: None,
        value: None,
    };
    printer.print(file, &mut Vec::new());
    let judging = Judging {
        kind: Some(kind),
        ..Judging::default()
    };
    let report = manifest::inspect(printer.out.as_bytes(), "x.json", judging);
    assert_eq!(report.more.errors, 0);
    let mut errors = report.diagnostics;
    errors.retain(|found| found.severity == Severity::Error);
    Changed {
        text: printer.out,
        key: printer.key,
        value: printer.value,
        errors,
    }
}

impl Changed {
    /// Is there a problem with this code, path and place?
    fn has(&self, code: &str, path: &str, position: Option<Position>) -> bool {
        self.errors
            .iter()
            .any(|found| found.code == code && found.path == path && found.position == position)
    }

    #[track_caller]
    fn expect(&self, code: &str, path: &str, position: Option<Position>) {
        assert!(
            self.has(code, path, position),
            "expected {code} at `{path}` {position:?}, found {:#?}\nin {}",
            self.errors,
            self.text
        );
    }

    #[track_caller]
    fn expect_none(&self, what: &str) {
        assert!(
            self.errors.is_empty(),
            "{what}: {:#?}\nin {}",
            self.errors,
            self.text
        );
    }
}

fn package(package: &str, platform: &str, version: &str, variant: &str, digit: char) -> Value {
    let variant = match variant {
        "" => String::new(),
        variant => format!("_{variant}"),
    };
    json!({
        "relative_path": format!("{package}/{platform}/{package}-{platform}-{version}{variant}-archive.tar.xz"),
        "sha256": digit.to_string().repeat(64),
        "md5": digit.to_string().repeat(32),
        "size": "1545764",
    })
}

fn redistrib() -> Value {
    json!({
        "release_date": "2025-06-04",
        "release_label": "12.9.1",
        "release_product": "cuda",
        "cuda_cudart": {
            "name": "CUDA Runtime (cudart)",
            "license": "CUDA Toolkit",
            "license_path": "cuda_cudart/LICENSE.txt",
            "version": "12.9.79",
            "linux-x86_64": package("cuda_cudart", "linux-x86_64", "12.9.79", "", '1'),
            "linux-sbsa": package("cuda_cudart", "linux-sbsa", "12.9.79", "", '2'),
        },
        "cudnn": {
            "name": "NVIDIA CUDA Deep Neural Network library",
            "license": "cudnn",
            "version": "9.8.0.87",
            "cuda_variant": ["12", "13.2"],
            "linux-x86_64": {
                "cuda12": package("cudnn", "linux-x86_64", "9.8.0.87", "cuda12", '3'),
                "cuda13.2": package("cudnn", "linux-x86_64", "9.8.0.87", "cuda13.2", '4'),
            },
            "linux-sbsa": { "cuda12": package("cudnn", "linux-sbsa", "9.8.0.87", "cuda12", '5') },
        },
    })
}

fn features() -> Value {
    json!({
        "cuda_cudart": {
            "linux-x86_64": { "outputs": {
                "bin": false, "dev": true, "doc": false, "lib": true, "sample": false, "static": true,
            } },
        },
        "libcutensor": {
            "linux-x86_64": {
                "outputs": ["out", "dev"],
                "cudaArchitectures": { "11": ["sm_80"], "12": ["sm_90a"] },
                "providedLibs": ["libcutensor.so.2"],
                "neededLibs": { "12": ["libc.so.6"] },
                "dependencies": ["libcublas"],
                "cudaVersionsInLib": ["11", "12"],
            },
        },
    })
}

fn releases() -> Value {
    json!({
        "cudnn": { "releases": {
            "linux-x86_64": [{
                "version": "8.9.7.29",
                "minCudaVersion": "12.0",
                "maxCudaVersion": "12.8",
                "url": "https://example.org/cudnn-8.9.7.29.tar.xz",
                "hash": "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
                "filename": "cudnn-8.9.7.29.tar.xz",
                "cudnnVersion": "8.9",
            }],
        } },
    })
}

/// What the documentation says of the value at a path, in this test's own words.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    /// Must be there; the object around it has no other keys than those that are documented.
    Required,
    /// May be absent there.
    Optional,
    /// Must be there; the object around it has keys of its own.
    RequiredAmongOthers,
    /// May be absent there.
    OptionalAmongOthers,
    /// Its key is a name that anybody may choose.
    Named,
    /// An item.
    Item,
}

fn place(kind: Kind, path: &[Step]) -> Place {
    let Some(Step::Key(key)) = path.last() else {
        return Place::Item;
    };
    match (kind, key.as_str()) {
        (Kind::Redistrib, "relative_path" | "sha256" | "md5" | "size") => Place::Required,
        (Kind::Redistrib, "name" | "license" | "version") => Place::RequiredAmongOthers,
        (
            Kind::Redistrib,
            "license_path" | "release_date" | "release_label" | "release_product",
        ) => Place::OptionalAmongOthers,
        (Kind::Feature, "outputs" | "bin" | "dev" | "doc" | "lib" | "sample" | "static") => {
            Place::Required
        }
        (
            Kind::Feature,
            "cudaArchitectures" | "providedLibs" | "neededLibs" | "dependencies"
            | "cudaVersionsInLib",
        ) => Place::Optional,
        (Kind::Releases, "releases" | "version" | "minCudaVersion" | "maxCudaVersion" | "hash") => {
            Place::Required
        }
        (Kind::Releases, "url" | "filename" | "cudnnVersion") => Place::Optional,
        _ => Place::Named,
    }
}

/// Runs `test` for each value of each file.
fn for_each(mut test: impl FnMut(Kind, &Value, &[Step], &Value)) {
    let mut count = 0;
    for (kind, file) in [
        (Kind::Redistrib, redistrib()),
        (Kind::Feature, features()),
        (Kind::Releases, releases()),
    ] {
        let mut all = Vec::new();
        paths(&file, &mut Vec::new(), &mut all);
        for path in &all {
            let value = path.iter().fold(&file, |value, step| match step {
                Step::Key(key) => &value[key],
                Step::Item(number) => &value[number],
            });
            test(kind, &file, path, value);
            count += 1;
        }
        changed(kind, &file, &[], &Change::Removed).expect_none("as it is");
    }
    assert!(count > 80, "{count}");
}

fn is_variants(path: &[Step]) -> bool {
    path.last() == Some(&Step::Key("cuda_variant".to_owned()))
}

#[test]
fn a_removed_value_is_missed_where_it_was() {
    for_each(|kind, file, path, _| {
        let changed = changed(kind, file, path, &Change::Removed);
        let parent = shown(&path[..path.len() - 1]);
        match place(kind, path) {
            Place::Required | Place::RequiredAmongOthers => {
                changed.expect("missing-key", &parent, changed.value);
                assert_eq!(changed.errors.len(), 1, "{:#?}", changed.errors);
            }
            // Without the list, what is nested should not be.
            _ if is_variants(path) => {
                let codes: Vec<_> = changed.errors.iter().map(|found| found.code).collect();
                assert_eq!(codes, ["nesting", "nesting"]);
            }
            // One variant less in the list: where it is used it is not listed.
            Place::Item if is_variants(&path[..path.len() - 1]) => {
                assert!(changed.errors.iter().all(|found| found.code == "variant"));
                assert!(!changed.errors.is_empty());
            }
            _ => changed.expect_none(&shown(path)),
        }
    });
}

#[test]
fn a_misspelt_key_is_found_with_the_one_that_was_meant() {
    for_each(|kind, file, path, value| {
        let (Some(Step::Key(key)), (place, inner)) = (path.last(), (place(kind, path), path))
        else {
            return;
        };
        // Two neighbours swapped.
        let mut other: Vec<char> = key.chars().collect();
        let last = other.len() - 1;
        other.swap(last - 1, last);
        let mut other: String = other.into_iter().collect();
        if other == *key {
            other.push('x');
        }
        let changed = changed(kind, file, path, &Change::Misspelt(other.clone()));
        let mut wrong = inner.to_vec();
        *wrong.last_mut().unwrap() = Step::Key(other.clone());
        let (wrong, parent) = (shown(&wrong), shown(&path[..path.len() - 1]));
        let hinted = || {
            let hint = format!("did you mean `{key}`");
            let is_hinted =
                |found: &Diagnostic| found.path == wrong && found.hint.as_ref() == Some(&hint);
            // Shorter ones are near to anything.
            assert!(
                key.len() < 3 || changed.errors.iter().any(is_hinted),
                "{wrong}: no hint in {:#?}",
                changed.errors
            );
        };
        let missed = changed
            .errors
            .iter()
            .any(|found| found.code == "missing-key" && found.path == parent);
        match place {
            // Any key of a release expression's top may be a product, and any key of a platform's variants a variant.
            Place::Required | Place::Optional => {
                changed.expect("unknown-key", &wrong, changed.key);
                assert_eq!(missed, place == Place::Required);
                hinted();
            }
            Place::RequiredAmongOthers | Place::OptionalAmongOthers => {
                changed.expect("type", &wrong, changed.value);
                assert_eq!(missed, place == Place::RequiredAmongOthers);
                hinted();
            }
            Place::Named if is_variants(path) => changed.expect("type", &wrong, changed.value),
            Place::Named if key.starts_with("cuda1") => {
                changed.expect("variant", &wrong, changed.key)
            }
            Place::Named => changed.expect_none(&shown(path)),
            Place::Item => unreachable!("{value} has no key"),
        }
    });
}

#[test]
fn a_doubled_key_is_found_at_its_second_place() {
    for_each(|kind, file, path, _| {
        if let Some(Step::Key(_)) = path.last() {
            let changed = changed(kind, file, path, &Change::Doubled);
            changed.expect("duplicate-key", &shown(path), changed.key);
            assert_eq!(changed.errors.len(), 1, "{:#?}", changed.errors);
        }
    });
}

#[test]
fn a_value_of_the_wrong_type_is_found_where_it_is() {
    let others = [
        json!(null),
        json!(true),
        json!(1545764),
        json!(12.9),
        json!("text"),
        json!([]),
        json!({}),
    ];
    for_each(|kind, file, path, value| {
        for other in &others {
            if std::mem::discriminant(value) == std::mem::discriminant(other) {
                continue;
            }
            let changed = changed(kind, file, path, &Change::Replaced(other.clone()));
            let key = match path.last() {
                Some(Step::Key(key)) => key.as_str(),
                _ => "",
            };
            let is_fine = match (kind, key) {
                // A list, or objects by folder.
                (
                    Kind::Feature,
                    "cudaArchitectures" | "providedLibs" | "neededLibs" | "dependencies",
                ) => other.is_array() || other.is_object(),
                (Kind::Feature, "cudaVersionsInLib") | (Kind::Releases, "cudnnVersion") => {
                    other.is_null()
                }
                (Kind::Feature, "outputs") => other.is_array(),
                _ => false,
            };
            if is_fine {
                changed.expect_none(&format!("{} = {other}", shown(path)));
            } else if key == "outputs" && other.is_object() {
                changed.expect("missing-key", &shown(path), changed.value);
            } else {
                changed.expect("type", &shown(path), changed.value);
            }
        }
    });
}

#[test]
fn an_emptied_value_is_found_where_it_is_missed() {
    for_each(|kind, file, path, value| {
        let other = match value {
            Value::String(_) => json!(""),
            Value::Array(_) => json!([]),
            Value::Object(_) => json!({}),
            _ => return,
        };
        let changed = changed(kind, file, path, &Change::Replaced(other.clone()));
        let parts = value.as_object();
        let has_required = parts.is_some_and(|parts| {
            parts.keys().any(|key| {
                let mut path = path.to_vec();
                path.push(Step::Key(key.clone()));
                matches!(
                    place(kind, &path),
                    Place::Required | Place::RequiredAmongOthers
                )
            })
        });
        if value.is_string() {
            changed.expect("value", &shown(path), changed.value);
        } else if has_required {
            changed.expect("missing-key", &shown(path), changed.value);
        } else if is_variants(path) {
            assert!(changed.errors.iter().all(|found| found.code == "variant"));
            assert_eq!(changed.errors.len(), 3);
        } else {
            changed.expect_none(&shown(path));
        }
    });
}
