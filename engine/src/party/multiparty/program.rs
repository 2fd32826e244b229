//! Runs the programs of a plan over what a compute node holds, and lays their outputs out as
//! [`finish_shares`](crate::query::finish_shares) reads them.

use ward_protocols::mpc::gates::boolean::all_of;
use ward_protocols::mpc::gates::compare::is_negative;
use ward_protocols::mpc::gates::convert::inject;
use ward_protocols::mpc::gates::multiply::multiply;
use ward_protocols::mpc::planes::planes_of;
use ward_protocols::mpc::programs::floor::{self, Rule};
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
use ward_protocols::mpc::{MpcError, Party, Security, Session};

use super::input::Held;
use super::regression;
use super::seat::problem;
use super::sums::Iterations;
use crate::problem::{Problem, ProblemKind};
use crate::query::catalogue::{Column, ColumnKind};
use crate::query::plan::Plan;
use crate::query::secure::{Program, Release, programs};

/// Bits of a count: the planner bounds the rows.
pub(super) const COUNT_BITS: usize = 24;

/// What a node holds of the words that the researcher opens.
pub(super) struct Opened {
    /// Component i.
    pub(super) own: Vec<u64>,
    /// Component i + 1.
    pub(super) next: Vec<u64>,
}

/// A program's place: the plan and what the node holds of the slots.
struct Table<'a> {
    plan: &'a Plan,
    slots: RingShares,
    rows: Vec<(BitShares, BitShares)>,
    role: Role,
}

/// Runs all programs of the plan, in order.
///
/// # Errors
/// `mpc.check` when somebody deviated, `mpc.channel` when a message did not come, and what a hospital's sums failed with.
pub(super) fn run<S: Security>(
    party: &mut Party<S>,
    plan: &Plan,
    (held, inputs): (Held, &[String]),
    hospitals: &mut Iterations<'_>,
) -> Result<Opened, Problem> {
    let mut session = party.session();
    let role = session.role();
    let rows = rows_of(plan, &held, inputs)?;
    let mut slots = RingShares { own: held.own.ring, next: held.next.ring };
    let count = plan.slots();
    let linear = slots.range(count..slots.len());
    slots = slots.range(0..count);
    let table = Table { plan, slots, rows, role };
    let mut regressions = regression::Sums { linear, at: 0 };
    let mut outputs = Vec::new();
    for (at, program) in programs(plan).map_err(Problem::from)?.iter().enumerate() {
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
    Ok(Opened { own: all.own, next: all.next })
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
    if inputs.len() > 1 {
        // Several inputs would lie interleaved by hospital.
        return Err(Problem::new(ProblemKind::Validation, "mpc.rows", "one COUNT(DISTINCT) a query"));
    }
    let Some(input) = inputs.first() else { return Ok(Vec::new()) };
    let mut columns = [(); 4].map(|()| Vec::new());
    let (mut own, mut next) = (held.own.bits.as_slice(), held.next.bits.as_slice());
    for hospital in hospitals {
        let index = plan.hospitals.iter().position(|name| name == hospital);
        let rows = index.and_then(|index| input.rows.get(index)).ok_or_else(missing)?;
        let rows = usize::try_from(*rows).map_err(|_| missing())?;
        for (rest, [ids, counts]) in [(&mut own, [0, 1]), (&mut next, [2, 3])] {
            let (mine, tail) = rest.split_at_checked(2 * rows).ok_or_else(missing)?;
            columns[ids].extend_from_slice(&mine[..rows]);
            columns[counts].extend_from_slice(&mine[rows..]);
            *rest = tail;
        }
    }
    let column = |own: &[u64], next: &[u64], width: usize| BitShares {
        width,
        len: own.len(),
        own: planes_of(own, width),
        next: planes_of(next, width),
    };
    let [ids, counts, next_ids, next_counts] = &columns;
    Ok(vec![(column(ids, next_ids, 62), column(counts, next_counts, 1))])
}

type Done = Result<RingShares, ProgramError>;

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
    fn block(&self, block: usize) -> RingShares {
        let start: usize = self.plan.blocks[..block].iter().map(|b| b.slots as usize).sum();
        self.slots.range(start..start + self.plan.blocks[block].slots as usize)
    }

    /// Rows of a statistic's stratum: the count that its floor rules.
    fn count_of(&self, item: usize) -> Result<RingShares, Problem> {
        let block = crate::query::secure::count_block(self.plan, item).map_err(Problem::from)?;
        Ok(self.block(block))
    }

    fn floor(&self) -> u64 {
        u64::from(self.plan.floor)
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

    /// Which cells reach the floor, as all nodes learn it.
    fn released<S: Security>(
        &self,
        session: &mut Session<'_, S>,
        counts: &RingShares,
        (rows, columns): (usize, usize),
    ) -> Result<Vec<bool>, MpcError> {
        let floor = self.floor().max(1);
        let rule = Rule { rows, columns, floor, width: COUNT_BITS + 1, has_margins: floor > 1 };
        floor::released(session, counts, &rule)
    }

    fn release<S: Security>(&self, session: &mut Session<'_, S>, release: &Release) -> Done {
        let counted = self.block(release.count);
        let points = counted.len() / release.cells.max(1);
        let cell = |c: usize| counted.range(c * points..(c + 1) * points).sum();
        let cells: Vec<RingShares> = (0..release.cells).map(cell).collect();
        let mut counts = RingShares::concat(&cells.iter().collect::<Vec<_>>());
        if !release.levels.is_empty() && self.floor() > 1 {
            counts = self.without_small_levels(&mut session.narrow("levels"), &counts, release)?;
        }
        let groups = self.plan.cells();
        let flags = match release.table {
            // With a floor of 1 nothing is suppressed: a zero is shown as a zero.
            _ if self.floor() <= 1 => vec![true; release.cells],
            Some((rows, columns)) => {
                let mut flags = Vec::new();
                for group in 0..groups {
                    let table = counts.range(group * rows * columns..(group + 1) * rows * columns);
                    flags.extend(self.released(
                        &mut session.narrow_at("table", group),
                        &table,
                        (rows, columns),
                    )?);
                }
                flags
            }
            None => {
                let (rows, columns) = match self.plan.groups.as_slice() {
                    [first, second] if release.cells == groups => (first.codes.len(), second.codes.len()),
                    _ => (groups, release.cells / groups.max(1)),
                };
                self.released(&mut session.narrow("cells"), &counts, (rows, columns))?
            }
        };
        let public: Vec<u64> = flags.iter().map(|is_released| u64::from(*is_released)).collect();
        let mut out = vec![RingShares::public(self.role, &public)];
        for block in &release.blocks {
            let values = self.block(*block);
            let each = values.len() / release.cells.max(1);
            let wide: Vec<bool> = (0..values.len()).map(|slot| flags[slot / each.max(1)]).collect();
            out.push(floor::keep_released(&values, &wide)?);
        }
        Ok(RingShares::concat(&out.iter().collect::<Vec<_>>()))
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
        let flags = self.released(&mut session.narrow("floor"), &n, (cells, 1))?;
        let numerator = u32::try_from(q_millionths).unwrap_or(u32::MAX);
        let quantile = Quantile { numerator, denominator: 1_000_000 };
        let mut out = Vec::new();
        for (cell, is_released) in flags.iter().enumerate() {
            let flag = RingShares::public(self.role, &[u64::from(*is_released)]);
            if !is_released {
                out.push(RingShares::concat(&[&flag, &RingShares::zeros(4)]));
                continue;
            }
            let histogram = counts.range(cell * points..(cell + 1) * points);
            let mut session = session.narrow_at("group", cell);
            let bins = of_histogram(&mut session, &histogram, &[quantile], COUNT_BITS)?;
            out.push(RingShares::concat(&[&flag, &totals[cell], &bins.lower, &bins.upper, &bins.inverted]));
        }
        Ok(RingShares::concat(&out.iter().collect::<Vec<_>>()))
    }

    fn top<S: Security>(
        &self,
        session: &mut Session<'_, S>,
        block: usize,
        (count, k): (usize, usize),
    ) -> Done {
        let counts = self.block(block);
        let mut words = Vec::new();
        for cell in 0..self.plan.cells() {
            let own = counts.range(cell * count..(cell + 1) * count);
            let top = Top { codes: k, floor: self.floor().max(1), width: COUNT_BITS + 1 };
            let found = codes(&mut session.narrow_at("group", cell), &own, &top)?;
            for place in 0..k {
                match found.get(place).copied().flatten() {
                    Some(frequent) => words.extend([frequent.code as u64 + 1, frequent.count]),
                    None => words.extend([0, 0]),
                }
            }
        }
        Ok(RingShares::public(self.role, &words))
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
        let flags = match self.floor() {
            0 | 1 => vec![true],
            _ => self.released(&mut session.narrow("floor"), &count, (1, 1))?,
        };
        let flag = RingShares::public(self.role, &flags.iter().map(|f| u64::from(*f)).collect::<Vec<_>>());
        Ok(interleave(&[&flag, &floor::keep_released(&count, &flags)?]))
    }
}

/// Bits of the values that are summed: of the widest column of numbers in the plan.
fn value_bits(plan: &Plan) -> u32 {
    let numbers = plan.columns.iter().filter(|c| matches!(c.kind, ColumnKind::Integer | ColumnKind::Real));
    let size = |c: &Column| 64 - c.min.unsigned_abs().max(c.max.unsigned_abs()).leading_zeros();
    numbers.map(size).max().unwrap_or(1)
}
