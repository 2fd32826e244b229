//! Key-encryption keys in the transit engine of a Vault (HashiCorp Vault, OpenBao), over its HTTP interface.
//!
//! Calls used: `GET` and `POST keys/:name`, `POST encrypt/:name`, `decrypt/:name`, `rewrap/:name`, `keys/:name/rotate`,
//! `keys/:name/config`, `keys/:name/trim`; many keys go as one `batch_input`. What is encrypted is the data key and, after
//! it, SHA-256 of the name it is bound to: so a wrapped key is bound to its patient and class also through `rewrap`, in
//! which it does not leave the service.
//!
//! # Security
//! The service sees data keys in the clear when they are wrapped and unwrapped; the node's token should permit this key
//! alone. The connection is TLS with the web's public authorities, or plain `http` to the same machine.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use zeroize::Zeroizing;

use super::{DataKey, KeyName, KeyProvider, Secret, VaultError, Wrapped};
use crate::encoding::Digest;

const TIMEOUT: Duration = Duration::from_secs(30);
/// Keys of one call.
const BATCH_MAX: usize = 1000;
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// How the service is reached.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransitSettings {
    /// Its address, as `https://vault.example:8200`.
    pub address: String,
    /// Where the engine is mounted.
    #[serde(default = "default_mount")]
    pub mount: String,
    /// Name of the key.
    #[serde(default = "default_key")]
    pub key: String,
    /// The node's token.
    pub token: Secret,
    /// Namespace, where the service has any.
    pub namespace: Option<String>,
}

fn default_mount() -> String {
    "transit".to_owned()
}

fn default_key() -> String {
    "ward".to_owned()
}

/// The transit engine.
pub struct TransitProvider {
    settings: TransitSettings,
    base: Url,
    name: String,
}

impl TransitProvider {
    /// The engine of these settings.
    ///
    /// # Errors
    /// [`VaultError::Settings`] for an address that is neither `https` nor `http` to this machine, or names that are no
    /// path.
    pub fn new(settings: TransitSettings) -> Result<Self, VaultError> {
        let name = format!("transit {}", settings.address);
        let bad = |reason: &str| VaultError::settings(&name, reason);
        let base = Url::parse(&settings.address).map_err(|e| bad(&e.to_string()))?;
        let is_local = matches!(base.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        if base.scheme() != "https" && !(base.scheme() == "http" && is_local) {
            return Err(bad("its address is https://, or http:// to this machine"));
        }
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let is_path = |text: &str| {
            !text.is_empty() && !text.contains("..") && text.chars().all(|c| is_name(c) || c == '/')
        };
        if !is_path(&settings.mount) || !is_path(&settings.key) || settings.key.contains('/') {
            return Err(bad("mount and key are letters, digits, `-`, `_` and `.`"));
        }
        Ok(Self { settings, base, name })
    }

    /// One call; none for 404.
    fn call(&self, method: &Method, path: &str, body: Option<&Json>) -> Result<Option<Json>, VaultError> {
        let token = self.settings.token.read("the token for the key service")?;
        let url = format!("{}/v1/{}/{path}", self.base.as_str().trim_end_matches('/'), self.settings.mount);
        let body = body.map(|body| Zeroizing::new(body.to_string()));
        let failed = |e: reqwest::Error| VaultError::provider(&self.name, e.without_url());
        let exchange = async {
            let client = crate::http::client().timeout(TIMEOUT).build().map_err(failed)?;
            let mut request = client.request(method.clone(), &url).header("X-Vault-Token", token.as_str());
            if let Some(namespace) = &self.settings.namespace {
                request = request.header("X-Vault-Namespace", namespace);
            }
            if let Some(body) = &body {
                request = request.header("Content-Type", "application/json").body(body.as_bytes().to_vec());
            }
            let mut answer = request.send().await.map_err(failed)?;
            let status = answer.status();
            let mut bytes = Zeroizing::new(Vec::new());
            while let Some(chunk) = answer.chunk().await.map_err(failed)? {
                bytes.extend_from_slice(&chunk);
                if bytes.len() > ANSWER_BYTES_MAX {
                    return Err(VaultError::provider(&self.name, "its answer is too long"));
                }
            }
            Ok((status, bytes))
        };
        // A thread of its own: the caller's may be one of a runtime, which does not wait.
        let (status, bytes) = std::thread::scope(|scope| {
            let run = || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.map_err(|e| VaultError::provider(&self.name, e))?.block_on(exchange)
            };
            let joined = scope.spawn(run).join();
            joined.unwrap_or_else(|_| Err(VaultError::provider(&self.name, "the call broke off")))
        })?;
        if status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let json: Json = if bytes.is_empty() {
            json!({})
        } else {
            serde_json::from_slice(&bytes)
                .map_err(|_| VaultError::provider(&self.name, format!("{status}, and no JSON")))?
        };
        // A batch with a refused item is answered 400, item by item.
        if status.is_success() || json["data"]["batch_results"].is_array() {
            return Ok(Some(json));
        }
        let said = json["errors"][0].as_str().unwrap_or("no reason given");
        Err(VaultError::provider(&self.name, format!("{status}: {}", crate::identity::clip(said))))
    }

    fn key_path(&self, end: &str) -> String {
        format!("keys/{}{end}", self.settings.key)
    }

    fn post(&self, path: &str, body: &Json) -> Result<Json, VaultError> {
        let answer = self.call(&Method::POST, path, Some(body))?;
        answer.ok_or_else(|| {
            VaultError::settings(
                &self.name,
                format!("there is no key {} at {}", self.settings.key, self.settings.mount),
            )
        })
    }

    fn batch(&self, act: &str, items: &[Json]) -> Result<Vec<Json>, VaultError> {
        let mut results = Vec::with_capacity(items.len());
        for items in items.chunks(BATCH_MAX) {
            let path = format!("{act}/{}", self.settings.key);
            let mut answer = self.post(&path, &json!({ "batch_input": items }))?;
            match answer["data"]["batch_results"].take() {
                Json::Array(list) if list.len() == items.len() => results.extend(list),
                _ => return Err(VaultError::provider(&self.name, "it answered another number of keys")),
            }
        }
        Ok(results)
    }

    fn wrapped(&self, result: &Json) -> Result<Wrapped, VaultError> {
        let text = result["ciphertext"].as_str().ok_or_else(|| self.refusal(result))?;
        let version =
            version_of(text).ok_or_else(|| VaultError::provider(&self.name, "no ciphertext of its own"))?;
        Ok(Wrapped { version, bytes: text.as_bytes().to_vec() })
    }

    fn refusal(&self, result: &Json) -> VaultError {
        let said = result["error"].as_str().unwrap_or("no reason given");
        VaultError::provider(&self.name, crate::identity::clip(said))
    }

    fn ciphertexts(keys: &[(&KeyName, &Wrapped)]) -> Vec<Json> {
        keys.iter().map(|(_, w)| json!({ "ciphertext": String::from_utf8_lossy(&w.bytes) })).collect()
    }

    /// What a refused item means.
    fn unopened(&self, result: &Json, name: &KeyName, version: u32) -> VaultError {
        match result["error"].as_str() {
            Some(said) if said.contains("too old") => VaultError::Version { version },
            Some(said) if said.contains("permission") => self.refusal(result),
            _ => name.unopened(version),
        }
    }
}

/// The version in `vault:v3:...`.
fn version_of(ciphertext: &str) -> Option<u32> {
    let (version, _) = ciphertext.strip_prefix("vault:v")?.split_once(':')?;
    version.parse().ok().filter(|version| *version > 0)
}

/// What is encrypted: the key, and what binds it.
fn framed(name: &KeyName, key: &DataKey) -> Zeroizing<Vec<u8>> {
    Zeroizing::new([&key.expose()[..], &Digest::of(&name.associated_data()).0].concat())
}

fn unframed(name: &KeyName, plain: &[u8]) -> Option<DataKey> {
    let (key, binding) = plain.split_first_chunk::<32>()?;
    (binding == Digest::of(&name.associated_data()).0).then(|| DataKey::from_bytes(Zeroizing::new(*key)))
}

impl KeyProvider for TransitProvider {
    fn describe(&self) -> String {
        format!("{}, key {}/{}", self.name, self.settings.mount, self.settings.key)
    }

    fn current(&self) -> Result<u32, VaultError> {
        let mut answer = self.call(&Method::GET, &self.key_path(""), None)?;
        if answer.is_none() {
            self.post(&self.key_path(""), &json!({ "type": "aes256-gcm96" }))?;
            answer = self.call(&Method::GET, &self.key_path(""), None)?;
        }
        let latest = answer.as_ref().and_then(|answer| answer["data"]["latest_version"].as_u64());
        let latest = latest.and_then(|version| u32::try_from(version).ok());
        latest.ok_or_else(|| VaultError::provider(&self.name, "it does not say which version is the latest"))
    }

    fn wrap(&self, keys: &[(&KeyName, &DataKey)]) -> Result<Vec<Wrapped>, VaultError> {
        self.current()?;
        let plain =
            |(name, key): &(&KeyName, &DataKey)| json!({ "plaintext": STANDARD.encode(framed(name, key)) });
        let items: Vec<Json> = keys.iter().map(plain).collect();
        self.batch("encrypt", &items)?.iter().map(|result| self.wrapped(result)).collect()
    }

    fn unwrap(&self, keys: &[(&KeyName, &Wrapped)]) -> Result<Vec<DataKey>, VaultError> {
        let results = self.batch("decrypt", &Self::ciphertexts(keys))?;
        let open = |((name, wrapped), result): (&(&KeyName, &Wrapped), &Json)| {
            let text = result["plaintext"].as_str().filter(|text| !text.is_empty());
            let text = text.ok_or_else(|| self.unopened(result, name, wrapped.version))?;
            let plain = STANDARD.decode(text).map(Zeroizing::new);
            let key = plain.ok().and_then(|plain| unframed(name, &plain));
            key.ok_or_else(|| name.unopened(wrapped.version))
        };
        keys.iter().zip(&results).map(open).collect()
    }

    fn rewrap(&self, keys: &[(&KeyName, &Wrapped)]) -> Result<Vec<Wrapped>, VaultError> {
        let results = self.batch("rewrap", &Self::ciphertexts(keys))?;
        let check = |((name, wrapped), result): (&(&KeyName, &Wrapped), &Json)| {
            if result["ciphertext"].as_str().is_none_or(str::is_empty) {
                return Err(self.unopened(result, name, wrapped.version));
            }
            self.wrapped(result)
        };
        keys.iter().zip(&results).map(check).collect()
    }

    fn rotate(&self) -> Result<u32, VaultError> {
        self.current()?;
        self.post(&self.key_path("/rotate"), &json!({}))?;
        self.current()
    }

    fn retire(&self, below: u32) -> Result<(), VaultError> {
        let below = below.min(self.current()?);
        let least = json!({ "min_decryption_version": below, "min_encryption_version": below });
        self.post(&self.key_path("/config"), &least)?;
        self.post(&self.key_path("/trim"), &json!({ "min_available_version": below }))?;
        Ok(())
    }
}
