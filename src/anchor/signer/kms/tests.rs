//! What services of keys answer, rightly and wrongly. Each cloud's tests say it in its protocol.

use alloy::{
    consensus::{SignableTransaction, TypedTransaction},
    primitives::B256,
    signers::{
        SignerSync,
        k256::ecdsa::{self, Signature},
        local::PrivateKeySigner,
    },
};
use base64::{Engine, engine::general_purpose::STANDARD};

use super::{completed, gcp::KEY_PREFIX};
use crate::anchor::signer::{
    SignerError,
    tests::{ACCOUNT, SECRET, asked, mint, signed_by},
    verify,
};

/// Another key.
pub(super) const STRANGER: &str =
    "1111111111111111111111111111111111111111111111111111111111111111";

pub(super) fn wanted() -> TypedTransaction {
    TypedTransaction::Eip1559(asked(&mint()))
}

/// A key's signature, with the s that Ethereum refuses if it is to be high.
fn signature(secret: &str, digest: &B256, is_high: bool) -> Signature {
    let key: PrivateKeySigner = secret.parse().unwrap();
    let low = key.sign_hash_sync(digest).unwrap().to_k256().unwrap();
    let (r, s) = low.split_scalars();
    if is_high { Signature::from_scalars(r, -s).unwrap() } else { low }
}

/// The same in DER, as services return it.
pub(super) fn der(secret: &str, digest: &B256, is_high: bool) -> Vec<u8> {
    signature(secret, digest, is_high).to_der().as_bytes().to_vec()
}

/// A key's public half in DER.
pub(super) fn public_key(secret: &str) -> Vec<u8> {
    let key: PrivateKeySigner = secret.parse().unwrap();
    let point = ecdsa::VerifyingKey::from(key.credential()).to_encoded_point(false);
    [&KEY_PREFIX[..], point.as_bytes()].concat()
}

pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The digest in a request.
pub(super) fn digest(text: &str) -> B256 {
    B256::from_slice(&STANDARD.decode(text).unwrap())
}

#[test]
fn a_signature_is_completed_for_the_account_and_for_no_other() {
    let (account, wanted) = (ACCOUNT.parse().unwrap(), wanted());
    let asked = wanted.signature_hash();
    for is_high in [false, true] {
        let raw = completed(&wanted, &asked, signature(SECRET, &asked, is_high), account).unwrap();
        assert_eq!(raw, signed_by(SECRET, &wanted), "high: {is_high}");
        verify(&wanted, &raw, account).unwrap();
        for (case, secret, digest) in
            [("another key", STRANGER, asked), ("another digest", SECRET, B256::ZERO)]
        {
            let signature = signature(secret, &digest, is_high);
            let error = completed(&wanted, &asked, signature, account).unwrap_err();
            assert!(matches!(error, SignerError::Signature(_)), "{case}: {error}");
        }
    }
}
