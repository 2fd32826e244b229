//! Release rules that outlast a query and a restart.

use super::*;

fn charge(answer: u64, rho_nano: u64, at_ms: u64) -> Charge {
    Charge {
        answer: digest(answer),
        dataset: "labs".into(),
        study: String::new(),
        job: format!("job-{answer}"),
        rho_nano,
        epsilon_nano: 1_000_000_000,
        delta_atto: 1_000_000_000_000,
        at_ms,
    }
}

#[test]
fn the_consortiums_floor_outlasts_a_restart_and_never_falls() {
    let folder = SqliteWorld::new();
    {
        let store = open_party(&folder.path(), 1);
        assert_eq!(store.consortium_floor().unwrap(), 1);
        assert!(store.raise_floor(7, &event("floor.raise")).unwrap());
        assert!(!store.raise_floor(5, &event("floor.raise")).unwrap());
        assert_eq!(audited(&store), 1);
    }
    let store = open_party(&folder.path(), 1);
    assert_eq!(store.consortium_floor().unwrap(), 7);
}

#[test]
fn a_budget_is_spent_once_for_an_answer_and_refused_when_it_is_gone() {
    let folder = SqliteWorld::new();
    let store = open_party(&folder.path(), 1);
    let spend = |charge: &Charge, since| store.charge(charge, (100, None), since, &event("budget.spend"));
    assert_eq!(spend(&charge(1, 60, 1000), 0).unwrap(), Charged::New);
    // The same answer again costs nothing, and leaves no event.
    assert_eq!(spend(&charge(1, 60, 2000), 0).unwrap(), Charged::Before);
    assert_eq!((store.spent("labs", 0).unwrap(), audited(&store)), (60, 1));
    let refused = spend(&charge(2, 41, 2000), 0);
    assert!(
        matches!(&refused, Err(StoreError::BudgetSpent { left_rho_nano: 40, asked_rho_nano: 41, .. })),
        "{refused:?}"
    );
    assert_eq!((store.spent("labs", 0).unwrap(), audited(&store)), (60, 1));
    assert_eq!(spend(&charge(2, 40, 2000), 0).unwrap(), Charged::New);
    // A period later the first charge counts no more; another table has its own budget.
    assert_eq!(spend(&charge(3, 50, 9000), 1500).unwrap(), Charged::New);
    assert_eq!(store.spent("labs", 1500).unwrap(), 90);
    assert_eq!(store.spent("other", 0).unwrap(), 0);
    assert!(store.is_charged(&digest(3)).unwrap() && !store.is_charged(&digest(4)).unwrap());
    let listed: Vec<_> = store.charges("labs", 2).unwrap().into_iter().map(|c| c.job).collect();
    assert_eq!(listed, ["job-3", "job-2"]);
}

#[test]
fn a_study_spends_within_its_own_budget_and_the_tables() {
    let folder = SqliteWorld::new();
    let store = open_party(&folder.path(), 1);
    let within = |study: &str, charge: Charge| Charge { study: study.into(), ..charge };
    let spend = |charge: &Charge, limit| store.charge(charge, (100, Some(limit)), 0, &event("budget.spend"));
    assert_eq!(spend(&within("sugar", charge(1, 30, 1000)), 40).unwrap(), Charged::New);
    let refused = spend(&within("sugar", charge(2, 11, 1000)), 40);
    assert!(
        matches!(&refused, Err(StoreError::BudgetSpent { study, left_rho_nano: 10, .. }) if study == "sugar"),
        "{refused:?}"
    );
    // Another study has its own, and both draw on the table's.
    assert_eq!(spend(&within("salt", charge(2, 60, 1000)), 90).unwrap(), Charged::New);
    let refused = spend(&within("salt", charge(3, 11, 1000)), 90);
    assert!(
        matches!(&refused, Err(StoreError::BudgetSpent { study, left_rho_nano: 10, .. }) if study.is_empty()),
        "{refused:?}"
    );
    assert_eq!(store.spent_by("sugar", "labs", 0).unwrap(), 30);
    assert_eq!((store.spent_by("salt", "labs", 0).unwrap(), store.spent("labs", 0).unwrap()), (60, 90));
    assert_eq!(store.spent_by("salt", "labs", 1001).unwrap(), 0);
}

#[test]
fn cohorts_are_judged_kept_once_and_bounded() {
    let folder = SqliteWorld::new();
    let store = open_party(&folder.path(), 1);
    let scope = CohortScope { dataset: "labs", version: "v1", who: "curie" };
    let admit = |scope: CohortScope<'_>, new: &[&[u8]], deny: &[u8]| {
        let judge =
            |_: &str, kept: &[u8]| if kept == deny { Err(StoreError::CohortTooClose) } else { Ok(()) };
        let new: Vec<Vec<u8>> = new.iter().map(|rows| rows.to_vec()).collect();
        let rows = VersionRows { version: scope.version, rows: scope.version.as_bytes() };
        store.admit_cohorts(scope, (&new, rows), 3, &judge, &event("cohort.show"))
    };
    admit(scope, &[b"a", b"b"], b"").unwrap();
    admit(scope, &[b"b"], b"").unwrap();
    assert_eq!(audited(&store), 1);
    assert!(matches!(admit(scope, &[b"c"], b"b"), Err(StoreError::CohortTooClose)));
    admit(scope, &[b"c"], b"d").unwrap();
    assert!(matches!(admit(scope, &[b"e"], b""), Err(StoreError::CohortsFull { kept_max: 3 })));
    // Another version is held against the first, and has room of its own; another researcher begins anew.
    let later = CohortScope { version: "v2", ..scope };
    assert!(matches!(admit(later, &[b"e"], b"b"), Err(StoreError::CohortTooClose)));
    assert_eq!(store.version_rows("labs", "v2").unwrap(), None);
    admit(later, &[b"e"], b"d").unwrap();
    admit(CohortScope { who: "meitner", ..scope }, &[b"e"], b"b").unwrap();
    assert_eq!(store.cohort_versions("labs", "curie").unwrap(), ["v2", "v1"]);
    assert_eq!(store.cohort_versions("labs", "meitner").unwrap(), ["v1"]);
    for version in ["v1", "v2"] {
        assert_eq!(store.version_rows("labs", version).unwrap().unwrap(), version.as_bytes());
    }
}
