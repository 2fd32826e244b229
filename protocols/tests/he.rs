//! Threshold homomorphic encryption from keys to results.

use proptest::prelude::*;
use ward_math::Secret;
use ward_math::sampling::{Expander, expand};
use ward_protocols::Error;
use ward_protocols::he::*;

/// A study in one process.
struct World {
    params: Parameters,
    secrets: Vec<SecretKeyShare>,
    key: PublicKey,
    receiver: ReceiverSecret,
    target: PublicKey,
    rng: Expander,
}

fn world(params: Parameters, seed: u8) -> World {
    let mut rng = expand(&[seed; 32], 0);
    let nonces: Vec<(String, [u8; 32])> =
        (0..params.parties()).map(|i| (format!("hospital-{i}"), [i as u8; 32])).collect();
    let nonces: Vec<(&str, [u8; 32])> = nonces.iter().map(|(n, v)| (n.as_str(), *v)).collect();
    let crs = CommonReference::derive(&params, &nonces, b"study");
    let secrets: Vec<SecretKeyShare> = (0..params.parties())
        .map(|i| {
            let mut bytes = [seed; 32];
            bytes[..4].copy_from_slice(&i.to_le_bytes());
            SecretKeyShare::from_seed(&params, &Secret::new(bytes))
        })
        .collect();
    let shares: Vec<PublicKeyShare> =
        secrets.iter().map(|s| PublicKeyShare::generate(&params, &crs, s, &mut rng)).collect();
    let key = PublicKey::aggregate(&params, &crs, &shares).expect("key");
    let receiver = ReceiverSecret::from_seed(&params, &Secret::new([seed ^ 0x55; 32]));
    let target = receiver.public_key(&params);
    World { params, secrets, key, receiver, target, rng }
}

impl World {
    fn switch(&mut self, sum: &[Ciphertext], active: &[ActiveKeyShare]) -> Vec<Ciphertext> {
        let c1s: Vec<C1> = sum.iter().map(|c| c.c1().clone()).collect();
        let shares: Vec<_> = active
            .iter()
            .map(|s| key_switch_share(&self.params, s, &c1s, &self.target, &mut self.rng))
            .collect();
        key_switch_combine(&self.params, sum, &shares).expect("combine")
    }

    fn all(&self) -> Vec<ActiveKeyShare> {
        self.secrets.iter().map(|s| s.active_all(&self.params)).collect()
    }

    /// Every party contributes `values(party)`; returns the decrypted sum.
    fn sum(&mut self, layout: &Layout, values: impl Fn(usize) -> Vec<i128>) -> Vec<i128> {
        let mut acc = Accumulator::new(&self.params);
        for party in 0..self.secrets.len() {
            let plaintexts = layout.pack(&values(party)).expect("pack");
            acc.add(&encrypt_all(&self.params, &self.key, &plaintexts, &mut self.rng)).expect("add");
        }
        let sum = acc.finish();
        let all = self.all();
        let switched = self.switch(&sum, &all);
        layout.unpack(&decrypt(&self.params, &self.receiver, &switched).expect("decrypt")).expect("unpack")
    }
}

fn largest(width: u32, parties: usize) -> i128 {
    ((1i128 << (width - 1)) - 1) / parties as i128
}

#[test]
fn sums_are_exact_from_one_to_a_hundred_parties_at_the_bounds() {
    for (profile, parties) in [
        (Profile::Default8192, 1),
        (Profile::Default8192, 2),
        (Profile::Default8192, 5),
        (Profile::Default8192, 100),
        (Profile::Bulk16384, 3),
        (Profile::Study4096, 3),
    ] {
        let params = Parameters::new(profile, parties).expect("parameters");
        let modulus = params.log2_t();
        let n = parties as usize;
        let mut widths = vec![8.min(modulus - 1); 20];
        if modulus > 64 {
            widths.extend((0..9000).map(|i| [40, 13, 52, 24, 7, modulus - 1][i % 6].min(127)));
        } else {
            widths.extend(vec![modulus - 1; 5000]);
        }
        let layout = Layout::new(&params, &widths).expect("layout");
        let mut w = world(params, parties as u8);
        // Extremes of both signs next to each other, and small values that vary by party.
        let value = |party: usize, slot: usize| {
            let top = largest(widths[slot], n);
            match slot % 4 {
                0 => top,
                1 => -top,
                2 => (party as i128 - n as i128 / 2) % (top + 1),
                _ => -((slot as i128 * 7919) % (top + 1)),
            }
        };
        let got = w.sum(&layout, |party| (0..widths.len()).map(|slot| value(party, slot)).collect());
        for (slot, &got) in got.iter().enumerate() {
            let expected: i128 = (0..n).map(|party| value(party, slot)).sum();
            assert_eq!(got, expected, "{profile:?} {parties} slot {slot} width {}", widths[slot]);
        }
    }
}

#[test]
fn ring64_sums_wrap_modulo_two_to_the_64() {
    let params = Parameters::ring64(Profile::Default8192, 3).expect("parameters");
    assert_eq!(params.log2_t(), 64);
    let layout = Layout::runs(&params, &[(64, 10_000)]).expect("layout");
    assert_eq!(layout.ciphertexts(), 2);
    let mut w = world(params, 9);
    let value = |party: usize, slot: usize| {
        i128::from((slot as i64).wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(party as i64) ^ i64::MIN)
    };
    let got = w.sum(&layout, |party| (0..10_000).map(|slot| value(party, slot)).collect());
    for (slot, &got) in got.iter().enumerate() {
        let sum = (0..3).fold(0i64, |acc, party| acc.wrapping_add(value(party, slot) as i64));
        assert_eq!(got, i128::from(sum));
    }
    assert!(matches!(Parameters::ring64(Profile::Study4096, 3), Err(Error::PlaintextSpace { .. })));
}

#[test]
fn modular_slots_tell_zero_from_nonzero() {
    let params = Parameters::new(Profile::Default8192, 3).expect("parameters");
    let t = params.log2_t();
    let layout = Layout::runs(&params, &[(20, 3), (t, 2), (30, 1)]).expect("layout");
    let mut w = world(params.clone(), 4);
    let mut acc = Accumulator::new(&params);
    for party in 0..3 {
        let first = if party == 1 { SlotValue::UniformModT } else { SlotValue::Int(0) };
        let mut values = vec![SlotValue::Int(-5); 3];
        values.extend([first, SlotValue::Int(0), SlotValue::Int(7)]);
        let plaintexts = layout.pack_with(&values, &mut w.rng).expect("pack");
        acc.add(&encrypt_all(&params, &w.key, &plaintexts, &mut w.rng)).expect("add");
    }
    let sum = acc.finish();
    let all = w.all();
    let switched = w.switch(&sum, &all);
    let got = layout.unpack(&decrypt(&params, &w.receiver, &switched).expect("decrypt")).expect("unpack");
    assert_eq!(got[..3], [-15; 3]);
    assert_ne!(got[3], 0);
    assert_eq!(got[4..], [0, 21]);
    let bad = [SlotValue::UniformModT, SlotValue::Int(0), SlotValue::Int(0), SlotValue::Int(0)];
    assert!(layout.pack_with(&[&bad[..], &bad[2..]].concat(), &mut w.rng).is_err());
}

#[test]
fn every_subset_of_enough_parties_decrypts_and_smaller_ones_are_refused() {
    let n = 4;
    let params = Parameters::new(Profile::Default8192, n).expect("parameters");
    let mut w = world(params.clone(), 21);
    let layout = Layout::runs(&params, &[(32, 100)]).expect("layout");
    let values: Vec<i128> = (0..100).map(|i| i * 1000 - 50_000).collect();
    let sum = encrypt_all(&params, &w.key, &layout.pack(&values).expect("pack"), &mut w.rng);
    for t in 1..=n {
        let dealt: Vec<Vec<ShamirShare>> =
            w.secrets.iter().map(|s| shamir_split(&params, s, t, n, &mut w.rng).expect("split")).collect();
        let mine = |j: usize| -> Vec<ShamirShare> {
            let bytes = dealt.iter().map(|d| d[j].encode(&params));
            bytes.map(|b| ShamirShare::decode(&params, b.expose()).expect("decode")).collect()
        };
        let keys: Vec<ThresholdKeyShare> = (0..n as usize)
            .map(|j| {
                let key = shamir_combine(&params, &mine(j)).expect("combine");
                ThresholdKeyShare::decode(&params, key.encode(&params).expose()).expect("decode")
            })
            .collect();
        for mask in 1u32..1 << n {
            let set: Vec<u32> = (1..=n).filter(|j| mask >> (j - 1) & 1 == 1).collect();
            let active: Result<Vec<ActiveKeyShare>, Error> =
                set.iter().map(|&j| keys[j as usize - 1].active(&params, j, &set)).collect();
            if (set.len() as u32) < t {
                assert!(matches!(active, Err(Error::ActiveSet { .. })));
                continue;
            }
            let switched = w.switch(&sum, &active.unwrap_or_else(|e| panic!("{e}")));
            let plain = decrypt(&params, &w.receiver, &switched).expect("decrypt");
            assert_eq!(layout.unpack(&plain).expect("unpack"), values, "{t} of {n}: {set:?}");
        }
        for (me, set) in
            [(2, vec![1, 2, 2, 3, 4]), (1, vec![2, 3, 4]), (1, vec![0, 1, 2, 3]), (1, vec![1, 2, 3, 5])]
        {
            assert!(keys[me as usize - 1].active(&params, me, &set).is_err());
        }
        assert!(keys[0].active(&params, 2, &[1, 2, 3, 4]).is_err());
        assert!(shamir_combine(&params, &mine(0)[..3]).is_err());
        let mut mixed = mine(0);
        mixed.swap_remove(1);
        mixed.extend(mine(1).pop());
        assert!(matches!(shamir_combine(&params, &mixed), Err(Error::MixedShares)));
    }
    for (t, n) in [(0, 4), (5, 4), (2, 5)] {
        assert!(shamir_split(&params, &w.secrets[0], t, n, &mut w.rng).is_err());
    }
}

#[test]
fn wrong_or_missing_shares_are_refused_at_decryption() {
    let params = Parameters::new(Profile::Default8192, 3).expect("parameters");
    let mut w = world(params.clone(), 33);
    let layout = Layout::runs(&params, &[(32, 100)]).expect("layout");
    let sum = encrypt_all(&params, &w.key, &layout.pack(&[7; 100]).expect("pack"), &mut w.rng);
    let all = w.all();
    let good = w.switch(&sum, &all);
    assert!(decrypt(&params, &w.receiver, &good).is_ok());
    let undecryptable = |r: Result<Vec<Plaintext>, Error>| matches!(r, Err(Error::Undecryptable(0)));
    // A share is missing.
    let missing = w.switch(&sum, &all[..2]);
    assert!(undecryptable(decrypt(&params, &w.receiver, &missing)));
    // A share under another secret.
    let other = SecretKeyShare::from_seed(&params, &Secret::new([99; 32])).active_all(&params);
    let wrong = w.switch(&sum, &[w.secrets[0].active_all(&params), w.secrets[1].active_all(&params), other]);
    assert!(undecryptable(decrypt(&params, &w.receiver, &wrong)));
    // Another receiver.
    let stranger = ReceiverSecret::from_seed(&params, &Secret::new([98; 32]));
    assert!(undecryptable(decrypt(&params, &stranger, &good)));
    // Not switched at all.
    assert!(undecryptable(decrypt(&params, &w.receiver, &sum)));
    // One flipped residue in an encoded share.
    let c1s: Vec<C1> = sum.iter().map(|c| c.c1().clone()).collect();
    let mut shares: Vec<_> =
        all.iter().map(|s| key_switch_share(&params, s, &c1s, &w.target, &mut w.rng)).collect();
    let mut bytes = KeySwitchShare::encode_all(&params, &shares[1]);
    bytes[1000] ^= 1;
    shares[1] = KeySwitchShare::decode_all(&params, &bytes).expect("still reduced");
    let tampered = key_switch_combine(&params, &sum, &shares).expect("combine");
    assert!(undecryptable(decrypt(&params, &w.receiver, &tampered)));
    // Wrong counts.
    assert!(matches!(key_switch_combine(&params, &sum, &[]), Err(Error::Count { .. })));
    shares.push(shares[0].clone());
    assert!(matches!(key_switch_combine(&params, &sum, &shares), Err(Error::TooManyTerms { .. })));
    shares.truncate(2);
    shares[0].clear();
    assert!(matches!(key_switch_combine(&params, &sum, &shares), Err(Error::Count { .. })));
}

#[test]
fn accumulators_agree_in_any_order_and_refuse_too_many_or_uneven_lists() {
    let params = Parameters::new(Profile::Default8192, 40).expect("parameters");
    let key = ReceiverSecret::from_seed(&params, &Secret::new([1; 32])).public_key(&params);
    let mut rng = expand(&[2; 32], 0);
    let plain = [Plaintext::zero(&params)];
    let lists: Vec<Vec<Ciphertext>> = (0..40).map(|_| encrypt_all(&params, &key, &plain, &mut rng)).collect();
    let c1s: Vec<Vec<C1>> = lists.iter().map(|l| l.iter().map(|c| c.c1().clone()).collect()).collect();
    let mut one_by_one = Accumulator::new(&params);
    lists.iter().for_each(|l| one_by_one.add(l).expect("add"));
    assert_eq!(one_by_one.terms(), 40);
    assert!(matches!(one_by_one.add(&lists[0]), Err(Error::TooManyTerms { terms: 41, limit: 40 })));
    let mut at_once = Accumulator::new(&params);
    let reversed: Vec<&[Ciphertext]> = lists.iter().rev().map(Vec::as_slice).collect();
    at_once.add_lists(&reversed[..37]).expect("add");
    assert!(matches!(at_once.add(&[]), Err(Error::Count { .. })));
    at_once.add_lists(&reversed[37..]).expect("add");
    let mut halves = C1Accumulator::new(&params);
    c1s.iter().for_each(|l| halves.add(l).expect("add"));
    let (a, b, c) = (one_by_one.finish(), at_once.finish(), halves.finish());
    assert!(a == b && a[0].c1() == &c[0]);
    assert_eq!(Ciphertext::encode_c1(&params, &a), C1::encode_all(&params, &c));
    assert!(Accumulator::new(&params).finish().is_empty());
}

#[test]
fn references_depend_on_every_nonce_and_not_on_order() {
    let params = Parameters::new(Profile::Default8192, 2).expect("parameters");
    let (a, b) = (("a", [1; 32]), ("b", [2; 32]));
    let base = CommonReference::derive(&params, &[a, b], b"s");
    assert_eq!(base, CommonReference::derive(&params, &[b, a], b"s"));
    assert_ne!(base, CommonReference::derive(&params, &[a, ("b", [3; 32])], b"s"));
    assert_ne!(base, CommonReference::derive(&params, &[a, b], b"t"));
    let commitment = commit_nonce(&params, b"s", "a", &[1; 32]);
    assert_eq!(check_nonce(&params, b"s", "a", &[1; 32], &commitment), Ok(()));
    assert_eq!(check_nonce(&params, b"s", "b", &[1; 32], &commitment), Err(Error::Commitment("b".into())));
    assert!(check_nonce(&params, b"s", "a", &[2; 32], &commitment).is_err());
}

#[test]
fn parameters_follow_the_formula_and_refuse_what_does_not_fit() {
    let bits = |profile, parties| Parameters::new(profile, parties).map(|p| p.log2_t());
    assert_eq!(
        [1, 3, 5, 10, 100, 128].map(|n| bits(Profile::Default8192, n).expect("fits")),
        [BITS[0], BITS[1], BITS[2], BITS[3], BITS[4], BITS[5]]
    );
    assert!(bits(Profile::Default8192, 0).is_err() && bits(Profile::Default8192, 129).is_err());
    assert!(matches!(Parameters::with_lambda(Profile::Default8192, 3, 20), Err(Error::Lambda(20))));
    for p in Profile::ALL {
        assert_eq!(Profile::from_name(p.name()), Ok(p));
    }
    assert_eq!(Profile::from_name("nope"), Err(Error::UnknownProfile));
}

/// `log2_t` of the default profile for 1, 3, 5, 10, 100 and 128 parties.
const BITS: [u32; 6] = [120, 117, 116, 114, 107, 106];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn layouts_pack_and_unpack(
        runs in prop::collection::vec((2u32..=127, 0usize..300), 1..8),
        seed in any::<u64>(),
        bulk in any::<bool>(),
    ) {
        let profile = if bulk { Profile::Bulk16384 } else { Profile::Default8192 };
        let params = Parameters::new(profile, 5).expect("parameters");
        let runs: Vec<_> = runs.into_iter().map(|(w, c)| (w.min(params.log2_t() - 1), c)).collect();
        let layout = Layout::runs(&params, &runs).expect("layout");
        let widths: Vec<u32> = runs.iter().flat_map(|&(w, c)| vec![w; c]).collect();
        prop_assert_eq!(layout.slots(), widths.len());
        prop_assert_eq!(layout.ciphertexts(), Layout::new(&params, &widths).expect("layout").ciphertexts());
        let mut state = u128::from(seed) | 1;
        let values: Vec<i128> = widths.iter().map(|&w| {
            state = state.wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645).wrapping_add(99);
            (state as i128 >> (128 - w)).max(-((1i128 << (w - 1)) - 1))
        }).collect();
        let packed = layout.pack(&values).expect("pack");
        prop_assert_eq!(packed.len(), layout.ciphertexts());
        prop_assert_eq!(layout.unpack(&packed).expect("unpack"), values);
    }
}

#[test]
fn layouts_refuse_bad_widths_counts_and_ranges() {
    let params = Parameters::new(Profile::Default8192, 5).expect("parameters");
    for width in [0, 1, params.log2_t() + 1, 500] {
        assert!(matches!(Layout::new(&params, &[width]), Err(Error::SlotWidth { .. })));
    }
    let layout = Layout::new(&params, &[8, 8]).expect("layout");
    assert!(layout.pack(&[127, -127]).is_ok());
    assert!(matches!(layout.pack(&[1, 128]), Err(Error::SlotRange { slot: 1, width: 8 })));
    assert!(matches!(layout.pack(&[-128, 1]), Err(Error::SlotRange { slot: 0, width: 8 })));
    assert!(matches!(layout.pack(&[1]), Err(Error::Count { .. })));
    assert!(matches!(layout.unpack(&[]), Err(Error::Count { .. })));
    let huge = Layout::runs(&params, &[(32, usize::MAX), (32, usize::MAX)]).expect("layout");
    assert_eq!(huge.slots(), usize::MAX);
}
