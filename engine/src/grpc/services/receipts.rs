//! The transparency log.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::encoding::Digest;
use crate::grpc::peer;
use crate::grpc::status::status_of;
use crate::grpc::v1::{self, receipts_server};
use crate::job::Engine;
use crate::ledger::{Ledger, LedgerError, Tile};
use crate::problem::{Problem, ProblemKind};
use crate::store::JobId;

/// The service.
pub struct ReceiptsService(pub Arc<Engine>);

fn refused(error: LedgerError) -> Status {
    let kind = match &error {
        LedgerError::Range { .. } => ProblemKind::Validation,
        LedgerError::Tile { .. } => ProblemKind::NotFound,
        _ => return status_of(Problem::internal(&error)),
    };
    status_of(Problem::new(kind, "log.range", error.to_string()))
}

fn proof(hashes: Result<Vec<Digest>, LedgerError>) -> Result<Response<v1::ProofResponse>, Status> {
    let hashes = hashes.map_err(refused)?.iter().map(|hash| hash.0.to_vec()).collect();
    Ok(Response::new(v1::ProofResponse { hashes }))
}

#[tonic::async_trait]
impl receipts_server::Receipts for ReceiptsService {
    async fn checkpoint(
        &self,
        request: Request<v1::CheckpointRequest>,
    ) -> Result<Response<v1::CheckpointResponse>, Status> {
        peer::allowed(&self.0, &request, "Receipts.Checkpoint").await?;
        let note = tokio::task::block_in_place(|| self.0.ledger.checkpoint()).map_err(refused)?;
        Ok(Response::new(v1::CheckpointResponse { note: note.to_string() }))
    }

    async fn inclusion(
        &self,
        request: Request<v1::InclusionRequest>,
    ) -> Result<Response<v1::ProofResponse>, Status> {
        peer::allowed(&self.0, &request, "Receipts.Inclusion").await?;
        let v1::InclusionRequest { leaf_index, tree_size } = request.into_inner();
        proof(tokio::task::block_in_place(|| self.0.ledger.inclusion(leaf_index, tree_size)))
    }

    async fn consistency(
        &self,
        request: Request<v1::ConsistencyRequest>,
    ) -> Result<Response<v1::ProofResponse>, Status> {
        peer::allowed(&self.0, &request, "Receipts.Consistency").await?;
        let v1::ConsistencyRequest { from_size, tree_size } = request.into_inner();
        proof(tokio::task::block_in_place(|| self.0.ledger.consistency(from_size, tree_size)))
    }

    async fn receipt(
        &self,
        request: Request<v1::ReceiptRequest>,
    ) -> Result<Response<v1::ReceiptResponse>, Status> {
        let caller = peer::allowed(&self.0, &request, "Receipts.Receipt").await?;
        let id = JobId::parse(&request.into_inner().job).map_err(|e| status_of(e.into()))?;
        let job = self.0.job_for(&caller, &id).await.map_err(status_of)?;
        let json = self.0.receipt(&job.summary).await.map_err(status_of)?;
        Ok(Response::new(v1::ReceiptResponse { json }))
    }

    async fn tile(&self, request: Request<v1::TileRequest>) -> Result<Response<v1::TileResponse>, Status> {
        peer::allowed(&self.0, &request, "Receipts.Tile").await?;
        let tile = Tile::parse(&request.into_inner().path).map_err(refused)?;
        let data = tokio::task::block_in_place(|| self.0.ledger.tile(&tile)).map_err(refused)?;
        Ok(Response::new(v1::TileResponse { data }))
    }
}
