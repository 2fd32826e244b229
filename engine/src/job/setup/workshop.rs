//! The engine's own steps of a ceremony, on a folder that is made of blobs and goes when the step is done.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ward_circuits::ceremony::{Beacon, Phase, Transcript};

use crate::encoding::Digest;
use crate::job::Engine;
use crate::problem::{Problem, ProblemKind};
use crate::setup::course::{Course, FileRef, Next, Offer, PhaseFiles, SetupSpec, Step};
use crate::setup::folder::{PhaseFolder, read};
use crate::setup::statements::{Known, find_in};
use crate::setup::steps::{Ceremony, Told};
use crate::setup::{problems, system_rng};
use crate::store::{Blobs, Scratch};

/// Nobody watches the engine at work.
const QUIET: Told<'static> = &|_, _, _| ();

/// A folder with a ceremony's files, and what it is for.
pub(super) struct Workshop {
    blobs: Arc<Blobs>,
    folder: Scratch,
    spec: SetupSpec,
    statement: Known,
    /// The phase that is on, and what it has so far.
    phase: u8,
    files: Option<PhaseFiles>,
}

impl Workshop {
    /// Lays out what the ceremony has so far.
    pub(super) fn new(engine: &Engine, spec: &SetupSpec, course: &Course<'_>) -> Result<Self, Problem> {
        let statement = find_in(&engine.statements, &spec.statement)?;
        let workshop = Self {
            blobs: engine.blobs.clone(),
            folder: engine.blobs.scratch()?,
            spec: spec.clone(),
            phase: course.phase(),
            files: course.current().files,
            statement,
        };
        for (number, phase) in (1u8..).zip(&course.phases) {
            if let Some(files) = &phase.files {
                workshop.lay_out(number, files)?;
            }
        }
        Ok(workshop)
    }

    fn phase_path(&self, number: u8) -> PathBuf {
        let name = if number == 1 { "phase1" } else { self.statement.folder.as_str() };
        self.folder.path().join(name)
    }

    fn lay_out(&self, number: u8, files: &PhaseFiles) -> Result<(), Problem> {
        let path = self.phase_path(number);
        let kind = if number == 1 { Phase::One } else { Phase::Two };
        let transcript = self.blobs.get(&files.transcript.digest, files.transcript.bytes)?;
        let transcript = Transcript::decode(kind, &transcript).map_err(|e| problems::of(&path, &e))?;
        let state = PhaseFolder::state_name(transcript.contributions().len());
        self.blobs.link(&files.transcript.digest, &path.join("transcript"))?;
        self.blobs.link(&files.state.digest, &path.join(state))?;
        if let Some(prepared) = files.prepared {
            self.blobs.link(&prepared.digest, &path.join("prepared"))?;
        }
        Ok(())
    }

    /// Does what comes next, on a thread of its own.
    ///
    /// # Errors
    /// Storage; whatever of the ceremony's own files does not verify.
    pub(super) async fn step(self, next: Next) -> Result<Step, Problem> {
        let done = tokio::task::spawn_blocking(move || self.take(&next)).await;
        done.map_err(|e| Problem::internal(&e))?
    }

    fn ceremony(&self) -> Ceremony<'_> {
        Ceremony { root: self.folder.path(), contributors_min: self.spec.at_least as usize }
    }

    fn second(&self) -> Option<&Known> {
        (self.phase == 2).then_some(&self.statement)
    }

    fn take(&self, next: &Next) -> Result<Step, Problem> {
        let rng = &mut system_rng()?;
        match next {
            Next::Begin if self.phase == 1 => {
                self.ceremony().begin(&self.spec.name, self.spec.size)?;
                Ok(Step::Begun { files: self.collect()? })
            }
            Next::Begin => {
                self.ceremony().prepare(&self.statement, rng, QUIET)?;
                Ok(Step::Begun { files: self.collect()? })
            }
            Next::Check(offer) => Ok(match self.check(offer) {
                Ok(()) => Step::Accepted,
                // A disk that fails is nobody's contribution.
                Err(problem) if problem.kind == ProblemKind::Internal => return Err(problem),
                Err(problem) => Step::Refused {
                    problem: Problem { message: clean(&problem, self.folder.path()), ..problem },
                },
            }),
            Next::Close { value, iterations_log2 } => {
                let beacon = Beacon::new(&value.0, *iterations_log2);
                let beacon = beacon.map_err(|e| problems::of(self.folder.path(), &e))?;
                self.ceremony().close(self.second(), &beacon, rng, QUIET)?;
                Ok(Step::Closed { files: self.collect()? })
            }
            Next::Finish => {
                let out = self.folder.path().join("keys");
                let (_, keys) = self.ceremony().finalise(&self.statement, &out, rng, QUIET)?;
                let file = |kind: &str| self.keep(&out.join(format!("{}.{kind}", self.statement.folder)));
                let (verifying, proving) = (file("verifying-key")?, file("proving-key")?);
                Ok(Step::Finished { key: Digest(keys.id.0), verifying, proving })
            }
            other => Err(Problem::internal(&format!("nothing to do for {other:?}"))),
        }
    }

    /// Verifies a contribution: it continues the transcript by exactly one contribution of this hospital, and all of it holds.
    fn check(&self, offer: &Offer) -> Result<(), Problem> {
        let rng = &mut system_rng()?;
        let path = self.phase_path(self.phase);
        let kind = if self.phase == 1 { Phase::One } else { Phase::Two };
        let before = PhaseFolder::open(path.clone(), kind)?.transcript()?;
        for file in
            [path.join("transcript"), path.join(PhaseFolder::state_name(before.contributions().len()))]
        {
            std::fs::remove_file(&file).map_err(|e| Problem::internal(&e))?;
        }
        let prepared = self.files.and_then(|files| files.prepared);
        if prepared.is_some() {
            std::fs::remove_file(path.join("prepared")).map_err(|e| Problem::internal(&e))?;
        }
        self.lay_out(self.phase, &PhaseFiles { transcript: offer.transcript, state: offer.state, prepared })?;
        let after = PhaseFolder::open(path, kind)?.transcript()?;
        super::submit::check_continues(&before, &after, &offer.contributed.hospital)?;
        match self.second() {
            None => self.ceremony().verified_first(rng, QUIET).map(drop),
            Some(statement) => self.ceremony().verified_second(statement, rng, QUIET).map(drop),
        }
    }

    /// The files of the phase that is on, as blobs.
    fn collect(&self) -> Result<PhaseFiles, Problem> {
        let path = self.phase_path(self.phase);
        let kind = if self.phase == 1 { Phase::One } else { Phase::Two };
        let transcript = PhaseFolder::open(path.clone(), kind)?.transcript()?;
        let state = PhaseFolder::state_name(transcript.contributions().len());
        let prepared = path.join("prepared");
        Ok(PhaseFiles {
            transcript: self.keep(&path.join("transcript"))?,
            state: self.keep(&path.join(state))?,
            prepared: if prepared.is_file() { Some(self.keep(&prepared)?) } else { None },
        })
    }

    fn keep(&self, path: &Path) -> Result<FileRef, Problem> {
        let bytes = read(path)?;
        Ok(FileRef { digest: self.blobs.put(&bytes)?, bytes: bytes.len() as u64 })
    }
}

/// A message without the place where the engine worked.
fn clean(problem: &Problem, root: &Path) -> String {
    let root = format!("{}/", root.display());
    problem.message.replace(&root, "")
}
