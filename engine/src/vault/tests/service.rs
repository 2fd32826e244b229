//! A server with the transit engine's documented calls, and real cryptography: AES-256-GCM with 96-bit nonces, versions
//! that rotate, a least version, trimming. One thread; a request to a connection.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;

use aes_gcm::aead::{Aead as _, KeyInit as _};
use aes_gcm::{Aes256Gcm, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};

use crate::identity::random;
use crate::vault::{Secret, TransitProvider, TransitSettings};

/// The server, and the folder with the tokens' files.
pub struct Transit {
    address: SocketAddr,
    folder: tempfile::TempDir,
}

#[derive(Default)]
struct Key {
    versions: BTreeMap<u64, [u8; 32]>,
    least: u64,
}

impl Transit {
    pub fn start(token: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let mut keys = BTreeMap::new();
            for stream in listener.incoming().flatten() {
                serve(stream, token, &mut keys);
            }
        });
        Self { address, folder: tempfile::tempdir().unwrap() }
    }

    pub fn provider(&self, token: &str) -> TransitProvider {
        let path: PathBuf = self.folder.path().join(token);
        crate::identity::files::create_private(&path, format!("{token}\n").as_bytes()).unwrap();
        let settings = TransitSettings {
            address: format!("http://{}", self.address),
            mount: "transit".to_owned(),
            key: "ward".to_owned(),
            token: Secret::File(path),
            namespace: Some("hospital".to_owned()),
        };
        TransitProvider::new(settings).unwrap()
    }
}

fn serve(stream: TcpStream, token: &str, keys: &mut BTreeMap<String, Key>) {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
            break;
        }
        head.push(line.trim_end().to_owned());
    }
    let field = |name: &str| {
        head.iter().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let length = field("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    let Ok(()) = reader.read_exact(&mut body) else { return };
    let mut first = head.first().map(String::as_str).unwrap_or_default().split(' ');
    let (method, path) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
    let known = field("x-vault-token").as_deref() == Some(token)
        && field("x-vault-namespace").as_deref() == Some("hospital");
    let (status, answer) = match known {
        false => (403, json!({ "errors": ["permission denied"] })),
        true => {
            let body = serde_json::from_slice(&body).unwrap_or(Json::Null);
            answer((method, path.trim_start_matches("/v1/transit/")), &body, keys)
        }
    };
    let answer = answer.to_string();
    let head =
        format!("HTTP/1.1 {status} -\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", answer.len());
    // A client that went away is the test's failure, not the server's.
    let _ = reader.get_mut().write_all(format!("{head}{answer}").as_bytes());
}

fn answer((method, path): (&str, &str), body: &Json, keys: &mut BTreeMap<String, Key>) -> (u16, Json) {
    let parts: Vec<&str> = path.split('/').collect();
    if let (["keys", name], "POST") = (parts.as_slice(), method) {
        assert_eq!(body["type"], "aes256-gcm96");
        let first = BTreeMap::from([(1, random().unwrap())]);
        keys.entry((*name).to_owned()).or_insert(Key { versions: first, least: 1 });
        return (204, json!({}));
    }
    let Some(key) = parts.get(1).and_then(|name| keys.get_mut(*name)) else {
        return (404, json!({ "errors": [] }));
    };
    let latest = *key.versions.last_key_value().unwrap().0;
    match (method, parts.as_slice()) {
        ("GET", ["keys", _]) => (200, json!({ "data": { "latest_version": latest } })),
        ("POST", ["keys", _, "rotate"]) => {
            key.versions.insert(latest + 1, random().unwrap());
            (200, json!({}))
        }
        ("POST", ["keys", _, "config"]) => {
            assert_eq!(body["min_decryption_version"], body["min_encryption_version"]);
            key.least = body["min_decryption_version"].as_u64().unwrap();
            (204, json!({}))
        }
        ("POST", ["keys", _, "trim"]) => {
            let least = body["min_available_version"].as_u64().unwrap();
            assert!(least <= key.least, "the engine refuses to trim what may be asked for");
            key.versions.retain(|version, _| *version >= least);
            (200, json!({}))
        }
        ("POST", [act @ ("encrypt" | "decrypt" | "rewrap"), _]) => {
            let items = body["batch_input"].as_array().unwrap();
            let results: Vec<Json> = items.iter().map(|item| one(act, item, key)).collect();
            let failed = results.iter().any(|result| !result["error"].is_null());
            (if failed { 400 } else { 200 }, json!({ "data": { "batch_results": results } }))
        }
        _ => (405, json!({ "errors": ["unsupported operation"] })),
    }
}

fn one(act: &str, item: &Json, key: &Key) -> Json {
    let encrypt = |plain: &[u8]| {
        let (version, secret) = key.versions.last_key_value().unwrap();
        let nonce: [u8; 12] = random().unwrap();
        let sealed = Aes256Gcm::new(secret.into()).encrypt(&Nonce::from(nonce), plain).unwrap();
        json!({ "ciphertext": format!("vault:v{version}:{}", STANDARD.encode([&nonce[..], &sealed].concat())) })
    };
    if act == "encrypt" {
        return encrypt(&STANDARD.decode(item["plaintext"].as_str().unwrap()).unwrap());
    }
    let opened = || -> Result<Vec<u8>, &'static str> {
        let text = item["ciphertext"].as_str().and_then(|text| text.strip_prefix("vault:v"));
        let (version, text) = text.and_then(|text| text.split_once(':')).ok_or("invalid ciphertext")?;
        let version: u64 = version.parse().map_err(|_| "invalid ciphertext")?;
        if version < key.least {
            return Err("ciphertext or signature version is disallowed by policy (too old)");
        }
        let secret = key.versions.get(&version).ok_or("invalid ciphertext: version is too new")?;
        let bytes = STANDARD.decode(text).map_err(|_| "invalid ciphertext: could not decode base64")?;
        let (nonce, sealed) = bytes.split_first_chunk::<12>().ok_or("invalid ciphertext")?;
        let opened = Aes256Gcm::new(secret.into()).decrypt(&Nonce::from(*nonce), sealed);
        opened.map_err(|_| "cipher: message authentication failed")
    };
    match (opened(), act) {
        (Err(error), _) => json!({ "error": error }),
        (Ok(plain), "rewrap") => encrypt(&plain),
        (Ok(plain), _) => json!({ "plaintext": STANDARD.encode(plain) }),
    }
}
