//! The page at `/`.

use std::{fs, path::Path};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::chromium::{Chromium, is_sound, opened};
use crate::{
    docs::examples::example_server,
    support::{
        process::{Server, eventually, http},
        resource::{Resource, offer},
    },
};

const URL: &str = "https://seller.example";

fn write(dir: &Path, resources: &[Resource]) {
    let list: Vec<_> = resources.iter().map(|resource| &resource.0).collect();
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": list });
    fs::write(dir.join("offers.json"), list.to_string()).unwrap();
}

async fn serve(resources: &[Resource]) -> (TempDir, Server) {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), resources);
    let server =
        Server::start(&["--offers", dir.path().to_str().unwrap(), "--public-url", URL]).await;
    eventually("it is ready", async || server.admin("/readyz").await.status() == 200).await;
    (dir, server)
}

/// The page light and dark, wide and on a phone, and as it is printed.
fn views(url: &str, name: &str) -> Vec<Value> {
    let views = [
        ("light", 1280, false),
        ("dark", 1280, false),
        ("light", 360, false),
        ("light", 800, true),
    ];
    let job = |(scheme, width, print): (&str, u32, bool)| {
        let mut job = json!({ "url": url, "scheme": scheme, "width": width, "print": print });
        // People look at the pictures.
        if let Some(folder) = std::env::var_os("REGISTRAR_SHOTS") {
            let kind = if print { "print" } else { scheme };
            let file = Path::new(&folder).join(format!("{name}-{kind}-{width}.png"));
            job["shot"] = json!(file);
        }
        job
    };
    views.into_iter().map(job).collect()
}

fn many(count: usize) -> Vec<Resource> {
    let resource = |number: usize| {
        let named = offer(&format!("llm/model-{number:03}"))
            .set("/spec/registration/name", format!("North Harbour model {number}"))
            .set(
                "/spec/registration/description",
                "Answers questions about harbours and their ships.",
            );
        match number % 9 {
            0 => named.draining("2126-05-24T12:00:00Z", "90m"),
            5 => named.host(&format!("model-{number}.example")),
            _ => named,
        }
    };
    (0..count).map(resource).collect()
}

/// A server whose source cannot be read any more, so that its page says after a while that it may be out
/// of date.
async fn stale() -> (TempDir, Server) {
    let (dir, server) = serve(&many(3)).await;
    fs::write(dir.path().join("offers.json"), "{").unwrap();
    (dir, server)
}

#[tokio::test]
async fn the_page_is_sound_in_every_view_whatever_is_published() {
    let (_stale, stale) = stale().await;
    let examples = example_server().await;
    let (_none, empty) = serve(&[]).await;
    let (_many, full) = serve(&many(500)).await;
    let mut jobs = views(&examples.public, "examples");
    jobs.extend(views(&empty.public, "empty"));
    jobs.extend(views(&full.public, "many"));
    let found = opened(&jobs).await;
    let text = |at: usize| found[at]["text"].as_str().unwrap();
    assert!(text(0).contains("Draining") && text(0).contains("left"), "{}", text(0));
    assert!(text(0).contains("#2087 on base") || text(0).contains("North Harbour"), "{}", text(0));
    assert!(text(4).contains("Nothing is for sale at the moment."), "{}", text(4));
    assert!(text(8).contains("Next page"), "{}", text(8));
    let is_stale = async || {
        let page = http().get(&stale.public).header("accept", "text/html").send().await.unwrap();
        page.text().await.unwrap().contains("This may be out of date.")
    };
    eventually("the page says that it may be out of date", is_stale).await;
    let found = opened(&views(&stale.public, "stale")).await;
    for page in &found {
        let text = page["text"].as_str().unwrap();
        assert!(
            text.contains("The source was last confirmed") && text.contains("model 0"),
            "{text}"
        );
        assert!(text.contains("Drains still end on time."), "{text}");
    }
}

#[tokio::test]
async fn hostile_text_in_every_field_runs_nothing() {
    let attacks = [
        "<script>window.hacked=1</script>",
        "\"><img src=x onerror=window.hacked=1>",
        "' autofocus onfocus=window.hacked=1 x='",
        "</title></h3></main><svg onload=window.hacked=1>",
        "javascript:window.hacked=1",
        "<!--\u{202e}--!><iframe srcdoc='<script>top.hacked=1</script>'>",
    ];
    let hostile = |(number, attack): (usize, &&str)| {
        offer(&format!("demo/offer-{number}"))
            .set("/metadata/labels", json!({ "label": attack }))
            .set("/spec/model", json!({ "name": attack, "runtime": attack }))
            .set("/spec/provenance", json!({ *attack: attack }))
            .set("/spec/registration/name", *attack)
            .set("/spec/registration/description", *attack)
            .set("/spec/registration/image", *attack)
            .set("/spec/registration/skills", json!([attack]))
            .set("/spec/registration/domains", json!([attack]))
            .set("/spec/registration/supportedTrust", json!([attack]))
            .set("/spec/registration/metadata", json!({ *attack: attack }))
            .service(attack, attack)
            .service("MCP", &format!("https://mcp.example/{attack}"))
            .host(&format!("host-{number}.example"))
    };
    let mut resources: Vec<_> = attacks.iter().enumerate().map(hostile).collect();
    // Names and paths that a file can hold although a cluster would refuse them.
    resources.extend(attacks.map(|attack| offer(&format!("demo/{}", attack.replace('/', "|")))));
    resources.extend(attacks.map(|attack| offer("demo/path").path(&format!("/{attack}"))));
    let (_dir, server) = serve(&resources).await;
    let mut jobs = views(&server.public, "hostile");
    for attack in attacks {
        let query: String = url::form_urlencoded::byte_serialize(attack.as_bytes()).collect();
        jobs.push(json!({ "url": format!("{}/?q={query}", server.public) }));
    }
    let found = opened(&jobs).await;
    let text = found[0]["text"].as_str().unwrap();
    assert!(text.contains("<script>window.hacked=1</script>"), "it is shown as text: {text}");
}

#[tokio::test]
async fn a_drain_appears_without_loading_the_page_again() {
    let (dir, server) = serve(&[offer("demo/chat"), offer("demo/audit")]).await;
    let job = json!({ "url": server.public, "act": ["wait", "Draining until"] });
    let mut chromium = Chromium::open(std::slice::from_ref(&job));
    assert_eq!(chromium.next().await, json!({ "open": true }));
    write(
        dir.path(),
        &[offer("demo/chat").draining("2126-05-24T12:00:00Z", "1h"), offer("demo/audit")],
    );
    let page = chromium.next().await;
    is_sound(&page, &job);
    let text = page["text"].as_str().unwrap();
    assert!(text.contains("2126-05-24 13:00:00 UTC"), "{text}");
}

#[tokio::test]
async fn the_page_is_complete_without_scripts_and_its_links_and_search_work() {
    let (_dir, server) = serve(&many(60)).await;
    let url = &server.public;
    let jobs = [
        json!({ "url": url, "scripts": false }),
        json!({ "url": url, "scripts": false, "act": ["next"] }),
        json!({ "url": url, "scripts": false, "act": ["search", "model-05"] }),
        json!({ "url": url, "act": ["search", "model-05"] }),
    ];
    let found = opened(&jobs).await;
    let names = |at: usize| found[at]["text"].as_str().unwrap().matches("llm/model-").count();
    assert_eq!([names(0), names(1)], [25, 25]);
    assert_eq!([names(2), names(3)], [10, 10]);
    assert!(found[0]["text"].as_str().unwrap().contains("2126-05-24 13:30:00 UTC"));
}

#[tokio::test]
async fn the_api_can_be_read_and_tried() {
    let server = example_server().await;
    let url = format!("{}/docs", server.public);
    let mut jobs = views(&url, "docs");
    for operation in ["getOffers", "getOffer", "getAgentDocument", "getEvents", "getAgentIcon"] {
        jobs.push(json!({ "url": url, "act": ["try", operation] }));
    }
    // The example of the contract names an offer that examples/offers does not have.
    jobs[5] = json!({ "url": url, "act": ["try", "getSchema"] });
    let found = opened(&jobs).await;
    let text = |at: usize| found[at]["text"].as_str().unwrap();
    assert!(text(0).contains("/.well-known/agent-registration.json"), "{}", text(0));
    assert!(text(4).contains("\"name\": \"embeddings\""), "{}", text(4));
    assert!(text(8).contains("bytes"), "{}", text(8));
}
