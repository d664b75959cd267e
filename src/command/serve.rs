//! `registrar serve`: the pipeline, anchoring and both listeners, supervised until shutdown.

use std::{
    io::Write,
    net::SocketAddr,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use axum::{Router, extract::Request, serve::ListenerExt};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

use super::{
    anchor::{AnchorStart, start_anchoring},
    leadership::Leader,
    pipeline::{Pipeline, start_pipeline},
    signals::{Shutdown, Signals},
    supervise::{Ended, first_to_end, supervised},
};
use crate::{
    cli::ServeConfig,
    http::{
        self, CatalogReader, Front,
        admin::{Admin, AdminHosts},
    },
    registration::OnChainFacts,
    telemetry::log_to_stderr,
};

/// How long open requests may take after the listeners have closed.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);

pub(super) async fn run(config: ServeConfig) -> anyhow::Result<ExitCode> {
    let ServeConfig {
        offers,
        anchoring,
        leadership,
        listen,
        admin_listen,
        admin_hosts,
        max_age,
        shutdown_delay,
        log_format,
    } = config;
    let anchoring = AnchorStart::open(anchoring);
    log_to_stderr(log_format);
    let mut signals = Signals::new()?;
    let mut tasks: JoinSet<Ended> = JoinSet::new();
    let pipeline = start_pipeline(offers, &mut tasks).await?;
    let leader = Leader::start(leadership, &pipeline, &mut tasks);
    let leading = leader.as_ref().map(|leader| leader.leading.clone());
    start_anchoring(anchoring, &pipeline, leading, &mut tasks);

    let public = bind(listen).await?;
    let admin = bind(admin_listen).await?;
    announce(&public, &admin)?;
    let mut listeners =
        Listeners::start(public, admin, pipeline, AdminHosts::new(admin_hosts), max_age);
    let signal = tokio::select! {
        error = first_to_end(&mut tasks) => return Err(error),
        error = first_to_end(&mut listeners.tasks) => return Err(error),
        signal = signals.next() => signal,
    };
    tracing::info!(signal = signal.name(), "Shutting down");
    listeners.stopping.store(true, Ordering::Relaxed);
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
        _ = futures::future::join(release, delay) => {}
    }
    listeners.close().await;
    Ok(ExitCode::SUCCESS)
}

/// Both listeners under way.
struct Listeners {
    tasks: JoinSet<Ended>,
    /// Turns readiness off.
    stopping: Arc<AtomicBool>,
    close: watch::Sender<bool>,
    /// Held so that the publisher's channel remains open where nothing is anchored.
    _on_chain: watch::Sender<OnChainFacts>,
}

impl Listeners {
    fn start(
        public: TcpListener,
        admin: TcpListener,
        pipeline: Pipeline,
        hosts: AdminHosts,
        max_age: Duration,
    ) -> Self {
        let Pipeline { catalog, observed, agents: _, on_chain, health, release, metrics, clock } =
            pipeline;
        let (close, closed) = watch::channel(false);
        let stopping = Arc::new(AtomicBool::new(false));
        let reader = CatalogReader { catalog, observed, health, clock, max_age, metrics };
        let admin_front = http::admin::admin(Admin {
            reader: reader.clone(),
            release,
            hosts,
            stopping: Arc::clone(&stopping),
        });
        let public = listen_on(public, http::public(reader), closed.clone());
        let admin = listen_on(admin, admin_front, closed);
        let mut tasks = JoinSet::new();
        tasks.spawn(supervised("public listener", public));
        tasks.spawn(supervised("admin listener", admin));
        Self { tasks, stopping, close, _on_chain: on_chain }
    }

    /// Stops accepting connections and waits up to [`DRAIN_LIMIT`] for open requests.
    async fn close(mut self) {
        self.close.send_replace(true);
        let drained = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN_LIMIT, drained).await.is_err() {
            tracing::warn!(
                "Requests were still open {} s after the listeners had closed",
                DRAIN_LIMIT.as_secs()
            );
        }
    }
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}

/// Prints both addresses. Scripts read these two lines, so nothing else is written to stdout.
fn announce(public: &TcpListener, admin: &TcpListener) -> anyhow::Result<()> {
    let (public, admin) = (public.local_addr()?, admin.local_addr()?);
    let mut stdout = std::io::stdout().lock();
    // Serving does not depend on stdout, which may be closed.
    let _ = write!(stdout, "public http://{public}\nadmin http://{admin}\n")
        .and_then(|()| stdout.flush());
    tracing::info!(listener.public = %public, listener.admin = %admin, "Listening");
    Ok(())
}

async fn listen_on(
    listener: TcpListener,
    front: Front,
    mut closed: watch::Receiver<bool>,
) -> String {
    let answers = tower::service_fn(move |request: Request| {
        let answer = front.answer(request);
        async move { answer.await.map(|response| response.map(axum::body::Body::new)) }
    });
    let router = Router::new().fallback_service(answers);
    let listener = listener.tap_io(|stream| {
        // Responses are written whole, so Nagle's algorithm would only delay their last bytes.
        let _ = stream.set_nodelay(true);
    });
    let closing = async move {
        let _ = closed.wait_for(|closed| *closed).await;
    };
    match axum::serve(listener, router).with_graceful_shutdown(closing).await {
        Ok(()) => "the listener closed".to_owned(),
        Err(error) => error.to_string(),
    }
}
