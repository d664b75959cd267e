//! Who may send requests to other hosts.

use std::{fs, path::Path};

use super::architecture::{Spelled, module_of, sources};

/// What sends requests to other hosts, and who may. A verb asks what the operator names; no URL of a
/// tenant is ever fetched.
const CLIENTS: [(&str, &[&str]); 4] = [
    ("reqwest", &["anchor", "command"]),
    (
        "kube",
        &[
            "source",
            "command",
            "cli",
            "leader",
            "enforce",
            "journal_place",
            "identity_status",
            "offer_events",
        ],
    ),
    ("hyper_util::client", &[]),
    ("TcpStream::connect", &["command"]),
];

/// What of a file's paths sends requests although its module may not.
fn requests(source: &str, module: &[&str]) -> Vec<String> {
    let whole = module.join("::");
    let within = |name: &&str| whole == **name || whole.starts_with(&format!("{name}::"));
    let is_client = |path: &&String| {
        let sends = |client: &str| {
            *path == client
                || path.starts_with(&format!("{client}::"))
                || path.ends_with(&format!("::{client}"))
        };
        CLIENTS.iter().any(|(client, who)| sends(client) && !who.iter().any(within))
    };
    Spelled::of(source, module).iter().filter(is_client).cloned().collect()
}

#[test]
fn only_nodes_signers_and_the_api_server_are_asked() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
    for file in sources(root) {
        let module = module_of(file.strip_prefix(root).unwrap());
        let module: Vec<_> = module.iter().map(String::as_str).collect();
        if !matches!(module[..], ["testing"]) && !module.contains(&"tests") {
            let source = fs::read_to_string(&file).unwrap();
            assert_eq!(requests(&source, &module), Vec::<String>::new(), "{}", file.display());
        }
    }
    let planted = [
        ("registration", "use reqwest::Client;"),
        ("catalog", "async fn f() { reqwest::get(url).await; }"),
        ("publish", "fn f() { kube::Client::try_default(); }"),
        ("offer", "fn f() { tokio::net::TcpStream::connect(host); }"),
        ("http", "use tokio::net::TcpStream; fn f() { TcpStream::connect(host); }"),
    ];
    for (module, source) in planted {
        assert!(!requests(source, &[module]).is_empty(), "{source}");
    }
}
