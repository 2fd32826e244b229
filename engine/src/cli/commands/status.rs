//! `ward engine status`: what the folder says, whether the engine runs or not.

use std::path::Path;

use serde::Serialize;

use crate::cli::exit::Exit;
use crate::cli::output::report::facts;
use crate::cli::output::terminal::{Style, Terminal};
use crate::cli::written;
use crate::clock::utc;
use crate::host::EngineFolder;
use crate::problem::Problem;
use crate::store::Anchor;

/// Anchors that are shown.
const SHOWN: u32 = 5;

/// How an engine stands.
#[derive(Debug, Serialize)]
struct Status {
    consortium: String,
    log_leaves: u64,
    attestations_registered: u64,
    anchoring: Option<serde_json::Value>,
    anchors: Vec<AnchorLine>,
}

#[derive(Debug, Serialize)]
struct AnchorLine {
    chain_id: u64,
    contract: String,
    kind: &'static str,
    digest: String,
    size: u64,
    block: u64,
    transaction: Option<String>,
    at_unix_ms: u64,
}

impl From<Anchor> for AnchorLine {
    fn from(anchor: Anchor) -> Self {
        Self {
            chain_id: anchor.chain_id,
            contract: anchor.contract,
            kind: anchor.kind.as_str(),
            digest: anchor.digest.to_string(),
            size: anchor.size,
            block: anchor.block,
            transaction: anchor.transaction.map(|hash| hash.to_string()),
            at_unix_ms: anchor.at_ms,
        }
    }
}

/// Prints how the engine of a folder stands.
///
/// # Errors
/// When the folder holds none.
pub(super) fn run(data: &Path, terminal: &Terminal) -> Result<Exit, Problem> {
    let folder = EngineFolder::open(data)?;
    let store = folder.store();
    let anchoring = store.meta("evm.status")?.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let status = Status {
        consortium: folder.consortium().to_owned(),
        log_leaves: store.log_size()?,
        attestations_registered: store.registrations()?,
        anchoring,
        anchors: store.latest_anchors(SHOWN)?.into_iter().map(AnchorLine::from).collect(),
    };
    written(terminal.show(&status, text))
}

fn text(status: &Status, style: &Style) -> String {
    let mut pairs = vec![
        ("consortium", status.consortium.clone()),
        ("log", format!("{} leaves", status.log_leaves)),
        ("registered", format!("{} attestations", status.attestations_registered)),
    ];
    match &status.anchoring {
        None => pairs.push(("anchoring", "on no chain".to_owned())),
        Some(state) => {
            let word = |name: &str| state[name].as_str().unwrap_or("not reached yet").to_owned();
            pairs.push(("chain", format!("{} at {}", state["chain_id"], word("anchor_log"))));
            pairs.push(("mode", word("mode")));
            pairs.push((
                "waiting",
                format!("{} posts, {} confirmations", state["waiting"], state["confirmations"]),
            ));
            if let Some(message) = state["failure"][1].as_str() {
                let code = state["failure"][0].as_str().unwrap_or_default();
                pairs.push(("waits for", format!("{message} [{code}]")));
            }
        }
    }
    for anchor in &status.anchors {
        let what = match anchor.kind {
            "checkpoint" => format!("checkpoint of {} leaves", anchor.size),
            kind => format!("{kind} {}", anchor.digest),
        };
        pairs.push(("anchored", format!("{what}, block {}, {}", anchor.block, utc(anchor.at_unix_ms))));
    }
    facts(&pairs, style)
}
