//! C14: how clients word their refusals of a transaction. No wording frees a nonce; one kind of it
//! raises the fee.

use serde_json::json;

use super::{faults_mempool::is_one_call_raised, faulty::Faulty};
use crate::support::proxy::Fault;

/// The words of go-ethereum, Erigon, Nethermind, Besu, Reth, Nitro and of providers before them.
const WORDINGS: [&str; 52] = [
    // go-ethereum
    "already known",
    "nonce too low: next nonce 5, tx nonce 0",
    "nonce too low",
    "nonce too high",
    "insufficient funds for gas * price + value: balance 0, tx cost 1, overshot 1",
    "intrinsic gas too low: gas 21000, minimum needed 53000",
    "exceeds block gas limit",
    "max fee per gas less than block base fee: address 0x00, maxFeePerGas: 1, baseFee: 2",
    "max priority fee per gas higher than max fee per gas",
    "tx fee (1.20 ether) exceeds the configured cap (1.00 ether)",
    "transaction type not supported",
    "txpool is full",
    "invalid sender",
    "only replay-protected (EIP-155) transactions allowed over RPC",
    "gapped-nonce tx from delegated accounts",
    "in-flight transaction limit reached for delegated accounts",
    "address already reserved",
    // Erigon
    "could not replace existing tx",
    "fee too low",
    "pending sub-pool is full",
    "baseFee sub-pool is full",
    "nonce gap",
    "existing tx with same hash",
    "block base fee overflow",
    "rlp: element is larger than containing list",
    // Nethermind
    "AlreadyKnown",
    "OldNonce, Current nonce: 5, nonce of rejected tx: 0",
    "FeeTooLow, MaxFeePerGas too low. MaxFeePerGas: 1, BaseFee: 2, MaxPriorityFeePerGas:1, Block number: 9",
    "FeeTooLowToCompete",
    "ReplacementNotAllowed",
    "InsufficientFunds, Account balance: 0, cumulative cost: 1",
    "NonceGap, Future nonce. Expected nonce: 1",
    "SenderIsContract",
    "Invalid",
    // Besu
    "Known transaction",
    "Nonce too low",
    "Upfront cost exceeds account balance",
    "Gas price below current base fee",
    "Transaction nonce is too distant from current sender nonce",
    "Transaction fee cap exceeded",
    "Internal error",
    // Reth
    "transaction already imported",
    "lack of funds (0) for max fee (1)",
    "txpool rejected the transaction: discarded outright",
    "Nonce too low: 0 < 1",
    // Nitro
    "nonce too low: address 0x00, tx: 0 state: 5",
    "upstream sequencer is unavailable",
    "delayed sequencer is behind",
    // Providers
    "rate limit exceeded",
    "daily request count exceeded, request rate limited",
    "unauthorized",
    "",
];

/// Those that ask for more: go-ethereum, Erigon, Besu, Reth, and a provider that shouts.
const UNDERPRICED: [&str; 6] = [
    "transaction underpriced: gas tip cap 1, minimum needed 2",
    "replacement transaction underpriced",
    "replacement transaction underpriced: new tx gas fee cap 1 < 2 minimum needed",
    "underpriced",
    "Replacement transaction underpriced",
    "REPLACEMENT TRANSACTION UNDERPRICED",
];

#[tokio::test(flavor = "multi_thread")]
async fn no_wording_of_any_client_frees_a_nonce_and_underpriced_asks_for_more() {
    let world = Faulty::still().await;
    world.refuse_all("already known");
    world.step(&[]).await;
    let journal = std::fs::read(world.path("journal")).unwrap();
    let all =
        WORDINGS.iter().map(|words| (words, 2)).chain(UNDERPRICED.iter().map(|words| (words, 10)));
    for (words, decisions) in all {
        std::fs::write(world.path("journal"), &journal).unwrap();
        world.refuse_all(words);
        world.step(&[]).await;
        let slot = &world.status()["openSlot"];
        assert_eq!(
            (&slot["nonce"], &slot["decisions"]),
            (&json!(0), &json!(decisions)),
            "{words:?}"
        );
        assert_eq!(world.attempts(), 1, "{words:?}");
    }
    assert_eq!(world.signed().len(), 1, "nothing else was signed");
    world.proxy.clear();
    world.step(&[]).await;
    world.node.mine(3).await;
    world.anchored(&[]).await;
    assert_eq!(world.mints().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn underpriced_raises_both_fees_by_an_eighth_up_to_the_ceiling() {
    let world = Faulty::still().await;
    let ceiling = ["--max-fee-gwei", "8"];
    world.refuse_all("replacement transaction underpriced");
    for _ in 0..24 {
        world.step(&ceiling).await;
        if world.reason("default") == "FeeTooHigh" {
            break;
        }
    }
    assert_eq!((world.reason("default").as_str(), world.nonce()), ("FeeTooHigh", Some(0)));
    let signed = world.signed();
    is_one_call_raised(&signed);
    assert!(signed.len() > 5, "{signed:?}");
    assert!(signed.iter().all(|signed| signed.max_fee_per_gas <= 8_000_000_000));
    world.step(&ceiling).await;
    assert_eq!(world.signed().len(), signed.len(), "the ceiling holds");
    world.proxy.clear();
    world.step(&ceiling).await;
    world.node.mine(3).await;
    world.anchored(&ceiling).await;
    assert_eq!(world.mints().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_takes_a_transaction_and_says_no_is_found_out() {
    let world = Faulty::new().await;
    let refused = Fault::JsonRpcError(-32_000, "nonce too low".to_owned()).delivered();
    world.proxy.on("eth_sendRawTransaction").then(refused);
    world.anchored(&[]).await;
    assert_eq!((world.mints().await, world.signed().len()), (1, 1));
}
