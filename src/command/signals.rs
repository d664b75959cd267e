//! The signals that ask a long-running process to end.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// A request to shut down.
pub(super) enum Shutdown {
    /// SIGTERM: keep serving until load balancers have noticed.
    Terminate,
    /// SIGINT: close the listeners immediately.
    Interrupt,
}

impl Shutdown {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
        }
    }
}

pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn new() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    pub(super) async fn next(&mut self) -> Shutdown {
        tokio::select! {
            _ = self.terminate.recv() => Shutdown::Terminate,
            _ = self.interrupt.recv() => Shutdown::Interrupt,
        }
    }
}
