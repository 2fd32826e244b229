//! A hostile hospital where contributions are proved: a proof that does not hold ends the job in its name.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

use std::sync::{Arc, Mutex};

use ward_circuits::aggregate::Aggregate;
use ward_engine::attestation::keys::create_development;
use ward_engine::cli::session::Session;
use ward_engine::grpc::v1;
use ward_engine::party::aggregate::participation;
use ward_engine::party::task::ContributionHeader;
use ward_engine::query::answer::Value;

use crate::hostile_hospital::Forger;
use crate::wire_stand::Stand;

const SQL: &str = "SELECT COUNT(age), SUM(age) FROM labs WHERE arm = 1 WITH PROOFS";

/// What the hostile hospital makes of its own contribution; it has seen those of earlier jobs.
type Forge = fn(&mut ContributionHeader, earlier: Option<&ContributionHeader>);

async fn asked(stand: &Stand, session: &Session) -> v1::Job {
    let job = session.submit(SQL, participation(0), 60).await.unwrap();
    stand.ended(&stand.ada, &job.id).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_that_does_not_hold_ends_the_job_in_its_hospitals_name() {
    let key = tempfile::tempdir().unwrap();
    create_development::<Aggregate<64>>(key.path()).unwrap();
    let (forger, mode) = (Forger::default(), Arc::new(Mutex::new(None::<Forge>)));
    let seen: Mutex<Option<ContributionHeader>> = Mutex::default();
    let now = mode.clone();
    let twist = forger.twist(move |header, _| {
        let (forge, mut earlier) = (*now.lock().unwrap(), seen.lock().unwrap());
        match forge {
            Some(forge) => forge(header, earlier.as_ref()),
            None => *earlier = Some(header.clone()),
        }
    });
    let stand = Stand::with_proofs(2, key.path(), twist).await;
    forger.of(&stand);
    let session = Session::open(&stand.dir.path().join("ada"), None).await.unwrap();
    let honest = asked(&stand, &session).await;
    assert_eq!(honest.state(), v1::JobState::Done, "{honest:?}");
    let answer = session.result(&honest.id).await.unwrap().answer;
    assert!(matches!(answer.rows[0].values[0].value, Value::Count { value: 36..=40 }), "{answer:?}");

    let forgeries: [(&str, Forge); 5] = [
        ("h-1 proved nothing", |header, _| header.proof = None),
        ("does not hold", |header, earlier| {
            let earlier = earlier.unwrap().proof.as_ref().unwrap().proof.clone();
            header.proof.as_mut().unwrap().proof = earlier;
        }),
        ("does not hold", |header, earlier| {
            let earlier = earlier.unwrap().proof.as_ref().unwrap().commitment.clone();
            header.proof.as_mut().unwrap().commitment = earlier;
        }),
        ("is malformed", |header, _| header.proof.as_mut().unwrap().commitment.0.truncate(63)),
        ("is malformed", |header, _| header.proof.as_mut().unwrap().floor = 1),
    ];
    for (message, forge) in forgeries {
        *mode.lock().unwrap() = Some(forge);
        let ended = asked(&stand, &session).await;
        let problem = ended.problem.clone().unwrap_or_default();
        assert_eq!((problem.code.as_str(), problem.hospital.as_str()), ("node.protocol", "h-1"), "{ended:?}");
        assert!(problem.message.contains(message), "{message}: {problem:?}");
        assert!(!stand.released(&stand.ada, &ended.id).await);
    }
}
