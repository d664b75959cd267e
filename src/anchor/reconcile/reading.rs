//! Reads one finalized block and decides on it: at one endpoint after the other, until what one of
//! them serves holds.

use std::collections::BTreeSet;

use alloy::primitives::B256;

use super::{Blocked, BlockedError};
use crate::anchor::{
    account::{Attempt, CodeHashes},
    evidence::{Accounts, View},
    evm::{
        AtBlock, Histories, ReadRequest, RegistryClient, Snapshot, SnapshotCache, SnapshotError,
    },
    journal::Recalled,
    plan::{
        Decision, Denial, DesiredState, FormerAccount, HeadState, Step, Testimony, Unconfirmed,
        next,
    },
    reason::AnchorReason,
};

/// One finalized block, and what is needed to read it.
pub(super) struct Reading<'a, 'b> {
    pub(super) client: &'a RegistryClient,
    /// The block at each endpoint that has it. Not empty.
    pub(super) candidates: &'b [AtBlock<'a>],
    pub(super) histories: &'b mut Histories,
    pub(super) snapshots: &'b mut SnapshotCache,
    pub(super) accepted_code: Option<B256>,
    pub(super) duplicates: &'b mut usize,
}

/// What was read at one finalized block and at the head, and the decision that follows from it.
pub(super) struct Decided<'a> {
    pub(super) at: AtBlock<'a>,
    pub(super) code: CodeHashes,
    pub(super) view: View,
    pub(super) head: HeadState,
    pub(super) desired: DesiredState,
    pub(super) decision: Decision,
    pub(super) former: Vec<Attempt>,
    pub(super) denied: Option<Denied>,
}

/// Why a mint was not confirmed.
pub(super) struct Denied {
    denial: Denial,
    pub(super) blocked: Blocked,
}

impl<'a> Reading<'a, '_> {
    /// Decides by the first endpoint whose evidence holds. One that fails, that leaves something
    /// out, or that a majority contradicts is passed over.
    pub(super) async fn decide(
        &mut self,
        desired: &DesiredState,
        recalled: &Recalled,
        accounts: &Accounts,
    ) -> Result<Decided<'a>, BlockedError> {
        let (mut outvoted, mut failure) = (None, None);
        for at in self.candidates {
            let endpoint = at.endpoint();
            match self.decide_at(*at, desired, recalled, accounts).await {
                Ok(decided) => match &decided.denied {
                    Some(Denied { denial: Denial::Outvoted, blocked }) => {
                        endpoint.pass_over(Some(blocked.message.clone()));
                        let history = self.histories.of(endpoint);
                        if !history.forget_saved() {
                            history.judge(false);
                        }
                        outvoted = outvoted.or(Some(decided));
                    }
                    Some(Denied { denial: Denial::Undecided, .. }) | None => {
                        endpoint.pass_over(None);
                        return Ok(decided);
                    }
                },
                Err(error) if error.is_of_one_endpoint() => {
                    endpoint.pass_over(Some(error.to_string()));
                    failure = failure.or(Some(error));
                }
                Err(error) => return Err(error),
            }
        }
        let all = self.client.endpoints.len();
        let none = || SnapshotError::NoQuorum { agreeing: 0, all }.into();
        outvoted.ok_or_else(|| failure.unwrap_or_else(none))
    }

    /// Decides by what one endpoint serves. What was read in an earlier process may be incomplete;
    /// then it is read again.
    async fn decide_at(
        &mut self,
        at: AtBlock<'a>,
        desired: &DesiredState,
        recalled: &Recalled,
        accounts: &Accounts,
    ) -> Result<Decided<'a>, BlockedError> {
        loop {
            let decided = self.read_and_decide(at, desired, recalled, accounts).await;
            let history = self.histories.of(at.endpoint());
            match &decided {
                Err(error) if error.is_incomplete() => {
                    if history.forget_saved() {
                        continue;
                    }
                    history.judge(false);
                }
                Ok(_) => history.judge(true),
                Err(_) => {}
            }
            return decided;
        }
    }

    async fn read_and_decide(
        &mut self,
        at: AtBlock<'a>,
        desired: &DesiredState,
        recalled: &Recalled,
        accounts: &Accounts,
    ) -> Result<Decided<'a>, BlockedError> {
        let Self { client, candidates: _, histories, snapshots, accepted_code, duplicates } = self;
        let Recalled { state, former, retirements: _ } = recalled;
        let named =
            desired.agents.iter().flat_map(|agent| agent.adopt.into_iter().chain(agent.known));
        let request = ReadRequest {
            accounts,
            minted: &state.minted,
            named: named.collect(),
            checkpoint: state.checkpoint,
        };
        let (history, noted) = (histories.of(at.endpoint()), snapshots.of(at.endpoint()));
        let Snapshot { code, evidence } = client.read(at, history, noted, &request).await?;
        let hash = code.combined();
        if state.code.is_some_and(|known| known != code) && *accepted_code != Some(hash) {
            return Err(BlockedError::RegistryChanged { chain_id: client.registry.chain_id, hash });
        }
        let view = evidence.view(accounts, &state.minted)?;
        **duplicates = view.duplicates.values().map(BTreeSet::len).sum();
        let head = client.head(at, state).await?;
        let mut formers = Vec::new();
        let mut resent = Vec::new();
        for (account, count) in &evidence.former_counts {
            let sent = former.get(account);
            let pending = client.pending(at, *account).await?;
            let recorded = sent.map(|sent| sent.nonce);
            let former = FormerAccount { final_count: *count, pending, recorded };
            if former.holds_recorded() {
                resent.extend(sent.and_then(|sent| sent.attempts.last()).cloned());
            }
            formers.push(former);
        }
        let mut decision =
            next(desired, state.in_flight.as_ref(), &formers, &view, &head, state.waited);
        let mut denied = None;
        if let Step::Confirm(claim) = decision.step {
            let said = client.testimonies(at, &evidence, &claim, histories, snapshots, &request);
            let said = said.await?;
            let agent = claim.agent().clone();
            (decision.step, denied) = confirmed(claim, &said, client.endpoints.len());
            if let Some(denied) = &denied {
                decision.agents.insert(agent, denied.blocked.reason);
            }
        }
        let desired = desired.clone();
        Ok(Decided { at, code, view, head, desired, decision, former: resent, denied })
    }
}

/// The step after the endpoints have testified, and why it is not to sign.
fn confirmed(
    claim: Unconfirmed,
    said: &[(String, Testimony)],
    endpoints: usize,
) -> (Step, Option<Denied>) {
    let testimonies: Vec<Testimony> = said.iter().map(|(_, said)| said.clone()).collect();
    let denial = match claim.judge(&testimonies, endpoints) {
        Ok(reservation) => return (Step::Sign(reservation), None),
        Err(denial) => denial,
    };
    let others = said.iter().filter_map(|(endpoint, said)| match said {
        Testimony::Absent => None,
        Testimony::Present(id) => Some(format!("{endpoint} shows it as agentId {id}")),
        Testimony::Unusable(why) => Some(format!("{endpoint} does not say: {why}")),
    });
    let others = others.collect::<Vec<_>>().join("; ");
    let message = format!(
        "too few of {endpoints} endpoints confirm that the agent is not on chain yet: {others}"
    );
    let blocked = Blocked { reason: AnchorReason::NoQuorum, message };
    (Step::Wait, Some(Denied { denial, blocked }))
}
