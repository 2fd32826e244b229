//! What issuers of credentials publish: taken in by the policies, put into the log, and stated to whoever asks.

use super::{Engine, audit_event};
use crate::attestation::AttestationError;
use crate::attestation::documents::{RegistryFile, Signed};
use crate::attestation::publication::{OpenedPublication, Publication};
use crate::attestation::published::{LoggedPublication, PublishedIssuers, PublishedStatement, StatedIssuer};
use crate::clock::now_ms;
use crate::encoding::canonical_json;
use crate::identity::Principal;
use crate::identity::authorize::Resource;
use crate::identity::clip;
use crate::ledger::{Checkpoint, Ledger as _};
use crate::problem::{Problem, ProblemKind};
use crate::store::{IssuerRecord, StoreError, blocking};

/// A clock may be off by this much.
const SKEW_MS: u64 = 300_000;

fn unknown(name: &str) -> Problem {
    let message = format!("no issuer published as {:?}", clip(name));
    Problem::new(ProblemKind::NotFound, "issuer.unknown", message)
        .hint("an issuer publishes with `ward issuer publish --log`")
}

impl Engine {
    /// Takes in a publication (JSON): its word becomes a leaf of the log. The latest one again changes nothing. Returns
    /// the statement of it (JSON).
    ///
    /// # Errors
    /// `issuer.*` and `attest.*` for one that does not hold or does not follow; `authorization.*` for somebody who is
    /// no issuer, or of another organisation than the name's.
    pub async fn publish_issuer(&self, caller: &Principal, json: Vec<u8>) -> Result<Vec<u8>, Problem> {
        let read = move || Publication::from_json(&json).and_then(|it| Ok((it.open()?, it)));
        let read = tokio::task::spawn_blocking(read).await.map_err(|e| Problem::internal(&e))?;
        let (opened, publication) = read?;
        let name = opened.word.issuer.clone();
        let (own, wanted) = (caller.organisation.clone().unwrap_or_default(), name.clone());
        let latest = blocking(&self.store, move |s| s.issuer_publication(&wanted)).await?;
        let organisation = latest.as_ref().map_or(own, |latest| latest.organisation.clone());
        let attributes = serde_json::json!({ "name": name, "organisation": organisation });
        self.authorize(caller, "issuer.publish", Resource::new("Issuer", &name, attributes)).await?;
        self.check_publication(&opened, latest.as_ref()).await?;
        if latest.is_none_or(|latest| latest.leaf != opened.leaf) {
            self.keep_publication(caller, (&opened, &publication), organisation).await?;
        }
        Ok(canonical_json(&self.published(&[name]).await?.0))
    }

    async fn check_publication(
        &self,
        opened: &OpenedPublication,
        latest: Option<&IssuerRecord>,
    ) -> Result<(), Problem> {
        let refused = |message: &str| Problem::new(ProblemKind::Validation, "issuer.publication", message);
        if opened.word.consortium != self.consortium {
            return Err(refused("the publication is for another consortium's log"));
        }
        if opened.word.issued_unix_ms > now_ms().saturating_add(SKEW_MS) {
            return Err(refused("the publication is from the future").hint("check this machine's clock"));
        }
        let Some(latest) = latest.filter(|latest| latest.leaf != opened.leaf) else { return Ok(()) };
        let earlier = self.kept_publication(latest).await?.open().map_err(|e| Problem::internal(&e))?;
        Ok(opened.check_after(&earlier)?)
    }

    async fn kept_publication(&self, record: &IssuerRecord) -> Result<Publication, Problem> {
        let json = self.read_blob(record.body).await?;
        Publication::from_json(&json).map_err(|e| Problem::internal(&e))
    }

    async fn keep_publication(
        &self,
        caller: &Principal,
        (opened, publication): (&OpenedPublication, &Publication),
        organisation: String,
    ) -> Result<(), Problem> {
        let word = canonical_json(&publication.publication);
        let record = IssuerRecord {
            issuer: opened.word.issuer.clone(),
            sequence: opened.word.sequence,
            organisation,
            publisher: caller.name.clone(),
            identity: opened.issuer.identity,
            leaf: opened.leaf,
            leaf_index: 0,
            word: String::from_utf8(word).map_err(|e| Problem::internal(&e))?,
            body: self.write_blob(canonical_json(publication)).await?,
            at_ms: now_ms(),
        };
        let subject = format!("issuer:{}", record.issuer);
        let mut audit = audit_event(&caller.name, &caller.role_text(), "issuer.publish", &subject);
        let revoked = opened.revocations.revoked.len();
        audit.detail =
            format!("publication {}, {revoked} revoked, root {}", record.sequence, opened.word.root);
        let kept = blocking(&self.store, move |s| s.publish_issuer(&record, &audit)).await;
        match kept {
            Ok(_) => Ok(()),
            Err(StoreError::Conflict { id, reason, .. }) => {
                Err(AttestationError::Succession { issuer: clip(&id), reason }.into())
            }
            Err(other) => Err(other.into()),
        }
    }

    /// The latest publications of these issuers, or of all when there is no name, by name.
    async fn latest_publications(&self, names: &[String]) -> Result<Vec<IssuerRecord>, Problem> {
        let records = blocking(&self.store, |s| s.issuer_publications()).await?;
        if let Some(missing) = names.iter().find(|name| records.iter().all(|r| r.issuer != **name)) {
            return Err(unknown(missing));
        }
        Ok(records.into_iter().filter(|r| names.is_empty() || names.contains(&r.issuer)).collect())
    }

    async fn published(&self, names: &[String]) -> Result<(PublishedIssuers, Vec<IssuerRecord>), Problem> {
        let records = self.latest_publications(names).await?;
        // After the rows: every leaf of theirs is in the tree.
        let checkpoint = tokio::task::block_in_place(|| self.ledger.checkpoint())?;
        let size = Checkpoint::parse(checkpoint.text())?.head.size;
        let mut publications = Vec::with_capacity(records.len());
        for record in &records {
            let index = record.leaf_index;
            let proof = tokio::task::block_in_place(|| self.ledger.inclusion(index, size))?;
            let publication: Signed =
                serde_json::from_str(&record.word).map_err(|e| Problem::internal(&e))?;
            publications.push(LoggedPublication { publication, leaf_index: index, inclusion_proof: proof });
        }
        let stated = |record: &IssuerRecord| StatedIssuer {
            name: record.issuer.clone(),
            organisation: record.organisation.clone(),
            sequence: record.sequence,
            leaf: record.leaf,
        };
        let statement = PublishedStatement {
            ward_published_issuers: 1,
            consortium: self.consortium.clone(),
            at_unix_ms: now_ms(),
            size,
            issuers: records.iter().map(stated).collect(),
        };
        let signed = (&checkpoint, self.certificate.as_slice());
        Ok((PublishedIssuers::new(&statement, signed, publications, &self.identity), records))
    }

    /// What these issuers published, or all when there is no name: the statement (JSON), or with `documents` a registry
    /// that carries it.
    ///
    /// # Errors
    /// `issuer.unknown`, storage.
    pub async fn published_issuers(&self, names: &[String], documents: bool) -> Result<Vec<u8>, Problem> {
        if documents {
            return Ok(canonical_json(&self.published_registry(names).await?));
        }
        Ok(canonical_json(&self.published(names).await?.0))
    }

    /// The registry of these issuers as they published, with the statement.
    ///
    /// # Errors
    /// `issuer.unknown`, storage.
    pub async fn published_registry(&self, names: &[String]) -> Result<RegistryFile, Problem> {
        let (published, records) = self.published(names).await?;
        let mut file = RegistryFile::new(Vec::new(), Vec::new());
        for record in &records {
            let publication = self.kept_publication(record).await?;
            file.issuers.push(publication.issuer);
            file.revocations.push(publication.revocations);
        }
        file.published = Some(published);
        Ok(file)
    }
}
