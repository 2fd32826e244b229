//! Decoders refuse everything that an encoder did not write, and never panic.

use proptest::prelude::*;
use ward_math::Secret;
use ward_math::sampling::{Expander, expand};
use ward_protocols::he::*;

const HEADER: usize = 20;

struct Fixture {
    params: Parameters,
    /// Name, a valid encoding, and the decoder with its encoder behind it.
    objects: Vec<(&'static str, Vec<u8>, Decode)>,
}

/// Decodes and, where that works, encodes again.
type Decode = fn(&Parameters, &[u8]) -> Option<Vec<u8>>;

fn fixture() -> Fixture {
    let params = Parameters::new(Profile::Study4096, 2).expect("parameters");
    let mut rng: Expander = expand(&[1; 32], 0);
    let crs = CommonReference::derive(&params, &[("a", [1; 32]), ("b", [2; 32])], b"study");
    let secret = SecretKeyShare::from_seed(&params, &Secret::new([3; 32]));
    let share = PublicKeyShare::generate(&params, &crs, &secret, &mut rng);
    let receiver = ReceiverSecret::from_seed(&params, &Secret::new([4; 32]));
    let key = receiver.public_key(&params);
    let plaintexts = [Plaintext::zero(&params), Plaintext::zero(&params)];
    let list = encrypt_all(&params, &key, &plaintexts, &mut rng);
    let c1s: Vec<C1> = list.iter().map(|c| c.c1().clone()).collect();
    let switch = key_switch_share(&params, &secret.active_all(&params), &c1s, &key, &mut rng);
    let dealt = shamir_split(&params, &secret, 2, 2, &mut rng).expect("split");
    let threshold = shamir_combine(&params, &shamir_split(&params, &secret, 1, 1, &mut rng).expect("split"));
    let objects: Vec<(&'static str, Vec<u8>, Decode)> = vec![
        ("public key share", share.encode(&params), |p, b| {
            PublicKeyShare::decode(p, b).ok().map(|x| x.encode(p))
        }),
        ("public key", key.encode(&params), |p, b| PublicKey::decode(p, b).ok().map(|x| x.encode(p))),
        ("ciphertexts", Ciphertext::encode_all(&params, &list), |p, b| {
            Ciphertext::decode_all(p, b).ok().map(|x| Ciphertext::encode_all(p, &x))
        }),
        ("c0", Ciphertext::encode_c0(&params, &list), |p, b| {
            let c0s = C0::decode_all(p, b).ok()?;
            let c1s = C1::decode_all(p, &C1::encode_all(p, &[])).ok()?;
            assert_eq!(Ciphertext::zip(c0s, c1s).is_ok(), b[8] == 0);
            Some(b.to_vec())
        }),
        ("c1", Ciphertext::encode_c1(&params, &list), |p, b| {
            C1::decode_all(p, b).ok().map(|x| C1::encode_all(p, &x))
        }),
        ("key-switch shares", KeySwitchShare::encode_all(&params, &switch), |p, b| {
            KeySwitchShare::decode_all(p, b).ok().map(|x| KeySwitchShare::encode_all(p, &x))
        }),
        ("shamir share", dealt[1].encode(&params).expose().clone(), |p, b| {
            ShamirShare::decode(p, b).ok().map(|x| x.encode(p).expose().clone())
        }),
        ("threshold share", threshold.expect("combine").encode(&params).expose().clone(), |p, b| {
            ThresholdKeyShare::decode(p, b).ok().map(|x| x.encode(p).expose().clone())
        }),
    ];
    Fixture { params, objects }
}

#[test]
fn encodings_round_trip_and_header_bits_truncation_and_excess_are_refused() {
    let f = fixture();
    for (name, bytes, decode) in &f.objects {
        assert_eq!(decode(&f.params, bytes).as_ref(), Some(bytes), "{name}");
        for bit in 0..8 * HEADER {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&f.params, &flipped).is_none(), "{name}: header bit {bit}");
        }
        for len in (0..64).chain([bytes.len() / 2, bytes.len() - 27, bytes.len() - 1]) {
            assert!(decode(&f.params, &bytes[..len]).is_none(), "{name}: {len} bytes");
        }
        assert!(decode(&f.params, &[bytes.as_slice(), &[0]].concat()).is_none(), "{name}: one byte more");
        // The last 27 bytes hold the last eight residues: all ones is above every prime.
        let mut large = bytes.clone();
        let end = large.len();
        large[end - 27..].fill(0xff);
        assert!(decode(&f.params, &large).is_none(), "{name}: residue too large");
        for (other, bytes, _) in f.objects.iter().filter(|(other, ..)| other != name) {
            assert!(decode(&f.params, bytes).is_none(), "{name} from {other}");
        }
    }
}

#[test]
fn objects_of_other_parameters_are_refused_but_public_keys_serve_a_profile() {
    let f = fixture();
    for params in [
        Parameters::new(Profile::Study4096, 1).expect("parameters"),
        Parameters::new(Profile::Default8192, 2).expect("parameters"),
        Parameters::with_lambda(Profile::Study4096, 2, 60).expect("parameters"),
    ] {
        for (name, bytes, decode) in &f.objects {
            let serves = *name == "public key" && params.profile() == Profile::Study4096;
            assert_eq!(decode(&params, bytes).is_some(), serves, "{name} under {params:?}");
        }
    }
}

#[test]
fn key_shares_with_impossible_access_structures_are_refused() {
    let f = fixture();
    for (name, bytes, decode) in f.objects.iter().filter(|(name, ..)| name.ends_with("r share")) {
        for (t, n, holder) in [(0, 2, 1), (3, 2, 1), (2, 3, 1), (2, 2, 0), (2, 2, 3), (u32::MAX, u32::MAX, 1)]
        {
            let mut bad = bytes.clone();
            for (i, x) in [t, n, holder].into_iter().enumerate() {
                bad[HEADER + 4 * i..HEADER + 4 * i + 4].copy_from_slice(&u32::to_le_bytes(x));
            }
            assert!(decode(&f.params, &bad).is_none(), "{name}: {t} of {n} at {holder}");
        }
    }
}

#[test]
fn a_count_without_items_allocates_nothing() {
    let f = fixture();
    for (name, bytes, decode) in &f.objects {
        let mut header = bytes[..HEADER].to_vec();
        header[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(decode(&f.params, &header).is_none(), "{name}");
        header[8..12].copy_from_slice(&COUNT_MAX.to_le_bytes());
        assert!(decode(&f.params, &header).is_none(), "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn random_bytes_never_panic_and_never_decode(body in prop::collection::vec(any::<u8>(), 0..600), keep in 0usize..=HEADER) {
        thread_local!(static FIXTURE: Fixture = fixture());
        FIXTURE.with(|f| {
            for (name, bytes, decode) in &f.objects {
                // Random bytes behind a valid beginning of any length reach every check.
                let input = [&bytes[..keep], &body].concat();
                prop_assert!(decode(&f.params, &input).is_none(), "{}", name);
            }
            Ok(())
        })?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn changed_bodies_are_refused_or_decode_to_exactly_what_they_say(at in any::<prop::sample::Index>(), x in 1u8..=255) {
        thread_local!(static FIXTURE: Fixture = fixture());
        FIXTURE.with(|f| {
            for (name, bytes, decode) in &f.objects {
                let mut changed = bytes.clone();
                changed[HEADER + at.index(bytes.len() - HEADER)] ^= x;
                if let Some(again) = decode(&f.params, &changed) {
                    prop_assert_eq!(again, changed, "{}", name);
                }
            }
            Ok(())
        })?;
    }
}
