//! One link: from one core to one other node, connected again and again until the node is gone or elsewhere.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};
use tonic::transport::Channel;
use tracing::{debug, info};

use super::{Peer, Peers};
use crate::grpc::peer_client::{Greeting, LinkEnded, connect, link};

/// A link that held so long was a good one: the next try is made at once.
const GOOD_LINK: Duration = Duration::from_secs(1);

/// Keeps the link of a core to a node, until the node is gone or elsewhere.
pub(super) async fn keep(peers: Arc<Peers>, core: usize, peer: Arc<Peer>) {
    let keeping = async {
        let mut pause = Pause::new(&peers);
        let mut cluster = peers.cluster.subscribe();
        loop {
            if cluster.wait_for(Option::is_some).await.is_err() {
                return;
            }
            match attempt(&peers, core, &peer).await {
                Attempt::WasGood => pause.forget(),
                Attempt::Failed => pause.wait().await,
                Attempt::Unwanted => pause.wait_longest().await,
            }
        }
    };
    tokio::select! {
        () = keeping => {}
        () = peer.closed.cancelled() => {}
    }
    peer.lanes[core].unlink();
}

/// How a try ended.
enum Attempt {
    WasGood,
    Failed,
    Unwanted,
}

async fn attempt(peers: &Peers, core: usize, peer: &Peer) -> Attempt {
    let channel = match connect(&peer.address, &peers.limits).await {
        Ok(channel) => channel,
        Err(failed) => {
            if peer.pulse.refuses(failed.is_refused) {
                info!(node = %peer.id, address = %peer.address, "a node refuses connections");
                peers.tell();
            }
            debug!(node = %peer.id, core, why = %failed.why, "no link");
            return Attempt::Failed;
        }
    };
    peer.pulse.refuses(false);
    let since = Instant::now();
    let ended = speak(peers, core, peer, channel).await;
    peer.lanes[core].unlink();
    let is_good = since.elapsed() >= GOOD_LINK;
    match ended {
        LinkEnded::TurnedAway(why) => {
            peer.pulse.beat();
            debug!(node = %peer.id, core, %why, "a link was not wanted");
            return Attempt::Unwanted;
        }
        LinkEnded::Closed => debug!(node = %peer.id, core, "a link was closed"),
        LinkEnded::Broken(why) => debug!(node = %peer.id, core, %why, "a link broke"),
    }
    peer.pulse.link_broke();
    peers.tell();
    if is_good { Attempt::WasGood } else { Attempt::Failed }
}

/// Sends what the lane has until the link ends.
async fn speak(peers: &Peers, core: usize, peer: &Peer, channel: Channel) -> LinkEnded {
    let greeting =
        Greeting { cluster: peers.cluster(), own: peers.own.clone(), to: peer.incarnation };
    let lane = &peer.lanes[core];
    let mut call = std::pin::pin!(link(channel, greeting, lane.link()));
    let mut pings = tokio::time::interval(peers.limits.ping_interval);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            ended = &mut call => return ended,
            _ = pings.tick(), if core == 0 && !peers.is_cut_off() => lane.ping(),
        }
    }
}

/// The pause between two tries: it doubles, and is never the same for two nodes.
struct Pause {
    min: Duration,
    max: Duration,
    next: Duration,
    random: RandomState,
    tries: u64,
}

impl Pause {
    fn new(peers: &Peers) -> Self {
        let (min, max) = (peers.limits.pause_min, peers.limits.pause_max);
        Self { min, max, next: min, random: RandomState::new(), tries: 0 }
    }

    fn forget(&mut self) {
        self.next = self.min;
    }

    async fn wait(&mut self) {
        let pause = self.next;
        self.next = (pause * 2).min(self.max);
        tokio::time::sleep(self.jittered(pause)).await;
    }

    async fn wait_longest(&mut self) {
        let pause = self.jittered(self.max);
        tokio::time::sleep(pause).await;
    }

    /// Between a half and the whole.
    fn jittered(&mut self, pause: Duration) -> Duration {
        self.tries += 1;
        let mut hasher = self.random.build_hasher();
        hasher.write_u64(self.tries);
        let parts = (hasher.finish() % 512) as u32;
        pause / 2 + pause * parts / 1_024
    }
}
