//! Whether a query is computed on shares, by whom, and whether that is reasonable.

use super::super::ast::{Query, Route, Statistic};
use super::super::catalogue::{Catalogue, Column};
use super::super::error::QueryError;
use super::super::plan::{Arrival, MultiParty, Plan, ProtocolInfo, RowInput, SecurityLevel};
use super::super::scales::scales;
use super::super::secure;
use super::resolve::Resolved;
use super::{Result, statistics};

/// Compute nodes of a session.
const NODES: usize = 3;
/// Bits of a count of rows on shares.
const ROWS_BITS: u32 = 24;
/// Bits of a value in a t-test on shares.
const VALUE_BITS: u32 = 17;
/// Most points of time of a Cox model.
const GRID_MAX: u64 = 1 << 14;
/// Most rows of an exact test.
const FISHER_ROWS_MAX: u128 = 1 << 15;
/// Hospitals that do not compute, from which on sums arrive under encryption.
const OTHERS_MIN: usize = 14;
/// Most bytes that a compute node sends in a job.
const BYTES_MAX: u64 = 4 << 30;
/// Most rounds of a job: at a round trip of 80 ms they take a quarter of an hour.
const ROUNDS_MAX: u64 = 12_000;

/// Whether sums under encryption cannot answer the statistic.
fn is_for_shares(statistic: &Statistic) -> bool {
    matches!(
        statistic,
        Statistic::Quantile { .. }
            | Statistic::CountDistinct(_)
            | Statistic::TopK { .. }
            | Statistic::Fisher { .. }
            | Statistic::LinReg { .. }
            | Statistic::Logit { .. }
            | Statistic::Cox { .. }
    )
}

fn is_without_groups(statistic: &Statistic) -> bool {
    matches!(
        statistic,
        Statistic::CountDistinct(_)
            | Statistic::LinReg { .. }
            | Statistic::Logit { .. }
            | Statistic::Cox { .. }
    )
}

/// The computation on shares, where the query needs it or asks for it.
pub(super) fn choose(
    query: &Query,
    route: Route,
    catalogue: &Catalogue,
    (protocol, resolved): (&ProtocolInfo, &Resolved),
) -> Result<Option<MultiParty>> {
    if route == Route::Auto && !statistics(query).any(is_for_shares) {
        return Ok(None);
    }
    let refuse = |construct: String, hint: &str| {
        Err(QueryError::Unsupported { construct, hint: hint.into(), place: None })
    };
    for statistic in statistics(query) {
        let construct = format!("{} on shares", statistic.canonical());
        match statistic {
            Statistic::Min(_) | Statistic::Max(_) => {
                return refuse(construct, "ask for MIN and MAX in a query of their own");
            }
            Statistic::Ols { .. } => {
                return refuse(construct, "LINREG shows coefficients and standard errors alone");
            }
            grouped if !query.group_by.is_empty() && is_without_groups(grouped) => {
                let construct = format!("{} with GROUP BY", statistic.canonical());
                return refuse(construct, "ask for one group at a time with WHERE");
            }
            _ => {}
        }
    }
    if resolved.rows_max > 1 << ROWS_BITS {
        return Err(QueryError::Limit {
            what: "rows of all hospitals together, on shares".into(),
            count: u64::try_from(resolved.rows_max).unwrap_or(u64::MAX),
            limit: 1 << ROWS_BITS,
            hint: "publish the tables with tighter rows_max".into(),
        });
    }
    for statistic in statistics(query) {
        match statistic {
            Statistic::TTest { value, .. } => narrow(value, &resolved.columns)?,
            Statistic::LinReg { .. } | Statistic::Logit { .. } => {
                scales(statistic, &resolved.columns)?;
            }
            Statistic::Cox { time, .. } => {
                scales(statistic, &resolved.columns)?;
                on_grid(time, &resolved.columns)?;
            }
            Statistic::Fisher { .. } if resolved.rows_max > FISHER_ROWS_MAX => {
                return Err(QueryError::Limit {
                    what: "rows of all hospitals together, for an exact test".into(),
                    count: u64::try_from(resolved.rows_max).unwrap_or(u64::MAX),
                    limit: FISHER_ROWS_MAX as u64,
                    hint: "CHI2 is as good for so many, or publish the tables with tighter rows_max".into(),
                });
            }
            _ => {}
        }
    }
    let rows = row_inputs(query, resolved);
    let nodes = nodes(catalogue, protocol)?;
    let rows_max = resolved.rows.iter().fold(0u64, |sum, rows| sum.saturating_add(*rows));
    let arrival = arrival(query, route, (protocol, &resolved.hospitals), &nodes)?;
    Ok(Some(MultiParty { nodes, security: SecurityLevel::Malicious, rows_max, rows, arrival }))
}

/// What hospitals give row by row.
fn row_inputs(query: &Query, resolved: &Resolved) -> Vec<RowInput> {
    let mut rows: Vec<RowInput> = Vec::new();
    for statistic in statistics(query) {
        if let Statistic::CountDistinct(column) = statistic
            && rows.iter().all(|input| input.column != *column)
        {
            rows.push(RowInput { column: column.clone(), rows: resolved.rows.clone() });
        }
    }
    rows
}

/// How the sums come to the compute nodes. Under encryption each hospital sends once, whether or not the nodes are there;
/// directly, it must be there in every attempt and reach all three nodes: which many hospitals are not.
fn arrival(
    query: &Query,
    route: Route,
    (protocol, hospitals): (&ProtocolInfo, &[String]),
    nodes: &[String],
) -> Result<Arrival> {
    let refuse = |construct: String, hint: &str| {
        Err(QueryError::Unsupported { construct, hint: hint.into(), place: None })
    };
    // Rows, and answers to questions, are more than one sum.
    let rows = statistics(query).find(|statistic| is_without_groups(statistic));
    let has_room = protocol.log2_t >= u64::BITS;
    let is_known = hospitals.len() <= protocol.key_holders.len();
    if route != Route::Encrypted {
        let others = hospitals.iter().filter(|name| !nodes.contains(name)).count();
        let pays = others >= OTHERS_MIN && rows.is_none() && has_room && is_known;
        return Ok(if pays { Arrival::Encrypted } else { Arrival::Direct });
    }
    if let Some(statistic) = rows {
        let construct = format!("{} of sums under encryption", statistic.canonical());
        return refuse(construct, "it takes more of the hospitals than one sum: ask with --mpc");
    }
    if !has_room {
        let construct = format!("shares of sums under {} bits", protocol.log2_t);
        return refuse(construct, "ask with --mpc, or make a key of the profile default-8192");
    }
    if !is_known {
        let construct = format!(
            "a sum over {} hospitals under a key made for {}",
            hospitals.len(),
            protocol.key_holders.len()
        );
        return refuse(construct, "ask with --mpc, or hold a new key ceremony with all hospitals");
    }
    Ok(Arrival::Encrypted)
}

/// A Cox model's times lie on a grid of bounded length.
fn on_grid(name: &str, columns: &[Column]) -> Result<()> {
    let points = columns.iter().find(|c| c.name == name).map_or(0, |c| c.max.unsigned_abs() + 1);
    if points <= GRID_MAX {
        return Ok(());
    }
    Err(QueryError::Limit {
        what: format!("points of time of `{name}`"),
        count: points,
        limit: GRID_MAX,
        hint: "publish the time in weeks or months".into(),
    })
}

/// A t-test on shares takes values of few bits.
fn narrow(name: &str, columns: &[Column]) -> Result<()> {
    let Some(column) = columns.iter().find(|column| column.name == name) else { return Ok(()) };
    let size = column.min.unsigned_abs().max(column.max.unsigned_abs());
    if size >> VALUE_BITS == 0 {
        return Ok(());
    }
    Err(QueryError::Limit {
        what: format!("size of `{name}` in its fixed point, for a t-test on shares"),
        count: size,
        limit: (1 << VALUE_BITS) - 1,
        hint: "publish it with fewer digits or tighter bounds, or ask without --mpc".into(),
    })
}

fn nodes(catalogue: &Catalogue, protocol: &ProtocolInfo) -> Result<Vec<String>> {
    let chosen: Vec<String> = match catalogue.compute.as_slice() {
        [] => protocol.key_holders.iter().take(NODES).cloned().collect(),
        chosen => chosen.to_vec(),
    };
    let distinct = chosen.iter().enumerate().all(|(i, name)| !chosen[..i].contains(name));
    if chosen.len() != NODES || !distinct {
        let message =
            format!("computation on shares takes {NODES} hospitals, the consortium has {}", chosen.len());
        return Err(QueryError::Protocol { message });
    }
    match chosen.iter().find(|name| !protocol.key_holders.contains(name)) {
        Some(stranger) => Err(QueryError::Protocol {
            message: format!("the compute node {stranger} was not at the key ceremony"),
        }),
        None => Ok(chosen),
    }
}

/// The floor in force: the consortium's; on shares it is one for all, so the highest of a hospital's counts.
pub(super) fn floor(catalogue: &Catalogue, hospitals: &[String], on_shares: bool) -> u32 {
    if !on_shares {
        return catalogue.floor;
    }
    let own = hospitals.iter().filter_map(|name| catalogue.hospitals.get(name)).map(|p| p.floor);
    own.fold(catalogue.floor, u32::max)
}

/// Refuses what would take unreasonably long, with the estimate and the alternative.
pub(super) fn reasonable(plan: &Plan) -> Result<()> {
    let estimate = secure::estimate(plan)?;
    if estimate.bytes <= BYTES_MAX && estimate.rounds <= ROUNDS_MAX {
        return Ok(());
    }
    Err(QueryError::Unreasonable {
        rounds: estimate.rounds,
        bytes: estimate.bytes,
        hint:
            "use fewer groups, a wider step or width, or fewer predictors; COUNT, AVG, OLS and KAPLAN_MEIER \
               are sums, which encryption adds up in four rounds"
                .into(),
    })
}
