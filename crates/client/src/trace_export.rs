//! [`TraceExport`]: where the client tells its own steps of traces.

use std::sync::Arc;

use isogrid_core::ErrorCode;
use isogrid_otlp::{Exporter, ExporterTask, Source};

use crate::error::{Error, Result};
use crate::tracer::Tracer;

/// Where the client tells its own steps of traces: a collector that speaks OTLP over gRPC. An application that has OpenTelemetry itself
/// needs none of this, only [`GridBuilder::trace_parent`](crate::GridBuilder::trace_parent).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceExport {
    endpoint: String,
    service: String,
    sample_one_of: u64,
}

impl TraceExport {
    /// To the collector at this address, such as `http://127.0.0.1:4317`.
    pub fn to(endpoint: impl Into<String>) -> Self {
        Self { endpoint: endpoint.into(), service: "isogrid-client".to_owned(), sample_one_of: 0 }
    }

    /// The service that traces are looked up by; `isogrid-client` unless set.
    pub fn service(mut self, name: impl Into<String>) -> Self {
        self.service = name.into();
        self
    }

    /// Of so many operations whose caller is in no trace one begins a trace; none unless set.
    pub fn sample_one_of(mut self, operations: u64) -> Self {
        self.sample_one_of = operations;
        self
    }

    /// Puts it into effect. The task is for whoever connects.
    pub(crate) fn apply(&self, tracer: &mut Tracer) -> Result<ExporterTask> {
        let source = Source {
            service: self.service.clone(),
            instance: None,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let made = Exporter::new(&self.endpoint, source);
        let (exporter, task) = made.ok_or_else(|| {
            let detail = format!(
                "{:?} is no address of a collector, such as http://127.0.0.1:4317",
                self.endpoint
            );
            Error::new(ErrorCode::EndpointInvalid, detail)
        })?;
        tracer.sink = Some(Arc::new(exporter));
        tracer.sample_one_of = self.sample_one_of;
        Ok(task)
    }
}
