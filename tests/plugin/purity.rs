//! What may be read: each builtin that reads a file answers as `builtins.readFile` (for Nix files `import`) of the same Nix.

use std::fs;
use std::os::unix::fs::symlink;

use super::{EMPTY, GOOD, Nix};
use crate::support::{self, Ran};

/// What Nix's own builtin says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It reads the file.
    Read,
    /// It may not; the builtins say so in the same sentence.
    Denied,
    /// It cannot, whatever is allowed.
    Failed,
    /// Nix versions differ.
    Either,
}
use Verdict::{Denied, Either, Failed, Read};

/// One way to ask for a file.
///
/// In its texts `DIR` is the folder of the test, which has the file in `in` and in `out`, and `FILE` the file's name.
struct Cell {
    name: &'static str,
    /// A line of `nix.conf`, or nothing.
    setting: &'static str,
    /// What `-I` allows.
    search: &'static str,
    store: Store,
    /// A Nix expression, the path that is asked for.
    path: &'static str,
    verdict: Verdict,
}

/// Whether evaluation may write into the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Store {
    Writable,
    ReadOnly,
}

const fn cell(
    name: &'static str,
    setting: &'static str,
    search: &'static str,
    path: &'static str,
    verdict: Verdict,
) -> Cell {
    Cell {
        name,
        setting,
        search,
        store: Store::Writable,
        path,
        verdict,
    }
}

const fn read_only(mut cell: Cell) -> Cell {
    cell.store = Store::ReadOnly;
    cell
}

const PURE: &str = "pure-eval = true";
const RESTRICTED: &str = "restrict-eval = true";
const NO_IMPORT: &str = "allow-import-from-derivation = false";

/// A derivation that makes the file.
const BUILT: &str = "(derivation { name = \"FILE\"; system = builtins.currentSystem; builder = \"/bin/sh\"; \
                     args = [ \"-c\" \"while IFS= read -r line; do echo \\\"$line\\\"; done < DIR/in/FILE > $out\" ]; })";
/// Another one.
const BUILT_LATER: &str = "(derivation { name = \"later-FILE\"; system = builtins.currentSystem; builder = \"/bin/sh\"; \
                           args = [ \"-c\" \"while IFS= read -r line; do echo \\\"$line\\\"; done < DIR/in/FILE > $out\" ]; })";
/// Out of the store, behind a folder in it.
const OUT_OF_STORE: &str = "\"${DIR/out}/../../../in/FILE\"";

const CELLS: &[Cell] = &[
    cell("a path", "", "", "DIR/in/FILE", Read),
    cell("a string", "", "", "\"DIR/in/FILE\"", Read),
    cell("a path with `..`", "", "", "\"DIR/out/../in/FILE\"", Read),
    cell("a link", "", "", "DIR/in/leaves-FILE", Read),
    cell(
        "a set with `outPath`",
        "",
        "",
        "{ outPath = \"DIR/in/FILE\"; }",
        Read,
    ),
    cell(
        "a string that is no absolute path",
        "",
        "",
        "\"in/FILE\"",
        Failed,
    ),
    cell("an empty string", "", "", "\"\"", Failed),
    cell("a missing file", "", "", "DIR/in/missing-FILE", Failed),
    cell("a link to nothing", "", "", "DIR/in/dangling-FILE", Failed),
    cell("a directory", "", "", "DIR/in/empty", Failed),
    cell("a file below a file", "", "", "DIR/in/FILE/FILE", Failed),
    cell("no path", "", "", "12", Failed),
    // Pure evaluation.
    cell("pure: a path", PURE, "", "DIR/in/FILE", Denied),
    cell("pure: a string", PURE, "", "\"DIR/in/FILE\"", Denied),
    cell(
        "pure: a missing file",
        PURE,
        "",
        "DIR/in/missing-FILE",
        Denied,
    ),
    cell(
        "pure: a search path does not help",
        PURE,
        "DIR/in",
        "DIR/in/FILE",
        Denied,
    ),
    cell(
        "pure: a store path without context",
        PURE,
        "",
        "\"STORED\"",
        Either,
    ),
    cell(
        "pure: a file made by the expression",
        PURE,
        "",
        "(builtins.toFile \"pure-FILE\" SAME)",
        Either,
    ),
    cell(
        "pure: out of the store",
        PURE,
        "",
        "\"${builtins.toFile \"pure-FILE\" SAME}/../../../in/FILE\"",
        Denied,
    ),
    // Restricted evaluation.
    cell("restricted: a path", RESTRICTED, "", "DIR/in/FILE", Denied),
    cell(
        "restricted: a string",
        RESTRICTED,
        "",
        "\"DIR/in/FILE\"",
        Denied,
    ),
    cell(
        "restricted: allowed",
        RESTRICTED,
        "DIR/in",
        "DIR/in/FILE",
        Read,
    ),
    cell(
        "restricted: the file alone is allowed",
        RESTRICTED,
        "DIR/in/FILE",
        "\"DIR/in/FILE\"",
        Read,
    ),
    cell(
        "restricted: found by its name",
        RESTRICTED,
        "it=DIR/in",
        "<it/FILE>",
        Read,
    ),
    cell(
        "restricted: allowed, but missing",
        RESTRICTED,
        "DIR/in",
        "DIR/in/missing-FILE",
        Failed,
    ),
    cell(
        "restricted: beside what is allowed",
        RESTRICTED,
        "DIR/in",
        "DIR/out/FILE",
        Denied,
    ),
    cell(
        "restricted: the allowed folder's name goes on",
        RESTRICTED,
        "DIR/in",
        "DIR/inside/FILE",
        Denied,
    ),
    cell(
        "restricted: a link stays inside",
        RESTRICTED,
        "DIR/in",
        "DIR/in/stays-FILE",
        Read,
    ),
    cell(
        "restricted: a link leaves",
        RESTRICTED,
        "DIR/in",
        "DIR/in/leaves-FILE",
        Denied,
    ),
    cell(
        "restricted: a linked folder leaves",
        RESTRICTED,
        "DIR/in",
        "DIR/in/folder/FILE",
        Denied,
    ),
    cell(
        "restricted: `..` leaves",
        RESTRICTED,
        "DIR/in",
        "\"DIR/in/../out/FILE\"",
        Denied,
    ),
    cell(
        "restricted: `..` leaves a path",
        RESTRICTED,
        "DIR/in",
        "(DIR/in + \"/../out/FILE\")",
        Denied,
    ),
    cell(
        "restricted: `..` behind a linked folder",
        RESTRICTED,
        "DIR/in",
        "\"DIR/in/folder/../out/FILE\"",
        Denied,
    ),
    cell(
        "restricted: a store path without context",
        RESTRICTED,
        "",
        "\"STORED\"",
        Either,
    ),
    cell(
        "restricted: a file made by the expression",
        RESTRICTED,
        "",
        "(builtins.toFile \"restricted-FILE\" SAME)",
        Either,
    ),
    cell(
        "restricted: out of the store",
        RESTRICTED,
        "DIR/out",
        OUT_OF_STORE,
        Denied,
    ),
    // The store.
    cell("a store path without context", "", "", "\"STORED\"", Read),
    cell(
        "a path copied to the store",
        "",
        "",
        "\"${DIR/in/FILE}\"",
        Read,
    ),
    cell(
        "a file made by the expression",
        "",
        "",
        "(builtins.toFile \"FILE\" SAME)",
        Read,
    ),
    cell("out of the store", "", "", OUT_OF_STORE, Either),
    cell(
        "a store path that is not there",
        "",
        "",
        "\"STORED-not\"",
        Failed,
    ),
    read_only(cell("read-only: a path", "", "", "DIR/in/FILE", Read)),
    read_only(cell(
        "read-only: a store path without context",
        "",
        "",
        "\"STORED\"",
        Read,
    )),
    read_only(cell(
        "read-only: a path that would be copied",
        "",
        "",
        "\"${DIR/in/fresh-FILE}\"",
        Either,
    )),
    read_only(cell(
        "read-only: a file that would be made",
        "",
        "",
        "(builtins.toFile \"fresh-FILE\" SAME)",
        Either,
    )),
    read_only(cell(
        "read-only: a file that would be built",
        "",
        "",
        BUILT,
        Either,
    )),
    // Import from derivation.
    cell("built first", "", "", BUILT, Read),
    cell(
        "built first, allowed by name",
        "allow-import-from-derivation = true",
        "",
        BUILT,
        Read,
    ),
    cell("must not be built", NO_IMPORT, "", BUILT_LATER, Denied),
    cell("was built, but must not be", NO_IMPORT, "", BUILT, Denied),
    cell(
        "pure: built first",
        PURE,
        "",
        "(derivation { name = \"FILE\"; system = \"none\"; builder = \"/bin/sh\"; args = [ \"-c\" \"exit 1\" ]; })",
        Failed,
    ),
];

/// A builtin that reads files.
struct Reader {
    /// The file that it reads, and what is in it.
    file: &'static str,
    content: String,
    /// The call; `PATH` is the path.
    call: String,
    /// The same with what Nix has.
    reference: &'static str,
}

fn readers() -> Vec<Reader> {
    let features = "{ \"foo\": { \"linux-x86_64\": { \"outputs\": [ \"out\" ] } } }\n";
    let releases = "{ foo.releases.linux-x86_64 = [ ]; }\n";
    let reader = |file, content: &str, call: &str, reference| Reader {
        file,
        content: content.to_owned(),
        call: format!("builtins.cudaRedist.{call}"),
        reference,
    };
    let read_file = "builtins.readFile PATH";
    vec![
        reader("m.json", GOOD, "readManifest PATH", read_file),
        reader("f.json", features, "readFeatures PATH", read_file),
        reader(
            "r.json",
            "{ \"foo\": { \"releases\": { \"linux-x86_64\": [ ] } } }\n",
            "readReleases PATH",
            read_file,
        ),
        reader("r.nix", releases, "readReleases PATH", "import PATH"),
        reader(
            "empty.bin",
            "",
            &format!("verifyFile {{ path = PATH; sha256 = \"{EMPTY}\"; }}"),
            read_file,
        ),
    ]
}

/// The folders that the cells speak of.
fn lay_out(nix: &Nix, readers: &[Reader]) {
    let dir = nix.path();
    for folder in ["in", "in/empty", "out", "inside", "flake"] {
        fs::create_dir(dir.join(folder)).unwrap();
    }
    symlink("../out", dir.join("in/folder")).unwrap();
    for Reader { file, content, .. } in readers {
        for folder in ["in", "out", "inside", "flake"] {
            nix.write(&format!("{folder}/{file}"), content);
        }
        // Of another content, so that no other cell has put it into the store.
        nix.write(&format!("in/fresh-{file}"), format!("{content}\n"));
        for (target, link) in [
            (format!("../out/{file}"), format!("in/leaves-{file}")),
            (file.to_string(), format!("in/stays-{file}")),
            ("nothing".to_owned(), format!("in/dangling-{file}")),
            (file.to_string(), format!("flake/stays-{file}")),
            (
                dir.join("in").join(file).display().to_string(),
                format!("flake/leaves-{file}"),
            ),
        ] {
            symlink(target, dir.join(link)).unwrap();
        }
    }
}

/// The last sentence of an error: older versions of Nix begin with it, newer ones show where it happened before.
fn sentence(ran: &Ran) -> &str {
    let lines = ran.stderr.lines().map(str::trim_start);
    lines
        .filter_map(|line| line.strip_prefix("error: "))
        .next_back()
        .unwrap_or_else(|| panic!("no error: {}", ran.stderr))
}

/// Panics unless both answers are the same, and as `expected`; returns whether the file was read.
#[track_caller]
fn compare(what: &str, reference: &Ran, ours: &Ran, expected: Verdict) -> bool {
    assert!(
        reference.code >= 0,
        "{what}: Nix itself crashed: {}",
        reference.stderr
    );
    let read = reference.code == 0;
    let said = format!(
        "{what}\nreference: {}{}\nours: {}{}",
        reference.stdout, reference.stderr, ours.stdout, ours.stderr
    );
    assert_eq!(ours.code, reference.code, "{said}");
    match expected {
        Read => assert!(read, "{said}"),
        Denied | Failed => assert!(!read, "{said}"),
        Either => {}
    }
    // Why not: the evaluator's own words, unless the file itself is at fault.
    if !read && expected != Failed {
        assert!(ours.stderr.contains(sentence(reference)), "{said}");
    }
    read
}

#[test]
fn every_file_is_read_if_and_only_if_readfile_reads_it() {
    let Some(nix) = Nix::new("plugin::every_file_is_read_if_and_only_if") else {
        return;
    };
    let readers = readers();
    lay_out(&nix, &readers);
    let dir = nix.path();
    let stored = |reader: &Reader| nix.0.add_fixed(&dir.join("in").join(reader.file));
    let stored: Vec<String> = readers.iter().map(stored).collect();
    let dir = dir.display().to_string();
    let evaluate = |cell: &Cell, expression: String| {
        let mut command = nix.command("nix-instantiate");
        command.args(["--eval", "-E", &expression]);
        if cell.store == Store::Writable {
            command.arg("--read-write-mode");
        }
        if let Some((name, value)) = cell.setting.split_once(" = ") {
            command.args(["--option", name, value]);
        }
        if !cell.search.is_empty() {
            command.args([
                "-I",
                &cell
                    .search
                    .replace("DIR", &dir)
                    .replace("FILE", readers[0].file),
            ]);
        }
        support::run(&mut command)
    };
    let mut read = 0;
    for cell in CELLS {
        let call = |number: usize, call: &str| {
            let Reader { file, content, .. } = &readers[number];
            let path = cell
                .path
                .replace("SAME", &serde_json::to_string(content).unwrap())
                .replace("STORED", &stored[number])
                .replace("DIR", &dir)
                .replace("FILE", file);
            format!("(builtins.seq ({}) true)", call.replace("PATH", &path))
        };
        let ours = |number: usize| call(number, &readers[number].call);
        let reference = |number: usize| call(number, readers[number].reference);
        let is_for_all = !cell.search.contains("FILE");
        if cell.verdict == Read && is_for_all {
            // All of them in one evaluation.
            let calls = (0..readers.len()).flat_map(|number| [ours(number), reference(number)]);
            let all = calls.collect::<String>();
            let ran = evaluate(cell, format!("builtins.all (it: it) [{all}]"));
            assert_eq!(
                (ran.code, ran.stdout.trim()),
                (0, "true"),
                "{}: {}",
                cell.name,
                ran.stderr
            );
            read += 1;
            continue;
        }
        // Ours first: what it should not have put into the store would else be there.
        let of_each = |call: &(dyn Fn(usize) -> String + Sync)| {
            std::thread::scope(|scope| {
                let numbers = 0..if is_for_all { readers.len() } else { 1 };
                let run = |number| scope.spawn(move || evaluate(cell, call(number)));
                let running: Vec<_> = numbers.map(run).collect();
                running
                    .into_iter()
                    .map(|it| it.join().unwrap())
                    .collect::<Vec<Ran>>()
            })
        };
        let (ours, references) = (of_each(&ours), of_each(&reference));
        let mut verdicts =
            readers
                .iter()
                .zip(references.iter().zip(&ours))
                .map(|(reader, (reference, ours))| {
                    compare(
                        &format!("{}, {}", reader.call, cell.name),
                        reference,
                        ours,
                        cell.verdict,
                    )
                });
        let first = verdicts.next().unwrap();
        assert!(
            verdicts.all(|it| it == first),
            "{}: readFile and import differ",
            cell.name
        );
        read += usize::from(first);
    }
    assert!(
        read >= 15 && CELLS.len() - read >= 25,
        "{read} of {}",
        CELLS.len()
    );
}

#[test]
fn a_flake_reads_its_own_tree() {
    let test = "plugin::a_flake_reads_its_own_tree";
    let Some(nix) = Nix::new(test) else { return };
    let readers = readers();
    lay_out(&nix, &readers);
    let cells = [
        ("its own file", "./FILE", Read),
        ("its own file as a string", "\"${./FILE}\"", Read),
        ("its own file in its source", "\"${self}/FILE\"", Read),
        ("a link inside of it", "./stays-FILE", Read),
        ("a missing file", "./missing-FILE", Failed),
        ("a path outside", "DIR/in/FILE", Denied),
        ("a string outside", "\"DIR/in/FILE\"", Denied),
        ("a link that leaves", "./leaves-FILE", Denied),
        (
            "`..` out of the tree",
            "(./. + \"/../../../in/FILE\")",
            Denied,
        ),
        (
            "`..` out of its source",
            "\"${self}/../../../in/FILE\"",
            Denied,
        ),
    ];
    let dir = nix.path().display().to_string();
    let mut outputs = String::new();
    for (number, reader) in readers.iter().enumerate() {
        for (cell, (_, path, _)) in cells.iter().enumerate() {
            for (kind, call) in [("ours", reader.call.as_str()), ("theirs", reader.reference)] {
                let call = call
                    .replace("PATH", path)
                    .replace("DIR", &dir)
                    .replace("FILE", reader.file);
                outputs.push_str(&format!(
                    "{kind}-{number}-{cell} = builtins.seq ({call}) true;\n"
                ));
            }
        }
    }
    nix.write(
        "flake/flake.nix",
        format!("{{ outputs = {{ self }}: {{\n{outputs}}}; }}\n"),
    );
    let evaluate = |output: String| {
        let mut command = nix.command("nix");
        support::run(
            command
                .args(["eval", "--no-eval-cache"])
                .arg(format!("path:{dir}/flake#{output}")),
        )
    };
    for (number, reader) in readers.iter().enumerate() {
        for (cell, (name, _, verdict)) in cells.iter().enumerate() {
            let ours = evaluate(format!("ours-{number}-{cell}"));
            let reference = evaluate(format!("theirs-{number}-{cell}"));
            compare(
                &format!("{}, {name}", reader.call),
                &reference,
                &ours,
                *verdict,
            );
        }
    }
}

#[test]
fn results_have_the_context_that_nix_would_give_them() {
    let Some(nix) = Nix::new("plugin::results_have_the_context") else {
        return;
    };
    let manifest = nix.write("m.json", GOOD);
    let manifest = manifest.display();
    nix.write("empty", "");
    nix.write(
        "r.nix",
        "let hash = builtins.substring 0 52 (builtins.toFile \"x\" \"\"); in { foo.releases.linux-sbsa = [ { version = \"1.2.3.4\"; \
         minCudaVersion = \"11.0\"; maxCudaVersion = \"11.8\"; url = \"https://a/${builtins.toFile \"y\" \"\"}/x-1.2.3.4.tar.gz\"; \
         hash = \"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"; filename = \"x\" + builtins.substring 0 0 hash; } ]; }",
    );
    let verify = format!("p: builtins.cudaRedist.verifyFile {{ path = p; sha256 = \"{EMPTY}\"; }}");
    // Each pair: what ours gives, what Nix gives; compared with all context in them.
    for (ours, theirs) in [
        // A file's content does not depend on how it is reached.
        (
            format!("(builtins.cudaRedist.readManifest \"${{{manifest}}}\").foo.name"),
            format!("(builtins.fromJSON (builtins.readFile \"${{{manifest}}}\")).foo.name"),
        ),
        (
            "(builtins.head (builtins.cudaRedist.readReleases ./r.nix).foo.releases.linux-sbsa).url".to_owned(),
            "(builtins.head (import ./r.nix).foo.releases.linux-sbsa).url".to_owned(),
        ),
        (
            "(builtins.head (builtins.cudaRedist.readReleases ./r.nix).foo.releases.linux-sbsa).filename".to_owned(),
            "(builtins.head (import ./r.nix).foo.releases.linux-sbsa).filename".to_owned(),
        ),
        (format!("({verify}) \"${{./empty}}\""), "\"${./empty}\"".to_owned()),
        (
            format!("({verify}) (builtins.toFile \"z\" \"\" + builtins.substring 0 0 (builtins.toFile \"other\" \"\"))"),
            "builtins.toFile \"z\" \"\" + builtins.substring 0 0 (builtins.toFile \"other\" \"\")".to_owned(),
        ),
        (
            format!("toString (({verify}) ./empty)"),
            "toString ./empty".to_owned(),
        ),
        (
            "builtins.cudaRedist.check \"string\" \"${./empty}/a\"".to_owned(),
            "\"${./empty}/a\"".to_owned(),
        ),
    ] {
        let both = nix.value(&format!(
            "map (it: [ it (builtins.getContext it) ]) [ ({ours}) ({theirs}) ]"
        ));
        let both: [serde_json::Value; 2] = serde_json::from_str(&both).unwrap();
        assert_eq!(both[0], both[1], "{ours}");
    }
    // What could not be carried is refused, as by `fromJSON`.
    let referring = "let other = builtins.toFile \"other\" \"\"; in builtins.toFile \"m.json\" \"{ \\\"a\\\": \\\"${other}\\\" }\"";
    for call in [
        "builtins.cudaRedist.readManifest",
        "builtins.cudaRedist.readFeatures",
        "builtins.cudaRedist.readReleases",
        "(file: builtins.fromJSON (builtins.readFile file))",
    ] {
        let ran = nix.eval(&format!("{call} ({referring})")).expect(1);
        assert!(ran.stderr.contains("-other"), "{call}: {}", ran.stderr);
    }
}
