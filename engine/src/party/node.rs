//! The node: what its tasks share. Configuration, membership, store, data, and the rules that every task goes through:
//! pins, signatures, values drawn once, audit.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::Notify;
use zeroize::Zeroizing;

use super::aggregate::participation;
use super::consent::ConsentDesk;
use super::local::LocalError;
use super::local::config::{PartyConfig, SealKey as SealSource};
use super::local::data::LocalData;
use super::local::policy::Policy;
use super::mesh::{Endpoint, MeshIdentity};
use super::multiparty::Attempts;
use super::task::{Outcome, Task};
use crate::audit::{Context, Outcome as AuditOutcome};
use crate::clock::{Clock, now_ms};
use crate::encoding::{Digest, canonical_json, separated};
use crate::identity::revocation::Revocations;
use crate::identity::{Member, PublicKey, Role, SealKey, Signature};
use crate::member::Membership;
use crate::problem::{Problem, ProblemKind};
use crate::query::plan::Asked;
use crate::records::version::VersionKey;
use crate::store::{
    Accepted, Approval, NewTask, Once, OnceKey, PartyStore, ReleaseStore as _, SqlitePartyStore, TaskState,
};
use crate::study::StudyRef;
use crate::trace;
use crate::vault::{KeyProvider, open_provider};

/// What a hospital has decided about a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobApproval {
    /// By rule or by hand.
    Approved,
    /// A person has not decided yet.
    Pending,
    /// A person said no.
    Denied,
}

/// A hospital's node.
pub struct Node {
    config: PartyConfig,
    membership: Membership,
    /// The certificate in force: that of the membership, or a newer one of the same key.
    pub(super) certificate: RwLock<(Arc<Vec<u8>>, Member)>,
    /// Keys that are nobody's any more.
    pub(super) revocations: Arc<Revocations>,
    store: Arc<dyn PartyStore>,
    /// Who wraps the keys of patients' records.
    pub(super) provider: Arc<dyn KeyProvider>,
    data: RwLock<Arc<LocalData>>,
    consortium_floor: AtomicU32,
    mesh: Arc<Endpoint>,
    attempts: Attempts,
    consents: ConsentDesk,
    pub(super) clock: Clock,
    /// Notified when the publication should be sent again.
    pub published: Notify,
}

/// The key that seals a node's files.
///
/// # Errors
/// When the file cannot be read or made, or the variable is missing or malformed.
pub fn seal_key(config: &PartyConfig) -> Result<SealKey, Problem> {
    let bad =
        |e: crate::identity::IdentityError| Problem::new(ProblemKind::Validation, "keys.seal", e.to_string());
    match &config.seal_key {
        SealSource::File(path) => SealKey::load_or_create(path).map_err(bad),
        SealSource::Env(name) => {
            let text = std::env::var(name).map(Zeroizing::new).map_err(|_| {
                Problem::new(ProblemKind::Validation, "keys.seal", format!("the variable {name} is not set"))
                    .hint("it holds the sealing key, 64 hexadecimal characters")
            })?;
            SealKey::from_hex(&text, name).map_err(bad)
        }
    }
}

impl Node {
    /// Opens an enrolled node.
    ///
    /// # Errors
    /// When nobody has enrolled in its folder, or its store or data cannot be opened.
    pub fn open(config: PartyConfig) -> Result<Self, Problem> {
        Self::with_data(config, LocalData::open)
    }

    /// Opens an enrolled node whose tables are looked at when they are first asked for.
    ///
    /// # Errors
    /// As [`Self::open`], but for its data.
    pub fn open_lazily(config: PartyConfig) -> Result<Self, Problem> {
        Self::with_data(config, |config, key| Ok(LocalData::new(config, key)))
    }

    fn with_data(
        config: PartyConfig,
        data: impl FnOnce(&PartyConfig, VersionKey) -> Result<LocalData, LocalError>,
    ) -> Result<Self, Problem> {
        let membership = Membership::load(&config.data_dir, seal_key(&config)?)?;
        if membership.member.role != Role::Hospital {
            let message = format!(
                "{} is enrolled as {}, not as a hospital",
                membership.member.name,
                membership.member.role.as_str()
            );
            return Err(Problem::new(ProblemKind::Validation, "member.role", message));
        }
        if config.name.as_ref().is_some_and(|name| *name != membership.member.name) {
            let message = format!(
                "the configuration is of {:?}, the certificate of {}",
                config.name, membership.member.name
            );
            return Err(Problem::new(ProblemKind::Validation, "member.name", message));
        }
        let signer = Arc::new(
            crate::identity::Identity::from_pem(
                &membership.identity.to_pem().map_err(|e| Problem::internal(&e))?,
            )
            .map_err(|e| Problem::internal(&e))?,
        );
        let provider = open_provider(&config.kek, &config.data_dir, seal_key(&config)?)?;
        let keys = (seal_key(&config)?, provider.clone());
        let store = SqlitePartyStore::open(&config.data_dir, signer, keys)?;
        let data = data(&config, super::version::key(&store, &membership.member.name)?)?;
        let consents = ConsentDesk::open(&config.data_dir, &seal_key(&config)?)?;
        let identity =
            MeshIdentity::new(&membership.certificate, &membership.identity, membership.authority.clone())?;
        let revocations = Revocations::open(&config.data_dir, membership.authority.clone())
            .map_err(|e| Problem::new(ProblemKind::Validation, e.code(), e.to_string()))?;
        let identity = identity.refusing(revocations.clone());
        let mesh = Endpoint::new(identity, config.proxy.clone(), config.mesh.is_direct)?;
        let floor = store.consortium_floor().map_err(super::release::unread_floor)?;
        Ok(Self {
            config,
            certificate: RwLock::new((Arc::new(membership.certificate.clone()), membership.member.clone())),
            revocations,
            membership,
            store: Arc::new(store),
            provider,
            data: RwLock::new(Arc::new(data)),
            consortium_floor: AtomicU32::new(floor),
            mesh,
            attempts: Attempts::default(),
            consents,
            clock: Arc::new(now_ms),
            published: Notify::new(),
        })
    }

    /// The hospital's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.membership.member.name
    }

    /// The consortium's name.
    #[must_use]
    pub fn consortium(&self) -> &str {
        &self.membership.consortium
    }

    /// Its certificate, DER.
    #[must_use]
    pub fn certificate(&self) -> Arc<Vec<u8>> {
        self.certificate.read().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// Its membership.
    #[must_use]
    pub fn membership(&self) -> &Membership {
        &self.membership
    }

    /// Its configuration.
    #[must_use]
    pub fn config(&self) -> &PartyConfig {
        &self.config
    }

    /// Its store.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn PartyStore> {
        &self.store
    }

    /// Where it meets the other members of an attempt.
    #[must_use]
    pub fn mesh(&self) -> &Arc<Endpoint> {
        &self.mesh
    }

    /// What its patients consent to.
    #[must_use]
    pub fn consents(&self) -> &ConsentDesk {
        &self.consents
    }

    /// The attempts it takes part in now.
    pub(super) fn attempts(&self) -> &Attempts {
        &self.attempts
    }

    /// Its policy.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.config.policy
    }

    /// Digest of the policy in force.
    #[must_use]
    pub fn policy_digest(&self) -> Digest {
        separated("policy/1", &[&canonical_json(&self.config.policy)])
    }

    /// Its tables.
    #[must_use]
    pub fn data(&self) -> Arc<LocalData> {
        self.data.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The floor in force: the consortium's, which the hospital may raise.
    #[must_use]
    pub fn floor(&self) -> u32 {
        self.policy().floor.max(self.consortium_floor.load(Ordering::Relaxed))
    }

    /// Takes in what the engine says on connecting.
    ///
    /// # Errors
    /// When it is the engine of another consortium.
    pub fn welcome(&self, floor: u32, consortium: &str, certificate: &[u8]) -> Result<(), Problem> {
        if consortium != self.consortium() {
            let message =
                format!("the engine is of consortium {consortium}, this node of {}", self.consortium());
            return Err(Problem::new(ProblemKind::Conflict, "engine.consortium", message));
        }
        self.pin_engine(certificate)?;
        // The engine is not believed when it says that the floor fell: a node keeps the highest it has heard.
        let rose = self.hear_floor(floor)?;
        self.consortium_floor.fetch_max(floor, Ordering::Relaxed);
        if rose && floor > self.policy().floor {
            self.published.notify_one();
        }
        Ok(())
    }

    /// What the hospital publishes, with its signature.
    ///
    /// # Errors
    /// When a source cannot be read.
    pub async fn publication(self: &Arc<Self>) -> Result<(Vec<u8>, Vec<u8>), Problem> {
        let node = self.clone();
        let publication =
            tokio::task::spawn_blocking(move || node.data().publication(node.name(), node.floor()))
                .await
                .map_err(|e| Problem::internal(&e))??;
        let json = canonical_json(&publication);
        let signature = self.sign(crate::grpc::services::parties::PUBLICATION, &[&json]);
        Ok((json, signature))
    }

    /// Does a task. Tasks that compute run off the reactor.
    ///
    /// # Errors
    /// The refusal to send back.
    pub async fn handle(self: &Arc<Self>, task: Task, body: Vec<u8>) -> Result<(Outcome, Vec<u8>), Problem> {
        match &task {
            Task::Compute { job, attempt, inputs, members, arrived } => {
                self.study_stands(job)?;
                let arrived = arrived.clone().map(|arrived| (arrived, body));
                return self.compute((job, *attempt), inputs, members, arrived).await;
            }
            Task::Stop { job, attempt } => return Ok((self.stop_attempt(job, *attempt), Vec::new())),
            _ => {}
        }
        let (node, origin) = (self.clone(), trace::current());
        tokio::task::spawn_blocking(move || trace::within_blocking(origin, || node.perform(&task, &body)))
            .await
            .map_err(|e| Problem::internal(&e))?
    }

    fn perform(self: &Arc<Self>, task: &Task, body: &[u8]) -> Result<(Outcome, Vec<u8>), Problem> {
        let plain = |outcome: Result<Outcome, Problem>| outcome.map(|o| (o, Vec::new()));
        match task {
            Task::KeyCommit { spec } => plain(self.key_commit(spec)),
            Task::KeyOpen { ceremony, commitments } => plain(self.key_open(ceremony, commitments)),
            Task::KeyDigest { ceremony, openings } => plain(self.key_digest(ceremony, openings)),
            Task::KeyReveal { ceremony, digests } => self.key_reveal(ceremony, digests),
            Task::KeyFinish { ceremony, reveals } => plain(self.key_finish(ceremony, reveals, body)),
            Task::Check { sql, researcher, participants_min, route, purpose, study, catalogue, epoch } => {
                let participation = participation(*participants_min);
                let terms = study.as_ref().map(StudyRef::terms);
                let asked = Asked { participation, route: *route, purpose: *purpose, study: terms };
                plain(self.check(sql, researcher, (asked, study.as_ref()), catalogue, epoch))
            }
            Task::Prepare(prepare) => plain(self.prepare(prepare, body)),
            Task::Contribute { job } => {
                self.study_stands(job)?;
                self.contribute(job)
            }
            Task::KeySwitch { job, contributions, active } => {
                self.study_stands(job)?;
                self.key_switch(job, contributions, active, body)
            }
            Task::MaskSum { job, contributions, active } => {
                self.study_stands(job)?;
                self.mask_sum(job, contributions, active, body)
            }
            Task::Cosign { .. } => plain(self.cosign(task)),
            Task::Abandon { job, outcome } => plain(self.finish(job, outcome)),
            // Not here: they wait for others, off the pool of threads.
            Task::Compute { .. } | Task::Stop { .. } => {
                Err(Problem::internal(&"a task that waits is done elsewhere"))
            }
        }
    }

    fn finish(&self, job: &str, outcome: &str) -> Result<Outcome, Problem> {
        let state = match outcome {
            "done" => TaskState::Done,
            "refused" => TaskState::Refused,
            _ => TaskState::Failed,
        };
        if self.store.task(job)?.is_some_and(|task| task.state == TaskState::Open) {
            let audit = self.event("job.end", job, AuditOutcome::Success, outcome);
            let audit = audit.within(self.job_context(job));
            self.store.finish_task(job, state, &audit)?;
        }
        Ok(Outcome::Abandoned)
    }

    /// A person's decision on a query that waits.
    ///
    /// # Errors
    /// When no query of that id waits.
    pub fn decide(&self, job: &str, decision: Approval) -> Result<(), Problem> {
        let audit = self.event("job.decide", job, AuditOutcome::Success, decision.as_str());
        let audit = audit.within(self.job_context(job));
        self.store.decide(job, decision, &audit).map_err(|e| {
            Problem::from(e).hint("`ward party jobs` lists the queries that wait for a decision")
        })
    }

    /// Forgets a pinned key.
    ///
    /// # Errors
    /// When none is pinned under that name.
    pub fn unpin(&self, name: &str) -> Result<(), Problem> {
        let audit = self.event("key.unpin", name, AuditOutcome::Success, "");
        Ok(self.store.unpin(name, &audit)?)
    }

    // ---- rules that tasks go through ----

    /// Stores a value for a cell, unless one is stored under the same binding already; the stored one counts.
    pub(super) fn once(&self, kind: &str, key: &str, binding: Digest, value: &[u8]) -> Result<(), Problem> {
        let audit = self.event("once.store", key, AuditOutcome::Success, kind);
        match self.store.put_once(OnceKey { kind, key, binding: &binding }, value, &audit)? {
            Once::Stored | Once::Existing(_) => Ok(()),
        }
    }

    /// The value of a cell under that binding.
    pub(super) fn recall_bound(
        &self,
        kind: &str,
        key: &str,
        binding: Digest,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, Problem> {
        Ok(self.store.once(OnceKey { kind, key, binding: &binding })?)
    }

    /// The value of a cell, whatever it is bound to.
    pub(super) fn recall(&self, kind: &str, key: &str) -> Result<Option<Zeroizing<Vec<u8>>>, Problem> {
        Ok(self.store.recall(kind, key)?)
    }

    pub(super) fn sign(&self, context: &'static str, parts: &[&[u8]]) -> Vec<u8> {
        self.membership.identity.sign(context, parts).0.to_vec()
    }

    pub(super) fn certified(&self, certificate: &[u8], role: Role) -> Result<Member, Problem> {
        let refuse =
            |message: String| Problem::new(ProblemKind::Authorization, "identity.certificate", message);
        let now_s = (self.now_ms() / 1000) as i64;
        let member =
            self.membership.authority.verify(certificate, now_s).map_err(|e| refuse(e.to_string()))?;
        if self.revocations.has(&member.key) {
            let message = format!("the key of {} was revoked", member.name);
            return Err(Problem::new(ProblemKind::Authorization, "identity.revoked", message));
        }
        if member.role != role {
            return Err(refuse(format!(
                "{} is a {}, not a {}",
                member.name,
                member.role.as_str(),
                role.as_str()
            )));
        }
        Ok(member)
    }

    /// Checks a signature under a certificate of the consortium.
    pub(super) fn check_signature(
        &self,
        certificate: &[u8],
        context: &'static str,
        parts: &[&[u8]],
        signature: &[u8],
    ) -> Result<(), Problem> {
        let refuse =
            |message: String| Problem::new(ProblemKind::Authorization, "identity.signature", message);
        let member = Member::from_certificate(certificate).map_err(|e| refuse(e.to_string()))?;
        let signature = Signature::from_slice(signature)
            .ok_or_else(|| refuse("the signature is malformed".to_owned()))?;
        member.key.verify(context, parts, &signature).map_err(|e| refuse(e.to_string()))
    }

    pub(super) fn pin(&self, what: &str, name: &str, key: &PublicKey) -> Result<(), Problem> {
        let label = format!("{what}:{name}");
        let audit = self.event("key.pin", &label, AuditOutcome::Success, &key.fingerprint());
        self.store.pin(&label, key, self.now_ms(), &audit).map_err(|error| {
            let problem = Problem::from(error);
            if problem.kind != ProblemKind::Conflict {
                return problem;
            }
            let message = format!("{name} comes with another key than the one pinned here");
            Problem::new(ProblemKind::Authorization, "identity.pin", message).hint(
                "if the change is genuine, compare fingerprints by telephone, then remove the pin with `ward party unpin`",
            )
        })?;
        Ok(())
    }

    /// Checks a hospital's certificate and pins its key on first use.
    pub(super) fn pin_hospital(&self, name: &str, certificate: &[u8]) -> Result<(), Problem> {
        let member = self.certified(certificate, Role::Hospital)?;
        if member.name != name {
            let message = format!("the certificate of {name} is of {}", member.name);
            return Err(Problem::new(ProblemKind::Authorization, "identity.certificate", message));
        }
        self.pin("hospital", name, &member.key)
    }

    /// Checks a researcher's certificate against the pin in the policy, or pins its key on first use.
    pub(super) fn pin_researcher(&self, name: &str, certificate: &[u8]) -> Result<(), Problem> {
        let member = self.certified(certificate, Role::Researcher)?;
        let wrong =
            |what: &str| Problem::new(ProblemKind::Authorization, "identity.pin", format!("{name}: {what}"));
        if member.name != name {
            return Err(wrong("the certificate is of somebody else"));
        }
        if self.policy().pinned_key(name).is_some_and(|pinned| pinned != member.fingerprint()) {
            return Err(wrong("the key is not the one pinned in the policy"));
        }
        self.pin("researcher", name, &member.key)
    }

    /// Keeps a job, for approval and against replay.
    pub(super) fn take_in(
        &self,
        (job, request_digest): (&str, Digest),
        (owner, query): (&str, &str),
        by_hand: bool,
        about: Context,
    ) -> Result<(), Problem> {
        let task = NewTask {
            job: job.to_owned(),
            request_digest,
            owner: owner.to_owned(),
            query: query.to_owned(),
            approval: if by_hand { Approval::Pending } else { Approval::Automatic },
            at_ms: self.now_ms(),
        };
        let audit = self.event("job.accept", job, AuditOutcome::Success, owner).within(about);
        match self.store.accept_task(&task, &audit)? {
            Accepted::New | Accepted::Again(_) => Ok(()),
        }
    }

    pub(super) fn approval(&self, job: &str) -> Result<JobApproval, Problem> {
        let task = self.store.task(job)?;
        Ok(match task.map(|task| task.task.approval) {
            Some(Approval::Automatic | Approval::Approved) => JobApproval::Approved,
            Some(Approval::Denied) => JobApproval::Denied,
            Some(Approval::Pending) | None => JobApproval::Pending,
        })
    }
}
