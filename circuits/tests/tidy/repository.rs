//! The files of the repository.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::source::Source;

/// Folders that are not ours to check: build output, version control, data.
const SKIPPED: [&str; 4] = [".git", "target", "examples/data", "examples/oracle"];

/// Extensions of the text files that are read; files without an extension are text.
const TEXT: [&str; 12] =
    ["rs", "toml", "md", "proto", "sql", "yml", "yaml", "service", "sh", "svg", "conf", "json"];

/// The repository: paths relative to its root with `/`, sorted.
pub struct Repository {
    /// Text files.
    pub files: Vec<File>,
    /// Every path, text or not, folders included.
    pub paths: Vec<String>,
}

/// A text file.
pub struct File {
    /// Path from the root.
    pub path: String,
    /// Contents.
    pub text: String,
}

/// A place that breaks a rule. Line 0 stands for the file.
#[derive(Debug, PartialEq, Eq)]
pub struct Violation {
    /// Path from the root.
    pub path: String,
    /// Line, from 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

impl Violation {
    /// A violation at a line.
    pub fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

impl Repository {
    /// The repository this test was built from.
    pub fn here() -> Self {
        let root = root();
        let mut repository = Self { files: Vec::new(), paths: Vec::new() };
        repository.walk(&root, "");
        repository.paths.sort();
        repository.files.sort_by(|a, b| a.path.cmp(&b.path));
        assert!(
            repository.files.len() > 20,
            "only {} files under {}",
            repository.files.len(),
            root.display()
        );
        repository
    }

    /// A repository of samples.
    pub fn of(samples: &[(&str, &str)]) -> Self {
        let files: Vec<File> = samples
            .iter()
            .map(|(path, text)| File { path: (*path).to_owned(), text: (*text).to_owned() })
            .collect();
        let paths = files.iter().map(|file| file.path.clone()).collect();
        Self { files, paths }
    }

    fn walk(&mut self, folder: &Path, prefix: &str) {
        let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for entry in entries {
            let entry = entry.expect("the folder can be read");
            let name = entry.file_name().into_string().expect("names are UTF-8");
            let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
            self.paths.push(path.clone());
            if entry.file_type().expect("an entry has a type").is_dir() {
                if !SKIPPED.contains(&path.as_str()) && !path.ends_with("/target") {
                    self.walk(&entry.path(), &path);
                }
            } else if is_text(&path) {
                // A file that vanishes while the tree is walked is no longer part of it.
                let Ok(text) = fs::read_to_string(entry.path()) else { continue };
                self.files.push(File { path, text });
            }
        }
    }

    /// The file at a path.
    pub fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// True when there is a file or folder at a path. Folders that are not walked are trusted to hold what
    /// lies on the disk.
    pub fn has(&self, path: &str) -> bool {
        self.paths.iter().any(|p| p == path)
            || (SKIPPED.iter().any(|skipped| path.starts_with(skipped)) && root().join(path).exists())
    }

    /// Rust files under a folder, read.
    pub fn sources<'a>(&'a self, under: &'a str) -> impl Iterator<Item = Source<'a>> {
        self.files
            .iter()
            .filter(move |file| file.path.ends_with(".rs") && file.path.starts_with(under))
            .map(|file| Source::read(&file.path, &file.text))
    }

    /// Files with an extension.
    pub fn with_extension<'a>(&'a self, extension: &'a str) -> impl Iterator<Item = &'a File> {
        self.files.iter().filter(move |file| file.path.rsplit('.').next() == Some(extension))
    }
}

/// The root, as cargo says when it runs the test: a build folder may serve several checkouts, so that the path
/// known at compile time can be that of another.
fn root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&package).parent().expect("the package lies in the root").to_owned()
}

fn is_text(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    match name.rsplit_once('.') {
        Some((stem, extension)) => stem.is_empty() || TEXT.contains(&extension),
        None => true,
    }
}

/// Fails with every violation on a line of its own.
pub fn assert_none(violations: &[Violation]) {
    let lines: Vec<String> = violations.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "\n{}\n", lines.join("\n"));
}
