//! `registrar anchor retire`: ends an agent on one chain, or undoes that.
//!
//! It records what the operator wants; the process that anchors does it, with its signer.

use std::process::ExitCode;

use anyhow::Context;

use super::{
    plan::{self, ChainPlan},
    published_once,
    report::accounts,
};
use crate::{
    anchor::{Retirement, key::AnchorKey, reconcile::Intent},
    cli::{AnchorRetireArgs, AnchorRetirement},
    clock::Clock,
    command::print,
};

pub(super) async fn run(args: AnchorRetireArgs) -> anyhow::Result<ExitCode> {
    let asked = args.resolve();
    let key = AnchorKey::derive(&asked.registry, &asked.settings.policy.owner, &asked.agent);
    if asked.is_confirmed { record(&asked, key).await } else { show(asked, key).await }
}

/// Shows what the process that anchors would do if this were recorded.
async fn show(asked: AnchorRetirement, key: AnchorKey) -> anyhow::Result<ExitCode> {
    let AnchorRetirement { offers, settings, registry, retirement, .. } = asked;
    let accounts = accounts(&settings);
    let (published, _) = published_once(&offers).await?;
    let mut journal = settings.journal.read().await?.unwrap_or_default();
    journal.note_retirement(key, retirement);
    let intent = Intent {
        policy: &settings.policy,
        accounts: &accounts,
        published: &published,
        now: Clock::system().now(),
    };
    let mut targets = settings.targets.into_iter();
    let target = targets.find(|target| target.client.registry == registry);
    let mut target = target.context("the chain is not anchored on")?;
    let prepared = plan::prepare(&mut target, &journal, intent).await;
    let plan = plan::describe(&ChainPlan::new(prepared, target.warnings));
    print(format!("{plan}\nNothing is recorded yet: add --yes to do this.\n").as_bytes())
}

async fn record(asked: &AnchorRetirement, key: AnchorKey) -> anyhow::Result<ExitCode> {
    let AnchorRetirement { settings, registry, agent, retirement, .. } = asked;
    let accounts = accounts(settings);
    // As `resume` does: a file is locked by the process that anchors; a ConfigMap is not.
    let opened = settings.journal.open(&settings.policy.owner.id, &accounts).await;
    let (mut store, mut journal) = opened
        .context("cannot record it; stop the process that anchors while this command runs")?;
    let is_news = journal.note_retirement(key, *retirement);
    if is_news {
        store.replace(&journal.encode()).await?;
    }
    let said = match (retirement, is_news) {
        (Retirement::Retired, true) => "is retired by the process that anchors",
        (Retirement::Retired, false) => "was retired already",
        (Retirement::Revived, true) => "is revived by the process that anchors",
        (Retirement::Revived, false) => "was revived already",
    };
    print(format!("{agent} on eip155:{}: {said}\n", registry.chain_id).as_bytes())
}
