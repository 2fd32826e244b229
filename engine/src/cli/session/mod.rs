//! The researcher's session: an enrolled member, a channel to the engine, and the key that results are switched to.

mod attestations;
pub mod login;
mod recombine;
mod reconstruct;
mod setup;
mod studies;

use std::path::{Path, PathBuf};

use tokio_stream::StreamExt;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use ward_math::Secret;
use ward_protocols::he::{self, Parameters, ReceiverSecret};
use zeroize::Zeroizing;

pub use self::attestations::Verdicts;
use self::login::{Bearer, Login};
use self::recombine::Recombination;
use self::reconstruct::Reconstruction;
pub use self::setup::{Bench, Turn};
use crate::clock::now_ms;
use crate::encoding::{Digest, HexBytes, canonical_json, separated};
use crate::grpc::MESSAGE_BYTES_MAX;
use crate::grpc::frames::{Assembly, pieces};
use crate::grpc::status::problem_of;
use crate::grpc::v1::catalogue_client::CatalogueClient;
use crate::grpc::v1::identity_client::IdentityClient;
use crate::grpc::v1::jobs_client::JobsClient;
use crate::grpc::v1::parties_client::PartiesClient;
use crate::grpc::v1::{self, put_key_request, result_frame, submit_request};
use crate::grpc::{client, frames::FrameError};
use crate::identity::envelope::EnvelopeSecret;
use crate::identity::{CaCertificate, SealContext, SealKey, random};
use crate::ledger::{Commitment, Quorum, Receipt, TrustAnchors, VerifiedReceipt};
use crate::member::{Membership, create_private, write_private};
use crate::party::aggregate::{REQUEST, layout_of};
use crate::party::ceremony::parameters;
use crate::party::connect::Proxy;
use crate::party::task::{ContributionHeader, Evidence, Request};
use crate::problem::{Problem, ProblemKind};
use crate::query::answer::Answer;
use crate::query::catalogue::Catalogue;
use crate::query::plan::{Asked, Participation, Plan};
use crate::study::StudyRef;

const SEED_PLACE: SealContext<'static> = SealContext { table: "receiver", row: "self", column: "seed" };
/// Largest result read, bytes.
const RESULT_BYTES_MAX: u64 = 1 << 30;
/// Largest plan read, bytes.
const PLAN_BYTES_MAX: u64 = 64 << 20;

/// A channel whose calls carry the token of whoever logged in.
type Calls = InterceptedService<Channel, Bearer>;

/// A consortium, as this folder knows it.
pub struct Place {
    /// Its name.
    pub consortium: String,
    /// Its authority.
    pub authority: CaCertificate,
    /// The folder.
    pub folder: PathBuf,
    seal: SealKey,
}

/// An open session: of an enrolled member by certificate, or of somebody who logged in by token.
pub struct Session {
    /// The consortium.
    pub place: Place,
    /// The certified key of this folder: enrolled, or registered when a researcher logged in.
    pub member: Option<Membership>,
    channel: Channel,
    bearer: Bearer,
}

/// A result that was decrypted and whose receipt holds.
pub struct Opened {
    /// The statistics.
    pub answer: Answer,
    /// The verified receipt.
    pub receipt: VerifiedReceipt,
    /// Its file.
    pub receipt_json: Vec<u8>,
    /// What crossed the network, and how long it took.
    pub cost: v1::Cost,
}

fn status(status: tonic::Status) -> Problem {
    problem_of(&status)
}

/// The member's folder.
///
/// # Errors
/// When neither an option nor the environment says where it is.
pub fn home(option: Option<&Path>) -> Result<PathBuf, Problem> {
    if let Some(path) = option {
        return Ok(path.to_owned());
    }
    let base = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    let base = base.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".config")));
    base.map(|base| base.join("ward")).ok_or_else(|| {
        Problem::new(ProblemKind::Validation, "member.home", "no home folder")
            .hint("say where with --home DIR")
    })
}

/// The key that seals a person's files.
///
/// # Errors
/// When the file cannot be read or made.
pub fn person_seal(home: &Path) -> Result<SealKey, Problem> {
    SealKey::load_or_create(&home.join("seal.key"))
        .map_err(|e| Problem::new(ProblemKind::Validation, "keys.seal", e.to_string()))
}

impl Session {
    /// Opens a session of the member in `home`.
    ///
    /// # Errors
    /// When nobody has enrolled there, or the engine cannot be reached.
    pub async fn open(home: &Path, proxy: Option<Proxy>) -> Result<Self, Problem> {
        let Some(login) = Login::load(home)? else {
            let member = Membership::load(home, person_seal(home)?)?;
            let channel = client::connect(&member.target(proxy)?).await?;
            let member = member.renewed_if_due(&channel).await?;
            let (consortium, authority) = (member.consortium.clone(), member.authority.clone());
            let place = Place { consortium, authority, folder: home.to_owned(), seal: person_seal(home)? };
            return Ok(Self { place, member: Some(member), channel, bearer: Bearer::default() });
        };
        let login = login.fresh(home, proxy.clone()).await?;
        let member = Membership::load(home, person_seal(home)?).ok();
        let member = member.filter(|member| member.member.name == login.name);
        let target = match &member {
            Some(member) if login.shows_certificate => member.target(proxy.clone())?,
            _ => login.target(home, proxy.clone())?,
        };
        let channel = client::connect(&target).await?;
        let place = Place {
            consortium: login.consortium.clone(),
            authority: login.authority(home)?,
            folder: home.to_owned(),
            seal: person_seal(home)?,
        };
        Ok(Self { place, member, channel, bearer: Bearer::of(login, home, proxy)? })
    }

    /// The certified key: it signs queries.
    fn signer(&self) -> Result<&Membership, Problem> {
        self.member.as_ref().ok_or_else(|| {
            let message = "no key of this folder is certified for queries";
            Problem::new(ProblemKind::Authorization, "login.no_key", message)
                .hint("researchers get one with `ward login`, or with `ward enrol`")
        })
    }

    /// Who the engine takes this session for.
    ///
    /// # Errors
    /// The engine's.
    pub async fn whoami(&self) -> Result<v1::WhoAmIResponse, Problem> {
        let mut service = IdentityClient::with_interceptor(self.channel.clone(), self.bearer.clone());
        Ok(service.who_am_i(v1::WhoAmIRequest {}).await.map_err(status)?.into_inner())
    }

    /// The jobs service.
    #[must_use]
    pub fn jobs(&self) -> JobsClient<Calls> {
        JobsClient::with_interceptor(self.channel.clone(), self.bearer.clone())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }

    /// The hospitals.
    ///
    /// # Errors
    /// The engine's.
    pub async fn parties(&self) -> Result<Vec<v1::PartyStatus>, Problem> {
        let mut service = PartiesClient::with_interceptor(self.channel.clone(), self.bearer.clone());
        Ok(service.list(v1::ListPartiesRequest {}).await.map_err(status)?.into_inner().parties)
    }

    /// The catalogue, and the key epoch in force.
    ///
    /// # Errors
    /// The engine's.
    pub async fn catalogue(&self) -> Result<(Catalogue, Option<v1::Epoch>), Problem> {
        let mut service = CatalogueClient::with_interceptor(self.channel.clone(), self.bearer.clone());
        let response = service.get(v1::GetCatalogueRequest {}).await.map_err(status)?.into_inner();
        let catalogue = serde_json::from_slice(&response.json).map_err(|e| unreadable("catalogue", &e))?;
        Ok((catalogue, response.epoch))
    }

    fn receiver(&self, params: &Parameters) -> Result<ReceiverSecret, Problem> {
        Ok(ReceiverSecret::from_seed(params, &self.seed()?))
    }

    /// The key to which results of computations on shares are sealed.
    fn envelope(&self) -> Result<EnvelopeSecret, Problem> {
        let seed = separated("receiver-envelope/1", &[self.seed()?.expose()]);
        Ok(EnvelopeSecret::from_seed(&Secret::new(seed.0)))
    }

    fn seed(&self) -> Result<Secret<[u8; 32]>, Problem> {
        let path = self.place.folder.join("receiver.key");
        let bad = |e: &dyn std::fmt::Display| {
            Problem::new(ProblemKind::Validation, "keys.receiver", format!("{}: {e}", path.display()))
        };
        if !path.exists() {
            let seed = Zeroizing::new(random::<32>().map_err(|e| bad(&e))?.to_vec());
            create_private(&path, &self.place.seal.seal(SEED_PLACE, &seed).map_err(|e| bad(&e))?)?;
        }
        let sealed = std::fs::read(&path).map_err(|e| bad(&e))?;
        let seed = self.place.seal.open(SEED_PLACE, &sealed).map_err(|e| bad(&e))?;
        let seed: [u8; 32] = seed.as_slice().try_into().map_err(|_| bad(&"not a seed of 32 bytes"))?;
        Ok(Secret::new(seed))
    }

    /// Signs and submits a query.
    ///
    /// # Errors
    /// The engine's, or the planner's.
    pub async fn submit(
        &self,
        sql: &str,
        asked: impl Into<Asked>,
        time_limit_s: u64,
    ) -> Result<v1::Job, Problem> {
        self.submit_in(None, sql, (asked.into(), time_limit_s)).await
    }

    /// The same in a study.
    ///
    /// # Errors
    /// The engine's, or the planner's.
    pub async fn submit_in(
        &self,
        study: Option<StudyRef>,
        sql: &str,
        (asked, time_limit_s): (Asked, u64),
    ) -> Result<v1::Job, Problem> {
        let Asked { participation, route, purpose, .. } = asked;
        let signer = self.signer()?;
        let (_, epoch) = self.catalogue().await?;
        let epoch = epoch.ok_or_else(|| {
            Problem::new(ProblemKind::Unavailable, "epoch.none", "the hospitals have no collective key yet")
                .hint("an operator starts the key ceremony with `ward keygen`")
        })?;
        let params = parameters(&epoch.profile, epoch.holders.len())?;
        let key = self.receiver(&params)?.public_key(&params).encode(&params);
        self.put_key(&epoch.profile, &key).await?;
        let now = now_ms();
        let request = Request {
            version: 1,
            consortium: self.place.consortium.clone(),
            researcher: signer.member.name.clone(),
            sql: sql.to_owned(),
            participants_min: match participation {
                Participation::All => 0,
                Participation::AtLeast(least) => least,
            },
            route,
            purpose,
            seal_key: HexBytes(self.envelope()?.public()),
            epoch: Digest::parse(&epoch.id).ok_or_else(|| unreadable("epoch", &"not a digest"))?,
            receiver_key: Digest::of(&key),
            nonce: HexBytes(random::<16>().map_err(|e| Problem::internal(&e))?.to_vec()),
            study,
            signed_unix_ms: now,
            expires_unix_ms: now.saturating_add(time_limit_s.saturating_mul(1000)),
        };
        let request = canonical_json(&request);
        let signature = signer.identity.sign(REQUEST, &[&request]);
        let signature = v1::Signature { signer: signer.member.name.clone(), signature: signature.0.to_vec() };
        let aggregate = v1::Aggregate { request: request.clone(), signature: Some(signature) };
        let job = self.send(submit_request::Job::Aggregate(aggregate)).await?;
        write_private(&self.job_file(&job.id, "request.json"), &request)?;
        Ok(job)
    }

    /// Submits a key ceremony.
    ///
    /// # Errors
    /// The engine's.
    pub async fn keygen(&self, ceremony: v1::Ceremony) -> Result<v1::Job, Problem> {
        self.send(submit_request::Job::Ceremony(ceremony)).await
    }

    async fn send(&self, job: submit_request::Job) -> Result<v1::Job, Problem> {
        let request = v1::SubmitRequest { job: Some(job) };
        let response = self.jobs().submit(request).await.map_err(status)?.into_inner();
        response.job.ok_or_else(|| unreadable("submission", &"no job in the answer"))
    }

    async fn put_key(&self, profile: &str, key: &[u8]) -> Result<(), Problem> {
        let header = v1::KeyHeader {
            profile: profile.to_owned(),
            sha256: Digest::of(key).0.to_vec(),
            bytes: key.len() as u64,
        };
        let mut frames = vec![v1::PutKeyRequest { part: Some(put_key_request::Part::Header(header)) }];
        frames.extend(pieces(key).map(|(piece, last)| {
            let chunk = v1::Chunk { data: piece.to_vec(), last };
            v1::PutKeyRequest { part: Some(put_key_request::Part::Chunk(chunk)) }
        }));
        self.jobs().put_key(tokio_stream::iter(frames)).await.map_err(status)?;
        Ok(())
    }

    fn job_file(&self, job: &str, name: &str) -> PathBuf {
        self.place.folder.join("jobs").join(job).join(name)
    }

    /// Fetches a result, verifies its receipt, decrypts it, and finishes the statistics.
    ///
    /// # Errors
    /// The engine's; `receipt.*` when the receipt does not hold or is of another result.
    pub async fn result(&self, job: &str) -> Result<Opened, Problem> {
        let request = v1::ResultRequest { id: job.to_owned() };
        let mut frames = self.jobs().result(request).await.map_err(status)?.into_inner();
        let header = match frames.next().await.transpose().map_err(status)?.and_then(|f| f.part) {
            Some(result_frame::Part::Header(header)) => header,
            _ => return Err(unreadable("result", &"it does not begin with its header")),
        };
        let receipt = Receipt::from_json(&header.receipt).map_err(not_verified)?;
        let trust = TrustAnchors::Authority(self.place.authority.clone());
        let verified = receipt.verify(&trust, Quorum::Participants).map_err(not_verified)?;
        let commitment = verified.commitment().clone();
        let plan = body(&mut frames, header.plan_bytes, PLAN_BYTES_MAX).await?;
        let evidence = body(&mut frames, header.evidence_bytes, PLAN_BYTES_MAX).await?;
        let contributions = body(&mut frames, header.contributions_bytes, RESULT_BYTES_MAX).await?;
        let shares = body(&mut frames, header.shares_bytes, RESULT_BYTES_MAX).await?;
        let plan: Plan = serde_json::from_slice(&plan).map_err(|e| unreadable("plan", &e))?;
        let wrong = |what: &str| not_verified(format!("the receipt is of another {what}"));
        if commitment.job_id != job || commitment.consortium != self.place.consortium {
            return Err(wrong("job"));
        }
        if Digest(plan.digest()) != commitment.plan_digest {
            return Err(wrong("plan"));
        }
        if commitment.researcher != self.signer()?.identity.public().digest() {
            return Err(wrong("researcher"));
        }
        if let Ok(request) = std::fs::read(self.job_file(job, "request.json"))
            && Digest::of(&request) != commitment.request_digest
        {
            return Err(wrong("request"));
        }
        let evidence: Evidence = serde_json::from_slice(&evidence).map_err(|e| unreadable("evidence", &e))?;
        let answer = self.open_result(&plan, &commitment, (&evidence, &contributions, &shares))?;
        write_private(&self.job_file(job, "receipt.json"), &header.receipt)?;
        let cost = header.cost.unwrap_or_default();
        Ok(Opened { answer, receipt: verified, receipt_json: header.receipt, cost })
    }

    fn open_result(
        &self,
        plan: &Plan,
        commitment: &Commitment,
        (evidence, contributions, shares): (&Evidence, &[u8], &[u8]),
    ) -> Result<Answer, Problem> {
        if let Some(on_shares) = &plan.multi_party {
            let made = Reconstruction { plan, on_shares, commitment, authority: &self.place.authority };
            let opened = made.result(evidence, shares, &self.envelope()?)?;
            return Ok(crate::query::finish_shares(plan, &opened, &commitment.participants)?);
        }
        let params = parameters(&plan.protocol.profile, plan.protocol.key_holders.len())?;
        let made = Recombination { params: &params, plan, commitment, authority: &self.place.authority };
        let ciphertexts = made.result(evidence, contributions, shares)?;
        let broken = |e: ward_protocols::Error| {
            Problem::new(
                ProblemKind::Internal,
                "result.unreadable",
                format!("the result does not decrypt: {e}"),
            )
        };
        let plaintexts = he::decrypt(&params, &self.receiver(&params)?, &ciphertexts).map_err(broken)?;
        let layout = layout_of(&params, plan).map_err(broken)?;
        let slots = layout.unpack(&plaintexts).map_err(broken)?;
        check_proved((plan, &slots), commitment, evidence)?;
        Ok(crate::query::finish(plan, &slots, &commitment.participants)?)
    }
}

/// Checks that the receipt's proofs are of this plan and those that the hospitals signed, and that what they committed to
/// adds up to what was decrypted.
fn check_proved(
    (plan, slots): (&Plan, &[i128]),
    commitment: &Commitment,
    evidence: &Evidence,
) -> Result<(), Problem> {
    let Some(proofs) = &commitment.proofs else {
        return match plan.proved {
            None => Ok(()),
            Some(_) => Err(not_verified("the receipt is without the proofs that were asked for")),
        };
    };
    let signed =
        |header: &ContributionHeader| header.proof.as_ref() == proofs.contributions.get(&header.hospital);
    if plan.proved.as_ref() != Some(&proofs.of) || !evidence.contributions.iter().all(signed) {
        return Err(not_verified("the receipt has other proofs than the hospitals signed"));
    }
    proofs.open(plan, slots).map_err(not_verified)
}

/// A receipt that does not hold; exit code 9.
pub fn not_verified(error: impl std::fmt::Display) -> Problem {
    Problem::new(ProblemKind::Authorization, "receipt.not_verified", error.to_string())
        .hint("do not use this answer; keep the file and tell the consortium")
}

fn unreadable(what: &str, error: &dyn std::fmt::Display) -> Problem {
    Problem::new(
        ProblemKind::Internal,
        "engine.answer",
        format!("the engine's {what} does not parse: {error}"),
    )
}

async fn body(
    frames: &mut tonic::Streaming<v1::ResultFrame>,
    bytes: u64,
    bytes_max: u64,
) -> Result<Vec<u8>, Problem> {
    if bytes == 0 {
        return Ok(Vec::new());
    }
    let broken = |e: FrameError| unreadable("result", &e);
    let mut assembly = Assembly::unchecked(bytes, bytes_max).map_err(broken)?;
    while let Some(frame) = frames.next().await {
        let Some(result_frame::Part::Chunk(chunk)) = frame.map_err(status)?.part else {
            return Err(unreadable("result", &"a frame is out of place"));
        };
        if let Some(whole) = assembly.push(&chunk.data, chunk.last).map_err(broken)? {
            return Ok(whole);
        }
    }
    Err(unreadable("result", &"it ended early"))
}
