//! The way out of the hospital: name resolution, TCP with keepalive, and an HTTP proxy's CONNECT, each under a
//! time limit. TLS runs on top, end to end: a proxy sees the engine's name and ciphertext.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::timeout;
use zeroize::Zeroizing;

/// Largest head of a proxy's answer, in bytes.
const HEAD_BYTES_MAX: usize = 8192;
/// Most addresses of a name that are tried.
const ADDRESSES_MAX: usize = 8;

/// An HTTP proxy.
#[derive(Clone)]
pub struct Proxy {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    authorization: Option<Zeroizing<String>>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({}:{})", self.host, self.port)
    }
}

/// Why a proxy's address is refused. Never shows the text: it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// The proxy is not reached by plain HTTP.
    #[error("the proxy's address does not begin with http://")]
    Scheme,
    /// There is no usable host.
    #[error("the proxy's address has no valid host")]
    Host,
    /// There is no port.
    #[error("the proxy's address has no port between 1 and 65535")]
    Port,
    /// The user part cannot be read.
    #[error("the proxy's user and password are not `user:password` in percent encoding")]
    User,
}

impl Proxy {
    /// Reads `http://[user:password@]host:port`; user and password in percent encoding.
    ///
    /// # Errors
    /// [`ProxyError`].
    pub fn parse(text: &str) -> Result<Self, ProxyError> {
        let rest = text.trim().strip_prefix("http://").ok_or(ProxyError::Scheme)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (user, address) = match rest.rsplit_once('@') {
            Some((user, address)) => (Some(user), address),
            None => (None, rest),
        };
        let (host, port) = address.rsplit_once(':').ok_or(ProxyError::Port)?;
        let port = port.parse().ok().filter(|port| *port > 0).ok_or(ProxyError::Port)?;
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        if !is_host(host) {
            return Err(ProxyError::Host);
        }
        let authorization = match user {
            Some(user) => {
                let plain = Zeroizing::new(percent_decoded(user).ok_or(ProxyError::User)?);
                if !plain.contains(&b':') || plain.iter().any(u8::is_ascii_control) {
                    return Err(ProxyError::User);
                }
                Some(Zeroizing::new(format!("Basic {}", STANDARD.encode(&*plain))))
            }
            None => None,
        };
        Ok(Self { host: host.to_owned(), port, authorization })
    }
}

/// Time limits of a connection, each in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectLimits {
    /// For name resolution.
    pub resolve_ms_max: u64,
    /// For each TCP connection.
    pub tcp_ms_max: u64,
    /// For the proxy to open the tunnel.
    pub tunnel_ms_max: u64,
}

impl Default for ConnectLimits {
    fn default() -> Self {
        Self { resolve_ms_max: 5_000, tcp_ms_max: 10_000, tunnel_ms_max: 15_000 }
    }
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The host's name is not one.
    #[error("`{host}` is not a host name or address")]
    Host {
        /// The host.
        host: String,
    },
    /// The name does not resolve.
    #[error("the name {host} does not resolve: {reason}")]
    Resolve {
        /// The name.
        host: String,
        /// What the system says.
        reason: String,
    },
    /// No address answers.
    #[error("no TCP connection to {host}:{port}: {reason}")]
    Tcp {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// What the system says about the last address.
        reason: String,
    },
    /// A limit is over.
    #[error("{stage} for {host}:{port} took longer than {limit_ms} ms")]
    Slow {
        /// `name resolution`, `the TCP connection` or `the proxy`.
        stage: &'static str,
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// The limit.
        limit_ms: u64,
    },
    /// The proxy wants another user or password, or any.
    #[error("the proxy {proxy} asks for a user and password (407)")]
    ProxyAuthorization {
        /// The proxy's host and port.
        proxy: String,
    },
    /// The proxy refuses the tunnel.
    #[error("the proxy {proxy} refuses a tunnel to {host}:{port} (status {status})")]
    ProxyRefused {
        /// The proxy's host and port.
        proxy: String,
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// HTTP status.
        status: u16,
    },
    /// What answers is no HTTP proxy, or closes the connection.
    #[error("{proxy} does not answer as an HTTP proxy: {reason}")]
    ProxyMalformed {
        /// The proxy's host and port.
        proxy: String,
        /// What is wrong.
        reason: &'static str,
    },
}

impl ConnectError {
    /// Stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Host { .. } => "connect.host",
            Self::Resolve { .. } => "connect.resolve",
            Self::Tcp { .. } => "connect.tcp",
            Self::Slow { .. } => "connect.slow",
            Self::ProxyAuthorization { .. } => "connect.proxy_authorization",
            Self::ProxyRefused { .. } => "connect.proxy_refused",
            Self::ProxyMalformed { .. } => "connect.proxy_malformed",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Host { .. } => "check the engine's address in the enrolment",
            Self::Resolve { .. } => {
                "check the name and this machine's DNS; behind a proxy, set [network] proxy"
            }
            Self::Tcp { .. } => {
                "check that the engine runs and that the firewall lets this machine connect out to it"
            }
            Self::Slow { .. } => {
                "a firewall may drop the packets silently; ask for this host and port to be let out"
            }
            Self::ProxyAuthorization { .. } => "set [network] proxy = \"http://user:password@host:port\"",
            Self::ProxyRefused { .. } => {
                "ask the proxy's operator to allow CONNECT to the engine's host and port"
            }
            Self::ProxyMalformed { .. } => "check the host and port in [network] proxy",
        }
    }
}

impl From<ConnectError> for std::io::Error {
    fn from(error: ConnectError) -> Self {
        let kind = match &error {
            ConnectError::Slow { .. } => std::io::ErrorKind::TimedOut,
            ConnectError::Host { .. } => std::io::ErrorKind::InvalidInput,
            _ => std::io::ErrorKind::ConnectionRefused,
        };
        Self::new(kind, error)
    }
}

/// Connects to `host:port`, through the proxy if there is one (which then resolves the name). The stream has
/// TCP keepalive and sends small writes at once.
///
/// # Errors
/// [`ConnectError`].
pub async fn connect_via(
    host: &str,
    port: u16,
    proxy: Option<&Proxy>,
    limits: ConnectLimits,
) -> Result<TcpStream, ConnectError> {
    if !is_host(host) {
        return Err(ConnectError::Host { host: host.escape_debug().take(80).collect() });
    }
    let Some(proxy) = proxy else {
        return connect(host, port, limits).await;
    };
    let mut stream = connect(&proxy.host, proxy.port, limits).await?;
    let limit_ms = limits.tunnel_ms_max;
    match timeout(Duration::from_millis(limit_ms), tunnel(&mut stream, host, port, proxy)).await {
        Ok(done) => done.map(|()| stream),
        Err(_) => Err(ConnectError::Slow { stage: "the proxy", host: host.into(), port, limit_ms }),
    }
}

/// Resolves a name to its addresses.
///
/// # Errors
/// [`ConnectError`].
pub async fn resolve(host: &str, port: u16, limits: ConnectLimits) -> Result<Vec<SocketAddr>, ConnectError> {
    let limit_ms = limits.resolve_ms_max;
    let unresolved = |reason: String| ConnectError::Resolve { host: host.into(), reason };
    let addresses: Vec<SocketAddr> = match timeout(Duration::from_millis(limit_ms), lookup_host((host, port)))
        .await
    {
        Ok(Ok(addresses)) => addresses.take(ADDRESSES_MAX).collect(),
        Ok(Err(error)) => return Err(unresolved(error.to_string())),
        Err(_) => {
            return Err(ConnectError::Slow { stage: "name resolution", host: host.into(), port, limit_ms });
        }
    };
    if addresses.is_empty() { Err(unresolved("it has no address".into())) } else { Ok(addresses) }
}

async fn connect(host: &str, port: u16, limits: ConnectLimits) -> Result<TcpStream, ConnectError> {
    let limit_ms = limits.tcp_ms_max;
    let mut last = ConnectError::Slow { stage: "the TCP connection", host: host.into(), port, limit_ms };
    for address in resolve(host, port, limits).await? {
        match timeout(Duration::from_millis(limit_ms), open(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => {
                last = ConnectError::Tcp { host: host.into(), port, reason: error.to_string() };
            }
            Err(_) => {}
        }
    }
    Err(last)
}

async fn open(address: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_keepalive(true)?;
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Asks the proxy for a tunnel and reads the head of its answer, not a byte more than the proxy sends.
async fn tunnel(stream: &mut TcpStream, host: &str, port: u16, proxy: &Proxy) -> Result<(), ConnectError> {
    let name = format!("{}:{}", proxy.host, proxy.port);
    let malformed = |reason| ConnectError::ProxyMalformed { proxy: name.clone(), reason };
    let target = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let mut request = Zeroizing::new(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n"));
    if let Some(authorization) = &proxy.authorization {
        request.push_str("Proxy-Authorization: ");
        request.push_str(authorization);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).await.map_err(|_| malformed("it closes the connection"))?;

    let mut head = Vec::with_capacity(512);
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == HEAD_BYTES_MAX {
            return Err(malformed("its answer has no end"));
        }
        // Byte by byte: what follows the head belongs to the engine. The head is short and read once.
        head.push(stream.read_u8().await.map_err(|_| malformed("it closes the connection"))?);
        if head.len() == 5 && head != b"HTTP/" {
            return Err(malformed("its answer is not HTTP"));
        }
    }
    let line = String::from_utf8_lossy(&head);
    let status = line.split(' ').nth(1).filter(|code| code.len() == 3).and_then(|code| code.parse().ok());
    match status {
        Some(200..=299) => Ok(()),
        Some(407) => Err(ConnectError::ProxyAuthorization { proxy: name }),
        Some(status) => Err(ConnectError::ProxyRefused { proxy: name, host: host.into(), port, status }),
        None => Err(malformed("its answer has no status")),
    }
}

/// A name or address, so that nothing else gets into a request.
fn is_host(host: &str) -> bool {
    (1..=253).contains(&host.len())
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':'))
}

fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let (high, low) = (char::from(bytes.next()?), char::from(bytes.next()?));
            decoded.push((high.to_digit(16)? * 16 + low.to_digit(16)?) as u8);
        } else {
            decoded.push(byte);
        }
    }
    Some(decoded)
}

#[cfg(test)]
pub(crate) mod tests;
