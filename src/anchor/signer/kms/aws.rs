//! AWS KMS, by alloy's crate on AWS's own client: its credentials come from the environment, from
//! a web identity (IRSA), from a container's or a node's metadata service, or from its files.

use std::{error::Error, time::Duration};

use alloy::{
    primitives::{Address, B256},
    signers::{Signer as _, k256::ecdsa},
};
use alloy_signer_aws::{
    AwsSigner, AwsSignerError,
    aws_config::{self, BehaviorVersion, ConfigLoader, Region, timeout::TimeoutConfig},
    aws_sdk_kms::{
        Client,
        config::http::HttpResponse,
        error::{ProvideErrorMetadata, SdkError},
    },
};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use reqwest::StatusCode;
use url::Url;

use super::super::{SignerError, exchange::quoted, same_account};
use crate::error_chain::with_causes;

/// How messages name the service.
pub(super) const HOST: &str = "AWS KMS";

/// A client with what is configured now: rotated credentials are used, and no connection stays open
/// between two signatures, which may be days apart.
pub(super) async fn client(key: &str, endpoint: Option<&Url>, limit: Duration) -> Client {
    Client::new(&settings(key, endpoint, limit).load().await)
}

fn settings(key: &str, endpoint: Option<&Url>, limit: Duration) -> ConfigLoader {
    // The provider of cryptography that everything else uses.
    let https = Provider::Rustls(CryptoMode::Ring);
    let http = aws_smithy_http_client::Builder::new().tls_provider(https).build_https();
    let timeouts = TimeoutConfig::builder().operation_timeout(limit).build();
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http)
        .timeout_config(timeouts);
    if let Some(region) = region(key) {
        loader = loader.region(Region::new(region.to_owned()));
    }
    if let Some(endpoint) = endpoint {
        loader = loader.endpoint_url(endpoint.as_str());
    }
    loader
}

/// The key, if it is the account's. Its public key is asked for each time: an alias may name
/// another key tomorrow.
pub(super) async fn open(
    client: Client,
    key: &str,
    account: Address,
) -> Result<AwsSigner, SignerError> {
    let signer = AwsSigner::new(client, key.to_owned(), None).await.map_err(failed)?;
    same_account(signer.address(), account)?;
    Ok(signer)
}

pub(super) async fn sign(
    client: Client,
    key: &str,
    account: Address,
    digest: &B256,
) -> Result<ecdsa::Signature, SignerError> {
    let key = open(client, key, account).await?;
    key.sign_digest(digest).await.map_err(failed)
}

/// The region in an ARN, which is the only one that has the key.
fn region(key: &str) -> Option<&str> {
    let mut words = key.split(':');
    let is_arn = words.next() == Some("arn") && words.nth(1) == Some("kms");
    words.next().filter(|region| is_arn && !region.is_empty())
}

fn failed(error: AwsSignerError) -> SignerError {
    match error {
        AwsSignerError::Sign(error) => refused(error),
        AwsSignerError::GetPublicKey(error) => refused(error),
        AwsSignerError::K256(_)
        | AwsSignerError::Spki(_)
        | AwsSignerError::Hex(_)
        | AwsSignerError::SignatureNotFound
        | AwsSignerError::PublicKeyNotFound
        | AwsSignerError::SignatureRecoveryFailed => SignerError::Unreadable(with_causes(&error)),
    }
}

fn refused<E>(error: SdkError<E, HttpResponse>) -> SignerError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let host = HOST.to_owned();
    let late = |error: &SdkError<E, HttpResponse>| SignerError::Unreachable {
        host: HOST.to_owned(),
        source: with_causes(error).into(),
    };
    match &error {
        SdkError::TimeoutError(_) => late(&error),
        SdkError::DispatchFailure(failure) if failure.is_timeout() || failure.is_io() => {
            late(&error)
        }
        SdkError::ServiceError(answer) => {
            let (code, said) = (answer.err().code(), answer.err().message());
            let said = [code, said].into_iter().flatten().collect::<Vec<_>>().join(": ");
            let text = quoted(&said, None);
            match StatusCode::from_u16(answer.raw().status().as_u16()) {
                // It says so with 400.
                Ok(_) if code.is_some_and(|code| code.starts_with("Throttling")) => {
                    SignerError::Busy { host, text }
                }
                Ok(status) if !status.is_success() => SignerError::Status { host, status, text },
                Ok(_) | Err(_) => SignerError::Unreadable(quoted(&with_causes(&error), None)),
            }
        }
        SdkError::ResponseError(_) => SignerError::Unreadable(quoted(&with_causes(&error), None)),
        // There are no credentials, no region, or not such a setting.
        SdkError::ConstructionFailure(_) | SdkError::DispatchFailure(_) | _ => {
            SignerError::Declined { host, text: quoted(&with_causes(&error), None) }
        }
    }
}

#[cfg(test)]
mod tests;
