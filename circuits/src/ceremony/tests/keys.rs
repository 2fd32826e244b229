//! From the first contribution to a proof: the keys of a ceremony of three under the strict verifier.

use super::*;
use crate::field::{Element, to_bytes};
use crate::groth16::{Presented, ProvingKey, VerifyError};
use crate::r1cs::{Builder, Num};
use crate::statement::{ConstrainedStatement, Statement, constraints};

/// Somebody knows the fifth root of the public value.
struct FifthRoot;

#[derive(Debug, thiserror::Error)]
#[error("the fifth power is another")]
struct OtherPower;

impl Statement for FifthRoot {
    const NAME: &'static str = "ward/test/fifth-root/1";
    type Public = Element;
    type Witness = Element;
    type Violation = OtherPower;

    fn check(public: &Element, witness: &Element) -> std::result::Result<(), OtherPower> {
        let square = *witness * witness;
        if square * square * witness == *public { Ok(()) } else { Err(OtherPower) }
    }
}

impl ConstrainedStatement for FifthRoot {
    const INPUTS: usize = 1;

    fn public_inputs(public: &Element) -> Vec<Element> {
        vec![*public]
    }

    fn synthesize(builder: &mut Builder, inputs: &[Num], _: &Element, witness: &Element) {
        let root = builder.witness(*witness);
        let square = builder.mul(&root, &root);
        let fourth = builder.mul(&square, &square);
        builder.enforce(&fourth, &root, &inputs[0]);
    }

    fn example() -> (Element, Element) {
        (Element::from(32u8), Element::from(2u8))
    }
}

#[test]
fn keys_of_a_ceremony_of_three_prove_and_verify_a_statement() {
    let (matrices, _) = constraints::<FifthRoot>();
    let relation = Relation::new(&matrices).unwrap();
    let phase1 = first_phase(4, &["a", "b", "c"], true);
    let mut phase2 = Phase2::begin(FifthRoot::NAME, &phase1, &relation, 3, SILENT).unwrap();
    for (name, seed) in [("a", 1), ("b", 2), ("c", 3)] {
        phase2 = phase2.contribute(&contributor(name), &mut rng(seed), b"", SILENT).unwrap();
    }
    let parts = phase2.close(&beacon(), SILENT).unwrap().finish(3).unwrap();
    let (verifying, file) = ProvingKey::<FifthRoot>::write(&matrices, &parts).unwrap();
    let key =
        ProvingKey::<FifthRoot>::open(&file, ProvingKey::<FifthRoot>::validate(&file).unwrap()).unwrap();

    let (public, witness) = (Element::from(243u8), Element::from(3u8));
    let proof = key.prove(&public, &witness, &mut rng(4)).unwrap().to_bytes();
    let inputs = to_bytes(&public);
    let presented = Presented { key: verifying.id(), inputs: &inputs, proof: &proof };
    assert_eq!(*verifying.verify(public, &presented).unwrap().public(), public);

    let other = Element::from(244u8);
    let inputs = to_bytes(&other);
    let presented = Presented { key: verifying.id(), inputs: &inputs, proof: &proof };
    assert_eq!(verifying.verify(other, &presented).err(), Some(VerifyError::Equation));
}
