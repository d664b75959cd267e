//! Google Cloud KMS over its REST API: two requests, and a token.
//!
//! alloy's own crate for it speaks gRPC, with a second HTTP stack, a second provider of
//! cryptography and a C library.

use std::{path::PathBuf, str::FromStr, time::Duration};

use alloy::{
    primitives::{Address, B256},
    signers::{
        k256::ecdsa::{self, VerifyingKey},
        utils::public_key_to_address,
    },
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use url::Url;
use zeroize::Zeroizing;

use super::super::{
    SignerError,
    exchange::{Exchange, below, host},
    same_account, secret_file,
};

/// What every public key on secp256k1 begins with in DER (RFC 5480), before its uncompressed point.
pub(super) const KEY_PREFIX: [u8; 23] = [
    0x30, 0x56, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b,
    0x81, 0x04, 0x00, 0x0a, 0x03, 0x42, 0x00,
];
const TOKEN_PATH: &str = "/computeMetadata/v1/instance/service-accounts/default/token";
/// The only algorithm that signs for Ethereum. The digest is ours: SHA-256 is not computed.
const ALGORITHM: &str = "EC_SIGN_SECP256K1_SHA256";

/// Where access tokens come from.
#[derive(Clone, Debug)]
pub(crate) enum GcpToken {
    /// The metadata server, which knows the workload's service account.
    Metadata(Url),
    /// A file that something else renews.
    File(PathBuf),
}

/// A version of a key, by its resource name. Versions never change, and a key without one cannot sign.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct KeyVersion(String);

impl FromStr for KeyVersion {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        const FORM: &str =
            "is not projects/P/locations/L/keyRings/R/cryptoKeys/K/cryptoKeyVersions/N";
        let kinds = ["projects", "locations", "keyRings", "cryptoKeys", "cryptoKeyVersions"];
        let words: Vec<&str> = name.split('/').collect();
        let fits = |(kind, pair): (&str, &[&str])| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
            pair[0] == kind
                && pair[1].starts_with(|c: char| c.is_ascii_alphanumeric())
                && pair[1].chars().all(allowed)
        };
        let is_name = words.len() == 2 * kinds.len()
            && kinds.into_iter().zip(words.chunks_exact(2)).all(fits);
        if is_name { Ok(Self(name.to_owned())) } else { Err(FORM) }
    }
}

/// A key version, and how it is reached.
#[derive(Clone, Debug)]
pub(crate) struct GcpKms {
    pub(crate) key: KeyVersion,
    pub(crate) endpoint: Url,
    pub(crate) token: GcpToken,
}

impl GcpKms {
    /// What signs the digest, without any change to it.
    pub(super) async fn sign(
        &self,
        digest: &B256,
        limit: Duration,
    ) -> Result<ecdsa::Signature, SignerError> {
        let body = json!({
            "digest": { "sha256": STANDARD.encode(digest) },
            "digestCrc32c": crc32c(digest.as_slice()).to_string(),
        });
        let answer = self.ask(":asymmetricSign", Some(body), limit).await?;
        signature(&answer).map_err(|fault| match fault {
            Fault::Damaged(what) => SignerError::Busy { host: self.host(), text: what.to_owned() },
            Fault::Other(what) => SignerError::Unreadable(what.to_owned()),
        })
    }

    pub(super) async fn holds_key(
        &self,
        account: Address,
        limit: Duration,
    ) -> Result<(), SignerError> {
        let answer = self.ask("/publicKey", None, limit).await?;
        let theirs = public_key(&answer);
        same_account(theirs.map_err(|what| SignerError::Unreadable(what.to_owned()))?, account)
    }

    /// Nothing is asked; a file that cannot be read stops the start.
    pub(super) fn read_secrets(&self) -> Result<(), SignerError> {
        match &self.token {
            GcpToken::Metadata(_) => Ok(()),
            GcpToken::File(path) => secret_file::read(path).map(drop),
        }
    }

    pub(super) fn host(&self) -> String {
        host(&self.endpoint)
    }

    async fn ask(
        &self,
        what: &str,
        body: Option<Value>,
        limit: Duration,
    ) -> Result<Value, SignerError> {
        let token = Some(self.access_token(limit).await?);
        let url = below(&self.endpoint, &format!("v1/{}{what}", self.key.0));
        Exchange { url, header: None, body, token, limit }.run(reqwest::Client::builder()).await
    }

    /// The metadata server keeps a token until it expires, so that asking each time costs nothing.
    async fn access_token(&self, limit: Duration) -> Result<Zeroizing<String>, SignerError> {
        let server = match &self.token {
            GcpToken::File(path) => {
                return secret_file::read_token(path);
            }
            GcpToken::Metadata(server) => server,
        };
        let mut url = server.clone();
        url.set_path(TOKEN_PATH);
        let header = Some(("Metadata-Flavor", "Google"));
        let ask = Exchange { url, header, body: None, token: None, limit };
        let answer = ask.run(reqwest::Client::builder()).await?;
        let token = answer["access_token"].as_str().filter(|token| !token.is_empty());
        let what = "the metadata server's answer has no access_token";
        let token = token.ok_or_else(|| SignerError::Unreadable(what.to_owned()))?;
        Ok(Zeroizing::new(token.to_owned()))
    }
}

#[derive(Debug, PartialEq)]
enum Fault {
    /// Damaged on its way, so worth another request.
    Damaged(&'static str),
    Other(&'static str),
}

/// The signature in an answer, if digest and signature came as they were sent. Which key made it is
/// told by the account that is recovered from it.
fn signature(answer: &Value) -> Result<ecdsa::Signature, Fault> {
    if answer["verifiedDigestCrc32c"] != true {
        return Err(Fault::Damaged("the digest did not reach it undamaged"));
    }
    let der = answer["signature"].as_str().and_then(|text| STANDARD.decode(text).ok());
    let der = der.ok_or(Fault::Other("its answer has no signature in base64"))?;
    // An int64, which is a text in JSON.
    let said = answer["signatureCrc32c"].as_str().and_then(|text| text.parse().ok());
    if said != Some(crc32c(&der)) {
        return Err(Fault::Damaged("its signature did not arrive undamaged"));
    }
    ecdsa::Signature::from_der(&der).map_err(|_| Fault::Other("its signature is not one in DER"))
}

/// The account of the key in an answer.
fn public_key(answer: &Value) -> Result<Address, &'static str> {
    if answer["algorithm"] != ALGORITHM {
        return Err("the key's algorithm is not EC_SIGN_SECP256K1_SHA256");
    }
    let pem = answer["pem"].as_str().unwrap_or_default();
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let key = STANDARD.decode(body.trim()).ok();
    let key = key.as_deref().and_then(|der| der.strip_prefix(&KEY_PREFIX));
    let key = key.and_then(|point| VerifyingKey::from_sec1_bytes(point).ok());
    Ok(public_key_to_address(&key.ok_or("its public key is not one on secp256k1 in PEM")?))
}

/// The checksum that Google asks for (Castagnoli), of a few bytes.
fn crc32c(bytes: &[u8]) -> u32 {
    let bit = |crc: u32, _| (crc >> 1) ^ (0x82f6_3b78 * (crc & 1));
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), bit))
}

#[cfg(test)]
mod tests;
