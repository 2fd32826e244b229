use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use proptest::prelude::*;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _,
};
use serde_json::{Value, json};

use super::config::{IdentityConfig, OidcConfig};
use super::jwt::{self, Expected};
use super::*;

const NOW_S: u64 = 1_800_000_000;

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn jwk(value: Value) -> Jwk {
    serde_json::from_value(value).unwrap()
}

fn ed(seed: u8) -> (Ed25519KeyPair, Jwk) {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
    let key = jwk(json!({ "kty": "OKP", "crv": "Ed25519", "kid": "e", "x": b64(pair.public_key()) }));
    (pair, key)
}

fn ec(is_256: bool) -> (EcdsaKeyPair, Jwk) {
    let algorithm = if is_256 { &ECDSA_P256_SHA256_FIXED_SIGNING } else { &ECDSA_P384_SHA384_FIXED_SIGNING };
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap();
    let point = pair.public_key().as_ref()[1..].to_vec();
    let (x, y) = point.split_at(point.len() / 2);
    let curve = if is_256 { "P-256" } else { "P-384" };
    let key = jwk(json!({ "kty": "EC", "crv": curve, "kid": "c", "x": b64(x), "y": b64(y) }));
    (pair, key)
}

fn claims() -> Value {
    json!({ "iss": "https://id.example", "aud": "ward", "sub": "u1", "exp": NOW_S + 300, "iat": NOW_S })
}

fn with(name: &str, value: Value) -> Value {
    let mut changed = claims();
    changed[name] = value;
    changed
}

fn expected() -> Expected {
    Expected {
        issuer: "https://id.example".to_owned(),
        audience: "ward".to_owned(),
        clients: Vec::new(),
        algorithms: ALGORITHMS.to_vec(),
        skew_s: 60,
    }
}

fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.{}", b64(header.to_string()), b64(claims.to_string()))
}

fn token(claims: &Value) -> (String, Jwk) {
    let (pair, key) = ed(7);
    let text = unsigned(&json!({ "alg": "EdDSA", "kid": "e" }), claims);
    let signature = b64(pair.sign(text.as_bytes()));
    (format!("{text}.{signature}"), key)
}

fn verified(claims: &Value) -> Result<jwt::Claims, BearerError> {
    let (token, key) = token(claims);
    jwt::verify(&token, &key, &expected(), NOW_S)
}

#[test]
fn an_ed25519_token_of_the_issuer_for_this_audience_is_taken() {
    assert_eq!(verified(&claims()).unwrap()["sub"], "u1");
    assert!(verified(&with("aud", json!(["ward"]))).is_ok());
}

#[test]
fn elliptic_curve_tokens_are_verified_under_their_own_curve_only() {
    for is_256 in [true, false] {
        let (pair, key) = ec(is_256);
        let (own, other) = if is_256 { ("ES256", "ES384") } else { ("ES384", "ES256") };
        let sign = |alg: &str| {
            let text = unsigned(&json!({ "alg": alg }), &claims());
            let signature = pair.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
            format!("{text}.{}", b64(signature))
        };
        assert!(jwt::verify(&sign(own), &key, &expected(), NOW_S).is_ok(), "{own}");
        assert!(matches!(jwt::verify(&sign(other), &key, &expected(), NOW_S), Err(BearerError::Signature)));
    }
}

#[test]
fn an_rs256_token_of_rfc_7515_verifies() {
    // RFC 7515, appendix A.2: key, and the signing input's signature.
    let key = jwk(
        json!({ "kty": "RSA", "e": "AQAB", "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ" }),
    );
    let token = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    let joe = Expected { issuer: "joe".to_owned(), ..expected() };
    // It has no audience, which is the first thing to miss once the signature held.
    assert!(
        matches!(jwt::verify(token, &key, &joe, NOW_S), Err(BearerError::Claim { claim }) if claim == "aud")
    );
    let changed = token.replace(".cC4h", ".cC4i");
    assert!(matches!(jwt::verify(&changed, &key, &joe, NOW_S), Err(BearerError::Signature)));
}

#[test]
fn wrong_issuer_audience_times_and_clients_are_refused_by_name() {
    let refused = |claims: Value| verified(&claims).unwrap_err().code();
    assert_eq!(refused(with("iss", json!("https://id.example/"))), "token.issuer");
    assert_eq!(refused(with("iss", json!(["https://id.example"]))), "token.issuer");
    assert_eq!(refused(with("aud", json!("other"))), "token.audience");
    assert_eq!(refused(with("aud", json!(["ward", "other"]))), "token.client");
    assert_eq!(refused(with("exp", json!(NOW_S - 60))), "token.expired");
    assert_eq!(refused(with("exp", json!("soon"))), "token.claim");
    assert_eq!(refused(with("nbf", json!(NOW_S + 61))), "token.early");
    assert_eq!(refused(with("iat", json!(NOW_S + 61))), "token.early");
    let mut endless = claims();
    endless.as_object_mut().unwrap().remove("exp");
    assert_eq!(refused(endless), "token.claim");
}

#[test]
fn clocks_may_differ_by_the_skew_and_no_more() {
    assert!(verified(&with("exp", json!(NOW_S - 59))).is_ok());
    assert!(verified(&with("nbf", json!(NOW_S + 60))).is_ok());
}

#[test]
fn clients_that_are_listed_are_the_only_ones() {
    let listed = Expected { clients: vec!["ward-cli".to_owned()], ..expected() };
    let check = |claims: Value| {
        let (token, key) = token(&claims);
        jwt::verify(&token, &key, &listed, NOW_S).map(drop)
    };
    assert!(check(with("azp", json!("ward-cli"))).is_ok());
    assert!(check(with("client_id", json!("ward-cli"))).is_ok());
    for refused in [claims(), with("azp", json!("other")), with("azp", json!(5))] {
        assert!(matches!(check(refused), Err(BearerError::Client)));
    }
}

#[test]
fn no_token_is_taken_unsigned_or_under_hmac_with_a_public_key() {
    let (_, key) = token(&claims());
    let none = format!("{}.", unsigned(&json!({ "alg": "none" }), &claims()));
    assert!(jwt::verify(&none, &key, &expected(), NOW_S).is_err());
    let (pair, _) = ed(7);
    let text = unsigned(&json!({ "alg": "HS256", "kid": "e" }), &claims());
    let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, pair.public_key().as_ref());
    let confused = format!("{text}.{}", b64(ring::hmac::sign(&secret, text.as_bytes())));
    assert!(matches!(jwt::verify(&confused, &key, &expected(), NOW_S), Err(BearerError::Algorithm { .. })));
    // Nor when somebody configures the algorithm: there is nothing here that verifies it.
    let careless = Expected { algorithms: vec![Algorithm::HS256], ..expected() };
    assert!(jwt::verify(&confused, &key, &careless, NOW_S).is_err());
}

#[test]
fn an_algorithm_that_is_not_listed_is_refused_though_the_signature_holds() {
    let (token, key) = token(&claims());
    let only = Expected { algorithms: vec![Algorithm::ES256], ..expected() };
    assert!(matches!(jwt::verify(&token, &key, &only, NOW_S), Err(BearerError::Algorithm { .. })));
}

#[test]
fn a_key_is_found_by_its_id_use_and_kind_and_never_guessed() {
    let (_, first) = ed(1);
    let mut second = ed(2).1;
    second.common.key_id = Some("f".to_owned());
    let header = |kid: Option<&str>| {
        let mut header = jsonwebtoken::Header::new(Algorithm::EdDSA);
        header.kid = kid.map(str::to_owned);
        header
    };
    let both = JwkSet { keys: vec![first.clone(), second.clone()] };
    assert_eq!(jwt::key_for(&both, &header(Some("f"))), Some(&second));
    assert_eq!(jwt::key_for(&both, &header(Some("g"))), None);
    assert_eq!(jwt::key_for(&both, &header(None)), None);
    let one = JwkSet { keys: vec![first.clone()] };
    assert_eq!(jwt::key_for(&one, &header(None)), Some(&first));
    let mut sealing = first;
    sealing.common.public_key_use = Some(jsonwebtoken::jwk::PublicKeyUse::Encryption);
    assert_eq!(jwt::key_for(&JwkSet { keys: vec![sealing] }, &header(None)), None);
}

fn config(text: &str) -> OidcConfig {
    let head = "[oidc]\nissuer = \"https://id.example\"\naudience = \"ward\"\nclient_id = \"ward-cli\"\n";
    toml::from_str::<IdentityConfig>(&format!("{head}{text}")).unwrap().oidc.unwrap()
}

fn asserted(config: &OidcConfig, claims: &Value) -> Result<Asserted, BearerError> {
    oidc::asserted(config, claims.as_object().unwrap())
}

#[test]
fn claims_become_a_name_roles_and_an_organisation() {
    let config = config("roles_claim = \"realm.roles\"\n[oidc.roles]\n\"ward users\" = \"researcher\"\n");
    let mut said = with("preferred_username", json!("ada"));
    said["realm"] = json!({ "roles": ["ward users", "researcher", "hospital", "other"] });
    said["organisation"] = json!("north");
    said["auth_time"] = json!(NOW_S - 5);
    said["amr"] = json!(["pwd", "otp"]);
    let ada = asserted(&config, &said).unwrap();
    assert_eq!((ada.name.as_str(), ada.subject.as_str(), ada.kind), ("ada", "u1", PrincipalKind::Person));
    assert_eq!(ada.roles.into_iter().collect::<Vec<_>>(), [RoleName::Researcher]);
    assert_eq!((ada.organisation.as_deref(), ada.amr.len()), (Some("north"), 2));
    assert_eq!((ada.authenticated_at_ms, ada.expires_ms), ((NOW_S - 5) * 1000, (NOW_S + 300) * 1000));
}

#[test]
fn without_a_table_roles_are_named_as_here_and_a_node_is_never_one() {
    let mut said = with("preferred_username", json!("ada"));
    said["roles"] = json!(["auditor", "hospital", "engine"]);
    let ada = asserted(&config(""), &said).unwrap();
    assert_eq!(ada.roles.into_iter().collect::<Vec<_>>(), [RoleName::Auditor]);
}

#[test]
fn a_token_that_a_client_got_for_itself_is_a_services() {
    let mut said = with("sub", json!("etl"));
    said["client_id"] = json!("etl");
    let etl = asserted(&config(""), &said).unwrap();
    assert_eq!((etl.name.as_str(), etl.kind), ("etl", PrincipalKind::Service));
}

#[test]
fn names_that_are_none_here_and_settings_that_make_no_sense_are_refused() {
    for name in ["Ada", "ada lovelace", "", "-ada"] {
        let refused = asserted(&config(""), &with("preferred_username", json!(name)));
        assert!(matches!(refused, Err(BearerError::Name { .. })), "{name:?}");
    }
    assert!(matches!(asserted(&config(""), &claims()), Err(BearerError::Claim { .. })));
    for bad in [
        "algorithms = [\"HS256\"]",
        "clock_skew_s = 301",
        "keys_max_age_s = 0",
        "[oidc.roles]\nx = \"hospital\"",
    ] {
        assert!(matches!(config(bad).expected(), Err(BearerError::Config { .. })), "{bad}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn a_changed_byte_is_refused(at in 0usize..1000, to in 0u8..128) {
        let (token, key) = token(&claims());
        let mut bytes = token.clone().into_bytes();
        let at = at % bytes.len();
        prop_assume!(bytes[at] != to);
        bytes[at] = to;
        let changed = String::from_utf8(bytes).unwrap();
        prop_assert!(jwt::verify(&changed, &key, &expected(), NOW_S).is_err());
    }

    #[test]
    fn no_text_is_a_panic(text in ".{0,200}") {
        let (_, key) = token(&claims());
        prop_assert!(jwt::verify(&text, &key, &expected(), NOW_S).is_err());
        prop_assert!(jwt::issuer_of(&text).is_none());
    }
}
