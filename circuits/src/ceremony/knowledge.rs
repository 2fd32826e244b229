//! Proofs that a contributor knows the factor by which it multiplied a secret.
//!
//! Parties: a contributor, anybody as verifier. Input of the contributor: the factor `x`. Adversary: malicious;
//! it sees and may copy all earlier proofs. Non-interactive; 240 bytes for each secret.
//! Source: the proof of knowledge of Bowe, Gabizon, Miers (eprint 2017/1050) in the form of Kohlweiss, Maller,
//! Siim, Volkhov, "Snarky Ceremonies" (eprint 2021/219; the updates are those of section 5.2, figures 6 and 7):
//! `R = H([x]_1, [x]_2)`, `pi = x R`, accepted when `e([x]_1, [1]_2) = e([1]_1, [x]_2)` and
//! `e(pi, [1]_2) = e(R, [x]_2)`; the update is accepted when `e([s x]_1, [1]_2) = e([s]_1, [x]_2)`.
//! Deviation: `H` also takes the place in the transcript, the name of the contributor and that of the secret, as
//! the transcript string of eprint 2017/1050 does, so that a copied proof is refused. It only narrows what is
//! accepted. `H` is RFC 9380's hash to G1.

use ark_bls12_381::Fr;
use ward_math::Secret;

use super::curve::{Curve, G1, G2, pairings_agree};
use super::error::{Error, Result};
use super::transcript::{Hasher, Source};

/// Domain separation of the hash to the curve.
const TAG: &[u8] = b"WARD-SETUP-V1-KNOWLEDGE-with-BLS12381G1_XMD:SHA-256_SSWU_RO_";

/// How one secret `s` was multiplied by `x`. All points are in their subgroups and not at infinity.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Update {
    /// `[s x]_1`, the value afterwards.
    pub(crate) value: G1,
    /// `[x]_1`.
    pub(crate) factor_g1: G1,
    /// `[x]_2`.
    pub(crate) factor_g2: G2,
    /// `pi = x R`.
    pub(crate) proof: G1,
}

/// What a proof is bound to.
pub(crate) struct Place<'a> {
    /// Head of the transcript before the contribution.
    pub(crate) previous: &'a [u8; 32],
    /// Who contributes.
    pub(crate) source: &'a Source,
    /// Number of the contribution, from 1.
    pub(crate) number: usize,
}

impl Place<'_> {
    /// `R` for the secret called `secret` and the factor in both groups.
    fn challenge(&self, secret: &str, factor_g1: &G1, factor_g2: &G2) -> G1 {
        let (kind, name, attestation): (&[u8], &[u8], &[u8]) = match self.source {
            Source::Party(contributor) => {
                (b"party", contributor.name().as_bytes(), contributor.attestation())
            }
            Source::Beacon(beacon) => (b"beacon", beacon.value(), &[beacon.iterations_log2()]),
        };
        let message = Hasher::new("knowledge")
            .field(self.previous)
            .field(kind)
            .field(name)
            .field(attestation)
            .field(secret.as_bytes())
            .field(&factor_g1.compress())
            .field(&factor_g2.compress())
            .finish();
        G1::hash(TAG, &message)
    }
}

impl Update {
    /// Multiplies `[s]_1 = before` by the factor and proves it.
    pub(crate) fn prove(place: &Place<'_>, secret: &'static str, before: &G1, factor: &Secret<Fr>) -> Self {
        let x = factor.expose();
        let factor_g1 = G1::normalise(&[G1::generator().mult(x)])[0];
        let factor_g2 = G2::normalise(&[G2::generator().mult(x)])[0];
        let challenge = place.challenge(secret, &factor_g1, &factor_g2);
        let both = G1::normalise(&[before.mult(x), challenge.mult(x)]);
        Self { value: both[0], factor_g1, factor_g2, proof: both[1] }
    }

    /// Checks the proof, and that the value before was multiplied.
    ///
    /// # Errors
    /// [`Error::Unchanged`], [`Error::Knowledge`], [`Error::Product`].
    pub(crate) fn verify(&self, place: &Place<'_>, secret: &'static str, before: &G1) -> Result<()> {
        let contribution = place.number;
        let (one_g1, one_g2) = (G1::generator(), G2::generator());
        if self.factor_g1 == one_g1 {
            return Err(Error::Unchanged { contribution, secret });
        }
        let challenge = place.challenge(secret, &self.factor_g1, &self.factor_g2);
        let known = pairings_agree((&self.factor_g1, &one_g2), (&one_g1, &self.factor_g2))
            && pairings_agree((&self.proof, &one_g2), (&challenge, &self.factor_g2));
        if !known {
            return Err(Error::Knowledge { contribution, secret });
        }
        if !pairings_agree((&self.value, &one_g2), (before, &self.factor_g2)) {
            return Err(Error::Product { contribution, secret });
        }
        Ok(())
    }
}
