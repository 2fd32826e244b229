//! Questions to the person at the terminal.

use std::io::IsTerminal;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use super::output::terminal::Terminal;
use crate::problem::{Problem, ProblemKind};

/// Longest answer, in bytes.
const LINE_BYTES_MAX: usize = 4096;

/// The terminal without echo; it is as it was when this is dropped, however the command ends.
struct Silent(Termios);

impl Silent {
    /// Switches the echo off; none when stdin is no terminal.
    fn begin() -> Result<Option<Self>, Problem> {
        let stdin = std::io::stdin();
        if !stdin.is_terminal() {
            return Ok(None);
        }
        let refuse = |e: rustix::io::Errno| {
            let message = format!("the terminal's echo cannot be switched off: {e}");
            Problem::new(ProblemKind::Validation, "prompt.echo", message)
                .hint("give the secret on stdin instead")
        };
        let before = tcgetattr(&stdin).map_err(refuse)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&stdin, OptionalActions::Flush, &silent).map_err(refuse)?;
        Ok(Some(Self(before)))
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        // A terminal that is gone echoes nothing.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}

/// Asks for a line.
///
/// # Errors
/// When stdin ends or cannot be read.
pub async fn line(question: &str, terminal: &Terminal) -> Result<Zeroizing<String>, Problem> {
    let bad =
        |e: &dyn std::fmt::Display| Problem::new(ProblemKind::Validation, "prompt", format!("stdin: {e}"));
    if std::io::stdin().is_terminal() {
        terminal.ask(question);
    }
    let read = || {
        let mut text = Zeroizing::new(String::with_capacity(LINE_BYTES_MAX));
        std::io::stdin().read_line(&mut text).map(|_| text)
    };
    let text = tokio::task::spawn_blocking(read).await.map_err(|e| Problem::internal(&e))?;
    let text = text.map_err(|e| bad(&e))?;
    if text.len() > LINE_BYTES_MAX {
        return Err(bad(&"the line is too long"));
    }
    Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

/// Asks for a line that the terminal does not show.
///
/// # Errors
/// As [`line`]; when the terminal cannot be kept from showing it.
pub async fn secret(question: &str, terminal: &Terminal) -> Result<Zeroizing<String>, Problem> {
    let _silent = Silent::begin()?;
    line(question, terminal).await
}

/// Whether a person is asked, not a file.
#[must_use]
pub fn is_interactive() -> bool {
    std::io::stdin().is_terminal()
}
