//! Signers over HTTP: one request for each signature.
//!
//! Secrets are read from their files for each request, so that rotated ones are used.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use alloy::{
    consensus::TypedTransaction,
    primitives::{Address, Bytes},
};
use futures::future::{BoxFuture, FutureExt};
use reqwest::{Certificate, Identity};
use serde_json::Value;
use url::Url;
use zeroize::Zeroizing;

use super::{
    SignerError, SigningBackend,
    exchange::{Exchange, below, host, quoted},
    secret_file, stack, web3signer,
};

/// How long a signature may take, unless a test says otherwise.
pub(crate) const TIME_LIMIT: Duration = Duration::from_secs(15);

/// How a signer is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// The stack's remote signer.
    Stack,
    Web3Signer,
}

/// A service that holds the key.
#[derive(Clone, Debug)]
pub(crate) struct HttpSigner {
    pub(crate) protocol: Protocol,
    pub(crate) url: Url,
    /// The account that it is to sign for.
    pub(crate) account: Address,
    /// The file with the bearer token.
    pub(crate) token: Option<PathBuf>,
    /// The file with the only certificate authorities to trust, instead of the system's.
    pub(crate) authority: Option<PathBuf>,
    /// The files with the client's certificate chain and its key.
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
    /// How long a request may take.
    pub(crate) limit: Duration,
}

/// One request; GET without a body.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ask {
    /// Below the configured URL.
    pub(super) path: String,
    pub(super) body: Option<Value>,
}

/// What the files contain that a request needs.
pub(super) struct Secrets {
    token: Option<Zeroizing<String>>,
    authority: Option<Vec<Certificate>>,
    identity: Option<Identity>,
}

impl HttpSigner {
    /// Reads the secrets that a request needs.
    pub(super) fn read_secrets(&self) -> Result<Secrets, SignerError> {
        let unusable =
            |path: &Path, what| SignerError::Certificate { path: path.display().to_string(), what };
        let token = self.token.as_deref().map(secret_file::read_token).transpose()?;
        let authority = self.authority.as_deref().map(|path| {
            let text = secret_file::read(path)?;
            let found = Certificate::from_pem_bundle(text.as_bytes()).unwrap_or_default();
            let what = "it contains no certificate in PEM";
            if found.is_empty() { Err(unusable(path, what)) } else { Ok(found) }
        });
        let identity = self.identity.as_ref().map(|(chain, key)| {
            let both =
                [secret_file::read(chain)?.as_bytes(), b"\n", secret_file::read(key)?.as_bytes()]
                    .concat();
            let what = "it and the key file are not a certificate and its key in PEM";
            Identity::from_pem(&Zeroizing::new(both)).map_err(|_| unusable(chain, what))
        });
        Ok(Secrets { token, authority: authority.transpose()?, identity: identity.transpose()? })
    }

    async fn exchange(&self, ask: Ask) -> Result<Value, SignerError> {
        let Secrets { token, authority, identity } = self.read_secrets()?;
        let mut client = reqwest::Client::builder();
        if let Some(authority) = authority {
            client = client.tls_certs_only(authority);
        }
        if let Some(identity) = identity {
            client = client.identity(identity);
        }
        let (url, limit) = (below(&self.url, &ask.path), self.limit);
        Exchange { url, header: None, body: ask.body, token, limit }.run(client).await
    }

    async fn signed(&self, transaction: &TypedTransaction) -> Result<Bytes, SignerError> {
        let ask = match self.protocol {
            Protocol::Stack => stack::sign(self.account, transaction).ok_or_else(|| {
                let text = "it signs transactions of type 2 only".to_owned();
                SignerError::Declined { host: self.host(), text }
            })?,
            Protocol::Web3Signer => web3signer::sign(self.account, transaction),
        };
        let answer = self.exchange(ask).await?;
        let signed = match self.protocol {
            Protocol::Stack => stack::signed(&answer),
            Protocol::Web3Signer => web3signer::signed(&answer),
        };
        signed.map_err(|said| {
            let secret = self.token.as_deref().and_then(|path| secret_file::read_token(path).ok());
            let text = quoted(&said, secret.as_deref().map(String::as_str));
            SignerError::Declined { host: self.host(), text }
        })
    }

    async fn holds_key(&self) -> Result<(), SignerError> {
        let keys = match self.protocol {
            Protocol::Stack => stack::held(&self.exchange(stack::keys()).await?),
            Protocol::Web3Signer => web3signer::held(&self.exchange(web3signer::keys()).await?),
        };
        match keys.contains(&self.account) {
            true => Ok(()),
            false => Err(SignerError::NoSuchKey { host: self.host(), account: self.account }),
        }
    }

    fn host(&self) -> String {
        host(&self.url)
    }
}

impl SigningBackend for HttpSigner {
    fn sign<'a>(
        &'a self,
        transaction: &'a TypedTransaction,
    ) -> BoxFuture<'a, Result<Bytes, SignerError>> {
        self.signed(transaction).boxed()
    }

    fn check(&self) -> BoxFuture<'_, Result<(), SignerError>> {
        self.holds_key().boxed()
    }
}

/// Bytes in hex, with or without `0x`.
pub(super) fn bytes(value: &Value) -> Option<Bytes> {
    let text = value.as_str()?;
    alloy::primitives::hex::decode(text).ok().map(Bytes::from)
}

#[cfg(test)]
pub(super) mod tests;
