//! The setup service: the ceremony that makes the proof system's keys.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming as Incoming};

use super::{Streaming, jobs};
use crate::encoding::{Digest, canonical_json};
use crate::grpc::frames::PIECE_BYTES;
use crate::grpc::peer;
use crate::grpc::status::status_of;
use crate::grpc::v1::{self, setup_server, upload_setup_request};
use crate::job::Engine;
use crate::job::setup::{NewSetup, Offered};
use crate::problem::{Problem, ProblemKind};
use crate::setup::course::{Announced, FileRef};
use crate::store::JobId;

/// Files on their way at once, in and out.
const STREAMS_MAX: usize = 16;

/// The service.
pub struct SetupService {
    engine: Arc<Engine>,
    streams: Arc<Semaphore>,
}

impl SetupService {
    /// The service of an engine.
    #[must_use]
    pub fn new(engine: Arc<Engine>) -> Self {
        Self { engine, streams: Arc::new(Semaphore::new(STREAMS_MAX)) }
    }

    async fn status_json(&self, job: &JobId) -> Result<Response<v1::SetupStatusResponse>, Status> {
        let status = self.engine.setup_status(job).await.map_err(status_of)?;
        Ok(Response::new(v1::SetupStatusResponse { json: canonical_json(&status) }))
    }

    fn place(&self) -> Result<tokio::sync::OwnedSemaphorePermit, Status> {
        self.streams.clone().try_acquire_owned().map_err(|_| {
            let message = "too many files are on their way at once";
            status_of(
                Problem::new(ProblemKind::Unavailable, "setup.busy", message).hint("try again in a moment"),
            )
        })
    }
}

fn malformed(message: &str) -> Status {
    status_of(Problem::new(ProblemKind::Validation, "request.malformed", message))
}

fn job_id(text: &str) -> Result<JobId, Status> {
    JobId::parse(text)
        .map_err(|e| status_of(Problem::from(e).hint("the operator who started the ceremony has its id")))
}

fn file(file: Option<v1::SetupFileRef>) -> Result<FileRef, Status> {
    let file = file.ok_or_else(|| malformed("no file is named"))?;
    let digest = Digest::from_slice(&file.digest).ok_or_else(|| malformed("no digest"))?;
    Ok(FileRef { digest, bytes: file.bytes })
}

#[tonic::async_trait]
impl setup_server::Setup for SetupService {
    type FetchStream = Streaming<v1::Chunk>;

    async fn start(
        &self,
        request: Request<v1::StartSetupRequest>,
    ) -> Result<Response<v1::SubmitResponse>, Status> {
        let caller = peer::allowed(&self.engine, &request, "Setup.Start").await?;
        let asked = request.into_inner();
        let announced: Vec<Announced> = asked
            .beacons
            .into_iter()
            .map(|b| Announced { source: b.source, not_before_unix_ms: b.not_before_unix_ms })
            .collect();
        let new = NewSetup {
            name: asked.name,
            statement: asked.statement,
            size: u8::try_from(asked.size).unwrap_or(u8::MAX),
            order: asked.order,
            at_least: asked.at_least,
            turn_ms: asked.turn_ms,
            beacons: announced.try_into().map_err(|_| malformed("a ceremony announces two beacons"))?,
            time_limit_ms: asked.time_limit_ms,
        };
        let job = self.engine.start_setup(&caller, new).await.map_err(status_of)?;
        let job = jobs::view(&self.engine, &job).await?;
        Ok(Response::new(v1::SubmitResponse { job: Some(job) }))
    }

    async fn status(
        &self,
        request: Request<v1::SetupStatusRequest>,
    ) -> Result<Response<v1::SetupStatusResponse>, Status> {
        peer::allowed(&self.engine, &request, "Setup.Status").await?;
        self.status_json(&job_id(&request.into_inner().job)?).await
    }

    async fn fetch(
        &self,
        request: Request<v1::FetchSetupRequest>,
    ) -> Result<Response<Self::FetchStream>, Status> {
        peer::allowed(&self.engine, &request, "Setup.Fetch").await?;
        let place = self.place()?;
        let v1::FetchSetupRequest { job, digest, offset } = request.into_inner();
        let mut file = self.engine.setup_file(&job_id(&job)?, &digest).await.map_err(status_of)?;
        let bytes = file.metadata().map_err(|e| status_of(Problem::internal(&e)))?.len();
        if offset > bytes {
            return Err(malformed("the file is shorter than that"));
        }
        file.seek(SeekFrom::Start(offset)).map_err(|e| status_of(Problem::internal(&e)))?;
        let (chunks, stream) = mpsc::channel(4);
        tokio::task::spawn_blocking(move || {
            let _place = place;
            let mut left = bytes - offset;
            let mut buffer = vec![0; PIECE_BYTES];
            let mut next = || -> std::io::Result<v1::Chunk> {
                let count = PIECE_BYTES.min(usize::try_from(left).unwrap_or(PIECE_BYTES));
                file.read_exact(&mut buffer[..count])?;
                left -= count as u64;
                Ok(v1::Chunk { data: buffer[..count].to_vec(), last: left == 0 })
            };
            loop {
                let chunk = next().map_err(|e| status_of(Problem::internal(&e)));
                let is_last = chunk.as_ref().map_or(true, |chunk| chunk.last);
                // Nobody may be listening any more.
                if chunks.blocking_send(chunk).is_err() || is_last {
                    return;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }

    async fn arrived(
        &self,
        request: Request<v1::SetupArrivedRequest>,
    ) -> Result<Response<v1::SetupArrivedResponse>, Status> {
        let caller = peer::allowed(&self.engine, &request, "Setup.Arrived").await?;
        let asked = request.into_inner();
        let bytes = self.engine.setup_arrived(&caller, &job_id(&asked.job)?, file(asked.file)?).await;
        Ok(Response::new(v1::SetupArrivedResponse { bytes: bytes.map_err(status_of)? }))
    }

    async fn upload(
        &self,
        request: Request<Incoming<v1::UploadSetupRequest>>,
    ) -> Result<Response<v1::SetupArrivedResponse>, Status> {
        let caller = peer::allowed(&self.engine, &request, "Setup.Upload").await?;
        let _place = self.place()?;
        let mut frames = request.into_inner();
        let Some(upload_setup_request::Part::Header(header)) =
            frames.next().await.transpose()?.and_then(|f| f.part)
        else {
            return Err(malformed("an upload begins with its header"));
        };
        let place = (file(header.file)?, header.offset);
        let writer = self.engine.setup_add_to(&caller, &job_id(&header.job)?, place).await;
        let mut writer = writer.map_err(status_of)?;
        while let Some(frame) = frames.next().await {
            let Some(upload_setup_request::Part::Chunk(chunk)) = frame?.part else {
                return Err(malformed("a frame that is out of place"));
            };
            let written = tokio::task::block_in_place(|| writer.write(&chunk.data));
            written.map_err(|e| status_of(e.into()))?;
            if chunk.last {
                break;
            }
        }
        Ok(Response::new(v1::SetupArrivedResponse { bytes: writer.written() }))
    }

    async fn contribute(
        &self,
        request: Request<v1::ContributeSetupRequest>,
    ) -> Result<Response<v1::SetupStatusResponse>, Status> {
        let caller = peer::allowed(&self.engine, &request, "Setup.Contribute").await?;
        let asked = request.into_inner();
        let job = job_id(&asked.job)?;
        let offered = Offered {
            transcript: file(asked.transcript)?,
            state: file(asked.state)?,
            signature: asked.signature,
        };
        self.engine.offer_setup(&caller, &job, offered).await.map_err(status_of)?;
        self.status_json(&job).await
    }

    async fn beacon(
        &self,
        request: Request<v1::SetupBeaconRequest>,
    ) -> Result<Response<v1::SetupStatusResponse>, Status> {
        let caller = peer::allowed(&self.engine, &request, "Setup.Beacon").await?;
        let v1::SetupBeaconRequest { job, value, iterations_log2 } = request.into_inner();
        let job = job_id(&job)?;
        let iterations = u8::try_from(iterations_log2).unwrap_or(u8::MAX);
        self.engine.setup_beacon(&caller, &job, (value, iterations)).await.map_err(status_of)?;
        self.status_json(&job).await
    }
}
