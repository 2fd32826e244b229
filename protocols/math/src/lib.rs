//! Arithmetic kernels of Ward.
//!
//! One residue-number-system (RNS) basis serves every profile, the CPU, the GPU and the wire: `u32` limbs
//! modulo 27-bit primes `q_l = 1 (mod 2^15)`. The five spare bits of a limb carry lazy butterflies and 31
//! lazy additions.
//!
//! - [`modulus`]: the fixed primes and arithmetic modulo one of them.
//! - [`ntt`]: tables of the negacyclic number-theoretic transform.
//! - [`ring`]: degree, primes and tables together; [`poly`]: polynomials over it, typed by representation.
//! - [`backend`]: the operations a CPU or a GPU offers, with a scalar reference that defines them.
//! - [`gf64`], [`prime`]: the fields over which products are verified, with [`lanes`] and [`karatsuba`], kernels on many
//!   words and elements at once.
//! - [`digits`]: wide integers in radix 2^27 and their reduction to RNS.
//! - [`sampling`]: secret and public randomness, from a generator that is always an argument.
//! - [`secret`]: values that are wiped and cannot be printed, copied or compared.
//! - [`codec`]: checked reading and writing of bytes.
//! - [`pages`]: large memory in huge pages, for binaries.
//!
//! Nothing here spawns, sleeps, reads a clock, a file or an environment variable.
#![deny(unsafe_code)]

pub mod backend;
mod clmul;
pub mod codec;
pub mod digits;
mod error;
pub mod gf64;
pub mod karatsuba;
mod kernel;
pub mod lanes;
pub mod modulus;
pub mod ntt;
#[expect(unsafe_code, reason = "an allocator is")]
pub mod pages;
pub mod poly;
pub mod prime;
pub mod ring;
pub mod sampling;
pub mod secret;
#[expect(
    unsafe_code,
    reason = "the one place that calls functions compiled for CPU features found at run time"
)]
mod simd;
#[expect(unsafe_code, reason = "the same, for the kernels that verify products")]
mod wide;

pub use backend::{Backend, CpuBackend, ReferenceBackend};
pub use error::{Error, Result};
pub use modulus::Modulus;
pub use poly::{Coefficients, Evaluations, FixedPoly, Poly};
pub use ring::Ring;
pub use secret::Secret;
pub use simd::cpu_tier;
