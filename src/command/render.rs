//! `registrar render`: the exact bytes of one document.

use std::process::ExitCode;

use super::{ReadIds, print, project_at, read_once};
use crate::{
    cli::{RenderArgs, RenderTarget},
    clock::Clock,
    offer::OfferId,
    registration::{Document, Explanation, Projection},
};

pub(super) async fn run(args: RenderArgs) -> anyhow::Result<ExitCode> {
    let (config, agent, at) = args.resolve();
    let source = read_once(&config, ReadIds::Yes).await?;
    let projection =
        project_at(&source.world, &config, at.unwrap_or_else(|| Clock::system().now()));
    match document(&projection, &agent) {
        Err(Absent::Offer(id)) => {
            let absence = source.absence_of(&id, &config.scope).await;
            eprintln!("registrar: NotFound: {absence}");
            Ok(ExitCode::FAILURE)
        }
        Ok(document) => {
            let mut bytes = document.render();
            bytes.push(b'\n');
            print(&bytes)
        }
        Err(Absent::Why(why)) => {
            eprintln!("registrar: {why}");
            Ok(ExitCode::FAILURE)
        }
    }
}

fn document<'a>(projection: &'a Projection, target: &RenderTarget) -> Result<&'a Document, Absent> {
    match target {
        RenderTarget::Default => Ok(&projection.default),
        RenderTarget::Host(host) => {
            let agent = projection.hosts.get(host).map(|agent| &agent.document);
            agent.ok_or_else(|| Absent::Why(format!("NotFound: no offer claims host {host}")))
        }
        RenderTarget::Offer(id) => {
            let published = projection.published.iter().find(|offer| offer.id == *id);
            published.map(|offer| &offer.document).ok_or_else(|| unpublished(projection, id))
        }
    }
}

fn unpublished(projection: &Projection, id: &OfferId) -> Absent {
    match projection.explanations.iter().find(|explanation| explanation.id == *id) {
        Some(Explanation { reason, message, fix, .. }) => {
            Absent::Why(format!("{reason}: {id} is not published. {message} {fix}"))
        }
        None => Absent::Offer(id.clone()),
    }
}

/// Why there is no document.
enum Absent {
    Why(String),
    /// The offer was not read.
    Offer(OfferId),
}
