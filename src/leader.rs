//! Leadership: of several replicas, the one that holds a Lease of coordination.k8s.io does the work
//! that only one should do.
//!
//! The Lease is a courtesy. What must not happen twice is fenced by other means: a nonce, a
//! resourceVersion, or an operation that can be repeated.

mod election;

use std::time::Duration;

use chrono::SecondsFormat;
use kube::{
    Api,
    api::{ApiResource, DynamicObject, PostParams},
    core::GroupVersionKind,
};
use serde_json::{Value, json};
use tokio::{sync::watch, time::Instant};

use self::election::{Election, LeaseRecord, Step};
pub(crate) use self::election::{TIMING, Timing};
use crate::{
    clock::Clock,
    error_chain::with_causes,
    source::cluster::{Access, AccessError, connect},
    telemetry::Metrics,
};

/// How much longer an attempt may take that was under way when the process was told to stop.
const LAST_ATTEMPT_LIMIT: Duration = Duration::from_secs(1);
/// How long the release of a Lease at the end of the process may take.
const RELEASE_LIMIT: Duration = Duration::from_secs(2);

/// Which Lease, and who we are.
#[derive(Clone, Debug)]
pub(crate) struct LeaseSettings {
    /// `None` for the namespace of the kubeconfig's context, or of the pod.
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
    /// Unique to this process.
    pub(crate) identity: String,
    pub(crate) timing: Timing,
}

/// A candidate for one Lease.
pub(crate) struct Candidate {
    access: Access,
    settings: LeaseSettings,
    clock: Clock,
    metrics: Metrics,
    election: Election,
    /// The origin of the election's monotonic times.
    started: Instant,
    leads: watch::Sender<bool>,
    /// Dropped after a failure, so that credentials are read from disk again.
    api: Option<Api<DynamicObject>>,
    /// The failure that was logged last, so that one that lasts is logged once.
    logged: Option<String>,
    /// How many attempts have failed since the last one that did not.
    failures: u32,
    /// Whether the Lease may name this process, led or not: a write may have arrived whose answer did
    /// not.
    may_hold: bool,
    /// Who else was seen to hold the Lease.
    follows: Option<String>,
}

/// Why an attempt failed.
#[derive(Debug, thiserror::Error)]
enum LeaseError {
    #[error("the API server cannot be used")]
    Access(#[from] AccessError),
    #[error("access is forbidden: grant get, create and update of leases ({0})")]
    Forbidden(String),
    #[error("the API server did not do it")]
    Request(#[source] kube::Error),
    #[error("the API server did not answer in time")]
    Timeout,
}

impl From<kube::Error> for LeaseError {
    fn from(error: kube::Error) -> Self {
        if let kube::Error::Api(status) = &error
            && status.code == 403
        {
            return Self::Forbidden(status.message.clone());
        }
        Self::Request(error)
    }
}

impl Candidate {
    /// Returns the candidate, and whether it leads, which is false at first.
    pub(crate) fn new(
        access: Access,
        settings: LeaseSettings,
        clock: Clock,
        metrics: Metrics,
    ) -> (Self, watch::Receiver<bool>) {
        let (leads, leading) = watch::channel(false);
        let election = Election::new(settings.identity.clone(), settings.timing);
        let started = Instant::now();
        let candidate = Self {
            access,
            settings,
            clock,
            metrics,
            election,
            started,
            leads,
            api: None,
            logged: None,
            failures: 0,
            may_hold: false,
            follows: None,
        };
        (candidate, leading)
    }

    /// Takes and renews the Lease until `stop` is true, then releases it. Whoever waits on
    /// [`while_leading`] stops first: this returns only after the release.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            // A write under way is not abandoned at once: it could arrive after the release.
            let mut stopped = stop.clone();
            let overdue = async {
                let _ = stopped.wait_for(|stop| *stop).await;
                tokio::time::sleep(LAST_ATTEMPT_LIMIT).await;
            };
            let next = tokio::select! {
                biased;
                next = self.attempt_in_time() => next,
                () = overdue => break,
            };
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                () = self.rest_until(next) => {}
            }
        }
        self.leads.send_replace(false);
        self.metrics.leads(false);
        if self.may_hold {
            match tokio::time::timeout(RELEASE_LIMIT, self.release()).await {
                Ok(Ok(true)) => tracing::info!("Released the Lease"),
                Ok(Ok(false)) => {}
                Ok(Err(error)) => {
                    tracing::warn!("The Lease was not released: {}", with_causes(&error));
                }
                Err(_) => tracing::warn!("The Lease was not released in time"),
            }
        }
    }

    /// One attempt. Returns when the next one is due. What this process may still do ends on time
    /// even if the attempt does not.
    async fn attempt_in_time(&mut self) -> Instant {
        let began = Instant::now();
        let limit = began + self.election.patience(self.now(), self.failures);
        let until = self.election.leads_until(self.now()).map(|until| self.started + until);
        let limit = until.map_or(limit, |until| until.min(limit));
        let attempted = match tokio::time::timeout_at(limit, self.attempt()).await {
            Ok(attempted) => attempted,
            Err(_) => Err(LeaseError::Timeout),
        };
        self.report(attempted);
        self.tell();
        began + self.election.rest(self.now())
    }

    async fn rest_until(&mut self, next: Instant) {
        // The deadline may pass while we rest.
        let until = self.election.leads_until(self.now()).map(|until| self.started + until);
        if let Some(until) = until.filter(|until| *until < next) {
            tokio::time::sleep_until(until).await;
            self.tell();
        }
        tokio::time::sleep_until(next).await;
    }

    async fn attempt(&mut self) -> Result<(), LeaseError> {
        let api = self.api().await?;
        let object = api.get_opt(&self.settings.name).await?;
        let record = object.as_ref().map(record);
        let before = self.now();
        let (version, transitions) = match self.election.step(record.as_ref(), before) {
            Step::Wait => {
                self.may_hold = false;
                // First that this process no longer leads, if it did until now.
                self.tell();
                self.follow(record.and_then(|record| record.holder));
                return Ok(());
            }
            Step::Create => (None, 0),
            Step::Take { version, transitions } => (Some(version), transitions.saturating_add(1)),
            Step::Renew { version, transitions } => (Some(version), transitions),
        };
        let is_new = version.is_none();
        self.may_hold = true;
        let lease = self.lease(object, version, transitions);
        let written = match is_new {
            true => api.create(&PostParams::default(), &lease).await,
            false => api.replace(&self.settings.name, &PostParams::default(), &lease).await,
        };
        match written {
            Ok(_) => {
                self.election.holds_since(before);
                Ok(())
            }
            // Somebody else was faster.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives the Lease back, if it is still ours. Returns whether it was.
    async fn release(&mut self) -> Result<bool, LeaseError> {
        let api = self.api().await?;
        loop {
            let Some(object) = api.get_opt(&self.settings.name).await? else { return Ok(false) };
            let record = record(&object);
            if record.holder.as_deref() != Some(self.election.identity()) {
                return Ok(false);
            }
            let mut lease = self.lease(Some(object), Some(record.version), record.transitions);
            lease.data["spec"]["holderIdentity"] = Value::Null;
            match api.replace(&self.settings.name, &PostParams::default(), &lease).await {
                Ok(_) => return Ok(true),
                // A last renewal of ours arrived between the two.
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Says once who leads, if it is not this process.
    fn follow(&mut self, holder: Option<String>) {
        if self.follows != holder {
            let holder = holder.as_deref().unwrap_or_default();
            tracing::info!(lease.name = %self.settings.name, lease.holder = %holder, "Another process leads");
        }
        self.follows = holder;
    }

    /// The Lease with us as its holder. An existing one keeps its labels, its owner, and the time at
    /// which we took it.
    fn lease(
        &self,
        object: Option<DynamicObject>,
        version: Option<String>,
        transitions: i64,
    ) -> DynamicObject {
        let now = self.clock.now().to_rfc3339_opts(SecondsFormat::Micros, true);
        let mut lease =
            object.unwrap_or_else(|| DynamicObject::new(&self.settings.name, &lease_resource()));
        let acquired = match record(&lease).holder.as_deref() == Some(self.election.identity()) {
            true => lease.data["spec"]["acquireTime"].clone(),
            false => now.clone().into(),
        };
        lease.metadata.resource_version = version;
        lease.metadata.managed_fields = None;
        lease.data["spec"] = json!({
            "holderIdentity": self.election.identity(),
            "leaseDurationSeconds": self.election.timing().lease.as_secs(),
            "acquireTime": acquired,
            "renewTime": now,
            "leaseTransitions": transitions,
        });
        lease
    }

    async fn api(&mut self) -> Result<Api<DynamicObject>, LeaseError> {
        if let Some(api) = &self.api {
            return Ok(api.clone());
        }
        let client = connect(&self.access).await?;
        let namespace =
            self.settings.namespace.as_deref().unwrap_or(client.default_namespace()).to_owned();
        let api = Api::namespaced_with(client, &namespace, &lease_resource());
        self.api = Some(api.clone());
        Ok(api)
    }

    fn report(&mut self, attempted: Result<(), LeaseError>) {
        match &attempted {
            Ok(()) => self.failures = 0,
            Err(_) => {
                self.api = None;
                self.failures = self.failures.saturating_add(1);
            }
        }
        let failure = attempted.err().map(|error| with_causes(&error));
        if let Some(failure) = &failure
            && self.logged.as_ref() != Some(failure)
        {
            tracing::warn!(lease.name = %self.settings.name, "The Lease cannot be read or written: {failure}");
        }
        self.logged = failure;
    }

    /// Tells whoever works under the Lease whether to work.
    fn tell(&mut self) {
        let leads = self.election.leads(self.now());
        self.metrics.leads(leads);
        let changed = self.leads.send_if_modified(|told| std::mem::replace(told, leads) != leads);
        if changed {
            let identity = self.election.identity();
            match leads {
                true => {
                    self.follows = None;
                    tracing::info!(lease.name = %self.settings.name, lease.identity = %identity, "This process leads")
                }
                false => {
                    tracing::warn!(lease.name = %self.settings.name, lease.identity = %identity, "This process leads no longer")
                }
            }
        }
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }
}

/// Runs what only the leader does: `work` begins whenever this process comes to lead, and is dropped
/// when it leads no longer. Returns when `work` itself ends, with its reason.
pub(crate) async fn while_leading<F>(
    mut leading: watch::Receiver<bool>,
    mut work: impl FnMut() -> F,
) -> String
where
    F: Future<Output = String>,
{
    loop {
        if leading.wait_for(|leads| *leads).await.is_err() {
            // The candidate has ended: this process leads never again.
            std::future::pending::<()>().await;
        }
        tokio::select! {
            biased;
            _ = leading.wait_for(|leads| !*leads) => {}
            ended = work() => return ended,
        }
    }
}

fn lease_resource() -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk("coordination.k8s.io", "v1", "Lease"))
}

/// Reads a Lease. What is missing or unreadable in it makes it free, as an emptied Lease is.
fn record(object: &DynamicObject) -> LeaseRecord {
    let spec = &object.data["spec"];
    let holder = spec["holderIdentity"].as_str().filter(|holder| !holder.is_empty());
    let seconds = spec["leaseDurationSeconds"].as_u64().unwrap_or_default();
    LeaseRecord {
        version: object.metadata.resource_version.clone().unwrap_or_default(),
        spec: spec.to_string(),
        holder: holder.map(str::to_owned),
        duration: Duration::from_secs(seconds),
        transitions: spec["leaseTransitions"].as_i64().unwrap_or_default(),
    }
}
