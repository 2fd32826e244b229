//! HTTP clients: to an identity provider, a chain's node, a did:web host, a key service, a store of documents.

use reqwest::ClientBuilder;
use tokio_rustls::rustls::crypto::ring;

/// Makes ring the process's provider of TLS, once; a client built before would have none.
pub fn install_tls() {
    // An error says that it is installed.
    let _ = ring::default_provider().install_default();
}

/// A client over TLS that follows no redirection; the caller gives it its time limits.
pub fn client() -> ClientBuilder {
    install_tls();
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none())
}
