//! Which events somebody looks for.

use super::{Entry, Outcome, Sealed};

/// A search: every part that is set must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Who acted.
    pub actor: Option<String>,
    /// Who received something.
    pub recipient: Option<String>,
    /// Pseudonym of the patient it was about.
    pub patient: Option<String>,
    /// A purpose it was for (a DUO code).
    pub purpose: Option<String>,
    /// Id of the request's trace, or its first digits.
    pub trace: Option<String>,
    /// The study it was for.
    pub study: Option<String>,
    /// What was done; `consent` or `consent.` finds every action of that thing.
    pub action: Option<String>,
    /// To what.
    pub subject: Option<String>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Not before (unix milliseconds).
    pub since_ms: u64,
    /// Not after (unix milliseconds).
    pub until_ms: Option<u64>,
    /// Only what somebody should look at now.
    pub is_urgent: bool,
}

impl Filter {
    /// Whether an event is looked for. A redacted one is, by what is left of it, when nothing else is asked.
    #[must_use]
    pub fn matches(&self, sealed: &Sealed) -> bool {
        let stub_holds = |action: &str, outcome: Outcome, at_ms: u64| {
            self.action.as_deref().is_none_or(|asked| is_action(asked, action))
                && self.outcome.is_none_or(|asked| asked == outcome)
                && (self.since_ms..=self.until_ms.unwrap_or(u64::MAX)).contains(&at_ms)
        };
        match &sealed.entry {
            Entry::Redacted(stub) => {
                let who = [&self.actor, &self.recipient, &self.patient];
                let asks_more = [&self.purpose, &self.study, &self.subject, &self.trace];
                who.iter().chain(&asks_more).all(|asked| asked.is_none())
                    && !self.is_urgent
                    && stub_holds(&stub.action, stub.outcome, stub.at_ms)
            }
            Entry::Whole { event, .. } => {
                let is =
                    |asked: &Option<String>, found: &str| asked.as_deref().is_none_or(|asked| asked == found);
                let about = &event.context;
                stub_holds(&event.action, event.outcome, event.at_ms)
                    && is(&self.actor, &event.actor)
                    && is(&self.recipient, &about.recipient)
                    && is(&self.subject, &event.subject)
                    && is(&self.patient, &about.patient)
                    && is(&self.study, &about.study)
                    && self.trace.as_ref().is_none_or(|asked| about.trace.starts_with(asked.as_str()))
                    && self.purpose.as_ref().is_none_or(|asked| about.purpose.contains(asked))
                    && (!self.is_urgent || about.is_urgent)
            }
        }
    }
}

fn is_action(asked: &str, found: &str) -> bool {
    let thing = asked.trim_end_matches(['.', '*']);
    found == asked || found.strip_prefix(thing).is_some_and(|rest| rest.starts_with('.'))
}
