//! Any text is a schema of attributes or is refused, and whatever criteria are read under a schema that is taken have one canonical
//! text that means the same; codes, days and numbers read back as they were written.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use ward_circuits::criteria::{Code, Criteria, Date, Decimal, Kind, Schema};

/// The schema of this version.
const SCHEMA: &str = include_str!("../../src/criteria/schema-1.json");

fn words(text: &str) {
    if let Ok(code) = Code::parse(text) {
        assert_eq!(Code::from_value(code.value()), Some(code));
        assert_eq!(Code::parse(&code.text(Some(3))), Ok(code));
    }
    if let Ok(date) = text.parse::<Date>() {
        assert_eq!(date.to_string(), text);
        assert_eq!(Date::from_days(date.days()), Some(date));
    }
    if let Ok(number) = text.parse::<Decimal>() {
        assert_eq!(number.to_string().parse(), Ok(number));
        assert!(number.rounded(2).digits() <= 2.max(number.digits()));
        let _ = (number.times(number), number.scaled(9));
    }
}

/// The schema with a part of it overwritten, cut out or pushed in.
fn changed(mode: u8, at: usize, text: &str) -> Option<String> {
    let at = at % SCHEMA.len();
    let len = if mode & 2 == 0 { text.len() } else { usize::from(mode >> 2) };
    let (before, after) = (SCHEMA.get(..at)?, SCHEMA.get((at + len).min(SCHEMA.len())..)?);
    Some(format!("{before}{text}{after}"))
}

fuzz_target!(|data: &[u8]| {
    let Some((&[mode, at0, at1], rest)) = data.split_first_chunk::<3>() else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    // What stands before the first zero goes into the schema, what stands behind it is criteria.
    let (text, criteria) = text.split_once('\0').unwrap_or((text, ""));
    words(text);
    let json = if mode & 1 == 0 {
        Some(text.to_owned())
    } else {
        changed(mode, usize::from(at0) << 8 | usize::from(at1), text)
    };
    let Some(Ok(schema)) = json.map(|json| Schema::from_json(&json)) else { return };
    for attribute in schema.attributes() {
        assert!(schema.attribute(&attribute.name).is_some());
        if let Kind::Number(number) = &attribute.kind {
            for value in [number.min, number.max] {
                let slot = number.encode(value).expect("a bound is a value");
                assert_eq!(number.decode(slot), Some(value));
            }
            let _ = number.decode(u64::MAX);
        }
    }
    let schema = Arc::new(schema);
    if let Ok(criteria) = Criteria::parse(criteria, &schema) {
        let again = Criteria::parse(&criteria.to_string(), &schema).expect("the canonical text is criteria");
        assert_eq!(again.lower(Date::LAST), criteria.lower(Date::LAST));
    }
});
