//! Files with a `PT_LOAD` without bytes: kernels and musl pass over it, glibc takes the end of a library from the last one of all.

use std::path::Path;

use cuda_redist::elf::{self, Edit, Rung, Writing};

use super::{Target, edit};
use crate::support;

const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";

/// A library that gets much more memory than it has bytes in the file.
const LIBRARY: &str = "static char zeros[300000]; int value(void) { return zeros[299999] = 42; }\n";

/// Opens the library that it is given.
const OPEN: &str = r#"
    #include <dlfcn.h>
    #include <stdio.h>
    int main(int argc, char **argv) {
        void *library = dlopen(argv[1], RTLD_NOW);
        if (!library) { puts(dlerror()); return 1; }
        int (*value)(void) = (int (*)(void))dlsym(library, "value");
        printf("value %d\n", value());
        return argc != 2;
    }
"#;

/// Where empty segments lie among the program headers and in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Behind the last segment.
    End,
    /// Between the others.
    Middle,
}

/// A linker script with an empty `PT_LOAD` at `place`, and `first` behind the program headers.
fn script(place: Place, first: &str) -> String {
    let empty = ". = ALIGN(0x1000); .empty : { empty = .; . = .; *(.empty) } :empty";
    let (order, middle, end) = match place {
        Place::Middle => ("empty PT_LOAD; data PT_LOAD;", empty, ""),
        Place::End => ("data PT_LOAD; empty PT_LOAD;", "", empty),
    };
    format!(
        "PHDRS {{ text PT_LOAD FILEHDR PHDRS; {order} dynamic PT_DYNAMIC; }}
         SECTIONS {{ . = SIZEOF_HEADERS;
           {first}
           .dynsym : {{ *(.dynsym) }} :text
           .dynstr : {{ *(.dynstr) }} .rela.dyn : {{ *(.rela.dyn) }} .text : {{ *(.text*) }}
           .hashes : {{ *(.hash) *(.gnu.hash) }} .rest : {{ *(.note*) *(.eh_frame) }}
           {middle}
           . = ALIGN(0x1000);
           .dynamic : {{ *(.dynamic) }} :data :dynamic
           .data : {{ *(.got) *(.got.plt) *(.data) }} :data .bss : {{ *(.bss) }} :data
           {end} }}"
    )
}

/// Makes the library `file` with an empty segment at `place`, and `first` behind the program headers.
fn link(target: &Target, file: &Path, place: Place, first: &str) {
    let (assembly, linker) = (file.with_extension("s"), file.with_extension("ld"));
    // Empty sections are kept if they are writable and somebody names them.
    let empty = ".section .empty,\"aw\",@progbits\n.globl empty\n.hidden empty\nempty:\n";
    std::fs::write(&assembly, empty).unwrap();
    std::fs::write(&linker, script(place, first)).unwrap();
    let flags = [
        "-nostdlib",
        "-shared",
        "-fPIC",
        "-fcf-protection=none",
        assembly.to_str().unwrap(),
        &format!("-Wl,-T,{}", linker.display()),
        "-Wl,--spare-dynamic-tags=4",
    ];
    target.compile(LIBRARY, &flags, file);
    let sizes = load_sizes(file);
    let at = if place == Place::End { 2 } else { 1 };
    assert!(sizes.len() == 3 && sizes[at] == 0, "{place:?}: {sizes:?}");
}

/// How much memory each `PT_LOAD` takes.
fn load_sizes(file: &Path) -> Vec<u64> {
    let bytes = std::fs::read(file).unwrap();
    let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    let headers = (0..usize::from(bytes[56])).map(|index| 64 + 56 * index);
    let loads = headers.filter(|at| bytes[*at..at + 4] == [1, 0, 0, 0]);
    loads.map(|at| number(at + 40)).collect()
}

#[test]
fn libraries_load_as_far_as_they_did() {
    let test = "elf::empty_loads::libraries_load_as_far_as_they_did";
    let Some(target) = Target::host(test) else {
        return;
    };
    let dir = support::dir();
    let open = dir.path().join("open");
    target.compile(OPEN, &["-ldl"], &open);
    let room = ". = . + 0x100;";
    for (place, first, rung) in [
        (Place::Middle, room, Some(Rung::NewSegment)),
        (Place::End, room, Some(Rung::NewSegment)),
        (Place::Middle, "", Some(Rung::ExtendSegment)),
        // The last segment cannot grow, since its end is said twice.
        (Place::End, "", None),
    ] {
        let name = format!("{place:?} {rung:?}");
        let library = dir.path().join("library.so");
        link(&target, &library, place, first);
        let loads = |what: &str| {
            let ran = target.run(&open, &[&library]);
            let found = (ran.code, &*ran.stdout);
            assert_eq!(found, (0, "value 42\n"), "{name} {what}: {}", ran.stderr);
        };
        loads("as linked");
        let original = library.with_extension("original");
        std::fs::copy(&library, &original).unwrap();
        let Some(rung) = rung else {
            let error = elf::set_runpath(&library, "/a").unwrap_err().render();
            let reason = "P2: an empty PT_LOAD behind the last segment says where that ends";
            assert!(error.contains(reason), "{error}");
            assert!(std::fs::read(&library).unwrap() == std::fs::read(&original).unwrap());
            continue;
        };
        // More than the rest of any page, then more behind that.
        for runpath in ["/x".repeat(4000), "/y".repeat(9000), "/z".to_owned()] {
            let taken = edit(test, &original, &library, &Edit::runpath(&runpath));
            if runpath.starts_with("/x") {
                assert_eq!(taken, rung, "{name}");
            }
            loads(&runpath[..2]);
        }
    }
}

const PROGRAM: &str = "#include <stdio.h>\nstatic char zeros[300000];\nint main(void) { zeros[299999] = 42; printf(\"value %d\\n\", zeros[299999]); return 0; }\n";

/// An empty segment at any address: the kernel passes over it, and so does the loader where it is behind the others and on a page.
#[test]
fn programs_run_by_the_kernel_and_by_the_loader() {
    let test = "elf::empty_loads::programs_run_by_the_kernel_and_by_the_loader";
    let Some(target) = Target::host(test) else {
        return;
    };
    let dir = support::dir();
    let program = dir.path().join("program");
    for is_at_end in [true, false] {
        target.compile(PROGRAM, &["-pie", "-fPIE"], &program);
        let mut bytes = std::fs::read(&program).unwrap();
        let number =
            |bytes: &[u8], at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        let headers: Vec<usize> = (0..usize::from(bytes[56]))
            .map(|index| 64 + 56 * index)
            .collect();
        let kind = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let last = *headers.iter().rfind(|at| kind(**at) == 1).unwrap();
        let unwind = *headers.iter().find(|at| kind(**at) == 0x6474_e550).unwrap();
        let end = number(&bytes, last + 16) + number(&bytes, last + 40);
        let vaddr = if is_at_end {
            end.next_multiple_of(0x1000)
        } else {
            0
        };
        let empty = [1 | 4 << 32, 0, vaddr, vaddr, 0, 0, 0x1000];
        for (index, value) in empty.into_iter().enumerate() {
            let at = unwind + 8 * index;
            bytes[at..at + 8].copy_from_slice(&u64::to_le_bytes(value));
        }
        std::fs::write(&program, &bytes).unwrap();
        let original = program.with_extension("original");
        std::fs::copy(&program, &original).unwrap();
        let loader = Path::new(LOADER);
        let by_loader = |file: &Path| target.run(loader, &[file]).stdout;
        let was = by_loader(&program);
        assert_eq!(was == "value 42\n", is_at_end, "{was}");
        for runpath in ["/x".repeat(4000), "/y".repeat(9000)] {
            edit(test, &original, &program, &Edit::runpath(&runpath));
            assert_eq!(target.run(&program, &[]).stdout, "value 42\n");
            // Behind the new segment an empty one at a low address is not the last any more.
            assert_eq!(by_loader(&program), "value 42\n", "at the end: {is_at_end}");
        }
    }
    let interpreter = Edit::interpreter(LOADER);
    let done = elf::edit(&program, &interpreter, Writing::Safely).unwrap();
    assert_eq!(done.rung, Rung::Same);
}
