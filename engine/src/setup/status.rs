//! A coordinated ceremony as its members see it.

use serde::{Deserialize, Serialize};

use super::course::{FileRef, Next, PhaseCourse, SetupSpec};
use crate::problem::Problem;
use crate::store::JobState;

/// A file that may be fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetupFile {
    /// Where it goes in a ceremony's folder (`phase1/transcript`).
    pub path: String,
    /// Which it is.
    pub file: FileRef,
}

/// Where a ceremony is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetupStatus {
    /// The job's state.
    pub state: JobState,
    /// What it is for.
    pub spec: SetupSpec,
    /// Both phases.
    pub phases: [PhaseCourse; 2],
    /// What it waits for.
    pub next: Next,
    /// Why the last contribution of this turn did not verify.
    pub refused: Option<Problem>,
    /// Who is still to be asked in this phase, the one whose turn it is first.
    pub row: Vec<String>,
    /// Its files, in the order in which they are to be written.
    pub files: Vec<SetupFile>,
    /// Id of the keys, hexadecimal; empty before they are there.
    pub key: String,
}

impl SetupStatus {
    /// The phase that is on: 1 or 2.
    #[must_use]
    pub fn phase(&self) -> u8 {
        if self.phases[0].is_closed { 2 } else { 1 }
    }

    /// The hospital whose turn it is.
    #[must_use]
    pub fn turn(&self) -> Option<&str> {
        match &self.next {
            Next::Turn { hospital, .. } => Some(hospital),
            _ => None,
        }
    }
}
