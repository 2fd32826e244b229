//! One node of three sends anything in the place of up to eight of its messages, in any program: no panic, and with security against
//! a malicious node the two others end with the right answer or with none.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use ward_protocols::mpc::gates::{compare, convert, multiply, open};
use ward_protocols::mpc::programs::distinct;
use ward_protocols::mpc::programs::floor::{self, Rule};
use ward_protocols::mpc::programs::quantile::{self, Quantile};
use ward_protocols::mpc::programs::statistics::contingency;
use ward_protocols::mpc::programs::top::{self, Top};
use ward_protocols::mpc::shares::{BitShares, RingShares};
use ward_protocols::mpc::{Malicious, Result, Role, Security, SemiHonest, Session};
use ward_protocols::sim::{At, Change, Outcome, Tamper, World, share_bits, share_ring};

/// Words that the programs compute on.
const VALUES: [u64; 8] = [3, 41, 7, 7, 0, 12, 41, 5];
const PROGRAMS: u8 = 6;
/// Worlds of shares and common randomness, in each of which the honest answer is known.
const WORLDS: u8 = 4;
/// Bits of a word.
const WIDTH: usize = 20;

type Input = (RingShares, BitShares);

/// What a program opens to all nodes.
fn program<S: Security>(which: u8, s: &mut Session<'_, S>, (x, bits): &Input) -> Result<Vec<u64>> {
    match which {
        0 => {
            let squares = multiply::multiply(&mut s.narrow("square"), x, x)?;
            let less = compare::is_less(&mut s.narrow("less"), x, &squares, 64)?;
            let less = convert::inject(&mut s.narrow("inject"), &less)?;
            open::open(&mut s.narrow("open"), &squares.add(&less)?)
        }
        1 => {
            let quantiles =
                [Quantile { numerator: 1, denominator: 2 }, Quantile { numerator: 9, denominator: 10 }];
            let bins = quantile::of_histogram(&mut s.narrow("bins"), x, &quantiles, WIDTH)?;
            open::open(
                &mut s.narrow("open"),
                &RingShares::concat(&[&bins.inverted, &bins.lower, &bins.upper]),
            )
        }
        2 => {
            let found = quantile::of_rows(&mut s.narrow("rows"), x, WIDTH, &[0, 4, 7])?;
            open::open(&mut s.narrow("open"), &found)
        }
        3 => {
            let counts = bits.planes(0..1);
            let number = distinct::count(&mut s.narrow("count"), bits, &counts)?;
            open::open(&mut s.narrow("open"), &number)
        }
        4 => {
            let rule = Rule { rows: 2, columns: 4, floor: 5, width: WIDTH, has_margins: true };
            let flags = floor::released(&mut s.narrow("floor"), x, &rule)?;
            let flags = convert::inject(&mut s.narrow("inject"), &flags)?;
            let kept = floor::keep(&mut s.narrow("keep"), x, &flags)?;
            let frequent = top::codes(&mut s.narrow("top"), x, &Top { codes: 3, floor: 5, width: WIDTH })?;
            open::open(
                &mut s.narrow("open"),
                &RingShares::concat(&[&kept, &frequent.codes, &frequent.counts]),
            )
        }
        _ => {
            let released = contingency::chi_square(&mut s.narrow("chi"), x, (2, 4), 1)?;
            open::open(&mut s.narrow("open"), &released.shares)
        }
    }
}

/// What honest nodes open, by program and world.
static RIGHT: LazyLock<Vec<[Vec<u64>; 3]>> = LazyLock::new(|| {
    let worlds = (0..WORLDS).map(u64::from).map(World::new);
    worlds.flat_map(|world| (0..PROGRAMS).map(move |which| run::<Malicious>(which, &world).all())).collect()
});

fn run<S: Security>(which: u8, world: &World) -> Outcome<Vec<u64>> {
    let mut rng = world.rng();
    let (ring, bits) = (share_ring(&VALUES, &mut rng), share_bits(&VALUES, WIDTH, &mut rng));
    let [a, b, c] = ring;
    let [d, e, f] = bits;
    world.run::<S, _, _>([(a, d), (b, e), (c, f)], |session, input| program(which, session, &input))
}

/// What happens to a message, from two bytes and those that follow.
fn change(kind: u8, at: u8, bytes: &[u8]) -> Change {
    let (at, bytes) = (usize::from(at), bytes.to_vec());
    match kind % 8 {
        0 => Change::Drop,
        1 => Change::Duplicate,
        2 => Change::Truncate(at),
        3 => Change::Rewrite(Arc::new(move |body| body.clone_from(&bytes))),
        4 => Change::Rewrite(Arc::new(move |body| body.extend_from_slice(&bytes))),
        5 => Change::Flip(at),
        // Of the same length, from a place on: overwritten, or added byte by byte.
        kind => Change::Rewrite(Arc::new(move |body| {
            let start = at % body.len().max(1);
            for (byte, other) in body[start..].iter_mut().zip(&bytes) {
                *byte = if kind == 6 { *other } else { byte.wrapping_add(*other) };
            }
        })),
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&[which, party, seed], mut rest)) = data.split_first_chunk::<3>() else { return };
    let (which, seed, is_malicious) = (which % PROGRAMS, seed % WORLDS, party & 0x80 == 0);
    let party = Role::ALL[usize::from(party & 0x7f) % 3];
    let mut world = World::new(u64::from(seed));
    for _ in 0..8 {
        let Some((&[low, high, kind, at, count], tail)) = rest.split_first_chunk::<5>() else { break };
        let (bytes, tail) = tail.split_at(tail.len().min(usize::from(count)));
        rest = tail;
        let nth = usize::from(low) | usize::from(high & 3) << 8;
        world = world.tampering(Tamper { party, at: At::Nth(nth), change: change(kind, at, bytes) });
    }
    if !is_malicious {
        // The answer is whatever the corrupted node makes of it.
        run::<SemiHonest>(which, &world);
        return;
    }
    let right = &RIGHT[usize::from(seed) * usize::from(PROGRAMS) + usize::from(which)];
    let outcome = run::<Malicious>(which, &world);
    for role in Role::ALL.into_iter().filter(|role| *role != party) {
        if let Ok(opened) = &outcome.results[role.index()] {
            assert_eq!(*opened, right[role.index()], "{role:?} in program {which}");
        }
    }
});
