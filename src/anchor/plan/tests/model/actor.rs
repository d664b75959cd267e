//! A process of the model: what it reads, and how it acts on that later.

use super::{
    Broken, Mutant, Rules, World,
    chain::{Op, count},
    decide::{Decided, Move, Question},
};
use crate::anchor::plan::BUMP_AFTER_DECISIONS;

/// What one actor wrote down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Journal {
    /// The transaction in flight of each account, and how many decisions have seen it.
    pub(super) slots: [Option<(u8, Op, u8)>; 2],
    /// The token of each key.
    pub(super) minted: [Option<u8>; 2],
    /// Whether an operator has retired the default agent.
    pub(super) retired: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Actor {
    pub(super) journal: Journal,
    /// A copy that a backup may bring back.
    pub(super) backup: Journal,
    /// What it read and has not acted on: how much of the final chain, and the head's counts.
    pub(super) read: Option<Read>,
    pub(super) waited: u8,
    /// Mutants only: a nonce that it believes to be used up.
    pub(super) skip: Option<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Read {
    pub(super) events: usize,
    pub(super) count: u8,
    pub(super) mined: u8,
    pub(super) pending: u8,
    pub(super) former_pending: u8,
    /// Whether the node that was read leaves out our events.
    pub(super) lies: bool,
    /// Mutants only: how many blocks of the tip were taken for final.
    pub(super) lied: usize,
}

impl World {
    pub(super) fn read(&self, behind: usize, lies: bool, rules: &Rules) -> Read {
        let events = self.settled.len() - behind.min(self.settled.len());
        let by = self.current;
        let (mined, pending) = (self.mined(by), self.pending(by));
        let honest = count(self.settled[..events].iter(), by);
        let (count, events, lied) = match rules.mutant {
            Mutant::NonceFromLatest => (mined, events, 0),
            Mutant::NonceFromPending => (pending, events, 0),
            // The count is read first, from a node that is up to date.
            Mutant::NonceAndEventsFromDifferentBlocks => {
                (count(self.settled.iter(), by), events, 0)
            }
            Mutant::FinalityThatIsNotThere => (mined, self.settled.len(), self.tip.len()),
            Mutant::None
            | Mutant::ShortLogRange
            | Mutant::OwnerTopicUnchecked
            | Mutant::SendErrorFreesTheKeyAndTakesTheNextNonce
            | Mutant::NullReceiptReadAsReplacedAndTheNextNonce
            | Mutant::FormerAccountsIgnored
            | Mutant::AbsenceFromOneEndpoint
            | Mutant::MintedMapIgnored
            | Mutant::FirstMintNotLookedFor
            | Mutant::UnreadableIdentityNamesNothing
            | Mutant::AdoptionJudgedByTheOwnerNow
            | Mutant::RetirementIgnored
            | Mutant::PresenceFromOneEndpoint
            | Mutant::FormerCountsNotCompared => (honest, events, 0),
        };
        let former_pending = if self.has_rotated() { self.pending(by.other()) } else { 0 };
        Read { events, count, mined, pending, former_pending, lies, lied }
    }

    pub(super) fn act(&mut self, at: usize, heard: bool, rules: &mut Rules) -> Result<(), Broken> {
        let actor = self.actors[at];
        let Some(read) = actor.read else { return Ok(()) };
        let chain = self.settled[..read.events].iter().chain(self.tip.iter().take(read.lied));
        let question = Question {
            chain: chain.copied().collect(),
            read,
            current: self.current,
            has_rotated: self.has_rotated(),
            adopts: self.adopts,
            pruned: self.pruned,
            journal: actor.journal,
            waited: actor.waited,
            skip: actor.skip,
        };
        let Rules { setting, mutant, spare: _, decisions } = rules;
        let Decided { step, minted, resends } = decisions.decide(question, setting, *mutant)?;
        let (by, slot) = (self.current, self.current.index());
        let actor = &mut self.actors[at];
        actor.read = None;
        actor.journal.minted = minted;
        if resends
            && heard
            && let Some((nonce, op, _)) = actor.journal.slots[by.other().index()]
        {
            self.dropped.remove(&(by.other(), nonce, op));
        }
        match step {
            Move::Nothing => {}
            // One wait stands for ten: how long is manners.
            Move::Wait => actor.waited = u8::try_from(BUMP_AFTER_DECISIONS).unwrap(),
            Move::Release => actor.journal.slots[slot] = None,
            Move::Sign(nonce, _) if nonce > setting.nonces => {}
            Move::Sign(nonce, op) => {
                actor.backup = actor.journal;
                actor.journal.slots[slot] = Some((nonce, op, 0));
                actor.waited = 0;
                // Written down is as good as sent: a copy may leak from then on.
                self.leaked.insert((by, nonce, op));
                self.dropped.remove(&(by, nonce, op));
                if !heard && self.left.drops > 0 {
                    self.left.drops -= 1;
                    self.dropped.insert((by, nonce, op));
                }
                if !heard && *mutant == Mutant::SendErrorFreesTheKeyAndTakesTheNextNonce {
                    (actor.journal.slots[slot], actor.skip) = (None, Some(nonce));
                }
            }
            Move::Broadcast => {
                let Some((nonce, op, decisions)) = &mut actor.journal.slots[slot] else {
                    return Ok(());
                };
                // One broadcast stands for ten, as one wait does.
                *decisions = u8::try_from(BUMP_AFTER_DECISIONS).unwrap();
                let sent = (by, *nonce, *op);
                self.leaked.insert(sent);
                self.dropped.remove(&sent);
                if !heard && *mutant == Mutant::NullReceiptReadAsReplacedAndTheNextNonce {
                    actor.skip = Some(*nonce);
                    actor.journal.slots[slot] = None;
                }
            }
        }
        Ok(())
    }
}
