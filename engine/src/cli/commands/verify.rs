//! `ward verify`: a receipt, offline; and its anchor, when a node of a chain is named.

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;

use super::engine::{failed, passed, report};
use crate::attestation::keys::DEVELOPMENT_WARNING;
use crate::cli::args::{Global, ProofKeyArgs};
use crate::cli::exit::Exit;
use crate::cli::output::report::{CheckLine, CheckStatus};
use crate::cli::output::terminal::Terminal;
use crate::cli::session::{home, not_verified, person_seal};
use crate::clock::utc;
use crate::identity::{CaCertificate, Digest};
use crate::ledger::{
    Quorum, RECEIPT_BYTES_MAX, Receipt, ReceiptAnchor, ReceiptError, RegistrationReceipt, SetupReceipt,
    TrustAnchors, VerifiedReceipt, VerifiedRegistration, VerifiedSetup,
};
use crate::member::Membership;
use crate::problem::{Problem, ProblemKind};
use crate::proofs::{ContributionVerifier, Proofs};

/// `ward verify`.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Receipt file; `-` for stdin.
    pub receipt: PathBuf,
    /// Certificate of the consortium's authority [default: the one you enrolled under].
    #[arg(long, value_name = "FILE")]
    pub authority: Option<PathBuf>,
    /// By which key the hospitals' proofs are verified, of a receipt that has them.
    #[command(flatten)]
    pub proofs: ProofKeyArgs,
    /// Also ask this node of a chain whether the commitment is anchored there.
    #[cfg(feature = "evm")]
    #[arg(long, value_name = "URL", requires = "anchor_log")]
    pub evm_rpc: Option<String>,
    /// The anchor log on that chain, from somewhere else than the receipt.
    #[cfg(feature = "evm")]
    #[arg(long, value_name = "ADDRESS", requires = "evm_rpc")]
    pub anchor_log: Option<String>,
}

/// What a receipt shows, of either kind.
struct Shown {
    lines: Vec<CheckLine>,
    consortium: String,
    digest: Digest,
    index: u64,
    anchors: Vec<ReceiptAnchor>,
}

/// Runs the command.
///
/// # Errors
/// When a file cannot be read, or the chain's node does not answer.
pub async fn run(args: &Args, global: &Global, terminal: &Terminal) -> Result<Exit, Problem> {
    let json = read(&args.receipt)?;
    let authority = authority(args.authority.as_deref(), global)?;
    let subject = format!("receipt {}", args.receipt.display());
    let shown = if RegistrationReceipt::is_one(&json) {
        registration(&json, &authority)
    } else if SetupReceipt::is_one(&json) {
        setup(&json, &authority)
    } else {
        query(&json, authority, args.proofs.load()?.as_ref())
    };
    match shown {
        Ok(mut shown) => {
            let anchored = anchored(args, &shown).await?;
            shown.lines.extend(anchored);
            report(terminal, &subject, shown.lines)
        }
        Err(error) => {
            let line = failed("receipt", not_verified(error).message);
            report(terminal, &subject, vec![line])
        }
    }
}

fn bad(path: &Path, error: &dyn std::fmt::Display) -> Problem {
    Problem::new(ProblemKind::Validation, "receipt.file", format!("{}: {error}", path.display()))
}

fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    use std::io::Read as _;
    let mut json = Vec::new();
    let limit = RECEIPT_BYTES_MAX as u64 + 1;
    if path == Path::new("-") {
        std::io::stdin().take(limit).read_to_end(&mut json).map_err(|e| bad(path, &e))?;
    } else {
        let file = std::fs::File::open(path).map_err(|e| bad(path, &e))?;
        file.take(limit).read_to_end(&mut json).map_err(|e| bad(path, &e))?;
    }
    Ok(json)
}

/// The consortium's authority: of a file, or the one that this folder's member enrolled under.
///
/// # Errors
/// When the file is none, or nobody enrolled.
pub fn authority(file: Option<&Path>, global: &Global) -> Result<CaCertificate, Problem> {
    match file {
        Some(file) => {
            let pem = std::fs::read_to_string(file).map_err(|e| bad(file, &e))?;
            CaCertificate::from_pem(&pem).map_err(|e| bad(file, &e))
        }
        None => {
            let home = home(global.home.as_deref())?;
            Ok(Membership::load(&home, person_seal(&home)?)?.authority)
        }
    }
}

fn query(
    json: &[u8],
    authority: CaCertificate,
    key: Option<&ContributionVerifier>,
) -> Result<Shown, ReceiptError> {
    let receipt = Receipt::from_json(json)?;
    let verified = receipt.verify(&TrustAnchors::Authority(authority), Quorum::Participants)?;
    let mut lines = lines_of(&verified);
    lines.extend(verified.commitment().proofs.iter().flat_map(|proofs| lines_of_proofs(proofs, key)));
    Ok(Shown {
        lines,
        consortium: verified.commitment().consortium.clone(),
        digest: verified.commitment().digest(),
        index: verified.position().0,
        anchors: receipt.anchors,
    })
}

fn registration(json: &[u8], authority: &CaCertificate) -> Result<Shown, ReceiptError> {
    let receipt = RegistrationReceipt::from_json(json)?;
    let verified = receipt.verify(authority)?;
    Ok(Shown {
        lines: lines_of_registration(&verified),
        consortium: verified.record().consortium.clone(),
        digest: verified.record().digest(),
        index: verified.position().0,
        anchors: receipt.anchors,
    })
}

fn setup(json: &[u8], authority: &CaCertificate) -> Result<Shown, ReceiptError> {
    let receipt = SetupReceipt::from_json(json)?;
    let verified = receipt.verify(authority)?;
    Ok(Shown {
        lines: lines_of_setup(&verified),
        consortium: verified.record().consortium.clone(),
        digest: verified.record().digest(),
        index: verified.position().0,
        anchors: receipt.log.anchors,
    })
}

fn lines_of_setup(verified: &VerifiedSetup) -> Vec<CheckLine> {
    let record = verified.record();
    let (index, size) = verified.position();
    let mut lines = vec![
        passed("ceremony", format!("{} for {}, 2^{}", record.name, record.statement, record.size)),
        passed("operator", record.operator.clone()),
        passed("finished", utc(record.finished_at_ms)),
        passed("key", record.key.to_string()),
        passed("log", format!("leaf {index} of a tree of {size}, signed by the engine")),
    ];
    for (number, phase) in (1..).zip(&record.phases) {
        let names: Vec<_> = phase.contributions.iter().map(|c| c.hospital.as_str()).collect();
        let beacon = &phase.beacon;
        lines.push(passed("phase", format!("{number}: {}; closed by {beacon}", names.join(", "))));
    }
    lines
}

fn lines_of(verified: &VerifiedReceipt) -> Vec<CheckLine> {
    let commitment = verified.commitment();
    let (index, size) = verified.position();
    let cosigners: Vec<_> = verified.cosignatures().iter().map(|c| c.name.as_str()).collect();
    let purpose = commitment.purpose.map(|purpose| format!("{} ({purpose})", purpose.label()));
    let asked: Vec<_> =
        commitment.consent_roots.iter().map(|(name, root)| format!("{name} under {root}")).collect();
    vec![
        passed("query", commitment.query.clone()),
        passed("purpose", purpose.unwrap_or_else(|| "not said".to_owned())),
        passed(
            "consent",
            if asked.is_empty() { "no hospital asks for it".to_owned() } else { asked.join(", ") },
        ),
        passed(
            "counts",
            match commitment.rounding {
                0 => "exact over those who did not withhold".to_owned(),
                base => format!("rounded to multiples of {base} by every hospital"),
            },
        ),
        passed("participants", commitment.participants.join(", ")),
        passed("finished", utc(commitment.finished_at_ms)),
        passed("result", format!("sealed result {}", commitment.result_digest)),
        passed("log", format!("leaf {index} of a tree of {size}, signed by the engine")),
        passed("cosigned", cosigners.join(", ")),
    ]
}

/// What the hospitals proved. Whether the total opens is for the researcher, who decrypts it.
fn lines_of_proofs(proofs: &Proofs, key: Option<&ContributionVerifier>) -> Vec<CheckLine> {
    let of = &proofs.of;
    let warning = |detail: String, hint: &str| CheckLine {
        status: CheckStatus::Warning,
        hint: Some(hint.to_owned()).filter(|hint| !hint.is_empty()),
        ..passed("proofs", detail)
    };
    let under = format!("{} of {}", of.statement, proofs.contributions.len());
    let Some(key) = key else {
        let hint = "say --proof-key DIR, the folder of the key that the consortium's ceremony made";
        return vec![warning(format!("{under} contributions, not verified; key {}", of.key), hint)];
    };
    let mut lines: Vec<CheckLine> = proofs
        .contributions
        .iter()
        .map(|(name, proof)| match key.verify(of, name, proof) {
            Ok(()) => passed(
                "proof",
                format!("{name}: of the rows under {}, floor {}", of.roots[name], proof.floor),
            ),
            Err(error) => failed("proof", format!("{error} [{}]", error.code())),
        })
        .collect();
    if key.is_development {
        lines.push(warning(DEVELOPMENT_WARNING.to_owned(), ""));
    }
    lines
}

fn lines_of_registration(verified: &VerifiedRegistration) -> Vec<CheckLine> {
    let record = verified.record();
    let (index, size) = verified.position();
    let mut lines = vec![
        passed("registered", format!("{} of {} attestations", record.registered(), record.items.len())),
        passed("submitter", record.submitter.clone()),
        passed("finished", utc(record.finished_at_ms)),
        passed("key", record.key.to_string()),
        passed("issuers", record.issuers.to_string()),
        passed("log", format!("leaf {index} of a tree of {size}, signed by the engine")),
    ];
    for item in &record.items {
        let code = item.problem.as_ref().map_or("registered", |problem| &problem.code);
        let digest =
            item.attestation.map_or_else(|| "no attestation".to_owned(), |digest| digest.to_string());
        lines.push(passed("attestation", format!("{digest}: {code}")));
    }
    lines
}

#[cfg(feature = "evm")]
async fn anchored(args: &Args, shown: &Shown) -> Result<Vec<CheckLine>, Problem> {
    use crate::ledger::evm::{AnchoredLeaf, Found, find_anchor};
    use crate::ledger::log_origin;

    let (Some(url), Some(contract)) = (&args.evm_rpc, &args.anchor_log) else {
        return Ok(said(&shown.anchors));
    };
    let origin = log_origin(&shown.consortium);
    let leaf = AnchoredLeaf { origin: &origin, digest: shown.digest, index: shown.index };
    let found = find_anchor(url, contract, leaf, &shown.anchors).await?;
    Ok(vec![match found {
        Some(Found::Commitment { block }) => passed("anchored", format!("by itself, in block {block}")),
        Some(Found::Checkpoint { size }) => {
            passed("anchored", format!("under a checkpoint of {size} leaves"))
        }
        None => CheckLine {
            hint: Some("fetch the receipt again later: a checkpoint is anchored at intervals".to_owned()),
            ..failed(
                "anchored",
                "the anchor log has neither it nor a checkpoint that the receipt names".to_owned(),
            )
        },
    }])
}

#[cfg(not(feature = "evm"))]
#[expect(clippy::unused_async, reason = "the same call with a chain asks its node")]
async fn anchored(_: &Args, shown: &Shown) -> Result<Vec<CheckLine>, Problem> {
    Ok(said(&shown.anchors))
}

/// What the receipt says of anchors, which nobody has checked.
fn said(anchors: &[ReceiptAnchor]) -> Vec<CheckLine> {
    let line = |anchor: &ReceiptAnchor| CheckLine {
        name: "anchored".to_owned(),
        status: CheckStatus::Warning,
        detail: format!(
            "not checked: chain {}, contract {}, block {}",
            anchor.chain_id, anchor.contract, anchor.block
        ),
        hint: Some("ask a node of your own: --evm-rpc URL --anchor-log ADDRESS".to_owned()),
    };
    anchors.iter().map(line).collect()
}
