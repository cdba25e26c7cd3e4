//! [`Operator`]: a connection to one node's admin service. It opens no sessions and follows no topology: an operator must
//! be able to ask a node about which something is wrong.

use std::time::Duration;

use isogrid_core::ErrorCode;
use isogrid_proto::pb;
use isogrid_proto::pb::admin_client::AdminClient;
use tonic::transport::Channel;

use super::cluster::{Intent, KeyPlace, PartitionList, Plan, StopVerdict};
use super::history::History;
use super::insight::{BigKeys, HotKeys, SlowLog};
use super::maps::{MapChange, MapExpect, MapInfo, MapList, PutMapOutcome};
use super::status::ClusterStatus;
use crate::error::{Error, Result};
use crate::session::{call_error, endpoint};

/// How long a node may take to answer. It may have to ask all others, and some of them may not answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// How long nodes may walk over their records.
const WALK_TIMEOUT: Duration = Duration::from_secs(30);

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The largest reply: all partitions of the largest table.
const REPLY_BYTES_MAX: usize = 64 << 20;

/// A connection to the admin service of one node. Cheap to clone.
///
/// ```
/// # use isogrid_client::testing::Cluster;
/// use isogrid_client::Operator;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> isogrid_client::Result<()> {
/// # let cluster = Cluster::start(1).await?;
/// # let address = cluster.endpoints().remove(0);
/// let operator = Operator::connect(&address).await?;
/// let status = operator.status(true).await?;
/// assert_eq!(status.health, "healthy");
/// let place = operator.trace(None, b"u1").await?;
/// assert_eq!(place.partition.primary, status.members[0].node_id);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Operator {
    address: String,
    admin: AdminClient<Channel>,
}

impl Operator {
    /// Connects to a node.
    ///
    /// # Errors
    ///
    /// `EndpointInvalid` for an address that cannot be read, `CannotConnect` if nobody answers there.
    pub async fn connect(address: &str) -> Result<Operator> {
        let cannot =
            |why: String| Error::new(ErrorCode::CannotConnect, format!("{address}: {why}"));
        let connecting = endpoint(address, CONNECT_TIMEOUT)?;
        let channel = tokio::time::timeout(CONNECT_TIMEOUT, connecting.connect()).await;
        let channel = channel
            .map_err(|_| cannot(format!("no answer within {} ms", CONNECT_TIMEOUT.as_millis())))?
            .map_err(|error| cannot(root_cause(&error)))?;
        let admin = AdminClient::new(channel).max_decoding_message_size(REPLY_BYTES_MAX);
        Ok(Operator { address: address.to_owned(), admin })
    }

    /// Where it is connected to.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The state of the cluster; with `all`, with the figures of every member that answers. Changes nothing.
    pub async fn status(&self, all: bool) -> Result<ClusterStatus> {
        let call = async |mut admin: Admin, request| admin.status(request).await;
        Ok(self.call(pb::StatusRequest { all }, call).await?.into())
    }

    /// Who holds these partitions; with none given, all. Changes nothing.
    pub async fn partitions(&self, partitions: &[u32]) -> Result<PartitionList> {
        let request = pb::PartitionsRequest { partitions: partitions.to_vec(), sizes: false };
        let call = async |mut admin: Admin, request| admin.partitions(request).await;
        Ok(self.call(request, call).await?.into())
    }

    /// Who holds which partition, how large each is, and how often it is asked. Changes nothing.
    pub async fn partition_sizes(&self) -> Result<PartitionList> {
        let request = pb::PartitionsRequest { partitions: Vec::new(), sizes: true };
        let call = async |mut admin: Admin, request| admin.partitions(request).await;
        Ok(self.call(request, call).await?.into())
    }

    /// Where a key lives, as the node knows it. Changes nothing, and does not touch the key.
    pub async fn trace(&self, map: Option<&str>, key: &[u8]) -> Result<KeyPlace> {
        let map = map.unwrap_or_default().to_owned();
        let request = pb::TraceRequest { map, key: key.to_vec().into() };
        let call = async |mut admin: Admin, request| admin.trace(request).await;
        Ok(self.call(request, call).await?.into())
    }

    /// What the cluster would still move, as if these nodes were to leave. Changes nothing.
    pub async fn plan(&self, without: &[String]) -> Result<Plan> {
        let request = pb::PlanRequest { without: without.to_vec() };
        let call = async |mut admin: Admin, request| admin.plan(request).await;
        Ok(self.call(request, call).await?.into())
    }

    /// Says what is wanted of some nodes; returns those of which something else was wanted before.
    pub async fn set_intent(&self, nodes: &[String], intent: Intent) -> Result<Vec<String>> {
        self.want(pb::SetIntentRequest { nodes: nodes.to_vec(), ..intent_request(intent) }).await
    }

    /// Says what is wanted of all members; returns those of which something else was wanted before.
    pub async fn set_intent_of_all(&self, intent: Intent) -> Result<Vec<String>> {
        self.want(pb::SetIntentRequest { all: true, ..intent_request(intent) }).await
    }

    async fn want(&self, request: pb::SetIntentRequest) -> Result<Vec<String>> {
        let call = async |mut admin: Admin, request| admin.set_intent(request).await;
        Ok(self.call(request, call).await?.changed)
    }

    /// Whether a node can be stopped now without anybody missing it. Changes nothing.
    pub async fn can_stop(&self, node: &str) -> Result<StopVerdict> {
        let request = pb::CanStopRequest { node: node.to_owned() };
        let call = async |mut admin: Admin, request| admin.can_stop(request).await;
        Ok(self.call(request, call).await?.into())
    }

    /// Forgets a node that is down and holds nothing.
    pub async fn remove_node(&self, node: &str) -> Result<()> {
        let request = pb::RemoveNodeRequest { node: node.to_owned() };
        let call = async |mut admin: Admin, request| admin.remove_node(request).await;
        self.call(request, call).await.map(|_| ())
    }

    /// All maps with the sizes of the whole cluster. Changes nothing.
    pub async fn maps(&self) -> Result<MapList> {
        self.list(String::new()).await
    }

    /// One map, or `None` if there is none of this name. Changes nothing.
    pub async fn map(&self, name: &str) -> Result<Option<MapInfo>> {
        let listed = self.list(name.to_owned()).await?;
        Ok(listed.maps.into_iter().find(|map| map.name == name))
    }

    async fn list(&self, map: String) -> Result<MapList> {
        let call = async |mut admin: Admin, request| admin.list_maps(request).await;
        Ok(self.call(pb::ListMapsRequest { map, all: true }, call).await?.into())
    }

    /// Creates a map or changes it. With `dry_run` it is only checked.
    pub async fn put_map(
        &self,
        name: &str,
        change: MapChange,
        expect: MapExpect,
        dry_run: bool,
    ) -> Result<PutMapOutcome> {
        let request = pb::PutMapRequest {
            name: name.to_owned(),
            change: Some(change.into()),
            expect: expect.as_str().to_owned(),
            dry_run,
        };
        let call = async |mut admin: Admin, request| admin.put_map(request).await;
        Ok(self.call(request, call).await?.into())
    }

    /// Drops a map with all its entries; says whether there was one.
    pub async fn drop_map(&self, name: &str) -> Result<bool> {
        let request = pb::DropMapRequest { name: name.to_owned() };
        let call = async |mut admin: Admin, request| admin.drop_map(request).await;
        Ok(self.call(request, call).await?.existed)
    }

    /// The configuration of the node, as TOML. Changes nothing.
    pub async fn node_config(&self) -> Result<String> {
        let call = async |mut admin: Admin, request| admin.node_config(request).await;
        Ok(self.call(pb::NodeConfigRequest {}, call).await?.toml)
    }

    /// The slow operations of all nodes. Changes nothing.
    pub async fn slow_log(&self) -> Result<SlowLog> {
        let call = async |mut admin: Admin, request| admin.slow_log(request).await;
        Ok(self.call(pb::SlowLogRequest {}, call).await?.into())
    }

    /// The keys that are asked for most, so many of this map or of each. Changes nothing.
    pub async fn hot_keys(&self, map: Option<&str>, keys_max: u32) -> Result<HotKeys> {
        let request = pb::HotKeysRequest { map: map.unwrap_or_default().to_owned(), keys_max };
        let call = async |mut admin: Admin, request| admin.hot_keys(request).await;
        Ok(self.call(request, call).await?.into())
    }

    /// The largest records of a map; every node looks at so many at the most. Changes nothing.
    pub async fn big_keys(&self, map: &str, keys_max: u32, entries_max: u64) -> Result<BigKeys> {
        let request = pb::BigKeysRequest { map: map.to_owned(), keys_max, entries_max };
        let call = async |mut admin: Admin, request| admin.big_keys(request).await;
        Ok(self.call_within(WALK_TIMEOUT, request, call).await?.into())
    }

    /// The key figures of all nodes, as far back as this. Changes nothing.
    pub async fn history(&self, back: Duration) -> Result<History> {
        let call = async |mut admin: Admin, request| admin.history(request).await;
        Ok(self.call(pb::HistoryRequest { seconds: back.as_secs().max(1) }, call).await?.into())
    }

    /// Makes one call, with its deadline in its metadata and on this side.
    pub(super) async fn call<Q, A>(
        &self,
        request: Q,
        call: impl AsyncFnOnce(
            Admin,
            tonic::Request<Q>,
        ) -> std::result::Result<tonic::Response<A>, tonic::Status>,
    ) -> Result<A> {
        self.call_within(ANSWER_TIMEOUT, request, call).await
    }

    async fn call_within<Q, A>(
        &self,
        timeout: Duration,
        request: Q,
        call: impl AsyncFnOnce(
            Admin,
            tonic::Request<Q>,
        ) -> std::result::Result<tonic::Response<A>, tonic::Status>,
    ) -> Result<A> {
        let mut request = tonic::Request::new(request);
        request.set_timeout(timeout);
        let answer = tokio::time::timeout(timeout, call(self.admin.clone(), request)).await;
        match answer {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) => Err(self.error(&status)),
            Err(_) => Err(self.error(&tonic::Status::deadline_exceeded("no answer in time"))),
        }
    }

    /// Opens a stream: only its beginning has a time.
    pub(super) async fn open<A>(
        &self,
        call: impl AsyncFnOnce(Admin) -> std::result::Result<tonic::Response<A>, tonic::Status>,
    ) -> Result<A> {
        match tokio::time::timeout(ANSWER_TIMEOUT, call(self.admin.clone())).await {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) => Err(self.error(&status)),
            Err(_) => Err(self.error(&tonic::Status::deadline_exceeded("no answer in time"))),
        }
    }

    fn error(&self, status: &tonic::Status) -> Error {
        match (status.code(), call_error(&self.address, status)) {
            // A node that does not know the call is no dead one.
            (tonic::Code::Unimplemented, _) => {
                let detail = format!("{}: {}", self.address, status.message());
                Error::new(ErrorCode::ProtocolUnknown, detail)
            }
            (_, error) => error.into(),
        }
    }
}

/// The generated client.
pub(super) type Admin = AdminClient<Channel>;

fn intent_request(intent: Intent) -> pb::SetIntentRequest {
    pb::SetIntentRequest { intent: intent.as_str().to_owned(), ..pb::SetIntentRequest::default() }
}

/// What a transport error says, down to its cause: "connection refused", not "transport error".
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
