//! Keys in a cloud: each service signs a mint on a real node, and nothing that it answers wrongly is
//! sent. A stand-in speaks the protocols of both services and of what gives their credentials.

use std::{
    fs,
    sync::{Arc, Mutex},
};

use alloy::{
    primitives::{B256, U256},
    signers::{
        SignerSync,
        k256::ecdsa::{Signature, VerifyingKey},
        local::PrivateKeySigner,
    },
};
use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::support::{
    process::text,
    stage::{KEY, SECOND_KEY, Stage, tells_nothing},
};

const AWS: &str = "aws-kms:arn:aws:kms:eu-west-1:111122223333:alias/registrar";
const GCP: &str =
    "gcp-kms:projects/p/locations/europe-west1/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1";
const TOKEN: &str = "CANARYTOKEN";
const SESSION: &str = "CANARYSESSION";

/// What the service does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Deed {
    SignsLow,
    SignsHigh,
    HasAnotherKey,
    SignsWithAnotherKey,
    SignsAnotherDigest,
    AnswersGarbage,
    Refuses,
    IsBusy,
}

#[derive(Clone)]
struct Service {
    url: String,
    deed: Arc<Mutex<Deed>>,
}

impl Service {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let service = Self { url, deed: Arc::new(Mutex::new(Deed::SignsHigh)) };
        let router = Router::new().fallback(answer).with_state(service.clone());
        #[expect(clippy::disallowed_methods, reason = "a test ends with its runtime")]
        tokio::spawn(async move { axum::serve(listener, router).await });
        service
    }

    /// The environment in which a pod finds the service: with a web identity at AWS, and with a
    /// metadata server at Google.
    fn environment(&self, stage: &Stage) -> Vec<(&'static str, String)> {
        let identity = stage.path("web-identity");
        fs::write(&identity, TOKEN).unwrap();
        let nothing = "/dev/null".to_owned();
        vec![
            ("AWS_ENDPOINT_URL_KMS", self.url.clone()),
            ("AWS_ENDPOINT_URL_STS", self.url.clone()),
            ("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/registrar".to_owned()),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", identity.to_str().unwrap().to_owned()),
            ("AWS_CONFIG_FILE", nothing.clone()),
            ("AWS_SHARED_CREDENTIALS_FILE", nothing),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            ("GCE_METADATA_HOST", self.url.replace("http://", "")),
        ]
    }

    fn settings(&self, signer: &str, stage: &Stage) -> Vec<String> {
        let account = stage.account.to_string();
        let mut settings = vec!["--signer", signer, "--account", &account];
        if signer == GCP {
            settings.extend(["--kms-endpoint", &self.url]);
        }
        settings.into_iter().map(str::to_owned).collect()
    }

    fn does(&self, deed: Deed) {
        *self.deed.lock().unwrap() = deed;
    }

    fn deed(&self) -> Deed {
        *self.deed.lock().unwrap()
    }

    /// The signature in DER.
    fn signature(&self, digest: &Value) -> Vec<u8> {
        let digest = B256::from_slice(&STANDARD.decode(digest.as_str().unwrap()).unwrap());
        let (key, digest) = match self.deed() {
            Deed::AnswersGarbage => return b"garbage".to_vec(),
            Deed::SignsWithAnotherKey => (SECOND_KEY, digest),
            Deed::SignsAnotherDigest => (KEY, B256::ZERO),
            Deed::SignsLow
            | Deed::SignsHigh
            | Deed::HasAnotherKey
            | Deed::Refuses
            | Deed::IsBusy => (KEY, digest),
        };
        let key: PrivateKeySigner = key.parse().unwrap();
        let low = key.sign_hash_sync(&digest).unwrap().to_k256().unwrap();
        let (r, s) = low.split_scalars();
        let high = Signature::from_scalars(r, -s).unwrap();
        let signature = if self.deed() == Deed::SignsHigh { high } else { low };
        signature.to_der().as_bytes().to_vec()
    }

    /// The public key in DER.
    fn public_key(&self) -> Vec<u8> {
        let key = if self.deed() == Deed::HasAnotherKey { SECOND_KEY } else { KEY };
        let key: PrivateKeySigner = key.parse().unwrap();
        let point = VerifyingKey::from(key.credential()).to_encoded_point(false);
        let prefix = "3056301006072a8648ce3d020106052b8104000a034200";
        [&alloy::hex::decode(prefix).unwrap(), point.as_bytes()].concat()
    }

    fn aws(&self, operation: &str, asked: &Value) -> Value {
        let key = asked["KeyId"].as_str().unwrap();
        assert_eq!(key, AWS.trim_start_matches("aws-kms:"));
        match operation {
            "TrentService.GetPublicKey" => json!({
                "KeyId": key, "PublicKey": STANDARD.encode(self.public_key()),
                "KeySpec": "ECC_SECG_P256K1", "KeyUsage": "SIGN_VERIFY",
                "SigningAlgorithms": ["ECDSA_SHA_256"],
            }),
            "TrentService.Sign" => {
                let how = (&asked["MessageType"], &asked["SigningAlgorithm"]);
                assert_eq!(how, (&json!("DIGEST"), &json!("ECDSA_SHA_256")));
                json!({
                    "KeyId": key, "Signature": STANDARD.encode(self.signature(&asked["Message"])),
                    "SigningAlgorithm": "ECDSA_SHA_256",
                })
            }
            other => panic!("{other}"),
        }
    }

    fn gcp(&self, path: &str, asked: &Value) -> Value {
        let name = GCP.trim_start_matches("gcp-kms:");
        if path == format!("/v1/{name}/publicKey") {
            let der = STANDARD.encode(self.public_key());
            let pem = format!("-----BEGIN PUBLIC KEY-----\n{der}\n-----END PUBLIC KEY-----\n");
            return json!({ "name": name, "pem": pem, "algorithm": "EC_SIGN_SECP256K1_SHA256" });
        }
        assert_eq!(path, format!("/v1/{name}:asymmetricSign"));
        let der = self.signature(&asked["digest"]["sha256"]);
        json!({
            "name": name, "signature": STANDARD.encode(&der), "verifiedDigestCrc32c": true,
            "signatureCrc32c": crc32c(&der).to_string(),
        })
    }
}

/// Castagnoli's, a table's entry at a time.
fn crc32c(bytes: &[u8]) -> u32 {
    let entry = |index: u32| {
        (0..8).fold(index, |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 })
    };
    !bytes.iter().fold(!0, |crc: u32, byte| entry((crc ^ u32::from(*byte)) & 0xff) ^ (crc >> 8))
}

async fn answer(
    State(service): State<Service>,
    uri: Uri,
    headers: HeaderMap,
    body: String,
) -> Response {
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    if body.contains("Action=AssumeRoleWithWebIdentity") {
        assert!(body.contains(&format!("WebIdentityToken={TOKEN}")), "{body}");
        return format!(
            "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
             <AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIAEXAMPLE</AccessKeyId>\
             <SecretAccessKey>CANARYSECRET</SecretAccessKey><SessionToken>{SESSION}</SessionToken>\
             <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>\
             </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
        )
        .into_response();
    }
    if uri.path().starts_with("/computeMetadata/") {
        assert_eq!(header("metadata-flavor").as_deref(), Some("Google"));
        return json!({ "access_token": TOKEN }).to_string().into_response();
    }
    let operation = header("x-amz-target");
    let authorization = header("authorization").unwrap();
    match &operation {
        Some(_) => {
            let scope = "AWS4-HMAC-SHA256 Credential=ASIAEXAMPLE/";
            assert!(authorization.starts_with(scope), "{authorization}");
            assert!(authorization.contains("/eu-west-1/kms/aws4_request"), "{authorization}");
            assert_eq!(header("x-amz-security-token").as_deref(), Some(SESSION));
        }
        None => assert_eq!(authorization, format!("Bearer {TOKEN}")),
    }
    let refusal = |aws: (u16, &str), gcp: u16| {
        let (status, said) = match operation {
            Some(_) => (aws.0, json!({ "__type": aws.1, "message": "not now" })),
            None => (gcp, json!({ "error": { "code": gcp, "message": "not now" } })),
        };
        (StatusCode::from_u16(status).unwrap(), said.to_string()).into_response()
    };
    match service.deed() {
        Deed::Refuses => return refusal((400, "AccessDeniedException"), 403),
        Deed::IsBusy => return refusal((400, "ThrottlingException"), 429),
        Deed::SignsLow
        | Deed::SignsHigh
        | Deed::HasAnotherKey
        | Deed::SignsWithAnotherKey
        | Deed::SignsAnotherDigest
        | Deed::AnswersGarbage => {}
    }
    let asked: Value = serde_json::from_str(&body).unwrap_or_default();
    let answer = match &operation {
        Some(operation) => service.aws(operation, &asked),
        None => service.gcp(uri.path(), &asked),
    };
    answer.to_string().into_response()
}

/// A stage whose verbs find the service.
async fn stage() -> (Stage, Service) {
    let (mut stage, service) = (Stage::new().await, Service::start().await);
    stage.environment = service.environment(&stage);
    (stage, service)
}

fn words(settings: &[String]) -> Vec<&str> {
    settings.iter().map(String::as_str).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_service_signs_a_mint_and_what_follows() {
    for signer in [AWS, GCP] {
        let (stage, service) = stage().await;
        let settings = service.settings(signer, &stage);
        stage.settle(&words(&settings)).await;
        assert_eq!(stage.reason("default"), "Anchored", "{signer}");
        assert_eq!(stage.balance().await, U256::from(1), "{signer}");
        service.does(Deed::SignsLow);
        let moved = [&words(&settings)[..], &["--public-url", "https://moved.example"]].concat();
        stage.settle(&moved).await;
        assert!(stage.uri(0).await.starts_with("https://moved.example/"), "{signer}");
        assert_eq!(stage.node.transaction_count(stage.account, "latest").await, 2, "{signer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_that_the_account_did_not_sign() {
    let deeds = [
        (Deed::HasAnotherKey, "SignerFailed", "the key belongs to account"),
        (Deed::SignsWithAnotherKey, "SignerFailed", "is not one of"),
        (Deed::SignsAnotherDigest, "SignerFailed", "is not one of"),
        (Deed::AnswersGarbage, "SignerFailed", "not a signed transaction"),
        (Deed::Refuses, "SignerFailed", "not now"),
        (Deed::IsBusy, "SignerUnreachable", "not now"),
    ];
    let (stage, service) = stage().await;
    for signer in [AWS, GCP] {
        let settings = service.settings(signer, &stage);
        for (deed, reason, said) in deeds {
            // Google is not asked for the public key: what it signs tells the same.
            if (signer, deed) == (GCP, Deed::HasAnotherKey) {
                continue;
            }
            service.does(deed);
            let printed = stage.once(&words(&settings));
            let row = stage.recorded("default");
            let found = (printed.code, text(&row, "reason"));
            assert_eq!(found, (Some(1), reason), "{signer} {deed:?}: {row}");
            let message = text(&row, "message");
            assert!(message.contains(said), "{signer} {deed:?}: {message}");
            for secret in [TOKEN, SESSION, "CANARYSECRET"] {
                assert!(!printed.stderr.contains(secret) && !message.contains(secret), "{message}");
            }
            tells_nothing(message);
            assert!(stage.status()["openSlot"].is_null(), "{signer} {deed:?}");
            assert_eq!(stage.node.transaction_count(stage.account, "pending").await, 0, "{signer}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_gives_no_credentials_is_named() {
    let (mut stage, service) = stage().await;
    stage.environment.retain(|(name, _)| !matches!(*name, "AWS_ROLE_ARN" | "GCE_METADATA_HOST"));
    stage.environment.push(("GCE_METADATA_HOST", "127.0.0.1:1".to_owned()));
    for (signer, said) in [(AWS, "credentials"), (GCP, "127.0.0.1 cannot be reached")] {
        let printed = stage.once(&words(&service.settings(signer, &stage)));
        let message = text(&stage.recorded("default"), "message").to_owned();
        assert_eq!(printed.code, Some(1), "{signer}");
        assert!(message.contains(said), "{signer}: {message}");
    }
}
