//! Where a request comes from, carried along with the work it causes: its trace (W3C Trace Context, Recommendation of
//! 23 November 2021) and the address of whoever asked. Calls between members carry the trace as `traceparent`; log lines
//! and audit events name it.
//!
//! Whoever calls may choose the trace's id, so it correlates and proves nothing.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll};

use tonic::codegen::http;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};
use tower::{Layer, Service};
use tracing::Instrument as _;

use crate::identity::random;

/// Name of the header, and of the variable that gives a command its trace.
pub const TRACEPARENT: &str = "traceparent";
/// Variable that gives a command the trace of whatever started it.
pub const VARIABLE: &str = "TRACEPARENT";

/// A trace and the span of it that asks: `00-<trace>-<span>-<flags>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    trace: [u8; 16],
    span: [u8; 8],
    flags: u8,
}

impl TraceParent {
    /// A new trace; none where the system gives no randomness.
    #[must_use]
    pub fn fresh() -> Option<Self> {
        let (trace, span) = (random().ok()?, random().ok()?);
        Some(Self { trace, span, flags: 0 }).filter(Self::is_valid)
    }

    /// A header's value; none where it is not one. Later versions are read as version 00, as the recommendation asks.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().splitn(5, '-');
        let version = byte(parts.next()?)?;
        let (mut trace, mut span) = ([0; 16], [0; 8]);
        lower_hex(parts.next()?, &mut trace)?;
        lower_hex(parts.next()?, &mut span)?;
        let flags = byte(parts.next()?)?;
        let is_whole = version != 0 || parts.next().is_none();
        Some(Self { trace, span, flags }).filter(|parent| version != 0xff && is_whole && parent.is_valid())
    }

    /// The trace of that id (32 hexadecimal digits), taken up again in a new span.
    #[must_use]
    pub fn resumed(trace_id: &str) -> Option<Self> {
        let mut trace = [0; 16];
        lower_hex(trace_id, &mut trace)?;
        Some(Self { trace, span: random().ok()?, flags: 0 }).filter(Self::is_valid)
    }

    /// The same trace, in a new span.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { span: random().unwrap_or(self.span), ..*self }
    }

    /// The trace's id: 32 hexadecimal digits.
    #[must_use]
    pub fn trace_id(&self) -> String {
        hex::encode(self.trace)
    }

    fn is_valid(&self) -> bool {
        self.trace != [0; 16] && self.span != [0; 8]
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", hex::encode(self.trace), hex::encode(self.span), self.flags & 1)
    }
}

fn byte(text: &str) -> Option<u8> {
    let mut byte = [0];
    lower_hex(text, &mut byte).map(|()| byte[0])
}

fn lower_hex(text: &str, bytes: &mut [u8]) -> Option<()> {
    hex::decode_to_slice(text, bytes).ok()?;
    (hex::encode(&*bytes) == text).then_some(())
}

/// Whence a request came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Its trace.
    pub parent: TraceParent,
    /// Address of whoever asked, or of whoever passed the work on; empty when it is not known.
    pub source: String,
}

tokio::task_local! {
    static ORIGIN: Origin;
}

/// The origin of the work in hand.
#[must_use]
pub fn current() -> Option<Origin> {
    ORIGIN.try_with(Clone::clone).ok()
}

fn span_of(origin: &Origin) -> tracing::Span {
    tracing::error_span!("request", trace = %origin.parent.trace_id())
}

/// Does work that came from there; without an origin, as it is.
pub async fn within<F: Future>(origin: Option<Origin>, work: F) -> F::Output {
    match origin {
        Some(origin) => {
            let span = span_of(&origin);
            ORIGIN.scope(origin, work.instrument(span)).await
        }
        None => work.await,
    }
}

/// Work that is spawned keeps the origin of the work that spawns it.
pub fn carried<F: Future>(work: F) -> impl Future<Output = F::Output> {
    within(current(), work)
}

/// Does work on a thread of its own that came from there.
pub fn within_blocking<T>(origin: Option<Origin>, work: impl FnOnce() -> T) -> T {
    match origin {
        Some(origin) => {
            let span = span_of(&origin);
            ORIGIN.sync_scope(origin, || span.in_scope(work))
        }
        None => work(),
    }
}

static OF_PROCESS: OnceLock<Option<TraceParent>> = OnceLock::new();

/// The trace of a command: that of whatever started it ([`VARIABLE`]), or a new one.
#[must_use]
pub fn of_process() -> Option<TraceParent> {
    *OF_PROCESS.get_or_init(|| {
        let given = std::env::var(VARIABLE).ok().and_then(|text| TraceParent::parse(&text));
        given.map(|parent| parent.child()).or_else(TraceParent::fresh)
    })
}

/// The id of the command's trace, where a call of it carried one.
#[must_use]
pub fn id_of_process() -> Option<String> {
    OF_PROCESS.get().copied().flatten().map(|parent| parent.trace_id())
}

/// Gives every call that a server takes its origin.
#[derive(Clone, Copy, Debug, Default)]
pub struct OriginLayer;

impl<S> Layer<S> for OriginLayer {
    type Service = WithOrigin<S>;

    fn layer(&self, inner: S) -> WithOrigin<S> {
        WithOrigin(inner)
    }
}

/// A service whose calls know where they come from.
#[derive(Clone, Debug)]
pub struct WithOrigin<S>(S);

impl<S, B> Service<http::Request<B>> for WithOrigin<S>
where
    S: Service<http::Request<B>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let origin = origin_of(request.headers(), request.extensions());
        let answer = self.0.call(request);
        Box::pin(within(origin, answer))
    }
}

/// The origin of a call; two traces or a malformed one count as none, and a new one begins.
fn origin_of(headers: &http::HeaderMap, extensions: &http::Extensions) -> Option<Origin> {
    let mut given = headers.get_all(TRACEPARENT).iter();
    let first = given.next().and_then(|value| value.to_str().ok());
    let given = if given.next().is_none() { first } else { None };
    let parent = given.and_then(TraceParent::parse).map(|parent| parent.child());
    let address = extensions.get::<TlsConnectInfo<TcpConnectInfo>>();
    let address = address.and_then(|info| info.get_ref().remote_addr());
    Some(Origin {
        parent: parent.or_else(TraceParent::fresh)?,
        source: address.map_or_else(String::new, |address| address.ip().to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn the_example_of_the_recommendation_is_read_and_written() {
        let parent = TraceParent::parse(EXAMPLE).unwrap();
        assert_eq!(parent.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(parent.to_string(), EXAMPLE);
        let later = EXAMPLE.replacen("00", "cc", 1) + "-what-the-future-will-be-like";
        assert_eq!(TraceParent::parse(&later), Some(parent));
        let child = parent.child();
        assert!(child != parent && child.trace_id() == parent.trace_id());
        assert_eq!(TraceParent::resumed(&parent.trace_id()).unwrap().trace_id(), parent.trace_id());
    }

    #[test]
    fn what_is_no_traceparent_is_refused() {
        for text in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        ] {
            assert_eq!(TraceParent::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_call_with_two_traces_begins_a_new_one() {
        let mut headers = http::HeaderMap::new();
        headers.append(TRACEPARENT, EXAMPLE.parse().unwrap());
        let of = |headers: &http::HeaderMap| origin_of(headers, &http::Extensions::new()).unwrap();
        assert_eq!(of(&headers).parent.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        headers.append(TRACEPARENT, EXAMPLE.parse().unwrap());
        assert_ne!(of(&headers).parent.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
    }

    #[tokio::test]
    async fn spawned_work_keeps_its_origin_and_other_work_has_none() {
        let origin = Origin { parent: TraceParent::parse(EXAMPLE).unwrap(), source: "192.0.2.7".to_owned() };
        let seen = within(Some(origin.clone()), async {
            let kept = current();
            let thread = tokio::task::spawn_blocking(move || within_blocking(kept, current));
            (tokio::spawn(carried(async { current() })).await.unwrap(), thread.await.unwrap())
        });
        assert_eq!(seen.await, (Some(origin.clone()), Some(origin)));
        assert_eq!(current(), None);
    }
}
