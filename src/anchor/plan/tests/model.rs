//! A small honest chain with two actors that share our key, and everything that can go wrong around
//! them.
//!
//! The chain honours nonces and finality and nothing else. The decision is the product's own:
//! evidence is drawn from the chain and given to `Evidence::view` and `next`. A [`Mutant`] breaks
//! one rule of how evidence is read or an answer is understood.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
};

use alloy::primitives::{Address, B256, U256};

use crate::{
    anchor::{
        evidence::{Accounts, Adoption, Block, Evidence, Mint, Token, Transfer},
        key::{AnchorKey, Owner},
        plan::{
            BUMP_AFTER_DECISIONS, Call, DesiredAgent, DesiredState, HeadState, Purpose, Step, next,
        },
        testing::{self, STRANGER, US, host, in_flight},
    },
    registration::{AgentId, AgentName, AgentRegistry},
};

/// One broken rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    None,
    NonceFromLatest,
    NonceFromPending,
    NonceAndEventsFromDifferentBlocks,
    FinalityThatIsNotThere,
    ShortLogRange,
    OwnerTopicUnchecked,
    SendErrorFreesTheKeyAndTakesTheNextNonce,
    NullReceiptReadAsReplacedAndTheNextNonce,
}

/// How often each kind of trouble may happen in one history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Troubles {
    pub(crate) reorgs: u8,
    pub(crate) losses: u8,
    pub(crate) restores: u8,
    pub(crate) foreign: u8,
    pub(crate) attacks: u8,
    pub(crate) lags: u8,
}

/// The longest chain that is looked at, in transactions of our account.
const LONGEST: usize = 3;
/// The most blocks that are mined but not final.
const TIP: usize = 2;
const KEYS: u8 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Op {
    Mint(u8),
    /// Something that mints nothing of ours: a call of somebody else who holds the key.
    Noise,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Tx {
    Ours {
        nonce: u8,
        op: Op,
    },
    /// A stranger mints our URI with our κ and sends us the token.
    Attack(u8),
}

/// What one actor wrote down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Journal {
    slot: Option<(u8, Op, u8)>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Actor {
    journal: Journal,
    /// A copy that a backup may bring back.
    backup: Journal,
    /// What it read and has not acted on: how much of the final chain, and the head's counts.
    read: Option<Read>,
    waited: u8,
    /// Mutants only: a nonce that it believes to be used up.
    skip: Option<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Read {
    events: usize,
    count: u8,
    mined: u8,
    pending: u8,
    /// Mutants only: how many blocks of the tip were taken for final.
    lied: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    settled: Vec<Tx>,
    tip: Vec<Tx>,
    /// Everything that was ever signed: it stays valid as long as its nonce is free.
    leaked: BTreeSet<Tx>,
    actors: [Actor; 2],
    left: Troubles,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Read(usize),
    /// Reads from a node that is behind by one final transaction.
    ReadBehind(usize),
    Act(usize),
    /// Acts, and the reply to what was sent is lost.
    ActUnheard(usize),
    Mine(Tx),
    Finalize,
    Reorg,
    Lose(usize),
    Restore(usize),
}

/// A promise that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    DoubleMint(u8),
    /// An id was believed that the final chain does not give us.
    Phantom(u8),
}

impl World {
    pub(crate) fn new(left: Troubles) -> Self {
        let (settled, tip, leaked) = (Vec::new(), Vec::new(), BTreeSet::new());
        Self { settled, tip, leaked, actors: Default::default(), left }
    }

    /// A digest that tells states apart.
    pub(crate) fn digest(&self) -> u128 {
        let half = |salt: u64| {
            let mut hasher = DefaultHasher::new();
            (salt, self).hash(&mut hasher);
            u128::from(hasher.finish())
        };
        half(1) << 64 | half(2)
    }

    /// Everything that can happen next.
    pub(crate) fn actions(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        for actor in 0..self.actors.len() {
            if self.actors[actor].read.is_some() {
                actions.extend([Action::Act(actor), Action::ActUnheard(actor)]);
            } else {
                actions.push(Action::Read(actor));
                if self.left.lags > 0 && !self.settled.is_empty() {
                    actions.push(Action::ReadBehind(actor));
                }
            }
            if self.left.losses > 0 && self.actors[actor].journal.slot.is_some() {
                actions.push(Action::Lose(actor));
            }
            if self.left.restores > 0 && self.actors[actor].backup != self.actors[actor].journal {
                actions.push(Action::Restore(actor));
            }
        }
        if self.tip.len() < TIP {
            let nonce = self.mined();
            if usize::from(nonce) < LONGEST {
                let valid = |tx: &&Tx| matches!(tx, Tx::Ours { nonce: own, .. } if *own == nonce);
                actions.extend(self.leaked.iter().filter(valid).map(|tx| Action::Mine(*tx)));
                if self.left.foreign > 0 {
                    actions.push(Action::Mine(Tx::Ours { nonce, op: Op::Noise }));
                }
            }
            if self.left.attacks > 0 {
                actions.push(Action::Mine(Tx::Attack(0)));
            }
        }
        if !self.tip.is_empty() {
            actions.push(Action::Finalize);
            if self.left.reorgs > 0 {
                actions.push(Action::Reorg);
            }
        }
        actions
    }

    /// Lets one thing happen.
    pub(crate) fn after(&self, action: Action, mutant: Mutant) -> Result<Self, Broken> {
        let mut world = self.clone();
        match action {
            Action::Read(actor) => world.actors[actor].read = Some(world.read(0, mutant)),
            Action::ReadBehind(actor) => {
                world.left.lags -= 1;
                world.actors[actor].read = Some(world.read(1, mutant));
            }
            Action::Act(actor) => world.act(actor, true, mutant)?,
            Action::ActUnheard(actor) => world.act(actor, false, mutant)?,
            Action::Mine(tx) => {
                match tx {
                    Tx::Attack(_) => world.left.attacks -= 1,
                    Tx::Ours { op: Op::Noise, .. } if !self.leaked.contains(&tx) => {
                        world.left.foreign -= 1
                    }
                    Tx::Ours { .. } => {}
                }
                world.tip.push(tx);
            }
            Action::Finalize => world.settled.push(world.tip.remove(0)),
            Action::Reorg => {
                world.left.reorgs -= 1;
                world.tip.clear();
            }
            Action::Lose(actor) => {
                world.left.losses -= 1;
                world.actors[actor].journal = Journal::default();
                world.actors[actor].waited = 0;
            }
            Action::Restore(actor) => {
                world.left.restores -= 1;
                world.actors[actor].journal = world.actors[actor].backup;
            }
        }
        world.judge()?;
        Ok(world)
    }

    /// The promise that is kept on the chain as it stands, final or not.
    fn judge(&self) -> Result<(), Broken> {
        let chain = || self.settled.iter().chain(&self.tip);
        for key in 0..KEYS {
            let mints =
                |tx: &&Tx| matches!(tx, Tx::Ours { op: Op::Mint(minted), .. } if *minted == key);
            if chain().filter(mints).count() > 1 {
                return Err(Broken::DoubleMint(key));
            }
        }
        Ok(())
    }

    fn mined(&self) -> u8 {
        count(self.settled.iter().chain(&self.tip))
    }

    fn pending(&self) -> u8 {
        let mut next = self.mined();
        while self.leaked.iter().any(|tx| matches!(tx, Tx::Ours { nonce, .. } if *nonce == next)) {
            next += 1;
        }
        next
    }

    fn read(&self, behind: usize, mutant: Mutant) -> Read {
        let events = self.settled.len() - behind.min(self.settled.len());
        let (mined, pending) = (self.mined(), self.pending());
        let honest = count(self.settled[..events].iter());
        let (count, events, lied) = match mutant {
            Mutant::NonceFromLatest => (mined, events, 0),
            Mutant::NonceFromPending => (pending, events, 0),
            // The count is read first, from a node that is up to date.
            Mutant::NonceAndEventsFromDifferentBlocks => (count(self.settled.iter()), events, 0),
            Mutant::FinalityThatIsNotThere => (mined, self.settled.len(), self.tip.len()),
            Mutant::None
            | Mutant::ShortLogRange
            | Mutant::OwnerTopicUnchecked
            | Mutant::SendErrorFreesTheKeyAndTakesTheNextNonce
            | Mutant::NullReceiptReadAsReplacedAndTheNextNonce => (honest, events, 0),
        };
        Read { events, count, mined, pending, lied }
    }

    fn act(&mut self, actor: usize, heard: bool, mutant: Mutant) -> Result<(), Broken> {
        let Some(read) = self.actors[actor].read.take() else { return Ok(()) };
        let chain: Vec<Tx> = self.settled[..read.events]
            .iter()
            .chain(self.tip.iter().take(read.lied))
            .copied()
            .collect();
        let evidence = evidence(&chain, read.count, mutant);
        let Ok(mut view) = evidence.view(&accounts()) else { return Ok(()) };
        self.no_phantom(&view.agents, &chain)?;
        let skips = matches!(
            mutant,
            Mutant::SendErrorFreesTheKeyAndTakesTheNextNonce
                | Mutant::NullReceiptReadAsReplacedAndTheNextNonce
        );
        let state = &mut self.actors[actor];
        if skips && state.skip == Some(u8::try_from(view.count).unwrap()) {
            view.count += 1;
        }
        let sent = state
            .journal
            .slot
            .map(|(nonce, _, decisions)| in_flight(nonce.into(), decisions.into(), 1));
        let (mined, pending) = (read.mined.into(), read.pending.into());
        let head = HeadState { mined, pending, base_fee: 0, tip: 0, balance: 0 };
        let decision = next(&desired_state(), sent.as_ref(), &view, &head, state.waited.into());
        match decision.step {
            // One wait stands for ten: how long is manners.
            Step::Wait => state.waited = u8::try_from(BUMP_AFTER_DECISIONS).unwrap(),
            Step::Release => state.journal.slot = None,
            Step::Sign(reservation) => {
                let nonce = u8::try_from(reservation.nonce()).unwrap();
                if usize::from(nonce) > LONGEST {
                    return Ok(());
                }
                let op = match (reservation.purpose(), state.journal.slot) {
                    (Purpose::Open { call: Call::Mint { key, .. }, .. }, _) => {
                        Op::Mint((0..KEYS).find(|number| desired(*number).key == *key).unwrap())
                    }
                    (Purpose::Bump, Some((_, op, _))) => op,
                    (purpose, slot) => {
                        panic!("the model asks for no such call: {purpose:?} in {slot:?}")
                    }
                };
                state.backup = state.journal;
                state.journal.slot = Some((nonce, op, 0));
                state.waited = 0;
                // Written down is as good as sent: a copy may leak from then on.
                self.leaked.insert(Tx::Ours { nonce, op });
                if !heard && mutant == Mutant::SendErrorFreesTheKeyAndTakesTheNextNonce {
                    (state.journal.slot, state.skip) = (None, Some(nonce));
                }
            }
            Step::Broadcast => {
                if let Some((nonce, op, decisions)) = state.journal.slot {
                    let patience = u8::try_from(BUMP_AFTER_DECISIONS).unwrap();
                    state.journal.slot =
                        Some((nonce, op, if decisions == 0 { patience } else { decisions }));
                    if !heard && mutant == Mutant::NullReceiptReadAsReplacedAndTheNextNonce {
                        (state.journal.slot, state.skip) = (None, Some(nonce));
                    }
                }
            }
        }
        Ok(())
    }

    /// Every id that a view gives an agent was minted by our account in what was shown as final.
    fn no_phantom(
        &self,
        agents: &BTreeMap<AnchorKey, AgentId>,
        chain: &[Tx],
    ) -> Result<(), Broken> {
        for key in 0..KEYS {
            let Some(believed) = agents.get(&desired(key).key) else { continue };
            let ours = numbered(chain).any(|(id, tx)| {
                AgentId::new(U256::from(id)) == *believed
                    && matches!(tx, Tx::Ours { op: Op::Mint(minted), .. } if minted == key)
            });
            if !ours {
                return Err(Broken::Phantom(key));
            }
        }
        Ok(())
    }
}

fn count<'a>(chain: impl Iterator<Item = &'a Tx>) -> u8 {
    u8::try_from(chain.filter(|tx| matches!(tx, Tx::Ours { .. })).count()).unwrap()
}

/// The mints of a chain with the ids that the registry gives them: one counter for all.
fn numbered(chain: &[Tx]) -> impl Iterator<Item = (u64, Tx)> {
    let mints = |tx: &&Tx| matches!(tx, Tx::Attack(_) | Tx::Ours { op: Op::Mint(_), .. });
    chain.iter().filter(mints).zip(0..).map(|(tx, id)| (id, *tx))
}

fn evidence(chain: &[Tx], count: u8, mutant: Mutant) -> Evidence {
    let mut evidence = Evidence {
        block: Block { number: 0, hash: B256::ZERO },
        count: count.into(),
        mints: Vec::new(),
        transfers: Vec::new(),
        balances: BTreeMap::new(),
        adoptions: Vec::new(),
        tokens: BTreeMap::new(),
    };
    let mut balance = 0_u64;
    // A node that leaves out the logs of its last mint, and a reader that does not count.
    let all = numbered(chain).count();
    let shown = if mutant == Mutant::ShortLogRange { all.saturating_sub(1) } else { all };
    for (id, tx) in numbered(chain).take(shown) {
        let id = AgentId::new(U256::from(id));
        let (key, minter) = match tx {
            Tx::Ours { op: Op::Mint(key), .. } => (key, US),
            Tx::Attack(key) if mutant == Mutant::OwnerTopicUnchecked => (key, US),
            Tx::Attack(key) => (key, STRANGER),
            Tx::Ours { op: Op::Noise, .. } => continue,
        };
        let DesiredAgent { key, uri, .. } = desired(key);
        evidence.mints.push(Mint { id, owner: minter, uri: uri.clone(), key: Some(key) });
        if minter == US {
            evidence.transfers.push(Transfer { id, from: Address::ZERO, to: US });
        } else {
            evidence.transfers.push(Transfer { id, from: STRANGER, to: US });
            evidence.adoptions.push(Adoption { id, sender: STRANGER, key });
        }
        balance += 1;
        evidence.tokens.insert(id, Token { owner: US, uri, x402: true, key: Some(key) });
    }
    evidence.balances.insert(US, U256::from(balance));
    evidence
}

fn accounts() -> Accounts {
    Accounts { current: US, former: BTreeSet::new() }
}

fn desired_state() -> DesiredState {
    DesiredState { account: US, agents: (0..KEYS).map(desired).collect(), mint_beside: false }
}

fn desired(number: u8) -> DesiredAgent {
    thread_local! {
        static DESIRED: Vec<DesiredAgent> = (0..KEYS).map(derive).collect();
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
