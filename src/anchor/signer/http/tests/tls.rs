//! A signer that asks for a client certificate.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use alloy::primitives::hex;
use rcgen::{CertificateParams, KeyPair};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;
use url::Url;

use super::{HttpSigner, Protocol, answer, at, sign, signed_by, wanted};
use crate::anchor::{
    reason::AnchorReason,
    signer::{SignerError, tests::SECRET},
};

/// A self-signed certificate and its key, also in files.
struct Issued {
    certificate: CertificateDer<'static>,
    key: KeyPair,
    files: (PathBuf, PathBuf),
}

fn issue(dir: &TempDir, name: &str) -> Issued {
    let key = KeyPair::generate().unwrap();
    let issued = CertificateParams::new([name.to_owned()]).unwrap().self_signed(&key).unwrap();
    let path = |kind: &str| dir.path().join(format!("{name}.{kind}"));
    let files = (path("crt"), path("key"));
    fs::write(&files.0, issued.pem()).unwrap();
    fs::write(&files.1, key.serialize_pem()).unwrap();
    Issued { certificate: issued.der().clone(), key, files }
}

/// Answers with a signature whoever has the client's certificate.
async fn stand_in(own: Issued, client: &Issued) -> Url {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut clients = RootCertStore::empty();
    clients.add(client.certificate.clone()).unwrap();
    let verifier =
        WebPkiClientVerifier::builder_with_provider(clients.into(), Arc::clone(&provider));
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(own.key.serialize_der()));
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(vec![own.certificate], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let raw = hex::encode_prefixed(signed_by(SECRET, &wanted()));
    let body = answer(Protocol::Web3Signer, &raw).to_string();
    let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}", body.len());
    let response = format!("{head}\r\n\r\n{body}");
    #[expect(clippy::disallowed_methods, reason = "a test ends with its runtime")]
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // A client that it does not know, or that does not trust it, goes away.
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let _ = stream.read(&mut [0; 8_192]).await;
            let _ = stream.write_all(response.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    url.parse().unwrap()
}

#[tokio::test]
async fn a_signer_with_mutual_tls_knows_its_client_and_is_known_by_it() {
    let dir = tempfile::tempdir().unwrap();
    let [own, client, other] = ["localhost", "client", "other"].map(|name| issue(&dir, name));
    let authority = own.files.0.clone();
    let url = stand_in(own, &client).await;
    let signer = |authority: &Path, identity: Option<&Issued>| HttpSigner {
        authority: Some(authority.to_owned()),
        identity: identity.map(|issued| issued.files.clone()),
        ..at(Protocol::Web3Signer, url.clone())
    };
    sign(signer(&authority, Some(&client))).await.unwrap();
    let refused = [
        ("without a certificate", signer(&authority, None)),
        ("with another one", signer(&authority, Some(&other))),
        ("of another authority", signer(&other.files.0, Some(&client))),
    ];
    for (case, signer) in refused {
        let error = sign(signer).await.unwrap_err();
        assert!(matches!(error, SignerError::Unreachable { .. }), "{case}: {error}");
        assert_eq!(error.reason(), AnchorReason::SignerUnreachable, "{case}");
    }
    // Rotated files are used for the next signature.
    for (from, to) in [(&client.files.0, &other.files.0), (&client.files.1, &other.files.1)] {
        fs::copy(from, to).unwrap();
    }
    sign(signer(&authority, Some(&other))).await.unwrap();
}
