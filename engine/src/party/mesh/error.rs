//! What ends a mesh, or keeps it from being made.

use crate::problem::{Problem, ProblemKind};

/// Why there is no mesh, or no mesh any more. Names peers and sizes; never what was said.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MeshError {
    /// The attempt was told to stop.
    #[error("the attempt was cancelled")]
    Cancelled,
    /// This node already takes part in this attempt.
    #[error("this node has already joined this attempt")]
    Joined,
    /// The peers of an attempt make no sense.
    #[error("the peers of the attempt are malformed: {what}")]
    Peers {
        /// What is wrong.
        what: &'static str,
    },
    /// No peer of that name.
    #[error("{peer:?} is no peer of this attempt")]
    NoPeer {
        /// The name asked for.
        peer: String,
    },
    /// Neither way leads to the peer.
    #[error("no connection to {peer}: directly, {direct}; through the engine, {relayed}")]
    Unreachable {
        /// The peer.
        peer: String,
        /// Why not directly.
        direct: String,
        /// Why not through the engine.
        relayed: String,
    },
    /// The peer, which connects to this node, did not.
    #[error("{peer} did not connect within {waited_ms} ms")]
    Absent {
        /// The peer.
        peer: String,
        /// How long this node waited.
        waited_ms: u64,
    },
    /// Somebody else answered in the peer's place, or the peer takes this node for somebody else.
    #[error("the identity of {peer} was refused: {reason}")]
    Identity {
        /// The peer.
        peer: String,
        /// What did not fit.
        reason: String,
    },
    /// The peer's key was revoked.
    #[error("the key of {peer} was revoked")]
    Revoked {
        /// The peer.
        peer: String,
    },
    /// The peer refuses this attempt.
    #[error("{peer} refuses the stream: {reason}")]
    Refused {
        /// The peer.
        peer: String,
        /// Why.
        reason: &'static str,
    },
    /// The peer has said its farewell: it sends and takes nothing any more.
    #[error("{peer} has left")]
    Left {
        /// The peer.
        peer: String,
    },
    /// The stream broke.
    #[error("the connection to {peer} broke: {reason}")]
    Broken {
        /// The peer.
        peer: String,
        /// How.
        reason: String,
    },
    /// Nothing moved for too long.
    #[error("{peer} {what} for {stalled_ms} ms")]
    Stalled {
        /// The peer.
        peer: String,
        /// What it failed to do.
        what: &'static str,
        /// How long.
        stalled_ms: u64,
    },
    /// A message over its limit, refused before it is in memory.
    #[error("a message of {bytes} bytes from or to {peer}, at most {bytes_max} allowed")]
    Oversize {
        /// The peer.
        peer: String,
        /// Its length.
        bytes: u64,
        /// The limit.
        bytes_max: u64,
    },
    /// A message under another tag than the one waited for.
    #[error("{peer} sent a message of another step: {got} where {wanted} was due")]
    Tag {
        /// The peer.
        peer: String,
        /// The tag that came, hexadecimal.
        got: String,
        /// The tag that was due, hexadecimal.
        wanted: String,
    },
    /// Bytes that are no frame.
    #[error("{peer} broke the framing: {what}")]
    Frame {
        /// The peer.
        peer: String,
        /// How.
        what: &'static str,
    },
    /// TLS cannot be set up with what this node has.
    #[error("TLS cannot be set up: {reason}")]
    Tls {
        /// Why.
        reason: String,
    },
    /// The address for peers cannot be listened on.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// The address.
        address: String,
        /// What the system says.
        reason: String,
    },
    /// An address that is none, or is not signed by its owner.
    #[error("the address {address:?} of {peer} is refused: {reason}")]
    Address {
        /// Whose address it is said to be.
        peer: String,
        /// The address, cut.
        address: String,
        /// Why.
        reason: &'static str,
    },
}

impl MeshError {
    /// Stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Cancelled => "mesh.cancelled",
            Self::Revoked { .. } => "identity.revoked",
            Self::Joined => "mesh.joined",
            Self::Peers { .. } => "mesh.peers",
            Self::NoPeer { .. } => "mesh.no_peer",
            Self::Unreachable { .. } => "mesh.unreachable",
            Self::Absent { .. } => "mesh.absent",
            Self::Identity { .. } => "mesh.identity",
            Self::Refused { .. } => "mesh.refused",
            Self::Left { .. } => "mesh.left",
            Self::Broken { .. } => "mesh.broken",
            Self::Stalled { .. } => "mesh.stalled",
            Self::Oversize { .. } => "mesh.oversize",
            Self::Tag { .. } => "mesh.tag",
            Self::Frame { .. } => "mesh.frame",
            Self::Tls { .. } => "mesh.tls",
            Self::Listen { .. } => "mesh.listen",
            Self::Address { .. } => "mesh.address",
        }
    }

    /// The peer it is about, if it is about one.
    #[must_use]
    pub fn peer(&self) -> Option<&str> {
        match self {
            Self::NoPeer { peer }
            | Self::Unreachable { peer, .. }
            | Self::Absent { peer, .. }
            | Self::Identity { peer, .. }
            | Self::Refused { peer, .. }
            | Self::Left { peer }
            | Self::Broken { peer, .. }
            | Self::Stalled { peer, .. }
            | Self::Oversize { peer, .. }
            | Self::Tag { peer, .. }
            | Self::Frame { peer, .. }
            | Self::Address { peer, .. } => Some(peer),
            Self::Cancelled
            | Self::Revoked { .. }
            | Self::Joined
            | Self::Peers { .. }
            | Self::Tls { .. }
            | Self::Listen { .. } => None,
        }
    }

    /// What to do about it; empty when there is nothing to say.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } | Self::Absent { .. } => {
                "run `ward party doctor` at both hospitals: it tries the direct way and the engine's relay"
            }
            Self::Identity { .. } => "compare the fingerprints of both nodes' keys by telephone",
            Self::Broken { .. } | Self::Stalled { .. } => {
                "a fresh attempt may succeed; if not, look at the peer's log"
            }
            Self::Listen { .. } => "choose another address in [mesh] listen",
            Self::Address { .. } => "check [mesh] address at that hospital",
            _ => "",
        }
    }

    /// A fresh attempt may succeed.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Absent { .. }
                | Self::Left { .. }
                | Self::Broken { .. }
                | Self::Stalled { .. }
        )
    }
}

impl From<MeshError> for Problem {
    fn from(error: MeshError) -> Self {
        let kind = match &error {
            error if error.is_passing() => ProblemKind::Unavailable,
            MeshError::Revoked { .. } => ProblemKind::Authorization,
            MeshError::Cancelled | MeshError::Joined => ProblemKind::Conflict,
            MeshError::Identity { .. } | MeshError::Refused { .. } => ProblemKind::Authorization,
            MeshError::Listen { .. } | MeshError::Address { .. } | MeshError::Tls { .. } => {
                ProblemKind::Validation
            }
            _ => ProblemKind::Internal,
        };
        let problem = Self::new(kind, error.code(), error.to_string()).hint(error.hint());
        match error.peer() {
            Some(peer) => problem.at(peer),
            None => problem,
        }
    }
}
