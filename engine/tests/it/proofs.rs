//! `WITH PROOFS`, as its users have it: hospitals that prove their contributions, an engine that verifies them, a
//! researcher whose answer opens the commitments, and anybody who verifies the receipt.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

use std::path::Path;

use serde_json::{Value as Json, json};

use crate::world::{Ran, Spec, World, small};

const SQL: &str = "SELECT COUNT(age), SUM(age) FROM t WHERE sex = 'F' AND age BETWEEN 42 AND 60";

/// Three hospitals that prove sums of age.
fn world() -> World {
    let key = tempfile::tempdir().unwrap().keep();
    ward_engine::attestation::keys::create_development::<ward_circuits::aggregate::Aggregate<64>>(&key)
        .unwrap();
    let proofs = format!("[proofs]\nkey = {key:?}\ndevelopment_key = true\n");
    let sections = "[[table.proof]]\ncolumns = [\"sex\", \"age\"]\nvalue = \"age\"\n";
    let hospitals = small(3, &format!("{sections}{proofs}"));
    let spec = Spec { floor: 5, profile: "default-8192", threshold: None, hospitals };
    let world = World::enrolled(&spec);
    std::fs::rename(&key, world.path("key")).unwrap();
    let written = |file: String| {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let moved = world.path("key");
        std::fs::write(&file, text.replace(&key.display().to_string(), &moved)).unwrap();
    };
    spec.hospitals.iter().for_each(|h| written(world.toml(&h.name)));
    world.kill("engine");
    world.start_engine();
    spec.hospitals.iter().for_each(|h| world.start_party(&h.name));
    world.wait_connected(3);
    world.keygen(&spec);
    world
}

fn check<'a>(report: &'a Json, name: &str) -> Vec<&'a Json> {
    report["checks"].as_array().unwrap().iter().filter(|line| line["name"] == name).collect()
}

fn verify(world: &World, receipt: &str, more: &[&str]) -> Ran {
    world.ward("ada", &[&["verify", receipt], more].concat())
}

#[test]
fn a_proved_answer_opens_its_receipt_verifies_and_a_changed_one_does_not() {
    let world = world();
    let proved = format!("{SQL} WITH PROOFS");
    world.ward("ada", &["submit", &proved]).error(8, "proofs.key");
    let toml = Path::new(&world.path("engine")).join("engine.toml");
    std::fs::write(toml, "[proofs]\nkey = \"../key\"\ndevelopment_key = true\n").unwrap();
    world.kill("engine");
    world.start_engine();
    world.wait_connected(3);

    let (receipt, key) = (world.path("receipt.json"), world.path("key"));
    let by_key = ["--proof-key", &key, "--dev-key"];
    let args = [&["submit", SQL, "--proofs", "--receipt", &receipt], &by_key[..]].concat();
    let answer = world.ward("ada", &args).answer();
    // Women from 42 to 49: 8 at each of three, of 364 years.
    let values: Vec<String> =
        answer.rows[0].values.iter().map(|cell| serde_json::to_string(&cell.value).unwrap()).collect();
    assert!(values[0].contains("24") && values[1].contains("1092"), "{values:?}");

    let report = verify(&world, &receipt, &by_key).ok().json();
    let lines = check(&report, "proof");
    assert_eq!(lines.len(), 3);
    assert!(lines.iter().all(|line| line["status"] == "passed"), "{lines:?}");
    verify(&world, &receipt, &by_key[..2]).error(8, "attest.development_key");
    let unchecked = verify(&world, &receipt, &[]).ok().json();
    assert!(check(&unchecked, "proofs")[0]["detail"].as_str().unwrap().contains("not verified"));

    // The commitment in the log binds every byte of every proof.
    let mut changed: Json = serde_json::from_str(&std::fs::read_to_string(&receipt).unwrap()).unwrap();
    let floor = &mut changed["commitment"]["proofs"]["contributions"]["h1"]["floor"];
    assert_eq!(*floor, 5);
    *floor = json!(6);
    std::fs::write(world.path("changed.json"), changed.to_string()).unwrap();
    assert_eq!(verify(&world, &world.path("changed.json"), &by_key).code, 9);

    // Two women at each hospital: under the floor. The proofs are of zeros, and do not tell.
    let few = "SELECT SUM(age) FROM t WHERE sex = 'F' AND age >= 48";
    let args = [&["submit", few, "--proofs", "--receipt", &receipt], &by_key[..]].concat();
    let answer = world.ward("ada", &args).answer();
    assert!(serde_json::to_string(&answer.rows).unwrap().contains("suppressed"), "{:?}", answer.rows);
    verify(&world, &receipt, &by_key).ok();

    // A ceremony's key is taken over under its id alone.
    let (verifying, taken) = (format!("{key}/verifying.key"), world.path("taken"));
    let id = ward_engine::proofs::known(Path::new(&key), true).unwrap().id.to_string();
    let statement = ["--statement", "aggregate-1-64", "--out", &taken];
    let import = |id: &str| {
        world.ward(
            "ada",
            &[&["attest", "key", "--verifying", &verifying, "--id", id], &statement[..]].concat(),
        )
    };
    let refused = import(&"0".repeat(64)).error(3, "attest.key_file");
    assert!(refused.to_string().contains(&id), "{refused}");
    import(&id[..60]).error(3, "attest.key_id");
    import(&id).ok();
    verify(&world, &receipt, &["--proof-key", &taken]).ok();

    // What no hospital published cannot be asked so.
    world.ward("ada", &["submit", "SELECT COUNT(*) FROM t", "--proofs"]).error(3, "query.unsupported");
    let explained = world.talk("ada", &["explain", SQL, "--proofs"]).ok().stdout;
    assert!(explained.contains("commits to its count and sum"), "{explained}");
    let plain = world.ward("ada", &["submit", SQL, "--receipt", &receipt]);
    plain.ok();
    assert!(!std::fs::read_to_string(&receipt).unwrap().contains("proofs"));
}
