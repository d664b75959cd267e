//! What must hold when all is quiet, judged from the truth node, the wire, the journals and the
//! documents.

use std::collections::{BTreeMap, BTreeSet};

use alloy::{
    consensus::{Transaction, TxEnvelope, transaction::SignerRecoverable},
    eips::eip2718::Decodable2718,
    hex,
    primitives::{Address, B256, Bytes, U256},
    sol_types::{SolCall, SolEvent},
};

use crate::support::anchor_key::KEY_METADATA;
use crate::support::chain::{IdentityRegistry, Rpc};

/// A mint by one of our accounts on the truth node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mint {
    pub id: U256,
    pub key: Option<[u8; 20]>,
}

/// Everything that is judged.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub registry: Address,
    /// Our accounts, with their final counts.
    pub accounts: BTreeMap<Address, u64>,
    /// wei per gas
    pub ceiling: u128,
    pub keys: BTreeMap<String, [u8; 20]>,
    pub mints: Vec<Mint>,
    /// Every raw transaction that any proxy saw.
    pub raw: BTreeSet<String>,
    /// Those that no journal held when they were seen.
    pub unwritten: BTreeSet<String>,
    /// The ids by agent that each journal, and each set of documents, tells in the end.
    pub told: Vec<(&'static str, BTreeMap<String, Option<U256>>)>,
    /// Every id that a journal ever told.
    pub believed: BTreeSet<(String, U256)>,
}

/// What must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Objection {
    NotMinted(String),
    MintedTwice(String, Vec<U256>),
    /// A token of ours that no key of ours explains, or no journal knows.
    Orphan(U256),
    WrongId {
        teller: &'static str,
        agent: String,
        told: Option<U256>,
    },
    Phantom(String, U256),
    /// Signed beyond the next nonce, or a mint that is signed and not settled.
    Gap(u64),
    OtherCall(B256),
    Unwritten(B256),
    TooDear(B256),
    Unreadable(String),
}

/// The mints of our accounts, from the registry's own events.
pub async fn mints(node: &Rpc, registry: Address, accounts: &[Address]) -> Vec<Mint> {
    let logs = node.logs(registry).await;
    let registered = logs.iter().filter_map(|logged| {
        let event = IdentityRegistry::Registered::decode_log(&logged.log).ok()?;
        accounts.contains(&event.owner).then_some((logged.transaction, event.agentId))
    });
    let key = |(transaction, id)| {
        let own = logs.iter().filter(|logged| logged.transaction == transaction);
        let set =
            own.filter_map(|logged| IdentityRegistry::MetadataSet::decode_log(&logged.log).ok());
        let mut keys = set.filter(|set| set.agentId == id && set.metadataKey == KEY_METADATA);
        keys.find_map(|set| set.metadataValue[..].try_into().ok())
    };
    registered.map(|(transaction, id)| Mint { id, key: key((transaction, id)) }).collect()
}

impl Outcome {
    /// All that is wrong.
    pub fn objections(&self) -> Vec<Objection> {
        let mut objections = Vec::new();
        let mut ids = BTreeMap::new();
        for (agent, key) in &self.keys {
            let own: Vec<U256> = self
                .mints
                .iter()
                .filter(|mint| mint.key == Some(*key))
                .map(|mint| mint.id)
                .collect();
            match own[..] {
                [] => objections.push(Objection::NotMinted(agent.clone())),
                [id] => drop(ids.insert(agent.clone(), id)),
                [..] => objections.push(Objection::MintedTwice(agent.clone(), own)),
            }
        }
        let known: BTreeSet<U256> =
            self.told.iter().flat_map(|(_, told)| told.values().copied().flatten()).collect();
        let explained =
            |mint: &&Mint| mint.key.is_some_and(|key| self.keys.values().any(|own| *own == key));
        for mint in &self.mints {
            if !explained(&mint) || !known.contains(&mint.id) {
                objections.push(Objection::Orphan(mint.id));
            }
        }
        for (teller, told) in &self.told {
            for (agent, told) in told {
                if told.is_none() || *told != ids.get(agent).copied() {
                    let (agent, told) = (agent.clone(), *told);
                    objections.push(Objection::WrongId { teller, agent, told });
                }
            }
        }
        for (agent, id) in &self.believed {
            if ids.get(agent) != Some(id) {
                objections.push(Objection::Phantom(agent.clone(), *id));
            }
        }
        for raw in &self.raw {
            match decoded(raw) {
                Some(transaction) => self.judge(raw, &transaction, &mut objections),
                None => objections.push(Objection::Unreadable(raw.clone())),
            }
        }
        objections
    }

    fn judge(&self, raw: &str, transaction: &TxEnvelope, objections: &mut Vec<Objection>) {
        let hash = *transaction.tx_hash();
        let selectors = [
            IdentityRegistry::register_2Call::SELECTOR,
            IdentityRegistry::setAgentURICall::SELECTOR,
            IdentityRegistry::setMetadataCall::SELECTOR,
        ];
        let signer = transaction.recover_signer().ok();
        let count = signer.and_then(|signer| self.accounts.get(&signer));
        let is_known = transaction.to() == Some(self.registry)
            && transaction.value().is_zero()
            && transaction.chain_id() == Some(31_337)
            && count.is_some()
            && selectors.iter().any(|known| transaction.input().starts_with(known));
        if !is_known {
            objections.push(Objection::OtherCall(hash));
        }
        if self.unwritten.contains(raw) {
            objections.push(Objection::Unwritten(hash));
        }
        if transaction.max_fee_per_gas() > self.ceiling {
            objections.push(Objection::TooDear(hash));
        }
        // What needs no repeating may be left at the next nonce; a mint left there could still come
        // to pass.
        let is_mint = transaction.input().starts_with(&IdentityRegistry::register_2Call::SELECTOR);
        if count.is_some_and(|count| transaction.nonce() + u64::from(is_mint) > *count) {
            objections.push(Objection::Gap(transaction.nonce()));
        }
    }
}

fn decoded(raw: &str) -> Option<TxEnvelope> {
    let bytes: Bytes = hex::decode(raw).ok()?.into();
    TxEnvelope::decode_2718(&mut &bytes[..]).ok()
}
