//! `ward party share ...`: records of the vault for those whom a policy or a grant names, and records of others.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};
use serde_json::json;

use super::party::load;
use super::share::args::{Passphrase, To};
use super::share::{Addressee, Key, granted, open_house, purpose_of, read_shared, said};
use crate::attestation::{read_file, system_rng, write_private, write_public};
use crate::cli::exit::Exit;
use crate::cli::output::table::{Align, Entry, Grid};
use crate::cli::output::terminal::Terminal;
use crate::cli::written;
use crate::clock::utc;
use crate::encoding::Digest;
use crate::party::node::Node;
use crate::party::share::{Given, Terms};
use crate::problem::Problem;
use crate::sharing::file::Shared;
use crate::sharing::house::HouseDocument;
use crate::sharing::{KEY_BYTES_MAX, to_json};

/// `ward party share`.
#[derive(Debug, Subcommand)]
pub enum Args {
    /// Share a document.
    Document {
        /// The document.
        id: String,
        /// How.
        #[command(flatten)]
        how: How,
    },
    /// Share what HL7 v2 messages said of a patient in a class of data.
    Messages {
        /// The patient's identifier.
        #[arg(long)]
        patient: String,
        /// The class of data, as `[hl7] classes` names it.
        #[arg(long)]
        class: String,
        /// How.
        #[command(flatten)]
        how: How,
    },
    /// Let a proxy turn what is sealed for this hospital's house over to another house.
    Grant {
        /// The node's configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// The house's secret.
        #[arg(long, value_name = "FILE")]
        secret: PathBuf,
        /// What opens the secret.
        #[command(flatten)]
        passphrase: Passphrase,
        /// The other house's document.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
        /// What for, as a DUO code.
        #[arg(long, value_name = "CODE")]
        purpose: String,
        /// Where the grant goes: to the proxy, and to nobody else.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Open a record that another hospital shared, and store it as a document of a patient.
    Receive {
        /// The shared record.
        file: PathBuf,
        /// The node's configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// A holder's key or a house's secret.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// What opens the key.
        #[command(flatten)]
        passphrase: Passphrase,
        /// The patient's identifier here.
        #[arg(long)]
        patient: String,
        /// The class of data here.
        #[arg(long)]
        class: String,
    },
    /// List what was shared.
    List {
        /// The node's configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Of one patient.
        #[arg(long)]
        patient: Option<String>,
    },
}

/// How a record is shared.
#[derive(Debug, ClapArgs)]
pub struct How {
    /// The node's configuration.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Who receives it, by the name that consents give as grantee [default: the house's name].
    #[arg(long, value_name = "NAME", required_unless_present = "to")]
    pub recipient: Option<String>,
    /// What for, as a DUO code: DUO:0000043 for care.
    #[arg(long, value_name = "CODE")]
    pub purpose: String,
    /// For whom.
    #[command(flatten)]
    pub to: To,
}

/// Runs a command.
///
/// # Errors
/// As the command says.
pub async fn run(command: &Args, terminal: &Terminal) -> Result<Exit, Problem> {
    match command {
        Args::Document { id, how } => {
            let (node, addressee) = ready(how, terminal)?;
            let given = node.share_document(id, &terms(how, &addressee)?).await?;
            tell(given, how, terminal)
        }
        Args::Messages { patient, class, how } => {
            let (node, addressee) = ready(how, terminal)?;
            let given = node.share_messages((patient, class), &terms(how, &addressee)?)?;
            tell(given, how, terminal)
        }
        Args::Grant { config, secret, passphrase, to, purpose, out } => {
            let node = Node::open_lazily(load(config)?)?;
            let purpose = purpose_of(purpose)?;
            let house = open_house(secret, passphrase)?;
            let (document, key) = HouseDocument::from_json(&read_file(to, KEY_BYTES_MAX)?)?;
            let grant = house.grant(&document, &key, &mut system_rng()?)?;
            let own = Digest(house.key().public().id());
            let covered = node.grant_share(own, (&document.name, Digest(key.id())), purpose)?;
            write_private(out, &to_json(&grant, "a grant")?)?;
            let id = hex::encode(key.id());
            let text = granted(&grant, (out, &id), terminal);
            let (from, to) = (&grant.from, &grant.to);
            let document = json!({ "file": out, "from": from, "to": to, "to_id": id, "shares": covered });
            said(terminal, &format!("{text}\n{covered} record(s) shared before are covered"), document)
        }
        Args::Receive { file, config, key, passphrase, patient, class } => {
            let node = Node::open_lazily(load(config)?)?;
            let (shared, key) = (read_shared(file)?, Key::open(key, passphrase)?);
            let taken = node.receive_share((&shared, &key.opener()), (patient, class)).await?;
            if terminal.is_json() {
                return written(terminal.json(&taken));
            }
            let facts = &taken.document.facts;
            terminal.say(&format!(
                "share {} from {}, for {}: {} ({}, {} bytes), sealed",
                taken.share, taken.from, taken.purpose, facts.name, facts.kind, facts.bytes
            ));
            written(terminal.data(&format!("{}\n", taken.document.id)))
        }
        Args::List { config, patient } => {
            list(&Node::open_lazily(load(config)?)?.list_shares(patient.as_deref())?, terminal)
        }
    }
}

fn ready(how: &How, terminal: &Terminal) -> Result<(Node, Addressee), Problem> {
    Ok((Node::open_lazily(load(&how.config)?)?, Addressee::read(&how.to, terminal)?))
}

fn terms<'a>(how: &'a How, addressee: &'a Addressee) -> Result<Terms<'a>, Problem> {
    let (name, policy, house) = match addressee {
        Addressee::Policy(_, _, policy) => ("", policy.to_string(), None),
        Addressee::House(document, key) => (document.name.as_str(), String::new(), Some(Digest(key.id()))),
    };
    Ok(Terms {
        to: addressee.recipient(),
        recipient: how.recipient.as_deref().unwrap_or(name),
        policy,
        house,
        purpose: purpose_of(&how.purpose)?,
        note: &how.to.note,
    })
}

fn tell((given, shared): (Given, Shared), how: &How, terminal: &Terminal) -> Result<Exit, Problem> {
    write_public(&how.to.out, &shared.to_bytes())?;
    let text = format!(
        "{}: {} of class {}, for {} to read for {}; share {}",
        how.to.out.display(),
        given.what,
        given.class,
        given.recipients.join(", "),
        given.purpose,
        given.id
    );
    said(terminal, &text, json!({ "file": how.to.out, "share": given }))
}

fn list(found: &[Given], terminal: &Terminal) -> Result<Exit, Problem> {
    if terminal.is_json() {
        return written(terminal.json(&found));
    }
    let mut grid = Grid::new()
        .columns(Align::Name, &["share", "when", "patient", "class", "what", "for"])
        .column("who may read it", Align::Prose);
    for share in found {
        let patient: String = share.patient.chars().take(12).collect();
        let recipients = share.recipients.join(", ");
        let cells = [
            &share.id,
            &utc(share.at_unix_ms),
            &patient,
            &share.class,
            &share.what,
            &share.purpose,
            &recipients,
        ];
        grid.row(cells.into_iter().map(Entry::from).collect());
    }
    if found.is_empty() {
        terminal.say("nothing is shared");
        return Ok(Exit::Ok);
    }
    written(terminal.data(&grid.render(&terminal.style())))
}
