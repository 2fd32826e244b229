//! Randomness of tests: everything from one printed seed.

pub(crate) mod stock;

use chacha20::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::Element;
use crate::groth16::KeyParts;
use crate::r1cs::Matrices;

/// A generator from a seed.
pub(crate) fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// Asserts that the builder's variables satisfy its constraints, and that no variable can be changed alone: one
/// that could would be free for the prover to choose.
pub(crate) fn assert_bound(builder: crate::r1cs::Builder) {
    let (matrices, variables) = builder.finish();
    let variables = variables.expose().clone();
    assert_eq!(matrices.first_unsatisfied(&variables), None);
    let free = free_variables(&matrices, &variables);
    assert!(free.is_empty(), "free variables: {free:?}");
}

/// The variables that can be changed alone without breaking a constraint.
pub(crate) fn free_variables(matrices: &Matrices, variables: &[Element]) -> Vec<usize> {
    let products = [&matrices.a, &matrices.b, &matrices.c].map(|matrix| matrices.product(matrix, variables));
    let mut uses = vec![Vec::new(); variables.len()];
    for (at, matrix) in [&matrices.a, &matrices.b, &matrices.c].into_iter().enumerate() {
        for (row, entries) in matrices.rows(matrix).enumerate() {
            for (column, coefficient) in entries {
                uses[column].push((row, at, coefficient));
            }
        }
    }
    let change = Element::from(0x5eed_u64);
    let broken = |uses: &Vec<(usize, usize, Element)>| {
        let mut rows: std::collections::BTreeMap<usize, [Element; 3]> = std::collections::BTreeMap::new();
        for &(row, at, coefficient) in uses {
            let values = rows.entry(row).or_insert_with(|| std::array::from_fn(|m| products[m][row]));
            values[at] += coefficient * change;
        }
        rows.values().any(|[a, b, c]| *a * b != *c)
    };
    (1..variables.len()).filter(|&variable| !broken(&uses[variable])).collect()
}
