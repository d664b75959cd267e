//! What a node means when it refuses a request, by the code and the words that clients and
//! providers use. Pure.
//!
//! None of it frees a nonce: it only decides whether to wait, to ask for less, or to ask another
//! endpoint.

/// Why a node refused a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A contract reverted.
    Reverted,
    /// Too many requests: the same one is answered later.
    RateLimited,
    /// The range of blocks or the answer is too large.
    TooWide {
        /// The largest number of blocks that the refusal names.
        named: Option<u64>,
    },
    /// The node does not have the block, or not in its chain.
    UnknownBlock,
    Other,
}

/// Codes of HTTP and JSON-RPC that mean a rate limit whatever the words.
const RATE_CODES: [i64; 4] = [429, -32_029, -32_090, -32_097];
/// Codes that mean a rate limit or something else, depending on the words.
const LIMIT_CODES: [i64; 3] = [-32_005, -32_007, -32_016];
const RATE_WORDS: [&str; 16] = [
    "rate limit",
    "rate-limit",
    "ratelimit",
    "rate exceeded",
    "request rate",
    "too many requests",
    "too many connections",
    "request limit",
    "requests limit",
    "request count",
    "per second",
    "/second",
    "/sec",
    "throttl",
    "compute unit",
    "quota",
];
const WIDE_WORDS: [&str; 17] = [
    "block range",
    "ranges over",
    "blocks range",
    "range is too",
    "range too",
    "range limit",
    "max range",
    "maximum range",
    "too many blocks",
    "many blocks",
    "query returned more than",
    "too many results",
    "too many logs",
    "response size",
    "response is too",
    "query timeout",
    "at most",
];
const UNKNOWN_BLOCK_WORDS: [&str; 8] = [
    "header not found",
    "header for hash not found",
    "unknown block",
    "block not found",
    "could not find block",
    "resource not found",
    "not currently canonical",
    "block does not exist",
];

impl Refusal {
    /// Reads the code and the message of a JSON-RPC error, or the status and the body of an HTTP
    /// error. `asked` is how many blocks the request covers, if it covers a range.
    pub(super) fn read(code: i64, message: &str, asked: Option<u64>) -> Self {
        let words = message.to_lowercase();
        let says = |list: &[&str]| list.iter().any(|word| words.contains(word));
        if code == 3 || words.contains("revert") {
            return Self::Reverted;
        }
        if RATE_CODES.contains(&code) {
            return Self::RateLimited;
        }
        if let Some(asked) = asked
            && (code == 413 || says(&WIDE_WORDS) || mentions_blocks_or_range(&words))
            && !says(&RATE_WORDS)
        {
            return Self::TooWide { named: named_width(&words, asked) };
        }
        let is_exceeded = ["limit", "exceed", "capacity"].iter().any(|word| words.contains(word));
        if says(&RATE_WORDS) || LIMIT_CODES.contains(&code) && is_exceeded && asked.is_none() {
            return Self::RateLimited;
        }
        // A bare "limit exceeded" for logs: the endpoints that say so refuse every width.
        if let Some(asked) = asked
            && LIMIT_CODES.contains(&code)
            && is_exceeded
        {
            return Self::TooWide { named: named_width(&words, asked) };
        }
        match says(&UNKNOWN_BLOCK_WORDS) || is_beyond_the_head(&words) {
            true => Self::UnknownBlock,
            false => Self::Other,
        }
    }
}

fn mentions_blocks_or_range(words: &str) -> bool {
    let names = words.contains("block") || words.contains("range") || words.contains("logs");
    names && ["limit", "exceed", "max", "too "].iter().any(|word| words.contains(word))
}

/// Whether a refusal says that the block is above the node's newest one, as anvil and its relatives
/// do in the same words in which they say that they do not keep an old one.
fn is_beyond_the_head(words: &str) -> bool {
    let numbers = words.split_once("block height is ").and_then(|(_, rest)| {
        let (height, requested) = rest.split_once(" but requested was ")?;
        Some((height.parse::<u64>().ok()?, requested.trim().parse::<u64>().ok()?))
    });
    numbers.is_some_and(|(height, requested)| requested > height)
}

/// The largest number in a refusal that is smaller than what was asked for. The refusal may also
/// name block numbers, which are larger, or a smaller number that is something else: if the number
/// is wrong, the next refusal leads to a smaller one.
fn named_width(words: &str, asked: u64) -> Option<u64> {
    let plain = words.replace(',', "");
    let tokens = plain.split(|c: char| !c.is_ascii_alphanumeric());
    let numbers = tokens.filter_map(|token| match token.strip_suffix('k') {
        Some(thousands) => thousands.parse::<u64>().ok()?.checked_mul(1_000),
        None => token.parse().ok(),
    });
    numbers.filter(|number| (1..asked).contains(number)).max()
}

#[cfg(test)]
mod tests;
