//! A relayed pipe as a byte stream, with credit in both directions.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::relay::{CloseReason, DATA_BYTES_MAX, Line, RelayEvent, WINDOW_BYTES};

/// Credit is given back in pieces of at least this many bytes.
const CREDIT_BYTES_MIN: usize = WINDOW_BYTES / 8;

/// A pipe that the line and the stream share.
pub(super) struct PipeState(Mutex<Inner>);

struct Inner {
    /// Bytes that came; the first `taken` of the front are read.
    came: VecDeque<Vec<u8>>,
    taken: usize,
    /// Bytes that came and are not credited yet.
    uncredited: usize,
    /// Bytes of these that were read.
    read: usize,
    /// Bytes that may be sent.
    credit: usize,
    closed: Option<CloseReason>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Default for PipeState {
    fn default() -> Self {
        Self(Mutex::new(Inner {
            came: VecDeque::new(),
            taken: 0,
            uncredited: 0,
            read: 0,
            credit: WINDOW_BYTES,
            closed: None,
            reader: None,
            writer: None,
        }))
    }
}

impl PipeState {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes bytes in; an error when they were sent without credit.
    pub(super) fn receive(&self, bytes: Vec<u8>) -> Result<(), ()> {
        let mut inner = self.lock();
        inner.uncredited += bytes.len();
        if inner.uncredited > WINDOW_BYTES {
            return Err(());
        }
        match inner.came.back_mut() {
            // Many small pieces are not let to cost more than their bytes.
            Some(last) if bytes.len() < 4096 && last.len() < 16_384 => last.extend_from_slice(&bytes),
            _ => inner.came.push_back(bytes),
        }
        wake(inner.reader.take());
        Ok(())
    }

    /// Takes credit in; an error when it is for bytes that were not sent.
    pub(super) fn credit(&self, bytes: u64) -> Result<(), ()> {
        let mut inner = self.lock();
        let room = WINDOW_BYTES - inner.credit;
        inner.credit += usize::try_from(bytes).ok().filter(|bytes| (1..=room).contains(bytes)).ok_or(())?;
        wake(inner.writer.take());
        Ok(())
    }

    /// Ends the pipe; the first reason counts. What came before can still be read.
    pub(super) fn close(&self, reason: CloseReason) {
        let mut inner = self.lock();
        inner.closed.get_or_insert(reason);
        wake(inner.reader.take());
        wake(inner.writer.take());
    }

    /// Why the pipe ended, if it did.
    pub(super) fn closed(&self) -> Option<CloseReason> {
        self.lock().closed
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// This node's end of a pipe. Dropping it closes the pipe.
pub(super) struct Pipe {
    line: Arc<Line>,
    number: u64,
    state: Arc<PipeState>,
}

impl Pipe {
    pub(super) fn new(line: Arc<Line>, number: u64, state: Arc<PipeState>) -> Self {
        Self { line, number, state }
    }

    /// A view of the pipe that outlives it.
    pub(super) fn state(&self) -> Arc<PipeState> {
        self.state.clone()
    }

    /// Closes the pipe and says why.
    pub(super) fn refuse(self, reason: CloseReason) {
        self.line.close(self.number, reason);
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.line.close(self.number, CloseReason::Done);
    }
}

fn broken(reason: CloseReason) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, reason.as_str())
}

impl AsyncRead for Pipe {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut guard = self.state.lock();
        let inner = &mut *guard;
        let before = buf.remaining();
        while let Some(front) = inner.came.front() {
            let rest = &front[inner.taken..];
            let count = rest.len().min(buf.remaining());
            buf.put_slice(&rest[..count]);
            inner.taken += count;
            if inner.taken < front.len() {
                break;
            }
            inner.came.pop_front();
            inner.taken = 0;
        }
        inner.read += before - buf.remaining();
        if before == buf.remaining() && before > 0 {
            return match inner.closed {
                None => {
                    inner.reader = Some(cx.waker().clone());
                    Poll::Pending
                }
                Some(CloseReason::Done) => Poll::Ready(Ok(())),
                Some(reason) => Poll::Ready(Err(broken(reason))),
            };
        }
        if inner.read >= CREDIT_BYTES_MIN && inner.closed.is_none() {
            let bytes = std::mem::take(&mut inner.read);
            inner.uncredited -= bytes;
            self.line.send(self.number, RelayEvent::Credit(bytes as u64));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut inner = self.state.lock();
        if let Some(reason) = inner.closed {
            return Poll::Ready(Err(broken(reason)));
        }
        let wanted: usize = bufs.iter().map(|buf| buf.len()).sum();
        let count = wanted.min(inner.credit).min(DATA_BYTES_MAX);
        if count == 0 && wanted > 0 {
            inner.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        inner.credit -= count;
        let mut bytes = Vec::with_capacity(count);
        for buf in bufs {
            let room = count - bytes.len();
            bytes.extend_from_slice(&buf[..buf.len().min(room)]);
        }
        if count > 0 {
            self.line.send(self.number, RelayEvent::Data(bytes));
        }
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // TLS has said its close; the pipe itself ends when both have read it, by drop.
        Poll::Ready(Ok(()))
    }
}
