//! Studies over real processes: required where a hospital says so, approved by each, withdrawn by one; two
//! administrators where the policy asks for two; and broken glass.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use serde_json::Value as Json;

use crate::world::{Spec, World, small};

const SQL: &str = "SELECT AVG(age) FROM t";

fn world() -> World {
    let spec = Spec {
        floor: 5,
        profile: "default-8192",
        threshold: None,
        hospitals: small(2, "[policy]\nstudies = \"required\"\n"),
    };
    World::start(&spec)
}

fn new<'a>(id: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let common = [
        "study",
        "new",
        id,
        "--title",
        "Ages",
        "--purpose",
        "DUO:0000006",
        "--ethics",
        "EK 1",
        "--ends",
        "2099-12-31",
    ];
    [&common, more].concat()
}

/// The key that `ward study key` makes, and its file.
fn admin_key(world: &World, name: &str) -> (String, String) {
    let file = world.path(&format!("{name}.key"));
    let made = world.ward("nobody", &["study", "key", "--out", &file]).ok().json();
    (made["key"].as_str().expect("a key").to_owned(), file)
}

fn configure(world: &World, hospital: &str, more: &str) {
    let path = world.toml(hospital);
    let text = std::fs::read_to_string(&path).expect("a configuration");
    std::fs::write(path, text.replace("studies = \"required\"\n", more)).expect("a configuration");
}

fn said(view: &Json, hospital: &str) -> Option<String> {
    let decisions = view["decisions"].as_array().expect("decisions");
    let of = decisions.iter().find(|d| d["decision"]["hospital"] == hospital)?;
    of["decision"]["verdict"].as_str().map(str::to_owned)
}

#[test]
fn a_study_runs_where_it_is_approved_and_stops_where_it_is_withdrawn() {
    let world = world();
    world.ward("ada", &["submit", SQL]).error(8, "study.required");
    world.ward("ada", &new("ages", &["--table", "t", "--statistic", "avg", "--floor", "12"])).ok();
    world.ward("ada", &["submit", "--study", "ages", SQL]).error(8, "study.unapproved");
    for hospital in ["h1", "h2"] {
        let config = world.toml(hospital);
        world.ward("nobody", &["party", "study", "approve", "--config", &config, "ages"]).ok();
    }
    let view = world.ward("ada", &["study", "show", "ages"]).ok().json();
    assert_eq!(said(&view, "h1").as_deref(), Some("approved"), "{view}");
    let answer = world.ward("ada", &["submit", "--study", "ages", SQL]).answer();
    assert_eq!(answer.rows.len(), 1);
    // Other tables, statistics and people do not fall under it; a floor of 12 withholds groups of 10.
    world.ward("ada", &["submit", "--study", "ages", "SELECT SUM(age) FROM t"]).error(8, "study.statistic");
    world.ward("ada", &["submit", "--study", "nothing", SQL]).error(5, "study.unknown");
    world.ward("omar", &["submit", "--study", "ages", SQL]).error(4, "authorization.denied");
    let split =
        world.ward("ada", &["submit", "--study", "ages", "SELECT AVG(age) FROM t GROUP BY sex"]).answer();
    let text = serde_json::to_string(&split).expect("an answer");
    assert!(text.contains("suppressed") || text.contains("withheld"), "{text}");
    let config = world.toml("h2");
    let why = ["--reason", "a new vote is needed"];
    world
        .ward("nobody", &[&["party", "study", "withdraw", "--config", &config, "ages"][..], &why].concat())
        .ok();
    let refused = world.ward("ada", &["submit", "--study", "ages", SQL]).error(8, "study.withdrawn");
    assert_eq!(refused["hospital"], "h2");
    world.ward("ada", &["study", "close", "ages"]).ok();
    world.ward("ada", &["submit", "--study", "ages", SQL]).error(8, "study.closed");
}

#[test]
fn two_administrators_approve_and_one_breaks_glass_which_is_told() {
    let world = world();
    let hook = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let address = hook.local_addr().expect("an address");
    let told = std::thread::spawn(move || {
        let (mut stream, _) = hook.accept().expect("a post");
        let mut bytes = vec![0; 65_536];
        let mut got = 0;
        while !String::from_utf8_lossy(&bytes[..got]).contains("outbreak") {
            got += stream.read(&mut bytes[got..]).expect("a body");
        }
        stream.write_all(b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n").expect("an answer");
        String::from_utf8_lossy(&bytes[..got]).into_owned()
    });
    let ((dora, dora_key), (erik, erik_key)) = (admin_key(&world, "dora"), admin_key(&world, "erik"));
    let admins = format!(
        "studies = \"required\"\nstudy_approvals = 2\n[[policy.admin]]\nname = \"dora\"\nkey = \"{dora}\"\n\
         [[policy.admin]]\nname = \"erik\"\nkey = \"{erik}\"\n[notify]\nwebhook = \"http://{address}/ward\"\n"
    );
    configure(&world, "h1", &admins);
    world.ward("ada", &new("ages", &["--table", "t"])).ok();
    let config = world.toml("h1");
    let approve = |more: &[&str]| {
        world.ward("nobody", &[&["party", "study", "approve", "--config", &config, "ages"], more].concat())
    };
    let waiting = approve(&["--as", "dora", "--key", &dora_key]).ok().json();
    assert_eq!(said(&waiting, "h1"), None, "one is not enough: {waiting}");
    approve(&["--as", "erik", "--key", &dora_key]).error(4, "study.admin");
    let again = approve(&["--as", "dora", "--key", &dora_key]).ok().json();
    assert_eq!(said(&again, "h1"), None, "the same person twice is not two: {again}");
    world.ward("ada", &["submit", "--study", "ages", SQL]).error(8, "study.unapproved");
    let signed = approve(&["--as", "erik", "--key", &erik_key]).ok().json();
    assert_eq!(said(&signed, "h1").as_deref(), Some("approved"), "{signed}");
    let other = world.toml("h2");
    world.ward("nobody", &["party", "study", "approve", "--config", &other, "ages"]).ok();
    world.ward("ada", &["submit", "--study", "ages", SQL]).answer();
    let glass = |key: &str, reason: &str| {
        let open = ["party", "break-glass", "open", "--config", &config, "--as", "dora", "--key", key];
        let rest = ["--researcher", "ada", "--minutes", "5", "--reason", reason];
        world.ward("nobody", &[&open[..], &rest].concat())
    };
    glass(&erik_key, "outbreak on ward 7").error(4, "glass.admin");
    glass(&dora_key, "because").error(3, "glass.reason");
    let opened = glass(&dora_key, "outbreak on ward 7").ok().json();
    let posted = told.join().expect("the webhook");
    assert!(posted.contains("ward-signature") && posted.contains("break_glass.open"), "{posted}");
    let events = world.ward("nobody", &["party", "audit", "--config", &config, "--events"]).ok().stdout;
    assert!(events.contains("break_glass.open") && events.contains("PRIORITY"), "{events}");
    let urgent = ["audit", "search", "--config", &world.toml("h1"), "--urgent", "--action", "break_glass"];
    let urgent = world.ward("nobody", &urgent).ok().json();
    assert!(urgent.as_array().is_some_and(|events| !events.is_empty()), "{urgent}");
    // It holds at this hospital alone, and its use is told.
    let refused = world.ward("ada", &["submit", SQL]).error(8, "study.required");
    assert_eq!(refused["hospital"], "h2");
    let notices = world.ward("nobody", &["party", "events", "--config", &config]).ok().stdout;
    assert!(notices.contains("break_glass.use") && notices.contains("\"high\""), "{notices}");
    let id = opened[0]["id"].as_str().expect("an id");
    let close =
        ["party", "break-glass", "close", "--config", &config, "--as", "dora", "--key", &dora_key, id];
    world.ward("nobody", &close).ok();
    world.ward("nobody", &close).error(5, "store.not_found");
    let used = || {
        let events = world.ward("nobody", &["party", "audit", "--config", &config, "--events"]).ok().stdout;
        events.matches("break_glass.use").count()
    };
    let before = used();
    world.ward("ada", &["submit", SQL]).error(8, "study.required");
    assert_eq!(used(), before, "a closed override is not used");
}

/// A world with noise, in which a person at h2 looks at every query, and its patients may object.
fn noisy_world() -> World {
    let policy = "[policy]\nstudies = \"required\"\n[policy.privacy]\nepsilon_max = 2\nbudget_epsilon = 8\n";
    let mut hospitals = small(2, policy);
    let toml = hospitals[1].toml.replace("[policy]\n", "[policy]\napproval = \"manual\"\n");
    let toml = toml.replace("rows_max = 100\n", "rows_max = 100\npatient = \"age\"\ndata_class = \"labs\"\n");
    hospitals[1].toml = toml + "[consent]\nregime = \"opt-out\"\npurpose = \"DUO:0000042\"\n";
    World::start(&Spec { floor: 5, profile: "default-8192", threshold: None, hospitals })
}

fn study_word(world: &World, hospital: &str, word: &str, id: &str) {
    let config = world.toml(hospital);
    world.ward("nobody", &["party", "study", word, "--config", &config, id]).ok();
}

fn pending(world: &World, job: &str) {
    world.until("the query waits for a person", || {
        let tasks = world.party("h2", &["jobs"]).ok().json();
        let tasks = tasks.as_array().expect("tasks").clone();
        tasks.iter().any(|task| task["job"] == job && task["approval"] == "pending").then_some(())
    });
}

#[test]
fn a_study_spends_its_own_budget_and_a_withdrawal_stops_a_job_that_waits() {
    let world = noisy_world();
    world.ward("ada", &new("noisy", &["--table", "t", "--epsilon", "1", "--delta", "0.000001"])).ok();
    world.ward("ada", &new("plain", &["--table", "t"])).ok();
    for (hospital, id) in [("h1", "noisy"), ("h2", "noisy"), ("h1", "plain"), ("h2", "plain")] {
        study_word(&world, hospital, "approve", id);
    }
    let sql = "SELECT COUNT(*) FROM t";
    let noise = ["--epsilon", "0.8", "--delta", "1e-6"];
    let within = |id: &'static str| [&["--study", id][..], &noise].concat();
    let explained = || world.talk("ada", &[&["explain", sql][..], &within("noisy")].concat()).ok().stdout;
    let before = explained();
    assert!(before.contains("noisy: Ages") && before.contains("epsilon 1, delta 1e-6"), "{before}");
    assert!(before.contains("study noisy has rho"), "{before}");
    let job = world.submit(sql, &within("noisy"));
    pending(&world, &job);
    world.party("h2", &["approve", &job]).ok();
    assert_eq!(world.ended(&job), "done");
    assert_eq!(explained().matches("answered before: costs nothing more").count(), 2, "at either hospital");
    // The tables' budgets have room for many more, the study's for none.
    let other = "SELECT COUNT(*) FROM t WHERE age > 45";
    world.ward("ada", &[&["submit", other][..], &within("noisy")].concat()).error(8, "budget.spent");
    world.ward("ada", &[&["submit", other][..], &within("plain")].concat()).error(8, "study.budget");
    let job = world.submit(SQL, &["--study", "plain"]);
    pending(&world, &job);
    study_word(&world, "h2", "withdraw", "plain");
    world.party("h2", &["approve", &job]).ok();
    assert_eq!(world.ended(&job), "refused");
    let refused = world.ward("ada", &["watch", &job]).error(8, "study.withdrawn");
    assert_eq!(refused["hospital"], "h2");
    // The consortium may ask for studies too: then it is the engine that refuses, and no hospital is asked.
    world.kill("engine");
    std::fs::write(world.path("engine/engine.toml"), "[studies]\nrequired = true\n").expect("a setting");
    world.start_engine();
    world.wait_connected(2);
    let refused = world.ward("ada", &["submit", SQL]).error(8, "study.required");
    assert!(refused["hospital"].as_str().unwrap_or_default().is_empty(), "{refused}");
}
