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
    let world = read_once(&config, ReadIds::Yes).await?;
    let projection = project_at(&world, &config, at.unwrap_or_else(|| Clock::system().now()));
    match document(&projection, &agent) {
        Ok(document) => {
            let mut bytes = document.render();
            bytes.push(b'\n');
            print(&bytes)
        }
        Err(why) => {
            eprintln!("registrar: {why}");
            Ok(ExitCode::FAILURE)
        }
    }
}

fn document<'a>(projection: &'a Projection, target: &RenderTarget) -> Result<&'a Document, String> {
    match target {
        RenderTarget::Default => Ok(&projection.default),
        RenderTarget::Host(host) => {
            let agent = projection.hosts.get(host).map(|agent| &agent.document);
            agent.ok_or_else(|| format!("NotFound: no offer claims host {host}"))
        }
        RenderTarget::Offer(id) => {
            let published = projection.published.iter().find(|offer| offer.id == *id);
            published.map(|offer| &offer.document).ok_or_else(|| unpublished(projection, id))
        }
    }
}

fn unpublished(projection: &Projection, id: &OfferId) -> String {
    match projection.explanations.iter().find(|explanation| explanation.id == *id) {
        Some(Explanation { reason, message, fix, .. }) => {
            format!("{reason}: {id} is not published. {message} {fix}")
        }
        None => format!("NotFound: there is no offer {id}"),
    }
}
