//! Which attempts this node takes part in, and how one is called off.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// Attempts that were stopped before they began, and are remembered: the newest so many.
const STOPPED_MAX: usize = 256;

/// An attempt: job and number.
pub(super) type Key = (String, u32);

/// Attempts that this node takes part in at the moment.
#[derive(Default)]
pub struct Attempts(Mutex<Known>);

#[derive(Default)]
struct Known {
    running: HashMap<Key, watch::Sender<bool>>,
    /// Stopped before they began: the engine's word to stop may be here before its word to begin, which has more to bring.
    stopped: VecDeque<Key>,
}

impl Attempts {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops an attempt, now or when it begins.
    pub(super) fn stop(&self, key: Key) {
        let mut known = self.lock();
        if let Some(cancel) = known.running.get(&key) {
            cancel.send_replace(true);
            return;
        }
        known.stopped.truncate(STOPPED_MAX - 1);
        known.stopped.push_front(key);
    }
}

/// An attempt that this node takes part in; it ends with this value, however its task ends.
pub(super) struct Underway<'a>(&'a Attempts, Key);

impl<'a> Underway<'a> {
    /// Begins an attempt; nothing when it runs. What comes with it turns true when the attempt is stopped, or was.
    pub(super) fn begin(attempts: &'a Attempts, key: Key) -> Option<(Self, watch::Receiver<bool>)> {
        let mut known = attempts.lock();
        if known.running.contains_key(&key) {
            return None;
        }
        let (cancel, cancelled) = watch::channel(known.stopped.contains(&key));
        known.running.insert(key.clone(), cancel);
        Some((Self(attempts, key), cancelled))
    }
}

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        if let Some(cancel) = self.0.lock().running.remove(&self.1) {
            cancel.send_replace(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(attempt: u32) -> Key {
        ("job".to_owned(), attempt)
    }

    #[test]
    fn an_attempt_that_was_stopped_before_it_began_is_cancelled_from_the_start() {
        let attempts = Attempts::default();
        attempts.stop(key(1));
        let (_first, cancelled) = Underway::begin(&attempts, key(1)).expect("it does not run");
        assert!(*cancelled.borrow());
        let (_second, cancelled) = Underway::begin(&attempts, key(2)).expect("it does not run");
        assert!(!*cancelled.borrow());
        attempts.stop(key(2));
        assert!(*cancelled.borrow());
    }

    #[test]
    fn an_attempt_that_runs_is_not_begun_again_and_goes_on() {
        let attempts = Attempts::default();
        let (first, cancelled) = Underway::begin(&attempts, key(1)).expect("it does not run");
        assert!(Underway::begin(&attempts, key(1)).is_none());
        assert!(!*cancelled.borrow());
        drop(first);
        assert!(*cancelled.borrow());
        assert!(Underway::begin(&attempts, key(1)).is_some());
    }

    #[test]
    fn what_is_remembered_of_stopped_attempts_has_an_end() {
        let attempts = Attempts::default();
        for attempt in 0..2 * STOPPED_MAX as u32 {
            attempts.stop(key(attempt));
        }
        assert_eq!(attempts.lock().stopped.len(), STOPPED_MAX);
        let (_newest, cancelled) =
            Underway::begin(&attempts, key(2 * STOPPED_MAX as u32 - 1)).expect("it does not run");
        assert!(*cancelled.borrow());
    }
}
