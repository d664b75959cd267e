//! Settings of `registrar plan`.

use clap::Args;
use url::Url;

use super::{
    offers::{OfferArgs, OfferConfig, require_public_url},
    origin_url,
};

/// `registrar plan`
#[derive(Debug, Args)]
#[command(
    after_help = "Fetches each document from where it is served now, and changes nothing. Exit codes: 0 \
    whether or not documents differ, 1 if one cannot be fetched or compared, 2 bad usage."
)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    offers: OfferArgs,
    /// Ask this origin, such as a gateway, instead of the addresses of the public URL and of hosts
    #[arg(long, value_name = "URL", value_parser = origin_url)]
    via: Option<Url>,
    /// Print a JSON array instead of text
    #[arg(long)]
    json: bool,
}

impl PlanArgs {
    /// Checks the settings. The flag is whether to print JSON. Exits the process with code 2 if the
    /// public URL is missing.
    pub(crate) fn resolve(self) -> (OfferConfig, Option<Url>, bool) {
        let Self { offers, via, json } = self;
        let offers = offers.resolve();
        require_public_url(&offers.source);
        (offers, via, json)
    }
}
