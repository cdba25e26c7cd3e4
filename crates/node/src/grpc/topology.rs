//! Who is in the cluster and who owns which partition, told to clients as it changes; and the sessions that they open.
//!
//! A node that is cut off from its council tells nobody for long: what it knows may be old, and a client that went on
//! listening would never hear who took over.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use isogrid_core::{SessionId, TableVersion};
use isogrid_proto::pb;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::control::Control;
use crate::control::view::View;
use crate::engine::Engine;
use crate::node::Shared;

/// The stream of a client's topology.
pub(super) type Updates = Pin<Box<dyn Stream<Item = Result<pb::TopologyUpdate, Status>> + Send>>;

/// A stream says something at least this often: its client takes a silent node for a dead one, and its sessions live on.
const SILENCE_MAX: Duration = Duration::from_millis(500);

/// What a client's stream needs to go on.
struct Follow {
    engine: Arc<Engine>,
    control: Arc<Control>,
    core: usize,
    views: watch::Receiver<Arc<View>>,
    stopping: CancellationToken,
    sessions: Vec<SessionId>,
    told_ended: Vec<SessionId>,
    table: TableVersion,
    nodes: u64,
    is_first: bool,
}

/// Tells a client all that it lacks, and then what changes.
pub(super) fn follow(
    shared: &Shared,
    core: usize,
    request: &pb::TopologyRequest,
    stopping: CancellationToken,
) -> Updates {
    let follow = Follow {
        engine: Arc::clone(&shared.engine),
        control: Arc::clone(&shared.control),
        core,
        views: shared.views.clone(),
        stopping,
        sessions: request.sessions.iter().copied().map(SessionId).collect(),
        told_ended: Vec::new(),
        table: TableVersion(request.since_table),
        nodes: request.since_members,
        is_first: true,
    };
    Box::pin(futures::stream::unfold(follow, |mut follow| async move {
        let update = follow.next().await?;
        Some((Ok(update), follow))
    }))
}

impl Follow {
    /// The next change; `None` when the node stops, or is cut off and has told what it knows.
    async fn next(&mut self) -> Option<pb::TopologyUpdate> {
        let mut is_due = false;
        let mut silence = std::pin::pin!(tokio::time::sleep(SILENCE_MAX));
        loop {
            if !self.is_first && self.control.is_cut_off() {
                return None;
            }
            for session in &self.sessions {
                self.engine.keep_alive(self.core, *session);
            }
            let view = Arc::clone(&self.views.borrow_and_update());
            if let Some(update) = self.update(&view, is_due) {
                return Some(update);
            }
            tokio::select! {
                changed = self.views.changed() => changed.ok()?,
                () = &mut silence => is_due = true,
                () = self.stopping.cancelled() => return None,
            }
        }
    }

    /// What the client lacks; an empty update when one is due all the same.
    fn update(&mut self, view: &View, is_due: bool) -> Option<pb::TopologyUpdate> {
        let cluster = view.cluster.as_ref()?;
        let mut update = pb::TopologyUpdate {
            cluster_id: id(cluster.id),
            partitions: u32::from(view.table.partitions().get()),
            ..pb::TopologyUpdate::default()
        };
        let mut is_new = std::mem::take(&mut self.is_first) || is_due;
        if view.nodes_version > self.nodes {
            self.nodes = view.nodes_version;
            update.members_version = view.nodes_version;
            update.members = view.nodes.values().map(|node| member(&node.member)).collect();
            is_new = true;
        }
        if view.table.version() > self.table {
            let delta = view.table.delta_since(self.table);
            self.table = view.table.version();
            update.table = pack(&delta);
            is_new = true;
        }
        let has_ended = |session: &SessionId| {
            *session < view.watermark || view.ended.binary_search(session).is_ok()
        };
        let told = &self.told_ended;
        let ended: Vec<SessionId> = self
            .sessions
            .iter()
            .filter(|session| has_ended(session) && !told.contains(session))
            .copied()
            .collect();
        if !ended.is_empty() {
            update.ended_sessions = ended.iter().map(|session| session.0).collect();
            self.told_ended.extend(&ended);
            self.sessions.retain(|session| !ended.contains(session));
            is_new = true;
        }
        is_new.then_some(update)
    }
}

fn member(member: &isogrid_core::Member) -> pb::TopologyMember {
    pb::TopologyMember {
        node_id: member.id.to_string(),
        incarnation: member.incarnation.0,
        grpc_addr: member.grpc_addr.clone(),
        zone: member.zone.clone().unwrap_or_default(),
        state: member.state.to_string(),
    }
}

/// The id of a cluster as clients read it.
pub(super) fn id(cluster: isogrid_cluster::ClusterId) -> String {
    format!("{:032x}", cluster.0)
}

/// A delta as clients read it.
pub(super) fn pack(delta: &isogrid_core::TableDelta) -> Bytes {
    rmp_serde::to_vec_named(delta).expect("a delta can always be written").into()
}
