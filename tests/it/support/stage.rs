//! What an anchoring test needs: a node with a registry, an offer, a key, a journal, and the
//! binary.

use std::{fs, path::PathBuf};

use alloy::primitives::{Address, U256};
use serde_json::Value;

use crate::{
    support::chain::{Anvil, IdentityRegistry},
    support::process::{Printed, Server, command, finish, json},
};

pub const URL: &str = "https://agents.example";
/// The keys of anvil's first two funded accounts, from the public test mnemonic.
pub const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
pub const SECOND_KEY: &str = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";

/// Parts of the RPC URLs of tests that must never be printed.
pub const RPC_SECRETS: [&str; 4] = ["CANARYUSER", "CANARYPASSWORD", "CANARYPATH", "CANARYQUERY"];

/// Asserts that a text contains no key and no part of an RPC URL.
pub fn tells_nothing(text: &str) {
    let keys = [KEY, SECOND_KEY].map(|key| key.trim_start_matches("0x"));
    for secret in keys.into_iter().chain(RPC_SECRETS) {
        assert!(
            !text.to_lowercase().contains(&secret.to_lowercase()),
            "a secret is printed: {text}"
        );
    }
}

/// One test's world.
pub struct Stage {
    pub node: Anvil,
    pub registry: Address,
    pub account: Address,
    pub dir: tempfile::TempDir,
    /// The RPC URLs that the binary is given: of the node, or of proxies before it.
    pub rpc: Vec<String>,
    /// The environment of every anchoring verb.
    pub environment: Vec<(&'static str, String)>,
}

impl Stage {
    /// A node that mines each transaction at once and treats all but the last two blocks as final.
    pub async fn new() -> Self {
        Self::on(Anvil::start(&[]).await).await
    }

    /// A node that mines only on request.
    pub async fn still() -> Self {
        let stage = Self::new().await;
        stage.node.call("evm_setAutomine", serde_json::json!([false])).await;
        stage
    }

    /// With a given node.
    pub async fn on(node: Anvil) -> Self {
        let registry = node.deploy_registry().await;
        let account = node.account(0).await;
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("key"), KEY).unwrap();
        fs::write(dir.path().join("second-key"), SECOND_KEY).unwrap();
        fs::create_dir(dir.path().join("offers")).unwrap();
        let rpc = vec![node.url().to_owned()];
        let stage = Self { node, registry, account, dir, rpc, environment: Vec::new() };
        stage.offers(&[crate::support::resource::offer("llm/chat").0]);
        // The blocks that deployed the registry become final.
        stage.node.mine(3).await;
        stage
    }

    /// Replaces all manifests.
    pub fn offers(&self, manifests: &[Value]) {
        let list = serde_json::json!({ "kind": "List", "items": manifests });
        fs::write(self.path("offers/offers.json"), list.to_string()).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// The settings of every anchoring verb.
    pub fn settings(&self) -> Vec<String> {
        let chain = "eip155:31337";
        let mut settings: Vec<String> = [
            ("--offers", self.text("offers")),
            ("--public-url", URL.to_owned()),
            ("--anchor", chain.to_owned()),
            ("--owner-id", "test".to_owned()),
            ("--registry", format!("{chain}={}", self.registry)),
            ("--signer", format!("development-key-file:{}", self.text("key"))),
            ("--journal", format!("file:{}", self.text("journal"))),
            ("--max-fee-gwei", "100".to_owned()),
            ("--daily-budget-ether", "10".to_owned()),
            ("--anchor-interval", "1s".to_owned()),
        ]
        .into_iter()
        .flat_map(|(name, value)| [name.to_owned(), value])
        .collect();
        settings.push("--allow-development-keys".to_owned());
        settings.extend(
            self.rpc.iter().flat_map(|url| ["--rpc-url".to_owned(), format!("{chain}={url}")]),
        );
        settings
    }

    /// The same, with settings replaced or added by `more`.
    pub fn settings_with(&self, more: &[&str]) -> Vec<String> {
        replaced(self.settings(), more)
    }

    /// Runs `registrar anchor VERB` with these settings, replaced or added to by `more`.
    pub fn anchor(&self, verb: &[&str], more: &[&str]) -> Printed {
        let settings = replaced(self.settings(), more);
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        let mut command = command(&[&["anchor"], verb, &settings].concat());
        command.envs(self.environment.iter().cloned());
        let printed = finish(command);
        tells_nothing(&printed.stdout);
        tells_nothing(&printed.stderr);
        tells_nothing(&fs::read_to_string(self.path("journal")).unwrap_or_default());
        printed
    }

    /// Decides once. It exits with 1 if anything is held for a reason that needs a person or a
    /// retry.
    pub fn once(&self, more: &[&str]) -> Printed {
        let printed = self.anchor(&["run", "--once"], more);
        assert!(matches!(printed.code, Some(0 | 1)), "{}", printed.stderr);
        printed
    }

    /// Decides again and again, with blocks between, until nothing more is sent.
    pub async fn settle(&self, more: &[&str]) {
        for _ in 0..12 {
            let before = self.node.transaction_count(self.account, "latest").await;
            self.once(more);
            self.node.mine(3).await;
            if self.node.transaction_count(self.account, "latest").await == before
                && self.status()["openSlot"].is_null()
            {
                return;
            }
        }
        panic!("it never settles: {}", self.status());
    }

    /// The plan for the chain.
    pub fn plan(&self, more: &[&str]) -> Value {
        let printed = self.anchor(&["plan", "--json"], more);
        assert!(matches!(printed.code, Some(0 | 1)), "{}", printed.stderr);
        serde_json::from_str::<Value>(&printed.stdout).unwrap()[0].clone()
    }

    /// Serves with these settings and those of `more`.
    pub async fn serve(&self, more: &[&str]) -> Server {
        let settings = replaced(self.settings(), more);
        Server::start(&settings.iter().map(String::as_str).collect::<Vec<_>>()).await
    }

    /// The account's row of `anchor status --json`; null before there is one.
    pub fn status(&self) -> Value {
        let printed = self.anchor(&["status", "--json"], &[]);
        assert_eq!(printed.code, Some(0), "{}", printed.stderr);
        let rows: Value = serde_json::from_str(&printed.stdout).unwrap();
        rows.get(0).cloned().unwrap_or_default()
    }

    /// An agent's row in it; null if there is none.
    pub fn recorded(&self, agent: &str) -> Value {
        let status = self.status();
        let rows = status["agents"].as_array().into_iter().flatten();
        rows.clone().find(|row| row["agent"] == agent).cloned().unwrap_or_default()
    }

    /// The reason that `anchor status` reports for an agent; empty if there is none.
    pub fn reason(&self, agent: &str) -> String {
        self.recorded(agent)["reason"].as_str().unwrap_or_default().to_owned()
    }

    /// How many agents the account has.
    pub async fn balance(&self) -> U256 {
        self.node
            .call_contract(self.registry, IdentityRegistry::balanceOfCall { owner: self.account })
            .await
            .unwrap()
    }

    /// The agentURI of an agent.
    pub async fn uri(&self, id: u64) -> String {
        let call = IdentityRegistry::tokenURICall { agentId: U256::from(id) };
        self.node.call_contract(self.registry, call).await.unwrap()
    }
}

/// Settings with some replaced, and others added.
pub fn replaced(mut settings: Vec<String>, more: &[&str]) -> Vec<String> {
    let mut at = 0;
    while at < more.len() {
        let value = more.get(at + 1).filter(|value| !value.starts_with("--"));
        let once = [
            "--public-url",
            "--owner-id",
            "--signer",
            "--journal",
            "--max-fee-gwei",
            "--daily-budget-ether",
        ];
        if let (true, Some(place)) =
            (once.contains(&more[at]), settings.iter().position(|name| name == more[at]))
        {
            settings.drain(place..place + 2);
        }
        settings.push(more[at].to_owned());
        settings.extend(value.map(|value| (*value).to_owned()));
        at += 1 + usize::from(value.is_some());
    }
    settings
}

/// The default agent's row of `/agents`.
pub async fn agent(server: &Server) -> Value {
    json(server.get("/agents").await).await["items"][0].clone()
}

/// A port that is free at this moment, for a URL that must be known before its server starts.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
