//! HTTPRoutes of the Gateway API: which of them takes a request for the well-known path.

pub(crate) mod parse;

use std::cmp::Reverse;

use super::{CheckId, Report, Status};
use crate::{
    offer::{OfferId, Timestamp},
    registration::WELL_KNOWN_PATH,
};

/// What was read of the Gateway API.
#[derive(Clone, Debug)]
pub(crate) struct RouteFacts {
    /// The Service that the routes should lead to.
    pub(crate) service: OfferId,
    pub(crate) routes: Vec<Route>,
    /// The host of the public URL, and of every offer that has one.
    pub(crate) hosts: Vec<String>,
    /// The listeners of the gateways, with their own hostnames.
    pub(crate) listeners: Vec<Listener>,
    /// Offers whose drain has ended.
    pub(crate) drained: Vec<OfferId>,
}

/// One HTTPRoute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) id: OfferId,
    pub(crate) created: Option<Timestamp>,
    /// In lower case; empty for every host.
    pub(crate) hostnames: Vec<String>,
    pub(crate) matches: Vec<Match>,
    /// The gateways, each with the section (listener) it names.
    pub(crate) parents: Vec<(OfferId, Option<String>)>,
    /// The conditions that the gateway has not set to True.
    pub(crate) refused: Vec<String>,
}

/// One match of a rule, with the Services of the rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Match {
    pub(crate) path: PathMatch,
    pub(crate) method: Option<String>,
    /// How many headers and query parameters must match.
    pub(crate) headers: usize,
    pub(crate) query: usize,
    pub(crate) backends: Vec<OfferId>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PathMatch {
    Exact(String),
    Prefix(String),
    /// Of which no order is defined.
    Regex(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listener {
    pub(crate) gateway: OfferId,
    pub(crate) name: String,
    pub(crate) hostname: Option<String>,
}

pub(crate) fn judge(facts: &RouteFacts, report: &mut Report) {
    judge_drained(facts, report);
    let leads_here = |rule: &Match| rule.backends.contains(&facts.service);
    let ours: Vec<&Route> =
        facts.routes.iter().filter(|route| route.matches.iter().any(leads_here)).collect();
    let Some(first) = ours.first() else {
        let message = format!("No HTTPRoute leads to the Service {}.", facts.service);
        report.fail(CheckId::RoutesFound, message);
        return report.skip_rest_of("routes", "No HTTPRoute leads to the registrar.");
    };
    report.pass(CheckId::RoutesFound, format!("HTTPRoute {} leads to it.", first.id));
    let refused: Vec<String> = ours
        .iter()
        .flat_map(|route| route.refused.iter().map(|why| format!("{}: {why}.", route.id)))
        .collect();
    let fine = "The gateway has accepted the route.";
    report.none_of(CheckId::RoutesAccepted, &refused, Status::Fail, fine);
    let unnamed: Vec<String> = facts
        .hosts
        .iter()
        .filter(|host| !ours.iter().any(|route| route.hostnames.contains(host)))
        .map(|host| format!("No route to the registrar names {host}."))
        .collect();
    report.none_of(CheckId::RoutesHosts, &unnamed, Status::Fail, "All hosts are named.");
    let methods = ["GET", "HEAD", "OPTIONS"];
    let matched = |method: &str| {
        ours.iter().flat_map(|route| &route.matches).any(|rule| {
            leads_here(rule) && rule.takes(method) && rule.method.as_deref() == Some(method)
        })
    };
    let missing: Vec<String> = methods
        .into_iter()
        .filter(|method| !matched(method))
        .map(|method| format!("No match of the well-known path has the method {method}."))
        .collect();
    let fine = "The path is matched by GET, HEAD and OPTIONS.";
    report.none_of(CheckId::RoutesMethods, &missing, Status::Warn, fine);
    for (id, method) in [(CheckId::RoutesGet, "GET"), (CheckId::RoutesHead, "HEAD")] {
        let lost: Vec<String> =
            facts.hosts.iter().filter_map(|host| facts.rival(host, method)).collect();
        report.none_of(id, &lost, Status::Fail, &format!("{method} leads to the registrar."));
    }
    judge_listeners(facts, &ours, report);
}

impl RouteFacts {
    /// Why a request does not lead to the registrar, if it does not.
    fn rival(&self, host: &str, method: &str) -> Option<String> {
        let Some((route, rule)) = winner(&self.routes, host, method) else {
            return Some(format!("No route takes {method} {host}{WELL_KNOWN_PATH}."));
        };
        let leads_here = rule.backends.contains(&self.service);
        (!leads_here).then(|| {
            let by = match &rule.method {
                Some(method) => format!("with a match of method {method}"),
                None => "by its hostname, path or age".to_owned(),
            };
            format!("{method} {host}{WELL_KNOWN_PATH} is taken by HTTPRoute {}, {by}.", route.id)
        })
    }
}

impl Match {
    /// Whether it matches a request for the well-known path.
    fn takes(&self, method: &str) -> bool {
        let path = match &self.path {
            PathMatch::Exact(path) => path == WELL_KNOWN_PATH,
            PathMatch::Prefix(prefix) => {
                let rest = WELL_KNOWN_PATH.strip_prefix(prefix.trim_end_matches('/'));
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
            PathMatch::Regex(_) => false,
        };
        path && self.method.as_deref().is_none_or(|own| own == method)
    }

    /// Higher is more specific, by the rules of the Gateway API.
    fn precedence(&self) -> (bool, usize, bool, usize, usize) {
        let (is_exact, length) = match &self.path {
            PathMatch::Exact(path) => (true, path.len()),
            PathMatch::Prefix(path) => (false, path.trim_end_matches('/').len()),
            PathMatch::Regex(_) => (false, 0),
        };
        (is_exact, length, self.method.is_some(), self.headers, self.query)
    }
}

/// How specifically a route names a host: the length of the hostname, and exact before wildcard.
/// `None` if it does not take the host.
fn host_precedence(route: &Route, host: &str) -> Option<(bool, usize)> {
    if route.hostnames.is_empty() {
        return Some((false, 0));
    }
    let named = route.hostnames.iter().filter_map(|name| match name.strip_prefix('*') {
        Some(suffix) => {
            let is_below = host.len() > suffix.len() && host.ends_with(suffix);
            is_below.then_some((false, name.len()))
        }
        None => (name == host).then_some((true, name.len())),
    });
    named.max()
}

/// The route and match that take a request for the well-known path of a host, by the rules of the
/// Gateway API: the hostname, the path, the method, headers, query, then age, then the name.
fn winner<'a>(routes: &'a [Route], host: &str, method: &str) -> Option<(&'a Route, &'a Match)> {
    let candidates = routes.iter().filter_map(|route| Some((host_precedence(route, host)?, route)));
    candidates
        .flat_map(|(named, route)| route.matches.iter().map(move |rule| (named, route, rule)))
        .filter(|(_, _, rule)| rule.takes(method))
        .max_by_key(|(named, route, rule)| {
            let age = (route.created.is_none(), route.created, &route.id);
            (*named, rule.precedence(), Reverse(age))
        })
        .map(|(_, route, rule)| (route, rule))
}

fn judge_listeners(facts: &RouteFacts, ours: &[&Route], report: &mut Report) {
    let used = |listener: &&Listener| {
        ours.iter().flat_map(|route| &route.parents).any(|(gateway, section)| {
            *gateway == listener.gateway
                && section.as_ref().is_none_or(|section| *section == listener.name)
        })
    };
    let used: Vec<&Listener> = facts.listeners.iter().filter(used).collect();
    if used.is_empty() {
        return report.skip(CheckId::RoutesListener, "The gateway of the route cannot be read.");
    }
    let named: Vec<String> = used
        .iter()
        .filter_map(|Listener { gateway, name, hostname }| {
            let hostname = hostname.as_ref()?;
            Some(format!("Listener {name} of Gateway {gateway} has the hostname {hostname}."))
        })
        .collect();
    let fine = "No listener has a hostname.";
    report.none_of(CheckId::RoutesListener, &named, Status::Warn, fine);
}

/// The original system names an offer's routes so-NAME and so-NAME-host.
fn judge_drained(facts: &RouteFacts, report: &mut Report) {
    let is_of = |route: &&Route, offer: &OfferId| {
        let name = route.id.name.strip_prefix("so-");
        let name = name.map(|name| name.strip_suffix("-host").unwrap_or(name));
        route.id.namespace == offer.namespace && name == Some(&*offer.name)
    };
    let left: Vec<String> = facts
        .drained
        .iter()
        .flat_map(|offer| {
            let routes = facts.routes.iter().filter(move |route| is_of(route, offer));
            routes.map(move |route| format!("HTTPRoute {} of {offer} still exists.", route.id))
        })
        .collect();
    let fine = "No drained offer has a route.";
    report.none_of(CheckId::RoutesDrained, &left, Status::Fail, fine);
}
