//! Records of a hospital's vault shared with another hospital: under a policy and through a proxy, with consent, audited,
//! and refused where a patient has not consented, is erased, or a key lacks attributes.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

use std::sync::Arc;

use serde_json::{Value as Json, json};
use ward_engine::clock::now_ms;
use ward_engine::identity::{CertificateAuthority, Role};

use crate::node_house::{CONSORTIUM, write_member};
use crate::vault::Place;

const LETTER: &[u8] = b"Dear colleague, the secret finding is benign.\n";
const CARE: &str = "DUO:0000043";

/// Two hospitals of one consortium, and the files between them.
struct Pair {
    north: Place,
    south: Place,
}

impl Pair {
    fn new() -> Self {
        let pair = Self { north: Place::new(""), south: Place::new("") };
        let authority = CertificateAuthority::create(CONSORTIUM, now_ms() / 1000).unwrap();
        for (place, name) in [(&pair.north, "north"), (&pair.south, "south")] {
            std::fs::remove_dir_all(place.path().join("state")).unwrap();
            write_member(&place.path().join("state"), &authority, Role::Hospital, name);
        }
        std::fs::write(pair.file("words"), "correct horse battery\n").unwrap();
        pair
    }

    fn file(&self, name: &str) -> String {
        self.north.path().join(name).display().to_string()
    }

    /// `ward share ...`.
    fn share(&self, args: &[&str]) -> (i32, Json, String) {
        self.north.ward(&[&["share"], args].concat())
    }

    fn ok(&self, args: &[&str]) -> Json {
        let (code, json, stderr) = self.share(args);
        assert_eq!(code, 0, "{args:?}: {stderr}");
        json
    }

    fn letter(&self) -> String {
        std::fs::write(self.file("letter.txt"), LETTER).unwrap();
        let put = ["document", "put", "--patient", "p-1", "--class", "letters", &self.file("letter.txt")];
        self.north.ok(&put)["id"].as_str().unwrap().to_owned()
    }

    fn houses(&self) {
        for name in ["north", "south"] {
            let (secret, out) = (self.file(&format!("{name}.secret")), self.file(&format!("{name}.json")));
            let words = self.file("words");
            self.ok(&[
                "house",
                "init",
                "--name",
                name,
                "--secret",
                &secret,
                "--passphrase-file",
                &words,
                "--out",
                &out,
            ]);
        }
    }

    fn consent(&self) {
        consent(&self.north, "letters", CARE);
    }
}

/// The events of an action, newest last.
fn events(place: &Place, action: &str) -> Vec<Json> {
    let (_, events, _) = place.run(&["audit", "--events"]);
    let lines = events.as_str().unwrap().lines().map(|line| serde_json::from_str::<Json>(line).unwrap());
    lines
        .map(|line| line["entry"]["whole"]["event"].clone())
        .filter(|event| event["action"] == action)
        .collect()
}

/// Patient p-1 lets the other hospital have this class of their data, for this purpose.
fn consent(place: &Place, class: &str, purpose: &str) {
    let whose = ["consent", "grant", "--patient", "p-1", "--grantee", "south"];
    place.ok(&[&whose[..], &["--class", class, "--purpose", purpose]].concat());
}

#[test]
fn a_document_goes_to_another_hospital_under_a_policy_and_the_patient_is_told() {
    let pair = Pair::new();
    let id = pair.letter();
    let words = pair.file("words");
    let (secret, board, out) =
        (pair.file("board.secret"), pair.file("board.json"), pair.file("letter.shared"));
    pair.ok(&[
        "authority",
        "init",
        "--name",
        "board",
        "--secret",
        &secret,
        "--passphrase-file",
        &words,
        "--out",
        &board,
    ]);
    let issue = |holder: &str, attributes: &str| {
        let out = pair.file(&format!("{holder}.key"));
        pair.ok(&[
            "authority",
            "issue",
            "--secret",
            &secret,
            "--passphrase-file",
            &words,
            "--holder",
            holder,
            "--attribute",
            attributes,
            "--key-passphrase-file",
            &words,
            "--out",
            &out,
        ]);
        out
    };
    let (lee, may) =
        (issue("dr-lee", "role:oncologist,hospital:south"), issue("dr-may", "role:nurse,hospital:south"));
    let policy = "role:oncologist and hospital:south";
    let give = [
        "share",
        "document",
        &id,
        "--recipient",
        "south",
        "--purpose",
        CARE,
        "--authority",
        &board,
        "--policy",
        policy,
        "--out",
        &out,
    ];
    // Nobody consented: nothing is shared, and the trail says so.
    pair.north.fails(&give, "share.consent");
    assert!(!std::path::Path::new(&out).exists());
    assert_eq!(events(&pair.north, "share.give")[0]["outcome"], "refused");
    // Consent to research is none to care; then it is given.
    consent(&pair.north, "letters", "DUO:0000042");
    pair.north.fails(&give, "share.consent");
    pair.consent();
    let given = pair.north.ok(&give);
    assert_eq!(
        (&given["share"]["what"], &given["share"]["recipients"]),
        (&json!(format!("document:{id}")), &json!(["south"]))
    );
    let event = events(&pair.north, "share.give").pop().unwrap();
    let about = &event["context"];
    assert_eq!(
        [
            &event["actor"],
            &event["role"],
            &event["outcome"],
            &about["organisation"],
            &about["data_class"],
            &about["purpose"],
            &about["recipient"],
            &about["source"]
        ],
        [
            &json!("north"),
            &json!("hospital"),
            &json!("success"),
            &json!("north"),
            &json!("letters"),
            &json!([CARE]),
            &json!("south"),
            &json!("local")
        ]
    );
    assert!(about["trace"].as_str().unwrap().len() == 32 && about["patient"] == given["share"]["patient"]);
    // Who saw what class of my data, and why.
    let config = pair.north.path().join("party.toml").display().to_string();
    let (code, report, stderr) = pair.north.ward(&[
        "audit",
        "report",
        "--config",
        &config,
        "--patient",
        given["share"]["patient"].as_str().unwrap(),
    ]);
    assert_eq!(code, 0, "{stderr}");
    // By the identifier it is the same report, the first one included, and the identifier stays off the trail.
    let (code, by_identifier, stderr) =
        pair.north.ward(&["audit", "report", "--config", &config, "--patient", "p-1"]);
    assert_eq!((code, &by_identifier["patient"]), (0, &report["patient"]), "{stderr}");
    let acts = |report: &Json| report["accesses"].as_array().unwrap().len();
    assert_eq!(acts(&by_identifier), acts(&report) + 1);
    assert!(!pair.north.run(&["audit", "--events"]).1.as_str().unwrap().contains("p-1"));
    let shared = report["accesses"]
        .as_array()
        .unwrap()
        .iter()
        .find(|act| act["action"] == "share.give" && act["outcome"] == "success");
    let shared = shared.unwrap();
    assert_eq!(
        (&shared["recipient"], &shared["data_class"], &shared["purpose"]),
        (&json!("south"), &json!("letters"), &json!([CARE]))
    );

    // The sealed content travels as it lies in the store; the file tells nobody what it is.
    let bytes = std::fs::read(&out).unwrap();
    for text in [&LETTER[5..20], b"letter.txt", b"p-1"] {
        assert!(!bytes.windows(text.len()).any(|window| window == text));
    }
    let opened = pair.file("opened");
    let (code, _, stderr) =
        pair.share(&["open", &out, "--key", &may, "--passphrase-file", &words, "--out", &opened]);
    assert!(code != 0 && stderr.contains("share.lacks"), "{stderr}");
    pair.ok(&["open", &out, "--key", &lee, "--passphrase-file", &words, "--out", &opened]);
    assert_eq!(std::fs::read(&opened).unwrap(), LETTER);
    // South keeps it under a key of its own patient.
    let receive = [
        "share",
        "receive",
        &out,
        "--key",
        &lee,
        "--passphrase-file",
        &words,
        "--patient",
        "s-9",
        "--class",
        "letters",
    ];
    let taken = pair.south.ok(&receive);
    assert_eq!((&taken["from"], &taken["document"]["name"]), (&json!("north"), &json!("letter.txt")));
    let event = events(&pair.south, "share.receive").pop().unwrap();
    assert_eq!(
        (&event["context"]["source"], &event["context"]["purpose"]),
        (&json!("north"), &json!([CARE]))
    );
    let again = pair.file("again");
    pair.south.ok(&["document", "get", taken["document"]["id"].as_str().unwrap(), "--out", &again]);
    assert_eq!(std::fs::read(&again).unwrap(), LETTER);

    // Erased: there is nothing to share any more, and nothing says what was.
    assert_eq!(pair.north.ok(&["share", "list"]).as_array().unwrap().len(), 1);
    pair.north.ok(&["erase", "p-1"]);
    pair.north.fails(&give, "document.unknown");
    assert_eq!(pair.north.ok(&["share", "list"]), json!([]));
    // A hospital of another consortium, or a changed file, is not taken in.
    let stranger = Place::new("");
    stranger.fails(&receive, "identity.certificate");
}

#[test]
fn a_proxy_turns_a_record_over_where_the_patients_consent_covers_the_grant() {
    let pair = Pair::new();
    let id = pair.letter();
    pair.houses();
    let (words, kept) = (pair.file("words"), pair.file("kept.shared"));
    let [north, south] = ["north.json", "south.json"].map(|name| pair.file(name));
    let (north_secret, south_secret) = (pair.file("north.secret"), pair.file("south.secret"));
    // For the hospital's own house nothing leaves: no consent is asked.
    let give = ["share", "document", &id, "--purpose", CARE, "--to", &north, "--out", &kept];
    pair.north.ok(&give);
    let grant_file = pair.file("grant");
    let grant = [
        "share",
        "grant",
        "--secret",
        &north_secret,
        "--passphrase-file",
        &words,
        "--to",
        &south,
        "--purpose",
        CARE,
        "--out",
        &grant_file,
    ];
    pair.north.fails(&grant, "share.consent");
    assert!(!std::path::Path::new(&grant_file).exists());
    pair.consent();
    assert_eq!(pair.north.ok(&grant)["shares"], 1);
    let granted = events(&pair.north, "share.grant");
    assert_eq!(granted.iter().filter(|event| event["outcome"] == "success").count(), 2, "{granted:?}");
    let of_patient =
        granted.iter().find(|event| event["context"]["patient"].is_string() && event["outcome"] == "success");
    assert_eq!(of_patient.unwrap()["context"]["recipient"], "south");
    // What is sealed for the house from now on is read by South too: consent is asked for both.
    let second = pair.north.ok(&give);
    assert_eq!(second["share"]["recipients"], json!(["north", "south"]));
    pair.north.ok(&["document", "put", "--patient", "p-2", "--class", "letters", &pair.file("letter.txt")]);
    let other =
        pair.north.ok(&["document", "list", "--patient", "p-2"])[0]["id"].as_str().unwrap().to_owned();
    pair.north.fails(
        &["share", "document", &other, "--purpose", CARE, "--to", &north, "--out", &kept],
        "share.consent",
    );

    let (turned, opened) = (pair.file("for-south.shared"), pair.file("opened"));
    pair.ok(&["turn", &kept, "--grant", &grant_file, "--out", &turned]);
    let (code, _, stderr) =
        pair.share(&["open", &kept, "--key", &south_secret, "--passphrase-file", &words, "--out", &opened]);
    assert!(code != 0 && stderr.contains("share.recipient"), "{stderr}");
    let taken = pair.south.ok(&[
        "share",
        "receive",
        &turned,
        "--key",
        &south_secret,
        "--passphrase-file",
        &words,
        "--patient",
        "s-1",
        "--class",
        "letters",
    ]);
    assert_eq!(taken["document"]["bytes"], LETTER.len());
    // Taken back: the next share is refused.
    pair.north.ok(&["consent", "revoke", "--patient", "p-1"]);
    pair.north.fails(&give, "share.consent");
}

#[test]
fn a_house_without_a_node_writes_every_grant_into_its_trail_first() {
    let pair = Pair::new();
    pair.houses();
    let (words, secret, south) = (pair.file("words"), pair.file("north.secret"), pair.file("south.json"));
    let grant = |out: &str| {
        let args = ["house", "grant", "--secret", &secret, "--passphrase-file", &words, "--to", &south];
        pair.share(&[&args[..], &["--purpose", CARE, "--out", out]].concat())
    };
    let (first, second) = (pair.file("first.grant"), pair.file("second.grant"));
    let (code, made, stderr) = grant(&first);
    assert_eq!((code, &made["trail"]["events"]), (0, &json!(1)), "{stderr}");
    let (trail, key) = (pair.file("north.secret.trail.jsonl"), made["trail"]["key"].as_str().unwrap());
    let (code, verified, stderr) = pair.north.ward(&["audit", "verify", "--file", &trail, "--key", key]);
    assert_eq!((code, &verified["events"]), (0, &json!(1)), "{stderr} {verified}");
    let text = std::fs::read_to_string(&trail).unwrap();
    let event = serde_json::from_str::<Json>(&text).unwrap()["entry"]["whole"]["event"].clone();
    assert_eq!((&event["action"], &event["actor"]), (&json!("share.grant"), &json!("north")));
    assert_eq!(event["context"]["recipient"], "south");
    assert_eq!(event["context"]["purpose"], json!([CARE]));
    // A trail that does not hold is not continued, and nothing is granted.
    std::fs::write(&trail, text.replace("south", "nobody")).unwrap();
    let (code, _, stderr) = grant(&second);
    assert!(code != 0 && stderr.contains("share.trail"), "{stderr}");
    assert!(!std::path::Path::new(&second).exists());
}

#[tokio::test]
async fn what_messages_said_is_shared_as_records() {
    let config = "[hl7]\nlisten = \"127.0.0.1:0\"\nclasses = { observation = \"labs\" }\n";
    let place = Place::new(config);
    let node = Arc::new(place.idle_node());
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    let (to, receiver) = ward_engine::party::messages::start(&node, stopped).await.unwrap().unwrap();
    let sent =
        tokio::task::spawn_blocking(move || crate::erasure::is_accepted(to, &crate::erasure::result("p-1")));
    assert!(sent.await.unwrap());
    receiver.abort();
    let file = |name: &str| place.path().join(name).display().to_string();
    let [words, house, secret, out] = ["words", "south.json", "south.secret", "labs.shared"].map(file);
    std::fs::write(&words, "correct horse battery\n").unwrap();
    let made = place.ward(&[
        "share",
        "house",
        "init",
        "--name",
        "south",
        "--secret",
        &secret,
        "--passphrase-file",
        &words,
        "--out",
        &house,
    ]);
    assert_eq!(made.0, 0, "{}", made.2);
    let give = |class: &'static str| {
        [
            "share",
            "messages",
            "--patient",
            "p-1",
            "--class",
            class,
            "--purpose",
            CARE,
            "--to",
            &house,
            "--out",
            &out,
        ]
    };
    place.fails(&give("letters"), "share.nothing");
    place.fails(&give("labs"), "share.consent");
    consent(&place, "labs", CARE);
    assert_eq!(place.ok(&give("labs"))["share"]["what"], "messages:1");
    let opened = file("opened");
    let (code, said, stderr) =
        place.ward(&["share", "open", &out, "--key", &secret, "--passphrase-file", &words, "--out", &opened]);
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(said["record"]["class"], "labs");
    let line: Json = serde_json::from_str(&std::fs::read_to_string(&opened).unwrap()).unwrap();
    assert_eq!((&line["kind"], &line["fields"]["value"]), (&json!("observation"), &json!("4.777")));
    // Erased, nothing is left to share, and the consent is gone too.
    place.ok(&["erase", "p-1"]);
    place.fails(&give("labs"), "share.nothing");
}
