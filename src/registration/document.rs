//! The bytes of `agent-registration.json`, with its members in a fixed order.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Serialize, Serializer, ser::SerializeStruct};

use super::{
    agent::{RegistrationEntry, Registrations, entries},
    json::encode,
};
use crate::offer::{OfferId, Origin, Timestamp, print_seconds};

/// The document type of ERC-8004. Strict readers compare it byte for byte.
pub(crate) const DOCUMENT_TYPE: &str = "https://eips.ethereum.org/EIPS/eip-8004#registration-v1";
/// Where readers of ERC-8004 look for a host's document.
pub(crate) const WELL_KNOWN_PATH: &str = "/.well-known/agent-registration.json";

/// The URL of one offer's document.
pub(crate) fn offer_document_url(public_url: &Origin, id: &OfferId) -> String {
    format!("{public_url}/offers/{id}/agent-registration.json")
}

/// Whether a service takes new work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Availability {
    /// It does. The entry has no member for this.
    Open,
    /// It is about to go away, and should get no new work.
    Draining {
        /// The first instant at which the entry is not listed.
        ends_at: Timestamp,
    },
}

/// One entry of `services`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServiceEntry {
    /// `web`, `A2A`, `MCP`, `OASF`, `ENS`, `DID`, `email`, or a custom name.
    pub(crate) name: String,
    /// A URL, a DID, an ENS name or an email address.
    pub(crate) endpoint: String,
    /// Omitted if empty.
    pub(crate) version: String,
    /// OASF skills; omitted if empty.
    pub(crate) skills: Vec<String>,
    /// OASF domains; omitted if empty.
    pub(crate) domains: Vec<String>,
    /// Tools of an MCP server; omitted if empty.
    pub(crate) mcp_tools: Vec<String>,
    /// Skills of an A2A agent; omitted if empty.
    pub(crate) a2a_skills: Vec<String>,
    /// A drain is printed as `available: false` and `drainEndsAt`.
    pub(crate) availability: Availability,
}

impl Serialize for ServiceEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // serde_json ignores the length that is announced here.
        let mut entry = serializer.serialize_struct("ServiceEntry", 9)?;
        entry.serialize_field("name", &self.name)?;
        entry.serialize_field("endpoint", &self.endpoint)?;
        if !self.version.is_empty() {
            entry.serialize_field("version", &self.version)?;
        }
        if !self.skills.is_empty() {
            entry.serialize_field("skills", &self.skills)?;
        }
        if !self.domains.is_empty() {
            entry.serialize_field("domains", &self.domains)?;
        }
        if !self.mcp_tools.is_empty() {
            entry.serialize_field("mcpTools", &self.mcp_tools)?;
        }
        if !self.a2a_skills.is_empty() {
            entry.serialize_field("a2aSkills", &self.a2a_skills)?;
        }
        if let Availability::Draining { ends_at } = self.availability {
            entry.serialize_field("available", &false)?;
            entry.serialize_field("drainEndsAt", &print_seconds(ends_at))?;
        }
        entry.end()
    }
}

/// The entries of one offer as JSON objects joined by commas; empty without entries.
pub(crate) type Fragment = Arc<[u8]>;

pub(crate) fn fragment(entries: &[ServiceEntry]) -> Fragment {
    let list = encode(entries);
    list[1..list.len() - 1].into()
}

/// The members of a document besides services and ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AgentProfile {
    pub(crate) name: String,
    pub(crate) description: String,
    /// A URL.
    pub(crate) image: String,
    /// Omitted if empty.
    pub(crate) supported_trust: Vec<String>,
    /// Omitted if empty.
    pub(crate) metadata: BTreeMap<String, String>,
    /// Omitted if empty.
    pub(crate) provenance: BTreeMap<String, String>,
}

/// One registration document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Document {
    pub(crate) profile: AgentProfile,
    /// One fragment for each offer; none in an inactive document.
    pub(crate) services: Vec<Fragment>,
    /// Whether an offer is published.
    pub(crate) active: bool,
    /// Whether an offer is published that can be paid by x402.
    pub(crate) x402_support: bool,
    pub(crate) registrations: Registrations,
}

/// The sizes in bytes above which the aggregate document leaves offers out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SizeLimits {
    /// Of the whole document.
    pub(crate) document: usize,
    /// Of the entries of one offer. It applies only if the document is too large.
    pub(crate) offer: usize,
}

/// Why the aggregate document leaves an offer out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// Its entries are larger than those of one offer may be.
    TooLarge,
    /// There is no room for it.
    Full,
}

#[derive(Serialize)]
struct DocumentPrefix<'a> {
    r#type: &'static str,
    name: &'a str,
    description: &'a str,
    image: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DocumentSuffix<'a> {
    #[serde(rename = "x402Support")]
    x402_support: bool,
    active: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    registrations: Vec<RegistrationEntry>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    supported_trust: &'a [String],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    provenance: &'a BTreeMap<String, String>,
}

impl Document {
    /// Renders compact JSON with members in a fixed order.
    pub(crate) fn render(&self) -> Vec<u8> {
        let (head, tail) = self.frame();
        let mut out = head;
        for (at, fragment) in
            self.services.iter().filter(|fragment| !fragment.is_empty()).enumerate()
        {
            if at > 0 {
                out.push(b',');
            }
            out.extend_from_slice(fragment);
        }
        out.extend_from_slice(&tail);
        out
    }

    /// Leaves services out until the document fits into `limits`, and returns why each one is left
    /// out. The last remaining one stays.
    pub(super) fn cut_to(&mut self, limits: SizeLimits) -> Vec<Option<Cut>> {
        let (head, tail) = self.frame();
        let sizes: Vec<usize> = self.services.iter().map(|fragment| fragment.len()).collect();
        let cuts = cuts(head.len() + tail.len(), &sizes, limits);
        let mut kept = cuts.iter().map(Option::is_none);
        self.services.retain(|_| kept.next().unwrap_or(true));
        cuts
    }

    /// The bytes before the first service and after the last.
    pub(super) fn frame(&self) -> (Vec<u8>, Vec<u8>) {
        let AgentProfile { name, description, image, supported_trust, metadata, provenance } =
            &self.profile;
        let mut head = encode(&DocumentPrefix { r#type: DOCUMENT_TYPE, name, description, image });
        head.pop();
        head.extend_from_slice(b",\"services\":[");
        let registrations = entries(&self.registrations);
        let members = encode(&DocumentSuffix {
            x402_support: self.x402_support,
            active: self.active,
            registrations,
            supported_trust,
            metadata,
            provenance,
        });
        let mut tail = b"],".to_vec();
        tail.extend_from_slice(&members[1..]);
        (head, tail)
    }
}

/// Decides which of the services of `sizes` bytes, from oldest to newest, are left out: the newest
/// of the large ones first, then the newest.
fn cuts(frame: usize, sizes: &[usize], limits: SizeLimits) -> Vec<Option<Cut>> {
    let mut cuts = vec![None; sizes.len()];
    let mut kept = sizes.len();
    let mut listed = sizes.iter().filter(|size| **size > 0).count();
    let mut bytes = sizes.iter().sum::<usize>();
    for cut in [Cut::TooLarge, Cut::Full] {
        for (at, &size) in sizes.iter().enumerate().rev() {
            if frame + bytes + listed.saturating_sub(1) <= limits.document || kept == 1 {
                return cuts;
            }
            let applies = match cut {
                Cut::TooLarge => size > limits.offer,
                Cut::Full => cuts[at].is_none(),
            };
            if applies {
                cuts[at] = Some(cut);
                kept -= 1;
                bytes -= size;
                listed -= usize::from(size > 0);
            }
        }
    }
    cuts
}

#[cfg(test)]
mod tests;
