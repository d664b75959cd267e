use super::*;
use crate::check::cluster::{ClusterFacts, Kinds, Right, judge};

fn right(resource: &'static str, verb: &'static str) -> Right {
    Right { resource, verb, namespace: None, granted: Ok(true) }
}

fn sound() -> ClusterFacts {
    let resources = ["serviceoffers", "agentidentities", "configmaps"];
    let rights = resources
        .into_iter()
        .flat_map(|resource| ["get", "list", "watch"].map(|verb| right(resource, verb)));
    ClusterFacts {
        name: "prod at https://10.0.0.1:6443".to_owned(),
        version: Ok("v1.33.1".to_owned()),
        asked_at: now(),
        server_time: Some(now()),
        rights: rights.chain([right("httproutes", "list")]).collect(),
        reads_identity: true,
        reads_tunnel: true,
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

fn without_right(resource: &str, verb: &str) -> Report {
    with(|facts| {
        let rights = facts.rights.iter_mut();
        let lost = rights.filter(|right| right.resource == resource && right.verb == verb);
        lost.for_each(|right| right.granted = Ok(false));
    })
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
        (CheckId::RightsOffers, Status::Fail, without_right("serviceoffers", "watch")),
        (CheckId::RightsOffers, Status::Skip, with(unasked)),
        (CheckId::RightsIdentity, Status::Fail, without_right("agentidentities", "get")),
        (CheckId::RightsIdentity, Status::Skip, with(|facts| facts.reads_identity = false)),
        (CheckId::RightsTunnel, Status::Fail, without_right("configmaps", "list")),
        (CheckId::RightsTunnel, Status::Skip, with(|facts| facts.reads_tunnel = false)),
        (CheckId::RightsRoutes, Status::Warn, without_right("httproutes", "list")),
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
