//! What members bring to a ceremony: its start, files piece by piece, contributions, beacons.

use ward_circuits::ceremony::{Phase, Source, Transcript};

use super::super::audit_event;
use super::Steps;
use crate::clock::{now_ms, utc};
use crate::encoding::{Digest, HexBytes, canonical_json};
use crate::identity::authorize::Resource;
use crate::identity::{Principal, Role, Signature, clip, random};
use crate::job::Engine;
use crate::problem::{Problem, ProblemKind};
use crate::setup::course::{Announced, Course, FileRef, Next, SetupSpec, Step};
use crate::setup::{CONTRIBUTION, problems, statements};
use crate::store::{Job, JobId, JobKind, NewJob, PartialKey, PartialWriter, StoreError, blocking};

/// Largest file of a ceremony.
pub const FILE_BYTES_MAX: u64 = crate::setup::folder::FILE_BYTES_MAX;
/// Longest ceremony, milliseconds: 180 days.
const TIME_LIMIT_MS_MAX: u64 = 180 * 86_400_000;
/// Shortest and longest turn, milliseconds.
const TURN_MS: std::ops::RangeInclusive<u64> = 1_000..=30 * 86_400_000;
/// Hospitals of a ceremony at most.
const ORDER_MAX: usize = 256;

/// A ceremony to be started.
#[derive(Clone, Debug)]
pub struct NewSetup {
    /// Its name.
    pub name: String,
    /// The statement, in full or as on the command line.
    pub statement: String,
    /// Logarithm of the size; 0 for the least that serves the statement.
    pub size: u8,
    /// The hospitals in their order; empty for all, by name.
    pub order: Vec<String>,
    /// Contributors that each phase must have; 0 for all of them.
    pub at_least: u32,
    /// How long a turn lasts, milliseconds.
    pub turn_ms: u64,
    /// What closes the two phases.
    pub beacons: [Announced; 2],
    /// How long the whole may last, milliseconds.
    pub time_limit_ms: u64,
}

/// A contribution that a hospital sent.
#[derive(Clone, Debug)]
pub struct Offered {
    /// The transcript with it.
    pub transcript: FileRef,
    /// The state that it left.
    pub state: FileRef,
    /// The hospital's signature of the contribution's hash, in the context [`CONTRIBUTION`] after the job's id.
    pub signature: Vec<u8>,
}

fn invalid(code: &str, message: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::Validation, code, message)
}

/// Checks that a transcript is another and one more contribution, by that hospital.
pub(super) fn check_continues(
    before: &Transcript,
    after: &Transcript,
    hospital: &str,
) -> Result<(), Problem> {
    let continues = (before.ceremony(), before.origin()) == (after.ceremony(), after.origin())
        && after.contributions().len() == before.contributions().len() + 1
        && after.contributions().starts_with(before.contributions());
    if !continues {
        let message = "the contribution does not continue the transcript by exactly one contribution";
        return Err(Problem::new(ProblemKind::Conflict, "setup.continuation", message)
            .hint("somebody contributed in between: contribute again"));
    }
    match after.contributions().last().map(|last| last.source()) {
        Some(Source::Party(contributor)) if contributor.name() == hospital => Ok(()),
        _ => Err(invalid("setup.name", format!("the contribution is not in the name of {hospital}"))
            .hint("a hospital contributes under the name that it is enrolled by")),
    }
}

impl Engine {
    /// Starts a ceremony.
    ///
    /// # Errors
    /// [`Problem`] for another role than operator, unknown hospitals, a statement that there is not, a size, a turn or a
    /// number of contributors that cannot be.
    pub async fn start_setup(&self, caller: &Principal, new: NewSetup) -> Result<Job, Problem> {
        self.authorize(caller, "ceremony.hold", Resource::consortium(&self.consortium)).await?;
        let order = self.setup_order(new.order).await?;
        let at_least = if new.at_least == 0 { order.len() } else { new.at_least as usize };
        if at_least == 0 || at_least > order.len() {
            let message = format!("{at_least} contributors of {} hospitals are not possible", order.len());
            return Err(invalid("setup.at_least", message).hint("1 at least, all of them at most"));
        }
        if !TURN_MS.contains(&new.turn_ms) {
            return Err(invalid("setup.turn_length", format!("a turn of {} ms", new.turn_ms))
                .hint("a second at least, 30 days at most"));
        }
        if new.beacons.iter().any(|beacon| beacon.source.is_empty() || beacon.source.len() > 512) {
            return Err(invalid("setup.beacon", "a beacon is announced by 1 to 512 bytes of text")
                .hint("say which value it will be: a round of a public beacon, the hash of a block"));
        }
        let known = statements::find_in(&self.statements, &new.statement)?;
        let size = self.setup_size(&known, new.size).await?;
        let now = now_ms();
        let id = JobId::new(now, random::<10>().map_err(|e| Problem::internal(&e))?);
        let spec = SetupSpec {
            version: 1,
            id: id.to_string(),
            consortium: self.consortium.clone(),
            operator: caller.name.clone(),
            name: new.name,
            statement: known.name.to_owned(),
            size,
            order,
            at_least: at_least as u32,
            turn_ms: new.turn_ms,
            beacons: new.beacons,
        };
        ward_circuits::ceremony::Contributor::new(&spec.name, [0; 32])
            .map_err(|e| problems::of(std::path::Path::new("name"), &e))?;
        let limit_ms = new.time_limit_ms.clamp(1_000, TIME_LIMIT_MS_MAX);
        let job =
            NewJob::of_request((id, JobKind::Setup), &caller.name, canonical_json(&spec), (now, limit_ms));
        let job = job.map_err(|e| Problem::internal(&e))?;
        self.queue(NewJob { context: crate::job::submit::asked_by(caller), ..job }).await
    }

    /// The hospitals that are asked.
    async fn setup_order(&self, order: Vec<String>) -> Result<Vec<String>, Problem> {
        let members = blocking(&self.store, |s| s.members()).await?;
        let hospitals: Vec<String> = members
            .into_iter()
            .filter(|m| m.role == Role::Hospital && m.revoked_ms.is_none())
            .map(|m| m.name)
            .collect();
        let order = if order.is_empty() { hospitals.clone() } else { order };
        if order.len() > ORDER_MAX {
            return Err(invalid("setup.order", format!("{} hospitals, at most {ORDER_MAX}", order.len()))
                .hint("name fewer hospitals"));
        }
        for (at, name) in order.iter().enumerate() {
            if !hospitals.contains(name) {
                let message = format!("no hospital is enrolled as {}", clip(name));
                return Err(
                    Problem::new(ProblemKind::NotFound, "member.unknown", message).hint("see `ward parties`")
                );
            }
            if order[..at].contains(name) {
                return Err(
                    invalid("setup.order", format!("{name} is named twice")).hint("name each hospital once")
                );
            }
        }
        Ok(order)
    }

    /// The size that was asked for, which serves the statement; or the least that does.
    async fn setup_size(&self, known: &statements::Known, asked: u8) -> Result<u8, Problem> {
        let constraints = known.constraints.clone();
        let domain = tokio::task::spawn_blocking(move || constraints().domain_size()).await;
        let domain = domain.map_err(|e| Problem::internal(&e))?;
        let least = u8::try_from(domain.trailing_zeros()).unwrap_or(u8::MAX).max(1);
        let size = if asked == 0 { least } else { asked };
        if size < least || size > ward_circuits::ceremony::SIZE_LOG2_MAX {
            let message = format!("{} needs a size of {least}, and {size} was asked for", known.folder);
            return Err(invalid("setup.size", message).hint("leave --size out; 20 is the largest there is"));
        }
        Ok(size)
    }

    /// The spec of a ceremony, what happened in it, and its job.
    pub(super) async fn setup(&self, job: &JobId) -> Result<(Job, SetupSpec, Steps), Problem> {
        let id = job.clone();
        let found = blocking(&self.store, move |s| s.job(&id)).await?;
        let found = found.filter(|found| found.summary.kind == JobKind::Setup).ok_or_else(|| {
            Problem::new(ProblemKind::NotFound, "setup.unknown", format!("there is no ceremony {job}"))
                .hint("the operator who started it has its job id")
        })?;
        let spec = serde_json::from_str(&found.plan).map_err(|e| Problem::internal(&e))?;
        let steps = self.setup_steps(job).await?;
        Ok((found, spec, steps))
    }

    /// Checks that it is a hospital's turn.
    async fn setup_turn(&self, caller: &Principal, job: &JobId) -> Result<(SetupSpec, Steps), Problem> {
        let (found, spec, steps) = self.setup(job).await?;
        if found.summary.state.is_terminal() {
            return Err(Problem::new(
                ProblemKind::Conflict,
                "setup.ended",
                format!("the ceremony is {}", found.summary.state),
            )
            .hint("`ward setup status --job JOB` says how it ended"));
        }
        let next = Course::of(&spec, steps.iter().cloned()).next(now_ms());
        let whose = match next {
            Next::Turn { hospital, .. } if hospital == caller.name => return Ok((spec, steps)),
            Next::Turn { hospital, until_ms } => {
                format!("it is the turn of {hospital}, until {}", utc(until_ms))
            }
            Next::Check(offer) => {
                format!("the contribution of {} is being verified", offer.contributed.hospital)
            }
            _ => "it is nobody's turn now".to_owned(),
        };
        Err(Problem::new(ProblemKind::Conflict, "setup.turn", whose)
            .hint("`ward setup status --job JOB` says whose turn it is; contribute when it is yours"))
    }

    fn partial_of(caller: &Principal, job: &JobId, file: FileRef) -> Result<PartialKey, Problem> {
        if file.bytes > FILE_BYTES_MAX {
            return Err(invalid("setup.file", format!("{} bytes, at most {FILE_BYTES_MAX}", file.bytes))
                .hint("no file of a ceremony is that large"));
        }
        Ok(PartialKey { job: job.clone(), owner: caller.name.clone(), id: file.digest, bytes: file.bytes })
    }

    /// How many bytes of a file have arrived, of the hospital whose turn it is.
    ///
    /// # Errors
    /// `setup.turn`, `setup.unknown`, `setup.ended`, `setup.file`.
    pub async fn setup_arrived(
        &self,
        caller: &Principal,
        job: &JobId,
        file: FileRef,
    ) -> Result<u64, Problem> {
        self.setup_turn(caller, job).await?;
        Ok(self.blobs.arrived(&Self::partial_of(caller, job, file)?))
    }

    /// Opens a file for adding, of the hospital whose turn it is.
    ///
    /// # Errors
    /// As [`Self::setup_arrived`]; `setup.offset` when it does not go on there.
    pub async fn setup_add_to(
        &self,
        caller: &Principal,
        job: &JobId,
        (file, offset): (FileRef, u64),
    ) -> Result<PartialWriter, Problem> {
        self.setup_turn(caller, job).await?;
        let key = Self::partial_of(caller, job, file)?;
        tokio::task::block_in_place(|| self.blobs.add_to(&key, offset)).map_err(|error| match error {
            StoreError::Conflict { .. } => {
                Problem::new(ProblemKind::Conflict, "setup.offset", error.to_string())
                    .hint("ask how many bytes have arrived, and go on there")
            }
            other => other.into(),
        })
    }

    /// Takes in a contribution whose files have arrived; a worker verifies it.
    ///
    /// # Errors
    /// `setup.turn`, `setup.upload` when a file is missing or damaged, `setup.continuation`, `setup.signature`.
    pub async fn offer_setup(
        &self,
        caller: &Principal,
        job: &JobId,
        offered: Offered,
    ) -> Result<(), Problem> {
        let (spec, steps) = self.setup_turn(caller, job).await?;
        let course = Course::of(&spec, steps.iter().cloned());
        let files = course
            .current()
            .files
            .ok_or_else(|| Problem::internal(&"a turn in a phase that has not begun"))?;
        let phase = if course.phase() == 1 { Phase::One } else { Phase::Two };
        let keys = [
            Self::partial_of(caller, job, offered.transcript)?,
            Self::partial_of(caller, job, offered.state)?,
        ];
        let kept = |e: StoreError| {
            Problem::new(ProblemKind::Conflict, "setup.upload", e.to_string()).hint("send the file again")
        };
        let (before, after) = tokio::task::block_in_place(|| {
            keys.iter().try_for_each(|key| self.blobs.keep_partial(key).map(drop).map_err(kept))?;
            let read = |file: FileRef| {
                let bytes = self.blobs.get(&file.digest, file.bytes)?;
                Transcript::decode(phase, &bytes)
                    .map_err(|e| problems::of(std::path::Path::new("transcript"), &e))
            };
            Ok::<_, Problem>((read(files.transcript)?, read(offered.transcript)?))
        })?;
        check_continues(&before, &after, &caller.name)?;
        let hash = Digest(after.head());
        let member = self.member_key(&caller.name).await?;
        let signed = Signature::from_slice(&offered.signature)
            .is_some_and(|s| member.verify(CONTRIBUTION, &[spec.id.as_bytes(), &hash.0], &s).is_ok());
        if !signed {
            return Err(invalid(
                "setup.signature",
                "the contribution's hash is not signed by the hospital's key",
            )
            .hint("contribute with the key that the hospital is enrolled by"));
        }
        let step = Step::Offered {
            hospital: caller.name.clone(),
            transcript: offered.transcript,
            state: offered.state,
            hash,
            signature: HexBytes(offered.signature),
        };
        self.member_step(caller, job, (steps.len(), &step), "setup.contribute").await
    }

    /// Takes the value of a phase's beacon.
    ///
    /// # Errors
    /// `setup.too_early` before the announced time, `setup.order` while hospitals are asked, `setup.beacon`.
    pub async fn setup_beacon(
        &self,
        caller: &Principal,
        job: &JobId,
        (value, iterations_log2): (Vec<u8>, u8),
    ) -> Result<(), Problem> {
        self.authorize(caller, "ceremony.hold", Resource::consortium(&self.consortium)).await?;
        ward_circuits::ceremony::Beacon::new(&value, iterations_log2)
            .map_err(|e| problems::of(std::path::Path::new("beacon"), &e))?;
        let (_, spec, steps) = self.setup(job).await?;
        let now = now_ms();
        match Course::of(&spec, steps.iter().cloned()).next(now) {
            Next::Beacon { not_before_ms } if now >= not_before_ms => {}
            Next::Beacon { not_before_ms } => {
                let message = format!("the beacon is announced for {}", utc(not_before_ms));
                return Err(Problem::new(ProblemKind::Conflict, "setup.too_early", message).hint(
                    "nobody may know the value while hospitals contribute: wait until it is published",
                ));
            }
            _ => {
                return Err(Problem::new(
                    ProblemKind::Conflict,
                    "setup.no_beacon",
                    "no phase waits for its beacon",
                )
                .hint("`ward setup status --job JOB` says what it waits for"));
            }
        }
        let step = Step::Beacon { value: HexBytes(value), iterations_log2, by: caller.name.clone() };
        self.member_step(caller, job, (steps.len(), &step), "setup.beacon").await
    }

    /// Adds what a member brought.
    async fn member_step(
        &self,
        caller: &Principal,
        job: &JobId,
        (after, step): (usize, &Step),
        action: &str,
    ) -> Result<(), Problem> {
        let mut audit = audit_event(&caller.name, &caller.role_text(), action, &format!("job:{job}"));
        audit.detail = super::told(step).2;
        self.add_setup_step((job, None), after, step, audit).await.map_err(|error| match error {
            StoreError::Conflict { .. } => {
                Problem::new(ProblemKind::Conflict, "setup.turn", "the ceremony went on meanwhile")
                    .hint("`ward setup status --job JOB` says where it is")
            }
            other => other.into(),
        })
    }
}
