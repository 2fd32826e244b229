//! What a hospital stores about patients, at the command line: sealed under keys that rotate, gone when erased, and the
//! key-encryption key in a token (SoftHSM), and in the transit engine of a Vault server (OpenBao, tests/transit).
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

use std::ffi::OsStr;
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use ward_engine::clock::now_ms;
use ward_engine::consent::{Purpose, Question, Regime};
use ward_engine::identity::{CertificateAuthority, Role};
use ward_engine::party::local::config::PartyConfig;
use ward_engine::party::node::Node;

use crate::documents::{installed, skip};
use crate::node_house::{CONSORTIUM, write_member};
use crate::world::binary;

/// An enrolled hospital without engine.
pub struct Place {
    dir: tempfile::TempDir,
    pub environment: Vec<(String, String)>,
}

impl Place {
    pub fn new(more: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("rows.csv"), "pid,age\np-1,40\np-2,50\n").unwrap();
        let toml = format!(
            "[party]\ndata_dir = \"state\"\n\
             [[table]]\nname = \"labs\"\nsource = {{ csv = \"rows.csv\" }}\npatient = \"pid\"\ndata_class = \"labs\"\nrows_max = 10\n\
             [[table.column]]\nname = \"age\"\nkind = \"integer\"\nmin = 0\nmax = 120\n\
             [consent]\nregime = \"opt-out\"\n{more}"
        );
        std::fs::write(dir.path().join("party.toml"), toml).unwrap();
        let authority = CertificateAuthority::create(CONSORTIUM, now_ms() / 1000).unwrap();
        write_member(&dir.path().join("state"), &authority, Role::Hospital, "north");
        Self { dir, environment: Vec::new() }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// `ward party ...`, with the configuration: exit code, stdout as JSON, stderr.
    pub fn run(&self, args: &[&str]) -> (i32, Json, String) {
        let config = self.path().join("party.toml").display().to_string();
        self.ward(&[&["party"], args, &["--config", &config]].concat())
    }

    /// `ward ...`: exit code, stdout as JSON, stderr.
    pub fn ward(&self, args: &[&str]) -> (i32, Json, String) {
        let out = Command::new(binary())
            .arg("--json")
            .args(args)
            .envs(self.environment.iter().cloned())
            .env("WARD_HOME", self.path().join("home"))
            .output()
            .unwrap();
        let stdout = String::from_utf8_lossy(&out.stdout).into_owned();
        let json = serde_json::from_str(&stdout).unwrap_or(Json::String(stdout));
        (out.status.code().unwrap_or(-1), json, String::from_utf8_lossy(&out.stderr).into_owned())
    }

    pub fn ok(&self, args: &[&str]) -> Json {
        let (code, json, stderr) = self.run(args);
        assert_eq!(code, 0, "{args:?}: {stderr}");
        json
    }

    pub fn fails(&self, args: &[&str], code: &str) {
        let (exit, json, stderr) = self.run(args);
        assert!(exit != 0 && stderr.contains(&format!("\"{code}\"")), "{args:?}: {exit} {json} {stderr}");
    }

    pub fn node(&self) -> Node {
        Node::open(PartyConfig::load(&self.path().join("party.toml")).unwrap()).unwrap()
    }

    /// A node whose tables nobody looks at.
    pub fn idle_node(&self) -> Node {
        Node::open_lazily(PartyConfig::load(&self.path().join("party.toml")).unwrap()).unwrap()
    }

    /// Files of the node that hold a text. Another process reads them: were a database's file closed in this one, a
    /// node that is open here would lose its locks on it.
    pub fn holding(&self, text: &[u8]) -> Vec<PathBuf> {
        let found = Command::new("grep")
            .args(["-rlaF", "--"])
            .arg(OsStr::from_bytes(text))
            .arg(self.path().join("state"))
            .output()
            .unwrap();
        assert!(found.status.code().is_some_and(|code| code < 2), "{found:?}");
        String::from_utf8_lossy(&found.stdout).lines().map(PathBuf::from).collect()
    }
}

fn permitted(node: &Node, patient: &str) -> (bool, Json) {
    let index = node.consents().index(&**node.store()).unwrap();
    let question =
        Question { grantees: vec![], purpose: Purpose::HEALTH_RESEARCH, classes: vec!["labs".to_owned()] };
    let who = node.consents().pseudonym(patient).unwrap();
    let decision = index.decide(Regime::OptOut, &who, (&question, now_ms()));
    (decision.permitted, serde_json::to_value(decision.reason).unwrap())
}

#[test]
fn an_erased_patient_stays_out_also_where_silence_permits_and_may_come_back() {
    let place = Place::new("");
    let running = place.node();
    assert_eq!(permitted(&running, "p-1"), (true, json!("not_objected")));
    place.ok(&["consent", "deny", "--patient", "p-1", "--grantee", "acme-secret"]);
    place.ok(&["consent", "deny", "--patient", "p-2"]);
    assert!(place.holding(b"acme-secret").is_empty());
    assert_eq!(permitted(&running, "p-2"), (false, json!("denied")));
    let before = running.root_of_consents().unwrap().1;

    let erased = place.ok(&["erase", "p-1"]);
    assert_eq!((&erased["classes"], &erased["consents"]), (&json!(["ward/consent"]), &json!(1)), "{erased}");
    assert_eq!(erased["is_log_empty"], true);
    // The node that runs takes it in; a denial that is gone permits nothing.
    assert_eq!(permitted(&running, "p-1"), (false, json!("erased")));
    assert_eq!(permitted(&running, "p-2"), (false, json!("denied")));
    assert_eq!(permitted(&place.node(), "p-1"), (false, json!("erased")));
    assert!(running.root_of_consents().unwrap().1.version > before.version);

    let again = place.ok(&["erase", "p-1"]);
    assert!(again["erased_before_unix_ms"].is_u64() && again["classes"] == json!([]), "{again}");
    place.fails(&["erase", "p-9"], "patient.unknown");
    let trail = place.ok(&["audit"]);
    assert!(trail.to_string().contains("audit chain"), "{trail}");
    let (_, events, _) = place.run(&["audit", "--events"]);
    let who = erased["patient"].as_str().unwrap();
    let is_event = |line: &&str| line.contains("\"patient.erase\"") && line.contains(who);
    assert_eq!(events.as_str().unwrap().lines().filter(is_event).count(), 1);

    place.ok(&["consent", "grant", "--patient", "p-1", "--purpose", "DUO:0000006"]);
    assert_eq!(permitted(&running, "p-1"), (true, json!("granted")));
    assert_eq!(place.ok(&["erase", "p-1"])["classes"], json!(["ward/consent"]));
}

#[test]
fn who_reads_what_a_patient_said_is_told_under_the_patients_pseudonym() {
    let place = Place::new("");
    place.ok(&["consent", "deny", "--patient", "p-1"]);
    let said = place.ok(&["consent", "list", "--patient", "p-1"]);
    let (id, who) = (said[0]["id"].as_str().unwrap(), said[0]["pseudonym"].as_str().unwrap());
    place.ok(&["consent", "show", id]);
    place.ok(&["consent", "history", id]);
    place.ok(&["consent", "check", "--patient", "p-1", "--purpose", "DUO:0000006", "--class", "labs"]);
    place.ok(&["consent", "check", "--patient", "p-2", "--purpose", "DUO:0000006", "--class", "labs"]);
    let (_, events, _) = place.run(&["audit", "--events"]);
    let is_read = |line: &&str| line.contains("\"consent.read\"") && line.contains(who);
    assert_eq!(events.as_str().unwrap().lines().filter(is_read).count(), 4, "{events}");
}

#[test]
fn rotation_leaves_every_record_readable_and_a_copy_of_the_old_key_file_useless() {
    let place = Place::new("");
    place.ok(&["consent", "deny", "--patient", "p-1"]);
    let kek = place.path().join("state/kek.json");
    let old = std::fs::read(&kek).unwrap();
    let rotated = place.ok(&["keys", "rotate"]);
    assert_eq!(
        (&rotated["current"], &rotated["rewrapped"], &rotated["is_retired"]),
        (&json!(2), &json!(1), &json!(true))
    );
    assert_eq!(place.ok(&["consent", "list"]).as_array().unwrap().len(), 1);
    let shown = place.ok(&["keys", "show"]);
    assert_eq!((&shown["current"], &shown["data_keys"]), (&json!(2), &json!({ "2": 1 })));
    std::fs::write(&kek, old).unwrap();
    place.fails(&["consent", "list"], "vault.version");
}

fn softhsm() -> Option<PathBuf> {
    let has_tool = Command::new("softhsm2-util").arg("--version").output().is_ok();
    let folders =
        ["/usr/lib/softhsm", "/usr/lib/x86_64-linux-gnu/softhsm", "/usr/lib/aarch64-linux-gnu/softhsm"];
    let module =
        folders.iter().map(|folder| Path::new(folder).join("libsofthsm2.so")).find(|path| path.exists());
    let found = module.filter(|_| has_tool);
    if found.is_none() {
        skip("no SoftHSM here (Debian: softhsm2)");
    }
    found
}

#[test]
fn a_token_wraps_the_keys_and_never_shows_its_own() {
    let Some(module) = softhsm() else { return };
    let kek = format!(
        "[keys]\nkek = {{ pkcs11 = {{ module = {:?}, token = \"ward test\", pin = {{ env = \"WARD_TEST_PIN\" }} }} }}\n",
        module.display()
    );
    let mut place = Place::new(&kek);
    let tokens = place.path().join("tokens");
    std::fs::create_dir(&tokens).unwrap();
    let settings = place.path().join("softhsm2.conf");
    std::fs::write(&settings, format!("directories.tokendir = {}\nlog.level = ERROR\n", tokens.display()))
        .unwrap();
    let made = Command::new("softhsm2-util")
        .args(["--init-token", "--free", "--label", "ward test", "--so-pin", "12345678", "--pin", "87654321"])
        .env("SOFTHSM2_CONF", &settings)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    place.environment = vec![
        ("SOFTHSM2_CONF".to_owned(), settings.display().to_string()),
        ("WARD_TEST_PIN".to_owned(), "87654321".to_owned()),
    ];
    for patient in ["p-1", "p-2"] {
        place.ok(&["consent", "deny", "--patient", patient]);
    }
    assert_eq!(place.ok(&["consent", "list"]).as_array().unwrap().len(), 2);
    assert!(!place.path().join("state/kek.json").exists());
    let rotated = place.ok(&["keys", "rotate"]);
    assert_eq!((&rotated["current"], &rotated["rewrapped"]), (&json!(2), &json!(2)));
    assert_eq!(place.ok(&["consent", "list"]).as_array().unwrap().len(), 2);
    assert_eq!(place.ok(&["keys", "show"])["data_keys"], json!({ "2": 2 }));
    assert_eq!(place.ok(&["erase", "p-1"])["consents"], 1);
    assert_eq!(place.ok(&["consent", "list"]).as_array().unwrap().len(), 1);
    // A second rotation destroys the second version in the token.
    place.ok(&["keys", "rotate"]);
    assert_eq!(place.ok(&["keys", "show"])["current"], 3);

    place.environment[1].1 = "00000000".to_owned();
    place.fails(&["consent", "list"], "vault.settings");
    std::fs::remove_dir_all(&tokens).unwrap();
    std::fs::create_dir(&tokens).unwrap();
    place.fails(&["consent", "list"], "vault.settings");
}

/// An OpenBao server in memory; it ends with this.
struct Bao {
    child: Child,
    program: PathBuf,
    address: String,
}

impl Drop for Bao {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Bao {
    /// Starts it, unsealed, with the transit engine mounted; or says why not.
    fn start(home: &Path) -> Option<Self> {
        let program = installed("transit").map(|tools| tools.join("bin/bao")).filter(|path| path.exists());
        let Some(program) = program else {
            skip("no OpenBao here; engine/tests/transit/install.sh installs it");
            return None;
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        let child = Command::new(&program)
            .args(["server", "-dev", "-dev-root-token-id=root", &format!("-dev-listen-address={address}")])
            .env("HOME", home)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { child, program, address };
        let until = Instant::now() + Duration::from_secs(60);
        while !server.does(&["status"]).0 {
            assert!(Instant::now() < until, "OpenBao does not start");
            std::thread::sleep(Duration::from_millis(200));
        }
        assert!(server.does(&["secrets", "enable", "transit"]).0);
        Some(server)
    }

    /// `bao ...` as its root: whether it succeeded, and what it said.
    fn does(&self, args: &[&str]) -> (bool, String) {
        let out = Command::new(&self.program)
            .args(args)
            .env("BAO_ADDR", format!("http://{}", self.address))
            .env("BAO_TOKEN", "root")
            .env("HOME", "/nonexistent")
            .output()
            .unwrap();
        (out.status.success(), String::from_utf8_lossy(&out.stdout).trim().to_owned())
    }

    /// A token that may do what `docs/operating/keys.md` says that the node needs, and nothing else.
    fn token(&self, folder: &Path) -> String {
        let rules = "path \"transit/encrypt/ward\" { capabilities = [\"update\"] }
            path \"transit/decrypt/ward\" { capabilities = [\"update\"] }
            path \"transit/rewrap/ward\" { capabilities = [\"update\"] }
            path \"transit/keys/ward\" { capabilities = [\"read\", \"update\"] }
            path \"transit/keys/ward/rotate\" { capabilities = [\"update\"] }
            path \"transit/keys/ward/config\" { capabilities = [\"update\"] }
            path \"transit/keys/ward/trim\" { capabilities = [\"update\"] }";
        let file = folder.join("ward.hcl");
        std::fs::write(&file, rules).unwrap();
        assert!(self.does(&["policy", "write", "ward", &file.display().to_string()]).0);
        let (made, token) =
            self.does(&["token", "create", "-policy=ward", "-no-default-policy", "-field=token"]);
        assert!(made && !token.is_empty());
        token
    }
}

#[test]
fn a_vault_server_wraps_the_keys_for_a_token_with_the_least_rights() {
    let home = tempfile::tempdir().unwrap();
    let Some(server) = Bao::start(home.path()) else { return };
    let kek = format!(
        "[keys]\nkek = {{ transit = {{ address = \"http://{}\", token = {{ env = \"WARD_TEST_TOKEN\" }} }} }}\n",
        server.address
    );
    let mut place = Place::new(&kek);
    place.environment = vec![("WARD_TEST_TOKEN".to_owned(), server.token(home.path()))];
    for patient in ["p-1", "p-2"] {
        place.ok(&["consent", "deny", "--patient", patient]);
    }
    assert_eq!(place.ok(&["consent", "list"]).as_array().unwrap().len(), 2);
    assert!(!place.path().join("state/kek.json").exists());
    let copy = std::fs::read(place.path().join("state/party.db")).unwrap();
    let rotated = place.ok(&["keys", "rotate"]);
    assert_eq!((&rotated["current"], &rotated["rewrapped"]), (&json!(2), &json!(2)));
    assert_eq!(place.ok(&["keys", "show"])["data_keys"], json!({ "2": 2 }));
    assert_eq!(place.ok(&["erase", "p-1"])["consents"], 1);
    assert_eq!(place.ok(&["consent", "list"]).as_array().unwrap().len(), 1);
    // A copy of before the rotation opens nothing: the server has destroyed the version.
    let now = std::fs::read(place.path().join("state/party.db")).unwrap();
    std::fs::write(place.path().join("state/party.db"), copy).unwrap();
    place.fails(&["consent", "list"], "vault.version");
    std::fs::write(place.path().join("state/party.db"), now).unwrap();
    assert_eq!(place.ok(&["consent", "list"]).as_array().unwrap().len(), 1);
    place.environment[0].1 = "s.nobody".to_owned();
    place.fails(&["consent", "list"], "vault.provider");
    drop(server);
    place.fails(&["consent", "list"], "vault.provider");
}
