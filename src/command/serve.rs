//! `registrar serve`: wires facts to pages to sockets, and supervises.

use std::{
    any::Any,
    io::Write,
    net::SocketAddr,
    panic::AssertUnwindSafe,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, anyhow};
use axum::{Router, serve::ListenerExt};
use futures::FutureExt;
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    task::JoinSet,
};

use crate::{
    cli::{ServeConfig, Source},
    clock::Clock,
    http::{self, Reader, admin::Admin},
    publish,
    source::{
        Observation, Vitals, cluster,
        files::{self, Manifests},
    },
    telemetry::{Metrics, log_to_stderr},
};

/// How long open requests get after the listeners have closed.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);

/// A long-lived task that ended: its name and how.
type Ended = (&'static str, String);

pub(super) async fn run(config: ServeConfig) -> anyhow::Result<ExitCode> {
    log_to_stderr(config.log_format);
    let ServeConfig { offers, listen, admin_listen, max_age, shutdown_delay, log_format: _ } =
        config;
    let (observed_sender, observed) = watch::channel(Observation::default());
    let (catalog_sender, catalog) = watch::channel(None);
    let (close, closed) = watch::channel(false);
    let (metrics, vitals, clock) = (Metrics::new(), Vitals::default(), Clock::system());
    let stopping = Arc::new(AtomicBool::new(false));
    let mut signals = Signals::new()?;
    let mut tasks: JoinSet<Ended> = JoinSet::new();

    match offers.source {
        Source::Files { root, public_url } => {
            let public_url = public_url.context("--public-url is required with --offers")?;
            let mut manifests = Manifests::new(&root, offers.scope, public_url);
            // A path that does not exist is a bad setting; what breaks later is reported and waited out.
            manifests.read()?;
            let watched = files::watch(manifests, observed_sender, vitals.clone());
            tasks.spawn(supervised(
                "source",
                watched.map(|()| "the files are no longer read".to_owned()),
            ));
        }
        Source::Cluster { access, public_url } => {
            cluster::connect(&access).await?;
            let watched =
                cluster::watch(access, offers.scope, public_url, observed_sender, vitals.clone());
            tasks.spawn(supervised("source", watched));
        }
    }
    let (_learned_sender, learned) = watch::channel(Default::default());
    let published = publish::run(
        observed.clone(),
        learned,
        offers.rules,
        clock,
        catalog_sender,
        metrics.clone(),
    );
    tasks.spawn(supervised("publisher", published.map(|()| "the source is gone".to_owned())));

    let public = bind(listen).await?;
    let admin = bind(admin_listen).await?;
    announce(&public, &admin)?;
    let reader = Reader { catalog, observed, clock, max_age, metrics };
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

async fn supervised(name: &'static str, task: impl Future<Output = String>) -> Ended {
    let ended = AssertUnwindSafe(task).catch_unwind().await;
    (name, ended.unwrap_or_else(|panic| format!("it panicked: {}", panic_text(&*panic))))
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a text")
}

/// Waits until one of the tasks ends, which none should, and says which one did.
async fn first_to_end(tasks: &mut JoinSet<Ended>) -> anyhow::Error {
    match tasks.join_next().await {
        Some(Ok((name, why))) => anyhow!("the {name} ended: {why}"),
        Some(Err(error)) => anyhow!("a task ended: {error}"),
        None => anyhow!("no task was started"),
    }
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

/// How the process was asked to end.
enum Ending {
    Terminate,
    Interrupt,
}

impl Ending {
    fn name(&self) -> &'static str {
        match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
        }
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> Ending {
        tokio::select! {
            _ = self.terminate.recv() => Ending::Terminate,
            _ = self.interrupt.recv() => Ending::Interrupt,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_task_to_end_is_named_with_its_reason() {
        let mut tasks = JoinSet::new();
        tasks.spawn(supervised("publisher", std::future::pending()));
        tasks.spawn(supervised("source", async { "the files are no longer read".to_owned() }));
        let error = first_to_end(&mut tasks).await;
        assert_eq!(error.to_string(), "the source ended: the files are no longer read");
    }

    #[tokio::test]
    async fn a_task_that_panics_is_named_with_its_words() {
        let mut tasks = JoinSet::new();
        tasks.spawn(supervised("publisher", async { panic!("a broken invariant") }));
        let error = first_to_end(&mut tasks).await;
        assert_eq!(error.to_string(), "the publisher ended: it panicked: a broken invariant");
    }
}
