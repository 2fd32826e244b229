//! `ward wallet ...`: the holder's credentials, under a passphrase.

use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, Subcommand};
use serde_json::json;
use zeroize::Zeroizing;

use crate::attestation::documents::{DOCUMENT_BYTES_MAX, IssuerDocument, Signed};
use crate::attestation::key_binding::Challenge;
use crate::attestation::sd_jwt::ENVELOPE_BYTES_MAX;
use crate::attestation::wallet::{Hardness, Wallet};
use crate::attestation::{AttestationError, read_file, write_private, write_public};
use crate::cli::exit::Exit;
use crate::cli::output::report::facts;
use crate::cli::output::terminal::Terminal;
use crate::cli::written;
use crate::clock::now_ms;
use crate::identity::Did;
use crate::problem::{Problem, ProblemKind};

/// Which wallet, and what opens it.
#[derive(Debug, ClapArgs)]
pub struct WalletArgs {
    /// The wallet's file.
    #[arg(long, value_name = "FILE")]
    pub wallet: PathBuf,
    /// File with the passphrase; `-` for stdin [default: the environment's WARD_PASSPHRASE].
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}

/// `ward wallet`.
#[derive(Debug, Subcommand)]
pub enum Args {
    /// Make a wallet.
    Init {
        /// Which wallet.
        #[command(flatten)]
        wallet: WalletArgs,
    },
    /// Write what an issuer needs to bind a credential to this wallet.
    Request {
        /// Which wallet.
        #[command(flatten)]
        wallet: WalletArgs,
        /// The file.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Take a credential in, after checking it.
    Add {
        /// Which wallet.
        #[command(flatten)]
        wallet: WalletArgs,
        /// The credential's file.
        credential: PathBuf,
        /// The issuer's document (`NAME.issuer.json`), from somewhere you trust.
        #[arg(long, value_name = "FILE")]
        issuer: PathBuf,
        /// Your name for it (a-z, 0-9, hyphens).
        #[arg(long, default_value = "credential")]
        label: String,
        /// Require that this identifier (did:web:north.example) names the issuer's key.
        #[arg(long, value_name = "DID")]
        issuer_did: Option<String>,
        /// A copy of the identifier's document [default: fetched over HTTPS].
        #[arg(long, value_name = "FILE", requires = "issuer_did")]
        did_document: Option<PathBuf>,
    },
    /// Print the identifier of the wallet's key (did:key).
    Did {
        /// Which wallet.
        #[command(flatten)]
        wallet: WalletArgs,
    },
    /// Show chosen attributes of a credential, values and all, to one verifier.
    Present {
        /// Which wallet.
        #[command(flatten)]
        wallet: WalletArgs,
        /// The credential [default: the only one].
        label: Option<String>,
        /// Attributes to show, separated by commas.
        #[arg(long, value_delimiter = ',', value_name = "NAMES")]
        show: Vec<String>,
        /// The verifier, which alone may accept it (https://clinic.example).
        #[arg(long, value_name = "NAME")]
        audience: String,
        /// What the verifier drew for it.
        #[arg(long)]
        nonce: String,
        /// Where the presentation goes.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Show the credentials: what each says, of whom, until when.
    Show {
        /// Which wallet.
        #[command(flatten)]
        wallet: WalletArgs,
        /// One credential only.
        label: Option<String>,
    },
    /// Forget a credential.
    Remove {
        /// Which wallet.
        #[command(flatten)]
        wallet: WalletArgs,
        /// The credential.
        label: String,
    },
}

impl WalletArgs {
    /// Opens the wallet.
    ///
    /// # Errors
    /// Without a passphrase, or with the wrong one.
    pub fn open(&self) -> Result<Wallet, Problem> {
        Ok(Wallet::open(&self.wallet, &self.passphrase()?)?)
    }

    /// The passphrase.
    ///
    /// # Errors
    /// Without one.
    pub fn passphrase(&self) -> Result<Zeroizing<String>, Problem> {
        passphrase(self.passphrase_file.as_deref(), "WARD_PASSPHRASE", "--passphrase-file")
    }
}

/// A passphrase from a file (`-` for stdin), or from the environment.
///
/// # Errors
/// Without one; the hint names the option.
pub fn passphrase(file: Option<&Path>, variable: &str, option: &str) -> Result<Zeroizing<String>, Problem> {
    let from_file = |path: &Path| {
        let bytes = if path == Path::new("-") { super::attest::stdin(4096)? } else { read_file(path, 4096)? };
        let text = String::from_utf8(bytes).map(Zeroizing::new).map_err(|_| {
            Problem::new(ProblemKind::Validation, "wallet.passphrase", "the passphrase is no text")
        })?;
        Ok(Zeroizing::new(text.trim_end_matches(['\n', '\r']).to_owned()))
    };
    match file {
        Some(path) => from_file(path),
        None => std::env::var(variable).map(Zeroizing::new).map_err(|_| {
            Problem::new(ProblemKind::Validation, "wallet.passphrase", "no passphrase")
                .hint(format!("give it by {option} FILE (`-` for stdin), or in {variable}"))
        }),
    }
}

/// Runs a command.
///
/// # Errors
/// As the command says.
pub async fn run(command: &Args, terminal: &Terminal) -> Result<Exit, Problem> {
    match command {
        Args::Init { wallet } => {
            if wallet.wallet.exists() {
                let message = format!("{} is there already", wallet.wallet.display());
                return Err(Problem::new(ProblemKind::Conflict, "wallet.exists", message));
            }
            Wallet::create(&wallet.passphrase()?, Hardness::default())?.save(&wallet.wallet)?;
            terminal.say(&format!("wallet: {}", wallet.wallet.display()));
            terminal.hint("nothing opens it without its passphrase; there is no way to recover it");
            Ok(Exit::Ok)
        }
        Args::Request { wallet, out } => {
            let request = wallet.open()?.request();
            let json = serde_json::to_vec_pretty(&request).map_err(|e| Problem::internal(&e))?;
            write_public(out, &json)?;
            terminal.say(&format!("for the issuer: {}, of {}", out.display(), Did::from(request.identity)));
            Ok(Exit::Ok)
        }
        Args::Add { wallet, credential, issuer, label, issuer_did, did_document } => {
            let document = Signed::from_json(&read_file(issuer, DOCUMENT_BYTES_MAX as u64)?)?;
            let (document, _) = IssuerDocument::open(&document)?;
            if let Some(did) = issuer_did {
                let did = Did::parse(did).map_err(AttestationError::from)?;
                let checked = did.check(&document.identity, did_document.as_deref()).await;
                checked.map_err(AttestationError::from)?;
                terminal.say(&format!("{did} names the key of {}", document.name));
            }
            let envelope = Zeroizing::new(read_file(credential, ENVELOPE_BYTES_MAX as u64)?);
            let mut open = wallet.open()?;
            let opened = open.add(label, &String::from_utf8_lossy(&envelope), &document)?;
            open.save(&wallet.wallet)?;
            terminal.say(&format!("{label}: {} attributes by {}", opened.words.len(), document.name));
            Ok(Exit::Ok)
        }
        Args::Did { wallet } => {
            let did = Did::from(wallet.open()?.request().identity).to_string();
            if terminal.is_json() {
                return written(terminal.json(&json!({ "did": did })));
            }
            written(terminal.data(&did))
        }
        Args::Present { wallet, label, show, audience, nonce, out } => {
            let names: Vec<&str> = show.iter().map(String::as_str).collect();
            let challenge = Challenge { audience, nonce };
            let opened = wallet.open()?;
            let presentation = opened.present(label.as_deref(), &names, challenge, now_ms() / 1000)?;
            write_private(out, presentation.as_bytes())?;
            let shown = if names.is_empty() { "no attribute".to_owned() } else { names.join(", ") };
            terminal.say(&format!("{} shows {shown} to {audience}", out.display()));
            terminal.hint("whoever reads the file reads the values; `ward prove` shows that criteria are met and no value");
            Ok(Exit::Ok)
        }
        Args::Show { wallet, label } => show(&wallet.open()?, label.as_deref(), terminal),
        Args::Remove { wallet, label } => {
            let mut open = wallet.open()?;
            open.remove(label)?;
            open.save(&wallet.wallet)?;
            terminal.say(&format!("{label} is forgotten"));
            Ok(Exit::Ok)
        }
    }
}

fn show(wallet: &Wallet, label: Option<&str>, terminal: &Terminal) -> Result<Exit, Problem> {
    let (mut rows, mut text) = (Vec::new(), String::new());
    for kept in wallet.credentials().iter().filter(|kept| label.is_none_or(|label| kept.label == label)) {
        let opened = wallet.credential(Some(&kept.label))?;
        let header = opened.credential.header();
        let day =
            |day: u32| ward_circuits::criteria::Date::from_days(u64::from(day)).map(|day| day.to_string());
        let until = day(header.not_after.0).unwrap_or_default();
        let mut pairs = vec![
            ("credential", kept.label.clone()),
            ("issuer", kept.issuer.clone()),
            ("until", until.clone()),
        ];
        pairs.extend(opened.words.iter().map(|(name, value)| (name.as_str(), words(value))));
        text.push_str(&facts(&pairs, &terminal.style()));
        text.push('\n');
        rows.push(
            json!({ "label": kept.label, "issuer": kept.issuer, "not_after": until, "says": opened.words }),
        );
    }
    if rows.is_empty() && label.is_some() {
        return Err(Problem::new(ProblemKind::NotFound, "attest.not_found", "there is no such credential"));
    }
    if terminal.is_json() { written(terminal.json(&rows)) } else { written(terminal.data(text.trim_end())) }
}

/// A claim of the envelope for people.
pub(super) fn words(value: &serde_json::Value) -> String {
    let field = |name: &str| value.get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
    if let Some(codes) = value.get("codes").and_then(serde_json::Value::as_array) {
        let codes: Vec<&str> = codes.iter().filter_map(serde_json::Value::as_str).collect();
        let complete = value.get("complete") == Some(&json!(true));
        let listed = if codes.is_empty() { "none".to_owned() } else { codes.join(", ") };
        return format!("{listed}{}", if complete { " (complete)" } else { " (perhaps not complete)" });
    }
    match value {
        serde_json::Value::String(text) => text.clone(),
        _ => format!("{} {}", field("value"), if field("unit") == "1" { "" } else { field("unit") })
            .trim()
            .to_owned(),
    }
}
