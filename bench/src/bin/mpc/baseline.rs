//! What the same machine does without any protocol, at the same moment.

use std::hint::black_box;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

/// Least seconds of a plain loop of this many products modulo 2^64, of five.
pub fn loop_seconds(products: usize) -> f64 {
    let x: Vec<u64> = (0..products as u64).map(|k| k.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
    let y: Vec<u64> = x.iter().map(|x| x.rotate_left(17)).collect();
    let mut z = vec![0u64; products];
    let run = |z: &mut [u64]| {
        let start = Instant::now();
        for ((z, x), y) in z.iter_mut().zip(black_box(&x)).zip(black_box(&y)) {
            *z = x.wrapping_mul(*y);
        }
        black_box(z);
        start.elapsed().as_secs_f64()
    };
    (0..5).map(|_| run(&mut z)).fold(f64::INFINITY, f64::min)
}

/// Least seconds to send `bytes` over each of three loopback connections at once, of five.
pub fn copy_seconds(bytes: u64) -> io::Result<f64> {
    let mut pairs = Vec::new();
    for _ in 0..3 {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let near = TcpStream::connect(listener.local_addr()?)?;
        pairs.push((near, listener.accept()?.0));
    }
    let mut least = f64::INFINITY;
    for _ in 0..5 {
        let start = Instant::now();
        thread::scope(|scope| {
            let copies: Vec<_> =
                pairs.iter().map(|(near, far)| scope.spawn(move || copy(near, far, bytes))).collect();
            copies
                .into_iter()
                .try_for_each(|copy| copy.join().unwrap_or_else(|_| Err(io::Error::other("panicked"))))
        })?;
        least = least.min(start.elapsed().as_secs_f64());
    }
    Ok(least)
}

fn copy(mut near: &TcpStream, mut far: &TcpStream, bytes: u64) -> io::Result<()> {
    let (mut out, mut back) = (vec![7u8; 1 << 16], vec![0u8; 1 << 16]);
    out[0] = 1;
    thread::scope(|scope| {
        let sent = scope.spawn(move || {
            let mut left = bytes as usize;
            while left > 0 {
                let take = left.min(out.len());
                near.write_all(&out[..take])?;
                left -= take;
            }
            Ok(())
        });
        let mut left = bytes as usize;
        while left > 0 {
            let take = left.min(back.len());
            far.read_exact(&mut back[..take])?;
            left -= take;
        }
        sent.join().unwrap_or_else(|_| Err(io::Error::other("panicked")))
    })
}
