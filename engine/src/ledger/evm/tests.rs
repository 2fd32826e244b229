//! What needs no chain: the outbox, the follower, the key, the configuration.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use zeroize::Zeroizing;

use super::*;
use crate::encoding::HexBytes;
use crate::identity::{Digest, Identity, SealKey};
use crate::ledger::{Checkpoint, Ledger, LedgerError, Note, Tile, TileKind, TreeHead, merkle};

fn digest(number: u64) -> Digest {
    Digest::of(&number.to_be_bytes())
}

fn commitments(numbers: &[u64]) -> Post {
    Post::Commitments { digests: numbers.iter().map(|n| digest(*n)).collect() }
}

fn settlement(post: &Post) -> Settlement {
    let (transaction, gas_used, reason) = (None, None, None);
    Settlement { post: post.id(), end: End::Anchored, block: 7, transaction, gas_used, reason }
}

fn intent(post: &Post) -> Intent {
    let raw = HexBytes(vec![1, 2, 3]);
    let attempt = Attempt { raw, hash: digest(0), fee_wei: 5, tip_wei: 1, gas: 21_000, at_ms: 9 };
    Intent { post: post.id(), nonce: 4, attempts: vec![attempt] }
}

#[test]
fn an_outbox_opens_as_it_was_left() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (commitments(&[1, 2]), commitments(&[3]));
    {
        let outbox = FileOutbox::open(folder.path()).unwrap();
        outbox.submit(first.clone()).unwrap();
        outbox.submit(second.clone()).unwrap();
        outbox.submit(first.clone()).unwrap();
        outbox.keep_intent(Some(&intent(&first))).unwrap();
    }
    {
        let outbox = FileOutbox::open(folder.path()).unwrap();
        assert_eq!(outbox.waiting(), 2);
        assert_eq!(outbox.next().unwrap(), Some(first.clone()));
        assert_eq!(outbox.intent().unwrap(), Some(intent(&first)));
        assert!(outbox.settle(&settlement(&second)).is_err());
        outbox.settle(&settlement(&first)).unwrap();
    }
    let outbox = FileOutbox::open(folder.path()).unwrap();
    assert_eq!((outbox.next().unwrap(), outbox.intent().unwrap()), (Some(second), None));
    assert_eq!(outbox.settlement(&first.id()), Some(settlement(&first)));
}

#[test]
fn an_outbox_that_is_damaged_or_newer_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    FileOutbox::open(folder.path()).unwrap().submit(commitments(&[1])).unwrap();
    let path = folder.path().join("outbox.json");
    let good = fs::read_to_string(&path).unwrap();
    let cut = good[..good.len() / 2].to_owned();
    let newer = good.replacen("\"version\":1", "\"version\":2", 1);
    let unknown = good.replacen("\"version\":1", "\"version\":1,\"else\":1", 1);
    let empty = good.replacen(&format!("\"{}\"", digest(1)), "", 1);
    for bad in [cut, newer, unknown, empty] {
        fs::write(&path, bad).unwrap();
        let error = FileOutbox::open(folder.path()).err().unwrap();
        assert_eq!(error.code(), "evm.outbox");
    }
    fs::write(&path, good).unwrap();
    assert_eq!(FileOutbox::open(folder.path()).unwrap().waiting(), 1);
}

#[test]
fn a_malformed_post_is_not_queued() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = FileOutbox::open(folder.path()).unwrap();
    let zero = Digest([0; 32]);
    let attestation = |proof: usize, commitment| {
        let (proof, inputs) = (HexBytes(vec![0; proof]), [digest(4); INPUTS]);
        Post::Attestation(Box::new(Attestation { commitment, proof, inputs, nonce: digest(5) }))
    };
    for bad in [
        commitments(&[]),
        Post::Commitments { digests: vec![digest(1); POST_COMMITMENTS_MAX + 1] },
        Post::Commitments { digests: vec![zero] },
        Post::Checkpoint { log: digest(1), size: 0, root: digest(2) },
        Post::Checkpoint { log: digest(1), size: 1, root: zero },
        attestation(PROOF_BYTES - 1, digest(3)),
        attestation(PROOF_BYTES, zero),
    ] {
        assert!(outbox.submit(bad).is_err());
    }
    assert!(outbox.submit(attestation(PROOF_BYTES, digest(3))).is_ok());
}

#[test]
fn an_outbox_that_is_full_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = FileOutbox::open(folder.path()).unwrap();
    let many = (0..OUTBOX_POSTS_MAX as u64).map(|n| commitments(&[n])).collect();
    outbox.take_over(many, outbox.followed()).unwrap();
    assert!(outbox.submit(commitments(&[u64::MAX])).is_err());
}

/// A log in memory.
struct Memory {
    leaves: Mutex<Vec<Digest>>,
    identity: Identity,
}

struct Nodes(Vec<Digest>);

impl merkle::Nodes for Nodes {
    fn node(&self, level: u8, index: u64) -> Result<Digest, LedgerError> {
        if level == 0 {
            return Ok(merkle::leaf_hash(&self.0[index as usize].0));
        }
        let (left, right) = (self.node(level - 1, 2 * index)?, self.node(level - 1, 2 * index + 1)?);
        Ok(merkle::node_hash(&left, &right))
    }
}

impl Memory {
    fn new() -> Arc<Self> {
        Arc::new(Self { leaves: Mutex::default(), identity: Identity::from_seed(&[1; 32]) })
    }

    fn grow(&self, leaves: u64) {
        let mut all = self.leaves.lock().unwrap();
        let first = all.len() as u64;
        all.extend((first..first + leaves).map(digest));
    }

    fn nodes(&self) -> Nodes {
        Nodes(self.leaves.lock().unwrap().clone())
    }
}

impl Ledger for Memory {
    fn append(&self, commitment: &Digest) -> Result<u64, LedgerError> {
        let mut all = self.leaves.lock().unwrap();
        all.push(*commitment);
        Ok(all.len() as u64 - 1)
    }
    fn checkpoint(&self) -> Result<Note, LedgerError> {
        let nodes = self.nodes();
        let size = nodes.0.len() as u64;
        let head = TreeHead { size, root: merkle::root(&nodes, size)? };
        Checkpoint { origin: "ward/valley/log".to_owned(), head }.sign(&self.identity)
    }
    fn inclusion(&self, index: u64, size: u64) -> Result<Vec<Digest>, LedgerError> {
        merkle::inclusion(&self.nodes(), index, size)
    }
    fn consistency(&self, old: u64, new: u64) -> Result<Vec<Digest>, LedgerError> {
        merkle::consistency(&self.nodes(), old, new)
    }
    fn tile(&self, tile: &Tile) -> Result<Vec<u8>, LedgerError> {
        assert_eq!(tile.kind, TileKind::Entries);
        let (_, first, end) = tile.range()?;
        let all = self.leaves.lock().unwrap();
        let range = all.get(first as usize..end as usize);
        let range = range.ok_or_else(|| LedgerError::Tile { path: tile.path() })?;
        Ok(range.iter().flat_map(|digest| [&[0, 32][..], &digest.0].concat()).collect())
    }
}

fn drain(outbox: &FileOutbox) -> Vec<Post> {
    let mut posts = Vec::new();
    while let Some(post) = outbox.next().unwrap() {
        outbox.settle(&settlement(&post)).unwrap();
        posts.push(post);
    }
    posts
}

#[test]
fn a_follower_takes_every_leaf_once_in_order_then_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let log = Memory::new();
    log.grow(700);
    let rule = Follow { commitments: true, checkpoint_every_ms: 1_000 };
    let mut all = Vec::new();
    for (now_ms, more) in [(10_000, 0), (10_500, 3), (11_500, 0), (20_000, 0)] {
        log.grow(more);
        // Opened anew: how far it was is in the outbox.
        let outbox = Arc::new(FileOutbox::open(folder.path()).unwrap());
        let follower = Follower::new(log.clone(), outbox.clone(), rule);
        follower.follow(now_ms).unwrap();
        all.extend(drain(&outbox));
    }
    let mut leaves = Vec::new();
    let mut sizes = Vec::new();
    for post in &all {
        match post {
            Post::Commitments { digests } => leaves.extend(digests.iter().copied()),
            Post::Checkpoint { size, root, log: id } => {
                sizes.push(*size);
                assert_eq!(*id, log_id("ward/valley/log"));
                assert_eq!(*root, merkle::root(&log.nodes(), 703.min(*size)).unwrap());
            }
            Post::Attestation(_) => panic!("none was queued"),
        }
    }
    assert_eq!(leaves, (0..703).map(digest).collect::<Vec<_>>());
    // The second was not due when its leaves were taken over.
    assert_eq!(sizes, [700, 703]);
}

#[test]
fn a_follower_of_checkpoints_alone_posts_no_commitments() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = Arc::new(FileOutbox::open(folder.path()).unwrap());
    let log = Memory::new();
    log.grow(5);
    let rule = Follow { commitments: false, checkpoint_every_ms: 1_000 };
    let follower = Follower::new(log.clone(), outbox.clone(), rule);
    assert_eq!(follower.follow(1).unwrap(), 1);
    assert_eq!(follower.follow(2).unwrap(), 0);
    assert!(matches!(drain(&outbox)[..], [Post::Checkpoint { size: 5, .. }]));
    assert!(matches!(follower.newest_checkpoint(), Some(Post::Checkpoint { size: 5, .. })));
    follower.rewind().unwrap();
    assert_eq!(follower.follow(3).unwrap(), 1);
}

#[test]
fn a_follower_refuses_a_log_that_shrank() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = Arc::new(FileOutbox::open(folder.path()).unwrap());
    let log = Memory::new();
    log.grow(5);
    let rule = Follow { commitments: true, checkpoint_every_ms: 0 };
    let follower = Follower::new(log.clone(), outbox.clone(), rule);
    follower.follow(1).unwrap();
    log.leaves.lock().unwrap().truncate(4);
    assert!(matches!(
        follower.follow(2),
        Err(EvmError::Ledger(LedgerError::Rollback { seen: 5, presented: 4 }))
    ));
}

fn seal() -> SealKey {
    SealKey::from_bytes(Zeroizing::new([7; 32]))
}

#[test]
fn a_chain_key_is_sealed_and_opens_only_with_the_sealing_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("evm.key");
    // The address of the key 1, which every tool knows.
    let mut one = [0; 32];
    one[31] = 1;
    let key = ChainKey::from_bytes(&one).unwrap();
    assert_eq!(key.address().to_string(), "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf");
    key.save(&path, &seal()).unwrap();
    assert_eq!(ChainKey::load(&path, &seal()).unwrap().address(), key.address());
    assert!(key.save(&path, &seal()).is_err(), "it is never overwritten");
    let other = SealKey::from_bytes(Zeroizing::new([8; 32]));
    assert_eq!(ChainKey::load(&path, &other).unwrap_err().code(), "evm.key");
    let text = fs::read_to_string(&path).unwrap();
    assert!(!text.contains(&hex::encode(one)));
    assert_eq!(format!("{key:?}"), "ChainKey(0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf)");
}

#[cfg(unix)]
#[test]
fn a_chain_key_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("evm.key");
    ChainKey::generate().unwrap().save(&path, &seal()).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(ChainKey::load(&path, &seal()).is_err());
    assert!(ChainKey::load(Path::new("/nowhere/evm.key"), &seal()).is_err());
}

#[test]
fn numbers_that_are_no_keys_are_refused() {
    assert!(ChainKey::from_bytes(&[0; 32]).is_err());
    assert!(ChainKey::from_bytes(&[0xff; 32]).is_err());
}

fn config(endpoint: &str) -> EvmConfig {
    let anchor_log = format!("0x{}", "11".repeat(20));
    let json = serde_json::json!({ "endpoint": endpoint, "chain_id": 1, "anchor_log": anchor_log });
    serde_json::from_value(json).unwrap()
}

fn refusal(config: EvmConfig) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let outbox = Arc::new(FileOutbox::open(folder.path()).unwrap());
    EvmLedger::new(config, ChainKey::generate().unwrap(), outbox).err().map(|error| error.to_string())
}

#[test]
fn an_endpoint_in_the_clear_is_refused_unless_it_is_local_or_allowed() {
    for good in ["https://chain.example.org/v2/secret", "http://127.0.0.1:8545", "http://localhost:8545"] {
        assert_eq!(refusal(config(good)), None);
    }
    for bad in ["http://chain.example.org", "ftp://chain.example.org", "chain.example.org", ""] {
        let said = refusal(config(bad)).unwrap();
        assert!(said.contains("endpoint"), "{said}");
    }
    let allowed = EvmConfig { plain_http: true, ..config("http://geth:8545") };
    assert_eq!(refusal(allowed), None);
}

#[test]
fn a_configuration_out_of_range_names_the_field() {
    let good = || config("http://127.0.0.1:8545");
    for (bad, field) in [
        (EvmConfig { confirmations: 0, ..good() }, "confirmations"),
        (EvmConfig { confirmations: 65, ..good() }, "confirmations"),
        (EvmConfig { poll_ms: 0, ..good() }, "poll_ms"),
        (EvmConfig { gas_fee_max_gwei: 0, ..good() }, "gas_fee_max_gwei"),
        (EvmConfig { anchor_log: "0x12".to_owned(), ..good() }, "anchor_log"),
        (EvmConfig { registry: Some("me".to_owned()), ..good() }, "registry"),
    ] {
        assert!(refusal(bad).unwrap().contains(field));
    }
}

#[tokio::test]
async fn an_error_names_the_host_and_never_the_access_key_in_the_path() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = Arc::new(FileOutbox::open(folder.path()).unwrap());
    // Port 1 of this machine: nobody listens.
    let config = config("http://127.0.0.1:1/v2/access-key");
    let ledger = EvmLedger::new(config, ChainKey::generate().unwrap(), outbox).unwrap();
    let error = ledger.probe().await.unwrap_err();
    assert!(matches!(error, EvmError::Away { .. }));
    let said = format!("{error} {error:?}");
    assert!(said.contains("127.0.0.1:1") && !said.contains("access-key"), "{said}");
}

#[test]
fn back_off_grows_to_a_minute_and_no_further() {
    assert!(back_off(1) <= BACK_OFF_MIN && back_off(1) >= BACK_OFF_MIN * 3 / 4);
    assert!(back_off(3) > back_off(1));
    assert!(back_off(u32::MAX) <= BACK_OFF_MAX && back_off(u32::MAX) >= BACK_OFF_MAX * 3 / 4);
}
