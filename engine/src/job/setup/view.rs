//! Looking at a ceremony: where it is, its files, its receipt. All of it is public to members.

use crate::clock::now_ms;
use crate::job::Engine;
use crate::ledger::{SetupReceipt, SetupRecord};
use crate::problem::{Problem, ProblemKind};
use crate::setup::course::{Course, Step};
use crate::setup::status::{SetupFile, SetupStatus};
use crate::store::{JobId, JobState, JobSummary};

impl Engine {
    /// Where a ceremony is.
    ///
    /// # Errors
    /// `setup.unknown`, or storage.
    pub async fn setup_status(&self, job: &JobId) -> Result<SetupStatus, Problem> {
        let (job, spec, steps) = self.setup(job).await?;
        let refused = steps.iter().rev().find_map(|(_, step)| match step {
            Step::Refused { problem } => Some(Some(problem.clone())),
            Step::Accepted | Step::Begun { .. } | Step::Passed { .. } => Some(None),
            _ => None,
        });
        let course = Course::of(&spec, steps);
        let folder = crate::setup::statements::find_in(&self.statements, &spec.statement)?.folder;
        let mut files = Vec::new();
        for (name, phase) in ["phase1", folder.as_str()].into_iter().zip(&course.phases) {
            let Some(has) = phase.files else { continue };
            let contributions = phase.contributed.len() + usize::from(phase.is_closed);
            let state = crate::setup::folder::PhaseFolder::state_name(contributions);
            let mut add = |file, at: &str| files.push(SetupFile { path: format!("{name}/{at}"), file });
            // The transcript comes last: it makes the others count.
            if let Some(prepared) = has.prepared {
                add(prepared, "prepared");
            }
            add(has.state, &state);
            add(has.transcript, "transcript");
        }
        if let Some((_, verifying, proving)) = &course.keys {
            for (file, kind) in [(verifying, "verifying-key"), (proving, "proving-key")] {
                files.push(SetupFile { path: format!("keys/{folder}.{kind}"), file: *file });
            }
        }
        Ok(SetupStatus {
            state: job.summary.state,
            next: course.next(now_ms()),
            refused: refused.flatten(),
            row: course.row().map(ToOwned::to_owned).collect(),
            phases: course.phases.clone(),
            key: course.keys.map(|(key, ..)| key.to_string()).unwrap_or_default(),
            files,
            spec,
        })
    }

    /// A file of a ceremony, for reading from anywhere on; who fetches it checks its digest.
    ///
    /// # Errors
    /// `setup.unknown`; `setup.no_file` when the ceremony has none with this digest now.
    pub async fn setup_file(&self, job: &JobId, wanted: &[u8]) -> Result<std::fs::File, Problem> {
        let status = self.setup_status(job).await?;
        let found = status.files.iter().find(|file| file.file.digest.0[..] == *wanted);
        let gone = || {
            Problem::new(ProblemKind::NotFound, "setup.no_file", "the ceremony has no such file now")
                .hint("it went on meanwhile: ask where it is, and fetch again")
        };
        Ok(self.blobs.file(&found.ok_or_else(gone)?.file.digest)?)
    }

    /// The receipt of a ceremony that is done, made with the log as it is now.
    ///
    /// # Errors
    /// `job.not_done`, or storage.
    pub async fn setup_receipt(&self, summary: &JobSummary) -> Result<Vec<u8>, Problem> {
        let blob = summary.conclusion.as_ref().and_then(|conclusion| conclusion.result);
        let Some(blob) = blob.filter(|_| summary.state == JobState::Done) else {
            return Err(crate::job::view::not_done(summary));
        };
        let record: SetupRecord =
            serde_json::from_slice(&self.read_blob(blob).await?).map_err(|e| Problem::internal(&e))?;
        let proof = self.record_proof(summary)?;
        let digest = record.digest();
        let mut receipt = SetupReceipt::new(record, &proof, &self.certificate, self.authority_der());
        receipt.log.anchors = self.anchors(digest, summary).await?;
        Ok(receipt.to_json().map_err(|e| Problem::internal(&e))?.into_bytes())
    }
}
