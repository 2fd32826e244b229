//! Files that hold secrets: readable by their owner only, written whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;

use super::IdentityError;

fn refused(path: &Path, reason: impl ToString) -> IdentityError {
    IdentityError::File { path: path.display().to_string(), reason: reason.to_string() }
}

/// Creates a folder (and its parents) that only its owner enters.
pub(crate) fn private_dir(path: &Path) -> Result<(), IdentityError> {
    if path.is_dir() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|e| refused(path, e))
}

/// Writes a new file of mode 0600, by way of a temporary name; an existing file is never overwritten.
pub(crate) fn create_private(path: &Path, bytes: &[u8]) -> Result<(), IdentityError> {
    let temporary = path.with_extension(format!("tmp-{}", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    // A hard link fails when the name is taken, where a rename would replace what is there.
    let linked = written.and_then(|()| fs::hard_link(&temporary, path));
    let removed = fs::remove_file(&temporary);
    linked.and(removed).map_err(|e| refused(path, e))?;
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    File::open(folder).and_then(|d| d.sync_all()).map_err(|e| refused(folder, e))
}

/// Reads a small text file, refusing one that others may read.
pub(crate) fn read_private(path: &Path, bytes_max: u64) -> Result<zeroize::Zeroizing<String>, IdentityError> {
    let meta = fs::metadata(path).map_err(|e| refused(path, e))?;
    if meta.len() > bytes_max {
        return Err(refused(path, format!("{} bytes, at most {bytes_max} expected", meta.len())));
    }
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::MetadataExt::mode(&meta) & 0o077;
        if mode != 0 {
            return Err(refused(path, "others may read it; restrict it to its owner (chmod 600)"));
        }
    }
    fs::read_to_string(path).map(zeroize::Zeroizing::new).map_err(|e| refused(path, e))
}

/// Reads a small public text file.
pub(crate) fn read_public(path: &Path, bytes_max: u64) -> Result<String, IdentityError> {
    let meta = fs::metadata(path).map_err(|e| refused(path, e))?;
    if meta.len() > bytes_max {
        return Err(refused(path, format!("{} bytes, at most {bytes_max} expected", meta.len())));
    }
    fs::read_to_string(path).map_err(|e| refused(path, e))
}
