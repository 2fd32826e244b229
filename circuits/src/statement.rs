//! Relations, and the token that one of them held.

use std::fmt;

/// A relation between a public input and a witness.
///
/// Implementors are types without values: the relation is a property of the type, so that a key, a proof or a
/// [`Verified`] of one relation cannot be taken for that of another.
pub trait Statement {
    /// Name and version of the relation, unique among relations (`ward/eligibility/1`).
    const NAME: &'static str;

    /// What everybody sees.
    type Public;

    /// What only the prover knows.
    type Witness;

    /// Why a pair is not in the relation: one variant for each condition, without values of the witness.
    type Violation: std::error::Error;

    /// Decides the relation for one pair.
    ///
    /// This is the meaning of the statement; constraints written for it must accept the same pairs.
    ///
    /// # Errors
    /// The first condition that does not hold.
    fn check(public: &Self::Public, witness: &Self::Witness) -> Result<(), Self::Violation>;
}

/// A public input for which the relation `S` was verified. Only a verifying function of this crate makes one.
///
/// ```compile_fail
/// use ward_circuits::{Statement, Verified};
///
/// fn forge<S: Statement>(public: S::Public) -> Verified<S> {
///     Verified { public }
/// }
/// ```
pub struct Verified<S: Statement> {
    public: S::Public,
}

impl<S: Statement> Verified<S> {
    /// The public input.
    #[must_use]
    pub fn public(&self) -> &S::Public {
        &self.public
    }

    /// The public input, without the token.
    #[must_use]
    pub fn into_public(self) -> S::Public {
        self.public
    }
}

impl<S: Statement> fmt::Debug for Verified<S>
where
    S::Public: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified").field("statement", &S::NAME).field("public", &self.public).finish()
    }
}

/// Verifies by looking at the witness, for a verifier who is entitled to it: the issuer of a credential, or a
/// test. Sound; it hides nothing.
///
/// # Errors
/// The condition that does not hold.
pub fn verify_opened<S: Statement>(
    public: S::Public,
    witness: &S::Witness,
) -> Result<Verified<S>, S::Violation> {
    S::check(&public, witness)?;
    Ok(Verified { public })
}
