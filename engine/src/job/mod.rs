//! Jobs: what the engine does between a signed request and a receipt. It evaluates on ciphertexts; it names no secret
//! key, no key share and no row.

pub mod aggregate;
pub mod attestation;
pub mod authorize;
pub mod ceremony;
pub mod commit;
pub mod heads;
pub mod issuers;
pub mod multiparty;
pub mod nodes;
pub mod protocol;
pub mod revocation;
pub mod scheduler;
pub mod setup;
pub mod studies;
pub mod submit;
pub mod view;
pub mod work;

mod key_shares;

use std::sync::Arc;

use tokio::sync::{Mutex, Notify};

use crate::audit::Event;
use crate::clock::now_ms;
use crate::config::{AttestationsConfig, StudiesConfig};
use crate::encoding::canonical_json;
use crate::identity::authenticate::Authenticator;
use crate::identity::authorize::Authorizer;
use crate::identity::{CertificateAuthority, Identity, PublicKey};
use crate::ledger::EmbeddedLedger;
use crate::party::task::{CeremonySpec, Epoch};
use crate::problem::{Problem, ProblemKind};
use crate::proofs::ContributionVerifier;
use crate::query::catalogue::{Catalogue, Publication};
use crate::setup::statements::Known;
use crate::store::{self, BlobId, Blobs, EpochState, MemberRecord, Store, blocking};
use authorize::Strangers;
use nodes::Nodes;

/// Largest blob read whole, bytes.
const BODY_BYTES_MAX: u64 = 4 << 30;

/// The engine: everything its workers and services share.
pub struct Engine {
    /// The consortium.
    pub consortium: String,
    /// Its floor k.
    pub floor: u32,
    /// Whether it has all counts rounded.
    pub rounding: bool,
    /// Its compute nodes, in the order of their roles; empty: the first three key holders.
    pub compute: Vec<String>,
    /// State.
    pub store: Arc<dyn Store>,
    /// Ciphertexts and other large values.
    pub blobs: Arc<Blobs>,
    /// What verifies proofs of contributions.
    pub proofs: Option<Arc<ContributionVerifier>>,
    /// Attestations that it registers.
    pub attestations: Option<AttestationsConfig>,
    /// The chain to which attestations made for its registry go.
    #[cfg(feature = "evm")]
    pub chain: Option<crate::ledger::evm::EvmConfig>,
    /// What ceremonies can make keys for.
    pub statements: Vec<Known>,
    /// Whether queries belong to studies.
    pub studies: StudiesConfig,
    /// The hospitals' nodes.
    pub nodes: Arc<dyn Nodes>,
    /// The engine's key: it signs the log and the audit chain.
    pub identity: Arc<Identity>,
    /// The engine's certificate, DER.
    pub certificate: Vec<u8>,
    /// The consortium's authority.
    pub authority: Arc<CertificateAuthority>,
    /// Who a token is of.
    pub authenticator: Authenticator,
    /// The transparency log.
    pub ledger: EmbeddedLedger,
    /// Notified when there is a new job.
    pub wake: Notify,
    /// Notified when a job makes progress.
    pub progress: Notify,
    /// Held while a checkpoint is being cosigned.
    pub commit_turn: Mutex<()>,
    /// Who may do what.
    pub policies: Authorizer,
    /// Refusals of those who have shown nothing.
    pub strangers: Strangers,
}

impl Engine {
    /// The authority's certificate, DER.
    #[must_use]
    pub fn authority_der(&self) -> &[u8] {
        self.authority.certificate().der()
    }

    /// An enrolled member that is not revoked.
    ///
    /// # Errors
    /// `member.unknown`, or storage.
    pub async fn member(&self, name: &str) -> Result<MemberRecord, Problem> {
        let wanted = name.to_owned();
        let found = blocking(&self.store, move |s| s.member(&wanted)).await?;
        found.filter(|member| member.revoked_ms.is_none()).ok_or_else(|| {
            Problem::new(ProblemKind::NotFound, "member.unknown", format!("nobody is enrolled as {name}"))
        })
    }

    /// A member's key.
    ///
    /// # Errors
    /// As [`Self::member`].
    pub async fn member_key(&self, name: &str) -> Result<PublicKey, Problem> {
        Ok(self.member(name).await?.key)
    }

    /// A member's certificate, DER.
    ///
    /// # Errors
    /// As [`Self::member`].
    pub async fn member_certificate(&self, name: &str) -> Result<Vec<u8>, Problem> {
        Ok(self.member(name).await?.certificate)
    }

    /// Reads a blob whole.
    ///
    /// # Errors
    /// Storage; a blob whose bytes are not those of its name.
    pub async fn read_blob(&self, id: BlobId) -> Result<Vec<u8>, Problem> {
        let blobs = self.blobs.clone();
        let read = tokio::task::spawn_blocking(move || blobs.get(&id, BODY_BYTES_MAX)).await;
        Ok(read.map_err(|e| Problem::internal(&e))??)
    }

    /// Writes a blob.
    ///
    /// # Errors
    /// Storage.
    pub async fn write_blob(&self, bytes: Vec<u8>) -> Result<BlobId, Problem> {
        let blobs = self.blobs.clone();
        let written = tokio::task::spawn_blocking(move || blobs.put(&bytes)).await;
        Ok(written.map_err(|e| Problem::internal(&e))??)
    }

    /// What the hospitals publish, merged.
    ///
    /// # Errors
    /// Storage.
    pub async fn catalogue(&self) -> Result<Catalogue, Problem> {
        let records = blocking(&self.store, |s| s.publications()).await?;
        let mut catalogue = Catalogue {
            consortium: self.consortium.clone(),
            floor: self.floor,
            rounding: self.rounding,
            hospitals: std::collections::BTreeMap::new(),
            compute: self.compute.clone(),
        };
        for record in records {
            let publication: Publication =
                serde_json::from_str(&record.json).map_err(|e| Problem::internal(&e))?;
            catalogue.hospitals.insert(record.hospital, publication);
        }
        Ok(catalogue)
    }

    /// The key epoch in force.
    ///
    /// # Errors
    /// `epoch.none` before the first ceremony, or storage.
    pub async fn epoch(&self) -> Result<Epoch, Problem> {
        let record = blocking(&self.store, |s| s.active_epoch()).await?.ok_or_else(|| {
            Problem::new(ProblemKind::Unavailable, "epoch.none", "the hospitals have no collective key yet")
                .hint("an operator starts the key ceremony with `ward keygen`")
        })?;
        serde_json::from_str(&record.params).map_err(|e| Problem::internal(&e))
    }

    /// Puts an epoch in force.
    ///
    /// # Errors
    /// Storage.
    pub async fn activate(&self, epoch: &Epoch, spec: &CeremonySpec) -> Result<(), Problem> {
        let id = epoch.id.to_string();
        let known = id.clone();
        if blocking(&self.store, move |s| s.epoch(&known))
            .await?
            .is_some_and(|e| e.state != EpochState::Ceremony)
        {
            return Ok(());
        }
        let transcript = self.write_blob(canonical_json(spec)).await?;
        let text = String::from_utf8(canonical_json(epoch)).map_err(|e| Problem::internal(&e))?;
        let mut record = store::Epoch {
            id: id.clone(),
            params: text,
            participants: epoch.holders.clone(),
            threshold: epoch.threshold,
            public_key: None,
            transcript: Some(transcript),
            state: EpochState::Ceremony,
            at_ms: now_ms(),
        };
        let audit = audit_event("scheduler", "engine", "epoch.activate", &format!("epoch:{id}"));
        blocking(&self.store, move |s| {
            if s.epoch(&record.id)?.is_none() {
                s.add_epoch(&record, &audit)?;
            }
            record.state = EpochState::Active;
            s.update_epoch(EpochState::Ceremony, &record, &audit)
        })
        .await?;
        Ok(())
    }
}

/// An event of the audit chain, of now.
#[must_use]
pub fn audit_event(actor: &str, role: &str, action: &str, subject: &str) -> Event {
    Event::new(actor, role, action, subject)
}
