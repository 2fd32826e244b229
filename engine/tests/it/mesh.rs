//! The relay through a real engine and real streams, the addresses that nodes announce, and what the doctor finds.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use ward_engine::grpc::client;
use ward_engine::grpc::v1::{self, engine_frame, node_frame, relay};
use ward_engine::identity::Role;
use ward_engine::member::Membership;
use ward_engine::party::doctor::{Status, check_mesh};
use ward_engine::party::node::Node;
use ward_engine::party::probe::GrpcProbe;
use ward_engine::party::transport;

use crate::node_house::hospital_config;
use crate::wire_stand::{Stand, Stream, hello_of, seal};

/// Enrols a hospital whose node takes connections on this machine.
async fn listening(stand: &Stand, name: &str) -> Arc<Node> {
    // Free now; nothing else on this machine takes a port that the system gave away a moment ago.
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mesh = format!("[mesh]\nlisten = \"{address}\"\naddress = \"{address}\"\n");
    let config = hospital_config(&stand.home(name), 7, &mesh);
    let token = stand.folder.token(Role::Hospital, name, &stand.url, 1).unwrap().to_text();
    Membership::enrol(&token, &[Role::Hospital], &config.data_dir, (seal(&config.data_dir), None))
        .await
        .unwrap();
    Arc::new(Node::open(config).unwrap())
}

/// Runs nodes as `ward party run` does, until the sender is dropped.
async fn run(stand: &Stand, nodes: &[Arc<Node>]) -> watch::Sender<bool> {
    let stop = watch::Sender::new(false);
    for node in nodes {
        let target = node.membership().target(None).unwrap();
        tokio::spawn(transport::run(node.clone(), target, stop.subscribe()));
    }
    stand.until_connected(nodes.len()).await;
    stop
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_go_through_the_relay_to_running_nodes_and_back() {
    let stand = Stand::start(3).await;
    let _stop = run(&stand, &stand.hospitals[..2]).await;
    let target = stand.hospitals[0].membership().target(None).unwrap();
    for (node, bytes) in [("h-0", 1), ("h-1", 64 << 10)] {
        client::probe_relay(&target, node, bytes).await.unwrap();
    }
    // The third is enrolled and away; one is not enrolled; the sizes are out of range; researchers have no nodes.
    for (node, bytes, code) in [("h-2", 1, "probe.relay"), ("x", 1, "probe.relay"), ("h-1", 0, "probe.relay")]
    {
        assert_eq!(client::probe_relay(&target, node, bytes).await.unwrap_err().code, code);
    }
    assert!(client::probe_relay(&target, "h-1", (64 << 10) + 1).await.is_err());
    let researcher = stand.ada.target(None).unwrap();
    assert_eq!(client::probe_relay(&researcher, "h-1", 1).await.unwrap_err().code, "authorization.denied");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_finds_both_ways_between_running_nodes() {
    let stand = Stand::start(1).await;
    let nodes = [listening(&stand, "l-0").await, listening(&stand, "l-1").await, stand.hospitals[0].clone()];
    let _stop = run(&stand, &nodes).await;
    let node = &nodes[0];
    let probe = GrpcProbe(node.membership().target(None).unwrap());
    let checks = check_mesh(node.mesh(), &node.config().mesh, &probe).await;
    let names: Vec<&str> = checks.iter().map(|check| check.name.as_str()).collect();
    assert_eq!(
        names,
        ["mesh.listener", "mesh.relay.h-0", "mesh.relay.l-0", "mesh.relay.l-1", "mesh.direct.l-1"],
        "{checks:?}"
    );
    assert!(checks.iter().all(|check| check.status == Status::Ok), "{checks:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_the_node_did_not_sign_is_refused() {
    let stand = Stand::start(2).await;
    let node = &stand.hospitals[0];
    let target = node.membership().target(None).unwrap();
    let sign = |node: &Arc<Node>, parts: &[&[u8]]| {
        node.membership().identity.sign("ward/v1/mesh-address", parts).0.to_vec()
    };
    let (own, address) = (node.name().as_bytes(), "10.0.0.1:7443");
    for (signature, address) in [
        (sign(node, &[own, b"10.0.0.1:7444"]), address),
        (sign(&stand.hospitals[1], &[own, address.as_bytes()]), address),
        (sign(node, &[own, b"nonsense"]), "nonsense"),
        (Vec::new(), address),
    ] {
        let mut hello = hello_of(node).await;
        if let node_frame::Frame::Hello(hello) = &mut hello {
            hello.mesh = Some(v1::MeshAddress { address: address.to_owned(), signature });
        }
        let refused = Stream::attach(&target, Some(hello)).await.err().map(|problem| problem.code);
        assert_eq!(refused.as_deref(), Some("mesh.address"));
    }
}

fn open(pipe: u64, session: &[u8]) -> node_frame::Frame {
    let open = v1::RelayOpen { session: session.to_vec(), peer: "h-1".to_owned() };
    node_frame::Frame::Relay(v1::Relay { pipe, event: Some(relay::Event::Open(open)) })
}

#[tokio::test(flavor = "multi_thread")]
async fn pipes_outside_a_session_are_refused_and_abuse_ends_the_stream_alone() {
    let stand = Stand::start(2).await;
    let _stop = run(&stand, &stand.hospitals[1..]).await;
    let node = &stand.hospitals[0];
    let target = node.membership().target(None).unwrap();
    let mut stream = Stream::attach(&target, Some(hello_of(node).await)).await.unwrap();
    stream.next().await.unwrap();
    for (pipe, session) in [(0, [1; 16]), (2, [0; 16])] {
        stream.send(open(pipe, &session)).await;
        let refused = relay::Event::Close(v1::RelayClose::Refused.into());
        let refused = v1::Relay { pipe, event: Some(refused) };
        assert_eq!(stream.next().await, Some(engine_frame::Frame::Relay(refused)));
    }
    drop(stream);
    let data = |bytes| {
        node_frame::Frame::Relay(v1::Relay { pipe: 0, event: Some(relay::Event::Data(vec![0; bytes])) })
    };
    let empty = node_frame::Frame::Relay(v1::Relay { pipe: 0, event: None });
    for bad in [open(1, &[1; 16]), open(0, &[1; 15]), data(0), data((256 << 10) + 1), empty] {
        let mut stream = Stream::attach(&target, Some(hello_of(node).await)).await.unwrap();
        stream.next().await.unwrap();
        stream.send(bad).await;
        stream.until_ended().await;
    }
    // The other node has noticed nothing.
    let neighbour = stand.hospitals[1].membership().target(None).unwrap();
    tokio::time::timeout(Duration::from_secs(30), client::probe_relay(&neighbour, "h-1", 9))
        .await
        .unwrap()
        .unwrap();
}
