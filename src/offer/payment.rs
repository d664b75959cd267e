//! What a buyer pays by x402, read from `spec.payment`, `spec.payments` and `spec.routes`.
//!
//! Nothing here refuses an offer: what cannot be expressed exactly is left out of the x402 lists, with
//! a code. No price, asset or URL is guessed.

mod amount;
mod networks;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use alloy::primitives::{Address, U256};
use serde_json::Value;

#[cfg(test)]
pub(crate) use self::networks::NETWORKS;
use self::{
    amount::in_atomic_units,
    networks::{USDC_DECIMALS, USDC_VERSION, Usdc},
};
use super::{closed_list, is_unprintable};

/// The time within which a payment must be settled, unless the offer says otherwise: the default of
/// the CRD.
const DEFAULT_TIMEOUT_SECONDS: u64 = 300;
/// How many routes of an offer are read, and how many ways to pay: what the CRD allows.
const MAX_ROUTES: usize = 128;
const MAX_OPTIONS: usize = 32;
/// The longest path of a route, and the longest summary.
const MAX_PATH: usize = 512;
const MAX_SUMMARY: usize = 300;

/// One URL that is paid by x402: the service of an offer, or one of its routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Payable {
    /// What follows the URL of the service: nothing, or a path.
    pub(crate) path: Box<str>,
    /// The method, if the route has exactly one.
    pub(crate) method: Option<&'static str>,
    /// What the route does, if the offer says so.
    pub(crate) summary: Option<Box<str>>,
    /// At least one.
    pub(crate) accepts: Arc<[PaymentOption]>,
}

/// One way to pay for a request, in the terms of x402.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PaymentOption {
    /// EIP-155 chain id.
    pub(crate) chain_id: u64,
    /// In the smallest unit of the asset.
    pub(crate) amount: U256,
    pub(crate) asset: Address,
    pub(crate) pay_to: Address,
    pub(crate) timeout_seconds: u64,
    /// The asset's EIP-712 domain, with which a buyer signs.
    pub(crate) domain: Option<Domain>,
    /// If the offer says so.
    pub(crate) transfer_method: Option<TransferMethod>,
}

/// An EIP-712 domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Domain {
    Usdc(&'static Usdc),
    /// Name and version, as the offer has them.
    Written(Box<(String, String)>),
}

impl Domain {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Usdc(usdc) => usdc.name,
            Self::Written(written) => &written.0,
        }
    }

    pub(crate) fn version(&self) -> &str {
        match self {
            Self::Usdc(_) => USDC_VERSION,
            Self::Written(written) => &written.1,
        }
    }
}

/// How an asset is transferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TransferMethod {
    Eip3009,
    Permit2,
}

impl TransferMethod {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Eip3009 => "eip3009",
            Self::Permit2 => "permit2",
        }
    }
}

closed_list! {
    /// Why the x402 lists leave out a published offer.
    Unlisted: [2]
    #[cfg(test)]
    ALL
    NotX402 = "NotX402":
        "The offer is not paid by x402.",
        "Nothing. To list it, set spec.payment.method to crypto.";
    UnknownScheme = "UnknownScheme":
        "The payment scheme is not exact.",
        "Set spec.payment.scheme to exact.";
    UnknownNetwork = "UnknownNetwork":
        "The network of the payment is not known.",
        "Set spec.payment.network to a name such as base, or to a CAIP-2 id such as eip155:8453.";
    InvalidPayTo = "InvalidPayTo":
        "The recipient of the payment is not an address.",
        "Set spec.payment.payTo to an address: 0x and 40 hexadecimal digits.";
    NoPrice = "NoPrice":
        "The offer has no price.",
        "Set spec.payment.price.perRequest.";
    NotPerRequest = "NotPerRequest":
        "The price is not a price per request, and the scheme exact has no other.",
        "Set spec.payment.price.perRequest to what one request costs.";
    InvalidPrice = "InvalidPrice":
        "The price is not a positive decimal number, or finer than the smallest unit of the asset.",
        "Set spec.payment.price.perRequest to a decimal such as 0.01.";
    UnknownAsset = "UnknownAsset":
        "The asset is not known well enough to pay with it.",
        "Remove spec.payment.asset to mean USDC where its address is known (docs/x402.md), or set its \
         address, decimals, eip712Name and eip712Version.";
    NoPaidRoute = "NoPaidRoute":
        "No entry of spec.routes is a paid route with one URL.",
        "Add a paid route to spec.routes whose path has no * except at its end.";
}

impl Unlisted {
    pub(crate) fn meaning(self) -> &'static str {
        let [meaning, _] = self.texts();
        meaning
    }

    pub(crate) fn fix(self) -> &'static str {
        let [_, fix] = self.texts();
        fix
    }
}

/// What can be bought of an offer, or why it cannot be listed. `spec` may be anything.
pub(super) fn payables(spec: &Value) -> Result<Arc<[Payable]>, Unlisted> {
    let several = list(spec, "payments");
    let payments: Vec<&Value> = match several.is_empty() {
        true => vec![&spec["payment"]],
        false => several.iter().take(MAX_OPTIONS).collect(),
    };
    let routes = list(spec, "routes");
    if routes.is_empty() {
        let (path, method, summary) = (Box::default(), None, None);
        let accepts = options(&payments, None)?;
        return Ok(Arc::new([Payable { path, method, summary, accepts }]));
    }
    let mut common = None;
    let mut problem = Unlisted::NoPaidRoute;
    let mut payables = Vec::new();
    for route in routes.iter().take(MAX_ROUTES) {
        let Some(path) = paid_path(route) else { continue };
        // A price of its own is in the terms of the first way to pay, as in the original.
        let accepts = match price(&route["price"]) {
            Err(Unlisted::NoPrice) => {
                common.get_or_insert_with(|| options(&payments, None)).clone()
            }
            Ok(_) | Err(_) => options(&payments[..1], Some(&route["price"])),
        };
        match accepts {
            Ok(accepts) => payables.push(Payable {
                path,
                method: only_method(route),
                summary: text(route, "summary").filter(|text| is_summary(text)).map(Into::into),
                accepts,
            }),
            Err(unlisted) => problem = unlisted,
        }
    }
    if payables.is_empty() { Err(problem) } else { Ok(payables.into()) }
}

/// What follows the service's URL for a route that is paid and that one URL can name.
fn paid_path(route: &Value) -> Option<Box<str>> {
    if !matches!(text(route, "gate"), None | Some("" | "paid")) {
        return None;
    }
    let path = text(route, "path")?;
    let path = path.strip_suffix("/*").unwrap_or(path);
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"/_.-".contains(&b);
    let is_path = path.is_empty() || path.starts_with('/');
    let path = path.strip_suffix('/').unwrap_or(path);
    let is_segment = |segment: &str| !matches!(segment, "" | "." | "..");
    let is_usable = is_path && path.len() <= MAX_PATH && path.bytes().all(is_plain);
    (is_usable && path.split('/').skip(1).all(is_segment)).then(|| path.into())
}

fn only_method(route: &Value) -> Option<&'static str> {
    const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    match list(route, "methods") {
        [Value::String(only)] => METHODS.into_iter().find(|method| method == only),
        _ => None,
    }
}

fn is_summary(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= MAX_SUMMARY && !text.chars().any(is_unprintable)
}

/// The ways to pay that can be expressed; if none can, why the first one cannot.
fn options(
    payments: &[&Value],
    own_price: Option<&Value>,
) -> Result<Arc<[PaymentOption]>, Unlisted> {
    let mut problem = None;
    let mut options = Vec::new();
    for payment in payments {
        match option(payment, own_price.unwrap_or(&payment["price"])) {
            Ok(option) => options.push(option),
            Err(unlisted) => problem = problem.or(Some(unlisted)),
        }
    }
    if options.is_empty() { Err(problem.unwrap_or(Unlisted::NoPrice)) } else { Ok(options.into()) }
}

fn option(payment: &Value, prices: &Value) -> Result<PaymentOption, Unlisted> {
    if text(payment, "method") == Some("card") {
        return Err(Unlisted::NotX402);
    }
    if !matches!(text(payment, "scheme"), None | Some("" | "exact")) {
        return Err(Unlisted::UnknownScheme);
    }
    let network = text(payment, "network").and_then(networks::find);
    let (chain_id, usdc) = network.ok_or(Unlisted::UnknownNetwork)?;
    let pay_to = text(payment, "payTo").and_then(address).ok_or(Unlisted::InvalidPayTo)?;
    let price = price(prices)?;
    let asset = Asset::read(&payment["asset"], usdc).ok_or(Unlisted::UnknownAsset)?;
    let amount = in_atomic_units(price, asset.decimals).ok_or(Unlisted::InvalidPrice)?;
    let timeout = payment["maxTimeoutSeconds"].as_u64().filter(|seconds| *seconds > 0);
    Ok(PaymentOption {
        chain_id,
        amount,
        asset: asset.address,
        pay_to,
        timeout_seconds: timeout.unwrap_or(DEFAULT_TIMEOUT_SECONDS),
        domain: asset.domain,
        transfer_method: asset.transfer_method,
    })
}

/// What one request costs, as written.
fn price(prices: &Value) -> Result<&str, Unlisted> {
    let other = ["perMTok", "perMB", "perHour", "perEpoch"];
    match text(prices, "perRequest").filter(|price| !price.is_empty()) {
        Some(price) => Ok(price),
        None if other.iter().any(|unit| text(prices, unit).is_some_and(|it| !it.is_empty())) => {
            Err(Unlisted::NotPerRequest)
        }
        None => Err(Unlisted::NoPrice),
    }
}

/// The asset of a payment.
struct Asset {
    address: Address,
    decimals: u8,
    domain: Option<Domain>,
    transfer_method: Option<TransferMethod>,
}

impl Asset {
    /// The asset that an offer names, completed from USDC's row if it is that or nothing is named;
    /// `None` if something is missing.
    fn read(asset: &Value, usdc: Option<&'static Usdc>) -> Option<Self> {
        let set = |key| text(asset, key).filter(|text| !text.is_empty());
        let named = set("address").map(|text| address(text).ok_or(())).transpose().ok()?;
        let symbol_fits = set("symbol").is_none_or(|symbol| symbol.eq_ignore_ascii_case("USDC"));
        let is_usdc = |usdc: &&'static Usdc| match named {
            Some(address) => address == usdc.asset,
            None => symbol_fits,
        };
        let known = usdc.filter(is_usdc);
        let decimals = asset["decimals"].as_u64().map(u8::try_from).transpose().ok()?;
        let decimals = match (known, named, decimals) {
            // 0 is what a controller writes that does not know them.
            (Some(_), _, None | Some(0 | USDC_DECIMALS)) => USDC_DECIMALS,
            (Some(_), _, Some(_)) | (None, None, _) => return None,
            (None, Some(_), decimals) => decimals?,
        };
        let transfer_method = match set("transferMethod") {
            None => None,
            Some("eip3009") => Some(TransferMethod::Eip3009),
            Some("permit2") => Some(TransferMethod::Permit2),
            Some(_) => return None,
        };
        let written = set("eip712Name")
            .zip(set("eip712Version"))
            .filter(|(name, version)| !name.chars().chain(version.chars()).any(is_unprintable));
        let domain = match (written, known) {
            (Some((name, version)), _) => {
                Some(Domain::Written(Box::new((name.to_owned(), version.to_owned()))))
            }
            (None, Some(usdc)) => Some(Domain::Usdc(usdc)),
            (None, None) => None,
        };
        // Nobody can sign a transfer of EIP-3009 without its domain.
        if domain.is_none() && transfer_method != Some(TransferMethod::Permit2) {
            return None;
        }
        let address = named.or(known.map(|usdc| usdc.asset))?;
        Some(Self { address, decimals, domain, transfer_method })
    }
}

/// Reads an address that is not zero.
pub(super) fn address(text: &str) -> Option<Address> {
    let digits = text.strip_prefix("0x").filter(|digits| digits.len() == 40)?;
    digits.parse().ok().filter(|address: &Address| !address.is_zero())
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key)?.as_str()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
