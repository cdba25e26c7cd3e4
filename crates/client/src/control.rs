//! What runs beside the lanes: the stream of the cluster's topology, which also keeps the write session alive. It comes from
//! any member; when it breaks, another member continues it, and every member ever seen is remembered.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use isogrid_core::{Error, ErrorCode, SessionId};
use isogrid_proto::pb;
use isogrid_proto::pb::grid_client::GridClient;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};

use crate::link::Link;
use crate::retry::Retry;
use crate::session::{call_error, endpoint};

/// A node says something every half a second. One that is silent for so long is given up: it may be cut off or paused, and
/// what was sent to it waits until another node says so.
const SILENCE_MAX: Duration = Duration::from_millis(1_200);

/// How long a node is waited for before the next one is asked as well.
const HEAD_START: Duration = Duration::from_millis(200);

/// How soon a session is asked for again when none could be opened.
const SESSION_RETRY: Duration = Duration::from_secs(1);

/// The largest update taken from a node: the whole table of the largest cluster, several times over.
const UPDATE_BYTES_MAX: usize = 64 << 20;

/// The pauses between rounds over all addresses.
const ROUND_BASE: Duration = Duration::from_millis(20);
const ROUND_MAX: Duration = Duration::from_secs(1);

/// What the first node offered.
#[derive(Debug)]
pub(crate) enum Begun {
    /// It tells of its cluster.
    Following(Box<Following>),
    /// It knows of no cluster: it is a node that stands alone and owns everything.
    Alone,
    /// It did not say, or not in time.
    Unknown,
}

impl Begun {
    pub(crate) fn unknown() -> Self {
        Begun::Unknown
    }

    /// Whether operations can be sent to the owners of their partitions. A node that did not say in time is taken for one
    /// of a cluster: what it does not own it refuses, with its table.
    pub(crate) fn is_routed(&self) -> bool {
        !matches!(self, Begun::Alone)
    }
}

/// An open stream.
#[derive(Debug)]
pub(crate) struct Following {
    channel: Channel,
    updates: Streaming<pb::TopologyUpdate>,
}

fn client(channel: Channel) -> GridClient<Channel> {
    GridClient::new(channel).max_decoding_message_size(UPDATE_BYTES_MAX)
}

/// Opens the stream at the first node, and takes in the first update.
pub(crate) async fn begin(link: &Arc<Link>, channel: Channel) -> Begun {
    match subscribe(link, channel).await {
        Ok(mut following) => match following.updates.message().await {
            Ok(Some(update)) if take_in(link, &update).is_ok() => {
                Begun::Following(Box::new(following))
            }
            Err(status) if status.code() == Code::Unimplemented => Begun::Alone,
            _ => Begun::Unknown,
        },
        Err(status) if status.code() == Code::Unimplemented => Begun::Alone,
        Err(status) => {
            tracing::debug!(%status, "the first node does not tell of its cluster yet");
            Begun::Unknown
        }
    }
}

/// Opens a session if there is none, and the stream.
async fn subscribe(link: &Link, channel: Channel) -> Result<Following, Status> {
    if link.numbers.session().is_none() {
        open_session(link, channel.clone()).await;
    }
    let request = {
        let nodes = link.nodes.lock();
        pb::TopologyRequest {
            since_table: nodes.topology.table_version().0,
            since_members: nodes.topology.peers_version(),
            sessions: link.numbers.session().map(|session| session.0).into_iter().collect(),
            cluster_id: nodes.topology.cluster.clone(),
        }
    };
    let updates = client(channel.clone()).topology(request).await?.into_inner();
    Ok(Following { channel, updates })
}

/// Asks for a write session. Without one, writes go out without names, and are sent again only where that is safe.
async fn open_session(link: &Link, channel: Channel) {
    let mut request = tonic::Request::new(pb::OpenSessionRequest {
        count: 1,
        client_name: link.settings.client_name.clone(),
    });
    request.set_timeout(link.settings.request_timeout);
    let mut client = client(channel);
    let reply = client.open_session(request);
    match tokio::time::timeout(link.settings.request_timeout, reply).await {
        Ok(Ok(reply)) => {
            let session = Some(reply.into_inner().first_session).filter(|session| *session != 0);
            link.numbers.set_session(session.map(SessionId));
        }
        Ok(Err(status)) => tracing::debug!(%status, "no write session yet"),
        Err(_) => tracing::debug!("no write session in time"),
    }
}

/// Takes in what a node says of its cluster; fails if it is another cluster.
fn take_in(link: &Arc<Link>, update: &pb::TopologyUpdate) -> Result<(), Error> {
    let changed = {
        let mut nodes = link.nodes.lock();
        let known = &nodes.topology.cluster;
        if !known.is_empty() && !update.cluster_id.is_empty() && *known != update.cluster_id {
            return Err(Error::new(ErrorCode::WrongCluster, update.cluster_id.clone()));
        }
        nodes.topology.update(update)
    };
    for ended in &update.ended_sessions {
        link.numbers.forget(SessionId(*ended));
    }
    link.changed(changed);
    Ok(())
}

/// Follows the topology until the client is closed.
pub(crate) async fn run(link: Arc<Link>, begun: Begun) {
    let mut next = match begun {
        Begun::Following(following) => Some(*following),
        Begun::Alone => return,
        Begun::Unknown => None,
    };
    loop {
        let following = match next.take() {
            Some(following) => following,
            None => tokio::select! {
                found = find(&link) => found,
                () = link.until_closed() => return,
            },
        };
        let channel = following.channel.clone();
        link.set_channel(channel.clone());
        let end = tokio::select! {
            end = follow(&link, following) => end,
            () = link.until_closed() => return,
        };
        match end {
            End::SessionWanted => next = subscribe(&link, channel).await.ok(),
            End::Lost(why) => {
                tracing::debug!(%why, "the topology stream ended; asking another node")
            }
        }
    }
}

/// Why a stream is followed no more.
enum End {
    /// It must name a new session.
    SessionWanted,
    /// The node is gone, silent, or another one.
    Lost(Error),
}

async fn follow(link: &Arc<Link>, mut following: Following) -> End {
    let lost = |why: String| End::Lost(Error::new(ErrorCode::ConnectionLost, why));
    loop {
        let has_session = link.numbers.session().is_some();
        let retry_session = tokio::time::sleep(SESSION_RETRY);
        let update = tokio::select! {
            update = tokio::time::timeout(SILENCE_MAX, following.updates.message()) => update,
            () = link.session_wanted.notified() => return End::SessionWanted,
            () = retry_session, if !has_session => return End::SessionWanted,
        };
        match update {
            Ok(Ok(Some(update))) => {
                if let Err(error) = take_in(link, &update) {
                    return End::Lost(error);
                }
                if !update.ended_sessions.is_empty() && link.numbers.session().is_none() {
                    return End::SessionWanted;
                }
            }
            Ok(Ok(None)) => return lost("the node ended the stream".to_owned()),
            Ok(Err(status)) => return lost(status.message().to_owned()),
            Err(_) => return lost("the node is silent".to_owned()),
        }
    }
}

/// Asks all known members, again and again, until one tells of the cluster.
async fn find(link: &Arc<Link>) -> Following {
    let pauses = Retry::exponential(ROUND_BASE, ROUND_MAX);
    for round in 1.. {
        let addresses = link.addresses.lock().in_order();
        let mut others = 0;
        let mut waiting = addresses.iter();
        let mut asked = FuturesUnordered::new();
        loop {
            if let Some(address) = waiting.next() {
                asked.push(async move { (address, find_at(link, address).await) });
            } else if asked.is_empty() {
                break;
            }
            let answer = tokio::select! {
                answer = asked.next() => answer,
                () = tokio::time::sleep(HEAD_START), if waiting.len() > 0 => None,
            };
            match answer {
                None => {}
                Some((address, Ok(following))) => {
                    link.addresses.lock().prefer(address);
                    return following;
                }
                Some((_, Err(error))) => {
                    others += usize::from(error.code() == ErrorCode::WrongCluster);
                    tracing::debug!(%error, "no topology there");
                }
            }
        }
        // Nobody of the old cluster answers, and somebody says that there is a new one in its place.
        if others > 0 {
            tracing::warn!("the cluster was made anew: its data and sessions are gone");
            link.numbers.set_session(None);
            link.nodes.lock().forget_cluster();
        }
        tokio::time::sleep(pauses.pause(round)).await;
    }
    unreachable!("the rounds never end")
}

async fn find_at(link: &Arc<Link>, address: &str) -> Result<Following, Error> {
    let wait = link.settings.connect_timeout;
    let attempt = async {
        let channel = endpoint(address, wait)?
            .connect()
            .await
            .map_err(|error| Error::new(ErrorCode::CannotConnect, format!("{address}: {error}")))?;
        let error = |status: Status| call_error(address, &status);
        let mut following = subscribe(link, channel).await.map_err(error)?;
        let first = following.updates.message().await.map_err(error)?;
        let ended = || Error::new(ErrorCode::CannotConnect, format!("{address} hung up"));
        take_in(link, &first.ok_or_else(ended)?)?;
        Ok(following)
    };
    tokio::time::timeout(wait, attempt).await.unwrap_or_else(|_| {
        Err(Error::new(ErrorCode::CannotConnect, format!("{address} does not answer")))
    })
}
