//! Settings of `registrar check`.

use clap::Args;
use url::Url;

use super::{
    anchoring::{AnchorArgs, AnchorConfig},
    leadership::{LeaderArgs, Leadership},
    offer_id,
    offers::{OfferArgs, OfferConfig},
    origin_url,
};
use crate::offer::OfferId;

/// `registrar check`
#[derive(Debug, Args)]
#[command(
    after_help = "Takes the settings of serve, and checks what they lead to. Without a cluster, a public \
    URL, a chain or an admin listener, the checks that need it are skipped. Nothing is changed. Exit \
    codes: 0 if no check fails, 1 if one does, 2 bad usage."
)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    offers: OfferArgs,
    #[command(flatten)]
    anchoring: AnchorArgs,
    #[command(flatten)]
    leadership: LeaderArgs,
    /// Print a JSON array instead of text
    #[arg(long)]
    json: bool,
    /// The admin listener of a running server, such as http://127.0.0.1:9004
    #[arg(long, value_name = "URL", env = "REGISTRAR_ADMIN_URL", value_parser = origin_url)]
    admin_url: Option<Url>,
    /// Ask this origin, such as a gateway, instead of the addresses of the public URL and of hosts: to
    /// check it before their DNS leads there
    #[arg(long, value_name = "URL", value_parser = origin_url)]
    via: Option<Url>,
    /// The registrar's Service, to which routes should lead
    #[arg(long, value_name = "NAMESPACE/NAME", default_value = "erc8004-registrar/registrar", value_parser = offer_id)]
    service: OfferId,
}

/// The checked settings of `check`. See [`CheckArgs`] for the fields.
#[derive(Debug)]
pub(crate) struct CheckConfig {
    pub(crate) offers: OfferConfig,
    pub(crate) anchoring: AnchorConfig,
    pub(crate) leadership: Option<Leadership>,
    pub(crate) json: bool,
    pub(crate) admin_url: Option<Url>,
    pub(crate) via: Option<Url>,
    pub(crate) service: OfferId,
}

impl CheckArgs {
    /// Checks the settings. Exits the process with code 2 if they contradict each other.
    pub(crate) fn resolve(self) -> CheckConfig {
        let Self { offers, anchoring, leadership, json, admin_url, via, service } = self;
        let offers = offers.resolve();
        let anchoring = anchoring.resolve(&offers);
        let has_journal = !matches!(anchoring, AnchorConfig::Off);
        let leadership = leadership.resolve(&offers, has_journal);
        CheckConfig { offers, anchoring, leadership, json, admin_url, via, service }
    }
}
