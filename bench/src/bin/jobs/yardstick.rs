//! What the machine does at best with the same work: a copy over loopback, and a write that reaches the disk.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::Instant;

use crate::Result;
use crate::report::median;

const ROUNDS: usize = 15;

/// Milliseconds for `bytes` bytes from one thread to another over a connection on loopback; the median of several.
pub fn loopback_ms(bytes: usize) -> Result<f64> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut sender = TcpStream::connect(listener.local_addr()?)?;
    let (mut receiver, _) = listener.accept()?;
    let (out, mut back) = (vec![0x5a; bytes], vec![0; bytes]);
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        std::thread::scope(|scope| -> Result<()> {
            let sent = scope.spawn(|| sender.write_all(&out));
            receiver.read_exact(&mut back)?;
            sent.join().map_err(|_| "the sender broke off")??;
            Ok(())
        })?;
        times.push(begin.elapsed().as_secs_f64() * 1e3);
    }
    Ok(median(&times))
}

/// Milliseconds for 4 KiB appended and on disk; the median of several.
pub fn sync_ms(dir: &Path) -> Result<f64> {
    let path = dir.join("sync");
    let mut file = File::create(&path)?;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        file.write_all(&[0x5a; 4096])?;
        file.sync_data()?;
        times.push(begin.elapsed().as_secs_f64() * 1e3);
    }
    std::fs::remove_file(path)?;
    Ok(median(&times))
}
