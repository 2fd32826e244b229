//! What hospitals prove of their contributions (`WITH PROOFS`), and where it lies among a plan's slots.
//!
//! Every hospital commits to its count and sum, proves that the commitment is to those of the rows that it published
//! before, and puts what blinds the commitment into slots of its own under the encryption. So the sums of the slots
//! open the sum of the commitments: what is released is the total of what was proved, and nobody sees a hospital's part
//! ([`ward_circuits::pedersen`]).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use ward_circuits::aggregate::Predicate;
use ward_circuits::pedersen::PIECES;

use super::plan::{Content, Factor, Plan};
use crate::encoding::Digest;

/// The code of a missing value in a column: no condition names it.
pub const MISSING_CODE: u16 = u16::MAX;

/// What is proved of every contribution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proved {
    /// The statement (`ward/aggregate/1/512`).
    pub statement: String,
    /// Id of its key.
    pub key: Digest,
    /// The columns that the condition reads, one or two, with the interval of each in fixed point less the column's
    /// smallest value; all of it, the code of a missing value included, where nothing is asked of it.
    pub columns: Vec<Interval>,
    /// What is summed; none where rows are counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Summed>,
    /// The root of each hospital's rows, as it published it.
    pub roots: BTreeMap<String, Digest>,
}

/// An interval of a column, ends included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    /// The column.
    pub column: String,
    /// The lowest.
    pub low: u16,
    /// The highest.
    pub high: u16,
}

/// A column that is summed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summed {
    /// The column.
    pub column: String,
    /// Its smallest value in fixed point, which every value is summed without.
    pub min: i64,
}

impl Proved {
    /// The predicate of the statement.
    #[must_use]
    pub fn predicate(&self) -> Predicate {
        let of = |at: usize| self.columns.get(at).map_or((0, u16::MAX), |c| (c.low, c.high));
        Predicate { intervals: [of(0), of(1)] }
    }

    /// The columns whose values must be there for a row to be counted.
    fn cases(&self) -> &[String] {
        self.value.as_ref().map_or(&[], |value| std::slice::from_ref(&value.column))
    }
}

/// What a plan's slots, of one hospital or of all, say of what is proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The count.
    pub count: u64,
    /// The sum, of values less their smallest.
    pub sum: u64,
    /// The sums of the pieces of the blinding factors.
    pub pieces: [u128; PIECES],
}

impl Plan {
    /// Where the pieces of the blinding factor lie.
    #[must_use]
    pub fn blinding_slots(&self) -> Option<std::ops::Range<usize>> {
        self.slots_where(|content| *content == Content::Blinding)
    }

    fn slots_where(&self, is_it: impl Fn(&Content) -> bool) -> Option<std::ops::Range<usize>> {
        let mut start = 0usize;
        for block in &self.blocks {
            let end = start.checked_add(block.slots as usize)?;
            if is_it(&block.content) {
                return Some(start..end);
            }
            start = end;
        }
        None
    }

    /// What these slots say of what is proved; none where the plan or the slots do not fit it.
    #[must_use]
    pub fn claim(&self, slots: &[i128]) -> Option<Claim> {
        let proved = self.proved.as_ref()?;
        let product = |wanted: &[Factor]| {
            let range = self.slots_where(|content| match content {
                Content::Measure(m) => m.cases == proved.cases() && m.by.is_empty() && m.product == wanted,
                _ => false,
            })?;
            slots.get(range).and_then(<[i128]>::first).copied()
        };
        let count = product(&[])?;
        let sum = match &proved.value {
            None => 0,
            Some(Summed { column, min }) => {
                let sum = product(&[Factor::Value(column.clone())])?;
                sum.checked_sub(count.checked_mul(i128::from(*min))?)?
            }
        };
        let pieces: Vec<u128> = slots
            .get(self.blinding_slots()?)?
            .iter()
            .map(|p| u128::try_from(*p))
            .collect::<Result<_, _>>()
            .ok()?;
        Some(Claim {
            count: u64::try_from(count).ok()?,
            sum: u64::try_from(sum).ok()?,
            pieces: pieces.try_into().ok()?,
        })
    }
}
