//! What carries messages between nodes: an argument of every session, never made here.

use super::role::Role;
use super::step::StepId;

/// A connection to the two other nodes, authenticated and confidential end to end. Messages of one sender to one
/// receiver arrive in order; each is named by the step that sent it.
///
/// The calls block. A node runs a program on a thread of its own; the transport behind the channel is elsewhere.
pub trait Channel: Send {
    /// Queues a message. Returns when it is queued; queues are bounded, so it may wait.
    ///
    /// # Errors
    /// [`ChannelError`].
    fn send(&mut self, to: Role, step: StepId, message: Vec<u8>) -> Result<(), ChannelError>;

    /// Waits for the message of `from` under `step`, which is exactly `len` bytes long. The transport refuses a
    /// longer one before it has it all in memory.
    ///
    /// # Errors
    /// [`ChannelError`]; a message of another step or length is [`ChannelError::Unexpected`].
    fn receive(&mut self, from: Role, step: StepId, len: usize) -> Result<Vec<u8>, ChannelError>;
}

/// Why a message did not go or come.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChannelError {
    /// The peer is gone.
    #[error("the connection to P{} is closed", .0.index())]
    Closed(Role),
    /// Nothing came for too long.
    #[error("P{} sent nothing for {stalled_ms} ms", .peer.index())]
    Stalled {
        /// The silent peer.
        peer: Role,
        /// How long.
        stalled_ms: u64,
    },
    /// A message of another step or of another length than the protocol's.
    #[error("P{} sent {what}", .peer.index())]
    Unexpected {
        /// The sender.
        peer: Role,
        /// What came instead.
        what: String,
    },
    /// The session was told to stop.
    #[error("the session was cancelled")]
    Cancelled,
}
