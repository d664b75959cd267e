//! `registrar serve`: wires facts to pages to sockets, and supervises.

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
use axum::{Router, serve::ListenerExt};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

use super::{
    anchor::{AnchorStart, start_anchoring},
    signals::{Ending, Signals},
    world::{Ended, WatchedWorld, first_to_end, supervised, watch_world},
};
use crate::{
    cli::ServeConfig,
    http::{self, CatalogReader, admin::Admin},
    telemetry::log_to_stderr,
};

/// How long open requests get after the listeners have closed.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);

pub(super) async fn run(config: ServeConfig) -> anyhow::Result<ExitCode> {
    log_to_stderr(config.log_format);
    let ServeConfig {
        offers,
        anchoring,
        listen,
        admin_listen,
        max_age,
        shutdown_delay,
        log_format: _,
    } = config;
    let anchoring = AnchorStart::open(anchoring);
    let (close, closed) = watch::channel(false);
    let stopping = Arc::new(AtomicBool::new(false));
    let mut signals = Signals::new()?;
    let mut tasks: JoinSet<Ended> = JoinSet::new();
    let watched = watch_world(offers, &mut tasks).await?;
    start_anchoring(anchoring, &watched, &mut tasks);

    let public = bind(listen).await?;
    let admin = bind(admin_listen).await?;
    announce(&public, &admin)?;
    let WatchedWorld { catalog, observed, agents: _, on_chain: _on_chain, vitals, metrics, clock } =
        watched;
    let reader = CatalogReader { catalog, observed, clock, max_age, metrics };
    let admin_router = http::admin::router(Admin {
        reader: reader.clone(),
        vitals,
        stopping: Arc::clone(&stopping),
    });
    let mut listeners: JoinSet<Ended> = JoinSet::new();
    listeners.spawn(supervised(
        "public listener",
        listen_on(public, http::router(reader), closed.clone()),
    ));
    listeners.spawn(supervised("admin listener", listen_on(admin, admin_router, closed)));

    let signal = tokio::select! {
        error = first_to_end(&mut tasks) => return Err(error),
        error = first_to_end(&mut listeners) => return Err(error),
        signal = signals.next() => signal,
    };
    tracing::info!(signal = signal.name(), "Shutting down");
    stopping.store(true, Ordering::Relaxed);
    if matches!(signal, Ending::Terminate) {
        // Served unharmed meanwhile; a second signal cuts it short.
        tokio::select! {
            error = first_to_end(&mut tasks) => return Err(error),
            () = tokio::time::sleep(shutdown_delay) => {}
            _ = signals.next() => {}
        }
    }
    close.send_replace(true);
    let drained = async { while listeners.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN_LIMIT, drained).await.is_err() {
        tracing::warn!(
            "Requests were still open {} s after the listeners closed",
            DRAIN_LIMIT.as_secs()
        );
    }
    Ok(ExitCode::SUCCESS)
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}

/// Tells where to curl. Tools read these two lines, so stdout has nothing else.
fn announce(public: &TcpListener, admin: &TcpListener) -> anyhow::Result<()> {
    let (public, admin) = (public.local_addr()?, admin.local_addr()?);
    let mut stdout = std::io::stdout().lock();
    // A closed stdout is no reason not to serve.
    let _ = write!(stdout, "public http://{public}\nadmin http://{admin}\n")
        .and_then(|()| stdout.flush());
    tracing::info!(listener.public = %public, listener.admin = %admin, "Listening");
    Ok(())
}

async fn listen_on(
    listener: TcpListener,
    router: Router,
    mut closed: watch::Receiver<bool>,
) -> String {
    let listener = listener.tap_io(|stream| {
        // Answers are written whole; waiting for more to send only delays their last bytes.
        let _ = stream.set_nodelay(true);
    });
    let closing = async move {
        let _ = closed.wait_for(|closed| *closed).await;
    };
    match axum::serve(listener, router).with_graceful_shutdown(closing).await {
        Ok(()) => "it was closed".to_owned(),
        Err(error) => error.to_string(),
    }
}
