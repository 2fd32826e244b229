//! Nothing of one machine, nothing unfinished.

use crate::repository::{Repository, Violation, assert_none};

/// Folders that only exist on somebody's machine.
const MACHINES: [&str; 4] =
    [concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("/Use", "rs/"), concat!("C:\\U", "sers")];

/// Marks of work that was left.
const UNFINISHED: [&str; 4] =
    [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("HA", "CK")];

/// Macros for code that is not there.
const ABSENT: [&str; 2] = ["todo", "unimplemented"];

fn machine_paths(repository: &Repository) -> Vec<Violation> {
    let mut found = Vec::new();
    for file in &repository.files {
        for (index, line) in file.text.lines().enumerate() {
            if MACHINES.iter().any(|folder| line.contains(folder)) {
                found.push(Violation::new(&file.path, index + 1, "a path of one machine"));
            }
        }
    }
    found
}

fn unfinished(repository: &Repository) -> Vec<Violation> {
    let mut found = Vec::new();
    for source in repository.sources("") {
        for (index, line) in source.text.lines().enumerate() {
            let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            let marked = UNFINISHED.iter().any(|mark| {
                line.match_indices(mark).any(|(at, _)| {
                    let before = line.as_bytes()[..at].last().is_some_and(|&byte| is_word(byte));
                    let after = line.as_bytes().get(at + mark.len()).is_some_and(|&byte| is_word(byte));
                    !before && !after
                })
            });
            if marked {
                found.push(Violation::new(source.path, index + 1, "work left behind"));
            }
        }
        for (at, word) in source.words() {
            if ABSENT.contains(&word.as_str()) && source.code[at + word.len()..].starts_with('!') {
                found.push(Violation::new(source.path, source.line(at), format!("{word}! is not code")));
            }
        }
    }
    found
}

#[test]
fn no_file_names_a_path_of_one_machine() {
    assert_none(&machine_paths(&Repository::here()));
}

#[test]
fn nothing_is_left_unfinished() {
    assert_none(&unfinished(&Repository::here()));
}

#[test]
fn a_machine_path_is_caught() {
    let text = format!("ok\nsee {}x\n", MACHINES[0]);
    assert_eq!(machine_paths(&Repository::of(&[("docs/a.md", &text)]))[0].line, 2);
}

#[test]
fn unfinished_work_is_caught() {
    let text =
        format!("// {}: later\nfn f() {{ todo!() }}\nconst {}_MAX: u8 = 1;\n", UNFINISHED[0], UNFINISHED[0]);
    let lines: Vec<usize> = unfinished(&Repository::of(&[("a.rs", &text)])).iter().map(|v| v.line).collect();
    assert_eq!(lines, [1, 2]);
}
