//! Known answers of the authors, an independent implementation, and the borders of the sponge.

use super::*;
use ark_crypto_primitives::sponge::poseidon::find_poseidon_ark_and_mds;

fn elements(texts: &[&str]) -> Vec<Element> {
    let element = |text: &&str| {
        let bytes: [u8; 32] = hex::decode(text).unwrap().try_into().unwrap();
        crate::field::from_bytes(&bytes).unwrap()
    };
    texts.iter().map(element).collect()
}

fn counting(width: usize) -> Vec<Element> {
    (0..width as u64).map(Element::from).collect()
}

/// `poseidonperm_x5_255_3` of the authors' `test_vectors.txt`.
#[test]
fn width_3_gives_the_published_vector() {
    let mut state = counting(3);
    permute(narrow(), &mut state);
    assert_eq!(
        state,
        elements(&[
            "28ce19420fc246a05553ad1e8c98f5c9d67166be2c18e9e4cb4b4e317dd2a78a",
            "51f3e312c95343a896cfd8945ea82ba956c1118ce9b9859b6ea56637b4b1ddc4",
            "3b2b69139b235626a0bfb56c9527ae66a7bf486ad8c11c14d1da0c69bbe0f79a",
        ])
    );
}

/// `poseidonperm_x5_255_5` of the same file: the generator is right at another width too.
#[test]
fn width_5_gives_the_published_vector() {
    let mut state = counting(5);
    permute(&Parameters::generate(5, 60), &mut state);
    assert_eq!(
        state,
        elements(&[
            "2a918b9c9f9bd7bb509331c81e297b5707f6fc7393dcee1b13901a0b22202e18",
            "65ebf8671739eeb11fb217f2d5c5bf4a0c3f210e3f3cd3b08b5db75675d797f7",
            "2cc176fc26bc70737a696a9dfd1b636ce360ee76926d182390cdb7459cf585ce",
            "4dc4e29d283afd2a491fe6aef122b9a968e74eff05341f3cc23fda1781dcb566",
            "03ff622da276830b9451b88b85e6184fd6ae15c8ab3ee25a5667be8592cce3b1",
        ])
    );
}

/// No vector is published for width 9: arkworks generates the constants on its own.
#[test]
fn width_9_has_the_constants_of_another_implementation() {
    let (constants, matrix) = find_poseidon_ark_and_mds::<Element>(255, 8, 8, 63, 0);
    assert_eq!(constants, wide().rounds().map(<[Element]>::to_vec).collect::<Vec<_>>());
    assert_eq!(matrix, wide().matrix().map(<[Element]>::to_vec).collect::<Vec<_>>());
}

/// The inequalities of the authors' `calc_round_numbers.py`: statistical attacks, interpolation, Groebner bases
/// (eprint 2019/458, section 5.5 and appendix C). The instances have two full rounds and 7.5 percent of partial
/// rounds more than these ask for.
#[test]
fn the_rounds_withstand_the_attacks_of_the_paper_with_its_margin() {
    for parameters in [narrow(), wide()] {
        let t = parameters.width() as f64;
        let (security, bits) = (128.0_f64, 254.857_f64);
        let full = (parameters.rounds().count() - parameters.rounds_partial) as f64 - 2.0;
        let partial = (parameters.rounds_partial as f64 / 1.075).floor();
        let log5 = |x: f64| x.ln() / 5f64.ln();
        assert!(security <= (bits - 2.0).floor() * (t + 1.0) && full >= 6.0);
        assert!(full + partial >= 1.0 + (log5(2.0) * security).ceil() + log5(t).ceil());
        assert!(full + partial >= log5(2.0) * security);
        assert!(full + partial >= t - 1.0 + log5(2.0) * (security / (t + 1.0)).min(bits / 2.0));
        assert!(full * (t - 1.0) + partial >= t - 2.0 + security / (2.0 * 5f64.log2()));
    }
}

#[test]
fn a_use_a_length_and_every_input_change_the_hash() {
    for len in [1, 2, 3, 8, 9, 16, 17] {
        let inputs = counting(len + 1);
        let digest = hash(Domain::Slots, &inputs[1..]);
        assert_ne!(digest, hash(Domain::Terms, &inputs[1..]));
        let mut longer = inputs[1..].to_vec();
        longer.push(Element::from(0u64));
        assert_ne!(digest, hash(Domain::Slots, &longer), "zeros are not padding");
        for at in 0..len {
            let mut other = inputs[1..].to_vec();
            other[at] += Element::from(1u64);
            assert_ne!(digest, hash(Domain::Slots, &other));
        }
    }
}

/// The hash is part of every credential and every key: it does not change.
#[test]
fn the_hash_is_pinned() {
    let digest = |len: usize| hex::encode(crate::field::to_bytes(&hash(Domain::Terms, &counting(len))));
    assert_eq!(digest(2), "60cbdc2a72e296146735dd500d58033236301dfc0850a122f42fce4efdbd7ce6");
    assert_eq!(digest(9), "6491d3bf690cb5a79782566770279ad5392fd64e39c43a2b7331d4e22feb2c9e");
}
