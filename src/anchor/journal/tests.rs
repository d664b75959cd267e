//! The journal: what is written is read again, whole or not at all, and what is not ours is left as it is.

use std::{collections::BTreeSet, fs, path::Path};

use crate::{
    anchor::{
        evidence::{Accounts, Block},
        facts::learned,
        journal::{
            AccountState, AgentNote, Attempt, CodeHashes, IdNote, InFlight, Journal, JournalError,
            JournalFile, Spent, lane_key, read,
        },
        reason::AnchorReason,
    },
    registration::{AgentId, AgentRegistry, OnChainAgent, OnChainId},
};
use alloy::primitives::{Address, B256};
use serde_json::{Value, json};

const US: Address = Address::repeat_byte(0x11);
const OLD: Address = Address::repeat_byte(0xf2);

fn accounts(current: Address, former: &[Address]) -> Accounts {
    Accounts { current, former: former.iter().copied().collect::<BTreeSet<_>>() }
}

fn ours() -> Accounts {
    accounts(US, &[])
}

fn registry(chain_id: u64) -> AgentRegistry {
    AgentRegistry { chain_id, address: Address::repeat_byte(0x80) }
}

fn note(reason: AnchorReason, id: IdNote) -> AgentNote {
    AgentNote { reason, id, reverts: 2 }
}

/// A lane in which every field says something.
fn lane(account: Address) -> AccountState {
    let attempt = |number: u8, fee: &str| Attempt {
        hash: B256::repeat_byte(number),
        raw: vec![2, number].into(),
        max_fee: fee.to_owned(),
        tip: "1".to_owned(),
    };
    let agents = [
        ("default", note(AnchorReason::Anchored, IdNote::Ours("0".to_owned()))),
        ("host:audit.example", note(AnchorReason::NotOwner, IdNote::Lost)),
        ("host:b.example", note(AnchorReason::AdoptFirst, IdNote::Refuted)),
        ("host:c.example", note(AnchorReason::Pending, IdNote::Unknown)),
        ("host:d.example", note(AnchorReason::Anchored, IdNote::Ours("seven".to_owned()))),
    ];
    AccountState {
        account,
        slot: Some(InFlight {
            nonce: 5,
            agent: "default".to_owned(),
            call: "register(…)".to_owned(),
            to: Address::repeat_byte(0x80),
            data: vec![1, 2, 3].into(),
            gas: 200_000,
            decisions: 4,
            attempts: vec![
                attempt(1, "100"),
                attempt(2, "340282366920938463463374607431768211455"),
            ],
        }),
        waited: 3,
        spent: Spent { day: "2026-11-24".to_owned(), wei: "20000000".to_owned() },
        checkpoint: Some(Block { number: 6, hash: B256::repeat_byte(6) }),
        code: Some(CodeHashes {
            proxy: B256::repeat_byte(3),
            implementation: B256::repeat_byte(4),
        }),
        agents: agents.into_iter().map(|(agent, note)| (agent.to_owned(), note)).collect(),
        foreign_nonces: 6,
        settled_count: 7,
        settled_block: 8,
        balance: "9".to_owned(),
        decided_at: "2026-11-24T00:00:00Z".to_owned(),
        step: "sign".to_owned(),
    }
}

fn journal(account: Address) -> Journal {
    let lanes = [(lane_key(&registry(1), account), lane(account))];
    Journal { owner_id: "harbour".to_owned(), lanes: lanes.into() }
}

/// A folder with a journal in it, and the journal's path.
fn written() -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.json");
    let (file, _) = JournalFile::open(&path, "harbour", &ours()).unwrap();
    file.write(&journal(US)).unwrap();
    (dir, path)
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
    changed.lanes.get_mut(&lane_key(&registry(1), US)).unwrap().waited = 9;
    file.write(&changed).unwrap();
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
        file.write(&journal(US)).unwrap();
        assert_eq!(read(&path).unwrap(), Some(journal(US)), "{name}");
        // Another of nearly the same name is another journal.
        assert!(open(&path.with_extension("other")).is_ok(), "{name}");
    }
}

#[test]
fn one_changed_byte_is_noticed_wherever_it_stands() {
    let (_dir, path) = written();
    let mut small = journal(US);
    small.lanes.values_mut().for_each(|lane| lane.agents.retain(|agent, _| agent == "default"));
    JournalFile::open(&path, "harbour", &ours()).unwrap().0.write(&small).unwrap();
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
    assert!(matches!(second, JournalError::Locked(_)), "{second}");
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
    for (name, path) in cases {
        let refused = open(&path).unwrap_err();
        assert!(matches!(refused, JournalError::Io { .. }), "{name}: {refused}");
        assert!(refused.to_string().contains(path.to_str().unwrap()), "{name}: {refused}");
    }
    // What can no longer be written says so, and the journal stands.
    let (dir, path) = written();
    let (file, journal) = JournalFile::open(&path, "harbour", &ours()).unwrap();
    let before = fs::read(&path).unwrap();
    fs::create_dir(dir.path().join("journal.json.next")).unwrap();
    let refused = file.write(&journal).unwrap_err();
    assert!(matches!(refused, JournalError::Io { act: "written", .. }), "{refused}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn what_is_remembered_of_ids_is_told() {
    let learned = learned(&journal(US));
    let told = |agent: &str| learned.0[&(agent.to_owned(), registry(1))];
    let agent = |id, reason| OnChainAgent { id, reason };
    let zero = AgentId::parse("0").unwrap();
    assert_eq!(told("default"), agent(OnChainId::Own(zero), "Anchored"));
    assert_eq!(told("host:audit.example"), agent(OnChainId::Withheld, "NotOwner"));
    assert_eq!(told("host:b.example"), agent(OnChainId::Withheld, "AdoptFirst"));
    assert_eq!(told("host:c.example"), agent(OnChainId::Unknown, "Pending"));
    assert_eq!(told("host:d.example"), agent(OnChainId::Unknown, "Anchored"), "an unreadable id");
    assert_eq!(learned.0.len(), 5);
    let nowhere = Journal { lanes: [("nowhere".to_owned(), lane(US))].into(), ..journal(US) };
    assert!(crate::anchor::facts::learned(&nowhere).0.is_empty());
}

#[test]
fn after_a_change_of_key_the_lane_that_was_decided_last_is_told() {
    let key = |account| lane_key(&registry(1), account);
    for (new, old) in [(US, OLD), (OLD, US)] {
        let mut journal =
            Journal { owner_id: "harbour".to_owned(), lanes: [(key(old), lane(old))].into() };
        let agents = [("default".to_owned(), note(AnchorReason::NotOwner, IdNote::Lost))];
        let mut moved =
            AccountState { account: new, agents: agents.into(), ..AccountState::default() };
        let told = |journal: &Journal| learned(journal).0[&("default".to_owned(), registry(1))];
        journal.lanes.insert(key(new), moved.clone());
        assert_eq!(told(&journal).reason, "Anchored", "nothing was decided as {new} yet");
        moved.decided_at = "2026-11-24T00:00:01Z".to_owned();
        journal.lanes.insert(key(new), moved);
        assert_eq!(told(&journal), OnChainAgent { id: OnChainId::Withheld, reason: "NotOwner" });
    }
}

#[test]
fn a_day_is_utc_and_what_was_spent_on_another_counts_for_nothing() {
    let spent = |day: &str, wei: &str| Spent { day: day.to_owned(), wei: wei.to_owned() };
    let cases = [
        ("the same day", spent("2026-11-24", "7"), "2026-11-24T00:00:00Z", 7),
        ("its last second", spent("2026-11-24", "7"), "2026-11-24T23:59:59Z", 7),
        ("elsewhere it is tomorrow", spent("2026-11-24", "7"), "2026-11-25T01:00:00+02:00", 7),
        ("the next day", spent("2026-11-24", "7"), "2026-11-25T00:00:00Z", 0),
        ("the clock went back", spent("2026-11-24", "7"), "2026-11-23T23:59:59Z", 0),
        ("nothing yet", Spent::default(), "2026-11-24T00:00:00Z", 0),
        (
            "an unreadable amount is all there is",
            spent("2026-11-24", "-1"),
            "2026-11-24T00:00:00Z",
            u128::MAX,
        ),
    ];
    for (name, spent, now, expected) in cases {
        assert_eq!(spent.on(crate::testing::at(now)), expected, "{name}");
    }
}
