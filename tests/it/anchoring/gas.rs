//! What each transaction costs, measured on a real node: printed by `make gas-table`, and compared
//! with docs/gas.md.

use alloy::primitives::U256;
use base64::{Engine, engine::general_purpose::STANDARD};

use crate::support::chain::IdentityRegistry::{register_1Call, setAgentURICall, transferFromCall};
use crate::support::stage::Stage;

/// `data:` URIs: the first one after the document's URL, another one of the same length, and how much
/// JSON they hold.
const DATA_URIS: [(&str, &str, usize); 4] = [
    ("setAgentURI, first data: of 512 bytes", "setAgentURI, other data: of 512 bytes", 512),
    ("setAgentURI, first data: of 1,024 bytes", "setAgentURI, other data: of 1,024 bytes", 1_024),
    ("setAgentURI, first data: of 2,048 bytes", "setAgentURI, other data: of 2,048 bytes", 2_048),
    ("setAgentURI, first data: of 4,096 bytes", "setAgentURI, other data: of 4,096 bytes", 4_096),
];

/// The document's URL at an origin.
fn document(origin: &str) -> String {
    format!("{origin}/.well-known/agent-registration.json")
}

impl Stage {
    /// The gas of the newest transaction on the registry.
    async fn last_gas(&self) -> u64 {
        let last = self.node.logs(self.registry).await.last().unwrap().transaction;
        self.node.receipt(last).await.unwrap().gas_used
    }

    /// Has somebody else register first: a registry that is in use pays less for its counter than a
    /// fresh one.
    async fn in_use() -> Self {
        let stage = Self::new().await;
        let stranger = stage.node.account(3).await;
        let register = register_1Call { agentURI: document("https://stranger.example") };
        stage.node.send_as(stranger, stage.registry, register).await;
        stage.node.mine(3).await;
        stage
    }

    /// The gas of one `setAgentURI` with a `data:` URI of so many bytes of JSON.
    async fn data_uri(&self, id: u64, json: usize, byte: u8) -> u64 {
        let data = STANDARD.encode(vec![byte; json]);
        let uri = format!("data:application/json;base64,{data}");
        let call = setAgentURICall { agentId: U256::from(id), newURI: uri };
        self.node.send_as(self.account, self.registry, call).await.gas_used
    }

    /// The gas of every transaction that the registrar sends until it rests, in order.
    async fn gas_of(&self, more: &[&str]) -> Vec<u64> {
        let mut gas = Vec::new();
        loop {
            let before = self.node.transaction_count(self.account, "latest").await;
            self.once(more);
            self.node.mine(3).await;
            if self.node.transaction_count(self.account, "latest").await > before {
                gas.push(self.last_gas().await);
            } else if self.status()["openSlot"].is_null() {
                return gas;
            }
        }
    }
}

/// Every operation and its gas.
async fn measured() -> Vec<(&'static str, u64)> {
    let stage = Stage::in_use().await;
    let first = stage.gas_of(&[]).await;
    let hosted = ["--anchor-host", "market.example"];
    let market = crate::support::resource::offer("llm/market").host("market.example");
    stage.offers(&[crate::support::resource::offer("llm/chat").0, market.0]);
    let second = stage.gas_of(&hosted).await;
    let same = stage.gas_of(&["--public-url", "https://agentz.example"]).await;
    let longer = stage.gas_of(&["--public-url", "https://agents.of.north-harbour.example"]).await;
    let shorter = stage.gas_of(&["--public-url", "https://a.example"]).await;
    let to = stage.node.account(2).await;
    let transfer = transferFromCall { from: stage.account, to, agentId: U256::from(1) };
    let transfer = stage.node.send_as(stage.account, stage.registry, transfer).await.gas_used;

    let other = Stage::in_use().await;
    let register = register_1Call { agentURI: document(crate::support::stage::URL) };
    let bare = other.node.send_as(other.account, other.registry, register).await.gas_used;
    other.node.mine(3).await;
    let adopted = other.gas_of(&["--adopt", "eip155:31337=1"]).await;

    let mut data = Vec::new();
    for (first, renewed, json) in DATA_URIS {
        let uri = document(crate::support::stage::URL);
        let call = setAgentURICall { agentId: U256::from(1), newURI: uri };
        other.node.send_as(other.account, other.registry, call).await;
        data.push((first, other.data_uri(1, json, b'a').await));
        data.push((renewed, other.data_uri(1, json, b'b').await));
    }

    let one = |gas: &[u64]| <[u64; 1]>::try_from(gas).unwrap()[0];
    let [adopt, x402] = adopted[..] else { panic!("{adopted:?}") };
    let own = [
        ("register, the account's first agent", one(&first)),
        ("register, each further agent", one(&second)),
        ("adopt: setMetadata registrar.key", adopt),
        ("setMetadata x402, after an adoption", x402),
        ("setAgentURI, same length", one(&same)),
        ("setAgentURI, longer", one(&longer)),
        ("setAgentURI, shorter", one(&shorter)),
        ("transferFrom, by hand", transfer),
        ("for comparison: register(agentURI) alone", bare),
    ];
    own.into_iter().chain(data).collect()
}

/// What an amount of gas costs at a price in thousandths of a gwei, in ether to nine decimals.
fn ether(gas: u64, price: u64) -> String {
    let gwei = gas * price / 1_000;
    format!("{}.{:09}", gwei / 1_000_000_000, gwei % 1_000_000_000)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_on_gas_holds_what_a_node_measures() {
    let page = include_str!("../../../docs/gas.md");
    let told = |operation: &str| -> Option<u64> {
        let row = page.lines().find_map(|line| line.strip_prefix(&format!("| {operation} | ")))?;
        row.split(" | ").next()?.replace(',', "").parse().ok()
    };
    let measured = measured().await;
    println!("| operation | gas | ether at 0.01 gwei | at 1 gwei | at 20 gwei |");
    println!("|---|---|---|---|---|");
    for (operation, gas) in &measured {
        let costs = [10, 1_000, 20_000].map(|price| ether(*gas, price)).join(" | ");
        println!("| {operation} | {gas} | {costs} |");
    }
    for (operation, gas) in measured {
        let told = told(operation).unwrap_or_else(|| panic!("docs/gas.md has no {operation:?}"));
        assert!(gas.abs_diff(told) * 20 <= gas, "{operation}: told {told}, measured {gas}");
    }
}
