//! How a history is played, and what must be true all the while.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use super::{History, Mishap, TAKEOVER};
use crate::{
    cluster::{
        journal::{Ground, strs},
        sold,
    },
    support::{
        process::{PATIENCE, Server, http, json},
        relay::Relay,
        stage::URL,
    },
};

/// The hosts of all agents, that of the default agent first.
const HOSTS: [&str; 3] = ["agents.example", "audit.example", "chat.example"];
const DOCUMENT: &str = "/.well-known/agent-registration.json";
const TICK: Duration = Duration::from_millis(100);
/// A block comes after so many ticks.
const TICKS_PER_BLOCK: u64 = 3;

/// How long each takeover took, without the time for which the machine stalled this test itself.
pub type Report = Vec<(Mishap, Duration)>;

struct Replica {
    /// Between it and the API server.
    relay: Relay,
    settings: Vec<String>,
    server: Server,
    /// Dead or frozen: it is not asked.
    is_away: bool,
    /// Whether the default agent's id was recorded when this process started, or was shown by it.
    knows: bool,
}

struct Play {
    ground: Ground,
    http: reqwest::Client,
    replicas: [Replica; 2],
    /// The logs of processes that have ended, each with the end of its leadership.
    ended: Vec<(String, DateTime<Utc>)>,
    /// The ids that were ever shown, by host.
    shown: BTreeMap<&'static str, BTreeSet<u64>>,
    ticks: Interval,
    ticked: u64,
    /// By how much ticks came too late: the machine was busy elsewhere.
    stalled: Duration,
}

pub async fn play(history: &History) -> Report {
    let ground = Ground::new("failover").await;
    for host in &HOSTS[1..] {
        let (name, _) = host.split_once('.').unwrap();
        let offer = sold(&format!("{}/{name}-host", ground.namespace));
        ground.cluster.create(&offer.set("/spec/hostname", *host)).await;
    }
    let replicas = [Replica::start(&ground).await, Replica::start(&ground).await];
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut play = Play {
        ground,
        http: http(),
        replicas,
        ended: Vec::new(),
        shown: BTreeMap::new(),
        ticks,
        ticked: 0,
        stalled: Duration::ZERO,
    };
    let mut report = Report::new();
    for event in &history.events {
        let leader = play.leader().await;
        for _ in 0..event.blocks * TICKS_PER_BLOCK {
            play.tick().await;
        }
        if event.mishap == Mishap::Stop {
            play.until_followed(leader).await;
        }
        report.push((event.mishap, play.befall(leader, event.mishap).await));
    }
    let began = Instant::now();
    while !play.is_all_anchored().await {
        assert!(began.elapsed() < PATIENCE, "it is never all anchored:\n{}", play.logs());
        play.tick().await;
    }
    play.tick().await;
    play.check_ids().await;
    if !history.has_freeze() {
        play.check_one_at_a_time();
    }
    report
}

impl Replica {
    async fn start(ground: &Ground) -> Self {
        let port = ground.cluster.port();
        let relay = Relay::to_port(port).await;
        let path = ground.stage.path(&format!("kubeconfig-{}", relay.port()));
        let config = std::fs::read_to_string(ground.cluster.kubeconfig("admin")).unwrap();
        let own = config.replace(&format!(":{port}"), &format!(":{}", relay.port()));
        std::fs::write(&path, own).unwrap();
        let lease = format!("{}/registrar", ground.namespace);
        let hosts = format!("{},{}", HOSTS[1], HOSTS[2]);
        let more = ["--lease", &lease, "--anchor-host", &hosts];
        let settings = ground.anchoring(&path, ground.stage.node.url(), &more);
        let server = Server::start(&strs(&settings)).await;
        Self { relay, settings, server, is_away: false, knows: false }
    }

    /// Starts a new process in its place and returns the old one.
    async fn restart(&mut self, knows: bool) -> Server {
        let server = Server::start(&strs(&self.settings)).await;
        (self.is_away, self.knows) = (false, knows);
        std::mem::replace(&mut self.server, server)
    }
}

impl Play {
    /// A little time, with a block at times. Documents are right in every replica all the while.
    async fn tick(&mut self) {
        let due = Instant::now() + TICK;
        self.ticks.tick().await;
        self.stalled += Instant::now().saturating_duration_since(due);
        self.ticked += 1;
        if self.ticked.is_multiple_of(TICKS_PER_BLOCK) {
            self.ground.stage.node.mine(1).await;
        }
        for replica in self.replicas.iter_mut().filter(|replica| !replica.is_away) {
            // A process that has just started has not read the cluster yet.
            if replica.server.admin("/readyz").await.status() != 200 {
                continue;
            }
            for host in HOSTS {
                let asked = self.http.get(format!("{}{DOCUMENT}", replica.server.public));
                let answer = asked.header("host", host).send().await.unwrap();
                assert_eq!(answer.status(), 200, "{host}:\n{}", replica.server.log());
                let id = json(answer).await["registrations"][0]["agentId"].as_u64();
                if let Some(id) = id {
                    self.shown.entry(host).or_default().insert(id);
                } else {
                    assert!(!replica.knows, "{host} lost its id:\n{}", replica.server.log());
                }
                replica.knows |= id.is_some() && host == HOSTS[0];
            }
        }
    }

    /// Which of the two leads, once exactly one does.
    async fn leader(&mut self) -> usize {
        let began = Instant::now();
        loop {
            match (self.replicas[0].server.leads().await, self.replicas[1].server.leads().await) {
                (true, false) => return 0,
                (false, true) => return 1,
                (true, true) | (false, false) => self.tick().await,
            }
            assert!(began.elapsed() < PATIENCE, "not one leads:\n{}", self.logs());
        }
    }

    /// Until the other replica has read the Lease since it last led, started, or could not: only then
    /// can it be expected to notice a release at once.
    async fn until_followed(&mut self, leader: usize) {
        let began = Instant::now();
        let follows = |log: &str| {
            let mut lines = log.lines().rev();
            let last = lines.find(|line| line.contains("process leads"));
            last.is_some_and(|line| line.contains("Another process leads"))
        };
        while !follows(&self.replicas[1 - leader].server.log()) {
            assert!(began.elapsed() < PATIENCE, "it does not follow:\n{}", self.logs());
            self.tick().await;
        }
    }

    /// Has the mishap befall the leader, and repairs it once the other one leads. Returns how long
    /// that took.
    async fn befall(&mut self, leader: usize, mishap: Mishap) -> Duration {
        let (began, stalled) = (Instant::now(), self.stalled);
        let replica = &mut self.replicas[leader];
        replica.is_away = matches!(mishap, Mishap::Kill | Mishap::Freeze | Mishap::Stop);
        match mishap {
            Mishap::Kill => replica.server.signal("-KILL"),
            Mishap::Stop => replica.server.signal("-TERM"),
            Mishap::Freeze => replica.server.signal("-STOP"),
            Mishap::Silence => replica.relay.set_silent(true),
            // Nothing listens there.
            Mishap::CutOff => replica.relay.turn_to(1),
        }
        let at = wall_clock();
        while !self.replicas[1 - leader].server.leads().await {
            assert!(began.elapsed() < PATIENCE, "{mishap:?}: nobody follows:\n{}", self.logs());
            self.tick().await;
        }
        let took = began.elapsed().saturating_sub(self.stalled.saturating_sub(stalled));
        assert!(took <= TAKEOVER, "{mishap:?}: took {took:?}:\n{}", self.logs());
        let knows = self.shown.contains_key(HOSTS[0]);
        let port = self.ground.cluster.port();
        let replica = &mut self.replicas[leader];
        match mishap {
            Mishap::Kill | Mishap::Stop => {
                let ended = replica.restart(knows).await.log_after_end().await;
                if mishap == Mishap::Stop {
                    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
                    assert!(ended.stderr.contains("Released the Lease"), "{}", ended.stderr);
                }
                self.ended.push((ended.stderr, at));
            }
            Mishap::Freeze => {
                replica.server.signal("-CONT");
                replica.is_away = false;
            }
            Mishap::Silence => replica.relay.set_silent(false),
            Mishap::CutOff => replica.relay.turn_to(port),
        }
        took
    }

    /// Whether both replicas say of all agents that they are anchored.
    async fn is_all_anchored(&self) -> bool {
        for replica in &self.replicas {
            let agents = json(replica.server.get("/agents").await).await["items"].clone();
            let is_anchored = |agent: &Value| agent["anchoring"][0]["reason"] == "Anchored";
            // A process that has just started answers 503 instead.
            let all = agents.as_array().is_some_and(|agents| {
                agents.len() == HOSTS.len() && agents.iter().all(is_anchored)
            });
            if !all {
                return false;
            }
        }
        true
    }

    /// Each agent was minted once, and no document ever showed another id than its own or, before
    /// that was final, the default agent's.
    async fn check_ids(&self) {
        let mints = self.ground.mints().await;
        assert_eq!(mints, HOSTS.len(), "{}", self.logs());
        let mut own = BTreeMap::new();
        for id in 0..u64::try_from(mints).unwrap() {
            let uri = self.ground.stage.uri(id).await;
            let host = HOSTS.into_iter().find(|host| uri == format!("https://{host}{DOCUMENT}"));
            own.insert(host.unwrap_or_else(|| panic!("{uri}")), id);
        }
        assert_eq!((own.len(), URL), (HOSTS.len(), "https://agents.example"));
        for (host, shown) in &self.shown {
            let allowed = BTreeSet::from([own[host], own[HOSTS[0]]]);
            assert!(shown.contains(&own[host]), "{host}: {shown:?}");
            assert!(shown.is_subset(&allowed), "{host}: {shown:?}, but {own:?}");
        }
        assert_eq!(self.shown.len(), HOSTS.len());
    }

    /// By the logs, no process led before the one before had ceased to.
    fn check_one_at_a_time(&self) {
        let now = wall_clock();
        let running = self.replicas.iter().map(|replica| (replica.server.log(), now));
        let mut terms: Vec<_> = self
            .ended
            .iter()
            .cloned()
            .chain(running)
            .flat_map(|(log, end)| terms(&log, end))
            .collect();
        terms.sort();
        for pair in terms.windows(2) {
            assert!(pair[0].1 <= pair[1].0, "two led at once: {pair:?}\n{}", self.logs());
        }
    }

    fn logs(&self) -> String {
        let ended = self.ended.iter().map(|(log, _)| log.clone());
        let logs = ended.chain(self.replicas.iter().map(|replica| replica.server.log()));
        logs.collect::<Vec<_>>().join("\n----\n")
    }
}

/// What the log's timestamps are read from.
fn wall_clock() -> DateTime<Utc> {
    #[expect(clippy::disallowed_methods, reason = "compared with the log of other processes")]
    Utc::now()
}

/// From when until when a process led, by its log.
fn terms(log: &str, end: DateTime<Utc>) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
    let mut terms = Vec::new();
    let mut since = None;
    for line in log.lines() {
        let at = || line.split_whitespace().next().unwrap().parse::<DateTime<Utc>>().unwrap();
        if line.contains("This process leads no longer") {
            terms.extend(since.take().map(|since| (since, at())));
        } else if line.contains("This process leads") {
            since = Some(at());
        }
    }
    terms.extend(since.map(|since| (since, end)));
    terms
}
