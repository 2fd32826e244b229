//! Large values that arrive in several connections, and folders to work on what is kept.
//!
//! A partial value is a file under `partial/`, named by whose it is and by the digest that it shall have. It survives a
//! restart; it becomes a blob when it is whole and its digest is the announced one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::blobs::{BlobId, Blobs, failed, sync_folder};
use super::error::StoreError;
use super::job::JobId;

/// Partial values of one owner in one job at most.
const PARTIALS_MAX: usize = 4;

/// Which value, and whose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartialKey {
    /// The job that it is for.
    pub job: JobId,
    /// The member who sends it.
    pub owner: String,
    /// The digest that it shall have.
    pub id: BlobId,
    /// Bytes that it shall have.
    pub bytes: u64,
}

/// Adds to a partial value; what was written stays when it is dropped.
#[derive(Debug)]
pub struct PartialWriter {
    file: File,
    path: PathBuf,
    written: u64,
    bytes: u64,
}

/// A folder that goes when this is dropped, or when the blobs are opened next.
#[derive(Debug)]
pub struct Scratch(PathBuf);

fn conflict(key: &PartialKey, reason: &'static str) -> StoreError {
    StoreError::Conflict { what: "upload", id: key.id.to_string(), reason }
}

impl Blobs {
    fn partials(&self, job: &JobId) -> PathBuf {
        self.root().join("partial").join(job.as_str())
    }

    fn partial(&self, key: &PartialKey) -> PathBuf {
        self.partials(&key.job).join(format!(
            "{}.{}",
            crate::identity::Digest::of(key.owner.as_bytes()),
            key.id
        ))
    }

    /// Bytes that have arrived; all of them when it is a blob already.
    #[must_use]
    pub fn arrived(&self, key: &PartialKey) -> u64 {
        if self.contains(&key.id) {
            return key.bytes;
        }
        fs::metadata(self.partial(key)).map_or(0, |found| found.len())
    }

    /// Opens a partial value for adding at `offset`, which must be where it ends. One writer at a time.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] for another offset or another writer, [`StoreError::File`].
    pub fn add_to(&self, key: &PartialKey, offset: u64) -> Result<PartialWriter, StoreError> {
        let path = self.partial(key);
        let folder = self.partials(&key.job);
        fs::create_dir_all(&folder).map_err(|e| failed(&folder, &e))?;
        if !path.exists() {
            self.make_room(key)?;
        }
        let file = OpenOptions::new().create(true).append(true).open(&path).map_err(|e| failed(&path, &e))?;
        file.try_lock().map_err(|_| conflict(key, "another connection is sending it"))?;
        let written = file.metadata().map_err(|e| failed(&path, &e))?.len();
        if written != offset {
            return Err(conflict(key, "it does not go on there"));
        }
        Ok(PartialWriter { file, path, written, bytes: key.bytes })
    }

    /// Whoever begins more values than it may loses those that it did not end.
    fn make_room(&self, key: &PartialKey) -> Result<(), StoreError> {
        let prefix = format!("{}.", crate::identity::Digest::of(key.owner.as_bytes()));
        let folder = self.partials(&key.job);
        let entries = fs::read_dir(&folder).map_err(|e| failed(&folder, &e))?;
        let own: Vec<PathBuf> = entries
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
            .map(|entry| entry.path())
            .collect();
        if own.len() < PARTIALS_MAX {
            return Ok(());
        }
        own.iter().try_for_each(|path| fs::remove_file(path).map_err(|e| failed(path, &e)))
    }

    /// Makes a blob of a value that is whole. One that has another digest is thrown away.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when bytes are missing, [`StoreError::Corrupt`], [`StoreError::File`].
    pub fn keep_partial(&self, key: &PartialKey) -> Result<BlobId, StoreError> {
        if self.contains(&key.id) {
            return Ok(key.id);
        }
        let path = self.partial(key);
        if self.arrived(key) != key.bytes {
            return Err(StoreError::NotFound { what: "upload", id: key.id.to_string() });
        }
        let file = File::open(&path).map_err(|e| failed(&path, &e))?;
        if digest_of(&path).map_err(|e| failed(&path, &e))? != key.id {
            fs::remove_file(&path).map_err(|e| failed(&path, &e))?;
            return Err(StoreError::Corrupt {
                what: "upload",
                reason: "its bytes are not those announced".to_owned(),
            });
        }
        let placed = || -> io::Result<()> {
            file.sync_all()?;
            let target = self.path(&key.id);
            let folder = target.parent().unwrap_or(self.root());
            fs::create_dir_all(folder)?;
            fs::rename(&path, &target)?;
            sync_folder(folder)?;
            sync_folder(self.root())
        };
        placed().map_err(|e| failed(&path, &e))?;
        Ok(key.id)
    }

    /// Throws away what is left of a job's partial values.
    pub fn drop_partials(&self, job: &JobId) {
        // Nothing there is as good as gone.
        let _ = fs::remove_dir_all(self.partials(job));
    }

    /// A new empty folder.
    ///
    /// # Errors
    /// [`StoreError::File`].
    pub fn scratch(&self) -> Result<Scratch, StoreError> {
        let path = self.temporary();
        fs::create_dir_all(&path).map_err(|e| failed(&path, &e))?;
        Ok(Scratch(path))
    }

    /// Puts a blob under a path of a scratch folder: the same file under another name, to be replaced and never written.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::File`].
    pub fn link(&self, id: &BlobId, to: &Path) -> Result<(), StoreError> {
        let from = self.path(id);
        if !from.is_file() {
            return Err(StoreError::NotFound { what: "blob", id: id.to_string() });
        }
        let folder = to.parent().unwrap_or(to);
        fs::create_dir_all(folder).map_err(|e| failed(folder, &e))?;
        fs::hard_link(&from, to).or_else(|_| fs::copy(&from, to).map(drop)).map_err(|e| failed(to, &e))
    }
}

/// SHA-256 of a file.
///
/// # Errors
/// When it cannot be read.
pub fn digest_of(path: &Path) -> io::Result<BlobId> {
    let (mut file, mut hash, mut buffer) = (File::open(path)?, Sha256::new(), vec![0; 1 << 20]);
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok(crate::identity::Digest(hash.finalize().into()));
        }
        hash.update(&buffer[..count]);
    }
}

impl PartialWriter {
    /// Adds bytes.
    ///
    /// # Errors
    /// [`StoreError::BlobTooLarge`], [`StoreError::File`].
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let written = self.written.saturating_add(bytes.len() as u64);
        if written > self.bytes {
            return Err(StoreError::BlobTooLarge { bytes_max: self.bytes });
        }
        self.file.write_all(bytes).map_err(|e| failed(&self.path, &e))?;
        self.written = written;
        Ok(())
    }

    /// Bytes that have arrived.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }
}

impl Scratch {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays here is removed when the blobs are opened next.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Digest;

    fn key(bytes: &[u8]) -> PartialKey {
        let job = JobId::new(1, [0; 10]);
        PartialKey { job, owner: "north".to_owned(), id: Digest::of(bytes), bytes: bytes.len() as u64 }
    }

    #[test]
    fn a_value_goes_on_where_the_connection_broke_and_becomes_a_blob() {
        let folder = tempfile::tempdir().unwrap();
        let (bytes, blobs) = (vec![7u8; 5000], Blobs::open(folder.path()).unwrap());
        let key = key(&bytes);
        blobs.add_to(&key, 0).unwrap().write(&bytes[..3000]).unwrap();
        // The engine was killed: what arrived is still there.
        let blobs = Blobs::open(folder.path()).unwrap();
        assert_eq!(blobs.arrived(&key), 3000);
        assert!(matches!(blobs.add_to(&key, 0), Err(StoreError::Conflict { .. })));
        assert!(matches!(blobs.keep_partial(&key), Err(StoreError::NotFound { .. })));
        let mut writer = blobs.add_to(&key, 3000).unwrap();
        assert!(matches!(blobs.add_to(&key, 3000), Err(StoreError::Conflict { .. })), "one writer at a time");
        writer.write(&bytes[3000..]).unwrap();
        assert!(matches!(writer.write(b"more"), Err(StoreError::BlobTooLarge { .. })));
        drop(writer);
        assert_eq!(blobs.keep_partial(&key).unwrap(), key.id);
        assert_eq!((blobs.get(&key.id, 1 << 20).unwrap(), blobs.arrived(&key)), (bytes, 5000));
    }

    #[test]
    fn a_value_with_other_bytes_is_thrown_away() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path()).unwrap();
        let key = key(b"abc");
        blobs.add_to(&key, 0).unwrap().write(b"abd").unwrap();
        assert!(matches!(blobs.keep_partial(&key), Err(StoreError::Corrupt { .. })));
        assert_eq!(blobs.arrived(&key), 0);
    }

    #[test]
    fn who_begins_too_many_loses_those_and_nobody_elses() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path()).unwrap();
        let south = PartialKey { owner: "south".to_owned(), ..key(b"south") };
        blobs.add_to(&south, 0).unwrap().write(b"s").unwrap();
        for value in 0..=PARTIALS_MAX as u8 {
            blobs.add_to(&key(&[value; 9]), 0).unwrap().write(b"x").unwrap();
        }
        let left: Vec<u64> = (0..=PARTIALS_MAX as u8).map(|value| blobs.arrived(&key(&[value; 9]))).collect();
        assert_eq!(left, [0, 0, 0, 0, 1]);
        assert_eq!(blobs.arrived(&south), 1);
    }

    #[test]
    fn a_scratch_folder_goes_with_its_holder_and_leaves_the_blob() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path()).unwrap();
        let id = blobs.put(b"abc").unwrap();
        let scratch = blobs.scratch().unwrap();
        let path = scratch.path().to_owned();
        blobs.link(&id, &path.join("a/b")).unwrap();
        assert_eq!(fs::read(path.join("a/b")).unwrap(), b"abc");
        drop(scratch);
        assert!(!path.exists() && blobs.contains(&id));
        std::mem::forget(blobs.scratch().unwrap());
        Blobs::open(folder.path()).unwrap();
        assert_eq!(fs::read_dir(folder.path().join("tmp")).unwrap().count(), 0);
    }
}
