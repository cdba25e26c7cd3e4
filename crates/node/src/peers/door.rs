//! [`Door`]: the connection over which a node is asked. All who ask share it, and share one try to make it.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tonic::transport::Channel;

use super::limits::PeerLimits;
use crate::grpc::peer_client::{ConnectFailed, connect};

type Attempt = Shared<BoxFuture<'static, Result<Channel, ConnectFailed>>>;

/// The connection over which a node is asked.
#[derive(Default)]
pub(super) struct Door {
    /// The last try to connect, under way or done. Held only for looking at it.
    attempt: Mutex<Option<Attempt>>,
}

impl Door {
    /// The connection, made if there is none. It lives on this runtime.
    pub(super) async fn open(
        &self,
        runtime: &Handle,
        address: &Arc<str>,
        limits: &PeerLimits,
    ) -> Result<Channel, ConnectFailed> {
        let start = || {
            let (address, limits) = (Arc::clone(address), limits.clone());
            let connecting = runtime.spawn(async move { connect(&address, &limits).await });
            let joined = connecting.map(|joined| {
                let stopped = |_| ConnectFailed { is_refused: false, why: "stopping".to_owned() };
                joined.map_err(stopped).flatten()
            });
            joined.boxed().shared()
        };
        let attempt = self.attempt.lock().get_or_insert_with(start).clone();
        let connected = attempt.clone().await;
        if connected.is_err() {
            let mut current = self.attempt.lock();
            if current.as_ref().is_some_and(|current| current.ptr_eq(&attempt)) {
                *current = None;
            }
        }
        connected
    }

    /// The connection broke: the next question makes another one.
    pub(super) fn close(&self) {
        *self.attempt.lock() = None;
    }
}
