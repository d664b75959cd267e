//! What a reserved call costs, or why it is not signed.

use alloy::primitives::Bytes;
use chrono::{DateTime, Utc};

use super::{Blocked, blocked::unreachable_reason};
use crate::anchor::{
    account::{AccountState, InFlight, PricedCall},
    evm::{AtBlock, Refusal, RegistryClient, RpcError, calldata},
    fees::{FeeInputs, Fees, SpendLimits, compute_fees},
    plan::{HeadState, Purpose, Reservation},
    reason::AnchorReason,
    signer::{Unsigned, unsigned_bytes},
};

/// Prices a reserved call. A replacement is estimated anew: what it needs may have changed.
pub(super) async fn price(
    client: &RegistryClient,
    at: AtBlock<'_>,
    state: &AccountState,
    head: HeadState,
    reservation: &Reservation,
    limits: &SpendLimits,
    now: DateTime<Utc>,
) -> Result<PricedCall, Blocked> {
    let to = client.registry.address;
    let (agent, call, data, budget, last) = match (reservation.purpose(), &state.in_flight) {
        (Purpose::Bump, Some(sent)) => {
            let InFlight { agent, call, data, budget, .. } = sent.clone();
            (agent, call, data, budget, sent.replaced())
        }
        (Purpose::Bump, None) => return Err(AnchorReason::Pending.into()),
        (Purpose::Open { agent, call }, _) => {
            (agent.clone(), call.to_string(), calldata(call), call.budget(), None)
        }
    };
    let gas = client.estimate(at, state.account, &data).await.map_err(|error| Blocked {
        reason: refusal(&error),
        message: format!("{call} for {agent} is not sent: {error}"),
    })?;
    let sample = Fees { max_fee: limits.max_fee, tip: head.tip.min(limits.max_fee) };
    let unsigned = unsigned_bytes(
        reservation.nonce(),
        &Unsigned {
            chain_id: client.registry.chain_id,
            to,
            data: &data,
            gas,
            fees: sample,
            is_legacy: client.legacy_fees,
        },
    );
    let data_fee = client.data_fee(at, &Bytes::from(unsigned)).await;
    let inputs = FeeInputs {
        base_fee: head.base_fee,
        tip: head.tip,
        balance: head.balance,
        spent: state.spent(budget, now),
        data_fee,
    };
    let fees = compute_fees(gas, last, &inputs, &limits.within(budget))?;
    Ok(PricedCall { agent, call, to, data, gas, fees, data_fee, budget })
}

/// A call that the registry rejects must not be paid for, and neither must one that could not be
/// estimated.
fn refusal(error: &RpcError) -> AnchorReason {
    if error.is_lack_of_funds() {
        return AnchorReason::NoFunds;
    }
    match error.refusal() {
        Some(Refusal::Reverted) => AnchorReason::WouldRevert,
        Some(
            Refusal::RateLimited | Refusal::TooWide { .. } | Refusal::UnknownBlock | Refusal::Other,
        )
        | None => unreachable_reason(error),
    }
}
