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
    detail: Detail,
}

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    /// What was done to each file, too.
    Files,
    /// As much as whoever reads it wants: on a terminal what was made, in Nix's logs everything, for programs only what is
    /// probably not as it was meant.
    Usual,
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
    pub(super) fn for_this_process(detail: Detail) -> Log {
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
        Log { form, detail }
    }

    /// Says what happened.
    pub(super) fn event(&self, event: Event<'_>) {
        let says_all = self.detail == Detail::Files || matches!(self.form, Form::Nix);
        let says_notes = says_all || matches!(self.form, Form::Terminal(_));
        match event {
            Event::Phase(phase) => self.phase(phase, says_all),
            Event::Detail(text) if says_all => self.line(text),
            Event::Note(text) if says_notes => self.line(text),
            Event::Warning(text) => self.line(&format!("warning: {text}")),
            // What is listed is data, not a message.
            Event::Detail(_) | Event::Note(_) | Event::Listed(_) => {}
        }
    }

    fn phase(&self, phase: Phase, says_all: bool) {
        match &self.form {
            Form::Terminal(bar) => bar.set_message(phase.name()),
            Form::Nix => line(&nix_phase(phase)),
            Form::Plain if says_all => line(phase.name()),
            Form::Plain => {}
        }
    }

    fn line(&self, text: &str) {
        match &self.form {
            Form::Terminal(bar) => bar.println(text),
            Form::Nix | Form::Plain => line(text),
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
