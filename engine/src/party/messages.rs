//! The receiver of HL7 v2 messages: a port of the node's own machine, to which the hospital's interface engine sends.
//!
//! ```text
//! sender                                   node
//! message (MLLP)                 ->        read, kept with its audit event in one transaction
//!                                <-        AA, when it is durable; AE or AR, when nothing of it is kept
//! ```
//! A sender who hears nothing sends again: a message with the same control id and the same bytes is acknowledged and
//! changes nothing, one with other bytes is an error.
//!
//! # Security
//! Whoever can connect can write into the tables that messages feed. The port is of this machine alone; the interface
//! engine runs there, or comes through a tunnel that authenticates it. Everything is bounded: connections, the bytes of
//! a message, and the time it has to arrive. Messages are read one at a time.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, timeout, timeout_at};

use super::node::Node;
use crate::audit::{Context, Event, Outcome};
use crate::clock::utc;
use crate::consent::Pseudonym;
use crate::encoding::{Digest, separated};
use crate::problem::{Problem, ProblemKind};
use crate::records::hl7::Row;
use crate::records::hl7::answer::{Refusal, acknowledgement};
use crate::records::hl7::frame::{Frames, framed};
use crate::records::hl7::message::{Expected, Header, Message};
use crate::store::{Kept, MESSAGE_CLASS, MESSAGE_DIGEST, NewItem, NewMessage};
use crate::vault::KeyName;

/// Connections at once.
const CONNECTIONS_MAX: usize = 32;
/// Time that a message has to arrive once it has begun, and that its answer has to be taken.
const MESSAGE_LIMIT: Duration = Duration::from_secs(30);
/// Time between two messages of a connection.
const IDLE_LIMIT: Duration = Duration::from_secs(24 * 3600);

/// How a node takes messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageSettings {
    /// Address of this machine.
    pub listen: SocketAddr,
    /// What it takes.
    pub expected: Expected,
    /// Most bytes of a message.
    pub bytes_max: usize,
    /// Classes of data by kind of item; [`MESSAGE_CLASS`] for the others.
    pub classes: BTreeMap<String, String>,
}

/// Starts the receiver of a node that has the section; the address it listens on comes with it.
///
/// # Errors
/// When the port cannot be had.
pub async fn start(
    node: &Arc<Node>,
    stop: watch::Receiver<bool>,
) -> Result<Option<(SocketAddr, JoinHandle<()>)>, Problem> {
    let Some(settings) = node.config().messages.clone() else { return Ok(None) };
    let busy = |e: std::io::Error| {
        Problem::new(ProblemKind::Unavailable, "hl7.listen", format!("{}: {e}", settings.listen))
            .hint("is another node or interface listening there? [hl7] listen names another port")
    };
    let listener = TcpListener::bind(settings.listen).await.map_err(busy)?;
    let address = listener.local_addr().map_err(busy)?;
    let receiver = Receiver { node: node.clone(), settings: Arc::new(settings), one: Arc::default() };
    Ok(Some((address, tokio::spawn(receiver.run(listener, stop)))))
}

/// What a message says, and the names of the keys that it is kept under: first one for each patient.
struct Items {
    names: Vec<KeyName>,
    patients: usize,
    items: Vec<NewItem>,
}

#[derive(Clone)]
struct Receiver {
    node: Arc<Node>,
    settings: Arc<MessageSettings>,
    /// Held while a message is read.
    one: Arc<Mutex<()>>,
}

impl Receiver {
    async fn run(self, listener: TcpListener, mut stop: watch::Receiver<bool>) {
        let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut connections = JoinSet::new();
        while !*stop.borrow() {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                changed = stop.changed() => { if changed.is_err() { return } else { continue } }
                Some(_) = connections.join_next() => continue,
            };
            match (accepted, room.clone().try_acquire_owned()) {
                (Ok((stream, from)), Ok(permit)) => {
                    let receiver = self.clone();
                    connections.spawn(async move {
                        if let Err(error) = receiver.connection(stream, from).await {
                            tracing::info!(%from, %error, "a connection for messages ended");
                        }
                        drop(permit);
                    });
                }
                (Ok((_, from)), Err(_)) => tracing::warn!(%from, "too many connections for messages"),
                (Err(error), _) => {
                    tracing::warn!(%error, "a connection for messages was not accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    async fn connection(&self, mut stream: TcpStream, from: SocketAddr) -> std::io::Result<()> {
        let mut frames = Frames::new(self.settings.bytes_max);
        let mut buffer = vec![0; 1 << 14];
        let mut due = Instant::now() + IDLE_LIMIT;
        loop {
            let read = timeout_at(due, stream.read(&mut buffer)).await??;
            let mut rest = buffer.get(..read).unwrap_or_default();
            if rest.is_empty() {
                return Ok(());
            }
            let mut has_begun = !frames.is_inside();
            while !rest.is_empty() {
                let Ok((taken, message)) = frames.take(rest) else {
                    let answer = self.refuse(&Header::default(), Refusal::TooLarge, b"", from);
                    return send(&mut stream, &answer).await;
                };
                rest = rest.get(taken..).unwrap_or_default();
                if let Some(message) = message {
                    let receiver = self.clone();
                    let answer = tokio::task::spawn_blocking(move || receiver.answer(&message, from));
                    send(&mut stream, &answer.await.map_err(std::io::Error::other)?).await?;
                    due = Instant::now() + IDLE_LIMIT;
                    has_begun = true;
                }
            }
            if frames.is_inside() && has_begun {
                due = Instant::now() + MESSAGE_LIMIT;
            }
        }
    }

    /// Takes a message in; its acknowledgement. When it says that the message is accepted, it is durable.
    fn answer(&self, bytes: &[u8], from: SocketAddr) -> String {
        let _one = self.one.lock().unwrap_or_else(PoisonError::into_inner);
        let message = match Message::read(bytes, &self.settings.expected) {
            Ok(message) => message,
            Err(refused) => return self.refuse(&refused.header, refused.refusal, bytes, from),
        };
        let refusal = match self.keep(&message, from) {
            Ok(Kept::New | Kept::Before) => {
                return acknowledgement(&message.header, None, &self.now(), &id_of(bytes));
            }
            Err(error) if error.code == "store.conflict" => Refusal::DuplicateKey,
            Err(error) => {
                tracing::error!(%error, "a message could not be kept");
                Refusal::Internal
            }
        };
        self.refuse(&message.header, refusal, bytes, from)
    }

    fn keep(&self, message: &Message, from: SocketAddr) -> Result<Kept, Problem> {
        let (node, header) = (&self.node, &message.header);
        let sealed = self.items(message)?;
        let keys = node.store().data_keys(&sealed.names)?;
        let of_patients = keys.iter().take(sealed.patients);
        let digest = of_patients.fold(message.digest, |digest, key| key.key.blind(MESSAGE_DIGEST, &digest.0));
        let kind = format!("{}^{}", header.kind, header.event);
        let detail = format!("{kind}, {} items, HMAC-SHA-256 {digest}", sealed.items.len());
        // The control id would lead whoever has the sender's log to the patient, after an erasure too.
        let subject = format!("message:{}", header.sender());
        let event = |name: &KeyName| {
            let of_patient = sealed.names.iter().filter(|other| other.patient() == name.patient());
            let context = Context {
                patient: name.patient().to_string(),
                data_class: of_patient.map(KeyName::class).collect::<Vec<_>>().join(", "),
                source: from.ip().to_string(),
                ..Context::default()
            };
            node.audit_event("records.message", &subject, &detail).within(context)
        };
        let events: Vec<Event> = sealed.names.iter().take(sealed.patients).map(event).collect();
        let message = NewMessage {
            sender: header.sender(),
            control_id: header.control_id.clone(),
            digest,
            kind,
            sent_us: message.sent_us,
            at_ms: node.now_ms(),
            keys,
            patients: sealed.patients,
            items: sealed.items,
        };
        Ok(node.store().keep_message(&message, &events)?)
    }

    /// What a message says, and under which keys it is kept.
    fn items(&self, message: &Message) -> Result<Items, Problem> {
        let consents = self.node.consents();
        let mut names: Vec<KeyName> = Vec::new();
        let mut place = |name: KeyName| {
            names.iter().position(|known| *known == name).unwrap_or_else(|| {
                names.push(name);
                names.len() - 1
            })
        };
        // Those of the patients come first.
        let (mut items, mut patients) = (Vec::with_capacity(message.rows.len()), 0);
        for row in &message.rows {
            let who = consents.pseudonym(&row.patient)?;
            patients = patients.max(1 + place(KeyName::new(who, MESSAGE_CLASS)?));
            let key = separated("hl7 item/1", &[row.kind.as_bytes(), row.key.as_bytes()]).to_string();
            items.push((who, Digest(consents.pseudonym(&key)?.0), row));
        }
        let class = |kind: &str| self.settings.classes.get(kind).map_or(MESSAGE_CLASS, String::as_str);
        let item = |(who, key, row): (Pseudonym, Digest, &Row)| {
            let data_key = place(KeyName::new(who, class(row.kind))?);
            let (change, fields) = (row.change, row.fields.clone());
            Ok(NewItem { kind: row.kind, key, patient: Digest(who.0), data_key, change, fields })
        };
        let items = items.into_iter().map(item).collect::<Result<Vec<_>, Problem>>()?;
        Ok(Items { names, patients, items })
    }

    fn refuse(&self, header: &Header, refusal: Refusal, bytes: &[u8], from: SocketAddr) -> String {
        let node = &self.node;
        // No digest: nothing is kept of the message, and a plain one could be guessed.
        let detail = format!("{} {refusal}", refusal.code().as_str());
        let context = Context { source: from.ip().to_string(), ..Context::default() };
        let subject = format!("message:{}/{}", header.sender(), header.control_id);
        let event = node.event("records.message", &subject, Outcome::Refused, &detail);
        if let Err(error) = node.store().audit(&event.within(context)) {
            tracing::error!(%error, "a refused message could not be audited");
        }
        acknowledgement(header, Some(refusal), &self.now(), &id_of(bytes))
    }

    fn now(&self) -> String {
        let digits: String = utc(self.node.now_ms()).chars().filter(char::is_ascii_digit).collect();
        digits + "+0000"
    }
}

/// The control id of an answer: of the message's bytes, so that an answer given again is the same.
fn id_of(bytes: &[u8]) -> String {
    Digest::of(bytes).to_string().chars().take(20).collect()
}

async fn send(stream: &mut TcpStream, answer: &str) -> std::io::Result<()> {
    timeout(MESSAGE_LIMIT, stream.write_all(&framed(answer))).await?
}
