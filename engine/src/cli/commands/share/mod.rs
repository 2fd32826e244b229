//! `ward share ...`: files for those whom a policy or a grant names.

pub mod args;
mod show;

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};
use ward_protocols::sharing::delegation::PublicKey as HouseKey;
use ward_protocols::sharing::fame::{PublicKey, UserKey};
use ward_protocols::sharing::{Attribute, Policy, PolicyError};
use zeroize::Zeroizing;

pub use self::args::Args;
use self::args::{Authority as AuthorityArgs, House as HouseArgs, NewKey, Passphrase, Seal, To};
use crate::attestation::{read_file, system_rng, write_private, write_public};
use crate::audit::{Context, Event};
use crate::cli::exit::Exit;
use crate::cli::output::terminal::Terminal;
use crate::cli::written;
use crate::consent::{Purpose, PurposeError};
use crate::identity::passphrase::Hardness;
use crate::problem::{Problem, ProblemKind};
use crate::sharing::authority::{Authority, AuthorityDocument, HolderKey};
use crate::sharing::file::{About, CONTENT_BYTES_MAX, FILE_BYTES_MAX, Opened, Opener, Recipient, Shared};
use crate::sharing::house::{GrantDocument, House, HouseDocument};
use crate::sharing::trail::Trail;
use crate::sharing::{KEY_BYTES_MAX, ShareError, to_json};

/// Runs a command.
///
/// # Errors
/// As the command says.
pub fn run(command: &Args, terminal: &Terminal) -> Result<Exit, Problem> {
    match command {
        Args::Authority(command) => authority(command, terminal),
        Args::House(command) => house(command, terminal),
        Args::Seal(args) => seal(args, terminal),
        Args::Turn { file, grant, out } => {
            let (names, grant) = GrantDocument::from_json(&read_file(grant, KEY_BYTES_MAX)?)?;
            let turned = read_shared(file)?.turn(&grant, &mut system_rng()?)?;
            write_public(out, &turned.to_bytes())?;
            let text = format!("{} opens for {}, to whom {} granted", out.display(), names.to, names.from);
            said(terminal, &text, json!({ "file": out, "from": names.from, "to": names.to }))
        }
        Args::Open { file, key, passphrase, out } => open(file, key, (passphrase, out), terminal),
        Args::Show { file } => show::run(file, terminal),
    }
}

/// A result: a line for a person, or a document for a program.
pub(super) fn said(terminal: &Terminal, text: &str, document: Value) -> Result<Exit, Problem> {
    if terminal.is_json() {
        return written(terminal.json(&document));
    }
    terminal.say(text);
    Ok(Exit::Ok)
}

fn words(passphrase: &Passphrase) -> Result<Zeroizing<String>, Problem> {
    super::wallet::passphrase(passphrase.passphrase_file.as_deref(), "WARD_PASSPHRASE", "--passphrase-file")
}

/// Secrets are not overwritten by a new one.
fn refuse_existing(path: &Path) -> Result<(), Problem> {
    if path.exists() {
        let message = format!("{} is there already", path.display());
        return Err(Problem::new(ProblemKind::Conflict, "share.exists", message).hint("choose another file"));
    }
    Ok(())
}

fn authority(command: &AuthorityArgs, terminal: &Terminal) -> Result<Exit, Problem> {
    match command {
        AuthorityArgs::Init(NewKey { name, secret, passphrase, out }) => {
            refuse_existing(secret)?;
            let authority = Authority::create(name, &mut system_rng()?)?;
            save_authority(&authority, secret, (&words(passphrase)?, out))?;
            terminal.hint("whoever has the secret and its passphrase opens everything that is sealed under the authority");
            tell_authority(&authority, out, terminal)
        }
        AuthorityArgs::Advance { secret, passphrase, out } => {
            let words = words(passphrase)?;
            let mut authority = Authority::unlock(&read_file(secret, KEY_BYTES_MAX)?, &words)?;
            authority.advance();
            save_authority(&authority, secret, (&words, out))?;
            terminal.hint("issue new keys to those who stay, and give the document to those who seal");
            tell_authority(&authority, out, terminal)
        }
        AuthorityArgs::Issue { secret, passphrase, holder, attributes, key_passphrase_file, out } => {
            refuse_existing(out)?;
            let authority = Authority::unlock(&read_file(secret, KEY_BYTES_MAX)?, &words(passphrase)?)?;
            let names = attributes.iter().map(|name| Attribute::new(name.trim()));
            let names: BTreeSet<Attribute> =
                names.collect::<Result<_, PolicyError>>().map_err(ShareError::from)?;
            let file = key_passphrase_file.as_deref();
            let key_words = super::wallet::passphrase(file, "WARD_KEY_PASSPHRASE", "--key-passphrase-file")?;
            let lock = (key_words.as_str(), Hardness::default());
            let key = authority.issue(holder, names.clone(), lock, &mut system_rng()?)?;
            write_private(out, &to_json(&key, "a holder's key")?)?;
            let listed: Vec<&str> = names.iter().map(Attribute::as_str).collect();
            let epoch = authority.document().epoch;
            let id = hex::encode(&key.id.0);
            let text =
                format!("{}: {holder} has {}, in epoch {epoch}; key {id}", out.display(), listed.join(", "));
            let document =
                json!({ "file": out, "holder": holder, "attributes": listed, "epoch": epoch, "id": id });
            said(terminal, &text, document)
        }
    }
}

fn save_authority(authority: &Authority, secret: &Path, (words, out): (&str, &Path)) -> Result<(), Problem> {
    let locked = authority.lock(words, Hardness::default())?;
    write_private(secret, &to_json(&locked, "an authority's secret")?)?;
    Ok(write_public(out, &to_json(authority.document(), "an authority's document")?)?)
}

fn tell_authority(authority: &Authority, out: &Path, terminal: &Terminal) -> Result<Exit, Problem> {
    let document = authority.document();
    let id = hex::encode(document.public()?.id());
    let text = format!("{}: authority {}, epoch {}, id {id}", out.display(), document.name, document.epoch);
    said(
        terminal,
        &text,
        json!({ "file": out, "authority": document.name, "epoch": document.epoch, "id": id }),
    )
}

fn house(command: &HouseArgs, terminal: &Terminal) -> Result<Exit, Problem> {
    match command {
        HouseArgs::Init(NewKey { name, secret, passphrase, out }) => {
            refuse_existing(secret)?;
            let house = House::create(name, &mut system_rng()?)?;
            let locked = house.lock(&words(passphrase)?, Hardness::default())?;
            write_private(secret, &to_json(&locked, "a house's secret")?)?;
            write_public(out, &to_json(house.document(), "a house's document")?)?;
            let id = hex::encode(house.key().public().id());
            let text = format!("{}: house {name}, id {id}", out.display());
            said(terminal, &text, json!({ "file": out, "house": name, "id": id }))
        }
        HouseArgs::Grant { secret, passphrase, to, purpose, out } => {
            let purpose = purpose.as_deref().map(purpose_of).transpose()?;
            let house = open_house(secret, passphrase)?;
            let (document, key) = HouseDocument::from_json(&read_file(to, KEY_BYTES_MAX)?)?;
            let grant = house.grant(&document, &key, &mut system_rng()?)?;
            let (id, trail) = (hex::encode(key.id()), Trail::beside(secret, house.signer()));
            let written = trail.append(grant_event(&house, &grant, (&id, purpose)))?;
            write_private(out, &to_json(&grant, "a grant")?)?;
            let text = granted(&grant, (out, &id), terminal);
            let signer = hex::encode(trail.key().as_bytes());
            let event = format!("event {} of {}, key {signer}", written.count, trail.path().display());
            terminal
                .hint("a hospital grants by `ward party share grant`: its node asks the patients' consent");
            let (from, to) = (&grant.from, &grant.to);
            let trail = json!({ "file": trail.path(), "key": signer, "events": written.count });
            let document = json!({ "file": out, "from": from, "to": to, "to_id": id, "trail": trail });
            said(terminal, &format!("{text}\n{event}"), document)
        }
    }
}

/// What the house's trail says of a grant.
fn grant_event(house: &House, grant: &GrantDocument, (id, purpose): (&str, Option<Purpose>)) -> Event {
    let context = Context {
        organisation: grant.from.clone(),
        recipient: grant.to.clone(),
        purpose: purpose.iter().map(ToString::to_string).collect(),
        source: "local".to_owned(),
        ..Context::default()
    };
    let subject = format!("house:{}", hex::encode(house.key().public().id()));
    Event::new(&grant.from, "house", "share.grant", &subject)
        .saying(format!("every file for the house, to the key {id}"))
        .within(context)
}

/// A purpose, as a DUO code.
pub(super) fn purpose_of(text: &str) -> Result<Purpose, Problem> {
    Purpose::parse(text).map_err(|error| {
        Problem::new(ProblemKind::Validation, "share.purpose", error.to_string()).hint(PurposeError::HINT)
    })
}

/// A house's secret, opened.
pub(super) fn open_house(secret: &Path, passphrase: &Passphrase) -> Result<House, Problem> {
    Ok(House::unlock(&read_file(secret, KEY_BYTES_MAX)?, &words(passphrase)?)?)
}

/// What a grant means, for people.
pub(super) fn granted(grant: &GrantDocument, (out, id): (&Path, &str), terminal: &Terminal) -> String {
    terminal.hint("a proxy with the grant turns over every file that is sealed for this house; give it to a proxy alone");
    format!("{}: files for {} may be turned over to {}, id {id}", out.display(), grant.from, grant.to)
}

/// Reads a policy; a fault is shown where it stands.
fn policy(text: &str, terminal: &Terminal) -> Result<Policy, Problem> {
    text.parse::<Policy>().map_err(|error| {
        if !terminal.is_json() && !text.contains('\n') && text.chars().count() <= 160 {
            let column = |at: usize| text.get(..at).map_or(0, |before| before.chars().count());
            let (from, to) = (column(error.span.start), column(error.span.end));
            let carets = "^".repeat(to.saturating_sub(from).max(1));
            let shown: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            terminal.say(&format!("  | {shown}\n  | {}{carets}\n", " ".repeat(from)));
        }
        ShareError::from(error).into()
    })
}

/// To whom something is sealed, read from the files that a command names.
pub(super) enum Addressee {
    /// Whoever has the attributes.
    Policy(AuthorityDocument, Box<PublicKey>, Box<Policy>),
    /// A house.
    House(HouseDocument, Box<HouseKey>),
}

impl Addressee {
    /// Reads the files.
    ///
    /// # Errors
    /// What they are refused for; a policy that does not parse.
    pub(super) fn read(to: &To, terminal: &Terminal) -> Result<Self, Problem> {
        if let Some(authority) = &to.authority {
            let (document, public) = AuthorityDocument::from_json(&read_file(authority, KEY_BYTES_MAX)?)?;
            let policy = document.in_epoch(policy(to.policy.as_deref().unwrap_or_default(), terminal)?)?;
            return Ok(Self::Policy(document, Box::new(public), Box::new(policy)));
        }
        let house = to.to.as_deref().unwrap_or_else(|| Path::new(""));
        let (document, key) = HouseDocument::from_json(&read_file(house, KEY_BYTES_MAX)?)?;
        Ok(Self::House(document, Box::new(key)))
    }

    /// For sealing.
    pub(super) fn recipient(&self) -> Recipient<'_> {
        match self {
            Self::Policy(_, public, policy) => Recipient::Policy(public, policy),
            Self::House(_, key) => Recipient::House(key),
        }
    }

    /// For people.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Policy(document, _, policy) => format!("{policy}, by {}", document.name),
            Self::House(document, _) => format!("the house {}", document.name),
        }
    }
}

fn seal(args: &Seal, terminal: &Terminal) -> Result<Exit, Problem> {
    let content = Zeroizing::new(read_file(&args.file, CONTENT_BYTES_MAX as u64)?);
    let name = args.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let (to, out) = (Addressee::read(&args.to, terminal)?, &args.to.out);
    let about = About { name, note: args.to.note.clone() };
    let shared = Shared::seal(&to.recipient(), &about, &content, &mut system_rng()?)?;
    write_public(out, &shared.to_bytes())?;
    let text = format!("{} opens for {}", out.display(), to.describe());
    said(terminal, &text, json!({ "file": out, "for": to.describe(), "bytes": content.len() }))
}

/// Reads a shared file.
pub(super) fn read_shared(path: &Path) -> Result<Shared, Problem> {
    Ok(Shared::from_bytes(&read_file(path, FILE_BYTES_MAX)?)?)
}

/// A key that opens shared files.
pub(super) enum Key {
    /// A holder's, with its authority's.
    Holder(Box<(PublicKey, UserKey)>),
    /// A house's.
    House(Box<House>),
}

impl Key {
    /// Opens a key's file.
    ///
    /// # Errors
    /// What it is refused for.
    pub(super) fn open(key: &Path, passphrase: &Passphrase) -> Result<Self, Problem> {
        let key = read_file(key, KEY_BYTES_MAX)?;
        let words = words(passphrase)?;
        Ok(match show::is_holder_key(&key) {
            true => Self::Holder(Box::new(HolderKey::from_json(&key)?.unlock(&words)?)),
            false => Self::House(Box::new(House::unlock(&key, &words)?)),
        })
    }

    /// For opening.
    pub(super) fn opener(&self) -> Opener<'_> {
        match self {
            Self::Holder(keys) => Opener::Holder(&keys.0, &keys.1),
            Self::House(house) => Opener::House(house.key()),
        }
    }
}

fn open(
    file: &Path,
    key: &Path,
    (passphrase, out): (&Passphrase, &Path),
    terminal: &Terminal,
) -> Result<Exit, Problem> {
    let shared = read_shared(file)?;
    let key = Key::open(key, passphrase)?;
    let (name, content, about) = match shared.open(&key.opener(), &mut system_rng()?)? {
        Opened::Content(content) => (shared.about()?.name, content, None),
        Opened::Record(record) => (record.name, record.bytes, Some(record.manifest.statement.clone())),
    };
    write_private(out, &content)?;
    let mut text = format!("{}: {} bytes of {name}", out.display(), content.len());
    if let Some(about) = &about {
        let (share, from, class, purpose) = (&about.share, &about.from, &about.class, &about.purpose);
        text.push_str(&format!(
            "\nshare {share}, of class {class}, for {purpose}; it says that it is from {from}"
        ));
        terminal
            .hint("`ward party share receive` checks whom it is from, and stores it under a patient's key");
    }
    said(terminal, &text, json!({ "file": out, "name": name, "bytes": content.len(), "record": about }))
}
