//! Regressions by iteration: the compute nodes tell every hospital the coefficients so far, and each answers with the
//! sums of its rows at them, as shares.
//!
//! The hospitals see the coefficients of every iteration, as in every federated regression; the sums stay shared. A
//! hospital answers only what all three nodes ask alike, once for each iteration, and for a bounded number of them.

use tokio::runtime::Handle;
use ward_protocols::mpc::gates::input::{self, Commitment, Dealt, Held, Shape, Words};
use ward_protocols::mpc::programs::regression::local::logit_sums;
use ward_protocols::mpc::role::Role;

use super::design::{Design, Observed, local, statistic};
use super::program::Iterate;
use super::seat::{Seat, tag, three};
use crate::encoding::{Digest, separated};
use crate::identity::Signature;
use crate::party::ceremony::refuse;
use crate::party::local::data::LocalData;
use crate::problem::{Problem, ProblemKind};
use crate::query::ast::Statistic;
use crate::query::plan::Plan;
use crate::query::secure::{Program, programs};

/// Context of a hospital's signature over the sums of an iteration.
const ITERATE: &str = "ward/v1/mpc-iterate";
/// Most iterations of all regressions of a query.
const ITERATIONS_MAX: u64 = 200;
/// Longest request of an iteration.
const REQUEST_BYTES_MAX: usize = 8 + 8 * 512;
/// The request that ends the iterations.
const DONE: u32 = u32::MAX;

/// Whether the hospitals are asked while the programs run.
fn is_iterated(plan: &Plan) -> Result<bool, Problem> {
    let programs = programs(plan).map_err(Problem::from)?;
    Ok(programs.iter().any(|program| matches!(program, Program::Logit { .. } | Program::Cox { .. })))
}

/// Hospitals of the input that do not compute.
fn others(seat: &Seat) -> Vec<&String> {
    seat.told.inputs.iter().filter(|name| !seat.told.nodes.contains(name)).collect()
}

/// What a node asks: which statistic, at which coefficients.
fn request(item: u32, coefficients: &[f64]) -> Vec<u8> {
    let mut bytes = item.to_be_bytes().to_vec();
    bytes.extend_from_slice(&(coefficients.len() as u32).to_be_bytes());
    coefficients.iter().for_each(|b| bytes.extend_from_slice(&b.to_bits().to_be_bytes()));
    bytes
}

/// Reads [`request`].
fn asked(bytes: &[u8]) -> Option<(u32, Vec<f64>)> {
    let (item, rest) = bytes.split_first_chunk::<4>()?;
    let (count, rest) = rest.split_first_chunk::<4>()?;
    let (words, tail) = rest.as_chunks::<8>();
    if !tail.is_empty() || words.len() != u32::from_be_bytes(*count) as usize {
        return None;
    }
    let number = |word: &[u8; 8]| Some(f64::from_bits(u64::from_be_bytes(*word))).filter(|b| b.is_finite());
    Some((u32::from_be_bytes(*item), words.iter().map(number).collect::<Option<_>>()?))
}

/// A hospital's rows for the regressions of a plan, read once.
pub(super) struct Local {
    pub(super) item: usize,
    design: Design,
    observed: Observed,
}

impl Local {
    fn new(seat: &Seat, item: usize) -> Result<Self, Problem> {
        Self::of(&seat.told.taken.plan, &seat.view()?.data, (seat.node.name(), item))
    }

    /// Of a plan's statistic, over a hospital's data.
    pub(super) fn of(
        plan: &Plan,
        data: &LocalData,
        (hospital, item): (&str, usize),
    ) -> Result<Self, Problem> {
        let design = Design::of(plan, item)?;
        let observed = design.observe(plan, data, hospital)?;
        Ok(Self { item, design, observed })
    }

    /// The sums at these coefficients.
    pub(super) fn sums(&self, plan: &Plan, coefficients: &[f64]) -> Result<Vec<u64>, Problem> {
        match statistic(plan, self.item)? {
            Statistic::Logit { .. } => {
                let outcome: Vec<bool> =
                    self.observed.responses.first().into_iter().flatten().map(|y| *y == 1).collect();
                logit_sums(self.observed.rows(), &outcome, coefficients).map_err(|e| local(&e))
            }
            Statistic::Cox { .. } => {
                let grid = self.design.grid(plan, self.item)?;
                self.design.cox_sums(grid, &self.observed, coefficients)
            }
            _ => Err(Problem::internal(&"a statistic without iterations")),
        }
    }
}

/// Deals the sums of an iteration, signed.
fn deal(seat: &Seat, number: u64, words: Words) -> Result<(Dealt, Vec<u8>), Problem> {
    let place = seat.place(&format!("iterate {number}"), seat.node.name());
    let dealt = input::deal(&place, &words, &mut seat.node.fresh_rng()?);
    let commitments: Vec<&[u8]> = dealt.commitments.iter().map(<[u8; 32]>::as_slice).collect();
    let digest = separated("mpc-iterate/1", &commitments);
    let signature = seat.node.sign(ITERATE, &[&place, &digest.0]);
    Ok((dealt, signature))
}

fn hand_over(
    seat: &Seat,
    runtime: &Handle,
    number: u64,
    (dealt, signature): &(Dealt, Vec<u8>),
) -> Result<(), Problem> {
    seat.still_consented()?;
    for (name, package) in seat.told.nodes.iter().zip(&dealt.packages) {
        if name == seat.node.name() {
            continue;
        }
        let mut message = signature.clone();
        dealt.commitments.iter().for_each(|digest| message.extend_from_slice(digest));
        message.extend_from_slice(package);
        runtime.block_on(seat.mesh.send(name, tag("sums", number), message))?;
    }
    Ok(())
}

/// A hospital that does not compute: answers the nodes until they are done.
pub(super) fn follow(seat: &Seat, runtime: &Handle) -> Result<(), Problem> {
    let plan = &seat.told.taken.plan;
    if !is_iterated(plan)? {
        return Ok(());
    }
    let mut rows: Option<Local> = None;
    for number in 1..=ITERATIONS_MAX {
        let mut wanted: Option<Vec<u8>> = None;
        for node in &seat.told.nodes {
            let got = runtime.block_on(seat.mesh.receive(node, tag("iterate", number), REQUEST_BYTES_MAX))?;
            if wanted.as_ref().is_some_and(|known| *known != got) {
                let message = "the compute nodes ask for different things";
                return Err(Problem::new(ProblemKind::Compliance, "mpc.check", message).at(node));
            }
            wanted = Some(got);
        }
        let parsed = wanted.as_deref().and_then(asked);
        let (item, coefficients) = parsed.ok_or_else(|| refuse("mpc.iterate", "a request does not parse"))?;
        if item == DONE {
            return Ok(());
        }
        let item = item as usize;
        if rows.as_ref().is_none_or(|rows| rows.item != item) {
            rows = Some(Local::new(seat, item)?);
        }
        let ring = match &rows {
            Some(rows) => rows.sums(plan, &coefficients)?,
            None => Vec::new(),
        };
        let dealt = deal(seat, number, Words { ring, bits: Vec::new() })?;
        hand_over(seat, runtime, number, &dealt)?;
    }
    Err(refuse("mpc.iterate", format!("the nodes ask for more than {ITERATIONS_MAX} iterations")))
}

/// The compute nodes tell the hospitals that it is over.
pub(super) fn dismiss(seat: &Seat, runtime: &Handle, after: u64) -> Result<(), Problem> {
    if is_iterated(&seat.told.taken.plan)? {
        for name in others(seat) {
            runtime.block_on(seat.mesh.send(name, tag("iterate", after + 1), request(DONE, &[])))?;
        }
    }
    Ok(())
}

/// A compute node's end of the iterations.
pub(super) struct Iterations<'a> {
    seat: &'a Seat,
    runtime: &'a Handle,
    role: Role,
    /// Iterations so far.
    pub(super) number: u64,
    own: Option<Local>,
}

impl<'a> Iterations<'a> {
    pub(super) fn new(seat: &'a Seat, runtime: &'a Handle, role: Role) -> Self {
        Self { seat, runtime, role, number: 0, own: None }
    }

    /// Asks every hospital for its sums at these coefficients, `words` of them each; returns what this node holds of
    /// their total.
    fn ask(&mut self, item: usize, coefficients: &[f64], words: usize) -> Result<Held, Problem> {
        self.number += 1;
        let (seat, number) = (self.seat, self.number);
        if number >= ITERATIONS_MAX {
            return Err(refuse("mpc.iterate", format!("more than {ITERATIONS_MAX} iterations")));
        }
        let wanted = request(u32::try_from(item).map_err(|e| Problem::internal(&e))?, coefficients);
        for name in others(seat) {
            self.runtime.block_on(seat.mesh.send(name, tag("iterate", number), wanted.clone()))?;
        }
        let shape = Shape { ring: words, bits: 0 };
        let own = self.deal_own(item, coefficients, shape)?;
        let mut total: Option<Held> = None;
        let mut signed = Vec::new();
        for hospital in &seat.told.inputs {
            let place = seat.place(&format!("iterate {number}"), hospital);
            let (held, commitments) = match own.as_ref().filter(|_| hospital == seat.node.name()) {
                Some((dealt, _)) => {
                    let package = &dealt.packages[self.role.index()];
                    let held = input::take((&place, self.role), shape, package, &dealt.commitments);
                    (held.map_err(|e| refuse("mpc.input", e.to_string()))?, dealt.commitments)
                }
                None => self.receive(hospital, &place, shape)?,
            };
            signed.extend(commitments.as_flattened().iter().copied());
            match &mut total {
                Some(total) => total.join(held),
                None => total = Some(held),
            }
        }
        seat.agree(self.runtime, ("agree sums", number), Digest::of(&signed))?;
        total.ok_or_else(|| Problem::internal(&"an iteration without hospitals"))
    }

    /// This node's own rows, where its hospital gives input.
    fn deal_own(
        &mut self,
        item: usize,
        coefficients: &[f64],
        shape: Shape,
    ) -> Result<Option<(Dealt, Vec<u8>)>, Problem> {
        let seat = self.seat;
        if !seat.told.inputs.iter().any(|name| name == seat.node.name()) {
            return Ok(None);
        }
        if self.own.as_ref().is_none_or(|own| own.item != item) {
            self.own = Some(Local::new(seat, item)?);
        }
        let ring = match &self.own {
            Some(own) => own.sums(&seat.told.taken.plan, coefficients)?,
            None => Vec::new(),
        };
        let words = Words { ring, bits: Vec::new() };
        if words.shape() != shape {
            return Err(Problem::internal(&"sums of another length than the program takes"));
        }
        let dealt = deal(seat, self.number, words)?;
        hand_over(seat, self.runtime, self.number, &dealt)?;
        Ok(Some(dealt))
    }

    fn receive(
        &self,
        hospital: &str,
        place: &[u8],
        shape: Shape,
    ) -> Result<(Held, [Commitment; 3]), Problem> {
        let bad = |what: &str| refuse("mpc.input", what).at(hospital);
        let length = shape.package_bytes(self.role).ok_or_else(|| bad("sums without end"))? + 64 + 96;
        let tag = tag("sums", self.number);
        let message = self.runtime.block_on(self.seat.mesh.receive(hospital, tag, length))?;
        let split = message.split_first_chunk::<64>();
        let (signature, rest) = split.ok_or_else(|| bad("sums without signature"))?;
        let (commitments, package) =
            rest.split_first_chunk::<96>().ok_or_else(|| bad("sums without commitments"))?;
        let commitments = three(commitments);
        let named: Vec<&[u8]> = commitments.iter().map(<[u8; 32]>::as_slice).collect();
        let digest = separated("mpc-iterate/1", &named);
        let peers = self.seat.told.peers.iter().find(|peer| peer.name == *hospital);
        let key = &peers.ok_or_else(|| bad("sums of a stranger"))?.key;
        Signature::from_slice(signature)
            .is_some_and(|signature| key.verify(ITERATE, &[place, &digest.0], &signature).is_ok())
            .then_some(())
            .ok_or_else(|| bad("the sums are not signed by their hospital"))?;
        let held = input::take((place, self.role), shape, package, &commitments)
            .map_err(|e| refuse("mpc.input", e.to_string()).at(hospital))?;
        Ok((held, commitments))
    }
}

impl Iterate for Iterations<'_> {
    fn sums(&mut self, item: usize, coefficients: &[f64], words: usize) -> Result<Held, Problem> {
        self.ask(item, coefficients, words)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn requests_read_as_they_were_written(
            item in any::<u32>(), coefficients in prop::collection::vec(-1e300f64..1e300, 0..20)
        ) {
            prop_assert_eq!(asked(&request(item, &coefficients)), Some((item, coefficients)));
        }

        #[test]
        fn bytes_that_are_no_request_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Some((item, coefficients)) = asked(&bytes) {
                prop_assert_eq!(request(item, &coefficients), bytes);
            }
        }
    }
}
