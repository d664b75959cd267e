//! A signer's key in an encrypted keystore.

use std::fs;

use super::anchor_settings::{ACCOUNT, Settings};

#[test]
fn a_keystore_opens_with_its_password_and_with_no_other() {
    let keystore = ["--allow-development-keys", "--signer keystore:DIR/keystore"];
    let mut settings = Settings::new();
    settings.change(&keystore);
    settings.change(&["+--keystore-password-file DIR/password"]);
    settings.and("--account", ACCOUNT);
    // The journal is its account's: it is begun before a node is asked, and the node is not there.
    let printed = settings.run(&["anchor", "run", "--once"]);
    let journal = fs::read_to_string(settings.journal()).unwrap();
    assert!(
        journal.contains(&ACCOUNT.to_lowercase()) && journal.contains("Unreachable"),
        "{}",
        printed.stderr
    );

    let mut settings = Settings::new();
    settings.change(&keystore);
    settings.change(&["+--keystore-password-file DIR/wrong"]);
    let printed = settings.run(&["anchor", "run", "--once"]);
    assert_eq!(printed.code, Some(2), "{}", printed.stderr);
    assert!(
        printed.stderr.contains("--signer") && printed.stderr.contains("wrong password"),
        "{}",
        printed.stderr
    );
    assert!(!settings.journal().exists());
}
