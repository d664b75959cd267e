//! `/docs` describes what the contract describes, and to people only.

use std::collections::BTreeSet;

use crate::{
    http::tests::{contract::Contract, site::Site},
    testing::NOON,
};

const PEOPLE: (&str, &str) = ("accept", "text/html");

#[tokio::test(start_paused = true)]
async fn every_operation_of_the_contract_is_described_and_the_public_ones_can_be_tried() {
    let site = Site::empty(NOON);
    let answer = site.get_with("/docs", &[PEOPLE]).await;
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    let page = answer.text();
    let contract = Contract::read();
    let (mut public, mut ids) = (0, BTreeSet::new());
    for (path, item) in contract.0["paths"].as_object().unwrap() {
        let operation = item.get("get").or(item.get("post")).unwrap();
        let id = operation["operationId"].as_str().unwrap();
        assert!(page.contains(&format!("<article id=\"{id}\">")), "{path}");
        assert!(ids.insert(id.to_owned()), "{id}");
        public += usize::from(item.get("servers").is_none());
    }
    assert_eq!(page.matches("<form data-path=").count(), public);
    assert_eq!(page.matches("<article ").count(), ids.len());
    for never in ["$ref", "<script>", " style=", "https://cdn", "**", "[object"] {
        assert!(!page.contains(never), "{never}");
    }
    for file in ["/docs/docs.css", "/docs/docs.js"] {
        assert_eq!(site.get(file).await.status, 200, "{file}");
    }
}

#[tokio::test(start_paused = true)]
async fn programs_get_the_contract_itself() {
    let site = Site::empty(NOON);
    for accept in ["*/*", "application/json", "application/json, text/html;q=0.5"] {
        let answer = site.get_with("/docs", &[("accept", accept)]).await;
        assert_eq!(answer.header("content-type"), "application/json", "{accept}");
        assert_eq!(answer.body, site.get("/openapi.json").await.body, "{accept}");
        assert_eq!(answer.header("vary"), "Accept, Accept-Encoding", "{accept}");
    }
}
