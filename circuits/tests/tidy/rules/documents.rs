//! Documents: links lead somewhere, cargo commands name targets that exist.

use std::collections::BTreeSet;

use crate::manifest::{entries, folder, packages};
use crate::repository::{File, Repository, Violation, assert_none};

/// A link of a document: line, target.
fn links(document: &File) -> Vec<(usize, String)> {
    let (mut fenced, mut found) = (false, Vec::new());
    for (index, line) in document.text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            let line = without_code(line);
            for (at, opening) in line.match_indices("](") {
                let rest = &line[at + opening.len()..];
                let target = rest.split([')', ' ']).next().unwrap_or_default();
                found.push((index + 1, target.to_owned()));
            }
            for (at, attribute) in line.match_indices("src=\"") {
                let rest = &line[at + attribute.len()..];
                found.push((index + 1, rest.split('"').next().unwrap_or_default().to_owned()));
            }
        }
    }
    found
}

/// The line with the insides of `code` blanked.
fn without_code(line: &str) -> String {
    let part = |(index, part): (usize, &str)| if index % 2 == 1 { String::new() } else { part.to_owned() };
    line.split('`').enumerate().map(part).collect::<Vec<_>>().join("`")
}

/// The anchors of a document, as forges make them: lower case, blanks as hyphens, punctuation dropped.
fn anchors(document: &File) -> BTreeSet<String> {
    let slug = |heading: &str| -> String {
        heading
            .trim_start_matches('#')
            .trim()
            .to_lowercase()
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect()
    };
    document.text.lines().filter(|line| line.starts_with('#')).map(slug).collect()
}

/// A relative link from a document, as a path from the root; `None` when it leaves the repository.
fn resolve(document: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = document.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

fn broken_links(repository: &Repository) -> Vec<Violation> {
    let mut found = Vec::new();
    for document in repository.with_extension("md") {
        for (line, link) in links(document) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (target, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let path =
                if target.is_empty() { Some(document.path.clone()) } else { resolve(&document.path, target) };
            let reached = path.is_some_and(|path| {
                let heading = |file: &File| anchor.is_empty() || anchors(file).contains(anchor);
                path.is_empty() || repository.has(&path) && repository.file(&path).is_none_or(heading)
            });
            if !reached {
                found.push(Violation::new(&document.path, line, format!("broken link {link}")));
            }
        }
    }
    found
}

/// Names that `-p`, `--bin`, `--test` and `--bench` may take: packages, and targets by file or manifest.
fn targets(repository: &Repository) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for manifest in packages(repository) {
        let named = |table: &str| matches!(table, "package" | "bin" | "test" | "bench" | "example");
        for entry in entries(manifest, named).into_iter().filter(|entry| entry.key == "name") {
            names.insert(entry.value.trim_matches('"').to_owned());
        }
        for part in ["tests", "benches", "examples", "src/bin"] {
            let prefix = format!("{}/{part}/", folder(manifest));
            for source in repository.sources(&prefix) {
                let name = source.path[prefix.len()..].split('/').next().unwrap_or_default();
                names.insert(name.trim_end_matches(".rs").to_owned());
            }
        }
    }
    names
}

fn unknown_targets(repository: &Repository) -> Vec<Violation> {
    const OPTIONS: [&str; 6] = ["-p", "--package", "--bin", "--test", "--bench", "--example"];
    let known = targets(repository);
    let mut found = Vec::new();
    for document in repository.with_extension("md") {
        for (index, line) in document.text.lines().enumerate().filter(|(_, line)| line.contains("cargo ")) {
            let words: Vec<&str> = line.split([' ', '`']).collect();
            for pair in words.windows(2).filter(|pair| OPTIONS.contains(&pair[0])) {
                if !known.contains(pair[1].trim_end_matches(['.', ',', ';', ')'])) {
                    let what = format!("no target {} in the workspace", pair[1]);
                    found.push(Violation::new(&document.path, index + 1, what));
                }
            }
        }
    }
    found
}

#[test]
fn links_of_documents_lead_somewhere() {
    assert_none(&broken_links(&Repository::here()));
}

#[test]
fn cargo_commands_of_documents_name_targets_that_exist() {
    assert_none(&unknown_targets(&Repository::here()));
}

#[test]
fn a_broken_link_is_caught() {
    let repository = Repository::of(&[
        (
            "README.md",
            "[a](docs/a.md) [b](docs/b.md) `[c](x)` [d](https://example.org)\n<img src=\"no.svg\">\n",
        ),
        ("docs/a.md", "# One two\n[up](../README.md) [here](#one-two) [there](#three) [out](../../x)\n"),
    ]);
    let what: Vec<String> = broken_links(&repository).into_iter().map(|v| v.what).collect();
    let expected = ["docs/b.md", "no.svg", "#three", "../../x"].map(|link| format!("broken link {link}"));
    assert_eq!(what, expected);
}

#[test]
fn a_command_for_a_missing_target_is_caught() {
    let repository = Repository::of(&[
        ("engine/Cargo.toml", "[package]\nname = \"ward-engine\"\n[[bin]]\nname = \"ward\"\n"),
        ("README.md", "`cargo run --bin ward`, `cargo test -p ward-engine`\n`cargo bench --bench gone`\n"),
    ]);
    let lines: Vec<usize> = unknown_targets(&repository).iter().map(|v| v.line).collect();
    assert_eq!(lines, [2]);
}
