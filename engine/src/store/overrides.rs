//! Overrides of a hospital's rules of approval, and what has to be told of them.

use super::error::StoreError;
use crate::audit::Event;

/// A time in which the rules of approval do not hold for a researcher.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Override {
    /// Its id.
    pub id: String,
    /// For whom.
    pub researcher: String,
    /// Why.
    pub reason: String,
    /// By whom.
    pub opened_by: String,
    /// From when (unix milliseconds).
    pub from_ms: u64,
    /// Until when (unix milliseconds), exclusive.
    pub until_ms: u64,
    /// When it was ended early (unix milliseconds).
    pub closed_ms: Option<u64>,
}

impl Override {
    /// True when it holds for that researcher at that time.
    #[must_use]
    pub fn holds(&self, researcher: &str, now_ms: u64) -> bool {
        self.researcher == researcher
            && (self.from_ms..self.until_ms).contains(&now_ms)
            && self.closed_ms.is_none()
    }
}

/// Something to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Its number.
    pub seq: u64,
    /// What (JSON).
    pub json: String,
    /// When it happened (unix milliseconds).
    pub at_ms: u64,
    /// How often it was tried in vain.
    pub attempts: u32,
    /// When it was delivered (unix milliseconds).
    pub delivered_ms: Option<u64>,
}

/// A hospital's overrides and notices.
pub trait Overrides {
    /// Keeps an override, with its audit event and its notice, in one transaction.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when its id is taken.
    fn open_override(&self, opened: &Override, notice: &str, audit: &Event) -> Result<(), StoreError>;

    /// Ends an override early.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when none of that id is open at that time.
    fn close_override(&self, id: &str, at_ms: u64, notice: &str, audit: &Event) -> Result<(), StoreError>;

    /// Overrides, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    fn overrides(&self, limit: u32) -> Result<Vec<Override>, StoreError>;

    /// Keeps a notice with its audit event.
    ///
    /// # Errors
    /// [`StoreError`].
    fn add_notice(&self, notice: &str, audit: &Event) -> Result<(), StoreError>;

    /// Notices after a number, in order.
    ///
    /// # Errors
    /// [`StoreError`].
    fn notices(&self, after_seq: u64, limit: u32) -> Result<Vec<Notice>, StoreError>;

    /// Notices that are not delivered and may be tried at that time, in order.
    ///
    /// # Errors
    /// [`StoreError`].
    fn notices_due(&self, now_ms: u64, limit: u32) -> Result<Vec<Notice>, StoreError>;

    /// Marks a notice delivered; or, with a time, tried in vain and not to be tried before it.
    ///
    /// # Errors
    /// [`StoreError`].
    fn notice_tried(&self, seq: u64, at_ms: u64, again_ms: Option<u64>) -> Result<(), StoreError>;
}
