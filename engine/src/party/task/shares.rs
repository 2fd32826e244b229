//! What is said of computations on shares.

use serde::{Deserialize, Serialize};

use super::super::mesh::Announcement;
use super::{ContributionHeader, ShareHeader};
use crate::encoding::{Digest, HexBytes};

/// A participant of a computation on shares, and where it may be reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeshMember {
    /// Its name.
    pub name: String,
    /// Its certificate, DER.
    pub certificate: HexBytes,
    /// Where it takes direct connections, signed by itself; none when it is reached through the engine alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub announcement: Option<Announcement>,
}

/// Sums that arrived under encryption, as the hospitals and the key holders signed them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arrived {
    /// Every contribution in the sum, by hospital name.
    pub contributions: Vec<ContributionHeader>,
    /// The masked shares, by holder.
    pub shares: Vec<ShareHeader>,
}

/// A compute node's signed result: context `ward/v1/output` over [`OutputHeader::parts`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputHeader {
    /// The compute node.
    pub node: String,
    /// Its certificate, DER.
    pub certificate: HexBytes,
    /// Attempt, from 1.
    pub attempt: u32,
    /// SHA-256 of the inputs' headers, canonical JSON, by hospital.
    pub inputs: Digest,
    /// SHA-256 of its sealed shares.
    pub sealed: Digest,
    /// Their length.
    pub bytes: u64,
    /// What the computation cost this node.
    pub cost: OutputCost,
    /// Ed25519.
    pub signature: HexBytes,
}

/// What a computation on shares cost a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputCost {
    /// Rounds between the nodes.
    pub rounds: u64,
    /// Bytes sent to the other nodes.
    pub bytes_sent: u64,
    /// From the first message to the last.
    pub elapsed_ms: u64,
}

impl OutputHeader {
    /// What a result's signature is over: job and plan, attempt, inputs, sealed shares, cost.
    #[must_use]
    pub fn parts(&self, job: &str, plan: Digest) -> Vec<Vec<u8>> {
        vec![
            job.as_bytes().to_vec(),
            plan.0.to_vec(),
            self.node.as_bytes().to_vec(),
            self.attempt.to_be_bytes().to_vec(),
            self.inputs.0.to_vec(),
            self.sealed.0.to_vec(),
            self.bytes.to_be_bytes().to_vec(),
            self.cost.rounds.to_be_bytes().to_vec(),
            self.cost.bytes_sent.to_be_bytes().to_vec(),
            self.cost.elapsed_ms.to_be_bytes().to_vec(),
        ]
    }
}
