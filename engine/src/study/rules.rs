//! Whether a query falls under a study.

use super::Study;
use crate::consent::Purpose;
use crate::problem::{Problem, ProblemKind};

/// Longest reason of a decision, bytes.
pub const REASON_BYTES_MAX: usize = 512;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// Who asks.
    pub researcher: &'a str,
    /// Of which table.
    pub table: &'a str,
    /// Which statistics, by the names of a hospital's policy.
    pub statistics: &'a [&'a str],
    /// For what; none where the query does not say, which is refused ([`Study::purpose_of`] says it for a study of one).
    pub purpose: Option<Purpose>,
    /// When (unix milliseconds).
    pub now_ms: u64,
}

fn refuse(rule: &str, message: String, hint: &str) -> Problem {
    Problem::new(ProblemKind::Compliance, rule, message).hint(hint)
}

impl Study {
    /// What a query in the study is for: as it says, or the study's purpose where it has one alone.
    #[must_use]
    pub fn purpose_of(&self, said: Option<Purpose>) -> Option<Purpose> {
        let only = || self.purposes.iter().copied().next().filter(|_| self.purposes.len() == 1);
        said.or_else(only)
    }

    /// Checks that a query falls under the study: asked by a member, before the end, for one of its purposes, of its
    /// tables, by its statistics.
    ///
    /// # Errors
    /// The first rule that refuses: `study.member`, `study.ended`, `study.purpose`, `study.table`, `study.statistic`.
    pub fn admits(&self, question: &Question<'_>) -> Result<(), Problem> {
        let id = &self.id;
        if !self.members.contains(question.researcher) {
            let message = format!("{} is no member of study {id}", question.researcher);
            return Err(refuse("study.member", message, "ask the drafter: members are added by a new study"));
        }
        if question.now_ms >= self.ends_unix_ms {
            let message = format!("study {id} ended on {}", crate::clock::utc(self.ends_unix_ms));
            return Err(refuse("study.ended", message, "draft a new study, with a later end"));
        }
        let hint = "name one of its purposes with --purpose: `ward study show` lists them";
        let Some(purpose) = question.purpose else {
            let message = format!("study {id} has several purposes, and the query names none");
            return Err(refuse("study.purpose", message, hint));
        };
        if !self.purposes.iter().any(|own| own.covers(purpose)) {
            return Err(refuse("study.purpose", format!("study {id} is not for {purpose}"), hint));
        }
        if !self.tables.contains(question.table) {
            let message = format!("study {id} does not ask of `{}`", question.table);
            return Err(refuse("study.table", message, "`ward study show` lists the tables of the study"));
        }
        let outside = |name: &&&str| !self.statistics.is_empty() && !self.statistics.contains(**name);
        if let Some(name) = question.statistics.iter().find(outside) {
            let message = format!("study {id} does not ask for the statistic `{name}`");
            return Err(refuse(
                "study.statistic",
                message,
                "`ward study show` lists the statistics of the study",
            ));
        }
        Ok(())
    }
}
