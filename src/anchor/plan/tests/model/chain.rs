//! The chain of the model: transactions, and what the registry makes of them.

use std::collections::BTreeSet;

/// One of our two accounts. The second one replaces the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Account {
    First,
    Second,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Op {
    Mint(u8),
    /// Gives the key of an agent to a token, if the account owns it.
    Adopt(u8, u8),
    /// Transfers a token to a stranger, if the account owns it.
    Give(u8),
    /// A mint of the default agent without a key, as another system makes it.
    Unkeyed,
    /// Another agentURI, of which no event is evidence.
    SetUri,
    /// Something that changes nothing of ours: a call of somebody else who holds the key.
    Noise,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Tx {
    Ours {
        by: Account,
        nonce: u8,
        op: Op,
    },
    /// A stranger mints our URI with our κ and sends the token to the first account.
    Attack(u8),
    /// A stranger mints an agent and sends the token to the first account.
    Gift,
}

/// A token of the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    /// Who called `register`; `None` for a stranger.
    pub(super) minter: Option<Account>,
    /// `None` for a stranger.
    pub(super) owner: Option<Account>,
    /// The agent whose key it was minted with.
    pub(super) minted_key: Option<u8>,
    /// The agent whose key its metadata holds.
    pub(super) key: Option<u8>,
}

/// An event of the registry, at the place of its transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// From `None` in a mint.
    Transfer {
        token: u8,
        from: Option<Option<Account>>,
        to: Option<Account>,
    },
    Registered {
        token: u8,
        by: Option<Account>,
    },
    Key {
        token: u8,
        key: u8,
        by: Option<Account>,
    },
}

/// What the registry made of some transactions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Chain {
    pub(super) tokens: Vec<Token>,
    pub(super) events: Vec<(usize, Event)>,
}

impl Account {
    pub(super) fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }

    pub(super) fn index(self) -> usize {
        match self {
            Self::First => 0,
            Self::Second => 1,
        }
    }
}

impl Chain {
    pub(super) fn of<'a>(transactions: impl Iterator<Item = &'a Tx>) -> Self {
        let mut chain = Self::default();
        for (place, tx) in transactions.enumerate() {
            chain.include(place, *tx);
        }
        chain
    }

    fn include(&mut self, place: usize, tx: Tx) {
        match tx {
            Tx::Attack(key) => {
                let token = self.mint(place, None, Some(key));
                self.transfer(place, token, Some(Account::First));
            }
            Tx::Gift => {
                let token = self.mint(place, None, None);
                self.transfer(place, token, Some(Account::First));
            }
            Tx::Ours { by, op, nonce: _ } => match op {
                Op::Mint(key) => drop(self.mint(place, Some(by), Some(key))),
                Op::Unkeyed => drop(self.mint(place, Some(by), None)),
                Op::Adopt(key, token) if self.owner(token) == Some(by) => {
                    self.tokens[usize::from(token)].key = Some(key);
                    self.events.push((place, Event::Key { token, key, by: Some(by) }));
                }
                Op::Give(token) if self.owner(token) == Some(by) => {
                    self.transfer(place, token, None);
                }
                // Reverted, or nothing to us.
                Op::Adopt(..) | Op::Give(_) | Op::SetUri | Op::Noise => {}
            },
        }
    }

    fn mint(&mut self, place: usize, by: Option<Account>, key: Option<u8>) -> u8 {
        let token = u8::try_from(self.tokens.len()).unwrap();
        self.tokens.push(Token { minter: by, owner: by, minted_key: key, key });
        self.events.push((place, Event::Transfer { token, from: None, to: by }));
        self.events.push((place, Event::Registered { token, by }));
        if let Some(key) = key {
            self.events.push((place, Event::Key { token, key, by }));
        }
        token
    }

    fn transfer(&mut self, place: usize, token: u8, to: Option<Account>) {
        let from = std::mem::replace(&mut self.tokens[usize::from(token)].owner, to);
        self.events.push((place, Event::Transfer { token, from: Some(from), to }));
    }

    fn owner(&self, token: u8) -> Option<Account> {
        self.tokens.get(usize::from(token)).and_then(|token| token.owner)
    }

    /// The tokens that an account owns.
    pub(super) fn owned_by(&self, account: Account) -> impl Iterator<Item = u8> {
        let own =
            self.tokens.iter().zip(0..).filter(move |(token, _)| token.owner == Some(account));
        own.map(|(_, number)| number)
    }

    /// The tokens to which one of our accounts gave a key, in order.
    pub(super) fn claims(&self, of: u8) -> impl Iterator<Item = u8> {
        self.events.iter().filter_map(move |(_, event)| match event {
            Event::Key { token, key, by: Some(_) } if *key == of => Some(*token),
            Event::Key { .. } | Event::Transfer { .. } | Event::Registered { .. } => None,
        })
    }
}

/// Whether two tokens carry one key of ours.
pub(super) fn double_mint(chain: &Chain, key: u8) -> bool {
    chain.claims(key).collect::<BTreeSet<_>>().len() > 1
}

/// How many transactions of an account there are.
pub(super) fn count<'a>(chain: impl Iterator<Item = &'a Tx>, of: Account) -> u8 {
    u8::try_from(chain.filter(|tx| matches!(tx, Tx::Ours { by, .. } if *by == of)).count()).unwrap()
}
