//! Asking the policies: every refusal, and every act that decides or opens something, becomes an event of the audit
//! chain.

use std::sync::{Mutex, PoisonError};

use super::{Engine, audit_event};
use crate::audit::Outcome;
use crate::clock::now_ms;
use crate::identity::Principal;
use crate::identity::authorize::{Decision, Question, Resource, Subject};
use crate::problem::Problem;
use crate::store::blocking;

/// Acts of which the permission is audited too, not only the refusal.
const PRIVILEGED: [&str; 11] = [
    "audit.export",
    "audit.read",
    "break_glass",
    "ceremony.hold",
    "credential.issue",
    "member.revoke",
    "record.erase",
    "record.read",
    "study.approve",
    "study.close",
    "study.withdraw",
];
/// Most refusals of strangers that are written down one by one in a minute: who has shown nothing may not fill the
/// chain. How many more there were stands in the next one.
const STRANGERS_A_MINUTE: u32 = 60;

/// Counts refusals of those who have shown nothing.
#[derive(Default)]
pub struct Strangers(Mutex<Counted>);

#[derive(Default)]
struct Counted {
    minute: u64,
    written: u32,
    left_out: u64,
}

impl Strangers {
    /// Whether this one is written down, and how many before it were not.
    fn count(&self, now_ms: u64) -> Option<u64> {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let minute = now_ms / 60_000;
        if counted.minute != minute {
            (counted.minute, counted.written) = (minute, 0);
        }
        if counted.written >= STRANGERS_A_MINUTE {
            counted.left_out += 1;
            return None;
        }
        counted.written += 1;
        Some(std::mem::take(&mut counted.left_out))
    }
}

impl Engine {
    /// Asks whether somebody may do something; the decision says by which policies.
    ///
    /// # Errors
    /// `authorization.*` naming the rule that refuses, or storage: what cannot be audited does not happen.
    pub async fn authorize(
        &self,
        caller: &Principal,
        action: &str,
        resource: Resource,
    ) -> Result<Decision, Problem> {
        let now = now_ms();
        self.decide(&Question::new(&Subject::of(caller, now), action, resource, now)).await
    }

    /// Asks whether somebody may do something, and leaves no trace of it: for choosing what to show.
    #[must_use]
    pub fn may(&self, caller: &Principal, action: &str, resource: Resource) -> bool {
        let now = now_ms();
        let question = Question::new(&Subject::of(caller, now), action, resource, now);
        self.policies.decide_or_refuse(&question).allowed
    }

    /// Answers a question, and audits the answer where it is a refusal or a privilege.
    ///
    /// # Errors
    /// As [`Self::authorize`].
    pub async fn decide(&self, question: &Question) -> Result<Decision, Problem> {
        let decision = self.policies.decide_or_refuse(question);
        let Question { principal, action, resource, .. } = question;
        if decision.allowed && !PRIVILEGED.contains(&action.as_str()) {
            return Ok(decision);
        }
        let verb = if decision.allowed { "authorization.allow" } else { "authorization.deny" };
        let mut event = audit_event(&principal.name, &principal.role_text(), verb, &resource.label());
        event.outcome = if decision.allowed { Outcome::Success } else { Outcome::Refused };
        event.detail = format!("{action}: {}", decision.rules_text());
        blocking(&self.store, move |s| s.audit(&event)).await?;
        if decision.allowed { Ok(decision) } else { Err(decision.problem(&principal.name)) }
    }

    /// Writes down that somebody who has shown nothing that counts was turned away from a call.
    ///
    /// # Errors
    /// Storage.
    pub async fn turned_away(&self, call: &str, problem: &Problem) -> Result<(), Problem> {
        let Some(left_out) = self.strangers.count(now_ms()) else { return Ok(()) };
        let mut event = audit_event("anonymous", "none", "authorization.deny", &format!("call:{call}"));
        event.outcome = Outcome::Refused;
        event.detail.clone_from(&problem.code);
        if left_out > 0 {
            event.detail.push_str(&format!(", and {left_out} more before"));
        }
        Ok(blocking(&self.store, move |s| s.audit(&event)).await.map(|_| ())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_fill_no_chain_and_are_all_counted() {
        let strangers = Strangers::default();
        let written = (0..1000).filter(|_| strangers.count(1).is_some()).count();
        assert_eq!(written, STRANGERS_A_MINUTE as usize);
        assert_eq!(strangers.count(60_001), Some(1000 - u64::from(STRANGERS_A_MINUTE)));
        assert_eq!(strangers.count(60_002), Some(0));
    }
}
