//! HTTP for the document store, by the client that all of Ward uses: no redirection, one provider of TLS.

use std::time::Duration;

use opendal::{Buffer, Error, ErrorKind, HttpBody, HttpTransport, Result};
use tonic::codegen::http::{Method, Request, Response};

use super::DocumentsConfig;

const TIMEOUT: Duration = Duration::from_secs(120);
/// Longest answer, in bytes: the largest document, and what sealing adds.
const ANSWER_BYTES_MAX: u64 = DocumentsConfig::BYTES_MAX_MAX + (1 << 16);

/// The client.
pub(super) struct Transport(reqwest::Client);

impl Transport {
    /// A client with its time limit.
    ///
    /// # Errors
    /// When the system has none to give.
    pub(super) fn new() -> reqwest::Result<Self> {
        crate::http::client().timeout(TIMEOUT).build().map(Self)
    }
}

fn failed(error: reqwest::Error) -> Error {
    Error::new(ErrorKind::Unexpected, "the exchange failed").set_source(error.without_url())
}

impl HttpTransport for Transport {
    async fn fetch(&self, request: Request<Buffer>) -> Result<Response<HttpBody>> {
        let (parts, body) = request.into_parts();
        let url = reqwest::Url::parse(&parts.uri.to_string())
            .map_err(|e| Error::new(ErrorKind::ConfigInvalid, "no address").set_source(e))?;
        let is_head = parts.method == Method::HEAD;
        let mut builder = self.0.request(parts.method, url).headers(parts.headers);
        if !body.is_empty() {
            builder = builder.body(body.to_vec());
        }
        let mut answer = builder.send().await.map_err(failed)?;
        let mut response = Response::builder().status(answer.status()).extension(parts.uri);
        if let Some(headers) = response.headers_mut() {
            headers.clone_from(answer.headers());
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() as u64 > ANSWER_BYTES_MAX {
                return Err(Error::new(ErrorKind::Unexpected, "the answer is longer than any document"));
            }
        }
        let size = (!is_head).then_some(bytes.len() as u64);
        let stream = tokio_stream::once(Ok(Buffer::from(bytes)));
        response
            .body(HttpBody::new(stream, size))
            .map_err(|e| Error::new(ErrorKind::Unexpected, "the answer is malformed").set_source(e))
    }
}
