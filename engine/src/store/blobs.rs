//! Blobs: large values in files named by their SHA-256, `ab/<digest>`.
//!
//! A blob appears under its name only when it is whole and on disk: it is written under `tmp/`, synced, renamed,
//! and its folder synced. Reading checks the digest on the way and fails at the end when it is another.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest as _, Sha256};

use super::error::StoreError;
use crate::identity::Digest;

/// A blob's name: SHA-256 of its bytes.
pub type BlobId = Digest;

static NEXT: AtomicU64 = AtomicU64::new(0);

/// A folder of blobs.
#[derive(Clone, Debug)]
pub struct Blobs {
    root: PathBuf,
}

/// Writes one blob; dropped without [`BlobWriter::finish`] it leaves nothing.
#[derive(Debug)]
pub struct BlobWriter {
    root: PathBuf,
    temporary: PathBuf,
    file: Option<File>,
    hash: Sha256,
    written: u64,
    bytes_max: u64,
}

/// Reads one blob. The last read fails with [`io::ErrorKind::InvalidData`] when the bytes are not those of the
/// name: what was read before is then worth nothing.
#[derive(Debug)]
pub struct BlobReader {
    file: File,
    hash: Sha256,
    id: BlobId,
    length: u64,
}

pub(super) fn failed(path: &Path, error: &io::Error) -> StoreError {
    StoreError::File { path: path.display().to_string(), reason: error.to_string() }
}

pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

impl Blobs {
    /// Opens the folder, creating it when absent. Leftovers of writers that died are removed; so only one
    /// process may write to it.
    ///
    /// # Errors
    /// [`StoreError::File`].
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let temporary = root.join("tmp");
        fs::create_dir_all(&temporary).map_err(|e| failed(&temporary, &e))?;
        for entry in fs::read_dir(&temporary).map_err(|e| failed(&temporary, &e))? {
            let path = entry.map_err(|e| failed(&temporary, &e))?.path();
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.map_err(|e| failed(&path, &e))?;
        }
        Ok(Self { root: root.to_owned() })
    }

    /// The folder.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// A new name for something that is removed when the folder is opened next.
    pub(super) fn temporary(&self) -> PathBuf {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        self.root.join("tmp").join(format!("{}-{number}", std::process::id()))
    }

    /// Where a blob is.
    pub(super) fn path(&self, id: &BlobId) -> PathBuf {
        let name = id.to_string();
        self.root.join(&name[..2]).join(&name)
    }

    /// Begins a blob of at most that many bytes.
    ///
    /// # Errors
    /// [`StoreError::File`].
    pub fn writer(&self, bytes_max: u64) -> Result<BlobWriter, StoreError> {
        let temporary = self.temporary();
        let file = File::create_new(&temporary).map_err(|e| failed(&temporary, &e))?;
        let root = self.root.clone();
        Ok(BlobWriter { root, temporary, file: Some(file), hash: Sha256::new(), written: 0, bytes_max })
    }

    /// Keeps bytes that are at hand.
    ///
    /// # Errors
    /// [`StoreError::File`].
    pub fn put(&self, bytes: &[u8]) -> Result<BlobId, StoreError> {
        let mut writer = self.writer(bytes.len() as u64)?;
        writer.write(bytes)?;
        writer.finish()
    }

    /// Opens a blob's file, for who reads a part of it: nothing checks its digest on the way.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::File`].
    pub fn file(&self, id: &BlobId) -> Result<File, StoreError> {
        let path = self.path(id);
        File::open(&path).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => StoreError::NotFound { what: "blob", id: id.to_string() },
            _ => failed(&path, &e),
        })
    }

    /// Opens a blob for reading.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::File`].
    pub fn reader(&self, id: &BlobId) -> Result<BlobReader, StoreError> {
        let (path, file) = (self.path(id), self.file(id)?);
        let length = file.metadata().map_err(|e| failed(&path, &e))?.len();
        Ok(BlobReader { file, hash: Sha256::new(), id: *id, length })
    }

    /// Reads a whole blob of at most that many bytes.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::BlobTooLarge`], [`StoreError::Corrupt`], [`StoreError::File`].
    pub fn get(&self, id: &BlobId, bytes_max: u64) -> Result<Vec<u8>, StoreError> {
        let mut reader = self.reader(id)?;
        if reader.length > bytes_max {
            return Err(StoreError::BlobTooLarge { bytes_max });
        }
        let mut bytes = Vec::with_capacity(reader.length as usize);
        reader.read_to_end(&mut bytes).map_err(|e| match e.kind() {
            io::ErrorKind::InvalidData => StoreError::Corrupt { what: "blob", reason: e.to_string() },
            _ => failed(&self.path(id), &e),
        })?;
        Ok(bytes)
    }

    /// True when the blob is there.
    #[must_use]
    pub fn contains(&self, id: &BlobId) -> bool {
        self.path(id).is_file()
    }

    /// Removes a blob that nothing refers to any more; an absent one is no error.
    ///
    /// # Errors
    /// [`StoreError::File`].
    pub fn remove(&self, id: &BlobId) -> Result<(), StoreError> {
        let path = self.path(id);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(failed(&path, &e)),
            _ => Ok(()),
        }
    }
}

impl BlobWriter {
    /// Adds bytes.
    ///
    /// # Errors
    /// [`StoreError::BlobTooLarge`], [`StoreError::File`].
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let written = self.written.saturating_add(bytes.len() as u64);
        if written > self.bytes_max {
            return Err(StoreError::BlobTooLarge { bytes_max: self.bytes_max });
        }
        if let Some(file) = &mut self.file {
            file.write_all(bytes).map_err(|e| failed(&self.temporary, &e))?;
        }
        self.hash.update(bytes);
        self.written = written;
        Ok(())
    }

    /// Bytes written so far.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Puts the blob on disk under its name.
    ///
    /// # Errors
    /// [`StoreError::File`].
    pub fn finish(mut self) -> Result<BlobId, StoreError> {
        let id = Digest(std::mem::take(&mut self.hash).finalize().into());
        let name = id.to_string();
        let folder = self.root.join(&name[..2]);
        let target = folder.join(&name);
        let fresh_folder = !folder.is_dir();
        let placed = || -> io::Result<()> {
            if let Some(file) = &self.file {
                file.sync_all()?;
            }
            fs::create_dir_all(&folder)?;
            fs::rename(&self.temporary, &target)?;
            sync_folder(&folder)?;
            if fresh_folder { sync_folder(&self.root) } else { Ok(()) }
        };
        placed().map_err(|e| failed(&target, &e))?;
        self.file = None;
        Ok(id)
    }
}

impl Drop for BlobWriter {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // What stays here is removed when the folder is opened next.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

impl BlobReader {
    /// Bytes of the file.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.hash.update(&buffer[..count]);
        if count == 0 && !buffer.is_empty() {
            let found = Digest(self.hash.clone().finalize().into());
            if found != self.id {
                let message = format!("bytes of blob {} have digest {found}", self.id);
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
        }
        Ok(count)
    }
}
