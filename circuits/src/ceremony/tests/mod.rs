//! Tests of the ceremony.

use rand_core::SeedableRng;

use chacha20::ChaCha20Rng;

use super::*;

mod chain;
mod keys;
mod phase1;
mod phase2;

/// A generator from a printed seed.
pub(super) fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

pub(super) fn contributor(name: &str) -> Contributor {
    Contributor::new(name, [name.len() as u8; 32]).unwrap()
}

pub(super) fn beacon() -> Beacon {
    Beacon::new(b"round 4242 of a public beacon", 6).unwrap()
}

/// Phase 1 of size `2^log2` with `names` and, if asked for, the beacon.
pub(super) fn first_phase(log2: u8, names: &[&str], closed: bool) -> Phase1 {
    let mut phase = Phase1::begin("test", log2).unwrap();
    for (index, name) in names.iter().enumerate() {
        phase = phase.contribute(&contributor(name), &mut rng(index as u64), b"dice", SILENT).unwrap();
    }
    if closed { phase.close(&beacon(), SILENT).unwrap() } else { phase }
}

/// Bytes of a point on the curve of G1 and outside the subgroup: the first abscissa that gives one.
pub(super) fn outside_g1() -> [u8; 96] {
    use ark_bls12_381::{Fq, G1Affine};
    let point = (1u64..)
        .filter_map(|x| G1Affine::get_point_from_x_unchecked(Fq::from(x), false))
        .find(|point| !point.is_in_correct_subgroup_assuming_on_curve())
        .unwrap();
    let mut out = [0; 96];
    out[..48].copy_from_slice(&big_endian(&point.x));
    out[48..].copy_from_slice(&big_endian(&point.y));
    out
}

/// The same on the curve of G2.
pub(super) fn outside_g2() -> [u8; 192] {
    use ark_bls12_381::{Fq, Fq2, G2Affine};
    let point = (1u64..)
        .filter_map(|x| G2Affine::get_point_from_x_unchecked(Fq2::new(Fq::from(x), Fq::from(0)), false))
        .find(|point| !point.is_in_correct_subgroup_assuming_on_curve())
        .unwrap();
    let mut out = [0; 192];
    for (bytes, c) in
        out.as_chunks_mut::<48>().0.iter_mut().zip([point.x.c1, point.x.c0, point.y.c1, point.y.c0])
    {
        *bytes = big_endian(&c);
    }
    out
}

fn big_endian(value: &ark_bls12_381::Fq) -> [u8; 48] {
    use ark_ff::{BigInteger, PrimeField};
    value.into_bigint().to_bytes_be().try_into().unwrap()
}
