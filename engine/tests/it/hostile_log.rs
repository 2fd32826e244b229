//! A hostile engine at the log: a hospital cosigns only a checkpoint that says what the hospital did and continues
//! everything it has seen.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use ward_engine::clock::now_ms;
use ward_engine::encoding::{Digest, canonical_json, separated};
use ward_engine::identity::Identity;
use ward_engine::ledger::merkle::{self, Nodes};
use ward_engine::ledger::{
    COMMITMENT_VERSION, Checkpoint, Commitment, LedgerError, Note, NoteSignature, TreeHead, cosigner_name,
    log_origin, verify_cosignature,
};
use ward_engine::party::task::{Outcome, Task};

use crate::node_house::{Asked, CONSORTIUM, FLOOR, Gift, House};

const JOB: &str = "job-1";

/// A log that the test keeps, and may keep twice.
#[derive(Clone, Default)]
struct Log {
    nodes: RefCell<HashMap<(u8, u64), Digest>>,
    size: u64,
}

impl Nodes for Log {
    fn node(&self, level: u8, index: u64) -> Result<Digest, LedgerError> {
        let found = self.nodes.borrow().get(&(level, index)).copied();
        found.ok_or(LedgerError::Range { index, size: self.size })
    }
}

impl Log {
    fn append(&mut self, digest: &Digest) -> u64 {
        let written = merkle::append(self, self.size, merkle::leaf_hash(&digest.0)).unwrap();
        self.nodes
            .borrow_mut()
            .extend(written.into_iter().map(|(level, index, hash)| ((level, index), hash)));
        self.size += 1;
        self.size - 1
    }

    fn note(&self, key: &Identity) -> Note {
        let head = TreeHead { size: self.size, root: merkle::root(self, self.size).unwrap() };
        Checkpoint { origin: log_origin(CONSORTIUM), head }.sign(key).unwrap()
    }

    /// The task to cosign this log as it is, from a size that the hospital has seen.
    fn task(&self, key: &Identity, commitment: &Commitment, index: u64, from_size: u64) -> Task {
        let consistency = if from_size == 0 {
            Vec::new()
        } else {
            merkle::consistency(self, from_size, self.size).unwrap()
        };
        Task::Cosign {
            job: JOB.to_owned(),
            commitment: String::from_utf8(canonical_json(commitment)).unwrap(),
            leaf_index: index,
            inclusion: merkle::inclusion(self, index, self.size).unwrap(),
            checkpoint: self.note(key).to_string(),
            from_size,
            consistency,
        }
    }
}

/// The commitment of an honest engine.
fn commitment(asked: &Asked, gifts: &[Gift]) -> Commitment {
    let by = |f: &dyn Fn(&Gift) -> Digest| -> BTreeMap<String, Digest> {
        gifts.iter().map(|gift| (gift.header.hospital.clone(), f(gift))).collect()
    };
    let versions = gifts.iter().map(|g| (g.header.hospital.clone(), g.header.dataset_version.clone()));
    Commitment {
        proofs: None,
        version: COMMITMENT_VERSION,
        consortium: CONSORTIUM.to_owned(),
        job_id: JOB.to_owned(),
        query: asked.request.sql.clone(),
        request_digest: Digest::of(asked.prepare.request.as_bytes()),
        plan_digest: asked.prepare.plan,
        researcher: Digest::of(b"ada"),
        dataset_versions: versions.collect(),
        participants: gifts.iter().map(|gift| gift.header.hospital.clone()).collect(),
        key_epoch: asked.prepare.epoch.id.to_string(),
        protocol_digest: Digest(asked.params.digest()),
        purpose: asked.request.purpose,
        rounding: 0,
        consent_roots: BTreeMap::new(),
        policy_digests: by(&|gift| gift.header.policy),
        floor: FLOOR,
        software: "test".to_owned(),
        result_digest: Digest::of(b"result"),
        contribution_digests: by(&|gift| {
            separated("contribution/1", &[&gift.header.c0.0, &gift.header.c1.0])
        }),
        finished_at_ms: now_ms(),
        study: None,
    }
}

async fn ready() -> (House, Commitment) {
    let house = House::new(2);
    let (asked, gifts) = house.until_sum(JOB, "SELECT COUNT(*) FROM labs", 0).await;
    let commitment = commitment(&asked, &gifts);
    (house, commitment)
}

fn nothing_cosigned(house: &House) {
    assert_eq!(house.nodes["h-0"].store().last_checkpoint().unwrap(), None);
}

/// The hospital cosigns, and the cosignature holds.
async fn cosigns(house: &House, log: &Log, task: Task) {
    let (outcome, _) = house.send("h-0", task, &[]).await.unwrap();
    let Outcome::Cosigned { cosignature: Some(line), last_size } = outcome else { panic!("{outcome:?}") };
    assert_eq!(last_size, log.size);
    let mut note = log.note(&house.engine);
    note.add(NoteSignature::parse(&line).unwrap()).unwrap();
    let name = cosigner_name(CONSORTIUM, "h-0");
    assert!(verify_cosignature(&note, &name, &house.keys["h-0"].public()).unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_log_is_cosigned_also_when_it_grows_and_when_asked_again() {
    let (house, commitment) = ready().await;
    let mut log = Log::default();
    log.append(&Digest::of(b"an epoch"));
    let index = log.append(&commitment.digest());
    let task = log.task(&house.engine, &commitment, index, 0);
    cosigns(&house, &log, task).await;
    for other in [b"a", b"b", b"c"] {
        let seen = log.size;
        log.append(&Digest::of(other));
        let task = log.task(&house.engine, &commitment, index, seen);
        cosigns(&house, &log, task.clone()).await;
        // From a size that is not the last seen: the node says which, and signs nothing.
        let (outcome, _) = house.send("h-0", task, &[]).await.unwrap();
        assert_eq!(outcome, Outcome::Cosigned { cosignature: None, last_size: log.size });
    }
    let again = log.task(&house.engine, &commitment, index, log.size);
    cosigns(&house, &log, again).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commitment_that_is_wrong_about_this_hospital_or_the_job_is_refused() {
    let (house, honest) = ready().await;
    let h = || "h-0".to_owned();
    let changes: [fn(&mut Commitment, String); 8] = [
        |c, h| {
            c.contribution_digests.insert(h, Digest::of(b"other"));
        },
        |c, h| {
            c.policy_digests.insert(h, Digest::of(b"other"));
        },
        |c, h| {
            c.dataset_versions.insert(h, "other".to_owned());
        },
        |c, _| c.request_digest = Digest::of(b"other"),
        |c, _| c.plan_digest = Digest::of(b"other"),
        |c, _| c.job_id = "job-2".to_owned(),
        |c, _| c.consortium = "south".to_owned(),
        |c, h| {
            c.participants.retain(|name| *name != h);
            c.contribution_digests.remove(&h);
            c.policy_digests.remove(&h);
            c.dataset_versions.remove(&h);
        },
    ];
    for change in changes {
        let mut wrong = honest.clone();
        change(&mut wrong, h());
        let mut log = Log::default();
        let index = log.append(&wrong.digest());
        house.refuses("h-0", log.task(&house.engine, &wrong, index, 0), &[], "commitment.wrong").await;
    }
    let mut log = Log::default();
    let index = log.append(&honest.digest());
    let Task::Cosign { leaf_index, inclusion, checkpoint, from_size, consistency, .. } =
        log.task(&house.engine, &honest, index, 0)
    else {
        unreachable!("a task to cosign")
    };
    let job = JOB.to_owned();
    let task = Task::Cosign {
        job,
        commitment: "{}".to_owned(),
        leaf_index,
        inclusion,
        checkpoint,
        from_size,
        consistency,
    };
    house.refuses("h-0", task, &[], "commitment.unreadable").await;
    nothing_cosigned(&house);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commitment_that_is_not_in_the_log_is_refused() {
    let (house, commitment) = ready().await;
    let mut log = Log::default();
    log.append(&Digest::of(b"first"));
    let index = log.append(&commitment.digest());
    log.append(&Digest::of(b"last"));
    let good = log.task(&house.engine, &commitment, index, 0);
    for change in 0..5 {
        let mut task = good.clone();
        let Task::Cosign { leaf_index, inclusion, .. } = &mut task else { unreachable!("a task to cosign") };
        match change {
            0 => *leaf_index = 0,
            1 => *leaf_index = u64::MAX,
            2 => inclusion[0] = Digest::of(b"other"),
            3 => drop(inclusion.pop()),
            _ => inclusion.resize(5_000, Digest::of(b"other")),
        }
        house.refuses("h-0", task, &[], "log.refused").await;
    }
    nothing_cosigned(&house);
    cosigns(&house, &log, good).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_shrinks_or_forks_is_refused() {
    let (house, commitment) = ready().await;
    let mut log = Log::default();
    let index = log.append(&commitment.digest());
    let young = log.clone();
    log.append(&Digest::of(b"second"));
    log.append(&Digest::of(b"third"));
    cosigns(&house, &log, log.task(&house.engine, &commitment, index, 0)).await;
    let seen = house.nodes["h-0"].store().last_checkpoint().unwrap();
    let pretend = |mut task: Task| {
        if let Task::Cosign { from_size, .. } = &mut task {
            *from_size = 3;
        }
        task
    };
    // The older tree again.
    let rollback = pretend(young.task(&house.engine, &commitment, index, 0));
    house.refuses("h-0", rollback, &[], "log.refused").await;
    // Another history of the same length, and of a greater.
    let mut fork = young;
    fork.append(&Digest::of(b"other"));
    fork.append(&Digest::of(b"history"));
    let same = pretend(fork.task(&house.engine, &commitment, index, 0));
    house.refuses("h-0", same, &[], "log.refused").await;
    fork.append(&Digest::of(b"fourth"));
    house.refuses("h-0", fork.task(&house.engine, &commitment, index, 3), &[], "log.refused").await;
    // The right log without its proof.
    log.append(&Digest::of(b"fourth"));
    let unproven = pretend(log.task(&house.engine, &commitment, index, 0));
    house.refuses("h-0", unproven, &[], "log.refused").await;
    assert_eq!(house.nodes["h-0"].store().last_checkpoint().unwrap(), seen);
    cosigns(&house, &log, log.task(&house.engine, &commitment, index, 3)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_the_pinned_engine_did_not_sign_is_refused() {
    let (house, commitment) = ready().await;
    let mut log = Log::default();
    let index = log.append(&commitment.digest());
    let other = Identity::generate().unwrap();
    house.refuses("h-0", log.task(&other, &commitment, index, 0), &[], "log.refused").await;
    let mut task = log.task(&house.engine, &commitment, index, 0);
    if let Task::Cosign { checkpoint, .. } = &mut task {
        *checkpoint = checkpoint.replacen(&log_origin(CONSORTIUM), &log_origin("south"), 1);
    }
    house.refuses("h-0", task.clone(), &[], "log.refused").await;
    if let Task::Cosign { checkpoint, .. } = &mut task {
        *checkpoint = "not a note".to_owned();
    }
    house.refuses("h-0", task, &[], "log.refused").await;
    nothing_cosigned(&house);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_witness_still_refuses_a_fork() {
    let (mut house, commitment) = ready().await;
    let mut log = Log::default();
    let index = log.append(&commitment.digest());
    cosigns(&house, &log, log.task(&house.engine, &commitment, index, 0)).await;
    house.reopen("h-0");
    let mut fork = Log::default();
    fork.append(&Digest::of(b"another beginning"));
    let index = fork.append(&commitment.digest());
    house.refuses("h-0", fork.task(&house.engine, &commitment, index, 1), &[], "log.refused").await;
}
