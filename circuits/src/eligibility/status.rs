//! Published lists: which credentials an issuer revoked, and who the issuers are.
//!
//! An issuer keeps one bit for each credential, 32 to a leaf, in a tree of [`STATUS_DEPTH`] levels. The consortium
//! keeps one tree of issuers, whose leaf binds an issuer's key and the root of its list: one root says who may issue
//! and what is revoked, and a proof shows neither the issuer nor the place in its list.

use crate::field::Element;
use crate::merkle::{ARITY, ARITY_BITS, Path, Tree};
use crate::poseidon::{self, Domain};
use crate::schnorr::PublicKey;

/// Bits of a place in a list: an issuer has 2^20 credentials.
pub const STATUS_INDEX_BITS: usize = STATUS_LEAF_BITS + ARITY_BITS * STATUS_DEPTH;

/// Bits of a place that a leaf resolves: a leaf holds 32 credentials.
pub const STATUS_LEAF_BITS: usize = 5;

/// Levels of the tree above its leaves.
pub const STATUS_DEPTH: usize = 5;

/// Levels of the tree of issuers: 512 of them.
pub const ISSUERS_DEPTH: usize = 3;

/// A place beyond the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("place {index} in a list of {} credentials", 1u32 << STATUS_INDEX_BITS)]
pub struct NoSuchIndex {
    /// The place given.
    pub index: u32,
}

/// More issuers than the tree has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{issuers} issuers, {} at most", ARITY.pow(ISSUERS_DEPTH as u32))]
pub struct TooManyIssuers {
    /// How many.
    pub issuers: usize,
}

/// The place of a credential in its issuer's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StatusIndex(u32);

impl StatusIndex {
    /// The place `index`.
    ///
    /// # Errors
    /// [`NoSuchIndex`] from 2^20 on.
    pub fn new(index: u32) -> Result<Self, NoSuchIndex> {
        if index >> STATUS_INDEX_BITS == 0 { Ok(Self(index)) } else { Err(NoSuchIndex { index }) }
    }

    /// The place as a number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }

    pub(super) fn leaf(self) -> usize {
        (self.0 >> STATUS_LEAF_BITS) as usize
    }

    pub(super) fn bit(self) -> u32 {
        self.0 & ((1 << STATUS_LEAF_BITS) - 1)
    }
}

/// The revocations of one issuer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusList {
    words: Vec<u32>,
}

/// The word of a list in which a credential's bit stands, and its way to the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusPath {
    /// The word.
    pub word: u32,
    /// The way.
    pub path: Path,
}

impl StatusList {
    /// A list without revocations.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A list from its words, 32 credentials each, as it was published.
    ///
    /// # Errors
    /// [`NoSuchIndex`] with the first place beyond the list.
    pub fn from_words(words: Vec<u32>) -> Result<Self, NoSuchIndex> {
        if words.len() > ARITY.pow(STATUS_DEPTH as u32) {
            return Err(NoSuchIndex { index: 1 << STATUS_INDEX_BITS });
        }
        Ok(Self { words })
    }

    /// The words, without zeros at the end that were never written.
    #[must_use]
    pub fn words(&self) -> &[u32] {
        &self.words
    }

    /// Revokes the credential at `index`. There is no way back.
    pub fn revoke(&mut self, index: StatusIndex) {
        if self.words.len() <= index.leaf() {
            self.words.resize(index.leaf() + 1, 0);
        }
        self.words[index.leaf()] |= 1 << index.bit();
    }

    /// Whether the credential at `index` is revoked.
    #[must_use]
    pub fn is_revoked(&self, index: StatusIndex) -> bool {
        self.words.get(index.leaf()).is_some_and(|word| word >> index.bit() & 1 == 1)
    }

    /// The tree: its root is published, its paths go to holders. Hashes every word that was written.
    #[must_use]
    pub fn tree(&self) -> StatusTree {
        let leaves = self.words.iter().map(|&word| Element::from(word)).collect();
        let tree = Tree::new(leaves, STATUS_DEPTH, Element::from(0u64));
        StatusTree { words: self.words.clone(), tree: tree.expect("a list has no more words than leaves") }
    }
}

/// The tree over a list of revocations.
#[derive(Clone, Debug)]
pub struct StatusTree {
    words: Vec<u32>,
    tree: Tree,
}

impl StatusTree {
    /// The root.
    #[must_use]
    pub fn root(&self) -> Element {
        self.tree.root()
    }

    /// What shows the bit at `index`, set or not.
    #[must_use]
    pub fn path(&self, index: StatusIndex) -> StatusPath {
        let path = self.tree.path(index.leaf()).expect("a place of a list has a leaf");
        StatusPath { word: self.words.get(index.leaf()).copied().unwrap_or(0), path }
    }
}

/// One issuer: its key, and the root of its revocations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// The key.
    pub key: PublicKey,
    /// The root of [`StatusList::tree`].
    pub revocations: Element,
}

impl Issuer {
    /// The leaf of the issuer.
    #[must_use]
    pub fn leaf(&self) -> Element {
        let [x, y] = self.key.coordinates();
        poseidon::hash(Domain::Issuer, &[x, y, self.revocations])
    }
}

/// The issuers of a consortium.
#[derive(Clone, Debug)]
pub struct Issuers {
    issuers: Vec<Issuer>,
    tree: Tree,
}

impl Issuers {
    /// The tree over these issuers, in this order. Keys are checked when they are read ([`PublicKey::from_bytes`]).
    ///
    /// # Errors
    /// [`TooManyIssuers`].
    pub fn new(issuers: Vec<Issuer>) -> Result<Self, TooManyIssuers> {
        let leaves = issuers.iter().map(Issuer::leaf).collect();
        let too_many = TooManyIssuers { issuers: issuers.len() };
        let tree = Tree::new(leaves, ISSUERS_DEPTH, Element::from(0u64)).map_err(|_| too_many)?;
        Ok(Self { issuers, tree })
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> Element {
        self.tree.root()
    }

    /// The issuer with this key, and its way to the root.
    #[must_use]
    pub fn find(&self, key: &PublicKey) -> Option<(Issuer, Path)> {
        let index = self.issuers.iter().position(|issuer| issuer.key == *key)?;
        Some((self.issuers[index], self.tree.path(index)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revoked_bit_is_under_the_root_at_its_place_and_nowhere_else() {
        let mut list = StatusList::new();
        let place = |index| StatusIndex::new(index).unwrap();
        let before = list.tree().root();
        list.revoke(place(77));
        let tree = list.tree();
        assert_ne!(tree.root(), before);
        for index in [0, 76, 77, 78, (1 << 20) - 1] {
            let shown = tree.path(place(index));
            assert_eq!(shown.path.root(&Element::from(shown.word)), Some(tree.root()));
            assert_eq!(shown.word >> place(index).bit() & 1 == 1, index == 77);
            assert_eq!(list.is_revoked(place(index)), index == 77);
        }
    }

    #[test]
    fn places_and_words_beyond_the_list_are_refused() {
        assert_eq!(StatusIndex::new(1 << 20), Err(NoSuchIndex { index: 1 << 20 }));
        assert!(StatusList::from_words(vec![0; (1 << 15) + 1]).is_err());
        assert!(StatusList::from_words(vec![0; 9]).is_ok());
    }
}
