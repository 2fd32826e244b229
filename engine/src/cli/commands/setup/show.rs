//! A ceremony as text and as JSON.

use std::fmt::Write as _;

use serde::Serialize;
use ward_circuits::ceremony::{Phase, Source, Transcript};

use crate::setup::steps::Done;

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
    /// Id of the key that was made of it, by the command that makes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<String>,
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
        key: None,
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
    if let Some(key) = &view.key {
        let _ = writeln!(out, "key   {key}");
    }
    out
}

#[cfg(test)]
mod tests {
    use chacha20::ChaCha20Rng;
    use rand_core::SeedableRng;
    use ward_circuits::ceremony::{Beacon, Contributor};

    use super::*;
    use crate::setup::steps::{Ceremony, Share};

    #[test]
    fn what_is_shown_names_everybody_and_says_that_it_was_not_verified() {
        let folder = tempfile::tempdir().unwrap();
        let ceremony = Ceremony { root: folder.path(), contributors_min: 2 };
        let rng = &mut ChaCha20Rng::seed_from_u64(1);
        ceremony.begin("test", 2).unwrap();
        for name in ["north", "south"] {
            let contributor = Contributor::new(name, [0; 32]).unwrap();
            ceremony.contribute(None, Share { contributor, extra: b"", rng }, &|_, _, _| ()).unwrap();
        }
        let beacon = Beacon::new(b"a value published later", 4).unwrap();
        ceremony.close(None, &beacon, rng, &|_, _, _| ()).unwrap();
        let phases = ceremony.transcripts(&[]).unwrap();
        let view = view(&phases[0], false);
        let text = text(&view);
        assert!(text.starts_with("phase 1: test (closed, not verified)\n"), "{text}");
        for (line, name) in text.lines().skip(1).zip(["north", "south", "beacon"]) {
            assert!(line.ends_with(name), "{line}");
        }
        assert_eq!(view.head, view.contributions[2].hash);
    }
}
