//! The commands on many files at once, among them several names of one file.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use cuda_redist::elf::{self, Edit, Writing};

use super::Target;
use super::built::{MAIN, MIDDLE, far, runs};
use crate::support;

/// Races show up only now and then.
const ROUNDS: usize = 50;

/// A program that finds its library by its RUNPATH, and the folder of that library.
fn program(target: &Target, dir: &Path) -> (PathBuf, PathBuf) {
    let far = far(target, dir);
    let file = dir.join("program");
    let source = format!("{MIDDLE}{}", MAIN.replace("int middle_value(void);", ""));
    target.compile(&source, &[&format!("-L{}", far.display()), "-lfar"], &file);
    (file, far)
}

/// Symbolic links, hard links and the same name twice: each name has its turn, one after the other, and the file is edited once.
#[test]
fn several_names_of_one_file() {
    let test = "elf::many::several_names_of_one_file";
    let Some(target) = Target::host(test) else {
        return;
    };
    let dir = support::dir();
    let (original, far) = program(&target, dir.path());
    let runpath = format!("{}:/{}", far.display(), "x".repeat(300));
    let other = dir.path().join("other");
    for round in 0..ROUNDS {
        let folder = dir.path().join(round.to_string());
        std::fs::create_dir(&folder).unwrap();
        let at = |name: &str| folder.join(name);
        std::fs::copy(&original, at("file")).unwrap();
        std::fs::copy(&original, &other).unwrap();
        std::fs::hard_link(at("file"), at("hard")).unwrap();
        std::os::unix::fs::symlink("file", at("link")).unwrap();
        std::os::unix::fs::symlink("link", at("link-to-link")).unwrap();
        let mut command = Command::new(support::program());
        command.args(["elf", "set-runpath", &runpath]);
        let names = [
            at("link-to-link"),
            at("file"),
            other.clone(),
            at("hard"),
            at("link"),
            at("file"),
        ];
        let ran = support::run(command.args(&names)).expect(0);
        let told: Vec<(&str, &str)> = ran
            .stdout
            .lines()
            .map(|line| {
                (
                    line.split(' ').next().unwrap(),
                    line.rsplit('/').next().unwrap(),
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ("P3", "link-to-link"),
                ("S0", "file"),
                ("P3", "other"),
                ("S0", "hard"),
                ("S0", "link"),
                ("S0", "file"),
            ]
        );
        runs(&target, &at("file"), &format!("round {round}"));
        let bytes = |file: &Path| std::fs::read(file).unwrap();
        assert!(bytes(&at("file")) == bytes(&other), "round {round}");
    }
    // Also where an edit depends on the one before.
    let mut command = Command::new(support::program());
    command.args(["patchelf", "--add-rpath", "/more"]);
    support::run(command.args([&original; 4])).expect(0);
    let facts = elf::read(&original).unwrap().unwrap();
    assert_eq!(facts.runpath.as_deref(), Some("/more:/more:/more:/more"));
}

/// Processes that edit one file at the same time wait for each other: the file is what the last of them made of it.
#[test]
fn several_processes() {
    let test = "elf::many::several_processes";
    let Some(target) = Target::host(test) else {
        return;
    };
    let dir = support::dir();
    let (original, far) = program(&target, dir.path());
    let file = dir.path().join("file");
    for round in 0..ROUNDS {
        std::fs::copy(&original, &file).unwrap();
        let runpaths: Vec<String> = (1..=4)
            .map(|number| format!("{}:/{}", far.display(), "x".repeat(100 * number)))
            .collect();
        let start = |runpath: &String| -> Child {
            let mut command = Command::new(support::program());
            command.args(["elf", "set-runpath", runpath]).arg(&file);
            command.stdout(Stdio::null()).spawn().unwrap()
        };
        let children: Vec<Child> = runpaths.iter().map(start).collect();
        for mut child in children {
            assert!(child.wait().unwrap().success(), "round {round}");
        }
        let runpath = elf::read(&file).unwrap().unwrap().runpath.unwrap();
        assert!(runpaths.contains(&runpath), "round {round}: {runpath}");
        runs(&target, &file, &format!("round {round}"));
    }
}

/// Who waited for the lock edits what has the name then, not the file that an edited copy has replaced meanwhile.
#[test]
fn a_replaced_file_is_opened_again() {
    let test = "elf::many::a_replaced_file_is_opened_again";
    let Some(target) = Target::host(test) else {
        return;
    };
    let dir = support::dir();
    let (file, _) = program(&target, dir.path());
    let new = dir.path().join("new");
    std::fs::copy(&file, &new).unwrap();
    let held = std::fs::File::open(&file).unwrap();
    held.lock().unwrap();
    let name = file.clone();
    let waiting =
        std::thread::spawn(move || elf::edit(&name, &Edit::runpath("/waited"), Writing::InPlace));
    let inode = std::os::unix::fs::MetadataExt::ino(&held.metadata().unwrap());
    let is_waiting = || {
        let locks = std::fs::read_to_string("/proc/locks").unwrap();
        let ours = format!(":{inode} ");
        locks
            .lines()
            .any(|line| line.contains("-> FLOCK") && line.contains(&ours))
    };
    let start = std::time::Instant::now();
    while !is_waiting() {
        assert!(
            !waiting.is_finished() && start.elapsed().as_secs() < 60,
            "nobody waits for the lock"
        );
        std::thread::yield_now();
    }
    std::fs::rename(&new, &file).unwrap();
    drop(held);
    waiting.join().unwrap().unwrap();
    let facts = elf::read(&file).unwrap().unwrap();
    assert_eq!(facts.runpath.as_deref(), Some("/waited"));
}

/// RUNPATH and RPATH go; what has neither is not touched.
#[test]
fn a_runpath_is_removed() {
    let test = "elf::many::a_runpath_is_removed";
    let Some(target) = Target::host(test) else {
        return;
    };
    let dir = support::dir();
    let tags: [(&str, &[&str]); 3] = [
        ("runpath", &["-Wl,--enable-new-dtags,-rpath,/old/path"]),
        ("rpath", &["-Wl,--disable-new-dtags,-rpath,/old/path"]),
        ("none", &[]),
    ];
    let files = tags.map(|(name, flags)| {
        let file = dir.path().join(name);
        target.compile("int main(void) { return 0; }", flags, &file);
        file
    });
    for rungs in [["S1", "S1", "S0"], ["S0"; 3]] {
        let mut command = Command::new(support::program());
        let ran = support::run(command.args(["elf", "remove-runpath"]).args(&files)).expect(0);
        let told: Vec<_> = ran.stdout.lines().map(|line| &line[..2]).collect();
        assert_eq!(told, rungs);
        for file in &files {
            let facts = elf::read(file).unwrap().unwrap();
            assert_eq!((facts.runpath, facts.rpath), (None, None), "{file:?}");
            let bytes = std::fs::read(file).unwrap();
            assert!(!bytes.windows(9).any(|text| text == b"/old/path"));
            assert_eq!(target.run(file, &[]).code, 0, "{file:?}");
        }
    }
}

/// A folder that cannot be read hides nothing but itself, and each such folder is told.
#[test]
fn folders_that_cannot_be_read() {
    let test = "elf::many::folders_that_cannot_be_read";
    let (Some(target), Some(cp), Some(setpriv)) = (
        Target::host(test),
        support::tool(test, "cp"),
        support::tool(test, "setpriv"),
    ) else {
        return;
    };
    let dir = support::dir();
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    };
    let top = dir.path().join("top");
    let at = |name: &str| top.join(name);
    for name in ["closed-1", "closed-2", "open"] {
        std::fs::create_dir_all(at(name)).unwrap();
    }
    let file = at("open/program");
    let stubs = "-Wl,-rpath,/far/lib/stubs:/kept";
    target.compile("int main(void) { return 0; }", &[stubs], &file);
    // Where everyone can reach them. The child writes the program: what we write ourselves may be busy when it is to run.
    let program = dir.path().join("cuda-redist");
    support::run(Command::new(cp).args([support::program(), &program])).expect(0);
    for path in [dir.path(), &top, &at("open"), &file] {
        mode(path, 0o777);
    }
    // The superuser may read anything; the limits are somebody else's.
    let mut command = if support::is_root() {
        std::os::unix::fs::chown(&file, Some(65534), Some(65534)).unwrap();
        let mut command = Command::new(setpriv);
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]);
        command.arg(&program);
        command
    } else {
        Command::new(&program)
    };
    for name in ["closed-1", "closed-2"] {
        mode(&at(name), 0);
    }
    let gone = dir.path().join("gone");
    command.args(["elf", "fix-runpath", "--driver-path", "/drv"]);
    let ran = support::run(command.args([&gone, &top])).expect(3);
    for name in ["closed-1", "closed-2"] {
        mode(&at(name), 0o755);
    }
    let runpath = "/drv:/kept";
    assert_eq!(
        ran.stdout,
        format!("{}: RUNPATH {runpath}\n", file.display())
    );
    let mut told: Vec<&str> = ran.stderr.lines().collect();
    told.sort_unstable();
    let denied = |name: &str| {
        let place = at(name);
        format!(
            "{}: cannot look at it: Permission denied (os error 13)",
            place.display()
        )
    };
    let mut expected = vec![
        format!(
            "{}: cannot look at it: No such file or directory (os error 2)",
            gone.display()
        ),
        denied("closed-1"),
        denied("closed-2"),
    ];
    expected.sort_unstable();
    assert_eq!(told, expected);
    let facts = elf::read(&file).unwrap().unwrap();
    assert_eq!(facts.runpath.as_deref(), Some(runpath));
}
