//! The groups of BLS12-381 as the schemes use them: hashing to them, their bytes with every check, scalars.
//!
//! `G1` is the paper's G, `G2` its H (FAME) or its second group, `GT` the target. All have the prime order r.
//!
//! Source: hashing to curves after RFC 9380, suites `BLS12381G1_XMD:SHA-256_SSWU_RO_` and
//! `BLS12381G2_XMD:SHA-256_SSWU_RO_`; bytes of points after the same curve's usual compressed form (48 and 96 bytes),
//! of the target group as twelve field elements (576 bytes).
//!
//! # Security
//! Arithmetic of arkworks runs in time that depends on scalars. What it multiplies by here is drawn for one message or
//! one issue and then forgotten, apart from a delegator's secret, which is split at random before each use
//! (`times_secret`). An attacker on the same machine that measures a single operation is not defended against.

use ark_bls12_381::{Bls12_381, Fr, G1Affine, G1Projective, G2Affine, G2Projective, g1, g2};
use ark_ec::hashing::HashToCurve;
use ark_ec::hashing::curve_maps::wb::WBMap;
use ark_ec::hashing::map_to_curve_hasher::MapToCurveBasedHasher;
use ark_ec::pairing::PairingOutput;
use ark_ec::short_weierstrass::Affine;
use ark_ec::{AffineRepr, PrimeGroup};
use ark_ff::field_hashers::DefaultFieldHasher;
use ark_ff::{AdditiveGroup, PrimeField};
use ark_serialize::{CanonicalDeserialize, CanonicalSerialize};
use rand_core::CryptoRng;
use sha2_0_10::Sha256;
use sha3::{Digest, Sha3_512};
use ward_math::codec::{Reader, Writer};
use zeroize::{Zeroize, Zeroizing};

use super::error::{Result, SharingError};

/// An element of the target group, written additively as arkworks does.
pub type Target = PairingOutput<Bls12_381>;

/// Domains of hashing to the curve.
const G1_DOMAIN: &[u8] = b"WARD-SHARING-V01-CS01-with-BLS12381G1_XMD:SHA-256_SSWU_RO_";
const G2_DOMAIN: &[u8] = b"WARD-SHARING-V01-CS01-with-BLS12381G2_XMD:SHA-256_SSWU_RO_";

type Hasher<G, C> = MapToCurveBasedHasher<G, DefaultFieldHasher<Sha256, 128>, WBMap<C>>;

/// A random oracle into `G1`.
pub(super) fn hash_to_g1(message: &[u8]) -> Result<G1Affine> {
    g1_under(G1_DOMAIN, message)
}

/// A random oracle into `G2`.
pub(super) fn hash_to_g2(message: &[u8]) -> Result<G2Affine> {
    Hasher::<G2Projective, g2::Config>::new(G2_DOMAIN)
        .and_then(|hasher| hasher.hash(message))
        .map_err(unmapped)
}

fn g1_under(domain: &[u8], message: &[u8]) -> Result<G1Affine> {
    Hasher::<G1Projective, g1::Config>::new(domain).and_then(|hasher| hasher.hash(message)).map_err(unmapped)
}

/// The maps are total; arkworks reports what cannot happen with the curve's own constants.
fn unmapped<E>(_: E) -> SharingError {
    SharingError::Encoding { what: "a curve point", reason: "it does not hash to the curve" }
}

/// A scalar that is not zero, uniform up to 2^-256; wiped on drop.
pub(super) fn random_scalar<R: CryptoRng + ?Sized>(rng: &mut R) -> Zeroizing<Fr> {
    loop {
        let mut wide = Zeroizing::new([0; 64]);
        rng.fill_bytes(&mut *wide);
        let scalar = Zeroizing::new(Fr::from_le_bytes_mod_order(&*wide));
        if *scalar != Fr::ZERO {
            return scalar;
        }
    }
}

/// `secret * point`, with the secret split into two random summands first, so that no multiplication runs over its
/// bits (exponent splitting: Clavier, Joye, CHES 2001).
pub(super) fn times_secret<G, R>(point: G, secret: &Fr, rng: &mut R) -> G
where
    G: PrimeGroup<ScalarField = Fr>,
    R: CryptoRng + ?Sized,
{
    let blind = random_scalar(rng);
    let rest = Zeroizing::new(*secret - *blind);
    point * *blind + point * *rest
}

/// A hash of a label and of fields that cannot run into each other: SHA3-512, each field behind its length.
pub(super) struct Framed(Sha3_512);

impl Framed {
    /// Starts with the label, which names the purpose.
    pub(super) fn new(label: &str) -> Self {
        Self(Sha3_512::new()).field(b"ward/sharing/v1").field(label.as_bytes())
    }

    /// Adds a field.
    pub(super) fn field(mut self, bytes: &[u8]) -> Self {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    /// 64 bytes, wiped on drop.
    pub(super) fn wide(self) -> Zeroizing<[u8; 64]> {
        Zeroizing::new(self.0.finalize().into())
    }

    /// The first 32 of them.
    pub(super) fn key(self) -> Zeroizing<[u8; 32]> {
        let wide = self.wide();
        let mut key = Zeroizing::new([0; 32]);
        key.iter_mut().zip(wide.iter()).for_each(|(out, byte)| *out = *byte);
        key
    }

    /// A scalar, uniform up to 2^-256.
    pub(super) fn scalar(self) -> Zeroizing<Fr> {
        Zeroizing::new(Fr::from_le_bytes_mod_order(&*self.wide()))
    }
}

/// An element with one encoding, every byte of which is checked when it is read.
pub trait Element: Sized {
    /// Bytes of an element.
    const BYTES: usize;
    /// What a refusal calls it.
    const NAME: &'static str;

    /// Appends it.
    fn write(&self, out: &mut Writer);

    /// Reads it.
    ///
    /// # Errors
    /// [`SharingError::Encoding`] unless it is the one encoding of an element of the group of prime order that is not
    /// neutral (of a scalar that is not zero).
    fn read(reader: &mut Reader<'_>) -> Result<Self>;
}

fn write_ark<T: CanonicalSerialize>(value: &T, out: &mut Writer) {
    let mut bytes = Zeroizing::new(Vec::with_capacity(value.compressed_size()));
    // Writing to memory does not fail; were it to, the missing bytes would not decode.
    let _ = value.serialize_compressed(&mut *bytes);
    out.bytes(&bytes);
}

/// Decodes with arkworks' checks (field range, curve, subgroup), refuses the neutral element and any other spelling.
fn read_ark<T: Element + CanonicalSerialize + CanonicalDeserialize + PartialEq>(
    reader: &mut Reader<'_>,
    neutral: &T,
) -> Result<T> {
    let wrong = |reason| SharingError::Encoding { what: T::NAME, reason };
    let bytes = reader.bytes(T::BYTES).map_err(|_| wrong("too few bytes"))?;
    let element = T::deserialize_compressed(bytes).map_err(|_| wrong("not in the group"))?;
    if element == *neutral {
        return Err(wrong("neutral"));
    }
    let mut again = Writer::with_capacity(T::BYTES);
    element.write(&mut again);
    let again = Zeroizing::new(again.finish());
    if *again != bytes { Err(wrong("not canonical")) } else { Ok(element) }
}

macro_rules! element {
    ($type:ty, $bytes:literal, $name:literal, $neutral:expr) => {
        impl Element for $type {
            const BYTES: usize = $bytes;
            const NAME: &'static str = $name;

            fn write(&self, out: &mut Writer) {
                write_ark(self, out);
            }

            fn read(reader: &mut Reader<'_>) -> Result<Self> {
                read_ark(reader, &$neutral)
            }
        }
    };
}

element!(Affine<g1::Config>, 48, "a point of G1", G1Affine::zero());
element!(Affine<g2::Config>, 96, "a point of G2", G2Affine::zero());
element!(Target, 576, "an element of the target group", Target::ZERO);
element!(Fr, 32, "a scalar", Fr::ZERO);

/// The bytes of one element.
pub(super) fn bytes_of<E: Element>(element: &E) -> Vec<u8> {
    let mut out = Writer::with_capacity(E::BYTES);
    element.write(&mut out);
    out.finish()
}

/// Several elements, one behind the other.
pub(super) fn read_many<E: Element, const K: usize>(reader: &mut Reader<'_>) -> Result<[E; K]> {
    let elements = (0..K).map(|_| E::read(reader)).collect::<Result<Vec<E>>>()?;
    let wrong = |_| SharingError::Encoding { what: E::NAME, reason: "too few bytes" };
    elements.try_into().map_err(wrong)
}

/// A point of either group that is wiped on drop.
#[derive(Clone)]
pub(super) struct SecretPoint<P: Zeroize>(pub P);

impl<P: Zeroize> Drop for SecretPoint<P> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use ark_ec::CurveGroup;
    use ark_ff::Field;
    use proptest::prelude::*;

    use super::*;

    fn hex_point(x: &str, y: &str) -> Vec<u8> {
        hex::decode(format!("{x}{y}")).unwrap()
    }

    #[test]
    fn hashing_to_g1_meets_the_vectors_of_rfc_9380() {
        // Appendix J.9.1.
        let domain = b"QUUX-V01-CS02-with-BLS12381G1_XMD:SHA-256_SSWU_RO_";
        let cases: [(&[u8], &str, &str); 2] = [
            (
                b"",
                "052926add2207b76ca4fa57a8734416c8dc95e24501772c814278700eed6d1e4e8cf62d9c09db0fac349612b759e79a1",
                "08ba738453bfed09cb546dbb0783dbb3a5f1f566ed67bb6be0e8c67e2e81a4cc68ee29813bb7994998f3eae0c9c6a265",
            ),
            (
                b"abc",
                "03567bc5ef9c690c2ab2ecdf6a96ef1c139cc0b2f284dca0a9a7943388a49a3aee664ba5379a7655d3c68900be2f6903",
                "0b9c15f3fe6e5cf4211f346271d7b01c8f3b28be689c8429c85b67af215533311f0b8dfaaa154fa6b88176c229f2885d",
            ),
        ];
        for (message, x, y) in cases {
            let mut bytes = Vec::new();
            g1_under(domain, message).unwrap().serialize_uncompressed(&mut bytes).unwrap();
            assert_eq!(bytes, hex_point(x, y));
        }
    }

    #[test]
    fn hashed_points_lie_in_the_groups_of_prime_order() {
        for message in [&b""[..], b"role:clinician", &[0; 300]] {
            let (first, second) = (hash_to_g1(message).unwrap(), hash_to_g2(message).unwrap());
            assert!(first.is_on_curve() && first.is_in_correct_subgroup_assuming_on_curve());
            assert!(second.is_on_curve() && second.is_in_correct_subgroup_assuming_on_curve());
            assert_ne!(hash_to_g1(b"other").unwrap(), first);
        }
    }

    #[test]
    fn points_outside_the_subgroup_and_neutral_ones_are_refused() {
        // A point of the curve of G1 that is not of order r: x = 4 has a y, and the cofactor is large.
        let outside = (1u64..50)
            .filter_map(|x| G1Affine::get_point_from_x_unchecked(x.into(), false))
            .find(|point| !point.is_in_correct_subgroup_assuming_on_curve())
            .unwrap();
        let refusal = |bytes: &[u8]| G1Affine::read(&mut Reader::new(bytes)).unwrap_err();
        let wrong = |reason| SharingError::Encoding { what: "a point of G1", reason };
        assert_eq!(refusal(&bytes_of(&outside)), wrong("not in the group"));
        assert_eq!(refusal(&bytes_of(&G1Affine::zero())), wrong("neutral"));
        assert_eq!(refusal(&[0x80; 47]), wrong("too few bytes"));
        // An element of the extension field that is not of order r.
        let field = Target::generator().0 + ark_bls12_381::Fq12::ONE;
        let mut bytes = Vec::new();
        field.serialize_compressed(&mut bytes).unwrap();
        assert!(Target::read(&mut Reader::new(&bytes)).is_err());
        assert!(Target::read(&mut Reader::new(&bytes_of(&Target::ZERO))).is_err());
        assert_eq!(Target::read(&mut Reader::new(&bytes_of(&Target::generator()))), Ok(Target::generator()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn elements_survive_their_bytes(seed in any::<[u8; 32]>()) {
            let mut rng = <chacha20::ChaCha20Rng as rand_core::SeedableRng>::from_seed(seed);
            let scalar = random_scalar(&mut rng);
            let point = (G2Affine::generator() * *scalar).into_affine();
            prop_assert_eq!(G2Affine::read(&mut Reader::new(&bytes_of(&point))), Ok(point));
            prop_assert_eq!(Fr::read(&mut Reader::new(&bytes_of(&*scalar))), Ok(*scalar));
            let split = times_secret(G1Projective::generator(), &scalar, &mut rng);
            prop_assert_eq!(split, G1Projective::generator() * *scalar);
        }
    }
}
