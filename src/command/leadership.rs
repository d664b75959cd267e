//! What only one of several replicas does, and the Lease that chooses it.

use tokio::{
    sync::{oneshot, watch},
    task::JoinSet,
};

use super::{
    pipeline::Pipeline,
    supervise::{Ended, supervised},
};
use crate::{
    cli::Leadership,
    enforce::{self, Enforcement},
    identity_status::{self, IdentityWriter},
    leader::{Candidate, while_leading},
    offer_events::{self, Reporter},
};

/// A candidate for the Lease under way.
pub(super) struct Leader {
    /// Whether this process leads.
    pub(super) leading: watch::Receiver<bool>,
    stop: watch::Sender<bool>,
    released: oneshot::Receiver<()>,
}

impl Leader {
    /// Starts the candidate, and the work under the Lease that is not anchoring. `None` without a
    /// Lease.
    pub(super) fn start(
        leadership: Option<Leadership>,
        pipeline: &Pipeline,
        tasks: &mut JoinSet<Ended>,
    ) -> Option<Self> {
        let Leadership { access, lease, enforce_drains, write_identity, events, identity } =
            leadership?;
        let instance = lease.identity.clone();
        let metrics = pipeline.metrics.clone();
        let (candidate, leading) = Candidate::new(access.clone(), lease, pipeline.clock, metrics);
        let (stop, stopped) = watch::channel(false);
        let (done, released) = oneshot::channel();
        tasks.spawn(supervised("lease", async move {
            candidate.run(stopped).await;
            // Nobody may be waiting: the process may be about to end for another reason.
            let _ = done.send(());
            std::future::pending().await
        }));
        if let Some((object, registries)) = write_identity {
            let on_chain = pipeline.on_chain.subscribe();
            let writer = IdentityWriter { access: access.clone(), object, registries, on_chain };
            let work = while_leading(leading.clone(), move || identity_status::run(writer.clone()));
            tasks.spawn(supervised("identity writer", work));
        }
        if events {
            let reporter = Reporter {
                access: access.clone(),
                identity,
                observed: pipeline.observed.clone(),
                on_chain: pipeline.on_chain.subscribe(),
                steps: pipeline.steps.resubscribe(),
                clock: pipeline.clock,
                instance,
            };
            let work = while_leading(leading.clone(), move || offer_events::run(reporter.clone()));
            tasks.spawn(supervised("event reporter", work));
        }
        if enforce_drains {
            let enforcement = Enforcement {
                access,
                observed: pipeline.observed.clone(),
                clock: pipeline.clock,
                metrics: pipeline.metrics.clone(),
            };
            let work = while_leading(leading.clone(), move || enforce::run(enforcement.clone()));
            tasks.spawn(supervised("drain enforcement", work));
        }
        Some(Self { leading, stop, released })
    }

    /// Ends what only the leader does, and gives the Lease to whoever waits for it.
    pub(super) async fn release(self) {
        self.stop.send_replace(true);
        let _ = self.released.await;
    }
}
