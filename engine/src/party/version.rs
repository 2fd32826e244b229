//! The key under which a node makes its dataset versions.

use zeroize::Zeroizing;

use crate::audit::Event;
use crate::encoding::separated;
use crate::problem::Problem;
use crate::records::version::VersionKey;
use crate::store::{Once, OnceKey, PartyStore};

/// Kind of its cell.
const KIND: &str = "version-key";

/// The node's key: drawn once, so that the same rows keep their version, and a restart is no way to another answer.
///
/// # Errors
/// When there is no randomness, or the store fails.
pub fn key(store: &dyn PartyStore, name: &str) -> Result<VersionKey, Problem> {
    let drawn = Zeroizing::new(crate::identity::random::<32>().map_err(|e| Problem::internal(&e))?);
    let event = Event::new(name, "hospital", "once.store", "dataset").saying(KIND);
    let binding = separated("dataset version key/1", &[]);
    let cell = OnceKey { kind: KIND, key: "dataset", binding: &binding };
    if let Some(kept) = store.once(cell)? {
        return from(&kept);
    }
    match store.put_once(cell, drawn.as_slice(), &event)? {
        Once::Stored => Ok(VersionKey::from_bytes(&drawn)),
        Once::Existing(kept) => from(&kept),
    }
}

fn from(kept: &[u8]) -> Result<VersionKey, Problem> {
    let bytes = kept.try_into().map_err(|_| Problem::internal(&"a version key of another size"))?;
    Ok(VersionKey::from_bytes(bytes))
}
