//! Bounded queues between three threads.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;

use super::tamper::{Armed, Parcel};
use crate::mpc::Role;
use crate::mpc::channel::{Channel, ChannelError};
use crate::mpc::exchange::FRAMES_AHEAD_MAX;
use crate::mpc::step::{Step, StepId};

/// Frames that a queue holds.
const QUEUE_FRAMES: usize = FRAMES_AHEAD_MAX + 3;

/// A frame that was sent, as its sender sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crossing {
    /// The sender.
    pub from: Role,
    /// The receiver.
    pub to: Role,
    /// The step.
    pub step: StepId,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// What crossed the wire.
pub(super) struct Log(Option<Mutex<Vec<Crossing>>>);

/// A node's end of the queues.
pub(super) struct MemoryChannel {
    role: Role,
    out: Vec<(Role, SyncSender<Parcel>)>,
    incoming: Vec<(Role, Receiver<Parcel>)>,
    log: Arc<Log>,
    tampers: Arc<Mutex<Vec<Armed>>>,
}

impl Log {
    pub(super) fn new(is_kept: bool) -> Self {
        Self(is_kept.then(|| Mutex::new(Vec::new())))
    }

    fn add(&self, from: Role, to: Role, step: StepId, bytes: &[u8]) {
        if let Some(Ok(mut kept)) = self.0.as_ref().map(Mutex::lock) {
            kept.push(Crossing { from, to, step, bytes: bytes.to_vec() });
        }
    }

    pub(super) fn take(&self) -> Vec<Crossing> {
        self.0
            .as_ref()
            .and_then(|kept| kept.lock().ok().map(|mut kept| std::mem::take(&mut *kept)))
            .unwrap_or_default()
    }
}

/// The three ends.
pub(super) fn connect(log: &Arc<Log>, tampers: &Arc<Mutex<Vec<Armed>>>) -> [MemoryChannel; 3] {
    let mut ends = Role::ALL.map(|role| MemoryChannel {
        role,
        out: Vec::new(),
        incoming: Vec::new(),
        log: Arc::clone(log),
        tampers: Arc::clone(tampers),
    });
    for from in Role::ALL {
        for to in [from.prev(), from.next()] {
            let (sender, receiver) = sync_channel(QUEUE_FRAMES);
            ends[from.index()].out.push((to, sender));
            ends[to.index()].incoming.push((from, receiver));
        }
    }
    ends
}

impl Channel for MemoryChannel {
    fn send(&mut self, to: Role, step: StepId, message: Vec<u8>) -> Result<(), ChannelError> {
        self.log.add(self.role, to, step, &message);
        let mut parcel = Parcel { step, body: message, is_lost: false, yields: 0 };
        let mut is_twice = false;
        if step != Step::root().narrow("meet").id()
            && let Ok(mut armed) = self.tampers.lock()
        {
            for armed in armed.iter_mut() {
                is_twice |= armed.pass(self.role, to, &mut parcel);
            }
        }
        let again = is_twice.then(|| Parcel { step, body: parcel.body.clone(), is_lost: false, yields: 0 });
        let (_, queue) = self.out.iter().find(|(peer, _)| *peer == to).ok_or(ChannelError::Closed(to))?;
        for parcel in [Some(parcel), again].into_iter().flatten() {
            queue.send(parcel).map_err(|_| ChannelError::Closed(to))?;
        }
        Ok(())
    }

    fn receive(&mut self, from: Role, step: StepId, len: usize) -> Result<Vec<u8>, ChannelError> {
        let (_, queue) =
            self.incoming.iter().find(|(peer, _)| *peer == from).ok_or(ChannelError::Closed(from))?;
        let parcel = queue.recv().map_err(|_| ChannelError::Closed(from))?;
        for _ in 0..parcel.yields {
            thread::yield_now();
        }
        if parcel.is_lost {
            return Err(ChannelError::Stalled { peer: from, stalled_ms: 0 });
        }
        if parcel.step != step {
            let what = format!("a message of step {:?}, expected {step:?}", parcel.step);
            return Err(ChannelError::Unexpected { peer: from, what });
        }
        if parcel.body.len() != len {
            let what = format!("{} bytes, expected {len}", parcel.body.len());
            return Err(ChannelError::Unexpected { peer: from, what });
        }
        Ok(parcel.body)
    }
}
