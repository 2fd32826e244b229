//! Reading policies: the shipped ones and the operator's, each validated, each under its own name.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::str::FromStr as _;

use cedar_policy::ffi::DetailedError;
use cedar_policy::{
    ActionConstraint, Authorizer as Cedar, Effect, Policy, PolicyId, PolicySet, Schema, ValidationMode,
    Validator,
};
use serde::Serialize;

use super::{Authorizer, PolicyError, RPCS};

/// The schema, as Cedar writes schemas.
pub const SCHEMA: &str = include_str!("../../../../deploy/policies/ward.cedarschema");

/// The shipped policies, by file.
const SHIPPED: [(&str, &str); 6] = [
    ("researchers.cedar", include_str!("../../../../deploy/policies/researchers.cedar")),
    ("operators.cedar", include_str!("../../../../deploy/policies/operators.cedar")),
    ("hospitals.cedar", include_str!("../../../../deploy/policies/hospitals.cedar")),
    ("care.cedar", include_str!("../../../../deploy/policies/care.cedar")),
    ("oversight.cedar", include_str!("../../../../deploy/policies/oversight.cedar")),
    ("step-up.cedar", include_str!("../../../../deploy/policies/step-up.cedar")),
];

/// Largest file of policies, bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The shipped policies: name of the file, and text.
#[must_use]
pub fn shipped_files() -> &'static [(&'static str, &'static str)] {
    &SHIPPED
}

/// A policy, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// Its name: `@id`.
    pub id: String,
    /// Where it stands: file and line.
    pub place: String,
    /// `permit` or `forbid`.
    pub effect: &'static str,
    /// What it says, in a sentence: `@says`.
    pub says: String,
    /// What somebody whom it refuses may do: `@hint`.
    pub hint: String,
    /// Suffix of the refusal's code: `@code`; `denied` where there is none.
    pub code: String,
    /// The actions it is about; empty for all.
    pub actions: BTreeSet<String>,
}

impl Authorizer {
    /// The shipped policies alone.
    ///
    /// # Errors
    /// [`PolicyError`] where the binary's own policies do not fit its own schema, which a test excludes.
    pub fn shipped() -> Result<Self, PolicyError> {
        Self::load(&[])
    }

    /// The shipped policies, and those of the operator's files. An added policy may permit more, or forbid; it cannot
    /// take away what a shipped policy forbids.
    ///
    /// # Errors
    /// [`PolicyError`] with file, line and column.
    pub fn load(files: &[PathBuf]) -> Result<Self, PolicyError> {
        let mut authorizer = Self::empty()?;
        for (name, text) in SHIPPED {
            authorizer.add(name, text)?;
        }
        for path in files {
            let name = path.display().to_string();
            let unreadable = |reason: String| PolicyError::Unreadable { file: name.clone(), reason };
            let bytes = std::fs::metadata(path).map_err(|e| unreadable(e.to_string()))?.len();
            if bytes > FILE_BYTES_MAX {
                return Err(unreadable(format!("it is larger than {FILE_BYTES_MAX} bytes")));
            }
            let text = std::fs::read_to_string(path).map_err(|e| unreadable(e.to_string()))?;
            authorizer.add(&name, &text)?;
        }
        Ok(authorizer)
    }

    /// The schema, checked to know every call of this version, and no policies.
    fn empty() -> Result<Self, PolicyError> {
        let schema = Schema::from_cedarschema_str(SCHEMA)
            .map_err(|e| at("ward.cedarschema", SCHEMA, &DetailedError::from(&e)))?
            .0;
        let empty = Self { cedar: Cedar::new(), schema, policies: PolicySet::new(), rules: Vec::new() };
        let known = empty.actions();
        match RPCS.iter().find(|rpc| !known.contains(**rpc)) {
            Some(rpc) => Err(PolicyError::Call { rpc: (*rpc).to_owned() }),
            None => Ok(empty),
        }
    }

    /// Adds the policies of a file.
    ///
    /// # Errors
    /// [`PolicyError`]; then nothing is added.
    pub fn add(&mut self, file: &str, text: &str) -> Result<(), PolicyError> {
        let parsed = PolicySet::from_str(text).map_err(|errors| {
            let first = errors.iter().next().map(DetailedError::from);
            at(file, text, &first.unwrap_or_else(|| DetailedError::from(&errors)))
        })?;
        let validator = Validator::new(self.schema.clone());
        let checked = validator.validate(&parsed, ValidationMode::Strict);
        if let Some(error) = checked.validation_errors().next() {
            let id = parsed.annotation(error.policy_id(), "id").unwrap_or("without @id").to_owned();
            return Err(invalid(file, text, (&id, &DetailedError::from(error))));
        }
        let refuse = |id: &str, from: usize, message: &str| {
            let (line, column) = position(text, from);
            let (file, policy, message) = (file.to_owned(), id.to_owned(), message.to_owned());
            Err(PolicyError::Invalid { file, line, column, policy, message })
        };
        if let Some(template) = parsed.templates().next() {
            return refuse(template.id().as_ref(), 0, "templates are not taken: write the policy out");
        }
        let mut policies = self.policies.clone();
        let mut rules = self.rules.clone();
        for policy in parsed.policies() {
            let Some(id) = policy.annotation("id").filter(|id| !id.is_empty()) else {
                let from = policy.to_cedar().and_then(|own| text.find(own.trim())).unwrap_or(0);
                return refuse(policy.id().as_ref(), from, "it has no @id(\"...\")");
            };
            let from = text.find(&format!("@id(\"{id}\")")).unwrap_or(0);
            if policies.add(policy.new_id(PolicyId::new(id))).is_err() {
                return refuse(id, from, "another policy has the same @id");
            }
            rules.push(self.rule(policy, id, format!("{file}:{}", position(text, from).0)));
        }
        (self.policies, self.rules) = (policies, rules);
        Ok(())
    }

    fn rule(&self, policy: &Policy, id: &str, place: String) -> Rule {
        let note = |key: &str| policy.annotation(key).unwrap_or_default().to_owned();
        let text = |uid: &cedar_policy::EntityUid| uid.id().unescaped().to_owned();
        let actions = match policy.action_constraint() {
            ActionConstraint::Any => self.actions(),
            ActionConstraint::Eq(one) => BTreeSet::from([text(&one)]),
            ActionConstraint::In(many) => many.iter().map(text).collect(),
        };
        let code = Some(note("code")).filter(|code| !code.is_empty());
        Rule {
            id: id.to_owned(),
            place,
            effect: if policy.effect() == Effect::Permit { "permit" } else { "forbid" },
            says: note("says"),
            hint: note("hint"),
            code: code.unwrap_or_else(|| "denied".to_owned()),
            actions,
        }
    }
}

/// Line and column, from 1, of a byte of a text.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at.min(text.len())).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

fn place(text: &str, error: &DetailedError) -> (usize, usize) {
    position(text, error.source_locations.first().map_or(0, |label| label.loc.start))
}

/// What a parser says, on one line.
fn message(error: &DetailedError) -> String {
    let label = error.source_locations.first().and_then(|label| label.label.clone());
    let parts = [Some(error.message.clone()), label, error.help.clone()];
    parts.into_iter().flatten().collect::<Vec<_>>().join(": ").replace('\n', " ")
}

fn at(file: &str, text: &str, error: &DetailedError) -> PolicyError {
    let (line, column) = place(text, error);
    PolicyError::Syntax { file: file.to_owned(), line, column, message: message(error) }
}

fn invalid(file: &str, text: &str, (policy, error): (&str, &DetailedError)) -> PolicyError {
    let (line, column) = place(text, error);
    let (file, policy, message) = (file.to_owned(), policy.to_owned(), message(error));
    PolicyError::Invalid { file, line, column, policy, message }
}
