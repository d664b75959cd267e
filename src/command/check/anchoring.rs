//! Asks the chains' endpoints, and opens the key and the journal without changing either.

use alloy::{
    primitives::{Address, U256, hex},
    sol_types::{SolCall, SolEvent, SolValue},
};
use serde_json::{Value, json};

use super::super::anchor::open_key;
use crate::{
    anchor::{
        Attention,
        evidence::Accounts,
        evm::{Endpoint, IdentityRegistry, RpcError},
        reconcile::ChainTarget,
        signer::{KeySource, SignerError},
    },
    check::{
        CheckId, Report, Status,
        anchoring::{self, AnchoringFacts, ChainFacts, NARROWEST_RANGE},
    },
    cli::{AnchorConfig, AnchorSettings},
    error_chain::with_causes,
    offer::Timestamp,
};

pub(super) async fn judge(config: &AnchorConfig, now: Timestamp, report: &mut Report) {
    match config {
        AnchorConfig::Off => report.skip_rest_of("anchoring", "No --anchor is set."),
        AnchorConfig::ReadJournal(place) => {
            report.skip_rest_of("anchoring", "Only the journal of another process is read.");
            match place.read().await {
                Ok(_) => {
                    report.add(CheckId::JournalUsable, Status::Pass, "The journal can be read.");
                }
                Err(error) => {
                    let why = format!("{}.", with_causes(&error));
                    report.add(CheckId::JournalUsable, Status::Fail, why);
                }
            }
        }
        AnchorConfig::Anchor(settings) => {
            anchoring::judge(&facts(settings, now).await, report);
        }
    }
}

async fn facts(settings: &AnchorSettings, now: Timestamp) -> AnchoringFacts {
    let signer = match &settings.signer {
        Some(source) => Some(signer(source, settings).await.map_err(|error| with_causes(&error))),
        None => None,
    };
    let account = settings.account.or_else(|| signer.as_ref()?.as_ref().ok().copied());
    let mut chains = Vec::new();
    for target in &settings.targets {
        chains.push(chain(target, account).await);
    }
    AnchoringFacts {
        now,
        chains,
        signer: signer.map(|signer| signer.map(|account| account.to_checksum(None))),
        journal: journal(settings, account).await,
    }
}

/// The account of a signer that can be used, at this moment if it is a service.
async fn signer(source: &KeySource, settings: &AnchorSettings) -> Result<Address, SignerError> {
    let signer = open_key(source, settings.account, &settings.targets)?;
    signer.check().await?;
    Ok(signer.account())
}

/// The agents that wait for a person, by the journal.
async fn journal(
    settings: &AnchorSettings,
    account: Option<Address>,
) -> Result<Vec<String>, String> {
    let place = &settings.journal;
    let read = match account {
        None => place.read().await,
        Some(current) => {
            let accounts = Accounts { current, former: settings.former_accounts.clone() };
            place.read_own(&settings.policy.owner.id, &accounts).await
        }
    };
    let Some(journal) = read.map_err(|error| with_causes(&error))? else { return Ok(Vec::new()) };
    let agents = journal.accounts.iter().flat_map(|(key, state)| {
        let agents = state.agents.iter();
        let agents = agents.filter(|(_, record)| record.reason.attention() == Attention::Person);
        agents.map(move |(agent, record)| {
            format!("{agent} on eip155:{} is {}.", key.registry.chain_id, record.reason)
        })
    });
    Ok(agents.collect())
}

async fn chain(target: &ChainTarget, account: Option<Address>) -> ChainFacts {
    let client = &target.client;
    let mut endpoints = Vec::new();
    for endpoint in &client.endpoints {
        let id = endpoint.ask::<Value>("eth_chainId", json!([])).await.map(|id| number(&id));
        endpoints.push((endpoint.to_string(), told(id)));
    }
    let final_block = match client.at_final().await {
        Ok(candidates) => Ok(candidates[0].block().number),
        Err(error) => Err(with_causes(&error)),
    };
    let newest = final_block.as_ref().ok().copied();
    ChainFacts {
        name: format!("eip155:{}", client.registry.chain_id),
        chain_id: client.registry.chain_id,
        final_block: match final_block {
            Ok(number) => Ok((number, time_of(&client.endpoints, number).await)),
            Err(why) => Err(why),
        },
        registry: version(&client.endpoints, client.registry.address).await,
        width: width(&client.endpoints, client.registry.address, newest).await,
        history: history(&client.endpoints, target.histories.first_block()).await,
        days_of_funds: days_of_funds(target, account).await,
        endpoints,
    }
}

/// The answer, if it could be read as what was asked for.
fn told<T>(answer: Result<Option<T>, RpcError>) -> Result<T, String> {
    match answer {
        Ok(Some(value)) => Ok(value),
        Ok(None) => Err("the answer cannot be read".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn quantity(value: &Value) -> Option<U256> {
    U256::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok()
}

fn number(value: &Value) -> Option<u64> {
    quantity(value)?.try_into().ok()
}

async fn time_of(endpoints: &[Endpoint], block: u64) -> Option<Timestamp> {
    for endpoint in endpoints {
        let params = json!([format!("{block:#x}"), false]);
        if let Ok(header) = endpoint.ask::<Value>("eth_getBlockByNumber", params).await
            && let Some(seconds) = number(&header["timestamp"])
        {
            return Timestamp::from_timestamp(i64::try_from(seconds).ok()?, 0);
        }
    }
    None
}

/// The version of the registry, from the first endpoint that answers.
async fn version(endpoints: &[Endpoint], registry: Address) -> Result<String, String> {
    let mut why = "there is no endpoint".to_owned();
    let data = hex::encode_prefixed(IdentityRegistry::getVersionCall {}.abi_encode());
    for endpoint in endpoints {
        let call = json!({ "to": registry, "data": data });
        match endpoint.ask::<Value>("eth_call", json!([call, "latest"])).await {
            Ok(answer) => {
                let bytes = answer.as_str().and_then(|text| hex::decode(text).ok());
                return match bytes.and_then(|bytes| String::abi_decode(&bytes).ok()) {
                    Some(version) => Ok(version),
                    None => Err(format!("no registry answers at {registry}")),
                };
            }
            Err(error) => why = error.to_string(),
        }
    }
    Err(why)
}

async fn width(
    endpoints: &[Endpoint],
    registry: Address,
    newest: Option<u64>,
) -> Result<(), String> {
    let newest = newest.ok_or("there is no final block")?;
    let from = newest.saturating_sub(NARROWEST_RANGE - 1);
    for endpoint in endpoints {
        let filter = json!([{
            "address": registry, "topics": [IdentityRegistry::Registered::SIGNATURE_HASH],
            "fromBlock": format!("{from:#x}"), "toBlock": format!("{newest:#x}"),
        }]);
        endpoint.ask::<Value>("eth_getLogs", filter).await.map_err(|error| error.to_string())?;
    }
    Ok(())
}

async fn history(endpoints: &[Endpoint], first: u64) -> Result<(), String> {
    for endpoint in endpoints {
        let params = json!([format!("{first:#x}"), false]);
        let block = endpoint.ask::<Value>("eth_getBlockByNumber", params).await;
        let block = block.map_err(|error| error.to_string())?;
        if block.is_null() {
            return Err(format!("{endpoint} does not serve block {first}"));
        }
    }
    Ok(())
}

async fn days_of_funds(target: &ChainTarget, account: Option<Address>) -> Result<f64, String> {
    let account = account.ok_or("the account is not known")?;
    let mut why = "there is no endpoint".to_owned();
    for endpoint in &target.client.endpoints {
        let balance = endpoint.ask::<Value>("eth_getBalance", json!([account, "latest"])).await;
        match told(balance.map(|balance| quantity(&balance))) {
            Ok(balance) => {
                let balance = u128::try_from(balance).unwrap_or(u128::MAX);
                return Ok(target.limits.days_of(balance));
            }
            Err(error) => why = error,
        }
    }
    Err(why)
}
