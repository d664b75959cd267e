//! `registrar lint`: one registration document against ERC-8004 and its readers.

mod fetch;

use std::{
    fs::File,
    io::{Read, stdin},
    process::ExitCode,
};

use anyhow::{Context, bail};

use self::fetch::{Fetched, fetch};
use super::{print, print_json};
use crate::{
    cli::{LintArgs, LintInput},
    lint::{
        self, Finding, LintCode, LintReport, Severity, Verdict,
        agent_uri::{AgentUri, Embedded},
    },
};

/// The largest file that is read, in bytes. No reader accepts half as much.
const FILE_LIMIT: u64 = 4 * 1_048_576;

pub(super) async fn run(args: LintArgs) -> anyhow::Result<ExitCode> {
    let (input, json) = args.resolve();
    let report = read(input).await?;
    let printed = if json { print_json(&report)? } else { print(describe(&report).as_bytes())? };
    Ok(if report.verdict == Verdict::Invalid { ExitCode::FAILURE } else { printed })
}

async fn read(input: LintInput) -> anyhow::Result<LintReport> {
    match input {
        LintInput::File(path) => read_file(&path),
        LintInput::Uri(AgentUri::Embedded(embedded)) => Ok(embedded_report(embedded)),
        LintInput::Uri(AgentUri::Web(url)) => {
            let Fetched { bytes, mut findings } = fetch(url).await?;
            let message = "The document is behind an http or https URL.";
            findings.push(Finding::new(LintCode::NotContentAddressed, "", message));
            Ok(lint::lint(&bytes, findings))
        }
        // How a gateway answers says nothing about the document.
        LintInput::Gateway(url) => Ok(lint::lint(&fetch(url).await?.bytes, Vec::new())),
        LintInput::Uri(AgentUri::Unsupported { scheme }) => bail!(
            "cannot read a URL with {scheme:?}; https, http, data and ipfs are supported, or save the \
             document to a file"
        ),
        LintInput::Uri(AgentUri::Ipfs(place)) => bail!("ipfs://{place} needs --ipfs-gateway"),
    }
}

fn embedded_report(Embedded { document, findings }: Embedded) -> LintReport {
    match document {
        Some(document) => lint::lint(&document, findings),
        None => lint::undecodable(findings),
    }
}

fn read_file(path: &str) -> anyhow::Result<LintReport> {
    let mut bytes = Vec::new();
    let (name, read) = if path == "-" {
        ("standard input", stdin().lock().take(FILE_LIMIT + 1).read_to_end(&mut bytes))
    } else {
        let file = File::open(path).with_context(|| format!("cannot open {path}"))?;
        (path, file.take(FILE_LIMIT + 1).read_to_end(&mut bytes))
    };
    read.with_context(|| format!("cannot read {name}"))?;
    if u64::try_from(bytes.len()).is_ok_and(|size| size > FILE_LIMIT) {
        bail!("{name} is larger than {FILE_LIMIT} bytes, which no reader accepts");
    }
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    match AgentUri::parse(text) {
        Some(AgentUri::Embedded(embedded)) if !text.trim_start().starts_with('{') => {
            Ok(embedded_report(embedded))
        }
        Some(AgentUri::Web(_) | AgentUri::Ipfs(_)) => bail!(
            "{name} contains a URL, which is fetched only if it is the argument of the command"
        ),
        Some(AgentUri::Embedded(_) | AgentUri::Unsupported { .. }) | None => {
            Ok(lint::lint(&bytes, Vec::new()))
        }
    }
}

fn describe(report: &LintReport) -> String {
    let count = |severity, one: &str| match report.count(severity) {
        1 => format!("1 {one}"),
        count => format!("{count} {one}s"),
    };
    let mut text = format!(
        "{}: {}, {}, {}\n",
        report.verdict,
        count(Severity::Error, "error"),
        count(Severity::Warning, "warning"),
        count(Severity::Info, "note"),
    );
    for Finding { code, path, message } in &report.findings {
        let at = if path.is_empty() { String::new() } else { format!("  {path}") };
        text += &format!("\n{}  {code}{at}\n  {message}\n", code.severity().as_str());
        text += &format!("  fix: {}\n", code.fix());
        let readers: Vec<_> = code.readers().collect();
        if !readers.is_empty() {
            text += &format!("  readers: {}\n", readers.join(", "));
        }
    }
    text
}
