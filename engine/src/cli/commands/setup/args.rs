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
    /// Verify everything so far, then contribute.
    Contribute {
        /// Where.
        #[command(flatten)]
        place: Place,
        /// Your name in the transcript.
        #[arg(long = "as", value_name = "NAME")]
        contributor: String,
        /// Certificate whose key will sign the contribution's hash; its hash enters the transcript.
        #[arg(long, value_name = "FILE")]
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
