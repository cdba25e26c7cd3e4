//! What the client promises, tried against real nodes in this process. One behaviour per file; one binary, so that it
//! links once.

mod blocking;
mod cancellation;
mod cluster;
mod codecs;
mod concurrency;
mod contention;
mod deadlines;
mod fake;
mod limits;
mod live;
mod operations;
mod pipeline;
mod predicates;
mod proxy;
mod readme;
mod reconnect;
mod retries;
mod scan;
mod spans;
mod traces;
