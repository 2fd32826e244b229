//! Criteria as the circuit reads them: two bounds and a header for each clause.
//!
//! A clause of an interval has its ends as bounds; one of a set has the root of the set's tree, or of its
//! complement's, and zero. The header has 14 bits, lowest first: first slot (5), last slot (5), none-of, outside, set,
//! end of group. The digest is the hash of the 32 bounds and of the headers packed into one element. Clauses that are
//! not there are zeros: they hold for nobody and end no group.

use super::set::CodeSet;
use super::types::{CLAUSES_MAX, Clause, Criteria, Test};
use crate::field::Element;
use crate::poseidon::{self, Domain};

/// Bits of a slot's index.
pub(super) const SLOT_BITS: usize = 5;

/// Bits of a header.
pub(super) const HEADER_BITS: usize = 2 * SLOT_BITS + 4;

/// One clause as numbers.
#[derive(Clone)]
pub(super) struct Encoded {
    pub bounds: [Element; 2],
    pub header: [bool; HEADER_BITS],
    /// The set whose tree's root is the first bound.
    pub set: Option<CodeSet>,
}

/// The clauses of the criteria, filled up.
pub(super) fn encode(criteria: &Criteria) -> [Encoded; CLAUSES_MAX] {
    let mut clauses = criteria.groups().iter().flat_map(|group| {
        group.iter().enumerate().map(|(at, clause)| encode_clause(clause, at + 1 == group.len()))
    });
    std::array::from_fn(|_| clauses.next().unwrap_or_else(padding))
}

fn padding() -> Encoded {
    Encoded { bounds: [Element::from(0u64); 2], header: [false; HEADER_BITS], set: None }
}

fn encode_clause(clause: &Clause, ends_group: bool) -> Encoded {
    let set = match clause.test() {
        Test::InSet(set) => Some(set.clone()),
        Test::NotInSet(set) => Some(set.complement()),
        Test::Within(_) | Test::Outside(_) | Test::NoneWithin(_) => None,
    };
    let bounds = match (clause.test(), &set) {
        (_, Some(set)) => [set.root(), Element::from(0u64)],
        (Test::Within(interval) | Test::Outside(interval) | Test::NoneWithin(interval), None) => {
            [Element::from(interval.low()), Element::from(interval.high())]
        }
        (Test::InSet(_) | Test::NotInSet(_), None) => padding().bounds,
    };
    let (first, last) = (clause.run().first().get(), clause.run().last().get());
    let slots = first | last << SLOT_BITS;
    let flags = [
        matches!(clause.test(), Test::NoneWithin(_)),
        matches!(clause.test(), Test::Outside(_)),
        set.is_some(),
        ends_group,
    ];
    let header = std::array::from_fn(|at| match at.checked_sub(2 * SLOT_BITS) {
        Some(flag) => flags[flag],
        None => slots >> at & 1 == 1,
    });
    Encoded { bounds, header, set }
}

/// All headers in one element, lowest bit first: 224 bits.
fn packed(clauses: &[Encoded; CLAUSES_MAX]) -> Element {
    let bits = clauses.iter().rev().flat_map(|clause| clause.header.iter().rev());
    bits.fold(Element::from(0u64), |sum, &bit| sum + sum + Element::from(u64::from(bit)))
}

/// The digest of criteria.
#[must_use]
pub(super) fn digest(criteria: &Criteria) -> Element {
    let clauses = encode(criteria);
    let mut inputs: Vec<Element> = clauses.iter().flat_map(|clause| clause.bounds).collect();
    inputs.push(packed(&clauses));
    poseidon::hash(Domain::Criteria, &inputs)
}
