//! Nodes' intents, maps, sessions and the cluster's own settings.

use isogrid_core::{MapId, MapSettings, NodeId, SessionId};

use super::map::{MapMode, MapRecord};
use super::node::Intent;
use super::outcome::{Outcome, Refusal};
use super::session::Sessions;
use super::state::{Council, LossPolicy};

/// The longest name of a map in bytes.
const MAP_NAME_BYTES_MAX: usize = 255;

impl Council {
    pub(super) fn set_intent(&mut self, node: &NodeId, intent: Intent) -> Result<Outcome, Refusal> {
        let record = self.nodes.get_mut(node).ok_or(Refusal::Unknown)?;
        if record.intent == intent {
            return Ok(Outcome::Unchanged);
        }
        record.intent = intent;
        if record.is_serving() {
            record.member.state = record.state_when_up();
        }
        self.nodes_version += 1;
        Ok(Outcome::Applied)
    }

    pub(super) fn remove_node(&mut self, node: &NodeId) -> Result<Outcome, Refusal> {
        let last = self.incarnation(node).ok_or(Refusal::Unknown)?;
        let holds = self.table.iter().any(|(_, e)| e.holders().any(|h| h.node == *node));
        if holds {
            return Err(Refusal::StillHolds);
        }
        self.nodes.remove(node);
        self.forgotten.insert(node.clone(), last);
        self.nodes_version += 1;
        Ok(Outcome::Applied)
    }

    pub(super) fn put_map(
        &mut self,
        name: &str,
        settings: &MapSettings,
        mode: &MapMode,
    ) -> Result<Outcome, Refusal> {
        if name.is_empty() || name.len() > MAP_NAME_BYTES_MAX {
            return Err(Refusal::OutOfBounds);
        }
        // Only the copies that the map itself is sure of count: another map may be dropped, and this one must stay writable.
        let copies = mode.copies(self.copies_of_cluster());
        if mode.min_in_sync == 0 || usize::from(mode.min_in_sync) > copies {
            return Err(Refusal::OutOfBounds);
        }
        if mode.backups.is_some_and(|backups| backups > MapMode::BACKUPS_MAX) {
            return Err(Refusal::OutOfBounds);
        }
        let known = self.maps.get(name).map(|map| map.id);
        let id = match known {
            Some(id) => id,
            None => {
                let opened = self.maps_opened.checked_add(1).ok_or(Refusal::OutOfBounds)?;
                MapId(std::mem::replace(&mut self.maps_opened, opened))
            }
        };
        let map = MapRecord { id, settings: settings.clone(), mode: *mode };
        if self.maps.get(name) != Some(&map) {
            self.maps.insert(name.to_owned(), map);
            self.maps_version += 1;
        }
        Ok(Outcome::Map(id))
    }

    /// Creates the map, unless there is one of this name: then its settings stay as they are.
    pub(super) fn ensure_map(
        &mut self,
        name: &str,
        settings: &MapSettings,
        mode: &MapMode,
    ) -> Result<Outcome, Refusal> {
        match self.maps.get(name) {
            Some(map) => Ok(Outcome::Map(map.id)),
            None => self.put_map(name, settings, mode),
        }
    }

    pub(super) fn drop_map(&mut self, name: &str) -> Result<Outcome, Refusal> {
        self.maps.remove(name).ok_or(Refusal::Unknown)?;
        self.maps_version += 1;
        Ok(Outcome::Applied)
    }

    pub(super) fn set_loss_policy(&mut self, policy: LossPolicy) -> Result<Outcome, Refusal> {
        let cluster = self.cluster.as_mut().ok_or(Refusal::NoCluster)?;
        let old = std::mem::replace(&mut cluster.loss_policy, policy);
        Ok(if old == policy { Outcome::Unchanged } else { Outcome::Applied })
    }

    pub(super) fn raise_feature_level(&mut self, level: u32) -> Result<Outcome, Refusal> {
        let cluster = self.cluster.as_mut().ok_or(Refusal::NoCluster)?;
        if level <= cluster.feature_level {
            return Ok(Outcome::Unchanged);
        }
        cluster.feature_level = level;
        Ok(Outcome::Applied)
    }

    pub(super) fn open_sessions(&mut self, count: u32) -> Result<Outcome, Refusal> {
        if count == 0 || count > Sessions::OPENED_AT_ONCE_MAX {
            return Err(Refusal::OutOfBounds);
        }
        let first = self.sessions.open(count);
        Ok(Outcome::SessionsOpened { first, count })
    }

    pub(super) fn end_sessions(&mut self, numbers: &[SessionId]) -> Outcome {
        if self.sessions.end(numbers) > 0 { Outcome::Applied } else { Outcome::Unchanged }
    }
}
