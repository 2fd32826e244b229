//! A process dies (signal 9) at a step of a computation on shares that is chosen, not left to chance: while the sum is masked, while
//! the nodes compute, and while the engine keeps what they gave. The job ends well; a mask is drawn once and sent as it was stored,
//! and no attempt is gone on with.

use std::path::Path;
use std::time::{Duration, Instant};

use ward_engine::encoding::Digest;
use ward_engine::host::EngineFolder;
use ward_engine::party::local::config::PartyConfig;
use ward_engine::party::node::Node;
use ward_engine::party::task::ShareHeader;
use ward_engine::query::answer::Value;
use ward_engine::store::{JobId, Store, audit_chain};

use crate::crash::Dice;
use crate::crash_shares::attempts_are_begun_once;
use crate::world::{Spec, World, small};

const HOSPITALS: [&str; 3] = ["h1", "h2", "h3"];

/// A death: by which route the job goes, after how many events of which step, and who dies.
type Death = (&'static str, &'static str, usize, &'static str);

/// In the order of a job.
const DEATHS: [Death; 8] = [
    ("--mpc-encrypted", "encrypted", 3, "h2"),
    ("--mpc-encrypted", "encrypted", 3, "engine"),
    ("--mpc-encrypted", "share sent", 1, "h3"),
    ("--mpc-encrypted", "share sent", 1, "engine"),
    ("--mpc-encrypted", "computing", 1, "engine"),
    ("--mpc-encrypted", "computed", 3, "engine"),
    ("--mpc", "computing", 1, "h1"),
    ("--mpc", "computed", 3, "engine"),
];

/// Submits, waits for the step, kills, starts again, and waits for the end. Returns the job's id.
fn struck(world: &World, store: &dyn Store, dice: &mut Dice, (sql, death): (&str, Death)) -> String {
    let (route, step, count, victim) = death;
    let job = world.submit(sql, &[route, "--time-limit", "60"]);
    let id = JobId::parse(&job).expect("a job's id");
    let begin = Instant::now();
    let seen =
        || store.events(&id, 0, 1000).expect("events").iter().filter(|row| row.event.step == step).count();
    while seen() < count {
        assert!(begin.elapsed() < Duration::from_secs(60), "{death:?} in vain\n{}", world.logs());
        std::thread::sleep(Duration::from_millis(2));
    }
    std::thread::sleep(Duration::from_millis(dice.roll(25)));
    world.kill(victim);
    if victim == "engine" {
        world.start_engine()
    } else {
        world.start_party(victim)
    }
    let ended = world.ward("ada", &["watch", &job]);
    assert_eq!(world.state(&job), "done", "{death:?}: {}{}", ended.stdout, ended.stderr);
    job
}

#[test]
fn a_process_that_dies_at_any_step_of_a_computation_leaves_one_mask_and_a_new_attempt() {
    let mut dice = Dice::thrown();
    let spec = Spec { floor: 5, profile: "default-8192", threshold: None, hospitals: small(3, "") };
    let world = World::start(&spec);
    let folder = EngineFolder::open(Path::new(&world.path("engine"))).expect("the engine's folder");
    let mut masked = Vec::new();
    for (run, death) in DEATHS.into_iter().enumerate() {
        // Another query every time.
        let sql = format!("SELECT COUNT(*), MEDIAN(age) FROM t WHERE age < {}", 100 + run);
        let job = struck(&world, &**folder.store(), &mut dice, (&sql, death));
        let answer = world.ward("ada", &["result", &job]).answer();
        let values = &answer.rows[0].values;
        assert_eq!(values[0].value, Value::Count { value: 60 }, "{death:?}");
        let Value::Quantile(median) = &values[1].value else { panic!("{answer:?}") };
        assert_eq!((median.n, median.linear), (60, 49.5), "{death:?}");
        if death.0 == "--mpc-encrypted" {
            masked.push(job);
        }
    }
    for hospital in HOSPITALS {
        world.kill(hospital);
        world.party(hospital, &["audit"]).ok();
        attempts_are_begun_once(&world, hospital);
        masks_are_drawn_once(&world, &**folder.store(), (hospital, &masked));
    }
}

/// Of every job's sum one mask was stored, and the share that the engine has is the one that was stored with it.
fn masks_are_drawn_once(world: &World, engine: &dyn Store, (hospital, jobs): (&str, &[String])) {
    let config = PartyConfig::load(Path::new(&world.toml(hospital))).expect("a configuration");
    let node = Node::open(config).expect("a node");
    let mut kept = Vec::new();
    for sealed in audit_chain(&**node.store()) {
        let sealed = sealed.expect("an audit event");
        let event = sealed.event().expect("nothing was redacted");
        if event.action == "once.store" && event.detail == "mask" {
            kept.push(node.store().recall("mask", &event.subject).expect("the store").expect("a mask"));
        }
    }
    assert_eq!(kept.len(), jobs.len(), "{hospital}: one mask a job");
    for job in jobs {
        let parts = engine.parts(&JobId::parse(job).expect("a job's id")).expect("parts");
        let mut sent = parts.iter().filter(|part| part.party == hospital && part.step.starts_with("share."));
        let (Some(share), None) = (sent.next(), sent.next()) else {
            panic!("{hospital}: one share of job {job}")
        };
        let header: ShareHeader = serde_json::from_slice(&share.header).expect("a header");
        let is_of = |mask: &[u8]| {
            let start = mask.len().saturating_sub(header.bytes as usize);
            Digest::of(&mask[start..]) == share.blob
        };
        assert_eq!(kept.iter().filter(|mask| is_of(mask.as_slice())).count(), 1, "{hospital}: job {job}");
    }
}
