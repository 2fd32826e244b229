//! `Cargo.toml`, as far as the rules need it.

use crate::repository::{File, Repository};

/// A key of a table.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// Line, from 1.
    pub line: usize,
    /// Key, up to the first dot.
    pub key: String,
    /// Text behind the equals sign.
    pub value: String,
}

/// The entries of the tables that `wanted` accepts by name. A table per dependency
/// (`[dependencies.tokio]`) counts as an entry of its parent.
pub fn entries(manifest: &File, wanted: impl Fn(&str) -> bool) -> Vec<Entry> {
    let (mut table, mut found) = (String::new(), Vec::new());
    for (index, line) in manifest.text.lines().enumerate() {
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[') {
            table = name.trim_matches(['[', ']']).to_owned();
            if let Some((parent, key)) = table.rsplit_once('.').filter(|(parent, _)| wanted(parent)) {
                debug_assert!(!parent.is_empty());
                found.push(Entry { line: index + 1, key: key.to_owned(), value: String::new() });
            }
        } else if let Some((key, value)) = line.split_once('=').filter(|_| wanted(&table)) {
            let key = key.trim().split('.').next().unwrap_or_default().to_owned();
            if !key.starts_with('#') {
                found.push(Entry { line: index + 1, key, value: value.trim().to_owned() });
            }
        }
    }
    found
}

/// Dependencies that ship: normal and build, for every target.
pub fn shipped(manifest: &File) -> Vec<Entry> {
    entries(manifest, |table| {
        let kind = table.rsplit('.').next().unwrap_or(table);
        matches!(kind, "dependencies" | "build-dependencies") && !table.starts_with("workspace")
    })
}

/// The manifests of packages: every `Cargo.toml` but the workspace's.
pub fn packages(repository: &Repository) -> impl Iterator<Item = &File> {
    repository.files.iter().filter(|file| file.path.ends_with("/Cargo.toml"))
}

/// The folder a manifest lies in.
pub fn folder(manifest: &File) -> &str {
    manifest.path.strip_suffix("/Cargo.toml").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_shipped_dependencies_are_listed() {
        let text = "[package]\nname = \"a\"\n[dependencies]\nb.workspace = true\n# c = 1\n\
                    [dev-dependencies]\nd = \"1\"\n[target.'cfg(unix)'.dependencies]\ne = \"1\"\n\
                    [dependencies.f]\nversion = \"1\"\n";
        let manifest = File { path: "a/Cargo.toml".into(), text: text.into() };
        let keys: Vec<String> = shipped(&manifest).into_iter().map(|entry| entry.key).collect();
        assert_eq!(keys, ["b", "e", "f"]);
    }
}
