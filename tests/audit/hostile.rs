//! Trees that nobody made by accident.

use std::os::unix::fs::symlink;
use std::process::Command;

use cuda_redist::audit::{Request, audit};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::{Workshop, device_code};
use crate::support::{self, program, run};

#[test]
fn damaged_files_and_links_are_told_and_the_rest_is_looked_at() {
    let Some(shop) =
        Workshop::new("audit::hostile::damaged_files_and_links_are_told_and_the_rest_is_looked_at")
    else {
        return;
    };
    let good = shop.library("own/lib/libgood.so", "", &["libgone.so"], &[]);
    let bytes = std::fs::read(&good).unwrap();
    std::fs::write(shop.path("own/lib/libcut.so"), &bytes[..bytes.len() / 2]).unwrap();
    std::fs::write(shop.path("own/lib/libtext.so"), "INPUT(libgood.so)\n").unwrap();
    std::fs::write(shop.path("own/lib/empty.a"), "").unwrap();
    std::fs::write(shop.path("own/lib/cut.a"), "!<arch>\nshort").unwrap();
    std::fs::write(shop.path("own/lib/x.pc"), "prefix=/usr/local/cuda\n").unwrap();
    symlink("b", shop.path("own/a")).unwrap();
    symlink("a", shop.path("own/b")).unwrap();
    symlink("lib", shop.path("own/lib64")).unwrap();
    symlink(".", shop.path("own/lib/self")).unwrap();
    symlink("/usr/lib", shop.path("own/lib/host")).unwrap();
    symlink("a\u{1b}[31m", shop.path("own/lib/odd\n")).unwrap();
    run(Command::new("mkfifo").arg(shop.path("own/lib/libpipe.so"))).expect(0);

    let ran = run(Command::new(program())
        .current_dir(shop.dir.path())
        .args(["audit", "own"]))
    .expect(1);
    insta::assert_snapshot!(ran.stdout, @r"
    own/lib/libgood.so
      machine       x86_64
      soname        libgood.so
      needs         libgone.so    (nobody has it)
    own/a: link to nothing: b
    own/b: link to nothing: a
    own/lib/host: link into the host: /usr/lib
    own/lib/odd\n: link to nothing: a\u{1b}[31m
    own/lib/x.pc: names /usr/local/cuda
    1 file, 0 with device code
    ");
    // Sizes are the compiler's affair.
    let lines: Vec<&str> = ran
        .stderr
        .lines()
        .map(|line| line.split(" bytes of the file, ").next().unwrap())
        .map(|line| line.trim_end_matches(|c: char| c.is_ascii_digit()))
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    own/lib/cut.a: archive member header: expected 60 bytes at offset 0x8, found a file of 13 bytes
    own/lib/libcut.so: ELF header: expected tables inside the 
    own/lib/libgood.so: NEEDED: expected a library `libgone.so` for x86_64, found none
    ");
    // A pipe by name is refused, not read.
    let ran = run(Command::new(program())
        .arg("audit")
        .arg(shop.path("own/lib/libpipe.so")))
    .expect(3);
    assert!(
        ran.stderr
            .contains("cannot look at it: a device, a socket or a pipe"),
        "{}",
        ran.stderr
    );
}

#[test]
fn damage_never_crashes_an_audit() {
    let Some(shop) = Workshop::new("audit::hostile::damage_never_crashes_an_audit") else {
        return;
    };
    let source = format!(
        "{} const char *names[] = {{ \"libx.so.1\", \"/usr/lib/liby.so\" }};",
        device_code(&[("sm", 90, 0), ("compute", 90, 0)])
    );
    let library = shop.library(
        "own/libx.so",
        &source,
        &["liby.so"],
        &["-Wl,-rpath,$ORIGIN"],
    );
    let bytes = std::fs::read(&library).unwrap();
    let number = prop_oneof![
        Just(0),
        Just(u64::MAX),
        Just(1 << 63),
        any::<u64>(),
        0_u64..100_000
    ];
    let damage = prop::collection::vec((any::<prop::sample::Index>(), number, 1_usize..9), 1..5);
    let cut = prop::option::weighted(0.2, any::<prop::sample::Index>());
    // Failures print the input in full; files with seeds beside the tests would be one more thing to keep.
    let mut runner = TestRunner::new(Config {
        cases: 600,
        failure_persistence: None,
        ..Config::default()
    });
    // The headers decide; most damage goes there: the first bytes, and the section headers at the end.
    let end = bytes.len().saturating_sub(64 * 30);
    runner
        .run(&(damage, cut, any::<bool>()), |(damage, cut, at_end)| {
            let mut bytes = bytes.clone();
            for (at, value, len) in damage {
                let at = if at_end {
                    end + at.index(bytes.len() - end - 8)
                } else {
                    at.index(0x400)
                };
                bytes[at..at + len.min(8)].copy_from_slice(&value.to_le_bytes()[..len.min(8)]);
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            std::fs::write(&library, &bytes).unwrap();
            let report = audit(&Request {
                trees: vec![shop.path("own")],
                capabilities: vec!["9.0".parse().unwrap()],
                ..Request::default()
            })
            .unwrap();
            // Damaged, or looked at, or no ELF file any more.
            prop_assert!(report.errors.len() + report.files.len() <= 1);
            prop_assert!(report.errors.iter().all(|error| error.is_rejected()));
            let _ = (report.to_json(), report.to_string(), report.problems());
            Ok(())
        })
        .unwrap();
}

/// 65535 entries that share a string of a megabyte would be 64 GB.
#[test]
fn entries_that_share_a_long_string_are_refused() {
    let dir = support::dir();
    let name = vec![b'x'; (1 << 20) - 2];
    let strings = [&[0], &name[..], &[0]].concat();
    let (strings_at, dynamic_at) = (64 + 2 * 56, 64 + 2 * 56 + strings.len() as u64);
    let mut entries = vec![[1, 1]; 1000];
    entries.extend([[5, strings_at], [10, strings.len() as u64], [0, 0]]);
    let dynamic: Vec<u8> = entries
        .concat()
        .into_iter()
        .flat_map(u64::to_le_bytes)
        .collect();
    let all = dynamic_at + dynamic.len() as u64;
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(64, 0);
    bytes[16..20].copy_from_slice(&[3, 0, 62, 0]);
    bytes[32] = 64;
    bytes[52..58].copy_from_slice(&[64, 0, 56, 0, 2, 0]);
    for (kind, at, len) in [(1, 0, all), (2, dynamic_at, dynamic.len() as u64)] {
        let words = [kind | 4 << 32, at, at, at, len, len, 8];
        bytes.extend(words.into_iter().flat_map(u64::to_le_bytes));
    }
    bytes.extend(strings);
    bytes.extend(dynamic);
    std::fs::write(dir.path().join("libx.so"), bytes).unwrap();
    let ran = run(Command::new(program())
        .current_dir(dir.path())
        .args(["audit", "libx.so"]))
    .expect(1);
    assert_eq!(
        ran.stderr,
        "libx.so: dynamic section: expected NEEDED entries of at most 1048576 bytes in all, found more\n"
    );
    assert_eq!(ran.stdout, "0 files, 0 with device code\n");
}

#[test]
fn data_of_any_size_is_read_in_little_memory() {
    let test = "audit::hostile::data_of_any_size_is_read_in_little_memory";
    let (Some(shop), Some(python)) = (Workshop::new(test), support::tool(test, "python3")) else {
        return;
    };
    // 300 MB of device code that must not be read, and 60 MB of data that must be.
    let source = "__asm__(\".section .nv_fatbin,\\\"a\\\"\\n.fill 37500000,8,0\\n.section .rodata\\n.fill 7500000,8,1\\n\
        .byte 0\\n.asciz \\\"libfar.so.1\\\"\\n\");";
    shop.library("own/libbig.so", source, &[], &[]);
    let measure = "import resource, subprocess, sys\n\
        out = subprocess.run(sys.argv[1:], check=True, stdout=subprocess.PIPE).stdout.decode()\n\
        print(out, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)";
    let ran = run(Command::new(python)
        .args(["-c", measure])
        .arg(program())
        .arg("audit")
        .arg(shop.path("own")))
    .expect(0);
    assert!(
        ran.stdout.contains("opens         libfar.so.1"),
        "{}",
        ran.stdout
    );
    let peak_kib: u64 = ran
        .stdout
        .split_whitespace()
        .last()
        .unwrap()
        .parse()
        .unwrap();
    assert!(peak_kib <= 20 << 10, "{peak_kib} KiB");
}
