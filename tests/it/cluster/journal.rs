//! The journal in a ConfigMap of a real API server, of processes that anchor on a real EVM node.

use std::path::Path;

use kube::api::{DynamicObject, PostParams};
use serde_json::{Value, json};

use super::{Cluster, shared, sold};
use crate::support::{
    chain::topics::REGISTERED,
    process::{PATIENCE, Printed, Server, eventually, json as json_of, registrar},
    proxy::{Fault, Proxy},
    stage::{Stage, URL, agent, replaced},
};

/// A namespace with an offer and an empty journal, and a node.
pub struct Ground {
    pub cluster: &'static Cluster,
    pub stage: Stage,
    pub namespace: String,
}

impl Ground {
    pub async fn new(stem: &str) -> Self {
        let cluster = shared().await;
        let namespace = cluster.namespace(stem).await;
        let ground = Self { cluster, stage: Stage::new().await, namespace };
        cluster.create(&sold(&format!("{}/chat", ground.namespace))).await;
        cluster.apply(&ground.config_map()).await;
        ground
    }

    /// As in deploy/anchoring/journal.yaml: without content.
    pub fn config_map(&self) -> Value {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "namespace": self.namespace, "name": "journal", "labels": { "a": "label" } },
        })
    }

    /// The settings of a process that reads the cluster.
    pub fn reading(&self, kubeconfig: &Path) -> Vec<String> {
        reading(kubeconfig, &self.namespace, &format!("{}/journal", self.namespace))
    }

    /// The settings of a process that anchors through this RPC URL.
    pub fn anchoring(&self, kubeconfig: &Path, rpc: &str, more: &[&str]) -> Vec<String> {
        anchoring(&self.stage, rpc, &self.reading(kubeconfig), more)
    }

    pub async fn serve(&self, rpc: &str, more: &[&str]) -> Server {
        let settings = self.anchoring(&self.cluster.kubeconfig("admin"), rpc, more);
        Server::start(&strs(&settings)).await
    }

    pub async fn read(&self) -> Server {
        Server::start(&strs(&self.reading(&self.cluster.kubeconfig("admin")))).await
    }

    /// Runs `registrar anchor VERB`.
    pub async fn anchor(&self, verb: &[&str], more: &[&str]) -> Printed {
        let kubeconfig = self.cluster.kubeconfig("admin");
        let settings = self.anchoring(&kubeconfig, self.stage.node.url(), more);
        let args: Vec<String> =
            ["anchor"].iter().chain(verb).map(|arg| (*arg).to_owned()).chain(settings).collect();
        tokio::task::spawn_blocking(move || registrar(&strs(&args))).await.unwrap()
    }

    /// The ConfigMap as it stands.
    pub async fn object(&self) -> DynamicObject {
        let (api, name) = self.cluster.api_of(&self.config_map()).await;
        api.get(&name).await.unwrap()
    }

    /// The journal's text.
    pub async fn journal(&self) -> String {
        self.object().await.data["data"]["journal"].as_str().unwrap_or_default().to_owned()
    }

    /// Puts a text in the journal's place.
    async fn put(&self, text: &str) {
        let (api, name) = self.cluster.api_of(&self.config_map()).await;
        let mut object = api.get(&name).await.unwrap();
        object.metadata.resource_version = None;
        object.data["data"]["journal"] = text.into();
        api.replace(&name, &PostParams::default(), &object).await.unwrap();
    }

    /// How many agents the account ever minted.
    pub async fn mints(&self) -> usize {
        let owner = self.stage.account.into_word();
        let logs = self.stage.node.logs(self.stage.registry).await;
        let registered = logs.iter().filter(|logged| {
            let topics = logged.log.topics();
            topics[0] == REGISTERED && topics[2] == owner
        });
        registered.count()
    }

    /// Mines until the server says this of the default agent.
    pub async fn stands(&self, server: &Server, reason: &str) {
        eventually(reason, async || {
            self.stage.node.mine(1).await;
            agent(server).await["anchoring"][0]["reason"] == reason
        })
        .await;
    }
}

/// The settings of a process that reads a namespace, and a journal in a ConfigMap.
pub fn reading(kubeconfig: &Path, namespace: &str, journal: &str) -> Vec<String> {
    let journal = format!("configmap:{journal}");
    let settings = [
        ("--kubeconfig", kubeconfig.to_str().unwrap()),
        ("--namespace", namespace),
        ("--identity", "none"),
        ("--public-url", URL),
        ("--journal", &journal),
    ];
    settings.into_iter().flat_map(|(name, value)| [name.to_owned(), value.to_owned()]).collect()
}

/// The settings of a process that anchors the offers of a cluster through an RPC URL.
pub fn anchoring(stage: &Stage, rpc: &str, reading: &[String], more: &[&str]) -> Vec<String> {
    let mut settings = stage.settings();
    let offers = settings.iter().position(|setting| setting == "--offers").unwrap();
    settings.drain(offers..offers + 2);
    let node = settings.iter().position(|setting| setting == "--rpc-url").unwrap();
    settings[node + 1] = format!("eip155:31337={rpc}");
    replaced(replaced(settings, &strs(reading)), more)
}

pub fn strs(settings: &[String]) -> Vec<&str> {
    settings.iter().map(String::as_str).collect()
}

/// The id in the default agent's document.
pub async fn id(server: &Server) -> Value {
    server.document().await["registrations"][0]["agentId"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_in_a_config_map_is_shared_lost_and_restored_and_nothing_is_minted_twice() {
    let ground = Ground::new("journal").await;
    let proxy = Proxy::start(vec![ground.stage.node.url().to_owned()]).await;
    let writer = ground.serve(&proxy.url(), &[]).await;
    let reader = ground.read().await;
    eventually("a signature is recorded", async || ground.journal().await.contains("\"slot\""))
        .await;
    let early = ground.journal().await;
    ground.stands(&writer, "Anchored").await;
    eventually("a process without a key shows the id", async || id(&reader).await == 0).await;
    assert_eq!(id(&writer).await, 0);
    // Applying the manifest again, as an upgrade does, takes nothing away.
    ground.cluster.apply(&ground.config_map()).await;
    assert!(ground.journal().await.contains("erc8004-registrar-journal"));
    assert_eq!(ground.object().await.metadata.labels.unwrap()["a"], "label");

    // Nothing changes, so nothing is written.
    eventually("several decisions write nothing", async || {
        let version = ground.object().await.metadata.resource_version;
        let asked = proxy.calls();
        eventually("it decides several times", async || proxy.calls() > asked + 8).await;
        ground.object().await.metadata.resource_version == version
    })
    .await;

    // Lost: nothing is signed until it is there again, and the ids stay published.
    ground.cluster.delete(&ground.config_map()).await;
    ground
        .cluster
        .patch(
            &sold(&format!("{}/chat", ground.namespace)),
            json!({ "metadata": { "labels": { "b": "c" } } }),
        )
        .await;
    eventually("the loss is noticed", async || {
        ground.stage.node.mine(1).await;
        agent(&writer).await["anchoring"][0]["reason"] == "JournalRefused"
    })
    .await;
    assert!(
        writer.log().contains("does not exist: apply deploy/anchoring/journal.yaml"),
        "{}",
        writer.log()
    );
    assert_eq!((id(&writer).await, id(&reader).await), (json!(0), json!(0)));
    ground.cluster.apply(&ground.config_map()).await;
    ground.stands(&writer, "Anchored").await;
    assert_eq!((id(&writer).await, id(&reader).await), (json!(0), json!(0)));

    // An old one is taken up as it is, and the chain says what has happened since.
    ground.put(&early).await;
    eventually("the restored journal is followed", async || {
        ground.stage.node.mine(1).await;
        writer.log().contains("was changed by another process")
    })
    .await;
    ground.stands(&writer, "Anchored").await;
    eventually("the reader shows the id", async || id(&reader).await == 0).await;
    assert_eq!(ground.mints().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_in_a_config_map_that_is_not_ours_is_refused_and_left_alone() {
    let ground = Ground::new("foreign").await;
    let once = ground.anchor(&["run", "--once"], &[]).await;
    assert!(matches!(once.code, Some(0 | 1)), "{}", once.stderr);
    let good = ground.journal().await;
    assert!(good.contains("\"slot\""), "{good}");
    let newer = good.replace("\"version\":1", "\"version\":2");
    for bad in [good[..good.len() / 2].to_owned(), "{}".to_owned(), String::new(), newer] {
        ground.put(&bad).await;
        let refused = ground.anchor(&["run", "--once"], &[]).await;
        assert_eq!(refused.code, Some(1), "{bad}");
        assert!(refused.stderr.contains("the journal configmap:"), "{}", refused.stderr);
        assert_eq!(ground.journal().await, bad, "it is never overwritten");
    }
    ground.put(&good).await;
    let foreign = ground.anchor(&["run", "--once"], &["--owner-id", "another"]).await;
    assert!(foreign.stderr.contains("belongs to owner id"), "{}", foreign.stderr);
    let serving = ground.serve(ground.stage.node.url(), &["--owner-id", "another"]).await;
    ground.stands(&serving, "JournalRefused").await;
    assert_eq!(serving.admin("/readyz").await.status(), 200);
    assert_eq!(ground.journal().await, good);
    let status = ground.anchor(&["status"], &[]).await;
    assert!(status.stdout.contains("nonce 0 for default"), "{}", status.stdout);
    let elsewhere = ["--journal", "configmap:nowhere"];
    let missing = ground.anchor(&["run", "--once"], &elsewhere).await;
    assert!(missing.stderr.contains("does not exist"), "{}", missing.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_processes_that_both_act_the_slower_one_records_nothing_and_sends_nothing() {
    let ground = Ground::new("rivals").await;
    let url = || vec![ground.stage.node.url().to_owned()];
    let (slow, fast) = (Proxy::start(url()).await, Proxy::start(url()).await);
    // It has read the journal, decided to mint at nonce 0, and is about to sign.
    slow.on("eth_estimateGas").times(1).then(Fault::Stall);
    let loser = ground.serve(&slow.url(), &[]).await;
    eventually("it is about to sign", async || slow.count("eth_estimateGas") == 1).await;
    let winner = ground.serve(&fast.url(), &[]).await;
    eventually("the other one has sent its mint", async || !fast.raw_transactions().is_empty())
        .await;
    slow.release();
    eventually("the loser notices", async || {
        loser.log().contains("was changed by another process")
    })
    .await;
    assert_eq!(
        loser.log().matches("Signed register(").count(),
        1,
        "it had signed: {}",
        loser.log()
    );
    ground.stands(&winner, "Anchored").await;
    ground.stands(&loser, "Anchored").await;
    assert_eq!((id(&winner).await, id(&loser).await), (json!(0), json!(0)));
    assert_eq!(ground.mints().await, 1);
    // What it may send are the bytes that the other one has recorded.
    let recorded = fast.raw_transactions();
    let sent = slow.raw_transactions();
    assert!(sent.iter().all(|raw| recorded.contains(raw)), "{sent:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_document_after_a_kill_has_the_ids_of_the_journal() {
    let ground = Ground::new("first").await;
    let mut server = ground.serve(ground.stage.node.url(), &[]).await;
    ground.stands(&server, "Anchored").await;
    // A node that answers nothing: the chain cannot be what the id is known from.
    let nowhere = "http://127.0.0.1:1";
    let admin = ground.cluster.kubeconfig("admin");
    let anchoring = ground.anchoring(&admin, nowhere, &[]);
    for settings in [&anchoring, &ground.reading(&admin), &anchoring] {
        server.signal("-KILL");
        server = Server::start(&strs(settings)).await;
        // As often as the connection allows, so that no document before the right one is missed.
        let first = tokio::time::timeout(PATIENCE, async {
            loop {
                let answer = server.get("/.well-known/agent-registration.json").await;
                if answer.status() == 200 {
                    return json_of(answer).await;
                }
            }
        });
        let first = first.await.unwrap();
        assert_eq!(first["registrations"][0]["agentId"], 0, "{first}");
    }
    assert_eq!(ground.mints().await, 1);
}
