//! The explanation of a query on shares, word for word: what a researcher and a hospital's administrator rely on.

use crate::query::ast::Route;
use crate::query::explain::{CostModel, explain};
use crate::query::plan::{Asked, Participation, Plan, ProtocolInfo};
use crate::query::{QueryError, parse, plan};

use super::world::{World, category, integer, protocol, real};
use crate::query::reference::Rows;

/// Set to write the files again after a change that is meant.
const UPDATE: &str = "WARD_UPDATE_SNAPSHOTS";

fn assert_snapshot(name: &str, text: &str) {
    let path = format!("{}/src/query/tests/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, known, "{path} is not what is said now; {UPDATE}=1 writes it again");
}

/// So many hospitals with the same table.
fn hospitals(count: usize) -> World {
    let columns = [
        integer("age", 0, 120),
        integer("dead", 0, 1),
        real("bmi", 1, 10, 80),
        category("sex", &["F", "M"]),
        category("dx", &["a", "b", "c"]),
    ];
    let names = columns.iter().map(|c| c.name.clone()).collect();
    let rows = Rows { names, rows: vec![vec![None; columns.len()]; 1_000] };
    let name = |i: usize| char::from(b'A' + i as u8).to_string();
    World::new("t", &columns, (0..count).map(|i| (name(i), rows.clone()))).floor(5)
}

fn planned(world: &World, sql: &str, route: Route) -> Result<Plan, QueryError> {
    let asked = Asked { participation: Participation::All, route, purpose: None, study: None };
    plan(&parse(sql).unwrap(), &world.catalogue, &world.protocol(), asked)
}

#[test]
fn the_explanation_of_a_query_on_shares_says_who_learns_what() {
    let world = hospitals(3);
    for (name, sql) in [
        ("explain_release", "SELECT COUNT(*), MEDIAN(age) FROM t WHERE age > 50 GROUP BY sex"),
        ("explain_models", "SELECT LINREG(bmi, age), LOGIT(dead, age), TOPK(dx, 2) FROM t"),
    ] {
        let plan = planned(&world, sql, Route::MultiParty).unwrap_or_else(|e| panic!("{sql}: {e}"));
        assert_snapshot(name, &explain(&plan, &CostModel::default()).text());
    }
}

#[test]
fn the_explanation_of_sums_that_arrive_under_encryption_says_who_learns_what() {
    let sql = "SELECT COUNT(*), MEDIAN(age) FROM t GROUP BY sex";
    let asked = planned(&hospitals(4), sql, Route::Encrypted).unwrap();
    assert_snapshot("explain_encrypted", &explain(&asked, &CostModel::default()).text());
    // Nobody asks: fourteen hospitals beside the three that compute.
    let chosen = planned(&hospitals(17), sql, Route::MultiParty).unwrap();
    assert_snapshot("explain_encrypted_many", &explain(&chosen, &CostModel::default()).text());
}

#[test]
fn sums_arrive_under_encryption_where_many_hospitals_do_not_compute_or_it_is_asked() {
    let sql = "SELECT MEDIAN(age) FROM t";
    for (count, route, masked) in [
        (3, Route::Auto, false),
        (3, Route::MultiParty, false),
        (3, Route::Encrypted, true),
        (16, Route::Auto, false),
        (17, Route::Auto, true),
        (17, Route::MultiParty, true),
    ] {
        let plan = planned(&hospitals(count), sql, route).unwrap();
        assert_eq!(plan.is_masked(), masked, "{count} {route:?}");
        // A coefficient for each slot, packed into nothing.
        let expected = if masked { plan.slots().div_ceil(plan.protocol.degree as usize) } else { 0 };
        assert_eq!(plan.ciphertexts as usize, expected);
    }
    // What takes more than one sum of a hospital goes directly, or is refused where it is asked otherwise.
    let sql = "SELECT LOGIT(dead, age) FROM t";
    assert!(!planned(&hospitals(17), sql, Route::Auto).unwrap().is_masked());
    assert!(matches!(planned(&hospitals(3), sql, Route::Encrypted), Err(QueryError::Unsupported { .. })));
    // A key of small coefficients, and a key made by fewer than take part.
    let world = hospitals(4);
    let asked =
        Asked { participation: Participation::All, route: Route::Encrypted, purpose: None, study: None };
    let query = parse("SELECT MEDIAN(age) FROM t").unwrap();
    let small = ProtocolInfo { log2_t: 63, ..world.protocol() };
    assert!(matches!(plan(&query, &world.catalogue, &small, asked), Err(QueryError::Unsupported { .. })));
    let fewer = protocol(&["A", "B", "C"]);
    assert!(matches!(plan(&query, &world.catalogue, &fewer, asked), Err(QueryError::Unsupported { .. })));
}
