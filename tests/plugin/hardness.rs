//! What must not end in a crash, a hang or another answer: garbage collection at every allocation, Ctrl-C, deep and huge input.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{EMPTY, GOOD, Nix, quoted};
use crate::support::{self, Ran};

/// What collects at every allocation, compiled; `None` after a visible skip.
fn collector(test: &str, nix: &Nix) -> Option<PathBuf> {
    let compiler = support::tool(test, "cc")?;
    let library = nix.path().join("collect_always.so");
    let mut compile = Command::new(compiler);
    compile
        .args(["-O1", "-shared", "-fPIC", "-o"])
        .arg(&library);
    support::run(
        compile
            .arg(support::root().join("tests/plugin/collect_always.c"))
            .arg("-ldl"),
    )
    .expect(0);
    Some(library)
}

#[test]
fn results_are_the_same_when_garbage_is_collected_at_every_allocation() {
    let test = "plugin::results_are_the_same_when_garbage";
    let Some(nix) = Nix::new(test) else { return };
    let Some(collector) = collector(test, &nix) else {
        return;
    };
    nix.write("m.json", GOOD);
    nix.write("bad.json", GOOD.replace("\"0\"", "0"));
    nix.write(
        "f.json",
        "{ \"foo\": { \"linux-x86_64\": { \"outputs\": [ \"out\" ] } } }",
    );
    let release = "{ version = \"8.9.7.29\"; minCudaVersion = \"11.0\"; maxCudaVersion = \"11.8\"; \
                   hash = \"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"; url = \"https://a/${toString 1}.tar.gz\"; }";
    nix.write(
        "r.nix",
        format!("{{ foo.releases.linux-sbsa = map (n: {release}) [ 1 2 3 ]; }}"),
    );
    nix.write("empty", "");
    let manifest = large_manifest(60);
    nix.write("large.json", &manifest);
    let expressions = [
        "readManifest ./large.json".to_owned(),
        "readManifest ./m.json".to_owned(),
        "readFeatures ./f.json".to_owned(),
        "readReleases ./r.nix".to_owned(),
        format!("verifyFile {{ path = \"${{./empty}}\"; sha256 = \"{EMPTY}\"; }}"),
        "shapes".to_owned(),
        "check { list = { oneOf = [ \"7\" \"8\" ]; }; } (map toString [ 7 8 7 ])".to_owned(),
        "problems { list = { oneOf = map toString [ 1 2 ]; }; } (builtins.genList (n: toString (n + 7)) 200)".to_owned(),
        "problems \"redistrib\" (builtins.fromJSON (builtins.readFile ./bad.json))".to_owned(),
        "problems \"releases\" (import ./r.nix // { x = map (n: { a = n; }) [ 1 2 ]; })".to_owned(),
        // A thrown error, and one of the user's, leave nothing behind.
        "check \"anything\" (map (n: (builtins.tryEval (builtins.cudaRedist.readManifest ./bad.json)).success) [ 1 2 3 ])".to_owned(),
        "check \"anything\" (builtins.tryEval (builtins.cudaRedist.check { list = \"version\"; } (builtins.genList (n: if n == 50 then throw \"x\" else \"1.2\") 60))).success"
            .to_owned(),
    ];
    for expression in expressions {
        let evaluate = |collector: Option<&Path>| {
            let mut command = nix.command("nix-instantiate");
            // In a file: the positions of attributes are looked up, too.
            let file = nix.write(
                "expression.nix",
                format!("builtins.cudaRedist.{expression}"),
            );
            command
                .args(["--eval", "--strict", "--json", "--read-write-mode"])
                .arg(file);
            if let Some(collector) = collector {
                // Behind what `scripts/sanitize` may have there already.
                let preloaded = command.get_envs().find(|(name, _)| *name == "LD_PRELOAD");
                let mut all = preloaded
                    .and_then(|(_, value)| value)
                    .unwrap_or_default()
                    .to_owned();
                all.push(" ");
                all.push(collector);
                command
                    .env("LD_PRELOAD", all)
                    // A small heap is collected sooner.
                    .env("GC_INITIAL_HEAP_SIZE", "1000000");
            }
            support::run(&mut command).expect(0)
        };
        let (stressed, plain) = (evaluate(Some(&collector)), evaluate(None));
        assert_eq!(stressed.stdout, plain.stdout, "{expression}");
        let collections = stressed
            .stderr
            .lines()
            .find_map(|line| line.strip_prefix("collections: "));
        let collections: usize = collections.expect("it says how often").parse().unwrap();
        assert!(collections > 10, "{expression}: {collections} collections");
    }
}

/// A manifest of this many packages, all fine.
fn large_manifest(packages: usize) -> String {
    let mut text = "{\n  \"release_label\": \"1.0\"".to_owned();
    for number in 0..packages {
        let package = GOOD
            .split_once("\"foo\": ")
            .and_then(|(_, rest)| rest.rsplit_once('}'))
            .unwrap()
            .0
            .replace("e3b0c442", &format!("{number:08x}"))
            .replace("d41d8cd9", &format!("{number:08x}"))
            .replace("foo/a.tar", &format!("foo/a{number}.tar"));
        text.push_str(&format!(",\n  \"p{number}\": {package}"));
    }
    text + "}\n"
}

/// A Nix at work. Ended when dropped.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Running {
        let piped = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Running(piped.spawn().unwrap())
    }

    fn interrupt(&self) {
        // The shell's own `kill`: a bare system has no program of that name.
        let kill = format!("kill -INT {}", self.0.id());
        support::run(Command::new("sh").args(["-c", &kill])).expect(0);
    }

    /// How much processor time it has used: on a busy machine, what it does to the clock says little.
    fn used(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        // Behind the name, which ends with the last parenthesis: user and system time are fields 14 and 15, in 1/100 s.
        let fields = stat.rsplit_once(')').unwrap().1.split_whitespace();
        let ticks: u64 = fields
            .skip(11)
            .take(2)
            .map(|field| field.parse::<u64>().unwrap())
            .sum();
        Duration::from_millis(ticks * 10)
    }

    /// Waits until it has worked for `time` from now on; fails when it ends before.
    fn work(&mut self, time: Duration) {
        let (started, before) = (Instant::now(), self.used());
        while self.used() < before + time {
            assert!(
                self.0.try_wait().unwrap().is_none(),
                "it was done before it could be interrupted"
            );
            assert!(
                started.elapsed() < Duration::from_secs(120),
                "it does not work"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn say(&mut self, line: &str) {
        let stdin = self.0.stdin.as_mut().unwrap();
        writeln!(stdin, "{line}").unwrap();
        stdin.flush().unwrap();
    }

    /// What it said, and the processor time that it used in all.
    fn end(mut self) -> (Ran, Duration) {
        drop(self.0.stdin.take());
        let mut stderr = self.0.stderr.take().unwrap();
        let (mut said, mut told) = (Vec::new(), Vec::new());
        std::thread::scope(|scope| {
            scope.spawn(|| stderr.read_to_end(&mut told).unwrap());
            self.0
                .stdout
                .take()
                .unwrap()
                .read_to_end(&mut said)
                .unwrap();
        });
        let used = self.used();
        let ran = Ran {
            code: self.0.wait().unwrap().code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&said).into_owned(),
            stderr: String::from_utf8_lossy(&told).into_owned(),
        };
        (ran, used)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A file of 128 GiB that takes no space, but minutes to hash.
fn huge(nix: &Nix) -> String {
    let file = nix.write("huge", "");
    File::options()
        .write(true)
        .open(&file)
        .unwrap()
        .set_len(1 << 37)
        .unwrap();
    format!(
        "builtins.cudaRedist.verifyFile {{ path = {}; sha256 = \"{EMPTY}\"; }}",
        quoted(&file)
    )
}

#[test]
fn long_work_can_be_interrupted() {
    let Some(nix) = Nix::new("plugin::long_work_can_be_interrupted") else {
        return;
    };
    let large = nix.write("large.json", large_manifest(40_000));
    let large = large.display();
    for expression in [
        huge(&nix),
        // Everything in it is a value already.
        "builtins.cudaRedist.problems { list = { list = \"sha256\"; }; } (let l = builtins.genList toString 10000; in \
         builtins.deepSeq l (builtins.genList (n: l) 2000))"
            .to_owned(),
        format!("builtins.foldl' (sum: n: builtins.seq (builtins.cudaRedist.readManifest {large}) (sum + n)) 0 (builtins.genList (n: n) 160)"),
    ] {
        let mut command = nix.command("nix-instantiate");
        let mut running = Running::start(command.args(["--eval", "-E", &expression]));
        running.work(Duration::from_millis(800));
        running.interrupt();
        let before = running.used();
        let (ran, used) = running.end();
        assert!(ran.code > 0 && ran.stderr.contains("interrupted by the user"), "{expression}: {}", ran.stderr);
        assert!(used - before < Duration::from_secs(1), "{expression}: went on for {:?}", used - before);
    }
}

#[test]
fn an_interrupt_leaves_nothing_behind() {
    let Some(nix) = Nix::new("plugin::an_interrupt_leaves_nothing_behind") else {
        return;
    };
    let huge = huge(&nix);
    nix.write("empty", "");
    nix.write("m.json", GOOD);
    let mut command = nix.command("nix");
    let mut running = Running::start(command.arg("repl").env("TERM", "dumb"));
    running.say(&huge);
    running.work(Duration::from_millis(500));
    // Once: Nix 2.8 itself forgets to listen for a second one.
    running.interrupt();
    running.say(&format!("toString (builtins.cudaRedist.verifyFile {{ path = ./empty; sha256 = \"{EMPTY}\"; }}) == toString ./empty"));
    running.say("(builtins.cudaRedist.readManifest ./m.json).foo.license + \"icence\"");
    running.say("builtins.length (builtins.cudaRedist.problems \"version\" \"x\") + 41");
    let (ran, _) = running.end();
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.code, 0, "{said}");
    assert_eq!(said.matches("interrupted by the user").count(), 1, "{said}");
    for words in ["true", "Licence", "42"] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

/// Runs a Nix that has a stack of this many KiB.
fn with_stack(nix: &Nix, kibibytes: usize, expression: &str) -> Ran {
    let mut nix = nix.command("nix-instantiate");
    nix.args(["--eval", "--strict", "--json", "-E", expression]);
    let mut command = Command::new("sh");
    command
        .args([
            "-c",
            &format!("ulimit -s {kibibytes} && exec \"$0\" \"$@\""),
        ])
        .arg(nix.get_program())
        .args(nix.get_args());
    command.current_dir(nix.get_current_dir().unwrap());
    for (name, value) in nix.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    support::run(&mut command)
}

#[test]
fn deep_input_needs_no_stack() {
    let Some(nix) = Nix::new("plugin::deep_input_needs_no_stack") else {
        return;
    };
    for kibibytes in [1024, 8192] {
        for depth in [128, 1000, 100_000, 2_000_000] {
            nix.write("lists.json", "[".repeat(depth) + &"]".repeat(depth));
            nix.write(
                "sets.json",
                "{\"a\":".repeat(depth) + "1" + &"}".repeat(depth),
            );
            for (reader, file) in [
                ("readManifest", "lists"),
                ("readFeatures", "sets"),
                ("readReleases", "sets"),
            ] {
                let call = format!("builtins.cudaRedist.{reader} ./{file}.json");
                let ran = with_stack(&nix, kibibytes, &call).expect(1);
                assert!(
                    ran.stderr.contains("at most 127 levels of nesting"),
                    "{call}: {}",
                    ran.stderr
                );
                let caught = with_stack(
                    &nix,
                    kibibytes,
                    &format!("(builtins.tryEval ({call})).success"),
                )
                .expect(0);
                assert_eq!(caught.stdout.trim(), "false", "{call}");
            }
        }
        // As deep as a text may be; it has another shape.
        nix.write("sets.json", "{\"a\":".repeat(127) + "1" + &"}".repeat(127));
        let ran = with_stack(
            &nix,
            kibibytes,
            "builtins.cudaRedist.readManifest ./sets.json",
        )
        .expect(1);
        assert!(ran.stderr.contains("expected"), "{}", ran.stderr);
        // Values of Nix, by a shape that is as deep as one may be.
        let deep = |what: &str| {
            format!("builtins.foldl' (a: n: {what}) \"a\" (builtins.genList (n: n) 200000)")
        };
        let shape = |depth: usize| {
            format!(
                "(builtins.foldl' (a: n: {{ list = a; }}) \"anything\" (builtins.genList (n: n) {depth}))"
            )
        };
        for (shape, value, problems) in [
            (shape(31), deep("[ a ]"), 0),
            ("{ list = \"version\"; }".to_owned(), deep("[ a a ]"), 2),
            ("\"releases\"".to_owned(), deep("{ releases = a; }"), 1),
            ("\"anything\"".to_owned(), deep("{ inherit a; }"), 0),
        ] {
            let call = format!("builtins.length (builtins.cudaRedist.problems {shape} ({value}))");
            let ran = with_stack(&nix, kibibytes, &call).expect(0);
            assert_eq!(ran.stdout.trim(), problems.to_string(), "{call}");
        }
        let endless = format!(
            "builtins.cudaRedist.check {} 1",
            deep("{ list = a; }").replace("builtins.foldl'", "(builtins.foldl'") + ")"
        );
        let ran = with_stack(&nix, kibibytes, &endless).expect(1);
        assert!(ran.stderr.contains("at most 32 levels"), "{}", ran.stderr);
    }
    // What exhausts the evaluator's own stack ends as it does without us: by its own error.
    let recursion = "(let f = n: 1 + f (n + 1); in f 0)";
    let theirs = nix.eval(&format!("builtins.seq {recursion} 1"));
    let ours = nix.eval(&format!(
        "builtins.cudaRedist.problems \"version\" {recursion}"
    ));
    assert!(
        theirs.code > 0 && theirs.stderr.contains("stack overflow"),
        "{}",
        theirs.stderr
    );
    assert!(
        ours.code == theirs.code && ours.stderr.contains("stack overflow"),
        "{}",
        ours.stderr
    );
}

/// Runs a Nix; and the most memory it ever had, in MB.
fn measured(command: &mut Command) -> (Ran, u64) {
    let mut running = Running::start(command);
    let status = format!("/proc/{}/status", running.0.id());
    let mut most = 0;
    while running.0.try_wait().unwrap().is_none() {
        let status = fs::read_to_string(&status).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = peak.and_then(|peak| peak.split_whitespace().next()?.parse().ok());
        most = most.max(kilobytes.unwrap_or(0) / 1000);
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut ran = Ran {
        code: running.0.wait().unwrap().code().unwrap_or(-1),
        stdout: String::new(),
        stderr: String::new(),
    };
    running
        .0
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut ran.stdout)
        .unwrap();
    running
        .0
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut ran.stderr)
        .unwrap();
    (ran, most)
}

#[test]
fn a_gigabyte_is_refused_and_not_copied() {
    let Some(nix) = Nix::new("plugin::a_gigabyte_is_refused") else {
        return;
    };
    let file = nix.path().join("gigabyte.json");
    let mut writer = File::create(&file).unwrap();
    let spaces = vec![b' '; 1 << 24];
    for _ in 0..64 {
        writer.write_all(&spaces).unwrap();
    }
    drop(writer);
    let evaluate = |expression: &str| {
        let mut command = nix.command("nix-instantiate");
        measured(command.args(["--eval", "--strict", "--json", "-E", expression]))
    };
    let (plain, own) = evaluate("builtins.stringLength (builtins.readFile ./gigabyte.json)");
    assert_eq!(plain.expect(0).stdout.trim(), "1073741824");
    assert!(own > 1000, "{own} MB");
    for (expression, code, said) in [
        (
            "builtins.cudaRedist.readManifest ./gigabyte.json",
            1,
            "gigabyte.json: expected a text of at most 16777216 bytes, found 1073741824 bytes",
        ),
        (
            "map (p: p.found) (builtins.cudaRedist.problems \"sha256\" (builtins.readFile ./gigabyte.json))",
            0,
            "1073741824 characters",
        ),
        (
            "builtins.stringLength (builtins.cudaRedist.check \"string\" (builtins.readFile ./gigabyte.json))",
            0,
            "1073741824",
        ),
    ] {
        let (ran, most) = evaluate(expression);
        let ran = ran.expect(code);
        let all = format!("{}{}", ran.stdout, ran.stderr);
        assert!(all.contains(said), "{expression}: {all}");
        assert!(
            most < own + 100,
            "{expression}: {most} MB, {own} MB by Nix alone"
        );
    }
}

#[test]
fn errors_are_caught_and_placed_like_those_of_nix() {
    let Some(nix) = Nix::new("plugin::errors_are_caught_and_placed") else {
        return;
    };
    nix.write("bad.json", "[]");
    nix.write("bad.nix", "[ ]");
    nix.write("m.json", GOOD);
    // What each builtin refuses, and what is no question of content at all.
    let refused = [
        "readManifest ./bad.json",
        "readFeatures ./bad.json",
        "readReleases ./bad.json",
        "readReleases ./bad.nix",
        "check \"version\" \"x\"",
        "verifyFile { path = ./m.json; sha256 = \"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"; }",
    ];
    let wrong = [
        "readManifest (builtins.toFile \"m\" \"${builtins.toFile \"o\" \"\"}\")",
        "check \"vresion\" \"x\"",
        "problems { matches = \"(\"; } \"x\"",
        "verifyFile { path = ./m.json; }",
        "verifyFile { path = ./.; sha256 = \"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"; }",
    ];
    let evaluate = |content: String| {
        let file = nix.write("call.nix", content);
        let mut command = nix.command("nix-instantiate");
        support::run(
            command
                .args(["--eval", "--strict", "--json", "--read-write-mode"])
                .arg(file),
        )
    };
    for (calls, is_caught) in [(refused.as_slice(), true), (wrong.as_slice(), false)] {
        for call in calls {
            // What `throw` and a failed `fromJSON` are caught like.
            let like = if is_caught {
                "throw \"x\""
            } else {
                "builtins.fromJSON \"{\""
            };
            for call in [format!("builtins.cudaRedist.{call}"), like.to_owned()] {
                let ran = evaluate(format!("(builtins.tryEval ({call})).success"));
                let caught = (ran.code, ran.stdout.trim()) == (0, "false");
                assert_eq!(caught, is_caught, "{call}: {}{}", ran.stdout, ran.stderr);
            }
            // The call stands at 3:11, however far its arguments go on.
            let ran = evaluate(format!(
                "let\n  a = 1;\n  value = builtins.cudaRedist.{}; in\nvalue",
                call.replacen(' ', "\n    ", 1)
            ))
            .expect(1);
            assert!(
                ran.stderr.contains("call.nix:3:11"),
                "{call}: {}",
                ran.stderr
            );
        }
    }
    // An error of the evaluator inside of the call is shown as it is by the builtin that it comes from.
    for (call, theirs) in [
        ("readManifest ./missing", "readFile ./missing"),
        ("readReleases ./missing.nix", "import ./missing.nix"),
        (
            "check \"version\" (throw \"of the user\")",
            "stringLength (throw \"of the user\")",
        ),
        (
            "check \"version\" ({ }.missing)",
            "stringLength ({ }.missing)",
        ),
        (
            "problems (abort \"of the user\") 1",
            "stringLength (abort \"of the user\")",
        ),
        (
            "verifyFile { sha256 = { }.missing; path = 1; }",
            "stringLength ({ }.missing)",
        ),
    ] {
        let ours = evaluate(format!("builtins.cudaRedist.{call}")).expect(1);
        let theirs = evaluate(format!("builtins.{theirs}")).expect(1);
        let message = |ran: &Ran| {
            let last = ran
                .stderr
                .lines()
                .map(str::trim)
                .rfind(|line| line.starts_with("error: "));
            last.unwrap_or_default().to_owned()
        };
        assert!(!message(&theirs).is_empty(), "{}", theirs.stderr);
        assert_eq!(message(&ours), message(&theirs), "{call}");
        let caught =
            |call: &str| evaluate(format!("(builtins.tryEval (builtins.{call})).success")).code;
        assert_eq!(
            caught(&format!("cudaRedist.{call}")) == 0,
            call.contains("throw"),
            "{call}"
        );
    }
}
