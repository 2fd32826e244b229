//! From an artefact to a Consent. The patient appears as a pseudonym.

use serde_json::{Map, Value as Json, json};

use super::date;
use super::mapping::{CLASS_SYSTEM, DUO_SYSTEM, MEMBER_SYSTEM, PSEUDONYM_SYSTEM};
use crate::consent::{Artefact, Rule, Status, Validity};

/// Scopes of consents.
const SCOPE_SYSTEM: &str = "http://terminology.hl7.org/CodeSystem/consentscope";

/// A release of FHIR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// 4.0.1.
    R4,
    /// 5.0.0.
    R5,
}

/// Writes an artefact as a Consent.
///
/// Release 4 says all of it. In release 5 a base has no scope: a grant is written as an exception to a denial of
/// everything, a denial as an exception to a permit that names no purpose.
#[must_use]
pub fn write(artefact: &Artefact, release: Release) -> Json {
    let status = match (artefact.status, release) {
        (Status::Requested, Release::R4) => "proposed",
        (Status::Requested, Release::R5) => "draft",
        (Status::Granted | Status::Denied, _) => "active",
        (Status::Revoked | Status::Expired, _) => "inactive",
    };
    let patient =
        json!({ "identifier": { "system": PSEUDONYM_SYSTEM, "value": artefact.pseudonym.to_string() } });
    let category = json!([{ "coding": [{ "system": "http://loinc.org", "code": "59284-0" }] }]);
    let permits = artefact.status != Status::Denied;
    let stated = date::instant(artefact.provenance.stated_ms);
    match release {
        Release::R4 => json!({
            "resourceType": "Consent",
            "id": artefact.id,
            "status": status,
            "scope": { "coding": [{ "system": SCOPE_SYSTEM, "code": "patient-privacy" }] },
            "category": category,
            "patient": patient,
            "dateTime": stated,
            "policyRule": { "coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
                "code": if permits { "OPTIN" } else { "OPTOUT" },
            }] },
            "provision": provision(&artefact.rule, artefact.validity, Some(permits)),
        }),
        Release::R5 => {
            let is_base = !permits && artefact.rule.is_default();
            let mut consent = json!({
                "resourceType": "Consent",
                "id": artefact.id,
                "status": status,
                "category": category,
                "subject": patient,
                "date": stated,
                "decision": if permits || is_base { "deny" } else { "permit" },
                "provision": match is_base {
                    true => artefact.rule.except.iter().map(|rule| provision(rule, rule.validity, None)).collect(),
                    false => vec![provision(&artefact.rule, artefact.validity, None)],
                },
            });
            if is_base && let Some(period) = period(artefact.validity) {
                consent["period"] = period;
            }
            consent
        }
    }
}

/// A provision; `permits` is written where the release has a type.
fn provision(rule: &Rule, validity: Validity, permits: Option<bool>) -> Json {
    let mut provision = Map::new();
    let mut put = |name: &str, value: Option<Json>| {
        if let Some(value) = value {
            provision.insert(name.to_owned(), value);
        }
    };
    put("type", permits.map(|permits| json!(if permits { "permit" } else { "deny" })));
    put("period", period(validity));
    let scope = &rule.scope;
    let many = |values: Vec<Json>| (!values.is_empty()).then_some(Json::Array(values));
    let recipient = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType";
    let actor = |name: &String| {
        json!({
            "role": { "coding": [{ "system": recipient, "code": "IRCP" }] },
            "reference": { "identifier": { "system": MEMBER_SYSTEM, "value": name } },
        })
    };
    put("actor", many(scope.grantees.iter().map(actor).collect()));
    let purpose =
        |purpose: &crate::consent::Purpose| json!({ "system": DUO_SYSTEM, "code": purpose.to_string() });
    put("purpose", many(scope.purposes.iter().map(purpose).collect()));
    let class = |class: &String| json!({ "system": CLASS_SYSTEM, "code": class });
    let classes = if permits.is_some() { "class" } else { "resourceType" };
    put(classes, many(scope.classes.iter().map(class).collect()));
    let nested = rule.except.iter().map(|rule| provision_of(rule, permits));
    put("provision", many(nested.collect()));
    Json::Object(provision)
}

fn provision_of(rule: &Rule, outer: Option<bool>) -> Json {
    provision(rule, rule.validity, outer.map(|permits| !permits))
}

/// FHIR's periods include their last moment.
fn period(validity: Validity) -> Option<Json> {
    if validity == Validity::default() {
        return None;
    }
    let mut period = Map::new();
    if let Some(from) = validity.from_ms {
        period.insert("start".to_owned(), date::instant(from).into());
    }
    if let Some(until) = validity.until_ms {
        period.insert("end".to_owned(), date::instant(until.saturating_sub(1)).into());
    }
    Some(Json::Object(period))
}
