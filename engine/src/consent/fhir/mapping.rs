//! What codes in FHIR Consents mean here: a mapping file, with a shipped default.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;
use serde_json::Value as Json;

use crate::consent::{ConsentError, Purpose};

/// System of Ward's data classes in FHIR.
pub const CLASS_SYSTEM: &str = "urn:ward:data-class";
/// System of members of the consortium in FHIR.
pub const MEMBER_SYSTEM: &str = "urn:ward:member";
/// System of pseudonyms in FHIR.
pub const PSEUDONYM_SYSTEM: &str = "urn:ward:pseudonym";
/// System of the Data Use Ontology in FHIR.
pub const DUO_SYSTEM: &str = "http://purl.obolibrary.org/obo/duo.owl";
/// Largest mapping file, in bytes.
const BYTES_MAX: u64 = 1 << 20;

/// How FHIR Consents are read. Keys are `system|code`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    #[serde(default)]
    purposes: BTreeMap<String, Purpose>,
    #[serde(default)]
    scopes: BTreeMap<String, Purpose>,
    #[serde(default)]
    classes: BTreeMap<String, String>,
    #[serde(default)]
    actors: BTreeMap<String, String>,
}

/// Values that were understood, and whether all were.
pub(super) struct Understood<T> {
    pub known: BTreeSet<T>,
    pub all: bool,
}

impl Mapping {
    /// The shipped mapping.
    ///
    /// # Errors
    /// None, as the tests show.
    pub fn shipped() -> Result<Self, ConsentError> {
        Self::parse(include_str!("default.toml"))
    }

    /// Reads a mapping; it replaces the shipped one.
    ///
    /// # Errors
    /// [`ConsentError::Mapping`].
    pub fn load(path: &Path) -> Result<Self, ConsentError> {
        let bad = |reason: String| ConsentError::Mapping { reason: format!("{}: {reason}", path.display()) };
        let meta = std::fs::metadata(path).map_err(|e| bad(e.kind().to_string()))?;
        if meta.len() > BYTES_MAX {
            return Err(bad(format!("it is larger than {BYTES_MAX} bytes")));
        }
        let text = std::fs::read_to_string(path).map_err(|e| bad(e.kind().to_string()))?;
        Self::parse(&text).map_err(|error| match error {
            ConsentError::Mapping { reason } => bad(reason),
            other => other,
        })
    }

    /// Reads the text of a mapping.
    ///
    /// # Errors
    /// [`ConsentError::Mapping`].
    pub fn parse(text: &str) -> Result<Self, ConsentError> {
        toml::from_str(text).map_err(|e| ConsentError::Mapping { reason: e.message().replace('\n', " ") })
    }

    /// The purposes of codings.
    pub(super) fn purposes(&self, codings: &[&Json]) -> Understood<Purpose> {
        understood(codings, |coding| {
            let (system, code) = parts(coding);
            let mapped = self.purposes.get(&key(coding)).copied();
            mapped
                .or_else(|| Purpose::parse(code).ok().filter(|_| system.contains("obo") || system.is_empty()))
        })
    }

    /// The purposes of a consent's scope and categories: what it is about as a whole.
    pub(super) fn scopes(&self, codings: &[&Json]) -> BTreeSet<Purpose> {
        codings.iter().filter_map(|coding| self.scopes.get(&key(coding)).copied()).collect()
    }

    /// The data classes of codings.
    pub(super) fn classes(&self, codings: &[&Json]) -> Understood<String> {
        understood(codings, |coding| {
            let (system, code) = parts(coding);
            let mapped = self.classes.get(&key(coding)).cloned();
            // Releases 4 and 5 name resource types by different systems.
            let renamed = || {
                let known = format!("http://hl7.org/fhir/resource-types|{code}");
                self.classes.get(&known).filter(|_| system == "http://hl7.org/fhir/fhir-types").cloned()
            };
            let own = || (system == CLASS_SYSTEM && !code.is_empty()).then(|| code.to_owned());
            mapped.or_else(renamed).or_else(own)
        })
    }

    /// The member that a reference to an actor means.
    pub(super) fn actor(&self, reference: &Json) -> Option<String> {
        let identifier = &reference["identifier"];
        let value = identifier["value"].as_str().unwrap_or_default();
        if identifier["system"] == MEMBER_SYSTEM && !value.is_empty() {
            return Some(value.to_owned());
        }
        let texts = [reference["reference"].as_str().map(str::to_owned), Some(key_of(identifier, "value"))];
        texts.into_iter().flatten().find_map(|text| self.actors.get(&text).cloned())
    }
}

fn understood<T: Ord>(codings: &[&Json], meaning: impl Fn(&Json) -> Option<T>) -> Understood<T> {
    let found: Vec<Option<T>> = codings.iter().map(|coding| meaning(coding)).collect();
    let all = found.iter().all(Option::is_some);
    Understood { known: found.into_iter().flatten().collect(), all }
}

fn parts(coding: &Json) -> (&str, &str) {
    (coding["system"].as_str().unwrap_or_default(), coding["code"].as_str().unwrap_or_default())
}

fn key(coding: &Json) -> String {
    key_of(coding, "code")
}

fn key_of(coding: &Json, code: &str) -> String {
    let text = |name: &str| coding[name].as_str().unwrap_or_default();
    format!("{}|{}", text("system"), text(code))
}
