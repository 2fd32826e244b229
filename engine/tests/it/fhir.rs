//! What Ward writes as FHIR is FHIR to somebody else's validator: audit events and consents of release 4.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value as Json, json};

use crate::documents::{installed, skip};
use crate::world::{Spec, World, small};

/// The validator of `tests/fhir`.
struct Validator(PathBuf);

impl Validator {
    fn find() -> Option<Self> {
        let tools = installed("fhir").filter(|tools| tools.join("node_modules/fhir").is_dir());
        if tools.is_none() {
            skip("no FHIR validator here; engine/tests/fhir/install.sh installs it");
        }
        tools.map(Self)
    }

    /// How many resources were read, and what is wrong with them.
    fn validate(&self, lines: &str) -> (u64, Json) {
        let own =
            std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").to_owned());
        let mut child = Command::new("node")
            .arg(format!("{own}/tests/fhir/validate.cjs"))
            .arg(&self.0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node");
        child.stdin.take().expect("a pipe").write_all(lines.as_bytes()).expect("node reads");
        let output = child.wait_with_output().expect("node ends");
        let mut said: Json = serde_json::from_slice(&output.stdout).expect("JSON");
        (said["resources"].as_u64().expect("a count"), said["errors"].take())
    }
}

#[test]
fn audit_events_and_consents_are_valid_release_4_to_another_validator() {
    let Some(validator) = Validator::find() else { return };
    let mut hospitals = small(2, "");
    let toml = hospitals[0]
        .toml
        .replace("rows_max = 100\n", "rows_max = 100\npatient = \"age\"\ndata_class = \"labs\"\n");
    hospitals[0].toml = toml + "[consent]\nregime = \"opt-out\"\n";
    let world = World::start(&Spec { floor: 5, profile: "default-8192", threshold: None, hospitals });
    let purpose = ["--purpose", "DUO:0000006"];
    let grant = ["consent", "grant", "--patient", "41", "--class", "labs", "--until", "2030-12-31"];
    let config = ["--config", &world.toml("h1")];
    for words in [
        [&grant[..2], &config, &grant[2..], &purpose].concat(),
        [&["consent", "deny"][..], &config, &["--patient", "42", "--class", "labs", "--grantee", "ada"]]
            .concat(),
        [&["consent", "revoke"][..], &config, &["--patient", "41", "--reason", "a letter"]].concat(),
        [&["consent", "grant"][..], &config, &["--patient", "43"], &purpose].concat(),
    ] {
        world.ward("nobody", &[&["party"][..], &words].concat()).ok();
    }
    world.ward("ada", &[&["submit", "SELECT COUNT(*) FROM t GROUP BY sex"][..], &purpose].concat()).ok();
    world.ward("ada", &["submit", "SELECT COUNT(*) FROM t"]).error(8, "consent.purpose");

    let (engine, consents) = (world.path("engine"), [&["party", "consent", "export"][..], &config].concat());
    let export = ["audit", "export", "--format", "fhir"];
    for (words, least) in [
        ([&export[..], &config].concat(), 20),
        ([&export[..], &["--data", &engine]].concat(), 20),
        (consents, 3),
    ] {
        let lines = world.talk("nobody", &words).ok().stdout;
        let (count, errors) = validator.validate(&lines);
        assert!(count >= least, "{words:?}: {count} resources");
        assert_eq!(errors, json!([]), "{words:?}");
        for line in lines.lines() {
            let resource: Json = serde_json::from_str(line).expect("JSON");
            assert_eq!(crate::balp::broken(&resource), Vec::<String>::new(), "{line}");
        }
        // The validator finds what is wrong: a property that FHIR does not have, a code that is none.
        let wrong = lines.replacen("{\"resourceType\"", "{\"notFhir\":1,\"resourceType\"", 1);
        assert_eq!(validator.validate(&wrong).1.as_array().map(Vec::len), Some(1), "{words:?}");
    }
}
