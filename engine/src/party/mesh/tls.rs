//! TLS between members: 1.3 alone, both ends with the certificate that the consortium's authority gave them.
//!
//! The names in these certificates are members, not hosts, so the web's rules do not apply: a certificate is good when
//! the authority signed it, it is a hospital's, it is valid now, and (at the dialler's end, where it is known who will
//! answer) name and key are those expected. The other end learns the dialler's name from the certificate and checks
//! its key when the greeting has said which attempt it is about. There is no resumption: every stream is a full
//! handshake with fresh keys.

use std::sync::{Arc, PoisonError, RwLock};

use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{self, CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::NoServerSessionStorage;
use tokio_rustls::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, Error, PeerMisbehaved, ServerConfig,
    SignatureScheme,
};

use super::error::MeshError;
use crate::identity::revocation::Revocations;
use crate::identity::{CaCertificate, Identity, Member, PublicKey, Role};

/// What both ends must speak inside.
const ALPN: &[u8] = b"ward-mesh/1";

/// Who this node is towards its peers: certificate, key, and the authority it trusts.
pub struct MeshIdentity {
    member: Member,
    chain: RwLock<Vec<CertificateDer<'static>>>,
    key: PrivateKeyDer<'static>,
    authority: Arc<CaCertificate>,
    revocations: Arc<Revocations>,
    provider: Arc<CryptoProvider>,
}

impl std::fmt::Debug for MeshIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MeshIdentity({}, {})", self.member.name, self.member.fingerprint())
    }
}

fn tls(reason: impl std::fmt::Display) -> MeshError {
    MeshError::Tls { reason: reason.to_string() }
}

impl MeshIdentity {
    /// A member's identity: certificate (DER), its key, and the authority's certificate.
    ///
    /// # Errors
    /// [`MeshError::Tls`] when they do not belong together.
    pub fn new(certificate: &[u8], identity: &Identity, authority: CaCertificate) -> Result<Self, MeshError> {
        let member = Member::from_certificate(certificate).map_err(tls)?;
        if member.key != identity.public() {
            return Err(tls("the certificate is of another key"));
        }
        let pem = identity.to_pem().map_err(tls)?;
        let mut provider = ring::default_provider();
        // 128 bits are what the protocols offer; the shorter key is a quarter faster.
        provider.cipher_suites = vec![
            ring::cipher_suite::TLS13_AES_128_GCM_SHA256,
            ring::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
            ring::cipher_suite::TLS13_AES_256_GCM_SHA384,
        ];
        Ok(Self {
            member,
            chain: RwLock::new(vec![CertificateDer::from(certificate.to_vec())]),
            key: PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(tls)?,
            revocations: Arc::new(Revocations::none(authority.clone())),
            authority: Arc::new(authority),
            provider: Arc::new(provider),
        })
    }

    /// The same, refusing the keys that are on a list.
    #[must_use]
    pub fn refusing(self, revocations: Arc<Revocations>) -> Self {
        Self { revocations, ..self }
    }

    /// The keys that are refused.
    #[must_use]
    pub fn revocations(&self) -> &Arc<Revocations> {
        &self.revocations
    }

    /// Shows a newer certificate of the same key from now on.
    pub(super) fn renew(&self, certificate: &[u8]) {
        *self.chain.write().unwrap_or_else(PoisonError::into_inner) =
            vec![CertificateDer::from(certificate.to_vec())];
    }

    fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.chain.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn verifier(&self, expected: Option<(String, PublicKey)>) -> Arc<Verifier> {
        Arc::new(Verifier {
            authority: self.authority.clone(),
            revocations: self.revocations.clone(),
            expected,
            provider: self.provider.clone(),
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.member.name
    }

    /// Its public key.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        &self.member.key
    }

    /// The configuration for reaching one peer.
    pub(super) fn client(&self, name: &str, key: &PublicKey) -> Result<Arc<ClientConfig>, MeshError> {
        let verifier = self.verifier(Some((name.to_owned(), *key)));
        let mut config = ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&TLS13])
            .map_err(tls)?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_client_auth_cert(self.chain(), self.key.clone_key())
            .map_err(tls)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.resumption = Resumption::disabled();
        // The name of the peer is nobody's business on the way.
        config.enable_sni = false;
        Ok(Arc::new(config))
    }

    /// The configuration for being reached.
    pub(super) fn server(&self) -> Result<Arc<ServerConfig>, MeshError> {
        let verifier = self.verifier(None);
        let mut config = ServerConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&TLS13])
            .map_err(tls)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(self.chain(), self.key.clone_key())
            .map_err(tls)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Arc::new(config))
    }
}

/// The name that a TLS client must have for its server; nothing looks at it.
pub(super) fn server_name() -> ServerName<'static> {
    ServerName::try_from("peer.ward.invalid").expect("a constant that is a DNS name")
}

#[derive(Debug)]
struct Verifier {
    authority: Arc<CaCertificate>,
    revocations: Arc<Revocations>,
    /// Name and key, where it is known who will answer.
    expected: Option<(String, PublicKey)>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn check(&self, certificate: &[u8], more: &[CertificateDer<'_>], now: UnixTime) -> Result<(), Error> {
        if !more.is_empty() {
            return Err(Error::General("more than one certificate".to_owned()));
        }
        let now_s = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let member = self.authority.verify(certificate, now_s).map_err(|e| Error::General(e.to_string()))?;
        if member.role != Role::Hospital {
            return Err(Error::General(format!("{} is not a hospital", member.name)));
        }
        if self.revocations.has(&member.key) {
            return Err(Error::General(format!("the key of {} was revoked", member.name)));
        }
        match &self.expected {
            Some((name, _)) if *name != member.name => {
                Err(Error::General(format!("the certificate is of {}, not of {name}", member.name)))
            }
            Some((name, key)) if *key != member.key => Err(Error::General(format!(
                "{name} has the key {}, not the expected {}",
                member.fingerprint(),
                key.fingerprint()
            ))),
            _ => Ok(()),
        }
    }

    fn signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        more: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(certificate, more, now).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

impl ClientCertVerifier for Verifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        more: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(certificate, more, now).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}
