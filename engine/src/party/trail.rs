//! What a node writes into its hospital's audit chain.

use super::node::Node;
use crate::audit::{Context, Event, Outcome as AuditOutcome};
use crate::problem::Problem;

impl Node {
    /// An event of this hospital's, now.
    pub(super) fn event(&self, action: &str, subject: &str, outcome: AuditOutcome, detail: &str) -> Event {
        Event {
            actor: self.name().to_owned(),
            role: "hospital".to_owned(),
            action: action.to_owned(),
            subject: subject.to_owned(),
            outcome,
            detail: detail.to_owned(),
            at_ms: self.now_ms(),
            context: Context { organisation: self.name().to_owned(), ..Context::default() }.here(),
        }
    }

    /// An event that somebody should look at now.
    pub(super) fn urgent_event(&self, action: &str, subject: &str, detail: &str) -> Event {
        let event = self.audit_event(action, subject, detail);
        let context = Context { is_urgent: true, ..event.context.clone() };
        Event { context, ..event }
    }

    pub(super) fn audit_event(&self, action: &str, subject: &str, detail: &str) -> Event {
        self.event(action, subject, AuditOutcome::Success, detail)
    }

    /// Adds an event of this hospital's to its chain.
    ///
    /// # Errors
    /// Storage.
    pub fn audit(&self, action: &str, subject: &str, detail: &str) -> Result<(), Problem> {
        self.store().audit(&self.event(action, subject, AuditOutcome::Success, detail))?;
        Ok(())
    }

    /// Records an act on rows of this hospital, or on what is known of a patient.
    ///
    /// # Errors
    /// Storage.
    pub fn audit_within(
        &self,
        action: &str,
        subject: &str,
        detail: &str,
        context: Context,
    ) -> Result<(), Problem> {
        let event = self.event(action, subject, AuditOutcome::Success, detail);
        self.store().audit(&event.within(context))?;
        Ok(())
    }

    /// Records that a rule refused an act on a job.
    pub(super) fn audit_refusal(
        &self,
        action: &str,
        job: &str,
        rule: &str,
        about: Context,
    ) -> Result<(), Problem> {
        self.store().audit(&self.event(action, job, AuditOutcome::Refused, rule).within(about))?;
        Ok(())
    }

    /// For whom a job was taken in, why, and over which rows: what its events say. What is not known stays out.
    pub(super) fn job_context(&self, job: &str) -> Context {
        let known =
            self.known_job(job).inspect_err(|problem| tracing::debug!(%job, %problem, "not taken in"));
        known.map_or_else(|_| Context::default(), |taken| taken.circumstances(self))
    }
}
