//! `ward attest presentation`: what a holder shows of a credential.

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use serde_json::json;

use crate::attestation::documents::{DOCUMENT_BYTES_MAX, IssuerDocument, Signed};
use crate::attestation::jws::TOKEN_BYTES_MAX;
use crate::attestation::key_binding::{Challenge, Expected};
use crate::attestation::presentation::{AGE_S, verify};
use crate::attestation::read_file;
use crate::attestation::sd_jwt::ENVELOPE_BYTES_MAX;
use crate::cli::exit::Exit;
use crate::cli::output::report::facts;
use crate::cli::output::terminal::Terminal;
use crate::cli::written;
use crate::clock::{now_ms, utc};
use crate::identity::Did;
use crate::problem::Problem;

/// `ward attest presentation`.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// The presentation's file; `-` for stdin.
    presentation: PathBuf,
    /// The issuer's document (`NAME.issuer.json`), from somewhere you trust.
    #[arg(long, value_name = "FILE")]
    issuer: PathBuf,
    /// Your name, for which it was made.
    #[arg(long, value_name = "NAME")]
    audience: String,
    /// What you drew for it; use a nonce once.
    #[arg(long)]
    nonce: String,
    /// Most seconds since the holder signed.
    #[arg(long, default_value_t = AGE_S, value_name = "SECONDS")]
    age_max: u64,
    /// The issuer's status list (`NAME.status.jwt`): refuses a revoked credential.
    #[arg(long, value_name = "FILE")]
    status: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// Why the presentation is refused.
pub fn run(args: &Args, terminal: &Terminal) -> Result<Exit, Problem> {
    let bytes = if args.presentation == Path::new("-") {
        super::attest::stdin(2 * ENVELOPE_BYTES_MAX)?
    } else {
        read_file(&args.presentation, 2 * ENVELOPE_BYTES_MAX as u64)?
    };
    let document = Signed::from_json(&read_file(&args.issuer, DOCUMENT_BYTES_MAX as u64)?)?;
    let (issuer, _) = IssuerDocument::open(&document)?;
    let status = args.status.as_deref().map(|path| read_file(path, TOKEN_BYTES_MAX as u64)).transpose()?;
    let status = status.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let expected = Expected {
        challenge: Challenge { audience: &args.audience, nonce: &args.nonce },
        now_s: now_ms() / 1000,
        age_s_max: args.age_max,
    };
    let shown = verify(&String::from_utf8_lossy(&bytes), &issuer, &expected, status.as_deref())?;
    let holder = Did::from(shown.holder).to_string();
    if terminal.is_json() {
        return written(terminal.json(&json!({
            "issuer": shown.issuer, "holder": holder, "expires_s": shown.expires_s,
            "status_checked": shown.is_status_known, "shows": shown.attributes,
        })));
    }
    if !shown.is_status_known {
        terminal.warn("whether it was revoked is not known: give the issuer's status list by --status");
    }
    let until = utc(shown.expires_s.saturating_mul(1000));
    let mut pairs = vec![("issuer", shown.issuer.clone()), ("holder", holder), ("until", until)];
    let words = shown.attributes.iter().map(|(name, value)| (name.as_str(), super::wallet::words(value)));
    pairs.extend(words);
    written(terminal.data(facts(&pairs, &terminal.style()).trim_end()))
}
