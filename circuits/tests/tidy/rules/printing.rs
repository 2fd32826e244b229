//! Printing lives in one place; everything else traces.

use crate::repository::{Repository, Violation, assert_none};
use crate::source::Source;

const PRINTING: [&str; 5] = ["print!", "println!", "eprint!", "eprintln!", "dbg!"];

/// The output of the command line, build scripts (they talk to cargo), benches and examples.
const MAY_PRINT: [&str; 4] = ["engine/src/cli/output.rs", "engine/src/cli/output/", "bench/", "examples/"];

fn stray_printing(repository: &Repository) -> Vec<Violation> {
    let may = |source: &Source<'_>| {
        MAY_PRINT.iter().any(|place| source.path.starts_with(place)) || source.path.ends_with("build.rs")
    };
    let mut found = Vec::new();
    for source in repository.sources("").filter(|source| !may(source)) {
        let tests = source.test_lines();
        for (at, word) in source.words() {
            let name = format!("{word}!");
            let called = source.code[at + word.len()..].starts_with('!') && PRINTING.contains(&name.as_str());
            let stdio = matches!(word.as_str(), "stdout" | "stderr")
                && source.code[..at].ends_with("io::")
                && source.code[at..].starts_with(&format!("{word}()"));
            if (called || stdio) && !tests[source.line(at)] {
                found.push(Violation::new(source.path, source.line(at), format!("prints by {word}")));
            }
        }
    }
    found
}

#[test]
fn only_the_output_module_prints() {
    assert_none(&stray_printing(&Repository::here()));
}

#[test]
fn stray_printing_is_caught() {
    let repository = Repository::of(&[
        ("engine/src/job/a.rs", "fn f() {\n    println!(\"x\");\n    std::io::stdout().lock();\n}"),
        ("engine/src/cli/output/b.rs", "fn f() { println!(\"x\"); }"),
        (
            "engine/src/c.rs",
            "// println!\nfn f() { x.println() }\n#[cfg(test)]\nmod tests { fn f() { dbg!(1); } }",
        ),
    ]);
    let found = stray_printing(&repository);
    assert_eq!(
        found.iter().map(|v| (v.path.as_str(), v.line)).collect::<Vec<_>>(),
        [("engine/src/job/a.rs", 2), ("engine/src/job/a.rs", 3)]
    );
}
