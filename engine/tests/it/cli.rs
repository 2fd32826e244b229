//! What a researcher and a hospital see at the command line: plans, refusals, receipts, checks.

use std::sync::OnceLock;

use ward_engine::query::answer::Value;

use crate::world::{Ran, Spec, World, small};

/// Three hospitals with the policy of the installation.
fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        World::start(&Spec { floor: 5, profile: "default-8192", threshold: None, hospitals: small(3, "") })
    })
}

fn submit(sql: &str) -> Ran {
    world().ward("ada", &["submit", sql, "--time-limit", "60"])
}

#[test]
fn explain_prints_the_plan_and_every_verdict() {
    let text = world()
        .talk("ada", &["explain", "SELECT sex, AVG(age) FROM t WHERE age > 30 GROUP BY sex"])
        .ok()
        .stdout;
    for line in [
        "hospitals: h1, h2, h3",
        "groups: sex",
        "key: 3 of 3 holders (h1, h2, h3)",
        "h1: would answer",
        "h2: would answer",
        "h3: would answer",
        "who learns what",
        "threat model",
    ] {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
    let refused = world().talk("ada", &["explain", "SELECT MAX(age) FROM t"]).ok().stdout;
    assert!(
        refused.contains("h2: the statistic `min_max` is not allowed here (policy.statistic)"),
        "{refused}"
    );
    // Nothing was computed for it.
    let before = world().ward("ada", &["jobs"]).ok().json();
    assert!(!before.to_string().contains("MAX(age)"), "{before}");
}

#[test]
fn a_split_by_hospital_and_extrema_are_refused_by_the_rule() {
    let error = submit("SELECT COUNT(*) FROM t GROUP BY hospital").error(8, "policy.by_hospital");
    assert!(error["hospital"].is_string() && error["hint"].is_string(), "{error}");
    let error = submit("SELECT MIN(age) FROM t").error(8, "policy.statistic");
    assert!(error["hospital"].is_string() && error["hint"].is_string(), "{error}");
}

#[test]
fn a_query_that_makes_no_sense_says_where_and_what_to_do() {
    let error = submit("SELECT AVG(agee) FROM t").error(3, "query.column");
    assert!(error["message"].as_str().is_some_and(|m| m.contains("line 1, column 12")), "{error}");
    assert!(error["hint"].as_str().is_some_and(|h| h.contains("age")), "{error}");
    assert_eq!(world().talk("ada", &["submit"]).code, 2);
    world().ward("ada", &["jobs", "nonsense"]);
    assert_eq!(submit("SELECT * FROM t; DROP TABLE t").code, 3);
}

#[test]
fn members_see_the_catalogue_their_jobs_and_their_results() {
    let catalogue = world().ward("ada", &["catalogue"]).ok().json();
    for hospital in ["h1", "h2", "h3"] {
        let table = &catalogue["hospitals"][hospital]["tables"][0];
        assert_eq!(
            (&table["name"], &table["columns"][0]["name"]),
            (&"t".into(), &"age".into()),
            "{catalogue}"
        );
    }
    let job = world().submit("SELECT SUM(age) FROM t WHERE sex = 'F'", &[]);
    assert_eq!(world().ended(&job), "done");
    let answer = world().ward("ada", &["result", &job]).answer();
    let sum = 3 * (40..50).sum::<i64>();
    assert_eq!(answer.rows[0].values[0].value, Value::Exact { value: sum.to_string(), digits: 0 });
    let listed = world().ward("ada", &["jobs", "--limit", "1000"]).ok().json();
    let mine = listed.as_array().expect("jobs").iter().find(|j| j["id"] == job.as_str()).expect("the job");
    assert_eq!((&mine["state"], &mine["submitter"]), (&"done".into(), &"ada".into()));
    // The operator sees that there is a job, and cannot have its result.
    world().ward("omar", &["jobs", &job]).ok();
    world().ward("omar", &["result", &job]).error(4, "authorization.denied");
    world().ward("omar", &["submit", "SELECT COUNT(*) FROM t"]).error(4, "authorization.denied");
    world().ward("ada", &["keygen"]).error(4, "authorization.denied");
    world().ward("nobody", &["jobs"]).error(5, "member.missing");
}

#[test]
fn a_receipt_verifies_offline_and_a_changed_one_does_not() {
    let receipt = world().path("receipt.json");
    let sql = "SELECT COUNT(*), AVG(age) FROM t";
    world().ward("ada", &["submit", sql, "--receipt", &receipt]).ok();
    let verified = world().ward("ada", &["verify", &receipt]).ok().json();
    assert!(verified["checks"].as_array().is_some_and(|checks| checks.len() >= 5), "{verified}");
    // Anybody with the authority's certificate can, without the engine.
    let authority = world().path("engine/ca/ca.pem");
    world().ward("nobody", &["verify", &receipt, "--authority", &authority]).ok();
    let text = std::fs::read_to_string(&receipt).expect("the receipt");
    let forged = text.replace("AVG", "SUM");
    assert_ne!(forged, text);
    let path = world().path("forged.json");
    std::fs::write(&path, forged).expect("a file");
    let report = world().ward("ada", &["verify", &path]);
    assert_eq!(report.code, 9, "{report:#?}");
    // Every digit of every digest and signature counts.
    let mut tampered = 0;
    for (at, _) in text.match_indices(|c: char| c.is_ascii_digit()).step_by(97) {
        let digit = if &text[at..=at] == "7" { "3" } else { "7" };
        let changed = format!("{}{digit}{}", &text[..at], &text[at + 1..]);
        std::fs::write(&path, changed).expect("a file");
        let report = world().ward("ada", &["verify", &path]);
        assert_eq!(report.code, 9, "byte {at}: {report:#?}");
        tampered += 1;
    }
    assert!(tampered > 3, "{tampered}");
}

#[test]
fn chains_and_nodes_are_healthy() {
    submit("SELECT COUNT(*) FROM t").ok();
    let data = world().path("engine");
    world().ward("nobody", &["engine", "audit", "--data", &data]).ok();
    for hospital in ["h1", "h2", "h3"] {
        world().party(hospital, &["audit"]).ok();
        let report = world().party(hospital, &["doctor"]).ok().json();
        assert_eq!(report["subject"], hospital);
        let events = world().party(hospital, &["audit", "--events"]).ok().stdout;
        let read =
            events.lines().filter(|line| line.contains("\"data.read\"") && line.contains("\"cohort\":\"t@"));
        assert!(read.count() >= 1, "{events}");
    }
}

#[test]
fn the_shell_gets_completion_and_the_exit_codes() {
    for (shell, word) in [("bash", "_ward"), ("zsh", "#compdef ward"), ("fish", "complete -c ward")] {
        let script = world().talk("nobody", &["completion", shell]).ok().stdout;
        assert!(script.contains(word) && script.contains("doctor"), "{shell}");
    }
    let codes = world().talk("nobody", &["exit-codes"]).ok().stdout;
    assert!(codes.lines().any(|line| line.contains('8') && line.contains("refused")), "{codes}");
}
