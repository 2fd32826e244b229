//! The gate before a hospital's rows: their patients are numbered once for every reading of a table, and each query asks
//! once for each patient. Nothing that was decided is kept: what a patient says holds from the next question on.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::consent::{Lens, Place, Pseudonym, PseudonymKey};
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
    /// Where they were in the index of consents when it was last asked.
    places: Mutex<Vec<Place>>,
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
        let places = Mutex::new(vec![Place::NONE; patients.len()]);
        Ok(Self { reading: reading.number(), rows, patients, places })
    }

    /// Asks for every patient, in the order of their numbers.
    fn permitted(&self, lens: &Lens) -> Vec<bool> {
        // A hint that another question is about to mend is as good as one that it has mended: nobody waits.
        let mut places = match self.places.try_lock() {
            Ok(mut known) => std::mem::take(&mut *known),
            Err(_) => Vec::new(),
        };
        places.resize(self.patients.len(), Place::NONE);
        let mut permitted = Vec::with_capacity(self.patients.len());
        for (patient, place) in self.patients.iter().zip(&mut places) {
            let is_permitted = match patient {
                Some(patient) => lens.decide_at(patient, place).permitted,
                None => false,
            };
            permitted.push(is_permitted);
        }
        if let Ok(mut known) = self.places.try_lock() {
            *known = places;
        }
        permitted
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

    /// Another question, with what is known of the patients of the tables.
    #[must_use]
    pub fn again(&self, lens: Lens) -> Self {
        Self::remembering(lens, self.key.clone(), Arc::clone(&self.numberings))
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
        let permitted = numbered.permitted(&self.lens);
        let mut admitted = Vec::with_capacity(numbered.rows.len());
        let mut refused = 0;
        for patient in &numbered.rows {
            let is_admitted = permitted.get(*patient as usize).copied().unwrap_or(false);
            refused += u64::from(!is_admitted);
            admitted.push(is_admitted);
        }
        self.refused.store(refused, Ordering::Relaxed);
        Ok(admitted)
    }
}
