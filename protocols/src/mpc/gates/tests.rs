//! Every gate against plain arithmetic, in both securities; what is recorded is what was computed.

use proptest::prelude::*;

use super::multiply::Shape;
use super::*;
use crate::mpc::planes::values_of;
use crate::mpc::security::{Malicious, Records, SemiHonest};
use crate::mpc::shares::{BitShares, RingShares};
use crate::mpc::{Result, Role, Security, Session};
use crate::sim::{World, reconstruct_bits, reconstruct_ring, share_bits, share_ring};

/// Checks that every product recorded obeys its formula at this node.
trait Audit: Records {
    fn audit(&self, _: Role) {}
}

impl Audit for crate::mpc::security::NoRecords {}

impl Audit for crate::mpc::security::Transcript {
    fn audit(&self, _: Role) {
        for r in &self.ring {
            for j in 0..r.z.len() {
                let terms = (j * r.arity..(j + 1) * r.arity).fold(0u64, |sum, k| {
                    let (x, y) = ((r.x.own[k], r.x.next[k]), (r.y.own[k], r.y.next[k]));
                    sum.wrapping_add(x.0.wrapping_mul(y.0))
                        .wrapping_add(x.0.wrapping_mul(y.1))
                        .wrapping_add(x.1.wrapping_mul(y.0))
                });
                let z = terms.wrapping_add(r.mask_next[j]).wrapping_sub(r.mask_prev[j]);
                assert_eq!(z, r.z.own[j]);
            }
        }
        for r in &self.bits {
            for k in 0..r.z.own.len() {
                let (x, y) = ((r.x.own[k], r.x.next[k]), (r.y.own[k], r.y.next[k]));
                let terms = (x.0 & y.0) ^ (x.0 & y.1) ^ (x.1 & y.0);
                assert_eq!(terms ^ r.mask_next[k] ^ r.mask_prev[k], r.z.own[k]);
            }
        }
    }
}

fn ring<S: Security<Records: Audit>>(
    seed: u64,
    columns: &[&[u64]],
    program: impl Fn(&mut Session<'_, S>, Vec<RingShares>) -> Result<RingShares> + Sync,
) -> Vec<u64> {
    let world = World::new(seed);
    let mut rng = world.rng();
    let mut inputs: [Vec<RingShares>; 3] = Default::default();
    for column in columns {
        for (input, share) in inputs.iter_mut().zip(share_ring(column, &mut rng)) {
            input.push(share);
        }
    }
    let shares = world.run::<S, _, _>(inputs, |session, input| {
        let out = program(session, input)?;
        let role = session.role();
        session.records().audit(role);
        Ok(out)
    });
    reconstruct_ring(&shares.all())
}

fn bits<S: Security<Records: Audit>>(
    seed: u64,
    columns: &[&[u64]],
    program: impl Fn(&mut Session<'_, S>, Vec<RingShares>) -> Result<BitShares> + Sync,
) -> Vec<u64> {
    let world = World::new(seed);
    let mut rng = world.rng();
    let mut inputs: [Vec<RingShares>; 3] = Default::default();
    for column in columns {
        for (input, share) in inputs.iter_mut().zip(share_ring(column, &mut rng)) {
            input.push(share);
        }
    }
    let shares = world.run::<S, _, _>(inputs, |session, input| {
        let out = program(session, input)?;
        let role = session.role();
        session.records().audit(role);
        Ok(out.trimmed())
    });
    reconstruct_bits(&shares.all())
}

fn of_bits<S: Security<Records: Audit>>(
    seed: u64,
    (columns, width): (&[&[u64]], usize),
    program: impl Fn(&mut Session<'_, S>, Vec<BitShares>) -> Result<BitShares> + Sync,
) -> Vec<u64> {
    let world = World::new(seed);
    let mut rng = world.rng();
    let mut inputs: [Vec<BitShares>; 3] = Default::default();
    for column in columns {
        for (input, share) in inputs.iter_mut().zip(share_bits(column, width, &mut rng)) {
            input.push(share);
        }
    }
    let shares = world.run::<S, _, _>(inputs, |session, input| {
        let out = program(session, input)?;
        let role = session.role();
        session.records().audit(role);
        Ok(out.trimmed())
    });
    reconstruct_bits(&shares.all())
}

fn mask(width: usize) -> u64 {
    u64::MAX >> (64 - width)
}

/// Pairs of columns of equal length, extremes among them.
fn columns() -> impl Strategy<Value = (Vec<u64>, Vec<u64>)> {
    let value = prop_oneof![any::<u64>(), 0..4u64, Just(u64::MAX), Just(1 << 63), Just((1 << 63) - 1)];
    prop::collection::vec((value.clone(), value), 1..150).prop_map(|pairs| pairs.into_iter().unzip())
}

macro_rules! in_both {
    ($check:ident, $($argument:expr),*) => {
        $check::<SemiHonest>($($argument),*);
        $check::<Malicious>($($argument),*);
    };
}

fn products<S: Security<Records: Audit>>(seed: u64, x: &[u64], y: &[u64]) {
    let z = ring::<S>(seed, &[x, y], |s, v| multiply::multiply(s, &v[0], &v[1]));
    let expected: Vec<u64> = x.iter().zip(y).map(|(x, y)| x.wrapping_mul(*y)).collect();
    assert_eq!(z, expected);
    let z = ring::<S>(seed, &[x, y], |s, v| multiply::inner_products(s, &v[0], &v[1], v[0].len()));
    assert_eq!(z, [expected.iter().fold(0u64, |sum, z| sum.wrapping_add(*z))]);
}

fn linear<S: Security<Records: Audit>>(seed: u64, x: &[u64], y: &[u64]) {
    let z = ring::<S>(seed, &[x, y], |s, v| {
        let role = s.role();
        let known = RingShares::public(role, &vec![5; v[0].len()]);
        v[0].scale(3).add(&v[1].neg())?.sub(&known)?.add_public(role, 9).scale_each(&vec![7; v[0].len()])
    });
    let expected: Vec<u64> = x
        .iter()
        .zip(y)
        .map(|(x, y)| x.wrapping_mul(3).wrapping_sub(*y).wrapping_add(4).wrapping_mul(7))
        .collect();
    assert_eq!(z, expected);
    let z = ring::<S>(seed, &[x], |_, v| Ok(RingShares::concat(&[&v[0].prefix_sums(), &v[0].sum()])));
    assert_eq!(z[x.len() - 1], z[x.len()]);
    assert_eq!(z[0], x[0]);
}

fn compares<S: Security<Records: Audit>>(seed: u64, x: &[u64], y: &[u64], width: usize) {
    let cut: Vec<Vec<u64>> = [x, y].map(|v| v.iter().map(|v| v & mask(width - 1)).collect()).into();
    let pairs = || cut[0].iter().zip(&cut[1]);
    let less = bits::<S>(seed, &[&cut[0], &cut[1]], |s, v| compare::is_less(s, &v[0], &v[1], width));
    assert_eq!(less, pairs().map(|(x, y)| u64::from(x < y)).collect::<Vec<_>>());
    let equal = bits::<S>(seed, &[&cut[0], &cut[1]], |s, v| compare::is_equal(s, &v[0], &v[1], width));
    assert_eq!(equal, pairs().map(|(x, y)| u64::from(x == y)).collect::<Vec<_>>());
    let smaller = ring::<S>(seed, &[&cut[0], &cut[1]], |s, v| select::min(s, &v[0], &v[1], width));
    assert_eq!(smaller, pairs().map(|(x, y)| *x.min(y)).collect::<Vec<_>>());
    let larger = ring::<S>(seed, &[&cut[0], &cut[1]], |s, v| select::max(s, &v[0], &v[1], width));
    assert_eq!(larger, pairs().map(|(x, y)| *x.max(y)).collect::<Vec<_>>());
}

fn converts<S: Security<Records: Audit>>(seed: u64, x: &[u64], width: usize) {
    let low: Vec<u64> = x.iter().map(|x| x & mask(width)).collect();
    assert_eq!(bits::<S>(seed, &[x], |s, v| convert::bits_of(s, &v[0], width)), low);
    let back = ring::<S>(seed, &[x], |s, v| {
        let bits = convert::bits_of(&mut s.narrow("bits"), &v[0], width)?;
        let all = convert::inject(&mut s.narrow("inject"), &bits)?;
        (0..width).try_fold(RingShares::zeros(v[0].len()), |sum, b| {
            sum.add(&all.range(b * v[0].len()..(b + 1) * v[0].len()).scale(1 << b))
        })
    });
    assert_eq!(back, low);
    let back = ring::<S>(seed, &[x], |s, v| {
        let bits = convert::bits_of(&mut s.narrow("bits"), &v[0], width)?;
        convert::ring_of(&mut s.narrow("ring"), &bits)
    });
    assert_eq!(back, low);
}

fn on_bits<S: Security<Records: Audit>>(seed: u64, x: &[u64], y: &[u64], width: usize) {
    let cut: Vec<Vec<u64>> = [x, y].map(|v| v.iter().map(|v| v & mask(width)).collect()).into();
    let columns: [&[u64]; 2] = [&cut[0], &cut[1]];
    let check = |name: &str, got: Vec<u64>, expected: &dyn Fn(u64, u64) -> u64| {
        let expected: Vec<u64> = cut[0].iter().zip(&cut[1]).map(|(x, y)| expected(*x, *y)).collect();
        assert_eq!(got, expected, "{name} at {width} bits");
    };
    let all = (&columns[..], width);
    check("and", of_bits::<S>(seed, all, |s, v| boolean::and(s, &v[0], &v[1])), &|x, y| x & y);
    check("or", of_bits::<S>(seed, all, |s, v| boolean::or(s, &v[0], &v[1])), &|x, y| x | y);
    check("xor", of_bits::<S>(seed, all, |_, v| v[0].xor(&v[1])), &|x, y| x ^ y);
    let not = of_bits::<S>(seed, all, |s, v| Ok(v[0].not(s.role())));
    check("not", not, &|x, _| !x & mask(width));
    check("less", of_bits::<S>(seed, all, |s, v| compare::bits_less(s, &v[0], &v[1])), &|x, y| {
        u64::from(x < y)
    });
    check("equal", of_bits::<S>(seed, all, |s, v| compare::bits_equal(s, &v[0], &v[1])), &|x, y| {
        u64::from(x == y)
    });
    let sum = of_bits::<S>(seed, all, |s, v| adder::sum(s, &v[0], &v[1]));
    check("sum", sum, &|x, y| x.wrapping_add(y) & mask(width));
    let carry = of_bits::<S>(seed, all, |s, v| adder::carry(s, &v[0], &v[1]));
    check("carry", carry, &|x, y| ((u128::from(x) + u128::from(y)) >> width) as u64);
    let chosen = of_bits::<S>(seed, all, |s, v| select::select_bits(s, &v[0].planes(0..1), &v[0], &v[1]));
    let any = of_bits::<S>(seed, all, |s, v| boolean::prefix_or(s, &v[0]));
    check("prefix or", any, &|x, _| {
        // From the lowest bit that is set upwards.
        (x | x.wrapping_neg()) & mask(width)
    });
    check("select", chosen, &|x, y| if x & 1 == 1 { x } else { y });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn products_are_right((x, y) in columns(), seed: u64) {
        in_both!(products, seed, &x, &y);
    }

    #[test]
    fn local_operations_are_right((x, y) in columns(), seed: u64) {
        in_both!(linear, seed, &x, &y);
    }

    #[test]
    fn comparisons_are_right((x, y) in columns(), width in 2..=64usize, seed: u64) {
        in_both!(compares, seed, &x, &y, width);
    }

    #[test]
    fn conversions_are_right((x, _) in columns(), width in 1..=64usize, seed: u64) {
        in_both!(converts, seed, &x, width);
    }

    #[test]
    fn gates_on_bits_are_right((x, y) in columns(), width in 1..=64usize, seed: u64) {
        in_both!(on_bits, seed, &x, &y, width);
    }
}

#[test]
fn a_matrix_product_is_right() {
    let x: Vec<u64> = (0..6).collect();
    let y: Vec<u64> = (0..12).map(|k| k * k).collect();
    let shapes = (Shape { rows: 2, columns: 3 }, Shape { rows: 3, columns: 4 });
    let run = |s: &mut Session<'_, Malicious>, v: Vec<RingShares>| {
        multiply::matrix_product(s, (&v[0], shapes.0), (&v[1], shapes.1))
    };
    let z = ring::<Malicious>(1, &[&x, &y], run);
    let expected: Vec<u64> =
        (0..8).map(|j| (0..3).map(|p| x[j / 4 * 3 + p] * y[p * 4 + j % 4]).sum()).collect();
    assert_eq!(z, expected);
}

#[test]
fn a_shared_index_picks_a_row() {
    for (index, expected) in [(0, [10, 20]), (2, [12, 22]), (3, [0, 0]), (u64::MAX, [0, 0])] {
        let picked = ring::<Malicious>(1, &[&[10, 11, 12], &[20, 21, 22], &[index]], |s, v| {
            select::select_at(s, &[&v[0], &v[1]], &v[2])
        });
        assert_eq!(picked, expected);
    }
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let results = World::new(1).run::<SemiHonest, _, _>([(); 3], |s, ()| {
        multiply::multiply(s, &RingShares::zeros(2), &RingShares::zeros(3))
    });
    assert!(results.results.iter().all(Result::is_err));
    let results = World::new(1)
        .run::<SemiHonest, _, _>([(); 3], |s, ()| compare::is_negative(s, &RingShares::zeros(2), 65));
    assert!(results.results.iter().all(Result::is_err));
}

#[test]
fn opening_gives_all_the_values_and_one_alone_when_asked() {
    let world = World::new(2);
    let values: Vec<u64> = (0..100).map(|k| k * 77).collect();
    let inputs = share_ring(&values, &mut world.rng());
    let opened = world.run::<Malicious, _, _>(inputs, |s, x| {
        let all = open::open(&mut s.narrow("all"), &x)?;
        let one = open::open_to(&mut s.narrow("one"), Role::P1, &x)?;
        Ok((all, one))
    });
    for (role, (all, one)) in Role::ALL.into_iter().zip(opened.all()) {
        assert_eq!(all, values);
        assert_eq!(one, (role == Role::P1).then(|| values.clone()));
    }
    let inputs = share_bits(&values, 13, &mut world.rng());
    let opened = world.run::<Malicious, _, _>(inputs, |s, x| open::open_bits(s, &x));
    for planes in opened.all() {
        assert_eq!(values_of(&planes, 13, 100), values);
    }
}

fn shuffled<S: Security<Records: Audit>>(seed: u64, x: &[u64], y: &[u64]) {
    let world = World::new(seed);
    let mut rng = world.rng();
    let (x_shares, y_shares) = (share_bits(x, 64, &mut rng), share_bits(y, 9, &mut rng));
    let inputs: [(BitShares, BitShares); 3] =
        x_shares.into_iter().zip(y_shares).collect::<Vec<_>>().try_into().unwrap_or_else(|_| unreachable!());
    let out = world.run::<S, _, _>(inputs, |s, (x, y)| {
        let (rows, fields) = crate::mpc::rows::Rows::of(&[&x, &y])?;
        let rows = shuffle::shuffle(s, &rows)?;
        let all: Vec<u32> = (0..x.len as u32).collect();
        Ok(fields.into_iter().map(|field| rows.gather(field, &all).trimmed()).collect::<Vec<_>>())
    });
    let mut out = out.all().map(|columns| columns.into_iter());
    let mut column = || reconstruct_bits(&std::array::from_fn(|i| out[i].next().unwrap()));
    let mut got: Vec<(u64, u64)> = column().into_iter().zip(column()).collect();
    let mut expected: Vec<(u64, u64)> = x.iter().copied().zip(y.iter().map(|y| y & 0x1ff)).collect();
    if x.len() > 30 {
        assert_ne!(got, expected, "the order is the first one");
    }
    got.sort_unstable();
    expected.sort_unstable();
    assert_eq!(got, expected);
}

fn sorts<S: Security<Records: Audit>>(seed: u64, x: &[u64], y: &[u64], width: usize) {
    let keys: Vec<u64> = x.iter().map(|x| x & mask(width)).collect();
    let world = World::new(seed);
    let mut rng = world.rng();
    let (x_shares, y_shares) = (share_bits(&keys, width, &mut rng), share_bits(y, 64, &mut rng));
    let inputs: [(BitShares, BitShares); 3] =
        x_shares.into_iter().zip(y_shares).collect::<Vec<_>>().try_into().unwrap_or_else(|_| unreachable!());
    let ranks = [0, keys.len() / 2, keys.len() - 1];
    let out = world.run::<S, _, _>(inputs, |s, (x, y)| {
        let sorted = sort::sort(&mut s.narrow("sort"), &x, &[&y])?;
        let some = sort::select_ranks(&mut s.narrow("some"), &x, &[&y], &ranks)?;
        let of = |s: &sort::Sorted| [s.keys.trimmed(), s.columns[0].trimmed()];
        Ok([of(&sorted), of(&some)])
    });
    let out = out.all();
    let column = |k: usize, c: usize| reconstruct_bits(&std::array::from_fn(|i| out[i][k][c].clone()));
    let mut rows: Vec<(u64, u64)> = keys.iter().copied().zip(y.iter().copied()).collect();
    rows.sort_by_key(|row| row.0);
    let got: Vec<(u64, u64)> = column(0, 0).into_iter().zip(column(0, 1)).collect();
    assert_eq!(got, rows);
    let mut ranks = ranks.to_vec();
    ranks.dedup();
    let got: Vec<(u64, u64)> = column(1, 0).into_iter().zip(column(1, 1)).collect();
    assert_eq!(got, ranks.iter().map(|rank| rows[*rank]).collect::<Vec<_>>());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_shuffle_keeps_the_rows((x, y) in columns(), seed: u64) {
        in_both!(shuffled, seed, &x, &y);
    }

    #[test]
    fn sorting_is_right_and_stable((x, y) in columns(), width in 1..=64usize, seed: u64) {
        in_both!(sorts, seed, &x, &y, width);
    }
}

#[test]
fn a_node_shares_its_own_values_and_all_learn_a_coin() {
    let values: Vec<u64> = (0..70).collect();
    let out = World::new(1).run::<Malicious, _, _>([(); 3], |s, ()| {
        let known = if s.role() == Role::P1 { values.clone() } else { Vec::new() };
        let shared = input::from_node(&mut s.narrow("in"), Role::P1, &known, 70)?;
        Ok((shared, random::coin(&mut s.narrow("coin"))?))
    });
    let [a, b, c] = out.all();
    assert_eq!(reconstruct_ring(&[a.0, b.0, c.0]), values);
    assert!(a.1 == b.1 && b.1 == c.1 && a.1 != [0; 32]);
}
