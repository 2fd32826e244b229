//! The dataset version: the root of a Merkle tree (RFC 6962, section 2.1) over a table's rows in canonical bytes.
//!
//! Leaf 0 is the table's heading: what its columns mean. The other leaves are the rows, sorted by their hashes, so that
//! neither the format nor the order of a source shows: the same rows from CSV, Parquet, FHIR or PostgreSQL have the
//! same version.
//!
//! A row's leaf is `tag || row`, where `tag` is HMAC-SHA-256 of the row under the hospital's version key. The version is
//! public, and rows are guessable: without the key, somebody who knows all rows but one could try values for the last
//! one. With it the root hides the rows as long as the key is secret, and binds as SHA-256 does; a row opened to an
//! auditor (tag, row, inclusion proof) opens no other.

use ring::hmac;
use sha2::{Digest as _, Sha256};

use crate::identity::{Canonical, Digest};
use crate::ledger::merkle::{empty_root, leaf_hash, node_hash};
use crate::query::catalogue::{Column, ColumnKind, OutOfBounds};

/// Domain of a row's bytes, before the HMAC and in the leaf.
const ROW: &[u8] = b"ward dataset row/1\0";
/// Domain of a patient's name, before the HMAC.
const PATIENT: &[u8] = b"ward dataset patient/1\0";

/// The key under which a hospital's dataset versions are made; never shown.
#[derive(Clone)]
pub struct VersionKey(hmac::Key);

impl VersionKey {
    /// From 32 random bytes, drawn once for a node.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// A secret of this hospital about something: HMAC-SHA-256 of the domain and the parts, each after its length.
    #[must_use]
    pub fn tag(&self, domain: &'static [u8], parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = hmac::Context::with_key(&self.0);
        for part in std::iter::once(&domain).chain(parts) {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        let mut tag = [0; 32];
        tag.copy_from_slice(mac.sign().as_ref());
        tag
    }
}

impl std::fmt::Debug for VersionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("VersionKey(..)")
    }
}

/// What tells the rows of a version and their patients apart in every version of the table, by the row's place. Under the
/// version key: no use without it but to compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowTags {
    /// Whether the table names patients.
    pub is_named: bool,
    /// For every row a tag of its patient (where it names none, of the row) and one of the row.
    pub tags: Vec<(u64, u64)>,
}

impl RowTags {
    /// As bytes: whether patients are named, then 16 bytes a row.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![u8::from(self.is_named)];
        for (patient, row) in &self.tags {
            bytes.extend_from_slice(&patient.to_le_bytes());
            bytes.extend_from_slice(&row.to_le_bytes());
        }
        bytes
    }

    /// Reads [`Self::encode`]; none for other bytes.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (is_named, rest) = bytes.split_first()?;
        let (words, rest) = rest.as_chunks::<8>();
        let (pairs, odd) = words.as_chunks::<2>();
        let is_whole = rest.is_empty() && odd.is_empty() && *is_named <= 1;
        let tags =
            pairs.iter().map(|[patient, row]| (u64::from_le_bytes(*patient), u64::from_le_bytes(*row)));
        is_whole.then(|| Self { is_named: *is_named == 1, tags: tags.collect() })
    }
}

/// The version of a table's rows.
pub struct Version {
    /// The root.
    pub root: Digest,
    /// The place of every row among those of the version: where the same rows come in another order, they have the same
    /// places, but for rows that are equal. Rows beyond 2^32 have the last place.
    pub places: Vec<u32>,
    /// What tells the rows apart, by place.
    pub tags: RowTags,
}

/// Makes a version of rows that come one at a time; keeps 40 bytes of each.
pub struct Versioner {
    key: VersionKey,
    heading: Digest,
    with_patients: bool,
    leaves: Vec<Digest>,
    patients: Vec<Option<u64>>,
    row: Vec<u8>,
}

/// The first bytes of a digest.
fn first(digest: &[u8]) -> u64 {
    digest.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

impl Versioner {
    /// Of a table with these columns; `with_patients` where rows name their patient.
    #[must_use]
    pub fn new(key: &VersionKey, columns: &[&Column], with_patients: bool) -> Self {
        let heading = Canonical::new("dataset heading/1")
            .number(u64::from(with_patients))
            .each(columns.iter(), |canonical, column| write_column(canonical, column))
            .finish();
        let (key, heading) = (key.clone(), leaf_hash(&heading));
        Self { key, heading, with_patients, leaves: Vec::new(), patients: Vec::new(), row: Vec::new() }
    }

    /// Adds a row: its patient, and its values in the order of the columns, in fixed point or as positions of codes.
    pub fn row(&mut self, patient: Option<&str>, values: impl Iterator<Item = Option<i64>>) {
        let row = &mut self.row;
        row.clear();
        row.extend_from_slice(ROW);
        match patient {
            None => row.push(0),
            Some(patient) => {
                row.push(1);
                row.extend_from_slice(&(patient.len() as u64).to_le_bytes());
                row.extend_from_slice(patient.as_bytes());
            }
        }
        for value in values {
            match value {
                None => row.push(0),
                Some(value) => {
                    row.push(1);
                    row.extend_from_slice(&value.to_le_bytes());
                }
            }
        }
        let tag = hmac::sign(&self.key.0, row);
        let leaf = Sha256::new().chain_update([0]).chain_update(tag.as_ref()).chain_update(&*row).finalize();
        self.leaves.push(Digest(leaf.into()));
        self.patients.push(patient.filter(|_| self.with_patients).map(|patient| {
            let mut context = hmac::Context::with_key(&self.key.0);
            context.update(PATIENT);
            context.update(patient.as_bytes());
            first(context.sign().as_ref())
        }));
    }

    /// Rows so far.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.leaves.len() as u64
    }

    /// True without rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.leaves.is_empty()
    }

    /// The version.
    #[must_use]
    pub fn finish(self) -> Version {
        let mut order: Vec<usize> = (0..self.leaves.len()).collect();
        order.sort_unstable_by_key(|row| self.leaves.get(*row));
        let mut tree = Tree::default();
        tree.push(self.heading);
        let mut places = vec![u32::MAX; order.len()];
        let mut tags = Vec::with_capacity(order.len());
        for (place, row) in order.into_iter().enumerate() {
            if let (Some(leaf), Some(patient)) = (self.leaves.get(row), self.patients.get(row)) {
                tree.push(*leaf);
                let tag = first(&leaf.0);
                tags.push((patient.unwrap_or(tag), tag));
            }
            if let Some(own) = places.get_mut(row) {
                *own = u32::try_from(place).unwrap_or(u32::MAX);
            }
        }
        Version { root: tree.root(), places, tags: RowTags { is_named: self.with_patients, tags } }
    }
}

fn write_column(canonical: Canonical, column: &Column) -> Canonical {
    let kind = match column.kind {
        ColumnKind::Integer => "integer",
        ColumnKind::Real => "real",
        ColumnKind::Category => "category",
        ColumnKind::Identifier => "identifier",
    };
    let outside = match column.out_of_bounds {
        OutOfBounds::Reject => "reject",
        OutOfBounds::Clamp => "clamp",
    };
    canonical
        .text(&column.name)
        .text(kind)
        .number(u64::from(column.digits))
        .text(&column.unit)
        .number(column.min.cast_unsigned())
        .number(column.max.cast_unsigned())
        .text(outside)
        .each(column.codes.iter(), |canonical, code| canonical.text(code))
}

/// The roots of complete subtrees, the largest first: what is needed of a tree that only grows.
#[derive(Default)]
struct Tree {
    /// Level and hash.
    roots: Vec<(u8, Digest)>,
}

impl Tree {
    fn push(&mut self, leaf: Digest) {
        let mut top = (0, leaf);
        while let Some((_, left)) = self.roots.pop_if(|(level, _)| *level == top.0) {
            top = (top.0 + 1, node_hash(&left, &top.1));
        }
        self.roots.push(top);
    }

    fn root(self) -> Digest {
        let joined = self.roots.into_iter().map(|(_, hash)| hash).rev();
        joined.reduce(|right, left| node_hash(&left, &right)).unwrap_or_else(empty_root)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> VersionKey {
        VersionKey::from_bytes(&[7; 32])
    }

    fn version(key: &VersionKey, rows: &[(Option<String>, Vec<Option<i64>>)]) -> Digest {
        let mut versioner = Versioner::new(key, &[], true);
        rows.iter().for_each(|(patient, values)| versioner.row(patient.as_deref(), values.iter().copied()));
        versioner.finish().root
    }

    #[test]
    fn the_tree_is_that_of_rfc_6962() {
        // The leaves and roots of the test vectors of certificate transparency.
        let leaves: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        for (size, root) in [
            (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
            (2, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
            (3, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
            (7, "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"),
            (8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
        ] {
            let mut tree = Tree::default();
            leaves[..size].iter().for_each(|leaf| tree.push(leaf_hash(leaf)));
            assert_eq!(tree.root().to_string(), root, "{size}");
        }
    }

    #[test]
    fn another_key_is_another_version() {
        let rows = [(Some("p".to_owned()), vec![Some(1)])];
        assert_ne!(version(&key(), &rows), version(&VersionKey::from_bytes(&[8; 32]), &rows));
    }

    type Row = (Option<String>, Vec<Option<i64>>);

    fn rows() -> impl Strategy<Value = Vec<Row>> {
        let row = (prop::option::of("[a-c]{0,2}"), prop::collection::vec(prop::option::of(-2i64..3), 2));
        prop::collection::vec(row, 0..9)
    }

    proptest! {
        #[test]
        fn the_order_of_rows_does_not_matter((rows, mixed) in rows().prop_flat_map(|r| (Just(r.clone()), Just(r).prop_shuffle()))) {
            prop_assert_eq!(version(&key(), &rows), version(&key(), &mixed));
        }

        #[test]
        fn a_row_has_its_place_whatever_the_order((rows, mixed) in rows().prop_flat_map(|r| (Just(r.clone()), Just(r).prop_shuffle()))) {
            let placed = |rows: &[Row]| {
                let mut versioner = Versioner::new(&key(), &[], true);
                rows.iter().for_each(|(p, values)| versioner.row(p.as_deref(), values.iter().copied()));
                let mut placed: Vec<_> = versioner.finish().places.into_iter().zip(rows.to_vec()).collect();
                placed.sort();
                placed
            };
            prop_assert_eq!(placed(&rows), placed(&mixed));
        }

        #[test]
        fn a_row_and_its_patient_have_the_same_tags_in_every_version(rows in rows(), more in rows()) {
            let tags = |rows: &[Row]| {
                let mut versioner = Versioner::new(&key(), &[], true);
                rows.iter().for_each(|(p, values)| versioner.row(p.as_deref(), values.iter().copied()));
                let version = versioner.finish();
                prop_assert_eq!(RowTags::decode(&version.tags.encode()), Some(version.tags.clone()));
                Ok(version.places.iter().map(|place| version.tags.tags[*place as usize]).collect::<Vec<_>>())
            };
            let (few, all) = (tags(&rows)?, tags(&[rows.clone(), more].concat())?);
            prop_assert_eq!(&few[..], &all[..rows.len()]);
            for (a, of_a) in rows.iter().zip(&few) {
                for (b, of_b) in rows.iter().zip(&few) {
                    prop_assert_eq!(a == b, of_a.1 == of_b.1);
                    prop_assert_eq!(a == b || (a.0.is_some() && a.0 == b.0), of_a.0 == of_b.0);
                }
            }
        }

        #[test]
        fn other_rows_are_another_version(a in rows(), b in rows()) {
            let sorted = |rows: &[Row]| { let mut rows = rows.to_vec(); rows.sort(); rows };
            prop_assert_eq!(version(&key(), &a) == version(&key(), &b), sorted(&a) == sorted(&b));
        }
    }
}
