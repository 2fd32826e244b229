//! Any text, and any tree of clauses, against what it says of any record.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

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
