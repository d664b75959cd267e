//! The verbs, each thin over the same core.

mod anchor;
mod drain;
mod explain;
mod render;
mod serve;
mod signals;
mod world;

use std::{io::Write, process::ExitCode};

use anyhow::{Context, bail};
use clap::CommandFactory;

use crate::{
    cli::{Cli, Command, OfferConfig, OfferSource},
    offer::Origin,
    registration::{OnChainFacts, Projection, project},
    source::{World, cluster, files::Manifests},
};

/// The CustomResourceDefinitions, as `deploy/` applies them.
const CRDS: &str = include_str!("../deploy/crds.yaml");
/// Stands in where no public URL is known and none is needed: a name that can never exist (RFC 2606).
const NO_PUBLIC_URL: &str = "https://public-url.invalid";

/// Runs one command to its end.
pub(crate) async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Serve(args) => serve::run(args.resolve()).await,
        Command::Render(args) => render::run(args).await,
        Command::Explain(args) => explain::run(args).await,
        Command::Drain(args) => drain::drain(args).await,
        Command::Undrain(args) => drain::undrain(args).await,
        Command::Anchor(verb) => anchor::run(verb).await,
        Command::Crds => print(CRDS.as_bytes()),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "registrar", &mut script);
            print(&script)
        }
    }
}

/// Writes data to stdout. A reader that has gone is no error: it has what it wanted.
fn print(bytes: &[u8]) -> anyhow::Result<ExitCode> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to stdout")
        }
        Ok(()) | Err(_) => Ok(ExitCode::SUCCESS),
    }
}

/// Whether a verb needs the ids that an AgentIdentity names, and so the right to read it.
#[derive(Clone, Copy)]
enum ReadIds {
    Yes,
    No,
}

/// Reads a world once, for verbs that do not stay. A broken file is an error; lesser problems go to stderr.
async fn read_once(config: &OfferConfig, ids: ReadIds) -> anyhow::Result<World> {
    match &config.source {
        OfferSource::Files { root, public_url } => {
            let public_url = public_url.clone().unwrap_or_else(assumed_public_url);
            let observed = Manifests::new(root, config.scope.clone(), public_url).read()?;
            observed.problems.iter().for_each(|problem| eprintln!("registrar: {problem}"));
            let Some(world) = observed.world else {
                bail!("the manifests cannot be read whole: see above")
            };
            Ok(world)
        }
        OfferSource::Cluster { access, public_url } => {
            let client = cluster::connect(access).await?;
            let offers = cluster::read_offers(&client, &config.scope).await?;
            let public_url = match public_url {
                Some(origin) => Some(origin.clone()),
                None => cluster::read_tunnel(&client).await,
            };
            let public_url = public_url.unwrap_or_else(assumed_public_url);
            let identity = match ids {
                ReadIds::Yes => cluster::read_identity(&client, &config.scope).await?,
                ReadIds::No => Default::default(),
            };
            Ok(World { offers: offers.into(), identity: identity.into(), public_url })
        }
    }
}

fn assumed_public_url() -> Origin {
    eprintln!("registrar: no --public-url is known, so ReservedHost is not judged");
    Origin::parse(NO_PUBLIC_URL).expect("a constant origin is one")
}

fn project_at(world: &World, config: &OfferConfig, at: crate::offer::Timestamp) -> Projection {
    let ids = OnChainFacts::default().ids(&world.identity.registrations);
    project(&world.offers, &ids, &world.public_url, &config.rules, at)
}
