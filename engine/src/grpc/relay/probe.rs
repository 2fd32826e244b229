//! Probes: a few bytes to a node and back, for the doctor. The engine asks in a prober's name, so no running node's
//! line is disturbed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::{Relay, lock};
use crate::party::mesh::{
    CloseReason, DATA_BYTES_MAX, PROBE_BYTES_MAX, PROBE_SESSION, RelayEvent, RelayFrame,
};

/// In front of a prober's name: no member's name has it.
pub(super) const MARK: char = '?';
/// Probes that one member may ask for in a minute.
const PROBES_MAX: u32 = 60;
/// Longest time of a probe.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who has asked for how many probes in the current minute.
#[derive(Default)]
pub(super) struct Probes {
    begun: Option<Instant>,
    asked: HashMap<String, u32>,
    /// One probe a member at a time.
    running: HashSet<String>,
}

/// Why a probe did not come back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeFailure {
    /// Too large.
    #[error("{bytes} bytes to probe with, at most {bytes_max}")]
    Size {
        /// Asked for.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// Too many.
    #[error("more than {PROBES_MAX} probes in a minute, or two at once")]
    Rate,
    /// The pipe was closed.
    #[error("{}", .0.as_str())]
    Closed(CloseReason),
    /// What came back is not what was sent.
    #[error("the node sent other bytes back")]
    Other,
    /// Nothing came back.
    #[error("nothing came back within {} ms", PATIENCE.as_millis())]
    Slow,
}

/// A probe that runs; it stops counting as running when it is dropped.
struct Running<'a>(&'a Relay, &'a str);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        lock(&self.0.probes).running.remove(self.1);
    }
}

impl Relay {
    /// Sends bytes to a node's relay and waits until they are back.
    ///
    /// # Errors
    /// [`ProbeFailure`].
    pub async fn probe(self: &Arc<Self>, asker: &str, node: &str, body: Vec<u8>) -> Result<(), ProbeFailure> {
        let bytes_max = PROBE_BYTES_MAX.min(DATA_BYTES_MAX);
        if body.is_empty() || body.len() > bytes_max {
            return Err(ProbeFailure::Size { bytes: body.len(), bytes_max });
        }
        let _running = self.admit_probe(asker)?;
        let back = timeout(PATIENCE, self.there_and_back(asker, node, body));
        back.await.unwrap_or(Err(ProbeFailure::Slow))
    }

    fn admit_probe<'a>(&'a self, asker: &'a str) -> Result<Running<'a>, ProbeFailure> {
        let mut probes = lock(&self.probes);
        if probes.begun.is_none_or(|begun| begun.elapsed() >= Duration::from_secs(60)) {
            probes.begun = Some(Instant::now());
            probes.asked.clear();
        }
        let asked = probes.asked.entry(asker.to_owned()).or_default();
        if *asked >= PROBES_MAX {
            return Err(ProbeFailure::Rate);
        }
        *asked += 1;
        if !probes.running.insert(asker.to_owned()) {
            return Err(ProbeFailure::Rate);
        }
        drop(probes);
        Ok(Running(self, asker))
    }

    async fn there_and_back(
        self: &Arc<Self>,
        asker: &str,
        node: &str,
        body: Vec<u8>,
    ) -> Result<(), ProbeFailure> {
        let line = self.attach(&format!("{MARK}{asker}"));
        let (session, peer) = (PROBE_SESSION, node.to_owned());
        let mut back = Vec::with_capacity(body.len());
        for event in [RelayEvent::Open { session, peer }, RelayEvent::Data(body.clone())] {
            // A pipe that is refused takes no data, which is no fault of the prober.
            line.take(RelayFrame { pipe: 0, event }).map_err(|_| ProbeFailure::Other)?;
        }
        while back.len() < body.len() {
            match line.next().await.map(|frame| frame.event) {
                Some(RelayEvent::Data(bytes)) => back.extend_from_slice(&bytes),
                Some(RelayEvent::Close(reason)) => return Err(ProbeFailure::Closed(reason)),
                Some(RelayEvent::Credit(_) | RelayEvent::Open { .. }) => {}
                None => return Err(ProbeFailure::Closed(CloseReason::Gone)),
            }
        }
        if back == body { Ok(()) } else { Err(ProbeFailure::Other) }
    }
}
