//! Since when each node is up or down, and how often it came back: a node that flaps waits longer each time before it
//! takes copies.

use std::collections::BTreeMap;

use isogrid_core::{Incarnation, MemberState, NodeId};

use super::settings::StewardSettings;
use crate::council::{Council, Intent, NodeRecord};
use crate::id::Millis;

/// Since when each node is up or down.
#[derive(Clone, Debug, Default)]
pub(super) struct Stability {
    nodes: BTreeMap<NodeId, Watch>,
    /// Whether nodes that were not seen before are new to the cluster, and not only to this steward.
    started: bool,
}

#[derive(Clone, Debug)]
struct Watch {
    incarnation: Incarnation,
    is_up: bool,
    since: Millis,
    /// How often it came back, lately.
    returns: u32,
    is_new: bool,
    /// Whether it was asked to restart or stop, so that its return is no sign of a fault.
    is_planned: bool,
}

impl Stability {
    /// Takes in the nodes as they are now.
    pub(super) fn look(&mut self, now: Millis, council: &Council, settings: &StewardSettings) {
        for (node, record) in council.nodes() {
            if record.member.state == MemberState::Joining {
                continue;
            }
            let (is_up, incarnation) = (record.is_serving(), record.incarnation());
            let Some(watch) = self.nodes.get_mut(node) else {
                let is_new = self.started;
                let since = now;
                let watch =
                    Watch { incarnation, is_up, since, returns: 0, is_new, is_planned: false };
                self.nodes.insert(node.clone(), watch);
                continue;
            };
            let came_back = is_up && (!watch.is_up || watch.incarnation != incarnation);
            if came_back && !watch.is_planned {
                watch.returns = watch.returns.saturating_add(1);
            }
            watch.is_planned = matches!(record.intent, Intent::Restart | Intent::Stop);
            if came_back || watch.is_up != is_up {
                *watch = Watch { incarnation, is_up, since: now, is_new: false, ..watch.clone() };
            } else if is_up && now.since(watch.since) >= settings.flapping_forgotten_ms {
                watch.returns = 0;
            }
        }
        self.nodes.retain(|node, _| council.nodes().contains_key(node));
        self.started = true;
    }

    /// Whether a node has been up for long enough to take copies.
    pub(super) fn is_ready(&self, now: Millis, node: &NodeId, settings: &StewardSettings) -> bool {
        let Some(watch) = self.nodes.get(node).filter(|watch| watch.is_up) else { return false };
        let wait = match watch.returns {
            0 if watch.is_new => settings.settle_ms,
            0 => 0,
            returns => {
                let doubled = settings.back_off_ms.saturating_mul(1 << (returns - 1).min(16));
                settings.stable_ms + doubled.min(settings.back_off_ms_max)
            }
        };
        now.since(watch.since) >= wait
    }

    /// Whether a node has been down for so long that its copies are made elsewhere.
    pub(super) fn is_replaced(
        &self,
        now: Millis,
        record: &NodeRecord,
        settings: &StewardSettings,
    ) -> bool {
        let wait = match record.intent {
            Intent::Restart | Intent::Stop => settings.replace_restarting_ms,
            Intent::Stay | Intent::Drain | Intent::Leave => settings.replace_ms,
        };
        let down_since = self.nodes.get(&record.member.id).filter(|w| !w.is_up).map(|w| w.since);
        down_since.is_some_and(|since| now.since(since) >= wait)
    }
}
