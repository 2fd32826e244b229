//! Issuers publish through the consortium's log; sponsors, provers and the engine take them from there.

use std::path::Path;

use crate::attestations::{Clinic, codes, dev_key, open};
use crate::identity::told;
use crate::world::Ran;

const PASSWORD: &str = "correct horse battery";

/// An account of the engine that has logged in.
fn account(clinic: &Clinic, name: &str, organisation: &str) {
    let (world, data) = (&clinic.world, clinic.world.path("engine"));
    let add = ["account", "add", "--data", &data, name, "--role", "issuer", "--no-totp"];
    told(world, "nobody", &[&add[..], &["--organisation", organisation]].concat(), &format!("{PASSWORD}\n"))
        .ok();
    let (url, authority) = (world.url(), world.path("engine/ca/ca.pem"));
    let login = ["login", "--engine", &url, "--authority", &authority, "--account", name];
    told(world, name, &login, &format!("{PASSWORD}\n")).ok();
}

fn publish(clinic: &Clinic, who: &str, folder: &str) -> Ran {
    let (dir, out) = (clinic.path(folder), clinic.path("published"));
    clinic.world.ward(who, &["issuer", "publish", "--dir", &dir, "--out", &out, "--log"])
}

fn from_log(clinic: &Clinic) -> Ran {
    let out = clinic.path("registry.json");
    clinic.world.ward("ada", &["attest", "registry", "--from-log", "--issuer", "north", "--out", &out])
}

/// Verifies as somebody, with more options.
fn verify(clinic: &Clinic, who: &str, file: &str, more: &[&str]) -> Ran {
    let (request, registry, key) = (clinic.path("log.request.json"), clinic.path("registry.json"), dev_key());
    let args = [
        "attest",
        "verify",
        file,
        "--request",
        &request,
        "--registry",
        &registry,
        "--key",
        &key,
        "--dev-key",
    ];
    clinic.world.ward(who, &[&args[..], more].concat())
}

#[test]
fn keys_and_revocations_go_through_the_log_and_who_is_behind_is_told() {
    let clinic = open();
    account(&clinic, "ivy", "north");
    account(&clinic, "eve", "south");
    // Nothing is there, and only an issuer puts something there.
    from_log(&clinic).error(5, "issuer.unknown");
    publish(&clinic, "ada", "north").error(4, "authorization.denied");
    let published = publish(&clinic, "ivy", "north").ok().json();
    assert_eq!(published["log"]["issuers"][0]["organisation"], "north", "{published}");
    // A name is the organisation's and the identity's that published first under it.
    publish(&clinic, "eve", "north").error(4, "authorization.denied");
    clinic.run(&["issuer", "init", "--dir", &clinic.path("impostor"), "--name", "north"]).ok();
    publish(&clinic, "ivy", "impostor").error(6, "issuer.succession");

    let registry = from_log(&clinic).ok().json();
    assert_eq!(
        (&registry["issuers"][0], &registry["published"]["consortium"]),
        (&"north".into(), &"test".into())
    );
    clinic.request("trial-log", "log.request.json");
    let file = clinic.prove("P-001", "log.request.json", "log.json");
    // Offline by what the registry carries, and online.
    let authority = clinic.world.path("engine/ca/ca.pem");
    let offline = ["--published", "--authority", authority.as_str()];
    let said = verify(&clinic, "nobody", &file, &offline).ok().stdout;
    assert!(said.contains("the latest in the log of test"), "{said}");
    verify(&clinic, "ada", &file, &["--latest"]).ok();
    // The prover's registry is in the attestation, with the log's proofs.
    let text = std::fs::read_to_string(&file).expect("the attestation");
    assert!(text.contains("inclusion_proof"));

    // The engine verifies by the log, without a file of its operator's.
    let config = format!(
        "[attestations]\nkey = {:?}\nissuers = [\"north\"]\ndevelopment_key = true\n\
             [[attestations.audience]]\nname = \"https://sponsor.example\"\nmembers = [\"ada\"]\n",
        dev_key()
    );
    std::fs::write(Path::new(&clinic.world.path("engine")).join("engine.toml"), config).expect("a file");
    clinic.world.kill("engine");
    clinic.world.start_engine();
    assert_eq!(codes(&clinic.submit("ada", &[&file]).ok().json()), ["ok"]);

    // A revocation, published: whoever asks learns it at once, and the engine holds attestations against it.
    let north = clinic.path("north");
    let issued = Path::new(&north).join("issued.json");
    let before = std::fs::read(&issued).expect("the list");
    clinic.run(&["issuer", "revoke", "--dir", &north, "--patient", "840402-0017"]).ok();
    publish(&clinic, "ivy", "north").ok();
    verify(&clinic, "ada", &file, &["--latest"]).error(8, "attest.outdated");
    verify(&clinic, "nobody", &file, &offline).ok();
    let late = clinic.prove("P-004", "log.request.json", "late.json");
    assert_eq!(codes(&clinic.submit("ada", &[&late]).json()), ["attest.revoked_since"]);
    from_log(&clinic).ok();
    let revoked = verify(&clinic, "ada", &file, &["--latest"]);
    assert!(revoked.code == 9 && revoked.stdout.contains("attest.revoked_since"), "{revoked:#?}");
    // An issuer's folder that was restored from before the revocation publishes nothing.
    std::fs::write(&issued, before).expect("a file");
    publish(&clinic, "ivy", "north").error(6, "issuer.succession");
}
