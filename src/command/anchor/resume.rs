//! `registrar anchor resume`: has calls tried again for an agent, after a person has found out why
//! they failed.

use std::process::ExitCode;

use anyhow::Context;

use super::report::accounts;
use crate::{cli::AnchorResumeArgs, command::print};

pub(super) async fn run(args: AnchorResumeArgs) -> anyhow::Result<ExitCode> {
    let (settings, registry, agent) = args.resolve();
    let accounts = accounts(&settings);
    // The process that anchors holds the lock of a file and would overwrite what is changed here; of a
    // ConfigMap it notices the change.
    let opened = settings.journal.open(&settings.policy.owner.id, &accounts).await;
    let (mut store, mut journal) =
        opened.context("cannot resume; stop the process that anchors while this command runs")?;
    let chain = registry.chain_id;
    if !journal.resume(&registry, &agent) {
        return print(format!("{agent} on eip155:{chain}: no call had failed\n").as_bytes());
    }
    store.replace(&journal.encode()).await?;
    print(format!("{agent} on eip155:{chain}: calls are tried again\n").as_bytes())
}
