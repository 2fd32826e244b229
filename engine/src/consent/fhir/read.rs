//! From a Consent to artefacts.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::date;
use super::mapping::{Mapping, PSEUDONYM_SYSTEM};
use crate::consent::{COUNT_MAX, Pseudonym, Rule, Scope, Status, Validity};

/// Deepest nesting of provisions.
const DEPTH_MAX: usize = 6;

/// Whom a consent is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The hospital's identifier of the patient.
    Identifier(String),
    /// A pseudonym of this hospital.
    Pseudonym(Pseudonym),
}

/// What a Consent says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Release and id: `fhir-r4 Consent/123`.
    pub source: String,
    /// The patient.
    pub subject: Subject,
    /// When the patient said it (unix milliseconds).
    pub stated_ms: u64,
    /// Statements, with their statuses.
    pub statements: Vec<(Rule, Validity, Status)>,
}

/// Why a resource, or a part of it, is not taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Reject {
    /// It is no Consent.
    NotAConsent,
    /// It has no id, or a date that is none.
    Malformed,
    /// It names no patient.
    Patient,
    /// Its status is not known, or says that nothing was decided.
    Status,
    /// It does not say whether it permits or denies.
    Decision,
    /// A permit names no purpose that is known.
    Purpose,
    /// A permit names only classes that are not known.
    Class,
    /// A permit is bound to what cannot be checked.
    Restriction,
    /// Provisions are nested too deeply, or a permit is an exception to a permit.
    Nesting,
}

impl Reject {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotAConsent => "not_a_consent",
            Self::Malformed => "malformed",
            Self::Patient => "patient",
            Self::Status => "status",
            Self::Decision => "decision",
            Self::Purpose => "purpose",
            Self::Class => "class",
            Self::Restriction => "restriction",
            Self::Nesting => "nesting",
        }
    }
}

/// Reads a resource. The parts of it that were not taken over are listed beside the document.
///
/// # Errors
/// The reason when nothing of it is taken over.
pub fn read(resource: &Json, mapping: &Mapping) -> Result<(Document, Vec<Reject>), Reject> {
    if resource["resourceType"] != "Consent" {
        return Err(Reject::NotAConsent);
    }
    let id = resource["id"].as_str().filter(|id| (1..=64).contains(&id.len())).ok_or(Reject::Malformed)?;
    let is_r5 = ["decision", "subject", "date"].iter().any(|name| !resource[*name].is_null())
        || resource["provision"].is_array();
    let who = if is_r5 { &resource["subject"] } else { &resource["patient"] };
    let subject = subject(who).ok_or(Reject::Patient)?;
    let open = match resource["status"].as_str().unwrap_or_default() {
        "active" => None,
        "draft" | "proposed" => Some(Status::Requested),
        "inactive" | "rejected" | "entered-in-error" => Some(Status::Revoked),
        _ => return Err(Reject::Status),
    };
    let stated = if is_r5 { &resource["date"] } else { &resource["dateTime"] };
    let stated_ms = match stated.as_str() {
        None => 0,
        Some(text) => date::span(text).ok_or(Reject::Malformed)?.0,
    };
    let mut reader = Reader { mapping, about: BTreeSet::new(), is_r5, rejects: Vec::new() };
    reader.about = mapping.scopes(&codings(&[&resource["scope"], &resource["category"]]));
    let statements = if is_r5 { reader.r5(resource)? } else { reader.r4(resource)? };
    let mut rejects = reader.rejects;
    rejects.dedup();
    let statements: Vec<_> = statements
        .into_iter()
        .map(|(rule, validity, permits)| {
            let said = if permits { Status::Granted } else { Status::Denied };
            (rule, validity, open.unwrap_or(said))
        })
        .collect();
    if statements.len() > COUNT_MAX {
        return Err(Reject::Nesting);
    }
    if statements.is_empty() {
        return Err(rejects.first().copied().unwrap_or(Reject::Decision));
    }
    let source = format!("fhir-{} Consent/{id}", if is_r5 { "r5" } else { "r4" });
    Ok((Document { source, subject, stated_ms, statements }, rejects))
}

fn subject(reference: &Json) -> Option<Subject> {
    let identifier = &reference["identifier"];
    if identifier["system"] == PSEUDONYM_SYSTEM {
        return identifier["value"].as_str().and_then(Pseudonym::parse).map(Subject::Pseudonym);
    }
    let text = reference["reference"].as_str().map(|text| {
        let text = text.split("/_history/").next().unwrap_or(text);
        text.strip_prefix("urn:uuid:").unwrap_or(text).rsplit('/').next().unwrap_or(text)
    });
    let text = text.or_else(|| identifier["value"].as_str())?;
    (!text.trim().is_empty()).then(|| Subject::Identifier(text.trim().to_owned()))
}

/// The codings of concepts, codings, or lists of either.
fn codings<'a>(values: &[&'a Json]) -> Vec<&'a Json> {
    let mut found = Vec::new();
    for value in values {
        match value {
            Json::Array(all) => found.extend(codings(&all.iter().collect::<Vec<_>>())),
            Json::Object(object) => match object.get("coding") {
                Some(coding) => found.extend(codings(&[coding])),
                None => found.push(*value),
            },
            _ => {}
        }
    }
    found
}

fn list(value: &Json) -> Vec<&Json> {
    match value {
        Json::Array(all) => all.iter().collect(),
        Json::Null => Vec::new(),
        one => vec![one],
    }
}

type Said = (Rule, Validity, bool);

struct Reader<'a> {
    mapping: &'a Mapping,
    /// What the consent as a whole is about.
    about: BTreeSet<crate::consent::Purpose>,
    is_r5: bool,
    rejects: Vec<Reject>,
}

impl Reader<'_> {
    fn r4(&mut self, resource: &Json) -> Result<Vec<Said>, Reject> {
        let root = &resource["provision"];
        let policy = codings(&[&resource["policyRule"]]);
        let policy = policy.iter().find_map(|coding| match coding["code"].as_str()? {
            "OPTIN" | "OPTINR" => Some(true),
            "OPTOUT" | "OPTOUTE" => Some(false),
            _ => None,
        });
        match type_of(root)?.or(policy) {
            Some(permits) => self.base(root, permits, &list(&root["provision"])),
            None => {
                let mut said = Vec::new();
                for nested in list(&root["provision"]) {
                    let permits = type_of(nested)?.ok_or(Reject::Decision)?;
                    for (rule, validity, permits) in
                        self.base(nested, permits, &list(&nested["provision"]))?
                    {
                        let outer = self.scope(root, permits);
                        let Some((scope, within)) = self.take(outer)? else { continue };
                        let scope = inside(&scope, &rule.scope);
                        said.push((Rule { scope, ..rule }, narrower(within, validity), permits));
                    }
                }
                Ok(said)
            }
        }
    }

    fn r5(&mut self, resource: &Json) -> Result<Vec<Said>, Reject> {
        let permits = match resource["decision"].as_str() {
            Some("permit") => true,
            Some("deny") => false,
            _ => return Err(Reject::Decision),
        };
        let mut root = serde_json::json!({ "period": resource["period"] });
        let grantees = list(&resource["grantee"]);
        if !grantees.is_empty() {
            let actors = grantees.into_iter().map(|reference| serde_json::json!({ "reference": reference }));
            root["actor"] = Json::Array(actors.collect());
        }
        self.base(&root, permits, &list(&resource["provision"]))
    }

    /// A base rule with its exceptions. When it permits and cannot be taken over, its exceptions still deny.
    fn base(&mut self, provision: &Json, permits: bool, nested: &[&Json]) -> Result<Vec<Said>, Reject> {
        let mut except = Vec::new();
        for nested in nested {
            except.extend(self.exception(nested, permits, 1)?);
        }
        let own = self.scope(provision, permits);
        match self.take(own)? {
            Some((mut scope, validity)) => {
                if permits && scope.purposes.is_empty() {
                    scope.purposes.clone_from(&self.about);
                }
                if !permits || !scope.purposes.is_empty() {
                    return Ok(vec![(
                        Rule { scope, validity: Validity::default(), except },
                        validity,
                        permits,
                    )]);
                }
                self.rejects.push(Reject::Purpose);
            }
            None if !permits => return Ok(Vec::new()),
            None => {}
        }
        Ok(except
            .into_iter()
            .map(|rule| (Rule { validity: Validity::default(), ..rule.clone() }, rule.validity, false))
            .collect())
    }

    /// An exception to a rule that permits, or denies.
    fn exception(&mut self, provision: &Json, outer: bool, depth: usize) -> Result<Option<Rule>, Reject> {
        if depth > DEPTH_MAX {
            return Err(Reject::Nesting);
        }
        let permits = if self.is_r5 { !outer } else { type_of(provision)?.ok_or(Reject::Decision)? };
        if permits == outer {
            // A denial inside a denial says nothing new; a permit inside a permit could be meant to narrow it.
            return if permits { Err(Reject::Nesting) } else { Ok(None) };
        }
        let mut except = Vec::new();
        for nested in list(&provision["provision"]) {
            except.extend(self.exception(nested, permits, depth + 1)?);
        }
        let own = self.scope(provision, permits);
        Ok(self.take(own)?.map(|(mut scope, validity)| {
            if permits && scope.purposes.is_empty() {
                scope.purposes.clone_from(&self.about);
            }
            Rule { scope, validity, except }
        }))
    }

    /// A part that is rejected alone is counted; the rest of the consent stands.
    fn take<T>(&mut self, part: Result<T, Reject>) -> Result<Option<T>, Reject> {
        match part {
            Ok(part) => Ok(Some(part)),
            Err(Reject::Malformed) => Err(Reject::Malformed),
            Err(reject) => {
                self.rejects.push(reject);
                Ok(None)
            }
        }
    }

    /// What a provision is about: of a permit no more than is known, of a denial no less.
    fn scope(&self, provision: &Json, permits: bool) -> Result<(Scope, Validity), Reject> {
        let mut scope = Scope::default();
        let purposes = codings(&[&provision["purpose"]]);
        let found = self.mapping.purposes(&purposes);
        if permits && !purposes.is_empty() && found.known.is_empty() {
            return Err(Reject::Purpose);
        }
        if permits || found.all {
            scope.purposes = found.known;
        }
        let types = codings(&[&provision["class"], &provision["resourceType"], &provision["documentType"]]);
        for codes in [types, codings(&[&provision["code"]])] {
            let found = self.mapping.classes(&codes);
            if codes.is_empty() || (!permits && !found.all) {
                continue;
            }
            // Both kinds of codes hold at once.
            let known = match scope.classes.is_empty() {
                true => found.known,
                false => scope.classes.intersection(&found.known).cloned().collect(),
            };
            if known.is_empty() {
                if permits {
                    return Err(Reject::Class);
                }
                continue;
            }
            scope.classes = known;
        }
        self.actors(provision, permits, &mut scope);
        if permits {
            restrictions(provision)?;
        }
        Ok((scope, period(&provision["period"])?))
    }

    fn actors(&self, provision: &Json, permits: bool, scope: &mut Scope) {
        let is_custodian = |actor: &&Json| {
            codings(&[&actor["role"]])
                .iter()
                .any(|role| matches!(role["code"].as_str(), Some("CST" | "CUST")))
        };
        let actors = list(&provision["actor"]);
        let named: Vec<&Json> = actors.into_iter().filter(|actor| !is_custodian(actor)).collect();
        let members: Vec<Option<String>> =
            named.iter().map(|actor| self.mapping.actor(&actor["reference"])).collect();
        if !permits && members.iter().any(Option::is_none) {
            return;
        }
        // Whoever is no member stays in the scope of a permit, so that it is not for everybody.
        let nobody = |actor: &Json| {
            let text = actor["reference"]["reference"].as_str().unwrap_or("unknown");
            format!("fhir:{}", text.chars().take(100).collect::<String>().trim())
        };
        let names =
            members.into_iter().zip(named).map(|(member, actor)| member.unwrap_or_else(|| nobody(actor)));
        scope.grantees = names.collect();
    }
}

/// What a provision does, where it says.
fn type_of(provision: &Json) -> Result<Option<bool>, Reject> {
    match &provision["type"] {
        Json::Null => Ok(None),
        Json::String(text) if text == "permit" => Ok(Some(true)),
        Json::String(text) if text == "deny" => Ok(Some(false)),
        _ => Err(Reject::Decision),
    }
}

/// Bounds of a permit that Ward cannot check, and actions that are not what Ward does.
fn restrictions(provision: &Json) -> Result<(), Reject> {
    let bound = ["securityLabel", "data", "dataPeriod", "expression"];
    if bound.iter().any(|name| !list(&provision[*name]).is_empty()) {
        return Err(Reject::Restriction);
    }
    let actions = codings(&[&provision["action"]]);
    let is_use = |action: &&Json| matches!(action["code"].as_str(), Some("access" | "use" | "disclose"));
    if actions.is_empty() || actions.iter().any(is_use) { Ok(()) } else { Err(Reject::Restriction) }
}

fn period(period: &Json) -> Result<Validity, Reject> {
    let moment = |name: &str| match &period[name] {
        Json::Null => Ok(None),
        Json::String(text) => date::span(text).map(Some).ok_or(Reject::Malformed),
        _ => Err(Reject::Malformed),
    };
    let validity = Validity { from_ms: moment("start")?.map(|s| s.0), until_ms: moment("end")?.map(|s| s.1) };
    match (validity.from_ms, validity.until_ms) {
        (Some(from), Some(until)) if from >= until => Err(Reject::Malformed),
        _ => Ok(validity),
    }
}

fn inside(outer: &Scope, inner: &Scope) -> Scope {
    let pick = |inner: &BTreeSet<String>, outer: &BTreeSet<String>| {
        if inner.is_empty() { outer.clone() } else { inner.clone() }
    };
    Scope {
        grantees: pick(&inner.grantees, &outer.grantees),
        classes: pick(&inner.classes, &outer.classes),
        purposes: if inner.purposes.is_empty() { outer.purposes.clone() } else { inner.purposes.clone() },
    }
}

fn narrower(outer: Validity, inner: Validity) -> Validity {
    let until_ms = match (outer.until_ms, inner.until_ms) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    Validity { from_ms: outer.from_ms.max(inner.from_ms), until_ms }
}
