//! JSON lines: one sealed event per line.

use std::io::{BufRead, Read as _, Write};

use super::AuditError;
use super::chain::{Sealed, Verified, verify_chain};
use crate::identity::PublicKey;

/// Longest line read, in bytes.
pub const LINE_BYTES_MAX: u64 = 256 * 1024;

/// Writes events as JSON lines; returns how many.
///
/// # Errors
/// [`AuditError`] of the events, or [`AuditError::Write`].
pub fn write_lines(
    events: impl IntoIterator<Item = Result<Sealed, AuditError>>,
    out: &mut dyn Write,
) -> Result<u64, AuditError> {
    let failed = |reason: String| AuditError::Write { reason };
    let mut count = 0;
    for sealed in events {
        let mut line = serde_json::to_vec(&sealed?).map_err(|e| failed(e.to_string()))?;
        line.push(b'\n');
        out.write_all(&line).map_err(|e| failed(e.to_string()))?;
        count += 1;
    }
    out.flush().map_err(|e| failed(e.to_string()))?;
    Ok(count)
}

/// Verifies exported JSON lines offline.
///
/// # Errors
/// [`AuditError`] naming the first event that does not hold.
pub fn verify_lines(input: impl BufRead, key: &PublicKey) -> Result<Verified, AuditError> {
    verify_chain(read_lines(input), key)
}

/// The events of exported JSON lines, unverified.
pub fn read_lines(input: impl BufRead) -> impl Iterator<Item = Result<Sealed, AuditError>> {
    Lines { input, seq: 0 }
}

struct Lines<R> {
    input: R,
    seq: u64,
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = Result<Sealed, AuditError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.seq += 1;
        let unreadable = |reason: String| Some(Err(AuditError::Unreadable { seq: self.seq, reason }));
        let mut line = Vec::new();
        match (&mut self.input).take(LINE_BYTES_MAX).read_until(b'\n', &mut line) {
            Ok(0) => None,
            Ok(_) if line.last() != Some(&b'\n') => {
                unreadable(format!("the line is cut short, or longer than {LINE_BYTES_MAX} bytes"))
            }
            Ok(_) => match serde_json::from_slice(&line) {
                Ok(sealed) => Some(Ok(sealed)),
                Err(e) => unreadable(e.to_string()),
            },
            Err(e) => unreadable(e.to_string()),
        }
    }
}
