//! What the policies say to a question, and why.

use cedar_policy::Decision as Verdict;
use serde::Serialize;

use super::{Authorizer, PolicyError, Question};
use crate::problem::{Problem, ProblemKind};

/// What the policies say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// May it be done?
    pub allowed: bool,
    /// The policies that decided: those that permit, or those that forbid; none where nothing permits.
    pub policies: Vec<String>,
    /// Why, in a sentence.
    pub reason: String,
    /// What to do about a refusal; empty otherwise.
    pub hint: String,
    /// Stable code of a refusal, `authorization.*`; empty otherwise.
    pub code: String,
}

impl Authorizer {
    /// Asks the policies.
    ///
    /// # Errors
    /// [`PolicyError::Question`] for a question that the schema has no place for: it is to be refused.
    pub fn decide(&self, question: &Question) -> Result<Decision, PolicyError> {
        let (request, entities) = self.request(question)?;
        let response = self.cedar.is_authorized(&request, &self.policies, &entities);
        // A policy that fails to evaluate does not count; a validated one can fail only by overflow.
        for error in response.diagnostics().errors() {
            tracing::warn!(%error, "a policy could not be evaluated");
        }
        let mut policies: Vec<String> =
            response.diagnostics().reason().map(|id| AsRef::<str>::as_ref(id).to_owned()).collect();
        policies.sort();
        if response.decision() == Verdict::Allow {
            let reason = self.says(&policies);
            return Ok(Decision {
                allowed: true,
                policies,
                reason,
                hint: String::new(),
                code: String::new(),
            });
        }
        Ok(self.refusal(question, policies))
    }

    /// The decision, with a question that does not fit refused like any other.
    #[must_use]
    pub fn decide_or_refuse(&self, question: &Question) -> Decision {
        self.decide(question).unwrap_or_else(|error| Decision {
            allowed: false,
            policies: Vec::new(),
            reason: error.to_string(),
            hint: error.hint().to_owned(),
            code: "authorization.question".to_owned(),
        })
    }

    fn says(&self, policies: &[String]) -> String {
        let chosen = self.rules.iter().filter(|rule| policies.contains(&rule.id));
        let sentences: Vec<&str> = chosen
            .map(|rule| if rule.says.is_empty() { rule.id.as_str() } else { rule.says.as_str() })
            .collect();
        sentences.join("; ")
    }

    fn refusal(&self, question: &Question, policies: Vec<String>) -> Decision {
        if let Some(rule) = self.rules.iter().find(|rule| policies.contains(&rule.id)) {
            let (hint, code) = (rule.hint.clone(), format!("authorization.{}", rule.code));
            return Decision { allowed: false, reason: self.says(&policies), policies, hint, code };
        }
        let could: Vec<&str> = self
            .rules
            .iter()
            .filter(|rule| rule.effect == "permit" && rule.actions.contains(&question.action))
            .map(|rule| rule.says.as_str())
            .filter(|says| !says.is_empty())
            .collect();
        let hint = if could.is_empty() {
            "no policy permits this to anybody".to_owned()
        } else {
            format!("this is for others: {}", could.join("; "))
        };
        let reason =
            format!("no policy permits `{}` to roles {}", question.action, question.principal.role_text());
        let code = "authorization.denied".to_owned();
        Decision { allowed: false, policies, reason, hint, code }
    }
}

impl Decision {
    /// The rules that decided, in one text.
    #[must_use]
    pub fn rules_text(&self) -> String {
        if self.policies.is_empty() { "no rule permits it".to_owned() } else { self.policies.join(", ") }
    }

    /// The refusal as a problem.
    #[must_use]
    pub fn problem(&self, who: &str) -> Problem {
        let rule = match self.policies.first() {
            Some(rule) => format!(" (rule {rule})"),
            None => String::new(),
        };
        let message = format!("{who} may not do this: {}{rule}", self.reason);
        Problem::new(ProblemKind::Authorization, &self.code, message).hint(self.hint.clone())
    }
}
