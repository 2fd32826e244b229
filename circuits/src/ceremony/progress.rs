//! How far a long computation is.

use std::sync::atomic::{AtomicU64, Ordering};

/// Receives `(done, total)` in units of work, of which a point takes one or a few. Called from several
/// threads, about every thousand points; the last call has `done = total`.
pub type Report<'a> = &'a (dyn Fn(u64, u64) + Sync);

/// A report for those who do not look.
pub const SILENT: Report<'static> = &|_, _| ();

/// Work counted up to a total that is known at the start.
pub(crate) struct Progress<'a> {
    report: Report<'a>,
    done: AtomicU64,
    total: u64,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(report: Report<'a>, total: usize) -> Self {
        Self { report, done: AtomicU64::new(0), total: total as u64 }
    }

    /// Counts `units` of work as done.
    pub(crate) fn add(&self, units: usize) {
        let units = units as u64;
        let done = self.done.fetch_add(units, Ordering::Relaxed).saturating_add(units);
        (self.report)(done.min(self.total), self.total);
    }

    /// Reports the end, whatever was estimated.
    pub(crate) fn finish(&self) {
        (self.report)(self.total, self.total);
    }
}
