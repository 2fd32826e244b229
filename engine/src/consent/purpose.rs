//! Purposes of use: the permissions of the Data Use Ontology (DUO) and what they allow.
//!
//! Source: Lawson et al., "The Data Use Ontology to streamline responsible access to human biomedical datasets", Cell
//! Genomics 2021, and the definitions of the terms (release 2021-02-23). The order below follows the definitions: no
//! restriction allows every use; general research use allows research for any purpose; health research allows health,
//! medical and biomedical research but not the study of ancestry; disease-specific research allows research on one
//! disease. Clinical care stands beside research. Of the modifiers (not for profit, ethics approval, ...) none is a
//! purpose: what Ward cannot check it does not take for granted.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A permission of DUO.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Permission {
    NoRestriction,
    GeneralResearch,
    HealthResearch,
    DiseaseSpecific,
    Ancestry,
    ClinicalCare,
}

const PERMISSIONS: [(Permission, u32, &str, &str); 6] = [
    (Permission::NoRestriction, 4, "NRES", "no restriction"),
    (Permission::GeneralResearch, 42, "GRU", "general research use"),
    (Permission::HealthResearch, 6, "HMB", "health, medical or biomedical research"),
    (Permission::DiseaseSpecific, 7, "DS", "disease-specific research"),
    (Permission::Ancestry, 11, "POA", "research on population origins or ancestry"),
    (Permission::ClinicalCare, 43, "CC", "clinical care"),
];

/// A purpose: a permission of DUO, and for disease-specific research the disease (a MONDO number).
///
/// Written `DUO:0000042`, `DUO:0000007/MONDO:0004992`; the short forms of DUO (`GRU`) and its addresses
/// (`http://purl.obolibrary.org/obo/DUO_0000042`) are read too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Purpose {
    permission: Permission,
    /// MONDO number; 0 where no disease is named.
    disease: u32,
}

/// A text that names no purpose.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no purpose")]
pub struct PurposeError(pub String);

impl PurposeError {
    /// What to write instead.
    pub const HINT: &str = "a purpose is DUO:0000042 (general research), DUO:0000006 (health research), \
                            DUO:0000007/MONDO:0004992 (research on a disease), DUO:0000011 (ancestry), DUO:0000043 \
                            (clinical care) or DUO:0000004 (no restriction)";
}

impl Purpose {
    /// General research use.
    pub const GENERAL_RESEARCH: Self = Self { permission: Permission::GeneralResearch, disease: 0 };
    /// Health, medical or biomedical research.
    pub const HEALTH_RESEARCH: Self = Self { permission: Permission::HealthResearch, disease: 0 };
    /// Clinical care.
    pub const CLINICAL_CARE: Self = Self { permission: Permission::ClinicalCare, disease: 0 };

    /// Reads a purpose.
    ///
    /// # Errors
    /// [`PurposeError`] for another text, modifiers of DUO among them.
    pub fn parse(text: &str) -> Result<Self, PurposeError> {
        let unknown = || PurposeError(text.chars().take(80).collect());
        let (code, disease) = text.trim().split_once('/').unwrap_or((text.trim(), ""));
        // Addresses have slashes of their own.
        let (code, disease) = match text.trim().rsplit_once("/obo/DUO_") {
            Some((_, rest)) => rest.split_once('/').unwrap_or((rest, "")),
            None => {
                (code.strip_prefix("DUO:").or_else(|| code.strip_prefix("DUO_")).unwrap_or(code), disease)
            }
        };
        let permission = PERMISSIONS
            .iter()
            .find(|(_, number, short, _)| *short == code || (code.len() == 7 && code.parse() == Ok(*number)))
            .map(|(permission, ..)| *permission)
            .ok_or_else(unknown)?;
        let disease = match disease {
            "" => 0,
            name if permission == Permission::DiseaseSpecific => {
                let number = name.strip_prefix("MONDO:").filter(|number| number.len() == 7);
                number.and_then(|n| n.parse().ok()).filter(|number| *number > 0).ok_or_else(unknown)?
            }
            _ => return Err(unknown()),
        };
        Ok(Self { permission, disease })
    }

    /// True when who permits this purpose permits the other: the other is the same or narrower.
    #[must_use]
    pub fn covers(self, other: Self) -> bool {
        use Permission as P;
        self == other
            || match self.permission {
                P::NoRestriction => true,
                P::GeneralResearch => matches!(
                    other.permission,
                    P::GeneralResearch | P::HealthResearch | P::DiseaseSpecific | P::Ancestry
                ),
                P::HealthResearch => matches!(other.permission, P::HealthResearch | P::DiseaseSpecific),
                P::DiseaseSpecific | P::Ancestry | P::ClinicalCare => false,
            }
    }

    /// True when some use falls under both.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        let same_research =
            self.permission == Permission::DiseaseSpecific && self.permission == other.permission;
        self.covers(other)
            || other.covers(self)
            || (same_research && (self.disease == 0 || other.disease == 0))
    }

    /// What it is, for people.
    #[must_use]
    pub fn label(self) -> &'static str {
        PERMISSIONS.iter().find(|(p, ..)| *p == self.permission).map_or("", |(.., label)| label)
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = PERMISSIONS.iter().find(|(p, ..)| *p == self.permission).map_or(0, |(_, n, ..)| *n);
        write!(f, "DUO:{number:07}")?;
        if self.disease > 0 { write!(f, "/MONDO:{:07}", self.disease) } else { Ok(()) }
    }
}

impl std::str::FromStr for Purpose {
    type Err = PurposeError;

    fn from_str(text: &str) -> Result<Self, PurposeError> {
        Self::parse(text)
    }
}

impl Serialize for Purpose {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Purpose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Purpose> {
        let texts = ["NRES", "GRU", "HMB", "DS", "DS/MONDO:0004992", "DS/MONDO:0005148", "POA", "CC"];
        texts.iter().map(|text| Purpose::parse(text).unwrap()).collect()
    }

    #[test]
    fn every_way_to_write_a_purpose_is_the_same_purpose() {
        for text in
            ["DUO:0000042", "GRU", "DUO_0000042", "http://purl.obolibrary.org/obo/DUO_0000042", " GRU "]
        {
            assert_eq!(Purpose::parse(text), Ok(Purpose::GENERAL_RESEARCH), "{text}");
        }
        for purpose in all() {
            assert_eq!(Purpose::parse(&purpose.to_string()), Ok(purpose));
        }
    }

    #[test]
    fn modifiers_and_other_texts_are_no_purposes() {
        for text in
            ["", "DUO:0000018", "DUO:42", "research", "GRU/MONDO:0004992", "DS/MONDO:1", "DS/x", "DUO:"]
        {
            assert!(Purpose::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn purposes_cover_what_their_definitions_say() {
        let [nres, gru, hmb, ds, cancer, diabetes, poa, cc] = all().try_into().unwrap();
        let table: [(Purpose, &[Purpose]); 8] = [
            (nres, &[nres, gru, hmb, ds, cancer, diabetes, poa, cc]),
            (gru, &[gru, hmb, ds, cancer, diabetes, poa]),
            (hmb, &[hmb, ds, cancer, diabetes]),
            (ds, &[ds]),
            (cancer, &[cancer]),
            (diabetes, &[diabetes]),
            (poa, &[poa]),
            (cc, &[cc]),
        ];
        for (purpose, covered) in table {
            for other in all() {
                assert_eq!(purpose.covers(other), covered.contains(&other), "{purpose} {other}");
                assert_eq!(purpose.overlaps(other), other.overlaps(purpose), "{purpose} {other}");
                assert!(!purpose.covers(other) || purpose.overlaps(other), "{purpose} {other}");
            }
        }
        assert!(ds.overlaps(cancer) && !cancer.overlaps(diabetes) && !hmb.overlaps(poa));
    }
}
