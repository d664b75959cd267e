//! What operators are told where a cluster has no offers for us: what was looked at, and what was
//! passed over and why.

use std::time::Duration;

use kube::{
    Api, Client, ResourceExt,
    api::{DynamicObject, ListParams},
    core::{ApiResource, Selector},
};
use tokio::time::{Instant, timeout};

use crate::source::{
    Scope, SourceProblem, SourceProblemCode,
    passed_over::{HiddenBy, PassedOver, VERSION, WhyPassedOver},
};

/// How long may be looked around. What is not answered by then is not mentioned.
const LOOK_LIMIT: Duration = Duration::from_secs(10);
/// How often is looked around while nothing is found.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// How many objects that are passed over are counted where the server does not count them.
const COUNTED: u32 = 500;
/// In how many other groups and versions of the kind is looked.
const MAX_VERSIONS: usize = 5;

/// While nothing is found: when the last look around was, and what it found.
#[derive(Debug, Default)]
pub(super) struct Absence {
    looked: Option<Instant>,
    /// Sentences; empty if nothing was passed over.
    found: String,
    /// The message that was logged.
    logged: String,
}

impl Absence {
    /// Whether it is time to look around, which is then to be done.
    pub(super) fn begins_to_look(&mut self, now: Instant) -> bool {
        let is_due = self.looked.is_none_or(|at| now.duration_since(at) >= LOOK_EVERY);
        if is_due {
            self.looked = Some(now);
        }
        is_due
    }

    /// Takes what was found. Returns what to log, unless that was logged already.
    pub(super) fn take(&mut self, found: String, problem: &SourceProblem) -> Option<String> {
        self.found = found;
        let message = format!("{problem}{}", self.found);
        let is_news = self.logged != message;
        self.logged.clone_from(&message);
        is_news.then_some(message)
    }

    /// Something was found, or cannot be looked for.
    pub(super) fn ends(&mut self) {
        *self = Self::default();
    }

    /// Sentences about what was passed over.
    pub(super) fn found(&self) -> &str {
        &self.found
    }
}

/// The problem that no offer was read.
pub(crate) fn nothing_found(scope: &Scope, passed_over: &str) -> SourceProblem {
    let namespaces = match scope.namespaces.is_empty() {
        true => "all namespaces".to_owned(),
        false => {
            let names: Vec<_> = scope.namespaces.iter().map(String::as_str).collect();
            format!("the namespaces {}", names.join(", "))
        }
    };
    let selected = match &scope.selector {
        Some(selector) => format!(" with the labels {selector}"),
        None => String::new(),
    };
    let message = format!(
        "there is no ServiceOffer of {VERSION}. Looked at {namespaces} of the cluster{selected}.\
         {passed_over}"
    );
    SourceProblem::new(SourceProblemCode::NothingFound, "ServiceOffers", message)
}

/// Says which offers a scope excludes, and in which other groups and versions the cluster has the
/// kind. Empty if there is nothing to say; what access rights do not show is not mentioned.
pub(crate) async fn look_around(client: &Client, scope: &Scope) -> String {
    let looks = async { futures::join!(hidden(client, scope), other_versions(client)) };
    let Ok((mut passed_over, (others, unread))) = timeout(LOOK_LIMIT, looks).await else {
        return String::new();
    };
    passed_over.extend(&others);
    let mut text = String::new();
    if !passed_over.is_empty() {
        text += &format!(" Passed over: {passed_over}.");
    }
    if !unread.is_empty() {
        let unread = unread.join(", ");
        text +=
            &format!(" The cluster has the kind ServiceOffer also as {unread}, which is not read.");
    }
    text
}

/// The offers that the scope excludes, where it excludes all.
async fn hidden(client: &Client, scope: &Scope) -> PassedOver {
    let api =
        |namespace: Option<&str>| api(client, "obol.org", "v1alpha1", "serviceoffers", namespace);
    let mut passed_over = PassedOver::default();
    let mut add = |by, found: Found| {
        let what = format!("ServiceOffer of {VERSION}");
        passed_over.add(WhyPassedOver::Hidden(by), what, found.count, found.names);
    };
    if scope.selector.is_some() {
        let mut namespaces: Vec<_> = scope.namespaces.iter().map(|name| Some(&**name)).collect();
        if namespaces.is_empty() {
            namespaces.push(None);
        }
        for namespace in namespaces {
            if let Some(found) = find(&api(namespace), None).await {
                add(HiddenBy::Selector, found);
            }
        }
    }
    if !scope.namespaces.is_empty()
        && let Some(found) = find(&api(None), scope.selector.as_ref()).await
    {
        add(HiddenBy::Namespace, found);
    }
    passed_over
}

/// Objects of our kind in another group or version, and the groups and versions of which none can be
/// listed.
async fn other_versions(client: &Client) -> (PassedOver, Vec<String>) {
    let (mut passed_over, mut unread) = (PassedOver::default(), Vec::new());
    for (group, version, plural) in served(client).await.into_iter().take(MAX_VERSIONS) {
        let name = format!("{group}/{version}");
        match find(&api(client, &group, &version, &plural, None), None).await {
            Some(found) if found.count > 0 => {
                let what = format!("ServiceOffer of {name}");
                passed_over.add(WhyPassedOver::OtherVersion, what, found.count, found.names);
            }
            Some(_) | None => unread.push(name),
        }
    }
    (passed_over, unread)
}

/// The groups and versions, besides our own, in which the cluster serves the kind, with the plural.
async fn served(client: &Client) -> Vec<(String, String, String)> {
    let Ok(groups) = client.list_api_groups_aggregated().await else { return Vec::new() };
    let mut served = Vec::new();
    for group in groups.items {
        let name = group.metadata.and_then(|metadata| metadata.name).unwrap_or_default();
        for version in group.versions {
            let of = version.version.unwrap_or_default();
            let is_kind = |kind: Option<&String>| kind.is_some_and(|kind| kind == "ServiceOffer");
            let plurals = version.resources.into_iter().filter_map(|resource| {
                let kind = resource.response_kind.as_ref().and_then(|of| of.kind.as_ref());
                if is_kind(kind) { resource.resource } else { None }
            });
            let others = plurals.filter(|_| format!("{name}/{of}") != VERSION);
            served.extend(others.map(|plural| (name.clone(), of.clone(), plural)));
        }
    }
    served
}

/// Objects that were found.
struct Found {
    count: usize,
    /// The first few.
    names: Vec<String>,
}

/// Counts objects, and names the first. `None` if they cannot be listed.
async fn find(api: &Api<DynamicObject>, selector: Option<&Selector>) -> Option<Found> {
    let mut params = ListParams::default().limit(COUNTED);
    params.label_selector = selector.map(Selector::to_string);
    let list = api.list_metadata(&params).await.ok()?;
    let more = list.metadata.remaining_item_count.and_then(|count| usize::try_from(count).ok());
    let name = |object: &kube::core::PartialObjectMeta<DynamicObject>| {
        format!("{}/{}", object.namespace().unwrap_or_default(), object.name_any())
    };
    let count = list.items.len() + more.unwrap_or_default();
    Some(Found { count, names: list.items.iter().take(PassedOver::NAMES).map(name).collect() })
}

fn api(
    client: &Client,
    group: &str,
    version: &str,
    plural: &str,
    namespace: Option<&str>,
) -> Api<DynamicObject> {
    let kind = ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version: format!("{group}/{version}"),
        kind: "ServiceOffer".to_owned(),
        plural: plural.to_owned(),
    };
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &kind),
        None => Api::all_with(client.clone(), &kind),
    }
}
