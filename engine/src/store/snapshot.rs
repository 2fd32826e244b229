//! A hospital's own PostgreSQL, read and never written: one read-only transaction, so that all tables are of one
//! moment, row after row with bounded buffers.
//!
//! The connection lives on a thread of its own, for those who read are synchronous and may sit on a runtime. TLS with
//! the authority that the settings name; without one only this machine is talked to.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_postgres::{Client, Config, NoTls, Socket};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};
use tokio_stream::StreamExt as _;
use zeroize::Zeroizing;

/// Time to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Rows that travel together, and how many such batches wait.
const BATCH_ROWS: usize = 1024;
const BATCHES: usize = 2;

/// Where the database is, and as whom to read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseSettings {
    /// Host name or address, or the folder of a Unix socket.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Name of the database.
    pub database: String,
    /// Role; it needs no more than SELECT.
    pub user: String,
    /// Where its password is; none for peer or trust.
    pub password: Option<Password>,
    /// Schema of the tables.
    pub schema: String,
    /// Authority of the server's certificate (PEM); needed for another machine.
    pub ca: Option<PathBuf>,
}

/// Where a password is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Password {
    /// In a file, readable by its owner only.
    File(PathBuf),
    /// In an environment variable.
    Env(String),
}

impl DatabaseSettings {
    /// True for this machine: a socket's folder, `localhost`, a loopback address.
    #[must_use]
    pub fn is_local(&self) -> bool {
        let is_loopback = self.host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
        self.host.starts_with('/') || self.host == "localhost" || is_loopback
    }
}

/// Why a database cannot be read; no value of a row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{step}: {reason}")]
pub struct DatabaseError {
    /// What was being done.
    pub step: &'static str,
    /// The SQLSTATE, or what the system says.
    pub reason: String,
}

fn refused(step: &'static str) -> impl Fn(tokio_postgres::Error) -> DatabaseError {
    // A message of the server may quote a value; its code does not.
    move |error| {
        let reason = match error.code() {
            Some(code) => format!("SQLSTATE {}", code.code()),
            None => error.to_string(),
        };
        DatabaseError { step, reason }
    }
}

fn failed(step: &'static str, reason: impl ToString) -> DatabaseError {
    DatabaseError { step, reason: reason.to_string() }
}

/// The fields of some rows, as texts.
pub type Batch = Vec<Vec<Option<String>>>;

struct Request {
    sql: String,
    columns: usize,
    rows: mpsc::SyncSender<Result<Batch, DatabaseError>>,
}

/// A transaction that sees one moment.
pub struct Snapshot {
    requests: mpsc::Sender<Request>,
    schema: String,
}

impl Snapshot {
    /// Connects and begins.
    ///
    /// # Errors
    /// [`DatabaseError`].
    pub fn open(settings: &DatabaseSettings) -> Result<Self, DatabaseError> {
        let (requests, inbox) = mpsc::channel();
        let (ready, opened) = mpsc::sync_channel(1);
        let (own, schema) = (settings.clone(), settings.schema.clone());
        std::thread::Builder::new()
            .name("ward-postgres".to_owned())
            .spawn(move || serve(&own, &inbox, &ready))
            .map_err(|e| failed("connecting", e.kind()))?;
        opened.recv().unwrap_or_else(|_| Err(failed("connecting", "it broke off")))?;
        Ok(Self { requests, schema })
    }

    /// The rows of a table, these columns as texts, batch after batch until the channel ends. Names are those of the
    /// common data model: lower-case words.
    ///
    /// # Errors
    /// [`DatabaseError`] when the connection is gone.
    pub fn rows(
        &self,
        table: &str,
        columns: &[&str],
    ) -> Result<mpsc::Receiver<Result<Batch, DatabaseError>>, DatabaseError> {
        if let Some(name) = columns.iter().chain([&table, &self.schema.as_str()]).find(|n| !is_word(n)) {
            return Err(failed("reading", format!("`{name}` is no name of a column or table")));
        }
        let (rows, receiver) = mpsc::sync_channel(BATCHES);
        let fields: Vec<String> = columns.iter().map(|name| format!("\"{name}\"::text")).collect();
        let sql = format!("SELECT {} FROM \"{}\".\"{table}\"", fields.join(", "), self.schema);
        let request = Request { sql, columns: columns.len(), rows };
        self.requests.send(request).map_err(|_| failed("reading", "the connection is gone"))?;
        Ok(receiver)
    }
}

fn is_word(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

fn serve(
    settings: &DatabaseSettings,
    inbox: &mpsc::Receiver<Request>,
    ready: &mpsc::SyncSender<Result<(), DatabaseError>>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return drop(ready.send(Err(failed("connecting", error.kind())))),
    };
    runtime.block_on(async {
        let client = match begin(settings).await {
            Ok(client) => client,
            Err(error) => return drop(ready.send(Err(error))),
        };
        if ready.send(Ok(())).is_err() {
            return;
        }
        while let Ok(request) = inbox.recv() {
            if let Err(error) = answer(&client, &request).await {
                // A reader that has gone away needs no answer.
                let _ = request.rows.send(Err(error));
            }
        }
    });
}

async fn begin(settings: &DatabaseSettings) -> Result<Client, DatabaseError> {
    let mut config = Config::new();
    config
        .host(&settings.host)
        .port(settings.port)
        .dbname(&settings.database)
        .user(&settings.user)
        .application_name("ward")
        .connect_timeout(CONNECT_TIMEOUT);
    if let Some(password) = settings.password.as_ref().map(read_password).transpose()? {
        config.password(password.trim_end_matches(['\r', '\n']).as_bytes());
    }
    let client = match &settings.ca {
        Some(ca) => {
            config.ssl_mode(tokio_postgres::config::SslMode::Require);
            let (client, connection) =
                config.connect(Rustls::new(ca)?).await.map_err(refused("connecting"))?;
            tokio::spawn(connection);
            client
        }
        None if settings.is_local() => {
            let (client, connection) = config.connect(NoTls).await.map_err(refused("connecting"))?;
            tokio::spawn(connection);
            client
        }
        None => return Err(failed("connecting", "another machine, and no authority for its certificate")),
    };
    let begin =
        "SET datestyle = 'ISO, YMD'; SET timezone = 'UTC'; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    client.batch_execute(begin).await.map_err(refused("beginning"))?;
    Ok(client)
}

fn read_password(password: &Password) -> Result<Zeroizing<String>, DatabaseError> {
    match password {
        Password::File(path) => {
            crate::identity::files::read_private(path, 4096).map_err(|e| failed("reading the password", e))
        }
        Password::Env(name) => std::env::var(name)
            .map(Zeroizing::new)
            .map_err(|_| failed("reading the password", format!("the variable {name} is not set"))),
    }
}

async fn answer(client: &Client, request: &Request) -> Result<(), DatabaseError> {
    let none: [&str; 0] = [];
    let stream = client.query_raw(&request.sql, none).await.map_err(refused("reading"))?;
    let mut stream = std::pin::pin!(stream);
    let mut batch = Vec::with_capacity(BATCH_ROWS);
    while let Some(row) = stream.next().await {
        let row = row.map_err(refused("reading"))?;
        let fields = (0..request.columns).map(|at| row.try_get(at)).collect::<Result<_, _>>();
        batch.push(fields.map_err(refused("reading"))?);
        if batch.len() == BATCH_ROWS && request.rows.send(Ok(std::mem::take(&mut batch))).is_err() {
            return Ok(());
        }
    }
    // The receiver may have had enough.
    let _ = request.rows.send(Ok(batch));
    Ok(())
}

/// TLS over rustls, verified against one authority.
struct Rustls(Arc<ClientConfig>);

impl Rustls {
    fn new(ca: &Path) -> Result<Self, DatabaseError> {
        let bad = |reason: String| failed("reading the authority", reason);
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(ca).map_err(|e| bad(e.to_string()))? {
            let certificate = certificate.map_err(|e| bad(e.to_string()))?;
            roots.add(certificate).map_err(|e| bad(e.to_string()))?;
        }
        let config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|e| bad(e.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }
}

impl MakeTlsConnect<Socket> for Rustls {
    type Stream = Encrypted;
    type TlsConnect = Handshake;
    type Error = tokio_rustls::rustls::pki_types::InvalidDnsNameError;

    fn make_tls_connect(&mut self, domain: &str) -> Result<Handshake, Self::Error> {
        let name = ServerName::try_from(domain.to_owned())?;
        Ok(Handshake { connector: TlsConnector::from(Arc::clone(&self.0)), name })
    }
}

struct Handshake {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl TlsConnect<Socket> for Handshake {
    type Stream = Encrypted;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = std::io::Result<Encrypted>> + Send>>;

    fn connect(self, stream: Socket) -> Self::Future {
        Box::pin(async move { self.connector.connect(self.name, stream).await.map(Encrypted) })
    }
}

struct Encrypted(tokio_rustls::client::TlsStream<Socket>);

impl TlsStream for Encrypted {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
