//! Known answers (RFC 6962 test tree, C2SP), proofs of all small trees, tampering, and an independent oracle:
//! the crates `tlog_tiles` and `signed_note`.

mod audit_head;
mod notes;
mod properties;
mod receipts;
mod tree;
mod witness;

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;

use super::merkle::{Nodes, leaf_hash, verify_consistency, verify_inclusion};
use super::*;
use crate::identity::{CaCertificate, CertificateAuthority, Identity, PublicKey, Role};

#[derive(Default)]
struct Tree {
    nodes: HashMap<(u8, u64), Digest>,
    size: u64,
}

impl Nodes for Tree {
    fn node(&self, level: u8, index: u64) -> Result<Digest, LedgerError> {
        let absent = || LedgerError::Storage { reason: format!("no node {level} {index}") };
        self.nodes.get(&(level, index)).copied().ok_or_else(absent)
    }
}

impl Tree {
    fn push(&mut self, data: &[u8]) {
        for (level, index, hash) in merkle::append(self, self.size, leaf_hash(data)).unwrap() {
            assert!(self.nodes.insert((level, index), hash).is_none(), "a node is written once");
        }
        self.size += 1;
    }

    fn of(size: u64) -> Self {
        let mut tree = Self::default();
        (0..size).for_each(|i| tree.push(&i.to_be_bytes()));
        tree
    }

    fn head(&self, size: u64) -> TreeHead {
        TreeHead { size, root: merkle::root(self, size).unwrap() }
    }
}

fn world() -> World {
    World::new(5)
}

/// A consortium with a log of some results, the last one of which has a receipt.
struct World {
    ca: CertificateAuthority,
    engine: Identity,
    hospitals: BTreeMap<String, Identity>,
    tree: Tree,
    commitment: Commitment,
}

const FINISHED_S: u64 = 1_800_000_000;

impl World {
    fn new(before: u64) -> Self {
        Self::with(before, commitment())
    }

    fn with(before: u64, commitment: Commitment) -> Self {
        let ca = CertificateAuthority::create("oncology", FINISHED_S - 1_000).unwrap();
        let names = ["east", "north", "south"];
        let hospitals: BTreeMap<String, Identity> =
            names.iter().map(|n| ((*n).to_owned(), Identity::generate().unwrap())).collect();
        let mut tree = Tree::of(before);
        tree.push(&commitment.digest().0);
        Self { ca, engine: Identity::generate().unwrap(), hospitals, tree, commitment }
    }

    fn checkpoint(&self, size: u64) -> Note {
        let origin = log_origin("oncology");
        Checkpoint { origin, head: self.tree.head(size) }.sign(&self.engine).unwrap()
    }

    fn witness<'a>(&'a self, hospital: &'a str) -> Witness<'a> {
        let identity = &self.hospitals[hospital];
        Witness { consortium: "oncology", hospital, identity, log_key: self.engine.public() }
    }

    fn cosigned(&self) -> Note {
        let mut note = self.checkpoint(self.tree.size);
        let text = note.to_string();
        for hospital in self.hospitals.keys() {
            let cosigned = self.witness(hospital).cosign(None, &text, &[], FINISHED_S).unwrap();
            note.add(cosigned.signature).unwrap();
        }
        note
    }

    fn receipt(&self) -> Receipt {
        let index = self.tree.size - 1;
        let proof = TlogProof {
            index,
            proof: merkle::inclusion(&self.tree, index, self.tree.size).unwrap(),
            checkpoint: self.cosigned(),
        };
        let key = self.engine.public();
        let mut certificates =
            vec![self.ca.server_certificate(&key, "oncology", &[], FINISHED_S, 30).unwrap().der];
        for (name, identity) in &self.hospitals {
            let issued = self.ca.issue(&identity.public(), Role::Hospital, name, FINISHED_S, 30).unwrap();
            certificates.push(issued.der);
        }
        Receipt::new(self.commitment.clone(), &proof, &certificates, self.ca.certificate().der())
    }

    fn trust(&self) -> TrustAnchors {
        TrustAnchors::Authority(self.ca.certificate().clone())
    }
}

fn commitment() -> Commitment {
    let names = || ["east", "north", "south"].into_iter().map(str::to_owned);
    let digest = |n: u8| Digest([n; 32]);
    Commitment {
        version: COMMITMENT_VERSION,
        consortium: "oncology".into(),
        job_id: "01h0000000000000000000000a".into(),
        query: "SELECT COUNT(*) FROM breast".into(),
        request_digest: digest(1),
        plan_digest: digest(2),
        researcher: digest(3),
        dataset_versions: names().map(|n| (n, "v1".to_owned())).collect(),
        participants: names().collect(),
        key_epoch: "epoch-1".into(),
        protocol_digest: digest(4),
        purpose: None,
        rounding: 0,
        consent_roots: BTreeMap::new(),
        policy_digests: names().map(|n| (n, digest(5))).collect(),
        floor: 5,
        software: "ward 0.1.0".into(),
        result_digest: digest(6),
        contribution_digests: names().map(|n| (n, digest(7))).collect(),
        finished_at_ms: FINISHED_S * 1000,
        study: None,
        proofs: None,
    }
}
