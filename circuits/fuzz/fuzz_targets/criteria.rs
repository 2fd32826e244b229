//! Any text is criteria or is refused with a place in it; criteria have one canonical text, and mean the same in it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ward_circuits::criteria::{Criteria, Date, Schema};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let schema = Schema::v1();
    match Criteria::parse(text, &schema) {
        Ok(criteria) => {
            let canonical = criteria.to_string();
            let again = Criteria::parse(&canonical, &schema).expect("the canonical text is criteria");
            assert_eq!(again, criteria);
            assert_eq!(again.to_string(), canonical);
            for date in [Date::FIRST, Date::LAST] {
                assert_eq!(again.lower(date), criteria.lower(date));
                assert!(!criteria.explain(date).is_empty());
            }
        }
        Err(error) => {
            assert!(text.get(error.span()).is_some());
            assert!(!error.picture().is_empty());
        }
    }
});
