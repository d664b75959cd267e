//! Settings of all verbs that read offers: grants, sizes, and registries outside the table.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::support::{
    process::{Server, eventually, registrar, text},
    resource::{Resource, offer},
};

const URL: &str = "https://seller.example";
const REGISTRY: &str = "777777=0x1111111111111111111111111111111111111111";

fn write(dir: &Path, offers: &[Resource]) -> String {
    let path = dir.join("offers");
    fs::create_dir_all(&path).unwrap();
    for (at, offer) in offers.iter().enumerate() {
        fs::write(path.join(format!("{at}.json")), offer.0.to_string()).unwrap();
    }
    path.to_str().unwrap().to_owned()
}

fn explained(args: &[&str]) -> Vec<Value> {
    let printed = registrar(&[&["explain", "--json"], args].concat());
    assert_eq!(printed.code, Some(0), "{}", printed.stderr);
    serde_json::from_str(&printed.stdout).unwrap()
}

#[tokio::test]
async fn grants_apply_in_every_verb_and_a_bad_file_stops_each_with_the_name_of_the_flag() {
    let dir = tempfile::tempdir().unwrap();
    let thief = offer("evil/shop").host("shop.example").created("2025-01-01T00:00:00Z");
    let owner = offer("shop/shop").host("shop.example").path("/shop");
    let offers = write(dir.path(), &[thief, owner]);
    let grants = dir.path().join("grants.yaml");
    fs::write(&grants, "shop:\n  hosts: ['*.shop.example', shop.example]\n  paths: [/shop]\n")
        .unwrap();
    let grants = grants.to_str().unwrap();
    let files = ["--offers", &offers, "--public-url", URL];
    let limited = [&files[..], &["--grants", grants]].concat();
    let reasons = |args: &[&str]| {
        let explained = explained(args);
        explained.iter().map(|offer| text(offer, "reason").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(reasons(&files), ["Published", "HostConflict"]);
    assert_eq!(reasons(&limited), ["NotGranted", "Published"]);
    let render = |agent: &str| registrar(&[&["render", "--agent", agent], &limited[..]].concat());
    assert!(render("default").stdout.contains("https://seller.example/shop"));
    assert!(render("offer:evil/shop").stderr.starts_with("registrar: NotGranted: "));
    let server = Server::start(&limited).await;
    eventually("it serves", async || server.endpoints().await == [format!("{URL}/shop")]).await;

    let rows = [
        ("- shop", "must be a map"),
        ("shop: {hosts: [x.example], pats: [/]}", "unknown field `pats`"),
        ("shop: {hosts: [nodot]}", "nodot"),
        ("shop: {paths: ['shop']}", "shop: "),
        ("shop: {}\n---\nshop: {}", "exactly one YAML document"),
        ("shop: [", "line 2"),
    ];
    for (content, expected) in rows {
        fs::write(grants, content).unwrap();
        for verb in ["serve", "render", "explain"] {
            let printed = registrar(&[&[verb], &limited[..]].concat());
            assert_eq!(printed.code, Some(2), "{verb} {content}");
            for part in ["--grants", expected] {
                assert!(printed.stderr.contains(part), "{verb} {content}: {}", printed.stderr);
            }
        }
    }
    let missing = registrar(&[&["explain"], &files[..], &["--grants", "/nonexistent"]].concat());
    assert!(missing.code == Some(2) && missing.stderr.contains("--grants"), "{}", missing.stderr);
}

#[test]
fn a_large_offer_leaves_a_full_document_before_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let large = (0..20).fold(offer("a/large").created("2025-01-01T00:00:00Z"), |offer, at| {
        offer.service("A2A", &format!("https://a.example/{at}"))
    });
    let offers = write(dir.path(), &[large, offer("b/small")]);
    let reasons = |more: &[&str]| {
        let args = [&["--offers", &offers, "--public-url", URL], more].concat();
        explained(&args).iter().map(|offer| text(offer, "reason").to_owned()).collect::<Vec<_>>()
    };
    let full = ["--max-document-bytes", "1000"];
    assert_eq!(reasons(&["--max-offer-bytes", "1"]), ["Published", "Published"]);
    assert_eq!(reasons(&full), ["Published", "DocumentFull"]);
    let limited = [&full[..], &["--max-offer-bytes", "500"]].concat();
    assert_eq!(reasons(&limited), ["OfferTooLarge", "Published"]);
}

#[test]
fn a_registry_outside_the_table_may_be_named_without_anchoring() {
    let dir = tempfile::tempdir().unwrap();
    let identity = Resource(json!({
        "apiVersion": "obol.org/v1alpha1", "kind": "AgentIdentity",
        "metadata": { "namespace": "x402", "name": "default" },
        "status": { "registrations": [{ "chain": "eip155:777777", "agentId": "7" }] },
    }));
    let offers = write(dir.path(), &[offer("llm/chat"), identity]);
    let render = |more: &[&str]| {
        registrar(&[&["render", "--offers", &offers, "--public-url", URL], more].concat())
    };
    let unknown = render(&[]);
    assert!(!unknown.stdout.contains("registrations"), "{}", unknown.stdout);
    assert!(unknown.stderr.contains("UnknownChain"), "{}", unknown.stderr);
    let known = render(&["--registry", REGISTRY]);
    let document: Value = serde_json::from_str(&known.stdout).unwrap();
    let expected = json!([{
        "agentId": 7, "agentRegistry": "eip155:777777:0x1111111111111111111111111111111111111111",
    }]);
    assert_eq!((&document["registrations"], known.stderr.as_str()), (&expected, ""));
    let explained =
        registrar(&["explain", "--offers", &offers, "--public-url", URL, "--registry", REGISTRY]);
    assert_eq!((explained.code, explained.stderr.as_str()), (Some(0), ""));
}
