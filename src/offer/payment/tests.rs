//! What is listed of a payment, in the terms of x402, and what is left out with which code.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    Unlisted,
    amount::in_atomic_units,
    networks::{NETWORKS, find},
    payables,
};
use crate::testing::for_each_row;

const PAY_TO: &str = "0x1111111111111111111111111111111111111111";
const BASE_USDC: &str = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913";
const OTHER: &str = "0x0B010000b7624eb9B3DfBC279673C76E9D29D5F7";

/// A payment of 0.01 USDC on Base, with a change.
fn with(pointer: &str, value: impl Into<Value>) -> Value {
    let mut payment = json!({ "network": "base", "payTo": PAY_TO, "price": { "perRequest": "0.01" }, "asset": {} });
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    payment.pointer_mut(parent).unwrap()[key] = value.into();
    payment
}

/// The only way to pay: network, amount, asset, name of the domain.
fn only(spec: &Value) -> (u64, String, String, Option<String>) {
    let [payable] = &payables(spec).unwrap()[..] else { panic!("one URL") };
    let [option] = &payable.accepts[..] else { panic!("one way to pay") };
    let domain = option.domain.as_ref().map(|domain| domain.name().to_owned());
    (option.chain_id, option.amount.to_string(), option.asset.to_string(), domain)
}

#[test]
fn a_price_is_an_exact_amount_or_none() {
    let max = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
    let over = "115792089237316195423570985008687907853269984665640564039457584007913129639936";
    let rows = [
        ("0.01", 6, Some("10000")),
        ("0.000001", 6, Some("1")),
        ("1", 6, Some("1000000")),
        ("1.", 6, None),
        (".5", 6, None),
        ("1.50", 1, Some("15")),
        ("1.50", 0, None),
        ("1.00", 0, Some("1")),
        ("007.70", 2, Some("770")),
        // What binary fractions get wrong.
        ("0.1", 18, Some("100000000000000000")),
        ("0.29", 2, Some("29")),
        ("1.005", 3, Some("1005")),
        ("4.35", 2, Some("435")),
        ("9007199254740993", 0, Some("9007199254740993")),
        ("0.0000001", 6, None),
        ("0.00000010", 7, Some("1")),
        ("0", 6, None),
        ("0.00", 6, None),
        ("-1", 6, None),
        ("+1", 6, None),
        ("1e-3", 6, None),
        ("1_000", 6, None),
        ("1,5", 6, None),
        (" 1", 6, None),
        ("$1", 6, None),
        ("\u{661}", 6, None),
        ("1.2.3", 6, None),
        ("0x10", 6, None),
        ("", 6, None),
        ("1", 255, None),
        (max, 0, Some(max)),
        (over, 0, None),
    ];
    for_each_row(rows, |(price, decimals, expected)| {
        let amount = in_atomic_units(price, decimals).map(|amount| amount.to_string());
        assert_eq!(amount.as_deref(), expected, "{price} with {decimals} decimals");
    });
    assert_eq!(in_atomic_units(&"0".repeat(200), 6), None, "a price of any length");
}

#[test]
fn a_network_is_known_by_its_names_and_by_its_caip_2_id_only() {
    let rows = [
        ("base", Some(8_453)),
        (" Base-Mainnet ", Some(8_453)),
        ("eip155:8453", Some(8_453)),
        ("eip155:10", Some(10)),
        ("8453", None),
        ("eip155:08453", None),
        ("eip155:", None),
        ("eip155:-1", None),
        ("eip155:99999999999999999999", None),
        ("solana", None),
        ("solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp", None),
        ("", None),
    ];
    for_each_row(rows, |(network, expected)| {
        assert_eq!(find(network).map(|(id, _)| id), expected, "{network}");
    });
}

#[test]
fn a_name_means_one_network_and_the_same_as_in_the_table_of_chains() {
    let mut seen = BTreeSet::new();
    for network in NETWORKS {
        assert!(seen.insert(network.id.to_string()));
        for name in network.names {
            assert!(seen.insert((*name).to_owned()), "{name} is there twice");
            let chain = crate::registration::chains::find(name);
            assert!(chain.is_none_or(|chain| chain.id == network.id), "{name}");
        }
    }
}

#[test]
fn a_payment_is_expressed_exactly() {
    let rows = [
        (with("/network", "base"), (8_453, "10000", BASE_USDC, Some("USD Coin"))),
        (with("/network", "eip155:8453"), (8_453, "10000", BASE_USDC, Some("USD Coin"))),
        (
            with("/network", "base-sepolia"),
            (84_532, "10000", "0x036CbD53842c5426634e7929541eC2318f3dCF7e", Some("USDC")),
        ),
        (with("/method", "crypto"), (8_453, "10000", BASE_USDC, Some("USD Coin"))),
        (with("/scheme", "exact"), (8_453, "10000", BASE_USDC, Some("USD Coin"))),
        (with("/asset", Value::Null), (8_453, "10000", BASE_USDC, Some("USD Coin"))),
        (
            with("/asset", json!({ "symbol": "usdc", "decimals": 6 })),
            (8_453, "10000", BASE_USDC, Some("USD Coin")),
        ),
        (
            with("/asset", json!({ "address": BASE_USDC.to_lowercase(), "decimals": 0 })),
            (8_453, "10000", BASE_USDC, Some("USD Coin")),
        ),
        (
            with(
                "/asset",
                json!({ "address": OTHER, "decimals": 18, "eip712Name": "Token", "eip712Version": "1" }),
            ),
            (8_453, "10000000000000000", OTHER, Some("Token")),
        ),
        (
            with("/asset", json!({ "address": OTHER, "decimals": 2, "transferMethod": "permit2" })),
            (8_453, "1", OTHER, None),
        ),
    ];
    for_each_row(rows, |(payment, (chain, amount, asset, domain))| {
        let expected = (chain, amount.to_owned(), asset.to_owned(), domain.map(str::to_owned));
        assert_eq!(only(&json!({ "payment": payment })), expected, "{payment}");
    });
}

#[test]
fn what_cannot_be_expressed_has_a_code() {
    let rows = [
        (with("/method", "card"), Unlisted::NotX402),
        (with("/scheme", "upto"), Unlisted::UnknownScheme),
        (with("/network", "solana"), Unlisted::UnknownNetwork),
        (with("/network", Value::Null), Unlisted::UnknownNetwork),
        (with("/network", 8_453), Unlisted::UnknownNetwork),
        (with("/payTo", "0x11"), Unlisted::InvalidPayTo),
        (with("/payTo", "alice.eth"), Unlisted::InvalidPayTo),
        (with("/payTo", &PAY_TO[2..]), Unlisted::InvalidPayTo),
        (with("/payTo", format!("0x{}", "0".repeat(40))), Unlisted::InvalidPayTo),
        (with("/price", json!({})), Unlisted::NoPrice),
        (with("/price", Value::Null), Unlisted::NoPrice),
        (with("/price", json!({ "perRequest": "" })), Unlisted::NoPrice),
        (with("/price", json!({ "perRequest": 0.01 })), Unlisted::NoPrice),
        (with("/price", json!({ "perMTok": "0.40" })), Unlisted::NotPerRequest),
        (with("/price", json!({ "perHour": "2" })), Unlisted::NotPerRequest),
        (with("/price", json!({ "perRequest": "free" })), Unlisted::InvalidPrice),
        (with("/price", json!({ "perRequest": "0" })), Unlisted::InvalidPrice),
        (with("/price", json!({ "perRequest": "0.0000001" })), Unlisted::InvalidPrice),
        // No address of USDC is known there.
        (with("/network", "avalanche-fuji"), Unlisted::UnknownAsset),
        (with("/network", "eip155:10"), Unlisted::UnknownAsset),
        (with("/asset", json!({ "symbol": "OBOL" })), Unlisted::UnknownAsset),
        (with("/asset", json!({ "address": "USDC" })), Unlisted::UnknownAsset),
        (with("/asset", json!({ "address": OTHER })), Unlisted::UnknownAsset),
        (with("/asset", json!({ "address": OTHER, "decimals": 18 })), Unlisted::UnknownAsset),
        (with("/asset", json!({ "address": BASE_USDC, "decimals": 18 })), Unlisted::UnknownAsset),
        (with("/asset", json!({ "address": OTHER, "decimals": 256 })), Unlisted::UnknownAsset),
        (with("/asset", json!({ "transferMethod": "wish" })), Unlisted::UnknownAsset),
    ];
    let mut seen = BTreeSet::from([Unlisted::NoPaidRoute]);
    for (_, code) in &rows {
        seen.insert(*code);
    }
    assert_eq!(seen, Unlisted::ALL.into());
    for_each_row(rows, |(payment, code)| {
        assert_eq!(payables(&json!({ "payment": payment })), Err(code), "{payment}");
    });
}

#[test]
fn a_spec_of_any_type_is_read() {
    for spec in
        [json!(null), json!([]), json!("x"), json!({ "payment": [] }), json!({ "payment": 1 })]
    {
        assert!(payables(&spec).is_err(), "{spec}");
    }
    let spec = json!({ "payment": with("/network", "base"), "payments": "x", "routes": {} });
    assert!(payables(&spec).is_ok(), "what cannot be read counts as not set");
}

#[test]
fn of_several_ways_to_pay_those_that_can_be_expressed_are_listed() {
    let card = with("/method", "card");
    let base = with("/network", "base");
    let sepolia = with("/network", "base-sepolia");
    let spec = json!({ "payment": card, "payments": [card, base, sepolia] });
    let chains: Vec<u64> =
        payables(&spec).unwrap()[0].accepts.iter().map(|option| option.chain_id).collect();
    assert_eq!(chains, [8_453, 84_532]);
    assert_eq!(payables(&json!({ "payments": [card] })), Err(Unlisted::NotX402));
}

#[test]
fn each_paid_route_with_one_url_is_listed() {
    let payment = with("/network", "base");
    let routes = |routes: Value| payables(&json!({ "payment": payment, "routes": routes }));
    let listed = routes(json!([
        { "path": "/v1/chat", "methods": ["POST"], "summary": "A chat" },
        { "path": "/v1/models/*", "methods": ["GET", "HEAD"] },
        { "path": "/*", "price": { "perRequest": "0.5" } },
        { "path": "/v1/*/parts" },
        { "path": "/docs", "gate": "free" },
        { "path": "/me", "gate": "auth" },
        { "path": "/a/../b" },
        { "path": "//b" },
        { "path": "no" },
        { "path": "/q?x" },
        { "path": "/hours", "price": { "perHour": "1" } },
        {},
    ]));
    let listed = listed.unwrap();
    let listed: Vec<_> = listed
        .iter()
        .map(|payable| {
            let amount = payable.accepts[0].amount.to_string();
            (&*payable.path, payable.method, payable.summary.as_deref(), amount)
        })
        .collect();
    assert_eq!(
        listed,
        [
            ("/v1/chat", Some("POST"), Some("A chat"), "10000".to_owned()),
            ("/v1/models", None, None, "10000".to_owned()),
            ("", None, None, "500000".to_owned()),
        ]
    );
    assert_eq!(routes(json!([{ "path": "/x", "gate": "free" }])), Err(Unlisted::NoPaidRoute));
    let hourly = routes(json!([{ "path": "/x", "price": { "perHour": "1" } }]));
    assert_eq!(hourly, Err(Unlisted::NotPerRequest));
}
