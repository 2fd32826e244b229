//! What the researcher opens from the compute nodes, whatever it is: an answer, or refused as inconsistent.

use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::Index;

use super::world::{World, category, integer, real};
use crate::query::ast::Route;
use crate::query::plan::{Asked, Participation, Plan};
use crate::query::reference::Rows;
use crate::query::{finish_shares, parse, plan};

/// A query for every program.
const QUERIES: [&str; 10] = [
    "SELECT COUNT(*), AVG(bmi), HISTOGRAM(age, 20, 100, 4) FROM t GROUP BY sex, dx",
    "SELECT MEDIAN(age), QUANTILE(bmi, 0.9) FROM t GROUP BY sex",
    "SELECT TOPK(dx, 2), KAPLAN_MEIER(age, dead) FROM t",
    "SELECT CHI2(sex, dead), CHI2(dx, dead) FROM t",
    "SELECT FISHER(sex, dead) FROM t",
    "SELECT TTEST(bmi, sex) FROM t",
    "SELECT LOG_RANK(age, dead, sex), LOG_RANK(age, dead, dx) FROM t",
    "SELECT LINREG(bmi, age, sex) FROM t",
    "SELECT LOGIT(dead, age, dx) FROM t",
    "SELECT COX(age, dead, bmi) FROM t",
];

/// The plans, with how many words each opens.
static PLANS: LazyLock<Vec<(Plan, usize)>> = LazyLock::new(|| {
    let columns = [
        integer("age", 0, 120),
        integer("dead", 0, 1),
        real("bmi", 1, 10, 80),
        category("sex", &["F", "M"]),
        category("dx", &["a", "b", "c"]),
    ];
    let names = columns.iter().map(|c| c.name.clone()).collect();
    let rows = Rows { names, rows: vec![vec![None; columns.len()]; 100] };
    let world = World::new("t", &columns, ["A", "B", "C"].map(|name| (name.to_owned(), rows.clone())));
    let world = world.floor(5);
    let asked =
        Asked { participation: Participation::All, route: Route::MultiParty, purpose: None, study: None };
    let planned = |sql: &str| {
        let plan = plan(&parse(sql).unwrap(), &world.catalogue, &world.protocol(), asked);
        let plan = plan.unwrap_or_else(|e| panic!("{sql}: {e}"));
        let is_short = |words: &usize| {
            let finished = finish_shares(&plan, &vec![0; *words], &plan.hospitals);
            finished.is_err_and(|error| error.to_string().contains("too short"))
        };
        let words = (0..100_000).find(|words| !is_short(words)).unwrap_or_default();
        assert!(words > 0 && finish_shares(&plan, &vec![0; words], &plan.hospitals).is_ok(), "{sql}");
        (plan, words)
    };
    QUERIES.into_iter().map(planned).collect()
});

/// A word as programs open them, or of any kind.
fn word() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0..3u64,
        2 => 0..200u64,
        2 => (1u64 << 30)..(1u64 << 31),
        2 => (-400i64..400).prop_map(i64::cast_unsigned),
        1 => any::<f64>().prop_map(f64::to_bits),
        1 => any::<u64>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn any_opened_words_are_an_answer_or_refused(
        which in 0..QUERIES.len(),
        pattern in prop::collection::vec(word(), 1..40),
        flags in any::<bool>(),
        changes in prop::collection::vec((any::<Index>(), word()), 0..8),
        length in prop_oneof![6 => Just(0i64), 1 => -2..3i64],
    ) {
        let (plan, count) = &PLANS[which];
        let count = count.saturating_add_signed(length as isize);
        let mut words: Vec<u64> = pattern.iter().copied().cycle().take(count).collect();
        if flags {
            // So that the programs' numbers are reached.
            words.iter_mut().step_by(2).for_each(|word| *word = 1);
        }
        for (at, word) in changes {
            if !words.is_empty() {
                let at = at.index(words.len());
                words[at] = word;
            }
        }
        if let Ok(answer) = finish_shares(plan, &words, &plan.hospitals) {
            prop_assert_eq!(length, 0);
            prop_assert_eq!(answer.rows.len(), plan.cells());
            prop_assert!(serde_json::to_string(&answer).is_ok());
        }
    }
}
