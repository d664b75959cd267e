//! Agent ids: how an AgentIdentity is read, which chain an alias means, and how documents print the
//! outcome.

use crate::{
    registration::{
        AgentId, AgentRegistry, Identity,
        chains::{self, KnownRegistries},
        encode, entries,
        identity::IdentityProblem,
        project,
    },
    testing::{at, for_each_row, ids_of, json_of, offer, offers, public_url, rules},
};
use serde_json::{Value, json};

/// Written down from the contracts' deployment list, independently of the code.
const MAINNETS: &str = "0x8004A169FB4a3325136EB29fA0ceB6D2e539a432";
const TESTNETS: &str = "0x8004A818BFB912233c491871b3d84c89A494BD9e";
const LARGEST: &str =
    "115792089237316195423570985008687907853269984665640564039457584007913129639935";
const TOO_LARGE: &str =
    "115792089237316195423570985008687907853269984665640564039457584007913129639936";

fn identity(entries: Value) -> Identity {
    Identity::parse(&json!({ "status": { "registrations": entries } }), &KnownRegistries::default())
}

/// One entry's chain and id, as printed; or why there is none.
fn code(problem: &IdentityProblem) -> &'static str {
    match problem {
        IdentityProblem::Undecodable(_) => "IdentityUndecodable",
        IdentityProblem::UnknownChain(_) => "UnknownChain",
        IdentityProblem::UnreadableId { .. } => "UnreadableId",
        IdentityProblem::IdConflict { .. } => "IdConflict",
    }
}

fn read(chain: &str, id: impl Into<Value>) -> Result<String, IdentityProblem> {
    let mut identity = identity(json!([{ "chain": chain, "agentId": id.into() }]));
    match identity.registrations.pop_first() {
        Some((registry, id)) => Ok(format!("{id} at {registry}")),
        None => Err(identity.problems.remove(0)),
    }
}

#[test]
fn every_chain_of_the_deployment_list_has_the_registry_of_its_class() {
    let mainnets = [
        1, 8453, 42161, 10, 137, 56, 43114, 2741, 42220, 100, 2345, 59144, 5000, 4326, 1088, 143,
        4663, 534352, 1187947933, 1868, 167000, 196, 295, 1776, 16661, 360,
    ];
    let testnets = [
        11155111, 84532, 421614, 11155420, 80002, 97, 43113, 11124, 11142220, 10200, 48816, 59141,
        5003, 6343, 59902, 10143, 46630, 534351, 324705682, 1946, 167013, 1952, 296, 5042002, 1439,
        16602, 11011,
    ];
    let listed =
        mainnets.map(|id| (id, MAINNETS)).into_iter().chain(testnets.map(|id| (id, TESTNETS)));
    let mut listed: Vec<(u64, &str)> = listed.collect();
    listed.sort_unstable();
    let known: Vec<_> =
        chains::CHAINS.iter().map(|chain| (chain.id, chain.registry.to_checksum(None))).collect();
    let known: Vec<_> = known.iter().map(|(id, registry)| (*id, registry.as_str())).collect();
    assert_eq!(known, listed);
    for (id, registry) in listed {
        for name in [id.to_string(), format!("eip155:{id}"), format!(" EIP155:{id} ")] {
            assert_eq!(read(&name, "7"), Ok(format!("7 at eip155:{id}:{registry}")), "{name}");
        }
    }
}

#[test]
fn aliases_mean_one_chain_each_trimmed_and_in_any_case() {
    let cases = [
        ("base", 8453),
        ("base-mainnet", 8453),
        ("base-sepolia", 84532),
        ("ethereum", 1),
        ("ethereum-mainnet", 1),
        ("mainnet", 1),
        ("sepolia", 11155111),
        ("polygon", 137),
        ("polygon-amoy", 80002),
        ("avalanche", 43114),
        ("avalanche-fuji", 43113),
        ("abstract", 2741),
        ("abstract-testnet", 11124),
        ("skale-base-sepolia", 324705682),
        (" Base ", 8453),
        ("BASE-SEPOLIA", 84532),
        ("\tMainNet\n", 1),
    ];
    for_each_row(cases, |(alias, id)| {
        assert_eq!(chains::find(alias).map(|chain| chain.id), Some(id), "{alias:?}");
    });
    let mut seen = std::collections::BTreeSet::new();
    for chain in chains::CHAINS {
        for alias in chain.aliases {
            assert!(seen.insert(alias), "{alias} stands twice");
            assert_eq!(*alias, alias.trim().to_lowercase());
            assert_eq!(chains::find(alias), Some(chain));
        }
    }
}

#[test]
fn an_unknown_chain_is_reported() {
    let names = [
        "",
        " ",
        "localhost",
        "base sepolia",
        "base_sepolia",
        "eip155:",
        "eip155:base",
        "eip155:999999999",
        "44787",
        "6342",
        "167012",
        "-1",
        "+1",
        "0x2105",
        "8453.0",
        "eip155:8453:0x8004",
        "solana:8453",
        "99999999999999999999999",
    ];
    for name in names {
        assert_eq!(
            read(name, "7"),
            Err(IdentityProblem::UnknownChain(name.to_owned())),
            "{name:?}"
        );
    }
    let named = read("", TOO_LARGE);
    assert_eq!(
        named,
        Err(IdentityProblem::UnknownChain(String::new())),
        "the chain is named first"
    );
}

#[test]
fn ids_are_exact_from_zero_to_the_last_one() {
    let exact = |digits: &str| serde_json::from_str::<Value>(digits).unwrap();
    let cases = [
        ("zero is an id", json!("0"), "0"),
        ("zero as a number", json!(0), "0"),
        ("a text", json!("42"), "42"),
        ("a number", json!(42), "42"),
        ("trimmed", json!(" 42\n"), "42"),
        ("leading zeros", json!("0042"), "42"),
        ("2^53 + 1", json!("9007199254740993"), "9007199254740993"),
        ("2^64", exact("18446744073709551616"), "18446744073709551616"),
        ("the largest as a text", json!(LARGEST), LARGEST),
        ("the largest as a number", exact(LARGEST), LARGEST),
    ];
    for_each_row(cases, |(case, id, digits)| {
        let read = identity(json!([{ "chain": "base", "agentId": id }]));
        assert_eq!(read.problems, [], "{case}");
        let entries = String::from_utf8(encode(&entries(&read.registrations))).unwrap();
        let expected =
            format!(r#"[{{"agentId":{digits},"agentRegistry":"eip155:8453:{MAINNETS}"}}]"#);
        assert_eq!(entries, expected, "{case}");
    });
    let unreadable = [
        json!(TOO_LARGE),
        json!(""),
        json!(" "),
        json!("-1"),
        json!("+1"),
        json!("1.0"),
        json!("1e3"),
        json!("0x2a"),
        json!("4 2"),
        json!("4_2"),
        json!("\u{664}\u{662}"),
        json!("none"),
        json!(-1),
        json!(1.5),
        exact("1e3"),
        exact(TOO_LARGE),
        Value::Null,
    ];
    for id in unreadable {
        let told = read("base", id.clone());
        assert!(matches!(told, Err(IdentityProblem::UnreadableId { .. })), "{id}: {told:?}");
    }
}

#[test]
fn the_first_readable_entry_of_a_registry_wins_by_the_bytes_of_its_alias() {
    let id = |digits: &str| AgentId::parse(digits).unwrap();
    let conflict = |chain: &str, left_out: &str, kept: &str| {
        let chain = chain.to_owned();
        vec![IdentityProblem::IdConflict { chain, id: id(left_out), kept: id(kept) }]
    };
    let cases = [
        ("one entry", vec![("base", "1")], "1", vec![]),
        ("the same id twice", vec![("base", "1"), ("base-mainnet", "1")], "1", vec![]),
        ("the same id, written otherwise", vec![("base", "1"), ("8453", " 01 ")], "1", vec![]),
        (
            "another id",
            vec![("base", "1"), ("base-mainnet", "2")],
            "1",
            conflict("base-mainnet", "2", "1"),
        ),
        (
            "in whatever order",
            vec![("base-mainnet", "2"), ("base", "1")],
            "1",
            conflict("base-mainnet", "2", "1"),
        ),
        (
            "digits before letters",
            vec![("base", "1"), ("8453", "2")],
            "2",
            conflict("base", "1", "2"),
        ),
        (
            "capitals before small ones",
            vec![("base", "1"), ("Base", "2")],
            "2",
            conflict("base", "1", "2"),
        ),
        (
            "a space before all",
            vec![("8453", "1"), (" base", "2")],
            "2",
            conflict("8453", "1", "2"),
        ),
        (
            "of one alias the first listed",
            vec![("base", "2"), ("base", "1")],
            "2",
            conflict("base", "1", "2"),
        ),
        (
            "zero wins too",
            vec![("base", "0"), ("base-mainnet", "1")],
            "0",
            conflict("base-mainnet", "1", "0"),
        ),
    ];
    for_each_row(cases, |(case, list, kept, problems)| {
        let list = list.into_iter().map(|(chain, id)| json!({ "chain": chain, "agentId": id }));
        let read = identity(list.collect());
        assert_eq!(read.registrations.values().collect::<Vec<_>>(), [&id(kept)], "{case}");
        assert_eq!(read.problems, problems, "{case}");
    });
    let read = identity(
        json!([{ "chain": "base", "agentId": "x" }, { "chain": "base-mainnet", "agentId": "2" }]),
    );
    assert_eq!(
        read.registrations.values().collect::<Vec<_>>(),
        [&id("2")],
        "an unreadable one gives way"
    );
    assert_eq!(read.problems.len(), 1);
}

#[test]
fn a_bad_entry_or_a_bad_list_costs_only_itself() {
    let read = identity(json!([
        5, null, { "chain": 5, "agentId": "1" }, { "chain": "base", "agentId": true }, { "chain": "base" },
        { "chain": "nowhere", "agentId": "1" }, { "chain": "base", "agentId": "42", "more": [] },
    ]));
    let codes: std::collections::BTreeSet<_> = read.problems.iter().map(code).collect();
    assert_eq!(codes, ["IdentityUndecodable", "UnknownChain", "UnreadableId"].into());
    assert_eq!(read.problems.len(), 6);
    assert_eq!(read.registrations.len(), 1);
    let nothing =
        [json!({}), json!({ "status": null }), json!({ "status": { "registrations": null } })];
    for object in nothing {
        assert_eq!(
            Identity::parse(&object, &KnownRegistries::default()),
            Identity::default(),
            "{object}"
        );
    }
    for object in [json!({ "status": "x" }), json!({ "status": { "registrations": {} } })] {
        let read = Identity::parse(&object, &KnownRegistries::default());
        assert_eq!(read.problems.iter().map(code).collect::<Vec<_>>(), ["IdentityUndecodable"]);
        assert!(read.registrations.is_empty(), "{object}");
    }
    let conflict =
        identity(json!([{ "chain": "base", "agentId": "1" }, { "chain": "8453", "agentId": "2" }]));
    assert_eq!(code(&conflict.problems[0]), "IdConflict");
}

#[test]
fn registrations_stand_in_every_document_in_order_of_chain_id() {
    let read = identity(json!([
        { "chain": "base-sepolia", "agentId": "99" }, { "chain": "10", "agentId": "3" },
        { "chain": "base", "agentId": "42" }, { "chain": "ethereum", "agentId": "0" },
    ]));
    let resources =
        [offer("llm/chat").host("chat.example"), offer("llm/gone").host("gone.example").disabled()];
    let project = |resources: &[crate::testing::Resource], read: &Identity| {
        project(
            &offers(resources),
            &ids_of(&read.registrations),
            &public_url(),
            &rules(),
            at("2026-02-01T00:00:00Z"),
        )
    };
    let expected = json!([
        { "agentId": 0, "agentRegistry": format!("eip155:1:{MAINNETS}") },
        { "agentId": 3, "agentRegistry": format!("eip155:10:{MAINNETS}") },
        { "agentId": 42, "agentRegistry": format!("eip155:8453:{MAINNETS}") },
        { "agentId": 99, "agentRegistry": format!("eip155:84532:{TESTNETS}") },
    ]);
    let full = project(&resources, &read);
    let empty = project(&[], &read);
    let hosts = full.hosts.values().map(|host| &host.document);
    let documents: Vec<_> =
        hosts.chain([&full.default, &full.published[0].document, &empty.default]).collect();
    assert_eq!(documents.len(), 5);
    for document in documents {
        assert_eq!(json_of(document)["registrations"], expected);
    }
    let without = project(&resources, &Identity::default());
    assert_eq!(json_of(&without.default).get("registrations"), None);
}

#[test]
fn of_two_registries_on_one_chain_the_lower_address_comes_first() {
    let chain = chains::find("base").unwrap();
    let lower =
        AgentRegistry { chain_id: 8453, address: alloy::primitives::Address::repeat_byte(0x11) };
    let registrations = [
        (AgentRegistry::from(chain), AgentId::parse("1").unwrap()),
        (lower, AgentId::parse("2").unwrap()),
    ];
    let printed = entries(&registrations.into());
    let printed = serde_json::to_value(printed).unwrap();
    assert_eq!([&printed[0]["agentId"], &printed[1]["agentId"]], [2, 1]);
}

#[test]
fn a_registry_outside_the_table_is_known_by_its_ids_and_the_table_keeps_its_own() {
    let own = "0x1111111111111111111111111111111111111111";
    let registry = |chain_id| AgentRegistry { chain_id, address: own.parse().unwrap() };
    let known = KnownRegistries::with([registry(777_777), registry(8_453)]);
    let read = |chain: &str, known: &KnownRegistries| {
        let entries = json!([{ "chain": chain, "agentId": "7" }]);
        let identity = Identity::parse(&json!({ "status": { "registrations": entries } }), known);
        let registries: Vec<_> = identity.registrations.keys().map(ToString::to_string).collect();
        (registries.join(" "), identity.problems.iter().map(code).next())
    };
    let added = format!("eip155:777777:{own}");
    let base = format!("eip155:8453:{MAINNETS}");
    let rows = [
        ("eip155:777777", added.as_str()),
        ("777777", &added),
        (" EIP155:777777 ", &added),
        ("base", &base),
        ("8453", &base),
        ("eip155:8453", &base),
        ("eip155:777778", ""),
        ("seven", ""),
    ];
    for_each_row(rows, |(chain, expected)| {
        let problem = expected.is_empty().then_some("UnknownChain");
        assert_eq!(read(chain, &known), (expected.to_owned(), problem), "{chain}");
        let without = if expected == added { "" } else { expected };
        let problem = without.is_empty().then_some("UnknownChain");
        assert_eq!(read(chain, &KnownRegistries::default()), (without.to_owned(), problem));
    });
}
