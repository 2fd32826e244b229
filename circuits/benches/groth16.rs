//! Proving and verifying eligibility, as a ratio to ark-groth16 on the same constraints and key in the same run.
//!
//! `cargo bench -p ward-circuits --bench groth16`. Other work on the machine moves the wall times, and the CPU times and
//! ratios less. Memory is what the process held at most while the file of the key was in memory and a proof was made.

use std::hint::black_box;
use std::time::{Duration, Instant};

use ark_bls12_381::Bls12_381;
use ark_groth16::{Groth16, prepare_verifying_key};
use ark_relations::gr1cs::{
    ConstraintSynthesizer, ConstraintSystemRef, LinearCombination, Result as Synthesis, Variable,
};
use chacha20::ChaCha20Rng;
use cpu_time::ProcessTime;
use rand_core::SeedableRng;
use ward_circuits::eligibility::Eligibility;
use ward_circuits::field::to_bytes;
use ward_circuits::groth16::setup::insecure_single_party_parts;
use ward_circuits::groth16::{KeyParts, Presented, ProvingKey};
use ward_circuits::r1cs::{Builder, Matrices};
use ward_circuits::{ConstrainedStatement, Element, constraints};

const PROOFS: usize = 5;
const BATCH: usize = 100;

/// Recorded constraints for the constraint system of arkworks.
struct Stock<'a>(&'a Matrices, &'a [Element]);

impl ConstraintSynthesizer<Element> for Stock<'_> {
    fn generate_constraints(self, cs: ConstraintSystemRef<Element>) -> Synthesis<()> {
        let mut variables = vec![Variable::one()];
        for (at, value) in self.1.iter().enumerate().skip(1) {
            let input = at <= self.0.inputs;
            variables.push(if input {
                cs.new_input_variable(|| Ok(*value))?
            } else {
                cs.new_witness_variable(|| Ok(*value))?
            });
        }
        let [a, b, c] = [&self.0.a, &self.0.b, &self.0.c].map(|matrix| self.0.rows(matrix));
        for ((a, b), c) in a.zip(b).zip(c) {
            let [a, b, c] = [a.collect::<Vec<_>>(), b.collect(), c.collect()].map(|row| {
                LinearCombination(row.into_iter().map(|(column, value)| (value, variables[column])).collect())
            });
            cs.enforce_r1cs_constraint(|| a, || b, || c)?;
        }
        Ok(())
    }
}

fn stock_key(parts: KeyParts) -> ark_groth16::ProvingKey<Bls12_381> {
    ark_groth16::ProvingKey {
        vk: ark_groth16::VerifyingKey {
            alpha_g1: parts.alpha_g1,
            beta_g2: parts.beta_g2,
            gamma_g2: parts.gamma_g2,
            delta_g2: parts.delta_g2,
            gamma_abc_g1: parts.inputs_g1,
        },
        beta_g1: parts.beta_g1,
        delta_g1: parts.delta_g1,
        a_query: parts.a_g1,
        b_g1_query: parts.b_g1,
        b_g2_query: parts.b_g2,
        h_query: parts.quotient_g1,
        l_query: parts.witnesses_g1,
    }
}

/// The fastest of several runs: wall time, CPU time of all threads.
fn fastest<T>(times: usize, mut run: impl FnMut() -> T) -> (Duration, Duration) {
    let one = |_| {
        let (wall, cpu) = (Instant::now(), ProcessTime::now());
        black_box(run());
        (wall.elapsed(), cpu.elapsed())
    };
    let all: Vec<(Duration, Duration)> = (0..times).map(one).collect();
    let wall = all.iter().map(|(wall, _)| *wall).min().unwrap_or_default();
    (wall, all.iter().map(|(_, cpu)| *cpu).min().unwrap_or_default())
}

fn line(what: &str, (wall, cpu): (Duration, Duration), stock: Option<(Duration, Duration)>) {
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let ratio = stock.map_or(String::new(), |(_, stock)| format!("{:.2} of stock", ms(cpu) / ms(stock)));
    println!("{what:<28} {:>9.2} ms wall {:>9.2} ms CPU  {ratio}", ms(wall), ms(cpu));
}

/// The most memory that the process held, in MB.
fn peak_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// The key's file, written by another process: setting up takes more memory than proving.
fn key_file() -> std::path::PathBuf {
    let path = std::env::temp_dir().join(format!("ward-bench-{}.key", std::process::id()));
    let program = std::env::current_exe().expect("a running bench has a file");
    let status = std::process::Command::new(program).arg("--write-key").arg(&path).status();
    assert!(status.is_ok_and(|status| status.success()), "the key was not written");
    path
}

fn parts_and_matrices() -> (Matrices, KeyParts) {
    let (matrices, _) = constraints::<Eligibility>();
    let parts = insecure_single_party_parts(&matrices, &mut ChaCha20Rng::seed_from_u64(1));
    (matrices, parts)
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some("--write-key") {
        let (matrices, parts) = parts_and_matrices();
        let (_, file) =
            ProvingKey::<Eligibility>::write(&matrices, &parts).expect("the parts are of the matrices");
        std::fs::write(arguments.next().expect("a path"), file).expect("the key is written");
        return;
    }
    let path = key_file();
    let file = std::fs::read(&path).expect("the key was written");
    std::fs::remove_file(&path).expect("the key is there");
    let rng = &mut ChaCha20Rng::seed_from_u64(2);
    let (public, witness) = Eligibility::example();
    let hash = {
        use sha2::Digest;
        ward_circuits::groth16::FileHash(sha2::Sha256::digest(&file).into())
    };
    let opened = fastest(PROOFS, || ProvingKey::<Eligibility>::open(&file, hash).map(|_| ()));
    let key = ProvingKey::<Eligibility>::open(&file, hash).expect("the key was just written");
    let before = peak_mb();
    let proved = fastest(PROOFS, || key.prove(&public, &witness, rng).map(|_| ()));
    let peak = peak_mb();
    let proof = key.prove(&public, &witness, rng).expect("the example is eligible").to_bytes();
    let inputs: Vec<u8> = Eligibility::public_inputs(&public).iter().flat_map(to_bytes).collect();
    let verifying = key.verifying_key();
    let presented = Presented { key: verifying.id(), inputs: &inputs, proof: &proof };
    let verified = fastest(20, || verifying.verify(public.clone(), &presented).map(|_| ()));
    let batch = || (0..BATCH).map(|_| (public.clone(), presented)).collect::<Vec<_>>();
    let batched = fastest(PROOFS, || verifying.verify_batch(batch(), rng).map(|_| ()));
    let synthesized = fastest(PROOFS, || {
        let elements = Eligibility::public_inputs(&public);
        let (mut builder, nums) = Builder::assignment(&elements, 30_000);
        Eligibility::synthesize(&mut builder, &nums, &public, &witness);
        builder.into_variables()
    });

    let (_, parts) = parts_and_matrices();
    let stock = stock_key(parts);
    let elements = Eligibility::public_inputs(&public);
    let (mut builder, nums) = Builder::shape(&elements);
    Eligibility::synthesize(&mut builder, &nums, &public, &witness);
    let (matrices, variables) = builder.finish();
    let prove = || {
        let circuit = Stock(&matrices, variables.expose());
        Groth16::<Bls12_381>::create_proof_with_reduction(circuit, &stock, 3u64.into(), 4u64.into())
    };
    let stock_proved = fastest(PROOFS, prove);
    let stock_proof = prove().expect("the example is eligible");
    let prepared = prepare_verifying_key(&stock.vk);
    let stock_verified =
        fastest(20, || Groth16::<Bls12_381>::verify_proof(&prepared, &stock_proof, &elements).is_ok());

    let variables = matrices.variables();
    println!(
        "{} constraints, {variables} variables, {} threads",
        matrices.constraints,
        rayon::current_num_threads()
    );
    line("open a key of the file", opened, None);
    line("variables of a proof", synthesized, None);
    line("prove", proved, Some(stock_proved));
    line("prove, ark-groth16", stock_proved, None);
    line("verify", verified, Some(stock_verified));
    line("verify, ark-groth16", stock_verified, None);
    line("verify a batch of 100", batched, None);
    println!("peak memory {peak} MB with the key of {} MB ({before} MB before)", file.len() / 1_000_000);
}
