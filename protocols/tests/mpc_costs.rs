//! Rounds and bytes of every gate are those that its page states.

use ward_protocols::mpc::counters::Cost;
use ward_protocols::mpc::error::Result;
use ward_protocols::mpc::gates::{
    adder, boolean, compare, convert, input, least, multiply, open, random, select, shuffle,
};
use ward_protocols::mpc::rows::Rows;
use ward_protocols::mpc::shares::{BitShares, RingShares};
use ward_protocols::mpc::{Malicious, Role, Security, SemiHonest, Session};
use ward_protocols::sim::{World, share_bits, share_ring};

/// Values; words of a plane.
const N: usize = 1_000;
const W: u64 = 16;

/// Rounds, and bytes from each node, of a gate on 1,000 values; bits are 64 wide.
fn cost<S: Security>(
    gate: impl Fn(&mut Session<'_, S>, &RingShares, &BitShares) -> Result<()> + Sync,
) -> (u64, [u64; 3]) {
    let world = World::new(1);
    let values: Vec<u64> = (0..N as u64).collect();
    let mut rng = world.rng();
    let inputs: Vec<_> =
        share_ring(&values, &mut rng).into_iter().zip(share_bits(&values, 64, &mut rng)).collect();
    let inputs: [_; 3] = inputs.try_into().unwrap_or_else(|_| unreachable!());
    let outcome =
        world.run::<S, _, _>(inputs, |session, (ring, bits)| gate(&mut session.narrow("gate"), &ring, &bits));
    let costs = outcome.counters.each_ref().map(|c| c.steps().get("gate").copied().unwrap_or_default());
    let _ = outcome.all();
    assert!(costs.iter().all(|cost| cost.rounds == costs[0].rounds), "nodes count different rounds");
    (costs[0].rounds, costs.map(|Cost { bytes_sent, .. }| bytes_sent))
}

fn same(bytes: u64) -> [u64; 3] {
    [bytes; 3]
}

/// Bytes of planes of conjunctions at all, and of planes that P0 sends alone.
fn planes(all: u64, more: u64) -> [u64; 3] {
    [8 * W * (all + more), 8 * W * all, 8 * W * all]
}

#[test]
fn products_cost_a_round_and_eight_bytes() {
    assert_eq!(cost::<SemiHonest>(|s, x, _| multiply::multiply(s, x, x).map(drop)), (1, same(8_000)));
    assert_eq!(cost::<SemiHonest>(|s, x, _| multiply::inner_products(s, x, x, N).map(drop)), (1, same(8)));
    assert_eq!(cost::<SemiHonest>(|s, x, _| multiply::inner_products(s, x, x, 10).map(drop)), (1, same(800)));
    let shape = |rows, columns| multiply::Shape { rows, columns };
    let square = |s: &mut Session<'_, SemiHonest>, x: &RingShares, _: &BitShares| {
        multiply::matrix_product(s, (x, shape(10, 100)), (x, shape(100, 10))).map(drop)
    };
    assert_eq!(cost(square), (1, same(800)));
    assert_eq!(cost::<Malicious>(|s, x, _| multiply::multiply(s, x, x).map(drop)), (1, same(8_000)));
    assert_eq!(cost::<SemiHonest>(|s, x, _| select::select(s, x, x, x).map(drop)), (1, same(8_000)));
}

#[test]
fn local_operations_cost_nothing() {
    let local = |_: &mut Session<'_, SemiHonest>, x: &RingShares, b: &BitShares| {
        let _ = x.add(x)?.sub(&x.prefix_sums())?.scale(3).sum();
        b.xor(b).map(drop)
    };
    assert_eq!(cost(local), (0, same(0)));
    assert_eq!(cost::<Malicious>(|s, _, _| random::ring(s, N).map(drop)), (0, same(0)));
}

#[test]
fn gates_on_bits_cost_their_conjunctions() {
    assert_eq!(cost::<SemiHonest>(|s, _, b| boolean::and(s, b, b).map(drop)), (1, planes(64, 0)));
    assert_eq!(cost::<SemiHonest>(|s, _, b| boolean::or(s, b, b).map(drop)), (1, planes(64, 0)));
    assert_eq!(cost::<SemiHonest>(|s, _, b| boolean::all_of(s, b).map(drop)), (6, planes(63, 0)));
    assert_eq!(cost::<SemiHonest>(|s, _, b| boolean::prefix_or(s, b).map(drop)), (6, planes(192, 0)));
    assert_eq!(cost::<SemiHonest>(|s, _, b| adder::sum(s, b, b).map(drop)), (7, planes(373, 0)));
    let carry = |s: &mut Session<'_, SemiHonest>, _: &RingShares, b: &BitShares| {
        let low = b.planes(0..63);
        adder::carry(s, &low, &low).map(drop)
    };
    assert_eq!(cost(carry), (7, planes(150, 0)));
    assert_eq!(cost::<Malicious>(carry_malicious), (7, planes(150, 0)));
    assert_eq!(cost::<SemiHonest>(|s, _, b| compare::bits_less(s, b, b).map(drop)), (7, planes(152, 0)));
    assert_eq!(cost::<SemiHonest>(|s, _, b| compare::bits_equal(s, b, b).map(drop)), (6, planes(63, 0)));
    let choose = |s: &mut Session<'_, SemiHonest>, _: &RingShares, b: &BitShares| {
        select::select_bits(s, &b.planes(0..1), b, b).map(drop)
    };
    assert_eq!(cost(choose), (1, planes(64, 0)));
}

fn carry_malicious(s: &mut Session<'_, Malicious>, _: &RingShares, b: &BitShares) -> Result<()> {
    adder::carry(s, &b.planes(0..63), &b.planes(0..63)).map(drop)
}

#[test]
fn conversions_and_comparisons_cost_what_they_say() {
    assert_eq!(cost::<SemiHonest>(|s, x, _| convert::addends(s, x, 64).map(drop)), (1, planes(0, 63)));
    assert_eq!(cost::<SemiHonest>(|s, x, _| convert::bits_of(s, x, 64).map(drop)), (8, planes(373, 63)));
    assert_eq!(cost::<SemiHonest>(|s, x, _| compare::is_negative(s, x, 64).map(drop)), (8, planes(150, 63)));
    assert_eq!(cost::<SemiHonest>(|s, x, _| compare::is_less(s, x, x, 64).map(drop)), (8, planes(150, 63)));
    assert_eq!(cost::<SemiHonest>(|s, x, _| compare::is_zero(s, x, 64).map(drop)), (7, planes(63, 63)));
    assert_eq!(cost::<SemiHonest>(|s, x, _| compare::is_equal(s, x, x, 20).map(drop)), (6, planes(19, 19)));
    assert_eq!(cost::<SemiHonest>(|s, _, b| convert::inject(s, &b.planes(0..1)).map(drop)), (2, same(8_000)));
    assert_eq!(cost::<Malicious>(|s, _, b| convert::inject(s, &b.planes(0..1)).map(drop)), (2, same(8_000)));
    let word = 8 * W * 64;
    let [p0, p1, p2] = planes(373, 63);
    let to_ring = [p0 + word, p1 + word, p2];
    assert_eq!(cost::<SemiHonest>(|s, _, b| convert::ring_of(s, b).map(drop)), (9, to_ring));
    let to_ring = [p0 + word + 32, p1 + word, p2 + 32];
    assert_eq!(cost::<Malicious>(|s, _, b| convert::ring_of(s, b).map(drop)), (9, to_ring));
}

/// The figure of the plan: at most 38 bytes and 10 rounds for a 64-bit comparison with a ring result.
#[test]
fn a_comparison_with_a_ring_result_is_within_its_budget() {
    let (rounds, bytes) = cost::<SemiHonest>(|s, x, _| {
        let is_less = compare::is_less(&mut s.narrow("less"), x, x, 64)?;
        convert::inject(&mut s.narrow("inject"), &is_less).map(drop)
    });
    assert_eq!(rounds, 10);
    assert!(bytes.iter().all(|bytes| *bytes <= 38 * N as u64), "{bytes:?}");
}

#[test]
fn opening_costs_a_round_and_eight_bytes() {
    assert_eq!(cost::<SemiHonest>(|s, x, _| open::open(s, x).map(drop)), (1, same(8_000)));
    assert_eq!(cost::<Malicious>(|s, x, _| open::open(s, x).map(drop)), (1, same(8_032)));
    assert_eq!(cost::<Malicious>(|s, x, _| open::open_masked(s, x).map(drop)), (1, same(8_032)));
    assert_eq!(cost::<SemiHonest>(|s, _, b| open::open_bits(s, b).map(drop)), (1, planes(64, 0)));
    let to_one = |s: &mut Session<'_, Malicious>, x: &RingShares, _: &BitShares| {
        open::open_to(s, Role::P1, x).map(drop)
    };
    assert_eq!(cost(to_one), (1, [8_000, 0, 32]));
    assert_eq!(cost::<SemiHonest>(|s, _, _| random::coin(s).map(drop)), (1, same(32)));
    assert_eq!(cost::<Malicious>(|s, _, _| random::coin(s).map(drop)), (1, same(64)));
}

#[test]
fn input_costs_the_owner_eight_bytes() {
    let own = |s: &mut Session<'_, SemiHonest>, _: &RingShares, _: &BitShares| {
        let known = if s.role() == Role::P2 { vec![7; N] } else { Vec::new() };
        input::from_node(s, Role::P2, &known, N).map(drop)
    };
    assert_eq!(cost(own), (1, [0, 0, 8_000]));
}

#[test]
fn the_least_of_eight_keys_costs_a_comparison_and_three_rounds() {
    let eight =
        |s: &mut Session<'_, SemiHonest>, _: &RingShares, b: &BitShares| least::least(s, b, N / 8).map(drop);
    let (rounds, bytes) = cost(eight);
    assert_eq!(rounds, 10);
    // 28 comparisons of 64 bits for each 8 keys, 19 bytes each, and 7 bits a key.
    assert!(bytes.iter().all(|b| *b as usize <= 28 * N / 8 * 20 + N), "{bytes:?}");
}

#[test]
fn a_shuffle_costs_three_rounds_and_eight_or_sixteen_bytes_a_word() {
    let words = [32_000, 16_000, 16_000];
    let run = |s: &mut Session<'_, SemiHonest>, _: &RingShares, b: &BitShares| {
        shuffle::shuffle(s, &Rows::of(&[b, b])?.0).map(drop)
    };
    assert_eq!(cost(run), (3, words));
    let run = |s: &mut Session<'_, Malicious>, _: &RingShares, b: &BitShares| {
        shuffle::shuffle(s, &Rows::of(&[b, b])?.0).map(drop)
    };
    let (rounds, bytes) = cost(run);
    assert_eq!(rounds, 7);
    for ((bytes, words), tags) in bytes.into_iter().zip(words).zip([24_000, 16_000, 16_000]) {
        assert!(bytes > words + tags && bytes < words + tags + 300, "{bytes}");
    }
}
