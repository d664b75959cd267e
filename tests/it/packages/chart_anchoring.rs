//! The chart with anchoring, in a real API server and on a real EVM node: whatever helm does, the
//! journal and the id stay, and nothing is minted twice.

use std::{collections::BTreeSet, fs, process::Stdio, sync::Arc};

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::{
    chart::{NAMESPACE, URL, rendered},
    release::{
        args, helm, installed, may_exactly, process, read, remains, sell, shows_the_offer,
        while_served,
    },
};
use crate::{
    cli::anchor_settings::{ACCOUNT, KEYSTORE},
    cluster::{Cluster, journal::id},
    support::{
        chain::topics::REGISTERED,
        process::{Server, eventually, text},
        stage::Stage,
    },
};

/// A cluster beside the original stack, a chain, and the Secret's files.
struct Ground {
    cluster: Arc<Cluster>,
    stage: Stage,
    secret: tempfile::TempDir,
    values: tempfile::TempDir,
}

impl Ground {
    async fn new() -> Self {
        let cluster = Arc::new(Cluster::start(""));
        cluster.install_crds().await;
        for namespace in ["x402", "obol-frontend"] {
            cluster.ensure_namespace(namespace).await;
        }
        let identity = json!({
            "apiVersion": "obol.org/v1alpha1", "kind": "AgentIdentity",
            "metadata": { "namespace": "x402", "name": "default" }, "spec": {},
        });
        eventually("identities are served", async || {
            let (api, _) = cluster.api_of(&identity).await;
            api.list(&Default::default()).await.is_ok()
        })
        .await;
        cluster.apply(&identity).await;
        sell(&cluster).await;
        let stage = Stage::new().await;
        let rich = json!([ACCOUNT, "0xde0b6b3a7640000"]);
        stage.node.call("anvil_setBalance", rich).await;
        let secret = tempfile::tempdir().unwrap();
        let files = [
            ("rpc-urls", stage.node.url()),
            ("keystore.json", KEYSTORE),
            ("keystore-password", "testpassword\n"),
        ];
        for (name, content) in files {
            fs::write(secret.path().join(name), content).unwrap();
        }
        Self { cluster, stage, secret, values: tempfile::tempdir().unwrap() }
    }

    /// Values with anchoring, changed by `more`.
    fn anchoring(&self, apart: bool, more: &Value) -> Value {
        let mut values = json!({ "publicUrl": URL, "anchoring": {
            "enabled": true, "apart": apart, "ownerId": "test",
            "chains": [{ "name": "eip155:31337", "maxFeeGwei": "100", "dailyBudgetEther": "0.5" }],
            "extraArgs": [
                "--registry", format!("eip155:31337={}", self.stage.registry),
                "--anchor-interval", "1s", "--allow-development-keys",
            ],
        } });
        values.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        values
    }

    /// A file with values.
    fn file(&self, name: &str, values: &Value) -> String {
        let path = self.values.path().join(name);
        fs::write(&path, values.to_string()).unwrap();
        path.to_str().unwrap().to_owned()
    }

    async fn serve(&self) -> Server {
        let server = process(&self.cluster, "registrar", self.secret.path()).await;
        Server::launch(server).await
    }

    async fn shows_the_id(&self, server: &Server) {
        eventually("the id is in the document", async || {
            self.stage.node.mine(1).await;
            id(server).await == 0
        })
        .await;
    }

    async fn journal(&self) -> Value {
        read(&self.cluster, "v1", "ConfigMap", NAMESPACE, "registrar-journal").await
    }

    /// What the journal says was minted; null if it says nothing.
    async fn minted(&self) -> Value {
        let object = self.journal().await;
        let journal = object["data"]["journal"].as_str().unwrap_or("null");
        let journal: Value = serde_json::from_str(journal).unwrap();
        let lanes = journal["content"]["lanes"].as_object().into_iter().flatten();
        lanes.map(|(_, lane)| lane["minted"].clone()).next().unwrap_or_default()
    }

    /// How many agents were ever minted.
    async fn mints(&self) -> usize {
        let logs = self.stage.node.logs(self.stage.registry).await;
        logs.iter().filter(|logged| logged.log.topics()[0] == REGISTERED).count()
    }
}

/// What is left of the release when it is gone.
fn the_journal() -> BTreeSet<[String; 4]> {
    BTreeSet::from([["", "ConfigMap", NAMESPACE, "registrar-journal"].map(str::to_owned)])
}

#[tokio::test(flavor = "multi_thread")]
async fn upgrade_rollback_sync_and_uninstall_lose_no_id_and_no_journal() {
    let ground = Ground::new().await;
    let cluster = &ground.cluster;
    let url = format!("publicUrl={URL}");
    installed(cluster, "install", &["--set", &url]);
    let plain = ground.serve().await;
    shows_the_offer(&plain).await;

    let events = ["--set", &url, "--set", "events=true"];
    while_served(&plain, cluster, args("upgrade", &events)).await;
    may_exactly(cluster, "registrar", "events").await;
    let anchors = ground.file("anchors.json", &ground.anchoring(false, &json!({})));
    let anchors = ["--values", &anchors];
    while_served(&plain, cluster, args("upgrade", &anchors)).await;
    may_exactly(cluster, "registrar", "anchoring").await;
    let values = ground.anchoring(false, &json!({ "writeIdentity": true }));
    let writes = ground.file("writes.json", &values);
    let writes = ["--values", &writes];
    // Revision 4.
    while_served(&plain, cluster, args("upgrade", &writes)).await;
    may_exactly(cluster, "registrar", "identity").await;
    drop(plain);

    let leader = ground.serve().await;
    ground.shows_the_id(&leader).await;
    eventually("the id is in the AgentIdentity", async || {
        let identity = read(cluster, "obol.org/v1alpha1", "AgentIdentity", "x402", "default").await;
        identity["status"]["registrations"][0]["agentId"] == "0"
    })
    .await;
    let theirs = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {
            "namespace": NAMESPACE, "name": "registrar-journal",
            "annotations": { "example.com/note": "theirs" },
        },
    });
    let (api, name) = cluster.api_of(&theirs).await;
    let params = PatchParams::apply("somebody");
    api.patch(&name, &params, &Patch::Apply(&theirs)).await.unwrap();

    let minted = ground.minted().await;
    assert_eq!(minted.as_object().unwrap().len(), 1, "{minted}");
    let stays = async |step: &str| {
        assert_eq!(ground.minted().await, minted, "{step}");
        let note = &ground.journal().await["metadata"]["annotations"]["example.com/note"];
        assert_eq!(note, "theirs", "{step}");
        assert_eq!(id(&leader).await, 0, "{step}");
    };
    let rollback = |revision: &str| ["rollback", "registrar", revision].map(str::to_owned).to_vec();
    let next = [&writes[..], &["--set", "image.tag=next", "--set", "enforceDrains=true"]].concat();
    let steps = [
        ("upgrade", args("upgrade", &next)),
        ("rollback", rollback("4")),
        ("sync", args("upgrade", &writes)),
        ("forced sync", args("upgrade", &[&writes[..], &["--force-conflicts"]].concat())),
        (
            "sync as Helm 3 does it",
            args("upgrade", &[&writes[..], &["--server-side=false"]].concat()),
        ),
        ("rollback to before anchoring", rollback("1")),
        ("rollback to anchoring", rollback("4")),
        ("off", args("upgrade", &["--set", &url])),
        ("on", args("upgrade", &writes)),
    ];
    for (step, args) in steps {
        while_served(&leader, cluster, args).await;
        stays(step).await;
    }
    // A controller that renders the chart and applies what it gets does no harm either.
    for object in rendered(&values) {
        cluster.apply(&object).await;
    }
    stays("a controller's sync").await;
    may_exactly(cluster, "registrar", "identity").await;
    assert_eq!(ground.mints().await, 1);

    drop(leader);
    helm(cluster, &["uninstall", "registrar"]);
    eventually("only the journal is left", async || remains(cluster).await == the_journal()).await;
    assert_eq!(ground.minted().await, minted);
    installed(cluster, "install", &anchors);
    let again = ground.serve().await;
    shows_the_offer(&again).await;
    assert_eq!(id(&again).await, 0, "the first document has the id of the journal that was kept");
    ground.stage.node.mine(5).await;
    assert_eq!(ground.mints().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_of_their_own_take_over_anchoring_with_its_journal() {
    let ground = Ground::new().await;
    let cluster = &ground.cluster;
    let values = ground.file("apart.json", &ground.anchoring(true, &json!({})));
    installed(cluster, "install", &["--values", &values]);
    may_exactly(cluster, "registrar", "journal").await;
    may_exactly(cluster, "registrar-anchor", "anchor").await;
    // The pods that serve have no Secret.
    let serving = read(cluster, "apps/v1", "Deployment", NAMESPACE, "registrar").await;
    assert!(serving["spec"]["template"]["spec"]["volumes"].is_null(), "{serving}");

    let server = ground.serve().await;
    shows_the_offer(&server).await;
    assert!(id(&server).await.is_null());
    let anchor = process(cluster, "registrar-anchor", ground.secret.path()).await;
    let mut anchor = tokio::process::Command::from(anchor);
    anchor.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let anchor = anchor.spawn().unwrap();
    ground.shows_the_id(&server).await;
    eventually("the mint is in the journal", async || {
        ground.minted().await.as_object().is_some_and(|minted| minted.len() == 1)
    })
    .await;
    let minted = ground.minted().await;
    let lease =
        read(cluster, "coordination.k8s.io/v1", "Lease", NAMESPACE, "registrar-anchor").await;
    assert!(!text(&lease["spec"], "holderIdentity").is_empty(), "{lease}");
    drop(anchor);

    // To the pods that serve, and away from the release: the journal goes along.
    let serving = ground.file("serving.json", &ground.anchoring(false, &json!({})));
    while_served(&server, cluster, args("upgrade", &["--values", &serving])).await;
    let leader = ground.serve().await;
    shows_the_offer(&leader).await;
    assert_eq!(id(&leader).await, 0);
    ground.stage.node.mine(5).await;
    assert_eq!(ground.minted().await, minted);
    helm(cluster, &["uninstall", "registrar"]);
    eventually("only the journal is left", async || remains(cluster).await == the_journal()).await;
    assert_eq!((ground.minted().await, ground.mints().await), (minted, 1));
}
