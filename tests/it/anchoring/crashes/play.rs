//! One history on a real node: lives and deaths, troubles between them, then peace, and the
//! verdict.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use alloy::{
    hex,
    primitives::{Address, U256},
    sol_types::SolCall,
};
use serde_json::json;
use tokio::process::Child;

use super::{
    actor::{Actor, lane_in},
    draw::{History, Life, Trouble},
    oracle::{Outcome, mints},
    point::{Levels, Point, Trap},
};
use crate::support::stage::{Stage, URL};
use crate::{
    support::anchor_key::anchor_key,
    support::chain::{IdentityRegistry, quantity},
    support::process::eventually,
    support::resource::offer,
};

const HOSTS: [&str; 2] = ["audit.example", "chat.example"];
/// `--max-fee-gwei` of the stage.
const CEILING: u128 = 100_000_000_000;
/// How many decisions a life has to come to its point.
const ROUNDS: usize = 14;
/// The same where there are many decisions to a block.
const SLOW_ROUNDS: usize = 27;
/// How many decisions there may be until all is quiet, once nothing is wrong any more.
const LAST_ROUNDS: usize = 60;

/// The point of each life, and whether it was come to.
pub type Report = Vec<(Point, bool)>;

/// A history's world.
pub struct Play {
    pub stage: Stage,
    pub actors: Vec<Actor>,
    levels: Arc<Levels>,
    finality: String,
    /// Every account that ever signed; the last one signs now.
    accounts: Vec<Address>,
    keeps_journals: bool,
}

/// Plays a history to its end, and judges it.
pub async fn play(history: &History) -> Result<Report, String> {
    let mut play = Play::new(history).await;
    let mut report = Report::new();
    for (number, life) in history.lives.iter().enumerate() {
        report.push((life.point, play.live(life).await?));
        for trouble in &life.troubles {
            play.trouble(&play.actors[life.who], *trouble).await;
        }
        if history.rotates_after == Some(number) {
            play.rotate().await;
        }
    }
    play.end(history).await?;
    let outcome = play.outcome(history).await;
    let objections = outcome.objections();
    let logs = || play.actors.iter().map(Actor::told).collect::<Vec<_>>().join("\n---\n");
    if objections.is_empty() {
        Ok(report)
    } else {
        Err(format!("{objections:?}\n{outcome:#?}\n{}", logs()))
    }
}

/// The agents of a history and their keys.
pub fn keys(registry: Address, hosts: usize) -> BTreeMap<String, [u8; 20]> {
    let hosts = HOSTS[..hosts].iter().map(|host| format!("host:{host}"));
    std::iter::once("default".to_owned())
        .chain(hosts)
        .map(|agent| (agent.clone(), anchor_key(registry, &agent)))
        .collect()
}

impl Play {
    async fn new(history: &History) -> Self {
        let stage = Stage::still().await;
        let hosts = &HOSTS[..history.hosts];
        let own =
            hosts.iter().map(|host| offer(&format!("llm/{host}").replace('.', "-")).host(host).0);
        stage.offers(&std::iter::once(offer("llm/chat").0).chain(own).collect::<Vec<_>>());
        let mut actors = vec![Actor::new(&stage, "first", hosts, history).await];
        if history.has_rival {
            // It wants the same in another order.
            let hosts: Vec<&str> = hosts.iter().rev().copied().collect();
            actors.push(Actor::new(&stage, "rival", &hosts, history).await);
        }
        let finality = history.depth.map_or("finalized".to_owned(), |depth| depth.to_string());
        let accounts = vec![stage.account];
        let keeps_journals = history.rotates_after.is_some();
        Self { stage, actors, levels: Arc::default(), finality, accounts, keeps_journals }
    }

    /// Replaces the key, whatever is in flight.
    async fn rotate(&mut self) {
        let second = self.stage.node.account(1).await;
        let signer = format!("development-key-file:{}", self.stage.path("second-key").display());
        self.actors.iter_mut().for_each(|actor| actor.rotate(second, &signer));
        self.accounts.push(second);
        self.look().await;
    }

    /// The account that signs.
    fn account(&self) -> Address {
        *self.accounts.last().unwrap()
    }

    /// One life. Says whether its point was come to.
    async fn live(&self, life: &Life) -> Result<bool, String> {
        let actor = &self.actors[life.who];
        actor.calm();
        let has_all = known_ids(actor) == actor.ids().len();
        let forgets = life.point == Point::Scanning || life.point == Point::Learned && has_all;
        if forgets && !self.keeps_journals {
            actor.forget();
        }
        let trap = life.point.trap(life.way);
        if let Some(trap) = &trap {
            let (path, levels, point) =
                (actor.path().to_owned(), Arc::clone(&self.levels), life.point);
            let account = self.account();
            let is_reached =
                move |params: &_| point.is_reached(&lane_in(&path, account), &levels, params);
            trap.set(&actor.proxy, life, is_reached);
        }
        if matches!(life.point, Point::BeforeBump | Point::AfterBump) && life.way.is_multiple_of(2)
        {
            let path = actor.path().to_owned();
            let account = self.account();
            let first = move |_: &_| {
                lane_in(&path, account)["slot"]["attempts"].as_array().map(Vec::len) == Some(1)
            };
            let words = "replacement transaction underpriced".to_owned();
            let fault = crate::support::proxy::Fault::JsonRpcError(-32_000, words);
            actor.proxy.on("eth_sendRawTransaction").when(first).times(1).then(fault);
        }
        actor.weather(&life.weather);
        if let Some(lie) = life.lie {
            let height = self.stage.node.block_number("latest").await;
            actor.lie(lie, &self.accounts, height);
        }
        let before = actor.proxy.calls();
        let known = known_ids(actor);
        let mut child = actor.start(life.is_serving, &life.url);
        let is_slow = life.every > 1 && !life.is_serving;
        for round in 1..=if is_slow { SLOW_ROUNDS } else { ROUNDS } {
            let decided = actor.proxy.count("eth_chainId");
            let mut is_there = false;
            let mut has_ended = false;
            eventually("a decision ends or comes to the point", async || {
                is_there = match &trap {
                    Some(trap) => actor.proxy.has_since(before, |call| trap.has(call)),
                    None => known_ids(actor) > known,
                };
                has_ended = child.try_wait().unwrap().is_some();
                is_there
                    || has_ended
                    || life.is_serving && actor.proxy.count("eth_chainId") > decided.max(1)
            })
            .await;
            if is_there {
                return self.die(life, trap.as_ref(), actor, child).await.map(|()| true);
            }
            if has_ended {
                actor.ended(&mut child).await?;
            }
            if !is_slow || round.is_multiple_of(life.every) {
                self.pass(life).await;
            }
            if actor.is_quiet() && life.point != Point::Scanning {
                break;
            }
            if has_ended {
                child = actor.start(life.is_serving, &life.url);
            }
        }
        actor.kill(&mut child).await;
        Ok(false)
    }

    /// At its point: the rival decides while it is held, then it is killed, or left to go on.
    async fn die(
        &self,
        life: &Life,
        trap: Option<&Trap>,
        actor: &Actor,
        mut child: Child,
    ) -> Result<(), String> {
        if trap.is_some_and(Trap::holds) {
            if let Some(rival) = self.actors.get(1 - life.who) {
                rival.calm();
                for _ in 0..life.rival_rounds {
                    rival.round().await?;
                    self.mine(life.pace).await;
                }
            }
            if life.is_thawed && !life.is_serving {
                actor.calm();
                return actor.ended(&mut child).await;
            }
        } else {
            let mut ticks = tokio::time::interval(Duration::from_millis(1));
            for _ in 0..life.ticks {
                ticks.tick().await;
            }
        }
        actor.kill(&mut child).await;
        Ok(())
    }

    /// Between two decisions of a life.
    async fn pass(&self, life: &Life) {
        if matches!(life.point, Point::BeforeBump | Point::AfterBump) && !life.way.is_multiple_of(2)
        {
            self.trouble(&self.actors[life.who], Trouble::FeeShock(20 + 10 * life.hit)).await;
        } else {
            self.mine(life.pace).await;
        }
    }

    async fn mine(&self, blocks: u64) {
        if blocks > 0 {
            self.stage.node.mine(blocks).await;
        }
        self.look().await;
    }

    /// Tells the traps what the truth node says.
    async fn look(&self) {
        let (node, account) = (&self.stage.node, self.account());
        let settled = match self.finality.parse::<u64>() {
            Ok(depth) => format!("{:#x}", node.block_number("latest").await.saturating_sub(depth)),
            Err(_) => self.finality.clone(),
        };
        let base_fee = quantity(&node.block("latest").await["baseFeePerGas"]);
        self.levels.mined.store(node.transaction_count(account, "latest").await, Ordering::Relaxed);
        self.levels
            .settled
            .store(node.transaction_count(account, &settled).await, Ordering::Relaxed);
        self.levels.base_fee.store(base_fee, Ordering::Relaxed);
    }

    async fn trouble(&self, actor: &Actor, trouble: Trouble) {
        let node = &self.stage.node;
        let raw = || self.actors.iter().flat_map(Actor::raw_transactions).collect::<Vec<_>>();
        match trouble {
            Trouble::Reorg(depth) => drop(node.call("anvil_reorg", json!([depth, []])).await),
            Trouble::ReorgWith(depth, which) => {
                let raw = raw();
                let own: Vec<_> = raw.get(which).map(|raw| json!([raw, 0])).into_iter().collect();
                // A transaction of another nonce makes no block.
                let _made = node.try_call("anvil_reorg", json!([depth, own])).await;
            }
            Trouble::DropPool => drop(node.call("anvil_dropAllTransactions", json!([])).await),
            Trouble::StaleJournal(which) => actor.restore(which),
            Trouble::LostJournal => actor.forget(),
            Trouble::ForeignUse { after_pending, gwei } => {
                let account = self.account();
                let tag = if after_pending { "pending" } else { "latest" };
                let nonce = node.transaction_count(account, tag).await;
                let fee = format!("{:#x}", u128::from(gwei) * 1_000_000_000);
                let transaction = json!([{
                    "from": account.to_string(), "to": account.to_string(), "gas": "0x5208",
                    "nonce": format!("{nonce:#x}"), "maxFeePerGas": fee, "maxPriorityFeePerGas": fee,
                }]);
                // It may be too cheap to take a place in the pool.
                let _taken = node.try_call("eth_sendTransaction", transaction).await;
            }
            Trouble::FeeShock(gwei) => {
                let fee = format!("{:#x}", u128::from(gwei) * 1_000_000_000);
                node.call("anvil_setNextBlockBaseFeePerGas", json!([fee])).await;
                node.mine(1).await;
            }
            Trouble::GiveAway(which) => {
                let minted = mints(node, self.stage.registry, &self.accounts).await;
                if let Some(mint) = minted.get(which) {
                    self.transfer(mint.id, self.account(), node.account(3).await).await;
                }
            }
            Trouble::Mine(blocks) => node.mine(blocks).await,
            Trouble::OldBytes(which) => {
                if let Some(raw) = raw().get(which) {
                    let _taken = node.try_call("eth_sendRawTransaction", json!([raw])).await;
                }
            }
        }
        self.look().await;
    }

    /// Transfers a token as its owner, in place of whatever the owner has pending next.
    async fn transfer(&self, id: U256, from: Address, to: Address) {
        let node = &self.stage.node;
        let call = IdentityRegistry::transferFromCall { from, to, agentId: id };
        let fee = format!("{:#x}", 500_000_000_000_u64);
        let transaction = json!([{
            "from": from.to_string(), "to": self.stage.registry.to_string(), "gas": "0x30d40",
            "data": hex::encode_prefixed(call.abi_encode()),
            "nonce": format!("{:#x}", node.transaction_count(from, "latest").await),
            "maxFeePerGas": fee, "maxPriorityFeePerGas": fee,
        }]);
        // It fails if the token is not, or no longer, the sender's.
        let _taken = node.try_call("eth_sendTransaction", transaction).await;
        self.mine(1).await;
    }

    /// Brings every token of an agent to the account that signs.
    async fn bring_home(&self) {
        let (node, registry) = (&self.stage.node, self.stage.registry);
        for mint in mints(node, registry, &self.accounts).await {
            let owner = IdentityRegistry::ownerOfCall { agentId: mint.id };
            let owner = node.call_contract(registry, owner).await.unwrap();
            if owner != self.account() {
                self.transfer(mint.id, owner, self.account()).await;
            }
        }
    }

    /// All faults end; blocks come; in the end nothing moves any more, even if every signed byte
    /// comes back.
    async fn end(&self, history: &History) -> Result<(), String> {
        self.actors.iter().for_each(Actor::calm);
        if history.ends_serving {
            let actor = &self.actors[0];
            actor.weather(&history.last_weather);
            let mut child = actor.start(true, URL);
            for round in 0..LAST_ROUNDS {
                if round == 4 {
                    actor.calm();
                }
                let decided = actor.proxy.count("eth_chainId");
                eventually("another decision begins", async || {
                    assert!(child.try_wait().unwrap().is_none(), "serve ended:\n{}", actor.told());
                    actor.proxy.count("eth_chainId") > decided
                })
                .await;
                self.bring_home().await;
                self.mine(2).await;
                if round > 4 && actor.is_quiet() {
                    break;
                }
            }
            let is_quiet = actor.is_quiet();
            actor.kill(&mut child).await;
            if !is_quiet {
                return Err(format!("serve is never quiet: {}\n{}", actor.lane(), actor.told()));
            }
        }
        self.quieten().await?;
        for actor in &self.actors {
            for raw in actor.raw_transactions() {
                let _taken = self.stage.node.try_call("eth_sendRawTransaction", json!([raw])).await;
            }
        }
        self.mine(4).await;
        self.quieten().await
    }

    async fn quieten(&self) -> Result<(), String> {
        for _ in 0..LAST_ROUNDS {
            for actor in &self.actors {
                actor.round().await?;
            }
            if self.actors.iter().all(Actor::is_quiet) {
                return Ok(());
            }
            self.bring_home().await;
            self.mine(2).await;
        }
        let logs: Vec<String> =
            self.actors.iter().map(|actor| format!("{}\n{}", actor.lane(), actor.told())).collect();
        Err(format!("it is never quiet: {}", logs.join("\n---\n")))
    }

    /// What is judged. With the documents that are served from each journal.
    pub async fn outcome(&self, history: &History) -> Outcome {
        let (node, registry) = (&self.stage.node, self.stage.registry);
        let mut accounts = BTreeMap::new();
        for account in &self.accounts {
            accounts.insert(*account, node.transaction_count(*account, "latest").await);
        }
        let keys = keys(registry, history.hosts);
        let agents: BTreeSet<String> = keys.keys().cloned().collect();
        let mut told = Vec::new();
        for actor in &self.actors {
            told.push(("a journal", actor.ids()));
            told.push(("a document", actor.documents(&self.stage, &agents).await));
        }
        let all = |of: fn(&Actor) -> Vec<String>| self.actors.iter().flat_map(of).collect();
        Outcome {
            registry,
            accounts,
            ceiling: CEILING,
            keys,
            mints: mints(node, registry, &self.accounts).await,
            raw: all(Actor::raw_transactions),
            unwritten: all(|actor| actor.unwritten().into_iter().collect()),
            told,
            believed: self.actors.iter().flat_map(Actor::believed).collect(),
        }
    }

    /// A world in which nothing goes wrong, come to rest.
    pub async fn in_peace(history: &History) -> Self {
        let play = Self::new(history).await;
        play.quieten().await.unwrap();
        play
    }
}

fn known_ids(actor: &Actor) -> usize {
    actor.ids().values().flatten().count()
}
