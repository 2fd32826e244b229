//! Steps: the path from the program to the gate that is at work. A step keys the channel and the randomness, so
//! that no message and no mask can be taken for another's.

use std::fmt;

use sha3::{Digest, Sha3_256};

/// A step's name on the wire and in the key of its randomness: 128 bits of a hash of its path.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepId(pub [u8; 16]);

impl fmt::Debug for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// A path of names.
#[derive(Clone, Debug)]
pub struct Step {
    id: StepId,
    path: String,
}

impl Step {
    /// The root of a session's steps.
    #[must_use]
    pub fn root() -> Self {
        Self { id: hash(&[0; 16], "", 0), path: String::new() }
    }

    /// A part of this step.
    #[must_use]
    pub fn narrow(&self, name: &str) -> Self {
        self.child(name, 0, format!("{}/{name}", self.path))
    }

    /// A numbered part of this step.
    #[must_use]
    pub fn narrow_at(&self, name: &str, index: usize) -> Self {
        let number = (index as u64).wrapping_add(1);
        self.child(name, number, format!("{}/{name}[{index}]", self.path))
    }

    /// The hash of the path.
    #[must_use]
    pub fn id(&self) -> StepId {
        self.id
    }

    /// The path, for errors and counters.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    fn child(&self, name: &str, number: u64, path: String) -> Self {
        Self { id: hash(&self.id.0, name, number), path }
    }
}

fn hash(parent: &[u8; 16], name: &str, number: u64) -> StepId {
    let digest = Sha3_256::new()
        .chain_update(b"ward/mpc/v1/step")
        .chain_update(parent)
        .chain_update(number.to_le_bytes())
        .chain_update(name.as_bytes())
        .finalize();
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    StepId(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_read_alike_are_different_steps() {
        let root = Step::root();
        let ids = [
            root.narrow("a").narrow("b").id(),
            root.narrow("a/b").id(),
            root.narrow_at("a", 0).id(),
            root.narrow("a[0]").id(),
            root.narrow("a").id(),
            root.id(),
        ];
        for (i, a) in ids.iter().enumerate() {
            assert!(ids[i + 1..].iter().all(|b| a != b), "step {i}");
        }
    }
}
