//! A proof of `eligibility/v1`: made, verified alone, verified among a hundred.

use std::path::Path;

use chacha20::ChaCha20Rng;
use rand_core::SeedableRng;
use ward_circuits::eligibility::Eligibility;
use ward_circuits::field::to_bytes;
use ward_circuits::groth16::setup::insecure_single_party_parts;
use ward_circuits::groth16::{KeyParts, Presented, ProvingKey};
use ward_circuits::r1cs::{Builder, Matrices};
use ward_circuits::{ConstrainedStatement, constraints};

use crate::stock::Stock;
use crate::{Result, least, line, once, peak_mb};

const PROOFS: usize = 5;
const SINGLES: usize = 20;
const BATCH: usize = 100;

/// The same key in every process of a run.
fn parts_and_matrices() -> (Matrices, KeyParts) {
    let (matrices, _) = constraints::<Eligibility>();
    let parts = parts_of(&matrices);
    (matrices, parts)
}

/// The key of these constraints.
pub fn parts_of(matrices: &Matrices) -> KeyParts {
    insecure_single_party_parts(matrices, &mut ChaCha20Rng::seed_from_u64(1))
}

/// Writes the key's file: in a process of its own, because setting up takes more memory than proving.
pub fn write_key(path: &Path) -> Result<()> {
    let (matrices, parts) = parts_and_matrices();
    let (_, file) = ProvingKey::<Eligibility>::write(&matrices, &parts)?;
    Ok(std::fs::write(path, file)?)
}

fn key_file() -> Result<Vec<u8>> {
    let path = std::env::temp_dir().join(format!("ward-zk-{}.key", std::process::id()));
    let program = std::env::current_exe()?;
    let status = std::process::Command::new(program).arg("--write-key").arg(&path).status()?;
    if !status.success() {
        return Err("the key was not written".into());
    }
    let file = std::fs::read(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

/// Measures, ours first: what comes after it does not count in its memory.
pub fn measure() -> Result<()> {
    let file = key_file()?;
    let rng = &mut ChaCha20Rng::seed_from_u64(2);
    let (public, witness) = Eligibility::example();
    let (hash, validated) = once(|| ProvingKey::<Eligibility>::validate(&file));
    let hash = hash?;
    let opened = least(PROOFS, || ProvingKey::<Eligibility>::open(&file, hash).map(|_| ()));
    let key = ProvingKey::<Eligibility>::open(&file, hash)?;
    let before = peak_mb();
    let proved = least(PROOFS, || key.prove(&public, &witness, rng).map(|_| ()));
    let peak = peak_mb();
    let proof = key.prove(&public, &witness, rng)?.to_bytes();
    let elements = Eligibility::public_inputs(&public);
    let variables = least(PROOFS, || {
        let (mut builder, nums) = Builder::assignment(&elements, 30_000);
        Eligibility::synthesize(&mut builder, &nums, &public, &witness);
        builder.into_variables()
    });
    let inputs: Vec<u8> = elements.iter().flat_map(to_bytes).collect();
    let verifying = key.verifying_key();
    let presented = Presented { key: verifying.id(), inputs: &inputs, proof: &proof };
    verifying.verify(public.clone(), &presented)?;
    let verified = least(SINGLES, || verifying.verify(public.clone(), &presented).map(|_| ()));
    let batch = || (0..BATCH).map(|_| (public.clone(), presented)).collect::<Vec<_>>();
    verifying.verify_batch(batch(), rng)?;
    let batched = least(PROOFS, || verifying.verify_batch(batch(), rng).map(|_| ()));

    let (matrices, parts) = parts_and_matrices();
    let (mut builder, nums) = Builder::shape(&elements);
    Eligibility::synthesize(&mut builder, &nums, &public, &witness);
    let (recorded, assignment) = builder.finish();
    let stock = Stock::new(&recorded, assignment.expose(), parts);
    let stock_proof = stock.prove()?;
    let stock_proved = least(PROOFS, || stock.prove());
    stock.prove_cached()?;
    let stock_cached = least(PROOFS, || stock.prove_cached());
    if !stock.verify(&stock_proof, &elements) {
        return Err("the proof of ark-groth16 does not hold".into());
    }
    let stock_verified = least(SINGLES, || stock.verify(&stock_proof, &elements));

    let threads = rayon::current_num_threads();
    println!(
        "eligibility/v1: {} constraints, {} variables, {threads} threads",
        matrices.constraints,
        matrices.variables()
    );
    line("prove", proved, Some(stock_proved));
    line("  variables of it", variables, None);
    line("prove, ark-groth16", stock_proved, None);
    line("prove, ark-groth16, matrices cached", stock_cached, Some(stock_proved));
    line("verify", verified, Some(stock_verified));
    line("verify, ark-groth16", stock_verified, None);
    line("verify a batch of 100", batched, None);
    line("open a key", opened, None);
    line("validate a key, once", validated, None);
    println!("proof {} bytes, key {} MB", proof.len(), file.len() / 1_000_000);
    println!("peak memory to prove {peak} MB, the key's file in it ({before} MB before)\n");
    Ok(())
}
