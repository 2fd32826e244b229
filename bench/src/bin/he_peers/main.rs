//! Ward's homomorphic encryption beside that of its peers: one thread, CPU seconds, least of several runs.
//!
//! `cargo run --release -p ward-bench --bin he-peers` measures Ward; with `--features peers` the same run measures
//! `fhe` (BFV, mbfv) at N = 8192 and `tfhe-ntt` too.

#[cfg(feature = "peers")]
mod peers;

use ward_bench::cpu::least_seconds;
use ward_math::sampling::{expand, uniform_poly};
use ward_math::{Backend, CpuBackend, Ring, Secret};
use ward_protocols::he::*;

const VALUES: usize = 1_000_000;
const LISTS: usize = 10;
/// Ciphertexts that are made, sent on and dropped together, as the engine streams them. Holding all of them at once
/// costs fresh pages from the kernel, 128 for each ciphertext at N = 8192.
const BATCH: usize = 8;

fn main() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    match pool {
        Ok(pool) => pool.install(run),
        Err(e) => eprintln!("no thread pool: {e}"),
    }
}

fn run() {
    println!("kernels: {}", ward_math::cpu_tier());
    transforms();
    for (name, params) in [
        ("ring64 N=8192, 10 parties", Parameters::ring64(Profile::Default8192, 10)),
        ("packed N=8192, 10 parties", Parameters::new(Profile::Default8192, 10)),
        ("packed N=8192, 100 parties", Parameters::new(Profile::Default8192, 100)),
        ("packed N=16384, 10 parties", Parameters::new(Profile::Bulk16384, 10)),
    ] {
        match params {
            Ok(params) => profile(name, &params),
            Err(e) => eprintln!("{name}: {e}"),
        }
    }
    #[cfg(feature = "peers")]
    peers::run();
}

fn transforms() {
    for degree in [4096, 8192, 16384] {
        let Ok(ring) = Ring::new(degree, 1) else { continue };
        let poly = uniform_poly(&mut expand(&[1; 32], 0), &ring);
        let mut data = poly.residues().to_vec();
        let forward = least_seconds(2000, || CpuBackend::SERIAL.forward(&ring, &mut data));
        let inverse = least_seconds(2000, || CpuBackend::SERIAL.inverse(&ring, &mut data));
        println!("ntt N={degree}: forward {:.2} us, inverse {:.2} us", forward * 1e6, inverse * 1e6);
        #[cfg(feature = "peers")]
        peers::transform(degree, poly.residues());
    }
}

/// Bytes a second that one thread reads from a buffer far larger than the caches, in one stream or in ten, whichever
/// is faster.
fn read_bandwidth() -> f64 {
    let buffer = vec![1u64; 40 << 20];
    let sum = |streams: usize| {
        let parts: Vec<&[[u64; 64]]> =
            buffer.chunks_exact(buffer.len() / streams).map(|part| part.as_chunks().0).collect();
        let mut acc = [0u64; 64];
        for i in 0..parts[0].len() {
            for part in &parts {
                acc.iter_mut().zip(&part[i]).for_each(|(a, &x)| *a ^= x);
            }
        }
        acc
    };
    let best = least_seconds(5, || sum(1)).min(least_seconds(5, || sum(10)));
    (buffer.len() * 8) as f64 / best
}

/// Seconds to sum lists in batches, all lists at once; one list after the other; and the bandwidth around the former.
fn sums(params: &Parameters, lists: &[Vec<Ciphertext>]) -> (f64, f64, f64) {
    let count = lists[0].len();
    let slices: Vec<&[Ciphertext]> = lists.iter().map(Vec::as_slice).collect();
    let batches = || (0..count).step_by(BATCH).map(|i| i..count.min(i + BATCH));
    // The bandwidth of a shared machine moves: measured before and after, the better one counts.
    let before = read_bandwidth();
    let together = least_seconds(7, || -> Result<usize, ward_protocols::Error> {
        batches()
            .try_fold(Vec::new(), |spent, range| {
                let part: Vec<&[Ciphertext]> = slices.iter().map(|list| &list[range.clone()]).collect();
                let mut acc = Accumulator::recycle(params, spent);
                acc.add_lists(&part)?;
                Ok(acc.finish())
            })
            .map(|last| last.len())
    });
    let bandwidth = before.max(read_bandwidth());
    let one_by_one = least_seconds(3, || {
        let mut acc = Accumulator::new(params);
        slices.iter().try_for_each(|list| acc.add(list)).map(|()| acc.finish())
    });
    (together, one_by_one, bandwidth)
}

fn profile(name: &str, params: &Parameters) {
    // Values of 32 bits, in slots wide enough for the sum of all parties and a sign.
    let slot = if params.log2_t() == 64 { 64 } else { 33 + params.parties().next_power_of_two().ilog2() };
    let Ok(layout) = Layout::runs(params, &[(slot, VALUES)]) else { return };
    let values: Vec<i128> = (0..VALUES as i128).map(|i| (i * 7919) % (1 << 31) - (1 << 30)).collect();
    let receiver = ReceiverSecret::from_seed(params, &Secret::new([2; 32]));
    let target = receiver.public_key(params);
    let share = SecretKeyShare::from_seed(params, &Secret::new([3; 32])).active_all(params);
    let mut rng = expand(&[4; 32], 0);

    let Ok(plaintexts) = layout.pack(&values) else { return };
    let count = plaintexts.len();
    let pack = least_seconds(3, || layout.pack(&values));
    let encrypt = least_seconds(5, || {
        plaintexts
            .chunks(BATCH)
            .map(|batch| encrypt_all(params, &target, batch, &mut rng).len())
            .sum::<usize>()
    });
    let lists: Vec<Vec<Ciphertext>> =
        (0..LISTS).map(|_| encrypt_all(params, &target, &plaintexts, &mut rng)).collect();
    let (total, one_by_one, bandwidth) = sums(params, &lists);
    let c1s: Vec<C1> = lists[0].iter().map(|c| c.c1().clone()).collect();
    let switch = least_seconds(5, || {
        c1s.chunks(BATCH).map(|b| key_switch_share(params, &share, b, &target, &mut rng).len()).sum::<usize>()
    });
    let decrypt = least_seconds(3, || decrypt(params, &receiver, &lists[0]));
    let bytes = Ciphertext::encode_all(params, &lists[0]);
    let encode = least_seconds(3, || Ciphertext::encode_all(params, &lists[0]));
    let decode = least_seconds(3, || Ciphertext::decode_all(params, &bytes));

    let millions = VALUES as f64 / 1e6;
    let coefficients = (count * params.degree()) as f64;
    let read = (count * LISTS * 2 * params.degree() * params.limbs() * 4) as f64;
    println!(
        "{name}: log2 t = {}, slot {slot} bits, {count} ciphertexts for {VALUES} values",
        params.log2_t()
    );
    println!("  pack            {pack:.4} s");
    println!(
        "  encrypt         {encrypt:.4} s  {:.1} M values/s  {:.1} M coefficients/s  {:.0} us a ciphertext",
        millions / encrypt,
        coefficients / encrypt / 1e6,
        encrypt / count as f64 * 1e6
    );
    println!(
        "  sum {LISTS} x 1M     {total:.4} s  {:.2} GB/s read = {:.0}% of {:.1} GB/s; one list at a time {one_by_one:.4} s",
        read / total / 1e9,
        100.0 * read / total / bandwidth,
        bandwidth / 1e9
    );
    println!("  key-switch share {switch:.4} s");
    println!("  decrypt         {decrypt:.4} s");
    println!("  encode, decode  {encode:.4} s, {decode:.4} s");
    println!(
        "  wire            {} bytes a ciphertext, {:.2} a value, {:.2} for 32 plaintext bits",
        bytes.len() / count,
        bytes.len() as f64 / VALUES as f64,
        32.0 * 27.0 * 2.0 * params.limbs() as f64 / 8.0 / f64::from(params.log2_t())
    );
}
