//! `registrar anchor resume`: has calls tried again for an agent, after a person has found out why
//! they failed.

use std::{process::ExitCode, time::Duration};

use anyhow::{Context, bail};

use super::report::accounts;
use crate::{
    anchor::journal::{JournalError, file},
    cli::AnchorResumeArgs,
    command::print,
    journal_place::JournalPlace,
};

/// How often, and how many times, to look whether the process that anchors has taken the request: a
/// minute in all, since it does so when it decides next.
const POLL: Duration = Duration::from_millis(250);
const POLLS: u32 = 240;
/// What is said where there is nothing to do.
const NOTHING: &str = "no call had failed";

pub(super) async fn run(args: AnchorResumeArgs) -> anyhow::Result<ExitCode> {
    let (settings, registry, agent) = args.resolve();
    let accounts = accounts(&settings);
    let (place, owner) = (&settings.journal, &settings.policy.owner.id);
    let say =
        |what: &str| print(format!("{agent} on eip155:{}: {what}\n", registry.chain_id).as_bytes());
    let (mut store, mut journal) = match (place.open(owner, &accounts).await, place) {
        (Ok(opened), _) => opened,
        // The process that anchors holds the lock and writes the file: it has to do it. Of a
        // ConfigMap it notices the change.
        (Err(JournalError::Locked { .. }), JournalPlace::File(path)) => {
            let has_failed = async || {
                let journal = place.read_own(owner, &accounts).await.context("cannot resume")?;
                anyhow::Ok(journal.is_some_and(|mut journal| journal.resume(&registry, &agent)))
            };
            if !has_failed().await? {
                return say(NOTHING);
            }
            file::ask_to_resume(path, &registry, &agent).context("cannot resume")?;
            for _ in 0..POLLS {
                if file::has_taken_resumes(path) && !has_failed().await? {
                    return say("calls are tried again by the process that anchors");
                }
                tokio::time::sleep(POLL).await;
            }
            bail!(
                "the process that holds the journal {place} has not taken the request within a minute; it does so when it decides next, if it anchors with this version"
            )
        }
        (Err(error), _) => return Err(error).context("cannot resume"),
    };
    if !journal.resume(&registry, &agent) {
        return say(NOTHING);
    }
    store.replace(&journal.encode()).await?;
    say("calls are tried again")
}
