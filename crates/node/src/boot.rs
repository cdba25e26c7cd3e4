//! What a node does before it serves: gossip, the council's voter, and control begin on the runtime of the first core.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use isogrid_cluster::steward::StewardSettings;
use isogrid_core::{Error, ErrorCode, Member, Result};
use isogrid_replica::Proposal;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::advertise::{self, reachable};
use crate::config::Config;
use crate::control::faces::Faces;
use crate::control::{Control, ControlSettings, Pace};
use crate::engine::Engine;
use crate::gossip::{Gossip, GossipKey, GossipSettings, OwnNews};
use crate::handler::Questions;
use crate::identity::{DataOnDisk, Identity};
use crate::peers::Peers;
use isogrid_council::{CouncilService, CouncilSettings};

/// What there is before.
pub(crate) struct Plan {
    pub(crate) identity: Arc<Identity>,
    pub(crate) data_on_disk: DataOnDisk,
    pub(crate) engine: Arc<Engine>,
    pub(crate) peers: Arc<Peers>,
    pub(crate) proposals: mpsc::Receiver<Proposal>,
    pub(crate) grpc_addr: SocketAddr,
    pub(crate) http_addr: SocketAddr,
    pub(crate) stopping: CancellationToken,
}

/// What there is then.
pub(crate) struct Booted {
    pub(crate) control: Arc<Control>,
    pub(crate) council: Arc<CouncilService>,
    pub(crate) gossip: Arc<Gossip>,
    pub(crate) gossip_addr: SocketAddr,
}

/// Starts gossip, voter and control on a runtime, and gives the runtime back. A thread of its own does it: whoever starts
/// a node may be on a runtime too, and must not wait there.
pub(crate) fn run(runtime: Runtime, config: Config, plan: Plan) -> Result<(Booted, Runtime)> {
    let booting = std::thread::spawn(move || {
        let booted = runtime.block_on(boot(&config, plan))?;
        Ok((booted, runtime))
    });
    let defect = |_| Err(Error::new(ErrorCode::Internal, "the start of the node panicked"));
    booting.join().unwrap_or_else(defect)
}

async fn boot(config: &Config, plan: Plan) -> Result<Booted> {
    let identity = &plan.identity;
    let mut member = Member::new(identity.node_id.as_str());
    member.incarnation = identity.incarnation;
    member.grpc_addr = reachable(config.node.advertise.as_deref(), plan.grpc_addr);
    member.http_addr = reachable(config.node.advertise.as_deref(), plan.http_addr);
    member.zone.clone_from(&config.node.zone);
    member.weight = config.node.role.weight();
    let gossip = Arc::new(start_gossip(config, identity, &member).await?);
    let gossip_addr = gossip.address();
    member.gossip_addr = gossip_addr.to_string();
    let council = CouncilService::start(
        CouncilSettings::new(identity.node_id.clone(), identity.folder()),
        Arc::new(Questions(Arc::clone(&plan.peers))),
    )
    .await?;
    let faces = Faces {
        gossip: Arc::clone(&gossip) as _,
        council: Arc::clone(&council) as _,
        peers: Arc::clone(&plan.peers) as _,
        engine: Arc::clone(&plan.engine) as _,
    };
    let settings = control_settings(config, (identity, plan.data_on_disk), member);
    let control = Control::start(settings, faces, plan.proposals, plan.stopping);
    Ok(Booted { control, council, gossip, gossip_addr })
}

fn control_settings(
    config: &Config,
    (identity, data_on_disk): (&Arc<Identity>, DataOnDisk),
    member: Member,
) -> ControlSettings {
    let cluster = &config.cluster;
    let has_seeds = cluster.has_seeds_but(&[&config.node.gossip_addr, &member.gossip_addr]);
    ControlSettings {
        identity: Arc::clone(identity),
        member,
        data_on_disk,
        expect: cluster.expect,
        has_seeds,
        partitions: config.node.partitions,
        backups: cluster.backups,
        loss_policy: cluster.loss_policy(data_on_disk != DataOnDisk::Nothing),
        drain_timeout: Duration::from_millis(cluster.drain_timeout_ms),
        at_end: config.node.at_end,
        maps: config.maps.clone(),
        steward: StewardSettings {
            back_off_ms_max: cluster.flapping_wait_max_ms,
            ..StewardSettings::default()
        },
        pace: Pace::default(),
    }
}

async fn start_gossip(config: &Config, identity: &Identity, member: &Member) -> Result<Gossip> {
    let listen = resolve(&config.node.gossip_addr, "node.gossip_addr")?;
    let cluster = &config.cluster;
    let (node, generation) = (identity.node_id.clone(), identity.incarnation.0);
    let mut settings = GossipSettings::new(node, generation, &identity.cluster_id, listen);
    let advertise = config.node.advertise.as_deref();
    settings.advertise = advertise::gossip(advertise, listen, &member.grpc_addr).await?;
    settings.seeds.clone_from(&cluster.seeds);
    settings.interval = Duration::from_millis(cluster.gossip_interval_ms);
    settings.initial_interval = settings.interval;
    if let Some(path) = &cluster.key_file {
        settings.key = Some(GossipKey::read(path)?);
    }
    Gossip::start(settings, OwnNews::new(member.clone())).await
}

fn resolve(address: &str, key: &str) -> Result<SocketAddr> {
    let invalid =
        |why: &str| Error::new(ErrorCode::AddressUnavailable, format!("{key} = {address}: {why}"));
    let mut addresses = address.to_socket_addrs().map_err(|e| invalid(&e.to_string()))?;
    addresses.next().ok_or_else(|| invalid("no such address"))
}
