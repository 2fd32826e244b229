//! The planner: a query, a catalogue and the encryption in use become a plan. Deterministic, so that every
//! hospital makes the same plan from the same signed query.

mod blocks;
mod filter;
mod multi_party;
mod privacy;
mod proofs;
mod resolve;

use super::ast::{Item, Query, Statistic};
use super::catalogue::Catalogue;
use super::error::QueryError;
use super::layout;
use super::needs::{Need, need};
use super::parse::parse;
use super::plan::{Asked, GroupColumn, Participation, Plan, ProtocolInfo};
use super::rounding;

pub use self::blocks::{DOMAIN_MAX, SLOTS_MAX};
pub use self::resolve::HOSPITALS_MAX;

type Result<T> = std::result::Result<T, QueryError>;

/// Plans a query.
///
/// # Errors
/// [`QueryError`] for names that no hospital publishes, definitions that disagree, columns and literals that do
/// not fit, a participation that cannot be met, too many slots, and sums that could overflow.
pub fn plan(
    query: &Query,
    catalogue: &Catalogue,
    protocol: &ProtocolInfo,
    asked: impl Into<Asked>,
) -> Result<Plan> {
    let Asked { participation, route, purpose, study } = asked.into();
    let canonical = query.canonical();
    if parse(&canonical).as_ref() != Ok(query) {
        return Err(QueryError::NotCanonical);
    }
    check(protocol)?;
    let mut resolved = resolve::resolve(query, catalogue)?;
    let rounding = rounding::of(query, catalogue, &resolved.hospitals)?;
    if rounding {
        resolved.rows_max += u128::from(rounding::ERROR_MAX) * resolved.hospitals.len() as u128;
    }
    satisfiable(participation, &resolved.hospitals, protocol)?;
    let groups = groups(query, &resolved)?;
    let filter = query.filter.as_ref().map(|f| filter::typed(f, &resolved.columns)).transpose()?;
    let needs = statistics(query).map(|s| need(s, &resolved.columns)).collect::<Result<Vec<Need>>>()?;
    let multi_party = multi_party::choose(query, route, catalogue, (protocol, &resolved))?;
    let log2_t = if multi_party.is_some() { u64::BITS } else { protocol.log2_t };
    let sizing = blocks::Sizing::new(&resolved, &groups, log2_t)?;
    let kinds = (!query.group_by.is_empty(), multi_party.is_none());
    let guarantee = privacy::Guarantee::of(query, participation, resolved.rows_per_patient)?;
    let (strata, blocks, noise) = blocks::blocks(&needs, &sizing, kinds, guarantee.as_ref())?;
    let mut floor = multi_party::floor(catalogue, &resolved.hospitals, multi_party.is_some())
        .max(study.map_or(0, |(_, floor)| floor));
    if rounding && multi_party.is_some() {
        floor = rounding::floor_on_shares(floor, resolved.hospitals.len());
    }
    let mut plan = Plan {
        canonical,
        query: query.clone(),
        columns: resolved.columns,
        hospitals: resolved.hospitals,
        left_out: resolved.left_out,
        participation,
        filter,
        groups,
        strata,
        blocks,
        floor,
        rounding,
        protocol: protocol.clone(),
        purpose,
        ciphertexts: 0,
        privacy: guarantee.map(|guarantee| guarantee.with(noise)),
        multi_party,
        study: study.map(|(digest, _)| digest),
        proved: None,
    };
    if query.is_proved {
        proofs::prove(&mut plan, catalogue)?;
    }
    if plan.multi_party.is_some() {
        multi_party::reasonable(&plan)?;
        if !plan.is_masked() {
            return Ok(plan);
        }
    }
    plan.ciphertexts = ciphertexts(&plan)?;
    Ok(plan)
}

/// Ciphertexts that the slots of a plan fill.
fn ciphertexts(plan: &Plan) -> Result<u32> {
    let protocol = &plan.protocol;
    // What goes on as shares has a coefficient for each slot: packed slots have carries, which shares cannot undo.
    let runs = if plan.is_masked() {
        vec![(protocol.log2_t, u32::try_from(plan.slots()).unwrap_or(u32::MAX))]
    } else {
        plan.runs()
    };
    let ciphertexts = layout::ciphertexts(&runs, protocol.log2_t, protocol.degree);
    u32::try_from(ciphertexts)
        .map_err(|_| QueryError::Protocol { message: format!("{ciphertexts} ciphertexts are too many") })
}

/// The statistics of a query, in order.
pub(crate) fn statistics(query: &Query) -> impl Iterator<Item = &Statistic> {
    query.items.iter().filter_map(|item| match item {
        Item::Aggregate { statistic, .. } => Some(statistic),
        Item::Group { .. } => None,
    })
}

fn groups(query: &Query, resolved: &resolve::Resolved) -> Result<Vec<GroupColumn>> {
    query.group_by.iter().map(|name| resolved.group(name)).collect()
}

fn check(protocol: &ProtocolInfo) -> Result<()> {
    let refuse = |message: String| Err(QueryError::Protocol { message });
    let holders = protocol.key_holders.len() as u64;
    if protocol.threshold == 0 || u64::from(protocol.threshold) > holders {
        return refuse(format!("{} of {holders} key holders cannot open anything", protocol.threshold));
    }
    if protocol.degree == 0 || protocol.log2_t < 8 {
        return refuse(format!("{} coefficients of {} bits", protocol.degree, protocol.log2_t));
    }
    Ok(())
}

/// With at least m hospitals promised, enough key holders must be left when all the others are away.
fn satisfiable(participation: Participation, hospitals: &[String], protocol: &ProtocolInfo) -> Result<()> {
    let Participation::AtLeast(least) = participation else { return Ok(()) };
    let (least, count) = (least as usize, hospitals.len());
    if least == 0 || least > count {
        return Err(QueryError::Participation {
            message: format!("at least {least} of {count} hospitals"),
            hint: format!("ask for 1 to {count}, or for all"),
        });
    }
    let at_home = hospitals.iter().filter(|h| protocol.key_holders.contains(h)).count();
    let (holders, threshold) = (protocol.key_holders.len(), protocol.threshold as usize);
    let away = (count - least).min(at_home);
    if holders - away < threshold {
        let enough = count - (holders - threshold).min(count);
        return Err(QueryError::Participation {
            message: format!("with {least} of {count} hospitals, {threshold} key holders may not be there"),
            hint: format!("ask for at least {enough}, or make a key with a lower threshold"),
        });
    }
    Ok(())
}
