//! `ward prove`: a credential and a request become an attestation, on this machine.

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use serde_json::json;

use super::wallet::WalletArgs;
use crate::attestation::documents::{DOCUMENT_BYTES_MAX, RegistryFile};
use crate::attestation::file::Attestation;
use crate::attestation::keys::{DEVELOPMENT_WARNING, ProverKey};
use crate::attestation::prove::{self, Policy};
use crate::attestation::request::{REQUEST_BYTES_MAX, Request};
use crate::attestation::wallet::WALLET_BYTES_MAX;
use crate::attestation::{qr, read_file, system_rng, write_public};
use crate::cli::exit::Exit;
use crate::cli::output::steps::Steps;
use crate::cli::output::terminal::Terminal;
use crate::cli::written;
use crate::clock::now_ms;
use crate::encoding::HexBytes;
use crate::party::proving::{self, Order};
use crate::problem::{Problem, ProblemKind};

/// `ward prove`.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Which wallet.
    #[command(flatten)]
    pub wallet: WalletArgs,
    /// The credential [default: the only one there is].
    #[arg(long, value_name = "LABEL")]
    pub credential: Option<String>,
    /// The request that the proof answers.
    #[arg(long, value_name = "FILE")]
    pub request: PathBuf,
    /// Let the hospital's node on this machine prove: its socket. It has the key, the registry and the policy.
    #[arg(long, value_name = "SOCKET", conflicts_with_all = ["registry", "key", "policy", "dev_key"])]
    pub node: Option<PathBuf>,
    /// The issuers and their revocations.
    #[arg(long, value_name = "FILE", required_unless_present = "node")]
    pub registry: Option<PathBuf>,
    /// Folder with the circuit's key.
    #[arg(long, value_name = "DIR", required_unless_present = "node")]
    pub key: Option<PathBuf>,
    /// Studies and audiences that proofs may be made for.
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Allow a key that one party made alone.
    #[arg(long)]
    pub dev_key: bool,
    /// Where the attestation goes.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Also write it as a code to scan (SVG).
    #[arg(long, value_name = "FILE")]
    pub qr: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// The clause that fails, told to the caller alone and before any proving; whatever else does not serve.
pub async fn run(args: &Args, terminal: &Terminal) -> Result<Exit, Problem> {
    let request = Request::from_json(&read_file(&args.request, REQUEST_BYTES_MAX as u64)?)?;
    let steps = Steps::start(terminal);
    let attestation = match (&args.node, &args.registry, &args.key) {
        (Some(socket), _, _) => at_node(socket, args, request, &steps).await?,
        (None, Some(registry), Some(key)) => here(registry, key, (args, &request), &steps).await?,
        (None, _, _) => {
            let message = "say --registry and --key, or --node";
            return Err(Problem::new(ProblemKind::Validation, "prove.arguments", message));
        }
    };
    drop(steps);
    let is_development = attestation.development_key;
    write_public(&args.out, attestation.to_json()?.as_bytes())?;
    if let Some(path) = &args.qr {
        write_public(path, qr::to_svg(&qr::to_text(&attestation)?)?.as_bytes())?;
    }
    if is_development {
        terminal.warn(DEVELOPMENT_WARNING);
    }
    if terminal.is_json() {
        let data = json!({
            "attestation": attestation.digest(), "nullifier": attestation.nullifier, "key": attestation.key,
            "development_key": is_development, "file": args.out,
        });
        return written(terminal.json(&data));
    }
    terminal.say(&format!("attestation: {}", args.out.display()));
    Ok(Exit::Ok)
}

/// Proves in this process.
async fn here(
    registry: &Path,
    key: &Path,
    (args, request): (&Args, &Request),
    steps: &Steps,
) -> Result<Attestation, Problem> {
    if let Some(path) = &args.policy {
        Policy::load(path)?.check(request)?;
    }
    let registry = RegistryFile::from_json(&read_file(registry, DOCUMENT_BYTES_MAX as u64)?)?;
    steps.step("opening the wallet");
    let wallet = args.wallet.open()?;
    steps.step("checking that the claim is true");
    let opened = wallet.credential(args.credential.as_deref())?;
    let claim = prove::claim(&wallet, opened, request, &registry, now_ms())?;
    steps.step("reading the key");
    let key = ProverKey::load(key, args.dev_key)?;
    steps.step("proving");
    let proved = tokio::task::spawn_blocking(move || claim.prove(&key, &mut system_rng()?)).await;
    Ok(proved.map_err(|e| Problem::internal(&e))??)
}

/// Has the hospital's node prove, on this machine.
async fn at_node(
    socket: &Path,
    args: &Args,
    request: Request,
    steps: &Steps,
) -> Result<Attestation, Problem> {
    let order = Order {
        version: 1,
        request,
        wallet: HexBytes(read_file(&args.wallet.wallet, WALLET_BYTES_MAX)?),
        passphrase: args.wallet.passphrase()?.to_string(),
        credential: args.credential.clone(),
    };
    proving::ask(socket, order, |step| steps.step(step)).await
}
