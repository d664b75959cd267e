//! Keys, and what is signed with them.

use std::fs;

use alloy::{
    consensus::{
        SignableTransaction, Transaction, TxEip1559, TxEnvelope, TypedTransaction,
        transaction::SignerRecoverable,
    },
    eips::eip2718::{Decodable2718, Encodable2718},
    primitives::{Address, B256, Bytes, TxKind, U256},
    signers::{SignerSync, local::PrivateKeySigner},
};

use crate::{
    anchor::{
        evidence::{Block, View},
        evm::calldata,
        fees::Fees,
        plan::{Call, DesiredState, HeadState, Reservation, Step, Testimony, next},
        signer::{
            KeySource, Signed, Signer, SignerError, SigningPolicy, Unsigned, unsigned_bytes, verify,
        },
        testing::{desired, in_flight, key, registry},
    },
    registration::AgentName,
};

/// A key of Ethereum's public test vectors, and its account.
pub(super) const SECRET: &str = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d";
pub(super) const ACCOUNT: &str = "0x008AeEda4D805471dF9b2A5B0f38A0C3bCBA786b";

/// The right to sign at a nonce.
pub(crate) fn reservation(nonce: u64, is_bump: bool) -> Reservation {
    let agents = vec![desired(AgentName::Default, key(1), "https://seller.example")];
    let account = ACCOUNT.parse().unwrap();
    let state = DesiredState { registry: registry(31337), account, agents, mint_beside: false };
    let view = View {
        block: Block { number: 1, hash: B256::ZERO },
        count: nonce,
        former_counts: Default::default(),
        agents: Default::default(),
        duplicates: Default::default(),
        unkeyed: Default::default(),
        tokens: Default::default(),
    };
    let head = HeadState {
        mined: nonce,
        pending: nonce,
        base_fee: 0,
        tip: 0,
        balance: 0,
        is_known: false,
    };
    let sent = is_bump.then(|| in_flight(nonce, 10, 1));
    match next(&state, sent.as_ref(), &[], &view, &head, 0).step {
        Step::Sign(reservation) => reservation,
        Step::Confirm(claim) => claim.judge(&[Testimony::Absent], 1).unwrap(),
        step @ (Step::Wait | Step::Broadcast | Step::Release) => {
            panic!("nothing is in the way: {step:?}")
        }
    }
}

/// The registry of these tests.
pub(super) const REGISTRY: Address = Address::repeat_byte(0x80);

/// What these tests allow.
pub(super) fn policy() -> SigningPolicy {
    SigningPolicy { chain_id: 31337, registry: REGISTRY, max_fee: 100, max_cost: 100_000 }
}

pub(super) fn mint() -> Bytes {
    calldata(&Call::Mint { uri: "https://seller.example".to_owned(), key: key(1) })
}

pub(super) fn unsigned(data: &Bytes) -> Unsigned<'_> {
    let fees = Fees { max_fee: 100, tip: 3 };
    Unsigned { chain_id: 31337, to: REGISTRY, data, gas: 1_000, fees, is_legacy: false }
}

/// The key's bytes of any transaction, signed.
pub(super) fn signed_by(secret: &str, transaction: &TypedTransaction) -> Bytes {
    let key: PrivateKeySigner = secret.parse().unwrap();
    let signature = key.sign_hash_sync(&transaction.signature_hash()).unwrap();
    TxEnvelope::from(transaction.clone().into_signed(signature)).encoded_2718().into()
}

fn local(secret: &str) -> Signer {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), format!("0x{secret}\n")).unwrap();
    let source = KeySource::DevelopmentKey(file.path().to_owned());
    Signer::open(&source, Some(ACCOUNT.parse().unwrap()), [policy()]).unwrap()
}

#[tokio::test]
async fn exactly_what_was_reserved_and_priced_is_signed() {
    let (signer, data) = (local(SECRET), mint());
    for is_bump in [false, true] {
        let signed = signer.sign(&reservation(5, is_bump), unsigned(&data)).await.unwrap();
        let sent = TxEnvelope::decode_2718(&mut signed.raw.as_ref()).unwrap();
        assert_eq!(*sent.tx_hash(), signed.hash);
        assert_eq!(sent.recover_signer().unwrap(), ACCOUNT.parse::<Address>().unwrap());
        assert_eq!((sent.nonce(), sent.chain_id(), sent.gas_limit()), (5, Some(31337), 1_000));
        assert_eq!((sent.kind(), sent.value()), (TxKind::Call(REGISTRY), U256::ZERO));
        assert_eq!((sent.input(), sent.access_list()), (&data, Some(&Default::default())));
        assert_eq!((sent.max_fee_per_gas(), sent.max_priority_fee_per_gas()), (100, Some(3)));
    }
}

#[tokio::test]
async fn legacy_fees_are_signed_as_type_0_for_one_chain() {
    let (signer, data) = (local(SECRET), mint());
    let unsigned = Unsigned { is_legacy: true, ..unsigned(&data) };
    let signed = signer.sign(&reservation(5, false), unsigned).await.unwrap();
    let sent = TxEnvelope::decode_2718(&mut signed.raw.as_ref()).unwrap();
    assert!(sent.is_legacy());
    assert_eq!(sent.recover_signer().unwrap(), ACCOUNT.parse::<Address>().unwrap());
    assert_eq!((sent.nonce(), sent.chain_id(), sent.gas_price()), (5, Some(31337), Some(100)));
    // The bytes that the data fee is computed from are those of the same transaction.
    let bytes = unsigned_bytes(5, &unsigned);
    assert!(bytes.len() < signed.raw.len() && bytes.len() + 80 > signed.raw.len());
}

#[tokio::test]
async fn nothing_outside_the_policy_reaches_the_key() {
    let (signer, data, other) = (local(SECRET), mint(), Bytes::from(vec![1, 2, 3]));
    let good = unsigned(&data);
    let elsewhere = Address::repeat_byte(0x81);
    let breaches = [
        ("another chain", Unsigned { chain_id: 1, ..good }),
        ("another contract", Unsigned { to: elsewhere, ..good }),
        ("another call", Unsigned { data: &other, ..good }),
        ("a fee above the limit", Unsigned { fees: Fees { max_fee: 101, tip: 3 }, ..good }),
        ("more gas than a day's budget", Unsigned { gas: 1_001, ..good }),
        ("a cost past any number", Unsigned { gas: u64::MAX, ..good }),
    ];
    for (case, unsigned) in breaches {
        let error = signer.sign(&reservation(5, false), unsigned).await.unwrap_err();
        assert!(matches!(error, SignerError::Policy(_)), "{case}: {error}");
        assert_eq!(error.reason().as_str(), "SignerFailed", "{case}");
    }
    signer.sign(&reservation(5, false), good).await.unwrap();
}

/// A transaction of these tests.
pub(super) fn asked(data: &Bytes) -> TxEip1559 {
    let TypedTransaction::Eip1559(asked) = unsigned(data).transaction(5) else {
        panic!("it is of type 2")
    };
    asked
}

/// The same with one field changed, each in turn.
pub(super) fn changes() -> Vec<(&'static str, TypedTransaction)> {
    let data = mint();
    let asked = asked(&data);
    let access = vec![alloy::eips::eip2930::AccessListItem::default()].into();
    let legacy = Unsigned { is_legacy: true, ..unsigned(&data) }.transaction(5);
    let typed = TypedTransaction::Eip1559;
    vec![
        ("type", legacy),
        ("chain id", typed(TxEip1559 { chain_id: 1, ..asked.clone() })),
        ("nonce", typed(TxEip1559 { nonce: 6, ..asked.clone() })),
        ("recipient", typed(TxEip1559 { to: TxKind::Call(Address::ZERO), ..asked.clone() })),
        ("recipient", typed(TxEip1559 { to: TxKind::Create, ..asked.clone() })),
        ("value", typed(TxEip1559 { value: U256::from(1), ..asked.clone() })),
        ("gas limit", typed(TxEip1559 { gas_limit: 1_001, ..asked.clone() })),
        ("fee per gas", typed(TxEip1559 { max_fee_per_gas: 101, ..asked.clone() })),
        ("tip", typed(TxEip1559 { max_priority_fee_per_gas: 4, ..asked.clone() })),
        ("data", typed(TxEip1559 { input: Bytes::new(), ..asked.clone() })),
        ("field", typed(TxEip1559 { access_list: access, ..asked })),
    ]
}

#[test]
fn bytes_are_believed_only_if_they_are_what_was_asked_for_by_the_account() {
    let account = ACCOUNT.parse().unwrap();
    let asked = TypedTransaction::Eip1559(asked(&mint()));
    let raw = signed_by(SECRET, &asked);
    let Signed { hash, raw: sent } = verify(&asked, &raw, account).unwrap();
    assert_eq!((hash, &sent), (alloy::primitives::keccak256(&raw), &raw));
    for (field, changed) in changes() {
        let error = verify(&asked, &signed_by(SECRET, &changed), account).unwrap_err();
        assert!(matches!(error, SignerError::Changed(named) if named == field), "{field}: {error}");
    }
    let stranger = signed_by(&"11".repeat(32), &asked);
    assert!(matches!(verify(&asked, &stranger, account), Err(SignerError::Signature(_))));
    let longer = [&raw[..], &[0]].concat();
    for (case, bytes) in [("nothing", &raw[..0]), ("cut", &raw[..raw.len() - 1]), ("more", &longer)]
    {
        let error = verify(&asked, &Bytes::copy_from_slice(bytes), account).unwrap_err();
        assert!(matches!(error, SignerError::Unreadable(_)), "{case}: {error}");
    }
}

#[cfg(unix)]
#[test]
fn a_key_that_others_can_write_is_refused_with_what_to_do() {
    use std::os::unix::fs::PermissionsExt;

    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), SECRET).unwrap();
    let source = KeySource::DevelopmentKey(file.path().to_owned());
    for (mode, is_refused) in
        [(0o600, false), (0o400, false), (0o644, false), (0o660, true), (0o602, true)]
    {
        fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).unwrap();
        match Signer::open(&source, None, []) {
            Ok(_) => assert!(!is_refused, "{mode:o}"),
            Err(error) => {
                let text = error.to_string();
                assert!(is_refused && text.contains("chmod 600") && text.contains("key"), "{text}");
            }
        }
    }
}

#[test]
fn a_key_that_cannot_be_used_is_refused_without_being_shown() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let open = |text: &str, account: Option<&str>| {
        fs::write(&path, text).unwrap();
        let source = KeySource::DevelopmentKey(path.clone());
        Signer::open(&source, account.map(|account| account.parse().unwrap()), [])
    };
    for text in [SECRET, &format!("0x{SECRET}"), &format!("  {SECRET}\r\n")] {
        let signer = open(text, None).unwrap();
        assert_eq!(signer.account(), ACCOUNT.parse::<Address>().unwrap());
        assert_eq!(format!("{signer:?}"), format!("Signer({ACCOUNT})"));
    }
    for text in ["", "0x", &SECRET[1..], &format!("{SECRET}00"), &"00".repeat(32), &"ff".repeat(32)]
    {
        let error = open(text, None).unwrap_err();
        assert!(matches!(error, SignerError::Key(_)), "{text}: {error}");
        assert!(text.len() < 8 || !error.to_string().contains(&text[..8]), "{error}");
    }
    let other = open(SECRET, Some("0x1111111111111111111111111111111111111111")).unwrap_err();
    assert!(matches!(other, SignerError::WrongAccount { .. }), "{other}");
    let missing = Signer::open(&KeySource::DevelopmentKey(dir.path().join("none")), None, []);
    assert!(matches!(missing, Err(SignerError::Read { .. })));
}
