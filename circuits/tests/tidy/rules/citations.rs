//! A protocol says where it comes from.

use crate::repository::{Repository, Violation, assert_none};
use crate::source::Source;

/// Folders whose files are protocols, each after a paper or a standard.
const PROTOCOLS: [&str; 1] = ["protocols/src/he/"];

/// Files there that are no protocol: encodings, hashing and sums of our own, explained where they stand.
const NOT_PROTOCOLS: [&str; 4] = ["accumulator.rs", "layout.rs", "transcript.rs", "wire.rs"];

fn uncited(repository: &Repository) -> Vec<Violation> {
    let mut found = Vec::new();
    for folder in PROTOCOLS {
        let is_protocol = |source: &Source<'_>| {
            !source.is_test_file() && !NOT_PROTOCOLS.iter().any(|name| source.path[folder.len()..] == **name)
        };
        for source in repository.sources(folder).filter(is_protocol) {
            let mut head = source.text.lines().take_while(|line| line.starts_with("//!"));
            let cites = head.any(|line| {
                line.split_once("Source:").is_some_and(|(_, citation)| citation.trim().len() > 3)
            });
            if !cites {
                found.push(Violation::new(source.path, 0, "no `Source:` in the head of the file"));
            }
        }
    }
    found
}

#[test]
fn every_protocol_file_cites_its_source() {
    assert_none(&uncited(&Repository::here()));
}

#[test]
fn a_file_without_a_citation_is_caught() {
    let repository = Repository::of(&[
        ("protocols/src/he/a.rs", "//! Keys.\n//! Source: Fan, Vercauteren, eprint 2012/144.\n"),
        ("protocols/src/he/b.rs", "//! Keys.\n//! Source:\n"),
        ("protocols/src/he/c.rs", "//! Keys.\n\n// Source: somewhere else\n"),
        ("protocols/src/he/wire.rs", "//! Frames.\n"),
    ]);
    let paths: Vec<String> = uncited(&repository).into_iter().map(|v| v.path).collect();
    assert_eq!(paths, ["protocols/src/he/b.rs", "protocols/src/he/c.rs"]);
}
