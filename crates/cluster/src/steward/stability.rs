//! Since when each node is up or down, and how often it came back: a node that flaps waits longer each time before it
//! takes copies. It is not waited for meanwhile: being back without being ready wears out as much patience as being down.

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
    /// When it came back last. Whatever follows within the stable time belongs to the same return.
    returned_at: Option<Millis>,
    /// Since when it has been coming back without ever being ready.
    unready_since: Option<Millis>,
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
                let watch = Watch::new(now, incarnation, (is_up, self.started));
                self.nodes.insert(node.clone(), watch);
                continue;
            };
            let came_back = is_up && (!watch.is_up || watch.incarnation != incarnation);
            if came_back {
                watch.come_back(now, settings);
            }
            watch.is_planned = matches!(record.intent, Intent::Restart | Intent::Stop);
            if came_back || watch.is_up != is_up {
                *watch = Watch { incarnation, is_up, since: now, is_new: false, ..watch.clone() };
            } else if is_up && now.since(watch.since) >= settings.flapping_forgotten_ms {
                watch.returns = 0;
            }
            if watch.is_ready(now, settings) {
                watch.unready_since = None;
            }
        }
        self.nodes.retain(|node, _| council.nodes().contains_key(node));
        self.started = true;
    }

    /// Whether a node has been up for long enough to take copies.
    pub(super) fn is_ready(&self, now: Millis, node: &NodeId, settings: &StewardSettings) -> bool {
        self.nodes.get(node).is_some_and(|watch| watch.is_ready(now, settings))
    }

    /// Whether a node has been down, or back without ever being ready, for so long that its copies are made elsewhere.
    pub(super) fn is_replaced(
        &self,
        now: Millis,
        record: &NodeRecord,
        settings: &StewardSettings,
    ) -> bool {
        let missed_since = self.nodes.get(&record.member.id).and_then(Watch::missed_since);
        missed_since.is_some_and(|since| now.since(since) >= replace_ms(record, settings))
    }

    /// Whether a node has been down for so long that it is not thought to come back soon.
    pub(super) fn is_gone(
        &self,
        now: Millis,
        record: &NodeRecord,
        settings: &StewardSettings,
    ) -> bool {
        let watch = self.nodes.get(&record.member.id).filter(|watch| !watch.is_up);
        watch.is_some_and(|watch| now.since(watch.since) >= replace_ms(record, settings))
    }
}

/// How long others wait for a node before they make its copies.
fn replace_ms(record: &NodeRecord, settings: &StewardSettings) -> u64 {
    match record.intent {
        Intent::Restart | Intent::Stop => settings.replace_restarting_ms,
        Intent::Stay | Intent::Drain | Intent::Leave => settings.replace_ms,
    }
}

impl Watch {
    /// A node that was not seen before: new to the cluster, or only to this steward.
    fn new(now: Millis, incarnation: Incarnation, (is_up, is_new): (bool, bool)) -> Self {
        Watch {
            incarnation,
            is_up,
            since: now,
            returns: 0,
            returned_at: None,
            unready_since: None,
            is_new,
            is_planned: false,
        }
    }

    /// The node came back. One that was fenced by old news of its last life, or restarts once more, right after it came
    /// back has still come back once.
    fn come_back(&mut self, now: Millis, settings: &StewardSettings) {
        self.unready_since.get_or_insert(now);
        if self.returned_at.is_some_and(|at| now.since(at) < settings.stable_ms) {
            return;
        }
        self.returned_at = Some(now);
        if !self.is_planned {
            self.returns = self.returns.saturating_add(1);
        }
    }

    fn is_ready(&self, now: Millis, settings: &StewardSettings) -> bool {
        let wait = match self.returns {
            0 if self.is_new => settings.settle_ms,
            0 => 0,
            returns => {
                let doubled = settings.back_off_ms.saturating_mul(1 << (returns - 1).min(16));
                settings.stable_ms + doubled.min(settings.back_off_ms_max)
            }
        };
        self.is_up && now.since(self.since) >= wait
    }

    /// Since when copies have been waiting for the node: since it began to come back, else since it is down.
    fn missed_since(&self) -> Option<Millis> {
        self.unready_since.or((!self.is_up).then_some(self.since))
    }
}
