//! The signer: a key in a file that can only be used with a reservation.

mod keystore;
mod secret_file;

use std::{fmt, path::PathBuf};

use alloy::{
    consensus::{
        SignableTransaction, TxEip1559, TxEnvelope, TxLegacy, TypedTransaction,
        transaction::SignerRecoverable,
    },
    eips::eip2718::Encodable2718,
    primitives::{Address, B256, Bytes, TxKind, U256},
    signers::{SignerSync, local::PrivateKeySigner},
};

use self::keystore::KeystoreError;
use super::{fees::Fees, plan::Reservation};

/// Where the key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeySource {
    /// An encrypted keystore file (Web3 Secret Storage).
    Keystore {
        path: PathBuf,
        /// The file that contains the password.
        password: PathBuf,
    },
    /// A file that contains a raw key in hex. For development only.
    DevelopmentKey(PathBuf),
}

/// Why a key cannot be used. No message contains the key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignerError {
    #[error("{path} cannot be read")]
    Read {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("the keystore {path} cannot be decrypted")]
    Keystore {
        path: String,
        #[source]
        source: KeystoreError,
    },
    #[error(
        "other users can write {path} (mode {mode:o}), so it may be anyone's key; run: chmod 600 {path}"
    )]
    WritableByOthers {
        path: String,
        /// Its permission bits.
        mode: u32,
    },
    #[error("{0} does not contain a private key in hex")]
    Key(String),
    #[error("the key belongs to account {theirs}, not to --account {ours}")]
    WrongAccount {
        theirs: Address,
        /// `--account`
        ours: Address,
    },
    #[error("the signer did not return a signature of {0}")]
    Signature(Address),
}

/// Signs for one account.
#[derive(Clone)]
pub(crate) struct Signer {
    key: PrivateKeySigner,
}

/// A transaction to be signed; the nonce comes from the reservation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unsigned<'a> {
    pub(crate) chain_id: u64,
    /// The registry.
    pub(crate) to: Address,
    pub(crate) data: &'a Bytes,
    /// The gas limit.
    pub(crate) gas: u64,
    pub(crate) fees: Fees,
    /// Whether to sign with a gas price, as type 0.
    pub(crate) is_legacy: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signed {
    pub(crate) hash: B256,
    /// The EIP-2718 bytes that are sent.
    pub(crate) raw: Bytes,
}

impl Signer {
    /// Reads a key. If `account` is given, the key must belong to it.
    pub(crate) fn open(source: &KeySource, account: Option<Address>) -> Result<Self, SignerError> {
        let key = match source {
            KeySource::Keystore { path, password } => {
                let password = secret_file::read(password)?;
                let keystore = secret_file::read(path)?;
                let path = || path.display().to_string();
                let key = keystore::decrypt(&keystore, password.trim_end_matches(['\r', '\n']))
                    .map_err(|source| SignerError::Keystore { path: path(), source })?;
                PrivateKeySigner::from_slice(&key).map_err(|_| SignerError::Key(path()))?
            }
            KeySource::DevelopmentKey(path) => {
                let text = secret_file::read(path)?;
                text.trim().parse().map_err(|_| SignerError::Key(path.display().to_string()))?
            }
        };
        match account {
            Some(ours) if ours != key.address() => {
                Err(SignerError::WrongAccount { theirs: key.address(), ours })
            }
            Some(_) | None => Ok(Self { key }),
        }
    }

    pub(crate) fn account(&self) -> Address {
        self.key.address()
    }

    /// Signs at the reserved nonce with value 0, and checks that the signature is the account's.
    pub(crate) fn sign(
        &self,
        reservation: &Reservation,
        unsigned: Unsigned<'_>,
    ) -> Result<Signed, SignerError> {
        let transaction = unsigned.transaction(reservation.nonce());
        let refused = || SignerError::Signature(self.account());
        let signature =
            self.key.sign_hash_sync(&transaction.signature_hash()).map_err(|_| refused())?;
        let envelope = TxEnvelope::from(transaction.into_signed(signature));
        if envelope.recover_signer().ok() != Some(self.account()) {
            return Err(refused());
        }
        Ok(Signed { hash: *envelope.tx_hash(), raw: envelope.encoded_2718().into() })
    }
}

impl Unsigned<'_> {
    /// The call at a nonce, with value 0.
    fn transaction(&self, nonce: u64) -> TypedTransaction {
        let (to, input) = (TxKind::Call(self.to), self.data.clone());
        if self.is_legacy {
            return TypedTransaction::Legacy(TxLegacy {
                chain_id: Some(self.chain_id),
                nonce,
                gas_price: self.fees.max_fee,
                gas_limit: self.gas,
                to,
                value: U256::ZERO,
                input,
            });
        }
        TypedTransaction::Eip1559(TxEip1559 {
            chain_id: self.chain_id,
            nonce,
            gas_limit: self.gas,
            max_fee_per_gas: self.fees.max_fee,
            max_priority_fee_per_gas: self.fees.tip,
            to,
            value: U256::ZERO,
            access_list: Default::default(),
            input,
        })
    }
}

/// The bytes that a signature would be made for: by them rollups compute what the data costs.
pub(super) fn unsigned_bytes(nonce: u64, unsigned: &Unsigned<'_>) -> Vec<u8> {
    unsigned.transaction(nonce).encoded_for_signing()
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.account())
    }
}

#[cfg(test)]
pub(super) mod tests;
