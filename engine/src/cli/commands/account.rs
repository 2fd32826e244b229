//! `ward account ...`: the engine's own accounts, kept in its folder.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use serde_json::json;
use zeroize::Zeroizing;

use crate::cli::exit::Exit;
use crate::cli::output::terminal::Terminal;
use crate::cli::{prompt, written};
use crate::host::EngineFolder;
use crate::identity::local::{Accounts, Fresh, NewAccount, otpauth_url};
use crate::identity::{PrincipalKind, RoleName};
use crate::problem::{Problem, ProblemKind};

/// `ward account`.
#[derive(Debug, Subcommand)]
pub enum Account {
    /// Add a person, with a second factor, or a service.
    Add {
        /// The engine's folder.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// Its name (a-z, 0-9, hyphens).
        name: String,
        /// A role: researcher, hospital_admin, clinician, patient, issuer, auditor or operator. May be repeated.
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<String>,
        /// Its organisation: the name of a hospital, for people of a hospital.
        #[arg(long, value_name = "NAME")]
        organisation: Option<String>,
        /// Make a service: it logs in with a secret that is printed once.
        #[arg(long, conflicts_with = "no_totp")]
        service: bool,
        /// Without a second factor.
        #[arg(long)]
        no_totp: bool,
    },
    /// List the accounts.
    List {
        /// The engine's folder.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
    /// Forbid an account to log in, and end its logins.
    Disable {
        /// The engine's folder.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// The account.
        name: String,
    },
    /// Allow an account to log in again.
    Enable {
        /// The engine's folder.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// The account.
        name: String,
    },
    /// Give a person another password, lift a lock, and end every login.
    Reset {
        /// The engine's folder.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// The account.
        name: String,
    },
    /// Give a person another second factor and recovery codes, and end every login.
    Totp {
        /// The engine's folder.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// The account.
        name: String,
    },
}

fn opened(data: &Path) -> Result<(EngineFolder, Accounts), Problem> {
    let folder = EngineFolder::open(data)?;
    let accounts = folder.accounts()?;
    Ok((folder, accounts))
}

/// Runs a command.
///
/// # Errors
/// As the command says.
pub async fn run(command: &Account, terminal: &Terminal) -> Result<Exit, Problem> {
    match command {
        Account::Add { data, name, roles, organisation, service, no_totp } => {
            let (folder, accounts) = opened(data)?;
            let new =
                NewAccount { name: name.clone(), roles: parsed(roles)?, organisation: organisation.clone() };
            if *service {
                let secret = accounts.add_service(&new)?.0;
                return show_service(name, &secret, terminal);
            }
            let password = new_password(terminal).await?;
            let added = accounts.add_person(&new, &password, *no_totp)?;
            terminal.say(&format!("{name} has an account"));
            match added.second {
                Some(fresh) => show_second(folder.consortium(), name, &fresh, terminal),
                None => Ok(Exit::Ok),
            }
        }
        Account::List { data } => list(&opened(data)?.0, terminal),
        Account::Disable { data, name } => {
            opened(data)?.1.set_disabled(name, true)?;
            terminal.say(&format!("{name} is logged out and may not log in"));
            Ok(Exit::Ok)
        }
        Account::Enable { data, name } => {
            opened(data)?.1.set_disabled(name, false)?;
            terminal.say(&format!("{name} may log in"));
            Ok(Exit::Ok)
        }
        Account::Reset { data, name } => {
            let (_, accounts) = opened(data)?;
            let password = new_password(terminal).await?;
            accounts.reset(name, &password)?;
            terminal.say(&format!("{name} has a new password; every login of the account is ended"));
            Ok(Exit::Ok)
        }
        Account::Totp { data, name } => {
            let (folder, accounts) = opened(data)?;
            let fresh = accounts.renew_second(name)?;
            show_second(folder.consortium(), name, &fresh, terminal)
        }
    }
}

fn parsed(roles: &[String]) -> Result<Vec<RoleName>, Problem> {
    let parse = |text: &String| {
        RoleName::parse(text).map_err(|e| {
            Problem::new(ProblemKind::Validation, "account.role", e.to_string())
                .hint("roles: researcher, hospital_admin, clinician, patient, issuer, auditor, operator")
        })
    };
    roles.iter().map(parse).collect()
}

/// A password, asked for twice at a terminal; one line of stdin otherwise.
async fn new_password(terminal: &Terminal) -> Result<Zeroizing<String>, Problem> {
    let password = prompt::secret("password (12 characters or more):", terminal).await?;
    if prompt::is_interactive() && *prompt::secret("the same again:", terminal).await? != *password {
        return Err(Problem::new(ProblemKind::Validation, "account.password", "the two passwords differ"));
    }
    Ok(password)
}

fn show_service(name: &str, secret: &str, terminal: &Terminal) -> Result<Exit, Problem> {
    if terminal.is_json() {
        return written(terminal.json(&json!({ "name": name, "secret": secret })));
    }
    terminal.say(&format!("{name} has an account; its secret, shown once:"));
    terminal.hint("keep it in a file of mode 0600; the service names it in WARD_CLIENT_SECRET_FILE");
    written(terminal.data(secret))
}

fn show_second(consortium: &str, name: &str, fresh: &Fresh, terminal: &Terminal) -> Result<Exit, Problem> {
    let url = otpauth_url(consortium, name, &fresh.totp);
    let codes: Vec<&str> = fresh.codes.iter().map(|code| code.as_str()).collect();
    if terminal.is_json() {
        return written(terminal.json(&json!({
            "name": name, "otpauth": url.as_str(), "totp_secret": fresh.totp.as_str(), "recovery_codes": codes,
        })));
    }
    terminal.say("scan this with an authenticator, or type the secret in; it is shown once");
    let mut text = String::new();
    if let Ok(code) = QrCode::new(url.as_bytes()) {
        text.push_str(&code.render::<Dense1x2>().build());
        text.push('\n');
    }
    text.push_str(&format!("secret: {}\n\nrecovery codes, each for one login:\n", *fresh.totp));
    for code in codes {
        text.push_str(&format!("  {code}\n"));
    }
    written(terminal.data(&text))
}

fn list(folder: &EngineFolder, terminal: &Terminal) -> Result<Exit, Problem> {
    let accounts = folder.store().accounts()?;
    let now = crate::clock::now_ms();
    if terminal.is_json() {
        let rows: Vec<_> = accounts
            .iter()
            .map(|a| {
                json!({
                    "name": a.name, "kind": a.kind.as_str(), "roles": a.roles, "organisation": a.organisation,
                    "disabled": a.is_disabled, "locked": now < a.locked_until_ms, "failures": a.failures,
                })
            })
            .collect();
        return written(terminal.json(&rows));
    }
    let mut text = String::new();
    for a in &accounts {
        let state = match (a.is_disabled, now < a.locked_until_ms) {
            (true, _) => "disabled",
            (false, true) => "locked",
            (false, false) => "open",
        };
        let kind = if a.kind == PrincipalKind::Service { "service" } else { "person" };
        let roles: Vec<&str> = a.roles.iter().map(|role| role.as_str()).collect();
        let house = a.organisation.as_deref().map_or_else(String::new, |name| format!(" of {name}"));
        text.push_str(&format!("{:24}  {kind:7}  {state:8}  {}{house}\n", a.name, roles.join(", ")));
    }
    if accounts.is_empty() {
        terminal.say("no accounts; add one with `ward account add`");
    }
    written(terminal.data(&text))
}
