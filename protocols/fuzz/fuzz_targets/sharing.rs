//! Keys, sealed messages and delegations on hostile bytes: no panic, what decodes encodes to the same bytes, and what was changed
//! opens to the message that was sealed or to none.
#![no_main]

use std::collections::BTreeSet;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use ward_math::sampling::expand;
use ward_protocols::sharing::delegation::{self, First, Grant, Second};
use ward_protocols::sharing::fame::{MasterKey, PublicKey, UserKey, setup};
use ward_protocols::sharing::sealed::{Sealed, issue, seal};
use ward_protocols::sharing::{Attribute, Policy};

const MESSAGE: &[u8] = b"a data key of thirty-two bytes..";

type Decode = fn(&[u8]) -> Option<Vec<u8>>;

struct Valid {
    public: PublicKey,
    key: UserKey,
    houses: [delegation::SecretKey; 2],
    objects: Vec<(Vec<u8>, Decode)>,
}

static VALID: LazyLock<Valid> = LazyLock::new(|| {
    let rng = &mut expand(&[1; 32], 0);
    let (public, master) = setup(rng);
    let attributes: BTreeSet<Attribute> =
        ["a", "b:1"].map(|name| Attribute::new(name).expect("a name")).into();
    let key = issue(&master, &attributes, rng).expect("a key");
    let policy: Policy = "a and (b:1 or c)".parse().expect("a policy");
    let sealed = seal(&public, &policy, b"about", MESSAGE, rng).expect("a sealed message");
    let houses = [(); 2].map(|()| delegation::SecretKey::generate(rng));
    let grant = houses[0].grant(houses[1].public(), rng).expect("a grant");
    let second = Second::seal(houses[0].public(), b"about", MESSAGE, rng).expect("a message");
    let first = second.turn(&grant, rng).expect("a message that was turned over");
    let objects: Vec<(Vec<u8>, Decode)> = vec![
        (public.to_bytes(), |b| PublicKey::from_bytes(b).ok().map(|x| x.to_bytes())),
        (master.to_bytes().to_vec(), |b| MasterKey::from_bytes(b).ok().map(|x| x.to_bytes().to_vec())),
        (key.to_bytes().to_vec(), |b| UserKey::from_bytes(b).ok().map(|x| x.to_bytes().to_vec())),
        (houses[0].public().to_bytes(), |b| delegation::PublicKey::from_bytes(b).ok().map(|x| x.to_bytes())),
        (houses[0].to_bytes().to_vec(), |b| {
            delegation::SecretKey::from_bytes(b).ok().map(|x| x.to_bytes().to_vec())
        }),
        (grant.to_bytes(), |b| Grant::from_bytes(b).ok().map(|x| x.to_bytes())),
        (sealed.to_bytes(), |b| {
            let sealed = Sealed::from_bytes(b).ok()?;
            opens_to_the_message(sealed.open(&VALID.public, &VALID.key).ok());
            Some(sealed.to_bytes())
        }),
        (second.to_bytes(), |b| {
            let second = Second::from_bytes(b).ok()?;
            opens_to_the_message(second.open(&VALID.houses[0], &mut expand(&[2; 32], 0)).ok());
            Some(second.to_bytes())
        }),
        (first.to_bytes(), |b| {
            let first = First::from_bytes(b).ok()?;
            opens_to_the_message(first.open(&VALID.houses[1], &mut expand(&[2; 32], 0)).ok());
            Some(first.to_bytes())
        }),
    ];
    Valid { public, key, houses, objects }
});

/// Whoever has the public keys can seal another message, but not with a few changed bytes.
fn opens_to_the_message<M: AsRef<[u8]>>(opened: Option<M>) {
    assert!(opened.is_none_or(|opened| opened.as_ref() == MESSAGE));
}

fuzz_target!(|data: &[u8]| {
    let Some((&[pick, mode, at0, at1], rest)) = data.split_first_chunk::<4>() else { return };
    let objects = &VALID.objects;
    let (valid, decode) = &objects[usize::from(pick) % objects.len()];
    let input = if mode & 1 == 0 {
        // Behind the magic of its kind, so that more than the magic is reached.
        [&valid[..5], rest].concat()
    } else {
        let mut input = valid.clone();
        let start = (usize::from(at0) << 8 | usize::from(at1)) % input.len();
        let end = input.len().min(start + rest.len());
        input[start..end].copy_from_slice(&rest[..end - start]);
        // And cut, now and then.
        if mode & 6 == 6 {
            input.truncate(end);
        }
        input
    };
    if let Some(again) = decode(&input) {
        assert_eq!(again, input);
    }
});
