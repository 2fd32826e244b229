//! `ward login`, `ward logout`, `ward whoami`.

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use tonic::transport::Channel;
use zeroize::Zeroizing;

use crate::cli::args::Global;
use crate::cli::exit::Exit;
use crate::cli::output::report::facts;
use crate::cli::output::terminal::Terminal;
use crate::cli::session::login::{self, Bearer, Login, Method, ProviderMethod, Tokens};
use crate::cli::session::{home, person_seal};
use crate::cli::{prompt, written};
use crate::clock::utc;
use crate::grpc::client::{self, Target};
use crate::grpc::services::identity::PERSON_KEY;
use crate::grpc::status::problem_of;
use crate::grpc::v1;
use crate::grpc::v1::identity_client::IdentityClient;
use crate::identity::bearer::BearerError;
use crate::identity::{CaCertificate, Identity, person_key_parts};
use crate::member::{Membership, Registered, pem_of};
use crate::party::connect::Proxy;
use crate::problem::{Problem, ProblemKind};

/// `ward login`.
#[derive(Debug, ClapArgs)]
pub struct LoginArgs {
    /// The engine, as https://host:port [default: the one used before].
    #[arg(long, value_name = "URL")]
    pub engine: Option<String>,
    /// Certificate of the consortium's authority [default: the one used before].
    #[arg(long, value_name = "FILE")]
    pub authority: Option<PathBuf>,
    /// Log in to this account of the engine, not through the consortium's identity provider. The password and the code
    /// are asked for, or read from stdin, a line each.
    #[arg(long, value_name = "NAME")]
    pub account: Option<String>,
    /// Certificate of the authority that certifies the identity provider [default: those of the system].
    #[arg(long, value_name = "FILE")]
    pub provider_ca: Option<PathBuf>,
    /// Register a new key in place of one that is lost.
    #[arg(long)]
    pub new_key: bool,
}

/// Where to log in.
struct Place {
    engine_url: String,
    authority: CaCertificate,
    /// The member enrolled in this folder before, who shows the certificate as well.
    enrolled: Option<Membership>,
}

fn invalid(code: &str, message: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::Validation, code, message)
}

fn provider_problem(error: &BearerError) -> Problem {
    Problem::new(ProblemKind::Unavailable, error.code(), error.to_string()).hint(error.hint())
}

fn proxy(global: &Global) -> Result<Option<Proxy>, Problem> {
    let parse = |text: &String| Proxy::parse(text).map_err(|e| invalid("proxy", e.to_string()));
    global.proxy.as_ref().map(parse).transpose()
}

fn place(args: &LoginArgs, home: &Path) -> Result<Place, Problem> {
    let before = Login::load(home)?;
    let member = Membership::load(home, person_seal(home)?).ok();
    let enrolled = match (&before, member) {
        (Some(login), Some(member)) if login.shows_certificate => Some(member),
        (None, Some(member)) => Some(member),
        _ => None,
    };
    let unknown = |what: &str, option: &str| {
        invalid("login.engine", format!("no {what} is known here")).hint(format!("say which with {option}"))
    };
    let engine_url = args.engine.clone().or_else(|| {
        let enrolled = enrolled.as_ref().map(|member| member.engine_url.clone());
        before.as_ref().map(|login| login.engine_url.clone()).or(enrolled)
    });
    let authority = match (&args.authority, &before, &enrolled) {
        (Some(path), _, _) => {
            let bad =
                |e: &dyn std::fmt::Display| invalid("login.authority", format!("{}: {e}", path.display()));
            let pem = std::fs::read_to_string(path).map_err(|e| bad(&e))?;
            CaCertificate::from_pem(&pem).map_err(|e| bad(&e))?
        }
        (None, Some(login), _) => login.authority(home)?,
        (None, None, Some(member)) => member.authority.clone(),
        (None, None, None) => return Err(unknown("authority", "--authority FILE (the consortium's ca.pem)")),
    };
    Ok(Place {
        engine_url: engine_url.ok_or_else(|| unknown("engine", "--engine URL"))?,
        authority,
        enrolled,
    })
}

/// Runs `ward login`.
///
/// # Errors
/// `login.*`, `token.*`, or the engine's.
pub async fn login(args: &LoginArgs, global: &Global, terminal: &Terminal) -> Result<Exit, Problem> {
    let home = home(global.home.as_deref())?;
    let place = place(args, &home)?;
    let target = match &place.enrolled {
        Some(member) => Target { url: place.engine_url.clone(), ..member.target(proxy(global)?)? },
        None => Target {
            url: place.engine_url.clone(),
            authority_pem: pem_of(place.authority.der()),
            identity_pem: None,
            proxy: proxy(global)?,
        },
    };
    let channel = client::connect(&target).await?;
    let mut service = IdentityClient::new(channel.clone());
    let methods = service.methods(v1::MethodsRequest {}).await.map_err(|s| problem_of(&s))?.into_inner();
    let (method, tokens) = authenticate(args, &methods, channel.clone(), terminal).await?;
    let mut service = IdentityClient::with_interceptor(channel.clone(), Bearer::once(&tokens.access)?);
    let me = service.who_am_i(v1::WhoAmIRequest {}).await.map_err(|s| problem_of(&s))?.into_inner();
    let login = Login {
        engine_url: place.engine_url.clone(),
        authority: hex::encode(place.authority.der()),
        consortium: methods.consortium.clone(),
        name: me.name.clone(),
        method,
        shows_certificate: place.enrolled.is_some(),
        tokens,
    };
    login.save(&home)?;
    if place.enrolled.is_none() && me.roles.iter().any(|role| role == "researcher") {
        register(&login, args.new_key, &home, channel, terminal).await?;
    }
    terminal.say(&format!("{} is logged in to {} as {}", me.name, methods.consortium, roles(&me.roles)));
    Ok(Exit::Ok)
}

fn roles(roles: &[String]) -> String {
    if roles.is_empty() { "nobody in particular: no role".to_owned() } else { roles.join(", ") }
}

/// Gets tokens, by the way that the arguments, the environment and the engine offer.
async fn authenticate(
    args: &LoginArgs,
    methods: &v1::MethodsResponse,
    channel: Channel,
    terminal: &Terminal,
) -> Result<(Method, Tokens), Problem> {
    let provider = methods.oidc.as_ref().map(|oidc| ProviderMethod {
        issuer: oidc.issuer.clone(),
        client_id: oidc.client_id.clone(),
        resource: oidc.resource.clone(),
        ca_file: args.provider_ca.clone(),
    });
    if let Some((id, secret)) = login::service()? {
        return match (provider, &args.account) {
            (Some(provider), None) => {
                let provider = ProviderMethod { client_id: id, ..provider };
                let said = provider.provider().await.map_err(|e| provider_problem(&e))?;
                let got =
                    said.service(&secret, &provider.resource).await.map_err(|e| provider_problem(&e))?;
                Ok((Method::ProviderService(provider), got.into()))
            }
            _ => Ok((Method::ServiceAccount, account(channel, &id, secret, String::new()).await?)),
        };
    }
    match (provider, &args.account) {
        (Some(provider), None) => {
            let scope = methods.oidc.as_ref().map_or("openid", |oidc| &oidc.scope);
            let tokens = device(&provider, scope, terminal).await?;
            Ok((Method::Provider(provider), tokens))
        }
        (_, Some(name)) => {
            let password = prompt::secret(&format!("password of {name}:"), terminal).await?;
            let code = prompt::line("code of your authenticator, or a recovery code:", terminal).await?;
            Ok((Method::Account, account(channel, name, password, code.to_string()).await?))
        }
        (None, None) => Err(invalid("login.account", "this consortium has no identity provider")
            .hint("name your account: `ward login --account NAME`")),
    }
}

async fn account(
    channel: Channel,
    name: &str,
    password: Zeroizing<String>,
    code: String,
) -> Result<Tokens, Problem> {
    let request = v1::LoginRequest { name: name.to_owned(), password: password.to_string(), code };
    let response = IdentityClient::new(channel).login(request).await;
    Ok(response.map_err(|s| problem_of(&s))?.into_inner().into())
}

async fn device(provider: &ProviderMethod, scope: &str, terminal: &Terminal) -> Result<Tokens, Problem> {
    let said = provider.provider().await.map_err(|e| provider_problem(&e))?;
    let code = said.begin(scope, &provider.resource).await.map_err(|e| provider_problem(&e))?;
    terminal.ask(&format!("open {} and enter the code {}", code.verification_uri, code.user_code));
    if let Some(whole) = &code.verification_uri_complete {
        terminal.ask(&format!("or open {whole}"));
    }
    Ok(said.wait(&code, &provider.resource).await.map_err(|e| provider_problem(&e))?.into())
}

/// Registers this folder's key, which signs queries and to which results are sealed.
async fn register(
    login: &Login,
    is_new: bool,
    home: &Path,
    channel: Channel,
    terminal: &Terminal,
) -> Result<(), Problem> {
    let before =
        Membership::load(home, person_seal(home)?).ok().filter(|member| member.member.name == login.name);
    let identity = match before {
        Some(member) if !is_new => member.identity,
        _ => Identity::generate().map_err(|e| Problem::internal(&e))?,
    };
    let key = identity.public();
    let parts = person_key_parts(&login.consortium, &login.name, &key);
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    let request = v1::RegisterKeyRequest {
        public_key: key.as_bytes().to_vec(),
        proof: identity.sign(PERSON_KEY, &parts).0.to_vec(),
        replace: is_new,
    };
    let mut service = IdentityClient::with_interceptor(channel, Bearer::once(&login.tokens.access)?);
    let response = service.register_key(request).await.map_err(|s| problem_of(&s))?.into_inner();
    let registered = Registered {
        engine_url: login.engine_url.clone(),
        authority: login.authority(home)?,
        name: login.name.clone(),
        certificate: response.certificate.map(|c| c.der).unwrap_or_default(),
    };
    let member = Membership::registered(registered, identity, home, person_seal(home)?)?;
    terminal.say(&format!("fingerprint of your key: {}", member.member.fingerprint()));
    Ok(())
}

/// Runs `ward logout`.
///
/// # Errors
/// When the file cannot be removed. An issuer that cannot be reached is a warning.
pub async fn logout(global: &Global, terminal: &Terminal) -> Result<Exit, Problem> {
    let home = home(global.home.as_deref())?;
    let Some(login) = Login::load(&home)? else {
        terminal.say("nobody is logged in here");
        return Ok(Exit::Ok);
    };
    // First here, so that nothing is left whatever becomes of the rest.
    Login::forget(&home)?;
    let told = match (&login.method, &login.tokens.refresh) {
        (Method::Account | Method::ServiceAccount, Some(token)) => {
            let request = v1::LogoutRequest { refresh_token: token.clone() };
            match client::connect(&login.target(&home, proxy(global)?)?).await {
                Ok(channel) => {
                    IdentityClient::new(channel).logout(request).await.map(drop).map_err(|s| problem_of(&s))
                }
                Err(problem) => Err(problem),
            }
        }
        (Method::Provider(method), Some(token)) => match method.provider().await {
            Ok(provider) => provider.revoke(token).await.map_err(|e| provider_problem(&e)),
            Err(error) => Err(provider_problem(&error)),
        },
        _ => Ok(()),
    };
    if let Err(problem) = told {
        terminal.warn(&format!("the issuer was not told: {problem}"));
    }
    terminal.say(&format!("{} is logged out", login.name));
    Ok(Exit::Ok)
}

/// Prints who the engine takes this folder for.
///
/// # Errors
/// When stdout cannot be written.
pub fn whoami(me: &v1::WhoAmIResponse, terminal: &Terminal) -> Result<Exit, Problem> {
    if terminal.is_json() {
        return written(terminal.json(&serde_json::json!({
            "name": me.name, "kind": me.kind, "roles": me.roles, "organisation": me.organisation, "acr": me.acr,
            "amr": me.amr, "authenticated_unix_ms": me.authenticated_unix_ms,
            "expires_unix_ms": me.expires_unix_ms, "key": me.fingerprint,
        })));
    }
    let or_none = |text: &str| if text.is_empty() { "none".to_owned() } else { text.to_owned() };
    let rows = [
        ("name", me.name.clone()),
        ("kind", me.kind.clone()),
        ("roles", or_none(&me.roles.join(", "))),
        ("organisation", or_none(&me.organisation)),
        ("authenticated by", or_none(&me.amr.join(", "))),
        ("until", utc(me.expires_unix_ms)),
        ("key", or_none(&me.fingerprint)),
    ];
    written(terminal.data(&facts(&rows, &terminal.style())))
}
