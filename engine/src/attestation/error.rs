//! What can be wrong with credentials and attestations: each failure its own code, with a hint.

use ward_circuits::criteria::{CriteriaError, Date, Unmet};
use ward_circuits::eligibility::{CredentialError, Violation};
use ward_circuits::groth16::{KeyId, VerifyError};

use super::jws::JwsError;
use super::mapping::MappingError;
use super::records::RecordsError;
use super::sd_jwt::SdJwtError;
use crate::clock::utc;
use crate::identity::{DidError, IdentityError};
use crate::ledger::LedgerError;

/// Why something about a credential or an attestation is refused. Nothing of a patient is in it, except that
/// [`AttestationError::Unmet`] tells the prover, and nobody else, which clause fails.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttestationError {
    /// Not the file that it should be.
    #[error("not {what}: {reason}")]
    Malformed {
        /// What was due (`an attestation`).
        what: &'static str,
        /// What is malformed.
        reason: String,
    },
    /// A file of a version that this software does not know.
    #[error("{what} of version {found}, and version {known} is known here")]
    Version {
        /// What it is.
        what: &'static str,
        /// Found.
        found: u32,
        /// Known.
        known: u32,
    },
    /// An image of a code, of which only a scanner reads the text.
    #[error("an image, and not the text of its code")]
    Image,
    /// A file cannot be read or written.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// Criteria that do not parse.
    #[error("{0}")]
    Criteria(#[from] CriteriaError),
    /// Criteria whose text is not the canonical one.
    #[error("the criteria are not in canonical form")]
    NotCanonical,
    /// A schema that this software does not know.
    #[error("the schema {found} is not the one known here")]
    Schema {
        /// Its id.
        found: String,
    },
    /// The mapping, or a record.
    #[error(transparent)]
    Mapping(#[from] MappingError),
    /// The file of records.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// Identity keys and sealed files.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// An identifier, or its document.
    #[error(transparent)]
    Did(#[from] DidError),
    /// A signed token.
    #[error(transparent)]
    Token(#[from] JwsError),
    /// The credential's envelope.
    #[error(transparent)]
    Envelope(#[from] SdJwtError),
    /// The credential itself.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// A credential that does not say the same in words and in slots, or is not this holder's.
    #[error("the credential is refused: {reason}")]
    Inconsistent {
        /// Why.
        reason: &'static str,
    },
    /// A document of an issuer that does not hold.
    #[error("the {document} document of {issuer} is refused: {reason}")]
    Document {
        /// `issuer` or `revocations`.
        document: &'static str,
        /// The issuer, cut.
        issuer: String,
        /// Why.
        reason: &'static str,
    },
    /// Something that is there already, or is full.
    #[error("{reason}")]
    Conflict {
        /// What.
        reason: String,
    },
    /// Nothing of that name.
    #[error("there is no {what} {name:?}")]
    NotFound {
        /// What.
        what: &'static str,
        /// The name, cut.
        name: String,
    },
    /// The wrong passphrase, or a wallet that was changed.
    #[error("the wallet does not open")]
    Passphrase,
    /// The prover's own policy.
    #[error("the policy allows no proof for {what} {name:?}")]
    Policy {
        /// `study` or `audience`.
        what: &'static str,
        /// Its name, cut.
        name: String,
    },
    /// The claim is false.
    #[error("{0}")]
    Unmet(Unmet),
    /// Another condition of the statement does not hold.
    #[error("the credential does not serve: {0}")]
    Violation(Violation),
    /// No proof came out.
    #[error("no proof: {reason}")]
    Prove {
        /// Why.
        reason: String,
    },
    /// The key at hand is another than the one the attestation was made with.
    #[error("the attestation was made with the key {found}, and the key here is {expected}")]
    Key {
        /// The key here.
        expected: KeyId,
        /// The key of the attestation.
        found: KeyId,
    },
    /// A key that is none.
    #[error("the key file is refused: {reason}")]
    KeyFile {
        /// Why.
        reason: String,
    },
    /// A key that one party made alone.
    #[error("the key is a development key: whoever made it can forge attestations")]
    DevelopmentKey,
    /// The proof does not hold.
    #[error("the attestation does not hold: {0}")]
    Proof(VerifyError),
    /// Made for another request.
    #[error("the attestation answers another request")]
    Request,
    /// Made for another audience.
    #[error("the attestation is for {found:?}, not for {expected:?}")]
    Audience {
        /// This verifier.
        expected: String,
        /// The audience of the attestation, cut.
        found: String,
    },
    /// Made for another chain.
    #[error("the attestation is for chain {found}, not for chain {expected}")]
    Chain {
        /// This verifier's chain.
        expected: u64,
        /// The attestation's chain.
        found: u64,
    },
    /// The request has expired.
    #[error("the request expired at {}", utc(*.at_ms))]
    Expired {
        /// When.
        at_ms: u64,
    },
    /// The evaluation is too long ago.
    #[error("the criteria were evaluated on {evaluated}, and {earliest} is the earliest day accepted")]
    Stale {
        /// The evaluation date.
        evaluated: Date,
        /// The earliest accepted.
        earliest: Date,
    },
    /// The evaluation date lies ahead.
    #[error("the criteria were evaluated on {evaluated}, which is after today, {today}")]
    Future {
        /// The evaluation date.
        evaluated: Date,
        /// Today.
        today: Date,
    },
    /// Under a root of issuers that nobody vouches for.
    #[error("the attestation names issuers that are not among those accepted here")]
    UnknownIssuer,
    /// Issuers revoked credentials after the proof was made.
    #[error("issuers revoked credentials since the proof was made ({issuers})")]
    RevokedSince {
        /// Which, comma separated.
        issuers: String,
    },
    /// The list of revocations is too old to be relied upon.
    #[error("the revocations of {issuer} are of {}, too long ago", utc(*.issued_ms))]
    RevocationsStale {
        /// The issuer.
        issuer: String,
        /// When they were published.
        issued_ms: u64,
    },
    /// A publication that does not follow the issuer's earlier one.
    #[error("the publication of {issuer} is refused: {reason}")]
    Succession {
        /// The issuer, cut.
        issuer: String,
        /// Why.
        reason: &'static str,
    },
    /// A statement of what issuers published that does not hold.
    #[error("the statement of what issuers published is refused: {reason}")]
    Published {
        /// Why.
        reason: &'static str,
    },
    /// A registry that does not say what was published.
    #[error("the registry does not say what issuers published")]
    PublishedMissing,
    /// A statement of what issuers published that is too old to be relied upon, or of the future.
    #[error("what issuers published was stated at {}, not lately enough", utc(*.at_ms))]
    PublishedStale {
        /// When.
        at_ms: u64,
    },
    /// What a registry has of an issuer is not in the log.
    #[error("the log does not have what the registry has of {issuer}: {reason}")]
    Unpublished {
        /// The issuer, cut.
        issuer: String,
        /// What is there instead.
        reason: &'static str,
    },
    /// What a registry has of an issuer was replaced.
    #[error("the registry has publication {known} of {issuer}, and the log has {published}")]
    Outdated {
        /// The issuer, cut.
        issuer: String,
        /// The latest in the log.
        published: u64,
        /// That of the registry.
        known: u64,
    },
    /// The same attestation, or another proof of it, was registered before.
    #[error("this attestation was registered before")]
    Replay,
    /// The patient is counted in the study already.
    #[error("this patient is counted in the study already")]
    DoubleCount,
    /// Something that must not leave its hospital.
    #[error("this is no attestation: it has {what}, which must not leave the hospital")]
    Witness {
        /// What of a witness it has.
        what: String,
    },
    /// The transparency log does not have it.
    #[error("the log's proof does not hold: {0}")]
    Log(LedgerError),
}

impl AttestationError {
    /// A stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "attest.malformed",
            Self::Version { .. } => "attest.version",
            Self::Image => "attest.image",
            Self::File { .. } => "attest.file",
            Self::Criteria(error) => error.code(),
            Self::NotCanonical => "attest.canonical",
            Self::Schema { .. } => "attest.schema",
            Self::Mapping(MappingError::Value { .. }) => "issuer.value",
            Self::Mapping(_) => "issuer.mapping",
            Self::Records(_) => "issuer.records",
            Self::Identity(error) => error.code(),
            Self::Did(error) => error.code(),
            Self::Envelope(SdJwtError::Binding { .. }) => "credential.binding",
            Self::Token(_) | Self::Envelope(_) | Self::Credential(_) => "credential.malformed",
            Self::Inconsistent { .. } => "credential.inconsistent",
            Self::Document { .. } => "issuer.document",
            Self::Conflict { .. } => "attest.conflict",
            Self::NotFound { .. } => "attest.not_found",
            Self::Passphrase => "wallet.passphrase",
            Self::Policy { .. } => "prove.policy",
            Self::Unmet(_) => "prove.criteria",
            Self::Violation(Violation::Revoked) => "prove.revoked",
            Self::Violation(Violation::Expired | Violation::NotYetValid) => "prove.validity",
            Self::Violation(_) => "prove.credential",
            Self::Prove { .. } => "prove.failed",
            Self::Key { .. } => "attest.key",
            Self::KeyFile { .. } => "attest.key_file",
            Self::DevelopmentKey => "attest.development_key",
            Self::Proof(_) => "attest.proof",
            Self::Request => "attest.request",
            Self::Audience { .. } => "attest.audience",
            Self::Chain { .. } => "attest.chain",
            Self::Expired { .. } => "attest.expired",
            Self::Stale { .. } => "attest.stale",
            Self::Future { .. } => "attest.future",
            Self::UnknownIssuer => "attest.unknown_issuer",
            Self::RevokedSince { .. } => "attest.revoked_since",
            Self::RevocationsStale { .. } => "attest.revocations_stale",
            Self::Succession { .. } => "issuer.succession",
            Self::Published { .. } | Self::PublishedMissing => "attest.published",
            Self::PublishedStale { .. } => "attest.published_stale",
            Self::Unpublished { .. } => "attest.unpublished",
            Self::Outdated { .. } => "attest.outdated",
            Self::Replay => "attest.replay",
            Self::DoubleCount => "attest.double_count",
            Self::Witness { .. } => "attest.witness",
            Self::Log(_) => "attest.log",
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Criteria(error) => return error.hint().map(str::to_owned),
            Self::Identity(error) => return error.hint().map(str::to_owned),
            Self::Did(error) => return error.hint().map(str::to_owned),
            Self::Envelope(SdJwtError::Binding { .. }) => {
                "ask the holder for a presentation made for your own name and nonce"
            }
            Self::Mapping(MappingError::Rule { hint, .. }) if !hint.is_empty() => return Some(hint.clone()),
            Self::Version { .. } => "use the version of ward that made it, or a newer one",
            Self::Image => "scan it, and give the text: `zbarimg --raw -q FILE | ward attest verify - ...`",
            Self::NotCanonical => "`ward criteria check` prints the canonical form",
            Self::Passphrase => "check the passphrase; without it nothing opens the wallet",
            Self::Unmet(_) => "nobody else was told; no proof was attempted",
            Self::Violation(Violation::Revoked) => "ask the issuer why, or for a new credential",
            Self::Violation(Violation::Expired) => "ask the issuer for a new credential",
            Self::Violation(Violation::Issuer) => {
                "fetch the registry anew: the credential's issuer is not in it, or has published another key"
            }
            Self::Key { .. } => "compare key ids with the ceremony's record, and fetch the key that it names",
            Self::DevelopmentKey => "use the key of a ceremony, or say --dev-key where nothing depends on it",
            Self::Request => "send the prover this request, and ask for an answer to it",
            Self::Audience { .. } | Self::Chain { .. } => {
                "it was made for somebody else: ask for one of your own"
            }
            Self::Expired { .. } | Self::Stale { .. } => "ask for a new attestation",
            Self::Future { .. } => "check the clocks of both sides",
            Self::UnknownIssuer => {
                "the prover must prove under your registry: send it along with the request"
            }
            Self::RevokedSince { .. } => {
                "ask for a new attestation under your registry: one for a revoked credential cannot be made"
            }
            Self::RevocationsStale { .. } => "fetch the issuers' latest revocations",
            Self::Succession { .. } => {
                "`ward issuer publish --log` again from the folder that holds all it ever revoked; a new key is a new issuer"
            }
            Self::PublishedMissing | Self::PublishedStale { .. } | Self::Outdated { .. } => {
                "fetch the registry anew: `ward attest registry --from-log`"
            }
            Self::Unpublished { .. } => {
                "ask the issuer: it publishes with `ward issuer publish --log`, and the name may be another's"
            }
            Self::Replay => "it has been counted; nothing more is to be done",
            Self::Witness { .. } => {
                "nothing of it was kept; prove where the record is (`ward prove`), and send the proof"
            }
            Self::DoubleCount => "a patient counts once in a study, whoever issued the credential",
            _ => return None,
        };
        Some(hint.to_owned())
    }

    pub(super) fn malformed(what: &'static str, reason: impl ToString) -> Self {
        Self::Malformed { what, reason: reason.to_string() }
    }

    pub(super) fn file(path: &std::path::Path, reason: impl ToString) -> Self {
        Self::File { path: path.display().to_string(), reason: reason.to_string() }
    }
}
