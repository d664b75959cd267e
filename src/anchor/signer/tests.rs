//! One nonce, one call: what is signed, what is written down of it, and what it counts for.

use std::{collections::BTreeMap, fs};

use crate::{
    anchor::{
        evidence::{Block, View},
        fees::Fees,
        journal::{AccountState, InFlight},
        key::{AnchorKey, AnchoredAgent},
        lane::{Priced, days_of_funds},
        plan::{
            BUMP_AFTER_DECISIONS, DesiredAgent, DesiredState, Head, MintReadiness, Reservation,
            Slot, Step, next,
        },
        signer::{KeySource, Signer, SignerError, Unsigned},
    },
    testing::at,
};
use alloy::{
    consensus::{Transaction, TxEnvelope, transaction::SignerRecoverable},
    eips::eip2718::Decodable2718,
    primitives::{Address, B256, TxKind, U256},
};

/// A key of Ethereum's public test vectors, and its account.
const SECRET: &str = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d";
const ACCOUNT: &str = "0x008AeEda4D805471dF9b2A5B0f38A0C3bCBA786b";

fn signer() -> Signer {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), format!("0x{SECRET}\n")).unwrap();
    let source = KeySource::DevelopmentKey(file.path().to_owned());
    Signer::open(&source, Some(ACCOUNT.parse().unwrap())).unwrap()
}

/// The right to sign at a nonce: anew, or again.
fn reservation(nonce: u64, slot: Option<&InFlight>) -> Reservation {
    let wanted = DesiredAgent {
        agent: AnchoredAgent::Default,
        key: AnchorKey::from_metadata(&[1; 20]).unwrap(),
        earlier_keys: Vec::new(),
        uri: "https://seller.example".to_owned(),
        readiness: MintReadiness::Ready,
        adopt: None,
        known: None,
        failed: 0,
    };
    let account = ACCOUNT.parse().unwrap();
    let intent = DesiredState { account, agents: vec![wanted], mint_beside: false };
    let view = View {
        block: Block { number: 1, hash: B256::ZERO },
        count: nonce,
        agents: BTreeMap::new(),
        unkeyed: BTreeMap::new(),
        tokens: BTreeMap::new(),
    };
    let head = Head { mined: nonce, pending: nonce, base_fee: 0 };
    let slot = slot.map(|slot| Slot { decisions: BUMP_AFTER_DECISIONS, ..slot.as_slot() });
    let Step::Sign(reservation) = next(&intent, slot.as_ref(), &view, &head, 0).step else {
        panic!("nothing is in the way")
    };
    reservation
}

fn priced(max_fee: u128, tip: u128) -> Priced {
    let unsigned = Unsigned {
        chain_id: 31337,
        to: Address::repeat_byte(0x80),
        data: vec![1, 2, 3].into(),
        gas: 1_000,
        fees: Fees { max_fee, tip },
    };
    Priced { agent: "default".to_owned(), call: "register".to_owned(), unsigned }
}

#[test]
fn a_signature_is_written_down_with_its_bytes_and_counts_in_full() {
    let mut lane = AccountState { waited: 7, ..AccountState::default() };
    let now = at("2026-11-24T12:00:00Z");
    let hash = lane.sign(&signer(), &reservation(5, None), priced(100, 3), now).unwrap();
    assert_eq!(
        (lane.spent.day.as_str(), lane.spent.on(now), lane.waited),
        ("2026-11-24", 100_000, 0)
    );
    let slot = lane.slot.clone().unwrap();
    assert_eq!((slot.nonce, slot.decisions, slot.gas), (5, 0, 1_000));
    assert_eq!((slot.agent.as_str(), slot.call.as_str()), ("default", "register"));
    assert_eq!(slot.as_slot(), Slot { nonce: 5, decisions: 0, max_fee: 100 });
    let (noted, raw) = slot.raw().unwrap();
    let sent = TxEnvelope::decode_2718(&mut raw.as_ref()).unwrap();
    assert_eq!((*noted, *sent.tx_hash()), (hash, hash));
    assert_eq!(sent.recover_signer().unwrap(), ACCOUNT.parse::<Address>().unwrap());
    assert_eq!((sent.nonce(), sent.chain_id(), sent.gas_limit()), (5, Some(31337), 1_000));
    assert_eq!((sent.kind(), sent.value()), (TxKind::Call(Address::repeat_byte(0x80)), U256::ZERO));
    assert_eq!(
        (sent.input().as_ref(), sent.access_list()),
        (&[1, 2, 3][..], Some(&Default::default()))
    );
    assert_eq!((sent.max_fee_per_gas(), sent.max_priority_fee_per_gas()), (100, Some(3)));
}

#[test]
fn a_bump_is_the_same_call_at_the_same_nonce_and_only_its_difference_counts() {
    let (signer, mut lane) = (signer(), AccountState::default());
    let noon = at("2026-11-24T12:00:00Z");
    lane.sign(&signer, &reservation(5, None), priced(100, 3), noon).unwrap();
    lane.slot.as_mut().unwrap().decisions = 10;
    let again = reservation(5, lane.slot.as_ref());
    lane.sign(&signer, &again, priced(120, 4), noon).unwrap();
    assert_eq!(lane.spent.on(noon), 120_000);
    let slot = lane.slot.clone().unwrap();
    assert_eq!((slot.nonce, slot.decisions, slot.attempts.len()), (5, 0, 2));
    assert_eq!(slot.as_slot().max_fee, 120, "the last is what the next is measured by");
    let bodies: Vec<_> = slot
        .attempts
        .iter()
        .map(|attempt| TxEnvelope::decode_2718(&mut attempt.raw.as_ref()).unwrap())
        .map(|sent| {
            (sent.nonce(), sent.chain_id(), sent.kind(), sent.value(), sent.input().clone())
        })
        .collect();
    assert_eq!(bodies[0], bodies[1]);
    // On a new day the old one's spending is forgotten.
    let later = at("2026-11-25T00:00:00Z");
    lane.sign(&signer, &again, priced(150, 5), later).unwrap();
    assert_eq!((lane.spent.day.as_str(), lane.spent.on(later)), ("2026-11-25", 30_000));
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

#[test]
fn funds_last_as_many_days_as_the_budget_goes_into_them() {
    let budget = |daily_budget| crate::anchor::fees::SpendLimits { max_fee: 1, daily_budget };
    for (balance, daily, days) in [(100, 40, 2.5), (0, 40, 0.0), (7, 0, 7.0)] {
        assert_eq!(days_of_funds(balance, &budget(daily)), days, "{balance} by {daily}");
    }
}
