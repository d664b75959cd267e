use std::{
    fs::{self, File},
    os::unix::net::UnixListener,
    path::Path,
    process::Command,
    sync::mpsc,
    time::Duration,
};

use super::{MAX_FILE_BYTES, read_bytes};
use crate::testing::for_each_row;

/// What reading gives; a panic instead of a test that never ends.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    let (done, ended) = mpsc::channel();
    let path = path.to_owned();
    std::thread::spawn(move || done.send(read_bytes(&path)));
    ended.recv_timeout(Duration::from_secs(60)).expect("reading ends")
}

#[test]
fn what_took_the_place_of_a_file_since_it_was_found_is_refused_and_never_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.yaml");
    let cases: [(&str, &dyn Fn()); 4] = [
        ("a FIFO", &|| assert!(Command::new("mkfifo").arg(&path).status().unwrap().success())),
        ("a device", &|| std::os::unix::fs::symlink("/dev/zero", &path).unwrap()),
        ("a folder", &|| fs::create_dir(&path).unwrap()),
        ("larger than 256 MiB", &|| {
            File::create(&path).unwrap().set_len(MAX_FILE_BYTES + 1).unwrap();
        }),
    ];
    for_each_row(cases, |(what, replace)| {
        let _absent = fs::remove_file(&path).or_else(|_| fs::remove_dir(&path));
        replace();
        let refused = read(&path).unwrap_err();
        assert!(refused.contains(what), "{what}: {refused}");
    });
    fs::remove_file(&path).unwrap();
    drop(UnixListener::bind(&path).unwrap());
    assert!(read(&path).is_err(), "a socket");
    fs::remove_file(&path).unwrap();
    fs::write(&path, "kind: x").unwrap();
    assert_eq!(read(&path).unwrap(), b"kind: x");
}
