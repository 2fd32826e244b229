//! The engine's server: all services over TLS, with health and reflection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};

use super::hub::Hub;
use super::services::attestations::AttestationsService;
use super::services::catalogue::CatalogueService;
use super::services::identity::IdentityService;
use super::services::jobs::JobsService;
use super::services::parties::PartiesService;
use super::services::receipts::ReceiptsService;
use super::services::setup::SetupService;
use super::services::studies::StudiesService;
use super::v1::attestations_server::AttestationsServer;
use super::v1::catalogue_server::CatalogueServer;
use super::v1::identity_server::IdentityServer;
use super::v1::jobs_server::JobsServer;
use super::v1::parties_server::PartiesServer;
use super::v1::receipts_server::ReceiptsServer;
use super::v1::setup_server::SetupServer;
use super::v1::studies_server::StudiesServer;
use super::{DESCRIPTORS, MESSAGE_BYTES_MAX};
use crate::job::Engine;
use crate::member::pem_of;
use crate::problem::{Problem, ProblemKind};

/// Binds the address.
///
/// # Errors
/// `engine.listen` when it is taken or not of this machine.
pub async fn bind(address: &str) -> Result<(TcpListener, SocketAddr), Problem> {
    let bad = |e: std::io::Error| {
        Problem::new(ProblemKind::Unavailable, "engine.listen", format!("{address}: {e}"))
            .hint("choose another address with --listen")
    };
    let listener = TcpListener::bind(address).await.map_err(bad)?;
    let bound = listener.local_addr().map_err(bad)?;
    Ok((listener, bound))
}

/// How long calls go on after a stop.
const GRACE: Duration = Duration::from_secs(5);

macro_rules! limited {
    ($service:expr) => {
        $service.max_decoding_message_size(MESSAGE_BYTES_MAX).max_encoding_message_size(MESSAGE_BYTES_MAX)
    };
}

/// Serves until `stop` turns true.
///
/// # Errors
/// TLS set-up, or the listener.
pub async fn serve(
    engine: Arc<Engine>,
    hub: Arc<Hub>,
    listener: TcpListener,
    mut stop: watch::Receiver<bool>,
) -> Result<(), Problem> {
    let fail = |e: &dyn std::error::Error| {
        Problem::new(ProblemKind::Unavailable, "engine.serve", super::client::chain(e))
    };
    let key = engine.identity.to_pem().map_err(|e| fail(&e))?;
    let tls = ServerTlsConfig::new()
        .identity(Identity::from_pem(pem_of(&engine.certificate), key.as_str()))
        .client_ca_root(Certificate::from_pem(engine.authority.pem()))
        .client_auth_optional(true);
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<JobsServer<JobsService>>().await;
    health.set_serving::<PartiesServer<PartiesService>>().await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .build_v1()
        .map_err(|e| fail(&e))?;
    // The builder's own `tcp_nodelay` does not reach connections that are handed to it: each answer of more than a segment
    // would then wait 40 ms for the peer's delayed acknowledgement.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let over = stop.clone();
    let served = Server::builder()
        .layer(crate::trace::OriginLayer)
        .tls_config(tls)
        .map_err(|e| fail(&e))?
        .http2_keepalive_interval(Some(Duration::from_secs(20)))
        .initial_connection_window_size(8 << 20)
        .initial_stream_window_size(4 << 20)
        .add_service(health_service)
        .add_service(reflection)
        .add_service(limited!(JobsServer::new(JobsService(engine.clone()))))
        .add_service(limited!(CatalogueServer::new(CatalogueService(engine.clone()))))
        .add_service(limited!(AttestationsServer::new(AttestationsService::new(engine.clone()))))
        .add_service(limited!(SetupServer::new(SetupService::new(engine.clone()))))
        .add_service(limited!(ReceiptsServer::new(ReceiptsService(engine.clone()))))
        .add_service(limited!(IdentityServer::new(IdentityService::new(engine.clone()))))
        .add_service(limited!(StudiesServer::new(StudiesService(engine.clone()))))
        .add_service(limited!(PartiesServer::new(PartiesService { engine, hub })))
        .serve_with_incoming_shutdown(incoming, async move {
            // An error means that the sender is gone, which is a stop as well.
            let _ = stop.changed().await;
        });
    tokio::select! {
        served = served => served.map_err(|e| fail(&e)),
        () = cut(over) => Ok(()),
    }
}

/// Ends when calls have had their time after a stop: a node's stream goes on as long as the node does, and it connects
/// again to the next engine.
async fn cut(mut stop: watch::Receiver<bool>) {
    let _ = stop.changed().await;
    tokio::time::sleep(GRACE).await;
}
