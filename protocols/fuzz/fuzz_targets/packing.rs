//! Any layout and any values: no panic, and what packs unpacks to the same values.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use ward_protocols::he::*;

static PARAMETERS: LazyLock<[Parameters; 3]> = LazyLock::new(|| {
    [
        Parameters::new(Profile::Study4096, 2).expect("parameters"),
        Parameters::new(Profile::Default8192, 10).expect("parameters"),
        Parameters::new(Profile::Bulk16384, 10).expect("parameters"),
    ]
});

fuzz_target!(|data: &[u8]| {
    let Some((&[profile, runs], mut rest)) = data.split_first_chunk::<2>() else { return };
    let params = &PARAMETERS[usize::from(profile) % 3];
    let mut list = Vec::new();
    for _ in 0..runs % 8 {
        let Some((&[width, low, high], tail)) = rest.split_first_chunk::<3>() else { break };
        list.push((u32::from(width) * 2, usize::from(low) | usize::from(high & 3) << 8));
        rest = tail;
    }
    let Ok(layout) = Layout::runs(params, &list) else { return };
    let byte = |i: usize| rest.get(i % rest.len().max(1)).copied().unwrap_or(0);
    let value = |i: usize| i128::from_le_bytes(std::array::from_fn(|k| byte(7 * i + k))) >> (byte(i) & 127);
    let values: Vec<i128> = (0..layout.slots()).map(value).collect();
    let Ok(packed) = layout.pack(&values) else { return };
    let unpacked = layout.unpack(&packed).expect("own layout");
    let mut widths = layout.as_runs().iter().flat_map(|&(width, count)| std::iter::repeat_n(width, count));
    for (value, got) in values.iter().zip(unpacked) {
        if widths.next() != Some(params.log2_t()) {
            assert_eq!(*value, got);
        }
    }
});
