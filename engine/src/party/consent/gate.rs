//! The gate before a hospital's rows: their patients are numbered once for every reading of a table, and each query asks
//! once for each patient.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::consent::{Lens, Pseudonym, PseudonymKey};
use crate::party::local::LocalError;
use crate::party::local::gate::{Reading, RowGate};

/// The number of a row that names no patient.
const NOBODY: u32 = u32::MAX;

/// Whose the rows of a reading are.
pub(super) struct Numbered {
    reading: u64,
    /// The patient of every row, in the order of the source, or [`NOBODY`].
    rows: Vec<u32>,
    /// By number; none for an identifier that cannot be one.
    pub(super) patients: Vec<Option<Pseudonym>>,
}

impl Numbered {
    fn read(reading: &Reading<'_>, key: &PseudonymKey) -> Result<Self, LocalError> {
        let mut numbers: HashMap<String, u32> = HashMap::new();
        let (mut rows, mut patients) = (Vec::new(), Vec::new());
        reading.patients(&mut |patient| {
            let Some(patient) = patient else { return rows.push(NOBODY) };
            rows.push(match numbers.get(patient) {
                Some(known) => *known,
                None => {
                    let number = patients.len() as u32;
                    patients.push(key.pseudonym(patient));
                    numbers.insert(patient.to_owned(), number);
                    number
                }
            });
        })?;
        Ok(Self { reading: reading.number(), rows, patients })
    }
}

/// The last numbering of each table, under one key.
#[derive(Default)]
pub(super) struct Numberings {
    by_table: Mutex<HashMap<String, Arc<Numbered>>>,
}

impl Numberings {
    /// Whose the rows of a reading are, read again only where the table was.
    ///
    /// # Errors
    /// As [`Reading::patients`].
    pub(super) fn of(&self, reading: &Reading<'_>, key: &PseudonymKey) -> Result<Arc<Numbered>, LocalError> {
        let known =
            self.by_table.lock().unwrap_or_else(PoisonError::into_inner).get(reading.table()).cloned();
        if let Some(known) = known.filter(|known| known.reading == reading.number()) {
            return Ok(known);
        }
        let made = Arc::new(Numbered::read(reading, key)?);
        let mut by_table = self.by_table.lock().unwrap_or_else(PoisonError::into_inner);
        by_table.insert(reading.table().to_owned(), Arc::clone(&made));
        Ok(made)
    }
}

/// The gate of a job: a question to the consents of a moment.
pub struct ConsentGate {
    lens: Lens,
    key: PseudonymKey,
    numberings: Arc<Numberings>,
    pub(super) refused: Arc<AtomicU64>,
}

impl ConsentGate {
    /// A gate that asks this question, under the hospital's key.
    #[must_use]
    pub fn new(lens: Lens, key: PseudonymKey) -> Self {
        Self::remembering(lens, key, Arc::default())
    }

    /// The same, with what is known of the patients of the tables under this key.
    pub(super) fn remembering(lens: Lens, key: PseudonymKey, numberings: Arc<Numberings>) -> Self {
        Self { lens, key, numberings, refused: Arc::default() }
    }
}

impl fmt::Debug for ConsentGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConsentGate")
    }
}

impl RowGate for ConsentGate {
    fn admit(&self, reading: &Reading<'_>) -> Result<Vec<bool>, LocalError> {
        let numbered = self.numberings.of(reading, &self.key)?;
        let permits = |who: &Option<Pseudonym>| who.is_some_and(|who| self.lens.decide(&who).permitted);
        let permitted: Vec<bool> = numbered.patients.iter().map(permits).collect();
        let is_admitted = |patient: &u32| permitted.get(*patient as usize).copied().unwrap_or(false);
        let admitted: Vec<bool> = numbered.rows.iter().map(is_admitted).collect();
        let refused = admitted.iter().filter(|admitted| !**admitted).count() as u64;
        self.refused.store(refused, Ordering::Relaxed);
        Ok(admitted)
    }
}
