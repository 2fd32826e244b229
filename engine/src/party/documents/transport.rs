//! HTTP for the document store, by the client that all of Ward uses: no redirection, one provider of TLS.

use std::time::Duration;

use opendal::{Buffer, Error, ErrorKind, HttpBody, HttpTransport, Result};
use tonic::codegen::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use tonic::codegen::http::{Method, Request, Response};

use super::DocumentsConfig;

const TIMEOUT: Duration = Duration::from_secs(120);
/// Longest answer, in bytes: the largest document, and what sealing adds.
const ANSWER_BYTES_MAX: u64 = DocumentsConfig::BYTES_MAX_MAX + (1 << 16);

/// Bytes in which the head of a form's first part ends.
const FORM_HEAD_BYTES_MAX: usize = 1 << 10;

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

/// Gives the first part of a form its type, where it says none: nodes of IPFS other than Kubo refuse such a part. True when
/// the body is longer now.
fn name_type(body: &mut Vec<u8>) -> bool {
    let head = body.get(..FORM_HEAD_BYTES_MAX.min(body.len())).unwrap_or_default();
    let Some(end) = head.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
    let says = head.get(..end).unwrap_or_default().to_ascii_lowercase();
    if says.windows(CONTENT_TYPE.as_str().len()).any(|window| window == CONTENT_TYPE.as_str().as_bytes()) {
        return false;
    }
    body.splice(end..end, *b"\r\nContent-Type: application/octet-stream");
    true
}

fn failed(error: reqwest::Error) -> Error {
    Error::new(ErrorKind::Unexpected, "the exchange failed").set_source(error.without_url())
}

impl HttpTransport for Transport {
    async fn fetch(&self, request: Request<Buffer>) -> Result<Response<HttpBody>> {
        let (mut parts, body) = request.into_parts();
        let mut body = body.to_vec();
        let of = parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if of.starts_with("multipart/form-data") && name_type(&mut body) {
            parts.headers.remove(CONTENT_LENGTH);
        }
        let url = reqwest::Url::parse(&parts.uri.to_string())
            .map_err(|e| Error::new(ErrorKind::ConfigInvalid, "no address").set_source(e))?;
        let is_head = parts.method == Method::HEAD;
        let mut builder = self.0.request(parts.method, url).headers(parts.headers);
        if !body.is_empty() {
            builder = builder.body(body);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_without_type_is_given_one_and_its_bytes_stay() {
        let mut body =
            b"--B\r\nContent-Disposition: form-data; name=\"data\"\r\n\r\na\r\n\r\nb\r\n--B--\r\n".to_vec();
        assert!(name_type(&mut body));
        let text = String::from_utf8(body.clone()).unwrap();
        assert_eq!(
            text,
            "--B\r\nContent-Disposition: form-data; name=\"data\"\r\nContent-Type: application/octet-stream\r\n\r\na\r\n\r\nb\r\n--B--\r\n"
        );
        assert!(!name_type(&mut body), "it has one now");
        assert!(!name_type(&mut b"no form".to_vec()) && !name_type(&mut Vec::new()));
    }
}
