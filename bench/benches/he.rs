//! Criterion benches of the kernels and of one ciphertext's life.

use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use ward_math::sampling::{expand, uniform_poly};
use ward_math::{Backend, CpuBackend, Ring, Secret};
use ward_protocols::he::*;

fn transforms(c: &mut Criterion) {
    for degree in [4096, 8192, 16384] {
        let ring = Ring::new(degree, 1).expect("ring");
        let mut data = uniform_poly(&mut expand(&[1; 32], 0), &ring).residues().to_vec();
        c.bench_function(&format!("ntt/forward/{degree}"), |b| {
            b.iter(|| CpuBackend::SERIAL.forward(&ring, black_box(&mut data)));
        });
        c.bench_function(&format!("ntt/inverse/{degree}"), |b| {
            b.iter(|| CpuBackend::SERIAL.inverse(&ring, black_box(&mut data)));
        });
    }
}

fn ciphertext(c: &mut Criterion) {
    for profile in Profile::ALL {
        let params = Parameters::new(profile, 3).expect("parameters");
        let receiver = ReceiverSecret::from_seed(&params, &Secret::new([1; 32]));
        let key = receiver.public_key(&params);
        let share = SecretKeyShare::from_seed(&params, &Secret::new([2; 32])).active_all(&params);
        let plaintext = Plaintext::zero(&params);
        let mut rng = expand(&[3; 32], 0);
        let one = vec![encrypt(&params, &key, &plaintext, &mut rng)];
        let c1s = vec![one[0].c1().clone()];
        let name = |what: &str| format!("he/{what}/{}", profile.name());
        c.bench_function(&name("encrypt"), |b| b.iter(|| encrypt(&params, &key, &plaintext, &mut rng)));
        c.bench_function(&name("key-switch"), |b| {
            b.iter(|| key_switch_share(&params, &share, &c1s, &key, &mut rng));
        });
        c.bench_function(&name("decrypt"), |b| b.iter(|| decrypt(&params, &receiver, &one)));
    }
}

criterion_group!(benches, transforms, ciphertext);
criterion_main!(benches);
