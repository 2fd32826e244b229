//! Files and functions that can be read in one go.

use crate::repository::{Repository, Violation, assert_none};

/// Lines of a file, its tests aside.
const FILE_LINES_MAX: usize = 500;

/// Lines of a function, tests aside.
const FUNCTION_LINES_MAX: usize = 70;

fn oversized(repository: &Repository) -> Vec<Violation> {
    let mut found = Vec::new();
    for source in repository.sources("") {
        let tests = source.test_lines();
        let lines = (1..=source.text.lines().count()).filter(|&line| !tests[line]).count();
        if lines > FILE_LINES_MAX {
            let what = format!("{lines} lines without tests, {FILE_LINES_MAX} at most");
            found.push(Violation::new(source.path, 0, what));
        }
        for function in source.functions() {
            let line = source.line(function.at);
            if !tests[line] && function.lines > FUNCTION_LINES_MAX {
                let what =
                    format!("{} has {} lines, {FUNCTION_LINES_MAX} at most", function.name, function.lines);
                found.push(Violation::new(source.path, line, what));
            }
        }
    }
    found
}

#[test]
fn files_and_functions_are_small() {
    assert_none(&oversized(&Repository::here()));
}

#[test]
fn a_long_file_and_a_long_function_are_caught_and_long_tests_are_not() {
    let file = "fn a() {}\n".repeat(501);
    let function = format!("fn long() {{\n{}}}\n", "    b();\n".repeat(70));
    let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "    fn a() {}\n".repeat(600));
    let repository = Repository::of(&[("a.rs", &file), ("b.rs", &function), ("c.rs", &tests)]);
    let paths: Vec<String> = oversized(&repository).into_iter().map(|v| v.path).collect();
    assert_eq!(paths, ["a.rs", "b.rs"]);
}
