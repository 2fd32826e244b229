//! What a hospital gives to a computation on shares: words that it splits into three components.
//!
//! - Parties: a hospital (the dealer), nodes P0, P1, P2. Input: integers modulo 2^64, and words of bits. Output: replicated shares;
//!   P_i holds components i and i + 1. Components 0 and 1 are seeds, component 2 is what they leave, so that one value costs 8 bytes to
//!   each of two nodes.
//! - Adversary: one malicious node, whoever carries the messages, a dealer that lies about its own data (it can do nothing else).
//! - Rounds: 1, and a comparison of what was signed.
//! - Source: replicated secret sharing, Ito, Saito, Nishizeki 1987; Araki et al., CCS 2016, section 2.1; components from seeds as in
//!   Cramer, Damgard and Ishai, TCC 2005.
//!
//! The dealer signs a salted commitment to every component. Both holders of a component check it, and the nodes
//! compare what was signed: so a dealer cannot give two nodes different components, and a node cannot exchange its own
//! unseen. The salt keeps the node without the component from trying values against the commitment. Signing and comparing are the
//! caller's.
//!
//! What a node itself knows: [`from_node`] and [`bits_from_node`], 1 round, 8 bytes a word from the owner. What holders of key shares
//! made of a sum under encryption: [`from_encryption`].

use rand_core::{CryptoRng, Rng};
use sha3::{Digest, Sha3_256};
use ward_math::sampling::expand;
use ward_math::{Secret, sampling};
use zeroize::Zeroizing;

use super::super::error::Result;
use super::super::group::{Group, Sum, Xor};
use super::super::role::Role;
use super::super::security::Security;
use super::super::session::Session;
use super::super::shares::{BitShares, RingShares};
use super::multiply::expect_len;
use super::reshare::{Terms, reshare};
use crate::he::MaskedSum;

/// Most words that a hospital gives at once, 1 GiB: two of three packages are made of seeds, and say nothing of what
/// they expand to.
pub const WORDS_MAX: usize = 1 << 27;

const SALT_BYTES: usize = 32;
const SEED_BYTES: usize = 32;

/// A salted commitment to a component.
pub type Commitment = [u8; 32];

/// Words of one hospital, or what a node holds of them.
#[derive(Clone, Default)]
pub struct Words {
    /// Integers modulo 2^64: components add up to the value.
    pub ring: Vec<u64>,
    /// Bits: components combine by exclusive or.
    pub bits: Vec<u64>,
}

/// How many words of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Integers.
    pub ring: usize,
    /// Words of bits.
    pub bits: usize,
}

/// A hospital's words in components.
pub struct Dealt {
    /// Commitments to components 0, 1 and 2.
    pub commitments: [Commitment; 3],
    /// What each node gets, by role.
    pub packages: [Zeroizing<Vec<u8>>; 3],
}

/// What a node holds of a hospital's words.
pub struct Held {
    /// Component i.
    pub own: Words,
    /// Component i + 1.
    pub next: Words,
}

/// Why a package is refused. Never shows a word of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// It has another length than the plan says.
    #[error("an input has {found} bytes, {expected} were due")]
    Length {
        /// Bytes that came.
        found: usize,
        /// Bytes that were due.
        expected: usize,
    },
    /// The plan says more words than anybody gives.
    #[error("an input of {found} words, more than {max}")]
    Words {
        /// Words of the plan.
        found: usize,
        /// [`WORDS_MAX`].
        max: usize,
    },
    /// A component is not the one that was committed to.
    #[error("component {0} of an input is not the one that its hospital signed")]
    Commitment(usize),
}

impl Words {
    /// How many there are.
    #[must_use]
    pub fn shape(&self) -> Shape {
        Shape { ring: self.ring.len(), bits: self.bits.len() }
    }

    fn from_seed(seed: &[u8; SEED_BYTES], shape: Shape) -> Self {
        let mut stream = expand(seed, 0);
        let mut words = |count: usize| (0..count).map(|_| stream.next_u64()).collect();
        Self { ring: words(shape.ring), bits: words(shape.bits) }
    }

    fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let words = self.ring.iter().chain(&self.bits);
        Zeroizing::new(words.flat_map(|word| word.to_le_bytes()).collect())
    }

    fn from_bytes(bytes: &[u8], shape: Shape) -> Self {
        let mut words = bytes.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word));
        let ring = words.by_ref().take(shape.ring).collect();
        Self { ring, bits: words.collect() }
    }
}

impl Shape {
    /// Itself, if a hospital may give so many words: to be asked before anything of this size is made.
    ///
    /// # Errors
    /// [`InputError::Words`] beyond [`WORDS_MAX`].
    pub fn checked(self) -> std::result::Result<Self, InputError> {
        let found = self.ring.saturating_add(self.bits);
        if found > WORDS_MAX { Err(InputError::Words { found, max: WORDS_MAX }) } else { Ok(self) }
    }

    /// Bytes of the words themselves; none when that overflows.
    #[must_use]
    pub fn bytes(self) -> Option<usize> {
        self.ring.checked_add(self.bits)?.checked_mul(8)
    }

    /// Bytes of a component: salt, then seed or words.
    fn component_bytes(self, component: usize) -> Option<usize> {
        let body = if component == 2 { self.bytes()? } else { SEED_BYTES };
        body.checked_add(SALT_BYTES)
    }

    /// Bytes of a node's package; none when that overflows.
    #[must_use]
    pub fn package_bytes(self, role: Role) -> Option<usize> {
        let next = role.next().index();
        self.component_bytes(role.index())?.checked_add(self.component_bytes(next)?)
    }
}

fn commit(place: &[u8], component: usize, bytes: &[u8]) -> Commitment {
    let mut digest = Sha3_256::new()
        .chain_update(b"ward/mpc/v1/component")
        .chain_update((place.len() as u64).to_be_bytes())
        .chain_update(place)
        .chain_update([component as u8]);
    // The salt has a fixed length; the body is what follows it.
    digest.update(bytes);
    digest.finalize().into()
}

/// Splits words into components, with fresh randomness. `place` names job, attempt, hospital and step.
pub fn deal<R: CryptoRng>(place: &[u8], words: &Words, rng: &mut R) -> Dealt {
    let shape = words.shape();
    let seeds = [sampling::child_seed(rng), sampling::child_seed(rng)];
    let [zero, one] = [Words::from_seed(&seeds[0], shape), Words::from_seed(&seeds[1], shape)];
    let rest = Words {
        ring: combine(&words.ring, &zero.ring, &one.ring, |x, a, b| x.wrapping_sub(a).wrapping_sub(b)),
        bits: combine(&words.bits, &zero.bits, &one.bits, |x, a, b| x ^ a ^ b),
    };
    let component = |body: &[u8], rng: &mut R| {
        let salt = sampling::child_seed(rng);
        Zeroizing::new([salt.as_slice(), body].concat())
    };
    let components = [
        component(seeds[0].as_slice(), rng),
        component(seeds[1].as_slice(), rng),
        component(&rest.to_bytes(), rng),
    ];
    let commitments = std::array::from_fn(|i| commit(place, i, &components[i]));
    let package = |role: Role| {
        let (own, next) = (&components[role.index()], &components[role.next().index()]);
        Zeroizing::new([own.as_slice(), next].concat())
    };
    Dealt { commitments, packages: Role::ALL.map(package) }
}

fn combine(x: &[u64], a: &[u64], b: &[u64], f: impl Fn(u64, u64, u64) -> u64) -> Vec<u64> {
    x.iter().zip(a).zip(b).map(|((x, a), b)| f(*x, *a, *b)).collect()
}

/// Takes a node's package apart, after checking both components against what the hospital signed.
///
/// # Errors
/// [`InputError`].
pub fn take(
    (place, role): (&[u8], Role),
    shape: Shape,
    package: &[u8],
    commitments: &[Commitment; 3],
) -> std::result::Result<Held, InputError> {
    let expected = shape.checked()?.package_bytes(role).unwrap_or(usize::MAX);
    if package.len() != expected {
        return Err(InputError::Length { found: package.len(), expected });
    }
    let first = shape.component_bytes(role.index()).unwrap_or(expected).min(expected);
    let (own, next) = package.split_at(first);
    let open = |component: usize, bytes: &[u8]| {
        if commit(place, component, bytes) != commitments[component] {
            return Err(InputError::Commitment(component));
        }
        let body = &bytes[SALT_BYTES..];
        if component == 2 {
            return Ok(Words::from_bytes(body, shape));
        }
        let mut seed = Secret::new([0; SEED_BYTES]);
        seed.expose_mut().copy_from_slice(body);
        Ok(Words::from_seed(seed.expose(), shape))
    };
    Ok(Held { own: open(role.index(), own)?, next: open(role.next().index(), next)? })
}

impl Held {
    /// Adds another dealer's integers; its bits are appended.
    pub fn join(&mut self, other: Self) {
        for (mine, theirs) in [(&mut self.own, other.own), (&mut self.next, other.next)] {
            for (sum, value) in mine.ring.iter_mut().zip(&theirs.ring) {
                *sum = sum.wrapping_add(*value);
            }
            mine.bits.extend(theirs.bits);
        }
    }
}

/// A sum that was opened under masks, as shares: `d` and the masks' shares, which the holders of key shares dealt, one column each.
///
/// Local. The nodes see to it that all take the same `opened`: it follows from messages that all of them compare.
///
/// # Errors
/// When a column is of another length.
pub fn from_encryption(role: Role, opened: &MaskedSum, masks: &[RingShares]) -> Result<RingShares> {
    masks.iter().try_fold(RingShares::public(role, &opened.words), |sum, mask| sum.add(mask))
}

/// Shares values that one node knows: `values` is used at `owner` alone, where it has `len` values.
///
/// # Errors
/// When `owner` has another number of values; when the channel fails.
pub fn from_node<S: Security>(
    session: &mut Session<'_, S>,
    owner: Role,
    values: &[u64],
    len: usize,
) -> Result<RingShares> {
    let (own, next) = words_from_node::<S, Sum>(session, owner, values, len)?;
    Ok(RingShares { own: own.into(), next: next.into() })
}

/// Shares bits that one node knows: `planes` is used at `owner` alone.
///
/// # Errors
/// When `owner` has planes of another shape; when the channel fails.
pub fn bits_from_node<S: Security>(
    session: &mut Session<'_, S>,
    owner: Role,
    planes: &[u64],
    (width, len): (usize, usize),
) -> Result<BitShares> {
    let (own, next) = words_from_node::<S, Xor>(session, owner, planes, width * len.div_ceil(64))?;
    Ok(BitShares { width, len, own: own.into(), next: next.into() })
}

fn words_from_node<S: Security, G: Group>(
    session: &mut Session<'_, S>,
    owner: Role,
    words: &[u64],
    len: usize,
) -> Result<(Vec<u64>, Vec<u64>)> {
    if session.role() == owner {
        expect_len("values of an input", words.len(), len)?;
    }
    let shared = reshare::<S, G>(session, len, Terms::Only(owner), |start, block| {
        block.copy_from_slice(&words[start..start + block.len()]);
    })?;
    Ok((shared.own, shared.next))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_core::SeedableRng;

    use super::*;

    fn rng() -> chacha20::ChaCha20Rng {
        chacha20::ChaCha20Rng::from_seed([3; 32])
    }

    fn held(dealt: &Dealt, shape: Shape) -> [Held; 3] {
        Role::ALL.map(|role| {
            let package = &dealt.packages[role.index()];
            take((b"place", role), shape, package, &dealt.commitments).unwrap()
        })
    }

    proptest! {
        #[test]
        fn components_make_the_words_again(
            ring in prop::collection::vec(any::<u64>(), 0..20), bits in prop::collection::vec(any::<u64>(), 0..20)
        ) {
            let words = Words { ring, bits };
            let dealt = deal(b"place", &words, &mut rng());
            let held = held(&dealt, words.shape());
            for (i, x) in words.ring.iter().enumerate() {
                let sum = held.iter().fold(0u64, |sum, h| sum.wrapping_add(h.own.ring[i]));
                prop_assert_eq!(sum, *x);
            }
            for (i, x) in words.bits.iter().enumerate() {
                prop_assert_eq!(held.iter().fold(0, |sum, h| sum ^ h.own.bits[i]), *x);
            }
            for role in Role::ALL {
                prop_assert_eq!(&held[role.index()].next.ring, &held[role.next().index()].own.ring);
                prop_assert_eq!(&held[role.index()].next.bits, &held[role.next().index()].own.bits);
            }
        }

        #[test]
        fn a_changed_byte_is_refused(role in 0usize..3, at in any::<prop::sample::Index>(), change in 1u8..) {
            let words = Words { ring: vec![1, 2, 3], bits: vec![4] };
            let mut dealt = deal(b"place", &words, &mut rng());
            let package = &mut dealt.packages[role];
            let at = at.index(package.len());
            package[at] ^= change;
            let role = Role::from_index(role).unwrap();
            let taken = take((b"place", role), words.shape(), &dealt.packages[role.index()], &dealt.commitments);
            prop_assert!(matches!(taken, Err(InputError::Commitment(_))));
        }

        #[test]
        fn bytes_that_are_no_package_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let shape = Shape { ring: 3, bits: 1 };
            let commitments = [[0; 32]; 3];
            for role in Role::ALL {
                prop_assert!(take((b"place", role), shape, &bytes, &commitments).is_err());
            }
        }
    }

    #[test]
    fn a_package_of_another_place_is_refused() {
        let words = Words { ring: vec![5], bits: vec![] };
        let dealt = deal(b"attempt 1", &words, &mut rng());
        let taken = take((b"attempt 2", Role::P0), words.shape(), &dealt.packages[0], &dealt.commitments);
        assert_eq!(taken.err(), Some(InputError::Commitment(0)));
    }
}
