//! The whole engine on a real chain: results are anchored once each, whoever is killed, and a receipt says where.

use std::time::Duration;

use serde_json::{Value, json};

use crate::abi;
use crate::node::{Anvil, RICH, is_absent};
use crate::world::{Spec, World, small};

const COMMITMENT: &str = "CommitmentAnchored(bytes32)";

fn status(world: &World) -> Value {
    world.ward("nobody", &["engine", "status", "--data", &world.path("engine")]).ok().json()
}

/// Mines until the engine's status is as wanted.
async fn until(world: &World, anvil: Option<&Anvil>, what: &str, look: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..300 {
        if let Some(anvil) = anvil {
            anvil.mine(1).await;
        }
        let status = status(world);
        if look(&status) {
            return status;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("in vain waited until {what}: {}\n{}", status(world), world.logs());
}

fn is_settled(status: &Value, leaves: u64) -> bool {
    let covers = |anchor: &Value| anchor["kind"] == "checkpoint" && anchor["size"].as_u64() == Some(leaves);
    status["log_leaves"].as_u64() == Some(leaves)
        && status["anchoring"]["waiting"] == 0
        && status["anchors"].as_array().is_some_and(|anchors| anchors.iter().any(covers))
}

/// Asks a query as ada; its receipt's file.
fn ask(world: &World, sql: &str, name: &str) -> String {
    let receipt = world.path(name);
    world.ward("ada", &["submit", sql, "--time-limit", "60", "--receipt", &receipt]).ok();
    receipt
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_anchors_each_result_once_whoever_is_killed_and_receipts_say_where() {
    if is_absent() {
        return;
    }
    let spec = Spec { floor: 5, profile: "default-8192", threshold: None, hospitals: small(3, "") };
    let world = World::start(&spec);
    let data = world.path("engine");
    let made = world.ward("nobody", &["engine", "chain-key", "--data", &data]).ok().json();
    let again = world.ward("nobody", &["engine", "chain-key", "--data", &data]).ok().json();
    assert_eq!(made, again, "the key is made once");
    let engine = made["address"].as_str().unwrap().parse().unwrap();

    let state = world.path("chain.json");
    let arguments = ["--hardfork", "prague", "--state", &state];
    let anvil = Anvil::start(&arguments);
    anvil.give(engine).await;
    let admin = abi::address_word(anvil.account(RICH).await);
    let code = [&abi::code("AnchorLog")[..], &admin, &abi::address_word(engine)].concat();
    let (contract, _) = anvil.deploy(&code).await.unwrap();
    let config = format!(
        "[ledger.evm]\nendpoint = \"{}\"\nchain_id = 31337\nanchor_log = \"{contract}\"\nconfirmations = 2\n\
         poll_ms = 50\ncommitments = true\ncheckpoint_every_s = 0\n",
        anvil.url()
    );
    std::fs::write(format!("{data}/engine.toml"), config).unwrap();
    world.kill("engine");
    world.start_engine();
    world.wait_connected(3);

    // The key epoch is the first leaf.
    until(&world, Some(&anvil), "the epoch is anchored", |status| is_settled(status, 1)).await;
    let receipt = ask(&world, "SELECT COUNT(*) FROM t", "first.json");
    until(&world, Some(&anvil), "the result is anchored", |status| is_settled(status, 2)).await;

    // The receipt of before the anchor says nothing of it; fetched again, it does.
    let job = serde_json::from_slice::<Value>(&std::fs::read(&receipt).unwrap()).unwrap();
    let job = job["commitment"]["job_id"].as_str().unwrap().to_owned();
    world.ward("ada", &["result", &job, "--receipt", &receipt]).ok();
    let fetched: Value = serde_json::from_slice(&std::fs::read(&receipt).unwrap()).unwrap();
    let kinds: Vec<&str> =
        fetched["anchors"].as_array().unwrap().iter().map(|a| a["kind"].as_str().unwrap()).collect();
    assert!(kinds.contains(&"commitment") && kinds.contains(&"checkpoint"), "{fetched}");
    let ca = format!("{data}/ca/ca.pem");
    let verify = |contract: &str, url: &str| {
        world.ward(
            "nobody",
            &["verify", &receipt, "--authority", &ca, "--evm-rpc", url, "--anchor-log", contract],
        )
    };
    let said = verify(&contract.to_string(), &anvil.url()).ok().stdout;
    assert!(said.contains("by itself, in block"), "{said}");
    verify(&engine.to_string(), &anvil.url()).error(3, "evm.contract");
    verify(&contract.to_string(), "http://127.0.0.1:1").error(7, "evm.away");

    // The node drops: queries are answered all the same, and anchored when it is back.
    let port = anvil.port;
    anvil.stop();
    ask(&world, "SELECT COUNT(*) FROM t WHERE age < 50", "second.json");
    let waits =
        until(&world, None, "the failure is shown", |status| status["anchoring"]["failure"][0] == "evm.away")
            .await;
    assert_eq!(waits["log_leaves"], 3);
    let anvil = Anvil::start_at(port, &arguments);
    // And the engine is killed as it sends.
    world.kill("engine");
    world.start_engine();
    world.wait_connected(3);
    until(&world, Some(&anvil), "what waited is anchored", |status| is_settled(status, 3)).await;

    let events = anvil.events(contract, COMMITMENT).await;
    let mut digests: Vec<String> = events.iter().map(|event| event["topics"][1].to_string()).collect();
    assert_eq!(digests.len(), 3);
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), 3, "{}", json!(events));
    world.kill("engine");
    world.ward("nobody", &["engine", "audit", "--data", &data]).ok();
}
