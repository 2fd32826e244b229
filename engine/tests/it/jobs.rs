//! What jobs do: policies, approval, participation, cancelling, data that changes, engines that go away.

use ward_engine::cli::session::Session;
use ward_engine::grpc::v1;
use ward_engine::party::aggregate::REQUEST;
use ward_engine::query::answer::Value;

use crate::world::{Spec, World, small};

fn start(count: usize, policy: &str) -> World {
    World::start(&spec(count, policy))
}

fn spec(count: usize, policy: &str) -> Spec {
    Spec { floor: 5, profile: "default-8192", threshold: None, hospitals: small(count, policy) }
}

fn count(world: &World, args: &[&str]) -> (u64, Vec<String>) {
    let submit = [&["submit", "SELECT COUNT(*) FROM t", "--time-limit", "60"], args].concat();
    let answer = world.ward("ada", &submit).answer();
    let Value::Count { value } = answer.rows[0].values[0].value else { panic!("{answer:?}") };
    (value, answer.participants)
}

/// Waits until a query is pending at a hospital; its job.
fn pending(world: &World, hospital: &str, job: &str) {
    world.until("the query waits for a person", || {
        let tasks = world.party(hospital, &["jobs"]).ok().json();
        let tasks = tasks.as_array().expect("tasks").clone();
        tasks
            .iter()
            .any(|t| t["job"] == job && t["approval"] == "pending" && t["researcher"] == "ada")
            .then_some(())
    });
}

#[test]
fn a_person_approves_denies_or_the_researcher_cancels() {
    let mut spec = spec(3, "");
    spec.hospitals[2].toml.push_str("[policy]\napproval = \"manual\"\n");
    let world = World::start(&spec);
    let sql = "SELECT COUNT(*) FROM t";
    let explained = world.talk("ada", &["explain", sql]).ok().stdout;
    assert!(
        explained.contains("h3: would answer after a person there approves (policy.approval)"),
        "{explained}"
    );

    let approved = world.submit(sql, &[]);
    pending(&world, "h3", &approved);
    assert_ne!(world.state(&approved), "done");
    world.party("h3", &["approve", &approved]).ok();
    assert_eq!(world.ended(&approved), "done");
    let answer = world.ward("ada", &["result", &approved]).answer();
    assert_eq!(answer.rows[0].values[0].value, Value::Count { value: 60 });
    world.party("h3", &["deny", &approved]).error(6, "store.conflict");

    let denied = world.submit(sql, &[]);
    pending(&world, "h3", &denied);
    world.party("h3", &["deny", &denied]).ok();
    assert_eq!(world.ended(&denied), "refused");
    let error = world.ward("ada", &["watch", &denied]).error(8, "policy.denied");
    assert_eq!(error["hospital"], "h3");
    world.ward("ada", &["result", &denied]).error(5, "job.not_done");

    let cancelled = world.submit(sql, &[]);
    pending(&world, "h3", &cancelled);
    world.ward("ada", &["cancel", &cancelled]).ok();
    assert_eq!(world.state(&cancelled), "cancelled");
    world.ward("ada", &["watch", &cancelled]).error(6, "job.cancelled");
    // Too late for the person as well: nothing comes of it.
    world.party("h3", &["approve", &cancelled]);
    assert_eq!(world.state(&cancelled), "cancelled");
    world.ward("ada", &["result", &cancelled]).error(5, "job.not_done");
}

#[test]
fn three_of_five_answer_while_two_are_away_and_all_wait_for_all() {
    let world = World::start(&Spec { threshold: Some(3), ..spec(5, "") });
    assert_eq!(count(&world, &[]), (100, ["h1", "h2", "h3", "h4", "h5"].map(str::to_owned).to_vec()));
    world.kill("h2");
    let (value, participants) = count(&world, &["--at-least", "3"]);
    assert_eq!((value, participants.len()), (80, 4));
    world.kill("h5");
    assert_eq!(count(&world, &["--at-least", "3"]), (60, ["h1", "h3", "h4"].map(str::to_owned).to_vec()));
    let waits = ["submit", "SELECT COUNT(*) FROM t", "--time-limit", "2"];
    let error = world.ward("ada", &waits).error(7, "job.deadline");
    assert!(error["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{error}");
    world.ward("ada", &[&waits[..], &["--at-least", "4"]].concat()).error(7, "job.deadline");
    world.start_party("h2");
    world.start_party("h5");
    assert_eq!(count(&world, &[]).0, 100);
}

#[test]
fn data_that_changed_is_refused_until_it_is_published() {
    let world = start(2, "");
    assert_eq!(count(&world, &[]).0, 40);
    let data = world.path("h1/data.csv");
    let changed = std::fs::read_to_string(&data).expect("data") + "77,F\n";
    std::fs::write(&data, changed).expect("data");
    let error = world.ward("ada", &["submit", "SELECT COUNT(*) FROM t"]).error(8, "data.version");
    assert_eq!(error["hospital"], "h1");
    // The refusal made the node publish again. One more is too few to be counted: the answers' difference is a patient.
    let ask = |what: &str| {
        world.until(what, || {
            let ran = world.ward("ada", &["submit", "SELECT COUNT(*) FROM t"]);
            let refused = ran.stderr.contains("\"data.version\"");
            (!refused).then_some(ran)
        })
    };
    let error = ask("the new version is published").error(8, "release.differencing");
    assert_eq!(error["hospital"], "h1");
    // Five more are hidden among each other.
    let more = std::fs::read_to_string(&data).expect("data") + "78,F\n79,F\n80,M\n81,M\n";
    std::fs::write(&data, more).expect("data");
    world.ward("ada", &["submit", "SELECT COUNT(*) FROM t"]).error(8, "data.version");
    let answer = ask("the next version is published").answer();
    assert_eq!(answer.rows[0].values[0].value, Value::Count { value: 45 });
}

#[test]
fn nodes_wait_for_an_engine_that_is_away() {
    let spec = spec(2, "");
    let world = World::enrolled(&spec);
    world.ward("ada", &["submit", "SELECT COUNT(*) FROM t"]).error(7, "epoch.none");
    world.kill("engine");
    world.start_party("h1");
    world.start_party("h2");
    let sick = world.party("h1", &["doctor"]);
    assert_eq!(sick.code, 7, "{sick:#?}");
    let checks = sick.json()["checks"].as_array().expect("checks").clone();
    let failed: Vec<_> = checks.iter().filter(|c| c["status"] == "failed").map(|c| &c["name"]).collect();
    assert!(failed.iter().any(|name| *name == "network.tcp"), "{failed:?}");
    assert!(checks.iter().filter(|c| c["status"] == "failed").all(|c| c["hint"].is_string()), "{checks:?}");
    world.ward("ada", &["jobs"]).error(7, "engine.unreachable");
    world.start_engine();
    world.wait_connected(2);
    world.keygen(&spec);
    assert_eq!(count(&world, &[]).0, 40);
    world.party("h1", &["doctor"]).ok();
    // The folder has its engine.
    let data = world.path("engine");
    let second = ["engine", "run", "--data", &data, "--listen", "127.0.0.1:0"];
    world.ward("nobody", &second).error(6, "engine.running");
}

#[test]
fn the_same_signed_request_is_the_same_job() {
    let world = start(2, "");
    let job = world.submit("SELECT COUNT(*) FROM t", &[]);
    assert_eq!(world.ended(&job), "done");
    let home = std::path::PathBuf::from(world.path("ada"));
    let request = std::fs::read(home.join("jobs").join(&job).join("request.json")).expect("the request");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let submit = |request: Vec<u8>, signed: &[u8]| {
        runtime.block_on(async {
            let session = Session::open(&home, None).await.expect("a session");
            let signature = session.member.as_ref().unwrap().identity.sign(REQUEST, &[signed]).0.to_vec();
            let signature = Some(v1::Signature { signer: "ada".to_owned(), signature });
            let aggregate = v1::Aggregate { request, signature };
            let job = Some(v1::submit_request::Job::Aggregate(aggregate));
            let response = session.jobs().submit(v1::SubmitRequest { job }).await;
            response.map(|response| response.into_inner().job.expect("a job").id)
        })
    };
    assert_eq!(submit(request.clone(), &request).expect("accepted"), job);
    // A request that the researcher did not sign is nobody's.
    let other = String::from_utf8(request.clone()).expect("text").replace("COUNT(*)", "SUM(age)");
    let status = submit(other.into_bytes(), &request).expect_err("refused");
    assert_eq!(status.code(), tonic::Code::PermissionDenied, "{status}");
    let jobs = world.ward("ada", &["jobs"]).ok().json();
    assert_eq!(jobs.as_array().map(Vec::len), Some(1), "{jobs}");
}

/// The first queries of a new researcher, all at once: they share the one key that opens results.
#[test]
fn first_queries_at_once_are_all_answered() {
    let world = start(2, "");
    std::thread::scope(|scope| {
        let asked: Vec<_> = (0..4).map(|_| scope.spawn(|| count(&world, &[]).0)).collect();
        for answer in asked {
            assert_eq!(answer.join().expect("an answer"), 40);
        }
    });
}
