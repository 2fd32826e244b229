//! What a session cost: messages, bytes, rounds, by the first name of the step's path.

use std::collections::BTreeMap;

/// Cost of a step and of all below it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Messages sent.
    pub messages: u64,
    /// Bytes sent, payload only.
    pub bytes_sent: u64,
    /// Rounds: exchanges, whether this node had a part in them or not; and waits for a message outside of one, where
    /// waits with nothing sent in between are one round.
    pub rounds: u64,
}

/// The counters of a session.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    total: Cost,
    steps: BTreeMap<String, Cost>,
    has_waited: bool,
}

impl Counters {
    /// Of the whole session.
    #[must_use]
    pub fn total(&self) -> Cost {
        self.total
    }

    /// By the first name of the path, in alphabetical order.
    #[must_use]
    pub fn steps(&self) -> &BTreeMap<String, Cost> {
        &self.steps
    }

    pub(crate) fn sent(&mut self, path: &str, bytes: usize) {
        self.has_waited = false;
        self.each(path, |cost| {
            cost.messages += 1;
            cost.bytes_sent += bytes as u64;
        });
    }

    pub(crate) fn waited(&mut self, path: &str) {
        if !self.has_waited {
            self.each(path, |cost| cost.rounds += 1);
        }
        self.has_waited = true;
    }

    pub(crate) fn exchanged(&mut self, path: &str) {
        self.each(path, |cost| cost.rounds += 1);
        self.has_waited = true;
    }

    fn each(&mut self, path: &str, change: impl Fn(&mut Cost)) {
        change(&mut self.total);
        let name = path.trim_start_matches('/').split('/').next().unwrap_or_default();
        if !self.steps.contains_key(name) {
            self.steps.insert(name.to_owned(), Cost::default());
        }
        if let Some(cost) = self.steps.get_mut(name) {
            change(cost);
        }
    }
}
