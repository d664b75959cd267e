//! `registrar drain` and `undrain`: the same changes as `sell stop` of the original makes.

use std::process::ExitCode;

use anyhow::{Context, bail};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::print;
use crate::{
    cli::{DrainArgs, UndrainArgs},
    clock::Clock,
    offer::{Drain, GracePeriod, OfferId, print_seconds},
    source::cluster::{self, Access, RawObject},
};

const DEFAULT_GRACE: &str = "1h";
const NO_GRACE: &str = "0s";

pub(super) async fn drain(args: DrainArgs) -> anyhow::Result<ExitCode> {
    let grace = if args.force { NO_GRACE } else { args.grace.as_deref().unwrap_or(DEFAULT_GRACE) };
    let offer = DrainTarget::read(&args.access(), &args.offer).await?;
    if let Some(at) = offer.drain_at()
        && !args.restart
    {
        bail!(
            "{0} already has drainAt {at}; use --restart to start the drain again, or registrar undrain {0} to \
             cancel it",
            offer.id
        );
    }
    let now = print_seconds(Clock::system().now());
    let start = crate::offer::parse_timestamp(&now)
        .context("the clock is not between the years 0 and 9999")?;
    let ends_at = Drain::new(start, GracePeriod::parse(grace)?)?.ends_at();
    offer.patch(json!({ "drainAt": now, "drainGracePeriod": grace }), args.dry_run).await?;
    let done = if args.dry_run { "would be" } else { "is" };
    let end = print_seconds(ends_at);
    let report = if args.force {
        format!(
            "{} {done} drained in {}\nremoved from documents at {end}\n",
            offer.id, offer.context
        )
    } else {
        let announced = "documents announce available false and drainEndsAt";
        format!("{} {done} draining in {}\n{announced} {end}\n", offer.id, offer.context)
    };
    print(report.as_bytes())
}

pub(super) async fn undrain(args: UndrainArgs) -> anyhow::Result<ExitCode> {
    let offer = DrainTarget::read(&args.access(), &args.offer).await?;
    if offer.drain_at().is_none() {
        return print(
            format!("{} has no drainAt in {}; nothing to do\n", offer.id, offer.context).as_bytes(),
        );
    }
    offer.patch(json!({ "drainAt": null, "drainGracePeriod": null }), args.dry_run).await?;
    let done = if args.dry_run { "would be" } else { "is" };
    print(format!("{} {done} available again in {}\n", offer.id, offer.context).as_bytes())
}

/// An offer as it was read from the cluster.
struct DrainTarget {
    id: OfferId,
    context: String,
    api: kube::Api<RawObject>,
    object: RawObject,
}

impl DrainTarget {
    async fn read(access: &Access, id: &OfferId) -> anyhow::Result<Self> {
        let context = cluster::whoami(access).await?;
        let api = cluster::offers_api(cluster::connect(access).await?, Some(&id.namespace));
        let object = api
            .get_opt(&id.name)
            .await
            .with_context(|| format!("cannot read {id} in {context}"))?;
        let Some(object) = object else { bail!("there is no ServiceOffer {id} in {context}") };
        Ok(Self { id: id.clone(), context, api, object })
    }

    fn drain_at(&self) -> Option<&Value> {
        self.object.value().pointer("/spec/drainAt").filter(|at| !at.is_null())
    }

    /// Patches the spec. Fails if the object has changed since it was read.
    async fn patch(&self, spec: Value, dry_run: bool) -> anyhow::Result<()> {
        let version = self.object.value().pointer("/metadata/resourceVersion");
        let patch =
            Patch::Merge(json!({ "metadata": { "resourceVersion": version }, "spec": spec }));
        let params = PatchParams { dry_run, ..PatchParams::default() };
        let patched = self.api.patch(&self.id.name, &params, &patch).await;
        match patched {
            Err(kube::Error::Api(status)) if status.code == 409 => {
                bail!(
                    "{} was changed at the same time by someone else; check it, then retry",
                    self.id
                )
            }
            other => other
                .map(drop)
                .with_context(|| format!("cannot change {} in {}", self.id, self.context)),
        }
    }
}
