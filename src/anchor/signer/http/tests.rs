//! Signers over HTTP that answer rightly, wrongly, too much, too late or not at all.

mod tls;

use std::{fs, sync::Arc, time::Duration};

use alloy::{
    consensus::TypedTransaction,
    primitives::{Address, Bytes, hex},
};
use axum::{
    Router,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use url::Url;

use super::{HttpSigner, Protocol};
use crate::anchor::{
    reason::AnchorReason,
    signer::{
        KeySource, Signed, Signer, SignerError,
        tests::{
            ACCOUNT, REGISTRY, SECRET, asked, changes, mint, policy, reservation, signed_by,
            unsigned,
        },
    },
};

const BOTH: [Protocol; 2] = [Protocol::Stack, Protocol::Web3Signer];
const TOKEN: &str = "CANARYTOKEN";

/// What a stand-in was asked.
pub(in super::super) struct Request {
    pub(in super::super) path: String,
    pub(in super::super) headers: HeaderMap,
    pub(in super::super) body: Value,
}

impl Request {
    pub(in super::super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}

/// Answers every request by a function until the test ends.
pub(in super::super) async fn stand_in(
    answer: impl Fn(Request) -> Response + Send + Sync + 'static,
) -> Url {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = Arc::new(answer);
    let router = Router::new().fallback(move |uri: Uri, headers: HeaderMap, body: String| {
        let request = Request {
            path: uri.path().to_owned(),
            headers,
            body: serde_json::from_str(&body).unwrap_or_default(),
        };
        let answer = Arc::clone(&answer);
        async move { answer(request) }
    });
    #[expect(clippy::disallowed_methods, reason = "a test ends with its runtime")]
    tokio::spawn(async move { axum::serve(listener, router).await });
    url.parse().unwrap()
}

fn at(protocol: Protocol, url: Url) -> HttpSigner {
    let account = ACCOUNT.parse().unwrap();
    // Long enough for a slow machine; the test of a signer that is late sets its own.
    let limit = Duration::from_secs(60);
    HttpSigner { protocol, url, account, token: None, authority: None, identity: None, limit }
}

/// Has the transaction of these tests signed.
async fn sign(signer: HttpSigner) -> Result<Signed, SignerError> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let signer = Signer::open(&KeySource::Http(signer), None, [policy()])?;
    signer.sign(&reservation(5, false), unsigned(&mint())).await
}

/// A well-formed answer with these bytes.
fn answer(protocol: Protocol, raw: &str) -> Value {
    match protocol {
        Protocol::Stack => json!({ "signed_transaction": raw }),
        Protocol::Web3Signer => json!({ "jsonrpc": "2.0", "id": 1, "result": raw }),
    }
}

fn wanted() -> TypedTransaction {
    TypedTransaction::Eip1559(asked(&mint()))
}

#[tokio::test]
async fn each_protocol_is_spoken_as_its_signers_expect() {
    let good = signed_by(SECRET, &wanted());
    for protocol in BOTH {
        let raw = hex::encode_prefixed(&good);
        let url = stand_in(move |request| {
            let expected = match protocol {
                Protocol::Stack => {
                    assert_eq!(request.path, format!("/base/api/v1/sign/{ACCOUNT}/transaction"));
                    json!({
                        "chain_id": 31337, "to": REGISTRY.to_checksum(None), "nonce": 5,
                        "gas_limit": 1000, "max_fee_per_gas": 100, "max_priority_fee_per_gas": 3,
                        "value": 0, "data": mint(),
                    })
                }
                Protocol::Web3Signer => {
                    assert_eq!(request.path, "/base/");
                    let params = json!([{
                        "from": ACCOUNT.parse::<Address>().unwrap(), "to": REGISTRY, "gas": "0x3e8",
                        "nonce": "0x5", "value": "0x0", "data": mint(), "chainId": "0x7a69",
                        "maxFeePerGas": "0x64", "maxPriorityFeePerGas": "0x3",
                    }]);
                    json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_signTransaction", "params": params })
                }
            };
            assert_eq!(request.body, expected);
            assert_eq!(request.header("authorization"), format!("Bearer {TOKEN}"));
            answer(protocol, &raw).to_string().into_response()
        })
        .await;
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), format!("{TOKEN}\n")).unwrap();
        let token = Some(file.path().to_owned());
        let signer = HttpSigner { token, ..at(protocol, url.join("base/").unwrap()) };
        assert_eq!(sign(signer).await.unwrap().raw, good);
    }
}

#[tokio::test]
async fn whatever_a_signer_changes_its_answer_is_refused() {
    for protocol in BOTH {
        for (field, changed) in changes() {
            let raw = hex::encode_prefixed(signed_by(SECRET, &changed));
            let url = stand_in(move |_| answer(protocol, &raw).to_string().into_response()).await;
            let error = sign(at(protocol, url)).await.unwrap_err();
            assert!(matches!(error, SignerError::Changed(named) if named == field), "{error}");
            assert_eq!(error.reason(), AnchorReason::SignerFailed);
        }
        let raw = hex::encode_prefixed(signed_by(&"11".repeat(32), &wanted()));
        let url = stand_in(move |_| answer(protocol, &raw).to_string().into_response()).await;
        let error = sign(at(protocol, url)).await.unwrap_err();
        assert!(matches!(error, SignerError::Signature(_)), "{error}");
    }
}

#[tokio::test]
async fn an_answer_that_is_no_signature_is_a_failure_that_names_what_was_said() {
    let cases = |protocol| {
        let raw: Bytes = signed_by(SECRET, &wanted());
        let unknown = json!({ "error": { "code": -32000, "message": "unknown account" } });
        [
            ("nothing", String::new(), "not JSON"),
            ("text", "<html>".to_owned(), "not JSON"),
            ("another answer", "[]".to_owned(), "signed"),
            ("no member", "{}".to_owned(), "in hex"),
            ("null", answer(protocol, "null").to_string(), "in hex"),
            ("not hex", answer(protocol, "0xzz").to_string(), "in hex"),
            ("no bytes", answer(protocol, "0x").to_string(), "not a signed transaction"),
            ("a cut one", answer(protocol, &hex::encode(&raw[..40])).to_string(), "not a signed"),
            ("an error", unknown.to_string(), "unknown account"),
            ("an error in text", json!({ "error": "no key" }).to_string(), "no key"),
            ("an echo", json!({ "error": TOKEN }).to_string(), "did not sign"),
        ]
    };
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), TOKEN).unwrap();
    for protocol in BOTH {
        for (case, body, said) in cases(protocol) {
            let url = stand_in(move |_| body.clone().into_response()).await;
            let token = Some(file.path().to_owned());
            let error = sign(HttpSigner { token, ..at(protocol, url) }).await.unwrap_err();
            let text = error.to_string();
            assert!(text.contains(said) && !text.contains(TOKEN), "{case}: {text}");
            assert_eq!(error.reason(), AnchorReason::SignerFailed, "{case}");
        }
    }
}

#[tokio::test]
async fn a_signer_that_is_down_or_busy_is_tried_again_and_one_that_refuses_needs_a_person() {
    let person = AnchorReason::SignerFailed;
    let retry = AnchorReason::SignerUnreachable;
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), TOKEN).unwrap();
    for (status, reason) in [
        (302, person),
        (401, person),
        (403, person),
        (404, person),
        (422, person),
        (408, retry),
        (429, retry),
        (500, retry),
        (503, retry),
    ] {
        let url = stand_in(move |request| {
            let status = StatusCode::from_u16(status).unwrap();
            let echo = format!("no\n{} {}", request.header("authorization"), "x".repeat(1_000));
            (status, [("location", "/elsewhere")], echo).into_response()
        })
        .await;
        let token = Some(file.path().to_owned());
        let error = sign(HttpSigner { token, ..at(Protocol::Stack, url) }).await.unwrap_err();
        let text = error.to_string();
        assert_eq!(error.reason(), reason, "{status}");
        assert!(text.contains(&status.to_string()) && text.len() < 400, "{text}");
        assert!(!text.contains(TOKEN) && !text.contains('\n'), "{text}");
    }
    // A port that nobody listens on.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: Url = format!("http://{}/PATH", listener.local_addr().unwrap()).parse().unwrap();
    // One that accepts and never answers.
    let late = HttpSigner { limit: Duration::from_millis(200), ..at(Protocol::Stack, url.clone()) };
    let error = sign(late).await.unwrap_err();
    assert!(matches!(error, SignerError::Late { .. }), "{error}");
    assert_eq!(error.reason(), retry);
    drop(listener);
    let error = sign(at(Protocol::Web3Signer, url)).await.unwrap_err();
    assert!(matches!(error, SignerError::Unreachable { .. }), "{error}");
    assert_eq!(error.reason(), retry);
    assert!(!crate::error_chain::with_causes(&error).contains("PATH"), "{error:?}");
}

#[tokio::test]
async fn no_more_is_read_of_an_answer_than_a_signature_can_have() {
    let url = stand_in(|_| {
        let endless = futures::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 4_096]));
        axum::body::Body::from_stream(endless).into_response()
    })
    .await;
    let error = sign(at(Protocol::Stack, url)).await.unwrap_err();
    assert!(matches!(error, SignerError::TooLarge { .. }), "{error}");
}

#[tokio::test]
async fn a_signer_is_checked_by_the_keys_that_it_holds() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    for protocol in BOTH {
        for (held, is_ours) in [(ACCOUNT.to_lowercase(), true), (REGISTRY.to_string(), false)] {
            let url = stand_in(move |request| {
                let answer = match protocol {
                    Protocol::Stack => {
                        assert_eq!(request.path, "/api/v1/keys");
                        json!({ "keys": [held] })
                    }
                    Protocol::Web3Signer => {
                        assert_eq!(request.body["method"], "eth_accounts");
                        json!({ "jsonrpc": "2.0", "id": 1, "result": [held] })
                    }
                };
                answer.to_string().into_response()
            })
            .await;
            let source = KeySource::Http(at(protocol, url));
            let checked = Signer::open(&source, None, []).unwrap().check().await;
            assert_eq!(checked.is_ok(), is_ours, "{checked:?}");
        }
    }
}

#[test]
fn secrets_that_cannot_be_read_stop_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, "nothing").unwrap();
    let signer = at(Protocol::Web3Signer, "https://127.0.0.1:1".parse().unwrap());
    let cases = [
        HttpSigner { token: Some(dir.path().join("none")), ..signer.clone() },
        HttpSigner { authority: Some(path.clone()), ..signer.clone() },
        HttpSigner { identity: Some((path.clone(), path.clone())), ..signer.clone() },
    ];
    for source in cases {
        let error = Signer::open(&KeySource::Http(source), None, []).unwrap_err();
        assert!(error.to_string().contains(dir.path().to_str().unwrap()), "{error}");
    }
    let other = Signer::open(&KeySource::Http(signer), Some(REGISTRY), []).unwrap_err();
    assert!(matches!(other, SignerError::WrongAccount { .. }), "{other}");
}
