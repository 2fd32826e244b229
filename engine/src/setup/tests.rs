//! A ceremony on its folder, whole and disturbed.

use std::fs;
use std::path::Path;

use chacha20::ChaCha20Rng;
use rand_core::SeedableRng;
use ward_circuits::ceremony::{Beacon, Contributor};
use ward_circuits::groth16::{ProvingKey, VerifyingKey};

use super::square::{Root, root_statement};
use super::statements::Known;
use super::steps::{Ceremony, Done, Share, attestation};
use crate::problem::{Problem, ProblemKind};

fn at(root: &Path) -> Ceremony<'_> {
    Ceremony { root, contributors_min: 2 }
}

fn contribute(root: &Path, statement: Option<&Known>, name: &str, seed: u64) -> Result<Done, Problem> {
    let contributor = Contributor::new(name, [0; 32]).unwrap();
    let rng = &mut ChaCha20Rng::seed_from_u64(seed);
    at(root).contribute(statement, Share { contributor, extra: b"dice", rng }, &|_, _, _| ())
}

fn close(root: &Path, statement: Option<&Known>) -> Result<Done, Problem> {
    let beacon = Beacon::new(b"a value published later", 4).unwrap();
    at(root).close(statement, &beacon, &mut ChaCha20Rng::seed_from_u64(9), &|_, _, _| ())
}

fn prepare(root: &Path) -> Result<Done, Problem> {
    at(root).prepare(&root_statement(), &mut ChaCha20Rng::seed_from_u64(9), &|_, _, _| ())
}

/// A folder with a closed first phase of two.
fn first_phase() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    at(folder.path()).begin("test", 3).unwrap();
    contribute(folder.path(), None, "north", 1).unwrap();
    contribute(folder.path(), None, "south", 2).unwrap();
    close(folder.path(), None).unwrap();
    folder
}

fn code<T>(outcome: Result<T, Problem>) -> String {
    let problem = outcome.err().expect("refused");
    assert!(!problem.hint.is_empty(), "{problem}");
    problem.code
}

#[test]
fn a_ceremony_of_two_on_a_folder_ends_in_keys_that_open() {
    let folder = first_phase();
    let (root, statement) = (folder.path(), root_statement());
    prepare(root).unwrap();
    contribute(root, Some(&statement), "north", 3).unwrap();
    contribute(root, Some(&statement), "south", 4).unwrap();
    close(root, Some(&statement)).unwrap();
    let out = root.join("keys");
    let finalise = |seed| {
        let rng = &mut ChaCha20Rng::seed_from_u64(seed);
        at(root).finalise(&statement, &out, rng, &|_, _, _| ()).unwrap().1.id
    };
    let id = finalise(5);
    assert_eq!(finalise(6), id, "the keys depend on the folder alone");
    let verifying = fs::read(out.join("test-square-1.verifying-key")).unwrap();
    let key = VerifyingKey::<Root>::from_bytes(&verifying).unwrap();
    assert_eq!(key.id(), id);
    let proving = fs::read(out.join("test-square-1.proving-key")).unwrap();
    ProvingKey::<Root>::validate(&proving).unwrap();
    let shown = at(root).transcripts(&[statement]).unwrap();
    let lines: Vec<usize> = shown.iter().map(|phase| phase.transcript.contributions().len()).collect();
    assert_eq!(lines, [3, 3]);
}

#[test]
fn the_folder_is_valid_wherever_a_step_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    at(root).begin("test", 2).unwrap();
    contribute(root, None, "north", 1).unwrap();
    let phase = root.join("phase1");
    let before: Vec<_> =
        ["transcript", "state-0001"].map(|name| (name, fs::read(phase.join(name)).unwrap())).into();
    contribute(root, None, "south", 2).unwrap();
    let after = fs::read(phase.join("state-0002")).unwrap();
    // Cut off while the state is written, and after: the transcript is still the old one.
    for (name, bytes) in [("state-0002.next", &after[..100]), ("state-0002", &after[..])] {
        for old in [&before[0], &before[1]] {
            fs::write(phase.join(old.0), &old.1).unwrap();
        }
        let _ = fs::remove_file(phase.join("state-0002"));
        fs::write(phase.join(name), bytes).unwrap();
        let again = contribute(root, None, "south", 7).unwrap();
        assert_eq!(again.transcript.contributions().len(), 2);
        verify(root).unwrap();
    }
    // Cut off before the old state was removed.
    fs::write(phase.join("state-0001"), &before[1].1).unwrap();
    verify(root).unwrap();
    // Cut off at the very beginning.
    let empty = tempfile::tempdir().unwrap();
    fs::create_dir_all(empty.path().join("phase1")).unwrap();
    at(empty.path()).begin("test", 2).unwrap();
}

fn verify(root: &Path) -> Result<(), Problem> {
    at(root).verified_first(&mut ChaCha20Rng::seed_from_u64(8), &|_, _, _| ()).map(drop)
}

#[test]
fn a_damaged_folder_is_refused_and_nothing_is_contributed_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    at(root).begin("test", 2).unwrap();
    contribute(root, None, "north", 1).unwrap();
    let (transcript, state) = (root.join("phase1/transcript"), root.join("phase1/state-0001"));
    let bytes = fs::read(&state).unwrap();
    let head = fs::read(&transcript).unwrap();
    let refused = |bytes: &[u8]| {
        fs::write(&state, bytes).unwrap();
        let code = code(contribute(root, None, "south", 2));
        assert_eq!(fs::read(&transcript).unwrap(), head);
        assert!(!root.join("phase1/state-0002").exists());
        code
    };
    assert_eq!(refused(&bytes[..50]), "setup.file");
    let mut swapped = bytes.clone();
    let (a, b) = (11 + 2 * 96, 11 + 3 * 96);
    swapped[a..a + 96].copy_from_slice(&bytes[b..b + 96]);
    assert_eq!(refused(&swapped), "setup.not_verified");
    fs::remove_file(&state).unwrap();
    assert_eq!(code(contribute(root, None, "south", 2)), "setup.file");
}

#[test]
fn a_step_out_of_turn_says_what_comes_first() {
    let folder = tempfile::tempdir().unwrap();
    let (root, statement) = (folder.path(), root_statement());
    assert_eq!(code(contribute(root, None, "north", 1)), "setup.missing");
    at(root).begin("test", 2).unwrap();
    assert_eq!(code(at(root).begin("test", 2)), "setup.exists");
    assert_eq!(code(close(root, None)), "setup.contributors");
    contribute(root, None, "north", 1).unwrap();
    assert_eq!(code(close(root, None)), "setup.contributors");
    contribute(root, None, "south", 2).unwrap();
    assert_eq!(code(prepare(root)), "setup.open");
    assert_eq!(code(contribute(root, Some(&statement), "north", 3)), "setup.missing");
    close(root, None).unwrap();
    assert_eq!(code(contribute(root, None, "west", 3)), "setup.closed");
    prepare(root).unwrap();
    assert_eq!(code(prepare(root)), "setup.exists");
    let rng = &mut ChaCha20Rng::seed_from_u64(5);
    let keys = at(root).finalise(&statement, &root.join("keys"), rng, &|_, _, _| ());
    assert_eq!(code(keys), "setup.open");
    assert!(!root.join("keys").exists());
}

#[test]
fn the_second_phase_of_another_folder_is_refused() {
    let (one, other) = (first_phase(), tempfile::tempdir().unwrap());
    prepare(one.path()).unwrap();
    let elsewhere = other.path();
    at(elsewhere).begin("test", 3).unwrap();
    contribute(elsewhere, None, "north", 5).unwrap();
    contribute(elsewhere, None, "south", 6).unwrap();
    close(elsewhere, None).unwrap();
    prepare(elsewhere).unwrap();
    for name in ["transcript", "prepared", "state-0000"] {
        fs::copy(one.path().join("test-square-1").join(name), elsewhere.join("test-square-1").join(name))
            .unwrap();
    }
    assert_eq!(code(contribute(elsewhere, Some(&root_statement()), "north", 7)), "setup.phase1");
}

#[test]
fn two_processes_do_not_step_at_once() {
    let folder = tempfile::tempdir().unwrap();
    at(folder.path()).begin("test", 2).unwrap();
    let held = fs::File::create(folder.path().join("phase1/lock")).unwrap();
    held.lock().unwrap();
    assert_eq!(code(contribute(folder.path(), None, "north", 1)), "setup.busy");
    drop(held);
    contribute(folder.path(), None, "north", 1).unwrap();
}

#[test]
fn an_unknown_statement_is_named_with_those_there_are() {
    let problem = super::statements::find("consent").err().unwrap();
    assert_eq!((problem.kind, problem.code.as_str()), (ProblemKind::NotFound, "setup.statement"));
    assert!(problem.hint.contains("eligibility-1"), "{}", problem.hint);
    assert_eq!(super::statements::find("ward/eligibility/1").unwrap().folder, "eligibility-1");
}

#[test]
fn an_attestation_is_the_hash_of_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("certificate");
    fs::write(&path, b"abc").unwrap();
    assert_eq!(hex::encode(attestation(Some(&path)).unwrap())[..8], *"ba7816bf");
    assert_eq!(attestation(None).unwrap(), [0; 32]);
    assert_eq!(code(attestation(Some(&folder.path().join("absent")))), "setup.file");
}
