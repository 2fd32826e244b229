//! Reaching a peer: directly where an address is known, else through the engine.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::rustls::{ClientConfig, Error as TlsError};
use tokio_rustls::{TlsConnector, TlsStream};

use super::address::host_and_port;
use super::carrier::Carrier;
use super::endpoint::{Endpoint, tcp};
use super::error::MeshError;
use super::greeting::{Greeting, GreetingError, Side, Verdict};
use super::relay::CloseReason;
use super::stream::Secured;
use super::tls::server_name;
use super::{MeshLimits, PeerSpec, Route};
use crate::identity::PublicKey;

/// First and longest pause between two tries.
const PAUSE: Duration = Duration::from_millis(25);
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// Why one try failed.
enum Miss {
    /// The peer has not joined yet.
    NotYet(&'static str),
    /// This way does not lead there.
    Way(String),
    /// Somebody answered who is not the peer, or who takes this node for somebody else.
    Identity(String),
    /// The peer says no.
    Refused,
}

/// A peer's stream, how it runs, and why not directly if it does not.
pub(super) struct Reached {
    pub(super) stream: Secured,
    pub(super) route: Route,
    pub(super) not_direct: Option<String>,
}

/// Reaches a peer before the time is over.
pub(super) async fn reach(
    endpoint: &Arc<Endpoint>,
    peer: &PeerSpec,
    session: [u8; 16],
    limits: MeshLimits,
) -> Result<Reached, MeshError> {
    let dial = Dial {
        endpoint,
        peer,
        config: endpoint.identity.client(&peer.name, &peer.key)?,
        greeting: Greeting {
            side: Side::Dialler,
            session,
            from: endpoint.name().to_owned(),
            to: peer.name.clone(),
        },
        until: Instant::now() + Duration::from_millis(limits.join_ms_max),
        direct: Duration::from_millis(limits.direct_ms_max),
    };
    let not_direct = match dial.directly().await {
        Ok(stream) => return Ok(Reached { stream, route: Route::Direct, not_direct: None }),
        Err(why) => why,
    };
    let stream = dial.relayed(&not_direct).await?;
    Ok(Reached { stream, route: Route::Relayed, not_direct: Some(not_direct) })
}

impl Endpoint {
    /// Connects to an address, makes sure that it is this member who answers, and leaves.
    ///
    /// # Errors
    /// [`MeshError`]: `Identity` when somebody else answers, `Broken` when nobody does.
    pub async fn ask(
        self: &Arc<Self>,
        (name, key): (&str, &PublicKey),
        address: &str,
        patience: Duration,
    ) -> Result<(), MeshError> {
        let (host, port) = host_and_port(name, address)?;
        let peer = PeerSpec { name: name.to_owned(), key: *key, address: None };
        let dial = Dial {
            endpoint: self,
            config: self.identity.client(name, key)?,
            greeting: Greeting {
                side: Side::Doctor,
                session: [0; 16],
                from: self.name().to_owned(),
                to: name.to_owned(),
            },
            peer: &peer,
            until: Instant::now(),
            direct: patience,
        };
        let broken = |reason| MeshError::Broken { peer: name.to_owned(), reason };
        let asked = timeout(patience, async {
            let stream = tcp(self, host, port).await.map_err(Miss::Way)?;
            dial.greet(Carrier::direct(stream)).await
        });
        match asked.await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(Miss::Identity(reason))) => Err(MeshError::Identity { peer: peer.name, reason }),
            Ok(Err(Miss::Refused)) => {
                Err(MeshError::Refused { peer: peer.name, reason: "it is not the one it was asked for" })
            }
            Ok(Err(Miss::Way(reason))) => Err(broken(reason)),
            Ok(Err(Miss::NotYet(reason))) => Err(broken(reason.to_owned())),
            Err(_) => Err(broken(format!("no answer within {} ms", patience.as_millis()))),
        }
    }
}

struct Dial<'a> {
    endpoint: &'a Arc<Endpoint>,
    peer: &'a PeerSpec,
    config: Arc<ClientConfig>,
    greeting: Greeting,
    until: Instant,
    direct: Duration,
}

impl Dial<'_> {
    /// Tries the direct way; says why it does not lead there.
    async fn directly(&self) -> Result<Secured, String> {
        let Some(address) = &self.peer.address else { return Err("no address is known".to_owned()) };
        if !self.endpoint.dials_directly {
            return Err("this node's configuration forbids it".to_owned());
        }
        let (host, port) = host_and_port(&self.peer.name, address).map_err(|error| error.to_string())?;
        let mut pause = PAUSE;
        loop {
            let tried = timeout(self.direct, async {
                let stream = tcp(self.endpoint, host, port).await.map_err(Miss::Way)?;
                self.greet(Carrier::direct(stream)).await
            });
            let why = match tried.await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(Miss::NotYet(why))) => why,
                Ok(Err(Miss::Way(why))) => return Err(why),
                Ok(Err(Miss::Identity(why))) => return Err(format!("another host answers: {why}")),
                Ok(Err(Miss::Refused)) => return Err("the peer refuses the stream".to_owned()),
                Err(_) => return Err(format!("no answer within {} ms", self.direct.as_millis())),
            };
            if !self.pause(&mut pause).await {
                return Err(why.to_owned());
            }
        }
    }

    /// Tries the relay until the time is over.
    async fn relayed(&self, not_direct: &str) -> Result<Secured, MeshError> {
        let peer = || self.peer.name.clone();
        let mut pause = PAUSE;
        loop {
            let left = self.until.saturating_duration_since(Instant::now());
            let tried = timeout(left, self.pipe()).await;
            let (why, is_final) = match tried {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(Miss::NotYet(why))) => (why.to_owned(), false),
                Ok(Err(Miss::Way(why))) => (why, true),
                Ok(Err(Miss::Identity(reason))) => return Err(MeshError::Identity { peer: peer(), reason }),
                Ok(Err(Miss::Refused)) => {
                    let reason =
                        "it does not take this node for a peer of the attempt, or has its stream already";
                    return Err(MeshError::Refused { peer: peer(), reason });
                }
                Err(_) => ("no answer in time".to_owned(), true),
            };
            if is_final || !self.pause(&mut pause).await {
                return Err(MeshError::Unreachable {
                    peer: peer(),
                    direct: not_direct.to_owned(),
                    relayed: why,
                });
            }
        }
    }

    async fn pipe(&self) -> Result<Secured, Miss> {
        let miss = |reason: CloseReason| match reason {
            CloseReason::NotYet | CloseReason::Gone | CloseReason::Limit => Miss::NotYet(reason.as_str()),
            // The engine may learn of the session a moment after the nodes.
            CloseReason::Refused => Miss::NotYet(reason.as_str()),
            CloseReason::Done | CloseReason::Credit | CloseReason::Ended => {
                Miss::Way(reason.as_str().to_owned())
            }
        };
        let pipe = self.endpoint.relay().open(self.greeting.session, &self.peer.name).map_err(miss)?;
        let state = pipe.state();
        self.greet(Carrier::relayed(pipe)).await.map_err(|error| match (error, state.closed()) {
            (Miss::Way(_), Some(reason)) if reason != CloseReason::Done => miss(reason),
            (error, _) => error,
        })
    }

    async fn greet(&self, carrier: Carrier) -> Result<Secured, Miss> {
        let connector = TlsConnector::from(self.config.clone());
        let mut stream = connector.connect(server_name(), carrier).await.map_err(|error| of_io(&error))?;
        self.greeting.send(&mut stream).await.map_err(|error| of_io(&error))?;
        match self.greeting.answered(&mut stream).await {
            Ok(Verdict::Accepted) => Ok(TlsStream::Client(stream)),
            Ok(Verdict::NotYet) => Err(Miss::NotYet("the peer has not joined the attempt")),
            Ok(Verdict::Refused) => Err(Miss::Refused),
            Err(GreetingError::Io(error)) => Err(of_io(&error)),
            Err(error) => Err(Miss::Way(error.to_string())),
        }
    }

    /// Waits a while, each time longer; false when the time is over.
    async fn pause(&self, pause: &mut Duration) -> bool {
        if Instant::now() + *pause >= self.until {
            return false;
        }
        sleep(*pause).await;
        *pause = (*pause * 2).min(PAUSE_MAX);
        true
    }
}

/// An error of TLS is one of identity when the certificate did not fit, here or there.
fn of_io(error: &std::io::Error) -> Miss {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>()) {
        Some(TlsError::General(reason)) => Miss::Identity(reason.clone()),
        Some(TlsError::AlertReceived(alert)) => {
            Miss::Identity(format!("the peer refuses this node's certificate ({alert:?})"))
        }
        Some(error @ (TlsError::InvalidCertificate(_) | TlsError::NoCertificatesPresented)) => {
            Miss::Identity(error.to_string())
        }
        _ => Miss::Way(error.to_string()),
    }
}
