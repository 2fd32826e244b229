//! The engine's configuration: `engine.toml` in its folder, or nothing. Sections that are not there leave their part out.
//!
//! Paths in it are relative to the file. Unknown settings are refused.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::attestation::verify::{EVALUATED_DAYS, REVOCATIONS_DAYS};
use crate::identity::bearer::config::IdentityConfig;
use crate::problem::{Problem, ProblemKind};

/// Largest file that is read, in bytes.
const BYTES_MAX: u64 = 1 << 20;

/// What an engine is told by its operator.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineConfig {
    /// Attestations that it registers; without it, none.
    #[serde(default)]
    pub attestations: Option<AttestationsConfig>,
    /// By what proofs of contributions are verified; without it no query may ask for them.
    #[serde(default)]
    pub proofs: Option<ProofsConfig>,
    /// Where its log is anchored.
    #[serde(default)]
    pub ledger: LedgerConfig,
    /// How people and services authenticate.
    #[serde(default)]
    pub identity: IdentityConfig,
    /// Whether queries belong to studies.
    #[serde(default)]
    pub studies: StudiesConfig,
}

/// What the consortium asks of queries; each hospital may ask for more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudiesConfig {
    /// A query that names no study is refused.
    #[serde(default)]
    pub required: bool,
}

/// Proofs of contributions (`WITH PROOFS`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProofsConfig {
    /// Folder with the key (`ward attest key`); the proving key is not needed.
    pub key: PathBuf,
    /// Allows a key that one party made alone.
    #[serde(default)]
    pub development_key: bool,
}

/// Attestations of eligibility: by what they are verified, and for whom they are registered.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttestationsConfig {
    /// Folder with the circuit's key (`ward attest key`); the proving key is not needed.
    pub key: PathBuf,
    /// The issuers that are accepted (`ward attest registry`), read anew for every job; or `issuers`.
    #[serde(default)]
    pub registry: Option<PathBuf>,
    /// Names of the issuers that are accepted, as they published last in this engine's log; or `registry`.
    #[serde(default)]
    pub issuers: Vec<String>,
    /// Allows a key that one party made alone.
    #[serde(default)]
    pub development_key: bool,
    /// Most days between the evaluation of the criteria and today.
    #[serde(default = "evaluated_days")]
    pub evaluated_days_max: u32,
    /// Most days since the issuers' revocations were published.
    #[serde(default = "revocations_days")]
    pub revocations_days_max: u32,
    /// The names for which attestations are registered.
    #[serde(default)]
    pub audience: Vec<AudienceConfig>,
}

fn evaluated_days() -> u32 {
    EVALUATED_DAYS
}
fn revocations_days() -> u32 {
    REVOCATIONS_DAYS
}

/// A name that proofs are made for, and who may register them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AudienceConfig {
    /// The name, as requests have it (`https://sponsor.example`).
    pub name: String,
    /// The chain that requests name; 0 for none.
    #[serde(default)]
    pub chain_id: u64,
    /// Members who may submit what was made for it.
    pub members: Vec<String>,
}

/// Where the log is anchored besides.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerConfig {
    /// A chain (docs/operating/evm.md).
    #[cfg(feature = "evm")]
    #[serde(default)]
    pub evm: Option<crate::ledger::evm::EvmConfig>,
}

impl EngineConfig {
    /// Reads `engine.toml` of a folder; the defaults when there is none.
    ///
    /// # Errors
    /// `engine.config` with what is wrong, and where.
    pub fn load(folder: &Path) -> Result<Self, Problem> {
        let path = folder.join("engine.toml");
        if !path.exists() {
            return Ok(Self::default());
        }
        let bad = |what: &dyn std::fmt::Display| {
            Problem::new(ProblemKind::Validation, "engine.config", format!("{}: {what}", path.display()))
                .hint("docs/reference/config.md lists every setting")
        };
        let length = std::fs::metadata(&path).map_err(|e| bad(&e))?.len();
        if length > BYTES_MAX {
            return Err(bad(&format!("{length} bytes, at most {BYTES_MAX} expected")));
        }
        let text = std::fs::read_to_string(&path).map_err(|e| bad(&e))?;
        let mut config: Self = toml::from_str(&text).map_err(|e| bad(&e.to_string().trim_end()))?;
        if let Some(oidc) = &mut config.identity.oidc
            && let Some(file) = &mut oidc.ca_file
        {
            *file = folder.join(&*file);
        }
        if let Some(proofs) = &mut config.proofs {
            proofs.key = folder.join(&proofs.key);
        }
        if let Some(attestations) = &mut config.attestations {
            attestations.key = folder.join(&attestations.key);
            if let Some(registry) = &mut attestations.registry {
                *registry = folder.join(&*registry);
            }
            if attestations.registry.is_some() != attestations.issuers.is_empty() {
                return Err(bad(&"[attestations] wants either a registry or issuers"));
            }
            if attestations.audience.iter().any(|audience| audience.name.is_empty()) {
                return Err(bad(&"an audience without a name"));
            }
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<EngineConfig, Problem> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("engine.toml"), text).unwrap();
        EngineConfig::load(folder.path())
    }

    #[test]
    fn a_folder_without_the_file_registers_and_anchors_nothing() {
        let folder = tempfile::tempdir().unwrap();
        assert!(EngineConfig::load(folder.path()).unwrap().attestations.is_none());
    }

    #[test]
    fn settings_are_read_and_paths_are_relative_to_the_file() {
        let text = "[attestations]\nkey = \"key\"\nregistry = \"registry.json\"\n\
                    [[attestations.audience]]\nname = \"https://sponsor.example\"\nmembers = [\"ada\"]\n";
        let attestations = load(text).unwrap().attestations.unwrap();
        assert!(attestations.key.is_absolute() && attestations.key.ends_with("key"));
        assert_eq!((attestations.evaluated_days_max, attestations.development_key), (EVALUATED_DAYS, false));
        assert_eq!(attestations.audience[0].members, ["ada"]);
    }

    #[test]
    fn an_unknown_setting_is_refused_with_its_line() {
        for issuers in ["", "registry = \"r\"\nissuers = [\"north\"]\n"] {
            let refused = load(&format!("[attestations]\nkey = \"k\"\n{issuers}")).unwrap_err();
            assert!(refused.message.contains("either a registry or issuers"), "{refused}");
        }
        let refused = load("[attestations]\nkey = \"k\"\nregistry = \"r\"\nregistrar = 1\n").unwrap_err();
        assert_eq!(refused.code, "engine.config");
        assert!(refused.message.contains("registrar") && refused.message.contains("line 4"), "{refused}");
        assert_eq!(load("[[attestations.audience]]\nname = \"\"\n").unwrap_err().code, "engine.config");
    }
}
