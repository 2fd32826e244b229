//! Attestations at the engine: registered once, logged, refused by name; a witness is not taken in.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

use std::path::Path;
use std::sync::OnceLock;

use serde_json::Value as Json;
use ward_engine::host::EngineFolder;
use ward_engine::store::audit_chain;

use crate::world::{Ran, Spec, World, example};

const PATIENTS: [&str; 2] = ["P-001", "P-004"];

/// An engine that registers for the sponsor (ada), with an issuer, two patients and a development key.
pub struct Clinic {
    pub world: World,
}

impl Clinic {
    pub fn path(&self, name: &str) -> String {
        self.world.path(&format!("zk/{name}"))
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        self.world.ward("nobody", args)
    }

    /// Proves for a patient; the attestation's file.
    pub fn prove(&self, patient: &str, request: &str, out: &str) -> String {
        let (wallet, out) = (self.path(&format!("{patient}.wallet")), self.path(out));
        self.run(&[
            "prove",
            "--wallet",
            &wallet,
            "--passphrase-file",
            &self.path("passphrase"),
            "--request",
            &self.path(request),
            "--registry",
            &self.path("registry.json"),
            "--key",
            &dev_key(),
            "--dev-key",
            "--out",
            &out,
        ])
        .ok();
        out
    }

    pub fn request(&self, study: &str, name: &str) -> String {
        let out = self.path(name);
        let criteria = "age between 18 and 75 and hba1c >= 6.5 [%] and dx in (E11.*)";
        let audience = "https://sponsor.example";
        self.run(&["attest", "request", criteria, "--study", study, "--audience", audience, "--out", &out])
            .ok();
        out
    }

    pub fn submit(&self, who: &str, args: &[&str]) -> Ran {
        self.world.ward(who, &[&["attest", "submit"], args].concat())
    }
}

fn clinic() -> &'static Clinic {
    static CLINIC: OnceLock<Clinic> = OnceLock::new();
    CLINIC.get_or_init(open)
}

/// The development key of all clinics: making one takes seconds.
pub fn dev_key() -> String {
    static KEY: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = KEY.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        ward_engine::attestation::keys::create_development::<ward_circuits::eligibility::Eligibility>(
            folder.path(),
        )
        .unwrap();
        folder
    });
    folder.path().display().to_string()
}

pub fn open() -> Clinic {
    let spec = Spec { floor: 5, profile: "default-8192", threshold: None, hospitals: Vec::new() };
    let clinic = Clinic { world: World::enrolled(&spec) };
    std::fs::create_dir_all(clinic.path("")).expect("a folder");
    for (name, text) in [
        ("passphrase", "a passphrase of tests".to_owned()),
        ("mapping.toml", example("eligibility/mapping.toml")),
        ("patients.csv", example("eligibility/patients.csv")),
    ] {
        std::fs::write(clinic.path(name), text).expect("a file");
    }
    let token = clinic.world.token("researcher", "bob");
    clinic.world.ward("bob", &["enrol", "--token", &token]).ok();
    issue(&clinic);
    let config = format!(
        "[attestations]\nkey = {:?}\nregistry = {:?}\ndevelopment_key = true\n\
             [[attestations.audience]]\nname = \"https://sponsor.example\"\nmembers = [\"ada\"]\n",
        dev_key(),
        clinic.path("registry.json")
    );
    std::fs::write(Path::new(&clinic.world.path("engine")).join("engine.toml"), config).expect("a file");
    clinic.world.kill("engine");
    clinic.world.start_engine();
    clinic.request("trial-7", "request.json");
    clinic
}

fn issue(clinic: &Clinic) {
    let (north, passphrase) = (clinic.path("north"), clinic.path("passphrase"));
    clinic.run(&["issuer", "init", "--dir", &north, "--name", "north"]).ok();
    clinic.run(&["issuer", "publish", "--dir", &north, "--out", &clinic.path("published")]).ok();
    for patient in PATIENTS {
        let wallet = clinic.path(&format!("{patient}.wallet"));
        let (holder, credential) =
            (clinic.path("holder.json"), clinic.path(&format!("{patient}.credential")));
        clinic.run(&["wallet", "init", "--wallet", &wallet, "--passphrase-file", &passphrase]).ok();
        let request =
            ["wallet", "request", "--wallet", &wallet, "--passphrase-file", &passphrase, "--out", &holder];
        clinic.run(&request).ok();
        clinic
            .run(&[
                "issuer",
                "issue",
                "--dir",
                &north,
                "--mapping",
                &clinic.path("mapping.toml"),
                "--records",
                &clinic.path("patients.csv"),
                "--patient",
                patient,
                "--holder",
                &holder,
                "--out",
                &credential,
            ])
            .ok();
        let issuer = clinic.path("published/north.issuer.json");
        clinic
            .run(&[
                "wallet",
                "add",
                "--wallet",
                &wallet,
                "--passphrase-file",
                &passphrase,
                &credential,
                "--issuer",
                &issuer,
            ])
            .ok();
    }
    let documents =
        [clinic.path("published/north.issuer.json"), clinic.path("published/north.revocations.json")];
    let registry = clinic.path("registry.json");
    clinic.run(&["attest", "registry", &documents[0], &documents[1], "--out", &registry]).ok();
}

pub fn codes(outcome: &Json) -> Vec<String> {
    let lines = outcome["attestations"].as_array().expect("lines");
    let code = |line: &Json| line["problem"]["code"].as_str().unwrap_or("ok").to_owned();
    lines.iter().map(code).collect()
}

#[test]
fn an_attestation_is_registered_once_and_verifies_offline_with_the_logs_proof() {
    let clinic = clinic();
    let request = clinic.request("trial-once", "once.request.json");
    let file = clinic.prove("P-001", "once.request.json", "once.json");
    let receipt = clinic.path("once.receipt.json");
    let outcome = clinic.submit("ada", &[&file, "--request", &request, "--receipt", &receipt]).ok().json();
    assert_eq!((codes(&outcome), &outcome["registered"]), (vec!["ok".to_owned()], &1.into()), "{outcome}");
    // The same again is the same job; the file has the log's proof now, and is the same.
    let again = clinic.submit("ada", &[&file, "--request", &request]).ok().json();
    assert_eq!(again["job"], outcome["job"]);
    let (consortium, key) = (outcome["consortium"].as_str().unwrap(), outcome["log_key"].as_str().unwrap());
    let verify = |file: &str, key: &str| {
        clinic.run(&[
            "attest",
            "verify",
            file,
            "--request",
            &request,
            "--registry",
            &clinic.path("registry.json"),
            "--key",
            &dev_key(),
            "--dev-key",
            "--log",
            consortium,
            "--log-key",
            key,
        ])
    };
    let said = verify(&file, key).ok().stdout;
    assert!(said.contains("it is in the log"), "{said}");
    let other = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    assert!(verify(&file, other).stdout.contains("attest.log"));
    // The receipt verifies offline, and not with another verdict in it.
    let ca = clinic.world.path("engine/ca/ca.pem");
    let said = clinic.run(&["verify", &receipt, "--authority", &ca]).ok().stdout;
    assert!(said.contains("1 of 1"), "{said}");
    let text = std::fs::read_to_string(&receipt).unwrap();
    std::fs::write(&receipt, text.replace("trial-once", "trial-two")).unwrap();
    assert_eq!(clinic.run(&["verify", &receipt, "--authority", &ca]).code, 9);
    // Jobs are listed as any other.
    let job = outcome["job"].as_str().unwrap();
    let shown = clinic.world.ward("ada", &["jobs", job]).ok().json();
    assert_eq!((&shown["job"]["state"], &shown["job"]["query"]), (&"done".into(), &"an attestation".into()));
}

#[test]
fn replay_and_double_counting_are_refused_by_name_and_a_batch_counts_the_others() {
    let clinic = clinic();
    let request = clinic.request("trial-count", "count.request.json");
    let first = clinic.prove("P-001", "count.request.json", "count/1.json");
    let alone = clinic.submit("ada", &[&first, "--request", &request]).ok().json();
    // Another proof of the same: the same digest, other bytes.
    clinic.prove("P-001", "count.request.json", "count/2.json");
    // Another day's attestation of the same patient would have another digest: so has one to another request.
    clinic.request("trial-count", "count-b.request.json");
    clinic.prove("P-001", "count-b.request.json", "count/3.json");
    clinic.prove("P-004", "count.request.json", "count/4.json");
    clinic.prove("P-004", "count.request.json", "count/5.json");
    let folder = clinic.path("count");
    let batch = clinic.submit("ada", &["--batch", &folder]);
    assert_eq!(batch.code, 9, "{batch:#?}");
    let outcome = batch.json();
    let expected = ["attest.replay", "attest.replay", "attest.double_count", "ok", "attest.replay"];
    assert_eq!(codes(&outcome), expected, "{outcome}");
    // What was registered before has its proof of the log as well.
    assert_eq!(outcome["attestations"][0]["leaf_index"], alone["attestations"][0]["leaf_index"]);
    let brought = clinic.world.ward("ada", &["attest", "result", outcome["job"].as_str().unwrap(), &folder]);
    assert_eq!(codes(&brought.json()), expected);
    // Compared with one request, the answer to another is refused.
    let strict = clinic.submit("ada", &["--batch", &folder, "--request", &request]).json();
    assert_eq!(codes(&strict)[2], "attest.request", "{strict}");
}

#[test]
fn only_whom_the_operator_named_registers_and_nobody_else_sees_the_job() {
    let clinic = clinic();
    let file = clinic.prove("P-004", "request.json", "named.json");
    clinic.submit("bob", &[&file]).error(4, "attest.audience");
    let job = clinic.submit("ada", &[&file]).ok().json()["job"].as_str().unwrap().to_owned();
    clinic.world.ward("bob", &["attest", "result", &job]).error(5, "job.unknown");
    clinic.world.ward("omar", &["jobs", &job]).ok();
}

#[test]
fn an_attestation_that_was_changed_is_refused_and_so_is_another_version() {
    let clinic = clinic();
    let file = clinic.prove("P-001", "request.json", "changed.json");
    let honest: Json = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let mut study = honest.clone();
    study["request"]["study"] = "trial-9".into();
    std::fs::write(&file, study.to_string()).unwrap();
    assert_eq!(codes(&clinic.submit("ada", &[&file]).json()), ["attest.proof"]);
    let mut version = honest;
    version["ward_attestation"] = 2.into();
    std::fs::write(&file, version.to_string()).unwrap();
    clinic.submit("ada", &[&file]).error(3, "attest.version");
}

#[test]
fn a_witness_is_refused_before_it_leaves_the_machine() {
    let clinic = clinic();
    for file in [clinic.path("P-001.wallet"), clinic.path("P-001.credential"), clinic.path("holder.json")] {
        clinic.submit("ada", &[&file]).error(8, "attest.witness");
    }
}

#[test]
fn an_engine_killed_while_it_registers_counts_everybody_once() {
    // A consortium of its own: the other tests need their engine.
    let clinic = open();
    let request = clinic.request("trial-kill", "kill.request.json");
    let file = clinic.prove("P-001", "kill.request.json", "kill.json");
    let submitted = clinic.submit("ada", &[&file, "--request", &request, "--no-wait"]).ok().json();
    clinic.world.kill("engine");
    clinic.world.start_engine();
    let job = submitted["job"].as_str().unwrap();
    assert_eq!(clinic.world.ended(job), "done");
    let brought = clinic.world.ward("ada", &["attest", "result", job, &file]).ok().json();
    assert_eq!(codes(&brought), ["ok"]);
    let folder = EngineFolder::open(Path::new(&clinic.world.path("engine"))).expect("the engine's folder");
    let digest = brought["attestations"][0]["digest"].as_str().unwrap();
    let subject = format!("attestation:{digest}");
    let registered = audit_chain(&**folder.store()).filter(|sealed| {
        let sealed = sealed.as_ref().unwrap();
        sealed.event().is_some_and(|event| event.subject == subject)
    });
    assert_eq!(registered.count(), 1);
}

/// The names in the definitions of the engine's services, comments aside.
fn names_of_the_api() -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../proto/ward/v1");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for line in text.lines() {
            let code = line.split("//").next().unwrap_or_default();
            names.extend(code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').map(str::to_lowercase));
        }
    }
    names
}

#[test]
fn the_engines_api_has_no_field_for_a_witness() {
    let names = names_of_the_api();
    assert!(names.iter().any(|name| name == "attestationsheader"));
    for witness in
        ["witness", "wallet", "credential", "passphrase", "holder", "slots", "attributes", "record"]
    {
        assert!(!names.iter().any(|name| name == witness), "{witness}");
    }
}

#[test]
fn a_node_proves_for_its_own_clinicians_under_its_policy_and_keeps_an_audit_event() {
    let clinic = clinic();
    let toml = format!(
        "[party]\ndata_dir = \"state\"\n[proving]\nkey = {:?}\nregistry = {:?}\ndevelopment_key = true\n\
         studies = [\"trial-node\"]\n",
        dev_key(),
        clinic.path("registry.json")
    );
    let folder = clinic.world.path("south");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(clinic.world.toml("south"), toml).unwrap();
    let token = clinic.world.token("hospital", "south");
    clinic.world.party("south", &["enrol", "--token", &token]).ok();
    clinic.world.start_party("south");
    let socket = format!("{folder}/state/prove.sock");
    clinic.world.until("the node proves", || Path::new(&socket).exists().then_some(()));
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&socket).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);

    let ask = |patient: &str, request: &str, out: &str, passphrase: &str| {
        let wallet = clinic.path(&format!("{patient}.wallet"));
        clinic.run(&[
            "prove",
            "--node",
            &socket,
            "--wallet",
            &wallet,
            "--passphrase-file",
            passphrase,
            "--request",
            request,
            "--out",
            out,
        ])
    };
    let (passphrase, out) = (clinic.path("passphrase"), clinic.path("node.json"));
    let request = clinic.request("trial-node", "node.request.json");
    ask("P-004", &request, &out, &passphrase).ok();
    let outcome = clinic.submit("ada", &[&out, "--request", &request]).ok().json();
    assert_eq!(codes(&outcome), ["ok"]);
    // Another study, and a wallet that does not open: refused by name.
    ask("P-004", &clinic.path("request.json"), &out, &passphrase).error(8, "prove.policy");
    let wrong = clinic.path("wrong");
    std::fs::write(&wrong, "another passphrase").unwrap();
    ask("P-004", &request, &out, &wrong).error(4, "wallet.passphrase");
    clinic.world.kill("south");
    let events = clinic.world.party("south", &["audit", "--events"]).ok().stdout;
    let made: Vec<&str> = events.lines().filter(|line| line.contains("proof.make")).collect();
    assert_eq!(made.len(), 3, "{events}");
    assert!(made[0].contains("trial-node") && made[0].contains("uid:") && made[1].contains("prove.policy"));
    for secret in ["600630-0221", "P-004", "E11", "passphrase of tests"] {
        assert!(!events.contains(secret), "{secret}");
    }
    // A socket that was left behind is taken over.
    clinic.world.start_party("south");
    clinic.world.until("the node proves again", || {
        let again = ask("P-004", &request, &clinic.path("node2.json"), &passphrase);
        (again.code == 0).then_some(())
    });
}
