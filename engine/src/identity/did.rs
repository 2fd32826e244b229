//! Decentralised identifiers: names of holders and issuers that other software resolves.
//!
//! `did:key:z6Mk...` is an Ed25519 key itself. `did:web:north.example` is a document that the owner of a host name
//! publishes; whoever trusts the name and TLS learns the keys from it. Sources: Decentralized Identifiers 1.0 (W3C,
//! section 5), the did:key and did:web method specifications (W3C CCG), Controlled Identifiers 1.0 (Multikey). The
//! multicodec table has no entry for keys on Jubjub: an issuer's circuit key stands in its own signed document.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{PublicKey, clip};

/// Longest identifier, in bytes.
pub const DID_BYTES_MAX: usize = 512;
/// Largest document read, in bytes.
pub const DOCUMENT_BYTES_MAX: usize = 1 << 16;
/// Most keys of a document.
const METHODS_MAX: usize = 64;
/// Multicodec of an Ed25519 key, as a varint.
const ED25519: [u8; 2] = [0xed, 0x01];
const FETCH: Duration = Duration::from_secs(20);

/// Why an identifier or its document is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DidError {
    /// Not an identifier of a kind that is known here.
    #[error("{did:?} is no did:key of an Ed25519 key and no did:web: {reason}")]
    Malformed {
        /// The identifier, cut.
        did: String,
        /// What is malformed.
        reason: &'static str,
    },
    /// A document that is none, or another's.
    #[error("the document of {did} is refused: {reason}")]
    Document {
        /// The identifier, cut.
        did: String,
        /// Why.
        reason: &'static str,
    },
    /// The document cannot be fetched or read.
    #[error("the document of {did} cannot be had: {reason}")]
    Unavailable {
        /// The identifier, cut.
        did: String,
        /// Why.
        reason: String,
    },
    /// The document does not say that the key signs for the identifier.
    #[error("{did} does not name the key {key}")]
    Key {
        /// The identifier, cut.
        did: String,
        /// Fingerprint of the key.
        key: String,
    },
}

impl DidError {
    /// A stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "did.malformed",
            Self::Document { .. } => "did.document",
            Self::Unavailable { .. } => "did.unavailable",
            Self::Key { .. } => "did.key",
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Malformed { .. } => Some("write did:key:z6Mk... or did:web:north.example"),
            Self::Unavailable { .. } => {
                Some("without a network, name a copy of the document by --did-document")
            }
            Self::Key { .. } => Some("ask the owner which key is current; do not go on with this one"),
            Self::Document { .. } => None,
        }
    }
}

/// An identifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Did {
    /// A key.
    Key(PublicKey),
    /// A document at a host name.
    Web(WebDid),
}

/// A did:web that is well formed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebDid {
    host: String,
    port: Option<u16>,
    path: Vec<String>,
}

impl Did {
    /// Reads an identifier. Hosts are names, not addresses, in lower case.
    ///
    /// # Errors
    /// [`DidError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, DidError> {
        let wrong = |reason| DidError::Malformed { did: clip(text), reason };
        if text.len() > DID_BYTES_MAX {
            return Err(wrong("too long"));
        }
        match text.split_once(':').and_then(|(scheme, rest)| Some((scheme, rest.split_once(':')?))) {
            Some(("did", ("key", name))) => {
                Ok(Self::Key(multibase(name).ok_or_else(|| wrong("not an Ed25519 key in base58"))?))
            }
            Some(("did", ("web", name))) => WebDid::parse(name).map(Self::Web).map_err(wrong),
            _ => Err(wrong("another method")),
        }
    }

    /// The document that says which keys sign in the name of the identifier: as it is published for did:web, and as it
    /// follows from the key for did:key.
    #[must_use]
    pub fn document(&self, key: &PublicKey) -> Value {
        let (did, name) = (self.to_string(), encode(key));
        let method = format!("{did}#{name}");
        json!({
            "@context": ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1"],
            "id": did,
            "verificationMethod": [
                { "id": method, "type": "Multikey", "controller": did, "publicKeyMultibase": name }
            ],
            "authentication": [method],
            "assertionMethod": [method],
        })
    }

    /// The Ed25519 keys that sign statements in the name of the identifier (`assertionMethod`), by its document.
    ///
    /// # Errors
    /// [`DidError::Document`] for another's document, or none.
    pub fn keys(&self, document: &[u8]) -> Result<Vec<PublicKey>, DidError> {
        let wrong = |reason| DidError::Document { did: self.to_string(), reason };
        if document.len() > DOCUMENT_BYTES_MAX {
            return Err(wrong("too large"));
        }
        let document: Value = serde_json::from_slice(document).map_err(|_| wrong("no JSON"))?;
        let id = self.to_string();
        if document.get("id").and_then(Value::as_str) != Some(&id) {
            return Err(wrong("it is of another identifier"));
        }
        let list = |name: &str| match document.get(name) {
            None => Ok(&[][..]),
            Some(Value::Array(list)) if list.len() <= METHODS_MAX => Ok(list.as_slice()),
            Some(_) => Err(wrong("a list of keys that is none, or too long")),
        };
        let methods = list("verificationMethod")?;
        let named = |name: &str| {
            let full = if name.starts_with('#') { format!("{id}{name}") } else { name.to_owned() };
            methods.iter().find(|method| {
                let found = method.get("id").and_then(Value::as_str).unwrap_or_default();
                found == full || format!("{id}{found}") == full
            })
        };
        let keys = list("assertionMethod")?.iter().filter_map(|entry| match entry {
            Value::String(name) => key_of(named(name)?, &id),
            method => key_of(method, &id),
        });
        Ok(keys.collect())
    }

    /// Checks that a key signs in the name of the identifier. Its document comes from `file`, or for did:web, without
    /// one, over HTTPS from the host itself.
    ///
    /// # Errors
    /// [`DidError::Key`] when it does not; [`DidError::Unavailable`], [`DidError::Document`].
    pub async fn check(&self, key: &PublicKey, file: Option<&Path>) -> Result<(), DidError> {
        let unavailable = |reason: String| DidError::Unavailable { did: self.to_string(), reason };
        let keys = match (self, file) {
            (Self::Key(own), _) => vec![*own],
            (Self::Web(_), Some(path)) => {
                let length = std::fs::metadata(path).map_err(|e| unavailable(e.to_string()))?.len();
                if length > DOCUMENT_BYTES_MAX as u64 {
                    return Err(DidError::Document { did: self.to_string(), reason: "too large" });
                }
                self.keys(&std::fs::read(path).map_err(|e| unavailable(e.to_string()))?)?
            }
            (Self::Web(web), None) => self.keys(&fetch(&web.url()).await.map_err(unavailable)?)?,
        };
        if keys.contains(key) {
            return Ok(());
        }
        Err(DidError::Key { did: self.to_string(), key: key.fingerprint() })
    }
}

impl From<PublicKey> for Did {
    fn from(key: PublicKey) -> Self {
        Self::Key(key)
    }
}

impl fmt::Display for Did {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => write!(f, "did:key:{}", encode(key)),
            Self::Web(WebDid { host, port, path }) => {
                write!(f, "did:web:{host}")?;
                port.iter().try_for_each(|port| write!(f, "%3A{port}"))?;
                path.iter().try_for_each(|part| write!(f, ":{part}"))
            }
        }
    }
}

impl WebDid {
    fn parse(name: &str) -> Result<Self, &'static str> {
        let mut parts = name.split(':');
        let place = parts.next().unwrap_or_default();
        let (host, port) = match place.split_once("%3A") {
            Some((host, port)) => (host, Some(port.parse::<u16>().map_err(|_| "no port")?)),
            None => (place, None),
        };
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let is_address = host.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
        if host.len() > 253 || is_address || !host.split('.').all(is_label) {
            return Err("no host name in lower case");
        }
        let path: Vec<String> = parts.map(str::to_owned).collect();
        let is_part = |part: &String| {
            let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
            !part.is_empty() && part.bytes().all(allowed) && !part.starts_with('.')
        };
        if !path.iter().all(is_part) {
            return Err("a path of other than letters, digits, dots, hyphens and underscores");
        }
        Ok(Self { host: host.to_owned(), port, path })
    }

    /// Where the document is published.
    #[must_use]
    pub fn url(&self) -> String {
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        let path = if self.path.is_empty() { ".well-known".to_owned() } else { self.path.join("/") };
        format!("https://{}{port}/{path}/did.json", self.host)
    }
}

/// The key in base58btc with its multicodec: `z6Mk...`.
fn encode(key: &PublicKey) -> String {
    format!("z{}", bs58::encode([ED25519.as_slice(), key.as_bytes()].concat()).into_string())
}

fn multibase(name: &str) -> Option<PublicKey> {
    let digits = name.strip_prefix('z').filter(|digits| digits.len() <= 64)?;
    let bytes = bs58::decode(digits).into_vec().ok()?;
    let key = PublicKey::from_slice(bytes.strip_prefix(&ED25519)?).ok()?;
    (encode(&key) == name).then_some(key)
}

/// The Ed25519 key of a verification method that `controller` controls, as Multikey or as JWK.
fn key_of(method: &Value, controller: &str) -> Option<PublicKey> {
    let field = |name: &str| method.get(name).and_then(Value::as_str);
    if field("controller") != Some(controller) {
        return None;
    }
    if let Some(name) = field("publicKeyMultibase") {
        return multibase(name);
    }
    let jwk = method.get("publicKeyJwk")?;
    let is = |name: &str, value: &str| jwk.get(name).and_then(Value::as_str) == Some(value);
    let x = jwk.get("x").and_then(Value::as_str).filter(|_| is("kty", "OKP") && is("crv", "Ed25519"))?;
    PublicKey::from_slice(&URL_SAFE_NO_PAD.decode(x).ok()?).ok()
}

/// What stands at an address, of at most [`DOCUMENT_BYTES_MAX`]. Redirections are not followed.
async fn fetch(url: &str) -> Result<Vec<u8>, String> {
    let said = |e: reqwest::Error| e.without_url().to_string();
    let mut answer =
        crate::http::client().timeout(FETCH).build().map_err(said)?.get(url).send().await.map_err(said)?;
    if !answer.status().is_success() {
        return Err(format!("the host answers {}", answer.status()));
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(said)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > DOCUMENT_BYTES_MAX {
            return Err(format!("more than {DOCUMENT_BYTES_MAX} bytes"));
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;

    fn key(seed: u8) -> PublicKey {
        Identity::from_seed(&[seed; 32]).public()
    }

    /// The did:key method's own vector for Ed25519.
    #[test]
    fn the_key_of_the_methods_vector() {
        let text = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK";
        let did = Did::parse(text).unwrap();
        assert_eq!(did.to_string(), text);
        let Did::Key(key) = did else { panic!("a key") };
        assert_eq!(
            hex::encode(key.as_bytes()),
            "2e6fcce36701dc791488e0d0b1745cc1e33a4c1c9fcc41c63bd343dbbe0970e6"
        );
    }

    /// The examples of the did:web method.
    #[test]
    fn the_addresses_of_the_methods_examples() {
        for (text, url) in [
            ("did:web:w3c-ccg.github.io", "https://w3c-ccg.github.io/.well-known/did.json"),
            ("did:web:w3c-ccg.github.io:user:alice", "https://w3c-ccg.github.io/user/alice/did.json"),
            ("did:web:example.com%3A3000:user:alice", "https://example.com:3000/user/alice/did.json"),
        ] {
            let did = Did::parse(text).unwrap();
            assert_eq!(did.to_string(), text);
            let Did::Web(web) = did else { panic!("did:web") };
            assert_eq!(web.url(), url);
        }
    }

    #[test]
    fn what_is_no_identifier_is_refused() {
        let long = format!("did:web:{}", "a.".repeat(300));
        for text in [
            "",
            "did",
            "did:key",
            "did:key:",
            "did:key:z",
            "did:key:z6Mk",
            "did:key:z6LSbysY2xFMRpGMhb7tFTLMpeuPRaqaWM1yECx2AtzE3KCc",
            "did:key:m6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK",
            "did:ion:x",
            "did:web:",
            "did:web:127.0.0.1",
            "did:web:North.example",
            "did:web:north.example:..:x",
            "did:web:north.example::x",
            "did:web:north.example%3A99999",
            "did:web:north.example/x",
            "did:web:user@north.example",
            &long,
        ] {
            assert_eq!(Did::parse(text).unwrap_err().code(), "did.malformed", "{text}");
        }
    }

    #[test]
    fn a_document_names_the_keys_that_sign_for_it_alone() {
        let did = Did::parse("did:web:north.example").unwrap();
        let document = did.document(&key(1));
        let keys = |document: &Value| did.keys(document.to_string().as_bytes());
        assert_eq!(keys(&document).unwrap(), [key(1)]);
        let mut jwk = document.clone();
        let x = URL_SAFE_NO_PAD.encode(key(2).as_bytes());
        let own = json!({ "kty": "OKP", "crv": "Ed25519", "x": x });
        jwk["verificationMethod"] = json!([
            { "id": "#k", "type": "JsonWebKey", "controller": "did:web:north.example", "publicKeyJwk": own },
            { "id": "#other", "type": "JsonWebKey", "controller": "did:web:south.example", "publicKeyJwk": own },
        ]);
        jwk["assertionMethod"] = json!(["#k", "#other", "#missing", 7]);
        assert_eq!(keys(&jwk).unwrap(), [key(2)], "of what it controls");
        jwk["assertionMethod"] = json!([]);
        assert!(keys(&jwk).unwrap().is_empty(), "a key for other purposes does not sign statements");
        let mut other = document.clone();
        other["id"] = json!("did:web:south.example");
        let mut list = document.clone();
        list["assertionMethod"] = json!("#k");
        let large = format!("{}{}", document, " ".repeat(DOCUMENT_BYTES_MAX));
        for wrong in ["", "[]", &other.to_string(), &list.to_string(), &large] {
            assert_eq!(did.keys(wrong.as_bytes()).unwrap_err().code(), "did.document");
        }
    }

    #[tokio::test]
    async fn a_key_is_checked_by_a_document_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("did.json");
        let did = Did::parse("did:web:north.example").unwrap();
        let code = |result: Result<(), DidError>| result.err().map(|e| e.code());
        assert_eq!(code(did.check(&key(1), Some(&file)).await), Some("did.unavailable"));
        std::fs::write(&file, did.document(&key(1)).to_string()).unwrap();
        assert_eq!(code(did.check(&key(1), Some(&file)).await), None);
        assert_eq!(code(did.check(&key(2), Some(&file)).await), Some("did.key"));
        let own = Did::from(key(3));
        assert_eq!(own.keys(own.document(&key(3)).to_string().as_bytes()).unwrap(), [key(3)]);
        assert_eq!(code(own.check(&key(3), None).await), None);
        assert_eq!(code(own.check(&key(2), None).await), Some("did.key"));
    }

    /// Answers one connection with these bytes.
    async fn answered(answer: String) -> Result<Vec<u8>, String> {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/.well-known/did.json", listener.local_addr().unwrap());
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let read = stream.read(&mut request).await.unwrap();
            assert!(request[..read].starts_with(b"GET /.well-known/did.json HTTP/1.1"));
            // The client may have gone away after the head.
            let _ = stream.write_all(answer.as_bytes()).await;
        };
        tokio::join!(fetch(&url), serve).0
    }

    #[tokio::test]
    async fn a_host_that_answers_something_else_is_refused() {
        let body = "{}";
        let answer = |head: &str, body: &str| {
            format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
        };
        assert_eq!(answered(answer("200 OK", body)).await.unwrap(), body.as_bytes());
        assert!(answered(answer("404 Not Found", body)).await.unwrap_err().contains("404"));
        let moved = answer("302 Found\r\nlocation: http://127.0.0.1:1/", body);
        assert!(answered(moved).await.unwrap_err().contains("302"));
        let large = "x".repeat(DOCUMENT_BYTES_MAX + 1);
        assert!(answered(answer("200 OK", &large)).await.unwrap_err().contains("more than"));
    }
}
