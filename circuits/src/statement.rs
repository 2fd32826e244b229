//! Relations, and the token that one of them held.

use std::fmt;

use crate::field::Element;
use crate::r1cs::{Builder, Matrices, Num, Part};

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

impl<S: Statement> Verified<S> {
    /// Only a verifying function of this crate calls it.
    pub(crate) fn new(public: S::Public) -> Self {
        Self { public }
    }
}

/// A statement that is also written as constraints, so that it can be proved without showing the witness.
///
/// The constraints accept the same pairs as [`Statement::check`]: tests of each statement assert it on pairs inside
/// the relation and on pairs outside it for each named reason.
pub trait ConstrainedStatement: Statement {
    /// Public inputs of the proof.
    const INPUTS: usize;

    /// The public inputs: [`Self::INPUTS`] elements that bind all of `public`. Who verifies computes them anew.
    fn public_inputs(public: &Self::Public) -> Vec<Element>;

    /// Writes the constraints. `inputs` are the variables of the public inputs.
    ///
    /// The constraints are the same whatever the values; a pair outside the relation gives variables that do not
    /// satisfy them, and never a panic.
    fn synthesize(builder: &mut Builder, inputs: &[Num], public: &Self::Public, witness: &Self::Witness);

    /// Some pair of the right shape, for recording the constraints. Whether the relation holds of it is of no
    /// account.
    fn example() -> (Self::Public, Self::Witness);
}

/// The constraints of a statement, and how many each of its parts takes.
#[must_use]
pub fn constraints<S: ConstrainedStatement>() -> (Matrices, Vec<Part>) {
    let (public, witness) = S::example();
    let (mut builder, inputs) = Builder::shape(&S::public_inputs(&public));
    S::synthesize(&mut builder, &inputs, &public, &witness);
    let parts = builder.parts().iter().filter(|part| part.constraints > 0).copied().collect();
    (builder.finish().0, parts)
}
