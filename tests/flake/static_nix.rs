//! Everything in `nix/` that needs no plugin, in the newer Nix of later Debian suites. They are linked so that they can load none.

use std::process::Command;

use super::checkout::Flake;
use super::evaluate::run_nix_tests;
use super::scale::{check_of, every_release};
use crate::support::nix::{Nix, Plugin};
use crate::support::{plugin, root, run, shared, static_program};

fn works(test: &str, suite: &str) {
    let Some(nix) = Nix::new(test) else { return };
    let expected = shared(test).map(|shared| {
        let expression = check_of(&every_release(&shared));
        (nix.value(&expression, Plugin::Absent), expression)
    });
    let Some(nix) = nix.of_suite(test, suite) else {
        return;
    };
    run_nix_tests(&nix, Plugin::Absent);
    if plugin(test).is_some() {
        let said = nix.eval("1", Plugin::Loaded).expect(1).stderr;
        let sentence =
            "error: cuda-redist: this Nix exports no symbols, so no plugin can add builtins to it";
        assert!(said.contains(sentence), "{said}");
    }
    if let Some((expected, expression)) = expected {
        let value = nix.value(&expression, Plugin::Absent);
        assert!(value == expected, "the drvPaths of {suite} are others");
    }
    if let Some(program) = static_program(test) {
        let flake = Flake::new(&program, &root().join("tests/nix/sets"));
        flake
            .nix(
                &nix,
                Plugin::Absent,
                &["flake", "check", "--all-systems"],
                "",
            )
            .expect(0);
        let ran = flake
            .nix(&nix, Plugin::Absent, &["flake", "show", "--json"], "")
            .expect(0);
        assert!(ran.stdout.contains("cuda-redist-plugin-0.1.0-nix-"));
    }
}

#[test]
fn trixie() {
    works("flake::static_nix::trixie", "trixie");
}

#[test]
fn sid() {
    works("flake::static_nix::sid", "sid");
}

/// What is no suite is no address either.
#[test]
fn the_script_asks_for_a_suite() {
    for arguments in [&[][..], &["../trixie"], &["trixie", "sid"]] {
        let ran = run(Command::new(root().join("scripts/static-nix")).args(arguments)).expect(2);
        assert!(ran.stderr.contains("such as `trixie`") || ran.stderr.contains("SUITE"));
    }
}
