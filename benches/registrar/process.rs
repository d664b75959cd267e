//! The release build under measurement.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{api::Api, client::Client};

pub struct Process {
    child: Child,
    pub public: String,
    pub admin: String,
    started: Instant,
}

impl Process {
    /// Serves what an API server has.
    pub fn start(api: &Api, settings: &[&str]) -> Self {
        let mut command = Command::new(binary());
        command.args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
        command.args(["--public-url", "https://seller.example", "--identity", "none"]);
        command.args(settings).env("KUBECONFIG", api.kubeconfig()).env("RUST_LOG", "error");
        let started = Instant::now();
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let [public, admin] = addresses(&mut child);
        Self { child, public, admin, started }
    }

    /// Waits for the first document. Returns how long it took from the start.
    pub fn await_document(&self) -> Duration {
        let mut client = Client::admin(&self.admin);
        while client.get("/readyz").0 != 200 {
            thread::sleep(Duration::from_millis(2));
        }
        self.started.elapsed()
    }

    /// The CPU time of all threads so far.
    pub fn cpu(&self) -> Duration {
        cpu(self.child.id())
    }

    /// A field of /proc/PID/status in KiB.
    pub fn status_kib(&self, field: &str) -> f64 {
        status_kib(self.child.id(), field)
    }

    /// Makes the peak of resident memory begin anew.
    pub fn reset_peak(&self) {
        fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5").unwrap();
    }
}

/// Where a server listens, as it prints it: public, then admin.
pub fn addresses(server: &mut Child) -> [String; 2] {
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    ["public ", "admin "].map(|name| {
        let line = lines.next().unwrap().unwrap();
        line.strip_prefix(name).unwrap().trim_start_matches("http://").to_owned()
    })
}

/// The CPU time of all threads of a process so far.
pub fn cpu(pid: u32) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let nanos = tasks.flatten().filter_map(|task| {
        // A thread may end in the meantime.
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}

/// A field of /proc/PID/status in KiB.
pub fn status_kib(pid: u32, field: &str) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// The binary that was built beside this program.
pub fn binary() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    own.parent().unwrap().with_file_name("registrar")
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
