//! How many blocks one request for logs covers at an endpoint: learned from its refusals. Pure.

use super::refusal::Refusal;

/// How many blocks one eth_getLogs covers to begin with, and at most; nodes allow 5 to 10,000.
const WIDEST: u64 = 10_000;
/// How often a range is halved because of answers that do not say that it is too wide: gateways
/// answer so when a query takes too long.
const GUESSES: u32 = 6;

/// What is known of an endpoint's limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RangeWidth {
    blocks: u64,
    /// The largest number of blocks that is still asked for.
    limit: u64,
    /// The last width that failed without a word about ranges.
    suspect: Option<u64>,
    /// How often in a row it was halved on suspicion.
    guesses: u32,
}

impl Default for RangeWidth {
    fn default() -> Self {
        Self { blocks: WIDEST, limit: WIDEST, suspect: None, guesses: 0 }
    }
}

impl RangeWidth {
    /// How many blocks to ask for; at least 1.
    pub(super) fn blocks(&self) -> u64 {
        self.blocks
    }

    /// Begins with a width that worked before.
    pub(super) fn starting_at(blocks: u64) -> Self {
        Self { blocks: blocks.clamp(1, WIDEST), ..Self::default() }
    }

    /// Whether nothing has been learned of the endpoint yet.
    pub(super) fn is_new(&self) -> bool {
        *self == Self::default()
    }

    /// After an answer to a range of this many blocks.
    pub(super) fn after_answer(self, asked: u64) -> Self {
        // The last range of a scan is short and shows nothing.
        if asked < self.blocks {
            return self;
        }
        Self { blocks: (self.blocks * 2).min(self.limit), guesses: 0, ..self }
    }

    /// After a failure of a range of this many blocks: a smaller width, or `None` if a smaller one
    /// would not help.
    pub(super) fn after_failure(self, asked: u64, refusal: Option<Refusal>) -> Option<Self> {
        if asked <= 1 {
            return None;
        }
        let half = asked / 2;
        match refusal {
            Some(Refusal::TooWide { named }) => {
                let limit = named.unwrap_or(half).clamp(1, asked - 1);
                Some(Self { blocks: limit, limit, suspect: None, guesses: 0 })
            }
            Some(Refusal::RateLimited | Refusal::Reverted) => None,
            Some(Refusal::UnknownBlock | Refusal::Other) | None => {
                if self.guesses >= GUESSES {
                    return None;
                }
                // The same width failed before and a smaller one worked: that is the limit.
                let limit = if self.suspect == Some(asked) { half } else { self.limit };
                let guesses = self.guesses + 1;
                Some(Self { blocks: half, limit, suspect: Some(asked), guesses })
            }
        }
    }
}

#[cfg(test)]
mod tests;
