//! TLS on the public listener: what is agreed, and certificates that are replaced.

use std::{fs, path::Path, sync::Arc};

use rcgen::{CertificateParams, KeyPair};
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::support::process::{Server, eventually, registrar};

use super::ground::{WELL_KNOWN, offers, serve};

/// Writes a new certificate for a name and its key, and returns it.
fn issue(dir: &Path, name: &str) -> rustls::pki_types::CertificateDer<'static> {
    let key = KeyPair::generate().unwrap();
    let cert = CertificateParams::new([name.to_owned()]).unwrap().self_signed(&key).unwrap();
    fs::write(dir.join("tls.crt"), cert.pem()).unwrap();
    fs::write(dir.join("tls.key"), key.serialize_pem()).unwrap();
    cert.der().clone()
}

/// Connects with a name that only this certificate is for.
async fn connect(
    server: &Server,
    name: &str,
    trusted: &rustls::pki_types::CertificateDer<'static>,
    protocols: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(server.public.strip_prefix("https://").unwrap()).await?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

fn flags(dir: &TempDir) -> [String; 4] {
    let path = |file: &str| dir.path().join(file).to_str().unwrap().to_owned();
    ["--tls-cert".to_owned(), path("tls.crt"), "--tls-key".to_owned(), path("tls.key")]
}

#[tokio::test]
async fn clients_agree_on_a_protocol_and_new_certificates_are_used_without_a_restart() {
    let (dir, secrets) = (offers(1), tempfile::tempdir().unwrap());
    let first = issue(secrets.path(), "first.example");
    let flags = flags(&secrets);
    let server = serve(&dir, &flags.each_ref().map(String::as_str)).await;
    for (offered, agreed) in
        [(&["h2", "http/1.1"][..], Some("h2")), (&["http/1.1"], Some("http/1.1")), (&[], None)]
    {
        let mut stream = connect(&server, "first.example", &first, offered).await.unwrap();
        let chosen = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
        assert_eq!(chosen.as_deref(), agreed.map(str::as_bytes), "{offered:?}");
        if agreed != Some("h2") {
            let request =
                format!("GET {WELL_KNOWN} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            let _ = stream.read_to_string(&mut answer).await;
            assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        }
    }
    // A file that is half written changes nothing.
    fs::write(secrets.path().join("tls.crt"), "-----BEGIN CERT").unwrap();
    eventually("it is reported", async || server.log().contains("cannot be used")).await;
    connect(&server, "first.example", &first, &[]).await.unwrap();
    let second = issue(secrets.path(), "second.example");
    eventually("the new certificate is in use", async || {
        connect(&server, "second.example", &second, &[]).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn a_large_document_is_encrypted_however_often_it_is_sent() {
    let (dir, secrets) = (offers(800), tempfile::tempdir().unwrap());
    let certificate = issue(secrets.path(), "seller.example");
    let flags = flags(&secrets);
    let server = serve(&dir, &flags.each_ref().map(String::as_str)).await;
    let mut stream = connect(&server, "seller.example", &certificate, &["http/1.1"]).await.unwrap();
    let ask = |more| format!("GET {WELL_KNOWN} HTTP/1.1\r\nHost: a\r\n{more}\r\n");
    let requests = ask("").repeat(4) + &ask("Connection: close\r\n");
    stream.write_all(requests.as_bytes()).await.unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).await.unwrap();
    let (_, body) = answers.split_once("\r\n\r\n").unwrap();
    let (body, _) = body.split_once("HTTP/1.1").unwrap();
    assert!(body.len() > 40_000, "{}", body.len());
    assert_eq!(answers.matches(body).count(), 5);
}

#[test]
fn certificates_that_cannot_be_used_end_the_start_and_are_named() {
    let (dir, secrets) = (offers(1), tempfile::tempdir().unwrap());
    issue(secrets.path(), "a.example");
    let start = || {
        let ports = ["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
        let offers =
            ["--offers", dir.path().to_str().unwrap(), "--public-url", "https://a.example"];
        let flags = flags(&secrets);
        registrar(&[&ports[..], &offers, &flags.each_ref().map(String::as_str)].concat())
    };
    let other = KeyPair::generate().unwrap().serialize_pem();
    for (file, content, named) in [
        ("tls.key", other.as_str(), "cannot be used together"),
        ("tls.key", "not a key", "tls.key holds no PEM private key"),
        ("tls.crt", "", "tls.crt holds no certificate"),
    ] {
        fs::write(secrets.path().join(file), content).unwrap();
        let printed = start();
        assert_eq!(printed.code, Some(1), "{named}");
        assert!(printed.stderr.contains(named), "{named}: {}", printed.stderr);
    }
    fs::remove_file(secrets.path().join("tls.crt")).unwrap();
    assert!(start().stderr.contains("cannot read"), "{}", start().stderr);
    let alone = registrar(&["serve", "--offers", ".", "--tls-cert", "tls.crt"]);
    assert_eq!(alone.code, Some(2), "{}", alone.stderr);
}
