//! A key in this process, read from a file.

use std::path::Path;

use alloy::{
    consensus::{SignableTransaction, TxEnvelope, TypedTransaction},
    eips::eip2718::Encodable2718,
    primitives::{Address, Bytes},
    signers::{SignerSync, local::PrivateKeySigner},
};
use futures::future::{BoxFuture, FutureExt};

use super::{SignerError, SigningBackend, keystore, secret_file};

pub(super) struct LocalKey {
    key: PrivateKeySigner,
}

impl LocalKey {
    /// Decrypts a keystore with the password in a file.
    pub(super) fn from_keystore(path: &Path, password: &Path) -> Result<Self, SignerError> {
        let password = secret_file::read(password)?;
        let keystore = secret_file::read(path)?;
        let path = || path.display().to_string();
        let key = keystore::decrypt(&keystore, password.trim_end_matches(['\r', '\n']))
            .map_err(|source| SignerError::Keystore { path: path(), source })?;
        let key = PrivateKeySigner::from_slice(&key).map_err(|_| SignerError::Key(path()))?;
        Ok(Self { key })
    }

    /// Reads a raw key.
    pub(super) fn from_hex(path: &Path) -> Result<Self, SignerError> {
        let text = secret_file::read(path)?;
        let key = text.trim().parse().map_err(|_| SignerError::Key(path.display().to_string()))?;
        Ok(Self { key })
    }

    pub(super) fn account(&self) -> Address {
        self.key.address()
    }

    fn signed(&self, transaction: &TypedTransaction) -> Result<Bytes, SignerError> {
        let signature = self
            .key
            .sign_hash_sync(&transaction.signature_hash())
            .map_err(|_| SignerError::Signature(self.account()))?;
        let envelope = TxEnvelope::from(transaction.clone().into_signed(signature));
        Ok(envelope.encoded_2718().into())
    }
}

impl SigningBackend for LocalKey {
    fn sign<'a>(
        &'a self,
        transaction: &'a TypedTransaction,
    ) -> BoxFuture<'a, Result<Bytes, SignerError>> {
        async move { self.signed(transaction) }.boxed()
    }

    fn check(&self) -> BoxFuture<'_, Result<(), SignerError>> {
        async { Ok(()) }.boxed()
    }
}
