//! The language against its schema, its canonical form, and the records it speaks of.

use super::*;
use crate::eligibility::{self as circuit, Attributes, Interval, Slot, SlotIndex};

mod language;
mod schema;
mod trees;

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
