//! A consortium of members, each with an endpoint that listens.

use std::sync::Arc;

use tokio::sync::watch;

use crate::grpc::relay::Relay;
use crate::identity::{CertificateAuthority, Identity, Role};
use crate::party::mesh::{Endpoint, Mesh, MeshConfig, MeshError, MeshIdentity, MeshLimits, PeerSpec};

/// Limits under which a test that fails does so soon, and one that passes has time on a loaded machine.
pub(crate) const LIMITS: MeshLimits = MeshLimits {
    join_ms_max: 10_000,
    direct_ms_max: 5_000,
    idle_ms_max: 10_000,
    keepalive_ms: 2_000,
    wait_ms_max: 10_000,
    close_ms_max: 5_000,
    send_bytes_max: 1 << 20,
    read_ahead_bytes_max: 256 << 10,
    message_bytes_max: 16 << 20,
};

pub(crate) fn now_s() -> u64 {
    crate::clock::now_ms() / 1000
}

/// A member: its endpoint and where it listens.
pub(crate) struct Party {
    pub(crate) name: String,
    pub(crate) identity: Identity,
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) address: Option<String>,
}

/// Members under one authority.
pub(crate) struct World {
    pub(crate) authority: CertificateAuthority,
    pub(crate) parties: Vec<Party>,
    pub(crate) limits: MeshLimits,
    pub(crate) stop: watch::Sender<bool>,
}

impl World {
    /// Members of these names; those whose name begins with `r` do not listen.
    pub(crate) async fn new(names: &[&str]) -> Self {
        let authority = CertificateAuthority::create("oncology", now_s()).unwrap();
        let mut world =
            Self { authority, parties: Vec::new(), limits: LIMITS, stop: watch::Sender::new(false) };
        for name in names {
            let party = world.party(name, Identity::generate().unwrap()).await;
            world.parties.push(party);
        }
        world
    }

    /// A member of that name and key.
    pub(crate) async fn party(&self, name: &str, identity: Identity) -> Party {
        let issued = self.authority.issue(&identity.public(), Role::Hospital, name, now_s(), 30).unwrap();
        let own = MeshIdentity::new(&issued.der, &identity, self.authority.certificate().clone()).unwrap();
        let endpoint = Endpoint::new(own, None, true).unwrap();
        let address = match name.starts_with('r') {
            true => None,
            false => Some(endpoint.listen("127.0.0.1:0", self.stop.subscribe()).await.unwrap().to_string()),
        };
        Party { name: name.to_owned(), identity, endpoint, address }
    }

    /// What a member needs to join with all the others.
    pub(crate) fn config(&self, me: usize, session: [u8; 16]) -> MeshConfig {
        let others = self.parties.iter().enumerate().filter(|(i, _)| *i != me);
        let peers = others.map(|(_, party)| party.spec()).collect();
        MeshConfig { session, peers, limits: self.limits }
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.parties.iter().map(|party| party.name.clone()).collect()
    }

    /// A relay to which everybody is attached.
    pub(crate) fn plug_all(&self) -> Arc<Relay> {
        let relay = Arc::new(Relay::default());
        for party in &self.parties {
            party.plug(&relay);
        }
        relay
    }

    /// Everybody joins.
    pub(crate) async fn join(&self, session: [u8; 16]) -> (Vec<Mesh>, watch::Sender<bool>) {
        let cancel = watch::Sender::new(false);
        let meshes = self.try_join(session, &cancel).await;
        (meshes.into_iter().map(Result::unwrap).collect(), cancel)
    }

    /// Everybody tries to join.
    pub(crate) async fn try_join(
        &self,
        session: [u8; 16],
        cancel: &watch::Sender<bool>,
    ) -> Vec<Result<Mesh, MeshError>> {
        let mut tasks = Vec::new();
        for (i, party) in self.parties.iter().enumerate() {
            let (endpoint, config, cancel) =
                (party.endpoint.clone(), self.config(i, session), cancel.subscribe());
            tasks.push(tokio::spawn(async move { Mesh::join(&endpoint, config, cancel).await }));
        }
        let mut meshes = Vec::new();
        for task in tasks {
            meshes.push(task.await.unwrap());
        }
        meshes
    }
}

impl Party {
    /// Attaches to a relay: what the node's transport and the engine's service do, without the wire between them.
    pub(crate) fn plug(&self, relay: &Arc<Relay>) {
        let (line, mut frames) = self.endpoint.relay().attach();
        let attachment = Arc::new(relay.attach(&self.name));
        let out = attachment.clone();
        tokio::spawn(async move {
            while let Some(frame) = frames.recv().await {
                out.take(frame).unwrap();
            }
        });
        tokio::spawn(async move {
            while let Some(frame) = attachment.next().await {
                line.take(frame).unwrap();
            }
        });
    }

    pub(crate) fn spec(&self) -> PeerSpec {
        PeerSpec { name: self.name.clone(), key: self.identity.public(), address: self.address.clone() }
    }
}
