use std::time::{SystemTime, UNIX_EPOCH};

use proptest::prelude::*;
use zeroize::Zeroizing;

use super::*;

const NOW_S: u64 = 1_800_000_000;

fn authority() -> CertificateAuthority {
    CertificateAuthority::create("oncology", NOW_S).unwrap()
}

fn token() -> Token {
    let ca = authority().certificate().clone();
    Token::create("https://engine.example:8443", Role::Hospital, "north", 5_000, ca).unwrap()
}

#[test]
fn issued_certificate_parses_into_its_member() {
    let (ca, identity) = (authority(), Identity::generate().unwrap());
    for role in [Role::Hospital, Role::Researcher, Role::Operator] {
        let issued = ca.issue(&identity.public(), role, "north", NOW_S, 365).unwrap();
        let member = ca.certificate().verify(&issued.der, NOW_S as i64).unwrap();
        assert_eq!((member.role, member.name.as_str(), member.key), (role, "north", identity.public()));
        assert_eq!(member.valid_until_s, NOW_S as i64 + 365 * 86_400);
        assert!(member.is_valid_at(member.valid_until_s) && !member.is_valid_at(member.valid_until_s + 1));
        assert!(!member.is_valid_at(member.valid_from_s - 1));
        assert_eq!(certificate::der_of_pem(&issued.pem).unwrap(), issued.der);
    }
}

#[test]
fn server_certificate_names_hosts_and_the_engine() {
    let (ca, identity) = (authority(), Identity::generate().unwrap());
    let hosts = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let issued = ca.server_certificate(&identity.public(), "oncology", &hosts, NOW_S, 30).unwrap();
    let member = ca.certificate().verify(&issued.der, NOW_S as i64).unwrap();
    assert_eq!((member.role, member.key), (Role::Engine, identity.public()));
}

#[test]
fn certificate_of_another_authority_is_refused() {
    let (ca, other, identity) = (authority(), authority(), Identity::generate().unwrap());
    let issued = other.issue(&identity.public(), Role::Hospital, "north", NOW_S, 365).unwrap();
    assert!(matches!(
        ca.certificate().verify(&issued.der, NOW_S as i64),
        Err(IdentityError::Certificate { .. })
    ));
}

#[test]
fn certificate_outside_its_validity_is_refused() {
    let (ca, identity) = (authority(), Identity::generate().unwrap());
    let issued = ca.issue(&identity.public(), Role::Hospital, "north", NOW_S, 1).unwrap();
    for at in [NOW_S as i64 - 7_200, NOW_S as i64 + 86_401] {
        assert!(matches!(ca.certificate().verify(&issued.der, at), Err(IdentityError::Validity { .. })));
    }
}

#[test]
fn engine_certificates_are_not_issued_to_members_nor_bad_names() {
    let (ca, key) = (authority(), Identity::generate().unwrap().public());
    assert!(matches!(ca.issue(&key, Role::Engine, "x", NOW_S, 1), Err(IdentityError::Role { .. })));
    for name in ["", "North", "a b", "-a", "a-", "a:b", &"a".repeat(64)] {
        let refused = ca.issue(&key, Role::Hospital, name, NOW_S, 1);
        assert!(matches!(refused, Err(IdentityError::Name { .. })), "{name:?}");
    }
}

#[test]
fn authority_certificate_is_not_a_member_nor_the_reverse() {
    let (ca, identity) = (authority(), Identity::generate().unwrap());
    assert!(Member::from_certificate(ca.certificate().der()).is_err());
    let issued = ca.issue(&identity.public(), Role::Hospital, "north", NOW_S, 1).unwrap();
    assert!(CaCertificate::from_der(&issued.der).is_err());
}

#[test]
fn authority_survives_saving_and_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca");
    let ca = authority();
    ca.save(&path).unwrap();
    let loaded = CertificateAuthority::load(&path).unwrap();
    assert_eq!(loaded.certificate(), ca.certificate());
    let identity = Identity::generate().unwrap();
    let issued = loaded.issue(&identity.public(), Role::Hospital, "north", NOW_S, 1).unwrap();
    ca.certificate().verify(&issued.der, NOW_S as i64).unwrap();
    assert!(matches!(authority().save(&path), Err(IdentityError::File { .. })));
    assert_eq!(CertificateAuthority::load(&path).unwrap().certificate(), ca.certificate());
}

#[cfg(unix)]
#[test]
fn key_files_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    authority().save(folder.path()).unwrap();
    let key = folder.path().join("ca.key");
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
    let refused = CertificateAuthority::load(folder.path()).unwrap_err().to_string();
    assert!(refused.contains("chmod 600"), "{refused}");
}

#[test]
fn identity_pem_round_trips_and_debug_hides_the_key() {
    let identity = Identity::from_seed(&[7; 32]);
    let pem = identity.to_pem().unwrap();
    assert_eq!(Identity::from_pem(&pem).unwrap().public(), identity.public());
    assert!(!format!("{identity:?}").contains(&hex::encode([7; 32])));
}

#[test]
fn public_key_of_rfc_8032_test_1() {
    let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    let mut bytes = [0; 32];
    hex::decode_to_slice(seed, &mut bytes).unwrap();
    let identity = Identity::from_seed(&bytes);
    let expected = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    assert_eq!(hex::encode(identity.public().as_bytes()), expected);
    let signature = "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b\
                     d25bf5f0595bbe24655141438e7a100b";
    assert_eq!(hex::encode(identity.sign_raw(b"").0), signature);
}

#[test]
fn weak_and_malformed_keys_are_refused() {
    let mut identity_point = [0; 32];
    identity_point[0] = 1;
    // Order 1, order 4 (y = 0), and y = p + 1 (not canonical).
    let mut over = [0xff; 32];
    over[0] = 0xee;
    over[31] = 0x7f;
    for bytes in [identity_point, [0; 32], over] {
        assert!(PublicKey::from_bytes(&bytes).is_err(), "{}", hex::encode(bytes));
    }
    assert!(PublicKey::from_slice(&[1; 31]).is_err());
}

#[test]
fn signature_is_bound_to_its_context_and_parts() {
    let identity = Identity::generate().unwrap();
    let key = identity.public();
    let signature = identity.sign("a", &[b"one", b"two"]);
    key.verify("a", &[b"one", b"two"], &signature).unwrap();
    let others: [(&'static str, Vec<&[u8]>); 5] = [
        ("b", vec![b"one", b"two"]),
        ("a", vec![b"onetwo"]),
        ("a", vec![b"on", b"etwo"]),
        ("a", vec![b"one", b"two", b""]),
        ("a", vec![b"two", b"one"]),
    ];
    for (context, parts) in others {
        assert!(key.verify(context, &parts, &signature).is_err(), "{context} {parts:?}");
    }
    assert!(Identity::generate().unwrap().public().verify("a", &[b"one", b"two"], &signature).is_err());
}

#[test]
fn every_flipped_bit_of_a_signature_is_refused() {
    let identity = Identity::from_seed(&[3; 32]);
    let signature = identity.sign("test", &[b"message"]);
    for bit in 0..512 {
        let mut changed = signature;
        changed.0[bit / 8] ^= 1 << (bit % 8);
        assert!(identity.public().verify("test", &[b"message"], &changed).is_err(), "bit {bit}");
    }
}

#[test]
fn token_round_trips_and_debug_hides_the_secret() {
    let token = token();
    let text = token.to_text();
    let parsed = Token::parse(&format!("  {}\n", *text)).unwrap();
    assert_eq!((parsed.role, parsed.name.as_str(), parsed.expires_ms), (Role::Hospital, "north", 5_000));
    assert_eq!(parsed.engine_url, "https://engine.example:8443");
    assert_eq!(parsed.ca, token.ca);
    assert!(parsed.hash().ct_eq(&token.hash()));
    let key = Identity::generate().unwrap().public();
    assert!(parsed.claim(key).hash().ct_eq(&token.hash()));
    assert!(parsed.is_valid_at(5_000) && !parsed.is_valid_at(5_001));
    let secret = hex::encode(*token.claim(key).secret);
    assert!(!format!("{token:?}").contains(&secret));
}

#[test]
fn token_hash_is_bound_to_name_and_role() {
    let token = token();
    let key = Identity::generate().unwrap().public();
    let mut claim = token.claim(key);
    claim.name = "south".into();
    assert!(!claim.hash().ct_eq(&token.hash()));
    let mut claim = token.claim(key);
    claim.role = Role::Operator;
    assert!(!claim.hash().ct_eq(&token.hash()));
}

#[test]
fn token_of_the_engine_or_without_tls_is_refused() {
    let ca = authority().certificate().clone();
    assert!(Token::create("https://e", Role::Engine, "north", 1, ca.clone()).is_err());
    assert!(Token::create("http://e", Role::Hospital, "north", 1, ca).is_err());
}

#[test]
fn sealed_value_opens_in_its_place_only() {
    let key = SealKey::from_bytes(Zeroizing::new([1; 32]));
    let here = SealContext { table: "once", row: "r1", column: "value" };
    let sealed = key.seal(here, b"share").unwrap();
    assert_eq!(&**key.open(here, &sealed).unwrap(), b"share");
    assert_ne!(sealed, key.seal(here, b"share").unwrap(), "a nonce is never used again");
    let elsewhere = [
        SealContext { table: "twice", ..here },
        SealContext { row: "r2", ..here },
        SealContext { column: "other", ..here },
        SealContext { table: "oncer", row: "1", column: "value" },
    ];
    for place in elsewhere {
        assert!(matches!(key.open(place, &sealed), Err(IdentityError::Sealed { .. })), "{place:?}");
    }
    assert!(SealKey::from_bytes(Zeroizing::new([2; 32])).open(here, &sealed).is_err());
}

#[test]
fn seal_key_file_is_created_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys/seal.key");
    let here = SealContext { table: "t", row: "r", column: "c" };
    let sealed = SealKey::load_or_create(&path).unwrap().seal(here, b"x").unwrap();
    assert_eq!(&**SealKey::load_or_create(&path).unwrap().open(here, &sealed).unwrap(), b"x");
    assert!(SealKey::from_hex("abcd", "WARD_SEAL_KEY").unwrap_err().to_string().contains("WARD_SEAL_KEY"));
}

#[test]
fn canonical_bytes_separate_their_parts() {
    let of = |parts: &[&str]| parts.iter().fold(Canonical::new("d"), |c, p| c.text(p)).digest();
    assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
    assert_ne!(of(&["ab"]), of(&["ab", ""]));
    let optional = |o| Canonical::new("d").optional(o).digest();
    assert_ne!(optional(None), optional(Some("")));
    assert_ne!(Canonical::new("d").digest(), Canonical::new("e").digest());
}

#[test]
fn certificates_work_at_the_present() {
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let ca = CertificateAuthority::create("c", now_s).unwrap();
    let key = Identity::generate().unwrap().public();
    let issued = ca.issue(&key, Role::Hospital, "n", now_s, 90).unwrap();
    ca.certificate().verify(&issued.der, now_s as i64).unwrap();
}

fn issued() -> (CertificateAuthority, Vec<u8>) {
    let ca = authority();
    let key = Identity::from_seed(&[9; 32]).public();
    let der = ca.issue(&key, Role::Hospital, "north", NOW_S, 365).unwrap().der;
    (ca, der)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn changed_certificate_is_refused(at in any::<prop::sample::Index>(), flip in 1..=255u8) {
        let (ca, mut der) = issued();
        let at = at.index(der.len());
        der[at] ^= flip;
        prop_assert!(ca.certificate().verify(&der, NOW_S as i64).is_err());
    }

    #[test]
    fn random_bytes_are_no_certificate(der in prop::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(Member::from_certificate(&der).is_err());
        prop_assert!(CaCertificate::from_der(&der).is_err());
    }

    #[test]
    fn random_text_is_no_token(text in ".{0,200}") {
        prop_assert!(Token::parse(&text).is_err());
        let prefixed = format!("ward-enrol-1.{text}");
        prop_assert!(Token::parse(&prefixed).is_err());
    }

    #[test]
    fn changed_token_parses_to_another_or_not_at_all(at in 13usize..700, byte in 0x21..0x7fu8) {
        let token = token();
        let text = token.to_text();
        let mut bytes = text.as_bytes().to_vec();
        let at = at % bytes.len();
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        if let Ok(parsed) = Token::parse(std::str::from_utf8(&bytes).unwrap()) {
            // Address and expiry are not secrets that the hash covers; what it covers must have changed with it.
            let same = parsed.hash().ct_eq(&token.hash())
                && parsed.expires_ms == token.expires_ms
                && parsed.engine_url == token.engine_url;
            prop_assert!(!same);
        }
    }

    #[test]
    fn token_cut_short_is_refused(length in any::<prop::sample::Index>()) {
        let text = token().to_text();
        let length = length.index(text.len());
        prop_assert!(Token::parse(&text[..length]).is_err());
    }

    #[test]
    fn sealed_round_trips_and_changes_are_refused(
        plain in prop::collection::vec(any::<u8>(), 0..200),
        at in any::<prop::sample::Index>(),
        flip in 1..=255u8,
    ) {
        let key = SealKey::from_bytes(Zeroizing::new([5; 32]));
        let here = SealContext { table: "t", row: "r", column: "c" };
        let mut sealed = key.seal(here, &plain).unwrap();
        prop_assert_eq!(&**key.open(here, &sealed).unwrap(), &plain[..]);
        let at = at.index(sealed.len());
        prop_assert!(key.open(here, &sealed[..at]).is_err());
        sealed[at] ^= flip;
        prop_assert!(key.open(here, &sealed).is_err());
    }

    #[test]
    fn random_bytes_are_no_sealed_value(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let key = SealKey::from_bytes(Zeroizing::new([5; 32]));
        let here = SealContext { table: "t", row: "r", column: "c" };
        prop_assert!(key.open(here, &bytes).is_err());
    }

    #[test]
    fn digest_text_round_trips(bytes in any::<[u8; 32]>()) {
        let digest = Digest(bytes);
        prop_assert_eq!(Digest::parse(&digest.to_string()), Some(digest));
        let json = serde_json::to_string(&digest).unwrap();
        prop_assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), digest);
    }
}
