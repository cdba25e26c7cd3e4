//! What a client does next.

use isogrid_core::{LogPosition, MapId, PartitionId};
use isogrid_replica::ReadMode;

use super::records::side_bytes;
use super::{COUNTERS, Client, EXPIRING, KEYS, LOOSE, MOVING, REGISTERS};
use crate::client::history::{Freshness, KeyId, Kind, OnSide, Side, Value, ValueId};
use crate::grid::packet::What;
use crate::random::Rate;

impl Client {
    pub(super) fn pick_key(&mut self) -> (MapId, u32) {
        let maps = [(5, REGISTERS), (3, COUNTERS), (1, EXPIRING), (1, LOOSE), (2, MOVING)];
        let map = self.random.pick_weighted(&maps).copied().unwrap_or(REGISTERS);
        // A few keys are hot.
        let keys = if self.random.chance(Rate::percent(50)) { 3 } else { KEYS };
        (map, self.random.below(u64::from(keys)) as u32)
    }

    pub(super) fn pick_what(
        &mut self,
        map: MapId,
        key: KeyId,
        bytes: Vec<u8>,
        partition: PartitionId,
    ) -> (Kind, What) {
        let read = |client: &mut Self, bytes| {
            let (freshness, mode, at_least) = client.pick_read(partition);
            (Kind::Read(freshness), What::Get(bytes, mode, at_least))
        };
        if map == COUNTERS {
            return if self.random.chance(Rate::percent(70)) {
                (Kind::Increment, What::Increment(bytes))
            } else {
                read(self, bytes)
            };
        }
        let value = ValueId(u64::from(self.id.0) << 32 | self.next_attempt);
        let payload = value.0.to_le_bytes().to_vec();
        if map == MOVING {
            return self.pick_on_pair(key, value, payload);
        }
        match self.random.below(10) {
            0..4 => {
                let ttl = (map == EXPIRING).then(|| self.random.within(200..=2_000));
                (Kind::Write(value), What::Put(bytes, payload, ttl))
            }
            4 => (Kind::Delete, What::Delete(bytes)),
            5..7 if map == REGISTERS => {
                let expected = self.known.get(&key).copied().unwrap_or(Value::Absent);
                let bytes_of = match expected {
                    Value::Written(value) => Some(value.0.to_le_bytes().to_vec()),
                    Value::Absent | Value::Number(_) => None,
                };
                let kind = Kind::CompareAndSet { expected, value };
                (kind, What::CompareAndSet(bytes, bytes_of, payload))
            }
            _ => read(self, bytes),
        }
    }

    /// Something on one of two keys between which records move.
    fn pick_on_pair(&mut self, key: KeyId, value: ValueId, payload: Vec<u8>) -> (Kind, What) {
        let (side, other) = match self.random.below(2) {
            0 => (Side::Left, Side::Right),
            _ => (Side::Right, Side::Left),
        };
        let (here, there) = (side_bytes(key, side), side_bytes(key, other));
        let (on, what) = match self.random.below(10) {
            0..3 => (OnSide::Write(value), What::Put(here, payload, None)),
            3 => (OnSide::Delete, What::Delete(here)),
            4..7 => {
                let if_absent = self.random.chance(Rate::percent(40));
                (OnSide::Move { if_absent }, What::Rename(here, there, if_absent))
            }
            7 => (OnSide::Read, What::Get(here, ReadMode::Confirmed, None)),
            _ => (OnSide::Read, What::Get(here, ReadMode::Lease, None)),
        };
        (Kind::OfPair(side, on), what)
    }

    fn pick_read(&mut self, partition: PartitionId) -> (Freshness, ReadMode, Option<LogPosition>) {
        match self.random.below(10) {
            0..7 => (Freshness::Latest, ReadMode::Lease, None),
            7 => (Freshness::Latest, ReadMode::Confirmed, None),
            8 => match self.receipts.get(&partition) {
                Some((position, is_everywhere)) => {
                    let freshness = match is_everywhere {
                        true => Freshness::AtLeast(position.seq),
                        false => Freshness::Any,
                    };
                    (freshness, ReadMode::Any, Some(*position))
                }
                None => (Freshness::Any, ReadMode::Any, None),
            },
            _ => (Freshness::Any, ReadMode::Backup { staleness_ms_max: 2_000 }, None),
        }
    }
}
