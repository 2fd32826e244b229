//! What waits to be put on the chain, kept in one file.
//!
//! The file is replaced whole: written under another name, synced, renamed. So a process that dies at any moment
//! leaves the state before or after a change, and since an intent is kept before its transaction is sent, never a
//! transaction that nobody remembers.

use std::collections::VecDeque;
use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{EvmError, Intent, Post, Settlement};
use crate::encoding::canonical_json;
use crate::identity::Digest;

/// Posts that may wait.
pub const OUTBOX_POSTS_MAX: usize = 1024;
const SETTLED_KEPT: usize = 256;
const VERSION: u32 = 1;
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(50);
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Where posts wait, in order, until they are settled. Every change is durable when the call returns.
pub trait Outbox: Send + Sync {
    /// The oldest post that is not settled.
    ///
    /// # Errors
    /// [`EvmError::Outbox`].
    fn next(&self) -> Result<Option<Post>, EvmError>;

    /// The transaction that is under way for [`Outbox::next`].
    ///
    /// # Errors
    /// [`EvmError::Outbox`].
    fn intent(&self) -> Result<Option<Intent>, EvmError>;

    /// Keeps, replaces or drops the intent.
    ///
    /// # Errors
    /// [`EvmError::Outbox`].
    fn keep_intent(&self, intent: Option<&Intent>) -> Result<(), EvmError>;

    /// Ends the oldest post and its intent.
    ///
    /// # Errors
    /// [`EvmError::Outbox`], also when the settlement is of another post.
    fn settle(&self, settlement: &Settlement) -> Result<(), EvmError>;
}

/// How far the log was taken over into the outbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Followed {
    /// Leaves whose commitments were queued.
    pub leaves: u64,
    /// Size of the newest checkpoint that was queued.
    pub checkpoint: u64,
    /// Its root.
    pub root: Option<Digest>,
    /// When it was queued (unix milliseconds).
    pub at_ms: u64,
}

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    version: u32,
    followed: Followed,
    queue: VecDeque<Post>,
    intent: Option<Intent>,
    settled: VecDeque<Settlement>,
}

/// An outbox in a folder of its own, which one process uses at a time.
pub struct FileOutbox {
    path: PathBuf,
    state: Mutex<State>,
    _lock: File,
}

fn failed(path: &Path, what: impl ToString) -> EvmError {
    EvmError::Outbox { reason: format!("{}: {}", path.display(), what.to_string()) }
}

impl FileOutbox {
    /// Opens the outbox of a folder, or begins one.
    ///
    /// # Errors
    /// [`EvmError::Outbox`] when another process has it, or the file is damaged or of another version.
    pub fn open(folder: &Path) -> Result<Self, EvmError> {
        fs::create_dir_all(folder).map_err(|e| failed(folder, e))?;
        let lock_path = folder.join("outbox.lock");
        let lock = File::create(&lock_path).map_err(|e| failed(&lock_path, e))?;
        take(&lock).map_err(|_| failed(&lock_path, "another process uses this outbox"))?;
        let path = folder.join("outbox.json");
        let state = if path.exists() { read(&path)? } else { State { version: VERSION, ..State::default() } };
        Ok(Self { path, state: Mutex::new(state), _lock: lock })
    }

    /// Queues a post, unless the same content waits already.
    ///
    /// # Errors
    /// [`EvmError::Outbox`] when it is malformed or the outbox is full.
    pub fn submit(&self, post: Post) -> Result<Digest, EvmError> {
        post.check()?;
        let id = post.id();
        let mut state = self.state();
        if state.queue.iter().any(|queued| queued.id() == id) {
            return Ok(id);
        }
        if state.queue.len() >= OUTBOX_POSTS_MAX {
            return Err(failed(&self.path, format!("{OUTBOX_POSTS_MAX} posts wait already")));
        }
        self.change(&mut state, |state| state.queue.push_back(post))?;
        Ok(id)
    }

    /// Posts that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.state().queue.len()
    }

    /// How a post ended, of the last 256 that did.
    #[must_use]
    pub fn settlement(&self, post: &Digest) -> Option<Settlement> {
        self.state().settled.iter().rev().find(|settled| settled.post == *post).cloned()
    }

    /// The last settlements, oldest first.
    #[must_use]
    pub fn settled(&self) -> Vec<Settlement> {
        self.state().settled.iter().cloned().collect()
    }

    pub(super) fn followed(&self) -> Followed {
        self.state().followed
    }

    /// Queues posts made from the log and notes how far it was read, in one change.
    pub(super) fn take_over(&self, posts: Vec<Post>, followed: Followed) -> Result<(), EvmError> {
        for post in &posts {
            post.check()?;
        }
        let mut state = self.state();
        self.change(&mut state, |state| {
            state.queue.extend(posts);
            state.followed = followed;
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A change is applied to memory only after it is on disk, so a panic elsewhere leaves the state whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, state: &mut State, change: impl FnOnce(&mut State)) -> Result<(), EvmError> {
        let mut next = state.clone();
        change(&mut next);
        write(&self.path, &canonical_json(&next))?;
        *state = next;
        Ok(())
    }
}

impl Outbox for FileOutbox {
    fn next(&self) -> Result<Option<Post>, EvmError> {
        Ok(self.state().queue.front().cloned())
    }

    fn intent(&self) -> Result<Option<Intent>, EvmError> {
        Ok(self.state().intent.clone())
    }

    fn keep_intent(&self, intent: Option<&Intent>) -> Result<(), EvmError> {
        let mut state = self.state();
        self.change(&mut state, |state| state.intent = intent.cloned())
    }

    fn settle(&self, settlement: &Settlement) -> Result<(), EvmError> {
        let mut state = self.state();
        if state.queue.front().map(Post::id) != Some(settlement.post) {
            return Err(failed(&self.path, "a settlement of a post that is not the oldest"));
        }
        self.change(&mut state, |state| {
            state.queue.pop_front();
            state.intent = None;
            state.settled.push_back(settlement.clone());
            while state.settled.len() > SETTLED_KEPT {
                state.settled.pop_front();
            }
        })
    }
}

/// Takes the lock. A process that is ending, or one that this process is just starting, may hold it for a moment.
fn take(lock: &File) -> Result<(), TryLockError> {
    for _ in 0..LOCK_TRIES {
        if lock.try_lock().is_ok() {
            return Ok(());
        }
        std::thread::sleep(LOCK_PAUSE);
    }
    lock.try_lock()
}

fn read(path: &Path) -> Result<State, EvmError> {
    let size = fs::metadata(path).map_err(|e| failed(path, e))?.len();
    if size > FILE_BYTES_MAX {
        return Err(failed(path, format!("{size} bytes, at most {FILE_BYTES_MAX} expected")));
    }
    let bytes = fs::read(path).map_err(|e| failed(path, e))?;
    let state: State = serde_json::from_slice(&bytes).map_err(|e| failed(path, e))?;
    if state.version != VERSION {
        return Err(failed(path, format!("version {}, this engine writes {VERSION}", state.version)));
    }
    for post in &state.queue {
        post.check()?;
    }
    Ok(state)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), EvmError> {
    let temporary = path.with_extension("tmp");
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&temporary, path)).map_err(|e| failed(path, e))?;
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|e| failed(folder, e))
}
