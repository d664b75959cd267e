//! The signer: whatever holds the account's key, behind a policy, usable only with a reservation.
//!
//! Every kind of signer gets the same treatment. What is to be signed must be a call that the
//! registrar makes, within the operator's limits; what comes back is not trusted: it is decoded,
//! compared field by field with what was asked for, and its signer is recovered.

mod exchange;
mod http;
mod keystore;
mod kms;
mod local;
mod policy;
mod secret_file;
mod stack;
mod verify;
mod web3signer;

use std::{collections::BTreeMap, error::Error, fmt, path::PathBuf, sync::Arc, time::Duration};

use alloy::{
    consensus::{SignableTransaction, TxEip1559, TxLegacy, TypedTransaction},
    primitives::{Address, B256, Bytes, TxKind, U256},
};
use futures::future::BoxFuture;
use reqwest::StatusCode;

pub(crate) use self::{
    http::{HttpSigner, Protocol, TIME_LIMIT},
    kms::{Cloud, GcpKms, GcpToken, KeyVersion, KmsKey},
    policy::SigningPolicy,
};
use self::{keystore::KeystoreError, local::LocalKey, policy::PolicyBreach, verify::verify};
use super::{fees::Fees, plan::Reservation, reason::AnchorReason};

/// Where the key is.
#[derive(Clone, Debug)]
pub(crate) enum KeySource {
    /// An encrypted keystore file (Web3 Secret Storage).
    Keystore {
        path: PathBuf,
        /// The file that contains the password.
        password: PathBuf,
    },
    /// A file that contains a raw key in hex. For development only.
    DevelopmentKey(PathBuf),
    /// In a service that signs over HTTP.
    Http(HttpSigner),
    /// In a cloud's key management service.
    Kms(KmsKey),
}

impl KeySource {
    /// Whether it signs no transactions with a gas price.
    pub(crate) fn signs_type_2_only(&self) -> bool {
        match self {
            Self::Http(signer) => signer.protocol == Protocol::Stack,
            Self::Keystore { .. } | Self::DevelopmentKey(_) | Self::Kms(_) => false,
        }
    }
}

/// Why nothing was signed. No message contains a key, a token or a URL.
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
    #[error("the transaction is not one that may be signed")]
    Policy(#[source] PolicyBreach),
    #[error("the signature is not one of {0}")]
    Signature(Address),
    #[error("the answer is not a signed transaction: {0}")]
    Unreadable(String),
    #[error("the signer returned a transaction with another {0} than it was asked to sign")]
    Changed(&'static str),
    #[error("{path} cannot be used: {what}")]
    Certificate {
        path: String,
        /// What it should contain.
        what: &'static str,
    },
    #[error("the signer at {host} cannot be reached")]
    Unreachable {
        host: String,
        /// Without the URL.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    #[error("the signer at {host} did not answer within {} s", limit.as_secs())]
    Late { host: String, limit: Duration },
    #[error("the answer of the signer at {host} has more than {limit} bytes")]
    TooLarge { host: String, limit: usize },
    #[error("the signer at {host} answers {status}: {text}")]
    Status { host: String, status: StatusCode, text: String },
    #[error("the signer at {host} is busy: {text}")]
    Busy { host: String, text: String },
    #[error("the signer at {host} did not sign: {text}")]
    Declined { host: String, text: String },
    #[error("the signer at {host} does not hold the key of {account}")]
    NoSuchKey { host: String, account: Address },
}

impl SignerError {
    /// The reason that the agent gets. A signer that is down or busy may answer the next decision.
    pub(crate) fn reason(&self) -> AnchorReason {
        match self {
            Self::Unreachable { .. } | Self::Late { .. } | Self::Busy { .. } => {
                AnchorReason::SignerUnreachable
            }
            Self::Status { status, .. } if is_temporary(*status) => AnchorReason::SignerUnreachable,
            Self::Status { .. }
            | Self::Read { .. }
            | Self::Keystore { .. }
            | Self::WritableByOthers { .. }
            | Self::Key(_)
            | Self::WrongAccount { .. }
            | Self::Policy(_)
            | Self::Signature(_)
            | Self::Unreadable(_)
            | Self::Changed(_)
            | Self::Certificate { .. }
            | Self::TooLarge { .. }
            | Self::Declined { .. }
            | Self::NoSuchKey { .. } => AnchorReason::SignerFailed,
        }
    }
}

fn is_temporary(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
}

/// What makes signatures of one account.
pub(crate) trait SigningBackend: Send + Sync {
    /// The signed transaction's EIP-2718 bytes. The caller checks them.
    fn sign<'a>(
        &'a self,
        transaction: &'a TypedTransaction,
    ) -> BoxFuture<'a, Result<Bytes, SignerError>>;

    /// Whether it can be used at this moment, without signing anything.
    fn check(&self) -> BoxFuture<'_, Result<(), SignerError>>;
}

/// Signs for one account, within a policy for each chain.
#[derive(Clone)]
pub(crate) struct Signer {
    account: Address,
    backend: Arc<dyn SigningBackend>,
    policies: BTreeMap<u64, SigningPolicy>,
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
    /// Reads a key, or the secrets that a service asks for. If `account` is given, a key must belong
    /// to it. No service is asked anything yet: it may be down.
    pub(crate) fn open(
        source: &KeySource,
        account: Option<Address>,
        policies: impl IntoIterator<Item = SigningPolicy>,
    ) -> Result<Self, SignerError> {
        let policies = policies.into_iter().map(|policy| (policy.chain_id, policy)).collect();
        let (backend, theirs): (Arc<dyn SigningBackend>, _) = match source {
            KeySource::Keystore { path, password } => {
                let key = LocalKey::from_keystore(path, password)?;
                let account = key.account();
                (Arc::new(key), account)
            }
            KeySource::DevelopmentKey(path) => {
                let key = LocalKey::from_hex(path)?;
                let account = key.account();
                (Arc::new(key), account)
            }
            KeySource::Http(signer) => {
                signer.read_secrets()?;
                (Arc::new(signer.clone()), signer.account)
            }
            KeySource::Kms(key) => {
                key.read_secrets()?;
                (Arc::new(key.clone()), key.account)
            }
        };
        same_account(theirs, account.unwrap_or(theirs))?;
        Ok(Self { account: theirs, backend, policies })
    }

    pub(crate) fn account(&self) -> Address {
        self.account
    }

    /// Whether it can be used at this moment, without signing anything.
    pub(crate) async fn check(&self) -> Result<(), SignerError> {
        self.backend.check().await
    }

    /// Has a transaction signed at the reserved nonce with value 0, and believes nothing about the
    /// answer.
    pub(crate) async fn sign(
        &self,
        reservation: &Reservation,
        unsigned: Unsigned<'_>,
    ) -> Result<Signed, SignerError> {
        let transaction = unsigned.transaction(reservation.nonce());
        let policy = self.policies.get(&unsigned.chain_id);
        let policy =
            policy.ok_or(SignerError::Policy(PolicyBreach::UnknownChain(unsigned.chain_id)))?;
        policy.check(&transaction).map_err(SignerError::Policy)?;
        let raw = self.backend.sign(&transaction).await?;
        verify(&transaction, &raw, self.account)
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

/// Checks that a key is that of the configured account.
fn same_account(theirs: Address, ours: Address) -> Result<(), SignerError> {
    if theirs == ours { Ok(()) } else { Err(SignerError::WrongAccount { theirs, ours }) }
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
