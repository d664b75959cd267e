//! What can go wrong, and how often.

/// How often each kind of trouble may happen in one history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Troubles {
    pub(crate) reorgs: u8,
    pub(crate) losses: u8,
    pub(crate) restores: u8,
    /// Transactions of our accounts that nobody here signed.
    pub(crate) foreign: u8,
    /// A stranger mints our URI with our κ and sends us the token.
    pub(crate) attacks: u8,
    /// Reads from a node that is behind.
    pub(crate) lags: u8,
    /// Reads from the node that leaves out our events.
    pub(crate) lies: u8,
    /// The pool forgets a transaction.
    pub(crate) drops: u8,
    /// The key is replaced.
    pub(crate) rotations: u8,
    /// A token is transferred away.
    pub(crate) gifts: u8,
    /// The nodes forget old events without a word.
    pub(crate) prunings: u8,
    /// `--adopt` is removed.
    pub(crate) changes: u8,
    /// An operator retires the default agent.
    pub(crate) retirements: u8,
}

impl Troubles {
    pub(super) fn total(&self) -> u8 {
        let Self { reorgs, losses, restores, foreign, attacks, lags, .. } = self;
        let Self { lies, drops, rotations, gifts, prunings, changes, retirements, .. } = self;
        let nodes = reorgs + lags + lies + drops + prunings;
        let operators = rotations + changes + retirements;
        nodes + losses + restores + foreign + attacks + gifts + operators
    }
}
