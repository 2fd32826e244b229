//! A member's folder: its certificate, its key sealed at rest, and where the engine is. Hospitals' nodes, researchers
//! and operators keep the same folder.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use tonic::transport::Channel;
use zeroize::Zeroizing;

use crate::clock::now_ms;
use crate::grpc::client::{self, Target};
use crate::identity::{CaCertificate, Identity, Member, Role, SealContext, SealKey, Token, possession_parts};
use crate::party::connect::Proxy;
use crate::problem::{Problem, ProblemKind};

/// Context under which a new member shows that it holds its key.
pub const ENROLMENT: &str = "ward enrolment";

const FILE: &str = "member.json";
const KEY_PLACE: SealContext<'static> = SealContext { table: "member", row: "self", column: "identity" };

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    engine_url: String,
    consortium: String,
    role: Role,
    name: String,
    certificate: String,
    authority: String,
    sealed_key: String,
}

/// A member, ready to speak.
pub struct Membership {
    /// The engine's address.
    pub engine_url: String,
    /// The consortium.
    pub consortium: String,
    /// Role, name and key, as certified.
    pub member: Member,
    /// Its certificate, DER.
    pub certificate: Vec<u8>,
    /// The consortium's authority.
    pub authority: CaCertificate,
    /// Its key.
    pub identity: Identity,
    /// What seals its files.
    pub seal: SealKey,
    /// Its folder.
    pub folder: PathBuf,
}

/// A certificate as PEM.
#[must_use]
pub fn pem_of(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in text.as_bytes().chunks(64) {
        // Base64 is ASCII.
        pem.extend(line.iter().map(|b| char::from(*b)));
        pem.push('\n');
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

fn file_problem(path: &Path, error: &dyn std::fmt::Display) -> Problem {
    Problem::new(ProblemKind::Validation, "member.file", format!("{}: {error}", path.display()))
}

/// Writes a file only its owner can read, whole or not at all.
///
/// # Errors
/// [`Problem`] naming the file.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Problem> {
    let write = || std::fs::rename(write_beside(path, bytes)?, path);
    write().map_err(|e| file_problem(path, &e))
}

/// As [`write_private`], but never in the place of a file that is there: of two processes at once, one writes, and
/// both find what it wrote.
///
/// # Errors
/// [`Problem`] naming the file.
pub fn create_private(path: &Path, bytes: &[u8]) -> Result<(), Problem> {
    let create = || {
        let next = write_beside(path, bytes)?;
        // A hard link fails when the name is taken, where a rename would replace what is there.
        let linked = match std::fs::hard_link(&next, path) {
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
        };
        std::fs::remove_file(&next).and(linked)
    };
    create().map_err(|e| file_problem(path, &e))
}

/// Writes a file of mode 0600 under a name of its own beside `path`.
fn write_beside(path: &Path, bytes: &[u8]) -> std::io::Result<PathBuf> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let unique = crate::identity::random::<8>().map_err(std::io::Error::other)?;
    let next = path.with_extension(format!("tmp-{}", hex::encode(unique)));
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&next)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(next)
}

impl Membership {
    /// Loads the folder.
    ///
    /// # Errors
    /// `member.missing` when nobody has enrolled here; [`Problem`] when it is damaged or the seal is another.
    pub fn load(folder: &Path, seal: SealKey) -> Result<Self, Problem> {
        let path = folder.join(FILE);
        let text = std::fs::read_to_string(&path).map_err(|_| {
            Problem::new(ProblemKind::NotFound, "member.missing", format!("nobody has enrolled in {}", folder.display()))
                .hint("ask the operator for a one-time token: `ward enrol --token ...` (people), `ward party enrol` (nodes)")
        })?;
        let saved: Saved = serde_json::from_str(&text).map_err(|e| file_problem(&path, &e))?;
        let bad = |e: crate::identity::IdentityError| file_problem(&path, &e);
        let unhex = |text: &str| hex::decode(text).map_err(|e| file_problem(&path, &e));
        let certificate = unhex(&saved.certificate)?;
        let authority = CaCertificate::from_der(&unhex(&saved.authority)?).map_err(bad)?;
        let key = seal.open(KEY_PLACE, &unhex(&saved.sealed_key)?).map_err(bad)?;
        let pem = std::str::from_utf8(&key).map_err(|e| file_problem(&path, &e))?;
        let identity = Identity::from_pem(pem).map_err(bad)?;
        let member = Member::from_certificate(&certificate).map_err(bad)?;
        if member.key != identity.public() || member.name != saved.name || member.role != saved.role {
            return Err(file_problem(&path, &"key and certificate are not of one member"));
        }
        Ok(Self {
            engine_url: saved.engine_url,
            consortium: saved.consortium,
            member,
            certificate,
            authority,
            identity,
            seal,
            folder: folder.to_owned(),
        })
    }

    fn save(&self) -> Result<(), Problem> {
        let key = self.identity.to_pem().map_err(|e| Problem::internal(&e))?;
        let sealed = self.seal.seal(KEY_PLACE, key.as_bytes()).map_err(|e| Problem::internal(&e))?;
        let saved = Saved {
            engine_url: self.engine_url.clone(),
            consortium: self.consortium.clone(),
            role: self.member.role,
            name: self.member.name.clone(),
            certificate: hex::encode(&self.certificate),
            authority: hex::encode(self.authority.der()),
            sealed_key: hex::encode(sealed),
        };
        let text = serde_json::to_string_pretty(&saved).map_err(|e| Problem::internal(&e))?;
        write_private(&self.folder.join(FILE), text.as_bytes())
    }

    /// A key that was registered by token, saved with its certificate in place of an older one.
    ///
    /// # Errors
    /// `login.certificate` when the engine certified something else than was asked for.
    pub fn registered(
        registered: Registered,
        identity: Identity,
        folder: &Path,
        seal: SealKey,
    ) -> Result<Self, Problem> {
        let Registered { engine_url, authority, name, certificate } = registered;
        let refuse = |message: String| Problem::new(ProblemKind::Authorization, "login.certificate", message);
        let member =
            authority.verify(&certificate, (now_ms() / 1000) as i64).map_err(|e| refuse(e.to_string()))?;
        if member.key != identity.public() || member.name != name {
            return Err(refuse("the engine certified something else than was asked for".to_owned()));
        }
        let consortium = authority.name().to_owned();
        let membership = Self {
            engine_url,
            consortium,
            member,
            certificate,
            authority,
            identity,
            seal,
            folder: folder.to_owned(),
        };
        membership.save()?;
        Ok(membership)
    }

    /// Takes a newer certificate of the same key, name and role, and saves it.
    ///
    /// # Errors
    /// `member.certificate` for one of anything else, one that ends no later, or one that does not hold at that time.
    pub fn renewed(self, certificate: Vec<u8>, now_s: i64) -> Result<Self, Problem> {
        let member = newer(&self.authority, &self.member, &certificate, now_s)?;
        let renewed = Self { member, certificate, ..self };
        renewed.save()?;
        Ok(renewed)
    }

    /// Asks for a newer certificate over a connection of its own when two thirds of the life of this one are over. An
    /// engine that does not answer is no reason to stop before it ends.
    ///
    /// # Errors
    /// As [`Self::renewed`].
    pub async fn renewed_if_due(self, channel: &Channel) -> Result<Self, Problem> {
        let now_s = (now_ms() / 1000) as i64;
        if !is_renewal_due(&self.member, now_s) {
            return Ok(self);
        }
        match client::renew(channel.clone()).await {
            Ok(certificate) => self.renewed(certificate, now_s),
            Err(problem) => {
                tracing::warn!(%problem, "the certificate is not renewed");
                Ok(self)
            }
        }
    }

    /// How to reach the engine as this member.
    ///
    /// # Errors
    /// Only when the key cannot be written as PEM.
    pub fn target(&self, proxy: Option<Proxy>) -> Result<Target, Problem> {
        let key = self.identity.to_pem().map_err(|e| Problem::internal(&e))?;
        Ok(Target {
            url: self.engine_url.clone(),
            authority_pem: pem_of(self.authority.der()),
            identity_pem: Some((pem_of(&self.certificate), key)),
            proxy,
        })
    }

    /// Enrols with a one-time token and saves the folder.
    ///
    /// # Errors
    /// [`Problem`] when somebody has enrolled here already, the token does not parse, or the engine refuses it.
    pub async fn enrol(
        text: &str,
        roles: &[Role],
        folder: &Path,
        (seal, proxy): (SealKey, Option<Proxy>),
    ) -> Result<Self, Problem> {
        if folder.join(FILE).exists() {
            let message = format!("a member has enrolled in {} already", folder.display());
            return Err(Problem::new(ProblemKind::Conflict, "member.exists", message)
                .hint("use another folder, or remove this one if its keys are no longer needed"));
        }
        let invalid = |e: crate::identity::IdentityError| {
            Problem::new(ProblemKind::Validation, "enrol.token", e.to_string())
        };
        let token = Token::parse(text).map_err(invalid)?;
        if !roles.contains(&token.role) {
            let message =
                format!("the token enrols a {}, which is not what this command is for", token.role.as_str());
            return Err(Problem::new(ProblemKind::Validation, "enrol.role", message)
                .hint("`ward party enrol` takes a hospital's token, `ward enrol` a person's"));
        }
        let identity = Identity::generate().map_err(|e| Problem::internal(&e))?;
        let certificate = request_certificate(&token, &identity, proxy).await?;
        let member = token
            .ca
            .verify(&certificate, (now_ms() / 1000) as i64)
            .map_err(|e| Problem::new(ProblemKind::Authorization, "enrol.certificate", e.to_string()))?;
        if member.key != identity.public() || member.name != token.name || member.role != token.role {
            let message = "the engine certified something else than was asked for";
            return Err(Problem::new(ProblemKind::Authorization, "enrol.certificate", message));
        }
        let membership = Self {
            engine_url: token.engine_url.clone(),
            consortium: token.ca.name().to_owned(),
            member,
            certificate,
            authority: token.ca.clone(),
            identity,
            seal,
            folder: folder.to_owned(),
        };
        membership.save()?;
        Ok(membership)
    }
}

/// What came of registering a key.
pub struct Registered {
    /// The engine's address.
    pub engine_url: String,
    /// The consortium's authority.
    pub authority: CaCertificate,
    /// The name that logged in.
    pub name: String,
    /// The certificate, DER.
    pub certificate: Vec<u8>,
}

/// True from when two thirds of a certificate's life are over.
#[must_use]
pub fn is_renewal_due(member: &Member, now_s: i64) -> bool {
    let life_s = member.valid_until_s.saturating_sub(member.valid_from_s);
    member.valid_until_s.saturating_sub(now_s) < life_s / 3
}

/// Checks that a certificate is a newer one of the same member.
///
/// # Errors
/// `member.certificate`.
fn newer(
    authority: &CaCertificate,
    held: &Member,
    certificate: &[u8],
    now_s: i64,
) -> Result<Member, Problem> {
    let refuse = |message: String| Problem::new(ProblemKind::Authorization, "member.certificate", message);
    let member = authority.verify(certificate, now_s).map_err(|e| refuse(e.to_string()))?;
    let same = member.key == held.key && member.name == held.name && member.role == held.role;
    if !same || member.valid_until_s <= held.valid_until_s {
        return Err(refuse("the engine renewed something else than was asked for".to_owned()));
    }
    Ok(member)
}

async fn request_certificate(
    token: &Token,
    identity: &Identity,
    proxy: Option<Proxy>,
) -> Result<Vec<u8>, Problem> {
    let claim = token.claim(identity.public());
    let parts = possession_parts(&claim);
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    let proof = identity.sign(ENROLMENT, &parts);
    let target = Target {
        url: token.engine_url.clone(),
        authority_pem: pem_of(token.ca.der()),
        identity_pem: None,
        proxy,
    };
    client::enrol(&target, &claim, proof).await
}

/// Reads a token argument: the text, or stdin for `-`.
///
/// # Errors
/// When stdin cannot be read.
pub fn token_text(argument: &str) -> Result<Zeroizing<String>, Problem> {
    if argument != "-" {
        return Ok(Zeroizing::new(argument.to_owned()));
    }
    let mut text = Zeroizing::new(String::new());
    std::io::Read::read_to_string(&mut std::io::stdin(), &mut text)
        .map_err(|e| Problem::new(ProblemKind::Validation, "enrol.token", format!("stdin: {e}")))?;
    Ok(text)
}
