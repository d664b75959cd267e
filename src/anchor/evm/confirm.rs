//! What endpoints say about an agent that is about to be minted, each by what it serves itself.

use std::collections::BTreeSet;

use super::{AtBlock, Endpoint, Histories, History, ReadRequest, RegistryClient, RpcError};
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
    Incomplete(#[from] IncompleteEvidence),
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
            let heard = self.testimony(other, &at, claim, histories.of(other), request).await;
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
        history.extend(&at, request.accounts).await?;
        let evidence = at.evidence(history, request).await?;
        let view = evidence.view(request.accounts, request.minted);
        history.judge(view.is_ok());
        doubt(&at, &evidence, history, request, State::Kept).await?;
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
    let eldest = history.eldest;
    let first_mint = match eldest {
        None => FirstMint::None,
        Some(eldest) if history.serves(at, &eldest).await? => FirstMint::Served,
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
