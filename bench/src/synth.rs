//! `synth-v1`: a synthetic cohort, the same bytes in every language.
//!
//! Row `i` (from 1) depends on the seed and `i` alone. All randomness is
//! `w(i, k) = finalise(seed + GAMMA * (64 i + k + 1)) mod 2^64` with the finaliser of splitmix64; everything
//! after it is integer arithmetic (`/` rounds down, `>>` is arithmetic) and two tables.

use std::io::{self, Write};
use std::ops::RangeInclusive;

/// The seed of the published data set.
pub const SEED: u64 = 20_261_121;

/// The columns, in order.
pub const HEADER: &str = "id,hospital,sex,age,bmi_x10,sbp,diabetes,hba1c,smoker,treat,dx,time,event";

const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;
const HR_MIN: i64 = -200;
const HR_MAX: i64 = 300;

/// One person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Number, from 1.
    pub id: u64,
    /// `A` to `E`: who holds the row.
    pub hospital: char,
    /// `F` or `M`.
    pub sex: char,
    /// Years, 18 to 90.
    pub age: i64,
    /// Ten times the body mass index in kg/m2, 150 to 600; 5% missing.
    pub bmi_x10: Option<i64>,
    /// Systolic blood pressure in mmHg, 80 to 240.
    pub sbp: i64,
    /// 1 with diabetes.
    pub diabetes: i64,
    /// HbA1c in mmol/mol, 20 to 150; 8% missing.
    pub hba1c: Option<i64>,
    /// 1 for a smoker.
    pub smoker: i64,
    /// 1 for the treated arm.
    pub treat: i64,
    /// Main diagnosis, ICD-10: `E11`, `I10`, `J44`, `C50`, `K21` or `Z00`.
    pub dx: &'static str,
    /// Days to the event or the end of follow-up, at least 1.
    pub time: i64,
    /// 1 for an event.
    pub event: i64,
}

/// The cohort of one seed.
#[derive(Clone, Debug)]
pub struct Cohort {
    seed: u64,
    /// `neg_log[k] = round(-ln((k + 1/2) / 4096) * 65536)`, k in 0..4096.
    neg_log: Vec<i64>,
    /// `hazard[x + 200] = round(1024 * exp(x / 100))`, x in -200..=300.
    hazard: Vec<i64>,
}

impl Cohort {
    /// The cohort of `seed` ([`SEED`] is the published one).
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, neg_log: neg_log().map(round).collect(), hazard: hazard().map(round).collect() }
    }

    /// Person `id`, from 1.
    #[must_use]
    pub fn row(&self, id: u64) -> Row {
        let draw = Draw { seed: self.seed, id };
        let (hospital, shift) = match draw.below(0, 100) {
            0..35 => ('A', 0),
            35..60 => ('B', 4),
            60..80 => ('C', -6),
            80..93 => ('D', 8),
            _ => ('E', 0),
        };
        let female = draw.below(1, 100) < 52;
        let age = 18 + draw.below(2, 37) + draw.below(3, 37);
        let bmi = 265 + ((draw.normal(4) * 48) >> 16) + ((age - 54) * 3).div_euclid(10) + shift;
        let bmi = bmi.clamp(150, 600);
        let sbp = 122
            + ((draw.normal(7) * 14) >> 16)
            + ((age - 54) * 4).div_euclid(10)
            + (bmi - 265).div_euclid(20);
        let sbp = sbp.clamp(80, 240);
        let risk = (900 + 25 * (age - 54) + 8 * (bmi - 265)).clamp(50, 6000);
        let diabetes = i64::from(draw.below(10, 10_000) < risk);
        let hba1c = 37 + ((draw.normal(11) * 4) >> 16) + diabetes * (18 + ((draw.normal(14) * 9) >> 16));
        let smoker = i64::from(draw.below(17, 100) < 22);
        let treat = draw.below(18, 2);
        let dx = match draw.below(19, 1000) {
            _ if diabetes == 1 => "E11",
            _ if sbp >= 140 => "I10",
            d if smoker == 1 && d < 150 => "J44",
            d if female && d < 20 => "C50",
            d if d < 60 => "K21",
            _ => "Z00",
        };
        let eta = (4 * (age - 54) + 45 * smoker + 60 * diabetes - 35 * treat).clamp(HR_MIN, HR_MAX);
        let (time, event) = self.follow_up(&draw, eta);
        Row {
            id,
            hospital,
            sex: if female { 'F' } else { 'M' },
            age,
            bmi_x10: (draw.below(22, 100) >= 5).then_some(bmi),
            sbp,
            diabetes,
            hba1c: (draw.below(23, 100) >= 8).then_some(hba1c.clamp(20, 150)),
            smoker,
            treat,
            dx,
            time,
            event,
        }
    }

    /// Time in days and whether it ends in an event, at the logarithmic hazard ratio `eta / 100`.
    fn follow_up(&self, draw: &Draw, eta: i64) -> (i64, i64) {
        let exponential = self.neg_log[(draw.high(20) >> 20) as usize];
        let hazard = self.hazard[(eta - HR_MIN) as usize];
        let onset = exponential * (2600 * 1024) / (65_536 * hazard) + 1;
        let censored = 365 + draw.below(21, 2557);
        (onset.min(censored), i64::from(onset <= censored))
    }

    /// Writes the header and the rows of `ids` that `keep` accepts; a missing value is empty.
    ///
    /// # Errors
    /// What `out` says.
    pub fn write_csv(
        &self,
        out: &mut impl Write,
        ids: RangeInclusive<u64>,
        keep: impl Fn(&Row) -> bool,
    ) -> io::Result<()> {
        let text = |value: Option<i64>| value.map(|v| v.to_string()).unwrap_or_default();
        writeln!(out, "{HEADER}")?;
        for row in ids.map(|id| self.row(id)).filter(keep) {
            let Row { id, hospital, sex, age, sbp, diabetes, smoker, treat, dx, time, event, .. } = row;
            let (bmi, hba1c) = (text(row.bmi_x10), text(row.hba1c));
            writeln!(
                out,
                "{id},{hospital},{sex},{age},{bmi},{sbp},{diabetes},{hba1c},{smoker},{treat},{dx},{time},{event}"
            )?;
        }
        Ok(())
    }
}

/// The random words of one row.
struct Draw {
    seed: u64,
    id: u64,
}

impl Draw {
    /// Word `k`, uniform on 64 bits.
    fn word(&self, k: u64) -> u64 {
        let index = self.id.wrapping_mul(64).wrapping_add(k + 1);
        let mut z = self.seed.wrapping_add(GAMMA.wrapping_mul(index));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// The upper 32 bits of word `k`.
    fn high(&self, k: u64) -> u64 {
        self.word(k) >> 32
    }

    /// The upper 32 bits of word `k` modulo `bound`.
    fn below(&self, k: u64, bound: u64) -> i64 {
        (self.high(k) % bound) as i64
    }

    /// The twelve 16-bit lanes of words `k`, `k + 1`, `k + 2`, summed and centred: mean 0, standard deviation
    /// 65,536 (Irwin-Hall).
    fn normal(&self, k: u64) -> i64 {
        let lanes = |word: u64| (0..4).map(move |lane| ((word >> (16 * lane)) & 0xFFFF) as i64);
        (k..k + 3).flat_map(|j| lanes(self.word(j))).sum::<i64>() - 393_210
    }
}

/// The unrounded entries of `neg_log`.
fn neg_log() -> impl Iterator<Item = f64> {
    (0..4096).map(|k| -(f64::from(2 * k + 1) / 8192.0).ln() * 65_536.0)
}

/// The unrounded entries of `hazard`.
fn hazard() -> impl Iterator<Item = f64> {
    (HR_MIN..=HR_MAX).map(|x| (x as f64 / 100.0).exp() * 1024.0)
}

/// The nearest integer. Every mathematics library gives the same: no entry lies within 10^-5 of a half, and
/// the entries are below 2^20, so that a double is off by 10^-9 at most (a test holds both).
fn round(x: f64) -> i64 {
    x.round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    /// A digest that is written to.
    struct Hashing(Sha256);

    impl Write for Hashing {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn digest_of(rows: u64) -> String {
        let mut out = io::BufWriter::new(Hashing(Sha256::new()));
        Cohort::new(SEED).write_csv(&mut out, 1..=rows, |_| true).expect("hashing does not fail");
        let hashing = out.into_inner().map_err(|_| "flush").expect("hashing does not fail");
        hashing.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn ten_thousand_rows_are_the_published_bytes() {
        assert_eq!(digest_of(10_000), "bbf70c20ae3004bc2a9ea0514c2da46107a27e1d81aedb8bec95101890160902");
    }

    #[test]
    fn a_million_rows_are_the_published_bytes() {
        assert_eq!(digest_of(1_000_000), "59ef2d1bb0449755a356b7094b0491955cef72c6b1cf5ab1d5f0055a38ee2b62");
    }

    #[test]
    fn no_table_entry_is_near_a_half_so_rounding_is_the_same_everywhere() {
        for x in neg_log().chain(hazard()) {
            assert!((x.fract() - 0.5).abs() > 1e-5 && x < f64::from(1 << 20), "{x}");
        }
    }

    #[test]
    fn another_seed_gives_other_people() {
        assert_ne!(Cohort::new(SEED).row(1), Cohort::new(SEED + 1).row(1));
    }

    #[test]
    fn hospitals_partition_the_rows() {
        let cohort = Cohort::new(SEED);
        let lines = |keep: &dyn Fn(&Row) -> bool| {
            let mut out = Vec::new();
            cohort.write_csv(&mut out, 1..=2_000, keep).expect("a vector takes everything");
            out.iter().filter(|&&byte| byte == b'\n').count() - 1
        };
        let split: usize = "ABCDE".chars().map(|h| lines(&|row| row.hospital == h)).sum();
        assert_eq!(split, lines(&|_| true));
        assert_eq!(split, 2_000);
    }
}
