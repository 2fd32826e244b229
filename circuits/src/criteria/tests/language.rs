//! What the text means, what is refused, and how it is explained.

use super::*;

#[test]
fn the_example_means_what_it_says() {
    let criteria = parse(EXAMPLE);
    assert_eq!(
        criteria.to_string(),
        "age between 18 and 75 and hba1c >= 6.5 [%] and dx in (E11.*) and rx not in (A10A*)"
    );
    let lowered = criteria.lower(date("2026-11-22")).unwrap();
    let list = |first, len| circuit::Run::new(SlotIndex::new(first).unwrap(), len).unwrap();
    let codes = |text| {
        let (low, high) = CodeRange::under(Code::parse(text).unwrap()).interval();
        Interval::new(low, high).unwrap()
    };
    // Born from 1950-11-23 (75 until the day before the 76th birthday) to 2008-11-22; 6.5 % is 450 above 2.00 %.
    let expected = vec![
        vec![one(0, date("1950-11-23").days(), date("2008-11-22").days())],
        vec![one(7, 450, 2300)],
        vec![circuit::Clause::new(list(14, 10), circuit::Test::Within(codes("E11"))).unwrap()],
        vec![circuit::Clause::new(list(24, 8), circuit::Test::NoneWithin(codes("A10A"))).unwrap()],
    ];
    assert_eq!(lowered.criteria().groups(), expected);
    assert!(Record::patient().meets(EXAMPLE));
}

#[test]
fn what_was_not_recorded_meets_no_clause() {
    let blank = Record::default();
    for clause in [
        "smoker = yes",
        "smoker != yes",
        "hba1c < 6 [%]",
        "not hba1c < 6 [%]",
        "age >= 0",
        "not age >= 18",
        "ecog not in (3, 4)",
        "labs_date within 90 days",
        "labs_date not within 90 days",
        "dx in (E11.*)",
        "dx not in (E11.*)",
        "ecog not between 1 and 2",
    ] {
        assert!(!blank.meets(clause), "{clause}");
    }
    let incomplete = Record { dx_complete: false, ..Record::patient() };
    assert!(incomplete.meets("dx in (E11.*)") && !incomplete.meets("dx not in (C00-C97)"));
    assert!(Record::patient().meets("dx not in (C00-C97)"));
    let none = Record { dx: Vec::new(), ..Record::patient() };
    assert!(none.meets("dx not in (E11.*)"), "a complete empty list says that there is nothing");
}

#[test]
fn a_clause_that_fails_is_named() {
    let old = Record { birth_date: Some(date("1950-11-22")), ..Record::patient() };
    let lowered = parse(EXAMPLE).lower(date("2026-11-22")).unwrap();
    assert_eq!(
        lowered.check(&old.attributes()),
        Err(Unmet::Clause { clause: "age between 18 and 75".into() })
    );
    let alternatives = parse("sex = male or ecog >= 3").lower(date("2026-11-22")).unwrap();
    assert_eq!(
        alternatives.check(&old.attributes()),
        Err(Unmet::Clause { clause: "sex = male or ecog >= 3".into() })
    );
}

#[test]
fn any_tree_becomes_an_and_of_ors() {
    for (text, canonical) in [
        ("not (age >= 18 and smoker = yes)", "age < 18 or smoker != yes"),
        ("not (age >= 18 or smoker = yes)", "age < 18 and smoker != yes"),
        (
            "(age >= 18 and ecog <= 1) or sex = male",
            "(age >= 18 or sex = male) and (ecog <= 1 or sex = male)",
        ),
        ("age >= 18 and (age >= 18 or sex = male)", "age >= 18"),
        ("not not (not age between 18 and 75)", "age not between 18 and 75"),
        ("sex in (female, MALE)", "sex in (male, female)"),
        ("Hemoglobin ≥ 120.0 [g/L]", "haemoglobin >= 12 [g/dL]"),
        ("creatinine between 0.05 and 0.1 [mmol/L]", "creatinine between 50 and 100 [umol/L]"),
        ("dx in (e11.9, E11*, E1165, C50-C50.9)", "dx in (C50-C50.9, E11.*)"),
        ("rx in (A10BA02) and rx in (A10BA02)", "rx in (A10BA02)"),
        ("labs_date within 90 days", "labs_date within 90 days"),
    ] {
        assert_eq!(parse(text).to_string(), canonical, "{text}");
    }
}

#[test]
fn alternatives_beyond_the_circuit_share_sets() {
    let codes: Vec<String> = (b'A'..=b'Z').map(|letter| format!("{}10.*", char::from(letter))).collect();
    let many = format!("age >= 18 and dx in ({})", codes.join(", "));
    assert_eq!(parse(&many).clauses_count(), 2);
    let lowered = parse(&many).lower(date("2026-11-22")).unwrap();
    assert!(lowered.criteria().clauses().any(|clause| clause.test().has_set()));
    assert!(Record { dx: vec!["Q10.1".into()], ..Record::patient() }.meets(&many));
    assert!(!Record { dx: vec!["Q11".into()], ..Record::patient() }.meets(&many));
    let none = format!("dx not in ({})", codes.join(", "));
    let error = refused(&none);
    assert_eq!((error.code(), error.fault()), ("criteria.limit", &limit(26)));
}

fn limit(count: usize) -> Fault {
    let what = "clauses of the circuit, once the text is an AND of ORs".to_owned();
    Fault::Limit { what, count, limit: 16 }
}

#[test]
fn adjacent_codes_take_one_clause() {
    let criteria = parse("rx not in (A10A*, A10B*) and dx in (E10.*, E11.*, E12.*, E13.*, E14.*)");
    assert_eq!(criteria.clauses_count(), 2);
    let block = parse("dx in (E10-E14)").lower(date("2026-11-22")).unwrap();
    assert_eq!(
        block.criteria().groups()[0],
        criteria.lower(date("2026-11-22")).unwrap().criteria().groups()[1]
    );
}

#[test]
fn faults_are_shown_where_they_stand() {
    for (text, code, marked, hint) in [
        ("", "criteria.syntax", "", "for instance"),
        ("age >= 18 adn sex = male", "criteria.syntax", "adn", "join clauses"),
        ("age > = 18", "criteria.syntax", "=", ""),
        ("(age >= 18", "criteria.syntax", "(", ""),
        ("age >= 18)", "criteria.syntax", ")", ""),
        ("dx in E11", "criteria.syntax", "E11", "dx in (E10.*, E11.*)"),
        ("dx in (E11", "criteria.syntax", "(", ""),
        ("age betwen 18 and 75", "criteria.syntax", "betwen", "did you mean `between`?"),
        ("hba1c >= 6.5 %", "criteria.syntax", "%", "units stand in brackets"),
        ("hba1c >= 6.5 [%", "criteria.syntax", "[%", "brackets"),
        ("smoker = 'yes'", "criteria.syntax", "'", "quotation"),
        ("age >= 18 && sex = male", "criteria.syntax", "&", "`and`"),
        ("hba1 >= 6.5 [%]", "criteria.attribute", "hba1", "did you mean `hba1c`?"),
        ("hba1c >= 6.5", "criteria.unit", "6.5", "write 6.5 [%]"),
        ("hba1c >= 48 [mmol/mol]", "criteria.unit", "[mmol/mol]", "no exact factor"),
        ("haemoglobin >= 120 [g/l]", "criteria.unit", "[g/l]", "write it in [g/dL] or [g/L]"),
        ("age >= 18 [months]", "criteria.unit", "[months]", "completed years"),
        ("sex = male [1]", "criteria.unit", "[1]", "leave the unit away"),
        ("hba1c >= 6.555 [%]", "criteria.value", "6.555", ""),
        ("hba1c >= 65 [%]", "criteria.value", "65", ""),
        ("hba1c >= six [%]", "criteria.value", "six", ""),
        ("age >= 18.5", "criteria.value", "18.5", ""),
        ("age >= 200", "criteria.value", "200", ""),
        ("age >= 18-75", "criteria.value", "18-75", ""),
        ("smoker = yess", "criteria.value", "yess", "did you mean `yes`?"),
        ("labs_date >= 2026-02-30", "criteria.value", "2026-02-30", ""),
        ("labs_date within 99999 days", "criteria.value", "99999", ""),
        ("dx in (E11.**)", "criteria.value", "E11.**", "codes are written"),
        ("dx in (E14-E10)", "criteria.value", "E14-E10", "codes are written"),
        ("dx = E11.9", "criteria.test", "dx = E11.9", "for instance: dx in (E11.*)"),
        ("sex > male", "criteria.test", "sex > male", "for instance: sex = male"),
        ("hba1c in (6.5)", "criteria.test", "hba1c in (6.5)", "for instance"),
        ("age within 3 days", "criteria.test", "age within 3 days", "for instance"),
        ("age between 75 and 18", "criteria.empty", "age between 75 and 18", "smaller bound"),
        ("not hba1c >= 2 [%]", "criteria.empty", "hba1c >= 2 [%]", "bounds"),
        ("not sex in (male, female, other)", "criteria.empty", "sex in (male, female, other)", ""),
    ] {
        let error = refused(text);
        assert_eq!(error.code(), code, "{text}: {error}");
        assert_eq!(&text[error.span()], marked, "{text}: {error}");
        assert!(error.hint().unwrap_or_default().contains(hint), "{text}: {:?}", error.hint());
    }
}

#[test]
fn the_picture_points_at_the_fault() {
    let error = refused("age >= 18\n  and hba1 >= 6.5 [%]");
    assert_eq!(error.place(), (2, 7));
    assert_eq!(error.picture(), "  |   and hba1 >= 6.5 [%]\n  |       ^^^^\n");
    assert_eq!(error.to_string(), "no attribute `hba1` at line 2, column 7");
    assert!(!refused("hba1c = \u{1b}[2J").picture().contains('\u{1b}'));
}

#[test]
fn growth_is_bounded() {
    let ors: Vec<String> = (0..12).map(|i| format!("(ecog = {} and age >= {})", i % 6, 20 + i)).collect();
    assert_eq!(refused(&ors.join(" or ")).code(), "criteria.limit");
    assert_eq!(refused(&format!("{}age >= 18", "not ".repeat(100))).code(), "criteria.syntax");
    assert_eq!(refused(&format!("dx in ({})", vec!["E11"; 600].join(","))).code(), "criteria.syntax");
    assert_eq!(refused(&" ".repeat(TEXT_BYTES_MAX + 1)).code(), "criteria.syntax");
}

#[test]
fn a_clause_that_no_date_can_meet_is_refused_when_lowered() {
    let error = parse("age >= 100").lower(date("1990-01-01")).unwrap_err();
    assert_eq!(error, Unmet::Nobody { clause: "age >= 100".into(), evaluation: date("1990-01-01") });
    assert!(parse("age < 100").lower(date("1990-01-01")).is_ok());
}

#[test]
fn explanations_say_what_the_issuer_must_assert() {
    let explained = parse(EXAMPLE).explain(date("2026-11-22"));
    assert_eq!(explained.len(), 4);
    assert_eq!(explained[0].slots, [0]);
    assert_eq!(explained[0].compares, ["slot 0: 1950-11-23 to 2008-11-22"]);
    assert_eq!(explained[0].source, "Patient.birthDate");
    assert_eq!(explained[1].unit, "%");
    assert_eq!(explained[1].compares, ["slot 7: 6.5 to 25"]);
    assert_eq!(explained[3].slots, (24..32).collect::<Vec<_>>());
    assert!(explained[3].asserts.contains("that the list is complete"));
    assert!(parse("dx in (E11)").explain(date("2026-11-22"))[0].note.contains("stands for itself alone"));
    assert!(parse("age >= 100").explain(date("1990-01-01"))[0].note.contains("nobody"));
}
