//! The node as a witness of the log: it cosigns a checkpoint only when the job's commitment says what this hospital
//! did, is in the log under that checkpoint, and the log continues everything the node has seen.

use super::ceremony::refuse;
use super::node::Node;
use super::task::{ContributionHeader, Outcome, Prepare, Task};
use crate::encoding::{Digest, separated};
use crate::identity::{Member, Role};
use crate::ledger::{Checkpoint, Commitment, Note, Witness, merkle};
use crate::problem::Problem;

impl Node {
    /// Checks and cosigns.
    pub(super) fn cosign(&self, task: &Task) -> Result<Outcome, Problem> {
        let Task::Cosign { job, commitment, leaf_index, inclusion, checkpoint, from_size, consistency } =
            task
        else {
            return Err(refuse("task.kind", "not a checkpoint to cosign"));
        };
        let last = self.store().last_checkpoint()?;
        let last_size = last.as_ref().map_or(0, |c| c.head.size);
        let commitment: Commitment = serde_json::from_str(commitment)
            .map_err(|e| refuse("commitment.unreadable", format!("the commitment does not parse: {e}")))?;
        self.check_commitment(job, &commitment)?;
        let refuse_log = |e: crate::ledger::LedgerError| refuse("log.refused", e.to_string());
        let note = Note::parse(checkpoint).map_err(refuse_log)?;
        let head = Checkpoint::parse(note.text()).map_err(refuse_log)?.head;
        let leaf = merkle::leaf_hash(&commitment.digest().0);
        merkle::verify_inclusion(&leaf, *leaf_index, head.size, inclusion, &head.root).map_err(refuse_log)?;
        if last_size != *from_size {
            return Ok(Outcome::Cosigned { cosignature: None, last_size });
        }
        let membership = self.membership();
        let witness = Witness {
            consortium: self.consortium(),
            hospital: self.name(),
            identity: &membership.identity,
            log_key: self.log_key()?,
        };
        let cosigned = witness
            .cosign(last.as_ref(), checkpoint, consistency, self.now_ms() / 1000)
            .map_err(refuse_log)?;
        let audit = self.audit_event("log.cosign", job, &format!("checkpoint of {} leaves", head.size));
        let audit = audit.within(self.job_context(job));
        self.store().set_checkpoint(last.as_ref(), &cosigned.checkpoint, &audit)?;
        Ok(Outcome::Cosigned { cosignature: Some(cosigned.signature.to_line()), last_size: head.size })
    }

    /// The commitment names this hospital's own contribution, data and policy, and the request it took in.
    fn check_commitment(&self, job: &str, commitment: &Commitment) -> Result<(), Problem> {
        let wrong = |what: &str| refuse("commitment.wrong", format!("the commitment is wrong about {what}"));
        commitment.check().map_err(|e| refuse("commitment.wrong", e.to_string()))?;
        let prepare = self.recall("prepare", job)?.ok_or_else(|| wrong("the job"))?;
        let prepare: Prepare = serde_json::from_slice(&prepare).map_err(|e| Problem::internal(&e))?;
        if commitment.job_id != job || commitment.consortium != self.consortium() {
            return Err(wrong("the job"));
        }
        let request = Digest::of(prepare.request.as_bytes());
        if commitment.request_digest != request || commitment.plan_digest != prepare.plan {
            return Err(wrong("the request or the plan"));
        }
        // Of a computation on shares, the attempt that ended well is one of those that this hospital gave input to.
        let mut own = self.inputs_of(job)?;
        own.extend(self.own_contribution(job)?);
        if own.is_empty() {
            return Err(wrong("who took part"));
        }
        let name = self.name();
        let names =
            |map: &std::collections::BTreeMap<String, Digest>, value: Digest| map.get(name) == Some(&value);
        let is_named = |own: &ContributionHeader| {
            let given = separated("contribution/1", &[&own.c0.0, &own.c1.0]);
            names(&commitment.contribution_digests, given)
                && names(&commitment.policy_digests, own.policy)
                && commitment.consent_roots.get(name) == own.consent.as_ref()
                && commitment.dataset_versions.get(name) == Some(&own.dataset_version)
                && commitment.proofs.as_ref().and_then(|proofs| proofs.contributions.get(name))
                    == own.proof.as_ref()
        };
        if own.iter().any(is_named) { Ok(()) } else { Err(wrong("this hospital's part")) }
    }

    pub(super) fn own_contribution(&self, job: &str) -> Result<Option<ContributionHeader>, Problem> {
        let Some(kept) = self.recall("contribution", job)? else { return Ok(None) };
        super::contribution::split_contribution(&kept).map(|(header, _)| Some(header))
    }

    /// The log's key: the engine's, from the certificate its TLS connection was made under, pinned on first use.
    fn log_key(&self) -> Result<crate::identity::PublicKey, Problem> {
        let known = self.store().pinned("engine:log")?;
        known.ok_or_else(|| refuse("log.key", "the engine has not shown its certificate yet"))
    }

    /// Pins the engine's certificate, which it shows on connecting.
    ///
    /// # Errors
    /// When it is not an engine's certificate of this consortium, or another key is pinned.
    pub fn pin_engine(&self, certificate: &[u8]) -> Result<(), Problem> {
        let member: Member = self.certified(certificate, Role::Engine)?;
        self.pin("engine", "log", &member.key)
    }
}
