//! The nodes' channel: a TLS stream each way and peer, a thread for long messages.

use std::io::{self, BufRead, Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use ward_protocols::mpc::Role;
use ward_protocols::mpc::channel::{Channel, ChannelError};
use ward_protocols::mpc::exchange::FRAMES_AHEAD_MAX;
use ward_protocols::mpc::step::StepId;

use crate::tls::{Identity, Incoming, Outgoing};

/// Messages up to this size are written by the caller when nothing else waits: the socket has room for them.
const INLINE_BYTES_MAX: usize = 1 << 15;

/// Frames that wait to be written.
const QUEUE_FRAMES: usize = FRAMES_AHEAD_MAX + 3;

/// A node's end.
pub struct TlsChannel {
    out: Vec<(Role, Writer)>,
    incoming: Vec<(Role, Incoming)>,
}

struct Writer {
    stream: Arc<Mutex<Outgoing>>,
    queue: Option<SyncSender<(StepId, Vec<u8>)>>,
    waiting: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl TlsChannel {
    /// Connects to the two others.
    pub fn connect(
        role: Role,
        identity: &Identity,
        listener: &TcpListener,
        ports: &[u16],
    ) -> io::Result<Self> {
        let (out, incoming) = thread::scope(|scope| {
            let dialled = scope.spawn(|| {
                [role.prev(), role.next()]
                    .into_iter()
                    .map(|peer| Ok((peer, Writer::new(identity.dial(peer.index(), ports[peer.index()])?))))
                    .collect::<io::Result<Vec<_>>>()
            });
            let incoming = (0..2).map(|_| {
                let (peer, stream) = identity.hear(listener.accept()?.0)?;
                let peer = Role::from_index(peer).ok_or_else(|| io::Error::other("no such role"))?;
                Ok((peer, stream))
            });
            let incoming = incoming.collect::<io::Result<Vec<_>>>();
            (dialled.join().unwrap_or_else(|_| Err(io::Error::other("panicked"))), incoming)
        });
        Ok(Self { out: out?, incoming: incoming? })
    }
}

impl Writer {
    fn new(stream: Outgoing) -> Self {
        let stream = Arc::new(Mutex::new(stream));
        let waiting = Arc::new(AtomicUsize::new(0));
        let (queue, frames) = sync_channel::<(StepId, Vec<u8>)>(QUEUE_FRAMES);
        let (shared, left) = (Arc::clone(&stream), Arc::clone(&waiting));
        let thread = thread::spawn(move || {
            for (step, message) in frames {
                let Ok(mut stream) = shared.lock() else { return };
                let written = write(&mut stream, step, &message);
                left.fetch_sub(1, Ordering::Release);
                if written.is_err() {
                    return;
                }
            }
        });
        Self { stream, queue: Some(queue), waiting, thread: Some(thread) }
    }
}

impl Drop for Writer {
    /// What was sent last still goes.
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn write(stream: &mut Outgoing, step: StepId, message: &[u8]) -> io::Result<()> {
    let mut head = [0; 20];
    head[..16].copy_from_slice(&step.0);
    head[16..].copy_from_slice(&(message.len() as u32).to_le_bytes());
    if message.len() <= INLINE_BYTES_MAX {
        let mut all = Vec::with_capacity(20 + message.len());
        all.extend_from_slice(&head);
        all.extend_from_slice(message);
        stream.write_all(&all)?;
    } else {
        stream.write_all(&head)?;
        stream.write_all(message)?;
    }
    stream.flush()
}

impl Channel for TlsChannel {
    fn send(&mut self, to: Role, step: StepId, message: Vec<u8>) -> Result<(), ChannelError> {
        let (_, writer) = self.out.iter().find(|(peer, _)| *peer == to).ok_or(ChannelError::Closed(to))?;
        if message.len() <= INLINE_BYTES_MAX && writer.waiting.load(Ordering::Acquire) == 0 {
            let mut stream = writer.stream.lock().map_err(|_| ChannelError::Closed(to))?;
            return write(&mut stream, step, &message).map_err(|_| ChannelError::Closed(to));
        }
        writer.waiting.fetch_add(1, Ordering::AcqRel);
        let queue = writer.queue.as_ref().ok_or(ChannelError::Closed(to))?;
        queue.send((step, message)).map_err(|_| ChannelError::Closed(to))
    }

    fn receive(&mut self, from: Role, step: StepId, len: usize) -> Result<Vec<u8>, ChannelError> {
        let closed = |_| ChannelError::Closed(from);
        let (_, stream) =
            self.incoming.iter_mut().find(|(peer, _)| *peer == from).ok_or(ChannelError::Closed(from))?;
        let mut head = [0; 20];
        stream.read_exact(&mut head).map_err(closed)?;
        let found = u32::from_le_bytes([head[16], head[17], head[18], head[19]]) as usize;
        if head[..16] != step.0 || found != len {
            let what = format!("{found} bytes of another step, expected {len} of {step:?}");
            return Err(ChannelError::Unexpected { peer: from, what });
        }
        // From the records as they are, into memory that is not cleared first.
        let mut message = Vec::with_capacity(len);
        while message.len() < len {
            let received = stream.fill_buf().map_err(closed)?;
            let taken = received.len().min(len - message.len());
            if taken == 0 {
                return Err(ChannelError::Closed(from));
            }
            message.extend_from_slice(&received[..taken]);
            stream.consume(taken);
        }
        Ok(message)
    }
}
