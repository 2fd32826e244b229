//! Consents from files of FHIR resources: streamed, in transactions of a thousand, with what is left out counted.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value as Json;

use crate::consent::fhir::{Document, Mapping, Reject, Subject, read};
use crate::consent::{Artefact, Provenance, Status};
use crate::encoding::Digest;
use crate::party::node::Node;
use crate::problem::{Problem, ProblemKind};
use crate::store::{ConsentRow, Recorded};

/// Artefacts of one transaction.
const BATCH: usize = 1000;
/// Longest line, and largest file that is not NDJSON, in bytes.
const LINE_BYTES_MAX: u64 = 1 << 20;
const FILE_BYTES_MAX: u64 = 256 << 20;

/// What became of the resources of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// Files read.
    pub files: u64,
    /// Consents read.
    pub consents: u64,
    /// Artefacts that are new or have a new status.
    pub recorded: u64,
    /// Statements that were known already.
    pub known: u64,
    /// Consents of which nothing was taken over, by reason.
    pub rejected: BTreeMap<&'static str, u64>,
    /// Parts that were left out of consents that were taken over, by reason.
    pub left_out: BTreeMap<&'static str, u64>,
}

fn unreadable(path: &Path, reason: impl std::fmt::Display) -> Problem {
    Problem::new(ProblemKind::Validation, "consent.file", format!("{}: {reason}", path.display()))
        .hint("give a file of FHIR Consents (.json, .ndjson, .ndjson.gz), or a folder of such files")
}

/// The files of a path.
fn files(path: &Path) -> Result<Vec<PathBuf>, Problem> {
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let entries = std::fs::read_dir(path).map_err(|e| unreadable(path, e.kind()))?;
    let is_fhir = |path: &PathBuf| {
        let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        [".json", ".ndjson", ".ndjson.gz"].iter().any(|end| name.ends_with(end)) && path.is_file()
    };
    let mut found: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_fhir).collect();
    found.sort();
    Ok(found)
}

struct Import<'a> {
    node: &'a Node,
    mapping: Mapping,
    batch: Vec<Recorded>,
    /// Documents of the batch.
    sources: HashSet<String>,
    report: ImportReport,
}

impl Node {
    /// Imports the FHIR Consents of a file or folder. `progress` is told of every transaction.
    ///
    /// # Errors
    /// `consent.file` for what cannot be read, `consent.mapping`, storage. What was recorded before stays; the same
    /// import again goes on from there.
    pub fn import_consents(
        &self,
        path: &Path,
        mut progress: impl FnMut(&ImportReport),
    ) -> Result<ImportReport, Problem> {
        let mapping = match &self.config().consent.mapping {
            Some(path) => Mapping::load(path)?,
            None => Mapping::shipped()?,
        };
        let report = ImportReport::default();
        let mut import = Import { node: self, mapping, batch: Vec::new(), sources: HashSet::new(), report };
        for file in files(path)? {
            import.file(&file, &mut progress)?;
            import.report.files += 1;
        }
        import.flush(&mut progress)?;
        Ok(import.report)
    }
}

impl Import<'_> {
    fn file(&mut self, path: &Path, progress: &mut dyn FnMut(&ImportReport)) -> Result<(), Problem> {
        let file = File::open(path).map_err(|e| unreadable(path, e.kind()))?;
        let name = path.display().to_string().to_lowercase();
        let reader: Box<dyn Read> = if name.ends_with(".gz") {
            Box::new(flate2::read::MultiGzDecoder::new(file))
        } else {
            Box::new(file)
        };
        let mut reader = BufReader::new(reader);
        if name.ends_with(".json") {
            let mut text = Vec::new();
            let read = reader.take(FILE_BYTES_MAX + 1).read_to_end(&mut text);
            if read.map_err(|e| unreadable(path, e.kind()))? as u64 > FILE_BYTES_MAX {
                return Err(unreadable(path, "too large for one document; use NDJSON"));
            }
            let json: Json = serde_json::from_slice(&text).map_err(|_| unreadable(path, "it is not JSON"))?;
            return self.any(&json, progress);
        }
        let mut line = Vec::new();
        loop {
            line.clear();
            let mut limited = reader.by_ref().take(LINE_BYTES_MAX + 1);
            if limited.read_until(b'\n', &mut line).map_err(|e| unreadable(path, e.kind()))? == 0 {
                return Ok(());
            }
            if line.len() as u64 > LINE_BYTES_MAX {
                return Err(unreadable(path, "a line is longer than a megabyte"));
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            match serde_json::from_slice(&line) {
                Ok(json) => self.resource(&json, Digest::of(line.trim_ascii()), progress)?,
                Err(_) => self.reject(Reject::Malformed),
            }
        }
    }

    /// A resource, a bundle, or a list of either.
    fn any(&mut self, json: &Json, progress: &mut dyn FnMut(&ImportReport)) -> Result<(), Problem> {
        if let Json::Array(all) = json {
            return all.iter().try_for_each(|one| self.any(one, progress));
        }
        match json["entry"].as_array().filter(|_| json["resourceType"] == "Bundle") {
            Some(entries) => entries.iter().try_for_each(|entry| self.any(&entry["resource"], progress)),
            None => self.resource(json, Digest::of(json.to_string().as_bytes()), progress),
        }
    }

    fn reject(&mut self, reject: Reject) {
        *self.report.rejected.entry(reject.as_str()).or_default() += 1;
    }

    fn resource(
        &mut self,
        json: &Json,
        digest: Digest,
        progress: &mut dyn FnMut(&ImportReport),
    ) -> Result<(), Problem> {
        // Other resources of an export lie beside consents.
        if json["resourceType"].as_str().is_some_and(|kind| kind != "Consent") {
            return Ok(());
        }
        self.report.consents += 1;
        let (document, left_out) = match read(json, &self.mapping) {
            Ok(read) => read,
            Err(reject) => {
                self.reject(reject);
                return Ok(());
            }
        };
        for reject in left_out {
            *self.report.left_out.entry(reject.as_str()).or_default() += 1;
        }
        if self.sources.contains(&document.source) || self.batch.len() >= BATCH {
            self.flush(progress)?;
        }
        self.document(&document, digest)
    }

    /// What changes by a document: new statements, statuses that follow, and the end of what it no longer says.
    fn document(&mut self, document: &Document, digest: Digest) -> Result<(), Problem> {
        let pseudonym = match &document.subject {
            Subject::Pseudonym(pseudonym) => *pseudonym,
            Subject::Identifier(identifier) => match self.node.consents().pseudonym(identifier) {
                Ok(pseudonym) => pseudonym,
                Err(_) => {
                    self.reject(Reject::Patient);
                    return Ok(());
                }
            },
        };
        let now = self.node.now_ms();
        let mut before: Vec<ConsentRow> = self.node.store().consents_from(&document.source)?;
        for (rule, validity, status) in &document.statements {
            let provenance = |stated_ms: u64| Provenance {
                source: document.source.clone(),
                digest,
                by: self.node.name().to_owned(),
                stated_ms,
            };
            let make = |stated_ms| {
                Artefact::new(pseudonym, (rule.clone(), *validity), *status, provenance(stated_ms))
            };
            let Ok(new) = make(document.stated_ms) else {
                self.reject(Reject::Malformed);
                continue;
            };
            let known = before.iter().position(|row| {
                let known = &row.artefact;
                known.pseudonym == pseudonym
                    && (&known.rule, known.validity) == (rule, *validity)
                    && (known.status.is_open() || known.id == new.id)
            });
            match known.map(|at| before.swap_remove(at).artefact) {
                None => self.record(new, "imported"),
                Some(known) if known.status == *status || (known.status == Status::Expired) => {
                    self.report.known += 1;
                }
                Some(known) => match known.become_status(*status, now) {
                    Ok(next) => self.record(next, "the document has a new status"),
                    // Said again, otherwise than before: a new statement.
                    Err(_) => {
                        if known.status.is_open() {
                            self.end(&known, now);
                        }
                        if let Ok(again) = make(now) {
                            self.record(again, "the document was changed");
                        }
                    }
                },
            }
        }
        for row in before.iter().filter(|row| row.artefact.status.is_open()) {
            self.end(&row.artefact, now);
        }
        self.sources.insert(document.source.clone());
        Ok(())
    }

    fn end(&mut self, known: &Artefact, now: u64) {
        if let Ok(ended) = known.become_status(Status::Revoked, now) {
            self.record(ended, "a newer version of the document does not say it");
        }
    }

    fn record(&mut self, artefact: Artefact, reason: &str) {
        let signature = artefact.sign(&self.node.membership().identity);
        self.batch.push(Recorded { artefact, signature, reason: reason.to_owned() });
    }

    fn flush(&mut self, progress: &mut dyn FnMut(&ImportReport)) -> Result<(), Problem> {
        if !self.batch.is_empty() {
            let detail = format!("{} artefacts from FHIR", self.batch.len());
            let audit = self.node.audit_event("consent.import", "consents", &detail);
            self.report.recorded += self.node.store().record_consents(&self.batch, &audit)?;
            self.batch.clear();
            self.sources.clear();
        }
        progress(&self.report);
        Ok(())
    }
}
