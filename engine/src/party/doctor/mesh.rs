//! The ways to the other nodes: this node's own listener, the engine's relay, the peers' addresses.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Check, ProbeError};
use crate::identity::PublicKey;
use crate::party::mesh::{Announcement, Endpoint, MeshSettings};

/// Bytes sent to each node and back.
const BYTES: usize = 16 << 10;
/// Peers that are tried, at most.
const PEERS_MAX: usize = 24;
/// Time for one peer's address to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Another hospital's node that is connected to the engine, or this one.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its name.
    pub name: String,
    /// Its key, as the engine says.
    pub key: PublicKey,
    /// Where it takes direct connections.
    pub announcement: Option<Announcement>,
}

/// What the doctor asks of the engine about the nodes.
pub trait MeshProbe {
    /// The nodes that are connected now.
    fn peers(&self) -> impl Future<Output = Result<Vec<Peer>, ProbeError>> + Send;
    /// So many bytes through the relay to a node and back.
    fn relay(&self, node: &str, bytes: usize) -> impl Future<Output = Result<Duration, ProbeError>> + Send;
}

/// Checks the node's own listener and, towards every connected node, the relay and the direct way. The running node
/// answers for this one: nothing of it is disturbed.
pub async fn check_mesh(
    endpoint: &Arc<Endpoint>,
    settings: &MeshSettings,
    probe: &impl MeshProbe,
) -> Vec<Check> {
    let mut checks = vec![listener(endpoint, settings).await];
    let peers = match probe.peers().await {
        Ok(peers) => peers,
        Err(error) => {
            checks.push(Check::fail("mesh.peers", error.message, error.hint));
            return checks;
        }
    };
    if !peers.iter().any(|peer| peer.name == endpoint.name()) {
        let advice = "start it with `ward party run`: through it the relay is tried";
        checks.push(Check::warn("mesh.relay", "this node is not connected to the engine", advice));
    }
    for peer in peers.iter().take(PEERS_MAX) {
        checks.push(relayed(peer, probe).await);
        if peer.name != endpoint.name() {
            checks.extend(directly(endpoint, settings, peer).await);
        }
    }
    checks
}

/// Dials this node's own listener on this machine. Whether others reach it, only others can try.
async fn listener(endpoint: &Arc<Endpoint>, settings: &MeshSettings) -> Check {
    const NAME: &str = "mesh.listener";
    let Some(listen) = &settings.listen else {
        return Check::ok(NAME, "none: other nodes reach this one through the engine");
    };
    let local = match listen.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_unspecified() => {
            let loopback = match address.ip() {
                IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
                IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
            };
            SocketAddr::new(loopback, address.port()).to_string()
        }
        _ => listen.clone(),
    };
    let own = (endpoint.name().to_owned(), *endpoint.key());
    match endpoint.ask((&own.0, &own.1), &local, PATIENCE).await {
        Err(error) => {
            let advice = "start the node with `ward party run`; if it runs, something else holds the port";
            Check::fail(NAME, error.to_string(), advice)
        }
        Ok(()) if settings.address.is_none() => {
            let advice =
                "set [mesh] address to the host:port under which the other hospitals reach this node";
            Check::warn(NAME, format!("{listen} answers, and nobody is told of it"), advice)
        }
        Ok(()) => Check::ok(NAME, format!("{listen} answers as {}", own.0)),
    }
}

async fn relayed(peer: &Peer, probe: &impl MeshProbe) -> Check {
    let name = format!("mesh.relay.{}", peer.name);
    match probe.relay(&peer.name, BYTES).await {
        Ok(took) => {
            Check::ok(name, format!("{BYTES} bytes there and back in {:.1} ms", took.as_secs_f64() * 1e3))
        }
        Err(error) => Check::fail(name, error.message, error.hint),
    }
}

async fn directly(endpoint: &Arc<Endpoint>, settings: &MeshSettings, peer: &Peer) -> Option<Check> {
    let announcement = peer.announcement.as_ref()?;
    let name = format!("mesh.direct.{}", peer.name);
    if !settings.is_direct {
        return Some(Check::ok(name, "not tried: [mesh] direct is false"));
    }
    let begin = Instant::now();
    let asked = match announcement.verified(&peer.name, &peer.key) {
        Ok(address) => endpoint.ask((&peer.name, &peer.key), address, PATIENCE).await,
        Err(error) => Err(error),
    };
    Some(match asked {
        Ok(()) => {
            let took_ms = begin.elapsed().as_secs_f64() * 1e3;
            Check::ok(
                name,
                format!("{} answers, connection and handshake in {took_ms:.1} ms", announcement.address),
            )
        }
        // The relay does as well, only slower.
        Err(error) => Check::warn(
            name,
            error.to_string(),
            "computations with this hospital go through the engine; ask for its host and port to be let out",
        ),
    })
}

#[cfg(test)]
mod tests {
    use tokio::sync::watch;

    use super::super::Status;
    use super::*;
    use crate::grpc::relay::Relay;
    use crate::identity::Identity;
    use crate::party::mesh::tests::world::World;

    /// The engine's side, without the engine: a real relay, and a list.
    struct Engine {
        relay: Arc<Relay>,
        peers: Vec<Peer>,
    }

    impl MeshProbe for Engine {
        async fn peers(&self) -> Result<Vec<Peer>, ProbeError> {
            Ok(self.peers.clone())
        }

        async fn relay(&self, node: &str, bytes: usize) -> Result<Duration, ProbeError> {
            let probed = self.relay.probe("a", node, vec![1; bytes]).await;
            let failed = |message: String| ProbeError { message, hint: "look at that node".into() };
            probed.map(|()| Duration::from_millis(1)).map_err(|e| failed(e.to_string()))
        }
    }

    async fn stand(names: &[&str]) -> (World, Engine) {
        let world = World::new(names).await;
        let relay = world.plug_all();
        let peers = world.parties.iter().map(|party| Peer {
            name: party.name.clone(),
            key: party.identity.public(),
            announcement: party
                .address
                .as_ref()
                .map(|address| Announcement::sign(&party.identity, &party.name, address).unwrap()),
        });
        let peers = peers.collect();
        (world, Engine { relay, peers })
    }

    fn settings(listen: Option<&str>) -> MeshSettings {
        MeshSettings {
            listen: listen.map(str::to_owned),
            address: listen.map(|_| "a.example:7443".to_owned()),
            is_direct: true,
        }
    }

    fn statuses(checks: &[Check]) -> Vec<(&str, Status)> {
        checks.iter().map(|check| (check.name.as_str(), check.status)).collect()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn both_ways_to_every_node_are_tried() {
        let (world, engine) = stand(&["a", "b", "rc"]).await;
        let own = &world.parties[0];
        let settings = settings(own.address.as_deref());
        let checks = check_mesh(&own.endpoint, &settings, &engine).await;
        let ok = [
            ("mesh.listener", Status::Ok),
            ("mesh.relay.a", Status::Ok),
            ("mesh.relay.b", Status::Ok),
            ("mesh.direct.b", Status::Ok),
            ("mesh.relay.rc", Status::Ok),
        ];
        assert_eq!(statuses(&checks), ok, "{checks:?}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_does_not_answer_is_named_with_advice() {
        let (world, mut engine) = stand(&["a", "b", "d"]).await;
        // `b` announces an address where nobody is, another holds `d`'s, and a node has left the relay.
        let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let b = &world.parties[1];
        let announced = Announcement::sign(&b.identity, "b", &free.to_string()).unwrap();
        engine.peers[1].announcement = Some(announced);
        let impostor = world.party("d", Identity::generate().unwrap()).await;
        let d = &world.parties[2];
        let taken = impostor.address.clone().unwrap();
        engine.peers[2].announcement = Some(Announcement::sign(&d.identity, "d", &taken).unwrap());
        engine.peers.push(Peer { name: "gone".into(), key: d.identity.public(), announcement: None });
        engine.peers.remove(0);
        let checks =
            check_mesh(&world.parties[0].endpoint, &settings(Some(&free.to_string())), &engine).await;
        let found = [
            ("mesh.listener", Status::Fail),
            ("mesh.relay", Status::Warn),
            ("mesh.relay.b", Status::Ok),
            ("mesh.direct.b", Status::Warn),
            ("mesh.relay.d", Status::Ok),
            ("mesh.direct.d", Status::Warn),
            ("mesh.relay.gone", Status::Fail),
        ];
        assert_eq!(statuses(&checks), found, "{checks:?}");
        assert!(checks[5].detail.contains("not the expected"), "{checks:?}");
        assert!(checks.iter().all(|c| c.status == Status::Ok || !c.advice.is_empty()));
    }

    #[tokio::test]
    async fn a_listener_on_every_address_is_dialled_on_this_machine() {
        let (world, engine) = stand(&["a"]).await;
        let stop = watch::Sender::new(false);
        let endpoint = &world.parties[0].endpoint;
        let bound = endpoint.listen("0.0.0.0:0", stop.subscribe()).await.unwrap();
        let mut settings = settings(Some(&bound.to_string()));
        settings.address = None;
        let checks = check_mesh(endpoint, &settings, &engine).await;
        assert_eq!(checks[0].status, Status::Warn, "nobody is told of it: {checks:?}");
        let checks = check_mesh(endpoint, &MeshSettings::default(), &engine).await;
        assert_eq!(checks[0].status, Status::Ok);
    }
}
