//! A server to attack, and a client that it must not fail.

use std::fs;

use tempfile::TempDir;

use crate::support::process::Server;

pub const WELL_KNOWN: &str = "/.well-known/agent-registration.json";
/// The document of the first offer of a folder.
pub const OFFER: &str = "/offers/llm/n0/agent-registration.json";
const URL: &str = "https://seller.example";

/// A folder with this many offers.
pub fn offers(count: usize) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    (0..count).for_each(|number| describe(&dir, number, &"x".repeat(200)));
    dir
}

/// Writes an offer of such a folder with this description.
pub fn describe(dir: &TempDir, number: usize, description: &str) {
    let offer = format!(
        "apiVersion: obol.org/v1alpha1\nkind: ServiceOffer\n\
         metadata: {{ name: n{number}, namespace: llm }}\n\
         spec: {{ registration: {{ enabled: true, description: '{description}' }} }}\n"
    );
    fs::write(dir.path().join(format!("n{number}.yaml")), offer).unwrap();
}

/// Serves a folder until it is dropped.
pub async fn serve(dir: &TempDir, more: &[&str]) -> Server {
    let args = ["--offers", dir.path().to_str().unwrap(), "--public-url", URL];
    let server = Server::start(&[&args[..], more].concat()).await;
    crate::support::process::eventually("it serves", async || {
        server.admin("/readyz").await.status() == 200
    })
    .await;
    server
}

/// The value of one series of `/metrics`; 0 if it is absent.
pub async fn measured(server: &Server, series: &str) -> u64 {
    let text = server.admin("/metrics").await.text().await.unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value.map_or(0, |value| value.parse().unwrap())
}

/// A good client's request, which must be answered.
pub async fn is_served(server: &Server) {
    assert_eq!(server.get(WELL_KNOWN).await.status(), 200);
}
