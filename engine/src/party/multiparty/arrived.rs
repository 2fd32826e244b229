//! Sums that arrive under encryption and go on as shares.
//!
//! Parties: the hospitals, each of which encrypted its sums once; the active key holders, who mask the sum; the three compute
//! nodes. Every compute node adds the c0 halves of the hospitals' signed contributions up and opens the masked sum itself, so that the
//! engine can shift nothing; the holders share their masks among the nodes as any input. Adversary: malicious engine, up to
//! threshold - 1 key holders, one compute node; a key holder can shift a sum by lying about its mask, as a hospital
//! can by lying about its rows. Source: Mouchet et al., PoPETs 2021, protocol Enc2Share; see [`ward_protocols::he::masked_share`].
//!
//! A masked share is a decryption share: it is drawn once for a sum and a set of holders, stored with its masks before it is
//! sent, and replayed. Every attempt splits the same masks with fresh randomness.

use ward_protocols::he::{self, C0, MaskedShare, MaskedSum};
use ward_protocols::mpc::component::Component;
use ward_protocols::mpc::gates::input::{Held, Words, from_encryption};
use ward_protocols::mpc::role::Role;
use ward_protocols::mpc::shares::RingShares;
use zeroize::Zeroizing;

use super::super::aggregate::{MASKED_SHARE, TakenIn};
use super::super::ceremony::refuse;
use super::super::node::Node;
use super::super::task::{Arrived, ContributionHeader, Outcome};
use super::seat::problem;
use crate::encoding::{Digest, HexBytes, canonical_json, separated};
use crate::job::multiparty::arrived_digest;
use crate::problem::Problem;

/// What a node has of a sum that arrived.
pub(super) struct Sum {
    /// Of what hospitals and key holders signed.
    pub(super) digest: Digest,
    /// This holder's share of the sum.
    masks: Option<Zeroizing<Vec<u64>>>,
    /// The masked sum, at a compute node.
    opened: Option<MaskedSum>,
}

impl Sum {
    /// What this holder gives as shares.
    pub(super) fn masks(&self) -> Result<Words, Problem> {
        let masks = self.masks.as_ref().ok_or_else(|| Problem::internal(&"this node has no masks"))?;
        Ok(Words { ring: masks.to_vec(), bits: Vec::new() })
    }

    /// From shares of all masks to shares of the sum.
    pub(super) fn unmask(&self, role: Role, masks: Held) -> Result<Held, Problem> {
        let opened =
            self.opened.as_ref().ok_or_else(|| Problem::internal(&"no masked sum at a compute node"))?;
        let masks = RingShares { own: masks.own.ring.into(), next: masks.next.ring.into() };
        let sum = from_encryption(role, opened, &[masks]).map_err(|error| problem(&error))?;
        let words = |ring: Component| Words { ring: ring.into(), bits: Vec::new() };
        Ok(Held { own: words(sum.own), next: words(sum.next) })
    }
}

/// Where a holder keeps its share of a sum.
fn cell(taken: &TakenIn, sum: Digest, active: &[String]) -> String {
    let epoch = taken.held.epoch.id;
    separated("ward/v1/mask-cell", &[&epoch.0, &sum.0, &canonical_json(&active)]).to_string()
}

/// A kept share: as many words of masks as the plan has slots, then the shares.
fn split(taken: &TakenIn, kept: &[u8]) -> Result<(Zeroizing<Vec<u64>>, Vec<u8>), Problem> {
    let damaged = || Problem::internal(&"a kept mask is damaged");
    let (words, shares) = kept.split_at_checked(8 * taken.plan.slots()).ok_or_else(damaged)?;
    let words = words.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
    Ok((Zeroizing::new(words), shares.to_vec()))
}

impl Node {
    /// Masks the sum, after checking that it is the sum of the hospitals' signed contributions and nothing else.
    pub(in super::super) fn mask_sum(
        &self,
        job: &str,
        contributions: &[ContributionHeader],
        active: &[String],
        body: &[u8],
    ) -> Result<(Outcome, Vec<u8>), Problem> {
        let taken = self.taken_in(job)?;
        if !taken.plan.is_masked() {
            return Err(refuse("plan.shares", "the sum of this job does not go on as shares"));
        }
        let (sum, digest) = self.sum_of(job, &taken, contributions, body)?;
        let cell = cell(&taken, digest, active);
        let binding = separated("ward/v1/mask", &[job.as_bytes()]);
        if self.recall_bound("mask", &cell, binding)?.is_none() {
            let key = self.active_share(&taken.held, active)?;
            let params = &taken.held.params;
            let made = he::masked_share(params, &key, &sum, &mut self.fresh_rng()?);
            let (shares, masks) = made.map_err(|e| Problem::internal(&e))?;
            let about = taken.circumstances(self);
            self.audit_within("share.give", job, &format!("masked sum {digest}"), about)?;
            let words = masks.expose().iter().take(taken.plan.slots());
            let mut kept = Zeroizing::new(words.flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>());
            kept.extend_from_slice(&MaskedShare::encode_all(params, &shares));
            self.once("mask", &cell, binding, &kept)?;
        }
        let kept = self.recall_bound("mask", &cell, binding)?.unwrap_or_default();
        let (_, shares) = split(&taken, &kept)?;
        let given = Digest::of(&shares);
        let signature = HexBytes(self.sign(MASKED_SHARE, &[job.as_bytes(), &digest.0, &given.0]));
        Ok((Outcome::SumMasked { sum: digest, shares: given, signature }, shares))
    }

    /// Checks what arrived: the same in every attempt, of the hospitals' signed contributions, masked by as many holders
    /// as the threshold. A compute node opens it.
    pub(super) fn arrived(
        &self,
        (job, taken): (&str, &TakenIn),
        (arrived, inputs): (&Arrived, &[String]),
        body: Option<&[u8]>,
    ) -> Result<Sum, Problem> {
        self.check_contributions(job, taken, &arrived.contributions)?;
        let sum = self.check_masked(job, taken, arrived)?;
        let holders: Vec<String> = arrived.shares.iter().map(|share| share.holder.clone()).collect();
        if holders != inputs {
            return Err(refuse("sum.masked", "the masks are not given by those who masked the sum"));
        }
        let mut masks = None;
        if let Some(own) = arrived.shares.iter().find(|share| share.holder == self.name()) {
            let unknown = || refuse("sum.masked", "this node did not mask that sum");
            let kept = self.recall("mask", &cell(taken, sum, &holders))?.ok_or_else(unknown)?;
            let (words, shares) = split(taken, &kept)?;
            if Digest::of(&shares) != own.shares {
                return Err(unknown());
            }
            masks = Some(words);
        }
        let opened = body.map(|body| open(taken, arrived, body)).transpose()?;
        let digest = arrived_digest(arrived);
        self.once("mpc-inputs", job, digest, &digest.0).map_err(|_| {
            refuse("sum.inputs", "an earlier attempt of this job was of another sum")
                .hint("submit the query again")
        })?;
        Ok(Sum { digest, masks, opened })
    }

    /// The headers of the masked shares; returns the digest of the sum that they are all of.
    fn check_masked(&self, job: &str, taken: &TakenIn, arrived: &Arrived) -> Result<Digest, Problem> {
        let epoch = &taken.held.epoch;
        let sorted = arrived.shares.windows(2).all(|pair| pair[0].holder < pair[1].holder);
        let known = arrived.shares.iter().all(|share| epoch.holders.contains(&share.holder));
        let Some(first) = arrived.shares.first().filter(|_| sorted && known) else {
            return Err(refuse("sum.masked", "the masked shares are not of key holders, sorted"));
        };
        if arrived.shares.len() != epoch.threshold as usize {
            return Err(refuse("sum.masked", "the masked shares are not as many as the threshold"));
        }
        for share in &arrived.shares {
            self.pin_hospital(&share.holder, &share.certificate.0)?;
            let parts: [&[u8]; 3] = [job.as_bytes(), &share.sum.0, &share.shares.0];
            self.check_signature(&share.certificate.0, MASKED_SHARE, &parts, &share.signature.0)
                .map_err(|problem| problem.at(&share.holder))?;
            if share.sum != first.sum {
                return Err(refuse("sum.masked", "a masked share is of another sum").at(&share.holder));
            }
        }
        // Whoever masked it knows the sum; the others take it from the holders.
        match self.recall("sum", job)? {
            Some(own) if own[..] != first.sum.0 => {
                Err(refuse("sum.masked", "the masked shares are of another sum than this node masked"))
            }
            _ => Ok(first.sum),
        }
    }
}

/// Adds the c0 halves and the masked shares up, each checked against the digest that its hospital signed.
fn open(taken: &TakenIn, arrived: &Arrived, mut body: &[u8]) -> Result<MaskedSum, Problem> {
    let (params, count) = (&taken.held.params, taken.plan.ciphertexts as usize);
    let mut sum = he::C0Accumulator::new(params);
    for header in &arrived.contributions {
        let bad = |what: &str| refuse("sum.input", what).at(&header.hospital);
        let c0 = take(&mut body, (header.c0_bytes, header.c0)).map_err(bad)?;
        let list = C0::decode_all(params, c0).map_err(|e| bad(&e.to_string()))?;
        if list.len() != count {
            return Err(bad("an input has another number of ciphertexts than the plan"));
        }
        sum.add(&list).map_err(|e| bad(&e.to_string()))?;
    }
    let mut shares = Vec::new();
    for header in &arrived.shares {
        let bad = |what: &str| refuse("sum.masked", what).at(&header.holder);
        let share = take(&mut body, (header.bytes, header.shares)).map_err(bad)?;
        shares.push(MaskedShare::decode_all(params, share).map_err(|e| bad(&e.to_string()))?);
    }
    if !body.is_empty() {
        return Err(refuse("sum.input", "more was sent than the sum is of"));
    }
    let mut opened = he::masked_open(params, &sum.finish(), &shares).map_err(|e| {
        refuse("sum.masked", format!("the masked sum does not open: {e}"))
            .hint("a key holder's share is of another sum; nothing was released")
    })?;
    opened.words.truncate(taken.plan.slots());
    Ok(opened)
}

/// The next part of a body.
fn take<'a>(body: &mut &'a [u8], (bytes, digest): (u64, Digest)) -> Result<&'a [u8], &'static str> {
    let bytes = usize::try_from(bytes).map_err(|_| "a part is too long")?;
    let (part, rest) = body.split_at_checked(bytes).ok_or("a part was not sent")?;
    *body = rest;
    if Digest::of(part) == digest { Ok(part) } else { Err("a part is not the one that was signed") }
}
