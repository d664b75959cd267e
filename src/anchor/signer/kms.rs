//! Keys in a cloud's key management service, which signs digests and knows nothing of transactions.

#[cfg(feature = "aws-kms")]
mod aws;
mod gcp;

use std::time::Duration;

use alloy::{
    consensus::{SignableTransaction, TxEnvelope, TypedTransaction},
    eips::eip2718::Encodable2718,
    primitives::{Address, B256, Bytes, Signature},
    signers::k256::ecdsa,
};
use futures::future::{BoxFuture, FutureExt};

pub(crate) use self::gcp::{GcpKms, GcpToken, KeyVersion};
use super::{SignerError, SigningBackend};

/// Which service has the key.
#[derive(Clone, Debug)]
pub(crate) enum Cloud {
    /// The key is named as AWS names it: an id, an ARN or an alias. The region, the credentials and
    /// everything else come from where AWS's own tools take them.
    #[cfg(feature = "aws-kms")]
    Aws {
        key: String,
        /// Instead of the service's own address.
        endpoint: Option<url::Url>,
    },
    Gcp(GcpKms),
}

/// A key that signs for one account.
#[derive(Clone, Debug)]
pub(crate) struct KmsKey {
    pub(crate) cloud: Cloud,
    pub(crate) account: Address,
    /// How long a signature may take.
    pub(crate) limit: Duration,
}

impl KmsKey {
    /// Nothing is asked; a secret that cannot be read stops the start.
    pub(super) fn read_secrets(&self) -> Result<(), SignerError> {
        match &self.cloud {
            #[cfg(feature = "aws-kms")]
            Cloud::Aws { .. } => Ok(()),
            Cloud::Gcp(kms) => kms.read_secrets(),
        }
    }

    async fn signed(&self, transaction: &TypedTransaction) -> Result<Bytes, SignerError> {
        let digest = transaction.signature_hash();
        let signature = match &self.cloud {
            #[cfg(feature = "aws-kms")]
            Cloud::Aws { key, endpoint } => {
                let client = aws::client(key, endpoint.as_ref(), self.limit);
                let signature = async { aws::sign(client.await, key, self.account, &digest).await };
                self.in_time(aws::HOST, signature).await?
            }
            Cloud::Gcp(kms) => self.in_time(&kms.host(), kms.sign(&digest, self.limit)).await?,
        };
        completed(transaction, &digest, signature, self.account)
    }

    async fn holds_key(&self) -> Result<(), SignerError> {
        match &self.cloud {
            #[cfg(feature = "aws-kms")]
            Cloud::Aws { key, endpoint } => {
                let client = aws::client(key, endpoint.as_ref(), self.limit);
                let held = async { aws::open(client.await, key, self.account).await.map(drop) };
                self.in_time(aws::HOST, held).await
            }
            Cloud::Gcp(kms) => {
                self.in_time(&kms.host(), kms.holds_key(self.account, self.limit)).await
            }
        }
    }

    /// One limit for everything that a signature needs, the credentials and repetitions included.
    async fn in_time<T>(
        &self,
        host: &str,
        work: impl Future<Output = Result<T, SignerError>>,
    ) -> Result<T, SignerError> {
        let late = || SignerError::Late { host: host.to_owned(), limit: self.limit };
        tokio::time::timeout(self.limit, work).await.unwrap_or_else(|_| Err(late()))
    }
}

impl SigningBackend for KmsKey {
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

/// A transaction with a service's signature, which has two things wrong: nothing says which of two
/// keys made it, and half of all signatures have an s that Ethereum refuses.
fn completed(
    transaction: &TypedTransaction,
    digest: &B256,
    signature: ecdsa::Signature,
    account: Address,
) -> Result<Bytes, SignerError> {
    let low = signature.normalize_s().unwrap_or(signature);
    let both = [false, true].map(|is_odd| Signature::from_signature_and_parity(low, is_odd));
    let ours = both
        .into_iter()
        .find(|signature| signature.recover_address_from_prehash(digest).ok() == Some(account));
    let signature = ours.ok_or(SignerError::Signature(account))?;
    Ok(TxEnvelope::from(transaction.clone().into_signed(signature)).encoded_2718().into())
}

#[cfg(test)]
mod tests;
