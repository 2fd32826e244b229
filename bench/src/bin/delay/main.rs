//! A TCP proxy that delays: what goes in at one address comes out at another so many milliseconds later, in both
//! directions, in order, at any rate. For measuring computations among hospitals that are far apart, on one machine.
//!
//! `cargo run --release -p ward-bench --bin delay -- --delay-ms 20 127.0.0.1:7501=127.0.0.1:7443 ...`
//!
//! Each direction of each connection has a thread that reads and one that writes. What is under way is bounded, as a
//! wide network would bound it by its windows.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// What goes wrong ends the run, in words.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const HELP: &str = "delay: forwards TCP connections, each byte later by a fixed time in each direction

  delay --delay-ms N LISTEN=TARGET...

A round trip through it takes 2 N milliseconds longer. LISTEN and TARGET are address:port.";

/// Bytes of one read.
const PIECE_BYTES: usize = 64 << 10;
/// Pieces under way in one direction of one connection: 64 MiB.
const PIECES_MAX: usize = 1024;

/// From where to where.
#[derive(Debug, PartialEq, Eq)]
struct Way {
    listen: String,
    target: String,
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Option<(Duration, Vec<Way>)>> {
    let (mut delay, mut ways) = (None, Vec::new());
    while let Some(word) = words.next() {
        match word.as_str() {
            "--help" | "-h" => return Ok(None),
            "--delay-ms" => {
                let value = words.next().ok_or("--delay-ms needs a number")?;
                delay = Some(Duration::from_millis(value.parse()?));
            }
            way => {
                let (listen, target) = way.split_once('=').ok_or(format!("`{way}` is not LISTEN=TARGET"))?;
                ways.push(Way { listen: listen.to_owned(), target: target.to_owned() });
            }
        }
    }
    let delay = delay.ok_or("--delay-ms is missing")?;
    if ways.is_empty() {
        return Err("nothing to forward: give LISTEN=TARGET".into());
    }
    Ok(Some((delay, ways)))
}

/// Takes connections for ever.
fn serve(listener: &TcpListener, target: &str, delay: Duration) {
    for near in listener.incoming().flatten() {
        let target = target.to_owned();
        thread::spawn(move || {
            if let Ok(far) = TcpStream::connect(&target) {
                // A connection that breaks at one end breaks at the other: there is nothing to tell.
                let _ = forward(&near, &far, delay);
            }
        });
    }
}

fn forward(near: &TcpStream, far: &TcpStream, delay: Duration) -> std::io::Result<()> {
    for stream in [near, far] {
        stream.set_nodelay(true)?;
    }
    let there = one_way(near.try_clone()?, far.try_clone()?, delay);
    let back = one_way(far.try_clone()?, near.try_clone()?, delay);
    for thread in [there, back] {
        // A thread of these does not panic.
        let _ = thread.join();
    }
    Ok(())
}

fn one_way(mut from: TcpStream, mut to: TcpStream, delay: Duration) -> thread::JoinHandle<()> {
    let (pieces, due) = sync_channel::<(Instant, Vec<u8>)>(PIECES_MAX);
    thread::spawn(move || {
        let reader = thread::spawn(move || read_all(&mut from, &pieces, delay));
        for (at, piece) in due {
            thread::sleep(at.saturating_duration_since(Instant::now()));
            if to.write_all(&piece).is_err() {
                break;
            }
        }
        // Passes the end on; an error means that it has ended already.
        let _ = to.shutdown(Shutdown::Write);
        let _ = reader.join();
    })
}

fn read_all(from: &mut TcpStream, pieces: &SyncSender<(Instant, Vec<u8>)>, delay: Duration) {
    let mut buffer = vec![0; PIECE_BYTES];
    while let Ok(bytes @ 1..) = from.read(&mut buffer) {
        if pieces.send((Instant::now() + delay, buffer[..bytes].to_vec())).is_err() {
            // Nobody takes it any more: let the sender know.
            let _ = from.shutdown(Shutdown::Read);
            return;
        }
    }
}

fn run() -> Result<()> {
    let Some((delay, ways)) = parse(std::env::args().skip(1))? else {
        println!("{HELP}");
        return Ok(());
    };
    let mut threads = Vec::new();
    for Way { listen, target } in ways {
        let listener = TcpListener::bind(&listen).map_err(|e| format!("{listen}: {e}"))?;
        println!("{} -> {target}, {} ms each way", listener.local_addr()?, delay.as_millis());
        threads.push(thread::spawn(move || serve(&listener, &target, delay)));
    }
    for thread in threads {
        thread.join().map_err(|_| "a thread panicked")?;
    }
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}\n\n{HELP}");
            ExitCode::from(2)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> impl Iterator<Item = String> {
        text.split_whitespace().map(str::to_owned).collect::<Vec<_>>().into_iter()
    }

    #[test]
    fn a_command_line_is_read_or_refused() {
        let (delay, ways) = parse(words("--delay-ms 20 a:1=b:2 c:3=d:4")).unwrap().unwrap();
        assert_eq!((delay.as_millis(), ways.len()), (20, 2));
        assert_eq!(ways[0], Way { listen: "a:1".into(), target: "b:2".into() });
        assert!(parse(words("--help")).unwrap().is_none());
        for wrong in ["", "a:1=b:2", "--delay-ms 20", "--delay-ms x a:1=b:2", "--delay-ms 20 a:1"] {
            assert!(parse(words(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn bytes_come_out_whole_in_order_and_not_before_their_time() {
        let target = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
        let (there, at) = (target.local_addr().unwrap().to_string(), proxy.local_addr().unwrap().to_string());
        let delay = Duration::from_millis(30);
        thread::spawn(move || serve(&proxy, &there, delay));
        let echo = thread::spawn(move || {
            let (mut stream, _) = target.accept().unwrap();
            let mut all = Vec::new();
            stream.read_to_end(&mut all).unwrap();
            stream.write_all(&all).unwrap();
        });
        let begin = Instant::now();
        let mut stream = TcpStream::connect(at).unwrap();
        let sent: Vec<u8> = (0..300_000u32).map(|i| i as u8).collect();
        stream.write_all(&sent).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut back = Vec::new();
        stream.read_to_end(&mut back).unwrap();
        echo.join().unwrap();
        assert!(back == sent);
        assert!(begin.elapsed() >= 2 * delay);
    }
}
