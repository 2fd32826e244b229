//! A statement of one constraint, for tests of ceremonies: here, and of whole engines.

use std::sync::Arc;

use ward_circuits::catalog::WrittenKey;
use ward_circuits::groth16::{KeyParts, ProvingKey};
use ward_circuits::r1cs::{Builder, Matrices, Num};
use ward_circuits::{ConstrainedStatement, Element, Statement, constraints};

use super::Known;

/// Somebody knows a root of the public value.
pub struct Root;

/// It is not.
#[derive(Debug, thiserror::Error)]
#[error("the square is another")]
pub struct OtherSquare;

impl Statement for Root {
    const NAME: &'static str = "ward/test/square/1";
    type Public = Element;
    type Witness = Element;
    type Violation = OtherSquare;

    fn check(public: &Element, witness: &Element) -> Result<(), OtherSquare> {
        if *witness * witness == *public { Ok(()) } else { Err(OtherSquare) }
    }
}

impl ConstrainedStatement for Root {
    const INPUTS: usize = 1;

    fn public_inputs(public: &Element) -> Vec<Element> {
        vec![*public]
    }

    fn synthesize(builder: &mut Builder, inputs: &[Num], _: &Element, witness: &Element) {
        let root = builder.witness(*witness);
        builder.enforce(&root, &root, &inputs[0]);
    }

    fn example() -> (Element, Element) {
        (Element::from(9u8), Element::from(3u8))
    }
}

/// It by its name.
pub fn root_statement() -> Known {
    let keys = |matrices: &Matrices, parts: &KeyParts| {
        let (key, proving) = ProvingKey::<Root>::write(matrices, parts)?;
        Ok(WrittenKey { id: key.id(), verifying: key.to_bytes(), proving })
    };
    Known::new(Root::NAME, Arc::new(|| constraints::<Root>().0), Arc::new(keys))
}
