//! Consent at the node: what patients said, taken in from the store, and asked before any row is read.
//!
//! A job's rows are read through a [`View`]: the consents as they were at one change of the history, the question that
//! the job asks of them, and the root of exactly these consents. Before anything that was computed from the view leaves
//! the house (`Node::still_consented`), the node looks whether a patient of the table has taken consent back since;
//! then nothing is sent.
//!
//! # Security
//! Adversary: none here; the node is the hospital's own. What another process (`ward party consent revoke`) has recorded
//! when the check is made is honoured; a revocation after the bytes have left concerns the next job.

mod gate;
mod import;

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

pub use gate::ConsentGate;
use gate::Numberings;
pub use import::ImportReport;

use super::aggregate::TakenIn;
use super::ceremony::refuse;
use super::local::data::LocalData;
use super::node::Node;
use crate::audit::Context;
use crate::consent::{
    Artefact, Index, Pseudonym, PseudonymKey, Question, Regime, RootStatement, Roots, Status,
};
use crate::encoding::{Digest, canonical_json};
use crate::identity::SealKey;
use crate::problem::{Problem, ProblemKind};
use crate::query::plan::Plan;
use crate::store::{CONSENTS_MAX, ConsentRoot, ConsentRow, PartyStore, Recorded, StoreError};

/// Between a version of the data and a root of consents.
const UNDER: &str = " under ";
/// How often a root is made anew because another process made one of the same version.
const ROOT_ATTEMPTS_MAX: u32 = 5;

/// Everything a node holds of consents.
pub struct ConsentDesk {
    key: PseudonymKey,
    numberings: Arc<Numberings>,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    index: Arc<Index>,
    tree: Option<Roots>,
    /// Whose consents changed since the tree was made, and since the last root.
    pending: Vec<Pseudonym>,
    root: Option<ConsentRoot>,
    /// The last erasure taken in, as a change.
    erasure: u64,
}

impl ConsentDesk {
    /// The desk of a node's folder, with nothing taken in yet.
    ///
    /// # Errors
    /// When the key that makes pseudonyms cannot be opened or made.
    pub fn open(folder: &Path, seal: &SealKey) -> Result<Self, Problem> {
        let key = PseudonymKey::load_or_create(folder, seal)?;
        Ok(Self { key, numberings: Arc::default(), book: Mutex::default() })
    }

    /// The pseudonym of an identifier.
    ///
    /// # Errors
    /// When it is empty or too long.
    pub fn pseudonym(&self, identifier: &str) -> Result<Pseudonym, Problem> {
        self.key.pseudonym(identifier).ok_or_else(|| {
            Problem::new(
                ProblemKind::Validation,
                "consent.patient",
                "the patient's identifier is empty or too long",
            )
        })
    }

    /// Takes in what was recorded since, by whatever process.
    fn refresh(&self, store: &dyn PartyStore) -> Result<std::sync::MutexGuard<'_, Book>, Problem> {
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        let last = store.last_consent_change()?;
        if book.index.change() < last {
            let erased = store.erased_after(book.erasure)?;
            if let Some((change, _)) = erased.last() {
                // What was said by who is erased is forgotten: everything is read again.
                *book = Book { erasure: *change, ..Book::default() };
            }
        }
        if book.index.is_empty() && last > 0 && book.index.change() < last {
            let mut index = Index::default();
            store.erased_after(0)?.into_iter().for_each(|(_, who)| index.erase(who));
            let mut after = 0;
            loop {
                let page = store.consents(after, CONSENTS_MAX)?;
                let Some(end) = page.last() else { break };
                after = end.number;
                page.iter().for_each(|row| take_in(&mut index, 0, row));
            }
            // What was recorded while this was read is read again below.
            index.set_change(last);
            book.index = Arc::new(index);
        }
        while book.index.change() < last {
            let page = store.consents_changed(book.index.change(), CONSENTS_MAX)?;
            if page.is_empty() {
                break;
            }
            book.pending.extend(page.iter().map(|(_, row)| row.artefact.pseudonym));
            let index = Arc::make_mut(&mut book.index);
            page.iter().for_each(|(change, row)| take_in(index, *change, row));
        }
        Ok(book)
    }

    /// All consents as they are now.
    ///
    /// # Errors
    /// Storage.
    pub fn index(&self, store: &dyn PartyStore) -> Result<Arc<Index>, Problem> {
        Ok(Arc::clone(&self.refresh(store)?.index))
    }
}

fn take_in(index: &mut Index, change: u64, row: &ConsentRow) {
    let artefact = &row.artefact;
    let rule = (&artefact.rule, artefact.validity);
    index.apply((change, row.number), artefact.pseudonym, rule, artefact.status);
}

/// The consents that a job reads rows under.
pub struct View {
    /// The hospital's data, through the gate.
    pub data: Arc<LocalData>,
    asked: Option<Asked>,
}

/// What was asked.
struct Asked {
    use_: Use,
    refused: Arc<AtomicU64>,
}

/// Under which consents rows were read: kept with what was computed from them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Use {
    /// Root of the consents.
    root: Digest,
    /// The last change in them.
    change: u64,
}

impl View {
    /// What tells the rows apart that are read: the version of the data, and the consents.
    pub(super) fn version_of(&self, dataset_version: &str) -> String {
        version_under(dataset_version, self.root())
    }

    /// Root of the consents; none where the hospital asks for none.
    #[must_use]
    pub fn root(&self) -> Option<Digest> {
        self.asked.as_ref().map(|asked| asked.use_.root)
    }
}

fn version_under(dataset_version: &str, root: Option<Digest>) -> String {
    match root {
        None => dataset_version.to_owned(),
        Some(root) => format!("{dataset_version}{UNDER}{root}"),
    }
}

/// The version of the data alone, of what [`View::version_of`] makes.
pub(super) fn data_version(version: &str) -> &str {
    version.split_once(UNDER).map_or(version, |(data, _)| data)
}

impl Node {
    /// The question that a plan asks of every patient; none where the hospital asks for no consent.
    ///
    /// # Errors
    /// `consent.purpose` for a query whose purpose nobody said.
    pub(super) fn question(&self, plan: &Plan, researcher: &str) -> Result<Option<Question>, Problem> {
        let consent = &self.config().consent;
        if consent.regime == Regime::None || plan.hospitals.iter().all(|name| name != self.name()) {
            return Ok(None);
        }
        let purpose = plan.purpose.or(consent.purpose).ok_or_else(|| {
            refuse(
                "consent.purpose",
                "this hospital asks its patients' consent, and the query names no purpose",
            )
            .hint("say what the answer is for: --purpose DUO:0000042")
        })?;
        let grantees = vec![researcher.to_owned(), self.consortium().to_owned()];
        Ok(Some(Question { grantees, purpose, classes: self.classes_of(plan) }))
    }

    /// The data of a job, read through its patients' consent as it is now.
    ///
    /// # Errors
    /// As [`Self::question`]; storage; `consent.room`.
    pub(super) fn view(&self, taken: &TakenIn) -> Result<View, Problem> {
        let Some(question) = self.question(&taken.plan, &taken.request.researcher)? else {
            return Ok(View { data: self.data(), asked: None });
        };
        self.expire_consents()?;
        let (index, root) = self.root_of_consents()?;
        let lens = index.lens(self.config().consent.regime, &question, self.now_ms());
        let desk = self.consents();
        let gate = ConsentGate::remembering(lens, desk.key.clone(), Arc::clone(&desk.numberings));
        let refused = Arc::clone(&gate.refused);
        let use_ = Use { root: root.root, change: index.change() };
        let data = Arc::new(self.data().through(Arc::new(gate)));
        Ok(View { data, asked: Some(Asked { use_, refused }) })
    }

    /// What [`View::version_of`] would say now; none where consents changed since the last root, and no answer is of
    /// their next one yet. Nothing is kept.
    ///
    /// # Errors
    /// As [`Self::question`]; storage.
    pub(super) fn version_read(
        &self,
        plan: &Plan,
        researcher: &str,
        dataset_version: &str,
    ) -> Result<Option<String>, Problem> {
        if self.question(plan, researcher)?.is_none() {
            return Ok(Some(version_under(dataset_version, None)));
        }
        let change = self.store().last_consent_change()?;
        let root = self.store().consent_roots(1)?.pop().filter(|root| root.change == change);
        Ok(root.map(|root| version_under(dataset_version, Some(root.root))))
    }

    /// All consents, and their root: the last one where nothing changed, else a new one, kept and audited.
    ///
    /// # Errors
    /// Storage; `consent.room`.
    pub fn root_of_consents(&self) -> Result<(Arc<Index>, ConsentRoot), Problem> {
        let mut book = self.consents().refresh(&**self.store())?;
        let index = Arc::clone(&book.index);
        for _ in 0..ROOT_ATTEMPTS_MAX {
            let last = self.store().consent_roots(1)?.pop();
            let known = last.as_ref().filter(|last| last.change == index.change());
            if let (Some(root), true) = (known, book.tree.is_some() && book.root.as_ref() == known) {
                return Ok((index, root.clone()));
            }
            let version = known.or(last.as_ref()).map_or(1, |root| root.version + u64::from(known.is_none()));
            let salt = self.consents().key.salt(version);
            let pending = std::mem::take(&mut book.pending);
            let tree = match book.tree.take() {
                Some(mut tree) => tree.update(&index, &pending, &salt).map(|()| tree),
                None => Roots::new(&index, &salt),
            }?;
            let made = match known.filter(|root| root.root == tree.root()) {
                Some(root) => root.clone(),
                None => self.new_root(version, (index.change(), index.len() as u64), tree.root()),
            };
            book.tree = Some(tree);
            if known != Some(&made) {
                let audit =
                    self.audit_event("consent.root", &format!("consents:{version}"), &made.root.to_string());
                match self.store().add_consent_root(&made, &audit) {
                    // Another process of this hospital was faster: its root counts.
                    Err(StoreError::Conflict { .. }) => continue,
                    kept => kept?,
                }
            }
            book.root = Some(made.clone());
            return Ok((index, made));
        }
        Err(Problem::new(
            ProblemKind::Unavailable,
            "consent.root",
            "consents change faster than their root is made",
        ))
    }

    fn new_root(&self, version: u64, (change, consents): (u64, u64), root: Digest) -> ConsentRoot {
        let at_ms = self.now_ms();
        let statement = RootStatement { hospital: self.name().to_owned(), version, root, at_ms };
        let signature = statement.sign(&self.membership().identity);
        ConsentRoot { version, change, consents, root, at_ms, signature }
    }

    /// Uses the tree under the last root.
    ///
    /// # Errors
    /// As [`Self::root_of_consents`].
    pub fn with_consent_tree<T>(
        &self,
        work: impl FnOnce(&Index, &Roots, &ConsentRoot) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        self.root_of_consents()?;
        let book = self.consents().book.lock().unwrap_or_else(PoisonError::into_inner);
        match (&book.tree, &book.root) {
            (Some(tree), Some(root)) => work(&book.index, tree, root),
            _ => Err(Problem::internal(&"a tree of consents without root")),
        }
    }

    /// Refuses when a patient of the plan's table has taken consent back since the view was made.
    ///
    /// # Errors
    /// `consent.changed`, which may be tried again with a new view; storage.
    pub(super) fn still_consented(&self, taken: &TakenIn, view: &View) -> Result<(), Problem> {
        match &view.asked {
            Some(asked) => self.unchanged_since(taken, asked.use_.change),
            None => Ok(()),
        }
    }

    fn unchanged_since(&self, taken: &TakenIn, change: u64) -> Result<(), Problem> {
        let Some(question) = self.question(&taken.plan, &taken.request.researcher)? else { return Ok(()) };
        self.expire_consents()?;
        let index = self.consents().index(&**self.store())?;
        if index.change() == change {
            return Ok(());
        }
        let lens = index.lens(self.config().consent.regime, &question, self.now_ms());
        let mut refused: HashSet<Pseudonym> = HashSet::new();
        let mut after = change;
        loop {
            let page = self.store().consents_changed(after, CONSENTS_MAX)?;
            let Some((last, _)) = page.last() else { break };
            after = *last;
            let patients = page.iter().map(|(_, row)| row.artefact.pseudonym);
            refused.extend(patients.filter(|patient| !lens.decide(patient).permitted));
        }
        let erased = self.store().erased_after(change)?.into_iter().map(|(_, patient)| patient);
        refused.extend(erased.filter(|patient| !lens.decide(patient).permitted));
        if refused.is_empty() {
            return Ok(());
        }
        let data = self.data();
        let desk = self.consents();
        let numbered = desk.numberings.of(&data.reading(&taken.plan.query.table)?, &desk.key)?;
        let touched = numbered.patients.iter().flatten().any(|patient| refused.contains(patient));
        if touched { Err(changed()) } else { Ok(()) }
    }

    /// Keeps under which consents a contribution was made, before it is kept itself.
    ///
    /// # Errors
    /// Storage.
    pub(super) fn keep_use(&self, job: &str, view: &View) -> Result<(), Problem> {
        let Some(asked) = &view.asked else { return Ok(()) };
        let kept = canonical_json(&asked.use_);
        // Of several runs that were given up, the one that is sent is told by its root.
        let key = format!("{job}/{}", asked.use_.root);
        self.once("consent-use", &key, Digest::of(&kept), &kept)
    }

    /// Refuses when consent to what was contributed under this root has been taken back since.
    ///
    /// # Errors
    /// `consent.changed`; storage.
    pub(super) fn contribution_is_consented(
        &self,
        job: &str,
        taken: &TakenIn,
        root: Option<Digest>,
    ) -> Result<(), Problem> {
        let Some(root) = root else { return Ok(()) };
        let kept = self.recall("consent-use", &format!("{job}/{root}"))?;
        let kept = kept.ok_or_else(|| Problem::internal(&"a contribution without its consents"))?;
        let used: Use = serde_json::from_slice(&kept).map_err(|e| Problem::internal(&e))?;
        self.unchanged_since(taken, used.change).map_err(|problem| Problem {
            retryable: false,
            kind: ProblemKind::Compliance,
            ..problem
        })
    }

    /// What the audit says of rows that were left out: their number, where the floor allows it.
    pub(super) fn consent_note(&self, view: &View) -> String {
        let Some(asked) = &view.asked else { return String::new() };
        let (refused, floor) = (asked.refused.load(Ordering::Relaxed), u64::from(self.floor()));
        let rows = match refused {
            few if few < floor => format!("fewer than {floor} rows"),
            many => format!("{many} rows"),
        };
        format!("consents {}, {rows} without consent", asked.use_.root)
    }

    /// Records an artefact, signed by the hospital, with its audit event.
    ///
    /// # Errors
    /// As [`crate::store::Consents::record_consents`].
    pub fn record_consent(&self, artefact: Artefact, reason: &str) -> Result<(), Problem> {
        let action = match artefact.status {
            Status::Requested => "consent.request",
            Status::Granted => "consent.grant",
            Status::Denied => "consent.deny",
            Status::Revoked => "consent.revoke",
            Status::Expired => "consent.expire",
        };
        let context = Context {
            patient: artefact.pseudonym.to_string(),
            purpose: artefact.rule.scope.purposes.iter().map(ToString::to_string).collect(),
            ..Context::default()
        };
        let audit = self.audit_event(action, &format!("consent:{}", artefact.id), reason).within(context);
        let signature = artefact.sign(&self.membership().identity);
        let recorded = Recorded { artefact, signature, reason: reason.to_owned() };
        self.store().record_consents(&[recorded], &audit)?;
        Ok(())
    }

    /// Writes down that consents are over whose time is over.
    ///
    /// # Errors
    /// Storage.
    pub fn expire_consents(&self) -> Result<u64, Problem> {
        let mut expired = 0;
        loop {
            let now = self.now_ms();
            let over = self.store().consents_over(now, CONSENTS_MAX)?;
            if over.is_empty() {
                return Ok(expired);
            }
            let batch = over
                .iter()
                .map(|row| {
                    let at = row.artefact.validity.until_ms.unwrap_or(now);
                    let artefact = row.artefact.become_status(Status::Expired, at)?;
                    let signature = artefact.sign(&self.membership().identity);
                    Ok(Recorded { artefact, signature, reason: "its time is over".to_owned() })
                })
                .collect::<Result<Vec<_>, Problem>>()?;
            let audit = self.audit_event("consent.expire", "consents", &format!("{} artefacts", batch.len()));
            match self.store().record_consents(&batch, &audit) {
                // Another process was faster.
                Err(StoreError::Conflict { .. }) => continue,
                recorded => expired += recorded?,
            }
        }
    }
}

fn changed() -> Problem {
    let message = "a patient took consent back while the answer was computed; nothing was sent";
    Problem::new(ProblemKind::Unavailable, "consent.changed", message)
        .hint("submit the query again: it leaves that patient's rows out, or waits until as many as the floor have changed")
}
