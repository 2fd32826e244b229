//! Checks of the `[postgres.NAME]` and `[hl7]` sections.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use toml::Spanned;

use super::config::{Checker, ConfigError, SealKey};
use super::raw;
use crate::party::messages::MessageSettings;
use crate::records::hl7;
use crate::records::hl7::message::Expected;
use crate::records::source::Origin;
use crate::store::{DatabaseSettings, Password};
use crate::vault::{CLASS_BYTES_MAX, ProviderConfig};

/// Port that PostgreSQL listens on, and how long what was read is good for, where the file does not say.
const PORT: u16 = 5432;
const REFRESH_S: u64 = 3600;

/// Where messages are taken, and how large they may be, where the file does not say.
const LISTEN: &str = "127.0.0.1:2575";
const MESSAGE_BYTES: usize = 256 << 10;
/// Largest message that a file may allow, in bytes.
const MESSAGE_BYTES_MAX: usize = 4 << 20;

/// Where mapped tables may come from, beside folders.
pub(super) struct Origins {
    /// Databases, by name.
    pub(super) databases: BTreeMap<String, Origin>,
    /// What messages left, where the node takes messages.
    pub(super) kept: Option<Origin>,
}

/// How the node takes messages, and where tables find them.
pub(super) fn check_hl7(
    checker: &Checker<'_>,
    raw: Option<raw::Hl7>,
    (data_dir, seal, kek): (&Path, &SealKey, &ProviderConfig),
) -> Result<(Option<MessageSettings>, Option<Origin>), ConfigError> {
    let Some(raw) = raw else { return Ok((None, None)) };
    let here = checker.within("hl7".into());
    let (text, span) =
        raw.listen.map_or_else(|| (LISTEN.to_owned(), 0..0), |s| (s.get_ref().clone(), s.span()));
    let Ok(listen) = text.parse::<SocketAddr>() else {
        let message = format!("`{text}` is no address with a port");
        return Err(here.invalid(&span, message, "write listen = \"127.0.0.1:2575\""));
    };
    if !listen.ip().is_loopback() {
        let message = format!("`{text}` can be reached from other machines, and MLLP authenticates nobody");
        let hint = "listen on this machine alone; an interface engine elsewhere comes through a TLS tunnel";
        return Err(here.invalid(&span, message, hint));
    }
    let bytes_max = match raw.bytes_max {
        None => MESSAGE_BYTES,
        Some(bytes) if (1024..=MESSAGE_BYTES_MAX).contains(bytes.get_ref()) => bytes.into_inner(),
        Some(bytes) => {
            let message =
                format!("bytes_max = {} is not between 1024 and {MESSAGE_BYTES_MAX}", bytes.get_ref());
            return Err(here.invalid(&bytes.span(), message, "leave it out for 262144"));
        }
    };
    let processing = raw.processing.unwrap_or_else(|| "P".to_owned());
    let expected = Expected { authority: raw.authority, processing };
    let kept = Origin::Messages {
        folder: data_dir.to_owned(),
        seal: match seal {
            SealKey::File(path) => Password::File(path.clone()),
            SealKey::Env(name) => Password::Env(name.clone()),
        },
        kek: Box::new(kek.clone()),
        refresh: Duration::from_secs(raw.refresh_s.unwrap_or(REFRESH_S)),
    };
    let classes = raw.classes.map_or_else(|| Ok(BTreeMap::new()), |classes| check_classes(&here, classes))?;
    Ok((Some(MessageSettings { listen, expected, bytes_max, classes }), Some(kept)))
}

/// The classes of data of what messages say, by kind of item.
fn check_classes(
    here: &Checker<'_>,
    raw: Spanned<BTreeMap<String, String>>,
) -> Result<BTreeMap<String, String>, ConfigError> {
    for (kind, class) in raw.get_ref() {
        if hl7::columns(kind).is_empty() {
            let message = format!("`{kind}` is nothing that messages say");
            return Err(here.invalid(&raw.span(), message, "there are patient, visit and observation"));
        }
        if class.is_empty() || class.len() > CLASS_BYTES_MAX {
            let message = format!("the class of {kind} is empty, or longer than {CLASS_BYTES_MAX} bytes");
            return Err(here.invalid(&raw.span(), message, "write classes = { observation = \"labs\" }"));
        }
    }
    Ok(raw.into_inner())
}

/// The databases, by name.
pub(super) fn check(
    checker: &Checker<'_>,
    raws: BTreeMap<String, raw::Postgres>,
) -> Result<BTreeMap<String, Origin>, ConfigError> {
    let database = |(name, raw): (String, raw::Postgres)| {
        let here = checker.within(format!("postgres `{name}`"));
        let origin = check_one(&here, raw)?;
        Ok((name, origin))
    };
    raws.into_iter().map(database).collect()
}

fn check_one(here: &Checker<'_>, raw: raw::Postgres) -> Result<Origin, ConfigError> {
    let span = raw.host.span();
    let settings = DatabaseSettings {
        host: raw.host.into_inner(),
        port: raw.port.unwrap_or(PORT),
        database: raw.database,
        user: raw.user,
        password: raw.password.map(|password| match password {
            raw::SealKey::File(path) => Password::File(here.resolve(&path)),
            raw::SealKey::Env(name) => Password::Env(name.into_inner()),
        }),
        schema: raw.schema.unwrap_or_else(|| "public".to_owned()),
        ca: raw.ca.map(|path| here.resolve(&path)),
    };
    if settings.ca.is_none() && !settings.is_local() {
        let message = format!("`{}` is another machine, and there is no ca", settings.host);
        let hint = "name the authority of its certificate: ca = \"ca.pem\"; records travel under TLS alone";
        return Err(here.invalid(&span, message, hint));
    }
    let fits = |name: &str| name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if settings.schema.is_empty() || !fits(&settings.schema) {
        let message = format!("the schema `{}` is not lower-case letters, digits and `_`", settings.schema);
        return Err(here.invalid(&span, message, "write schema = \"cdm\""));
    }
    Ok(Origin::Postgres { settings, refresh: Duration::from_secs(raw.refresh_s.unwrap_or(REFRESH_S)) })
}
