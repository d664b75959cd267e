//! The verbs that read a running server: `status` and `watch`.

use std::{fs, path::Path, process::Stdio};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStderr, ChildStdout},
    time::timeout,
};

use crate::support::{
    process::{PATIENCE, Printed, Server, command, eventually, registrar},
    resource::{Resource, offer},
};

const URL: &str = "https://agents.example";

fn write(dir: &Path, resource: &Resource) {
    fs::write(dir.join("offer.json"), resource.0.to_string()).unwrap();
}

async fn serve(dir: &Path) -> Server {
    let server = Server::start(&["--offers", dir.to_str().unwrap(), "--public-url", URL]).await;
    eventually("it is ready", async || server.admin("/readyz").await.status() == 200).await;
    server
}

async fn run(args: &[&str]) -> Printed {
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let run = move || registrar(&args.iter().map(String::as_str).collect::<Vec<_>>());
    tokio::task::spawn_blocking(run).await.unwrap()
}

/// A `registrar watch` under way.
struct Watch {
    child: Child,
    stdout: Lines<BufReader<ChildStdout>>,
    stderr: Lines<BufReader<ChildStderr>>,
}

impl Watch {
    async fn start(server: &Server, more: &[&str]) -> Self {
        let command = command(&[&["watch", "--url", &server.public], more].concat());
        let mut command = tokio::process::Command::from(command);
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        let stderr = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut watch = Self { child, stdout, stderr };
        watch.says("Following ").await;
        watch
    }

    /// Waits for a line of stderr.
    async fn says(&mut self, beginning: &str) {
        loop {
            let line = timeout(PATIENCE, self.stderr.next_line()).await.unwrap().unwrap();
            if line.expect("it ended").starts_with(beginning) {
                return;
            }
        }
    }

    async fn line(&mut self) -> String {
        timeout(PATIENCE, self.stdout.next_line()).await.unwrap().unwrap().expect("it ended")
    }
}

/// The block of docs/operators.md behind a mark.
fn block(mark: &str) -> Vec<String> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operators.md"));
    let page = page.unwrap();
    let rest = page.split(&format!("<!-- {mark} -->\n")).nth(1).unwrap();
    let text = rest.split("```text\n").nth(1).unwrap().split("```").next().unwrap();
    text.lines().map(str::to_owned).collect()
}

/// A line without its time.
fn timeless(line: &str) -> String {
    line.split_once("  ").unwrap().1.trim_end().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn watch_prints_what_its_page_says_as_it_happens() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &offer("llm/chat"));
    let server = serve(dir.path()).await;
    let mut watch = Watch::start(&server, &["--count", "4"]).await;
    let mut printed = Vec::new();
    let chat = || offer("llm/chat");
    let steps = [
        chat().draining("2126-05-24T14:00:00Z", "1h"),
        chat().draining("2026-05-24T14:00:00Z", "1h"),
        chat(),
        chat().disabled(),
    ];
    for step in steps {
        write(dir.path(), &step);
        printed.push(timeless(&watch.line().await));
    }
    let expected: Vec<_> = block("compared: watch").iter().map(|line| timeless(line)).collect();
    assert_eq!(printed, expected);
    let ended = timeout(PATIENCE, watch.child.wait()).await.unwrap().unwrap();
    assert_eq!(ended.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn watch_filters_and_prints_json() {
    let dir = tempfile::tempdir().unwrap();
    let named = |name: &str| offer(&format!("llm/{name}"));
    fs::write(dir.path().join("other.json"), named("other").0.to_string()).unwrap();
    write(dir.path(), &named("chat").host("chat.example"));
    let server = serve(dir.path()).await;
    let more = ["--agent", "host:chat.example", "--offer", "llm/chat", "--json", "--count", "1"];
    let mut watch = Watch::start(&server, &more).await;
    fs::write(dir.path().join("other.json"), named("other").disabled().0.to_string()).unwrap();
    write(dir.path(), &named("chat").host("chat.example").draining("2126-05-24T14:00:00Z", "1h"));
    let line: Value = serde_json::from_str(&watch.line().await).unwrap();
    assert_eq!((&line["event"], &line["data"]["offer"]), (&"draining".into(), &"llm/chat".into()));
    assert_eq!(line["data"]["agent"], "host:chat.example");
    assert!(line["id"].as_str().unwrap().contains('-'), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn watch_connects_again_and_a_wrong_url_is_reported_at_once() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &offer("llm/chat"));
    let server = serve(dir.path()).await;
    let address = server.public.strip_prefix("http://").unwrap().to_owned();
    let mut watch = Watch::start(&server, &["--count", "1"]).await;
    server.signal("-TERM");
    let ended = server.log_after_end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    watch.says("Disconnected: ").await;
    let offers = dir.path().to_str().unwrap();
    let args = ["serve", "--listen", &address, "--admin-listen", "127.0.0.1:0", "--offers", offers];
    let again = Server::launch(command(&[&args[..], &["--public-url", URL]].concat())).await;
    // Its events are those of another process, so there is nothing to resume from.
    assert!(watch.line().await.contains("reset"), "{}", again.log());
    let nobody = run(&["watch", "--url", "http://127.0.0.1:1"]).await;
    assert_eq!((nobody.code, nobody.stdout.as_str()), (Some(1), ""), "{}", nobody.stderr);
    let refused = run(&["watch", "--url", &again.admin]).await;
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("404"), "{}", refused.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn status_exits_by_whether_documents_are_served() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("offer.json"), "{").unwrap();
    let server =
        Server::start(&["--offers", dir.path().to_str().unwrap(), "--public-url", URL]).await;
    let status = async |more: &[&str]| {
        run(&[&["status", "--admin-url", &server.admin], more].concat()).await
    };
    let unready = status(&[]).await;
    assert_eq!(unready.code, Some(1), "{}", unready.stderr);
    assert!(
        unready.stdout.contains("not serving") && unready.stdout.contains("BrokenFile"),
        "{}",
        unready.stdout
    );
    write(dir.path(), &offer("llm/chat"));
    eventually("it serves", async || status(&[]).await.code == Some(0)).await;
    let json: Value = serde_json::from_str(&status(&["--json"]).await.stdout).unwrap();
    assert_eq!((&json["ready"], &json["offers"]["published"]), (&true.into(), &1.into()));
    let nobody = run(&["status", "--admin-url", "http://127.0.0.1:1"]).await;
    assert_eq!((nobody.code, nobody.stdout.as_str()), (Some(1), ""));
    assert!(nobody.stderr.contains("--admin-url"), "{}", nobody.stderr);
    let public = run(&["status", "--admin-url", &server.public]).await;
    assert!(public.stderr.contains("404"), "{}", public.stderr);
}
