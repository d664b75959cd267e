//! A small honest chain, actors that share our keys, nodes that may lie about it, and everything
//! that can go wrong around them.
//!
//! The chain honours nonces and finality and nothing else. The decision is the product's own: what
//! each node says of the chain is evidence, which is given to `Evidence::view`, `next`,
//! `Evidence::check_absence` and `Unconfirmed::judge`. A [`Mutant`] breaks one rule of how evidence
//! is read or an answer is understood.

mod actor;
mod chain;
mod decide;
mod nodes;
mod troubles;

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
};

use self::{
    actor::{Actor, Journal},
    chain::{Chain, count, double_mint},
    decide::Decisions,
};
pub(crate) use self::{
    chain::{Account, Op, Tx},
    troubles::Troubles,
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
    /// A former account's transactions are no reason to wait.
    FormerAccountsIgnored,
    /// What one endpoint does not show is not on chain.
    AbsenceFromOneEndpoint,
    /// The journal's map from keys to ids is no reason to doubt a view.
    MintedMapIgnored,
    /// Nobody looks whether old events are still served.
    FirstMintNotLookedFor,
    /// An AgentIdentity that cannot be read names nothing.
    UnreadableIdentityNamesNothing,
    /// Only an adoption of a token that is ours now counts.
    AdoptionJudgedByTheOwnerNow,
    /// What an operator said about retirement is not looked at.
    RetirementIgnored,
    /// An endpoint that shows an agent is believed, whatever the others show.
    PresenceFromOneEndpoint,
    /// An endpoint that is behind confirms, whatever former accounts have sent since.
    FormerCountsNotCompared,
}

/// What does not change within a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) actors: usize,
    pub(crate) keys: u8,
    /// The most transactions of one account that are looked at.
    pub(crate) nonces: u8,
    /// The most blocks that are mined but not final.
    pub(crate) tip: usize,
    /// How many endpoints there are; one of them may lie.
    pub(crate) endpoints: usize,
    /// By how many final transactions the others are behind, as nodes that prune state may be.
    pub(crate) behind: usize,
    pub(crate) start: Start,
    /// The most troubles in one history, of all kinds together.
    pub(crate) troubles: u8,
}

/// How a history begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    Empty,
    /// A stranger has sent us a token, and `--adopt` names it for the default agent.
    Adopting,
    /// The account has minted the default agent in another way, and an AgentIdentity names it in a
    /// form that cannot be read.
    Unclear,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    settled: Vec<Tx>,
    tip: Vec<Tx>,
    /// Everything that was ever signed: it stays valid as long as its nonce is free.
    leaked: BTreeSet<(Account, u8, Op)>,
    /// What no node has pending any more, or had never.
    dropped: BTreeSet<(Account, u8, Op)>,
    actors: Vec<Actor>,
    /// The account that signs.
    current: Account,
    adopts: bool,
    /// How many of the oldest events no node serves.
    pruned: usize,
    left: Troubles,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Read(usize),
    /// Reads from a node that is behind by one final transaction.
    ReadBehind(usize),
    /// Reads from the node that leaves out our events.
    ReadLie(usize),
    Act(usize),
    /// Acts, and what is sent does not arrive, nor does a reply.
    ActUnheard(usize),
    Mine(Tx),
    Finalize,
    Reorg,
    Lose(usize),
    Restore(usize),
    Drop(Account, u8, Op),
    Rotate,
    Prune,
    StopAdopting,
    /// An operator retires the default agent, or revives it, in the journal of one process.
    Retire(usize),
}

/// A promise that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    DoubleMint(u8),
    /// An id was believed that the final chain does not give us.
    Phantom(u8),
    /// An agent was minted beside an id that is known for it.
    MintedBeside,
    /// A key was given to a token although the journal calls it retired.
    ClaimedRetired,
}

/// The product's decisions, and what the histories have in common.
#[derive(Debug)]
pub(crate) struct Rules {
    setting: Setting,
    mutant: Mutant,
    /// How many troubles are left at least.
    spare: u8,
    decisions: Decisions,
}

/// Collects what is hashed: hashing it in one piece is several times faster.
#[derive(Debug, Default)]
struct Bytes(Vec<u8>);

impl Hasher for Bytes {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn finish(&self) -> u64 {
        unreachable!("it only collects")
    }
}

impl Rules {
    pub(crate) fn new(setting: Setting, troubles: Troubles, mutant: Mutant) -> Self {
        let spare = troubles.total().saturating_sub(setting.troubles);
        Self { setting, mutant, spare, decisions: Decisions::default() }
    }
}

impl World {
    pub(crate) fn new(setting: &Setting, left: Troubles) -> Self {
        let settled = match setting.start {
            Start::Empty => Vec::new(),
            Start::Adopting => vec![Tx::Gift],
            Start::Unclear => vec![Tx::Ours { by: Account::First, nonce: 0, op: Op::Unkeyed }],
        };
        Self {
            settled,
            tip: Vec::new(),
            leaked: BTreeSet::new(),
            dropped: BTreeSet::new(),
            actors: vec![Actor::default(); setting.actors],
            current: Account::First,
            adopts: setting.start == Start::Adopting,
            pruned: 0,
            left,
        }
    }

    /// A digest that tells states apart. Actors that trade places are the same state.
    pub(crate) fn digest(&self) -> u128 {
        let mut actors = self.actors.clone();
        actors.sort_unstable();
        let Self { settled, tip, leaked, dropped, actors: _, current, adopts, pruned, left } = self;
        let mut bytes = Bytes::default();
        (settled, tip, leaked, dropped, &actors).hash(&mut bytes);
        (current, adopts, pruned, left).hash(&mut bytes);
        let half = |salt: u64| {
            let mut hasher = DefaultHasher::new();
            hasher.write_u64(salt);
            hasher.write(&bytes.0);
            u128::from(hasher.finish())
        };
        half(1) << 64 | half(2)
    }

    /// Everything that can happen next.
    pub(crate) fn actions(&self, setting: &Setting) -> Vec<Action> {
        let mut actions = Vec::new();
        for (at, actor) in self.actors.iter().enumerate() {
            if actor.read.is_some() {
                actions.extend([Action::Act(at), Action::ActUnheard(at)]);
            } else {
                actions.push(Action::Read(at));
                if self.left.lags > 0 && !self.settled.is_empty() {
                    actions.push(Action::ReadBehind(at));
                }
                if self.left.lies > 0 {
                    actions.push(Action::ReadLie(at));
                }
            }
            if self.left.losses > 0 && actor.journal != Journal::default() {
                actions.push(Action::Lose(at));
            }
            if self.left.restores > 0 && actor.backup != actor.journal {
                actions.push(Action::Restore(at));
            }
            if self.left.retirements > 0 {
                actions.push(Action::Retire(at));
            }
        }
        self.mined_next(setting, &mut actions);
        if !self.tip.is_empty() {
            actions.push(Action::Finalize);
            if self.left.reorgs > 0 {
                actions.push(Action::Reorg);
            }
        }
        if self.left.drops > 0 {
            let alive =
                self.leaked.difference(&self.dropped).filter(|signed| self.is_alive(signed));
            actions.extend(alive.map(|(by, nonce, op)| Action::Drop(*by, *nonce, *op)));
        }
        if self.left.rotations > 0 {
            actions.push(Action::Rotate);
        }
        if self.left.prunings > 0 && self.pruned < self.settled.len() {
            actions.push(Action::Prune);
        }
        if self.left.changes > 0 && self.adopts {
            actions.push(Action::StopAdopting);
        }
        actions
    }

    fn mined_next(&self, setting: &Setting, actions: &mut Vec<Action>) {
        if self.tip.len() >= setting.tip {
            return;
        }
        for by in [Account::First, Account::Second] {
            let nonce = self.mined(by);
            if nonce >= setting.nonces {
                continue;
            }
            let valid = self.leaked.iter().filter(|signed| (signed.0, signed.1) == (by, nonce));
            actions.extend(
                valid.map(|(by, nonce, op)| {
                    Action::Mine(Tx::Ours { by: *by, nonce: *nonce, op: *op })
                }),
            );
            if by != self.current && by == Account::Second {
                continue;
            }
            if self.left.foreign > 0 {
                actions.push(Action::Mine(Tx::Ours { by, nonce, op: Op::Noise }));
            }
            if self.left.gifts > 0 {
                let chain = Chain::of(self.settled.iter().chain(&self.tip));
                let own = chain.owned_by(by);
                let given = |token| Action::Mine(Tx::Ours { by, nonce, op: Op::Give(token) });
                actions.extend(own.map(given));
            }
        }
        if self.left.attacks > 0 {
            actions.push(Action::Mine(Tx::Attack(0)));
        }
    }

    /// Lets one thing happen. `None` if it leads out of what is looked at.
    pub(crate) fn after(&self, action: Action, rules: &mut Rules) -> Result<Option<Self>, Broken> {
        let mut world = self.clone();
        match action {
            Action::Read(at) => world.actors[at].read = Some(world.read(0, false, rules)),
            Action::ReadBehind(at) => {
                world.left.lags -= 1;
                world.actors[at].read = Some(world.read(1, false, rules));
            }
            Action::ReadLie(at) => {
                world.left.lies -= 1;
                world.actors[at].read = Some(world.read(0, true, rules));
            }
            Action::Act(at) => world.act(at, true, rules)?,
            Action::ActUnheard(at) => world.act(at, false, rules)?,
            Action::Mine(tx) => {
                match tx {
                    Tx::Attack(_) => world.left.attacks -= 1,
                    Tx::Ours { op: Op::Noise, .. } => world.left.foreign -= 1,
                    Tx::Ours { op: Op::Give(_), .. } => world.left.gifts -= 1,
                    Tx::Ours { .. } | Tx::Gift => {}
                }
                world.tip.push(tx);
            }
            Action::Finalize => world.settled.push(world.tip.remove(0)),
            Action::Reorg => {
                world.left.reorgs -= 1;
                world.tip.clear();
            }
            Action::Lose(at) => {
                world.left.losses -= 1;
                // A process holds its journal in memory: only its successor finds it gone, and
                // reads anew.
                let actor = &mut world.actors[at];
                (actor.journal, actor.read, actor.waited) = (Journal::default(), None, 0);
            }
            Action::Restore(at) => {
                world.left.restores -= 1;
                let actor = &mut world.actors[at];
                (actor.journal, actor.read) = (actor.backup, None);
            }
            Action::Drop(by, nonce, op) => {
                world.left.drops -= 1;
                world.dropped.insert((by, nonce, op));
            }
            Action::Rotate => {
                world.left.rotations -= 1;
                world.current = world.current.other();
                world.actors.iter_mut().for_each(|actor| (actor.read, actor.waited) = (None, 0));
            }
            Action::Prune => {
                world.left.prunings -= 1;
                world.pruned = world.settled.len();
            }
            Action::StopAdopting => {
                world.left.changes -= 1;
                world.adopts = false;
            }
            Action::Retire(at) => {
                world.left.retirements -= 1;
                // The process does not run meanwhile, and reads anew.
                let actor = &mut world.actors[at];
                actor.read = None;
                actor.journal.retired = !actor.journal.retired;
            }
        }
        world.forget_the_dead();
        if world.has_untold_bytes() || world.left.total() < rules.spare {
            return Ok(None);
        }
        world.judge(rules)?;
        Ok(Some(world))
    }

    /// Bytes whose nonce is final can never come back.
    fn forget_the_dead(&mut self) {
        let settled = [Account::First, Account::Second].map(|by| count(self.settled.iter(), by));
        let alive = |signed: &(Account, u8, Op)| signed.1 >= settled[signed.0.index()];
        self.leaked.retain(alive);
        self.dropped.retain(alive);
    }

    /// The documented residual risk: the key was replaced, and bytes of the former account can still
    /// be mined that neither a journal records nor a node has pending.
    fn has_untold_bytes(&self) -> bool {
        let former = self.current.other();
        let recorded = |nonce: u8| {
            let slots = self.actors.iter().filter_map(|actor| actor.journal.slots[former.index()]);
            slots.into_iter().any(|(recorded, _, _)| recorded == nonce)
        };
        let pending = self.pending(former);
        self.leaked.iter().any(|(by, nonce, _)| {
            *by == former && !recorded(*nonce) && *nonce >= pending && self.has_rotated()
        })
    }

    fn has_rotated(&self) -> bool {
        self.current == Account::Second
    }

    /// The promise that is kept on the chain as it stands, final or not.
    fn judge(&self, rules: &Rules) -> Result<(), Broken> {
        let chain = Chain::of(self.settled.iter().chain(&self.tip));
        for key in 0..rules.setting.keys {
            if double_mint(&chain, key) {
                return Err(Broken::DoubleMint(key));
            }
        }
        let minted = chain.claims(0).next().is_some();
        if rules.setting.start == Start::Unclear && minted {
            return Err(Broken::MintedBeside);
        }
        Ok(())
    }

    fn is_alive(&self, (by, nonce, _): &(Account, u8, Op)) -> bool {
        *nonce >= self.mined(*by)
    }

    fn mined(&self, by: Account) -> u8 {
        count(self.settled.iter().chain(&self.tip), by)
    }

    fn pending(&self, by: Account) -> u8 {
        let mut next = self.mined(by);
        let has = |nonce: u8| {
            self.leaked.difference(&self.dropped).any(|signed| (signed.0, signed.1) == (by, nonce))
        };
        while has(next) {
            next += 1;
        }
        next
    }
}
