//! The differencing guard: a query is refused whose cohort differs from an answered one by fewer patients than the floor.
//!
//! What an answer shows of a hospital is a set of cells: the rows of each group, bin or code that the hospital did not
//! withhold, and all of them together. Two answers over sets A and B show, by subtraction, the patients who are in one
//! and not in the other. So each set of a new answer is held against each set of the answers before it; where they
//! differ, they must differ by at least k patients. Sets that have nobody in common are not compared: their difference is
//! both of them, and each has k by the floor.
//!
//! Exact, over the hospital's own rows, of one version of a table, for one researcher; versions are held against each other
//! by [`super::across`]. Not covered: combinations of three and more answers, several researchers together, and that a
//! refusal itself shows that a difference is small and not empty (Kenthapadi, Mishra and Nissim, PODS 2005, on auditing that is not simulatable).

use std::collections::{BTreeSet, HashMap};

use super::tally::{Cells, Pairs};

/// The label of a row in no cell.
pub const NOWHERE: u32 = u32::MAX;

/// Disjoint sets of a table's rows: the cells that an answer shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// The cell of every row of the table, or [`NOWHERE`].
    pub labels: Vec<u32>,
}

impl Partition {
    /// All cells as one.
    #[must_use]
    pub fn union(&self) -> Self {
        Self { labels: self.labels.iter().map(|l| if *l == NOWHERE { NOWHERE } else { 0 }).collect() }
    }

    /// The cells that have so many rows; the rows of others are in none.
    #[must_use]
    pub fn at_least(&self, rows: u64) -> Self {
        let mut counts: HashMap<u32, u64> = HashMap::new();
        self.labels.iter().for_each(|label| *counts.entry(*label).or_default() += 1);
        let kept = |label: &u32| counts.get(label).is_some_and(|count| *count >= rows);
        Self { labels: self.labels.iter().map(|l| if kept(l) { *l } else { NOWHERE }).collect() }
    }

    /// True when no row is in a cell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.iter().all(|label| *label == NOWHERE)
    }

    /// The labels in the order of their first row, so that equal sets have equal labels.
    fn renumbered(&self) -> Vec<u32> {
        let mut names: HashMap<u32, u32> = HashMap::new();
        let number = |label: &u32| match *label {
            NOWHERE => 0,
            label => {
                let next = names.len() as u32 + 1;
                *names.entry(label).or_insert(next)
            }
        };
        self.labels.iter().map(number).collect()
    }

    /// The rows and the bits of a label, then the labels packed, 0 for [`NOWHERE`]; equal sets are equal bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let labels = self.renumbered();
        let bits = (u32::BITS - labels.iter().copied().max().unwrap_or(0).leading_zeros()).max(1);
        let mut bytes = (labels.len() as u64).to_be_bytes().to_vec();
        bytes.push(bits as u8);
        let (mut word, mut filled) = (0u64, 0u32);
        for label in labels {
            word |= u64::from(label) << filled;
            filled += bits;
            while filled >= 8 {
                bytes.push(word as u8);
                word >>= 8;
                filled -= 8;
            }
        }
        if filled > 0 {
            bytes.push(word as u8);
        }
        bytes
    }

    /// Reads [`Partition::encode`]; none for other bytes.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (rows, rest) = bytes.split_first_chunk::<8>()?;
        let (bits, packed) = rest.split_first()?;
        let (rows, bits) = (usize::try_from(u64::from_be_bytes(*rows)).ok()?, u32::from(*bits));
        let fits = (1..=32).contains(&bits)
            && rows.checked_mul(bits as usize).is_some_and(|all| all.div_ceil(8) == packed.len());
        if !fits {
            return None;
        }
        let (mut word, mut filled) = (0u64, 0u32);
        let mut rest = packed.iter();
        let mut labels = Vec::with_capacity(rows);
        for _ in 0..rows {
            while filled < bits {
                word |= u64::from(*rest.next()?) << filled;
                filled += 8;
            }
            let label = (word & ((1u64 << bits) - 1)) as u32;
            labels.push(label.checked_sub(1).unwrap_or(NOWHERE));
            word >>= bits;
            filled -= bits;
        }
        Some(Self { labels })
    }
}

/// Whose the rows of a table are, patient by patient: made once, for all cells over it.
pub struct Patients {
    /// The patient of every row.
    of: Vec<u32>,
    /// Rows, those of a patient beside each other.
    rows: Vec<u32>,
}

impl Patients {
    /// From the patient of every row.
    #[must_use]
    pub fn new(of: Vec<u32>) -> Self {
        // A table has no places beyond these.
        let mut rows: Vec<u32> = (0..of.len()).filter_map(|row| u32::try_from(row).ok()).collect();
        rows.sort_unstable_by_key(|row| of.get(*row as usize));
        Self { of, rows }
    }
}

/// Whether two cells, one of each partition, have patients in common and differ by one patient or more, but fewer than
/// `floor`; where it is not known whose the rows are, every row is another patient's.
#[must_use]
pub fn is_too_close(a: &Partition, b: &Partition, patients: Option<&Patients>, floor: u64) -> bool {
    if a.labels.len() != b.labels.len() {
        // Of another version of the table: not comparable.
        return false;
    }
    let mut close = Closeness::of(a, b);
    match patients {
        None => {
            if let Some(found) = few_cells(a, b, floor) {
                return found;
            }
            for pair in a.labels.iter().zip(&b.labels) {
                close.one(*pair.0, *pair.1);
            }
        }
        Some(patients) => {
            let whose = |row: &u32| patients.of.get(*row as usize);
            let mut pairs = Vec::new();
            for rows in patients.rows.chunk_by(|x, y| whose(x) == whose(y)) {
                pairs.clear();
                for row in rows {
                    let cell = |of: &Partition| of.labels.get(*row as usize).copied().unwrap_or(NOWHERE);
                    let pair = (cell(a), cell(b));
                    if pair != (NOWHERE, NOWHERE) {
                        pairs.push(pair);
                    }
                }
                pairs.sort_unstable();
                pairs.dedup();
                close.count(&pairs);
            }
        }
    }
    close.any_below(floor)
}

/// Most pairs of cells that are counted in a table.
const TABLE_MAX: usize = 1 << 16;

/// As [`is_too_close`] where every row is another patient's, for partitions of few cells; none for others.
fn few_cells(a: &Partition, b: &Partition, floor: u64) -> Option<bool> {
    // Cells count from 1; 0 is nowhere.
    let cells = |p: &Partition| p.labels.iter().map(|l| l.wrapping_add(1)).max().unwrap_or(0) as usize + 1;
    let (of_a, of_b) = (cells(a), cells(b));
    let size = of_a.checked_mul(of_b).filter(|size| *size <= TABLE_MAX)?;
    let mut table = vec![0u64; size];
    for (x, y) in a.labels.iter().zip(&b.labels) {
        table[x.wrapping_add(1) as usize * of_b + y.wrapping_add(1) as usize] += 1;
    }
    let rows: Vec<u64> = table.chunks(of_b).map(|row| row.iter().sum()).collect();
    let columns: Vec<u64> = (0..of_b).map(|y| table.iter().skip(y).step_by(of_b).sum()).collect();
    Some((1..of_a).any(|x| {
        (1..of_b).any(|y| {
            let both = table[x * of_b + y];
            let apart = rows[x] + columns[y] - 2 * both;
            both > 0 && apart > 0 && apart < floor
        })
    }))
}

/// Counts of patients, by cell and by pair of cells.
struct Closeness {
    /// Patients with a row in a cell of the first partition.
    of_a: Cells,
    of_b: Cells,
    /// Patients with a row in one and a row in the other cell, and those of them with no row in one of them alone.
    of_both: Pairs<(u64, u64)>,
}

impl Closeness {
    fn of(a: &Partition, b: &Partition) -> Self {
        let (of_a, of_b) = (Cells::of(a), Cells::of(b));
        let of_both = Pairs::of(&of_a, &of_b);
        Self { of_a, of_b, of_both }
    }

    /// Takes in the different pairs of labels of one patient's rows.
    fn count(&mut self, pairs: &[(u32, u32)]) {
        if let [(a, b)] = pairs {
            // Nearly all patients.
            self.one(*a, *b);
            return;
        }
        let cells = |side: fn(&(u32, u32)) -> u32| -> BTreeSet<u32> {
            pairs.iter().map(side).filter(|label| *label != NOWHERE).collect()
        };
        let (in_a, in_b) = (cells(|p| p.0), cells(|p| p.1));
        in_a.iter().for_each(|a| self.of_a.add(*a));
        in_b.iter().for_each(|b| self.of_b.add(*b));
        for a in &in_a {
            for b in &in_b {
                let apart = pairs.iter().any(|pair| (pair.0 == *a) != (pair.1 == *b));
                let both = self.of_both.at(*a, *b);
                both.0 += 1;
                both.1 += u64::from(!apart);
            }
        }
    }

    fn one(&mut self, a: u32, b: u32) {
        if a != NOWHERE {
            self.of_a.add(a);
        }
        if b != NOWHERE {
            self.of_b.add(b);
        }
        if a != NOWHERE && b != NOWHERE {
            let both = self.of_both.at(a, b);
            both.0 += 1;
            both.1 += 1;
        }
    }

    fn any_below(&self, floor: u64) -> bool {
        self.of_both.any(|a, b, (both, same)| {
            let all = self.of_a.count(a) + self.of_b.count(b) - both;
            let apart = all - same;
            *both > 0 && apart > 0 && apart < floor
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn partition(labels: &[i64]) -> Partition {
        Partition { labels: labels.iter().map(|l| u32::try_from(*l).unwrap_or(NOWHERE)).collect() }
    }

    #[test]
    fn one_patient_apart_is_too_close_and_nobody_apart_is_not() {
        let all = partition(&[0; 10]);
        let mut less = all.clone();
        less.labels[3] = NOWHERE;
        assert!(is_too_close(&all, &less, None, 5));
        assert!(!is_too_close(&all, &less, None, 1));
        assert!(!is_too_close(&all, &all, None, 5));
        assert!(!is_too_close(&all, &partition(&[0, 0, 0, 0, 0, -1, -1, -1, -1, -1]), None, 5));
        // A group of one answer against a whole cohort of another.
        let groups = partition(&[1, 1, 1, 1, 1, 1, 2, 2, 2, 2]);
        assert!(is_too_close(&groups, &partition(&[0, 0, 0, 0, 0, -1, -1, -1, -1, -1]), None, 5));
    }

    #[test]
    fn rows_of_one_patient_count_once() {
        let all = partition(&[0; 12]);
        let less = partition(&[0, 0, 0, 0, 0, 0, -1, -1, -1, -1, -1, -1]);
        let patients = [0, 1, 2, 3, 4, 5, 6, 6, 6, 6, 6, 6];
        assert!(!is_too_close(&all, &less, None, 5));
        assert!(is_too_close(&all, &less, Some(&Patients::new(patients.to_vec())), 5));
    }

    proptest! {
        #[test]
        fn partitions_read_as_they_were_written(labels in prop::collection::vec(-1i64..300, 0..80)) {
            let (partition, bytes) = (partition(&labels), partition(&labels).encode());
            let read = Partition::decode(&bytes).unwrap();
            prop_assert_eq!(read.encode(), bytes);
            prop_assert_eq!(read.renumbered(), partition.renumbered());
        }

        #[test]
        fn other_bytes_are_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = Partition::decode(&bytes);
        }

        /// Against the definition: sets of patients, and their symmetric difference.
        #[test]
        fn closeness_is_the_smallest_difference_of_sets_in_common(
            rows in prop::collection::vec((-1i64..3, -1i64..3, 0u32..8), 1..40), floor in 1u64..6, named in any::<bool>(),
        ) {
            let a = partition(&rows.iter().map(|r| r.0).collect::<Vec<_>>());
            let b = partition(&rows.iter().map(|r| r.1).collect::<Vec<_>>());
            let patients: Vec<u32> =
                rows.iter().enumerate().map(|(i, r)| if named { r.2 } else { i as u32 }).collect();
            let mut expected = false;
            for x in 0..3u32 {
                for y in 0..3u32 {
                    let apart: BTreeSet<u32> = (0..rows.len())
                        .filter(|i| (a.labels[*i] == x) != (b.labels[*i] == y))
                        .map(|i| patients[i])
                        .collect();
                    let of = |labels: &[u32], cell: u32| -> BTreeSet<u32> {
                        (0..rows.len()).filter(|i| labels[*i] == cell).map(|i| patients[i]).collect()
                    };
                    let in_common = !of(&a.labels, x).is_disjoint(&of(&b.labels, y));
                    expected |= in_common && !apart.is_empty() && (apart.len() as u64) < floor;
                }
            }
            prop_assert_eq!(is_too_close(&a, &b, named.then(|| Patients::new(patients.clone())).as_ref(), floor), expected);
        }
    }
}
