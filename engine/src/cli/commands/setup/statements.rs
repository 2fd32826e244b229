//! The statements that keys can be made for.

use ward_circuits::catalog::{Entry, STATEMENTS, WrittenKey};
use ward_circuits::groth16::{KeyError, KeyParts};
use ward_circuits::r1cs::Matrices;

use crate::problem::{Problem, ProblemKind};

type Constraints = Box<dyn Fn() -> Matrices + Send + Sync>;
type Keys = Box<dyn Fn(&Matrices, &KeyParts) -> Result<WrittenKey, KeyError> + Send + Sync>;

/// A statement by its name.
pub(super) struct Known {
    /// Its name, which the second phase bears (`ward/eligibility/1`).
    pub(super) name: &'static str,
    /// Its folder in a ceremony's, and its name on the command line (`eligibility-1`).
    pub(super) folder: String,
    /// Its constraints.
    pub(super) constraints: Constraints,
    /// Its keys from the points that a ceremony ends in.
    pub(super) keys: Keys,
}

impl Known {
    /// A statement of this name.
    pub(super) fn new(name: &'static str, constraints: Constraints, keys: Keys) -> Self {
        let folder = name.trim_start_matches("ward/").replace('/', "-");
        Self { name, folder, constraints, keys }
    }
}

/// All of them.
pub(super) fn all() -> Vec<Known> {
    let known = |entry: Entry| {
        Known::new(
            entry.name(),
            Box::new(move || entry.constraints().0),
            Box::new(move |matrices, parts| entry.write_key(matrices, parts)),
        )
    };
    STATEMENTS.into_iter().map(known).collect()
}

/// The one called `name`, in full or as on the command line.
pub(super) fn find(name: &str) -> Result<Known, Problem> {
    all().into_iter().find(|known| known.name == name || known.folder == name).ok_or_else(|| {
        let names: Vec<String> = all().into_iter().map(|known| known.folder).collect();
        Problem::new(ProblemKind::NotFound, "setup.statement", format!("there is no statement `{name}`"))
            .hint(format!("statements: {}", names.join(", ")))
    })
}
