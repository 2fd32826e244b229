//! The jobs service.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming as Incoming};

use super::Streaming;
use crate::consent::Purpose;
use crate::encoding::Digest;
use crate::grpc::frames::{Assembly, pieces};
use crate::grpc::status::status_of;
use crate::grpc::v1::{self, jobs_server, put_key_request, result_frame, submit_request};
use crate::grpc::{convert, peer};
use crate::job::Engine;
use crate::job::view::SealedResult;
use crate::party::aggregate::participation;
use crate::problem::{Problem, ProblemKind};
use crate::query::ast::Route;
use crate::query::plan::Asked;
use crate::store::{Job, JobId, JobSummary};

/// Largest public key of a researcher, bytes.
const KEY_BYTES_MAX: u64 = 8 << 20;
/// How often a watcher looks without being told.
const LOOK: Duration = Duration::from_millis(500);

/// The service.
pub struct JobsService(pub Arc<Engine>);

fn invalid(message: impl Into<String>) -> Status {
    status_of(Problem::new(ProblemKind::Validation, "request.malformed", message))
}

fn job_id(text: &str) -> Result<JobId, Status> {
    JobId::parse(text).map_err(|e| status_of(Problem::from(e).hint("`ward jobs` lists your jobs")))
}

/// A job as its owner sees it.
///
/// # Errors
/// A status, when the store fails.
pub(super) async fn view(engine: &Engine, job: &Job) -> Result<v1::Job, Status> {
    let (summary, participants) = Engine::summary_of(job);
    let problem = engine.problem_of(&job.summary).await.map_err(status_of)?;
    let mut row = row(&job.summary, summary, participants, problem);
    if job.summary.state.is_terminal() {
        let events = engine.events(&job.summary.id, 0).await.map_err(status_of)?;
        row.ended_unix_ms = events.last().map_or(0, |last| last.event.at_ms);
    }
    Ok(row)
}

fn row(s: &JobSummary, summary: String, participants: Vec<String>, problem: Option<Problem>) -> v1::Job {
    v1::Job {
        id: s.id.to_string(),
        kind: convert::kind(s.kind).into(),
        state: convert::state(s.state).into(),
        owner: s.owner.clone(),
        summary,
        created_unix_ms: s.created_ms,
        deadline_unix_ms: s.deadline_ms,
        attempt: s.attempt,
        ended_unix_ms: 0,
        problem: problem.map(convert::problem),
        participants,
    }
}

#[tonic::async_trait]
impl jobs_server::Jobs for JobsService {
    type WatchStream = Streaming<v1::JobEvent>;
    type ResultStream = Streaming<v1::ResultFrame>;

    async fn put_key(
        &self,
        request: Request<Incoming<v1::PutKeyRequest>>,
    ) -> Result<Response<v1::PutKeyResponse>, Status> {
        peer::allowed(&self.0, &request, "Jobs.PutKey").await?;
        let mut frames = request.into_inner();
        let mut assembly = None;
        while let Some(frame) = frames.next().await {
            match frame?.part {
                Some(put_key_request::Part::Header(header)) if assembly.is_none() => {
                    let digest = Digest::from_slice(&header.sha256).ok_or_else(|| invalid("no digest"))?;
                    let begun = Assembly::new(header.bytes, digest, KEY_BYTES_MAX);
                    assembly = Some(begun.map_err(|e| invalid(e.to_string()))?);
                }
                Some(put_key_request::Part::Chunk(chunk)) => {
                    let assembly = assembly.as_mut().ok_or_else(|| invalid("a chunk before the header"))?;
                    let whole = assembly.push(&chunk.data, chunk.last).map_err(|e| invalid(e.to_string()))?;
                    if let Some(key) = whole {
                        self.0.write_blob(key).await.map_err(status_of)?;
                        return Ok(Response::new(v1::PutKeyResponse {}));
                    }
                }
                _ => return Err(invalid("a frame that is out of place")),
            }
        }
        Err(invalid("the key ended early"))
    }

    async fn submit(
        &self,
        request: Request<v1::SubmitRequest>,
    ) -> Result<Response<v1::SubmitResponse>, Status> {
        let caller = peer::allowed(&self.0, &request, "Jobs.Submit").await?;
        let job = match request.into_inner().job {
            Some(submit_request::Job::Aggregate(a)) => {
                let signature = a.signature.map(|s| s.signature).unwrap_or_default();
                self.0.submit(&caller, &a.request, &signature).await
            }
            Some(submit_request::Job::Ceremony(c)) => {
                let what = (c.profile, c.threshold, c.time_limit_ms);
                self.0.submit_ceremony(&caller, c.holders, what).await
            }
            None => return Err(invalid("a submission without a job")),
        };
        let job = view(&self.0, &job.map_err(status_of)?).await?;
        Ok(Response::new(v1::SubmitResponse { job: Some(job) }))
    }

    async fn explain(
        &self,
        request: Request<v1::ExplainRequest>,
    ) -> Result<Response<v1::ExplainResponse>, Status> {
        let caller = peer::allowed(&self.0, &request, "Jobs.Explain").await?;
        let v1::ExplainRequest { sql, participants_min, multi_party, purpose, study, multi_party_encrypted } =
            request.into_inner();
        let route = Route::of(multi_party, multi_party_encrypted);
        let purpose = (!purpose.is_empty()).then(|| Purpose::parse(&purpose)).transpose();
        let purpose = purpose.map_err(|e| invalid(e.to_string()))?;
        let asked = Asked { participation: participation(participants_min), route, purpose, study: None };
        let explained = self.0.explain(&caller, &sql, (participants_min, asked), &study).await;
        let explanation = explained.map_err(status_of)?;
        let json = crate::encoding::canonical_json(&explanation);
        Ok(Response::new(v1::ExplainResponse { json, text: explanation.text() }))
    }

    async fn get(&self, request: Request<v1::GetJobRequest>) -> Result<Response<v1::Job>, Status> {
        let caller = peer::allowed(&self.0, &request, "Jobs.Get").await?;
        let id = job_id(&request.into_inner().id)?;
        let job = self.0.job_for(&caller, &id).await.map_err(status_of)?;
        Ok(Response::new(view(&self.0, &job).await?))
    }

    async fn list(
        &self,
        request: Request<v1::ListJobsRequest>,
    ) -> Result<Response<v1::ListJobsResponse>, Status> {
        let caller = peer::allowed(&self.0, &request, "Jobs.List").await?;
        let v1::ListJobsRequest { limit, before } = request.into_inner();
        let before = if before.is_empty() { None } else { Some(job_id(&before)?) };
        let limit = if limit == 0 { 20 } else { limit.min(200) };
        let mut jobs = Vec::new();
        for summary in self.0.jobs_for(&caller, limit, before).await.map_err(status_of)? {
            let job = self.0.job_for(&caller, &summary.id).await.map_err(status_of)?;
            jobs.push(view(&self.0, &job).await?);
        }
        Ok(Response::new(v1::ListJobsResponse { jobs }))
    }

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let caller = peer::allowed(&self.0, &request, "Jobs.Watch").await?;
        let v1::WatchRequest { id, after } = request.into_inner();
        let id = job_id(&id)?;
        self.0.job_for(&caller, &id).await.map_err(status_of)?;
        let (events, stream) = mpsc::channel(16);
        tokio::spawn(watch(self.0.clone(), (caller.name, id), after, events));
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }

    async fn result(
        &self,
        request: Request<v1::ResultRequest>,
    ) -> Result<Response<Self::ResultStream>, Status> {
        let caller = peer::allowed(&self.0, &request, "Jobs.Result").await?;
        let id = job_id(&request.into_inner().id)?;
        let job = self.0.job_for(&caller, &id).await.map_err(status_of)?;
        let sealed = self.0.result(&caller, &job).await.map_err(status_of)?;
        let (frames, stream) = mpsc::channel(4);
        tokio::spawn(send_result(id, sealed, frames));
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }

    async fn cancel(&self, request: Request<v1::CancelRequest>) -> Result<Response<v1::Job>, Status> {
        let caller = peer::allowed(&self.0, &request, "Jobs.Cancel").await?;
        let id = job_id(&request.into_inner().id)?;
        let job = self.0.cancel(&caller, &id).await.map_err(status_of)?;
        Ok(Response::new(view(&self.0, &job).await?))
    }
}

/// Sends events until the job has ended or nobody listens.
async fn watch(
    engine: Arc<Engine>,
    (caller, id): (String, JobId),
    mut after: u64,
    events: mpsc::Sender<Result<v1::JobEvent, Status>>,
) {
    loop {
        let progress = engine.progress.notified();
        let looked = match engine.is_revoked(&caller).await {
            Ok(true) => {
                Err(Problem::new(ProblemKind::Authorization, "identity.revoked", "revoked meanwhile"))
            }
            Ok(false) => engine.events(&id, after).await,
            Err(problem) => Err(problem),
        };
        let rows = match looked {
            Ok(rows) => rows,
            Err(problem) => {
                // Nobody may be listening any more.
                let _ = events.send(Err(status_of(problem))).await;
                return;
            }
        };
        for row in rows {
            after = row.seq;
            let ended = row.state.is_terminal();
            if events.send(Ok(convert::event(row))).await.is_err() || ended {
                return;
            }
        }
        tokio::select! {
            () = progress => {}
            () = tokio::time::sleep(LOOK) => {}
            () = events.closed() => return,
        }
    }
}

async fn send_result(id: JobId, sealed: SealedResult, frames: mpsc::Sender<Result<v1::ResultFrame, Status>>) {
    let (evidence, rounds) = (crate::encoding::canonical_json(&sealed.evidence), sealed.rounds());
    let header = v1::ResultHeader {
        job_id: id.to_string(),
        receipt: sealed.receipt,
        participants: sealed.participants,
        epoch: Some(convert::epoch(&sealed.job.prepare.epoch)),
        plan_bytes: sealed.plan.len() as u64,
        evidence_bytes: evidence.len() as u64,
        contributions_bytes: sealed.contributions.len() as u64,
        shares_bytes: sealed.shares.len() as u64,
        cost: Some(v1::Cost {
            bytes_from_hospitals: sealed.bytes_from_hospitals,
            bytes_to_hospitals: sealed.bytes_to_hospitals,
            rounds,
            elapsed_ms: sealed.elapsed_ms,
        }),
    };
    let frame = |part| Ok(v1::ResultFrame { part: Some(part) });
    if frames.send(frame(result_frame::Part::Header(header))).await.is_err() {
        return;
    }
    for body in [&sealed.plan, &evidence, &sealed.contributions, &sealed.shares] {
        for (piece, last) in pieces(body) {
            let chunk = v1::Chunk { data: piece.to_vec(), last };
            if frames.send(frame(result_frame::Part::Chunk(chunk))).await.is_err() {
                return;
            }
        }
    }
}
