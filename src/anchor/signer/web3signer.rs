//! Web3Signer: JSON-RPC with `eth_signTransaction`. Pure.

use alloy::{
    consensus::{Transaction, TypedTransaction},
    eips::Typed2718,
    primitives::{Address, Bytes, U256},
};
use serde_json::{Value, json};

use super::{
    exchange::failure,
    http::{Ask, bytes},
};

/// The accounts that the signer signs for.
pub(super) fn keys() -> Ask {
    ask("eth_accounts", &json!([]))
}

/// The request for a signature.
pub(super) fn sign(account: Address, transaction: &TypedTransaction) -> Ask {
    let mut asked = json!({
        "from": account,
        "to": transaction.to(),
        "gas": quantity(transaction.gas_limit()),
        "nonce": quantity(transaction.nonce()),
        "value": transaction.value(),
        "data": transaction.input(),
        "chainId": transaction.chain_id().map(quantity),
    });
    let max_fee = quantity(transaction.max_fee_per_gas());
    if transaction.is_legacy() {
        asked["gasPrice"] = max_fee;
    } else {
        asked["maxFeePerGas"] = max_fee;
        asked["maxPriorityFeePerGas"] =
            quantity(transaction.max_priority_fee_per_gas().unwrap_or_default());
    }
    ask("eth_signTransaction", &json!([asked]))
}

/// The accounts in the answer.
pub(super) fn held(answer: &Value) -> Vec<Address> {
    let accounts = answer["result"].as_array().into_iter().flatten();
    accounts.filter_map(|account| account.as_str()?.parse().ok()).collect()
}

/// The signed transaction in the answer, or what the signer says instead.
pub(super) fn signed(answer: &Value) -> Result<Bytes, String> {
    match failure(&answer["error"]) {
        Some(said) => Err(said),
        None => bytes(&answer["result"])
            .ok_or_else(|| "its answer has no signed transaction in hex".to_owned()),
    }
}

fn ask(method: &str, params: &Value) -> Ask {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    Ask { path: String::new(), body: Some(body) }
}

fn quantity(number: impl Into<u128>) -> Value {
    json!(U256::from(number.into()))
}
