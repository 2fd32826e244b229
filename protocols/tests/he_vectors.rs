//! Known answers: hashes of everything that two implementations must agree on. A change here changes the wire.

use sha3::{Digest, Sha3_256};
use ward_math::Secret;
use ward_math::sampling::expand;
use ward_protocols::he::*;

fn short(bytes: &[u8]) -> String {
    Sha3_256::digest(bytes)[..8].iter().map(|b| format!("{b:02x}")).collect()
}

/// Hashes of: parameters, reference seed, public key share, collective key, receiver key, ciphertexts, key-switch
/// shares, switched ciphertexts; then the slots.
fn vector(profile: Profile) -> (Vec<String>, Vec<i128>) {
    let params = Parameters::new(profile, 2).expect("parameters");
    let mut rng = expand(&[7; 32], 0);
    let crs = CommonReference::derive(&params, &[("a", [1; 32]), ("b", [2; 32])], b"vectors");
    let secrets = [[3; 32], [4; 32]].map(|s| SecretKeyShare::from_seed(&params, &Secret::new(s)));
    let shares: Vec<_> =
        secrets.iter().map(|s| PublicKeyShare::generate(&params, &crs, s, &mut rng)).collect();
    let key = PublicKey::aggregate(&params, &crs, &shares).expect("key");
    let receiver = ReceiverSecret::from_seed(&params, &Secret::new([5; 32]));
    let target = receiver.public_key(&params);
    let layout = Layout::runs(&params, &[(6, 5), (4, 3)]).expect("layout");
    let values = [1, -2, 3, -31, 31, 0, 7, -7];
    let list = encrypt_all(&params, &key, &layout.pack(&values).expect("pack"), &mut rng);
    let c1s: Vec<C1> = list.iter().map(|c| c.c1().clone()).collect();
    let switch: Vec<Vec<KeySwitchShare>> = secrets
        .iter()
        .map(|s| key_switch_share(&params, &s.active_all(&params), &c1s, &target, &mut rng))
        .collect();
    let switched = key_switch_combine(&params, &list, &switch).expect("combine");
    let slots = layout.unpack(&decrypt(&params, &receiver, &switched).expect("decrypt")).expect("unpack");
    let hashes = [
        params.digest().to_vec(),
        crs.seed().to_vec(),
        shares[0].encode(&params),
        key.encode(&params),
        target.encode(&params),
        Ciphertext::encode_all(&params, &list),
        KeySwitchShare::encode_all(&params, &switch[1]),
        Ciphertext::encode_all(&params, &switched),
    ];
    (hashes.iter().map(|b| short(b)).collect(), slots)
}

#[test]
fn vectors_of_every_profile_are_as_published() {
    for (profile, expected) in Profile::ALL.into_iter().zip(EXPECTED) {
        let (hashes, slots) = vector(profile);
        assert_eq!(slots, [1, -2, 3, -31, 31, 0, 7, -7]);
        assert_eq!(hashes, expected, "{profile:?}");
    }
}

const EXPECTED: [[&str; 8]; 3] = [
    [
        "c30556d94c4dab54",
        "75ec293b1c1e19c6",
        "ee92f17baaa4af91",
        "c3802ae268fd4be8",
        "991fb8498d7ea458",
        "dd887cc92fa0bab7",
        "ffc6fea056b93c27",
        "895ba15ebd649b0a",
    ],
    [
        "8192bd42332a18c4",
        "6f137b2051feaca8",
        "5567ae3103cc2656",
        "ad49055c939d58f8",
        "51d4f7beedf07ea4",
        "ecdaa4d935fcb2e1",
        "4ea74b5a0baf1e2a",
        "c5ff423eb57bdb74",
    ],
    [
        "ea33cb86aca439ef",
        "91c798d003e5340b",
        "1110466dd75b4633",
        "8b11b36db8ad08e9",
        "ecdb3604e653bd88",
        "47b7268ceecf18c1",
        "5a35371d776868b8",
        "89b753aba4d17e1f",
    ],
];
#[test]
#[ignore = "prints the vectors after an intended change"]
fn print_vectors() {
    for profile in Profile::ALL {
        eprintln!("    {:?},", vector(profile).0);
    }
}
