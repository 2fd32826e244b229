//! The shared suite: a backend equals the reference operation by operation.

use super::{Backend, ReferenceBackend};
use crate::digits::DigitMap;
use crate::poly::{Coefficients, Evaluations, FixedPoly, Poly};
use crate::ring::Ring;
use crate::sampling::{expand, uniform_digits, uniform_poly};

/// Runs every operation of `backend` and of [`ReferenceBackend`] on the same random batches of `count`
/// polynomials and names the first operation whose bits differ.
///
/// Called by the tests of every backend, this package's own and those of others.
///
/// # Errors
/// The name of the operation.
pub fn check_backend(
    backend: &dyn Backend,
    ring: &Ring,
    count: usize,
    seed: [u8; 32],
) -> Result<(), &'static str> {
    let mut rng = expand(&seed, 0);
    let mut batch = || -> Vec<u32> {
        let extremes = Poly::<Coefficients>::from_residues(ring, vec![u32::MAX; ring.residues()]);
        let mut all: Vec<u32> =
            (1..count).flat_map(|_| uniform_poly(&mut rng, ring).residues().to_vec()).collect();
        all.extend_from_slice(extremes.residues());
        all
    };
    let (a, b) = (batch(), batch());
    let fixed: Poly<Evaluations> = Poly::from_residues(ring, b[..ring.residues()].to_vec());
    let fixed = FixedPoly::new(ring, fixed);
    let inputs: Vec<Vec<u32>> = (0..70).map(|i| if i % 2 == 0 { a.clone() } else { b.clone() }).collect();
    let inputs: Vec<&[u32]> = inputs.iter().map(Vec::as_slice).collect();
    let affine: Vec<(u32, u32)> = ring.moduli().map(|m| (m.value() - 1, m.value() / 2)).collect();
    let map = DigitMap::new(ring, 7, &affine).map_err(|_| "digit map")?;
    let mut planes = vec![0; count * 7 * ring.degree()];
    for planes in planes.chunks_exact_mut(7 * ring.degree()) {
        uniform_digits(&mut expand(&seed, 1), 7 * 27, planes);
    }
    type Operation<'a> = Box<dyn Fn(&dyn Backend, &mut Vec<u32>) + 'a>;
    let operations: [(&'static str, Operation<'_>); 11] = [
        ("forward", Box::new(|k, x| k.forward(ring, x))),
        ("inverse", Box::new(|k, x| k.inverse(ring, x))),
        ("add", Box::new(|k, x| k.add(ring, x, &b))),
        ("sub", Box::new(|k, x| k.sub(ring, x, &b))),
        ("neg", Box::new(|k, x| k.neg(ring, x))),
        ("mul", Box::new(|k, x| k.mul(ring, x, &b))),
        ("mul_fixed", Box::new(|k, x| k.mul_fixed(ring, x, &fixed))),
        ("mul_fixed_add", Box::new(|k, x| k.mul_fixed_add(ring, x, &b, &fixed))),
        ("sum", Box::new(|k, x| (1..inputs.len()).step_by(23).for_each(|i| k.sum(ring, x, &inputs[..i])))),
        (
            "accumulate",
            Box::new(|k, x| {
                let mut pending = 1;
                for i in 0..20 {
                    pending = k.accumulate(ring, x, pending, &inputs[..i]);
                }
                k.reduce(ring, x);
            }),
        ),
        ("digits_add", Box::new(|k, x| k.digits_add(ring, x, &planes, &map))),
    ];
    for (name, run) in &operations {
        let (mut ours, mut expected) = (a.clone(), a.clone());
        run(backend, &mut ours);
        run(&ReferenceBackend, &mut expected);
        if ours != expected {
            return Err(name);
        }
    }
    Ok(())
}
