//! Signers over HTTP: one bounded request for each signature, whose answer may be anything.
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
use reqwest::{Certificate, Identity, Method, redirect::Policy};
use serde_json::Value;
use url::Url;
use zeroize::Zeroizing;

use super::{SignerError, SigningBackend, secret_file, stack, web3signer};

/// The largest answer that is read, in bytes: several times the largest transaction.
const LARGEST: usize = 128 * 1024;
/// How much of what a signer says is repeated, in characters.
const LONGEST_TEXT: usize = 200;
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
        let token = self.token.as_deref().map(secret_file::read).transpose()?;
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
        Ok(Secrets {
            token: token.map(|token| Zeroizing::new(token.trim().to_owned())),
            authority: authority.transpose()?,
            identity: identity.transpose()?,
        })
    }

    async fn exchange(&self, ask: Ask) -> Result<Value, SignerError> {
        let host = || self.host();
        let Secrets { token, authority, identity } = self.read_secrets()?;
        let failed = |source: reqwest::Error| match source.is_timeout() {
            true => SignerError::Late { host: host(), limit: self.limit },
            false => SignerError::Unreachable { host: host(), source: source.without_url() },
        };
        // A redirection would take the token and the request to somewhere else.
        let mut client =
            reqwest::Client::builder().timeout(self.limit).redirect(Policy::none()).no_proxy();
        if let Some(authority) = authority {
            client = client.tls_certs_only(authority);
        }
        if let Some(identity) = identity {
            client = client.identity(identity);
        }
        let method = if ask.body.is_some() { Method::POST } else { Method::GET };
        let mut request = client.build().map_err(failed)?.request(method, self.place(&ask.path));
        if let Some(token) = &token {
            request = request.bearer_auth(token.as_str());
        }
        if let Some(body) = &ask.body {
            request = request.json(body);
        }
        let mut response = request.send().await.map_err(failed)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > LARGEST {
                return Err(SignerError::TooLarge { host: host(), limit: LARGEST });
            }
            body.extend_from_slice(&chunk);
        }
        let answer = serde_json::from_slice::<Value>(&body).ok();
        // Some signers answer with a status and an error in JSON, others with text.
        if !status.is_success() {
            let said = answer.as_ref().and_then(|answer| failure(&answer["error"]));
            let said = said.unwrap_or_else(|| String::from_utf8_lossy(&body).into_owned());
            let text = quoted(&said, token.as_deref().map(String::as_str));
            return Err(SignerError::Status { host: host(), status, text });
        }
        answer.ok_or_else(|| SignerError::Unreadable("it is not JSON".to_owned()))
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
            let secret = self.token.as_deref().and_then(|path| secret_file::read(path).ok());
            let text = quoted(&said, secret.as_deref().map(|token| token.trim()));
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

    /// A path below the configured URL.
    fn place(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        if !path.is_empty() {
            let base = url.path().trim_end_matches('/').to_owned();
            url.set_path(&format!("{base}/{path}"));
        }
        url
    }

    /// How messages name it: a URL may contain secrets.
    fn host(&self) -> String {
        self.url.host_str().unwrap_or("the configured URL").to_owned()
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

/// What an `error` member says; `None` if there is none.
pub(super) fn failure(error: &Value) -> Option<String> {
    match error {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Object(members) => match members.get("message").and_then(Value::as_str) {
            Some(message) => Some(message.to_owned()),
            None => Some(error.to_string()),
        },
        Value::Bool(_) | Value::Number(_) | Value::Array(_) => Some(error.to_string()),
    }
}

/// Bytes in hex, with or without `0x`.
pub(super) fn bytes(value: &Value) -> Option<Bytes> {
    let text = value.as_str()?;
    alloy::primitives::hex::decode(text).ok().map(Bytes::from)
}

/// What a signer said, fit for a log: short, on one line, and without the token, which it was sent.
fn quoted(said: &str, secret: Option<&str>) -> String {
    let said = match secret {
        Some(secret) if !secret.is_empty() => said.replace(secret, "…"),
        Some(_) | None => said.to_owned(),
    };
    let short: String = said.chars().take(LONGEST_TEXT).collect();
    format!("{short:?}")
}

#[cfg(test)]
mod tests;
