//! A real EVM node for a test: Foundry's anvil as a child process, and its JSON-RPC.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use alloy_primitives::{Address, B256, hex};
use serde_json::{Value, json};

/// Where `deploy/contracts/build.sh` puts it, or what `WARD_ANVIL` names.
fn binary() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("WARD_ANVIL") {
        return Some(named.into());
    }
    let tools = std::env::var_os("WARD_EVM_TOOLS").map(PathBuf::from).or_else(|| {
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let cache =
            cache.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))?;
        Some(cache.join("ward/evm-tools"))
    })?;
    let path = tools.join("node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil");
    path.exists().then_some(path)
}

/// Whether there is a node to test with; says so when there is none, and fails where servers are required.
pub fn is_absent() -> bool {
    let absent = binary().is_none();
    if absent {
        assert!(
            std::env::var_os("WARD_TEST_SERVERS").is_none_or(|value| value != "required"),
            "no anvil here, and WARD_TEST_SERVERS=required"
        );
        eprintln!(
            "SKIPPED: no anvil here; deploy/contracts/build.sh --tools installs it, or name it in WARD_ANVIL"
        );
    }
    absent
}

/// A running node; killed on drop.
pub struct Anvil {
    child: Child,
    pub port: u16,
    client: reqwest::Client,
}

/// The first of the accounts that anvil holds keys of.
pub const RICH: usize = 0;

impl Anvil {
    /// Starts a node that mines every transaction at once.
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_at(0, arguments)
    }

    pub fn start_at(port: u16, arguments: &[&str]) -> Self {
        let mut command = Command::new(binary().expect("is_absent was asked"));
        command.args(["--port", &port.to_string(), "--host", "127.0.0.1", "--accounts", "3"]).args(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("anvil starts");
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let port = lines
            .find_map(|line| {
                let line = line.ok()?;
                line.strip_prefix("Listening on ")?.rsplit(':').next()?.trim().parse().ok()
            })
            .expect("anvil says where it listens");
        std::thread::spawn(move || lines.for_each(drop));
        let client = ward_engine::http::client().timeout(Duration::from_secs(20)).build().unwrap();
        Self { child, port, client }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Ends it as an operator would; it writes its state, if it was told to.
    pub fn stop(mut self) {
        Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends it as a power cut would.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub async fn ask(&self, method: &str, params: Value) -> Result<Value, Value> {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let sent = self.client.post(self.url()).header("content-type", "application/json");
        let answer = sent.body(request.to_string()).send().await.unwrap().bytes().await.unwrap();
        let mut answer: Value = serde_json::from_slice(&answer).unwrap();
        if answer["error"].is_null() { Ok(answer["result"].take()) } else { Err(answer["error"].take()) }
    }

    pub async fn account(&self, index: usize) -> Address {
        let accounts = self.ask("eth_accounts", json!([])).await.unwrap();
        accounts[index].as_str().unwrap().parse().unwrap()
    }

    pub async fn give(&self, address: Address) {
        let wei = json!([address.to_string(), "0x8ac7230489e80000"]);
        self.ask("anvil_setBalance", wei).await.unwrap();
    }

    pub async fn mine(&self, blocks: u64) {
        self.ask("anvil_mine", json!([format!("{blocks:#x}")])).await.unwrap();
    }

    pub async fn call(&self, to: Address, data: &[u8]) -> Result<Vec<u8>, Vec<u8>> {
        let call = json!([{"to": to.to_string(), "data": hex::encode_prefixed(data)}, "latest"]);
        match self.ask("eth_call", call).await {
            Ok(answer) => Ok(hex::decode(answer.as_str().unwrap()).unwrap()),
            Err(error) => Err(hex::decode(error["data"].as_str().unwrap_or("0x")).unwrap()),
        }
    }

    /// Sends from an account of the node's and returns the receipt.
    pub async fn transact(&self, from: usize, to: Option<Address>, data: &[u8]) -> Result<Value, Vec<u8>> {
        let mut call = json!({
            "from": self.account(from).await.to_string(),
            "data": hex::encode_prefixed(data),
            "gas": "0xe4e1c0",
            "gasPrice": "0x2540be400",
        });
        if let Some(to) = to {
            call["to"] = json!(to.to_string());
        }
        let sent = self.ask("eth_sendTransaction", json!([call])).await;
        let hash = sent.map_err(|e| hex::decode(e["data"].as_str().unwrap_or("0x")).unwrap())?;
        Ok(self.await_receipt(hash.as_str().unwrap().parse().unwrap()).await)
    }

    /// The receipt: a node that mines at once does so a moment after it answers.
    pub async fn await_receipt(&self, hash: B256) -> Value {
        for _ in 0..500 {
            let receipt = self.ask("eth_getTransactionReceipt", json!([hash.to_string()])).await.unwrap();
            if !receipt.is_null() {
                return receipt;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the transaction is not mined");
    }

    pub async fn deploy(&self, code: &[u8]) -> Result<(Address, u64), Vec<u8>> {
        let receipt = self.transact(RICH, None, code).await?;
        if receipt["status"] != "0x1" {
            return Err(Vec::new());
        }
        let address = receipt["contractAddress"].as_str().unwrap().parse().unwrap();
        Ok((address, quantity(&receipt["gasUsed"])))
    }

    /// Events of a contract by their first topic.
    pub async fn events(&self, address: Address, signature: &str) -> Vec<Value> {
        let topic = alloy_primitives::keccak256(signature);
        let filter =
            json!([{"fromBlock": "0x0", "address": address.to_string(), "topics": [topic.to_string()]}]);
        self.ask("eth_getLogs", filter).await.unwrap().as_array().unwrap().clone()
    }

    pub async fn has_receipt(&self, hash: B256) -> bool {
        !self.ask("eth_getTransactionReceipt", json!([hash.to_string()])).await.unwrap().is_null()
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn quantity(value: &Value) -> u64 {
    u64::from_str_radix(value.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}
