//! Segments to rows: PID to a patient, PV1 to a visit, OBX to an observation.
//!
//! What an event means (HL7 v2.5.1, chapters 3 and 7): an admission, a registration and every update set what they
//! say; a discharge ends a visit, its cancellation opens it again; a cancelled admission is no visit; a result that is
//! deleted or was posted as another patient's is none.

use hl7_parser::Message as Parsed;

use super::answer::Refusal;
use super::message::{Expected, Header, Reading};
use super::{Change, Fields, Row};

/// Longest field that is kept, in bytes: a text is not what tables are made of.
pub(super) const FIELD_BYTES_MAX: usize = 1024;
/// Longest identifier, in bytes.
const KEY_BYTES_MAX: usize = 250;

/// What an event does to the visit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Visit {
    Set,
    Discharged,
    Reopened,
    Removed,
    /// The message is about a person.
    None,
}

/// The events of ADT that are taken.
fn event(code: &str) -> Option<Visit> {
    Some(match code {
        "A01" | "A02" | "A04" | "A05" | "A06" | "A07" | "A08" | "A12" => Visit::Set,
        "A03" => Visit::Discharged,
        "A13" => Visit::Reopened,
        "A11" | "A23" => Visit::Removed,
        "A28" | "A31" => Visit::None,
        _ => return None,
    })
}

/// Whether an event of ADT is taken.
pub(super) fn is_known(code: &str) -> bool {
    event(code).is_some()
}

/// The rows of a message.
pub(super) fn rows(header: &Header, message: &Parsed<'_>, expected: &Expected) -> Result<Vec<Row>, Refusal> {
    let mut walk =
        Walk { header, expected, rows: Vec::new(), patient: None, visit: None, order: None, at: None };
    let does = if header.kind == "ADT" { event(&header.event).unwrap_or(Visit::None) } else { Visit::Set };
    let is_result = header.kind == "ORU";
    for segment in message.segments() {
        let reading = Reading::new(segment, message.separators);
        match segment.name {
            "EVN" => walk.at = reading.text(6, 1).or_else(|| reading.text(2, 1)),
            "PID" => walk.person(&reading)?,
            "PV1" => walk.visit(&reading, does)?,
            "OBR" if is_result => walk.order(&reading)?,
            "OBX" if is_result => walk.observation(&reading)?,
            _ => {}
        }
    }
    if walk.patient.is_none() {
        return Err(Refusal::Sequence("no PID"));
    }
    if is_result && walk.order.is_none() {
        return Err(Refusal::Sequence("no OBR"));
    }
    let needs_visit = header.kind == "ADT" && !matches!(does, Visit::None) && header.event != "A08";
    if needs_visit && walk.visit.is_none() {
        return Err(Refusal::Missing("PV1-19"));
    }
    Ok(walk.rows)
}

struct Order {
    id: String,
    code: Option<String>,
    observed_at: Option<String>,
}

/// One segment after the other.
struct Walk<'a> {
    header: &'a Header,
    expected: &'a Expected,
    rows: Vec<Row>,
    patient: Option<String>,
    visit: Option<String>,
    order: Option<Order>,
    /// EVN-6, or EVN-2.
    at: Option<String>,
}

impl Walk<'_> {
    /// PID: the patient of all that follows.
    fn person(&mut self, pid: &Reading<'_>) -> Result<(), Refusal> {
        let mut found = None;
        for repeat in 1..=pid.repeats(3) {
            let authority = pid.at(3, repeat, 4).flatten();
            let is_asked = self.expected.authority.is_none() || authority == self.expected.authority;
            if let Some(id) = pid.at(3, repeat, 1).flatten().filter(|_| is_asked) {
                found = Some(id);
                break;
            }
        }
        let id = match found {
            Some(id) => key(id, "PID-3")?,
            None if pid.repeats(3) > 0 && self.expected.authority.is_some() => {
                return Err(Refusal::UnknownKey("PID-3 has no identifier of the authority"));
            }
            None => return Err(Refusal::Missing("PID-3")),
        };
        let mut fields = self.fields(&id);
        pid.put(&mut fields, "birth_date", (7, 1));
        pid.put(&mut fields, "sex", (8, 1));
        pid.put(&mut fields, "race", (10, 1));
        pid.put(&mut fields, "deceased_at", (29, 1));
        pid.put(&mut fields, "deceased", (30, 1));
        self.push("patient", id.clone(), (&id, Change::Update, fields));
        (self.patient, self.visit, self.order) = (Some(id), None, None);
        Ok(())
    }

    /// PV1: the visit.
    fn visit(&mut self, pv1: &Reading<'_>, does: Visit) -> Result<(), Refusal> {
        let Some(patient) = self.patient.clone() else { return Err(Refusal::Sequence("PV1 before PID")) };
        let Some(id) = pv1.text(19, 1) else { return Ok(()) };
        let id = key(id, "PV1-19")?;
        self.visit = Some(id.clone());
        if does == Visit::None {
            return Ok(());
        }
        let mut fields = self.fields(&patient);
        fields.insert("visit_id".to_owned(), Some(id.clone()));
        for (name, place) in [
            ("class", (2, 1)),
            ("location", (3, 1)),
            ("admission_type", (4, 1)),
            ("service", (10, 1)),
            ("disposition", (36, 1)),
            ("admitted_at", (44, 1)),
            ("discharged_at", (45, 1)),
        ] {
            pv1.put(&mut fields, name, place);
        }
        match does {
            Visit::Discharged if !fields.contains_key("discharged_at") => {
                let at = self.at.clone().or_else(|| Some(self.header.sent_at.clone()));
                fields.insert("discharged_at".to_owned(), at);
            }
            Visit::Reopened => {
                fields.insert("discharged_at".to_owned(), None);
                fields.insert("disposition".to_owned(), None);
            }
            _ => {}
        }
        let change = if does == Visit::Removed { Change::Remove } else { Change::Update };
        self.push("visit", id, (&patient, change, fields));
        Ok(())
    }

    /// OBR: the order that the following results are of.
    fn order(&mut self, obr: &Reading<'_>) -> Result<(), Refusal> {
        if self.patient.is_none() {
            return Err(Refusal::Sequence("OBR before PID"));
        }
        let Some(id) = obr.text(3, 1).or_else(|| obr.text(2, 1)) else {
            return Err(Refusal::Missing("OBR-3"));
        };
        let id = key(id, "OBR-3")?;
        self.order = Some(Order { id, code: obr.text(4, 1), observed_at: obr.text(7, 1) });
        Ok(())
    }

    /// OBX: one result.
    fn observation(&mut self, obx: &Reading<'_>) -> Result<(), Refusal> {
        let (Some(patient), Some(order)) = (self.patient.clone(), &self.order) else {
            return Err(Refusal::Sequence("OBX before OBR"));
        };
        let Some(code) = obx.text(3, 1) else { return Err(Refusal::Missing("OBX-3")) };
        let code = key(code, "OBX-3")?;
        let system = obx.text(3, 3);
        let parts = [Some(order.id.clone()), system, Some(code.clone()), obx.text(4, 1)];
        // Lengths before the texts: no two lists of parts are one key.
        let id: Vec<String> =
            parts.into_iter().map(Option::unwrap_or_default).map(|p| format!("{}:{p}", p.len())).collect();
        let id = id.join("/");
        let mut fields = self.fields(&patient);
        fields.insert("observation_id".to_owned(), Some(id.clone()));
        fields.insert("visit_id".to_owned(), self.visit.clone());
        fields.insert("order_code".to_owned(), order.code.clone());
        fields.insert("code".to_owned(), Some(code));
        for (name, place) in [
            ("code_system", (3, 3)),
            ("value_type", (2, 1)),
            ("unit", (6, 1)),
            ("abnormal", (8, 1)),
            ("status", (11, 1)),
        ] {
            obx.put(&mut fields, name, place);
        }
        fields.insert("observed_at".to_owned(), obx.text(14, 1).or_else(|| order.observed_at.clone()));
        fields.insert("value".to_owned(), value(obx));
        let is_gone = matches!(obx.text(11, 1).as_deref(), Some("D" | "W" | "X"));
        let change = if is_gone { Change::Remove } else { Change::Replace };
        self.push("observation", id, (&patient, change, fields));
        Ok(())
    }

    fn fields(&self, patient: &str) -> Fields {
        Fields::from([
            ("patient_id".to_owned(), Some(patient.to_owned())),
            ("updated_at".to_owned(), Some(self.header.sent_at.clone())),
        ])
    }

    fn push(&mut self, kind: &'static str, key: String, (patient, change, fields): (&str, Change, Fields)) {
        self.rows.push(Row { kind, patient: patient.to_owned(), key, change, fields });
    }
}

/// The one value of OBX-5: the code of a coded one, the number of a structured one that is just a number. Several
/// values, limits and ranges are none.
fn value(obx: &Reading<'_>) -> Option<String> {
    if obx.repeats(5) > 1 {
        return None;
    }
    let text = match obx.text(2, 1).as_deref() {
        Some("SN") => {
            let is_limit = obx.text(5, 1).is_some_and(|comparator| comparator != "=");
            let is_range = obx.text(5, 3).is_some() || obx.text(5, 4).is_some();
            if is_limit || is_range { None } else { obx.text(5, 2) }
        }
        _ => obx.text(5, 1),
    };
    text.filter(|text| text.len() <= FIELD_BYTES_MAX)
}

fn key(text: String, field: &'static str) -> Result<String, Refusal> {
    if text.len() > KEY_BYTES_MAX { Err(Refusal::Type(field)) } else { Ok(text) }
}
