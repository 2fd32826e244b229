//! The files of a ceremony on hostile bytes: no panic, and nothing is accepted but the file that was made.
#![no_main]

use std::sync::LazyLock;

use chacha20::ChaCha20Rng;
use libfuzzer_sys::fuzz_target;
use rand_core::SeedableRng;
use ward_circuits::Element;
use ward_circuits::ceremony::*;
use ward_circuits::r1cs::{Builder, Matrices};

/// A finished first phase, an open second phase, and their files.
struct Valid {
    phase1: Phase1,
    matrices: Matrices,
    /// Transcript and state of phase 1; prepared key, transcript and state of phase 2.
    files: [Vec<u8>; 5],
}

static VALID: LazyLock<Valid> = LazyLock::new(|| {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let contributor = Contributor::new("a", [1; 32]).expect("name");
    let phase1 = Phase1::begin("fuzz", 2).expect("phase 1");
    let phase1 = phase1.contribute(&contributor, &mut rng, b"", SILENT).expect("contribution");
    let phase1 = phase1.close(&Beacon::new(&[7; 16], 2).expect("beacon"), SILENT).expect("close");
    let (mut builder, inputs) = Builder::shape(&[Element::from(9u8)]);
    let root = builder.witness(Element::from(3u8));
    builder.enforce(&root, &root, &inputs[0]);
    let matrices = builder.finish().0;
    let relation = Relation::new(&matrices).expect("relation");
    let phase2 = Phase2::begin("fuzz", &phase1, &relation, 1, SILENT).expect("phase 2");
    let phase2 = phase2.contribute(&contributor, &mut rng, b"", SILENT).expect("contribution");
    let files = [
        phase1.transcript().encode(),
        phase1.encode_state(),
        phase2.encode_prepared(),
        phase2.transcript().encode(),
        phase2.encode_state(),
    ];
    Valid { phase1, matrices, files }
});

fuzz_target!(|data: &[u8]| {
    let Some((&[pick, mode, at0, at1], rest)) = data.split_first_chunk::<4>() else { return };
    let valid = &*VALID;
    let pick = usize::from(pick) % valid.files.len();
    let input = if mode & 1 == 0 {
        rest.to_vec()
    } else {
        let mut input = valid.files[pick].clone();
        let start = (usize::from(at0) << 8 | usize::from(at1)) % input.len();
        let end = input.len().min(start + rest.len());
        input[start..end].copy_from_slice(&rest[..end - start]);
        input
    };
    let phase = if pick < 2 { Phase::One } else { Phase::Two };
    if let Ok(transcript) = Transcript::decode(phase, &input) {
        assert_eq!(transcript.encode(), input);
        let slow = |contribution: &Contribution| matches!(contribution.source(), Source::Beacon(beacon) if beacon.iterations_log2() > 8);
        if transcript.contributions().iter().any(slow) {
            return; // up to two minutes of hashing, by design
        }
    }
    let file = |index: usize| if index == pick { &input } else { &valid.files[index] };
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let accepted = if phase == Phase::One {
        Phase1::verify(file(0), file(1), &mut rng, SILENT).is_ok()
    } else {
        let relation = Relation::new(&valid.matrices).expect("relation");
        let files = Phase2Files { prepared: file(2), transcript: file(3), state: file(4) };
        Phase2::verify(&valid.phase1, (&relation, 1), files, &mut rng, SILENT).is_ok()
    };
    // A transcript without contributions goes with no state here, so nothing else can be accepted.
    assert!(!accepted || input == valid.files[pick]);
});
