//! A ceremony as text and as JSON.

use std::fmt::Write as _;

use serde::Serialize;
use ward_circuits::ceremony::{Phase, Source, Transcript};

use super::steps::Done;

/// A phase as it is shown.
#[derive(Debug, Serialize)]
pub(super) struct PhaseView {
    /// Folder of the phase.
    pub(super) folder: String,
    /// 1 or 2.
    pub(super) phase: u8,
    /// The ceremony's name, or the statement's.
    pub(super) name: String,
    /// Hash of everything so far, hexadecimal.
    pub(super) head: String,
    /// Whether the beacon ended it.
    pub(super) closed: bool,
    /// Whether this command verified it.
    pub(super) verified: bool,
    /// The contributions in order.
    pub(super) contributions: Vec<ContributionView>,
}

/// A contribution as it is shown.
#[derive(Debug, Serialize)]
pub(super) struct ContributionView {
    /// From 1.
    pub(super) number: usize,
    /// The contributor's name, or `beacon`.
    pub(super) by: String,
    /// Hash of what vouches for the contributor; the beacon's value for a beacon. Hexadecimal, empty without one.
    pub(super) attestation: String,
    /// Hash of the contribution, which its contributor publishes and signs.
    pub(super) hash: String,
}

/// The view of a phase.
pub(super) fn view(done: &Done, verified: bool) -> PhaseView {
    let transcript: &Transcript = &done.transcript;
    let contributions = transcript.contributions().iter().enumerate().map(|(index, contribution)| {
        let (by, attestation) = match contribution.source() {
            Source::Party(contributor) if *contributor.attestation() == [0; 32] => {
                (contributor.name().to_owned(), String::new())
            }
            Source::Party(contributor) => {
                (contributor.name().to_owned(), hex::encode(contributor.attestation()))
            }
            Source::Beacon(beacon) => ("beacon".to_owned(), hex::encode(beacon.value())),
        };
        ContributionView { number: index + 1, by, attestation, hash: hex::encode(contribution.hash()) }
    });
    PhaseView {
        folder: done.folder.display().to_string(),
        phase: match transcript.phase() {
            Phase::One => 1,
            Phase::Two => 2,
        },
        name: transcript.ceremony().to_owned(),
        head: hex::encode(transcript.head()),
        closed: transcript.beacon().is_some(),
        verified,
        contributions: contributions.collect(),
    }
}

/// A phase in lines.
pub(super) fn text(view: &PhaseView) -> String {
    let state = match (view.closed, view.verified) {
        (true, true) => "closed, verified",
        (true, false) => "closed, not verified",
        (false, true) => "open, verified",
        (false, false) => "open, not verified",
    };
    let mut out = format!("phase {}: {} ({state})\n", view.phase, view.name);
    for contribution in &view.contributions {
        // Writing into a string does not fail.
        let _ = writeln!(out, "{:4}  {}  {}", contribution.number, contribution.hash, contribution.by);
    }
    let _ = writeln!(out, "head  {}", view.head);
    out
}
