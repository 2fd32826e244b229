//! `ward engine ...`

use tokio::sync::watch;

use crate::audit::verify_chain;
use crate::cli::args;
use crate::cli::exit::Exit;
use crate::cli::output::report::{CheckLine, CheckReport, CheckStatus};
use crate::cli::output::terminal::Terminal;
use crate::cli::written;
use crate::grpc::server;
use crate::host::{self, EngineFolder};
use crate::identity::Role;
use crate::problem::{Problem, ProblemKind};
use crate::store::audit_chain;

/// Runs a command.
///
/// # Errors
/// As the command says.
pub async fn run(command: &args::Engine, terminal: &Terminal) -> Result<Exit, Problem> {
    match command {
        args::Engine::Init { data, consortium, hosts, floor, rounding } => {
            host::init(data, consortium, hosts, (*floor, *rounding))?;
            terminal.say(&format!("consortium {consortium} is ready in {}", data.display()));
            terminal.hint("run it with `ward engine run`, and enrol members with `ward engine token`");
            Ok(Exit::Ok)
        }
        args::Engine::Compute { data, nodes } => {
            host::choose_compute(data, nodes)?;
            let chosen =
                if nodes.is_empty() { "the first three key holders".to_owned() } else { nodes.join(", ") };
            terminal.say(&format!("queries on shares are computed by {chosen}"));
            Ok(Exit::Ok)
        }
        args::Engine::Run { data, listen } => {
            let (listener, address) = server::bind(listen).await?;
            terminal.say(&format!("ward engine listening on {address}"));
            host::run(data, listener, until_stopped()).await?;
            Ok(Exit::Ok)
        }
        args::Engine::Token { data, role, name, url, hours } => {
            let role = Role::parse(role).map_err(|e| {
                Problem::new(ProblemKind::Validation, "engine.token", e.to_string())
                    .hint("roles: hospital, researcher, operator")
            })?;
            let token = EngineFolder::open(data)?.token(role, name, url, *hours)?;
            if terminal.is_json() {
                return written(terminal.json(&serde_json::json!({ "token": token.to_text().as_str() })));
            }
            terminal.say(&format!("one-time token of {} {name}, for {hours} hours:", role.as_str()));
            written(terminal.data(&token.to_text()))
        }
        args::Engine::Revoke { data, name } => {
            EngineFolder::open(data)?.revoke(name)?;
            terminal.say(&format!("{name} is revoked"));
            terminal.hint(
                "a revoked key holder's share stays in the key: hold a new ceremony with `ward keygen`",
            );
            Ok(Exit::Ok)
        }
        #[cfg(feature = "evm")]
        args::Engine::ChainKey { data } => {
            let folder = EngineFolder::open(data)?;
            let address = crate::anchoring::chain_key(data)?;
            if terminal.is_json() {
                return written(terminal.json(&serde_json::json!({ "address": address })));
            }
            terminal.say(&format!("the engine of {} anchors as", folder.consortium()));
            terminal.hint(
                "deploy the anchor log for this address, and give it money for gas: docs/operating/evm.md",
            );
            written(terminal.data(&address))
        }
        args::Engine::Status { data } => super::status::run(data, terminal),
        args::Engine::Audit { data } => {
            let folder = EngineFolder::open(data)?;
            let verified = verify_chain(audit_chain(&**folder.store()), &folder.identity().public());
            let line = match &verified {
                Ok(v) => passed("audit chain", format!("{} events, head {}", v.count, v.head)),
                Err(error) => failed("audit chain", error.to_string()),
            };
            let log = match folder.store().log_size() {
                Ok(size) => passed("transparency log", format!("{size} leaves")),
                Err(error) => failed("transparency log", error.to_string()),
            };
            report(terminal, &format!("engine of {}", folder.consortium()), vec![line, log])
        }
    }
}

/// A check that held.
pub fn passed(name: &str, detail: String) -> CheckLine {
    CheckLine { name: name.to_owned(), status: CheckStatus::Passed, detail, hint: None }
}

/// A check that did not.
pub fn failed(name: &str, detail: String) -> CheckLine {
    CheckLine { name: name.to_owned(), status: CheckStatus::Failed, detail, hint: None }
}

/// Prints checks; exit code 9 when one failed.
///
/// # Errors
/// When stdout cannot be written.
pub fn report(terminal: &Terminal, subject: &str, checks: Vec<CheckLine>) -> Result<Exit, Problem> {
    let report = CheckReport {
        subject: subject.to_owned(),
        good: "verified".to_owned(),
        bad: "NOT verified".to_owned(),
        checks,
    };
    written(terminal.checks(&report))?;
    Ok(report.exit(Exit::VerificationFailed))
}

/// Turns true on Ctrl-C or a request to terminate.
pub fn until_stopped() -> watch::Receiver<bool> {
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        let terminate = async {
            match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
                Ok(mut signal) => {
                    signal.recv().await;
                }
                Err(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            () = terminate => {}
        }
        // The receivers are gone only when everything has stopped.
        let _ = stop.send(true);
    });
    stopped
}
