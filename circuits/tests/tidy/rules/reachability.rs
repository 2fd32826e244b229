//! No dead files: every Rust file hangs on a target, and every protobuf definition is compiled.

use std::collections::BTreeSet;

use crate::manifest::{entries, folder, packages};
use crate::repository::{Repository, Violation, assert_none};
use crate::source::Source;

/// Roots of a package's targets: the places cargo looks, and what the manifest names by `path`.
fn roots(repository: &Repository) -> BTreeSet<String> {
    let mut roots = BTreeSet::new();
    for manifest in packages(repository) {
        let base = folder(manifest);
        for file in ["src/lib.rs", "src/main.rs", "build.rs"] {
            roots.insert(format!("{base}/{file}"));
        }
        let target = |table: &str| matches!(table, "lib" | "bin" | "test" | "bench" | "example");
        for entry in entries(manifest, target).into_iter().filter(|entry| entry.key == "path") {
            roots.insert(format!("{base}/{}", entry.value.trim_matches('"')));
        }
        for source in repository.sources(base) {
            let Some(inside) = source.path.strip_prefix(&format!("{base}/")) else { continue };
            let parts: Vec<&str> = inside.split('/').collect();
            let automatic = matches!(
                parts.as_slice(),
                ["tests" | "benches" | "examples", _]
                    | ["tests" | "benches" | "examples", _, "main.rs"]
                    | ["src", "bin", ..]
            );
            if automatic {
                roots.insert(source.path.to_owned());
            }
        }
    }
    roots
}

/// Files that the modules of a file lie in: every place the compiler would look.
fn children(source: &Source<'_>, is_root: bool) -> Vec<String> {
    let (folder, name) = source.path.rsplit_once('/').unwrap_or(("", source.path));
    let stem = name.strip_suffix(".rs").unwrap_or(name);
    let inner = if is_root || stem == "mod" { folder.to_owned() } else { format!("{folder}/{stem}") };
    let mut files = Vec::new();
    for module in source.modules() {
        match module.path {
            Some(path) => files.push(format!("{folder}/{path}")),
            None => {
                files.push(format!("{inner}/{}.rs", module.name));
                files.push(format!("{inner}/{}/mod.rs", module.name));
            }
        }
    }
    files
}

fn dead_files(repository: &Repository) -> Vec<Violation> {
    let mut reached = BTreeSet::new();
    let roots = roots(repository);
    let mut open: Vec<String> = roots.iter().cloned().collect();
    while let Some(path) = open.pop() {
        let Some(file) = repository.file(&path) else { continue };
        if reached.insert(path.clone()) {
            open.extend(children(&Source::read(&file.path, &file.text), roots.contains(&path)));
        }
    }
    repository
        .sources("")
        .filter(|source| !reached.contains(source.path))
        .map(|source| Violation::new(source.path, 0, "no module declares this file"))
        .collect()
}

fn uncompiled_protos(repository: &Repository) -> Vec<Violation> {
    let build = repository.file("engine/build.rs").map_or("", |file| file.text.as_str());
    repository
        .with_extension("proto")
        .filter(|file| {
            let name = file.path.rsplit('/').next().unwrap_or_default();
            let stem = name.strip_suffix(".proto").unwrap_or(name);
            !build.contains(&format!("\"{stem}\"")) && !build.contains(name)
        })
        .map(|file| Violation::new(&file.path, 0, "engine/build.rs does not compile this file"))
        .collect()
}

#[test]
fn every_file_is_reached() {
    let repository = Repository::here();
    assert_none(&dead_files(&repository));
    assert_none(&uncompiled_protos(&repository));
}

#[test]
fn a_file_that_nothing_declares_is_caught() {
    let repository = Repository::of(&[
        ("p/Cargo.toml", "[[bin]]\nname = \"f\"\npath = \"fuzz/f.rs\"\n"),
        ("p/src/lib.rs", "mod a;\n#[path = \"far.rs\"]\nmod b;\n// mod dead;\n"),
        ("p/src/a.rs", "mod c;"),
        ("p/src/a/c.rs", ""),
        ("p/src/far.rs", ""),
        ("p/src/dead.rs", ""),
        ("p/fuzz/f.rs", ""),
        ("p/tests/t/main.rs", "mod u;"),
        ("p/tests/t/u.rs", ""),
        ("engine/build.rs", "[\"types\", \"jobs\"]"),
        ("proto/ward/v1/types.proto", ""),
        ("proto/ward/v1/dead.proto", ""),
    ]);
    let dead: Vec<String> = dead_files(&repository).into_iter().map(|v| v.path).collect();
    assert_eq!(dead, ["p/src/dead.rs", "engine/build.rs"]);
    let protos: Vec<String> = uncompiled_protos(&repository).into_iter().map(|v| v.path).collect();
    assert_eq!(protos, ["proto/ward/v1/dead.proto"]);
}
