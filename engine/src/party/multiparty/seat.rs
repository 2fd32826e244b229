//! A node's seat in an attempt: everything that happens after the mesh is joined, in one order, on one thread.

use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::Handle;
use ward_protocols::mpc::gates::input::{self, Commitment, Dealt, Held, Shape, Words};
use ward_protocols::mpc::role::Role;
use ward_protocols::mpc::{Malicious, MpcError, Party};

use super::design::Design;
use super::{OUTPUT, Told, program, rows, sums};
use crate::audit::Context;
use crate::encoding::{Digest, HexBytes, canonical_json, separated};
use crate::identity::envelope::seal_to;
use crate::job::multiparty::inputs_digest;
use crate::party::aggregate::CONTRIBUTION;
use crate::party::ceremony::refuse;
use crate::party::consent::View;
use crate::party::local::data::LocalData;
use crate::party::local::step::{self, Contribution, SlotValue};
use crate::party::mesh::Mesh;
use crate::party::node::Node;
use crate::party::task::{ContributionHeader, OutputCost, OutputHeader};
use crate::problem::{Problem, ProblemKind};
use crate::query::plan::Plan;
use crate::query::secure::{Program, programs};

/// Largest header of an input.
const HEADER_BYTES_MAX: usize = 64 << 10;

/// Context of a key holder's signature over the masks that it gives as shares.
const MASKS: &str = "ward/v1/mpc-masks";

/// One node in one attempt.
pub(super) struct Seat {
    pub(super) node: Arc<Node>,
    pub(super) mesh: Arc<Mesh>,
    pub(super) told: Told,
    pub(super) job: String,
    pub(super) attempt: u32,
}

/// What a node's part gave.
pub(super) struct Part {
    /// Its signed input.
    pub(super) input: Option<ContributionHeader>,
    /// Its signed output.
    pub(super) output: Option<OutputHeader>,
    /// Its sealed shares.
    pub(super) sealed: Vec<u8>,
}

/// The tag of a message between members.
pub(super) fn tag(what: &str, number: u64) -> [u8; 16] {
    let digest = separated("mpc-tag/1", &[what.as_bytes(), &number.to_be_bytes()]);
    let mut tag = [0; 16];
    tag.copy_from_slice(&digest.0[..16]);
    tag
}

/// Why a program ended, as a person is told.
pub(super) fn problem(error: &MpcError) -> Problem {
    match error {
        MpcError::Channel { .. } => Problem::new(ProblemKind::Unavailable, "mpc.channel", error.to_string()),
        MpcError::Check { .. } | MpcError::Decode { .. } => {
            Problem::new(ProblemKind::Compliance, "mpc.check", error.to_string()).hint(
                "a compute node did not follow the protocol; nothing was released. The consortium should look into it \
                 before anybody tries again",
            )
        }
        _ => Problem::new(ProblemKind::Internal, "mpc.program", error.to_string()),
    }
}

impl Seat {
    /// Gives input, computes, or both.
    pub(super) fn run(&self, runtime: &Handle) -> Result<Part, Problem> {
        let own = self.told.inputs.iter().any(|name| name == self.node.name());
        let dealt = if own { Some(self.deal()?) } else { None };
        if let Some((header, dealt)) = &dealt {
            self.hand_over(runtime, header, dealt)?;
        }
        let Some(role) = self.told.role else {
            let input = self.input_of(dealt);
            sums::follow(self, runtime)?;
            return Ok(Part { input, output: None, sealed: Vec::new() });
        };
        let started = Instant::now();
        let (headers, held) = self.gather(runtime, role, dealt.as_ref())?;
        let given = inputs_digest(&headers);
        let (inputs, held) = match &self.told.sum {
            Some(sum) => (sum.digest, sum.unmask(role, held)?),
            None => (given, held),
        };
        self.agree(runtime, ("inputs", 0), separated("mpc-given/1", &[&inputs.0, &given.0]))?;
        let roles = [0, 1, 2].map(|i| self.told.nodes[i].as_str());
        let channel = self.mesh.channel(roles)?;
        let context = self.place("program", "");
        let mut rng = self.node.fresh_rng()?;
        let mut party = Party::<Malicious>::meet(role, Box::new(channel), &context, &mut rng)
            .map_err(|error| problem(&error))?;
        let mut hospitals = sums::Iterations::new(self, runtime, role);
        let shares = program::run(
            &mut party.session(),
            &self.told.taken.plan,
            (held, self.rows_of()),
            &mut hospitals,
        )?;
        sums::dismiss(self, runtime, hospitals.number)?;
        let total = party.counters().total();
        let cost = OutputCost {
            rounds: total.rounds,
            bytes_sent: total.bytes_sent,
            elapsed_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        let (output, sealed) = self.seal(&shares, inputs, cost)?;
        let about = Context {
            recipient: self.told.taken.request.researcher.clone(),
            ..self.told.taken.circumstances(&self.node)
        };
        let what = format!("attempt {}, {} bytes", self.attempt, sealed.len());
        self.node.audit_within("shares.give", &self.job, &what, about)?;
        Ok(Part { input: self.input_of(dealt), output: Some(output), sealed })
    }

    /// What the receipt names of this hospital's input: masks are no hospital's.
    fn input_of(&self, dealt: Option<(ContributionHeader, Dealt)>) -> Option<ContributionHeader> {
        dealt.filter(|_| self.told.sum.is_none()).map(|(header, _)| header)
    }

    /// Hospitals whose rows are among the inputs.
    fn rows_of(&self) -> &[String] {
        if self.told.sum.is_some() { &[] } else { &self.told.inputs }
    }

    /// Context of the signature over an input.
    fn context(&self) -> &'static str {
        if self.told.sum.is_some() { MASKS } else { CONTRIBUTION }
    }

    /// Names job, attempt, hospital and step: what commitments and seals are bound to.
    pub(super) fn place(&self, step: &str, hospital: &str) -> Vec<u8> {
        canonical_json(&(&self.job, self.told.taken.prepare.plan, self.attempt, hospital, step))
    }

    /// Splits this node's input into components: its masks, or what its rows come to.
    fn deal(&self) -> Result<(ContributionHeader, Dealt), Problem> {
        match &self.told.sum {
            Some(sum) => self.sign_input(&sum.masks()?, (String::new(), None)),
            None => self.deal_rows(),
        }
    }

    /// Computes over the hospital's rows.
    fn deal_rows(&self) -> Result<(ContributionHeader, Dealt), Problem> {
        let (node, plan) = (&self.node, &self.told.taken.plan);
        let view = self.view()?;
        let local = if plan.privacy.is_some() {
            // Paid for, drawn once and stored: another attempt, or the other route, gives the same noise.
            node.released(&self.told.taken, view, node.floor())?
        } else {
            let local = step::run(plan, &view.data, node.name(), 1).map_err(Problem::from)?;
            node.check_version(&self.told.taken, &local.dataset_version)?;
            node.admit(&self.told.taken, view, &local, node.floor())?;
            local
        };
        let words = words_from(plan, &view.data, (node.name(), &local))?;
        let about = self.told.taken.circumstances(node);
        node.audit_within("data.read", &self.job, &node.consent_note(view), about)?;
        let (header, dealt) = self.sign_input(&words, (local.dataset_version, view.root()))?;
        // Kept for the receipt, which names it.
        let kept = canonical_json(&header);
        node.once("mpc-input", &format!("{}/{}", self.job, self.attempt), Digest::of(&kept), &kept)?;
        Ok((header, dealt))
    }

    fn sign_input(
        &self,
        words: &Words,
        (dataset_version, consent): (String, Option<Digest>),
    ) -> Result<(ContributionHeader, Dealt), Problem> {
        let node = &self.node;
        let dealt = input::deal(&self.place("input", node.name()), words, &mut node.fresh_rng()?);
        let commitments: Vec<&[u8]> = dealt.commitments.iter().map(<[u8; 32]>::as_slice).collect();
        let bytes = words.shape().bytes().unwrap_or_default() as u64;
        let mut header = ContributionHeader {
            proof: None,
            hospital: node.name().to_owned(),
            certificate: HexBytes(node.certificate().to_vec()),
            c0: separated("mpc-input/1", &commitments),
            c1: Digest::of(&self.attempt.to_be_bytes()),
            c0_bytes: bytes,
            c1_bytes: 0,
            dataset_version,
            policy: node.policy_digest(),
            consent,
            signature: HexBytes::default(),
        };
        let parts = self.told.taken.prepare.binding().parts(&header);
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        header.signature = HexBytes(node.sign(self.context(), &parts));
        Ok((header, dealt))
    }

    /// The data of this hospital in this attempt.
    pub(super) fn view(&self) -> Result<&View, Problem> {
        self.told.view.as_ref().ok_or_else(|| Problem::internal(&"this hospital gives no input"))
    }

    /// Ends the attempt when a patient took consent back since it began: the next one leaves that patient out.
    pub(super) fn still_consented(&self) -> Result<(), Problem> {
        self.node.still_consented(&self.told.taken, self.view()?)
    }

    /// Sends every compute node its package.
    fn hand_over(&self, runtime: &Handle, header: &ContributionHeader, dealt: &Dealt) -> Result<(), Problem> {
        if self.told.sum.is_none() {
            self.still_consented()?;
        }
        let header = canonical_json(header);
        for (name, package) in self.told.nodes.iter().zip(&dealt.packages) {
            if name == self.node.name() {
                continue;
            }
            let mut message = (header.len() as u32).to_be_bytes().to_vec();
            message.extend_from_slice(&header);
            dealt.commitments.iter().for_each(|digest| message.extend_from_slice(digest));
            message.extend_from_slice(package);
            runtime.block_on(self.mesh.send(name, tag("input", 0), message))?;
        }
        Ok(())
    }

    /// Takes every hospital's package: signature, commitments, length.
    fn gather(
        &self,
        runtime: &Handle,
        role: Role,
        own: Option<&(ContributionHeader, Dealt)>,
    ) -> Result<(Vec<ContributionHeader>, Held), Problem> {
        let mut headers = Vec::new();
        let mut all: Option<Held> = None;
        for hospital in &self.told.inputs {
            let shape = self.shape(hospital)?;
            let (header, held) = match own.filter(|_| hospital == self.node.name()) {
                Some((header, dealt)) => {
                    let package = &dealt.packages[role.index()];
                    let place = self.place("input", hospital);
                    let held = input::take((&place, role), shape, package, &dealt.commitments);
                    (header.clone(), held.map_err(|e| refuse("mpc.input", e.to_string()))?)
                }
                None => self.receive(runtime, hospital, (role, shape))?,
            };
            headers.push(header);
            match &mut all {
                Some(all) => all.join(held),
                None => all = Some(held),
            }
        }
        Ok((headers, all.ok_or_else(|| Problem::internal(&"an attempt without input"))?))
    }

    fn shape(&self, hospital: &str) -> Result<Shape, Problem> {
        shape_of(&self.told.taken.plan, hospital)
    }

    fn receive(
        &self,
        runtime: &Handle,
        hospital: &str,
        (role, shape): (Role, Shape),
    ) -> Result<(ContributionHeader, Held), Problem> {
        let bad = |what: &str| refuse("mpc.input", what).at(hospital);
        let package = shape.package_bytes(role).ok_or_else(|| bad("an input without end"))?;
        let bytes_max = package + HEADER_BYTES_MAX;
        let message = runtime.block_on(self.mesh.receive(hospital, tag("input", 0), bytes_max))?;
        let (length, rest) =
            message.split_first_chunk::<4>().ok_or_else(|| bad("an input without header"))?;
        let length = u32::from_be_bytes(*length) as usize;
        let (header, rest) = rest.split_at_checked(length).ok_or_else(|| bad("an input without header"))?;
        let (commitments, package) =
            rest.split_first_chunk::<96>().ok_or_else(|| bad("an input without commitments"))?;
        let header: ContributionHeader =
            serde_json::from_slice(header).map_err(|_| bad("the header of an input does not parse"))?;
        if header.hospital != *hospital {
            return Err(bad("an input in another hospital's name"));
        }
        self.node.pin_hospital(hospital, &header.certificate.0)?;
        let parts = self.told.taken.prepare.binding().parts(&header);
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        self.node
            .check_signature(&header.certificate.0, self.context(), &parts, &header.signature.0)
            .map_err(|problem| problem.at(hospital))?;
        let commitments = three(commitments);
        let named: Vec<&[u8]> = commitments.iter().map(<[u8; 32]>::as_slice).collect();
        if separated("mpc-input/1", &named) != header.c0 {
            return Err(bad("the commitments are not those that the hospital signed"));
        }
        let place = self.place("input", hospital);
        let held = input::take((&place, role), shape, package, &commitments)
            .map_err(|e| refuse("mpc.input", e.to_string()).at(hospital))?;
        Ok((header, held))
    }

    /// The compute nodes show each other a digest of what they were given; any difference ends the attempt.
    pub(super) fn agree(
        &self,
        runtime: &Handle,
        (what, number): (&str, u64),
        digest: Digest,
    ) -> Result<(), Problem> {
        let others: Vec<&String> = self.told.nodes.iter().filter(|name| *name != self.node.name()).collect();
        for name in &others {
            runtime.block_on(self.mesh.send(name, tag(what, number), digest.0.to_vec()))?;
        }
        for name in &others {
            let seen = runtime.block_on(self.mesh.receive(name, tag(what, number), 32))?;
            if seen != digest.0 {
                let message = "the compute nodes were given different inputs";
                return Err(Problem::new(ProblemKind::Compliance, "mpc.check", message).at(name.as_str()));
            }
        }
        Ok(())
    }

    /// Seals this node's shares to the researcher and signs what they are of.
    fn seal(
        &self,
        shares: &program::Opened,
        inputs: Digest,
        cost: OutputCost,
    ) -> Result<(OutputHeader, Vec<u8>), Problem> {
        let node = &self.node;
        let place = output_place(&self.job, self.attempt, node.name());
        let words = shares.own.iter().chain(&shares.next);
        let plain = zeroize::Zeroizing::new(words.flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>());
        let key = &self.told.taken.request.seal_key.0;
        let sealed = seal_to(key, &place, &plain, &mut node.fresh_rng()?)
            .map_err(|e| refuse("request.seal_key", e.to_string()))?;
        let mut header = OutputHeader {
            node: node.name().to_owned(),
            certificate: HexBytes(node.certificate().to_vec()),
            attempt: self.attempt,
            inputs,
            sealed: Digest::of(&sealed),
            bytes: sealed.len() as u64,
            cost,
            signature: HexBytes::default(),
        };
        let parts = header.parts(&self.job, self.told.taken.prepare.plan);
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        header.signature = HexBytes(node.sign(OUTPUT, &parts));
        Ok((header, sealed))
    }
}

/// What a hospital puts in: the sums of the plan's slots, then those of its linear models; rows as bits. With the local step's result.
#[cfg(test)]
pub(super) fn words_of(
    plan: &Plan,
    data: &LocalData,
    hospital: &str,
) -> Result<(Words, Contribution), Problem> {
    let local = step::run(plan, data, hospital, 1).map_err(Problem::from)?;
    Ok((words_from(plan, data, (hospital, &local))?, local))
}

/// The words of a local step that was run before.
fn words_from(
    plan: &Plan,
    data: &LocalData,
    (hospital, local): (&str, &Contribution),
) -> Result<Words, Problem> {
    let mut words = Words::default();
    for slot in &local.slots {
        match slot {
            // Sums are signed 64-bit integers: the planner saw to it, and the local step checked.
            SlotValue::Int(value) => words.ring.push(*value as i64 as u64),
            SlotValue::UniformModT => {
                return Err(Problem::internal(&"a masked slot in a plan on shares"));
            }
        }
    }
    for item in linear_items(plan)? {
        let design = Design::of(plan, item)?;
        words.ring.extend(design.linear(&design.observe(plan, data, hospital)?)?);
    }
    words.bits = rows::words(plan, data, hospital)?;
    Ok(words)
}

/// How many words a hospital puts in.
pub(super) fn shape_of(plan: &Plan, hospital: &str) -> Result<Shape, Problem> {
    let linear = linear_items(plan)?.into_iter().map(|item| Ok(Design::of(plan, item)?.linear_words()));
    let linear: usize = linear.sum::<Result<usize, Problem>>()?;
    let shape = Shape { ring: plan.slots() + linear, bits: rows::count(plan, hospital)? };
    shape.checked().map_err(|e| refuse("mpc.input", e.to_string()).at(hospital))
}

/// Linear models of a plan, in order: their sums follow the slots.
pub(super) fn linear_items(plan: &Plan) -> Result<Vec<usize>, Problem> {
    let programs = programs(plan).map_err(Problem::from)?;
    let item = |program| match program {
        Program::LinReg { item } => Some(item),
        _ => None,
    };
    Ok(programs.into_iter().filter_map(item).collect())
}

/// Where a node's output is sealed: the researcher opens it under the same name.
#[must_use]
pub fn output_place(job: &str, attempt: u32, node: &str) -> Vec<u8> {
    canonical_json(&("ward/v1/output", job, attempt, node))
}

/// Three commitments, one after the other.
pub(super) fn three(bytes: &[u8; 96]) -> [Commitment; 3] {
    std::array::from_fn(|i| {
        let mut digest = [0; 32];
        digest.copy_from_slice(&bytes[32 * i..32 * (i + 1)]);
        digest
    })
}
