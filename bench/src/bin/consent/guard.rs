//! What it costs to hold an answer against earlier ones: over the same version of a table, and over another.

use ward_bench::cpu::least_seconds;
use ward_engine::party::local::across::{Sorted, Versions};
use ward_engine::party::local::cohort::{NOWHERE, Partition, Patients, is_too_close};
use ward_engine::records::version::RowTags;

const FLOOR: u64 = 5;
const ROUNDS: usize = 5;

/// Spreads numbers over all 64-bit words, as keyed tags do (the multiplier of splitmix64).
fn tag(number: u64) -> u64 {
    (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23).wrapping_mul(0xBF58_476D_1CE4_E5B9)
}

/// Three rows a patient; every hundredth row is of this version alone.
fn version(rows: u64, number: u64) -> RowTags {
    let row = |at: u64| if at.is_multiple_of(100) { tag(at + (number << 40)) } else { tag(at) };
    RowTags { is_named: true, tags: (0..rows).map(|at| (tag(at / 3), row(at))).collect() }
}

/// Cells of an answer: a group of three for each row, and one row in ten in none.
fn cells(rows: u64, shift: u64) -> Partition {
    let label = |at: u64| if (at + shift).is_multiple_of(10) { NOWHERE } else { (at % 3) as u32 };
    Partition { labels: (0..rows).map(label).collect() }
}

/// Prints the cost of each step.
pub fn guard(rows: usize) {
    let rows = rows as u64;
    let (before, now) = (version(rows, 1), version(rows, 2));
    let patients = Patients::new((0..rows).map(|at| (at / 3) as u32).collect());
    let (kept, new) = (cells(rows, 0), cells(rows, 1));
    let sorted = Sorted::new(&now);
    let versions = Versions::new(&before, &sorted);
    let ms = |seconds: f64| seconds * 1e3;
    println!("differencing guard over {rows} rows:");
    println!("  the rows of now, sorted: {:.1} ms", ms(least_seconds(ROUNDS, || Sorted::new(&now))));
    println!(
        "  an earlier version beside them: {:.1} ms",
        ms(least_seconds(ROUNDS, || Versions::new(&before, &sorted)))
    );
    println!(
        "  an answer against one of an earlier version: {:.2} ms",
        ms(least_seconds(ROUNDS, || versions.is_too_close(&kept, &new, FLOOR)))
    );
    for (name, patients) in [("patients named", Some(&patients)), ("each row another patient", None)] {
        println!(
            "  an answer against one of the same version, {name}: {:.2} ms",
            ms(least_seconds(ROUNDS, || is_too_close(&kept, &new, patients, FLOOR)))
        );
    }
}
