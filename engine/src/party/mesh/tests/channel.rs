//! The blocking channel of a program, on threads outside the runtime.

use std::time::Duration;

use tokio::sync::watch;
use ward_protocols::mpc::channel::{Channel, ChannelError};
use ward_protocols::mpc::role::Role;
use ward_protocols::mpc::step::{Step, StepId};

use super::world::World;
use crate::party::mesh::{Mesh, MeshChannel, MeshError};

const NAMES: [&str; 3] = ["a", "b", "c"];

fn step(name: &str) -> StepId {
    Step::root().narrow(name).id()
}

fn channels(meshes: &[Mesh]) -> Vec<MeshChannel> {
    meshes.iter().take(3).map(|mesh| mesh.channel(NAMES).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_programs_send_all_before_they_receive() {
    let world = World::new(&NAMES).await;
    let (meshes, _cancel) = world.join([1; 16]).await;
    let threads: Vec<_> = channels(&meshes)
        .into_iter()
        .zip(Role::ALL)
        .map(|(mut channel, me)| {
            std::thread::spawn(move || {
                for round in 0..20 {
                    let name = format!("round {round}");
                    let message = |from: Role| vec![from.index() as u8 ^ round; 1 << (round % 18)];
                    channel.send(me.next(), step(&name), message(me)).unwrap();
                    channel.send(me.prev(), step(&name), message(me)).unwrap();
                    for peer in [me.next(), me.prev()] {
                        let wanted = message(peer);
                        assert_eq!(channel.receive(peer, step(&name), wanted.len()), Ok(wanted));
                    }
                }
            })
        })
        .collect();
    tokio::task::spawn_blocking(move || threads.into_iter().for_each(|thread| thread.join().unwrap()))
        .await
        .unwrap();
    for mesh in meshes {
        assert_eq!(mesh.report().iter().map(|peer| peer.traffic.messages_received).sum::<u64>(), 40);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelling_wakes_everybody_who_waits() {
    let world = World::new(&NAMES).await;
    let cancels = [0; 3].map(|_| watch::Sender::new(false));
    let mut joins = Vec::new();
    for (i, party) in world.parties.iter().enumerate() {
        let (endpoint, config, cancel) =
            (party.endpoint.clone(), world.config(i, [1; 16]), cancels[i].subscribe());
        joins.push(tokio::spawn(async move { Mesh::join(&endpoint, config, cancel).await.unwrap() }));
    }
    let mut meshes = Vec::new();
    for join in joins {
        meshes.push(join.await.unwrap());
    }
    let mut channels = channels(&meshes);
    let mut sender = channels.remove(0);
    let mut receiver = meshes[0].channel(NAMES).unwrap();
    let (mut at_b, mut at_c) = (channels.remove(0), channels.remove(0));
    let threads = [
        std::thread::spawn(move || receiver.receive(Role::P1, step("never"), 1)),
        // Nobody receives, so this blocks at some point.
        std::thread::spawn(move || {
            loop {
                sender.send(Role::P1, step("flood"), vec![0; 1 << 20])?;
            }
        }),
        std::thread::spawn(move || at_b.receive(Role::P2, step("never"), 1)),
        std::thread::spawn(move || at_c.receive(Role::P1, step("never"), 1)),
    ];
    let waiting = meshes[0].receive("c", [7; 16], 1);
    let cancelling = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        cancels[0].send_replace(true);
    };
    assert_eq!(tokio::join!(waiting, cancelling).0, Err(MeshError::Cancelled));
    let woken = tokio::task::spawn_blocking(move || threads.map(|thread| thread.join().unwrap()));
    let [received, sent, at_b, at_c] = woken.await.unwrap();
    assert_eq!((received, sent), (Err(ChannelError::Cancelled), Err(ChannelError::Cancelled)));
    // To the others the node is gone, or the other who noticed first.
    for (got, other) in [(at_b, Role::P2), (at_c, Role::P1)] {
        let Err(ChannelError::Closed(gone)) = got else { panic!("{got:?}") };
        assert!(gone == Role::P0 || gone == other);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_dies_is_named_to_both_others() {
    let world = World::new(&NAMES).await;
    let (mut meshes, _cancel) = world.join([1; 16]).await;
    let channels = channels(&meshes);
    let threads: Vec<_> = channels
        .into_iter()
        .take(2)
        .zip([Role::P1, Role::P0])
        // Each waits for the other, who lives.
        .map(|(mut channel, from)| std::thread::spawn(move || channel.receive(from, step("x"), 1)))
        .collect();
    drop(meshes.remove(2));
    let woken = tokio::task::spawn_blocking(move || {
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    let woken = woken.await.unwrap();
    // The first to notice may be gone before the second notices: then that one names the first.
    assert!(woken.contains(&Err(ChannelError::Closed(Role::P2))), "{woken:?}");
    assert!(woken.iter().all(|w| matches!(w, Err(ChannelError::Closed(_)))), "{woken:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_another_step_or_length_are_unexpected() {
    let world = World::new(&NAMES).await;
    for (sent, len, asked, wanted_len) in [("x", 3, "y", 3), ("x", 3, "x", 4), ("x", 3, "x", 2)] {
        let session = [len as u8 + wanted_len as u8 * 16 + u8::from(sent == asked); 16];
        let (meshes, _cancel) = world.join(session).await;
        let mut channels = channels(&meshes);
        let got = tokio::task::spawn_blocking(move || {
            channels[0].send(Role::P1, step(sent), vec![0; len]).unwrap();
            channels[1].receive(Role::P0, step(asked), wanted_len)
        });
        let got = got.await.unwrap();
        assert!(matches!(got, Err(ChannelError::Unexpected { peer: Role::P0, .. })), "{got:?}");
    }
}

#[tokio::test]
async fn a_channel_needs_this_node_among_three_members() {
    let world = World::new(&["a", "b", "c", "d"]).await;
    let (meshes, _cancel) = world.join([1; 16]).await;
    assert!(matches!(meshes[3].channel(NAMES), Err(MeshError::Peers { .. })));
    assert!(matches!(meshes[0].channel(["a", "a", "b"]), Err(MeshError::Peers { .. })));
    assert!(matches!(meshes[0].channel(["a", "b", "z"]), Err(MeshError::NoPeer { .. })));
}

/// Five members: three compute, two give input to each of the three and leave.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hospitals_give_input_and_leave_while_the_others_compute() {
    let names = ["a", "b", "c", "rx", "y"];
    let world = World::new(&names).await;
    let relay = world.plug_all();
    let (compute, others) = (world.names()[..3].to_vec(), world.names()[3..].to_vec());
    let _session = relay.session([1; 16], &compute, &others).unwrap();
    let cancel = watch::Sender::new(false);
    let mut tasks = Vec::new();
    for (i, party) in world.parties.iter().enumerate() {
        let (endpoint, mut config, cancel) =
            (party.endpoint.clone(), world.config(i, [1; 16]), cancel.subscribe());
        if i >= 3 {
            config.peers.truncate(3);
        }
        tasks.push(tokio::spawn(async move {
            let mesh = Mesh::join(&endpoint, config, cancel).await.unwrap();
            if i >= 3 {
                for node in NAMES {
                    mesh.send(node, [1; 16], vec![i as u8; 400_000]).await.unwrap();
                }
                return mesh.close().await.unwrap();
            }
            for hospital in ["rx", "y"] {
                assert_eq!(mesh.receive(hospital, [1; 16], 400_000).await.unwrap().len(), 400_000);
            }
            let mut channel = mesh.channel(NAMES).unwrap();
            let me = Role::from_index(i).unwrap();
            let sum = tokio::task::spawn_blocking(move || {
                channel.send(me.next(), step("sum"), vec![i as u8]).unwrap();
                channel.receive(me.prev(), step("sum"), 1).unwrap()
            });
            assert_eq!(sum.await.unwrap(), [me.prev().index() as u8]);
            mesh.close().await.unwrap()
        }));
    }
    for task in tasks {
        assert!(task.await.unwrap().iter().all(|peer| peer.traffic.wire_bytes_sent > 0));
    }
}
