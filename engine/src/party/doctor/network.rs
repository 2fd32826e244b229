//! The way to the engine and what it is like there.

use std::future::Future;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Check;
use crate::party::connect::{ConnectError, ConnectLimits, Proxy, connect_via, resolve};

/// Clock difference, in milliseconds, from which someone should look.
const CLOCK_MS_GOOD: u64 = 2_000;
/// Clock difference, in milliseconds, at which certificates and deadlines break.
const CLOCK_MS_MAX: u64 = 30_000;
/// Round trip, in milliseconds, above which queries feel slow.
const ROUND_TRIP_MS_GOOD: u128 = 250;
/// Round trips measured; the median counts.
const ROUND_TRIPS: usize = 5;
/// Bytes a second below which contributions take long.
const BYTES_PER_S_GOOD: f64 = 1e6;

/// Checks the way to `host:port`: the name, the TCP connection, and the tunnel of the proxy if there is one.
pub async fn check_way_out(
    host: &str,
    port: u16,
    proxy: Option<&Proxy>,
    limits: ConnectLimits,
) -> Vec<Check> {
    let (first_host, first_port) = proxy.map_or((host, port), |proxy| (proxy.host.as_str(), proxy.port));
    let mut checks = Vec::new();
    let refused = |name: &str, error: ConnectError| Check::fail(name, error.to_string(), error.hint());
    match resolve(first_host, first_port, limits).await {
        Ok(addresses) => {
            let shown: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
            checks.push(Check::ok("network.name", format!("{first_host} is {}", shown.join(", "))));
        }
        Err(error) => {
            checks.push(refused("network.name", error));
            return checks;
        }
    }
    match connect_via(first_host, first_port, None, limits).await {
        Ok(_) => checks.push(Check::ok("network.tcp", format!("connected to {first_host}:{first_port}"))),
        Err(error) => {
            checks.push(refused("network.tcp", error));
            return checks;
        }
    }
    if let Some(proxy) = proxy {
        checks.push(match connect_via(host, port, Some(proxy), limits).await {
            Ok(_) => {
                Check::ok("network.proxy", format!("{first_host}:{first_port} tunnels to {host}:{port}"))
            }
            Err(error) => refused("network.proxy", error),
        });
    }
    checks
}

/// What the doctor asks of an authenticated connection to the engine.
pub trait EngineProbe {
    /// Makes the TLS connection with the node's certificate; says what was agreed, for people.
    fn handshake(&self) -> impl Future<Output = Result<String, ProbeError>> + Send;
    /// The engine's clock, in milliseconds since 1970.
    fn clock_ms(&self) -> impl Future<Output = Result<u64, ProbeError>> + Send;
    /// One small request and its answer.
    fn rtt(&self) -> impl Future<Output = Result<Duration, ProbeError>> + Send;
    /// Bytes a second to the engine.
    fn throughput(&self) -> impl Future<Output = Result<f64, ProbeError>> + Send;
}

/// Why a probe failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ProbeError {
    /// What happened.
    pub message: String,
    /// What to do.
    pub hint: String,
}

/// Checks TLS, clock, round trip and throughput. When TLS fails, the others are not tried.
pub async fn check_engine(probe: &impl EngineProbe) -> Vec<Check> {
    let mut checks = Vec::new();
    match probe.handshake().await {
        Ok(agreed) => checks.push(Check::ok("engine.tls", agreed)),
        Err(error) => {
            checks.push(Check::fail("engine.tls", error.message, error.hint));
            return checks;
        }
    }
    checks.push(clock(probe).await);
    checks.push(round_trip(probe).await);
    checks.push(match probe.throughput().await {
        Ok(rate) if rate.is_finite() && rate >= BYTES_PER_S_GOOD => {
            Check::ok("engine.throughput", format!("{:.1} MB/s", rate / 1e6))
        }
        Ok(rate) => {
            let advice =
                "a slow line makes large queries wait; ask for more upload, or a proxy that does not inspect";
            Check::warn("engine.throughput", format!("{:.2} MB/s", rate / 1e6), advice)
        }
        Err(error) => Check::fail("engine.throughput", error.message, error.hint),
    });
    checks
}

async fn clock(probe: &impl EngineProbe) -> Check {
    const NAME: &str = "engine.clock";
    let before = now_ms();
    let engine = match probe.clock_ms().await {
        Ok(engine) => engine,
        Err(error) => return Check::fail(NAME, error.message, error.hint),
    };
    let after = now_ms().max(before);
    // The engine looked at its clock somewhere between: the difference beyond that span is certain.
    let (ahead, behind) = (engine.saturating_sub(after), before.saturating_sub(engine));
    let difference = ahead.max(behind);
    let side = if ahead > 0 { "behind" } else { "ahead of" };
    let advice = "set this machine's clock by NTP: certificates and deadlines depend on it";
    match difference {
        0..=CLOCK_MS_GOOD => {
            Check::ok(NAME, format!("within {} ms of the engine's", difference + (after - before)))
        }
        difference => {
            let detail = format!("this clock is {:.1} s {side} the engine's", difference as f64 / 1e3);
            if difference > CLOCK_MS_MAX {
                Check::fail(NAME, detail, advice)
            } else {
                Check::warn(NAME, detail, advice)
            }
        }
    }
}

async fn round_trip(probe: &impl EngineProbe) -> Check {
    const NAME: &str = "engine.round_trip";
    let mut times = Vec::with_capacity(ROUND_TRIPS);
    for _ in 0..ROUND_TRIPS {
        match probe.rtt().await {
            Ok(time) => times.push(time),
            Err(error) => return Check::fail(NAME, error.message, error.hint),
        }
    }
    times.sort_unstable();
    let median = times[ROUND_TRIPS / 2];
    let detail = format!("{:.1} ms", median.as_secs_f64() * 1e3);
    if median.as_millis() <= ROUND_TRIP_MS_GOOD {
        Check::ok(NAME, detail)
    } else {
        Check::warn(
            NAME,
            detail,
            "every step of a query waits for this; look for a shorter way to the engine",
        )
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
