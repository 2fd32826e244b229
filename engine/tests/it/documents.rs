//! Documents at the command line: taken only as what they are, sealed, given back, checked, gone with their patient; in a
//! folder, in a real S3 server (s3rver, tests/s3), and in a real IPFS node (js-ipfs, tests/ipfs).
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value as Json, json};

use crate::vault::Place;

const LETTER: &[u8] = b"Dear colleague, the patient's secret finding is benign.\n";

fn write(place: &Place, name: &str, bytes: &[u8]) -> String {
    let path = place.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path.display().to_string()
}

fn put(place: &Place, patient: &str, file: &str) -> Json {
    place.ok(&["document", "put", "--patient", patient, "--class", "letters", file])
}

/// Stores, lists, reads back and erases, wherever the sealed content lies.
fn lives_and_ends(place: &Place) {
    let letter = write(place, "letter.txt", LETTER);
    let stored = put(place, "p-1", &letter);
    let id = stored["id"].as_str().unwrap().to_owned();
    assert_eq!((&stored["name"], &stored["kind"]), (&json!("letter.txt"), &json!("text/plain")), "{stored}");
    put(place, "p-2", &letter);
    for text in
        [&b"secret finding"[..], b"letter.txt", b"text/plain", stored["sha256"].as_str().unwrap().as_bytes()]
    {
        assert!(place.holding(text).is_empty(), "{}", String::from_utf8_lossy(text));
    }
    let out = place.path().join("again.txt").display().to_string();
    place.ok(&["document", "get", &id, "--out", &out]);
    assert_eq!(std::fs::read(&out).unwrap(), LETTER);
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&out).unwrap());
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(place.ok(&["document", "list"]).as_array().unwrap().len(), 2);
    assert_eq!(place.ok(&["document", "list", "--patient", "p-1"])[0]["id"], id.as_str());
    assert_eq!(place.ok(&["document", "check"]), json!({ "good": 2, "bad": [] }));

    // The trail says who and what class, and holds a digest of what lies in the store.
    let (_, events, _) = place.run(&["audit", "--events"]);
    let of = |action: &str| {
        let found = events.as_str().unwrap().lines().find(|line| line.contains(action)).unwrap().to_owned();
        serde_json::from_str::<Json>(&found).unwrap()["entry"]["whole"]["event"].clone()
    };
    let event = of("document.store");
    assert_eq!(event["context"]["data_class"], "letters");
    assert_eq!(event["context"]["patient"], stored["patient"]);
    assert!(event["detail"].as_str().unwrap().contains(stored["sealed_sha256"].as_str().unwrap()), "{event}");
    assert!(
        !events.as_str().unwrap().contains(stored["sha256"].as_str().unwrap()),
        "a plain digest can be guessed"
    );
    assert_eq!(of("document.read")["subject"], format!("document:{id}"));

    let erased = place.ok(&["erase", "p-1"]);
    assert_eq!((&erased["documents"], &erased["documents_left"]), (&json!([id]), &json!(0)), "{erased}");
    place.fails(&["document", "get", &id, "--out", &out], "document.unknown");
    assert_eq!(place.ok(&["document", "check"]), json!({ "good": 1, "bad": [] }));
}

#[test]
fn documents_in_a_folder_live_and_end() {
    let place = Place::new("");
    lives_and_ends(&place);
    // Erased is not in the folder; what is changed or missing is found.
    let kept: Vec<PathBuf> = files(&place.path().join("state/documents"));
    assert_eq!(kept.len(), 1);
    let mut sealed = std::fs::read(&kept[0]).unwrap();
    sealed[40] ^= 1;
    std::fs::write(&kept[0], sealed).unwrap();
    let (code, found, _) = place.run(&["document", "check"]);
    assert_eq!((code, &found["bad"][0][1]), (9, &json!("changed")), "{found}");
    let id = found["bad"][0][0].as_str().unwrap().to_owned();
    place.fails(&["document", "get", &id, "--out", "unwritten"], "document.damaged");
    std::fs::remove_file(&kept[0]).unwrap();
    assert_eq!(place.run(&["document", "check"]).1["bad"][0][1], "missing");
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn a_document_is_taken_only_as_what_it_is_and_where_the_scanner_agrees() {
    let place = Place::new(
        "[documents]\nbytes_max = 1000\ntypes = [\"text/plain\", \"application/pdf\"]\n\
         scanner = [\"sh\", \"-c\", \"! grep -q EICAR\"]\n",
    );
    let refuses = |name: &str, bytes: &[u8], code: &str| {
        let file = write(&place, name, bytes);
        place.fails(&["document", "put", "--patient", "p-1", "--class", "letters", &file], code);
    };
    refuses("report.pdf", LETTER, "document.type");
    refuses("report", LETTER, "document.type");
    refuses("picture.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "document.type");
    refuses("virus.txt", b"X5O!P%@AP EICAR", "document.scanner");
    refuses("empty.txt", b"", "document.size");
    refuses("long.txt", &[b'a'; 1001], "document.file");
    assert_eq!(place.ok(&["document", "list"]), json!([]));
    let (_, events, _) = place.run(&["audit", "--events"]);
    let refused = |line: &&str| line.contains("document.store") && line.contains("refused");
    assert_eq!(events.as_str().unwrap().lines().filter(refused).count(), 5);
    put(&place, "p-1", &write(&place, "report.pdf", b"%PDF-1.7\n"));
    put(&place, "p-1", &write(&place, "letter.txt", LETTER));
}

/// A running server of a folder of these tests; it ends when its stdin closes.
struct Server {
    child: Child,
    said: Json,
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

impl Server {
    /// Starts the server of `tests/WHAT` with the tools that its `install.sh` installed, or says why not.
    fn start(what: &str, package: &str) -> Option<Self> {
        let tools = installed(what);
        let Some(tools) = tools.filter(|tools| tools.join("node_modules").join(package).is_dir()) else {
            skip(&format!("no {package} here; engine/tests/{what}/install.sh installs it"));
            return None;
        };
        let own =
            std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").to_owned());
        let mut child = Command::new("node")
            .arg(format!("{own}/tests/{what}/server.mjs"))
            .arg(tools)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Some(Self { child, said: serde_json::from_str(&line).unwrap() })
    }

    fn says(&self, name: &str) -> &str {
        self.said[name].as_str().unwrap()
    }
}

/// Where the `install.sh` of a folder of these tests puts its tools.
pub fn installed(what: &str) -> Option<PathBuf> {
    let named = std::env::var_os(format!("WARD_{}_TOOLS", what.to_uppercase())).map(PathBuf::from);
    let cache = || {
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        cache.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")))
    };
    named.or_else(|| Some(cache()?.join(format!("ward/{what}-tools"))))
}

/// Says that a test needs what is not here; fails where all servers are required.
pub fn skip(what: &str) {
    assert_ne!(std::env::var("WARD_TEST_SERVERS").as_deref(), Ok("required"), "{what}");
    eprintln!("SKIPPED: {what}");
}

#[test]
fn documents_in_ipfs_live_and_end() {
    let Some(server) = Server::start("ipfs", "ipfs-http-server") else { return };
    let config = |api: &str| {
        format!("[documents]\nstore = {{ ipfs = {{ api = \"{api}\", root = \"/st-anna/ward\" }} }}\n")
    };
    let place = Place::new(&config(server.says("api")));
    lives_and_ends(&place);
    assert!(!place.path().join("state/documents").exists());
    // More than one block of IPFS, and bytes that it does not keep as one piece.
    let scan: Vec<u8> =
        b"%PDF-1.7\n".iter().copied().chain((0..3_000_000_u32).map(|i| (i * 31 / 8) as u8)).collect();
    let stored = put(&place, "p-2", &write(&place, "scan.pdf", &scan));
    let out = place.path().join("scan.again").display().to_string();
    place.ok(&["document", "get", stored["id"].as_str().unwrap(), "--out", &out]);
    assert_eq!(std::fs::read(&out).unwrap(), scan);
    assert_eq!(place.ok(&["document", "check"]), json!({ "good": 2, "bad": [] }));
    drop(server);
    place.fails(&["document", "get", stored["id"].as_str().unwrap(), "--out", &out], "document.store");
    let letter = write(&place, "letter.txt", LETTER);
    place.fails(&["document", "put", "--patient", "p-1", "--class", "letters", &letter], "document.store");
}

#[test]
fn documents_in_s3_live_and_end() {
    let Some(server) = Server::start("s3", "s3rver") else { return };
    let config = |bucket: &str| {
        format!(
            "[documents]\nstore = {{ s3 = {{ endpoint = \"{}\", bucket = \"{bucket}\", \
             access_key = {{ env = \"WARD_TEST_S3\" }}, secret_key = {{ env = \"WARD_TEST_S3\" }} }} }}\n",
            server.says("endpoint")
        )
    };
    let with_key = |bucket: &str, key: &str| {
        let mut place = Place::new(&config(bucket));
        place.environment.push(("WARD_TEST_S3".to_owned(), key.to_owned()));
        place
    };
    let place = with_key("ward", "S3RVER");
    lives_and_ends(&place);
    assert!(!place.path().join("state/documents").exists());
    for place in [with_key("elsewhere", "S3RVER"), with_key("ward", "WRONG")] {
        let letter = write(&place, "letter.txt", LETTER);
        place
            .fails(&["document", "put", "--patient", "p-1", "--class", "letters", &letter], "document.store");
        assert_eq!(place.ok(&["document", "list"]), json!([]));
    }
}
