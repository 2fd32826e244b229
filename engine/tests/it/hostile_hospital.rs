//! A hostile hospital: whatever it sends, the job fails or is refused in its name, nothing is released, and the engine
//! goes on serving.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ward_engine::cli::session::Session;
use ward_engine::encoding::{Digest, HexBytes};
use ward_engine::grpc::v1::{self, node_frame};
use ward_engine::identity::Identity;
use ward_engine::ledger::NoteSignature;
use ward_engine::party::aggregate::{CONTRIBUTION, participation};
use ward_engine::party::ceremony::parameters;
use ward_engine::party::task::{ContributionHeader, Outcome, Prepare, SignedStep, Task};
use ward_math::Secret;
use ward_protocols::he::{C0, C1, Ciphertext, Plaintext, ReceiverSecret, encrypt_all};

use crate::node_house::PROFILE;
use crate::wire_stand::{Answer, Stand, Twist, frames_of, honest};

const SQL: &str = "SELECT COUNT(*), AVG(age) FROM labs";

/// A twist of contributions alone.
fn contributing(
    f: impl Fn(ContributionHeader, Vec<u8>) -> (ContributionHeader, Vec<u8>) + Send + Sync + 'static,
) -> Twist {
    Arc::new(move |_, _, outcome, body| match outcome {
        Outcome::Contributed { contribution } => {
            let (contribution, body) = f(contribution, body);
            Answer::Say(Outcome::Contributed { contribution }, body)
        }
        other => Answer::Say(other, body),
    })
}

/// A hospital that can sign what it likes: its key, and the job it was told of.
#[derive(Clone, Default)]
pub struct Forger(Arc<std::sync::Mutex<(Option<Identity>, Option<Prepare>)>>);

impl Forger {
    pub fn of(&self, stand: &Stand) {
        let pem = stand.hospitals.last().unwrap().membership().identity.to_pem().unwrap();
        self.0.lock().unwrap().0 = Some(Identity::from_pem(&pem).unwrap());
    }

    /// Signs the header anew with the hospital's own key.
    fn sign(&self, header: &mut ContributionHeader) {
        let kept = self.0.lock().unwrap();
        let (Some(identity), Some(prepare)) = &*kept else { panic!("no key, or no job") };
        let parts = prepare.binding().parts(header);
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        header.signature = HexBytes(identity.sign(CONTRIBUTION, &parts).0.to_vec());
    }

    /// A twist of contributions that are well signed, whatever they are.
    pub fn twist(&self, f: impl Fn(&mut ContributionHeader, &mut Vec<u8>) + Send + Sync + 'static) -> Twist {
        let forger = self.clone();
        Arc::new(move |_, task, outcome, mut body| {
            if let Task::Prepare(prepare) = task {
                forger.0.lock().unwrap().1 = Some((**prepare).clone());
            }
            let Outcome::Contributed { mut contribution } = outcome else {
                return Answer::Say(outcome, body);
            };
            f(&mut contribution, &mut body);
            forger.sign(&mut contribution);
            Answer::Say(Outcome::Contributed { contribution }, body)
        })
    }
}

/// Asks, and expects the job to end without a release in the name of the last hospital; then the engine still serves.
async fn ends_badly(stand: &Stand, code: &str) -> v1::Job {
    let session = session(stand);
    let session = session.await;
    let job = session.submit(SQL, participation(0), 20).await.unwrap();
    let ended = stand.ended(&stand.ada, &job.id).await;
    let problem = ended.problem.clone().unwrap_or_default();
    assert_eq!(problem.code, code, "{ended:?}");
    let last = stand.hospitals.last().unwrap().name();
    assert_eq!(problem.hospital, last, "{ended:?}");
    assert!(!stand.released(&stand.ada, &job.id).await);
    session.catalogue().await.unwrap();
    ended
}

async fn session(stand: &Stand) -> Session {
    Session::open(&stand.dir.path().join("ada"), None).await.unwrap()
}

/// The same with a forger among two hospitals.
async fn forged(f: impl Fn(&mut ContributionHeader, &mut Vec<u8>) + Send + Sync + 'static) {
    let forger = Forger::default();
    let stand = Stand::with_key(2, 2, forger.twist(f)).await;
    forger.of(&stand);
    let ended = ends_badly(&stand, "node.protocol").await;
    assert!(!stand.parts(&ended.id, "h-1").contains(&"contribution".to_owned()));
    assert_eq!(stand.parts(&ended.id, "h-0").iter().filter(|step| step.starts_with("share")).count(), 0);
}

/// Lengths and digests as the body has them.
fn remeasure(header: &mut ContributionHeader, c0: &[u8], c1: &[u8]) -> Vec<u8> {
    (header.c0, header.c1) = (Digest::of(c0), Digest::of(c1));
    (header.c0_bytes, header.c1_bytes) = (c0.len() as u64, c1.len() as u64);
    [c0, c1].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn honest_hospitals_over_the_wire_give_the_known_answer() {
    let stand = Stand::with_key(2, 2, honest()).await;
    let session = session(&stand).await;
    let job = session.submit(SQL, participation(0), 60).await.unwrap();
    let ended = stand.ended(&stand.ada, &job.id).await;
    assert_eq!(ended.state(), v1::JobState::Done, "{ended:?}");
    let answer = session.result(&job.id).await.unwrap().answer;
    assert_eq!(answer.rows[0].values[0].value, ward_engine::query::answer::Value::Count { value: 80 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contribution_with_a_bad_signature_is_refused() {
    let twist = contributing(|mut header, body| {
        header.signature.0[0] ^= 1;
        (header, body)
    });
    ends_badly(&Stand::with_key(2, 2, twist).await, "node.protocol").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contribution_in_anothers_name_or_under_another_certificate_is_refused() {
    forged(|header, _| header.hospital = "h-0".to_owned()).await;
    forged(|header, _| header.certificate.0[40] ^= 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contribution_of_data_that_was_not_published_is_refused() {
    forged(|header, _| header.dataset_version = "\u{0}".repeat(3)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ciphertexts_that_do_not_match_digests_or_lengths_are_refused() {
    let twist = contributing(|header, mut body| {
        *body.last_mut().unwrap() ^= 1;
        (header, body)
    });
    ends_badly(&Stand::with_key(2, 2, twist).await, "node.protocol").await;
    forged(|header, _| header.c1_bytes += 1).await;
    forged(|header, _| header.c0_bytes = u64::MAX).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_ciphertexts_none_or_garbage_are_refused() {
    forged(|header, body| {
        let params = parameters(PROFILE, 2).unwrap();
        let (c0, c1) = body.split_at(header.c0_bytes as usize);
        let double = |c0: &[u8], c1: &[u8]| {
            let list =
                Ciphertext::zip(C0::decode_all(&params, c0).unwrap(), C1::decode_all(&params, c1).unwrap());
            let list = list.unwrap();
            let twice: Vec<Ciphertext> = list.iter().chain(&list).cloned().collect();
            (Ciphertext::encode_c0(&params, &twice), Ciphertext::encode_c1(&params, &twice))
        };
        let (c0, c1) = double(c0, c1);
        *body = remeasure(header, &c0, &c1);
    })
    .await;
    forged(|header, body| *body = remeasure(header, &[], &[])).await;
    forged(|header, body| *body = remeasure(header, &[0xff; 700], &[0xff; 700])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ciphertexts_of_another_epoch_are_refused() {
    forged(|header, body| {
        // The parameters of an epoch of three hospitals, where this one has two.
        let params = parameters(PROFILE, 3).unwrap();
        let key = ReceiverSecret::from_seed(&params, &Secret::new([7; 32])).public_key(&params);
        let mut rng = <chacha20::ChaCha20Rng as rand_core::SeedableRng>::from_seed([8; 32]);
        let list = encrypt_all(&params, &key, &[Plaintext::zero(&params)], &mut rng);
        let (c0, c1) = (Ciphertext::encode_c0(&params, &list), Ciphertext::encode_c1(&params, &list));
        *body = remeasure(header, &c0, &c1);
    })
    .await;
}

/// A twist of shares alone.
fn switching(f: impl Fn(&mut Vec<u8>, &mut HexBytes, &mut Digest) + Send + Sync + 'static) -> Twist {
    Arc::new(move |_, _, outcome, mut body| match outcome {
        Outcome::KeySwitched { sum, mut shares, mut signature } => {
            f(&mut body, &mut signature, &mut shares);
            Answer::Say(Outcome::KeySwitched { sum, shares, signature }, body)
        }
        other => Answer::Say(other, body),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_switch_share_that_is_malformed_or_unsigned_is_refused() {
    let altered = switching(|body, _, shares| {
        body.truncate(100);
        *shares = Digest::of(body);
    });
    ends_badly(&Stand::with_key(2, 2, altered).await, "node.protocol").await;
    let unsigned = switching(|_, signature, _| signature.0[1] ^= 1);
    ends_badly(&Stand::with_key(2, 2, unsigned).await, "node.protocol").await;
    let mismatched = switching(|body, _, _| *body.last_mut().unwrap() ^= 1);
    ends_badly(&Stand::with_key(2, 2, mismatched).await, "node.protocol").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cosignature_by_another_key_or_of_nonsense_is_refused() {
    let lines: [fn(&str) -> String; 4] = [
        |_| "nonsense".to_owned(),
        |line| format!("{line}\n{line}"),
        |line| {
            let mut parsed = NoteSignature::parse(line).unwrap();
            *parsed.bytes.last_mut().unwrap() ^= 1;
            parsed.to_line()
        },
        |line| {
            let mut parsed = NoteSignature::parse(line).unwrap();
            parsed.key_id = [1, 2, 3, 4];
            parsed.to_line()
        },
    ];
    for forge in lines {
        let twist: Twist = Arc::new(move |_, _, outcome, body| match outcome {
            Outcome::Cosigned { cosignature: Some(line), last_size } => {
                Answer::Say(Outcome::Cosigned { cosignature: Some(forge(&line)), last_size }, body)
            }
            other => Answer::Say(other, body),
        });
        ends_badly(&Stand::with_key(2, 2, twist).await, "node.protocol").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hospital_that_claims_to_have_seen_a_larger_log_is_refused() {
    let twist: Twist = Arc::new(|_, _, outcome, body| match outcome {
        Outcome::Cosigned { .. } => {
            Answer::Say(Outcome::Cosigned { cosignature: None, last_size: u64::MAX }, body)
        }
        other => Answer::Say(other, body),
    });
    ends_badly(&Stand::with_key(2, 2, twist).await, "node.protocol").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_of_another_task_is_refused() {
    for step in ["prepare", "contribute", "key_switch", "cosign"] {
        let twist: Twist = Arc::new(move |_, task, outcome, body| {
            let json = serde_json::to_value(task).unwrap();
            if json["task"] == step {
                Answer::Say(Outcome::Abandoned, Vec::new())
            } else {
                Answer::Say(outcome, body)
            }
        });
        ends_badly(&Stand::with_key(2, 2, twist).await, "node.protocol").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_that_break_the_frames_fail_the_job_in_that_hospitals_name() {
    type Break = fn(u64, &Outcome, &[u8]) -> Vec<node_frame::Frame>;
    let breaks: [Break; 5] = [
        // Another digest than the body's.
        |number, outcome, body| {
            let mut frames = frames_of(number, outcome, body);
            if let node_frame::Frame::Reply(reply) = &mut frames[0] {
                reply.body_sha256[0] ^= 1;
            }
            frames
        },
        // Longer than announced.
        |number, outcome, body| {
            let mut frames = frames_of(number, outcome, body);
            if let node_frame::Frame::Reply(reply) = &mut frames[0] {
                reply.body_bytes -= 1;
            }
            frames
        },
        // Shorter than announced.
        |number, outcome, body| {
            let mut frames = frames_of(number, outcome, body);
            if let node_frame::Frame::Reply(reply) = &mut frames[0] {
                reply.body_bytes += 1;
            }
            frames
        },
        // A piece that nothing announced.
        |number, outcome, body| frames_of(number, outcome, body).split_off(1),
        // More than the engine takes.
        |number, outcome, body| {
            let mut frames = frames_of(number, outcome, body);
            if let node_frame::Frame::Reply(reply) = &mut frames[0] {
                reply.body_bytes = u64::MAX;
            }
            frames.truncate(1);
            frames
        },
    ];
    for broken in breaks {
        let twist: Twist = Arc::new(move |number, _, outcome, body| {
            if matches!(outcome, Outcome::Contributed { .. }) {
                Answer::Frames(broken(number, &outcome, &body))
            } else {
                Answer::Say(outcome, body)
            }
        });
        ends_badly(&Stand::with_key(2, 2, twist).await, "node.protocol").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hospital_that_hangs_up_in_the_middle_of_a_body_may_come_back() {
    let first = AtomicBool::new(true);
    let twist: Twist = Arc::new(move |number, _, outcome, body| {
        if matches!(outcome, Outcome::Contributed { .. }) && first.swap(false, Ordering::SeqCst) {
            let mut frames = frames_of(number, &outcome, &body);
            frames.truncate(2);
            return Answer::HangUp(frames);
        }
        Answer::Say(outcome, body)
    });
    let stand = Stand::with_key(2, 2, twist).await;
    let session = session(&stand).await;
    let job = session.submit(SQL, participation(0), 60).await.unwrap();
    let ended = stand.ended(&stand.ada, &job.id).await;
    assert_eq!(ended.state(), v1::JobState::Done, "{ended:?}");
    session.result(&job.id).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hospital_that_never_answers_fails_the_job_at_its_time_limit() {
    let twist: Twist = Arc::new(|_, _, outcome, body| match outcome {
        Outcome::Contributed { .. } => Answer::Silence,
        other => Answer::Say(other, body),
    });
    let stand = Stand::with_key(2, 2, twist).await;
    let session = session(&stand).await;
    let job = session.submit(SQL, participation(0), 3).await.unwrap();
    let ended = stand.ended(&stand.ada, &job.id).await;
    assert_eq!(ended.problem.clone().unwrap_or_default().code, "job.deadline", "{ended:?}");
    assert!(!stand.released(&stand.ada, &job.id).await);
    session.catalogue().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_on_shares_ends_at_the_jobs_time_limit() {
    let twist: Twist = Arc::new(|_, _, outcome, body| match outcome {
        Outcome::Computed { .. } => Answer::Silence,
        other => Answer::Say(other, body),
    });
    let stand = Stand::with_key(3, 3, twist).await;
    let session = session(&stand).await;
    let job = session.submit("SELECT COUNT(*), MEDIAN(age) FROM labs", participation(0), 5).await.unwrap();
    let ended = stand.ended(&stand.ada, &job.id).await;
    assert_eq!(ended.problem.clone().unwrap_or_default().code, "job.deadline", "{ended:?}");
    assert!(stand.parts(&job.id, "").iter().any(|part| part.contains("attempt.1")), "no attempt was begun");
    assert!(!stand.released(&stand.ada, &job.id).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ceremony_step_that_is_not_signed_fails_in_that_hospitals_name() {
    let stand = Stand::start(2).await;
    let twist: Twist = Arc::new(|_, _, outcome, body| match outcome {
        Outcome::Step { step } => {
            let step = SignedStep { signature: HexBytes(vec![0; 64]), ..step };
            Answer::Say(Outcome::Step { step }, body)
        }
        other => Answer::Say(other, body),
    });
    tokio::spawn(crate::wire_stand::run_node(stand.hospitals[0].clone(), honest()));
    tokio::spawn(crate::wire_stand::run_node(stand.hospitals[1].clone(), twist));
    stand.until_connected(2).await;
    let ceremony = v1::Ceremony {
        profile: PROFILE.to_owned(),
        holders: Vec::new(),
        threshold: 2,
        time_limit_ms: 20_000,
    };
    let job = stand.submit(&stand.omar, v1::submit_request::Job::Ceremony(ceremony)).await.unwrap();
    let problem = stand.ended(&stand.omar, &job.id).await.problem.unwrap();
    assert_eq!((problem.code.as_str(), problem.hospital.as_str()), ("node.protocol", "h-1"));
    assert!(stand.folder.store().active_epoch().unwrap().is_none());
}
