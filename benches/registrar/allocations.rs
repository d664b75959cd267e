//! How often a request for a document makes the server ask for memory.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStderr, ChildStdin, Command, ExitCode, Stdio},
    thread,
};

use crate::{Counting, client::Client, process::addresses, report::Report};

/// Set for the process that is the server.
pub const IS_SERVER: &str = "REGISTRAR_BENCH_SERVER";
const OFFERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/offers");
const REQUESTS: u32 = 20_000;

pub fn run(report: &mut Report) {
    let mut server = Server::start();
    let mut client = Client::public(&server.address);
    let path = "/.well-known/agent-registration.json";
    let mut ask = |count| (0..count).for_each(|_| assert_eq!(client.get(path).0, 200));
    ask(100);
    let before = server.allocations();
    ask(REQUESTS);
    let after = server.allocations();
    let each = f64::from(u32::try_from(after - before).unwrap()) / f64::from(REQUESTS);
    report.at_most("allocations for a request", "", each, [3.0, 0.0]);
}

/// The program, in this binary, because the release build cannot count.
struct Server {
    child: Child,
    address: String,
    questions: ChildStdin,
    answers: BufReader<ChildStderr>,
}

impl Server {
    fn start() -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
        command.args(["--public-url", "https://seller.example", "--threads", "1"]);
        command.args(["--offers", OFFERS]).env(IS_SERVER, "1").env("RUST_LOG", "error");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let [address, _] = addresses(&mut child);
        let questions = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stderr.take().unwrap());
        let server = Self { child, address, questions, answers };
        let mut client = Client::public(&server.address);
        while client.get("/.well-known/agent-registration.json").0 != 200 {}
        server
    }

    fn allocations(&mut self) -> u64 {
        writeln!(self.questions).unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim().parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves, and tells for each line of the standard input how often memory was asked for.
pub fn serve(counting: &'static Counting) -> ExitCode {
    thread::spawn(|| {
        for _ in std::io::stdin().lines() {
            let stats = counting.stats();
            eprintln!("{}", stats.allocations + stats.reallocations);
        }
    });
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(registrar::run())
}
