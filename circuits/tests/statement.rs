//! The contract of a statement, on the smallest relation with more than one condition.

use proptest::prelude::*;
use ward_circuits::{Statement, verify_opened};

/// "The public number has two factors above one, and I know them."
#[derive(Debug)]
enum Composite {}

#[derive(Debug, PartialEq, thiserror::Error)]
enum NotComposite {
    #[error("a factor is not above one")]
    TrivialFactor,
    #[error("the product of the factors is not the public number")]
    WrongProduct,
}

impl Statement for Composite {
    const NAME: &'static str = "ward/test/composite/1";
    type Public = u64;
    type Witness = (u32, u32);
    type Violation = NotComposite;

    fn check(public: &u64, witness: &(u32, u32)) -> Result<(), NotComposite> {
        let (a, b) = *witness;
        if a < 2 || b < 2 {
            return Err(NotComposite::TrivialFactor);
        }
        if u64::from(a) * u64::from(b) != *public {
            return Err(NotComposite::WrongProduct);
        }
        Ok(())
    }
}

#[test]
fn a_pair_in_the_relation_gives_a_token_of_its_public_input() {
    let verified = verify_opened::<Composite>(91, &(7, 13)).expect("7 x 13 is 91");
    assert_eq!(*verified.public(), 91);
    assert_eq!(format!("{verified:?}"), r#"Verified { statement: "ward/test/composite/1", public: 91 }"#);
    assert_eq!(verified.into_public(), 91);
}

#[test]
fn each_broken_condition_is_refused_by_its_name() {
    assert_eq!(verify_opened::<Composite>(91, &(1, 91)).err(), Some(NotComposite::TrivialFactor));
    assert_eq!(verify_opened::<Composite>(91, &(7, 11)).err(), Some(NotComposite::WrongProduct));
}

proptest! {
    #[test]
    fn every_product_verifies_and_no_other_number_does(a in 2u32.., b in 2u32.., off in 1u64..1 << 62) {
        let product = u64::from(a) * u64::from(b);
        prop_assert!(verify_opened::<Composite>(product, &(a, b)).is_ok());
        prop_assert_eq!(
            verify_opened::<Composite>(product.wrapping_add(off), &(a, b)).err(),
            Some(NotComposite::WrongProduct)
        );
    }
}
