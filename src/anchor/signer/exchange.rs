//! One bounded request to whatever signs, whose answer may be anything.

use std::time::Duration;

use reqwest::{ClientBuilder, Method, redirect::Policy};
use serde_json::Value;
use url::Url;
use zeroize::Zeroizing;

use super::SignerError;

/// The largest answer that is read, in bytes: several times the largest transaction.
const LARGEST: usize = 128 * 1024;
/// How much of what a signer says is repeated, in characters.
const LONGEST_TEXT: usize = 200;

/// A request; GET without a body.
pub(super) struct Exchange {
    pub(super) url: Url,
    /// A header besides those that every request has.
    pub(super) header: Option<(&'static str, &'static str)>,
    pub(super) body: Option<Value>,
    /// The bearer token.
    pub(super) token: Option<Zeroizing<String>>,
    /// How long it may take.
    pub(super) limit: Duration,
}

impl Exchange {
    /// The answer in JSON.
    pub(super) async fn run(self, client: ClientBuilder) -> Result<Value, SignerError> {
        let Self { url, header, body, token, limit } = self;
        let place = host(&url);
        let failed = |source: reqwest::Error| match source.is_timeout() {
            true => SignerError::Late { host: place.clone(), limit },
            false => SignerError::Unreachable {
                host: place.clone(),
                source: Box::new(source.without_url()),
            },
        };
        // A redirection would take the token and the request to somewhere else.
        let client = client.timeout(limit).redirect(Policy::none()).no_proxy();
        let method = if body.is_some() { Method::POST } else { Method::GET };
        let mut request = client.build().map_err(failed)?.request(method, url);
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        if let Some(token) = &token {
            request = request.bearer_auth(token.as_str());
        }
        if let Some(body) = &body {
            request = request.json(body);
        }
        let mut response = request.send().await.map_err(failed)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > LARGEST {
                return Err(SignerError::TooLarge { host: place, limit: LARGEST });
            }
            body.extend_from_slice(&chunk);
        }
        let answer = serde_json::from_slice::<Value>(&body).ok();
        // Some signers answer with a status and an error in JSON, others with text.
        if !status.is_success() {
            let said = answer.as_ref().and_then(|answer| failure(&answer["error"]));
            let said = said.unwrap_or_else(|| String::from_utf8_lossy(&body).into_owned());
            let text = quoted(&said, token.as_deref().map(String::as_str));
            return Err(SignerError::Status { host: place, status, text });
        }
        answer.ok_or_else(|| SignerError::Unreadable("it is not JSON".to_owned()))
    }
}

/// A path below a configured URL.
pub(super) fn below(url: &Url, path: &str) -> Url {
    let mut place = url.clone();
    if !path.is_empty() {
        place.set_path(&format!("{}/{path}", url.path().trim_end_matches('/')));
    }
    place
}

/// How messages name a place: a URL may contain secrets.
pub(super) fn host(url: &Url) -> String {
    url.host_str().unwrap_or("the configured URL").to_owned()
}

/// What an `error` member says; `None` if there is none.
pub(super) fn failure(error: &Value) -> Option<String> {
    match error {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Object(members) => match members.get("message").and_then(Value::as_str) {
            Some(message) => Some(message.to_owned()),
            None => Some(error.to_string()),
        },
        Value::Bool(_) | Value::Number(_) | Value::Array(_) => Some(error.to_string()),
    }
}

/// What a signer said, fit for a log: short, on one line, and without the token, which it was sent.
pub(super) fn quoted(said: &str, secret: Option<&str>) -> String {
    let said = match secret {
        Some(secret) if !secret.is_empty() => said.replace(secret, "…"),
        Some(_) | None => said.to_owned(),
    };
    let short: String = said.chars().take(LONGEST_TEXT).collect();
    format!("{short:?}")
}
