//! The profiles of IHE Basic Audit Log Patterns (ihe.iti.balp 1.1.4), written as a table, and what Ward exports held against
//! it.
//!
//! The package of the profiles is in no registry that a build may ask, so their constraints are copied here from the
//! guide's own source (github.com/IHE/ITI.BasicAudit, input/fsh): each row names its file. The base resource is checked by
//! another validator ([`crate::fhir`]).

use serde_json::Value as Json;

const DCM: &str = "http://dicom.nema.org/resources/ontology/DCM";
const HL7: &str = "http://terminology.hl7.org/CodeSystem";
const PROFILES: &str = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.";
/// `DataSources`, PatientCreate.fsh: who a user may be that writes.
const WRITERS: &[&str] = &["AUT", "INF", "CST"];
/// PatientRead.fsh, `agent[user].type`.
const READERS: &[&str] = &["IRCP"];

/// A profile of a successful act (`Create`, and so on, and the same of a patient).
struct Profile {
    name: &'static str,
    file: &'static str,
    action: &'static str,
    /// Of which `subtype` has exactly one.
    subtypes: &'static [&'static str],
    /// `agent[client].type` and `agent[server].type`.
    client: (&'static str, &'static str),
    server: (&'static str, &'static str),
    users: &'static [&'static str],
}

const ACTS: &[Profile] = &[
    Profile {
        name: "Create",
        file: "PatientCreate.fsh",
        action: "C",
        subtypes: &["create"],
        client: (DCM, "110153"),
        server: (DCM, "110152"),
        users: WRITERS,
    },
    Profile {
        name: "Read",
        file: "PatientRead.fsh",
        action: "R",
        subtypes: &["read", "vread"],
        client: (DCM, "110152"),
        server: (DCM, "110153"),
        users: READERS,
    },
    Profile {
        name: "Update",
        file: "PatientUpdate.fsh",
        action: "U",
        subtypes: &["update", "patch"],
        client: (DCM, "110153"),
        server: (DCM, "110152"),
        users: WRITERS,
    },
    Profile {
        name: "Delete",
        file: "PatientDelete.fsh",
        action: "D",
        subtypes: &["delete"],
        client: (DCM, "110150"),
        server: ("http://terminology.hl7.org/CodeSystem/provenance-participant-type", "custodian"),
        users: WRITERS,
    },
];

/// What is wrong with a resource, each with the file and the element; collected, so that a test shows all of it.
struct Found<'a> {
    resource: &'a Json,
    file: &'static str,
    wrong: Vec<String>,
}

fn has_code(concept: &Json, system: &str, code: &str) -> bool {
    let codings = concept["coding"].as_array().cloned().unwrap_or_default();
    codings.iter().any(|coding| coding["system"] == system && coding["code"] == code)
}

fn is_code(coding: &Json, system: &str, code: &str) -> bool {
    coding["system"] == system && coding["code"] == code
}

impl<'a> Found<'a> {
    fn must(&mut self, holds: bool, element: &str) {
        if !holds {
            self.wrong.push(format!("{}: {element}", self.file));
        }
    }

    fn list(&self, name: &str) -> Vec<&'a Json> {
        self.resource[name].as_array().map(|list| list.iter().collect()).unwrap_or_default()
    }

    /// The one element of a slice that must be there once.
    fn once(&mut self, found: Vec<&'a Json>, slice: &str) -> &'a Json {
        self.must(found.len() == 1, &format!("{slice} 1..1, there are {}", found.len()));
        found.first().copied().unwrap_or(&Json::Null)
    }

    /// An agent on the network: `who 1..1`, `network 1..1`, `media 0..0`.
    fn machine(&mut self, (system, code): (&str, &str), slice: &str) -> &'a Json {
        let agents = self.list("agent").into_iter().filter(|agent| has_code(&agent["type"], system, code));
        let agent = self.once(agents.collect(), &format!("agent[{slice}]"));
        self.must(agent["who"].is_object(), &format!("agent[{slice}].who 1..1"));
        let address = agent["network"]["address"].as_str().unwrap_or_default();
        self.must(!address.is_empty(), &format!("agent[{slice}].network 1..1"));
        self.must(agent.get("media").is_none(), &format!("agent[{slice}].media 0..0"));
        agent
    }

    fn patient(&mut self) {
        let (kind, role) = (format!("{HL7}/audit-entity-type"), format!("{HL7}/object-role"));
        let people = self.list("entity").into_iter().filter(|entity| is_code(&entity["type"], &kind, "1"));
        let patient = self.once(people.collect(), "entity[patient]");
        self.must(is_code(&patient["role"], &role, "1"), "entity[patient].role = object-role#1");
        self.must(patient["what"]["type"] == "Patient", "entity[patient].what only Reference(Patient)");
        self.must(self.list("entity").len() >= 2, "entity 2..");
    }

    /// `AuditPrivacyDisclosureSource`.
    fn disclosure(&mut self) {
        let resource = self.resource;
        self.must(is_code(&resource["type"], DCM, "110106"), "type = DCM#110106");
        self.must(resource["action"] == "R", "action = #R");
        let subtypes = self.list("subtype").into_iter();
        let lifecycle = format!("{HL7}/iso-21089-lifecycle");
        let disclosed = subtypes.filter(|subtype| is_code(subtype, &lifecycle, "disclose")).collect();
        self.once(disclosed, "subtype[disclosure]");
        self.must(resource["outcome"].is_string(), "outcome 1..1");
        let source = self.machine((DCM, "110153"), "source");
        self.must(source["who"] == resource["source"]["observer"], "agent[source] obeys val-audit-source");
        self.machine((DCM, "110152"), "recipient");
        self.patient();
    }

    fn act(&mut self, profile: &Profile, of_patient: bool) {
        let resource = self.resource;
        self.must(is_code(&resource["type"], &format!("{HL7}/audit-event-type"), "rest"), "type = rest");
        self.must(resource["action"] == profile.action, "action");
        let interaction = "http://hl7.org/fhir/restful-interaction";
        let is_one =
            |subtype: &&Json| profile.subtypes.iter().any(|code| is_code(subtype, interaction, code));
        let subtypes = self.list("subtype").into_iter().filter(is_one).collect();
        self.once(subtypes, "subtype");
        self.must(resource["outcome"] == "0", "outcome = audit-event-outcome#0");
        self.machine(profile.client, "client");
        self.machine(profile.server, "server");
        let participation = format!("{HL7}/v3-ParticipationType");
        for user in self.list("agent").into_iter().filter(|agent| agent["requestor"] == true) {
            let is_user = profile.users.iter().any(|code| has_code(&user["type"], &participation, code));
            self.must(is_user, "agent[user].type");
            self.must(user["who"].is_object(), "agent[user].who 1..1");
            self.must(user.get("network").is_none(), "agent[user].network 0..0");
            self.must(user.get("media").is_none(), "agent[user].media 0..0");
        }
        let (kind, role) = (format!("{HL7}/audit-entity-type"), format!("{HL7}/object-role"));
        let data = self.list("entity").into_iter().filter(|entity| is_code(&entity["type"], &kind, "2"));
        let data = self.once(data.collect(), "entity[data]");
        let is_role = ["3", "4", "20"].iter().any(|code| is_code(&data["role"], &role, code));
        self.must(is_role, "entity[data].role from RestObjectRoles");
        self.must(data["what"].is_object(), "entity[data].what 1..1");
        let traces = |entity: &&Json| entity["type"]["code"] == "XrequestId";
        let traces: Vec<_> = self.list("entity").into_iter().filter(traces).collect();
        self.must(traces.len() <= 1, "entity[transaction] 0..1");
        for trace in traces {
            let value = &trace["what"]["identifier"]["value"];
            self.must(value.is_string(), "entity[transaction].what.identifier.value 1..1");
        }
        if of_patient {
            self.patient();
        }
    }
}

/// What a resource breaks of the profiles that it claims; none for one that claims none.
pub fn broken(resource: &Json) -> Vec<String> {
    let claimed = resource["meta"]["profile"].as_array().cloned().unwrap_or_default();
    let mut wrong = Vec::new();
    for url in claimed {
        let name = url.as_str().and_then(|url| url.strip_prefix(PROFILES)).unwrap_or_default();
        let own = name.strip_prefix("Patient").unwrap_or(name);
        let file = ACTS.iter().find(|act| act.name == own).map_or("Disclose.fsh", |act| act.file);
        let mut found = Found { resource, file, wrong: Vec::new() };
        found.must(resource["recorded"].is_string(), "recorded 1..1");
        match (name, ACTS.iter().find(|act| act.name == own)) {
            ("PrivacyDisclosure.Source", _) => found.disclosure(),
            (_, Some(act)) => found.act(act, name != own),
            _ => found.wrong.push(format!("no profile {url}")),
        }
        wrong.append(&mut found.wrong);
    }
    wrong
}

mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;
    use ward_engine::audit::fhir::audit_event;
    use ward_engine::audit::{Context, Event, Outcome, SALT_BYTES, Salt, seal};
    use ward_engine::identity::Identity;

    use super::*;

    /// An act of each kind, about a patient or not, from here or there, to somebody or to nobody.
    fn resources() -> Vec<Json> {
        let mut all = Vec::new();
        let actions =
            ["consent.grant", "record.read", "consent.revoke", "patient.erase", "job.submit", "share.give"];
        for action in actions {
            for bits in 0..64u8 {
                let bit =
                    |at: u8, name: &str| if bits >> at & 1 == 1 { name.to_owned() } else { String::new() };
                let context = Context {
                    patient: bit(0, "5e1f"),
                    recipient: bit(1, "charite"),
                    source: bit(2, if bits & 1 == 1 { "local" } else { "[::1]:4711" }),
                    organisation: bit(3, "north"),
                    trace: bit(4, "4bf92f3577b34da6a3ce929d0e0e4736"),
                    ..Context::default()
                };
                let outcome = if bits >> 5 == 1 { Outcome::Refused } else { Outcome::Success };
                let event =
                    Event::new("ada", "researcher", action, "consent:1").ended(outcome).within(context);
                let sealed = seal(None, event, Salt([1; SALT_BYTES]), &Identity::from_seed(&[1; 32]));
                all.push(audit_event("north", &sealed));
            }
        }
        all
    }

    #[test]
    fn every_kind_of_event_keeps_the_profile_that_it_claims() {
        let mut claimed = BTreeSet::new();
        for resource in resources() {
            assert_eq!(broken(&resource), Vec::<String>::new(), "{resource:#}");
            claimed.extend(resource["meta"]["profile"][0].as_str().map(str::to_owned));
        }
        // Four acts, the same of a patient, and the disclosure.
        assert_eq!(claimed.len(), 9, "{claimed:?}");
    }

    fn claims(resource: &Json, name: &str) -> bool {
        resource["meta"]["profile"][0] == format!("{PROFILES}{name}")
    }

    #[test]
    fn what_a_profile_asks_for_is_missed_when_it_is_gone() {
        let all = resources();
        for (name, pointer, replacement) in [
            ("Read", "/agent/0/network", json!({})),
            ("Read", "/agent/2/type/coding/0/code", json!("AUT")),
            ("Create", "/agent/2/type/coding/0/code", json!("IRCP")),
            ("Update", "/subtype/0/code", json!("create")),
            ("Delete", "/agent/1/type/coding/0/code", json!("110153")),
            ("PatientDelete", "/entity/0/role/code", json!("4")),
            ("PatientRead", "/entity/0/what/type", json!("Device")),
            ("PatientCreate", "/entity/1/role/code", json!("1")),
            ("PrivacyDisclosure.Source", "/source/observer/display", json!("another")),
            ("PrivacyDisclosure.Source", "/agent/1/network", json!({})),
        ] {
            let mut resource = all.iter().find(|resource| claims(resource, name)).expect(name).clone();
            *resource.pointer_mut(pointer).expect(pointer) = replacement;
            assert!(!broken(&resource).is_empty(), "{name}: {pointer}");
        }
    }
}
