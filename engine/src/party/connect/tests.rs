//! Connections over real sockets on loopback, through a small real CONNECT proxy.

use std::time::Duration;

use proptest::prelude::*;
use tokio::io::copy_bidirectional;
use tokio::net::TcpListener;

use super::*;

const LIMITS: ConnectLimits =
    ConnectLimits { resolve_ms_max: 5_000, tcp_ms_max: 5_000, tunnel_ms_max: 5_000 };

async fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// A server that gives every connection its bytes back.
pub(crate) async fn echo() -> u16 {
    let (listener, port) = listener().await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    port
}

/// A proxy that tunnels to wherever it is asked, for those who bring this authorization.
pub(crate) async fn proxy(authorization: Option<&'static str>) -> u16 {
    let (listener, port) = listener().await;
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let Some(head) = head(&mut client).await else { return };
                let bears = |wanted: &str| head.contains(&format!("\r\nProxy-Authorization: {wanted}\r\n"));
                if !authorization.is_none_or(bears) {
                    let _ = client.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await;
                    return;
                }
                let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
                match TcpStream::connect(target.unwrap_or_default()).await {
                    Ok(mut server) => {
                        let _ = client
                            .write_all(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n")
                            .await;
                        let _ = copy_bidirectional(&mut client, &mut server).await;
                    }
                    Err(_) => {
                        let _ = client.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n").await;
                    }
                }
            });
        }
    });
    port
}

async fn head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

/// A server that reads a head, answers this, and then holds or closes the connection.
async fn answering(answer: Vec<u8>, holds: bool) -> u16 {
    let (listener, port) = listener().await;
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let _ = head(&mut client).await;
                let _ = client.write_all(&answer).await;
                if holds {
                    std::future::pending::<()>().await;
                }
            });
        }
    });
    port
}

fn at(port: u16) -> Proxy {
    Proxy::parse(&format!("http://127.0.0.1:{port}")).unwrap()
}

async fn echoes(mut stream: TcpStream) {
    stream.write_all(b"over and back").await.unwrap();
    let mut back = [0; 13];
    stream.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"over and back");
}

#[tokio::test]
async fn a_direct_connection_carries_bytes() {
    let port = echo().await;
    echoes(connect_via("127.0.0.1", port, None, LIMITS).await.unwrap()).await;
    echoes(connect_via("localhost", port, None, LIMITS).await.unwrap()).await;
}

#[tokio::test]
async fn a_tunnel_carries_bytes() {
    let (server, proxy) = (echo().await, proxy(None).await);
    echoes(connect_via("127.0.0.1", server, Some(&at(proxy)), LIMITS).await.unwrap()).await;
}

#[tokio::test]
async fn a_proxy_gets_the_decoded_user_and_password() {
    // "ana:p@ss:1" in base64.
    let (server, port) = (echo().await, proxy(Some("Basic YW5hOnBAc3M6MQ==")).await);
    let with = |user: &str| Proxy::parse(&format!("http://{user}127.0.0.1:{port}/")).unwrap();
    echoes(connect_via("127.0.0.1", server, Some(&with("ana:p%40ss:1@")), LIMITS).await.unwrap()).await;
    for wrong in ["", "ana:guess@"] {
        let error = connect_via("127.0.0.1", server, Some(&with(wrong)), LIMITS).await.unwrap_err();
        assert_eq!(error.code(), "connect.proxy_authorization");
        assert!(!error.to_string().contains("guess"));
    }
}

#[tokio::test]
async fn what_follows_the_head_of_a_tunnel_is_the_servers() {
    let port = answering(b"HTTP/1.1 200 OK\r\n\r\nhello".to_vec(), true).await;
    let mut stream = connect_via("engine.example", 443, Some(&at(port)), LIMITS).await.unwrap();
    let mut hello = [0; 5];
    stream.read_exact(&mut hello).await.unwrap();
    assert_eq!(&hello, b"hello");
}

#[tokio::test]
async fn every_other_answer_of_a_proxy_is_a_typed_error() {
    let cases: [(Vec<u8>, &str); 7] = [
        (b"HTTP/1.1 403 Forbidden\r\n\r\n".to_vec(), "connect.proxy_refused"),
        (b"HTTP/1.1 502 Bad Gateway\r\nX: y\r\n\r\n".to_vec(), "connect.proxy_refused"),
        (b"HTTP/1.1 407 No\r\n\r\n".to_vec(), "connect.proxy_authorization"),
        (b"SSH-2.0-OpenSSH_9.9\r\n".to_vec(), "connect.proxy_malformed"),
        (b"HTTP/1.1 ok\r\n\r\n".to_vec(), "connect.proxy_malformed"),
        (b"HTTP/1.1 200 OK\r\n".to_vec(), "connect.proxy_malformed"),
        ([b"HTTP/1.1 200 OK\r\nX: ".to_vec(), vec![b'x'; 9000]].concat(), "connect.proxy_malformed"),
    ];
    for (answer, code) in cases {
        let port = answering(answer.clone(), false).await;
        let error = connect_via("engine.example", 443, Some(&at(port)), LIMITS).await.unwrap_err();
        assert_eq!(error.code(), code, "{}: {error}", String::from_utf8_lossy(&answer));
        assert!(!error.hint().is_empty());
    }
}

#[tokio::test]
async fn a_proxy_that_says_nothing_is_given_up() {
    let port = answering(Vec::new(), true).await;
    let limits = ConnectLimits { tunnel_ms_max: 50, ..LIMITS };
    let error = connect_via("engine.example", 443, Some(&at(port)), limits).await.unwrap_err();
    assert_eq!(error.code(), "connect.slow");
    assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::TimedOut);
}

#[tokio::test]
async fn a_closed_port_is_a_typed_error() {
    let (listener, port) = listener().await;
    drop(listener);
    let error = connect_via("127.0.0.1", port, None, LIMITS).await.unwrap_err();
    assert_eq!(error.code(), "connect.tcp");
}

#[tokio::test]
async fn a_name_without_address_is_a_typed_error() {
    let limits = ConnectLimits { resolve_ms_max: 2_000, ..LIMITS };
    let error = connect_via("ward.invalid", 443, None, limits).await.unwrap_err();
    assert!(matches!(error.code(), "connect.resolve" | "connect.slow"), "{error}");
}

#[tokio::test]
async fn a_host_cannot_smuggle_a_header() {
    let port = proxy(None).await;
    for host in ["", "a b", "a\r\nX-Evil: 1", "a/b", "user@host"] {
        let error = connect_via(host, 443, Some(&at(port)), LIMITS).await.unwrap_err();
        assert_eq!(error.code(), "connect.host", "{host:?}");
    }
}

#[test]
fn proxies_are_read_and_never_show_their_password() {
    let proxy = Proxy::parse("http://ana:secret@proxy.example:3128/").unwrap();
    assert_eq!((proxy.host.as_str(), proxy.port), ("proxy.example", 3128));
    assert!(!format!("{proxy:?}").contains("secret"));
    assert_eq!(Proxy::parse("http://[::1]:8080").unwrap().host, "::1");
    for (text, error) in [
        ("proxy.example:3128", ProxyError::Scheme),
        ("https://proxy.example:3128", ProxyError::Scheme),
        ("http://proxy.example", ProxyError::Port),
        ("http://proxy.example:0", ProxyError::Port),
        ("http://proxy.example:99999", ProxyError::Port),
        ("http://:3128", ProxyError::Host),
        ("http://a b:3128", ProxyError::Host),
        ("http://ana@proxy.example:3128", ProxyError::User),
        ("http://ana:%zz@proxy.example:3128", ProxyError::User),
        ("http://ana:x%0d%0aX:1@proxy.example:3128", ProxyError::User),
    ] {
        assert_eq!(Proxy::parse(text).unwrap_err(), error, "{text}");
    }
}

proptest! {
    #[test]
    fn no_text_of_a_proxy_panics(text in "(http://)?\\PC{0,40}") {
        let _ = Proxy::parse(&text);
    }
}

#[test]
fn limits_are_finite() {
    let limits = ConnectLimits::default();
    for ms in [limits.resolve_ms_max, limits.tcp_ms_max, limits.tunnel_ms_max] {
        assert!(Duration::from_millis(ms) < Duration::from_secs(60));
    }
}
