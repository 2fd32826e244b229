//! The party node's one TOML file, read into types that cannot be wrong.
//!
//! Paths in it are relative to the file itself. `docs/operating/party.example.toml` shows every setting.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::decimal::Decimal;
use super::policy::Policy;
use super::proved::{ProofConfig, ProofSettings};
use super::{databases, proved, raw, tables};
use crate::attestation::prove;
use crate::consent::{Purpose, PurposeError, Regime};
use crate::party::connect::Proxy;
use crate::party::documents::{DocumentsConfig, Scanner, ShelfConfig};
use crate::party::mesh::MeshSettings;
use crate::party::messages::MessageSettings;
use crate::party::proving::ProvingSettings;
use crate::query::catalogue::Column;
use crate::records::source::RecordsSource;
use crate::vault::ProviderConfig;

/// Largest configuration file that is read, in bytes.
const BYTES_MAX: u64 = 1 << 20;

/// A party node's configuration.
#[derive(Clone, Debug)]
pub struct PartyConfig {
    /// The hospital's name; `None` takes the name in the certificate.
    pub name: Option<String>,
    /// Folder of the node's own state (keys, store).
    pub data_dir: PathBuf,
    /// Proxy for the connection to the engine.
    pub proxy: Option<Proxy>,
    /// How it meets the other nodes of a computation.
    pub mesh: MeshSettings,
    /// Where the key that seals the keys at rest comes from.
    pub seal_key: SealKey,
    /// Where the keys are that wrap the keys of patients' records.
    pub kek: ProviderConfig,
    /// Proving for the house's own clinicians; none without the section.
    pub proving: Option<ProvingSettings>,
    /// With which key contributions are proved; none without the section.
    pub proofs: Option<ProofSettings>,
    /// Taking HL7 v2 messages; none without the section.
    pub messages: Option<MessageSettings>,
    /// The published tables.
    pub tables: Vec<TableConfig>,
    /// What may be asked.
    pub policy: Policy,
    /// Whose rows may be used.
    pub consent: ConsentConfig,
    /// Where notices are posted.
    pub webhook: Option<String>,
    /// Documents of patients.
    pub documents: DocumentsConfig,
}

/// How the hospital asks for consent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsentConfig {
    /// What a patient without any statement means.
    pub regime: Regime,
    /// The purpose of a query that names none; without it such a query is refused.
    pub purpose: Option<Purpose>,
    /// How FHIR Consents are read; `None` takes the shipped mapping.
    pub mapping: Option<PathBuf>,
    /// What it means for sharing a record, which leaves the house readable, that a patient has said nothing.
    pub sharing: Regime,
}

/// Where the seal key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SealKey {
    /// A file that holds it.
    File(PathBuf),
    /// An environment variable of this name that holds it.
    Env(String),
}

/// Where a table's rows are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A CSV file with a heading line; gzip where its name ends in `.gz`.
    Csv(PathBuf),
    /// A Parquet file.
    Parquet(PathBuf),
    /// Records through a mapping file.
    Records(RecordsSource),
}

impl Source {
    /// True where the rows are read into memory once, and not scanned for every query.
    #[must_use]
    pub fn is_held(&self) -> bool {
        match self {
            Self::Csv(path) => path.extension().is_some_and(|e| e == "gz"),
            Self::Parquet(_) => false,
            Self::Records(_) => true,
        }
    }

    /// What the file is, for people.
    #[must_use]
    pub fn format(&self) -> &'static str {
        match self {
            Self::Csv(_) => "CSV",
            Self::Parquet(_) => "Parquet",
            Self::Records(records) => records.format(),
        }
    }
}

/// A published table and how to read it.
#[derive(Clone, Debug)]
pub struct TableConfig {
    /// Name in the consortium's catalogue.
    pub name: String,
    /// One sentence for people.
    pub description: String,
    /// The rows.
    pub source: Source,
    /// Field delimiter of a CSV file.
    pub delimiter: u8,
    /// Texts that mean a missing value, besides the empty one.
    pub null_values: BTreeSet<String>,
    /// Upper bound on the number of rows.
    pub rows_max: u64,
    /// Data-use tags.
    pub data_use: Vec<String>,
    /// Most rows of one patient that enter a query with noise.
    pub rows_per_patient_max: u32,
    /// Source column that names the patient; never published.
    pub patient: Option<String>,
    /// Class of the data, as consents name it.
    pub data_class: Option<String>,
    /// The published columns.
    pub columns: Vec<ColumnConfig>,
    /// What contributions are proved over.
    pub proofs: Vec<ProofConfig>,
}

impl TableConfig {
    /// The column of that catalogue name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&ColumnConfig> {
        self.columns.iter().find(|c| c.column.name == name)
    }
}

/// A published column and how its values are mapped: raw text, then `values`, then `scale` and `offset`, then
/// rounding to the fixed point, then the bounds.
#[derive(Clone, Debug, Serialize)]
pub struct ColumnConfig {
    /// The definition that is published.
    pub column: Column,
    /// Name in the source.
    pub source: String,
    /// Raw text to the catalogue's text.
    pub values: BTreeMap<String, String>,
    /// Factor of the unit conversion.
    pub scale: Decimal,
    /// Summand of the unit conversion, in the catalogue's unit.
    pub offset: Decimal,
    /// Class of the data, where it is another than the table's.
    #[serde(skip)]
    pub data_class: Option<String>,
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}: {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// It is not TOML, or has a field that is unknown, missing or of another type.
    #[error("{path}:{line}: {message}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// A setting makes no sense.
    #[error("{path}:{line}: {section}: {message}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Which table, column or section.
        section: String,
        /// What is wrong.
        message: String,
        /// What to do.
        hint: String,
    },
}

impl ConfigError {
    /// Stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "config.unreadable",
            Self::Syntax { .. } => "config.syntax",
            Self::Invalid { .. } => "config.invalid",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &str {
        match self {
            Self::Unreadable { .. } => "give the path of the party's TOML file, readable by this user",
            Self::Syntax { .. } => {
                "compare the line with the annotated example in docs/operating/party.example.toml"
            }
            Self::Invalid { hint, .. } => hint,
        }
    }
}

impl PartyConfig {
    /// Reads and checks a configuration file; data sources are not opened yet.
    ///
    /// # Errors
    /// [`ConfigError`] with the line and a hint.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |reason: String| ConfigError::Unreadable {
            path: path.to_path_buf(),
            reason: reason.to_lowercase(),
        };
        let mut text = String::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(BYTES_MAX + 1).read_to_string(&mut text))
            .map_err(|error| unreadable(error.kind().to_string()))?;
        if text.len() as u64 > BYTES_MAX {
            return Err(unreadable(format!("it is larger than {BYTES_MAX} bytes")));
        }
        Self::from_text(&text, path)
    }

    /// Checks the text of a configuration that stands at `path`.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn from_text(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let file: raw::File = toml::from_str(text).map_err(|error| ConfigError::Syntax {
            path: path.to_path_buf(),
            line: error.span().map_or(1, |span| line_of(text, span.start)),
            message: error.message().replace('\n', " "),
        })?;
        let checker = Checker { path, text, section: "party".into() };
        checker.file(file)
    }

    /// The table of that catalogue name.
    #[must_use]
    pub fn table(&self, name: &str) -> Option<&TableConfig> {
        self.tables.iter().find(|t| t.name == name)
    }
}

/// Turns raw shapes into checked ones, and knows where they stood.
pub(super) struct Checker<'a> {
    path: &'a Path,
    text: &'a str,
    section: String,
}

impl Checker<'_> {
    /// The same for another section.
    pub(super) fn within(&self, section: String) -> Checker<'_> {
        Checker { path: self.path, text: self.text, section }
    }

    pub(super) fn invalid(&self, span: &Range<usize>, message: String, hint: &str) -> ConfigError {
        ConfigError::Invalid {
            path: self.path.to_path_buf(),
            line: line_of(self.text, span.start),
            section: self.section.clone(),
            message,
            hint: hint.into(),
        }
    }

    /// A path of the file, relative to the file's folder.
    pub(super) fn resolve(&self, path: &Path) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(path)
    }

    fn file(&self, file: raw::File) -> Result<PartyConfig, ConfigError> {
        let name = match file.party.name {
            Some(name) if !is_hospital_name(name.get_ref()) => {
                let message =
                    format!("the name `{}` is not 1 to 64 letters, digits, `.`, `_` or `-`", name.get_ref());
                return Err(self.invalid(
                    &name.span(),
                    message,
                    "leave it out to take the certificate's name",
                ));
            }
            name => name.map(toml::Spanned::into_inner),
        };
        let data_dir = self.resolve(&file.party.data_dir);
        let network = self.within("network".into());
        let proxy = match file.network.proxy {
            Some(text) => Some(Proxy::parse(text.get_ref()).map_err(|error| {
                network.invalid(&text.span(), error.to_string(), "write proxy = \"http://host:port\"")
            })?),
            None => None,
        };
        let mesh = self.within("mesh".into()).mesh(file.mesh)?;
        let keys = self.within("keys".into());
        let seal_key = match file.keys.seal_key {
            None => SealKey::File(data_dir.join("seal.key")),
            Some(raw::SealKey::File(path)) => SealKey::File(self.resolve(&path)),
            Some(raw::SealKey::Env(name))
                if name.get_ref().is_empty() || name.get_ref().contains(['=', '\0']) =>
            {
                let hint = "write seal_key = { env = \"WARD_SEAL_KEY\" }";
                return Err(keys.invalid(&name.span(), "no name of an environment variable".into(), hint));
            }
            Some(raw::SealKey::Env(name)) => SealKey::Env(name.into_inner()),
        };
        let kek = file.keys.kek.within(self.path.parent().unwrap_or(Path::new("")));
        let proving = file.proving.map(|raw| ProvingSettings {
            socket: raw.socket.map_or_else(|| data_dir.join("prove.sock"), |path| self.resolve(&path)),
            is_for_group: raw.group,
            key: self.resolve(&raw.key),
            registry: self.resolve(&raw.registry),
            allows_development_key: raw.development_key,
            policy: prove::Policy { studies: raw.studies, audiences: raw.audiences },
        });
        let proofs = file.proofs.map(|raw| ProofSettings::of(self, &raw));
        let (messages, kept) = databases::check_hl7(self, file.hl7, (&data_dir, &seal_key, &kek))?;
        let origins = databases::Origins { databases: databases::check(self, file.postgres)?, kept };
        let tables = tables::check(self, file.table, &origins)?;
        let policy = tables::check_policy(&self.within("policy".into()), file.policy, &tables)?;
        let consent = self.within("consent".into()).consent(file.consent, &tables)?;
        proved::check_all(&self.within("proofs".into()), proofs.as_ref(), &tables, (&policy, &consent))?;
        let webhook = self.within("notify".into()).webhook(file.notify)?;
        let documents = self.within("documents".into()).documents(file.documents, &data_dir)?;
        Ok(PartyConfig {
            documents,
            name,
            data_dir,
            proxy,
            mesh,
            seal_key,
            kek,
            proving,
            proofs,
            messages,
            tables,
            policy,
            consent,
            webhook,
        })
    }

    fn documents(&self, raw: raw::Documents, data_dir: &Path) -> Result<DocumentsConfig, ConfigError> {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let shelf = match raw.store {
            None => ShelfConfig::Folder(data_dir.join("documents")),
            Some(store) => store.within(folder),
        };
        let bytes_max = match raw.bytes_max {
            None => DocumentsConfig::BYTES_MAX,
            Some(limit) if (1..=DocumentsConfig::BYTES_MAX_MAX).contains(limit.get_ref()) => {
                limit.into_inner()
            }
            Some(limit) => {
                let message = format!("bytes_max is 1 to {}", DocumentsConfig::BYTES_MAX_MAX);
                return Err(self.invalid(
                    &limit.span(),
                    message,
                    "documents are sealed in memory, one at a time",
                ));
            }
        };
        let scanner = match raw.scanner {
            None => None,
            Some(command) if command.get_ref().first().is_none_or(String::is_empty) => {
                let hint = "write scanner = [\"clamdscan\", \"--no-summary\", \"-\"]";
                return Err(self.invalid(&command.span(), "no program".to_owned(), hint));
            }
            Some(command) => {
                let time_limit =
                    raw.scanner_limit_s.map_or(DocumentsConfig::SCANNER_LIMIT, Duration::from_secs);
                Some(Scanner { command: command.into_inner(), time_limit })
            }
        };
        Ok(DocumentsConfig { shelf, bytes_max, types: raw.types, scanner })
    }

    fn consent(&self, raw: raw::Consent, tables: &[TableConfig]) -> Result<ConsentConfig, ConfigError> {
        let purpose = raw.purpose.map(|text| {
            Purpose::parse(text.get_ref())
                .map_err(|error| self.invalid(&text.span(), error.to_string(), PurposeError::HINT))
        });
        if raw.regime != Regime::None {
            let lacks = tables.iter().find(|table| table.patient.is_none() || table.data_class.is_none());
            if let Some(table) = lacks {
                let what = if table.patient.is_none() { "patient" } else { "data_class" };
                let message = format!("table `{}` has no {what}: nobody's consent can be asked", table.name);
                let hint = "add patient = \"COLUMN\" and data_class = \"CLASS\" to the [[table]]";
                return Err(self.invalid(&(0..0), message, hint));
            }
        }
        let mapping = raw.mapping.map(|path| self.resolve(&path));
        let sharing = raw.sharing.unwrap_or(Regime::OptIn);
        Ok(ConsentConfig { regime: raw.regime, purpose: purpose.transpose()?, mapping, sharing })
    }

    fn webhook(&self, raw: raw::Notify) -> Result<Option<String>, ConfigError> {
        let Some(text) = raw.webhook else { return Ok(None) };
        let url = text.get_ref();
        let is_own = ["http://127.0.0.1", "http://localhost", "http://[::1]"].iter().any(|own| {
            url.strip_prefix(own).is_some_and(|rest| rest.starts_with(':') || rest.starts_with('/'))
        });
        let parses = url.parse::<tonic::transport::Uri>().is_ok_and(|uri| uri.host().is_some());
        if !parses || !(url.starts_with("https://") || is_own) {
            let message = "the webhook is no https address".to_owned();
            return Err(self.invalid(&text.span(), message, "write webhook = \"https://host/path\""));
        }
        Ok(Some(text.into_inner()))
    }

    fn mesh(&self, raw: raw::Mesh) -> Result<MeshSettings, ConfigError> {
        for text in raw.listen.iter().chain(&raw.address) {
            MeshSettings::check(text.get_ref()).map_err(|error| {
                self.invalid(&text.span(), error.to_string(), "write listen = \"0.0.0.0:7443\"")
            })?;
        }
        if let (None, Some(address)) = (&raw.listen, &raw.address) {
            let message = "an address without listen: nobody would answer there".to_owned();
            return Err(self.invalid(&address.span(), message, "add listen = \"0.0.0.0:7443\""));
        }
        Ok(MeshSettings {
            listen: raw.listen.map(toml::Spanned::into_inner),
            address: raw.address.map(toml::Spanned::into_inner),
            is_direct: raw.direct.unwrap_or(true),
        })
    }
}

fn is_hospital_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes().iter().take(at).filter(|b| **b == b'\n').count() + 1
}
