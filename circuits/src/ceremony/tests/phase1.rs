//! Phase 1: what is accepted, and what each tampering is refused with.

use ark_bls12_381::Fr;
use ark_ff::Field;

use super::*;
use crate::ceremony::coins::Entropy;
use crate::ceremony::curve::{Curve, G1, G2};
use crate::ceremony::points::encode;

const LOG2: u8 = 3;
const N: usize = 1 << LOG2;
/// Bytes before the points.
const HEADER: usize = 11;

fn verify(phase: &Phase1, state: &[u8]) -> Result<Phase1> {
    Phase1::verify(&phase.transcript().encode(), state, &mut rng(99), SILENT)
}

/// Offset of point `index` of the five vectors.
fn offset(vector: usize, index: usize) -> usize {
    let g1 = [0, 2 * N - 1, 3 * N - 1, 4 * N - 1];
    match vector {
        0..=2 => HEADER + (g1[vector] + index) * G1::BYTES,
        3 => HEADER + g1[3] * G1::BYTES + index * G2::BYTES,
        _ => HEADER + g1[3] * G1::BYTES + N * G2::BYTES,
    }
}

#[test]
fn three_contributions_give_the_powers_of_the_product_of_their_factors() {
    let (mut tau, mut alpha, mut beta) = (Fr::ONE, Fr::ONE, Fr::ONE);
    let mut phase = Phase1::begin("test", LOG2).unwrap();
    for index in 0..3u64 {
        let entropy = Entropy::mix(&mut rng(index), b"dice", &phase.transcript().head());
        tau *= entropy.factor("tau").expose();
        alpha *= entropy.factor("alpha").expose();
        beta *= entropy.factor("beta").expose();
        phase = phase.contribute(&contributor("a"), &mut rng(index), b"dice", SILENT).unwrap();
    }
    let g1 = |scalar: Fr| G1::normalise(&[G1::generator().mult(&scalar)])[0];
    let g2 = |scalar: Fr| G2::normalise(&[G2::generator().mult(&scalar)])[0];
    let powers = phase.powers();
    for i in 0..2 * N - 1 {
        assert!(powers.tau_g1[i] == g1(tau.pow([i as u64])));
    }
    for i in 0..N {
        let power = tau.pow([i as u64]);
        assert!(powers.alpha_g1[i] == g1(alpha * power));
        assert!(powers.beta_g1[i] == g1(beta * power));
        assert!(powers.tau_g2[i] == g2(power));
    }
    assert!(powers.beta_g2 == g2(beta));
    let verified = verify(&phase, &phase.encode_state()).unwrap();
    assert_eq!(verified.transcript().contributions().len(), 3);
    assert!(verified.powers().tau_g1 == powers.tau_g1);
}

#[test]
fn a_closed_phase_verifies_and_takes_no_more() {
    let phase = first_phase(LOG2, &["a", "b", "c"], true);
    let verified = verify(&phase, &phase.encode_state()).unwrap();
    verified.transcript().check_finished(3).unwrap();
    let more = verified.contribute(&contributor("d"), &mut rng(5), &[], SILENT);
    assert_eq!(more.err(), Some(Error::Closed));
    assert_eq!(verified.transcript().check_finished(4), Err(Error::Contributors { found: 3, needed: 4 }));
}

#[test]
fn a_ceremony_without_contributors_cannot_be_closed() {
    let phase = Phase1::begin("test", LOG2).unwrap();
    let closed = phase.close(&beacon(), SILENT);
    assert_eq!(closed.err(), Some(Error::Contributors { found: 0, needed: 1 }));
    assert_eq!(phase.transcript().check_finished(0), Err(Error::NotClosed));
}

#[test]
fn verifying_the_next_contribution_takes_it_and_refuses_another_history() {
    let first = first_phase(LOG2, &["a"], false);
    let second = first.contribute(&contributor("b"), &mut rng(7), &[], SILENT).unwrap();
    let next = |phase: &Phase1| {
        let transcript = phase.transcript().encode();
        first.verify_next(&transcript, &phase.encode_state(), &mut rng(8), SILENT)
    };
    assert_eq!(next(&second).unwrap().transcript().head(), second.transcript().head());
    assert_eq!(next(&first).err(), Some(Error::Continuation));
    let other = first_phase(LOG2, &["x", "b"], false);
    assert_eq!(next(&other).err(), Some(Error::Continuation));
}

#[test]
fn the_progress_report_ends_with_the_total() {
    use std::sync::Mutex;
    let seen = Mutex::new(Vec::new());
    let report = |done, total| seen.lock().unwrap().push((done, total));
    let phase = first_phase(LOG2, &["a"], true);
    let transcript = phase.transcript().encode();
    Phase1::verify(&transcript, &phase.encode_state(), &mut rng(1), &report).unwrap();
    let seen = seen.into_inner().unwrap();
    let (done, total) = *seen.last().unwrap();
    assert_eq!(done, total);
    assert!(seen.iter().all(|&(done, of)| done <= total && of == total));
}

/// A phase whose transcript speaks of `state`, whoever changed it: only the points are left to catch it.
fn with_state(phase: &Phase1, state: &[u8]) -> Vec<u8> {
    let mut transcript = phase.transcript().clone();
    transcript.last_mut().state = crate::ceremony::chain::state_hash(state);
    transcript.encode()
}

fn refusal(phase: &Phase1, state: &[u8]) -> Error {
    let transcript = with_state(phase, state);
    Phase1::verify(&transcript, state, &mut rng(3), SILENT).err().expect("refused")
}

#[test]
fn each_tampering_with_the_state_has_its_refusal() {
    let phase = first_phase(LOG2, &["a", "b"], false);
    let state = phase.encode_state();
    verify(&phase, &state).unwrap();
    let swap = |vector: usize, a: usize, b: usize, bytes: usize| {
        let mut state = state.clone();
        let (a, b) = (offset(vector, a), offset(vector, b));
        let first = state[a..a + bytes].to_vec();
        state.copy_within(b..b + bytes, a);
        state[b..b + bytes].copy_from_slice(&first);
        refusal(&phase, &state)
    };
    assert_eq!(swap(0, 3, 4, 96), Error::Powers("powers of tau in G1"));
    assert_eq!(swap(0, 0, 2, 96), Error::Generator("powers of tau in G1"));
    assert_eq!(swap(0, 1, 2, 96), Error::StateValue("tau"));
    assert_eq!(swap(1, 3, 4, 96), Error::Powers("powers of tau times alpha in G1"));
    assert_eq!(swap(2, 1, N - 1, 96), Error::Powers("powers of tau times beta in G1"));
    assert_eq!(swap(3, 3, 4, 192), Error::Powers("powers of tau in G2"));
    assert_eq!(swap(3, 1, 2, 192), Error::Groups("tau"));
    assert_eq!(swap(3, 0, 2, 192), Error::Generator("powers of tau in G2"));

    // Beta in G2 replaced by a power of tau.
    let mut other = state.clone();
    other.copy_within(offset(3, 3)..offset(3, 4), offset(4, 0));
    assert_eq!(refusal(&phase, &other), Error::Groups("beta"));

    // The highest power replaced by twice itself: the last element of the longest vector is checked too.
    let mut other = state.clone();
    let last = phase.powers().tau_g1[2 * N - 2];
    let doubled = G1::normalise(&[G1::add(&last.to_sum(), &last.to_sum())]);
    let mut bytes = Vec::new();
    encode(&doubled, &mut bytes);
    other[offset(0, 2 * N - 2)..][..96].copy_from_slice(&bytes);
    assert_eq!(refusal(&phase, &other), Error::Powers("powers of tau in G1"));

    // The transcript as it was, which names another state.
    assert_eq!(verify(&phase, &other).err(), Some(Error::StateHash));
}

#[test]
fn a_point_outside_the_subgroup_at_infinity_or_off_the_curve_is_refused() {
    let phase = first_phase(LOG2, &["a"], false);
    let state = phase.encode_state();
    let refuse = |vector, index, bytes: &[u8]| {
        let mut state = state.clone();
        state[offset(vector, index)..][..bytes.len()].copy_from_slice(bytes);
        refusal(&phase, &state)
    };
    let point = |vector, index, fault| Error::Point { vector, index, fault };

    let mut infinity = [0u8; 192];
    infinity[0] = 0x40;
    let tau_g1 = "powers of tau in G1";
    assert_eq!(refuse(0, 5, &infinity[..96]), point(tau_g1, 5, PointFault::Infinity));
    assert_eq!(refuse(3, 6, &infinity), point("powers of tau in G2", 6, PointFault::Infinity));
    assert_eq!(refuse(0, 5, &outside_g1()), point(tau_g1, 5, PointFault::Subgroup));
    assert_eq!(refuse(3, 5, &outside_g2()), point("powers of tau in G2", 5, PointFault::Subgroup));
    assert_eq!(refuse(0, 4, &[1; 96]), point(tau_g1, 4, PointFault::Curve));
    assert_eq!(refuse(0, 4, &[0x1f; 96]), point(tau_g1, 4, PointFault::Encoding));
    assert_eq!(refuse(1, 4, &[0x9f; 96]), point("powers of tau times alpha in G1", 4, PointFault::Encoding));
}

#[test]
fn the_bucket_test_finds_one_point_outside_among_many() {
    use crate::ceremony::coins::Coins;
    use crate::ceremony::points::check_subgroup;
    use crate::ceremony::progress::Progress;
    let mut points = vec![G1::generator(); 10_000];
    let progress = Progress::new(SILENT, 10_000);
    check_subgroup(&points, "points", &Coins::draw(&mut rng(1)), &progress).unwrap();
    points[7_777] = G1::read(&outside_g1()).unwrap();
    let found = check_subgroup(&points, "points", &Coins::draw(&mut rng(2)), &progress);
    let fault = PointFault::Subgroup;
    assert_eq!(found, Err(Error::Point { vector: "points", index: 7_777, fault }));
    // Two that cancel when they meet in one bucket, which is the best an attacker can do.
    points[3] = points[7_777].negate();
    let found = check_subgroup(&points, "points", &Coins::draw(&mut rng(3)), &progress);
    assert_eq!(found, Err(Error::Point { vector: "points", index: 3, fault }));
}

#[test]
fn a_truncated_or_lengthened_file_or_one_of_another_kind_is_refused() {
    let phase = first_phase(LOG2, &["a"], false);
    let (transcript, state) = (phase.transcript().encode(), phase.encode_state());
    let verify = |transcript: &[u8], state: &[u8]| {
        Phase1::verify(transcript, state, &mut rng(4), SILENT).err().expect("refused")
    };
    for len in [0, 7, 10, 11, HEADER + 95, state.len() - 1] {
        assert!(matches!(verify(&transcript, &state[..len]), Error::Codec(_)), "{len}");
    }
    for len in 0..transcript.len() {
        assert!(matches!(verify(&transcript[..len], &state), Error::Codec(_)), "{len}");
    }
    let longer = [&state[..], &[0]].concat();
    assert_eq!(verify(&transcript, &longer), Error::Codec(ward_math::Error::TrailingBytes(1)));
    assert_eq!(verify(&state, &state), Error::Header("kind"));
    assert_eq!(verify(&transcript, &transcript), Error::Header("kind"));
    let mut sized = state.clone();
    sized[10] = 21;
    assert_eq!(verify(&transcript, &sized), Error::Size(21));
    let larger = first_phase(LOG2 + 1, &["a"], false).encode_state();
    assert_eq!(verify(&transcript, &larger), Error::Header("size"));
    let mut magic = state;
    magic[0] ^= 1;
    assert_eq!(verify(&transcript, &magic), Error::Header("magic number"));
}
