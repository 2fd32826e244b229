//! From the criteria as written to the criteria that the circuit takes, at an evaluation date.
//!
//! Every test of one value becomes intervals of the number in its slot. The circuit has [`CLAUSES_MAX`] clauses, of which
//! a few may name a set, which costs one clause whatever its size: the tests with the most intervals get a set, one
//! after the other, until the rest fits. So the same text and date give the same criteria everywhere.

use super::code::CodeRange;
use super::date::Date;
use super::schema::{Kind, Number};
use super::{Clause, Criteria, Test, Value};
use crate::eligibility::{
    self as circuit, Attributes, CLAUSES_MAX, CodeSet, Interval, Run, SET_CLAUSES_MAX, Slot,
};

/// Criteria at an evaluation date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lowered {
    evaluation: Date,
    criteria: circuit::Criteria,
    /// For each group of the circuit's, the clauses as written.
    texts: Vec<String>,
}

/// The part of the criteria that is not met. For the prover's eyes: it says something about the patient.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unmet {
    /// The credential does not meet a clause, or does not record what it needs.
    #[error("the credential does not meet `{clause}`, or does not record what it needs")]
    Clause {
        /// The clause, or the alternatives of which none is met.
        clause: String,
    },
    /// Nobody meets a clause at this evaluation date.
    #[error("nobody can meet `{clause}` on {evaluation}")]
    Nobody {
        /// The clause.
        clause: String,
        /// The evaluation date.
        evaluation: Date,
    },
    /// Criteria that the circuit does not take.
    #[error(transparent)]
    Circuit(#[from] circuit::CriteriaError),
}

/// Intervals of a slot's values, ascending and apart.
type Intervals = Vec<(u64, u64)>;

/// What a clause comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Some slot of the run lies in one of the intervals.
    Any(Run, Intervals),
    /// The slot holds a number outside of the interval.
    Outside(Run, (u64, u64)),
    /// The list is complete, and no code lies in any of the intervals.
    None(Run, Intervals),
}

impl Criteria {
    /// The circuit's criteria at an evaluation date.
    ///
    /// # Errors
    /// [`Unmet::Nobody`] when a clause is about an age or a time that no date of the schema has.
    pub fn lower(&self, evaluation: Date) -> Result<Lowered, Unmet> {
        let shape = |clause: &Clause| {
            let nobody = || Unmet::Nobody { clause: self.clause_text(clause), evaluation };
            self.shape(clause, evaluation).ok_or_else(nobody)
        };
        let shapes = self.groups.iter().map(|group| group.iter().map(shape).collect::<Result<Vec<_>, _>>());
        let shapes = shapes.collect::<Result<Vec<_>, _>>()?;
        let plan = Plan::of(&shapes);
        let (mut groups, mut texts) = (Vec::new(), Vec::new());
        for (index, group) in shapes.iter().enumerate() {
            let mut product: Vec<Vec<circuit::Clause>> = vec![Vec::new()];
            for (position, shape) in group.iter().enumerate() {
                let all = shape.clauses(plan.sets.contains(&(index, position)))?;
                let pairs = product.iter().flat_map(|left| all.iter().map(move |right| (left, right)));
                product = pairs.map(|(left, right)| [left.as_slice(), right].concat()).collect();
            }
            texts.extend(product.iter().map(|_| self.group_text(&self.groups[index])));
            groups.extend(product);
        }
        Ok(Lowered { evaluation, criteria: circuit::Criteria::new(groups)?, texts })
    }

    /// How many clauses of the circuit the criteria take, at whatever date.
    #[must_use]
    pub fn clauses_count(&self) -> usize {
        // A date by which everybody of any age was born in the calendar.
        let shape = |clause: &Clause| self.shape(clause, Date::LAST);
        let shapes = self.groups.iter().map(|group| group.iter().filter_map(shape).collect());
        Plan::of(&shapes.collect::<Vec<Vec<Shape>>>()).clauses
    }

    /// What a clause comes to; `None` when nobody can meet it.
    pub(super) fn shape(&self, clause: &Clause, evaluation: Date) -> Option<Shape> {
        shape(&self.schema.attributes()[clause.attribute].kind, &clause.test, evaluation)
    }
}

/// Whether nobody can meet a test that does not depend on the evaluation date.
pub(super) fn is_empty(kind: &Kind, test: &Test) -> bool {
    let dated =
        matches!(kind, Kind::Age { .. }) || matches!(test, Test::WithinDays(_) | Test::NotWithinDays(_));
    !dated && shape(kind, test, Date::LAST).is_none()
}

impl Lowered {
    /// The evaluation date.
    #[must_use]
    pub fn evaluation(&self) -> Date {
        self.evaluation
    }

    /// The circuit's criteria.
    #[must_use]
    pub fn criteria(&self) -> &circuit::Criteria {
        &self.criteria
    }

    /// Whether a credential's slots meet all of it.
    ///
    /// # Errors
    /// [`Unmet::Clause`] with the first clause that they do not meet.
    pub fn check(&self, attributes: &Attributes) -> Result<(), Unmet> {
        for (group, text) in self.criteria.groups().iter().zip(&self.texts) {
            if !group.iter().any(|clause| holds(clause, attributes)) {
                return Err(Unmet::Clause { clause: text.clone() });
            }
        }
        Ok(())
    }
}

/// Whether a clause of the circuit's holds of a credential's slots.
fn holds(clause: &circuit::Clause, attributes: &Attributes) -> bool {
    let run = clause.run();
    let mut slots = attributes.slots()[run.first().get()..=run.last().get()].iter();
    let number = |slot: &Slot| if let Slot::Value(value) = slot { Some(*value) } else { None };
    match clause.test() {
        circuit::Test::Within(interval) => slots.any(|slot| interval.contains(*slot)),
        circuit::Test::Outside(interval) => {
            slots.any(|slot| number(slot).is_some() && !interval.contains(*slot))
        }
        circuit::Test::InSet(set) => slots.any(|slot| number(slot).is_some_and(|value| set.contains(value))),
        circuit::Test::NotInSet(set) => {
            slots.any(|slot| number(slot).is_some_and(|value| !set.contains(value)))
        }
        circuit::Test::NoneWithin(interval) => {
            let whole = super::schema::neighbours(run);
            attributes.complete() & whole == whole && !slots.any(|slot| interval.contains(*slot))
        }
    }
}

/// Which clauses name a set, by group and position.
struct Plan {
    sets: Vec<(usize, usize)>,
    clauses: usize,
}

impl Plan {
    fn of(shapes: &[Vec<Shape>]) -> Self {
        let mut plan = Self { sets: Vec::new(), clauses: 0 };
        let mut used = 0usize;
        loop {
            let counts = shapes.iter().enumerate().map(|(index, group)| plan.count(index, group));
            plan.clauses = counts.fold(0, usize::saturating_add);
            if plan.clauses <= CLAUSES_MAX {
                return plan;
            }
            let Some((index, position)) = plan.widest(shapes, SET_CLAUSES_MAX - used) else { return plan };
            used += times(&shapes[index]);
            plan.sets.push((index, position));
        }
    }

    /// Clauses of a group: its alternatives, once for every interval that a list must avoid beside them.
    fn count(&self, index: usize, group: &[Shape]) -> usize {
        let width = |(position, shape): (usize, &Shape)| match shape {
            Shape::Any(_, intervals) if !self.sets.contains(&(index, position)) => intervals.len(),
            _ => 1,
        };
        let any = group.iter().enumerate().map(width).fold(0, usize::saturating_add);
        any.saturating_mul(times(group))
    }

    /// The test with the most intervals that may still get a set; the first of several.
    fn widest(&self, shapes: &[Vec<Shape>], sets_left: usize) -> Option<(usize, usize)> {
        let mut widest = None;
        for (index, group) in shapes.iter().enumerate().filter(|(_, group)| times(group) <= sets_left) {
            for (position, shape) in group.iter().enumerate() {
                let Shape::Any(_, intervals) = shape else { continue };
                let free = intervals.len() > 1 && !self.sets.contains(&(index, position));
                if free && widest.is_none_or(|(most, _)| intervals.len() > most) {
                    widest = Some((intervals.len(), (index, position)));
                }
            }
        }
        widest.map(|(_, place)| place)
    }
}

/// How often a group is repeated: once for every choice of one interval from each list to be avoided.
fn times(group: &[Shape]) -> usize {
    let avoided = |shape: &Shape| if let Shape::None(_, intervals) = shape { intervals.len() } else { 1 };
    group.iter().map(avoided).fold(1, usize::saturating_mul)
}

impl Shape {
    /// As an AND of ORs of the circuit's clauses.
    fn clauses(&self, as_set: bool) -> Result<Vec<Vec<circuit::Clause>>, circuit::CriteriaError> {
        let clause = |run: &Run, test| circuit::Clause::new(*run, test);
        let interval = |pair: &(u64, u64)| Interval::new(pair.0, pair.1);
        match self {
            Self::Any(run, intervals) if as_set => {
                let set = CodeSet::new(intervals.iter().map(interval).collect::<Result<_, _>>()?)?;
                Ok(vec![vec![clause(run, circuit::Test::InSet(set))?]])
            }
            Self::Any(run, intervals) => {
                let any = intervals.iter().map(|pair| clause(run, circuit::Test::Within(interval(pair)?)));
                Ok(vec![any.collect::<Result<_, _>>()?])
            }
            Self::Outside(run, pair) => Ok(vec![vec![clause(run, circuit::Test::Outside(interval(pair)?))?]]),
            Self::None(run, intervals) => intervals
                .iter()
                .map(|pair| Ok(vec![clause(run, circuit::Test::NoneWithin(interval(pair)?))?]))
                .collect(),
        }
    }
}

/// What a test comes to; `None` when nobody can meet it.
fn shape(kind: &Kind, test: &Test, evaluation: Date) -> Option<Shape> {
    let (slot, intervals) = match kind {
        Kind::Codes { run, .. } => {
            return match test {
                Test::AnyCode(ranges) => Some(Shape::Any(*run, merged(ranges))),
                Test::NoCode(ranges) => Some(Shape::None(*run, merged(ranges))),
                _ => None,
            };
        }
        Kind::Date { slot, first, last } => {
            let at = |value: &Value| if let Value::Date(date) = value { Some(date.days()) } else { None };
            (slot, chosen(&vec![(first.days(), last.days())], test, evaluation, at))
        }
        Kind::Number(number) => {
            let all = vec![(0, number.encode(number.max)?)];
            (&number.slot, chosen(&all, test, evaluation, |value| number_value(number, value)))
        }
        Kind::Choice { slot, values, .. } => {
            let all = joined(values.iter().map(|choice| (choice.value, choice.value)).collect());
            let at =
                |value: &Value| if let Value::Choice { number, .. } = value { Some(*number) } else { None };
            (slot, chosen(&all, test, evaluation, at))
        }
        Kind::Age { slot, .. } => (slot, births(test, evaluation)),
    };
    let run = Run::one(*slot);
    match (intervals.as_slice(), test) {
        ([], _) => None,
        // Two sides of one gap: one clause says it.
        ([(_, below), (above, _)], Test::NotEqual(_) | Test::NotBetween(..) | Test::NotWithinDays(_))
            if !matches!(kind, Kind::Age { .. }) =>
        {
            Some(Shape::Outside(run, (below + 1, above - 1)))
        }
        _ => Some(Shape::Any(run, intervals)),
    }
}

fn number_value(number: &Number, value: &Value) -> Option<u64> {
    if let Value::Number(value) = value { number.encode(*value) } else { None }
}

/// The part of `all` that a test picks; `at` gives the number in the slot for a value.
fn chosen(
    all: &Intervals,
    test: &Test,
    evaluation: Date,
    at: impl Fn(&Value) -> Option<u64> + Copy,
) -> Intervals {
    let point = |value| at(value).map(|v| (v, v));
    let picked = match test {
        Test::AtLeast(v) => at(v).map(|v| vec![(v, u64::MAX)]),
        Test::AtMost(v) => at(v).map(|v| vec![(0, v)]),
        Test::Equal(v) => point(v).map(|p| vec![p]),
        Test::Between(a, b) => at(a).zip(at(b)).map(|pair| vec![pair]),
        Test::In(values) => values.iter().map(point).collect(),
        Test::WithinDays(days) => {
            let first = evaluation.minus_days(u64::from(*days)).unwrap_or(Date::FIRST);
            Some(vec![(first.days(), evaluation.days())])
        }
        Test::Above(_)
        | Test::Below(_)
        | Test::NotEqual(_)
        | Test::NotBetween(..)
        | Test::NotIn(_)
        | Test::NotWithinDays(_) => {
            return without(all, &chosen(all, &test.clone().negated(), evaluation, at));
        }
        Test::AnyCode(_) | Test::NoCode(_) => None,
    };
    intersection(all, &joined(picked.unwrap_or_default()))
}

/// Days of birth that a test of the age picks: from 1900-01-01 to the evaluation.
fn births(test: &Test, evaluation: Date) -> Intervals {
    let all = vec![(0, evaluation.days())];
    // The first day after the last birth of that age, 0 when that lies before 1900: the end of a half-open interval.
    let end_of = |years: u32| evaluation.last_birth_of_age(years).map_or(0, |date| date.days() + 1);
    let years = |value: &Value| match value {
        Value::Number(years) => years.scaled(0).and_then(|years| u32::try_from(years).ok()),
        _ => None,
    };
    let aged = |from: u32, to: u32| {
        let (low, end) = (end_of(to.saturating_add(1)), end_of(from));
        end.checked_sub(1).map(|high| vec![(low, high)]).unwrap_or_default()
    };
    let picked = match test {
        Test::AtLeast(v) => years(v).map(|n| aged(n, u32::MAX - 1)),
        Test::AtMost(v) => years(v).map(|n| aged(0, n)),
        Test::Equal(v) => years(v).map(|n| aged(n, n)),
        Test::Between(a, b) => years(a).zip(years(b)).map(|(a, b)| aged(a, b)),
        Test::Above(_) | Test::Below(_) | Test::NotEqual(_) | Test::NotBetween(..) => {
            return without(&all, &births(&test.clone().negated(), evaluation));
        }
        _ => None,
    };
    intersection(&all, &picked.unwrap_or_default())
}

/// Intervals of the codes, adjacent ones as one.
fn merged(ranges: &[CodeRange]) -> Intervals {
    joined(ranges.iter().map(|range| range.interval()).collect())
}

/// Ascending intervals with touching ones made one.
fn joined(mut intervals: Intervals) -> Intervals {
    intervals.sort_unstable();
    let mut out: Intervals = Vec::new();
    for (low, high) in intervals {
        match out.last_mut() {
            Some(last) if low <= last.1.saturating_add(1) => last.1 = last.1.max(high),
            _ => out.push((low, high)),
        }
    }
    out
}

fn intersection(a: &Intervals, b: &Intervals) -> Intervals {
    let pairs = a.iter().flat_map(|x| b.iter().map(move |y| (x.0.max(y.0), x.1.min(y.1))));
    pairs.filter(|(low, high)| low <= high).collect()
}

/// What of `all` lies in none of the ascending intervals.
fn without(all: &Intervals, intervals: &Intervals) -> Intervals {
    let mut out = Vec::new();
    for (first, last) in all {
        let mut next = Some(*first);
        for (low, high) in intervals {
            if let Some(from) = next.filter(|from| low > from && *from <= *last) {
                out.push((from, (low - 1).min(*last)));
            }
            next = next.and_then(|from| if *high < from { Some(from) } else { high.checked_add(1) });
        }
        if let Some(from) = next.filter(|from| from <= last) {
            out.push((from, *last));
        }
    }
    out
}
