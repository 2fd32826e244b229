//! What a compute node is given: packages of shares against their commitments, masked sums, and words that were opened.
//! No panic; nothing is taken but what was dealt; what was opened decodes to finite numbers or to nothing.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use ward_math::Secret;
use ward_math::sampling::expand;
use ward_protocols::he::*;
use ward_protocols::mpc::Role;
use ward_protocols::mpc::fixed::floats;
use ward_protocols::mpc::gates::input::{self, Dealt, Shape, Words};
use ward_protocols::mpc::programs::regression::linear::Verdict;
use ward_protocols::mpc::programs::regression::scaling::Scaling;
use ward_protocols::sim::World;

const PLACE: &[u8] = b"fuzz";

/// A sum under encryption, masked by two holders, and what it opens to.
struct Masked {
    params: Parameters,
    sum: Vec<Ciphertext>,
    shares: [Vec<u8>; 2],
    opened: MaskedSum,
}

static DEALT: LazyLock<(Shape, Dealt)> = LazyLock::new(|| {
    let words = Words { ring: (0..5).collect(), bits: (0..3).collect() };
    (words.shape(), input::deal(PLACE, &words, &mut World::new(1).rng()))
});

static MASKED: LazyLock<Masked> = LazyLock::new(|| {
    let params = Parameters::new(Profile::Default8192, 2).expect("parameters");
    let mut rng = expand(&[1; 32], 0);
    let crs = CommonReference::derive(&params, &[], b"fuzz");
    let keys = [3, 4].map(|seed| SecretKeyShare::from_seed(&params, &Secret::new([seed; 32])));
    let public: Vec<_> =
        keys.iter().map(|key| PublicKeyShare::generate(&params, &crs, key, &mut rng)).collect();
    let public = PublicKey::aggregate(&params, &crs, &public).expect("a key");
    let sum = encrypt_all(&params, &public, &[Plaintext::zero(&params)], &mut rng);
    let c1s: Vec<C1> = sum.iter().map(|c| c.c1().clone()).collect();
    let shares = keys.map(|key| {
        let (shares, _) = masked_share(&params, &key.active_all(&params), &c1s, &mut rng).expect("64 bits");
        MaskedShare::encode_all(&params, &shares)
    });
    let given = shares.each_ref().map(|share| MaskedShare::decode_all(&params, share).expect("own share"));
    let c0s: Vec<C0> = sum.iter().map(|c| c.c0().clone()).collect();
    let opened = masked_open(&params, &c0s, &given).expect("all shares");
    Masked { params, sum, shares, opened }
});

/// A part of valid bytes, overwritten; then cut.
fn changed(valid: &[u8], at: [u8; 3], cut: u8, bytes: &[u8]) -> Vec<u8> {
    let mut changed = valid.to_vec();
    let start = (usize::from(at[0]) << 16 | usize::from(at[1]) << 8 | usize::from(at[2])) % changed.len();
    let end = changed.len().min(start + bytes.len());
    changed[start..end].copy_from_slice(&bytes[..end - start]);
    changed.truncate(changed.len() - usize::from(cut).min(changed.len()));
    changed
}

fn packages(role: Role, at: [u8; 3], cut: u8, bytes: &[u8]) {
    let (shape, dealt) = &*DEALT;
    let honest = &dealt.packages[role.index()];
    let package = changed(honest, at, cut, bytes);
    let is_same = package == honest.as_slice();
    assert_eq!(input::take((PLACE, role), *shape, &package, &dealt.commitments).is_ok(), is_same);
    // In another node's place, or at another one, the commitments do not hold.
    assert!(input::take((PLACE, role.next()), *shape, &package, &dealt.commitments).is_err());
    assert!(input::take((b"other", role), *shape, &package, &dealt.commitments).is_err());
}

fn masked(which: usize, at: [u8; 3], cut: u8, bytes: &[u8]) {
    let Masked { params, sum, shares, opened } = &*MASKED;
    let share = changed(&shares[which], at, cut, bytes);
    let Ok(share_of_one) = MaskedShare::decode_all(params, &share) else { return };
    assert_eq!(MaskedShare::encode_all(params, &share_of_one), share);
    let mut given = shares.each_ref().map(|share| MaskedShare::decode_all(params, share).expect("own share"));
    given[which] = share_of_one;
    let c0s: Vec<C0> = sum.iter().map(|c| c.c0().clone()).collect();
    // A holder may shift the sum by a mask of its choice; the other words stay what they are only for the same share.
    if let Ok(words) = masked_open(params, &c0s, &given) {
        assert_eq!(words.words.len(), opened.words.len());
        assert!(share != shares[which] || words == *opened);
    }
}

fn opened(words: &[u64]) {
    if let [mantissa, exponent, least, ..] = words {
        let least = *least as i32;
        assert!(floats::decode(*mantissa, *exponent, least).is_none_or(f64::is_finite));
    }
    let scaling = Scaling::from_bounds(-3.0, 200.0).expect("bounds");
    for covariates in 0..4 {
        let _ = Verdict::decode(&vec![scaling; covariates], scaling, words);
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&[pick, at0, at1, at2, cut], rest)) = data.split_first_chunk::<5>() else { return };
    let at = [at0, at1, at2];
    match pick % 6 {
        role @ 0..3 => packages(Role::ALL[usize::from(role)], at, cut, rest),
        holder @ 3..5 => masked(usize::from(holder - 3), at, cut, rest),
        _ => {
            let words: Vec<u64> =
                rest.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
            opened(&words);
        }
    }
});
