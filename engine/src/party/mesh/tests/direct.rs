//! Direct streams: messages arrive, in order, whole.

use super::world::World;
use crate::party::mesh::Route;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_members_exchange_messages_of_all_sizes() {
    let world = World::new(&["a", "b", "c"]).await;
    let (meshes, _cancel) = world.join([1; 16]).await;
    let sizes = [0, 1, 23, 4096, 16_360, 16_361, 70_000, 3 << 20];
    let mut tasks = Vec::new();
    for (i, mesh) in meshes.into_iter().enumerate() {
        tasks.push(tokio::spawn(async move {
            let names = ["a", "b", "c"];
            let next = names[(i + 1) % 3];
            let prev = names[(i + 2) % 3];
            for (k, size) in sizes.into_iter().enumerate() {
                mesh.send(next, [k as u8; 16], vec![(i * 10 + k) as u8; size]).await.unwrap();
            }
            for (k, size) in sizes.into_iter().enumerate() {
                let got = mesh.receive(prev, [k as u8; 16], size).await.unwrap();
                assert_eq!(got, vec![((i + 2) % 3 * 10 + k) as u8; size]);
            }
            mesh.close().await.unwrap()
        }));
    }
    for task in tasks {
        let report = task.await.unwrap();
        assert!(report.iter().all(|peer| peer.route == Route::Direct));
        let total: u64 = sizes.iter().map(|size| *size as u64).sum();
        assert_eq!(report.iter().map(|peer| peer.traffic.bytes_sent).sum::<u64>(), total);
        assert_eq!(report.iter().map(|peer| peer.traffic.bytes_received).sum::<u64>(), total);
    }
}
