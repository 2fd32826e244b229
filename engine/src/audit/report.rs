//! What people ask of a trail: a patient, who saw my data and why; a regulator, what was done with personal data.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Entry, Event, Outcome, Sealed, fhir};
use crate::identity::Digest;

/// One act in an access report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Access {
    /// When (unix milliseconds).
    pub at_ms: u64,
    /// Who.
    pub actor: String,
    /// In which role.
    pub role: String,
    /// Of which organisation; may be empty.
    pub organisation: String,
    /// What was done.
    pub action: String,
    /// Which class of data; may be empty.
    pub data_class: String,
    /// Why: purposes, and the study.
    pub purpose: Vec<String>,
    /// The study; may be empty.
    pub study: String,
    /// Who received something, where something left the house.
    pub recipient: String,
    /// Id of the trace of the request that it was part of; may be empty.
    pub trace: String,
    /// How it ended.
    pub outcome: Outcome,
    /// True where the patient was one of many whose rows were added up: no single value left the house.
    pub is_aggregate: bool,
    /// The event's number and hash in the chain, to hold it against.
    pub seq: u64,
    /// Of the event.
    pub hash: Digest,
}

/// Every act that concerned a patient.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AccessReport {
    /// The patient's pseudonym at this hospital.
    pub patient: String,
    /// In order.
    pub accesses: Vec<Access>,
    /// Events of the chain whose content retention has taken away, and which may have concerned the patient.
    pub redacted: u64,
}

/// Adds up the acts that name the patient, and what was read or given of the cohorts that `is_in` says the patient is in:
/// of these, what was refused, and what only moved a job on, concerned nobody.
pub fn access_report(
    patient: &str,
    events: impl IntoIterator<Item = Sealed>,
    is_in: impl Fn(&str) -> bool,
) -> AccessReport {
    let mut report = AccessReport { patient: patient.to_owned(), accesses: Vec::new(), redacted: 0 };
    for sealed in events {
        let Entry::Whole { event, .. } = &sealed.entry else {
            report.redacted += 1;
            continue;
        };
        let about = &event.context;
        let is_named = about.patient == patient;
        let is_seen =
            event.outcome == Outcome::Success && (!about.recipient.is_empty() || fhir::reads(&event.action));
        let is_aggregate = !is_named && is_seen && !about.cohort.is_empty() && is_in(&about.cohort);
        if is_named || is_aggregate {
            report.accesses.push(access(event, &sealed, is_aggregate));
        }
    }
    report
}

fn access(event: &Event, sealed: &Sealed, is_aggregate: bool) -> Access {
    let about = event.context.clone();
    Access {
        at_ms: event.at_ms,
        actor: event.actor.clone(),
        role: event.role.clone(),
        organisation: about.organisation,
        action: event.action.clone(),
        data_class: about.data_class,
        purpose: about.purpose,
        study: about.study,
        recipient: about.recipient,
        trace: about.trace,
        outcome: event.outcome,
        is_aggregate,
        seq: sealed.seq,
        hash: sealed.hash,
    }
}

/// Whose questions a compliance report answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Rules {
    /// 45 CFR 164: audit controls, and the accounting of disclosures.
    Hipaa,
    /// Regulation (EU) 2016/679: purposes, recipients, consent, erasure, access.
    Gdpr,
    /// What crossed the border of the organisations named as home.
    Localisation,
}

/// One line: what, by whom or for what, how often, and when first and last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Line {
    /// What is counted.
    pub what: String,
    /// By or for whom.
    pub whom: String,
    /// How often.
    pub count: u64,
    /// First time (unix milliseconds).
    pub first_ms: u64,
    /// Last time (unix milliseconds).
    pub last_ms: u64,
}

/// One question and its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Section {
    /// The question.
    pub title: &'static str,
    /// The rule that asks it.
    pub basis: &'static str,
    /// The answer.
    pub lines: Vec<Line>,
}

/// Counts events into lines.
#[derive(Default)]
struct Tally(BTreeMap<(String, String), Line>);

impl Tally {
    fn add(&mut self, what: &str, whom: &str, at_ms: u64) {
        let line = self.0.entry((what.to_owned(), whom.to_owned())).or_insert_with(|| Line {
            what: what.to_owned(),
            whom: whom.to_owned(),
            first_ms: at_ms,
            ..Line::default()
        });
        line.count += 1;
        line.first_ms = line.first_ms.min(at_ms);
        line.last_ms = line.last_ms.max(at_ms);
    }

    fn section(self, title: &'static str, basis: &'static str) -> Section {
        Section { title, basis, lines: self.0.into_values().collect() }
    }
}

/// Answers the questions of some rules from the events of a period. `home` names the organisations inside the border.
pub fn compliance(rules: Rules, events: &[Sealed], home: &[String]) -> Vec<Section> {
    let whole = || events.iter().filter_map(Sealed::event);
    let tally = |holds: &dyn Fn(&Event) -> bool, words: &dyn Fn(&Event) -> (String, String)| {
        let mut tally = Tally::default();
        for event in whole().filter(|event| holds(event)) {
            let (what, whom) = words(event);
            tally.add(&what, &whom, event.at_ms);
        }
        tally
    };
    let left = |e: &Event| !e.context.recipient.is_empty() && e.outcome == Outcome::Success;
    let by_actor = |e: &Event| (e.action.clone(), e.actor.clone());
    let to_whom = |e: &Event| (format!("{} for {}", e.action, purposes(e)), e.context.recipient.clone());
    let starts = |thing: &'static str| move |e: &Event| e.action.starts_with(thing);
    match rules {
        Rules::Hipaa => vec![
            tally(&left, &to_whom).section("what was disclosed, to whom and for what", "45 CFR 164.528"),
            tally(&|e| !e.context.patient.is_empty(), &by_actor)
                .section("acts on single patients' data", "45 CFR 164.312(b)"),
            tally(&|e| e.context.is_urgent, &by_actor)
                .section("emergency access", "45 CFR 164.312(a)(2)(ii)"),
            tally(&|e| e.outcome == Outcome::Refused, &by_actor)
                .section("what was refused", "45 CFR 164.308(a)(1)(ii)(D)"),
        ],
        Rules::Gdpr => vec![
            tally(&|e| !e.context.cohort.is_empty() || !e.context.patient.is_empty(), &|e| {
                (format!("{} ({})", purposes(e), class(e)), e.actor.clone())
            })
            .section("purposes and classes of data", "Art. 30(1)(b) and (c)"),
            tally(&left, &to_whom).section("recipients", "Art. 30(1)(d)"),
            tally(&starts("consent."), &by_actor).section("consent given, refused and withdrawn", "Art. 7"),
            tally(&starts("patient.erase"), &by_actor).section("erasures", "Art. 17"),
            tally(&starts("audit.report"), &by_actor).section("requests for access answered", "Art. 15"),
        ],
        Rules::Localisation => vec![
            tally(&|e| left(e) && home.contains(&e.context.recipient), &to_whom)
                .section("what went to recipients at home", "data localisation"),
            tally(&|e| left(e) && !home.contains(&e.context.recipient), &to_whom)
                .section("what went to recipients elsewhere", "data localisation"),
        ],
    }
}

fn purposes(event: &Event) -> String {
    let about = &event.context;
    match (about.purpose.is_empty(), about.study.is_empty()) {
        (true, true) => "no stated purpose".to_owned(),
        (true, false) => format!("study {}", about.study),
        (false, _) => about.purpose.join(", "),
    }
}

fn class(event: &Event) -> &str {
    if event.context.data_class.is_empty() { "no stated class" } else { &event.context.data_class }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Context, SALT_BYTES, Salt, seal};
    use crate::identity::Identity;

    fn sealed(number: u64, action: &str, about: Context) -> Sealed {
        let event = Event { at_ms: number, ..Event::new("ada", "researcher", action, "job:1") };
        seal(None, event.within(about), Salt([1; SALT_BYTES]), &Identity::from_seed(&[1; 32]))
    }

    fn trail() -> Vec<Sealed> {
        let of = |patient: &str| Context { patient: patient.into(), ..Context::default() };
        let cohort = |cohort: &str, recipient: &str| Context {
            cohort: cohort.into(),
            recipient: recipient.into(),
            purpose: vec!["DUO:0000042".into()],
            ..Context::default()
        };
        vec![
            sealed(1, "consent.grant", of("p1")),
            sealed(2, "data.read", cohort("labs@1", "")),
            sealed(3, "share.give", cohort("labs@1", "ada")),
            sealed(4, "share.give", cohort("visits@1", "bob")),
            sealed(5, "record.read", of("p2")),
            sealed(6, "record.read", of("p1")).redacted(),
        ]
    }

    #[test]
    fn patient_finds_what_named_them_and_the_cohorts_they_are_in() {
        let report = access_report("p1", trail(), |cohort| cohort.starts_with("labs@"));
        let acts: Vec<_> = report.accesses.iter().map(|a| (a.action.as_str(), a.is_aggregate)).collect();
        assert_eq!(acts, [("consent.grant", false), ("data.read", true), ("share.give", true)]);
        assert_eq!(report.redacted, 1);
        assert!(access_report("p9", trail(), |_| false).accesses.is_empty());
    }

    #[test]
    fn what_moved_a_job_on_or_was_refused_showed_nobody() {
        let of = |outcome, action: &str| {
            let about = Context { cohort: "labs@1".into(), recipient: "ada".into(), ..Context::default() };
            let about =
                if action == "share.give" { about } else { Context { recipient: String::new(), ..about } };
            let event = Event::new("north", "hospital", action, "job:1").ended(outcome).within(about);
            seal(None, event, Salt([1; SALT_BYTES]), &Identity::from_seed(&[1; 32]))
        };
        for (outcome, action, is_seen) in [
            (Outcome::Success, "job.accept", false),
            (Outcome::Success, "log.cosign", false),
            (Outcome::Refused, "data.read", false),
            (Outcome::Refused, "share.give", false),
            (Outcome::Success, "data.read", true),
            (Outcome::Success, "share.give", true),
        ] {
            let report = access_report("p1", [of(outcome, action)], |_| true);
            assert_eq!(report.accesses.len(), usize::from(is_seen), "{action}, {outcome:?}");
        }
    }

    #[test]
    fn disclosures_are_counted_by_recipient_and_purpose() {
        let sections = compliance(Rules::Hipaa, &trail(), &[]);
        let lines: Vec<_> = sections[0].lines.iter().map(|l| (l.whom.as_str(), l.count)).collect();
        assert_eq!(lines, [("ada", 1), ("bob", 1)]);
        assert!(sections[0].lines[0].what.contains("DUO:0000042"));
        assert_eq!(
            sections[1].lines.iter().map(|l| l.count).sum::<u64>(),
            2,
            "the redacted one is not counted"
        );
    }

    #[test]
    fn what_left_for_elsewhere_stands_apart() {
        let sections = compliance(Rules::Localisation, &trail(), &["ada".to_owned()]);
        assert_eq!(sections[0].lines[0].whom, "ada");
        assert_eq!(sections[1].lines[0].whom, "bob");
    }

    #[test]
    fn every_rule_names_its_basis() {
        for rules in [Rules::Hipaa, Rules::Gdpr, Rules::Localisation] {
            assert!(
                compliance(rules, &trail(), &[]).iter().all(|s| !s.basis.is_empty() && !s.title.is_empty())
            );
        }
    }
}
