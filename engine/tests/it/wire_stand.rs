//! An engine in this process on a loopback port, and members that are enrolled over the wire. Hospitals are honest
//! nodes behind a twist: what the twist makes of an honest answer is what the engine gets.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use ward_engine::encoding::{Digest, canonical_json};
use ward_engine::grpc::client::{self, Target};
use ward_engine::grpc::frames::{Assembly, BODY_BYTES_MAX, pieces};
use ward_engine::grpc::status::problem_of;
use ward_engine::grpc::v1::jobs_client::JobsClient;
use ward_engine::grpc::v1::parties_client::PartiesClient;
use ward_engine::grpc::v1::{self, engine_frame, node_frame, reply, submit_request};
use ward_engine::host::{self, EngineFolder};
use ward_engine::identity::{Role, SealKey};
use ward_engine::member::Membership;
use ward_engine::party::node::Node;
use ward_engine::party::task::{Outcome, Task};
use ward_engine::problem::Problem;
use ward_engine::setup::statements::Known;
use ward_engine::store::JobId;

use crate::node_house::{CONSORTIUM, FLOOR, PROFILE, hospital_config};

/// Every wait ends here.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What a hostile hospital sends in place of an honest answer.
#[expect(clippy::large_enum_variant, reason = "a few at a time, in tests")]
pub enum Answer {
    /// This outcome with this body, well framed.
    Say(Outcome, Vec<u8>),
    /// These frames, as they are.
    Frames(Vec<node_frame::Frame>),
    /// Nothing.
    Silence,
    /// These frames, and the stream ends.
    HangUp(Vec<node_frame::Frame>),
}

/// Makes the answer sent out of the honest one; the number is the task's.
pub type Twist = Arc<dyn Fn(u64, &Task, Outcome, Vec<u8>) -> Answer + Send + Sync>;

/// The twist that is none.
pub fn honest() -> Twist {
    Arc::new(|_, _, outcome, body| Answer::Say(outcome, body))
}

/// An engine with hospitals `h-0`, `h-1`, ..., researchers `ada` and `bob`, and the operator `omar`.
pub struct Stand {
    pub dir: tempfile::TempDir,
    pub url: String,
    pub folder: EngineFolder,
    pub hospitals: Vec<Arc<Node>>,
    pub ada: Membership,
    pub bob: Membership,
    pub omar: Membership,
    statements: Vec<Known>,
    stop: watch::Sender<bool>,
    running: tokio::task::JoinHandle<Result<(), Problem>>,
}

/// A seal for a folder.
pub fn seal(folder: &Path) -> SealKey {
    SealKey::load_or_create(&folder.join("seal.key")).unwrap()
}

impl Stand {
    /// Starts the engine, enrols everybody; no node runs yet.
    pub async fn start(hospitals: usize) -> Self {
        Self::start_for(hospitals, ward_engine::setup::statements::all()).await
    }

    /// The same, for ceremonies of these statements.
    pub async fn start_for(hospitals: usize, statements: Vec<Known>) -> Self {
        Self::configured(hospitals, statements, ("", "")).await
    }

    /// The same; more of the hospitals' configuration, and the engine's.
    async fn configured(hospitals: usize, statements: Vec<Known>, (party, engine): (&str, &str)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("engine");
        host::init(&data, CONSORTIUM, &["127.0.0.1".to_owned()], (FLOOR, false)).unwrap();
        std::fs::write(data.join("engine.toml"), engine).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let (stop, stopped) = watch::channel(false);
        let folder = EngineFolder::open(&data).unwrap();
        let known = statements.clone();
        let running = tokio::spawn(async move { host::run_for(&data, listener, stopped, known).await });
        let person = async |role, name: &str| {
            let home = dir.path().join(name);
            let token = folder.token(role, name, &url, 1).unwrap().to_text();
            Membership::enrol(&token, &[role], &home, (seal(&home), None)).await.unwrap()
        };
        let ada = person(Role::Researcher, "ada").await;
        let bob = person(Role::Researcher, "bob").await;
        let omar = person(Role::Operator, "omar").await;
        let mut nodes = Vec::new();
        for i in 0..hospitals {
            let name = format!("h-{i}");
            let config = hospital_config(&dir.path().join(&name), i as i64, party);
            let token = folder.token(Role::Hospital, &name, &url, 1).unwrap().to_text();
            let keys = (seal(&config.data_dir), None);
            Membership::enrol(&token, &[Role::Hospital], &config.data_dir, keys).await.unwrap();
            nodes.push(Arc::new(Node::open(config).unwrap()));
        }
        Self { dir, url, folder, hospitals: nodes, ada, bob, omar, statements, stop, running }
    }

    /// Ends the engine and starts it again on the same folder and port.
    pub async fn restart(&mut self) {
        // A second end is no worse.
        let _ = self.stop.send(true);
        (&mut self.running).await.unwrap().unwrap();
        let address = self.url.trim_start_matches("https://").to_owned();
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let (stop, stopped) = watch::channel(false);
        let (data, known) = (self.dir.path().join("engine"), self.statements.clone());
        self.stop = stop;
        self.running = tokio::spawn(async move { host::run_for(&data, listener, stopped, known).await });
    }

    /// An engine whose hospitals hold a key; the last one answers queries through the twist.
    pub async fn with_key(hospitals: usize, threshold: u32, twist: Twist) -> Self {
        Self::start(hospitals).await.keyed(threshold, twist).await
    }

    /// The same; hospitals prove sums of age, by arm, with a key in this folder.
    pub async fn with_proofs(hospitals: usize, key: &Path, twist: Twist) -> Self {
        let proofs = format!("[proofs]\nkey = {key:?}\ndevelopment_key = true\n");
        let party = format!("{proofs}[[table.proof]]\ncolumns = [\"arm\"]\nvalue = \"age\"\n");
        let stand = Self::configured(hospitals, Vec::new(), (&party, &proofs)).await;
        stand.keyed(hospitals as u32, twist).await
    }

    async fn keyed(self, threshold: u32, twist: Twist) -> Self {
        let hospitals = self.hospitals.len();
        let stand = self;
        for (i, node) in stand.hospitals.iter().enumerate() {
            let last = i + 1 == hospitals;
            let twist = if last { twist.clone() } else { honest() };
            tokio::spawn(run_node(node.clone(), twist));
        }
        stand.until_connected(hospitals).await;
        let ceremony = v1::Ceremony {
            profile: PROFILE.to_owned(),
            holders: Vec::new(),
            threshold,
            time_limit_ms: 30_000,
        };
        let job = stand.submit(&stand.omar, submit_request::Job::Ceremony(ceremony)).await.unwrap();
        let ended = stand.ended(&stand.omar, &job.id).await;
        assert_eq!(ended.state(), v1::JobState::Done, "{ended:?}");
        stand
    }

    /// Waits until so many nodes are connected.
    pub async fn until_connected(&self, nodes: usize) {
        let begin = std::time::Instant::now();
        loop {
            let mut service = PartiesClient::new(self.channel(&self.omar).await);
            let parties = service.list(v1::ListPartiesRequest {}).await.unwrap().into_inner().parties;
            if parties.iter().filter(|party| party.connected).count() == nodes {
                return;
            }
            assert!(begin.elapsed() < PATIENCE, "{parties:?}");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// A channel as a member.
    pub async fn channel(&self, member: &Membership) -> Channel {
        client::connect(&member.target(None).unwrap()).await.unwrap()
    }

    /// The jobs service as a member.
    pub async fn jobs(&self, member: &Membership) -> JobsClient<Channel> {
        JobsClient::new(self.channel(member).await)
    }

    /// Submits as a member.
    pub async fn submit(&self, member: &Membership, job: submit_request::Job) -> Result<v1::Job, Problem> {
        let request = v1::SubmitRequest { job: Some(job) };
        let response = self.jobs(member).await.submit(request).await.map_err(|s| problem_of(&s))?;
        Ok(response.into_inner().job.unwrap())
    }

    /// A job as a member sees it.
    pub async fn job(&self, member: &Membership, id: &str) -> Result<v1::Job, Problem> {
        let request = v1::GetJobRequest { id: id.to_owned() };
        let response = self.jobs(member).await.get(request).await.map_err(|s| problem_of(&s))?;
        Ok(response.into_inner())
    }

    /// Waits until a job has ended.
    pub async fn ended(&self, member: &Membership, id: &str) -> v1::Job {
        let begin = std::time::Instant::now();
        loop {
            let job = self.job(member, id).await.unwrap();
            if matches!(
                job.state(),
                v1::JobState::Done | v1::JobState::Failed | v1::JobState::Refused | v1::JobState::Cancelled
            ) {
                return job;
            }
            assert!(begin.elapsed() < PATIENCE, "{job:?}");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// True when the engine holds a result or a receipt of the job, or tells of one.
    pub async fn released(&self, member: &Membership, id: &str) -> bool {
        let parts = self.folder.store().parts(&JobId::parse(id).unwrap()).unwrap();
        let kept = parts.iter().any(|part| part.step == "receipt");
        let request = v1::ResultRequest { id: id.to_owned() };
        kept || self.jobs(member).await.result(request).await.is_ok()
    }

    /// The names of the steps that the engine keeps of a party's work in a job.
    pub fn parts(&self, id: &str, party: &str) -> Vec<String> {
        let parts = self.folder.store().parts(&JobId::parse(id).unwrap()).unwrap();
        parts.into_iter().filter(|part| part.party == party).map(|part| part.step).collect()
    }

    /// A folder of its own for a new member.
    pub fn home(&self, name: &str) -> PathBuf {
        self.dir.path().join("homes").join(name)
    }
}

/// The publication of a node, as it is sent.
pub async fn publication_of(node: &Arc<Node>) -> v1::Publication {
    let (json, signature) = node.publication().await.unwrap();
    let name = node.name().to_owned();
    v1::Publication {
        hospital: name.clone(),
        json,
        signature: Some(v1::Signature { signer: name, signature }),
    }
}

/// Hello, as an honest node says it.
pub async fn hello_of(node: &Arc<Node>) -> node_frame::Frame {
    let publication = Some(publication_of(node).await);
    node_frame::Frame::Hello(v1::Hello { version: 1, software: "test".to_owned(), publication, mesh: None })
}

/// The frames of a reply.
pub fn frames_of(number: u64, outcome: &Outcome, body: &[u8]) -> Vec<node_frame::Frame> {
    let mut frames = vec![node_frame::Frame::Reply(v1::Reply {
        task: number,
        result: Some(reply::Result::Outcome(canonical_json(outcome))),
        body_bytes: body.len() as u64,
        body_sha256: if body.is_empty() { Vec::new() } else { Digest::of(body).0.to_vec() },
    })];
    frames.extend(
        pieces(body).map(|(piece, last)| {
            node_frame::Frame::Body(v1::Body { task: number, data: piece.to_vec(), last })
        }),
    );
    frames
}

/// An open stream that the test writes frame by frame.
pub struct Stream {
    outgoing: mpsc::Sender<v1::NodeFrame>,
    incoming: tonic::Streaming<v1::EngineFrame>,
}

impl Stream {
    /// Attaches with this as the first frame.
    pub async fn attach(target: &Target, first: Option<node_frame::Frame>) -> Result<Self, Problem> {
        let channel = client::connect(target).await?;
        let (outgoing, frames) = mpsc::channel(16);
        match first {
            Some(first) => outgoing.send(v1::NodeFrame { frame: Some(first) }).await.unwrap(),
            None => outgoing.send(v1::NodeFrame { frame: None }).await.unwrap(),
        }
        let incoming = PartiesClient::new(channel)
            .attach(ReceiverStream::new(frames))
            .await
            .map_err(|status| problem_of(&status))?
            .into_inner();
        Ok(Self { outgoing, incoming })
    }

    /// Sends a frame; false when the stream is gone.
    pub async fn send(&self, frame: node_frame::Frame) -> bool {
        self.outgoing.send(v1::NodeFrame { frame: Some(frame) }).await.is_ok()
    }

    /// The next frame, or none when the engine has ended the stream.
    pub async fn next(&mut self) -> Option<engine_frame::Frame> {
        let frame = tokio::time::timeout(PATIENCE, self.incoming.next()).await.unwrap();
        frame.and_then(Result::ok).and_then(|frame| frame.frame)
    }

    /// Reads until the engine ends the stream.
    pub async fn until_ended(mut self) {
        while self.next().await.is_some() {}
    }
}

/// Keeps a node attached, its answers twisted.
pub async fn run_node(node: Arc<Node>, twist: Twist) {
    loop {
        let target = node.membership().target(None).unwrap();
        let hello = hello_of(&node).await;
        if let Ok(stream) = Stream::attach(&target, Some(hello)).await {
            serve(&node, stream, &twist).await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn serve(node: &Arc<Node>, mut stream: Stream, twist: &Twist) {
    let mut open: Vec<(u64, Task, Assembly)> = Vec::new();
    while let Some(Ok(frame)) = stream.incoming.next().await {
        let task = match frame.frame {
            Some(engine_frame::Frame::Welcome(welcome)) => {
                let certificate = welcome.certificate.unwrap().der;
                node.welcome(welcome.floor, &welcome.consortium, &certificate).unwrap();
                continue;
            }
            Some(engine_frame::Frame::Task(header)) => {
                let task: Task = serde_json::from_slice(&header.task).unwrap();
                if header.body_bytes > 0 {
                    let digest = Digest::from_slice(&header.body_sha256).unwrap();
                    let assembly = Assembly::new(header.body_bytes, digest, BODY_BYTES_MAX).unwrap();
                    open.push((header.number, task, assembly));
                    continue;
                }
                (header.number, task, Vec::new())
            }
            Some(engine_frame::Frame::Body(piece)) => {
                let at = open.iter().position(|(number, _, _)| *number == piece.task).unwrap();
                let Some(body) = open[at].2.push(&piece.data, piece.last).unwrap() else { continue };
                let (number, task, _) = open.remove(at);
                (number, task, body)
            }
            _ => continue,
        };
        if !reply_to(node, &stream, task, twist).await {
            return;
        }
    }
}

/// Answers a task; false when the stream is over.
async fn reply_to(
    node: &Arc<Node>,
    stream: &Stream,
    (number, task, body): (u64, Task, Vec<u8>),
    twist: &Twist,
) -> bool {
    let (frames, stay) = match node.handle(task.clone(), body).await {
        Ok((outcome, body)) => match twist(number, &task, outcome, body) {
            Answer::Say(outcome, body) => (frames_of(number, &outcome, &body), true),
            Answer::Frames(frames) => (frames, true),
            Answer::Silence => (Vec::new(), true),
            Answer::HangUp(frames) => (frames, false),
        },
        Err(problem) => {
            let refusal = v1::Refusal {
                kind: problem.kind.name().to_owned(),
                code: problem.code,
                message: problem.message,
                hint: problem.hint,
                retryable: problem.retryable,
            };
            let result = Some(reply::Result::Refusal(refusal));
            (vec![node_frame::Frame::Reply(v1::Reply { task: number, result, ..v1::Reply::default() })], true)
        }
    };
    for frame in frames {
        if !stream.send(frame).await {
            return false;
        }
    }
    stay
}
