//! The secure step of a plan on shares: which programs the compute nodes run over the sums of the hospitals' slots,
//! what comes out, and what it costs. Every node, and the researcher, derives the same list from the plan.

use super::ast::{Item, Statistic};
use super::error::QueryError;
use super::needs::{Need, need};
use super::plan::{Content, Plan, Split};
use super::planner::statistics;

type Result<T> = std::result::Result<T, QueryError>;

/// A program over shares.
#[derive(Clone, Debug, PartialEq)]
pub enum Program {
    /// Releases the cells of a stratum that reach the floor, with the complementary suppression of its margins, and
    /// the blocks that it governs.
    Release(Release),
    /// Finds the value of a rank from counts over a grid.
    Quantile {
        /// Index among the query's statistics.
        item: usize,
        /// Block of the counts: cells x points.
        block: usize,
        /// Points of the grid.
        points: usize,
        /// The quantile in millionths.
        q_millionths: u64,
    },
    /// Finds the most frequent codes.
    TopK {
        /// Index among the query's statistics.
        item: usize,
        /// Block of the counts: cells x codes.
        block: usize,
        /// Number of codes.
        codes: usize,
        /// How many are shown, at most `codes`.
        k: usize,
    },
    /// Pearson's and Yates's chi-square of a table.
    Chi2 {
        /// Index among the query's statistics.
        item: usize,
        /// Block of the counts: cells x rows x columns.
        block: usize,
        /// Rows of the table.
        rows: usize,
        /// Columns of the table.
        columns: usize,
    },
    /// Fisher's exact test of a 2 x 2 table.
    Fisher {
        /// Index among the query's statistics.
        item: usize,
        /// Block of the counts: cells x 2 x 2.
        block: usize,
    },
    /// Welch's and Student's t.
    TTest {
        /// Index among the query's statistics.
        item: usize,
        /// Blocks of counts, sums and sums of squares: cells x 2.
        blocks: [usize; 3],
    },
    /// The log-rank statistic.
    LogRank {
        /// Index among the query's statistics.
        item: usize,
        /// Blocks of patients and of events by time: cells x groups x points.
        blocks: [usize; 2],
        /// Number of groups.
        groups: usize,
        /// Points of the time grid.
        points: usize,
    },
    /// Coefficients and standard errors from the sums of products.
    LinReg {
        /// Index among the query's statistics.
        item: usize,
    },
    /// Logistic regression, by iteration with the hospitals.
    Logit {
        /// Index among the query's statistics.
        item: usize,
    },
    /// Proportional hazards, by iteration with the hospitals.
    Cox {
        /// Index among the query's statistics.
        item: usize,
    },
    /// Different identifiers.
    Distinct {
        /// Index among the query's statistics.
        item: usize,
        /// Index of the row input.
        input: usize,
    },
}

/// What a stratum releases.
#[derive(Clone, Debug, PartialEq)]
pub struct Release {
    /// The stratum.
    pub stratum: usize,
    /// Block whose slots count rows: cells x splits of the stratum x points of a grid, which are added up.
    pub count: usize,
    /// Cells x splits.
    pub cells: usize,
    /// The splits as a table whose margins are protected: rows x columns, where the stratum has two splits.
    pub table: Option<(usize, usize)>,
    /// Blocks of indicator sums, whose ones and zeros must each reach the floor.
    pub levels: Vec<usize>,
    /// Blocks that are released, `count` among them.
    pub blocks: Vec<usize>,
}

/// Predicted cost of the programs, for one compute node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    /// Rounds between the nodes.
    pub rounds: u64,
    /// Bytes sent.
    pub bytes: u64,
}

/// True for statistics of which the cells are released under the pooled floor; the others show their statistic
/// alone.
#[must_use]
pub fn is_released(statistic: &Statistic) -> bool {
    matches!(
        statistic,
        Statistic::CountRows
            | Statistic::Count(_)
            | Statistic::Sum(_)
            | Statistic::Avg(_)
            | Statistic::Var(_)
            | Statistic::Stddev(_)
            | Statistic::Histogram { .. }
            | Statistic::Crosstab { .. }
            | Statistic::OddsRatio { .. }
            | Statistic::Corr { .. }
            | Statistic::KaplanMeier { .. }
    )
}

/// The programs of a plan: releases by stratum, then the other statistics in their order.
///
/// # Errors
/// [`QueryError`] for a plan that the planner does not make.
pub fn programs(plan: &Plan) -> Result<Vec<Program>> {
    let needs = statistics(&plan.query)
        .map(|statistic| Ok((statistic, need(statistic, &plan.columns)?)))
        .collect::<Result<Vec<_>>>()?;
    let reader = Reader { plan };
    let mut programs: Vec<Program> = Vec::new();
    for (_, need) in needs.iter().filter(|(statistic, _)| is_released(statistic)) {
        reader.release(need, &mut programs)?;
    }
    for (item, (statistic, need)) in needs.iter().enumerate() {
        if !is_released(statistic) {
            programs.push(reader.program(item, statistic, need)?);
        }
    }
    Ok(programs)
}

fn broken(message: &str) -> QueryError {
    QueryError::Inconsistent { message: message.to_owned() }
}

struct Reader<'a> {
    plan: &'a Plan,
}

impl Reader<'_> {
    fn stratum(&self, need: &Need) -> Result<usize> {
        let found = self.plan.strata.iter().position(|s| *s == need.stratum);
        found.ok_or_else(|| broken("a stratum is missing"))
    }

    /// The block of the `index`-th product of a need.
    fn block(&self, need: &Need, index: usize) -> Result<usize> {
        let stratum = self.stratum(need)?;
        let product = need.products.get(index).ok_or_else(|| broken("a product is missing"))?;
        let by = need.by();
        let found = self.plan.blocks.iter().position(|block| match &block.content {
            Content::Measure(m) => m.stratum == stratum && m.product == *product && m.by == by,
            _ => false,
        });
        found.ok_or_else(|| broken("a block is missing"))
    }

    fn release(&self, need: &Need, programs: &mut Vec<Program>) -> Result<()> {
        let stratum = self.stratum(need)?;
        let blocks = (0..need.products.len()).map(|i| self.block(need, i)).collect::<Result<Vec<_>>>()?;
        let known = programs.iter_mut().find_map(|program| match program {
            Program::Release(release) if release.stratum == stratum => Some(release),
            _ => None,
        });
        let levels = self.levels(need, &blocks);
        if let Some(release) = known {
            for block in blocks {
                if !release.blocks.contains(&block) {
                    release.blocks.push(block);
                }
            }
            for level in levels {
                if !release.levels.contains(&level) {
                    release.levels.push(level);
                }
            }
            return Ok(());
        }
        let splits: usize = need.stratum.by.iter().map(Split::len).product();
        let table = match need.stratum.by.as_slice() {
            [rows, columns] => Some((rows.len(), columns.len())),
            _ => None,
        };
        let count = *blocks.first().ok_or_else(|| broken("a count is missing"))?;
        let cells = self.plan.cells() * splits;
        programs.push(Program::Release(Release { stratum, count, cells, table, levels, blocks }));
        Ok(())
    }

    /// Blocks that sum one indicator: a count of people.
    fn levels(&self, need: &Need, blocks: &[usize]) -> Vec<usize> {
        use super::plan::Factor;
        let is_level = |product: &Vec<Factor>| match product.as_slice() {
            [Factor::Value(name)] => need.stratum.levels.contains(name),
            _ => false,
        };
        let indexed = need.products.iter().zip(blocks);
        indexed.filter(|(product, _)| is_level(product)).map(|(_, block)| *block).collect()
    }

    fn program(&self, item: usize, statistic: &Statistic, need: &Need) -> Result<Program> {
        let sides = || match need.stratum.by.as_slice() {
            [rows, columns] => Ok((rows.len(), columns.len())),
            _ => Err(broken("a table without two sides")),
        };
        Ok(match statistic {
            Statistic::Quantile { q, .. } => Program::Quantile {
                item,
                block: self.block(need, 0)?,
                points: need
                    .grid
                    .as_ref()
                    .map(Split::len)
                    .ok_or_else(|| broken("a quantile without grid"))?,
                q_millionths: millionths(q).ok_or_else(|| broken("a quantile out of its range"))?,
            },
            Statistic::TopK { k, .. } => {
                let codes = need.stratum.by.first().map_or(0, Split::len);
                Program::TopK { item, block: self.block(need, 0)?, codes, k: codes.min(*k as usize) }
            }
            Statistic::Chi2 { .. } => {
                let (rows, columns) = sides()?;
                Program::Chi2 { item, block: self.block(need, 0)?, rows, columns }
            }
            Statistic::Fisher { .. } => Program::Fisher { item, block: self.block(need, 0)? },
            Statistic::TTest { .. } => {
                let blocks = [self.block(need, 0)?, self.block(need, 1)?, self.block(need, 2)?];
                Program::TTest { item, blocks }
            }
            Statistic::LogRank { .. } => Program::LogRank {
                item,
                blocks: [self.block(need, 0)?, self.block(need, 1)?],
                groups: need.stratum.by.first().map_or(0, Split::len),
                points: need.grid.as_ref().map_or(0, Split::len),
            },
            Statistic::LinReg { .. } => Program::LinReg { item },
            Statistic::Logit { .. } => Program::Logit { item },
            Statistic::Cox { .. } => Program::Cox { item },
            Statistic::CountDistinct(column) => {
                let inputs = self.plan.multi_party.iter().flat_map(|m| &m.rows);
                let input = inputs.into_iter().position(|input| input.column == *column);
                Program::Distinct { item, input: input.ok_or_else(|| broken("rows are missing"))? }
            }
            _ => return Err(broken("a statistic that is not computed on shares")),
        })
    }
}

/// The block that counts the complete rows of the `item`-th statistic.
///
/// # Errors
/// As [`programs`].
pub fn count_block(plan: &Plan, item: usize) -> Result<usize> {
    let statistic = statistics(&plan.query).nth(item).ok_or_else(|| broken("a statistic is missing"))?;
    Reader { plan }.block(&need(statistic, &plan.columns)?, 0)
}

/// A quantile's text in millionths: above 0, below 1.
fn millionths(q: &str) -> Option<u64> {
    let fixed = super::decimal::Decimal::parse(q)?.to_fixed(6);
    u64::try_from(fixed.floor).ok().filter(|value| fixed.exact && (1..1_000_000).contains(value))
}

/// The heading of a query's `item`-th statistic.
#[must_use]
pub fn heading(plan: &Plan, item: usize) -> &str {
    let mut labels = plan.query.items.iter().filter_map(|i| match i {
        Item::Aggregate { label, .. } => Some(label.as_str()),
        Item::Group { .. } => None,
    });
    labels.nth(item).unwrap_or_default()
}

/// Bits of a count that the plan can have.
fn count_bits(plan: &Plan, block: usize) -> u64 {
    plan.blocks.get(block).map_or(64, |b| u64::from(b.width))
}

/// Predicts what the programs cost: the measured cost of each gate times its uses, rounded up.
///
/// # Errors
/// As [`programs`].
pub fn estimate(plan: &Plan) -> Result<Estimate> {
    let mut total = Estimate { rounds: 8, bytes: 4096 };
    let verify = 14;
    for program in programs(plan)? {
        let cells = plan.cells() as u64;
        let (rounds, bytes) = match &program {
            Program::Release(release) => {
                let comparisons = (release.cells * (1 + 2 * release.levels.len())) as u64;
                let slots: u64 = release.blocks.iter().map(|b| u64::from(plan.blocks[*b].slots)).sum();
                let longest = release.cells.max(2) as u64;
                // Two passes of complements; lines longer than 8 take another level.
                (60 + 2 * 14 * u64::from(longest.ilog2() / 3), comparisons * 260 + 9 * slots)
            }
            Program::Quantile { block, points, .. } => {
                (90 + 12 * cells, cells * *points as u64 * (count_bits(plan, *block) + 24) + 260 * cells)
            }
            Program::TopK { codes, k, .. } => (
                90 + 60 * cells + 30 * (*k as u64 + 2),
                cells * (*codes as u64) * (260 + 64 * (*k as u64 + 2)),
            ),
            Program::Chi2 { rows, columns, .. } => (120, cells * (rows * columns) as u64 * 2_000),
            Program::Fisher { .. } => {
                let rows = plan.multi_party.as_ref().map_or(0, |shares| shares.rows_max);
                (200, cells * (80_000 + 600 * rows))
            }
            Program::TTest { .. } => (150, cells * 20_000),
            Program::LogRank { groups, points, .. } => {
                (150, cells * (groups * groups * points) as u64 * 1_500)
            }
            Program::LinReg { .. } => (400, 1 << 20),
            Program::Logit { .. } => (600, 2 << 20),
            Program::Cox { .. } => (1_500, 64 << 20),
            Program::Distinct { input, .. } => {
                let rows = plan.multi_party.iter().filter_map(|m| m.rows.get(*input));
                let rows: u64 = rows.flat_map(|input| &input.rows).sum();
                let depth = u64::from(rows.max(2).ilog2());
                (40 * depth, rows.saturating_mul(depth).saturating_mul(60))
            }
        };
        total.rounds += rounds + verify;
        total.bytes = total.bytes.saturating_add(bytes);
    }
    Ok(total)
}
