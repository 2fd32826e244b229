//! Regression.

pub mod local;
pub mod scaling;
