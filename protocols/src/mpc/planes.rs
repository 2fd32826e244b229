//! Between words and bit planes: transposing.

/// The low `width` planes of words, `width <= 64`: bit `b` of value `j` at bit `j % 64` of word `b * words + j / 64`.
#[must_use]
pub fn planes_of(values: &[u64], width: usize) -> Vec<u64> {
    let words = values.len().div_ceil(64);
    let mut planes = vec![0; width * words];
    let mut block = [0; 64];
    for (w, chunk) in values.chunks(64).enumerate() {
        block[..chunk.len()].copy_from_slice(chunk);
        block[chunk.len()..].fill(0);
        transpose(&mut block);
        for (b, word) in block[..width.min(64)].iter().enumerate() {
            planes[b * words + w] = *word;
        }
    }
    planes
}

/// The values of `width <= 64` planes.
#[must_use]
pub fn values_of(planes: &[u64], width: usize, len: usize) -> Vec<u64> {
    let words = len.div_ceil(64);
    let mut values = vec![0; len];
    let mut block = [0; 64];
    for (w, chunk) in values.chunks_mut(64).enumerate() {
        for (b, word) in block.iter_mut().enumerate() {
            *word = if b < width { planes[b * words + w] } else { 0 };
        }
        transpose(&mut block);
        chunk.copy_from_slice(&block[..chunk.len()]);
    }
    values
}

/// Bit `j` of word `i` changes places with bit `i` of word `j` (Warren, Hacker's Delight, section 7-3).
fn transpose(block: &mut [u64; 64]) {
    let mut mask = 0x0000_0000_ffff_ffff_u64;
    let mut half = 32;
    while half > 0 {
        for pair in block.chunks_exact_mut(2 * half) {
            let (low, high) = pair.split_at_mut(half);
            for (a, b) in low.iter_mut().zip(high) {
                let swapped = ((*a >> half) ^ *b) & mask;
                *b ^= swapped;
                *a ^= swapped << half;
            }
        }
        half /= 2;
        mask ^= mask << half;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_hold_the_bits_and_give_the_values_back() {
        for len in [0, 1, 63, 64, 65, 200] {
            let values: Vec<u64> =
                (0..len as u64).map(|k| (k + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
            let words = values.len().div_ceil(64);
            for width in [0, 1, 7, 63, 64] {
                let planes = planes_of(&values, width);
                for (j, value) in values.iter().enumerate() {
                    for b in 0..width {
                        assert_eq!((planes[b * words + j / 64] >> (j % 64)) & 1, (value >> b) & 1);
                    }
                }
                let mask = if width == 64 { u64::MAX } else { (1 << width) - 1 };
                let cut: Vec<u64> = values.iter().map(|value| value & mask).collect();
                assert_eq!(values_of(&planes, width, values.len()), cut);
            }
        }
    }
}
