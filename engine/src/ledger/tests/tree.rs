//! The Merkle tree: known answers, all proofs of small trees, and `tlog_tiles` as an oracle.

use super::*;

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
