//! Enrolment, and the hospitals' streams.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming as Incoming};
use zeroize::Zeroizing;

use super::Streaming;
use crate::clock::now_ms;
use crate::grpc::hub::{Connection, Gone, Hub};
use crate::grpc::peer;
use crate::grpc::relay::{ProbeFailure, frame_of};
use crate::grpc::status::status_of;
use crate::grpc::v1::{self, engine_frame, node_frame, parties_server};
use crate::identity::{Claim, Member, PublicKey, Role, Signature, possession_parts};
use crate::job::nodes::Nodes;
use crate::job::revocation::VALIDITY_DAYS;
use crate::job::{Engine, audit_event};
use crate::member::ENROLMENT;
use crate::party::mesh::Announcement;
use crate::problem::{Problem, ProblemKind};
use crate::query::catalogue::Publication;
use crate::store::{MemberRecord, blocking};

/// A node says hello within this time, and something every [`SILENCE`].
const HELLO: Duration = Duration::from_secs(10);
const SILENCE: Duration = Duration::from_secs(40);
/// Largest body of a probe, bytes.
const PROBE_BYTES_MAX: usize = 512 << 10;
/// Context of a publication's signature.
pub const PUBLICATION: &str = "ward/v1/publication";

/// The service.
pub struct PartiesService {
    /// The engine.
    pub engine: Arc<Engine>,
    /// The connected nodes.
    pub hub: Arc<Hub>,
}

fn refuse(kind: ProblemKind, code: &str, message: impl Into<String>) -> Status {
    status_of(Problem::new(kind, code, message))
}

/// The address that a node announces, checked to be its own word.
fn announced(member: &Member, mesh: v1::MeshAddress) -> Result<Announcement, Status> {
    let bad = |what: String| refuse(ProblemKind::Validation, "mesh.address", what);
    let signature = Signature::from_slice(&mesh.signature).ok_or_else(|| bad("no signature".to_owned()))?;
    let said = Announcement { name: member.name.clone(), address: mesh.address, signature };
    said.verified(&member.name, &member.key).map_err(|e| bad(e.to_string()))?;
    Ok(said)
}

impl PartiesService {
    async fn publish(&self, member: &Member, publication: v1::Publication) -> Result<(), Status> {
        let bad = |what: String| refuse(ProblemKind::Validation, "publication.malformed", what);
        let signature = publication.signature.map(|s| s.signature).unwrap_or_default();
        let signature = Signature::from_slice(&signature).ok_or_else(|| bad("no signature".to_owned()))?;
        member
            .key
            .verify(PUBLICATION, &[&publication.json], &signature)
            .map_err(|e| refuse(ProblemKind::Authorization, "publication.signature", e.to_string()))?;
        let parsed: Publication =
            serde_json::from_slice(&publication.json).map_err(|e| bad(format!("it does not parse: {e}")))?;
        if parsed.hospital != member.name {
            return Err(bad("it is in another hospital's name".to_owned()));
        }
        let audit =
            audit_event(&member.name, "hospital", "catalogue.publish", &format!("hospital:{}", member.name));
        let json = String::from_utf8(publication.json).map_err(|e| bad(e.to_string()))?;
        let name = member.name.clone();
        let stored = blocking(&self.engine.store, move |s| s.publish(&name, &json, now_ms(), &audit)).await;
        stored.map(|_| ()).map_err(|e| status_of(e.into()))
    }

    async fn claim(&self, request: v1::EnrolRequest) -> Result<(Claim, Vec<u8>), Status> {
        let bad = |what: &str| refuse(ProblemKind::Validation, "enrol.malformed", what);
        let secret: [u8; 32] =
            request.secret.as_slice().try_into().map_err(|_| bad("the secret has 32 bytes"))?;
        let claim = Claim {
            role: Role::parse(&request.role).map_err(|e| bad(&e.to_string()))?,
            name: request.name,
            secret: Zeroizing::new(secret),
            key: PublicKey::from_slice(&request.public_key).map_err(|e| bad(&e.to_string()))?,
        };
        let parts = possession_parts(&claim);
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let proof = Signature::from_slice(&request.proof).ok_or_else(|| bad("the proof has 64 bytes"))?;
        claim
            .key
            .verify(ENROLMENT, &parts, &proof)
            .map_err(|e| refuse(ProblemKind::Authorization, "enrol.proof", e.to_string()))?;
        let issued = self
            .engine
            .authority
            .issue(&claim.key, claim.role, &claim.name, now_ms() / 1000, VALIDITY_DAYS)
            .map_err(|e| bad(&e.to_string()))?;
        Ok((claim, issued.der))
    }
}

#[tonic::async_trait]
impl parties_server::Parties for PartiesService {
    type AttachStream = Streaming<v1::EngineFrame>;

    async fn enrol(&self, request: Request<v1::EnrolRequest>) -> Result<Response<v1::EnrolResponse>, Status> {
        peer::open(&self.engine, "Parties.Enrol").await?;
        let (claim, certificate) = self.claim(request.into_inner()).await?;
        let record = MemberRecord {
            name: claim.name.clone(),
            role: claim.role,
            key: claim.key,
            certificate: certificate.clone(),
            enrolled_ms: now_ms(),
            revoked_ms: None,
            by_token: false,
        };
        let audit =
            audit_event(&claim.name, claim.role.as_str(), "member.enrol", &format!("member:{}", claim.name));
        blocking(&self.engine.store, move |s| s.enrol(&claim, &record, &audit))
            .await
            .map_err(|e| status_of(e.into()))?;
        Ok(Response::new(v1::EnrolResponse {
            certificate: Some(v1::Certificate { der: certificate }),
            authority: Some(v1::Certificate { der: self.engine.authority_der().to_vec() }),
            consortium: self.engine.consortium.clone(),
        }))
    }

    async fn attach(
        &self,
        request: Request<Incoming<v1::NodeFrame>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let (_, member) = peer::node(&self.engine, &request, "Parties.Attach").await?;
        let mut frames = request.into_inner();
        let first = tokio::time::timeout(HELLO, frames.next())
            .await
            .map_err(|_| refuse(ProblemKind::Unavailable, "node.silent", "no hello"))?
            .ok_or_else(|| {
                refuse(ProblemKind::Validation, "node.protocol", "the stream ended before hello")
            })??;
        let Some(node_frame::Frame::Hello(hello)) = first.frame else {
            return Err(refuse(ProblemKind::Validation, "node.protocol", "the first frame must be hello"));
        };
        if hello.version != 1 {
            let message = format!("protocol version {} is not spoken here", hello.version);
            return Err(refuse(ProblemKind::Validation, "node.version", message));
        }
        let announcement = hello.mesh.map(|mesh| announced(&member, mesh)).transpose()?;
        if let Some(publication) = hello.publication {
            self.publish(&member, publication).await?;
        }
        let (connection, outgoing) = self.hub.connect(&member.name, announcement);
        let welcome = v1::Welcome {
            consortium: self.engine.consortium.clone(),
            floor: self.engine.floor,
            now_unix_ms: now_ms(),
            certificate: Some(v1::Certificate { der: self.engine.certificate.clone() }),
        };
        // The queue is empty and open: its receiver is `outgoing`.
        connection
            .frame(engine_frame::Frame::Welcome(welcome))
            .await
            .map_err(|e| Status::internal(e.to_string()))?;
        if let Some(list) = self.hub.revocations() {
            connection
                .frame(engine_frame::Frame::Revocations(list))
                .await
                .map_err(|e| Status::internal(e.to_string()))?;
        }
        tracing::info!(hospital = %member.name, software = %hello.software, "node connected");
        let forwarding = connection.clone();
        tokio::spawn(async move { forwarding.forward().await });
        let service = Self { engine: self.engine.clone(), hub: self.hub.clone() };
        tokio::spawn(async move { service.serve(member, connection, frames).await });
        Ok(Response::new(Box::pin(ReceiverStream::new(outgoing))))
    }

    async fn list(
        &self,
        request: Request<v1::ListPartiesRequest>,
    ) -> Result<Response<v1::ListPartiesResponse>, Status> {
        peer::allowed(&self.engine, &request, "Parties.List").await?;
        let members = blocking(&self.engine.store, |s| s.members()).await.map_err(|e| status_of(e.into()))?;
        let connected = self.hub.connected();
        let parties = members
            .into_iter()
            .filter(|m| m.role == Role::Hospital && m.revoked_ms.is_none())
            .map(|m| v1::PartyStatus {
                connected: connected.contains(&m.name),
                fingerprint: m.key.fingerprint(),
                enrolled_unix_ms: m.enrolled_ms,
                certificate: Some(v1::Certificate { der: m.certificate }),
                mesh: self.hub.announced(&m.name).map(|said| v1::MeshAddress {
                    address: said.address,
                    signature: said.signature.0.to_vec(),
                }),
                name: m.name,
            })
            .collect();
        Ok(Response::new(v1::ListPartiesResponse { parties }))
    }

    async fn probe(&self, request: Request<v1::ProbeRequest>) -> Result<Response<v1::ProbeResponse>, Status> {
        peer::allowed(&self.engine, &request, "Parties.Probe").await?;
        let wanted = request.into_inner().reply_bytes as usize;
        if wanted > PROBE_BYTES_MAX {
            return Err(refuse(ProblemKind::Validation, "probe.size", "at most 512 KiB back"));
        }
        Ok(Response::new(v1::ProbeResponse { now_unix_ms: now_ms(), body: vec![0; wanted] }))
    }

    async fn probe_relay(
        &self,
        request: Request<v1::ProbeRelayRequest>,
    ) -> Result<Response<v1::ProbeRelayResponse>, Status> {
        let caller = peer::allowed(&self.engine, &request, "Parties.ProbeRelay").await?;
        let request = request.into_inner();
        let begin = Instant::now();
        self.hub.relay.probe(&caller.name, &request.node, request.body).await.map_err(|failure| {
            let kind = match failure {
                ProbeFailure::Size { .. } => ProblemKind::Validation,
                _ => ProblemKind::Unavailable,
            };
            refuse(kind, "probe.relay", failure.to_string())
        })?;
        let took_us = u64::try_from(begin.elapsed().as_micros()).unwrap_or(u64::MAX);
        Ok(Response::new(v1::ProbeRelayResponse { took_us }))
    }
}

impl PartiesService {
    /// Puts the head of a node's audit chain into the log and answers with the proof; what is refused is noted, and the
    /// node learns it from the silence.
    async fn log_head(
        &self,
        member: &Member,
        connection: &Connection,
        head: v1::AuditHead,
    ) -> Result<(), Gone> {
        match self.engine.take_head(member, &head.json, &head.signature).await {
            Ok(checkpoint) => {
                let json = crate::encoding::canonical_json(&checkpoint);
                connection.frame(engine_frame::Frame::AuditLogged(v1::AuditLogged { json })).await
            }
            Err(problem) => {
                tracing::warn!(hospital = %member.name, %problem, "the head of an audit chain is refused");
                Ok(())
            }
        }
    }

    /// Reads a node's frames until it leaves, breaks the protocol, falls silent, or is revoked.
    async fn serve(self, member: Member, connection: Arc<Connection>, mut frames: Incoming<v1::NodeFrame>) {
        let why = loop {
            let frame = tokio::select! {
                frame = tokio::time::timeout(SILENCE, frames.next()) => frame,
                () = connection.replaced() => break "replaced by a newer connection".to_owned(),
                () = connection.revoked() => break "its enrolment was revoked".to_owned(),
            };
            let frame = match frame {
                Err(_) => break "fell silent".to_owned(),
                Ok(None) => break "left".to_owned(),
                Ok(Some(Err(status))) => break status.message().to_owned(),
                Ok(Some(Ok(frame))) => frame,
            };
            let taken = match frame.frame {
                Some(node_frame::Frame::Reply(reply)) => connection.reply(reply).map_err(|e| e.to_string()),
                Some(node_frame::Frame::Body(body)) => connection.body(&body).map_err(|e| e.to_string()),
                Some(node_frame::Frame::Relay(frame)) => frame_of(frame)
                    .and_then(|frame| connection.relay().take(frame))
                    .map_err(|e| e.to_string()),
                Some(node_frame::Frame::Heartbeat(beat)) => match self.engine.member(&member.name).await {
                    Ok(known) if known.key == member.key => connection
                        .frame(engine_frame::Frame::Heartbeat(beat))
                        .await
                        .map_err(|e| e.to_string()),
                    _ => Err("its enrolment was revoked".to_owned()),
                },
                Some(node_frame::Frame::Publication(publication)) => {
                    self.publish(&member, publication).await.map_err(|status| status.message().to_owned())
                }
                Some(node_frame::Frame::AuditHead(head)) => {
                    self.log_head(&member, &connection, head).await.map_err(|gone| gone.to_string())
                }
                Some(node_frame::Frame::Hello(_)) | None => Err("a frame that is out of place".to_owned()),
            };
            if let Err(what) = taken {
                break what;
            }
        };
        tracing::info!(hospital = %member.name, %why, "node gone");
        self.hub.disconnect(&connection);
    }
}
