//! `registrar watch`: what becomes of offers, as it happens.

mod sse;

use std::{process::ExitCode, time::Duration};

use anyhow::{Context, bail};
use reqwest::{Client, Response, StatusCode, header};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::sleep;

use self::sse::{Event, Parser};
use super::terminal::{ATTENTION, BAD, GOOD, paint, print_painted};
use crate::{cli::WatchArgs, error_chain::with_causes};

const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// The server sends a comment every 15 s.
const SILENCE_LIMIT: Duration = Duration::from_secs(40);
/// How long it waits before it connects again, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The data of an event, as far as it is shown.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    #[serde(default)]
    agent: Option<String>,
    #[serde(default)]
    offer: Option<String>,
    #[serde(default)]
    drain_ends_at: Option<String>,
    #[serde(default)]
    at: Option<String>,
    #[serde(default)]
    detail: Option<String>,
}

/// A line of `--json`.
#[derive(serde::Serialize)]
struct Line<'a> {
    event: &'a str,
    id: &'a str,
    data: &'a RawValue,
}

pub(super) async fn run(args: WatchArgs) -> anyhow::Result<ExitCode> {
    let mut url = args.url.clone();
    url.set_path("/events");
    {
        let mut query = url.query_pairs_mut();
        query.clear();
        if let Some(agent) = &args.agent {
            query.append_pair("agent", &agent.to_string());
        }
        if let Some(offer) = &args.offer {
            query.append_pair("offer", &offer.to_string());
        }
    }
    if url.query() == Some("") {
        url.set_query(None);
    }
    let client = Client::builder().connect_timeout(CONNECT_LIMIT).read_timeout(SILENCE_LIMIT);
    let client = client.build()?;
    let mut watcher = Watcher { args, client, url, last_id: None, seen: 0 };
    // A wrong URL or filter is reported; what fails later is tried again.
    let mut response = watcher.connect().await?;
    eprintln!("Following {}", watcher.url);
    let mut pause = FIRST_PAUSE;
    loop {
        let last = watcher.last_id.clone();
        let why = match watcher.follow(response).await {
            Ok(Follow::Done) => return Ok(ExitCode::SUCCESS),
            Ok(Follow::Ended) => "the server ended the stream".to_owned(),
            Err(error) => with_causes(error.as_ref()),
        };
        if watcher.last_id != last {
            pause = FIRST_PAUSE;
        }
        eprintln!("Disconnected: {why}");
        response = loop {
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            match watcher.connect().await {
                Ok(response) => break response,
                Err(error) => eprintln!("Trying again: {}", with_causes(error.as_ref())),
            }
        };
        eprintln!("Connected again");
    }
}

struct Watcher {
    args: WatchArgs,
    client: Client,
    url: url::Url,
    last_id: Option<String>,
    seen: u32,
}

enum Follow {
    /// As many events were seen as were asked for.
    Done,
    Ended,
}

impl Watcher {
    async fn connect(&self) -> anyhow::Result<Response> {
        let mut request = self.client.get(self.url.clone());
        request = request.header(header::ACCEPT, "text/event-stream");
        if let Some(id) = &self.last_id {
            request = request.header("last-event-id", id);
        }
        let response = request.send().await.map_err(reqwest::Error::without_url);
        let response = response.with_context(|| format!("cannot read {}", self.url))?;
        if response.status() != StatusCode::OK {
            bail!("{} answers {}", self.url, response.status());
        }
        Ok(response)
    }

    async fn follow(&mut self, mut response: Response) -> anyhow::Result<Follow> {
        let mut parser = Parser::default();
        while let Some(chunk) = response.chunk().await.map_err(reqwest::Error::without_url)? {
            for event in parser.feed(&chunk)? {
                self.last_id = event.id.clone().or(self.last_id.take());
                if event.data.is_empty() {
                    continue;
                }
                self.show(&event)?;
                self.seen += 1;
                if self.args.count.is_some_and(|count| self.seen >= count.get()) {
                    return Ok(Follow::Done);
                }
            }
        }
        Ok(Follow::Ended)
    }

    fn show(&self, event: &Event) -> anyhow::Result<()> {
        let line = if self.args.json {
            let data = serde_json::from_str(&event.data).context("an event is not JSON")?;
            let id = event.id.as_deref().unwrap_or_default();
            serde_json::to_string(&Line { event: &event.kind, id, data })?
        } else {
            describe(event)?
        };
        print_painted(&format!("{line}\n"))?;
        Ok(())
    }
}

fn describe(event: &Event) -> anyhow::Result<String> {
    let data: Data = serde_json::from_str(&event.data).context("an event is not JSON")?;
    let style = match event.kind.as_str() {
        "published" | "restored" => GOOD,
        "draining" | "reset" => ATTENTION,
        _ => BAD,
    };
    let kind = paint(style, &format!("{:<9}", event.kind));
    let at = data.at.as_deref().unwrap_or("-");
    let offer = data.offer.or(data.detail).unwrap_or_default();
    let mut line = format!("{at}  {kind}  {offer}");
    if let Some(agent) = data.agent.filter(|agent| agent != "default") {
        line += &format!("  {agent}");
    }
    if let Some(end) = data.drain_ends_at {
        line += &format!("  {} {end}", if event.kind == "drained" { "ended" } else { "ends" });
    }
    Ok(line)
}
