//! The folder of a ceremony: files that pass from hospital to hospital.
//!
//! A phase has a folder of its own with `transcript`, `state-NNNN` and, in a second phase, `prepared`. `NNNN` is the
//! number of contributions in the transcript that the state belongs to. A step writes the new state beside the old
//! one, then replaces the transcript, then removes the old state: whenever it is cut off, the transcript names a
//! state that is there, and the step can be taken again.

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use ward_circuits::ceremony::{Phase, Transcript};

use super::problems;
use crate::problem::{Problem, ProblemKind};

/// Largest file that is read: a first phase of size 2^20 has 604 MB.
pub const FILE_BYTES_MAX: u64 = 640 << 20;

/// The folder of one phase.
pub struct PhaseFolder {
    path: PathBuf,
    phase: Phase,
}

/// Holds others off the folder until it is dropped. The operating system lets go of it when the process ends.
pub struct Lock(#[expect(dead_code, reason = "held, not read")] File);

impl PhaseFolder {
    /// A new folder, which must not be there.
    ///
    /// # Errors
    /// `setup.exists`, `setup.file`.
    pub fn create(path: PathBuf, phase: Phase) -> Result<Self, Problem> {
        let parent = path.parent().map_or(Ok(()), fs::create_dir_all);
        match parent.and_then(|()| fs::create_dir(&path)) {
            Ok(()) => Ok(Self { path, phase }),
            // Left by a step that was cut off before there was a transcript.
            Err(e) if e.kind() == ErrorKind::AlreadyExists && !path.join("transcript").exists() => {
                Ok(Self { path, phase })
            }
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {
                let message = format!("{} holds a ceremony already", path.display());
                Err(Problem::new(ProblemKind::Conflict, "setup.exists", message)
                    .hint("`ward setup show` says how far it is; give another folder for a new one"))
            }
            Err(e) => Err(refused(&path, &e)),
        }
    }

    /// A folder that is there.
    ///
    /// # Errors
    /// `setup.missing`.
    pub fn open(path: PathBuf, phase: Phase) -> Result<Self, Problem> {
        if path.join("transcript").is_file() {
            return Ok(Self { path, phase });
        }
        let message = format!("{} holds no transcript", path.display());
        let hint = match phase {
            Phase::One => "begin a ceremony with `ward setup new`, or give the folder that you were sent",
            Phase::Two => "the second phase of a statement begins with `ward setup prepare`",
        };
        Err(Problem::new(ProblemKind::NotFound, "setup.missing", message).hint(hint))
    }

    /// The file of the state after so many contributions.
    #[must_use]
    pub fn state_name(contributions: usize) -> String {
        format!("state-{contributions:04}")
    }

    /// The folder's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps other processes of this machine from taking a step at the same time.
    ///
    /// # Errors
    /// `setup.busy`, `setup.file`.
    pub fn lock(&self) -> Result<Lock, Problem> {
        let path = self.path.join("lock");
        let file = File::create(&path).map_err(|e| refused(&path, &e))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock(file)),
            Err(TryLockError::WouldBlock) => {
                let message = format!("another process is at work in {}", self.path.display());
                Err(Problem::new(ProblemKind::Conflict, "setup.busy", message).hint("wait until it ends"))
            }
            Err(TryLockError::Error(e)) => Err(refused(&path, &e)),
        }
    }

    /// The transcript's bytes.
    ///
    /// # Errors
    /// `setup.file`.
    pub fn transcript_bytes(&self) -> Result<Vec<u8>, Problem> {
        read(&self.path.join("transcript"))
    }

    /// The transcript, decoded: its points are checked, and nothing else.
    ///
    /// # Errors
    /// `setup.file`.
    pub fn transcript(&self) -> Result<Transcript, Problem> {
        Transcript::decode(self.phase, &self.transcript_bytes()?).map_err(|e| problems::of(&self.path, &e))
    }

    /// The state that `transcript` leads to.
    ///
    /// # Errors
    /// `setup.file`.
    pub fn state(&self, transcript: &Transcript) -> Result<Vec<u8>, Problem> {
        read(&self.state_path(transcript.contributions().len()))
    }

    /// What a second phase starts from.
    ///
    /// # Errors
    /// `setup.file`.
    pub fn prepared(&self) -> Result<Vec<u8>, Problem> {
        read(&self.path.join("prepared"))
    }

    fn state_path(&self, contributions: usize) -> PathBuf {
        self.path.join(Self::state_name(contributions))
    }

    /// Stores what a second phase starts from. Before the first [`PhaseFolder::store`].
    ///
    /// # Errors
    /// `setup.file`.
    pub fn store_prepared(&self, bytes: &[u8]) -> Result<(), Problem> {
        write(&self.path.join("prepared"), bytes)
    }

    /// Stores a step: the state, then the transcript, which makes it count; then removes the state before.
    ///
    /// # Errors
    /// `setup.file`.
    pub fn store(&self, transcript: &Transcript, state: &[u8]) -> Result<(), Problem> {
        let count = transcript.contributions().len();
        write(&self.state_path(count), state)?;
        write(&self.path.join("transcript"), &transcript.encode())?;
        if let Some(before) = count.checked_sub(1) {
            // A state left behind is in nobody's way.
            let _ = fs::remove_file(self.state_path(before));
        }
        Ok(())
    }
}

fn refused(path: &Path, error: &std::io::Error) -> Problem {
    let kind = match error.kind() {
        ErrorKind::NotFound => ProblemKind::NotFound,
        _ => ProblemKind::Validation,
    };
    Problem::new(kind, "setup.file", format!("{}: {error}", path.display()))
        .hint("check the folder's path, its rights and the space left on its disk")
}

/// A file, up to the limit.
///
/// # Errors
/// `setup.file`.
pub fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|e| refused(path, &e))?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|e| refused(path, &e))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        let message = format!("{} is larger than {FILE_BYTES_MAX} bytes", path.display());
        return Err(Problem::new(ProblemKind::Validation, "setup.file", message)
            .hint("no file of a ceremony is that large"));
    }
    Ok(bytes)
}

/// Writes a file whole or not at all.
///
/// # Errors
/// `setup.file`.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Problem> {
    let next = path.with_extension("next");
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || {
        let mut file = File::create(&next)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&next, path)?;
        File::open(folder)?.sync_all()
    };
    write().map_err(|e| refused(path, &e))
}
