//! Keys of patients' records at the node: their rotation, and a patient's erasure.

use std::collections::BTreeMap;

use serde::Serialize;

use super::node::Node;
use crate::audit::Context;
use crate::consent::Pseudonym;
use crate::problem::{Problem, ProblemKind};
use crate::store::Erased;

/// How the key-encryption keys stand.
#[derive(Clone, Debug, Serialize)]
pub struct KeysReport {
    /// The provider.
    pub provider: String,
    /// The version that wraps now.
    pub current: u32,
    /// The version below which nothing is kept.
    pub minimum: u32,
    /// Data keys by the version that they are wrapped under.
    pub data_keys: BTreeMap<u32, u64>,
}

/// What a rotation did.
#[derive(Clone, Debug, Serialize)]
pub struct Rotated {
    /// The version that wraps now.
    pub current: u32,
    /// Data keys that were wrapped anew.
    pub rewrapped: u64,
    /// True when keys were behind the newest version already: they were wrapped under it, and no new one was made.
    pub is_resumed: bool,
    /// True when the versions before were destroyed.
    pub is_retired: bool,
}

/// What an erasure did.
#[derive(Clone, Debug, Serialize)]
pub struct Erasure {
    /// The patient.
    pub patient: Pseudonym,
    /// When it was done, where it had been done before (unix milliseconds).
    pub erased_before_unix_ms: Option<u64>,
    /// The classes whose keys were destroyed now.
    pub classes: Vec<String>,
    /// Consent artefacts deleted.
    pub consents: u64,
    /// Documents deleted.
    pub documents: Vec<String>,
    /// Sealed documents that their store still has: nothing opens them.
    pub documents_left: u64,
    /// Items of HL7 messages deleted.
    pub messages: u64,
    /// False while another process of this node keeps old pages of the database's log alive.
    pub is_log_empty: bool,
}

impl Node {
    /// How the key-encryption keys stand.
    ///
    /// # Errors
    /// The provider's; storage.
    pub fn keys_report(&self) -> Result<KeysReport, Problem> {
        Ok(KeysReport {
            provider: self.provider.describe(),
            current: self.provider.current()?,
            minimum: self.store().kek_minimum()?,
            data_keys: self.store().keys_by_version()?,
        })
    }

    /// Makes a new version of the key-encryption key, wraps every data key under it, and destroys the versions before
    /// unless they are to be kept. No data is touched. Where keys are behind the newest version, by an interrupted
    /// rotation or one at the provider's, that one is finished instead. `progress` is told how many keys were wrapped.
    ///
    /// # Errors
    /// The provider's; storage. What was wrapped stays, and the same command goes on.
    pub fn rotate_keys(&self, keeps_old: bool, mut progress: impl FnMut(u64)) -> Result<Rotated, Problem> {
        let store = self.store();
        let last = self.provider.current()?;
        let is_behind = |versions: &BTreeMap<u32, u64>| versions.keys().any(|version| *version < last);
        let is_resumed = is_behind(&store.keys_by_version()?) || store.kek_minimum()? < last;
        let current = if is_resumed { last } else { self.provider.rotate()? };
        let detail = format!("version {current} of the key-encryption key wraps from now on");
        let event = self.audit_event("keys.rotate", &format!("kek:{current}"), &detail);
        store.raise_kek_minimum(current, &event)?;
        let mut rewrapped = 0;
        loop {
            match store.rewrap_keys()? {
                0 => break,
                some => rewrapped += some,
            }
            progress(rewrapped);
        }
        if !keeps_old {
            self.provider.retire(current)?;
        }
        let detail = match keeps_old {
            true => format!("{rewrapped} data keys wrapped anew; the versions before stay"),
            false => format!("{rewrapped} data keys wrapped anew; the versions before are destroyed"),
        };
        self.audit("keys.rewrap", &format!("kek:{current}"), &detail)?;
        Ok(Rotated { current, rewrapped, is_resumed, is_retired: !keeps_old })
    }

    /// Erases a patient: destroys the data keys, and what is sealed under them.
    ///
    /// # Errors
    /// `patient.unknown` when nothing is stored of the patient, nor was; storage.
    pub async fn erase_patient(&self, identifier: &str) -> Result<Erasure, Problem> {
        let patient = self.consents().pseudonym(identifier)?;
        let classes: Vec<String> = self.store().keys_of(&patient)?.into_iter().map(|key| key.class).collect();
        let detail = format!("data keys destroyed: {}", classes.join(", "));
        let context = Context { patient: patient.to_string(), ..Context::default() };
        let event = self.audit_event("patient.erase", &format!("patient:{patient}"), &detail).within(context);
        let erased = self.store().erase(&patient, &event).map_err(|error| match Problem::from(error) {
            problem if problem.kind == ProblemKind::NotFound => Problem::new(
                ProblemKind::NotFound,
                "patient.unknown",
                "nothing is stored of this patient here",
            )
            .hint("the identifier is the one of the tables and of the consents, letter by letter"),
            problem => problem,
        })?;
        Ok(match erased {
            Erased::Now { classes, consents, documents, messages, is_log_empty } => Erasure {
                patient,
                erased_before_unix_ms: None,
                classes,
                consents,
                documents_left: self.remove_contents(&documents).await?,
                documents,
                messages,
                is_log_empty,
            },
            Erased::Before { at_ms, is_log_empty } => Erasure {
                patient,
                erased_before_unix_ms: Some(at_ms),
                classes: Vec::new(),
                consents: 0,
                documents: Vec::new(),
                documents_left: 0,
                messages: 0,
                is_log_empty,
            },
        })
    }
}
