//! A release of the chart in a real API server. No pods run there, so the tests start the binary with
//! the arguments, the variables and the account of a Deployment.

use std::{collections::BTreeSet, fs, path::Path, process::Command, sync::Arc};

use kube::{Client, api::ListParams};
use serde_json::{Value, json};

use super::{
    chart::{CHART, NAMESPACE, URL, identity},
    tools::{file, printed, tool},
};
use crate::{
    cluster::{Cluster, client, deploy::kubeconfig_of, resource, sold},
    support::{
        process::{Server, command, eventually, text},
        resource::Resource,
    },
};

/// Runs helm on a cluster.
pub(super) fn helm(cluster: &Cluster, args: &[&str]) -> String {
    let home = tempfile::tempdir().unwrap();
    let mut helm = tool("helm");
    for folder in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
        helm.env(folder, home.path());
    }
    helm.env("KUBECONFIG", cluster.kubeconfig("admin"));
    printed(helm.args(args).args(["--namespace", NAMESPACE]))
}

/// Installs the chart, or upgrades it to other values.
pub(super) fn installed(cluster: &Cluster, verb: &str, values: &[&str]) -> String {
    let chart = file(CHART);
    let base = [verb, "registrar", chart.to_str().unwrap()];
    let own: &[&str] =
        if verb == "install" { &["--create-namespace"] } else { &["--reset-values"] };
    helm(cluster, &[&base, own, values].concat())
}

/// One object; null if there is none.
pub(super) async fn read(
    cluster: &Cluster,
    version: &str,
    kind: &str,
    namespace: &str,
    name: &str,
) -> Value {
    let object = json!({
        "apiVersion": version, "kind": kind,
        "metadata": { "namespace": namespace, "name": name },
    });
    let (api, name) = cluster.api_of(&object).await;
    let found = api.get_opt(&name).await.unwrap();
    found.map_or(Value::Null, |object| serde_json::to_value(object).unwrap())
}

/// What a Deployment runs, with its account, on free ports. Of a mounted Secret, the files are in a
/// folder here.
pub(super) async fn process(cluster: &Cluster, name: &str, secret: &Path) -> Command {
    let kubeconfig = kubeconfig_of(cluster, name).await;
    let deployment = read(cluster, "apps/v1", "Deployment", NAMESPACE, name).await;
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let args =
        container["args"].as_array().unwrap().iter().map(|arg| match arg.as_str().unwrap() {
            "[::]:8004" | "[::]:9004" => "127.0.0.1:0",
            arg => arg,
        });
    let args: Vec<&str> = args.collect();
    let own = ["--kubeconfig", kubeconfig.to_str().unwrap()];
    let mut process = command(&[&args[..], &own].concat());
    if args[0] == "serve" {
        process.args(["--shutdown-delay", "0"]);
    }
    for variable in container["env"].as_array().into_iter().flatten() {
        let value = text(variable, "value");
        let value = value.replace("/etc/registrar/", &format!("{}/", secret.display()));
        process.env(text(variable, "name"), value);
    }
    process
}

/// `serve` as the Deployment runs it, without a Secret.
pub(super) async fn pod(cluster: &Cluster) -> Server {
    Server::launch(process(cluster, "registrar", Path::new("/nothing")).await).await
}

/// The offer that is sold in these tests.
pub(super) async fn sell(cluster: &Cluster) -> Resource {
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

pub(super) async fn shows_the_offer(server: &Server) {
    let expected = format!("{URL}/services/chat");
    eventually("the offer is published", async || server.endpoints().await == [expected.clone()])
        .await;
}

/// Everything that helm has made for the release and that still exists.
pub(super) async fn remains(cluster: &Cluster) -> BTreeSet<[String; 4]> {
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

/// Compares the rights of an account with a list in `tests/it/packages/rights`.
pub(super) async fn may_exactly(cluster: &Cluster, account: &str, list: &str) {
    let account = client(&kubeconfig_of(cluster, account).await).await;
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

/// Runs helm while a server serves, which shows the offer throughout.
pub(super) async fn while_served(server: &Server, cluster: &Arc<Cluster>, args: Vec<String>) {
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

/// The arguments of helm that bring a release to these values.
pub(super) fn args(verb: &str, values: &[&str]) -> Vec<String> {
    let chart = file(CHART).to_str().unwrap().to_owned();
    let base = [verb, "registrar", &chart, "--reset-values"];
    base.iter().chain(values).map(|arg| (*arg).to_owned()).collect()
}
