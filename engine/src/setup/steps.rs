//! The steps of a ceremony on its folder. Every step verifies all that came before it.

use std::path::{Path, PathBuf};

use rand_core::CryptoRng;
use ward_circuits::catalog::WrittenKey;
use ward_circuits::ceremony::{
    Beacon, Contributor, Error, Phase, Phase1, Phase2, Phase2Files, Relation, Transcript,
};

use super::folder::{PhaseFolder, read, write};
use super::problems;
use super::statements::Known;
use crate::problem::{Problem, ProblemKind};

/// A ceremony's folder, and how few contributors a finished phase may have.
#[derive(Clone, Copy)]
pub struct Ceremony<'a> {
    /// The folder.
    pub root: &'a Path,
    /// Contributors that a closed phase must have.
    pub contributors_min: usize,
}

/// Called with what is being done, and how far it is.
pub type Told<'a> = &'a (dyn Fn(&str, u64, u64) + Sync);

/// What a contributor adds.
pub struct Share<'a, R: CryptoRng> {
    /// Who.
    pub contributor: Contributor,
    /// Entropy of its own; may be empty.
    pub extra: &'a [u8],
    /// The system's.
    pub rng: &'a mut R,
}

/// What a step left.
pub struct Done {
    /// The phase's folder.
    pub folder: PathBuf,
    /// The transcript afterwards.
    pub transcript: Transcript,
}

impl<'a> Ceremony<'a> {
    fn phase1_path(&self) -> PathBuf {
        self.root.join("phase1")
    }

    fn phase2_path(&self, statement: &Known) -> PathBuf {
        self.root.join(&statement.folder)
    }

    fn problem(&self) -> impl Fn(Error) -> Problem + use<'_, 'a> {
        |error| problems::of(self.root, &error)
    }

    /// Begins a first phase for domains of `2^log2` points.
    ///
    /// # Errors
    /// `setup.exists`, `setup.size`, `setup.name`, `setup.file`.
    pub fn begin(&self, name: &str, log2: u8) -> Result<Done, Problem> {
        let phase = Phase1::begin(name, log2).map_err(self.problem())?;
        let folder = PhaseFolder::create(self.phase1_path(), Phase::One)?;
        let _lock = folder.lock()?;
        folder.store(phase.transcript(), &phase.encode_state())?;
        Ok(done(&folder, phase.transcript()))
    }

    /// The first phase, verified.
    ///
    /// # Errors
    /// `setup.not_verified`, `setup.missing`, `setup.file`.
    pub fn verified_first<R: CryptoRng>(
        &self,
        rng: &mut R,
        told: Told<'_>,
    ) -> Result<(PhaseFolder, Phase1), Problem> {
        let folder = PhaseFolder::open(self.phase1_path(), Phase::One)?;
        let transcript = folder.transcript()?;
        let state = folder.state(&transcript)?;
        let report = |done, total| told("verifying phase 1", done, total);
        let phase = Phase1::verify(&transcript.encode(), &state, rng, &report)
            .map_err(|error| problems::of(folder.path(), &error))?;
        Ok((folder, phase))
    }

    /// The second phase of a statement, verified down to the first.
    ///
    /// # Errors
    /// `setup.not_verified`, `setup.missing`, `setup.file`, `setup.circuit`, `setup.phase1`, `setup.open`.
    pub fn verified_second<R: CryptoRng>(
        &self,
        statement: &Known,
        rng: &mut R,
        told: Told<'_>,
    ) -> Result<(PhaseFolder, Phase2), Problem> {
        let folder = PhaseFolder::open(self.phase2_path(statement), Phase::Two)?;
        let transcript = folder.transcript()?;
        let (state, prepared) = (folder.state(&transcript)?, folder.prepared()?);
        let (_, phase1) = self.verified_first(rng, told)?;
        let matrices = (statement.constraints)();
        let relation = Relation::new(&matrices).map_err(self.problem())?;
        let transcript = transcript.encode();
        let files = Phase2Files { prepared: &prepared, transcript: &transcript, state: &state };
        let report = |done, total| told("verifying phase 2", done, total);
        let phase = Phase2::verify(&phase1, (&relation, self.contributors_min), files, rng, &report)
            .map_err(|error| problems::of(folder.path(), &error))?;
        if phase.transcript().ceremony() != statement.name {
            let message =
                format!("{} is the ceremony of {}", folder.path().display(), phase.transcript().ceremony());
            return Err(Problem::new(ProblemKind::Validation, "setup.file", message)
                .hint("fetch the folder again from whoever sent it"));
        }
        Ok((folder, phase))
    }

    /// Contributes to the first phase, or to the second of a statement.
    ///
    /// # Errors
    /// `setup.closed`, `setup.busy`, and what the verification says.
    pub fn contribute<R: CryptoRng>(
        &self,
        statement: Option<&Known>,
        share: Share<'_, R>,
        told: Told<'_>,
    ) -> Result<Done, Problem> {
        let report = |done, total| told("multiplying", done, total);
        let Share { contributor, extra, rng } = share;
        let Some(statement) = statement else {
            let _lock = PhaseFolder::open(self.phase1_path(), Phase::One)?.lock()?;
            let (folder, phase) = self.verified_first(rng, told)?;
            let next = phase.contribute(&contributor, rng, extra, &report).map_err(self.problem())?;
            folder.store(next.transcript(), &next.encode_state())?;
            return Ok(done(&folder, next.transcript()));
        };
        let _lock = PhaseFolder::open(self.phase2_path(statement), Phase::Two)?.lock()?;
        let (folder, phase) = self.verified_second(statement, rng, told)?;
        let next = phase.contribute(&contributor, rng, extra, &report).map_err(self.problem())?;
        folder.store(next.transcript(), &next.encode_state())?;
        Ok(done(&folder, next.transcript()))
    }

    /// Closes the first phase, or the second of a statement, with a public value.
    ///
    /// # Errors
    /// `setup.contributors`, `setup.closed`, `setup.busy`, and what the verification says.
    pub fn close<R: CryptoRng>(
        &self,
        statement: Option<&Known>,
        beacon: &Beacon,
        rng: &mut R,
        told: Told<'_>,
    ) -> Result<Done, Problem> {
        let report = |done, total| told("applying the beacon", done, total);
        let few = |found| Error::Contributors { found, needed: self.contributors_min };
        let enough = |transcript: &Transcript| match transcript.contributors() {
            found if found < self.contributors_min => Err(self.problem()(few(found))),
            _ => Ok(()),
        };
        let Some(statement) = statement else {
            let _lock = PhaseFolder::open(self.phase1_path(), Phase::One)?.lock()?;
            let (folder, phase) = self.verified_first(rng, told)?;
            enough(phase.transcript())?;
            let next = phase.close(beacon, &report).map_err(self.problem())?;
            folder.store(next.transcript(), &next.encode_state())?;
            return Ok(done(&folder, next.transcript()));
        };
        let _lock = PhaseFolder::open(self.phase2_path(statement), Phase::Two)?.lock()?;
        let (folder, phase) = self.verified_second(statement, rng, told)?;
        enough(phase.transcript())?;
        let next = phase.close(beacon, &report).map_err(self.problem())?;
        folder.store(next.transcript(), &next.encode_state())?;
        Ok(done(&folder, next.transcript()))
    }

    /// Begins the second phase of a statement from the closed first.
    ///
    /// # Errors
    /// `setup.open`, `setup.capacity`, `setup.exists`, and what the verification says.
    pub fn prepare<R: CryptoRng>(
        &self,
        statement: &Known,
        rng: &mut R,
        told: Told<'_>,
    ) -> Result<Done, Problem> {
        let folder = PhaseFolder::create(self.phase2_path(statement), Phase::Two)?;
        let _lock = folder.lock()?;
        let (_, phase1) = self.verified_first(rng, told)?;
        let matrices = (statement.constraints)();
        let relation = Relation::new(&matrices).map_err(self.problem())?;
        let report = |done, total| told("preparing the keys", done, total);
        let phase = Phase2::begin(statement.name, &phase1, &relation, self.contributors_min, &report)
            .map_err(self.problem())?;
        folder.store_prepared(&phase.encode_prepared())?;
        folder.store(phase.transcript(), &phase.encode_state())?;
        Ok(done(&folder, phase.transcript()))
    }

    /// Verifies everything and writes the keys of a statement into `out`.
    ///
    /// # Errors
    /// `setup.open`, `setup.contributors`, and what the verification says.
    pub fn finalise<R: CryptoRng>(
        &self,
        statement: &Known,
        out: &Path,
        rng: &mut R,
        told: Told<'_>,
    ) -> Result<(Done, WrittenKey), Problem> {
        let (folder, phase) = self.verified_second(statement, rng, told)?;
        let parts = phase.finish(self.contributors_min).map_err(self.problem())?;
        let matrices = (statement.constraints)();
        let keys = (statement.keys)(&matrices, &parts).map_err(|error| Problem::internal(&error))?;
        std::fs::create_dir_all(out).map_err(|e| {
            Problem::new(ProblemKind::Validation, "setup.file", format!("{}: {e}", out.display()))
        })?;
        write(&out.join(format!("{}.verifying-key", statement.folder)), &keys.verifying)?;
        write(&out.join(format!("{}.proving-key", statement.folder)), &keys.proving)?;
        Ok((done(&folder, phase.transcript()), keys))
    }

    /// The transcripts in the folder as they are, not verified: the first phase's, then one for each statement.
    ///
    /// # Errors
    /// `setup.missing`, `setup.file`.
    pub fn transcripts(&self, statements: &[Known]) -> Result<Vec<Done>, Problem> {
        let first = PhaseFolder::open(self.phase1_path(), Phase::One)?;
        let mut all = vec![done(&first, &first.transcript()?)];
        for statement in statements {
            if let Ok(folder) = PhaseFolder::open(self.phase2_path(statement), Phase::Two) {
                all.push(done(&folder, &folder.transcript()?));
            }
        }
        Ok(all)
    }
}

fn done(folder: &PhaseFolder, transcript: &Transcript) -> Done {
    Done { folder: folder.path().to_owned(), transcript: transcript.clone() }
}

/// What vouches for a contributor: SHA-256 of a file, mostly a certificate; zeros without one.
///
/// # Errors
/// `setup.file`.
pub fn attestation(file: Option<&Path>) -> Result<[u8; 32], Problem> {
    use sha2::Digest as _;
    match file {
        Some(path) => Ok(sha2::Sha256::digest(read(path)?).into()),
        None => Ok([0; 32]),
    }
}
