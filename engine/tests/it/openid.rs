//! Tokens of a real OpenID provider: oidc-provider, started here (tests/oidc).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use tonic::Request;
use ward_engine::grpc::client::{Target, connect};
use ward_engine::grpc::status::problem_of;
use ward_engine::grpc::v1::WhoAmIRequest;
use ward_engine::grpc::v1::identity_client::IdentityClient;

use crate::world::{Spec, World, binary, small};

/// Where `tests/oidc/install.sh` puts it, or what `WARD_OIDC_TOOLS` names.
fn tools() -> Option<PathBuf> {
    let named = std::env::var_os("WARD_OIDC_TOOLS").map(PathBuf::from);
    let tools = named.or_else(|| {
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")))?;
        Some(cache.join("ward/oidc-tools"))
    })?;
    tools.join("node_modules/oidc-provider").is_dir().then_some(tools)
}

/// A running provider; it ends when its stdin closes.
struct Provider {
    child: Child,
    _stdout: BufReader<ChildStdout>,
    issuer: String,
}

impl Drop for Provider {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

impl Provider {
    /// Starts it, or says why not.
    fn start() -> Option<Self> {
        let Some(tools) = tools() else {
            let what = "no oidc-provider here; engine/tests/oidc/install.sh installs it";
            assert_ne!(std::env::var("WARD_TEST_SERVERS").as_deref(), Ok("required"), "{what}");
            eprintln!("SKIPPED: {what}");
            return None;
        };
        let package =
            std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").to_owned());
        let mut child = Command::new("node")
            .arg(format!("{package}/tests/oidc/provider.mjs"))
            .arg(tools)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("node");
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).expect("the provider says its issuer");
        Some(Self { child, _stdout: stdout, issuer: said["issuer"].as_str().unwrap().to_owned() })
    }

    async fn ask(&self, path: &str, body: &Value) -> Value {
        let request = ward_engine::http::client()
            .build()
            .unwrap()
            .post(format!("{}/test/{path}", self.issuer))
            .body(body.to_string());
        serde_json::from_slice(&request.send().await.unwrap().bytes().await.unwrap()).unwrap()
    }

    async fn token(&self, claims: Value) -> String {
        self.ask("sign", &claims).await["token"].as_str().unwrap().to_owned()
    }
}

fn world(provider: &Provider, hospitals: usize) -> World {
    let spec = Spec { floor: 5, profile: "default-8192", threshold: None, hospitals: small(hospitals, "") };
    let world = if hospitals == 0 { World::enrolled(&spec) } else { World::start(&spec) };
    let config = format!(
        "[identity.oidc]\nissuer = \"{}\"\naudience = \"ward\"\nclient_id = \"ward-cli\"\nresource = \"urn:ward\"\n\
         clients = [\"ward-cli\", \"etl\"]\nkeys_pause_s = 0\n",
        provider.issuer
    );
    world.kill("engine");
    std::fs::write(world.path("engine/engine.toml"), config).unwrap();
    world.start_engine();
    if hospitals > 0 {
        world.wait_connected(hospitals);
    }
    world
}

/// Who the engine takes a token's bearer for: a name, or the code of the refusal.
async fn who(world: &World, token: &str) -> Result<String, String> {
    let target = Target {
        url: world.url(),
        authority_pem: std::fs::read_to_string(world.path("engine/ca/ca.pem")).unwrap(),
        identity_pem: None,
        proxy: None,
    };
    let mut request = Request::new(WhoAmIRequest {});
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    let answer = IdentityClient::new(connect(&target).await.unwrap()).who_am_i(request).await;
    answer.map(|me| me.into_inner().name).map_err(|status| problem_of(&status).code)
}

#[test]
fn a_person_logs_in_by_device_code_and_is_answered() {
    let Some(provider) = Provider::start() else { return };
    let world = world(&provider, 3);
    let mut child = Command::new(binary())
        .args(["login", "--engine", &world.url(), "--authority", &world.path("engine/ca/ca.pem")])
        .env("WARD_HOME", world.path("grace"))
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let line = lines.find(|line| line.contains("enter the code")).expect("a code");
    let code = line.rsplit(' ').next().unwrap().to_owned();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(provider.ask("approve", &json!({ "user_code": code })));
    let rest: Vec<String> = lines.collect();
    assert!(child.wait().unwrap().success(), "{rest:?}");
    let me = world.ward("grace", &["whoami"]).ok().json();
    assert_eq!((me["name"].as_str(), me["organisation"].as_str()), (Some("grace"), Some("north")));
    let answer = world.ward("grace", &["submit", "SELECT SUM(age) FROM t", "--time-limit", "120"]).answer();
    assert_eq!(answer.rows.len(), 1);
    world.ward("grace", &["logout"]).ok();
    assert!(!Path::new(&world.path("grace/login.sealed")).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_taken_and_refused_as_the_rules_say_and_keys_rotate() {
    let Some(provider) = Provider::start() else { return };
    let world = world(&provider, 0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let good = provider.token(json!({})).await;
    assert_eq!(who(&world, &good).await, Ok("grace".to_owned()));
    assert_eq!(who(&world, &provider.token(json!({ "exp": now - 30 })).await).await, Ok("grace".to_owned()));
    for (claims, refusal) in [
        (json!({ "aud": "other" }), "token.audience"),
        (json!({ "exp": now - 3600 }), "token.expired"),
        (json!({ "nbf": now + 3600 }), "token.early"),
        (json!({ "client_id": "somebody" }), "token.client"),
        (json!({ "iss": "https://elsewhere.example" }), "token.issuer"),
        (json!({ "preferred_username": "Grace Hopper" }), "token.name"),
        // The names of enrolled members, and of other subjects, are theirs.
        (json!({ "preferred_username": "ada" }), "identity.name_taken"),
        (json!({ "sub": "eve" }), "identity.name_taken"),
    ] {
        let token = provider.token(claims.clone()).await;
        assert_eq!(who(&world, &token).await, Err(refusal.to_owned()), "{claims}");
    }
    // A key that is not known yet is fetched; then the old one is gone.
    provider.ask("rotate", &json!({})).await;
    assert_eq!(who(&world, &provider.token(json!({})).await).await, Ok("grace".to_owned()));
    assert_eq!(who(&world, &good).await, Err("token.key".to_owned()));
}

#[test]
fn a_service_comes_with_client_credentials() {
    use std::os::unix::fs::OpenOptionsExt as _;
    let Some(provider) = Provider::start() else { return };
    let world = world(&provider, 0);
    let path = world.path("etl.secret");
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(&path).unwrap();
    std::io::Write::write_all(&mut file, b"a secret of etl: 100%\n").unwrap();
    let run = |args: &[&str]| {
        let mut command = Command::new(binary());
        command.args(["--json", "--quiet"]).args(args).stdin(Stdio::null());
        command.env("WARD_HOME", world.path("etl")).env("WARD_CLIENT_ID", "etl");
        let output = command.env("WARD_CLIENT_SECRET_FILE", &path).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    run(&["login", "--engine", &world.url(), "--authority", &world.path("engine/ca/ca.pem")]);
    let me: Value = serde_json::from_slice(&run(&["whoami"])).unwrap();
    assert_eq!((me["name"].as_str(), me["kind"].as_str()), (Some("etl"), Some("service")));
    assert_eq!(me["roles"], json!(["auditor"]));
}
