//! `eligibility/v1`: a patient meets the criteria of a study, and nothing else is said.

pub mod attributes;
pub mod set;
pub mod types;

pub use attributes::Attributes;
pub use set::CodeSet;
pub use types::{
    CLAUSES_MAX, Clause, Criteria, CriteriaError, Interval, Run, SET_CLAUSES_MAX, SLOTS, Slot, SlotIndex,
    Test,
};
