//! Tests of the local step, and the worlds they run in.

mod config;
mod data;
mod gate;
mod policy;
mod postgres;
mod proved;
mod records;
mod release;
mod step;
mod sums;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::config::PartyConfig;
use super::data::LocalData;
use super::step::{Contribution, SlotValue, run};
use crate::query::answer::Answer;
use crate::query::catalogue::Catalogue;
use crate::query::plan::{Participation, Plan, ProtocolInfo};
use crate::query::reference::sum;
use crate::query::{finish, parse, plan};
use crate::records::version::VersionKey;

/// A key of dataset versions.
pub(super) fn key() -> VersionKey {
    VersionKey::from_bytes(&[7; 32])
}

/// A path in the repository.
pub(super) fn repository(path: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(path)
}

pub(super) fn protocol(hospitals: &[String]) -> ProtocolInfo {
    ProtocolInfo {
        profile: "default-8192".into(),
        key_holders: hospitals.to_vec(),
        threshold: hospitals.len() as u32,
        degree: 8192,
        log2_t: 104,
        ciphertext_bytes: 442_368,
    }
}

/// The slots as integers; 1 where a random number stands.
pub(super) fn integers(contribution: &Contribution) -> Vec<i128> {
    let integer = |slot: &SlotValue| match slot {
        SlotValue::Int(value) => *value,
        SlotValue::UniformModT => 1,
    };
    contribution.slots.iter().map(integer).collect()
}

/// A configuration in a folder of its own, with these files beside it.
pub(super) struct Folder {
    pub(super) dir: tempfile::TempDir,
}

impl Folder {
    pub(super) fn new(files: &[(&str, &str)]) -> Self {
        let folder = Self { dir: tempfile::tempdir().unwrap() };
        files.iter().for_each(|(name, content)| folder.write(name, content.as_bytes()));
        folder
    }

    pub(super) fn write(&self, name: &str, content: &[u8]) {
        std::fs::write(self.dir.path().join(name), content).unwrap();
    }

    /// A configuration of one table `t` over `source`, with these column sections.
    pub(super) fn config(&self, source: &str, columns: &str) -> PartyConfig {
        let text = format!(
            "[party]\ndata_dir = \"state\"\n[[table]]\nname = \"t\"\nrows_max = 1000\nsource = {source}\n{columns}"
        );
        PartyConfig::from_text(&text, &self.dir.path().join("party.toml")).unwrap_or_else(|e| panic!("{e}"))
    }

    pub(super) fn data(&self, source: &str, columns: &str) -> LocalData {
        LocalData::open(&self.config(source, columns), key()).unwrap_or_else(|e| panic!("{e}"))
    }
}

/// Hospitals with their data, under one catalogue.
pub(super) struct World {
    /// Where the rows are: every query reads them again.
    pub(super) _folders: Vec<Folder>,
    pub(super) data: BTreeMap<String, LocalData>,
    pub(super) catalogue: Catalogue,
}

impl World {
    pub(super) fn new(floor: u32, data: impl IntoIterator<Item = (String, LocalData)>) -> Self {
        let data: BTreeMap<String, LocalData> = data.into_iter().collect();
        let hospitals =
            data.iter().map(|(name, data)| (name.clone(), data.publication(name, floor).unwrap()));
        let catalogue = Catalogue {
            consortium: "test".into(),
            floor,
            rounding: false,
            hospitals: hospitals.collect(),
            compute: vec![],
        };
        Self { _folders: Vec::new(), data, catalogue }
    }

    /// One hospital `H`.
    pub(super) fn one(floor: u32, data: LocalData) -> Self {
        Self::new(floor, [("H".to_owned(), data)])
    }

    pub(super) fn plan(&self, sql: &str) -> Plan {
        let hospitals: Vec<String> = self.data.keys().cloned().collect();
        let query = parse(sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
        plan(&query, &self.catalogue, &protocol(&hospitals), Participation::All)
            .unwrap_or_else(|e| panic!("{sql}: {e}"))
    }

    pub(super) fn contribution(&self, plan: &Plan, hospital: &str) -> Contribution {
        run(plan, &self.data[hospital], hospital, self.catalogue.floor).unwrap_or_else(|e| panic!("{e}"))
    }

    /// The slots of the one hospital.
    pub(super) fn slots(&self, sql: &str) -> Vec<i128> {
        integers(&self.contribution(&self.plan(sql), "H"))
    }

    pub(super) fn ask(&self, sql: &str) -> Answer {
        let plan = self.plan(sql);
        let slots: Vec<Vec<i128>> =
            plan.hospitals.iter().map(|hospital| integers(&self.contribution(&plan, hospital))).collect();
        finish(&plan, &sum(&plan, &slots), &plan.hospitals).unwrap_or_else(|e| panic!("{sql}: {e}"))
    }
}

/// The four hospitals of the breast example, from their own configurations.
pub(super) fn breast(floor: u32) -> World {
    World::new(
        floor,
        ["A", "B", "C", "D"].map(|name| {
            let config = PartyConfig::load(&repository(&format!("examples/breast/{name}.toml")));
            let config = config.unwrap_or_else(|e| panic!("{e}"));
            (name.to_owned(), LocalData::open(&config, key()).unwrap_or_else(|e| panic!("{e}")))
        }),
    )
}
