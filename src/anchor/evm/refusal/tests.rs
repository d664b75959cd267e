//! The words of clients and providers, collected from their sources and from public reports.

use super::Refusal::{self, Other, RateLimited, Reverted, TooWide, UnknownBlock};
use crate::testing::for_each_row;

#[test]
fn refusals_of_logs_are_told_apart() {
    let wide = |named| TooWide { named };
    let rows: Vec<(i64, &str, Refusal)> = vec![
        // go-ethereum, Erigon, Nethermind, Besu, Reth
        (-32_602, "block range extends beyond current head block", wide(None)),
        (-32_005, "query exceeds max block range 500", wide(Some(500))),
        (-32_000, "query exceeds max block range 100000", wide(None)),
        (
            -32_602,
            "query exceeds max results 20000, retry with the range 41663799-41665000",
            wide(None),
        ),
        (-32_000, "exceed maximum block range: 5000", wide(Some(5_000))),
        (-32_005, "Requested range exceeds maximum RPC range limit", wide(None)),
        // Alchemy, Infura, QuickNode, Ankr, Chainstack, and public endpoints
        (
            -32_600,
            "Under the Free tier plan, you can make eth_getLogs requests with up to a 10 block range. Based on your parameters, this block range should work: [0x27bf2b7, 0x27bf2c0]. Upgrade to PAYG for expanded block range.",
            wide(Some(10)),
        ),
        (
            -32_602,
            "Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range and no limit on the response size",
            wide(Some(2_000)),
        ),
        (
            -32_005,
            "query returned more than 10000 results. Try with this block range [0x1, 0x2].",
            wide(None),
        ),
        (-32_614, "eth_getLogs is limited to a 10,000 range", wide(None)),
        (-32_614, "eth_getLogs is limited to a 5 range", wide(Some(5))),
        (-32_000, "block range is too wide", wide(None)),
        (
            -32_701,
            "Please specify an address in your request or, to remove restrictions, order a dedicated full node; block range limit 1000",
            wide(Some(1_000)),
        ),
        (
            -32_000,
            "requested too many blocks from 41663799 to 41673798, maximum is set to 2048",
            wide(Some(2_048)),
        ),
        (-32_005, "limit exceeded", wide(None)),
        (35, "ranges over 10000 blocks are not supported on freetier", wide(None)),
        (-32_602, "query block range exceeds server limit, max 3000", wide(Some(3_000))),
        (413, "Request Entity Too Large", wide(None)),
        // Rate limits
        (429, "", RateLimited),
        (429, "<html>Too Many Requests: block range</html>", RateLimited),
        (-32_005, "daily request count exceeded, request rate limited", RateLimited),
        (-32_005, "project ID request rate exceeded", RateLimited),
        (-32_016, "over rate limit", RateLimited),
        (-32_016, "quota of 100000 requests exceeded", RateLimited),
        (
            -32_007,
            "15/second request limit reached - reduce calls per second or upgrade",
            RateLimited,
        ),
        (-32_029, "Too Many Requests", RateLimited),
        (-32_090, "anything", RateLimited),
        (-32_000, "Your app has exceeded its compute units per second capacity", RateLimited),
        (-32_000, "rate limit exceeded for eth_getLogs, retry in 10s", RateLimited),
        (403, "monthly quota exceeded", RateLimited),
        // Something else
        (-32_601, "the method eth_getLogs does not exist/is not available", Other),
        (-32_000, "pruned history unavailable", Other),
        (-32_000, "missing trie node", Other),
        (502, "<html><h1>502 Bad Gateway</h1></html>", Other),
        (-32_000, "header not found", UnknownBlock),
    ];
    for_each_row(rows, |(code, message, expected)| {
        assert_eq!(Refusal::read(code, message, Some(10_000)), expected, "{code} {message}");
    });
}

#[test]
fn refusals_of_reads_at_a_block_are_told_apart() {
    let rows: Vec<(i64, &str, Refusal)> = vec![
        (3, "execution reverted: reserved key", Reverted),
        (-32_000, "execution reverted", Reverted),
        (-32_005, "limit exceeded", RateLimited),
        (-32_016, "exceeded the quota usage", RateLimited),
        (429, "Too Many Requests", RateLimited),
        (-32_001, "Resource not found", UnknownBlock),
        (-32_000, "header for hash not found", UnknownBlock),
        (-32_000, "hash 0x00 is not currently canonical", UnknownBlock),
        (-32_000, "missing trie node 00 (path ) state 0x00 is not available", Other),
        (-32_000, "required historical state unavailable (reexec=128)", Other),
        (-32_602, "BlockOutOfRangeError: block height is 20 but requested was 18", Other),
        (-32_602, "BlockOutOfRangeError: block height is 5 but requested was 9", UnknownBlock),
        (-32_602, "old data not available due to pruning", Other),
        (-32_000, "insufficient funds for gas * price + value", Other),
    ];
    for_each_row(rows, |(code, message, expected)| {
        assert_eq!(Refusal::read(code, message, None), expected, "{code} {message}");
    });
}

#[test]
fn a_named_limit_that_is_not_the_limit_leads_to_the_next_one() {
    let message = "up to a 10 block range. Upgrade for 2000";
    assert_eq!(Refusal::read(-32_600, message, Some(10_000)), TooWide { named: Some(2_000) });
    assert_eq!(Refusal::read(-32_600, message, Some(2_000)), TooWide { named: Some(10) });
    assert_eq!(Refusal::read(-32_600, message, Some(10)), TooWide { named: None });
}
