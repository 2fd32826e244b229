//! Where the sealed documents lie: a folder, S3, or IPFS through the file interface (MFS) of a node's RPC.
//!
//! Nothing lies there in the clear, names and types neither: an object is named by the document's random id.

use std::path::{Path, PathBuf};

use opendal::services::{Fs, Ipmfs, S3};
use opendal::{ErrorKind, HttpTransporter, Operator};
use serde::Deserialize;

use super::transport::Transport;
use crate::problem::{Problem, ProblemKind};
use crate::vault::Secret;

/// Which store, and how it is reached.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ShelfConfig {
    /// A folder.
    Folder(PathBuf),
    /// A bucket of an S3 service.
    S3(S3Settings),
    /// The file interface of an IPFS node.
    Ipfs(IpfsSettings),
}

impl ShelfConfig {
    /// The same, with paths taken relative to a folder.
    #[must_use]
    pub fn within(self, folder: &Path) -> Self {
        match self {
            Self::Folder(path) => Self::Folder(folder.join(path)),
            Self::S3(settings) => Self::S3(S3Settings {
                access_key: settings.access_key.clone().within(folder),
                secret_key: settings.secret_key.clone().within(folder),
                ..settings
            }),
            ipfs @ Self::Ipfs(_) => ipfs,
        }
    }
}

/// A bucket.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3Settings {
    /// Address of the service, as `https://s3.eu-central-1.amazonaws.com`.
    pub endpoint: String,
    /// The bucket.
    pub bucket: String,
    /// Its region.
    #[serde(default = "default_region")]
    pub region: String,
    /// Prefix of all objects.
    #[serde(default = "default_root")]
    pub root: String,
    /// Access key.
    pub access_key: Secret,
    /// Its secret.
    pub secret_key: Secret,
}

/// A node's RPC.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IpfsSettings {
    /// Its address, as `http://127.0.0.1:5001`.
    pub api: String,
    /// Folder of all objects.
    #[serde(default = "default_root")]
    pub root: String,
}

fn default_region() -> String {
    "us-east-1".to_owned()
}

fn default_root() -> String {
    "/ward".to_owned()
}

/// A store of sealed documents.
pub struct Shelf {
    operator: Operator,
    what: String,
}

impl Shelf {
    /// Opens a store; its service is not asked yet.
    ///
    /// # Errors
    /// `document.store` for settings that make no sense.
    pub fn open(config: &ShelfConfig) -> Result<Self, Problem> {
        // The first one of the process stays.
        let transport = Transport::new().map_err(|e| Problem::internal(&e))?;
        HttpTransporter::install_default(transport);
        let (operator, what) = match config {
            ShelfConfig::Folder(path) => {
                let root = path.display().to_string();
                (Operator::new(Fs::default().root(&root)), format!("the folder {root}"))
            }
            ShelfConfig::S3(settings) => {
                let builder = S3::default()
                    .endpoint(&settings.endpoint)
                    .bucket(&settings.bucket)
                    .region(&settings.region)
                    .root(&settings.root)
                    .access_key_id(&settings.access_key.read("the access key of the document store")?)
                    .secret_access_key(&settings.secret_key.read("the secret key of the document store")?)
                    .disable_config_load()
                    .disable_ec2_metadata();
                (Operator::new(builder), format!("the bucket {} at {}", settings.bucket, settings.endpoint))
            }
            ShelfConfig::Ipfs(settings) => {
                let builder = Ipmfs::default().endpoint(&settings.api).root(&settings.root);
                (Operator::new(builder), format!("IPFS at {}", settings.api))
            }
        };
        let operator = operator.map_err(|e| {
            Problem::new(ProblemKind::Validation, "document.store", format!("{what}: {}", e.kind()))
                .hint("`[documents] store` names a folder, an S3 bucket or an IPFS node")
        })?;
        Ok(Self { operator, what })
    }

    /// What it is, for people.
    #[must_use]
    pub fn describe(&self) -> &str {
        &self.what
    }

    fn failed(&self, error: &opendal::Error) -> Problem {
        // The whole error may hold a request with its signature: the kind is enough for people.
        tracing::debug!(kind = %error.kind(), store = %self.what, "the document store failed");
        Problem::new(ProblemKind::Unavailable, "document.store", format!("{}: {}", self.what, error.kind()))
            .hint("is the store up, and may this node write there?")
    }

    /// Keeps an object.
    ///
    /// # Errors
    /// `document.store`.
    pub async fn put(&self, id: &str, bytes: Vec<u8>) -> Result<(), Problem> {
        self.operator.write(&path(id), bytes).await.map(drop).map_err(|e| self.failed(&e))
    }

    /// An object; none when it is not there.
    ///
    /// # Errors
    /// `document.store`.
    pub async fn get(&self, id: &str) -> Result<Option<Vec<u8>>, Problem> {
        match self.operator.read(&path(id)).await {
            Ok(bytes) => Ok(Some(bytes.to_vec())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Removes an object; an absent one is no error.
    ///
    /// # Errors
    /// `document.store`.
    pub async fn remove(&self, id: &str) -> Result<(), Problem> {
        match self.operator.delete(&path(id)).await {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(self.failed(&error)),
            _ => Ok(()),
        }
    }
}

fn path(id: &str) -> String {
    let folder: String = id.chars().take(2).collect();
    format!("{folder}/{id}")
}
