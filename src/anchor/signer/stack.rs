//! The stack's remote signer: REST, one account per path. Pure.

use alloy::{
    consensus::{TxEip1559, TypedTransaction},
    primitives::{Address, Bytes},
};
use serde_json::{Value, json};

use super::{
    exchange::failure,
    http::{Ask, bytes},
};

/// The accounts that the signer signs for.
pub(super) fn keys() -> Ask {
    Ask { path: "api/v1/keys".to_owned(), body: None }
}

/// The request for a signature. Quantities are numbers: the signer refuses texts. `None` for a type
/// that it does not know.
pub(super) fn sign(account: Address, transaction: &TypedTransaction) -> Option<Ask> {
    let TypedTransaction::Eip1559(TxEip1559 {
        chain_id,
        nonce,
        gas_limit,
        max_fee_per_gas,
        max_priority_fee_per_gas,
        to,
        value,
        access_list: _,
        input,
    }) = transaction
    else {
        return None;
    };
    let body = json!({
        "chain_id": chain_id,
        "to": to.to()?.to_checksum(None),
        "nonce": nonce,
        "gas_limit": gas_limit,
        "max_fee_per_gas": max_fee_per_gas,
        "max_priority_fee_per_gas": max_priority_fee_per_gas,
        "value": u128::try_from(*value).ok()?,
        "data": input,
    });
    let path = format!("api/v1/sign/{}/transaction", account.to_checksum(None));
    Some(Ask { path, body: Some(body) })
}

/// The accounts in the answer.
pub(super) fn held(answer: &Value) -> Vec<Address> {
    let keys = answer["keys"].as_array().into_iter().flatten();
    keys.filter_map(|key| key.as_str()?.parse().ok()).collect()
}

/// The signed transaction in the answer, or what the signer says instead.
pub(super) fn signed(answer: &Value) -> Result<Bytes, String> {
    match failure(&answer["error"]) {
        Some(said) => Err(said),
        None => bytes(&answer["signed_transaction"])
            .ok_or_else(|| "its answer has no signed_transaction in hex".to_owned()),
    }
}
