//! Inside the engine: where protobuf types, SQL and secrets may be named.

use crate::repository::{Repository, Violation, assert_none};

/// Where generated protobuf types may be named: the services, the node's stream, and the client's session and
/// commands, which are the other end of the services.
const PROTOBUF: [&str; 5] = [
    "engine/src/grpc/",
    "engine/src/party/transport.rs",
    "engine/src/party/transport/",
    "engine/src/cli/session/",
    "engine/src/cli/commands/",
];

/// Where SQL is sent to a database.
const STORE: [&str; 2] = ["engine/src/store/", "engine/src/store.rs"];

/// How statements of a database begin. Ward's own queries are SQL too, but only SELECT.
const STATEMENTS: [&str; 8] = [
    "INSERT INTO",
    "INSERT OR",
    "UPDATE ",
    "DELETE FROM",
    "CREATE TABLE",
    "CREATE INDEX",
    "DROP TABLE",
    "PRAGMA ",
];

/// What the scheduler may not name: keys, shares of keys, rows in the clear.
const NOT_THE_SCHEDULERS: [&str; 10] = [
    "SecretKey",
    "SecretKeyShare",
    "KeyShare",
    "SecretShare",
    "ShamirShare",
    "DecryptionShare",
    "DataFrame",
    "LazyFrame",
    "Series",
    "polars",
];

fn starts_with_any(path: &str, places: &[&str]) -> bool {
    places.iter().any(|place| path.starts_with(place))
}

fn stray_protobuf(repository: &Repository) -> Vec<Violation> {
    let mut found = Vec::new();
    for source in repository.sources("engine/src/").filter(|s| !starts_with_any(s.path, &PROTOBUF)) {
        for named in source.named() {
            let generated = format!("::{}::", named.path);
            let generated = generated.contains("::grpc::v1::") || generated.contains("::include_proto::");
            if generated {
                let what = format!("names {}, generated from protobuf", named.path);
                found.push(Violation::new(source.path, source.line(named.at), what));
            }
        }
    }
    found
}

fn stray_sql(repository: &Repository) -> Vec<Violation> {
    let mut found = Vec::new();
    for source in repository.sources("engine/src/").filter(|s| !starts_with_any(s.path, &STORE)) {
        let tests = source.test_lines();
        let drivers = source
            .named()
            .into_iter()
            .filter(|named| named.is_under("rusqlite") || named.is_under("sqlx"))
            .map(|named| (named.at, named.path));
        let statements = source
            .strings
            .iter()
            .filter(|(_, text)| STATEMENTS.iter().any(|word| text.trim_start().starts_with(word)))
            .map(|(at, _)| (*at, "a statement of a database".to_owned()));
        for (at, what) in drivers.chain(statements).filter(|(at, _)| !tests[source.line(*at)]) {
            found.push(Violation::new(source.path, source.line(at), format!("{what} outside the store")));
        }
    }
    found
}

fn scheduler_secrets(repository: &Repository) -> Vec<Violation> {
    let mut found = Vec::new();
    for source in repository.sources("engine/src/job") {
        for (at, word) in source.words() {
            if NOT_THE_SCHEDULERS.contains(&word.as_str()) {
                let what = format!("the scheduler names {word}");
                found.push(Violation::new(source.path, source.line(at), what));
            }
        }
    }
    found
}

#[test]
fn protobuf_types_stay_at_the_edge() {
    assert_none(&stray_protobuf(&Repository::here()));
}

#[test]
fn sql_text_stays_in_the_store() {
    assert_none(&stray_sql(&Repository::here()));
}

#[test]
fn the_scheduler_names_no_secret_and_no_row() {
    assert_none(&scheduler_secrets(&Repository::here()));
}

#[test]
fn a_stray_protobuf_type_is_caught() {
    let repository = Repository::of(&[
        ("engine/src/query/a.rs", "use crate::grpc::{status, v1::Job};"),
        ("engine/src/grpc/b.rs", "use crate::grpc::v1::Job;"),
        ("engine/src/cli/c.rs", "use crate::grpc::client;"),
        ("engine/src/cli/commands/d.rs", "use crate::grpc::v1::Job;"),
        ("engine/src/cli/output/e.rs", "use crate::grpc::v1::Job;"),
    ]);
    let paths: Vec<String> = stray_protobuf(&repository).into_iter().map(|v| v.path).collect();
    assert_eq!(paths, ["engine/src/query/a.rs", "engine/src/cli/output/e.rs"]);
}

#[test]
fn stray_sql_is_caught_and_a_query_of_ward_is_none() {
    let repository = Repository::of(&[
        (
            "engine/src/job/a.rs",
            "const A: &str = \"\n  INSERT INTO jobs VALUES (?1)\";\nuse rusqlite::params;",
        ),
        ("engine/src/cli/b.rs", "const A: &str = \"SELECT COUNT(*) FROM breast\";"),
        ("engine/src/store/c.rs", "const A: &str = \"DELETE FROM jobs\";"),
    ]);
    let found = stray_sql(&repository);
    assert_eq!(found.len(), 2);
    assert!(found.iter().all(|violation| violation.path == "engine/src/job/a.rs"));
}

#[test]
fn a_secret_in_the_scheduler_is_caught() {
    let sample = [("engine/src/job/a.rs", "// SecretKey\nfn f(key: &SecretKey, rows: polars::DataFrame) {}")];
    assert_eq!(scheduler_secrets(&Repository::of(&sample)).len(), 3);
}
