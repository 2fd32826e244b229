//! A ceremony of the proof system's keys at the engine: started, followed, fetched, contributed to.
//!
//! Every transfer goes on where it broke. What a hospital has to keep for that is its folder: the files that it fetched, and
//! its contribution once that is written.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_stream::StreamExt;
use ward_circuits::ceremony::{Phase, Source, Transcript};

use super::{Bearer, Calls, Place, Session, status, unreadable};
use crate::encoding::Digest;
use crate::grpc::MESSAGE_BYTES_MAX;
use crate::grpc::client;
use crate::grpc::frames::PIECE_BYTES;
use crate::grpc::v1::setup_client::SetupClient;
use crate::grpc::v1::{self, upload_setup_request};
use crate::identity::SealKey;
use crate::member::Membership;
use crate::party::connect::Proxy;
use crate::problem::{Problem, ProblemKind};
use crate::setup::course::{Contributed, FileRef, Next};
use crate::setup::folder::PhaseFolder;
use crate::setup::statements::Known;
use crate::setup::status::{SetupFile, SetupStatus};
use crate::setup::{CONTRIBUTION, problems};
use crate::store::{JobState, digest_of};

/// How often a transfer that broke is taken up again.
const BREAKS_MAX: u32 = 20;
/// Between two looks at a ceremony.
const PAUSE: Duration = Duration::from_millis(300);

/// Where a hospital is with its contribution.
pub enum Turn {
    /// The folder holds what it is to contribute to.
    Contribute,
    /// The folder holds its contribution, made before the program was ended.
    Made,
    /// The engine has its contribution.
    Sent(Contributed),
}

/// A hospital's folder of a ceremony.
#[derive(Clone, Copy)]
pub struct Bench<'a> {
    /// The job.
    pub job: &'a str,
    /// The folder.
    pub folder: &'a Path,
    /// The statement that the ceremony is of.
    pub statement: &'a Known,
}

fn failed(path: &Path, error: &std::io::Error) -> Problem {
    Problem::new(ProblemKind::Validation, "setup.file", format!("{}: {error}", path.display()))
        .hint("check the folder's path, its rights and the space left on its disk")
}

impl Bench<'_> {
    fn phase_path(&self, phase: u8) -> PathBuf {
        self.folder.join(if phase == 1 { "phase1" } else { self.statement.folder.as_str() })
    }

    fn transcript(&self, phase: u8) -> Result<Transcript, Problem> {
        PhaseFolder::open(self.phase_path(phase), kind(phase))?.transcript()
    }
}

fn kind(phase: u8) -> Phase {
    if phase == 1 { Phase::One } else { Phase::Two }
}

fn contributed_by<'a>(status: &'a SetupStatus, name: &str) -> Option<&'a Contributed> {
    let phase = &status.phases[usize::from(status.phase() - 1)];
    let waiting = match &status.next {
        Next::Check(offer) => Some(&offer.contributed),
        _ => None,
    };
    phase.contributed.iter().chain(waiting).find(|contributed| contributed.hospital == name)
}

impl Session {
    /// A session of an enrolled member by its certificate, such as a hospital's.
    ///
    /// # Errors
    /// When the engine cannot be reached.
    pub async fn of_member(
        member: Membership,
        (seal, proxy): (SealKey, Option<Proxy>),
    ) -> Result<Self, Problem> {
        let channel = client::connect(&member.target(proxy)?).await?;
        let place = Place {
            consortium: member.consortium.clone(),
            authority: member.authority.clone(),
            folder: member.folder.clone(),
            seal,
        };
        Ok(Self { place, member: Some(member), channel, bearer: Bearer::default() })
    }

    fn setup(&self) -> SetupClient<Calls> {
        SetupClient::with_interceptor(self.channel.clone(), self.bearer.clone())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }

    /// Starts a ceremony.
    ///
    /// # Errors
    /// The engine's.
    pub async fn start_setup(&self, request: v1::StartSetupRequest) -> Result<v1::Job, Problem> {
        let started = self.setup().start(request).await.map_err(status)?.into_inner();
        started.job.ok_or_else(|| unreadable("ceremony", &"no job in the answer"))
    }

    /// Where a ceremony is.
    ///
    /// # Errors
    /// The engine's.
    pub async fn setup_status(&self, job: &str) -> Result<SetupStatus, Problem> {
        let request = v1::SetupStatusRequest { job: job.to_owned() };
        read(&self.setup().status(request).await.map_err(status)?.into_inner())
    }

    /// Gives the beacon of the phase that waits for it.
    ///
    /// # Errors
    /// The engine's.
    pub async fn setup_beacon(&self, request: v1::SetupBeaconRequest) -> Result<SetupStatus, Problem> {
        read(&self.setup().beacon(request).await.map_err(status)?.into_inner())
    }

    /// Fetches the files of a ceremony into a folder, as `ward setup` lays one out. Files that are there are kept.
    ///
    /// # Errors
    /// The engine's; `setup.digest` for a file that is not the one that the engine names.
    pub async fn fetch_setup(&self, job: &str, files: &[SetupFile], folder: &Path) -> Result<(), Problem> {
        for wanted in files {
            let path = folder.join(check_path(&wanted.path)?);
            if digest_of(&path).is_ok_and(|digest| digest == wanted.file.digest) {
                continue;
            }
            let parent = path.parent().unwrap_or(folder);
            std::fs::create_dir_all(parent).map_err(|e| failed(parent, &e))?;
            let part = folder.join(format!("{}.part", wanted.file.digest));
            let mut breaks = 0;
            while let Err(problem) = self.fetch_on(job, wanted.file, &part).await {
                breaks += 1;
                if !problem.retryable || breaks > BREAKS_MAX {
                    return Err(problem);
                }
                tokio::time::sleep(PAUSE).await;
            }
            if digest_of(&part).map_err(|e| failed(&part, &e))? != wanted.file.digest {
                // It is of no use, and fetching goes on from nothing next time.
                let _ = std::fs::remove_file(&part);
                let message = format!("{} is not the file that the engine names", wanted.path);
                return Err(Problem::new(ProblemKind::Internal, "setup.digest", message).hint("fetch again"));
            }
            let synced = File::open(&part).and_then(|file| file.sync_all());
            synced.and_then(|()| std::fs::rename(&part, &path)).map_err(|e| failed(&path, &e))?;
        }
        Ok(())
    }

    /// Fetches a file from where it broke.
    async fn fetch_on(&self, job: &str, wanted: FileRef, part: &Path) -> Result<(), Problem> {
        let file = OpenOptions::new().create(true).append(true).open(part);
        let mut file = file.map_err(|e| failed(part, &e))?;
        let mut have = file.metadata().map_err(|e| failed(part, &e))?.len();
        if have >= wanted.bytes {
            return Ok(());
        }
        let request =
            v1::FetchSetupRequest { job: job.to_owned(), digest: wanted.digest.0.to_vec(), offset: have };
        let mut chunks = self.setup().fetch(request).await.map_err(status)?.into_inner();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(status)?;
            have += chunk.data.len() as u64;
            if have > wanted.bytes {
                return Err(unreadable("file", &"it is longer than it said"));
            }
            file.write_all(&chunk.data).map_err(|e| failed(part, &e))?;
        }
        if have == wanted.bytes {
            return Ok(());
        }
        Err(Problem::new(ProblemKind::Unavailable, "setup.cut_off", "the engine ended the file early"))
    }

    /// Brings the folder to where the ceremony is, when it is this hospital's turn.
    ///
    /// # Errors
    /// `setup.turn`, with whose it is; the engine's.
    pub async fn take_turn(&self, bench: Bench<'_>, status: &SetupStatus) -> Result<Turn, Problem> {
        let name = self.signer()?.member.name.clone();
        if let Some(contributed) = contributed_by(status, &name) {
            return Ok(Turn::Sent(contributed.clone()));
        }
        if status.turn() != Some(name.as_str()) {
            return Err(not_now(status));
        }
        let phase = status.phase();
        // What did not verify is not sent again: it is drawn afresh.
        if status.refused.is_none() && self.is_made(bench, status, &name).await? {
            return Ok(Turn::Made);
        }
        // A transcript of another state must not be there while states change.
        let stale = bench.phase_path(phase).join("transcript");
        if stale.exists() {
            std::fs::remove_file(&stale).map_err(|e| failed(&stale, &e))?;
        }
        self.fetch_setup(bench.job, &status.files, bench.folder).await?;
        Ok(Turn::Contribute)
    }

    /// Whether the folder holds the contribution of this hospital to the engine's transcript.
    async fn is_made(&self, bench: Bench<'_>, status: &SetupStatus, name: &str) -> Result<bool, Problem> {
        let phase = status.phase();
        let Ok(made) = bench.transcript(phase) else { return Ok(false) };
        let index = usize::from(phase - 1);
        let Some(files) = status.phases[index].files else { return Ok(false) };
        let part = bench.folder.join(format!("{}.part", files.transcript.digest));
        self.fetch_on(bench.job, files.transcript, &part).await?;
        let bytes = std::fs::read(&part).map_err(|e| failed(&part, &e))?;
        std::fs::remove_file(&part).map_err(|e| failed(&part, &e))?;
        let before = Transcript::decode(kind(phase), &bytes).map_err(|e| problems::of(&part, &e))?;
        let state = bench.phase_path(phase).join(PhaseFolder::state_name(made.contributions().len()));
        let own = |source: &Source| matches!(source, Source::Party(party) if party.name() == name);
        Ok(made.contributions().len() == before.contributions().len() + 1
            && made.contributions().starts_with(before.contributions())
            && (made.ceremony(), made.origin()) == (before.ceremony(), before.origin())
            && made.contributions().last().is_some_and(|last| own(last.source()))
            && state.is_file())
    }

    /// Sends the contribution in the folder, and hands it in. Returns its hash.
    ///
    /// # Errors
    /// The engine's.
    pub async fn offer_setup(&self, bench: Bench<'_>, phase: u8) -> Result<Digest, Problem> {
        let made = bench.transcript(phase)?;
        let path = bench.phase_path(phase);
        let transcript = self.send_file(bench.job, &path.join("transcript")).await?;
        let state = path.join(PhaseFolder::state_name(made.contributions().len()));
        let state = self.send_file(bench.job, &state).await?;
        let hash = Digest(made.head());
        let signature = self.signer()?.identity.sign(CONTRIBUTION, &[bench.job.as_bytes(), &hash.0]);
        let request = v1::ContributeSetupRequest {
            job: bench.job.to_owned(),
            transcript: Some(transcript),
            state: Some(state),
            signature: signature.0.to_vec(),
        };
        self.setup().contribute(request).await.map_err(status)?;
        Ok(hash)
    }

    /// Sends a file; goes on where it broke.
    async fn send_file(&self, job: &str, path: &Path) -> Result<v1::SetupFileRef, Problem> {
        let bytes = std::fs::metadata(path).map_err(|e| failed(path, &e))?.len();
        let digest = digest_of(path).map_err(|e| failed(path, &e))?;
        let file = v1::SetupFileRef { digest: digest.0.to_vec(), bytes };
        let mut breaks = 0;
        loop {
            let problem = match self.send_on(job, &file, path).await {
                Ok(arrived) if arrived == bytes => return Ok(file),
                Ok(_) => {
                    Problem::new(ProblemKind::Unavailable, "setup.cut_off", "the engine took a part only")
                }
                Err(problem) => problem,
            };
            breaks += 1;
            if breaks > BREAKS_MAX || !(problem.retryable || problem.code == "setup.offset") {
                return Err(problem);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Sends a file from where the engine has it; returns how much the engine has then.
    async fn send_on(&self, job: &str, file: &v1::SetupFileRef, path: &Path) -> Result<u64, Problem> {
        use upload_setup_request::Part;
        let request = v1::SetupArrivedRequest { job: job.to_owned(), file: Some(file.clone()) };
        let offset = self.setup().arrived(request).await.map_err(status)?.into_inner().bytes;
        if offset >= file.bytes {
            return Ok(offset);
        }
        let mut source = File::open(path).map_err(|e| failed(path, &e))?;
        source.seek(SeekFrom::Start(offset)).map_err(|e| failed(path, &e))?;
        let header = v1::UploadSetupHeader { job: job.to_owned(), file: Some(file.clone()), offset };
        let (sender, frames) = tokio::sync::mpsc::channel(4);
        let bytes = file.bytes;
        tokio::task::spawn_blocking(move || {
            let mut sent = offset;
            let mut part = Part::Header(header);
            // The engine has answered, or is gone; or the file cannot be read on, and the engine sees it end early.
            while sender.blocking_send(v1::UploadSetupRequest { part: Some(part) }).is_ok() && sent < bytes {
                let mut data = vec![0; PIECE_BYTES.min(usize::try_from(bytes - sent).unwrap_or(PIECE_BYTES))];
                if source.read_exact(&mut data).is_err() {
                    return;
                }
                sent += data.len() as u64;
                part = Part::Chunk(v1::Chunk { data, last: sent == bytes });
            }
        });
        let stream = tokio_stream::wrappers::ReceiverStream::new(frames);
        Ok(self.setup().upload(stream).await.map_err(status)?.into_inner().bytes)
    }

    /// Waits until a contribution is part of the ceremony.
    ///
    /// # Errors
    /// Why it is not; the engine's.
    pub async fn settled(&self, job: &str, hash: Digest) -> Result<SetupStatus, Problem> {
        let mut breaks = 0;
        loop {
            let found = match self.setup_status(job).await {
                Err(problem) if problem.retryable && breaks < BREAKS_MAX => {
                    breaks += 1;
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
                found => found?,
            };
            let mut all = found.phases.iter().flat_map(|phase| &phase.contributed);
            if all.any(|contributed| contributed.hash == hash) {
                return Ok(found);
            }
            let is_waiting = matches!(&found.next, Next::Check(offer) if offer.contributed.hash == hash);
            if !is_waiting {
                return Err(found.refused.clone().unwrap_or_else(|| not_now(&found)));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Why nothing can be contributed now.
fn not_now(status: &SetupStatus) -> Problem {
    let ended =
        matches!(status.state, JobState::Done | JobState::Failed | JobState::Refused | JobState::Cancelled);
    let (code, message) = match &status.next {
        _ if ended => ("setup.ended", format!("the ceremony is {}", status.state)),
        Next::Turn { hospital, until_ms } => {
            ("setup.turn", format!("it is the turn of {hospital}, until {}", crate::clock::utc(*until_ms)))
        }
        Next::Check(offer) => {
            ("setup.turn", format!("the contribution of {} is being verified", offer.contributed.hospital))
        }
        _ => ("setup.turn", "it is nobody's turn now".to_owned()),
    };
    Problem::new(ProblemKind::Conflict, code, message)
        .hint("`ward setup status --job JOB` says whose turn it is; --wait waits for yours")
}

/// A path of a ceremony's folder as the engine names it: two plain names.
fn check_path(path: &str) -> Result<PathBuf, Problem> {
    let plain = |name: &str| {
        !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b))
            && !name.starts_with('.')
    };
    match path.split_once('/') {
        Some((folder, name)) if plain(folder) && plain(name) => Ok(Path::new(folder).join(name)),
        _ => Err(unreadable("file", &"its name is no path of a ceremony")),
    }
}

fn read(answer: &v1::SetupStatusResponse) -> Result<SetupStatus, Problem> {
    serde_json::from_slice(&answer.json).map_err(|e| unreadable("ceremony", &e))
}

#[cfg(test)]
mod tests {
    use super::check_path;

    #[test]
    fn an_engine_cannot_make_a_hospital_write_outside_its_folder() {
        for path in ["../a/b", "/etc/passwd", "a", "a/../b", "a/b/c", "a/.b", "./a", "a/", "a\\b/c"] {
            assert!(check_path(path).is_err(), "{path}");
        }
        assert_eq!(
            check_path("eligibility-1/state-0003").unwrap().to_str(),
            Some("eligibility-1/state-0003")
        );
    }
}
