//! Hospitals' nodes in this process, with no engine: the test is the engine, and as hostile as it likes. It even holds
//! the consortium's authority.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use ward_engine::clock::{Clock, now_ms};
use ward_engine::encoding::{Digest, HexBytes, canonical_json};
use ward_engine::identity::{CertificateAuthority, Identity, Role, SealContext, SealKey};
use ward_engine::job::submit::plan;
use ward_engine::party::aggregate::{REQUEST, participation};
use ward_engine::party::ceremony::parameters;
use ward_engine::party::local::config::PartyConfig;
use ward_engine::party::node::Node;
use ward_engine::party::task::{
    CeremonySpec, ContributionHeader, Epoch, Outcome, Prepare, Request, SignedStep, StepPayload, Task,
};
use ward_engine::problem::Problem;
use ward_engine::query::ast::Route;
use ward_engine::query::catalogue::{Catalogue, Publication};
use ward_protocols::he::{Parameters, ReceiverSecret};

/// The consortium of every test.
pub const CONSORTIUM: &str = "north";
/// The profile of every test.
pub const PROFILE: &str = "default-8192";
/// The consortium's floor.
pub const FLOOR: u32 = 5;

/// What a task gave.
pub type Given = Result<(Outcome, Vec<u8>), Problem>;

/// A hospital's configuration in `dir`, over 40 generated patients of whom 3 are in the rare group.
pub fn hospital_config(dir: &Path, shift: i64, policy: &str) -> PartyConfig {
    let mut rows = String::from("pid,age,arm\n");
    for i in 0..40_i64 {
        let arm = if i < 3 { 2 } else { i % 2 };
        rows.push_str(&format!("{i},{},{arm}\n", 40 + (i * 7 + shift) % 30));
    }
    std::fs::create_dir_all(dir).unwrap();
    std::fs::write(dir.join("rows.csv"), rows).unwrap();
    let text = format!(
        "[party]\ndata_dir = \"state\"\n\
         [[table]]\nname = \"labs\"\nsource = {{ csv = \"rows.csv\" }}\npatient = \"pid\"\ndata_class = \"labs\"\nrows_max = 1000\n\
         [[table.column]]\nname = \"age\"\nkind = \"integer\"\nmin = 0\nmax = 120\n\
         [[table.column]]\nname = \"arm\"\nkind = \"integer\"\nmin = 0\nmax = 2\n\
         [policy]\n{policy}\n"
    );
    PartyConfig::from_text(&text, &dir.join("party.toml")).unwrap()
}

/// Writes a member's folder as enrolment does.
pub fn write_member(folder: &Path, authority: &CertificateAuthority, role: Role, name: &str) -> Identity {
    let identity = Identity::generate().unwrap();
    let der = authority.issue(&identity.public(), role, name, now_ms() / 1000, 30).unwrap().der;
    let seal = SealKey::load_or_create(&folder.join("seal.key")).unwrap();
    let place = SealContext { table: "member", row: "self", column: "identity" };
    let sealed = seal.seal(place, identity.to_pem().unwrap().as_bytes()).unwrap();
    let saved = json!({
        "engine_url": "https://127.0.0.1:1",
        "consortium": CONSORTIUM,
        "role": role,
        "name": name,
        "certificate": hex::encode(&der),
        "authority": hex::encode(authority.certificate().der()),
        "sealed_key": hex::encode(sealed),
    });
    ward_engine::member::write_private(&folder.join("member.json"), saved.to_string().as_bytes()).unwrap();
    identity
}

/// Hospitals, and everything the engine has.
pub struct House {
    pub authority: CertificateAuthority,
    /// The engine's key: it signs the log.
    pub engine: Identity,
    pub names: Vec<String>,
    pub nodes: BTreeMap<String, Arc<Node>>,
    /// The hospitals' keys, for a hospital that is hostile as well.
    pub keys: BTreeMap<String, Identity>,
    configs: BTreeMap<String, PartyConfig>,
    /// The time at every node that is opened from now on; the machine's where it is none.
    pub clock: Option<Clock>,
    pub researcher: Identity,
    pub researcher_certificate: Vec<u8>,
    pub dir: tempfile::TempDir,
}

/// A signed query, as a hostile engine holds it.
pub struct Asked {
    pub request: Request,
    pub prepare: Prepare,
    pub receiver: Vec<u8>,
    pub secret: ReceiverSecret,
    pub params: Parameters,
}

/// One hospital's contribution.
#[derive(Clone)]
pub struct Gift {
    pub header: ContributionHeader,
    pub c0: Vec<u8>,
    pub c1: Vec<u8>,
}

impl House {
    /// Hospitals `h-0`, `h-1`, ...
    pub fn new(hospitals: usize) -> Self {
        Self::with_policy(hospitals, "")
    }

    /// The same under a policy.
    pub fn with_policy(hospitals: usize, policy: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let now_s = now_ms() / 1000;
        let authority = CertificateAuthority::create(CONSORTIUM, now_s).unwrap();
        let engine = Identity::generate().unwrap();
        let researcher = Identity::generate().unwrap();
        let researcher_certificate =
            authority.issue(&researcher.public(), Role::Researcher, "ada", now_s, 30).unwrap().der;
        let names: Vec<String> = (0..hospitals).map(|i| format!("h-{i}")).collect();
        let mut house = Self {
            authority,
            engine,
            nodes: BTreeMap::new(),
            keys: BTreeMap::new(),
            configs: BTreeMap::new(),
            clock: None,
            researcher,
            researcher_certificate,
            dir,
            names: names.clone(),
        };
        for (i, name) in names.iter().enumerate() {
            let config = hospital_config(&house.dir.path().join(name), i as i64, policy);
            let key = write_member(&config.data_dir, &house.authority, Role::Hospital, name);
            house.keys.insert(name.clone(), key);
            house.configs.insert(name.clone(), config);
            house.reopen(name);
        }
        house
    }

    /// Closes a node, if it runs, and opens it again from its folder.
    pub fn reopen(&mut self, name: &str) {
        drop(self.nodes.remove(name));
        let node = Node::open(self.configs[name].clone()).unwrap();
        let node = match &self.clock {
            Some(clock) => node.with_clock(clock.clone()),
            None => node,
        };
        let node = Arc::new(node);
        node.welcome(FLOOR, CONSORTIUM, &self.engine_certificate(&self.engine)).unwrap();
        self.nodes.insert(name.to_owned(), node);
    }

    /// A certificate of an engine's key.
    pub fn engine_certificate(&self, key: &Identity) -> Vec<u8> {
        let hosts = ["127.0.0.1".to_owned()];
        self.authority.server_certificate(&key.public(), "engine", &hosts, now_ms() / 1000, 60).unwrap().der
    }

    /// A hospital's certificate as it was enrolled.
    pub fn certificate(&self, name: &str) -> Vec<u8> {
        self.nodes[name].certificate().to_vec()
    }

    /// Sends a task.
    pub async fn send(&self, name: &str, task: Task, body: &[u8]) -> Given {
        self.nodes[name].handle(task, body.to_vec()).await
    }

    /// Sends a task that must be refused with that code.
    pub async fn refuses(&self, name: &str, task: Task, body: &[u8], code: &str) -> Problem {
        match self.send(name, task, body).await {
            Ok((outcome, _)) => panic!("{name} must refuse with {code}, it gave {outcome:?}"),
            Err(problem) => {
                assert_eq!(problem.code, code, "{problem}");
                problem
            }
        }
    }

    /// The specification of a ceremony among all hospitals.
    pub fn spec(&self, id: &str, threshold: u32) -> CeremonySpec {
        CeremonySpec {
            id: id.to_owned(),
            consortium: CONSORTIUM.to_owned(),
            profile: PROFILE.to_owned(),
            holders: self.names.clone(),
            certificates: self.names.iter().map(|n| HexBytes(self.certificate(n))).collect(),
            threshold,
        }
    }

    /// One round of a ceremony at every hospital.
    pub async fn round(&self, task: &Task) -> Vec<(SignedStep, Vec<u8>)> {
        let mut steps = Vec::new();
        for name in &self.names {
            match self.send(name, task.clone(), &[]).await.unwrap() {
                (Outcome::Step { step }, body) => steps.push((step, body)),
                (other, _) => panic!("{other:?}"),
            }
        }
        steps
    }

    /// The rounds commit, open, digest and reveal, each through all hospitals.
    pub async fn rounds(&self, spec: &CeremonySpec) -> [Vec<(SignedStep, Vec<u8>)>; 4] {
        let ceremony = spec.id.clone();
        let commits = self.round(&Task::KeyCommit { spec: spec.clone() }).await;
        let task = Task::KeyOpen { ceremony: ceremony.clone(), commitments: only_steps(&commits) };
        let opens = self.round(&task).await;
        let task = Task::KeyDigest { ceremony: ceremony.clone(), openings: only_steps(&opens) };
        let digests = self.round(&task).await;
        let task = Task::KeyReveal { ceremony, digests: only_steps(&digests) };
        let reveals = self.round(&task).await;
        [commits, opens, digests, reveals]
    }

    /// A whole ceremony; every hospital arrives at the same epoch.
    pub async fn ceremony(&self, id: &str, threshold: u32) -> Epoch {
        let spec = self.spec(id, threshold);
        let [_, _, _, reveals] = self.rounds(&spec).await;
        let mut epochs = Vec::new();
        for name in &self.names {
            let task = Task::KeyFinish { ceremony: id.to_owned(), reveals: only_steps(&reveals) };
            match self.send(name, task, &finish_body(name, &reveals)).await.unwrap() {
                (Outcome::KeyFinished { epoch, .. }, _) => epochs.push(epoch),
                (other, _) => panic!("{other:?}"),
            }
        }
        assert!(epochs.windows(2).all(|pair| pair[0] == pair[1]), "{epochs:?}");
        epochs.swap_remove(0)
    }

    /// What the hospitals publish, merged.
    pub async fn catalogue(&self) -> Catalogue {
        let mut hospitals = BTreeMap::new();
        for name in &self.names {
            let (json, _) = self.nodes[name].publication().await.unwrap();
            let publication: Publication = serde_json::from_slice(&json).unwrap();
            hospitals.insert(name.clone(), publication);
        }
        Catalogue {
            consortium: CONSORTIUM.to_owned(),
            floor: FLOOR,
            rounding: false,
            hospitals,
            compute: vec![],
        }
    }

    /// A query that ada has signed, under the honest catalogue.
    pub async fn ask(&self, job: &str, sql: &str, minimum: u32, epoch: &Epoch) -> Asked {
        let catalogue = self.catalogue().await;
        self.ask_under(job, (sql, minimum), &catalogue, epoch)
    }

    /// A query that ada has signed, under a catalogue of the engine's choice.
    pub fn ask_under(
        &self,
        job: &str,
        (sql, minimum): (&str, u32),
        catalogue: &Catalogue,
        epoch: &Epoch,
    ) -> Asked {
        let params = parameters(&epoch.profile, epoch.holders.len()).unwrap();
        let seed: [u8; 32] = ward_engine::identity::random().unwrap();
        let secret = ReceiverSecret::from_seed(&params, &ward_math::Secret::new(seed));
        let receiver = secret.public_key(&params).encode(&params);
        let request = Request {
            version: 1,
            consortium: CONSORTIUM.to_owned(),
            researcher: "ada".to_owned(),
            sql: sql.to_owned(),
            participants_min: minimum,
            epoch: epoch.id,
            receiver_key: Digest::of(&receiver),
            route: Route::Auto,
            purpose: None,
            seal_key: HexBytes::default(),
            nonce: HexBytes(ward_engine::identity::random::<16>().unwrap().to_vec()),
            study: None,
            signed_unix_ms: now_ms(),
            expires_unix_ms: now_ms() + 600_000,
        };
        let plan = plan(sql, participation(minimum), catalogue, epoch).unwrap();
        let text = String::from_utf8(canonical_json(&request)).unwrap();
        let prepare = Prepare {
            job: job.to_owned(),
            signature: self.signed(&text),
            request: text,
            certificate: HexBytes(self.researcher_certificate.clone()),
            catalogue: String::from_utf8(canonical_json(catalogue)).unwrap(),
            plan: Digest(plan.digest()),
            epoch: epoch.clone(),
        };
        Asked { request, prepare, receiver, secret, params }
    }

    /// Ada's signature over a request.
    pub fn signed(&self, request: &str) -> HexBytes {
        HexBytes(self.researcher.sign(REQUEST, &[request.as_bytes()]).0.to_vec())
    }

    /// Ada signs this request in place of the one asked.
    pub fn resign(&self, asked: &mut Asked) {
        asked.prepare.request = String::from_utf8(canonical_json(&asked.request)).unwrap();
        asked.prepare.signature = self.signed(&asked.prepare.request);
    }

    /// Every hospital takes the job in.
    pub async fn prepare(&self, asked: &Asked) {
        for name in &self.names {
            let (outcome, _) = self.send(name, prepare_task(asked), &asked.receiver).await.unwrap();
            assert_eq!(outcome, Outcome::Prepared { pending: false });
        }
    }

    /// A hospital's contribution.
    pub async fn contribution(&self, name: &str, job: &str) -> Gift {
        match self.send(name, Task::Contribute { job: job.to_owned() }, &[]).await.unwrap() {
            (Outcome::Contributed { contribution: header }, body) => {
                let (c0, c1) = body.split_at(header.c0_bytes as usize);
                Gift { c0: c0.to_vec(), c1: c1.to_vec(), header }
            }
            (other, _) => panic!("{other:?}"),
        }
    }

    /// All contributions to a job that every hospital has taken in.
    pub async fn contributions(&self, job: &str) -> Vec<Gift> {
        let mut gifts = Vec::new();
        for name in &self.names {
            gifts.push(self.contribution(name, job).await);
        }
        gifts
    }

    /// A job up to the contributions. A release takes as many key holders as the query takes hospitals.
    pub async fn until_sum(&self, job: &str, sql: &str, minimum: u32) -> (Asked, Vec<Gift>) {
        let threshold = if minimum == 0 { self.names.len() as u32 } else { minimum };
        let epoch = self.ceremony(&format!("ceremony-of-{job}"), threshold).await;
        let asked = self.ask(job, sql, minimum, &epoch).await;
        self.prepare(&asked).await;
        let gifts = self.contributions(job).await;
        (asked, gifts)
    }

    /// A value of a cell of a hospital's store: what was drawn once, or nothing.
    pub fn kept(&self, name: &str, kind: &str, key: &str) -> Option<Vec<u8>> {
        self.nodes[name].store().recall(kind, key).unwrap().map(|bytes| bytes.to_vec())
    }

    /// How many shares a hospital has given: each is audited before it is drawn.
    pub fn shares_given(&self, name: &str) -> usize {
        let events = ward_engine::store::audit_chain(&**self.nodes[name].store());
        events.filter(|event| event.as_ref().unwrap().event().unwrap().action == "share.give").count()
    }
}

/// The task that brings a job.
pub fn prepare_task(asked: &Asked) -> Task {
    Task::Prepare(Box::new(asked.prepare.clone()))
}

/// The steps of a round without their bodies.
pub fn only_steps(round: &[(SignedStep, Vec<u8>)]) -> Vec<SignedStep> {
    round.iter().map(|(step, _)| step.clone()).collect()
}

/// Every share of the public key, then what was sealed for `holder`.
pub fn finish_body(holder: &str, reveals: &[(SignedStep, Vec<u8>)]) -> Vec<u8> {
    let (mut shares, mut dealt) = (Vec::new(), Vec::new());
    for (step, body) in reveals {
        let StepPayload::Reveal { share_bytes, sealed } = &step.payload else { panic!("{step:?}") };
        let (share, mut rest) = body.split_at(*share_bytes as usize);
        shares.extend_from_slice(share);
        for part in sealed {
            let (bytes, tail) = rest.split_at(part.bytes as usize);
            if part.to == holder {
                dealt.extend_from_slice(bytes);
            }
            rest = tail;
        }
    }
    [shares, dealt].concat()
}

/// The first holders, as many as a release takes.
pub fn active(house: &House, asked: &Asked) -> Vec<String> {
    house.names[..asked.prepare.epoch.threshold as usize].to_vec()
}

/// The task that asks for a share, and its body.
pub fn switch_task(job: &str, gifts: &[Gift], active: &[String]) -> (Task, Vec<u8>) {
    let contributions = gifts.iter().map(|gift| gift.header.clone()).collect();
    let body = gifts.iter().flat_map(|gift| gift.c1.clone()).collect();
    (Task::KeySwitch { job: job.to_owned(), contributions, active: active.to_vec() }, body)
}
