//! The decrypted sums, found by what they are: slots of a measure, masks of a stratum.

use super::super::ast::HOSPITAL;
use super::super::error::QueryError;
use super::super::needs::Need;
use super::super::plan::{Content, Factor, Participation, Plan, Split};
use super::super::planner::SLOTS_MAX;

pub(super) type Result<T> = std::result::Result<T, QueryError>;

/// Largest count that is believed; sums of two stay inside 64 bits.
const COUNT_MAX: i128 = 1 << 62;

pub(super) fn inconsistent(message: impl Into<String>) -> QueryError {
    QueryError::Inconsistent { message: message.into() }
}

/// A count from a slot.
pub(super) fn count(slot: i128) -> Result<u64> {
    match u64::try_from(slot) {
        Ok(count) if slot < COUNT_MAX => Ok(count),
        _ => Err(inconsistent("a count is negative or too large")),
    }
}

/// The sums of one plan.
pub(super) struct Sums<'a> {
    pub plan: &'a Plan,
    slots: &'a [i128],
    offsets: Vec<usize>,
    took_part: u64,
}

/// One statistic's sums in one group cell.
pub(super) struct View<'a> {
    sums: &'a Sums<'a>,
    need: &'a Need,
    stratum: usize,
    cell: usize,
    /// Hospitals that can have rows in the cell, as bits.
    pub relevant: u64,
    /// Who withheld, by split of the stratum, as bits of `relevant`.
    pub masks: Vec<u64>,
}

impl<'a> Sums<'a> {
    pub fn new(plan: &'a Plan, slots: &'a [i128], participants: &[String]) -> Result<Self> {
        let cells = plan.groups.iter().try_fold(1usize, |cells, g| cells.checked_mul(g.codes.len()));
        if cells.is_none_or(|cells| cells == 0 || cells as u64 > SLOTS_MAX) {
            return Err(inconsistent("no sensible number of group cells"));
        }
        let mut offsets = Vec::with_capacity(plan.blocks.len());
        let mut end = 0usize;
        for block in &plan.blocks {
            offsets.push(end);
            end = end.checked_add(block.slots as usize).ok_or_else(|| inconsistent("too many slots"))?;
        }
        if slots.len() != end {
            return Err(inconsistent(format!("{} slots instead of {end}", slots.len())));
        }
        let took_part = participants.iter().try_fold(0u64, |bits, name| {
            let index = plan.hospitals.iter().position(|h| h == name).filter(|i| *i < 64);
            let bit = index.map(|i| 1u64 << i).filter(|bit| bits & bit == 0);
            bit.map(|bit| bits | bit)
                .ok_or_else(|| inconsistent(format!("`{name}` is not in the plan, or twice")))
        })?;
        let least = match plan.participation {
            Participation::All => plan.hospitals.len(),
            Participation::AtLeast(least) => least as usize,
        };
        if participants.len() < least.max(1) {
            return Err(inconsistent(format!("{} hospitals took part, not {least}", participants.len())));
        }
        Ok(Self { plan, slots, offsets, took_part })
    }

    /// The slots of a block that belong to a cell.
    pub fn slots_of(&self, block: usize, cell: usize) -> Result<&'a [i128]> {
        let missing = || inconsistent("a block is missing");
        let start = *self.offsets.get(block).ok_or_else(missing)?;
        let length = self.plan.blocks.get(block).ok_or_else(missing)?.slots as usize;
        let each = length / self.plan.cells().max(1);
        let from = start + cell * each;
        self.slots.get(from..from + each).ok_or_else(missing)
    }

    fn block(&self, wanted: impl Fn(&Content) -> bool) -> Result<usize> {
        let found = self.plan.blocks.iter().position(|b| wanted(&b.content));
        found.ok_or_else(|| inconsistent("a block is missing"))
    }

    /// The total of a per-cell count of the data's quality.
    pub fn total(&self, wanted: impl Fn(&Content) -> bool) -> Result<u64> {
        let block = self.block(wanted)?;
        let start = self.offsets[block];
        let slots = self.slots.get(start..start + self.plan.blocks[block].slots as usize);
        let slots = slots.ok_or_else(|| inconsistent("a block is missing"))?;
        slots.iter().try_fold(0u64, |sum, slot| {
            sum.checked_add(count(*slot)?).ok_or_else(|| inconsistent("a count is too large"))
        })
    }

    /// The hospitals that can have rows in a cell: those that took part, or the cell's own one.
    fn relevant(&self, cell: usize) -> u64 {
        let mut rest = cell;
        let mut relevant = self.took_part;
        for group in self.plan.groups.iter().rev() {
            let codes = group.codes.len().max(1);
            if group.column == HOSPITAL {
                relevant &= 1u64.checked_shl((rest % codes) as u32).unwrap_or(0);
            }
            rest /= codes;
        }
        relevant
    }

    /// The names of hospitals given as bits.
    pub fn names(&self, bits: u64) -> Vec<String> {
        let names = self.plan.hospitals.iter().zip(0u32..64);
        names.filter(|(_, bit)| bits >> bit & 1 == 1).map(|(name, _)| name.clone()).collect()
    }

    /// The sums of a need in a cell.
    pub fn view(&'a self, need: &'a Need, cell: usize) -> Result<View<'a>> {
        let stratum = self.plan.strata.iter().position(|s| *s == need.stratum);
        let stratum = stratum.ok_or_else(|| inconsistent("a stratum is missing"))?;
        let block = self.block(|c| matches!(c, Content::Withheld { stratum: s } if *s == stratum))?;
        let relevant = self.relevant(cell);
        let mut masks = Vec::new();
        for slot in self.slots_of(block, cell)? {
            let bits = u64::try_from(*slot).map_err(|_| inconsistent("a mask is negative or too large"))?;
            if bits & !self.took_part != 0 {
                return Err(inconsistent("a hospital that did not take part withheld a cell"));
            }
            masks.push(bits & relevant);
        }
        let splits: usize = need.stratum.by.iter().map(Split::len).product();
        if masks.len() != splits {
            return Err(inconsistent("a mask does not fit its stratum"));
        }
        Ok(View { sums: self, need, stratum, cell, relevant, masks })
    }
}

impl View<'_> {
    /// The sums of a product, split by split.
    pub fn product(&self, product: &[Factor]) -> Result<&[i128]> {
        let by = self.need.by();
        let block = self.sums.block(|content| match content {
            Content::Measure(m) => {
                m.stratum == self.stratum
                    && m.product == product
                    && m.by == by
                    && m.cases == self.need.stratum.cases
            }
            _ => false,
        })?;
        let slots = self.sums.slots_of(block, self.cell)?;
        let length: usize = by.iter().map(Split::len).product();
        if slots.len() == length { Ok(slots) } else { Err(inconsistent("a measure does not fit its splits")) }
    }

    /// The splits of the stratum.
    pub fn splits(&self) -> &[Split] {
        &self.need.stratum.by
    }

    /// The time grid, where the need has one.
    pub fn grid(&self) -> Option<&Split> {
        self.need.grid.as_ref()
    }

    /// The points of the extremum of the need.
    pub fn points(&self) -> Result<&[i128]> {
        let block = self.sums.block(|content| match (content, &self.need.extremum) {
            (Content::Extremum { column, max, stratum }, Some((name, maximum))) => {
                column == name && max == maximum && *stratum == self.stratum
            }
            _ => false,
        })?;
        self.sums.slots_of(block, self.cell)
    }

    /// True when every hospital that could have rows withheld the split.
    pub fn is_suppressed(&self, split: usize) -> bool {
        self.relevant != 0 && self.masks.get(split).is_some_and(|bits| *bits == self.relevant)
    }

    /// True when [`View::is_suppressed`] holds for one split or more.
    pub fn any_suppressed(&self) -> bool {
        (0..self.masks.len()).any(|split| self.is_suppressed(split))
    }

    /// True when [`View::is_suppressed`] holds for all splits.
    pub fn all_suppressed(&self) -> bool {
        (0..self.masks.len()).all(|split| self.is_suppressed(split))
    }

    /// The hospitals that withheld one split or more.
    pub fn withheld_by(&self) -> Vec<String> {
        self.sums.names(self.masks.iter().fold(0, |all, bits| all | bits))
    }
}
