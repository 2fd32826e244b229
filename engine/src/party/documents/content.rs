//! What a document is: its size, and whether its bytes are of the type it is said to be.

use crate::problem::{Problem, ProblemKind};

/// Types that have no mark of their own in their first bytes, and are text.
const TEXTUAL: [&str; 8] = [
    "application/fhir+json",
    "application/fhir+xml",
    "application/hl7-v2+er7",
    "application/json",
    "application/x-ndjson",
    "application/xml",
    "text/csv",
    "text/plain",
];

/// What the end of a file's name says.
const BY_EXTENSION: [(&str, &str); 21] = [
    ("bmp", "image/bmp"),
    ("csv", "text/csv"),
    ("dcm", "application/dicom"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("gz", "application/gzip"),
    ("hl7", "application/hl7-v2+er7"),
    ("htm", "text/html"),
    ("html", "text/html"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("json", "application/json"),
    ("mp4", "video/mp4"),
    ("ndjson", "application/x-ndjson"),
    ("odt", "application/vnd.oasis.opendocument.text"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("rtf", "application/rtf"),
    ("tif", "image/tiff"),
    ("tiff", "image/tiff"),
    ("txt", "text/plain"),
    ("xml", "application/xml"),
];

fn refuse(message: String) -> Problem {
    Problem::new(ProblemKind::Validation, "document.type", message)
}

/// The type that a file's name says; none for an unknown end.
#[must_use]
pub fn declared_by_name(name: &str) -> Option<&'static str> {
    let (_, end) = name.rsplit_once('.')?;
    let end = end.to_ascii_lowercase();
    BY_EXTENSION.iter().find(|(known, _)| *known == end).map(|(_, kind)| *kind)
}

/// Checks that bytes are of the declared type, and returns the type that is kept.
///
/// # Errors
/// `document.type` for a type that the bytes contradict or that nothing tells, and for programs, whatever they are declared
/// as.
pub fn check(bytes: &[u8], declared: &str) -> Result<String, Problem> {
    let declared = declared.trim().to_ascii_lowercase();
    let plain = declared.split(';').next().unwrap_or_default().trim().to_owned();
    if infer::is_app(bytes) || bytes.starts_with(b"#!") {
        return Err(refuse("the document is a program".to_owned()));
    }
    let detected = infer::get(bytes).map(|found| found.mime_type());
    match detected {
        Some(found) if found == plain || is_same(found, &plain) => Ok(plain),
        // Text that begins as something else does is still text, if it is declared as that.
        Some("text/html" | "text/xml") | None if TEXTUAL.contains(&plain.as_str()) => {
            check_text(bytes, &plain)?;
            Ok(plain)
        }
        Some(found) => Err(refuse(format!("the document is declared as {plain}, and is {found}"))
            .hint("give the type it has with --type, or look at how it came to you")),
        None => Err(refuse(format!("nothing in the document says that it is {plain}"))
            .hint(format!("text may be declared as one of {}", TEXTUAL.join(", ")))),
    }
}

/// Names of one thing.
fn is_same(found: &str, declared: &str) -> bool {
    matches!(
        (found, declared),
        ("text/xml", "application/xml" | "application/fhir+xml") | ("application/rtf", "text/rtf")
    )
}

fn check_text(bytes: &[u8], kind: &str) -> Result<(), Problem> {
    let contradicted = || refuse(format!("the document is declared as {kind}, and does not read as that"));
    // HL7 v2 is often in a Latin alphabet.
    if kind == "application/hl7-v2+er7" {
        return if bytes.starts_with(b"MSH|") { Ok(()) } else { Err(contradicted()) };
    }
    let text = std::str::from_utf8(bytes).map_err(|_| contradicted())?;
    if text.contains('\0') {
        return Err(contradicted());
    }
    let is_json = |text: &str| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    let reads = match kind {
        "application/json" | "application/fhir+json" => is_json(text),
        "application/x-ndjson" => text.lines().filter(|line| !line.trim().is_empty()).all(is_json),
        "application/xml" | "application/fhir+xml" => {
            text.trim_start_matches('\u{feff}').trim_start().starts_with('<')
        }
        _ => true,
    };
    if reads { Ok(()) } else { Err(contradicted()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PDF: &[u8] = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n";
    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

    #[test]
    fn bytes_are_held_against_the_declared_type() {
        assert_eq!(check(PDF, "application/pdf").unwrap(), "application/pdf");
        assert_eq!(check(PNG, " Image/PNG ").unwrap(), "image/png");
        assert_eq!(check(b"{\"a\": 1}", "application/fhir+json").unwrap(), "application/fhir+json");
        assert_eq!(
            check(b"<?xml version=\"1.0\"?><a/>", "application/fhir+xml").unwrap(),
            "application/fhir+xml"
        );
        assert_eq!(
            check("Befund: unauffällig".as_bytes(), "text/plain; charset=utf-8").unwrap(),
            "text/plain"
        );
        assert_eq!(check(b"MSH|^~\\&|\xfc", "application/hl7-v2+er7").unwrap(), "application/hl7-v2+er7");
        let dicom = [&[0_u8; 128][..], b"DICM"].concat();
        assert_eq!(check(&dicom, "application/dicom").unwrap(), "application/dicom");
    }

    #[test]
    fn a_document_that_is_something_else_is_refused() {
        let cases: [(&[u8], &str); 11] = [
            (PDF, "image/png"),
            (PNG, "text/plain"),
            (b"no json", "application/json"),
            (b"{}\n{", "application/x-ndjson"),
            (b"\xff\xfe\0a", "text/csv"),
            (b"a\0b", "text/plain"),
            (b"text", "application/pdf"),
            (b"text", "application/octet-stream"),
            (b"\x7fELF\x02\x01\x01", "application/x-executable"),
            (b"MZ\x90\0", "text/plain"),
            (b"#!/bin/sh\nrm -r x", "text/plain"),
        ];
        for (bytes, declared) in cases {
            assert_eq!(check(bytes, declared).unwrap_err().code, "document.type", "{declared}");
        }
    }

    #[test]
    fn a_name_says_a_type_only_where_its_end_is_known() {
        assert_eq!(declared_by_name("scan.2026.PDF"), Some("application/pdf"));
        assert_eq!(declared_by_name("scan"), None);
        assert_eq!(declared_by_name("scan.exe"), None);
        assert!(BY_EXTENSION.is_sorted(), "a list that people look things up in");
    }
}
