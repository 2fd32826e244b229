//! What the rules of release keep: an attacker with a thousand pairs of queries against the synthetic cohort, the same
//! attacker without the guard, noise and its deviation, and rows beyond a patient's bound.

use proptest::prelude::*;

use super::{Folder, World, integers};
use crate::party::local::cohort::{Partition, is_too_close};
use crate::party::local::noise;
use crate::party::local::step::{SlotValue, run};
use crate::query::plan::Plan;
use crate::query::reference::{Rows, evaluate};
use crate::query::tests::synth;

const COLUMNS: &str = r#"
[[table.column]]
name = "age"
kind = "integer"
min = 0
max = 120
[[table.column]]
name = "sbp"
kind = "integer"
min = 40
max = 300
[[table.column]]
name = "time"
kind = "integer"
min = 0
max = 3000
[[table.column]]
name = "hba1c"
kind = "integer"
min = 10
max = 200
"#;

/// One hospital `H` with a table `t`; the folder must outlive it.
fn world(csv: &str, columns: &str, floor: u32) -> (Folder, World) {
    let folder = Folder::new(&[("t.csv", csv)]);
    let data = folder.data("{ csv = \"t.csv\" }", columns);
    (folder, World::one(floor, data))
}

/// What an attacker learns of the hospital by subtracting two answers: rows and sum of `hba1c`.
struct Attack {
    shown: Vec<Vec<Partition>>,
    floor: u64,
}

impl Attack {
    /// The count and the sum, where the hospital answers.
    fn ask(&mut self, plan: &Plan, world: &World, guarded: bool) -> Option<(i128, i128)> {
        let local = run(plan, &world.data["H"], "H", self.floor as u32).unwrap();
        let is_close = |kept: &Partition, new: &Partition| is_too_close(kept, new, None, self.floor);
        let refused = guarded
            && self
                .shown
                .iter()
                .any(|kept| kept.iter().any(|k| local.cohorts.iter().any(|n| is_close(k, n))));
        if refused {
            return None;
        }
        let slots = integers(&local);
        // The mask, the count, the sum.
        let found = (slots[0] == 0).then(|| (slots[1], slots[2]));
        if self.shown.iter().all(|kept| *kept != local.cohorts) {
            self.shown.push(local.cohorts);
        }
        found
    }
}

/// People of the cohort, with what an attacker knows of them and what it wants to know.
fn people(rows: u64) -> Vec<[i64; 4]> {
    let table = Rows::from_csv(&synth::csv(rows), &[]);
    let at = |name: &str| table.names.iter().position(|n| n == name).unwrap();
    let wanted = ["age", "sbp", "time", "hba1c"].map(at);
    let number = |row: &Vec<Option<String>>, i: usize| row[i].as_deref().and_then(|text| text.parse().ok());
    let person = |row: &Vec<Option<String>>| {
        let [a, b, c, d] = wanted.map(|i| number(row, i));
        Some([a?, b?, c?, d?])
    };
    table.rows.iter().filter_map(person).collect()
}

/// Pairs of queries that differ in one person, to whom the attacker's knowledge points alone; how many of their values
/// it recovers.
fn recovered(pairs: usize, guarded: bool) -> usize {
    let people = people(400);
    let mut csv = String::from("age,sbp,time,hba1c\n");
    for [age, sbp, time, hba1c] in &people {
        csv.push_str(&format!("{age},{sbp},{time},{hba1c}\n"));
    }
    let (_folder, world) = world(&csv, COLUMNS, 5);
    let mut attack = Attack { shown: Vec::new(), floor: 5 };
    let mut found = 0;
    for (i, target) in people.iter().cycle().take(pairs).enumerate() {
        let [age, sbp, time, hba1c] = *target;
        let alike = people.iter().filter(|p| p[0] == age && p[1] == sbp && p[2] == time).count();
        if alike != 1 {
            continue;
        }
        let low = age - 10 - (i / people.len()) as i64;
        let base = format!("SELECT COUNT(hba1c), SUM(hba1c) FROM t WHERE age >= {low}");
        let without = format!("{base} AND NOT (age = {age} AND sbp = {sbp} AND time = {time})");
        let answers = [base, without].map(|sql| attack.ask(&world.plan(&sql), &world, guarded));
        if let [Some(all), Some(rest)] = answers
            && all.0 - rest.0 == 1
            && all.1 - rest.1 == i128::from(hba1c)
        {
            found += 1;
        }
        if !guarded {
            attack.shown.clear();
        }
    }
    found
}

#[test]
fn an_attacker_with_a_thousand_pairs_recovers_nobody() {
    assert_eq!(recovered(1000, true), 0);
}

#[test]
fn the_same_attacker_without_the_guard_recovers_nearly_everybody() {
    let found = recovered(60, false);
    assert!(found > 50, "{found}");
}

const PATIENTS: &str = r#"patient = "mrn"
rows_per_patient_max = 2
[[table.column]]
name = "x"
kind = "integer"
min = 0
max = 10
"#;

#[test]
fn rows_beyond_a_patients_bound_are_left_out_where_there_is_noise() {
    // Anna has four rows, one of them filtered out; a row without a patient never counts.
    let csv = "mrn,x\nanna,1\nanna,2\nbob,3\nanna,4\n,5\nanna,0\nbob,6\n";
    let folder = Folder::new(&[("t.csv", csv)]);
    let data = folder.data("{ csv = \"t.csv\" }", PATIENTS);
    let world = World::one(1, data);
    let sums = |sql: &str| world.slots(sql);
    let exact = sums("SELECT SUM(x) FROM t WHERE x > 0");
    assert_eq!(&exact[1..3], [6, 21]);
    let bounded = sums("SELECT SUM(x) FROM t WHERE x > 0 WITH PRIVACY (epsilon = 1)");
    assert_eq!(bounded, [4, 1 + 2 + 3 + 6]);
    let plan = world.plan("SELECT SUM(x) FROM t WITH PRIVACY (epsilon = 1)");
    let privacy = plan.privacy.unwrap();
    assert_eq!(privacy.rows_per_patient, 2);
    assert_eq!(privacy.noise.iter().map(|n| n.sensitivity).collect::<Vec<_>>(), [2, 20]);
}

#[test]
fn noise_moves_every_slot_and_never_further_than_its_bound() {
    let csv: String =
        std::iter::once("x\n".to_owned()).chain((0..40).map(|i| format!("{}\n", i % 10))).collect();
    let (_folder, world) =
        world(&csv, "[[table.column]]\nname = \"x\"\nkind = \"integer\"\nmin = 0\nmax = 10\n", 5);
    let plan = world.plan(
        "SELECT COUNT(*), AVG(x), HISTOGRAM(x, [0, 2, 4, 6, 8, 10]) FROM t WITH PRIVACY (epsilon = 0.1, delta = 1e-6)",
    );
    let local = run(&plan, &world.data["H"], "H", 5).unwrap();
    let before = integers(&local);
    // With noise nothing is withheld, the lonely bin of the tens included.
    assert!(before.iter().filter(|n| **n > 0).count() >= 7, "{before:?}");
    let mut slots = local.slots.clone();
    noise::add(&plan, &mut slots).unwrap();
    let after: Vec<i128> = slots
        .iter()
        .map(|slot| match slot {
            SlotValue::Int(value) => *value,
            SlotValue::UniformModT => unreachable!("sums alone"),
        })
        .collect();
    let bounds = plan.blocks.iter().zip(&plan.privacy.as_ref().unwrap().noise);
    let bounds: Vec<i128> =
        bounds.flat_map(|(b, n)| std::iter::repeat_n(i128::from(n.bound), b.slots as usize)).collect();
    assert!(after.iter().zip(&before).zip(&bounds).all(|((a, b), most)| (a - b).abs() <= *most));
    assert!(after.iter().zip(&before).filter(|(a, b)| a != b).count() > before.len() / 2);
    assert_eq!(noise::add(&plan, &mut slots[1..]), Err(noise::NoiseError::Shape));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// No line whose total is shown has hidden cells of fewer rows than the floor, or one alone.
    #[test]
    fn totals_give_no_hidden_cell_back(
        rows in prop::collection::vec((0u8..2, 0u8..3), 20..120), floor in 2u32..9,
    ) {
        let mut csv = String::from("a,b\n");
        rows.iter().for_each(|(a, b)| csv.push_str(&format!("{a},{b}\n")));
        let column = |name: &str, max: u8| {
            format!("[[table.column]]\nname = \"{name}\"\nkind = \"integer\"\nmin = 0\nmax = {max}\n")
        };
        let (_folder, world) = world(&csv, &[column("a", 1), column("b", 2)].concat(), floor);
        let plan = world.plan("SELECT COUNT(*), CROSSTAB(a, b), TTEST(b, a) FROM t");
        let slots = world.slots("SELECT COUNT(*), CROSSTAB(a, b), TTEST(b, a) FROM t");
        prop_assert_eq!(&slots, &evaluate(&plan, "H", floor, &Rows::from_csv(&csv, &[])));
        let cell = |a: u8, b: u8| rows.iter().filter(|row| **row == (a, b)).count() as i128;
        // The masks of the total, of the six cells, of the two rows.
        let masks: Vec<bool> = slots[..9].iter().map(|mask| *mask != 0).collect();
        let closed = |cells: &[u8]| {
            let hidden: Vec<i128> =
                cells.iter().filter(|i| masks[1 + **i as usize]).map(|i| cell(i / 3, i % 3)).collect();
            hidden.is_empty()
                || hidden.len() == cells.len()
                || (hidden.len() >= 2 && hidden.iter().sum::<i128>() >= i128::from(floor))
        };
        prop_assert!(masks[0] || closed(&[0, 1, 2, 3, 4, 5]));
        prop_assert!(masks[7] || closed(&[0, 1, 2]));
        prop_assert!(masks[8] || closed(&[3, 4, 5]));
    }
}

#[test]
fn errors_and_refusals_that_leave_the_house_carry_no_number_of_the_rows() {
    use crate::party::local::LocalError;
    use crate::problem::Problem;
    use crate::store::StoreError;
    let mapped = LocalError::NothingMapped { table: "t".into(), column: "c".into(), present: 3 };
    for problem in [
        Problem::from(mapped),
        Problem::from(LocalError::SourceChanged { table: "t".into() }),
        Problem::from(StoreError::CohortTooClose),
    ] {
        let text = format!("{problem} {}", problem.hint);
        assert!(!text.chars().any(|c| c.is_ascii_digit()), "{text}");
    }
}
