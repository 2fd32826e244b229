//! A patient who is erased is in no file of the node's folder: consents, documents, what HL7 messages said, and the digests
//! that a guess could be held against.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use ward_engine::consent::Pseudonym;
use ward_engine::encoding::{Digest, separated};
use ward_engine::party::messages;
use ward_engine::store::{MESSAGE_CLASS, MESSAGE_DIGEST};
use ward_engine::vault::KeyName;

use crate::vault::Place;

const PATIENT: &str = "mrn-4711-secret";

fn head(kind: &str, id: &str) -> String {
    format!("MSH|^~\\&|HIS|GENERAL|WARD|GENERAL|20260301081500||{kind}|{id}|P|2.5.1\r")
}

fn admission(patient: &str) -> String {
    format!(
        "{}EVN||202603010800\rPID|1||{patient}^^^GENERAL^MR||DOEHNKE^JO||19410203|F\rPV1|1|I|WARD-77||||||||||||||||VISIT-{patient}\r",
        head("ADT^A01", &format!("CTRL-A-{patient}")),
    )
}

pub fn result(patient: &str) -> String {
    format!(
        "{}PID|1||{patient}^^^GENERAL^MR\rOBR|1||ORDER-{patient}|24323-8^Panel^LN|||20260301\r\
         OBX|1|NM|2823-3^Potassium^LN||4.777|mmol/L|||||F\r",
        head("ORU^R01", &format!("CTRL-R-{patient}")),
    )
}

/// Sends a message; whether it was accepted.
pub fn is_accepted(to: SocketAddr, message: &str) -> bool {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(&[b"\x0b", message.as_bytes(), b"\x1c\x0d"].concat()).unwrap();
    let (mut answer, mut byte) = (Vec::new(), [0]);
    while !answer.ends_with(b"\x1c\x0d") {
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    String::from_utf8(answer).unwrap().contains("\rMSA|AA|")
}

/// The files of a copy of the node's folder: the files themselves stay unopened here, where a database is open.
fn copied(place: &Place) -> Vec<(PathBuf, Vec<u8>)> {
    let copy = tempfile::tempdir().unwrap();
    let done =
        Command::new("cp").arg("-r").arg(place.path().join("state")).arg(copy.path()).status().unwrap();
    assert!(done.success());
    let mut folders = vec![copy.path().to_owned()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            match entry.file_type().unwrap().is_dir() {
                true => folders.push(entry.path()),
                false => files.push((entry.path(), std::fs::read(entry.path()).unwrap())),
            }
        }
    }
    files
}

fn holding(files: &[(PathBuf, Vec<u8>)], needle: &[u8]) -> Vec<PathBuf> {
    let holds = |(_, bytes): &&(PathBuf, Vec<u8>)| bytes.windows(needle.len()).any(|window| window == needle);
    files.iter().filter(holds).map(|(path, _)| path.clone()).collect()
}

/// Bytes, and the text that a digest is written as.
fn digest(found: Digest) -> [Vec<u8>; 2] {
    [found.0.to_vec(), found.to_string().into_bytes()]
}

#[tokio::test]
async fn an_erased_patient_is_in_no_file_of_the_folder_and_no_digest_of_theirs_can_be_made_again() {
    let place = Place::new(
        "[hl7]\nlisten = \"127.0.0.1:0\"\nauthority = \"GENERAL\"\nclasses = { observation = \"labs\" }\n",
    );
    let node = Arc::new(place.idle_node());
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let (to, receiver) = messages::start(&node, stopped).await.unwrap().unwrap();
    let sent = [admission(PATIENT), result(PATIENT), admission("mrn-0815"), result("mrn-0815")];
    let accepted = tokio::task::spawn_blocking(move || sent.iter().all(|sent| is_accepted(to, sent)));
    assert!(accepted.await.unwrap());
    place.ok(&["consent", "deny", "--patient", PATIENT, "--grantee", "acme-secret"]);
    let letter = place.path().join("letter.txt");
    std::fs::write(&letter, "the secret finding\n").unwrap();
    let letter = letter.display().to_string();
    place.ok(&["document", "put", "--patient", PATIENT, "--class", "letters", &letter]);

    // What could be there in the clear, and is not, neither before nor after.
    let clear: Vec<Vec<u8>> =
        [PATIENT, "DOEHNKE", "19410203", "4.777", "WARD-77", "acme-secret", "secret finding"]
            .iter()
            .map(|text| text.as_bytes().to_vec())
            .chain(
                [admission(PATIENT), result(PATIENT)]
                    .iter()
                    .flat_map(|text| digest(Digest::of(text.as_bytes()))),
            )
            .collect();
    // What is there before: keyed digests that the node can make again as long as it has the patient's keys, control ids.
    let pseudonym = |text: &str| node.consents().pseudonym(text).unwrap();
    let who = pseudonym(PATIENT);
    let key = |who: Pseudonym| {
        node.store().known_key(&KeyName::new(who, MESSAGE_CLASS).unwrap()).unwrap().map(|keyed| keyed.key)
    };
    let keyed = key(who).unwrap().blind(MESSAGE_DIGEST, &Digest::of(admission(PATIENT).as_bytes()).0);
    let item = separated("hl7 item/1", &[b"patient", PATIENT.as_bytes()]).to_string();
    let there =
        [keyed.0.to_vec(), Digest(pseudonym(&item).0).0.to_vec(), format!("CTRL-A-{PATIENT}").into_bytes()];
    let before = copied(&place);
    assert!(
        there.iter().all(|there| !holding(&before, there).is_empty()),
        "the test looks in the right place"
    );
    let leaks = |files: &[(PathBuf, Vec<u8>)], what: &[Vec<u8>]| -> Vec<String> {
        let found = what.iter().filter(|what| !holding(files, what).is_empty());
        found.map(|what| String::from_utf8_lossy(what).into_owned()).collect()
    };
    // A control id of the sender's names the patient here: it is in the database alone, and goes.
    assert_eq!(leaks(&before, &clear[1..]), Vec::<String>::new());

    let erased = place.ok(&["erase", PATIENT]);
    assert_eq!((&erased["messages"], &erased["is_log_empty"]), (&3.into(), &true.into()), "{erased}");
    let after = copied(&place);
    assert_eq!(leaks(&after, &clear), Vec::<String>::new());
    assert_eq!(leaks(&after, &there), Vec::<String>::new());
    // The trail still has the keyed digest as text: the key is gone, and a new one of this patient makes another.
    assert!(!holding(&after, keyed.to_string().as_bytes()).is_empty());
    assert!(key(who).is_none());
    let new = node.store().data_keys(&[KeyName::new(who, MESSAGE_CLASS).unwrap()]).unwrap();
    assert_ne!(new[0].key.blind(MESSAGE_DIGEST, &Digest::of(admission(PATIENT).as_bytes()).0), keyed);
    // The other patient stays.
    assert!(key(pseudonym("mrn-0815")).is_some());
    stop.send(true).unwrap();
    receiver.abort();
}
