//! An attestation as a code to scan.
//!
//! A code holds less than three kilobytes, so what is scanned is the attestation without its registry and log proof: the
//! verifier has a registry of its own, and one that is behind asks for the file. The text is `WARD1:` and base32 (RFC
//! 4648, without padding) of the compressed JSON, all of it in the alphabet for which codes are densest. Scanners give
//! this text. Of images, those that were made here are read, which carry it beside the modules; pixels are a scanner's affair.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use qrcode::render::{svg, unicode};
use qrcode::{EcLevel, QrCode};

use super::error::AttestationError;
use super::file::Attestation;

/// What the text begins with.
pub const PREFIX: &str = "WARD1:";
/// Longest text read, in bytes.
pub const TEXT_BYTES_MAX: usize = 1 << 16;
/// Largest attestation that a text unpacks to, in bytes.
const UNPACKED_BYTES_MAX: u64 = 1 << 18;
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The text of a code.
///
/// # Errors
/// [`AttestationError::Malformed`] when it does not serialize.
pub fn to_text(attestation: &Attestation) -> Result<String, AttestationError> {
    let wrong = |e: &dyn std::fmt::Display| AttestationError::malformed("an attestation", e);
    let small = Attestation { registry: None, tlog_proof: None, ..attestation.clone() };
    let json = serde_json::to_vec(&small).map_err(|e| wrong(&e))?;
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    let packed = encoder.write_all(&json).and_then(|()| encoder.finish()).map_err(|e| wrong(&e))?;
    Ok(format!("{PREFIX}{}", base32(&packed)))
}

/// Reads the text of a code.
///
/// # Errors
/// [`AttestationError::Malformed`].
pub fn from_text(text: &str) -> Result<Attestation, AttestationError> {
    let wrong = |reason: &str| AttestationError::malformed("the text of a code", reason);
    let text = text.trim();
    if text.len() > TEXT_BYTES_MAX {
        return Err(wrong("too long"));
    }
    let body = text.strip_prefix(PREFIX).ok_or_else(|| wrong("it does not begin with WARD1:"))?;
    let packed = from_base32(body).ok_or_else(|| wrong("it is not base32"))?;
    let mut json = Vec::new();
    let mut decoder = ZlibDecoder::new(packed.as_slice()).take(UNPACKED_BYTES_MAX);
    decoder.read_to_end(&mut json).map_err(|_| wrong("it does not unpack"))?;
    Attestation::from_json(&json)
}

/// What stands before the text in an image of ours.
const DESCRIPTION: &str = "<desc>";

/// The text of a code in a file: the text itself, or an SVG image that [`to_svg`] made. None where it is neither.
///
/// # Errors
/// [`AttestationError::Image`] for an image whose pixels only a scanner reads.
pub fn text_in(bytes: &[u8]) -> Result<Option<&str>, AttestationError> {
    const IMAGES: [&[u8]; 4] = [b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"%PDF"];
    if IMAGES.iter().any(|magic| bytes.starts_with(magic)) {
        return Err(AttestationError::Image);
    }
    let Ok(text) = str::from_utf8(bytes) else { return Ok(None) };
    let text = text.trim_start();
    if text.starts_with(PREFIX) {
        return Ok(Some(text));
    }
    if !text.contains("<svg") {
        return Ok(None);
    }
    let described = text.rsplit_once(DESCRIPTION).and_then(|(_, rest)| rest.split_once("</desc>"));
    match described {
        Some((inside, _)) if inside.starts_with(PREFIX) => Ok(Some(inside)),
        _ => Err(AttestationError::Image),
    }
}

fn code(text: &str) -> Result<QrCode, AttestationError> {
    QrCode::with_error_correction_level(text, EcLevel::L).map_err(|e| {
        AttestationError::malformed("the text of a code", format!("{e}: criteria too long to scan"))
    })
}

/// The code as an SVG image, with the text as its description: [`text_in`] finds it, and so does a person with an editor.
///
/// # Errors
/// [`AttestationError::Malformed`] for a text that does not fit a code.
pub fn to_svg(text: &str) -> Result<String, AttestationError> {
    let image = code(text)?.render::<svg::Color<'_>>().min_dimensions(600, 600).build();
    let end = image.rfind("</svg>").unwrap_or(image.len());
    Ok(format!("{}{DESCRIPTION}{text}</desc>{}", &image[..end], &image[end..]))
}

/// The code in characters, for a terminal.
///
/// # Errors
/// As [`to_svg`].
pub fn to_terminal(text: &str) -> Result<String, AttestationError> {
    Ok(code(text)?.render::<unicode::Dense1x2>().quiet_zone(true).build())
}

fn base32(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(5) {
        let mut block = [0u8; 8];
        block[3..3 + chunk.len()].copy_from_slice(chunk);
        let word = u64::from_be_bytes(block);
        let letters = (chunk.len() * 8).div_ceil(5);
        text.extend((0..letters).map(|i| char::from(ALPHABET[(word >> (35 - 5 * i)) as usize & 31])));
    }
    text
}

fn from_base32(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for chunk in text.as_bytes().chunks(8) {
        let mut word = 0u64;
        for (i, letter) in chunk.iter().enumerate() {
            let digit = ALPHABET.iter().position(|known| known == letter)? as u64;
            word |= digit << (35 - 5 * i);
        }
        let whole = chunk.len() * 5 / 8;
        if (whole * 8).div_ceil(5) != chunk.len() {
            return None;
        }
        let block = word.to_be_bytes();
        // Bits beyond the last byte are zero, so that a text has one reading.
        if block[3 + whole..].iter().any(|byte| *byte != 0) {
            return None;
        }
        bytes.extend_from_slice(&block[3..3 + whole]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base32_is_that_of_rfc_4648() {
        for (bytes, text) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32(bytes.as_bytes()), text);
            assert_eq!(from_base32(text).unwrap(), bytes.as_bytes());
        }
        for text in ["M", "MZX", "MZXW6Y", "MZ", "my", "M1"] {
            assert_eq!(from_base32(text), None, "{text}");
        }
    }

    #[test]
    fn texts_that_are_none_are_refused() {
        for text in ["", "WARD1:", "WARD2:MY", "WARD1:MY", "WARD1:m", "{}"] {
            assert!(matches!(from_text(text), Err(AttestationError::Malformed { .. })), "{text}");
        }
    }
}
