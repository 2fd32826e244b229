//! The relay's table of lines, sessions and pipes. Nothing in here waits; bytes move and are not copied, small pieces
//! aside.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::Notify;

use super::{RelayError, Session, pair};
use crate::party::mesh::{
    CloseReason, DATA_BYTES_MAX, PIPES_MAX, PROBE_SESSION, RelayEvent, RelayFrame, WINDOW_BYTES,
};

/// Pipes that a pair of nodes may open in one session: tries before the other has joined count.
const OPENS_MAX: u32 = 256;
/// Refusals that may wait for a node.
const REFUSALS_MAX: usize = 64;
/// Pieces up to this size are joined, so that many of them do not cost more than their bytes.
const PIECE_BYTES: usize = 16 << 10;

/// All of it.
#[derive(Default)]
pub(super) struct Table {
    lines: HashMap<String, Line>,
    sessions: HashMap<[u8; 16], Session>,
    pipes: HashMap<u64, PipeEntry>,
    numbers: u64,
}

/// The line is no more.
pub(super) struct Replaced;

/// A node's line.
struct Line {
    number: u64,
    /// By the pipe's number on this line: which pipe, and which end of it.
    pipes: HashMap<u64, (u64, usize)>,
    /// Pipes that have something for the node, in turn.
    ready: VecDeque<u64>,
    /// Refused pipes that the node is to hear of.
    refusals: VecDeque<(u64, CloseReason)>,
    opened: u64,
    wake: Arc<Notify>,
}

struct PipeEntry {
    session: [u8; 16],
    ends: [EndOfPipe; 2],
}

/// One end of a pipe: what the node there is to be told.
struct EndOfPipe {
    node: String,
    /// The pipe's number on that node's line.
    local: u64,
    /// To be told of the pipe: the name of the node at the other end.
    open: Option<String>,
    data: VecDeque<Vec<u8>>,
    data_bytes: usize,
    /// Bytes for this node, waiting or sent, that it has not credited.
    uncredited: usize,
    /// Credit for this node.
    credit: u64,
    close: Option<CloseReason>,
    is_ready: bool,
    /// The node has closed its end, or has been told of the close.
    is_over: bool,
}

impl EndOfPipe {
    fn new(node: &str, local: u64, open: Option<String>) -> Self {
        Self {
            node: node.to_owned(),
            local,
            open,
            data: VecDeque::new(),
            data_bytes: 0,
            uncredited: 0,
            credit: 0,
            close: None,
            is_ready: false,
            is_over: false,
        }
    }

    fn push(&mut self, bytes: Vec<u8>) {
        self.data_bytes += bytes.len();
        match self.data.back_mut() {
            Some(last) if last.len() + bytes.len() <= PIECE_BYTES => last.extend_from_slice(&bytes),
            _ => self.data.push_back(bytes),
        }
    }

    /// The next thing to tell the node, in the order in which it must hear them.
    fn pop(&mut self, session: [u8; 16]) -> Option<RelayEvent> {
        if let Some(peer) = self.open.take() {
            return Some(RelayEvent::Open { session, peer });
        }
        if self.credit > 0 && self.close.is_none() {
            return Some(RelayEvent::Credit(std::mem::take(&mut self.credit)));
        }
        if let Some(bytes) = self.data.pop_front() {
            self.data_bytes -= bytes.len();
            return Some(RelayEvent::Data(bytes));
        }
        self.close.take().map(|reason| {
            self.is_over = true;
            RelayEvent::Close(reason)
        })
    }

    fn has_more(&self) -> bool {
        self.open.is_some() || self.credit > 0 || !self.data.is_empty() || self.close.is_some()
    }
}

impl Table {
    pub(super) fn add_session(&mut self, session: [u8; 16], members: Session) -> bool {
        if session == PROBE_SESSION || self.sessions.contains_key(&session) {
            return false;
        }
        self.sessions.insert(session, members);
        true
    }

    pub(super) fn end_session(&mut self, session: [u8; 16]) {
        self.sessions.remove(&session);
        let of_session = |(number, pipe): (&u64, &PipeEntry)| (pipe.session == session).then_some(*number);
        let ended: Vec<u64> = self.pipes.iter().filter_map(of_session).collect();
        for number in ended {
            self.end_pipe(number, CloseReason::Ended);
        }
    }

    pub(super) fn load(&self) -> (usize, usize) {
        let ends = self.pipes.values().flat_map(|entry| &entry.ends);
        (self.pipes.len(), ends.map(|end| end.data_bytes).sum())
    }

    pub(super) fn attach(&mut self, node: &str, wake: Arc<Notify>) -> u64 {
        if let Some(line) = self.lines.get(node) {
            let old = line.number;
            self.detach(node, old);
        }
        self.numbers += 1;
        let line = Line {
            number: self.numbers,
            pipes: HashMap::new(),
            ready: VecDeque::new(),
            refusals: VecDeque::new(),
            opened: 0,
            wake,
        };
        self.lines.insert(node.to_owned(), line);
        self.numbers
    }

    pub(super) fn detach(&mut self, node: &str, number: u64) {
        if self.lines.get(node).is_none_or(|line| line.number != number) {
            return;
        }
        let Some(line) = self.lines.remove(node) else { return };
        line.wake.notify_one();
        for (pipe, side) in line.pipes.into_values() {
            if let Some(entry) = self.pipes.get_mut(&pipe) {
                entry.ends[side].is_over = true;
            }
            self.close_end(pipe, 1 - side, CloseReason::Gone);
        }
    }

    /// Takes a frame of a node. Frames of a line that was replaced, and of pipes that are over, are dropped.
    pub(super) fn take(&mut self, node: &str, number: u64, frame: RelayFrame) -> Result<(), RelayError> {
        let Some(line) = self.lines.get(node).filter(|line| line.number == number) else { return Ok(()) };
        let RelayFrame { pipe: local, event } = frame;
        if let RelayEvent::Open { session, peer } = event {
            return self.open(node, local, session, &peer);
        }
        if let RelayEvent::Data(bytes) = &event
            && !(1..=DATA_BYTES_MAX).contains(&bytes.len())
        {
            return Err(RelayError::Size(bytes.len()));
        }
        let Some(&(pipe, side)) = line.pipes.get(&local) else { return Ok(()) };
        match event {
            RelayEvent::Data(bytes) => self.data(pipe, side, bytes),
            RelayEvent::Credit(bytes) => self.credit(pipe, side, bytes),
            RelayEvent::Close(reason) => {
                self.forget(pipe, side);
                self.close_end(pipe, 1 - side, reason);
            }
            // Taken above.
            RelayEvent::Open { .. } => {}
        }
        Ok(())
    }

    fn open(&mut self, node: &str, local: u64, session: [u8; 16], peer: &str) -> Result<(), RelayError> {
        let Some(line) = self.lines.get(node) else { return Ok(()) };
        if local % 2 == 1 || line.pipes.contains_key(&local) {
            return Err(RelayError::Number(local));
        }
        match self.admitted(node, session, peer) {
            Ok(()) => {}
            Err(reason) => return self.refuse(node, local, reason),
        }
        let Some(far) = self.lines.get_mut(peer) else { return Ok(()) };
        let number_there = 2 * far.opened + 1;
        far.opened += 1;
        self.numbers += 1;
        let pipe = self.numbers;
        far.pipes.insert(number_there, (pipe, 1));
        if let Some(line) = self.lines.get_mut(node) {
            line.pipes.insert(local, (pipe, 0));
        }
        // A prober's name on the relay has a mark in front that no member's has.
        let shown = node.trim_start_matches(super::probe::MARK).to_owned();
        let ends = [EndOfPipe::new(node, local, None), EndOfPipe::new(peer, number_there, Some(shown))];
        self.pipes.insert(pipe, PipeEntry { session, ends });
        self.ready(pipe, 1);
        Ok(())
    }

    /// Whether the pipe may be.
    fn admitted(&mut self, node: &str, session: [u8; 16], peer: &str) -> Result<(), CloseReason> {
        if session == PROBE_SESSION {
            if !node.starts_with(super::probe::MARK) {
                return Err(CloseReason::Refused);
            }
        } else {
            let pairs = self.sessions.get_mut(&session).map(|session| &mut session.pairs);
            let opens = pairs.and_then(|pairs| pairs.get_mut(&pair(node, peer)));
            let opens = opens.ok_or(CloseReason::Refused)?;
            if *opens >= OPENS_MAX {
                return Err(CloseReason::Limit);
            }
            *opens += 1;
        }
        let is_full = |line: &Line| line.pipes.len() >= PIPES_MAX;
        let far = self.lines.get(peer).ok_or(CloseReason::NotYet)?;
        if is_full(far) || self.lines.get(node).is_some_and(is_full) {
            return Err(CloseReason::Limit);
        }
        Ok(())
    }

    fn refuse(&mut self, node: &str, local: u64, reason: CloseReason) -> Result<(), RelayError> {
        let Some(line) = self.lines.get_mut(node) else { return Ok(()) };
        if line.refusals.len() >= REFUSALS_MAX {
            return Err(RelayError::Flood);
        }
        line.refusals.push_back((local, reason));
        line.wake.notify_one();
        Ok(())
    }

    fn data(&mut self, pipe: u64, side: usize, bytes: Vec<u8>) {
        let Some(entry) = self.pipes.get_mut(&pipe) else { return };
        let far = &mut entry.ends[1 - side];
        if far.is_over || far.close.is_some() {
            return;
        }
        far.uncredited += bytes.len();
        if far.uncredited > WINDOW_BYTES {
            return self.end_pipe(pipe, CloseReason::Credit);
        }
        far.push(bytes);
        self.ready(pipe, 1 - side);
    }

    fn credit(&mut self, pipe: u64, side: usize, bytes: u64) {
        let Some(entry) = self.pipes.get_mut(&pipe) else { return };
        let near = &mut entry.ends[side];
        // Credit is for what was delivered, not for what still waits here.
        let room = near.uncredited - near.data_bytes;
        match usize::try_from(bytes).ok().filter(|bytes| (1..=room).contains(bytes)) {
            Some(count) => near.uncredited -= count,
            None => return self.end_pipe(pipe, CloseReason::Credit),
        }
        entry.ends[1 - side].credit += bytes;
        self.ready(pipe, 1 - side);
    }

    /// Closes both ends.
    fn end_pipe(&mut self, pipe: u64, reason: CloseReason) {
        self.close_end(pipe, 0, reason);
        self.close_end(pipe, 1, reason);
    }

    /// Tells one end of the close, after what is on its way there when the other end closed by itself.
    fn close_end(&mut self, pipe: u64, side: usize, reason: CloseReason) {
        if let Some(entry) = self.pipes.get_mut(&pipe) {
            let end = &mut entry.ends[side];
            if !end.is_over {
                end.close.get_or_insert(reason);
                if reason != CloseReason::Done {
                    end.data.clear();
                    end.data_bytes = 0;
                }
            }
        }
        self.ready(pipe, side);
        self.sweep(pipe);
    }

    /// The node of this end needs not be told anything any more.
    fn forget(&mut self, pipe: u64, side: usize) {
        let Some(entry) = self.pipes.get_mut(&pipe) else { return };
        let end = &mut entry.ends[side];
        end.is_over = true;
        end.data.clear();
        end.data_bytes = 0;
        if let Some(line) = self.lines.get_mut(&end.node) {
            line.pipes.remove(&end.local);
        }
    }

    /// Drops a pipe that is over at both ends.
    fn sweep(&mut self, pipe: u64) {
        if self.pipes.get(&pipe).is_some_and(|entry| entry.ends.iter().all(|end| end.is_over)) {
            self.pipes.remove(&pipe);
        }
    }

    /// Puts an end in its line's turn.
    fn ready(&mut self, pipe: u64, side: usize) {
        let Some(end) = self.pipes.get_mut(&pipe).map(|entry| &mut entry.ends[side]) else { return };
        if end.is_over || end.is_ready || !end.has_more() {
            return;
        }
        if let Some(line) = self.lines.get_mut(&end.node) {
            end.is_ready = true;
            line.ready.push_back(end.local);
            line.wake.notify_one();
        }
    }

    /// The next frame for a node.
    pub(super) fn next(&mut self, node: &str, number: u64) -> Result<Option<RelayFrame>, Replaced> {
        loop {
            let line = self.lines.get_mut(node).filter(|line| line.number == number);
            let line = line.ok_or(Replaced)?;
            if let Some((pipe, reason)) = line.refusals.pop_front() {
                return Ok(Some(RelayFrame { pipe, event: RelayEvent::Close(reason) }));
            }
            let Some(local) = line.ready.pop_front() else { return Ok(None) };
            let Some(&(pipe, side)) = line.pipes.get(&local) else { continue };
            let Some(entry) = self.pipes.get_mut(&pipe) else { continue };
            let end = &mut entry.ends[side];
            end.is_ready = false;
            let event = end.pop(entry.session);
            let is_over = end.is_over;
            if is_over {
                self.forget(pipe, side);
                self.sweep(pipe);
            } else {
                self.ready(pipe, side);
            }
            if let Some(event) = event {
                return Ok(Some(RelayFrame { pipe: local, event }));
            }
        }
    }
}
