//! What a signer returned, compared with what it was asked for. Pure.

use alloy::{
    consensus::{Transaction, TxEnvelope, TypedTransaction, transaction::SignerRecoverable},
    eips::{
        Typed2718,
        eip2718::{Decodable2718, Encodable2718},
    },
    primitives::{Address, Bytes},
};

use super::{Signed, SignerError};

/// Accepts bytes only if they are exactly the transaction that was asked for, signed by the account.
pub(super) fn verify(
    asked: &TypedTransaction,
    raw: &Bytes,
    account: Address,
) -> Result<Signed, SignerError> {
    let envelope = TxEnvelope::decode_2718_exact(raw)
        .map_err(|error| SignerError::Unreadable(error.to_string()))?;
    if let Some(field) = changed(asked, &TypedTransaction::from(envelope.clone())) {
        return Err(SignerError::Changed(field));
    }
    if envelope.recover_signer().ok() != Some(account) {
        return Err(SignerError::Signature(account));
    }
    Ok(Signed { hash: *envelope.tx_hash(), raw: envelope.encoded_2718().into() })
}

/// The first field in which two transactions differ.
fn changed(asked: &TypedTransaction, got: &TypedTransaction) -> Option<&'static str> {
    let fields = [
        ("type", asked.ty() == got.ty()),
        ("chain id", asked.chain_id() == got.chain_id()),
        ("nonce", asked.nonce() == got.nonce()),
        ("recipient", asked.kind() == got.kind()),
        ("value", asked.value() == got.value()),
        ("gas limit", asked.gas_limit() == got.gas_limit()),
        ("fee per gas", asked.max_fee_per_gas() == got.max_fee_per_gas()),
        ("tip", asked.max_priority_fee_per_gas() == got.max_priority_fee_per_gas()),
        ("data", asked.input() == got.input()),
        // Whatever a type has besides, such as an access list.
        ("field", asked == got),
    ];
    fields.into_iter().find(|(_, is_same)| !is_same).map(|(field, _)| field)
}
