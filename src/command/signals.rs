//! How a process that stays is asked to end.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Which signal came.
pub(super) enum Ending {
    /// SIGTERM: wait until load balancers have noticed.
    Terminate,
    /// SIGINT: at once.
    Interrupt,
}

impl Ending {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
        }
    }
}

/// The signals that end a process.
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

    pub(super) async fn next(&mut self) -> Ending {
        tokio::select! {
            _ = self.terminate.recv() => Ending::Terminate,
            _ = self.interrupt.recv() => Ending::Interrupt,
        }
    }
}
