//! Needs to strata and blocks: every sum once, in a slot wide enough that it cannot overflow.

use super::super::catalogue::{Column, ColumnKind};
use super::super::error::QueryError;
use super::super::needs::Need;
use super::super::plan::{Block, Content, Factor, GroupColumn, Measure, Noise, Split, Stratum};
use super::Result;
use super::privacy::{Guarantee, NOISY_SLOTS_MAX};
use super::resolve::Resolved;

/// Most slots of one plan.
pub const SLOTS_MAX: u64 = 1 << 22;

/// Most values a column may have for MIN and MAX.
pub const DOMAIN_MAX: u64 = 1 << 16;

/// Widest slot: sums are handed over as 128-bit integers.
const WIDTH_MAX: u32 = 127;

/// What sizes the blocks.
pub(super) struct Sizing<'a> {
    columns: &'a [Column],
    hospitals: u32,
    rows_max: u128,
    cells: u64,
    log2_t: u32,
}

impl<'a> Sizing<'a> {
    pub fn new(resolved: &'a Resolved, groups: &[GroupColumn], log2_t: u32) -> Result<Self> {
        let cells = groups.iter().try_fold(1u64, |cells, g| cells.checked_mul(g.codes.len() as u64));
        let cells = cells.unwrap_or(u64::MAX);
        slots("group cells", cells)?;
        Ok(Self {
            columns: &resolved.columns,
            hospitals: resolved.hospitals.len() as u32,
            rows_max: resolved.rows_max,
            cells,
            log2_t,
        })
    }

    /// A block of sums of values up to `value_max` in size, with noise up to `noise_max`.
    fn sums(
        &self,
        content: Content,
        by: &[Split],
        (value_max, noise_max): (u128, u128),
        what: &str,
    ) -> Result<Block> {
        let size = self.rows_max.checked_mul(value_max).and_then(|size| size.checked_add(noise_max));
        let bits = size.map_or(u32::MAX, signed_bits);
        let available = self.log2_t.saturating_sub(1).min(WIDTH_MAX);
        if bits > available {
            return Err(QueryError::Overflow { what: what.to_owned(), bits, available });
        }
        self.block(content, by, bits, what)
    }

    fn block(&self, content: Content, by: &[Split], width: u32, what: &str) -> Result<Block> {
        let count = by.iter().try_fold(self.cells, |count, split| count.checked_mul(split.len() as u64));
        let slots = slots(what, count.unwrap_or(u64::MAX))?;
        Ok(Block { content, slots, width })
    }

    /// The largest size of a product.
    fn product_max(&self, product: &[Factor]) -> u128 {
        let mut factors = product.iter().map(|factor| self.factor_max(factor));
        factors.try_fold(1u128, u128::checked_mul).unwrap_or(u128::MAX)
    }

    /// The largest size of a factor.
    fn factor_max(&self, factor: &Factor) -> u128 {
        match factor {
            Factor::Level { .. } => 1,
            Factor::Value(name) => self
                .columns
                .iter()
                .find(|c| c.name == *name)
                .map_or(u128::MAX, |c| u128::from(c.min.unsigned_abs().max(c.max.unsigned_abs()))),
        }
    }
}

/// Bits of a signed integer of at most this size.
pub(super) fn signed_bits(size: u128) -> u32 {
    u128::BITS - size.leading_zeros() + 1
}

fn slots(what: &str, count: u64) -> Result<u32> {
    match u32::try_from(count) {
        Ok(slots) if count <= SLOTS_MAX => Ok(slots),
        _ => Err(QueryError::Limit {
            what: format!("slots for {what}"),
            count,
            limit: SLOTS_MAX,
            hint: "group by fewer columns, use wider bins or a wider time step".into(),
        }),
    }
}

/// The strata and blocks of all needs: masks, measures, extrema, then the quality of the data, which is counted
/// under encryption only: on shares its counts would need floors of their own.
pub(super) fn blocks(
    needs: &[Need],
    sizing: &Sizing<'_>,
    (grouped, sums_only): (bool, bool),
    guarantee: Option<&Guarantee>,
) -> Result<(Vec<Stratum>, Vec<Block>, Vec<Noise>)> {
    let mut strata: Vec<Stratum> = Vec::new();
    let mut blocks: Vec<Block> = Vec::new();
    for need in needs {
        let stratum = intern(&mut strata, &need.stratum);
        let mut found = need
            .products
            .iter()
            .map(|product| measure(need, product, stratum, sizing))
            .collect::<Result<Vec<_>>>()?;
        if let Some((column, max)) = &need.extremum {
            found.push(extremum(column, *max, stratum, sizing)?);
        }
        for block in found {
            if !blocks.contains(&block) {
                blocks.push(block);
            }
        }
    }
    if let Some(guarantee) = guarantee {
        let (blocks, noise) = noisy(blocks, sizing, guarantee)?;
        return Ok((strata, blocks, noise));
    }
    let masks = strata.iter().enumerate().map(|(stratum, of)| {
        sizing.block(
            Content::Withheld { stratum },
            &of.by,
            sizing.hospitals + 1,
            "the masks of withheld cells",
        )
    });
    let mut all = masks.collect::<Result<Vec<_>>>()?;
    all.append(&mut blocks);
    if sums_only {
        all.extend(quality(&strata, sizing, grouped)?);
    }
    let total = all.iter().map(|b| u64::from(b.slots)).sum();
    slots("the whole query", total)?;
    Ok((strata, all, Vec::new()))
}

/// The blocks widened for noise, which is the only thing that hides a small cell of theirs: a mask, or a count of missing
/// values, would show what it hides.
fn noisy(blocks: Vec<Block>, sizing: &Sizing<'_>, guarantee: &Guarantee) -> Result<(Vec<Block>, Vec<Noise>)> {
    let count = blocks.len();
    let total: u64 = blocks.iter().map(|b| u64::from(b.slots)).sum();
    if total > NOISY_SLOTS_MAX {
        return Err(QueryError::Limit {
            what: "slots with noise".into(),
            count: total,
            limit: NOISY_SLOTS_MAX,
            hint: "group by fewer columns, or use wider bins".into(),
        });
    }
    let mut widened = Vec::with_capacity(count);
    let mut noise = Vec::with_capacity(count);
    for block in blocks {
        let Content::Measure(measure) = &block.content else {
            return Err(QueryError::NotAPlan { message: "noise on what is no sum".into() });
        };
        let (value_max, what) = (sizing.product_max(&measure.product), "a sum with noise");
        let drawn = guarantee.noise(value_max, count)?;
        let far = u128::from(drawn.bound).saturating_mul(u128::from(sizing.hospitals));
        let by = measure.by.clone();
        widened.push(sizing.sums(block.content, &by, (value_max, far), what)?);
        noise.push(drawn);
    }
    Ok((widened, noise))
}

fn intern(strata: &mut Vec<Stratum>, stratum: &Stratum) -> usize {
    strata.iter().position(|s| s == stratum).unwrap_or_else(|| {
        strata.push(stratum.clone());
        strata.len() - 1
    })
}

fn measure(need: &Need, product: &[Factor], stratum: usize, sizing: &Sizing<'_>) -> Result<Block> {
    let by = need.by();
    let value_max = sizing.product_max(product);
    let names: Vec<&str> = product
        .iter()
        .map(|factor| match factor {
            Factor::Value(column) | Factor::Level { column, .. } => column.as_str(),
        })
        .collect();
    let what =
        if names.is_empty() { "a count of rows".into() } else { format!("the sum of {}", names.join(" * ")) };
    let cases = need.stratum.cases.clone();
    let content = Content::Measure(Measure { cases, by: by.clone(), product: product.to_vec(), stratum });
    sizing.sums(content, &by, (value_max, 0), &what)
}

fn extremum(name: &str, max: bool, stratum: usize, sizing: &Sizing<'_>) -> Result<Block> {
    let column = sizing
        .columns
        .iter()
        .find(|c| c.name == name && c.kind != ColumnKind::Category && c.kind != ColumnKind::Identifier);
    let points = column.map_or(u64::MAX, |c| c.max.abs_diff(c.min).saturating_add(1));
    if points > DOMAIN_MAX {
        return Err(QueryError::Limit {
            what: format!("values of `{name}` for MIN and MAX"),
            count: points,
            limit: DOMAIN_MAX,
            hint: "HISTOGRAM shows where the values end".into(),
        });
    }
    let content = Content::Extremum { column: name.to_owned(), max, stratum };
    let count = sizing.cells.saturating_mul(points);
    Ok(Block { content, slots: slots("MIN or MAX", count)?, width: sizing.log2_t })
}

/// Missing and out-of-bounds counts of every column that a statistic needs present, and rows in no group.
fn quality(strata: &[Stratum], sizing: &Sizing<'_>, grouped: bool) -> Result<Vec<Block>> {
    let used = |c: &&Column| strata.iter().any(|s| s.cases.contains(&c.name));
    let mut blocks = Vec::new();
    for column in sizing.columns.iter().filter(used) {
        let column = column.name.clone();
        let missing = Content::Missing { column: column.clone() };
        blocks.push(sizing.sums(missing, &[], (1, 0), "a count of rows")?);
        blocks.push(sizing.sums(Content::OutOfBounds { column }, &[], (1, 0), "a count of rows")?);
    }
    if grouped {
        let block = sizing.sums(Content::Ungrouped, &[], (1, 0), "a count of rows")?;
        blocks.push(Block { slots: 1, ..block });
    }
    Ok(blocks)
}
