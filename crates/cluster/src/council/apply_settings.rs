//! Nodes' intents, maps, sessions and the cluster's own settings.

use isogrid_core::limits::check_map_name;
use isogrid_core::{Incarnation, MapId, MapIndex, MapSchema, MapSettings, NodeId, SessionId};

use super::limits::{MAPS_MAX, SESSIONS_OPEN_MAX, SESSIONS_OPENED_AT_ONCE_MAX};
use super::map::{MapMode, MapRecord};
use super::node::Intent;
use super::outcome::{Outcome, Refusal};
use super::state::{Council, LossPolicy};

impl Council {
    pub(super) fn set_intent(&mut self, node: &NodeId, intent: Intent) -> Result<Outcome, Refusal> {
        let has_left = intent == Intent::Leave && self.forgotten.contains_key(node);
        let Some(record) = self.nodes.get_mut(node) else {
            return if has_left { Ok(Outcome::Unchanged) } else { Err(Refusal::Unknown) };
        };
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

    pub(super) fn remove_node(
        &mut self,
        node: &NodeId,
        incarnation: Incarnation,
    ) -> Result<Outcome, Refusal> {
        let record = self.nodes.get(node).ok_or(Refusal::Unknown)?;
        if record.incarnation() != incarnation {
            return Err(Refusal::NotCurrent);
        }
        // One that came back would have to register once more, and its intent would be forgotten.
        if record.is_serving() {
            return Err(Refusal::StillServes);
        }
        let holds = self.table.iter().any(|(_, e)| e.holders().any(|h| h.node == *node));
        if holds {
            return Err(Refusal::StillHolds);
        }
        self.nodes.remove(node);
        self.forgotten.insert(node.clone(), incarnation);
        self.nodes_version += 1;
        Ok(Outcome::Applied)
    }

    pub(super) fn put_map(
        &mut self,
        name: &str,
        settings: &MapSettings,
        mode: &MapMode,
        schema: Option<&MapSchema>,
    ) -> Result<Outcome, Refusal> {
        // What no node would open must not be agreed on.
        check_map_name(name).map_err(|_| Refusal::OutOfBounds)?;
        // Only the copies that the map itself is sure of count: another map may be dropped, and this one must stay writable.
        let copies = mode.copies(self.copies_of_cluster());
        if mode.min_in_sync == 0 || usize::from(mode.min_in_sync) > copies {
            return Err(Refusal::OutOfBounds);
        }
        if schema.is_some_and(|schema| schema.check().is_err())
            || MapIndex::check_all(&settings.indexes).is_err()
        {
            return Err(Refusal::OutOfBounds);
        }
        // Records that are there may be where no other column says.
        let spread_by =
            |schema: Option<&MapSchema>| schema.and_then(|one| one.partition_by.clone());
        if let Some(known) = self.maps.get(name)
            && spread_by(known.schema.as_ref()) != spread_by(schema)
        {
            return Err(Refusal::OutOfBounds);
        }
        if mode.backups.is_some_and(|backups| backups > MapMode::BACKUPS_MAX) {
            return Err(Refusal::OutOfBounds);
        }
        let known = self.maps.get(name).map(|map| map.id);
        let id = match known {
            Some(id) => id,
            None if self.maps.len() >= MAPS_MAX => return Err(Refusal::OutOfBounds),
            None => {
                let opened = self.maps_opened.checked_add(1).ok_or(Refusal::OutOfBounds)?;
                MapId(std::mem::replace(&mut self.maps_opened, opened))
            }
        };
        let map =
            MapRecord { id, settings: settings.clone(), mode: *mode, schema: schema.cloned() };
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
            None => self.put_map(name, settings, mode, None),
        }
    }

    pub(super) fn drop_map(&mut self, name: &str, id: MapId) -> Result<Outcome, Refusal> {
        self.maps.get(name).filter(|map| map.id == id).ok_or(Refusal::Unknown)?;
        self.maps.remove(name);
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
        let room = SESSIONS_OPEN_MAX.saturating_sub(self.sessions.len());
        if count == 0 || count > SESSIONS_OPENED_AT_ONCE_MAX || count as usize > room {
            return Err(Refusal::OutOfBounds);
        }
        let first = self.sessions.open(count);
        Ok(Outcome::SessionsOpened { first, count })
    }

    pub(super) fn end_sessions(&mut self, numbers: &[SessionId]) -> Outcome {
        if self.sessions.end(numbers) > 0 { Outcome::Applied } else { Outcome::Unchanged }
    }
}
