//! The OMOP source over a real PostgreSQL server, which this test starts as a user without rights.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use flate2::read::MultiGzDecoder;

use super::{key, repository};
use crate::party::local::config::PartyConfig;
use crate::party::local::data::LocalData;

/// The folder of the server's programs: `WARD_PG_BIN`, or the newest of Debian's.
fn programs() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("WARD_PG_BIN") {
        return Some(named.into());
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut found: Vec<PathBuf> = versions.filter_map(|v| Some(v.ok()?.path().join("bin"))).collect();
    found.retain(|bin| bin.join("initdb").exists());
    found.sort();
    found.pop()
}

struct Server {
    bin: PathBuf,
    folder: tempfile::TempDir,
    port: u16,
    child: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command as `postgres` where the tests run as root: the server refuses to be root's.
fn unprivileged(program: &Path) -> Command {
    let id = Command::new("id").arg("-u").output().expect("id");
    if id.stdout.trim_ascii() == b"0" {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
        return command;
    }
    Command::new(program)
}

fn done(what: &str, output: std::io::Result<Output>) -> Output {
    let output = output.unwrap_or_else(|e| panic!("{what}: {e}"));
    assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

impl Server {
    fn start() -> Option<Self> {
        let Some(bin) = programs() else {
            let what = "no PostgreSQL server here; .ci/servers installs it";
            assert_ne!(std::env::var("WARD_TEST_SERVERS").as_deref(), Ok("required"), "{what}");
            eprintln!("SKIPPED: {what}");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let password = folder.path().join("super.password");
        std::fs::write(&password, "hunter2\n").unwrap();
        std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o644)).unwrap();
        let data = folder.path().join("data");
        let mut initdb = unprivileged(&bin.join("initdb"));
        initdb.arg("-D").arg(&data).args(["-U", "super", "-A", "scram-sha-256", "--no-sync", "-E", "UTF8"]);
        initdb.args(["--locale=C", "--no-instructions"]).arg(format!("--pwfile={}", password.display()));
        done("initdb", initdb.current_dir("/").output());
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let mut server = unprivileged(&bin.join("postgres"));
        server.arg("-D").arg(&data).args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"]);
        server.args(["-c", "fsync=off", "-c", "unix_socket_directories="]).current_dir("/");
        let child = server.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("postgres");
        let server = Self { bin, folder, port, child };
        let begin = Instant::now();
        while !server.psql("SELECT 1").status.success() {
            assert!(begin.elapsed() < Duration::from_secs(30), "the server does not answer");
            std::thread::sleep(Duration::from_millis(100));
        }
        Some(server)
    }

    fn psql(&self, sql: &str) -> Output {
        let mut psql = Command::new(self.bin.join("psql"));
        psql.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "super", "-d", "postgres"]);
        psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", sql]).env("PGPASSWORD", "hunter2");
        psql.output().expect("psql")
    }

    fn run(&self, sql: &str) {
        done(sql, Ok(self.psql(sql)));
    }

    /// A table of the shipped OMOP files, its columns of these types.
    fn load(&self, table: &str, columns: &str) {
        self.run(&format!("CREATE TABLE cdm.{table} ({columns})"));
        let packed = repository(&format!("examples/data/omop/hospital_A/{table}.csv.gz"));
        let plain = self.folder.path().join(format!("{table}.csv"));
        let mut reader = MultiGzDecoder::new(std::fs::File::open(packed).unwrap());
        std::io::copy(&mut reader, &mut std::fs::File::create(&plain).unwrap()).unwrap();
        let heading = std::fs::read_to_string(&plain).unwrap();
        let heading = heading.lines().next().unwrap().to_owned();
        self.run(&format!("\\copy cdm.{table} ({heading}) FROM '{}' CSV HEADER", plain.display()));
    }

    /// A configuration that reads the schema `cdm`: its tables are those of `text`.
    fn config(&self, text: &str) -> PartyConfig {
        let password = self.folder.path().join("ward.password");
        std::fs::write(&password, "secret\n").unwrap();
        std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o600)).unwrap();
        let text = format!(
            "{text}\n[postgres.cdm]\nhost = \"127.0.0.1\"\nport = {}\ndatabase = \"postgres\"\nuser = \"ward\"\n\
             password = {{ file = \"ward.password\" }}\nschema = \"cdm\"\nrefresh_s = 0\n",
            self.port
        );
        PartyConfig::from_text(&text, &self.folder.path().join("party.toml"))
            .unwrap_or_else(|e| panic!("{e}"))
    }
}

/// The columns of a shipped file, all of one type but those named otherwise.
fn columns(table: &str, typed: &[(&str, &str)]) -> String {
    let packed = repository(&format!("examples/data/omop/hospital_A/{table}.csv.gz"));
    let mut heading = String::new();
    let reader = MultiGzDecoder::new(std::fs::File::open(packed).unwrap());
    std::io::BufRead::read_line(&mut std::io::BufReader::new(reader), &mut heading).unwrap();
    let column = |name: &str| {
        let of = typed.iter().find(|(suffix, _)| name.ends_with(suffix)).map_or("text", |(_, of)| of);
        format!("{name} {of}")
    };
    heading.trim().split(',').map(column).collect::<Vec<_>>().join(", ")
}

const TYPES: [(&str, &str); 4] =
    [("_id", "integer"), ("_of_birth", "integer"), ("_date", "date"), ("_datetime", "timestamp")];

#[test]
fn a_database_has_the_version_of_its_files_and_5_4_has_its_own_columns() {
    let Some(server) = Server::start() else { return };
    server.run("CREATE SCHEMA cdm");
    server.run("CREATE ROLE ward LOGIN PASSWORD 'secret'");
    for table in ["person", "condition_occurrence", "drug_exposure"] {
        server.load(table, &columns(table, &TYPES));
    }
    let text = std::fs::read_to_string(repository("examples/omop/A.toml")).unwrap();
    let mapping = repository("examples/omop/mapping.toml");
    let files = PartyConfig::load(&repository("examples/omop/A.toml")).unwrap();
    let files = LocalData::open(&files, key()).unwrap();
    let source = "{ omop = { folder = \"../data/omop/hospital_A\", mapping = \"mapping.toml\" } }";
    assert_eq!(text.matches(source).count(), 2, "the example's sources");
    let database =
        format!("{{ postgres = {{ connection = \"cdm\", mapping = \"{}\" }} }}", mapping.display());
    let config = server.config(&text.replace(source, &database));

    // Without the right to read, and then with that right alone.
    let refused = LocalData::open(&config, key()).unwrap_err();
    assert_eq!(refused.code(), "data.database");
    assert!(refused.to_string().contains("42501"), "{refused}");
    server.run("GRANT USAGE ON SCHEMA cdm TO ward");
    server.run("GRANT SELECT ON ALL TABLES IN SCHEMA cdm TO ward");
    let data = LocalData::open(&config, key()).unwrap_or_else(|e| panic!("{e}"));
    for table in ["persons", "conditions"] {
        assert_eq!(data.survey(table).unwrap(), files.survey(table).unwrap(), "{table}");
        let version = data.dataset_version(table).unwrap();
        assert_eq!(version, files.dataset_version(table).unwrap(), "{table}");
        // The order in which a database gives its rows is its own; the places of rows are the version's.
        assert_eq!(
            data.patients(table, &version).unwrap().unwrap().len() as u64,
            data.survey(table).unwrap().rows
        );
    }
    let before = data.dataset_version("persons").unwrap();
    server.run("UPDATE cdm.person SET year_of_birth = year_of_birth + 1 WHERE person_id = (SELECT min(person_id) FROM cdm.person)");
    assert_ne!(data.dataset_version("persons").unwrap(), before);
    assert!(data.patients("persons", &before).is_err(), "patients of a version that is gone");

    server.run(
        "CREATE TABLE cdm.visit_occurrence (visit_occurrence_id integer, person_id integer, \
                visit_start_date date, admitted_from_source_value text)",
    );
    server.run(
        "INSERT INTO cdm.visit_occurrence VALUES (1, 10, '2024-02-01', 'ER'), (2, 10, '2024-03-01', NULL), \
                (3, 11, '2024-04-01', 'ER')",
    );
    server.run("GRANT SELECT ON cdm.visit_occurrence TO ward");
    let write = |standard: &str| {
        let text = format!(
            "schema = \"ward-mapping/1\"\nstandard = \"{standard}\"\n[table.visits]\nrow = \"visit_occurrence\"\n\
             [table.visits.column]\norigin = \"admitted_from_source_value\"\nyear = \"visit_start_date.year()\"\n"
        );
        std::fs::write(server.folder.path().join("visits.toml"), text).unwrap();
    };
    let config = server.config(
        "[party]\ndata_dir = \"state\"\n[[table]]\nname = \"visits\"\nrows_max = 10\n\
         source = { postgres = { connection = \"cdm\", mapping = \"visits.toml\" } }\n\
         [[table.column]]\nname = \"origin\"\nkind = \"category\"\ncodes = [\"ER\"]\n\
         [[table.column]]\nname = \"year\"\nkind = \"integer\"\nmin = 2000\nmax = 2030\n",
    );
    write("omop-5.4");
    let survey = LocalData::open(&config, key()).unwrap_or_else(|e| panic!("{e}")).survey("visits").unwrap();
    assert_eq!((survey.rows, survey.patients.unwrap().distinct, survey.columns[0].missing), (3, 2, 1));
    write("omop-5.3");
    assert_eq!(LocalData::open(&config, key()).unwrap_err().code(), "data.mapping_file");
}
