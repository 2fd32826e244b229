//! Which package may depend on which, and what the packages below the engine may not know.

use crate::manifest::{folder, packages, shipped};
use crate::repository::{Repository, Violation, assert_none};

/// Folder of a package, and the packages of Ward it may ship with. Others (bench, examples) may use anything.
const EDGES: [(&str, &[&str]); 5] = [
    ("protocols/math", &[]),
    ("protocols", &["ward-math"]),
    ("circuits", &["ward-math"]),
    ("engine/gpu", &["ward-math"]),
    ("engine", &["ward-math", "ward-protocols", "ward-circuits", "ward-gpu"]),
];

/// Packages without runtime, network, clock, files, or randomness of their own.
const PURE: [&str; 3] = ["protocols/math/", "protocols/", "circuits/"];

/// What a pure package may not depend on.
const IMPURE_CRATES: [&str; 14] = [
    "async-std",
    "getrandom",
    "hyper-util",
    "rand",
    "reqwest",
    "rusqlite",
    "smol",
    "sqlx",
    "tempfile",
    "tokio",
    "tokio-stream",
    "tonic",
    "tracing-subscriber",
    "wgpu",
];

/// What a pure package may not name. A duration is a value, unlike the clocks beside it.
const IMPURE_PATHS: [&str; 19] = [
    "getrandom",
    "rand",
    "rusqlite",
    "sqlx",
    "std::env",
    "std::fs",
    "std::io::stdin",
    "std::net",
    "std::os",
    "std::process",
    "std::thread",
    "std::time",
    "std::time::Instant",
    "std::time::SystemTime",
    "tokio",
    "tokio_stream",
    "tonic",
    "wgpu",
    "rand_core::OsRng",
];

/// The test world of the protocols: three nodes on three threads. It reads no clock and no file either.
const TEST_WORLD: &str = "protocols/src/sim/";

fn wrong_edges(repository: &Repository) -> Vec<Violation> {
    let mut found = Vec::new();
    for manifest in packages(repository) {
        let Some((_, allowed)) = EDGES.iter().find(|(package, _)| *package == folder(manifest)) else {
            continue;
        };
        for entry in shipped(manifest).into_iter().filter(|entry| entry.key.starts_with("ward-")) {
            if !allowed.contains(&entry.key.as_str()) {
                found.push(Violation::new(&manifest.path, entry.line, format!("may not use {}", entry.key)));
            }
        }
    }
    found
}

fn impure_dependencies(repository: &Repository) -> Vec<Violation> {
    let mut found = Vec::new();
    let pure = |path: &str| PURE.iter().any(|package| path == format!("{package}Cargo.toml"));
    for manifest in packages(repository).filter(|manifest| pure(&manifest.path)) {
        for entry in shipped(manifest).into_iter().filter(|e| IMPURE_CRATES.contains(&e.key.as_str())) {
            let what = format!("{} brings a runtime, files, a clock or randomness", entry.key);
            found.push(Violation::new(&manifest.path, entry.line, what));
        }
    }
    found
}

fn impure_names(repository: &Repository) -> Vec<Violation> {
    let mut found = Vec::new();
    for package in ["protocols/", "circuits/"] {
        for source in repository.sources(package).filter(|source| !source.path.contains("/fuzz/")) {
            let tests = source.test_lines();
            for named in source.named() {
                let line = source.line(named.at);
                let pure = tests[line]
                    || named.is_under("std::time::Duration")
                    || (source.path.starts_with(TEST_WORLD) && named.is_under("std::thread"))
                    || !IMPURE_PATHS.iter().any(|prefix| named.is_under(prefix));
                if !pure {
                    found.push(Violation::new(source.path, line, format!("names {}", named.path)));
                }
            }
        }
    }
    found
}

fn upward_names(repository: &Repository) -> Vec<Violation> {
    let mut found = Vec::new();
    for (package, above) in [
        ("protocols/math/", &["ward_protocols", "ward_circuits", "ward_engine"][..]),
        ("protocols/", &["ward_circuits", "ward_engine"]),
        ("circuits/", &["ward_protocols", "ward_engine"]),
        ("engine/gpu/", &["ward_protocols", "ward_circuits", "ward_engine"]),
    ] {
        for source in repository.sources(package) {
            for named in source.named() {
                if above.iter().any(|prefix| named.is_under(prefix)) {
                    let what = format!("names {}, which lies above", named.path);
                    found.push(Violation::new(source.path, source.line(named.at), what));
                }
            }
        }
    }
    found
}

#[test]
fn packages_depend_downwards_only() {
    let repository = Repository::here();
    assert_none(&wrong_edges(&repository));
    assert_none(&upward_names(&repository));
}

#[test]
fn protocols_and_circuits_know_no_runtime_clock_file_or_randomness() {
    let repository = Repository::here();
    assert_none(&impure_dependencies(&repository));
    assert_none(&impure_names(&repository));
}

#[test]
fn an_upward_edge_is_caught() {
    let repository = Repository::of(&[
        (
            "circuits/Cargo.toml",
            "[dependencies]\nward-math.workspace = true\nward-protocols.workspace = true\n",
        ),
        ("protocols/Cargo.toml", "[dependencies.ward-engine]\npath = \"../engine\"\n"),
        ("protocols/math/src/a.rs", "use ward_engine::query;"),
        ("circuits/src/b.rs", "fn f() { ward_protocols::he::sum(); }"),
    ]);
    let lines: Vec<usize> = wrong_edges(&repository).iter().map(|v| v.line).collect();
    assert_eq!(lines, [3, 1]);
    let paths: Vec<String> = upward_names(&repository).into_iter().map(|v| v.path).collect();
    assert_eq!(paths, ["protocols/math/src/a.rs", "protocols/math/src/a.rs", "circuits/src/b.rs"]);
}

#[test]
fn an_impure_dependency_or_name_is_caught_and_a_test_may_have_it() {
    let repository = Repository::of(&[
        ("protocols/Cargo.toml", "[dependencies]\ntokio = \"1\"\n[dev-dependencies]\ngetrandom = \"0.4\"\n"),
        ("protocols/src/a.rs", "use std::{time::{Duration, Instant}, thread};\nfn f() { std::fs::read(p) }"),
        ("protocols/src/b.rs", "// std::env\n#[cfg(test)]\nmod tests { use std::fs; }"),
    ]);
    assert_eq!(impure_dependencies(&repository).len(), 1);
    let what: Vec<String> = impure_names(&repository).into_iter().map(|v| v.what).collect();
    assert_eq!(what, ["names std::time::Instant", "names std::thread", "names std::fs::read"]);
}
