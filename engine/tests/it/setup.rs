//! The ceremony of the proof system's keys at an engine: whole, out of turn, tampered with, killed and taken up again.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

use std::path::PathBuf;
use std::time::Duration;

use chacha20::ChaCha20Rng;
use rand_core::SeedableRng as _;
use ward_circuits::ceremony::Contributor;
use ward_circuits::groth16::VerifyingKey;
use ward_engine::cli::session::{Bench, Session, Turn};
use ward_engine::encoding::Digest;
use ward_engine::grpc::v1::receipts_client::ReceiptsClient;
use ward_engine::grpc::v1::setup_client::SetupClient;
use ward_engine::grpc::v1::{self, upload_setup_request};
use ward_engine::ledger::SetupReceipt;
use ward_engine::member::Membership;
use ward_engine::problem::Problem;
use ward_engine::setup::course::Next;
use ward_engine::setup::statements::Known;
use ward_engine::setup::status::SetupStatus;
use ward_engine::setup::steps::{Ceremony, Share};
use ward_engine::store::audit_chain;

use crate::wire_stand::{PATIENCE, Stand, seal};

#[path = "../../src/setup/square.rs"]
mod square;

/// An engine with hospitals and a ceremony of a statement of one constraint.
struct Hall {
    stand: Stand,
    statement: Known,
    job: String,
}

impl Hall {
    async fn open(hospitals: usize, turn_ms: u64, beacon_after_ms: u64) -> Self {
        let statement = square::root_statement();
        let stand = Stand::start_for(hospitals, vec![statement.clone()]).await;
        let operator = session(&stand.omar.folder).await;
        let request = start_request(turn_ms, beacon_after_ms);
        let job = operator.start_setup(request).await.unwrap().id;
        Self { stand, statement, job }
    }

    fn data_dir(&self, hospital: usize) -> PathBuf {
        self.stand.hospitals[hospital].config().data_dir.clone()
    }

    async fn hospital(&self, hospital: usize) -> Session {
        session(&self.data_dir(hospital)).await
    }

    fn folder(&self, hospital: usize) -> PathBuf {
        self.stand.dir.path().join(format!("ceremony-{hospital}"))
    }

    fn bench<'a>(&'a self, folder: &'a std::path::Path) -> Bench<'a> {
        Bench { job: &self.job, folder, statement: &self.statement }
    }

    /// Waits until the ceremony waits for something like that.
    async fn until(&self, wanted: impl Fn(&SetupStatus) -> bool) -> SetupStatus {
        let operator = session(&self.stand.omar.folder).await;
        let begin = std::time::Instant::now();
        loop {
            let status = operator.setup_status(&self.job).await.unwrap();
            if wanted(&status) {
                return status;
            }
            assert!(begin.elapsed() < PATIENCE, "{status:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn until_turn(&self, hospital: usize) -> SetupStatus {
        let name = format!("h-{hospital}");
        self.until(|status| status.turn() == Some(&name)).await
    }

    /// Makes a contribution in the folder, and sends nothing.
    fn make(&self, hospital: usize, phase: u8, seed: u64) {
        let (name, folder) = (format!("h-{hospital}"), self.folder(hospital));
        let ceremony = Ceremony { root: &folder, contributors_min: 1 };
        let rng = &mut ChaCha20Rng::seed_from_u64(seed);
        let share = Share { contributor: Contributor::new(&name, [0; 32]).unwrap(), extra: b"", rng };
        let second = (phase == 2).then_some(&self.statement);
        ceremony.contribute(second, share, &|_, _, _| ()).unwrap();
    }

    /// A whole turn of a hospital.
    async fn contribute(&self, hospital: usize) -> Result<Digest, Problem> {
        let (status, session) = (self.until_turn(hospital).await, self.hospital(hospital).await);
        let folder = self.folder(hospital);
        let bench = self.bench(&folder);
        match session.take_turn(bench, &status).await? {
            Turn::Sent(contributed) => return Ok(contributed.hash),
            Turn::Made => {}
            Turn::Contribute => self.make(hospital, status.phase(), hospital as u64 + 10),
        }
        let hash = session.offer_setup(bench, status.phase()).await?;
        session.settled(&self.job, hash).await?;
        Ok(hash)
    }

    async fn beacon(&self, value: &[u8]) -> Result<SetupStatus, Problem> {
        let request =
            v1::SetupBeaconRequest { job: self.job.clone(), value: value.to_vec(), iterations_log2: 4 };
        session(&self.stand.omar.folder).await.setup_beacon(request).await
    }

    async fn until_beacon(&self) {
        self.until(|status| matches!(status.next, Next::Beacon { .. })).await;
    }
}

fn start_request(turn_ms: u64, beacon_after_ms: u64) -> v1::StartSetupRequest {
    let not_before_unix_ms = ward_engine::clock::now_ms() + beacon_after_ms;
    let beacon = v1::AnnouncedBeacon { source: "a value of the test".to_owned(), not_before_unix_ms };
    v1::StartSetupRequest {
        name: "test".to_owned(),
        statement: "test-square-1".to_owned(),
        size: 3,
        order: Vec::new(),
        at_least: 1,
        turn_ms,
        beacons: vec![beacon.clone(), beacon],
        time_limit_ms: 600_000,
    }
}

async fn session(folder: &std::path::Path) -> Session {
    let member = Membership::load(folder, seal(folder)).unwrap();
    Session::of_member(member, (seal(folder), None)).await.unwrap()
}

fn code<T>(outcome: Result<T, Problem>) -> String {
    let problem = outcome.err().expect("refused");
    assert!(!problem.hint.is_empty(), "{problem}");
    problem.code
}

#[tokio::test(flavor = "multi_thread")]
async fn three_hospitals_make_a_key_that_everybody_gets_from_the_files() {
    let hall = Hall::open(3, 60_000, 0).await;
    let mut hashes = Vec::new();
    for phase in 1..=2u8 {
        for hospital in 0..3 {
            hashes.push(hall.contribute(hospital).await.unwrap());
        }
        hall.until_beacon().await;
        hall.beacon(&[phase; 32]).await.unwrap();
    }
    let ended = hall.stand.ended(&hall.stand.omar, &hall.job).await;
    assert_eq!((ended.state(), ended.kind()), (v1::JobState::Done, v1::JobKind::Setup), "{ended:?}");
    let status = hall.until(|status| !status.key.is_empty()).await;
    let signed: Vec<Digest> = status.phases.iter().flat_map(|p| &p.contributed).map(|c| c.hash).collect();
    assert_eq!(signed, hashes);

    // A researcher fetches all of it, verifies, and makes the same key.
    let (ada, folder) = (session(&hall.stand.ada.folder).await, hall.stand.home("ceremony"));
    ada.fetch_setup(&hall.job, &status.files, &folder).await.unwrap();
    let ceremony = Ceremony { root: &folder, contributors_min: 3 };
    let rng = &mut ChaCha20Rng::seed_from_u64(1);
    let (_, keys) = ceremony.finalise(&hall.statement, &folder.join("own"), rng, &|_, _, _| ()).unwrap();
    assert_eq!(hex::encode(keys.id.0), status.key);
    let fetched = std::fs::read(folder.join("keys/test-square-1.verifying-key")).unwrap();
    assert_eq!(fetched, keys.verifying);
    assert_eq!(hex::encode(VerifyingKey::<square::Root>::from_bytes(&fetched).unwrap().id().0), status.key);

    // The receipt verifies offline, and not when a name in it is another.
    let mut receipts = ReceiptsClient::new(hall.stand.channel(&hall.stand.omar).await);
    let json =
        receipts.receipt(v1::ReceiptRequest { job: hall.job.clone() }).await.unwrap().into_inner().json;
    let receipt = SetupReceipt::from_json(&json).unwrap();
    let authority = &hall.stand.omar.authority;
    assert_eq!(receipt.verify(authority).unwrap().record().key.to_string(), status.key);
    let mut forged = receipt;
    forged.record.phases[1].contributions[0].hospital = "h-9".to_owned();
    assert!(forged.verify(authority).is_err());
    // What the members did is in the audit chain.
    let audited = |action: &str| {
        let chain = audit_chain(hall.stand.folder.store().as_ref());
        chain
            .filter(|sealed| serde_json::to_string(sealed.as_ref().unwrap()).unwrap().contains(action))
            .count()
    };
    assert_eq!((audited("setup.contribute"), audited("setup.beacon")), (6, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_whose_turn_it_is_contributes_and_what_does_not_verify_does_not_count() {
    let hall = Hall::open(2, 60_000, 3_600_000).await;
    let status = hall.until_turn(0).await;
    let south = hall.hospital(1).await;
    let folder = hall.folder(1);
    assert_eq!(code(south.take_turn(hall.bench(&folder), &status).await), "setup.turn");
    // Sent all the same, the engine refuses it; so it does a researcher, and the operator's own.
    let request = |job: &str| v1::SetupArrivedRequest {
        job: job.to_owned(),
        file: Some(v1::SetupFileRef { digest: vec![1; 32], bytes: 10 }),
    };
    for (member, refused) in [
        (Membership::load(&hall.data_dir(1), seal(&hall.data_dir(1))).unwrap(), "setup.turn"),
        (
            Membership::load(&hall.stand.ada.folder, seal(&hall.stand.ada.folder)).unwrap(),
            "authorization.denied",
        ),
    ] {
        let mut client = SetupClient::new(hall.stand.channel(&member).await);
        let status = client.arrived(request(&hall.job)).await.unwrap_err();
        assert_eq!(ward_engine::grpc::status::problem_of(&status).code, refused);
    }

    // Two points of the state change places on the way.
    let (north, folder) = (hall.hospital(0).await, hall.folder(0));
    let bench = hall.bench(&folder);
    assert!(matches!(north.take_turn(bench, &status).await.unwrap(), Turn::Contribute));
    hall.make(0, 1, 3);
    let state = folder.join("phase1/state-0001");
    let mut bytes = std::fs::read(&state).unwrap();
    let (a, b) = (11 + 2 * 96, 11 + 3 * 96);
    let (first, second) = (bytes[a..a + 96].to_vec(), bytes[b..b + 96].to_vec());
    bytes[a..a + 96].copy_from_slice(&second);
    bytes[b..b + 96].copy_from_slice(&first);
    std::fs::write(&state, bytes).unwrap();
    let hash = north.offer_setup(bench, 1).await.unwrap();
    assert_eq!(code(north.settled(&hall.job, hash).await), "setup.not_verified");
    let status = hall.until_turn(0).await;
    assert!(status.phases[0].contributed.is_empty());

    // The hospital draws afresh, and it counts.
    let again = hall.contribute(0).await.unwrap();
    assert_ne!(again, hash);
    hall.contribute(1).await.unwrap();
    hall.until_beacon().await;
    assert_eq!(code(hall.beacon(&[7; 32]).await), "setup.too_early");
    // Cancelled, it takes nothing in.
    let cancel = v1::CancelRequest { id: hall.job.clone() };
    hall.stand.jobs(&hall.stand.omar).await.cancel(cancel).await.unwrap();
    hall.until(|status| status.state == ward_engine::store::JobState::Cancelled).await;
    let member = Membership::load(&hall.data_dir(1), seal(&hall.data_dir(1))).unwrap();
    let mut client = SetupClient::new(hall.stand.channel(&member).await);
    let status = client.arrived(request(&hall.job)).await.unwrap_err();
    assert_eq!(ward_engine::grpc::status::problem_of(&status).code, "setup.ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ceremony_goes_on_after_the_engine_or_a_hospital_was_killed_at_any_point() {
    let mut hall = Hall::open(2, 60_000, 0).await;
    let status = hall.until_turn(0).await;
    let folder = hall.folder(0);
    {
        let north = hall.hospital(0).await;
        assert!(matches!(north.take_turn(hall.bench(&folder), &status).await.unwrap(), Turn::Contribute));
    }
    // Killed before its contribution was written: nothing of it is there, and it is drawn afresh.
    std::fs::write(folder.join("phase1/state-0001.next"), b"half").unwrap();
    {
        let north = hall.hospital(0).await;
        assert!(matches!(north.take_turn(hall.bench(&folder), &status).await.unwrap(), Turn::Contribute));
    }
    // Killed after it was written; then half of a file has arrived when the engine is killed.
    hall.make(0, 1, 5);
    let made = std::fs::read(folder.join("phase1/state-0001")).unwrap();
    let file = v1::SetupFileRef { digest: Digest::of(&made).0.to_vec(), bytes: made.len() as u64 };
    let header = v1::UploadSetupHeader { job: hall.job.clone(), file: Some(file.clone()), offset: 0 };
    let chunk = v1::Chunk { data: made[..100].to_vec(), last: false };
    let frames = [upload_setup_request::Part::Header(header), upload_setup_request::Part::Chunk(chunk)];
    let member = Membership::load(&hall.data_dir(0), seal(&hall.data_dir(0))).unwrap();
    {
        let mut client = SetupClient::new(hall.stand.channel(&member).await);
        let frames = frames.map(|part| v1::UploadSetupRequest { part: Some(part) });
        let arrived = client.upload(tokio_stream::iter(frames)).await.unwrap().into_inner().bytes;
        assert_eq!(arrived, 100);
    }
    hall.stand.restart().await;
    {
        let mut client = SetupClient::new(hall.stand.channel(&member).await);
        let request = v1::SetupArrivedRequest { job: hall.job.clone(), file: Some(file) };
        assert_eq!(client.arrived(request).await.unwrap().into_inner().bytes, 100);
        let north = hall.hospital(0).await;
        let status = hall.until_turn(0).await;
        assert!(matches!(north.take_turn(hall.bench(&folder), &status).await.unwrap(), Turn::Made));
        let hash = north.offer_setup(hall.bench(&folder), 1).await.unwrap();
        north.settled(&hall.job, hash).await.unwrap();
        // Asked again, it knows.
        let status = hall.until_turn(1).await;
        assert!(
            matches!(north.take_turn(hall.bench(&folder), &status).await.unwrap(), Turn::Sent(c) if c.hash == hash)
        );
    }
    hall.stand.restart().await;
    hall.contribute(1).await.unwrap();
    hall.until_beacon().await;
    hall.beacon(&[1; 32]).await.unwrap();
    hall.stand.restart().await;
    hall.contribute(0).await.unwrap();
    hall.contribute(1).await.unwrap();
    hall.until_beacon().await;
    hall.beacon(&[2; 32]).await.unwrap();
    assert_eq!(hall.stand.ended(&hall.stand.omar, &hall.job).await.state(), v1::JobState::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_away_is_passed_over_and_the_ceremony_ends_without_it() {
    let hall = Hall::open(2, 1_000, 0).await;
    for phase in 1..=2u8 {
        // The first is away, twice.
        hall.contribute(1).await.unwrap();
        hall.until_beacon().await;
        let status = hall.beacon(&[phase; 32]).await.unwrap();
        assert_eq!(status.phases[usize::from(phase - 1)].passed, ["h-0", "h-0"]);
    }
    assert_eq!(hall.stand.ended(&hall.stand.omar, &hall.job).await.state(), v1::JobState::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ceremony_that_cannot_be_is_not_started() {
    let hall = Hall::open(1, 60_000, 0).await;
    let operator = session(&hall.stand.omar.folder).await;
    let start = async |change: fn(&mut v1::StartSetupRequest)| {
        let mut request = start_request(60_000, 0);
        change(&mut request);
        code(operator.start_setup(request).await)
    };
    assert_eq!(start(|request| request.statement = "none".to_owned()).await, "setup.statement");
    assert_eq!(start(|request| request.size = 21).await, "setup.size");
    assert_eq!(start(|request| request.size = 1).await, "setup.size");
    assert_eq!(start(|request| request.order = vec!["ada".to_owned()]).await, "member.unknown");
    assert_eq!(start(|request| request.order = vec!["h-0".to_owned(); 2]).await, "setup.order");
    assert_eq!(start(|request| request.at_least = 2).await, "setup.at_least");
    assert_eq!(start(|request| request.turn_ms = 1).await, "setup.turn_length");
    assert_eq!(start(|request| request.name.clear()).await, "setup.name");
    let researcher = session(&hall.stand.ada.folder).await;
    assert_eq!(code(researcher.start_setup(start_request(60_000, 0)).await), "authorization.denied");
}
