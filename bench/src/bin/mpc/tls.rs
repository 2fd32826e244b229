//! TLS 1.3 between the nodes: an authority for the run, a certificate for each node, shown and checked on both sides.

use std::fs;
use std::io;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::version::TLS13;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};

/// The stream on which a node sends to a peer.
pub type Outgoing = StreamOwned<ClientConnection, TcpStream>;
/// The stream on which it hears a peer.
pub type Incoming = StreamOwned<ServerConnection, TcpStream>;

/// Writes the authority's certificate, and for each node a certificate and a key.
pub fn certify(folder: &Path) -> io::Result<()> {
    let failed = io::Error::other::<rcgen::Error>;
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority =
        CertifiedIssuer::self_signed(authority, KeyPair::generate().map_err(failed)?).map_err(failed)?;
    fs::write(folder.join("authority"), authority.der())?;
    for role in 0..3 {
        let key = KeyPair::generate().map_err(failed)?;
        let params = CertificateParams::new([name(role)]).map_err(failed)?;
        let certificate = params.signed_by(&key, &authority).map_err(failed)?;
        fs::write(folder.join(format!("certificate{role}")), certificate.der())?;
        fs::write(folder.join(format!("key{role}")), key.serialize_der())?;
    }
    Ok(())
}

fn name(role: usize) -> String {
    format!("p{role}.nodes.ward.test")
}

/// What a node needs to meet the others.
pub struct Identity {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
    certificates: Vec<CertificateDer<'static>>,
}

impl Identity {
    /// Of this node, from the files of [`certify`].
    pub fn read(folder: &Path, role: usize) -> io::Result<Self> {
        let certificate = |name: &str| Ok::<_, io::Error>(CertificateDer::from(fs::read(folder.join(name))?));
        let key = || {
            let der = fs::read(folder.join(format!("key{role}")))?;
            Ok::<_, io::Error>(PrivateKeyDer::from(PrivatePkcs8KeyDer::from(der)))
        };
        let mut roots = RootCertStore::empty();
        roots.add(certificate("authority")?).map_err(io::Error::other)?;
        let roots = Arc::new(roots);
        let certificates: Vec<_> =
            (0..3).map(|role| certificate(&format!("certificate{role}"))).collect::<Result<_, _>>()?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13])
            .map_err(io::Error::other)?
            .with_root_certificates(Arc::clone(&roots))
            .with_client_auth_cert(vec![certificates[role].clone()], key()?)
            .map_err(io::Error::other)?;
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider));
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map_err(io::Error::other)?
            .with_client_cert_verifier(verifier.build().map_err(io::Error::other)?)
            .with_single_cert(vec![certificates[role].clone()], key()?)
            .map_err(io::Error::other)?;
        // The sending side never reads, so no tickets.
        server.send_tls13_tickets = 0;
        Ok(Self { client: Arc::new(client), server: Arc::new(server), certificates })
    }

    /// A stream to send on, to the node that has the role.
    pub fn dial(&self, role: usize, port: u16) -> io::Result<Outgoing> {
        let mut socket = TcpStream::connect(("127.0.0.1", port))?;
        socket.set_nodelay(true)?;
        let name = ServerName::try_from(name(role)).map_err(io::Error::other)?;
        let mut tls = ClientConnection::new(Arc::clone(&self.client), name).map_err(io::Error::other)?;
        while tls.is_handshaking() || tls.wants_write() {
            tls.complete_io(&mut socket)?;
        }
        Ok(StreamOwned::new(tls, socket))
    }

    /// A stream to hear on, and the role whose certificate was shown.
    pub fn hear(&self, mut socket: TcpStream) -> io::Result<(usize, Incoming)> {
        socket.set_nodelay(true)?;
        let mut tls = ServerConnection::new(Arc::clone(&self.server)).map_err(io::Error::other)?;
        while tls.is_handshaking() {
            tls.complete_io(&mut socket)?;
        }
        let shown = tls.peer_certificates().and_then(|chain| chain.first());
        let role = self.certificates.iter().position(|certificate| Some(certificate) == shown);
        let role = role.ok_or_else(|| io::Error::other("a certificate of no node"))?;
        Ok((role, StreamOwned::new(tls, socket)))
    }
}
