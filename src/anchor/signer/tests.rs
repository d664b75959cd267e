//! Keys, and what is signed with them.

use std::fs;

use alloy::{
    consensus::{Transaction, TxEnvelope, transaction::SignerRecoverable},
    eips::eip2718::Decodable2718,
    primitives::{Address, B256, Bytes, TxKind, U256},
};

use crate::{
    anchor::{
        evidence::{Block, View},
        fees::Fees,
        plan::{DesiredState, HeadState, Reservation, Step, Testimony, next},
        signer::{KeySource, Signer, SignerError, Unsigned, unsigned_bytes},
        testing::{desired, in_flight, key},
    },
    registration::AgentName,
};

/// A key of Ethereum's public test vectors, and its account.
const SECRET: &str = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d";
const ACCOUNT: &str = "0x008AeEda4D805471dF9b2A5B0f38A0C3bCBA786b";

/// The right to sign at a nonce.
pub(crate) fn reservation(nonce: u64, is_bump: bool) -> Reservation {
    let agents = vec![desired(AgentName::Default, key(1), "https://seller.example")];
    let account = ACCOUNT.parse().unwrap();
    let state = DesiredState { chain_id: 31337, account, agents, mint_beside: false };
    let view = View {
        block: Block { number: 1, hash: B256::ZERO },
        count: nonce,
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

#[test]
fn exactly_what_was_reserved_and_priced_is_signed() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), format!("0x{SECRET}\n")).unwrap();
    let source = KeySource::DevelopmentKey(file.path().to_owned());
    let signer = Signer::open(&source, Some(ACCOUNT.parse().unwrap())).unwrap();
    let (to, data) = (Address::repeat_byte(0x80), Bytes::from(vec![1, 2, 3]));
    let fees = Fees { max_fee: 100, tip: 3 };
    let unsigned =
        Unsigned { chain_id: 31337, to, data: &data, gas: 1_000, fees, is_legacy: false };
    for is_bump in [false, true] {
        let signed = signer.sign(&reservation(5, is_bump), unsigned).unwrap();
        let sent = TxEnvelope::decode_2718(&mut signed.raw.as_ref()).unwrap();
        assert_eq!(*sent.tx_hash(), signed.hash);
        assert_eq!(sent.recover_signer().unwrap(), ACCOUNT.parse::<Address>().unwrap());
        assert_eq!((sent.nonce(), sent.chain_id(), sent.gas_limit()), (5, Some(31337), 1_000));
        assert_eq!((sent.kind(), sent.value()), (TxKind::Call(to), U256::ZERO));
        assert_eq!((sent.input(), sent.access_list()), (&data, Some(&Default::default())));
        assert_eq!((sent.max_fee_per_gas(), sent.max_priority_fee_per_gas()), (100, Some(3)));
    }
}

#[test]
fn legacy_fees_are_signed_as_type_0_for_one_chain() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), SECRET).unwrap();
    let signer = Signer::open(&KeySource::DevelopmentKey(file.path().to_owned()), None).unwrap();
    let (to, data) = (Address::repeat_byte(0x80), Bytes::from(vec![1, 2, 3]));
    let fees = Fees { max_fee: 100, tip: 100 };
    let unsigned = Unsigned { chain_id: 31337, to, data: &data, gas: 1_000, fees, is_legacy: true };
    let signed = signer.sign(&reservation(5, false), unsigned).unwrap();
    let sent = TxEnvelope::decode_2718(&mut signed.raw.as_ref()).unwrap();
    assert!(sent.is_legacy());
    assert_eq!(sent.recover_signer().unwrap(), ACCOUNT.parse::<Address>().unwrap());
    assert_eq!((sent.nonce(), sent.chain_id(), sent.gas_price()), (5, Some(31337), Some(100)));
    // The bytes that the data fee is computed from are those of the same transaction.
    let bytes = unsigned_bytes(5, &unsigned);
    assert!(bytes.len() < signed.raw.len() && bytes.len() + 80 > signed.raw.len());
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
        match Signer::open(&source, None) {
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
        Signer::open(&source, account.map(|account| account.parse().unwrap()))
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
    let missing = Signer::open(&KeySource::DevelopmentKey(dir.path().join("none")), None);
    assert!(matches!(missing, Err(SignerError::Read { .. })));
}
