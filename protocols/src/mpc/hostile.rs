//! Any bytes in the place of any message, package or opened word: what a peer can send without the protocol's leave.

use std::sync::Arc;

use proptest::prelude::*;

use super::gates::input::{self, InputError};
use super::gates::{compare, convert, multiply, open};
use super::{Malicious, Role};
use crate::mpc::fixed::floats;
use crate::sim::{At, Change, Tamper, World, share_ring};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_bytes_as_any_message_give_the_right_answer_or_none(party in 0usize..3, nth in 0usize..60, bytes: Vec<u8>, keeps_length: bool, seed: u64) {
        let party = Role::ALL[party];
        let change = Change::Rewrite(Arc::new(move |body: &mut Vec<u8>| {
            if keeps_length {
                body.iter_mut().zip(bytes.iter().cycle()).for_each(|(byte, other)| *byte = *other);
            } else {
                body.clone_from(&bytes);
            }
        }));
        let world = World::new(seed).tampering(Tamper { party, at: At::Nth(nth), change });
        let values = [3, 5, 1 << 40];
        let inputs = share_ring(&values, &mut world.rng());
        let outcome = world.run::<Malicious, _, _>(inputs, |session, x| {
            let squares = multiply::multiply(&mut session.narrow("square"), &x, &x)?;
            let less = compare::is_less(&mut session.narrow("less"), &x, &squares, 64)?;
            let less = convert::inject(&mut session.narrow("inject"), &less)?;
            open::open(&mut session.narrow("open"), &squares.add(&less)?)
        });
        let expected: Vec<u64> =
            values.iter().map(|x| x.wrapping_mul(*x)).zip(values).map(|(square, x)| square + u64::from((x as i64) < square as i64)).collect();
        for role in Role::ALL.into_iter().filter(|role| *role != party) {
            if let Ok(opened) = &outcome.results[role.index()] {
                prop_assert_eq!(opened, &expected, "{:?}, message {} of {:?}", role, nth, party);
            }
        }
    }

    #[test]
    fn any_package_of_an_input_is_refused_or_the_one_that_was_signed(role in 0usize..3, ring in 0usize..9, bits in 0usize..9, at: usize, bytes in prop::collection::vec(any::<u8>(), 1..40), cut in 0usize..5, seed: u64) {
        let role = Role::ALL[role];
        let words = input::Words { ring: (0..ring as u64).collect(), bits: (0..bits as u64).collect() };
        let dealt = input::deal(b"place", &words, &mut World::new(seed).rng());
        let honest = &dealt.packages[role.index()];
        let take = |package: &[u8]| input::take((b"place", role), words.shape(), package, &dealt.commitments);
        prop_assert!(take(honest).is_ok());
        let mut package = honest.to_vec();
        let start = at % package.len();
        package[start..].iter_mut().zip(&bytes).for_each(|(byte, other)| *byte = *other);
        package.truncate(honest.len() - cut.min(honest.len()));
        let is_same = package == honest.as_slice();
        match take(&package) {
            Ok(_) => prop_assert!(is_same),
            Err(InputError::Length { found, .. }) => prop_assert_eq!(found, honest.len() - cut),
            Err(InputError::Commitment(_)) => prop_assert!(!is_same),
            Err(InputError::Words { .. }) => prop_assert!(false, "few words"),
        }
        // P_0 has seeds alone, whose length does not depend on the plan: nothing may be made of an absurd one.
        let huge = input::Shape { ring: at, bits: input::WORDS_MAX + 1 };
        let refused = input::take((b"place", role), huge, honest, &dealt.commitments).err();
        let found = at.saturating_add(huge.bits);
        prop_assert_eq!(refused, Some(InputError::Words { found, max: input::WORDS_MAX }));
    }

    #[test]
    fn any_opened_words_are_a_finite_number_or_none(mantissa: u64, exponent: u64, least: i32) {
        prop_assert!(floats::decode(mantissa, exponent, least).is_none_or(f64::is_finite));
    }
}
