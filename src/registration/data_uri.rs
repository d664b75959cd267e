//! The part of an agent's document that is worth writing on chain, as a `data:` URI. Pure.
//!
//! Indexers that never fetch https read nothing else of an agent. Every change of it is a
//! transaction, so it says nothing that changes often: no prices, drains, metadata or ids of other
//! chains. It links to the document, which says everything.

use alloy::primitives::U256;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    agent::{AgentId, AgentRegistry, RegistrationEntry, Registrations, entries},
    document::DOCUMENT_TYPE,
    json::encode,
};

/// What such a URI begins with: the agent0 subgraph compares it byte for byte.
pub(crate) const DATA_URI_PREFIX: &str = "data:application/json;base64,";
/// The most JSON in a URI, in bytes.
pub(crate) const LARGEST_DATA_URI: usize = 4_096;
/// The longest name, description or image, in bytes; what readers that limit them accept.
const LONGEST_TEXT: usize = 512;
/// The services that are listed, one of each. agent0-py refuses a document with any other name.
const LISTED: [&str; 5] = ["MCP", "A2A", "OASF", "ENS", "DID"];

/// What a `data:` URI says of an agent, except its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChainDocument {
    name: String,
    description: String,
    image: String,
    services: Vec<ChainService>,
    x402_support: bool,
    active: bool,
    supported_trust: Vec<String>,
    /// The URL of the whole document.
    link: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ChainService {
    name: String,
    endpoint: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    version: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    skills: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    domains: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    mcp_tools: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    a2a_skills: Vec<String>,
}

/// The members of a document that are read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Source {
    name: String,
    description: String,
    image: String,
    services: Vec<ChainService>,
    #[serde(rename = "x402Support")]
    x402_support: bool,
    active: bool,
    #[serde(default)]
    supported_trust: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    r#type: &'static str,
    name: &'a str,
    description: &'a str,
    image: &'a str,
    services: Vec<&'a ChainService>,
    #[serde(rename = "x402Support")]
    x402_support: bool,
    active: bool,
    registrations: Vec<RegistrationEntry>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    supported_trust: &'a [String],
    #[serde(rename = "external_url")]
    link: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    retired: bool,
}

impl ChainDocument {
    /// Reads what is worth writing from a rendered document whose URL is `link`.
    pub(crate) fn read(document: &[u8], link: &str) -> Option<Self> {
        let Source { name, description, image, services, x402_support, active, supported_trust } =
            serde_json::from_slice(document).ok()?;
        let mut listed: Vec<ChainService> = Vec::new();
        for service in services {
            let is_new = listed.iter().all(|known| known.name != service.name);
            if LISTED.contains(&service.name.as_str()) && is_new {
                listed.push(service);
            }
        }
        Some(Self {
            name: shortened(name),
            description: shortened(description),
            // A URL that is cut leads nowhere.
            image: if image.len() > LONGEST_TEXT { String::new() } else { image },
            services: listed,
            x402_support,
            active,
            supported_trust,
            link: link.to_owned(),
        })
    }

    /// The document with an agent's id on one chain, at most [`LARGEST_DATA_URI`] bytes of JSON as a
    /// URI.
    pub(crate) fn uri(&self, registry: &AgentRegistry, id: AgentId) -> String {
        data_uri(&self.json(registry, id))
    }

    /// A name for what it says: equal exactly if the URI of any id is.
    pub(crate) fn digest(&self, registry: &AgentRegistry) -> String {
        let json = self.json(registry, AgentId::new(U256::ZERO));
        blake3::hash(&json).to_hex().to_string()
    }

    fn json(&self, registry: &AgentRegistry, id: AgentId) -> Vec<u8> {
        let registrations = Registrations::from([(*registry, id)]);
        let mut written = Written {
            r#type: DOCUMENT_TYPE,
            name: &self.name,
            description: &self.description,
            image: &self.image,
            services: Vec::new(),
            x402_support: self.x402_support,
            active: self.active,
            registrations: entries(&registrations),
            supported_trust: &self.supported_trust,
            link: &self.link,
            retired: false,
        };
        let mut json = encode(&written);
        // Control characters take six bytes each.
        for least in [Least::Trust, Least::Image, Least::Description, Least::Name] {
            if json.len() > LARGEST_DATA_URI {
                written.leave_out(least);
                json = encode(&written);
            }
        }
        for service in &self.services {
            written.services.push(service);
            let longer = encode(&written);
            if longer.len() > LARGEST_DATA_URI {
                written.services.pop();
            } else {
                json = longer;
            }
        }
        json
    }
}

/// What a document can do without, the least important first.
#[derive(Clone, Copy, Debug)]
enum Least {
    Trust,
    Image,
    Description,
    Name,
}

impl Written<'_> {
    fn leave_out(&mut self, least: Least) {
        match least {
            Least::Trust => self.supported_trust = &[],
            Least::Image => self.image = "",
            Least::Description => self.description = "",
            Least::Name => self.name = "",
        }
    }
}

/// The last URI of an agent, whose document has the URL `link`: it says that the agent is inactive and
/// retired. An agent whose document is not known has the name of its host.
pub(crate) fn retired_uri(
    published: Option<&ChainDocument>,
    link: &str,
    registry: &AgentRegistry,
    id: AgentId,
) -> String {
    let host = || link.split('/').nth(2).unwrap_or(link).to_owned();
    let name = published.map_or_else(host, |own| own.name.clone());
    let registrations = Registrations::from([(*registry, id)]);
    let written = Written {
        r#type: DOCUMENT_TYPE,
        description: &format!("Agent {name} (retired)"),
        name: &name,
        image: published.map_or("", |own| &own.image),
        services: Vec::new(),
        x402_support: false,
        active: false,
        registrations: entries(&registrations),
        supported_trust: &[],
        link,
        retired: true,
    };
    data_uri(&encode(&written))
}

/// Whether a URI is one of [`retired_uri`], of this id.
pub(crate) fn is_retired_uri(uri: &str, registry: &AgentRegistry, id: AgentId) -> bool {
    let json = uri.strip_prefix(DATA_URI_PREFIX).and_then(|text| STANDARD.decode(text).ok());
    let document: Option<Value> = json.and_then(|json| serde_json::from_slice(&json).ok());
    document.is_some_and(|document| {
        let own = serde_json::to_value(entries(&Registrations::from([(*registry, id)])));
        document["retired"] == true
            && document["active"] == false
            && own.is_ok_and(|own| document["registrations"] == own)
    })
}

fn data_uri(json: &[u8]) -> String {
    format!("{DATA_URI_PREFIX}{}", STANDARD.encode(json))
}

fn shortened(mut text: String) -> String {
    if text.len() > LONGEST_TEXT {
        let end = (0..=LONGEST_TEXT - '…'.len_utf8()).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or(0));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests;
