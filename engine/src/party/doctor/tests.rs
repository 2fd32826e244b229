//! The doctor on healthy and on sick patients.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{
    Check, EngineProbe, ProbeError, Status, check_certificate, check_config, check_data, check_disk,
    check_engine, check_way_out, worst,
};
use crate::party::connect::tests::{echo, proxy};
use crate::party::connect::{ConnectLimits, Proxy, connect_via};

fn statuses(checks: &[Check]) -> Vec<(&str, Status)> {
    checks.iter().map(|check| (check.name.as_str(), check.status)).collect()
}

const CONFIG: &str = "[party]\ndata_dir = \".\"\n[[table]]\nname = \"good\"\nrows_max = 10\npatient = \"id\"\n\
    source = { csv = \"good.csv\" }\n[[table.column]]\nname = \"x\"\nkind = \"integer\"\nmin = 0\nmax = 9\n\
    [[table]]\nname = \"odd\"\nrows_max = 10\npatient = \"id\"\nsource = { csv = \"odd.csv\" }\n\
    [[table.column]]\nname = \"x\"\nkind = \"integer\"\nmin = 0\nmax = 9\n\
    [[table]]\nname = \"gone\"\nrows_max = 10\nsource = { csv = \"gone.csv\" }\n\
    [[table.column]]\nname = \"x\"\nkind = \"integer\"\nmin = 0\nmax = 9\n";

#[test]
fn data_that_read_map_or_fail_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("party.toml", CONFIG);
    write("good.csv", "id,x\np1,1\np2,2\np3,\n");
    write("odd.csv", "id,x\np1,1\np1,77\n");
    let (check, config) = check_config(&dir.path().join("party.toml"));
    assert_eq!((check.status, check.advice.as_str()), (Status::Ok, ""));
    let checks = check_data(&config.unwrap());
    assert_eq!(
        statuses(&checks),
        [
            ("data.good", Status::Ok),
            ("mapping.good", Status::Ok),
            ("data.odd", Status::Warn),
            ("mapping.odd", Status::Warn),
            ("data.gone", Status::Fail),
        ]
    );
    assert!(checks[1].detail.contains("1 missing"), "{:?}", checks[1]);
    assert!(checks[3].detail.contains("1 out of bounds"), "{:?}", checks[3]);
    assert!(!checks[3].detail.contains("77"), "no value of a row is shown");
    assert!(checks.iter().all(|c| c.status == Status::Ok || !c.advice.is_empty()));
    assert_eq!(worst(&checks), Status::Fail);
}

#[test]
fn a_configuration_that_does_not_load_fails_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("party.toml");
    std::fs::write(&path, "[party]\ndata_dir = 5\n").unwrap();
    let (check, config) = check_config(&path);
    assert!(config.is_none() && check.status == Status::Fail && check.detail.contains(":2:"), "{check:?}");
    std::fs::write(&path, "[party]\ndata_dir = \".\"\n").unwrap();
    assert_eq!(check_config(&path).0.status, Status::Warn, "nothing is published");
}

#[test]
fn a_folder_that_cannot_be_written_fails() {
    let dir = tempfile::tempdir().unwrap();
    let check = check_disk(dir.path());
    assert!(check.detail.contains("MiB free"), "{check:?}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left behind");
    let check = check_disk(&dir.path().join("absent"));
    assert_eq!(check.status, Status::Fail);
}

fn pems(days: u64) -> (String, String) {
    let epoch = rcgen::date_time_ymd(2030, 1, 1);
    let named = |name: &str| {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = epoch;
        params
    };
    let mut params = named("consortium");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.not_after = rcgen::date_time_ymd(2040, 1, 1);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let mut params = named("st-anna");
    params.not_after = epoch + Duration::from_secs(days * 86_400);
    let own = params.signed_by(&KeyPair::generate().unwrap(), &ca).unwrap();
    (own.pem(), ca.pem())
}

#[test]
fn a_certificate_is_good_ending_ended_or_anothers() {
    let start = 1_893_456_000;
    let day = 86_400;
    let (own, ca) = pems(30);
    let status = |now: i64| check_certificate(own.as_bytes(), ca.as_bytes(), now).status;
    assert_eq!(status(start + day), Status::Ok);
    assert_eq!(status(start + 20 * day), Status::Warn);
    assert_eq!(status(start + 31 * day), Status::Fail);
    assert_eq!(status(start - day), Status::Fail);
    // Issued by itself, not by the CA; and no certificate at all.
    assert_eq!(check_certificate(ca.as_bytes(), own.as_bytes(), start + day).status, Status::Fail);
    for garbage in [&b""[..], b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", b"\xff\xff"]
    {
        assert_eq!(check_certificate(garbage, ca.as_bytes(), start + day).status, Status::Fail);
        assert_eq!(check_certificate(own.as_bytes(), garbage, start + day).status, Status::Fail);
    }
}

#[tokio::test]
async fn the_way_out_is_checked_step_by_step() {
    let limits = ConnectLimits::default();
    let engine = echo().await;
    let checks = check_way_out("127.0.0.1", engine, None, limits).await;
    assert_eq!(statuses(&checks), [("network.name", Status::Ok), ("network.tcp", Status::Ok)]);

    let open = Proxy::parse(&format!("http://127.0.0.1:{}", proxy(None).await)).unwrap();
    let checks = check_way_out("127.0.0.1", engine, Some(&open), limits).await;
    assert_eq!(worst(&checks), Status::Ok);
    assert_eq!(checks.last().unwrap().name, "network.proxy");

    let closed = Proxy::parse(&format!("http://127.0.0.1:{}", proxy(Some("Basic xyz")).await)).unwrap();
    let checks = check_way_out("127.0.0.1", engine, Some(&closed), limits).await;
    assert_eq!(checks.last().map(|c| (c.name.as_str(), c.status)), Some(("network.proxy", Status::Fail)));

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let checks = check_way_out("127.0.0.1", port, None, limits).await;
    assert_eq!(statuses(&checks), [("network.name", Status::Ok), ("network.tcp", Status::Fail)]);
}

/// A probe over a plain connection to an echo server; its engine's clock is off by some milliseconds.
struct EchoProbe {
    port: u16,
    clock_off_ms: i64,
    is_trusted: bool,
}

impl EchoProbe {
    async fn over_and_back(&self, bytes: usize) -> Result<Duration, ProbeError> {
        let failed = |message: String| ProbeError { message, hint: "look at the engine".into() };
        let limits = ConnectLimits::default();
        let stream =
            connect_via("127.0.0.1", self.port, None, limits).await.map_err(|e| failed(e.to_string()))?;
        let begin = Instant::now();
        let (mut read, mut write) = stream.into_split();
        let sent = tokio::spawn(async move { write.write_all(&vec![7; bytes]).await });
        let mut back = vec![0; bytes];
        read.read_exact(&mut back).await.map_err(|e| failed(e.to_string()))?;
        sent.await.unwrap().map_err(|e| failed(e.to_string()))?;
        Ok(begin.elapsed())
    }
}

impl EngineProbe for EchoProbe {
    async fn handshake(&self) -> Result<String, ProbeError> {
        if self.is_trusted {
            return Ok("agreed".into());
        }
        Err(ProbeError { message: "unknown issuer".into(), hint: "enrol again".into() })
    }

    async fn clock_ms(&self) -> Result<u64, ProbeError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
        Ok(now.saturating_add_signed(self.clock_off_ms))
    }

    async fn rtt(&self) -> Result<Duration, ProbeError> {
        self.over_and_back(1).await
    }

    async fn throughput(&self) -> Result<f64, ProbeError> {
        Ok(1e6 / self.over_and_back(1_000_000).await?.as_secs_f64())
    }
}

#[tokio::test]
async fn the_clock_decides_by_its_difference() {
    let port = echo().await;
    for (clock_off_ms, status, word) in [
        (0, Status::Ok, "within"),
        (10_000, Status::Warn, "behind"),
        (-10_000, Status::Warn, "ahead"),
        (3_600_000, Status::Fail, "behind"),
        (i64::MIN / 4, Status::Fail, "ahead"),
    ] {
        let checks = check_engine(&EchoProbe { port, clock_off_ms, is_trusted: true }).await;
        let names: Vec<&str> = checks.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["engine.tls", "engine.clock", "engine.round_trip", "engine.throughput"]);
        assert_eq!(checks[1].status, status, "{clock_off_ms}: {:?}", checks[1]);
        assert!(checks[1].detail.contains(word), "{:?}", checks[1]);
        assert!(checks[2].status < Status::Fail && checks[3].status < Status::Fail);
    }
}

#[tokio::test]
async fn without_trust_or_engine_the_checks_fail_with_advice() {
    let port = echo().await;
    let checks = check_engine(&EchoProbe { port, clock_off_ms: 0, is_trusted: false }).await;
    assert_eq!(statuses(&checks), [("engine.tls", Status::Fail)]);
    assert_eq!(checks[0].advice, "enrol again");

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let checks = check_engine(&EchoProbe { port, clock_off_ms: 0, is_trusted: true }).await;
    assert_eq!((checks[2].status, checks[3].status), (Status::Fail, Status::Fail));
}
