//! The doctor's probe of the engine, over gRPC under the node's certificate.

use std::time::{Duration, Instant};

use tonic::transport::Channel;

use super::doctor::{EngineProbe, ProbeError};
use crate::grpc::client::{self, Target};
use crate::grpc::status::problem_of;
use crate::grpc::v1;
use crate::grpc::v1::parties_client::PartiesClient;
use crate::problem::Problem;

const BODY_BYTES: usize = 512 << 10;

/// A probe of one engine.
pub struct GrpcProbe(pub Target);

impl From<Problem> for ProbeError {
    fn from(problem: Problem) -> Self {
        Self { message: problem.message, hint: problem.hint }
    }
}

impl GrpcProbe {
    async fn service(&self) -> Result<PartiesClient<Channel>, ProbeError> {
        Ok(PartiesClient::new(client::connect(&self.0).await?))
    }

    async fn timed(&self, body: usize) -> Result<(Duration, u64), ProbeError> {
        let mut service = self.service().await?;
        let ask = |body: usize| v1::ProbeRequest { body: vec![0; body], reply_bytes: 0 };
        let failed = |status| ProbeError::from(problem_of(&status));
        // The first call opens the connection; the second is timed.
        service.probe(ask(0)).await.map_err(failed)?;
        let begin = Instant::now();
        let answer = service.probe(ask(body)).await.map_err(failed)?;
        Ok((begin.elapsed(), answer.into_inner().now_unix_ms))
    }
}

impl EngineProbe for GrpcProbe {
    async fn handshake(&self) -> Result<String, ProbeError> {
        let mut service = self.service().await?;
        let request = v1::ProbeRequest { body: Vec::new(), reply_bytes: 0 };
        service.probe(request).await.map_err(|status| ProbeError::from(problem_of(&status)))?;
        Ok(format!("{} accepts this node's certificate", self.0.url))
    }

    async fn clock_ms(&self) -> Result<u64, ProbeError> {
        Ok(self.timed(0).await?.1)
    }

    async fn rtt(&self) -> Result<Duration, ProbeError> {
        Ok(self.timed(0).await?.0)
    }

    async fn throughput(&self) -> Result<f64, ProbeError> {
        let (took, _) = self.timed(BODY_BYTES).await?;
        Ok(BODY_BYTES as f64 / took.as_secs_f64().max(1e-9))
    }
}
