//! Who may read a journal's files, and requests that are left beside it.

use std::fs;

use super::{JournalFile, ask_to_resume, has_taken_resumes};
use crate::{
    anchor::{
        evidence::Accounts,
        journal::JournalStore,
        testing::{US, host},
    },
    registration::{AgentName, AgentRegistry},
};

fn accounts() -> Accounts {
    Accounts { current: US, former: [].into() }
}

/// The journal contains signed transactions that were not sent yet.
#[cfg(unix)]
#[test]
fn nobody_else_can_read_a_journal_or_what_is_beside_it() {
    use std::os::unix::fs::PermissionsExt;

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let (mut file, journal) = JournalFile::open(&path, "harbour", &accounts()).unwrap();
    let registry = AgentRegistry { chain_id: 1, address: US };
    ask_to_resume(&path, &registry, &AgentName::Default).unwrap();
    let modes = || {
        let files = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap());
        let mode = |file: fs::DirEntry| {
            let mode = file.metadata().unwrap().permissions().mode() & 0o777;
            (file.file_name().into_string().unwrap(), mode)
        };
        let mut modes: Vec<(String, u32)> = files.map(mode).collect();
        modes.sort();
        modes
    };
    let names = ["journal", "journal.lock", "journal.resume"];
    let private: Vec<(String, u32)> =
        names.iter().map(|name| ((*name).to_owned(), 0o600)).collect();
    assert_eq!(modes(), private);
    // A journal that others can read, such as a restored copy, is replaced by one that they cannot.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    futures::executor::block_on(file.replace(&journal.encode())).unwrap();
    assert_eq!(modes(), private);
}

#[test]
fn what_is_asked_beside_a_journal_is_taken_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let (mut file, _) = JournalFile::open(&path, "harbour", &accounts()).unwrap();
    assert_eq!(file.take_resumes(), []);
    let registry = AgentRegistry { chain_id: 8453, address: US };
    let asked = [(registry, AgentName::Default), (registry, host("audit.example"))];
    for (registry, agent) in &asked {
        ask_to_resume(&path, registry, agent).unwrap();
    }
    assert!(!has_taken_resumes(&path));
    assert_eq!(file.take_resumes(), asked);
    assert!(has_taken_resumes(&path));
    assert_eq!(file.take_resumes(), []);
    // What nobody can have asked for is passed over.
    fs::write(dir.path().join("journal.resume"), "eip155:1 default\n\nnonsense\n").unwrap();
    assert_eq!(file.take_resumes(), []);
    assert!(has_taken_resumes(&path));
}
