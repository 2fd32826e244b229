//! What one operation in each group of BLS12-381 costs here: the floor under the schemes, by arkworks' own functions.

use std::hint::black_box;

use ark_bls12_381::{Bls12_381, Fr, G1Affine, G1Projective, G2Affine, G2Projective, g1, g2};
use ark_ec::hashing::HashToCurve;
use ark_ec::hashing::curve_maps::wb::WBMap;
use ark_ec::hashing::map_to_curve_hasher::MapToCurveBasedHasher;
use ark_ec::pairing::{Pairing, PairingOutput};
use ark_ec::{AffineRepr, CurveGroup, PrimeGroup};
use ark_ff::PrimeField;
use ark_ff::field_hashers::DefaultFieldHasher;
use sha2_0_10::Sha256;
use ward_bench::cpu::least_seconds;

type Hasher<G, C> = MapToCurveBasedHasher<G, DefaultFieldHasher<Sha256, 128>, WBMap<C>>;

const ROUNDS: usize = 9;
/// Operations in a round.
const REPEATS: u32 = 20;

/// Operations in the groups.
#[derive(Clone, Copy, Default)]
pub struct Count {
    /// Products with a scalar in `G1`.
    pub g1: u32,
    /// Products with a scalar in `G2`.
    pub g2: u32,
    /// Powers in the target group.
    pub target: u32,
    /// Hashes to `G1`.
    pub hash_g1: u32,
    /// Hashes to `G2`.
    pub hash_g2: u32,
    /// Pairings.
    pub pairings: u32,
    /// Products of two pairings.
    pub products_2: u32,
    /// Products of six pairings.
    pub products_6: u32,
}

/// What each costs, in seconds.
pub struct Prices {
    names: [&'static str; 8],
    seconds: [f64; 8],
}

impl Prices {
    /// Measures them.
    ///
    /// # Errors
    /// When a text does not hash to a curve, which it always does.
    pub fn measure() -> super::Result<Self> {
        let scalar = Fr::from_le_bytes_mod_order(&[0x5b; 32]);
        let (one, two) = (G1Affine::generator(), G2Affine::generator());
        let target = PairingOutput::<Bls12_381>::generator();
        let first = Hasher::<G1Projective, g1::Config>::new(b"bench").map_err(|e| e.to_string())?;
        let second = Hasher::<G2Projective, g2::Config>::new(b"bench").map_err(|e| e.to_string())?;
        let pairs = |count: usize| -> (Vec<G1Affine>, Vec<G2Affine>) {
            let at = |i: usize| Fr::from(i as u64 + 2);
            (0..count).map(|i| ((one * at(i)).into_affine(), (two * at(i)).into_affine())).unzip()
        };
        let product = |count: usize| {
            let (left, right) = pairs(count);
            each(|| Bls12_381::multi_pairing(left.clone(), right.clone()))
        };
        let seconds = [
            each(|| black_box(one) * black_box(scalar)),
            each(|| black_box(two) * black_box(scalar)),
            each(|| black_box(target) * black_box(scalar)),
            each(|| first.hash(black_box(b"attribute")).is_ok()),
            each(|| second.hash(black_box(b"attribute")).is_ok()),
            product(1),
            product(2),
            product(6),
        ];
        let names = [
            "a product with a scalar in G1",
            "a product with a scalar in G2",
            "a power in the target group",
            "a hash to G1",
            "a hash to G2",
            "a pairing",
            "a product of two pairings",
            "a product of six pairings",
        ];
        Ok(Self { names, seconds })
    }

    /// What these operations cost.
    pub fn of(&self, count: &Count) -> f64 {
        let Count { g1, g2, target, hash_g1, hash_g2, pairings, products_2, products_6 } = *count;
        let counts = [g1, g2, target, hash_g1, hash_g2, pairings, products_2, products_6];
        counts.into_iter().zip(self.seconds).map(|(count, seconds)| f64::from(count) * seconds).sum()
    }

    /// Prints them.
    pub fn print(&self) {
        for (name, seconds) in self.names.iter().zip(self.seconds) {
            println!("{name:<48} {:>9.3} ms", seconds * 1e3);
        }
    }
}

fn each<T>(operation: impl Fn() -> T) -> f64 {
    let round = || (0..REPEATS).for_each(|_| drop(black_box(operation())));
    least_seconds(ROUNDS, round) / f64::from(REPEATS)
}
