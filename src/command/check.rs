//! `registrar check`: gathers facts about an installation and prints what they mean.

mod anchoring;
mod cluster;
pub(super) mod public;
mod rights;

use std::{collections::BTreeMap, process::ExitCode};

use super::{ReadFrom, ReadIds, SourceReading, print, print_json, read_once};
use crate::{
    anchor::facts::on_chain_facts,
    check::{
        self, CheckResult, Report, Status,
        offers::{IdentityFacts, OfferFacts},
    },
    cli::{AnchorConfig, CheckArgs, CheckConfig, OfferConfig, OfferSource},
    clock::Clock,
    error_chain::with_causes,
    offer::Timestamp,
    registration::{OnChainFacts, Projection, project},
    source::{World, cluster::AccessError},
};

pub(super) async fn run(args: CheckArgs) -> anyhow::Result<ExitCode> {
    let config = args.resolve();
    let results = check(&config).await.into_results();
    let printed =
        if config.json { print_json(&results)? } else { print(describe(&results).as_bytes())? };
    let has_failed = results.iter().any(|result| result.status == Status::Fail);
    Ok(if has_failed { ExitCode::FAILURE } else { printed })
}

async fn check(config: &CheckConfig) -> Report {
    let mut report = Report::default();
    let now = Clock::system().now();
    let client = match &config.offers.source {
        OfferSource::Files { .. } => {
            let why = "Manifests are read from files.";
            for group in ["cluster", "crds", "routes"] {
                report.skip_rest_of(group, why);
            }
            None
        }
        OfferSource::Cluster { access, .. } => match cluster::connect(access).await {
            Ok((name, client)) => {
                let facts = cluster::facts(&client, name, config).await;
                check::cluster::judge(&facts, &mut report);
                facts.version.is_ok().then_some(client)
            }
            Err(error) => {
                no_cluster(&error, &mut report);
                None
            }
        },
    };
    let reads_source =
        client.is_some() || matches!(config.offers.source, OfferSource::Files { .. });
    let source = match reads_source {
        true => Some(read_once(&config.offers, ReadIds::Yes).await),
        false => None,
    };
    let judged = match &source {
        None => {
            skip_offers(&mut report, "There is no cluster.");
            None
        }
        Some(Err(error)) => {
            let why = format!("{}.", with_causes(error.as_ref()));
            report.add(check::CheckId::OffersRead, Status::Fail, why);
            skip_offers(&mut report, "The offers cannot be read.");
            None
        }
        Some(Ok(source)) => Some(judge_source(source, config, now, &mut report).await),
    };
    if let Some(client) = &client {
        let offers = judged.as_ref().map(|judged| &*judged.world.offers);
        let hosts = judged.as_ref().map(Judged::hosts).unwrap_or_default();
        match cluster::routes(client, &config.service, offers, hosts, now).await {
            Ok(facts) => check::routes::judge(&facts, &mut report),
            Err(why) => report.skip_rest_of("routes", why),
        }
        if let Some(leadership) = &config.leadership {
            let lease = cluster::lease(client, &leadership.lease).await;
            check::anchoring::judge_lease(&lease, now, &mut report);
        }
    } else {
        report.skip_rest_of("routes", "There is no cluster.");
    }
    if config.leadership.is_none() {
        report.add(check::CheckId::LeaseHeld, Status::Skip, "No --lease is set.");
    }
    judge_server(config, &mut report).await;
    judge_public(config, judged.as_ref(), &mut report).await;
    anchoring::judge(&config.anchoring, now, &mut report).await;
    report
}

fn skip_offers(report: &mut Report, why: &str) {
    for group in ["offers", "identity"] {
        report.skip_rest_of(group, why);
    }
}

/// A missing cluster is not a failure: much can be checked without one.
fn no_cluster(error: &AccessError, report: &mut Report) {
    let why = format!("{}.", with_causes(error));
    let is_asked_for = !matches!(error, AccessError::Infer(_));
    let status = if is_asked_for { Status::Fail } else { Status::Skip };
    report.add(check::CheckId::ClusterConfigured, status, why);
    for group in ["cluster", "crds", "routes"] {
        report.skip_rest_of(group, "There is no cluster.");
    }
}

/// The source as it was read, and what would be published.
struct Judged {
    world: World,
    projection: Projection,
    has_public_url: bool,
}

impl Judged {
    /// The public host and the host of every offer that has one.
    fn hosts(&self) -> Vec<String> {
        let public = self.has_public_url.then(|| self.world.public_url.to_string());
        let public =
            public.and_then(|url| url::Url::parse(&url).ok()?.host_str().map(str::to_owned));
        let held = self.projection.hosts.iter().filter(|(_, host)| host.holder.is_some());
        public.into_iter().chain(held.map(|(host, _)| host.as_str().to_owned())).collect()
    }
}

async fn judge_source(
    source: &SourceReading,
    config: &CheckConfig,
    now: Timestamp,
    report: &mut Report,
) -> Judged {
    let OfferConfig { scope, rules, .. } = &config.offers;
    let world = &source.world;
    let ids = journal_facts(&config.anchoring).await.ids(&world.identity.registrations);
    let projection = project(&world.offers, &ids, &world.public_url, rules, now);
    let mut conditions = BTreeMap::new();
    for offer in world.offers.values().filter_map(|parsed| parsed.verdict.as_ref().ok()) {
        for condition in offer.conditions.iter() {
            *conditions.entry(condition.to_owned()).or_insert(0) += 1;
        }
    }
    let facts = OfferFacts {
        explanations: projection.explanations.clone(),
        required_conditions: rules.required_conditions.clone(),
        conditions,
        document: projection.default.render(),
        has_refused: source.has_refused(),
    };
    check::offers::judge(&facts, report);
    let has_public_url = world.public_url.to_string() != super::NO_PUBLIC_URL;
    let problems = &world.identity.problems;
    let exists = match (&scope.identity, &source.origin) {
        (None, _) => None,
        (Some(id), ReadFrom::Cluster(client)) => cluster::identity_exists(client, id).await,
        (Some(_), ReadFrom::Files(_)) => {
            let is_seen = !problems.is_empty() || !world.identity.registrations.is_empty();
            is_seen.then_some(true)
        }
    };
    let facts = IdentityFacts {
        exists,
        problems: problems.iter().map(|problem| format!("{problem}.")).collect(),
        public_url: has_public_url.then(|| world.public_url.to_string()),
    };
    check::offers::judge_identity(&facts, report);
    Judged { world: world.clone(), projection, has_public_url }
}

/// The ids that the journal knows: documents show them.
async fn journal_facts(anchoring: &AnchorConfig) -> OnChainFacts {
    let place = match anchoring {
        AnchorConfig::Off => return OnChainFacts::default(),
        AnchorConfig::ReadJournal(place) => place,
        AnchorConfig::Anchor(settings) => &settings.journal,
    };
    let journal = place.read().await.ok().flatten();
    journal.map(|journal| on_chain_facts(&journal.accounts)).unwrap_or_default()
}

async fn judge_server(config: &CheckConfig, report: &mut Report) {
    match &config.admin_url {
        None => report.skip_rest_of("server", "No --admin-url is set."),
        Some(url) => check::server::judge(&public::readiness(url).await, report),
    }
}

async fn judge_public(config: &CheckConfig, judged: Option<&Judged>, report: &mut Report) {
    let known = judged.filter(|judged| judged.has_public_url);
    let url = known.map(|judged| judged.world.public_url.clone());
    match url.or_else(|| config.offers.source.public_url().cloned()) {
        None => report.skip_rest_of("public", "The public URL is not known."),
        Some(url) => {
            let projection = judged.map(|judged| &judged.projection);
            let facts = public::facts(&url, config.via.as_ref(), projection).await;
            check::public::judge(&facts, report);
        }
    }
}

fn describe(results: &[CheckResult]) -> String {
    let mut text = String::new();
    let mut group = "";
    for result in results {
        let CheckResult { id, status, message } = result;
        if id.group() != group {
            group = id.group();
            text += &format!("{group}\n");
        }
        text += &format!("  {}  {id}: {message}\n", status.as_str());
        if matches!(status, Status::Warn | Status::Fail) {
            text += &format!("        fix: {} ({})\n", id.fix(), id.docs());
        }
    }
    let count = |status| results.iter().filter(|result| result.status == status).count();
    text += &format!(
        "{} checks: {} passed, {} warned, {} failed, {} skipped\n",
        results.len(),
        count(Status::Pass),
        count(Status::Warn),
        count(Status::Fail),
        count(Status::Skip),
    );
    text
}
