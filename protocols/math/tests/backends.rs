//! Every CPU backend equals the reference, and the reference equals schoolbook arithmetic.

use num_bigint::BigUint;
use proptest::prelude::*;
use ward_math::backend::check_backend;
use ward_math::sampling::{expand, uniform_poly};
use ward_math::{Backend, Coefficients, CpuBackend, Poly, ReferenceBackend, Ring};

#[test]
fn cpu_backends_equal_the_reference_operation_by_operation() {
    for (degree, limbs) in [(64, 1), (128, 3), (256, 16), (4096, 4), (8192, 8), (16384, 16)] {
        let ring = Ring::new(degree, limbs).expect("ring");
        for backend in [CpuBackend::SERIAL, CpuBackend::PARALLEL] {
            assert_eq!(check_backend(&backend, &ring, 2, [degree as u8; 32]), Ok(()), "{degree} {limbs}");
        }
    }
}

#[test]
fn rings_out_of_range_are_refused() {
    for (degree, limbs) in [(0, 1), (32, 1), (100, 1), (32768, 1), (64, 0), (64, 17)] {
        assert!(Ring::new(degree, limbs).is_err());
    }
}

fn schoolbook(q: u32, a: &[u32], b: &[u32]) -> Vec<u32> {
    let (n, q) = (a.len(), u64::from(q));
    let mut out = vec![0u64; n];
    for (i, &x) in a.iter().enumerate() {
        for (j, &y) in b.iter().enumerate() {
            let p = u64::from(x) * u64::from(y) % q;
            let k = (i + j) % n;
            out[k] = if i + j < n { (out[k] + p) % q } else { (out[k] + q - p) % q };
        }
    }
    out.into_iter().map(|x| x as u32).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn product_is_negacyclic(seed in any::<[u8; 32]>(), log_degree in 6u32..9) {
        let ring = Ring::new(1 << log_degree, 2).expect("ring");
        let n = ring.degree();
        let a = uniform_poly(&mut expand(&seed, 0), &ring).residues().to_vec();
        let b = uniform_poly(&mut expand(&seed, 1), &ring).residues().to_vec();
        let expected: Vec<u32> = ring
            .moduli()
            .enumerate()
            .flat_map(|(l, m)| schoolbook(m.value(), &a[l * n..(l + 1) * n], &b[l * n..(l + 1) * n]))
            .collect();
        for backend in [&CpuBackend::SERIAL as &dyn Backend, &ReferenceBackend] {
            let (mut x, mut y) = (a.clone(), b.clone());
            backend.forward(&ring, &mut x);
            backend.forward(&ring, &mut y);
            backend.mul(&ring, &mut x, &y);
            backend.inverse(&ring, &mut x);
            prop_assert_eq!(&x, &expected);
        }
    }

    #[test]
    fn transform_and_back_is_the_identity(seed in any::<[u8; 32]>(), log_degree in 6u32..15) {
        let ring = Ring::new(1 << log_degree, 2).expect("ring");
        let a = uniform_poly(&mut expand(&seed, 0), &ring);
        let there = a.clone().into_coefficients(&ring, &CpuBackend::SERIAL);
        prop_assert!(there.into_evaluations(&ring, &CpuBackend::SERIAL) == a);
    }

    #[test]
    fn digit_maps_match_big_integers(bits in 1u32..400, seed in any::<[u8; 32]>(), scale in any::<u32>(), offset in any::<u32>()) {
        use ward_math::digits::{DigitMap, digits_for};
        let ring = Ring::new(64, 3).expect("ring");
        let d = digits_for(bits);
        let mut planes = vec![0; 64 * d];
        ward_math::sampling::uniform_digits(&mut expand(&seed, 0), bits, &mut planes);
        let map = DigitMap::new(&ring, d, &[(scale, offset); 3]).expect("map");
        let mut acc = Poly::<Coefficients>::zero(&ring);
        CpuBackend::SERIAL.digits_add(&ring, acc.residues_mut(), &planes, &map);
        for k in 0..64 {
            let x = (0..d).rev().fold(BigUint::ZERO, |v, j| (v << 27u32) + planes[j * 64 + k]);
            prop_assert!(x.bits() <= u64::from(bits));
            let y = x * scale + offset;
            for (l, m) in ring.moduli().enumerate() {
                prop_assert_eq!(BigUint::from(acc.residues()[l * 64 + k]), &y % m.value());
            }
        }
    }
}
