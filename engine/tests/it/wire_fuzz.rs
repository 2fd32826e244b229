//! What a peer reaches is decoded without a panic, whatever the bytes are.

use proptest::prelude::*;
use prost::Message as _;
use ward_engine::attestation::door;
use ward_engine::encoding::{Digest, canonical_json};
use ward_engine::grpc::frames::Assembly;
use ward_engine::grpc::hub::Hub;
use ward_engine::grpc::relay::frame_of;
use ward_engine::grpc::services::attestations::Receiving;
use ward_engine::grpc::v1::{self, node_frame};
use ward_engine::identity::{CaCertificate, Member, Token};
use ward_engine::job::submit::plan;
use ward_engine::ledger::{Checkpoint, Note, NoteSignature, Receipt, RegistrationReceipt};
use ward_engine::party::aggregate::participation;
use ward_engine::party::task::{Epoch, Outcome, Request, Task};
use ward_engine::query::catalogue::{Catalogue, Column, ColumnKind, OutOfBounds, Publication, Table};
use ward_engine::store::JobId;

use crate::node_house::{CONSORTIUM, PROFILE};

/// Feeds frames to a node's connection as the engine does, until one ends it.
fn feed(frames: impl IntoIterator<Item = v1::NodeFrame>) {
    let hub = Hub::default();
    let (connection, _outgoing) = hub.connect("h-0", None);
    for frame in frames {
        let taken = match frame.frame {
            Some(node_frame::Frame::Reply(reply)) => connection.reply(reply).is_ok(),
            Some(node_frame::Frame::Body(body)) => connection.body(&body).is_ok(),
            Some(node_frame::Frame::Relay(frame)) => {
                frame_of(frame).and_then(|frame| connection.relay().take(frame)).is_ok()
            }
            _ => true,
        };
        if !taken {
            break;
        }
    }
    hub.disconnect(&connection);
}

fn json_like() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<u64>().prop_map(|n| n.to_string()),
        Just("1e999".to_owned()),
        "[a-z_]{0,12}".prop_map(|s| format!("{s:?}")),
        "[0-9a-f]{64}".prop_map(|s| format!("{s:?}")),
    ];
    let key = prop_oneof![
        Just("task"),
        Just("outcome"),
        Just("job"),
        Just("spec"),
        Just("ceremony"),
        Just("step"),
        Just("version"),
        Just("consortium"),
        Just("epoch"),
        Just("hospital"),
        Just("tables"),
        Just("floor"),
        Just("holders")
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(|list| format!("[{}]", list.join(","))),
            proptest::collection::vec((key.clone(), inner), 0..6).prop_map(|list| {
                let fields: Vec<String> = list.into_iter().map(|(k, v)| format!("{k:?}:{v}")).collect();
                format!("{{{}}}", fields.join(","))
            }),
        ]
    })
}

fn column() -> impl Strategy<Value = Column> {
    let bound = prop_oneof![any::<i64>(), Just(i64::MIN), Just(i64::MAX), -200..200_i64];
    let kind = prop_oneof![Just(ColumnKind::Integer), Just(ColumnKind::Real), Just(ColumnKind::Category)];
    let codes = proptest::collection::vec("[a-z]{0,3}", 0..4);
    (kind, any::<u8>(), bound.clone(), bound, codes).prop_map(|(kind, digits, min, max, codes)| Column {
        name: "age".to_owned(),
        kind,
        digits,
        unit: String::new(),
        min,
        max,
        codes,
        out_of_bounds: OutOfBounds::Clamp,
        description: String::new(),
    })
}

fn catalogue(columns: Vec<Column>, rows_max: u64, floor: u32) -> Catalogue {
    let publication = |name: &str, column: &Column| Publication {
        hospital: name.to_owned(),
        floor,
        rounding: false,
        tables: vec![Table {
            name: "labs".to_owned(),
            description: String::new(),
            rows_max,
            rows_per_patient_max: 1,
            data_class: String::new(),
            data_use: Vec::new(),
            dataset_version: "1".to_owned(),
            columns: vec![column.clone(), Column { name: "arm".to_owned(), ..column.clone() }],
            proofs: Vec::new(),
        }],
    };
    let hospitals = columns.iter().enumerate().map(|(i, column)| {
        let name = format!("h-{i}");
        (name.clone(), publication(&name, column))
    });
    Catalogue {
        consortium: CONSORTIUM.to_owned(),
        floor,
        rounding: false,
        hospitals: hospitals.collect(),
        compute: vec![],
    }
}

fn epoch() -> Epoch {
    Epoch {
        id: Digest::of(b"epoch"),
        profile: PROFILE.to_owned(),
        holders: vec!["h-0".to_owned(), "h-1".to_owned()],
        threshold: 2,
        public_key: Digest::of(b"key"),
    }
}

const QUERIES: [&str; 8] = [
    "SELECT COUNT(*), AVG(age), STDDEV(age) FROM labs",
    "SELECT arm, SUM(age) FROM labs GROUP BY arm",
    "SELECT COUNT(*) FROM labs WHERE age BETWEEN 40 AND 65.5",
    "SELECT HISTOGRAM(age, 10) FROM labs",
    "SELECT CORR(age, arm) FROM labs",
    "SELECT CHI2(age, arm) FROM labs",
    "SELECT KAPLAN_MEIER(age, arm) FROM labs",
    "SELECT OLS(age, arm) FROM labs",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn random_bytes_as_frames_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        if let Ok(frame) = v1::NodeFrame::decode(bytes.as_slice()) {
            feed([frame]);
        }
        if let Ok(frame) = v1::EngineFrame::decode(bytes.as_slice()) {
            prop_assert_eq!(v1::EngineFrame::decode(frame.encode_to_vec().as_slice()).unwrap(), frame);
        }
        let _ = v1::SubmitRequest::decode(bytes.as_slice());
        let _ = v1::EnrolRequest::decode(bytes.as_slice());
        let _ = v1::ResultFrame::decode(bytes.as_slice());
        if let Ok(frame) = v1::SubmitAttestationsRequest::decode(bytes.as_slice()) {
            let _ = Receiving::default().take(frame);
        }
        let _ = door::attestation(&bytes);
        let _ = RegistrationReceipt::from_json(&bytes);
    }

    #[test]
    fn replies_and_pieces_in_any_order_do_not_panic(
        frames in proptest::collection::vec(
            (0..3_u64, 0..3_u8, any::<u64>(), proptest::collection::vec(any::<u8>(), 0..40), any::<bool>()),
            0..12,
        )
    ) {
        feed(frames.into_iter().map(|(task, kind, body_bytes, data, last)| {
            let frame = match kind {
                0 => node_frame::Frame::Reply(v1::Reply { task, result: None, body_bytes, body_sha256: data }),
                1 => node_frame::Frame::Body(v1::Body { task, data, last }),
                _ => node_frame::Frame::Relay(v1::Relay::decode(data.as_slice()).unwrap_or_default()),
            };
            v1::NodeFrame { frame: Some(frame) }
        }));
    }

    #[test]
    fn attestations_in_any_frames_are_received_whole_or_refused(
        announced in prop_oneof![0..4_u32, Just(u32::MAX), Just(1024)],
        chunks in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..24), any::<bool>()), 0..8),
        late in any::<bool>(),
    ) {
        use v1::submit_attestations_request::Part;
        let header = Part::Header(v1::AttestationsHeader { items: announced, requests: Vec::new(), time_limit_ms: 1 });
        let mut parts = vec![header.clone()];
        let mut sent = vec![Vec::new()];
        for (data, last) in chunks {
            sent.last_mut().unwrap().extend_from_slice(&data);
            if last {
                sent.push(Vec::new());
            }
            parts.push(Part::Chunk(v1::Chunk { data, last }));
        }
        if late {
            parts.push(header);
        }
        let mut receiving = Receiving::default();
        for part in parts {
            match receiving.take(v1::SubmitAttestationsRequest { part: Some(part) }) {
                Ok(None) => {}
                Ok(Some(submission)) => {
                    prop_assert_eq!(submission.items.len(), announced as usize);
                    prop_assert_eq!(&submission.items[..], &sent[..announced as usize]);
                    break;
                }
                Err(_) => break,
            }
        }
    }

    #[test]
    fn a_body_is_given_back_only_whole_and_only_under_its_digest(
        announced in 0..64_u64,
        pieces in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..24), any::<bool>()), 0..6),
        honest in any::<bool>(),
    ) {
        let all: Vec<u8> = pieces.iter().flat_map(|(piece, _)| piece.clone()).collect();
        let digest = if honest { Digest::of(&all) } else { Digest::of(b"another body") };
        let mut assembly = Assembly::new(announced, digest, 64).unwrap();
        let mut sent = Vec::new();
        for (piece, last) in &pieces {
            sent.extend_from_slice(piece);
            match assembly.push(piece, *last) {
                Ok(None) => prop_assert!(!last && sent.len() as u64 <= announced),
                Ok(Some(body)) => {
                    prop_assert!(*last && body.len() as u64 == announced);
                    prop_assert_eq!(Digest::of(&body), digest);
                    break;
                }
                Err(_) => break,
            }
        }
    }

    #[test]
    fn json_of_any_shape_is_a_task_an_outcome_or_refused(text in json_like()) {
        if let Ok(task) = serde_json::from_str::<Task>(&text) {
            prop_assert_eq!(serde_json::from_slice::<Task>(&canonical_json(&task)).unwrap(), task);
        }
        if let Ok(outcome) = serde_json::from_str::<Outcome>(&text) {
            prop_assert_eq!(serde_json::from_slice::<Outcome>(&canonical_json(&outcome)).unwrap(), outcome);
        }
        if let Ok(request) = serde_json::from_str::<Request>(&text) {
            prop_assert_eq!(serde_json::from_slice::<Request>(&canonical_json(&request)).unwrap(), request);
        }
        let _ = serde_json::from_str::<Publication>(&text);
        if let Ok(catalogue) = serde_json::from_str::<Catalogue>(&text) {
            let _ = plan(QUERIES[0], participation(0), &catalogue, &epoch());
        }
    }

    #[test]
    fn a_catalogue_of_any_bounds_plans_or_is_refused(
        columns in proptest::collection::vec(column(), 0..3),
        same in any::<bool>(),
        rows_max in prop_oneof![any::<u64>(), 0..2_000_u64],
        floor in any::<u32>(),
        minimum in prop_oneof![any::<u32>(), 0..4_u32],
        query in 0..QUERIES.len(),
    ) {
        let columns: Vec<Column> = match (same, columns.first()) {
            (true, Some(first)) => vec![first.clone(); columns.len()],
            _ => columns,
        };
        let catalogue = catalogue(columns, rows_max, floor);
        if let Ok(planned) = plan(QUERIES[query], participation(minimum), &catalogue, &epoch()) {
            // The same plan at every hospital.
            let again = plan(QUERIES[query], participation(minimum), &catalogue, &epoch()).unwrap();
            prop_assert_eq!(planned.digest(), again.digest());
            prop_assert!(planned.ciphertexts >= 1 && planned.hospitals.len() <= 2);
        }
    }

    #[test]
    fn texts_and_bytes_that_peers_send_do_not_panic(
        text in "[ -~\n—]{0,200}",
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let _ = Note::parse(&text);
        let _ = NoteSignature::parse(&text);
        let _ = Checkpoint::parse(&text);
        let _ = Receipt::from_json(&bytes);
        let _ = JobId::parse(&text);
        let _ = Token::parse(&format!("ward-enrol-1.{text}"));
        let _ = CaCertificate::from_der(&bytes);
        let _ = Member::from_certificate(&bytes);
        let _ = ward_engine::query::parse(&text);
        let _ = ward_engine::query::parse(&format!("SELECT COUNT(*) FROM labs WHERE {text}"));
    }
}
