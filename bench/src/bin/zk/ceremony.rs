//! Both phases of the ceremony at 2^15, from the first contribution to a key that is verified from its files.

use chacha20::ChaCha20Rng;
use rand_core::SeedableRng;
use ward_circuits::ceremony::{Beacon, Contributor, Phase1, Phase2, Phase2Files, Relation, SILENT};
use ward_circuits::constraints;
use ward_circuits::eligibility::Eligibility;

use crate::{Result, line, once};

const LOG2: u8 = 15;
const MB: f64 = 1e6;

/// Measures each step once: they take seconds.
pub fn measure() -> Result<()> {
    let rng = &mut ChaCha20Rng::seed_from_u64(3);
    let beacon = Beacon::new(b"a public value of the bench", 10)?;
    let who = Contributor::new("north", [7; 32])?;
    let begun = Phase1::begin("bench", LOG2)?;
    let (first, contributed) = once(|| begun.contribute(&who, rng, b"", SILENT));
    let first = first?;
    let files = (first.transcript().encode(), first.encode_state());
    let (checked, verified) = once(|| Phase1::verify(&files.0, &files.1, rng, SILENT));
    println!("ceremony, 2^{LOG2}: state of phase 1 {:.1} MB", files.1.len() as f64 / MB);
    line("phase 1, contribute", contributed, None);
    line("phase 1, verify", verified, None);

    let closed = checked?.close(&beacon, SILENT)?;
    let (matrices, _) = constraints::<Eligibility>();
    let relation = Relation::new(&matrices)?;
    let (begun, prepared) = once(|| Phase2::begin("ward/eligibility/1", &closed, &relation, 1, SILENT));
    line("phase 2, prepare, once", prepared, None);
    let begun = begun?;
    let (second, contributed) = once(|| begun.contribute(&who, rng, b"", SILENT));
    let second = second?;
    let (transcript, state) = (second.transcript().encode(), second.encode_state());
    let (next, verified) = once(|| begun.verify_next(&transcript, &state, rng, SILENT));
    next?;
    line("phase 2, contribute", contributed, None);
    line("phase 2, verify the next", verified, None);

    let done = second.close(&beacon, SILENT)?;
    let (prepared, transcript, state) =
        (done.encode_prepared(), done.transcript().encode(), done.encode_state());
    let files = Phase2Files { prepared: &prepared, transcript: &transcript, state: &state };
    let (whole, verified) = once(|| Phase2::verify(&closed, (&relation, 1), files, rng, SILENT));
    line("phase 2, verify from the files", verified, None);
    whole?.finish(1)?;
    println!(
        "state of phase 2 {:.1} MB, prepared key {:.1} MB",
        state.len() as f64 / MB,
        prepared.len() as f64 / MB
    );
    Ok(())
}
