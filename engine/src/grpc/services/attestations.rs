//! The attestations service.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming as Incoming};

use super::{Streaming, jobs};
use crate::attestation::publication::PUBLICATION_BYTES_MAX;
use crate::grpc::frames::pieces;
use crate::grpc::status::status_of;
use crate::grpc::v1::{self, attestations_server, submit_attestations_request, verdicts_frame};
use crate::grpc::{convert, peer};
use crate::job::Engine;
use crate::job::attestation::{ITEMS_MAX, REQUESTS_MAX, SUBMISSION_BYTES_MAX, Submission, VerdictView};
use crate::problem::{Problem, ProblemKind};
use crate::store::{JobId, JobKind};

/// Large bodies that are received or sent at once, each of at most [`SUBMISSION_BYTES_MAX`] in memory.
const RECEIVED_MAX: usize = 4;

/// The service.
pub struct AttestationsService {
    engine: Arc<Engine>,
    receiving: Arc<Semaphore>,
}

impl AttestationsService {
    /// The service of an engine.
    #[must_use]
    pub fn new(engine: Arc<Engine>) -> Self {
        Self { engine, receiving: Arc::new(Semaphore::new(RECEIVED_MAX)) }
    }

    /// A place for a large body in memory.
    fn place(&self) -> Result<OwnedSemaphorePermit, Status> {
        self.receiving.clone().try_acquire_owned().map_err(|_| {
            let message = "too many submissions arrive at once";
            status_of(
                Problem::new(ProblemKind::Unavailable, "attest.busy", message).hint("try again in a moment"),
            )
        })
    }
}

fn malformed(message: impl Into<String>) -> Status {
    status_of(Problem::new(ProblemKind::Validation, "attest.submission", message))
}

/// A submission being received: the header, then each attestation in chunks.
#[derive(Debug, Default)]
pub struct Receiving {
    submission: Submission,
    items: Option<usize>,
    open: Vec<u8>,
    bytes: usize,
}

impl Receiving {
    /// Takes a frame; returns the submission when it is whole.
    ///
    /// # Errors
    /// `attest.submission` for a frame out of place, too many items or too many bytes.
    pub fn take(&mut self, frame: v1::SubmitAttestationsRequest) -> Result<Option<Submission>, Status> {
        match (frame.part, self.items) {
            (Some(submit_attestations_request::Part::Header(header)), None) => {
                let items = usize::try_from(header.items).unwrap_or(usize::MAX);
                if !(1..=ITEMS_MAX).contains(&items) || header.requests.len() > REQUESTS_MAX {
                    return Err(malformed(format!("{items} attestations, 1 to {ITEMS_MAX} at once")));
                }
                self.items = Some(items);
                self.submission.requests = header.requests;
                self.submission.time_limit_ms = header.time_limit_ms;
                Ok(None)
            }
            (Some(submit_attestations_request::Part::Chunk(chunk)), Some(items)) => {
                self.bytes = self.bytes.saturating_add(chunk.data.len());
                if self.bytes > SUBMISSION_BYTES_MAX {
                    return Err(malformed(format!("more than {SUBMISSION_BYTES_MAX} bytes")));
                }
                self.open.extend_from_slice(&chunk.data);
                if chunk.last {
                    self.submission.items.push(std::mem::take(&mut self.open));
                }
                let whole = self.submission.items.len() == items;
                Ok(whole.then(|| std::mem::take(&mut self.submission)))
            }
            _ => Err(malformed("a frame that is out of place")),
        }
    }
}

#[tonic::async_trait]
impl attestations_server::Attestations for AttestationsService {
    type VerdictsStream = Streaming<v1::VerdictsFrame>;
    type IssuersStream = Streaming<v1::Chunk>;

    async fn terms(
        &self,
        request: Request<v1::AttestationTermsRequest>,
    ) -> Result<Response<v1::AttestationTermsResponse>, Status> {
        let member = peer::allowed(&self.engine, &request, "Attestations.Terms").await?;
        let terms = self.engine.attestation_terms(&member).await.map_err(status_of)?;
        Ok(Response::new(v1::AttestationTermsResponse {
            key: terms.key.0.to_vec(),
            development_key: terms.is_development,
            issuers: terms.issuers.0.to_vec(),
            audiences: terms.audiences,
        }))
    }

    async fn submit(
        &self,
        request: Request<Incoming<v1::SubmitAttestationsRequest>>,
    ) -> Result<Response<v1::SubmitResponse>, Status> {
        let member = peer::allowed(&self.engine, &request, "Attestations.Submit").await?;
        let _place = self.place()?;
        let mut frames = request.into_inner();
        let mut receiving = Receiving::default();
        while let Some(frame) = frames.next().await {
            if let Some(submission) = receiving.take(frame?)? {
                let job = self.engine.submit_attestations(&member, submission).await.map_err(status_of)?;
                let job = jobs::view(&self.engine, &job).await?;
                return Ok(Response::new(v1::SubmitResponse { job: Some(job) }));
            }
        }
        Err(malformed("the submission ended early"))
    }

    async fn publish_issuer(
        &self,
        request: Request<Incoming<v1::Chunk>>,
    ) -> Result<Response<v1::PublishIssuerResponse>, Status> {
        let caller = peer::allowed(&self.engine, &request, "Attestations.PublishIssuer").await?;
        let _place = self.place()?;
        let mut frames = request.into_inner();
        let mut json = Vec::new();
        while let Some(chunk) = frames.next().await {
            let chunk = chunk?;
            if json.len().saturating_add(chunk.data.len()) > PUBLICATION_BYTES_MAX {
                return Err(malformed(format!("more than {PUBLICATION_BYTES_MAX} bytes")));
            }
            json.extend_from_slice(&chunk.data);
            if chunk.last {
                let statement = self.engine.publish_issuer(&caller, json).await.map_err(status_of)?;
                return Ok(Response::new(v1::PublishIssuerResponse { statement }));
            }
        }
        Err(malformed("the publication ended early"))
    }

    async fn issuers(
        &self,
        request: Request<v1::IssuersRequest>,
    ) -> Result<Response<Self::IssuersStream>, Status> {
        peer::allowed(&self.engine, &request, "Attestations.Issuers").await?;
        let place = self.place()?;
        let v1::IssuersRequest { issuers, documents } = request.into_inner();
        let json = self.engine.published_issuers(&issuers, documents).await.map_err(status_of)?;
        let (sender, frames) = mpsc::channel(4);
        tokio::spawn(async move {
            let _place = place;
            for (piece, last) in pieces(&json) {
                // The caller is gone.
                if sender.send(Ok(v1::Chunk { data: piece.to_vec(), last })).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(frames))))
    }

    async fn verdicts(
        &self,
        request: Request<v1::VerdictsRequest>,
    ) -> Result<Response<Self::VerdictsStream>, Status> {
        let member = peer::allowed(&self.engine, &request, "Attestations.Verdicts").await?;
        let id = JobId::parse(&request.into_inner().job).map_err(|e| status_of(e.into()))?;
        let job = self.engine.job_for(&member, &id).await.map_err(status_of)?;
        if job.summary.kind != JobKind::Attestation {
            let message = format!("job {id} registers no attestations");
            return Err(status_of(Problem::new(ProblemKind::Validation, "job.kind", message)));
        }
        let verdicts = self.engine.verdicts(&job.summary).await.map_err(status_of)?;
        let header = v1::VerdictsHeader {
            items: u32::try_from(verdicts.len()).unwrap_or(u32::MAX),
            consortium: self.engine.consortium.clone(),
            engine_certificate: self.engine.certificate.clone(),
        };
        let (sender, frames) = mpsc::channel(16);
        tokio::spawn(async move {
            let first = verdicts_frame::Part::Header(header);
            let rest = verdicts
                .into_iter()
                .zip(0..)
                .map(|(view, item)| verdicts_frame::Part::Verdict(verdict(view, item)));
            for part in std::iter::once(first).chain(rest) {
                // The caller is gone.
                if sender.send(Ok(v1::VerdictsFrame { part: Some(part) })).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(frames))))
    }
}

fn verdict(view: VerdictView, item: u32) -> v1::Verdict {
    let (leaf_index, tlog_proof) = view.proof.unwrap_or_default();
    v1::Verdict {
        item,
        digest: view.digest.map(|digest| digest.0.to_vec()).unwrap_or_default(),
        registered: view.problem.is_none(),
        study: view.study,
        nullifier: view.nullifier.map(|nullifier| nullifier.0.to_vec()).unwrap_or_default(),
        problem: view.problem.map(convert::problem),
        tlog_proof,
        leaf_index,
    }
}
