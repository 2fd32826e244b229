//! A node's one endpoint for all its attempts: the listener, the relay's port, and the register of attempts that wait
//! for peers.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::timeout;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::{TlsAcceptor, TlsStream};

use super::carrier::Carrier;
use super::error::MeshError;
use super::greeting::{Greeting, GreetingError, Side, Verdict};
use super::pipe::Pipe;
use super::relay::{Accept, CloseReason, PROBE_BYTES_MAX, PROBE_SESSION, RelayPort};
use super::stream::Secured;
use super::tls::MeshIdentity;
use super::{Route, relay};
use crate::identity::{Member, PublicKey};
use crate::party::connect::Proxy;

/// Streams that may be in their handshake at once, for each of the two ways: strangers who knock at the listener do not
/// keep members from coming through the engine. More wait outside, or are refused at the relay.
const HANDSHAKES_MAX: usize = 64;
/// Time for a handshake and its greetings.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// A stream that a peer made.
pub(super) struct Arrival {
    pub(super) peer: String,
    pub(super) route: Route,
    pub(super) stream: Secured,
}

/// The peers that an attempt still waits for, with their keys.
struct Expected {
    peers: HashMap<String, PublicKey>,
    arrivals: mpsc::UnboundedSender<Arrival>,
}

/// A node's endpoint.
pub struct Endpoint {
    pub(super) identity: MeshIdentity,
    pub(super) proxy: Option<Proxy>,
    pub(super) dials_directly: bool,
    relay: Arc<RelayPort>,
    acceptor: RwLock<TlsAcceptor>,
    knocking: Arc<Semaphore>,
    piping: Arc<Semaphore>,
    attempts: Mutex<HashMap<[u8; 16], Expected>>,
}

/// Hands the relay's pipes to the endpoint, which owns the relay.
struct Arriving(Weak<Endpoint>);

impl Accept for Arriving {
    fn pipe(&self, session: [u8; 16], peer: &str, pipe: Pipe) {
        match self.0.upgrade() {
            Some(endpoint) => endpoint.piped(session, peer, pipe),
            None => pipe.refuse(CloseReason::Gone),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Endpoint {
    /// An endpoint. Through the proxy, if there is one, this node reaches peers directly; without `dials_directly` it
    /// never tries to.
    ///
    /// # Errors
    /// [`MeshError::Tls`].
    pub fn new(
        identity: MeshIdentity,
        proxy: Option<Proxy>,
        dials_directly: bool,
    ) -> Result<Arc<Self>, MeshError> {
        let acceptor = RwLock::new(TlsAcceptor::from(identity.server()?));
        Ok(Arc::new_cyclic(|endpoint| Self {
            identity,
            proxy,
            dials_directly,
            relay: Arc::new(RelayPort::new(Arc::new(Arriving(endpoint.clone())))),
            acceptor,
            knocking: Arc::new(Semaphore::new(HANDSHAKES_MAX)),
            piping: Arc::new(Semaphore::new(HANDSHAKES_MAX)),
            attempts: Mutex::default(),
        }))
    }

    /// This node's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.identity.name()
    }

    /// This node's key.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        self.identity.key()
    }

    /// The port to the engine's relay: the node's transport attaches it.
    #[must_use]
    pub fn relay(&self) -> &Arc<RelayPort> {
        &self.relay
    }

    /// Shows a newer certificate of the same key to peers from now on.
    ///
    /// # Errors
    /// [`MeshError::Tls`].
    pub fn renew(&self, certificate: &[u8]) -> Result<(), MeshError> {
        self.identity.renew(certificate);
        let acceptor = TlsAcceptor::from(self.identity.server()?);
        *self.acceptor.write().unwrap_or_else(PoisonError::into_inner) = acceptor;
        Ok(())
    }

    /// Listens for peers until `stop` turns true. Returns the address that was bound.
    ///
    /// # Errors
    /// [`MeshError::Listen`].
    pub async fn listen(
        self: &Arc<Self>,
        address: &str,
        mut stop: watch::Receiver<bool>,
    ) -> Result<SocketAddr, MeshError> {
        let refuse =
            |e: std::io::Error| MeshError::Listen { address: address.to_owned(), reason: e.to_string() };
        let listener = TcpListener::bind(address).await.map_err(refuse)?;
        let bound = listener.local_addr().map_err(refuse)?;
        let endpoint = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = endpoint.accept_all(&listener) => {}
                // An error means that the sender is gone, which is a stop as well.
                _ = stop.wait_for(|stop| *stop) => {}
            }
        });
        Ok(bound)
    }

    async fn accept_all(self: &Arc<Self>, listener: &TcpListener) {
        loop {
            // The semaphore is never closed.
            let Ok(permit) = self.knocking.clone().acquire_owned().await else { return };
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file descriptors, for example: wait for better times.
                    tracing::warn!(%error, "a peer's connection was not accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let endpoint = self.clone();
            tokio::spawn(async move {
                let _permit = permit;
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "a peer's connection is gone already");
                    return;
                }
                endpoint.welcome(Carrier::direct(stream), Route::Direct).await;
            });
        }
    }

    /// Takes a pipe that the engine opened.
    fn piped(self: &Arc<Self>, session: [u8; 16], peer: &str, pipe: Pipe) {
        if session != PROBE_SESSION && !self.is_expected(session, peer) {
            return pipe.refuse(CloseReason::NotYet);
        }
        let Ok(permit) = self.piping.clone().try_acquire_owned() else {
            return pipe.refuse(CloseReason::Limit);
        };
        let endpoint = self.clone();
        tokio::spawn(async move {
            let _permit = permit;
            if session == PROBE_SESSION {
                // A probe that breaks off is the prober's to report.
                let _ = timeout(HANDSHAKE, relay::echo(pipe, PROBE_BYTES_MAX)).await;
            } else {
                endpoint.welcome(Carrier::relayed(pipe), Route::Relayed).await;
            }
        });
    }

    /// Makes TLS and greets; hands the stream to the attempt that waits for it.
    async fn welcome(&self, carrier: Carrier, route: Route) {
        match timeout(HANDSHAKE, self.greet(carrier, route)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::debug!(%error, route = route.as_str(), "a peer's stream was not taken")
            }
            Err(_) => tracing::debug!(route = route.as_str(), "a peer's stream was not made in time"),
        }
    }

    async fn greet(&self, carrier: Carrier, route: Route) -> Result<(), GreetingError> {
        let acceptor = self.acceptor.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut stream = acceptor.accept(carrier).await?;
        let member = member_of(stream.get_ref().1.peer_certificates())
            .ok_or(GreetingError::Malformed("no certificate after a handshake that demands one"))?;
        let greeting = Greeting::receive(&mut stream).await?;
        let verdict = self.verdict(&greeting, &member);
        greeting.answer(&mut stream, verdict).await?;
        if verdict != Verdict::Accepted || greeting.side == Side::Doctor {
            return Ok(());
        }
        // Between the verdict and the confirmation another stream of this peer may have come.
        let mut attempts = lock(&self.attempts);
        let taken = attempts.get_mut(&greeting.session).and_then(|expected| {
            let key = expected.peers.remove(&member.name)?;
            (key == member.key).then(|| expected.arrivals.clone())
        });
        match taken {
            Some(arrivals) => {
                let stream = TlsStream::Server(stream);
                // An attempt that is over does not listen any more.
                let _ = arrivals.send(Arrival { peer: member.name, route, stream });
                Ok(())
            }
            None => Err(GreetingError::Malformed("the attempt is over, or has this peer's stream already")),
        }
    }

    fn verdict(&self, greeting: &Greeting, member: &Member) -> Verdict {
        if greeting.from != member.name || greeting.to != self.name() {
            return Verdict::Refused;
        }
        match greeting.side {
            Side::Acceptor => return Verdict::Refused,
            Side::Doctor => return Verdict::Accepted,
            Side::Dialler => {}
        }
        let attempts = lock(&self.attempts);
        let Some(expected) = attempts.get(&greeting.session) else { return Verdict::NotYet };
        match expected.peers.get(&member.name) {
            Some(key) if *key == member.key => Verdict::Accepted,
            _ => Verdict::Refused,
        }
    }

    fn is_expected(&self, session: [u8; 16], peer: &str) -> bool {
        lock(&self.attempts).get(&session).is_some_and(|expected| expected.peers.contains_key(peer))
    }

    /// Waits for these peers' streams under a session, as long as the returned guard lives.
    pub(super) fn expect(
        self: &Arc<Self>,
        session: [u8; 16],
        peers: HashMap<String, PublicKey>,
    ) -> Result<(Expecting, mpsc::UnboundedReceiver<Arrival>), MeshError> {
        let (arrivals, receiver) = mpsc::unbounded_channel();
        let mut attempts = lock(&self.attempts);
        if attempts.contains_key(&session) {
            return Err(MeshError::Joined);
        }
        attempts.insert(session, Expected { peers, arrivals });
        Ok((Expecting { endpoint: self.clone(), session }, receiver))
    }
}

fn member_of(chain: Option<&[CertificateDer<'_>]>) -> Option<Member> {
    Member::from_certificate(chain?.first()?).ok()
}

/// An attempt's entry in the register.
pub(super) struct Expecting {
    endpoint: Arc<Endpoint>,
    session: [u8; 16],
}

impl Drop for Expecting {
    fn drop(&mut self) {
        lock(&self.endpoint.attempts).remove(&self.session);
    }
}

/// Connects to a peer's address.
pub(super) async fn tcp(endpoint: &Endpoint, host: &str, port: u16) -> Result<TcpStream, String> {
    let limits = crate::party::connect::ConnectLimits::default();
    crate::party::connect::connect_via(host, port, endpoint.proxy.as_ref(), limits)
        .await
        .map_err(|error| error.to_string())
}
