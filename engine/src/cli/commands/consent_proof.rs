//! `ward party consent prove` and `verify`: that a patient, who stays unnamed, consents.

use std::path::PathBuf;

use serde_json::json;
use ward_circuits::consent::ConsentGiven;
use ward_circuits::groth16::{KeyId, ProvingKey, VerifyingKey};

use super::consent::purpose;
use super::party::load;
use crate::attestation::keys::{PROVING_KEY_BYTES_MAX, VERIFYING_KEY_BYTES_MAX};
use crate::attestation::{read_file, system_rng, write_public};
use crate::cli::exit::Exit;
use crate::cli::output::terminal::Terminal;
use crate::cli::written;
use crate::clock::{now_ms, utc};
use crate::consent::{Claim, ConsentProof, PROOF_FILE_BYTES_MAX, Purpose, RootStatement};
use crate::encoding::Digest;
use crate::identity::CaCertificate;
use crate::party::node::Node;
use crate::problem::{Problem, ProblemKind};

/// `ward party consent prove`.
#[derive(Debug, clap::Args)]
pub struct Prove {
    /// The node's configuration.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The patient's identifier.
    #[arg(long)]
    patient: String,
    /// What for.
    #[arg(long, value_parser = purpose)]
    purpose: Purpose,
    /// Which data.
    #[arg(long)]
    class: String,
    /// The request that the proof answers, as who asked wrote it.
    #[arg(long)]
    request: String,
    /// The ceremony's proving key (`consent-1.proving-key`).
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Where the proof goes.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// `ward party consent verify`.
#[derive(Debug, clap::Args)]
pub struct Verify {
    /// The proof.
    proof: PathBuf,
    /// The ceremony's verifying key (`consent-1.verifying-key`).
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Id of the verifying key, as the ceremony's transcript gives it.
    #[arg(long)]
    key_id: String,
    /// Certificate of the consortium's authority.
    #[arg(long, value_name = "FILE")]
    authority: PathBuf,
}

fn bad_key(reason: impl std::fmt::Display) -> Problem {
    Problem::new(ProblemKind::Validation, "consent.proof_key", reason.to_string())
        .hint("take the key that `ward setup keys` wrote for consent-1")
}

/// Proves.
///
/// # Errors
/// `consent.proof` when no consent of the patient covers it; keys and files.
pub fn prove(args: &Prove, terminal: &Terminal) -> Result<Exit, Problem> {
    let node = Node::open_lazily(load(&args.config)?)?;
    let bytes = read_file(&args.key, PROVING_KEY_BYTES_MAX)?;
    let hash = ProvingKey::<ConsentGiven>::validate(&bytes).map_err(bad_key)?;
    let key = ProvingKey::<ConsentGiven>::open(&bytes, hash).map_err(bad_key)?;
    let pseudonym = node.consents().pseudonym(&args.patient)?;
    node.expire_consents()?;
    let proof = node.with_consent_tree(|index, roots, root| {
        let wanted = (args.purpose, args.class.as_str());
        let claim = Claim { index, roots, pseudonym, wanted, request: &args.request, at_ms: now_ms() };
        let statement = RootStatement {
            hospital: node.name().to_owned(),
            version: root.version,
            root: root.root,
            at_ms: root.at_ms,
        };
        let certificate = node.certificate();
        let signed = (statement, root.signature, certificate.as_slice());
        Ok(claim.prove(&key, signed, &mut system_rng()?)?)
    })?;
    node.audit(
        "consent.prove",
        &format!("consents:{}", proof.root.version),
        &format!("for {}", proof.purpose),
    )?;
    let json = serde_json::to_vec_pretty(&proof).map_err(|e| Problem::internal(&e))?;
    write_public(&args.out, &json)?;
    if terminal.is_json() {
        let shown =
            json!({ "file": args.out, "subject": proof.subject, "root": proof.root, "key": proof.key });
        return written(terminal.json(&shown));
    }
    terminal
        .say(&format!("{} for {}, under root version {}", proof.class, proof.purpose, proof.root.version));
    written(terminal.data(&format!("{}\n", args.out.display())))
}

/// Verifies.
///
/// # Errors
/// Keys and files; a proof that does not hold is an exit code.
pub fn verify(args: &Verify, terminal: &Terminal) -> Result<Exit, Problem> {
    let id = Digest::parse(&args.key_id).ok_or_else(|| bad_key("the id is not 64 hexadecimal digits"))?;
    let bytes = read_file(&args.key, VERIFYING_KEY_BYTES_MAX)?;
    let key = VerifyingKey::<ConsentGiven>::from_bytes_pinned(&bytes, KeyId(id.0)).map_err(bad_key)?;
    let pem = read_file(&args.authority, VERIFYING_KEY_BYTES_MAX)?;
    let authority = std::str::from_utf8(&pem).ok().and_then(|pem| CaCertificate::from_pem(pem).ok());
    let authority = authority.ok_or_else(|| {
        Problem::new(
            ProblemKind::Validation,
            "consent.authority",
            "the authority's certificate does not parse",
        )
    })?;
    let json = read_file(&args.proof, PROOF_FILE_BYTES_MAX)?;
    let proof: ConsentProof = serde_json::from_slice(&json).map_err(|e| {
        Problem::new(ProblemKind::Validation, "consent.proof", format!("not a proof of consent: {e}"))
    })?;
    let verdict = proof.verify(&key, &authority);
    if terminal.is_json() {
        let problem = verdict.as_ref().err().map(ToString::to_string);
        let shown = json!({ "holds": verdict.is_ok(), "problem": problem, "hospital": proof.root.hospital,
            "purpose": proof.purpose, "class": proof.class, "request": proof.request, "subject": proof.subject });
        written(terminal.json(&shown))?;
    } else {
        let text = match &verdict {
            Ok(()) => format!(
                "holds: a patient of {} consents to {} ({}) of {}, on day {} in request `{}`\nsubject: {}\n",
                proof.root.hospital,
                proof.purpose.label(),
                proof.purpose,
                proof.class,
                utc(u64::from(proof.day) * 86_400_000).chars().take(10).collect::<String>(),
                proof.request,
                proof.subject
            ),
            Err(error) => format!("does not hold: {error}\n"),
        };
        written(terminal.data(&text))?;
    }
    Ok(if verdict.is_ok() { Exit::Ok } else { Exit::VerificationFailed })
}
