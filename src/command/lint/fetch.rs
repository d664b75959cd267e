//! Fetches one URL for the person who asked for it, within limits.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use anyhow::{Context, bail};
use reqwest::{
    Client, Response,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, LOCATION},
    redirect::Policy,
};
use tokio::time::timeout;
use url::{Host, Url};

use crate::lint::{Finding, LintCode, address::is_public};

/// The largest answer that is read, in bytes.
const BODY_LIMIT: usize = 65_536;
/// The limit of the whole exchange, redirects included.
const TIME_LIMIT: Duration = Duration::from_secs(5);
const REDIRECT_LIMIT: usize = 5;

/// The content of a URL.
pub(super) struct Fetched {
    pub(super) bytes: Vec<u8>,
    /// What readers reject in how it was answered.
    pub(super) findings: Vec<Finding>,
}

/// Fetches a URL.
///
/// The URL itself may lead anywhere, because a person named it. A redirect is followed only to
/// public addresses: the addresses that are checked are those that are connected to.
pub(super) async fn fetch(url: Url) -> anyhow::Result<Fetched> {
    let shown = without_secrets(&url);
    match timeout(TIME_LIMIT, follow(url)).await {
        Ok(fetched) => fetched.with_context(|| format!("cannot fetch {shown}")),
        Err(_) => bail!("cannot fetch {shown}: no complete answer within {TIME_LIMIT:?}"),
    }
}

/// A URL as messages show it: it may contain a key.
fn without_secrets(url: &Url) -> String {
    let mut shown = url.clone();
    // Both fail only for URLs that cannot have a user name.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_query(None);
    shown.to_string()
}

async fn follow(mut url: Url) -> anyhow::Result<Fetched> {
    let mut findings = Vec::new();
    // A proxy would resolve names itself, and could not be checked.
    let builder = || Client::builder().no_proxy().redirect(Policy::none());
    let mut client = builder().build()?;
    for _ in 0..=REDIRECT_LIMIT {
        if url.scheme() == "http" {
            let message = format!("{} is not https.", without_secrets(&url));
            findings.push(Finding::new(LintCode::PlainHttp, "", message));
        }
        let response = client.get(url.clone()).header(ACCEPT, "application/json").send().await?;
        if !response.status().is_redirection() {
            return read(response, findings).await;
        }
        let target = redirect_target(&url, &response)?;
        let message = format!("The answer redirects to {}.", without_secrets(&target));
        findings.push(Finding::new(LintCode::Redirected, "", message));
        url = target;
        client = builder().dns_resolver(PublicOnly).build()?;
    }
    bail!("there are more than {REDIRECT_LIMIT} redirects");
}

fn redirect_target(url: &Url, response: &Response) -> anyhow::Result<Url> {
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let location = location.context("the answer is a redirect without a readable Location")?;
    let target =
        url.join(location).context("the answer redirects to something that is not a URL")?;
    let shown = without_secrets(&target);
    if !matches!(target.scheme(), "http" | "https") {
        bail!("the answer redirects to {shown}, which is not http or https");
    }
    // Names are checked when they are resolved.
    let address = match target.host() {
        Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
        Some(Host::Domain(_)) | None => None,
    };
    if address.is_some_and(|address| !is_public(address)) {
        bail!("the answer redirects to {shown}, a private address, which is not followed");
    }
    Ok(target)
}

async fn read(mut response: Response, mut findings: Vec<Finding>) -> anyhow::Result<Fetched> {
    let status = response.status();
    if !status.is_success() {
        bail!("the answer is {status}");
    }
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    if let Some(coding) = header(CONTENT_ENCODING).filter(|coding| *coding != "identity") {
        bail!("the answer has Content-Encoding {coding:?} although none was asked for");
    }
    let media_type = header(CONTENT_TYPE).unwrap_or_default().to_owned();
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        let message = format!("The Content-Type is {media_type:?}.");
        findings.push(Finding::new(LintCode::MediaType, "", message));
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > BODY_LIMIT {
            bail!("the answer is larger than {BODY_LIMIT} bytes");
        }
    }
    Ok(Fetched { bytes, findings })
}

/// Resolves names, and fails if one of the addresses is not public.
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let addresses: Vec<SocketAddr> =
                tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if addresses.iter().any(|address| !is_public(address.ip())) {
                let name = name.as_str();
                let message = format!("{name} is a private address, which is not followed");
                return Err(message.into());
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests;
