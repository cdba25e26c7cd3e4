//! `[tracing]`: to whom the node tells the steps of distributed traces.

use serde::{Deserialize, Serialize};

/// To whom the node tells the steps of distributed traces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TracingConfig {
    /// Where a collector of OpenTelemetry takes traces (OTLP over gRPC). Without it none are told.
    pub endpoint: Option<String>,
    /// Of so many operations that come without a trace context one begins a trace. 0 for none: then only those of callers that are traced are told.
    pub sample_one_of: u64,
    /// The service that traces are looked up by.
    pub service: String,
}

impl Default for TracingConfig {
    fn default() -> Self {
        TracingConfig { endpoint: None, sample_one_of: 0, service: "isogrid".to_owned() }
    }
}
