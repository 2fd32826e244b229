//! What issuers publish through the log, and what a verifier makes of it.

use proptest::prelude::*;

use super::*;
use crate::attestation::publication::{Publication, leaf};
use crate::attestation::published::{LoggedPublication, PublishedIssuers, PublishedStatement, StatedIssuer};
use crate::encoding::{HexBytes, canonical_json};
use crate::identity::{CaCertificate, CertificateAuthority, Identity};
use crate::ledger::{Checkpoint, TreeHead, log_origin, merkle};

const CONSORTIUM: &str = "north-sea";

fn publication(world: &World, at_ms: u64) -> Publication {
    let published = world.issuer.publish(&world.folder.path().join("published"), at_ms).unwrap();
    world.issuer.publication(CONSORTIUM, &published).unwrap()
}

/// The last of so many.
fn publications(world: &World, count: u64) -> Publication {
    (1..count).fold(publication(world, NOW_MS), |_, at| publication(world, NOW_MS + at))
}

fn registry_of(publication: &Publication) -> RegistryFile {
    RegistryFile::new(vec![publication.issuer.clone()], vec![publication.revocations.clone()])
}

/// An engine that states one publication, in a log of two leaves.
struct Engine {
    authority: CaCertificate,
    identity: Identity,
    certificate: Vec<u8>,
}

fn engine() -> Engine {
    let authority = CertificateAuthority::create(CONSORTIUM, NOW_MS / 1000).unwrap();
    let identity = Identity::generate().unwrap();
    let hosts = ["127.0.0.1".to_owned()];
    let certificate =
        authority.server_certificate(&identity.public(), "engine", &hosts, NOW_MS / 1000, 30).unwrap().der;
    Engine { authority: authority.certificate().clone(), identity, certificate }
}

impl Engine {
    fn states(&self, publication: &Publication, at_ms: u64) -> PublishedIssuers {
        let word = leaf(&publication.publication);
        let other = merkle::leaf_hash(&[7; 32]);
        let root = merkle::node_hash(&other, &merkle::leaf_hash(&word.0));
        let head = TreeHead { size: 2, root };
        let checkpoint = Checkpoint { origin: log_origin(CONSORTIUM), head }.sign(&self.identity).unwrap();
        let opened = publication.open().unwrap();
        let statement = PublishedStatement {
            ward_published_issuers: 1,
            consortium: CONSORTIUM.to_owned(),
            at_unix_ms: at_ms,
            size: 2,
            issuers: vec![StatedIssuer {
                name: opened.word.issuer,
                organisation: "north".to_owned(),
                sequence: opened.word.sequence,
                leaf: word,
            }],
        };
        let logged = LoggedPublication {
            publication: publication.publication.clone(),
            leaf_index: 1,
            inclusion_proof: vec![other],
        };
        PublishedIssuers::new(&statement, (&checkpoint, &self.certificate), vec![logged], &self.identity)
    }
}

#[test]
fn a_registry_is_held_against_what_its_issuers_published_last() {
    let mut world = world();
    let place = world.receive("P-1");
    let engine = engine();
    let first = publication(&world, NOW_MS);
    let stated = engine.states(&first, NOW_MS).verify(&engine.authority).unwrap();
    stated.check(&registry_of(&first).open().unwrap()).unwrap();
    stated.check_age(48, NOW_MS + 48 * 3_600_000).unwrap();
    assert_eq!(refusal(stated.check_age(48, NOW_MS + 49 * 3_600_000)).0, "attest.published_stale");
    assert_eq!(refusal(stated.check_age(48, NOW_MS - DAY_MS)).0, "attest.published_stale");
    world.issuer.revoke_place(place, NOW_MS).unwrap();
    let second = publication(&world, NOW_MS + 1);
    let later = engine.states(&second, NOW_MS + 1).verify(&engine.authority).unwrap();
    let (code, said) = refusal(later.check(&registry_of(&first).open().unwrap()));
    assert_eq!(code, "attest.outdated", "{said}");
    // Not published yet, and nothing published at all.
    assert_eq!(refusal(stated.check(&registry_of(&second).open().unwrap())).0, "attest.unpublished");
    let south = new_issuer(world.folder.path(), "south", None);
    let theirs = registry(world.folder.path(), &[&south], NOW_MS);
    assert_eq!(refusal(stated.check(&theirs.open().unwrap())).0, "attest.unpublished");
}

#[test]
fn two_lists_of_one_number_are_no_latest() {
    let world = world();
    let engine = engine();
    let logged = publication(&world, NOW_MS);
    let stated = engine.states(&logged, NOW_MS).verify(&engine.authority).unwrap();
    // The same folder from a backup: the same number again, at another time.
    std::fs::remove_file(world.folder.path().join("north/issued.json")).unwrap();
    let other = publication(&world, NOW_MS + 5);
    let (code, said) = refusal(stated.check(&registry_of(&other).open().unwrap()));
    assert!(code == "attest.unpublished" && said.contains("same number"), "{said}");
}

#[test]
fn a_statement_that_was_changed_or_is_of_somebody_else_is_refused() {
    let world = world();
    let (own, stranger) = (engine(), engine());
    let stated = own.states(&publication(&world, NOW_MS), NOW_MS);
    stated.verify(&own.authority).unwrap();
    assert!(stated.verify(&stranger.authority).is_err(), "another consortium's engine");
    let mut later = stated.clone();
    later.statement.document = later.statement.document.replace("\"sequence\":1", "\"sequence\":2");
    assert_eq!(refusal(later.verify(&own.authority)).0, "identity.signature");
    let mut elsewhere = stated.clone();
    elsewhere.publications[0].inclusion_proof[0].0[0] ^= 1;
    assert_eq!(refusal(elsewhere.verify(&own.authority)).0, "attest.log");
    let mut empty = stated.clone();
    empty.publications.clear();
    assert_eq!(refusal(empty.verify(&own.authority)).0, "attest.published");
    let other = own.states(&publication(&world, NOW_MS + 1), NOW_MS + 1);
    let swapped = PublishedIssuers { publications: other.publications, ..stated.clone() };
    assert_eq!(refusal(swapped.verify(&own.authority)).0, "attest.published");
    let resigned = PublishedIssuers {
        statement: own.states(&publication(&world, NOW_MS + 2), NOW_MS + 2).statement,
        ..stated
    };
    assert_eq!(refusal(resigned.verify(&own.authority)).0, "attest.published");
}

#[test]
fn a_publication_follows_the_issuers_own_and_takes_nothing_back() {
    let mut world = world();
    let place = world.receive("P-1");
    world.issuer.revoke_place(place, NOW_MS).unwrap();
    let first = publication(&world, NOW_MS).open().unwrap();
    let second = publication(&world, NOW_MS + 1).open().unwrap();
    second.check_after(&first).unwrap();
    assert_eq!(refusal(first.check_after(&second)).0, "issuer.succession");
    assert_eq!(refusal(first.check_after(&first)).0, "issuer.succession");
    // A folder that lost its list of revocations.
    std::fs::remove_file(world.folder.path().join("north/issued.json")).unwrap();
    let lost = publications(&world, 4).open().unwrap();
    assert!(lost.word.sequence > second.word.sequence);
    assert!(refusal(lost.check_after(&second)).1.contains("takes a revocation back"));
    // Another issuer under the name.
    let folder = tempfile::tempdir().unwrap();
    let other = World {
        issuer: new_issuer(folder.path(), "north", None),
        wallet: Wallet::create(PASSPHRASE, QUICK).unwrap(),
        folder,
    };
    let other = publications(&other, 9).open().unwrap();
    assert!(refusal(other.check_after(&second)).1.contains("another identity"));
}

#[test]
fn a_publications_parts_are_of_one_issuer_and_say_the_same() {
    let world = world();
    let first = publication(&world, NOW_MS);
    let second = publication(&world, NOW_MS + 1);
    let south = new_issuer(world.folder.path(), "south", None);
    let theirs = registry(world.folder.path(), &[&south], NOW_MS);
    let json =
        |publication: &Publication| Publication::from_json(&canonical_json(publication)).unwrap().open();
    assert_eq!(json(&first).unwrap().leaf, leaf(&first.publication));
    for wrong in [
        Publication { revocations: second.revocations.clone(), ..first.clone() },
        Publication { publication: second.publication, ..first.clone() },
        Publication { issuer: theirs.issuers[0].clone(), ..first.clone() },
        Publication { revocations: theirs.revocations[0].clone(), ..first.clone() },
    ] {
        assert_eq!(refusal(json(&wrong)).0, "issuer.document");
    }
    // A root that is not that of the places.
    let list = first.revocations.document.clone();
    let root = &first.open().unwrap().revocations.root.to_string();
    assert!(list.contains(root));
    let mut forged = first.clone();
    forged.revocations.document = list.replace(root, &Digest([0; 32]).to_string());
    assert_eq!(refusal(json(&forged)).0, "identity.signature");
    let another = Publication::from_json(b"{\"ward_issuer_publication\":2}");
    assert_eq!(refusal(another).0, "attest.malformed");
}

proptest! {
    #[test]
    fn a_signature_of_another_is_no_word(bytes in proptest::collection::vec(any::<u8>(), 64)) {
        static KEPT: OnceLock<Publication> = OnceLock::new();
        let kept = KEPT.get_or_init(|| publication(&world(), NOW_MS));
        let mut forged = kept.clone();
        forged.publication.signature = HexBytes(bytes);
        prop_assert!(forged.open().is_err());
    }
}
