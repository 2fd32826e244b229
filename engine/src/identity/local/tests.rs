use std::sync::Arc;

use proptest::prelude::*;
use totp_rs::Builder;
use zeroize::Zeroizing;

use super::*;
use crate::identity::bearer::{Asserted, BearerError};
use crate::identity::{Identity, PrincipalKind, RoleName, SealKey};
use crate::store::{SqliteStore, Store};

const PASSWORD: &str = "correct horse battery";
const NOW: u64 = 1_800_000_000_000;
/// Fast: what is tested is not how long guessing takes.
const COST: Cost = Cost { memory_kib: 8, passes: 1 };

struct Bench {
    _folder: tempfile::TempDir,
    store: Arc<dyn Store>,
    accounts: Accounts,
}

fn bench() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let signer = Arc::new(Identity::from_seed(&[1; 32]));
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(folder.path(), signer).unwrap());
    let seal = SealKey::from_bytes(Zeroizing::new([2; 32]));
    let key = TokenKey::new(Identity::from_seed(&[3; 32]), "demo").unwrap();
    Bench { accounts: Accounts::new(store.clone(), seal, key, COST), store, _folder: folder }
}

fn new(name: &str, roles: &[RoleName]) -> NewAccount {
    NewAccount { name: name.to_owned(), roles: roles.to_vec(), organisation: Some("north".to_owned()) }
}

fn code(fresh: &Fresh, at_ms: u64) -> String {
    let totp = totp_of(&fresh.totp);
    totp.generate(at_ms / 1000).to_string()
}

fn totp_of(base32: &str) -> totp_rs::Totp {
    let mut secret = [0_u8; 20];
    let (mut buffer, mut bits, mut at) = (0_u32, 0, 0);
    for c in base32.bytes() {
        let value = if c.is_ascii_uppercase() { c - b'A' } else { c - b'2' + 26 };
        (buffer, bits) = (buffer << 5 | u32::from(value), bits + 5);
        if bits >= 8 {
            bits -= 8;
            secret[at] = (buffer >> bits & 255) as u8;
            at += 1;
        }
    }
    Builder::new().with_secret(secret).build().unwrap()
}

fn ada(bench: &Bench) -> Fresh {
    let added = bench.accounts.add_person(&new("ada", &[RoleName::Researcher]), PASSWORD, false).unwrap();
    added.second.unwrap()
}

fn who(bench: &Bench, issued: &Issued, at_ms: u64) -> Result<Asserted, BearerError> {
    bench.accounts.verify(&issued.access, at_ms).unwrap()
}

fn actions(bench: &Bench) -> Vec<String> {
    bench
        .store
        .audit_events(0, 500)
        .unwrap()
        .into_iter()
        .map(|sealed| sealed.event().unwrap().action.clone())
        .collect()
}

#[test]
fn password_and_code_log_in_and_the_token_says_how() {
    let bench = bench();
    let fresh = ada(&bench);
    let issued = bench.accounts.login("ada", PASSWORD, &code(&fresh, NOW), NOW).unwrap();
    let ada = who(&bench, &issued, NOW).unwrap();
    assert_eq!((ada.name.as_str(), ada.kind), ("ada", PrincipalKind::Person));
    assert_eq!(ada.roles.into_iter().collect::<Vec<_>>(), [RoleName::Researcher]);
    assert_eq!(
        (ada.acr.as_deref(), ada.organisation.as_deref()),
        (Some("urn:ward:acr:two-factor"), Some("north"))
    );
    assert_eq!(ada.amr, ["mfa", "otp", "pwd"]);
    assert_eq!(issued.expires_ms, NOW + ACCESS_MS);
    assert!(matches!(who(&bench, &issued, NOW + ACCESS_MS), Err(BearerError::Expired { .. })));
    assert_eq!(actions(&bench), ["account.add", "login"]);
}

#[test]
fn wrong_password_code_and_name_are_refused_alike() {
    let bench = bench();
    let fresh = ada(&bench);
    let good = code(&fresh, NOW);
    for (name, password, code) in [
        ("ada", "wrong horse battery", good.as_str()),
        ("ada", PASSWORD, "000000x"),
        ("ada", PASSWORD, ""),
        ("eve", PASSWORD, good.as_str()),
    ] {
        let refused = bench.accounts.login(name, password, code, NOW);
        assert!(matches!(refused, Err(LocalError::Credentials)), "{name} {code}");
    }
    assert_eq!(actions(&bench)[1..], ["login.failure"; 4]);
}

#[test]
fn a_one_time_password_is_used_once() {
    let bench = bench();
    let fresh = ada(&bench);
    let code = code(&fresh, NOW);
    assert!(bench.accounts.login("ada", PASSWORD, &code, NOW).is_ok());
    assert!(matches!(bench.accounts.login("ada", PASSWORD, &code, NOW), Err(LocalError::Credentials)));
    let next = self::code(&fresh, NOW + 30_000);
    assert!(bench.accounts.login("ada", PASSWORD, &next, NOW + 30_000).is_ok());
}

#[test]
fn a_recovery_code_is_used_once() {
    let bench = bench();
    let fresh = ada(&bench);
    let code = fresh.codes[3].to_uppercase();
    assert!(bench.accounts.login("ada", PASSWORD, &code, NOW).is_ok());
    assert!(matches!(bench.accounts.login("ada", PASSWORD, &code, NOW), Err(LocalError::Credentials)));
    assert!(bench.accounts.login("ada", PASSWORD, &fresh.codes[4], NOW).is_ok());
}

#[test]
fn failures_lock_for_longer_and_longer_and_a_success_forgets_them() {
    let bench = bench();
    let fresh = ada(&bench);
    let mut now = NOW;
    for _ in 0..4 {
        assert!(matches!(bench.accounts.login("ada", "x", "", now), Err(LocalError::Credentials)));
    }
    let mut waits = Vec::new();
    for _ in 0..3 {
        assert!(matches!(bench.accounts.login("ada", "x", "", now), Err(LocalError::Credentials)));
        // Locked: the right secrets are not looked at either.
        let locked = bench.accounts.login("ada", PASSWORD, &code(&fresh, now), now);
        let Err(LocalError::Locked { wait_s }) = locked else { panic!("not locked") };
        waits.push(wait_s);
        now += wait_s * 1000;
    }
    assert_eq!(waits, [30, 60, 120]);
    assert!(bench.accounts.login("ada", PASSWORD, &code(&fresh, now), now).is_ok());
    assert_eq!(bench.store.account("ada").unwrap().unwrap().failures, 0);
    assert!(actions(&bench).contains(&"account.lock".to_owned()));
}

#[test]
fn a_refresh_token_that_comes_twice_ends_the_login() {
    let bench = bench();
    let fresh = ada(&bench);
    let first = bench.accounts.login("ada", PASSWORD, &code(&fresh, NOW), NOW).unwrap();
    let stolen = first.refresh.clone().unwrap();
    let second = bench.accounts.refresh(&stolen, NOW + 1).unwrap();
    assert!(who(&bench, &second, NOW + 1).is_ok());
    assert!(matches!(bench.accounts.refresh(&stolen, NOW + 2), Err(LocalError::Reused)));
    // Neither the thief's nor the owner's tokens work any more.
    assert!(matches!(who(&bench, &second, NOW + 3), Err(BearerError::Ended)));
    assert!(matches!(
        bench.accounts.refresh(second.refresh.as_ref().unwrap(), NOW + 3),
        Err(LocalError::Ended)
    ));
    assert_eq!(actions(&bench).last().unwrap(), "login.reuse");
}

/// What ends the logins of somebody.
type End<'a> = &'a dyn Fn(&Issued, u64);

#[test]
fn a_login_ends_by_logout_disabling_reset_and_age() {
    let bench = bench();
    let fresh = ada(&bench);
    let mut now = NOW;
    let ends: [End<'_>; 3] = [
        &|issued, now| bench.accounts.logout(issued.refresh.as_ref().unwrap(), now).unwrap(),
        &|_, _| {
            bench.accounts.set_disabled("ada", true).unwrap();
            bench.accounts.set_disabled("ada", false).unwrap();
        },
        &|_, _| bench.accounts.reset("ada", PASSWORD).unwrap(),
    ];
    for end in ends {
        now += 60_000;
        let issued = bench.accounts.login("ada", PASSWORD, &code(&fresh, now), now).unwrap();
        assert!(who(&bench, &issued, now).is_ok());
        end(&issued, now);
        assert!(matches!(who(&bench, &issued, now), Err(BearerError::Ended)));
        assert!(matches!(
            bench.accounts.refresh(issued.refresh.as_ref().unwrap(), now),
            Err(LocalError::Ended)
        ));
    }
    now += 60_000;
    let issued = bench.accounts.login("ada", PASSWORD, &code(&fresh, now), now).unwrap();
    let late = bench.accounts.refresh(issued.refresh.as_ref().unwrap(), now + REFRESH_MS);
    assert!(matches!(late, Err(LocalError::Ended)));
}

#[test]
fn a_service_logs_in_with_its_secret_alone() {
    let bench = bench();
    let secret = bench.accounts.add_service(&new("etl", &[RoleName::Auditor])).unwrap().0;
    let issued = bench.accounts.login("etl", &secret, "", NOW).unwrap();
    let etl = who(&bench, &issued, NOW).unwrap();
    assert_eq!((etl.kind, etl.acr.as_deref()), (PrincipalKind::Service, Some("urn:ward:acr:service")));
    assert!(matches!(bench.accounts.login("etl", &"0".repeat(64), "", NOW), Err(LocalError::Credentials)));
    assert!(matches!(bench.accounts.login("etl", "", "", NOW), Err(LocalError::Credentials)));
}

#[test]
fn weak_passwords_taken_names_and_node_roles_are_refused() {
    let bench = bench();
    ada(&bench);
    let add = |name: &str, roles: &[RoleName], password: &str| {
        bench.accounts.add_person(&new(name, roles), password, true).map(drop)
    };
    assert!(matches!(add("bob", &[], "short"), Err(LocalError::Password { .. })));
    assert!(matches!(add("bob", &[], "aaaaaaaaaaaaaaaa"), Err(LocalError::Password { .. })));
    assert!(matches!(add("bob", &[RoleName::Hospital], PASSWORD), Err(LocalError::Role { .. })));
    assert!(matches!(add("ada", &[], PASSWORD), Err(LocalError::Store(_))));
    assert!(matches!(add("Bob", &[], PASSWORD), Err(LocalError::Identity(_))));
    assert!(add("bob", &[], PASSWORD).is_ok());
}

#[test]
fn secrets_open_in_their_own_row_only() {
    let seal = SealKey::from_bytes(Zeroizing::new([2; 32]));
    let sealed = Secrets::of_password(PASSWORD, COST).unwrap().seal(&seal, "ada").unwrap();
    assert!(Secrets::open(&seal, "ada", &sealed).unwrap().check_password(PASSWORD).is_ok());
    assert!(Secrets::open(&seal, "eve", &sealed).is_err());
}

#[test]
fn one_time_passwords_are_those_of_rfc_6238() {
    // Appendix B: the secret is "12345678901234567890"; six digits are the last of its eight.
    let totp = Builder::new().with_secret(*b"12345678901234567890").build().unwrap();
    for (at_s, code) in [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")] {
        assert_eq!(totp.generate(at_s).to_string(), code);
    }
    // The same secret as authenticators read it (RFC 4648).
    assert_eq!(totp_of("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ").generate(59).to_string(), "287082");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_changed_token_is_refused(at in 0usize..400, bit in 0u8..7) {
        let key = TokenKey::new(Identity::from_seed(&[3; 32]), "demo").unwrap();
        let amr = ["pwd".to_owned()];
        let access = tokens::Access { account: "ada", login: "x", authenticated_ms: NOW, amr: &amr };
        let (token, _) = key.access(&access, NOW);
        prop_assert!(key.verify(&token, NOW).is_ok());
        let mut bytes = token.as_bytes().to_vec();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        if let Ok(changed) = String::from_utf8(bytes) {
            prop_assert!(key.verify(&changed, NOW).is_err());
        }
    }

    #[test]
    fn recovery_codes_are_forgiving_about_how_they_are_typed(spaces in 0usize..4) {
        let mut secrets = Secrets::of_password(PASSWORD, COST).unwrap();
        let fresh = secrets.renew_totp().unwrap();
        let typed = fresh.codes[0].replace('-', &" ".repeat(spaces)).to_uppercase();
        prop_assert!(secrets.use_code(&typed).is_ok());
        prop_assert!(secrets.use_code(&typed).is_err());
    }
}
