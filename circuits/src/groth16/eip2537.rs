//! Keys and proofs as a contract passes them to the precompiles of EIP-2537.
//!
//! Source: EIP-2537, "ABI for operations": a field element is 64 bytes, big-endian, the upper 16 zero; a point of G1 is
//! x, y (128 bytes); one of G2 is x.c0, x.c1, y.c0, y.c1 (256 bytes); infinity is all zeros.

use super::curve::{G1, G2, Group};
use super::key::VerifyingKey;
use super::proof::Proof;
use ark_bls12_381::Fq;
use ark_ff::{BigInteger, PrimeField};

/// Bytes of a field element.
pub const FIELD_BYTES: usize = 64;
/// Bytes of a point of G1.
pub const G1_BYTES: usize = 128;
/// Bytes of a point of G2.
pub const G2_BYTES: usize = 256;
/// Bytes of a proof: A, B, C.
pub const PROOF_BYTES: usize = 512;

/// The points of a verifying key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPoints {
    /// alpha.
    pub alpha: [u8; G1_BYTES],
    /// beta.
    pub beta: [u8; G2_BYTES],
    /// gamma.
    pub gamma: [u8; G2_BYTES],
    /// delta.
    pub delta: [u8; G2_BYTES],
    /// -gamma, so that a contract adds up pairings only.
    pub gamma_negated: [u8; G2_BYTES],
    /// -delta.
    pub delta_negated: [u8; G2_BYTES],
    /// -alpha: e(A, B) e(-alpha, beta) e(inputs, -gamma) e(C, -delta) = 1.
    pub alpha_negated: [u8; G1_BYTES],
    /// The point of the constant one, then those of the inputs.
    pub inputs: Vec<[u8; G1_BYTES]>,
}

fn write(fields: &[Fq], bytes: &mut [u8]) {
    for (field, chunk) in fields.iter().zip(bytes.chunks_exact_mut(FIELD_BYTES)) {
        chunk[16..].copy_from_slice(&field.into_bigint().to_bytes_be());
    }
}

fn g1(point: &G1) -> [u8; G1_BYTES] {
    let mut bytes = [0; G1_BYTES];
    if !point.is_infinity() {
        let point = point.to_ark();
        write(&[point.x, point.y], &mut bytes);
    }
    bytes
}

fn g2(point: &G2) -> [u8; G2_BYTES] {
    let mut bytes = [0; G2_BYTES];
    if !point.is_infinity() {
        let point = point.to_ark();
        write(&[point.x.c0, point.x.c1, point.y.c0, point.y.c1], &mut bytes);
    }
    bytes
}

/// The points of a verifying key, for a contract's constants.
#[must_use]
pub fn key_points<S>(key: &VerifyingKey<S>) -> KeyPoints {
    KeyPoints {
        alpha: g1(&key.alpha),
        beta: g2(&key.beta),
        gamma: g2(&key.gamma),
        delta: g2(&key.delta),
        gamma_negated: g2(&key.gamma_negated),
        delta_negated: g2(&key.delta_negated),
        alpha_negated: g1(&G1::from_ark(&-key.alpha.to_ark())),
        inputs: key.inputs.iter().map(g1).collect(),
    }
}

/// The points of a proof: A (128), B (256), C (128).
#[must_use]
pub fn proof_points<S>(proof: &Proof<S>) -> [u8; PROOF_BYTES] {
    let mut bytes = [0; PROOF_BYTES];
    bytes[..128].copy_from_slice(&g1(&proof.a));
    bytes[128..384].copy_from_slice(&g2(&proof.b));
    bytes[384..].copy_from_slice(&g1(&proof.c));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_bls12_381::{G1Affine, G2Affine};
    use ark_ec::AffineRepr;

    /// The generators as the test vectors of EIP-2537 write them (`bls_g1add`, `bls_g2add`: "g1 + p1" inputs).
    #[test]
    fn the_generators_have_the_bytes_of_the_eip() {
        let g1 = hex::encode(g1(&G1::from_ark(&G1Affine::generator())));
        assert_eq!(
            g1,
            "0000000000000000000000000000000017f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac58\
             6c55e83ff97a1aeffb3af00adb22c6bb0000000000000000000000000000000008b3f481e3aaa0f1a09e30ed741d8ae4\
             fcf5e095d5d00af600db18cb2c04b3edd03cc744a2888ae40caa232946c5e7e1"
        );
        let g2 = hex::encode(g2(&G2::from_ark(&G2Affine::generator())));
        assert_eq!(
            g2,
            "00000000000000000000000000000000024aa2b2f08f0a91260805272dc51051c6e47ad4fa403b02b4510b647ae3d177\
             0bac0326a805bbefd48056c8c121bdb80000000000000000000000000000000013e02b6052719f607dacd3a088274f65\
             596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e000000000000000000000000000000000\
             ce5d527727d6e118cc9cdc6da2e351aadfd9baa8cbdd3a76d429a695160d12c923ac9cc3baca289e193548608b82801000\
             000000000000000000000000000000606c4a02ea734cc32acd2b02bc28b99cb3e287e85a763af267492ab572e99ab3f370\
             d275cec1da1aaa9075ff05f79be"
        );
    }

    #[test]
    fn infinity_is_zeros() {
        assert_eq!(g1(&G1::default()), [0; G1_BYTES]);
        assert_eq!(g2(&G2::default()), [0; G2_BYTES]);
    }
}
