//! `ward party keys ...` and `ward party erase`: the keys of patients' records, and their end.

use std::path::PathBuf;

use clap::Subcommand;

use super::party::load;
use crate::cli::exit::Exit;
use crate::cli::output::report::facts;
use crate::cli::output::terminal::Terminal;
use crate::cli::written;
use crate::clock::utc;
use crate::party::node::Node;
use crate::problem::Problem;

/// `ward party keys`.
#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Show the key-encryption key, and how many keys of records are wrapped under which version.
    Show {
        /// The node's configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Wrap the keys of all records under a new key-encryption key, and destroy the old one; goes on where it was
    /// interrupted.
    Rotate {
        /// The node's configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Keep the old versions: copies of the folder made before still open.
        #[arg(long)]
        keep_old: bool,
    },
}

/// `ward party erase`.
#[derive(Debug, clap::Args)]
pub struct Erase {
    /// The node's configuration.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The patient's identifier, as in the tables.
    patient: String,
}

/// Runs a command on keys.
///
/// # Errors
/// The key provider's; storage.
pub fn keys(command: &Keys, terminal: &Terminal) -> Result<Exit, Problem> {
    match command {
        Keys::Show { config } => show(&Node::open_lazily(load(config)?)?, terminal),
        Keys::Rotate { config, keep_old } => rotate(&Node::open_lazily(load(config)?)?, *keep_old, terminal),
    }
}

fn show(node: &Node, terminal: &Terminal) -> Result<Exit, Problem> {
    let report = node.keys_report()?;
    if terminal.is_json() {
        return written(terminal.json(&report));
    }
    let mut text = facts(
        &[("kept in", report.provider.clone()), ("version", report.current.to_string())],
        &terminal.style(),
    );
    for (version, count) in &report.data_keys {
        text.push_str(&format!("{count:>10}  keys of records under version {version}\n"));
    }
    if report.data_keys.keys().any(|version| *version < report.minimum) {
        terminal.warn("a rotation was interrupted");
        terminal.hint("`ward party keys rotate` goes on");
    }
    written(terminal.data(&text))
}

fn rotate(node: &Node, keeps_old: bool, terminal: &Terminal) -> Result<Exit, Problem> {
    let rotated = node.rotate_keys(keeps_old, |count| terminal.say(&format!("{count} keys wrapped anew")))?;
    if terminal.is_json() {
        return written(terminal.json(&rotated));
    }
    let begun = if rotated.is_resumed { "finished the rotation begun before" } else { "rotated" };
    terminal
        .say(&format!("{begun}: version {} wraps {} keys of records", rotated.current, rotated.rewrapped));
    if rotated.is_retired {
        terminal.say("the versions before are destroyed: copies of the folder without them open no record");
    }
    Ok(Exit::Ok)
}

/// Erases a patient.
///
/// # Errors
/// `patient.unknown`; storage.
pub async fn erase(command: &Erase, terminal: &Terminal) -> Result<Exit, Problem> {
    let node = Node::open_lazily(load(&command.config)?)?;
    let erasure = node.erase_patient(&command.patient).await?;
    if terminal.is_json() {
        return written(terminal.json(&erasure));
    }
    match erasure.erased_before_unix_ms {
        Some(at_ms) => {
            terminal.say(&format!("already erased, {}; nothing has been stored since", utc(at_ms)));
        }
        None => terminal.say(&format!(
            "erased: the keys of {}; {} consent artefact(s), {} document(s), {} item(s) of messages",
            erasure.classes.join(", "),
            erasure.consents,
            erasure.documents.len(),
            erasure.messages
        )),
    }
    if erasure.documents_left > 0 {
        terminal.warn(&format!(
            "{} sealed document(s) stay in their store; nothing opens them",
            erasure.documents_left
        ));
    }
    if !erasure.is_log_empty {
        terminal.warn("another process reads the database: its log still holds the wrapped keys");
        terminal.hint("stop the node, and run the same command again");
    }
    terminal.hint("backups open until `ward party keys rotate`; your own tables are yours to clean (docs/operating/erasure.md)");
    Ok(Exit::Ok)
}
