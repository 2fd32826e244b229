//! The security test matrix: every call of the compiled descriptors, and every act of the policies, for every role.
//!
//! The table below says who may; the shipped policies are held against it, and then an engine over the wire, as far as a
//! certificate shows the role. A call without a row fails the test: whoever adds one says who may make it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

use std::collections::BTreeSet;

use serde_json::json;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use ward_engine::audit::Outcome;
use ward_engine::grpc::client::{self, Target};
use ward_engine::grpc::status::problem_of;
use ward_engine::identity::authorize::{Authorizer, Question, RPCS, Resource, Subject, SubjectKind};
use ward_engine::member::pem_of;
use ward_engine::problem::Problem;
use ward_engine::store::audit_chain;

use crate::node_house::CONSORTIUM;
use crate::wire_stand::Stand;

/// The columns: a letter for each role, and `-` for somebody who has shown nothing.
const ROLES: [(char, &str); 9] = [
    ('r', "researcher"),
    ('h', "hospital_admin"),
    ('c', "clinician"),
    ('p', "patient"),
    ('i', "issuer"),
    ('a', "auditor"),
    ('o', "operator"),
    ('n', "hospital"),
    ('-', ""),
];

/// Calls, and who may make them.
const CALLS: &[(&str, &str)] = &[
    ("Attestations.Issuers", "rhcpiaon"),
    ("Attestations.PublishIssuer", "i"),
    ("Attestations.Submit", "rcpon"),
    ("Attestations.Terms", "rcpon"),
    ("Attestations.Verdicts", "rcpon"),
    ("Catalogue.Get", "rhon"),
    ("Identity.Login", "rhcpiaon-"),
    ("Identity.Logout", "rhcpiaon-"),
    ("Identity.Methods", "rhcpiaon-"),
    ("Identity.Refresh", "rhcpiaon-"),
    ("Identity.RegisterKey", "r"),
    ("Identity.Renew", "rhcpiaon"),
    ("Identity.Revocations", "rhcpiaon-"),
    ("Identity.WhoAmI", "rhcpiaon"),
    ("Jobs.Cancel", "rcpon"),
    ("Jobs.Explain", "rho"),
    ("Jobs.Get", "rcpon"),
    ("Jobs.List", "rcpon"),
    ("Jobs.PutKey", "r"),
    ("Jobs.Result", "ro"),
    ("Jobs.Submit", "ro"),
    ("Jobs.Watch", "rcpon"),
    ("Parties.Attach", "n"),
    ("Parties.Enrol", "rhcpiaon-"),
    ("Parties.List", "rhon"),
    ("Parties.Probe", "rhon"),
    ("Parties.ProbeRelay", "on"),
    ("Receipts.Checkpoint", "rhcpiaon"),
    ("Receipts.Consistency", "rhcpiaon"),
    ("Receipts.Inclusion", "rhcpiaon"),
    ("Receipts.Receipt", "rcpon"),
    ("Receipts.Tile", "rhcpiaon"),
    ("Setup.Arrived", "n"),
    ("Setup.Beacon", "o"),
    ("Setup.Contribute", "n"),
    ("Setup.Fetch", "rhcpiaon"),
    ("Setup.Start", "o"),
    ("Setup.Status", "rhcpiaon"),
    ("Setup.Upload", "n"),
    ("Studies.Close", "ro"),
    ("Studies.Decide", "hn"),
    ("Studies.Draft", "ro"),
    ("Studies.Get", "rhaon"),
    ("Studies.List", "rhaon"),
];

/// Acts, on what is the caller's own, and who may do them. The caller is `x` of `north`.
const ACTS: &[(&str, &str, &str)] = &[
    ("query.submit", "Consortium", "r"),
    ("query.explain", "Consortium", "rho"),
    ("ceremony.hold", "Consortium", "o"),
    ("job.list_all", "Consortium", "o"),
    ("job.read", "Job", "ro"),
    ("job.cancel", "Job", "ro"),
    ("result.read", "Job", "r"),
    ("study.draft", "Consortium", "ro"),
    ("study.read", "Study", "rhaon"),
    ("study.close", "Study", "ro"),
    ("study.approve", "Hospital", "h"),
    ("study.withdraw", "Hospital", "h"),
    ("break_glass", "Hospital", "h"),
    ("audit.read", "Trail", "ha"),
    ("audit.export", "Trail", "ha"),
    ("member.revoke", "Member", "o"),
    ("token.make", "Member", "o"),
    ("attestation.submit", "Attestation", "cp"),
    ("record.read", "Patient", "c"),
    ("record.erase", "Patient", "h"),
    ("credential.issue", "Patient", "i"),
    ("issuer.publish", "Issuer", "i"),
    ("table.read", "Table", ""),
];

/// Acts on what is somebody else's, and who may do them all the same.
const OTHERS: &[(&str, &str, &str)] = &[
    ("job.read", "Job", "o"),
    ("job.cancel", "Job", "o"),
    ("result.read", "Job", ""),
    ("study.read", "Study", "aon"),
    ("study.close", "Study", "o"),
    ("study.approve", "Hospital", ""),
    ("study.withdraw", "Hospital", ""),
    ("break_glass", "Hospital", ""),
    ("audit.read", "Trail", "a"),
    ("audit.export", "Trail", "a"),
    ("record.read", "Patient", ""),
    ("record.erase", "Patient", ""),
    ("credential.issue", "Patient", ""),
    ("issuer.publish", "Issuer", ""),
];

fn subject(role: &str) -> Subject {
    if role.is_empty() {
        return Subject::visitor();
    }
    Subject {
        kind: if role == "hospital" { SubjectKind::Node } else { SubjectKind::Person },
        name: "x".to_owned(),
        roles: BTreeSet::from([role.to_owned()]),
        organisation: "north".to_owned(),
        amr: BTreeSet::from(["mfa".to_owned()]),
        ..Subject::default()
    }
}

/// A resource that is x's and north's, or somebody else's.
fn resource(kind: &str, is_own: bool) -> Resource {
    let (who, hospital) = if is_own { ("x", "north") } else { ("y", "south") };
    let attributes = match kind {
        "Job" => json!({ "owner": who, "kind": "aggregate", "study": "", "purpose": "" }),
        "Study" => json!({ "drafter": who, "members": [who], "hospitals": [hospital], "state": "open" }),
        "Hospital" => json!({ "name": hospital }),
        "Table" => json!({ "hospital": hospital, "dataClass": "laboratory" }),
        "Patient" => json!({ "hospital": hospital, "treating": [who] }),
        "Issuer" => json!({ "name": "z", "organisation": hospital }),
        "Attestation" => json!({ "study": "s" }),
        "Trail" => json!({ "hospital": hospital }),
        "Member" => json!({ "name": "z", "role": "researcher" }),
        _ => json!({}),
    };
    Resource::new(kind, "id", attributes)
}

fn holds(policies: &Authorizer, what: (&str, &str, &str), is_own: bool, wrong: &mut Vec<String>) {
    let (action, kind, who) = what;
    for (letter, role) in ROLES {
        let mut question = Question::new(&subject(role), action, resource(kind, is_own), 1_800_000_000_000);
        question.context.purpose = "care".to_owned();
        let decision = policies.decide_or_refuse(&question);
        if decision.allowed != who.contains(letter) {
            wrong.push(format!("{action} by {role:?} on {kind}, own {is_own}: {decision:?}"));
        }
    }
}

#[test]
fn the_policies_say_what_the_matrix_says_of_every_call_and_act() {
    let policies = Authorizer::shipped().unwrap();
    let calls: Vec<&str> = CALLS.iter().map(|(call, _)| *call).collect();
    assert_eq!(calls, RPCS, "every call of the services has its row, sorted");
    let acts: BTreeSet<String> = ACTS.iter().map(|(act, ..)| (*act).to_owned()).collect();
    let known: BTreeSet<String> =
        policies.actions().into_iter().filter(|action| !RPCS.contains(&action.as_str())).collect();
    assert_eq!(acts, known, "every act of the schema has its row");
    let mut wrong = Vec::new();
    for (call, who) in CALLS {
        holds(&policies, (call, "Consortium", who), true, &mut wrong);
    }
    for act in ACTS {
        holds(&policies, *act, true, &mut wrong);
    }
    for act in OTHERS {
        holds(&policies, *act, false, &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Makes a call with an empty message, whatever its type.
async fn call(channel: &Channel, call: &str) -> Result<(), Problem> {
    let (service, method) = call.split_once('.').unwrap();
    let path: PathAndQuery = format!("/ward.v1.{service}/{method}").parse().unwrap();
    let mut grpc = tonic::client::Grpc::new(channel.clone());
    grpc.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    let mut request = tonic::Request::new(());
    request.set_timeout(std::time::Duration::from_secs(20));
    grpc.unary(request, path, codec).await.map(|_| ()).map_err(|status| problem_of(&status))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_refuses_and_permits_every_call_as_the_matrix_says() {
    let stand = Stand::start(1).await;
    let node = stand.hospitals[0].membership();
    let anonymous = Target {
        url: stand.url.clone(),
        authority_pem: pem_of(stand.ada.authority.der()),
        identity_pem: None,
        proxy: None,
    };
    let callers = [
        ('r', stand.channel(&stand.ada).await),
        ('o', stand.channel(&stand.omar).await),
        ('n', stand.channel(node).await),
        ('-', client::connect(&anonymous).await.unwrap()),
    ];
    let mut wrong = Vec::new();
    let mut refused = 0;
    for (letter, channel) in &callers {
        for (name, who) in CALLS {
            // What is let in meets an empty request, and says so in another code.
            let answer = call(channel, name).await;
            let code = answer.err().map_or_else(|| "ok".to_owned(), |problem| problem.code);
            let is_refused = code.starts_with("authorization.") || code == "identity.certificate";
            if is_refused == who.contains(*letter) {
                wrong.push(format!("{name} by {letter}: {code}"));
            }
            refused += usize::from(is_refused);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let denials = audit_chain(&**stand.folder.store())
        .map(Result::unwrap)
        .filter(|sealed| {
            sealed.event().is_some_and(|e| e.action == "authorization.deny" && e.outcome == Outcome::Refused)
        })
        .count();
    assert_eq!(denials, refused, "every refusal is an event of the audit chain, in {CONSORTIUM}");
}
