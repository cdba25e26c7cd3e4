//! Whether this node takes part: what its probes are told. It becomes ready once, and whatever becomes of others it stays so;
//! only its own end is told again.

use std::sync::atomic::{AtomicBool, Ordering};

use isogrid_cluster::council::Intent;
use isogrid_core::NodeId;

use crate::control::view::View;
use crate::node::Shared;

/// What was found out once, and holds from then on.
#[derive(Debug, Default)]
pub(crate) struct Readiness {
    has_started: AtomicBool,
    is_ending: AtomicBool,
}

/// What a node knows of itself on its way to be ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Arrival {
    /// It belongs to a cluster.
    has_cluster: bool,
    /// The council counts this life among its nodes.
    is_registered: bool,
    /// The partitions of the cluster that nobody ever held.
    unassigned: usize,
    /// The partitions that it leads, and those of them that it serves.
    leads: usize,
    serves: usize,
}

impl Arrival {
    /// What it lacks.
    fn lacks(self) -> Option<String> {
        let Arrival { unassigned, leads, serves, .. } = self;
        if !self.has_cluster {
            Some("joining: no cluster was found or formed yet".to_owned())
        } else if !self.is_registered {
            Some("joining: the cluster does not count this node yet".to_owned())
        } else if unassigned > 0 {
            Some(format!("joining: {unassigned} partitions of the new cluster have no owner yet"))
        } else if serves < leads {
            Some(format!("joining: it serves {serves} of the {leads} partitions that it leads"))
        } else {
            None
        }
    }
}

impl Readiness {
    /// The node is about to end: from now on it is not ready.
    pub(crate) fn end(&self) {
        self.is_ending.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    /// Why this node has not started yet; `None` for good once it has.
    pub(crate) fn not_started(&self) -> Option<String> {
        let readiness = &self.readiness;
        if readiness.has_started.load(Ordering::Relaxed) {
            return None;
        }
        let lacks = self.arrival().lacks();
        if lacks.is_none() {
            readiness.has_started.store(true, Ordering::Relaxed);
        }
        lacks
    }

    /// Why this node is not ready for clients.
    pub(crate) fn not_ready(&self) -> Option<String> {
        if self.readiness.is_ending.load(Ordering::Relaxed) {
            return Some("stopping: clients are sent to other nodes".to_owned());
        }
        self.not_started().or_else(|| leaving(&self.control.now_known(), &self.node_id))
    }

    fn arrival(&self) -> Arrival {
        let view = self.control.now_known();
        let count = |is_it: fn(&isogrid_core::PartitionEntry, &NodeId) -> bool| {
            view.table.iter().filter(|(_, entry)| is_it(entry, &self.node_id)).count()
        };
        Arrival {
            has_cluster: view.cluster.is_some(),
            is_registered: view.registered.is_some_and(|table| view.table.version() >= table),
            unassigned: count(|entry, _| entry.in_sync.is_empty()),
            leads: count(|entry, own| entry.primary.as_ref() == Some(own)),
            serves: self.engine.roles().open_primaries as usize,
        }
    }
}

/// That a node leaves for good.
fn leaving(view: &View, own: &NodeId) -> Option<String> {
    let leaves = view.nodes.get(own).is_some_and(|news| news.intent == Intent::Leave);
    leaves.then(|| "leaving: this node is to leave the cluster for good".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_has_joined_and_serves_lacks_nothing() {
        let there =
            Arrival { has_cluster: true, is_registered: true, unassigned: 0, leads: 3, serves: 3 };
        assert_eq!(there.lacks(), None);
        for (arrival, said) in [
            (Arrival { has_cluster: false, ..there }, "no cluster"),
            (Arrival { is_registered: false, ..there }, "does not count"),
            (Arrival { unassigned: 16, ..there }, "16 partitions"),
            (Arrival { serves: 1, ..there }, "1 of the 3"),
        ] {
            let lacks = arrival.lacks().unwrap_or_default();
            assert!(lacks.starts_with("joining: ") && lacks.contains(said), "{lacks}");
        }
        // One that joins others leads nothing at first.
        assert_eq!(Arrival { leads: 0, serves: 0, ..there }.lacks(), None);
    }
}
