//! What can be paid by x402, in the form of its lists.

use serde::Serialize;

use super::Catalog;
use crate::{
    offer::{Hostname, OfferId, Payable, PaymentOption, TransferMethod, print_seconds},
    registration::{Availability, ForSale, offer_document_url},
};

/// The version of the protocol that the lists are written in.
pub(crate) const X402_VERSION: u8 = 2;
/// When an object was last written that does not say so, as manifests in files. A time of this process
/// would make replicas differ.
const UNKNOWN_TIME: &str = "1970-01-01T00:00:00Z";
/// The longest `serviceName`, which is printable ASCII.
const MAX_SERVICE_NAME: usize = 32;

/// The URLs that can be paid by x402, in the order of the list: by offer, then by route.
#[derive(Debug)]
pub(crate) struct Discovered {
    /// Each offer with the number of URLs before its own.
    offers: Vec<(OfferId, usize)>,
    pub(crate) total: usize,
}

/// One URL that can be paid by x402. `resource` to `lastUpdated` are the members that x402 v2 requires.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListedResource {
    pub(crate) resource: String,
    #[serde(rename = "type")]
    kind: &'static str,
    x402_version: u8,
    accepts: Vec<Accept>,
    last_updated: String,
    description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'static str>,
    metadata: Metadata,
}

/// What the registrar adds to an item.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    /// `namespace/name`
    offer: String,
    /// The URL of the offer's registration document.
    document: String,
    /// False while the offer drains; absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    available: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    drain_ends_at: Option<String>,
}

/// `PaymentRequirements` of x402 v2.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Accept {
    scheme: &'static str,
    network: String,
    amount: String,
    asset: String,
    pay_to: String,
    max_timeout_seconds: u64,
    extra: Extra,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Extra {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    asset_transfer_method: Option<&'static str>,
}

impl Catalog {
    /// Which URLs can be paid by x402. Counted once for each catalog.
    pub(crate) fn discovered(&self) -> &Discovered {
        self.discovered.get_or_init(|| {
            let mut total = 0;
            let offers = self.projection.payable().map(|(id, urls)| {
                let before = total;
                total += urls;
                (id.clone(), before)
            });
            Discovered { offers: offers.collect(), total }
        })
    }

    /// The URLs from the one at `offset` on.
    pub(crate) fn resources_from(&self, offset: usize) -> impl Iterator<Item = ListedResource> {
        let offers = &self.discovered().offers;
        // The offer that has the URL at the offset is the last one with so few before it.
        let first = offers.partition_point(|(_, before)| *before <= offset).saturating_sub(1);
        let skipped = offers.get(first).map_or(0, |(_, before)| offset - before);
        offers[first..].iter().flat_map(|(id, _)| self.resources_of(id, None)).skip(skipped)
    }

    /// What is sold at a host: by its holder, or nothing while that is not published; `None` if nobody
    /// claims the host.
    pub(crate) fn resources_at(&self, host: &str) -> Option<Vec<ListedResource>> {
        let (host, page) = self.projection.hosts().get_key_value(host)?;
        let holder = page.holder.as_ref().filter(|_| page.is_active);
        Some(holder.map_or_else(Vec::new, |id| self.resources_of(id, Some(host))))
    }

    fn resources_of(&self, id: &OfferId, host: Option<&Hostname>) -> Vec<ListedResource> {
        let Some(sale) = self.projection.for_sale(id) else { return Vec::new() };
        let base = host.map_or_else(|| sale.web.clone(), |host| host.origin().to_string());
        let document = offer_document_url(self.projection.public_url(), id);
        let listed = sale.payables.iter().map(|payable| {
            let metadata = Metadata::of(id, document.clone(), sale.availability);
            ListedResource::of(&sale, payable, &base, metadata)
        });
        listed.collect()
    }
}

impl ListedResource {
    fn of(sale: &ForSale<'_>, payable: &Payable, base: &str, metadata: Metadata) -> Self {
        let resource = match payable.path.is_empty() {
            true => base.to_owned(),
            false => format!("{}{}", base.trim_end_matches('/'), payable.path),
        };
        let name = sale.name;
        let is_service_name =
            name.len() <= MAX_SERVICE_NAME && name.bytes().all(|b| matches!(b, b' '..=b'~'));
        Self {
            resource,
            kind: "http",
            x402_version: X402_VERSION,
            accepts: payable.accepts.iter().map(Accept::of).collect(),
            last_updated: sale.written.map_or_else(|| UNKNOWN_TIME.to_owned(), print_seconds),
            description: payable.summary.as_deref().unwrap_or(&sale.description).to_owned(),
            service_name: is_service_name.then(|| name.to_owned()),
            method: payable.method,
            metadata,
        }
    }
}

impl Metadata {
    fn of(id: &OfferId, document: String, availability: Availability) -> Self {
        let (available, drain_ends_at) = match availability {
            Availability::Open => (None, None),
            Availability::Draining { ends_at } => (Some(false), Some(print_seconds(ends_at))),
        };
        Self { offer: id.to_string(), document, available, drain_ends_at }
    }
}

impl Accept {
    fn of(option: &PaymentOption) -> Self {
        Self {
            scheme: "exact",
            network: format!("eip155:{}", option.chain_id),
            amount: option.amount.to_string(),
            asset: option.asset.to_string(),
            pay_to: option.pay_to.to_string(),
            max_timeout_seconds: option.timeout_seconds,
            extra: Extra {
                name: option.domain.as_ref().map(|domain| domain.name().to_owned()),
                version: option.domain.as_ref().map(|domain| domain.version().to_owned()),
                asset_transfer_method: option.transfer_method.map(TransferMethod::as_str),
            },
        }
    }
}
