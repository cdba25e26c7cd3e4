//! [`GridBuilder`]: how a client is set up.

use std::sync::Arc;
use std::time::Duration;

use isogrid_core::{ErrorCode, TraceParent};

use crate::error::{Error, Result};
use crate::grid::Grid;
use crate::link::Link;
use crate::retry::Retry;
use crate::session::Welcome;
#[cfg(feature = "otel")]
use crate::trace_export::TraceExport;
use crate::tracer::Tracer;
use crate::url;

/// How long a call may take that does not say otherwise.
pub(crate) const REQUEST_TIMEOUT_DEFAULT: Duration = Duration::from_secs(2);

/// How long connecting to one address may take, handshake included.
pub(crate) const CONNECT_TIMEOUT_DEFAULT: Duration = Duration::from_secs(2);

/// What a client was told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    pub(crate) seeds: Vec<String>,
    pub(crate) request_timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) retry: Retry,
    pub(crate) in_flight_ops_max: Option<usize>,
    pub(crate) connections_max: Option<usize>,
    pub(crate) client_name: String,
    pub(crate) zone: String,
    pub(crate) is_gateway: bool,
    pub(crate) tracer: Tracer,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seeds: Vec::new(),
            request_timeout: REQUEST_TIMEOUT_DEFAULT,
            connect_timeout: CONNECT_TIMEOUT_DEFAULT,
            retry: Retry::default(),
            in_flight_ops_max: None,
            connections_max: None,
            client_name: String::new(),
            zone: String::new(),
            is_gateway: false,
            tracer: Tracer::default(),
        }
    }
}

impl Settings {
    /// What the node said, within the bounds this client sets itself.
    pub(crate) fn bounded(&self, welcome: &Welcome) -> Welcome {
        let mut welcome = welcome.clone();
        if let Some(most) = self.in_flight_ops_max {
            let limit = &mut welcome.limits.in_flight_ops_max;
            *limit = most.clamp(1, *limit);
        }
        welcome
    }
}

/// Sets up a [`Grid`]; made by [`Grid::builder`].
#[derive(Clone, Debug, Default)]
#[must_use = "nothing happens before `build`"]
pub struct GridBuilder {
    settings: Settings,
    #[cfg(feature = "otel")]
    trace_export: Option<TraceExport>,
    /// The first thing that was wrong; told by `build`.
    fault: Option<Error>,
}

impl GridBuilder {
    /// A builder with the options of a URL: see [`Grid::connect`].
    pub(crate) fn from_url(url: &str) -> Result<Self> {
        Ok(Self { settings: url::parse(url)?, ..Self::default() })
    }

    /// Adds addresses to begin with, each `HOST:PORT` or `HOST` (port 7700). One that answers is enough: the others are
    /// learnt from it.
    pub fn seeds<S: AsRef<str>>(mut self, seeds: impl IntoIterator<Item = S>) -> Self {
        for seed in seeds {
            match url::endpoint(seed.as_ref()) {
                Ok(seed) => self.settings.seeds.push(seed),
                Err(error) => self.fault = self.fault.or(Some(error)),
            }
        }
        self
    }

    /// How long a call may take, retries included; 2 seconds unless set, and each call can say otherwise.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.settings.request_timeout = timeout;
        self
    }

    /// How long connecting to one address may take, handshake included; 2 seconds unless set.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings.connect_timeout = timeout;
        self
    }

    /// How failed operations are tried again.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.settings.retry = retry;
        self
    }

    /// The most operations that wait for a reply on one connection; further callers wait for room, in order. Never more
    /// than the node allows, which is also the default.
    pub fn in_flight_ops_max(mut self, operations: usize) -> Self {
        self.settings.in_flight_ops_max = Some(operations.max(1));
        self
    }

    /// The most connections to one node; one per core of the node unless set.
    pub fn connections_max(mut self, connections: usize) -> Self {
        self.settings.connections_max = Some(connections.max(1));
        self
    }

    /// What this client is called in the node's lists and logs.
    pub fn client_name(mut self, name: impl Into<String>) -> Self {
        self.settings.client_name = name.into();
        self
    }

    /// Where this client runs: what it reads from backups it reads from one in its own zone, if there is one.
    pub fn zone(mut self, zone: impl Into<String>) -> Self {
        self.settings.zone = zone.into();
        self
    }

    /// Uses only the given addresses, and lets the nodes there forward what is not theirs. For clients that cannot reach
    /// the nodes themselves: behind a load balancer, a port forwarding, a proxy. Costs a hop for most operations.
    pub fn gateway(mut self, gateway: bool) -> Self {
        self.settings.is_gateway = gateway;
        self
    }

    /// Makes operations parts of the trace that their caller is in: `parent` is asked for it when an operation begins, within the
    /// operation's own span of `tracing` if there is one. The nodes' steps are then parts of that trace, wherever it is recorded.
    ///
    /// With `tracing-opentelemetry`, whatever its version:
    ///
    /// ```text
    /// let grid = Grid::builder().seeds(seeds).trace_parent(|| {
    ///     let context = tracing::Span::current().context();
    ///     let context = context.span().span_context().clone();
    ///     let here = TraceContext::new(context.trace_id().to_bytes(), context.span_id().to_bytes());
    ///     match here {
    ///         Some(here) if context.is_sampled() => TraceParent::Sampled(here),
    ///         Some(_) => TraceParent::NotSampled,
    ///         None => TraceParent::None,
    ///     }
    /// });
    /// ```
    pub fn trace_parent(
        mut self,
        parent: impl Fn() -> TraceParent + Send + Sync + 'static,
    ) -> Self {
        self.settings.tracer.parent = Some(Arc::new(parent));
        self
    }

    /// Tells the client's own steps of traces to a collector of OpenTelemetry. Nothing waits for it: what it does not take is dropped.
    #[cfg(feature = "otel")]
    pub fn export_traces(mut self, export: TraceExport) -> Self {
        self.trace_export = Some(export);
        self
    }

    /// Connects. The connections are driven by tasks on the runtime that calls this, until the last handle is dropped or
    /// [`Grid::close`] is called.
    ///
    /// For top speed call it on a `current_thread` runtime and give each thread a `Grid` of its own: operations then
    /// gather into large frames by themselves, and no lock is ever contended.
    ///
    /// # Errors
    ///
    /// `EndpointInvalid` for a seed that cannot be read, `CannotConnect` if no seed answers. Dropping the future closes
    /// what was opened.
    #[cfg_attr(not(feature = "otel"), allow(unused_mut, reason = "traces are told nowhere"))]
    pub async fn build(mut self) -> Result<Grid> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        if self.settings.seeds.is_empty() {
            let detail = "no endpoint was given; try 127.0.0.1:7700";
            return Err(Error::new(ErrorCode::EndpointInvalid, detail));
        }
        #[cfg(feature = "otel")]
        if let Some(export) = &self.trace_export {
            let task = export.apply(&mut self.settings.tracer)?;
            // It ends with the last handle of the client, once it has sent what was left.
            tokio::spawn(task.run());
        }
        Ok(Grid::new(Link::connect(self.settings).await?))
    }
}
