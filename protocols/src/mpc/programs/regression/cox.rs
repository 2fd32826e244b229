//! Cox regression with Efron's ties, by Newton's method, on a public grid of times.
//!
//! - Parties: three nodes; any number of hospitals, which get the coefficients of each iteration in the clear and return
//!   shares of [`super::local_cox::cox_sums`].
//! - Opened: whether the floor forbids an answer; whether more than the public number of people have an event at the same
//!   time; the coefficients of each iteration; whether the information matrix can be inverted at the last. Which times
//!   have events, and how many, stays in shares: every time of the grid costs the same.
//! - At a time with `d` events, for `l < d`, with `f = l / d`, risk sums `S` and event sums `D`:
//!   `a_l = S_0 - f D_0`, the gradient loses `(S_1 - f D_1) / a_l`, the information gains
//!   `(S_2 - f D_2) / a_l - (S_1 - f D_1)(S_1 - f D_1)' / a_l^2`. Sums are first brought to the size of `S_0`. With
//!   `u = sum 1 / a`, `v = sum f / a` and the sums of `1 / a^2`, `f / a^2`, `f^2 / a^2` over `l`, each entry is one inner
//!   product of length 4.
//! - Adversary: one node, semi-honest, or malicious with abort; every opening is verified first.
//! - Rounds: about 90 an iteration, more when there are ties. Bytes: about 60 for each time and each of `3 p + 2 p^2`.
//! - Source: Efron (1977) for ties; sums by site as in Lu et al., "WebDISCO" (JAMIA 2015), section "Methods", who open them,
//!   where here the ratios too are in shares.

use crate::mpc::error::MpcError;
use crate::mpc::fixed::Masks;
use crate::mpc::fixed::normalise::{Normalised, normalise};
use crate::mpc::fixed::reciprocal::reciprocal;
use crate::mpc::fixed::truncate::{multiply_scaled, truncate, truncate_each};
use crate::mpc::gates::boolean::all_of;
use crate::mpc::gates::compare::{is_negative, is_zero};
use crate::mpc::gates::convert::inject;
use crate::mpc::gates::multiply::{inner_products, multiply};
use crate::mpc::gates::open::open_bits;
use crate::mpc::security::Security;
use crate::mpc::session::Session;
use crate::mpc::shares::{BitShares, RingShares};

use super::super::{ProgramError, Result};
use super::local::{SUM_BITS, scale, triangle};
use super::local_cox::CoxLayout;
use super::newton::{Newton, Slope};
use super::scaling::unscale;
use super::{Fit, Hospitals, Model, bit_of, expect_sums, hold_floor, inverse, variance};

/// Most people with an event at the same time.
pub const TIES_MAX: usize = 32;
/// Most points of the grid.
pub const GRID_MAX: usize = 1 << 14;
/// Digits of fractions.
const DIGITS: u32 = 30;
/// Digits of gradient and information in units of the events.
const TOP: u32 = 28 + DIGITS;
/// Digits by which sums of `1 / a^2` have less than sums of `1 / a`, so that their products fit.
const ROOM: u32 = 4;
/// A step below this settles: what is left is as much times the error of the inverse, less than the rounding that gradients
/// carry from every time.
const SETTLED: f64 = 1.0e-6;

/// After a longer step the inverse starts afresh: unlike that of logistic regression, the information may grow.
const NEAR: f64 = 0.05;

/// What is public of a Cox model besides the model.
#[derive(Clone, Copy, Debug)]
pub struct CoxGrid {
    /// Points of the grid, at most [`GRID_MAX`].
    pub points: usize,
    /// Most people with an event at the same time, 1 to [`TIES_MAX`].
    pub ties_max: usize,
}

/// Fractions and flags of the ties, time by time, `l` by `l`.
struct Ties {
    /// `[l < d]`.
    is_active: RingShares,
    /// `l / d` where active, else 0, [`DIGITS`] digits.
    fraction: RingShares,
}

/// Fits a model without an intercept.
///
/// # Errors
/// [`ProgramError`]; when model or grid are out of their ranges.
pub fn fit<S: Security>(
    session: &mut Session<'_, S>,
    (model, grid): (&Model, CoxGrid),
    hospitals: &mut impl Hospitals<S>,
) -> Result<Fit> {
    let p = model.columns(0)?;
    check(grid)?;
    let layout = CoxLayout { p, grid: grid.points };
    let program = Program { layout, ties_max: grid.ties_max, drop: scale(model.rows_max) - DIGITS };
    let mut masks = Masks::new(0);
    let mut newton = Newton::new(p, SETTLED, NEAR);
    let mut first: Option<(Normalised, Ties)> = None;
    for iteration in 0..model.iterations_max {
        let mut session = session.narrow_at("iteration", iteration);
        let sums = hospitals.sums(&mut session.narrow("sums"), iteration, &newton.beta)?;
        expect_sums(&sums, layout.len())?;
        let (unit, ties) = match &first {
            Some(first) => first,
            None => {
                let (n, events) = (sums.range(0..1), sums.range(1..2));
                hold_floor(&mut session.narrow("floor"), &[&n, &events], model.floor.max(1))?;
                let ties = program.ties(&mut session.narrow("ties"), &sums)?;
                let unit = normalise(&mut session.narrow("unit"), &events.scale(1 << DIGITS), TOP)?;
                first.insert((unit, ties))
            }
        };
        masks.reserve(&mut session.narrow("prepare"), program.masks(newton.steps_ahead()))?;
        let slope = program.slope(&mut session.narrow("slope"), &mut masks, &sums, ties)?;
        let factor = unit.factor.gather(&vec![0; slope.len()]);
        let scaled = multiply(&mut session.narrow("scale"), &slope, &factor)?;
        let slope =
            Slope { gradient: scaled.range(0..p), information: scaled.range(p..scaled.len()), top: TOP };
        newton.step(&mut session, &mut masks, &slope)?;
        if newton.is_settled() {
            let exponent = i64::from(DIGITS) - i64::from(TOP);
            let exponent = unit.exponent.add_public(session.role(), exponent.cast_unsigned());
            return finish(
                &mut session.narrow("finish"),
                &mut masks,
                model,
                newton,
                (iteration + 1, &exponent),
            );
        }
    }
    Err(ProgramError::NotConverged { iterations: model.iterations_max })
}

fn finish<S: Security>(
    session: &mut Session<'_, S>,
    masks: &mut Masks,
    model: &Model,
    newton: Newton,
    (iterations, exponent): (usize, &RingShares),
) -> Result<Fit> {
    let p = newton.beta.len();
    let x = newton.inverse.ok_or(ProgramError::Singular)?;
    let refined = inverse::refine(&mut session.narrow("refine"), masks, &newton.matrix, &x, p)?;
    if !refined.open_verdict(&mut session.narrow("verdict"))? {
        return Err(ProgramError::Singular);
    }
    let raw =
        variance::raw(&mut session.narrow("variances"), masks, &refined.inverse, &model.scalings, false)?;
    let variances = variance::finish(&mut session.narrow("normalise"), masks, raw, exponent)?;
    Ok(Fit { coefficients: unscale(&newton.beta, &model.scalings, false), variances, iterations })
}

fn check(grid: CoxGrid) -> Result<()> {
    let parameter =
        |what, found: usize, expected| MpcError::Parameter { what, found: found as u64, expected };
    if !(1..=GRID_MAX).contains(&grid.points) {
        return Err(parameter("points of a grid", grid.points, "1 to 16384").into());
    }
    if !(1..=TIES_MAX).contains(&grid.ties_max) {
        return Err(parameter("events at the same time", grid.ties_max, "1 to 32").into());
    }
    Ok(())
}

/// The public shape of an iteration.
struct Program {
    layout: CoxLayout,
    ties_max: usize,
    /// Digits by which the sum over events is cut.
    drop: u32,
}

/// Columns over the grid, in units of `S_0`.
struct Ratios {
    /// `sum 1 / a` and `sum f / a`.
    first: [RingShares; 2],
    /// `sum 1 / a^2`, `sum f / a^2`, `sum f^2 / a^2`.
    second: [RingShares; 3],
}

impl Program {
    /// Digits of `1 / a` beside fractions of 30: a time's entries are at most `ties_max`.
    fn first_digits(&self) -> u32 {
        31 - (usize::BITS - self.ties_max.leading_zeros())
    }

    /// Digits of `1 / a` whose squares are summed: `a` is at least half of one over the ties.
    fn second_digits(&self) -> u32 {
        (60 - 2 - 3 * (usize::BITS - self.ties_max.leading_zeros())) / 2
    }

    fn masks(&self, steps: usize) -> usize {
        let (p, t) = (self.layout.p, self.layout.grid);
        let columns = 2 * self.layout.kinds() + 3 * p + triangle(p) + 16 * self.ties_max + 8;
        columns * t + p + inverse::masks_of(p, steps) + 4 * p * p
    }

    /// Opens whether no time has more events than allowed, and turns the numbers of events into fractions.
    fn ties<S: Security>(&self, session: &mut Session<'_, S>, sums: &RingShares) -> Result<Ties> {
        let (role, t) = (session.role(), self.layout.grid);
        let d = sums.range(self.layout.ties()..self.layout.ties() + t);
        let room = d.neg().add_public(role, self.ties_max as u64);
        let fits = is_negative(&mut session.narrow("over"), &room, 34)?.not(role);
        let every: Vec<BitShares> = (0..t).map(|k| bit_of(&fits, k)).collect();
        let every = BitShares::concat(&every.iter().collect::<Vec<_>>())?;
        let fits = all_of(&mut session.narrow("all"), &every)?;
        if open_bits(&mut session.narrow("open"), &fits)? != [1] {
            return Err(ProgramError::TooManyTies { ties_max: self.ties_max });
        }
        // d is k: one bit for each k from 1 on.
        let apart: Vec<RingShares> =
            (1..=self.ties_max as u64).map(|k| d.add_public(role, k.wrapping_neg())).collect();
        let apart = RingShares::concat(&apart.iter().collect::<Vec<_>>());
        let is_k = is_zero(&mut session.narrow("equal"), &apart, 7)?;
        let is_k = inject(&mut session.narrow("inject"), &is_k)?;
        let (mut active, mut fraction) = (Vec::new(), Vec::new());
        for l in 0..self.ties_max {
            let (mut flags, mut parts) = (RingShares::zeros(t), RingShares::zeros(t));
            for k in l + 1..=self.ties_max {
                let is_k = is_k.range((k - 1) * t..k * t);
                flags = flags.add(&is_k)?;
                let part = ((l as u64) << DIGITS).div_ceil(k as u64);
                parts = parts.add(&is_k.scale(part))?;
            }
            active.push(flags);
            fraction.push(parts);
        }
        let all = |columns: &[RingShares]| RingShares::concat(&columns.iter().collect::<Vec<_>>());
        Ok(Ties { is_active: all(&active), fraction: all(&fraction) })
    }

    /// Gradient and upper triangle of the information, [`DIGITS`] digits.
    fn slope<S: Security>(
        &self,
        session: &mut Session<'_, S>,
        masks: &mut Masks,
        sums: &RingShares,
        ties: &Ties,
    ) -> Result<RingShares> {
        let (p, t, kinds) = (self.layout.p, self.layout.grid, self.layout.kinds());
        // Step 1. All sums of a time in units of its S_0, which is in [1/2, 1) there.
        let columns = sums.range(self.layout.at_risk()..sums.len());
        let unit = normalise(&mut session.narrow("unit"), &columns.range(0..t), SUM_BITS)?;
        let factors = unit.factor.gather(&(0..columns.len()).map(|k| k % t).collect::<Vec<_>>());
        let scaled = multiply(&mut session.narrow("scale"), &columns, &factors)?;
        let ratios = truncate(&mut session.narrow("cut"), masks, &scaled, SUM_BITS - DIGITS)?;
        let column = |k: usize| ratios.range(k * t..(k + 1) * t);

        // Step 2. Reciprocals, and their sums over the ties.
        let sums_of =
            self.ratios(&mut session.narrow("ratios"), masks, (&column(0), &column(kinds)), ties)?;
        let [u, v] = &sums_of.first;
        let [uu, uv, vv] = &sums_of.second;

        // Step 3. P = S_1 uu - D_1 uv and Q = D_1 vv - S_1 uv, and the gradient's S_1 u - D_1 v.
        let (risk, event) = (|j: usize| column(1 + j), |j: usize| column(kinds + 1 + j));
        let mut pairs = Interleaved::default();
        for j in 0..p {
            pairs.push(&[(&risk(j), uu), (&event(j).neg(), uv)]);
            pairs.push(&[(&event(j), vv), (&risk(j).neg(), uv)]);
            pairs.push(&[(&risk(j), u), (&event(j).neg(), v)]);
        }
        let digits = self.first_digits();
        let shifts: Vec<u32> =
            (0..3 * p * t).map(|k| if k / t % 3 == 2 { digits } else { DIGITS - ROOM }).collect();
        let products = inner_products(&mut session.narrow("pairs"), &pairs.left, &pairs.right, 2)?;
        let products = truncate_each(&mut session.narrow("cut pairs"), masks, &products, &shifts)?;
        let product = |j: usize, kind: usize| products.range((3 * j + kind) * t..(3 * j + kind + 1) * t);

        // Step 4. The information's S_2 u - D_2 v - S_1 P' - D_1 Q'.
        let mut fours = Interleaved::default();
        let entries = (0..p).flat_map(|i| (i..p).map(move |j| (i, j)));
        for (k, (i, j)) in entries.enumerate() {
            let (second, dying) = (column(1 + p + k), column(kinds + 1 + p + k).neg());
            fours.push(&[
                (&second, u),
                (&dying, v),
                (&risk(i).neg(), &product(j, 0)),
                (&event(i).neg(), &product(j, 1)),
            ]);
        }
        let terms = inner_products(&mut session.narrow("fours"), &fours.left, &fours.right, 4)?;
        let of_events = sums.range(2..2 + p);
        let all = RingShares::concat(&[&terms, &of_events]);
        let shifts: Vec<u32> =
            (0..all.len()).map(|k| if k < terms.len() { digits } else { self.drop }).collect();
        let all = truncate_each(&mut session.narrow("cut fours"), masks, &all, &shifts)?;

        // Step 5. Sums over the grid.
        let mut out = all.range(terms.len()..all.len());
        for j in 0..p {
            let lost = product(j, 2).sum();
            out.own[j] = out.own[j].wrapping_sub(lost.own[0]);
            out.next[j] = out.next[j].wrapping_sub(lost.next[0]);
        }
        let gained: Vec<RingShares> = (0..triangle(p)).map(|k| all.range(k * t..(k + 1) * t).sum()).collect();
        let gained = RingShares::concat(&gained.iter().collect::<Vec<_>>());
        Ok(RingShares::concat(&[&out, &gained]))
    }

    /// The sums over `l` of `1 / a`, `f / a` with [`Self::first_digits`], and of their products with [`ROOM`] less.
    fn ratios<S: Security>(
        &self,
        session: &mut Session<'_, S>,
        masks: &mut Masks,
        (risk, event): (&RingShares, &RingShares),
        ties: &Ties,
    ) -> Result<Ratios> {
        let (t, l) = (risk.len(), self.ties_max);
        // Step 1. a_l = S_0 - f_l D_0; a_0 = S_0.
        let repeat =
            |x: &RingShares, count: usize| x.gather(&(0..count * t).map(|k| k % t).collect::<Vec<_>>());
        let tied = (l - 1) * t;
        let fraction = ties.fraction.range(t..l * t);
        let part =
            multiply_scaled(&mut session.narrow("part"), masks, (&fraction, &repeat(event, l - 1)), DIGITS)?;
        let a = repeat(risk, l - 1).sub(&part)?;

        // Step 2. 1 / a with 30 digits: 2 w where a is a mantissa, 2^e w where it is to be brought up by 2^e first.
        let (mantissa, factor) = match tied {
            0 => (risk.clone(), RingShares::zeros(0)),
            _ => {
                let normal = normalise(&mut session.narrow("normalise"), &a, DIGITS + 1)?;
                let upper = truncate(&mut session.narrow("cut"), masks, &normal.value, 1)?;
                (RingShares::concat(&[risk, &upper]), normal.factor)
            }
        };
        let w = reciprocal(&mut session.narrow("reciprocal"), masks, &mantissa)?;
        let factor = RingShares::concat(&[&RingShares::public(session.role(), &vec![2; t]), &factor]);
        let inverse = multiply(&mut session.narrow("bring up"), &w, &factor)?;

        // Step 3. Only l < d counts.
        let u = multiply(&mut session.narrow("active"), &inverse, &ties.is_active)?;
        let u = truncate(&mut session.narrow("cut u"), masks, &u, DIGITS - self.first_digits())?;
        let v = multiply_scaled(&mut session.narrow("weigh"), masks, (&u, &ties.fraction), DIGITS)?;
        let over_ties = |x: &RingShares| -> Result<RingShares> {
            let mut total = x.range(0..t);
            for k in 1..l {
                total = total.add(&x.range(k * t..(k + 1) * t))?;
            }
            Ok(total)
        };
        let first = [over_ties(&u)?, over_ties(&v)?];

        // Step 4. Sums of products over l.
        let fewer = self.first_digits() - self.second_digits();
        let coarse = truncate(&mut session.narrow("cut both"), masks, &RingShares::concat(&[&u, &v]), fewer)?;
        let by_time = |x: &RingShares| x.gather(&(0..l * t).map(|k| k % l * t + k / l).collect::<Vec<_>>());
        let (u, v) = (by_time(&coarse.range(0..l * t)), by_time(&coarse.range(l * t..2 * l * t)));
        let left = RingShares::concat(&[&u, &u, &v]);
        let products =
            inner_products(&mut session.narrow("square"), &left, &RingShares::concat(&[&u, &v, &v]), l)?;
        let down = 2 * self.second_digits() - (self.first_digits() - ROOM);
        let second = truncate(&mut session.narrow("cut square"), masks, &products, down)?;
        Ok(Ratios { first, second: [0, 1, 2].map(|k| second.range(k * t..(k + 1) * t)) })
    }
}

/// Columns side by side, for inner products of one value of each.
#[derive(Default)]
struct Interleaved {
    left: RingShares,
    right: RingShares,
}

impl Interleaved {
    fn push(&mut self, terms: &[(&RingShares, &RingShares)]) {
        let len = terms.first().map_or(0, |(x, _)| x.len());
        for k in 0..len {
            for (x, y) in terms {
                self.left.own.push(x.own[k]);
                self.left.next.push(x.next[k]);
                self.right.own.push(y.own[k]);
                self.right.next.push(y.next[k]);
            }
        }
    }
}
