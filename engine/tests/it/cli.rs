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
fn the_trail_says_why_and_one_trace_leads_through_every_member() {
    let purpose = "DUO:0000042";
    let sql = "SELECT sex, SUM(age) FROM t GROUP BY sex";
    world().ward("ada", &["submit", sql, "--purpose", purpose, "--time-limit", "60"]).ok();
    let data = world().path("engine");
    let found = |args: &[&str]| {
        let events = world().ward("nobody", &[&["audit", "search"], args].concat()).ok().json();
        let list = events.as_array().cloned().unwrap_or_default();
        list.into_iter().map(|sealed| sealed["entry"]["whole"]["event"].clone()).collect::<Vec<_>>()
    };
    let submitted = found(&["--data", &data, "--purpose", purpose, "--action", "job.submit"]);
    let context = submitted.last().expect("a job with that purpose")["context"].clone();
    assert_eq!(context["cohort"], "t");
    assert!(context["source"].as_str().is_some_and(|ip| ip.starts_with("127.")), "{context}");
    let trace = context["trace"].as_str().filter(|id| id.len() == 32).expect("a trace").to_owned();
    let done = found(&["--data", &data, "--trace", &trace, "--action", "job.done"]);
    assert_eq!(done[0]["context"]["purpose"], serde_json::json!([purpose]), "{done:?}");
    for hospital in ["h1", "h2", "h3"] {
        let toml = world().toml(hospital);
        let seen = found(&["--config", &toml, "--trace", &trace, "--purpose", purpose]);
        for action in ["job.accept", "data.read", "share.give", "log.cosign"] {
            let of: Vec<_> = seen.iter().filter(|event| event["action"] == action).collect();
            assert!(!of.is_empty(), "{hospital}: no {action} in {seen:#?}");
            let is_whole = |event: &&serde_json::Value| {
                let context = &event["context"];
                context["organisation"] == hospital
                    && context["cohort"].as_str().is_some_and(|cohort| cohort.starts_with("t@"))
            };
            assert!(of.iter().all(is_whole), "{of:#?}");
        }
        let rules = ["audit", "compliance", "--config", &toml, "--rules", "gdpr"];
        let report = world().ward("nobody", &rules).ok().stdout;
        assert!(report.contains("DUO:0000042"), "{report}");
        let rules =
            ["audit", "compliance", "--config", &toml, "--rules", "localisation", "--domestic", "ada"];
        world().ward("nobody", &rules).ok();
    }
}

#[test]
fn counts_are_rounded_on_both_routes_and_it_shows() {
    // 14 at each of three hospitals, each of which gives 15; far enough from those who are asked for elsewhere.
    let sql = "SELECT COUNT(*) FROM t WHERE age BETWEEN 43 AND 56";
    for more in [&[][..], &["--mpc"]] {
        let csv = world().path("rounded.csv");
        let args = [&["submit", sql, "--rounding", "--csv", &csv, "--time-limit", "60"], more].concat();
        let answer = world().ward("ada", &args).answer();
        assert_eq!((&answer.rows[0].values[0].value, answer.rounding), (&Value::Count { value: 45 }, 5));
        let csv = std::fs::read_to_string(csv).expect("a file");
        assert!(csv.contains(",rounded_to\n") && csv.contains("45,,5\n"), "{csv}");
    }
    let receipt = world().path("rounded.json");
    let args = ["submit", sql, "--rounding", "--receipt", &receipt, "--time-limit", "60"];
    let said = world().talk("ada", &args).ok().stdout;
    assert!(said.contains("multiples of 5") && said.contains("within 6 of the truth"), "{said}");
    let receipt = std::fs::read_to_string(receipt).expect("a receipt");
    let receipt: serde_json::Value = serde_json::from_str(&receipt).expect("JSON");
    assert_eq!(receipt["commitment"]["rounding"], 5);
    let text = world().talk("ada", &["explain", sql, "--rounding"]).ok().stdout;
    assert!(text.contains("rounds its counts to multiples of 5"), "{text}");
    let error = submit("SELECT AVG(age) FROM t WITH ROUNDING").error(3, "query.unsupported");
    assert!(error["hint"].as_str().is_some_and(|hint| hint.contains("WITH PRIVACY")), "{error}");
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
