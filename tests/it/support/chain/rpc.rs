//! What a test asks a node and does to it: JSON-RPC, with types where they help.

use alloy::{
    hex,
    primitives::{Address, B256, Bytes, Log, U256},
    sol_types::{Revert, SolCall, SolError},
};
use serde_json::{Value, json};

use crate::support::process::{eventually, json};

/// A JSON-RPC endpoint: a node's, or a proxy before it.
pub struct Rpc {
    url: String,
    http: reqwest::Client,
}

/// An error answer.
#[derive(Debug)]
pub struct Refused {
    pub message: String,
    /// What a contract reverted with.
    pub data: Vec<u8>,
}

impl Refused {
    /// The text that a contract reverted with.
    pub fn reason(&self) -> String {
        Revert::abi_decode(&self.data).unwrap_or_else(|_| panic!("no text in {self:?}")).reason
    }

    /// Whether a contract reverted with this error.
    pub fn is(&self, error: &impl SolError) -> bool {
        self.data == error.abi_encode()
    }
}

/// A log and its position in the chain.
#[derive(Clone, Debug, PartialEq)]
pub struct Logged {
    pub log: Log,
    pub block: u64,
    pub block_hash: B256,
    pub transaction: B256,
}

/// What became of a mined transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct Receipt {
    pub succeeded: bool,
    pub gas_used: u64,
    pub block: u64,
    pub block_hash: B256,
    pub transaction: B256,
    /// The contract that it created.
    pub created: Option<Address>,
    pub logs: Vec<Logged>,
}

impl Rpc {
    pub fn new(url: &str) -> Self {
        Self { url: url.into(), http: crate::support::process::http() }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Asks, and wants a result.
    pub async fn call(&self, method: &str, params: Value) -> Value {
        let answer = self.try_call(method, params).await;
        answer.unwrap_or_else(|refused| panic!("{method}: {refused:?}"))
    }

    /// Asks; an error is an answer too.
    pub async fn try_call(&self, method: &str, params: Value) -> Result<Value, Refused> {
        let asked = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let request = self.http.post(&self.url).header("content-type", "application/json");
        let mut answer = json(request.body(asked.to_string()).send().await.unwrap()).await;
        match answer.get("error") {
            None => Ok(answer["result"].take()),
            Some(error) => Err(Refused {
                message: error["message"].as_str().unwrap_or_default().to_owned(),
                data: error["data"]
                    .as_str()
                    .map(|data| hex::decode(data).unwrap())
                    .unwrap_or_default(),
            }),
        }
    }

    /// The node's rich account of this number, 0 to 9.
    pub async fn account(&self, number: usize) -> Address {
        parsed(&self.call("eth_accounts", json!([])).await[number])
    }

    /// Mines blocks.
    pub async fn mine(&self, blocks: u64) {
        self.call("anvil_mine", json!([blocks])).await;
    }

    /// The number of the `latest`, `safe` or `finalized` block.
    pub async fn block_number(&self, tag: &str) -> u64 {
        quantity(&self.block(tag).await["number"])
    }

    /// A block by tag or hexadecimal number, with the hashes of its transactions.
    pub async fn block(&self, tag: &str) -> Value {
        self.call("eth_getBlockByNumber", json!([tag, false])).await
    }

    /// What a view function says.
    pub async fn call_contract<C: SolCall>(
        &self,
        to: Address,
        call: C,
    ) -> Result<C::Return, Refused> {
        self.call_as(Address::ZERO, to, call).await
    }

    /// What a function would say to this account; nothing is changed.
    pub async fn call_as<C: SolCall>(
        &self,
        from: Address,
        to: Address,
        call: C,
    ) -> Result<C::Return, Refused> {
        let call_data = hex::encode_prefixed(call.abi_encode());
        let params = json!([{ "from": from.to_string(), "to": to.to_string(), "data": call_data }, "latest"]);
        let returned = self.try_call("eth_call", params).await?;
        Ok(C::abi_decode_returns(&parsed::<Bytes>(&returned)).unwrap())
    }

    /// Has an account call a function, and waits for the receipt.
    pub async fn send_as(&self, from: Address, to: Address, call: impl SolCall) -> Receipt {
        let hash = self.submit(from, Some(to), &call.abi_encode()).await;
        self.included(hash).await
    }

    /// Has an account create a contract.
    pub async fn create_as(&self, from: Address, code: &[u8]) -> Address {
        let hash = self.submit(from, None, code).await;
        self.included(hash).await.created.unwrap()
    }

    /// Has the node sign for an unlocked account and take the transaction in; it may stay pending.
    pub async fn submit(&self, from: Address, to: Option<Address>, data: &[u8]) -> B256 {
        let mut transaction =
            json!({ "from": from.to_string(), "data": hex::encode_prefixed(data) });
        if let Some(to) = to {
            transaction["to"] = json!(to.to_string());
        }
        parsed(&self.call("eth_sendTransaction", json!([transaction])).await)
    }

    /// The receipt of a transaction that succeeds, with a block mined for it where the node mines
    /// only on request.
    pub async fn included(&self, hash: B256) -> Receipt {
        let receipt = self.settled(hash).await;
        assert!(receipt.succeeded, "reverted: {receipt:?}");
        receipt
    }

    /// The same where it may have failed.
    pub async fn settled(&self, hash: B256) -> Receipt {
        if self.call("anvil_getAutomine", json!([])).await == json!(false) {
            self.mine(1).await;
        }
        let mut receipt = None;
        eventually("a receipt is there", async || {
            receipt = self.receipt(hash).await;
            receipt.is_some()
        })
        .await;
        receipt.unwrap()
    }

    /// The receipt of a transaction that was mined.
    pub async fn receipt(&self, hash: B256) -> Option<Receipt> {
        let reply = self.call("eth_getTransactionReceipt", json!([hash.to_string()])).await;
        let logs = reply["logs"].as_array()?.iter().map(logged).collect();
        Some(Receipt {
            succeeded: quantity(&reply["status"]) == 1,
            gas_used: quantity(&reply["gasUsed"]),
            block: quantity(&reply["blockNumber"]),
            block_hash: parsed(&reply["blockHash"]),
            transaction: parsed(&reply["transactionHash"]),
            created: reply["contractAddress"]
                .is_string()
                .then(|| parsed(&reply["contractAddress"])),
            logs,
        })
    }

    /// The logs of a contract, all blocks, oldest first.
    pub async fn logs(&self, contract: Address) -> Vec<Logged> {
        let filter =
            json!({ "address": contract.to_string(), "fromBlock": "0x0", "toBlock": "latest" });
        let reply = self.call("eth_getLogs", json!([filter])).await;
        reply.as_array().unwrap().iter().map(logged).collect()
    }

    /// How many transactions of an account there are, at a tag.
    pub async fn transaction_count(&self, account: Address, tag: &str) -> u64 {
        quantity(&self.call("eth_getTransactionCount", json!([account.to_string(), tag])).await)
    }

    /// A word of a contract's storage.
    pub async fn storage_at(&self, contract: Address, slot: B256) -> B256 {
        let params = json!([contract.to_string(), slot.to_string(), "latest"]);
        parsed(&self.call("eth_getStorageAt", params).await)
    }
}

fn logged(reply: &Value) -> Logged {
    let topics = reply["topics"].as_array().unwrap().iter().map(parsed).collect();
    Logged {
        log: Log::new_unchecked(parsed(&reply["address"]), topics, parsed(&reply["data"])),
        block: quantity(&reply["blockNumber"]),
        block_hash: parsed(&reply["blockHash"]),
        transaction: parsed(&reply["transactionHash"]),
    }
}

/// A hexadecimal number.
pub fn quantity(reply: &Value) -> u64 {
    parsed::<U256>(reply).to()
}

fn parsed<T: std::str::FromStr>(reply: &Value) -> T {
    reply
        .as_str()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| panic!("unexpected {reply}"))
}
