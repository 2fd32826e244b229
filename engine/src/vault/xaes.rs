//! XAES-256-GCM: AES-256-GCM with a key derived for every message from a 192-bit nonce.
//!
//! Source: C2SP, XAES-256-GCM (<https://c2sp.org/XAES-256-GCM>): the first 96 bits of the nonce derive a key by the counter
//! mode of NIST SP 800-108r1, section 4.1, over CMAC-AES-256; the last 96 bits are the nonce of AES-256-GCM (SP 800-38D)
//! under that key. No deviation.
//!
//! # Security
//! SP 800-38D, section 8.3, allows 2^32 messages under one key with random 96-bit nonces. Here a key and a nonce meet again
//! with probability 2^-32 only after 2^80 messages under one data key: no data key of a patient comes near it, and none
//! is counted. One message is at most 2^36 - 32 bytes (SP 800-38D, section 5.2.1.1); Ward seals far less.

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::aes::Aes256;
use aes_gcm::aes::cipher::consts::U12;
use aes_gcm::aes::cipher::{Array, BlockCipherEncrypt};
use zeroize::Zeroizing;

/// Bytes of a nonce.
pub const NONCE_BYTES: usize = 24;
/// Bytes that a sealed message is longer than its plain text: the tag.
pub const TAG_BYTES: usize = 16;

/// The key of one message: of its nonce's first half. Who has it opens messages with that half, and no other message.
#[must_use]
pub fn message_key(key: &[u8; 32], nonce: &[u8; NONCE_BYTES]) -> Zeroizing<[u8; 32]> {
    let cipher = Aes256::new(key.into());
    let encrypt = |block: [u8; 16]| -> Zeroizing<[u8; 16]> {
        let mut block = Array::from(block);
        cipher.encrypt_block(&mut block);
        Zeroizing::new(block.into())
    };
    // K1 of CMAC (SP 800-38B, section 6.1): L shifted left by a bit, reduced by 0x87 where one falls out.
    let l = u128::from_be_bytes(*encrypt([0; 16]));
    let k1 = (l << 1) ^ if l >> 127 == 1 { 0x87 } else { 0 };
    let mut derived = Zeroizing::new([0; 32]);
    for (half, counter) in derived.chunks_exact_mut(16).zip([1, 2]) {
        let mut message = [0, counter, b'X', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        message[4..].copy_from_slice(&nonce[..12]);
        half.copy_from_slice(&*encrypt((u128::from_be_bytes(message) ^ k1).to_be_bytes()));
    }
    derived
}

/// The nonce under the key of a message.
fn last(nonce: &[u8; NONCE_BYTES]) -> Array<u8, U12> {
    let mut last = [0; 12];
    last.copy_from_slice(&nonce[12..]);
    last.into()
}

/// Seals a message; none when it is too long for the cipher.
#[must_use]
pub fn seal(key: &[u8; 32], nonce: &[u8; NONCE_BYTES], plain: &[u8], associated: &[u8]) -> Option<Vec<u8>> {
    let derived = message_key(key, nonce);
    let payload = Payload { msg: plain, aad: associated };
    Aes256Gcm::new((&*derived).into()).encrypt(&last(nonce), payload).ok()
}

/// Opens a message; none for another key, other associated data, or changed bytes.
#[must_use]
pub fn open(
    key: &[u8; 32],
    nonce: &[u8; NONCE_BYTES],
    sealed: &[u8],
    associated: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    open_message(&message_key(key, nonce), nonce, sealed, associated)
}

/// Opens a message with its own key ([`message_key`]); none for another key, nonce or associated data, or changed bytes.
#[must_use]
pub fn open_message(
    message_key: &[u8; 32],
    nonce: &[u8; NONCE_BYTES],
    sealed: &[u8],
    associated: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let payload = Payload { msg: sealed, aad: associated };
    let opened = Aes256Gcm::new(message_key.into()).decrypt(&last(nonce), payload);
    opened.ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The two vectors of the specification.
    #[test]
    fn known_answers_of_the_specification() {
        let nonce = b"ABCDEFGHIJKLMNOPQRSTUVWX";
        let sealed = seal(&[1; 32], nonce, b"XAES-256-GCM", b"").unwrap();
        assert_eq!(hex::encode(&sealed), "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271");
        let sealed = seal(&[3; 32], nonce, b"XAES-256-GCM", b"c2sp.org/XAES-256-GCM").unwrap();
        assert_eq!(hex::encode(&sealed), "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d");
        assert_eq!(*open(&[3; 32], nonce, &sealed, b"c2sp.org/XAES-256-GCM").unwrap(), b"XAES-256-GCM");
    }

    #[test]
    fn another_key_nonce_or_associated_data_does_not_open() {
        let nonce = [5; NONCE_BYTES];
        let sealed = seal(&[1; 32], &nonce, b"text", b"place").unwrap();
        assert_eq!(sealed.len(), 4 + TAG_BYTES);
        assert!(open(&[2; 32], &nonce, &sealed, b"place").is_none());
        assert!(open(&[1; 32], &nonce, &sealed, b"elsewhere").is_none());
        for at in [0, 11, 12, 23] {
            let mut other = nonce;
            other[at] ^= 1;
            assert!(open(&[1; 32], &other, &sealed, b"place").is_none(), "byte {at} of the nonce counts");
        }
    }
}
