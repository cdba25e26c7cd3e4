//! The nodes over which a statement is spread, and the ways to them.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use isogrid_query::distributed::{ChannelResolver, WorkerChannel, grpc};
use isogrid_query::{PeerNode, Peers, QueryError, Url};
use parking_lot::Mutex;
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::transport::{Channel, Endpoint};

use super::door::CLUSTER_KEY;
use crate::grpc::peer_client::cluster_text;
use crate::node::Shared;

/// A node that does not answer is noticed within these.
const CONNECT_MAX: Duration = Duration::from_secs(1);
const ALIVE_INTERVAL: Duration = Duration::from_secs(1);
const ALIVE_MAX: Duration = Duration::from_secs(2);

const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;

/// The nodes of this cluster.
pub(super) struct GridPeers {
    shared: Arc<Shared>,
}

impl GridPeers {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        GridPeers { shared }
    }
}

impl fmt::Debug for GridPeers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GridPeers")
    }
}

impl Peers for GridPeers {
    fn nodes(&self) -> Vec<PeerNode> {
        let view = self.shared.views.borrow();
        let leading: BTreeSet<_> =
            view.table.iter().filter_map(|(_, entry)| entry.primary.as_ref()).collect();
        let node = |name| {
            let address = view.nodes.get(name)?.member.grpc_addr.clone();
            Some(PeerNode { name: name.to_string(), address })
        };
        leading.into_iter().filter_map(node).collect()
    }

    fn own(&self) -> String {
        self.shared.node_id.to_string()
    }

    fn channels(&self) -> Arc<dyn ChannelResolver + Send + Sync> {
        let cluster = cluster_text(self.shared.peers.cluster());
        Arc::new(Channels { cluster, open: Mutex::default() })
    }
}

/// Connections of one statement, each made when it is used.
struct Channels {
    cluster: String,
    open: Mutex<HashMap<Url, Channel>>,
}

impl Channels {
    fn channel(&self, url: &Url) -> Result<Channel, QueryError> {
        let mut open = self.open.lock();
        if let Some(channel) = open.get(url) {
            return Ok(channel.clone());
        }
        let endpoint = Endpoint::from_shared(url.to_string())
            .map_err(|error| QueryError::External(Box::new(error)))?;
        let channel = endpoint
            .connect_timeout(CONNECT_MAX)
            .tcp_nodelay(true)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .http2_keep_alive_interval(ALIVE_INTERVAL)
            .keep_alive_timeout(ALIVE_MAX)
            .connect_lazy();
        open.insert(url.clone(), channel.clone());
        Ok(channel)
    }
}

#[async_trait]
impl ChannelResolver for Channels {
    async fn get_worker_client_for_url(
        &self,
        url: &Url,
    ) -> Result<Box<dyn WorkerChannel>, QueryError> {
        let channel = self.channel(url)?;
        let cluster = self.cluster.clone();
        let introduced = Introduced { channel, cluster };
        Ok(grpc::create_worker_client(grpc::BoxCloneSyncChannel::new(introduced)))
    }
}

/// A connection over which every request says of which cluster it comes.
#[derive(Clone)]
struct Introduced {
    channel: Channel,
    cluster: String,
}

impl Service<http::Request<Body>> for Introduced {
    type Response = http::Response<Body>;
    type Error = tonic::transport::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.channel.poll_ready(context)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        if let Ok(cluster) = http::HeaderValue::from_str(&self.cluster) {
            request.headers_mut().insert(CLUSTER_KEY, cluster);
        }
        Box::pin(self.channel.call(request))
    }
}
