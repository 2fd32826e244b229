//! Accounts of the engine and revocation, by real processes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::world::{Ran, Spec, World, binary, small};

const PASSWORD: &str = "correct horse battery";

fn spec(hospitals: usize) -> Spec {
    Spec { floor: 5, profile: "default-8192", threshold: None, hospitals: small(hospitals, "") }
}

/// Runs a command as somebody, with these lines on stdin.
pub fn told(world: &World, home: &str, args: &[&str], lines: &str) -> Ran {
    let mut child = Command::new(binary())
        .args(["--json", "--quiet"])
        .args(args)
        .env("WARD_HOME", world.path(home))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    Ran {
        command: args.join(" "),
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The code that an authenticator shows now, for a secret in base 32.
fn code(secret: &str) -> String {
    let (mut bytes, mut buffer, mut bits) = (Vec::new(), 0_u32, 0);
    for c in secret.bytes() {
        let value = if c.is_ascii_uppercase() { c - b'A' } else { c - b'2' + 26 };
        (buffer, bits) = ((buffer << 5) | u32::from(value), bits + 5);
        if bits >= 8 {
            bits -= 8;
            bytes.push((buffer >> bits) as u8);
        }
    }
    let secret: [u8; 20] = bytes.try_into().unwrap();
    let totp = totp_rs::Builder::new().with_secret(secret).build().unwrap();
    totp.generate(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).to_string()
}

#[test]
fn a_person_with_an_account_logs_in_asks_and_logs_out() {
    let world = World::start(&spec(3));
    let data = world.path("engine");
    let add = ["account", "add", "--data", &data, "grace", "--role", "researcher"];
    let added = told(&world, "nobody", &add, &format!("{PASSWORD}\n")).ok().json();
    let secret = added["totp_secret"].as_str().unwrap();
    let (url, authority) = (world.url(), world.path("engine/ca/ca.pem"));
    let login = ["login", "--engine", &url, "--authority", &authority, "--account", "grace"];
    told(&world, "grace", &login, &format!("{PASSWORD}\n000000\n")).error(4, "login.credentials");
    told(&world, "grace", &login, &format!("{PASSWORD}\n{}\n", code(secret))).ok();
    let me = world.ward("grace", &["whoami"]).ok().json();
    assert_eq!((me["name"].as_str(), me["kind"].as_str()), (Some("grace"), Some("person")));
    assert_eq!(me["roles"], serde_json::json!(["researcher"]));
    let answer = world.ward("grace", &["submit", "SELECT SUM(age) FROM t", "--time-limit", "120"]).answer();
    assert_eq!(answer.rows.len(), 1);
    // Her certificate was issued on the strength of a token: without one it admits nobody.
    std::fs::rename(world.path("grace/login.sealed"), world.path("grace/kept")).unwrap();
    world.ward("grace", &["jobs"]).error(4, "identity.token_missing");
    std::fs::rename(world.path("grace/kept"), world.path("grace/login.sealed")).unwrap();
    world.ward("nobody", &["account", "disable", "--data", &data, "grace"]).ok();
    world.ward("grace", &["jobs"]).error(4, "login.ended");
    world.ward("grace", &["logout"]).ok();
}

#[test]
fn a_revoked_hospital_is_cut_off_at_once_and_the_others_are_told() {
    let world = World::start(&spec(3));
    world.ward("nobody", &["engine", "revoke", "--data", &world.path("engine"), "h3"]).ok();
    world.wait_connected(2);
    let list = world.path("h1/state/revocations.json");
    world.until("h1 knows the list", || {
        std::fs::read_to_string(&list).ok().filter(|text| text.contains("h3"))
    });
    world.until("h3 was told", || world.logs().contains("revoked").then_some(()));
}
