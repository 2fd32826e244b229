//! Errors of the ceremony as a person sees them: a stable code and what to do.

use std::path::Path;

use ward_circuits::ceremony::Error;

use crate::problem::{Problem, ProblemKind};

/// The problem that an error of the ceremony is, about the files in `place`.
#[must_use]
pub fn of(place: &Path, error: &Error) -> Problem {
    let (kind, code, hint) = explain(error);
    let message = match kind {
        ProblemKind::Validation => format!("{}: {error}", place.display()),
        _ => error.to_string(),
    };
    Problem::new(kind, code, message).hint(hint)
}

fn explain(error: &Error) -> (ProblemKind, &'static str, &'static str) {
    use ProblemKind::{Conflict, NotFound, Validation};
    match error {
        Error::Codec(_) | Error::Header(_) => (
            Validation,
            "setup.file",
            "the file is damaged or of another kind: fetch the folder again from whoever sent it",
        ),
        Error::Size(_) => (
            Validation,
            "setup.size",
            "sizes are 1 to 20: 16 serves up to 65,000 constraints, and no ceremony serves more than 1,048,000",
        ),
        Error::Name(_) => {
            (Validation, "setup.name", "1 to 128 bytes, without line breaks or control characters")
        }
        Error::BeaconLength(_) | Error::BeaconIterations(_) => (
            Validation,
            "setup.beacon",
            "give the published value in hexadecimal, 16 bytes at least, and --iterations up to 30",
        ),
        Error::Closed => {
            (Conflict, "setup.closed", "the beacon ended this phase; `ward setup show` says what comes next")
        }
        Error::NotClosed => (Conflict, "setup.open", "end the phase first with `ward setup beacon`"),
        Error::Full(_) => (Conflict, "setup.full", "end the phase with `ward setup beacon`"),
        Error::Contributors { .. } => (
            Conflict,
            "setup.contributors",
            "ask more hospitals to contribute, or say how few are enough with --at-least",
        ),
        Error::Capacity { .. } => (
            Conflict,
            "setup.capacity",
            "the statement needs a first phase of a larger --size: begin a new ceremony",
        ),
        Error::Continuation => (
            Conflict,
            "setup.continuation",
            "somebody contributed in between: contribute again on the latest folder",
        ),
        Error::OtherCircuit => (
            NotFound,
            "setup.circuit",
            "the folder was made by a version of Ward with other constraints: use that version, or prepare again",
        ),
        Error::OtherPhase1 => (Validation, "setup.phase1", "take both phases from the same folder"),
        _ => (
            Validation,
            "setup.not_verified",
            "do not contribute to this and do not use its keys; go back to the last folder that verified",
        ),
    }
}
