//! An explanation as text for a terminal.

use std::fmt::{self, Display, Write as _};

use super::super::plan::{Mechanism, SecurityLevel};
use super::Explanation;

/// Most sums that are listed one by one.
const LISTED_MAX: usize = 24;

impl Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl Explanation {
    /// The explanation as lines of text, section by section.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        section(&mut text, "query", [&self.query]);
        let purpose = self.purpose.map(|p| format!("{} ({p})", p.label()));
        section(&mut text, "purpose", [purpose.unwrap_or_else(|| "not said".to_owned())]);
        section(&mut text, "study", self.study_lines());
        section(&mut text, "local step, at each hospital", self.local_lines());
        section(&mut text, "left out", self.left_out.iter().map(|l| format!("{}: {}", l.hospital, l.reason)));
        section(&mut text, "secure step", self.secure_lines());
        section(&mut text, "secure step, on shares", self.shares_lines());
        section(&mut text, "release", &self.release.rules);
        section(&mut text, "privacy budget", self.privacy_lines());
        section(&mut text, "finish, at the researcher", &self.finish);
        section(&mut text, "who learns what", self.learns.iter().map(|l| format!("{}: {}", l.who, l.what)));
        section(&mut text, "threat model", &self.threat_model);
        let verdicts = self.verdicts.iter();
        section(
            &mut text,
            "policies",
            verdicts.map(|v| match v.rule.as_str() {
                "" => format!("{}: {}", v.hospital, v.verdict),
                rule => format!("{}: {} ({rule})", v.hospital, v.verdict),
            }),
        );
        text
    }

    fn study_lines(&self) -> Vec<String> {
        let Some(study) = &self.study else { return Vec::new() };
        let budget = match study.budget {
            None => "it has no privacy budget: no answers with noise".to_owned(),
            Some(budget) => format!("its answers over a table may cost {budget} together, at each hospital"),
        };
        vec![
            format!("{}: {}", study.id, study.title),
            format!("floor {}, until {}", study.floor, crate::clock::utc(study.ends_unix_ms)),
            budget,
        ]
    }

    fn privacy_lines(&self) -> Vec<String> {
        let Some(privacy) = &self.privacy else {
            return vec!["none is spent: no noise is added (WITH PRIVACY, or --epsilon, asks for it)".into()];
        };
        let (name, delta) = match privacy.mechanism {
            Mechanism::Gaussian => ("Gaussian", format!(", delta {:e}", privacy.delta)),
            Mechanism::Laplace => ("Laplace", String::new()),
        };
        let mut lines = vec![
            format!("epsilon {}{delta}: rho {} at every hospital", privacy.epsilon, privacy.rho),
            format!(
                "discrete {name} noise, drawn by every hospital for itself; that of {} honest alone suffices",
                privacy.honest
            ),
            format!("{} rows of a patient count", privacy.rows_per_patient),
        ];
        let noise = privacy.noise.iter().take(LISTED_MAX);
        lines.extend(noise.map(|n| format!("{}: deviation {:.4} in the {}", n.heading, n.sd, n.what)));
        lines
    }

    fn local_lines(&self) -> Vec<String> {
        let local = &self.local;
        let mut lines = vec![format!("hospitals: {}", local.hospitals.join(", "))];
        lines.push(format!("rows: {}", local.filter.as_deref().unwrap_or("all")));
        if !local.groups.is_empty() {
            lines.push(format!("groups: {}", local.groups.join(", ")));
        }
        lines.extend(local.measures.iter().take(LISTED_MAX).map(|m| format!("sum: {m}")));
        if local.measures.len() > LISTED_MAX {
            lines.push(format!("and {} more sums", local.measures.len() - LISTED_MAX));
        }
        lines
    }

    fn shares_lines(&self) -> Vec<String> {
        let Some(shares) = &self.shares else { return Vec::new() };
        let security = match shares.security {
            SecurityLevel::SemiHonest => "holds against one that looks",
            SecurityLevel::Malicious => {
                "holds against one that deviates: the others stop before anything is released"
            }
        };
        let mut lines = vec![
            format!("compute nodes: {}; {security}", shares.nodes.join(", ")),
            match &self.secure {
                Some(_) => "the sums come from the encrypted total, as shares; nobody sees them".into(),
                None => format!(
                    "each hospital gives {} words as shares, {}, to the compute nodes",
                    shares.words,
                    bytes(shares.bytes_up)
                ),
            },
        ];
        lines.extend(shares.programs.iter().map(|program| format!("program: {program}")));
        lines.push(format!(
            "about {} rounds, {} from each compute node, {:.1} s (link {}/s; round trip {} s)",
            shares.rounds,
            bytes(shares.bytes_node),
            shares.seconds,
            bytes(shares.cost_model.link_bytes_per_second as u64),
            shares.cost_model.round_trip_seconds
        ));
        lines
    }

    fn secure_lines(&self) -> Vec<String> {
        let Some(secure) = &self.secure else { return Vec::new() };
        let mut lines = vec![
            format!("encrypted sum, profile {}", secure.profile),
            format!(
                "key: {} of {} holders ({})",
                secure.threshold,
                secure.key_holders.len(),
                secure.key_holders.join(", ")
            ),
            format!("{} numbers in {} ciphertexts a hospital", secure.slots, secure.ciphertexts),
            format!(
                "each holder of the key sends {}, receives {}",
                bytes(secure.bytes_up),
                bytes(secure.bytes_down)
            ),
        ];
        lines.extend(secure.rounds.iter().zip(1..).map(|(round, i)| format!("round {i}, {round}")));
        let model = &secure.cost_model;
        lines.push(format!(
            "about {:.1} s (local {} s; a ciphertext {} s; link {}/s; round trip {} s)",
            secure.seconds,
            model.local_seconds,
            model.encrypt_seconds + model.switch_seconds,
            bytes(model.link_bytes_per_second as u64),
            model.round_trip_seconds
        ));
        lines
    }
}

fn section<T: AsRef<str>>(text: &mut String, title: &str, lines: impl IntoIterator<Item = T>) {
    let mut lines = lines.into_iter().peekable();
    if lines.peek().is_none() {
        return;
    }
    let _ = writeln!(text, "{title}");
    for line in lines {
        let _ = writeln!(text, "  {}", line.as_ref());
    }
}

/// Bytes in decimal units.
fn bytes(count: u64) -> String {
    let units = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1000, "kB")];
    match units.iter().find(|(unit, _)| count >= *unit) {
        Some((unit, name)) => format!("{:.1} {name}", count as f64 / *unit as f64),
        None => format!("{count} B"),
    }
}
