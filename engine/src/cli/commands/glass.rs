//! `ward party break-glass ...`: an override of the rules of approval, for a time and a reason.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args as ClapArgs, Subcommand};

use crate::cli::exit::Exit;
use crate::cli::output::table::{Align, Entry, Grid};
use crate::cli::output::terminal::{Style, Terminal, Tone};
use crate::cli::written;
use crate::clock::{now_ms, utc};
use crate::identity::Identity;
use crate::party::glass::Opener;
use crate::party::node::Node;
use crate::party::notify::deliver;
use crate::problem::{Problem, ProblemKind};
use crate::store::Override;

/// `ward party break-glass`.
#[derive(Debug, Subcommand)]
pub enum Args {
    /// Let a researcher's queries run without an approved study and without a person's look, for a limited time.
    Open {
        /// Who opens it.
        #[command(flatten)]
        by: By,
        /// For whom.
        #[arg(long, value_name = "NAME")]
        researcher: String,
        /// For how long: at most 1440.
        #[arg(long)]
        minutes: u32,
        /// Why: one line, which the audit and the notice repeat.
        #[arg(long)]
        reason: String,
    },
    /// Every override there was, newest first.
    List {
        /// The node's configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// End one early.
    Close {
        /// Who ends it.
        #[command(flatten)]
        by: By,
        /// Its id.
        id: String,
    },
}

/// Who does it.
#[derive(Debug, ClapArgs)]
pub struct By {
    /// The node's configuration.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The administrator's name in the policy.
    #[arg(long = "as", value_name = "NAME")]
    admin: String,
    /// The administrator's key, made by `ward study key`.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

fn key_of(path: &Path) -> Result<Identity, Problem> {
    let bad = |e: &dyn std::fmt::Display| {
        Problem::new(ProblemKind::Validation, "study.key", format!("{}: {e}", path.display()))
            .hint("make one with `ward study key --out FILE`")
    };
    let pem = std::fs::read_to_string(path).map(zeroize::Zeroizing::new).map_err(|e| bad(&e))?;
    Identity::from_pem(&pem).map_err(|e| bad(&e))
}

/// Runs a command.
///
/// # Errors
/// `glass.*`.
pub async fn run(command: &Args, terminal: &Terminal) -> Result<Exit, Problem> {
    match command {
        Args::Open { by, researcher, minutes, reason } => {
            let node = Arc::new(Node::open(super::party::load(&by.config)?)?);
            let opener = Opener { admin: &by.admin, key: &key_of(&by.key)? };
            let opened = node.break_glass(&opener, researcher, (*minutes, reason))?;
            terminal.warn(&format!("override {} holds until {}", opened.id, utc(opened.until_ms)));
            tell(&node, terminal).await;
            written(terminal.show([opened].as_slice(), list))
        }
        Args::List { config } => {
            let node = Node::open(super::party::load(config)?)?;
            written(terminal.show(node.store().overrides(200)?.as_slice(), list))
        }
        Args::Close { by, id } => {
            let node = Arc::new(Node::open(super::party::load(&by.config)?)?);
            node.mend_glass(&Opener { admin: &by.admin, key: &key_of(&by.key)? }, id)?;
            terminal.say(&format!("override {id} has ended"));
            tell(&node, terminal).await;
            Ok(Exit::Ok)
        }
    }
}

/// Tries the webhook at once; the running node goes on where this fails.
async fn tell(node: &Arc<Node>, terminal: &Terminal) {
    if node.config().webhook.is_none() {
        terminal.hint("nobody is told: set [notify] webhook");
        return;
    }
    match deliver(node).await {
        Ok(0) => terminal.warn("the webhook did not take the notice; the running node tries again"),
        Ok(_) => terminal.say("the webhook has the notice"),
        Err(problem) => terminal.warn(&format!("the notice is kept: {problem}")),
    }
}

fn list(overrides: &[Override], style: &Style) -> String {
    if overrides.is_empty() {
        return "no override\n".to_owned();
    }
    let now = now_ms();
    let mut grid = Grid::new()
        .column("override", Align::Name)
        .column("state", Align::Name)
        .column("researcher", Align::Name)
        .column("until", Align::Name)
        .column("by", Align::Name)
        .column("reason", Align::Prose);
    for one in overrides {
        let state = match one.closed_ms {
            Some(_) => Entry::from("closed"),
            None if one.holds(&one.researcher, now) => Entry::toned("open", Tone::Bad),
            None => Entry::from("over"),
        };
        grid.row(vec![
            Entry::from(&one.id),
            state,
            Entry::from(&one.researcher),
            Entry::from(utc(one.closed_ms.unwrap_or(one.until_ms))),
            Entry::from(&one.opened_by),
            Entry::from(&one.reason),
        ]);
    }
    grid.render(style)
}
