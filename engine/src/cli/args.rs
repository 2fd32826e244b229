//! The command line.

mod answers;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

pub use self::answers::{OutputArgs, PrivacyArgs, ProofKeyArgs, ResultArgs};
use super::commands::consent::purpose;
pub use super::commands::setup::args::Setup;
use crate::consent::Purpose;

/// Hospitals answer a question together, and nobody sees another's patients.
#[derive(Debug, Parser)]
#[command(name = "ward", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    /// Options that every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options that every command takes.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Print JSON on stdout instead of tables.
    #[arg(long, global = true)]
    pub json: bool,
    /// Say less on stderr: no progress, no notes.
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Folder with your certificate and keys [default: ~/.config/ward].
    #[arg(long, global = true, env = "WARD_HOME", value_name = "DIR")]
    pub home: Option<PathBuf>,
    /// HTTP CONNECT proxy, as http://host:port or http://user:password@host:port.
    #[arg(long, global = true, env = "WARD_PROXY", value_name = "URL")]
    pub proxy: Option<String>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start an engine and four hospitals on this machine, and ask them real questions.
    Demo(Demo),
    /// Run or set up the engine.
    #[command(subcommand)]
    Engine(Engine),
    /// Run or set up a hospital's node.
    #[command(subcommand)]
    Party(Party),
    /// Become a member (researcher or operator) with a one-time token.
    Enrol(Enrol),
    /// Log in: through the consortium's identity provider, or to an account of the engine.
    Login(super::commands::login::LoginArgs),
    /// Log out: forget the tokens, and tell their issuer.
    Logout,
    /// Who the engine takes you for.
    Whoami,
    /// The engine's own accounts (operators, on the engine's machine).
    #[command(subcommand)]
    Account(super::commands::account::Account),
    /// Hold a key ceremony among the hospitals (operators).
    Keygen(Keygen),
    /// Make the keys of the proof system: a ceremony among hospitals, through the engine or on a folder that passes between them.
    #[command(subcommand)]
    Setup(Setup),
    /// What the hospitals publish: tables, columns, units, bounds.
    Catalogue {
        /// One table only.
        table: Option<String>,
    },
    /// Who is enrolled and connected.
    Parties,
    /// Print what a query would compute where, who learns what, and each hospital's verdict.
    Explain(Explain),
    /// Submit a query, follow it, and print the answer.
    Submit(Submit),
    /// Follow a job until it ends.
    Watch {
        /// Job id.
        job: String,
    },
    /// Fetch, decrypt, verify and print the answer of a finished job.
    Result(ResultArgs),
    /// Check a receipt offline, of a query or of attestations.
    Verify(super::commands::verify::Args),
    /// List jobs, or show one.
    Jobs {
        /// Job id.
        job: Option<String>,
        /// At most this many.
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// Cancel a job.
    Cancel {
        /// Job id.
        job: String,
    },
    /// Draft studies, look at them, and say what a hospital's administrator says of them.
    #[command(subcommand)]
    Study(super::commands::study::Args),
    /// Say what the policies permit to whom, and check them.
    #[command(subcommand)]
    Policy(super::commands::policy::Args),
    /// Issue credentials from a hospital's records, and revoke them.
    #[command(subcommand)]
    Issuer(super::commands::issuer::Args),
    /// Keep credentials under a passphrase.
    #[command(subcommand)]
    Wallet(super::commands::wallet::Args),
    /// Share files with those whom a policy or a grant names.
    #[command(subcommand)]
    Share(Box<super::commands::share::Args>),
    /// Check the criteria of a study, and what they need of a credential.
    #[command(subcommand)]
    Criteria(super::commands::criteria::Args),
    /// Prove that a patient meets criteria, and show nothing else.
    Prove(Box<super::commands::prove::Args>),
    /// Ask for attestations, verify them, count patients once.
    #[command(subcommand)]
    Attest(super::commands::attest::Args),
    /// Search, export, report on and verify the audit trail of a node or an engine.
    #[command(subcommand)]
    Audit(super::commands::audit::Args),
    /// Print the shell's completion script.
    Completion {
        /// The shell.
        shell: Shell,
    },
    /// Explain the exit codes.
    ExitCodes,
}

/// `ward demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Leave everything running, and say how to query it.
    #[arg(long)]
    pub keep: bool,
    /// Folder for its state [default: a temporary folder, removed at the end unless --keep].
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Folder with the demo's data [default: the copy inside the binary].
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

/// `ward engine`.
#[derive(Debug, Subcommand)]
pub enum Engine {
    /// Make a consortium: its authority, the engine's key, the store.
    Init {
        /// Folder for everything the engine keeps.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// Name of the consortium (a-z, 0-9, hyphens).
        #[arg(long)]
        consortium: String,
        /// Names or addresses under which the engine is reached.
        #[arg(long = "host", required = true)]
        hosts: Vec<String>,
        /// Floor k: a cell with fewer patients is withheld.
        #[arg(long, default_value_t = 5)]
        floor: u32,
        /// Round every released count to a multiple of 5.
        #[arg(long)]
        rounding: bool,
    },
    /// Choose the three hospitals that compute on shares.
    Compute {
        /// The engine's folder; the engine must not be running.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// Three hospitals; none for the first three key holders.
        nodes: Vec<String>,
    },
    /// Run the engine.
    Run {
        /// The folder made by `init`.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// Address to listen on.
        #[arg(long, default_value = "0.0.0.0:7443")]
        listen: String,
    },
    /// Make a one-time enrolment token.
    Token {
        /// The engine's folder.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// hospital, researcher or operator.
        #[arg(long)]
        role: String,
        /// Name of the new member (a-z, 0-9, hyphens).
        #[arg(long)]
        name: String,
        /// Address at which members reach the engine, as https://host:port.
        #[arg(long)]
        url: String,
        /// Hours until it expires.
        #[arg(long, default_value_t = 72)]
        hours: u64,
    },
    /// Revoke a member: its certificate and its stream are refused from now on.
    Revoke {
        /// The engine's folder.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// The member.
        name: String,
    },
    /// Make the key that pays for anchors on a chain, or show its address.
    #[cfg(feature = "evm")]
    ChainKey {
        /// The engine's folder.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
    /// How the engine stands: log, registrations, anchors.
    Status {
        /// The engine's folder.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
    /// Check the engine's audit chain and log.
    Audit {
        /// The engine's folder.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
}

/// `ward party`.
#[derive(Debug, Subcommand)]
pub enum Party {
    /// Enrol this node with a one-time token.
    Enrol {
        /// The node's configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// The token; `-` reads it from stdin.
        #[arg(long, env = "WARD_TOKEN", hide_env_values = true)]
        token: String,
    },
    /// Run the node: connects out, and answers.
    Run {
        /// The node's configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Check everything the node needs, and say what to do.
    Doctor {
        /// The node's configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Look at the records behind the published tables; nothing leaves this machine.
    #[command(subcommand)]
    Records(Records),
    /// Queries this node has seen.
    Jobs {
        /// The node's configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Approve a query that waits for a person.
    Approve {
        /// The node's configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Job id.
        job: String,
    },
    /// Deny a query that waits for a person.
    Deny {
        /// The node's configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Job id.
        job: String,
    },
    /// Forget a pinned key, after its owner has confirmed the new one.
    Unpin {
        /// The node's configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// `hospital:NAME`, `researcher:NAME` or `engine:log`.
        name: String,
    },
    /// Show what is left of the privacy budgets, and what spent them.
    Budget {
        /// The node's configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// At most this many charges of each table.
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// What the patients consent to.
    #[command(subcommand)]
    Consent(super::commands::consent::Args),
    /// Decide on studies in the hospital's name.
    #[command(subcommand)]
    Study(super::commands::party_study::Args),
    /// Override the rules of approval for a researcher, for a limited time and a reason.
    #[command(subcommand)]
    BreakGlass(super::commands::glass::Args),
    /// Print what the node has to tell outside (overrides), as JSON lines.
    Events {
        /// The node's configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Only after this number.
        #[arg(long, default_value_t = 0)]
        after: u64,
        /// Go on as they come.
        #[arg(long)]
        follow: bool,
    },
    /// Documents of patients, sealed.
    #[command(subcommand)]
    Document(super::commands::document::Args),
    /// Share records with other hospitals, and receive theirs.
    #[command(subcommand)]
    Share(super::commands::party_share::Args),
    /// The keys of what is stored about patients.
    #[command(subcommand)]
    Keys(super::commands::vault::Keys),
    /// Erase a patient: destroy the keys of everything that is stored about them.
    Erase(super::commands::vault::Erase),
    /// Check the node's audit chain.
    Audit {
        /// The node's configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Print the events instead, as JSON lines.
        #[arg(long)]
        events: bool,
    },
}

/// `ward party records ...`
#[derive(Debug, Subcommand)]
pub enum Records {
    /// Read every source, and count rows, patients, and what is left out, by reason.
    Check {
        /// The node's configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// The dataset version of every table now: what queries name and receipts contain.
    Version {
        /// The node's configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// What a table's columns hold: counts, and bounds that would fit.
    Preview {
        /// The node's configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Name of the table in the catalogue.
        table: String,
        /// Also print this many rows, patients' values among them; written into the audit chain.
        #[arg(long, value_name = "N")]
        show_rows: Option<u32>,
    },
}

/// `ward enrol`.
#[derive(Debug, Args)]
pub struct Enrol {
    /// The token; `-` reads it from stdin.
    #[arg(long, env = "WARD_TOKEN", hide_env_values = true)]
    pub token: String,
}

/// `ward keygen`.
#[derive(Debug, Args)]
pub struct Keygen {
    /// Key holders [default: every enrolled hospital].
    #[arg(long = "holder", value_name = "NAME")]
    pub holders: Vec<String>,
    /// Holders that a release takes [default: all].
    #[arg(long)]
    pub threshold: Option<u32>,
    /// default-8192, bulk-16384 or study-4096.
    #[arg(long, default_value = "default-8192")]
    pub profile: String,
    /// Seconds until the ceremony is given up.
    #[arg(long, default_value_t = 600)]
    pub time_limit: u64,
}

/// `ward explain`.
#[derive(Debug, Args)]
pub struct Explain {
    /// The query.
    pub sql: String,
    /// Answer with at least this many hospitals [default: all that hold the data].
    #[arg(long, value_name = "N")]
    pub at_least: Option<u32>,
    /// Compute on shares also where sums under encryption would do: one floor over all hospitals together, and tests
    /// that show their statistic alone.
    #[arg(long)]
    pub mpc: bool,
    /// As --mpc, of sums that arrive under encryption: a hospital sends once, and need not be there while the nodes compute.
    #[arg(long)]
    pub mpc_encrypted: bool,
    /// How much noise.
    #[command(flatten)]
    pub privacy: PrivacyArgs,
    /// What the answer is for, as a code of the Data Use Ontology; hospitals hold it against their patients' consent.
    #[arg(long, value_name = "DUO:0000042", value_parser = purpose)]
    pub purpose: Option<Purpose>,
    /// The study that it is asked in.
    #[arg(long, value_name = "ID")]
    pub study: Option<String>,
}

/// `ward submit`.
#[derive(Debug, Args)]
pub struct Submit {
    /// The query; `-` reads it from stdin.
    pub sql: String,
    /// Answer with at least this many hospitals [default: all that hold the data].
    #[arg(long, value_name = "N")]
    pub at_least: Option<u32>,
    /// Compute on shares also where sums under encryption would do: one floor over all hospitals together, and tests
    /// that show their statistic alone.
    #[arg(long)]
    pub mpc: bool,
    /// As --mpc, of sums that arrive under encryption: a hospital sends once, and need not be there while the nodes compute.
    #[arg(long)]
    pub mpc_encrypted: bool,
    /// How much noise.
    #[command(flatten)]
    pub privacy: PrivacyArgs,
    /// What the answer is for, as a code of the Data Use Ontology; hospitals hold it against their patients' consent.
    #[arg(long, value_name = "DUO:0000042", value_parser = purpose)]
    pub purpose: Option<Purpose>,
    /// The study that it is asked in.
    #[arg(long, value_name = "ID")]
    pub study: Option<String>,
    /// Seconds until the job is given up.
    #[arg(long, default_value_t = 600)]
    pub time_limit: u64,
    /// Print the job id and return at once.
    #[arg(long)]
    pub no_wait: bool,
    /// Where the answer goes.
    #[command(flatten)]
    pub output: OutputArgs,
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use clap::CommandFactory as _;

    use super::Cli;

    /// What clap itself checks in debug builds alone.
    fn check(command: &clap::Command, globals: &HashSet<String>, path: &str) {
        for arg in command.get_arguments().filter(|arg| !arg.is_global_set()) {
            let names = [Some(arg.get_id().as_str()), arg.get_long()];
            assert!(!names.into_iter().flatten().any(|name| globals.contains(name)), "{path}: {arg}");
        }
        for sub in command.get_subcommands() {
            check(sub, globals, &format!("{path} {}", sub.get_name()));
        }
    }

    #[test]
    fn no_command_takes_an_option_that_every_command_takes() {
        let command = Cli::command();
        let globals = command.get_arguments().filter(|arg| arg.is_global_set());
        let globals = globals.map(|arg| arg.get_id().to_string()).collect();
        check(&command, &globals, "ward");
    }
}
