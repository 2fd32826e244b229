//! A ceremony that the engine coordinates, as the list of what happened in it.
//!
//! Whose turn it is follows from the list and from nothing else. A phase asks the hospitals in their order. Whoever does
//! not contribute within its turn goes to the end of the row and is asked once more; after that the phase goes on without
//! it. When nobody is left to ask, the phase waits for its beacon, which the operator gives after the announced time.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::encoding::{Digest, HexBytes};
use crate::problem::Problem;

/// Contributions of one turn that may fail to verify: then the turn passes on.
pub const REFUSED_MAX: usize = 3;

/// What a ceremony is for, as the operator starts it. Its canonical JSON is the job's request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetupSpec {
    /// 1.
    pub version: u32,
    /// The job.
    pub id: String,
    /// The consortium.
    pub consortium: String,
    /// The operator who started it.
    pub operator: String,
    /// Name of the ceremony, which every contribution to the first phase is bound to.
    pub name: String,
    /// The statement (`ward/eligibility/1`).
    pub statement: String,
    /// Logarithm of the size.
    pub size: u8,
    /// The hospitals, in the order in which they are asked.
    pub order: Vec<String>,
    /// Contributors that each phase must have.
    pub at_least: u32,
    /// How long a turn lasts, milliseconds.
    pub turn_ms: u64,
    /// What closes the first phase, and the second.
    pub beacons: [Announced; 2],
}

/// A beacon, as it is announced before anybody contributes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Announced {
    /// Which value it will be, in words: a round of a public beacon, a block's hash.
    pub source: String,
    /// Not before (unix milliseconds).
    pub not_before_unix_ms: u64,
}

/// A file by its digest and length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRef {
    /// SHA-256.
    pub digest: Digest,
    /// Bytes.
    pub bytes: u64,
}

/// The files of a phase after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhaseFiles {
    /// The transcript.
    pub transcript: FileRef,
    /// The state.
    pub state: FileRef,
    /// What a second phase starts from.
    pub prepared: Option<FileRef>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case", deny_unknown_fields)]
pub enum Step {
    /// The engine began a phase: the first, or the second once the first is closed.
    Begun {
        /// Its files.
        files: PhaseFiles,
    },
    /// A hospital sent its contribution, which nobody has verified.
    Offered {
        /// The hospital.
        hospital: String,
        /// The transcript with it.
        transcript: FileRef,
        /// The state that it left.
        state: FileRef,
        /// Hash of the contribution.
        hash: Digest,
        /// The hospital's signature of it.
        signature: HexBytes,
    },
    /// The contribution that was offered verifies: it is part of the ceremony.
    Accepted,
    /// It does not.
    Refused {
        /// Why.
        problem: Problem,
    },
    /// The turn passed on.
    Passed {
        /// Whose it was.
        hospital: String,
    },
    /// The operator gave the beacon's value.
    Beacon {
        /// The value.
        value: HexBytes,
        /// Logarithm of the number of times that it is hashed.
        iterations_log2: u8,
        /// Who gave it.
        by: String,
    },
    /// The phase is closed by the beacon.
    Closed {
        /// Its files.
        files: PhaseFiles,
    },
    /// The keys are there.
    Finished {
        /// Id of the key.
        key: Digest,
        /// The verifying key.
        verifying: FileRef,
        /// The proving key.
        proving: FileRef,
    },
}

/// A contribution that is part of the ceremony.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contributed {
    /// The hospital.
    pub hospital: String,
    /// Hash of the contribution.
    pub hash: Digest,
    /// The hospital's signature of it.
    pub signature: HexBytes,
}

/// A contribution that waits to be verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// Whose it is.
    pub contributed: Contributed,
    /// The transcript with it.
    pub transcript: FileRef,
    /// The state that it left.
    pub state: FileRef,
}

/// A phase so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhaseCourse {
    /// Its files; none before it began.
    pub files: Option<PhaseFiles>,
    /// Who contributed, in order.
    pub contributed: Vec<Contributed>,
    /// Turns that passed without a contribution, in order.
    pub passed: Vec<String>,
    /// Whether it is closed.
    pub is_closed: bool,
}

/// What the engine has to do, or wait for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "for", rename_all = "snake_case")]
pub enum Next {
    /// Begin the phase.
    Begin,
    /// Verify a contribution.
    Check(Offer),
    /// Wait for a hospital until that time (unix milliseconds).
    Turn {
        /// Whose turn it is.
        hospital: String,
        /// Until when.
        until_ms: u64,
    },
    /// Pass the turn on.
    Pass {
        /// Whose it was.
        hospital: String,
    },
    /// Too few contributed, and nobody is left to ask.
    Few {
        /// How many did.
        found: usize,
    },
    /// Wait for the beacon, not before that time.
    Beacon {
        /// Not before (unix milliseconds).
        not_before_ms: u64,
    },
    /// Close the phase with this value.
    Close {
        /// The value.
        value: HexBytes,
        /// Logarithm of the number of times that it is hashed.
        iterations_log2: u8,
    },
    /// Write the keys.
    Finish,
    /// Nothing: the keys are there.
    End,
}

/// Where a ceremony is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Course<'a> {
    spec: &'a SetupSpec,
    /// Both phases.
    pub phases: [PhaseCourse; 2],
    /// Id and files of the keys, once they are there.
    pub keys: Option<(Digest, FileRef, FileRef)>,
    row: VecDeque<String>,
    turn_ms: u64,
    refused: usize,
    offer: Option<Offer>,
    beacon: Option<(HexBytes, u8)>,
}

impl<'a> Course<'a> {
    /// Follows what happened, each with its time (unix milliseconds). What does not fit is passed over: only the engine
    /// writes the list.
    #[must_use]
    pub fn of(spec: &'a SetupSpec, steps: impl IntoIterator<Item = (u64, Step)>) -> Self {
        let mut course = Self {
            spec,
            phases: Default::default(),
            keys: None,
            row: VecDeque::new(),
            turn_ms: 0,
            refused: 0,
            offer: None,
            beacon: None,
        };
        for (at_ms, step) in steps {
            course.take(at_ms, step);
        }
        course
    }

    fn take(&mut self, at_ms: u64, step: Step) {
        let phase = self.phase_index();
        match step {
            Step::Begun { files } => {
                self.phases[phase].files = Some(files);
                self.row = self.spec.order.iter().cloned().collect();
                self.begin_turn(at_ms);
            }
            Step::Offered { hospital, transcript, state, hash, signature } => {
                let contributed = Contributed { hospital, hash, signature };
                self.offer = Some(Offer { contributed, transcript, state });
            }
            Step::Accepted => {
                let Some(offer) = self.offer.take() else { return };
                let phase = &mut self.phases[phase];
                let prepared = phase.files.and_then(|files| files.prepared);
                phase.files = Some(PhaseFiles { transcript: offer.transcript, state: offer.state, prepared });
                phase.contributed.push(offer.contributed);
                self.row.pop_front();
                self.begin_turn(at_ms);
            }
            Step::Refused { .. } => {
                self.offer = None;
                self.refused += 1;
            }
            Step::Passed { hospital } => {
                self.row.pop_front();
                let passed = &mut self.phases[phase].passed;
                if !passed.contains(&hospital) {
                    self.row.push_back(hospital.clone());
                }
                passed.push(hospital);
                self.begin_turn(at_ms);
            }
            Step::Beacon { value, iterations_log2, .. } => self.beacon = Some((value, iterations_log2)),
            Step::Closed { files } => {
                let phase = &mut self.phases[phase];
                (phase.files, phase.is_closed) = (Some(files), true);
                self.beacon = None;
            }
            Step::Finished { key, verifying, proving } => self.keys = Some((key, verifying, proving)),
        }
    }

    fn begin_turn(&mut self, at_ms: u64) {
        (self.turn_ms, self.refused) = (at_ms, 0);
    }

    fn phase_index(&self) -> usize {
        usize::from(self.phases[0].is_closed)
    }

    /// The phase that is on: 1 or 2.
    #[must_use]
    pub fn phase(&self) -> u8 {
        if self.phases[0].is_closed { 2 } else { 1 }
    }

    /// The phase that is on, so far.
    #[must_use]
    pub fn current(&self) -> &PhaseCourse {
        &self.phases[self.phase_index()]
    }

    /// Who is still to be asked in this phase, the one whose turn it is first.
    pub fn row(&self) -> impl Iterator<Item = &str> {
        self.row.iter().map(String::as_str)
    }

    /// What comes next, at that time (unix milliseconds).
    #[must_use]
    pub fn next(&self, now_ms: u64) -> Next {
        let phase = self.current();
        if self.keys.is_some() {
            return Next::End;
        }
        if self.phases[1].is_closed {
            return Next::Finish;
        }
        if phase.files.is_none() {
            return Next::Begin;
        }
        if let Some(offer) = &self.offer {
            return Next::Check(offer.clone());
        }
        if let Some(hospital) = self.row.front().cloned() {
            let until_ms = self.turn_ms.saturating_add(self.spec.turn_ms);
            let is_over = now_ms >= until_ms || self.refused >= REFUSED_MAX;
            return if is_over { Next::Pass { hospital } } else { Next::Turn { hospital, until_ms } };
        }
        if phase.contributed.len() < self.spec.at_least as usize {
            return Next::Few { found: phase.contributed.len() };
        }
        match &self.beacon {
            Some((value, iterations_log2)) => {
                Next::Close { value: value.clone(), iterations_log2: *iterations_log2 }
            }
            None => {
                let announced = &self.spec.beacons[self.phase_index()];
                Next::Beacon { not_before_ms: announced.not_before_unix_ms }
            }
        }
    }
}
