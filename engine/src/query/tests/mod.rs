//! Tests across the query module.

mod parsing;
