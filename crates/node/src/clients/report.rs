//! A client as it is told, to operators of this node and of others.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use isogrid_core::{NodeId, Result};
use serde::{Deserialize, Serialize};

use super::{Client, Did, Door};
use crate::clock;
use crate::control::question::{pack, unpack};
use crate::node::Shared;
use crate::peers::message::AskKind;

/// How long other nodes are waited for.
const PATIENCE: Duration = Duration::from_millis(1_000);

/// One connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ClientReport {
    /// Of the whole cluster: the node's name, and the number of the connection there.
    pub(crate) id: String,
    pub(crate) node: String,
    /// grpc, node, http or postgres.
    pub(crate) door: String,
    pub(crate) name: String,
    pub(crate) library: String,
    pub(crate) version: String,
    pub(crate) address: String,
    pub(crate) age_ms: u64,
    pub(crate) idle_ms: u64,
    pub(crate) last_operation: String,
    pub(crate) in_flight: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
}

/// What another node is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum ClientsQuestion {
    /// Who is connected?
    List,
    /// End this connection. The answer is whether it was there.
    End(u64),
}

impl Client {
    /// How it is now, as a client of this node.
    pub(super) fn report(&self, node: &str) -> ClientReport {
        let now = clock::now();
        let counts = &self.counts;
        let who = self.who.lock().clone();
        let door = match self.door {
            Door::Grpc if self.is_node.load(Ordering::Relaxed) => "node",
            Door::Grpc => "grpc",
            Door::Http => "http",
            Door::Postgres => "postgres",
        };
        let active_at = counts.active_at_ms.load(Ordering::Relaxed);
        ClientReport {
            id: format!("{node}-{}", self.number),
            node: node.to_owned(),
            door: door.to_owned(),
            name: who.name,
            library: who.library,
            version: who.version,
            address: self.address.to_string(),
            age_ms: now.ms_since(self.opened_at),
            idle_ms: now.0.saturating_sub(active_at),
            last_operation: Did::name_of(counts.did.load(Ordering::Relaxed)).to_owned(),
            in_flight: self.in_flight(),
            bytes_in: counts.bytes_in.load(Ordering::Relaxed),
            bytes_out: counts.bytes_out.load(Ordering::Relaxed),
        }
    }
}

impl Shared {
    /// Who is connected to this node.
    pub(crate) fn clients_here(&self) -> Vec<ClientReport> {
        let all: Vec<Arc<Client>> = self.clients.all();
        all.iter().map(|client| client.report(self.node_id.as_str())).collect()
    }

    /// Who is connected to any node of the cluster, and the nodes that did not answer.
    pub(crate) async fn clients_of_all(&self) -> (Vec<ClientReport>, Vec<NodeId>) {
        let nodes: Vec<NodeId> = self.control.now_known().nodes.keys().cloned().collect();
        let others = nodes.into_iter().filter(|node| *node != self.node_id);
        let asked = others.map(|node| async move {
            let answer = self.ask_clients(&node, &ClientsQuestion::List).await;
            let told = answer.and_then(|answer| unpack::<Vec<ClientReport>>(&answer).ok());
            told.ok_or(node)
        });
        let (mut all, mut missing) = (self.clients_here(), Vec::new());
        for answer in join_all(asked).await {
            match answer {
                Ok(clients) => all.extend(clients),
                Err(node) => missing.push(node),
            }
        }
        (all, missing)
    }

    /// Ends a connection, wherever it is. Says whether it was there; `None` when its node does not answer.
    pub(crate) async fn end_client(&self, id: &str) -> Option<bool> {
        let Some((node, number)) = id.rsplit_once('-') else { return Some(false) };
        let Ok(number) = number.parse() else { return Some(false) };
        let node = NodeId::new(node);
        if node == self.node_id {
            return Some(self.clients.end(number));
        }
        if !self.control.now_known().nodes.contains_key(&node) {
            return Some(false);
        }
        let answer = self.ask_clients(&node, &ClientsQuestion::End(number)).await?;
        unpack(&answer).ok()
    }

    async fn ask_clients(&self, node: &NodeId, question: &ClientsQuestion) -> Option<Bytes> {
        self.peers.ask(node, AskKind::Clients, pack(question), PATIENCE).await.ok()
    }

    /// Another node asks.
    pub(crate) fn answer_clients(&self, body: &[u8]) -> Result<Bytes> {
        Ok(match unpack(body)? {
            ClientsQuestion::List => pack(&self.clients_here()),
            ClientsQuestion::End(number) => pack(&self.clients.end(number)),
        })
    }
}
