//! What the head shows, and what goes out: reads that decide nothing about nonces, so that any
//! endpoint may answer them.

use alloy::primitives::{Address, B256, Bytes, U64, U256};
use serde_json::{Value, json};

use super::{AtBlock, Endpoint, Refusal, RegistryClient, RpcError, events::receipt};
use crate::anchor::{
    account::{AccountState, FinalOutcome, InFlight},
    plan::HeadState,
};

/// The priority fee for a node that suggests none: one gwei, which no proposer refuses.
const FALLBACK_TIP: u128 = 1_000_000_000;

impl RegistryClient {
    /// Reads the head, at the decision's endpoint or, if that fails, at another one.
    pub(crate) async fn head(
        &self,
        at: AtBlock<'_>,
        state: &AccountState,
    ) -> Result<HeadState, RpcError> {
        let mut failure = None;
        for endpoint in self.beginning_with(at.endpoint()) {
            match self.head_at(endpoint, state).await {
                Ok(head) => {
                    let sent = state.in_flight.as_ref();
                    let last = sent.and_then(|sent| sent.attempts.last());
                    let is_known = match last {
                        Some(last) => self.is_known(last.hash).await,
                        None => false,
                    };
                    return Ok(HeadState { is_known, ..head });
                }
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        Err(failure.unwrap_or_else(|| at.endpoint().missing("the newest block")))
    }

    async fn head_at(
        &self,
        endpoint: &Endpoint,
        state: &AccountState,
    ) -> Result<HeadState, RpcError> {
        let account = state.account;
        let header = endpoint.header("the newest block", "latest").await?;
        let newest = json!({ "blockHash": header.hash, "requireCanonical": true });
        let mined: U64 = endpoint.ask("eth_getTransactionCount", json!([account, newest])).await?;
        let mined: u64 = mined.to();
        let pending = match pending(endpoint, account).await {
            Ok(count) => count,
            // Some chains have no pending block. Then only the journal knows what is pending; one
            // that has signed nothing yet may have been lost, so something may be.
            Err(error) if is_missing_tag(&error) && state.has_signed() => mined,
            Err(error) if is_missing_tag(&error) => mined + 1,
            Err(error) => return Err(error),
        };
        let balance: U256 = endpoint.ask("eth_getBalance", json!([account, newest])).await?;
        let base_fee = header.base_fee_per_gas.unwrap_or_default().saturating_to::<u128>();
        let (base_fee, tip) = self.fees(endpoint, base_fee).await;
        Ok(HeadState {
            mined,
            pending,
            base_fee,
            tip,
            balance: balance.saturating_to(),
            is_known: false,
        })
    }

    /// The base fee and the priority fee to pay on top of it.
    async fn fees(&self, endpoint: &Endpoint, base_fee: u128) -> (u128, u128) {
        if self.legacy_fees {
            return (0, wei(endpoint, "eth_gasPrice").await.unwrap_or(FALLBACK_TIP));
        }
        match wei(endpoint, "eth_maxPriorityFeePerGas").await {
            Ok(tip) if tip > 0 || base_fee > 0 => (base_fee, tip),
            // Where both are 0, as on Hedera, the gas price is what a transaction must pay.
            Ok(_) => (0, wei(endpoint, "eth_gasPrice").await.unwrap_or_default()),
            Err(_) => {
                let price = wei(endpoint, "eth_gasPrice").await;
                (base_fee, price.map_or(FALLBACK_TIP, |price| price.saturating_sub(base_fee)))
            }
        }
    }

    /// The transaction count of an account including what is pending, by the endpoint that has seen
    /// most. An endpoint that does not answer has seen nothing, unless all are so.
    pub(crate) async fn pending(&self, at: AtBlock<'_>, account: Address) -> Result<u64, RpcError> {
        let (mut most, mut failure) = (None, None);
        for endpoint in self.beginning_with(at.endpoint()) {
            match pending(endpoint, account).await {
                Ok(count) => most = most.max(Some(count)),
                Err(error) if is_missing_tag(&error) => {
                    let mined: U64 =
                        endpoint.ask("eth_getTransactionCount", json!([account, "latest"])).await?;
                    most = most.max(Some(mined.to()));
                }
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        most.ok_or_else(|| failure.unwrap_or_else(|| at.endpoint().missing("a pending count")))
    }

    /// The gas that a call needs at the head, with a quarter to spare. A revert is an error with
    /// its text.
    pub(crate) async fn estimate(
        &self,
        at: AtBlock<'_>,
        from: Address,
        data: &Bytes,
    ) -> Result<u64, RpcError> {
        let call = json!([{ "from": from, "to": self.registry.address, "input": data }]);
        let mut failure = None;
        for endpoint in self.beginning_with(at.endpoint()) {
            match endpoint.ask::<U64>("eth_estimateGas", call.clone()).await {
                Ok(gas) => return Ok(gas.to::<u64>().saturating_add(gas.to::<u64>() / 4)),
                Err(error) if error.refusal() == Some(Refusal::Reverted) => return Err(error),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        Err(failure.unwrap_or_else(|| at.endpoint().missing("eth_estimateGas")))
    }

    /// What the data of a transaction may cost on the chain below, wei: twice what it would have
    /// cost in the decision's block, or in the newest one where the node keeps no older state. The
    /// fee is charged when the transaction is included, and nothing in the transaction limits it.
    pub(crate) async fn data_fee(&self, at: AtBlock<'_>, unsigned: &Bytes) -> u128 {
        let fee = match at.data_fee(unsigned).await {
            Some(fee) => Some(fee),
            None if at.is_pruned().await => match at.at_head().await {
                Ok(head) => head.data_fee(unsigned).await,
                Err(_) => None,
            },
            None => None,
        };
        fee.unwrap_or_default().saturating_mul(2)
    }

    /// Sends signed bytes to every endpoint and returns the refusals.
    pub(crate) async fn broadcast(&self, raw: &Bytes) -> Vec<RpcError> {
        let mut refusals = Vec::new();
        for endpoint in &self.endpoints {
            let sent = endpoint.ask::<Value>("eth_sendRawTransaction", json!([raw])).await;
            refusals.extend(sent.err());
        }
        refusals
    }

    /// Whether some endpoint knows a transaction, pending or mined: a reason not to send it again,
    /// and nothing else.
    pub(crate) async fn is_known(&self, hash: B256) -> bool {
        for endpoint in &self.endpoints {
            let found = endpoint.ask::<Value>("eth_getTransactionByHash", json!([hash])).await;
            if found.is_ok_and(|found| found.is_object()) {
                return true;
            }
        }
        false
    }

    /// How the in-flight transaction ended, once its nonce is final. Each endpoint is asked, since
    /// one may lag; one that does not answer is left out, unless all are so.
    pub(crate) async fn outcome(&self, sent: Option<&InFlight>) -> Result<FinalOutcome, RpcError> {
        let (mut failure, mut has_answer) = (None, false);
        for attempt in sent.into_iter().flat_map(|sent| &sent.attempts) {
            for endpoint in &self.endpoints {
                match receipt(endpoint, attempt.hash).await {
                    Ok(Some(receipt)) => {
                        return Ok(match receipt.succeeded() {
                            Some(false) => FinalOutcome::Failed,
                            Some(true) | None => FinalOutcome::Succeeded,
                        });
                    }
                    Ok(None) => has_answer = true,
                    Err(error) => failure = failure.or(Some(error)),
                }
            }
        }
        match failure {
            Some(error) if !has_answer => Err(error),
            Some(_) | None => Ok(FinalOutcome::Foreign),
        }
    }
}

async fn pending(endpoint: &Endpoint, account: Address) -> Result<u64, RpcError> {
    let count: U64 = endpoint.ask("eth_getTransactionCount", json!([account, "pending"])).await?;
    Ok(count.to())
}

/// Whether a node refused a block tag as such.
fn is_missing_tag(error: &RpcError) -> bool {
    matches!(error.refusal(), Some(Refusal::Other | Refusal::UnknownBlock))
}

async fn wei(endpoint: &Endpoint, method: &'static str) -> Result<u128, RpcError> {
    let wei: U256 = endpoint.ask(method, json!([])).await?;
    Ok(wei.saturating_to())
}
