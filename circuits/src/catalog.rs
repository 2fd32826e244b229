//! The statements of Ward by name: what a ceremony and an engine need of one without knowing its types.

use crate::aggregate::Aggregate;
use crate::consent::ConsentGiven;
use crate::eligibility::Eligibility;
use crate::groth16::{KeyError, KeyId, KeyParts, ProvingKey};
use crate::r1cs::{Matrices, Part};
use crate::statement::{ConstrainedStatement, constraints};

/// A statement, without its types.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    name: &'static str,
    inputs: usize,
    constraints: fn() -> (Matrices, Vec<Part>),
    write_key: fn(&Matrices, &KeyParts) -> Result<WrittenKey, KeyError>,
}

/// A key as its two files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenKey {
    /// The id of both.
    pub id: KeyId,
    /// The verifying key.
    pub verifying: Vec<u8>,
    /// The proving key.
    pub proving: Vec<u8>,
}

impl Entry {
    const fn of<S: ConstrainedStatement>() -> Self {
        Self { name: S::NAME, inputs: S::INPUTS, constraints: constraints::<S>, write_key: write_key::<S> }
    }

    /// The name of the statement.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its public inputs.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Records its constraints, with how many each part takes. Takes from tenths of a second to a minute.
    #[must_use]
    pub fn constraints(&self) -> (Matrices, Vec<Part>) {
        (self.constraints)()
    }

    /// Writes the two files of a key from the parts that a ceremony made for these constraints.
    ///
    /// # Errors
    /// As [`ProvingKey::write`].
    pub fn write_key(&self, matrices: &Matrices, parts: &KeyParts) -> Result<WrittenKey, KeyError> {
        (self.write_key)(matrices, parts)
    }
}

fn write_key<S: ConstrainedStatement>(matrices: &Matrices, parts: &KeyParts) -> Result<WrittenKey, KeyError> {
    let (verifying, proving) = ProvingKey::<S>::write(matrices, parts)?;
    Ok(WrittenKey { id: verifying.id(), verifying: verifying.to_bytes(), proving })
}

/// Every statement.
pub const STATEMENTS: [Entry; 5] = [
    Entry::of::<Eligibility>(),
    Entry::of::<ConsentGiven>(),
    Entry::of::<Aggregate<64>>(),
    Entry::of::<Aggregate<512>>(),
    Entry::of::<Aggregate<4096>>(),
];

/// The statement with this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Entry> {
    const ALL: &[Entry] = &STATEMENTS;
    ALL.iter().find(|entry| entry.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::groth16::setup::insecure_single_party_parts;
    use crate::testing::rng;

    #[test]
    fn names_are_unique_and_found() {
        for (at, entry) in STATEMENTS.iter().enumerate() {
            assert_eq!(find(entry.name()).map(Entry::name), Some(entry.name()));
            assert!(STATEMENTS[..at].iter().all(|other| other.name() != entry.name()));
        }
        assert!(find("ward/nothing/1").is_none());
    }

    #[test]
    fn a_key_written_by_name_is_the_key_of_the_statement() {
        let entry = find("ward/consent/1").unwrap();
        let (matrices, _) = entry.constraints();
        assert_eq!(matrices.inputs, entry.inputs());
        let parts = insecure_single_party_parts(&matrices, &mut rng(1));
        let written = entry.write_key(&matrices, &parts).unwrap();
        let hash = ProvingKey::<ConsentGiven>::validate(&written.proving).unwrap();
        let key = ProvingKey::<ConsentGiven>::open(&written.proving, hash).unwrap();
        assert_eq!(key.verifying_key().id(), written.id);
        let (public, witness) = ConsentGiven::example();
        let proof = key.prove(&public, &witness, &mut rng(2)).unwrap();
        let inputs: Vec<u8> =
            ConsentGiven::public_inputs(&public).iter().flat_map(crate::field::to_bytes).collect();
        let proof = proof.to_bytes();
        let presented = crate::groth16::Presented { key: written.id, inputs: &inputs, proof: &proof };
        assert!(key.verifying_key().verify(public, &presented).is_ok());
    }
}
