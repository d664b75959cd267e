//! What an agent's agentURI is on which chain.

use std::{str::FromStr, time::Duration};

use clap::Args;

use super::{
    Ether, amount, bad_setting, seconds,
    values::{ChainId, PerChain, per_chain},
};

#[derive(Debug, Args)]
pub(super) struct AgentUriArgs {
    /// What agentURIs are: https (the document's URL, default), or data (what the document says, for
    /// indexers that never fetch https); per chain with CHAIN=FORM; repeatable
    #[arg(
        long = "agent-uri",
        value_name = "[CHAIN=]FORM",
        env = "REGISTRAR_AGENT_URI",
        value_delimiter = ','
    )]
    forms: Vec<PerChain<Form>>,
    /// For how long a document must have said the same before a data: URI is renewed, at most a day
    #[arg(long = "agent-uri-settle", value_name = "DURATION", env = "REGISTRAR_AGENT_URI_SETTLE", default_value = "24h", value_parser = seconds)]
    pub(super) settle: Duration,
    /// The most to sign for in one UTC day for data: URIs, in ether, in addition to the daily budget;
    /// per chain with CHAIN=X; repeatable
    #[arg(
        long = "agent-uri-budget-ether",
        value_name = "[CHAIN=]X",
        env = "REGISTRAR_AGENT_URI_BUDGET_ETHER",
        value_delimiter = ','
    )]
    budgets: Vec<PerChain<Ether>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Https,
    Data,
}

impl AgentUriArgs {
    /// Whether agentURIs on a chain are `data:` URIs.
    pub(super) fn is_data(&self, chain: ChainId) -> bool {
        let form = per_chain(&self.forms, chain);
        let form =
            form.unwrap_or_else(|_| bad_setting("--agent-uri", "names two forms for one chain"));
        match form {
            Some(Form::Data) => true,
            Some(Form::Https) | None => false,
        }
    }

    /// The daily budget of `data:` URIs on a chain, wei; 0 where there are none.
    pub(super) fn budget(&self, chain: ChainId) -> u128 {
        match self.is_data(chain) {
            true => amount(&self.budgets, chain, "--agent-uri-budget-ether"),
            false => 0,
        }
    }
}

impl FromStr for Form {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "https" => Ok(Self::Https),
            "data" => Ok(Self::Data),
            _ => Err("must be https or data, or CHAIN=https or CHAIN=data"),
        }
    }
}
