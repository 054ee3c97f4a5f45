//! ELF edits: what other tools, the dynamic loader and a look at every byte say about them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

mod built;
mod cost;
mod dynamic;
mod empty_loads;
mod hostile;
mod linkers;
mod many;
mod order;
mod patchelf;
mod property;
mod wheels;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use cuda_redist::elf::{self, Edit, Rung, SearchPath, Writing};
use object::LittleEndian;
use object::elf::{SHF_ALLOC, SHF_TLS, SHT_DYNAMIC, SHT_GNU_HASH, SHT_HASH, SHT_NOBITS, SHT_NOTE};
use object::read::elf::{ElfFile64, SectionHeader as _, Sym as _};

use crate::support;

/// A processor whose programs this machine can build and run, and what builds them.
pub(super) struct Target {
    pub(super) cc: PathBuf,
    pub(super) strip: PathBuf,
    /// What runs its programs: nothing, or an emulator with its arguments.
    runner: Vec<String>,
    /// The dynamic loader, as this machine finds it.
    pub(super) loader: PathBuf,
}

impl Target {
    /// The machine itself.
    pub(super) fn host(test: &str) -> Option<Target> {
        Target::host_by(test, "cc", "/lib64/ld-linux-x86-64.so.2")
    }

    /// The machine itself, by another compiler, whose programs want `loader`.
    pub(super) fn host_by(test: &str, cc: &str, loader: &str) -> Option<Target> {
        if !Path::new(loader).exists() {
            support::skip(test, &format!("{loader} is absent"));
            return None;
        }
        Some(Target {
            cc: support::tool(test, cc)?,
            strip: support::tool(test, "strip")?,
            runner: Vec::new(),
            loader: loader.into(),
        })
    }

    /// 64-bit Arm, emulated.
    pub(super) fn aarch64(test: &str) -> Option<Target> {
        Target::emulated(
            test,
            "aarch64",
            "aarch64-linux-gnu",
            "ld-linux-aarch64.so.1",
        )
    }

    /// 64-bit little-endian PowerPC, emulated.
    pub(super) fn ppc64le(test: &str) -> Option<Target> {
        Target::emulated(test, "ppc64le", "powerpc64le-linux-gnu", "ld64.so.2")
    }

    fn emulated(test: &str, machine: &str, triple: &str, loader: &str) -> Option<Target> {
        let cc = support::tool(test, &format!("{triple}-gcc"))?;
        let strip = support::tool(test, &format!("{triple}-strip"))?;
        let qemu = support::tool(test, &format!("qemu-{machine}"))?;
        let root = format!("/usr/{triple}");
        let loader = Path::new(&root).join("lib").join(loader);
        let runner = [qemu.to_str().unwrap(), "-L", &root].map(str::to_owned);
        Some(Target {
            cc,
            strip,
            runner: runner.to_vec(),
            loader,
        })
    }

    /// Is it the machine itself?
    pub(super) fn is_host(&self) -> bool {
        self.runner.is_empty()
    }

    /// Compiles `source` with `flags`.
    pub(super) fn compile(&self, source: &str, flags: &[&str], output: &Path) {
        let file = output.with_extension("c");
        std::fs::write(&file, source).unwrap();
        // Libraries come after what needs them.
        support::run(
            Command::new(&self.cc)
                .arg(&file)
                .args(flags)
                .arg("-o")
                .arg(output),
        )
        .expect(0);
    }

    /// Runs `program` without help in finding libraries.
    ///
    /// While another test starts a program, its child holds our files open for a moment, and a file open for writing cannot
    /// be executed: then tries again.
    pub(super) fn run(&self, program: &Path, arguments: &[&Path]) -> support::Ran {
        let mut words = self
            .runner
            .iter()
            .cloned()
            .chain([program.to_str().unwrap().to_owned()]);
        let mut command = Command::new(words.next().unwrap());
        command
            .args(words)
            .args(arguments)
            .env_remove("LD_LIBRARY_PATH");
        loop {
            match command.output() {
                Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
                Err(error) => panic!("cannot run {command:?}: {error}"),
                Ok(output) => {
                    return support::Ran {
                        code: output.status.code().unwrap_or(-1),
                        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
                        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
                    };
                }
            }
        }
    }

    pub(super) fn strip(&self, file: &Path) {
        support::run(Command::new(&self.strip).arg(file)).expect(0);
    }
}

/// What a section holds, apart from where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Loaded {
    /// `None` for what may move: notes, hash tables, the interpreter's name.
    addr: Option<u64>,
    bytes: Vec<u8>,
}

/// Every loaded section with bytes of its own, by name; the string table and the dynamic section, which are edited, are left out.
pub(super) fn loaded(file: &Path) -> BTreeMap<String, Loaded> {
    let data = std::fs::read(file).unwrap();
    let elf = ElfFile64::<LittleEndian>::parse(&*data).unwrap();
    let mut found = BTreeMap::new();
    let mut sections = elf.elf_section_table().iter();
    let dynamic = sections.find(|section| section.sh_type(LittleEndian) == SHT_DYNAMIC);
    let dynamic = dynamic.map_or(0, |section| section.sh_addr(LittleEndian));
    for section in elf.elf_section_table().iter() {
        let kind = section.sh_type(LittleEndian);
        let name = elf
            .elf_section_table()
            .section_name(LittleEndian, section)
            .unwrap();
        let name = std::str::from_utf8(name).unwrap().to_owned();
        let skipped = section.sh_flags(LittleEndian).0 & SHF_ALLOC.0 == 0
            || kind == SHT_DYNAMIC
            || name == ".dynstr";
        let mut bytes = section.data(LittleEndian, &*data).unwrap().to_vec();
        // The global offset table starts with the dynamic section's address, which follows it.
        if name.starts_with(".got") && bytes.starts_with(&dynamic.to_le_bytes()) {
            bytes[..8].fill(0);
        }
        // Zero-initialised sections may get their zeros written out.
        if skipped
            || bytes.is_empty()
            || name == ".bss"
            || name == ".plt" && bytes.iter().all(|byte| *byte == 0)
        {
            assert!(
                name != ".bss" || bytes.iter().all(|byte| *byte == 0),
                "{file:?}: .bss is not zero"
            );
            continue;
        }
        let may_move = [SHT_NOTE, SHT_HASH, SHT_GNU_HASH].contains(&kind) || name == ".interp";
        let addr = (!may_move).then(|| section.sh_addr(LittleEndian));
        found.insert(format!("{} {name}", found.len()), Loaded { addr, bytes });
    }
    assert!(
        found.len() > 2,
        "{file:?} has too few sections for a comparison"
    );
    found
}

/// What is out of order in the tables: loaded segments that are not congruent with the file; sections said to have no bytes where
/// a segment has some.
fn disorder(file: &Path) -> Vec<String> {
    let data = std::fs::read(file).unwrap();
    let elf = ElfFile64::<LittleEndian>::parse(&*data).unwrap();
    let mut found = Vec::new();
    for p in elf
        .elf_program_headers()
        .iter()
        .filter(|p| p.p_type.get(LittleEndian) == object::elf::PT_LOAD)
    {
        let (offset, vaddr, align) = (
            p.p_offset.get(LittleEndian),
            p.p_vaddr.get(LittleEndian),
            p.p_align.get(LittleEndian),
        );
        if offset % align.max(1) != vaddr % align.max(1) {
            found.push(format!(
                "segment at 0x{vaddr:x}, offset 0x{offset:x}, alignment 0x{align:x}"
            ));
        }
        for section in elf.elf_section_table().iter() {
            let (addr, flags) = (
                section.sh_addr(LittleEndian),
                section.sh_flags(LittleEndian).0,
            );
            let is_bss = section.sh_type(LittleEndian) == SHT_NOBITS
                && flags & (SHF_ALLOC.0 | SHF_TLS.0) == SHF_ALLOC.0;
            if is_bss
                && section.sh_size(LittleEndian) != 0
                && addr >= vaddr
                && addr - vaddr < p.p_filesz.get(LittleEndian)
            {
                found.push(format!("a section without bytes at 0x{addr:x}"));
            }
        }
    }
    found
}

/// Every symbol's name and place in its section.
fn symbols(file: &Path) -> Vec<(String, u64)> {
    let data = std::fs::read(file).unwrap();
    let elf = ElfFile64::<LittleEndian>::parse(&*data).unwrap();
    let strings = elf.elf_symbol_table().strings();
    let place = |symbol: &object::elf::Sym64<LittleEndian>| {
        let name =
            String::from_utf8_lossy(symbol.name(LittleEndian, strings).unwrap()).into_owned();
        let mut index = usize::from(symbol.st_shndx.get(LittleEndian).0);
        if name == "_DYNAMIC" {
            // Where it is said to belong to no section.
            let mut sections = elf.elf_section_table().iter();
            let dynamic = sections.position(|section| section.sh_type(LittleEndian) == SHT_DYNAMIC);
            index = dynamic.unwrap_or(index);
        }
        let is_thread_local = symbol.st_type() == object::elf::STT_TLS;
        let section = elf
            .elf_section_table()
            .iter()
            .nth(index)
            .filter(|_| index != 0 && !is_thread_local);
        let start = section.map_or(0, |section| section.sh_addr(LittleEndian));
        (name, symbol.st_value.get(LittleEndian).wrapping_sub(start))
    };
    elf.elf_symbol_table().iter().map(place).collect()
}

fn modified(file: &Path) -> SystemTime {
    file.metadata().unwrap().modified().unwrap()
}

/// Sets the RUNPATH and looks at the result from all sides; `original` is the file before any edit.
#[track_caller]
pub(super) fn patch(test: &str, original: &Path, file: &Path, runpath: &str) -> Rung {
    edit(test, original, file, &Edit::runpath(runpath))
}

/// Edits the file and looks at the result from all sides; `original` is the file before any edit.
///
/// `readelf` and `patchelf` agree, `eu-elflint` finds nothing new, loaded bytes are where they were, a second edit writes nothing.
#[track_caller]
pub(super) fn edit(test: &str, original: &Path, file: &Path, edit: &Edit) -> Rung {
    let before = loaded(original);
    let foretold = elf::rung(file, edit).unwrap();
    let patched = elf::edit(file, edit, Writing::InPlace).unwrap();
    assert_eq!(patched.rung, foretold, "{file:?}");
    assert_eq!(
        patched.bytes_written == 0,
        patched.rung == Rung::Same,
        "{patched:?}"
    );
    let mut after = loaded(file);
    if let Some(name) = before.keys().find(|name| name.ends_with(" .interp")) {
        // Its text is judged below.
        after.insert(name.clone(), before[name].clone());
    }
    assert!(
        after == before,
        "{file:?} {patched:?}: loaded bytes changed"
    );
    assert_eq!(disorder(file), disorder(original), "{file:?} {patched:?}");
    assert_eq!(symbols(file), symbols(original), "{file:?} {patched:?}");
    let facts = elf::read(file).unwrap().unwrap();
    match &edit.search_path {
        SearchPath::Keep => {}
        SearchPath::Runpath(runpath) => agree(test, file, runpath),
        SearchPath::Rpath(_) | SearchPath::Remove => {
            let wanted = match &edit.search_path {
                SearchPath::Rpath(rpath) => Some(rpath),
                _ => None,
            };
            assert_eq!((facts.rpath.as_ref(), facts.runpath), (wanted, None));
        }
    }
    if edit.interpreter.is_some() {
        assert_eq!(facts.interpreter, edit.interpreter);
        if let Some(patchelf) = support::tool(test, "patchelf") {
            let mut command = Command::new(patchelf);
            let ran = support::run(command.arg("--print-interpreter").arg(file)).expect(0);
            let printed = ran.stdout.trim_end_matches(['\n', '\0']);
            assert_eq!(Some(printed), edit.interpreter.as_deref(), "{file:?}");
        }
    }
    let new: Vec<_> = new_findings(test, original, file);
    assert_eq!(
        new,
        Vec::<String>::new(),
        "{file:?} {patched:?}: new findings of eu-elflint"
    );

    let (bytes, time) = (std::fs::read(file).unwrap(), modified(file));
    let again = elf::edit(file, edit, Writing::InPlace).unwrap();
    assert_eq!(
        (again.rung, again.bytes_written),
        (Rung::Same, 0),
        "{file:?}"
    );
    assert!(
        bytes == std::fs::read(file).unwrap() && time == modified(file),
        "{file:?}: the second edit wrote"
    );
    patched.rung
}

/// Do `readelf` and `patchelf` read the RUNPATH that was set, and no RPATH?
#[track_caller]
pub(super) fn agree(test: &str, file: &Path, runpath: &str) {
    if let Some(readelf) = support::tool(test, "readelf") {
        let out = support::run(Command::new(readelf).args(["-dW", "--"]).arg(file))
            .expect(0)
            .stdout;
        let lines: Vec<_> = out
            .lines()
            .filter(|line| line.contains("(RPATH)") || line.contains("(RUNPATH)"))
            .collect();
        assert!(
            matches!(&lines[..], [line] if line.ends_with(&format!("Library runpath: [{runpath}]"))),
            "{file:?}: {lines:?}"
        );
    }
    if let Some(patchelf) = support::tool(test, "patchelf") {
        let out = support::run(Command::new(patchelf).arg("--print-rpath").arg(file))
            .expect(0)
            .stdout;
        assert_eq!(out.trim_end_matches('\n'), runpath, "{file:?}");
    }
}

/// What `eu-elflint` says about `file` that it does not say about `original`.
fn new_findings(test: &str, original: &Path, file: &Path) -> Vec<String> {
    let Some(lint) = support::tool(test, "eu-elflint") else {
        return Vec::new();
    };
    let findings = |file: &Path| -> Vec<String> {
        let ran = support::run(Command::new(&lint).arg("--gnu-ld").arg(file));
        assert!(ran.code == 0 || ran.code == 1, "{file:?}: {}", ran.stderr);
        (ran.stdout + &ran.stderr)
            .lines()
            .filter(|line| *line != "No errors")
            .map(without_entry_number)
            .collect()
    };
    // The same original is edited many times.
    type Known = (Vec<u8>, Vec<String>);
    thread_local! {
        static KNOWN: RefCell<Option<Known>> = const { RefCell::new(None) };
    }
    let bytes = std::fs::read(original).unwrap();
    let known = KNOWN.take().filter(|(known, _)| *known == bytes);
    let (bytes, mut old) = known.unwrap_or_else(|| (bytes, findings(original)));
    KNOWN.set(Some((bytes, old.clone())));
    let mut new = Vec::new();
    for finding in findings(file) {
        if let Some(known) = old.iter().position(|line| *line == finding) {
            old.swap_remove(known);
        // Zeros that were written out stay in a section of this name: cosmetic, known, of rung P2 only.
        } else if !finding.contains("expected NOBITS, is PROGBITS") {
            new.push(finding);
        }
    }
    new
}

/// A new program header shifts the numbers of those behind it.
fn without_entry_number(line: &str) -> String {
    for before in ["program header entry ", "phdr["] {
        if let Some((head, tail)) = line.split_once(before) {
            let tail = tail.trim_start_matches(|c: char| c.is_ascii_digit());
            return format!("{head}{before}N{tail}");
        }
    }
    line.to_owned()
}
