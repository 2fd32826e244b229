//! The signature checks of `jsonwebtoken`, over ring: RS256, PS256, ES256, ES384 and EdDSA (Ed25519), verifying only.
//!
//! A key and an algorithm of different families never meet: each algorithm reads the one kind of key it is for, and
//! anything else (HMAC with a public key as the secret above all) is refused before a byte is compared.

use ::ring::signature as ring;
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::signature::{self, Verifier};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, EncodingKey};

/// Algorithms that are verified here.
pub const ALGORITHMS: [Algorithm; 5] =
    [Algorithm::EdDSA, Algorithm::ES256, Algorithm::ES384, Algorithm::PS256, Algorithm::RS256];

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: signer,
    verifier_factory: verifier,
    // Of keys only what a JWK says is read; nothing here derives one from another.
    key_utils: KeyUtils::new_unimplemented(),
};

/// Puts the checks in place, once for the process.
pub fn install() {
    // The second call finds the first one's: there is one provider in this program.
    let _ = PROVIDER.install_default();
}

fn signer(_: &Algorithm, _: &EncodingKey) -> Result<Box<dyn JwtSigner>, Error> {
    Err(ErrorKind::UnsupportedAlgorithm.into())
}

enum Key {
    /// An encoded point, or 32 bytes of Ed25519.
    Plain(&'static dyn ring::VerificationAlgorithm, Vec<u8>),
    /// Modulus and exponent.
    Rsa(&'static ring::RsaParameters, Vec<u8>, Vec<u8>),
}

struct RingVerifier {
    algorithm: Algorithm,
    key: Key,
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    let confused = || Error::from(ErrorKind::InvalidKeyFormat);
    let plain = |check: &'static dyn ring::VerificationAlgorithm, family, bytes: usize| match key.kind() {
        DecodingKeyKind::SecretOrDer(point) if key.family() == family && point.len() == bytes => {
            Ok(Key::Plain(check, point.clone()))
        }
        _ => Err(confused()),
    };
    let rsa = |parameters| match key.kind() {
        DecodingKeyKind::RsaModulusExponent { n, e } if key.family() == AlgorithmFamily::Rsa => {
            Ok(Key::Rsa(parameters, n.clone(), e.clone()))
        }
        _ => Err(confused()),
    };
    let key = match algorithm {
        Algorithm::EdDSA => plain(&ring::ED25519, AlgorithmFamily::Ed, 32),
        Algorithm::ES256 => plain(&ring::ECDSA_P256_SHA256_FIXED, AlgorithmFamily::Ec, 65),
        Algorithm::ES384 => plain(&ring::ECDSA_P384_SHA384_FIXED, AlgorithmFamily::Ec, 97),
        // Moduli of 2048 bits and more.
        Algorithm::PS256 => rsa(&ring::RSA_PSS_2048_8192_SHA256),
        Algorithm::RS256 => rsa(&ring::RSA_PKCS1_2048_8192_SHA256),
        _ => Err(ErrorKind::UnsupportedAlgorithm.into()),
    }?;
    Ok(Box::new(RingVerifier { algorithm: *algorithm, key }))
}

impl Verifier<Vec<u8>> for RingVerifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        let checked = match &self.key {
            Key::Plain(check, point) => {
                ring::UnparsedPublicKey::new(*check, point).verify(message, signature)
            }
            Key::Rsa(parameters, n, e) => {
                // ring wants integers without leading zeros.
                let (n, e) = (trimmed(n), trimmed(e));
                ring::RsaPublicKeyComponents { n, e }.verify(parameters, message, signature)
            }
        };
        checked.map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for RingVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

fn trimmed(integer: &[u8]) -> &[u8] {
    let zeros = integer.iter().take_while(|byte| **byte == 0).count();
    &integer[zeros..]
}
