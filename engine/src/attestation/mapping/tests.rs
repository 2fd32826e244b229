//! Records into slots, and records refused.

use ward_circuits::eligibility::Slot;

use super::*;

const MAPPING: &str = r#"
    schema = "ward-eligibility-schema/1"
    patient = "id"
    null_values = ["NA"]
    [attribute.birth_date]
    column = "dob"
    [attribute.sex]
    column = "gender"
    values = { M = "male", F = "female" }
    [attribute.haemoglobin]
    column = "hb"
    unit = "g/L"
    [attribute.hba1c]
    column = "a1c"
    unit = "%"
    [attribute.dx]
    column = "icd"
    complete_column = "icd_all"
    [attribute.rx]
    column = "atc"
    separator = " "
    complete = true
"#;

fn today() -> Date {
    "2026-11-22".parse().unwrap()
}

fn record(changes: &[(&str, &str)]) -> Record {
    let mut values: BTreeMap<&str, &str> = [
        ("dob", "1968-04-02"),
        ("gender", "F"),
        ("hb", "134"),
        ("a1c", "7.1"),
        ("icd", "I10; E11.65;E11.65"),
        ("icd_all", "yes"),
        ("atc", "A10BA02"),
    ]
    .into();
    values.extend(changes.iter().copied());
    Record::new(7, values.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())))
}

fn mapping() -> Mapping {
    Mapping::parse(MAPPING, &Schema::v1()).unwrap()
}

fn slots(changes: &[(&str, &str)]) -> Mapped {
    mapping().apply(&record(changes), today()).unwrap()
}

fn code(text: &str) -> Slot {
    Slot::Value(Code::parse(text).unwrap().value())
}

#[test]
fn a_record_is_written_into_its_slots() {
    let mapped = slots(&[]);
    let slots = mapped.attributes.slots();
    assert_eq!(slots[0], Slot::Value("1968-04-02".parse::<Date>().unwrap().days()));
    assert_eq!(slots[1], Slot::Value(2));
    assert_eq!(slots[7], Slot::Value(510), "7.10 % is 510 hundredths above 2");
    assert_eq!(slots[10], Slot::Value(134), "134 g/L is 13.4 g/dL");
    assert_eq!(slots[14..18], [Slot::Before, code("E11.65"), code("I10"), Slot::Absent]);
    assert_eq!(slots[3], Slot::Absent, "what is not mapped is not recorded");
    assert!(mapped.notes.is_empty());
}

#[test]
fn null_values_are_not_recorded_and_an_empty_complete_list_says_nothing_is_there() {
    let mapped = slots(&[("a1c", "NA"), ("dob", ""), ("icd", "")]);
    assert_eq!(mapped.attributes.slots()[7], Slot::Absent);
    assert_eq!(mapped.attributes.slots()[0], Slot::Absent);
    assert_eq!(mapped.attributes.slots()[14], Slot::Before);
    assert_eq!(mapped.attributes.complete() >> 14 & 1, 1);
    assert_eq!(slots(&[("icd_all", "no")]).attributes.complete() >> 14 & 1, 0);
}

#[test]
fn a_list_that_overflows_is_not_called_complete() {
    let codes: Vec<String> = (0..9).map(|i| format!("A0{i}")).collect();
    let mapped = slots(&[("icd", &codes.join(";"))]);
    assert_eq!(mapped.attributes.complete() >> 14 & 0x1ff, 0);
    assert_eq!(mapped.notes.len(), 1);
    assert!(!mapped.notes[0].contains("A00"), "notes carry no values");
    assert_eq!(mapped.attributes.slots()[15], code("A00"));
    let eight = slots(&[("icd", &codes[..8].join(";"))]);
    assert_eq!(eight.attributes.complete() >> 14 & 0x1ff, 0x1ff);
}

#[test]
fn values_that_the_schema_does_not_allow_are_refused_without_being_shown() {
    for (column, value) in [
        ("dob", "1968-02-30"),
        ("dob", "2026-11-23"),
        ("gender", "X"),
        ("hb", "1340000"),
        ("hb", "134.12"),
        ("a1c", "7.123"),
        ("a1c", "1.99"),
        ("a1c", "7,1"),
        ("icd", "E11;??"),
        ("icd_all", "maybe"),
    ] {
        let error = mapping().apply(&record(&[(column, value)]), today()).err().unwrap();
        let shown = error.to_string();
        assert!(matches!(error, MappingError::Value { row: 7, .. }), "{column}={value}: {shown}");
        assert!(shown.contains(&format!("column `{column}`")) && !shown.contains(value), "{shown}");
    }
}

#[test]
fn rounding_is_done_where_the_mapping_asks_for_it() {
    let rounding = MAPPING.replace("column = \"a1c\"", "column = \"a1c\"\nround = true");
    let mapping = Mapping::parse(&rounding, &Schema::v1()).unwrap();
    let mapped = mapping.apply(&record(&[("a1c", "6.495")]), today()).unwrap();
    assert_eq!(mapped.attributes.slots()[7], Slot::Value(450));
}

#[test]
fn mappings_that_the_schema_does_not_allow_are_refused() {
    for (from, to) in [
        ("unit = \"g/L\"", "unit = \"mmol/L\""),
        ("unit = \"g/L\"", ""),
        ("unit = \"%\"", "unit = \"mmol/mol\""),
        ("F = \"female\"", "F = \"woman\""),
        ("[attribute.sex]", "[attribute.gender]"),
        ("[attribute.birth_date]", "[attribute.age]"),
        ("column = \"dob\"", "column = \"dob\"\nunit = \"a\""),
        ("column = \"dob\"", "column = \"dob\"\nseparator = \";\""),
        ("complete = true", "complete = true\ncomplete_column = \"x\""),
        ("patient = \"id\"", ""),
        ("schema = \"ward-eligibility-schema/1\"", "schema = \"other/1\""),
        ("column = \"dob\"", "colum = \"dob\""),
    ] {
        assert!(MAPPING.contains(from), "{from}");
        assert!(Mapping::parse(&MAPPING.replacen(from, to, 1), &Schema::v1()).is_err(), "{from} -> {to}");
    }
}
