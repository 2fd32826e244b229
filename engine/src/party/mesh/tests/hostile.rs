//! Peers that are not who they say, or do not do as they should.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::{TlsConnector, TlsStream};

use super::world::{LIMITS, Party, World};
use crate::identity::{Identity, PublicKey};
use crate::party::mesh::carrier::Carrier;
use crate::party::mesh::frame::Header;
use crate::party::mesh::greeting::{Greeting, Side, Verdict};
use crate::party::mesh::stream::Secured;
use crate::party::mesh::tls::server_name;
use crate::party::mesh::{Mesh, MeshConfig, MeshError, MeshLimits, Route};

const SESSION: [u8; 16] = [1; 16];

/// Member `a` as an adversary: speaks TLS and greets by hand. Member `b` is honest.
async fn hand_made(from: &Party, to: &Party, expected: &PublicKey) -> std::io::Result<Secured> {
    let tcp = TcpStream::connect(to.address.as_ref().unwrap()).await?;
    let connector = TlsConnector::from(from.endpoint.identity.client(&to.name, expected).unwrap());
    Ok(TlsStream::Client(connector.connect(server_name(), Carrier::direct(tcp)).await?))
}

fn greeting(session: [u8; 16], from: &str, to: &str) -> Greeting {
    Greeting { side: Side::Dialler, session, from: from.to_owned(), to: to.to_owned() }
}

/// `b` joined with `a`, which is hand-made.
async fn joined(world: &World, limits: MeshLimits) -> (Mesh, Secured) {
    let cancel = watch::Sender::new(false);
    let (endpoint, config) = (world.parties[1].endpoint.clone(), world.config(1, SESSION));
    let config = MeshConfig { limits, ..config };
    let mesh = tokio::spawn(async move {
        // The sender lives as long as the attempt is joined.
        let mesh = Mesh::join(&endpoint, config, cancel.subscribe()).await.unwrap();
        (mesh, cancel)
    });
    let stream = loop {
        let (a, b) = (&world.parties[0], &world.parties[1]);
        let mut stream = hand_made(a, b, &b.identity.public()).await.unwrap();
        let greeting = greeting(SESSION, "a", "b");
        greeting.send(&mut stream).await.unwrap();
        if greeting.answered(&mut stream).await.unwrap() == Verdict::Accepted {
            break stream;
        }
    };
    let (mesh, cancel) = mesh.await.unwrap();
    // Kept to the end of the test.
    std::mem::forget(cancel);
    (mesh, stream)
}

#[tokio::test]
async fn a_peer_with_another_key_is_refused_by_the_dialler() {
    let mut world = World::new(&["a", "b"]).await;
    // `b` is certified by the authority, but is not the `b` that `a` has pinned.
    let impostor = world.party("b", Identity::generate().unwrap()).await;
    world.parties[1].address = impostor.address.clone();
    let relay = world.plug_all();
    impostor.plug(&relay);
    let _session = relay.session(SESSION, &world.names(), &[]).unwrap();
    let spec = world.parties[0].spec();
    let config = MeshConfig { session: SESSION, peers: vec![spec], limits: LIMITS };
    let cancel = watch::Sender::new(false);
    let waiting = tokio::spawn(Box::pin({
        let (endpoint, cancel) = (impostor.endpoint.clone(), cancel.subscribe());
        async move { Mesh::join(&endpoint, config, cancel).await.err() }
    }));
    let (endpoint, config) = (world.parties[0].endpoint.clone(), world.config(0, SESSION));
    let error = Mesh::join(&endpoint, config, cancel.subscribe()).await.err().unwrap();
    match &error {
        MeshError::Identity { peer, reason } => {
            assert_eq!(peer, "b");
            assert!(reason.contains("not the expected"), "{reason}");
        }
        other => panic!("{other}"),
    }
    cancel.send_replace(true);
    assert_eq!(waiting.await.unwrap(), Some(MeshError::Cancelled));
}

#[tokio::test]
async fn a_peer_with_another_key_is_refused_by_the_one_who_waits() {
    let world = World::new(&["a", "b"]).await;
    let impostor = world.party("a", Identity::generate().unwrap()).await;
    let cancel = watch::Sender::new(false);
    let (endpoint, config) = (world.parties[1].endpoint.clone(), world.config(1, SESSION));
    let receiver = cancel.subscribe();
    let waiting = tokio::spawn(async move { Mesh::join(&endpoint, config, receiver).await.err() });
    let b = &world.parties[1];
    let verdict = loop {
        let mut stream = hand_made(&impostor, b, &b.identity.public()).await.unwrap();
        let greeting = greeting(SESSION, "a", "b");
        greeting.send(&mut stream).await.unwrap();
        match greeting.answered(&mut stream).await.unwrap() {
            Verdict::NotYet => tokio::task::yield_now().await,
            verdict => break verdict,
        }
    };
    assert_eq!(verdict, Verdict::Refused);
    cancel.send_replace(true);
    assert_eq!(waiting.await.unwrap(), Some(MeshError::Cancelled));
}

#[tokio::test]
async fn certificates_of_another_authority_are_refused_at_both_ends() {
    let (world, other) = (World::new(&["a", "b"]).await, World::new(&["a", "b"]).await);
    let b = &world.parties[1];
    // The stranger trusts `b`'s authority no more than `b` trusts the stranger's.
    assert!(hand_made(&other.parties[0], b, &b.identity.public()).await.is_err());
    // One who pretends to trust it fails at the greeting, when `b` has read its certificate.
    let stranger = &other.parties[0];
    let issued = other.authority.issue(
        &stranger.identity.public(),
        crate::identity::Role::Hospital,
        "a",
        super::world::now_s(),
        30,
    );
    let own = crate::party::mesh::MeshIdentity::new(
        &issued.unwrap().der,
        &stranger.identity,
        world.authority.certificate().clone(),
    );
    let endpoint = crate::party::mesh::Endpoint::new(own.unwrap(), None, true).unwrap();
    let identity = Identity::from_pem(&stranger.identity.to_pem().unwrap()).unwrap();
    let stranger = Party { name: "a".into(), identity, endpoint, address: None };
    let refused = async {
        let mut stream = hand_made(&stranger, b, &b.identity.public()).await?;
        greeting(SESSION, "a", "b").send(&mut stream).await?;
        stream.read_u8().await
    };
    assert!(refused.await.is_err());
}

#[tokio::test]
async fn a_researchers_certificate_is_no_peers() {
    let world = World::new(&["a", "b"]).await;
    let identity = Identity::generate().unwrap();
    let issued = world
        .authority
        .issue(&identity.public(), crate::identity::Role::Researcher, "a", super::world::now_s(), 30)
        .unwrap();
    let authority = world.authority.certificate().clone();
    let own = crate::party::mesh::MeshIdentity::new(&issued.der, &identity, authority).unwrap();
    let endpoint = crate::party::mesh::Endpoint::new(own, None, true).unwrap();
    let researcher = Party { name: "a".into(), identity, endpoint, address: None };
    let b = &world.parties[1];
    let refused = async {
        let mut stream = hand_made(&researcher, b, &b.identity.public()).await?;
        greeting(SESSION, "a", "b").send(&mut stream).await?;
        stream.read_u8().await
    };
    assert!(refused.await.is_err());
}

#[tokio::test]
async fn a_stream_under_another_name_or_session_is_not_taken() {
    let world = World::new(&["a", "b"]).await;
    let (mesh, mut first) = joined(&world, LIMITS).await;
    let (a, b) = (&world.parties[0], &world.parties[1]);
    for (greeting, verdict) in [
        (greeting(SESSION, "c", "b"), Verdict::Refused),
        (greeting(SESSION, "a", "c"), Verdict::Refused),
        // A second stream of the same peer; another attempt; an acceptor that dials.
        (greeting(SESSION, "a", "b"), Verdict::NotYet),
        (greeting([2; 16], "a", "b"), Verdict::NotYet),
        (Greeting { side: Side::Acceptor, ..greeting(SESSION, "a", "b") }, Verdict::Refused),
    ] {
        let mut stream = hand_made(a, b, &b.identity.public()).await.unwrap();
        greeting.send(&mut stream).await.unwrap();
        assert_eq!(greeting.answered(&mut stream).await.unwrap(), verdict, "{greeting:?}");
    }
    // The first is none the worse for it.
    first.write_all(&Header::Message { tag: [3; 16], bytes: 2 }.encode()).await.unwrap();
    first.write_all(b"ok").await.unwrap();
    assert_eq!(mesh.receive("a", [3; 16], 2).await.unwrap(), b"ok");
}

/// A man in the middle that keeps what the dialler said; returns the address to come to.
async fn recorder(target: String) -> (String, tokio::task::JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let kept = tokio::spawn(async move {
        let (near, _) = listener.accept().await.unwrap();
        let far = TcpStream::connect(&target).await.unwrap();
        let ((mut near_read, mut near_write), (mut far_read, mut far_write)) =
            (near.into_split(), far.into_split());
        tokio::spawn(async move { tokio::io::copy(&mut far_read, &mut near_write).await });
        let (mut kept, mut buffer) = (Vec::new(), [0; 4096]);
        while let Ok(count @ 1..) = near_read.read(&mut buffer).await {
            kept.extend_from_slice(&buffer[..count]);
            far_write.write_all(&buffer[..count]).await.unwrap();
        }
        kept
    });
    (address, kept)
}

#[tokio::test]
async fn a_replayed_stream_does_not_get_through_the_handshake() {
    let mut world = World::new(&["a", "b"]).await;
    let target = world.parties[1].address.clone().unwrap();
    let (address, kept) = recorder(target.clone()).await;
    world.parties[1].address = Some(address);
    // Once, it is welcome. The man in the middle takes one connection: `b` has to wait already.
    let (endpoint, config) = (world.parties[1].endpoint.clone(), world.config(1, SESSION));
    let waiting = endpoint.expect(SESSION, config.peers.iter().map(|p| (p.name.clone(), p.key)).collect());
    let (expecting, mut arrivals) = waiting.unwrap();
    let (a, b) = (&world.parties[0], &world.parties[1]);
    let mut stream = hand_made(a, b, &b.identity.public()).await.unwrap();
    let greeting = greeting(SESSION, "a", "b");
    greeting.send(&mut stream).await.unwrap();
    assert_eq!(greeting.answered(&mut stream).await.unwrap(), Verdict::Accepted);
    assert_eq!(arrivals.recv().await.unwrap().peer, "a");
    drop((stream, expecting, arrivals));
    let kept = kept.await.unwrap();
    // Again, with `b` waiting for `a` under the same session, it is not.
    let cancel = watch::Sender::new(false);
    let config = MeshConfig { limits: MeshLimits { join_ms_max: 500, ..LIMITS }, ..config };
    let joining = tokio::spawn({
        let receiver = cancel.subscribe();
        async move { Mesh::join(&endpoint, config, receiver).await.err() }
    });
    let mut again = TcpStream::connect(target).await.unwrap();
    again.write_all(&kept).await.unwrap();
    let mut answer = Vec::new();
    // The listener breaks it off.
    let _ = again.read_to_end(&mut answer).await;
    assert_eq!(joining.await.unwrap(), Some(MeshError::Absent { peer: "a".into(), waited_ms: 500 }));
}

#[tokio::test]
async fn a_message_that_is_too_long_is_refused_by_its_header() {
    let world = World::new(&["a", "b"]).await;
    for (bytes, asked) in [(LIMITS.message_bytes_max as u32 + 1, None), (1 << 20, Some(1000))] {
        let (mesh, mut stream) = joined(&world, LIMITS).await;
        stream.write_all(&Header::Message { tag: [3; 16], bytes }.encode()).await.unwrap();
        stream.flush().await.unwrap();
        let error = mesh.receive("a", [3; 16], asked.unwrap_or(usize::MAX)).await.unwrap_err();
        assert!(matches!(&error, MeshError::Oversize { peer, .. } if peer == "a"), "{error}");
        assert_eq!(mesh.failure(), Some(error));
    }
}

#[tokio::test]
async fn bytes_that_are_no_frame_end_the_mesh() {
    let world = World::new(&["a", "b"]).await;
    let (mesh, mut stream) = joined(&world, LIMITS).await;
    stream.write_all(&[9; 24]).await.unwrap();
    stream.flush().await.unwrap();
    assert!(matches!(mesh.failed().await, MeshError::Frame { peer, .. } if peer == "a"));
    assert!(matches!(mesh.send("a", [1; 16], vec![1]).await, Err(MeshError::Frame { .. })));
}

#[tokio::test]
async fn a_message_of_another_step_ends_the_mesh() {
    let world = World::new(&["a", "b"]).await;
    let (mesh, mut stream) = joined(&world, LIMITS).await;
    stream.write_all(&Header::Message { tag: [3; 16], bytes: 0 }.encode()).await.unwrap();
    stream.flush().await.unwrap();
    assert!(matches!(mesh.receive("a", [4; 16], 10).await, Err(MeshError::Tag { .. })));
    assert!(matches!(mesh.failure(), Some(MeshError::Tag { .. })));
}

#[tokio::test]
async fn a_silent_peer_is_noticed_and_named() {
    let world = World::new(&["a", "b"]).await;
    let (mesh, _stream) = joined(&world, MeshLimits { idle_ms_max: 100, ..LIMITS }).await;
    let error = mesh.receive("a", [4; 16], 10).await.unwrap_err();
    let silent = MeshError::Stalled { peer: "a".into(), what: "was silent", stalled_ms: 100 };
    assert_eq!(error, silent);
}

#[tokio::test]
async fn a_peer_that_lives_but_says_nothing_is_noticed_too() {
    let world = World::new(&["a", "b"]).await;
    let (mesh, mut stream) = joined(&world, MeshLimits { wait_ms_max: 200, ..LIMITS }).await;
    tokio::spawn(async move {
        while stream.write_all(&Header::Alive.encode()).await.is_ok() && stream.flush().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let error = mesh.receive("a", [4; 16], 10).await.unwrap_err();
    assert_eq!(error, MeshError::Stalled { peer: "a".into(), what: "sent nothing", stalled_ms: 200 });
}

#[tokio::test]
async fn a_peer_that_reads_nothing_holds_a_sender_no_longer_than_the_limit() {
    let world = World::new(&["a", "b"]).await;
    let (mesh, _stream) = joined(&world, MeshLimits { wait_ms_max: 200, ..LIMITS }).await;
    let mut sent = 0;
    let error = loop {
        match mesh.send("a", [4; 16], vec![0; 1 << 20]).await {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
        assert!(sent < 1000, "the queue has no bound");
    };
    assert_eq!(error, MeshError::Stalled { peer: "a".into(), what: "took nothing", stalled_ms: 200 });
}

#[tokio::test]
async fn a_peer_that_closes_in_the_middle_of_a_message_breaks_the_mesh() {
    let world = World::new(&["a", "b"]).await;
    for says_close in [false, true] {
        let (mesh, mut stream) = joined(&world, LIMITS).await;
        stream.write_all(&Header::Message { tag: [3; 16], bytes: 100 }.encode()).await.unwrap();
        stream.write_all(&[0; 50]).await.unwrap();
        stream.flush().await.unwrap();
        if says_close {
            stream.shutdown().await.unwrap();
        }
        drop(stream);
        let error = mesh.receive("a", [3; 16], 100).await.unwrap_err();
        assert!(matches!(&error, MeshError::Broken { peer, .. } if peer == "a"), "{error}");
        assert!(error.is_passing());
    }
}

#[tokio::test]
async fn a_peer_that_leaves_is_no_failure_until_it_is_missed() {
    let world = World::new(&["a", "b"]).await;
    let (mesh, mut stream) = joined(&world, LIMITS).await;
    stream.write_all(&Header::Message { tag: [3; 16], bytes: 1 }.encode()).await.unwrap();
    stream.write_all(b"x").await.unwrap();
    stream.write_all(&Header::Farewell.encode()).await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(mesh.receive("a", [3; 16], 1).await.unwrap(), b"x");
    let left = MeshError::Left { peer: "a".into() };
    assert_eq!(mesh.receive("a", [3; 16], 1).await.unwrap_err(), left);
    assert_eq!(mesh.send("a", [3; 16], vec![1]).await.unwrap_err(), left);
    assert_eq!(mesh.failure(), None);
    assert_eq!(mesh.close().await.unwrap()[0].route, Route::Direct);
}
