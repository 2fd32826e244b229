//! Any text is a policy or is refused with a place in it; a policy has one canonical text that means the same, and all that
//! decides by it decides alike.
#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use ward_protocols::sharing::span_program::SpanProgram;
use ward_protocols::sharing::{Attribute, Policy};

fuzz_target!(|data: &[u8]| {
    let Some((&[held0, held1], rest)) = data.split_first_chunk::<2>() else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    if let Ok(attribute) = Attribute::new(text) {
        assert_eq!(attribute.as_str(), text);
        assert_eq!(text.parse::<Policy>().expect("an attribute is a policy").leaves(), [&attribute]);
    }
    let policy: Policy = match text.parse() {
        Ok(policy) => policy,
        Err(error) => {
            assert!(text.get(error.span).is_some());
            return;
        }
    };
    let canonical = policy.to_string();
    let again: Policy = canonical.parse().expect("the canonical text is a policy");
    assert_eq!(again, policy);
    assert_eq!(again.to_string(), canonical);
    // Whoever has every other attribute, by the first bytes.
    let held = u16::from_le_bytes([held0, held1]);
    let leaves = policy.leaves();
    let all: BTreeSet<Attribute> = leaves.iter().map(|leaf| (*leaf).clone()).collect();
    let some: BTreeSet<Attribute> = all
        .iter()
        .enumerate()
        .filter(|(i, _)| held >> (i % 16) & 1 == 1)
        .map(|(_, leaf)| leaf.clone())
        .collect();
    assert!(policy.is_satisfied(&all) && !policy.is_satisfied(&BTreeSet::new()));
    let missing = policy.missing(&some);
    assert_eq!(policy.is_satisfied(&some), missing.is_empty());
    assert!(policy.is_satisfied(&some.union(&missing).cloned().collect()));
    match policy.choose(&some) {
        Some(chosen) => {
            assert!(policy.is_satisfied(&some));
            let chosen: BTreeSet<Attribute> = chosen.into_iter().map(|leaf| leaves[leaf].clone()).collect();
            assert!(chosen.is_subset(&some) && policy.is_satisfied(&chosen));
        }
        None => assert!(!policy.is_satisfied(&some)),
    }
    if let Ok(program) = SpanProgram::new(&policy) {
        assert_eq!(program.rows.len(), leaves.len());
    }
});
