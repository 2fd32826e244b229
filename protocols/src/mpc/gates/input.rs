//! Input from outside: a hospital deals shares of a column to the three nodes.
//!
//! - Parties: a dealer and three nodes. Input: the dealer's column. Outputs: shares.
//! - Components 0 and 1 are expanded from seeds; component 2 is what they leave, and goes to `P_1` as words and to `P_2`
//!   as a hash. `P_1` passes the words on. The dealer sends 8 bytes a word and 200 more.
//! - The nodes compare hashes of the seeds that two of them hold, and `P_2` the words with the hash that it has.
//! - Adversary: the dealer and one node, malicious with abort; a dealer can lie about its values, not deal shares that
//!   are no sharing.
//! - Rounds: 1, for any number of columns. Bytes: 8 a word from `P_1`; 32 from `P_0` and `P_2`.
//! - Source: replicated secret sharing, Ito, Saito, Nishizeki 1987; components from seeds as in Cramer, Damgard, Ishai,
//!   TCC 2005.
//!
//! A compute node's own input: [`from_node`] and [`bits_from_node`], 1 round, 8 bytes a word from the owner.

use chacha20::ChaCha20Rng;
use rand_core::{CryptoRng, Rng, SeedableRng};
use sha3::{Digest, Sha3_256};
use ward_math::Secret;
use zeroize::Zeroize;

use super::super::error::{MpcError, Result};
use super::super::exchange::Route;
use super::super::group::{Group, Sum, Xor};
use super::super::planes::planes_of;
use super::super::role::{Peer, Role};
use super::super::security::Security;
use super::super::session::Session;
use super::super::shares::{BitShares, RingShares};
use super::multiply::expect_len;
use super::reshare::{Terms, reshare};

/// What a dealer sends to one node for one column.
pub struct Dealt {
    words: usize,
    own: Component,
    next: Component,
}

/// A component as it is dealt.
enum Component {
    /// From which it expands.
    Seed(Secret<[u8; 32]>),
    /// As it is.
    Words(Vec<u64>),
    /// Of which the words come from `P_1`.
    Hash([u8; 32]),
}

/// Deals ring values to `P_0`, `P_1` and `P_2`.
pub fn deal<R: CryptoRng + ?Sized>(values: &[u64], rng: &mut R) -> [Dealt; 3] {
    deal_words::<Sum, R>(values, rng)
}

/// Deals the low `width` bits of values to `P_0`, `P_1` and `P_2`.
///
/// # Errors
/// When `width` is not in `1..=64`.
pub fn deal_bits<R: CryptoRng + ?Sized>(values: &[u64], width: usize, rng: &mut R) -> Result<[Dealt; 3]> {
    super::convert::expect_width(width)?;
    let mut planes = planes_of(values, width);
    let dealt = deal_words::<Xor, R>(&planes, rng);
    planes.zeroize();
    Ok(dealt)
}

fn deal_words<G: Group, R: CryptoRng + ?Sized>(words: &[u64], rng: &mut R) -> [Dealt; 3] {
    let mut seeds = [[0; 32]; 2];
    seeds.iter_mut().for_each(|seed| rng.fill_bytes(seed));
    let mut rest = words.to_vec();
    for seed in &seeds {
        let mut component = expand(seed, words.len());
        rest.iter_mut().zip(&component).for_each(|(word, part)| *word = G::sub(*word, *part));
        component.zeroize();
    }
    let hash = hash_column(&rest);
    let [seed_0, seed_1] = seeds;
    let seed = |seed: &[u8; 32]| Component::Seed(Secret::new(*seed));
    let dealt = [
        Dealt { words: words.len(), own: seed(&seed_0), next: seed(&seed_1) },
        Dealt { words: words.len(), own: seed(&seed_1), next: Component::Words(rest) },
        Dealt { words: words.len(), own: Component::Hash(hash), next: seed(&seed_0) },
    ];
    seeds.zeroize();
    dealt
}

impl Dealt {
    /// Bytes for the node: the two components, one after the other. Confidential: send it to that node alone.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + 8 * self.words);
        for component in [&self.own, &self.next] {
            match component {
                Component::Seed(seed) => out.extend_from_slice(seed.expose()),
                Component::Words(words) => {
                    words.iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()))
                }
                Component::Hash(hash) => out.extend_from_slice(hash),
            }
        }
        out
    }

    /// What the node `role` gets for a column of `words` words: 64 bytes, or at `P_1` 32 and 8 a word.
    ///
    /// # Errors
    /// When the number of bytes is another. Every pattern of the right length is a share.
    pub fn decode(role: Role, words: usize, bytes: &[u8]) -> Result<Self> {
        let expected = match role {
            Role::P1 => 8usize.saturating_mul(words).saturating_add(32),
            Role::P0 | Role::P2 => 64,
        };
        expect_len("bytes of a dealt column", bytes.len(), expected)?;
        let (first, second) = bytes.split_first_chunk::<32>().ok_or(MpcError::Lengths {
            what: "bytes of a dealt column",
            left: bytes.len(),
            right: expected,
        })?;
        let short = || second.first_chunk::<32>().copied().unwrap_or_default();
        let (own, next) = match role {
            Role::P0 => (Component::Seed(Secret::new(*first)), Component::Seed(Secret::new(short()))),
            Role::P1 => {
                let words = second.as_chunks::<8>().0.iter().map(|le| u64::from_le_bytes(*le)).collect();
                (Component::Seed(Secret::new(*first)), Component::Words(words))
            }
            Role::P2 => (Component::Hash(*first), Component::Seed(Secret::new(short()))),
        };
        Ok(Self { words, own, next })
    }

    /// Words of the column.
    #[must_use]
    pub fn words(&self) -> usize {
        self.words
    }
}

/// Takes in ring columns, in an order that all nodes know.
///
/// # Errors
/// When the dealers' parts do not fit together; when the channel fails.
pub fn accept<S: Security>(session: &mut Session<'_, S>, dealt: &[Dealt]) -> Result<Vec<RingShares>> {
    let role = session.role();
    let mut claim = Sha3_256::new().chain_update(b"ward/mpc/v1/dealt").chain_update(session.step().id().0);
    let mut answer = claim.clone();
    // Step 1. P1 passes on component 2; neighbours compare the seed that both were dealt.
    let words: Vec<u64> = dealt.iter().filter_map(Dealt::passed_on).flatten().copied().collect();
    let total = dealt.iter().map(Dealt::words).sum();
    let mut passed = vec![0; if role == Role::P2 { total } else { 0 }];
    for column in dealt {
        if let (Role::P0 | Role::P2, Component::Seed(seed)) = (role, &column.next) {
            claim.update(seed.expose());
        }
        if let (Role::P0 | Role::P1, Component::Seed(seed)) = (role, &column.own) {
            answer.update(seed.expose());
        }
    }
    let (claim, answer): ([u8; 32], [u8; 32]) = (claim.finalize().into(), answer.finalize().into());
    if role != Role::P1 {
        session.send(Peer::Next, &claim)?;
    }
    let route = Route {
        to: (role == Role::P1).then_some(Peer::Next),
        from: (role == Role::P2).then_some(Peer::Prev),
    };
    session.exchange(route, &words, &mut passed)?;
    if role != Role::P2 && session.receive::<u8>(Peer::Prev, 32)? != answer {
        return Err(session.check_failed(None, "the seeds of an input column"));
    }
    // Step 2. Expansion.
    let mut passed = passed.as_slice();
    let mut columns = Vec::with_capacity(dealt.len());
    for column in dealt {
        let mut own = match &column.own {
            Component::Hash(hash) => {
                let (words, rest) = passed.split_at(column.words.min(passed.len()));
                passed = rest;
                if hash_column(words) != *hash {
                    return Err(session.check_failed(None, "the words of an input column"));
                }
                Some(words.to_vec())
            }
            other => other.expand(column.words),
        };
        let next = column.next.expand(column.words);
        match (own.take(), next) {
            (Some(own), Some(next)) => columns.push(RingShares { own, next }),
            _ => return Err(session.check_failed(None, "an input column dealt for another node")),
        }
    }
    Ok(columns)
}

/// Takes in columns of bits: of each, the width and the number of values.
///
/// # Errors
/// When a column is not of its shape; when the dealers' parts do not fit together; when the channel fails.
pub fn accept_bits<S: Security>(
    session: &mut Session<'_, S>,
    dealt: &[Dealt],
    shapes: &[(usize, usize)],
) -> Result<Vec<BitShares>> {
    expect_len("columns and shapes", dealt.len(), shapes.len())?;
    for (column, (width, len)) in dealt.iter().zip(shapes) {
        expect_len("words of a column", column.words, width * len.div_ceil(64))?;
    }
    let columns = accept(session, dealt)?;
    let shaped = |(RingShares { own, next }, &(width, len))| BitShares { width, len, own, next };
    Ok(columns.into_iter().zip(shapes).map(shaped).collect())
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
    Ok(RingShares { own, next })
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
    Ok(BitShares { width, len, own, next })
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

impl Dealt {
    fn passed_on(&self) -> Option<&Vec<u64>> {
        match &self.next {
            Component::Words(words) => Some(words),
            _ => None,
        }
    }
}

impl Component {
    fn expand(&self, len: usize) -> Option<Vec<u64>> {
        match self {
            Self::Seed(seed) => Some(expand(seed.expose(), len)),
            Self::Words(words) => Some(words.clone()),
            Self::Hash(_) => None,
        }
    }
}

fn expand(seed: &[u8; 32], len: usize) -> Vec<u64> {
    let mut key: [u8; 32] =
        Sha3_256::new().chain_update(b"ward/mpc/v1/input").chain_update(seed).finalize().into();
    let mut stream = ChaCha20Rng::from_seed(key);
    key.zeroize();
    (0..len).map(|_| stream.next_u64()).collect()
}

fn hash_column(words: &[u64]) -> [u8; 32] {
    let mut digest =
        Sha3_256::new().chain_update(b"ward/mpc/v1/column").chain_update((words.len() as u64).to_le_bytes());
    words.iter().for_each(|word| digest.update(word.to_le_bytes()));
    digest.finalize().into()
}
