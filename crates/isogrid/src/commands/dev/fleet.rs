//! [`Fleet`]: all nodes of a local cluster.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use isogrid_client::{Intent, Operator};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::commands::start::RunningNode;
use crate::exit::{Exit, Failure};

use super::blueprint::{self, Blueprint, NODES_MAX};
use super::child::LogTo;
use super::keeper::{Change, Keeper, Order, Phase};
use super::ports::Ports;

/// How long the cluster may take to hear that it is to stop. If it does not, its nodes stop all the same.
const FAREWELL_WAIT_MAX: Duration = Duration::from_secs(2);

/// How many changes may wait to be told: a person causes them.
const CHANGES_MAX: usize = 1_024;

/// All nodes of a local cluster. Dropping it kills them.
pub(super) struct Fleet {
    blueprint: Arc<Blueprint>,
    log_to: LogTo,
    /// The ports of the nodes, by their number.
    ports: Arc<Mutex<Vec<Ports>>>,
    /// Where the nodes say how they are.
    changes: mpsc::Sender<Change>,
    /// The nodes, by their number.
    pub(super) keepers: Vec<Keeper>,
}

impl Fleet {
    /// Starts all nodes. Ports that are taken are found before any is started.
    pub(super) fn start(blueprint: Blueprint, log_to: LogTo) -> Result<(Fleet, Changes), Failure> {
        let count = blueprint.nodes;
        let (changes, told) = mpsc::channel(CHANGES_MAX);
        let mut fleet = Fleet {
            blueprint: Arc::new(blueprint),
            log_to,
            ports: Arc::default(),
            changes,
            keepers: Vec::new(),
        };
        for _ in 0..count {
            fleet.take_ports()?;
        }
        for index in 0..count {
            fleet.start_node(index)?;
        }
        Ok((fleet, Changes(told)))
    }

    fn take_ports(&self) -> Result<(), Failure> {
        let mut all = self.ports.lock();
        let index = all.len() as u16;
        loop {
            let ports = Ports::of_node(self.blueprint.port_base, index)?;
            // Free ones are drawn: another node may have them already.
            if !all.iter().any(|taken| taken.overlaps(ports)) {
                ports.check_free()?;
                all.push(ports);
                return Ok(());
            }
        }
    }

    fn start_node(&mut self, index: u16) -> Result<(), Failure> {
        let (blueprint, ports) = (Arc::clone(&self.blueprint), Arc::clone(&self.ports));
        let arguments = Box::new(move || blueprint.arguments(index, &ports.lock()));
        self.keepers.push(Keeper::start(index, arguments, self.log_to, self.changes.clone())?);
        Ok(())
    }

    /// Starts one node more; returns its name.
    pub(super) fn add(&mut self) -> Result<String, Failure> {
        let index = self.keepers.len() as u16;
        if index >= NODES_MAX {
            let detail = format!("at most {NODES_MAX} nodes run on one machine");
            return Err(crate::exit::wrong_argument(detail));
        }
        self.take_ports()?;
        match self.start_node(index) {
            Ok(()) => Ok(blueprint::name(index)),
            Err(failure) => {
                self.ports.lock().pop();
                Err(failure)
            }
        }
    }

    /// The node of this name.
    pub(super) fn find(&self, name: &str) -> Option<&Keeper> {
        self.keepers.iter().find(|keeper| keeper.name == name)
    }

    /// The nodes that clients can connect to, those last that know nothing of the others.
    pub(super) fn reachable(&self) -> Vec<RunningNode> {
        let phases: Vec<Phase> = self.keepers.iter().map(Keeper::phase).collect();
        let is_apart = |phase: &Phase| matches!(phase, Phase::Paused(_) | Phase::CutOff(_));
        let running = phases.iter().filter(|phase| !is_apart(phase));
        let apart = phases.iter().filter(|phase| is_apart(phase));
        running.chain(apart).filter_map(|phase| phase.node().cloned()).collect()
    }

    /// How many nodes the cluster began with.
    pub(super) fn founders(&self) -> u16 {
        self.blueprint.nodes
    }

    /// Waits until clients can connect to all nodes. The inner error is the exit of a node that could not start: it is
    /// told at once, since the others may wait for it.
    pub(super) async fn ready(&self, changes: &mut Changes) -> Result<Vec<RunningNode>, Exit> {
        loop {
            let phases: Vec<Phase> = self.keepers.iter().map(Keeper::phase).collect();
            let exit = phases.iter().find_map(|phase| match phase {
                Phase::Ended { exit, .. } => Some(*exit),
                _ => None,
            });
            if let Some(exit) = exit {
                return Err(exit);
            }
            let nodes: Vec<RunningNode> =
                phases.iter().filter_map(|phase| phase.node().cloned()).collect();
            if nodes.len() == self.keepers.len() {
                return Ok(nodes);
            }
            changes.next().await;
        }
    }

    /// Stops all nodes together, so that none hands over to another that stops as well.
    pub(super) async fn stop(mut self) {
        if self.keepers.len() > 1 {
            // What cannot be told is not needed: each node also stops without it.
            let _ = tokio::time::timeout(FAREWELL_WAIT_MAX, self.farewell()).await;
        }
        self.keepers.iter().for_each(|keeper| keeper.order(Order::Stop));
        join_all(self.keepers.iter_mut().map(Keeper::ended)).await;
    }

    async fn farewell(&self) {
        for node in self.reachable() {
            let told = async {
                let operator = Operator::connect(&node.grpc).await?;
                operator.set_intent_of_all(Intent::Stop).await
            };
            if told.await.is_ok() {
                return;
            }
        }
    }
}

/// What the nodes of a fleet say of themselves, in order.
pub(super) struct Changes(mpsc::Receiver<Change>);

impl Changes {
    /// Waits for the next one.
    pub(super) async fn next(&mut self) -> Change {
        match self.0.recv().await {
            Some(change) => change,
            // The fleet is gone; so is what would be said of it.
            None => std::future::pending().await,
        }
    }
}
