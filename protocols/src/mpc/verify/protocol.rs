//! The three proofs of a batch, side by side.
//!
//! Parties: all three, each prover of its own products, first verifier (`P_{i-1}`) of its next's and second verifier
//! (`P_{i+1}`) of its previous's. Inputs: recorded products. Outputs: none; an error at every honest node when a
//! check fails. Adversary: one node, malicious, rushing; abort. Rounds: `2 F + 2`, with `F` the messages of the longer
//! proof.
//!
//! Source: Boneh, Boyle, Corrigan-Gibbs, Gilboa, Ishai, "Zero-knowledge proofs on secret-shared data via fully linear
//! PCPs", Crypto 2019; Boyle, Gilboa, Ishai, Nof, "Practical fully secure three-party computation via sublinear
//! distributed zero-knowledge proofs", CCS 2019. Where we deviate and why: docs/internals/mpc-verification.md.

use sha3::{Digest, Sha3_256};

use super::bits::BitStatement;
use super::chunk::Chunk;
use super::columns::View;
use super::proof::{MaskWords, Prove, Prover, Seed, Verifier, Verify};
use super::ring::RingStatement;
use super::statement::Statement;
use crate::mpc::error::Result;
use crate::mpc::prss::PairStream;
use crate::mpc::role::{Peer, Role};
use crate::mpc::security::{Security, Transcript};
use crate::mpc::session::Session;

/// Words of a seed.
pub(super) const SEED_WORDS: usize = 4;

/// A node's parts in the three proofs, one entry for each kind of statement.
#[derive(Default)]
struct Parts<'a> {
    own: Vec<Box<dyn Prove + 'a>>,
    /// For `P_{i+1}`, of which this node is the first verifier.
    next: Vec<Box<dyn Verify + 'a>>,
    /// For `P_{i-1}`, of which this node is the second verifier.
    prev: Vec<Box<dyn Verify + 'a>>,
}

/// Masks of the last values, by the node with which they are common: of this node's proof with its first verifier
/// and its second, and of the proofs that this node verifies as first and as second.
struct Masks {
    own_first: PairStream,
    own_second: PairStream,
    next: PairStream,
    prev: PairStream,
}

/// A challenge, as words.
type Words = Vec<u64>;

/// Shares of a message and the challenges that follow it: what the verifiers work on once this node's own next
/// message is on its way.
struct Turn {
    index: usize,
    next_message: Words,
    prev_message: Words,
    next_seed: Words,
    prev_seed: Words,
}

/// What the weights of a proof come from: of the first verifier and of the second.
struct Halves {
    first: Words,
    second: Words,
}

impl Halves {
    fn seed(&self) -> Seed {
        let digest = Sha3_256::new().chain_update(b"ward/mpc/v2/verify/weights");
        let words = self.first.iter().chain(&self.second);
        words.fold(digest, |digest, word| digest.chain_update(word.to_le_bytes())).finalize().into()
    }
}

/// What the prover was told, and what `P_{i+1}` must have been told.
struct Told {
    own: Words,
    next: Words,
}

/// Verifies a chunk.
///
/// # Errors
/// When the channel fails; when a check fails.
pub(super) fn verify<S: Security>(
    session: &mut Session<'_, S>,
    transcript: &Transcript,
    chunk: &Chunk,
) -> Result<()> {
    let bits: Vec<_> = chunk.bits.iter().map(|(i, range)| (&transcript.bits[*i], range.clone())).collect();
    let ring: Vec<_> = chunk.ring.iter().map(|(i, range)| (&transcript.ring[*i], range.clone())).collect();
    let bits = (!bits.is_empty()).then(|| BitStatement::new(&bits));
    let ring = (!ring.is_empty()).then(|| RingStatement::new(&ring));
    let mut masks = Masks::draw(session)?;
    let mut parts = Parts::default();
    if let Some(bits) = &bits {
        parts.push(bits, &mut masks);
    }
    if let Some(ring) = &ring {
        parts.push(ring, &mut masks);
    }
    let count = parts.own.iter().map(|proof| proof.messages()).max().unwrap_or(0);
    let weights = weigh(session, &mut parts)?;
    let (mut told, mut turn): (Option<Told>, Option<Turn>) = (None, None);
    for index in 0..count {
        send_message(session, &mut parts, index, told.as_ref())?;
        match turn.take() {
            None => parts.weigh_others(&weights),
            Some(turn) => parts.settle(&turn),
        }
        if index == 0 {
            check_weights(session, &weights)?;
        }
        let messages = receive_message(session, &parts, index, told.as_ref())?;
        let (seeds, next_turn) = challenge(session, index, messages, index + 1 == count)?;
        if let Some(told) = &seeds {
            parts.own.iter_mut().for_each(|proof| proof.challenge(index, &seed(&told.own)));
        }
        (told, turn) = (seeds, Some(next_turn));
    }
    if let Some(turn) = turn {
        parts.settle(&turn);
    }
    let verdict = open(session, &parts)?;
    confirm(session, verdict)
}

impl Masks {
    fn draw<S: Security>(session: &mut Session<'_, S>) -> Result<Self> {
        let mut step = session.narrow("mask_first");
        let (own_first, next) = (step.common(Peer::Prev)?, step.common(Peer::Next)?);
        let mut step = session.narrow("mask_second");
        let (own_second, prev) = (step.common(Peer::Next)?, step.common(Peer::Prev)?);
        Ok(Self { own_first, own_second, next, prev })
    }
}

impl<'a> Parts<'a> {
    fn push<T: Statement>(&mut self, statement: &'a T, masks: &mut Masks) {
        let draw = |stream: &mut PairStream| -> MaskWords {
            core::array::from_fn(|_| core::array::from_fn(|_| stream.word()))
        };
        let own = [draw(&mut masks.own_first), draw(&mut masks.own_second)];
        self.own.push(Box::new(Prover::new(statement, own)));
        self.next.push(Box::new(Verifier::new(statement, View::First, draw(&mut masks.next))));
        self.prev.push(Box::new(Verifier::new(statement, View::Second, draw(&mut masks.prev))));
    }

    /// Words of message `index`: the same in all three proofs.
    fn words(&self, index: usize) -> usize {
        self.own.iter().map(|proof| proof.words(index)).sum()
    }

    /// Random words of which the first verifier's share of message `index` is made: the same in all three proofs.
    fn share_words(&self, index: usize) -> usize {
        self.own.iter().map(|proof| proof.share_words(index)).sum()
    }

    fn weigh_others(&mut self, weights: &[Halves; 2]) {
        let [next, prev] = weights.each_ref().map(Halves::seed);
        self.next.iter_mut().for_each(|proof| proof.weigh(&next));
        self.prev.iter_mut().for_each(|proof| proof.weigh(&prev));
    }

    fn settle(&mut self, turn: &Turn) {
        let Turn { index, .. } = *turn;
        let sides = [
            (&mut self.next, &turn.next_message, &turn.next_seed),
            (&mut self.prev, &turn.prev_message, &turn.prev_seed),
        ];
        for (proofs, mut message, words) in
            sides.map(|(proofs, message, words)| (proofs, &message[..], words))
        {
            for proof in proofs {
                let (own, rest) = message.split_at(proof.words(index).min(message.len()));
                proof.challenge(index, own, &seed(words));
                message = rest;
            }
        }
    }
}

fn seed(words: &[u64]) -> Seed {
    let mut seed = [0; 32];
    for (bytes, word) in seed.as_chunks_mut::<8>().0.iter_mut().zip(words) {
        *bytes = word.to_le_bytes();
    }
    seed
}

/// Step 1. Each verifier, once it has received all that was sent before, tells the prover its half of the weights; the
/// prover repeats each half to the other verifier, which knows both. Returns the halves of the proofs that this node
/// verifies.
///
/// Either half hides the weights: a prover that knew them while a verifier still waits for a message of an earlier
/// step could choose that message, and with it the verifier's operands, to fit.
fn weigh<S: Security>(session: &mut Session<'_, S>, parts: &mut Parts<'_>) -> Result<[Halves; 2]> {
    let mut step = session.narrow("weights");
    let next = halves(step.common(Peer::Prev)?);
    let prev = halves(step.common(Peer::Next)?);
    step.send(Peer::Next, &next.first)?;
    step.send(Peer::Prev, &prev.second)?;
    let first: Words = step.receive(Peer::Prev, SEED_WORDS)?;
    let second: Words = step.receive(Peer::Next, SEED_WORDS)?;
    let mut step = session.narrow("weights_echo");
    step.send(Peer::Next, &first)?;
    step.send(Peer::Prev, &second)?;
    let own = Halves { first, second }.seed();
    parts.own.iter_mut().for_each(|proof| proof.weigh(&own));
    Ok([next, prev])
}

/// The verifiers' side of step 1.
fn check_weights<S: Security>(session: &mut Session<'_, S>, [next, prev]: &[Halves; 2]) -> Result<()> {
    let mut step = session.narrow("weights_echo");
    for (peer, told) in [(Peer::Prev, &prev.first), (Peer::Next, &next.second)] {
        let echo: Words = step.receive(peer, SEED_WORDS)?;
        if echo != *told {
            return Err(step.check_failed(None, CHALLENGE[step.role().peer(peer).index()]));
        }
    }
    Ok(())
}

fn halves(mut stream: PairStream) -> Halves {
    Halves { first: stream.words(SEED_WORDS), second: stream.words(SEED_WORDS) }
}

/// Step 2. The prover sends message `index`, less the first verifier's share of it, to the second, and repeats to the
/// first the challenge before, which the second told it.
fn send_message<S: Security>(
    session: &mut Session<'_, S>,
    parts: &mut Parts<'_>,
    index: usize,
    told: Option<&Told>,
) -> Result<()> {
    let mut step = session.narrow_at("fold", index);
    let mut shares = step.common(Peer::Prev)?;
    let mut message = Vec::with_capacity(parts.words(index));
    for proof in &mut parts.own {
        let share = shares.words(proof.share_words(index));
        message.append(&mut proof.message(index, &share));
    }
    step.send(Peer::Next, &message)?;
    if let Some(told) = told {
        session.narrow_at("echo", index).send(Peer::Prev, &told.own)?;
    }
    Ok(())
}

/// The verifiers' side of step 2: shares of the messages of `P_{i+1}` and `P_{i-1}`; the echoes are checked.
fn receive_message<S: Security>(
    session: &mut Session<'_, S>,
    parts: &Parts<'_>,
    index: usize,
    told: Option<&Told>,
) -> Result<[Words; 2]> {
    let mut step = session.narrow_at("fold", index);
    let next = step.common(Peer::Next)?.words(parts.share_words(index));
    let prev = step.receive(Peer::Prev, parts.words(index))?;
    if let Some(told) = told {
        let mut step = session.narrow_at("echo", index);
        let echo: Words = step.receive(Peer::Next, SEED_WORDS)?;
        if echo != told.next {
            return Err(step.check_failed(None, CHALLENGE[step.role().next().index()]));
        }
    }
    Ok([next, prev])
}

/// Step 3. The second verifier, which has the message, tells the prover the challenge; the first knows it. The last
/// one is told to nobody.
fn challenge<S: Security>(
    session: &mut Session<'_, S>,
    index: usize,
    [next_message, prev_message]: [Words; 2],
    is_last: bool,
) -> Result<(Option<Told>, Turn)> {
    let mut step = session.narrow_at("challenge", index);
    let next_seed = step.common(Peer::Prev)?.words(SEED_WORDS);
    let prev_seed = step.common(Peer::Next)?.words(SEED_WORDS);
    let mut told = None;
    if !is_last {
        step.send(Peer::Prev, &prev_seed)?;
        told = Some(Told { own: step.receive(Peer::Next, SEED_WORDS)?, next: next_seed.clone() });
    }
    Ok((told, Turn { index, next_message, prev_message, next_seed, prev_seed }))
}

/// Step 4. The two verifiers of a proof show each other their shares of the last values. Returns whose proof failed.
fn open<S: Security>(session: &mut Session<'_, S>, parts: &Parts<'_>) -> Result<Option<Role>> {
    let mut step = session.narrow("open");
    let openings =
        |proofs: &[Box<dyn Verify + '_>]| -> Vec<Words> { proofs.iter().map(|p| p.opening()).collect() };
    let (next, prev) = (openings(&parts.next), openings(&parts.prev));
    let count = next.iter().map(Vec::len).sum();
    step.send(Peer::Prev, &next.concat())?;
    step.send(Peer::Next, &prev.concat())?;
    let of_next: Words = step.receive(Peer::Prev, count)?;
    let of_prev: Words = step.receive(Peer::Next, count)?;
    let role = step.role();
    for (proofs, own, other, prover) in
        [(&parts.next, next, of_next, role.next()), (&parts.prev, prev, of_prev, role.prev())]
    {
        let mut other = &other[..];
        for (proof, own) in proofs.iter().zip(&own) {
            let (opening, rest) = other.split_at(own.len());
            if !proof.accepts(opening) {
                return Ok(Some(prover));
            }
            other = rest;
        }
    }
    Ok(None)
}

/// Step 5. All say whether they accept; a node goes on only when all three do.
fn confirm<S: Security>(session: &mut Session<'_, S>, failed: Option<Role>) -> Result<()> {
    let mut step = session.narrow("confirm");
    let verdict = [failed.map_or(0, |role| 1 + role.index() as u8)];
    let sent = [Peer::Prev, Peer::Next].map(|peer| step.send(peer, &verdict));
    if let Some(role) = failed {
        // Whether or not a peer that may have ended already still hears of it.
        return Err(step.check_failed(None, PRODUCTS[role.index()]));
    }
    sent.into_iter().collect::<Result<()>>()?;
    for peer in [Peer::Prev, Peer::Next] {
        let theirs: Vec<u8> = step.receive(peer, 1)?;
        if theirs != [0] {
            return Err(step.check_failed(None, REFUSED[step.role().peer(peer).index()]));
        }
    }
    Ok(())
}

/// The check of the last values, by prover.
pub(super) const PRODUCTS: [&str; 3] = [
    "the products of P0 do not hold, or a verifier of theirs deviated",
    "the products of P1 do not hold, or a verifier of theirs deviated",
    "the products of P2 do not hold, or a verifier of theirs deviated",
];

/// The check of echoed challenges, by prover.
pub(super) const CHALLENGE: [&str; 3] = [
    "P0 was told another challenge, or lies about it",
    "P1 was told another challenge, or lies about it",
    "P2 was told another challenge, or lies about it",
];

/// A peer's verdict, by peer.
pub(super) const REFUSED: [&str; 3] =
    ["P0 refused somebody's products", "P1 refused somebody's products", "P2 refused somebody's products"];
