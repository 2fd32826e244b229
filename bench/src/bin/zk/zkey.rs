//! Our key as snarkjs reads one, for the same constraints: `.zkey`, whose sections `zkey_utils.js` of snarkjs writes. Its own
//! set-up over this curve takes longer than all the rest (powers of tau in WebAssembly), and what is compared is proving.
//!
//! Two things are told in another basis. snarkjs takes its roots of unity from another generator of the field: the point
//! that is w^(k j) of ours is its j-th, so constraints change places. And it sums the values of A B - C on the odd points
//! of the doubled domain, where we sum coefficients of the quotient: with g the root of order 2n, H_i = -1/2 times the i-th
//! of the inverse transform of g^(-j) tau^j Z(tau) / delta.

use std::path::Path;

use ark_bls12_381::{Fq, G1Affine, G1Projective, G2Affine};
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::{AdditiveGroup, BigInt, FftField, Field, PrimeField};
use ark_poly::{EvaluationDomain, Radix2EvaluationDomain};
use ward_circuits::Element;
use ward_circuits::groth16::KeyParts;
use ward_circuits::r1cs::{Matrices, SparseMatrix};

use super::export::{element, sections};
use crate::Result;

/// Writes the key.
pub fn write(path: &Path, matrices: &Matrices, parts: &KeyParts) -> Result<()> {
    let size = matrices.domain_size();
    let roots = Roots::new(size)?;
    let bodies = [
        1u32.to_le_bytes().to_vec(),
        header(matrices, parts)?,
        g1(&parts.inputs_g1),
        coefficients(matrices, &roots)?,
        g1(&parts.a_g1),
        g1(&parts.b_g1),
        parts.b_g2.iter().flat_map(g2).collect(),
        g1(&parts.witnesses_g1),
        g1(&odd_points(&parts.quotient_g1, &roots)?),
        // No contributions: one party made it alone.
        vec![0; 68],
    ];
    sections(path, b"zkey", 1, &bodies)
}

/// The domain of snarkjs, as powers of ours.
struct Roots {
    domain: Radix2EvaluationDomain<Element>,
    /// Its first point is ours at this power.
    power: usize,
    /// The inverse of that, modulo the size.
    inverse: usize,
    /// Its root of twice the order.
    doubled: Element,
}

impl Roots {
    fn new(size: usize) -> Result<Self> {
        let domain = Radix2EvaluationDomain::<Element>::new(size).ok_or("no such domain")?;
        // The smallest number that is no square, to the odd part of r - 1.
        let is_square =
            |value: &Element| value.pow(Element::MODULUS_MINUS_ONE_DIV_TWO) == Element::from(1u64);
        let seed =
            (2u64..).map(Element::from).find(|value| !is_square(value)).ok_or("every number is a square")?;
        let largest = seed.pow(Element::TRACE);
        let doublings = Element::TWO_ADICITY - (size.trailing_zeros() + 1);
        let doubled = (0..doublings).fold(largest, |root, _| root.square());
        let first = doubled.square();
        let power = domain.elements().position(|point| point == first).ok_or("no power of ours")?;
        let inverse =
            (1..size).step_by(2).find(|at| at.wrapping_mul(power) % size == 1).ok_or("no inverse")?;
        Ok(Self { domain, power, inverse, doubled })
    }
}

fn fq(value: &Fq) -> Vec<u8> {
    // In Montgomery form, as snarkjs has it.
    value.0.0.iter().flat_map(|limb| limb.to_le_bytes()).collect()
}

fn point(point: &G1Affine) -> Vec<u8> {
    if point.is_zero() { vec![0; 96] } else { [fq(&point.x), fq(&point.y)].concat() }
}

fn g1(points: &[G1Affine]) -> Vec<u8> {
    points.iter().flat_map(point).collect()
}

fn g2(point: &G2Affine) -> Vec<u8> {
    if point.is_zero() {
        return vec![0; 192];
    }
    [&point.x.c0, &point.x.c1, &point.y.c0, &point.y.c1].into_iter().flat_map(fq).collect()
}

fn number<const N: usize>(modulus: BigInt<N>) -> Vec<u8> {
    let bytes: Vec<u8> = modulus.0.iter().flat_map(|limb| limb.to_le_bytes()).collect();
    [&(bytes.len() as u32).to_le_bytes()[..], &bytes].concat()
}

fn header(matrices: &Matrices, parts: &KeyParts) -> Result<Vec<u8>> {
    let mut bytes = [number(Fq::MODULUS), number(Element::MODULUS)].concat();
    for count in [matrices.variables(), matrices.inputs, matrices.domain_size()] {
        bytes.extend(u32::try_from(count)?.to_le_bytes());
    }
    bytes.extend(point(&parts.alpha_g1));
    bytes.extend(point(&parts.beta_g1));
    bytes.extend(g2(&parts.beta_g2));
    bytes.extend(g2(&parts.gamma_g2));
    bytes.extend(point(&parts.delta_g1));
    bytes.extend(g2(&parts.delta_g2));
    Ok(bytes)
}

/// The entries of A and B, each times R^2 for the prover's multiplication.
fn coefficients(matrices: &Matrices, roots: &Roots) -> Result<Vec<u8>> {
    let radix = Element::from(2u64).pow([256u64]);
    let (size, mut count, mut bytes) = (matrices.domain_size(), 0u32, Vec::new());
    let mut entry = |matrix: u32, row: usize, column: usize, value: Element| -> Result<()> {
        let place = row * roots.inverse % size;
        for number in [matrix, u32::try_from(place)?, u32::try_from(column)?] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(element(&(value * radix * radix)));
        count += 1;
        Ok(())
    };
    let of: [(u32, &SparseMatrix); 2] = [(0, &matrices.a), (1, &matrices.b)];
    for (matrix, rows) in of {
        for (row, entries) in matrices.rows(rows).enumerate() {
            for (column, value) in entries {
                entry(matrix, row, column, value)?;
            }
        }
    }
    for input in 0..=matrices.inputs {
        entry(0, matrices.constraints + input, input, Element::from(1u64))?;
    }
    Ok([&count.to_le_bytes()[..], &bytes].concat())
}

/// The points that the values on the odd points of the doubled domain are summed with.
fn odd_points(quotient: &[G1Affine], roots: &Roots) -> Result<Vec<G1Affine>> {
    let step = roots.doubled.inverse().ok_or("a root is zero")?;
    let mut factor = -Element::from(2u64).inverse().ok_or("two is zero")?;
    let mut scaled: Vec<G1Projective> = Vec::with_capacity(quotient.len() + 1);
    for point in quotient {
        scaled.push(*point * factor);
        factor *= step;
    }
    scaled.push(G1Projective::ZERO);
    let size = scaled.len();
    let transformed = roots.domain.ifft(&scaled);
    let ordered: Vec<G1Projective> =
        (0..size).filter_map(|at| transformed.get(at * roots.power % size).copied()).collect();
    Ok(G1Projective::normalize_batch(&ordered))
}
