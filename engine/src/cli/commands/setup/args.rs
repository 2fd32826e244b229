//! `ward setup` on the command line.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Which ceremony, and which phase of it.
#[derive(Debug, Clone, Args)]
pub struct Place {
    /// The ceremony's folder, as it passes from hospital to hospital.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// The statement whose second phase is meant (eligibility-1) [default: the first phase].
    #[arg(long, value_name = "NAME")]
    pub statement: Option<String>,
    /// Contributors that a closed phase must have.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub at_least: usize,
}

/// The ceremony at the engine, and as whom it is talked to.
#[derive(Debug, Clone, Args)]
pub struct At {
    /// The ceremony's job id.
    #[arg(long, value_name = "JOB")]
    pub job: String,
    /// Speak as this hospital: its configuration [default: as the member of the home folder].
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// A ceremony to be started.
#[derive(Debug, Clone, Args)]
pub struct Start {
    /// Name of the ceremony, which every contribution is bound to.
    #[arg(long)]
    pub name: String,
    /// The statement (eligibility-1).
    #[arg(long, value_name = "NAME")]
    pub statement: String,
    /// Logarithm of the size [default: the least that serves the statement].
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    pub size: u8,
    /// The hospitals in the order in which they are asked [default: all, by name].
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub order: Vec<String>,
    /// Contributors that each phase must have [default: all of them].
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub at_least: u32,
    /// Minutes of a turn: then it passes on.
    #[arg(long, value_name = "MINUTES", default_value_t = 4_320)]
    pub turn: u64,
    /// What closes each phase, in words, first phase first: "round 1234 of the beacon at ...".
    #[arg(long = "beacon", value_name = "SOURCE", num_args = 1, required = true)]
    pub beacons: Vec<String>,
    /// Minutes from now before which each beacon may not be given, first phase first.
    #[arg(long = "beacon-after", value_name = "MINUTES", num_args = 1, required = true)]
    pub beacons_after: Vec<u64>,
    /// Days after which the ceremony is given up.
    #[arg(long, value_name = "DAYS", default_value_t = 60)]
    pub days: u64,
}

/// `ward setup`.
#[derive(Debug, Clone, Subcommand)]
pub enum Setup {
    /// Begin a ceremony: phase 1, for every statement up to a size.
    New {
        /// The ceremony's folder.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        /// Name of the ceremony, which every contribution is bound to.
        #[arg(long)]
        name: String,
        /// Logarithm of the size: 2^SIZE constraints and public inputs at most.
        #[arg(long, default_value_t = 16)]
        size: u8,
    },
    /// Start a ceremony at the engine (operators).
    Start(Start),
    /// Where a ceremony at the engine is: whose turn it is, who contributed, what it waits for.
    Status {
        /// Which.
        #[command(flatten)]
        at: At,
    },
    /// Fetch a ceremony's files from the engine into a folder. Goes on where it broke.
    Fetch {
        /// The folder.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        /// Which.
        #[command(flatten)]
        at: At,
    },
    /// Give the value of the beacon that the engine's ceremony waits for (operators).
    Close {
        /// Which.
        #[command(flatten)]
        at: At,
        /// The published value, hexadecimal.
        #[arg(long, value_name = "HEX")]
        value: String,
        /// Logarithm of the number of times that it is hashed.
        #[arg(long, default_value_t = 24)]
        iterations: u8,
    },
    /// Verify everything so far, then contribute: to the folder, or with --job to the engine's ceremony.
    Contribute {
        /// Where.
        #[command(flatten)]
        place: Place,
        /// Your name in the transcript; at the engine it is your hospital's.
        #[arg(long = "as", value_name = "NAME", required_unless_present = "job", conflicts_with = "job")]
        contributor: Option<String>,
        /// Contribute to this ceremony of the engine, with the folder as the place to work. Run it again if it breaks.
        #[arg(long, value_name = "JOB", requires = "config", conflicts_with = "statement")]
        job: Option<String>,
        /// Your hospital's configuration, with --job.
        #[arg(long, value_name = "FILE", requires = "job")]
        config: Option<PathBuf>,
        /// With --job: wait until it is your turn; after a contribution to the first phase, that in the second.
        #[arg(long, requires = "job")]
        wait: bool,
        /// Certificate whose key will sign the contribution's hash; its hash enters the transcript.
        #[arg(long, value_name = "FILE", conflicts_with = "job")]
        certificate: Option<PathBuf>,
        /// File with entropy of your own (dice, typed text); `-` for stdin. Comes on top of the system's.
        #[arg(long, value_name = "FILE")]
        entropy: Option<PathBuf>,
    },
    /// Close a phase with a public value that nobody could know before.
    Beacon {
        /// Where.
        #[command(flatten)]
        place: Place,
        /// The published value, hexadecimal.
        #[arg(long, value_name = "HEX")]
        value: String,
        /// Logarithm of the number of times that it is hashed.
        #[arg(long, default_value_t = 24)]
        iterations: u8,
    },
    /// Begin the second phase of a statement, from the closed first. Takes minutes; needs no secret.
    Prepare {
        /// The ceremony's folder.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        /// The statement (eligibility-1).
        #[arg(long, value_name = "NAME")]
        statement: String,
        /// Contributors that the first phase must have.
        #[arg(long, value_name = "N", default_value_t = 3)]
        at_least: usize,
    },
    /// Verify a phase from its beginning; a second phase down to the first.
    Verify {
        /// Where.
        #[command(flatten)]
        place: Place,
        /// Hash of a contribution that must be in it, such as yours.
        #[arg(long, value_name = "HASH")]
        contains: Option<String>,
        /// Fetch this ceremony of the engine first, and compare the hospitals' signatures with the transcript.
        #[arg(long, value_name = "JOB")]
        job: Option<String>,
        /// Speak as this hospital: its configuration [default: as the member of the home folder].
        #[arg(long, value_name = "FILE", requires = "job")]
        config: Option<PathBuf>,
    },
    /// Verify everything and write the keys of a statement.
    Finalise {
        /// The ceremony's folder.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        /// The statement (eligibility-1).
        #[arg(long, value_name = "NAME")]
        statement: String,
        /// Contributors that each phase must have.
        #[arg(long, value_name = "N", default_value_t = 3)]
        at_least: usize,
        /// Folder for the keys.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
    /// List the contributions. Reads the transcripts without verifying them.
    Show {
        /// The ceremony's folder.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
}
