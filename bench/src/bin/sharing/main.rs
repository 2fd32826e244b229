//! Sharing: keys, sealing and opening under a policy of ten attributes, and the steps of delegation.
//!
//! `cargo run --release -p ward-bench --bin sharing`. CPU milliseconds of one thread, the least of five runs; beside them the
//! group operations that the scheme's equations ask for, at the price that one of each has here ([`groups`]), and the ratio.

mod groups;

use std::collections::BTreeSet;
use std::process::ExitCode;

use groups::{Count, Prices};
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

/// The same, beside what its group operations cost.
fn beside(what: &str, seconds: f64, (prices, count): (&Prices, &Count)) {
    let least = prices.of(count);
    println!(
        "{what:<48} {:>9.1} ms  {:>9.1} ms of group operations, ratio {:.2}",
        seconds * 1e3,
        least * 1e3,
        seconds / least
    );
}

/// Sealing under `rows` attributes and `columns` columns: a point of `G1` is two products of hashes, three to a row and a column.
fn sealing(rows: u32, columns: u32) -> Count {
    let points = 6 * (rows + columns);
    Count { g1: points, hash_g1: points, g2: 3, target: 2, ..Count::default() }
}

fn policies(prices: &Prices) -> Result<()> {
    let mut rng = chacha20::ChaCha20Rng::from_seed([1; 32]);
    let names: Vec<String> = (0..ATTRIBUTES).map(|i| format!("attribute:{i}")).collect();
    let attributes = names.iter().map(|name| Attribute::new(name));
    let attributes = attributes.collect::<std::result::Result<BTreeSet<_>, _>>()?;
    let (public, master) = fame::setup(&mut rng);
    line("authority: set up", least_seconds(ROUNDS, || fame::setup(&mut rng)));
    let key = sealed::issue(&master, &attributes, &mut rng)?;
    // Four copies of each attribute and sk': nine products in G1 and six hashes each.
    let components = 4 * ATTRIBUTES as u32 + 1;
    let issue = Count { g1: 9 * components, hash_g1: 6 * components, g2: 3, ..Count::default() };
    beside(
        "authority: a key of 10 attributes",
        least_seconds(ROUNDS, || sealed::issue(&master, &attributes, &mut rng)),
        (prices, &issue),
    );
    line("holder: decode that key", least_seconds(ROUNDS, || fame::UserKey::from_bytes(&key.to_bytes())));
    for operator in [" and ", " or "] {
        let policy: Policy = names.join(operator).parse()?;
        let what = |step: &str| format!("{step}, 10 attributes joined by{operator}");
        let message = sealed::seal(&public, &policy, b"", &[7; 32], &mut rng)?;
        let bytes = message.to_bytes();
        let columns = if operator == " and " { ATTRIBUTES as u32 } else { 1 };
        let seal = sealing(ATTRIBUTES as u32, columns);
        beside(
            &what("seal"),
            least_seconds(ROUNDS, || sealed::seal(&public, &policy, b"", &[7; 32], &mut rng)),
            (prices, &seal),
        );
        line(&what("decode"), least_seconds(ROUNDS, || Sealed::from_bytes(&bytes)));
        message.open(&public, &key)?;
        // A product of six pairings, and everything sealed again.
        let open = Count { products_6: 1, ..seal };
        beside(&what("open"), least_seconds(ROUNDS, || message.open(&public, &key)), (prices, &open));
        println!("{:<48} {:>9} bytes", what("sealed"), bytes.len());
    }
    println!("{:<48} {:>9} bytes", "a key of 10 attributes", key.to_bytes().len());
    Ok(())
}

fn delegation(prices: &Prices) -> Result<()> {
    let mut rng = chacha20::ChaCha20Rng::from_seed([2; 32]);
    let (north, south) = (SecretKey::generate(&mut rng), SecretKey::generate(&mut rng));
    let grant = north.grant(south.public(), &mut rng)?;
    line("house: grant", least_seconds(ROUNDS, || north.grant(south.public(), &mut rng)));
    let second = Second::seal(north.public(), b"", &[7; 32], &mut rng)?;
    // u^C1 v: two hashes and a product in G2; the check of a message is that and two pairings.
    let seal = Count { g1: 1, g2: 2, hash_g2: 2, target: 1, ..Count::default() };
    let check = Count { g2: 1, hash_g2: 2, products_2: 1, ..Count::default() };
    beside(
        "seal for a house",
        least_seconds(ROUNDS, || Second::seal(north.public(), b"", &[7; 32], &mut rng)),
        (prices, &seal),
    );
    let open = Count { pairings: 1, target: 2, ..check };
    beside("house: open", least_seconds(ROUNDS, || second.open(&north, &mut rng)), (prices, &open));
    let first = second.turn(&grant, &mut rng)?;
    let turn = Count { g1: 2, g2: 2, ..check };
    beside("proxy: turn over", least_seconds(ROUNDS, || second.turn(&grant, &mut rng)), (prices, &turn));
    first.open(&south, &mut rng)?;
    let open = Count { products_2: 2, ..open };
    beside("other house: open", least_seconds(ROUNDS, || first.open(&south, &mut rng)), (prices, &open));
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
    let prices = Prices::measure()?;
    prices.print();
    policies(&prices)?;
    delegation(&prices)
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
