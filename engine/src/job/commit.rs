//! Committing: the result's commitment goes into the log, the hospitals that took part cosign the checkpoint, and the
//! job is done with its receipt.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::aggregate::Aggregate;
use super::multiparty::protocol_digest;
use super::nodes::{Answered, NodeError};
use super::work::Work;
use crate::clock::now_ms;
use crate::encoding::{Digest, canonical_json, separated};
use crate::identity::PublicKey;
use crate::ledger::{
    COMMITMENT_VERSION, Checkpoint, Commitment, Ledger, LedgerError, Note, NoteSignature, Receipt, TlogProof,
    cosigner_name, verify_cosignature,
};
use crate::party::task::{ContributionHeader, Epoch, Outcome, Request, Task};
use crate::problem::Problem;
use crate::proofs::Proofs;
use crate::store::{Conclusion, JobState};

/// Limit of one call.
const CALL: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(150);

impl From<LedgerError> for Problem {
    fn from(error: LedgerError) -> Self {
        Self::internal(&error)
    }
}

/// Logs the commitment, has it cosigned, ends the job.
///
/// # Errors
/// A cosigner that refuses, the deadline, storage.
pub async fn commit(work: &Work, job: &Aggregate, selection: &[ContributionHeader]) -> Result<(), Problem> {
    let commitment = commitment(work, job, selection).await?;
    let digest = commitment.digest();
    let receipt = cosign(work, &commitment).await?;
    let json = receipt.to_json().map_err(|e| Problem::internal(&e))?;
    if work.part("", "receipt").await?.is_none() {
        work.put_part("", "receipt", json.as_bytes(), b"").await?;
    }
    let result = work.part("", "result").await?.map(|part| part.blob);
    let conclusion = Conclusion { code: "ok".to_owned(), message: "released".to_owned(), rule: None, result };
    work.conclude(JobState::Committing, JobState::Done, conclusion, Some(digest)).await
}

/// The commitment; made once, so that a restart logs the same.
async fn commitment(
    work: &Work,
    job: &Aggregate,
    selection: &[ContributionHeader],
) -> Result<Commitment, Problem> {
    if let Some(part) = work.part("", "commitment").await? {
        return serde_json::from_slice(&part.header).map_err(|e| Problem::internal(&e));
    }
    let request: Request = serde_json::from_str(&job.prepare.request).map_err(|e| Problem::internal(&e))?;
    let researcher = work.engine().member_key(&request.researcher).await?;
    let by = |f: &dyn Fn(&ContributionHeader) -> Digest| -> BTreeMap<String, Digest> {
        selection.iter().map(|h| (h.hospital.clone(), f(h))).collect()
    };
    let result = work.part_body("", "result").await?;
    let commitment = Commitment {
        version: COMMITMENT_VERSION,
        consortium: work.engine().consortium.clone(),
        job_id: work.id().to_owned(),
        query: job.plan.canonical.clone(),
        request_digest: Digest::of(job.prepare.request.as_bytes()),
        plan_digest: job.prepare.plan,
        researcher: researcher.digest(),
        dataset_versions: selection.iter().map(|h| (h.hospital.clone(), h.dataset_version.clone())).collect(),
        participants: selection.iter().map(|h| h.hospital.clone()).collect(),
        key_epoch: job.prepare.epoch.id.to_string(),
        protocol_digest: match &job.plan.multi_party {
            Some(shares) => protocol_digest(shares),
            None => Digest(job.parameters()?.digest()),
        },
        policy_digests: by(&|h| h.policy),
        floor: job.plan.floor,
        software: format!("ward {}", env!("CARGO_PKG_VERSION")),
        result_digest: Digest::of(&result),
        contribution_digests: by(&|h| separated("contribution/1", &[&h.c0.0, &h.c1.0])),
        purpose: job.plan.purpose,
        rounding: if job.plan.rounding { crate::query::rounding::BASE } else { 0 },
        consent_roots: selection.iter().filter_map(|h| Some((h.hospital.clone(), h.consent?))).collect(),
        finished_at_ms: now_ms(),
        study: job.plan.study,
        proofs: proofs(job, selection)?,
    };
    commitment.check().map_err(|e| Problem::internal(&e))?;
    work.put_part("", "commitment", &canonical_json(&commitment), b"").await?;
    Ok(commitment)
}

/// The participants' proofs, where the plan asks for them.
fn proofs(job: &Aggregate, selection: &[ContributionHeader]) -> Result<Option<Proofs>, Problem> {
    let Some(of) = &job.plan.proved else { return Ok(None) };
    let each = selection.iter().map(|h| Some((h.hospital.clone(), h.proof.clone()?)));
    let contributions = each.collect::<Option<_>>();
    let contributions =
        contributions.ok_or_else(|| Problem::internal(&"a contribution without its proof"))?;
    Ok(Some(Proofs { of: of.clone(), contributions }))
}

/// Collects every participant's cosignature on one checkpoint. Rounds of different jobs take turns, so that no hospital
/// is shown an older tree after a newer one.
async fn cosign(work: &Work, commitment: &Commitment) -> Result<Receipt, Problem> {
    let engine = work.engine();
    let digest = commitment.digest();
    loop {
        let turn = engine.commit_turn.lock().await;
        let attempt = tokio::task::block_in_place(|| -> Result<_, LedgerError> {
            let index = engine.ledger.append(&digest)?;
            let note = engine.ledger.checkpoint()?;
            let size = Checkpoint::parse(note.text())?.head.size;
            Ok((index, note, engine.ledger.inclusion(index, size)?))
        })?;
        let (index, mut note, inclusion) = attempt;
        let mut missing = Vec::new();
        let mut certificates = vec![engine.certificate.clone()];
        for hospital in &commitment.participants {
            let task = cosign_task(work, commitment, (index, &note, &inclusion), None)?;
            match cosignature(work, hospital, task, commitment, (index, &note, &inclusion)).await? {
                Some(line) => {
                    note.add(line)?;
                    certificates.push(engine.member_certificate(hospital).await?);
                }
                None => missing.push(hospital.clone()),
            }
        }
        drop(turn);
        if missing.is_empty() {
            let proof = TlogProof { index, proof: inclusion, checkpoint: note };
            return Ok(Receipt::new(commitment.clone(), &proof, &certificates, engine.authority_der()));
        }
        for hospital in &missing {
            work.event_once(hospital, "away", "to cosign").await?;
        }
        work.check_deadline("cosignatures")?;
        work.wait_for_change(PAUSE).await;
    }
}

fn cosign_task(
    work: &Work,
    commitment: &Commitment,
    (index, note, inclusion): (u64, &Note, &[Digest]),
    from_size: Option<u64>,
) -> Result<Task, Problem> {
    let size = Checkpoint::parse(note.text())?.head.size;
    let from_size = from_size.unwrap_or(0);
    let consistency = if from_size == 0 {
        Vec::new()
    } else {
        tokio::task::block_in_place(|| work.engine().ledger.consistency(from_size, size))?
    };
    let text = canonical_json(commitment);
    Ok(Task::Cosign {
        job: work.id().to_owned(),
        commitment: String::from_utf8(text).map_err(|e| Problem::internal(&e))?,
        leaf_index: index,
        inclusion: inclusion.to_vec(),
        checkpoint: note.to_string(),
        from_size,
        consistency,
    })
}

/// A hospital's cosignature; none when it is away. It says from which tree the consistency proof must lead.
async fn cosignature(
    work: &Work,
    hospital: &str,
    mut task: Task,
    commitment: &Commitment,
    attempt: (u64, &Note, &[Digest]),
) -> Result<Option<NoteSignature>, Problem> {
    let engine = work.engine();
    for _ in 0..2 {
        match engine.nodes.call(hospital, &task, Arc::default(), CALL).await {
            Ok(Answered { outcome: Outcome::Cosigned { cosignature: Some(line), .. }, .. }) => {
                let name = cosigner_name(&engine.consortium, hospital);
                let key = engine.member_key(hospital).await?;
                let checked = check_cosignature(&line, attempt.1, &name, &key);
                let line =
                    checked.map_err(|e| broken(hospital, &format!("its cosignature does not hold: {e}")))?;
                work.event_once(hospital, "cosigned", "").await?;
                return Ok(Some(line));
            }
            Ok(Answered { outcome: Outcome::Cosigned { cosignature: None, last_size }, .. }) => {
                let size = Checkpoint::parse(attempt.1.text())?.head.size;
                if last_size > size {
                    let what = format!("it has cosigned {last_size} leaves of a log that has {size}");
                    return Err(broken(hospital, &what));
                }
                task = cosign_task(work, commitment, attempt, Some(last_size))?;
            }
            Ok(_) => return Err(broken(hospital, "unexpected outcome to cosign")),
            Err(error) if error.is_passing() => return Ok(None),
            Err(error) => return Err(error.problem()),
        }
    }
    Ok(None)
}

fn broken(hospital: &str, what: &str) -> Problem {
    NodeError::Protocol { node: hospital.to_owned(), what: what.to_owned() }.problem()
}

/// A cosigner's line that holds on the note.
fn check_cosignature(
    line: &str,
    note: &Note,
    name: &str,
    key: &PublicKey,
) -> Result<NoteSignature, LedgerError> {
    let line = NoteSignature::parse(line)?;
    let mut signed = note.clone();
    signed.add(line.clone())?;
    let found = verify_cosignature(&signed, name, key)?;
    found.map(|_| line).ok_or_else(|| LedgerError::Unsigned { name: name.to_owned() })
}

/// The leaf of a key epoch in the log.
///
/// # Errors
/// Storage.
pub async fn log_epoch(work: &Work, epoch: &Epoch) -> Result<Digest, Problem> {
    let digest = separated("key-epoch/1", &[work.id().as_bytes(), &canonical_json(epoch)]);
    let index = tokio::task::block_in_place(|| work.engine().ledger.append(&digest))?;
    work.event(None, "logged", &format!("key epoch {} is leaf {index}", epoch.id)).await?;
    Ok(digest)
}
