//! What `ward share` takes.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

/// What opens a secret file.
#[derive(Debug, ClapArgs)]
pub struct Passphrase {
    /// File with the passphrase; `-` for stdin [default: the environment's WARD_PASSPHRASE].
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}

/// `ward share`.
#[derive(Debug, Subcommand)]
pub enum Args {
    /// Say who has which attributes: make an authority, issue keys, begin an epoch.
    #[command(subcommand)]
    Authority(Authority),
    /// Delegate: make a house's key, grant a proxy to turn files over.
    #[command(subcommand)]
    House(House),
    /// Seal a file for those whose attributes satisfy a policy, or for a house.
    Seal(Seal),
    /// Turn a file over to another house, with a grant and without reading it.
    Turn {
        /// The file, sealed for the house that granted.
        file: PathBuf,
        /// The grant.
        #[arg(long, value_name = "FILE")]
        grant: PathBuf,
        /// Where the file for the other house goes.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Open a file.
    Open {
        /// The file.
        file: PathBuf,
        /// A holder's key or a house's secret.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// What opens the key.
        #[command(flatten)]
        passphrase: Passphrase,
        /// Where the content goes; only you can read it.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Show what a file of `ward share` is: who may open it, of which authority or house.
    Show {
        /// The file.
        file: PathBuf,
    },
}

/// What a new authority or house takes.
#[derive(Debug, ClapArgs)]
pub struct NewKey {
    /// Its name (a-z, 0-9, hyphens).
    #[arg(long)]
    pub name: String,
    /// Where its secret goes.
    #[arg(long, value_name = "FILE")]
    pub secret: PathBuf,
    /// What opens the secret.
    #[command(flatten)]
    pub passphrase: Passphrase,
    /// Where its document goes, which everybody may have.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// `ward share authority`.
#[derive(Debug, Subcommand)]
pub enum Authority {
    /// Make an authority.
    Init(NewKey),
    /// Issue a key to somebody.
    Issue {
        /// The authority's secret.
        #[arg(long, value_name = "FILE")]
        secret: PathBuf,
        /// What opens the secret.
        #[command(flatten)]
        passphrase: Passphrase,
        /// Whose key it is (a-z, 0-9, hyphens).
        #[arg(long)]
        holder: String,
        /// An attribute, as role:oncologist; repeat it, or separate several by commas.
        #[arg(long = "attribute", value_delimiter = ',', required = true, value_name = "NAME")]
        attributes: Vec<String>,
        /// File with the passphrase of the new key [default: the environment's WARD_KEY_PASSPHRASE].
        #[arg(long, value_name = "FILE")]
        key_passphrase_file: Option<PathBuf>,
        /// Where the key goes.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Begin the next epoch: what is sealed from now on opens only for keys that are issued from now on.
    Advance {
        /// The authority's secret, which is written anew.
        #[arg(long, value_name = "FILE")]
        secret: PathBuf,
        /// What opens the secret.
        #[command(flatten)]
        passphrase: Passphrase,
        /// Where its document goes.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

/// `ward share house`.
#[derive(Debug, Subcommand)]
pub enum House {
    /// Make a house's key.
    Init(NewKey),
    /// Let a proxy turn files for this house over to another; written down in the house's trail, beside its secret.
    Grant {
        /// The house's secret.
        #[arg(long, value_name = "FILE")]
        secret: PathBuf,
        /// What opens the secret.
        #[command(flatten)]
        passphrase: Passphrase,
        /// The other house's document.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
        /// What for, as a DUO code; for the trail.
        #[arg(long, value_name = "CODE")]
        purpose: Option<String>,
        /// Where the grant goes: to the proxy, and to nobody else.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

/// Who may open what is sealed.
#[derive(Debug, ClapArgs)]
#[command(group = clap::ArgGroup::new("whom").required(true).args(["authority", "to"]))]
pub struct To {
    /// The authority's document, from somewhere you trust.
    #[arg(long, value_name = "FILE", requires = "policy")]
    pub authority: Option<PathBuf>,
    /// Who may open it: attributes, `and`, `or`, parentheses.
    #[arg(long, conflicts_with = "to")]
    pub policy: Option<String>,
    /// The document of the house it is for, from somewhere you trust.
    #[arg(long, value_name = "FILE")]
    pub to: Option<PathBuf>,
    /// A note that everybody can read.
    #[arg(long, default_value = "")]
    pub note: String,
    /// Where the sealed file goes.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// `ward share seal`.
#[derive(Debug, ClapArgs)]
pub struct Seal {
    /// The file.
    pub file: PathBuf,
    /// For whom.
    #[command(flatten)]
    pub to: To,
}
