//! The mesh as a program sees it: three roles, messages named by steps, calls that block.

use std::sync::Arc;

use tokio::runtime::Handle;
use ward_protocols::mpc::channel::{Channel, ChannelError};
use ward_protocols::mpc::role::Role;
use ward_protocols::mpc::step::StepId;

use super::error::MeshError;
use super::link::Link;

/// The channel of a program that runs on a thread of its own, outside the runtime that the mesh runs in.
pub struct MeshChannel {
    pub(super) runtime: Handle,
    /// By role; none at this node's own.
    pub(super) links: [Option<Arc<Link>>; 3],
    /// Who has which role.
    pub(super) names: [String; 3],
}

impl MeshChannel {
    fn link(&self, role: Role) -> Result<&Arc<Link>, ChannelError> {
        self.links[role.index()].as_ref().ok_or_else(|| ChannelError::Unexpected {
            peer: role,
            what: "itself a message, which no program does".to_owned(),
        })
    }

    /// The error as a program reads it: by role where the peer has one. The attempt's own error stays with the mesh.
    fn error(&self, role: Role, error: &MeshError) -> ChannelError {
        let peer = match error.peer() {
            None => return ChannelError::Cancelled,
            Some(name) => {
                match self.names.iter().position(|known| known == name).and_then(Role::from_index) {
                    Some(peer) => peer,
                    // An input hospital broke off: the attempt is over, by no fault of a compute node.
                    None => return ChannelError::Cancelled,
                }
            }
        };
        match error {
            MeshError::Stalled { stalled_ms, .. } => ChannelError::Stalled { peer, stalled_ms: *stalled_ms },
            MeshError::Tag { .. } | MeshError::Oversize { .. } | MeshError::Frame { .. } if peer == role => {
                ChannelError::Unexpected { peer, what: error.to_string() }
            }
            _ => ChannelError::Closed(peer),
        }
    }
}

impl Channel for MeshChannel {
    fn send(&mut self, to: Role, step: StepId, message: Vec<u8>) -> Result<(), ChannelError> {
        let link = self.link(to)?.clone();
        self.runtime.block_on(link.send(step.0, message)).map_err(|error| self.error(to, &error))
    }

    fn receive(&mut self, from: Role, step: StepId, len: usize) -> Result<Vec<u8>, ChannelError> {
        let link = self.link(from)?.clone();
        let received = self.runtime.block_on(link.receive(step.0, len));
        let message = received.map_err(|error| self.error(from, &error))?;
        if message.len() != len {
            let what = format!("{} bytes where {len} were due", message.len());
            return Err(ChannelError::Unexpected { peer: from, what });
        }
        Ok(message)
    }
}
