//! `ward party ...`

use std::path::Path;
use std::sync::Arc;

use super::engine::{failed, passed, report, until_stopped};
use crate::audit::verify_chain;
use crate::cli::args;
use crate::cli::exit::Exit;
use crate::cli::output::report::{CheckLine, CheckReport, CheckStatus};
use crate::cli::output::terminal::Terminal;
use crate::cli::written;
use crate::grpc::client::host_and_port;
use crate::identity::Role;
use crate::member::{Membership, pem_of, token_text};
use crate::party::budget::Spent;
use crate::party::connect::{ConnectLimits, Proxy};
use crate::party::doctor::{self, Check, Status};
use crate::party::local::config::PartyConfig;
use crate::party::mesh::{Endpoint, MeshIdentity};
use crate::party::messages;
use crate::party::node::{Node, seal_key};
use crate::party::probe::GrpcProbe;
use crate::party::proving;
use crate::party::transport;
use crate::problem::{Problem, ProblemKind};
use crate::store::{Approval, audit_chain};

/// Reads a node's configuration.
///
/// # Errors
/// [`Problem`] with the line and a hint.
pub fn load(path: &Path) -> Result<PartyConfig, Problem> {
    PartyConfig::load(path)
        .map_err(|e| Problem::new(ProblemKind::Validation, e.code(), e.to_string()).hint(e.hint().to_owned()))
}

/// The proxy of the command line, or of the configuration.
/// The proxy in force.
///
/// # Errors
/// When it does not parse.
pub fn proxy(global: &args::Global, config: Option<&PartyConfig>) -> Result<Option<Proxy>, Problem> {
    match &global.proxy {
        Some(text) => Proxy::parse(text)
            .map(Some)
            .map_err(|e| Problem::new(ProblemKind::Validation, "proxy", e.to_string())),
        None => Ok(config.and_then(|c| c.proxy.clone())),
    }
}

/// Runs a command.
///
/// # Errors
/// As the command says.
pub async fn run(command: &args::Party, global: &args::Global, terminal: &Terminal) -> Result<Exit, Problem> {
    match command {
        args::Party::Enrol { config, token } => {
            let config = load(config)?;
            let keys = (seal_key(&config)?, proxy(global, Some(&config))?);
            let member =
                Membership::enrol(&token_text(token)?, &[Role::Hospital], &config.data_dir, keys).await?;
            terminal.say(&format!("{} is enrolled in {}", member.member.name, member.consortium));
            terminal.say(&format!("fingerprint of its key: {}", member.member.fingerprint()));
            terminal.hint("check everything with `ward party doctor`, then `ward party run`");
            Ok(Exit::Ok)
        }
        args::Party::Run { config } => {
            let config = load(config)?;
            let proxy = proxy(global, Some(&config))?;
            let node = Arc::new(Node::open(config)?);
            let target = node.membership().target(proxy)?;
            terminal.say(&format!("ward party {} connecting to {}", node.name(), target.url));
            let stop = until_stopped();
            let proving = proving::start(&node, stop.clone()).await?;
            if let Some(settings) = &node.config().proving {
                terminal.say(&format!("proving for clinicians at {}", settings.socket.display()));
            }
            let messages = messages::start(&node, stop.clone()).await?;
            if let Some((address, _)) = &messages {
                terminal.say(&format!("taking HL7 v2 messages at {address}"));
            }
            let ran = transport::run(node, target, stop).await;
            for service in proving.into_iter().chain(messages.map(|(_, service)| service)) {
                service.abort();
            }
            ran?;
            Ok(Exit::Ok)
        }
        args::Party::Doctor { config } => doctor(config, global, terminal).await,
        args::Party::Records(command) => super::records::run(command, terminal),
        args::Party::Jobs { config } => jobs(&Node::open(load(config)?)?, terminal),
        args::Party::Approve { config, job } => {
            decide(&Node::open(load(config)?)?, job, Approval::Approved, terminal)
        }
        args::Party::Deny { config, job } => {
            decide(&Node::open(load(config)?)?, job, Approval::Denied, terminal)
        }
        args::Party::Unpin { config, name } => {
            let node = Node::open(load(config)?)?;
            node.unpin(name)?;
            terminal.say(&format!("the next key of {name} will be pinned"));
            Ok(Exit::Ok)
        }
        args::Party::Budget { config, limit } => budget(&Node::open(load(config)?)?, *limit, terminal),
        args::Party::Consent(command) => super::consent::run(command, terminal),
        args::Party::Study(command) => super::party_study::run(command, global, terminal).await,
        args::Party::BreakGlass(command) => super::glass::run(command, terminal).await,
        args::Party::Events { config, after, follow } => {
            events(&Node::open(load(config)?)?, (*after, *follow), terminal).await
        }
        args::Party::Document(command) => super::document::run(command, terminal).await,
        args::Party::Share(command) => super::party_share::run(command, terminal).await,
        args::Party::Keys(command) => super::vault::keys(command, terminal),
        args::Party::Erase(command) => super::vault::erase(command, terminal).await,
        args::Party::Audit { config, events } => audit(&Node::open(load(config)?)?, *events, terminal),
    }
}

pub(super) fn line_of(check: Check) -> CheckLine {
    CheckLine {
        name: check.name,
        status: match check.status {
            Status::Ok => CheckStatus::Passed,
            Status::Warn => CheckStatus::Warning,
            Status::Fail => CheckStatus::Failed,
        },
        detail: check.detail,
        hint: Some(check.advice).filter(|advice| !advice.is_empty()),
    }
}

async fn doctor(path: &Path, global: &args::Global, terminal: &Terminal) -> Result<Exit, Problem> {
    let (first, config) = doctor::check_config(path);
    let mut checks = vec![first];
    let mut subject = path.display().to_string();
    if let Some(config) = config {
        checks.extend(doctor::check_data(&config));
        checks.push(doctor::check_disk(&config.data_dir));
        match seal_key(&config).and_then(|seal| Membership::load(&config.data_dir, seal)) {
            Ok(member) => {
                subject.clone_from(&member.member.name);
                let (own, ca) = (pem_of(&member.certificate), pem_of(member.authority.der()));
                let now_s = (crate::clock::now_ms() / 1000) as i64;
                checks.push(doctor::check_certificate(own.as_bytes(), ca.as_bytes(), now_s));
                let proxy = proxy(global, Some(&config))?;
                let (host, port) = host_and_port(&member.engine_url)?;
                let limits = ConnectLimits::default();
                checks.extend(doctor::check_way_out(&host, port, proxy.as_ref(), limits).await);
                let probe = GrpcProbe(member.target(proxy.clone())?);
                checks.extend(doctor::check_engine(&probe).await);
                let identity =
                    MeshIdentity::new(&member.certificate, &member.identity, member.authority.clone())?;
                let endpoint = Endpoint::new(identity, proxy, config.mesh.is_direct)?;
                checks.extend(doctor::check_mesh(&endpoint, &config.mesh, &probe).await);
            }
            Err(problem) => checks.push(Check {
                name: "enrolment".to_owned(),
                status: Status::Fail,
                detail: problem.message,
                advice: problem.hint,
            }),
        }
    }
    let report = CheckReport {
        subject,
        good: "healthy".to_owned(),
        bad: "not healthy".to_owned(),
        checks: checks.into_iter().map(line_of).collect(),
    };
    written(terminal.checks(&report))?;
    Ok(report.exit(Exit::Unavailable))
}

/// Prints notices, and goes on as they come.
async fn events(node: &Node, (mut after, follow): (u64, bool), terminal: &Terminal) -> Result<Exit, Problem> {
    loop {
        for notice in node.store().notices(after, 100)? {
            after = notice.seq;
            let about: serde_json::Value =
                serde_json::from_str(&notice.json).map_err(|e| Problem::internal(&e))?;
            let line = serde_json::json!({
                "seq": notice.seq, "delivered": notice.delivered_ms.is_some(), "notice": about,
            });
            written(terminal.json_line(&line))?;
        }
        if !follow {
            return Ok(Exit::Ok);
        }
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
}

fn jobs(node: &Node, terminal: &Terminal) -> Result<Exit, Problem> {
    let tasks = node.store().tasks(50)?;
    if terminal.is_json() {
        let rows: Vec<_> = tasks
            .iter()
            .map(|t| {
                serde_json::json!({
                    "job": t.task.job, "researcher": t.task.owner, "query": t.task.query,
                    "approval": t.task.approval.as_str(), "state": t.state.as_str(), "at_unix_ms": t.task.at_ms,
                })
            })
            .collect();
        return written(terminal.json(&rows));
    }
    let mut text = String::new();
    for t in &tasks {
        text.push_str(&format!(
            "{}  {:9}  {:8}  {}: {}\n",
            t.task.job,
            t.task.approval.as_str(),
            t.state.as_str(),
            t.task.owner,
            t.task.query
        ));
    }
    if tasks.is_empty() {
        terminal.say("no query has reached this node");
    }
    written(terminal.data(&text))
}

fn budget(node: &Node, limit: u32, terminal: &Terminal) -> Result<Exit, Problem> {
    let budgets = node.budgets()?;
    if budgets.is_empty() {
        terminal.say("this hospital answers no queries with noise");
        terminal.hint("a section [policy.privacy] in the configuration sets a budget");
    }
    let (mut rows, mut text) = (Vec::new(), String::new());
    for budget in &budgets {
        let charges = node.store().charges(&budget.dataset, limit)?;
        let listed: Vec<_> = charges
            .iter()
            .map(|c| {
                serde_json::json!({
                    "job": c.job, "study": c.study, "rho": c.rho_nano as f64 / 1e9,
                    "epsilon": c.epsilon_nano as f64 / 1e9, "delta": c.delta_atto as f64 / 1e18, "at_unix_ms": c.at_ms,
                })
            })
            .collect();
        rows.push(serde_json::json!({ "budget": budget, "charges": listed }));
        let period = budget
            .period_days
            .map_or("never refilled".to_owned(), |days| format!("refilled after {days} days"));
        text.push_str(&format!("{}: {}, {period}\n", budget.dataset, spent(&budget.spent)));
        for of in &budget.studies {
            text.push_str(&format!("  study {}: {}\n", of.study, spent(&of.spent)));
        }
        for c in &charges {
            let (epsilon, delta) = (c.epsilon_nano as f64 / 1e9, c.delta_atto as f64 / 1e18);
            let at = crate::clock::utc(c.at_ms);
            let study = if c.study.is_empty() { String::new() } else { format!(", study {}", c.study) };
            text.push_str(&format!(
                "  {at}  {}  epsilon {epsilon}, delta {delta:e}: rho {}{study}\n",
                c.job,
                c.rho_nano as f64 / 1e9
            ));
        }
    }
    if terminal.is_json() {
        return written(terminal.json(&rows));
    }
    written(terminal.data(&text))
}

fn spent(of: &Spent) -> String {
    format!(
        "epsilon {:.3} of {:.3} spent at delta {:e} (rho {:.6} of {:.6})",
        of.epsilon_spent, of.epsilon, of.delta, of.rho_spent, of.rho
    )
}

fn decide(node: &Node, job: &str, decision: Approval, terminal: &Terminal) -> Result<Exit, Problem> {
    node.decide(job, decision)?;
    terminal.say(&format!("job {job} is {}", decision.as_str()));
    Ok(Exit::Ok)
}

fn audit(node: &Node, events: bool, terminal: &Terminal) -> Result<Exit, Problem> {
    if events {
        for sealed in audit_chain(&**node.store()) {
            let sealed = sealed.map_err(|e| Problem::internal(&e))?;
            written(terminal.json_line(&sealed))?;
        }
        return Ok(Exit::Ok);
    }
    let key = node.membership().identity.public();
    let line = match verify_chain(audit_chain(&**node.store()), &key) {
        Ok(v) => passed("audit chain", format!("{} events, head {}", v.count, v.head)),
        Err(error) => failed("audit chain", error.to_string()),
    };
    report(terminal, &format!("hospital {}", node.name()), vec![line])
}
