//! The schema: what it holds, what contradicts itself, and what can be asked about.

use std::sync::Arc;

use super::*;

#[test]
fn the_identity_of_schema_and_text_is_fixed() {
    // Published in docs/reference/criteria.md: a change of either is a new version.
    assert_eq!(Schema::v1().id().to_string(), SCHEMA_ID);
    assert_eq!(parse(EXAMPLE).text_id().to_string(), EXAMPLE_ID);
    assert_eq!(parse(&EXAMPLE.to_uppercase().replace("[%]", " [%]")).text_id().to_string(), EXAMPLE_ID);
}

const SCHEMA_ID: &str = "6796c7bdccdc023c387a11f7a356af0e8a763703b31e0bc56eac2906231e202f";
const EXAMPLE_ID: &str = "8ccbb7577d7fbb74fde2a46e2740a0589d53497e9d75258d08bc49e795897574";

#[test]
fn slots_outside_the_schema_are_refused() {
    let schema = Schema::v1();
    let broken = |change: &dyn Fn(&mut [Slot; 32]), complete: u32| {
        let mut slots = *Record::patient().attributes().slots();
        change(&mut slots);
        schema.check(&Attributes::from_parts(slots, complete)).is_err()
    };
    let whole = Record::patient().attributes().complete();
    assert!(!broken(&|_| (), whole) && !broken(&|_| (), 0));
    assert!(broken(&|slots| slots[7] = Slot::Value(2_301), whole), "above the bound");
    assert!(broken(&|slots| slots[1] = Slot::Value(9), whole), "no such value");
    assert!(broken(&|slots| slots[0] = Slot::Before, whole), "a list's head in a single slot");
    assert!(broken(&|slots| slots[14] = Slot::Absent, 0), "a list without head");
    assert!(broken(&|slots| slots.swap(15, 16), 0), "a list out of order");
    assert!(broken(&|slots| slots[16] = Slot::Value(1), 0), "no code");
    assert!(broken(&|_| (), whole & !(1 << 14)), "half complete");
    assert!(broken(&|_| (), whole | 1 << 3), "neighbours outside of a list");
}

#[test]
fn a_schema_that_contradicts_itself_is_refused() {
    let edit = |from: &str, to: &str| {
        assert!(SCHEMA_JSON.contains(from), "{from}");
        Schema::from_json(&SCHEMA_JSON.replacen(from, to, 1)).expect_err(to)
    };
    for (from, to) in [
        ("\"slot\": 1,", "\"slot\": 0,"),
        ("\"slot\": 1,", "\"slot\": 32,"),
        ("\"name\": \"sex\"", "\"name\": \"birth_date\""),
        ("\"name\": \"sex\"", "\"name\": \"and\""),
        ("\"name\": \"sex\"", "\"name\": \"Sex\""),
        ("\"capacity\": 8", "\"capacity\": 9"),
        ("\"capacity\": 8", "\"capacity\": 99"),
        ("\"of\": \"birth_date\"", "\"of\": \"sex\""),
        ("\"min\": \"2\"", "\"min\": \"2.001\""),
        ("\"min\": \"2\"", "\"min\": \"26\""),
        ("\"multiply\": \"0.1\"", "\"multiply\": \"0\""),
        ("\"value\": 2", "\"value\": 1"),
        ("\"kind\": \"choice\"", "\"kind\": \"guess\""),
        ("\"first\": \"1900-01-01\"", "\"first\": \"2300-01-01\""),
        ("\"date_epoch\": \"1900-01-01\"", "\"date_epoch\": \"1970-01-01\""),
        ("\"title\"", "\"titel\""),
    ] {
        let error = edit(from, to);
        assert!(!error.to_string().is_empty(), "{from} -> {to}");
    }
}

#[test]
fn every_attribute_of_the_schema_can_be_asked_about() {
    let schema = Schema::v1();
    for attribute in schema.attributes() {
        let name = &attribute.name;
        let text = match &attribute.kind {
            Kind::Codes { .. } => format!("{name} in (A00)"),
            Kind::Choice { values, .. } => format!("{name} = {}", values[0].name),
            Kind::Date { .. } => format!("{name} >= 2026-01-01"),
            Kind::Age { .. } => format!("{name} >= 18"),
            Kind::Number(number) if number.is_dimensionless() => format!("{name} >= {}", number.min),
            Kind::Number(number) => format!("{name} >= {} [{}]", number.min, number.unit),
        };
        assert_eq!(Criteria::parse(&text, &Arc::clone(&schema)).unwrap().to_string(), text);
        for alias in &attribute.aliases {
            let text = text.replacen(name.as_str(), alias, 1);
            assert_eq!(parse(&text).groups().len(), 1, "{text}");
        }
    }
}
