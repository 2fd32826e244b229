//! The synthetic cohort, synth-v1: splitmix64 counters, integer arithmetic and two tables.

use std::fmt::Write as _;

const SEED: u64 = 20_261_121;
const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

fn word(row: u64, stream: u64) -> u64 {
    let mut z = SEED.wrapping_add(GAMMA.wrapping_mul(64u64.wrapping_mul(row).wrapping_add(stream + 1)));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn uniform(row: u64, stream: u64) -> i64 {
    (word(row, stream) >> 32) as i64
}

/// Sum of twelve 16-bit numbers, centred: roughly normal.
fn normal(row: u64, stream: u64) -> i64 {
    let lanes =
        (stream..stream + 3).flat_map(|k| [0, 16, 32, 48].map(|shift| (word(row, k) >> shift) & 0xFFFF));
    lanes.sum::<u64>() as i64 - 393_210
}

fn pick(h: i64, names: [&str; 5]) -> &str {
    names[[35, 60, 80, 93].iter().filter(|limit| h >= **limit).count()]
}

/// The file of the first rows.
pub fn csv(rows: u64) -> String {
    let negative_log: Vec<i64> = (0..4096)
        .map(|k| (-(f64::from(2 * k + 1) / 8192.0).ln() * 65536.0).round_ties_even() as i64)
        .collect();
    let hazard: Vec<i64> =
        (-200..=300).map(|x| ((f64::from(x) / 100.0).exp() * 1024.0).round_ties_even() as i64).collect();
    let mut text = "id,hospital,sex,age,bmi_x10,sbp,diabetes,hba1c,smoker,treat,dx,time,event\n".to_owned();
    for i in 1..=rows {
        let h = uniform(i, 0) % 100;
        let hospital = pick(h, ["A", "B", "C", "D", "E"]);
        let site: i64 = pick(h, ["0", "4", "-6", "8", "0"]).parse().expect("a number");
        let female = uniform(i, 1) % 100 < 52;
        let age = 18 + uniform(i, 2) % 37 + uniform(i, 3) % 37;
        let bmi = 265 + ((normal(i, 4) * 48) >> 16) + ((age - 54) * 3).div_euclid(10) + site;
        let bmi = bmi.clamp(150, 600);
        let sbp =
            122 + ((normal(i, 7) * 14) >> 16) + ((age - 54) * 4).div_euclid(10) + (bmi - 265).div_euclid(20);
        let sbp = sbp.clamp(80, 240);
        let risk = (900 + 25 * (age - 54) + 8 * (bmi - 265)).clamp(50, 6000);
        let diabetes = i64::from(uniform(i, 10) % 10000 < risk);
        let raised = diabetes * (18 + ((normal(i, 14) * 9) >> 16));
        let hba1c = (37 + ((normal(i, 11) * 4) >> 16) + raised).clamp(20, 150);
        let smoker = i64::from(uniform(i, 17) % 100 < 22);
        let treat = uniform(i, 18) & 1;
        let d = uniform(i, 19) % 1000;
        let dx = match () {
            () if diabetes == 1 => "E11",
            () if sbp >= 140 => "I10",
            () if smoker == 1 && d < 150 => "J44",
            () if female && d < 20 => "C50",
            () if d < 60 => "K21",
            () => "Z00",
        };
        let eta = (4 * (age - 54) + 45 * smoker + 60 * diabetes - 35 * treat).clamp(-200, 300);
        let scale = 65536 * hazard[(eta + 200) as usize];
        let to_event = (negative_log[(uniform(i, 20) >> 20) as usize] * (2600 * 1024)).div_euclid(scale) + 1;
        let censored = 365 + uniform(i, 21) % 2557;
        let (time, event) = (to_event.min(censored), i64::from(to_event <= censored));
        let shown = |v: i64, stream: u64, percent: i64| {
            if uniform(i, stream) % 100 < percent { String::new() } else { v.to_string() }
        };
        let (bmi, hba1c) = (shown(bmi, 22, 5), shown(hba1c, 23, 8));
        let sex = if female { "F" } else { "M" };
        let _ = writeln!(
            text,
            "{i},{hospital},{sex},{age},{bmi},{sbp},{diabetes},{hba1c},{smoker},{treat},{dx},{time},{event}"
        );
    }
    text
}

#[test]
fn the_file_is_the_one_the_oracle_saw() {
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest(csv(10_000).as_bytes());
    assert_eq!(hex::encode(digest), super::world::oracle("synth_10k")["csv_sha256"]);
}
