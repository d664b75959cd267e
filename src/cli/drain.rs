//! Settings of `registrar drain` and `registrar undrain`.

use clap::Args;

use super::{AccessArgs, offer_id};
use crate::{
    offer::{GracePeriod, OfferId},
    source::cluster::Access,
};

/// `registrar drain`
#[derive(Debug, Args)]
#[command(
    after_help = "The drain is announced immediately: as soon as drainAt is set, documents show \
    available: false and drainEndsAt for the services of this offer. When the drain ends, documents \
    stop listing them."
)]
pub(crate) struct DrainArgs {
    /// The offer to drain
    #[arg(value_name = "NAMESPACE/NAME", value_parser = offer_id)]
    pub(crate) offer: OfferId,
    /// How long the offer remains in service, as a Go duration; default 1h
    #[arg(long, value_name = "DURATION", value_parser = grace, conflicts_with = "force")]
    pub(crate) grace: Option<String>,
    /// End the drain immediately, without a grace period
    #[arg(long)]
    pub(crate) force: bool,
    /// Start the drain again if the offer is draining or drained already
    #[arg(long)]
    pub(crate) restart: bool,
    /// Show what would be changed, without changing it
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    access: AccessArgs,
}

/// `registrar undrain`
#[derive(Debug, Args)]
pub(crate) struct UndrainArgs {
    /// The offer to make available again
    #[arg(value_name = "NAMESPACE/NAME", value_parser = offer_id)]
    pub(crate) offer: OfferId,
    /// Show what would be changed, without changing it
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    access: AccessArgs,
}

impl DrainArgs {
    pub(crate) fn access(&self) -> Access {
        self.access.clone().resolve()
    }
}

impl UndrainArgs {
    pub(crate) fn access(&self) -> Access {
        self.access.clone().resolve()
    }
}

fn grace(text: &str) -> Result<String, String> {
    GracePeriod::parse(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}
