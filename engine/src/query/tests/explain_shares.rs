//! The explanation of a query on shares, word for word: what a researcher and a hospital's administrator rely on.

use crate::query::ast::Route;
use crate::query::explain::{CostModel, explain};
use crate::query::plan::{Asked, Participation};
use crate::query::{parse, plan};

use super::world::{World, category, integer, real};
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

#[test]
fn the_explanation_of_a_query_on_shares_says_who_learns_what() {
    let columns = [
        integer("age", 0, 120),
        integer("dead", 0, 1),
        real("bmi", 1, 10, 80),
        category("sex", &["F", "M"]),
        category("dx", &["a", "b", "c"]),
    ];
    let names = columns.iter().map(|c| c.name.clone()).collect();
    let rows = Rows { names, rows: vec![vec![None; columns.len()]; 1_000] };
    let world = World::new("t", &columns, ["A", "B", "C"].map(|h| (h.to_owned(), rows.clone()))).floor(5);
    for (name, sql) in [
        ("explain_release", "SELECT COUNT(*), MEDIAN(age) FROM t WHERE age > 50 GROUP BY sex"),
        ("explain_models", "SELECT LINREG(bmi, age), LOGIT(dead, age), TOPK(dx, 2) FROM t"),
    ] {
        let asked =
            Asked { participation: Participation::All, route: Route::MultiParty, purpose: None, study: None };
        let plan = plan(&parse(sql).unwrap(), &world.catalogue, &world.protocol(), asked);
        let plan = plan.unwrap_or_else(|e| panic!("{sql}: {e}"));
        assert_snapshot(name, &explain(&plan, &CostModel::default()).text());
    }
}
