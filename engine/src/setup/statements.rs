//! The statements that keys can be made for.

use std::sync::Arc;

use ward_circuits::catalog::{Entry, STATEMENTS, WrittenKey};
use ward_circuits::groth16::{KeyError, KeyParts};
use ward_circuits::r1cs::Matrices;

use crate::problem::{Problem, ProblemKind};

type Constraints = Arc<dyn Fn() -> Matrices + Send + Sync>;
type Keys = Arc<dyn Fn(&Matrices, &KeyParts) -> Result<WrittenKey, KeyError> + Send + Sync>;

/// A statement by its name.
#[derive(Clone)]
pub struct Known {
    /// Its name, which the second phase bears (`ward/eligibility/1`).
    pub name: &'static str,
    /// Its folder in a ceremony's, and its name on the command line (`eligibility-1`).
    pub folder: String,
    /// Its constraints.
    pub constraints: Constraints,
    /// Its keys from the points that a ceremony ends in.
    pub keys: Keys,
}

impl Known {
    /// A statement of this name.
    #[must_use]
    pub fn new(name: &'static str, constraints: Constraints, keys: Keys) -> Self {
        let folder = name.trim_start_matches("ward/").replace('/', "-");
        Self { name, folder, constraints, keys }
    }
}

/// All of them.
#[must_use]
pub fn all() -> Vec<Known> {
    let known = |entry: Entry| {
        Known::new(
            entry.name(),
            Arc::new(move || entry.constraints().0),
            Arc::new(move |matrices, parts| entry.write_key(matrices, parts)),
        )
    };
    STATEMENTS.into_iter().map(known).collect()
}

/// The one called `name`, in full or as on the command line.
///
/// # Errors
/// `setup.statement` when there is none, with those there are.
pub fn find(name: &str) -> Result<Known, Problem> {
    find_in(&all(), name)
}

/// The one called `name` of these.
///
/// # Errors
/// `setup.statement` when there is none, with those there are.
pub fn find_in(statements: &[Known], name: &str) -> Result<Known, Problem> {
    statements.iter().find(|known| known.name == name || known.folder == name).cloned().ok_or_else(|| {
        let names: Vec<&str> = statements.iter().map(|known| known.folder.as_str()).collect();
        Problem::new(ProblemKind::NotFound, "setup.statement", format!("there is no statement `{name}`"))
            .hint(format!("statements: {}", names.join(", ")))
    })
}
