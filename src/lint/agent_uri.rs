//! The forms of an agentURI: where its document is, or the document itself.

use std::io::Read;

use base64::{Engine, engine::general_purpose::STANDARD};
use flate2::read::MultiGzDecoder;
use percent_encoding::percent_decode_str;
use url::Url;

use super::{EVERY_READER_BYTES, code::LintCode, finding::Finding};

/// The first bytes of gzip.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// What an agentURI stands for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum AgentUri {
    /// An http or https URL.
    Web(Url),
    /// The content address of an `ipfs://` URL, with its path: `bafy…/agent.json`.
    Ipfs(String),
    /// A `data:` URI, or the text of the document itself.
    Embedded(Embedded),
    /// A URL of a scheme that is not supported.
    Unsupported { scheme: String },
}

/// A document within its agentURI.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Embedded {
    /// `None` if it cannot be decoded, for which there is a finding.
    pub(crate) document: Option<Vec<u8>>,
    /// What readers reject in the form of the URI.
    pub(crate) findings: Vec<Finding>,
}

impl AgentUri {
    /// Reads an agentURI. Returns `None` for text that is not one, such as the path of a file.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.starts_with('{') {
            let message = "The agentURI is JSON.";
            return Some(Self::Embedded(Embedded {
                document: Some(text.as_bytes().to_vec()),
                findings: vec![Finding::new(LintCode::RawJsonUri, "", message)],
            }));
        }
        let (scheme, rest) = text.split_once(':')?;
        let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
        if !is_scheme {
            return None;
        }
        let scheme = scheme.to_ascii_lowercase();
        match (scheme.as_str(), rest.strip_prefix("//")) {
            ("data", _) => Some(Self::Embedded(decode(rest))),
            ("http" | "https", Some(_)) => Some(
                Url::parse(text).map_or(Self::Unsupported { scheme: text.to_owned() }, Self::Web),
            ),
            ("ipfs", Some(place)) => {
                Some(Self::Ipfs(place.strip_prefix("ipfs/").unwrap_or(place).to_owned()))
            }
            (_, Some(_)) => Some(Self::Unsupported { scheme }),
            (_, None) => None,
        }
    }
}

/// Decodes what follows `data:`.
fn decode(rest: &str) -> Embedded {
    let mut findings = Vec::new();
    let mut found = |code, message: String| findings.push(Finding::new(code, "", message));
    let Some((head, payload)) = rest.split_once(',') else {
        found(LintCode::DataUnreadable, "The data: URI has no comma.".to_owned());
        return Embedded { document: None, findings };
    };
    let (head, is_base64) = match head.strip_suffix(";base64") {
        Some(head) => (head, true),
        None => (head, false),
    };
    let mut parts = head.split(';');
    let media_type = parts.next().unwrap_or_default();
    if media_type != "application/json" {
        found(LintCode::DataMediaType, format!("The media type is {media_type:?}."));
    }
    let parameters: Vec<&str> = parts.collect();
    if !parameters.is_empty() {
        found(LintCode::DataParameters, format!("The parameters are {parameters:?}."));
    }
    let bytes = if is_base64 {
        match standard_base64(payload) {
            Some((bytes, true)) => Some(bytes),
            Some((bytes, false)) => {
                let message = "The base64 is not in the standard form.".to_owned();
                found(LintCode::DataBase64Form, message);
                Some(bytes)
            }
            None => {
                let message = "The base64 cannot be decoded.".to_owned();
                found(LintCode::DataUnreadable, message);
                None
            }
        }
    } else {
        found(LintCode::DataNotBase64, "The data: URI is not base64.".to_owned());
        Some(percent_decode_str(payload).collect())
    };
    let coding = parameters.iter().find_map(|parameter| parameter.strip_prefix("enc="));
    let is_gzip = bytes.as_ref().is_some_and(|bytes| bytes.starts_with(&GZIP_MAGIC));
    let document = match (coding, bytes) {
        (Some("gzip") | None, Some(bytes)) if is_gzip => {
            found(LintCode::DataCompressed, "The document is compressed by gzip.".to_owned());
            let unpacked = unpack(&bytes);
            if let Err(why) = &unpacked {
                found(LintCode::DataUnreadable, why.clone());
            }
            unpacked.ok()
        }
        (Some(coding), Some(_)) => {
            found(LintCode::DataCompressed, format!("The content is encoded by {coding:?}."));
            let message = format!("The content is not gzip, and {coding:?} cannot be decoded.");
            found(LintCode::DataUnreadable, message);
            None
        }
        (_, bytes) => bytes,
    };
    Embedded { document, findings }
}

/// Decodes base64 of any common form. The flag is whether it is standard and padded.
fn standard_base64(payload: &str) -> Option<(Vec<u8>, bool)> {
    if let Ok(bytes) = STANDARD.decode(payload) {
        return Some((bytes, true));
    }
    let decoded = percent_decode_str(payload).decode_utf8().ok()?;
    let mut standard: String = decoded
        .trim_end_matches(|c: char| c == '=' || c.is_ascii_whitespace())
        .chars()
        .filter(|c| !c.is_ascii_whitespace())
        .map(|c| match c {
            '-' => '+',
            '_' => '/',
            c => c,
        })
        .collect();
    let missing = standard.len().wrapping_neg() % 4;
    standard.extend(std::iter::repeat_n('=', missing));
    STANDARD.decode(standard).ok().map(|bytes| (bytes, false))
}

fn unpack(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let limit = u64::try_from(EVERY_READER_BYTES).unwrap_or(u64::MAX);
    let mut document = Vec::new();
    let read = MultiGzDecoder::new(bytes).take(limit + 1).read_to_end(&mut document);
    match read {
        Err(error) => Err(format!("The gzip cannot be unpacked: {error}.")),
        Ok(_) if document.len() > EVERY_READER_BYTES => {
            Err(format!("The gzip unpacks to more than {EVERY_READER_BYTES} bytes."))
        }
        Ok(_) => Ok(document),
    }
}

#[cfg(test)]
mod tests;
