//! Before a mint, and only then: a majority of the endpoints must confirm that the agent is not on
//! chain yet. Pure.
//!
//! An endpoint that agrees on a block's hash may still leave out its events. One that shows the
//! agent is no reason to believe anything; too few that show its absence are a reason to wait. If a
//! majority shows the agent as one token, the view that lacks it is wrong.

use std::collections::BTreeMap;

use alloy::primitives::Address;

use super::Reservation;
use crate::{
    anchor::{evidence::View, key::AnchorKey},
    registration::{AgentId, AgentName},
};

/// A mint or an adoption that the view of one endpoint allows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unconfirmed {
    reservation: Reservation,
    agent: AgentName,
    /// The κ that it gives to a token.
    key: AnchorKey,
    /// The transaction counts of former accounts in the view that allows it.
    former_counts: BTreeMap<Address, u64>,
}

/// What one endpoint says about an agent at the decision's block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Testimony {
    /// The account's count, complete events and the balances show that the agent is not on chain.
    Absent,
    /// The agent is on chain.
    Present(AgentId),
    /// The answer cannot be used, for this reason.
    Unusable(String),
}

/// Why a reservation is not handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denial {
    /// A majority of the endpoints shows the agent on chain, as the same token: the view that lacks
    /// it is not to be used.
    Outvoted,
    /// Too few endpoints confirm the absence.
    Undecided,
}

impl Unconfirmed {
    pub(super) fn new(
        reservation: Reservation,
        agent: AgentName,
        key: AnchorKey,
        view: &View,
    ) -> Self {
        Self { reservation, agent, key, former_counts: view.former_counts.clone() }
    }

    pub(crate) fn agent(&self) -> &AgentName {
        &self.agent
    }

    /// What is signed if it is confirmed.
    #[cfg(test)]
    pub(crate) fn reservation(&self) -> &Reservation {
        &self.reservation
    }

    /// What an endpoint's complete view says, of the decision's block or of an older one.
    ///
    /// An older block at which all accounts had sent as many transactions is as good: only a
    /// transaction of theirs gives κ to a token.
    pub(crate) fn testimony(&self, view: &View) -> Testimony {
        let nonce = self.reservation.nonce();
        if let Some(id) = view.agents.get(&self.key) {
            return Testimony::Present(*id);
        }
        if view.count != nonce {
            let count = view.count;
            let why = format!("it counts {count} transactions of the account, not {nonce}");
            return Testimony::Unusable(why);
        }
        match view.former_counts == self.former_counts {
            true => Testimony::Absent,
            false => Testimony::Unusable(
                "it counts another number of transactions of a former account".to_owned(),
            ),
        }
    }

    /// The right to sign, if a majority of all `endpoints` (of two, both) confirms the absence.
    /// The endpoint that the view is from is one of those that testify.
    pub(crate) fn judge(
        self,
        testimonies: &[Testimony],
        endpoints: usize,
    ) -> Result<Reservation, Denial> {
        let absent = testimonies.iter().filter(|said| **said == Testimony::Absent).count();
        if absent > endpoints / 2 {
            return Ok(self.reservation);
        }
        let mut votes = BTreeMap::<AgentId, usize>::new();
        for said in testimonies {
            if let Testimony::Present(id) = said {
                *votes.entry(*id).or_default() += 1;
            }
        }
        let is_outvoted = votes.values().any(|votes| *votes > endpoints / 2);
        Err(if is_outvoted { Denial::Outvoted } else { Denial::Undecided })
    }
}

/// Whether more testimonies can make no difference: a majority of all `endpoints` says the same.
pub(crate) fn is_decided(testimonies: &[Testimony], endpoints: usize) -> bool {
    testimonies.iter().any(|said| match said {
        Testimony::Absent | Testimony::Present(_) => {
            testimonies.iter().filter(|other| *other == said).count() > endpoints / 2
        }
        Testimony::Unusable(_) => false,
    })
}
