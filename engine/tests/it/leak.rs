//! A small cell stays at home: its value is looked for in everything that a whole system says and keeps outside the
//! hospital it is of, as text and as the bytes of a number.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ward_engine::query::answer::Value;

use crate::world::{Ran, Spec, World, small};

/// Three patients at `h1`, code `Z`, whom no other hospital has: under the floor. Their values and the sum of them are
/// numbers that nothing else says by chance.
const VALUES: [u64; 3] = [918_273_641, 827_364_519, 736_451_928];
const TABLE: &str = r#"
[[table.column]]
name = "code"
kind = "category"
codes = ["A", "Z"]
[[table.column]]
name = "cost"
kind = "integer"
min = 0
max = 1000000000
[policy.privacy]
"#;

/// A rule of the operator's: ceremonies are held from the hospitals' own network, and from nowhere else.
const AT_HOME: &str = r#"
@id("ceremonies-at-home")
@says("ceremonies are held from the hospitals' own network")
@code("away")
@hint("ask again from there")
forbid (principal, action == Ward::Action::"ceremony.hold", resource)
unless { context.location like "10.11.*" };
"#;

/// All tests look at one consortium.
fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(start)
}

fn start() -> World {
    let mut hospitals = small(3, TABLE);
    for (number, hospital) in hospitals.iter_mut().enumerate() {
        hospital.csv = "age,sex,code,cost\n".to_owned();
        hospital.csv.extend((0..20).map(|i| format!("{},F,A,{}\n", 40 + i, 1000 + i)));
        if number == 0 {
            hospital.csv.extend(VALUES.map(|value| format!("71,M,Z,{value}\n")));
        }
    }
    let world = World::start(&Spec { floor: 5, profile: "default-8192", threshold: None, hospitals });
    let policies = PathBuf::from(world.path("engine/policies"));
    std::fs::create_dir_all(&policies).unwrap();
    std::fs::write(policies.join("home.cedar"), AT_HOME).unwrap();
    for name in ["engine", "h1", "h2", "h3"] {
        world.restart_traced(name);
    }
    world.wait_connected(3);
    world
}

/// Every form in which a value may show.
fn forms(value: u64) -> Vec<Vec<u8>> {
    let text = value.to_string();
    let grouped: Vec<&str> = [&text[..3], &text[3..6], &text[6..]].into();
    vec![
        text.clone().into_bytes(),
        grouped.join(",").into_bytes(),
        value.to_le_bytes().to_vec(),
        value.to_be_bytes().to_vec(),
        hex::encode(value.to_le_bytes()).into_bytes(),
        hex::encode(value.to_be_bytes()).into_bytes(),
    ]
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

/// No secret is in there, in any form: each is of eight bytes or more, which do not come by chance.
fn is_free_of(secrets: &[u64], place: &str, bytes: &[u8]) {
    let forms: Vec<Vec<u8>> = secrets.iter().flat_map(|secret| forms(*secret)).collect();
    let mut begins = vec![false; 1 << 16];
    forms.iter().for_each(|form| begins[usize::from(u16::from_be_bytes([form[0], form[1]]))] = true);
    for (at, pair) in bytes.windows(2).enumerate() {
        if begins[usize::from(u16::from_be_bytes([pair[0], pair[1]]))] {
            let found = forms.iter().find(|form| bytes[at..].starts_with(form));
            assert!(found.is_none(), "{place} holds {found:02x?} at {at}");
        }
    }
}

#[test]
fn a_small_cell_is_in_no_output_log_error_or_store_outside_its_hospital() {
    let world = world();
    let sum: u64 = VALUES.iter().sum();
    let mut secrets = VALUES.to_vec();
    secrets.push(sum);
    let route = |sql: &str, more: &[&str]| {
        let query = ["submit", sql, "--time-limit", "120"];
        let ran: Ran = world.ward("ada", &[&query, more].concat());
        let said = [ran.stdout.as_bytes(), ran.stderr.as_bytes()].concat();
        is_free_of(&secrets, &ran.command, &said);
        ran
    };
    let grouped = "SELECT code, COUNT(*), SUM(cost), AVG(cost) FROM t GROUP BY code";
    // On shares the cell is asked for alone: beside its neighbour it would be the difference to the first answer.
    let alone = "SELECT COUNT(*), SUM(cost), AVG(cost) FROM t WHERE code = 'Z'";
    for (sql, more) in [(grouped, &[][..]), (alone, &["--mpc"])] {
        let ran = route(sql, more).ok();
        assert!(ran.stdout.contains("suppressed"), "{ran:#?}");
    }
    // Answers about the cell alone, its neighbour, and questions that are refused.
    route("SELECT SUM(cost) FROM t WHERE code = 'Z'", &[]).ok();
    route("SELECT SUM(cost) FROM t WHERE age = 71", &["--mpc"]).ok();
    route("SELECT MAX(cost) FROM t", &[]).error(3, "query.limit");
    route("SELECT MAX(age) FROM t", &[]).error(8, "policy.statistic");
    route("SELECT code, SUM(cost) FROM t GROUP BY code, hospital", &[]).error(8, "policy.by_hospital");
    for asked in [&["jobs"][..], &["catalogue"], &["parties"], &["explain", grouped]] {
        let ran = world.talk("ada", asked);
        is_free_of(&secrets, &ran.command, &[ran.stdout.as_bytes(), ran.stderr.as_bytes()].concat());
    }
    // The search finds what is there: the hospital's own file.
    let own = std::fs::read(world.path("h1/data.csv")).unwrap();
    assert!(std::panic::catch_unwind(|| is_free_of(&VALUES, "its own file", &own)).is_err());
    // What everybody keeps and says: engine, researcher and the other hospitals; and the logs of all, h1's too.
    let mut kept = Vec::new();
    for folder in ["engine", "ada", "omar", "h2", "h3"] {
        files(Path::new(&world.path(folder)), &mut kept);
    }
    kept.extend(["engine", "h1", "h2", "h3"].map(|name| PathBuf::from(world.path(&format!("{name}.log")))));
    let mut bytes = 0;
    for path in &kept {
        let content = std::fs::read(path).unwrap_or_default();
        bytes += content.len();
        is_free_of(&secrets, &path.display().to_string(), &content);
    }
    assert!(kept.len() > 20 && bytes > 1 << 20, "{} files, {bytes} bytes looked through", kept.len());
    let log = std::fs::read_to_string(world.path("h1.log")).unwrap();
    assert!(log.contains("TRACE"), "the node says everything");
    // The trail of the hospital itself, which its auditors and patients read.
    let trail = world.party("h1", &["audit", "--events"]).ok().stdout;
    is_free_of(&secrets, "the trail of h1", trail.as_bytes());
}

#[test]
fn noise_on_shares_is_that_under_encryption_and_is_paid_for_once() {
    let world = world();
    let sql = "SELECT sex, COUNT(*), AVG(age) FROM t GROUP BY sex WITH PRIVACY (epsilon = 1, delta = 1e-6)";
    let ask = |more: &[&str]| {
        let query = ["submit", sql, "--time-limit", "120"];
        world.ward("ada", &[&query, more].concat()).answer()
    };
    let on_shares = ask(&["--mpc"]);
    let spent = world.party("h1", &["budget"]).ok().stdout;
    assert!(matches!(on_shares.rows[0].values[0].value, Value::Noisy { .. }), "{on_shares:#?}");
    let guarantee = on_shares.privacy.clone().unwrap();
    assert!(guarantee.noise.iter().all(|noise| noise.sd > 0.0) && guarantee.rho > 0.0);
    assert_eq!(on_shares.pooled_floor, None);
    // The exact count is 60; the answer holds it within ten deviations, and is hardly ever it.
    let Value::Noisy { value, sd, ci95 } = on_shares.rows[0].values[0].value else {
        panic!("{on_shares:#?}")
    };
    assert!((value - 60.0).abs() <= 10.0 * sd && ci95[0] < value && value < ci95[1]);
    // The other route, and a second time: the same noise, and nothing more is spent.
    assert_eq!(ask(&[]).rows, on_shares.rows);
    assert_eq!(ask(&["--mpc"]).rows, on_shares.rows);
    assert_eq!(world.party("h1", &["budget"]).ok().stdout, spent);
    for other in ["MEDIAN(age)", "LINREG(age, sex)", "TTEST(age, sex)"] {
        let asked = format!("SELECT {other} FROM t WITH PRIVACY (epsilon = 1, delta = 1e-6)");
        let refused = world.ward("ada", &["submit", &asked, "--mpc"]).error(3, "query.unsupported");
        assert!(refused["hint"].as_str().is_some_and(|hint| hint.contains("COUNT")), "{refused}");
    }
}

#[test]
fn a_rule_about_where_a_call_comes_from_refuses_and_says_so_on_the_trail() {
    let world = world();
    let refused = world.ward("omar", &["keygen", "--profile", "default-8192"]);
    let error = refused.error(4, "authorization.away");
    assert!(error["message"].as_str().is_some_and(|said| said.contains("own network")), "{error}");
    let data = world.path("engine");
    let search = ["audit", "search", "--data", &data, "--action", "authorization.deny", "--actor", "omar"];
    let found = world.ward("nobody", &search).ok().json();
    let event = &found[0]["entry"]["whole"]["event"];
    assert_eq!((&event["outcome"], &event["context"]["source"]), (&"refused".into(), &"127.0.0.1".into()));
    assert!(event["detail"].as_str().is_some_and(|detail| detail.contains("ceremonies-at-home")), "{event}");
}
