//! Every decoder on hostile bytes: no panic, and what decodes encodes to the same bytes.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use ward_math::Secret;
use ward_math::sampling::expand;
use ward_protocols::he::*;

type Decode = fn(&Parameters, &[u8]) -> Option<Vec<u8>>;

static OBJECTS: LazyLock<(Parameters, Vec<(Vec<u8>, Decode)>)> = LazyLock::new(|| {
    let params = Parameters::new(Profile::Study4096, 2).expect("parameters");
    let mut rng = expand(&[1; 32], 0);
    let crs = CommonReference::derive(&params, &[], b"fuzz");
    let secret = SecretKeyShare::from_seed(&params, &Secret::new([3; 32]));
    let key = ReceiverSecret::from_seed(&params, &Secret::new([4; 32])).public_key(&params);
    let list = encrypt_all(&params, &key, &[Plaintext::zero(&params)], &mut rng);
    let c1s: Vec<C1> = list.iter().map(|c| c.c1().clone()).collect();
    let switch = key_switch_share(&params, &secret.active_all(&params), &c1s, &key, &mut rng);
    let dealt = shamir_split(&params, &secret, 1, 1, &mut rng).expect("split");
    let threshold = shamir_combine(&params, &dealt).expect("combine");
    let objects: Vec<(Vec<u8>, Decode)> = vec![
        (PublicKeyShare::generate(&params, &crs, &secret, &mut rng).encode(&params), |p, b| {
            PublicKeyShare::decode(p, b).ok().map(|x| x.encode(p))
        }),
        (key.encode(&params), |p, b| PublicKey::decode(p, b).ok().map(|x| x.encode(p))),
        (Ciphertext::encode_all(&params, &list), |p, b| {
            Ciphertext::decode_all(p, b).ok().map(|x| Ciphertext::encode_all(p, &x))
        }),
        (Ciphertext::encode_c0(&params, &list), |p, b| C0::decode_all(p, b).ok().map(|_| b.to_vec())),
        (C1::encode_all(&params, &c1s), |p, b| C1::decode_all(p, b).ok().map(|x| C1::encode_all(p, &x))),
        (KeySwitchShare::encode_all(&params, &switch), |p, b| {
            KeySwitchShare::decode_all(p, b).ok().map(|x| KeySwitchShare::encode_all(p, &x))
        }),
        (dealt[0].encode(&params).expose().clone(), |p, b| {
            ShamirShare::decode(p, b).ok().map(|x| x.encode(p).expose().clone())
        }),
        (threshold.encode(&params).expose().clone(), |p, b| {
            ThresholdKeyShare::decode(p, b).ok().map(|x| x.encode(p).expose().clone())
        }),
    ];
    (params, objects)
});

fuzz_target!(|data: &[u8]| {
    let Some((&[pick, mode, at0, at1], rest)) = data.split_first_chunk::<4>() else { return };
    let (params, objects) = &*OBJECTS;
    let (valid, decode) = &objects[usize::from(pick) % objects.len()];
    let input = if mode & 1 == 0 {
        rest.to_vec()
    } else {
        // Overwrite part of a valid encoding.
        let mut input = valid.clone();
        let start = (usize::from(at0) << 8 | usize::from(at1)) % input.len();
        let end = input.len().min(start + rest.len());
        input[start..end].copy_from_slice(&rest[..end - start]);
        input
    };
    if let Some(again) = decode(params, &input) {
        assert_eq!(again, input);
    }
});
