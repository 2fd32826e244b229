//! Hospitals that cosign: what they follow, and what they refuse.

use super::*;

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
