//! The language against its schema, its canonical form, and the records it speaks of.

use std::fmt::Write as _;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::eligibility::{self as circuit, Attributes, Interval, Slot, SlotIndex};

const EXAMPLE: &str = "age between 18 and 75 and hba1c >= 6.5 [%] and dx in (E11.*) and not rx in (A10A*)";

fn parse(text: &str) -> Criteria {
    Criteria::parse(text, &Schema::v1()).unwrap_or_else(|e| panic!("{text}: {e}\n{}", e.picture()))
}

fn refused(text: &str) -> CriteriaError {
    Criteria::parse(text, &Schema::v1()).expect_err(text)
}

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

fn code(text: &str) -> u64 {
    Code::parse(text).unwrap().value()
}

fn one(slot: usize, low: u64, high: u64) -> circuit::Clause {
    let run = circuit::Run::one(SlotIndex::new(slot).unwrap());
    circuit::Clause::new(run, circuit::Test::Within(Interval::new(low, high).unwrap())).unwrap()
}

/// A record as criteria see it: every attribute by name.
#[derive(Clone, Debug, Default)]
struct Record {
    birth_date: Option<Date>,
    sex: Option<u64>,
    ecog: Option<u64>,
    hba1c: Option<u64>,
    labs_date: Option<Date>,
    dx: Vec<String>,
    dx_complete: bool,
    rx: Vec<String>,
    rx_complete: bool,
}

impl Record {
    fn attributes(&self) -> Attributes {
        let mut attributes = Attributes::new();
        let schema = Schema::v1();
        let mut set = |name: &str, value: Option<u64>| {
            let slot = schema.attribute(name).unwrap().kind.slots()[0];
            if let Some(value) = value {
                attributes.set(SlotIndex::new(slot).unwrap(), value);
            }
        };
        set("birth_date", self.birth_date.map(Date::days));
        set("sex", self.sex);
        set("ecog", self.ecog);
        set("hba1c", self.hba1c.map(|hundredths| hundredths - 200));
        set("labs_date", self.labs_date.map(Date::days));
        for (name, codes, complete) in
            [("dx", &self.dx, self.dx_complete), ("rx", &self.rx, self.rx_complete)]
        {
            let Kind::Codes { run, .. } = schema.attribute(name).unwrap().kind else {
                panic!("{name} is a list")
            };
            let codes: Vec<u64> = codes.iter().map(|text| code(text)).collect();
            attributes.set_list(run, &codes, complete).unwrap();
        }
        schema.check(&attributes).unwrap();
        attributes
    }

    fn patient() -> Self {
        Self {
            birth_date: Some(date("1968-04-02")),
            sex: Some(2),
            ecog: Some(1),
            hba1c: Some(710),
            labs_date: Some(date("2026-10-30")),
            dx: vec!["E11.65".into(), "I10".into()],
            dx_complete: true,
            rx: vec!["A10BA02".into()],
            rx_complete: true,
        }
    }

    fn meets(&self, text: &str) -> bool {
        parse(text).lower(date("2026-11-22")).unwrap().check(&self.attributes()).is_ok()
    }
}

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
fn the_identity_of_schema_and_text_is_fixed() {
    // Published in docs/reference/criteria.md: a change of either is a new version.
    assert_eq!(Schema::v1().id().to_string(), SCHEMA_ID);
    assert_eq!(parse(EXAMPLE).text_id().to_string(), EXAMPLE_ID);
    assert_eq!(parse(&EXAMPLE.to_uppercase().replace("[%]", " [%]")).text_id().to_string(), EXAMPLE_ID);
}

const SCHEMA_ID: &str = "6796c7bdccdc023c387a11f7a356af0e8a763703b31e0bc56eac2906231e202f";
const EXAMPLE_ID: &str = "8ccbb7577d7fbb74fde2a46e2740a0589d53497e9d75258d08bc49e795897574";

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

/// A clause as text, and whether a record meets it, negated or not; `None` when the record cannot say.
type Judge = fn(&Record) -> Option<bool>;

const ATOMS: [(&str, Judge); 12] = [
    ("age >= 18", |r| age(r).map(|age| age >= 18)),
    ("age between 40 and 65", |r| age(r).map(|age| (40..=65).contains(&age))),
    ("age = 58", |r| age(r).map(|age| age == 58)),
    ("sex = female", |r| r.sex.map(|sex| sex == 2)),
    ("ecog in (0, 2, 4)", |r| r.ecog.map(|ecog| ecog % 2 == 0)),
    ("ecog < 3", |r| r.ecog.map(|ecog| ecog < 3)),
    ("hba1c != 7.1 [%]", |r| r.hba1c.map(|hba1c| hba1c != 710)),
    ("hba1c between 6.5 and 9 [%]", |r| r.hba1c.map(|hba1c| (650..=900).contains(&hba1c))),
    ("labs_date within 90 days", |r| r.labs_date.map(|d| d >= date("2026-08-24") && d <= date("2026-11-22"))),
    ("labs_date > 2026-10-29", |r| r.labs_date.map(|d| d > date("2026-10-29"))),
    ("dx in (E11.*, I10)", |r| list(&r.dx, r.dx_complete, |code| code.starts_with("E11") || code == "I10")),
    ("rx in (A10A*, C09*)", |r| {
        list(&r.rx, r.rx_complete, |code| code.starts_with("A10A") || code.starts_with("C09"))
    }),
];

fn age(record: &Record) -> Option<u32> {
    let (y, m, d) = record.birth_date?.civil();
    Some(2026 - y - u32::from((11, 22) < (m, d)))
}

fn list(codes: &[String], complete: bool, is: fn(&str) -> bool) -> Option<bool> {
    let any = codes.iter().any(|code| is(code));
    if any { Some(true) } else { complete.then_some(false) }
}

#[derive(Clone, Debug)]
enum Tree {
    Atom(usize),
    Not(Box<Tree>),
    All(Vec<Tree>),
    Any(Vec<Tree>),
}

impl Tree {
    fn text(&self) -> String {
        let join = |parts: &[Tree], word: &str| {
            let mut text = String::new();
            for (index, part) in parts.iter().enumerate() {
                let word = if index > 0 { format!(" {word} ") } else { String::new() };
                write!(text, "{word}({})", part.text()).unwrap();
            }
            text
        };
        match self {
            Self::Atom(index) => ATOMS[*index].0.to_owned(),
            Self::Not(inner) => format!("not ({})", inner.text()),
            Self::All(parts) => join(parts, "and"),
            Self::Any(parts) => join(parts, "OR"),
        }
    }

    /// A clause about what was not recorded is met neither as it stands nor negated.
    fn holds(&self, record: &Record, negated: bool) -> bool {
        match self {
            Self::Atom(index) => ATOMS[*index].1(record).is_some_and(|holds| holds != negated),
            Self::Not(inner) => inner.holds(record, !negated),
            Self::All(parts) if negated => parts.iter().any(|part| part.holds(record, true)),
            Self::Any(parts) if negated => parts.iter().all(|part| part.holds(record, true)),
            Self::All(parts) => parts.iter().all(|part| part.holds(record, false)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(record, false)),
        }
    }
}

fn trees() -> impl Strategy<Value = Tree> {
    (0..ATOMS.len()).prop_map(Tree::Atom).prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|tree| Tree::Not(Box::new(tree))),
            proptest::collection::vec(inner.clone(), 1..3).prop_map(Tree::All),
            proptest::collection::vec(inner, 1..3).prop_map(Tree::Any),
        ]
    })
}

fn records() -> impl Strategy<Value = Record> {
    let maybe = proptest::option::weighted::<BoxedStrategy<u64>>;
    let codes = |known: &'static [&'static str]| proptest::sample::subsequence(known, 0..=known.len().min(6));
    (
        maybe(0.8, (0u64..46_300).boxed()),
        maybe(0.8, (1u64..4).boxed()),
        maybe(0.8, (0u64..6).boxed()),
        maybe(0.8, prop_oneof![200u64..2_500, 640u64..720, Just(650), Just(900), Just(710)].boxed()),
        maybe(0.8, (46_200u64..46_360).boxed()),
        (codes(&["E10", "E11", "E11.9", "E12", "I10", "I10.0", "Z00"]), any::<bool>()),
        (codes(&["A10AB01", "A10BA02", "C09AA05", "C10AA01", "N02BE01"]), any::<bool>()),
    )
        .prop_map(|(birth, sex, ecog, hba1c, labs, (dx, dx_complete), (rx, rx_complete))| Record {
            birth_date: birth.and_then(Date::from_days),
            sex,
            ecog,
            hba1c,
            labs_date: labs.and_then(Date::from_days),
            dx: dx.into_iter().map(str::to_owned).collect(),
            dx_complete,
            rx: rx.into_iter().map(str::to_owned).collect(),
            rx_complete,
        })
}

proptest! {
    #[test]
    fn the_circuits_criteria_hold_of_a_record_exactly_when_the_text_does(tree in trees(), record in records()) {
        // A tree that does not fit the circuit is refused as such, and says nothing of records.
        match Criteria::parse(&tree.text(), &Schema::v1()) {
            Err(error) => prop_assert_eq!(error.code(), "criteria.limit"),
            Ok(criteria) => {
                let lowered = criteria.lower(date("2026-11-22")).unwrap();
                prop_assert_eq!(lowered.check(&record.attributes()).is_ok(), tree.holds(&record, false));
                prop_assert!(lowered.criteria().clauses().count() <= criteria.clauses_count());
            }
        }
    }

    #[test]
    fn the_canonical_text_parses_to_the_same_criteria(tree in trees()) {
        if let Ok(criteria) = Criteria::parse(&tree.text(), &Schema::v1()) {
            let canonical = criteria.to_string();
            let again = Criteria::parse(&canonical, &Schema::v1()).unwrap();
            prop_assert_eq!(&again, &criteria);
            prop_assert_eq!(again.to_string(), canonical);
        }
    }

    #[test]
    fn any_text_is_read_or_refused_with_a_place_in_it(text in "[ -~\u{a0}\u{2265}\n]{0,80}|(age|dx|hba1c|not|in|\\(|\\)|and|or|between|E1\\*|6.5|18|>=|\\[%\\]|,| ){0,20}") {
        match Criteria::parse(&text, &Schema::v1()) {
            Ok(criteria) => {
                prop_assert_eq!(&Criteria::parse(&criteria.to_string(), &Schema::v1()).unwrap(), &criteria);
            }
            Err(error) => {
                prop_assert!(text.get(error.span()).is_some());
                prop_assert!(!error.picture().is_empty() && error.place().0 >= 1);
            }
        }
    }

    #[test]
    fn ages_are_those_of_the_calendar(birth in 0u64..46_346, at in 20_000u64..46_346, low in 0u32..90, more in 0u32..40) {
        let (birth, at) = (Date::from_days(birth).unwrap(), Date::from_days(at).unwrap());
        let record = Record { birth_date: Some(birth), ..Record::default() }.attributes();
        let high = low + more;
        for (text, expected) in [
            (format!("age between {low} and {high}"), at.age_of(birth).map(|age| (low..=high).contains(&age))),
            (format!("age not between {low} and {high}"), at.age_of(birth).map(|age| !(low..=high).contains(&age))),
            (format!("age > {high}"), at.age_of(birth).map(|age| age > high)),
            (format!("age <= {low}"), at.age_of(birth).map(|age| age <= low)),
        ] {
            let held = parse(&text).lower(at).is_ok_and(|lowered| lowered.check(&record).is_ok());
            prop_assert_eq!(held, expected.unwrap_or(false), "{} on {} born {}", text, at, birth);
        }
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
