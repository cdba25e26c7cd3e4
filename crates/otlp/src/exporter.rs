//! [`Exporter`]: takes steps without ever waiting, and [`ExporterTask`], which sends what has gathered.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use isogrid_core::trace::{Span, SpanCounts, SpanId, SpanSink, SpanValue, TraceId};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use tonic::Status;
use tonic::transport::{Channel, Endpoint};
use tracing::{info, warn};

use crate::message::{attribute, request};
use crate::numbers::Numbers;
use crate::proto::collector::trace::v1::trace_service_client::TraceServiceClient;
use crate::proto::resource::v1::Resource;

/// How many steps may wait to be sent; one that finds no room is dropped.
pub const SPANS_QUEUE_LEN_MAX: usize = 8_192;

/// How many steps one message has at the most, and for how long others are waited for.
const SPANS_PER_MESSAGE_MAX: usize = 512;
const GATHERING: Duration = Duration::from_millis(500);

/// How long a message may take, and how long nothing is sent once one was not taken.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_secs(2);

/// Whose steps they are, as the collector is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// The service: what traces are looked up by.
    pub service: String,
    /// Which of the processes of the service.
    pub instance: Option<String>,
    /// The version of the program.
    pub version: String,
}

impl Source {
    fn resource(&self) -> Resource {
        let text = |key, text: &str| attribute(key, SpanValue::from(text));
        let mut attributes =
            vec![text("service.name", &self.service), text("service.version", &self.version)];
        attributes.extend(self.instance.iter().map(|name| text("service.instance.id", name)));
        Resource { attributes, ..Resource::default() }
    }
}

/// What is in the queue.
#[derive(Debug)]
enum Queued {
    Span(Box<Span>),
    /// Whoever waits until everything before it is gone.
    Flush(oneshot::Sender<()>),
}

#[derive(Debug, Default)]
struct Counters {
    exported: AtomicU64,
    dropped: AtomicU64,
}

/// Takes steps. The task ends once all of these are gone.
#[derive(Clone, Debug)]
pub struct Exporter {
    queue: mpsc::Sender<Queued>,
    numbers: Arc<Numbers>,
    counters: Arc<Counters>,
}

/// Sends what the exporter takes; to be run on whichever runtime.
#[derive(Debug)]
pub struct ExporterTask {
    queue: mpsc::Receiver<Queued>,
    endpoint: Endpoint,
    source: Source,
    counters: Arc<Counters>,
}

impl Exporter {
    /// An exporter to a collector, `http://HOST:PORT`, and its task; nothing if that is no address. Nobody connects before there is something to send.
    pub fn new(endpoint: &str, source: Source) -> Option<(Exporter, ExporterTask)> {
        let endpoint = Endpoint::from_shared(endpoint.to_owned()).ok()?;
        let (sender, receiver) = mpsc::channel(SPANS_QUEUE_LEN_MAX);
        let counters = Arc::<Counters>::default();
        let task = ExporterTask {
            queue: receiver,
            endpoint: endpoint.connect_timeout(SEND_TIMEOUT).timeout(SEND_TIMEOUT),
            source,
            counters: Arc::clone(&counters),
        };
        Some((Exporter { queue: sender, numbers: Arc::default(), counters }, task))
    }
}

impl SpanSink for Exporter {
    fn new_trace(&self) -> TraceId {
        self.numbers.trace()
    }

    fn new_span(&self) -> SpanId {
        self.numbers.span()
    }

    fn take(&self, span: Span) {
        if self.queue.try_send(Queued::Span(Box::new(span))).is_err() {
            self.counters.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn counts(&self) -> SpanCounts {
        SpanCounts {
            exported: self.counters.exported.load(Ordering::Relaxed),
            dropped: self.counters.dropped.load(Ordering::Relaxed),
        }
    }

    fn flush(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let queue = self.queue.clone();
        Box::pin(async move {
            let (done, gone) = oneshot::channel();
            if queue.send(Queued::Flush(done)).await.is_ok() {
                // An error means that the task has ended: then nothing is left.
                let _ = gone.await;
            }
        })
    }
}

/// What has gathered.
#[derive(Default)]
struct Gathered {
    spans: Vec<Span>,
    waiting: Vec<oneshot::Sender<()>>,
}

impl Gathered {
    fn add(&mut self, queued: Queued) {
        match queued {
            Queued::Span(span) => self.spans.push(*span),
            Queued::Flush(done) => self.waiting.push(done),
        }
    }

    /// Whether nothing more is waited for.
    fn is_due(&self) -> bool {
        self.spans.len() >= SPANS_PER_MESSAGE_MAX || !self.waiting.is_empty()
    }
}

impl ExporterTask {
    /// Sends until all exporters are gone.
    pub async fn run(mut self) {
        let channel = self.endpoint.connect_lazy();
        let mut is_taken = true;
        while let Some(gathered) = self.gather().await {
            let count = gathered.spans.len() as u64;
            let sent = match gathered.spans.is_empty() {
                true => Ok(0),
                false => self.send(channel.clone(), gathered.spans).await,
            };
            let rejected = *sent.as_ref().unwrap_or(&count);
            self.counters.dropped.fetch_add(rejected.min(count), Ordering::Relaxed);
            self.counters.exported.fetch_add(count.saturating_sub(rejected), Ordering::Relaxed);
            for done in gathered.waiting {
                // Whoever waited may be gone.
                let _ = done.send(());
            }
            match sent {
                Ok(_) if is_taken => {}
                Ok(_) => {
                    is_taken = true;
                    info!("the collector takes traces again");
                }
                Err(status) => {
                    if std::mem::take(&mut is_taken) {
                        let why = status.message();
                        warn!(endpoint = %self.endpoint.uri(), why, "the collector takes no traces; they are dropped and counted");
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Waits for a step and then a moment for others; nothing once nobody is left who could bring one.
    async fn gather(&mut self) -> Option<Gathered> {
        let mut gathered = Gathered::default();
        gathered.add(self.queue.recv().await?);
        let until = Instant::now() + GATHERING;
        while !gathered.is_due() {
            match timeout_at(until, self.queue.recv()).await {
                Ok(Some(queued)) => gathered.add(queued),
                Ok(None) | Err(_) => break,
            }
        }
        Some(gathered)
    }

    /// Sends steps; says how many the collector refused.
    async fn send(&self, channel: Channel, spans: Vec<Span>) -> Result<u64, Status> {
        let message = request(self.source.resource(), &self.source.version, spans);
        let reply = TraceServiceClient::new(channel).export(message).await?.into_inner();
        let refused = reply.partial_success.unwrap_or_default();
        if refused.rejected_spans > 0 {
            warn!(
                spans = refused.rejected_spans,
                why = refused.error_message,
                "the collector refused traces"
            );
        }
        Ok(u64::try_from(refused.rejected_spans).unwrap_or(0))
    }
}

#[cfg(test)]
#[path = "exporter_test.rs"]
mod tests;
