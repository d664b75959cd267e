//! The chains, the account, its key and the journal.

use chrono::TimeDelta;

use super::{CheckId, Report, SKEW_LIMIT, Status};
use crate::offer::Timestamp;

/// A final block older than this means that endpoints lag or the chain has stopped.
const OLDEST_FINAL: TimeDelta = TimeDelta::hours(1);
const REGISTRY_VERSION: &str = "2.0.0";
/// How many blocks one eth_getLogs should cover.
pub(crate) const NARROWEST_RANGE: u64 = 500;
const FEWEST_DAYS: f64 = 7.0;

/// What was read for anchoring.
#[derive(Clone, Debug)]
pub(crate) struct AnchoringFacts {
    pub(crate) now: Timestamp,
    pub(crate) chains: Vec<ChainFacts>,
    /// The account of the key, or why the key cannot be used. `None` if there is no signer.
    pub(crate) signer: Option<Result<String, String>>,
    /// The agents that wait for a person, a sentence each; or why the journal cannot be used.
    pub(crate) journal: Result<Vec<String>, String>,
}

/// The Lease under which one replica acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    /// Empty if nobody holds it.
    pub(crate) holder: String,
    pub(crate) renewed: Option<Timestamp>,
    /// How long a renewal lasts.
    pub(crate) seconds: i64,
}

/// Judges the Lease; `None` if it does not exist, and an error says why that is unknown.
pub(crate) fn judge_lease(
    lease: &Result<Option<Lease>, String>,
    now: Timestamp,
    report: &mut Report,
) {
    let id = CheckId::LeaseHeld;
    match lease {
        Err(why) => report.fail(id, format!("{why}.")),
        Ok(None) => report.fail(id, "The Lease does not exist: no replica has taken it."),
        Ok(Some(lease)) if lease.holder.is_empty() => report.fail(id, "Nobody holds the Lease."),
        Ok(Some(Lease { holder, renewed, seconds })) => {
            let lasts = |at: Timestamp| now - at <= TimeDelta::seconds(*seconds) + SKEW_LIMIT;
            let holds = renewed.is_some_and(lasts);
            let at = renewed.map_or_else(|| "never".to_owned(), |at| at.to_string());
            let message = format!("{holder} holds it; it was last renewed {at}.");
            report.when(id, holds, Status::Fail, message);
        }
    }
}

/// One chain, as its endpoints answer.
#[derive(Clone, Debug)]
pub(crate) struct ChainFacts {
    /// Its CAIP-2 id.
    pub(crate) name: String,
    /// The chain id of each endpoint by its name, or why it did not answer.
    pub(crate) endpoints: Vec<(String, Result<u64, String>)>,
    pub(crate) chain_id: u64,
    /// The number and time of the final block.
    pub(crate) final_block: Result<(u64, Option<Timestamp>), String>,
    /// What the registry answers to getVersion.
    pub(crate) registry: Result<String, String>,
    /// Whether every endpoint accepts a range of [`NARROWEST_RANGE`] blocks.
    pub(crate) width: Result<(), String>,
    /// Whether every endpoint serves the first block of the history.
    pub(crate) history: Result<(), String>,
    /// For how many days the balance lasts.
    pub(crate) days_of_funds: Result<f64, String>,
}

pub(crate) fn judge(facts: &AnchoringFacts, report: &mut Report) {
    let each = |wrong: &dyn Fn(&ChainFacts) -> Option<String>| -> Vec<String> {
        facts.chains.iter().filter_map(wrong).collect()
    };
    let endpoints: Vec<String> = facts
        .chains
        .iter()
        .flat_map(|chain| chain.endpoints.iter().map(move |endpoint| (chain, endpoint)))
        .filter_map(|(chain, (endpoint, answer))| match answer {
            Ok(id) if *id == chain.chain_id => None,
            Ok(id) => Some(format!("{endpoint} serves chain {id}, not {}.", chain.name)),
            Err(why) => Some(format!("{why}.")),
        })
        .collect();
    let fine = "All endpoints serve their chain.";
    report.none_of(CheckId::ChainEndpoints, &endpoints, Status::Fail, fine);
    let single = each(&|chain| {
        let is_single = chain.endpoints.len() < 2;
        is_single.then(|| format!("{} has a single endpoint, which nothing checks.", chain.name))
    });
    let fine = "Each chain has several endpoints.";
    report.none_of(CheckId::ChainQuorum, &single, Status::Warn, fine);
    let unfinal = each(&|chain| match &chain.final_block {
        Err(why) => Some(format!("{}: {why}.", chain.name)),
        Ok((number, Some(at))) if facts.now - *at > OLDEST_FINAL => {
            Some(format!("{}: the final block {number} is of {at}.", chain.name))
        }
        Ok(_) => None,
    });
    let fine = "Each chain has a recent final block.";
    report.none_of(CheckId::ChainFinality, &unfinal, Status::Fail, fine);
    let unknown = each(&|chain| match chain.registry.as_deref() {
        Ok(REGISTRY_VERSION) => None,
        Ok(version) => {
            Some(format!("{}: the registry says that it is version {version:?}.", chain.name))
        }
        Err(why) => Some(format!("{}: {why}.", chain.name)),
    });
    let is_down = facts.chains.iter().any(|chain| chain.registry.is_err());
    let otherwise = if is_down { Status::Fail } else { Status::Warn };
    let fine = format!("Each registry is version {REGISTRY_VERSION}.");
    report.none_of(CheckId::ChainRegistry, &unknown, otherwise, &fine);
    let narrow =
        each(&|chain| chain.width.as_ref().err().map(|why| format!("{}: {why}.", chain.name)));
    let fine = format!("All endpoints accept {NARROWEST_RANGE} blocks.");
    report.none_of(CheckId::ChainWidth, &narrow, Status::Fail, &fine);
    let pruned =
        each(&|chain| chain.history.as_ref().err().map(|why| format!("{}: {why}.", chain.name)));
    let fine = "All endpoints serve the history.";
    report.none_of(CheckId::ChainHistory, &pruned, Status::Fail, fine);
    let poor = each(&|chain| match chain.days_of_funds.as_ref() {
        Ok(days) if *days >= FEWEST_DAYS => None,
        Ok(days) => Some(format!("{}: the balance lasts for {days:.1} days.", chain.name)),
        Err(why) => Some(format!("{}: {why}.", chain.name)),
    });
    let fine = format!("The balance lasts for {FEWEST_DAYS:.0} days on each chain.");
    report.none_of(CheckId::AccountFunds, &poor, Status::Warn, &fine);
    match &facts.signer {
        None => report.skip(CheckId::AccountSigner, "No --signer is set."),
        Some(Ok(account)) => {
            report.pass(CheckId::AccountSigner, format!("The key is that of {account}."));
        }
        Some(Err(why)) => report.fail(CheckId::AccountSigner, format!("{why}.")),
    }
    match &facts.journal {
        Err(why) => report.fail(CheckId::JournalUsable, format!("{why}.")),
        Ok(blocked) => {
            report.pass(CheckId::JournalUsable, "The journal can be used.");
            let fine = "No agent waits for a person.";
            report.none_of(CheckId::JournalBlocked, blocked, Status::Fail, fine);
        }
    }
}
