//! Any process may die at any moment (signal 9): a job ends done with the right answer, failed or refused; the logs
//! and audit chains hold; and no hospital ever gives two shares for one ciphertext.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ward_engine::encoding::Digest;
use ward_engine::host::EngineFolder;
use ward_engine::party::local::config::PartyConfig;
use ward_engine::party::node::Node;
use ward_engine::query::answer::Value;
use ward_engine::store::{JobId, audit_chain};

use crate::world::{Spec, World, small};

const HOSPITALS: [&str; 3] = ["h1", "h2", "h3"];
const RUNS: u32 = 200;

/// splitmix64.
pub struct Dice(u64);

impl Dice {
    /// Another seed for every run, printed; `WARD_CRASH_SEED` gives the one of a run to repeat.
    pub fn thrown() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
        let seed = setting("WARD_CRASH_SEED").unwrap_or(since.as_nanos() as u64);
        println!("WARD_CRASH_SEED={seed}");
        Self(seed)
    }

    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % sides
    }
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

#[test]
fn killed_processes_leave_no_job_half_released_and_no_second_share() {
    let runs = setting("WARD_CRASH_RUNS").map_or(RUNS, |runs| runs as u32);
    println!("WARD_CRASH_RUNS={runs}");
    let mut dice = Dice::thrown();
    let spec = Spec { floor: 5, profile: "default-8192", threshold: None, hospitals: small(3, "") };
    let world = World::start(&spec);
    let mut jobs = Vec::new();
    let mut ends: BTreeMap<String, u32> = BTreeMap::new();
    for run in 0..runs {
        let (job, state) = crash_once(&world, &mut dice, run);
        *ends.entry(state).or_default() += 1;
        jobs.push(job);
    }
    println!("{ends:?}");
    assert_eq!(
        ends.get("done").copied().unwrap_or(0),
        runs,
        "every process comes back, so every job can end well"
    );
    for hospital in HOSPITALS {
        world.kill(hospital);
        world.party(hospital, &["audit"]).ok();
    }
    world.kill("engine");
    let data = world.path("engine");
    world.ward("nobody", &["engine", "audit", "--data", &data]).ok();
    shares_are_drawn_once(&world, &jobs);
}

/// Submits, kills the engine or a hospital within `wait_ms`, starts it again, and waits for the job: its id, its end.
pub fn struck(
    world: &World,
    dice: &mut Dice,
    hospitals: &[&str],
    sql: &str,
    wait_ms: u64,
) -> (String, String) {
    let job = world.submit(sql, &["--time-limit", "60"]);
    std::thread::sleep(Duration::from_millis(dice.roll(wait_ms)));
    match dice.roll(hospitals.len() as u64 + 1) {
        0 => {
            world.kill("engine");
            world.start_engine();
        }
        n => {
            let hospital = hospitals[n as usize - 1];
            world.kill(hospital);
            world.start_party(hospital);
        }
    }
    let ended = world.ward("ada", &["watch", &job]);
    let state = world.state(&job);
    assert!(["done", "failed", "refused"].contains(&state.as_str()), "{sql}: job {job} is {state}");
    if state != "done" {
        println!("{sql}: job {job} is {state}: {}{}", ended.stdout, ended.stderr);
    }
    (job, state)
}

/// A crash, and the answer of a job that is done.
fn crash_once(world: &World, dice: &mut Dice, run: u32) -> (String, String) {
    // Another query every time, since the rows left out differ.
    let sql = format!("SELECT COUNT(*), SUM(age) FROM t WHERE age < {}", 100 + run % 20);
    let (job, state) = struck(world, dice, &HOSPITALS, &sql, 401);
    if state == "done" {
        let answer = world.ward("ada", &["result", &job]).answer();
        let values: Vec<&Value> = answer.rows[0].values.iter().map(|cell| &cell.value).collect();
        assert_eq!(
            values,
            [&Value::Count { value: 60 }, &Value::Exact { value: "2970".to_owned(), digits: 0 }]
        );
        assert_eq!(answer.participants, HOSPITALS);
    }
    (job, state)
}

/// Every value a node drew was stored once; one sum a job; what the engine got is what is stored.
fn shares_are_drawn_once(world: &World, jobs: &[String]) {
    let folder = EngineFolder::open(Path::new(&world.path("engine"))).expect("the engine's folder");
    let mut received: BTreeMap<String, BTreeSet<Digest>> = BTreeMap::new();
    for job in jobs {
        let id = JobId::parse(job).expect("a job's id");
        for part in folder.store().parts(&id).expect("parts") {
            if part.step.starts_with("share.") {
                received.entry(part.party).or_default().insert(part.blob);
            }
        }
    }
    for hospital in HOSPITALS {
        let config = PartyConfig::load(Path::new(&world.toml(hospital))).expect("a configuration");
        let node = Node::open(config).expect("a node");
        let (mut cells, mut sums) = (BTreeSet::new(), BTreeMap::new());
        let mut stored = BTreeSet::new();
        for sealed in audit_chain(&**node.store()) {
            let sealed = sealed.expect("an audit event");
            let event = sealed.event().expect("nothing was redacted");
            match event.action.as_str() {
                "once.store" => {
                    assert!(
                        cells.insert((event.detail.clone(), event.subject.clone())),
                        "stored twice: {event:?}"
                    );
                    if event.detail == "share" {
                        let share = node.store().recall("share", &event.subject).expect("the store");
                        stored.insert(Digest::of(&share.expect("a stored share")));
                    }
                }
                "share.give" => {
                    let given = sums.entry(event.subject.clone()).or_insert_with(|| event.detail.clone());
                    assert_eq!(*given, event.detail, "two sums of one job");
                }
                _ => {}
            }
        }
        let got = &received[hospital];
        assert_eq!(stored.len(), jobs.len(), "{hospital}: one share a job");
        assert_eq!(*got, stored, "{hospital}: the shares sent are the shares stored");
    }
}
