//! What became of a submission.

use crate::encoding::Digest;
use crate::job::Engine;
use crate::ledger::{Checkpoint, Ledger, Note, RegistrationReceipt, RegistrationRecord, TlogProof};
use crate::problem::Problem;
use crate::store::{JobState, JobSummary, blocking};

/// What became of one attestation.
#[derive(Clone, Debug)]
pub struct VerdictView {
    /// Its digest; none for what was no attestation.
    pub digest: Option<Digest>,
    /// The study.
    pub study: String,
    /// The patient in it.
    pub nullifier: Option<Digest>,
    /// Why it was not registered; none when this job registered it.
    pub problem: Option<Problem>,
    /// Index of its leaf, and the proof of it (c2sp.org/tlog-proof); also when it was registered before.
    pub proof: Option<(u64, String)>,
}

impl Engine {
    /// The record of a job that is done.
    async fn record(&self, summary: &JobSummary) -> Result<RegistrationRecord, Problem> {
        let blob = summary.conclusion.as_ref().and_then(|conclusion| conclusion.result);
        match blob {
            Some(blob) if summary.state == JobState::Done => {
                let json = self.read_blob(blob).await?;
                serde_json::from_slice(&json).map_err(|e| Problem::internal(&e))
            }
            _ => Err(crate::job::view::not_done(summary)),
        }
    }

    /// What became of each attestation of a job, in order.
    ///
    /// # Errors
    /// `job.not_done`, or storage.
    pub async fn verdicts(&self, summary: &JobSummary) -> Result<Vec<VerdictView>, Problem> {
        let record = self.record(summary).await?;
        let note = tokio::task::block_in_place(|| self.ledger.checkpoint())?;
        let mut views = Vec::with_capacity(record.items.len());
        for item in record.items {
            let proof = match item.attestation {
                Some(digest) => self.leaf_proof(digest, &note).await?,
                None => None,
            };
            views.push(VerdictView {
                digest: item.attestation,
                study: item.study,
                nullifier: item.nullifier,
                problem: item.problem,
                proof,
            });
        }
        Ok(views)
    }

    async fn leaf_proof(&self, digest: Digest, note: &Note) -> Result<Option<(u64, String)>, Problem> {
        let found = blocking(&self.store, move |s| s.registered(&digest)).await?;
        let Some(index) = found.map(|registration| registration.leaf_index) else { return Ok(None) };
        let size = Checkpoint::parse(note.text())?.head.size;
        if index >= size {
            return Ok(None);
        }
        let proof = tokio::task::block_in_place(|| self.ledger.inclusion(index, size))?;
        let proof = TlogProof { index, proof, checkpoint: note.clone() };
        Ok(Some((index, proof.to_text())))
    }

    /// That the leaf of a job that is done is in the log as it is now.
    pub(in crate::job) fn record_proof(&self, summary: &JobSummary) -> Result<TlogProof, Problem> {
        let index = summary.leaf_index.ok_or_else(|| Problem::internal(&"a job that is done has no leaf"))?;
        let checkpoint = tokio::task::block_in_place(|| self.ledger.checkpoint())?;
        let size = Checkpoint::parse(checkpoint.text())?.head.size;
        let proof = tokio::task::block_in_place(|| self.ledger.inclusion(index, size))?;
        Ok(TlogProof { index, proof, checkpoint })
    }

    /// The receipt of a job that is done, made with the log as it is now.
    ///
    /// # Errors
    /// `job.not_done`, or storage.
    pub async fn registration_receipt(&self, summary: &JobSummary) -> Result<Vec<u8>, Problem> {
        let record = self.record(summary).await?;
        let proof = self.record_proof(summary)?;
        let digest = record.digest();
        let mut receipt = RegistrationReceipt::new(record, &proof, &self.certificate, self.authority_der());
        receipt.anchors = self.anchors(digest, summary).await?;
        Ok(receipt.to_json().map_err(|e| Problem::internal(&e))?.into_bytes())
    }
}
