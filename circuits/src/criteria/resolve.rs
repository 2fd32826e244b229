//! From what was written to what it means: names, units and values looked up in the schema.

use super::code::{Code, CodeRange};
use super::date::Date;
use super::decimal::Decimal;
use super::error::{At, Fault};
use super::lex::Op;
use super::parse::{Quantity, RawClause, RawTest, Word};
use super::schema::{Attribute, Choice, Kind, Number, Schema};
use super::{Clause, Test, Value, clip, suggest};

/// Oldest age that criteria may name.
pub const AGE_YEARS_MAX: u32 = 130;
/// Longest time before the evaluation that criteria may name.
pub const WITHIN_DAYS_MAX: u32 = 36_525;

/// The clause that was written.
pub(super) fn clause(schema: &Schema, raw: &RawClause<'_>) -> Result<Clause, At> {
    let index = attribute(schema, &raw.name)?;
    let reader = Reader { attribute: &schema.attributes()[index], raw };
    let test = match &raw.test {
        RawTest::Compare(op, quantity) => reader.compare(*op, quantity)?,
        RawTest::Between(low, high) => reader.between(low, high)?,
        RawTest::In(values) => reader.one_of(values)?,
        RawTest::WithinDays(days) => reader.within(days)?,
    };
    Ok(Clause { attribute: index, test: if raw.negated { test.negated() } else { test } })
}

fn attribute(schema: &Schema, name: &Word<'_>) -> Result<usize, At> {
    let found = schema.attribute(name.text);
    let index = found.and_then(|found| schema.attributes().iter().position(|a| a.name == found.name));
    index.ok_or_else(|| {
        let names = schema.attributes().iter().flat_map(|a| std::iter::once(&a.name).chain(&a.aliases));
        let error = At::new(Fault::Attribute { name: clip(name.text) }, name.span.clone());
        match suggest::hint(name.text, names.map(String::as_str)) {
            Some(hint) => error.hint(hint),
            None => error,
        }
    })
}

struct Reader<'r> {
    attribute: &'r Attribute,
    raw: &'r RawClause<'r>,
}

impl Reader<'_> {
    fn compare(&self, op: Op, quantity: &Quantity<'_>) -> Result<Test, At> {
        let ordered = !matches!(op, Op::Equal | Op::NotEqual);
        match &self.attribute.kind {
            Kind::Codes { .. } => return Err(self.wrong_test(&format!("`{}`", op.text()))),
            Kind::Choice { .. } if ordered => return Err(self.wrong_test(&format!("`{}`", op.text()))),
            _ => {}
        }
        let value = self.value(quantity, None)?;
        Ok(match op {
            Op::AtLeast => Test::AtLeast(value),
            Op::AtMost => Test::AtMost(value),
            Op::Above => Test::Above(value),
            Op::Below => Test::Below(value),
            Op::Equal => Test::Equal(value),
            Op::NotEqual => Test::NotEqual(value),
        })
    }

    fn between(&self, low: &Quantity<'_>, high: &Quantity<'_>) -> Result<Test, At> {
        if matches!(self.attribute.kind, Kind::Codes { .. } | Kind::Choice { .. }) {
            return Err(self.wrong_test("`between`"));
        }
        // A unit behind the second bound is meant for both.
        let (low, high) = (self.value(low, high.unit.as_ref())?, self.value(high, low.unit.as_ref())?);
        if low > high {
            let message = format!("nothing lies between {low} and {high}");
            let error = At::new(Fault::Empty { message }, self.raw.span.clone());
            return Err(error.hint("the smaller bound comes first"));
        }
        Ok(Test::Between(low, high))
    }

    fn one_of(&self, values: &[Word<'_>]) -> Result<Test, At> {
        match &self.attribute.kind {
            Kind::Codes { .. } => {
                let ranges = values.iter().map(|value| self.codes(value)).collect::<Result<Vec<_>, _>>()?;
                Ok(Test::AnyCode(tidy(ranges)))
            }
            Kind::Date { .. } | Kind::Age { .. } => Err(self.wrong_test("`in`")),
            Kind::Number(number) if !number.is_dimensionless() => Err(self.wrong_test("`in`")),
            _ => {
                let read = |word: &Word<'_>| self.value(&Quantity { value: word.clone(), unit: None }, None);
                let mut values = values.iter().map(read).collect::<Result<Vec<_>, _>>()?;
                values.sort();
                values.dedup();
                Ok(Test::In(values))
            }
        }
    }

    fn within(&self, days: &Word<'_>) -> Result<Test, At> {
        if !matches!(self.attribute.kind, Kind::Date { .. }) {
            return Err(self.wrong_test("`within`"));
        }
        match days.text.parse::<u32>() {
            Ok(count) if count <= WITHIN_DAYS_MAX && days.text.bytes().all(|b| b.is_ascii_digit()) => {
                Ok(Test::WithinDays(count))
            }
            _ => Err(self.wrong_value(days, format!("a number of days up to {WITHIN_DAYS_MAX} is needed"))),
        }
    }

    fn value(&self, quantity: &Quantity<'_>, other_unit: Option<&Word<'_>>) -> Result<Value, At> {
        let unit = quantity.unit.as_ref().or(other_unit);
        let word = &quantity.value;
        match &self.attribute.kind {
            Kind::Number(number) => self.number(number, word, unit),
            Kind::Age { .. } => {
                if let Some(unit) = unit.filter(|unit| unit.text != "a") {
                    return Err(self.wrong_unit(unit, "a").hint("ages are completed years: age >= 18"));
                }
                match word.text.parse::<u32>() {
                    Ok(years) if years <= AGE_YEARS_MAX && word.text.bytes().all(|b| b.is_ascii_digit()) => {
                        Decimal::new(i64::from(years), 0)
                            .map(Value::Number)
                            .ok_or_else(|| self.wrong_value(word, "too large".to_owned()))
                    }
                    _ => {
                        Err(self
                            .wrong_value(word, format!("an age is whole years from 0 to {AGE_YEARS_MAX}")))
                    }
                }
            }
            Kind::Date { first, last, .. } => {
                self.no_unit(unit)?;
                let date = word.text.parse::<Date>().map_err(|e| self.wrong_value(word, e.to_string()))?;
                if !(*first..=*last).contains(&date) {
                    return Err(self.wrong_value(word, format!("the schema keeps {first} to {last}")));
                }
                Ok(Value::Date(date))
            }
            Kind::Choice { values, .. } => {
                self.no_unit(unit)?;
                self.choice(values, word)
            }
            Kind::Codes { .. } => Err(self.wrong_test("a single value")),
        }
    }

    fn choice(&self, values: &[Choice], word: &Word<'_>) -> Result<Value, At> {
        let found = values.iter().find(|choice| choice.name.eq_ignore_ascii_case(word.text));
        let value = |choice: &Choice| Value::Choice { number: choice.value, name: choice.name.clone() };
        found.map(value).ok_or_else(|| {
            let error = self.wrong_value(word, "the schema does not list it".to_owned());
            match suggest::hint(word.text, values.iter().map(|choice| choice.name.as_str())) {
                Some(hint) => error.hint(hint),
                None => error,
            }
        })
    }

    fn number(&self, number: &Number, word: &Word<'_>, unit: Option<&Word<'_>>) -> Result<Value, At> {
        let written = word.text.parse::<Decimal>().map_err(|e| self.wrong_value(word, e.to_string()))?;
        let value = self.converted(number, written, word, unit)?;
        if value.digits() > number.digits {
            let keeps = match number.digits {
                0 => "the schema keeps whole numbers".to_owned(),
                digits => format!("the schema keeps {digits} digit(s) after the point"),
            };
            return Err(self.wrong_value(word, keeps));
        }
        if value < number.min || value > number.max {
            let (min, max, unit) = (number.min, number.max, &number.unit);
            let of = if number.is_dimensionless() { String::new() } else { format!(" [{unit}]") };
            return Err(self.wrong_value(word, format!("the schema keeps {min} to {max}{of}")));
        }
        Ok(Value::Number(value))
    }

    fn converted(
        &self,
        number: &Number,
        written: Decimal,
        word: &Word<'_>,
        unit: Option<&Word<'_>>,
    ) -> Result<Decimal, At> {
        let Some(unit) = unit else {
            if number.is_dimensionless() {
                return Ok(written);
            }
            let message = format!("`{}` needs a unit", self.attribute.name);
            let hint = format!("write {} [{}]", word.text, number.unit);
            return Err(At::new(Fault::Unit { message }, word.span.clone()).hint(hint));
        };
        if unit.text == number.unit {
            return Ok(written);
        }
        if let Some(factor) = number.conversions.get(unit.text) {
            return written
                .times(*factor)
                .ok_or_else(|| self.wrong_value(word, "too many digits".to_owned()));
        }
        let error = self.wrong_unit(unit, &number.unit);
        Err(match number.refused_units.get(unit.text) {
            Some(why) => error.hint(why.clone()),
            None if number.conversions.is_empty() => error.hint(format!("write it in [{}]", number.unit)),
            None => {
                let others: Vec<String> = number.conversions.keys().map(|unit| format!("[{unit}]")).collect();
                error.hint(format!("write it in [{}] or {}", number.unit, others.join(", ")))
            }
        })
    }

    /// `E11`, `E11.*`, `E11.9*`, `E10-E14`.
    fn codes(&self, word: &Word<'_>) -> Result<CodeRange, At> {
        let bad = |reason: String| {
            self.wrong_value(word, reason)
                .hint("codes are written E11.9 (alone), E11.* (with all under it) or E10-E14 (a block)")
        };
        let code = |text: &str| Code::parse(text).map_err(|e| bad(e.to_string()));
        if let Some((first, last)) = word.text.split_once('-') {
            let (first, last) = (first.trim_end_matches(".*"), last.trim_end_matches(".*"));
            let range = CodeRange::span(code(first)?, code(last)?);
            return range.ok_or_else(|| bad("the second code comes before the first".to_owned()));
        }
        match word.text.strip_suffix('*') {
            Some(stem) => Ok(CodeRange::under(code(stem.strip_suffix('.').unwrap_or(stem))?)),
            None => Ok(CodeRange::exactly(code(word.text)?)),
        }
    }

    fn no_unit(&self, unit: Option<&Word<'_>>) -> Result<(), At> {
        let Some(unit) = unit else { return Ok(()) };
        let message = format!("`{}` has no unit", self.attribute.name);
        Err(At::new(Fault::Unit { message }, unit.span.clone()).hint("leave the unit away"))
    }

    fn wrong_unit(&self, unit: &Word<'_>, own: &str) -> At {
        let message =
            format!("`{}` is asserted in [{own}], not in [{}]", self.attribute.name, clip(unit.text));
        At::new(Fault::Unit { message }, unit.span.clone())
    }

    fn wrong_value(&self, word: &Word<'_>, reason: String) -> At {
        let (attribute, literal) = (self.attribute.name.clone(), clip(word.text));
        At::new(Fault::Value { attribute, literal, reason }, word.span.clone())
    }

    fn wrong_test(&self, found: &str) -> At {
        let name = &self.attribute.name;
        let (takes, example) = match &self.attribute.kind {
            Kind::Codes { .. } => ("takes `in` and `not in`", format!("{name} in (E11.*)")),
            Kind::Choice { values, .. } => {
                let value = values.first().map_or("yes", |choice| &choice.name);
                ("takes `=`, `!=` and `in`", format!("{name} = {value}"))
            }
            Kind::Date { .. } => {
                ("takes comparisons, `between` and `within`", format!("{name} >= 2026-01-31"))
            }
            Kind::Age { .. } => ("takes comparisons and `between`", format!("{name} between 18 and 75")),
            Kind::Number(number) if number.is_dimensionless() => {
                ("takes comparisons, `between` and `in`", format!("{name} <= {}", number.max))
            }
            Kind::Number(number) => {
                ("takes comparisons and `between`", format!("{name} >= {} [{}]", number.min, number.unit))
            }
        };
        let (attribute, takes, found) = (name.clone(), takes.to_owned(), found.to_owned());
        let error = At::new(Fault::Test { attribute, takes, found }, self.raw.span.clone());
        error.hint(format!("for instance: {example}"))
    }
}

/// Sorted, without what another range holds already.
fn tidy(mut ranges: Vec<CodeRange>) -> Vec<CodeRange> {
    // By first code, the widest first: then whatever is covered follows what covers it.
    ranges.sort_by_key(|range| (range.interval().0, u64::MAX - range.interval().1));
    let mut kept: Vec<CodeRange> = Vec::new();
    for range in ranges {
        if !kept.iter().any(|wider| wider.covers(range)) {
            kept.push(range);
        }
    }
    kept
}
