//! The hospitals' nodes as the scheduler sees them: names that can be called.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::party::mesh::Announcement;
use crate::party::task::{Outcome, Task};
use crate::problem::{Problem, ProblemKind};

/// An outcome with its body.
#[derive(Debug)]
pub struct Answered {
    /// The outcome.
    pub outcome: Outcome,
    /// What came with it.
    pub body: Vec<u8>,
}

/// Why a node did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// It is not connected, or the connection broke.
    #[error("{0} is not connected")]
    Away(String),
    /// It did not answer in time.
    #[error("{node} did not answer within {limit_ms} ms")]
    Slow {
        /// The node.
        node: String,
        /// Time limit.
        limit_ms: u128,
    },
    /// It refused, or failed.
    #[error("{0}")]
    Refused(Problem),
    /// It answered nonsense.
    #[error("{node} broke the protocol: {what}")]
    Protocol {
        /// The node.
        node: String,
        /// How.
        what: String,
    },
}

impl NodeError {
    /// Trying again may help.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Away(_) | Self::Slow { .. } => true,
            Self::Refused(problem) => problem.retryable,
            Self::Protocol { .. } => false,
        }
    }

    /// As a person is told.
    #[must_use]
    pub fn problem(&self) -> Problem {
        match self {
            Self::Refused(problem) => problem.clone(),
            Self::Away(node) => Problem::new(ProblemKind::Unavailable, "node.away", self.to_string())
                .at(node)
                .hint("ask the hospital to check its node with `ward party doctor`"),
            Self::Slow { node, .. } => {
                Problem::new(ProblemKind::Unavailable, "node.slow", self.to_string()).at(node)
            }
            Self::Protocol { node, .. } => {
                Problem::new(ProblemKind::Internal, "node.protocol", self.to_string()).at(node)
            }
        }
    }
}

/// A pending call.
pub type Calling<'a> = Pin<Box<dyn Future<Output = Result<Answered, NodeError>> + Send + 'a>>;

/// A session of the relay; it ends when this is dropped.
pub type SessionGuard = Box<dyn Send + Sync>;

/// The connected nodes.
pub trait Nodes: Send + Sync {
    /// Names of the nodes that are connected.
    fn connected(&self) -> Vec<String>;

    /// Sends a task and waits for its outcome.
    ///
    /// # Errors
    /// [`NodeError`].
    fn call<'a>(&'a self, node: &'a str, task: &'a Task, body: Arc<Vec<u8>>, limit: Duration) -> Calling<'a>;

    /// Lets the compute nodes reach each other and the others through the engine, until the guard is dropped.
    ///
    /// # Errors
    /// When the session is open already.
    fn open_session(
        &self,
        session: [u8; 16],
        compute: &[String],
        others: &[String],
    ) -> Result<SessionGuard, Problem>;

    /// Where a node takes direct connections, as it announced when it connected.
    fn announcement(&self, node: &str) -> Option<Announcement>;
}
