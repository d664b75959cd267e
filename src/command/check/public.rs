//! Asks the public URL, the hosts of offers, and the admin listener.

use std::time::Duration;

use reqwest::{Client, Method, header, redirect::Policy, tls::TlsInfo};
use tokio::time::Instant;
use url::Url;
use x509_cert::{Certificate, der::Decode};

use crate::{
    check::{
        public::{Answer, HostFacts, PublicFacts},
        server::Readiness,
    },
    clock::Clock,
    command::progress::{Progress, number},
    error_chain::with_causes,
    offer::{Origin, Timestamp},
    registration::{Projection, WELL_KNOWN_PATH},
};

const TIME_LIMIT: Duration = Duration::from_secs(10);
/// The largest answer that is read. The aggregate document may have 1 MiB.
const BODY_LIMIT: usize = 4 * 1_048_576;

/// Where requests go.
pub(in crate::command) struct Asker<'a> {
    client: Client,
    /// The origin that is asked for every host.
    via: Option<&'a Url>,
}

pub(super) async fn facts(
    public_url: &Origin,
    via: Option<&Url>,
    projection: Option<&Projection>,
) -> PublicFacts {
    let url = format!("{public_url}{WELL_KNOWN_PATH}");
    let asker = match Asker::new(via) {
        Ok(asker) => asker,
        Err(why) => return unasked(url, &why),
    };
    let get = asker.ask(Method::GET, &url, None).await;
    let asked_at = Clock::system().now();
    let head = asker.ask(Method::HEAD, &url, None).await;
    let etag = get.as_ref().ok().and_then(|answer| answer.headers.get("etag"));
    let conditional = match etag {
        None => None,
        Some(etag) => Some(asker.ask(Method::GET, &url, Some(etag)).await.map(|a| a.status)),
    };
    let mut hosts = Vec::new();
    let progress = Progress::of("asking the hosts of offers");
    let count = projection.map_or(0, |projection| projection.hosts.len());
    for (host, agent) in projection.iter().flat_map(|projection| &projection.hosts) {
        let url = format!("{}{WELL_KNOWN_PATH}", host.origin());
        progress.at(number(hosts.len()), number(count), &format!("at {host}"));
        hosts.push(HostFacts {
            host: host.as_str().to_owned(),
            get: asker.ask(Method::GET, &url, None).await,
            expected: agent.document.render(),
        });
    }
    let expected = projection.map(|projection| projection.default.render());
    PublicFacts { url, asked_at, get, head, conditional, expected, hosts }
}

fn unasked(url: String, why: &str) -> PublicFacts {
    let asked_at = Clock::system().now();
    let nothing = || Err(why.to_owned());
    PublicFacts {
        url,
        asked_at,
        get: nothing(),
        head: nothing(),
        conditional: None,
        expected: None,
        hosts: vec![],
    }
}

impl<'a> Asker<'a> {
    /// Asks `via` for every host, or each host itself.
    pub(in crate::command) fn new(via: Option<&'a Url>) -> Result<Self, String> {
        let client = Client::builder().redirect(Policy::none()).timeout(TIME_LIMIT).tls_info(true);
        let client = client.build().map_err(|error| with_causes(&error))?;
        Ok(Self { client, via })
    }

    /// Gets a URL. Redirects are not followed. The error is a sentence without its full stop.
    pub(in crate::command) async fn get(&self, url: &str) -> Result<Answer, String> {
        self.ask(Method::GET, url, None).await
    }

    async fn ask(&self, method: Method, url: &str, etag: Option<&str>) -> Result<Answer, String> {
        let asked = Url::parse(url).map_err(|error| error.to_string())?;
        let mut target = asked.clone();
        let mut request = match self.via {
            None => self.client.request(method, target),
            Some(via) => {
                let authority = &asked[url::Position::BeforeHost..url::Position::AfterPort];
                target = via.clone();
                target.set_path(asked.path());
                self.client.request(method, target).header(header::HOST, authority)
            }
        };
        request = request.header(header::ACCEPT, "application/json");
        if let Some(etag) = etag {
            request = request.header(header::IF_NONE_MATCH, etag);
        }
        let began = Instant::now();
        let mut response =
            request.send().await.map_err(|error| with_causes(&error.without_url()))?;
        let headers = response.headers().iter().map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        });
        let mut answer = Answer {
            status: response.status().as_u16(),
            headers: headers.collect(),
            certificate_until: response.extensions().get::<TlsInfo>().and_then(expiry),
            ..Answer::default()
        };
        while let Some(chunk) = response.chunk().await.map_err(|error| with_causes(&error))? {
            answer.body.extend_from_slice(&chunk);
            if answer.body.len() > BODY_LIMIT {
                return Err(format!("the answer is larger than {BODY_LIMIT} bytes"));
            }
        }
        answer.took = began.elapsed();
        Ok(answer)
    }
}

/// When the certificate of the connection expires.
fn expiry(tls: &TlsInfo) -> Option<Timestamp> {
    certificate_expiry(tls.peer_certificate()?)
}

fn certificate_expiry(der: &[u8]) -> Option<Timestamp> {
    let certificate = Certificate::from_der(der).ok()?;
    let until = certificate.tbs_certificate.validity.not_after.to_unix_duration();
    Timestamp::from_timestamp(i64::try_from(until.as_secs()).ok()?, 0)
}

/// What the admin listener reports of itself.
pub(super) async fn readiness(admin: &Url) -> Result<Readiness, String> {
    let mut url = admin.clone();
    url.set_path("/readyz");
    url.set_query(Some("verbose"));
    let answer = Asker::new(None)?.ask(Method::GET, url.as_str(), None).await;
    let answer = answer.map_err(|why| format!("{admin}: {why}."))?;
    serde_json::from_slice(&answer.body)
        .map_err(|error| format!("{admin} answers {} without a report: {error}.", answer.status))
}

#[cfg(test)]
mod tests;
