//! The doctor's probe of the engine, over gRPC under the node's certificate.

use std::time::Duration;

use super::doctor::{EngineProbe, MeshProbe, Peer, ProbeError};
use super::mesh::Announcement;
use crate::grpc::client::{self, Listed, Target};
use crate::identity::{Member, Signature};
use crate::problem::Problem;

const BODY_BYTES: usize = 512 << 10;

/// A probe of one engine.
pub struct GrpcProbe(pub Target);

impl From<Problem> for ProbeError {
    fn from(problem: Problem) -> Self {
        Self { message: problem.message, hint: problem.hint }
    }
}

impl EngineProbe for GrpcProbe {
    async fn handshake(&self) -> Result<String, ProbeError> {
        client::probe(&self.0, 0).await?;
        Ok(format!("{} accepts this node's certificate", self.0.url))
    }

    async fn clock_ms(&self) -> Result<u64, ProbeError> {
        Ok(client::probe(&self.0, 0).await?.now_unix_ms)
    }

    async fn rtt(&self) -> Result<Duration, ProbeError> {
        Ok(client::probe(&self.0, 0).await?.took)
    }

    async fn throughput(&self) -> Result<f64, ProbeError> {
        let took = client::probe(&self.0, BODY_BYTES).await?.took;
        Ok(BODY_BYTES as f64 / took.as_secs_f64().max(1e-9))
    }
}

impl MeshProbe for GrpcProbe {
    async fn peers(&self) -> Result<Vec<Peer>, ProbeError> {
        let listed = client::hospitals(&self.0).await?;
        Ok(listed.into_iter().filter(|listed| listed.is_connected).filter_map(peer_of).collect())
    }

    async fn relay(&self, node: &str, bytes: usize) -> Result<Duration, ProbeError> {
        Ok(client::probe_relay(&self.0, node, bytes).await?)
    }
}

/// A hospital as the engine lists it; none when its certificate is none. The handshake checks it against the authority.
fn peer_of(listed: Listed) -> Option<Peer> {
    let key = Member::from_certificate(&listed.certificate).ok()?.key;
    let announcement = listed.address.and_then(|(address, signature)| {
        let signature = Signature::from_slice(&signature)?;
        Some(Announcement { name: listed.name.clone(), address, signature })
    });
    Some(Peer { name: listed.name, key, announcement })
}
