//! The two tasks of a peer's stream: one writes, one reads.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader, ReadHalf, WriteHalf, split};
use tokio::time::timeout;
use tokio_rustls::TlsStream;

use super::carrier::Carrier;
use super::error::MeshError;
use super::frame::{HEADER_BYTES, Header};
use super::link::{Link, Tagged, lock};

/// Plain bytes of a TLS record.
const RECORD_BYTES: usize = 16 << 10;
/// Bytes written under one time limit and one hold of the connection, which reading shares.
const WRITE_BYTES: usize = 256 << 10;

/// A peer's TLS stream.
pub(super) type Secured = TlsStream<Carrier>;

/// Reads and writes until the peer and this node have both said farewell, or the mesh ends. An error ends the mesh.
pub(super) async fn run(link: Arc<Link>, mut stream: Secured) {
    stream_buffers(&mut stream);
    let (read, write) = split(stream);
    let writer = async {
        match write_all(&link, write).await {
            // Nobody misses what is written to a peer that has left.
            Err(_) if lock(&link.inbox).has_left => Ok(()),
            done => done,
        }
    };
    let reader = read_all(&link, BufReader::with_capacity(RECORD_BYTES, read));
    tokio::select! {
        done = async { tokio::try_join!(writer, reader) } => if let Err(error) = done {
            link.end.with(error);
        },
        _ = link.end.ended() => {}
    }
}

/// Lets TLS encrypt as much as is written at once, so that it goes out in few system calls.
fn stream_buffers(stream: &mut Secured) {
    let limit = Some(WRITE_BYTES + RECORD_BYTES);
    match stream {
        TlsStream::Client(stream) => stream.get_mut().1.set_buffer_limit(limit),
        TlsStream::Server(stream) => stream.get_mut().1.set_buffer_limit(limit),
    }
}

async fn write_all(link: &Link, mut stream: WriteHalf<Secured>) -> Result<(), MeshError> {
    let mut head = Vec::with_capacity(RECORD_BYTES);
    let alive = Duration::from_millis(link.limits.keepalive_ms);
    loop {
        let (next, is_closing) = {
            let mut outbox = lock(&link.outbox);
            (outbox.queue.pop_front(), outbox.is_closing)
        };
        match next {
            Some(message) => write_message(link, &mut stream, &mut head, message).await?,
            None if is_closing => {
                written(link, stream.write_all(&Header::Farewell.encode())).await?;
                written(link, stream.flush()).await?;
                return written(link, stream.shutdown()).await;
            }
            None => {
                written(link, stream.flush()).await?;
                if timeout(alive, link.filled.notified()).await.is_err() {
                    written(link, stream.write_all(&Header::Alive.encode())).await?;
                }
            }
        }
    }
}

/// Writes a message and as many small ones after it as fit into one record.
async fn write_message(
    link: &Link,
    stream: &mut WriteHalf<Secured>,
    head: &mut Vec<u8>,
    first: Tagged,
) -> Result<(), MeshError> {
    let mut done = 0;
    head.clear();
    let mut next = Some(first);
    while let Some((tag, message)) = next.take() {
        // Lengths are checked when a message is queued.
        head.extend_from_slice(&Header::Message { tag, bytes: message.len() as u32 }.encode());
        let (fits, rest) = message.split_at(message.len().min(RECORD_BYTES.saturating_sub(head.len())));
        head.extend_from_slice(fits);
        done += message.len();
        if !rest.is_empty() {
            written(link, stream.write_all(head)).await?;
            head.clear();
            for piece in rest.chunks(WRITE_BYTES) {
                written(link, stream.write_all(piece)).await?;
            }
        } else if head.len() + HEADER_BYTES < RECORD_BYTES {
            next = lock(&link.outbox).queue.pop_front();
        }
    }
    if !head.is_empty() {
        written(link, stream.write_all(head)).await?;
    }
    lock(&link.outbox).bytes -= done;
    link.room.notify_one();
    Ok(())
}

/// Writes under the time limit: a peer that takes nothing holds nobody for longer.
async fn written(link: &Link, write: impl Future<Output = io::Result<()>>) -> Result<(), MeshError> {
    let limit_ms = link.limits.wait_ms_max;
    match timeout(Duration::from_millis(limit_ms), write).await {
        Ok(done) => done.map_err(|error| broken(link, &error)),
        Err(_) => {
            Err(MeshError::Stalled { peer: link.peer.clone(), what: "took nothing", stalled_ms: limit_ms })
        }
    }
}

fn broken(link: &Link, error: &io::Error) -> MeshError {
    let reason = match error.kind() {
        io::ErrorKind::UnexpectedEof => "it ended in the middle".to_owned(),
        _ => error.to_string(),
    };
    MeshError::Broken { peer: link.peer.clone(), reason }
}

async fn read_all(link: &Link, mut stream: BufReader<ReadHalf<Secured>>) -> Result<(), MeshError> {
    let mut header = [0; HEADER_BYTES];
    loop {
        fill(link, &mut stream, &mut header).await?;
        let framed = Header::decode(&header);
        match framed.map_err(|what| MeshError::Frame { peer: link.peer.clone(), what })? {
            Header::Alive => {}
            Header::Farewell => {
                lock(&link.inbox).has_left = true;
                link.came.notify_one();
                // A sender that waits for room learns that there will be none.
                link.room.notify_one();
                return Ok(());
            }
            Header::Message { tag, bytes } => {
                let bytes = bytes as usize;
                admitted(link, bytes).await?;
                let mut message = vec![0; bytes];
                fill(link, &mut stream, &mut message).await?;
                link.messages.received.fetch_add(1, Ordering::Relaxed);
                link.messages.received_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
                let mut inbox = lock(&link.inbox);
                inbox.bytes += bytes;
                inbox.queue.push_back((tag, message));
                drop(inbox);
                link.came.notify_one();
            }
        }
    }
}

/// Waits until a message of this length may be read: it fits what may be read ahead, or it is the one asked for.
async fn admitted(link: &Link, bytes: usize) -> Result<(), MeshError> {
    let bytes_max = link.limits.message_bytes_max;
    if bytes > bytes_max {
        return Err(link.oversize(bytes, bytes_max));
    }
    loop {
        {
            let inbox = lock(&link.inbox);
            if inbox.bytes.saturating_add(bytes) <= link.limits.read_ahead_bytes_max {
                return Ok(());
            }
            if let (true, Some(demand)) = (inbox.queue.is_empty(), inbox.demand) {
                return if bytes <= demand { Ok(()) } else { Err(link.oversize(bytes, demand)) };
            }
        }
        link.wanted.notified().await;
    }
}

/// Fills the buffer; a peer of which nothing at all comes for too long has stalled.
async fn fill(
    link: &Link,
    stream: &mut BufReader<ReadHalf<Secured>>,
    buffer: &mut [u8],
) -> Result<(), MeshError> {
    let limit_ms = link.limits.idle_ms_max;
    let mut at = 0;
    while at < buffer.len() {
        match timeout(Duration::from_millis(limit_ms), stream.read(&mut buffer[at..])).await {
            Ok(Ok(0)) => return Err(broken(link, &io::ErrorKind::UnexpectedEof.into())),
            Ok(Ok(bytes)) => at += bytes,
            Ok(Err(error)) => return Err(broken(link, &error)),
            Err(_) => {
                return Err(MeshError::Stalled {
                    peer: link.peer.clone(),
                    what: "was silent",
                    stalled_ms: limit_ms,
                });
            }
        }
    }
    Ok(())
}
