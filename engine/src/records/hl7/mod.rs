//! HL7 v2 messages (ADT and ORU) as records: a message is read into rows of three kinds, which the node keeps and a
//! mapping file makes tables of, as it does of FHIR and OMOP.
//!
//! [`frame`] takes messages out of the byte stream (MLLP), [`message`] reads one, [`segments`] makes rows of its
//! segments, [`answer`] writes the acknowledgement. Of a message are kept the fields of [`columns`] and the SHA-256 of
//! its bytes; names, addresses and telephone numbers are not among them, and the message itself is not kept.

pub mod answer;
pub mod frame;
pub mod message;
pub mod reader;
pub mod segments;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

/// The fields of an item, by the names of [`columns`]; none where the message says that there is no value any more
/// (`""`). What a message leaves out is not here.
pub type Fields = BTreeMap<String, Option<String>>;

/// What a message does to an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Its fields are set, the others stay.
    Update,
    /// It is what the message says, and nothing else.
    Replace,
    /// It is not there any more.
    Remove,
}

/// One item of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// `patient`, `visit` or `observation`.
    pub kind: &'static str,
    /// The patient's identifier.
    pub patient: String,
    /// The item's own key within its kind.
    pub key: String,
    /// What happens to it.
    pub change: Change,
    /// Its fields.
    pub fields: Fields,
}

/// The columns of a kind, as a mapping file names them.
#[must_use]
pub fn columns(kind: &str) -> &'static [&'static str] {
    match kind {
        "patient" => &["patient_id", "birth_date", "sex", "race", "deceased_at", "deceased", "updated_at"],
        "visit" => &[
            "patient_id",
            "visit_id",
            "class",
            "location",
            "admission_type",
            "service",
            "disposition",
            "admitted_at",
            "discharged_at",
            "updated_at",
        ],
        "observation" => &[
            "patient_id",
            "observation_id",
            "visit_id",
            "order_code",
            "code",
            "code_system",
            "value_type",
            "value",
            "unit",
            "abnormal",
            "status",
            "observed_at",
            "updated_at",
        ],
        _ => &[],
    }
}
