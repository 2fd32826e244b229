//! Checks of the `[postgres.NAME]` sections.

use std::collections::BTreeMap;
use std::time::Duration;

use super::config::{Checker, ConfigError};
use super::raw;
use crate::records::source::Origin;
use crate::store::{DatabaseSettings, Password};

/// Port that PostgreSQL listens on, and how long what was read is good for, where the file does not say.
const PORT: u16 = 5432;
const REFRESH_S: u64 = 3600;

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
