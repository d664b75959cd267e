//! Settings of `registrar anchor retire`.

use clap::Args;

use super::{AgentOnChain, AnchorArgs, AnchorSettings, OfferArgs, OfferConfig, bad_setting};
use crate::{
    anchor::Retirement,
    registration::{AgentName, AgentRegistry},
};

#[derive(Debug, Args)]
pub(crate) struct AnchorRetireArgs {
    #[command(flatten)]
    offers: OfferArgs,
    #[command(flatten)]
    anchoring: AnchorArgs,
    /// Undo it: the agentURI becomes what it would be, and the agent may be minted
    #[arg(long)]
    revive: bool,
    /// Record it in the journal; without this, only the plan is shown
    #[arg(long)]
    yes: bool,
    /// The agent: the default agent on a chain, or a host's
    #[arg(value_name = "CHAIN[/HOST]")]
    agent: AgentOnChain,
}

/// An agent on one chain, and what is said about its retirement.
#[derive(Debug)]
pub(crate) struct AnchorRetirement {
    pub(crate) offers: OfferConfig,
    pub(crate) settings: AnchorSettings,
    pub(crate) registry: AgentRegistry,
    pub(crate) agent: AgentName,
    pub(crate) retirement: Retirement,
    pub(crate) is_confirmed: bool,
}

impl AnchorRetireArgs {
    /// Checks the settings, and that they anchor the agent.
    pub(crate) fn resolve(self) -> AnchorRetirement {
        let Self { offers, anchoring, revive, yes, agent } = self;
        let offers = offers.resolve();
        let settings = anchoring.reporting(&offers);
        let (registry, agent) = agent.anchored(&settings);
        if !settings.policy.agents().any(|anchored| anchored == agent) {
            bad_setting("CHAIN[/HOST]", &format!("names {agent}, which --anchor-host does not"));
        }
        let retirement = if revive { Retirement::Revived } else { Retirement::Retired };
        AnchorRetirement { offers, settings, registry, agent, retirement, is_confirmed: yes }
    }
}
