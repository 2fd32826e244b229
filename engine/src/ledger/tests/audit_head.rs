//! Heads of audit chains in the log: a chain cut short, or written anew.

use super::*;

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
