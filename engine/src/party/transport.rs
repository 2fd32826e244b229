//! The node's end of its stream: connects out, says hello, answers tasks, and comes back after every break.

pub mod studies;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, watch};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;

use super::mesh::{Announcement, RelayFrame};
use super::node::Node;
use super::task::Task;
use crate::encoding::{Digest, canonical_json};
use crate::grpc::client::{self, Target};
use crate::grpc::frames::{Assembly, BODY_BYTES_MAX, pieces};
use crate::grpc::relay::{frame_of, relay_of};
use crate::grpc::status::problem_of;
use crate::grpc::v1::parties_client::PartiesClient;
use crate::grpc::v1::{self, engine_frame, node_frame, reply};
use crate::grpc::{MESSAGE_BYTES_MAX, frames::FrameError};
use crate::identity::Signature;
use crate::identity::revocation::SignedRevocations;
use crate::job::heads::PERIOD;
use crate::member::pem_of;
use crate::problem::{Problem, ProblemKind};
use crate::trace::{Origin, TraceParent};

/// Tasks worked on at once.
const TASKS_MAX: usize = 4;
/// Longest pause between two attempts to connect.
const PAUSE_MAX: Duration = Duration::from_secs(15);
/// A heartbeat is sent this often, and the engine is given up after three without a frame.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// How long a node that stops waits for its last head to be logged.
const LAST_HEAD: Duration = Duration::from_secs(2);
/// The certificate's age is looked at this often.
const RENEWAL: Duration = Duration::from_secs(3_600);

/// Keeps the node connected until `stop` turns true.
///
/// # Errors
/// Only for what waiting does not mend: an address or certificate that does not parse, an address for peers that is
/// taken, or the engine's refusal of this member.
pub async fn run(node: Arc<Node>, target: Target, mut stop: watch::Receiver<bool>) -> Result<(), Problem> {
    if let Some(address) = &node.config().mesh.listen {
        let bound = node.mesh().listen(address, stop.clone()).await?;
        tracing::info!(%bound, "listening for peers");
    }
    let _telling = AbortOnDrop(tokio::spawn(super::notify::keep_delivering(node.clone())));
    let mut pause = Duration::from_millis(100);
    while !*stop.borrow() {
        let held = current(&node, &target)?;
        let session = tokio::select! {
            session = session(&node, &held, (&mut pause, stop.clone())) => session,
            () = stopped_for(stop.clone(), LAST_HEAD * 2) => return Ok(()),
        };
        if *stop.borrow() {
            return Ok(());
        }
        let problem = match session {
            Ok(()) => Problem::new(ProblemKind::Unavailable, "engine.closed", "the engine ended the stream"),
            Err(problem) if is_final(&problem) => return Err(problem),
            Err(problem) => problem,
        };
        tracing::warn!(%problem, pause_ms = pause.as_millis(), "not connected to the engine; trying again");
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stop.changed() => return Ok(()),
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
    Ok(())
}

fn is_final(problem: &Problem) -> bool {
    matches!(problem.kind, ProblemKind::Validation | ProblemKind::Authorization | ProblemKind::Conflict)
}

/// The target, under the certificate in force.
fn current(node: &Node, target: &Target) -> Result<Target, Problem> {
    let key = node.membership().identity.to_pem().map_err(|e| Problem::internal(&e))?;
    Ok(Target { identity_pem: Some((pem_of(&node.certificate()), key)), ..target.clone() })
}

/// Renews the certificate over the connection when it is time. An engine that does not do it now is asked again.
async fn renew(node: Arc<Node>, channel: Channel) {
    if !node.is_renewal_due() {
        return;
    }
    let renewed = match client::renew(channel).await {
        Ok(certificate) => node.adopt(certificate),
        Err(problem) => Err(problem),
    };
    match renewed {
        Ok(()) => tracing::info!("the certificate is renewed"),
        Err(problem) => tracing::warn!(%problem, "the certificate is not renewed"),
    }
}

type Outgoing = mpsc::Sender<v1::NodeFrame>;

/// Ends a task when the session ends.
struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Waits until the node is told to stop, and a while longer.
async fn stopped_for(mut stop: watch::Receiver<bool>, pause: Duration) {
    // An error means that nobody can tell it to stop any more: that is a stop too.
    let _ = stop.wait_for(|is_over| *is_over).await;
    tokio::time::sleep(pause).await;
}

/// Has the head of the node's audit chain logged, when there is a new one; true when there was.
async fn offer_head(node: &Arc<Node>, outgoing: &Outgoing) -> Result<bool, Problem> {
    let asked = node.clone();
    let head = tokio::task::spawn_blocking(move || asked.audit_head());
    let Some((head, signature)) = head.await.map_err(|e| Problem::internal(&e))?? else { return Ok(false) };
    let head = v1::AuditHead { json: canonical_json(&head), signature };
    send(outgoing, node_frame::Frame::AuditHead(head)).await.map(|()| true)
}

/// Keeps a logged head, if it holds.
fn keep_head(node: &Node, json: &[u8]) {
    if let Err(problem) = node.keep_audit_head(json) {
        tracing::warn!(%problem, "a logged head is not kept");
    }
}

async fn session(
    node: &Arc<Node>,
    target: &Target,
    (pause, mut stop): (&mut Duration, watch::Receiver<bool>),
) -> Result<(), Problem> {
    let channel = client::connect(target).await?;
    let (outgoing, mut incoming) = attach(node, &channel).await?;
    let _in_step = AbortOnDrop(tokio::spawn(studies::keep_in_step(node.clone(), channel.clone())));
    let (relay, relayed) = node.mesh().relay().attach();
    tokio::spawn(forward(relayed, outgoing.clone()));
    let desk = Desk::of(node, &outgoing, target)?;
    let mut bodies = Bodies::new();
    let mut beat = tokio::time::interval(HEARTBEAT);
    let mut renewal = tokio::time::interval(RENEWAL);
    let mut heads = tokio::time::interval_at(tokio::time::Instant::now() + PERIOD, PERIOD);
    let mut is_over = false;
    let mut silent = 0;
    loop {
        let frame = tokio::select! {
            frame = incoming.next() => frame,
            _ = heads.tick() => {
                offer_head(node, &outgoing).await?;
                continue;
            }
            _ = stop.changed(), if !is_over => {
                // The stream goes on until the last head is logged, or for as long as `run` waits.
                is_over = true;
                if !offer_head(node, &outgoing).await? {
                    return Ok(());
                }
                continue;
            }
            () = node.published.notified() => {
                send(&outgoing, node_frame::Frame::Publication(publication(node).await?)).await?;
                continue;
            }
            _ = renewal.tick() => {
                // Not in the way of the stream's frames.
                tokio::spawn(renew(node.clone(), channel.clone()));
                continue;
            }
            _ = beat.tick() => {
                silent += 1;
                heartbeat(&outgoing, silent).await?;
                continue;
            }
        };
        silent = 0;
        let Some(frame) = frame else { return Ok(()) };
        let Some(frame) = frame.map_err(|status| problem_of(&status))?.frame else { continue };
        if let engine_frame::Frame::Welcome(_) = &frame {
            *pause = welcomed(target);
        }
        note(node, &frame)?;
        let frame = match frame {
            engine_frame::Frame::AuditLogged(_) if is_over => return Ok(()),
            engine_frame::Frame::Relay(frame) => {
                relay.take(frame_of(frame).map_err(|e| protocol(&e))?).map_err(|e| protocol(&e))?;
                continue;
            }
            frame => frame,
        };
        if let Some(received) = take(frame, &mut bodies).map_err(|e| protocol(&*e))? {
            desk.work(received);
        }
    }
}

/// The engine takes the node: the pause before the next attempt begins small again.
fn welcomed(target: &Target) -> Duration {
    tracing::info!(engine = %target.url, "connected");
    Duration::from_millis(100)
}

/// Opens the stream and says hello.
async fn attach(
    node: &Arc<Node>,
    channel: &Channel,
) -> Result<(Outgoing, Streaming<v1::EngineFrame>), Problem> {
    let (outgoing, frames) = mpsc::channel(16);
    send(&outgoing, node_frame::Frame::Hello(hello(node).await?)).await?;
    let attached = service(channel.clone()).attach(ReceiverStream::new(frames)).await;
    Ok((outgoing, attached.map_err(|status| problem_of(&status))?.into_inner()))
}

async fn heartbeat(outgoing: &Outgoing, silent: u64) -> Result<(), Problem> {
    if silent > 3 {
        return Err(Problem::new(ProblemKind::Unavailable, "engine.silent", "the engine fell silent"));
    }
    send(outgoing, node_frame::Frame::Heartbeat(v1::Heartbeat { nonce: silent })).await
}

/// Where tasks are worked on, a few at once.
struct Desk {
    node: Arc<Node>,
    outgoing: Outgoing,
    permits: Arc<Semaphore>,
    /// The engine's host.
    source: String,
}

impl Desk {
    fn of(node: &Arc<Node>, outgoing: &Outgoing, target: &Target) -> Result<Self, Problem> {
        let (node, outgoing) = (node.clone(), outgoing.clone());
        let (permits, (source, _)) =
            (Arc::new(Semaphore::new(TASKS_MAX)), client::host_and_port(&target.url)?);
        Ok(Self { node, outgoing, permits, source })
    }

    /// Does a task and answers it.
    fn work(&self, (number, traceparent, task, body): Received) {
        let (node, outgoing, permits) = (self.node.clone(), self.outgoing.clone(), self.permits.clone());
        let origin = origin_of(&traceparent, self.source.clone());
        tokio::spawn(async move {
            // The semaphore is never closed. A task that waits for other members takes no permit: it would keep the
            // task from running for which they wait.
            let _permit = if task.waits() { None } else { permits.acquire_owned().await.ok() };
            let result = crate::trace::within(origin, node.handle(task, body)).await;
            if answer(&outgoing, number, result).await.is_err() {
                tracing::debug!(number, "the stream ended before the answer");
            }
        });
    }
}

async fn hello(node: &Arc<Node>) -> Result<v1::Hello, Problem> {
    Ok(v1::Hello {
        version: 1,
        software: env!("CARGO_PKG_VERSION").to_owned(),
        publication: Some(publication(node).await?),
        mesh: mesh_address(node)?,
    })
}

/// Takes in what the engine says of itself, and of members that were revoked.
fn note(node: &Node, frame: &engine_frame::Frame) -> Result<(), Problem> {
    match frame {
        engine_frame::Frame::Welcome(welcome) => {
            let certificate = welcome.certificate.as_ref().map_or(&[][..], |c| &c.der);
            node.welcome(welcome.floor, &welcome.consortium, certificate)
        }
        engine_frame::Frame::Revocations(list) => {
            let Some(signature) = Signature::from_slice(&list.signature) else {
                return Err(protocol(&FrameError::Digest));
            };
            let signed = SignedRevocations { json: list.json.clone(), signature };
            if let Err(problem) = node.take_revocations(&signed) {
                tracing::warn!(%problem, "a list of revocations is not taken");
            }
            Ok(())
        }
        engine_frame::Frame::AuditLogged(logged) => {
            keep_head(node, &logged.json);
            Ok(())
        }
        _ => Ok(()),
    }
}

fn service(channel: Channel) -> PartiesClient<Channel> {
    PartiesClient::new(channel)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX)
}

fn protocol(error: &(dyn std::error::Error + 'static)) -> Problem {
    Problem::new(
        ProblemKind::Unavailable,
        "engine.protocol",
        format!("the engine broke the protocol: {error}"),
    )
}

async fn publication(node: &Arc<Node>) -> Result<v1::Publication, Problem> {
    let (json, signature) = node.publication().await?;
    let signature = v1::Signature { signer: node.name().to_owned(), signature };
    Ok(v1::Publication { hospital: node.name().to_owned(), json, signature: Some(signature) })
}

/// A task with its number and body, whole.
type Received = (u64, String, Task, Vec<u8>);

/// Tasks whose bodies are under way, each with its trace.
type Bodies = HashMap<u64, (String, Task, Assembly)>;

/// Takes a frame in; returns a task once it is whole.
fn take(
    frame: engine_frame::Frame,
    bodies: &mut Bodies,
) -> Result<Option<Received>, Box<dyn std::error::Error + Send + Sync>> {
    match frame {
        engine_frame::Frame::Task(header) => {
            let task: Task = serde_json::from_slice(&header.task)?;
            if header.body_bytes == 0 {
                return Ok(Some((header.number, header.traceparent, task, Vec::new())));
            }
            let digest = Digest::from_slice(&header.body_sha256).ok_or(FrameError::Digest)?;
            let assembly = Assembly::new(header.body_bytes, digest, BODY_BYTES_MAX)?;
            bodies.insert(header.number, (header.traceparent, task, assembly));
            Ok(None)
        }
        engine_frame::Frame::Body(piece) => {
            let (_, _, assembly) = bodies.get_mut(&piece.task).ok_or(FrameError::Unannounced)?;
            let Some(body) = assembly.push(&piece.data, piece.last)? else { return Ok(None) };
            Ok(bodies.remove(&piece.task).map(|(trace, task, _)| (piece.task, trace, task, body)))
        }
        engine_frame::Frame::Welcome(_)
        | engine_frame::Frame::Heartbeat(_)
        | engine_frame::Frame::Revocations(_)
        | engine_frame::Frame::AuditLogged(_)
        | engine_frame::Frame::Relay(_) => Ok(None),
    }
}

/// Where a task comes from: the engine, in the trace that it names, or a new one.
fn origin_of(traceparent: &str, engine: String) -> Option<Origin> {
    let parent = TraceParent::parse(traceparent).or_else(TraceParent::fresh)?;
    Some(Origin { parent, source: engine })
}

/// Where this node takes peers' connections, signed.
fn mesh_address(node: &Node) -> Result<Option<v1::MeshAddress>, Problem> {
    let Some(address) = &node.config().mesh.address else { return Ok(None) };
    let said = Announcement::sign(&node.membership().identity, node.name(), address)?;
    Ok(Some(v1::MeshAddress { address: said.address, signature: said.signature.0.to_vec() }))
}

/// Sends what this node's pipes have for the engine, until either ends. A task of its own: the stream's reader must
/// not wait for its writer.
async fn forward(mut relayed: mpsc::UnboundedReceiver<RelayFrame>, outgoing: Outgoing) {
    while let Some(frame) = relayed.recv().await {
        if send(&outgoing, node_frame::Frame::Relay(relay_of(frame))).await.is_err() {
            return;
        }
    }
}

async fn send(outgoing: &Outgoing, frame: node_frame::Frame) -> Result<(), Problem> {
    outgoing
        .send(v1::NodeFrame { frame: Some(frame) })
        .await
        .map_err(|_| Problem::new(ProblemKind::Unavailable, "engine.closed", "the engine ended the stream"))
}

async fn answer(
    outgoing: &Outgoing,
    number: u64,
    result: Result<(super::task::Outcome, Vec<u8>), Problem>,
) -> Result<(), Problem> {
    let (outcome, body) = match result {
        Ok((outcome, body)) => (reply::Result::Outcome(canonical_json(&outcome)), body),
        Err(problem) => {
            tracing::info!(%problem, "task refused");
            let refusal = v1::Refusal {
                kind: problem.kind.name().to_owned(),
                code: problem.code,
                message: problem.message,
                hint: problem.hint,
                retryable: problem.retryable,
            };
            (reply::Result::Refusal(refusal), Vec::new())
        }
    };
    let header = v1::Reply {
        task: number,
        result: Some(outcome),
        body_bytes: body.len() as u64,
        body_sha256: if body.is_empty() { Vec::new() } else { Digest::of(&body).0.to_vec() },
    };
    send(outgoing, node_frame::Frame::Reply(header)).await?;
    for (piece, last) in pieces(&body) {
        send(outgoing, node_frame::Frame::Body(v1::Body { task: number, data: piece.to_vec(), last }))
            .await?;
    }
    Ok(())
}
