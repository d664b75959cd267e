//! Keystores of several wallets, the published test vectors among them.

use serde_json::{Value, json};

use super::{KeystoreError, decrypt};
use crate::testing::for_each_row;

/// The key in Ethereum's published test vectors.
const SECRET: &str = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d";
const PASSWORD: &str = "testpassword";

fn pbkdf2() -> Value {
    json!({
        "crypto": {
            "cipher": "aes-128-ctr",
            "cipherparams": { "iv": "6087dab2f9fdbbfaddc31a909735c1e6" },
            "ciphertext": "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46",
            "kdf": "pbkdf2",
            "kdfparams": {
                "c": 262_144, "dklen": 32, "prf": "hmac-sha256",
                "salt": "ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd",
            },
            "mac": "517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2",
        },
        "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
        "version": 3,
    })
}

/// Encrypted with the parameters of geth's `--lightkdf`.
fn scrypt() -> Value {
    json!({
        "address": "008aeeda4d805471df9b2a5b0f38a0c3bcba786b",
        "crypto": {
            "cipher": "aes-128-ctr",
            "cipherparams": { "iv": "83dbcc02d8ccb40e466191a123791e0e" },
            "ciphertext": "584f4eb2783472ec149b334c22d77ddbf118a0783ea24e66ca8a7883cd2b4bf5",
            "kdf": "scrypt",
            "kdfparams": {
                "dklen": 32, "n": 4096, "p": 6, "r": 8,
                "salt": "ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19",
            },
            "mac": "860ad3ce9642f99d709abc696e25ede7cd35daf6a6041e975d14c53dae118886",
        },
        "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
        "version": 3,
    })
}

/// Written by version 0.6.1 of Python's eth-keyfile, which has r = 1. Its n is 2^18 and its p 8; less
/// takes less time.
fn eth_keyfile() -> Value {
    json!({
        "address": "008aeeda4d805471df9b2a5b0f38a0c3bcba786b",
        "crypto": {
            "cipher": "aes-128-ctr",
            "cipherparams": { "iv": "a8516e36ae8309ebd329a80c584b2eb1" },
            "ciphertext": "62c51652e2073e2e4c9a0587463f4219b105a144b6c992a8af7608ff8855a701",
            "kdf": "scrypt",
            "kdfparams": {
                "dklen": 32, "n": 65_536, "r": 1, "p": 1,
                "salt": "2e95e307facbcd4ac8d9e39c245a8d9b",
            },
            "mac": "ca9bec1f76944ead19251ab5ea17781f1f157b830940255d0a77cec0211ea349",
        },
        "id": "8119d80c-cfbb-4086-8785-0e32e7847905",
        "version": 3,
    })
}

/// As some wallets write it: a capital C, no id, more members, a version in text, 0x before hex.
fn unusual() -> Value {
    let mut keystore = pbkdf2();
    let mut crypto = keystore["crypto"].take();
    crypto["ciphertext"] = json!(format!("0x{}", crypto["ciphertext"].as_str().unwrap()));
    crypto["kdfparams"].as_object_mut().unwrap().remove("prf");
    json!({
        "Crypto": crypto, "version": "3", "address": "008aeeda4d805471df9b2a5b0f38a0c3bcba786b",
        "x-ethers": { "client": "ethers.js" },
    })
}

#[test]
fn keystores_of_every_wallet_open_with_their_password() {
    let rows = [
        ("pbkdf2", pbkdf2()),
        ("scrypt", scrypt()),
        ("eth-keyfile", eth_keyfile()),
        ("unusual", unusual()),
    ];
    for_each_row(rows, |(name, keystore)| {
        let key = decrypt(&keystore.to_string(), PASSWORD).unwrap();
        assert_eq!(alloy::hex::encode(key.as_slice()), SECRET, "{name}");
    });
}

#[test]
fn a_wrong_password_is_told_from_a_file_that_is_not_a_keystore() {
    let wrong = decrypt(&pbkdf2().to_string(), "wrong").unwrap_err();
    assert_eq!(wrong, KeystoreError::WrongPassword);
    let changed = |change: fn(&mut Value)| {
        let mut keystore = pbkdf2();
        change(&mut keystore);
        decrypt(&keystore.to_string(), PASSWORD).unwrap_err()
    };
    let unreadable: [fn(&mut Value); 6] = [
        |file| drop(file.as_object_mut().unwrap().remove("crypto")),
        |file| drop(file.as_object_mut().unwrap().remove("version")),
        |file| file["crypto"]["mac"] = json!("zz"),
        |file| file["crypto"]["cipherparams"]["iv"] = json!("00"),
        |file| drop(file["crypto"]["kdfparams"].as_object_mut().unwrap().remove("c")),
        |file| *file = json!(["not", "a", "keystore"]),
    ];
    for change in unreadable {
        let error = changed(change);
        assert!(matches!(error, KeystoreError::Unreadable(_)), "{error}");
    }
    // What would cost hours or gigabytes is not tried.
    let unsupported: [fn(&mut Value); 8] = [
        |file| file["version"] = json!(1),
        |file| file["crypto"]["cipher"] = json!("aes-256-gcm"),
        |file| file["crypto"]["kdf"] = json!("argon2id"),
        |file| file["crypto"]["kdfparams"]["prf"] = json!("hmac-sha512"),
        |file| file["crypto"]["kdfparams"]["c"] = json!(4_000_000_000_u32),
        |file| file["crypto"]["kdfparams"]["dklen"] = json!(16),
        |file| {
            file["crypto"]["kdf"] = json!("scrypt");
            file["crypto"]["kdfparams"] =
                json!({ "n": 1_u64 << 40, "r": 8, "p": 1, "dklen": 32, "salt": "00" });
        },
        |file| {
            file["crypto"]["kdf"] = json!("scrypt");
            file["crypto"]["kdfparams"] =
                json!({ "n": 1_000, "r": 8, "p": 1, "dklen": 32, "salt": "00" });
        },
    ];
    for change in unsupported {
        let error = changed(change);
        assert!(matches!(error, KeystoreError::Unsupported(_)), "{error}");
    }
}
