//! `ward share show`: what a file is.

use std::path::Path;

use serde_json::{Map, Value};

use crate::attestation::read_file;
use crate::cli::exit::Exit;
use crate::cli::output::report::facts;
use crate::cli::output::terminal::Terminal;
use crate::cli::written;
use crate::problem::Problem;
use crate::sharing::ShareError;
use crate::sharing::authority::{AuthorityDocument, HolderKey};
use crate::sharing::file::{FILE_BYTES_MAX, KeyPart, Shared};
use crate::sharing::house::{GrantDocument, HouseDocument};

/// Names and values, in the order in which they are shown.
type Facts = Vec<(&'static str, String)>;

/// Runs it.
///
/// # Errors
/// For a file that is none of sharing's.
pub fn run(file: &Path, terminal: &Terminal) -> Result<Exit, Problem> {
    let bytes = read_file(file, FILE_BYTES_MAX)?;
    let shown =
        if Shared::is_shared(&bytes) { shared(&Shared::from_bytes(&bytes)?)? } else { document(&bytes)? };
    if terminal.is_json() {
        let fields = shown.into_iter().map(|(name, value)| (name.to_owned(), Value::String(value)));
        return written(terminal.json(&fields.collect::<Map<_, _>>()));
    }
    written(terminal.data(facts(&shown, &terminal.style()).trim_end()))
}

/// Whether the bytes are a holder's key.
pub fn is_holder_key(bytes: &[u8]) -> bool {
    HolderKey::from_json(bytes).is_ok()
}

fn shared(shared: &Shared) -> Result<Facts, ShareError> {
    let about = shared.about()?;
    let kind = if shared.is_record() { "shared record" } else { "shared file" };
    let mut facts = vec![("kind", kind.to_owned()), ("name", about.name), ("note", about.note)];
    match shared.key() {
        KeyPart::Policy(sealed) => facts.extend([
            ("policy", sealed.policy().to_string()),
            ("authority_id", hex::encode(sealed.authority())),
        ]),
        KeyPart::House(second) => facts.push(("house_id", hex::encode(second.delegator()))),
        KeyPart::Turned(first) => facts.extend([
            ("from_id", hex::encode(first.delegator())),
            ("house_id", hex::encode(first.delegatee())),
        ]),
    }
    Ok(facts)
}

fn document(bytes: &[u8]) -> Result<Facts, ShareError> {
    if let Ok((document, key)) = AuthorityDocument::from_json(bytes) {
        return Ok(vec![
            ("kind", "authority".to_owned()),
            ("name", document.name),
            ("epoch", document.epoch.to_string()),
            ("authority_id", hex::encode(key.id())),
        ]);
    }
    if let Ok(key) = HolderKey::from_json(bytes) {
        return Ok(vec![
            ("kind", "holder's key".to_owned()),
            ("holder", key.holder.clone()),
            ("key_id", hex::encode(&key.id.0)),
            ("authority", key.authority.name.clone()),
            ("epoch", key.authority.epoch.to_string()),
            ("authority_id", hex::encode(key.authority.public()?.id())),
        ]);
    }
    if let Ok((document, key)) = HouseDocument::from_json(bytes) {
        return Ok(vec![
            ("kind", "house".to_owned()),
            ("name", document.name),
            ("house_id", hex::encode(key.id())),
        ]);
    }
    let (names, grant) = GrantDocument::from_json(bytes)?;
    Ok(vec![
        ("kind", "grant".to_owned()),
        ("from", names.from),
        ("from_id", hex::encode(grant.delegator().id())),
        ("to", names.to),
        ("to_id", hex::encode(grant.delegatee().id())),
    ])
}
