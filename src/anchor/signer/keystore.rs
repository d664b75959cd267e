//! Encrypted keystores (Web3 Secret Storage, version 3), as every wallet writes them: some spell
//! `Crypto` with a capital, leave `id` out, or prefix hex with 0x.

mod scrypt;

use aes::Aes128;
use alloy::primitives::{hex, keccak256};
use ctr::cipher::{KeyIvInit, StreamCipher};
use hmac::Hmac;
use serde::Deserialize;
use serde_json::Value;
use sha2::Sha256;
use zeroize::Zeroizing;

/// The most rounds of PBKDF2 that are done for a file.
const MOST_ROUNDS: u32 = 10_000_000;

/// Why a keystore does not open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeystoreError {
    #[error("wrong password")]
    WrongPassword,
    #[error("it is not a keystore: {0}")]
    Unreadable(String),
    #[error("it uses {0}, which is not supported")]
    Unsupported(String),
}

#[derive(Deserialize)]
struct Encrypted {
    cipher: String,
    cipherparams: CipherParams,
    ciphertext: String,
    kdf: String,
    kdfparams: KdfParams,
    mac: String,
}

#[derive(Deserialize)]
struct CipherParams {
    iv: String,
}

/// The parameters of scrypt or PBKDF2, whichever there are.
#[derive(Deserialize)]
struct KdfParams {
    dklen: usize,
    salt: String,
    n: Option<u64>,
    r: Option<u32>,
    p: Option<u32>,
    c: Option<u32>,
    prf: Option<String>,
}

/// Decrypts a keystore; returns the private key's bytes.
pub(super) fn decrypt(text: &str, password: &str) -> Result<Zeroizing<Vec<u8>>, KeystoreError> {
    let unreadable = |error: serde_json::Error| KeystoreError::Unreadable(error.to_string());
    let file: Value = serde_json::from_str(text).map_err(unreadable)?;
    let member = |name: &str| {
        let mut members = file.as_object().into_iter().flatten();
        members.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    };
    let version = member("version").map(|version| version.to_string().replace('"', ""));
    match version.as_deref() {
        Some("3") => {}
        Some(other) => return Err(KeystoreError::Unsupported(format!("version {other}"))),
        None => return Err(KeystoreError::Unreadable("it has no version".to_owned())),
    }
    let crypto =
        member("crypto").ok_or_else(|| KeystoreError::Unreadable("it has no crypto".to_owned()))?;
    let encrypted = Encrypted::deserialize(crypto).map_err(unreadable)?;
    if !encrypted.cipher.eq_ignore_ascii_case("aes-128-ctr") {
        return Err(KeystoreError::Unsupported(format!("the cipher {:?}", encrypted.cipher)));
    }
    let derived = encrypted.derive_key(password)?;
    let mut key = Zeroizing::new(bytes("ciphertext", &encrypted.ciphertext)?);
    let mac = keccak256([&derived[16..32], key.as_slice()].concat());
    if mac.as_slice() != bytes("mac", &encrypted.mac)? {
        return Err(KeystoreError::WrongPassword);
    }
    let iv = bytes("iv", &encrypted.cipherparams.iv)?;
    let cipher = ctr::Ctr128BE::<Aes128>::new_from_slices(&derived[..16], &iv);
    let mut cipher =
        cipher.map_err(|_| KeystoreError::Unreadable("iv has another length".to_owned()))?;
    cipher.apply_keystream(&mut key);
    Ok(key)
}

impl Encrypted {
    /// At least 32 bytes.
    fn derive_key(&self, password: &str) -> Result<Zeroizing<Vec<u8>>, KeystoreError> {
        let KdfParams { dklen, ref salt, .. } = self.kdfparams;
        if !(32..=1024).contains(&dklen) {
            return Err(KeystoreError::Unsupported(format!("dklen {dklen}")));
        }
        let salt = bytes("salt", salt)?;
        let mut derived = Zeroizing::new(vec![0; dklen]);
        match self.kdf.to_ascii_lowercase().as_str() {
            "scrypt" => {
                self.kdfparams.scrypt()?.derive(password.as_bytes(), &salt, &mut derived);
            }
            "pbkdf2" => {
                let rounds = self.kdfparams.rounds()?;
                pbkdf2::pbkdf2::<Hmac<Sha256>>(password.as_bytes(), &salt, rounds, &mut derived);
            }
            other => return Err(KeystoreError::Unsupported(format!("the kdf {other:?}"))),
        }
        Ok(derived)
    }
}

impl KdfParams {
    fn scrypt(&self) -> Result<scrypt::Params, KeystoreError> {
        let missing = || KeystoreError::Unreadable("n, r or p of scrypt is missing".to_owned());
        let (n, r, p) = (self.n.ok_or_else(missing)?, self.r, self.p);
        let (r, p) = r.zip(p).ok_or_else(missing)?;
        let unsupported = || KeystoreError::Unsupported(format!("scrypt with n {n}, r {r}, p {p}"));
        scrypt::Params::new(n, r, p).ok_or_else(unsupported)
    }

    fn rounds(&self) -> Result<u32, KeystoreError> {
        if let Some(prf) =
            self.prf.as_deref().filter(|prf| !prf.eq_ignore_ascii_case("hmac-sha256"))
        {
            return Err(KeystoreError::Unsupported(format!("the prf {prf:?}")));
        }
        let rounds =
            self.c.ok_or_else(|| KeystoreError::Unreadable("c of pbkdf2 is missing".to_owned()))?;
        match (1..=MOST_ROUNDS).contains(&rounds) {
            true => Ok(rounds),
            false => Err(KeystoreError::Unsupported(format!("pbkdf2 with c {rounds}"))),
        }
    }
}

fn bytes(name: &str, text: &str) -> Result<Vec<u8>, KeystoreError> {
    hex::decode(text).map_err(|_| KeystoreError::Unreadable(format!("{name} is not hex")))
}

#[cfg(test)]
mod tests;
