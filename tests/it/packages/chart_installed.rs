//! The Helm chart, installed by helm into a real API server. No pods run there, so the tests start the
//! binary with the arguments and the account of the Deployment.

use std::{collections::BTreeSet, fs, sync::Arc};

use kube::{Client, api::ListParams};
use serde_json::{Value, json};

use super::{
    chart::{CHART, NAMESPACE, URL, identity},
    tools::{file, printed, tool},
};
use crate::{
    cluster::{
        Cluster, client,
        deploy::{account_kubeconfig, gateway_crd},
        resource, sold,
    },
    support::{
        process::{Server, command, eventually, registrar, text},
        resource::Resource,
    },
};

/// Runs helm on a cluster.
fn helm(cluster: &Cluster, args: &[&str]) -> String {
    let home = tempfile::tempdir().unwrap();
    let mut helm = tool("helm");
    for folder in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
        helm.env(folder, home.path());
    }
    helm.env("KUBECONFIG", cluster.kubeconfig("admin"));
    printed(helm.args(args).args(["--namespace", NAMESPACE]))
}

/// Installs the chart, or upgrades it to other values.
fn installed(cluster: &Cluster, verb: &str, values: &[&str]) -> String {
    let chart = file(CHART);
    let base = [verb, "registrar", chart.to_str().unwrap()];
    let own: &[&str] =
        if verb == "install" { &["--create-namespace"] } else { &["--reset-values"] };
    helm(cluster, &[&base, own, values].concat())
}

/// One object; null if there is none.
async fn read(cluster: &Cluster, version: &str, kind: &str, namespace: &str, name: &str) -> Value {
    let object = json!({
        "apiVersion": version, "kind": kind,
        "metadata": { "namespace": namespace, "name": name },
    });
    let (api, name) = cluster.api_of(&object).await;
    let found = api.get_opt(&name).await.unwrap();
    found.map_or(Value::Null, |object| serde_json::to_value(object).unwrap())
}

/// `serve` as the Deployment runs it, with its account, on free ports.
async fn pod(cluster: &Cluster) -> Server {
    let kubeconfig = account_kubeconfig(cluster).await;
    let deployment = read(cluster, "apps/v1", "Deployment", NAMESPACE, "registrar").await;
    let args = &deployment["spec"]["template"]["spec"]["containers"][0]["args"];
    let args: Vec<&str> =
        args.as_array().unwrap().iter().map(|arg| arg.as_str().unwrap()).collect();
    let at_home = args.iter().map(|arg| match *arg {
        "[::]:8004" | "[::]:9004" => "127.0.0.1:0",
        arg => arg,
    });
    let own = ["--shutdown-delay", "0", "--kubeconfig", kubeconfig.to_str().unwrap()];
    Server::launch(command(&at_home.chain(own).collect::<Vec<_>>())).await
}

/// The offer that is sold in these tests.
async fn sell(cluster: &Cluster) -> Resource {
    cluster.ensure_namespace("llm").await;
    let chat = sold("llm/chat");
    eventually("offers are served", async || {
        let (api, _) = cluster.api_of(&chat.0).await;
        api.list(&ListParams::default()).await.is_ok()
    })
    .await;
    cluster.create(&chat).await;
    chat
}

async fn shows_the_offer(server: &Server) {
    let expected = format!("{URL}/services/chat");
    eventually("the offer is published", async || server.endpoints().await == [expected.clone()])
        .await;
}

/// Everything that helm has made for the release and that still exists.
async fn remains(cluster: &Cluster) -> BTreeSet<[String; 4]> {
    const KINDS: [(&str, &str, &str); 13] = [
        ("", "v1", "ServiceAccount"),
        ("", "v1", "Service"),
        ("", "v1", "ConfigMap"),
        ("", "v1", "Secret"),
        ("apps", "v1", "Deployment"),
        ("policy", "v1", "PodDisruptionBudget"),
        ("coordination.k8s.io", "v1", "Lease"),
        ("networking.k8s.io", "v1", "NetworkPolicy"),
        ("networking.k8s.io", "v1", "Ingress"),
        ("rbac.authorization.k8s.io", "v1", "Role"),
        ("rbac.authorization.k8s.io", "v1", "RoleBinding"),
        ("rbac.authorization.k8s.io", "v1", "ClusterRole"),
        ("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding"),
    ];
    let admin = cluster.client().await;
    let mut found = BTreeSet::new();
    for (group, version, kind) in KINDS {
        let api: kube::Api<kube::api::DynamicObject> =
            kube::Api::all_with(admin.clone(), &resource(group, version, kind));
        for object in api.list(&ListParams::default()).await.unwrap() {
            let mut object = serde_json::to_value(object).unwrap();
            object["apiVersion"] = json!(if group.is_empty() {
                "v1".to_owned()
            } else {
                format!("{group}/{version}")
            });
            object["kind"] = json!(kind);
            let is_ours = object["metadata"]["labels"]["app.kubernetes.io/instance"] == "registrar"
                || object["metadata"]["labels"]["owner"] == "helm";
            found.extend(is_ours.then(|| identity(&object)));
        }
    }
    found
}

/// What an account may do in the namespaces that matter, as `kubectl auth can-i --list` prints it,
/// without what every account may.
async fn rights(account: &Client) -> String {
    let kind = resource("authorization.k8s.io", "v1", "SelfSubjectRulesReview");
    let api: kube::Api<kube::api::DynamicObject> = kube::Api::all_with(account.clone(), &kind);
    let mut lines = String::new();
    for namespace in [NAMESPACE, "llm", "obol-frontend", "x402"] {
        let asked = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview",
            "metadata": { "name": "" }, "spec": { "namespace": namespace },
        });
        let asked = serde_json::from_value(asked).unwrap();
        let answer = api.create(&Default::default(), &asked).await.unwrap();
        let mut own = BTreeSet::new();
        for rule in answer.data["status"]["resourceRules"].as_array().unwrap() {
            let words = |key: &str| -> Vec<String> {
                let all = rule[key].as_array().into_iter().flatten();
                all.map(|word| word.as_str().unwrap().to_owned()).collect()
            };
            let of_everybody =
                ["authorization.k8s.io", "authentication.k8s.io", "certificates.k8s.io"];
            if words("apiGroups").iter().any(|group| of_everybody.contains(&group.as_str())) {
                continue;
            }
            let mut line = format!(
                "{} {}.{}",
                words("verbs").join(","),
                words("resources").join(","),
                words("apiGroups").join(",")
            );
            if rule["resourceNames"].is_array() {
                line += &format!(" {}", words("resourceNames").join(","));
            }
            own.insert(line);
        }
        lines += &format!("in {namespace}\n");
        lines.extend(own.iter().map(|line| format!("  {line}\n")));
    }
    lines
}

/// Compares the rights of the account with a list in `tests/it/packages/rights`.
async fn may_exactly(cluster: &Cluster, list: &str) {
    let account = client(&account_kubeconfig(cluster).await).await;
    let path = file("tests/it/packages/rights").join(format!("{list}.txt"));
    let expected = fs::read_to_string(&path).unwrap();
    // The authorizer hears of a change a moment later; a list that is written waits for that too.
    let updates = std::env::var_os("UPDATE_GOLDEN").is_some();
    let (mut last, mut looks) = (String::new(), 0);
    eventually(&format!("the rights are those of {list}"), async || {
        last = rights(&account).await;
        looks += 1;
        last == expected || (updates && looks > 200)
    })
    .await;
    if last != expected {
        fs::write(path, last).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_command_installs_on_a_bare_cluster_and_uninstalling_keeps_the_offers() {
    let cluster = Cluster::start("");
    let bare = file(CHART).join("values-bare.yaml");
    let url = format!("publicUrl={URL}");
    let values = ["--values", bare.to_str().unwrap(), "--set", &url];
    let notes = installed(&cluster, "install", &values);
    assert!(notes.contains("port-forward service/registrar 8004"), "{notes}");

    let chat = sell(&cluster).await;
    let server = pod(&cluster).await;
    shows_the_offer(&server).await;

    let admin = cluster.kubeconfig("admin");
    let drained =
        registrar(&["drain", "llm/chat", "--force", "--kubeconfig", admin.to_str().unwrap()]);
    assert_eq!(drained.code, Some(0), "{}", drained.stderr);
    eventually("the document is a tombstone", async || server.document().await["active"] == false)
        .await;
    drop(server);

    helm(&cluster, &["uninstall", "registrar"]);
    eventually("nothing of the release is left", async || remains(&cluster).await.is_empty()).await;
    let offer = read(&cluster, "obol.org/v1alpha1", "ServiceOffer", "llm", "chat").await;
    assert_eq!(
        text(&offer["metadata"], "name"),
        "chat",
        "the kinds are kept, and the offers: {chat:?}"
    );
    installed(&cluster, "install", &values);
}

/// Runs helm while a server serves, which shows the offer throughout.
async fn while_served(server: &Server, cluster: &Arc<Cluster>, args: Vec<String>) {
    let cluster = Arc::clone(cluster);
    let run = move || helm(&cluster, &args.iter().map(String::as_str).collect::<Vec<_>>());
    let mut running = tokio::task::spawn_blocking(run);
    let expected = [format!("{URL}/services/chat")];
    loop {
        tokio::select! {
            done = &mut running => { done.unwrap(); return; }
            endpoints = server.endpoints() => assert_eq!(endpoints, expected),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_the_original_stack_upgrade_rollback_and_sync_blank_nothing_and_uninstall_leaves_nothing()
 {
    let cluster = Arc::new(Cluster::start(""));
    cluster.install_crds().await;
    for plural in ["httproutes", "referencegrants"] {
        cluster.apply(&gateway_crd(plural)).await;
    }
    for namespace in ["x402", "obol-frontend"] {
        cluster.ensure_namespace(namespace).await;
    }
    sell(&cluster).await;
    let url = format!("publicUrl={URL}");
    let route = "httpRoute.enabled=true,httpRoute.hostnames={agents.example}";
    eventually("routes are served", async || {
        let api = cluster.api_of(&json!({ "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": { "name": "a" } })).await.0;
        api.list(&ListParams::default()).await.is_ok()
    })
    .await;
    installed(&cluster, "install", &["--set", &url, "--set", route]);
    may_exactly(&cluster, "serve").await;
    let server = pod(&cluster).await;
    shows_the_offer(&server).await;

    // The replicas hold a Lease, and somebody else has marked an object.
    let args = |verb: &str, values: &[&str]| -> Vec<String> {
        let chart = file(CHART).to_str().unwrap().to_owned();
        let base = [verb, "registrar", &chart, "--reset-values"];
        base.iter().chain(values).map(|arg| (*arg).to_owned()).collect()
    };
    let enforcing = ["--set", &url, "--set", route, "--set", "enforceDrains=true"];
    while_served(&server, &cluster, args("upgrade", &enforcing)).await;
    may_exactly(&cluster, "enforcement").await;
    let leader = pod(&cluster).await;
    let holder = async || {
        let lease = read(&cluster, "coordination.k8s.io/v1", "Lease", NAMESPACE, "registrar").await;
        text(&lease["spec"], "holderIdentity").to_owned()
    };
    eventually("the Lease that the chart made is taken", async || !holder().await.is_empty()).await;
    let held = holder().await;
    let service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": "registrar", "namespace": NAMESPACE, "annotations": { "example.com/note": "theirs" } },
    });
    let (api, name) = cluster.api_of(&service).await;
    let params = kube::api::PatchParams::apply("somebody");
    api.patch(&name, &params, &kube::api::Patch::Apply(&service)).await.unwrap();

    let changed = [
        "--set",
        "image.tag=next",
        "--set",
        "ingress.enabled=true,ingress.hostnames={agents.example}",
        "--set",
        "profile.name=North Harbour",
    ];
    let steps = [
        ("upgrade", args("upgrade", &[&enforcing[..], &changed].concat())),
        ("rollback", ["rollback", "registrar", "2"].map(str::to_owned).to_vec()),
        ("sync", args("upgrade", &enforcing)),
        ("forced sync", args("upgrade", &[&enforcing[..], &["--force-conflicts"]].concat())),
    ];
    for (step, args) in steps {
        while_served(&server, &cluster, args).await;
        assert_eq!(holder().await, held, "{step}");
        let service = read(&cluster, "v1", "Service", NAMESPACE, "registrar").await;
        assert_eq!(service["metadata"]["annotations"]["example.com/note"], "theirs", "{step}");
        shows_the_offer(&leader).await;
    }
    // A controller that renders the chart and applies what it gets does no harm either.
    let values = json!({
        "publicUrl": URL, "enforceDrains": true,
        "httpRoute": { "enabled": true, "hostnames": ["agents.example"] },
    });
    for object in super::chart::rendered(&values) {
        cluster.apply(&object).await;
        shows_the_offer(&server).await;
    }
    assert_eq!(holder().await, held);
    may_exactly(&cluster, "enforcement").await;

    // Without a URL of its own, it reads the tunnel's. Helm takes the fields back from that controller.
    while_served(&server, &cluster, args("upgrade", &["--set", route, "--force-conflicts"])).await;
    may_exactly(&cluster, "tunnel").await;
    drop((server, leader));
    helm(&cluster, &["uninstall", "registrar"]);
    eventually("nothing of the release is left", async || remains(&cluster).await.is_empty()).await;
    let route =
        read(&cluster, "gateway.networking.k8s.io/v1", "HTTPRoute", NAMESPACE, "registrar").await;
    assert!(route.is_null(), "{route}");
}
