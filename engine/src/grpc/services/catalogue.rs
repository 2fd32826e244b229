//! The catalogue service.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::encoding::canonical_json;
use crate::grpc::status::status_of;
use crate::grpc::v1::{self, catalogue_server};
use crate::grpc::{convert, peer};
use crate::job::Engine;

/// The service.
pub struct CatalogueService(pub Arc<Engine>);

#[tonic::async_trait]
impl catalogue_server::Catalogue for CatalogueService {
    async fn get(
        &self,
        request: Request<v1::GetCatalogueRequest>,
    ) -> Result<Response<v1::GetCatalogueResponse>, Status> {
        peer::allowed(&self.0, &request, "Catalogue.Get").await?;
        let json = canonical_json(&self.0.catalogue().await.map_err(status_of)?);
        let epoch = self.0.epoch().await.ok().map(|epoch| convert::epoch(&epoch));
        Ok(Response::new(v1::GetCatalogueResponse { json, epoch }))
    }
}
