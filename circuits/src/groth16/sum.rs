//! Sums of points, each times its scalar.
//!
//! Sources: Pippenger's buckets, as in Bernstein, Doumen, Lange, Oosterwijk, "Faster Batch Forgery Identification",
//! INDOCRYPT 2012 (eprint 2012/549), section 4; signed windows of Booth, 1951; short parts by endomorphisms
//! ([`Summand`]), whose base |z|^2 or |z| makes the parts plain digits, since r < z^4; shared inversions of Montgomery,
//! Mathematics of Computation 48, 1987, section 10.3.1.
//!
//! A window sorts the points by digit and adds neighbours in pairs, all pairs of a few thousand points with one
//! inversion, until each digit has one point: six products for an addition, where mixed coordinates take ten.
//! Digits are written as two of half the length, so that what is left to be added one after the other is short.
//!
//! # Security
//! Variable time and memory in the scalars, as proving is. Scalars and the order of the points are wiped.

use rayon::prelude::*;
use ward_math::Secret;

use super::curve::{Coordinate, Summand, prefetch};

/// The parameter z of the curve, without its sign.
const Z: u64 = 0xd201_0000_0001_0000;

/// Points that are added with one inversion, about: their coordinates stay in the second cache.
const GROUP: u32 = 2048;

/// How many points ahead memory is asked for.
const AHEAD: usize = 16;

/// Bits of a window at most.
const WIDTH_MAX: usize = 14;

/// The sum of points, each times its scalar (32 bytes, little-endian, below the modulus), over the threads of rayon.
pub(super) fn sum<P: Summand>(points: &[P], scalars: &[u8]) -> P {
    let summands = Summands::new(points, scalars);
    let windows = (0..summands.windows()).into_par_iter().with_max_len(1);
    summands.fold(&windows.map(|window| summands.window(window)).collect::<Vec<_>>())
}

/// Points and the parts of their scalars, those that are not zero.
struct Summands<P> {
    points: Vec<P>,
    parts: Secret<Vec<u128>>,
    width: usize,
}

impl<P: Summand> Summands<P> {
    /// Points with their scalars, 32 bytes each, little-endian, below the modulus.
    fn new(points: &[P], scalars: &[u8]) -> Self {
        let (scalars, _) = scalars.as_chunks::<32>();
        let count = points.len().min(scalars.len());
        let mut summands = Vec::with_capacity(P::PARTS * count);
        let mut parts = Secret::new(Vec::with_capacity(P::PARTS * count));
        for (point, scalar) in points.iter().zip(scalars) {
            if *scalar == [0; 32] || is_infinity(point) {
                continue;
            }
            let mut image = *point;
            for (at, part) in parts_of::<P>(scalar).into_iter().enumerate() {
                if at > 0 {
                    image = image.image();
                }
                if part != 0 {
                    summands.push(image);
                    parts.expose_mut().push(part);
                }
            }
        }
        let width = width(summands.len(), P::PART_BITS);
        Self { points: summands, parts, width }
    }

    /// Windows of the scalars.
    fn windows(&self) -> usize {
        windows(P::PART_BITS, self.width)
    }

    /// The sum over one window of the scalars, on this thread.
    fn window(&self, window: usize) -> P::Sum {
        let parts = self.parts.expose().iter();
        let digits: Secret<Vec<i16>> =
            Secret::new(parts.map(|part| digit(*part, window, self.width)).collect());
        let mut ends = Secret::new(vec![0u32; (1 << (self.width - 1)) + 1]);
        let mut order = Secret::new(vec![0u32; digits.expose().len()]);
        sort(digits.expose(), ends.expose_mut(), order.expose_mut());
        let buckets = group_sums(&self.points, order.expose(), ends.expose());
        weighted(&buckets, self.width / 2)
    }

    /// The sum, of the windows' sums.
    fn fold(&self, windows: &[P::Sum]) -> P {
        let mut sum = P::Sum::default();
        for window in windows.iter().rev() {
            for _ in 0..self.width {
                P::double(&mut sum);
            }
            P::join(&mut sum, window);
        }
        P::settle(&sum)
    }
}

fn is_infinity<P: Summand>(point: &P) -> bool {
    point.x().is_zero() && point.y().is_zero()
}

/// Digits of a scalar to the base |z|, joined to as many parts as the group has.
fn parts_of<P: Summand>(scalar: &[u8; 32]) -> Vec<u128> {
    let mut rest = [0u64; 4];
    for (limb, chunk) in rest.iter_mut().zip(scalar.as_chunks::<8>().0) {
        *limb = u64::from_le_bytes(*chunk);
    }
    let digits: [u128; 4] = std::array::from_fn(|_| {
        let mut remainder = 0u128;
        for limb in rest.iter_mut().rev().skip_while(|limb| **limb == 0) {
            let value = remainder << 64 | u128::from(*limb);
            *limb = (value / u128::from(Z)) as u64;
            remainder = value % u128::from(Z);
        }
        remainder
    });
    let joined = digits.chunks(4 / P::PARTS);
    joined.map(|digits| digits.iter().rev().fold(0, |part, digit| part * u128::from(Z) + digit)).collect()
}

/// Windows of so many bits that hold a signed number.
fn windows(bits: usize, width: usize) -> usize {
    (bits + 1).div_ceil(width)
}

/// The width that takes the fewest additions: a window adds each point once and each digit's sum twice.
fn width(points: usize, bits: usize) -> usize {
    let additions = |width: &usize| windows(bits, *width) * (points + (1 << width));
    (2..=WIDTH_MAX).min_by_key(additions).unwrap_or(WIDTH_MAX)
}

/// A signed digit: the bits of the window and the one below it, in Booth's recoding.
fn digit(part: u128, window: usize, width: usize) -> i16 {
    let low = window * width;
    let bits = if low == 0 { part << 1 } else { part >> (low - 1) };
    let bits = (bits as u32) & ((2 << width) - 1);
    let value = (bits + 1) as i32 >> 1;
    (value - ((bits >> width) as i32) * (1 << width)) as i16
}

/// Sorts by the digit's absolute value: writes twice the number of each point, plus one for a negative digit, to the
/// front of `order`, and where each value ends. Zeros are left out.
fn sort(digits: &[i16], ends: &mut [u32], order: &mut Vec<u32>) {
    for digit in digits {
        ends[usize::from(digit.unsigned_abs())] += 1;
    }
    ends[0] = 0;
    let mut start = 0;
    for end in ends.iter_mut() {
        start += std::mem::replace(end, start);
    }
    for (at, digit) in digits.iter().enumerate().filter(|(_, digit)| **digit != 0) {
        let place = &mut ends[usize::from(digit.unsigned_abs())];
        order[*place as usize] = (at as u32) << 1 | u32::from(*digit < 0);
        *place += 1;
    }
    order.truncate(start as usize);
}

/// The sum of each group of points; `order` and `ends` as [`sort`] writes them. Infinity for an empty group.
fn group_sums<P: Summand>(points: &[P], order: &[u32], ends: &[u32]) -> Vec<P> {
    let mut sums = vec![P::default(); ends.len()];
    let mut pairs = Pairs::default();
    let (mut first, mut start) = (0, 0);
    while first < ends.len() {
        let few = ends[first..].iter().take_while(|end| **end - start <= GROUP).count();
        let last = first + few.max(1);
        let end = ends[last - 1];
        pairs.load(points, &order[start as usize..end as usize]);
        pairs.counts.clear();
        let mut from = start;
        pairs.counts.extend(ends[first..last].iter().map(|end| *end - std::mem::replace(&mut from, *end)));
        while pairs.halve() {}
        let mut left = pairs.points.iter();
        for (sum, count) in sums[first..last].iter_mut().zip(&pairs.counts) {
            if *count > 0 {
                *sum = left.next().copied().unwrap_or_default();
            }
        }
        (first, start) = (last, end);
    }
    sums
}

/// How an output comes about.
#[derive(Clone, Copy, PartialEq)]
enum Step {
    /// One point is left over.
    Single,
    /// Two points with different first coordinates.
    Pair,
    /// Two points, one of them at infinity, or with the same first coordinate.
    Special,
}

/// Points in groups, one group behind the other, that are added in pairs.
struct Pairs<P: Summand> {
    points: Vec<P>,
    counts: Vec<u32>,
    /// For each output its first input.
    steps: Vec<(u32, Step)>,
    /// What is inverted for each pair.
    divisors: Vec<P::Coordinate>,
    /// For each pair the product of its divisor and those behind it; at the end one.
    products: Vec<P::Coordinate>,
}

impl<P: Summand> Default for Pairs<P> {
    fn default() -> Self {
        Self {
            points: Vec::new(),
            counts: Vec::new(),
            steps: Vec::new(),
            divisors: Vec::new(),
            products: Vec::new(),
        }
    }
}

impl<P: Summand> Pairs<P> {
    fn load(&mut self, points: &[P], order: &[u32]) {
        self.points.clear();
        self.points.extend(order.iter().enumerate().map(|(at, entry)| {
            if let Some(ahead) = order.get(at + AHEAD) {
                prefetch(&points[(ahead >> 1) as usize]);
            }
            let point = &points[(entry >> 1) as usize];
            if entry & 1 == 0 { *point } else { negated(point) }
        }));
    }

    /// Adds the points of each group in pairs; says whether there was any.
    fn halve(&mut self) -> bool {
        self.steps.clear();
        let mut at = 0;
        for count in &mut self.counts {
            self.steps.extend((0..*count / 2).map(|pair| (at + 2 * pair, Step::Pair)));
            if *count % 2 == 1 {
                self.steps.push((at + *count - 1, Step::Single));
            }
            at += *count;
            *count = count.div_ceil(2);
        }
        if self.steps.len() == at as usize {
            return false;
        }
        self.divide(at as usize - self.steps.len());
        let mut running = self.products[0].inverse();
        let (mut inverse, mut pair) = (P::Coordinate::default(), 0);
        for (to, &(from, step)) in self.steps.iter().enumerate() {
            let (done, left) = self.points.split_at_mut(from as usize);
            let (out, p, q) = match (done.get_mut(to), left) {
                (Some(out), [p, q, ..]) if step != Step::Single => (out, *p, q),
                (None, [p, q, ..]) if step != Step::Single => {
                    let first = *p;
                    (p, first, q)
                }
                (Some(out), [p, ..]) => {
                    *out = *p;
                    continue;
                }
                _ => continue,
            };
            inverse.set_product(&running, &self.products[pair + 1]);
            running.multiply(&self.divisors[pair]);
            pair += 1;
            if step == Step::Pair { add(out, &p, q, &inverse) } else { *out = special(&p, q, &inverse) }
        }
        self.points.truncate(self.steps.len());
        true
    }

    /// Fills the divisors and products of so many pairs.
    fn divide(&mut self, pairs: usize) {
        self.divisors.resize(pairs, P::Coordinate::default());
        self.products.resize(pairs + 1, P::Coordinate::default());
        self.products[pairs] = P::Coordinate::one();
        let mut pair = pairs;
        for (from, step) in self.steps.iter_mut().rev().filter(|(_, step)| *step == Step::Pair) {
            pair -= 1;
            let from = *from as usize;
            let (p, q) = (&self.points[from], &self.points[from + 1]);
            let divisor = &mut self.divisors[pair];
            divisor.set_difference(q.x(), p.x());
            if divisor.is_zero() || is_infinity(p) || is_infinity(q) {
                *step = Step::Special;
                *divisor = special_divisor(p, q);
            }
            let (before, behind) = self.products.split_at_mut(pair + 1);
            before[pair].set_product(&behind[0], divisor);
        }
    }
}

fn negated<P: Summand>(point: &P) -> P {
    let mut negated = *point;
    negated.coordinates().1.set_difference(&P::Coordinate::default(), point.y());
    negated
}

/// The sum of two points, by the inverse of the difference of their first coordinates. Results go where they stay:
/// to copy what was just written by words waits for the writes.
#[inline]
fn add<P: Summand>(out: &mut P, p: &P, q: &P, inverse: &P::Coordinate) {
    let (mut difference, mut slope) = (P::Coordinate::default(), P::Coordinate::default());
    difference.set_difference(q.y(), p.y());
    slope.set_product(&difference, inverse);
    through(out, p, q.x(), &slope);
}

/// The third point of a line through two, with the sign of its second coordinate changed.
#[inline]
fn through<P: Summand>(out: &mut P, p: &P, q_x: &P::Coordinate, slope: &P::Coordinate) {
    let (x, y) = out.coordinates();
    let mut square = P::Coordinate::default();
    square.set_square(slope);
    let mut rest = P::Coordinate::default();
    rest.set_difference(&square, p.x());
    x.set_difference(&rest, q_x);
    rest.set_difference(p.x(), x);
    square.set_product(slope, &rest);
    y.set_difference(&square, p.y());
}

/// What a special sum divides by: twice the second coordinate where the points are one, elsewhere one.
fn special_divisor<P: Summand>(p: &P, q: &P) -> P::Coordinate {
    if is_infinity(p) || p.x() != q.x() || p.y() != q.y() { P::Coordinate::one() } else { p.y().doubled() }
}

fn special<P: Summand>(p: &P, q: &P, inverse: &P::Coordinate) -> P {
    if is_infinity(p) {
        *q
    } else if is_infinity(q) {
        *p
    } else if p.y() == q.y() {
        let (mut square, mut slope) = (P::Coordinate::default(), P::Coordinate::default());
        square.set_square(p.x());
        // Three squares: two, less minus one.
        let mut negative = P::Coordinate::default();
        negative.set_difference(&P::Coordinate::default(), &square);
        let mut three = P::Coordinate::default();
        three.set_difference(&square.doubled(), &negative);
        slope.set_product(&three, inverse);
        let mut sum = P::default();
        through(&mut sum, p, q.x(), &slope);
        sum
    } else {
        P::default()
    }
}

/// The sum of the points, each times its index: by rows and columns of a table with `2^low` columns.
fn weighted<P: Summand>(points: &[P], low: usize) -> P::Sum {
    let columns = 1 << low;
    let rows = points.len().div_ceil(columns);
    let sums_of = |groups: usize, of: &dyn Fn(usize) -> Vec<usize>| {
        let (mut order, mut ends) = (Vec::with_capacity(points.len()), Vec::with_capacity(groups));
        for group in 0..groups {
            let present = of(group).into_iter().filter(|at| points.get(*at).is_some_and(|p| !is_infinity(p)));
            order.extend(present.map(|at| (at as u32) << 1));
            ends.push(order.len() as u32);
        }
        staircase(&group_sums(points, &order, &ends))
    };
    let mut sum = sums_of(rows, &|row| (columns * row..columns * (row + 1)).collect());
    for _ in 0..low {
        P::double(&mut sum);
    }
    let of_columns = sums_of(columns, &|column| (0..rows).map(|row| columns * row + column).collect());
    P::join(&mut sum, &of_columns);
    sum
}

/// The sum of the points, each times its index, one after the other.
fn staircase<P: Summand>(points: &[P]) -> P::Sum {
    let (mut running, mut sum) = (P::Sum::default(), P::Sum::default());
    for point in points.iter().skip(1).rev() {
        P::join_point(&mut running, point);
        P::join(&mut sum, &running);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::super::curve::{G1, G2, Group, scalar_bytes};
    use super::*;
    use crate::field::Element;
    use ark_ec::{CurveGroup, PrimeGroup, VariableBaseMSM};
    use ark_ff::{AdditiveGroup, Field, PrimeField};
    use proptest::prelude::*;

    /// The sum here is that of arkworks.
    fn assert_sum<P: Summand>(multiples: &[u64], scalars: &[Element])
    where
        <P::Ark as ark_ec::AffineRepr>::Group: VariableBaseMSM<MulBase = P::Ark>,
    {
        let generator = <P::Ark as ark_ec::AffineRepr>::Group::generator();
        let points: Vec<P::Ark> =
            multiples.iter().map(|multiple| (generator * Element::from(*multiple)).into_affine()).collect();
        let expected = VariableBaseMSM::msm(&points, scalars);
        let expected: <P::Ark as ark_ec::AffineRepr>::Group = expected.expect("as many points as scalars");
        let bytes: Vec<u8> = scalars.iter().flat_map(scalar_bytes).collect();
        let points: Vec<P> = points.iter().map(P::from_ark).collect();
        assert_eq!(sum(&points, &bytes).to_ark(), expected.into_affine());
    }

    #[test]
    fn a_sum_is_that_of_arkworks_with_zeros_ones_infinity_repetitions_and_opposites() {
        let multiples: Vec<u64> = (0..3000).map(|at| at % 7).collect();
        let scalars: Vec<Element> =
            (0..3000u64).map(|at| Element::from(at % 5) * -Element::from(at)).collect();
        assert_sum::<G1>(&multiples, &scalars);
        assert_sum::<G2>(&multiples[..300], &scalars[..300]);
        assert!(sum::<G1>(&[], &[]).is_infinity());
        let half = [Element::from(5u64), -Element::from(5u64)];
        assert_sum::<G1>(&[3, 3], &half);
        assert_sum::<G2>(&[3, 3, 0], &[half[0], half[1], half[0]]);
        assert_sum::<G1>(&[1; 100], &[Element::from(1u64); 100]);
    }

    #[test]
    fn the_image_of_a_point_is_the_point_times_the_base_of_the_parts() {
        let z = Element::from(Z);
        let (p, q) =
            (G1::from_ark(&ark_ec::AffineRepr::generator()), G2::from_ark(&ark_ec::AffineRepr::generator()));
        assert_eq!(p.image(), p.times(&z.square()));
        assert_eq!(q.image(), q.times(&z));
    }

    #[test]
    fn parts_and_digits_make_up_the_scalar_at_the_edges_of_their_ranges() {
        let z = Element::from(Z);
        let edges = [Element::ZERO, z, z - Element::from(1u64), z.square(), z * z * z, -Element::from(1u64)];
        for edge in edges.into_iter().flat_map(|edge| [edge, edge + Element::from(1u64), -edge]) {
            assert_parts(edge);
        }
    }

    fn assert_parts(scalar: Element) {
        let base = Element::from(Z).square();
        let parts = parts_of::<G1>(&scalar_bytes(&scalar));
        assert_eq!(Element::from(parts[0]) + base * Element::from(parts[1]), scalar);
        for width in 2..=WIDTH_MAX {
            for part in &parts {
                let mut value = Element::ZERO;
                for window in (0..windows(G1::PART_BITS, width)).rev() {
                    let digit = digit(*part, window, width);
                    assert!(digit.unsigned_abs() <= 1 << (width - 1));
                    value = value * Element::from(1u64 << width) + Element::from(digit);
                }
                assert_eq!(value, Element::from(*part));
            }
        }
        let parts = parts_of::<G2>(&scalar_bytes(&scalar));
        assert!(parts.iter().all(|part| *part < u128::from(Z)));
        let sum =
            parts.iter().rev().fold(Element::ZERO, |sum, part| sum * Element::from(Z) + Element::from(*part));
        assert_eq!(sum, scalar);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn any_sum_is_that_of_arkworks(terms in prop::collection::vec((0u64..9, any::<[u64; 4]>(), 0u32..256), 1..80)) {
            let (multiples, scalars): (Vec<u64>, Vec<Element>) = terms
                .iter()
                .map(|(multiple, limbs, bits)| {
                    let mut bytes: Vec<u8> = limbs.iter().flat_map(|limb| limb.to_le_bytes()).collect();
                    bytes.truncate(*bits as usize / 8);
                    (*multiple, Element::from_le_bytes_mod_order(&bytes))
                })
                .unzip();
            scalars.iter().for_each(|scalar| assert_parts(*scalar));
            assert_sum::<G1>(&multiples, &scalars);
            assert_sum::<G2>(&multiples, &scalars);
        }
    }
}
