//! What must hold for any tree, proof, text and file.

use super::*;

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
