//! The client side: a channel to the engine over TLS, under a member's certificate.

use std::time::{Duration, Instant};

use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity, Uri};

use super::status::problem_of;
use super::v1;
use super::v1::identity_client::IdentityClient;
use super::v1::parties_client::PartiesClient;
use crate::identity::{Claim, Signature};
use crate::party::connect::{self, Proxy};
use crate::problem::{Problem, ProblemKind};

/// How to reach the engine.
#[derive(Clone)]
pub struct Target {
    /// `https://host:port`.
    pub url: String,
    /// Certificate of the consortium's CA, PEM.
    pub authority_pem: String,
    /// The member's certificate and key, PEM; none for enrolment.
    pub identity_pem: Option<(String, zeroize::Zeroizing<String>)>,
    /// HTTP CONNECT proxy.
    pub proxy: Option<Proxy>,
}

/// Time to establish a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// Host and port of an engine address.
///
/// # Errors
/// When the text is not `https://host[:port]`.
pub fn host_and_port(url: &str) -> Result<(String, u16), Problem> {
    let bad = || {
        Problem::new(ProblemKind::Validation, "engine.url", format!("`{url}` is not an engine address"))
            .hint("write it as https://host:port")
    };
    let uri: Uri = url.parse().map_err(|_| bad())?;
    if uri.scheme_str() != Some("https") {
        return Err(bad());
    }
    let host = uri.host().ok_or_else(bad)?.trim_start_matches('[').trim_end_matches(']').to_owned();
    Ok((host, uri.port_u16().unwrap_or(443)))
}

/// Opens a channel to the engine.
///
/// # Errors
/// [`Problem`] with kind `unavailable` when it cannot be reached, `validation` for an address or certificate that
/// does not parse.
pub async fn connect(target: &Target) -> Result<Channel, Problem> {
    let (host, port) = host_and_port(&target.url)?;
    let mut tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(&target.authority_pem))
        .domain_name(host.clone());
    if let Some((certificate, key)) = &target.identity_pem {
        tls = tls.identity(Identity::from_pem(certificate, key.as_str()));
    }
    let invalid = |e: tonic::transport::Error| {
        Problem::new(ProblemKind::Validation, "engine.tls", format!("TLS set-up failed: {}", chain(&e)))
    };
    let endpoint = Endpoint::from_shared(target.url.clone())
        .map_err(invalid)?
        .tls_config(tls)
        .map_err(invalid)?
        .connect_timeout(CONNECT_LIMIT)
        .http2_keep_alive_interval(Duration::from_secs(15))
        .keep_alive_timeout(Duration::from_secs(15))
        .keep_alive_while_idle(true)
        .tcp_nodelay(true)
        .initial_connection_window_size(8 << 20)
        .initial_stream_window_size(4 << 20);
    let proxy = target.proxy.clone();
    let connector = tower::service_fn(move |_: Uri| {
        let (host, proxy) = (host.clone(), proxy.clone());
        async move {
            let stream =
                connect::connect_via(&host, port, proxy.as_ref(), connect::ConnectLimits::default()).await?;
            Ok::<_, connect::ConnectError>(hyper_util::rt::TokioIo::new(stream))
        }
    });
    endpoint.connect_with_connector(connector).await.map_err(|error| {
        Problem::new(
            ProblemKind::Unavailable,
            "engine.unreachable",
            format!("no connection to {}: {}", target.url, chain(&error)),
        )
        .hint("is the engine running, and does its address match its certificate?")
    })
}

/// Asks for the certificate that a token gives a right to, without a certificate of one's own; returns it as DER. The
/// proof is the new key's signature over the claim.
///
/// # Errors
/// [`Problem`] when the engine cannot be reached or refuses.
pub async fn enrol(target: &Target, claim: &Claim, proof: Signature) -> Result<Vec<u8>, Problem> {
    let request = v1::EnrolRequest {
        role: claim.role.as_str().to_owned(),
        name: claim.name.clone(),
        secret: claim.secret.to_vec(),
        public_key: claim.key.as_bytes().to_vec(),
        proof: proof.0.to_vec(),
    };
    let mut service = PartiesClient::new(connect(target).await?);
    let response = service.enrol(request).await.map_err(|status| problem_of(&status))?;
    let certificate = response.into_inner().certificate.map(|c| c.der);
    certificate.ok_or_else(|| {
        Problem::new(ProblemKind::Internal, "enrol.response", "the engine sent no certificate")
    })
}

/// Asks for a newer certificate of the key that the connection was made under; returns it as DER.
///
/// # Errors
/// [`Problem`] when the engine refuses.
pub async fn renew(channel: Channel) -> Result<Vec<u8>, Problem> {
    let response = IdentityClient::new(channel).renew(v1::RenewRequest {}).await;
    let certificate = response.map_err(|status| problem_of(&status))?.into_inner().certificate.map(|c| c.der);
    certificate.ok_or_else(|| {
        Problem::new(ProblemKind::Internal, "renew.response", "the engine sent no certificate")
    })
}

/// The engine's answer to a probe.
#[derive(Clone, Copy, Debug)]
pub struct ProbeAnswer {
    /// From the request to the answer over an open connection.
    pub took: Duration,
    /// The engine's clock, milliseconds since 1970.
    pub now_unix_ms: u64,
}

/// Sends the engine so many bytes and times its answer, the connection's setup left out.
///
/// # Errors
/// [`Problem`] when the engine cannot be reached or refuses.
pub async fn probe(target: &Target, bytes: usize) -> Result<ProbeAnswer, Problem> {
    let mut service = PartiesClient::new(connect(target).await?);
    let ask = |bytes: usize| v1::ProbeRequest { body: vec![0; bytes], reply_bytes: 0 };
    let failed = |status: tonic::Status| problem_of(&status);
    // The first call opens the connection; the second is timed.
    service.probe(ask(0)).await.map_err(failed)?;
    let begin = Instant::now();
    let answer = service.probe(ask(bytes)).await.map_err(failed)?;
    Ok(ProbeAnswer { took: begin.elapsed(), now_unix_ms: answer.into_inner().now_unix_ms })
}

/// Another hospital, as the engine lists it.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Whether its node is connected now.
    pub is_connected: bool,
    /// Its certificate, DER; not checked.
    pub certificate: Vec<u8>,
    /// Where it takes direct connections: the address and the node's signature; not checked.
    pub address: Option<(String, Vec<u8>)>,
}

/// The hospitals of the consortium.
///
/// # Errors
/// [`Problem`] when the engine cannot be reached or refuses.
pub async fn hospitals(target: &Target) -> Result<Vec<Listed>, Problem> {
    let mut service = PartiesClient::new(connect(target).await?);
    let listed = service.list(v1::ListPartiesRequest {}).await.map_err(|status| problem_of(&status))?;
    let parties = listed.into_inner().parties.into_iter();
    let hospitals = parties.map(|party| Listed {
        name: party.name,
        is_connected: party.connected,
        certificate: party.certificate.map(|certificate| certificate.der).unwrap_or_default(),
        address: party.mesh.map(|mesh| (mesh.address, mesh.signature)),
    });
    Ok(hospitals.collect())
}

/// Sends bytes through the engine's relay to a node and back; the time between engine and node.
///
/// # Errors
/// [`Problem`] when the engine cannot be reached, refuses, or the bytes do not come back.
pub async fn probe_relay(target: &Target, node: &str, bytes: usize) -> Result<Duration, Problem> {
    let mut service = PartiesClient::new(connect(target).await?);
    let request = v1::ProbeRelayRequest { node: node.to_owned(), body: vec![0x57; bytes] };
    let answer = service.probe_relay(request).await.map_err(|status| problem_of(&status))?;
    Ok(Duration::from_micros(answer.into_inner().took_us))
}

/// An error with its causes on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let line = cause.to_string();
        if !text.contains(&line) {
            text.push_str(": ");
            text.push_str(&line);
        }
        source = cause.source();
    }
    text
}
