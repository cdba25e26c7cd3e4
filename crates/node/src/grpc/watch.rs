//! What changes in a map, told as it is committed.

use std::pin::Pin;

use futures::Stream;
use isogrid_core::{Error, ErrorCode, Result};
use isogrid_proto::pb;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::node::Shared;

/// The stream of a watcher.
pub(super) type Events = Pin<Box<dyn Stream<Item = Result<pb::WatchReply, Status>> + Send>>;

/// Tells a watcher what happens from now on, or from its token on.
pub(super) async fn follow(
    _shared: &Shared,
    _request: &pb::WatchRequest,
    _stopping: CancellationToken,
) -> Result<Events> {
    Err(Error::new(ErrorCode::NotReady, "watching"))
}
