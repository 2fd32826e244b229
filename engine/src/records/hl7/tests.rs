//! Messages written by hand, to the rows and answers they mean; and bytes that are no messages.

use proptest::prelude::*;

use super::answer::{Code, Refusal, acknowledgement};
use super::frame::{Frames, framed};
use super::message::{Expected, Message, Refused};
use super::{Change, Row};

pub(crate) const A01: &str = "MSH|^~\\&|ADT1|GENERAL|WARD|GENERAL|20260301083000+0100||ADT^A01^ADT_A01|M1|P|2.5.1\r\
    EVN||20260301083000\r\
    PID|1||4711^^^GENERAL^MR~99^^^STATE^NI||MUSTER^ERIKA||19610415|F||2106-3\r\
    PV1|1|I|W3^12^A|||||||CAR|||||||||V100^^^GENERAL|||||||||||||||||||||||||20260301081500\r";
const ORU: &str = "MSH|^~\\&|LAB|GENERAL|WARD|GENERAL|20260302101500||ORU^R01^ORU_R01|L1|P|2.5.1||||||UNICODE UTF-8\r\
    PID|1||4711^^^GENERAL^MR\r\
    PV1|1|I|||||||||||||||||V100\r\
    OBR|1|P7|F9|24323-8^Metabolic panel^LN|||20260302093000\r\
    OBX|1|NM|2823-3^Potassium^LN||4.1|mmol/L|3.5-5.1|N|||F\r\
    OBX|2|SN|2160-0^Creatinine^LN||<^0.3|mg/dL||L|||F|||20260302094500\r\
    OBX|3|ST|8251-1^Note^LN||a \\T\\ b \\F\\ Grüße||||||X\r\
    OBX|4|CE|600-7^Culture^LN||112283007^E. coli^SCT||||||P\r";

fn expected() -> Expected {
    Expected { authority: Some("GENERAL".into()), processing: "P".into() }
}

fn read(text: &str) -> Result<Message, Box<Refused>> {
    Message::read(text.as_bytes(), &expected())
}

fn refusal(text: &str) -> Refusal {
    read(text).unwrap_err().refusal
}

fn field<'a>(row: &'a Row, name: &str) -> Option<&'a str> {
    row.fields.get(name).and_then(Option::as_deref)
}

#[test]
fn an_admission_is_a_patient_and_a_visit() {
    let message = read(A01).unwrap();
    let [patient, visit] = message.rows.as_slice() else { panic!("{:?}", message.rows) };
    assert_eq!((patient.kind, patient.key.as_str(), patient.change), ("patient", "4711", Change::Update));
    assert_eq!(field(patient, "birth_date"), Some("19610415"));
    assert_eq!(field(patient, "sex"), Some("F"));
    assert_eq!(field(patient, "race"), Some("2106-3"));
    assert_eq!((visit.kind, visit.key.as_str(), visit.patient.as_str()), ("visit", "V100", "4711"));
    assert_eq!(field(visit, "class"), Some("I"));
    assert_eq!(field(visit, "location"), Some("W3"));
    assert_eq!(field(visit, "service"), Some("CAR"));
    assert_eq!(field(visit, "admitted_at"), Some("20260301081500"));
    assert!(!format!("{message:?}").contains("MUSTER"), "a name is not kept");
    // 2026-03-01T07:30:00Z.
    assert_eq!(message.sent_us, 1_772_350_200_000_000);
}

#[test]
fn results_have_their_values_units_and_times() {
    let message = read(ORU).unwrap();
    let results: Vec<&Row> = message.rows.iter().filter(|row| row.kind == "observation").collect();
    let shown: Vec<_> = results
        .iter()
        .map(|row| (field(row, "code").unwrap(), field(row, "value"), field(row, "observed_at"), row.change))
        .collect();
    let drawn = Some("20260302093000");
    assert_eq!(
        shown,
        [
            ("2823-3", Some("4.1"), drawn, Change::Replace),
            // A limit is no value.
            ("2160-0", None, Some("20260302094500"), Change::Replace),
            ("8251-1", Some("a & b | Grüße"), drawn, Change::Remove),
            ("600-7", Some("112283007"), drawn, Change::Replace),
        ]
    );
    assert!(results.iter().all(|row| field(row, "visit_id") == Some("V100")));
    assert_eq!(field(results[0], "unit"), Some("mmol/L"));
}

#[test]
fn a_discharge_ends_a_visit_and_an_empty_pair_of_quotes_ends_a_value() {
    let discharged = A01.replace("ADT^A01^ADT_A01", "ADT^A03").replace("|19610415|", "|\"\"|");
    let message = read(&discharged).unwrap();
    assert_eq!(message.rows[0].fields["birth_date"], None);
    assert_eq!(field(&message.rows[1], "discharged_at"), Some("20260301083000"));
    let cancelled = read(&A01.replace("ADT^A01^ADT_A01", "ADT^A11")).unwrap();
    assert_eq!(cancelled.rows[1].change, Change::Remove);
}

#[test]
fn what_is_refused_is_refused_by_the_standards_codes() {
    for (text, number, code) in [
        (A01.replace("ADT^A01^ADT_A01", "ADT^A40"), 201, Code::Reject),
        (A01.replace("ADT^A01^ADT_A01", "SIU^S12"), 200, Code::Reject),
        (A01.replace("|P|2.5.1", "|T|2.5.1"), 202, Code::Reject),
        (A01.replace("|P|2.5.1", "|P|3.0"), 203, Code::Reject),
        (A01.replace("|M1|", "||"), 101, Code::Error),
        (A01.replace("4711^^^GENERAL", "4711^^^OTHER"), 204, Code::Error),
        (A01.replace("V100^^^GENERAL", ""), 101, Code::Error),
        (A01.replace("\rPID|", "\rZID|"), 100, Code::Error),
        (A01.replace("\rPV1|", "\rpv#garbage\rPV1|"), 100, Code::Error),
        (ORU.replace("\rOBR|", "\rZBR|"), 100, Code::Error),
        (ORU.replace("UNICODE UTF-8", "ISO IR87"), 103, Code::Error),
        ("MSH|".to_owned(), 100, Code::Error),
        (String::new(), 100, Code::Error),
    ] {
        let found = refusal(&text);
        assert_eq!((found.number(), found.code()), (number, code), "{text}: {found}");
    }
}

#[test]
fn latin_1_is_read_where_the_message_says_so() {
    let bytes: Vec<u8> =
        ORU.replace("UNICODE UTF-8", "8859/1").chars().map(|c| u8::try_from(c).unwrap()).collect();
    let message = Message::read(&bytes, &expected()).unwrap();
    assert!(message.rows.iter().any(|row| field(row, "value") == Some("a & b | Grüße")));
    let undeclared =
        Message::read(&String::from_utf8_lossy(&bytes).replace("8859/1", "").into_bytes(), &expected());
    assert!(undeclared.is_ok(), "replacement characters are text");
}

#[test]
fn an_acknowledgement_answers_the_sender_and_quotes_nothing_unescaped() {
    let message = read(&A01.replace("|M1|", "|M\\F\\1|")).unwrap();
    let answer = acknowledgement(&message.header, None, "20260301083001+0000", "abc");
    assert_eq!(
        answer,
        "MSH|^~\\&|WARD|GENERAL|ADT1|GENERAL|20260301083001+0000||ACK^A01|abc|P|2.5.1\rMSA|AA|M\\E\\F\\E\\1\r"
    );
    let refused = acknowledgement(&message.header, Some(Refusal::Event), "2026", "abc");
    assert!(refused.contains("\rMSA|AR|"), "{refused}");
    assert!(refused.ends_with("\rERR|||201^unsupported event code^HL70357|E\r"), "{refused}");
}

#[test]
fn frames_are_found_however_the_bytes_arrive() {
    let wire =
        [b"noise".to_vec(), framed("one"), framed("two"), b"\x0bcut off".to_vec(), framed("three")].concat();
    for step in 1..wire.len() {
        let mut frames = Frames::new(100);
        let mut found = Vec::new();
        for mut part in wire.chunks(step) {
            while !part.is_empty() {
                let (taken, message) = frames.take(part).unwrap();
                part = &part[taken..];
                found.extend(message.map(|m| String::from_utf8(m).unwrap()));
            }
        }
        assert_eq!(found, ["one", "two", "three"], "{step}");
    }
    let mut frames = Frames::new(10);
    assert!(frames.take(&framed("0123456789")).is_ok());
    assert!(frames.take(b"\x0b0123456789abc").is_err());
}

/// Messages with a few characters changed, taken away or put in.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let edit = (any::<prop::sample::Index>(), prop::option::of(any::<u8>()), any::<bool>());
    (prop::sample::select(vec![A01, ORU]), prop::collection::vec(edit, 0..12)).prop_map(|(text, edits)| {
        let mut bytes = text.as_bytes().to_vec();
        for (at, byte, inserts) in edits {
            let at = at.index(bytes.len());
            match byte {
                Some(byte) if inserts => bytes.insert(at, byte),
                Some(byte) => bytes[at] = byte,
                None => drop(bytes.remove(at)),
            }
        }
        bytes
    })
}

proptest! {
    #[test]
    fn damaged_messages_are_read_or_refused(bytes in damaged()) {
        match Message::read(&bytes, &expected()) {
            Ok(message) => prop_assert!(message.rows.iter().all(|row| !row.key.is_empty())),
            Err(refused) => prop_assert!(refused.refusal.number() >= 100),
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300), head in any::<bool>()) {
        let bytes = if head { [b"MSH|^~\\&".to_vec(), bytes].concat() } else { bytes };
        let refused = Message::read(&bytes, &expected());
        prop_assert!(refused.is_err());
        let mut frames = Frames::new(64);
        let _ = frames.take(&bytes);
    }
}
