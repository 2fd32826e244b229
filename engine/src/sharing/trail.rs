//! The trail of a house: which grants were made with its secret, for a house that is no hospital's node.
//!
//! A chain of audit events ([`crate::audit`]) in a file beside the secret, a line each, as `ward audit export` writes one,
//! signed by a key that is derived from the secret. An event is on the disk before the grant of which it is: there is no
//! grant without its event.
//!
//! # Security
//! Adversary: whoever changes the file without the secret, which the chain shows. That the file was removed, or cut short,
//! shows against a copy that is kept elsewhere. Whoever has the secret can make a grant with other software.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::ShareError;
use crate::audit::{AuditError, Event, SALT_BYTES, Salt, Verified, seal, verify_lines};
use crate::identity::{Identity, PublicKey, random};

/// What stands after the secret's name.
const SUFFIX: &str = ".trail.jsonl";

/// A house's trail.
pub struct Trail {
    path: PathBuf,
    signer: Identity,
}

impl Trail {
    /// Beside the secret at that path.
    #[must_use]
    pub fn beside(secret: &Path, signer: Identity) -> Self {
        let mut path = secret.as_os_str().to_owned();
        path.push(SUFFIX);
        Self { path: path.into(), signer }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The key that it verifies against.
    #[must_use]
    pub fn key(&self) -> PublicKey {
        self.signer.public()
    }

    /// Writes an event down, on the disk, after all that is there: a chain that does not hold is not continued.
    ///
    /// # Errors
    /// [`ShareError::Trail`].
    pub fn append(&self, event: Event) -> Result<Verified, ShareError> {
        let failed = |reason: String| ShareError::Trail { path: self.path.display().to_string(), reason };
        let unwritten = |error: std::io::Error| failed(error.to_string());
        let mut file = self.open().map_err(unwritten)?;
        // Two grants at once follow each other.
        file.lock().map_err(unwritten)?;
        let broken = |error: AuditError| failed(error.to_string());
        let before = verify_lines(BufReader::new(&file), &self.key()).map_err(broken)?;
        let last = (before.count > 0).then_some((before.count, before.head));
        let sealed = seal(last, event, Salt(random::<SALT_BYTES>()?), &self.signer);
        let mut line = serde_json::to_vec(&sealed).map_err(|e| failed(e.to_string()))?;
        line.push(b'\n');
        file.seek(SeekFrom::End(0)).and_then(|_| file.write_all(&line)).map_err(unwritten)?;
        file.sync_all().map_err(unwritten)?;
        if last.is_none() {
            let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let folder = File::open(folder.unwrap_or_else(|| Path::new(".")));
            folder.and_then(|folder| folder.sync_all()).map_err(unwritten)?;
        }
        Ok(Verified { count: sealed.seq, head: sealed.hash })
    }

    fn open(&self) -> std::io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trail(folder: &Path) -> Trail {
        Trail::beside(&folder.join("north.secret"), Identity::from_seed(&[5; 32]))
    }

    fn event(to: &str) -> Event {
        Event::new("north", "house", "share.grant", to)
    }

    #[test]
    fn events_follow_each_other_and_verify_under_the_houses_key() {
        let folder = tempfile::tempdir().unwrap();
        let trail = trail(folder.path());
        for (count, to) in [(1, "south"), (2, "east")] {
            assert_eq!(trail.append(event(to)).unwrap().count, count);
        }
        let read = || BufReader::new(File::open(folder.path().join("north.secret.trail.jsonl")).unwrap());
        assert_eq!(verify_lines(read(), &trail.key()).unwrap().count, 2);
        assert!(verify_lines(read(), &Identity::from_seed(&[6; 32]).public()).is_err());
    }

    #[test]
    fn a_trail_that_was_changed_is_not_continued() {
        let folder = tempfile::tempdir().unwrap();
        let trail = trail(folder.path());
        trail.append(event("south")).unwrap();
        let text = std::fs::read_to_string(trail.path()).unwrap();
        std::fs::write(trail.path(), text.replace("south", "souths")).unwrap();
        assert!(matches!(trail.append(event("east")), Err(ShareError::Trail { .. })));
        assert!(!std::fs::read_to_string(trail.path()).unwrap().contains("east"));
    }
}
