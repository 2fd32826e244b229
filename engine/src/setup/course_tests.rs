//! The course of a ceremony, whole and disturbed.

use proptest::prelude::*;

use super::course::{Announced, Course, FileRef, Next, PhaseFiles, SetupSpec, Step};
use crate::encoding::{Digest, HexBytes};
use crate::problem::{Problem, ProblemKind};

const TURN: u64 = 1_000;

fn spec(order: &[&str], at_least: u32) -> SetupSpec {
    let announced = Announced { source: "a block".to_owned(), not_before_unix_ms: 50_000 };
    SetupSpec {
        version: 1,
        id: "job".to_owned(),
        consortium: "c".to_owned(),
        operator: "omar".to_owned(),
        name: "n".to_owned(),
        statement: "s".to_owned(),
        size: 3,
        order: order.iter().map(|name| (*name).to_owned()).collect(),
        at_least,
        turn_ms: TURN,
        beacons: [announced.clone(), announced],
    }
}

fn file() -> FileRef {
    FileRef { digest: Digest([1; 32]), bytes: 1 }
}

fn files() -> PhaseFiles {
    PhaseFiles { transcript: file(), state: file(), prepared: None }
}

fn offered(hospital: &str) -> Step {
    let (hash, signature) = (Digest([2; 32]), HexBytes(vec![3]));
    Step::Offered { hospital: hospital.to_owned(), transcript: file(), state: file(), hash, signature }
}

fn passed(hospital: &str) -> Step {
    Step::Passed { hospital: hospital.to_owned() }
}

fn refused() -> Step {
    Step::Refused { problem: Problem::new(ProblemKind::Validation, "setup.not_verified", "no") }
}

fn beacon() -> Step {
    Step::Beacon { value: HexBytes(vec![9; 16]), iterations_log2: 4, by: "omar".to_owned() }
}

#[test]
fn a_ceremony_asks_all_in_their_order_in_both_phases_and_ends_in_keys() {
    let spec = spec(&["a", "b"], 2);
    let mut steps: Vec<(u64, Step)> = Vec::new();
    let mut at = 0;
    for _ in 0..2 {
        assert_eq!(Course::of(&spec, steps.clone()).next(at), Next::Begin);
        steps.push((at, Step::Begun { files: files() }));
        for hospital in ["a", "b"] {
            let turn = Next::Turn { hospital: hospital.to_owned(), until_ms: at + TURN };
            assert_eq!(Course::of(&spec, steps.clone()).next(at), turn);
            at += 10;
            steps.push((at, offered(hospital)));
            assert!(
                matches!(Course::of(&spec, steps.clone()).next(at + TURN), Next::Check(_)),
                "held while verified"
            );
            steps.push((at, Step::Accepted));
        }
        assert_eq!(Course::of(&spec, steps.clone()).next(at), Next::Beacon { not_before_ms: 50_000 });
        steps.push((at, beacon()));
        assert!(matches!(Course::of(&spec, steps.clone()).next(at), Next::Close { iterations_log2: 4, .. }));
        steps.push((at, Step::Closed { files: files() }));
    }
    assert_eq!(Course::of(&spec, steps.clone()).next(at), Next::Finish);
    steps.push((at, Step::Finished { key: Digest([4; 32]), verifying: file(), proving: file() }));
    let course = Course::of(&spec, steps);
    assert_eq!((course.next(at), course.phases[1].contributed.len()), (Next::End, 2));
}

#[test]
fn who_is_away_is_asked_once_more_and_then_passed_over() {
    let spec = spec(&["a", "b"], 1);
    let mut steps = vec![(0, Step::Begun { files: files() })];
    assert_eq!(Course::of(&spec, steps.clone()).next(TURN), Next::Pass { hospital: "a".to_owned() });
    steps.push((TURN, passed("a")));
    let course = Course::of(&spec, steps.clone());
    assert_eq!(course.row().collect::<Vec<_>>(), ["b", "a"]);
    steps.extend([(TURN, offered("b")), (TURN, Step::Accepted), (2 * TURN, passed("a"))]);
    let course = Course::of(&spec, steps);
    assert_eq!((course.row().count(), course.current().passed.len()), (0, 2));
    assert_eq!(course.next(2 * TURN), Next::Beacon { not_before_ms: 50_000 });
}

#[test]
fn a_phase_that_too_few_took_part_in_is_never_closed() {
    let spec = spec(&["a"], 1);
    let steps = vec![(0, Step::Begun { files: files() }), (1, passed("a")), (2, passed("a")), (3, beacon())];
    assert_eq!(Course::of(&spec, steps).next(4), Next::Few { found: 0 });
}

#[test]
fn three_contributions_that_do_not_verify_end_a_turn() {
    let spec = spec(&["a", "b"], 1);
    let mut steps = vec![(0, Step::Begun { files: files() })];
    for _ in 0..3 {
        assert!(matches!(Course::of(&spec, steps.clone()).next(5), Next::Turn { .. }));
        steps.extend([(5, offered("a")), (5, refused())]);
    }
    assert_eq!(Course::of(&spec, steps).next(5), Next::Pass { hospital: "a".to_owned() });
}

proptest! {
    /// Whatever the hospitals do, every phase ends: nobody is asked more than twice, and who contributed is not asked.
    #[test]
    fn a_phase_ends_whoever_is_away(there in proptest::collection::vec(0u8..3, 1..8)) {
        let names: Vec<String> = (0..there.len()).map(|i| format!("h{i}")).collect();
        let order: Vec<&str> = names.iter().map(String::as_str).collect();
        let spec = spec(&order, 1);
        let mut steps = vec![(0, Step::Begun { files: files() })];
        let mut asked = vec![0u8; there.len()];
        let mut at = 0;
        while let Next::Turn { hospital, .. } = Course::of(&spec, steps.clone()).next(at) {
            let i = names.iter().position(|name| *name == hospital).unwrap();
            asked[i] += 1;
            // 0: there; 1: there when asked again; 2: never there.
            if asked[i] > there[i] {
                steps.extend([(at, offered(&hospital)), (at, Step::Accepted)]);
            } else {
                at += TURN;
                steps.push((at, passed(&hospital)));
            }
        }
        let course = Course::of(&spec, steps);
        prop_assert!(asked.iter().all(|times| (1..=2).contains(times)));
        let came = there.iter().filter(|when| **when < 2).count();
        prop_assert_eq!(course.current().contributed.len(), came);
    }
}
