//! Kubernetes Events: what became of which offer, where `kubectl describe` shows it.
//!
//! Events are told by the leader only, while it leads, and are not repeated after a failure: the state
//! itself is on the admin listener and in metrics.

mod notes;

use std::time::Duration;

use chrono::SecondsFormat;
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, PostParams},
    core::GroupVersionKind,
};
use serde_json::{Value, json};
use tokio::{
    sync::{broadcast, watch},
    time::Instant,
};

use self::notes::{Note, NoteLimit, Subject, notes_of_chain, notes_of_step};
use crate::{
    clock::Clock,
    error_chain::with_causes,
    offer::{Hostname, OfferId},
    publish::Step,
    registration::OnChainFacts,
    source::{
        Observation,
        cluster::{Access, AccessError, connect, identities_api, offers_api},
    },
};

/// Who reports, as Events name it.
const CONTROLLER: &str = "erc8004-registrar";
/// How long one Event may take.
const LIMIT: Duration = Duration::from_secs(5);
/// The most bytes of a text that the API server takes.
const TEXT_LIMIT: usize = 1_000;

/// What is told, and as whom.
#[derive(Debug)]
pub(crate) struct Reporter {
    pub(crate) access: Access,
    /// The AgentIdentity, which stands for the default agent.
    pub(crate) identity: Option<OfferId>,
    pub(crate) observed: watch::Receiver<Observation>,
    pub(crate) on_chain: watch::Receiver<OnChainFacts>,
    pub(crate) steps: broadcast::Receiver<std::sync::Arc<Step>>,
    pub(crate) clock: Clock,
    /// The name of this process.
    pub(crate) instance: String,
}

impl Clone for Reporter {
    /// A clone hears what happens from now on.
    fn clone(&self) -> Self {
        let Self { access, identity, observed, on_chain, steps, clock, instance } = self;
        Self {
            access: access.clone(),
            identity: identity.clone(),
            observed: observed.clone(),
            on_chain: on_chain.clone(),
            steps: steps.resubscribe(),
            clock: *clock,
            instance: instance.clone(),
        }
    }
}

/// Why an Event was not told.
#[derive(Debug, thiserror::Error)]
enum EventError {
    #[error("the API server cannot be used")]
    Access(#[from] AccessError),
    #[error("access is forbidden: apply deploy/rbac-events.yaml ({0})")]
    Forbidden(String),
    #[error("the API server did not do it")]
    Request(#[source] kube::Error),
    #[error("the API server did not answer within {} s", LIMIT.as_secs())]
    Timeout,
}

impl From<kube::Error> for EventError {
    fn from(error: kube::Error) -> Self {
        if let kube::Error::Api(status) = &error
            && status.code == 403
        {
            return Self::Forbidden(status.message.clone());
        }
        Self::Request(error)
    }
}

/// Tells what happens, for ever.
pub(crate) async fn run(mut reporter: Reporter) -> String {
    let started = Instant::now();
    let mut limit = NoteLimit::default();
    let mut known = reporter.on_chain.borrow_and_update().clone();
    // A failure that lasts is logged once.
    let mut logged = None;
    loop {
        let notes = tokio::select! {
            heard = reporter.steps.recv() => match heard {
                Ok(step) => notes_of_step(&step.transitions, &step.refused),
                Err(broadcast::error::RecvError::Lagged(missed)) => {
                    tracing::warn!(missed, "Some Events are not told: there were too many");
                    Vec::new()
                }
                Err(broadcast::error::RecvError::Closed) => return "the publisher ended".to_owned(),
            },
            changed = reporter.on_chain.changed() => {
                if changed.is_err() {
                    return "the publisher ended".to_owned();
                }
                let now = reporter.on_chain.borrow_and_update().clone();
                let before = std::mem::replace(&mut known, now);
                notes_of_chain(&before, &known, |host| reporter.offer_at(host))
            }
        };
        let notes = notes.into_iter().filter(|note| limit.admits(note, started.elapsed()));
        // One client for all of them; another one after a failure.
        let mut client: Option<Client> = None;
        for note in notes.collect::<Vec<_>>() {
            let told = async {
                let client = match client.take() {
                    Some(client) => client,
                    None => connect(&reporter.access).await?,
                };
                reporter.tell(client.clone(), &note).await?;
                Ok(client)
            };
            let told = tokio::time::timeout(LIMIT, told).await;
            let told = told.unwrap_or(Err(EventError::Timeout));
            let trouble = told.as_ref().err().map(|error| with_causes(error));
            client = told.ok();
            if let Some(trouble) = &trouble
                && logged.as_ref() != Some(trouble)
            {
                tracing::warn!("An Event is not told: {trouble}");
            }
            logged = trouble;
        }
    }
}

impl Reporter {
    /// The offer that has a host of its own.
    fn offer_at(&self, host: &Hostname) -> Option<OfferId> {
        let world = self.observed.borrow().world.clone()?;
        let own = world.offers.iter().filter(|(_, offer)| offer.claims.host.as_ref() == Some(host));
        own.min_by_key(|(id, offer)| offer.age(id)).map(|(id, _)| id.clone())
    }

    async fn tell(&self, client: Client, note: &Note) -> Result<(), EventError> {
        let read = match &note.about {
            Subject::Offer(id) => {
                offers_api(client.clone(), Some(&id.namespace)).get_opt(&id.name).await?
            }
            Subject::DefaultAgent => match &self.identity {
                Some(id) => identities_api(client.clone(), &id.namespace).get_opt(&id.name).await?,
                None => None,
            },
        };
        // Nobody looks for the Events of an object that does not exist any more.
        let Some(object) = read else { return Ok(()) };
        self.post(client, object.value(), note).await
    }

    async fn post(&self, client: Client, object: &Value, note: &Note) -> Result<(), EventError> {
        let (metadata, now) = (&object["metadata"], self.clock.now());
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (namespace, name) = (text(&metadata["namespace"]), text(&metadata["name"]));
        let stem: String = name.chars().take(200).collect();
        let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("events.k8s.io", "v1", "Event"));
        let mut event = DynamicObject::new(&format!("{stem}.{:016x}", fastrand::u64(..)), &kind);
        event.metadata.namespace = Some(namespace.clone());
        event.data = json!({
            "eventTime": now.to_rfc3339_opts(SecondsFormat::Micros, true),
            "reportingController": CONTROLLER,
            "reportingInstance": self.instance.chars().take(128).collect::<String>(),
            "action": note.reason,
            "reason": note.reason,
            "type": if note.is_warning { "Warning" } else { "Normal" },
            "note": shortened(&note.text),
            "regarding": {
                "apiVersion": object["apiVersion"], "kind": object["kind"],
                "namespace": namespace, "name": name, "uid": metadata["uid"],
            },
        });
        let api: Api<DynamicObject> = Api::namespaced_with(client, &namespace, &kind);
        api.create(&PostParams::default(), &event).await?;
        Ok(())
    }
}

/// The beginning of a text that may quote an offer.
fn shortened(text: &str) -> &str {
    let mut end = text.len().min(TEXT_LIMIT);
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    &text[..end]
}
