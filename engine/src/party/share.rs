//! Records of the vault shared with somebody elsewhere, and records that others shared.
//!
//! What is shared leaves the store as it lies there, sealed; beside it goes the key of each value, sealed for whoever a
//! policy or a house's key names ([`crate::sharing::record`]). The hospital decrypts nothing.
//!
//! Before, the patient's consents are asked: a grant must cover the recipient, the purpose and the class (`[consent]
//! sharing`). A house's key lets others read what is sealed for it, by grants: their names are asked for as well, when a
//! record is shared and when a grant is made. The share, or the grant, and an audit event for each recipient are kept
//! in one transaction, which fails when a consent changed since it was asked.

use serde::Serialize;

use super::documents::{Arrival, Listed, NewDocument, content_place, facts_place, unknown};
use super::node::Node;
use crate::attestation::system_rng;
use crate::audit::{Context, Event, Outcome};
use crate::consent::{Pseudonym, Purpose, Question, Reason};
use crate::encoding::Digest;
use crate::identity::{Role, SealContext, random};
use crate::problem::{Problem, ProblemKind};
use crate::sharing::ShareError;
use crate::sharing::file::{About, Opened, Opener, Recipient, Shared};
use crate::sharing::record::{Manifest, Place, Statement, VALUES_MAX};
use crate::store::{GrantRow, ShareRow, StoreError};
use crate::vault::{DataKey, ValueKey};

/// How often a decision is made anew because consents changed under it.
const ATTEMPTS_MAX: u32 = 5;
/// Place of the fields of items of messages.
const ITEMS: (&str, &str) = ("hl7_items", "fields");

/// To whom, and what for.
pub struct Terms<'a> {
    /// Who can open it.
    pub to: Recipient<'a>,
    /// The name of whoever receives it, which consents name.
    pub recipient: &'a str,
    /// The policy in words; empty for a house.
    pub policy: String,
    /// Id of the house's key; none under a policy.
    pub house: Option<Digest>,
    /// The purpose.
    pub purpose: Purpose,
    /// What everybody may read.
    pub note: &'a str,
}

/// A share that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Given {
    /// Its id.
    pub id: String,
    /// What was shared.
    pub what: String,
    /// Pseudonym of the patient.
    pub patient: String,
    /// The class of data.
    pub class: String,
    /// The purpose, as a DUO code.
    pub purpose: String,
    /// Who can read it, by name.
    pub recipients: Vec<String>,
    /// The policy; empty for a house.
    pub policy: String,
    /// When (unix milliseconds).
    pub at_unix_ms: u64,
}

/// A record that was received.
#[derive(Clone, Debug, Serialize)]
pub struct Taken {
    /// The share's id at the hospital that it came from.
    pub share: String,
    /// That hospital, by its certificate.
    pub from: String,
    /// The purpose that it was shared for.
    pub purpose: String,
    /// The document that it is here.
    pub document: Listed,
}

/// What is shared: whose, of which class, and the sealed values with their keys.
struct Parcel {
    what: String,
    patient: Pseudonym,
    class: String,
    key: u64,
    places: Vec<Place>,
    keys: Vec<ValueKey>,
    values: Vec<u8>,
}

impl Parcel {
    fn add(&mut self, key: &DataKey, place: SealContext<'_>, sealed: &[u8]) -> Result<(), Problem> {
        self.keys.push(key.of_value(place, sealed)?);
        self.places.push(Place::of(place, sealed));
        self.values.extend_from_slice(sealed);
        Ok(())
    }
}

fn refuse(code: &str, message: String) -> Problem {
    Problem::new(ProblemKind::Compliance, code, message)
}

fn because(reason: Reason) -> &'static str {
    match reason {
        Reason::Denied => "the patient has refused it",
        Reason::Revoked => "the patient has taken the consent back",
        Reason::NotInForce => "the consent is not in force now",
        Reason::OtherScope => "the patient consented to other uses, data or recipients",
        Reason::Requested => "the patient was asked and has not answered",
        Reason::Erased => "the patient was erased",
        Reason::Absent | Reason::Granted | Reason::NotObjected | Reason::NotAsked => {
            "the patient has said nothing"
        }
    }
}

fn new_id() -> Result<String, Problem> {
    random::<16>().map(hex::encode).map_err(|e| Problem::internal(&e))
}

impl Node {
    /// Shares a document.
    ///
    /// # Errors
    /// `document.unknown`, `document.damaged`, `share.consent`; what sealing refuses; storage.
    pub async fn share_document(&self, id: &str, terms: &Terms<'_>) -> Result<(Given, Shared), Problem> {
        let (row, key) = self.store().document(id)?.ok_or_else(|| unknown(id))?;
        let sealed = self.shelf()?.get(id).await?.filter(|sealed| Digest::of(sealed) == row.digest);
        let sealed = sealed.ok_or_else(|| {
            let message = format!("document `{id}` is not as it was stored");
            Problem::new(ProblemKind::Conflict, "document.damaged", message)
                .hint("`ward party document check` looks at all of them")
        })?;
        let mut parcel = Parcel {
            what: format!("document:{id}"),
            patient: row.patient,
            class: row.class,
            key: row.key,
            places: Vec::new(),
            keys: Vec::new(),
            values: Vec::with_capacity(sealed.len() + row.facts.len()),
        };
        parcel.add(&key, facts_place(id), &row.facts)?;
        parcel.add(&key, content_place(id), &sealed)?;
        self.give(parcel, terms)
    }

    /// Shares what HL7 messages said of a patient in a class of data.
    ///
    /// # Errors
    /// `share.nothing`, `share.size`, `share.consent`; what sealing refuses; storage.
    pub fn share_messages(
        &self,
        (identifier, class): (&str, &str),
        terms: &Terms<'_>,
    ) -> Result<(Given, Shared), Problem> {
        let patient = self.consents().pseudonym(identifier)?;
        let found = self.store().sealed_items(&patient, class, VALUES_MAX as u32 + 1)?;
        let (number, key, items) = found.filter(|(.., items)| !items.is_empty()).ok_or_else(|| {
            let message = format!("nothing of class {class:?} came in messages about this patient");
            Problem::new(ProblemKind::NotFound, "share.nothing", message)
                .hint("`[hl7] classes` names the classes, ward/hl7 unless it says another; an erased patient has none")
        })?;
        if items.len() > VALUES_MAX {
            let message = format!("more than {VALUES_MAX} items");
            return Err(Problem::new(ProblemKind::Validation, "share.size", message));
        }
        let mut parcel = Parcel {
            what: format!("messages:{}", items.len()),
            patient,
            class: class.to_owned(),
            key: number,
            places: Vec::new(),
            keys: Vec::new(),
            values: Vec::new(),
        };
        for item in &items {
            let place = SealContext { table: ITEMS.0, row: &item.row, column: ITEMS.1 };
            parcel.add(&key, place, &item.sealed)?;
        }
        self.give(parcel, terms)
    }

    /// Asks the patient's consent for every recipient; the last change of the consents that were asked.
    fn ask(
        &self,
        (patient, class): (&Pseudonym, &str),
        (recipients, purpose): (&[String], Purpose),
    ) -> Result<u64, Box<(String, Problem)>> {
        let failed = |problem: Problem| Box::new((String::new(), problem));
        self.expire_consents().map_err(failed)?;
        let index = self.consents().index(&**self.store()).map_err(failed)?;
        for recipient in recipients.iter().filter(|recipient| *recipient != self.name()) {
            let question =
                Question { grantees: vec![recipient.clone()], purpose, classes: vec![class.to_owned()] };
            let lens = index.lens(self.config().consent.sharing, &question, self.now_ms());
            let decision = lens.decide(patient);
            if !decision.permitted {
                let why = because(decision.reason);
                let message = format!("{class} may not be shared with {recipient} for {purpose}: {why}");
                let hint = "`ward party consent grant --grantee RECIPIENT --class CLASS --purpose CODE` records a consent";
                return Err(Box::new((recipient.clone(), refuse("share.consent", message).hint(hint))));
            }
        }
        Ok(index.change())
    }

    /// What the trail says of a share, for each recipient.
    fn share_events(
        &self,
        (action, subject, detail): (&str, &str, &str),
        (share, recipients): (&ShareRow, &[String]),
        trace: &str,
    ) -> Vec<Event> {
        let event = |recipient: &String| {
            let context =
                self.share_context((&share.patient, &share.class), &share.purpose, (recipient, trace));
            self.audit_event(action, subject, detail).within(context)
        };
        recipients.iter().map(event).collect()
    }

    fn share_context(
        &self,
        (patient, class): (&Pseudonym, &str),
        purpose: &str,
        (recipient, trace): (&str, &str),
    ) -> Context {
        Context {
            organisation: self.name().to_owned(),
            patient: patient.to_string(),
            data_class: class.to_owned(),
            purpose: vec![purpose.to_owned()],
            recipient: recipient.to_owned(),
            source: "local".to_owned(),
            trace: trace.to_owned(),
            ..Context::default()
        }
    }

    /// Asks, and says in the trail that it was refused.
    fn ask_or_refuse(
        &self,
        (action, subject): (&str, &str),
        about: (&Pseudonym, &str),
        (recipients, purpose): (&[String], Purpose),
        trace: &str,
    ) -> Result<u64, Problem> {
        self.ask(about, (recipients, purpose)).or_else(|refused| {
            let (recipient, problem) = *refused;
            if problem.code == "share.consent" {
                let context = self.share_context(about, &purpose.to_string(), (&recipient, trace));
                let event = self.event(action, subject, Outcome::Refused, &problem.code).within(context);
                self.store().audit(&event)?;
            }
            Err(problem)
        })
    }

    fn give(&self, parcel: Parcel, terms: &Terms<'_>) -> Result<(Given, Shared), Problem> {
        let (id, trace) = (new_id()?, new_id()?);
        let purpose = terms.purpose.to_string();
        for _ in 0..ATTEMPTS_MAX {
            let grants = terms.house.map_or_else(|| Ok(Vec::new()), |house| self.store().grants(&house))?;
            let mut recipients = vec![terms.recipient.to_owned()];
            recipients.extend(grants.iter().map(|grant| grant.recipient.clone()));
            recipients.dedup();
            let about = (&parcel.patient, parcel.class.as_str());
            let asked = (recipients.as_slice(), terms.purpose);
            let change = self.ask_or_refuse(("share.give", &parcel.what), about, asked, &trace)?;
            let row = ShareRow {
                id: id.clone(),
                patient: parcel.patient,
                class: parcel.class.clone(),
                key: parcel.key,
                what: parcel.what.clone(),
                purpose: purpose.clone(),
                recipient: terms.recipient.to_owned(),
                house: terms.house,
                policy: terms.policy.clone(),
                at_ms: self.now_ms(),
            };
            let shared = self.sealed(&parcel, terms, (&row, &recipients))?;
            let detail = match terms.policy.as_str() {
                "" => format!("share {id}, {} sealed values", parcel.places.len()),
                policy => format!("share {id}, {} sealed values, under {policy}", parcel.places.len()),
            };
            let events =
                self.share_events(("share.give", &parcel.what, &detail), (&row, &recipients), &trace);
            match self.store().add_share(&row, (change, grants.len() as u64), &events) {
                Err(StoreError::Database { retry: true, .. }) => continue,
                added => added?,
            }
            return Ok((given(row, recipients), shared));
        }
        Err(changing())
    }

    fn sealed(
        &self,
        parcel: &Parcel,
        terms: &Terms<'_>,
        (row, recipients): (&ShareRow, &[String]),
    ) -> Result<Shared, Problem> {
        let statement = Statement {
            share: row.id.clone(),
            from: self.name().to_owned(),
            to: recipients.to_vec(),
            class: row.class.clone(),
            purpose: row.purpose.clone(),
            at_unix_ms: row.at_ms,
            values: parcel.places.clone(),
        };
        let sign = |context, parts: &[&[u8]]| self.sign(context, parts);
        let manifest = Manifest::new(statement, &parcel.keys, &self.certificate(), sign);
        let about = About { name: row.id.clone(), note: terms.note.to_owned() };
        let values = parcel.values.clone();
        Ok(Shared::seal_record(&terms.to, &about, (&manifest, values), &mut system_rng()?)?)
    }

    /// Writes down that a house's key lets another house read what is sealed for it; the patients of what was sealed before
    /// must have consented. Returns how many shares it covers.
    ///
    /// # Errors
    /// `share.consent`; storage.
    pub fn grant_share(
        &self,
        house: Digest,
        (recipient, recipient_id): (&str, Digest),
        purpose: Purpose,
    ) -> Result<u64, Problem> {
        let trace = new_id()?;
        let subject = format!("house:{house}");
        let recipients = [recipient.to_owned()];
        for _ in 0..ATTEMPTS_MAX {
            let shares = self.store().shares(None, Some(&house))?;
            let mut change = self.store().last_consent_change()?;
            let mut events = Vec::new();
            for share in &shares {
                let about = (&share.patient, share.class.as_str());
                let asked = (recipients.as_slice(), purpose);
                change = self.ask_or_refuse(("share.grant", &share.what), about, asked, &trace)?;
                let share = ShareRow { purpose: purpose.to_string(), ..share.clone() };
                let detail = format!("share {}, by a grant for the key {house}", share.id);
                let words = ("share.grant", share.what.as_str(), detail.as_str());
                events.extend(self.share_events(words, (&share, &recipients), &trace));
            }
            let detail = format!("{} shares, and those to come", shares.len());
            let context = Context {
                organisation: self.name().to_owned(),
                purpose: vec![purpose.to_string()],
                recipient: recipient.to_owned(),
                source: "local".to_owned(),
                trace: trace.clone(),
                ..Context::default()
            };
            events.push(self.audit_event("share.grant", &subject, &detail).within(context));
            let (recipient, at_ms) = (recipient.to_owned(), self.now_ms());
            let grant = GrantRow { house, recipient_id, recipient, purpose: purpose.to_string(), at_ms };
            match self.store().add_grant(&grant, (change, shares.len() as u64), &events) {
                Err(StoreError::Database { retry: true, .. }) => continue,
                added => added?,
            }
            return Ok(shares.len() as u64);
        }
        Err(changing())
    }

    /// Opens a record that another hospital shared, and stores it as a document of a patient of this one.
    ///
    /// # Errors
    /// `share.*` when it does not open, or is not signed by the hospital that it names; `identity.certificate`; what storing
    /// a document refuses.
    pub async fn receive_share(
        &self,
        (shared, opener): (&Shared, &Opener<'_>),
        (patient, class): (&str, &str),
    ) -> Result<Taken, Problem> {
        let record = match shared.open(opener, &mut system_rng()?)? {
            Opened::Record(record) => record,
            Opened::Content(_) => {
                let message = "it holds a file, and no record of a hospital's vault".to_owned();
                return Err(Problem::new(ProblemKind::Validation, "share.record", message)
                    .hint("`ward share open` writes it to a file"));
            }
        };
        let manifest = &record.manifest;
        let from = self.certified(&manifest.certificate.0, Role::Hospital)?;
        manifest.check(&from.key)?;
        if from.name != manifest.statement.from {
            let reason = "it is not signed by the hospital that it names".to_owned();
            return Err(ShareError::Malformed { what: "a shared record", reason }.into());
        }
        let Statement { share, purpose, .. } = &manifest.statement;
        let arrival = Arrival {
            action: "share.receive",
            note: format!("share {share} from {}, ", from.name),
            context: Context {
                organisation: self.name().to_owned(),
                purpose: vec![purpose.clone()],
                source: from.name.clone(),
                trace: new_id()?,
                ..Context::default()
            },
        };
        let (name, kind) = (record.name.as_str(), Some(record.kind.as_str()));
        let new = NewDocument { patient, class, name, kind, bytes: &record.bytes };
        let document = self.store_document(&new, &arrival).await?;
        Ok(Taken { share: share.clone(), from: from.name, purpose: purpose.clone(), document })
    }

    /// What was shared, of a patient where one is given.
    ///
    /// # Errors
    /// Storage.
    pub fn list_shares(&self, patient: Option<&str>) -> Result<Vec<Given>, Problem> {
        let patient = patient.map(|patient| self.consents().pseudonym(patient)).transpose()?;
        let mut listed = Vec::new();
        for row in self.store().shares(patient.as_ref(), None)? {
            let mut recipients = vec![row.recipient.clone()];
            if let Some(house) = row.house {
                recipients.extend(self.store().grants(&house)?.into_iter().map(|grant| grant.recipient));
            }
            recipients.dedup();
            listed.push(given(row, recipients));
        }
        Ok(listed)
    }
}

fn given(row: ShareRow, recipients: Vec<String>) -> Given {
    Given {
        id: row.id,
        what: row.what,
        patient: row.patient.to_string(),
        class: row.class,
        purpose: row.purpose,
        recipients,
        policy: row.policy,
        at_unix_ms: row.at_ms,
    }
}

fn changing() -> Problem {
    Problem::new(ProblemKind::Unavailable, "share.changing", "consents change faster than they are asked")
        .hint("the same command again")
}
