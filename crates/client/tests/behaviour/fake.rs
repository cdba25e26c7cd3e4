//! Nodes played by hand, for what real ones cannot be made to do on command: refuse with a newer table, lose a reply, end a
//! session. They share one table and one store of counters.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use isogrid_core::{
    Durability, Entry, Epoch, Error, ErrorCode, Hlc, Incarnation, LogPosition, NodeId, Op,
    PartitionCount, PartitionEntry, PartitionId, Receipt, Replica, Reply, Table, TableVersion,
    Version,
};
use isogrid_proto::frame::{FRAME_VERSION, OpOptions, ReadMode, ReplyWriter, RequestFrame};
use isogrid_proto::pb;
use isogrid_proto::pb::grid_server::{Grid, GridServer};
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status, Streaming};

const PARTITIONS: u16 = 8;

type Replies<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;
type Answer = Result<Response<pb::OperationReply>, Status>;

/// What all nodes share.
pub(crate) struct World {
    table: Table,
    addresses: Vec<String>,
    zones: Vec<&'static str>,
    down: BTreeSet<usize>,
    members_version: u64,
    values: BTreeMap<Vec<u8>, i64>,
    /// What was executed under which name, and the answer.
    executed: BTreeMap<(u64, PartitionId, u64), i64>,
    next_session: u64,
    ended: BTreeSet<u64>,
    /// How many frames are executed and never answered: their connection breaks.
    replies_to_lose: usize,
    /// For each node how many reads it answered.
    pub(crate) reads: Vec<usize>,
    pub(crate) gateway_frames: usize,
    watched: Vec<mpsc::Sender<Result<pb::WatchReply, Status>>>,
    /// What watchers asked for: how many partitions, and with which token.
    pub(crate) watches: Vec<(usize, Vec<u8>)>,
}

/// Some nodes on free ports.
#[derive(Clone)]
pub(crate) struct Fake {
    pub(crate) world: Arc<Mutex<World>>,
    changed: watch::Sender<u64>,
    killed: Arc<Vec<watch::Sender<bool>>>,
}

fn name(node: usize) -> NodeId {
    NodeId::new(format!("n{node}"))
}

/// Partition p belongs to node p modulo their number, with all others as backups.
fn table(nodes: usize) -> Table {
    let empty = Table::unassigned(PartitionCount::new(PARTITIONS).expect("a power of two"));
    let entries =
        (0..PARTITIONS).map(|p| (PartitionId(p), entry(usize::from(p) % nodes, nodes, 1)));
    empty.apply(&empty.change(entries.collect())).expect("a good first table")
}

fn entry(primary: usize, nodes: usize, epoch: u64) -> PartitionEntry {
    let replica = |node| Replica { node: name(node), incarnation: Incarnation(1) };
    PartitionEntry {
        epoch: Epoch(epoch),
        ver: epoch as u32,
        loss_generation: 0,
        primary: Some(name(primary)),
        in_sync: (0..nodes).map(replica).collect(),
        learners: Vec::new(),
    }
}

impl Fake {
    pub(crate) async fn start(zones: &[&'static str]) -> Fake {
        let nodes = zones.len();
        let mut listeners = Vec::new();
        for _ in 0..nodes {
            listeners.push(TcpListener::bind("127.0.0.1:0").await.expect("a free port"));
        }
        let address = |l: &TcpListener| l.local_addr().expect("an address").to_string();
        let world = World {
            table: table(nodes),
            addresses: listeners.iter().map(address).collect(),
            zones: zones.to_vec(),
            down: BTreeSet::new(),
            members_version: 1,
            values: BTreeMap::new(),
            executed: BTreeMap::new(),
            next_session: 1,
            ended: BTreeSet::new(),
            replies_to_lose: 0,
            reads: vec![0; nodes],
            gateway_frames: 0,
            watched: Vec::new(),
            watches: Vec::new(),
        };
        let killed = (0..nodes).map(|_| watch::Sender::new(false)).collect();
        let fake = Fake {
            world: Arc::new(Mutex::new(world)),
            changed: watch::Sender::new(0),
            killed: Arc::new(killed),
        };
        for (index, listener) in listeners.into_iter().enumerate() {
            fake.serve(index, listener);
        }
        fake
    }

    fn serve(&self, index: usize, listener: TcpListener) {
        let node = GridServer::new(Node { fake: self.clone(), index });
        let mut killed = self.killed[index].subscribe();
        let until = async move { drop(killed.wait_for(|killed| *killed).await) };
        let incoming = TcpListenerStream::new(listener);
        let server = tonic::transport::Server::builder().add_service(node);
        tokio::spawn(server.serve_with_incoming_shutdown(incoming, until));
    }

    /// A node that died is there again, and a partition belongs to it.
    pub(crate) async fn come_back(&self, node: usize, partition: u16) {
        self.killed[node].send_replace(false);
        let address = self.addresses().remove(node);
        self.serve(node, TcpListener::bind(address).await.expect("its old port"));
        {
            let mut world = self.world.lock();
            world.down.remove(&node);
            world.members_version += 1;
        }
        self.move_partition(partition, node, true);
    }

    pub(crate) fn addresses(&self) -> Vec<String> {
        self.world.lock().addresses.clone()
    }

    /// Moves a partition; only nodes know of it unless it is told.
    pub(crate) fn move_partition(&self, partition: u16, to: usize, tell: bool) {
        let mut world = self.world.lock();
        let nodes = world.addresses.len();
        let epoch = world.table.version().0 + 1;
        let change = world.table.change(vec![(PartitionId(partition), entry(to, nodes, epoch))]);
        world.table = world.table.apply(&change).expect("a good change");
        drop(world);
        if tell {
            self.changed.send_modify(|changes| *changes += 1);
        }
    }

    /// A node dies, and some time later its partitions belong to another one.
    pub(crate) async fn fail_over(&self, from: usize, to: usize) {
        self.killed[from].send_replace(true);
        tokio::time::sleep(Duration::from_millis(100)).await;
        let owned: Vec<u16> = {
            let mut world = self.world.lock();
            world.down.insert(from);
            world.members_version += 1;
            world.table.owned_by(&name(from)).map(|partition| partition.0).collect()
        };
        owned.into_iter().for_each(|partition| self.move_partition(partition, to, true));
    }

    pub(crate) fn lose_replies(&self, frames: usize) {
        self.world.lock().replies_to_lose = frames;
    }

    /// Ends all sessions; says so only when one is used.
    pub(crate) fn end_sessions(&self) {
        let mut world = self.world.lock();
        world.ended = (0..world.next_session).collect();
    }

    /// How many writes were executed.
    pub(crate) fn executed(&self) -> usize {
        self.world.lock().executed.len()
    }

    /// Tells all watchers of a put.
    pub(crate) async fn tell_put(&self, partition: u16, seq: u64, value: &str) {
        let watched = self.world.lock().watched.clone();
        let mut token = vec![0; 16];
        token[..2].copy_from_slice(&partition.to_le_bytes());
        token[8..].copy_from_slice(&seq.to_le_bytes());
        let entry = pb::Entry { value: value.to_owned().into(), version: seq, expires_at_ms: None };
        let put = pb::PutEvent { key: "k".into(), entry: Some(entry) };
        let event = Some(pb::watch_event::Event::Put(put));
        let event = pb::WatchEvent { partition: partition.into(), token: token.into(), event };
        for watcher in watched {
            let _ = watcher.send(Ok(pb::WatchReply { events: vec![event.clone()] })).await;
        }
    }

    /// Ends all watches, as a node that loses a partition does.
    pub(crate) fn end_watches(&self) {
        self.world.lock().watched.clear();
    }
}

struct Node {
    fake: Fake,
    index: usize,
}

impl World {
    fn update(&self, since: u64) -> pb::TopologyUpdate {
        let member = |(index, address): (usize, &String)| pb::TopologyMember {
            node_id: name(index).to_string(),
            incarnation: 1,
            grpc_addr: address.clone(),
            zone: self.zones[index].into(),
            state: if self.down.contains(&index) { "down" } else { "active" }.into(),
        };
        pb::TopologyUpdate {
            cluster_id: "fake".into(),
            members_version: self.members_version,
            members: self.addresses.iter().enumerate().map(member).collect(),
            table: self.delta(TableVersion(since)),
            ended_sessions: Vec::new(),
            partitions: PARTITIONS.into(),
        }
    }

    fn delta(&self, since: TableVersion) -> bytes::Bytes {
        let delta = self.table.delta_since(since);
        rmp_serde::to_vec_named(&delta).expect("plain data").into()
    }

    fn execute(
        &mut self,
        node: usize,
        op: &Op<'_>,
        options: &OpOptions,
        frame: (u64, bool),
    ) -> (Reply<'static>, Option<Receipt>) {
        let refuse = |code| (Reply::Failed(Error::new(code, "")), None);
        let partition = match op.target() {
            isogrid_core::Target::Key(key) => self.table.partitions().partition_of_key(key),
            isogrid_core::Target::Partition(partition) => partition,
        };
        let (session, is_gateway) = frame;
        let anywhere = matches!(options.mode, Some(ReadMode::Any | ReadMode::Backup { .. }));
        let is_owner = self.table.owner(partition) == Some(&name(node));
        if !is_owner && !is_gateway && !anywhere {
            return refuse(ErrorCode::NotOwner);
        }
        match *op {
            Op::Increment { key, delta, .. } => {
                if let Some(tag) = options.tag {
                    if self.ended.contains(&session) {
                        return refuse(ErrorCode::SessionEnded);
                    }
                    let id = (session, partition, tag.number);
                    if let Some(&value) = self.executed.get(&id) {
                        return (Reply::Integer { value, version: Version(1) }, None);
                    }
                }
                let value = self.values.entry(key.to_vec()).or_default();
                *value += delta;
                let value = *value;
                let number =
                    options.tag.map_or(u64::MAX - self.executed.len() as u64, |t| t.number);
                self.executed.insert((session, partition, number), value);
                let receipt = Receipt {
                    partition: PartitionId(0),
                    position: LogPosition::new(1, value.unsigned_abs()),
                    loss_generation: 0,
                    replicas: 3,
                    durability: Durability::Memory,
                    lag_ops: 0,
                };
                (Reply::Integer { value, version: Version(1) }, Some(receipt))
            }
            Op::Get { key } => {
                self.reads[node] += 1;
                match self.values.contains_key(key) {
                    // The number seven, in MessagePack.
                    true => {
                        let entry = Entry { value: &[7], version: Version(1), expires_at: None };
                        (Reply::Found(entry), None)
                    }
                    false => (Reply::Missing, None),
                }
            }
            _ => (Reply::Missing, None),
        }
    }

    fn frame(&mut self, node: usize, bytes: &[u8]) -> Option<pb::SessionReply> {
        let mut frame = RequestFrame::parse(bytes).expect("a good frame");
        let (mut replies, mut is_refused) = (ReplyWriter::new(), false);
        self.gateway_frames += usize::from(frame.head.is_gateway);
        let session = frame.head.session.map_or(0, |session| session.0);
        for index in 0..frame.ops {
            let (_, op, options) = frame.next_op().expect("a good operation");
            let asked = (session, frame.head.is_gateway);
            let (reply, receipt) = self.execute(node, &op, &options, asked);
            is_refused |= matches!(&reply, Reply::Failed(e) if e.code() == ErrorCode::NotOwner);
            match receipt {
                Some(receipt) => replies.put_with_receipt(index, &reply, &receipt),
                None => replies.put(index, &reply),
            };
        }
        if self.replies_to_lose > 0 {
            self.replies_to_lose -= 1;
            return None;
        }
        let table =
            if is_refused { self.delta(frame.head.table_version) } else { Default::default() };
        let frame = replies.finish(frame.head.frame_id, self.table.version(), Hlc(0));
        Some(pb::SessionReply { frame, table, ..pb::SessionReply::default() })
    }
}

#[tonic::async_trait]
impl Grid for Node {
    type SessionStream = Replies<pb::SessionReply>;
    type ScanStream = Replies<pb::Page>;
    type TopologyStream = Replies<pb::TopologyUpdate>;
    type WatchStream = Replies<pb::WatchReply>;
    type AggregateStream = Replies<pb::AggregateReply>;

    async fn session(
        &self,
        request: Request<Streaming<pb::SessionRequest>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let (fake, node) = (self.fake.clone(), self.index);
        let mut requests = request.into_inner();
        let (replies, outgoing) = mpsc::channel(16);
        let welcome = pb::Welcome {
            frame_version: u32::from(FRAME_VERSION),
            node_id: name(node).to_string(),
            cluster_id: "fake".into(),
            partitions: PARTITIONS.into(),
            cores: 1,
            frame_bytes_max: 1 << 20,
            batch_ops_max: 1_000,
            key_bytes_max: 1_000,
            value_bytes_max: 1_000,
            in_flight_ops_max: 1_000,
            ..pb::Welcome::default()
        };
        tokio::spawn(async move {
            let mut killed = fake.killed[node].subscribe();
            let first = pb::SessionReply { welcome: Some(welcome), ..Default::default() };
            let _ = replies.send(Ok(first)).await;
            loop {
                let request = tokio::select! {
                    Ok(Some(request)) = requests.message() => request,
                    _ = killed.wait_for(|killed| *killed) => return,
                    else => return,
                };
                if request.hello.is_none() {
                    let reply = fake.world.lock().frame(node, &request.frame);
                    let Some(reply) = reply else { return };
                    let _ = replies.send(Ok(reply)).await;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(outgoing))))
    }

    async fn open_session(
        &self,
        _: Request<pb::OpenSessionRequest>,
    ) -> Result<Response<pb::OpenSessionReply>, Status> {
        let mut world = self.fake.world.lock();
        world.next_session += 1;
        let first_session = world.next_session - 1;
        Ok(Response::new(pb::OpenSessionReply { first_session, count: 1, keep_alive_ms: 60_000 }))
    }

    async fn topology(
        &self,
        request: Request<pb::TopologyRequest>,
    ) -> Result<Response<Self::TopologyStream>, Status> {
        let (fake, node) = (self.fake.clone(), self.index);
        let (updates, outgoing) = mpsc::channel(16);
        let mut since = request.into_inner().since_table;
        tokio::spawn(async move {
            let mut killed = fake.killed[node].subscribe();
            let mut changed = fake.changed.subscribe();
            loop {
                let (update, version) = {
                    let world = fake.world.lock();
                    (world.update(since), world.table.version().0)
                };
                since = version;
                if updates.send(Ok(update)).await.is_err() {
                    return;
                }
                tokio::select! {
                    _ = changed.changed() => {}
                    _ = killed.wait_for(|killed| *killed) => return,
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(outgoing))))
    }

    async fn watch(
        &self,
        request: Request<pb::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let request = request.into_inner();
        let (events, outgoing) = mpsc::channel(16);
        let mut world = self.fake.world.lock();
        world.watched.push(events);
        world.watches.push((request.partitions.len(), request.resume_token.to_vec()));
        Ok(Response::new(Box::pin(ReceiverStream::new(outgoing))))
    }

    async fn batch(
        &self,
        _: Request<pb::BatchRequest>,
    ) -> Result<Response<pb::BatchReply>, Status> {
        Err(Status::unimplemented("batch"))
    }

    async fn scan(
        &self,
        _: Request<pb::ScanRequest>,
    ) -> Result<Response<Self::ScanStream>, Status> {
        Err(Status::unimplemented("scan"))
    }

    async fn get(&self, _: Request<pb::GetRequest>) -> Answer {
        unary()
    }

    async fn exists(&self, _: Request<pb::ExistsRequest>) -> Answer {
        unary()
    }

    async fn touch(&self, _: Request<pb::TouchRequest>) -> Answer {
        unary()
    }

    async fn put(&self, _: Request<pb::PutRequest>) -> Answer {
        unary()
    }

    async fn delete(&self, _: Request<pb::DeleteRequest>) -> Answer {
        unary()
    }

    async fn compare_and_set(&self, _: Request<pb::CompareAndSetRequest>) -> Answer {
        unary()
    }

    async fn expire(&self, _: Request<pb::ExpireRequest>) -> Answer {
        unary()
    }

    async fn increment(&self, _: Request<pb::IncrementRequest>) -> Answer {
        unary()
    }

    async fn increment_float(&self, _: Request<pb::IncrementFloatRequest>) -> Answer {
        unary()
    }

    async fn append(&self, _: Request<pb::AppendRequest>) -> Answer {
        unary()
    }

    async fn rename(&self, _: Request<pb::RenameRequest>) -> Answer {
        unary()
    }

    async fn len(&self, _: Request<pb::LenRequest>) -> Answer {
        unary()
    }

    async fn aggregate(
        &self,
        _: Request<pb::AggregateRequest>,
    ) -> Result<Response<Self::AggregateStream>, Status> {
        Err(Status::unimplemented("these nodes speak frames alone"))
    }

    async fn clear(&self, _: Request<pb::ClearRequest>) -> Answer {
        unary()
    }
}

fn unary() -> Answer {
    Err(Status::unimplemented("these nodes speak frames alone"))
}
