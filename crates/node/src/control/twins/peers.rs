//! Links and questions that take no time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use isogrid_cluster::ClusterId;
use isogrid_core::NodeId;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::{Station, World};
use crate::control::faces::{EngineFace, PeersFace};
use crate::peers::message::{AskFailed, AskKind, LinkMessage, PeerAddress};
use crate::peers::pulse::Heard;

pub(in crate::control) struct PeersTwin {
    pub(in crate::control) world: Arc<World>,
    pub(in crate::control) node: NodeId,
    pub(in crate::control) addresses: Mutex<BTreeMap<NodeId, PeerAddress>>,
}

impl PeersTwin {
    fn reach(&self, to: &NodeId) -> Option<Arc<Station>> {
        let address = self.addresses.lock().get(to)?.incarnation;
        let station = self.world.stations.lock().get(to).cloned()?;
        (self.world.runs(&self.node) && station.life == address).then_some(station)
    }
}

#[tonic::async_trait]
impl PeersFace for PeersTwin {
    fn set_cluster(&self, _cluster: ClusterId) {}

    fn set_addresses(&self, addresses: BTreeMap<NodeId, PeerAddress>) {
        *self.addresses.lock() = addresses;
    }

    fn send(&self, to: &NodeId, message: &LinkMessage) {
        let Some(station) = self.reach(to) else { return };
        match message {
            LinkMessage::News(news) => station.control.hear_news(&self.node, news),
            LinkMessage::Directive(directive) => station.engine.direct(directive),
            _ => {}
        }
    }

    async fn ask(
        &self,
        to: &NodeId,
        kind: AskKind,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Bytes, AskFailed> {
        let unreachable = || AskFailed::Unreachable("nobody is there".to_owned());
        let station = self.reach(to).ok_or_else(unreachable)?;
        let answer = station.control.answer(&self.node, kind, &body);
        match tokio::time::timeout(timeout, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(AskFailed::Refused(error)),
            Err(_) => Err(AskFailed::Unknown("no answer in time".to_owned())),
        }
    }

    fn heard(&self) -> BTreeMap<NodeId, Heard> {
        let addresses = self.addresses.lock();
        let heard = addresses.iter().map(|(node, address)| {
            let died = self.world.dead.lock().get(node).copied();
            let last = died.unwrap_or_else(Instant::now);
            let incarnation = address.incarnation;
            (node.clone(), Heard { last, incarnation, is_refused: died.is_some() })
        });
        heard.collect()
    }

    fn evidence(&self) -> watch::Receiver<u64> {
        self.world.evidence.subscribe()
    }
}
