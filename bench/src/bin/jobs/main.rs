//! Whole jobs, as a researcher waits for them: an engine and hospitals as separate processes on loopback, from
//! `ward submit` to the verified result, beside yardsticks taken in the same run.
//!
//! `cargo run --release -p ward-bench --bin jobs` after `cargo build --release -p ward-engine`; `--ward PATH` takes
//! another binary than the one beside this. Every answer is held against the same statistics computed in the clear:
//! integers exactly, reals to 1e-9 relative. The exit code is 1 when one differs; no time makes it fail.

mod clear;
mod process;
mod report;
mod story;
mod world;
mod yardstick;

use std::path::PathBuf;
use std::process::ExitCode;

/// What goes wrong ends the run, in words.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const HELP: &str = "jobs: times whole Ward jobs on loopback

  --ward PATH   the `ward` binary [default: the one beside this program]
  --dir DIR     folder for data and state, kept [default: a temporary folder, removed]
  --runs N      measured runs of every job, after one to warm up [default: 7]
  --rows N      rows of each of the five synthetic hospitals [default: 200000]
  --job NAME    only the job of this name: count, survival or synth
  --json        print JSON instead of a table";

/// The command line.
struct Options {
    ward: PathBuf,
    dir: Option<PathBuf>,
    runs: usize,
    rows: u64,
    job: Option<String>,
    json: bool,
}

impl Options {
    /// `None` when help was asked for.
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Option<Self>> {
        let program = std::env::current_exe()?;
        let mut options = Self {
            ward: program.with_file_name("ward"),
            dir: None,
            runs: 7,
            rows: 200_000,
            job: None,
            json: false,
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value"));
            match word.as_str() {
                "--ward" => options.ward = PathBuf::from(value()?),
                "--dir" => options.dir = Some(PathBuf::from(value()?)),
                "--runs" => options.runs = value()?.parse::<usize>()?.max(1),
                "--rows" => options.rows = value()?.parse::<u64>()?.max(1),
                "--job" => options.job = Some(value()?),
                "--json" => options.json = true,
                "--help" | "-h" => return Ok(None),
                _ => return Err(format!("{word} is no option; see --help").into()),
            }
        }
        if !options.ward.is_file() {
            return Err(format!(
                "there is no binary {}: build it, or name it by --ward",
                options.ward.display()
            )
            .into());
        }
        Ok(Some(options))
    }
}

fn run() -> Result<bool> {
    let Some(options) = Options::parse(std::env::args().skip(1))? else {
        println!("{HELP}");
        return Ok(true);
    };
    let own = std::env::temp_dir().join(format!("ward-jobs-{}", std::process::id()));
    let dir = options.dir.clone().unwrap_or_else(|| own.clone());
    let measured = story::all(&options, &dir);
    if options.dir.is_none() && own.exists() {
        std::fs::remove_dir_all(&own)?;
    }
    let measured = measured?;
    if options.json {
        println!("{}", report::json(&measured));
    } else {
        print!("{}", report::table(&measured));
    }
    Ok(measured.jobs.iter().all(|job| job.wrong.is_empty()))
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}
