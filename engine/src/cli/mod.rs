//! The command line: arguments in, the commands, and an exit code out.

pub mod args;
mod commands;
pub mod errors;
pub mod exit;
pub mod output;
pub mod plot;
mod prompt;
pub mod session;

use clap::{CommandFactory, Parser};

use self::args::{Cli, Command};
use self::errors::{ErrorKind, UserError};
use self::exit::Exit;
use self::output::terminal::{Options, Terminal};
use crate::problem::{Problem, ProblemKind};

impl From<Problem> for UserError {
    fn from(problem: Problem) -> Self {
        let kind = match problem.kind {
            ProblemKind::Validation => ErrorKind::Validation,
            ProblemKind::Authorization => ErrorKind::Authorization,
            ProblemKind::NotFound => ErrorKind::NotFound,
            ProblemKind::Conflict => ErrorKind::Conflict,
            ProblemKind::Unavailable => ErrorKind::Unavailable,
            ProblemKind::Compliance => ErrorKind::Compliance,
            ProblemKind::Internal => ErrorKind::Internal,
        };
        let mut error = Self::new(kind, problem.code, problem.message);
        error.hospital = problem.hospital;
        error.hint = Some(problem.hint).filter(|hint| !hint.is_empty());
        error
    }
}

/// Runs the command line of this process; returns its exit code.
#[must_use]
pub fn main() -> u8 {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { Exit::Usage } else { Exit::Ok };
            // Nobody is left to tell when even this cannot be printed.
            let _ = error.print();
            return code.code();
        }
    };
    let terminal =
        Terminal::stdio(Options { json: cli.global.json, quiet: cli.global.quiet, ..Options::default() });
    init_tracing();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            terminal.error(&UserError::from(Problem::internal(&error)));
            return Exit::Internal.code();
        }
    };
    let outcome = runtime.block_on(async {
        tokio::select! {
            outcome = run(&cli, &terminal) => outcome,
            () = interrupted(&cli.command) => Ok(Exit::Interrupted),
        }
    });
    runtime.shutdown_timeout(std::time::Duration::from_millis(500));
    match outcome {
        Ok(exit) => exit.code(),
        Err(problem) => {
            let unverified = problem.code == "receipt.not_verified";
            let mut error = UserError::from(problem);
            if let Some(trace) = crate::trace::id_of_process() {
                error = error.with_trace_id(trace);
            }
            terminal.error(&error);
            if unverified { Exit::VerificationFailed.code() } else { error.exit().code() }
        }
    }
}

/// Services stop in order on a signal; other commands end at once.
async fn interrupted(command: &Command) {
    let is_service = matches!(
        command,
        Command::Engine(args::Engine::Run { .. })
            | Command::Party(args::Party::Run { .. })
            | Command::Demo(_)
    );
    if is_service || tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn init_tracing() {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_env("WARD_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}

async fn run(cli: &Cli, terminal: &Terminal) -> Result<Exit, Problem> {
    let global = &cli.global;
    match &cli.command {
        Command::Demo(demo) => commands::demo::run(demo, terminal).await,
        Command::Engine(command) => commands::engine::run(command, terminal).await,
        Command::Party(command) => commands::party::run(command, global, terminal).await,
        Command::Setup(command) => commands::setup::run(command.clone(), global, terminal).await,
        Command::Account(command) => commands::account::run(command, terminal).await,
        Command::Login(args) => commands::login::login(args, global, terminal).await,
        Command::Logout => commands::login::logout(global, terminal).await,
        Command::Study(command) => commands::study::run(command, global, terminal).await,
        Command::Policy(command) => commands::policy::run(command, terminal),
        Command::Issuer(command) => commands::issuer::run(command, global, terminal).await,
        Command::Wallet(command) => commands::wallet::run(command, terminal).await,
        Command::Share(command) => commands::share::run(command, terminal),
        Command::Criteria(command) => commands::criteria::run(command, terminal),
        Command::Prove(prove) => commands::prove::run(prove, terminal).await,
        Command::Verify(args) => commands::verify::run(args, global, terminal).await,
        Command::Attest(command) => commands::attest::run(command, global, terminal).await,
        Command::Audit(command) => commands::audit::run(command, terminal),
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "ward", &mut script);
            written(terminal.data(&String::from_utf8_lossy(&script)))
        }
        Command::ExitCodes => written(terminal.data(&Exit::table())),
        command => commands::research::run(command, global, terminal).await,
    }
}

/// A line on stdout, or the reason why there is none.
fn written(result: std::io::Result<()>) -> Result<Exit, Problem> {
    result.map(|()| Exit::Ok).map_err(|e| {
        let kind = if e.kind() == std::io::ErrorKind::NotFound {
            ProblemKind::NotFound
        } else {
            ProblemKind::Internal
        };
        Problem::new(kind, "output", e.to_string())
    })
}
