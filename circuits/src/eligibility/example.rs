//! One eligible patient, made from fixed secrets: the pair by which the constraints are recorded, and the ground of
//! tests. The constraints of any other pair are the same.

use rand_core::{TryCryptoRng, TryRng};
use std::convert::Infallible;

use super::{
    Attributes, Clause, Context, Credential, Criteria, Day, Header, HolderSecret, Interval, Issuer, Issuers,
    PatientSecret, Public, Run, SchemaId, SlotIndex, StatusIndex, StatusList, StudyId, Test, Witness,
};
use crate::schnorr::SigningKey;

/// No randomness at all: a counter. The secrets of the example are known to everybody.
pub(super) struct Counter(pub u64);

impl TryRng for Counter {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.try_next_u64().map(|word| word as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 = self.0.wrapping_add(1);
        Ok(self.0)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            let word = self.try_next_u64()?.to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
        Ok(())
    }
}

impl TryCryptoRng for Counter {}

/// The pair.
pub(super) fn pair() -> (Public, Witness) {
    let slot = SlotIndex::new(0).expect("slot 0 exists");
    let mut attributes = Attributes::new();
    attributes.set(slot, 54);
    let clause = Clause::new(Run::one(slot), Test::Within(Interval::ALL)).expect("a test of one slot on one");
    let criteria = Criteria::new(vec![vec![clause]]).expect("one clause is a criteria");
    pair_of(attributes, criteria, &mut Counter(0))
}

/// A patient with these attributes, and the claim that they meet these criteria.
pub(super) fn pair_of<R: rand_core::CryptoRng>(
    attributes: Attributes,
    criteria: Criteria,
    rng: &mut R,
) -> (Public, Witness) {
    let key = SigningKey::generate(rng);
    let holder = HolderSecret::generate(rng);
    let study = StudyId::of("example");
    let header = Header {
        holder: holder.key(),
        not_before: Day(45_000),
        not_after: Day(46_000),
        schema: SchemaId::of(b"example"),
        index: StatusIndex::new(1234).expect("below 2^20"),
    };
    let patient = PatientSecret::of(b"an example, of no entropy");
    let nullifier = patient.nullifier(&study);
    let credential = Credential::issue(&key, attributes, patient, header, rng)
        .expect("the attributes were set in order and the days are");
    let revocations = StatusList::new().tree();
    let issuer = Issuer { key: key.public_key(), revocations: revocations.root() };
    let issuers = Issuers::new(vec![issuer]).expect("one issuer");
    let (_, path) = issuers.find(&issuer.key).expect("the issuer is in its tree");
    let public = Public {
        criteria,
        schema: header.schema,
        study,
        issuers: issuers.root(),
        date: Day(45_500),
        context: Context::new(b"nonce", "example", 0),
        nullifier,
    };
    let witness = Witness {
        credential,
        holder,
        revocations: revocations.root(),
        issuer: path,
        status: revocations.path(header.index),
    };
    (public, witness)
}
