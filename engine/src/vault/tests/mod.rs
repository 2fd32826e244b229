//! Every provider does the same (the token behind PKCS#11: `tests/it/vault.rs`); values open in their place only.

mod service;

use proptest::prelude::*;
use zeroize::Zeroizing;

use super::*;
use crate::consent::Pseudonym;
use crate::identity::{SealContext, SealKey};

fn name(patient: u8, class: &str) -> KeyName {
    KeyName::new(Pseudonym([patient; 32]), class).unwrap()
}

fn by_seal_key(folder: &std::path::Path, seal: u8) -> FileProvider {
    FileProvider::new(folder, Lock::Seal(SealKey::from_bytes(Zeroizing::new([seal; 32]))))
}

fn by_passphrase(folder: &std::path::Path, passphrase: &str) -> FileProvider {
    FileProvider::new(folder, Lock::Passphrase(Zeroizing::new(passphrase.to_owned())))
}

/// What every provider holds to.
fn holds_to_its_trait(provider: &dyn KeyProvider) {
    let names = [name(1, "labs"), name(1, "imaging"), name(2, "labs")];
    let keys: Vec<DataKey> = names.iter().map(|_| DataKey::generate().unwrap()).collect();
    let named: Vec<_> = names.iter().zip(&keys).collect();
    let wrapped = provider.wrap(&named).unwrap();
    assert!(wrapped.iter().all(|w| w.version == 1 && w.bytes.len() <= WRAPPED_BYTES_MAX));
    let with_names: Vec<_> = names.iter().zip(&wrapped).collect();
    let opened = provider.unwrap(&with_names).unwrap();
    assert!(opened.iter().zip(&keys).all(|(opened, key)| opened.ct_eq(key)));

    // Another patient's, another class's, or changed: refused.
    for (name, wrapped) in [(&names[2], &wrapped[0]), (&names[1], &wrapped[0])] {
        let refused = provider.unwrap(&[(name, wrapped)]).unwrap_err();
        assert!(matches!(refused, VaultError::Unwrap { version: 1, .. }), "{refused:?}");
    }
    let mut changed = wrapped[0].clone();
    let at = changed.bytes.len() - 6;
    changed.bytes[at] = if changed.bytes[at] == b'A' { b'B' } else { b'A' };
    assert!(matches!(provider.unwrap(&[(&names[0], &changed)]), Err(VaultError::Unwrap { .. })));

    // A rotation: old ones open until they are retired, and a name stays bound.
    assert_eq!(provider.rotate().unwrap(), 2);
    assert_eq!(provider.current().unwrap(), 2);
    let again = provider.rewrap(&with_names).unwrap();
    assert!(again.iter().all(|w| w.version == 2));
    assert!(provider.unwrap(&with_names).is_ok());
    provider.retire(2).unwrap();
    let refused = provider.unwrap(&with_names).unwrap_err();
    assert_eq!(refused, VaultError::Version { version: 1 });
    let with_names: Vec<_> = names.iter().zip(&again).collect();
    let opened = provider.unwrap(&with_names).unwrap();
    assert!(opened.iter().zip(&keys).all(|(opened, key)| opened.ct_eq(key)));
    assert!(matches!(provider.unwrap(&[(&names[0], &again[1])]), Err(VaultError::Unwrap { .. })));
    // The newest is never destroyed.
    provider.retire(9).unwrap();
    assert_eq!(provider.current().unwrap(), 2);
}

#[test]
fn a_file_under_the_seal_key_wraps_rotates_and_retires() {
    let folder = tempfile::tempdir().unwrap();
    holds_to_its_trait(&by_seal_key(folder.path(), 1));
    // Another process sees the same; under another seal key nothing opens.
    assert_eq!(by_seal_key(folder.path(), 1).current().unwrap(), 2);
    let key = DataKey::generate().unwrap();
    let other = by_seal_key(folder.path(), 2).wrap(&[(&name(1, "labs"), &key)]).unwrap_err();
    assert_eq!(other.code(), "vault.settings");
}

#[test]
fn a_file_under_a_passphrase_opens_with_it_alone() {
    let folder = tempfile::tempdir().unwrap();
    holds_to_its_trait(&by_passphrase(folder.path(), "correct horse battery"));
    let key = DataKey::generate().unwrap();
    let named = [(&name(1, "labs"), &key)];
    assert!(by_passphrase(folder.path(), "correct horse battery").wrap(&named).is_ok());
    for other in [by_passphrase(folder.path(), "correct horse"), by_seal_key(folder.path(), 1)] {
        assert_eq!(other.wrap(&named).unwrap_err().code(), "vault.settings");
    }
    let mode = std::os::unix::fs::MetadataExt::mode(&folder.path().join(KEK_FILE).metadata().unwrap());
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn the_transit_engine_wraps_rotates_and_retires() {
    let service = service::Transit::start("s.token");
    holds_to_its_trait(&service.provider("s.token"));
    let named = [(&name(1, "labs"), &DataKey::generate().unwrap())];
    let refused = service.provider("s.other").wrap(&named).unwrap_err();
    assert!(
        matches!(&refused, VaultError::Provider { reason, .. } if reason.contains("permission")),
        "{refused}"
    );
    assert!(!refused.to_string().contains("s.other"), "a token is in no message");
}

#[test]
fn the_transit_engine_is_reached_by_tls_or_on_this_machine() {
    let settings = |address: &str, key: &str| TransitSettings {
        address: address.to_owned(),
        mount: "transit".to_owned(),
        key: key.to_owned(),
        token: Secret::Env("X".to_owned()),
        namespace: None,
    };
    assert!(TransitProvider::new(settings("https://vault.example:8200", "ward")).is_ok());
    assert!(TransitProvider::new(settings("http://127.0.0.1:8200", "ward")).is_ok());
    for (address, key) in [
        ("http://vault.example:8200", "ward"),
        ("ftp://localhost", "ward"),
        ("https://v", "a/../b"),
        ("x", "ward"),
    ] {
        assert_eq!(TransitProvider::new(settings(address, key)).err().unwrap().code(), "vault.settings");
    }
}

#[test]
fn a_class_without_name_has_no_key() {
    assert_eq!(KeyName::new(Pseudonym([1; 32]), "").unwrap_err(), VaultError::Class);
    assert_eq!(KeyName::new(Pseudonym([1; 32]), &"c".repeat(129)).unwrap_err(), VaultError::Class);
}

/// Computed with Python's hmac over the canonical bytes.
#[test]
fn a_blinded_digest_is_known_and_differs_by_key_and_domain() {
    let key = DataKey::from_bytes(Zeroizing::new([7; 32]));
    let found = key.blind("document/1", b"text");
    assert_eq!(found.to_string(), "8e82f57da27c870dc86ee5f8fa110d485df60c267ed73391eae8562a291b225b");
    assert_ne!(key.blind("document/2", b"text"), found);
    assert_ne!(DataKey::from_bytes(Zeroizing::new([8; 32])).blind("document/1", b"text"), found);
}

proptest! {
    #[test]
    fn a_value_opens_in_its_place_under_its_key_alone(
        plain in proptest::collection::vec(any::<u8>(), 0..300),
        places in proptest::collection::vec("[a-c]{0,3}", 6..=6),
        flip in any::<prop::sample::Index>(),
    ) {
        let (key, other) = (DataKey::generate().unwrap(), DataKey::generate().unwrap());
        let place = |at: usize| SealContext { table: &places[at], row: &places[at + 1], column: &places[at + 2] };
        let sealed = key.seal(place(0), &plain).unwrap();
        prop_assert_eq!(&*key.open(place(0), &sealed).unwrap(), &plain);
        prop_assert!(other.open(place(0), &sealed).is_err());
        if places[..3] != places[3..] {
            prop_assert!(key.open(place(3), &sealed).is_err());
        }
        prop_assert_ne!(key.seal(place(0), &plain).unwrap(), sealed.clone());
        let mut changed = sealed.clone();
        changed[flip.index(sealed.len())] ^= 1;
        prop_assert!(key.open(place(0), &changed).is_err());
        prop_assert!(key.open(place(0), &sealed[..flip.index(sealed.len())]).is_err());
    }
}
