//! Which of several keys is the least, as a shared mark at its place.
//!
//! - Parties: three. Inputs: shared bits of keys, `places` for each of `lines` lines, no two of a line equal. Outputs: a shared bit for
//!   each key, 1 at the least of its line. Nothing is opened.
//! - Adversary: as the conjunctions that it is made of.
//! - Places compare in groups of `GROUP`, every pair; the least of each group go on, until one is left. Rounds for each level: those
//!   of the carry of a key, 3, and from the second level on 2 more. Bytes: about 3.5 comparisons of a key for each place.
//! - Source: a tournament of comparisons, folklore; every pair of a group at once for fewer rounds.

use super::super::error::{MpcError, Result};
use super::super::security::Security;
use super::super::session::Session;
use super::super::shares::BitShares;
use super::boolean::{all_of, and};
use super::compare::bits_less;

/// Places that compare with each other at once.
const GROUP: usize = 8;

/// Marks the least key of each line; value `place * lines + line` is the key at a place of a line.
///
/// # Errors
/// When the keys are not so many for each line; when the channel fails.
pub fn least<S: Security>(session: &mut Session<'_, S>, keys: &BitShares, lines: usize) -> Result<BitShares> {
    if lines == 0 || !keys.len.is_multiple_of(lines) {
        return Err(MpcError::Lengths { what: "keys and lines", left: keys.len, right: lines });
    }
    let role = session.role();
    let places = keys.len / lines;
    let one = BitShares::zeros(1, keys.len).not(role).trimmed();
    if places <= 1 {
        return Ok(one);
    }
    // Step 1. Every pair of a group.
    let groups: Vec<std::ops::Range<usize>> =
        (0..places).step_by(GROUP).map(|start| start..places.min(start + GROUP)).collect();
    let pairs: Vec<(usize, usize)> =
        groups.iter().flat_map(|g| g.clone().flat_map(|i| (i + 1..g.end).map(move |j| (i, j)))).collect();
    let side = |of: fn(&(usize, usize)) -> usize| {
        keys.rearranged(keys.width, pairs.len() * lines, |b, v| {
            (b, of(&pairs[v / lines]) * lines + v % lines)
        })
    };
    let is_less = bits_less(&mut session.narrow("pairs"), &side(|p| p.0), &side(|p| p.1))?;
    // Step 2. The least of a group is less than all others of it.
    let others = GROUP - 1;
    let answers =
        BitShares::concat(&[&is_less, &is_less.not(role), &BitShares::zeros(1, is_less.len).not(role)])?;
    // Pairs come group after group, of which all but the last are full.
    let place_of = |group: &std::ops::Range<usize>, i: usize, j: usize| {
        let (size, i, j) = (group.len(), i - group.start, j - group.start);
        group.start / GROUP * (GROUP * (GROUP - 1) / 2) + i * (2 * size - i - 1) / 2 + (j - i - 1)
    };
    let table: Vec<Vec<(usize, usize)>> = (0..places)
        .map(|i| {
            let group = &groups[i / GROUP];
            let others = group.clone().filter(|j| *j != i);
            others.map(|j| (usize::from(j < i), place_of(group, i.min(j), i.max(j)))).collect()
        })
        .collect();
    let against = answers.rearranged(others, keys.len, |b, v| {
        let (plane, pair) = table[v / lines].get(b).copied().unwrap_or((2, 0));
        (plane, pair * lines + v % lines)
    });
    let wins = all_of(&mut session.narrow("wins"), &against)?;
    if groups.len() == 1 {
        return Ok(wins);
    }
    // Step 3. The least of the groups, and of them the least.
    let kept = and(&mut session.narrow("keep"), keys, &wins.planes_by(0, 0, keys.width))?;
    let kept = BitShares::concat(&[&kept, &BitShares::zeros(1, keys.len)])?;
    let mut winners = BitShares::zeros(keys.width, groups.len() * lines);
    for k in 0..GROUP {
        let member = kept.rearranged(keys.width, winners.len, |b, v| match groups[v / lines].start + k {
            place if place < groups[v / lines].end => (b, place * lines + v % lines),
            _ => (keys.width, 0),
        });
        winners = winners.xor(&member)?;
    }
    let above = least(&mut session.narrow("above"), &winners, lines)?;
    let above = above.rearranged(1, keys.len, |_, v| (0, v / lines / GROUP * lines + v % lines));
    and(&mut session.narrow("both"), &wins, &above)
}
