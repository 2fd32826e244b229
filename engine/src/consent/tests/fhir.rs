//! FHIR Consents with known meanings, and what comes back.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::consent::fhir::{Document, Mapping, Reject, Release, Subject, read, write};

const REASON: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";

fn parse(resource: &Json) -> Result<(Document, Vec<Reject>), Reject> {
    read(resource, &Mapping::shipped().unwrap())
}

fn taken(resource: &Json) -> Vec<(Rule, Validity, Status)> {
    parse(resource).unwrap_or_else(|e| panic!("{e:?}: {resource}")).0.statements
}

fn permitted(resource: &Json, grantee: &str, purpose: &str, class: &str) -> bool {
    let statements: Vec<_> = taken(resource).into_iter().map(|(r, v, s)| (1, r, v, s)).collect();
    index(&statements)
        .decide(Regime::OptIn, &patient(1), (&question(grantee, purpose, class), NOW_MS))
        .permitted
}

fn r4(provision: Json) -> Json {
    json!({
        "resourceType": "Consent", "id": "c1", "status": "active",
        "scope": { "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "research" }] },
        "category": [{ "coding": [{ "system": "http://loinc.org", "code": "59284-0" }] }],
        "patient": { "reference": "Patient/p-1" }, "dateTime": "2026-01-05",
        "provision": provision,
    })
}

fn r5(decision: &str, provision: Json) -> Json {
    json!({
        "resourceType": "Consent", "id": "c1", "status": "active",
        "subject": { "reference": "https://fhir.example/Patient/p-1" }, "date": "2026-01-05",
        "decision": decision, "provision": provision,
    })
}

fn class(name: &str) -> Json {
    json!([{ "system": "http://hl7.org/fhir/resource-types", "code": name }])
}

#[test]
fn a_release_4_permit_with_a_nested_denial() {
    let consent = r4(json!({
        "type": "permit", "period": { "start": "2026-01-01", "end": "2026-12-31" },
        "purpose": [{ "system": REASON, "code": "HRESCH" }],
        "provision": [{ "type": "deny", "class": class("MolecularSequence") }],
    }));
    let (document, left_out) = parse(&consent).unwrap();
    assert_eq!((document.source.as_str(), left_out.len()), ("fhir-r4 Consent/c1", 0));
    assert_eq!(document.subject, Subject::Identifier("p-1".into()));
    let [(_, validity, status)] = &document.statements[..] else { panic!("{document:?}") };
    assert_eq!(*status, Status::Granted);
    // From the first moment of the first day to the last of the last.
    assert_eq!((validity.from_ms, validity.until_ms), (Some(1_767_225_600_000), Some(1_798_761_600_000)));
    assert!(permitted(&consent, "ada", "HMB", "labs"));
    assert!(!permitted(&consent, "ada", "HMB", "genomics"));
    assert!(!permitted(&consent, "ada", "GRU", "labs"), "research in health care is not all research");
}

#[test]
fn a_release_4_denial_with_nested_permits_permits_only_these() {
    let consent = r4(json!({
        "type": "deny",
        "provision": [
            { "type": "permit", "class": class("Observation"), "purpose": [{ "system": REASON, "code": "BIORCH" }] },
            { "type": "permit", "class": class("Condition"), "period": { "end": "2026-01-31" } },
        ],
    }));
    assert!(permitted(&consent, "ada", "HMB", "labs"));
    assert!(!permitted(&consent, "ada", "HMB", "conditions"), "its time is over");
    assert!(!permitted(&consent, "ada", "HMB", "imaging"));
}

#[test]
fn a_release_4_policy_rule_is_the_base_where_the_root_has_no_type() {
    let rule = |code: &str| {
        let mut consent = r4(json!({ "class": class("Observation") }));
        consent["policyRule"] = json!({ "coding": [{ "code": code }] });
        consent
    };
    assert!(permitted(&rule("OPTIN"), "ada", "HMB", "labs"));
    assert_eq!(taken(&rule("OPTOUT"))[0].2, Status::Denied);
    assert_eq!(parse(&r4(json!({}))), Err(Reject::Decision));
}

#[test]
fn release_5_provisions_are_exceptions_to_the_decision() {
    let permits = json!([{ "resourceType": class("Observation"), "purpose": [{ "system": REASON, "code": "HRESCH" }],
        "provision": [{ "actor": [{ "reference": { "reference": "Organization/other" } }] }] }]);
    let consent = r5("deny", permits);
    assert_eq!(parse(&consent).unwrap().0.source, "fhir-r5 Consent/c1");
    // The nested denial is for somebody whom the mapping does not know: it holds for everybody.
    assert!(!permitted(&consent, "ada", "HMB", "labs"));
    let permits = json!([{ "resourceType": class("Observation"), "purpose": [{ "system": REASON, "code": "HRESCH" }] }]);
    assert!(permitted(&r5("deny", permits.clone()), "ada", "HMB", "labs"));
    assert!(!permitted(&r5("deny", permits.clone()), "ada", "HMB", "imaging"));
    // A permit that says not for what grants nothing, but its exceptions deny.
    let (document, left_out) = parse(&r5("permit", permits)).unwrap();
    assert_eq!((document.statements[0].2, left_out), (Status::Denied, vec![Reject::Purpose]));
}

#[test]
fn what_is_not_known_grants_nothing_and_denies_everything() {
    let unknown = json!([{ "system": "urn:x", "code": "y" }]);
    let known = json!([{ "system": REASON, "code": "HRESCH" }]);
    let permit = |mut more: Json| {
        more["type"] = "permit".into();
        parse(&r4(more)).map(|read| read.1)
    };
    assert_eq!(permit(json!({ "purpose": unknown })), Err(Reject::Purpose));
    assert_eq!(permit(json!({ "purpose": known, "class": unknown })), Err(Reject::Class));
    assert_eq!(permit(json!({ "purpose": known, "securityLabel": unknown })), Err(Reject::Restriction));
    assert_eq!(
        permit(json!({ "purpose": known, "dataPeriod": { "start": "2026" } })),
        Err(Reject::Restriction)
    );
    assert_eq!(
        permit(json!({ "purpose": known, "action": [{ "coding": [{ "code": "collect" }] }] })),
        Err(Reject::Restriction)
    );
    assert_eq!(
        permit(json!({ "purpose": known, "provision": [{ "type": "permit" }] })),
        Err(Reject::Nesting)
    );
    assert_eq!(permit(json!({ "purpose": known, "provision": [{}] })), Err(Reject::Decision));
    assert_eq!(permit(json!({ "period": { "start": "yesterday" } })), Err(Reject::Malformed));
    for more in
        [json!({ "purpose": unknown }), json!({ "class": unknown }), json!({ "securityLabel": unknown })]
    {
        let mut denial = more;
        denial["type"] = "deny".into();
        let [(found, _, Status::Denied)] = &taken(&r4(denial))[..] else { panic!("one denial") };
        assert_eq!(*found, Rule::default());
    }
}

#[test]
fn resources_that_decide_nothing_are_refused_by_name() {
    let with = |name: &str, value: Json| {
        let mut consent = r4(json!({ "type": "permit" }));
        consent[name] = value;
        parse(&consent).map(|_| ())
    };
    assert_eq!(with("resourceType", "Patient".into()), Err(Reject::NotAConsent));
    assert_eq!(with("id", Json::Null), Err(Reject::Malformed));
    assert_eq!(with("patient", Json::Null), Err(Reject::Patient));
    assert_eq!(with("status", "unknown".into()), Err(Reject::Status));
    let treatment = json!({ "coding": [{ "system": "urn:x", "code": "y" }] });
    assert_eq!(with("scope", treatment), Err(Reject::Purpose));
    assert_eq!(with("scope", r4(json!({}))["scope"].clone()), Ok(()));
}

#[test]
fn a_mapping_of_the_hospitals_own_is_read_and_a_broken_one_refused() {
    let text = "[purposes]\n\"urn:x|y\" = \"DUO:0000042\"\n[actors]\n\"Organization/uni\" = \"ada\"\n";
    let mapping = Mapping::parse(text).unwrap();
    let consent = r4(json!({ "type": "permit", "purpose": [{ "system": "urn:x", "code": "y" }],
        "actor": [{ "reference": { "reference": "Organization/uni" } }] }));
    let found = read(&consent, &mapping).unwrap().0;
    assert_eq!(found.statements[0].0.scope, scope("ada", "", "GRU"));
    for broken in ["[purposes]\n\"a|b\" = \"research\"\n", "[colours]\n", "x"] {
        assert!(matches!(Mapping::parse(broken), Err(ConsentError::Mapping { .. })), "{broken}");
    }
}

proptest! {
    /// Release 4 says all of an artefact.
    #[test]
    fn release_4_comes_back_as_it_was(
        rule in any_rule(), validity in any_validity(), status in any_status(),
    ) {
        let permits = status != Status::Denied;
        // A grant names a purpose; so does an exception that permits.
        let rule = purposeful(rule, permits);
        let before = artefact(1, rule, validity, status);
        let (document, left_out) = parse(&write(&before, Release::R4)).unwrap();
        prop_assert_eq!(left_out, vec![]);
        prop_assert_eq!(document.subject, Subject::Pseudonym(before.pseudonym));
        prop_assert_eq!(document.stated_ms, before.provenance.stated_ms);
        prop_assert_eq!(document.statements, vec![(before.rule, before.validity, before.status)]);
    }

    /// Release 5 decides as the artefact did, where silence is no consent.
    #[test]
    fn release_5_decides_as_the_artefact_did(
        rule in any_rule(), validity in any_validity(), denied: bool, asked in any_question(),
    ) {
        let status = if denied { Status::Denied } else { Status::Granted };
        let before = artefact(1, purposeful(rule, !denied), validity, status);
        let decide = |statements: Vec<(Rule, Validity, Status)>| {
            let all: Vec<_> = statements.into_iter().map(|(r, v, s)| (1, r, v, s)).collect();
            index(&all).decide(Regime::OptIn, &patient(1), (&asked, NOW_MS)).permitted
        };
        let after = decide(taken(&write(&before, Release::R5)));
        prop_assert_eq!(after, decide(vec![(before.rule, before.validity, before.status)]));
    }
}

fn purposeful(rule: Rule, permits: bool) -> Rule {
    let mut scope = rule.scope;
    if permits && scope.purposes.is_empty() {
        scope.purposes.insert(purpose("GRU"));
    }
    let except = rule.except.into_iter().map(|except| purposeful(except, !permits)).collect();
    Rule { scope, except, ..rule }
}
