//! The statement as constraints.

use super::ConsentGiven;
use super::relation::{CONSENT_DEPTH, Consent, Public, Snapshot, Status, Witness};
use crate::eligibility::Day;
use crate::field::Element;
use crate::gadgets::numbers::index_bits;
use crate::gadgets::{merkle, poseidon};
use crate::merkle::ARITY_BITS;
use crate::poseidon::Domain;
use crate::r1cs::{Builder, Num};
use crate::statement::ConstrainedStatement;

/// Bits of a day.
const DAY_BITS: usize = 32;

impl ConstrainedStatement for ConsentGiven {
    const INPUTS: usize = 4;

    /// root of the snapshot, terms, date, subject.
    fn public_inputs(public: &Public) -> Vec<Element> {
        vec![public.snapshot, public.terms(), Element::from(public.date.0), public.subject]
    }

    fn synthesize(builder: &mut Builder, inputs: &[Num], public: &Public, witness: &Witness) {
        let [snapshot, terms, date, subject] = inputs else { return };
        let consent = &witness.consent;
        builder.part("leaf");
        let pseudonym = builder.witness(consent.pseudonym());
        let [purpose, class] = consent.purpose_and_class().map(|name| builder.witness(name));
        let [not_before, not_after] = consent.days().map(|day| builder.witness(Element::from(day.0)));
        let active = builder.constant(Element::from(Status::Active.code()));
        let fields = [&pseudonym, &purpose, &class, &not_before, &not_after, &active].map(Num::clone);
        let leaf = poseidon::hash(builder, Domain::Consent, &fields);
        builder.part("snapshot");
        let index = index_bits(builder, witness.path.index(), ARITY_BITS * CONSENT_DEPTH);
        let levels: [_; CONSENT_DEPTH] =
            std::array::from_fn(|level| witness.path.levels().get(level).copied().unwrap_or_default());
        let root = merkle::root(builder, &leaf, &index, &levels);
        builder.enforce_equal(&root, snapshot);
        builder.part("validity");
        builder.bits(&(date - &not_before), DAY_BITS);
        builder.bits(&(&not_after - date), DAY_BITS);
        builder.part("terms");
        let request = builder.witness(public.request);
        let found = poseidon::hash(builder, Domain::Request, &[purpose, class, request.clone()]);
        builder.enforce_equal(&found, terms);
        builder.part("subject");
        let found = poseidon::hash(builder, Domain::Subject, &[pseudonym, request]);
        builder.enforce_equal(&found, subject);
    }

    fn example() -> (Public, Witness) {
        let days = (Day(45_000), Day(46_000));
        let consent = Consent::new(b"an example, of no entropy", ("GRU", "labs"), days, Status::Active);
        let snapshot = Snapshot::new(vec![consent.leaf()]).expect("one consent");
        let request = Element::from(7u64);
        let public = Public {
            snapshot: snapshot.root(),
            purpose: "GRU".to_owned(),
            class: "labs".to_owned(),
            request,
            date: Day(45_500),
            subject: consent.subject(&request),
        };
        let path = snapshot.path(0).expect("the first leaf exists");
        (public, Witness { consent, path })
    }
}
