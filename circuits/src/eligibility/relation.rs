//! The statement, as ordinary code.

use super::Eligibility;
use super::credential::{Credential, Day, HolderSecret, Nullifier, SchemaId, StudyId, message};
use super::status::{ISSUERS_DEPTH, Issuer, STATUS_DEPTH, StatusPath};
use super::types::{Clause, Criteria, Slot, Test};
use crate::field::{Element, hash_bytes};
use crate::merkle::Path;
use crate::poseidon::{self, Domain};
use crate::statement::Statement;

/// What a proof is made for: so that it is of no use elsewhere. A hash below 2^253.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context(Element);

impl Context {
    /// The context of a verifier's nonce, of the audience that it names and of a chain (0 for none).
    #[must_use]
    pub fn new(nonce: &[u8], audience: &str, chain_id: u64) -> Self {
        Self(hash_bytes("ward/context/1", &[nonce, audience.as_bytes(), &chain_id.to_be_bytes()]))
    }

    /// The context as an element.
    #[must_use]
    pub fn element(&self) -> Element {
        self.0
    }
}

/// What everybody sees of an eligibility.
#[derive(Clone, Debug)]
pub struct Public {
    /// What the patient meets.
    pub criteria: Criteria,
    /// What the slots of the credential mean.
    pub schema: SchemaId,
    /// The study.
    pub study: StudyId,
    /// The root of the issuers and their revocations ([`super::status::Issuers::root`]).
    pub issuers: Element,
    /// The day on which the credential is valid.
    pub date: Day,
    /// What the proof is made for.
    pub context: Context,
    /// The patient in this study.
    pub nullifier: Nullifier,
}

impl Public {
    /// Criteria, schema and study in one element: what stays the same for all patients of a study.
    #[must_use]
    pub fn terms(&self) -> Element {
        terms(&self.criteria, &self.schema, &self.study)
    }
}

/// Criteria, schema and study in one element.
#[must_use]
pub fn terms(criteria: &Criteria, schema: &SchemaId, study: &StudyId) -> Element {
    poseidon::hash(Domain::Terms, &[criteria.digest(), schema.element(), study.element()])
}

/// What only the prover knows.
pub struct Witness {
    /// The credential.
    pub credential: Credential,
    /// The secret of its holder.
    pub holder: HolderSecret,
    /// The root of the issuer's revocations.
    pub revocations: Element,
    /// The way from the issuer to the root of the issuers.
    pub issuer: Path,
    /// The credential's bit, and its way to the root of the revocations.
    pub status: StatusPath,
}

/// Why a patient is not shown to be eligible: the first condition that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// No clause of the group holds. A value that is absent makes no clause hold.
    #[error("no clause of group {group} of the criteria holds")]
    Criteria {
        /// The group, counted from zero.
        group: usize,
    },
    /// The credential is of another schema.
    #[error("the credential is of another schema")]
    Schema,
    /// The validity begins later.
    #[error("the credential is not valid yet")]
    NotYetValid,
    /// The validity ended.
    #[error("the credential has expired")]
    Expired,
    /// The secret is not the one whose key the credential binds.
    #[error("the credential is bound to another holder")]
    Holder,
    /// The signature is not the issuer's over this credential.
    #[error("the issuer's signature does not hold")]
    Signature,
    /// The issuer, with these revocations, is not under the root.
    #[error("the issuer with its revocations is not under the root of the issuers")]
    Issuer,
    /// The bit is not under the root of the revocations, or not at the credential's place.
    #[error("the credential's status is not under the root of the revocations")]
    Status,
    /// The credential was revoked.
    #[error("the credential is revoked")]
    Revoked,
    /// The nullifier is of another patient or study.
    #[error("the nullifier is not that of the patient in this study")]
    Nullifier,
}

impl Statement for Eligibility {
    const NAME: &'static str = "ward/eligibility/1";
    type Public = Public;
    type Witness = Witness;
    type Violation = Violation;

    fn check(public: &Public, witness: &Witness) -> Result<(), Violation> {
        check_criteria(&public.criteria, witness)?;
        let header = witness.credential.header();
        let holds = |condition: bool, violation: Violation| if condition { Ok(()) } else { Err(violation) };
        holds(header.schema == public.schema, Violation::Schema)?;
        holds(header.not_before <= public.date, Violation::NotYetValid)?;
        holds(public.date <= header.not_after, Violation::Expired)?;
        holds(witness.holder.key() == header.holder, Violation::Holder)?;
        let message = message(&witness.credential.commitment(), header);
        let signed = witness.credential.issuer().verify(&message, witness.credential.signature());
        holds(signed.is_ok(), Violation::Signature)?;
        let issuer = Issuer { key: *witness.credential.issuer(), revocations: witness.revocations };
        let root = root_at_depth(&witness.issuer, &issuer.leaf(), ISSUERS_DEPTH);
        holds(root == Some(public.issuers), Violation::Issuer)?;
        let StatusPath { word, path } = &witness.status;
        let root = root_at_depth(path, &Element::from(*word), STATUS_DEPTH);
        let in_place = path.index() == header.index.leaf();
        holds(in_place && root == Some(witness.revocations), Violation::Status)?;
        holds(word >> header.index.bit() & 1 == 0, Violation::Revoked)?;
        let nullifier = witness.credential.patient().nullifier(&public.study);
        holds(nullifier == public.nullifier, Violation::Nullifier)
    }
}

fn root_at_depth(path: &Path, leaf: &Element, depth: usize) -> Option<Element> {
    if path.levels().len() == depth { path.root(leaf) } else { None }
}

fn check_criteria(criteria: &Criteria, witness: &Witness) -> Result<(), Violation> {
    let holds = |clause: &Clause| choose(clause, witness).is_some();
    match criteria.groups().iter().position(|group| !group.iter().any(holds)) {
        Some(group) => Err(Violation::Criteria { group }),
        None => Ok(()),
    }
}

/// How a clause holds: what the prover points at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    /// The slot; of a none-of clause the lower neighbour.
    pub slot: usize,
    /// Of an outside clause: above the interval.
    pub is_above: bool,
    /// Of a set: the interval.
    pub interval: usize,
}

/// How the clause holds of the credential, or nothing.
pub(super) fn choose(clause: &Clause, witness: &Witness) -> Option<Choice> {
    let attributes = witness.credential.attributes();
    let slots = attributes.slots();
    let at = |slot: usize| Choice { slot, is_above: false, interval: 0 };
    let value = |slot: usize| match slots[slot] {
        Slot::Value(value) => Some(value),
        Slot::Absent | Slot::Before => None,
    };
    let in_set = |set: &super::CodeSet| {
        clause
            .run()
            .indices()
            .find_map(|slot| Some(Choice { slot, is_above: false, interval: set.position(value(slot)?)? }))
    };
    match clause.test() {
        Test::Within(interval) => clause.run().indices().find(|&slot| interval.contains(slots[slot])).map(at),
        Test::Outside(interval) => {
            let slot = clause.run().first().get();
            let value = value(slot)?;
            let outside = value < interval.low() || value > interval.high();
            outside.then_some(Choice { slot, is_above: value > interval.high(), interval: 0 })
        }
        Test::NoneWithin(interval) => {
            let between = |&slot: &usize| {
                attributes.complete() >> slot & 1 == 1
                    && slots[slot].position() < i128::from(interval.low())
                    && i128::from(interval.high()) < slots[slot + 1].position()
            };
            (clause.run().first().get()..clause.run().last().get()).find(between).map(at)
        }
        Test::InSet(set) => in_set(set),
        Test::NotInSet(set) => in_set(&set.complement()),
    }
}
