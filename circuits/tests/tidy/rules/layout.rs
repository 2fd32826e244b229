//! The fixed top level, and what every package inherits.

use crate::manifest::packages;
use crate::repository::{Repository, Violation, assert_none};

/// The top level of the design.
const SOURCE: [&str; 10] = [
    "Cargo.toml",
    "Cargo.lock",
    "engine",
    "circuits",
    "protocols",
    "bench",
    "examples",
    "proto",
    "deploy",
    "docs",
];

/// What tools and people look for beside it.
const META: [&str; 17] = [
    ".cargo",
    ".ci",
    ".dockerignore",
    ".editorconfig",
    ".git",
    ".gitattributes",
    ".github",
    ".gitignore",
    "CONTRIBUTING.md",
    "LICENSE",
    "NOTICE",
    "README.md",
    "SECURITY.md",
    "clippy.toml",
    "deny.toml",
    "rustfmt.toml",
    "target",
];

fn strangers(repository: &Repository) -> Vec<Violation> {
    repository
        .paths
        .iter()
        .filter(|path| !path.contains('/') && path.as_str() != "rust-toolchain.toml")
        .filter(|path| !SOURCE.contains(&path.as_str()) && !META.contains(&path.as_str()))
        .map(|path| Violation::new(path, 0, "not part of the fixed top level"))
        .collect()
}

fn disinherited(repository: &Repository) -> Vec<Violation> {
    packages(repository)
        .filter(|manifest| !manifest.path.contains("/fuzz/") && !manifest.path.contains("/peers/"))
        .filter(|manifest| !manifest.text.contains("[lints]\nworkspace = true"))
        .map(|manifest| Violation::new(&manifest.path, 0, "does not take the lints of the workspace"))
        .collect()
}

#[test]
fn the_top_level_is_the_designs() {
    assert_none(&strangers(&Repository::here()));
}

#[test]
fn every_package_takes_the_lints_of_the_workspace() {
    assert_none(&disinherited(&Repository::here()));
}

#[test]
fn a_stranger_and_a_package_without_lints_are_caught() {
    let mut repository = Repository::of(&[("engine/Cargo.toml", "[package]\n")]);
    repository.paths.push("scripts".to_owned());
    assert_eq!(strangers(&repository).len(), 1);
    assert_eq!(disinherited(&repository).len(), 1);
}
