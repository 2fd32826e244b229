//! The ceremony that makes the proof system's keys: its steps, wherever they are taken.
//!
//! - [`steps`]: the steps on a [`folder`], each verifying all that came before it. Hospitals take them on a folder that
//!   passes from one to the next, or on one that they fetched from the engine; the engine takes its own the same way.
//! - [`course`]: a ceremony that the engine coordinates, as the list of what happened: whose turn it is, until when, and
//!   what comes next. Pure.
//! - [`status`]: a coordinated ceremony as its members see it.
//! - [`statements`]: what keys can be made for. - [`problems`]: errors for people.
//!
//! # Security
//! The engine may be malicious: it can stop a ceremony, and nothing else. Every contributor verifies all that it is handed
//! before it multiplies, and finds its contribution in the transcript by its hash. A contributor's factors are in memory
//! only: whatever is cut off before its state is written is drawn afresh.

pub mod course;
pub mod folder;
pub mod problems;
pub mod statements;
pub mod status;
pub mod steps;

#[cfg(test)]
mod course_tests;
#[cfg(test)]
mod square;
#[cfg(test)]
mod tests;

#[cfg(test)]
use self::statements::Known;
use chacha20::ChaCha20Rng;
use rand_core::SeedableRng as _;
use zeroize::Zeroizing;

use crate::problem::Problem;

/// Context under which a hospital signs the hash of its contribution, after the job's id.
pub const CONTRIBUTION: &str = "ward/v1/setup-contribution";

/// A generator seeded by the operating system.
///
/// # Errors
/// When the system has no randomness to give.
pub fn system_rng() -> Result<ChaCha20Rng, Problem> {
    let mut seed = Zeroizing::new([0u8; 32]);
    getrandom::fill(seed.as_mut_slice()).map_err(|error| Problem::internal(&error))?;
    Ok(ChaCha20Rng::from_seed(*seed))
}
