//! The configuration: what is read, and what is refused where.

use std::path::Path;

use super::repository;
use crate::party::local::config::{ConfigError, PartyConfig, SealKey, Source};
use crate::party::local::policy::{ApprovalMode, StatisticKind};
use crate::query::catalogue::{ColumnKind, OutOfBounds};

#[test]
fn the_annotated_example_loads() {
    let path = repository("docs/operating/party.example.toml");
    let config = PartyConfig::load(&path).unwrap();
    assert_eq!(config.name.as_deref(), Some("st-anna"));
    assert_eq!(config.seal_key, SealKey::File(path.parent().unwrap().join("state/seal.key")));
    assert_eq!(config.proxy.unwrap().port, 3128);
    let table = &config.tables[0];
    assert_eq!(table.source, Source::Csv(path.parent().unwrap().join("labs.csv")));
    assert_eq!((table.delimiter, table.rows_max, table.columns.len()), (b';', 100_000, 4));
    let glucose = table.column("glucose").unwrap();
    assert_eq!(
        (glucose.column.min, glucose.column.max, glucose.source.as_str()),
        (100, 10_000, "gluc_mmol_l")
    );
    assert_eq!((glucose.column.kind, glucose.column.out_of_bounds), (ColumnKind::Real, OutOfBounds::Clamp));
    let sex = &table.column("sex").unwrap().column;
    assert_eq!(
        (sex.min, sex.max, sex.codes.as_slice()),
        (0, 1, ["female".to_owned(), "male".to_owned()].as_slice())
    );
    let policy = &config.policy;
    assert_eq!((policy.floor, policy.km_step_min, policy.hospitals_min), (10, 7, 3));
    assert_eq!(policy.approval, ApprovalMode::Manual);
    assert_eq!(policy.statistics, StatisticKind::defaults());
    assert!(policy.tables["labs"].deny.contains("smoker"));
    assert!(policy.pinned_key("r.virchow").is_some());
}

#[test]
fn the_configurations_of_the_examples_load() {
    for path in ["examples/breast/A.toml", "examples/breast/D.toml", "deploy/party.toml"] {
        let config = PartyConfig::load(&repository(path)).unwrap_or_else(|e| panic!("{e}"));
        assert!(config.table("breast").is_some(), "{path}");
    }
}

#[test]
fn the_shortest_configuration_has_careful_defaults() {
    let config =
        PartyConfig::from_text("[party]\ndata_dir = \"s\"\n", Path::new("/etc/ward/party.toml")).unwrap();
    assert_eq!(config.data_dir, Path::new("/etc/ward/s"));
    assert_eq!(config.seal_key, SealKey::File("/etc/ward/s/seal.key".into()));
    assert!(!config.policy.by_hospital);
    assert_eq!((config.policy.hospitals_min, config.policy.approval), (2, ApprovalMode::Automatic));
    assert!(!config.policy.statistics.contains(&StatisticKind::MinMax));
}

const GOOD: &str = r#"[party]
data_dir = "s"
[[table]]
name = "t"
source = { csv = "t.csv" }
rows_max = 10
[[table.column]]
name = "x"
kind = "real"
digits = 1
min = 0.5
max = 10
[[table.column]]
name = "c"
kind = "category"
codes = ["a", "b"]
[policy]
floor = 2
"#;

#[test]
fn every_nonsense_is_refused_with_its_line() {
    let cases = [
        ("data_dir = \"s\"", "data_dir = \"s\"\nname = \"a b\"", 3, "a b"),
        ("data_dir = \"s\"", "data_dir = \"s\"\ncolour = 1", 3, "colour"),
        ("[[table]]", "[network]\nproxy = \"ftp://u:hunter2@p:1\"\n[[table]]", 4, "http://"),
        ("[[table]]", "[mesh]\nlisten = \"7443\"\n[[table]]", 4, "host:port"),
        ("[[table]]", "[mesh]\naddress = \"a.example:7443\"\n[[table]]", 4, "without listen"),
        ("[[table]]", "[keys]\nseal_key = { env = \"\" }\n[[table]]", 4, "environment"),
        ("name = \"t\"", "name = \"T\"", 4, "`T`"),
        ("name = \"x\"", "name = \"hospital\"", 8, "reserved"),
        ("name = \"c\"", "name = \"x\"", 14, "twice"),
        ("source = { csv = \"t.csv\" }", "source = { xlsx = \"t\" }", 5, "xlsx"),
        ("rows_max = 10", "rows_max = 0", 6, "rows_max"),
        ("rows_max = 10", "rows_max = 10\ndelimiter = \"ab\"", 7, "delimiter"),
        ("kind = \"real\"", "kind = \"float\"", 9, "float"),
        ("digits = 1", "digits = 12", 8, "digits"),
        ("digits = 1\n", "", 8, "digits"),
        ("min = 0.5", "min = 0.55", 8, "decimal places"),
        ("min = 0.5\n", "", 8, "min and max"),
        ("min = 0.5", "min = \"five\"", 8, "number"),
        ("\nmax = 10", "\nmax = 0", 8, "bounds"),
        ("\nmax = 10", "\nmax = 1e300", 8, "bounds"),
        ("\nmax = 10", "\nmax = 10\nscale = 0", 8, "scale"),
        ("\nmax = 10", "\nmax = 10\ncodes = [\"a\"]", 8, "category"),
        ("\nmax = 10", "\nmax = 10\nvalues = { a = \"b\" }", 8, "number"),
        ("codes = [\"a\", \"b\"]", "codes = [\"a\", \"a\"]", 14, "distinct"),
        ("codes = [\"a\", \"b\"]", "codes = []", 14, "codes"),
        ("codes = [\"a\", \"b\"]", "codes = [\"a\"]\nmin = 0", 14, "category"),
        ("codes = [\"a\", \"b\"]", "codes = [\"a\"]\nvalues = { q = \"z\" }", 14, "`z`"),
        ("codes = [\"a\", \"b\"]", "codes = [\"a\"]\nout_of_bounds = \"clamp\"", 14, "clamp"),
        ("floor = 2", "floor = 0", 18, "floor"),
        ("floor = 2", "statistics = [\"median\"]", 18, "median"),
        ("floor = 2", "[[policy.table]]\nname = \"u\"", 19, "`u`"),
        ("floor = 2", "[[policy.table]]\nname = \"t\"\ndeny = [\"z\"]", 20, "`z`"),
        ("floor = 2", "[[policy.user]]\nname = \"v\"\nkey = \"12\"", 20, "fingerprint"),
        ("floor = 2", "[[policy.user]]\nname = \"v\"\n[[policy.user]]\nname = \"v\"", 21, "twice"),
    ];
    assert!(PartyConfig::from_text(GOOD, Path::new("party.toml")).is_ok());
    for (from, to, expected, word) in cases {
        assert_eq!(GOOD.matches(from).count(), 1, "{from}");
        let error = PartyConfig::from_text(&GOOD.replace(from, to), Path::new("party.toml")).unwrap_err();
        let (ConfigError::Syntax { line, .. } | ConfigError::Invalid { line, .. }) = &error else {
            panic!("{to}: {error}")
        };
        assert_eq!(*line, expected, "{to}: {error}");
        assert!(error.to_string().contains(word), "{to}: {error}");
        assert!(!error.hint().is_empty() && !error.to_string().contains("hunter2"));
    }
}

#[test]
fn a_file_that_is_absent_or_huge_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let absent = PartyConfig::load(&dir.path().join("no.toml")).unwrap_err();
    assert_eq!(absent.code(), "config.unreadable");
    let huge = dir.path().join("huge.toml");
    std::fs::write(&huge, "#".repeat((1 << 20) + 1)).unwrap();
    assert_eq!(PartyConfig::load(&huge).unwrap_err().code(), "config.unreadable");
}
