//! Known answers, refusals, and texts that nobody would write.

use std::collections::HashMap;

use proptest::prelude::*;
use serde_json::json;

use super::{Item, RowItem, parse};

fn ask(item: &serde_json::Value, path: &str) -> Vec<String> {
    let expr = parse(path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let values = expr.evaluate(&Item::Json(item));
    values.iter().map(|v| v.text().map_or("{}".to_owned(), std::borrow::Cow::into_owned)).collect()
}

fn observation() -> serde_json::Value {
    json!({
        "resourceType": "Observation", "id": "o1", "status": "final",
        "code": {"coding": [
            {"system": "http://loinc.org", "code": "4548-4"},
            {"system": "http://snomed.info/sct", "code": "43396009"}]},
        "subject": {"reference": "https://h.example/fhir/Patient/p7/_history/3"},
        "effectiveDateTime": "2026-06-15T23:18:00+02:00",
        "valueQuantity": {"value": 6.5, "unit": "%", "code": "%"},
        "component": [{"valueQuantity": {"value": 120}}, {"valueQuantity": {"value": 80}}],
        "extension": [{"url": "http://x/y", "valueCode": "M"}]
    })
}

#[test]
fn paths_find_what_fhirpath_finds() {
    let item = observation();
    for (path, found) in [
        ("id", vec!["o1"]),
        ("getResourceKey()", vec!["o1"]),
        ("code.coding.code", vec!["4548-4", "43396009"]),
        ("code.coding.where(system = 'http://loinc.org').code", vec!["4548-4"]),
        ("code.coding.exists(system = 'http://loinc.org' and code = '4548-4')", vec!["true"]),
        ("code.coding[1].code", vec!["43396009"]),
        ("code.coding.count()", vec!["2"]),
        ("subject.getReferenceKey(Patient)", vec!["p7"]),
        ("subject.getReferenceKey(Group)", vec![]),
        ("value.ofType(Quantity).value", vec!["6.5"]),
        ("value.ofType(string)", vec![]),
        ("effective.ofType(dateTime).date()", vec!["2026-06-15"]),
        ("effective.year()", vec!["2026"]),
        ("component.value.value.max()", vec!["120"]),
        ("component.value.value.min()", vec!["80"]),
        ("component.last().value.value", vec!["80"]),
        ("component.first().value", vec!["{}"]),
        ("extension('http://x/y').value", vec!["M"]),
        ("status in ('final' | 'amended')", vec!["true"]),
        ("value.value >= 6.5 and value.value < 7", vec!["true"]),
        ("effective > @2026-06-15", vec!["true"]),
        ("effective >= @2026-06-16", vec!["false"]),
        ("absent.deep.there", vec![]),
        ("absent = 'x'", vec![]),
        ("absent.exists()", vec!["false"]),
        ("absent.empty()", vec!["true"]),
        ("(absent = 'x').not()", vec![]),
        ("status.startsWith('fin')", vec!["true"]),
        ("status.substring(0, 3)", vec!["fin"]),
        ("iif(value.value > 6, 'high', 'low')", vec!["high"]),
        ("iif(value.value > 7, 'high')", vec![]),
        ("ageAt(@1980-06-16, effective)", vec!["45"]),
        ("daysBetween(@2026-06-14, effective)", vec!["1"]),
        ("'it\\'s'", vec!["it's"]),
        ("component.value.value.where($this > 100)", vec!["120"]),
    ] {
        assert_eq!(ask(&item, path), found, "{path}");
    }
}

#[test]
fn rows_are_read_by_their_columns() {
    let columns: HashMap<String, usize> = [("a".to_owned(), 0), ("b".to_owned(), 1)].into();
    let fields = [Some("192671".to_owned()), None];
    let item = Item::Row(RowItem { columns: &columns, fields: &fields });
    for (path, holds) in [
        ("a = 192671", true),
        ("a = '192671'", true),
        ("a in (1 | 192671)", true),
        ("b.exists()", false),
        ("b = a", false),
        ("c.empty()", true),
        ("a > 200000", false),
    ] {
        assert_eq!(parse(path).unwrap().holds(&item), holds, "{path}");
    }
}

#[test]
fn what_is_no_path_is_refused_with_its_place() {
    for (path, at) in [
        ("", 1),
        ("a.", 3),
        ("a b", 3),
        ("a.where(", 9),
        ("a = 'x", 5),
        ("a.nothing()", 11),
        ("@2026-99-01", 1),
        ("a and", 6),
        ("a = = b", 5),
        ("a[x]", 3),
        ("a # b", 3),
        ("é", 1),
    ] {
        assert_eq!(parse(path).unwrap_err().at, at, "{path}");
    }
    assert!(parse(&"(".repeat(2000)).is_err());
    assert!(parse(&"a.".repeat(3000)).is_err());
}

proptest! {
    #[test]
    fn no_text_breaks_the_parser(text in "\\PC{0,60}") {
        let _ = parse(&text);
    }

    #[test]
    fn no_path_breaks_on_any_resource(
        path in prop::collection::vec(prop::sample::select(vec![
            "a", ".", "(", ")", "where(", "exists(", "=", "'x'", "1", "and", "or", "$this", "[0]", "count()", "|",
            "ofType(Quantity)", "first()", "ageAt(", ",", "@2026", "in", "value", "<", "min()", "iif(",
        ]), 0..14),
        value in prop::sample::select(vec![
            json!(null), json!([]), json!({"a": [[1, {"a": 2}], "x", null]}), json!("x"),
            json!({"valueQuantity": {"value": 1e300}, "a": {"reference": "/"}}), json!({"a": {"url": 3}}),
        ]),
    ) {
        if let Ok(expr) = parse(&path.concat()) {
            let _ = expr.evaluate(&Item::Json(&value));
        }
    }
}
