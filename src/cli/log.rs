//! Messages for people: a terminal, Nix's `@nix` lines, or plain lines.

use std::env;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::realise::{Event, Phase};

/// Where messages about what is being done go. Always stderr; the form depends on who reads it.
pub(super) struct Log {
    form: Form,
}

enum Form {
    /// A line that shows the current phase, with the notes above it.
    Terminal(ProgressBar),
    /// One line for everything.
    Plain,
    /// Plain lines, and phases in the form that Nix shows beside the derivation's name.
    Nix,
}

impl Log {
    /// The form that fits where this process runs.
    pub(super) fn for_this_process() -> Log {
        let form = if env::var_os("NIX_BUILD_TOP").is_some() && env::var_os("NIX_LOG_FD").is_some()
        {
            Form::Nix
        } else if io::stderr().is_terminal() {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(100));
            Form::Terminal(bar)
        } else {
            Form::Plain
        };
        Log { form }
    }

    /// Says what happened.
    pub(super) fn event(&self, event: Event<'_>) {
        match (&self.form, event) {
            (Form::Terminal(bar), Event::Phase(phase)) => bar.set_message(phase.name()),
            (Form::Terminal(bar), Event::Note(note)) => bar.println(note),
            (Form::Nix, Event::Phase(phase)) => line(&nix_phase(phase)),
            (Form::Plain, Event::Phase(phase)) => line(phase.name()),
            (Form::Nix | Form::Plain, Event::Note(note)) => line(note),
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if let Form::Terminal(bar) = &self.form {
            bar.finish_and_clear();
        }
    }
}

/// Nix reads such lines from a build's output since 2.0 (`handleJSONLogMessage`, `setPhase`).
fn nix_phase(phase: Phase) -> String {
    format!(
        "@nix {}",
        json!({ "action": "setPhase", "phase": phase.name() })
    )
}

/// Writes one line. A reader that went away is no reason to stop working.
fn line(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_are_in_the_form_that_nix_reads() {
        assert_eq!(
            nix_phase(Phase::Unpack),
            r#"@nix {"action":"setPhase","phase":"unpack"}"#
        );
    }
}
