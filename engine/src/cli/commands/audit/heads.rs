//! Holding a chain against the heads of it that the transparency log has.

use std::collections::BTreeMap;
use std::path::Path;

use super::text::Logged;
use super::{Opened, usage};
use crate::audit::{AuditError, Sealed};
use crate::identity::{CaCertificate, Digest, PublicKey};
use crate::job::heads::ENGINE;
use crate::ledger::{AuditCheckpoint, LoggedHead, ReceiptError};
use crate::problem::{Problem, ProblemKind};

/// What a person names beside what is kept.
#[derive(Clone, Copy)]
pub(super) struct Against<'a> {
    pub(super) checkpoint: Option<&'a Path>,
    pub(super) authority: Option<&'a Path>,
}

fn refused(error: &ReceiptError) -> Problem {
    Problem::new(
        ProblemKind::Compliance,
        "receipt.not_verified",
        format!("the checkpoint is refused: {error}"),
    )
    .hint("get it again from whoever kept it: `ward audit checkpoint` prints the newest")
}

fn kept(opened: &Opened, of: Option<&str>) -> Result<Option<String>, Problem> {
    let found = match opened {
        Opened::Party(node) => node.store().audit_head(of.unwrap_or(node.name()))?,
        Opened::Engine { store, .. } => store.audit_head(of.unwrap_or(ENGINE))?,
        Opened::Export(_) => None,
    };
    Ok(found.map(|(_, json)| json))
}

fn parse(json: &[u8]) -> Result<AuditCheckpoint, Problem> {
    AuditCheckpoint::from_json(json).map_err(|e| refused(&e))
}

/// The newest checkpoint of a chain that is kept here.
pub(super) fn newest(opened: &Opened, of: Option<&str>) -> Result<AuditCheckpoint, Problem> {
    let found = kept(opened, of)?.ok_or_else(|| {
        Problem::new(ProblemKind::NotFound, "audit.checkpoint", "no head of that chain is in the log yet")
            .hint("heads are logged every ten minutes while node and engine run, and when they stop")
    })?;
    parse(found.as_bytes())
}

fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    std::fs::read(path)
        .map_err(|e| Problem::new(ProblemKind::NotFound, "audit.file", format!("{}: {e}", path.display())))
}

fn authority(opened: &Opened, named: Option<&Path>) -> Result<CaCertificate, Problem> {
    match (opened, named) {
        (Opened::Party(node), None) => Ok(node.membership().authority.clone()),
        (Opened::Engine { authority, .. }, None) => Ok(authority.clone()),
        (Opened::Export(_), None) => {
            Err(usage("audit.authority", "a checkpoint verifies against the consortium's authority")
                .hint("give its certificate with --authority ca.pem"))
        }
        (_, Some(path)) => {
            let pem = String::from_utf8(read(path)?);
            let pem = pem.map_err(|_| usage("audit.authority", "the authority is no PEM file"))?;
            CaCertificate::from_pem(&pem).map_err(|e| usage("audit.authority", e.to_string()))
        }
    }
}

/// The heads that the chain must continue: the newest kept beside it, and the one named.
pub(super) fn logged(opened: &Opened, against: Against<'_>) -> Result<Vec<LoggedHead>, Problem> {
    let mut checkpoints = Vec::new();
    if let Some(json) = kept(opened, None)? {
        checkpoints.push(parse(json.as_bytes())?);
    }
    if let Some(path) = against.checkpoint {
        checkpoints.push(parse(&read(path)?)?);
    }
    if checkpoints.is_empty() {
        return Ok(Vec::new());
    }
    let authority = authority(opened, against.authority)?;
    checkpoints.iter().map(|c| c.verify(&authority).map_err(|e| refused(&e))).collect()
}

/// The hashes of the events that heads are of.
pub(super) struct Hashes(BTreeMap<u64, Option<Digest>>);

impl Hashes {
    pub(super) fn of(heads: &[LoggedHead]) -> Self {
        Self(heads.iter().map(|logged| (logged.head().count, None)).collect())
    }

    pub(super) fn see(&mut self, sealed: &Result<Sealed, AuditError>) {
        if let Ok(sealed) = sealed
            && let Some(hash) = self.0.get_mut(&sealed.seq)
        {
            *hash = Some(sealed.hash);
        }
    }

    /// Checks that a verified chain continues every head.
    pub(super) fn check(
        &self,
        heads: &[LoggedHead],
        key: &PublicKey,
        count: u64,
    ) -> Result<Vec<Logged>, Problem> {
        let of = |logged: &LoggedHead| {
            let head = logged.head();
            logged.check(key, count, self.0.get(&head.count).copied().flatten()).map_err(|e| {
                Problem::new(ProblemKind::Compliance, "receipt.not_verified", e.to_string())
                    .hint("keep this copy, restore the newest backup, and tell the consortium")
            })?;
            let (leaf, tree) = logged.position();
            Ok(Logged { events: head.count, leaf, tree, at_ms: head.at_ms })
        };
        heads.iter().map(of).collect()
    }
}
