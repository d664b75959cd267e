//! The verbs, each a thin layer over the same core.

mod anchor;
mod check;
mod drain;
mod explain;
mod leadership;
mod lint;
mod pipeline;
mod plan;
mod progress;
mod render;
mod serve;
mod signals;
mod status;
mod supervise;
mod terminal;
mod watch;

use std::{io::Write, path::Path, process::ExitCode};

use anyhow::Context;
use clap::CommandFactory;
use kube::Client;
use serde::Serialize;
use tokio::time::Instant;

use crate::{
    cli::{self, Cli, Command, OfferConfig, OfferSource},
    offer::{OfferId, Origin, Timestamp},
    registration::{OnChainFacts, Projection, encode, project},
    source::{
        HiddenBy, Scope, World,
        cluster::{self, Access},
        files::Manifests,
    },
};

const CRDS: &str = include_str!("../deploy/crds.yaml");
/// The placeholder of `explain` when the public URL is unknown; the name can never exist (RFC
/// 2606).
const NO_PUBLIC_URL: &str = "https://public-url.invalid";

pub(crate) async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Serve(args) => serve::run(args.resolve()).await,
        Command::Render(args) => render::run(args).await,
        Command::Explain(args) => explain::run(args).await,
        Command::Status(args) => status::run(args).await,
        Command::Watch(args) => watch::run(args).await,
        Command::Plan(args) => plan::run(args).await,
        Command::Check(args) => check::run(args).await,
        Command::Lint(args) => lint::run(args).await,
        Command::Drain(args) => drain::drain(args).await,
        Command::Undrain(args) => drain::undrain(args).await,
        Command::Anchor(verb) => anchor::run(verb).await,
        Command::Crds => print(CRDS.as_bytes()),
        Command::Man { verb } => print(&cli::manual(&verb)?),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "registrar", &mut script);
            print(&script)
        }
    }
}

/// Writes data to stdout.
fn print(bytes: &[u8]) -> anyhow::Result<ExitCode> {
    write(std::io::stdout().lock(), bytes)
}

/// Writes a value to stdout as one line of JSON.
fn print_json<T: Serialize + ?Sized>(value: &T) -> anyhow::Result<ExitCode> {
    let mut bytes = encode(value);
    bytes.push(b'\n');
    print(&bytes)
}

/// Writes data to stdout. A closed pipe is not an error, because the reader has what it wanted.
fn write(mut stdout: impl Write, bytes: &[u8]) -> anyhow::Result<ExitCode> {
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to stdout")
        }
        Ok(()) | Err(_) => Ok(ExitCode::SUCCESS),
    }
}

/// Whether a verb needs the ids of the AgentIdentity, and therefore the permission to read it.
#[derive(Clone, Copy)]
enum ReadIds {
    Yes,
    No,
}

/// The world as it was read once, and where an offer that is not in it may be.
struct SourceReading {
    world: World,
    origin: ReadFrom,
}

enum ReadFrom {
    Files(Box<Manifests>),
    Cluster(Client),
}

impl SourceReading {
    /// Whether the source has objects that are not valid and belong to no offer.
    fn has_refused(&self) -> bool {
        match &self.origin {
            ReadFrom::Files(manifests) => manifests.has_refused(),
            ReadFrom::Cluster(_) => false,
        }
    }

    /// Says that there is no offer `id`, or which setting excludes it.
    async fn absence_of(&self, id: &OfferId, scope: &Scope) -> String {
        let hidden = match &self.origin {
            ReadFrom::Files(manifests) => manifests.hidden(id),
            ReadFrom::Cluster(client) => {
                let api = cluster::offers_api(client.clone(), Some(&id.namespace));
                let found = api.get_opt(&id.name).await;
                found.ok().flatten().map(|_| HiddenBy::of_excluded(scope, id))
            }
        };
        match hidden {
            Some(by) => format!("offer {id} exists but is not read, because {by}"),
            None => format!("there is no offer {id}"),
        }
    }
}

/// Reads the world once. A source that is incomplete is an error; other problems are printed on
/// stderr, and so is what was passed over.
async fn read_once(config: &OfferConfig, ids: ReadIds) -> anyhow::Result<SourceReading> {
    match &config.source {
        OfferSource::Files { root, public_url } => {
            read_files(root, &config.scope, public_url.as_ref())
        }
        OfferSource::Cluster { access, public_url, resync: _ } => {
            read_cluster(access, &config.scope, public_url.as_ref(), ids).await
        }
    }
}

fn read_files(
    root: &Path,
    scope: &Scope,
    public_url: Option<&Origin>,
) -> anyhow::Result<SourceReading> {
    let public_url = public_url.cloned().unwrap_or_else(placeholder_public_url);
    let mut manifests = Manifests::new(root, scope.clone(), public_url);
    let observed = manifests.read(Instant::now())?;
    observed.problems.iter().for_each(|problem| eprintln!("registrar: {problem}"));
    let world =
        observed.world.context("the manifests are incomplete; fix the problems reported above")?;
    // Where nothing was found, a problem says so and what was passed over.
    if !world.offers.is_empty()
        && let Some(passed_over) = manifests.passed_over()
    {
        eprintln!("registrar: {passed_over}.");
    }
    Ok(SourceReading { world, origin: ReadFrom::Files(Box::new(manifests)) })
}

async fn read_cluster(
    access: &Access,
    scope: &Scope,
    public_url: Option<&Origin>,
    ids: ReadIds,
) -> anyhow::Result<SourceReading> {
    let client = cluster::connect(access).await?;
    let read = cluster::read_offers(&client, scope).await;
    if read.as_ref().map_or(true, |offers| offers.is_empty()) {
        let passed_over = cluster::look_around(&client, scope).await;
        match &read {
            Ok(_) => eprintln!("registrar: {}", cluster::nothing_found(scope, &passed_over)),
            Err(_) if passed_over.is_empty() => {}
            Err(_) => eprintln!("registrar:{passed_over}"),
        }
    }
    let offers = read?;
    let public_url = match public_url {
        Some(origin) => Some(origin.clone()),
        None => cluster::read_tunnel(&client).await?,
    };
    let public_url = public_url.unwrap_or_else(placeholder_public_url);
    let identity = match ids {
        ReadIds::Yes => cluster::read_identity(&client, scope).await?,
        ReadIds::No => Default::default(),
    };
    let world = World { offers: offers.into(), identity: identity.into(), public_url };
    Ok(SourceReading { world, origin: ReadFrom::Cluster(client) })
}

fn placeholder_public_url() -> Origin {
    eprintln!(
        "registrar: the public URL is unknown, so HostIsPublic is not checked; set --public-url"
    );
    Origin::parse(NO_PUBLIC_URL).expect("the constant is a valid origin")
}

fn project_at(world: &World, config: &OfferConfig, at: Timestamp) -> Projection {
    let ids = OnChainFacts::default().ids(&world.identity.registrations);
    project(&world.offers, &ids, &world.public_url, &config.rules, at)
}
