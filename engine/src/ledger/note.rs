//! Signed notes and checkpoints, exactly as C2SP writes them (c2sp.org/signed-note, c2sp.org/tlog-checkpoint).
//!
//! A note is a text ending in a newline, an empty line, and signature lines `— <name> <base64(key id || sig)>`.
//! Reading is strict: limits, no control characters, canonical base64, no other bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::LedgerError;
use super::merkle::TreeHead;
use crate::identity::{Digest, Identity, PublicKey, Signature};

/// Longest note read, in bytes.
pub const NOTE_BYTES_MAX: usize = 64 * 1024;
/// Most signature lines read.
pub const NOTE_SIGNATURES_MAX: usize = 64;
const LINE_START: &str = "\u{2014} ";
/// Signature type of a log's Ed25519 key.
pub(super) const TYPE_ED25519: u8 = 1;

/// A note whose signatures are not checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

/// A signature line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteSignature {
    /// Name of the key.
    pub name: String,
    /// First four bytes of SHA-256(name || 0x0A || type || key).
    pub key_id: [u8; 4],
    /// What follows the key id: its form depends on the type.
    pub bytes: Vec<u8>,
}

fn malformed(reason: &'static str) -> LedgerError {
    LedgerError::Note { reason }
}

/// The key id of a name, signature type and key.
pub(super) fn key_id(name: &str, kind: u8, key: &PublicKey) -> [u8; 4] {
    let hash = Sha256::new()
        .chain_update(name.as_bytes())
        .chain_update([b'\n', kind])
        .chain_update(key.as_bytes())
        .finalize();
    [hash[0], hash[1], hash[2], hash[3]]
}

fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+')
}

impl NoteSignature {
    /// Signs a note's text as its log (Ed25519, type 1).
    ///
    /// # Errors
    /// [`LedgerError::Note`] when the name is no key name.
    pub fn sign(name: &str, text: &str, identity: &Identity) -> Result<Self, LedgerError> {
        if !is_key_name(name) {
            return Err(malformed("a key name is empty, or has a space or a plus"));
        }
        let key_id = key_id(name, TYPE_ED25519, &identity.public());
        let bytes = identity.sign_raw(text.as_bytes()).0.to_vec();
        Ok(Self { name: name.to_owned(), key_id, bytes })
    }

    /// Reads one line, without its newline.
    ///
    /// # Errors
    /// [`LedgerError::Note`].
    pub fn parse(line: &str) -> Result<Self, LedgerError> {
        let fields = line.strip_prefix(LINE_START).and_then(|rest| rest.split_once(' '));
        let (name, encoded) = fields.ok_or(malformed("a signature line has another form"))?;
        if !is_key_name(name) {
            return Err(malformed("a key name is empty, or has a space or a plus"));
        }
        let bytes = STANDARD.decode(encoded).map_err(|_| malformed("a signature is not base64"))?;
        match bytes.split_first_chunk::<4>() {
            Some((key_id, rest)) if !rest.is_empty() => {
                Ok(Self { name: name.to_owned(), key_id: *key_id, bytes: rest.to_vec() })
            }
            _ => Err(malformed("a signature is too short")),
        }
    }

    /// The line, without its newline.
    #[must_use]
    pub fn to_line(&self) -> String {
        let bytes = [&self.key_id[..], &self.bytes].concat();
        format!("{LINE_START}{} {}", self.name, STANDARD.encode(bytes))
    }
}

impl Note {
    /// A note without signatures.
    ///
    /// # Errors
    /// [`LedgerError::Note`] unless the text ends in a newline and has no control character.
    pub fn new(text: String) -> Result<Self, LedgerError> {
        if text.len() > NOTE_BYTES_MAX || !text.ends_with('\n') {
            return Err(malformed("the text is too long or does not end in a newline"));
        }
        if text.bytes().any(|b| b < 0x20 && b != b'\n') {
            return Err(malformed("a control character"));
        }
        Ok(Self { text, signatures: Vec::new() })
    }

    /// Reads a note.
    ///
    /// # Errors
    /// [`LedgerError::Note`] naming what is malformed.
    pub fn parse(note: &str) -> Result<Self, LedgerError> {
        if note.len() > NOTE_BYTES_MAX {
            return Err(malformed("too long"));
        }
        let at = note.rfind("\n\n").ok_or(malformed("no empty line before the signatures"))?;
        let mut parsed = Self::new(note[..=at].to_owned())?;
        let lines = note[at + 2..].strip_suffix('\n').ok_or(malformed("it does not end in a newline"))?;
        if lines.bytes().any(|b| b < 0x20 && b != b'\n') {
            return Err(malformed("a control character"));
        }
        for line in lines.split('\n') {
            if parsed.signatures.len() == NOTE_SIGNATURES_MAX {
                return Err(malformed("too many signatures"));
            }
            parsed.signatures.push(NoteSignature::parse(line)?);
        }
        Ok(parsed)
    }

    /// The signed text, with its final newline.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signature lines.
    #[must_use]
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Adds a line; one of the same name and key id is replaced.
    ///
    /// # Errors
    /// [`LedgerError::Note`] when there would be too many.
    pub fn add(&mut self, signature: NoteSignature) -> Result<(), LedgerError> {
        self.signatures.retain(|s| s.name != signature.name || s.key_id != signature.key_id);
        if self.signatures.len() >= NOTE_SIGNATURES_MAX {
            return Err(malformed("too many signatures"));
        }
        self.signatures.push(signature);
        Ok(())
    }

    /// Checks the signature of a log's key: present, and valid wherever it is present.
    ///
    /// # Errors
    /// [`LedgerError::Unsigned`] or [`LedgerError::Signature`].
    pub fn verify(&self, name: &str, key: &PublicKey) -> Result<(), LedgerError> {
        let mut found = false;
        for signature in self.lines_of(name, key_id(name, TYPE_ED25519, key)) {
            let parsed = Signature::from_slice(&signature.bytes);
            parsed
                .and_then(|s| key.verify_raw(self.text.as_bytes(), &s))
                .ok_or_else(|| LedgerError::Signature { name: name.to_owned() })?;
            found = true;
        }
        if found { Ok(()) } else { Err(LedgerError::Unsigned { name: name.to_owned() }) }
    }

    /// The lines of that name and key id.
    pub(super) fn lines_of<'a>(
        &'a self,
        name: &'a str,
        key_id: [u8; 4],
    ) -> impl Iterator<Item = &'a NoteSignature> {
        self.signatures.iter().filter(move |s| s.name == name && s.key_id == key_id)
    }
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)?;
        f.write_str("\n")?;
        self.signatures.iter().try_for_each(|s| writeln!(f, "{}", s.to_line()))
    }
}

/// A log's checkpoint: the text of a note that says origin, size and root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name.
    pub origin: String,
    /// Size and root.
    pub head: TreeHead,
}

impl Checkpoint {
    /// The note text: three lines. Ward writes no extension lines.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.head.size, STANDARD.encode(self.head.root.0))
    }

    /// Reads a note text of exactly three lines. Extension lines, which nobody audits, are refused.
    ///
    /// # Errors
    /// [`LedgerError::Note`].
    pub fn parse(text: &str) -> Result<Self, LedgerError> {
        let body = text.strip_suffix('\n').ok_or(malformed("it does not end in a newline"))?;
        let lines: Vec<&str> = body.split('\n').take(4).collect();
        let [origin, size_text, root_text] = lines[..] else {
            return Err(malformed("a checkpoint is not three lines"));
        };
        let size: u64 = size_text.parse().map_err(|_| malformed("the tree size is no number"))?;
        let root = STANDARD.decode(root_text).ok().and_then(|bytes| Digest::from_slice(&bytes));
        let root = root.ok_or(malformed("the root is not 32 bytes of base64"))?;
        let parsed = Self { origin: origin.to_owned(), head: TreeHead { size, root } };
        if !is_key_name(origin) || parsed.to_text() != text {
            return Err(malformed("a checkpoint is not written canonically"));
        }
        Ok(parsed)
    }

    /// A note of this checkpoint, signed by its log under the origin's name.
    ///
    /// # Errors
    /// [`LedgerError::Note`] when the origin is no key name.
    pub fn sign(&self, identity: &Identity) -> Result<Note, LedgerError> {
        let mut note = Note::new(self.to_text())?;
        let line = NoteSignature::sign(&self.origin, note.text(), identity)?;
        note.add(line)?;
        Ok(note)
    }
}
