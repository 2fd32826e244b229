//! `ward share ...`: files for those whom a policy or a grant names.

pub mod args;
mod show;

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};
use ward_protocols::sharing::{Attribute, Policy, PolicyError};
use zeroize::Zeroizing;

pub use self::args::Args;
use self::args::{Authority as AuthorityArgs, House as HouseArgs, Passphrase, Seal};
use crate::attestation::{read_file, system_rng, write_private, write_public};
use crate::cli::exit::Exit;
use crate::cli::output::terminal::Terminal;
use crate::cli::written;
use crate::identity::passphrase::Hardness;
use crate::problem::{Problem, ProblemKind};
use crate::sharing::authority::{Authority, AuthorityDocument, HolderKey};
use crate::sharing::file::{About, CONTENT_BYTES_MAX, FILE_BYTES_MAX, Opener, Recipient, Shared};
use crate::sharing::house::{GrantDocument, House, HouseDocument};
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
fn said(terminal: &Terminal, text: &str, document: Value) -> Result<Exit, Problem> {
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
        AuthorityArgs::Init { name, secret, passphrase, out } => {
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
        HouseArgs::Init { name, secret, passphrase, out } => {
            refuse_existing(secret)?;
            let house = House::create(name, &mut system_rng()?)?;
            let locked = house.lock(&words(passphrase)?, Hardness::default())?;
            write_private(secret, &to_json(&locked, "a house's secret")?)?;
            write_public(out, &to_json(house.document(), "a house's document")?)?;
            let id = hex::encode(house.key().public().id());
            let text = format!("{}: house {name}, id {id}", out.display());
            said(terminal, &text, json!({ "file": out, "house": name, "id": id }))
        }
        HouseArgs::Grant { secret, passphrase, to, out } => {
            let house = House::unlock(&read_file(secret, KEY_BYTES_MAX)?, &words(passphrase)?)?;
            let (document, key) = HouseDocument::from_json(&read_file(to, KEY_BYTES_MAX)?)?;
            let grant = house.grant(&document, &key, &mut system_rng()?)?;
            write_private(out, &to_json(&grant, "a grant")?)?;
            let (from, to, id) = (&grant.from, &grant.to, hex::encode(key.id()));
            terminal.hint("a proxy with the grant turns over every file that is sealed for this house; give it to a proxy alone");
            let text = format!("{}: files for {from} may be turned over to {to}, id {id}", out.display());
            said(terminal, &text, json!({ "file": out, "from": from, "to": to, "to_id": id }))
        }
    }
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

fn seal(args: &Seal, terminal: &Terminal) -> Result<Exit, Problem> {
    let content = Zeroizing::new(read_file(&args.file, CONTENT_BYTES_MAX as u64)?);
    let name = args.file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let about = About { name, note: args.note.clone() };
    let mut rng = system_rng()?;
    let (shared, who) = if let Some(authority) = &args.authority {
        let (document, public) = AuthorityDocument::from_json(&read_file(authority, KEY_BYTES_MAX)?)?;
        let policy = document.in_epoch(policy(args.policy.as_deref().unwrap_or_default(), terminal)?)?;
        let shared = Shared::seal(&Recipient::Policy(&public, &policy), &about, &content, &mut rng)?;
        (shared, format!("{policy}, by {}", document.name))
    } else {
        let to = args.to.as_deref().unwrap_or_else(|| Path::new(""));
        let (document, key) = HouseDocument::from_json(&read_file(to, KEY_BYTES_MAX)?)?;
        let shared = Shared::seal(&Recipient::House(&key), &about, &content, &mut rng)?;
        (shared, format!("the house {}", document.name))
    };
    write_public(&args.out, &shared.to_bytes())?;
    let text = format!("{} opens for {who}", args.out.display());
    said(terminal, &text, json!({ "file": args.out, "for": who, "bytes": content.len() }))
}

fn read_shared(path: &Path) -> Result<Shared, Problem> {
    Ok(Shared::from_bytes(&read_file(path, FILE_BYTES_MAX)?)?)
}

fn open(
    file: &Path,
    key: &Path,
    (passphrase, out): (&Passphrase, &Path),
    terminal: &Terminal,
) -> Result<Exit, Problem> {
    let shared = read_shared(file)?;
    let key = read_file(key, KEY_BYTES_MAX)?;
    let words = words(passphrase)?;
    let mut rng = system_rng()?;
    let content = if show::is_holder_key(&key) {
        let (public, user) = HolderKey::from_json(&key)?.unlock(&words)?;
        shared.open(&Opener::Holder(&public, &user), &mut rng)?
    } else {
        let house = House::unlock(&key, &words)?;
        shared.open(&Opener::House(house.key()), &mut rng)?
    };
    write_private(out, &content)?;
    let name = shared.about()?.name;
    let text = format!("{}: {} bytes of {name}", out.display(), content.len());
    said(terminal, &text, json!({ "file": out, "name": name, "bytes": content.len() }))
}
