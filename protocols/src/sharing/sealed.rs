//! Sealing under a policy: a message of any content (a data key, mostly) that opens for whoever has the attributes.
//!
//! Source: [`super::fame`] made secure against chosen ciphertexts by Fujisaki and Okamoto's transformation (CRYPTO 1999)
//! in the form of Hofheinz, Hoevelmanns, Kiltz, "A Modular Analysis of the Fujisaki-Okamoto Transformation" (TCC 2017,
//! eprint 2017/604): T (section 3.1), then U with explicit rejection (section 3.2): `K = H(m, c)`. The key encapsulated
//! encrypts the message with ChaCha20-Poly1305 (RFC 8439).
//!
//! ```text
//! m   random, 32 bytes                     s1, s2 = hash to scalars of (authority, policy, about, m)
//! ct, mask = FAME.Encrypt(policy; s1, s2)  c = m xor hash(mask, ct)
//! K   = hash(m, head), where head is everything above, encoded with authority, policy and about
//! body = ChaCha20-Poly1305(K, nonce 0, head as associated data, message)
//! ```
//! Opening finds m, draws s1 and s2 from it, encrypts again and compares every point before it touches the body.
//!
//! # Security
//! Adversary: as for [`super::fame`], who may moreover have any other sealed message opened with any key. Adaptively
//! secure against chosen ciphertexts in the random-oracle model under DLIN. The transformation is written for public-key
//! encryption. Its proof answers a question "open c" from the list of hash queries, by the m that encrypts to c; with
//! several keys nothing changes, as decryption is perfectly correct, so that every key that satisfies the policy opens c
//! to that m, and a key that does not is refused before any secret is used. (The same step for identities: Kitagawa,
//! Yang, Hanaoka, Zhang, Watanabe, Matsuura, Imai, ACISP 2006.) Public are the policy, `about`, the authority and the
//! length. Who sealed is not proved.

use std::collections::{BTreeMap, BTreeSet};

use ark_bls12_381::{Fr, G1Affine};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use rand_core::CryptoRng;
use subtle::ConstantTimeEq;
use ward_math::codec::{Reader, Writer};
use zeroize::Zeroizing;

use super::error::{Result, SharingError};
use super::fame::{self, Ciphertext, MasterKey, PublicKey, UserKey};
use super::group::{Element, Framed, SecretPoint, Target, bytes_of, read_many};
use super::policy::{Attribute, LEAVES_MAX, POLICY_BYTES_MAX, Policy};
use super::span_program::COPIES;

/// Longest message, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// Longest `about`, in bytes.
pub const ABOUT_BYTES_MAX: usize = 4096;
/// Most attributes of a key.
pub const ATTRIBUTES_MAX: usize = 256;

/// First bytes of what is encoded here; the last one is the version.
const SEALED: [u8; 5] = *b"WSHP\x01";
const PUBLIC: [u8; 5] = *b"WSAP\x01";
const MASTER: [u8; 5] = *b"WSAS\x01";
const USER: [u8; 5] = *b"WSAK\x01";

/// A sealed message, decoded: every point of it was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    authority: [u8; 32],
    policy: Policy,
    about: Vec<u8>,
    ciphertext: Ciphertext,
    masked: [u8; 32],
    body: Vec<u8>,
}

pub(super) fn truncated(what: &'static str) -> impl Fn(ward_math::Error) -> SharingError {
    move |_| SharingError::Encoding { what, reason: "too few or too many bytes" }
}

pub(super) fn expect_magic(reader: &mut Reader<'_>, magic: [u8; 5], what: &'static str) -> Result<()> {
    match reader.array::<5>() {
        Ok(found) if found == magic => Ok(()),
        _ => Err(SharingError::Encoding { what, reason: "another kind or version" }),
    }
}

/// ChaCha20-Poly1305 under a key that is used once.
pub(super) fn body_cipher(key: &Zeroizing<[u8; 32]>) -> (ChaCha20Poly1305, Nonce) {
    (ChaCha20Poly1305::new((&**key).into()), Nonce::default())
}

impl PublicKey {
    /// The encoding: magic, `H1`, `H2`, `T1`, `T2`; 1349 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.bytes(&PUBLIC);
        self.h.iter().for_each(|point| point.write(&mut out));
        self.t.iter().for_each(|element| element.write(&mut out));
        out.finish()
    }

    /// Decodes a key.
    ///
    /// # Errors
    /// [`SharingError::Encoding`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        const WHAT: &str = "an authority's public key";
        let mut reader = Reader::new(bytes);
        expect_magic(&mut reader, PUBLIC, WHAT)?;
        let key = Self { h: read_many(&mut reader)?, t: read_many(&mut reader)? };
        reader.finish().map_err(truncated(WHAT))?;
        Ok(key)
    }

    /// By which an authority is known: a hash of the key.
    #[must_use]
    pub fn id(&self) -> [u8; 32] {
        *Framed::new("authority id").field(&self.to_bytes()).key()
    }
}

impl MasterKey {
    /// The encoding: magic, `a1`, `a2`, `b1`, `b2`, `g^d1`, `g^d2`, `g^d3`; 277 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Writer::with_capacity(277);
        out.bytes(&MASTER);
        self.a.iter().chain(&self.b).for_each(|scalar| scalar.write(&mut out));
        self.g_d.iter().for_each(|point| point.0.write(&mut out));
        Zeroizing::new(out.finish())
    }

    /// Decodes a key.
    ///
    /// # Errors
    /// [`SharingError::Encoding`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        const WHAT: &str = "an authority's secret key";
        let mut reader = Reader::new(bytes);
        expect_magic(&mut reader, MASTER, WHAT)?;
        let a = read_many::<Fr, 2>(&mut reader)?.map(Zeroizing::new);
        let b = read_many::<Fr, 2>(&mut reader)?.map(Zeroizing::new);
        let g_d = read_many(&mut reader)?.map(SecretPoint);
        reader.finish().map_err(truncated(WHAT))?;
        Ok(Self { a, b, g_d })
    }
}

impl UserKey {
    /// The encoding: magic, `sk0`, `sk'`, the number of attributes, then of each its name and the points of its copies.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Writer::with_capacity(1024 + self.sk.len() * (128 + COPIES * 144));
        out.bytes(&USER);
        self.sk0.iter().for_each(|point| point.0.write(&mut out));
        self.sk_prime.iter().for_each(|point| point.0.write(&mut out));
        out.u32(self.sk.len() as u32);
        for (attribute, copies) in &self.sk {
            write_text(&mut out, attribute.as_str().as_bytes());
            copies.iter().flatten().for_each(|point| point.0.write(&mut out));
        }
        Zeroizing::new(out.finish())
    }

    /// Decodes a key.
    ///
    /// # Errors
    /// [`SharingError::Encoding`], [`SharingError::Policy`] for an attribute that is none.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        const WHAT: &str = "a holder's key";
        let wrong = |reason| SharingError::Encoding { what: WHAT, reason };
        let mut reader = Reader::new(bytes);
        expect_magic(&mut reader, USER, WHAT)?;
        let sk0 = read_many(&mut reader)?.map(SecretPoint);
        let sk_prime = read_many(&mut reader)?.map(SecretPoint);
        let count = reader.count(ATTRIBUTES_MAX as u32).map_err(truncated(WHAT))?;
        let mut sk = BTreeMap::new();
        for _ in 0..count {
            let attribute = Attribute::new(read_text(&mut reader, WHAT)?)?;
            if sk.last_key_value().is_some_and(|(last, _)| *last >= attribute) {
                return Err(wrong("attributes out of order"));
            }
            let copies = (0..COPIES)
                .map(|_| Ok(read_many::<G1Affine, 3>(&mut reader)?.map(SecretPoint)))
                .collect::<Result<Vec<_>>>()?;
            let copies: [[SecretPoint<G1Affine>; 3]; COPIES] =
                copies.try_into().map_err(|_| wrong("too few points"))?;
            sk.insert(attribute, copies);
        }
        reader.finish().map_err(truncated(WHAT))?;
        Ok(Self { sk0, sk, sk_prime })
    }

    /// By which the key is known, to its authority and in a trail: a hash of `sk0`, which opens nothing.
    #[must_use]
    pub fn id(&self) -> [u8; 32] {
        let hash =
            self.sk0.iter().fold(Framed::new("user key id"), |hash, point| hash.field(&bytes_of(&point.0)));
        *hash.key()
    }
}

pub(super) fn write_text(out: &mut Writer, text: &[u8]) {
    out.u32(text.len() as u32);
    out.bytes(text);
}

fn read_text<'a>(reader: &mut Reader<'a>, what: &'static str) -> Result<&'a str> {
    let bytes = read_bytes(reader, POLICY_BYTES_MAX, what)?;
    core::str::from_utf8(bytes).map_err(|_| SharingError::Encoding { what, reason: "no text" })
}

pub(super) fn read_bytes<'a>(reader: &mut Reader<'a>, limit: usize, what: &'static str) -> Result<&'a [u8]> {
    let count = reader.count(limit as u32).map_err(truncated(what))?;
    reader.bytes(count).map_err(truncated(what))
}

/// Refuses more than a limit.
pub(super) fn check_limit(what: &'static str, count: usize, limit: usize) -> Result<()> {
    if count > limit { Err(SharingError::Limit { what, count, limit }) } else { Ok(()) }
}

/// Issues a key, as [`fame::issue`].
///
/// # Errors
/// [`SharingError::Limit`] for too many attributes.
pub fn issue<R: CryptoRng + ?Sized>(
    master: &MasterKey,
    attributes: &BTreeSet<Attribute>,
    rng: &mut R,
) -> Result<UserKey> {
    check_limit("attributes of a key", attributes.len(), ATTRIBUTES_MAX)?;
    fame::issue(master, attributes, rng)
}

/// Seals a message. `about` is public and bound: what it is, of whom.
///
/// # Errors
/// [`SharingError::Limit`] for a message, an `about` or a policy that is too long.
pub fn seal<R: CryptoRng + ?Sized>(
    public: &PublicKey,
    policy: &Policy,
    about: &[u8],
    message: &[u8],
    rng: &mut R,
) -> Result<Sealed> {
    check_limit("bytes of a sealed message", message.len(), MESSAGE_BYTES_MAX)?;
    check_limit("bytes said about a sealed message", about.len(), ABOUT_BYTES_MAX)?;
    check_limit("attributes of a policy", policy.leaves().len(), LEAVES_MAX)?;
    let mut m = Zeroizing::new([0; 32]);
    rng.fill_bytes(&mut *m);
    let mut sealed = encapsulate(public, policy, about, &m)?;
    let head = sealed.head();
    let (cipher, nonce) = body_cipher(&message_key(&m, &head));
    let payload = Payload { msg: message, aad: &head };
    sealed.body = cipher.encrypt(&nonce, payload).map_err(|_| SharingError::Changed)?;
    Ok(sealed)
}

/// Everything but the body; a function of its arguments.
fn encapsulate(public: &PublicKey, policy: &Policy, about: &[u8], m: &[u8; 32]) -> Result<Sealed> {
    let authority = public.id();
    let spelled = policy.to_string();
    check_limit("bytes of a policy", spelled.len(), POLICY_BYTES_MAX)?;
    let coin = |which: &[u8]| {
        Framed::new("coin")
            .field(which)
            .field(&authority)
            .field(spelled.as_bytes())
            .field(about)
            .field(m)
            .scalar()
    };
    let (ciphertext, mask) = fame::encrypt(public, policy, &[coin(b"s1"), coin(b"s2")])?;
    let mut masked = *pad(&mask, &ciphertext);
    masked.iter_mut().zip(m).for_each(|(out, byte)| *out ^= byte);
    Ok(Sealed {
        authority,
        policy: policy.clone(),
        about: about.to_vec(),
        ciphertext,
        masked,
        body: Vec::new(),
    })
}

fn pad(mask: &Target, ciphertext: &Ciphertext) -> Zeroizing<[u8; 32]> {
    let bytes = Zeroizing::new(bytes_of(mask));
    Framed::new("pad").field(&bytes).field(&ciphertext.to_bytes()).key()
}

fn message_key(m: &[u8; 32], head: &[u8]) -> Zeroizing<[u8; 32]> {
    Framed::new("message key").field(m).field(head).key()
}

impl Ciphertext {
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(288 + 144 * self.rows.len());
        self.ct0.iter().for_each(|point| point.write(&mut out));
        self.rows.iter().flatten().for_each(|point| point.write(&mut out));
        out.finish()
    }
}

impl Sealed {
    /// Opens it.
    ///
    /// # Errors
    /// [`SharingError::Authority`], [`SharingError::Lacks`] naming the fewest attributes that are missing,
    /// [`SharingError::Changed`].
    pub fn open(&self, public: &PublicKey, key: &UserKey) -> Result<Zeroizing<Vec<u8>>> {
        if self.authority != public.id() {
            return Err(SharingError::Authority);
        }
        let mask = Zeroizing::new(fame::decrypt(key, &self.policy, &self.ciphertext)?);
        let mut m = pad(&mask, &self.ciphertext);
        m.iter_mut().zip(&self.masked).for_each(|(out, byte)| *out ^= byte);
        let again = encapsulate(public, &self.policy, &self.about, &m)?;
        let head = self.head();
        if !bool::from(again.head().ct_eq(&head)) {
            return Err(SharingError::Changed);
        }
        let (cipher, nonce) = body_cipher(&message_key(&m, &head));
        let payload = Payload { msg: &self.body, aad: &head };
        cipher.decrypt(&nonce, payload).map(Zeroizing::new).map_err(|_| SharingError::Changed)
    }

    /// Who may open it.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What was said about it.
    #[must_use]
    pub fn about(&self) -> &[u8] {
        &self.about
    }

    /// The authority under which it was sealed.
    #[must_use]
    pub fn authority(&self) -> &[u8; 32] {
        &self.authority
    }

    /// Everything before the body.
    fn head(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.bytes(&SEALED);
        out.bytes(&self.authority);
        write_text(&mut out, self.policy.to_string().as_bytes());
        write_text(&mut out, &self.about);
        out.bytes(&self.ciphertext.to_bytes());
        out.bytes(&self.masked);
        out.finish()
    }

    /// The encoding: magic, authority, policy and `about` behind their lengths, `ct0`, the rows, the masked `m`, the body
    /// behind its length.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.bytes(&self.head());
        write_text(&mut out, &self.body);
        out.finish()
    }

    /// Decodes a sealed message and checks every point.
    ///
    /// # Errors
    /// [`SharingError::Encoding`], [`SharingError::Policy`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        const WHAT: &str = "a sealed message";
        let mut reader = Reader::new(bytes);
        expect_magic(&mut reader, SEALED, WHAT)?;
        let authority = reader.array().map_err(truncated(WHAT))?;
        let spelled = read_text(&mut reader, WHAT)?;
        let policy: Policy = spelled.parse()?;
        if policy.to_string() != spelled {
            return Err(SharingError::Encoding {
                what: WHAT,
                reason: "a policy not in its canonical spelling",
            });
        }
        let about = read_bytes(&mut reader, ABOUT_BYTES_MAX, WHAT)?.to_vec();
        let ct0 = read_many(&mut reader)?;
        let rows = (0..policy.leaves().len())
            .map(|_| read_many(&mut reader))
            .collect::<Result<Vec<[G1Affine; 3]>>>()?;
        let masked = reader.array().map_err(truncated(WHAT))?;
        let body = read_bytes(&mut reader, MESSAGE_BYTES_MAX + 16, WHAT)?.to_vec();
        reader.finish().map_err(truncated(WHAT))?;
        Ok(Self { authority, policy, about, ciphertext: Ciphertext { ct0, rows }, masked, body })
    }
}
