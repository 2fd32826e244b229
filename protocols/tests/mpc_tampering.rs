//! A malicious node at every message: nobody ends with a wrong result, and no change of a message that is used goes
//! unnoticed.

use std::collections::BTreeSet;

use ward_protocols::mpc::error::Result;
use ward_protocols::mpc::gates::open::{open, open_bits};
use ward_protocols::mpc::gates::sort::sort;
use ward_protocols::mpc::gates::{compare, convert, multiply};
use ward_protocols::mpc::programs::floor::{Rule, keep, released};
use ward_protocols::mpc::programs::quantile;
use ward_protocols::mpc::shares::RingShares;
use ward_protocols::mpc::step::{Step, StepId};
use ward_protocols::mpc::{Malicious, Role, Session};
use ward_protocols::sim::{At, Change, Tamper, World, share_ring};

const SEED: u64 = 20_261_122;

type Program = fn(&mut Session<'_, Malicious>, RingShares) -> Result<Vec<u64>>;

fn products(s: &mut Session<'_, Malicious>, x: RingShares) -> Result<Vec<u64>> {
    let z = multiply::multiply(&mut s.narrow("mul"), &x, &x)?;
    let sum = multiply::inner_products(&mut s.narrow("inner"), &z, &x, x.len())?;
    open(&mut s.narrow("open"), &RingShares::concat(&[&z, &sum]))
}

fn conversions(s: &mut Session<'_, Malicious>, x: RingShares) -> Result<Vec<u64>> {
    let bits = convert::bits_of(&mut s.narrow("bits"), &x, 10)?;
    let ring = convert::ring_of(&mut s.narrow("ring"), &bits)?;
    open(&mut s.narrow("open"), &ring)
}

fn comparisons(s: &mut Session<'_, Malicious>, x: RingShares) -> Result<Vec<u64>> {
    let ten = RingShares::public(s.role(), &vec![10; x.len()]);
    let is_less = compare::is_less(&mut s.narrow("less"), &x, &ten, 12)?;
    let is_ten = compare::is_equal(&mut s.narrow("equal"), &x, &ten, 12)?;
    let ring = convert::inject(&mut s.narrow("inject"), &is_less)?;
    let mut out = open(&mut s.narrow("open"), &ring)?;
    out.extend(open_bits(&mut s.narrow("bits"), &is_ten)?);
    Ok(out)
}

fn sorting(s: &mut Session<'_, Malicious>, x: RingShares) -> Result<Vec<u64>> {
    let keys = convert::bits_of(&mut s.narrow("bits"), &x, 10)?;
    let sorted = sort(&mut s.narrow("sort"), &keys, &[])?;
    open_bits(&mut s.narrow("open"), &sorted.keys)
}

fn small_cells(s: &mut Session<'_, Malicious>, x: RingShares) -> Result<Vec<u64>> {
    let rule = Rule { rows: x.len() / 5, columns: 5, floor: 10, width: 10, has_margins: true };
    let flags = released(&mut s.narrow("floor"), &x, &rule)?;
    let flags = convert::inject(&mut s.narrow("inject"), &flags)?;
    let kept = keep(&mut s.narrow("keep"), &x, &flags)?;
    open(&mut s.narrow("open"), &RingShares::concat(&[&flags, &kept]))
}

fn median(s: &mut Session<'_, Malicious>, x: RingShares) -> Result<Vec<u64>> {
    let found = quantile::of_rows(&mut s.narrow("rows"), &x, 10, &[x.len() / 2])?;
    open(&mut s.narrow("open"), &found)
}

const PROGRAMS: [(&str, Program); 6] = [
    ("products", products),
    ("conversions", conversions),
    ("comparisons", comparisons),
    ("sorting", sorting),
    ("small cells", small_cells),
    ("median", median),
];

fn values() -> Vec<u64> {
    (0..15).map(|k| (k * k * 37 + 5) % 41).collect()
}

/// How the two honest nodes end when `tamper` is done.
fn attack(program: Program, seed: u64, tamper: Tamper) -> (bool, [Result<Vec<u64>>; 3]) {
    let world = World::new(seed).tampering(tamper);
    let inputs = share_ring(&values(), &mut world.rng());
    let outcome = world.run::<Malicious, _, _>(inputs, program);
    (outcome.is_tampered, outcome.results)
}

/// The one message that no node uses: tags are shuffled first by P0 and P1, so P2 makes nothing of its copy.
fn is_unused(step: StepId) -> bool {
    let root = Step::root();
    [root.narrow("sort"), root.narrow("rows").narrow("select")]
        .into_iter()
        .any(|sort| sort.narrow("shuffle").narrow("tag").id() == step)
}

/// What the program gives when all are honest, and which messages of each node are used.
fn honest(program: Program) -> (Vec<u64>, [Vec<bool>; 3]) {
    let world = World::new(SEED).with_transcript();
    let outcome = world.run::<Malicious, _, _>(share_ring(&values(), &mut world.rng()), program);
    // The first two are sent to meet.
    let sent = Role::ALL.map(|role| {
        let sent = outcome.transcript.iter().filter(|c| c.from == role).skip(2);
        sent.map(|c| !(c.from == Role::P0 && is_unused(c.step))).collect()
    });
    let [a, b, c] = outcome.all();
    assert!(a == b && b == c);
    (a, sent)
}

/// Every change of a message that is used must be noticed by an honest node, and none may end with another result.
fn assert_caught(
    name: &str,
    (expected, is_used): (&[u64], bool),
    (culprit, what): (Role, &str),
    results: &[Result<Vec<u64>>; 3],
) {
    let mut noticed = !is_used;
    for role in Role::ALL.into_iter().filter(|role| *role != culprit) {
        match &results[role.index()] {
            Ok(result) => assert_eq!(result, expected, "{name}: {role:?} is deceived by {culprit:?}, {what}"),
            Err(_) => noticed = true,
        }
    }
    assert!(noticed, "{name}: nobody notices {culprit:?}, {what}");
}

#[test]
fn a_flipped_bit_in_any_message_is_noticed() {
    for (index, (name, program)) in PROGRAMS.into_iter().enumerate() {
        let (expected, sent) = honest(program);
        for culprit in Role::ALL {
            for (n, is_used) in sent[culprit.index()].iter().enumerate() {
                let bit = n.wrapping_mul(2_654_435_761) + index;
                let tamper = Tamper { party: culprit, at: At::Nth(n), change: Change::Flip(bit) };
                let (is_tampered, results) = attack(program, SEED, tamper);
                assert!(is_tampered, "{name}: message {n} of {culprit:?} was not sent");
                let what = format!("bit {bit} of message {n}");
                assert_caught(name, (&expected, *is_used), (culprit, &what), &results);
            }
        }
    }
}

#[test]
fn a_thousand_seeded_cheats_deceive_nobody() {
    let known: Vec<_> = PROGRAMS.map(|(name, program)| (name, program, honest(program))).into();
    let mut seen = BTreeSet::new();
    for seed in 0..1_000u64 {
        let (name, program, (expected, sent)) = &known[seed as usize % known.len()];
        let culprit = Role::ALL[(seed / 6) as usize % 3];
        let n = (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) as usize % sent[culprit.index()].len();
        let change = match seed % 5 {
            0 => Change::Drop,
            1 => Change::Rewrite(std::sync::Arc::new(|bytes: &mut Vec<u8>| {
                bytes.truncate(bytes.len().saturating_sub(1))
            })),
            2 => Change::Flip(0),
            3 => Change::Flip(63),
            _ => Change::Rewrite(std::sync::Arc::new(move |bytes: &mut Vec<u8>| {
                bytes.iter_mut().for_each(|byte| *byte = byte.wrapping_add(1 + seed as u8 % 200));
            })),
        };
        seen.insert((seed % 5, *name));
        let what = format!("{change:?} of message {n}, seed {seed}");
        let (is_tampered, results) =
            attack(*program, seed, Tamper { party: culprit, at: At::Nth(n), change });
        // Another seed may order rows otherwise and take fewer batches: then there was nothing to change.
        if is_tampered {
            let is_used = sent[culprit.index()][n];
            assert_caught(name, (expected, is_used), (culprit, &what), &results);
        }
    }
    assert_eq!(seen.len(), 30, "some kind of cheat was left out");
}

#[test]
fn a_late_message_changes_nothing() {
    let (expected, sent) = honest(comparisons);
    for culprit in Role::ALL {
        for n in (0..sent[culprit.index()].len()).step_by(5) {
            let tamper = Tamper { party: culprit, at: At::Nth(n), change: Change::Delay(50) };
            let (_, results) = attack(comparisons, SEED, tamper);
            assert!(results.iter().all(|result| result.as_ref() == Ok(&expected)));
        }
    }
}
