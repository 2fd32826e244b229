//! `ward party study ...`: a hospital's word on studies, at its node.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args as ClapArgs, Subcommand};

use super::study::{cosign, list, show};
use crate::cli::args::Global;
use crate::cli::exit::Exit;
use crate::cli::output::terminal::Terminal;
use crate::cli::written;
use crate::party::node::Node;
use crate::party::study::Decided;
use crate::party::transport::studies::Engine;
use crate::problem::{Problem, ProblemKind};
use crate::study::{StudyVerdict, StudyView};

/// `ward party study`.
#[derive(Debug, Subcommand)]
pub enum Args {
    /// List the studies that ask this hospital.
    List(Config),
    /// Show a study, and what each hospital says of it.
    Show {
        /// The node's configuration.
        #[command(flatten)]
        config: Config,
        /// The study.
        id: String,
    },
    /// Approve a study: the hospital's key signs, once the policy's administrators have said so.
    Approve(Word),
    /// Deny a study.
    Deny(Word),
    /// Withdraw from a study: its running jobs stop here before their next step.
    Withdraw(Word),
    /// Count administrators' words, and tell the engine what it has not heard.
    Sync(Config),
}

/// The node's configuration.
#[derive(Debug, ClapArgs)]
pub struct Config {
    /// The node's configuration.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

/// A word on a study.
#[derive(Debug, ClapArgs)]
pub struct Word {
    /// The node's configuration.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The study.
    id: String,
    /// Why, in a line.
    #[arg(long, default_value = "")]
    reason: String,
    /// The administrator who says it, where the policy names administrators.
    #[arg(long = "as", value_name = "NAME", requires = "key")]
    admin: Option<String>,
    /// The administrator's key.
    #[arg(long, value_name = "FILE", requires = "admin")]
    key: Option<PathBuf>,
}

/// Runs a command.
///
/// # Errors
/// The engine's; `study.*`.
pub async fn run(command: &Args, global: &Global, terminal: &Terminal) -> Result<Exit, Problem> {
    match command {
        Args::List(at) => {
            let (_, engine) = open(&at.config, global).await?;
            written(terminal.show(engine.list().await?.as_slice(), list))
        }
        Args::Show { config, id } => {
            let (_, engine) = open(&config.config, global).await?;
            written(terminal.show(&engine.get(id).await?, show))
        }
        Args::Approve(word) => decide(word, StudyVerdict::Approved, global, terminal).await,
        Args::Deny(word) => decide(word, StudyVerdict::Denied, global, terminal).await,
        Args::Withdraw(word) => decide(word, StudyVerdict::Withdrawn, global, terminal).await,
        Args::Sync(at) => {
            let (node, engine) = open(&at.config, global).await?;
            let told = engine.sync(&node).await?;
            terminal.say(&format!("{told} words told"));
            written(terminal.show(engine.list().await?.as_slice(), list))
        }
    }
}

async fn open(config: &std::path::Path, global: &Global) -> Result<(Arc<Node>, Engine), Problem> {
    let config = super::party::load(config)?;
    let proxy = super::party::proxy(global, Some(&config))?;
    let node = Arc::new(Node::open(config)?);
    let engine = Engine::open(&node, proxy).await?;
    Ok((node, engine))
}

async fn decide(
    word: &Word,
    verdict: StudyVerdict,
    global: &Global,
    terminal: &Terminal,
) -> Result<Exit, Problem> {
    let config = super::party::load(&word.config)?;
    let proxy = super::party::proxy(global, Some(&config))?;
    let node = Arc::new(Node::open(config)?);
    let engine = match Engine::open(&node, proxy).await {
        Ok(engine) => engine,
        Err(problem) if problem.kind == ProblemKind::Unavailable && verdict == StudyVerdict::Withdrawn => {
            return withdraw_alone(&node, word, terminal);
        }
        Err(problem) => return Err(problem),
    };
    let mut view = engine.get(&word.id).await?;
    if let (Some(admin), Some(key)) = (&word.admin, &word.key) {
        let said = cosign((&view, node.name()), verdict, (admin.as_str(), key.as_path()))?;
        let known = node.policy().studies.admins.contains_key(admin);
        view.cosignatures.retain(|other| other.hospital != node.name() || other.admin != *admin);
        view.cosignatures.push(said.clone());
        if !known || !node.said(&view, verdict)?.contains(admin) {
            let message = format!("the policy here names no administrator {admin} with that key");
            return Err(Problem::new(ProblemKind::Authorization, "study.admin", message)
                .hint("[[policy.admin]] takes the name, and the key that `ward study key` printed"));
        }
        engine.cosign(&word.id, &said).await?;
    }
    match node.decide_study(&view, verdict, &word.reason)? {
        Decided::Waiting { by, needed } => {
            let have = if by.is_empty() { "none".to_owned() } else { by.join(", ") };
            terminal.say(&format!(
                "study {}: an approval takes the word of {needed} of the administrators here; so far: {have}",
                word.id
            ));
            terminal.hint("each says so with `ward party study approve ID --as NAME --key FILE`, or `ward study approve`");
            written(terminal.show(&view, show))
        }
        Decided::Signed(signed) => {
            let view: StudyView = engine.decide(&word.id, &signed).await?;
            terminal.say(&format!("study {}: {} {}", word.id, node.name(), verdict.as_str()));
            written(terminal.show(&view, show))
        }
    }
}

/// Withdraws while the engine is away: what counts is kept here, and told later.
fn withdraw_alone(node: &Node, word: &Word, terminal: &Terminal) -> Result<Exit, Problem> {
    let view = node.own_view(&word.id)?.ok_or_else(|| {
        Problem::new(
            ProblemKind::NotFound,
            "study.unknown",
            format!("this hospital keeps no study `{}`", word.id),
        )
    })?;
    node.decide_study(&view, StudyVerdict::Withdrawn, &word.reason)?;
    terminal.say(&format!("study {}: {} withdrawn", word.id, node.name()));
    terminal.warn("the engine is away; the node tells it when it is back (or `ward party study sync`)");
    Ok(Exit::Ok)
}
