//! The hub: every hospital's node that is connected now, and the calls that wait for it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};
use tonic::Status;

use super::frames::{Assembly, BODY_BYTES_MAX, FrameError, pieces};
use super::relay::{Attachment, Relay, relay_of};
use super::v1::{self, engine_frame, reply};
use crate::encoding::{Digest, canonical_json};
use crate::job::nodes::{Answered, Calling, NodeError, Nodes, SessionGuard};
use crate::party::mesh::Announcement;
use crate::party::task::{Outcome, Task};
use crate::problem::{Problem, ProblemKind};

/// Frames that may wait for a slow connection before senders wait too.
const QUEUE_FRAMES: usize = 16;

/// What a call waits for.
type Waiting = oneshot::Sender<Result<Answered, NodeError>>;

/// The connected nodes.
#[derive(Default)]
pub struct Hub {
    nodes: Mutex<HashMap<String, Arc<Connection>>>,
    numbers: AtomicU64,
    /// Notified whenever a node connects or leaves.
    pub changed: Notify,
    /// Pipes between nodes.
    pub relay: Arc<Relay>,
    bytes_out: Mutex<HashMap<String, u64>>,
    revocations: Mutex<Option<v1::RevocationList>>,
}

/// One node's stream.
pub struct Connection {
    name: String,
    number: u64,
    outgoing: mpsc::Sender<Result<v1::EngineFrame, Status>>,
    /// Calls that wait for an answer; none once the stream is over, so that no call waits for what cannot come.
    pending: Mutex<Option<HashMap<u64, Waiting>>>,
    bodies: Mutex<HashMap<u64, (Outcome, Assembly)>>,
    announcement: Option<Announcement>,
    relay: Attachment,
    replaced: Notify,
    cut: Notify,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hub {
    /// Registers a node's stream, in place of an older one of the same name, with the address that the node announced.
    /// Returns the connection and the frames to send.
    pub fn connect(
        &self,
        name: &str,
        announcement: Option<Announcement>,
    ) -> (Arc<Connection>, mpsc::Receiver<Result<v1::EngineFrame, Status>>) {
        let (outgoing, frames) = mpsc::channel(QUEUE_FRAMES);
        // Under this lock, so that hub and relay agree on which connection is the newer.
        let mut nodes = lock(&self.nodes);
        let connection = Arc::new(Connection {
            name: name.to_owned(),
            number: self.numbers.fetch_add(1, Ordering::Relaxed),
            outgoing,
            pending: Mutex::new(Some(HashMap::new())),
            bodies: Mutex::default(),
            announcement,
            relay: self.relay.attach(name),
            replaced: Notify::new(),
            cut: Notify::new(),
        });
        let old = nodes.insert(name.to_owned(), connection.clone());
        drop(nodes);
        if let Some(old) = old {
            old.replaced.notify_one();
            old.fail_all();
        }
        self.changed.notify_waiters();
        (connection, frames)
    }

    /// Forgets a connection that ended, unless a newer one took its place.
    pub fn disconnect(&self, connection: &Connection) {
        let mut nodes = lock(&self.nodes);
        if nodes.get(&connection.name).is_some_and(|c| c.number == connection.number) {
            nodes.remove(&connection.name);
        }
        drop(nodes);
        connection.fail_all();
        connection.relay.end();
        self.changed.notify_waiters();
    }

    /// Where a connected node takes direct connections, as it announced.
    #[must_use]
    pub fn announced(&self, node: &str) -> Option<Announcement> {
        self.connection(node)?.announcement.clone()
    }

    /// Keeps the list that nodes are told when they connect.
    pub fn set_revocations(&self, list: v1::RevocationList) {
        *lock(&self.revocations) = Some(list);
    }

    /// The list of revocations.
    #[must_use]
    pub fn revocations(&self) -> Option<v1::RevocationList> {
        lock(&self.revocations).clone()
    }

    /// Ends the stream of a node that was revoked, and fails every call that waits for it.
    pub fn cut(&self, node: &str) {
        if let Some(connection) = self.connection(node) {
            connection.cut.notify_one();
            self.disconnect(&connection);
        }
    }

    /// Sends a frame to a connected node; one that takes nothing for a second has its next chance when it connects again.
    pub async fn tell(&self, node: &str, frame: engine_frame::Frame) {
        if let Some(connection) = self.connection(node) {
            let sent = tokio::time::timeout(Duration::from_secs(1), connection.frame(frame)).await;
            if !matches!(sent, Ok(Ok(()))) {
                tracing::debug!(%node, "the node was not told");
            }
        }
    }

    fn connection(&self, node: &str) -> Option<Arc<Connection>> {
        lock(&self.nodes).get(node).cloned()
    }

    /// Bytes sent down to each node since the engine started.
    #[must_use]
    pub fn bytes_out(&self) -> HashMap<String, u64> {
        lock(&self.bytes_out).clone()
    }

    async fn call_node(
        &self,
        node: &str,
        task: &Task,
        body: &[u8],
        limit: Duration,
    ) -> Result<Answered, NodeError> {
        let away = || NodeError::Away(node.to_owned());
        let connection = self.connection(node).ok_or_else(away)?;
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let (waiting, answer) = oneshot::channel();
        connection.expect(number, waiting).map_err(|_| away())?;
        let sent = tokio::time::timeout(limit, async {
            connection.send(number, task, body).await.map_err(|_| away())?;
            *lock(&self.bytes_out).entry(node.to_owned()).or_default() += body.len() as u64;
            answer.await.map_err(|_| away())?
        })
        .await;
        connection.forget(number);
        sent.unwrap_or_else(|_| Err(NodeError::Slow { node: node.to_owned(), limit_ms: limit.as_millis() }))
    }
}

impl Nodes for Hub {
    fn connected(&self) -> Vec<String> {
        let mut names: Vec<_> = lock(&self.nodes).keys().cloned().collect();
        names.sort();
        names
    }

    fn call<'a>(&'a self, node: &'a str, task: &'a Task, body: Arc<Vec<u8>>, limit: Duration) -> Calling<'a> {
        Box::pin(async move { self.call_node(node, task, &body, limit).await })
    }

    fn open_session(
        &self,
        session: [u8; 16],
        compute: &[String],
        others: &[String],
    ) -> Result<SessionGuard, Problem> {
        match self.relay.session(session, compute, others) {
            Ok(guard) => Ok(Box::new(guard)),
            Err(taken) => Err(Problem::new(ProblemKind::Conflict, "relay.session", taken.to_string())),
        }
    }

    fn announcement(&self, node: &str) -> Option<Announcement> {
        self.announced(node)
    }
}

impl Connection {
    /// The node's line to the relay.
    #[must_use]
    pub fn relay(&self) -> &Attachment {
        &self.relay
    }

    /// Sends what the relay has for the node, until the line or the stream ends.
    pub async fn forward(&self) {
        while let Some(frame) = self.relay.next().await {
            if self.frame(engine_frame::Frame::Relay(relay_of(frame))).await.is_err() {
                return;
            }
        }
    }

    /// Waits until a newer connection of the same node takes this one's place.
    pub async fn replaced(&self) {
        self.replaced.notified().await;
    }

    /// Waits until the node is revoked; then tells it so.
    pub async fn revoked(&self) {
        self.cut.notified().await;
        let problem =
            Problem::new(ProblemKind::Authorization, "identity.revoked", "the enrolment was revoked");
        // The node may be gone, or take nothing: it is cut off all the same.
        let _ = self.outgoing.try_send(Err(super::status::status_of(problem)));
    }

    /// Sends one frame; an error means the stream is gone.
    ///
    /// # Errors
    /// When the stream has ended.
    pub async fn frame(&self, frame: engine_frame::Frame) -> Result<(), Gone> {
        self.outgoing.send(Ok(v1::EngineFrame { frame: Some(frame) })).await.map_err(|_| Gone)
    }

    async fn send(&self, number: u64, task: &Task, body: &[u8]) -> Result<(), Gone> {
        let header = v1::Task {
            number,
            task: canonical_json(task),
            body_bytes: body.len() as u64,
            body_sha256: if body.is_empty() { Vec::new() } else { Digest::of(body).0.to_vec() },
            traceparent: crate::trace::current().map_or_else(String::new, |o| o.parent.child().to_string()),
        };
        self.frame(engine_frame::Frame::Task(header)).await?;
        for (piece, last) in pieces(body) {
            self.frame(engine_frame::Frame::Body(v1::Body { task: number, data: piece.to_vec(), last }))
                .await?;
        }
        Ok(())
    }

    /// Has a call wait for its answer.
    fn expect(&self, number: u64, waiting: Waiting) -> Result<(), Gone> {
        lock(&self.pending).as_mut().ok_or(Gone)?.insert(number, waiting);
        Ok(())
    }

    fn is_expected(&self, number: u64) -> bool {
        lock(&self.pending).as_ref().is_some_and(|pending| pending.contains_key(&number))
    }

    fn taken(&self, number: u64) -> Option<Waiting> {
        lock(&self.pending).as_mut()?.remove(&number)
    }

    fn forget(&self, number: u64) {
        drop(self.taken(number));
        lock(&self.bodies).remove(&number);
    }

    fn fail_all(&self) {
        lock(&self.bodies).clear();
        let pending = lock(&self.pending).take();
        for (_, waiting) in pending.into_iter().flatten() {
            // A call that gave up meanwhile does not listen any more.
            let _ = waiting.send(Err(NodeError::Away(self.name.clone())));
        }
    }

    fn answer(&self, number: u64, result: Result<Answered, NodeError>) {
        if let Some(waiting) = self.taken(number) {
            // As above.
            let _ = waiting.send(result);
        }
    }

    /// Takes a reply's header. An answer to a call that is not waiting any more is dropped.
    ///
    /// # Errors
    /// [`FrameError`] when a body over the limit is announced.
    pub fn reply(&self, reply: v1::Reply) -> Result<(), FrameError> {
        let number = reply.task;
        if !self.is_expected(number) {
            return Ok(());
        }
        let protocol = |what: &str| NodeError::Protocol { node: self.name.clone(), what: what.to_owned() };
        let outcome = match reply.result {
            Some(reply::Result::Outcome(json)) => serde_json::from_slice::<Outcome>(&json)
                .map_err(|error| protocol(&format!("unreadable outcome: {error}"))),
            Some(reply::Result::Refusal(refusal)) => {
                Err(NodeError::Refused(problem_of(refusal).at(&self.name)))
            }
            None => Err(protocol("reply without outcome")),
        };
        match outcome {
            Err(error) => self.answer(number, Err(error)),
            Ok(outcome) if reply.body_bytes == 0 => {
                self.answer(number, Ok(Answered { outcome, body: Vec::new() }));
            }
            Ok(outcome) => match Digest::from_slice(&reply.body_sha256) {
                None => self.answer(number, Err(protocol("body without digest"))),
                Some(digest) => match Assembly::new(reply.body_bytes, digest, BODY_BYTES_MAX) {
                    Ok(assembly) => {
                        lock(&self.bodies).insert(number, (outcome, assembly));
                    }
                    Err(error) => {
                        self.answer(number, Err(protocol(&error.to_string())));
                        return Err(error);
                    }
                },
            },
        }
        Ok(())
    }

    /// Takes a piece of a reply's body.
    ///
    /// # Errors
    /// [`FrameError`] when the body is not as announced; the call fails with it.
    pub fn body(&self, body: &v1::Body) -> Result<(), FrameError> {
        let mut bodies = lock(&self.bodies);
        let Some((_, assembly)) = bodies.get_mut(&body.task) else {
            // Late pieces of a call that gave up are dropped; pieces before their header end call and stream.
            drop(bodies);
            if !self.is_expected(body.task) {
                return Ok(());
            }
            let what = FrameError::Unannounced.to_string();
            self.answer(body.task, Err(NodeError::Protocol { node: self.name.clone(), what }));
            return Err(FrameError::Unannounced);
        };
        match assembly.push(&body.data, body.last) {
            Ok(None) => Ok(()),
            Ok(Some(whole)) => {
                if let Some((outcome, _)) = bodies.remove(&body.task) {
                    drop(bodies);
                    self.answer(body.task, Ok(Answered { outcome, body: whole }));
                }
                Ok(())
            }
            Err(error) => {
                bodies.remove(&body.task);
                drop(bodies);
                let what = error.to_string();
                self.answer(body.task, Err(NodeError::Protocol { node: self.name.clone(), what }));
                Err(error)
            }
        }
    }
}

/// The stream has ended.
#[derive(Debug, thiserror::Error)]
#[error("the node's stream has ended")]
pub struct Gone;

fn problem_of(refusal: v1::Refusal) -> Problem {
    let mut problem = Problem::new(ProblemKind::from_name(&refusal.kind), &refusal.code, refusal.message);
    problem.hint = refusal.hint;
    problem.retryable = refusal.retryable;
    problem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_call_that_comes_to_a_stream_as_it_ends_is_answered_away_and_does_not_wait() {
        let hub = Hub::default();
        // The frames are still taken: the stream's other half lives a moment longer.
        let (connection, _frames) = hub.connect("h-0", None);
        let (waiting, answer) = oneshot::channel();
        connection.expect(1, waiting).expect("the stream is there");
        hub.disconnect(&connection);
        assert!(matches!(answer.await, Ok(Err(NodeError::Away(_)))));
        let (waiting, answer) = oneshot::channel();
        assert!(connection.expect(2, waiting).is_err());
        assert!(answer.await.is_err());
        let task = Task::Contribute { job: "job-1".to_owned() };
        let called = hub.call("h-0", &task, Arc::default(), Duration::from_secs(60)).await;
        assert!(matches!(called, Err(NodeError::Away(_))));
    }
}
