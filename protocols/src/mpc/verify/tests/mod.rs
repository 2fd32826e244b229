//! Honest proofs are accepted; every single lie is refused, whichever message it is in.

mod soundness;

use chacha20::ChaCha20Rng;
use proptest::prelude::*;
use rand_core::{Rng, SeedableRng};

use super::bits::BitStatement;
use super::chunk::{CHUNK_MAX, chunks, chunks_of};
use super::columns::View;
use super::extension::{Extension, Fp, Gf64};
use super::proof::{MaskWords, Prove, Prover, Seed, Verifier, Verify};
use super::ring::RingStatement;
use super::statement::Statement;
use super::{Shape, ring};
use crate::mpc::error::MpcError;
use crate::mpc::security::{BitProducts, RingProducts, Transcript};
use crate::mpc::shares::{BitShares, RingShares};
use crate::mpc::{Malicious, Role};
use crate::sim::{At, Change, Outcome, Tamper, World};

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn words(count: usize, rng: &mut ChaCha20Rng) -> Vec<u64> {
    (0..count).map(|_| rng.next_u64()).collect()
}

/// What the three nodes recorded of honest products. Masks by pair: `masks[i]` is common to `P_i` and `P_{i+1}`.
fn ring_records(outputs: usize, arity: usize, rng: &mut ChaCha20Rng) -> [RingProducts; 3] {
    let [x, y] = [0; 2].map(|_| [0; 3].map(|_| words(outputs * arity, rng)));
    let masks = [0; 3].map(|_| words(outputs, rng));
    let z: [Vec<u64>; 3] = core::array::from_fn(|i| {
        let n = (i + 1) % 3;
        let term = |t: usize| {
            let (a, b) = (x[i][t], y[i][t]);
            a.wrapping_mul(b).wrapping_add(a.wrapping_mul(y[n][t])).wrapping_add(x[n][t].wrapping_mul(b))
        };
        let sum = |j: usize| (j * arity..(j + 1) * arity).fold(0u64, |sum, t| sum.wrapping_add(term(t)));
        (0..outputs).map(|j| sum(j).wrapping_add(masks[i][j]).wrapping_sub(masks[(i + 2) % 3][j])).collect()
    });
    core::array::from_fn(|i| {
        let shares =
            |c: &[Vec<u64>; 3]| RingShares { own: c[i].clone().into(), next: c[(i + 1) % 3].clone().into() };
        RingProducts {
            x: shares(&x),
            y: shares(&y),
            arity,
            z: shares(&z),
            mask_prev: masks[(i + 2) % 3].clone(),
            mask_next: masks[i].clone(),
        }
    })
}

fn bit_records(count: usize, rng: &mut ChaCha20Rng) -> [BitProducts; 3] {
    let [x, y, masks] = [0; 3].map(|_| [0; 3].map(|_| words(count, rng)));
    let z: [Vec<u64>; 3] = core::array::from_fn(|i| {
        let n = (i + 1) % 3;
        let word = |w: usize| (x[i][w] & y[i][w]) ^ (x[i][w] & y[n][w]) ^ (x[n][w] & y[i][w]);
        (0..count).map(|w| word(w) ^ masks[i][w] ^ masks[(i + 2) % 3][w]).collect()
    });
    core::array::from_fn(|i| {
        let shares = |c: &[Vec<u64>; 3]| BitShares {
            width: 1,
            len: 64 * count,
            own: c[i].clone().into(),
            next: c[(i + 1) % 3].clone().into(),
        };
        BitProducts {
            x: shares(&x),
            y: shares(&y),
            z: shares(&z),
            mask_prev: masks[(i + 2) % 3].clone(),
            mask_next: masks[i].clone(),
        }
    })
}

fn ring_statement(record: &RingProducts) -> RingStatement<'_> {
    RingStatement::new(&[(record, 0..record.z.own.len())])
}

fn bit_statement(record: &BitProducts) -> BitStatement<'_> {
    BitStatement::new(&[(record, 0..record.z.own.len())])
}

/// Where a prover or a verifier lies in [`prove`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lie {
    None,
    /// Word `.1` of message `.0`, by this much.
    Message(usize, usize, u64),
    /// Word `.0` of what the first verifier opens.
    Opening(usize, u64),
    /// The prover folds with another challenge than that after message `.0`.
    Challenge(usize),
}

/// Runs the proof of `P_0` with the three nodes' statements; what both verifiers say.
fn prove<S: Statement>(statements: [&S; 3], seed: u64, lie: Lie) -> [bool; 2] {
    let mut rng = rng(seed);
    let mut draw = |count: usize| words(count, &mut rng);
    let mut masks = || -> MaskWords { core::array::from_fn(|_| core::array::from_fn(|_| draw(1)[0])) };
    let (a, b) = (masks(), masks());
    let mut prover = Prover::new(statements[0], [a, b]);
    let mut first = Verifier::new(statements[2], View::First, a);
    let mut second = Verifier::new(statements[1], View::Second, b);
    let weights: Seed = [7; 32];
    prover.weigh(&weights);
    first.weigh(&weights);
    second.weigh(&weights);
    for index in 0..prover.messages() {
        let share = draw(prover.share_words(index));
        let mut message = prover.message(index, &share);
        assert_eq!(message.len(), prover.words(index), "message {index}");
        if let Lie::Message(at, word, by) = lie
            && at == index
        {
            let place = word % message.len();
            message[place] = message[place].wrapping_add(by);
        }
        let challenge: Seed = [index as u8; 32];
        first.challenge(index, &share, &challenge);
        second.challenge(index, &message, &challenge);
        let told = if lie == Lie::Challenge(index) { [99; 32] } else { challenge };
        prover.challenge(index, &told);
    }
    let (mut of_first, of_second) = (first.opening(), second.opening());
    if let Lie::Opening(word, by) = lie {
        let place = word % of_first.len();
        of_first[place] = of_first[place].wrapping_add(by);
        return [true, second.accepts(&of_first)];
    }
    [first.accepts(&of_second), second.accepts(&of_first)]
}

fn prove_ring(records: &[RingProducts; 3], seed: u64, lie: Lie) -> [bool; 2] {
    let [a, b, c] = [0, 1, 2].map(|i| ring_statement(&records[i]));
    prove([&a, &b, &c], seed, lie)
}

fn prove_bits(records: &[BitProducts; 3], seed: u64, lie: Lie) -> [bool; 2] {
    let [a, b, c] = [0, 1, 2].map(|i| bit_statement(&records[i]));
    prove([&a, &b, &c], seed, lie)
}

const NO_MASKS: [MaskWords; 2] = [[[0; 2]; 2]; 2];

/// Sizes at which classes, blocks, tiles and plans change.
const RING_SIZES: [(usize, usize); 16] = [
    (1, 1),
    (2, 1),
    (8, 1),
    (9, 1),
    (17, 1),
    (128, 1),
    (257, 1),
    (1500, 1),
    (5000, 1),
    (3, 5),
    (40, 7),
    (1, 300),
    (3, 1000),
    (60, 300),
    (1, 20_000),
    (300, 20),
];

const BIT_SIZES: [usize; 10] = [1, 2, 3, 33, 64, 65, 600, 1100, 2100, 4200];

#[test]
fn honest_proofs_are_accepted_at_every_size() {
    for (outputs, arity) in RING_SIZES {
        let records = ring_records(outputs, arity, &mut rng(1));
        assert_eq!(prove_ring(&records, 2, Lie::None), [true; 2], "{outputs} sums of {arity}");
    }
    for count in BIT_SIZES {
        let records = bit_records(count, &mut rng(3));
        assert_eq!(prove_bits(&records, 4, Lie::None), [true; 2], "{count} words");
    }
}

#[test]
fn a_wrong_product_is_refused_whichever_word_of_it() {
    for (outputs, arity) in RING_SIZES {
        for (at, by) in [(0, 1), (outputs / 2, 1 << 63), (outputs - 1, u64::MAX)] {
            let mut records = ring_records(outputs, arity, &mut rng(5));
            records[0].z.own[at] = records[0].z.own[at].wrapping_add(by);
            records[2].z.next[at] = records[0].z.own[at];
            assert_eq!(
                prove_ring(&records, 6, Lie::None),
                [false; 2],
                "output {at} of {outputs} sums of {arity}"
            );
        }
    }
    for count in BIT_SIZES {
        for (at, bit) in [(0, 0), (count / 2, 31), (count - 1, 63)] {
            let mut records = bit_records(count, &mut rng(7));
            records[0].z.own[at] ^= 1 << bit;
            records[2].z.next[at] = records[0].z.own[at];
            assert_eq!(prove_bits(&records, 8, Lie::None), [false; 2], "bit {bit} of word {at} of {count}");
        }
    }
}

#[test]
fn errors_that_cancel_in_the_sum_are_refused() {
    for (outputs, gap) in [(2, 1), (100, 8), (300, 4), (1500, 16), (1500, 128), (5000, 4096)] {
        let mut records = ring_records(outputs, 1, &mut rng(9));
        let n = gap.min(outputs - 1);
        records[2].z.next[0] = records[2].z.next[0].wrapping_add(1);
        records[2].z.next[n] = records[2].z.next[n].wrapping_sub(1);
        assert_eq!(prove_ring(&records, 10, Lie::None), [false; 2], "{outputs} {gap}");
    }
    for (count, gap) in [(2, 1), (64, 7), (600, 8), (2100, 32), (4200, 64)] {
        let mut records = bit_records(count, &mut rng(11));
        records[2].z.next[0] ^= u64::MAX;
        records[2].z.next[gap] ^= u64::MAX;
        assert_eq!(prove_bits(&records, 12, Lie::None), [false; 2], "{count} {gap}");
    }
}

#[test]
fn a_wrong_mask_or_operand_of_a_verifier_is_refused() {
    type Change = fn(&mut [RingProducts; 3]);
    let changes: [(&str, Change); 6] = [
        ("first verifier's mask", |r| r[2].mask_next[4] ^= 1 << 40),
        ("second verifier's mask", |r| r[1].mask_prev[4] ^= 1),
        ("first verifier's left factor", |r| r[2].x.next[4] ^= 2),
        ("second verifier's right factor", |r| r[1].y.own[4] ^= 2),
        ("prover's left factor", |r| r[0].x.own[4] ^= 1 << 63),
        ("prover's right factor", |r| r[0].y.next[4] ^= 1),
    ];
    for (name, change) in changes {
        let mut records = ring_records(20, 3, &mut rng(13));
        // Odd factors, so that a change of the highest bit of the other one counts.
        for (record, component) in records.iter_mut().zip([1, 3, 7]) {
            record.x.own[4] |= component;
        }
        let mut fresh = ring_records(20, 3, &mut rng(13));
        change(&mut fresh);
        assert_eq!(prove_ring(&fresh, 14, Lie::None), [false; 2], "{name}");
        let mut bits = bit_records(20, &mut rng(15));
        bits[2].mask_next[3] ^= 4;
        assert_eq!(prove_bits(&bits, 16, Lie::None), [false; 2], "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_changed_word_of_any_message_is_refused(size in 0usize..16, message in 0usize..5, word: usize, shift in 0u32..64, seed: u64) {
        let (outputs, arity) = RING_SIZES[size];
        let records = ring_records(outputs, arity, &mut rng(seed));
        let count = Prover::new(&ring_statement(&records[0]), NO_MASKS).messages();
        let lie = Lie::Message(message % count, word, 1 << shift);
        prop_assert_eq!(prove_ring(&records, seed, lie), [false; 2]);
        let records = bit_records(BIT_SIZES[size % BIT_SIZES.len()], &mut rng(seed));
        let count = Prover::new(&bit_statement(&records[0]), NO_MASKS).messages();
        let lie = Lie::Message(message % count, word, 1 << shift);
        prop_assert_eq!(prove_bits(&records, seed, lie), [false; 2]);
    }

    #[test]
    fn a_wrong_opening_is_refused(size in 0usize..16, word: usize, shift in 0u32..64, seed: u64) {
        let (outputs, arity) = RING_SIZES[size];
        let records = ring_records(outputs, arity, &mut rng(seed));
        prop_assert!(!prove_ring(&records, seed, Lie::Opening(word, 1 << shift))[1]);
        let records = bit_records(BIT_SIZES[size % BIT_SIZES.len()], &mut rng(seed));
        prop_assert!(!prove_bits(&records, seed, Lie::Opening(word, 1 << shift))[1]);
    }

    #[test]
    fn a_fold_with_another_challenge_is_refused(size in 4usize..16, message: usize, seed: u64) {
        let (outputs, arity) = RING_SIZES[size];
        let records = ring_records(outputs, arity, &mut rng(seed));
        let count = Prover::new(&ring_statement(&records[0]), NO_MASKS).messages();
        if count > 1 {
            prop_assert_eq!(prove_ring(&records, seed, Lie::Challenge(message % (count - 1))), [false; 2]);
        }
    }

    #[test]
    fn records_of_many_sizes_are_proved_together(shapes in prop::collection::vec((1usize..60, 1usize..40), 1..6), seed: u64) {
        let mut rng = rng(seed);
        let records: Vec<_> = shapes.iter().map(|(outputs, arity)| ring_records(*outputs, *arity, &mut rng)).collect();
        let statements: Vec<Transcript> = (0..3)
            .map(|i| {
                let ring = records.iter().map(|r| copy(&r[i])).collect();
                Transcript { ring, bits: Vec::new() }
            })
            .collect();
        let cut = chunks_of(&statements[0]).unwrap();
        let parts: Vec<Vec<_>> = statements
            .iter()
            .map(|t| cut[0].ring.iter().map(|(record, range)| (&t.ring[*record], range.clone())).collect())
            .collect();
        let [a, b, c] = [0, 1, 2].map(|i| RingStatement::new(&parts[i]));
        prop_assert_eq!(prove([&a, &b, &c], seed, Lie::None), [true; 2]);
    }
}

fn copy(record: &RingProducts) -> RingProducts {
    RingProducts {
        x: record.x.clone(),
        y: record.y.clone(),
        arity: record.arity,
        z: record.z.clone(),
        mask_prev: record.mask_prev.clone(),
        mask_next: record.mask_next.clone(),
    }
}

#[test]
fn the_soundness_error_of_every_plan_is_at_most_2_to_the_minus_40() {
    let fraction = |degree: usize, bits: u32| degree as f64 / 2f64.powi(bits as i32);
    // Weights and points of the places of a row, two each.
    let of_bits = |words: usize| fraction(4 + super::bits::plan(words).degree(), Gf64::BITS);
    // The weights; a prime among more than 2^50, of which an integer below 2^258 has at most four factors; the
    // multipliers; the folds.
    let of_ring = |terms: usize| {
        fraction(1, ring::WEIGHT_BITS as u32)
            + fraction(4, 50)
            + fraction(1, ring::MULTIPLIER_BITS)
            + fraction(ring::plan(terms).degree(), Fp::BITS)
    };
    for log in 0..=24 {
        for count in [1 << log, (1 << log) + 1, (3 << log) / 2] {
            let error = of_bits(count.min(CHUNK_MAX)) + of_ring(count);
            assert!(error.log2() <= -45.0, "{count}: {}", error.log2());
        }
    }
}

#[test]
fn chunks_cover_every_record_once_and_stay_bounded() {
    let bits = [3, 0, CHUNK_MAX - 1, CHUNK_MAX + 5];
    let ring = [(7, 10), (1, 2 * CHUNK_MAX), (CHUNK_MAX + 1, 2), (7, 5), (3, 0)];
    let chunks = chunks(&bits, &ring);
    let mut seen_bits = bits.map(|_| 0);
    let mut seen_ring = ring.map(|_| 0);
    for chunk in &chunks {
        for (record, range) in &chunk.bits {
            assert_eq!(range.start, seen_bits[*record]);
            seen_bits[*record] = range.end;
        }
        for (record, range) in &chunk.ring {
            assert_eq!(range.start, seen_ring[*record]);
            seen_ring[*record] = range.end;
        }
        let words: usize = chunk.bits.iter().map(|(_, range)| range.len()).sum();
        let terms: usize = chunk.ring.iter().map(|(record, range)| ring[*record].0 * range.len()).sum();
        assert!(words <= CHUNK_MAX && (terms <= CHUNK_MAX || chunk.ring.len() == 1));
    }
    assert_eq!(seen_bits, bits);
    assert_eq!(seen_ring, ring.map(|(_, outputs)| outputs));
}

/// Runs `flush` in three sessions on these records.
fn flush_all(world: &World, records: [Transcript; 3]) -> Outcome<()> {
    world.run::<Malicious, _, _>(records, |session, records| {
        *session.records() = records;
        super::flush(session)
    })
}

fn transcripts(ring: &[(usize, usize)], bits: &[usize], rng: &mut ChaCha20Rng) -> [Transcript; 3] {
    let mut out = [(); 3].map(|()| Transcript::default());
    for (arity, outputs) in ring {
        for (transcript, record) in out.iter_mut().zip(ring_records(*outputs, *arity, rng)) {
            transcript.ring.push(record);
        }
    }
    for count in bits {
        for (transcript, record) in out.iter_mut().zip(bit_records(*count, rng)) {
            transcript.bits.push(record);
        }
    }
    out
}

#[test]
fn sessions_accept_honest_products_at_the_stated_cost() {
    #[expect(clippy::type_complexity, reason = "two lists of sizes, side by side")]
    let shapes: [(&[(usize, usize)], &[usize]); 6] = [
        (&[], &[]),
        (&[(1, 5)], &[]),
        (&[], &[70]),
        (&[(1, 2000), (30, 9), (1, 17), (900, 1)], &[3, 1300]),
        (&[(5000, 2)], &[1]),
        (&[(1, 300)], &[5000]),
    ];
    for (ring, bits) in shapes {
        let world = World::new(21);
        let outcome = flush_all(&world, transcripts(ring, bits, &mut world.rng()));
        let cost = super::cost(&Shape { bits: bits.to_vec(), ring: ring.to_vec() });
        for (result, counters) in outcome.results.iter().zip(&outcome.counters) {
            assert_eq!(result, &Ok(()));
            let meeting = counters.steps()["meet"];
            let total = counters.total();
            assert_eq!(total.rounds - meeting.rounds, cost.rounds, "{ring:?} {bits:?}");
            assert_eq!(total.bytes_sent - meeting.bytes_sent, cost.bytes_sent, "{ring:?} {bits:?}");
            assert_eq!(total.messages - meeting.messages, cost.messages, "{ring:?} {bits:?}");
        }
    }
}

#[test]
fn sessions_refuse_a_wrong_product_at_all_nodes() {
    for liar in Role::ALL {
        for is_ring in [false, true] {
            let world = World::new(22);
            let mut records = transcripts(&[(1, 40)], &[9], &mut world.rng());
            let (own, copy) = (liar.index(), liar.prev().index());
            if is_ring {
                records[own].ring[0].z.own[39] ^= 1 << 63;
                records[copy].ring[0].z.next[39] ^= 1 << 63;
            } else {
                records[own].bits[0].z.own[8] ^= 1;
                records[copy].bits[0].z.next[8] ^= 1;
            }
            for (role, result) in Role::ALL.into_iter().zip(flush_all(&world, records).results) {
                let Err(error) = result else { panic!("{role:?} did not abort") };
                if role != liar {
                    let MpcError::Check { what, .. } = error else { panic!("{role:?}: {error}") };
                    assert_eq!(what, super::protocol::PRODUCTS[liar.index()]);
                }
            }
        }
    }
}

#[test]
fn every_changed_message_ends_all_sessions() {
    let world = World::new(23).with_transcript();
    let outcome = flush_all(&world, transcripts(&[(1, 300), (4, 9)], &[70], &mut world.rng()));
    let sent: usize = outcome.counters.iter().map(|c| c.total().messages as usize - 2).sum();
    assert!(sent > 3 * 10);
    for party in Role::ALL {
        let count = outcome.counters[party.index()].total().messages as usize - 2;
        for nth in 0..count {
            for bit in [0, 63, 1111] {
                let tamper = Tamper { party, at: At::Nth(nth), change: Change::Flip(bit) };
                let world = World::new(23).tampering(tamper);
                let outcome = flush_all(&world, transcripts(&[(1, 300), (4, 9)], &[70], &mut world.rng()));
                assert!(outcome.is_tampered);
                let mut others = Role::ALL.into_iter().filter(|role| *role != party);
                let mut ended = |role: Role| outcome.results[role.index()].is_err();
                // A verdict ends the node that hears it; all before it, both.
                let is_ended = if nth < count - 2 { others.all(&mut ended) } else { others.any(&mut ended) };
                assert!(is_ended, "message {nth} of {party:?}, bit {bit}");
            }
        }
    }
}

#[test]
fn records_that_do_not_fit_together_are_refused() {
    let world = World::new(24);
    let mut records = transcripts(&[(2, 4)], &[3], &mut world.rng());
    records.iter_mut().for_each(|record| record.ring[0].arity = 0);
    let expected =
        MpcError::Parameter { what: "terms of a sum of products", found: 0, expected: "at least 1" };
    assert_eq!(flush_all(&world, records).results, [(); 3].map(|()| Err(expected.clone())));
    let mut records = transcripts(&[(2, 4)], &[3], &mut world.rng());
    records.iter_mut().for_each(|record| record.bits[0].mask_prev.clear());
    let expected = MpcError::Lengths { what: "conjunctions", left: 3, right: 0 };
    assert_eq!(flush_all(&world, records).results, [(); 3].map(|()| Err(expected.clone())));
}

#[test]
fn agreement_ends_where_bytes_differ() {
    let same = World::new(25).run::<Malicious, _, _>([b"a", b"a", b"a"], |session, bytes| {
        super::agree::agree(session, bytes, "the query")
    });
    assert_eq!(same.results, [Ok(()), Ok(()), Ok(())]);
    let differ = World::new(25).run::<Malicious, _, _>([b"a", b"b", b"a"], |session, bytes| {
        super::agree::agree(session, bytes, "the query")
    });
    assert!(differ.results.iter().all(Result::is_err));
}

#[test]
fn a_million_products_cost_what_the_documents_say() {
    let cost = |ring: &[(usize, usize)], bits: &[usize]| {
        let cost = super::cost(&Shape { bits: bits.to_vec(), ring: ring.to_vec() });
        (cost.rounds, cost.bytes_sent)
    };
    assert_eq!(cost(&[(1, 1_000_000)], &[]), (12, 4_826));
    assert_eq!(cost(&[(1_000_000, 1)], &[]), (12, 4_826));
    assert_eq!(cost(&[], &[470_000]), (12, 20_026));
}
