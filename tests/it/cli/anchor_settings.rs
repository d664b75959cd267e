//! Settings of anchoring: each that is missing or bad is named before anything is listened on,
//! signed or written.

use std::{fs, path::PathBuf};

use crate::support::process::{Printed, registrar};
use crate::support::rows::for_each_row;

/// A key of Ethereum's public test vectors, its account, and the published keystore that holds it.
const KEY: &str = "0x7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d";
pub const ACCOUNT: &str = "0x008AeEda4D805471dF9b2A5B0f38A0C3bCBA786b";
pub const KEYSTORE: &str = r#"{"crypto":{"cipher":"aes-128-ctr",
"cipherparams":{"iv":"6087dab2f9fdbbfaddc31a909735c1e6"},
"ciphertext":"5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46","kdf":"pbkdf2",
"kdfparams":{"c":262144,"dklen":32,"prf":"hmac-sha256","salt":"ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd"},
"mac":"517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2"},
"id":"3198bc9c-6672-5ab3-d995-4942343ae5b6","version":3}"#;
const OTHER: &str = "0x1111111111111111111111111111111111111111";
/// Every verb that takes settings of anchoring. The one that would keep running comes last.
pub const VERBS: [&[&str]; 4] = [
    &["anchor", "status"],
    &["anchor", "plan"],
    &["anchor", "run", "--once"],
    &["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"],
];

/// Valid settings, to be made invalid one by one.
pub struct Settings {
    dir: tempfile::TempDir,
    pub given: Vec<(String, String)>,
}

impl Settings {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("offers")).unwrap();
        for (name, content) in [
            ("key", KEY),
            ("keystore", KEYSTORE),
            ("password", "testpassword\n"),
            ("wrong", "no"),
            ("empty", ""),
            (
                "commented",
                "# our own\nhttp://127.0.0.1:1 # the first\n\n  https://node.example/#key\nfalse\n",
            ),
        ] {
            fs::write(dir.path().join(name), content).unwrap();
        }
        fs::write(dir.path().join("urls"), "http://127.0.0.1:1\n\nhttp://127.0.0.1:2\n").unwrap();
        let mut settings = Self { dir, given: Vec::new() };
        for (name, value) in [
            ("--offers", "DIR/offers"),
            ("--public-url", "https://seller.example"),
            ("--anchor", "base-sepolia"),
            ("--owner-id", "harbour"),
            ("--journal", "file:DIR/journal"),
            ("--signer", "development-key-file:DIR/key"),
            ("--allow-development-keys", ""),
            ("--rpc-url", "84532=http://127.0.0.1:1"),
            ("--max-fee-gwei", "1.5"),
            ("--daily-budget-ether", "0.01"),
        ] {
            settings.and(name, value);
        }
        settings
    }

    fn without(&mut self, name: &str) -> &mut Self {
        self.given.retain(|(given, _)| given != name);
        self
    }

    pub fn and(&mut self, name: &str, value: &str) -> &mut Self {
        let value = value.replace("DIR", self.dir.path().to_str().unwrap());
        self.given.push((name.to_owned(), value));
        self
    }

    /// Applies changes: `NAME` removes a setting, `NAME VALUE` replaces it, `+NAME VALUE` adds it.
    pub fn change(&mut self, changes: &[&str]) {
        for change in changes {
            match change.split_once(' ') {
                None => drop(self.without(change)),
                Some((name, value)) => match name.strip_prefix('+') {
                    Some(name) => drop(self.and(name, value)),
                    None => drop(self.without(name).and(name, value)),
                },
            }
        }
    }

    pub fn args(&self) -> Vec<String> {
        let words = |(name, value): &(String, String)| match value.as_str() {
            "" => vec![name.clone()],
            value => vec![format!("{name}={value}")],
        };
        self.given.iter().flat_map(words).collect()
    }

    pub fn run(&self, verb: &[&str]) -> Printed {
        let args = self.args();
        registrar(&[verb, &args.iter().map(String::as_str).collect::<Vec<_>>()].concat())
    }

    pub fn journal(&self) -> PathBuf {
        self.dir.path().join("journal")
    }
}

/// The changes that make settings wrong, and what the error contains; `…` stands for anything.
type Case = (&'static [&'static str], &'static str);

/// Asserts that every verb refuses each case with its message, and creates no journal.
fn all_refused(cases: &[Case], verbs: &[&[&str]]) {
    let mut failures = Vec::new();
    for_each_row(cases, |(changes, expected)| {
        let mut settings = Settings::new();
        settings.change(changes);
        let dir = settings.dir.path().to_str().unwrap();
        for verb in verbs {
            let printed = settings.run(verb);
            // A folder of its own for each: messages are compared with `DIR` in its place.
            let stderr = printed.stderr.replace(dir, "DIR");
            let is_refused = printed.code == Some(2) && printed.stdout.is_empty();
            if !is_refused
                || !expected.split(" … ").all(|part| stderr.contains(part))
                || settings.journal().exists()
            {
                failures.push(format!("{verb:?} {changes:?}: {expected:?} expected, not {stderr}"));
            }
        }
    });
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn settings_that_belong_together_are_taken() {
    let good: [&[&str]; 23] = [
        &[],
        &[
            "--signer",
            "--allow-development-keys",
            "--account 0x008aeeda4d805471df9b2a5b0f38a0c3bcba786b",
        ],
        &["--public-url http://127.0.0.1:8004"],
        &["--public-url http://localhost"],
        &["--rpc-url eip155:84532=@DIR/urls"],
        &["+--rpc-url base-sepolia=https://user:word@node.example/key"],
        &["+--rpc-url base=https://node.example"],
        &[
            "--anchor optimism-sepolia",
            "--rpc-url 11155420=http://127.0.0.1:1",
            "+--registry 11155420=0x1111111111111111111111111111111111111111@7",
        ],
        &[
            "--anchor eip155:31337",
            "--rpc-url 31337=http://127.0.0.1:1",
            "+--registry 31337=0x1111111111111111111111111111111111111111",
        ],
        &["--max-fee-gwei base-sepolia=3", "+--max-fee-gwei 2"],
        &["--max-fee-gwei 0.000000001", "--daily-budget-ether .000000000000000001"],
        &["+--finality 84532=safe", "+--anchor-interval 1"],
        &["+--finality 84532=depth:64", "+--incarnation 3", "+--mint-beside "],
        &["--rpc-url 84532=@DIR/urls", "+--legacy-fees base-sepolia"],
        &[
            "+--adopt base-sepolia=0",
            "+--adopt 84532/audit.example=7",
            "+--anchor-host Audit.Example",
        ],
        &["+--former-account 0x1111111111111111111111111111111111111111"],
        &["+--agent-uri data", "+--agent-uri-budget-ether 0.1", "+--agent-uri-settle 1h"],
        &["+--agent-uri data", "+--agent-uri base-sepolia=https", "+--agent-uri base=data"],
        &[
            "--allow-development-keys",
            "--signer remote:http://remote-signer:9000",
            "+--account 0x008aeeda4d805471df9b2a5b0f38a0c3bcba786b",
            "+--signer-token-file DIR/none",
        ],
        &[
            "--allow-development-keys",
            "--signer web3signer:https://signer.example/base",
            "+--account 0x008aeeda4d805471df9b2a5b0f38a0c3bcba786b",
            "+--signer-ca-file DIR/none",
            "+--signer-cert-file DIR/none",
            "+--signer-key-file DIR/none",
            "+--legacy-fees base-sepolia",
        ],
        &[
            "--allow-development-keys",
            "--signer aws-kms:alias/registrar",
            "+--account 0x008aeeda4d805471df9b2a5b0f38a0c3bcba786b",
            "+--kms-endpoint https://kms.example",
            "+--legacy-fees base-sepolia",
        ],
        &[
            "--allow-development-keys",
            "--signer gcp-kms:projects/p/locations/eu/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1",
            "+--account 0x008aeeda4d805471df9b2a5b0f38a0c3bcba786b",
            "+--gcp-metadata-host 169.254.169.254:80",
        ],
        &[
            "+--accept-registry 84532=0x0000000000000000000000000000000000000000000000000000000000000001",
        ],
    ];
    for changes in good {
        let mut settings = Settings::new();
        settings.change(changes);
        let printed = settings.run(&["anchor", "status"]);
        assert_eq!((printed.code, printed.stderr.as_str()), (Some(0), ""), "{changes:?}");
    }
}

#[test]
fn a_setting_that_is_missing_or_bad_is_named_by_every_verb() {
    const TESTNET: &str = "0x8004A818BFB912233c491871b3d84c89A494BD9e";
    let unknown_block = format!("eip155:11155420={TESTNET}@BLOCK");
    let unknown_block: &'static str = unknown_block.leak();
    let cases: &[Case] = &[
        (&["--owner-id"], "--owner-id (REGISTRAR_OWNER_ID) is required"),
        (&["--journal"], "--journal (REGISTRAR_JOURNAL) is required"),
        (&["--journal DIR/journal"], "--journal must be file:PATH"),
        (&["--journal file:"], "--journal must be file:PATH"),
        (
            &["--journal configmap:a/b/c"],
            "--journal must be NAME or NAMESPACE/NAME after configmap:",
        ),
        (&["--journal configmap:registrar"], "--journal in a ConfigMap needs a cluster"),
        (&["--signer keystore"], "--signer"),
        (&["--signer vault:DIR/key"], "--signer must be keystore:PATH"),
        (&["--signer development-key-file:DIR/none"], "DIR/none cannot be read: No such file"),
        (&["--signer development-key-file:DIR/empty"], "DIR/empty does not contain a private key"),
        (
            &["--allow-development-keys"],
            "--allow-development-keys (REGISTRAR_ALLOW_DEVELOPMENT_KEYS) is required",
        ),
        (
            &["--signer keystore:DIR/keystore"],
            "--keystore-password-file (REGISTRAR_KEYSTORE_PASSWORD_FILE) is required",
        ),
        (
            &["--signer keystore:DIR/none", "+--keystore-password-file DIR/password"],
            "--signer DIR/none cannot be read",
        ),
        (
            &["--signer keystore:DIR/keystore", "+--keystore-password-file DIR/none"],
            "--signer DIR/none cannot be read",
        ),
        (
            &["--signer keystore:DIR/key", "+--keystore-password-file DIR/password"],
            "--signer the keystore DIR/key cannot be decrypted",
        ),
        (&["--signer aws-kms:"], "--signer names no key"),
        (
            &["--signer aws-kms:alias/registrar"],
            "--account (REGISTRAR_ACCOUNT) is required: the account that the signer signs for",
        ),
        (
            &["--signer gcp-kms:projects/p/locations/eu/keyRings/r/cryptoKeys/k"],
            "--signer is not projects/P/locations/L/keyRings/R/cryptoKeys/K/cryptoKeyVersions/N",
        ),
        (
            &["--signer aws-kms:alias/registrar", "+--kms-endpoint https://u:p@kms.example"],
            "--kms-endpoint is not an http or https URL without secrets",
        ),
        (
            &[
                "--signer gcp-kms:projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1",
                "+--gcp-metadata-host 127.0.0.1/x",
            ],
            "--gcp-metadata-host is not HOST or HOST:PORT",
        ),
        (&["--signer remote:"], "--signer is not an http or https URL"),
        (&["--signer remote:remote-signer:9000"], "--signer is not an http or https URL"),
        (&["--signer web3signer:ftp://signer.example"], "--signer is not an http or https URL"),
        (&["--signer remote:https://u:p@signer.example"], "--signer must not contain secrets"),
        (&["--signer remote:https://signer.example/?key=1"], "--signer must not contain secrets"),
        (
            &["--signer remote:http://signer.example"],
            "--account (REGISTRAR_ACCOUNT) is required: the account that the signer signs for",
        ),
        (
            &[
                "--signer web3signer:http://signer.example",
                "+--account 0x1111111111111111111111111111111111111111",
                "+--signer-ca-file DIR/urls",
            ],
            "--signer must be an https URL if certificates are given for it",
        ),
        (
            &[
                "--signer web3signer:https://signer.example",
                "+--account 0x1111111111111111111111111111111111111111",
                "+--signer-cert-file DIR/urls",
            ],
            "--signer-key-file",
        ),
        (
            &[
                "--signer remote:http://signer.example",
                "+--account 0x1111111111111111111111111111111111111111",
                "+--legacy-fees base-sepolia",
            ],
            "--signer remote:URL signs no transactions with a gas price, which eip155:84532 needs",
        ),
        (
            &["+--agent-uri data"],
            "--agent-uri-budget-ether (REGISTRAR_AGENT_URI_BUDGET_ETHER) is required: an amount",
        ),
        (&["+--agent-uri ipfs"], "--agent-uri"),
        (&["+--agent-uri data", "+--agent-uri https"], "--agent-uri names two forms for one chain"),
        (&["+--agent-uri-settle 25h"], "--agent-uri-settle"),
        (&["--account 0x12"], "--account"),
        (&["--rpc-url"], "--rpc-url (REGISTRAR_RPC_URL) is required: eip155:84532=URL"),
        (
            &["--rpc-url base=http://127.0.0.1:1"],
            "--rpc-url (REGISTRAR_RPC_URL) is required: eip155:84532=URL",
        ),
        (&["--rpc-url base-sepolia"], "--rpc-url must be CHAIN=URL"),
        (&["+--rpc-url bse=http://127.0.0.1:1"], "--rpc-url does not name a chain"),
        (
            &["--rpc-url 84532=ftp://127.0.0.1"],
            "--rpc-url of eip155:84532 is not an http or https URL",
        ),
        (
            &["--rpc-url 84532=127.0.0.1:8545"],
            "--rpc-url of eip155:84532 is not an http or https URL",
        ),
        (&["--rpc-url 84532="], "--rpc-url of eip155:84532 is not an http or https URL"),
        (&["--rpc-url 84532=@DIR/none"], "--rpc-url cannot read DIR/none: No such file"),
        (&["--rpc-url 84532=@DIR/empty"], "--rpc-url (REGISTRAR_RPC_URL) is required"),
        (
            &["--rpc-url 84532=@DIR/wrong"],
            "--rpc-url of eip155:84532 is not an http or https URL (line 1 of DIR/wrong)",
        ),
        (
            &["--rpc-url 84532=@DIR/commented"],
            "--rpc-url of eip155:84532 is not an http or https URL (line 5 of DIR/commented)",
        ),
        (&["+--finality 84532=depth:0"], "--finality … depth:0 is not a finality rule"),
        (
            &["--anchor abstract", "--rpc-url 2741=http://127.0.0.1:1"],
            "--anchor eip155:2741 has native account abstraction",
        ),
        (
            &[
                "--anchor 324",
                "--rpc-url 324=http://127.0.0.1:1",
                "+--registry 324=0x1111111111111111111111111111111111111111",
            ],
            "--anchor eip155:324 has native account abstraction",
        ),
        (&["+--legacy-fees bse"], "--legacy-fees"),
        (&["+--registry 84532"], "--registry … must be CHAIN=VALUE"),
        (&["+--registry 84532=0x12"], "--registry"),
        (&["+--registry bse=0x1111111111111111111111111111111111111111"], "--registry"),
        (&["+--registry 84532=0x1111111111111111111111111111111111111111@latest"], "--registry"),
        (&["+--registry 84532=0x1111111111111111111111111111111111111111@"], "--registry"),
        (
            &["--anchor 31337", "--rpc-url 31337=http://127.0.0.1:1"],
            "--registry (REGISTRAR_REGISTRY) is required: eip155:31337=0x…",
        ),
        (&["--anchor optimism-sepolia", "--rpc-url 11155420=http://127.0.0.1:1"], unknown_block),
        (
            &["+--finality 84532=latest"],
            "--finality … must be CHAIN=finalized, CHAIN=safe or CHAIN=depth:N",
        ),
        (&["+--finality 84532=depth:"], "--finality"),
        (&["+--finality 84532=depth:-1"], "--finality"),
        (&["+--finality safe"], "--finality … must be CHAIN=VALUE"),
        (&["+--finality bse=safe"], "--finality … does not name a chain"),
        (&["+--accept-registry 84532=0x12"], "--accept-registry"),
        (&["+--accept-registry 0x12"], "--accept-registry … must be CHAIN=VALUE"),
        (&["+--accept-registry bse=0x12"], "--accept-registry … does not name a chain"),
        (&["--max-fee-gwei"], "--max-fee-gwei (REGISTRAR_MAX_FEE_GWEI) is required"),
        (&["--max-fee-gwei base=1"], "--max-fee-gwei (REGISTRAR_MAX_FEE_GWEI) is required"),
        (&["--max-fee-gwei 1e3"], "--max-fee-gwei … must be an amount"),
        (&["--max-fee-gwei 0.0000000001"], "--max-fee-gwei"),
        (&["--max-fee-gwei -1"], "--max-fee-gwei"),
        (&["--max-fee-gwei ."], "--max-fee-gwei … must be an amount"),
        (&["--max-fee-gwei 340282366920938463463374607432"], "--max-fee-gwei"),
        (&["+--max-fee-gwei 84532=x"], "--max-fee-gwei … must be an amount"),
        (&["+--max-fee-gwei bse=0.1"], "--max-fee-gwei … does not name a chain"),
        (
            &["--daily-budget-ether"],
            "--daily-budget-ether (REGISTRAR_DAILY_BUDGET_ETHER) is required",
        ),
        (&["--daily-budget-ether 0,01"], "--daily-budget-ether names two amounts for one chain"),
        (&["--daily-budget-ether 0x1"], "--daily-budget-ether"),
        (&["+--daily-budget-ether bse=0.1"], "--daily-budget-ether … does not name a chain"),
        (&["+--daily-budget-ether 84532="], "--daily-budget-ether"),
        (
            &["--max-fee-gwei 84532=1", "+--max-fee-gwei base-sepolia=2"],
            "--max-fee-gwei names two amounts",
        ),
        (&["+--adopt base-sepolia"], "--adopt"),
        (&["+--adopt base-sepolia=-1"], "--adopt"),
        (&["+--adopt bse=1"], "--adopt … must be CHAIN[/HOST]=ID"),
        (&["+--adopt 31337=1"], "--adopt"),
        (&["+--adopt base-sepolia/no_host=1"], "--adopt"),
        (&["--anchor bse"], "--anchor … does not name a chain"),
        (&["--anchor eip155:"], "--anchor"),
        (&["+--anchor eip155:84532"], "--anchor names one chain twice"),
        (&["--public-url http://seller.example"], "--public-url must be https"),
        (&["+--anchor-interval 0"], "--anchor-interval"),
        (&["+--anchor-interval 0s"], "--anchor-interval"),
        (&["+--anchor-interval soon"], "--anchor-interval"),
        (&["+--anchor-host no_host"], "--anchor-host"),
        (&["+--former-account 0x12"], "--former-account"),
        (&["+--incarnation -1"], "--incarnation"),
    ];
    all_refused(cases, &VERBS);
}

#[test]
fn what_only_some_verbs_need_is_asked_for_by_them() {
    all_refused(&[(&["--public-url"], "--public-url")], &VERBS);
    all_refused(&[(&["--signer"], "--signer (REGISTRAR_SIGNER) is required")], &VERBS[2..]);
    all_refused(&[(&["--signer"], "--account (REGISTRAR_ACCOUNT) is required")], &VERBS[..2]);
    all_refused(&[(&["--anchor"], "--anchor (REGISTRAR_ANCHOR) is required")], &VERBS[..3]);
    all_refused(
        &[(&["--anchor", "--journal journal"], "--journal must be file:PATH")],
        &VERBS[3..],
    );
    let mismatch = format!("+--account {OTHER}");
    let mut settings = Settings::new();
    settings.change(&[&mismatch]);
    for verb in &VERBS[2..] {
        let printed = settings.run(verb);
        assert_eq!(printed.code, Some(2), "{}", printed.stderr);
        for expected in ["--account", OTHER, ACCOUNT] {
            assert!(printed.stderr.contains(expected), "{expected}: {}", printed.stderr);
        }
        assert!(!printed.stderr.contains(&KEY[2..10]), "{}", printed.stderr);
    }
}
