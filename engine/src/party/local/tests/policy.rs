//! The policy: each rule refuses under its name, and a false catalogue is noticed.

use super::{World, breast};
use crate::party::local::policy::{
    Approval, ApprovalMode, Policy, StatisticKind, TablePolicy, UserPolicy, check, validate_against, verdicts,
};
use crate::query::catalogue::OutOfBounds;
use crate::query::plan::{Participation, Plan};

fn policy() -> Policy {
    Policy {
        rounding: false,
        floor: 5,
        statistics: StatisticKind::defaults(),
        by_hospital: false,
        approval: ApprovalMode::Automatic,
        km_step_min: 30,
        hospitals_min: 3,
        compute_nodes: std::collections::BTreeSet::new(),
        privacy: None,
        tables: [("breast".to_owned(), TablePolicy { allow: None, deny: ["pgr".to_owned()].into() })].into(),
        users: [("curie".to_owned(), UserPolicy { key: None })].into(),
        studies: crate::party::local::policy::StudyPolicy::default(),
    }
}

fn plan(sql: &str) -> Plan {
    breast(5).plan(sql)
}

#[test]
fn each_rule_refuses_under_its_name() {
    let km = "SELECT KAPLAN_MEIER(rtime, recur, 30) FROM breast";
    for (sql, user, hospitals, rule) in [
        ("SELECT COUNT(*) FROM breast", "curie", 4, None),
        (km, "curie", 4, None),
        ("SELECT COUNT(*) FROM breast", "mallory", 4, Some("policy.user")),
        ("SELECT AVG(pgr) FROM breast", "curie", 4, Some("policy.column")),
        ("SELECT COUNT(*) FROM breast WHERE pgr > 5", "curie", 4, Some("policy.column")),
        ("SELECT MAX(age) FROM breast", "curie", 4, Some("policy.statistic")),
        ("SELECT hospital, COUNT(*) FROM breast GROUP BY hospital", "curie", 4, Some("policy.by_hospital")),
        ("SELECT KAPLAN_MEIER(rtime, recur, 7) FROM breast", "curie", 4, Some("policy.km_step")),
        ("SELECT LOG_RANK(rtime, recur, meno) FROM breast", "curie", 4, Some("policy.km_step")),
        ("SELECT COUNT(*) FROM breast", "curie", 2, Some("policy.hospitals_min")),
    ] {
        let plan = plan(sql);
        let outcome = check(&plan, &policy(), user, hospitals);
        assert_eq!(outcome.as_ref().err().map(|refusal| refusal.rule), rule, "{sql}");
        let refused: Vec<String> = verdicts(&plan, &policy(), user, hospitals)
            .into_iter()
            .filter(|v| !v.allowed)
            .map(|v| v.rule)
            .collect();
        assert_eq!(refused, rule.into_iter().map(str::to_owned).collect::<Vec<_>>(), "{sql}");
        if let Err(refusal) = outcome {
            assert!(!refusal.hint.is_empty() && refusal.to_string().starts_with(refusal.rule));
        }
    }
}

#[test]
fn a_declared_participation_below_the_minimum_is_refused() {
    let mut plan = plan("SELECT COUNT(*) FROM breast");
    plan.participation = Participation::AtLeast(2);
    assert_eq!(check(&plan, &policy(), "curie", 4).unwrap_err().rule, "policy.hospitals_min");
    plan.participation = Participation::AtLeast(3);
    assert!(check(&plan, &policy(), "curie", 4).is_ok());
}

#[test]
fn what_is_allowed_runs_or_waits_for_a_person() {
    let plan = plan("SELECT COUNT(*) FROM breast");
    assert_eq!(check(&plan, &policy(), "curie", 4), Ok(Approval::Automatic));
    let manual = Policy { approval: ApprovalMode::Manual, ..policy() };
    assert_eq!(check(&plan, &manual, "curie", 4), Ok(Approval::ByHand));
    let open = Policy { users: [].into(), by_hospital: true, ..policy() };
    assert_eq!(check(&plan, &open, "anyone", 4), Ok(Approval::Automatic));
    assert!(verdicts(&plan, &open, "anyone", 4).iter().all(|verdict| verdict.allowed));
}

#[test]
fn an_allow_list_refuses_the_rest() {
    let only_age = TablePolicy { allow: Some(["age".to_owned()].into()), deny: [].into() };
    let strict = Policy { tables: [("breast".to_owned(), only_age)].into(), ..policy() };
    assert!(check(&plan("SELECT AVG(age) FROM breast"), &strict, "curie", 4).is_ok());
    let refusal = check(&plan("SELECT AVG(nodes) FROM breast"), &strict, "curie", 4).unwrap_err();
    assert_eq!(refusal.rule, "policy.column");
}

#[test]
fn a_plan_from_a_false_catalogue_is_refused() {
    let world: World = breast(5);
    let own = world.data["D"].publication("D", 5).unwrap();
    let honest = world.plan("SELECT grade, AVG(nodes), CROSSTAB(meno, recur) FROM breast GROUP BY grade");
    assert_eq!(validate_against(&honest, &own), Ok(()));
    let lie = |change: fn(&mut Plan)| {
        let mut plan = honest.clone();
        change(&mut plan);
        validate_against(&plan, &own).unwrap_err().rule
    };
    assert_eq!(lie(|p| p.columns[0].max += 1), "plan.column");
    assert_eq!(lie(|p| p.columns[0].out_of_bounds = OutOfBounds::Clamp), "plan.column");
    assert_eq!(lie(|p| p.columns[0].name = "ssn".into()), "plan.column");
    assert_eq!(lie(|p| p.query.table = "wages".into()), "plan.table");
    assert_eq!(lie(|p| p.hospitals.retain(|h| h != "D")), "plan.hospital");
    assert_eq!(lie(|p| p.groups[0].codes.reverse()), "plan.codes");
    assert_eq!(
        lie(|p| p.strata.iter_mut().for_each(|s| s.by.iter_mut().for_each(|split| {
            if let crate::query::plan::Split::Codes { codes, .. } = split {
                codes.push("2".into());
            }
        }))),
        "plan.codes"
    );
}
