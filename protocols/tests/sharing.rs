//! Sharing: known answers, refusals, and decoders against whatever bytes come.
#![expect(clippy::unwrap_used, reason = "tests say what went wrong by where they panic")]

use std::collections::BTreeSet;

use chacha20::ChaCha20Rng;
use proptest::prelude::*;
use rand_core::SeedableRng;
use serde_json::{Value, json};
use ward_protocols::sharing::delegation::{First, Grant, PublicKey, Second, SecretKey};
use ward_protocols::sharing::fame::{self, MasterKey, UserKey};
use ward_protocols::sharing::sealed::{self, ABOUT_BYTES_MAX, MESSAGE_BYTES_MAX, Sealed};
use ward_protocols::sharing::{Attribute, Policy, SharingError};

const MESSAGE: &[u8] = b"the data key of a record";
const ABOUT: &[u8] = b"discharge letter";
const POLICY: &str = "role:oncologist and (hospital:north or hospital:south)";

fn rng(seed: u8) -> ChaCha20Rng {
    ChaCha20Rng::from_seed([seed; 32])
}

fn set(names: &[&str]) -> BTreeSet<Attribute> {
    names.iter().map(|name| Attribute::new(name).unwrap()).collect()
}

struct World {
    public: fame::PublicKey,
    master: MasterKey,
    key: UserKey,
    sealed: Sealed,
}

fn world() -> World {
    let (public, master) = fame::setup(&mut rng(1));
    let key = sealed::issue(&master, &set(&["hospital:north", "role:oncologist"]), &mut rng(2)).unwrap();
    let policy: Policy = POLICY.parse().unwrap();
    let sealed = sealed::seal(&public, &policy, ABOUT, MESSAGE, &mut rng(3)).unwrap();
    World { public, master, key, sealed }
}

struct Houses {
    north: SecretKey,
    south: SecretKey,
    grant: Grant,
    second: Second,
    first: First,
}

fn houses() -> Houses {
    let (north, south) = (SecretKey::generate(&mut rng(4)), SecretKey::generate(&mut rng(5)));
    let grant = north.grant(south.public(), &mut rng(6)).unwrap();
    let second = Second::seal(north.public(), ABOUT, MESSAGE, &mut rng(7)).unwrap();
    let first = second.turn(&grant, &mut rng(8)).unwrap();
    Houses { north, south, grant, second, first }
}

/// What `docs/reference/sharing-vectors.json` contains.
fn vectors() -> Value {
    let (world, houses) = (world(), houses());
    json!({
        "message": hex::encode(MESSAGE),
        "about": hex::encode(ABOUT),
        "policy": {
            "policy": POLICY,
            "attributes": ["hospital:north", "role:oncologist"],
            "authority_public": hex::encode(world.public.to_bytes()),
            "authority_secret": hex::encode(&*world.master.to_bytes()),
            "authority_id": hex::encode(world.public.id()),
            "key": hex::encode(&*world.key.to_bytes()),
            "key_id": hex::encode(world.key.id()),
            "sealed": hex::encode(world.sealed.to_bytes()),
        },
        "delegation": {
            "delegator_secret": hex::encode(&*houses.north.to_bytes()),
            "delegatee_secret": hex::encode(&*houses.south.to_bytes()),
            "delegatee_public": hex::encode(houses.south.public().to_bytes()),
            "grant": hex::encode(houses.grant.to_bytes()),
            "second": hex::encode(houses.second.to_bytes()),
            "first": hex::encode(houses.first.to_bytes()),
        },
    })
}

#[test]
fn fixed_seeds_give_the_published_vectors() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/sharing-vectors.json");
    let published: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let found = vectors();
    assert_eq!(found, published, "found:\n{found:#}");
}

#[test]
fn what_is_published_opens() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/sharing-vectors.json");
    let published: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let bytes = |part: &str, name: &str| hex::decode(published[part][name].as_str().unwrap()).unwrap();
    let public = fame::PublicKey::from_bytes(&bytes("policy", "authority_public")).unwrap();
    let key = UserKey::from_bytes(&bytes("policy", "key")).unwrap();
    let sealed = Sealed::from_bytes(&bytes("policy", "sealed")).unwrap();
    assert_eq!(sealed.open(&public, &key).unwrap().as_slice(), MESSAGE);
    let south = SecretKey::from_bytes(&bytes("delegation", "delegatee_secret")).unwrap();
    let first = First::from_bytes(&bytes("delegation", "first")).unwrap();
    assert_eq!(first.open(&south, &mut rng(1)).unwrap().as_slice(), MESSAGE);
}

#[test]
fn a_key_that_lacks_attributes_is_told_which() {
    let world = world();
    let open = |names: &[&str]| {
        let key = sealed::issue(&world.master, &set(names), &mut rng(9)).unwrap();
        world.sealed.open(&world.public, &key).map(|message| message.to_vec())
    };
    assert_eq!(open(&["role:oncologist", "hospital:south"]).unwrap(), MESSAGE);
    let lacks = |missing: &[&str]| {
        Err(SharingError::Lacks { missing: missing.iter().map(ToString::to_string).collect() })
    };
    assert_eq!(open(&["hospital:north"]), lacks(&["role:oncologist"]));
    assert_eq!(open(&["role:oncologist", "hospital:east"]), lacks(&["hospital:north"]));
    assert_eq!(open(&[]), lacks(&["hospital:north", "role:oncologist"]));
}

#[test]
fn another_authority_and_a_key_of_it_are_refused() {
    let world = world();
    let (other, master) = fame::setup(&mut rng(20));
    assert_eq!(world.sealed.open(&other, &world.key).unwrap_err(), SharingError::Authority);
    let foreign = sealed::issue(&master, &set(&["hospital:north", "role:oncologist"]), &mut rng(2)).unwrap();
    assert_eq!(world.sealed.open(&world.public, &foreign).unwrap_err(), SharingError::Changed);
}

#[test]
fn what_is_too_long_is_refused() {
    let world = world();
    let policy: Policy = "a".parse().unwrap();
    let seal = |about: usize, message: usize| {
        let outcome =
            sealed::seal(&world.public, &policy, &vec![0; about], &vec![0; message], &mut rng(1)).map(drop);
        let north = SecretKey::generate(&mut rng(4));
        let delegated =
            Second::seal(north.public(), &vec![0; about], &vec![0; message], &mut rng(1)).map(drop);
        assert_eq!(outcome, delegated);
        outcome
    };
    assert_eq!(seal(ABOUT_BYTES_MAX, 0), Ok(()));
    assert!(matches!(seal(ABOUT_BYTES_MAX + 1, 0), Err(SharingError::Limit { .. })));
    assert!(matches!(seal(0, MESSAGE_BYTES_MAX + 1), Err(SharingError::Limit { .. })));
}

#[test]
fn a_delegated_message_opens_for_its_delegatee_and_for_nobody_else() {
    let houses = houses();
    let east = SecretKey::generate(&mut rng(30));
    let mut coins = rng(31);
    assert_eq!(houses.second.open(&houses.north, &mut coins).unwrap().as_slice(), MESSAGE);
    assert_eq!(houses.first.open(&houses.south, &mut coins).unwrap().as_slice(), MESSAGE);
    for key in [&houses.north, &east] {
        let refusal = houses.first.open(key, &mut coins).unwrap_err();
        assert_eq!(refusal, SharingError::Recipient { what: "the message" });
    }
    for key in [&houses.south, &east] {
        let refusal = houses.second.open(key, &mut coins).unwrap_err();
        assert_eq!(refusal, SharingError::Recipient { what: "the message" });
    }
}

#[test]
fn a_proxy_reads_nothing_and_turns_only_its_delegators_messages_once() {
    let houses = houses();
    let east = SecretKey::generate(&mut rng(30));
    let mut coins = rng(31);
    let to_east = Second::seal(east.public(), ABOUT, MESSAGE, &mut coins).unwrap();
    assert_eq!(
        to_east.turn(&houses.grant, &mut coins).unwrap_err(),
        SharingError::Recipient { what: "the message" }
    );
    // What was turned is of another kind: there is nothing to turn.
    let again = Second::from_bytes(&houses.first.to_bytes()).unwrap_err();
    assert!(matches!(again, SharingError::Encoding { reason: "another kind or version", .. }));
    // Neither message shows the plaintext, and a grant is no key.
    for bytes in [houses.second.to_bytes(), houses.first.to_bytes()] {
        assert!(!bytes.windows(MESSAGE.len()).any(|window| window == MESSAGE));
    }
    assert!(SecretKey::from_bytes(&houses.grant.to_bytes()).is_err());
    assert!(matches!(
        houses.north.grant(houses.north.public(), &mut coins),
        Err(SharingError::Recipient { .. })
    ));
}

#[test]
fn a_relabelled_delegatee_is_refused_by_the_equation() {
    // East writes its own name on a message that was turned over to south.
    let houses = houses();
    let east = SecretKey::generate(&mut rng(30));
    let mut bytes = houses.first.to_bytes();
    bytes[5..37].copy_from_slice(&east.public().id());
    let first = First::from_bytes(&bytes).unwrap();
    let refusal = first.open(&east, &mut rng(31)).unwrap_err();
    assert_eq!(refusal, SharingError::Recipient { what: "the message" });
}

#[test]
fn a_grant_that_the_delegator_did_not_make_and_an_unproven_key_are_refused() {
    let houses = houses();
    let east = SecretKey::generate(&mut rng(30));
    let mut forged = houses.grant.to_bytes();
    let key = 224; // bytes of a public key inside a grant
    forged[5 + key..5 + 2 * key].copy_from_slice(&east.public().to_bytes()[5..]);
    assert_eq!(Grant::from_bytes(&forged), Err(SharingError::Grant));
    // North's points under east's proof.
    let mut stolen = houses.north.public().to_bytes();
    stolen[149..].copy_from_slice(&east.public().to_bytes()[149..]);
    assert_eq!(PublicKey::from_bytes(&stolen), Err(SharingError::Unproven));
}

/// Decodes and, where that works, opens; whether the message came out.
fn opens(kind: usize, bytes: &[u8]) -> bool {
    let mut coins = rng(40);
    let opened = match kind {
        0 => {
            let world = world();
            Sealed::from_bytes(bytes).and_then(|sealed| sealed.open(&world.public, &world.key))
        }
        1 => Second::from_bytes(bytes).and_then(|second| second.open(&houses().north, &mut coins)),
        _ => First::from_bytes(bytes).and_then(|first| first.open(&houses().south, &mut coins)),
    };
    opened.is_ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_changed_bit_opens(kind in 0usize..3, at: prop::sample::Index, bit in 0u8..8) {
        let bytes = match kind {
            0 => world().sealed.to_bytes(),
            1 => houses().second.to_bytes(),
            _ => houses().first.to_bytes(),
        };
        let mut changed = bytes.clone();
        changed[at.index(bytes.len())] ^= 1 << bit;
        prop_assert!(!opens(kind, &changed));
        prop_assert!(!opens(kind, &bytes[..at.index(bytes.len())]));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn decoders_refuse_what_is_nothing(kind in 0usize..8, bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let magics: [&[u8; 5]; 8] = [
            b"WSHP\x01", b"WSAP\x01", b"WSAS\x01", b"WSAK\x01", b"WSDP\x01", b"WSDS\x01", b"WSD2\x01", b"WSD1\x01",
        ];
        let bytes = [&magics[kind][..], &bytes].concat();
        prop_assert!(Sealed::from_bytes(&bytes).is_err());
        prop_assert!(fame::PublicKey::from_bytes(&bytes).is_err());
        prop_assert!(MasterKey::from_bytes(&bytes).is_err());
        prop_assert!(UserKey::from_bytes(&bytes).is_err());
        prop_assert!(PublicKey::from_bytes(&bytes).is_err());
        prop_assert!(SecretKey::from_bytes(&bytes).is_err());
        prop_assert!(Grant::from_bytes(&bytes).is_err());
        prop_assert!(Second::from_bytes(&bytes).is_err());
        prop_assert!(First::from_bytes(&bytes).is_err());
    }
}
