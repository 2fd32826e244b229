//! Attestations at the engine: submitted, followed, and brought back with the log's proof.

use tokio_stream::StreamExt;

use super::{Calls, Session, status, unreadable};
use crate::attestation::AttestationError;
use crate::attestation::documents::{DOCUMENT_BYTES_MAX, Registry, RegistryFile};
use crate::attestation::publication::{self, Publication};
use crate::attestation::published::{PublishedIssuers, VerifiedPublished};
use crate::clock::now_ms;
use crate::encoding::{Digest, canonical_json};
use crate::grpc::MESSAGE_BYTES_MAX;
use crate::grpc::frames::{PIECE_BYTES, pieces};
use crate::grpc::v1::attestations_client::AttestationsClient;
use crate::grpc::v1::{self, submit_attestations_request, verdicts_frame};
use crate::identity::{PublicKey, Role};
use crate::ledger::TlogProof;
use crate::problem::Problem;

/// What the engine says of a submission, checked as far as it can be.
pub struct Verdicts {
    /// The consortium whose log it is.
    pub consortium: String,
    /// The key under which its log is signed.
    pub log_key: PublicKey,
    /// What became of each, in order. The proofs hold.
    pub verdicts: Vec<v1::Verdict>,
}

impl Session {
    fn attestations(&self) -> AttestationsClient<Calls> {
        AttestationsClient::with_interceptor(self.channel.clone(), self.bearer.clone())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }

    /// By what the engine verifies.
    ///
    /// # Errors
    /// The engine's.
    pub async fn attestation_terms(&self) -> Result<v1::AttestationTermsResponse, Problem> {
        let asked = self.attestations().terms(v1::AttestationTermsRequest {}).await;
        Ok(asked.map_err(status)?.into_inner())
    }

    /// Submits attestations, and the requests that they must answer.
    ///
    /// # Errors
    /// The engine's.
    pub async fn submit_attestations(
        &self,
        items: Vec<Vec<u8>>,
        requests: Vec<Vec<u8>>,
        time_limit_ms: u64,
    ) -> Result<v1::Job, Problem> {
        use submit_attestations_request::Part;
        let count = u32::try_from(items.len()).unwrap_or(u32::MAX);
        let header = Part::Header(v1::AttestationsHeader { items: count, requests, time_limit_ms });
        let (sender, frames) = tokio::sync::mpsc::channel(16);
        tokio::spawn(async move {
            let chunks = items.iter().flat_map(|item| {
                // An empty file is one empty chunk.
                let count = item.len().div_ceil(PIECE_BYTES).max(1);
                (0..count).map(move |at| {
                    let end = item.len().min((at + 1) * PIECE_BYTES);
                    Part::Chunk(v1::Chunk {
                        data: item[at * PIECE_BYTES..end].to_vec(),
                        last: at + 1 == count,
                    })
                })
            });
            for part in std::iter::once(header).chain(chunks) {
                // The engine has answered, or is gone.
                if sender.send(v1::SubmitAttestationsRequest { part: Some(part) }).await.is_err() {
                    return;
                }
            }
        });
        let stream = tokio_stream::wrappers::ReceiverStream::new(frames);
        let response = self.attestations().submit(stream).await.map_err(status)?.into_inner();
        response.job.ok_or_else(|| unreadable("submission", &"no job in the answer"))
    }

    /// What became of a submission. The signer of the log is certified by the consortium's authority, and every proof
    /// holds, or this is an error.
    ///
    /// # Errors
    /// The engine's; `receipt.not_verified`.
    pub async fn verdicts(&self, job: &str) -> Result<Verdicts, Problem> {
        let request = v1::VerdictsRequest { job: job.to_owned() };
        let mut frames = self.attestations().verdicts(request).await.map_err(status)?.into_inner();
        let mut next = async || {
            let frame = frames.next().await.transpose().map_err(status)?;
            Ok::<_, Problem>(frame.and_then(|frame| frame.part))
        };
        let Some(verdicts_frame::Part::Header(header)) = next().await? else {
            return Err(unreadable("verdicts", &"they do not begin with their header"));
        };
        let now_s = (now_ms() / 1000) as i64;
        let engine =
            self.place.authority.verify(&header.engine_certificate, now_s).map_err(super::not_verified)?;
        if engine.role != Role::Engine || header.consortium != self.place.consortium {
            return Err(super::not_verified("the log is signed by somebody else than the engine"));
        }
        let mut verdicts = Vec::new();
        while let Some(part) = next().await? {
            let verdicts_frame::Part::Verdict(verdict) = part else {
                return Err(unreadable("verdicts", &"a frame is out of place"));
            };
            check(&verdict, &header.consortium, &engine.key)?;
            verdicts.push(verdict);
        }
        if verdicts.len() != header.items as usize {
            return Err(unreadable("verdicts", &"they ended early"));
        }
        Ok(Verdicts { consortium: header.consortium, log_key: engine.key, verdicts })
    }

    /// Publishes an issuer's documents in the log; the statement of them, which holds.
    ///
    /// # Errors
    /// The engine's; `attest.published` when its answer does not show this publication.
    pub async fn publish_issuer(&self, publication: &Publication) -> Result<VerifiedPublished, Problem> {
        let json = canonical_json(publication);
        let frames: Vec<v1::Chunk> =
            pieces(&json).map(|(piece, last)| v1::Chunk { data: piece.to_vec(), last }).collect();
        let sent = self.attestations().publish_issuer(tokio_stream::iter(frames)).await.map_err(status)?;
        let verified = self.published(&sent.into_inner().statement)?;
        let leaf = publication::leaf(&publication.publication);
        match verified.statement().issuers.as_slice() {
            [stated] if stated.leaf == leaf => Ok(verified),
            _ => Err(super::not_verified("the engine's answer is about another publication")),
        }
    }

    fn published(&self, json: &[u8]) -> Result<VerifiedPublished, Problem> {
        let read: PublishedIssuers = serde_json::from_slice(json).map_err(|e| unreadable("statement", &e))?;
        let verified = read.verify(&self.place.authority)?;
        if verified.statement().consortium != self.place.consortium {
            return Err(super::not_verified("the statement is of another consortium"));
        }
        Ok(verified)
    }

    /// What these issuers published last, or all when there is no name. The statement holds.
    ///
    /// # Errors
    /// The engine's; `attest.published`.
    pub async fn published_issuers(&self, names: &[String]) -> Result<VerifiedPublished, Problem> {
        self.published(&self.issuers(names, false).await?)
    }

    /// The registry of these issuers, or of all when there is no name, as they published, with the statement that says so.
    /// Everything in it holds.
    ///
    /// # Errors
    /// The engine's; `attest.*`.
    pub async fn published_registry(
        &self,
        names: &[String],
    ) -> Result<(RegistryFile, Registry, VerifiedPublished), Problem> {
        let file = RegistryFile::from_json(&self.issuers(names, true).await?)?;
        let registry = file.open()?;
        let published = file.published.as_ref().ok_or(AttestationError::PublishedMissing)?;
        let verified = published.verify(&self.place.authority)?;
        verified.check(&registry)?;
        Ok((file, registry, verified))
    }

    async fn issuers(&self, names: &[String], documents: bool) -> Result<Vec<u8>, Problem> {
        let request = v1::IssuersRequest { issuers: names.to_vec(), documents };
        let mut frames = self.attestations().issuers(request).await.map_err(status)?.into_inner();
        let mut json = Vec::new();
        while let Some(chunk) = frames.next().await {
            let chunk = chunk.map_err(status)?;
            if json.len().saturating_add(chunk.data.len()) > DOCUMENT_BYTES_MAX {
                return Err(unreadable("registry", &format!("more than {DOCUMENT_BYTES_MAX} bytes")));
            }
            json.extend_from_slice(&chunk.data);
            if chunk.last {
                return Ok(json);
            }
        }
        Err(unreadable("registry", &"it ended early"))
    }

    /// A job's receipt.
    ///
    /// # Errors
    /// The engine's.
    pub async fn receipt(&self, job: &str) -> Result<Vec<u8>, Problem> {
        let mut service =
            v1::receipts_client::ReceiptsClient::with_interceptor(self.channel.clone(), self.bearer.clone());
        let request = v1::ReceiptRequest { job: job.to_owned() };
        Ok(service.receipt(request).await.map_err(status)?.into_inner().json)
    }
}

/// What is said to be registered is in the log.
fn check(verdict: &v1::Verdict, consortium: &str, key: &PublicKey) -> Result<(), Problem> {
    if verdict.tlog_proof.is_empty() {
        let missing = || super::not_verified("an attestation is registered without a proof of the log");
        return if verdict.registered { Err(missing()) } else { Ok(()) };
    }
    let digest = Digest::from_slice(&verdict.digest).ok_or_else(|| unreadable("verdict", &"no digest"))?;
    let proof = TlogProof::parse(&verdict.tlog_proof).map_err(super::not_verified)?;
    proof.verify(&digest, consortium, key).map_err(super::not_verified)
}
