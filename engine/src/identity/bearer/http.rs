//! HTTP to the identity provider: bounded, over TLS, without redirects.

use std::path::Path;
use std::time::Duration;

use reqwest::{Certificate, Client, Response, Url};
use serde_json::Value;

use super::BearerError;

const LIMIT: Duration = Duration::from_secs(10);
const ANSWER_BYTES_MAX: usize = 512 * 1024;

pub(super) fn failed(error: reqwest::Error) -> BearerError {
    // Without the address: it may hold codes.
    BearerError::Provider { reason: crate::grpc::client::chain(&error.without_url()) }
}

/// A client; with a certificate of the provider's authority where one is given.
pub(super) fn client(authority: Option<&Path>) -> Result<Client, BearerError> {
    let mut builder = crate::http::client().timeout(LIMIT);
    if let Some(path) = authority {
        let refuse = |reason: String| BearerError::Config { field: "oidc.ca_file", reason };
        let pem = std::fs::read(path).map_err(|e| refuse(format!("{}: {e}", path.display())))?;
        builder =
            builder.add_root_certificate(Certificate::from_pem(&pem).map_err(|e| refuse(e.to_string()))?);
    }
    builder.build().map_err(failed)
}

/// An address of the provider: https, or http on this machine.
pub(super) fn address(text: &str) -> Result<Url, BearerError> {
    let refuse = |reason: &str| BearerError::Provider { reason: format!("its address {reason}") };
    let url = Url::parse(text).map_err(|_| refuse("is no URL"))?;
    let local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    match url.scheme() {
        "https" => Ok(url),
        "http" if local => Ok(url),
        _ => Err(refuse("is not https")),
    }
}

/// The status and the JSON of an answer.
pub(super) async fn json(mut response: Response) -> Result<(u16, Value), BearerError> {
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(failed)? {
        if body.len() + piece.len() > ANSWER_BYTES_MAX {
            return Err(BearerError::Provider { reason: "its answer is too long".to_owned() });
        }
        body.extend_from_slice(&piece);
    }
    let value = serde_json::from_slice(&body)
        .map_err(|_| BearerError::Provider { reason: format!("its answer ({status}) is not JSON") })?;
    Ok((status, value))
}
