//! Who may do what: Cedar policies over roles, organisations, jobs, studies, hospitals and how somebody signed in.
//!
//! An [`Authorizer`] holds the schema and the policies: those shipped in the binary (`deploy/policies`), and the
//! operator's own. Both are validated against the schema when they are loaded, and an engine with a bad set does not
//! start. A [`Question`] (who, which act, on what) gets a [`Decision`] that names the policies that decided it. Where
//! none permits, it is refused.
//!
//! Source: Cutler et al., "Cedar: A New Language for Expressive, Fast, Safe, and Analyzable Authorization", OOPSLA
//! 2024; the crate `cedar-policy`.

mod decision;
mod error;
mod load;
mod question;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use cedar_policy::{Authorizer as Cedar, PolicySet, Schema};

pub use decision::Decision;
pub use error::PolicyError;
pub use load::{Rule, SCHEMA, shipped_files};
pub use question::{Circumstances, Question, Resource, Subject, SubjectKind};

/// The RPCs of the compiled descriptor set, as `Service.Method`, sorted.
pub const RPCS: &[&str] = &include!(concat!(env!("OUT_DIR"), "/rpcs.rs"));

/// The policies in force.
pub struct Authorizer {
    cedar: Cedar,
    schema: Schema,
    policies: PolicySet,
    rules: Vec<Rule>,
}

impl Authorizer {
    /// The rules, in the order of the files and in them.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Every action of the schema, sorted.
    #[must_use]
    pub fn actions(&self) -> BTreeSet<String> {
        self.schema.actions().map(|action| action.id().unescaped().to_owned()).collect()
    }
}
