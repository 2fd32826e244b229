//! What a corrupted node or a broken network does to one message.

use std::fmt;
use std::sync::Arc;

use crate::mpc::Role;
use crate::mpc::step::StepId;

/// One message, changed.
#[derive(Clone, Debug)]
pub struct Tamper {
    /// The sender.
    pub party: Role,
    /// Which of the sender's messages.
    pub at: At,
    /// What happens to it.
    pub change: Change,
}

/// Which message, or frame of a long one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The sender's n-th after it met the others, from 0, in the order of sending, to whichever peer.
    Nth(usize),
    /// The first of a step.
    Step(StepId),
    /// The first of a step to this receiver.
    StepTo(StepId, Role),
}

/// Puts other bytes in the place of a message's.
pub type Rewrite = Arc<dyn Fn(&mut Vec<u8>) + Send + Sync>;

/// What happens to a message.
#[derive(Clone)]
pub enum Change {
    /// Other bytes.
    Rewrite(Rewrite),
    /// One bit of it, counted from the first byte's lowest, modulo the message's length.
    Flip(usize),
    /// It never comes: the receiver's wait ends as stalled.
    Drop,
    /// It comes late, after the receiver has given way this many times.
    Delay(u32),
    /// Only so many bytes come.
    Truncate(usize),
    /// It comes twice.
    Duplicate,
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rewrite(_) => f.write_str("Rewrite"),
            Self::Flip(bit) => write!(f, "Flip({bit})"),
            Self::Drop => f.write_str("Drop"),
            Self::Delay(yields) => write!(f, "Delay({yields})"),
            Self::Truncate(len) => write!(f, "Truncate({len})"),
            Self::Duplicate => f.write_str("Duplicate"),
        }
    }
}

/// A tampering that waits for its message.
pub(super) struct Armed {
    tamper: Tamper,
    seen: usize,
    is_done: bool,
}

/// A message as the queue holds it.
pub(super) struct Parcel {
    pub step: StepId,
    pub body: Vec<u8>,
    pub is_lost: bool,
    pub yields: u32,
}

impl Armed {
    pub(super) fn new(tamper: Tamper) -> Self {
        Self { tamper, seen: 0, is_done: false }
    }

    pub(super) fn is_done(&self) -> bool {
        self.is_done
    }

    /// Changes a message when it is the one; whether the queue gets it twice.
    pub(super) fn pass(&mut self, from: Role, to: Role, parcel: &mut Parcel) -> bool {
        if from != self.tamper.party || self.is_done {
            return false;
        }
        let is_it = match self.tamper.at {
            At::Nth(n) => self.seen == n,
            At::Step(step) => step == parcel.step,
            At::StepTo(step, receiver) => step == parcel.step && receiver == to,
        };
        self.seen += 1;
        self.is_done = is_it;
        let mut is_twice = false;
        if is_it {
            match &self.tamper.change {
                Change::Rewrite(rewrite) => rewrite(&mut parcel.body),
                Change::Flip(bit) => {
                    let bits = 8 * parcel.body.len().max(1);
                    if let Some(byte) = parcel.body.get_mut((bit % bits) / 8) {
                        *byte ^= 1 << (bit % 8);
                    }
                }
                Change::Drop => parcel.is_lost = true,
                Change::Delay(yields) => parcel.yields = *yields,
                Change::Truncate(len) => parcel.body.truncate(*len),
                Change::Duplicate => is_twice = true,
            }
        }
        is_twice
    }
}
