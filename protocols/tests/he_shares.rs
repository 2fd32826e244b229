//! Encryption to shares: a sum under encryption goes on as shares of three nodes.

use proptest::prelude::*;
use ward_math::Secret;
use ward_math::sampling::{Expander, expand};
use ward_protocols::Error;
use ward_protocols::he::*;
use ward_protocols::mpc::gates::convert::inject;
use ward_protocols::mpc::gates::input::{Shape, Words, deal, from_encryption, take};
use ward_protocols::mpc::gates::open::open;
use ward_protocols::mpc::programs::floor::{Rule, keep, released};
use ward_protocols::mpc::shares::RingShares;
use ward_protocols::mpc::{Malicious, Role};
use ward_protocols::sim::World;

/// Key holders who are also the hospitals.
struct Study {
    params: Parameters,
    secrets: Vec<SecretKeyShare>,
    key: PublicKey,
    rng: Expander,
}

fn study(params: Parameters, seed: u8) -> Study {
    let mut rng = expand(&[seed; 32], 0);
    let crs = CommonReference::derive(&params, &[("a", [seed; 32])], b"study");
    let secret = |i: u32| SecretKeyShare::from_seed(&params, &Secret::new([seed ^ (i as u8 + 1); 32]));
    let secrets: Vec<SecretKeyShare> = (0..params.parties()).map(secret).collect();
    let shares: Vec<PublicKeyShare> =
        secrets.iter().map(|s| PublicKeyShare::generate(&params, &crs, s, &mut rng)).collect();
    let key = PublicKey::aggregate(&params, &crs, &shares).expect("key");
    Study { params, secrets, key, rng }
}

impl Study {
    fn all(&self) -> Vec<ActiveKeyShare> {
        self.secrets.iter().map(|s| s.active_all(&self.params)).collect()
    }

    /// The sum of what every hospital encrypts: a word to a coefficient.
    fn sum(&mut self, columns: &[Vec<u64>]) -> Vec<Ciphertext> {
        let mut sum = Accumulator::new(&self.params);
        for column in columns {
            let plaintexts: Vec<Plaintext> = column
                .chunks(self.params.degree())
                .map(|part| {
                    let words = part.iter().flat_map(|word| {
                        std::iter::once(*word).chain(std::iter::repeat_n(0, self.params.words() - 1))
                    });
                    Plaintext::from_words(&self.params, words.collect())
                })
                .collect();
            sum.add(&encrypt_all(&self.params, &self.key, &plaintexts, &mut self.rng)).expect("add");
        }
        sum.finish()
    }

    fn masked(
        &mut self,
        sum: &[Ciphertext],
        active: &[ActiveKeyShare],
    ) -> (Vec<Vec<MaskedShare>>, Vec<MaskWords>) {
        let c1s: Vec<C1> = sum.iter().map(|c| c.c1().clone()).collect();
        let each = active.iter().map(|s| masked_share(&self.params, s, &c1s, &mut self.rng).expect("room"));
        each.unzip()
    }
}

/// What the shares add up to.
fn together(opened: &MaskedSum, masks: &[MaskWords]) -> Vec<u64> {
    let mut words = opened.words.clone();
    for mask in masks {
        words.iter_mut().zip(mask.expose()).for_each(|(word, m)| *word = word.wrapping_add(*m));
    }
    words
}

#[test]
fn masks_and_the_masked_sum_add_up_to_the_sum_in_every_profile() {
    for params in [
        Parameters::ring64(Profile::Default8192, 3).expect("parameters"),
        Parameters::new(Profile::Default8192, 5).expect("parameters"),
        Parameters::ring64(Profile::Bulk16384, 2).expect("parameters"),
    ] {
        let parties = params.parties() as usize;
        let count = params.degree() + 100;
        let column = |party: usize| -> Vec<u64> {
            (0..count)
                .map(|k| [u64::MAX, 1 << 63, 7, k as u64][k % 4].wrapping_mul(party as u64 + 1))
                .collect()
        };
        let columns: Vec<Vec<u64>> = (0..parties).map(column).collect();
        let mut s = study(params, 7);
        let sum = s.sum(&columns);
        let all = s.all();
        let (shares, masks) = s.masked(&sum, &all);
        let opened = masked_open(&s.params, &sum, &shares).expect("opens");
        let found = together(&opened, &masks);
        assert_eq!(found.len(), 2 * s.params.degree());
        for (k, found) in found.iter().enumerate() {
            let expected =
                columns.iter().fold(0u64, |sum, c| sum.wrapping_add(c.get(k).copied().unwrap_or(0)));
            assert_eq!(*found, expected, "coefficient {k}");
        }
        // Every mask hides the sum: none is left out, none is used twice.
        assert!(opened.words.iter().zip(&found).filter(|(d, m)| d == m).count() < 3);
        let (again, others) = s.masked(&sum, &all);
        let reopened = masked_open(&s.params, &sum, &again).expect("opens");
        assert_ne!(reopened, opened);
        assert_eq!(together(&reopened, &others), found);
    }
}

#[test]
fn any_threshold_of_holders_turns_a_sum_into_shares() {
    let params = Parameters::ring64(Profile::Default8192, 4).expect("parameters");
    let mut s = study(params.clone(), 11);
    let values: Vec<u64> = (0..params.degree() as u64).collect();
    let sum = s.sum(std::slice::from_ref(&values));
    let dealt: Vec<Vec<ShamirShare>> =
        s.secrets.iter().map(|k| shamir_split(&params, k, 2, 4, &mut s.rng).expect("split")).collect();
    let holder = |j: usize| {
        let mine: Vec<ShamirShare> = dealt
            .iter()
            .map(|d| ShamirShare::decode(&params, d[j].encode(&params).expose()).expect("decode"))
            .collect();
        shamir_combine(&params, &mine).expect("combine")
    };
    for set in [vec![1, 3], vec![2, 3, 4]] {
        let active: Vec<ActiveKeyShare> =
            set.iter().map(|j| holder(*j as usize - 1).active(&params, *j, &set).expect("active")).collect();
        let (shares, masks) = s.masked(&sum, &active);
        let opened = masked_open(&params, &sum, &shares).expect("opens");
        assert_eq!(together(&opened, &masks), values, "{set:?}");
    }
}

#[test]
fn missing_wrong_and_misshapen_shares_are_refused() {
    let params = Parameters::ring64(Profile::Default8192, 3).expect("parameters");
    let mut s = study(params.clone(), 13);
    let sum = s.sum(&[vec![5; 10]]);
    let all = s.all();
    let (good, _) = s.masked(&sum, &all);
    let refused = |shares: &[Vec<MaskedShare>]| masked_open(&params, &sum, shares).err();
    assert_eq!(refused(&good), None);
    assert_eq!(refused(&good[..2]), Some(Error::Undecryptable(0)));
    let stranger = SecretKeyShare::from_seed(&params, &Secret::new([99; 32])).active_all(&params);
    let (wrong, _) = s.masked(&sum, &[stranger]);
    assert_eq!(refused(&[good[0].clone(), good[1].clone(), wrong[0].clone()]), Some(Error::Undecryptable(0)));
    let other = s.sum(&[vec![5; 10]]);
    let (of_other, _) = s.masked(&other, &all[..1]);
    assert_eq!(
        refused(&[of_other[0].clone(), good[1].clone(), good[2].clone()]),
        Some(Error::Undecryptable(0))
    );
    assert!(matches!(refused(&[]), Some(Error::Count { .. })));
    assert!(matches!(refused(&[good.clone(), good.clone()].concat()), Some(Error::TooManyTerms { .. })));
    assert!(matches!(refused(&[good[0].clone(), Vec::new()]), Some(Error::Count { .. })));
    // Bytes.
    let bytes = MaskedShare::encode_all(&params, &good[0]);
    assert_eq!(MaskedShare::decode_all(&params, &bytes).expect("decode"), good[0]);
    assert!(KeySwitchShare::decode_all(&params, &bytes).is_err() && C0::decode_all(&params, &bytes).is_err());
    for cut in [0, 19, 20, bytes.len() - 1] {
        assert!(MaskedShare::decode_all(&params, &bytes[..cut]).is_err());
    }
    let mut flipped = bytes.clone();
    flipped[1000] ^= 1;
    let flipped = MaskedShare::decode_all(&params, &flipped).expect("still reduced");
    assert_eq!(refused(&[flipped, good[1].clone(), good[2].clone()]), Some(Error::Undecryptable(0)));
    // A profile whose coefficients are too small.
    let small = Parameters::new(Profile::Study4096, 3).expect("parameters");
    let secret = SecretKeyShare::from_seed(&small, &Secret::new([1; 32])).active_all(&small);
    let refused = masked_share(&small, &secret, &[], &mut s.rng).err();
    assert!(matches!(refused, Some(Error::PlaintextSpace { needed: 64, .. })));
}

#[test]
fn a_table_that_arrives_under_encryption_is_released_by_the_pooled_floor_alone() {
    let params = Parameters::ring64(Profile::Default8192, 3).expect("parameters");
    let mut s = study(params.clone(), 17);
    // Two rows of four cells; pooled: 12, 9, 40, 30 and 25, 31, 8, 44.
    let columns = vec![
        vec![5, 4, 20, 10, 10, 11, 3, 20],
        vec![4, 3, 10, 10, 10, 10, 3, 12],
        vec![3, 2, 10, 10, 5, 10, 2, 12],
    ];
    let sum = s.sum(&columns);
    let all = s.all();
    let (shares, masks) = s.masked(&sum, &all);
    let opened = masked_open(&params, &sum, &shares).expect("opens");
    let opened = MaskedSum { words: opened.words[..8].to_vec() };
    // Every holder deals its mask to the three nodes.
    let shape = Shape { ring: 8, bits: 0 };
    let dealt: Vec<_> = masks
        .iter()
        .map(|mask| {
            let words = Words { ring: mask.expose()[..8].to_vec(), bits: Vec::new() };
            deal(b"masks", &words, &mut s.rng)
        })
        .collect();
    let held = Role::ALL.map(|role| {
        dealt
            .iter()
            .map(|dealt| {
                let held = take((b"masks", role), shape, &dealt.packages[role.index()], &dealt.commitments);
                let held = held.expect("taken");
                RingShares { own: held.own.ring.into(), next: held.next.ring.into() }
            })
            .collect::<Vec<_>>()
    });
    let outcome = World::new(4).run::<Malicious, _, _>(held, |session, masks| {
        let counts = from_encryption(session.role(), &opened, &masks)?;
        let rule = Rule { rows: 2, columns: 4, floor: 10, width: 20, has_margins: true };
        let flags = released(&mut session.narrow("floor"), &counts, &rule)?;
        let flags = inject(&mut session.narrow("inject"), &flags)?;
        let kept = keep(&mut session.narrow("keep"), &counts, &flags)?;
        open(&mut session.narrow("open"), &kept)
    });
    // 9 and 8 are small; each row and each column with one gets its smallest other cell in a line that has one.
    assert_eq!(outcome.all()[0], [12, 0, 0, 30, 25, 0, 0, 44]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn sums_of_any_words_become_shares_of_them(
        columns in prop::collection::vec(prop::collection::vec(any::<u64>(), 20), 1..4),
        seed in any::<u8>(),
    ) {
        let params = Parameters::ring64(Profile::Default8192, columns.len() as u32).expect("parameters");
        let mut s = study(params, seed);
        let sum = s.sum(&columns);
        let all = s.all();
        let (shares, masks) = s.masked(&sum, &all);
        let opened = masked_open(&s.params, &sum, &shares).expect("opens");
        let found = together(&opened, &masks);
        for (k, found) in found.iter().take(20).enumerate() {
            prop_assert_eq!(*found, columns.iter().fold(0u64, |sum, c| sum.wrapping_add(c[k])));
        }
    }
}
