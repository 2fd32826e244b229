//! The mesh: for one attempt of one job, an authenticated and confidential stream between each pair of members that
//! talk to each other.
//!
//! A node has one [`Endpoint`]. [`Mesh::join`] connects it to the peers of an attempt: of each pair, the member with
//! the lower name dials, directly where an address is known and otherwise by a pipe through the engine. Either way the
//! stream is TLS 1.3 from member to member (`tls`), bound to the attempt by its greeting (`greeting`), and carries
//! framed messages (`frame`) in order. Queues are bounded ([`MeshLimits`]), a silent peer is noticed, and nothing is
//! resumed: the first stream that breaks ends the attempt's mesh, and every call that waits hears of it.
//!
//! [`MeshChannel`] is the mesh as a program of three roles sees it.

mod address;
mod carrier;
mod channel;
mod dial;
mod endpoint;
mod error;
mod frame;
mod greeting;
mod limits;
mod link;
mod pipe;
mod relay;
mod settings;
mod stream;
#[cfg(test)]
pub(crate) mod tests;
mod tls;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

pub use self::address::Announcement;
pub use self::channel::MeshChannel;
use self::dial::{Reached, reach};
use self::endpoint::Arrival;
pub use self::endpoint::Endpoint;
pub use self::error::MeshError;
pub use self::limits::MeshLimits;
use self::link::{End, Link};
pub use self::relay::{
    CloseReason, DATA_BYTES_MAX, PIPES_MAX, PROBE_BYTES_MAX, PROBE_SESSION, RelayEvent, RelayFault,
    RelayFrame, RelayLine, RelayPort, WINDOW_BYTES,
};
pub use self::settings::MeshSettings;
use self::stream::Secured;
pub use self::tls::MeshIdentity;
use crate::identity::revocation::Revocations;
use crate::identity::{PublicKey, check_name};

/// Most peers of one member in one attempt.
pub const PEERS_MAX: usize = 64;

/// A peer of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerSpec {
    /// Its name.
    pub name: String,
    /// Its key, as this node has pinned it.
    pub key: PublicKey,
    /// `host:port` for a direct connection, where one is known: see [`Announcement`].
    pub address: Option<String>,
}

/// What an attempt's mesh is made of.
#[derive(Clone, Debug)]
pub struct MeshConfig {
    /// Names the attempt: a hash of job and attempt. The same at every member, and never used twice.
    pub session: [u8; 16],
    /// The members that this node talks to.
    pub peers: Vec<PeerSpec>,
    /// How much and how long.
    pub limits: MeshLimits,
}

/// How a peer is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// TCP between the two nodes.
    Direct,
    /// A pipe through the engine.
    Relayed,
}

impl Route {
    /// `direct` or `relayed`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Relayed => "relayed",
        }
    }
}

/// What has passed between this node and a peer. `bytes` are those of the messages; `wire_bytes` those that went over
/// the way, frames and TLS included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Messages queued to the peer.
    pub messages_sent: u64,
    /// Their bytes.
    pub bytes_sent: u64,
    /// Messages of the peer.
    pub messages_received: u64,
    /// Their bytes.
    pub bytes_received: u64,
    /// Bytes on the way there.
    pub wire_bytes_sent: u64,
    /// Bytes on the way back.
    pub wire_bytes_received: u64,
}

/// A peer of a mesh, as it is connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerReport {
    /// Its name.
    pub name: String,
    /// Its way.
    pub route: Route,
    /// Why it is not direct, where this node dialled and knows.
    pub not_direct: Option<String>,
    /// What has passed.
    pub traffic: Traffic,
}

/// One attempt's streams. Dropping it cuts them; [`Mesh::close`] ends them with a farewell.
pub struct Mesh {
    me: String,
    links: BTreeMap<String, (Arc<Link>, Option<String>)>,
    end: End,
    tasks: JoinSet<()>,
    runtime: Handle,
    limits: MeshLimits,
}

impl Mesh {
    /// Connects to every peer of the attempt, or to none. `cancel` turning true, or its sender's end, ends the mesh at
    /// any time: every call that waits returns [`MeshError::Cancelled`].
    ///
    /// # Errors
    /// [`MeshError`] of the first peer that cannot be reached, or that is somebody else.
    ///
    /// # Security
    /// Each stream is confidential and authenticated end to end, also through the engine, against anybody who does
    /// not hold the two members' keys. An observer, and the engine where it relays, sees sizes and times.
    pub async fn join(
        endpoint: &Arc<Endpoint>,
        config: MeshConfig,
        mut cancel: watch::Receiver<bool>,
    ) -> Result<Self, MeshError> {
        check(endpoint, &config.peers)?;
        if let Some(peer) = config.peers.iter().find(|peer| endpoint.identity.revocations().has(&peer.key)) {
            return Err(MeshError::Revoked { peer: peer.name.clone() });
        }
        let end = End::new();
        let joined = tokio::select! {
            biased;
            () = cancelled(&mut cancel) => return Err(MeshError::Cancelled),
            joined = connect_all(endpoint, &config) => joined?,
        };
        let mut tasks = JoinSet::new();
        let mut links = BTreeMap::new();
        for Joined { peer, stream, route, not_direct } in joined {
            let wire = stream.get_ref().0.wire();
            let link = Arc::new(Link::new(peer.clone(), route, config.limits, (end.clone(), wire)));
            tracing::info!(peer, route = route.as_str(), not_direct, "peer connected");
            tasks.spawn(stream::run(link.clone(), stream));
            links.insert(peer, (link, not_direct));
        }
        let ending = end.clone();
        let (revocations, peers) = (endpoint.identity.revocations().clone(), config.peers);
        tokio::spawn(async move {
            tokio::select! {
                () = cancelled(&mut cancel) => ending.with(MeshError::Cancelled),
                peer = revoked(&revocations, &peers) => ending.with(MeshError::Revoked { peer }),
                _ = ending.ended() => {}
            }
        });
        let me = endpoint.name().to_owned();
        Ok(Self { me, links, end, tasks, runtime: Handle::current(), limits: config.limits })
    }

    /// Queues a message to a peer; waits while more than the limit waits already.
    ///
    /// # Errors
    /// [`MeshError`].
    pub async fn send(&self, peer: &str, tag: [u8; 16], message: Vec<u8>) -> Result<(), MeshError> {
        self.link(peer)?.send(tag, message).await
    }

    /// Waits for the peer's next message, which must have this tag and at most so many bytes. What a peer sent before
    /// it left or its stream broke is still given out.
    ///
    /// # Errors
    /// [`MeshError`].
    pub async fn receive(&self, peer: &str, tag: [u8; 16], bytes_max: usize) -> Result<Vec<u8>, MeshError> {
        self.link(peer)?.receive(tag, bytes_max).await
    }

    /// The channel of a program whose roles these members have, this node among them. Its calls block: it belongs on a
    /// thread outside the runtime.
    ///
    /// # Errors
    /// [`MeshError::NoPeer`] when one of them is no peer, [`MeshError::Peers`] when this node is not among them.
    pub fn channel(&self, roles: [&str; 3]) -> Result<MeshChannel, MeshError> {
        if roles.iter().filter(|name| **name == self.me).count() != 1 {
            return Err(MeshError::Peers { what: "this node does not have exactly one of the roles" });
        }
        let mut links = [None, None, None];
        for (link, name) in links.iter_mut().zip(roles) {
            if name != self.me {
                *link = Some(self.link(name)?.clone());
            }
        }
        Ok(MeshChannel { runtime: self.runtime.clone(), links, names: roles.map(str::to_owned) })
    }

    /// The error that ended the mesh, if one did.
    #[must_use]
    pub fn failure(&self) -> Option<MeshError> {
        self.end.error()
    }

    /// Waits until an error ends the mesh.
    pub async fn failed(&self) -> MeshError {
        self.end.ended().await
    }

    /// How the peers are connected, and what has passed.
    #[must_use]
    pub fn report(&self) -> Vec<PeerReport> {
        let peers = self.links.iter();
        peers
            .map(|(name, (link, not_direct))| PeerReport {
                name: name.clone(),
                route: link.route,
                not_direct: not_direct.clone(),
                traffic: link.traffic(),
            })
            .collect()
    }

    /// Sends what waits, says farewell to every peer, and waits a while for theirs.
    ///
    /// # Errors
    /// The error that ended the mesh before, if one did. A peer that does not answer the farewell is no error.
    pub async fn close(mut self) -> Result<Vec<PeerReport>, MeshError> {
        for (link, _) in self.links.values() {
            link.close();
        }
        let all = async { while self.tasks.join_next().await.is_some() {} };
        let _ = timeout(Duration::from_millis(self.limits.close_ms_max), all).await;
        match self.end.error() {
            Some(error) => Err(error),
            None => Ok(self.report()),
        }
    }

    fn link(&self, peer: &str) -> Result<&Arc<Link>, MeshError> {
        let link = self.links.get(peer).map(|(link, _)| link);
        link.ok_or_else(|| MeshError::NoPeer { peer: crate::identity::clip(peer) })
    }
}

impl Drop for Mesh {
    fn drop(&mut self) {
        self.end.with(MeshError::Cancelled);
    }
}

/// A peer's stream, made.
struct Joined {
    peer: String,
    stream: Secured,
    route: Route,
    not_direct: Option<String>,
}

async fn cancelled(cancel: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone: whoever ran the attempt is, too.
    let _ = cancel.wait_for(|cancelled| *cancelled).await;
}

/// Waits until a peer's key is revoked; returns its name.
async fn revoked(revocations: &Revocations, peers: &[PeerSpec]) -> String {
    let mut lists = revocations.subscribe();
    loop {
        if let Some(peer) = peers.iter().find(|peer| revocations.has(&peer.key)) {
            return peer.name.clone();
        }
        if lists.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

fn check(endpoint: &Endpoint, peers: &[PeerSpec]) -> Result<(), MeshError> {
    let refuse = |what| Err(MeshError::Peers { what });
    if peers.is_empty() || peers.len() > PEERS_MAX {
        return refuse("there are none, or more than 64");
    }
    for (i, peer) in peers.iter().enumerate() {
        if check_name(&peer.name).is_err() {
            return refuse("a name that is none");
        }
        if peer.name == endpoint.name() || peers[..i].iter().any(|other| other.name == peer.name) {
            return refuse("a peer twice, or this node itself");
        }
        if peer.key == *endpoint.identity.key() || peers[..i].iter().any(|other| other.key == peer.key) {
            return refuse("one key under two names");
        }
    }
    Ok(())
}

/// Dials the peers with higher names and waits for those with lower ones.
async fn connect_all(endpoint: &Arc<Endpoint>, config: &MeshConfig) -> Result<Vec<Joined>, MeshError> {
    let me = endpoint.name().to_owned();
    let (lower, higher): (Vec<_>, Vec<_>) = config.peers.iter().cloned().partition(|peer| peer.name < me);
    let mut waiting: HashMap<String, PublicKey> = lower.into_iter().map(|p| (p.name, p.key)).collect();
    let (_expecting, mut arrivals) = endpoint.expect(config.session, waiting.clone())?;
    let mut dials = JoinSet::new();
    for peer in higher {
        let (endpoint, session, limits) = (endpoint.clone(), config.session, config.limits);
        dials.spawn(async move {
            let Reached { stream, route, not_direct } = reach(&endpoint, &peer, session, limits).await?;
            Ok(Joined { peer: peer.name, stream, route, not_direct })
        });
    }
    let waited_ms = config.limits.join_ms_max;
    let late = tokio::time::sleep(Duration::from_millis(waited_ms));
    tokio::pin!(late);
    let mut joined = Vec::with_capacity(config.peers.len());
    while !waiting.is_empty() || !dials.is_empty() {
        tokio::select! {
            Some(Arrival { peer, route, stream }) = arrivals.recv(), if !waiting.is_empty() => {
                waiting.remove(&peer);
                joined.push(Joined { peer, stream, route, not_direct: None });
            }
            Some(dialled) = dials.join_next() => match dialled {
                Ok(dialled) => joined.push(dialled?),
                Err(_) => return Err(MeshError::Cancelled),
            },
            () = &mut late, if !waiting.is_empty() => {
                let peer = waiting.into_keys().min().unwrap_or_default();
                return Err(MeshError::Absent { peer, waited_ms });
            }
        }
    }
    Ok(joined)
}
