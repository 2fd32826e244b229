//! What carries a peer's TLS: a TCP connection or a relayed pipe, with its bytes counted.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, BufReader, ReadBuf};
use tokio::net::TcpStream;

use super::pipe::Pipe;

/// Bytes asked of the socket at once. TLS by itself asks for 4 KiB, a system call each.
const READ_BYTES: usize = 128 << 10;

/// Bytes on the wire, TLS included.
#[derive(Default)]
pub(super) struct Wire {
    pub(super) sent: AtomicU64,
    pub(super) received: AtomicU64,
}

/// Either way to a peer.
pub(super) struct Carrier {
    way: Way,
    wire: Arc<Wire>,
}

enum Way {
    Direct(BufReader<TcpStream>),
    Relayed(Pipe),
}

impl Carrier {
    pub(super) fn direct(stream: TcpStream) -> Self {
        Self { way: Way::Direct(BufReader::with_capacity(READ_BYTES, stream)), wire: Arc::default() }
    }

    pub(super) fn relayed(pipe: Pipe) -> Self {
        Self { way: Way::Relayed(pipe), wire: Arc::default() }
    }

    /// The counters.
    pub(super) fn wire(&self) -> Arc<Wire> {
        self.wire.clone()
    }

    fn count_sent(&self, poll: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = &poll {
            self.wire.sent.fetch_add(*bytes as u64, Ordering::Relaxed);
        }
        poll
    }
}

impl AsyncRead for Carrier {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let poll = match &mut self.way {
            Way::Direct(stream) => Pin::new(stream).poll_read(cx, buf),
            Way::Relayed(pipe) => Pin::new(pipe).poll_read(cx, buf),
        };
        self.wire.received.fetch_add((buf.filled().len() - before) as u64, Ordering::Relaxed);
        poll
    }
}

impl AsyncWrite for Carrier {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let poll = match &mut self.way {
            Way::Direct(stream) => Pin::new(stream).poll_write(cx, buf),
            Way::Relayed(pipe) => Pin::new(pipe).poll_write(cx, buf),
        };
        self.count_sent(poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = match &mut self.way {
            Way::Direct(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Way::Relayed(pipe) => Pin::new(pipe).poll_write_vectored(cx, bufs),
        };
        self.count_sent(poll)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.way {
            Way::Direct(stream) => Pin::new(stream).poll_flush(cx),
            Way::Relayed(pipe) => Pin::new(pipe).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.way {
            Way::Direct(stream) => Pin::new(stream).poll_shutdown(cx),
            Way::Relayed(pipe) => Pin::new(pipe).poll_shutdown(cx),
        }
    }
}
