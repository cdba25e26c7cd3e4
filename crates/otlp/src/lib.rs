//! Tells the steps of traces to a collector of OpenTelemetry, in its protocol OTLP over gRPC. Whoever takes a step only puts it
//! into a queue with a bound; a task of its own sends what has gathered. When the queue is full, or nobody takes what is sent,
//! steps are dropped and counted: a collector that is gone disturbs nobody.
//!
//! | module | what it holds |
//! |---|---|
//! | `exporter` | the queue, and the task behind it |
//! | `message` | from steps to the messages of the protocol |
//! | `numbers` | numbers for traces and steps |
//! | [`proto`] | the protocol, generated from its makers' own contract |
//!
//! Why this is not OpenTelemetry's own library: docs/adr/0022-an-exporter-of-our-own.md.

mod exporter;
mod message;
mod numbers;
#[allow(
    missing_docs,
    unreachable_pub,
    rustdoc::all,
    clippy::all,
    clippy::too_many_lines,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]
pub mod proto;

pub use exporter::{Exporter, ExporterTask, SPANS_QUEUE_LEN_MAX, Source};
