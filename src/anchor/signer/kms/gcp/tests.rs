//! Google's service, and its metadata server, played by one stand-in.

use std::{fs, time::Duration};

use alloy::consensus::SignableTransaction;
use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use url::Url;

use super::{
    super::tests::{STRANGER, base64, der, digest, public_key, wanted},
    *,
};
use crate::anchor::{
    reason::AnchorReason,
    signer::{
        Cloud, KeySource, KmsKey, Signed, Signer,
        http::tests::{Request, stand_in},
        tests::{ACCOUNT, SECRET, mint, policy, reservation, signed_by, unsigned},
    },
};

const NAME: &str = "projects/p/locations/europe-west1/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1";
const TOKEN: &str = "CANARYTOKEN";

fn at(url: &Url) -> KmsKey {
    let key = NAME.parse().unwrap();
    let endpoint = url.join("base/").unwrap();
    let kms = GcpKms { key, endpoint, token: GcpToken::Metadata(url.clone()) };
    let account = ACCOUNT.parse().unwrap();
    // Long enough for a slow machine; the test of a service that is late sets its own.
    KmsKey { cloud: Cloud::Gcp(kms), account, limit: Duration::from_secs(60) }
}

fn open(key: KmsKey) -> Signer {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Signer::open(&KeySource::Kms(key), None, [policy()]).unwrap()
}

async fn sign(key: KmsKey) -> Result<Signed, SignerError> {
    open(key).sign(&reservation(5, false), unsigned(&mint())).await
}

/// A stand-in that hands out tokens, and answers all else by a function.
async fn service(answer: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Url {
    stand_in(move |request| match request.path.strip_prefix("/base/") {
        Some(_) => {
            assert_eq!(request.header("authorization"), format!("Bearer {TOKEN}"));
            answer(&request)
        }
        None => {
            assert_eq!(request.path, TOKEN_PATH);
            assert_eq!(request.header("metadata-flavor"), "Google");
            json!({ "access_token": TOKEN, "expires_in": 3599, "token_type": "Bearer" })
                .to_string()
                .into_response()
        }
    })
    .await
}

fn answer(der: &[u8]) -> Value {
    json!({
        "name": NAME, "signature": base64(der), "signatureCrc32c": crc32c(der).to_string(),
        "verifiedDigestCrc32c": true, "protectionLevel": "HSM",
    })
}

#[test]
fn the_checksum_is_the_one_that_is_asked_for() {
    // RFC 3720, B.4, and the check value of the catalogue of checksums.
    let cases = [(&b"123456789"[..], 0xe306_9283), (&[0; 32], 0x8a91_36aa), (&[], 0)];
    for (bytes, sum) in cases {
        assert_eq!(crc32c(bytes), sum, "{bytes:?}");
    }
}

#[test]
fn a_key_is_named_with_its_version() {
    assert_eq!(NAME.parse::<KeyVersion>().unwrap().0, NAME);
    "projects/example.com:p/locations/eu/keyRings/r_1/cryptoKeys/k-2/cryptoKeyVersions/12"
        .parse::<KeyVersion>()
        .unwrap();
    let (no_version, _) = NAME.rsplit_once("/cryptoKeyVersions").unwrap();
    for name in [
        "",
        "k",
        no_version,
        &format!("/{NAME}"),
        &format!("{NAME}/"),
        &format!("{NAME}?x"),
        &NAME.replace("/k/", "/../"),
        &NAME.replace("/k/", "//"),
        &NAME.replace("/k/", "/a b/"),
        &NAME.replace("keyRings", "keyrings"),
    ] {
        assert!(name.parse::<KeyVersion>().is_err(), "{name}");
    }
}

#[tokio::test]
async fn a_digest_is_signed_whatever_half_its_signature_is_in() {
    for is_high in [false, true] {
        let url = service(move |request| {
            assert_eq!(request.path, format!("/base/v1/{NAME}:asymmetricSign"));
            let asked = digest(request.body["digest"]["sha256"].as_str().unwrap());
            assert_eq!(asked, wanted().signature_hash());
            let sum = crc32c(asked.as_slice()).to_string();
            assert_eq!(request.body["digestCrc32c"], sum);
            answer(&der(SECRET, &asked, is_high)).to_string().into_response()
        })
        .await;
        assert_eq!(sign(at(&url)).await.unwrap().raw, signed_by(SECRET, &wanted()));
    }
}

#[tokio::test]
async fn a_token_may_be_in_a_file_that_something_else_renews() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), format!("{TOKEN}\n")).unwrap();
    let url = service(|request| {
        let asked = digest(request.body["digest"]["sha256"].as_str().unwrap());
        answer(&der(SECRET, &asked, false)).to_string().into_response()
    })
    .await;
    let with = |token| {
        let key = NAME.parse().unwrap();
        let kms = GcpKms { key, endpoint: url.join("base/").unwrap(), token };
        KmsKey { cloud: Cloud::Gcp(kms), ..at(&url) }
    };
    sign(with(GcpToken::File(file.path().to_owned()))).await.unwrap();
    let missing = with(GcpToken::File("/nowhere/token".into()));
    let error = Signer::open(&KeySource::Kms(missing), None, []).unwrap_err();
    assert!(error.to_string().contains("/nowhere/token"), "{error}");
}

#[tokio::test]
async fn an_answer_that_is_not_the_accounts_signature_is_refused() {
    let asked = wanted().signature_hash();
    let good = der(SECRET, &asked, false);
    let with = |name: &str, value: Value| {
        let mut answer = answer(&good);
        answer[name] = value;
        answer
    };
    let (person, retry) = (AnchorReason::SignerFailed, AnchorReason::SignerUnreachable);
    let cases = [
        ("another key", answer(&der(STRANGER, &asked, false)), "is not one of", person),
        ("another digest", answer(&der(SECRET, &B256::ZERO, true)), "is not one of", person),
        ("no DER", answer(b"garbage"), "not one in DER", person),
        ("more than DER", answer(&[&good[..], &[0]].concat()), "not one in DER", person),
        ("cut DER", answer(&good[..good.len() - 1]), "not one in DER", person),
        ("64 bytes", answer(&[1; 64]), "not one in DER", person),
        ("empty", answer(&[]), "not one in DER", person),
        ("no base64", with("signature", json!("*")), "in base64", person),
        ("no signature", with("signature", Value::Null), "in base64", person),
        ("nothing", json!({}), "undamaged", retry),
        ("a damaged signature", with("signatureCrc32c", json!("1")), "undamaged", retry),
        ("no checksum", with("signatureCrc32c", Value::Null), "undamaged", retry),
        ("a damaged digest", with("verifiedDigestCrc32c", json!(false)), "undamaged", retry),
    ];
    for (case, answer, said, reason) in cases {
        let url = service(move |_| answer.to_string().into_response()).await;
        let error = sign(at(&url)).await.unwrap_err();
        assert!(error.to_string().contains(said), "{case}: {error}");
        assert_eq!(error.reason(), reason, "{case}");
    }
}

#[tokio::test]
async fn a_refusal_needs_a_person_and_a_busy_or_late_service_is_asked_again() {
    let (person, retry) = (AnchorReason::SignerFailed, AnchorReason::SignerUnreachable);
    for (status, reason) in
        [(400, person), (401, person), (403, person), (404, person), (429, retry), (503, retry)]
    {
        let url = service(move |_| {
            let said = format!("Permission denied, {TOKEN}");
            let said = json!({ "error": { "code": status, "message": said, "status": "X" } });
            (StatusCode::from_u16(status).unwrap(), said.to_string()).into_response()
        })
        .await;
        let error = sign(at(&url)).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("Permission") && !text.contains(TOKEN), "{text}");
        assert_eq!(error.reason(), reason, "{status}");
    }
    // The metadata server hands out no token.
    for (answer, said) in [("{}", "no access_token"), ("<html>", "not JSON")] {
        let url = stand_in(move |_| answer.into_response()).await;
        let error = sign(at(&url)).await.unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
    }
    // One that accepts and never answers.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: Url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let late = KmsKey { limit: Duration::from_millis(200), ..at(&url) };
    let error = sign(late).await.unwrap_err();
    assert!(matches!(error, SignerError::Late { .. }), "{error}");
    drop(listener);
    let error = sign(at(&url)).await.unwrap_err();
    assert!(matches!(error, SignerError::Unreachable { .. }), "{error}");
    assert_eq!(error.reason(), retry);
}

#[tokio::test]
async fn a_key_is_checked_by_its_public_half_without_signing() {
    let pem = |der: &[u8]| {
        let text = base64(der);
        let (first, rest) = text.split_at(64);
        format!("-----BEGIN PUBLIC KEY-----\n{first}\n{rest}\n-----END PUBLIC KEY-----\n")
    };
    let mut off_the_curve = public_key(SECRET);
    off_the_curve[40] ^= 1;
    let cases = [
        (pem(&public_key(SECRET)), ALGORITHM, None),
        (pem(&public_key(SECRET)).replace('\n', "\r\n"), ALGORITHM, None),
        (pem(&public_key(STRANGER)), ALGORITHM, Some("the key belongs to account")),
        (pem(&public_key(SECRET)), "EC_SIGN_P256_SHA256", Some("the key's algorithm")),
        (pem(&off_the_curve), ALGORITHM, Some("not one on secp256k1")),
        (pem(&[0; 91]), ALGORITHM, Some("not one on secp256k1")),
        (String::new(), ALGORITHM, Some("not one on secp256k1")),
    ];
    for (pem, algorithm, refusal) in cases {
        let answer = json!({ "pem": pem, "algorithm": algorithm, "name": NAME }).to_string();
        let url = service(move |request| {
            assert_eq!(
                (request.path.as_str(), &request.body),
                (&*format!("/base/v1/{NAME}/publicKey"), &Value::Null)
            );
            answer.clone().into_response()
        })
        .await;
        match (open(at(&url)).check().await, refusal) {
            (Ok(()), None) => {}
            (Err(error), Some(said)) => assert!(error.to_string().contains(said), "{error}"),
            (checked, _) => panic!("{pem}: {checked:?}"),
        }
    }
}
