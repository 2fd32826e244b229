//! The node's end of relayed pipes: byte streams to peers inside the node's one stream to the engine.
//!
//! A pipe carries TLS between the two nodes; the engine forwards bytes it cannot read. Each end may have
//! [`WINDOW_BYTES`] on the way that the other has not credited, so nobody buffers more than that a pipe and direction.
//! Pipes that this node opens have even numbers, pipes that the engine opens odd ones.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;

use super::pipe::{Pipe, PipeState};

/// Bytes on the way in one direction of a pipe before the receiver must have credited some.
pub const WINDOW_BYTES: usize = 2 << 20;
/// Bytes of data in one frame, at most.
pub const DATA_BYTES_MAX: usize = 256 << 10;
/// Pipes that one node may have at once: three compute nodes, twenty input hospitals, and a second attempt that begins
/// while the first ends.
pub const PIPES_MAX: usize = 64;
/// Bytes that a probe may send through one pipe before it ends.
pub const PROBE_BYTES_MAX: usize = 64 << 10;
/// The session of a probe's pipe.
pub const PROBE_SESSION: [u8; 16] = [0; 16];

/// A frame of a relayed pipe, in either direction between a node and the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayFrame {
    /// The pipe's number on this stream.
    pub pipe: u64,
    /// What happens to it.
    pub event: RelayEvent,
}

/// What happens to a pipe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RelayEvent {
    /// A new pipe between this node and a peer, for one session.
    Open {
        /// The session that allows it.
        session: [u8; 16],
        /// The node at the other end.
        peer: String,
    },
    /// Bytes.
    Data(Vec<u8>),
    /// The receiver has taken so many bytes; as many may follow.
    Credit(u64),
    /// The pipe is no more.
    Close(CloseReason),
}

/// Why a pipe was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// An end closed it.
    Done,
    /// The other node is not connected, or has not joined the session yet. Try again.
    NotYet,
    /// No running session allows it.
    Refused,
    /// Too many pipes, or too often.
    Limit,
    /// An end sent more than it had credit for.
    Credit,
    /// A node's stream to the engine ended.
    Gone,
    /// The session ended.
    Ended,
}

impl CloseReason {
    /// For people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "the other end closed the pipe",
            Self::NotYet => "the other node is not connected to the engine, or has not joined yet",
            Self::Refused => "the engine knows no running session that allows it",
            Self::Limit => "the engine's limit on pipes is reached",
            Self::Credit => "more was sent than there was credit for",
            Self::Gone => "a stream to the engine ended",
            Self::Ended => "the session ended",
        }
    }
}

/// What becomes of the pipes that the engine opens.
pub(super) trait Accept: Send + Sync {
    /// Takes the pipe of that session and peer, or refuses it. Does not wait.
    fn pipe(&self, session: [u8; 16], peer: &str, pipe: Pipe);
}

/// The node's relay: open pipes while the node is attached to the engine.
pub struct RelayPort {
    accept: Arc<dyn Accept>,
    line: Mutex<Option<Arc<Line>>>,
}

/// One attachment's pipes.
pub(super) struct Line {
    outgoing: mpsc::UnboundedSender<RelayFrame>,
    pipes: Mutex<Pipes>,
}

#[derive(Default)]
struct Pipes {
    opened: u64,
    open: HashMap<u64, Arc<PipeState>>,
    ended: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Line {
    /// Queues a frame. The queue has no bound of its own and needs none: data waits for credit, of which there is
    /// [`WINDOW_BYTES`] a pipe; credit is given for what came; and pipes are [`PIPES_MAX`].
    pub(super) fn send(&self, pipe: u64, event: RelayEvent) {
        // Without a receiver the line has ended, and every pipe has been told.
        let _ = self.outgoing.send(RelayFrame { pipe, event });
    }

    /// Forgets a pipe and tells the engine, unless the pipe is forgotten already.
    pub(super) fn close(&self, pipe: u64, reason: CloseReason) {
        if let Some(state) = lock(&self.pipes).open.remove(&pipe) {
            state.close(reason);
            self.send(pipe, RelayEvent::Close(reason));
        }
    }

    fn end(&self) {
        let mut pipes = lock(&self.pipes);
        pipes.ended = true;
        for (_, state) in pipes.open.drain() {
            state.close(CloseReason::Gone);
        }
    }

    fn add(self: &Arc<Self>, pipes: &mut Pipes, number: u64) -> Pipe {
        let state = Arc::new(PipeState::default());
        pipes.open.insert(number, state.clone());
        Pipe::new(self.clone(), number, state)
    }
}

impl RelayPort {
    pub(super) fn new(accept: Arc<dyn Accept>) -> Self {
        Self { accept, line: Mutex::new(None) }
    }

    /// Begins a new attachment to the engine: its frames come out of the receiver, and what the engine sends goes into
    /// [`RelayLine::take`]. Pipes of an earlier attachment end; so do these when the line is dropped.
    #[must_use]
    pub fn attach(self: &Arc<Self>) -> (RelayLine, mpsc::UnboundedReceiver<RelayFrame>) {
        let (outgoing, frames) = mpsc::unbounded_channel();
        let line = Arc::new(Line { outgoing, pipes: Mutex::default() });
        if let Some(old) = lock(&self.line).replace(line.clone()) {
            old.end();
        }
        (RelayLine { port: self.clone(), line }, frames)
    }

    /// Opens a pipe to a peer. It is there at once; when the engine or the peer refuses it, reading says so.
    pub(super) fn open(&self, session: [u8; 16], peer: &str) -> Result<Pipe, CloseReason> {
        let line = lock(&self.line).clone().ok_or(CloseReason::NotYet)?;
        let mut pipes = lock(&line.pipes);
        if pipes.ended {
            return Err(CloseReason::NotYet);
        }
        if pipes.open.len() >= PIPES_MAX {
            return Err(CloseReason::Limit);
        }
        let number = 2 * pipes.opened;
        pipes.opened += 1;
        let pipe = line.add(&mut pipes, number);
        line.send(number, RelayEvent::Open { session, peer: peer.to_owned() });
        drop(pipes);
        Ok(pipe)
    }

    /// True while the node is attached to an engine.
    #[must_use]
    pub fn is_attached(&self) -> bool {
        lock(&self.line).as_ref().is_some_and(|line| !lock(&line.pipes).ended)
    }
}

/// One attachment to the engine; the pipes in it end when it is dropped.
pub struct RelayLine {
    port: Arc<RelayPort>,
    line: Arc<Line>,
}

/// The engine broke the relay's protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the engine broke the relay's protocol: {0}")]
pub struct RelayFault(&'static str);

impl RelayLine {
    /// Takes a frame of the engine. Never waits. Frames of pipes that were closed here meanwhile are dropped.
    ///
    /// # Errors
    /// [`RelayFault`] when the engine sends what it may not: the stream to it must end.
    pub fn take(&self, frame: RelayFrame) -> Result<(), RelayFault> {
        let RelayFrame { pipe, event } = frame;
        match event {
            RelayEvent::Open { session, peer } => self.opened(pipe, session, &peer),
            RelayEvent::Close(reason) => {
                if let Some(state) = lock(&self.line.pipes).open.remove(&pipe) {
                    state.close(reason);
                }
                Ok(())
            }
            RelayEvent::Data(bytes) => {
                let Some(state) = self.state(pipe) else { return Ok(()) };
                if bytes.is_empty() || bytes.len() > DATA_BYTES_MAX {
                    return Err(RelayFault("data of no bytes, or of too many"));
                }
                state.receive(bytes).map_err(|()| RelayFault("data without credit"))
            }
            RelayEvent::Credit(bytes) => {
                let Some(state) = self.state(pipe) else { return Ok(()) };
                state.credit(bytes).map_err(|()| RelayFault("credit for what was not sent"))
            }
        }
    }

    fn state(&self, pipe: u64) -> Option<Arc<PipeState>> {
        lock(&self.line.pipes).open.get(&pipe).cloned()
    }

    fn opened(&self, number: u64, session: [u8; 16], peer: &str) -> Result<(), RelayFault> {
        let mut pipes = lock(&self.line.pipes);
        if number.is_multiple_of(2) || pipes.open.contains_key(&number) {
            return Err(RelayFault("a pipe under a number that is not the engine's to give"));
        }
        if pipes.open.len() >= PIPES_MAX {
            self.line.send(number, RelayEvent::Close(CloseReason::Limit));
            return Ok(());
        }
        let pipe = self.line.add(&mut pipes, number);
        drop(pipes);
        self.port.accept.pipe(session, peer, pipe);
        Ok(())
    }
}

impl Drop for RelayLine {
    fn drop(&mut self) {
        self.line.end();
    }
}

/// Gives the bytes of a probe's pipe back, up to the limit.
pub(super) async fn echo(pipe: Pipe, bytes_max: usize) -> std::io::Result<u64> {
    let (read, mut write) = tokio::io::split(pipe);
    tokio::io::copy(&mut read.take(bytes_max as u64), &mut write).await
}
