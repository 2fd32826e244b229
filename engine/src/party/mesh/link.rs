//! One peer's stream at work: a task that writes what waits, a task that reads, and bounded queues between them and
//! the program.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use super::carrier::Wire;
use super::error::MeshError;
use super::limits::MeshLimits;
use super::{Route, Traffic};

/// A message and its tag.
pub(super) type Tagged = ([u8; 16], Vec<u8>);

/// How the mesh ends: nothing at first, then the first error. All streams of an attempt share it.
#[derive(Clone)]
pub(super) struct End(watch::Sender<Option<MeshError>>);

impl End {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(None))
    }

    /// Ends the mesh; the first error counts.
    pub(super) fn with(&self, error: MeshError) {
        self.0.send_if_modified(|end| {
            let is_first = end.is_none();
            if is_first {
                *end = Some(error);
            }
            is_first
        });
    }

    /// The error, when it has ended.
    pub(super) fn error(&self) -> Option<MeshError> {
        self.0.borrow().clone()
    }

    /// Waits for the end.
    pub(super) async fn ended(&self) -> MeshError {
        let mut receiver = self.0.subscribe();
        match receiver.wait_for(Option::is_some).await {
            Ok(end) => end.clone().unwrap_or(MeshError::Cancelled),
            // Not reached: the sender is `self`.
            Err(_) => MeshError::Cancelled,
        }
    }
}

/// A peer's stream.
pub(super) struct Link {
    pub(super) peer: String,
    pub(super) route: Route,
    pub(super) limits: MeshLimits,
    pub(super) end: End,
    pub(super) wire: Arc<Wire>,
    pub(super) outbox: Mutex<Outbox>,
    /// Something waits to be written, or the outbox closed. One waits: the writer.
    pub(super) filled: Notify,
    /// Something was written. One waits: the sender whose turn it is.
    pub(super) room: Notify,
    pub(super) inbox: Mutex<Inbox>,
    /// A message came, or the peer left. One waits: the receiver whose turn it is.
    pub(super) came: Notify,
    /// A message is asked for, or one was taken. One waits: the reader.
    pub(super) wanted: Notify,
    pub(super) messages: Messages,
    send_turn: tokio::sync::Mutex<()>,
    receive_turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
pub(super) struct Outbox {
    pub(super) queue: VecDeque<Tagged>,
    /// Bytes that wait or are being written.
    pub(super) bytes: usize,
    /// Nothing follows but the farewell.
    pub(super) is_closing: bool,
}

#[derive(Default)]
pub(super) struct Inbox {
    pub(super) queue: VecDeque<Tagged>,
    pub(super) bytes: usize,
    /// A receiver waits for a message of at most so many bytes.
    pub(super) demand: Option<usize>,
    /// The peer has said its farewell.
    pub(super) has_left: bool,
}

/// Counters of messages and their bytes, headers and TLS left out.
#[derive(Default)]
pub(super) struct Messages {
    pub(super) sent: AtomicU64,
    pub(super) sent_bytes: AtomicU64,
    pub(super) received: AtomicU64,
    pub(super) received_bytes: AtomicU64,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Link {
    pub(super) fn new(peer: String, route: Route, limits: MeshLimits, (end, wire): (End, Arc<Wire>)) -> Self {
        Self {
            peer,
            route,
            limits,
            end,
            wire,
            outbox: Mutex::default(),
            filled: Notify::new(),
            room: Notify::new(),
            inbox: Mutex::default(),
            came: Notify::new(),
            wanted: Notify::new(),
            messages: Messages::default(),
            send_turn: tokio::sync::Mutex::default(),
            receive_turn: tokio::sync::Mutex::default(),
        }
    }

    /// Queues a message; waits for room.
    pub(super) async fn send(&self, tag: [u8; 16], message: Vec<u8>) -> Result<(), MeshError> {
        let bytes_max = self.limits.message_bytes_max.min(u32::MAX as usize);
        if message.len() > bytes_max {
            return Err(self.oversize(message.len(), bytes_max));
        }
        let _turn = self.send_turn.lock().await;
        let mut message = Some((tag, message));
        loop {
            if self.queued(&mut message)? {
                return Ok(());
            }
            self.waiting("took nothing", self.room.notified()).await?;
        }
    }

    /// Moves the message into the outbox when there is room.
    fn queued(&self, message: &mut Option<Tagged>) -> Result<bool, MeshError> {
        if let Some(error) = self.end.error() {
            return Err(error);
        }
        if lock(&self.inbox).has_left {
            return Err(MeshError::Left { peer: self.peer.clone() });
        }
        let mut outbox = lock(&self.outbox);
        if outbox.is_closing {
            return Err(MeshError::Cancelled);
        }
        let bytes = message.as_ref().map_or(0, |(_, message)| message.len());
        if outbox.bytes > 0 && outbox.bytes.saturating_add(bytes) > self.limits.send_bytes_max {
            return Ok(false);
        }
        outbox.bytes += bytes;
        outbox.queue.extend(message.take());
        drop(outbox);
        self.filled.notify_one();
        self.messages.sent.fetch_add(1, Ordering::Relaxed);
        self.messages.sent_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        Ok(true)
    }

    /// Waits for the next message, which must have this tag and at most so many bytes.
    pub(super) async fn receive(&self, tag: [u8; 16], bytes_max: usize) -> Result<Vec<u8>, MeshError> {
        let _turn = self.receive_turn.lock().await;
        loop {
            if let Some(message) = self.next(bytes_max)? {
                return self.checked(message, tag, bytes_max);
            }
            self.wanted.notify_one();
            self.waiting("sent nothing", self.came.notified()).await?;
        }
    }

    /// Takes the next message out of the inbox, or leaves word that one is wanted.
    fn next(&self, bytes_max: usize) -> Result<Option<Tagged>, MeshError> {
        let mut inbox = lock(&self.inbox);
        if let Some(message) = inbox.queue.pop_front() {
            inbox.bytes -= message.1.len();
            inbox.demand = None;
            drop(inbox);
            self.wanted.notify_one();
            return Ok(Some(message));
        }
        // What came before the end is still given out; then the end counts.
        if let Some(error) = self.end.error() {
            return Err(error);
        }
        if inbox.has_left {
            return Err(MeshError::Left { peer: self.peer.clone() });
        }
        inbox.demand = Some(bytes_max);
        Ok(None)
    }

    fn checked(&self, (got, message): Tagged, tag: [u8; 16], bytes_max: usize) -> Result<Vec<u8>, MeshError> {
        let error = if got != tag {
            MeshError::Tag { peer: self.peer.clone(), got: hex::encode(got), wanted: hex::encode(tag) }
        } else if message.len() > bytes_max {
            self.oversize(message.len(), bytes_max)
        } else {
            return Ok(message);
        };
        self.end.with(error.clone());
        Err(error)
    }

    pub(super) fn oversize(&self, bytes: usize, bytes_max: usize) -> MeshError {
        MeshError::Oversize { peer: self.peer.clone(), bytes: bytes as u64, bytes_max: bytes_max as u64 }
    }

    /// Waits under the limit and until the mesh ends.
    async fn waiting(&self, what: &'static str, event: impl Future<Output = ()>) -> Result<(), MeshError> {
        let limit_ms = self.limits.wait_ms_max;
        tokio::select! {
            biased;
            error = self.end.ended() => {
                // A message may have come together with the end: the caller looks once more.
                if lock(&self.inbox).queue.is_empty() { Err(error) } else { Ok(()) }
            }
            waited = timeout(Duration::from_millis(limit_ms), event) => waited.map_err(|_| {
                let error = MeshError::Stalled { peer: self.peer.clone(), what, stalled_ms: limit_ms };
                self.end.with(error.clone());
                error
            }),
        }
    }

    /// Lets nothing more in; the writer says farewell when the rest is written.
    pub(super) fn close(&self) {
        lock(&self.outbox).is_closing = true;
        self.filled.notify_one();
    }

    /// What has passed so far.
    pub(super) fn traffic(&self) -> Traffic {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Traffic {
            messages_sent: count(&self.messages.sent),
            bytes_sent: count(&self.messages.sent_bytes),
            messages_received: count(&self.messages.received),
            bytes_received: count(&self.messages.received_bytes),
            wire_bytes_sent: count(&self.wire.sent),
            wire_bytes_received: count(&self.wire.received),
        }
    }
}
