//! Before a mint, and only then: a majority of the endpoints must confirm that the agent is not on
//! chain yet. Pure.
//!
//! An endpoint that agrees on a block's hash may still leave out its events. One that shows the
//! agent is no reason to believe anything; too few that show its absence are a reason to wait.

use super::{AnchorReason, Reservation};
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

impl Unconfirmed {
    pub(super) fn new(reservation: Reservation, agent: AgentName, key: AnchorKey) -> Self {
        Self { reservation, agent, key }
    }

    pub(crate) fn agent(&self) -> &AgentName {
        &self.agent
    }

    /// What is signed if it is confirmed.
    #[cfg(test)]
    pub(crate) fn reservation(&self) -> &Reservation {
        &self.reservation
    }

    /// What an endpoint's complete view of the decision's block says.
    pub(crate) fn testimony(&self, view: &View) -> Testimony {
        let nonce = self.reservation.nonce();
        match view.agents.get(&self.key) {
            Some(id) => Testimony::Present(*id),
            None if view.count == nonce => Testimony::Absent,
            None => Testimony::Unusable(format!(
                "it counts {} transactions of the account, not {nonce}",
                view.count
            )),
        }
    }

    /// The right to sign, if a majority of all `endpoints` (of two, both) confirms the absence.
    /// The endpoint that the view is from is one of those that testify.
    pub(crate) fn judge(
        self,
        testimonies: &[Testimony],
        endpoints: usize,
    ) -> Result<Reservation, AnchorReason> {
        let absent = testimonies.iter().filter(|said| **said == Testimony::Absent).count();
        if absent > endpoints / 2 { Ok(self.reservation) } else { Err(AnchorReason::NoQuorum) }
    }
}
