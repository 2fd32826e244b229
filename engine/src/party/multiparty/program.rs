//! Runs the programs of a plan over what a compute node holds, and lays their outputs out as
//! [`finish_shares`](crate::query::finish_shares) reads them.

use ward_protocols::mpc::gates::input::Held;
use ward_protocols::mpc::planes::planes_of;
use ward_protocols::mpc::programs::floor;
use ward_protocols::mpc::programs::quantile::{Quantile, of_histogram};
use ward_protocols::mpc::programs::statistics::contingency::{Correction, chi_square, chi_square_2x2};
use ward_protocols::mpc::programs::statistics::fisher::fisher_exact;
use ward_protocols::mpc::programs::statistics::means::{Group, Variances, t_test};
use ward_protocols::mpc::programs::statistics::survival::{RiskTable, log_rank};
use ward_protocols::mpc::programs::top::{Top, codes};
use ward_protocols::mpc::programs::{ProgramError, distinct};
use ward_protocols::mpc::role::Role;
use ward_protocols::mpc::shares::{BitShares, RingShares};
use ward_protocols::mpc::verify::flush;
use ward_protocols::mpc::{Security, Session};

use super::regression;
use super::release::Groups;
use super::seat::problem;
use crate::problem::{Problem, ProblemKind};
use crate::query::catalogue::{Column, ColumnKind};
use crate::query::plan::Plan;
use crate::query::secure::{Program, programs};

/// Bits of a count: the planner bounds the rows.
pub(super) const COUNT_BITS: usize = 24;
/// Bits of a hashed identifier.
const IDENTIFIER_BITS: usize = 62;

/// What a node holds of the words that the researcher opens.
pub(super) struct Opened {
    /// Component i.
    pub(super) own: Vec<u64>,
    /// Component i + 1.
    pub(super) next: Vec<u64>,
}

/// A program's place: the plan and what the node holds of the slots.
pub(super) struct Table<'a> {
    pub(super) plan: &'a Plan,
    slots: RingShares,
    rows: Vec<(BitShares, BitShares)>,
    pub(super) role: Role,
    /// What is decided about whole groups.
    pub(super) groups: Groups,
}

/// Who is asked for sums while a program runs.
pub(super) trait Iterate {
    /// This node's part of the sums of all hospitals at these coefficients, `words` of them.
    ///
    /// # Errors
    /// What a hospital, or the way to it, failed with.
    fn sums(&mut self, item: usize, coefficients: &[f64], words: usize) -> Result<Held, Problem>;
}

/// Runs all programs of the plan, in order.
///
/// # Errors
/// `mpc.check` when somebody deviated, `mpc.channel` when a message did not come, and what a hospital's sums failed with.
pub(super) fn run<S: Security>(
    session: &mut Session<'_, S>,
    plan: &Plan,
    (held, inputs): (Held, &[String]),
    hospitals: &mut dyn Iterate,
) -> Result<Opened, Problem> {
    let role = session.role();
    let rows = rows_of(plan, &held, inputs)?;
    let mut slots = RingShares { own: held.own.ring.into(), next: held.next.ring.into() };
    let count = plan.slots();
    let linear = slots.range(count..slots.len());
    slots = slots.range(0..count);
    let mut table = Table { plan, slots, rows, role, groups: Groups::none() };
    let mut regressions = regression::Sums { linear, at: 0 };
    let mut outputs = Vec::new();
    let programs = programs(plan).map_err(Problem::from)?;
    table.decide_groups(&mut session.narrow("groups"), &programs).map_err(|error| failed(&error))?;
    for (at, program) in programs.iter().enumerate() {
        let mut session = session.narrow_at("program", at);
        let output = match program {
            Program::LinReg { item } | Program::Logit { item } | Program::Cox { item } => {
                let n = table.count_of(*item)?;
                regression::run(&mut session, (plan, *item), n, (&mut regressions, hospitals))?
            }
            program => table.run(&mut session, program).map_err(|error| failed(&error))?,
        };
        outputs.push(output);
    }
    // What follows leaves the node as shares, without an opening that would verify it.
    flush(&mut session.narrow("outputs")).map_err(|error| problem(&error))?;
    let all = RingShares::concat(&outputs.iter().collect::<Vec<_>>());
    Ok(Opened { own: all.own.into(), next: all.next.into() })
}

pub(super) fn failed(error: &ProgramError) -> Problem {
    match error {
        ProgramError::Mpc(error) => problem(error),
        other => Problem::new(ProblemKind::Internal, "mpc.program", other.to_string()),
    }
}

/// The row inputs as columns of bits: identifiers, and whether a row counts.
fn rows_of(plan: &Plan, held: &Held, hospitals: &[String]) -> Result<Vec<(BitShares, BitShares)>, Problem> {
    let inputs = plan.multi_party.as_ref().map_or(&[][..], |shares| &shares.rows);
    let missing = || Problem::internal(&"rows of an input are missing");
    let mut columns: Vec<[Vec<u64>; 4]> = inputs.iter().map(|_| [(); 4].map(|()| Vec::new())).collect();
    let (mut own, mut next) = (held.own.bits.as_slice(), held.next.bits.as_slice());
    for hospital in hospitals {
        let index = plan.hospitals.iter().position(|name| name == hospital).ok_or_else(missing)?;
        for (input, columns) in inputs.iter().zip(&mut columns) {
            let rows = input.rows.get(index).ok_or_else(missing)?;
            let rows = usize::try_from(*rows).map_err(|_| missing())?;
            for (rest, [ids, counts]) in [(&mut own, [0, 1]), (&mut next, [2, 3])] {
                let (mine, tail) = rest.split_at_checked(2 * rows).ok_or_else(missing)?;
                columns[ids].extend_from_slice(&mine[..rows]);
                columns[counts].extend_from_slice(&mine[rows..]);
                *rest = tail;
            }
        }
    }
    let column = |own: &[u64], next: &[u64], width: usize| BitShares {
        width,
        len: own.len(),
        own: planes_of(own, width).into(),
        next: planes_of(next, width).into(),
    };
    let shaped = |[ids, counts, next_ids, next_counts]: &[Vec<u64>; 4]| {
        (column(ids, next_ids, IDENTIFIER_BITS), column(counts, next_counts, 1))
    };
    Ok(columns.iter().map(shaped).collect())
}

pub(super) type Done = Result<RingShares, ProgramError>;

/// For each table: the flag, then sign, mantissa and exponent of each value.
fn by_table(shares: &RingShares, tables: usize) -> RingShares {
    let columns = shares.len() / tables.max(1);
    let order: Vec<usize> =
        (0..tables).flat_map(|table| (0..columns).map(move |column| column * tables + table)).collect();
    shares.gather(&order)
}

/// Columns side by side, value by value.
fn interleave(columns: &[&RingShares]) -> RingShares {
    let tables = columns.first().map_or(0, |column| column.len());
    by_table(&RingShares::concat(columns), tables)
}

impl Table<'_> {
    pub(super) fn block(&self, block: usize) -> RingShares {
        let start: usize = self.plan.blocks[..block].iter().map(|b| b.slots as usize).sum();
        self.slots.range(start..start + self.plan.blocks[block].slots as usize)
    }

    /// Rows of a statistic's stratum: the count that its floor rules.
    fn count_of(&self, item: usize) -> Result<RingShares, Problem> {
        let block = crate::query::secure::count_block(self.plan, item).map_err(Problem::from)?;
        Ok(self.block(block))
    }

    /// The floor of cells; with noise none is hidden by anything else, as under encryption.
    pub(super) fn floor(&self) -> u64 {
        if self.plan.privacy.is_some() { 1 } else { u64::from(self.plan.floor) }
    }

    fn run<S: Security>(&self, session: &mut Session<'_, S>, program: &Program) -> Done {
        match program {
            Program::Release(release) => self.release(session, release),
            Program::Quantile { block, points, q_millionths, .. } => {
                self.quantile(session, *block, (*points, *q_millionths))
            }
            Program::TopK { block, codes, k, .. } => self.top(session, *block, (*codes, *k)),
            Program::Chi2 { block, rows, columns, .. } => self.chi2(session, *block, (*rows, *columns)),
            Program::Fisher { block, .. } => self.fisher(session, *block),
            Program::TTest { blocks, .. } => self.t_test(session, *blocks),
            Program::LogRank { blocks, groups, points, .. } => {
                self.log_rank(session, *blocks, (*groups, *points))
            }
            Program::Distinct { input, .. } => self.distinct(session, *input),
            // Run with the hospitals' sums.
            Program::LinReg { .. } | Program::Logit { .. } | Program::Cox { .. } => Ok(RingShares::zeros(0)),
        }
    }

    fn quantile<S: Security>(
        &self,
        session: &mut Session<'_, S>,
        block: usize,
        (points, q_millionths): (usize, u64),
    ) -> Done {
        let counts = self.block(block);
        let cells = self.plan.cells();
        let totals: Vec<RingShares> =
            (0..cells).map(|c| counts.range(c * points..(c + 1) * points).sum()).collect();
        let n = RingShares::concat(&totals.iter().collect::<Vec<_>>());
        let counted = self.in_groups(&mut session.narrow("groups"), &n)?;
        let flags = self.flags(&mut session.narrow("floor"), &counted, self.group_table())?;
        let numerator = u32::try_from(q_millionths).unwrap_or(u32::MAX);
        let quantile = Quantile { numerator, denominator: 1_000_000 };
        let mut found = Vec::new();
        for (cell, total) in totals.iter().enumerate() {
            let histogram = counts.range(cell * points..(cell + 1) * points);
            let mut session = session.narrow_at("group", cell);
            let bins = of_histogram(&mut session, &histogram, &[quantile], COUNT_BITS)?;
            found.push(RingShares::concat(&[total, &bins.lower, &bins.upper, &bins.inverted]));
        }
        let found = RingShares::concat(&found.iter().collect::<Vec<_>>());
        let wide: Vec<usize> = (0..4 * cells).map(|word| word / 4).collect();
        let kept = floor::keep(&mut session.narrow("keep"), &found, &flags.gather(&wide))?;
        // The flag of each cell, then its words.
        let order = (0..cells).flat_map(|c| std::iter::once(c).chain((0..4).map(move |w| cells + 4 * c + w)));
        Ok(RingShares::concat(&[&flags, &kept]).gather(&order.collect::<Vec<_>>()))
    }

    fn top<S: Security>(
        &self,
        session: &mut Session<'_, S>,
        block: usize,
        (count, k): (usize, usize),
    ) -> Done {
        let (mut counts, cells) = (self.block(block), self.plan.cells());
        if self.floor() > 1 {
            // A code's count must not follow from the others' and the total.
            let counted = self.in_groups(&mut session.narrow("groups"), &counts)?;
            let flags = self.flags(&mut session.narrow("floor"), &counted, (cells, count))?;
            counts = floor::keep(&mut session.narrow("keep"), &counts, &flags)?;
        }
        let mut words = Vec::new();
        for cell in 0..cells {
            let own = counts.range(cell * count..(cell + 1) * count);
            let top = Top { codes: k, floor: self.floor().max(1), width: COUNT_BITS + 1 };
            let found = codes(&mut session.narrow_at("group", cell), &own, &top)?;
            words.push(interleave(&[&found.codes, &found.counts]));
        }
        Ok(RingShares::concat(&words.iter().collect::<Vec<_>>()))
    }

    fn chi2<S: Security>(
        &self,
        session: &mut Session<'_, S>,
        block: usize,
        (rows, columns): (usize, usize),
    ) -> Done {
        let (table, cells) = (self.block(block), self.plan.cells());
        if (rows, columns) == (2, 2) {
            let cell = |c: usize| table.gather(&(0..cells).map(|t| 4 * t + c).collect::<Vec<_>>());
            let quad = [cell(0), cell(1), cell(2), cell(3)];
            let mut both = Vec::new();
            for (name, correction) in [("pearson", Correction::None), ("yates", Correction::Yates)] {
                let found = chi_square_2x2(&mut session.narrow(name), &quad, correction, self.floor())?;
                both.push(by_table(&found.shares, cells));
            }
            // A flag and three words each.
            let order =
                |t: usize| (0..4).map(move |w| 4 * t + w).chain((0..4).map(move |w| 4 * (cells + t) + w));
            let all = RingShares::concat(&both.iter().collect::<Vec<_>>());
            return Ok(all.gather(&(0..cells).flat_map(order).collect::<Vec<_>>()));
        }
        let mut out = Vec::new();
        for cell in 0..cells {
            let own = table.range(cell * rows * columns..(cell + 1) * rows * columns);
            let mut session = session.narrow_at("group", cell);
            let found = chi_square(&mut session, &own, (rows, columns), self.floor())?.shares;
            out.push(RingShares::concat(&[&found, &found]));
        }
        Ok(RingShares::concat(&out.iter().collect::<Vec<_>>()))
    }

    fn fisher<S: Security>(&self, session: &mut Session<'_, S>, block: usize) -> Done {
        let table = self.block(block);
        let rows_max = self.plan.multi_party.as_ref().map_or(0, |shares| shares.rows_max);
        let rows_max = usize::try_from(rows_max).unwrap_or(usize::MAX);
        let mut out = Vec::new();
        for cell in 0..self.plan.cells() {
            let cells = [0, 1, 2, 3].map(|c| table.gather(&[4 * cell + c]));
            let mut session = session.narrow_at("group", cell);
            out.push(fisher_exact(&mut session, &cells, rows_max, self.floor())?.shares);
        }
        Ok(RingShares::concat(&out.iter().collect::<Vec<_>>()))
    }

    fn t_test<S: Security>(&self, session: &mut Session<'_, S>, blocks: [usize; 3]) -> Done {
        let cells = self.plan.cells();
        let [n, sum, squares] = blocks.map(|block| self.block(block));
        let of =
            |column: &RingShares, g: usize| column.gather(&(0..cells).map(|t| 2 * t + g).collect::<Vec<_>>());
        let group = |g: usize| Group { n: of(&n, g), sum: of(&sum, g), squares: of(&squares, g) };
        let groups = [group(0), group(1)];
        let bits = value_bits(self.plan);
        let mut both = Vec::new();
        for (name, variances) in [("welch", Variances::Unequal), ("student", Variances::Equal)] {
            let found = t_test(&mut session.narrow(name), &groups, (variances, bits), self.floor())?;
            both.push(by_table(&found.shares, cells));
        }
        // A flag, and sign, mantissa and exponent of the square and of the degrees of freedom, each.
        let order = |t: usize| (0..7).map(move |w| 7 * t + w).chain((0..7).map(move |w| 7 * (cells + t) + w));
        let all = RingShares::concat(&both.iter().collect::<Vec<_>>());
        Ok(all.gather(&(0..cells).flat_map(order).collect::<Vec<_>>()))
    }

    fn log_rank<S: Security>(
        &self,
        session: &mut Session<'_, S>,
        [patients, events]: [usize; 2],
        (groups, points): (usize, usize),
    ) -> Done {
        let (patients, events) = (self.block(patients), self.block(events));
        let mut out = Vec::new();
        for cell in 0..self.plan.cells() {
            let column = |of: &RingShares, g: usize| {
                let start = (cell * groups + g) * points;
                of.range(start..start + points)
            };
            // At risk just before a time are all that leave at it or later.
            let at_risk = |g: usize| {
                let backwards: Vec<usize> = (0..points).rev().collect();
                column(&patients, g).gather(&backwards).prefix_sums().gather(&backwards)
            };
            let table = RiskTable {
                at_risk: (0..groups).map(at_risk).collect(),
                events: (0..groups).map(|g| column(&events, g)).collect(),
            };
            out.push(log_rank(&mut session.narrow_at("group", cell), &table, self.floor())?.shares);
        }
        Ok(RingShares::concat(&out.iter().collect::<Vec<_>>()))
    }

    fn distinct<S: Security>(&self, session: &mut Session<'_, S>, input: usize) -> Done {
        let Some((identifiers, counts)) = self.rows.get(input) else {
            return Ok(RingShares::zeros(2));
        };
        let count = distinct::count(&mut session.narrow("count"), identifiers, counts)?;
        let flag = self.flags(&mut session.narrow("floor"), &count, (1, 1))?;
        let kept = floor::keep(&mut session.narrow("keep"), &count, &flag)?;
        Ok(RingShares::concat(&[&flag, &kept]))
    }
}

/// Bits of the values that are summed: of the widest column of numbers in the plan.
fn value_bits(plan: &Plan) -> u32 {
    let numbers = plan.columns.iter().filter(|c| matches!(c.kind, ColumnKind::Integer | ColumnKind::Real));
    let size = |c: &Column| 64 - c.min.unsigned_abs().max(c.max.unsigned_abs()).leading_zeros();
    numbers.map(size).max().unwrap_or(1)
}
