//! Breaking glass: for a limited time, and for a reason, a hospital's rules of approval do not hold for a researcher.
//!
//! What an override lifts: that a query belongs to a study this hospital approved, and that a person looks at it first.
//! What it never touches: floors, consent, budgets, columns, statistics, the study's own terms once one is named, and a
//! study that was denied or withdrawn. Opening, every use and closing are audited and told ([`super::notify`]).

use super::node::Node;
use crate::identity::authorize::{Authorizer, Question, Resource, Subject};
use crate::identity::{Identity, check_name, random};
use crate::problem::{Problem, ProblemKind};
use crate::store::Override;

/// Longest override, minutes.
pub const MINUTES_MAX: u32 = 24 * 60;
/// A reason has so many characters at least.
const REASON_CHARS_MIN: usize = 10;
/// Overrides looked at.
const LOOK_BACK: u32 = 200;

/// Who opens or closes an override: an administrator with the key that the policy names.
pub struct Opener<'a> {
    /// Name in the policy.
    pub admin: &'a str,
    /// Key.
    pub key: &'a Identity,
}

fn invalid(code: &str, message: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::Validation, code, message)
}

impl Node {
    /// Opens an override.
    ///
    /// # Errors
    /// `glass.minutes`, `glass.reason`, `glass.admin` where the policy names no administrator with that key, or
    /// `authorization.*`.
    pub fn break_glass(
        &self,
        opener: &Opener<'_>,
        researcher: &str,
        (minutes, reason): (u32, &str),
    ) -> Result<Override, Problem> {
        if !(1..=MINUTES_MAX).contains(&minutes) {
            let message = format!("{minutes} minutes are not between 1 and {MINUTES_MAX}");
            return Err(invalid("glass.minutes", message).hint("open another one when this one ends"));
        }
        let reason = reason.trim();
        let is_line = reason.len() <= crate::study::REASON_BYTES_MAX && !reason.chars().any(char::is_control);
        if reason.chars().count() < REASON_CHARS_MIN || !is_line {
            let message = format!("a reason is one line of at least {REASON_CHARS_MIN} characters");
            return Err(invalid("glass.reason", message).hint("it is what the audit and the notice say"));
        }
        check_name(researcher).map_err(|e| invalid("glass.researcher", e.to_string()))?;
        self.is_admin(opener)?;
        let from_ms = self.now_ms();
        let opened = Override {
            id: hex::encode(random::<6>().map_err(|e| Problem::internal(&e))?),
            researcher: researcher.to_owned(),
            reason: reason.to_owned(),
            opened_by: opener.admin.to_owned(),
            from_ms,
            until_ms: from_ms + u64::from(minutes) * 60_000,
            closed_ms: None,
        };
        let detail = format!("PRIORITY {researcher} for {minutes} minutes by {}: {reason}", opener.admin);
        let audit = self.urgent_event("break_glass.open", &format!("override:{}", opened.id), &detail);
        self.store().open_override(&opened, &self.notice("break_glass.open", &opened), &audit)?;
        Ok(opened)
    }

    /// Ends an override early.
    ///
    /// # Errors
    /// When none of that id is open, or as [`Self::break_glass`] for whoever closes it.
    pub fn mend_glass(&self, opener: &Opener<'_>, id: &str) -> Result<(), Problem> {
        self.is_admin(opener)?;
        let open = self.store().overrides(LOOK_BACK)?.into_iter().find(|open| open.id == id);
        let unknown = || Problem::new(ProblemKind::NotFound, "glass.unknown", format!("no override `{id}`"));
        let open = open.ok_or_else(unknown)?;
        let detail = format!("PRIORITY {} closed by {}", open.researcher, opener.admin);
        let audit = self.urgent_event("break_glass.close", &format!("override:{id}"), &detail);
        let notice = self.notice("break_glass.close", &open);
        Ok(self.store().close_override(id, self.now_ms(), &notice, &audit)?)
    }

    fn is_admin(&self, opener: &Opener<'_>) -> Result<(), Problem> {
        let pinned = self.policy().studies.admins.get(opener.admin);
        if pinned != Some(&hex::encode(opener.key.public().as_bytes())) {
            let message = format!("the policy here names no administrator {} with that key", opener.admin);
            return Err(Problem::new(ProblemKind::Authorization, "glass.admin", message)
                .hint("[[policy.admin]] takes the name, and the key that `ward study key` printed"));
        }
        let subject = Subject {
            name: opener.admin.to_owned(),
            roles: ["hospital_admin".to_owned()].into(),
            organisation: self.name().to_owned(),
            amr: ["swk".to_owned()].into(),
            ..Subject::default()
        };
        let question = Question::new(&subject, "break_glass", Resource::hospital(self.name()), self.now_ms());
        let decision = Authorizer::shipped()?.decide(&question)?;
        if decision.allowed { Ok(()) } else { Err(decision.problem(opener.admin)) }
    }

    fn notice(&self, event: &str, about: &Override) -> String {
        serde_json::json!({
            "event": event,
            "priority": "high",
            "hospital": self.name(),
            "override": about,
            "at_unix_ms": self.now_ms(),
        })
        .to_string()
    }

    /// True when the rules of approval do not hold for a researcher now; then the use is audited and told.
    ///
    /// # Errors
    /// Storage: a use that cannot be written down does not happen.
    pub(super) fn is_overridden(&self, researcher: &str) -> Result<bool, Problem> {
        let now = self.now_ms();
        let open = self.store().overrides(LOOK_BACK)?.into_iter().find(|open| open.holds(researcher, now));
        let Some(open) = open else { return Ok(false) };
        let detail = format!("PRIORITY {researcher}: {}", open.reason);
        let audit = self.urgent_event("break_glass.use", &format!("override:{}", open.id), &detail);
        self.store().add_notice(&self.notice("break_glass.use", &open), &audit)?;
        Ok(true)
    }
}
