//! `ward party document ...`: documents of patients, sealed.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;
use zeroize::Zeroizing;

use super::party::load;
use crate::attestation::{read_file, write_private};
use crate::cli::exit::Exit;
use crate::cli::output::table::{Align, Entry, Grid};
use crate::cli::output::terminal::Terminal;
use crate::cli::written;
use crate::clock::utc;
use crate::party::documents::{Listed, NewDocument};
use crate::party::node::Node;
use crate::problem::{Problem, ProblemKind};

/// `ward party document`.
#[derive(Debug, Subcommand)]
pub enum Args {
    /// Store a document: its size and type are checked, a scanner may look at it, and it is sealed under the patient's key.
    Put {
        /// The node's configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// The patient's identifier, as in the tables.
        #[arg(long)]
        patient: String,
        /// The class of data, as consents name it.
        #[arg(long)]
        class: String,
        /// Its type, as application/pdf [default: by the end of its name].
        #[arg(long = "type", value_name = "TYPE")]
        kind: Option<String>,
        /// The document.
        file: PathBuf,
    },
    /// Write a document to a file that only you read.
    Get {
        /// The node's configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// The document.
        id: String,
        /// Where it goes.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// List documents.
    List {
        /// The node's configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Of one patient.
        #[arg(long)]
        patient: Option<String>,
        /// At most this many.
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Check that every document is there, and as it was stored.
    Check {
        /// The node's configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
}

/// Runs a command.
///
/// # Errors
/// As the command says.
pub async fn run(command: &Args, terminal: &Terminal) -> Result<Exit, Problem> {
    match command {
        Args::Put { config, patient, class, kind, file } => {
            let node = Node::open_lazily(load(config)?)?;
            let unreadable = |reason: String| Problem::new(ProblemKind::Validation, "document.file", reason);
            let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let bytes = read_file(file, node.config().documents.bytes_max)
                .map(Zeroizing::new)
                .map_err(|e| unreadable(e.to_string()))?;
            let new = NewDocument { patient, class, name, kind: kind.as_deref(), bytes: &bytes };
            let stored = node.put_document(&new).await?;
            if terminal.is_json() {
                return written(terminal.json(&stored));
            }
            let Listed { facts, .. } = &stored;
            terminal.say(&format!("stored: {} ({}, {} bytes), sealed", facts.name, facts.kind, facts.bytes));
            written(terminal.data(&format!("{}\n", stored.id)))
        }
        Args::Get { config, id, out } => {
            let node = Node::open_lazily(load(config)?)?;
            let (found, content) = node.document(id).await?;
            write_private(out, &content)?;
            if terminal.is_json() {
                return written(terminal.json(&json!({ "file": out, "document": found })));
            }
            terminal.say(&format!("{}: {} ({} bytes)", out.display(), found.facts.name, found.facts.bytes));
            Ok(Exit::Ok)
        }
        Args::List { config, patient, limit } => {
            let node = Node::open_lazily(load(config)?)?;
            list(&node.list_documents(patient.as_deref(), *limit)?, terminal)
        }
        Args::Check { config } => check(&Node::open_lazily(load(config)?)?, terminal).await,
    }
}

fn list(found: &[Listed], terminal: &Terminal) -> Result<Exit, Problem> {
    if terminal.is_json() {
        return written(terminal.json(&found));
    }
    let mut grid = Grid::new()
        .columns(Align::Name, &["document", "stored", "patient", "class", "type"])
        .column("bytes", Align::Number)
        .column("name", Align::Prose);
    for document in found {
        let patient: String = document.patient.chars().take(12).collect();
        let (stored, facts) = (utc(document.at_unix_ms), &document.facts);
        let cells = [
            &document.id,
            &stored,
            &patient,
            &document.class,
            &facts.kind,
            &facts.bytes.to_string(),
            &facts.name,
        ];
        grid.row(cells.into_iter().map(Entry::from).collect());
    }
    if found.is_empty() {
        terminal.say("no document is stored");
        return Ok(Exit::Ok);
    }
    written(terminal.data(&grid.render(&terminal.style())))
}

async fn check(node: &Node, terminal: &Terminal) -> Result<Exit, Problem> {
    let checked = node.check_documents().await?;
    let exit = if checked.bad.is_empty() { Exit::Ok } else { Exit::VerificationFailed };
    if terminal.is_json() {
        return written(terminal.json(&checked)).map(|_| exit);
    }
    let mut text = format!("as stored  {}\n", checked.good);
    for (id, flaw) in &checked.bad {
        text.push_str(&format!("{id}  {flaw:?}\n").to_lowercase());
    }
    written(terminal.data(&text)).map(|_| exit)
}
