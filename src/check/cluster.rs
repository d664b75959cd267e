//! The API server, our rights, and the kinds that are installed.

use std::collections::{BTreeMap, BTreeSet};

use super::{CheckId, Report, Status, compare_clocks};
use crate::offer::Timestamp;

/// The oldest minor version of Kubernetes 1 that is tested.
const OLDEST_MINOR: u32 = 25;
const VERSION: &str = "v1alpha1";

/// What the API server said.
#[derive(Clone, Debug)]
pub(crate) struct ClusterFacts {
    /// The context and server in use.
    pub(crate) name: String,
    /// Its version, such as `v1.33.1`, or why it did not answer.
    pub(crate) version: Result<String, String>,
    /// When this machine asked, by its own clock.
    pub(crate) asked_at: Timestamp,
    /// The time by the clock of the API server.
    pub(crate) server_time: Option<Timestamp>,
    pub(crate) rights: Vec<Right>,
    /// Whether the AgentIdentity is read.
    pub(crate) reads_identity: bool,
    pub(crate) kinds: Kinds,
}

/// A right that was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Right {
    /// The check that it is part of.
    pub(crate) id: CheckId,
    /// The plural of the kind, such as `serviceoffers`, or `serviceoffers/status`.
    pub(crate) resource: &'static str,
    pub(crate) verb: &'static str,
    /// All namespaces if `None`.
    pub(crate) namespace: Option<String>,
    /// Whether it is granted, or why the API server did not say.
    pub(crate) granted: Result<bool, String>,
}

/// The API group `obol.org` as the API server lists it.
#[derive(Clone, Debug)]
pub(crate) struct Kinds {
    /// The versions of the group; empty if it is not installed. An error says why it is unknown.
    pub(crate) versions: Result<Vec<String>, String>,
    /// The plurals of version v1alpha1.
    pub(crate) plurals: Vec<String>,
    /// The fields of `spec` in the schema of ServiceOffer; `None` if it may not be read.
    pub(crate) offer_fields: Option<Vec<String>>,
}

pub(crate) fn judge(facts: &ClusterFacts, report: &mut Report) {
    let ClusterFacts { name, version, .. } = facts;
    report.pass(CheckId::ClusterConfigured, format!("The cluster is {name}."));
    let version = match version {
        Ok(version) => version,
        Err(why) => {
            report.fail(CheckId::ClusterReachable, format!("{name}: {why}."));
            report.skip_rest_of("cluster", "The API server does not answer.");
            report.skip_rest_of("crds", "The API server does not answer.");
            return;
        }
    };
    report.pass(CheckId::ClusterReachable, "The API server answers.");
    let is_tested = minor(version).is_some_and(|minor| minor >= OLDEST_MINOR);
    let message = format!("The version is {version}.");
    report.when(CheckId::ClusterVersion, is_tested, Status::Warn, message);
    let theirs = facts.server_time;
    compare_clocks(report, CheckId::ClusterClock, facts.asked_at, theirs, "the API server");
    judge_rights(facts, report);
    judge_kinds(facts, report);
}

/// The minor version in `v1.33.1+suffix`.
fn minor(version: &str) -> Option<u32> {
    let mut parts = version.strip_prefix("v1.")?.split(|c: char| !c.is_ascii_digit());
    parts.next()?.parse().ok()
}

fn judge_rights(facts: &ClusterFacts, report: &mut Report) {
    let mut judge = |id, unused: &str, otherwise| {
        let asked: Vec<&Right> = facts.rights.iter().filter(|right| right.id == id).collect();
        if asked.is_empty() {
            return report.skip(id, unused);
        }
        if let Some(why) = asked.iter().find_map(|right| right.granted.as_ref().err()) {
            return report.skip(id, format!("The API server did not say: {why}."));
        }
        let lacking: Vec<String> = asked
            .iter()
            .filter(|right| right.granted == Ok(false))
            .map(|right| {
                let place = right.namespace.as_deref().unwrap_or("all namespaces");
                format!("{} {} in {place} is not allowed.", right.verb, right.resource)
            })
            .collect();
        let mut allowed: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for right in asked {
            allowed.entry(right.resource).or_default().insert(right.verb);
        }
        let allowed = allowed.into_iter().map(|(resource, verbs)| {
            let verbs: Vec<&str> = verbs.into_iter().collect();
            format!("{} {resource}", verbs.join(", "))
        });
        let fine = format!("{} is allowed.", allowed.collect::<Vec<_>>().join("; "));
        report.none_of(id, &lacking, otherwise, &fine);
    };
    let needed = [
        (CheckId::RightsOffers, "No offers are read."),
        (CheckId::RightsIdentity, "--identity none: no AgentIdentity is read."),
        (CheckId::RightsTunnel, "--public-url is set: no tunnel is read."),
        (CheckId::RightsLease, "No --lease is set."),
        (CheckId::RightsJournal, "No --journal in a ConfigMap is set."),
        (CheckId::RightsEnforcement, "--enforce-drains is not set."),
        (CheckId::RightsIdentityStatus, "--write-identity is not set."),
        (CheckId::RightsEvents, "--events is not set."),
    ];
    for (id, unused) in needed {
        judge(id, unused, Status::Fail);
    }
    judge(CheckId::RightsRoutes, "No routes are read.", Status::Warn);
}

fn judge_kinds(facts: &ClusterFacts, report: &mut Report) {
    let Kinds { versions, plurals, offer_fields } = &facts.kinds;
    let versions = match versions {
        Ok(versions) => versions,
        Err(why) => {
            let why = format!("The API group obol.org cannot be read: {why}.");
            return report.skip_rest_of("crds", why);
        }
    };
    if versions.is_empty() {
        report.fail(CheckId::CrdVersion, "The API group obol.org is not installed.");
    } else {
        let is_served = versions.iter().any(|version| version == VERSION);
        let message = format!("obol.org serves {}.", versions.join(", "));
        report.when(CheckId::CrdVersion, is_served, Status::Fail, message);
    }
    let has = |plural: &str| plurals.iter().any(|known| known == plural);
    let message = |plural: &str| match has(plural) {
        true => format!("{plural}.obol.org is installed."),
        false => format!("{plural}.obol.org is not installed in {VERSION}."),
    };
    let offers = "serviceoffers";
    report.when(CheckId::CrdOffers, has(offers), Status::Fail, message(offers));
    let identities = "agentidentities";
    if facts.reads_identity {
        let holds = has(identities);
        report.when(CheckId::CrdIdentities, holds, Status::Fail, message(identities));
    } else {
        report.skip(CheckId::CrdIdentities, "--identity none: no AgentIdentity is read.");
    }
    let Some(fields) = offer_fields else {
        let why = "The definition of ServiceOffer may not be read.";
        return report.skip(CheckId::CrdDrainFields, why);
    };
    let missing: Vec<String> = ["drainAt", "drainGracePeriod"]
        .into_iter()
        .filter(|field| !fields.iter().any(|known| known == field))
        .map(|field| format!("spec.{field} is not in the schema."))
        .collect();
    let fine = "spec.drainAt and spec.drainGracePeriod are in the schema.";
    report.none_of(CheckId::CrdDrainFields, &missing, Status::Fail, fine);
}
