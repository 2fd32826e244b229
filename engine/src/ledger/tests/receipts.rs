//! Commitments and receipts: what verifies, and what was changed.

use super::*;

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
