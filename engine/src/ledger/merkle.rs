//! The Merkle tree of RFC 6962 (section 2.1): leaf and node hashes, roots, inclusion and consistency proofs.
//!
//! Stored are the roots of complete subtrees, addressed by (level, index): node (l, i) covers the leaves
//! [i * 2^l, (i + 1) * 2^l). A node is written once, when its last leaf arrives, and never changes; so proofs
//! for an old size can be made while the tree grows.
//!
//! Making a proof reads O(log n) nodes through [`Nodes`]; checking one needs nothing but its arguments and takes
//! at most 64 steps, whatever a stranger sent.

use sha2::{Digest as _, Sha256};

use super::LedgerError;
use crate::identity::Digest;

/// Longest proof of either kind: two hashes per level of a tree of 2^63 leaves cannot be exceeded.
pub const PROOF_HASHES_MAX: usize = 64;

/// Reads the roots of complete subtrees.
pub trait Nodes {
    /// The hash of node (level, index).
    ///
    /// # Errors
    /// [`LedgerError`] when it is absent or cannot be read.
    fn node(&self, level: u8, index: u64) -> Result<Digest, LedgerError>;
}

/// Hash of a leaf: SHA-256(0x00 || data).
#[must_use]
pub fn leaf_hash(data: &[u8]) -> Digest {
    Digest(Sha256::new().chain_update([0]).chain_update(data).finalize().into())
}

/// Hash of an inner node: SHA-256(0x01 || left || right).
#[must_use]
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    Digest(Sha256::new().chain_update([1]).chain_update(left.0).chain_update(right.0).finalize().into())
}

/// Root of the empty tree: SHA-256 of nothing.
#[must_use]
pub fn empty_root() -> Digest {
    Digest::of(&[])
}

/// The nodes to write when the leaf of that hash becomes leaf number `size`: (level, index, hash), the leaf
/// first, then every subtree it completes.
///
/// # Errors
/// [`LedgerError`] of the reader.
pub fn append<N: Nodes + ?Sized>(
    nodes: &N,
    size: u64,
    leaf: Digest,
) -> Result<Vec<(u8, u64, Digest)>, LedgerError> {
    let mut written = vec![(0, size, leaf)];
    let (mut level, mut index, mut hash) = (0, size, leaf);
    while index & 1 == 1 {
        hash = node_hash(&nodes.node(level, index - 1)?, &hash);
        level += 1;
        index >>= 1;
        written.push((level, index, hash));
    }
    Ok(written)
}

/// Root of the tree of the first `size` leaves.
///
/// # Errors
/// [`LedgerError`] of the reader.
pub fn root<N: Nodes + ?Sized>(nodes: &N, size: u64) -> Result<Digest, LedgerError> {
    if size == 0 { Ok(empty_root()) } else { range_root(nodes, 0, size) }
}

/// Root of the leaves [start, end), start a multiple of the largest power of two below or at the length.
fn range_root<N: Nodes + ?Sized>(nodes: &N, start: u64, end: u64) -> Result<Digest, LedgerError> {
    let length = end - start;
    if length.is_power_of_two() {
        let level = length.trailing_zeros() as u8;
        return nodes.node(level, start >> level);
    }
    let split = start + split_point(length);
    Ok(node_hash(&range_root(nodes, start, split)?, &range_root(nodes, split, end)?))
}

/// The largest power of two smaller than `length` (at least 2).
fn split_point(length: u64) -> u64 {
    1 << (length - 1).ilog2()
}

/// `PATH(index, D[size])` of RFC 6962: the sibling hashes from the leaf up.
///
/// # Errors
/// [`LedgerError::Range`] unless `index < size`; errors of the reader.
pub fn inclusion<N: Nodes + ?Sized>(nodes: &N, index: u64, size: u64) -> Result<Vec<Digest>, LedgerError> {
    if index >= size {
        return Err(LedgerError::Range { index, size });
    }
    let (mut start, mut end) = (0, size);
    let mut proof = Vec::new();
    while end - start > 1 {
        let split = start + split_point(end - start);
        if index < split {
            proof.push(range_root(nodes, split, end)?);
            end = split;
        } else {
            proof.push(range_root(nodes, start, split)?);
            start = split;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// `PROOF(old, D[new])` of RFC 6962; empty when the sizes are equal or the old tree is empty.
///
/// # Errors
/// [`LedgerError::Range`] unless `old <= new`; errors of the reader.
pub fn consistency<N: Nodes + ?Sized>(nodes: &N, old: u64, new: u64) -> Result<Vec<Digest>, LedgerError> {
    if old > new {
        return Err(LedgerError::Range { index: old, size: new });
    }
    if old == 0 || old == new {
        return Ok(Vec::new());
    }
    let (mut start, mut end) = (0, new);
    let mut proof = Vec::new();
    while end != old {
        let split = start + split_point(end - start);
        if old <= split {
            proof.push(range_root(nodes, split, end)?);
            end = split;
        } else {
            proof.push(range_root(nodes, start, split)?);
            start = split;
        }
    }
    // Where the walk ends at the left edge, this subtree is the old tree, whose root the verifier knows.
    if start != 0 {
        proof.push(range_root(nodes, start, end)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Checks that the leaf of that hash is leaf `index` of the tree of `size` leaves with that root
/// (RFC 9162, section 2.1.3.2).
///
/// # Errors
/// [`LedgerError::Range`], or [`LedgerError::Proof`].
pub fn verify_inclusion(
    leaf: &Digest,
    index: u64,
    size: u64,
    proof: &[Digest],
    root: &Digest,
) -> Result<(), LedgerError> {
    if index >= size {
        return Err(LedgerError::Range { index, size });
    }
    let refuse = LedgerError::Proof { what: "inclusion" };
    let (mut node, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in proof {
        if last == 0 {
            return Err(refuse);
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            // A right edge that is a left child has no sibling on these levels: skip them.
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last == 0 && hash == *root { Ok(()) } else { Err(refuse) }
}

/// A tree's size and root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeHead {
    /// Leaves.
    pub size: u64,
    /// Root hash.
    pub root: Digest,
}

/// Checks that the tree `new` begins with the leaves of `old` (RFC 9162, section 2.1.4.2).
///
/// # Errors
/// [`LedgerError::Range`] when `old` is larger; [`LedgerError::Proof`].
pub fn verify_consistency(old: &TreeHead, new: &TreeHead, proof: &[Digest]) -> Result<(), LedgerError> {
    if old.size > new.size {
        return Err(LedgerError::Range { index: old.size, size: new.size });
    }
    if old.size == new.size || old.size == 0 {
        let expected = if old.size == 0 { empty_root() } else { new.root };
        let same = old.root == expected && (old.size < new.size || old.root == new.root);
        return check(same && proof.is_empty());
    }
    // The first hash of the walk is the old root itself when the old tree is a complete subtree.
    let mut hashes = proof.iter();
    let seed = if old.size.is_power_of_two() { Some(&old.root) } else { hashes.next() };
    let Some(seed) = seed else { return check(false) };
    let (mut node, mut last) = (old.size - 1, new.size - 1);
    while node & 1 == 1 {
        node >>= 1;
        last >>= 1;
    }
    let (mut old_root, mut new_root) = (*seed, *seed);
    for hash in hashes {
        if last == 0 {
            return check(false);
        }
        if node & 1 == 1 || node == last {
            old_root = node_hash(hash, &old_root);
            new_root = node_hash(hash, &new_root);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            new_root = node_hash(&new_root, hash);
        }
        node >>= 1;
        last >>= 1;
    }
    check(last == 0 && old_root == old.root && new_root == new.root)
}

fn check(holds: bool) -> Result<(), LedgerError> {
    if holds { Ok(()) } else { Err(LedgerError::Proof { what: "consistency" }) }
}
