//! The product's decision on what a node of the model says. Each question is decided once, since
//! many histories come to the same one.

use std::collections::BTreeMap;

use super::{
    Broken, Mutant, Setting, Start,
    actor::{Journal, Read},
    chain::{Account, Chain, Op, Tx, count},
    nodes::{Asked, INVENTED, Lie, Node, accounts, address, desired, evidence, id, unread_keys},
};
use crate::anchor::{
    evidence::View,
    key::AnchorKey,
    plan::{
        Call, Denial, DesiredAgent, DesiredState, FormerAccount, HeadState, Purpose, Reservation,
        Retirement, Step, Testimony, Unconfirmed, next,
    },
    testing::{in_flight, registry},
};
use crate::registration::AgentId;

/// Everything that a decision of an actor depends on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Question {
    /// What is final, as far as it was read.
    pub(super) chain: Vec<Tx>,
    pub(super) read: Read,
    pub(super) current: Account,
    pub(super) has_rotated: bool,
    pub(super) adopts: bool,
    pub(super) pruned: usize,
    pub(super) journal: Journal,
    pub(super) waited: u8,
    pub(super) skip: Option<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Move {
    /// Nothing is decided on such evidence.
    Nothing,
    Wait,
    Release,
    Broadcast,
    Sign(u8, Op),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decided {
    pub(super) step: Move,
    /// The journal's map from keys to tokens afterwards.
    pub(super) minted: [Option<u8>; 2],
    /// Whether the bytes of the former account are sent again.
    pub(super) resends: bool,
}

/// What comes of asking one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    Decided(Decided),
    /// Its evidence is not used, and the next node tells this lie.
    PassOver(Lie),
}

/// What was decided so far.
#[derive(Debug, Default)]
pub(super) struct Decisions(BTreeMap<Question, Result<Decided, Broken>>);

impl Decisions {
    pub(super) fn decide(
        &mut self,
        question: Question,
        setting: &Setting,
        mutant: Mutant,
    ) -> Result<Decided, Broken> {
        if let Some(decided) = self.0.get(&question) {
            return *decided;
        }
        let decided = question.decide(setting, mutant);
        self.0.insert(question, decided);
        decided
    }
}

impl Question {
    /// Asks the node that was read and, if its evidence does not hold, the next one.
    fn decide(&self, setting: &Setting, mutant: Mutant) -> Result<Decided, Broken> {
        let first = if self.read.lies { Lie::LeavesOut } else { Lie::None };
        let decided = match self.decide_at(first, setting, mutant)? {
            Heard::Decided(decided) => Some(decided),
            Heard::PassOver(next) if setting.endpoints > 1 => {
                match self.decide_at(next, setting, mutant)? {
                    Heard::Decided(decided) => Some(decided),
                    Heard::PassOver(_) => None,
                }
            }
            Heard::PassOver(_) => None,
        };
        let minted = self.journal.minted;
        Ok(decided.unwrap_or(Decided { step: Move::Nothing, minted, resends: false }))
    }

    fn decide_at(&self, lie: Lie, setting: &Setting, mutant: Mutant) -> Result<Heard, Broken> {
        let chain = Chain::of(self.chain.iter());
        let asked = Asked {
            has_rotated: self.has_rotated,
            current: self.current,
            adopts: self.adopts.then_some(0),
            mutant,
        };
        let minted =
            if mutant == Mutant::MintedMapIgnored { BTreeMap::new() } else { self.minted(setting) };
        let own = Node { pruned: self.pruned, lie };
        let (shown, first_mint) = evidence(own, &chain, self.counts(), &asked);
        let Ok(mut view) = shown.view(&accounts(&asked), &minted) else {
            return Ok(Heard::PassOver(Lie::None));
        };
        no_phantom(&view, &chain, setting)?;
        if self.skip.is_some_and(|skip| view.count == u64::from(skip)) {
            view.count += 1;
        }
        let formers = self.formers(mutant);
        let resends = formers.iter().any(FormerAccount::holds_recorded);
        let sent = self.journal.slots[self.current.index()];
        let sent = sent.map(|(nonce, _, seen)| in_flight(nonce.into(), seen.into(), 1));
        let (mined, pending) = (self.read.mined.into(), self.read.pending.into());
        let head = HeadState { mined, pending, base_fee: 0, tip: 0, balance: 0, is_known: false };
        let state = self.desired(setting, mutant);
        let waited = self.waited.into();
        let decision = next(&state, sent.as_ref(), &formers, &view, &head, waited);
        let step = match decision.step {
            Step::Wait => Move::Wait,
            Step::Release => Move::Release,
            Step::Broadcast => Move::Broadcast,
            Step::Sign(reservation) => self.signed(&reservation, setting),
            Step::Confirm(claim) => {
                let keys = unread_keys(&shown, &chain, &asked);
                if shown.check_absence(first_mint, keys).is_err() {
                    return Ok(Heard::PassOver(Lie::None));
                }
                let said = self.testimonies(&claim, lie, &asked, &minted, setting, &view);
                let is_alone = mutant == Mutant::AbsenceFromOneEndpoint;
                let endpoints = if is_alone { 1 } else { setting.endpoints };
                let believes_one = mutant == Mutant::PresenceFromOneEndpoint;
                let invented = Testimony::Present(id(INVENTED));
                if believes_one && said.contains(&invented) {
                    return Ok(Heard::PassOver(Lie::Invents));
                }
                match claim.judge(&said, endpoints) {
                    Ok(reservation) => self.signed(&reservation, setting),
                    Err(Denial::Outvoted) => return Ok(Heard::PassOver(Lie::None)),
                    Err(Denial::Undecided) => Move::Wait,
                }
            }
        };
        let claims_retired = matches!(step, Move::Sign(_, Op::Mint(0) | Op::Adopt(0, _)));
        // Signing what is in flight again claims nothing anew.
        if self.journal.retired && sent.is_none() && claims_retired {
            return Err(Broken::ClaimedRetired);
        }
        let mut minted = self.journal.minted;
        for key in 0..setting.keys {
            let found = view.agents.get(&desired(key).key);
            let token = found.and_then(|found| (0..8).find(|token| id(*token) == *found));
            let remembered = &mut minted[usize::from(key)];
            *remembered = remembered.or(token);
        }
        Ok(Heard::Decided(Decided { step, minted, resends }))
    }

    /// The accounts' counts as this node says: mutants read the current one elsewhere.
    fn counts(&self) -> [u8; 2] {
        let mut counts = [Account::First, Account::Second].map(|by| count(self.chain.iter(), by));
        counts[self.current.index()] = self.read.count;
        counts
    }

    fn minted(&self, setting: &Setting) -> BTreeMap<AnchorKey, AgentId> {
        let keys = (0..setting.keys).zip(self.journal.minted);
        keys.filter_map(|(key, token)| Some((desired(key).key, id(token?)))).collect()
    }

    fn formers(&self, mutant: Mutant) -> Vec<FormerAccount> {
        if !self.has_rotated || mutant == Mutant::FormerAccountsIgnored {
            return Vec::new();
        }
        let former = self.current.other();
        let recorded = self.journal.slots[former.index()];
        vec![FormerAccount {
            final_count: self.counts()[former.index()].into(),
            pending: self.read.former_pending.into(),
            recorded: recorded.map(|(nonce, _, _)| nonce.into()),
        }]
    }

    fn desired(&self, setting: &Setting, mutant: Mutant) -> DesiredState {
        let agent = |number: u8| {
            let agent = desired(number);
            if number > 0 {
                return agent;
            }
            let is_heard = mutant != Mutant::RetirementIgnored;
            let retirement = (self.journal.retired && is_heard).then_some(Retirement::Retired);
            let is_unclear =
                setting.start == Start::Unclear && mutant != Mutant::UnreadableIdentityNamesNothing;
            let unclear = is_unclear.then(|| "agentId \"#0\" is not a number".to_owned());
            DesiredAgent { adopt: self.adopts.then(|| id(0)), unclear, retirement, ..agent }
        };
        DesiredState {
            registry: registry(31337),
            account: address(Some(self.current)),
            agents: (0..setting.keys).map(agent).collect(),
            mint_beside: false,
        }
    }

    /// What the endpoints say: this one, honest ones, and the one that lies, which is heard early.
    /// It says what is not so: a token that is on chain is left out, and another one is invented.
    fn testimonies(
        &self,
        claim: &Unconfirmed,
        own: Lie,
        asked: &Asked,
        minted: &BTreeMap<AnchorKey, AgentId>,
        setting: &Setting,
        decided_on: &View,
    ) -> Vec<Testimony> {
        let known = &self.chain[..self.chain.len().saturating_sub(setting.behind)];
        let chain = Chain::of(known.iter());
        let counts = match setting.behind {
            0 => self.counts(),
            _ => [Account::First, Account::Second].map(|by| count(known.iter(), by)),
        };
        let mut said = vec![Testimony::Absent];
        for other in 1..setting.endpoints {
            let is_liar = other == 1 && own == Lie::None && setting.endpoints > 2;
            let lie = match chain.claims(0).next() {
                _ if !is_liar => Lie::None,
                Some(_) => Lie::LeavesOut,
                None => Lie::Invents,
            };
            let node = Node { pruned: self.pruned, lie };
            let (shown, first_mint) = evidence(node, &chain, counts, asked);
            let keys = unread_keys(&shown, &chain, asked);
            let view = shown
                .view(&accounts(asked), minted)
                .and_then(|view| shown.check_absence(first_mint, keys).map(|()| view));
            said.push(match view {
                Ok(mut view) => {
                    if asked.mutant == Mutant::FormerCountsNotCompared {
                        view.former_counts.clone_from(&decided_on.former_counts);
                    }
                    claim.testimony(&view)
                }
                Err(error) => Testimony::Unusable(error.to_string()),
            });
        }
        said
    }

    fn signed(&self, reservation: &Reservation, setting: &Setting) -> Move {
        let nonce = u8::try_from(reservation.nonce()).unwrap();
        let key = |wanted: &AnchorKey| {
            (0..setting.keys).find(|number| desired(*number).key == *wanted).unwrap()
        };
        let slot = self.journal.slots[self.current.index()];
        let op = match (reservation.purpose(), slot) {
            (Purpose::Open { call: Call::Mint { key: wanted, .. }, .. }, _) => {
                Op::Mint(key(wanted))
            }
            (Purpose::Open { call: Call::Adopt { key: wanted, .. }, .. }, _) => {
                Op::Adopt(key(wanted), 0)
            }
            (Purpose::Bump, Some((_, op, _))) => op,
            // The last agentURI of a retired agent. No event of it is evidence.
            (Purpose::Open { call: Call::SetUri { .. }, .. }, _) => Op::SetUri,
            (purpose, slot) => panic!("the model asks for no such call: {purpose:?} in {slot:?}"),
        };
        Move::Sign(nonce, op)
    }
}

/// Every id that a view gives an agent is the first to which one of our accounts gave the key.
fn no_phantom(view: &View, chain: &Chain, setting: &Setting) -> Result<(), Broken> {
    for key in 0..setting.keys {
        let believed = view.agents.get(&desired(key).key);
        if believed.is_some_and(|believed| chain.claims(key).next().map(id) != Some(*believed)) {
            return Err(Broken::Phantom(key));
        }
    }
    Ok(())
}
