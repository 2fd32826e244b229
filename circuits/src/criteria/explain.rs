//! What each clause of criteria needs of a credential, in words.

use serde::Serialize;

use super::date::Date;
use super::lower::Shape;
use super::schema::{Attribute, Kind, Schema};
use super::{Clause, Code, Criteria, Test};

/// What one clause needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// Group, from 1: all groups must hold, of each one clause.
    pub group: usize,
    /// The clause, canonical.
    pub clause: String,
    /// What the attribute is.
    pub label: String,
    /// Unit (UCUM), or empty.
    pub unit: String,
    /// Slots that it reads.
    pub slots: Vec<usize>,
    /// What the issuer must assert.
    pub asserts: String,
    /// The FHIR element that it is taken from.
    pub source: String,
    /// What the circuit compares.
    pub compares: Vec<String>,
    /// What the writer should know, or empty.
    pub note: String,
}

impl Criteria {
    /// What each clause needs, at an evaluation date.
    #[must_use]
    pub fn explain(&self, evaluation: Date) -> Vec<Explanation> {
        let groups = self.groups().iter().enumerate();
        groups
            .flat_map(|(group, clauses)| clauses.iter().map(move |clause| (group + 1, clause)))
            .map(|(group, clause)| self.explain_clause(group, clause, evaluation))
            .collect()
    }

    fn explain_clause(&self, group: usize, clause: &Clause, evaluation: Date) -> Explanation {
        let attribute = self.attribute_of(clause);
        let compares =
            self.shape(clause, evaluation).map(|shape| compared(attribute, &shape)).unwrap_or_default();
        let nobody = format!("nobody can meet this on {evaluation}");
        Explanation {
            group,
            clause: self.clause_text(clause),
            label: attribute.label.clone(),
            unit: unit(&attribute.kind),
            slots: read_slots(&attribute.kind),
            asserts: asserts(attribute, &clause.test, evaluation),
            source: source(&self.schema, attribute),
            note: if compares.is_empty() { nobody } else { note(&clause.test) },
            compares,
        }
    }
}

fn unit(kind: &Kind) -> String {
    match kind {
        Kind::Number(number) if !number.is_dimensionless() => number.unit.clone(),
        Kind::Age { .. } => "a".to_owned(),
        _ => String::new(),
    }
}

fn read_slots(kind: &Kind) -> Vec<usize> {
    if let Kind::Age { slot, .. } = kind { vec![slot.get()] } else { kind.slots() }
}

fn asserts(attribute: &Attribute, test: &Test, evaluation: Date) -> String {
    let label = &attribute.label;
    match (&attribute.kind, test) {
        (Kind::Codes { run, .. }, Test::NoCode(_)) => format!(
            "the {label}, and that the list is complete (a patient with more than {} codes cannot show this)",
            run.len() - 2
        ),
        (Kind::Codes { run, .. }, _) => format!("up to {} codes of the {label}", run.len() - 2),
        (Kind::Age { .. }, _) => format!("the date of birth, from which the age on {evaluation} follows"),
        (Kind::Number(number), _) if number.is_dimensionless() => {
            format!("the {label}, {} to {}, {} digits after the point", number.min, number.max, number.digits)
        }
        (Kind::Number(number), _) => format!(
            "the {label} in {}, {} to {}, {} digits after the point",
            number.unit, number.min, number.max, number.digits
        ),
        (Kind::Choice { values, .. }, _) => {
            let names: Vec<&str> = values.iter().map(|choice| choice.name.as_str()).collect();
            format!("the {label}, one of {}", names.join(", "))
        }
        (Kind::Date { .. }, _) => format!("the {label}"),
    }
}

fn source(schema: &Schema, attribute: &Attribute) -> String {
    let described = |attribute: &Attribute| {
        let fhir = attribute.fhir.as_ref()?;
        let code = fhir.code.as_ref().map(|code| format!(" with code {code}")).unwrap_or_default();
        Some(format!("{}.{}{code}", fhir.resource, fhir.path))
    };
    let own = described(attribute);
    let origin = |slot: usize| {
        let is = |a: &&Attribute| matches!(a.kind, Kind::Date { slot: other, .. } if other.get() == slot);
        schema.attributes().iter().find(is).and_then(described)
    };
    match attribute.kind {
        Kind::Age { slot, .. } => own.or_else(|| origin(slot.get())).unwrap_or_default(),
        _ => own.unwrap_or_default(),
    }
}

/// What the circuit compares, in the attribute's own values.
fn compared(attribute: &Attribute, shape: &Shape) -> Vec<String> {
    let kind = &attribute.kind;
    let (Shape::Any(run, _) | Shape::Outside(run, _) | Shape::None(run, _)) = shape;
    let (first, last) = (run.first().get(), run.last().get());
    let place = if first == last { format!("slot {first}") } else { format!("slots {first} to {last}") };
    let between = |(low, high): &(u64, u64)| match (kind, low == high) {
        (Kind::Codes { .. }, true) => format!("{low:#017x}"),
        (Kind::Codes { .. }, false) => format!("{low:#017x} to {high:#017x}"),
        (_, true) => value(kind, *low),
        (_, false) => format!("{} to {}", value(kind, *low), value(kind, *high)),
    };
    match shape {
        Shape::Any(_, intervals) => {
            intervals.iter().map(|pair| format!("{place}: {}", between(pair))).collect()
        }
        Shape::Outside(_, pair) => vec![format!("{place}: a value, not {}", between(pair))],
        Shape::None(_, intervals) => {
            intervals.iter().map(|pair| format!("{place}: complete, none of {}", between(pair))).collect()
        }
    }
}

fn value(kind: &Kind, slot: u64) -> String {
    let text = match kind {
        Kind::Date { .. } | Kind::Age { .. } => Date::from_days(slot).map(|date| date.to_string()),
        Kind::Number(number) => number.decode(slot).map(|value| value.to_string()),
        Kind::Choice { values, .. } => values.iter().find(|c| c.value == slot).map(|c| c.name.clone()),
        Kind::Codes { .. } => Code::from_value(slot).map(|code| code.to_string()),
    };
    text.unwrap_or_else(|| slot.to_string())
}

fn note(test: &Test) -> String {
    let single = |ranges: &[super::CodeRange]| {
        ranges.iter().filter(|range| range.interval().0 == range.interval().1).count()
    };
    match test {
        Test::AnyCode(ranges) if single(ranges) > 0 => {
            "a code without * stands for itself alone, not for the codes under it".to_owned()
        }
        Test::NoCode(ranges) if single(ranges) > 0 => {
            "a code without * excludes itself alone, not the codes under it".to_owned()
        }
        _ => String::new(),
    }
}
