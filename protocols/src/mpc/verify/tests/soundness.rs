//! How often the best cheater gets away, over a field so small that it can be counted: the verifier's code is the one
//! in use, and the bound of the documents is met exactly.

use chacha20::ChaCha20Rng;
use rand_core::Rng;

use super::super::columns::View;
use super::super::extension::Extension;
use super::super::plan::Plan;
use super::super::proof::{MaskWords, Prove, Prover, Verifier, Verify};
use super::super::statement::{Drawn, Statement};
use super::rng;

/// The size of the field.
const P: u64 = 61;

#[derive(Clone, Copy)]
struct Tiny;

impl Extension for Tiny {
    const SHARE_WORDS: usize = 1;
    const FACTOR_BITS: u32 = 1;
    const LAST: usize = 2;
    const BITS: u32 = 5;

    fn add(&self, a: u64, b: u64) -> u64 {
        (a + b) % P
    }
    fn sub(&self, a: u64, b: u64) -> u64 {
        (a + P - b) % P
    }
    fn mul(&self, a: u64, b: u64) -> u64 {
        a * b % P
    }
    fn uniform(&self, words: &[u64]) -> u64 {
        words[0] % P
    }
    fn read(&self, word: u64) -> u64 {
        word % P
    }
    fn add_products(&self, sums: &mut [u128], u: &[&[u64]], v: &[&[u64]]) {
        for (i, u) in u.iter().enumerate() {
            for (j, v) in v.iter().rev().enumerate() {
                for (a, b) in u.iter().zip(*v) {
                    sums[i + j] += u128::from(a * b);
                }
            }
        }
    }
    fn join(&self, a: u128, b: u128) -> u128 {
        a + b
    }
    fn coefficients(&self, sums: &[u128], factor: usize) -> Vec<u64> {
        assert_eq!(sums.len(), 2 * factor - 1);
        sums.iter().map(|sum| (sum % u128::from(P)) as u64).collect()
    }
    fn weight(&self, element: u64) -> u64 {
        element
    }
    fn combine(&self, out: &mut [u64], weights: &[u64], rows: &[&[u64]]) {
        for (c, out) in out.iter_mut().enumerate() {
            *out =
                weights.iter().zip(rows).map(|(weight, row)| weight * row.get(c).unwrap_or(&0)).sum::<u64>()
                    % P;
        }
    }
}

/// The claim that two vectors of four have an inner product that they do not have: by 1, in the first verifier's share.
struct FalseClaim {
    shares: [[Vec<u64>; 2]; 2],
    claims: [u64; 2],
    plan: Plan,
}

impl Statement for FalseClaim {
    type Ext = Tiny;
    type Weights = ();
    type Claim = u64;
    type Turn = ();
    type Room = ();

    const LABEL: &'static [u8] = b"tiny";

    fn plan(&self) -> &Plan {
        &self.plan
    }
    fn weights(&self, _: &mut ChaCha20Rng) {}
    fn claim(&self, view: View, (): &()) -> u64 {
        self.claims[usize::from(view == View::Second)]
    }
    fn first(&self, (): &(), _: &[u64]) -> Vec<u64> {
        Vec::new()
    }
    fn turn(&self, _: &mut ChaCha20Rng) {}
    fn field(&self, (): &()) -> Tiny {
        Tiny
    }
    fn combined_claim(&self, _: View, (): &(), (): &(), claim: &u64, _: &[u64]) -> u64 {
        *claim
    }
    fn elements(&self) -> usize {
        4
    }
    fn entries(
        &self,
        drawn: &Drawn<(), ()>,
        start: usize,
        (out_u, out_v): (&mut [u64], &mut [u64]),
        (): &mut (),
    ) {
        let [u, v] = self.vectors(drawn.view);
        for (vector, out) in [(u, out_u), (v, out_v)] {
            for (at, out) in out.iter_mut().enumerate() {
                *out = vector.get(start + at).copied().unwrap_or(0);
            }
        }
    }
}

impl FalseClaim {
    fn vectors(&self, view: View) -> [Vec<u64>; 2] {
        let [[u0, v0], [u1, v1]] = &self.shares;
        let sum = |a: &[u64], b: &[u64]| a.iter().zip(b).map(|(a, b)| (a + b) % P).collect();
        match view {
            View::First => [u0.clone(), v0.clone()],
            View::Second => [u1.clone(), v1.clone()],
            View::Prover => [sum(u0, u1), sum(v0, v1)],
        }
    }
}

/// The coefficients of a polynomial with the roots 1 to `degree` and `error` as coefficient `place`.
fn error_with_roots(degree: u64, place: usize, error: u64) -> Vec<u64> {
    let mut poly = vec![1];
    for root in 1..=degree {
        let mut next = vec![0; poly.len() + 1];
        for (i, c) in poly.iter().enumerate() {
            next[i + 1] = (next[i + 1] + c) % P;
            next[i] = (next[i] + (P - root) * c) % P;
        }
        poly = next;
    }
    assert_ne!(poly[place], 0);
    let inverse = (1..P).find(|x| x * poly[place] % P == 1).unwrap();
    poly.iter().map(|c| c * inverse % P * error % P).collect()
}

/// One attempt: whether both verifiers accept.
fn attempt(rng: &mut ChaCha20Rng) -> bool {
    let mut draw = |count: usize| -> Vec<u64> { (0..count).map(|_| rng.next_u64() % P).collect() };
    let shares = [[draw(4), draw(4)], [draw(4), draw(4)]];
    let masks: [MaskWords; 2] = [draw(2), draw(2)].map(|m| [[m[0], 0], [m[1], 0]]);
    let seeds = draw(64);
    let mut statement = FalseClaim { shares, claims: [0, 0], plan: Plan::new::<Tiny>(0, 4) };
    assert_eq!((&statement.plan.factors[..], statement.plan.last), (&[2][..], 2));
    let [u, v] = statement.vectors(View::Prover);
    statement.claims[0] = (u.iter().zip(&v).map(|(a, b)| a * b).sum::<u64>() + 1) % P;
    let mut prover = Prover::new(&statement, masks);
    let mut first = Verifier::new(&statement, View::First, masks[0]);
    let mut second = Verifier::new(&statement, View::Second, masks[1]);
    prover.weigh(&[0; 32]);
    first.weigh(&[0; 32]);
    second.weigh(&[0; 32]);
    // What the claim is off by; once a point is a root of the lie, nothing, and honesty is enough.
    let mut error = 1;
    for (index, place) in [(0, 1), (1, 1)] {
        let share = seeds[40 + 8 * index..][..prover.words(index)].to_vec();
        let mut message = prover.message(index, &share);
        let degree = message.len() as u64;
        let lie = error_with_roots(degree, place, error);
        let told = lie.iter().enumerate().filter(|(i, _)| *i != place).map(|(_, e)| e);
        message.iter_mut().zip(told).for_each(|(word, e)| *word = (*word + e) % P);
        let mut seed = [index as u8; 32];
        seed[1..17].iter_mut().zip(&seeds[16 * index..]).for_each(|(byte, x)| *byte = *x as u8);
        first.challenge(index, &share, &seed);
        second.challenge(index, &message, &seed);
        prover.challenge(index, &seed);
        let point = Tiny.point(&mut super::super::proof::generator::<FalseClaim>(&seed));
        error = lie.iter().rev().fold(0, |value, c| (value * point + c) % P);
    }
    let accepted = [first.accepts(&second.opening()), second.accepts(&first.opening())];
    assert_eq!(accepted[0], accepted[1]);
    accepted[0]
}

#[test]
fn the_best_cheater_succeeds_as_often_as_the_bound_says() {
    const ATTEMPTS: u32 = 20_000;
    let mut rng = rng(31);
    let successes = (0..ATTEMPTS).filter(|_| attempt(&mut rng)).count() as f64;
    // Two roots of the fold, else four roots of the last fold, which avoids zero.
    let p = P as f64;
    let expected = 2.0 / p + (1.0 - 2.0 / p) * 4.0 / (p - 1.0);
    let deviation = (expected * (1.0 - expected) / f64::from(ATTEMPTS)).sqrt();
    let rate = successes / f64::from(ATTEMPTS);
    assert!((rate - expected).abs() < 4.0 * deviation, "{rate} instead of {expected}");
}
