//! Who was counted: each patient once in a study, each attestation once.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::AttestationError;
use crate::encoding::Digest;

/// Largest registry file read, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// One patient in one study.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Count {
    /// The study.
    pub study: String,
    /// The patient in it.
    pub nullifier: Digest,
    /// Digest of the attestation ([`super::file::Attestation::digest`]).
    pub attestation: Digest,
    /// When it was counted (unix milliseconds).
    pub counted_unix_ms: u64,
}

/// A registry of nullifiers.
pub trait Nullifiers {
    /// Counts patients, all or none: when one is refused, none is counted.
    ///
    /// # Errors
    /// The place in the list of the first that is refused, with [`AttestationError::Replay`] when the same attestation
    /// was counted before, [`AttestationError::DoubleCount`] when the patient was, by another one; or
    /// [`AttestationError::File`].
    fn count(&mut self, counts: &[Count]) -> Result<(), (usize, AttestationError)>;
}

type Seen = HashMap<(String, Digest), Digest>;

fn decide(seen: &Seen, count: &Count) -> Result<(), AttestationError> {
    match seen.get(&(count.study.clone(), count.nullifier)) {
        None => Ok(()),
        Some(attestation) if *attestation == count.attestation => Err(AttestationError::Replay),
        Some(_) => Err(AttestationError::DoubleCount),
    }
}

fn decide_all(seen: &mut Seen, counts: &[Count]) -> Result<(), (usize, AttestationError)> {
    for (index, count) in counts.iter().enumerate() {
        decide(seen, count).map_err(|error| (index, error))?;
        seen.insert((count.study.clone(), count.nullifier), count.attestation);
    }
    Ok(())
}

/// In memory, for tests and for one run.
#[derive(Clone, Debug, Default)]
pub struct MemoryNullifiers {
    seen: Seen,
}

impl Nullifiers for MemoryNullifiers {
    fn count(&mut self, counts: &[Count]) -> Result<(), (usize, AttestationError)> {
        let mut seen = self.seen.clone();
        decide_all(&mut seen, counts)?;
        self.seen = seen;
        Ok(())
    }
}

/// In a file: one line of JSON a patient, only ever appended to, under a lock while it is read and written.
#[derive(Clone, Debug)]
pub struct FileNullifiers {
    path: PathBuf,
}

impl FileNullifiers {
    /// The registry in this file, which is made when it is not there.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Everybody counted.
    ///
    /// # Errors
    /// [`AttestationError::File`], [`AttestationError::Malformed`].
    pub fn counts(&self) -> Result<Vec<Count>, AttestationError> {
        if !self.path.exists() {
            return Ok(Vec::new());
        }
        let file = File::open(&self.path).map_err(|e| AttestationError::file(&self.path, e))?;
        file.lock_shared().map_err(|e| AttestationError::file(&self.path, e))?;
        self.read(&file).map(|(counts, _)| counts)
    }

    /// The lines, and the bytes of those that are whole: a line that was cut off while it was written was never
    /// acknowledged.
    fn read(&self, file: &File) -> Result<(Vec<Count>, u64), AttestationError> {
        let wrong = |e: &dyn std::fmt::Display| AttestationError::file(&self.path, e);
        let length = file.metadata().map_err(|e| wrong(&e))?.len();
        if length > FILE_BYTES_MAX {
            return Err(wrong(&"too large"));
        }
        let mut reader = BufReader::new(file);
        let (mut counts, mut whole, mut line) = (Vec::new(), 0u64, String::new());
        loop {
            line.clear();
            let bytes = reader.read_line(&mut line).map_err(|e| wrong(&e))?;
            if !line.ends_with('\n') {
                return Ok((counts, whole));
            }
            let count = serde_json::from_str(&line);
            counts.push(count.map_err(|e| AttestationError::malformed("a registry of nullifiers", e))?);
            whole += bytes as u64;
        }
    }
}

impl Nullifiers for FileNullifiers {
    fn count(&mut self, counts: &[Count]) -> Result<(), (usize, AttestationError)> {
        let wrong = |e: &dyn std::fmt::Display| (0, AttestationError::file(&self.path, e));
        if let Some(folder) = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|e| wrong(&e))?;
        }
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&self.path)
            .map_err(|e| wrong(&e))?;
        // Held until the file is closed.
        file.lock().map_err(|e| wrong(&e))?;
        let (known, whole) = self.read(&file).map_err(|error| (0, error))?;
        let mut seen: Seen = known.into_iter().map(|c| ((c.study, c.nullifier), c.attestation)).collect();
        decide_all(&mut seen, counts)?;
        let mut lines = Vec::new();
        for count in counts {
            serde_json::to_writer(&mut lines, count).map_err(|e| wrong(&e))?;
            lines.push(b'\n');
        }
        let written = file.set_len(whole).and_then(|()| file.seek(SeekFrom::Start(whole)));
        written.and_then(|_| file.write_all(&lines)).and_then(|()| file.sync_all()).map_err(|e| wrong(&e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(study: &str, patient: u8, attestation: u8) -> Count {
        let digest = |byte| Digest([byte; 32]);
        Count {
            study: study.to_owned(),
            nullifier: digest(patient),
            attestation: digest(attestation),
            counted_unix_ms: 1,
        }
    }

    fn suite(registry: &mut dyn Nullifiers) {
        registry.count(&[count("a", 1, 1)]).unwrap();
        let refused = |registry: &mut dyn Nullifiers, counts: &[Count]| registry.count(counts).unwrap_err();
        assert!(matches!(refused(registry, &[count("a", 1, 1)]), (0, AttestationError::Replay)));
        assert!(matches!(refused(registry, &[count("a", 1, 2)]), (0, AttestationError::DoubleCount)));
        registry.count(&[count("b", 1, 3)]).expect("another study counts anew");
        let batch = [count("a", 2, 4), count("a", 3, 5), count("a", 2, 6)];
        assert!(matches!(refused(registry, &batch), (2, AttestationError::DoubleCount)));
        registry.count(&batch[..2]).expect("of a batch that was refused, nobody was counted");
        assert!(matches!(refused(registry, &batch[..1]), (0, AttestationError::Replay)));
    }

    #[test]
    fn a_patient_counts_once_in_memory() {
        suite(&mut MemoryNullifiers::default());
    }

    #[test]
    fn a_patient_counts_once_in_a_file_also_after_it_is_opened_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/nullifiers.jsonl");
        suite(&mut FileNullifiers::at(&path));
        let mut again = FileNullifiers::at(&path);
        assert_eq!(again.counts().unwrap().len(), 4);
        assert!(matches!(again.count(&[count("a", 1, 9)]), Err((0, AttestationError::DoubleCount))));
    }

    #[test]
    fn a_line_that_was_cut_off_is_dropped_and_other_damage_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nullifiers.jsonl");
        let mut registry = FileNullifiers::at(&path);
        registry.count(&[count("a", 1, 1), count("a", 2, 2)]).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, &text[..text.len() - 9]).unwrap();
        assert_eq!(registry.counts().unwrap().len(), 1);
        registry.count(&[count("a", 3, 3)]).unwrap();
        assert_eq!(registry.counts().unwrap(), [count("a", 1, 1), count("a", 3, 3)]);
        std::fs::write(&path, format!("nonsense\n{text}")).unwrap();
        assert!(matches!(registry.counts(), Err(AttestationError::Malformed { .. })));
    }
}
