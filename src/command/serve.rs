//! `registrar serve`: the pipeline, anchoring and both listeners, supervised until shutdown.

use std::{
    io::Write,
    net::SocketAddr,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::Context;
use futures::FutureExt;
use tokio::{sync::watch, task::JoinSet};

use super::{
    anchor::{AnchorStart, start_anchoring},
    leadership::Leader,
    pipeline::{on_own_thread, start_pipeline},
    signals::{Shutdown, Signals},
    supervise::{Ended, first_to_end, supervised},
};
use crate::{
    cli::ServeConfig,
    head::{AnswerHead, SimpleRequest},
    http::{
        self, Body, CatalogReader, EventFeed, Front,
        admin::{Admin, AdminHosts},
    },
    listener::{Answers, Certificates, Limits, Listener, Settings, Sockets, Stage},
    review::{self, CurrentReview},
    telemetry::log_to_stderr,
};

/// Scrapes and probes need few connections; a limit of its own keeps the admin listener answering
/// while the public one is full.
const ADMIN_CONNECTIONS: usize = 256;

/// Files that are open besides public connections.
const OTHER_FILES: u64 = 512;

impl Answers for Front {
    type Body = Body;

    fn at_once(
        &self,
        request: &SimpleRequest<'_>,
        head: &mut AnswerHead<'_>,
    ) -> Option<Self::Body> {
        Front::at_once(self, request, head)
    }
}

pub(super) async fn run(config: ServeConfig) -> anyhow::Result<ExitCode> {
    let ServeConfig {
        offers,
        anchoring,
        leadership,
        listen,
        admin_listen,
        threads,
        max_connections,
        tls,
        admin_hosts,
        max_age,
        x402_discovery,
        shutdown_delay,
        log_format,
    } = config;
    let anchoring = AnchorStart::open(anchoring);
    log_to_stderr(log_format);
    let mut signals = Signals::new()?;
    let tls = tls.map(|(cert, key)| Certificates::read(cert, key)).transpose()?.map(Arc::new);
    allow_files(max_connections);
    let mut tasks: JoinSet<Ended> = JoinSet::new();
    let remembered = anchoring.remembered().await;
    let pipeline = start_pipeline(offers, remembered, &mut tasks).await?;
    let leader = Leader::start(leadership, &pipeline, &mut tasks);
    let leading = leader.as_ref().map(|leader| leader.leading.clone());
    start_anchoring(anchoring, &pipeline, leading, &mut tasks);

    let public = bind(listen, threads)?;
    let admin = bind(admin_listen, 1)?;
    announce(&public, &admin, tls.is_some());
    let stopping = Arc::new(AtomicBool::new(false));
    let metrics = pipeline.metrics.clone();
    // Each process numbers its events on its own, so their ids must differ.
    let events = EventFeed::new(format!("{:016x}", fastrand::u64(..)));
    let reader = CatalogReader {
        catalog: pipeline.catalog,
        observed: pipeline.observed,
        health: pipeline.health,
        clock: pipeline.clock,
        max_age,
        metrics: pipeline.metrics,
        events: events.clone(),
        review: CurrentReview::default(),
        x402_discovery,
    };
    let review = review::follow(reader.catalog.clone(), reader.review.clone());
    let review = on_own_thread("review", review)?.map(|ended| match ended {
        Ok(()) => "the publisher is gone".to_owned(),
        Err(_) => "its thread panicked".to_owned(),
    });
    tasks.spawn(supervised("review", review));
    let follow = http::events::follow(pipeline.steps, events.clone());
    let follow = follow.map(|()| "the publisher is gone".to_owned());
    tasks.spawn(supervised("event feed", follow));
    // Held so that the publisher's channel remains open where nothing is anchored.
    let _on_chain = pipeline.on_chain;
    let admin_front = http::admin::admin(Admin {
        reader: reader.clone(),
        release: pipeline.release,
        hosts: AdminHosts::new(admin_hosts),
        stopping: Arc::clone(&stopping),
    });
    if let Some(certificates) = &tls {
        tasks.spawn(supervised("TLS reload", Arc::clone(certificates).reload()));
    }
    let public_limits = Limits { connections: max_connections, ..Limits::default() };
    let admin_limits = Limits { connections: ADMIN_CONNECTIONS, ..Limits::default() };
    let public_settings = Settings { name: "public", limits: public_limits, tls };
    let admin_settings = Settings { name: "admin", limits: admin_limits, tls: None };
    let front = http::public(reader);
    let public = Listener::start(public, || front.for_thread(), &public_settings, &metrics)?;
    let admin = Listener::start(admin, || admin_front.for_thread(), &admin_settings, &metrics)?;
    let mut listeners = Listeners::supervise(public, admin);

    let signal = tokio::select! {
        error = first_to_end(&mut tasks) => return Err(error),
        error = first_to_end(&mut listeners.tasks) => return Err(error),
        signal = signals.next() => signal,
    };
    tracing::info!(signal = signal.name(), "Shutting down");
    stopping.store(true, Ordering::Relaxed);
    listeners.stage.send_replace(Stage::Stopping);
    // Others need not wait for this process to stop serving before they act.
    let release = async {
        if let Some(leader) = leader {
            leader.release().await;
        }
    };
    let delay = async {
        if matches!(signal, Shutdown::Terminate) {
            // Serving continues with readiness off; a second signal ends the delay.
            tokio::select! {
                () = tokio::time::sleep(shutdown_delay) => {}
                _ = signals.next() => {}
            }
        }
    };
    tokio::select! {
        error = first_to_end(&mut tasks) => return Err(error),
        error = first_to_end(&mut listeners.tasks) => return Err(error),
        _ = futures::future::join(release, delay) => {}
    }
    events.end();
    listeners.close().await;
    Ok(ExitCode::SUCCESS)
}

/// Both listeners under way.
struct Listeners {
    tasks: JoinSet<Ended>,
    stage: watch::Sender<Stage>,
}

impl Listeners {
    fn supervise(public: Listener, admin: Listener) -> Self {
        let (stage, stages) = watch::channel(Stage::Serving);
        let mut tasks = JoinSet::new();
        tasks.spawn(supervised("public listener", public.run(stages.clone())));
        tasks.spawn(supervised("admin listener", admin.run(stages)));
        Self { tasks, stage }
    }

    /// Stops accepting connections and waits for open requests.
    async fn close(mut self) {
        self.stage.send_replace(Stage::Closing);
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Raises the limit of open files, of which each connection is one, as far as the system allows.
fn allow_files(connections: usize) {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
    let allowed = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    let wanted = u64::try_from(connections).unwrap_or(u64::MAX).saturating_add(OTHER_FILES);
    if let Some(allowed) = allowed.filter(|allowed| *allowed < wanted) {
        tracing::warn!(
            allowed,
            wanted,
            "The limit of open files is below --max-connections; raise it (ulimit -n) or lower the setting"
        );
    }
}

fn bind(address: SocketAddr, threads: usize) -> anyhow::Result<Sockets> {
    Sockets::bind(address, threads).with_context(|| format!("cannot listen on {address}"))
}

/// Prints both addresses. Scripts read these two lines, so nothing else is written to stdout.
fn announce(public: &Sockets, admin: &Sockets, is_tls: bool) {
    let scheme = if is_tls { "https" } else { "http" };
    let (public, admin) = (public.address, admin.address);
    let mut stdout = std::io::stdout().lock();
    // Serving does not depend on stdout, which may be closed.
    let _ = write!(stdout, "public {scheme}://{public}\nadmin http://{admin}\n")
        .and_then(|()| stdout.flush());
    tracing::info!(listener.public = %public, listener.admin = %admin, "Listening");
}
