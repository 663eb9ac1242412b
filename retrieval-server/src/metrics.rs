//! Prometheus text: the engine's counters and this server's own.

use engine::status::{DurationHistogram, Metrics};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabelSet, EncodeMetric, MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use sample::DropCause;
use std::fmt;
use std::time::Instant;

/// Upper bounds of `varve_http_request_seconds`.
const REQUEST_SECONDS: [f64; 10] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 60.0];

const DAMAGED_HELP: &str = "Damaged places met";

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct RequestLabels {
    route: String,
    code: u16,
}

/// What this server counts of its requests.
#[derive(Clone, Debug)]
pub(crate) struct HttpMetrics {
    requests: Family<RequestLabels, Histogram, fn() -> Histogram>,
    in_flight: Gauge,
    /// Requests that wait for a place.
    pub(crate) waiting: Gauge,
    /// Requests and connections that were told to come back.
    pub(crate) refused: Counter,
}

/// A request that is being answered; counted when dropped.
pub(crate) struct RequestTimer {
    metrics: HttpMetrics,
    labels: RequestLabels,
    started: Instant,
}

impl HttpMetrics {
    pub(crate) fn new() -> HttpMetrics {
        let requests = Family::new_with_constructor((|| Histogram::new(REQUEST_SECONDS)) as fn() -> _);
        HttpMetrics {
            requests,
            in_flight: Gauge::default(),
            waiting: Gauge::default(),
            refused: Counter::default(),
        }
    }

    /// A request to `route` (the table's path, never the client's) begins.
    pub(crate) fn begin(&self, route: &str) -> RequestTimer {
        self.in_flight.inc();
        let labels = RequestLabels { route: route.into(), code: 200 };
        RequestTimer { metrics: self.clone(), labels, started: Instant::now() }
    }

    /// The text of `/metrics`, with the engine's part, or where none runs here the damaged places that readers met.
    pub(crate) fn text(&self, engine: Result<Metrics, u64>) -> String {
        let mut registry = Registry::default();
        registry.register("varve_build", "The program", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        let requests = self.requests.clone();
        registry.register("varve_http_request_seconds", "Time to answer HTTP requests", requests);
        let in_flight = self.in_flight.clone();
        registry.register("varve_http_in_flight", "HTTP requests being answered", in_flight);
        let waiting = self.waiting.clone();
        registry.register(
            "varve_http_waiting",
            "HTTP requests that wait because their client has many",
            waiting,
        );
        let refused = self.refused.clone();
        registry.register("varve_http_refused", "HTTP requests that were told to come back", refused);
        match engine {
            Ok(metrics) => registry.register_collector(Box::new(EngineCollector(metrics))),
            Err(damaged) => registry.register("varve_damaged", DAMAGED_HELP, ConstCounter::new(damaged)),
        }
        let mut text = String::new();
        // Writing to memory fails only if a metric cannot be written at all, which then is missing.
        let _ = prometheus_client::encoding::text::encode(&mut text, &registry);
        text
    }
}

impl RequestTimer {
    /// The status it was answered with, when it is not 200.
    pub(crate) fn code(&mut self, code: u16) {
        self.labels.code = code;
    }
}

impl Drop for RequestTimer {
    fn drop(&mut self) {
        self.metrics.in_flight.dec();
        let seconds = self.started.elapsed().as_secs_f64();
        self.metrics.requests.get_or_create(&self.labels).observe(seconds);
    }
}

/// The engine's counters at one moment.
#[derive(Debug)]
struct EngineCollector(Metrics);

/// The engine's histogram of durations.
struct Durations<'a>(&'a DurationHistogram);

impl EncodeMetric for Durations<'_> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let nothing = [(f64::INFINITY, 0)];
        let buckets = if self.0.buckets.is_empty() { &nothing } else { self.0.buckets.as_slice() };
        encoder.encode_histogram::<NoLabelSet>(self.0.sum_s, self.0.count(), buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

impl EngineCollector {
    fn counters(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let ledger = &self.0.ledger;
        for (name, help, count) in [
            ("varve_samples_received", "Samples that arrived", ledger.received),
            ("varve_samples_stored", "Samples stored", ledger.stored),
            ("varve_samples_redelivered", "Samples equal to the newest stored one", ledger.redelivered),
            ("varve_disconnects", "Connections lost", self.0.disconnects),
            ("varve_searches", "Search requests sent", self.0.searches),
            ("varve_damaged", DAMAGED_HELP, self.0.damaged),
        ] {
            let counter = ConstCounter::new(count);
            counter.encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)?;
        }
        let help = "Samples dropped, by cause";
        let mut family =
            encoder.encode_descriptor("varve_samples_dropped", help, None, MetricType::Counter)?;
        for cause in DropCause::ALL {
            let counter = ConstCounter::new(ledger.dropped_by(cause));
            counter.encode(family.encode_family(&[("cause", cause.name())])?)?;
        }
        Ok(())
    }

    fn gauges(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let channels = &self.0.channels;
        let mut family =
            encoder.encode_descriptor("varve_channels", "Channels by state", None, MetricType::Gauge)?;
        for (state, count) in [
            ("connected", channels.connected),
            ("disconnected", channels.disconnected),
            ("never_connected", channels.never_connected),
            ("paused", channels.paused),
            ("silent", channels.silent),
            ("retired", channels.retired),
        ] {
            ConstGauge::new(signed(count)).encode(family.encode_family(&[("state", state)])?)?;
        }
        let help = "Bytes waiting in queues";
        let mut family = encoder.encode_descriptor("varve_queue_bytes", help, None, MetricType::Gauge)?;
        for (queue, bytes) in &self.0.queue_bytes {
            ConstGauge::new(signed(*bytes)).encode(family.encode_family(&[("queue", *queue)])?)?;
        }
        let help = "How far durability lags behind receipt";
        let lag = encoder.encode_descriptor("varve_durable_lag_seconds", help, None, MetricType::Gauge)?;
        ConstGauge::new(self.0.durable_lag_s).encode(lag)?;
        for (name, help, value) in [
            ("varve_disk_free_bytes", "Bytes free on the archive's file system", self.0.disk_free_bytes),
            (
                "varve_config_reload_success",
                "1 if the newest configuration was taken",
                self.0.config_reload_success.into(),
            ),
        ] {
            let gauge = ConstGauge::new(signed(value));
            gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
        }
        Ok(())
    }
}

impl Collector for EngineCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.counters(&mut encoder)?;
        self.gauges(&mut encoder)?;
        let help = "Time of one sync of the write-ahead log";
        let sync = encoder.encode_descriptor("varve_wal_sync_seconds", help, None, MetricType::Histogram)?;
        Durations(&self.0.wal_sync).encode(sync)
    }
}
