//! TLS: certificates that may be replaced while the listener runs.

use std::{
    fmt, fs, io,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio_rustls::TlsAcceptor;

/// How often the files are compared. A mounted Secret changes by a link that is moved, which file
/// system notification does not see on every system.
const RELOAD_INTERVAL: Duration = Duration::from_secs(5);

/// Why certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("cannot read {path}")]
    Read { path: String, source: io::Error },
    #[error("{path} holds no PEM {content}")]
    Pem { path: String, content: &'static str, source: rustls::pki_types::pem::Error },
    #[error("{path} holds no certificate")]
    Empty { path: String },
    #[error("{cert} and {key} cannot be used together")]
    Key { cert: String, key: String, source: rustls::Error },
}

/// A certificate chain and its key, from two PEM files.
pub(crate) struct Certificates {
    cert: PathBuf,
    key: PathBuf,
    current: RwLock<Current>,
}

struct Current {
    /// The bytes of both files.
    files: [Vec<u8>; 2],
    certified: Arc<CertifiedKey>,
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The key is not for logs.
        f.debug_struct("Certificates").field("cert", &self.cert).finish_non_exhaustive()
    }
}

impl Certificates {
    /// Reads both files.
    ///
    /// # Errors
    ///
    /// A file cannot be read, holds something else, or the key is not that of the certificate.
    pub(crate) fn read(cert: PathBuf, key: PathBuf) -> Result<Self, TlsError> {
        let files = read(&cert, &key)?;
        let certified = certify(&files, &cert, &key)?.into();
        Ok(Self { cert, key, current: RwLock::new(Current { files, certified }) })
    }

    /// Reads the files again whenever they have changed, forever. Files that cannot be used are
    /// logged once, and the last good ones stay.
    pub(crate) async fn reload(self: Arc<Self>) -> String {
        let mut refused = None;
        loop {
            tokio::time::sleep(RELOAD_INTERVAL).await;
            let files = read(&self.cert, &self.key);
            let is_known = files.as_ref().is_ok_and(|files| {
                *files == self.current.read().unwrap_or_else(PoisonError::into_inner).files
            });
            if is_known {
                refused = None;
                continue;
            }
            let certified = files.and_then(|files| {
                let certified = certify(&files, &self.cert, &self.key)?;
                Ok((files, certified))
            });
            match certified {
                Ok((files, certified)) => {
                    let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
                    *current = Current { files, certified: certified.into() };
                    refused = None;
                    tracing::info!("New TLS certificates are in use");
                }
                Err(error) => {
                    let text = crate::error_chain::with_causes(&error);
                    if refused.as_ref() != Some(&text) {
                        tracing::error!(error = %text, "The TLS certificates cannot be used; the last ones stay in use");
                    }
                    refused = Some(text);
                }
            }
        }
    }
}

fn read(cert: &PathBuf, key: &PathBuf) -> Result<[Vec<u8>; 2], TlsError> {
    let file = |path: &PathBuf| {
        let path_text = || path.display().to_string();
        fs::read(path).map_err(|source| TlsError::Read { path: path_text(), source })
    };
    Ok([file(cert)?, file(key)?])
}

fn certify(
    [chain, private]: &[Vec<u8>; 2],
    cert: &std::path::Path,
    key: &std::path::Path,
) -> Result<CertifiedKey, TlsError> {
    let (cert, key) = (cert.display().to_string(), key.display().to_string());
    let chain: Vec<_> = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<_, _>>()
        .map_err(|source| TlsError::Pem { path: cert.clone(), content: "certificate", source })?;
    if chain.is_empty() {
        return Err(TlsError::Empty { path: cert });
    }
    let private = PrivateKeyDer::from_pem_slice(private).map_err(|source| TlsError::Pem {
        path: key.clone(),
        content: "private key",
        source,
    })?;
    CertifiedKey::from_der(chain, private, &rustls::crypto::ring::default_provider())
        .map_err(|source| TlsError::Key { cert, key, source })
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&current.certified))
    }
}

/// Speaks TLS 1.2 and 1.3, and agrees on HTTP/2 or HTTP/1.1.
pub(super) fn acceptor(certificates: &Arc<Certificates>) -> TlsAcceptor {
    let resolver: Arc<dyn ResolvesServerCert> = Arc::clone(certificates) as _;
    let mut config = ServerConfig::builder().with_no_client_auth().with_cert_resolver(resolver);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}
