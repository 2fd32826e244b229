//! The engine's relay: pipes between nodes that cannot reach each other. The engine forwards bytes of TLS between the
//! two nodes and sees sizes alone.
//!
//! A pipe is opened only between two members of one running session that the coordinator has registered as a pair.
//! In each direction of a pipe at most `WINDOW_BYTES` are under way without the receiver's credit; whoever sends more
//! loses the pipe. Frames are taken without waiting, so that a node that reads slowly holds up nobody but the pipes
//! that lead to it: what waits for it is bounded by window times pipes, and leaves pipe by pipe in turn.

mod probe;
mod table;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

pub use self::probe::ProbeFailure;
use self::probe::Probes;
use self::table::{Replaced, Table};
pub use self::wire::{frame_of, relay_of};
use crate::party::mesh::RelayFrame;

/// A session whose members may open pipes to each other.
struct Session {
    /// Pairs of names, the lower first, and how often a pipe was opened between them.
    pairs: HashMap<(String, String), u32>,
}

/// The relay of one engine.
#[derive(Default)]
pub struct Relay {
    table: Mutex<Table>,
    probes: Mutex<Probes>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A node broke the relay's protocol; its stream must end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RelayError {
    /// A pipe under a number that is taken, or not the node's to give.
    #[error("pipe {0} is opened under a number that is not the node's to give")]
    Number(u64),
    /// Data of no bytes or of too many.
    #[error("{0} bytes of data in one frame of the relay")]
    Size(usize),
    /// Too many refused pipes whose refusals the node does not read.
    #[error("too many pipes that are refused")]
    Flood,
    /// A frame without event, or with a malformed one.
    #[error("a frame of the relay that is malformed: {0}")]
    Malformed(&'static str),
}

/// A session is registered already.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the session is registered already")]
pub struct SessionTaken;

impl Relay {
    /// Lets each of `compute` talk to each other and to each of `others`, under this session, for as long as the
    /// returned guard lives.
    ///
    /// # Errors
    /// [`SessionTaken`].
    pub fn session(
        self: &Arc<Self>,
        session: [u8; 16],
        compute: &[String],
        others: &[String],
    ) -> Result<RelaySession, SessionTaken> {
        let partners: HashSet<&String> = compute.iter().chain(others).collect();
        let mut pairs = HashMap::new();
        for a in compute {
            for b in partners.iter().filter(|b| **b != a) {
                pairs.insert(pair(a, b), 0);
            }
        }
        let is_new = lock(&self.table).add_session(session, Session { pairs });
        if is_new { Ok(RelaySession { relay: self.clone(), session }) } else { Err(SessionTaken) }
    }

    /// Begins a node's line, in place of an older one of the same name, whose pipes end.
    #[must_use]
    pub fn attach(self: &Arc<Self>, node: &str) -> Attachment {
        let wake = Arc::new(Notify::new());
        let number = lock(&self.table).attach(node, wake.clone());
        Attachment { relay: self.clone(), node: node.to_owned(), number, wake }
    }

    /// Pipes that are open now, and bytes that wait in them for a node to read.
    #[must_use]
    pub fn load(&self) -> (usize, usize) {
        lock(&self.table).load()
    }
}

/// The two names, the lower first.
fn pair(a: &str, b: &str) -> (String, String) {
    if a < b { (a.to_owned(), b.to_owned()) } else { (b.to_owned(), a.to_owned()) }
}

/// A registered session; its pipes end when it is dropped.
pub struct RelaySession {
    relay: Arc<Relay>,
    session: [u8; 16],
}

impl Drop for RelaySession {
    fn drop(&mut self) {
        lock(&self.relay.table).end_session(self.session);
    }
}

/// A node's line to the relay; its pipes end when it is dropped.
pub struct Attachment {
    relay: Arc<Relay>,
    node: String,
    number: u64,
    wake: Arc<Notify>,
}

impl Attachment {
    /// Takes a frame of the node. Never waits.
    ///
    /// # Errors
    /// [`RelayError`] when the node may not send this: its stream must end.
    pub fn take(&self, frame: RelayFrame) -> Result<(), RelayError> {
        lock(&self.relay.table).take(&self.node, self.number, frame)
    }

    /// The next frame for the node; none when a newer line has taken this one's place. To be called by one task.
    pub async fn next(&self) -> Option<RelayFrame> {
        loop {
            let next = lock(&self.relay.table).next(&self.node, self.number);
            match next {
                Err(Replaced) => return None,
                Ok(Some(frame)) => return Some(frame),
                Ok(None) => self.wake.notified().await,
            }
        }
    }
}

impl Attachment {
    /// Ends the line now: its pipes close, and [`Attachment::next`] has no more.
    pub fn end(&self) {
        lock(&self.relay.table).detach(&self.node, self.number);
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        self.end();
    }
}
