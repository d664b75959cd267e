//! AWS's service, played by a stand-in.

use alloy::consensus::SignableTransaction;
use alloy_signer_aws::aws_sdk_kms::config::Credentials;
use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{
    super::tests::{STRANGER, base64, der, digest, public_key, wanted},
    *,
};
use crate::anchor::{
    reason::AnchorReason,
    signer::{
        http::tests::{Request, stand_in},
        kms::completed,
        tests::{ACCOUNT, SECRET, signed_by},
    },
};

const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
/// Long enough for a slow machine.
const LIMIT: Duration = Duration::from_secs(60);

/// Has the transaction of these tests signed, with credentials that are no secret.
async fn sign_at(url: &Url, limit: Duration) -> Result<alloy::primitives::Bytes, SignerError> {
    let credentials = Credentials::new("AKIDEXAMPLE", "CANARYSECRET", None, None, "test");
    let settings = settings(KEY, Some(url), limit).credentials_provider(credentials);
    let client = Client::new(&settings.load().await);
    let (wanted, account) = (wanted(), ACCOUNT.parse().unwrap());
    let hash = wanted.signature_hash();
    let signature = sign(client, KEY, account, &hash).await?;
    completed(&wanted, &hash, signature, account)
}

/// A stand-in that has a key, and answers a request to sign by a function.
async fn service(
    secret: &'static str,
    answer: impl Fn(&Request) -> Response + Send + Sync + 'static,
) -> Url {
    stand_in(move |request| {
        let authorization = request.header("authorization");
        let is_signed = authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
            && authorization.contains("/eu-west-1/kms/aws4_request");
        assert!(is_signed, "{authorization}");
        assert_eq!(request.body["KeyId"], KEY);
        match request.header("x-amz-target") {
            "TrentService.GetPublicKey" => json!({
                "KeyId": KEY, "PublicKey": base64(&public_key(secret)),
                "KeySpec": "ECC_SECG_P256K1", "KeyUsage": "SIGN_VERIFY",
                "SigningAlgorithms": ["ECDSA_SHA_256"],
            })
            .to_string()
            .into_response(),
            "TrentService.Sign" => answer(&request),
            other => panic!("{other}"),
        }
    })
    .await
}

fn answer(der: &[u8]) -> Value {
    json!({ "KeyId": KEY, "Signature": base64(der), "SigningAlgorithm": "ECDSA_SHA_256" })
}

#[test]
fn an_arn_names_its_region() {
    let cases = [
        (KEY, Some("eu-west-1")),
        ("arn:aws-cn:kms:cn-north-1:1:alias/registrar", Some("cn-north-1")),
        ("arn:aws:kms::1:key/2", None),
        ("arn:aws:s3:eu-west-1:1:key/2", None),
        ("1234abcd-12ab-34cd-56ef-1234567890ab", None),
        ("alias/registrar", None),
        ("a:b:kms:c", None),
    ];
    for (key, found) in cases {
        assert_eq!(region(key), found, "{key}");
    }
}

#[tokio::test]
async fn a_digest_is_signed_whatever_half_its_signature_is_in() {
    for is_high in [false, true] {
        let url = service(SECRET, move |request| {
            let (kind, algorithm) =
                (&request.body["MessageType"], &request.body["SigningAlgorithm"]);
            assert_eq!((kind, algorithm), (&json!("DIGEST"), &json!("ECDSA_SHA_256")));
            let asked = digest(request.body["Message"].as_str().unwrap());
            assert_eq!(asked, wanted().signature_hash());
            answer(&der(SECRET, &asked, is_high)).to_string().into_response()
        })
        .await;
        assert_eq!(sign_at(&url, LIMIT).await.unwrap(), signed_by(SECRET, &wanted()));
    }
}

#[tokio::test]
async fn an_answer_that_is_not_the_accounts_signature_is_refused() {
    let asked = wanted().signature_hash();
    let good = der(SECRET, &asked, false);
    let cases = [
        ("another key", answer(&der(STRANGER, &asked, false)).to_string(), "is not one of"),
        ("another digest", answer(&der(SECRET, &B256::ZERO, true)).to_string(), "is not one of"),
        ("no DER", answer(b"garbage").to_string(), "not a signed transaction"),
        ("more than DER", answer(&[&good[..], &[0]].concat()).to_string(), "not a signed"),
        ("cut DER", answer(&good[..good.len() - 1]).to_string(), "not a signed transaction"),
        ("empty", answer(&[]).to_string(), "not a signed transaction"),
        ("no base64", json!({ "Signature": "*" }).to_string(), "not a signed transaction"),
        ("nothing", "{}".to_owned(), "not a signed transaction"),
        ("text", "<html>".to_owned(), "not a signed transaction"),
    ];
    for (case, body, said) in cases {
        let url = service(SECRET, move |_| body.clone().into_response()).await;
        let error = sign_at(&url, LIMIT).await.unwrap_err();
        assert!(error.to_string().contains(said), "{case}: {error}");
        assert_eq!(error.reason(), AnchorReason::SignerFailed, "{case}");
    }
    // The key that the name names now is another one: it is not even asked to sign.
    let url = service(STRANGER, |_| panic!("it is asked to sign")).await;
    let error = sign_at(&url, LIMIT).await.unwrap_err();
    assert!(matches!(error, SignerError::WrongAccount { .. }), "{error}");
}

#[tokio::test]
async fn a_refusal_needs_a_person_and_a_busy_or_late_service_is_asked_again() {
    let (person, retry) = (AnchorReason::SignerFailed, AnchorReason::SignerUnreachable);
    for (status, code, reason) in [
        (400, "AccessDeniedException", person),
        (403, "ExpiredTokenException", person),
        (400, "NotFoundException", person),
        (400, "DisabledException", person),
        (400, "ThrottlingException", retry),
        (500, "KMSInternalException", retry),
    ] {
        let url = service(SECRET, move |_| {
            let said = json!({ "__type": code, "message": "no\nnever" });
            (StatusCode::from_u16(status).unwrap(), said.to_string()).into_response()
        })
        .await;
        let error = sign_at(&url, LIMIT).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(code) && text.contains("never") && !text.contains('\n'), "{text}");
        assert_eq!(error.reason(), reason, "{code}");
    }
    // One that accepts and never answers.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: Url = format!("http://{}/PATH", listener.local_addr().unwrap()).parse().unwrap();
    let late = sign_at(&url, Duration::from_millis(200)).await.unwrap_err();
    drop(listener);
    let gone = sign_at(&url, LIMIT).await.unwrap_err();
    for error in [late, gone] {
        assert!(matches!(error, SignerError::Unreachable { .. }), "{error}");
        assert_eq!(error.reason(), retry);
        assert!(!with_causes(&error).contains("PATH"), "{error:?}");
    }
}
