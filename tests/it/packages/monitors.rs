//! What the chart makes for Prometheus Operator, checked by an API server with its definitions.

use serde_json::{Value, json};

use super::{
    chart::{NAMESPACE, URL, rendered},
    tools::file,
};
use crate::{
    cluster::{Cluster, deploy::definition},
    support::process::{eventually, text, yaml},
};

const OPERATOR: &str = "github.com/prometheus-operator/prometheus-operator@v0.94.1";

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_operator_takes_the_monitors_and_the_alerts_as_they_are() {
    let cluster = Cluster::start("");
    cluster.ensure_namespace(NAMESPACE).await;
    for plural in ["podmonitors", "servicemonitors", "prometheusrules"] {
        let path = format!("example/prometheus-operator-crd/monitoring.coreos.com_{plural}.yaml");
        cluster.apply(&definition(OPERATOR, &path)).await;
    }
    let mut applied = Vec::new();
    for kind in ["PodMonitor", "ServiceMonitor"] {
        let values = json!({
            "publicUrl": URL, "alerts": { "enabled": true },
            "monitor": { "enabled": true, "kind": kind },
        });
        let ours = |object: &Value| text(object, "apiVersion") == "monitoring.coreos.com/v1";
        for object in rendered(&values).into_iter().filter(ours) {
            let (api, name) = cluster.api_of(&object).await;
            eventually("the kind is served", async || api.list(&Default::default()).await.is_ok())
                .await;
            // Strictly: a field that the definition does not know is refused.
            cluster.apply(&object).await;
            let stored = serde_json::to_value(api.get(&name).await.unwrap()).unwrap();
            applied.push((text(&object, "kind").to_owned(), stored["spec"].clone()));
        }
    }
    let spec = |kind: &str| &applied.iter().find(|(it, _)| it == kind).unwrap().1;
    assert_eq!(spec("PodMonitor")["podMetricsEndpoints"][0]["port"], "admin");
    assert_eq!(spec("ServiceMonitor")["endpoints"][0]["path"], "/metrics");
    let rules = std::fs::read_to_string(file("deploy/alerts/registrar.yaml")).unwrap();
    assert_eq!(spec("PrometheusRule"), &yaml(&rules)[0]);
}
