//! Messages for people: a terminal, Nix's `@nix` lines, or plain lines.

use std::env;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

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
    /// A line that shows the current phase and how far it is, with the notes above it.
    Terminal(ProgressBar),
    /// One line for everything.
    Plain,
    /// Plain lines, and phases and progress in the form that Nix shows beside the derivation's name.
    Nix(Mutex<NixProgress>),
}

/// How often Nix hears of progress: more is only work.
const NIX_PROGRESS_EVERY: Duration = Duration::from_millis(250);

/// What Nix was told of the archive that is being read.
#[derive(Default)]
struct NixProgress {
    /// When it was last told; `None`: not of this archive.
    told: Option<Instant>,
}

impl Log {
    /// The form that fits where this process runs.
    pub(super) fn for_this_process(detail: Detail) -> Log {
        let form = if env::var_os("NIX_BUILD_TOP").is_some() && env::var_os("NIX_LOG_FD").is_some()
        {
            Form::Nix(Mutex::default())
        } else if io::stderr().is_terminal() {
            let bar = ProgressBar::new_spinner();
            set_style(&bar, "{spinner} {msg} {elapsed}");
            bar.enable_steady_tick(Duration::from_millis(100));
            Form::Terminal(bar)
        } else {
            Form::Plain
        };
        Log { form, detail }
    }

    /// Says what happened.
    pub(super) fn event(&self, event: Event<'_>) {
        let says_all = self.detail == Detail::Files || matches!(self.form, Form::Nix(_));
        let says_notes = says_all || matches!(self.form, Form::Terminal(_));
        match event {
            Event::Phase(phase) => self.phase(phase, says_all),
            Event::Read { done, total } => self.read(done, total),
            Event::Detail(text) if says_all => self.line(text),
            Event::Note(text) if says_notes => self.line(text),
            Event::Warning(text) => self.line(&format!("warning: {text}")),
            // What is listed is data, not a message.
            Event::Detail(_) | Event::Note(_) | Event::Listed(_) => {}
        }
    }

    fn phase(&self, phase: Phase, says_all: bool) {
        match &self.form {
            Form::Terminal(bar) => {
                set_style(bar, "{spinner} {msg} {elapsed}");
                bar.set_message(phase.name());
            }
            Form::Nix(progress) => {
                let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
                if progress.told.take().is_some() {
                    line(&nix_stop());
                }
                line(&nix_phase(phase));
            }
            Form::Plain if says_all => line(phase.name()),
            Form::Plain => {}
        }
    }

    fn read(&self, done: u64, total: u64) {
        match &self.form {
            Form::Terminal(bar) => {
                if bar.length() != Some(total) {
                    bar.set_length(total);
                    set_style(bar, "{spinner} {msg} {bar:30} {bytes}/{total_bytes} {eta}");
                }
                bar.set_position(done.max(bar.position()));
            }
            Form::Nix(progress) => {
                let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
                match progress.told {
                    Some(told) if told.elapsed() < NIX_PROGRESS_EVERY && done < total => return,
                    Some(_) => {}
                    None => line(&nix_start()),
                }
                progress.told = Some(Instant::now());
                line(&nix_progress(done, total));
            }
            Form::Plain => {}
        }
    }

    fn line(&self, text: &str) {
        match &self.form {
            Form::Terminal(bar) => bar.println(text),
            Form::Nix(_) | Form::Plain => line(text),
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

fn set_style(bar: &ProgressBar, template: &str) {
    // Only a wrong template is refused, and then the old one serves.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
}

/// The number of the one activity that is told of.
const NIX_ACTIVITY: u64 = 1;
/// The only kind of activity that Nix takes from a builder it does not trust. Source: `handleJSONLogMessage`,
/// `actFileTransfer`.
const NIX_FILE_TRANSFER: u64 = 101;
/// Source: Nix, `resProgress`.
const NIX_RESULT_PROGRESS: u64 = 105;
/// Source: Nix, `lvlInfo`.
const NIX_LEVEL_INFO: u64 = 3;

/// Nix reads such lines from a build's output since 2.0 (`handleJSONLogMessage`).
fn nix(message: &Value) -> String {
    format!("@nix {message}")
}

fn nix_phase(phase: Phase) -> String {
    nix(&json!({ "action": "setPhase", "phase": phase.name() }))
}

fn nix_start() -> String {
    nix(&json!({
        "action": "start",
        "id": NIX_ACTIVITY,
        "level": NIX_LEVEL_INFO,
        "type": NIX_FILE_TRANSFER,
        "text": "reading the archive",
        "fields": ["archive"],
    }))
}

fn nix_progress(done: u64, total: u64) -> String {
    nix(&json!({
        "action": "result",
        "id": NIX_ACTIVITY,
        "type": NIX_RESULT_PROGRESS,
        // Done, expected, running, failed.
        "fields": [done, total, 0, 0],
    }))
}

fn nix_stop() -> String {
    nix(&json!({ "action": "stop", "id": NIX_ACTIVITY }))
}

/// Writes one line. A reader that went away is no reason to stop working.
fn line(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_in_the_form_that_nix_reads() {
        for (line, expected) in [
            (
                nix_phase(Phase::Unpack),
                r#"@nix {"action":"setPhase","phase":"unpack"}"#,
            ),
            (
                nix_start(),
                r#"@nix {"action":"start","fields":["archive"],"id":1,"level":3,"text":"reading the archive","type":101}"#,
            ),
            (
                nix_progress(3, 9),
                r#"@nix {"action":"result","fields":[3,9,0,0],"id":1,"type":105}"#,
            ),
            (nix_stop(), r#"@nix {"action":"stop","id":1}"#),
        ] {
            assert_eq!(line, expected);
        }
    }
}
