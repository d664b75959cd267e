use super::*;
use crate::check::cluster::{ClusterFacts, Kinds, Right, judge};

fn right(id: CheckId, resource: &'static str, verb: &'static str) -> Right {
    Right { id, resource, verb, namespace: None, granted: Ok(true) }
}

fn sound() -> ClusterFacts {
    let read = ["get", "list", "watch"];
    let rights = [
        (CheckId::RightsOffers, "serviceoffers", &read[..]),
        (CheckId::RightsIdentity, "agentidentities", &read),
        (CheckId::RightsTunnel, "configmaps", &read),
        (CheckId::RightsRoutes, "httproutes", &["list"]),
        (CheckId::RightsLease, "leases", &["get", "update"]),
        (CheckId::RightsJournal, "configmaps", &["get", "list", "watch", "update"]),
        (CheckId::RightsEnforcement, "serviceoffers/status", &["patch"]),
        (CheckId::RightsEnforcement, "httproutes", &["list", "delete"]),
        (CheckId::RightsIdentityStatus, "agentidentities/status", &["patch"]),
        (CheckId::RightsEvents, "events", &["create"]),
    ];
    let rights = rights
        .into_iter()
        .flat_map(|(id, resource, verbs)| verbs.iter().map(move |verb| right(id, resource, verb)));
    ClusterFacts {
        name: "prod at https://10.0.0.1:6443".to_owned(),
        version: Ok("v1.33.1".to_owned()),
        asked_at: now(),
        server_time: Some(now()),
        rights: rights.collect(),
        reads_identity: true,
        kinds: Kinds {
            versions: Ok(vec!["v1alpha1".to_owned()]),
            plurals: vec!["serviceoffers".to_owned(), "agentidentities".to_owned()],
            offer_fields: Some(vec!["drainAt".to_owned(), "drainGracePeriod".to_owned()]),
        },
    }
}

fn with(change: impl FnOnce(&mut ClusterFacts)) -> Report {
    let mut facts = sound();
    change(&mut facts);
    judged(|report| judge(&facts, report))
}

/// A check without one of its rights, and the others with theirs.
fn without(id: CheckId, resource: &str, verb: &str) -> Row {
    let status = if id == CheckId::RightsRoutes { Status::Warn } else { Status::Fail };
    let report = with(|facts| {
        let mut rights = facts.rights.iter_mut();
        let lost = rights
            .find(|right| (right.id, right.resource, right.verb) == (id, resource, verb))
            .unwrap();
        lost.granted = Ok(false);
    });
    assert_eq!(troubles(report.clone(), "cluster").len(), 1, "{id}");
    (id, status, report)
}

/// A check whose rights are not needed.
fn unused(id: CheckId) -> Row {
    (id, Status::Skip, with(|facts| facts.rights.retain(|right| right.id != id)))
}

pub(super) fn rows() -> Vec<Row> {
    let unasked = |facts: &mut ClusterFacts| {
        facts.rights[0].granted = Err("no answer".to_owned());
    };
    let skew =
        |seconds| with(|facts| facts.server_time = Some(now() + TimeDelta::seconds(seconds)));
    vec![
        (
            CheckId::ClusterReachable,
            Status::Fail,
            with(|facts| facts.version = Err("refused".to_owned())),
        ),
        (
            CheckId::ClusterVersion,
            Status::Skip,
            with(|facts| facts.version = Err("refused".to_owned())),
        ),
        (
            CheckId::ClusterVersion,
            Status::Warn,
            with(|facts| facts.version = Ok("v1.24.9".to_owned())),
        ),
        (
            CheckId::ClusterVersion,
            Status::Warn,
            with(|facts| facts.version = Ok("unknown".to_owned())),
        ),
        (
            CheckId::ClusterVersion,
            Status::Pass,
            with(|facts| facts.version = Ok("v1.25.0+k3s1".to_owned())),
        ),
        (CheckId::ClusterClock, Status::Fail, skew(5)),
        (CheckId::ClusterClock, Status::Fail, skew(-60)),
        (CheckId::ClusterClock, Status::Pass, skew(4)),
        (CheckId::ClusterClock, Status::Skip, with(|facts| facts.server_time = None)),
        without(CheckId::RightsOffers, "serviceoffers", "watch"),
        (CheckId::RightsOffers, Status::Skip, with(unasked)),
        without(CheckId::RightsIdentity, "agentidentities", "get"),
        unused(CheckId::RightsIdentity),
        without(CheckId::RightsTunnel, "configmaps", "list"),
        unused(CheckId::RightsTunnel),
        without(CheckId::RightsRoutes, "httproutes", "list"),
        without(CheckId::RightsLease, "leases", "update"),
        unused(CheckId::RightsLease),
        without(CheckId::RightsJournal, "configmaps", "update"),
        unused(CheckId::RightsJournal),
        without(CheckId::RightsEnforcement, "serviceoffers/status", "patch"),
        without(CheckId::RightsEnforcement, "httproutes", "delete"),
        unused(CheckId::RightsEnforcement),
        without(CheckId::RightsIdentityStatus, "agentidentities/status", "patch"),
        unused(CheckId::RightsIdentityStatus),
        without(CheckId::RightsEvents, "events", "create"),
        unused(CheckId::RightsEvents),
        (CheckId::CrdVersion, Status::Fail, with(|facts| facts.kinds.versions = Ok(vec![]))),
        (
            CheckId::CrdVersion,
            Status::Fail,
            with(|facts| facts.kinds.versions = Ok(vec!["v1".to_owned()])),
        ),
        (
            CheckId::CrdVersion,
            Status::Skip,
            with(|facts| facts.kinds.versions = Err("forbidden".to_owned())),
        ),
        (CheckId::CrdOffers, Status::Fail, with(|facts| drop(facts.kinds.plurals.remove(0)))),
        (CheckId::CrdIdentities, Status::Fail, with(|facts| drop(facts.kinds.plurals.pop()))),
        (CheckId::CrdIdentities, Status::Skip, with(|facts| facts.reads_identity = false)),
        (
            CheckId::CrdDrainFields,
            Status::Fail,
            with(|facts| facts.kinds.offer_fields = Some(vec!["drainAt".to_owned()])),
        ),
        (CheckId::CrdDrainFields, Status::Skip, with(|facts| facts.kinds.offer_fields = None)),
    ]
}

#[test]
fn a_sound_cluster_passes() {
    for group in ["cluster", "crds"] {
        assert_eq!(troubles(with(|_| {}), group), vec![]);
    }
}
