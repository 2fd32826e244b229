//! Reading certificates: strict, and only of the two shapes the consortium's authority makes.

use std::collections::BTreeSet;

use x509_parser::prelude::*;

use super::keys::{PublicKey, Signature};
use super::{IdentityError, Role, check_name};

/// Largest certificate read, in bytes.
pub(crate) const CERTIFICATE_BYTES_MAX: usize = 8 * 1024;
const OID_ED25519: &str = "1.3.101.112";
const OID_KNOWN: [&str; 6] = [
    "2.5.29.14", // subject key identifier
    "2.5.29.15", // key usage
    "2.5.29.17", // subject alternative name
    "2.5.29.19", // basic constraints
    "2.5.29.35", // authority key identifier
    "2.5.29.37", // extended key usage
];

/// A certified member, read from a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its role.
    pub role: Role,
    /// Its name, unique in the consortium.
    pub name: String,
    /// Its key.
    pub key: PublicKey,
    /// First second of validity (unix).
    pub valid_from_s: i64,
    /// Last second of validity (unix).
    pub valid_until_s: i64,
}

/// The authority's certificate, checked to be self-signed and an authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaCertificate {
    name: String,
    key: PublicKey,
    der: Vec<u8>,
    subject: Vec<u8>,
    valid_from_s: i64,
    valid_until_s: i64,
}

fn refuse<T>(reason: impl Into<String>) -> Result<T, IdentityError> {
    Err(IdentityError::Certificate { reason: reason.into() })
}

fn or_refuse<T, E>(result: Result<T, E>, reason: &str) -> Result<T, IdentityError> {
    result.or_else(|_| refuse(reason))
}

/// What both shapes share: version 3, Ed25519 throughout, one common name, only known extensions, once each.
fn parse(der: &[u8]) -> Result<(X509Certificate<'_>, PublicKey, String), IdentityError> {
    if der.len() > CERTIFICATE_BYTES_MAX {
        return refuse(format!("{} bytes, at most {CERTIFICATE_BYTES_MAX}", der.len()));
    }
    let (rest, certificate) = or_refuse(X509Certificate::from_der(der), "not a der certificate")?;
    if !rest.is_empty() {
        return refuse("bytes after its end");
    }
    if certificate.version() != X509Version::V3 {
        return refuse("not version 3");
    }
    let spki = certificate.public_key();
    let algorithms =
        [&certificate.signature_algorithm, &certificate.tbs_certificate.signature, &spki.algorithm];
    if algorithms.iter().any(|a| a.algorithm.to_id_string() != OID_ED25519 || a.parameters.is_some()) {
        return refuse("an algorithm that is not ed25519");
    }
    if !is_canonical(der, &certificate) {
        return refuse("its outer encoding is not canonical");
    }
    let key = PublicKey::from_slice(&spki.subject_public_key.data)?;
    let name = common_name(&certificate)?;
    let mut seen = BTreeSet::new();
    for extension in certificate.extensions() {
        let oid = extension.oid.to_id_string();
        if !OID_KNOWN.contains(&oid.as_str()) || !seen.insert(oid.clone()) {
            return refuse(format!("extension {oid} is unknown or repeated"));
        }
        if matches!(extension.parsed_extension(), ParsedExtension::ParseError { .. }) {
            return refuse(format!("extension {oid} is malformed"));
        }
    }
    Ok((certificate, key, name))
}

/// The signature covers the inner part alone; the parser is lenient about what is around it. A certificate is
/// accepted in its one canonical encoding, so that two different files are never the same certificate.
fn is_canonical(der: &[u8], certificate: &X509Certificate<'_>) -> bool {
    // Algorithm Ed25519, then a bit string of 64 bytes.
    const BETWEEN: [u8; 10] = [0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x41, 0x00];
    let (signed, signature) = (certificate.tbs_certificate.as_ref(), &certificate.signature_value.data);
    let length = signed.len() + BETWEEN.len() + signature.len();
    // Between 128 and 65535 bytes: two forms of length.
    let header = match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short), _) if short >= 0x80 => vec![0x30, 0x81, short],
        (Err(_), Ok(long)) => [&[0x30, 0x82][..], &long.to_be_bytes()].concat(),
        _ => return false,
    };
    der == [&header[..], signed, &BETWEEN, signature].concat()
}

/// The subject's one attribute, which must be a common name.
fn common_name(certificate: &X509Certificate<'_>) -> Result<String, IdentityError> {
    let attributes: Vec<_> = certificate.subject().iter_attributes().take(2).collect();
    let [attribute] = attributes[..] else {
        return refuse("the subject is not exactly one common name");
    };
    if attribute.attr_type().to_id_string() != "2.5.4.3" {
        return refuse("the subject is not exactly one common name");
    }
    let name = or_refuse(attribute.as_str(), "the common name is not a text")?;
    check_name(name)?;
    Ok(name.to_owned())
}

fn role_of(certificate: &X509Certificate<'_>, name: &str) -> Result<Role, IdentityError> {
    let san = or_refuse(certificate.subject_alternative_name(), "malformed alternative names")?;
    let Some(san) = san else { return refuse("no alternative names") };
    let mut role = None;
    for general in &san.value.general_names {
        match general {
            GeneralName::URI(uri) => {
                let parts: Vec<&str> = uri.split(':').collect();
                let ["ward", role_text, named] = parts[..] else {
                    return refuse("the uri is not ward:<role>:<name>");
                };
                if named != name || role.replace(Role::parse(role_text)?).is_some() {
                    return refuse("the uri and the common name disagree, or there are two uris");
                }
            }
            GeneralName::DNSName(_) | GeneralName::IPAddress(_) => {}
            _ => return refuse("an alternative name that is no uri, dns name or address"),
        }
    }
    let Some(role) = role else { return refuse("no uri ward:<role>:<name>") };
    if role != Role::Engine && san.value.general_names.len() != 1 {
        return refuse("only the engine's certificate names hosts");
    }
    Ok(role)
}

impl Member {
    /// Reads a member's certificate. The signature of the authority is checked by [`CaCertificate::verify`].
    ///
    /// # Errors
    /// [`IdentityError`] naming the rule that refuses it.
    pub fn from_certificate(der: &[u8]) -> Result<Self, IdentityError> {
        let (certificate, key, name) = parse(der)?;
        let role = role_of(&certificate, &name)?;
        let basic = or_refuse(certificate.basic_constraints(), "malformed basic constraints")?;
        if basic.is_some_and(|b| b.value.ca) {
            return refuse("a member's certificate may not be an authority's");
        }
        let usage = or_refuse(certificate.key_usage(), "malformed key usage")?;
        let Some(usage) = usage else { return refuse("no key usage") };
        if !usage.value.digital_signature() || usage.value.key_cert_sign() || usage.value.crl_sign() {
            return refuse("the key usage is not digital signature alone");
        }
        let extended = or_refuse(certificate.extended_key_usage(), "malformed extended key usage")?;
        let Some(extended) = extended else { return refuse("no extended key usage") };
        let (client, server) = (extended.value.client_auth, extended.value.server_auth);
        if extended.value.any || (client, server) != (role != Role::Engine, role == Role::Engine) {
            return refuse("the extended key usage does not fit the role");
        }
        let validity = certificate.validity();
        Ok(Self {
            role,
            name,
            key,
            valid_from_s: validity.not_before.timestamp(),
            valid_until_s: validity.not_after.timestamp(),
        })
    }

    /// True from the first to the last second of validity, both included.
    #[must_use]
    pub fn is_valid_at(&self, unix_s: i64) -> bool {
        (self.valid_from_s..=self.valid_until_s).contains(&unix_s)
    }

    /// Hexadecimal fingerprint of the key.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.key.fingerprint()
    }
}

impl CaCertificate {
    /// Reads the authority's certificate and checks its own signature.
    ///
    /// # Errors
    /// [`IdentityError`] naming the rule that refuses it.
    pub fn from_der(der: &[u8]) -> Result<Self, IdentityError> {
        let (certificate, key, name) = parse(der)?;
        let basic = or_refuse(certificate.basic_constraints(), "malformed basic constraints")?;
        if !basic.is_some_and(|b| b.critical && b.value.ca && b.value.path_len_constraint == Some(0)) {
            return refuse("not an authority that issues members directly");
        }
        let usage = or_refuse(certificate.key_usage(), "malformed key usage")?;
        if !usage.is_some_and(|u| u.value.key_cert_sign()) {
            return refuse("the authority's key may not sign certificates");
        }
        let subject = certificate.subject().as_raw().to_vec();
        let validity = certificate.validity();
        let ca = Self {
            name,
            key,
            der: der.to_vec(),
            valid_from_s: validity.not_before.timestamp(),
            valid_until_s: validity.not_after.timestamp(),
            subject,
        };
        ca.check_signature(&certificate)?;
        Ok(ca)
    }

    /// Reads PEM.
    ///
    /// # Errors
    /// As [`CaCertificate::from_der`].
    pub fn from_pem(pem: &str) -> Result<Self, IdentityError> {
        Self::from_der(&der_of_pem(pem)?)
    }

    /// The name of the consortium.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The authority's key.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The certificate.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Reads a member's certificate and checks that this authority signed it and that it is valid at a time.
    ///
    /// # Errors
    /// [`IdentityError`] naming the rule that refuses it.
    pub fn verify(&self, member_der: &[u8], unix_s: i64) -> Result<Member, IdentityError> {
        let member = Member::from_certificate(member_der)?;
        let (certificate, _, _) = parse(member_der)?;
        self.check_signature(&certificate)?;
        let (from_s, until_s) =
            (member.valid_from_s.max(self.valid_from_s), member.valid_until_s.min(self.valid_until_s));
        if !(from_s..=until_s).contains(&unix_s) {
            return Err(IdentityError::Validity { name: member.name, from_s, until_s, at_s: unix_s });
        }
        Ok(member)
    }

    fn check_signature(&self, certificate: &X509Certificate<'_>) -> Result<(), IdentityError> {
        if certificate.issuer().as_raw() != self.subject {
            return refuse("issued by another authority");
        }
        let signature = Signature::from_slice(&certificate.signature_value.data);
        let signed = certificate.tbs_certificate.as_ref();
        match signature.and_then(|s| self.key.verify_raw(signed, &s)) {
            Some(()) => Ok(()),
            None => refuse("the authority's signature does not verify"),
        }
    }
}

/// The first PEM block, which must be a certificate and the only block.
pub(super) fn der_of_pem(pem: &str) -> Result<Vec<u8>, IdentityError> {
    let (rest, block) = or_refuse(parse_x509_pem(pem.as_bytes()), "not pem")?;
    if block.label != "CERTIFICATE" || !rest.iter().all(u8::is_ascii_whitespace) {
        return refuse("not exactly one pem certificate");
    }
    Ok(block.contents)
}
