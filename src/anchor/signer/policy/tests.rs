//! Which transactions may be signed.

use alloy::{
    consensus::{TxEip1559, TxEip2930, TypedTransaction},
    primitives::{Bytes, U256},
};

use super::PolicyBreach;
use crate::{
    anchor::{
        evm::calldata,
        plan::Call,
        signer::tests::{asked, mint, policy},
        testing::key,
    },
    registration::AgentId,
};

#[test]
fn the_calls_of_the_registrar_are_allowed_and_no_other() {
    let (id, uri) = (AgentId::parse("7").unwrap(), "https://seller.example".to_owned());
    let own = [
        Call::Mint { uri: uri.clone(), key: key(1) },
        Call::Adopt { id, key: key(1) },
        Call::SetUri { id, uri },
        Call::SetX402 { id },
    ];
    for call in &own {
        let data = calldata(call);
        assert_eq!(policy().check(&TypedTransaction::Eip1559(asked(&data))), Ok(()), "{call}");
        // No byte can be changed into another call, and none added.
        let longer = Bytes::from([&data[..], &[0; 32]].concat());
        let renamed = [&[data[0] ^ 1], &data[1..]].concat().into();
        for other in [longer, renamed, data.slice(..data.len() - 32), data.slice(..4)] {
            let checked = policy().check(&TypedTransaction::Eip1559(asked(&other)));
            assert_eq!(checked, Err(PolicyBreach::OtherCall), "{call}: {other}");
        }
    }
    let adopt = calldata(&own[1]);
    let wallet = String::from_utf8_lossy(&adopt).replace("registrar.key", "agentWallet.0");
    assert_ne!(wallet.as_bytes(), &adopt[..]);
    let named = |from: &[u8], to: &[u8]| {
        let at = adopt.windows(from.len()).position(|bytes| bytes == from).unwrap();
        Bytes::from([&adopt[..at], to, &adopt[at + from.len()..]].concat())
    };
    let other = named(b"registrar.key", b"agent.walletX");
    let checked = policy().check(&TypedTransaction::Eip1559(asked(&other)));
    assert_eq!(checked, Err(PolicyBreach::OtherCall), "other metadata");
}

#[test]
fn a_call_with_anything_added_is_not_allowed() {
    let data = mint();
    let valued = TxEip1559 { value: U256::from(1), ..asked(&data) };
    let access = vec![alloy::eips::eip2930::AccessListItem::default()].into();
    let listed = TxEip1559 { access_list: access, ..asked(&data) };
    let TxEip1559 { chain_id, nonce, gas_limit, to, input, .. } = asked(&data);
    let typed = TxEip2930 { chain_id, nonce, gas_limit, to, input, ..TxEip2930::default() };
    for transaction in [valued.into(), listed.into(), TypedTransaction::from(typed)] {
        assert_eq!(policy().check(&transaction), Err(PolicyBreach::MoreThanACall));
    }
}
