//! Newton's method where hospitals sum over their rows and nodes compute the step in shares.
//!
//! Every iteration opens the coefficients, to nodes and hospitals: the hospitals need them for their next sums. Nothing
//! else is opened on the way; whether the method has settled is a public function of what is open anyway.

use crate::mpc::error::Result;
use crate::mpc::fixed::Masks;
use crate::mpc::fixed::truncate::{truncate, truncate_each};
use crate::mpc::gates::multiply::inner_products;
use crate::mpc::gates::open::open;
use crate::mpc::security::Security;
use crate::mpc::session::Session;
use crate::mpc::shares::RingShares;

use super::inverse::{self, A_DIGITS, X_DIGITS};

/// Digits of a gradient before it is cut, and of an opened step.
pub(super) const STEP_DIGITS: u32 = 40;

/// Steps on the inverse where the last one serves as a start.
const WARM_STEPS: usize = 2;

/// A gradient and an information matrix in common units.
pub(super) struct Slope {
    /// `top` digits.
    pub gradient: RingShares,
    /// Upper triangle, `top` digits, diagonal in [0, 1].
    pub information: RingShares,
    /// Digits.
    pub top: u32,
}

/// Where the method is.
pub(super) struct Newton {
    p: usize,
    /// Coefficients, scaled units.
    pub beta: Vec<f64>,
    /// The matrix at the last coefficients but one step, 38 digits.
    pub matrix: RingShares,
    /// Its inverse, 22 digits.
    pub inverse: Option<RingShares>,
    steps: Vec<f64>,
    /// A step below this settles: the next would be of the order of the rounding.
    settled: f64,
    /// After a longer step the inverse starts afresh: the information may have grown past what the last one can mend.
    near: f64,
}

impl Newton {
    /// `near` is the longest step after which the last inverse still serves: the information may at most double with it.
    pub fn new(p: usize, settled: f64, near: f64) -> Self {
        let (beta, matrix) = (vec![0.0; p], RingShares::default());
        Self { p, beta, matrix, inverse: None, steps: Vec::new(), settled, near }
    }

    /// Steps on the inverse that come next: few from the last one, all of them at first and when the method runs away.
    pub fn steps_ahead(&self) -> usize {
        let is_growing = matches!(self.steps[..], [.., before, last] if last > 4.0 * before);
        let is_near = self.steps.last().is_some_and(|last| *last <= self.near);
        if self.inverse.is_some() && is_near && !is_growing {
            WARM_STEPS
        } else {
            inverse::cold_steps(self.p)
        }
    }

    /// True when the last step was of the order of the rounding.
    pub fn is_settled(&self) -> bool {
        self.steps.last().is_some_and(|step| *step < self.settled)
    }

    /// One step, which is opened.
    ///
    /// Rounds: 2, those of the steps on the inverse, 4, and those of an opening.
    pub fn step<S: Security>(
        &mut self,
        session: &mut Session<'_, S>,
        masks: &mut Masks,
        slope: &Slope,
    ) -> Result<()> {
        // The matrix with 38 digits and the gradient with as many as the step's size allows: X times it must fit.
        let bound = self.bound();
        let digits = STEP_DIGITS.saturating_add_signed(-bound).min(slope.top);
        let both = RingShares::concat(&[&slope.information, &slope.gradient]);
        let triangle = slope.information.len();
        let shifts: Vec<u32> =
            (0..both.len()).map(|k| slope.top - if k < triangle { A_DIGITS } else { digits }).collect();
        let cut = truncate_each(&mut session.narrow("cut"), masks, &both, &shifts)?;
        self.matrix = inverse::whole(&cut.range(0..triangle), self.p);
        let gradient = cut.range(triangle..cut.len());

        let steps = self.steps_ahead();
        let from = match self.inverse.take() {
            Some(last) if steps == WARM_STEPS => last,
            _ => inverse::start(session, self.p),
        };
        let x = inverse::improve(&mut session.narrow("inverse"), masks, &self.matrix, from, (self.p, steps))?;

        let rows: Vec<usize> = (0..self.p * self.p).map(|k| k % self.p).collect();
        let product = inner_products(&mut session.narrow("step"), &x, &gradient.gather(&rows), self.p)?;
        let down = X_DIGITS + digits - STEP_DIGITS;
        let change = truncate(&mut session.narrow("round"), masks, &product, down)?;
        let opened = open(&mut session.narrow("open"), &change)?;
        self.inverse = Some(x);
        let changes = opened.iter().map(|word| word.cast_signed() as f64 / f64::from(STEP_DIGITS).exp2());
        let mut largest: f64 = 0.0;
        for (beta, change) in self.beta.iter_mut().zip(changes) {
            *beta += change;
            largest = largest.max(change.abs());
        }
        self.steps.push(largest);
        Ok(())
    }

    /// The binary order of the next step's size: 64 at first, later 64 times the last step, at least 2^-16.
    #[expect(clippy::cast_possible_truncation, reason = "clamped")]
    fn bound(&self) -> i32 {
        match self.steps.last() {
            Some(last) if *last > 0.0 => (last.log2().ceil() as i32 + 6).clamp(-16, 6),
            Some(_) => -16,
            None => 6,
        }
    }
}
