//! The node's side of an encrypted aggregate: take the job in, contribute, switch the sum to the researcher's key.
//!
//! Parties: hospitals with data, key holders (mostly the same). Inputs: slot vectors. Output: their sum, to the
//! researcher only. Adversary: malicious engine and up to threshold - 1 key holders. Rounds: prepare, contribute, key
//! switch. Source: Mouchet et al., PoPETs 2021, protocol PubColKeySwitch; the rules under which a share is given are
//! those of the design, section 6: a decryption share is an oracle.
//!
//! Every byte drawn here is stored before it is sent; a retry replays it, another request for the same cell is
//! refused.

use rand_core::SeedableRng;
use ward_protocols::he::{self, ActiveKeyShare, C1, KeySwitchShare, Parameters};

use super::ceremony::{parameters, refuse};
use super::local::policy::{self, Approval};
use super::node::{JobApproval, Node};
use super::task::{CeremonySpec, ContributionHeader, Epoch, Outcome, Prepare, Request};
use crate::audit::Context;
use crate::encoding::{Digest, HexBytes, canonical_json, separated};
use crate::job::protocol::protocol_info;
use crate::problem::{Problem, ProblemKind};
use crate::query::catalogue::Catalogue;
use crate::query::plan::{Asked, Participation, Plan};
use crate::study::StudyRef;

/// Context of a contribution's signature.
pub const CONTRIBUTION: &str = "ward/v1/contribution";
/// Context of a key-switch share's signature.
pub const KEY_SWITCH: &str = "ward/v1/key-switch";
/// Context of a masked share's signature.
pub const MASKED_SHARE: &str = "ward/v1/masked-share";
/// Context of a researcher's request.
pub const REQUEST: &str = "ward/v1/request";
/// A clock may be off by this much.
const SKEW_MS: u64 = 300_000;

/// An epoch this node holds a share of.
pub(super) struct HeldEpoch {
    pub(super) epoch: Epoch,
    spec: CeremonySpec,
    pub(super) params: Parameters,
}

/// A job this node has taken in.
pub(super) struct TakenIn {
    /// As it was told.
    pub(super) prepare: Prepare,
    pub(super) held: HeldEpoch,
    /// The plan, made again here.
    pub(super) plan: Plan,
    /// The catalogue that it was made from.
    pub(super) catalogue: Catalogue,
    receiver: Vec<u8>,
    pub(super) digest: Digest,
    /// The signed request.
    pub(super) request: Request,
}

/// How a query's participation is read from its minimum.
#[must_use]
pub fn participation(minimum: u32) -> Participation {
    if minimum == 0 { Participation::All } else { Participation::AtLeast(minimum) }
}

/// Context of the signatures over shares of a plan's sum.
#[must_use]
pub fn context_of(plan: &Plan) -> &'static str {
    if plan.is_masked() { MASKED_SHARE } else { KEY_SWITCH }
}

/// What a request asks of the planner.
#[must_use]
pub fn asked_of(request: &Request) -> Asked {
    let participation = participation(request.participants_min);
    let study = request.study.as_ref().map(StudyRef::terms);
    Asked { participation, route: request.route, purpose: request.purpose, study }
}

/// What the trail says of a plan: which of a hospital's rows, of which class, for what.
fn circumstances(node: &Node, (plan, catalogue): (&Plan, &Catalogue), study: Option<&StudyRef>) -> Context {
    let table = &plan.query.table;
    let published = catalogue.hospitals.get(node.name()).and_then(|p| p.table(table));
    let cohort =
        published.map_or_else(|| table.clone(), |found| format!("{table}@{}", found.dataset_version));
    let purpose = plan.purpose.iter().map(ToString::to_string).collect();
    let study = study.map(|study| study.id.clone()).unwrap_or_default();
    Context { cohort, data_class: node.classes_of(plan).join(", "), purpose, study, ..Context::default() }
}

impl TakenIn {
    /// For the trail: which of this hospital's rows, of which class, for what.
    pub(super) fn circumstances(&self, node: &Node) -> Context {
        circumstances(node, (&self.plan, &self.catalogue), self.request.study.as_ref())
    }
}

impl Node {
    fn held(&self, epoch: &Epoch) -> Result<HeldEpoch, Problem> {
        let unknown = || {
            refuse("epoch.unknown", "this node holds no share of that key epoch")
                .hint("the request was made under another epoch; submit it again")
        };
        let kept = self.recall("epoch", &epoch.id.to_string())?.ok_or_else(unknown)?;
        let (known, spec): (Epoch, CeremonySpec) =
            serde_json::from_slice(&kept).map_err(|e| Problem::internal(&e))?;
        if known != *epoch {
            return Err(unknown());
        }
        let params = parameters(&known.profile, known.holders.len())?;
        Ok(HeldEpoch { epoch: known, spec, params })
    }

    /// Makes the plan again and holds it against this node's own catalogue and policy.
    fn replan(
        &self,
        sql: &str,
        asked: Asked,
        catalogue: &str,
        held: &HeldEpoch,
    ) -> Result<(Plan, Catalogue), Problem> {
        let catalogue: Catalogue = serde_json::from_str(catalogue)
            .map_err(|e| refuse("catalogue.unreadable", format!("the catalogue does not parse: {e}")))?;
        if catalogue.consortium != self.consortium() {
            return Err(refuse("catalogue.consortium", "the catalogue is of another consortium"));
        }
        let query = crate::query::parse(sql).map_err(Problem::from)?;
        let protocol = protocol_info(&held.epoch, &held.params);
        let plan = crate::query::plan(&query, &catalogue, &protocol, asked).map_err(Problem::from)?;
        Ok((plan, catalogue))
    }

    fn judge(&self, plan: &Plan, researcher: &str, study: Option<&StudyRef>) -> Result<Approval, Problem> {
        self.judge_study(plan, researcher, study)?;
        let data = self.data();
        let hospitals = plan.hospitals.len();
        self.judge_shares(plan)?;
        self.question(plan, researcher)?;
        if plan.hospitals.iter().any(|name| name == self.name()) {
            let publication = data
                .publication(self.name(), self.floor())
                .map_err(|e| Problem::new(ProblemKind::Unavailable, "data.unreadable", e.to_string()))?;
            policy::validate_against(plan, &publication).map_err(Problem::from)?;
            return policy::check(plan, self.policy(), researcher, hospitals).map_err(Problem::from);
        }
        policy::check(plan, self.policy(), researcher, hospitals).map_err(Problem::from)
    }

    /// Would this node answer? Nothing is computed, nothing kept.
    pub(super) fn check(
        &self,
        sql: &str,
        researcher: &str,
        (asked, study): (Asked, Option<&StudyRef>),
        catalogue: &str,
        epoch: &Epoch,
    ) -> Result<Outcome, Problem> {
        let held = self.held(epoch)?;
        let (plan, _) = self.replan(sql, asked, catalogue, &held)?;
        let approval = self.judge(&plan, researcher, study)?;
        let budget = self.judge_budget(&plan, (researcher, study))?.unwrap_or_default();
        Ok(Outcome::Checked { by_hand: matches!(approval, Approval::ByHand), budget })
    }

    /// Takes a job in: the researcher's signature and pin, the plan made again, policy, approval.
    pub(super) fn prepare(&self, prepare: &Prepare, receiver: &[u8]) -> Result<Outcome, Problem> {
        let digest = Digest::of(&canonical_json(prepare));
        let known = self.recall("prepare", &prepare.job)?;
        if known.is_none() {
            let held = self.held(&prepare.epoch)?;
            let request = self.check_request(prepare, &held, receiver)?;
            let (plan, catalogue) =
                self.replan(&request.sql, asked_of(&request), &prepare.catalogue, &held)?;
            if plan.digest() != prepare.plan.0 {
                return Err(refuse(
                    "plan.digest",
                    "the engine's plan is not the one that follows from the query",
                ));
            }
            let judged = self.judge(&plan, &request.researcher, request.study.as_ref());
            let who = (request.researcher.as_str(), request.study.as_ref());
            let judged = judged.and_then(|approval| self.judge_budget(&plan, who).map(|_| approval));
            let about = circumstances(self, (&plan, &catalogue), request.study.as_ref());
            let approval = judged.inspect_err(|problem| {
                let about = about.clone();
                if let Err(error) = self.audit_refusal("job.accept", &prepare.job, &problem.code, about) {
                    tracing::error!(%error, "a refusal could not be audited");
                }
            })?;
            let request_digest = Digest::of(prepare.request.as_bytes());
            let by_hand = matches!(approval, Approval::ByHand) && !self.is_overridden(&request.researcher)?;
            let who = (request.researcher.as_str(), plan.canonical.as_str());
            self.take_in((&prepare.job, request_digest), who, by_hand, about)?;
            self.once("receiver-key", &prepare.job, request.receiver_key, receiver)?;
        }
        self.once("prepare", &prepare.job, digest, &canonical_json(prepare))?;
        match self.approval(&prepare.job)? {
            JobApproval::Approved => Ok(Outcome::Prepared { pending: false }),
            JobApproval::Pending => Ok(Outcome::Prepared { pending: true }),
            JobApproval::Denied => Err(refuse("policy.denied", "a person at the hospital denied this query")),
        }
    }

    fn check_request(
        &self,
        prepare: &Prepare,
        held: &HeldEpoch,
        receiver: &[u8],
    ) -> Result<Request, Problem> {
        let bad = |code: &str, what: &str| refuse(code, what);
        let request: Request = serde_json::from_str(&prepare.request)
            .map_err(|e| bad("request.unreadable", &format!("the request does not parse: {e}")))?;
        self.pin_researcher(&request.researcher, &prepare.certificate.0)?;
        self.check_signature(
            &prepare.certificate.0,
            REQUEST,
            &[prepare.request.as_bytes()],
            &prepare.signature.0,
        )
        .map_err(|p| bad("request.signature", &p.message))?;
        if request.version != 1 || request.consortium != self.consortium() {
            return Err(bad("request.consortium", "the request is for another consortium"));
        }
        if request.epoch != held.epoch.id {
            return Err(bad("request.epoch", "the request is under another key epoch"));
        }
        if Digest::of(receiver) != request.receiver_key {
            return Err(bad(
                "request.receiver_key",
                "the result key sent is not the one the researcher signed",
            ));
        }
        he::PublicKey::decode(&held.params, receiver)
            .map_err(|e| bad("request.receiver_key", &format!("the result key does not parse: {e}")))?;
        let now = self.now_ms();
        if now + SKEW_MS < request.signed_unix_ms || now > request.expires_unix_ms.saturating_add(SKEW_MS) {
            return Err(bad("request.stale", "the request is expired, or from the future")
                .hint("check both clocks with `ward party doctor`"));
        }
        Ok(request)
    }

    /// Classes of the data that a plan reads here: those of its columns, else of its table.
    pub(super) fn classes_of(&self, plan: &Plan) -> Vec<String> {
        let table = self.config().table(&plan.query.table);
        let own = table.and_then(|table| table.data_class.clone());
        let class = |name: &str| {
            let column = table.and_then(|table| table.column(name));
            column.and_then(|column| column.data_class.clone()).or_else(|| own.clone())
        };
        let mut classes: Vec<String> = plan.columns.iter().filter_map(|column| class(&column.name)).collect();
        classes.extend(own.clone().filter(|_| classes.is_empty()));
        classes.sort();
        classes.dedup();
        classes
    }

    /// A job that this node has taken in, and that nobody here has denied.
    pub(super) fn taken_in(&self, job: &str) -> Result<TakenIn, Problem> {
        let taken = self.known_job(job)?;
        if self.approval(job)? != JobApproval::Approved {
            return Err(refuse("policy.approval", "the job is not approved at this hospital"));
        }
        Ok(taken)
    }

    /// A job that this node has been told, whatever was decided about it.
    pub(super) fn known_job(&self, job: &str) -> Result<TakenIn, Problem> {
        let unknown =
            || Problem::new(ProblemKind::NotFound, "job.unknown", "this node has not taken that job in");
        let bytes = self.recall("prepare", job)?.ok_or_else(unknown)?;
        let prepare: Prepare = serde_json::from_slice(&bytes).map_err(|e| Problem::internal(&e))?;
        let held = self.held(&prepare.epoch)?;
        let request: Request = serde_json::from_str(&prepare.request).map_err(|e| Problem::internal(&e))?;
        let (plan, catalogue) = self.replan(&request.sql, asked_of(&request), &prepare.catalogue, &held)?;
        let receiver = self.recall("receiver-key", job)?.ok_or_else(unknown)?;
        Ok(TakenIn {
            digest: Digest::of(&bytes),
            prepare,
            held,
            plan,
            catalogue,
            receiver: receiver.to_vec(),
            request,
        })
    }

    /// Switches the sum to the researcher's key, after checking that it is the sum of the hospitals' signed
    /// contributions and nothing else.
    pub(super) fn key_switch(
        &self,
        job: &str,
        contributions: &[ContributionHeader],
        active: &[String],
        body: &[u8],
    ) -> Result<(Outcome, Vec<u8>), Problem> {
        let taken = self.taken_in(job)?;
        if taken.plan.multi_party.is_some() {
            return Err(refuse("plan.shares", "the sums of this job go on as shares; nobody may open them"));
        }
        let (sum, sum_digest) = self.sum_of(job, &taken, contributions, body)?;
        let receiver = Digest::of(&taken.receiver);
        let cell = separated(
            "ward/v1/share-cell",
            &[&taken.held.epoch.id.0, &sum_digest.0, &canonical_json(&active)],
        );
        let binding = separated("ward/v1/share", &[job.as_bytes(), &receiver.0]);
        let cell = cell.to_string();
        let shares = match self.recall_bound("share", &cell, binding)? {
            Some(shares) => shares,
            None => {
                let key = self.active_share(&taken.held, active)?;
                let params = &taken.held.params;
                let target =
                    he::PublicKey::decode(params, &taken.receiver).map_err(|e| Problem::internal(&e))?;
                let shares = he::key_switch_share(params, &key, &sum, &target, &mut self.fresh_rng()?);
                let shares = KeySwitchShare::encode_all(params, &shares);
                let about =
                    Context { recipient: taken.request.researcher.clone(), ..taken.circumstances(self) };
                self.audit_within("share.give", job, &format!("sum {sum_digest}"), about)?;
                self.once("share", &cell, binding, &shares)?;
                self.recall_bound("share", &cell, binding)?.unwrap_or_default()
            }
        };
        let digest = Digest::of(&shares);
        let signature = HexBytes(self.sign(KEY_SWITCH, &[job.as_bytes(), &sum_digest.0, &digest.0]));
        Ok((Outcome::KeySwitched { sum: sum_digest, shares: digest, signature }, shares.to_vec()))
    }

    /// The c1 half of a job's sum, after checking that it is of the hospitals' signed contributions and nothing else;
    /// with its digest. One sum for each job.
    pub(super) fn sum_of(
        &self,
        job: &str,
        taken: &TakenIn,
        contributions: &[ContributionHeader],
        body: &[u8],
    ) -> Result<(Vec<C1>, Digest), Problem> {
        self.check_contributions(job, taken, contributions)?;
        let sum = sum_c1(taken, contributions, body)?;
        let digest = Digest::of(&C1::encode_all(&taken.held.params, &sum));
        self.once("sum", job, digest, &digest.0)?;
        Ok((sum, digest))
    }

    pub(super) fn check_contributions(
        &self,
        job: &str,
        taken: &TakenIn,
        contributions: &[ContributionHeader],
    ) -> Result<(), Problem> {
        let names: Vec<&String> = contributions.iter().map(|c| &c.hospital).collect();
        if !names.windows(2).all(|pair| pair[0] < pair[1]) {
            return Err(refuse("sum.inputs", "the inputs of the sum are not sorted, or one is named twice"));
        }
        if let Some(foreign) = names.iter().find(|name| !taken.plan.hospitals.contains(name)) {
            return Err(refuse("sum.inputs", format!("{foreign} is not among the hospitals of the plan")));
        }
        let needed = match taken.plan.participation {
            Participation::All => taken.plan.hospitals.len(),
            Participation::AtLeast(least) => least as usize,
        };
        let holders = names.iter().filter(|name| taken.held.epoch.holders.contains(name)).count();
        let needed_of_holders = self.policy().hospitals_min as usize;
        if names.len() < needed || holders < needed_of_holders {
            let message = format!(
                "a sum of {} inputs, {holders} of holders of the key; at least {needed} and {needed_of_holders} needed",
                names.len()
            );
            return Err(refuse("sum.inputs_min", message));
        }
        for header in contributions {
            self.pin_hospital(&header.hospital, &header.certificate.0)?;
            let parts = taken.prepare.binding().parts(header);
            let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            self.check_signature(&header.certificate.0, CONTRIBUTION, &parts, &header.signature.0)
                .map_err(|problem| problem.at(&header.hospital))?;
        }
        let own = contributions.iter().find(|header| header.hospital == self.name());
        let kept = self.own_contribution(job)?;
        match (own, kept) {
            // Whose consent was taken back since is in no sum that this hospital opens.
            (Some(own), Some(kept)) if *own == kept => {
                self.contribution_is_consented(job, taken, kept.consent)
            }
            (None, None) => Ok(()),
            _ => Err(refuse(
                "sum.own_input",
                "this hospital's own contribution is not in the sum as it gave it",
            )),
        }
    }

    pub(super) fn active_share(
        &self,
        held: &HeldEpoch,
        active: &[String],
    ) -> Result<ActiveKeyShare, Problem> {
        let holders = &held.spec.holders;
        let point = |name: &String| {
            let index = holders.iter().position(|holder| holder == name);
            index
                .map(|i| i as u32 + 1)
                .ok_or_else(|| refuse("share.active", format!("{name} holds no key share")))
        };
        let points = active.iter().map(point).collect::<Result<Vec<_>, _>>()?;
        if points.windows(2).any(|pair| pair[0] >= pair[1]) || points.len() != held.spec.threshold as usize {
            return Err(refuse(
                "share.active",
                "the active holders are not as many as the threshold, sorted",
            ));
        }
        let me = point(&self.name().to_owned())?;
        if !points.contains(&me) {
            return Err(refuse("share.active", "this node is not among the active holders"));
        }
        let secret = self
            .recall("epoch-secret", &held.epoch.id.to_string())?
            .ok_or_else(|| Problem::internal(&"the epoch's key share is gone"))?;
        if held.spec.threshold as usize == holders.len() {
            let seed: [u8; 32] = secret
                .as_slice()
                .try_into()
                .map_err(|_| Problem::internal(&"a kept key share is not a seed"))?;
            let seed = ward_math::Secret::new(seed);
            return Ok(he::SecretKeyShare::from_seed(&held.params, &seed).active_all(&held.params));
        }
        let share =
            he::ThresholdKeyShare::decode(&held.params, &secret).map_err(|e| Problem::internal(&e))?;
        share.active(&held.params, me, &points).map_err(|e| refuse("share.active", e.to_string()))
    }

    pub(super) fn fresh_rng(&self) -> Result<chacha20::ChaCha20Rng, Problem> {
        let mut seed = zeroize::Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut_slice()).map_err(|e| Problem::internal(&e))?;
        Ok(chacha20::ChaCha20Rng::from_seed(*seed))
    }
}

/// The layout of a plan's slots.
///
/// # Errors
/// When the parameters have no room for a slot of the plan.
pub fn layout_of(params: &Parameters, plan: &Plan) -> Result<he::Layout, ward_protocols::Error> {
    if plan.is_masked() {
        // What goes on as shares has a coefficient for each slot.
        return he::Layout::runs(params, &[(params.log2_t(), plan.slots())]);
    }
    let runs: Vec<(u32, usize)> =
        plan.runs().into_iter().map(|(width, count)| (width, count as usize)).collect();
    he::Layout::runs(params, &runs)
}

/// Adds the c1 parts, each checked against the digest its hospital signed.
fn sum_c1(taken: &TakenIn, contributions: &[ContributionHeader], body: &[u8]) -> Result<Vec<C1>, Problem> {
    let params = &taken.held.params;
    let mut rest = body;
    let mut accumulator = he::C1Accumulator::new(params);
    for header in contributions {
        let bad = |what: &str| refuse("sum.input", what).at(&header.hospital);
        let bytes = usize::try_from(header.c1_bytes).map_err(|_| bad("an input is too long"))?;
        let (encoded, tail) = rest.split_at_checked(bytes).ok_or_else(|| bad("an input was not sent"))?;
        if Digest::of(encoded) != header.c1 {
            return Err(bad("an input is not the one its hospital signed"));
        }
        let list = C1::decode_all(params, encoded).map_err(|e| bad(&e.to_string()))?;
        if list.len() != taken.plan.ciphertexts as usize {
            return Err(bad("an input has another number of ciphertexts than the plan"));
        }
        accumulator.add(&list).map_err(|e| bad(&e.to_string()))?;
        rest = tail;
    }
    if !rest.is_empty() {
        return Err(refuse("sum.input", "more was sent than the inputs of the sum"));
    }
    Ok(accumulator.finish())
}
