//! The standards: what kinds of item each has, who the patient of one is, when it happened, and its key.

use serde::Deserialize;

/// A standard and its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Standard {
    /// HL7 FHIR R4, one resource a line.
    #[serde(rename = "fhir-r4")]
    FhirR4,
    /// OMOP common data model 5.3.
    #[serde(rename = "omop-5.3")]
    Omop53,
    /// OMOP common data model 5.4.
    #[serde(rename = "omop-5.4")]
    Omop54,
    /// What HL7 v2 messages say.
    #[serde(rename = "hl7-v2")]
    Hl7V2,
}

/// One kind of item.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Its name: resource type or table.
    pub name: &'static str,
    /// Path of the patient's key.
    pub patient: &'static str,
    /// Path of the item's own key, by which it counts once; empty where every item counts.
    pub key: &'static str,
    /// Path of when it happened; empty where an item has no time.
    pub at: &'static str,
}

const fn kind(name: &'static str, patient: &'static str, key: &'static str, at: &'static str) -> Kind {
    Kind { name, patient, key, at }
}

const SUBJECT: &str = "subject.getReferenceKey(Patient)";

const FHIR: [Kind; 6] = [
    kind("Patient", "id", "id", ""),
    kind("Encounter", SUBJECT, "id", "period.start"),
    kind("Condition", SUBJECT, "id", "onset.ofType(dateTime) | onset.start | recordedDate"),
    kind(
        "Observation",
        SUBJECT,
        "id",
        "effective.ofType(dateTime) | effective.ofType(instant) | effective.start",
    ),
    kind("MedicationRequest", SUBJECT, "id", "authoredOn"),
    kind("Procedure", SUBJECT, "id", "performed.ofType(dateTime) | performed.start"),
];

/// Rows of the common data model are taken as they are: a database keeps their keys apart, and files that people ship
/// number different rows alike.
const OMOP: [Kind; 8] = [
    kind("person", "person_id", "", ""),
    kind("visit_occurrence", "person_id", "", "visit_start_date"),
    kind("condition_occurrence", "person_id", "", "condition_start_date"),
    kind("drug_exposure", "person_id", "", "drug_exposure_start_date"),
    kind("measurement", "person_id", "", "measurement_date"),
    kind("observation", "person_id", "", "observation_date"),
    kind("procedure_occurrence", "person_id", "", "procedure_date"),
    kind("concept", "", "", ""),
];

const HL7: [Kind; 3] = [
    kind("patient", "patient_id", "patient_id", ""),
    kind("visit", "patient_id", "visit_id", "admitted_at"),
    kind("observation", "patient_id", "observation_id", "observed_at"),
];

impl Standard {
    /// Its kinds.
    #[must_use]
    pub fn kinds(self) -> &'static [Kind] {
        match self {
            Self::FhirR4 => &FHIR,
            Self::Omop53 | Self::Omop54 => &OMOP,
            Self::Hl7V2 => &HL7,
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn kind(self, name: &str) -> Option<&'static Kind> {
        self.kinds().iter().find(|kind| kind.name == name)
    }

    /// As a mapping file names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FhirR4 => "fhir-r4",
            Self::Omop53 => "omop-5.3",
            Self::Omop54 => "omop-5.4",
            Self::Hl7V2 => "hl7-v2",
        }
    }

    /// True when an item of this kind names a column of that name; resources may have any element.
    #[must_use]
    pub fn may_have(self, kind: &str, column: &str) -> bool {
        match self {
            Self::FhirR4 => true,
            Self::Omop53 | Self::Omop54 => super::omop::columns(self, kind).any(|name| name == column),
            Self::Hl7V2 => super::hl7::columns(kind).contains(&column),
        }
    }
}
