//! The node's process.

use std::{
    fs::{self, File},
    ops::Deref,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use super::Rpc;
use crate::support::{leash::Leash, process::eventually};

/// A running anvil, reached over its [`Rpc`]. Killed when dropped, and when the test process ends.
///
/// By default it mines each transaction at once, and at head `n` block `n - 1` is safe and `n - 2`
/// is final.
pub struct Anvil {
    leash: Option<Leash>,
    child: Child,
    args: Vec<String>,
    dir: TempDir,
    rpc: Rpc,
}

impl Anvil {
    /// Starts a node with these arguments on a free port.
    pub async fn start(args: &[&str]) -> Self {
        let args = args.iter().copied().map(str::to_owned).collect();
        Self::with(args, tempfile::tempdir().unwrap()).await
    }

    /// Starts a node that writes its chain to a file when it is stopped, and reads it when it is
    /// run again.
    pub async fn remembering(args: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state.json").to_str().unwrap().to_owned();
        let args = args.iter().copied().map(str::to_owned).chain(["--state".into(), state]);
        Self::with(args.collect(), dir).await
    }

    async fn with(args: Vec<String>, dir: TempDir) -> Self {
        let (child, port) = launch(&args, &dir, 0).await;
        let leash = Some(Leash::on(child.id()));
        Self { leash, child, args, dir, rpc: Rpc::new(&format!("http://127.0.0.1:{port}")) }
    }

    /// Starts it again after [`Self::kill`] or [`Self::stop`], at the same address.
    pub async fn run(&mut self) {
        let port = self.rpc.url().rsplit_once(':').unwrap().1.parse().unwrap();
        (self.child, _) = launch(&self.args, &self.dir, port).await;
        self.leash = Some(Leash::on(self.child.id()));
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        self.leash = None;
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end, and waits until it did.
    pub async fn stop(&mut self) {
        self.signal("-INT");
        self.leash = None;
        eventually("anvil ends", async || self.child.try_wait().unwrap().is_some()).await;
    }

    /// Stops the process in its tracks; its connections stay open and silent.
    pub async fn freeze(&self) {
        self.signal("-STOP");
        // The signal is sent by then, but each thread stops in its own time.
        let threads = format!("/proc/{}/task", self.child.id());
        let stopped = |thread: fs::DirEntry| {
            let status = fs::read_to_string(thread.path().join("status"));
            status.is_ok_and(|status| status.contains("State:\tT"))
        };
        eventually("anvil is frozen", async || {
            fs::read_dir(&threads).unwrap().all(|thread| stopped(thread.unwrap()))
        })
        .await;
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }
}

impl Deref for Anvil {
    type Target = Rpc;

    fn deref(&self) -> &Rpc {
        &self.rpc
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        self.leash = None;
        // Fails if the process has ended already.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Starts the process and waits until it says where it listens.
async fn launch(args: &[String], dir: &TempDir, port: u16) -> (Child, u16) {
    let log = dir.path().join("anvil.log");
    let output = File::create(&log).unwrap();
    let mut child = Command::new(binary())
        .args(["--host", "127.0.0.1", "--port", &port.to_string(), "--slots-in-an-epoch", "1"])
        // States of old blocks, gigabytes in a long test. By default they lie below the home folder,
        // and stay there when the node is killed.
        .args(["--cache-path".as_ref(), dir.path().join("states").as_os_str()])
        .args(args)
        .current_dir(dir.path())
        .stdin(Stdio::null())
        .stdout(output.try_clone().unwrap())
        .stderr(output)
        .spawn()
        .unwrap();
    let mut listening = None;
    eventually("anvil listens", async || {
        let said = fs::read_to_string(&log).unwrap();
        let ended = child.try_wait().unwrap();
        assert!(ended.is_none(), "anvil did not start: {said}");
        listening = said
            .lines()
            .find_map(|line| line.strip_prefix("Listening on 127.0.0.1:")?.parse().ok());
        listening.is_some() && said.ends_with('\n')
    })
    .await;
    (child, listening.unwrap())
}

/// The program itself, because the script of the package does not pass signals on.
fn binary() -> PathBuf {
    let system = match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    };
    let machine = match std::env::consts::ARCH {
        "aarch64" => "arm64",
        "x86_64" => "amd64",
        other => other,
    };
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join(format!("tests/chain/node_modules/@foundry-rs/anvil-{system}-{machine}/bin/anvil"));
    assert!(path.is_file(), "{} is missing: run scripts/install-tools", path.display());
    path
}
