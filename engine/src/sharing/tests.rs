//! Files of sharing: they open for whom they should, and for nobody else.

use std::collections::BTreeSet;

use chacha20::ChaCha20Rng;
use proptest::prelude::*;
use rand_core::SeedableRng;
use ward_protocols::sharing::delegation::PublicKey as HouseKey;
use ward_protocols::sharing::{Attribute, Policy, SharingError};

use super::authority::{Authority, AuthorityDocument, HolderKey};
use super::file::{About, KeyPart, Opened, Opener, Recipient, Shared};
use super::house::{GrantDocument, House, HouseDocument};
use super::record::{Manifest, Place, Record, Statement};
use super::*;
use crate::encoding::{Digest, canonical_json};
use crate::identity::passphrase::{Hardness, PassphraseError};
use crate::identity::{Identity, SealContext};
use crate::problem::Problem;
use crate::store::Facts;
use crate::vault::{DataKey, ValueKey};

const EASY: Hardness = Hardness { memory_kib: 8, passes: 1 };
const WORDS: &str = "correct horse";
const CONTENT: &[u8] = b"discharge letter of a patient";

fn rng(seed: u8) -> ChaCha20Rng {
    ChaCha20Rng::from_seed([seed; 32])
}

fn set(names: &[&str]) -> BTreeSet<Attribute> {
    names.iter().map(|name| Attribute::new(name).unwrap()).collect()
}

fn about() -> About {
    About { name: "letter.pdf".to_owned(), note: "for the tumour board".to_owned() }
}

fn sealed(authority: &AuthorityDocument, policy: &str) -> Shared {
    sealed_with(authority, policy, 9)
}

fn sealed_with(authority: &AuthorityDocument, policy: &str, seed: u8) -> Shared {
    let policy = authority.in_epoch(policy.parse::<Policy>().unwrap()).unwrap();
    let public = authority.public().unwrap();
    Shared::seal(&Recipient::Policy(&public, &policy), &about(), CONTENT, &mut rng(seed)).unwrap()
}

fn content(opened: Opened) -> Vec<u8> {
    match opened {
        Opened::Content(content) => content.to_vec(),
        Opened::Record(record) => panic!("{} is a record", record.name),
    }
}

fn open(shared: &Shared, key: &HolderKey) -> Result<Vec<u8>, ShareError> {
    let (public, user) = key.unlock(WORDS)?;
    shared.open(&Opener::Holder(&public, &user), &mut rng(10)).map(content)
}

#[test]
fn a_file_opens_for_a_holder_whose_attributes_satisfy_its_policy() {
    let authority = Authority::create("board", &mut rng(1)).unwrap();
    let file = to_json(&authority.lock(WORDS, EASY).unwrap(), "a secret").unwrap();
    let authority = Authority::unlock(&file, WORDS).unwrap();
    let document = to_json(authority.document(), "a document").unwrap();
    let (document, _) = AuthorityDocument::from_json(&document).unwrap();
    let shared = sealed(&document, "role:oncologist and (site:north or site:south)");
    let shared = Shared::from_bytes(&shared.to_bytes()).unwrap();
    assert_eq!(shared.about().unwrap(), about());
    let issue = |names: &[&str]| {
        let key = authority.issue("dr-lee", set(names), (WORDS, EASY), &mut rng(3)).unwrap();
        HolderKey::from_json(&to_json(&key, "a key").unwrap()).unwrap()
    };
    assert_eq!(open(&shared, &issue(&["role:oncologist", "site:south"])).unwrap(), CONTENT);
    let refusal = open(&shared, &issue(&["role:oncologist"])).unwrap_err();
    let problem = Problem::from(refusal);
    assert_eq!(problem.code, "share.lacks");
    assert_eq!(problem.message, "the key does not satisfy the policy: it lacks site:north");
    assert!(!problem.hint.is_empty());
}

#[test]
fn a_key_of_an_earlier_epoch_opens_nothing_that_is_sealed_later() {
    let mut authority = Authority::create("board", &mut rng(1)).unwrap();
    let old = authority.issue("dr-lee", set(&["role:a"]), (WORDS, EASY), &mut rng(3)).unwrap();
    let before = sealed(authority.document(), "role:a");
    authority.advance();
    let after = sealed(authority.document(), "role:a");
    let new = authority.issue("dr-may", set(&["role:a"]), (WORDS, EASY), &mut rng(4)).unwrap();
    assert_eq!(open(&before, &old).unwrap(), CONTENT);
    assert_eq!(open(&after, &new).unwrap(), CONTENT);
    let lacks = |epoch: &str| SharingError::Lacks { missing: vec![epoch.to_owned()] };
    let missing = |refusal: ShareError| match refusal {
        ShareError::Scheme(refusal) => refusal,
        other => panic!("{other}"),
    };
    assert_eq!(missing(open(&after, &old).unwrap_err()), lacks("epoch:2"));
    assert_eq!(missing(open(&before, &new).unwrap_err()), lacks("epoch:1"));
    assert!(matches!(
        authority.issue("dr-lee", set(&["epoch:9"]), (WORDS, EASY), &mut rng(3)),
        Err(ShareError::Reserved { .. })
    ));
    assert!(authority.document().in_epoch("role:a or epoch:1".parse().unwrap()).is_err());
    assert!(matches!(
        authority.issue("dr-lee", set(&[]), (WORDS, EASY), &mut rng(3)),
        Err(ShareError::NoAttribute)
    ));
}

#[test]
fn a_secret_opens_with_its_passphrase_beside_its_own_document_only() {
    let authority = Authority::create("board", &mut rng(1)).unwrap();
    assert!(matches!(authority.lock("short", EASY), Err(ShareError::Passphrase(PassphraseError::Short))));
    let secret = authority.lock(WORDS, EASY).unwrap();
    let file = to_json(&secret, "a secret").unwrap();
    let wrong = |file: &[u8], words: &str| {
        matches!(Authority::unlock(file, words), Err(ShareError::Passphrase(PassphraseError::Wrong)))
    };
    assert!(wrong(&file, "wrong horse"));
    // Another epoch written into the file does not go with the sealed part.
    let mut later = secret;
    later.document.epoch = 7;
    assert!(wrong(&to_json(&later, "a secret").unwrap(), WORDS));
}

#[test]
fn a_proxy_turns_a_file_over_once_and_opens_nothing() {
    let (north, south) =
        (House::create("north", &mut rng(1)).unwrap(), House::create("south", &mut rng(2)).unwrap());
    let file = to_json(&north.lock(WORDS, EASY).unwrap(), "a secret").unwrap();
    let north = House::unlock(&file, WORDS).unwrap();
    let (document, key) =
        HouseDocument::from_json(&to_json(south.document(), "a document").unwrap()).unwrap();
    let grant = north.grant(&document, &key, &mut rng(3)).unwrap();
    let (grant, turning) = GrantDocument::from_json(&to_json(&grant, "a grant").unwrap()).unwrap();
    assert_eq!((grant.from.as_str(), grant.to.as_str()), ("north", "south"));

    let public: &HouseKey = north.key().public();
    let shared = Shared::seal(&Recipient::House(public), &about(), CONTENT, &mut rng(4)).unwrap();
    let opened =
        |shared: &Shared, house: &House| shared.open(&Opener::House(house.key()), &mut rng(5)).map(content);
    assert_eq!(opened(&shared, &north).unwrap(), CONTENT);
    assert!(opened(&shared, &south).is_err());
    let turned = Shared::from_bytes(&shared.turn(&turning, &mut rng(6)).unwrap().to_bytes()).unwrap();
    assert!(matches!(turned.key(), KeyPart::Turned(_)));
    assert_eq!(opened(&turned, &south).unwrap(), CONTENT);
    assert!(opened(&turned, &north).is_err());
    assert!(turned.turn(&turning, &mut rng(7)).is_err());
    // The way back needs a grant of south.
    let back = Shared::seal(&Recipient::House(&key), &about(), CONTENT, &mut rng(8)).unwrap();
    assert!(back.turn(&turning, &mut rng(9)).is_err());
}

#[test]
fn a_content_under_another_key_part_does_not_open() {
    let authority = Authority::create("board", &mut rng(1)).unwrap();
    let key = authority.issue("dr-lee", set(&["role:a"]), (WORDS, EASY), &mut rng(3)).unwrap();
    let document = authority.document();
    let (one, two) =
        (sealed_with(document, "role:a", 5).to_bytes(), sealed_with(document, "role:a", 6).to_bytes());
    let content = CONTENT.len() + 3 + 24 + 16;
    let mixed = [&one[..one.len() - content], &two[two.len() - content..]].concat();
    let refusal = open(&Shared::from_bytes(&mixed).unwrap(), &key).unwrap_err();
    assert!(matches!(refusal, ShareError::Scheme(SharingError::Changed)));
    assert_eq!(open(&Shared::from_bytes(&one).unwrap(), &key).unwrap(), CONTENT);
}

proptest! {
    #[test]
    fn bytes_that_are_no_file_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Shared::from_bytes(&bytes).is_err());
        prop_assert!(Shared::from_bytes(&[b"WSHF\x01".as_slice(), &bytes].concat()).is_err());
        prop_assert!(HolderKey::from_json(&bytes).is_err());
        prop_assert!(GrantDocument::from_json(&bytes).is_err());
        prop_assert!(AuthorityDocument::from_json(&bytes).is_err());
    }
}

/// A document in a vault, as it lies there, and its manifest.
fn vaulted(name: &str) -> (DataKey, Statement, Vec<ValueKey>, Vec<u8>) {
    let key = DataKey::generate().unwrap();
    let facts = Facts {
        name: name.to_owned(),
        kind: "text/plain".to_owned(),
        bytes: CONTENT.len() as u64,
        sha256: Digest::of(CONTENT),
    };
    let (mut values, mut places, mut keys) = (Vec::new(), Vec::new(), Vec::new());
    for (column, plain) in [("facts", canonical_json(&facts)), ("content", CONTENT.to_vec())] {
        let place = SealContext { table: "documents", row: "d1", column };
        let sealed = key.seal(place, &plain).unwrap();
        places.push(Place::of(place, &sealed));
        keys.push(key.of_value(place, &sealed).unwrap());
        values.extend(sealed);
    }
    let statement = Statement {
        share: "s1".to_owned(),
        from: "north".to_owned(),
        to: vec!["south".to_owned()],
        class: "letters".to_owned(),
        purpose: "DUO:0000043".to_owned(),
        at_unix_ms: 5,
        values: places,
    };
    (key, statement, keys, values)
}

fn signed(statement: Statement, keys: &[ValueKey]) -> Manifest {
    let identity = Identity::from_seed(&[7; 32]);
    Manifest::new(statement, keys, b"", |context, parts| identity.sign(context, parts).0.to_vec())
}

fn record(shared: &Shared, house: &House) -> Result<Box<Record>, ShareError> {
    match shared.open(&Opener::House(house.key()), &mut rng(5))? {
        Opened::Record(record) => Ok(record),
        Opened::Content(_) => panic!("it is a content"),
    }
}

#[test]
fn a_record_is_shared_by_the_keys_of_its_values_and_no_other_value_opens_with_them() {
    let (north, south) =
        (House::create("north", &mut rng(1)).unwrap(), House::create("south", &mut rng(2)).unwrap());
    let (key, statement, keys, values) = vaulted("letter.txt");
    let manifest = signed(statement.clone(), &keys);
    let to = Recipient::House(north.key().public());
    let shared = Shared::seal_record(&to, &about(), (&manifest, values.clone()), &mut rng(4)).unwrap();
    let bytes = shared.to_bytes();
    assert!(
        bytes.windows(values.len()).any(|window| window == values),
        "the vault's bytes, as they lay there"
    );
    let shared = Shared::from_bytes(&bytes).unwrap();
    assert!(shared.is_record());
    let grant = north.grant(south.document(), south.key().public(), &mut rng(3)).unwrap();
    let (_, grant) = GrantDocument::from_json(&to_json(&grant, "a grant").unwrap()).unwrap();
    let turned = Shared::from_bytes(&shared.turn(&grant, &mut rng(6)).unwrap().to_bytes()).unwrap();
    let opened = record(&turned, &south).unwrap();
    assert_eq!((opened.name.as_str(), &opened.bytes[..]), ("letter.txt", CONTENT));
    opened.manifest.check(&Identity::from_seed(&[7; 32]).public()).unwrap();
    assert!(opened.manifest.check(&Identity::from_seed(&[8; 32]).public()).is_err());
    assert!(record(&turned, &north).is_err() && record(&shared, &north).is_ok());
    // Another value of the same patient and class, sealed at the same place, stays closed.
    let place = SealContext { table: "documents", row: "d1", column: "content" };
    let other = key.seal(place, b"another letter").unwrap();
    assert_eq!(*key.open(place, &other).unwrap(), b"another letter");
    for value in &keys {
        assert!(value.open(place, &other).is_err());
        assert_ne!(value.expose(), key.expose());
    }
}

#[test]
fn a_record_with_other_bytes_keys_or_facts_does_not_open() {
    let north = House::create("north", &mut rng(1)).unwrap();
    let to = Recipient::House(north.key().public());
    let (_, statement, keys, values) = vaulted("letter.txt");
    let opens = |manifest: &Manifest, values: &[u8]| {
        let sealed = Shared::seal_record(&to, &about(), (manifest, values.to_vec()), &mut rng(4)).unwrap();
        record(&sealed, &north).map(|record| record.bytes.to_vec())
    };
    assert_eq!(opens(&signed(statement.clone(), &keys), &values).unwrap(), CONTENT);
    for at in [0, values.len() / 2, values.len() - 1] {
        let mut changed = values.clone();
        changed[at] ^= 1;
        assert!(opens(&signed(statement.clone(), &keys), &changed).is_err(), "byte {at}");
    }
    assert!(opens(&signed(statement.clone(), &keys), &values[1..]).is_err());
    assert!(opens(&signed(statement.clone(), &keys), &[&values[..], b"x"].concat()).is_err());
    assert!(opens(&signed(statement.clone(), &keys[1..]), &values).is_err());
    let mut moved = statement.clone();
    moved.values[1].row = "d2".to_owned();
    assert!(opens(&signed(moved, &keys), &values).is_err(), "a value is bound to its place");
    // A file that was cut or grown is refused before any key is used, or does not open.
    let manifest = signed(statement, &keys);
    let bytes = Shared::seal_record(&to, &about(), (&manifest, values), &mut rng(4)).unwrap().to_bytes();
    for cut in [5, 12, bytes.len() - 1] {
        let read = Shared::from_bytes(&bytes[..cut]);
        assert!(read.is_err() || record(&read.unwrap(), &north).is_err(), "cut at {cut}");
    }
}
