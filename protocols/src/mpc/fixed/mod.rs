//! Numbers with a point, on shares: truncation, reciprocals, roots, powers, numbers with an exponent.
//!
//! A fixed-point number is an integer of the ring read as a multiple of `2^-s`, where the program says what `s` is. Only
//! results have to fit the ring: sums and products on the way may wrap. [`Floats`] keeps a mantissa and a shared
//! exponent where the size of a value is not known. Formats, bounds and measured errors are in the page on numerics.
//!
//! - [`masks`]: what truncation needs, made in bulk.
//! - [`truncate`](mod@truncate): division by powers of two.
//! - [`normalise`](mod@normalise): the power of two that brings a value to the top of its range.
//! - [`reciprocal`](mod@reciprocal), [`root`] and [`power`]: functions of one argument.
//! - [`floats`]: mantissa and exponent.

pub mod floats;
pub mod masks;
pub mod normalise;
pub mod power;
pub mod reciprocal;
pub mod root;
pub mod truncate;

pub use floats::Floats;
pub use masks::Masks;
