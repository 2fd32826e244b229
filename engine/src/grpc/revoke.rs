//! Revocations, from the store to the live streams: the list goes to every node, and the revoked are cut off.

use std::sync::Arc;
use std::time::Duration;

use super::convert;
use super::hub::Hub;
use super::v1::engine_frame;
use crate::job::Engine;
use crate::job::nodes::Nodes;
use crate::problem::Problem;
use crate::store::blocking;

/// `ward engine revoke` writes to the store beside a running engine; it looks this often.
const LOOK: Duration = Duration::from_millis(250);

/// Looks for revocations for as long as the engine runs.
pub async fn watch(engine: Arc<Engine>, hub: Arc<Hub>) {
    let mut seen = None;
    loop {
        match look(&engine, &hub, seen).await {
            Ok(number) => seen = Some(number),
            Err(problem) => tracing::warn!(%problem, "revocations cannot be read"),
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn look(engine: &Engine, hub: &Hub, seen: Option<u64>) -> Result<u64, Problem> {
    let number = blocking(&engine.store, |s| s.revocation_number()).await?;
    if number == 0 || seen == Some(number) {
        return Ok(number);
    }
    let list = convert::revocations(&engine.revocations().await?);
    hub.set_revocations(list.clone());
    for name in hub.connected() {
        if engine.is_revoked(&name).await? {
            tracing::warn!(%name, "revoked: its stream is cut");
            hub.cut(&name);
        } else {
            hub.tell(&name, engine_frame::Frame::Revocations(list.clone())).await;
        }
    }
    engine.progress.notify_waiters();
    Ok(number)
}
