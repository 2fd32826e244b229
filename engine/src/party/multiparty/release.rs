//! Which cells the researcher gets: the pooled floor, decided on shares and left there. No compute node learns which cells are
//! suppressed; the researcher opens a flag for each cell and the values, which are zero where they are not released.
//!
//! What is protected against subtraction, whether or not the query itself asks for the margins:
//! - A table of two groups, of groups by splits (bins, codes), or a CROSSTAB in each group, has row and column totals: a line with one
//!   suppressed cell gets a second, the smallest that is left ([`floor`]). Of three and more groups the last makes the columns.
//! - A list of groups has one total.
//! - Groups that a count in the same query suppresses are suppressed in its tables, quantiles and rankings too: else the parts of a
//!   group would add up to it again.

use ward_protocols::mpc::gates::boolean::all_of;
use ward_protocols::mpc::gates::compare::is_negative;
use ward_protocols::mpc::gates::convert::inject;
use ward_protocols::mpc::gates::multiply::multiply;
use ward_protocols::mpc::programs::floor::{self, Rule};
use ward_protocols::mpc::shares::{BitShares, RingShares};
use ward_protocols::mpc::{Security, Session};

use super::program::{COUNT_BITS, Done, Table};
use crate::query::secure::{Program, Release};

/// What the counts of whole groups say: a flag for each cell, for the releases of some strata and for all together.
pub(super) struct Groups {
    strata: Vec<(usize, RingShares)>,
    all: RingShares,
}

impl Table<'_> {
    /// Whether a release is of whole groups, without splits and levels.
    fn is_of_groups(&self, release: &Release) -> bool {
        release.cells == self.plan.cells() && release.table.is_none() && release.levels.is_empty()
    }

    /// Decides on whole groups, before everything else.
    pub(super) fn decide_groups<S: Security>(
        &mut self,
        session: &mut Session<'_, S>,
        programs: &[Program],
    ) -> Result<(), ward_protocols::mpc::programs::ProgramError> {
        let cells = self.plan.cells();
        let all = RingShares::public(self.role, &vec![1; cells]);
        let mut groups = Groups { strata: Vec::new(), all };
        for program in programs {
            let Program::Release(release) = program else { continue };
            if self.floor() <= 1 || cells == 1 || !self.is_of_groups(release) {
                continue;
            }
            let mut session = session.narrow_at("stratum", release.stratum);
            let counts = self.counts(release);
            let flags = self.flags(&mut session.narrow("floor"), &counts, self.group_table())?;
            groups.all = match groups.strata.is_empty() {
                true => flags.clone(),
                false => multiply(&mut session.narrow("and"), &groups.all, &flags)?,
            };
            groups.strata.push((release.stratum, flags));
        }
        self.groups = groups;
        Ok(())
    }

    /// The groups as a table: all but the last are its rows.
    pub(super) fn group_table(&self) -> (usize, usize) {
        let cells = self.plan.cells();
        match self.plan.groups.as_slice() {
            [_, .., last] if !last.codes.is_empty() => (cells / last.codes.len(), last.codes.len()),
            _ => (cells, 1),
        }
    }

    /// A flag for each cell of a table, 1 where it is released.
    pub(super) fn flags<S: Security>(
        &self,
        session: &mut Session<'_, S>,
        counts: &RingShares,
        (rows, columns): (usize, usize),
    ) -> Done {
        // With a floor of 1 nothing is suppressed: a zero is shown as a zero.
        if self.floor() <= 1 {
            return Ok(RingShares::public(self.role, &vec![1; counts.len()]));
        }
        let rule = Rule { rows, columns, floor: self.floor(), width: COUNT_BITS + 1, has_margins: true };
        let released = floor::released(&mut session.narrow("cells"), counts, &rule)?;
        Ok(inject(&mut session.narrow("inject"), &released)?)
    }

    /// Counts of cells, nothing left of those in a suppressed group; as many cells follow each other for each group.
    pub(super) fn in_groups<S: Security>(&self, session: &mut Session<'_, S>, counts: &RingShares) -> Done {
        if self.groups.strata.is_empty() {
            return Ok(counts.clone());
        }
        let each = (counts.len() / self.plan.cells().max(1)).max(1);
        let wide: Vec<usize> = (0..counts.len()).map(|cell| cell / each).collect();
        Ok(floor::keep(session, counts, &self.groups.all.gather(&wide))?)
    }

    /// Rows of each cell of a release.
    fn counts(&self, release: &Release) -> RingShares {
        let counted = self.block(release.count);
        let points = counted.len() / release.cells.max(1);
        let cell = |c: usize| counted.range(c * points..(c + 1) * points).sum();
        let cells: Vec<RingShares> = (0..release.cells).map(cell).collect();
        RingShares::concat(&cells.iter().collect::<Vec<_>>())
    }

    /// The flags of a release's cells, then the values of its blocks.
    pub(super) fn release<S: Security>(&self, session: &mut Session<'_, S>, release: &Release) -> Done {
        let known = self.groups.strata.iter().find(|(stratum, _)| *stratum == release.stratum);
        let flags = match known {
            Some((_, flags)) => flags.clone(),
            None => self.decide(&mut session.narrow("decide"), release)?,
        };
        let mut values = Vec::new();
        let mut wide = Vec::new();
        for block in &release.blocks {
            let own = self.block(*block);
            let each = (own.len() / release.cells.max(1)).max(1);
            wide.extend((0..own.len()).map(|slot| slot / each));
            values.push(own);
        }
        let values = RingShares::concat(&values.iter().collect::<Vec<_>>());
        let kept = match self.floor() {
            0 | 1 => values,
            _ => floor::keep(&mut session.narrow("keep"), &values, &flags.gather(&wide))?,
        };
        Ok(RingShares::concat(&[&flags, &kept]))
    }

    fn decide<S: Security>(&self, session: &mut Session<'_, S>, release: &Release) -> Done {
        let mut counts = self.counts(release);
        if self.floor() > 1 {
            counts = self.in_groups(&mut session.narrow("groups"), &counts)?;
            if !release.levels.is_empty() {
                counts = self.without_small_levels(&mut session.narrow("levels"), &counts, release)?;
            }
        }
        let groups = self.plan.cells();
        match release.table {
            Some((rows, columns)) => {
                let mut flags = Vec::new();
                for group in 0..groups {
                    let table = counts.range(group * rows * columns..(group + 1) * rows * columns);
                    let mut session = session.narrow_at("table", group);
                    flags.push(self.flags(&mut session, &table, (rows, columns))?);
                }
                Ok(RingShares::concat(&flags.iter().collect::<Vec<_>>()))
            }
            None if release.cells == groups => {
                self.flags(&mut session.narrow("groups table"), &counts, self.group_table())
            }
            None => {
                let shape = (groups, release.cells / groups.max(1));
                self.flags(&mut session.narrow("splits table"), &counts, shape)
            }
        }
    }

    /// Counts, zero where the ones or the zeros of an indicator that is summed are fewer than the floor.
    fn without_small_levels<S: Security>(
        &self,
        session: &mut Session<'_, S>,
        counts: &RingShares,
        release: &Release,
    ) -> Done {
        let mut levels = Vec::new();
        for block in &release.levels {
            let ones = self.block(*block);
            levels.push(counts.sub(&ones)?.add_public(self.role, self.floor().wrapping_neg()));
            levels.push(ones.add_public(self.role, self.floor().wrapping_neg()));
        }
        let all = RingShares::concat(&levels.iter().collect::<Vec<_>>());
        let enough = is_negative(&mut session.narrow("below"), &all, COUNT_BITS + 2)?.not(self.role);
        // A plane for each level, a value for each cell.
        let cells = counts.len();
        let planes: Vec<BitShares> =
            (0..levels.len()).map(|level| enough.values(level * cells..(level + 1) * cells)).collect();
        let all = BitShares::concat(&planes.iter().collect::<Vec<_>>())?;
        let holds = all_of(&mut session.narrow("all"), &all)?;
        let holds = inject(&mut session.narrow("inject"), &holds)?;
        Ok(multiply(&mut session.narrow("keep"), &holds, counts)?)
    }
}

impl Groups {
    /// Nothing is decided yet.
    pub(super) fn none() -> Self {
        Self { strata: Vec::new(), all: RingShares::zeros(0) }
    }
}
