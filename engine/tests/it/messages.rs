//! HL7 v2 messages over a socket, to an answer of the consortium and its receipt.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use serde_json::Value as Json;
use ward_engine::query::answer::{Answer, Value};

use crate::world::{Hospital, Spec, World};

const COLUMNS: &str = r#"
[[table.column]]
name = "sex"
kind = "category"
codes = ["F", "M"]
[[table.column]]
name = "born"
kind = "integer"
min = 1900
max = 2030
[[table.column]]
name = "potassium"
kind = "real"
digits = 1
unit = "mmol/L"
min = 0
max = 20
"#;

fn hospitals(port: u16) -> Vec<Hospital> {
    let package =
        std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").to_owned());
    let head = "[party]\ndata_dir = \"state\"\n";
    let table = |source: &str| {
        format!("[[table]]\nname = \"patients\"\nrows_max = 1000\nsource = {source}\n{COLUMNS}")
    };
    let messages = table(&format!("{{ hl7 = {{ mapping = \"{package}/../examples/hl7/mapping.toml\" }} }}"));
    let hl7 = format!("[hl7]\nlisten = \"127.0.0.1:{port}\"\nauthority = \"GENERAL\"\nrefresh_s = 0\n");
    let rows = "F,1950,4.0\nM,1960,5.0\n".repeat(3);
    vec![
        Hospital { name: "h1".into(), toml: format!("{head}{hl7}{messages}"), csv: String::new() },
        Hospital {
            name: "h2".into(),
            toml: format!("{head}{}", table("{ csv = \"data.csv\" }")),
            csv: format!("sex,born,potassium\n{rows}"),
        },
    ]
}

/// Sends a message; its acknowledgement.
fn send(stream: &mut TcpStream, message: &str) -> String {
    stream.write_all(&[b"\x0b", message.as_bytes(), b"\x1c\x0d"].concat()).expect("sent");
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\x1c\x0d") {
        stream.read_exact(&mut byte).expect("an answer");
        answer.push(byte[0]);
    }
    String::from_utf8(answer).expect("text").trim_matches(['\x0b', '\x1c', '\r']).to_owned()
}

fn connected(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("the port");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a limit");
    stream
}

fn head(kind: &str, id: &str, minute: u32) -> String {
    format!("MSH|^~\\&|HIS|GENERAL|WARD|GENERAL|2026030108{minute:02}00||{kind}|{id}|P|2.5.1\r")
}

fn admission(patient: u32) -> String {
    let sex = if patient < 4 { "F" } else { "M" };
    format!(
        "{}EVN||202603010800\rPID|1||{patient}^^^GENERAL^MR||DOE^JO||19{}0101|{sex}\rPV1|1|I|W1||||||||||||||||V{patient}\r",
        head("ADT^A01", &format!("A{patient}"), patient),
        40 + patient,
    )
}

/// Potassium in tenths of mmol/L.
fn result(patient: u32, tenths: u32, id: &str, minute: u32) -> String {
    format!(
        "{}PID|1||{patient}^^^GENERAL^MR\rOBR|1||F{patient}|24323-8^Panel^LN|||20260301\r\
         OBX|1|NM|2823-3^Potassium^LN||{}.{}|mmol/L|||||F\r",
        head("ORU^R01", id, minute),
        tenths / 10,
        tenths % 10,
    )
}

/// Asks until the newest version of every hospital is in the catalogue.
fn ask(world: &World, receipt: &str) -> Answer {
    let sql = "SELECT COUNT(*), SUM(potassium), SUM(born) FROM patients";
    world.until("the new version is answered", || {
        let ran = world.ward("ada", &["submit", sql, "--receipt", receipt]);
        (ran.code == 0).then(|| ran.answer())
    })
}

fn values(answer: &Answer) -> Vec<String> {
    let text = |value: &Value| match value {
        Value::Count { value } => value.to_string(),
        Value::Exact { value, .. } => value.clone(),
        other => panic!("{other:?}"),
    };
    answer.rows[0].values.iter().map(|cell| text(&cell.value)).collect()
}

/// The dataset version of the table at a hospital, by its own command.
fn version(world: &World, hospital: &str) -> String {
    let toml = world.toml(hospital);
    let shown = world.ward("nobody", &["party", "records", "version", "--config", &toml]).ok().json();
    shown[0]["version"].as_str().expect("a version").to_owned()
}

#[test]
fn messages_are_acknowledged_when_they_are_durable_and_answer_queries() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let port = listener.local_addr().expect("an address").port();
    drop(listener);
    let spec = Spec { floor: 2, profile: "default-8192", threshold: None, hospitals: hospitals(port) };
    let world = World::start(&spec);
    let mut stream = connected(port);
    for patient in 1..=6 {
        let answer = send(&mut stream, &admission(patient));
        assert!(answer.contains(&format!("\rMSA|AA|A{patient}")), "{answer}");
        let answer = send(&mut stream, &result(patient, 40 + patient, &format!("R{patient}"), 10));
        assert!(answer.contains("\rMSA|AA|R"), "{answer}");
    }
    // Again, the same message is accepted and changes nothing; another one under its id is an error.
    assert!(send(&mut stream, &admission(1)).contains("\rMSA|AA|A1"));
    let other = admission(1).replace("1941", "1999");
    assert!(send(&mut stream, &other).contains("\rMSA|AE|A1"));
    assert!(send(&mut stream, "MSH|nonsense").contains("\rMSA|A"));
    let refused = send(&mut stream, &admission(7).replace("ADT^A01", "ADT^A40"));
    assert!(refused.contains("\rMSA|AR|A7") && refused.contains("\rERR|||201^"), "{refused}");
    // What was acknowledged is there after the process is killed.
    world.kill("h1");
    world.start_party("h1");
    world.wait_connected(2);

    let path = world.path("receipt.json");
    let answer = ask(&world, &path);
    // 4.1 to 4.6 and three times 4.0 and 5.0; 1941 to 1946 and three times 1950 and 1960.
    assert_eq!(values(&answer), ["12", "531", "23391"]);
    let versions = [version(&world, "h1"), version(&world, "h2")];
    let receipt: Json = serde_json::from_str(&std::fs::read_to_string(&path).expect("a file")).expect("JSON");
    let text = receipt.to_string();
    assert!(versions.iter().all(|version| text.contains(version)), "{versions:?} in {text}");
    world.ward("ada", &["verify", &path]).ok();

    // A correction is another version: queries over the old one are refused, those over the new one name it.
    let mut stream = connected(port);
    // Of two patients: one patient's alone would show in the difference of the answers.
    assert!(send(&mut stream, &result(1, 31, "R1b", 20)).contains("\rMSA|AA|R1b"));
    assert!(send(&mut stream, &result(2, 32, "R2b", 20)).contains("\rMSA|AA|R2b"));
    // An older result that comes late does not undo it.
    assert!(send(&mut stream, &result(1, 99, "R1c", 5)).contains("\rMSA|AA|R1c"));
    let changed = version(&world, "h1");
    assert_ne!(changed, versions[0]);
    let sql = "SELECT COUNT(*), SUM(potassium), SUM(born) FROM patients";
    let error = world.ward("ada", &["submit", sql]).error(8, "data.version");
    assert_eq!(error["hospital"], "h1");
    let path = world.path("second.json");
    assert_eq!(values(&ask(&world, &path)), ["12", "511", "23391"]);
    assert!(std::fs::read_to_string(&path).expect("a file").contains(&changed));
    world.ward("ada", &["verify", &path]).ok();
    let events = world.party("h1", &["audit", "--events"]).ok().stdout;
    assert_eq!(events.matches("records.message").count(), 18, "{events}");
}
