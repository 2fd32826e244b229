//! Sums, floors, masks, bounds and conditions by known answers.

use super::{Folder, World};
use crate::party::local::LocalError;
use crate::party::local::step::{SlotValue, run};
use crate::query::plan::{Content, Filter, Plan};

const COLUMNS: &str = r#"
[[table.column]]
name = "x"
kind = "real"
digits = 1
min = 0
max = 10
[[table.column]]
name = "y"
kind = "integer"
min = 0
max = 10
out_of_bounds = "clamp"
[[table.column]]
name = "e"
kind = "integer"
min = 0
max = 1
[[table.column]]
name = "g"
kind = "category"
codes = ["a", "b", "c"]
"#;

/// x: six values, one missing, one unparseable, one above; y: one below, one above.
const ROWS: &str =
    "x,y,e,g\n1.25,1,1,a\n2,2,0,a\n3,3,1,a\n4.5,-4,0,b\n5,50,1,b\n,6,1,b\n11,7,0,\nten,8,1,z\n6,9,,a\n";

fn world(floor: u32) -> (World, Folder) {
    let folder = Folder::new(&[("t.csv", ROWS)]);
    (World::one(floor, folder.data("{ csv = \"t.csv\" }", COLUMNS)), folder)
}

/// Slots of the first block that is like this.
fn block(world: &World, sql: &str, like: impl Fn(&Content) -> bool) -> Vec<i128> {
    let plan = world.plan(sql);
    let slots = world.slots(sql);
    let mut start = 0;
    for block in &plan.blocks {
        let end = start + block.slots as usize;
        if like(&block.content) {
            return slots[start..end].to_vec();
        }
        start = end;
    }
    panic!("no such block in {sql}");
}

fn count(world: &World, condition: &str) -> i128 {
    let sql = format!("SELECT COUNT(*) FROM t WHERE {condition}");
    block(world, &sql, |c| matches!(c, Content::Measure(_)))[0]
}

#[test]
fn sums_leave_out_what_is_missing_or_rejected_and_round_half_away() {
    let (world, _folder) = world(1);
    let slots = world.slots("SELECT SUM(x) FROM t");
    // Mask; count; 13 + 20 + 30 + 45 + 50 + 60; missing: empty, no number, rejected; out of bounds.
    assert_eq!(slots, [0, 6, 218, 3, 1]);
}

#[test]
fn clamped_values_count_at_the_bound_and_are_reported() {
    let (world, _folder) = world(1);
    // 1 + 2 + 3 + 0 + 10 + 6 + 7 + 8 + 9, two clamped.
    assert_eq!(world.slots("SELECT SUM(y) FROM t"), [0, 9, 46, 0, 2]);
}

#[test]
fn a_text_that_is_no_code_is_out_of_bounds() {
    let (world, _folder) = world(1);
    let sql = "SELECT g, COUNT(g) FROM t GROUP BY g";
    assert_eq!(block(&world, sql, |c| matches!(c, Content::Measure(_))), [4, 3, 0]);
    assert_eq!(block(&world, sql, |c| *c == Content::Ungrouped), [2]);
    let sql = "SELECT COUNT(g) FROM t";
    assert_eq!(block(&world, sql, |c| matches!(c, Content::OutOfBounds { .. })), [1]);
    assert_eq!(block(&world, sql, |c| matches!(c, Content::Missing { .. })), [2]);
}

#[test]
fn conditions_follow_three_valued_logic() {
    let (world, _folder) = world(1);
    for (condition, rows) in [
        ("x > 3", 3),
        ("NOT x > 3", 3),
        ("x > 3 OR NOT x > 3", 6),
        ("x > 3 OR y >= 0", 9),
        ("x > 3 AND y > 100", 0),
        ("NOT (x > 3 AND y > 100)", 9),
        ("x IS NULL", 3),
        ("NOT x IS NULL", 6),
        ("g <> 'a'", 3),
        ("NOT g IN ('a')", 3),
        ("g IN ('a', 'c')", 4),
        ("x = 1.3", 1),
        ("x = 1.25", 0),
        ("x <> 1.25", 6),
        ("x BETWEEN 1.25 AND 3", 3),
        ("e = 1 AND g = 'a'", 2),
        ("x < 1000", 6),
        ("NOT x < 1000", 0),
    ] {
        assert_eq!(count(&world, condition), rows, "{condition}");
    }
}

#[test]
fn a_cell_under_the_floor_gives_zeros_and_a_mask() {
    let (world, _folder) = world(4);
    let sql = "SELECT g, COUNT(*), SUM(y) FROM t GROUP BY g";
    let plan = world.plan(sql);
    let slots = world.slots(sql);
    // Cells a (4 rows), b (3), c (none): masks of rows and of y, then sums, then quality.
    assert_eq!(plan.strata.len(), 2);
    assert_eq!(slots[..6], [0, 1, 1, 0, 1, 1]);
    assert_eq!(slots[6..9], [4, 0, 0]);
    assert!(slots[9..].chunks(3).filter(|c| c.len() == 3).all(|cell| cell[1] == 0 && cell[2] == 0));
    assert_eq!(world.slots("SELECT COUNT(*) FROM t"), [0, 9]);
}

#[test]
fn an_indicator_sum_is_withheld_when_its_ones_or_zeros_are_few() {
    // Eight values of e: five ones, three zeros.
    for (floor, mask, ones) in [(1, 0, 5), (3, 0, 5), (4, 1, 0), (9, 1, 0)] {
        let (world, _folder) = world(floor);
        let slots = world.slots("SELECT SUM(e) FROM t");
        assert_eq!((slots[0], slots[2]), (mask, ones), "floor {floor}");
    }
}

#[test]
fn the_higher_floor_rules() {
    let (world, _folder) = world(1);
    let plan = world.plan("SELECT COUNT(*) FROM t");
    let slots = |floor| run(&plan, &world.data["H"], "H", floor).unwrap().slots;
    assert_eq!(slots(9), [SlotValue::Int(0), SlotValue::Int(9)]);
    assert_eq!(slots(10), [SlotValue::Int(1), SlotValue::Int(0)]);
    let strict = Plan { floor: 10, ..plan.clone() };
    let slots = run(&strict, &world.data["H"], "H", 1).unwrap().slots;
    assert_eq!(slots, [SlotValue::Int(1), SlotValue::Int(0)]);
}

#[test]
fn a_histogram_closes_its_last_bin_and_keeps_what_is_outside() {
    let (world, _folder) = world(1);
    let sql = "SELECT HISTOGRAM(x, [2, 3, 5]) FROM t";
    // 1.3 below; 2 in [2, 3); 3, 4.5 and 5 in [3, 5]; 6 above.
    assert_eq!(block(&world, sql, |c| matches!(c, Content::Measure(_))), [1, 1, 3, 1]);
}

#[test]
fn a_time_grid_has_zero_by_itself_and_closes_steps_above() {
    let (world, _folder) = world(1);
    let sql = "SELECT KAPLAN_MEIER(y, e, 4) FROM t";
    // y of the rows with e: 1, 2, 3, 0 (clamped), 10 (clamped), 6, 7, 8; cells 0, (0, 4], (4, 8], (8, 12].
    assert_eq!(
        block(&world, sql, |c| matches!(c, Content::Measure(m) if m.product.is_empty())),
        [1, 3, 3, 1]
    );
    assert_eq!(
        block(&world, sql, |c| matches!(c, Content::Measure(m) if !m.product.is_empty())),
        [0, 2, 2, 1]
    );
}

#[test]
fn an_extremum_shows_random_numbers_from_the_hospitals_own_value_on() {
    let folder = Folder::new(&[("t.csv", "x,y,e,g\n1,3,1,a\n1,7,1,a\n")]);
    let world = World::one(1, folder.data("{ csv = \"t.csv\" }", COLUMNS));
    let own = |sql: &str| {
        let slots = block(&world, sql, |c| matches!(c, Content::Extremum { .. }));
        slots.iter().map(|slot| if *slot == 1 { '*' } else { '.' }).collect::<String>()
    };
    assert_eq!(own("SELECT MIN(y) FROM t"), "...********");
    assert_eq!(own("SELECT MAX(y) FROM t"), "********...");
    let withheld = World::one(3, folder.data("{ csv = \"t.csv\" }", COLUMNS));
    let slots = block(&withheld, "SELECT MAX(y) FROM t", |c| matches!(c, Content::Extremum { .. }));
    assert!(slots.iter().all(|slot| *slot == 0));
}

#[test]
fn a_sum_that_does_not_fit_its_slot_is_refused() {
    let (world, _folder) = world(1);
    let mut plan = world.plan("SELECT SUM(y) FROM t");
    let at =
        plan.blocks.iter().position(|b| matches!(&b.content, Content::Measure(m) if !m.product.is_empty()));
    let at = at.unwrap();
    // 46 takes seven bits with its sign.
    plan.blocks[at].width = 7;
    assert!(run(&plan, &world.data["H"], "H", 1).is_ok());
    plan.blocks[at].width = 6;
    let error = run(&plan, &world.data["H"], "H", 1).map(|_| ()).unwrap_err();
    assert_eq!(error, LocalError::SlotTooWide { block: at, width: 6 });
    assert_eq!(error.code(), "plan.width");
}

#[test]
fn a_plan_with_other_bounds_or_unknown_columns_is_refused() {
    let (world, _folder) = world(1);
    let honest = world.plan("SELECT g, SUM(y) FROM t WHERE x > 1 GROUP BY g");
    let refused = |change: fn(&mut Plan)| {
        let mut plan = honest.clone();
        change(&mut plan);
        run(&plan, &world.data["H"], "H", 1).map(|_| ()).unwrap_err().code()
    };
    assert_eq!(refused(|p| p.columns[0].max += 1), "plan.inconsistent");
    assert_eq!(refused(|p| p.columns.clear()), "plan.inconsistent");
    assert_eq!(refused(|p| p.groups[0].codes.push("d".into())), "plan.inconsistent");
    assert_eq!(refused(|p| p.strata.clear()), "plan.inconsistent");
    assert_eq!(refused(|p| p.blocks[0].slots += 1), "plan.inconsistent");
    assert_eq!(refused(|p| p.filter = Some(Filter::IsNull { column: "z".into() })), "plan.inconsistent");
    assert_eq!(refused(|p| p.query.table = "u".into()), "plan.table");
    assert_eq!(refused(|p| p.hospitals = vec!["I".into()]), "plan.hospital");
    assert_eq!(
        refused(|p| {
            let leaf = Filter::IsNull { column: "x".into() };
            p.filter = Some((0..100).fold(leaf, |inner, _| Filter::Not(Box::new(inner))));
        }),
        "plan.inconsistent"
    );
}
