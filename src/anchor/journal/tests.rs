//! The journal: what is written is read again, whole or not at all, and what is not ours is left as
//! it is.

mod bounds;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use alloy::primitives::{Address, B256};
use serde_json::{Value, json};

use crate::{
    anchor::{
        account::{AccountKey, AccountState, AgentRecord, Attempt, CodeHashes, InFlight, Spent},
        evidence::{Accounts, Block},
        facts::IdRecord,
        fees::Budget,
        journal::{
            Journal, JournalError, JournalStore,
            file::{JournalFile, read},
        },
        reason::AnchorReason,
        testing::{self, US, host, id, registry},
    },
    registration::AgentName,
    testing::{at, for_each_row},
};

const OLD: Address = Address::repeat_byte(0xf2);

fn accounts(current: Address, former: &[Address]) -> Accounts {
    Accounts { current, former: former.iter().copied().collect::<BTreeSet<_>>() }
}

fn ours() -> Accounts {
    accounts(US, &[])
}

fn key(account: Address) -> AccountKey {
    AccountKey { registry: registry(1), account }
}

fn record(reason: AnchorReason, id: IdRecord) -> AgentRecord {
    AgentRecord { reason, detail: None, id, failures: 2, content: None }
}

/// A state in which every field has a value of its own.
fn state(account: Address) -> AccountState {
    let attempt = |number: u8, max_fee: u128| Attempt {
        hash: B256::repeat_byte(number),
        raw: vec![2, number].into(),
        max_fee,
        tip: 1,
    };
    let agents = [
        (AgentName::Default, record(AnchorReason::Anchored, IdRecord::Ours(id(0)))),
        (host("audit.example"), record(AnchorReason::NotOwner, IdRecord::Lost)),
        (host("b.example"), record(AnchorReason::AdoptFirst, IdRecord::Refuted)),
        (host("c.example"), record(AnchorReason::Pending, IdRecord::Unknown)),
    ];
    AccountState {
        account,
        in_flight: Some(InFlight {
            nonce: 5,
            agent: AgentName::Default,
            call: "register(…)".to_owned(),
            to: Address::repeat_byte(0x80),
            data: vec![1, 2, 3].into(),
            gas: 200_000,
            budget: Budget::Daily,
            decisions: 4,
            attempts: vec![attempt(1, 100), attempt(2, u128::MAX)],
        }),
        waited: 3,
        spent: Spent { day: "2026-11-24".to_owned(), wei: 20_000_000 },
        spent_on_uris: Spent::default(),
        checkpoint: Some(Block { number: 6, hash: B256::repeat_byte(6) }),
        code: Some(CodeHashes {
            proxy: B256::repeat_byte(3),
            implementation: B256::repeat_byte(4),
        }),
        agents: agents.into(),
        minted: BTreeMap::new(),
        foreign_nonces: 6,
        final_count: 7,
        final_block: 8,
        balance: 9,
        decided_at: Some(at("2026-11-24T00:00:00Z")),
        step: "sign".to_owned(),
    }
}

fn journal(account: Address) -> Journal {
    let accounts = [(key(account), state(account))];
    Journal { owner_id: "harbour".to_owned(), accounts: accounts.into(), ..Journal::default() }
}

/// What version 0.1.0 wrote for it.
fn stored() -> Value {
    let byte = |byte: &str, count| format!("0x{}", byte.repeat(count));
    json!({ "ownerId": "harbour", "lanes": {
        format!("eip155:1:{}:{}", byte("80", 20), byte("11", 20)): {
            "account": byte("11", 20),
            "slot": {
                "nonce": 5, "agent": "default", "call": "register(…)", "to": byte("80", 20),
                "data": "0x010203", "gas": 200_000, "decisions": 4, "attempts": [
                    { "hash": byte("01", 32), "raw": "0x0201", "maxFee": "100", "tip": "1" },
                    {
                        "hash": byte("02", 32), "raw": "0x0202",
                        "maxFee": "340282366920938463463374607431768211455", "tip": "1",
                    },
                ],
            },
            "waited": 3,
            "spent": { "day": "2026-11-24", "wei": "20000000" },
            "code": { "proxy": byte("03", 32), "implementation": byte("04", 32) },
            "checkpoint": { "number": 6, "hash": byte("06", 32) },
            "agents": {
                "default": {
                    "reason": "Anchored", "id": { "state": "ours", "agentId": "0" }, "reverts": 2,
                },
                "host:audit.example": {
                    "reason": "NotOwner", "id": { "state": "lost" }, "reverts": 2,
                },
                "host:b.example": {
                    "reason": "AdoptFirst", "id": { "state": "refuted" }, "reverts": 2,
                },
                "host:c.example": {
                    "reason": "Pending", "id": { "state": "unknown" }, "reverts": 2,
                },
            },
            "foreignNonces": 6, "settledCount": 7, "settledBlock": 8, "balance": "9",
            "decidedAt": "2026-11-24T00:00:00Z", "step": "sign",
        },
    } })
}

#[test]
fn the_format_is_that_of_the_first_version() {
    assert_eq!(serde_json::to_value(journal(US)).unwrap(), stored());
    assert_eq!(serde_json::from_value::<Journal>(stored()).unwrap(), journal(US));
    // An account of which nothing has been read: that version wrote empty text for amounts and
    // instants.
    let mut fresh = stored();
    let lane = fresh["lanes"].as_object_mut().unwrap().values_mut().next().unwrap();
    *lane = json!({ "account": lane["account"], "balance": "", "decidedAt": "", "spent": {} });
    let read: Journal = serde_json::from_value(fresh).unwrap();
    let expected = AccountState { account: US, ..AccountState::default() };
    assert_eq!(read.accounts[&key(US)], expected);
}

/// A folder with a journal in it, and the journal's path.
fn written() -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.json");
    let (file, _) = JournalFile::open(&path, "harbour", &ours()).unwrap();
    replace(file, &journal(US)).unwrap();
    (dir, path)
}

fn replace(mut file: JournalFile, journal: &Journal) -> Result<(), JournalError> {
    futures::executor::block_on(file.replace(&journal.encode()))
}

fn open(path: &Path) -> Result<Journal, JournalError> {
    JournalFile::open(path, "harbour", &ours()).map(|(_, journal)| journal)
}

/// That nobody can use this content, whoever asks, and that it stays as it is.
fn refused(path: &Path, content: &[u8]) -> JournalError {
    fs::write(path, content).unwrap();
    assert!(read(path).is_err(), "{}", String::from_utf8_lossy(content));
    let refused = open(path).unwrap_err();
    assert_eq!(fs::read(path).unwrap(), content, "a refused journal is never overwritten");
    refused
}

#[test]
fn what_is_written_is_read_again() {
    let (_dir, path) = written();
    assert_eq!(read(&path).unwrap(), Some(journal(US)));
    assert_eq!(open(&path).unwrap(), journal(US));
    let text: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(
        (&text["format"], &text["version"]),
        (&json!("erc8004-registrar-journal"), &json!(1))
    );
}

#[test]
fn a_missing_journal_is_begun_and_a_reader_begins_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    assert_eq!(read(&path).unwrap(), None);
    assert!(!path.exists());
    let (file, begun) = JournalFile::open(&path, "harbour", &ours()).unwrap();
    let empty = Journal { owner_id: "harbour".to_owned(), ..Journal::default() };
    assert_eq!(begun, empty);
    drop(file);
    assert_eq!(read(&path).unwrap(), Some(empty), "an unwritable place is found out at once");
}

#[test]
fn after_a_crash_the_old_journal_stands_or_the_new_one() {
    let (dir, path) = written();
    for torn in [&b""[..], b"{\"format\":", b"garbage"] {
        fs::write(dir.path().join("journal.json.next"), torn).unwrap();
        assert_eq!(open(&path).unwrap(), journal(US));
    }
    let (file, mut changed) = JournalFile::open(&path, "harbour", &ours()).unwrap();
    changed.accounts.get_mut(&key(US)).unwrap().waited = 9;
    replace(file, &changed).unwrap();
    assert_eq!(read(&path).unwrap(), Some(changed));
    let mut names: Vec<_> =
        fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["journal.json", "journal.json.lock"], "nothing half-written is left");
}

#[test]
fn a_journal_may_have_any_name() {
    for name in ["a", "a.json", "a.next", "a.lock", ".hidden"] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        let (file, _) = JournalFile::open(&path, "harbour", &ours()).unwrap();
        replace(file, &journal(US)).unwrap();
        assert_eq!(read(&path).unwrap(), Some(journal(US)), "{name}");
        // Another of nearly the same name is another journal.
        assert!(open(&path.with_extension("other")).is_ok(), "{name}");
    }
}

#[test]
fn one_changed_byte_is_noticed_wherever_it_stands() {
    let (_dir, path) = written();
    let mut small = journal(US);
    small.accounts.values_mut().for_each(|state| {
        state.agents.retain(|agent, _| *agent == AgentName::Default);
    });
    replace(JournalFile::open(&path, "harbour", &ours()).unwrap().0, &small).unwrap();
    let whole = fs::read(&path).unwrap();
    let mut unharmed = 0;
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= [0x01, 0x20, 0x80][at % 3];
        fs::write(&path, &bytes).unwrap();
        match read(&path) {
            Err(JournalError::Corrupt { .. } | JournalError::Newer { .. }) => {}
            Ok(Some(same)) => {
                assert_eq!(same, small, "byte {at}");
                unharmed += 1;
            }
            other => panic!("byte {at}: {other:?}"),
        }
    }
    // The version's only digit, which an older one may be written with.
    assert!(unharmed <= 1, "{unharmed}");
    for length in (0..whole.len()).step_by(7) {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(matches!(read(&path), Err(JournalError::Corrupt { .. })), "cut at {length}");
    }
}

#[test]
fn what_is_not_ours_is_refused_and_left_as_it_is() {
    let (_dir, path) = written();
    let mut text: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let with = |text: &Value, key: &str, value: Value| {
        let mut text = text.clone();
        text[key] = value;
        serde_json::to_vec(&text).unwrap()
    };
    let newer = refused(&path, &with(&text, "version", json!(2)));
    assert!(matches!(newer, JournalError::Newer { version: 2, .. }), "{newer}");
    for (key, value) in [
        ("format", json!("another-journal")),
        ("checksum", json!("")),
        ("checksum", json!("00".repeat(32))),
        ("content", json!({})),
        ("version", json!("1")),
    ] {
        let corrupt = refused(&path, &with(&text, key, value));
        assert!(matches!(corrupt, JournalError::Corrupt { .. }), "{key}: {corrupt}");
        assert!(corrupt.to_string().contains(path.to_str().unwrap()), "{corrupt}");
    }
    // What has a true checksum and makes no sense.
    text["content"]["lanes"] = json!("none");
    let checksum = blake3::hash(text["content"].to_string().as_bytes()).to_hex().to_string();
    let senseless = refused(&path, &with(&text, "checksum", json!(checksum)));
    assert!(matches!(senseless, JournalError::Corrupt { .. }), "{senseless}");
    for content in [&b""[..], b"null", b"[]", b"\xff\xfe"] {
        refused(&path, content);
    }
}

#[test]
fn another_installations_journal_is_refused_and_named() {
    let (_dir, path) = written();
    let before = fs::read(&path).unwrap();
    let other = JournalFile::open(&path, "port", &ours()).unwrap_err();
    assert!(
        matches!(&other, JournalError::ForeignOwner { theirs, ours, .. } if (theirs.as_str(), ours.as_str()) == ("harbour", "port")),
        "{other}"
    );
    let other = JournalFile::open(&path, "harbour", &accounts(OLD, &[])).unwrap_err();
    assert!(
        matches!(other, JournalError::ForeignAccount { account, .. } if account == US),
        "{other}"
    );
    assert!(other.to_string().contains("--former-account"), "{other}");
    assert_eq!(fs::read(&path).unwrap(), before);
    let (_, replaced) = JournalFile::open(&path, "harbour", &accounts(OLD, &[US])).unwrap();
    assert_eq!(replaced, journal(US), "a former account's is ours");
}

#[test]
fn one_process_writes_and_others_read() {
    let (_dir, path) = written();
    let first = JournalFile::open(&path, "harbour", &ours()).unwrap();
    let second = JournalFile::open(&path, "harbour", &ours()).unwrap_err();
    assert!(matches!(second, JournalError::Locked { .. }), "{second}");
    let holder = format!("process {}", std::process::id());
    assert!(second.to_string().contains(&holder), "{second}");
    assert_eq!(read(&path).unwrap(), Some(journal(US)));
    drop(first);
    assert!(open(&path).is_ok());
}

#[test]
fn a_place_that_cannot_be_used_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let cases = [
        ("no folder", dir.path().join("none/journal")),
        ("a folder", dir.path().to_owned()),
        ("below a file", dir.path().join("file/journal")),
    ];
    fs::write(dir.path().join("file"), "").unwrap();
    for_each_row(cases, |(name, path)| {
        let refused = open(&path).unwrap_err();
        assert!(matches!(refused, JournalError::Io { .. }), "{name}: {refused}");
        assert!(refused.to_string().contains(path.to_str().unwrap()), "{name}: {refused}");
    });
    // What can no longer be written says so, and the journal stands.
    let (dir, path) = written();
    let (file, journal) = JournalFile::open(&path, "harbour", &ours()).unwrap();
    let before = fs::read(&path).unwrap();
    fs::create_dir(dir.path().join("journal.json.next")).unwrap();
    let refused = replace(file, &journal).unwrap_err();
    assert!(matches!(refused, JournalError::Io { act: "written", .. }), "{refused}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn amounts_instants_and_agents_that_make_no_sense_are_corrupt() {
    let (_dir, path) = written();
    let mut changes: Vec<(&str, Value)> = vec![
        ("balance", json!("plenty")),
        ("decidedAt", json!("yesterday")),
        (
            "agents",
            json!({ "host:": { "reason": "Anchored", "id": { "state": "lost" }, "reverts": 0 } }),
        ),
    ];
    let unreadable = json!({ "state": "ours", "agentId": "seven" });
    let agent = json!({ "default": { "reason": "Anchored", "id": unreadable, "reverts": 0 } });
    changes.push(("agents", agent));
    for (field, value) in changes {
        let mut content = stored();
        let lane = content["lanes"].as_object_mut().unwrap().values_mut().next().unwrap();
        lane[field] = value.clone();
        let refused = refused(&path, &with_checksum(content));
        assert!(matches!(refused, JournalError::Corrupt { .. }), "{field} {value}: {refused}");
    }
    let nowhere = json!({ "ownerId": "harbour", "lanes": { "nowhere": {} } });
    let refused = refused(&path, &with_checksum(nowhere));
    assert!(matches!(refused, JournalError::Corrupt { .. }), "{refused}");
}

fn with_checksum(content: Value) -> Vec<u8> {
    let checksum = blake3::hash(content.to_string().as_bytes()).to_hex().to_string();
    let journal = json!({
        "format": "erc8004-registrar-journal", "version": 1, "checksum": checksum, "content": content,
    });
    serde_json::to_vec(&journal).unwrap()
}

#[test]
fn a_new_accounts_state_begins_with_the_agents_of_the_previous_account() {
    let mut journal = journal(OLD);
    let begun = journal.account(&key(US));
    assert_eq!(begun.agents, state(OLD).agents);
    assert_eq!((begun.in_flight.clone(), begun.final_count), (None, 0));
    let elsewhere = AccountKey { registry: registry(2), account: US };
    assert_eq!(journal.account(&elsewhere), AccountState::default());
    assert_eq!(journal.recall(&key(US)).former, [(OLD, state(OLD).in_flight.unwrap())].into());
    assert!(journal.recall(&elsewhere).former.is_empty());
    assert!(journal.recall(&key(OLD)).former.is_empty(), "its own is not a former one's");
    journal.put(key(US), begun);
    assert!(journal.accounts[&key(OLD)].agents.is_empty(), "one account lists an agent");
    assert_eq!(journal.accounts[&key(OLD)].in_flight, state(OLD).in_flight);
}

#[test]
fn what_any_account_minted_is_remembered_by_all_and_for_each_registry() {
    let (k1, k2) = (testing::key(1), testing::key(2));
    let minted = |ids: &[(_, u64)]| ids.iter().map(|(key, token)| (*key, id(*token))).collect();
    let mut journal = journal(OLD);
    journal.accounts.get_mut(&key(OLD)).unwrap().minted = minted(&[(k1, 0)]);
    let mut begun = journal.account(&key(US));
    assert_eq!(begun.minted, minted(&[(k1, 0)]));
    begun.minted.extend([(k2, id(3))]);
    journal.put(key(US), begun);
    assert_eq!(journal.account(&key(OLD)).minted, minted(&[(k1, 0), (k2, 3)]), "and back");
    let elsewhere = AccountKey { registry: registry(2), account: US };
    assert!(journal.account(&elsewhere).minted.is_empty());
    // It is written as text, and what makes no sense is corrupt.
    let bytes = journal.encode();
    assert_eq!(Journal::decode(&bytes, "here").unwrap(), journal);
    let mut content = serde_json::to_value(&journal).unwrap();
    let lane = &mut content["lanes"][key(US).to_string()];
    assert_eq!(lane["minted"], json!({ k1.to_string(): "0", k2.to_string(): "3" }));
    for wrong in [json!({ "0x01": "0" }), json!({ k1.to_string(): "#7" }), json!([])] {
        content["lanes"][key(US).to_string()]["minted"] = wrong;
        let refused = Journal::decode(&with_checksum(content.clone()), "here").unwrap_err();
        assert!(matches!(refused, JournalError::Corrupt { .. }), "{refused}");
    }
}

#[test]
fn an_agents_failures_are_forgotten_in_its_registry_only() {
    let mut journal = journal(US);
    let agent = host("audit.example");
    assert!(!journal.resume(&registry(2), &agent));
    assert!(journal.resume(&registry(1), &agent));
    let failures = |journal: &Journal, agent| journal.accounts[&key(US)].agents[agent].failures;
    assert_eq!((failures(&journal, &agent), failures(&journal, &AgentName::Default)), (0, 2));
}
