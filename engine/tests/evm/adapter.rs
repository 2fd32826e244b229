//! The adapter on a real node: once and only once, whatever dies.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use alloy_primitives::{Address, B256};
use serde_json::json;
use ward_engine::encoding::HexBytes;
use ward_engine::identity::Digest;
use ward_engine::ledger::evm::{
    Attestation, ChainKey, End, EvmConfig, EvmError, EvmLedger, FileOutbox, Intent, Mode, Outbox, Post,
    Settlement, Step, log_id,
};

use crate::abi;
use crate::contracts::{NONCE, Registry};
use crate::node::{Anvil, RICH, is_absent};

const CONFIRMATIONS: u64 = 3;
const COMMITMENT: &str = "CommitmentAnchored(bytes32)";
const CHECKPOINT: &str = "CheckpointAnchored(bytes32,uint64,bytes32)";

pub fn key() -> ChainKey {
    ChainKey::from_bytes(&[0x42; 32]).unwrap()
}

fn digest(number: u8) -> Digest {
    Digest([number; 32])
}

fn commitments(numbers: &[u8]) -> Post {
    Post::Commitments { digests: numbers.iter().map(|n| digest(*n)).collect() }
}

fn checkpoint(size: u64, root: u8) -> Post {
    Post::Checkpoint { log: log_id("ward/valley/log"), size, root: digest(root) }
}

/// A node with an anchor log that takes anchors of [`key`].
pub struct World {
    pub anvil: Anvil,
    pub anchor_log: Address,
    registry: Option<Address>,
    folder: tempfile::TempDir,
}

impl World {
    pub async fn start(arguments: &[&str]) -> Self {
        let anvil = Anvil::start(arguments);
        let folder = tempfile::tempdir().unwrap();
        let mut world = Self { anvil, anchor_log: Address::ZERO, registry: None, folder };
        world.deploy().await;
        world
    }

    /// Puts an anchor log on the chain.
    pub async fn deploy(&mut self) {
        let address = key().address();
        self.anvil.give(address).await;
        let admin = abi::address_word(self.anvil.account(RICH).await);
        let code = [&abi::code("AnchorLog")[..], &admin, &abi::address_word(address)].concat();
        let (anchor_log, gas) = self.anvil.deploy(&code).await.unwrap();
        println!("anchor log deployed for {gas} gas");
        self.anchor_log = anchor_log;
    }

    pub fn config(&self) -> EvmConfig {
        let config = json!({
            "endpoint": self.anvil.url(),
            "chain_id": 31337,
            "anchor_log": self.anchor_log.to_string(),
            "registry": self.registry.map(|address| address.to_string()),
            "confirmations": CONFIRMATIONS,
            "poll_ms": 20,
        });
        serde_json::from_value(config).unwrap()
    }

    pub fn outbox(&self) -> Arc<FileOutbox> {
        Arc::new(FileOutbox::open(self.folder.path()).unwrap())
    }

    fn ledger(&self, outbox: Arc<dyn Outbox>) -> EvmLedger {
        EvmLedger::new(self.config(), key(), outbox).unwrap()
    }

    /// Steps and mines until nothing waits.
    async fn settle_all(&self, ledger: &EvmLedger) -> Vec<Settlement> {
        let mut settled = Vec::new();
        for _ in 0..200 {
            match ledger.step().await.unwrap() {
                Step::Idle => return settled,
                Step::Settled(settlement) => settled.push(settlement),
                _ => self.anvil.mine(1).await,
            }
        }
        panic!("it does not settle");
    }

    async fn anchored(&self) -> Vec<B256> {
        let events = self.anvil.events(self.anchor_log, COMMITMENT).await;
        let mut found: Vec<B256> =
            events.iter().map(|event| event["topics"][1].as_str().unwrap().parse().unwrap()).collect();
        found.sort();
        found
    }

    pub async fn assert_anchored(&self, numbers: &[u8]) {
        let expected: Vec<B256> = numbers.iter().map(|n| B256::repeat_byte(*n)).collect();
        assert_eq!(self.anchored().await, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commitments_and_checkpoints_are_anchored_once_and_deep_enough() {
    if is_absent() {
        return;
    }
    let world = World::start(&["--hardfork", "prague"]).await;
    let outbox = world.outbox();
    let first = outbox.submit(commitments(&[1, 2, 3])).unwrap();
    assert_eq!(outbox.submit(commitments(&[1, 2, 3])).unwrap(), first);
    outbox.submit(checkpoint(3, 9)).unwrap();
    let ledger = world.ledger(outbox.clone());
    assert_eq!(ledger.probe().await.unwrap(), Mode::AnchorsOnly);

    let Step::Sent { transaction } = ledger.step().await.unwrap() else { panic!("it is sent") };
    world.anvil.await_receipt(B256::from(transaction.0)).await;
    for confirmations in 1..CONFIRMATIONS {
        assert_eq!(ledger.step().await.unwrap(), Step::Waiting { confirmations });
        world.anvil.mine(1).await;
    }
    let Step::Settled(settled) = ledger.step().await.unwrap() else { panic!("it is deep enough") };
    assert_eq!((settled.post, settled.end, settled.transaction), (first, End::Anchored, Some(transaction)));
    println!("three commitments: {} gas", settled.gas_used.unwrap());
    let rest = world.settle_all(&ledger).await;
    println!("a checkpoint: {} gas", rest[0].gas_used.unwrap());
    world.assert_anchored(&[1, 2, 3]).await;

    // What is there already is passed over: one new event for a post that has two old digests, none for one that has no new.
    outbox.submit(commitments(&[2, 3, 4])).unwrap();
    outbox.submit(commitments(&[4, 1])).unwrap();
    outbox.submit(checkpoint(3, 9)).unwrap();
    outbox.submit(checkpoint(2, 8)).unwrap();
    let ends: Vec<_> =
        world.settle_all(&ledger).await.iter().map(|s| (s.end, s.transaction.is_some())).collect();
    let expected =
        [(End::Anchored, true), (End::Anchored, false), (End::Anchored, false), (End::Superseded, false)];
    assert_eq!(ends, expected);
    world.assert_anchored(&[1, 2, 3, 4]).await;
    assert_eq!(world.anvil.events(world.anchor_log, CHECKPOINT).await.len(), 1);
    assert!(ledger.has(&commitments(&[1, 4])).await.unwrap());
    assert!(!ledger.has(&commitments(&[1, 5])).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_of_the_log_is_not_anchored() {
    if is_absent() {
        return;
    }
    let world = World::start(&["--hardfork", "prague"]).await;
    let outbox = world.outbox();
    let ledger = world.ledger(outbox.clone());
    outbox.submit(checkpoint(5, 1)).unwrap();
    world.settle_all(&ledger).await;
    outbox.submit(checkpoint(5, 2)).unwrap();
    let error = ledger.step().await.unwrap_err();
    assert_eq!(error.code(), "evm.forked");
    assert!(error.hint().unwrap().contains("hospitals"));
    assert_eq!(world.anvil.events(world.anchor_log, CHECKPOINT).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adapter_that_dies_after_every_step_posts_once() {
    if is_absent() {
        return;
    }
    let world = World::start(&["--hardfork", "prague"]).await;
    let outbox = world.outbox();
    outbox.submit(commitments(&[1, 2])).unwrap();
    outbox.submit(checkpoint(2, 7)).unwrap();
    outbox.submit(commitments(&[3])).unwrap();
    drop(outbox);
    for _ in 0..100 {
        // Nothing survives but the file.
        let ledger = world.ledger(world.outbox());
        match ledger.step().await.unwrap() {
            Step::Idle => break,
            _ => world.anvil.mine(1).await,
        }
    }
    assert_eq!(world.outbox().waiting(), 0);
    world.assert_anchored(&[1, 2, 3]).await;
    assert_eq!(world.anvil.events(world.anchor_log, CHECKPOINT).await.len(), 1);
    let nonce =
        world.anvil.ask("eth_getTransactionCount", json!([key().address().to_string(), "latest"])).await;
    assert_eq!(nonce.unwrap(), "0x3");
}

/// Keeps everything, but the process dies right after it keeps an intent or right before it keeps a settlement.
struct Dying {
    inner: Arc<FileOutbox>,
    after_intent: AtomicBool,
    before_settle: AtomicBool,
}

impl Outbox for Dying {
    fn next(&self) -> Result<Option<Post>, EvmError> {
        self.inner.next()
    }
    fn intent(&self) -> Result<Option<Intent>, EvmError> {
        self.inner.intent()
    }
    fn keep_intent(&self, intent: Option<&Intent>) -> Result<(), EvmError> {
        self.inner.keep_intent(intent)?;
        self.dies(&self.after_intent)
    }
    fn settle(&self, settlement: &Settlement) -> Result<(), EvmError> {
        self.dies(&self.before_settle)?;
        self.inner.settle(settlement)
    }
}

impl Dying {
    fn dies(&self, when: &AtomicBool) -> Result<(), EvmError> {
        if when.swap(false, Ordering::SeqCst) {
            return Err(EvmError::Outbox { reason: "the process dies here".to_owned() });
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adapter_that_dies_between_keeping_and_sending_posts_once() {
    if is_absent() {
        return;
    }
    let world = World::start(&["--hardfork", "prague"]).await;
    let inner = world.outbox();
    inner.submit(commitments(&[1])).unwrap();
    let dying = Dying {
        inner: inner.clone(),
        after_intent: AtomicBool::new(true),
        before_settle: AtomicBool::new(true),
    };
    let dying: Arc<dyn Outbox> = Arc::new(dying);
    assert!(world.ledger(dying.clone()).step().await.is_err());
    let kept = inner.intent().unwrap().expect("the intent is kept before it is sent");
    world.assert_anchored(&[]).await;

    // The next life sends the very same bytes, and dies again before it notes that they are on the chain.
    let ledger = world.ledger(dying);
    assert_eq!(ledger.step().await.unwrap(), Step::Waiting { confirmations: 0 });
    world.anvil.await_receipt(B256::from(kept.attempts[0].hash.0)).await;
    world.anvil.mine(CONFIRMATIONS).await;
    assert!(ledger.step().await.is_err());
    let Step::Settled(settled) = ledger.step().await.unwrap() else { panic!("it is settled") };
    assert_eq!(settled.transaction, Some(kept.attempts[0].hash));
    world.assert_anchored(&[1]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outbox_that_is_lost_posts_nothing_again() {
    if is_absent() {
        return;
    }
    let mut world = World::start(&["--hardfork", "prague"]).await;
    let outbox = world.outbox();
    outbox.submit(commitments(&[1, 2])).unwrap();
    world.settle_all(&world.ledger(outbox)).await;
    world.folder = tempfile::tempdir().unwrap();
    let outbox = world.outbox();
    outbox.submit(commitments(&[1, 2])).unwrap();
    let settled = world.settle_all(&world.ledger(outbox)).await;
    assert_eq!((settled[0].end, settled[0].transaction), (End::Anchored, None));
    world.assert_anchored(&[1, 2]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reorganisation_before_the_confirmations_is_waited_out() {
    if is_absent() {
        return;
    }
    let world = World::start(&["--hardfork", "prague"]).await;
    let outbox = world.outbox();
    outbox.submit(commitments(&[1, 2])).unwrap();
    let ledger = world.ledger(outbox);
    world.anvil.mine(2).await;
    let Step::Sent { transaction } = ledger.step().await.unwrap() else { panic!("it is sent") };
    world.anvil.await_receipt(B256::from(transaction.0)).await;
    world.anvil.mine(1).await;
    assert_eq!(ledger.step().await.unwrap(), Step::Waiting { confirmations: 2 });

    // The two newest blocks give way to empty ones: the transaction is in no block.
    world.anvil.ask("anvil_reorg", json!([2, []])).await.unwrap();
    assert!(!world.anvil.has_receipt(B256::from(transaction.0)).await);
    world.assert_anchored(&[]).await;

    // It is sent again, the same one, and counts from its new block.
    assert_eq!(ledger.step().await.unwrap(), Step::Waiting { confirmations: 0 });
    world.anvil.await_receipt(B256::from(transaction.0)).await;
    assert_eq!(ledger.step().await.unwrap(), Step::Waiting { confirmations: 1 });
    let settled = world.settle_all(&ledger).await;
    assert_eq!(settled[0].transaction, Some(transaction));
    world.assert_anchored(&[1, 2]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_stopped_or_killed_is_waited_for_and_nothing_is_posted_twice() {
    if is_absent() {
        return;
    }
    let state = tempfile::tempdir().unwrap();
    let file = state.path().join("state.json").display().to_string();
    let arguments = ["--hardfork", "prague", "--state", &file];
    let mut world = World::start(&arguments).await;
    let outbox = world.outbox();
    outbox.submit(commitments(&[1])).unwrap();
    outbox.submit(commitments(&[2])).unwrap();
    let ledger = world.ledger(outbox);
    let Step::Sent { transaction } = ledger.step().await.unwrap() else { panic!("it is sent") };
    world.anvil.await_receipt(B256::from(transaction.0)).await;

    // Stopped: it keeps its state, the adapter meets a closed port and goes on afterwards.
    world = restart(world, &arguments, Anvil::stop, &ledger).await;
    assert_eq!(ledger.step().await.unwrap(), Step::Waiting { confirmations: 1 });
    world.anvil.mine(CONFIRMATIONS).await;
    assert!(matches!(ledger.step().await.unwrap(), Step::Settled(_)));
    world = restart(world, &arguments, Anvil::stop, &ledger).await;

    // Killed: the second transaction was mined, and the chain forgets it.
    let Step::Sent { transaction } = ledger.step().await.unwrap() else { panic!("it is sent") };
    world.anvil.await_receipt(B256::from(transaction.0)).await;
    world = restart(world, &arguments, Anvil::kill, &ledger).await;
    assert!(!world.anvil.has_receipt(B256::from(transaction.0)).await);
    let settled = world.settle_all(&ledger).await;
    assert_eq!(settled[0].transaction, Some(transaction));
    world.assert_anchored(&[1, 2]).await;
}

async fn restart(world: World, arguments: &[&str], end: fn(Anvil), ledger: &EvmLedger) -> World {
    let World { anvil, anchor_log, registry, folder } = world;
    let port = anvil.port;
    end(anvil);
    let error = ledger.step().await.unwrap_err();
    assert!(error.is_passing() && error.code() == "evm.away", "{error}");
    World { anvil: Anvil::start_at(port, arguments), anchor_log, registry, folder }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_that_nobody_takes_is_raised_and_one_transaction_is_mined() {
    if is_absent() {
        return;
    }
    let world = World::start(&["--hardfork", "prague"]).await;
    let outbox = world.outbox();
    outbox.submit(commitments(&[1])).unwrap();
    let config = EvmConfig { raise_after_ms: 0, ..world.config() };
    let ledger = EvmLedger::new(config, key(), outbox.clone()).unwrap();
    world.anvil.ask("evm_setAutomine", json!([false])).await.unwrap();
    for _ in 0..3 {
        assert!(matches!(ledger.step().await.unwrap(), Step::Sent { .. }));
    }
    let attempts = outbox.intent().unwrap().unwrap().attempts;
    assert_eq!(attempts.len(), 3);
    assert!(attempts.windows(2).all(|pair| pair[0].fee_wei < pair[1].fee_wei));
    world.anvil.mine(1).await;
    let settled = world.settle_all(&ledger).await;
    assert_eq!(settled[0].transaction, Some(attempts[2].hash));
    world.assert_anchored(&[1]).await;
    assert!(!world.anvil.has_receipt(B256::from(attempts[0].hash.0)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nonce_that_went_to_another_transaction_is_not_waited_for_for_ever() {
    if is_absent() {
        return;
    }
    let world = World::start(&["--hardfork", "prague"]).await;
    let (one, two) = (world.outbox(), tempfile::tempdir().unwrap());
    // Two outboxes with one key, as after a restore from a backup: both sign with nonce 0.
    let other = Arc::new(FileOutbox::open(two.path()).unwrap());
    one.submit(commitments(&[1])).unwrap();
    other.submit(commitments(&[2])).unwrap();
    let dying = Dying {
        inner: one.clone(),
        after_intent: AtomicBool::new(true),
        before_settle: AtomicBool::new(false),
    };
    assert!(world.ledger(Arc::new(dying)).step().await.is_err());
    world.settle_all(&world.ledger(other)).await;
    let ledger = world.ledger(one);
    assert_eq!(ledger.step().await.unwrap(), Step::Again);
    assert_eq!(world.settle_all(&ledger).await.len(), 1);
    world.assert_anchored(&[1, 2]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_chain_contract_or_key_is_named_and_nothing_is_sent() {
    if is_absent() {
        return;
    }
    let world = World::start(&["--hardfork", "prague"]).await;
    let outbox = world.outbox();
    outbox.submit(commitments(&[1])).unwrap();
    let with = |config, key| EvmLedger::new(config, key, outbox.clone()).unwrap();
    let wrong_chain = with(EvmConfig { chain_id: 1, ..world.config() }, key());
    let nowhere = Address::repeat_byte(7).to_string();
    let no_contract = with(EvmConfig { anchor_log: nowhere, ..world.config() }, key());
    let wrong_key = with(world.config(), ChainKey::from_bytes(&[1; 32]).unwrap());
    let low_cap = with(EvmConfig { gas_max: 30_000, ..world.config() }, key());
    for (ledger, code) in [
        (wrong_chain, "evm.chain"),
        (no_contract, "evm.contract"),
        (wrong_key, "evm.anchorer"),
        (low_cap, "evm.gas_cap"),
    ] {
        let error = ledger.step().await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.hint().is_some());
    }
    world.anvil.ask("anvil_setBalance", json!([key().address().to_string(), "0x1"])).await.unwrap();
    let error = world.ledger(outbox.clone()).step().await.unwrap_err();
    assert_eq!(error.code(), "evm.funds", "{error}");
    // A high base fee is not paid, and waits.
    world.anvil.give(key().address()).await;
    world.anvil.ask("anvil_setNextBlockBaseFeePerGas", json!(["0x174876e800"])).await.unwrap();
    world.anvil.mine(1).await;
    let config = EvmConfig { gas_fee_max_gwei: 50, ..world.config() };
    let error = with(config, key()).step().await.unwrap_err();
    assert!(error.code() == "evm.fee_cap" && error.is_passing(), "{error}");
    assert!(outbox.intent().unwrap().is_none());
    world.assert_anchored(&[]).await;
}

fn attestation(registry: &Registry) -> Post {
    let inputs: Vec<Digest> = registry.inputs.iter().map(|input| Digest(*input)).collect();
    Post::Attestation(Box::new(Attestation {
        commitment: digest(5),
        proof: HexBytes(registry.proof.clone()),
        inputs: inputs.try_into().unwrap(),
        nonce: Digest(NONCE),
    }))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attestation_is_registered_where_the_chain_checks_proofs() {
    if is_absent() {
        return;
    }
    let mut world = World::start(&["--hardfork", "prague"]).await;
    let registry = Registry::deploy(&world.anvil).await;
    world.registry = Some(registry.address);
    let outbox = world.outbox();
    outbox.submit(attestation(&registry)).unwrap();
    let ledger = world.ledger(outbox.clone());
    assert_eq!(ledger.probe().await.unwrap(), Mode::Proofs);
    let settled = world.settle_all(&ledger).await;
    assert_eq!(settled[0].end, End::Registered);
    println!("register by the adapter: {} gas", settled[0].gas_used.unwrap());
    assert!(settled[0].gas_used.unwrap() <= 280_000);

    // The same again is there already; another with its nullifier, or one that does not hold, is refused.
    outbox.submit(attestation(&registry)).unwrap();
    for changed in [2, 4, 3] {
        let mut other = registry.clone();
        other.inputs[changed] = abi::word(changed as u64);
        outbox.submit(attestation(&other)).unwrap();
    }
    let ends: Vec<_> = world.settle_all(&ledger).await.into_iter().map(|s| (s.end, s.reason)).collect();
    let refused = |reason: &str| (End::Refused, Some(reason.to_owned()));
    let [double, false_inputs, elsewhere] =
        ["AlreadyRegistered", "ProofRefused", "AlreadyRegistered"].map(refused);
    assert_eq!(ends, [(End::Registered, None), double, false_inputs, elsewhere]);
    world.assert_anchored(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_without_the_precompiles_takes_commitments_only() {
    if is_absent() {
        return;
    }
    let prague = Anvil::start(&["--hardfork", "prague"]);
    let registry = Registry::deploy(&prague).await;
    let mut world = World::start(&["--hardfork", "cancun"]).await;
    world.registry = Some(registry.address);
    let outbox = world.outbox();
    outbox.submit(attestation(&registry)).unwrap();
    outbox.submit(checkpoint(1, 1)).unwrap();
    let ledger = world.ledger(outbox);
    assert_eq!(ledger.probe().await.unwrap(), Mode::AnchorsOnly);
    let ends: Vec<_> = world.settle_all(&ledger).await.iter().map(|settled| settled.end).collect();
    assert_eq!(ends, [End::CommitmentOnly, End::Anchored]);
    world.assert_anchored(&[5]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_from_before_fee_markets_takes_anchors() {
    if is_absent() {
        return;
    }
    let world = World::start(&["--hardfork", "berlin"]).await;
    let outbox = world.outbox();
    outbox.submit(commitments(&[1])).unwrap();
    let settled = world.settle_all(&world.ledger(outbox)).await;
    assert_eq!(settled[0].end, End::Anchored);
    world.assert_anchored(&[1]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loop_outlives_a_node_that_comes_late() {
    if is_absent() {
        return;
    }
    let state = tempfile::tempdir().unwrap();
    let file = state.path().join("state.json").display().to_string();
    let arguments = ["--hardfork", "prague", "--state", &file];
    let world = World::start(&arguments).await;
    let outbox = world.outbox();
    outbox.submit(commitments(&[1])).unwrap();
    let ledger = world.ledger(outbox.clone());
    let World { anvil, anchor_log, registry, folder } = world;
    let port = anvil.port;
    anvil.stop();
    // The loop runs while the node is away, and while it comes back.
    let comes_back = async {
        while ledger.status().failure.is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(ledger.status().failure.unwrap().0, "evm.away");
        let anvil = Anvil::start_at(port, &arguments);
        while outbox.waiting() > 0 {
            anvil.mine(1).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(ledger.status().failure.is_none());
        World { anvil, anchor_log, registry, folder }.assert_anchored(&[1]).await;
    };
    ledger.run(None, comes_back).await;
    assert_eq!(outbox.waiting(), 0);
}

#[test]
fn one_process_uses_an_outbox() {
    let folder = tempfile::tempdir().unwrap();
    let first = FileOutbox::open(folder.path()).unwrap();
    assert!(matches!(FileOutbox::open(folder.path()), Err(EvmError::Outbox { .. })));
    drop(first);
    assert!(FileOutbox::open(Path::new(folder.path())).is_ok());
}
