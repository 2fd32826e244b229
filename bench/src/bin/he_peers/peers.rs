//! The peers, on the same values, thread and clock.

use std::error::Error;
use std::sync::Arc;

use fhe::bfv::{BfvParametersBuilder, Ciphertext, Encoding, Plaintext, PublicKey, SecretKey};
use fhe::mbfv::PublicKeySwitchShare;
use fhe_traits::{FheEncoder, FheEncrypter, Serialize};
use rand09::SeedableRng;
use ward_bench::cpu::least_seconds;

use super::{LISTS, VALUES};

const DEGREE: usize = 8192;

/// `tfhe-ntt` on the same residues.
pub fn transform(degree: usize, residues: &[u32]) {
    let Some(plan) = tfhe_ntt::prime32::Plan::try_new(degree, ward_math::modulus::PRIMES[0]) else { return };
    let mut data = residues.to_vec();
    let forward = least_seconds(2000, || plan.fwd(&mut data));
    let inverse = least_seconds(2000, || plan.inv(&mut data));
    println!("  tfhe-ntt N={degree}: forward {:.2} us, inverse {:.2} us", forward * 1e6, inverse * 1e6);
}

/// `fhe` at N = 8192 with its 218-bit modulus and one value to a coefficient, the most it packs.
pub fn run() {
    if let Err(e) = fhe() {
        eprintln!("fhe: {e}");
    }
}

fn fhe() -> Result<(), Box<dyn Error>> {
    let params = BfvParametersBuilder::new()
        .set_degree(DEGREE)
        .set_plaintext_modulus(1 << 40)
        .set_moduli_sizes(&[43, 43, 44, 44, 44])
        .build_arc()?;
    let mut rng = rand09::rngs::StdRng::seed_from_u64(1);
    let secret = SecretKey::random(&params, &mut rng);
    let public = PublicKey::new(&secret, &mut rng);
    let values: Vec<u64> = (0..VALUES as u64).map(|i| (i * 7919) % (1 << 32)).collect();
    let plaintexts = values
        .chunks(DEGREE)
        .map(|chunk| Plaintext::try_encode(chunk, Encoding::poly(), &params))
        .collect::<Result<Vec<_>, _>>()?;
    let mut encrypt = || -> Result<Vec<Arc<Ciphertext>>, fhe::Error> {
        plaintexts.iter().map(|p| public.try_encrypt(p, &mut rng).map(Arc::new)).collect()
    };
    let encrypt_s = least_seconds(3, &mut encrypt);
    let lists = (0..LISTS).map(|_| encrypt()).collect::<Result<Vec<_>, _>>()?;
    let sum_s = least_seconds(3, || {
        let mut sum: Vec<Ciphertext> = lists[0].iter().map(|c| c.as_ref().clone()).collect();
        for list in &lists[1..] {
            sum.iter_mut().zip(list).for_each(|(s, c)| *s += c.as_ref());
        }
        sum
    });
    let switch_s = least_seconds(3, || -> Result<Vec<_>, fhe::Error> {
        lists[0].iter().map(|c| PublicKeySwitchShare::new(&secret, &public, c, &mut rng)).collect()
    });
    let bytes = lists[0][0].to_bytes().len();
    println!(
        "fhe 0.1 N={DEGREE}, log2 Q = 218, log2 t = 40, {} ciphertexts for {VALUES} values",
        lists[0].len()
    );
    println!("  encrypt          {encrypt_s:.4} s  {:.1} M values/s", VALUES as f64 / encrypt_s / 1e6);
    println!("  sum {LISTS} x 1M      {sum_s:.4} s");
    println!("  key-switch share {switch_s:.4} s (no smudging)");
    println!(
        "  wire             {bytes} bytes a ciphertext, {:.1} a value",
        (bytes * lists[0].len()) as f64 / VALUES as f64
    );
    Ok(())
}
