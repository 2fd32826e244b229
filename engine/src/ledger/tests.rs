//! Known answers (RFC 6962 test tree, C2SP), proofs of all small trees, tampering, and an independent oracle:
//! the crates `tlog_tiles` and `signed_note`.

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;

use super::merkle::{Nodes, leaf_hash, verify_consistency, verify_inclusion};
use super::*;
use crate::identity::{CaCertificate, CertificateAuthority, Identity, PublicKey, Role};

/// The test tree of RFC 6962's reference implementation: eight leaves.
const LEAVES: [&str; 8] =
    ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];

const ROOTS: [&str; 8] = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

#[derive(Default)]
struct Tree {
    nodes: HashMap<(u8, u64), Digest>,
    size: u64,
}

impl Nodes for Tree {
    fn node(&self, level: u8, index: u64) -> Result<Digest, LedgerError> {
        let absent = || LedgerError::Storage { reason: format!("no node {level} {index}") };
        self.nodes.get(&(level, index)).copied().ok_or_else(absent)
    }
}

impl Tree {
    fn push(&mut self, data: &[u8]) {
        for (level, index, hash) in merkle::append(self, self.size, leaf_hash(data)).unwrap() {
            assert!(self.nodes.insert((level, index), hash).is_none(), "a node is written once");
        }
        self.size += 1;
    }

    fn of(size: u64) -> Self {
        let mut tree = Self::default();
        (0..size).for_each(|i| tree.push(&i.to_be_bytes()));
        tree
    }

    fn head(&self, size: u64) -> TreeHead {
        TreeHead { size, root: merkle::root(self, size).unwrap() }
    }
}

fn rfc_tree() -> Tree {
    let mut tree = Tree::default();
    LEAVES.iter().for_each(|leaf| tree.push(&hex::decode(leaf).unwrap()));
    tree
}

fn digests(hex: &[&str]) -> Vec<Digest> {
    hex.iter().map(|h| Digest::parse(h).unwrap()).collect()
}

#[test]
fn roots_of_the_reference_tree() {
    let tree = rfc_tree();
    for (index, root) in ROOTS.iter().enumerate() {
        assert_eq!(merkle::root(&tree, index as u64 + 1).unwrap().to_string(), *root);
    }
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(merkle::root(&tree, 0).unwrap().to_string(), empty);
}

#[test]
fn inclusion_proofs_of_the_reference_tree() {
    let tree = rfc_tree();
    let proof = digests(&[
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]);
    assert_eq!(merkle::inclusion(&tree, 0, 8).unwrap(), proof);
    let proof = digests(&[
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]);
    assert_eq!(merkle::inclusion(&tree, 5, 8).unwrap(), proof);
    let proof = digests(&["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]);
    assert_eq!(merkle::inclusion(&tree, 2, 3).unwrap(), proof);
}

#[test]
fn consistency_proofs_of_the_reference_tree() {
    let tree = rfc_tree();
    let proof = digests(&[
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]);
    assert_eq!(merkle::consistency(&tree, 6, 8).unwrap(), proof);
    assert_eq!(merkle::consistency(&tree, 8, 8).unwrap(), []);
    assert_eq!(merkle::consistency(&tree, 0, 8).unwrap(), []);
}

#[test]
fn all_proofs_of_small_trees_hold_and_no_other() {
    let tree = Tree::of(40);
    for size in 1..=40u64 {
        let head = tree.head(size);
        for index in 0..size {
            let proof = merkle::inclusion(&tree, index, size).unwrap();
            let leaf = leaf_hash(&index.to_be_bytes());
            verify_inclusion(&leaf, index, size, &proof, &head.root).unwrap();
            let wrong = leaf_hash(b"another");
            assert!(verify_inclusion(&wrong, index, size, &proof, &head.root).is_err());
            for other in (0..size).filter(|other| *other != index) {
                assert!(verify_inclusion(&leaf, other, size, &proof, &head.root).is_err());
            }
        }
        for old in 0..=size {
            let proof = merkle::consistency(&tree, old, size).unwrap();
            verify_consistency(&tree.head(old), &head, &proof).unwrap();
            let mut longer = proof.clone();
            longer.push(head.root);
            assert!(verify_consistency(&tree.head(old), &head, &longer).is_err());
            if let Some((_, shorter)) = proof.split_last() {
                assert!(verify_consistency(&tree.head(old), &head, shorter).is_err());
            }
        }
    }
}

#[test]
fn proofs_outside_the_tree_are_refused() {
    let tree = Tree::of(3);
    assert!(matches!(merkle::inclusion(&tree, 3, 3), Err(LedgerError::Range { index: 3, size: 3 })));
    assert!(matches!(merkle::consistency(&tree, 4, 3), Err(LedgerError::Range { .. })));
    let head = tree.head(3);
    assert!(verify_inclusion(&head.root, 3, 3, &[], &head.root).is_err());
    assert!(verify_inclusion(&head.root, 0, 0, &[], &head.root).is_err());
    assert!(verify_consistency(&head, &tree.head(2), &[]).is_err());
    // A proof longer than any path, and sizes at the edge of the type.
    let long = vec![head.root; 200];
    assert!(verify_inclusion(&head.root, u64::MAX - 1, u64::MAX, &long, &head.root).is_err());
    let edge = TreeHead { size: u64::MAX, root: head.root };
    assert!(verify_consistency(&TreeHead { size: u64::MAX - 1, ..edge }, &edge, &long).is_err());
}

#[test]
fn proof_that_stops_below_the_root_of_the_claimed_size_is_refused() {
    let tree = Tree::of(8);
    let head = tree.head(8);
    let (leaf, inclusion) = (leaf_hash(&0u64.to_be_bytes()), merkle::inclusion(&tree, 0, 8).unwrap());
    let consistency = merkle::consistency(&tree, 4, 8).unwrap();
    for size in [9, 16, 17, u64::MAX] {
        let claimed = TreeHead { size, ..head };
        assert!(verify_inclusion(&leaf, 0, size, &inclusion, &head.root).is_err(), "{size}");
        assert!(verify_consistency(&tree.head(4), &claimed, &consistency).is_err(), "{size}");
    }
}

struct Oracle<'a>(&'a Tree);

impl tlog_tiles::HashReader for Oracle<'_> {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error> {
        let read = |index: &u64| {
            let (level, n) = tlog_tiles::split_stored_hash_index(*index);
            tlog_tiles::Hash(self.0.nodes[&(level, n)].0)
        };
        Ok(indexes.iter().map(read).collect())
    }
}

#[test]
fn proofs_and_roots_equal_those_of_tlog_tiles() {
    let tree = Tree::of(70);
    let plain = |proof: Vec<tlog_tiles::Hash>| proof.into_iter().map(|h| Digest(h.0)).collect::<Vec<_>>();
    for size in 1..=70 {
        let root = tlog_tiles::tree_hash(size, &Oracle(&tree)).unwrap();
        assert_eq!(merkle::root(&tree, size).unwrap(), Digest(root.0));
        for n in 0..size {
            let inclusion = plain(tlog_tiles::prove_record(size, n, &Oracle(&tree)).unwrap());
            assert_eq!(merkle::inclusion(&tree, n, size).unwrap(), inclusion);
            let consistency = plain(tlog_tiles::prove_tree(size, n + 1, &Oracle(&tree)).unwrap());
            assert_eq!(merkle::consistency(&tree, n + 1, size).unwrap(), consistency);
        }
    }
}

#[test]
fn key_id_and_note_of_the_go_reference() {
    // The example of golang.org/x/mod/sumdb/note: key PeterNeumann+c74f20a3.
    let text = "If you think cryptography is the answer to your problem,\n\
                then you don't know what your problem is.\n";
    let note = format!(
        "{text}\n\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpR\
         Zb6KE6RyyBwJnAM=\n"
    );
    let vkey = base64::Engine::decode(
        &base64::engine::general_purpose::STANDARD,
        "ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    )
    .unwrap();
    let key = PublicKey::from_slice(&vkey[1..]).unwrap();
    let parsed = Note::parse(&note).unwrap();
    assert_eq!(hex::encode(parsed.signatures()[0].key_id), "c74f20a3");
    parsed.verify("PeterNeumann", &key).unwrap();
    assert_eq!(parsed.to_string(), note);
    assert!(matches!(parsed.verify("EnochRoot", &key), Err(LedgerError::Unsigned { .. })));
}

fn world() -> World {
    World::new(5)
}

/// A consortium with a log of some results, the last one of which has a receipt.
struct World {
    ca: CertificateAuthority,
    engine: Identity,
    hospitals: BTreeMap<String, Identity>,
    tree: Tree,
    commitment: Commitment,
}

const FINISHED_S: u64 = 1_800_000_000;

impl World {
    fn new(before: u64) -> Self {
        Self::with(before, commitment())
    }

    fn with(before: u64, commitment: Commitment) -> Self {
        let ca = CertificateAuthority::create("oncology", FINISHED_S - 1_000).unwrap();
        let names = ["east", "north", "south"];
        let hospitals: BTreeMap<String, Identity> =
            names.iter().map(|n| ((*n).to_owned(), Identity::generate().unwrap())).collect();
        let mut tree = Tree::of(before);
        tree.push(&commitment.digest().0);
        Self { ca, engine: Identity::generate().unwrap(), hospitals, tree, commitment }
    }

    fn checkpoint(&self, size: u64) -> Note {
        let origin = log_origin("oncology");
        Checkpoint { origin, head: self.tree.head(size) }.sign(&self.engine).unwrap()
    }

    fn witness<'a>(&'a self, hospital: &'a str) -> Witness<'a> {
        let identity = &self.hospitals[hospital];
        Witness { consortium: "oncology", hospital, identity, log_key: self.engine.public() }
    }

    fn cosigned(&self) -> Note {
        let mut note = self.checkpoint(self.tree.size);
        let text = note.to_string();
        for hospital in self.hospitals.keys() {
            let cosigned = self.witness(hospital).cosign(None, &text, &[], FINISHED_S).unwrap();
            note.add(cosigned.signature).unwrap();
        }
        note
    }

    fn receipt(&self) -> Receipt {
        let index = self.tree.size - 1;
        let proof = TlogProof {
            index,
            proof: merkle::inclusion(&self.tree, index, self.tree.size).unwrap(),
            checkpoint: self.cosigned(),
        };
        let key = self.engine.public();
        let mut certificates =
            vec![self.ca.server_certificate(&key, "oncology", &[], FINISHED_S, 30).unwrap().der];
        for (name, identity) in &self.hospitals {
            let issued = self.ca.issue(&identity.public(), Role::Hospital, name, FINISHED_S, 30).unwrap();
            certificates.push(issued.der);
        }
        Receipt::new(self.commitment.clone(), &proof, &certificates, self.ca.certificate().der())
    }

    fn trust(&self) -> TrustAnchors {
        TrustAnchors::Authority(self.ca.certificate().clone())
    }
}

fn commitment() -> Commitment {
    let names = || ["east", "north", "south"].into_iter().map(str::to_owned);
    let digest = |n: u8| Digest([n; 32]);
    Commitment {
        version: COMMITMENT_VERSION,
        consortium: "oncology".into(),
        job_id: "01h0000000000000000000000a".into(),
        query: "SELECT COUNT(*) FROM breast".into(),
        request_digest: digest(1),
        plan_digest: digest(2),
        researcher: digest(3),
        dataset_versions: names().map(|n| (n, "v1".to_owned())).collect(),
        participants: names().collect(),
        key_epoch: "epoch-1".into(),
        protocol_digest: digest(4),
        purpose: None,
        rounding: 0,
        consent_roots: BTreeMap::new(),
        policy_digests: names().map(|n| (n, digest(5))).collect(),
        floor: 5,
        software: "ward 0.1.0".into(),
        result_digest: digest(6),
        contribution_digests: names().map(|n| (n, digest(7))).collect(),
        finished_at_ms: FINISHED_S * 1000,
        study: None,
    }
}

#[test]
fn commitment_has_the_known_digest() {
    // Computed apart, by a script that follows the description: a change of the canonical bytes would make every old receipt unverifiable.
    let expected = "b1830f6295e542ad1fab96b570555164e8ea9db7a071a708afa51cf8c2978851";
    assert_eq!(commitment().digest().to_string(), expected);
}

#[test]
fn commitments_that_disagree_with_themselves_are_refused() {
    commitment().check().unwrap();
    let changes: [fn(&mut Commitment); 9] = [
        |c| {
            let _ = c.consent_roots.insert("west".into(), Digest([0; 32]));
        },
        |c| c.version = 2,
        |c| c.participants.swap(0, 1),
        |c| c.participants.push("south".into()),
        |c| c.participants.clear(),
        |c| {
            let _ = c.dataset_versions.remove("east");
        },
        |c| {
            let _ = c.policy_digests.insert("west".into(), Digest([0; 32]));
        },
        |c| c.consortium = "a b".into(),
        |c| c.query.clear(),
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut changed = commitment();
        change(&mut changed);
        assert!(changed.check().is_err(), "change {number}");
    }
}

#[test]
fn logged_and_signed_commitment_that_disagrees_with_itself_is_refused() {
    let mut commitment = commitment();
    commitment.contribution_digests.remove("north");
    let world = World::with(5, commitment);
    let refused = world.receipt().verify(&world.trust(), Quorum::AtLeast(0));
    assert!(matches!(refused, Err(ReceiptError::Commitment { .. })));
}

#[test]
fn receipt_verifies_offline_through_its_file() {
    let world = world();
    let json = world.receipt().to_json().unwrap();
    let verified =
        Receipt::from_json(json.as_bytes()).unwrap().verify(&world.trust(), Quorum::Participants).unwrap();
    assert_eq!(verified.commitment(), &world.commitment);
    assert_eq!(verified.position(), (5, 6));
    assert_eq!(verified.cosignatures().len(), 3);
    assert_eq!(verified.cosignatures()[0].name, "ward/oncology/hospital/east");
    assert_eq!(verified.engine(), &world.engine.public());
}

#[test]
fn receipt_verifies_against_pinned_keys() {
    let world = world();
    let hospitals = world.hospitals.iter().map(|(n, i)| (n.clone(), i.public())).collect();
    let trust = TrustAnchors::Pinned { engine: world.engine.public(), hospitals };
    world.receipt().verify(&trust, Quorum::Participants).unwrap();
    let other = Identity::generate().unwrap().public();
    let trust = TrustAnchors::Pinned { engine: other, hospitals: BTreeMap::new() };
    assert!(matches!(
        world.receipt().verify(&trust, Quorum::AtLeast(0)),
        Err(ReceiptError::Ledger(LedgerError::Unsigned { .. }))
    ));
}

#[test]
fn receipt_under_another_authority_is_refused() {
    let (one, other) = (world(), world());
    assert!(matches!(
        one.receipt().verify(&other.trust(), Quorum::Participants),
        Err(ReceiptError::Authority)
    ));
    // Naming the trusted authority does not help: it did not sign the certificates.
    let mut forged = one.receipt();
    forged.authority = other.receipt().authority;
    assert!(matches!(forged.verify(&other.trust(), Quorum::Participants), Err(ReceiptError::Certificate(_))));
}

#[test]
fn every_changed_field_of_a_commitment_is_refused() {
    let world = world();
    let changes: [fn(&mut Commitment); 19] = [
        |c| c.purpose = Some(crate::consent::Purpose::HEALTH_RESEARCH),
        |c| {
            let _ = c.consent_roots.insert("east".into(), Digest([9; 32]));
        },
        |c| c.version += 1,
        |c| c.consortium = "cardiology".into(),
        |c| c.job_id = "01h0000000000000000000000b".into(),
        |c| c.query = "SELECT SUM(age) FROM breast".into(),
        |c| c.request_digest.0[0] ^= 1,
        |c| c.plan_digest.0[0] ^= 1,
        |c| c.researcher.0[0] ^= 1,
        |c| {
            let _ = c.dataset_versions.insert("east".into(), "v2".into());
        },
        |c| c.participants[0] = "earth".into(),
        |c| c.key_epoch = "epoch-2".into(),
        |c| c.protocol_digest.0[0] ^= 1,
        |c| {
            let _ = c.policy_digests.insert("east".into(), Digest([9; 32]));
        },
        |c| c.floor = 1,
        |c| c.software = "ward 0.2.0".into(),
        |c| c.result_digest.0[0] ^= 1,
        |c| {
            let _ = c.contribution_digests.insert("south".into(), Digest([9; 32]));
        },
        |c| c.finished_at_ms += 1,
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut receipt = world.receipt();
        change(&mut receipt.commitment);
        assert!(receipt.verify(&world.trust(), Quorum::AtLeast(0)).is_err(), "change {number}");
    }
}

#[test]
fn every_changed_field_of_a_receipt_is_refused() {
    let world = world();
    let changes: [fn(&mut Receipt); 8] = [
        |r| r.leaf_index -= 1,
        |r| r.inclusion_proof[0].0[0] ^= 1,
        |r| {
            let _ = r.inclusion_proof.pop();
        },
        |r| r.inclusion_proof.push(Digest([0; 32])),
        |r| r.checkpoint = r.checkpoint.replacen("\n6\n", "\n7\n", 1),
        |r| {
            let _ = r.certificates.remove(0);
        },
        |r| {
            let _ = r.certificates.remove(1);
        },
        |r| r.certificates.push(r.certificates[1].clone()),
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut receipt = world.receipt();
        change(&mut receipt);
        assert!(receipt.verify(&world.trust(), Quorum::Participants).is_err(), "change {number}");
    }
    let json = world.receipt().to_json().unwrap();
    let version = json.replacen("\"ward_receipt\": 1", "\"ward_receipt\": 2", 1);
    assert!(matches!(Receipt::from_json(version.as_bytes()), Err(ReceiptError::Version { found: 2, .. })));
    let unknown = json.replacen('{', "{\"more\": 1,", 1);
    assert!(matches!(Receipt::from_json(unknown.as_bytes()), Err(ReceiptError::Malformed { .. })));
    let large = vec![b' '; RECEIPT_BYTES_MAX + 1];
    assert!(matches!(Receipt::from_json(&large), Err(ReceiptError::Malformed { .. })));
}

#[test]
fn missing_cosignatures_fail_the_quorum_and_name_who_is_missing() {
    let world = world();
    let mut receipt = world.receipt();
    let lines: Vec<&str> = receipt.checkpoint.split_inclusive('\n').collect();
    receipt.checkpoint = lines.into_iter().filter(|line| !line.contains("hospital/north")).collect();
    receipt.verify(&world.trust(), Quorum::AtLeast(2)).unwrap();
    match receipt.verify(&world.trust(), Quorum::Participants) {
        Err(ReceiptError::Quorum { cosigned: 2, needed: 3, missing }) => assert_eq!(missing, "north"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn cosignature_of_one_hospital_does_not_count_for_another() {
    let mut world = world();
    // North's key is certified for north alone; its signature under the name of south is nobody's.
    let mut receipt = world.receipt();
    let north = world.hospitals.remove("north").unwrap();
    let mut note = world.checkpoint(world.tree.size);
    let witness = Witness {
        consortium: "oncology",
        hospital: "south",
        identity: &north,
        log_key: world.engine.public(),
    };
    let forged = witness.cosign(None, &note.to_string(), &[], FINISHED_S).unwrap();
    note.add(forged.signature).unwrap();
    receipt.checkpoint = note.to_string();
    let refused = receipt.verify(&world.trust(), Quorum::AtLeast(1));
    assert!(matches!(refused, Err(ReceiptError::Quorum { cosigned: 0, needed: 1, .. })));
}

#[test]
fn tlog_proof_text_round_trips_and_verifies() {
    let world = world();
    let proof = world.receipt().to_tlog_proof().unwrap();
    let text = proof.to_text();
    assert!(text.starts_with("c2sp.org/tlog-proof@v1\nindex 5\n"), "{text}");
    let parsed = TlogProof::parse(&text).unwrap();
    assert_eq!(parsed, proof);
    let entry = world.commitment.digest();
    parsed.verify(&entry, "oncology", &world.engine.public()).unwrap();
    assert!(parsed.verify(&Digest([0; 32]), "oncology", &world.engine.public()).is_err());
    assert!(matches!(
        parsed.verify(&entry, "cardiology", &world.engine.public()),
        Err(LedgerError::Origin { .. })
    ));
    // A tree of one leaf has an empty proof.
    let single = World::new(0).receipt().to_tlog_proof().unwrap();
    assert_eq!(TlogProof::parse(&single.to_text()).unwrap(), single);
    for bad in ["index 05", "index x", "extra eA==\nindex 5"] {
        assert!(TlogProof::parse(&text.replacen("index 5", bad, 1)).is_err(), "{bad}");
    }
}

#[test]
fn witness_follows_a_log_that_grows() {
    let world = world();
    let witness = world.witness("north");
    let mut last: Option<Checkpoint> = None;
    for size in [0, 1, 3, 3, 4, 6] {
        let old = last.as_ref().map_or(0, |l| l.head.size);
        let proof = merkle::consistency(&world.tree, old, size).unwrap();
        let note = world.checkpoint(size);
        let cosigned = witness.cosign(last.as_ref(), &note.to_string(), &proof, size).unwrap();
        let mut signed = note.clone();
        signed.add(cosigned.signature).unwrap();
        let name = cosigner_name("oncology", "north");
        let key = witness.identity.public();
        let found = verify_cosignature(&signed, &name, &key).unwrap().unwrap();
        assert_eq!(found, Cosignature { name, time_s: size });
        last = Some(cosigned.checkpoint);
    }
}

#[test]
fn witness_refuses_rollback_fork_and_strangers() {
    let world = world();
    let witness = world.witness("north");
    let seen = Checkpoint::parse(world.checkpoint(4).text()).unwrap();
    let cosign = |note: &Note, proof: &[Digest]| witness.cosign(Some(&seen), &note.to_string(), proof, 0);
    let rolled = cosign(&world.checkpoint(3), &[]);
    assert!(matches!(rolled, Err(LedgerError::Rollback { seen: 4, presented: 3 })));
    let mut fork = Tree::of(3);
    (0..3).for_each(|_| fork.push(b"rewritten"));
    let forked = |size| {
        Checkpoint { origin: log_origin("oncology"), head: fork.head(size) }.sign(&world.engine).unwrap()
    };
    let proof = merkle::consistency(&fork, 4, 6).unwrap();
    assert!(matches!(cosign(&forked(6), &proof), Err(LedgerError::Fork { seen: 4, presented: 6 })));
    assert!(matches!(cosign(&forked(4), &[]), Err(LedgerError::Fork { seen: 4, presented: 4 })));
    assert!(matches!(cosign(&world.checkpoint(6), &[]), Err(LedgerError::Fork { .. })));
    let long = vec![Digest([0; 32]); 1000];
    assert!(matches!(cosign(&world.checkpoint(6), &long), Err(LedgerError::Fork { .. })));
    let stranger = Identity::generate().unwrap();
    let other = Checkpoint { origin: log_origin("oncology"), head: world.tree.head(6) };
    let proof = merkle::consistency(&world.tree, 4, 6).unwrap();
    let unsigned = cosign(&other.sign(&stranger).unwrap(), &proof);
    assert!(matches!(unsigned, Err(LedgerError::Unsigned { .. })));
    let elsewhere = Checkpoint { origin: log_origin("cardiology"), ..other };
    let refused = cosign(&elsewhere.sign(&world.engine).unwrap(), &proof);
    assert!(matches!(refused, Err(LedgerError::Origin { .. })));
}

#[test]
fn cosignature_has_the_form_of_the_specification() {
    let world = world();
    let note = world.checkpoint(6);
    let cosigned = world.witness("north").cosign(None, &note.to_string(), &[], 1_679_315_147).unwrap();
    let signature = cosigned.signature;
    assert_eq!(signature.bytes.len(), 8 + 64);
    assert_eq!(signature.bytes[..8], 1_679_315_147u64.to_be_bytes());
    let key = world.hospitals["north"].public();
    let preimage = [b"ward/oncology/hospital/north\n\x04".as_slice(), key.as_bytes()].concat();
    assert_eq!(signature.key_id, Digest::of(&preimage).0[..4]);
    let message = format!("cosignature/v1\ntime 1679315147\n{}", note.text());
    let bytes = crate::identity::Signature::from_slice(&signature.bytes[8..]).unwrap();
    key.verify_raw(message.as_bytes(), &bytes).unwrap();
    // An altered time, or a time beyond the specification's, does not hold.
    for at in 0..8 {
        let mut changed = note.clone();
        let mut line = signature.clone();
        line.bytes[at] ^= 0x80;
        changed.add(line).unwrap();
        assert!(verify_cosignature(&changed, &signature.name, &key).is_err());
    }
}

#[test]
fn notes_and_checkpoints_parse_as_signed_note_and_tlog_tiles_do() {
    let world = world();
    let note = world.cosigned().to_string();
    let oracle = signed_note::Note::from_bytes(note.as_bytes()).unwrap();
    assert_eq!(oracle.to_bytes(), note.as_bytes());
    assert_eq!(oracle.text(), Note::parse(&note).unwrap().text().as_bytes());
    let encoded = [&[1], &world.engine.public().as_bytes()[..]].concat();
    let id = signed_note::key_id("ward/oncology/log", &encoded);
    let base64 = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, encoded);
    let vkey = format!("ward/oncology/log+{id:08x}+{base64}");
    let verifier = signed_note::StandardVerifier::new(&vkey).unwrap();
    let list = signed_note::VerifierList::new(vec![Box::new(verifier)]);
    let (verified, others) = oracle.verify(&list).unwrap();
    assert_eq!((verified.len(), others.len()), (1, 3));
    let checkpoint = Checkpoint::parse(Note::parse(&note).unwrap().text()).unwrap();
    assert_eq!(checkpoint.head, world.tree.head(6));
}

#[test]
fn malformed_notes_are_refused() {
    let good = world().cosigned().to_string();
    let bad = [
        good.trim_end().to_owned(),
        good.replacen("\n\n", "\n", 1),
        good.replacen('\u{2014}', "-", 1),
        good.replacen("\n6\n", "\n\u{1}6\n", 1),
        format!("{good}\n"),
        format!("{good}\u{2014} x AAAA\n"),
        format!("{good}\u{2014} a+b AAAAAAAA\n"),
        format!("{good}\u{2014} x AAAAAAB=\n"),
        good.repeat(400),
    ];
    for note in bad {
        assert!(Note::parse(&note).is_err(), "{}", note.chars().take(300).collect::<String>());
    }
    let line = "\u{2014} x AAAAAAAA\n";
    assert!(Note::parse(&format!("text\n\n{}", line.repeat(64))).is_ok());
    assert!(Note::parse(&format!("text\n\n{}", line.repeat(65))).is_err());
}

#[test]
fn malformed_checkpoints_are_refused() {
    let good = "ward/c/log\n6\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
    assert_eq!(Checkpoint::parse(good).unwrap().to_text(), good);
    let bad = [
        good.replacen("\n6\n", "\n06\n", 1),
        good.replacen("\n6\n", "\n+6\n", 1),
        good.replacen("\n6\n", "\n-6\n", 1),
        good.replacen("\n6\n", "\n18446744073709551616\n", 1),
        good.replacen("Cs", "C", 1),
        good.replacen("2I=", "2J=", 1),
        good.replacen("ward/c/log", "", 1),
        good.replacen("ward/c/log", "ward c", 1),
        format!("{good}extension\n"),
        good.trim_end().to_owned(),
    ];
    for text in bad {
        assert!(Checkpoint::parse(&text).is_err(), "{text}");
    }
}

#[test]
fn tile_paths_are_those_of_the_specification() {
    let hashes = |level, index, width| Tile { kind: TileKind::Hashes { level }, index, width };
    let known = [
        (hashes(0, 0, 256), "tile/0/000"),
        (hashes(1, 1_234_067, 256), "tile/1/x001/x234/067"),
        (hashes(0, 273, 112), "tile/0/273.p/112"),
        (Tile { kind: TileKind::Entries, index: 1000, width: 1 }, "tile/entries/x001/000.p/1"),
    ];
    for (tile, path) in known {
        assert_eq!(tile.path(), path);
        assert_eq!(Tile::parse(path).unwrap(), tile);
    }
    let bad = [
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/0",
        "tile/0/x000/000",
        "tile/8/000",
        "tile/00/000",
        "tile/-1/000",
        "tile/data/000",
        "tile/0/",
        "tile/0/001/000",
        "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
        "0/000",
    ];
    for path in bad {
        assert!(Tile::parse(path).is_err(), "{path}");
    }
}

fn authority_of(world: &World) -> CaCertificate {
    world.ca.certificate().clone()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn large_trees_prove_themselves(size in 1u64..3000, at in any::<prop::sample::Index>()) {
        let tree = Tree::of(size);
        let index = at.index(size as usize) as u64;
        let head = tree.head(size);
        let proof = merkle::inclusion(&tree, index, size).unwrap();
        let leaf = leaf_hash(&index.to_be_bytes());
        prop_assert!(verify_inclusion(&leaf, index, size, &proof, &head.root).is_ok());
        let consistency = merkle::consistency(&tree, index, size).unwrap();
        prop_assert!(verify_consistency(&tree.head(index), &head, &consistency).is_ok());
    }

    #[test]
    fn changed_proof_is_refused(
        size in 2u64..300,
        at in any::<prop::sample::Index>(),
        bit in 0usize..256,
    ) {
        let tree = Tree::of(size);
        let index = at.index(size as usize) as u64;
        let head = tree.head(size);
        let leaf = leaf_hash(&index.to_be_bytes());
        let mut proof = merkle::inclusion(&tree, index, size).unwrap();
        let place = at.index(proof.len());
        proof[place].0[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(verify_inclusion(&leaf, index, size, &proof, &head.root).is_err());
        let mut consistency = merkle::consistency(&tree, index, size).unwrap();
        if !consistency.is_empty() {
            let place = at.index(consistency.len());
            consistency[place].0[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(verify_consistency(&tree.head(index), &head, &consistency).is_err());
        }
    }

    #[test]
    fn random_proofs_never_panic(
        index in any::<u64>(),
        size in any::<u64>(),
        old in any::<u64>(),
        proof in prop::collection::vec(any::<[u8; 32]>(), 0..70),
    ) {
        let proof: Vec<Digest> = proof.into_iter().map(Digest).collect();
        let root = Digest([1; 32]);
        prop_assert!(verify_inclusion(&root, index, size, &proof, &Digest([2; 32])).is_err());
        let (old, new) = (TreeHead { size: old, root }, TreeHead { size, root: Digest([2; 32]) });
        prop_assert!(verify_consistency(&old, &new, &proof).is_err());
    }

    #[test]
    fn random_text_never_panics(text in "(\u{2014} |[a-z0-9+/= \n]|\\PC){0,200}") {
        let parsed = Note::parse(&text);
        if let Ok(note) = &parsed {
            prop_assert_eq!(note.to_string(), text.clone());
        }
        let _ = Checkpoint::parse(&text);
        let _ = TlogProof::parse(&format!("c2sp.org/tlog-proof@v1\nindex 1\n{text}"));
        prop_assert!(Receipt::from_json(text.as_bytes()).is_err());
    }

    #[test]
    fn random_tile_paths_round_trip_or_are_refused(path in "tile/[0-9a-z]{1,7}(/x?[0-9]{3}){1,5}(.p/[0-9]{1,3})?") {
        if let Ok(tile) = Tile::parse(&path) {
            prop_assert_eq!(tile.path(), path);
            let _ = tile.range();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn changed_byte_of_a_receipt_file_is_refused(at in any::<prop::sample::Index>(), byte in 0x20..0x7fu8) {
        thread_local! {
            static SHARED: (String, CaCertificate) = {
                let world = world();
                (world.receipt().to_json().unwrap(), authority_of(&world))
            };
        }
        SHARED.with(|(json, ca)| {
            let mut bytes = json.clone().into_bytes();
            let at = at.index(bytes.len());
            prop_assume!(bytes[at] != byte && !bytes[at].is_ascii_whitespace());
            bytes[at] = byte;
            let trust = TrustAnchors::Authority(ca.clone());
            let verified = Receipt::from_json(&bytes).map(|r| r.verify(&trust, Quorum::Participants));
            prop_assert!(!matches!(verified, Ok(Ok(_))), "at {at}");
            Ok(())
        })?;
    }
}

/// A chain of so many events of a hospital.
fn trail(identity: &Identity, count: u64) -> Vec<crate::audit::Sealed> {
    use crate::audit::{Event, SALT_BYTES, Salt, seal};
    let mut chain: Vec<crate::audit::Sealed> = Vec::new();
    for number in 0..count {
        let prev = chain.last().map(|sealed| (sealed.seq, sealed.hash));
        let event = Event { at_ms: number, ..Event::new("north", "hospital", "data.read", "job:1") };
        chain.push(seal(prev, event, Salt([number as u8; SALT_BYTES]), identity));
    }
    chain
}

/// What a verifier concludes of a chain against a logged head.
fn held_against(
    chain: &[crate::audit::Sealed],
    identity: &Identity,
    logged: &LoggedHead,
) -> Result<(), crate::audit::AuditError> {
    let key = identity.public();
    let verified = crate::audit::verify_chain(chain.iter().cloned().map(Ok), &key)?;
    let found = chain.iter().find(|sealed| sealed.seq == logged.head().count).map(|sealed| sealed.hash);
    logged.check(&key, verified.count, found)
}

#[test]
fn a_chain_cut_short_or_written_anew_is_found_out_against_the_log() {
    use crate::audit::AuditError;
    let mut world = world();
    let north = Identity::generate().unwrap();
    let chain = trail(&north, 6);
    let head = AuditHead {
        consortium: "oncology".into(),
        owner: "north".into(),
        key: north.public(),
        count: 5,
        head: chain[4].hash,
        at_ms: FINISHED_S * 1000,
    };
    world.tree.push(&head.digest().0);
    let index = world.tree.size - 1;
    let proof = TlogProof {
        index,
        proof: merkle::inclusion(&world.tree, index, world.tree.size).unwrap(),
        checkpoint: world.checkpoint(world.tree.size),
    };
    let engine =
        world.ca.server_certificate(&world.engine.public(), "oncology", &[], FINISHED_S, 30).unwrap();
    let signature = north.sign(AUDIT_HEAD, &[&head.digest().0]);
    let checkpoint = AuditCheckpoint::new(head, &signature, &proof, &engine.der);
    let file = serde_json::to_vec(&checkpoint).unwrap();
    let authority = world.ca.certificate();
    let logged = AuditCheckpoint::from_json(&file).unwrap().verify(authority).unwrap();
    assert_eq!(logged.position(), (index, world.tree.size));

    held_against(&chain, &north, &logged).unwrap();
    held_against(&chain[..5], &north, &logged).unwrap();
    // Each of these verifies by itself.
    let cut = held_against(&chain[..4], &north, &logged);
    assert!(matches!(cut, Err(AuditError::Truncated { found: 4, logged: 5 })), "{cut:?}");
    let mut anew = trail(&north, 3);
    anew.truncate(3);
    for number in 3..9 {
        let prev = anew.last().map(|sealed| (sealed.seq, sealed.hash));
        let event = crate::audit::Event::new("north", "hospital", "nothing.happened", "job:1");
        let salt = crate::audit::Salt([number; crate::audit::SALT_BYTES]);
        anew.push(crate::audit::seal(prev, event, salt, &north));
    }
    let anew = held_against(&anew, &north, &logged);
    assert!(matches!(anew, Err(AuditError::Rewritten { seq: 5 })), "{anew:?}");
    let other = Identity::generate().unwrap();
    let foreign = held_against(&trail(&other, 6), &other, &logged);
    assert!(matches!(foreign, Err(AuditError::Rewritten { .. })), "{foreign:?}");

    // Nor does a checkpoint that was changed hold, or one of another authority.
    let stranger = CertificateAuthority::create("oncology", FINISHED_S - 1_000).unwrap();
    assert!(checkpoint.verify(stranger.certificate()).is_err());
    let mut shorter = checkpoint.clone();
    (shorter.head.count, shorter.head.head) = (4, chain[3].hash);
    assert!(shorter.verify(authority).is_err(), "the owner did not sign it");
    let signature = north.sign(AUDIT_HEAD, &[&shorter.head.digest().0]);
    let unlogged = AuditCheckpoint::new(shorter.head, &signature, &proof, &engine.der);
    assert!(matches!(unlogged.verify(authority), Err(ReceiptError::Ledger(LedgerError::Proof { .. }))));
}
