//! The programs that use what is delivered.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// A file of the repository.
pub(super) fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A program that scripts/go-tool builds, or has built; the first time on a machine takes minutes.
pub(super) fn tool(name: &str) -> Command {
    let built = Command::new(file("scripts/go-tool")).arg(name).stderr(Stdio::inherit()).output();
    let built = built.unwrap();
    assert!(built.status.success(), "scripts/go-tool {name} failed");
    Command::new(String::from_utf8(built.stdout).unwrap().trim())
}

/// What a command that succeeds prints.
pub(super) fn printed(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let (stdout, stderr) = (String::from_utf8(stdout).unwrap(), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?}\n{stdout}\n{stderr}");
    stdout
}
