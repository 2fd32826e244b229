//! Which comparisons a sort needs next: public bookkeeping over the opened results, without shares.
//!
//! Items are numbered in the random order in which a shuffle left them, and no two are equal. A segment of items that belong
//! to the same ranks is taken apart by pivots: a sample of it, its first items, is ordered by comparing every pair, and each other item
//! finds its place among the sample by halving. Small segments compare every pair. All segments move in the same batch.
//!
//! Against quicksort with one pivot a segment (about `1.39 n log2 n` comparisons, some 40 batches at 10,000 items), this
//! takes fewer batches, each of which costs the rounds of a comparison. When only some ranks are wanted, only pivots next to
//! them are used, and only segments that hold them go on (Floyd and Rivest, 1975).

/// Segments up to this size compare every pair, when all are sorted.
const SMALL_TO_SORT: usize = 12;

/// The same, when only some ranks are wanted: there are few segments, and rounds weigh more.
const SMALL_TO_SELECT: usize = 48;

/// A sample never has more items than this; all its pairs are compared.
const SAMPLE_MAX: usize = 127;

/// The comparisons of a sort, or of a selection of ranks.
pub struct Ranking {
    active: Vec<Segment>,
    wanted: Option<Vec<usize>>,
    ranks: Vec<Option<u32>>,
}

struct Segment {
    /// The rank of its smallest item.
    first_rank: usize,
    items: Vec<u32>,
    phase: Phase,
}

enum Phase {
    /// Every pair of the first `sample` items.
    Pairs { sample: usize },
    /// Each item after the sample lies between two pivots: the bounds are indices into `pivots`, in order.
    Halving { pivots: Vec<u32>, bounds: Vec<(u32, u32)>, rest: Vec<u32> },
}

/// Is the left item less than the right?
pub type Pair = (u32, u32);

impl Ranking {
    /// The order of all of `len` items.
    #[must_use]
    pub fn sort(len: usize) -> Self {
        Self::new(len, None)
    }

    /// The items of these ranks, from 0.
    #[must_use]
    pub fn select(len: usize, ranks: &[usize]) -> Self {
        let mut wanted: Vec<usize> = ranks.iter().copied().filter(|rank| *rank < len).collect();
        wanted.sort_unstable();
        wanted.dedup();
        Self::new(len, Some(wanted))
    }

    fn new(len: usize, wanted: Option<Vec<usize>>) -> Self {
        let mut ranking = Self { active: Vec::new(), wanted, ranks: vec![None; len] };
        ranking.push(0, (0..len as u32).collect());
        ranking
    }

    /// The comparisons of the next batch, none when all is known.
    #[must_use]
    pub fn batch(&self) -> Vec<Pair> {
        let mut pairs = Vec::new();
        for segment in &self.active {
            match &segment.phase {
                Phase::Pairs { sample } => {
                    let items = &segment.items[..*sample];
                    for (k, left) in items.iter().enumerate() {
                        pairs.extend(items[k + 1..].iter().map(|right| (*left, *right)));
                    }
                }
                Phase::Halving { pivots, bounds, rest } => {
                    for (item, (low, high)) in rest.iter().zip(bounds) {
                        pairs.extend(pivots[self.probes(*low, *high)].iter().map(|pivot| (*item, *pivot)));
                    }
                }
            }
        }
        pairs
    }

    /// Takes the results of the batch, in its order.
    pub fn learn(&mut self, mut is_less: impl Iterator<Item = bool>) {
        let mut next = || is_less.next().unwrap_or(false);
        for segment in std::mem::take(&mut self.active) {
            let Segment { first_rank, items, phase } = segment;
            match phase {
                Phase::Pairs { sample } => {
                    let order = order_of(&items[..sample], &mut next);
                    if sample == items.len() {
                        for (k, item) in order.iter().enumerate() {
                            self.ranks[*item as usize] = Some((first_rank + k) as u32);
                        }
                        continue;
                    }
                    let pivots = self.pivots(first_rank, items.len(), &order);
                    let is_pivot = |item: &u32| pivots.contains(item);
                    let rest: Vec<u32> = items.iter().copied().filter(|item| !is_pivot(item)).collect();
                    let bounds = vec![(0, pivots.len() as u32); rest.len()];
                    let phase = Phase::Halving { pivots, bounds, rest };
                    self.active.push(Segment { first_rank, items, phase });
                }
                Phase::Halving { pivots, mut bounds, rest } => {
                    for (low, high) in &mut bounds {
                        let probes = self.probes(*low, *high);
                        let above = probes.clone().filter(|_| !next()).count();
                        (*low, *high) = match (probes.len(), above) {
                            (0, _) => (*low, *high),
                            (1, 0) => (*low, probes.start as u32),
                            (1, _) => (probes.end as u32, *high),
                            (_, above) => (*low + above as u32, *low + above as u32),
                        };
                    }
                    if bounds.iter().any(|(low, high)| low < high) {
                        let phase = Phase::Halving { pivots, bounds, rest };
                        self.active.push(Segment { first_rank, items, phase });
                    } else {
                        self.split(first_rank, &pivots, &bounds, &rest);
                    }
                }
            }
        }
    }

    /// The rank of each item, where it is known.
    #[must_use]
    pub fn ranks(&self) -> &[Option<u32>] {
        &self.ranks
    }

    /// The item of each wanted rank, or of all, in the order of ranks; those not known yet are left out.
    #[must_use]
    pub fn items(&self) -> Vec<u32> {
        let is_wanted = |rank: u32| self.wanted.as_ref().is_none_or(|w| w.contains(&(rank as usize)));
        let known = self
            .ranks
            .iter()
            .enumerate()
            .filter_map(|(item, rank)| Some((rank.filter(|r| is_wanted(*r))?, item)));
        let mut known: Vec<(u32, usize)> = known.collect();
        known.sort_unstable();
        known.into_iter().map(|(_, item)| item as u32).collect()
    }

    /// The pivots that an item between two bounds is compared with: the middle one; all of the few that a selection has.
    fn probes(&self, low: u32, high: u32) -> std::ops::Range<usize> {
        let (low, high) = (low as usize, high as usize);
        if low >= high || self.wanted.is_some() {
            return low..high;
        }
        let middle = (low + high) / 2;
        middle..middle + 1
    }

    fn push(&mut self, first_rank: usize, items: Vec<u32>) {
        let range = first_rank..first_rank + items.len();
        if self.wanted.as_ref().is_some_and(|wanted| !wanted.iter().any(|rank| range.contains(rank))) {
            return;
        }
        match items.as_slice() {
            [] => {}
            [item] => self.ranks[*item as usize] = Some(first_rank as u32),
            _ => {
                let small = if self.wanted.is_some() { SMALL_TO_SELECT } else { SMALL_TO_SORT };
                let sample = sample_of(items.len(), small);
                self.active.push(Segment { first_rank, items, phase: Phase::Pairs { sample } });
            }
        }
    }

    /// Of an ordered sample, the pivots: all of it, or those around the places where wanted ranks are to be expected.
    fn pivots(&self, first_rank: usize, len: usize, order: &[u32]) -> Vec<u32> {
        let Some(wanted) = &self.wanted else { return order.to_vec() };
        let sample = order.len();
        // The rank of a pivot varies by half a root of the sample, about: that much on either side.
        let margin = (sample as f64).sqrt() / 2.0;
        let mut is_kept = vec![false; sample];
        for rank in wanted.iter().filter(|rank| (first_rank..first_rank + len).contains(*rank)) {
            let place = (rank - first_rank) as f64 / len as f64 * sample as f64;
            let low = place - margin;
            if low >= 0.0 {
                is_kept[(low as usize).min(sample - 1)] = true;
            }
            let high = place + margin;
            if high < sample as f64 {
                is_kept[high as usize] = true;
            }
        }
        if !is_kept.contains(&true) {
            is_kept[sample / 2] = true;
        }
        order.iter().zip(is_kept).filter(|(_, is_kept)| *is_kept).map(|(item, _)| *item).collect()
    }

    fn split(&mut self, first_rank: usize, pivots: &[u32], bounds: &[(u32, u32)], rest: &[u32]) {
        let mut parts = vec![Vec::new(); pivots.len() + 1];
        for (item, (place, _)) in rest.iter().zip(bounds) {
            parts[*place as usize].push(*item);
        }
        let mut rank = first_rank;
        for (k, part) in parts.into_iter().enumerate() {
            let len = part.len();
            self.push(rank, part);
            rank += len;
            if let Some(pivot) = pivots.get(k) {
                self.ranks[*pivot as usize] = Some(rank as u32);
                rank += 1;
            }
        }
    }
}

/// How many items of a segment are compared pairwise: all of a small one, else `2^t - 1` of them with at most half as many
/// pairs as the segment has items.
fn sample_of(len: usize, small: usize) -> usize {
    if len <= small {
        return len;
    }
    let mut sample = 3;
    while 2 * sample < SAMPLE_MAX && (2 * sample + 1) * sample <= len / 2 {
        sample = 2 * sample + 1;
    }
    sample
}

/// Items in order, by the results for every pair of them.
fn order_of(items: &[u32], next: &mut impl FnMut() -> bool) -> Vec<u32> {
    let mut rank = vec![0usize; items.len()];
    for left in 0..items.len() {
        for right in left + 1..items.len() {
            rank[if next() { right } else { left }] += 1;
        }
    }
    // Results that are no order (of a session that fails its check later) must not panic here.
    let mut order: Vec<(usize, u32)> = rank.into_iter().zip(items.iter().copied()).collect();
    order.sort_unstable();
    order.into_iter().map(|(_, item)| item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_core::{Rng, SeedableRng};

    fn shuffled(len: usize, seed: u64) -> Vec<u64> {
        let mut rng = chacha20::ChaCha20Rng::seed_from_u64(seed);
        let mut values: Vec<u64> = (0..len as u64).map(|k| 10 * k).collect();
        for k in (1..len).rev() {
            values.swap(k, (rng.next_u64() % (k as u64 + 1)) as usize);
        }
        values
    }

    fn run(values: &[u64], mut ranking: Ranking) -> (Ranking, usize, usize) {
        let (mut compared, mut batches) = (0, 0);
        loop {
            let batch = ranking.batch();
            if batch.is_empty() {
                return (ranking, compared, batches);
            }
            compared += batch.len();
            batches += 1;
            let results: Vec<bool> =
                batch.iter().map(|(l, r)| values[*l as usize] < values[*r as usize]).collect();
            ranking.learn(results.into_iter());
        }
    }

    #[test]
    fn every_length_is_sorted() {
        for len in (0..130).chain([1_000, 1_023]) {
            for seed in 0..3 {
                let values = shuffled(len, seed);
                let (ranking, _, _) = run(&values, Ranking::sort(len));
                let ranks: Vec<u64> =
                    ranking.ranks().iter().map(|rank| 10 * u64::from(rank.unwrap())).collect();
                assert_eq!(ranks, values);
                let sorted: Vec<u64> = ranking.items().iter().map(|item| values[*item as usize]).collect();
                assert!(sorted.is_sorted() && sorted.len() == len);
            }
        }
    }

    #[test]
    fn ten_thousand_items_take_fewer_batches_than_quicksort() {
        let values = shuffled(10_000, 4);
        let (_, compared, batches) = run(&values, Ranking::sort(10_000));
        assert!(compared < 175_000, "{compared} comparisons");
        assert!(batches < 30, "{batches} batches");
    }

    #[test]
    fn ranks_are_found_with_few_comparisons() {
        for seed in 0..10 {
            let values = shuffled(10_000, seed);
            let (ranking, compared, batches) = run(&values, Ranking::select(10_000, &[4_999, 5_000]));
            let found: Vec<u64> = ranking.items().iter().map(|item| values[*item as usize]).collect();
            assert_eq!(found, [49_990, 50_000]);
            assert!(compared < 45_000 && batches < 16, "{compared} comparisons in {batches} batches");
        }
        for ranks in [vec![], vec![0], vec![99], vec![0, 33, 50, 51, 99], vec![7, 100]] {
            let values = shuffled(100, 3);
            let (ranking, _, _) = run(&values, Ranking::select(100, &ranks));
            let found: Vec<u64> = ranking.items().iter().map(|item| values[*item as usize]).collect();
            let expected: Vec<u64> = ranks.iter().filter(|r| **r < 100).map(|r| 10 * *r as u64).collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn results_that_are_no_order_end() {
        let mut rng = chacha20::ChaCha20Rng::seed_from_u64(9);
        let mut ranking = Ranking::sort(500);
        for batch in 0.. {
            let pairs = ranking.batch();
            if pairs.is_empty() {
                break;
            }
            assert!(batch < 2_000);
            let results: Vec<bool> = pairs.iter().map(|_| rng.next_u64() & 1 == 1).collect();
            ranking.learn(results.into_iter());
        }
    }
}
