//! Groth16 proofs for the contracts: arkworks' own prover on a small circuit, in the encoding of EIP-2537.

use ark_bls12_381::{Bls12_381, Fq, Fr, G1Affine, G2Affine};
use ark_ec::AffineRepr;
use ark_ff::{BigInteger, PrimeField, UniformRand};
use ark_groth16::{Groth16, Proof, ProvingKey, VerifyingKey};
use ark_relations::gr1cs::{
    ConstraintSynthesizer, ConstraintSystemRef, LinearCombination, SynthesisError, Variable,
};
use ark_std::rand::{SeedableRng, rngs::StdRng};

/// Knows x and the product of x with every input, whatever the inputs are.
#[derive(Clone)]
pub struct Product {
    pub x: Fr,
    pub inputs: Vec<Fr>,
}

impl ConstraintSynthesizer<Fr> for Product {
    fn generate_constraints(self, cs: ConstraintSystemRef<Fr>) -> Result<(), SynthesisError> {
        let mut value = self.x;
        let mut last = cs.new_witness_variable(|| Ok(self.x))?;
        for input in self.inputs {
            let factor = cs.new_input_variable(|| Ok(input))?;
            value *= input;
            let next = cs.new_witness_variable(|| Ok(value))?;
            cs.enforce_r1cs_constraint(|| lc(last), || lc(factor), || lc(next))?;
            last = next;
        }
        Ok(())
    }
}

fn lc(variable: Variable) -> LinearCombination<Fr> {
    LinearCombination::from(variable)
}

pub fn seeded(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

pub fn setup(count: usize, seed: u64) -> ProvingKey<Bls12_381> {
    let shape = Product { x: Fr::from(1u64), inputs: vec![Fr::from(1u64); count] };
    Groth16::<Bls12_381>::generate_random_parameters_with_reduction(shape, &mut seeded(seed)).unwrap()
}

pub fn prove(key: &ProvingKey<Bls12_381>, inputs: &[[u8; 32]], seed: u64) -> Vec<u8> {
    let inputs = inputs.iter().map(|input| Fr::from_be_bytes_mod_order(input)).collect();
    let statement = Product { x: Fr::from(7u64), inputs };
    let made =
        Groth16::<Bls12_381>::create_random_proof_with_reduction(statement, key, &mut seeded(seed)).unwrap();
    proof(&made)
}

/// 64 bytes, big-endian.
pub fn field(value: &Fq) -> Vec<u8> {
    let bytes = value.into_bigint().to_bytes_be();
    [vec![0; 64 - bytes.len()], bytes].concat()
}

pub fn g1(point: &G1Affine) -> Vec<u8> {
    point.xy().map_or(vec![0; 128], |(x, y)| [field(&x), field(&y)].concat())
}

pub fn g2(point: &G2Affine) -> Vec<u8> {
    point
        .xy()
        .map_or(vec![0; 256], |(x, y)| [field(&x.c0), field(&x.c1), field(&y.c0), field(&y.c1)].concat())
}

fn proof(proof: &Proof<Bls12_381>) -> Vec<u8> {
    [g1(&proof.a), g2(&proof.b), g1(&proof.c)].concat()
}

/// As KeyedCode takes it: alpha, beta, gamma, delta, IC.
pub fn key(key: &VerifyingKey<Bls12_381>) -> Vec<u8> {
    let ic: Vec<u8> = key.gamma_abc_g1.iter().flat_map(g1).collect();
    [g1(&key.alpha_g1), g2(&key.beta_g2), g2(&key.gamma_g2), g2(&key.delta_g2), ic].concat()
}

/// On the curve of G1, outside the subgroup.
pub fn g1_outside(seed: u64) -> G1Affine {
    let mut rng = seeded(seed);
    loop {
        if let Some(point) = G1Affine::get_point_from_x_unchecked(Fq::rand(&mut rng), false)
            && !point.is_in_correct_subgroup_assuming_on_curve()
        {
            return point;
        }
    }
}

/// On the curve of G2, outside the subgroup.
pub fn g2_outside(seed: u64) -> G2Affine {
    let mut rng = seeded(seed);
    loop {
        if let Some(point) = G2Affine::get_point_from_x_unchecked(ark_bls12_381::Fq2::rand(&mut rng), false)
            && !point.is_in_correct_subgroup_assuming_on_curve()
        {
            return point;
        }
    }
}
