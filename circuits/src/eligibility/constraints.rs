//! The statement, as constraints.

use super::clauses::{self, SlotVars};
use super::credential::slot_element;
use super::status::{ISSUERS_DEPTH, STATUS_DEPTH, STATUS_INDEX_BITS, STATUS_LEAF_BITS};
use super::{Eligibility, Public, SLOTS, Witness};
use crate::field::Element;
use crate::gadgets::jubjub::PointVar;
use crate::gadgets::numbers::index_bits;
use crate::gadgets::{merkle, poseidon, schnorr};
use crate::merkle::{ARITY, ARITY_BITS, Path};
use crate::poseidon::Domain;
use crate::r1cs::{Builder, Num};
use crate::statement::ConstrainedStatement;

/// Bits of a day.
const DAY_BITS: usize = 32;

/// The variables of the public inputs, in their order.
struct Inputs<'a> {
    terms: &'a Num,
    issuers: &'a Num,
    date: &'a Num,
    nullifier: &'a Num,
}

/// The variables of the credential.
struct CredentialVars {
    slots: SlotVars,
    patient: Num,
    holder: Num,
    not_before: Num,
    not_after: Num,
    schema: Num,
    index: Num,
    message: Num,
}

impl ConstrainedStatement for Eligibility {
    const INPUTS: usize = 5;

    /// terms, root of the issuers, date, context, nullifier.
    fn public_inputs(public: &Public) -> Vec<Element> {
        vec![
            public.terms(),
            public.issuers,
            Element::from(public.date.0),
            public.context.element(),
            public.nullifier.0,
        ]
    }

    fn synthesize(builder: &mut Builder, inputs: &[Num], public: &Public, witness: &Witness) {
        let [terms, issuers, date, context, nullifier] = inputs else { return };
        let inputs = Inputs { terms, issuers, date, nullifier };
        let credential = credential(builder, witness);
        let revocations = builder.witness(witness.revocations);
        issuer(builder, &credential, witness, &revocations, inputs.issuers);
        status(builder, &credential, witness, &revocations);
        builder.part("validity");
        builder.bits(&(inputs.date - &credential.not_before), DAY_BITS);
        builder.bits(&(&credential.not_after - inputs.date), DAY_BITS);
        builder.part("holder");
        let secret = builder.witness(*witness.holder.expose());
        let holder = poseidon::hash(builder, Domain::Holder, &[secret]);
        builder.enforce_equal(&holder, &credential.holder);
        let digest = clauses::enforce(builder, &public.criteria, witness, &credential.slots);
        builder.part("terms");
        let study = builder.witness(public.study.element());
        let terms = poseidon::hash(builder, Domain::Terms, &[digest, credential.schema, study.clone()]);
        builder.enforce_equal(&terms, inputs.terms);
        builder.part("nullifier");
        let nullifier = poseidon::hash(builder, Domain::Nullifier, &[credential.patient, study]);
        builder.enforce_equal(&nullifier, inputs.nullifier);
        // The context takes part in nothing else. The key binds every input; this shows it in the constraints too.
        builder.part("context");
        builder.mul(context, context);
    }

    fn example() -> (Public, Witness) {
        super::example::pair()
    }
}

/// The credential's commitment, and the message that the issuer signed.
fn credential(builder: &mut Builder, witness: &Witness) -> CredentialVars {
    builder.part("commitment");
    let credential = &witness.credential;
    let header = credential.header();
    let slots: Vec<Num> =
        credential.attributes().slots().iter().map(|&slot| builder.witness(slot_element(slot))).collect();
    let complete = index_bits(builder, credential.attributes().complete() as usize, SLOTS);
    let neighbours = clauses::neighbours(builder, &slots, &complete);
    let patient = builder.witness(*credential.patient().expose());
    let salt = builder.witness(credential.salt_element());
    let mut inputs = slots.clone();
    inputs.extend([Num::from_bits(&complete), salt, patient.clone()]);
    let commitment = poseidon::hash(builder, Domain::Slots, &inputs);
    builder.part("credential");
    let holder = builder.witness(header.holder.0);
    let [not_before, not_after, index] = [header.not_before.0, header.not_after.0, header.index.get()]
        .map(|number| builder.witness(Element::from(number)));
    let schema = builder.witness(header.schema.element());
    let signed = [&commitment, &holder, &not_before, &not_after, &schema, &index].map(Num::clone);
    let message = poseidon::hash(builder, Domain::Credential, &signed);
    let slots = SlotVars { slots, neighbours };
    CredentialVars { slots, patient, holder, not_before, not_after, schema, index, message }
}

/// The issuer's signature, and the issuer with its revocations under the root.
fn issuer(
    builder: &mut Builder,
    credential: &CredentialVars,
    witness: &Witness,
    revocations: &Num,
    root: &Num,
) {
    builder.part("signature");
    let key = PointVar::witness(builder, &witness.credential.issuer().point());
    schnorr::verify(builder, &key, &credential.message, witness.credential.signature());
    builder.part("issuer");
    let leaf = poseidon::hash(builder, Domain::Issuer, &[key.x, key.y, revocations.clone()]);
    let index = index_bits(builder, witness.issuer.index(), ARITY_BITS * ISSUERS_DEPTH);
    let found = merkle::root(builder, &leaf, &index, &levels::<ISSUERS_DEPTH>(&witness.issuer));
    builder.enforce_equal(&found, root);
}

/// The credential's bit is zero under the root of the revocations.
fn status(builder: &mut Builder, credential: &CredentialVars, witness: &Witness, revocations: &Num) {
    builder.part("status");
    let index = builder.bits(&credential.index, STATUS_INDEX_BITS);
    let (place, leaf) = index.split_at(STATUS_LEAF_BITS);
    let bits = index_bits(builder, witness.status.word as usize, 1 << STATUS_LEAF_BITS);
    let word = Num::from_bits(&bits);
    let found = merkle::root(builder, &word, leaf, &levels::<STATUS_DEPTH>(&witness.status.path));
    builder.enforce_equal(&found, revocations);
    let nums: Vec<Num> = bits.iter().map(|bit| bit.num().clone()).collect();
    let revoked = builder.choose(place, &nums);
    builder.enforce_equal(&revoked, &Num::zero());
}

/// The levels of a path, as many as the circuit has: one of another depth satisfies nothing.
fn levels<const DEPTH: usize>(path: &Path) -> [[Element; ARITY]; DEPTH] {
    std::array::from_fn(|level| path.levels().get(level).copied().unwrap_or_default())
}
