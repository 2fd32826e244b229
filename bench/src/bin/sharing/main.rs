//! Sharing: keys, sealing and opening under a policy of ten attributes, and the steps of delegation.
//!
//! `cargo run --release -p ward-bench --bin sharing`. CPU milliseconds of one thread, the least of five runs.

use std::collections::BTreeSet;
use std::process::ExitCode;

use rand_core::SeedableRng;
use ward_bench::cpu::least_seconds;
use ward_protocols::sharing::delegation::{First, Second, SecretKey};
use ward_protocols::sharing::sealed::{self, Sealed};
use ward_protocols::sharing::{Attribute, Policy, fame};

/// What goes wrong ends the run, in words.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const ATTRIBUTES: usize = 10;
const ROUNDS: usize = 5;

fn line(what: &str, seconds: f64) {
    println!("{what:<48} {:>9.1} ms", seconds * 1e3);
}

fn policies() -> Result<()> {
    let mut rng = chacha20::ChaCha20Rng::from_seed([1; 32]);
    let names: Vec<String> = (0..ATTRIBUTES).map(|i| format!("attribute:{i}")).collect();
    let attributes = names.iter().map(|name| Attribute::new(name));
    let attributes = attributes.collect::<std::result::Result<BTreeSet<_>, _>>()?;
    let (public, master) = fame::setup(&mut rng);
    line("authority: set up", least_seconds(ROUNDS, || fame::setup(&mut rng)));
    let key = sealed::issue(&master, &attributes, &mut rng)?;
    line(
        "authority: a key of 10 attributes",
        least_seconds(ROUNDS, || sealed::issue(&master, &attributes, &mut rng)),
    );
    line("holder: decode that key", least_seconds(ROUNDS, || fame::UserKey::from_bytes(&key.to_bytes())));
    for operator in [" and ", " or "] {
        let policy: Policy = names.join(operator).parse()?;
        let what = |step: &str| format!("{step}, 10 attributes joined by{operator}");
        let message = sealed::seal(&public, &policy, b"", &[7; 32], &mut rng)?;
        let bytes = message.to_bytes();
        line(
            &what("seal"),
            least_seconds(ROUNDS, || sealed::seal(&public, &policy, b"", &[7; 32], &mut rng)),
        );
        line(&what("decode"), least_seconds(ROUNDS, || Sealed::from_bytes(&bytes)));
        message.open(&public, &key)?;
        line(&what("open"), least_seconds(ROUNDS, || message.open(&public, &key)));
        println!("{:<48} {:>9} bytes", what("sealed"), bytes.len());
    }
    println!("{:<48} {:>9} bytes", "a key of 10 attributes", key.to_bytes().len());
    Ok(())
}

fn delegation() -> Result<()> {
    let mut rng = chacha20::ChaCha20Rng::from_seed([2; 32]);
    let (north, south) = (SecretKey::generate(&mut rng), SecretKey::generate(&mut rng));
    let grant = north.grant(south.public(), &mut rng)?;
    line("house: grant", least_seconds(ROUNDS, || north.grant(south.public(), &mut rng)));
    let second = Second::seal(north.public(), b"", &[7; 32], &mut rng)?;
    line("seal for a house", least_seconds(ROUNDS, || Second::seal(north.public(), b"", &[7; 32], &mut rng)));
    line("house: open", least_seconds(ROUNDS, || second.open(&north, &mut rng)));
    let first = second.turn(&grant, &mut rng)?;
    line("proxy: turn over", least_seconds(ROUNDS, || second.turn(&grant, &mut rng)));
    first.open(&south, &mut rng)?;
    line("other house: open", least_seconds(ROUNDS, || first.open(&south, &mut rng)));
    let bytes = first.to_bytes();
    line("other house: decode", least_seconds(ROUNDS, || First::from_bytes(&bytes)));
    println!(
        "{:<48} {:>9} bytes",
        "sealed for a house, turned over",
        format!("{}, {}", second.to_bytes().len(), bytes.len())
    );
    Ok(())
}

fn run() -> Result<()> {
    // One thread, so that its clock sees all the work.
    rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build_global()?;
    policies()?;
    delegation()
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
