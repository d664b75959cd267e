//! Which changes are reported.

use std::{fs, os::unix::fs::symlink, time::Duration};

use notify::{
    EventKind,
    event::{AccessKind, AccessMode, CreateKind, ModifyKind, RemoveKind},
};

use super::{ChangeReports, is_change};
use crate::{source::files::walk::walk, testing::for_each_row};

#[test]
fn reading_a_file_is_not_a_change() {
    let cases = [
        (EventKind::Access(AccessKind::Open(AccessMode::Any)), false),
        (EventKind::Access(AccessKind::Close(AccessMode::Read)), false),
        (EventKind::Access(AccessKind::Read), false),
        (EventKind::Access(AccessKind::Close(AccessMode::Write)), true),
        (EventKind::Create(CreateKind::File), true),
        (EventKind::Modify(ModifyKind::Any), true),
        (EventKind::Remove(RemoveKind::Folder), true),
        (EventKind::Any, true),
        (EventKind::Other, true),
    ];
    for_each_row(cases, |(kind, expected)| assert_eq!(is_change(kind), expected, "{kind:?}"));
}

#[tokio::test]
async fn every_way_to_change_what_is_read_is_reported() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("linked.yaml"), "a: 1").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir_all(path("sub")).unwrap();
    fs::create_dir_all(path("..1")).unwrap();
    fs::create_dir_all(path("..2")).unwrap();
    fs::write(path("..1/mounted.yaml"), "a: 1").unwrap();
    fs::write(path("..2/mounted.yaml"), "a: 2").unwrap();
    symlink("..1", path("..data")).unwrap();
    symlink("..data/mounted.yaml", path("mounted.yaml")).unwrap();
    symlink(outside.path().join("linked.yaml"), path("linked.yaml")).unwrap();
    let swap = || {
        symlink("..2", path("..next")).unwrap();
        fs::rename(path("..next"), path("..data")).unwrap();
    };
    let cases: [(&str, &dyn Fn()); 7] = [
        ("a new file", &|| fs::write(path("a.yaml"), "a: 1").unwrap()),
        ("a changed file", &|| fs::write(path("a.yaml"), "a: 2").unwrap()),
        ("a file below", &|| fs::write(path("sub/b.yaml"), "a: 1").unwrap()),
        ("a renamed file", &|| fs::rename(path("a.yaml"), path("c.yaml")).unwrap()),
        ("a removed file", &|| fs::remove_file(path("c.yaml")).unwrap()),
        ("the target of a link", &|| {
            fs::write(outside.path().join("linked.yaml"), "b: 2").unwrap()
        }),
        ("a swap of links", &swap),
    ];
    let mut reports = ChangeReports::new();
    let root = folder.path().to_owned();
    for (case, change) in cases {
        assert!(reports.follow(&walk(&root).unwrap().folders), "{case}");
        // What was reported so far, such as that folders are followed.
        while tokio::time::timeout(Duration::from_millis(50), reports.changed.notified())
            .await
            .is_ok()
        {}
        change();
        let reported = tokio::time::timeout(Duration::from_secs(60), reports.changed.notified());
        assert!(reported.await.is_ok(), "{case}");
    }
    let nowhere = [(path("nowhere"), (0, 0))].into();
    assert!(!reports.follow(&nowhere), "a folder that cannot be followed must be polled");
}
