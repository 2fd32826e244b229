//! The shipped policies: what each role may do, how a refusal reads, which sets are refused.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// The roles of the design, and the node's.
const ROLES: [&str; 8] =
    ["researcher", "hospital_admin", "clinician", "patient", "issuer", "auditor", "operator", "hospital"];

/// The shipped policies, read once for the many cases of a property.
static SHIPPED: LazyLock<Authorizer> = LazyLock::new(shipped);

fn shipped() -> Authorizer {
    Authorizer::shipped().unwrap_or_else(|e| panic!("{e}"))
}

fn subject(name: &str, roles: &[&str]) -> Subject {
    Subject {
        kind: if roles == ["hospital"] { SubjectKind::Node } else { SubjectKind::Person },
        name: name.to_owned(),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        organisation: "north".to_owned(),
        amr: BTreeSet::from(["pwd".to_owned(), "mfa".to_owned()]),
        ..Subject::default()
    }
}

fn ask(authorizer: &Authorizer, who: &Subject, action: &str, resource: Resource) -> Decision {
    authorizer
        .decide(&Question::new(who, action, resource, 1_790_000_000_000))
        .unwrap_or_else(|e| panic!("{e}"))
}

fn study(members: &[&str]) -> Resource {
    let attributes = json!({ "drafter": "ada", "members": members, "hospitals": ["north"], "state": "open" });
    Resource::new("Study", "s", attributes)
}

fn consortium() -> Resource {
    Resource::consortium("test")
}

#[test]
fn the_schema_knows_every_call() {
    let actions = shipped().actions();
    assert!(RPCS.len() > 15, "{RPCS:?}");
    for rpc in RPCS {
        assert!(actions.contains(*rpc), "{rpc}");
    }
}

#[test]
fn every_shipped_rule_says_what_it_is_and_every_forbidding_one_what_to_do() {
    for rule in shipped().rules() {
        assert!(!rule.says.is_empty(), "{rule:?}");
        assert!(rule.effect == "permit" || !rule.hint.is_empty(), "{rule:?}");
    }
}

#[test]
fn roles_are_kept_apart() {
    let policies = shipped();
    let (ada, dora, omar) = (
        subject("ada", &["researcher"]),
        subject("dora", &["hospital_admin"]),
        subject("omar", &["operator"]),
    );
    assert!(ask(&policies, &ada, "query.submit", consortium()).allowed);
    let refused = ask(&policies, &dora, "query.submit", consortium());
    assert_eq!((refused.allowed, refused.policies), (false, vec!["admins-ask-nothing".to_owned()]));
    let job = || Resource::job("j", "ada", "aggregate");
    let refused = ask(&policies, &omar, "result.read", job());
    assert_eq!(refused.policies, ["operators-read-no-results"]);
    assert!(ask(&policies, &omar, "job.read", job()).allowed);
    assert!(ask(&policies, &ada, "result.read", job()).allowed);
    let bob = subject("bob", &["researcher"]);
    for action in ["job.read", "job.cancel", "result.read"] {
        let refused = ask(&policies, &bob, action, job());
        assert!(!refused.allowed && refused.policies.is_empty(), "{refused:?}");
        assert!(refused.hint.contains("their own jobs"), "{refused:?}");
    }
    let aud = subject("aud", &["auditor"]);
    assert!(ask(&policies, &aud, "audit.export", Resource::trail("")).allowed);
    assert!(!ask(&policies, &aud, "job.read", job()).allowed);
    assert!(!ask(&policies, &ada, "audit.read", Resource::trail("")).allowed);
    let clara = subject("clara", &["clinician"]);
    let attestation = Resource::new("Attestation", "a", json!({ "study": "s" }));
    assert!(ask(&policies, &clara, "attestation.submit", attestation).allowed);
}

#[test]
fn a_second_role_does_not_lift_what_the_first_forbids() {
    let policies = shipped();
    let both = subject("eve", &["researcher", "operator"]);
    assert_eq!(ask(&policies, &both, "query.submit", consortium()).policies, ["operators-ask-nothing"]);
}

#[test]
fn administrators_decide_for_their_own_hospital_alone() {
    let policies = shipped();
    let dora = subject("dora", &["hospital_admin"]);
    assert!(ask(&policies, &dora, "study.approve", Resource::hospital("north")).allowed);
    assert!(!ask(&policies, &dora, "study.approve", Resource::hospital("south")).allowed);
    let nowhere = Subject { organisation: String::new(), ..dora };
    assert!(!ask(&policies, &nowhere, "study.approve", Resource::hospital("")).allowed);
    let node = subject("north", &["hospital"]);
    let node = Subject { amr: BTreeSet::from(["swk".to_owned()]), ..node };
    assert!(ask(&policies, &node, "study.approve", Resource::hospital("north")).allowed);
    assert!(!ask(&policies, &node, "study.approve", Resource::hospital("south")).allowed);
}

#[test]
fn what_cannot_be_taken_back_wants_a_second_factor_of_this_hour() {
    let policies = shipped();
    let dora = subject("dora", &["hospital_admin"]);
    let patient = || Resource::new("Patient", "p", json!({ "hospital": "north", "treating": [] }));
    for (action, resource) in [
        ("study.approve", Resource::hospital("north")),
        ("break_glass", Resource::hospital("north")),
        ("record.erase", patient()),
    ] {
        assert!(ask(&policies, &dora, action, resource.clone()).allowed, "{action}");
        let password = Subject { amr: BTreeSet::from(["pwd".to_owned()]), ..dora.clone() };
        let refused = ask(&policies, &password, action, resource.clone());
        assert_eq!(
            (refused.code.as_str(), refused.policies),
            ("authorization.step_up", vec!["step-up".to_owned()])
        );
        let stale = Subject { auth_age_s: 3601, ..dora.clone() };
        assert_eq!(ask(&policies, &stale, action, resource.clone()).policies, ["step-up"]);
        let certified = Subject { amr: BTreeSet::from(["swk".to_owned()]), ..dora.clone() };
        assert!(ask(&policies, &certified, action, resource).allowed, "{action}");
    }
    // Withdrawing is the safe direction: it does not wait for a second factor.
    let password = Subject { amr: BTreeSet::new(), ..dora };
    assert!(ask(&policies, &password, "study.withdraw", Resource::hospital("north")).allowed);
}

#[test]
fn records_are_read_by_those_who_treat_for_care() {
    let policies = shipped();
    let record = |treating: &[&str]| {
        Resource::new("Patient", "p", json!({ "hospital": "north", "treating": treating }))
    };
    let clara = subject("clara", &["clinician"]);
    let mut question = Question::new(&clara, "record.read", record(&["clara"]), 0);
    assert!(!policies.decide(&question).unwrap().allowed);
    question.context.purpose = "care".to_owned();
    assert!(policies.decide(&question).unwrap().allowed);
    question.resource = record(&["someone"]);
    assert!(!policies.decide(&question).unwrap().allowed);
}

#[test]
fn a_member_of_a_study_reads_it_and_others_do_not() {
    let policies = shipped();
    let bob = subject("bob", &["researcher"]);
    assert!(ask(&policies, &bob, "study.read", study(&["bob"])).allowed);
    assert!(!ask(&policies, &bob, "study.read", study(&[])).allowed);
    assert!(!ask(&policies, &bob, "study.close", study(&["bob"])).allowed);
    let ada = subject("ada", &["researcher"]);
    assert!(ask(&policies, &ada, "study.close", study(&[])).allowed);
}

#[test]
fn a_bad_set_is_refused_with_its_place() {
    let mut policies = shipped();
    let before = policies.rules().len();
    let refuse = |policies: &mut Authorizer, text: &str| policies.add("own.cedar", text).unwrap_err();
    let syntax = refuse(&mut policies, "@id(\"x\")\npermit (principal, action resource);");
    let PolicyError::Syntax { line, column, .. } = &syntax else { panic!("{syntax}") };
    assert_eq!((*line, *column), (2, 27), "{syntax}");
    let unknown = refuse(
        &mut policies,
        "@id(\"x\")\npermit (principal, action == Ward::Action::\"query.sumbit\", resource);",
    );
    let PolicyError::Invalid { line, policy, message, .. } = &unknown else { panic!("{unknown}") };
    assert_eq!((*line, policy.as_str()), (2, "x"), "{unknown}");
    assert!(message.contains("query.submit"), "it suggests the right name: {message}");
    let attribute = refuse(
        &mut policies,
        "@id(\"x\")\npermit (principal, action == Ward::Action::\"job.read\", resource)\nwhen { resource.colour == \"red\" };",
    );
    assert!(matches!(attribute, PolicyError::Invalid { line: 3, .. }), "{attribute}");
    let nameless = refuse(&mut policies, "\npermit (principal, action, resource);");
    assert!(matches!(nameless, PolicyError::Invalid { line: 2, .. }), "{nameless}");
    let twice = refuse(&mut policies, "@id(\"step-up\") permit (principal, action, resource);");
    assert!(twice.to_string().contains("same @id"), "{twice}");
    let template = refuse(&mut policies, "@id(\"t\") permit (principal == ?principal, action, resource);");
    assert!(template.to_string().contains("template"), "{template}");
    assert_eq!(policies.rules().len(), before, "nothing of a refused file stays");
}

#[test]
fn an_operators_policy_adds_a_permission_and_a_prohibition() {
    let mut policies = shipped();
    let text = r#"
        @id("aud-sees-jobs") @says("aud sees jobs")
        permit (principal == Ward::Person::"aud", action == Ward::Action::"job.read", resource);
        @id("night") @hint("ask by day")
        forbid (principal in Ward::Role::"researcher", action == Ward::Action::"query.submit", resource)
        unless { context.purpose == "DUO:0000042" };"#;
    policies.add("own.cedar", text).unwrap();
    assert!(
        ask(&policies, &subject("aud", &["auditor"]), "job.read", Resource::job("j", "x", "aggregate"))
            .allowed
    );
    let refused = ask(&policies, &subject("ada", &["researcher"]), "query.submit", consortium());
    assert_eq!((refused.policies, refused.hint.as_str()), (vec!["night".to_owned()], "ask by day"));
}

#[test]
fn a_question_that_does_not_fit_is_refused() {
    let policies = shipped();
    let ada = subject("ada", &["researcher"]);
    for (action, resource) in [
        ("no.such.act", consortium()),
        ("job.read", consortium()),
        ("job.read", Resource::new("Job", "j", json!({ "owner": "ada" }))),
        ("query.submit", Resource::new("Moon", "m", json!({}))),
    ] {
        let question = Question::new(&ada, action, resource, 0);
        assert!(policies.decide(&question).is_err(), "{question:?}");
        let refused = policies.decide_or_refuse(&question);
        assert_eq!((refused.allowed, refused.code.as_str()), (false, "authorization.question"));
    }
}

proptest! {
    #[test]
    fn whoever_has_no_role_of_ours_may_only_sign_in_and_check_the_log(
        roles in prop::collection::btree_set("[a-z]{3,12}", 0..4),
        rpc in 0..RPCS.len(),
    ) {
        prop_assume!(roles.iter().all(|role| !ROLES.contains(&role.as_str())));
        let policies = &*SHIPPED;
        let who = Subject { roles, ..subject("x", &[]) };
        let open = [
            "Parties.Enrol", "Identity.Login", "Identity.Logout", "Identity.Methods", "Identity.Refresh",
            "Identity.Revocations",
        ];
        let is_open = open.contains(&RPCS[rpc]);
        let is_log = RPCS[rpc] == "Attestations.Issuers"
            || RPCS[rpc].starts_with("Receipts.") && RPCS[rpc] != "Receipts.Receipt";
        let is_own = ["Identity.WhoAmI", "Identity.Renew"].contains(&RPCS[rpc]);
        prop_assert_eq!(ask(policies, &who, RPCS[rpc], consortium()).allowed, is_open || is_log || is_own);
        let visitor = Subject::visitor();
        prop_assert_eq!(ask(policies, &visitor, RPCS[rpc], consortium()).allowed, is_open);
    }

    #[test]
    fn nobody_of_the_other_roles_opens_a_result(chosen in prop::sample::subsequence(ROLES[1..].to_vec(), 0..7)) {
        let policies = &*SHIPPED;
        let who = subject("ada", &chosen);
        prop_assert!(!ask(policies, &who, "result.read", Resource::job("j", "ada", "aggregate")).allowed);
    }
}
