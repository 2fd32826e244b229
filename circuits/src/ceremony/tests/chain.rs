//! The chain of contributions: what each tampering is refused with.

use proptest::prelude::*;

use super::*;
use crate::ceremony::chain;
use crate::ceremony::curve::{Curve, G1};
use crate::ceremony::knowledge::Update;

fn check(transcript: &Transcript) -> Result<()> {
    let decoded = Transcript::decode(Phase::One, &transcript.encode())?;
    assert!(decoded == *transcript);
    chain::verify(&decoded, 0, &progress::Progress::new(SILENT, 1))
}

fn transcript() -> Transcript {
    let transcript = first_phase(1, &["a", "b", "c"], true).transcript().clone();
    check(&transcript).unwrap();
    transcript
}

/// The transcript with its contributions changed.
fn changed(change: impl FnOnce(&mut Vec<Contribution>)) -> Error {
    let mut transcript = transcript();
    change(transcript.contributions_mut());
    check(&transcript).expect_err("refused")
}

/// Repairs the hashes that contributions name, as an attacker would: the proofs are left to catch it.
fn rechain(transcript: &Transcript, contributions: &mut [Contribution]) {
    let mut head = transcript.start();
    for contribution in contributions {
        contribution.previous = head;
        head = contribution.hash();
    }
}

#[test]
fn reordered_left_out_and_repeated_contributions_are_refused() {
    assert_eq!(changed(|list| list.swap(0, 1)), Error::History(1));
    assert_eq!(changed(|list| drop(list.remove(1))), Error::History(2));
    assert_eq!(changed(|list| list.insert(1, list[0].clone())), Error::History(2));
    // With the hashes made to fit.
    let history = transcript();
    let fitted = |change: fn(&mut Vec<Contribution>)| {
        changed(|list| {
            change(list);
            rechain(&history, list);
        })
    };
    let knowledge = |contribution, secret| Error::Knowledge { contribution, secret };
    assert_eq!(fitted(|list| list.swap(0, 1)), knowledge(1, "tau"));
    assert_eq!(fitted(|list| drop(list.remove(1))), knowledge(2, "tau"));
    assert_eq!(fitted(|list| list.insert(1, list[0].clone())), knowledge(2, "tau"));
}

#[test]
fn a_contribution_of_another_ceremony_is_refused() {
    let other = Phase1::begin("another", 1)
        .unwrap()
        .contribute(&contributor("a"), &mut rng(0), b"dice", SILENT)
        .unwrap();
    let replayed = other.transcript().contributions()[0].clone();
    assert_eq!(changed(|list| list[0] = replayed.clone()), Error::History(1));
    let history = transcript();
    let refused = changed(|list| {
        list[0] = replayed;
        rechain(&history, list);
    });
    assert_eq!(refused, Error::Knowledge { contribution: 1, secret: "tau" });
}

#[test]
fn a_name_or_an_attestation_cannot_be_put_on_anothers_contribution() {
    for thief in [contributor("thief"), Contributor::new("a", [9; 32]).unwrap()] {
        let history = transcript();
        let refused = changed(|list| {
            list[0].source = Source::Party(thief);
            rechain(&history, list);
        });
        assert_eq!(refused, Error::Knowledge { contribution: 1, secret: "tau" });
    }
}

#[test]
fn a_secret_that_was_replaced_or_left_alone_is_refused() {
    // The attacker throws away what the others did to tau and puts in its own factor.
    let phase = first_phase(1, &["a"], false);
    let step = |before: fn(&Phase1) -> G1| {
        let place = knowledge::Place {
            previous: &phase.transcript().head(),
            source: &Source::Party(contributor("m")),
            number: 2,
        };
        let factor = |f: u64| ward_math::Secret::new(ark_bls12_381::Fr::from(f));
        let values =
            phase.transcript().contributions()[0].updates.iter().map(|u| u.value).collect::<Vec<_>>();
        let updates = vec![
            Update::prove(&place, "tau", &before(&phase), &factor(5)),
            Update::prove(&place, "alpha", &values[1], &factor(7)),
            Update::prove(&place, "beta", &values[2], &factor(9)),
        ];
        (updates, factor)
    };
    let make = |updates: Vec<Update>| {
        phase.transcript().with(Contribution {
            source: Source::Party(contributor("m")),
            previous: phase.transcript().head(),
            state: [0; 32],
            updates,
        })
    };
    let (honest, _) = step(|phase| phase.powers().tau_g1[1]);
    check(&make(honest.clone())).unwrap();
    let (replaced, factor) = step(|_| G1::generator());
    assert_eq!(check(&make(replaced)), Err(Error::Product { contribution: 2, secret: "tau" }));

    let head = phase.transcript().head();
    let source = Source::Party(contributor("m"));
    let place = knowledge::Place { previous: &head, source: &source, number: 2 };
    let mut idle = honest.clone();
    idle[1] = Update::prove(&place, "alpha", &phase.powers().alpha_g1[0], &factor(1));
    assert_eq!(check(&make(idle)), Err(Error::Unchanged { contribution: 2, secret: "alpha" }));

    // A proof of one secret does not serve for another.
    let mut moved = honest.clone();
    moved[2] = Update::prove(&place, "alpha", &phase.powers().beta_g1[0], &factor(9));
    assert_eq!(check(&make(moved)), Err(Error::Knowledge { contribution: 2, secret: "beta" }));

    // A factor that differs between the groups.
    let mut torn = honest;
    torn[1].factor_g2 = torn[0].factor_g2;
    assert_eq!(check(&make(torn)), Err(Error::Knowledge { contribution: 2, secret: "alpha" }));
}

#[test]
fn a_beacon_of_another_value_or_in_the_middle_is_refused() {
    let history = transcript();
    let refused = changed(|list| {
        list[3].source = Source::Beacon(Beacon::new(b"round 4243 of a public beacon", 6).unwrap());
        rechain(&history, list);
    });
    assert_eq!(refused, Error::Beacon(4));
    let refused = changed(|list| {
        list[3].source = Source::Beacon(Beacon::new(beacon().value(), 7).unwrap());
        rechain(&history, list);
    });
    assert_eq!(refused, Error::Beacon(4));
    // Somebody's own factors under the beacon's name.
    let refused = changed(|list| {
        list[2].source = Source::Beacon(beacon());
        list.truncate(3);
        rechain(&history, list);
    });
    assert_eq!(refused, Error::Beacon(3));
    // One more after the beacon.
    let refused = changed(|list| {
        let mut more = list[2].clone();
        more.previous = list[3].hash();
        list.push(more);
    });
    assert_eq!(refused, Error::Closed);
}

#[test]
fn a_beacon_has_limits() {
    assert_eq!(Beacon::new(&[0; 15], 4), Err(Error::BeaconLength(15)));
    assert_eq!(Beacon::new(&[0; 1025], 4), Err(Error::BeaconLength(1025)));
    assert_eq!(Beacon::new(&[0; 16], 31), Err(Error::BeaconIterations(31)));
}

#[test]
fn a_name_is_printable_and_short() {
    for name in ["", " a", "a\n", "a\u{1b}[2J", &"x".repeat(129)] {
        assert_eq!(Contributor::new(name, [0; 32]), Err(Error::Name("contributor")), "{name:?}");
    }
    Contributor::new(&"x".repeat(128), [0; 32]).unwrap();
    Contributor::new("Klinik Süd, 2. OG", [0; 32]).unwrap();
    assert_eq!(Phase1::begin("a\tb", 2).err(), Some(Error::Name("ceremony")));
}

#[test]
fn contributors_are_counted_by_distinct_names() {
    assert_eq!(first_phase(1, &["a", "b", "a"], true).transcript().contributors(), 2);
}

#[test]
fn the_extra_entropy_and_the_generator_both_reach_the_factors() {
    let phase = Phase1::begin("test", 1).unwrap();
    let head = |seed: u64, extra: &[u8]| {
        let next = phase.contribute(&contributor("a"), &mut rng(seed), extra, SILENT).unwrap();
        next.transcript().head()
    };
    assert_eq!(head(1, b"x"), head(1, b"x"));
    assert_ne!(head(1, b"x"), head(1, b"y"));
    assert_ne!(head(1, b"x"), head(2, b"x"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any changed byte of a transcript is refused, by the decoder or by the chain.
    #[test]
    fn a_changed_byte_of_a_transcript_is_refused(at: prop::sample::Index, flip in 1u8..=255) {
        let phase = first_phase(1, &["a", "b"], true);
        let mut bytes = phase.transcript().encode();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        let verified = Phase1::verify(&bytes, &phase.encode_state(), &mut rng(1), SILENT);
        prop_assert!(verified.is_err(), "byte {at}");
    }

    /// Any changed byte of a state is refused.
    #[test]
    fn a_changed_byte_of_a_state_is_refused(at: prop::sample::Index, flip in 1u8..=255) {
        let phase = first_phase(1, &["a"], false);
        let mut bytes = phase.encode_state();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        let verified = Phase1::verify(&phase.transcript().encode(), &bytes, &mut rng(1), SILENT);
        prop_assert!(verified.is_err(), "byte {at}");
    }
}

#[test]
fn the_files_of_a_fixed_ceremony_are_the_ones_of_version_1() {
    let phase = first_phase(2, &["a", "b"], true);
    let hash = |bytes: &[u8]| hex::encode(transcript::Hasher::new("test").field(bytes).finish());
    assert_eq!(hex::encode(phase.transcript().start()), START);
    assert_eq!(hex::encode(phase.transcript().head()), HEAD);
    assert_eq!(hash(&phase.encode_state()), STATE);
    assert_eq!(hash(&phase.transcript().encode()), FILE);
}

const START: &str = "bc3fa82ea0f9311ec18532f4b0295f20bc8bf20595e6921fe8bb88da38b49ca3";
const HEAD: &str = "bef2abbc68525383ad5c0c215f884a7926a61830f8750a9d0f1db6b0b7d67e04";
const STATE: &str = "2af0ea2e12369ee0de3aa631276896e9e4f4b8578588f4ceb510f710598deeae";
const FILE: &str = "977d264ee9d09cab543d30b7fb8f40da52e01ddaa9c75939db86aafd0042e569";
