//! Metrics of connections, by listener.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::metrics::register;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct ListenerLabel {
    pub(super) listener: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ClosedLabels {
    listener: &'static str,
    reason: &'static str,
}

#[derive(Debug)]
pub(super) struct ConnectionMetrics {
    open: Family<ListenerLabel, Gauge>,
    opened: Family<ListenerLabel, Counter>,
    refused: Family<ListenerLabel, Counter>,
    closed: Family<ClosedLabels, Counter>,
}

impl ConnectionMetrics {
    pub(super) fn new(to: &mut Registry) -> Self {
        Self {
            open: register(to, "http_connections", "Open connections"),
            opened: register(to, "http_connections_opened", "Connections accepted"),
            refused: register(
                to,
                "http_connections_refused",
                "Connections closed at once because too many were open, or because the system gave none",
            ),
            closed: register(
                to,
                "http_connections_closed",
                "Connections closed before their clients wanted it, by reason",
            ),
        }
    }

    /// Creates the metrics of one listener at zero. `reasons` are those of connections that are closed.
    pub(super) fn listener(
        &self,
        listener: &'static str,
        reasons: impl IntoIterator<Item = &'static str>,
    ) -> ListenerMetrics {
        let label = ListenerLabel { listener };
        for reason in reasons {
            drop(self.closed.get_or_create(&ClosedLabels { listener, reason }));
        }
        ListenerMetrics {
            listener,
            open: self.open.get_or_create_owned(&label),
            opened: self.opened.get_or_create_owned(&label),
            refused: self.refused.get_or_create_owned(&label),
            closed: self.closed.clone(),
        }
    }
}

/// Counts the connections of one listener. Clones share the same values.
#[derive(Clone, Debug)]
pub(crate) struct ListenerMetrics {
    listener: &'static str,
    open: Gauge,
    opened: Counter,
    refused: Counter,
    closed: Family<ClosedLabels, Counter>,
}

impl ListenerMetrics {
    pub(crate) fn opened(&self) {
        self.opened.inc();
        self.open.inc();
    }

    pub(crate) fn ended(&self) {
        self.open.dec();
    }

    pub(crate) fn refused(&self) {
        self.refused.inc();
    }

    /// Counts a connection that is closed before its client wants it.
    pub(crate) fn closed(&self, reason: &'static str) {
        self.closed.get_or_create(&ClosedLabels { listener: self.listener, reason }).inc();
    }
}
