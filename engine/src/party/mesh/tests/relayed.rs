//! Streams through the engine's relay, alone and beside direct ones.

use super::world::World;
use crate::party::mesh::{Mesh, MeshError, Route};

const BYTES: usize = 5 << 20;
/// All that [`exchange`] sends to one peer before it receives.
const ALL: usize = BYTES + 1;

/// Everybody sends everybody else a message larger than the relay's window, and one behind it.
async fn exchange(meshes: Vec<Mesh>, names: &'static [&'static str]) -> Vec<Vec<(String, Route)>> {
    let mut tasks = Vec::new();
    for (i, mesh) in meshes.into_iter().enumerate() {
        tasks.push(tokio::spawn(async move {
            let others: Vec<_> = names.iter().enumerate().filter(|(j, _)| *j != i).collect();
            for (_, name) in &others {
                mesh.send(name, [1; 16], vec![i as u8; BYTES]).await.unwrap();
                mesh.send(name, [2; 16], vec![i as u8]).await.unwrap();
            }
            for (j, name) in &others {
                assert!(mesh.receive(name, [1; 16], BYTES).await.unwrap() == vec![*j as u8; BYTES]);
                assert_eq!(mesh.receive(name, [2; 16], 1).await.unwrap(), [*j as u8]);
            }
            let report = mesh.close().await.unwrap();
            for peer in &report {
                assert_eq!(peer.traffic.bytes_received, BYTES as u64 + 1);
                assert!(peer.traffic.wire_bytes_received > BYTES as u64);
            }
            report.into_iter().map(|peer| (peer.name, peer.route)).collect::<Vec<_>>()
        }));
    }
    let mut routes = Vec::new();
    for task in tasks {
        routes.push(task.await.unwrap());
    }
    routes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_members_without_addresses_meet_through_the_engine() {
    let mut world = World::new(&["ra", "rb", "rc"]).await;
    world.limits.send_bytes_max = ALL;
    let relay = world.plug_all();
    let _session = relay.session([1; 16], &world.names(), &[]).unwrap();
    let (meshes, _cancel) = world.join([1; 16]).await;
    for routes in exchange(meshes, &["ra", "rb", "rc"]).await {
        assert!(routes.iter().all(|(_, route)| *route == Route::Relayed));
    }
    // Both ends have left: no pipe is left over.
    for _ in 0..500 {
        if relay.load().0 == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{} pipes are left", relay.load().0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_that_listen_are_reached_directly_and_the_others_through_the_engine() {
    let mut world = World::new(&["a", "b", "rc"]).await;
    world.limits.send_bytes_max = ALL;
    let relay = world.plug_all();
    let _session = relay.session([1; 16], &world.names(), &[]).unwrap();
    let (meshes, _cancel) = world.join([1; 16]).await;
    let routes = exchange(meshes, &["a", "b", "rc"]).await;
    let of = |i: usize, name: &str| routes[i].iter().find(|(n, _)| n == name).unwrap().1;
    assert_eq!((of(0, "b"), of(1, "a")), (Route::Direct, Route::Direct));
    assert_eq!((of(0, "rc"), of(1, "rc")), (Route::Relayed, Route::Relayed));
    assert_eq!((of(2, "a"), of(2, "b")), (Route::Relayed, Route::Relayed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_address_leads_through_the_engine_and_the_report_says_why() {
    let mut world = World::new(&["a", "b"]).await;
    let port = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    world.parties[1].address = Some(port.to_string());
    let relay = world.plug_all();
    let _session = relay.session([1; 16], &world.names(), &[]).unwrap();
    let (meshes, _cancel) = world.join([1; 16]).await;
    let report = meshes[0].report();
    assert_eq!(report[0].route, Route::Relayed);
    assert!(report[0].not_direct.as_ref().unwrap().contains("no TCP connection"), "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_session_the_engine_connects_nobody() {
    let mut world = World::new(&["ra", "rb"]).await;
    world.limits.join_ms_max = 300;
    let relay = world.plug_all();
    let _other = relay.session([2; 16], &world.names(), &[]).unwrap();
    let cancel = tokio::sync::watch::Sender::new(false);
    let mut meshes = world.try_join([1; 16], &cancel).await;
    assert!(matches!(meshes.pop().unwrap(), Err(MeshError::Absent { peer, .. }) if peer == "ra"));
    match meshes.pop().unwrap() {
        Err(MeshError::Unreachable { peer, relayed, .. }) => {
            assert_eq!(peer, "rb");
            assert!(relayed.contains("no running session"), "{relayed}");
        }
        other => panic!("{:?}", other.err()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_ends_breaks_its_streams() {
    let world = World::new(&["ra", "rb"]).await;
    let relay = world.plug_all();
    let session = relay.session([1; 16], &world.names(), &[]).unwrap();
    let (meshes, _cancel) = world.join([1; 16]).await;
    drop(session);
    for (mesh, peer) in meshes.iter().zip(["rb", "ra"]) {
        let error = mesh.receive(peer, [1; 16], 1).await.unwrap_err();
        assert!(matches!(&error, MeshError::Broken { peer: p, .. } if p == peer), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_answers_a_probe_through_the_engine() {
    let world = World::new(&["ra", "rb"]).await;
    let relay = world.plug_all();
    relay.probe("omar", "ra", vec![3; 50_000]).await.unwrap();
    relay.probe("ra", "ra", vec![4; 1]).await.unwrap();
    relay.probe("ra", "rb", vec![4; crate::party::mesh::PROBE_BYTES_MAX]).await.unwrap();
}
