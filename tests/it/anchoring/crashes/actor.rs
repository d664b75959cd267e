//! A process that anchors, behind a proxy of its own and with a journal of its own, started again
//! and again.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex},
};

use alloy::primitives::{Address, U256};
use serde_json::Value;
use tokio::process::Child;

use super::draw::{History, Lie, Mishap, Weather};
use crate::anchoring::faulty::{drops_logs_before, lies};
use crate::support::stage::{Stage, URL, replaced};
use crate::{
    support::process::{Server, command, eventually, json},
    support::proxy::{Fault, Proxy},
};

/// One of the processes, over all its lives.
pub struct Actor {
    /// Before the endpoint that is asked first.
    pub proxy: Proxy,
    /// Before the others.
    others: Vec<Proxy>,
    /// The account that signs.
    pub account: Address,
    pub journal: PathBuf,
    settings: Vec<String>,
    log: PathBuf,
    /// Every text of the journal that was ever read here.
    versions: Arc<Mutex<Vec<String>>>,
    /// Raw transactions that came before they were written down.
    unwritten: Arc<Mutex<BTreeSet<String>>>,
}

impl Actor {
    pub async fn new(stage: &Stage, name: &str, hosts: &[&str], history: &History) -> Self {
        let depth = history.depth;
        let before_node = async || Proxy::start(vec![stage.node.url().to_owned()]).await;
        let proxy = before_node().await;
        let mut others = Vec::new();
        for _ in 1..history.endpoints {
            others.push(before_node().await);
        }
        let journal = stage.path(&format!("{name}.journal"));
        let finality = format!(
            "eip155:31337={}",
            depth.map_or("finalized".to_owned(), |n| format!("depth:{n}"))
        );
        let at = format!("file:{}", journal.display());
        let mut settings = replaced(stage.settings(), &["--journal", &at, "--finality", &finality]);
        let node = settings.iter().position(|setting| setting == "--rpc-url").unwrap();
        settings[node + 1] = format!("eip155:31337={}", proxy.url());
        for other in &others {
            settings.extend(["--rpc-url".to_owned(), format!("eip155:31337={}", other.url())]);
        }
        for host in hosts {
            settings.extend(["--anchor-host".to_owned(), (*host).to_owned()]);
        }
        let log = stage.path(&format!("{name}.log"));
        let actor = Self {
            proxy,
            others,
            account: stage.account,
            journal,
            settings,
            log,
            versions: Arc::default(),
            unwritten: Arc::default(),
        };
        actor.calm();
        actor
    }

    /// Signs with another key from now on; the account so far becomes a former one.
    pub fn rotate(&mut self, account: Address, signer: &str) {
        let former = self.account.to_checksum(None);
        let more = ["--signer", signer, "--former-account", &former];
        self.settings = replaced(std::mem::take(&mut self.settings), &more);
        self.account = account;
    }

    fn proxies(&self) -> impl Iterator<Item = &Proxy> {
        std::iter::once(&self.proxy).chain(&self.others)
    }

    /// Every raw transaction that was sent to any endpoint.
    pub fn raw_transactions(&self) -> Vec<String> {
        self.proxies().flat_map(Proxy::raw_transactions).collect()
    }

    /// Has endpoints leave events out.
    pub fn lie(&self, lie: Lie, accounts: &[Address], height: u64) {
        match lie {
            Lie::OurEvents(which) => {
                let liar = self.proxies().nth(which).unwrap();
                lies(liar, accounts);
            }
            Lie::OldEvents => self.proxies().for_each(|proxy| drops_logs_before(proxy, height)),
        }
    }

    /// Lifts all faults.
    pub fn calm(&self) {
        self.proxies().for_each(|proxy| self.calm_one(proxy));
    }

    fn calm_one(&self, proxy: &Proxy) {
        proxy.lift();
        let (journal, versions) = (self.journal.clone(), Arc::clone(&self.versions));
        let unwritten = Arc::clone(&self.unwritten);
        // No rule: it only looks at what comes, at the moment when it comes.
        let look = move |params: &Value| {
            let raw = params[0].as_str().unwrap_or_default();
            let now = fs::read_to_string(&journal).unwrap_or_default();
            let written = now.contains(raw)
                || versions.lock().unwrap().iter().any(|version| version.contains(raw));
            if !written {
                unwritten.lock().unwrap().insert(raw.to_owned());
            }
            false
        };
        proxy.on("eth_sendRawTransaction").when(look).then(Fault::ForwardAll);
    }

    pub fn weather(&self, all: &[Weather]) {
        for Weather { method, wrong, percent, seed } in all {
            let rule = method.map_or_else(|| self.proxy.on_any(), |method| self.proxy.on(method));
            rule.probability(*percent, *seed).then(wrong.fault());
        }
    }

    /// Starts the process: one that decides once, or one that serves and decides every second.
    pub fn start(&self, is_serving: bool, url: &str) -> Child {
        let ports = ["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
        let verb: &[&str] = if is_serving { &ports } else { &["anchor", "run", "--once"] };
        let settings = replaced(self.settings.clone(), &["--public-url", url]);
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        let log = File::options().create(true).append(true).open(&self.log).unwrap();
        tokio::process::Command::from(command(&[verb, &settings].concat()))
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    /// Decides once, to the end.
    pub async fn round(&self) -> Result<(), String> {
        self.ended(&mut self.start(false, URL)).await
    }

    /// Waits for the end of a process that decides once.
    pub async fn ended(&self, child: &mut Child) -> Result<(), String> {
        let mut status = None;
        eventually("a decision ends", async || {
            status = child.try_wait().unwrap();
            status.is_some()
        })
        .await;
        self.keep();
        match status.and_then(|status| status.code()) {
            Some(0) => Ok(()),
            // Held for a reason that needs a person or another decision.
            Some(1) if !self.told().contains("Error: ") => Ok(()),
            code => Err(format!("anchor run ends with {code:?}:\n{}", self.told())),
        }
    }

    /// Ends the process as a power cut would.
    pub async fn kill(&self, child: &mut Child) {
        child.kill().await.unwrap();
        self.keep();
    }

    /// Keeps a copy of the journal as it stands.
    pub fn keep(&self) {
        if let Ok(text) = fs::read_to_string(&self.journal) {
            let mut versions = self.versions.lock().unwrap();
            if versions.last() != Some(&text) {
                versions.push(text);
            }
        }
    }

    /// Puts an earlier copy in place of the journal.
    pub fn restore(&self, which: usize) {
        let versions = self.versions.lock().unwrap();
        if !versions.is_empty() {
            fs::write(&self.journal, &versions[which % versions.len()]).unwrap();
        }
    }

    /// Loses the journal.
    pub fn forget(&self) {
        // There may be none yet.
        let _gone = fs::remove_file(&self.journal);
    }

    pub fn lane(&self) -> Value {
        lane_in(&self.journal, self.account)
    }

    /// Whether nothing is left to do, by the journal.
    pub fn is_quiet(&self) -> bool {
        let lane = self.lane();
        let agents = lane["agents"].as_object();
        agents.is_some_and(|agents| agents.values().all(|agent| agent["reason"] == "Anchored"))
            && lane["slot"].is_null()
    }

    /// The ids that the journal tells now.
    pub fn ids(&self) -> BTreeMap<String, Option<U256>> {
        ids_in(&self.lane())
    }

    /// Every id that any copy of the journal told.
    pub fn believed(&self) -> BTreeSet<(String, U256)> {
        let versions = self.versions.lock().unwrap();
        let lanes = versions.iter().filter_map(|text| {
            let journal: Value = serde_json::from_str(text).unwrap();
            let lanes = journal["content"]["lanes"].as_object()?;
            Some(lanes.values().cloned().collect::<Vec<_>>())
        });
        let told = lanes.flatten().flat_map(|lane| ids_in(&lane));
        told.filter_map(|(agent, id)| Some((agent, id?))).collect()
    }

    pub fn unwritten(&self) -> BTreeSet<String> {
        self.unwritten.lock().unwrap().clone()
    }

    /// The ids in the documents that a process of no key serves from this journal.
    pub async fn documents(
        &self,
        stage: &Stage,
        agents: &BTreeSet<String>,
    ) -> BTreeMap<String, Option<U256>> {
        let journal = format!("file:{}", self.journal.display());
        let offers = stage.path("offers");
        let offers = offers.to_str().unwrap();
        let args = ["--offers", offers, "--public-url", URL, "--journal", &journal];
        let server = Server::start(&args).await;
        let mut ids = BTreeMap::new();
        // Whatever they say in the end is judged; what they say before the journal is read is not.
        for agent in agents {
            let host = agent.strip_prefix("host:").unwrap_or("agents.example");
            let at = format!("{}/.well-known/agent-registration.json", server.public);
            let http = crate::support::process::http();
            let mut id = Value::Null;
            eventually("a document has an id", async || {
                let answer = http.get(&at).header("host", host).send().await.unwrap();
                id = json(answer).await["registrations"][0]["agentId"].clone();
                id.is_number()
            })
            .await;
            ids.insert(agent.clone(), id.to_string().parse().ok());
        }
        ids
    }

    /// The end of what the processes logged.
    pub fn told(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    /// The journal's path, for rules of the proxy.
    pub fn path(&self) -> &Path {
        &self.journal
    }
}

impl Mishap {
    fn fault(self) -> Fault {
        let says = |words: &str| Fault::JsonRpcError(-32_000, words.to_owned());
        match self {
            Self::Refuse => Fault::Refuse,
            Self::LoseReply => Fault::LoseReply,
            Self::BadGateway => Fault::bad_gateway(),
            Self::TooManyRequests => Fault::too_many_requests(1),
            Self::CutJson => Fault::CutJson,
            Self::WrongId => Fault::WrongId,
            Self::NullResult => Fault::NullResult,
            Self::Twice => Fault::DeliverTwice,
            Self::NoLogs => Fault::rewrite(|_| Value::Array(Vec::new())),
            Self::Says(words) => says(words),
            Self::TakesItAndSays(words) => says(words).delivered(),
        }
    }
}

fn ids_in(lane: &Value) -> BTreeMap<String, Option<U256>> {
    let agents = lane["agents"].as_object().into_iter().flatten();
    let id = |note: &Value| note["id"]["agentId"].as_str().and_then(|id| id.parse().ok());
    agents.map(|(agent, note)| (agent.clone(), id(note))).collect()
}

/// The state of one account of a journal, as it is stored; null before there is one. Killing a
/// process at a step takes a look at its journal from outside, at once.
pub fn lane_in(journal: &Path, account: Address) -> Value {
    let Ok(text) = fs::read_to_string(journal) else { return Value::Null };
    let journal: Value = serde_json::from_str(&text).unwrap();
    let lanes = journal["content"]["lanes"].as_object().unwrap();
    let account = account.to_checksum(None);
    let own = lanes.iter().find(|(key, _)| key.ends_with(&account));
    own.map(|(_, lane)| lane.clone()).unwrap_or_default()
}
