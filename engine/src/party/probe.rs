//! The doctor's probe of the engine, over gRPC under the node's certificate.

use std::time::Duration;

use super::doctor::{EngineProbe, ProbeError};
use crate::grpc::client::{self, Target};
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
