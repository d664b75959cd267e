//! The signer: a key in a file, reached only with a reservation, and held to the account that was asked for.

use std::{fmt, fs, path::PathBuf};

use alloy::{
    consensus::{SignableTransaction, TxEip1559, TxEnvelope, transaction::SignerRecoverable},
    eips::eip2718::Encodable2718,
    primitives::{Address, B256, Bytes, TxKind, U256},
    signers::{SignerSync, local::PrivateKeySigner},
};

use super::{fees::Fees, plan::Reservation};

/// Where the key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeySource {
    /// An encrypted keystore file (Web3 Secret Storage), and the file that holds its password.
    Keystore {
        /// The keystore.
        path: PathBuf,
        /// The password's file.
        password: PathBuf,
    },
    /// A file with a raw key in hex. For development only.
    DevelopmentKey(PathBuf),
}

/// Why a key cannot be used. It never says the key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignerError {
    /// A file cannot be read.
    #[error("{path} cannot be read")]
    Read {
        /// Which file.
        path: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The keystore does not open.
    #[error("the keystore {0} cannot be opened: wrong password, or no keystore")]
    Keystore(String),
    /// The file holds no key.
    #[error("{0} holds no private key in hex")]
    Key(String),
    /// The key is of another account than the one that was asked for.
    #[error("the key is of account {theirs}, not of --account {ours}")]
    WrongAccount {
        /// The key's account.
        theirs: Address,
        /// `--account`.
        ours: Address,
    },
    /// The signature is not the account's.
    #[error("the signer gave no signature of {0}")]
    Signature(Address),
}

/// Signs for one account.
#[derive(Clone)]
pub(crate) struct Signer {
    key: PrivateKeySigner,
}

/// A transaction to be signed: what it does, at what price.
#[derive(Clone, Debug)]
pub(crate) struct Unsigned {
    /// The chain.
    pub(crate) chain_id: u64,
    /// The registry.
    pub(crate) to: Address,
    /// The calldata.
    pub(crate) data: Bytes,
    /// The gas limit.
    pub(crate) gas: u64,
    /// The fees.
    pub(crate) fees: Fees,
}

/// Signed bytes and their hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signed {
    /// The transaction's hash.
    pub(crate) hash: B256,
    /// EIP-2718 bytes, as they are sent.
    pub(crate) raw: Bytes,
}

impl Signer {
    /// Opens a key, and holds it to `account` if one is named.
    pub(crate) fn open(source: &KeySource, account: Option<Address>) -> Result<Self, SignerError> {
        let read = |path: &PathBuf| {
            let failed = |source| SignerError::Read { path: path.display().to_string(), source };
            fs::read_to_string(path).map_err(failed)
        };
        let key = match source {
            KeySource::Keystore { path, password } => {
                let password = read(password)?;
                read(path)?;
                let opened = PrivateKeySigner::decrypt_keystore(
                    path,
                    password.trim_end_matches(['\r', '\n']),
                );
                opened.map_err(|_| SignerError::Keystore(path.display().to_string()))?
            }
            KeySource::DevelopmentKey(path) => {
                let text = read(path)?;
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

    /// The account.
    pub(crate) fn account(&self) -> Address {
        self.key.address()
    }

    /// Signs at the reserved nonce, with no value, and checks whose signature it is.
    pub(crate) fn sign(
        &self,
        reservation: &Reservation,
        unsigned: &Unsigned,
    ) -> Result<Signed, SignerError> {
        let transaction = TxEip1559 {
            chain_id: unsigned.chain_id,
            nonce: reservation.nonce(),
            gas_limit: unsigned.gas,
            max_fee_per_gas: unsigned.fees.max_fee,
            max_priority_fee_per_gas: unsigned.fees.tip,
            to: TxKind::Call(unsigned.to),
            value: U256::ZERO,
            access_list: Default::default(),
            input: unsigned.data.clone(),
        };
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

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.account())
    }
}

#[cfg(test)]
mod tests;
