//! The hook for a scanner: a program that gets the document on its standard input and answers by its exit status, as
//! `clamdscan` does: 0 for good, 1 for bad, anything else for not knowing.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::problem::{Problem, ProblemKind};

/// A scanner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scanner {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// How long it may take.
    pub time_limit: Duration,
}

impl Scanner {
    /// Lets the scanner look at a document.
    ///
    /// # Errors
    /// `document.scanner` when it refuses; `document.scanner_failed` when it cannot be asked, knows no answer or takes too
    /// long: then the document is not taken either.
    pub async fn look(&self, bytes: &[u8]) -> Result<(), Problem> {
        let failed = |reason: String| {
            Problem::new(ProblemKind::Unavailable, "document.scanner_failed", format!("the scanner {reason}"))
                .hint("nothing was stored; `[documents] scanner` names the program")
        };
        let [program, arguments @ ..] = self.command.as_slice() else { return Ok(()) };
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| failed(format!("{program} does not start: {}", e.kind())))?;
        let mut stdin = child.stdin.take();
        let asked = async {
            if let Some(stdin) = &mut stdin {
                // A scanner may know enough before it has read everything.
                let _ = stdin.write_all(bytes).await;
            }
            drop(stdin.take());
            child.wait().await
        };
        let status = tokio::time::timeout(self.time_limit, asked)
            .await
            .map_err(|_| failed(format!("{program} took longer than {} s", self.time_limit.as_secs())))?
            .map_err(|e| failed(format!("{program} broke off: {}", e.kind())))?;
        match status.code() {
            Some(0) => Ok(()),
            Some(1) => Err(Problem::new(
                ProblemKind::Compliance,
                "document.scanner",
                "the scanner refuses the document",
            )
            .hint("nothing was stored; the scanner's own log says what it found")),
            other => Err(failed(match other {
                Some(code) => format!("{program} ended with {code}"),
                None => format!("{program} was ended by a signal"),
            })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scanner(script: &str) -> Scanner {
        let command = ["sh", "-c", script].map(str::to_owned).to_vec();
        Scanner { command, time_limit: Duration::from_secs(5) }
    }

    #[tokio::test]
    async fn a_scanner_answers_by_its_exit_status() {
        let grep = scanner("! grep -q EICAR");
        assert!(grep.look(b"a letter").await.is_ok());
        assert_eq!(grep.look(b"X5O EICAR X5O").await.unwrap_err().code, "document.scanner");
        assert!(scanner("exit 0").look(&[0; 1 << 20]).await.is_ok(), "it need not read");
        assert_eq!(scanner("exit 2").look(b"").await.unwrap_err().code, "document.scanner_failed");
        assert_eq!(scanner("kill $$").look(b"").await.unwrap_err().code, "document.scanner_failed");
    }

    #[tokio::test]
    async fn a_scanner_that_is_missing_or_too_slow_lets_nothing_pass() {
        let missing =
            Scanner { command: vec!["/no/such/scanner".to_owned()], time_limit: Duration::from_secs(1) };
        assert_eq!(missing.look(b"").await.unwrap_err().code, "document.scanner_failed");
        let slow = Scanner { time_limit: Duration::from_millis(100), ..scanner("sleep 30") };
        assert_eq!(slow.look(b"").await.unwrap_err().code, "document.scanner_failed");
    }
}
