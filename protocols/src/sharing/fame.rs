//! Encryption under a policy: any text is an attribute, a key has a set of them, a ciphertext has a policy, and the key
//! opens it exactly when its set satisfies the policy.
//!
//! Parties: an authority ([`setup`], [`issue`]), whoever encrypts, holders of keys. No rounds. A ciphertext has three
//! points of `G2` and three of `G1` for each attribute of the policy; opening takes six pairings.
//!
//! Source: Agrawal, Chase, "FAME: Fast Attribute-based Message Encryption" (CCS 2017, eprint 2017/807), section 3, the
//! ciphertext-policy scheme: Setup, KeyGen, Encrypt, Decrypt, in its letters; `G` is `G1`, `H` is `G2`.
//!
//! # Security
//! Adversary: any number of key holders who choose the policy they attack after they have their keys (adaptive), none of
//! whose sets satisfies it alone. The mask of a ciphertext is then indistinguishable from random under the decisional
//! linear assumption in `G1` and `G2` (DLIN, type-III pairings) in the random-oracle model (the paper's main theorem).
//! Chosen plaintexts only: [`super::sealed`] adds chosen ciphertexts. The authority can open everything.
//!
//! Deviations: the message `msg` is 1, so that `ct'` is the mask itself and never leaves the house ([`super::sealed`]
//! hashes it); the generators are the curve's; `H(x l t)` frames its parts; the k-th copy of an attribute is its own
//! attribute ([`super::span_program`]).

use std::collections::{BTreeMap, BTreeSet};

use ark_bls12_381::{Bls12_381, Fr, G1Affine, G1Projective, G2Affine};
use ark_ec::pairing::Pairing;
use ark_ec::{AffineRepr, CurveGroup, PrimeGroup};
use ark_ff::{AdditiveGroup, Field};
use rand_core::CryptoRng;
use rayon::prelude::*;
use zeroize::Zeroizing;

use super::error::{Result, SharingError};
use super::group::{SecretPoint, Target, hash_to_g1, random_scalar};
use super::policy::{Attribute, Policy};
use super::span_program::{COPIES, SpanProgram};

/// `pk`: what anybody encrypts with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// `H1 = h^a1`, `H2 = h^a2`.
    pub(super) h: [G2Affine; 2],
    /// `T1 = e(g,h)^(d1 a1 + d3)`, `T2 = e(g,h)^(d2 a2 + d3)`.
    pub(super) t: [Target; 2],
}

/// `msk`: what makes keys.
pub struct MasterKey {
    pub(super) a: [Zeroizing<Fr>; 2],
    pub(super) b: [Zeroizing<Fr>; 2],
    /// `g^d1`, `g^d2`, `g^d3`.
    pub(super) g_d: [SecretPoint<G1Affine>; 3],
}

/// `sk`: a holder's key.
pub struct UserKey {
    /// `h^(b1 r1)`, `h^(b2 r2)`, `h^(r1 + r2)`.
    pub(super) sk0: [SecretPoint<G2Affine>; 3],
    /// `sk_(y,1)`, `sk_(y,2)`, `sk_(y,3)` for every attribute and each of its copies.
    pub(super) sk: BTreeMap<Attribute, [[SecretPoint<G1Affine>; 3]; COPIES]>,
    /// `sk'`.
    pub(super) sk_prime: [SecretPoint<G1Affine>; 3],
}

/// `ct0` and the `ct_i`; without `ct'`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ciphertext {
    pub ct0: [G2Affine; 3],
    pub rows: Vec<[G1Affine; 3]>,
}

/// The coins of an encryption.
pub(super) type Coins = [Zeroizing<Fr>; 2];

impl UserKey {
    /// Its attributes.
    #[must_use]
    pub fn attributes(&self) -> BTreeSet<Attribute> {
        self.sk.keys().cloned().collect()
    }
}

/// `H(x l t)` for the `copy`-th copy of an attribute.
fn hash_attribute(attribute: &Attribute, copy: usize, l: u8, t: u8) -> Result<G1Affine> {
    let copy = u8::try_from(copy).unwrap_or(u8::MAX);
    hash_to_g1(&[&[1, l, t, copy], attribute.as_str().as_bytes()].concat())
}

/// `H(0 j l t)`, columns `j` from 0.
fn hash_column(j: usize, l: u8, t: u8) -> Result<G1Affine> {
    hash_to_g1(&[&[0, l, t][..], &(j as u64).to_le_bytes()].concat())
}

/// Setup.
#[must_use]
pub fn setup<R: CryptoRng + ?Sized>(rng: &mut R) -> (PublicKey, MasterKey) {
    let mut draw = || random_scalar(rng);
    let (a, b) = ([draw(), draw()], [draw(), draw()]);
    let d = [draw(), draw(), draw()];
    let h = [0, 1].map(|t| (G2Affine::generator() * *a[t]).into_affine());
    let t = [0, 1].map(|t| Target::generator() * *Zeroizing::new(*d[t] * *a[t] + *d[2]));
    let g_d = [0, 1, 2].map(|i| SecretPoint((G1Affine::generator() * *d[i]).into_affine()));
    (PublicKey { h, t }, MasterKey { a, b, g_d })
}

/// The exponents of one key: `b1 r1`, `b2 r2`, `r1 + r2`, and `1/a1`, `1/a2`.
struct Exponents {
    r: [Zeroizing<Fr>; 3],
    inverse_a: [Zeroizing<Fr>; 2],
}

impl Exponents {
    /// `prod_l H(x l t)^(r_l / a_t) * g^(sigma / a_t)` for t = 1, 2, and `g^(-sigma)`.
    fn components(&self, hash: impl Fn(u8, u8) -> Result<G1Affine>, sigma: &Fr) -> Result<[G1Projective; 3]> {
        let g = G1Affine::generator();
        let component = |t: u8| -> Result<G1Projective> {
            let inverse = &self.inverse_a[usize::from(t)];
            let mut sum = g * *Zeroizing::new(*sigma * **inverse);
            for (l, r) in (0u8..).zip(&self.r) {
                sum += hash(l + 1, t + 1)? * *Zeroizing::new(**r * **inverse);
            }
            Ok(sum)
        };
        Ok([component(0)?, component(1)?, -(g * *sigma)])
    }
}

/// KeyGen: a key for a set of attributes. Two keys never combine: each has its own `r1`, `r2`.
///
/// # Errors
/// None in practice: hashing to the curve is total.
pub fn issue<R: CryptoRng + ?Sized>(
    master: &MasterKey,
    attributes: &BTreeSet<Attribute>,
    rng: &mut R,
) -> Result<UserKey> {
    let (r1, r2) = (random_scalar(rng), random_scalar(rng));
    let inverse = |a: &Fr| a.inverse().map(Zeroizing::new).ok_or(SharingError::Changed);
    let exponents = Exponents {
        r: [
            Zeroizing::new(*master.b[0] * *r1),
            Zeroizing::new(*master.b[1] * *r2),
            Zeroizing::new(*r1 + *r2),
        ],
        inverse_a: [inverse(&master.a[0])?, inverse(&master.a[1])?],
    };
    let sk0 = [0, 1, 2].map(|i| SecretPoint((G2Affine::generator() * *exponents.r[i]).into_affine()));
    let hide = |points: [G1Projective; 3]| points.map(|point| SecretPoint(point.into_affine()));
    // sk_y: sigma is drawn in order, so that a seed makes one key; the points are computed in parallel.
    let sigmas: Vec<[Zeroizing<Fr>; COPIES]> =
        attributes.iter().map(|_| [(); COPIES].map(|()| random_scalar(rng))).collect();
    let names: Vec<&Attribute> = attributes.iter().collect();
    let sk = names.par_iter().zip(&sigmas).map(|(attribute, sigmas)| -> Result<_> {
        let copies = (0..COPIES)
            .map(|copy| {
                exponents.components(|l, t| hash_attribute(attribute, copy, l, t), &sigmas[copy]).map(hide)
            })
            .collect::<Result<Vec<_>>>()?;
        let copies = <[_; COPIES]>::try_from(copies).map_err(|_| SharingError::Changed)?;
        Ok(((*attribute).clone(), copies))
    });
    let sk = sk.collect::<Result<BTreeMap<_, _>>>()?;
    // sk': as an attribute that is called 01, with g^d on top.
    let sigma = random_scalar(rng);
    let [k1, k2, k3] = exponents.components(|l, t| hash_column(0, l, t), &sigma)?;
    let [d1, d2, d3] = &master.g_d;
    Ok(UserKey { sk0, sk, sk_prime: hide([k1 + d1.0, k2 + d2.0, k3 + d3.0]) })
}

/// Encrypt, with the coins `s1`, `s2` as an argument; returns the ciphertext and the mask `T1^s1 T2^s2`.
///
/// # Errors
/// [`SharingError::Limit`] for a policy that uses an attribute too often.
pub(super) fn encrypt(public: &PublicKey, policy: &Policy, coins: &Coins) -> Result<(Ciphertext, Target)> {
    let program = SpanProgram::new(policy)?;
    let [s1, s2] = coins;
    let both = |first: G1Affine, second: G1Affine| first * **s1 + second * **s2;
    // H(0jl1)^s1 * H(0jl2)^s2, once for each column.
    let columns = (0..program.columns).into_par_iter().map(|j| -> Result<_> {
        let point =
            |l: u8| -> Result<G1Projective> { Ok(both(hash_column(j, l, 1)?, hash_column(j, l, 2)?)) };
        Ok([point(1)?, point(2)?, point(3)?])
    });
    let columns = columns.collect::<Result<Vec<[G1Projective; 3]>>>()?;
    let rows = program.rows.par_iter().map(|row| -> Result<_> {
        let point = |l: u8| -> Result<G1Affine> {
            let hash = |t| hash_attribute(row.attribute, row.copy, l, t);
            let mut sum = both(hash(1)?, hash(2)?);
            for &(j, entry) in &row.entries {
                let column = columns[j][usize::from(l) - 1];
                if entry < 0 {
                    sum -= column;
                } else {
                    sum += column;
                }
            }
            Ok(sum.into_affine())
        };
        Ok([point(1)?, point(2)?, point(3)?])
    });
    let rows = rows.collect::<Result<Vec<_>>>()?;
    let both_coins = Zeroizing::new(**s1 + **s2);
    let ct0 = [public.h[0] * **s1, public.h[1] * **s2, G2Affine::generator() * *both_coins];
    let mask = public.t[0] * **s1 + public.t[1] * **s2;
    Ok((Ciphertext { ct0: ct0.map(|point| point.into_affine()), rows }, mask))
}

/// Decrypt: the mask of a ciphertext. All coefficients `gamma_i` are 1 ([`super::span_program`]).
///
/// # Errors
/// [`SharingError::Lacks`] with the fewest attributes that are missing.
pub(super) fn decrypt(key: &UserKey, policy: &Policy, ciphertext: &Ciphertext) -> Result<Target> {
    let attributes = key.attributes();
    let chosen = policy.choose(&attributes).ok_or_else(|| SharingError::Lacks {
        missing: policy.missing(&attributes).iter().map(ToString::to_string).collect(),
    })?;
    let program = SpanProgram::new(policy)?;
    let mut ct = [G1Projective::ZERO; 3];
    let mut sk = [0, 1, 2].map(|i| SecretPoint(G1Projective::from(key.sk_prime[i].0)));
    for index in chosen {
        let (Some(row), Some(points)) = (program.rows.get(index), ciphertext.rows.get(index)) else {
            return Err(SharingError::Changed);
        };
        let copies = key.sk.get(row.attribute).ok_or(SharingError::Changed)?;
        let parts = points.iter().zip(&copies[row.copy]);
        for ((ct, sk), (point, part)) in ct.iter_mut().zip(&mut sk).zip(parts) {
            *ct += point;
            sk.0 += part.0;
        }
    }
    // den / num: e(sk'_i prod sk_(pi(i),i), ct0_i) over e(prod ct_i, sk0_i).
    let left =
        sk.iter().map(|point| point.0.into_affine()).chain(ct.iter().map(|point| (-*point).into_affine()));
    let right = ciphertext.ct0.iter().copied().chain(key.sk0.iter().map(|point| point.0));
    Ok(Bls12_381::multi_pairing(left, right))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_core::SeedableRng;

    use super::super::policy::tests::{attributes, policies};
    use super::*;

    fn rng(seed: u8) -> chacha20::ChaCha20Rng {
        chacha20::ChaCha20Rng::from_seed([seed; 32])
    }

    fn set(names: &[&str]) -> BTreeSet<Attribute> {
        names.iter().map(|name| Attribute::new(name).unwrap()).collect()
    }

    fn coins(seed: u8) -> Coins {
        let mut rng = rng(seed);
        [random_scalar(&mut rng), random_scalar(&mut rng)]
    }

    #[test]
    fn the_equation_of_decryption_holds_with_every_copy() {
        let (public, master) = setup(&mut rng(1));
        let key = issue(&master, &set(&["a", "b", "c"]), &mut rng(2)).unwrap();
        let policy: Policy = "a and (d or b and c or a and b) and (a or b)".parse().unwrap();
        let (ciphertext, mask) = encrypt(&public, &policy, &coins(3)).unwrap();
        assert_eq!(decrypt(&key, &policy, &ciphertext).unwrap(), mask);
        let again = encrypt(&public, &policy, &coins(4)).unwrap();
        assert!(again.1 != mask && again.0 != ciphertext);
    }

    #[test]
    fn two_keys_together_open_nothing_that_neither_opens_alone() {
        let (public, master) = setup(&mut rng(1));
        let policy: Policy = "a and b".parse().unwrap();
        let (ciphertext, mask) = encrypt(&public, &policy, &coins(3)).unwrap();
        let both = issue(&master, &set(&["a", "b"]), &mut rng(9)).unwrap();
        assert_eq!(decrypt(&both, &policy, &ciphertext).unwrap(), mask);
        // Each has one half. Whichever shared parts the pool is given, the mask does not come out.
        let (one, two) = (
            issue(&master, &set(&["a"]), &mut rng(5)).unwrap(),
            issue(&master, &set(&["b"]), &mut rng(6)).unwrap(),
        );
        assert_eq!(
            decrypt(&one, &policy, &ciphertext),
            Err(SharingError::Lacks { missing: vec!["b".to_owned()] })
        );
        for (base, other) in [(&one, &two), (&two, &one)] {
            let mut sk = base.sk.clone();
            sk.extend(other.sk.clone());
            for shared in [base, other] {
                let pool =
                    UserKey { sk0: shared.sk0.clone(), sk: sk.clone(), sk_prime: base.sk_prime.clone() };
                assert_ne!(decrypt(&pool, &policy, &ciphertext).unwrap(), mask);
            }
        }
    }

    #[test]
    fn a_key_of_another_authority_gives_another_mask() {
        let (public, _) = setup(&mut rng(1));
        let (_, master) = setup(&mut rng(2));
        let key = issue(&master, &set(&["a"]), &mut rng(3)).unwrap();
        let policy: Policy = "a".parse().unwrap();
        let (ciphertext, mask) = encrypt(&public, &policy, &coins(4)).unwrap();
        assert_ne!(decrypt(&key, &policy, &ciphertext).unwrap(), mask);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn it_decrypts_exactly_when_the_policy_is_satisfied(policy in policies(), bits: u8) {
            let (public, master) = setup(&mut rng(1));
            let has = attributes(bits);
            let key = issue(&master, &has, &mut rng(2)).unwrap();
            let (ciphertext, mask) = encrypt(&public, &policy, &coins(3)).unwrap();
            match decrypt(&key, &policy, &ciphertext) {
                Ok(opened) => prop_assert!(policy.is_satisfied(&has) && opened == mask),
                Err(refusal) => {
                    let refused = matches!(refusal, SharingError::Lacks { .. });
                    prop_assert!(refused && !policy.is_satisfied(&has));
                }
            }
        }
    }
}
