//! The shapes of the TOML file, before anything is checked. Unknown fields are refused.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use crate::consent::Regime;
use crate::party::documents::ShelfConfig;
use crate::query::catalogue::{ColumnKind, OutOfBounds};
use crate::vault::ProviderConfig;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub party: Party,
    #[serde(default)]
    pub network: Network,
    #[serde(default)]
    pub mesh: Mesh,
    #[serde(default)]
    pub keys: Keys,
    pub proving: Option<Proving>,
    pub proofs: Option<Proofs>,
    #[serde(default)]
    pub postgres: BTreeMap<String, Postgres>,
    pub hl7: Option<Hl7>,
    #[serde(default)]
    pub table: Vec<Table>,
    #[serde(default)]
    pub policy: Policy,
    #[serde(default)]
    pub consent: Consent,
    #[serde(default)]
    pub notify: Notify,
    #[serde(default)]
    pub documents: Documents,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Documents {
    pub store: Option<ShelfConfig>,
    pub bytes_max: Option<Spanned<u64>>,
    #[serde(default)]
    pub types: Vec<String>,
    pub scanner: Option<Spanned<Vec<String>>>,
    pub scanner_limit_s: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Consent {
    #[serde(default)]
    pub regime: Regime,
    pub purpose: Option<Spanned<String>>,
    pub mapping: Option<PathBuf>,
    pub sharing: Option<Regime>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Party {
    pub name: Option<Spanned<String>>,
    pub data_dir: PathBuf,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Network {
    pub proxy: Option<Spanned<String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mesh {
    pub listen: Option<Spanned<String>>,
    pub address: Option<Spanned<String>>,
    pub direct: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Proving {
    pub socket: Option<PathBuf>,
    #[serde(default)]
    pub group: bool,
    pub key: PathBuf,
    pub registry: PathBuf,
    #[serde(default)]
    pub development_key: bool,
    #[serde(default)]
    pub studies: Vec<String>,
    #[serde(default)]
    pub audiences: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Proofs {
    pub key: PathBuf,
    #[serde(default)]
    pub development_key: bool,
}

/// `[[table.proof]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Proof {
    pub columns: Spanned<Vec<String>>,
    pub value: Option<Spanned<String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Keys {
    pub seal_key: Option<SealKey>,
    #[serde(default)]
    pub kek: ProviderConfig,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum SealKey {
    File(PathBuf),
    Env(Spanned<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    pub name: Spanned<String>,
    #[serde(default)]
    pub description: String,
    pub source: Source,
    pub delimiter: Option<Spanned<String>>,
    pub null_values: Option<Vec<String>>,
    pub rows_max: Spanned<u64>,
    #[serde(default)]
    pub data_use: Vec<String>,
    pub patient: Option<String>,
    pub rows_per_patient_max: Option<Spanned<u32>>,
    pub data_class: Option<Spanned<String>>,
    #[serde(default)]
    pub column: Vec<Column>,
    #[serde(default)]
    pub proof: Vec<Proof>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Source {
    Csv(PathBuf),
    Parquet(PathBuf),
    Fhir(Mapped),
    Omop(Mapped),
    Postgres(FromDatabase),
    Hl7(FromMessages),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FromMessages {
    pub mapping: Spanned<PathBuf>,
    pub table: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Hl7 {
    pub listen: Option<Spanned<String>>,
    pub authority: Option<String>,
    pub processing: Option<String>,
    pub bytes_max: Option<Spanned<usize>>,
    pub refresh_s: Option<u64>,
    pub classes: Option<Spanned<BTreeMap<String, String>>>,
}

/// Tables of a database, and how a table is made of them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FromDatabase {
    pub connection: Spanned<String>,
    pub mapping: PathBuf,
    pub table: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Postgres {
    pub host: Spanned<String>,
    pub port: Option<u16>,
    pub database: String,
    pub user: String,
    pub password: Option<SealKey>,
    pub schema: Option<String>,
    pub ca: Option<PathBuf>,
    pub refresh_s: Option<u64>,
}

/// A folder of records, and how a table is made of them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mapped {
    pub folder: PathBuf,
    pub mapping: PathBuf,
    pub table: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Column {
    pub name: Spanned<String>,
    pub source: Option<String>,
    pub kind: ColumnKind,
    pub digits: Option<u8>,
    #[serde(default)]
    pub unit: String,
    pub min: Option<Number>,
    pub max: Option<Number>,
    #[serde(default)]
    pub codes: Vec<Code>,
    #[serde(default)]
    pub values: BTreeMap<String, Code>,
    pub scale: Option<Number>,
    pub offset: Option<Number>,
    #[serde(default)]
    pub out_of_bounds: OutOfBounds,
    #[serde(default)]
    pub description: String,
    pub data_class: Option<Spanned<String>>,
}

/// A number as written in TOML, or as a decimal text.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Number {
    Whole(i64),
    Float(f64),
    Text(String),
}

/// A code as a text; a whole number stands for its text.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Code {
    Text(String),
    Whole(i64),
}

impl Code {
    pub(super) fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Whole(value) => value.to_string(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Policy {
    #[serde(default = "one")]
    pub floor: Spanned<u32>,
    #[serde(default)]
    pub rounding: bool,
    pub statistics: Option<Vec<Spanned<String>>>,
    #[serde(default)]
    pub by_hospital: bool,
    #[serde(default)]
    pub approval: super::policy::ApprovalMode,
    #[serde(default = "one")]
    pub km_step_min: Spanned<u32>,
    #[serde(default = "two")]
    pub hospitals_min: Spanned<u32>,
    #[serde(default)]
    pub compute_nodes: Vec<String>,
    pub privacy: Option<Spanned<super::privacy::RawPrivacy>>,
    #[serde(default)]
    pub table: Vec<PolicyTable>,
    #[serde(default)]
    pub user: Vec<PolicyUser>,
    #[serde(default)]
    pub studies: Studies,
    #[serde(default = "one")]
    pub study_approvals: Spanned<u32>,
    #[serde(default)]
    pub admin: Vec<PolicyAdmin>,
}

/// Whether queries must belong to a study.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Studies {
    #[default]
    Optional,
    Required,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyAdmin {
    pub name: Spanned<String>,
    pub key: Spanned<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Notify {
    pub webhook: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyTable {
    pub name: Spanned<String>,
    pub allow: Option<Vec<Spanned<String>>>,
    #[serde(default)]
    pub deny: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyUser {
    pub name: Spanned<String>,
    pub key: Option<Spanned<String>>,
}

fn one() -> Spanned<u32> {
    Spanned::new(0..0, 1)
}

fn two() -> Spanned<u32> {
    Spanned::new(0..0, 2)
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            floor: one(),
            rounding: false,
            statistics: None,
            by_hospital: false,
            approval: super::policy::ApprovalMode::default(),
            km_step_min: one(),
            hospitals_min: two(),
            compute_nodes: Vec::new(),
            privacy: None,
            table: Vec::new(),
            user: Vec::new(),
            studies: Studies::default(),
            study_approvals: one(),
            admin: Vec::new(),
        }
    }
}
