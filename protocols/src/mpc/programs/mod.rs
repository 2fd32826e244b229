//! Programs: what a query needs of multi-party computation, from shared inputs to outputs that may be opened.
//!
//! - [`regression`]: linear, logistic and Cox regression from sums that hospitals compute.

pub mod regression;
