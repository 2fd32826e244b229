//! The consortium's enrolment authority: it certifies members' keys after a one-time token.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyUsagePurpose, PKCS_ED25519, PublicKeyData, SanType, SerialNumber, SignatureAlgorithm, SigningKey,
};

use super::certificate::CaCertificate;
use super::keys::{Identity, PublicKey, Signature};
use super::{IdentityError, Role, check_name, files, random};

const DAY_S: u64 = 86_400;
/// Validity of the authority's certificate.
const CA_DAYS: u64 = 3_653;
/// A clock may be this much behind the authority's.
const BACKDATE_S: u64 = 3_600;
const FILE_BYTES_MAX: u64 = 16 * 1024;

/// A certificate as DER and as PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificatePem {
    /// DER.
    pub der: Vec<u8>,
    /// PEM.
    pub pem: String,
}

/// The authority: its key, and its own certificate.
pub struct CertificateAuthority {
    identity: Identity,
    certificate: CaCertificate,
    pem: String,
}

struct Subject<'a>(&'a PublicKey);

impl PublicKeyData for Subject<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ED25519
    }
}

struct Signing<'a> {
    identity: &'a Identity,
    key: PublicKey,
}

impl PublicKeyData for Signing<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.key.as_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ED25519
    }
}

impl SigningKey for Signing<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(self.identity.sign_raw(message).0.to_vec())
    }
}

fn failed(error: rcgen::Error) -> IdentityError {
    IdentityError::Issue { reason: error.to_string() }
}

fn params(name: &str, now_s: u64, days: u64) -> Result<CertificateParams, IdentityError> {
    let mut params = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    params.distinguished_name = subject;
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let after = |s: u64| {
        // Beyond the year 9999 a certificate cannot say the date.
        let in_range = s < 253_402_300_799;
        in_range.then(|| epoch + Duration::from_secs(s)).ok_or_else(|| IdentityError::Issue {
            reason: format!("{s} seconds since 1970 is no date of a certificate"),
        })
    };
    params.not_before = after(now_s.saturating_sub(BACKDATE_S))?;
    params.not_after = after(now_s.saturating_add(days.saturating_mul(DAY_S)))?;
    params.serial_number = Some(SerialNumber::from_slice(&serial()?));
    Ok(params)
}

/// A random positive serial number of 16 bytes.
fn serial() -> Result<[u8; 16], IdentityError> {
    let mut bytes = random::<16>()?;
    bytes[0] = (bytes[0] & 0x7f) | 0x40;
    Ok(bytes)
}

fn ca_params(name: &str, now_s: u64) -> Result<CertificateParams, IdentityError> {
    let mut params = params(name, now_s, CA_DAYS)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn uri(role: Role, name: &str) -> Result<SanType, IdentityError> {
    Ok(SanType::URI(format!("ward:{}:{name}", role.as_str()).try_into().map_err(failed)?))
}

impl CertificateAuthority {
    /// A new authority of a consortium, with a fresh key.
    ///
    /// # Errors
    /// [`IdentityError`] for a bad name, or without randomness.
    pub fn create(name: &str, now_s: u64) -> Result<Self, IdentityError> {
        check_name(name)?;
        let identity = Identity::generate()?;
        let signing = Signing { identity: &identity, key: identity.public() };
        let certificate = ca_params(name, now_s)?.self_signed(&signing).map_err(failed)?;
        let pem = certificate.pem();
        let certificate = CaCertificate::from_der(certificate.der())?;
        Ok(Self { identity, certificate, pem })
    }

    /// Reads `ca.pem` and `ca.key` of a folder.
    ///
    /// # Errors
    /// [`IdentityError`] when one is missing, malformed, readable by others, or they do not belong together.
    pub fn load(folder: &Path) -> Result<Self, IdentityError> {
        let pem = files::read_public(&folder.join("ca.pem"), FILE_BYTES_MAX)?;
        let key_path = folder.join("ca.key");
        let identity = Identity::from_pem(&files::read_private(&key_path, FILE_BYTES_MAX)?)?;
        let certificate = CaCertificate::from_pem(&pem)?;
        if *certificate.key() != identity.public() {
            let reason = "the key is not that of ca.pem".to_owned();
            return Err(IdentityError::File { path: key_path.display().to_string(), reason });
        }
        Ok(Self { identity, certificate, pem })
    }

    /// Writes `ca.key` (mode 0600), then `ca.pem`. Never overwrites an authority.
    ///
    /// # Errors
    /// [`IdentityError::File`].
    pub fn save(&self, folder: &Path) -> Result<(), IdentityError> {
        files::private_dir(folder)?;
        files::create_private(&folder.join("ca.key"), self.identity.to_pem()?.as_bytes())?;
        files::create_private(&folder.join("ca.pem"), self.pem.as_bytes())
    }

    /// The authority's certificate.
    #[must_use]
    pub fn certificate(&self) -> &CaCertificate {
        &self.certificate
    }

    /// The authority's certificate as PEM.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Certifies the engine's key for the hosts it is reached by (DNS names or addresses).
    ///
    /// # Errors
    /// [`IdentityError`] for a bad name, host or date.
    pub fn server_certificate(
        &self,
        key: &PublicKey,
        name: &str,
        hosts: &[String],
        now_s: u64,
        validity_days: u32,
    ) -> Result<CertificatePem, IdentityError> {
        let mut alternative = vec![uri(Role::Engine, name)?];
        for host in hosts {
            alternative.push(match host.parse::<IpAddr>() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName(host.as_str().try_into().map_err(failed)?),
            });
        }
        self.certify(key, Role::Engine, name, alternative, (now_s, validity_days))
    }

    /// Certifies a member's key. The caller has checked the token and the possession of the key.
    ///
    /// # Errors
    /// [`IdentityError`] for a bad name, a role that is not enrolled, or a date out of range.
    pub fn issue(
        &self,
        key: &PublicKey,
        role: Role,
        name: &str,
        now_s: u64,
        validity_days: u32,
    ) -> Result<CertificatePem, IdentityError> {
        if role == Role::Engine {
            return Err(IdentityError::Role { role: role.as_str().to_owned() });
        }
        self.certify(key, role, name, vec![uri(role, name)?], (now_s, validity_days))
    }

    /// Signs parts under a context: lists that members check against the authority's certificate.
    #[must_use]
    pub(crate) fn sign(&self, context: &'static str, parts: &[&[u8]]) -> Signature {
        self.identity.sign(context, parts)
    }

    fn certify(
        &self,
        key: &PublicKey,
        role: Role,
        name: &str,
        alternative: Vec<SanType>,
        (now_s, days): (u64, u32),
    ) -> Result<CertificatePem, IdentityError> {
        check_name(name)?;
        let mut params = params(name, now_s, u64::from(days))?;
        params.subject_alt_names = alternative;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![match role {
            Role::Engine => ExtendedKeyUsagePurpose::ServerAuth,
            _ => ExtendedKeyUsagePurpose::ClientAuth,
        }];
        params.use_authority_key_identifier_extension = true;
        let signing = Signing { identity: &self.identity, key: self.identity.public() };
        let issuer = Issuer::new(ca_params(self.certificate.name(), now_s)?, signing);
        let certificate = params.signed_by(&Subject(key), &issuer).map_err(failed)?;
        Ok(CertificatePem { der: certificate.der().to_vec(), pem: certificate.pem() })
    }
}

impl std::fmt::Debug for CertificateAuthority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "CertificateAuthority({}, {})",
            self.certificate.name(),
            self.certificate.key().fingerprint()
        )
    }
}
