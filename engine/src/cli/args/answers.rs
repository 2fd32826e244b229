//! What is asked of an answer, and where it goes.

use std::path::PathBuf;

use clap::Args;

use crate::problem::Problem;
use crate::proofs::ContributionVerifier;

/// Noise, rounding and proofs, as clauses of the query ask for them.
#[derive(Debug, Clone, Default, Args)]
pub struct PrivacyArgs {
    /// Answer with noise: differential privacy with this epsilon.
    #[arg(long, value_name = "E")]
    pub epsilon: Option<String>,
    /// Round the counts to multiples of 5, as the clause WITH ROUNDING does.
    #[arg(long, conflicts_with = "epsilon")]
    pub rounding: bool,
    /// Have every hospital prove its contribution, as the clause WITH PROOFS does.
    #[arg(long, conflicts_with_all = ["epsilon", "rounding"])]
    pub proofs: bool,
    /// With this delta (Gaussian noise); without it, none (Laplace noise).
    #[arg(long, value_name = "D", requires = "epsilon")]
    pub delta: Option<String>,
}

impl PrivacyArgs {
    /// The query with the clause.
    #[must_use]
    pub fn apply(&self, sql: &str) -> String {
        if self.proofs {
            return format!("{} WITH PROOFS", sql.trim_end().trim_end_matches(';'));
        }
        if self.rounding {
            return format!("{} WITH ROUNDING", sql.trim_end().trim_end_matches(';'));
        }
        let Some(epsilon) = &self.epsilon else { return sql.to_owned() };
        let delta = self.delta.as_ref().map(|delta| format!(", delta = {delta}")).unwrap_or_default();
        let query = sql.trim_end().trim_end_matches(';');
        format!("{query} WITH PRIVACY (epsilon = {epsilon}{delta})")
    }
}

/// `ward result`.
#[derive(Debug, Args)]
pub struct ResultArgs {
    /// Job id.
    pub job: String,
    /// Where the answer goes.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Where an answer goes besides the terminal.
#[derive(Debug, Clone, Args)]
pub struct OutputArgs {
    /// Write the receipt to this file.
    #[arg(long, value_name = "FILE")]
    pub receipt: Option<PathBuf>,
    /// Write plots as SVG files into this folder.
    #[arg(long, value_name = "DIR")]
    pub svg: Option<PathBuf>,
    /// Write the answer as CSV to this file, a line per number.
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// Do not draw plots in the terminal.
    #[arg(long)]
    pub no_plot: bool,
    /// By which key proofs are verified, of an answer that has them.
    #[command(flatten)]
    pub proofs: ProofKeyArgs,
}

/// By which key proofs of contributions are verified.
#[derive(Debug, Clone, Default, Args)]
pub struct ProofKeyArgs {
    /// Verify the hospitals' proofs by the key in this folder (`ward attest key`).
    #[arg(long, value_name = "DIR")]
    pub proof_key: Option<PathBuf>,
    /// Allow a key that one party made alone.
    #[arg(long, requires = "proof_key")]
    pub dev_key: bool,
}

impl ProofKeyArgs {
    /// The key; none where no folder is named.
    ///
    /// # Errors
    /// When there is none in the folder, or a development key that is not allowed.
    pub fn load(&self) -> Result<Option<ContributionVerifier>, Problem> {
        let load = |folder: &PathBuf| ContributionVerifier::load(folder, self.dev_key);
        Ok(self.proof_key.as_ref().map(load).transpose()?)
    }
}
