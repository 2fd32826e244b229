//! A hospital's part in a computation on shares: it gives its input as shares, or computes on everybody's, or both.
//!
//! Every node checks for itself: the researcher's signature and the plan made again (when the job was taken in), that
//! the compute nodes are those of the plan, that the hospitals of the input are as many as plan and policy ask and the
//! same in every attempt, every key against its pin, and that an attempt is new. Randomness is fresh in every attempt;
//! nothing of one is used in another.

mod arrived;
mod attempts;
mod design;
mod program;
mod regression;
mod release;
mod rows;
mod seat;
mod sums;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use ward_protocols::mpc::role::Role;

use super::aggregate::TakenIn;
use super::ceremony::refuse;
use super::consent::View;
use super::mesh::{Mesh, MeshConfig, MeshError, MeshLimits, PeerSpec};
use super::node::Node;
use super::task::{Arrived, ContributionHeader, MeshMember, Outcome};
use crate::encoding::{Digest, canonical_json, separated};
use crate::identity::{Member, random};
use crate::job::multiparty::{ATTEMPTS_MAX, session_id};
use crate::problem::{Problem, ProblemKind};
use crate::query::plan::{Participation, Plan};
use crate::trace;
pub use attempts::Attempts;
use attempts::Underway;
pub use seat::output_place;
use seat::{Part, Seat};

/// Context of a compute node's signature over its output.
pub const OUTPUT: &str = "ward/v1/output";

/// The same attempt is not run twice.
fn begun() -> Problem {
    refuse("mpc.attempt", "this attempt has been begun before").hint("a new attempt follows")
}

/// Why a mesh ended; that it was told to is no fault of this node's, and another attempt may go well.
fn ended(error: MeshError) -> Problem {
    match error {
        MeshError::Cancelled => {
            Problem::new(ProblemKind::Unavailable, "mpc.stopped", "the attempt was stopped")
        }
        other => other.into(),
    }
}

/// An attempt as this node was told of it, checked.
struct Told {
    taken: TakenIn,
    /// The compute nodes, by role.
    nodes: [String; 3],
    /// This node's role, where it computes.
    role: Option<Role>,
    /// Hospitals that give input, sorted.
    inputs: Vec<String>,
    peers: Vec<PeerSpec>,
    /// Where the sums arrived under encryption: what this node has of them. `inputs` are then the holders that masked.
    sum: Option<arrived::Sum>,
    /// The data, through the patients' consent, where this hospital gives its rows' sums.
    view: Option<View>,
}

impl Node {
    /// What the plan asks of computations on shares, against this hospital's own rules.
    pub(super) fn judge_shares(&self, plan: &Plan) -> Result<(), Problem> {
        let Some(shares) = &plan.multi_party else { return Ok(()) };
        if plan.floor < self.floor() {
            let message =
                format!("the floor of all hospitals together is {}, here it is {}", plan.floor, self.floor());
            return Err(
                refuse("policy.floor", message).hint("submit again: this hospital has published its floor")
            );
        }
        let rule = &self.policy().compute_nodes;
        if let Some(stranger) = shares.nodes.iter().find(|name| !rule.is_empty() && !rule.contains(*name)) {
            let message = format!("this hospital does not entrust shares to {stranger}");
            return Err(refuse("policy.compute_nodes", message)
                .hint("ask the consortium to choose compute nodes that every hospital accepts"));
        }
        Ok(())
    }

    /// Takes part in an attempt; returns when this node's part is over.
    pub(super) async fn compute(
        self: &Arc<Self>,
        (job, attempt): (&str, u32),
        inputs: &[String],
        members: &[MeshMember],
        arrived: Option<(Arrived, Vec<u8>)>,
    ) -> Result<(Outcome, Vec<u8>), Problem> {
        let (node, inputs, members) = (self.clone(), inputs.to_vec(), members.to_vec());
        let key = (job.to_owned(), attempt);
        // Before the checks, which take a while: the engine may call the attempt off meanwhile.
        let (_underway, cancelled) = Underway::begin(self.attempts(), key.clone()).ok_or_else(begun)?;
        let told = {
            let origin = trace::current();
            let told = tokio::task::spawn_blocking(move || {
                trace::within_blocking(origin, || node.told((&key.0, key.1), inputs, &members, arrived))
            });
            told.await.map_err(|e| Problem::internal(&e))??
        };
        let config = MeshConfig {
            session: session_id(job, attempt),
            peers: told.peers.clone(),
            limits: MeshLimits::default(),
        };
        let mesh = Mesh::join(self.mesh(), config, cancelled).await.map_err(ended)?;
        let mesh = Arc::new(mesh);
        let seat = Seat { node: self.clone(), mesh: mesh.clone(), told, job: job.to_owned(), attempt };
        let runtime = tokio::runtime::Handle::current();
        let origin = trace::current();
        let done =
            tokio::task::spawn_blocking(move || trace::within_blocking(origin, || seat.run(&runtime))).await;
        let done = done.map_err(|e| Problem::internal(&e)).and_then(|done| done);
        // What ended the mesh says more than what it did to the program.
        let failure = mesh.failure();
        let Part { input, output, sealed } = match (done, failure) {
            (Ok(part), _) => part,
            (Err(problem), Some(failure))
                if problem.code == "mpc.channel" || problem.code == "mesh.cancelled" =>
            {
                return Err(ended(failure));
            }
            (Err(problem), _) => return Err(problem),
        };
        if let Some(mesh) = Arc::into_inner(mesh)
            && let Err(error) = mesh.close().await
        {
            tracing::info!(%error, "the mesh did not end as agreed");
        }
        Ok((Outcome::Computed { input, output }, sealed))
    }

    /// The inputs that this hospital gave to attempts of a job.
    pub(super) fn inputs_of(&self, job: &str) -> Result<Vec<ContributionHeader>, Problem> {
        let mut headers = Vec::new();
        for attempt in 1..=ATTEMPTS_MAX {
            if let Some(kept) = self.recall("mpc-input", &format!("{job}/{attempt}"))? {
                headers.push(serde_json::from_slice(&kept).map_err(|e| Problem::internal(&e))?);
            }
        }
        Ok(headers)
    }

    /// Leaves an attempt.
    pub(super) fn stop_attempt(&self, job: &str, attempt: u32) -> Outcome {
        self.attempts().stop((job.to_owned(), attempt));
        Outcome::Stopped
    }

    fn told(
        &self,
        (job, attempt): (&str, u32),
        inputs: Vec<String>,
        members: &[MeshMember],
        arrived: Option<(Arrived, Vec<u8>)>,
    ) -> Result<Told, Problem> {
        let taken = self.taken_in(job)?;
        let shares = taken.plan.multi_party.as_ref();
        let shares = shares.ok_or_else(|| refuse("plan.shares", "the job is not computed on shares"))?;
        let nodes: [String; 3] = shares
            .nodes
            .clone()
            .try_into()
            .map_err(|_| refuse("plan.shares", "the plan does not name three compute nodes"))?;
        let role = nodes.iter().position(|name| name == self.name()).and_then(Role::from_index);
        let sum = match (arrived, taken.plan.is_masked()) {
            (None, false) => {
                self.check_inputs(job, &taken, &inputs)?;
                None
            }
            (Some((arrived, body)), true) => {
                let opens = role.is_some().then_some(body.as_slice());
                Some(self.arrived((job, &taken), (&arrived, &inputs), opens)?)
            }
            _ => return Err(refuse("plan.shares", "the sums do not arrive as the plan says")),
        };
        if role.is_none() && !inputs.iter().any(|name| name == self.name()) {
            return Err(refuse("mpc.members", "this node has no part in the attempt"));
        }
        let mut peers = Vec::new();
        for name in nodes.iter().chain(&inputs).filter(|name| *name != self.name()) {
            // A hospital that only gives input talks to the compute nodes alone.
            let is_partner = role.is_some() || nodes.contains(name);
            if is_partner && peers.iter().all(|peer: &PeerSpec| peer.name != *name) {
                peers.push(self.peer(name, members)?);
            }
        }
        // The same attempt twice is refused: its binding is drawn anew each time.
        let once = random::<32>().map_err(|e| Problem::internal(&e))?;
        self.once("mpc-attempt", &format!("{job}/{attempt}"), Digest(once), &attempt.to_be_bytes())
            .map_err(|_| begun())?;
        let gives = sum.is_none() && inputs.iter().any(|name| name == self.name());
        let view = gives.then(|| self.view(&taken)).transpose()?;
        Ok(Told { taken, nodes, role, inputs, peers, sum, view })
    }

    /// As many hospitals as plan and policy ask, of the plan, sorted, and the same in every attempt: two results over
    /// different hospitals would show the difference between them.
    fn check_inputs(&self, job: &str, taken: &TakenIn, inputs: &[String]) -> Result<(), Problem> {
        if !inputs.is_sorted_by(|a, b| a < b) {
            return Err(refuse(
                "sum.inputs",
                "the hospitals of the input are not sorted, or one is named twice",
            ));
        }
        if let Some(foreign) = inputs.iter().find(|name| !taken.plan.hospitals.contains(name)) {
            return Err(refuse("sum.inputs", format!("{foreign} is not among the hospitals of the plan")));
        }
        let needed = match taken.plan.participation {
            Participation::All => taken.plan.hospitals.len(),
            Participation::AtLeast(least) => least as usize,
        };
        let holders = inputs.iter().filter(|name| taken.plan.protocol.key_holders.contains(name)).count();
        let needed_of_holders = self.policy().hospitals_min as usize;
        if inputs.len() < needed || holders < needed_of_holders {
            let message = format!(
                "the input is of {} hospitals, {holders} with a share of the key; at least {needed} and \
                 {needed_of_holders} needed",
                inputs.len()
            );
            return Err(refuse("sum.inputs_min", message));
        }
        let names = canonical_json(inputs);
        self.once("mpc-inputs", job, separated("mpc-inputs/1", &[&names]), &names).map_err(|_| {
            refuse("sum.inputs", "an earlier attempt of this job was over other hospitals")
                .hint("submit the query again")
        })
    }

    fn peer(&self, name: &str, members: &[MeshMember]) -> Result<PeerSpec, Problem> {
        let absent = || refuse("mpc.members", format!("{name} is not among the members of the attempt"));
        let member = members.iter().find(|member| member.name == name).ok_or_else(absent)?;
        self.pin_hospital(name, &member.certificate.0)?;
        let key = Member::from_certificate(&member.certificate.0)
            .map_err(|e| Problem::new(ProblemKind::Authorization, "identity.certificate", e.to_string()))?
            .key;
        // An address that the peer did not sign is not dialled.
        let address = member.announcement.as_ref().and_then(|said| said.verified(name, &key).ok());
        let address = address.map(str::to_owned);
        Ok(PeerSpec { name: name.to_owned(), key, address })
    }
}
