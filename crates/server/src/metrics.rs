//! What Prometheus reads at `/metrics`.

use std::{sync::atomic::AtomicU64, time::Duration};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::{Registry, Unit},
};

use crate::{app::App, view};

/// What was counted since the process was started, over all federations and routes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Totals {
    /// Requests answered.
    pub requests: u64,
    /// Events made durable.
    pub events: u64,
    /// In how many batches.
    pub appends: u64,
    /// How long that took, in seconds.
    pub append_s: f64,
    /// Bytes of updates received.
    pub received_bytes: u64,
    /// Bytes of models sent.
    pub sent_bytes: u64,
}

/// Counters and histograms; what can be read off the state is read off it when somebody asks.
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    events: Family<FederationLabels, Counter>,
    append: Histogram,
    bytes_up: Family<FederationLabels, Counter>,
    bytes_down: Family<FederationLabels, Counter>,
    /// The same without labels: a [`Family`] does not add up, and a [`Histogram`] tells nobody but Prometheus.
    all: All,
}

#[derive(Default)]
struct All {
    requests: Counter,
    events: Counter,
    appends: Counter,
    append_s: Counter<f64, AtomicU64>,
    received: Counter,
    sent: Counter,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    method: String,
    route: String,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct FederationLabels {
    federation: String,
}

impl Default for Metrics {
    fn default() -> Self {
        let append = Histogram::new([0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2.0]);
        let (requests, events, bytes_up, bytes_down, all) = Default::default();
        let registry = Registry::with_prefix("dure");
        let mut metrics = Self { registry, requests, events, append, bytes_up, bytes_down, all };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("http_requests", "Requests answered", self.requests.clone());
        registry.register("events_appended", "Events made durable", self.events.clone());
        let help = "Time to make a batch of events durable";
        registry.register_with_unit("append", help, Unit::Seconds, self.append.clone());
        let help = "Bytes of updates received, as they travelled";
        registry.register_with_unit("updates_received", help, Unit::Bytes, self.bytes_up.clone());
        let help = "Bytes of models sent, as they travelled";
        registry.register_with_unit("models_sent", help, Unit::Bytes, self.bytes_down.clone());
    }

    /// A request was answered.
    pub fn answered(&self, method: &str, route: &str, status: u16) {
        let labels = RequestLabels { method: method.into(), route: route.into(), status };
        self.requests.get_or_create(&labels).inc();
        self.all.requests.inc();
    }

    /// Events were made durable.
    pub fn appended(&self, federation: &str, events: usize, took: Duration) {
        self.events.get_or_create(&of(federation)).inc_by(events as u64);
        self.all.events.inc_by(events as u64);
        self.append.observe(took.as_secs_f64());
        self.all.appends.inc();
        self.all.append_s.inc_by(took.as_secs_f64());
    }

    /// An update came in.
    pub fn received(&self, federation: &str, bytes: usize) {
        self.bytes_up.get_or_create(&of(federation)).inc_by(bytes as u64);
        self.all.received.inc_by(bytes as u64);
    }

    /// A model went out.
    pub fn sent(&self, federation: &str, bytes: usize) {
        self.bytes_down.get_or_create(&of(federation)).inc_by(bytes as u64);
        self.all.sent.inc_by(bytes as u64);
    }

    /// What was counted.
    pub fn totals(&self) -> Totals {
        Totals {
            requests: self.all.requests.get(),
            events: self.all.events.get(),
            appends: self.all.appends.get(),
            append_s: self.all.append_s.get(),
            received_bytes: self.all.received.get(),
            sent_bytes: self.all.sent.get(),
        }
    }

    /// The text that Prometheus reads.
    pub fn text(&self, app: &App) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        let end = "# EOF\n";
        text.truncate(text.len() - if text.ends_with(end) { end.len() } else { 0 });
        gauges(&mut text, app);
        text + end
    }
}

/// What the state of the federations says.
fn gauges(text: &mut String, app: &App) {
    let views: Vec<_> = app.drivers().iter().map(|driver| driver.shared.look(view::federation)).collect();
    text.push_str("# HELP dure_clients Clients by state.\n# TYPE dure_clients gauge\n");
    for view in &views {
        for (state, count) in &view.clients {
            let state = serde_json::to_value(state).unwrap_or_default();
            let state = state.as_str().unwrap_or_default();
            text.push_str(&format!("dure_clients{{federation=\"{}\",state=\"{state}\"}} {count}\n", view.name));
        }
    }
    text.push_str("# HELP dure_model_versions Model versions.\n# TYPE dure_model_versions gauge\n");
    for view in &views {
        text.push_str(&format!("dure_model_versions{{federation=\"{}\"}} {}\n", view.name, view.versions));
    }
    text.push_str(
        "# HELP dure_job_active Number of the active job, 0 if there is none.\n# TYPE dure_job_active gauge\n",
    );
    for view in &views {
        text.push_str(&format!("dure_job_active{{federation=\"{}\"}} {}\n", view.name, view.active_job.unwrap_or(0)));
    }
}

fn of(federation: &str) -> FederationLabels {
    FederationLabels { federation: federation.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_over_all_routes_and_federations() {
        let metrics = Metrics::default();
        metrics.answered("GET", "/a", 200);
        metrics.answered("PUT", "/b", 404);
        metrics.appended("x", 3, Duration::from_millis(250));
        metrics.appended("y", 4, Duration::from_millis(500));
        metrics.received("x", 10);
        metrics.received("y", 5);
        metrics.sent("x", 7);
        let (append_s, received_bytes, sent_bytes) = (0.75, 15, 7);
        assert_eq!(
            metrics.totals(),
            Totals { requests: 2, events: 7, appends: 2, append_s, received_bytes, sent_bytes }
        );
    }
}
