//! Events as FHIR R4 AuditEvent resources, under the profiles of IHE Basic Audit Log Patterns (BALP 1.1.4).
//!
//! What left the house about one patient is `PrivacyDisclosure.Source`; an act on one patient's data, or on something
//! else, that succeeded and created, read, updated or deleted it is `PatientRead`, `Read` and so on. Other events
//! (cohorts that were counted, refusals, failures) are AuditEvents that claim no profile: BALP's are of successful acts,
//! and its disclosure wants one patient.

use std::net::{IpAddr, SocketAddr};

use serde_json::{Value, json};

use super::{Entry, Event, Outcome, Sealed};

const PROFILES: &str = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit";
const DICOM: &str = "http://dicom.nema.org/resources/ontology/DCM";
const TERMINOLOGY: &str = "http://terminology.hl7.org/CodeSystem";
/// Purposes are codes of the Data Use Ontology.
const DUO: &str = "http://purl.obolibrary.org/obo/duo.owl";

/// What an action does to data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Create,
    Read,
    Update,
    Delete,
    Execute,
}

impl Kind {
    fn of(action: &str) -> Self {
        match action.rsplit('.').next().unwrap_or_default() {
            "accept" | "add" | "enrol" | "grant" | "import" | "issue" | "keep" | "new" | "publish"
            | "receive" | "register" | "request" | "store" => Self::Create,
            "export" | "fetch" | "give" | "list" | "preview" | "read" | "report" | "search" | "show" => {
                Self::Read
            }
            "approve" | "decide" | "deny" | "expire" | "pin" | "redact" | "refill" | "revoke" | "rotate"
            | "unpin" | "update" | "withdraw" => Self::Update,
            "delete" | "erase" | "remove" => Self::Delete,
            _ => Self::Execute,
        }
    }

    /// FHIR's letter, the interaction, BALP's name of the profile.
    const fn words(self) -> (&'static str, &'static str, Option<&'static str>) {
        match self {
            Self::Create => ("C", "create", Some("Create")),
            Self::Read => ("R", "read", Some("Read")),
            Self::Update => ("U", "update", Some("Update")),
            Self::Delete => ("D", "delete", Some("Delete")),
            Self::Execute => ("E", "operation", None),
        }
    }
}

/// Whether an act reads data.
pub(super) fn reads(action: &str) -> bool {
    Kind::of(action) == Kind::Read
}

fn coding(system: &str, code: &str, display: &str) -> Value {
    json!({ "system": system, "code": code, "display": display })
}

fn terms(name: &str, code: &str, display: &str) -> Value {
    coding(&format!("{TERMINOLOGY}/{name}"), code, display)
}

/// A time as FHIR's `instant`.
fn instant(at_ms: u64) -> String {
    let seconds = crate::clock::utc(at_ms).replacen(' ', "T", 1);
    format!("{}.{:03}Z", seconds.trim_end_matches('Z'), at_ms % 1000)
}

/// The resource of an event of the chain that `owner` keeps. Its id is the event's number in that chain.
#[must_use]
pub fn audit_event(owner: &str, sealed: &Sealed) -> Value {
    let stub = sealed.entry.stub();
    let mut resource = json!({
        "resourceType": "AuditEvent",
        "id": format!("{}-{}", slug(owner), sealed.seq),
        "recorded": instant(stub.at_ms),
        "outcome": match stub.outcome { Outcome::Success => "0", Outcome::Refused => "4", Outcome::Failure => "8" },
        "source": { "observer": { "display": owner }, "type": [terms("security-source-type", "4", "Application Server")] },
    });
    match &sealed.entry {
        Entry::Whole { event, .. } => describe(&mut resource, owner, event),
        Entry::Redacted(_) => {
            resource["type"] = terms("audit-event-type", "rest", "Restful Operation");
            resource["action"] = json!(Kind::of(&stub.action).words().0);
            resource["agent"] = json!([{ "who": { "display": "redacted" }, "requestor": true }]);
            resource["outcomeDesc"] = json!(format!("{}, redacted by retention", stub.action));
        }
    }
    let value = |hash: String| json!({ "identifier": { "system": "urn:ward:audit-hash", "value": hash } });
    let chain = json!({ "what": value(sealed.hash.to_string()), "name": "link of the audit chain" });
    if let Some(entities) = resource["entity"].as_array_mut() {
        entities.push(chain);
    } else {
        resource["entity"] = json!([chain]);
    }
    resource
}

/// A FHIR id: letters, digits and hyphens, at most 40 of them.
fn slug(name: &str) -> String {
    let keep = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    name.chars().take(40).map(keep).collect()
}

fn describe(resource: &mut Value, owner: &str, event: &Event) {
    let about = &event.context;
    let kind = Kind::of(&event.action);
    let (letter, interaction, name) = kind.words();
    let is_success = event.outcome == Outcome::Success;
    let is_disclosure = !about.recipient.is_empty();
    let (has_patient, of_patient) = if about.patient.is_empty() { (false, "") } else { (true, "Patient") };
    let profile = match (is_disclosure, has_patient, name) {
        _ if !is_success => None,
        (true, true, _) => Some(format!("{PROFILES}.PrivacyDisclosure.Source")),
        (true, false, _) | (_, _, None) => None,
        (false, _, Some(name)) => Some(format!("{PROFILES}.{of_patient}{name}")),
    };
    if let Some(profile) = profile {
        resource["meta"] = json!({ "profile": [profile] });
    }
    if is_disclosure {
        resource["type"] = coding(DICOM, "110106", "Export");
        resource["subtype"] =
            json!([terms("iso-21089-lifecycle", "disclose", "Disclose Record Lifecycle Event")]);
        resource["action"] = json!("R");
    } else {
        resource["type"] = terms("audit-event-type", "rest", "Restful Operation");
        resource["subtype"] =
            json!([coding("http://hl7.org/fhir/restful-interaction", interaction, interaction)]);
        resource["action"] = json!(letter);
    }
    let said = if event.detail.is_empty() {
        event.action.clone()
    } else {
        format!("{}: {}", event.action, event.detail)
    };
    resource["outcomeDesc"] = json!(said);
    if !about.purpose.is_empty() {
        let code = |code: &String| json!({ "coding": [{ "system": DUO, "code": code }] });
        resource["purposeOfEvent"] = about.purpose.iter().map(code).collect();
    }
    resource["agent"] = Value::Array(agents(owner, event, kind, is_disclosure));
    resource["entity"] = Value::Array(entities(event));
}

/// The types of our own agent and of the other side's. Data flows from the agent of type 110153 to that of type 110152:
/// from us when it is read, else to us; what is deleted flows nowhere.
fn sides(kind: Kind) -> (Value, Value) {
    let source = coding(DICOM, "110153", "Source Role ID");
    let destination = coding(DICOM, "110152", "Destination Role ID");
    match kind {
        Kind::Read => (source, destination),
        Kind::Create | Kind::Update | Kind::Execute => (destination, source),
        Kind::Delete => (
            terms("provenance-participant-type", "custodian", "Custodian"),
            coding(DICOM, "110150", "Application"),
        ),
    }
}

/// An address is that of a connection; else it is a machine's name: of this one, or a member's.
fn network(address: &str) -> Value {
    let is_ip = address.parse::<IpAddr>().is_ok() || address.parse::<SocketAddr>().is_ok();
    json!({ "address": address, "type": if is_ip { "2" } else { "1" } })
}

fn agents(owner: &str, event: &Event, kind: Kind, is_disclosure: bool) -> Vec<Value> {
    let about = &event.context;
    // Who has received something has read it, whatever the act is called.
    let kind = if is_disclosure { Kind::Read } else { kind };
    let (ours, theirs) = sides(kind);
    let agent = |kind: Value, who: &str, address: &str| {
        json!({
            "type": { "coding": [kind] },
            "who": { "display": who },
            "requestor": false,
            "network": network(address),
        })
    };
    let other = if is_disclosure { &about.recipient } else { &event.actor };
    let from = match about.source.as_str() {
        _ if is_disclosure => other.as_str(),
        // Nobody connected: it was done on our own machine.
        "" | "local" => owner,
        source => source,
    };
    let role = match kind {
        Kind::Read => terms("v3-ParticipationType", "IRCP", "information recipient"),
        _ => terms("v3-ParticipationType", "AUT", "author (originator)"),
    };
    let mut user = json!({
        "type": { "coding": [role] },
        "who": { "display": event.actor },
        "role": [{ "text": event.role }],
        "requestor": true,
    });
    if !about.organisation.is_empty() {
        user["who"]["identifier"] =
            json!({ "assigner": { "display": about.organisation }, "value": event.actor });
    }
    vec![agent(ours, owner, owner), agent(theirs, other, from), user]
}

fn entities(event: &Event) -> Vec<Value> {
    let about = &event.context;
    let mut entities = Vec::new();
    if !about.patient.is_empty() {
        entities.push(json!({
            "what": { "type": "Patient", "identifier": { "system": "urn:ward:pseudonym", "value": about.patient } },
            "type": terms("audit-entity-type", "1", "Person"),
            "role": terms("object-role", "1", "Patient"),
        }));
    }
    let mut data = json!({
        "what": { "identifier": { "system": "urn:ward:subject", "value": event.subject } },
        "type": terms("audit-entity-type", "2", "System Object"),
        "role": terms("object-role", "4", "Domain Resource"),
    });
    let details: Vec<Value> =
        [("cohort", &about.cohort), ("data class", &about.data_class), ("study", &about.study)]
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| json!({ "type": name, "valueString": value }))
            .collect();
    if !details.is_empty() {
        data["detail"] = Value::Array(details);
    }
    entities.push(data);
    if !about.trace.is_empty() {
        entities.push(json!({
            "what": { "identifier": { "value": about.trace } },
            "type": coding("https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType", "XrequestId", "X-Request-Id"),
        }));
    }
    entities
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Context, SALT_BYTES, Salt, seal};
    use crate::identity::Identity;

    fn sealed(action: &str, outcome: Outcome, about: Context) -> Sealed {
        let event = Event { at_ms: 1_795_316_645_007, ..Event::new("ada", "researcher", action, "job:1") };
        seal(None, event.ended(outcome).within(about), Salt([1; SALT_BYTES]), &Identity::from_seed(&[1; 32]))
    }

    fn profile(sealed: &Sealed) -> Option<String> {
        let resource = audit_event("north", sealed);
        resource.pointer("/meta/profile/0").map(|url| url.as_str().unwrap().replace(PROFILES, ""))
    }

    #[test]
    fn disclosure_of_a_patient_has_the_elements_of_its_profile() {
        let about = Context {
            patient: "p1".into(),
            recipient: "charite".into(),
            purpose: vec!["DUO:0000042".into()],
            ..Context::default()
        };
        let resource = audit_event("north", &sealed("record.share", Outcome::Success, about));
        let at = |pointer: &str| resource.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        assert_eq!(at("/meta/profile/0"), format!("{PROFILES}.PrivacyDisclosure.Source"));
        assert_eq!((at("/type/system"), at("/type/code")), (DICOM, "110106"));
        assert_eq!(at("/subtype/0/code"), "disclose");
        assert_eq!((at("/action"), at("/outcome")), ("R", "0"));
        assert_eq!(at("/recorded"), "2026-11-22T03:04:05.007Z");
        assert_eq!((at("/agent/0/type/coding/0/code"), at("/agent/0/who/display")), ("110153", "north"));
        assert_eq!((at("/agent/1/type/coding/0/code"), at("/agent/1/who/display")), ("110152", "charite"));
        assert_eq!((at("/entity/0/role/code"), at("/entity/0/what/identifier/value")), ("1", "p1"));
        assert_eq!(at("/purposeOfEvent/0/coding/0/code"), "DUO:0000042");
        assert_eq!(at("/source/observer/display"), "north");
    }

    #[test]
    fn profile_follows_the_act_the_patient_and_the_outcome() {
        let patient = || Context { patient: "p".into(), ..Context::default() };
        let none = Context::default;
        let of = |action, outcome, about| profile(&sealed(action, outcome, about));
        assert_eq!(of("record.read", Outcome::Success, patient()).as_deref(), Some(".PatientRead"));
        assert_eq!(of("result.fetch", Outcome::Success, none()).as_deref(), Some(".Read"));
        assert_eq!(of("consent.grant", Outcome::Success, patient()).as_deref(), Some(".PatientCreate"));
        assert_eq!(of("consent.revoke", Outcome::Success, patient()).as_deref(), Some(".PatientUpdate"));
        assert_eq!(of("record.erase", Outcome::Success, patient()).as_deref(), Some(".PatientDelete"));
        assert_eq!(of("job.submit", Outcome::Success, none()), None);
        assert_eq!(of("record.read", Outcome::Refused, patient()), None);
        let counted = Context { recipient: "ada".into(), cohort: "labs".into(), ..Context::default() };
        assert_eq!(of("share.give", Outcome::Success, counted), None);
    }

    #[test]
    fn redacted_event_tells_what_is_left_and_no_more() {
        let about = Context { patient: "p1".into(), ..Context::default() };
        let resource = audit_event("north", &sealed("record.read", Outcome::Success, about).redacted());
        let text = resource.to_string();
        assert!(!text.contains("p1") && !text.contains("ada"), "{text}");
        assert_eq!(resource["action"], "R");
    }
}
