//! The effects of a decision: sign, record, send.

use chrono::{DateTime, Utc};

use super::{Action, Blocked, ChainTarget, Prepared, ReservedCall};
use crate::{
    anchor::{
        account::{AccountState, Attempt, PricedCall},
        evm::{RegistryClient, RpcError},
        journal::{JournalError, SharedJournal},
        reason::AnchorReason,
        signer::{Signer, Unsigned},
    },
    error_chain::with_causes,
};

/// Carries out what was prepared. Whatever the nodes reply, a nonce is freed by nothing but a final
/// count.
pub(crate) async fn execute(
    prepared: Prepared,
    target: &mut ChainTarget,
    signer: &Signer,
    journal: &SharedJournal,
    now: DateTime<Utc>,
) -> Result<AccountState, JournalError> {
    let Prepared { key, block: _, action, mut state, former, blocked } = prepared;
    let client = &target.client;
    for attempt in &former {
        send(client, attempt).await;
    }
    let mut blocked = blocked;
    match action {
        Action::Rest => {
            report(client, &mut target.last_blocked, blocked);
            return Ok(state);
        }
        Action::Wait | Action::Release => {}
        Action::Broadcast => broadcast(client, &mut state).await,
        Action::Sign(reserved) => match sign(*reserved, client, signer, now, &mut state).await {
            Ok(()) => {
                // Recorded before it is sent: after a crash the same bytes are sent again.
                journal.write(key, &state).await?;
                state.count_broadcast();
                broadcast(client, &mut state).await;
            }
            Err(failed) => {
                blocked = Some(failed);
                // Bytes that cannot be replaced are still worth sending.
                state.count_broadcast();
                broadcast(client, &mut state).await;
            }
        },
    }
    report(client, &mut target.last_blocked, blocked);
    journal.write(key, &state).await?;
    Ok(state)
}

/// Logs why nothing is signed, once.
fn report(client: &RegistryClient, last: &mut Option<Blocked>, blocked: Option<Blocked>) {
    if let Some(Blocked { reason, message }) = &blocked
        && blocked != *last
    {
        let chain_id = client.registry.chain_id;
        tracing::warn!(chain.id = chain_id, anchor.reason = %reason, "Nothing is signed: {message}");
    }
    *last = blocked;
}

/// Signs a call and records the signature in the state, or records that the signer failed.
async fn sign(
    reserved: ReservedCall,
    client: &RegistryClient,
    signer: &Signer,
    now: DateTime<Utc>,
    state: &mut AccountState,
) -> Result<(), Blocked> {
    let ReservedCall { reservation, call } = reserved;
    let PricedCall { to, ref data, gas, fees, .. } = call;
    let (chain_id, is_legacy) = (client.registry.chain_id, client.legacy_fees);
    match signer.sign(&reservation, Unsigned { chain_id, to, data, gas, fees, is_legacy }).await {
        Ok(signed) => {
            tracing::info!(
                chain.id = chain_id,
                tx.hash = %signed.hash,
                tx.nonce = reservation.nonce(),
                "Signed {} for {}", call.call, call.agent
            );
            state.record_signature(&reservation, call, signed.hash, signed.raw, now);
            Ok(())
        }
        Err(error) => {
            let (reason, message) = (error.reason(), with_causes(&error));
            state.hold(&call.agent, reason, format!("{} Cause: {message}.", reason.message()));
            Err(Blocked { reason, message })
        }
    }
}

/// Sends the recorded bytes, unless a node has them already.
async fn broadcast(client: &RegistryClient, state: &mut AccountState) {
    let last = state.in_flight.as_ref().and_then(|sent| sent.attempts.last()).cloned();
    let Some(last) = last else { return };
    for refusal in send(client, &last).await {
        // The only uses of an error's text: paying more at the same nonce, and naming the reason.
        if refusal.to_string().to_lowercase().contains("underpriced") {
            state.bump_next();
        }
        if refusal.is_lack_of_funds()
            && let Some(agent) = state.in_flight.as_ref().map(|sent| sent.agent.clone())
        {
            state.set_reason(&agent, AnchorReason::NoFunds);
        }
    }
}

/// Sends signed bytes, unless a node has them already, and returns the refusals.
async fn send(client: &RegistryClient, attempt: &Attempt) -> Vec<RpcError> {
    if client.is_known(attempt.hash).await {
        return Vec::new();
    }
    let refusals = client.broadcast(&attempt.raw).await;
    for refusal in &refusals {
        tracing::info!(
            chain.id = client.registry.chain_id,
            tx.hash = %attempt.hash,
            "{refusal}"
        );
    }
    refusals
}
