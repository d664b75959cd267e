//! Ends a child process with the test process, even if that is killed and runs no destructor.

use std::process::{Child, Command, Stdio};

/// A shell that waits for the end of its stdin, which this process holds open, and then kills a
/// child.
pub struct Leash(Child);

impl Leash {
    /// Kills the process with this id when the test process ends, unless the leash is dropped
    /// before.
    pub fn on(pid: u32) -> Self {
        let shell = Command::new("sh")
            .args(["-c", "read -r _; kill -KILL \"$1\"", "sh", &pid.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(shell.unwrap())
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        // The shell goes first: once the child is reaped, its id may belong to another process.
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}
