//! What endpoints say about an agent that is about to be minted, each by what it serves itself.

use std::collections::BTreeSet;

use super::{
    AtBlock, Histories, History, NotedHeads, ReadRequest, RegistryClient, RpcError, SnapshotCache,
    SnapshotError,
};
use crate::anchor::{
    evidence::{Evidence, FirstMint, IncompleteEvidence},
    plan::{Testimony, Unconfirmed, is_decided},
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

impl RegistryClient {
    /// Has the endpoints testify about an agent until a majority says the same. The endpoint of the
    /// decision's own evidence is the first.
    ///
    /// They are asked at the decision's block, or, if they keep no state there, at the newest block
    /// before it that was once their head.
    pub(crate) async fn testimonies(
        &self,
        at: AtBlock<'_>,
        evidence: &Evidence,
        claim: &Unconfirmed,
        histories: &mut Histories,
        snapshots: &mut SnapshotCache,
        request: &ReadRequest<'_>,
    ) -> Result<Vec<(String, Testimony)>, DoubtedEvidence> {
        let own = at.endpoint();
        doubt(&at, evidence, histories.of(own), request).await?;
        let (mut names, mut said) = (vec![own.to_string()], vec![Testimony::Absent]);
        for other in self.beginning_with(own).into_iter().skip(1) {
            if is_decided(&said, self.endpoints.len()) {
                break;
            }
            let at = AtBlock::new(other, self.registry.address, at.block());
            let (history, noted) = (histories.of(other), snapshots.of(other));
            let heard = match self.testimony(at, claim, history, noted, request).await {
                // What was read in an earlier process may be incomplete; then it is read again.
                Err(error) if error.is_incomplete() && history.forget_saved() => {
                    self.testimony(at, claim, history, noted, request).await
                }
                heard => heard,
            };
            names.push(other.to_string());
            said.push(heard.unwrap_or_else(|error| Testimony::Unusable(error.to_string())));
        }
        Ok(names.into_iter().zip(said).collect())
    }

    /// What another endpoint says at the same block.
    async fn testimony(
        &self,
        at: AtBlock<'_>,
        claim: &Unconfirmed,
        history: &mut History,
        noted: &mut NotedHeads,
        request: &ReadRequest<'_>,
    ) -> Result<Testimony, DoubtedEvidence> {
        let evidence = self.read(at, history, noted, request).await?.evidence;
        let view = evidence.view(request.accounts, request.minted);
        let doubted = match view.is_ok() {
            true => doubt(&at, &evidence, history, request).await,
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
    // Evidence of an older block was read while it was the head, since the node keeps no state.
    // What was not read then cannot be read any more.
    let is_kept = evidence.block == at.block();
    let unread = if is_kept { evidence.unread(request.accounts) } else { BTreeSet::new() };
    let plain = history.plain.since(evidence);
    for id in unread {
        if plain.contains(&id) {
            continue;
        }
        match at.key_of(&id).await? {
            Some(key) => keys.push((id, key)),
            None => drop(plain.insert(id)),
        }
    }
    Ok(evidence.check_absence(first_mint, keys)?)
}
