//! Sending and receiving within a step. A message travels in frames of at most 1 MiB, so that no frame of a transport
//! is longer, no queue must hold a whole column, and local work overlaps the network.

use super::error::{MpcError, Result};
use super::role::Peer;
use super::security::Security;
use super::session::Session;
use super::wire::Wire;

/// Longest frame, in bytes.
pub const FRAME_BYTES_MAX: usize = 1 << 20;

/// Frames that a node may have sent to a peer in an exchange while it still waits for the peer's first. A channel
/// that queues this many and two more never blocks three honest nodes for good.
pub const FRAMES_AHEAD_MAX: usize = 3;

/// Words of a frame.
const FRAME_WORDS: usize = FRAME_BYTES_MAX / 8;

/// Where an exchange's words go and whence they come; a node may have no part in either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The peer that gets this node's words.
    pub to: Option<Peer>,
    /// The peer whose words come.
    pub from: Option<Peer>,
}

impl Route {
    /// To `P_{i-1}` from `P_{i+1}`: the direction of resharing.
    pub const RESHARE: Self = Self { to: Some(Peer::Prev), from: Some(Peer::Next) };
    /// To `P_{i+1}` from `P_{i-1}`: the direction of opening.
    pub const OPEN: Self = Self { to: Some(Peer::Next), from: Some(Peer::Prev) };
}

impl<S: Security> Session<'_, S> {
    /// Sends this step's message to a peer. For messages of a frame or less; longer columns go by
    /// [`Session::exchange`].
    ///
    /// # Errors
    /// When the channel fails; when the step has already sent to this peer.
    pub fn send<W: Wire>(&mut self, to: Peer, elements: &[W]) -> Result<()> {
        self.open_outbox(to)?;
        for frame in elements.chunks(FRAME_BYTES_MAX / W::BYTES) {
            self.send_frame(to, frame)?;
        }
        Ok(())
    }

    /// Waits for a peer's message of this step: exactly `count` elements.
    ///
    /// # Errors
    /// When the channel fails.
    pub fn receive<W: Wire + Default>(&mut self, from: Peer, count: usize) -> Result<Vec<W>> {
        let mut out = vec![W::default(); count];
        for frame in out.chunks_mut(FRAME_BYTES_MAX / W::BYTES) {
            self.receive_frame(from, frame)?;
        }
        self.party.counters.waited(self.step.path());
        Ok(out)
    }

    /// Sends `words` along the route and fills `into` with as many words as it holds. Counts one round, at nodes
    /// without a part in it too.
    ///
    /// # Errors
    /// When the channel fails; when the step has already sent to this peer.
    pub fn exchange(&mut self, route: Route, words: &[u64], into: &mut [u64]) -> Result<()> {
        if let Some(to) = route.to {
            self.open_outbox(to)?;
        }
        let mut outgoing = words.chunks(FRAME_WORDS);
        let mut incoming = into.chunks_mut(FRAME_WORDS);
        for ahead in 0.. {
            let mut is_done = true;
            if let Some((to, frame)) = route.to.and_then(|to| Some((to, outgoing.next()?))) {
                self.send_frame(to, frame)?;
                is_done = false;
            }
            if ahead < FRAMES_AHEAD_MAX && route.to.is_some() && outgoing.len() > 0 {
                continue;
            }
            if let Some((from, frame)) = route.from.and_then(|from| Some((from, incoming.next()?))) {
                self.receive_frame(from, frame)?;
                is_done = false;
            }
            if is_done {
                break;
            }
        }
        self.party.counters.exchanged(self.step.path());
        Ok(())
    }

    /// As [`Session::exchange`], where `fill(start, frame)` computes the words from `start` on just before they go:
    /// `own` ends up with all that was computed.
    ///
    /// # Errors
    /// When the channel fails; when the step has already sent to this peer.
    pub fn exchange_filled(
        &mut self,
        route: Route,
        own: &mut [u64],
        next: &mut [u64],
        mut fill: impl FnMut(usize, &mut [u64]),
    ) -> Result<()> {
        if let Some(to) = route.to {
            self.open_outbox(to)?;
        }
        let mut incoming = next.chunks_mut(FRAME_WORDS);
        for (sent, frame) in own.chunks_mut(FRAME_WORDS).enumerate() {
            fill(sent * FRAME_WORDS, frame);
            if let Some(to) = route.to {
                self.send_frame(to, frame)?;
            }
            if let (Some(from), true) = (route.from, sent >= FRAMES_AHEAD_MAX)
                && let Some(frame) = incoming.next()
            {
                self.receive_frame(from, frame)?;
            }
        }
        if let Some(from) = route.from {
            for frame in incoming {
                self.receive_frame(from, frame)?;
            }
        }
        self.party.counters.exchanged(self.step.path());
        Ok(())
    }

    fn open_outbox(&mut self, to: Peer) -> Result<()> {
        if !self.party.sent.insert((self.step.id(), to)) {
            return Err(MpcError::StepReused(self.step.path().to_owned()));
        }
        Ok(())
    }

    fn send_frame<W: Wire>(&mut self, to: Peer, frame: &[W]) -> Result<()> {
        let mut bytes = Vec::with_capacity(frame.len() * W::BYTES);
        W::write(frame, &mut bytes);
        self.party.counters.sent(self.step.path(), bytes.len());
        let role = self.role().peer(to);
        self.party.channel.send(role, self.step.id(), bytes).map_err(|error| self.failed(error))
    }

    fn receive_frame<W: Wire>(&mut self, from: Peer, frame: &mut [W]) -> Result<()> {
        let role = self.role().peer(from);
        let len = frame.len() * W::BYTES;
        let received = self.party.channel.receive(role, self.step.id(), len);
        let bytes = received.map_err(|error| self.failed(error))?;
        if bytes.len() != len {
            let what = format!("{} bytes, expected {len}", bytes.len());
            return Err(self.failed(super::channel::ChannelError::Unexpected { peer: role, what }));
        }
        W::read_into(&bytes, frame);
        Ok(())
    }
}
