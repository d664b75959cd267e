//! What the nodes of the model say about its chain.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256, U256};

use super::{
    Mutant,
    chain::{Account, Chain, Event},
};
use crate::{
    anchor::{
        evidence::{
            Accounts, Block, Evidence, FirstMint, KeyEvent, LogPosition, Mint, Token, Transfer,
        },
        key::{AnchorKey, Owner},
        plan::DesiredAgent,
        testing::{self, FORMER, STRANGER, US, host},
    },
    registration::{AgentId, AgentName, AgentRegistry},
};

/// What a node leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Node {
    /// Events of fewer than so many of the oldest transactions are not served.
    pub(super) pruned: usize,
    pub(super) lie: Lie,
}

/// What a node says that is not so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lie {
    None,
    /// It leaves out the events of our accounts, and says that they hold nothing.
    LeavesOut,
    /// It shows a mint of the first key that never happened.
    Invents,
}

/// The token that a node invents.
pub(super) const INVENTED: u8 = 7;

/// What is read besides the chain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) has_rotated: bool,
    pub(super) current: Account,
    /// The token that `--adopt` names.
    pub(super) adopts: Option<u8>,
    pub(super) mutant: Mutant,
}

pub(super) fn address(account: Option<Account>) -> Address {
    match account {
        Some(Account::First) => FORMER,
        Some(Account::Second) => US,
        None => STRANGER,
    }
}

pub(super) fn accounts(asked: &Asked) -> Accounts {
    let former = asked.has_rotated.then(|| address(Some(asked.current.other())));
    Accounts { current: address(Some(asked.current)), former: former.into_iter().collect() }
}

pub(super) fn id(token: u8) -> AgentId {
    AgentId::new(U256::from(token))
}

/// Everything that one node serves. The counts are those of the block.
pub(super) fn evidence(
    node: Node,
    chain: &Chain,
    counts: [u8; 2],
    asked: &Asked,
) -> (Evidence, FirstMint) {
    let accounts = accounts(asked);
    let mutant = asked.mutant;
    let mut evidence = Evidence {
        block: Block { number: 0, hash: B256::ZERO },
        count: counts[asked.current.index()].into(),
        former_counts: BTreeMap::new(),
        mints: Vec::new(),
        transfers: Vec::new(),
        balances: accounts.all().map(|account| (account, U256::ZERO)).collect(),
        key_events: Vec::new(),
        tokens: BTreeMap::new(),
    };
    for former in &accounts.former {
        evidence.former_counts.insert(*former, counts[asked.current.other().index()].into());
    }
    // A node that leaves out the logs of the last mint, and a reader that does not count.
    let is_short = mutant == Mutant::ShortLogRange;
    let shown = chain.tokens.len().saturating_sub(usize::from(is_short));
    let served = chain.events.iter().zip(0..).filter(|((place, event), _)| {
        let token = match event {
            Event::Transfer { token, .. }
            | Event::Registered { token, .. }
            | Event::Key { token, .. } => usize::from(*token),
        };
        *place >= node.pruned && token < shown
    });
    for ((place, event), index) in served {
        let at = LogPosition { block: u64::try_from(*place).unwrap(), index };
        serve(&mut evidence, at, *event, chain, node, asked);
    }
    if mutant == Mutant::AdoptionJudgedByTheOwnerNow {
        for (token, number) in
            chain.tokens.iter().zip(0..).filter(|(token, _)| token.owner.is_none())
        {
            let own = |event: &&mut KeyEvent| event.id == id(number) && token.minted_key.is_none();
            for event in evidence.key_events.iter_mut().filter(own) {
                event.sender = Some(STRANGER);
            }
        }
    }
    balances(&mut evidence, chain, shown, node);
    tokens(&mut evidence, chain, &accounts, asked);
    if node.lie == Lie::Invents {
        invent(&mut evidence, asked);
    }
    let first_mint = match chain.tokens.is_empty() {
        true => FirstMint::None,
        false => {
            let is_served = chain.events.first().is_some_and(|(place, _)| *place >= node.pruned);
            let is_looked_for = mutant != Mutant::FirstMintNotLookedFor;
            if is_served || !is_looked_for { FirstMint::Served } else { FirstMint::Missing }
        }
    };
    (evidence, first_mint)
}

fn serve(
    evidence: &mut Evidence,
    at: LogPosition,
    event: Event,
    chain: &Chain,
    node: Node,
    asked: &Asked,
) {
    let ours = |address: Address| accounts(asked).contains(address);
    match event {
        Event::Transfer { token, from, to } => {
            let from = from.map_or(Address::ZERO, address);
            let to = address(to);
            if node.lie != Lie::LeavesOut && (ours(from) || ours(to)) {
                evidence.transfers.push(Transfer { at, id: id(token), from, to });
            }
        }
        Event::Registered { token, by } => {
            let is_forged = by.is_none() && asked.mutant == Mutant::OwnerTopicUnchecked;
            let key = chain.tokens[usize::from(token)].minted_key.map(|key| desired(key).key);
            let is_forged = is_forged && key.is_some();
            if node.lie != Lie::LeavesOut && (ours(address(by)) || is_forged) {
                let owner = if is_forged { address(Some(asked.current)) } else { address(by) };
                let uri = match key {
                    Some(_) => desired(0).uri,
                    None => "https://elsewhere.example".to_owned(),
                };
                evidence.mints.push(Mint { at, id: id(token), owner, uri, key });
                if is_forged {
                    // And nobody compares it with the transfers.
                    let (from, to) = (Address::ZERO, owner);
                    evidence.transfers.push(Transfer { at, id: id(token), from, to });
                    let (from, to) = (owner, STRANGER);
                    evidence.transfers.push(Transfer { at, id: id(token), from, to });
                }
            }
        }
        Event::Key { token, key, by } => {
            let (id, key, sender) = (id(token), desired(key).key, Some(address(by)));
            evidence.key_events.push(KeyEvent { at, id, key, sender });
        }
    }
}

fn balances(evidence: &mut Evidence, chain: &Chain, shown: usize, node: Node) {
    if node.lie == Lie::LeavesOut {
        return;
    }
    for token in chain.tokens.iter().take(shown) {
        if let Some(balance) = evidence.balances.get_mut(&address(token.owner)) {
            *balance += U256::ONE;
        }
    }
}

/// Adds a mint that adds up.
fn invent(evidence: &mut Evidence, asked: &Asked) {
    let (id, owner, block) = (id(INVENTED), address(Some(asked.current)), u64::MAX);
    let (registered, moved) = (LogPosition { block, index: 1 }, LogPosition { block, index: 0 });
    let DesiredAgent { key, uri, .. } = desired(0);
    evidence.transfers.push(Transfer { at: moved, id, from: Address::ZERO, to: owner });
    evidence.mints.push(Mint { at: registered, id, owner, uri: uri.clone(), key: Some(key) });
    *evidence.balances.entry(owner).or_default() += U256::ONE;
    evidence.tokens.insert(id, Token { owner, uri, x402: true, key: Some(key) });
}

/// The tokens that the product reads: minted or adopted by us as far as shown, or named.
fn tokens(evidence: &mut Evidence, chain: &Chain, accounts: &Accounts, asked: &Asked) {
    for (token, number) in chain.tokens.iter().zip(0..) {
        let own = |mint: &Mint| mint.id == id(number);
        let set = |event: &KeyEvent| event.id == id(number) && evidence.is_claim(event, accounts);
        let is_read = evidence.mints.iter().any(own)
            || evidence.key_events.iter().any(set)
            || asked.adopts == Some(number);
        if is_read {
            let owner = address(token.owner);
            let key = token.key.map(|key| desired(key).key);
            let uri = desired(token.key.unwrap_or_default()).uri;
            evidence.tokens.insert(id(number), Token { owner, uri, x402: true, key });
        }
    }
}

/// κ in the metadata of what is not read otherwise.
pub(super) fn unread_keys(
    evidence: &Evidence,
    chain: &Chain,
    asked: &Asked,
) -> Vec<(AgentId, AnchorKey)> {
    let unread = evidence.unread(&accounts(asked));
    let keys = chain.tokens.iter().zip(0..).filter(|(_, number)| unread.contains(&id(*number)));
    keys.filter_map(|(token, number)| Some((id(number), desired(token.key?).key))).collect()
}

pub(super) fn desired(number: u8) -> DesiredAgent {
    thread_local! {
        static DESIRED: [DesiredAgent; 2] = [derive(0), derive(1)];
    }
    DESIRED.with(|desired| desired[usize::from(number)].clone())
}

fn derive(number: u8) -> DesiredAgent {
    let registry = AgentRegistry { chain_id: 31337, address: Address::repeat_byte(0x80) };
    let owner = Owner { id: "model".to_owned(), incarnation: 0 };
    let agent = match number {
        0 => AgentName::Default,
        _ => host("audit.example"),
    };
    let key = AnchorKey::derive(&registry, &owner, &agent);
    testing::desired(agent, key, &format!("https://agents.example/{number}"))
}
