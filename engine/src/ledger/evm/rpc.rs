//! The node's JSON-RPC over HTTP: the dozen methods that anchoring needs.
//!
//! Answers come from outside: sizes are bounded and every field is checked. Nothing is retried here.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use alloy_primitives::{Address, B256, Bytes};
use serde_json::{Value, json};

use super::EvmError;
use crate::identity::clip;

const CALL: Duration = Duration::from_secs(20);
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// A node.
pub(super) struct Rpc {
    client: reqwest::Client,
    url: reqwest::Url,
    host: String,
    next_id: AtomicU64,
}

/// A block, as far as it matters here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    pub number: u64,
    pub hash: B256,
    /// None on chains from before London.
    pub base_fee_wei: Option<u128>,
}

/// A mined transaction's outcome.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mined {
    pub block: u64,
    pub block_hash: B256,
    pub succeeded: bool,
    pub gas_used: u64,
}

/// The state that a call reads.
#[derive(Clone, Copy, Debug)]
pub(super) enum At {
    Latest,
    Block(u64),
}

impl At {
    fn json(self) -> Value {
        match self {
            Self::Latest => json!("latest"),
            Self::Block(number) => json!(format!("{number:#x}")),
        }
    }
}

/// What the node said to a request.
enum Said {
    Result(Value),
    Error { code: i64, message: String, data: Option<Bytes> },
}

impl Rpc {
    /// The node at that address. Plain HTTP is for nodes that only this network reaches.
    pub(super) fn new(endpoint: &str, plain_http: bool) -> Result<Self, EvmError> {
        let refuse = |reason: &str| EvmError::Config { field: "endpoint", reason: reason.to_owned() };
        let url = reqwest::Url::parse(endpoint.trim()).map_err(|_| refuse("not a URL"))?;
        let name = url.host_str().ok_or_else(|| refuse("no host"))?;
        let local = matches!(name, "localhost" | "127.0.0.1" | "[::1]");
        match url.scheme() {
            "https" => {}
            "http" if local || plain_http => {}
            "http" => {
                return Err(refuse(
                    "http to another machine: use https, or set plain_http on a closed network",
                ));
            }
            _ => return Err(refuse("neither http nor https")),
        }
        let host = format!("{name}:{}", url.port_or_known_default().unwrap_or_default());
        let client = crate::http::client().timeout(CALL).connect_timeout(CALL / 2).build();
        let client = client.map_err(|e| refuse(&e.without_url().to_string()))?;
        Ok(Self { client, url, host, next_id: AtomicU64::new(1) })
    }

    pub(super) async fn chain_id(&self) -> Result<u64, EvmError> {
        number("eth_chainId", &self.ask("eth_chainId", json!([])).await?)
    }

    pub(super) async fn block(&self, at: At) -> Result<Option<Block>, EvmError> {
        const METHOD: &str = "eth_getBlockByNumber";
        let block = self.ask(METHOD, json!([at.json(), false])).await?;
        if block.is_null() {
            return Ok(None);
        }
        let base_fee_wei = match &block["baseFeePerGas"] {
            Value::Null => None,
            fee => Some(wide(METHOD, fee)?),
        };
        let (number, hash) = (number(METHOD, &block["number"])?, word(METHOD, &block["hash"])?);
        Ok(Some(Block { number, hash, base_fee_wei }))
    }

    pub(super) async fn latest(&self) -> Result<Block, EvmError> {
        let found = self.block(At::Latest).await?;
        found.ok_or(EvmError::Answer { method: "eth_getBlockByNumber", reason: "there is no latest block" })
    }

    /// How many transactions of the address are mined: its next nonce.
    pub(super) async fn transaction_count(&self, address: Address, at: At) -> Result<u64, EvmError> {
        const METHOD: &str = "eth_getTransactionCount";
        number(METHOD, &self.ask(METHOD, json!([address.to_string(), at.json()])).await?)
    }

    /// The balance, the largest u128 when it is larger.
    pub(super) async fn balance_wei(&self, address: Address) -> Result<u128, EvmError> {
        const METHOD: &str = "eth_getBalance";
        let balance = self.ask(METHOD, json!([address.to_string(), "latest"])).await?;
        Ok(wide(METHOD, &balance).unwrap_or(u128::MAX))
    }

    pub(super) async fn has_code(&self, address: Address) -> Result<bool, EvmError> {
        const METHOD: &str = "eth_getCode";
        let code = self.ask(METHOD, json!([address.to_string(), "latest"])).await?;
        Ok(!bytes(METHOD, &code)?.is_empty())
    }

    /// Calls without a transaction. A revert is the contract's answer: [`EvmError::Reverted`].
    pub(super) async fn call(&self, name: &'static str, to: Address, data: &[u8]) -> Result<Bytes, EvmError> {
        let request = json!([{ "to": to.to_string(), "data": hex_of(data) }, "latest"]);
        let said = self.say("eth_call", request).await?;
        bytes("eth_call", &settled("eth_call", name, said)?)
    }

    pub(super) async fn estimate_gas(
        &self,
        name: &'static str,
        from: Address,
        to: Address,
        data: &[u8],
    ) -> Result<u64, EvmError> {
        const METHOD: &str = "eth_estimateGas";
        let request = json!({ "from": from.to_string(), "to": to.to_string(), "data": hex_of(data) });
        let said = self.say(METHOD, json!([request])).await?;
        number(METHOD, &settled(METHOD, name, said)?)
    }

    pub(super) async fn gas_price_wei(&self) -> Result<u128, EvmError> {
        wide("eth_gasPrice", &self.ask("eth_gasPrice", json!([])).await?)
    }

    /// Sends a signed transaction. A node that has it already is content.
    pub(super) async fn send(&self, raw: &[u8]) -> Result<(), EvmError> {
        const METHOD: &str = "eth_sendRawTransaction";
        match self.say(METHOD, json!([hex_of(raw)])).await? {
            Said::Result(_) => Ok(()),
            Said::Error { code, message, .. } => {
                let text = message.to_ascii_lowercase();
                let has_it = text.contains("already") && (text.contains("known") || text.contains("import"));
                if has_it || text.contains("known transaction") {
                    return Ok(());
                }
                Err(EvmError::Refused { method: METHOD, code, message })
            }
        }
    }

    /// The receipt, when the transaction is in a block.
    pub(super) async fn mined(&self, transaction: B256) -> Result<Option<Mined>, EvmError> {
        const METHOD: &str = "eth_getTransactionReceipt";
        let receipt = self.ask(METHOD, json!([transaction.to_string()])).await?;
        if receipt.is_null() || receipt["blockNumber"].is_null() {
            return Ok(None);
        }
        Ok(Some(Mined {
            block: number(METHOD, &receipt["blockNumber"])?,
            block_hash: word(METHOD, &receipt["blockHash"])?,
            succeeded: number(METHOD, &receipt["status"])? == 1,
            gas_used: number(METHOD, &receipt["gasUsed"])?,
        }))
    }

    async fn ask(&self, method: &'static str, params: Value) -> Result<Value, EvmError> {
        match self.say(method, params).await? {
            Said::Result(value) => Ok(value),
            Said::Error { code, message, .. } => Err(EvmError::Refused { method, code, message }),
        }
    }

    async fn say(&self, method: &'static str, params: Value) -> Result<Said, EvmError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let request = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let answer = self.post(request.to_string()).await?;
        let malformed = |reason| EvmError::Answer { method, reason };
        let mut answer: Value = serde_json::from_slice(&answer).map_err(|_| malformed("not JSON"))?;
        if answer["id"].as_u64() != Some(id) {
            return Err(malformed("another request's answer"));
        }
        let error = answer["error"].take();
        if error.is_null() {
            let fields = answer.as_object_mut().ok_or_else(|| malformed("not an object"))?;
            let result = fields.remove("result").ok_or_else(|| malformed("neither result nor error"))?;
            return Ok(Said::Result(result));
        }
        let data = error["data"].as_str().and_then(|data| data.parse().ok());
        let message = clip(error["message"].as_str().unwrap_or("no message"));
        Ok(Said::Error { code: error["code"].as_i64().unwrap_or_default(), message, data })
    }

    async fn post(&self, body: String) -> Result<Vec<u8>, EvmError> {
        let away = |error: reqwest::Error| EvmError::Away { host: self.host.clone(), reason: causes(error) };
        let refused = |reason: String| EvmError::Away { host: self.host.clone(), reason };
        let request = self.client.post(self.url.clone()).header("content-type", "application/json");
        let mut response = request.body(body).send().await.map_err(away)?;
        if !response.status().is_success() {
            return Err(refused(format!("HTTP status {}", response.status().as_u16())));
        }
        let mut answer = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(away)? {
            if answer.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(refused(format!("an answer of more than {ANSWER_BYTES_MAX} bytes")));
            }
            answer.extend_from_slice(&chunk);
        }
        Ok(answer)
    }
}

/// The innermost cause; never the URL.
fn causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    clip(&cause.to_string())
}

/// The result, or the contract's refusal.
fn settled(method: &'static str, call: &'static str, said: Said) -> Result<Value, EvmError> {
    match said {
        Said::Result(value) => Ok(value),
        Said::Error { data: Some(data), .. } if !data.is_empty() => {
            Err(EvmError::Reverted { call, reason: super::abi::reason(&data) })
        }
        // Code 3 is a revert (execution-apis); clients differ in whether they send an empty reason along.
        Said::Error { code: 3, message, .. } => Err(EvmError::Reverted { call, reason: message }),
        Said::Error { code, message, .. } => Err(EvmError::Refused { method, code, message }),
    }
}

fn hex_of(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

fn wide(method: &'static str, value: &Value) -> Result<u128, EvmError> {
    let digits = value.as_str().and_then(|text| text.strip_prefix("0x"));
    digits
        .and_then(|digits| u128::from_str_radix(digits, 16).ok())
        .ok_or(EvmError::Answer { method, reason: "a quantity is malformed" })
}

fn number(method: &'static str, value: &Value) -> Result<u64, EvmError> {
    let wide = wide(method, value)?;
    u64::try_from(wide).map_err(|_| EvmError::Answer { method, reason: "a quantity is too large" })
}

fn word(method: &'static str, value: &Value) -> Result<B256, EvmError> {
    let parsed = value.as_str().and_then(|text| text.parse().ok());
    parsed.ok_or(EvmError::Answer { method, reason: "a hash is malformed" })
}

fn bytes(method: &'static str, value: &Value) -> Result<Bytes, EvmError> {
    let parsed = value.as_str().and_then(|text| text.parse().ok());
    parsed.ok_or(EvmError::Answer { method, reason: "bytes are malformed" })
}
