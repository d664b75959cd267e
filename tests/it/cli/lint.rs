//! `registrar lint`: what it reads, how it fetches, and how it ends.

use std::{fs, net::SocketAddr};

use axum::{
    Router,
    http::{StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinHandle};

use crate::support::process::{Printed, registrar};
use crate::support::rows::for_each_row;

const DOCUMENT: &str = r#"{"type":"https://eips.ethereum.org/EIPS/eip-8004#registration-v1","name":"Tides","description":"Answers questions about tides.","image":"https://tides.example/icon.png","services":[{"name":"MCP","endpoint":"https://tides.example/mcp","version":"2025-06-18"}],"x402Support":true,"active":true,"registrations":[{"agentId":0,"agentRegistry":"eip155:8453:0x8004A169FB4a3325136EB29fA0ceB6D2e539a432"}]}"#;

/// A web site with documents, on loopback. Stopped when dropped.
struct Site {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Site {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let here = format!("http://{address}/agent.json");
        let by_name = format!("http://localhost:{}/agent.json", address.port());
        let to = |url: String| get(move || async move { Redirect::temporary(&url) });
        let router = Router::new()
            .route("/agent.json", get(|| async { json(DOCUMENT.to_owned()) }))
            .route("/ipfs/bafy/agent.json", get(|| async { json(DOCUMENT.to_owned()) }))
            .route("/text", get(|| async { DOCUMENT }))
            .route("/page", get(|| async { "<!doctype html><title>Tides</title>" }))
            .route("/large", get(|| async { json(" ".repeat(65_537)) }))
            .route("/stalled", get(std::future::pending::<StatusCode>))
            .route("/packed", get(|| async { ([(header::CONTENT_ENCODING, "gzip")], "x") }))
            .route("/to-address", to(here))
            .route("/to-name", to(by_name))
            .route("/to-metadata", to("http://169.254.169.254/latest/meta-data/".to_owned()))
            .route("/to-mapped", to(format!("http://[::ffff:127.0.0.1]:{}/", address.port())))
            .route("/to-file", to("file:///etc/passwd".to_owned()));
        #[expect(clippy::disallowed_methods, reason = "aborted when the site is dropped")]
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, serving }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

fn json(body: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// Runs `lint --json` beside the site.
async fn lint(args: &[&str]) -> Printed {
    let args: Vec<String> =
        ["lint", "--json"].iter().chain(args).map(|&arg| arg.to_owned()).collect();
    tokio::task::spawn_blocking(move || {
        registrar(&args.iter().map(String::as_str).collect::<Vec<_>>())
    })
    .await
    .unwrap()
}

/// The verdict and the codes of a report.
fn report(printed: &Printed) -> (String, Vec<String>) {
    let report: Value = serde_json::from_str(&printed.stdout).unwrap_or_else(|error| {
        panic!("{error}: {:?} {}", printed.stdout, printed.stderr);
    });
    let codes = report["findings"].as_array().unwrap().iter();
    let codes = codes.map(|finding| finding["code"].as_str().unwrap().to_owned());
    (report["verdict"].as_str().unwrap().to_owned(), codes.collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_is_fetched_and_its_answer_judged() {
    let site = Site::start().await;
    let printed = lint(&[&site.url("/agent.json")]).await;
    let codes = ["PlainHttp", "NotContentAddressed"].map(str::to_owned).to_vec();
    assert_eq!((report(&printed), printed.code), (("valid".to_owned(), codes), Some(0)));

    let (_, codes) = report(&lint(&[&site.url("/text")]).await);
    assert!(codes.contains(&"MediaType".to_owned()), "{codes:?}");

    let printed = lint(&[&site.url("/page")]).await;
    let (verdict, codes) = report(&printed);
    assert_eq!((verdict.as_str(), printed.code), ("invalid", Some(1)));
    assert!(codes.contains(&"Html".to_owned()), "{codes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_resolves_ipfs_and_is_not_judged() {
    let site = Site::start().await;
    for gateway in [site.url(""), site.url("/ipfs/")] {
        let printed = lint(&["--ipfs-gateway", &gateway, "ipfs://bafy/agent.json"]).await;
        assert_eq!(report(&printed), ("valid".to_owned(), vec![]), "{}", printed.stderr);
    }
    let printed = lint(&["ipfs://bafy/agent.json"]).await;
    assert_eq!(printed.code, Some(2));
    assert!(printed.stderr.contains("--ipfs-gateway"), "{}", printed.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_must_not_be_fetched_is_refused_with_its_reason() {
    let site = Site::start().await;
    let cases = [
        ("/none", "404"),
        ("/large", "larger than 65536 bytes"),
        ("/stalled", "no complete answer within 5s"),
        ("/packed", "Content-Encoding"),
        ("/to-address", "private address"),
        ("/to-name", "localhost is a private address"),
        ("/to-metadata", "private address"),
        ("/to-mapped", "private address"),
        ("/to-file", "not http or https"),
    ];
    for (path, why) in cases {
        let printed = lint(&[&site.url(path)]).await;
        assert_eq!((printed.code, printed.stdout.as_str()), (Some(1), ""), "{path}");
        assert!(printed.stderr.contains(why), "{path}: {}", printed.stderr);
    }
}

#[test]
fn a_file_may_hold_a_document_or_a_data_uri_but_no_url() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("input");
    let path = path.to_str().unwrap();
    let rows = [
        (DOCUMENT, Some(0), "\"valid\""),
        ("data:application/json,{}", Some(1), "DataNotBase64"),
        ("{", Some(1), "NotJson"),
        ("", Some(1), "NotJson"),
        ("https://agents.example/agent.json\n", Some(1), "fetched only if it is the argument"),
        ("ipfs://bafy", Some(1), "fetched only if it is the argument"),
    ];
    for_each_row(rows, |(content, code, shown)| {
        fs::write(path, content).unwrap();
        let printed = registrar(&["lint", "--json", path]);
        assert_eq!(printed.code, code, "{content}: {}", printed.stderr);
        assert!(format!("{}{}", printed.stdout, printed.stderr).contains(shown), "{content}");
    });
}

#[test]
fn unreadable_input_ends_with_one_and_bad_usage_with_two() {
    let rows: [(&[&str], i32, &str); 6] = [
        (&["lint", "/nonexistent/agent.json"], 1, "/nonexistent/agent.json"),
        (&["lint", "ar://abc"], 1, "\"ar\""),
        (&["lint", "."], 1, "."),
        (&["lint"], 2, "FILE|URL|-"),
        (&["lint", "--ipfs-gateway", "ftp://x", "ipfs://bafy"], 2, "--ipfs-gateway"),
        (&["lint", "--yaml", "-"], 2, "--yaml"),
    ];
    for_each_row(rows, |(args, code, shown)| {
        let printed = registrar(args);
        assert_eq!((printed.code, printed.stdout.as_str()), (Some(code), ""), "{args:?}");
        assert!(printed.stderr.contains(shown), "{args:?}: {}", printed.stderr);
    });
}
