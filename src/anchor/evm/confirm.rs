//! What endpoints say about an agent that is about to be minted, each by what it serves itself.

use std::collections::BTreeSet;

use super::{
    AtBlock, Endpoint, Histories, History, ReadRequest, RegistryClient, RpcError, SnapshotError,
};
use crate::anchor::{
    evidence::{Evidence, FirstMint, IncompleteEvidence},
    plan::{Testimony, Unconfirmed},
};

/// Why the evidence of one endpoint does not show that an agent is not on chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DoubtedEvidence {
    #[error(transparent)]
    Rpc(#[from] RpcError),
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    #[error(transparent)]
    Incomplete(#[from] IncompleteEvidence),
}

impl DoubtedEvidence {
    /// Whether something was left out of the events.
    pub(in crate::anchor) fn is_incomplete(&self) -> bool {
        match self {
            Self::Incomplete(_) => true,
            Self::Rpc(_) | Self::Snapshot(_) => false,
        }
    }
}

/// Whether a node still keeps the state at a block.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Kept,
    Pruned,
}

impl RegistryClient {
    /// Has the endpoints testify about an agent at the decision's block until a majority says that
    /// it is absent. The endpoint of the decision's own evidence is the first.
    pub(crate) async fn testimonies(
        &self,
        at: AtBlock<'_>,
        evidence: &Evidence,
        claim: &Unconfirmed,
        histories: &mut Histories,
        request: &ReadRequest<'_>,
    ) -> Result<Vec<(String, Testimony)>, DoubtedEvidence> {
        let own = at.endpoint();
        // A snapshot was taken because the node keeps no state at final blocks.
        let state = if evidence.block == at.block() { State::Kept } else { State::Pruned };
        let at = at.at(evidence.block);
        doubt(&at, evidence, histories.of(own), request, state).await?;
        let mut said = vec![(own.to_string(), Testimony::Absent)];
        for other in self.endpoints.iter().filter(|other| other.to_string() != own.to_string()) {
            let absent = said.iter().filter(|(_, said)| *said == Testimony::Absent).count();
            if absent > self.endpoints.len() / 2 {
                break;
            }
            let history = histories.of(other);
            let heard = match self.testimony(other, &at, claim, history, request).await {
                // What was read in an earlier process may be incomplete; then it is read again.
                Err(error) if error.is_incomplete() && history.forget_saved() => {
                    self.testimony(other, &at, claim, history, request).await
                }
                heard => heard,
            };
            let heard = heard.unwrap_or_else(|error| Testimony::Unusable(error.to_string()));
            said.push((other.to_string(), heard));
        }
        Ok(said)
    }

    /// What one other endpoint says at the same block.
    async fn testimony(
        &self,
        endpoint: &Endpoint,
        own: &AtBlock<'_>,
        claim: &Unconfirmed,
        history: &mut History,
        request: &ReadRequest<'_>,
    ) -> Result<Testimony, DoubtedEvidence> {
        let at = AtBlock::new(endpoint, self.registry.address, own.block());
        history.read_to(&at, request.accounts).await?;
        let evidence = at.evidence(history, request).await?;
        let view = evidence.view(request.accounts, request.minted);
        let doubted = match view.is_ok() {
            true => doubt(&at, &evidence, history, request, State::Kept).await,
            false => Ok(()),
        };
        let is_doubted = doubted.as_ref().is_err_and(DoubtedEvidence::is_incomplete);
        history.judge(view.is_ok() && !is_doubted);
        doubted?;
        Ok(claim.testimony(&view?))
    }
}

/// Reads what a mint needs in addition to a view, and checks it.
async fn doubt(
    at: &AtBlock<'_>,
    evidence: &Evidence,
    history: &mut History,
    request: &ReadRequest<'_>,
    state: State,
) -> Result<(), DoubtedEvidence> {
    if evidence.is_unused() {
        return Ok(());
    }
    let first_mint = match history.eldest {
        None => FirstMint::None,
        Some(_) if history.is_vouched => FirstMint::Served,
        Some(_) => FirstMint::Missing,
    };
    let mut keys = Vec::new();
    // What a snapshot did not read cannot be read any more.
    let unread =
        if state == State::Kept { evidence.unread(request.accounts) } else { BTreeSet::new() };
    for id in unread {
        keys.extend(at.key_of(&id).await?.map(|key| (id, key)));
    }
    Ok(evidence.check_absence(first_mint, keys)?)
}
