//! Which entries count only when they are synced: those of maps of which that is wanted.

use isogrid_core::{Effect, MapId};
use isogrid_replica::entry::Entries;

/// Whether one of these entries counts only when it is synced. Of a map that is not known here yet it does. The maps say so by
/// their numbers, with `None` for a number without a map.
#[inline]
pub fn must_sync(entries: &[u8], synced_maps: &[Option<bool>]) -> bool {
    let is_synced = |map: MapId| synced_maps.get(map.0 as usize).copied().flatten().unwrap_or(true);
    Entries::new(entries).flatten().any(|encoded| match encoded.entry.effect {
        Effect::Put { map, .. }
        | Effect::Remove { map, .. }
        | Effect::Rename { map, .. }
        | Effect::Clear { map } => is_synced(map),
        // An answer without a change may be of any map.
        Effect::Nothing | Effect::EndSessions(_) => synced_maps.contains(&Some(true)),
    })
}

#[cfg(test)]
mod tests {
    use isogrid_core::{Cause, EndedSessions, Hlc, LogPosition};
    use isogrid_replica::entry::{Answer, Entry};

    use super::*;

    fn entry(effect: Effect<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        let (position, hlc) = (LogPosition::new(1, 1), Hlc::default());
        Entry { position, hlc, request: None, answer: Answer::None, effect }.encode(&mut bytes);
        bytes
    }

    #[test]
    fn a_change_of_a_map_is_synced_when_the_map_is() {
        let maps = [Some(false), Some(true), None];
        let changes: [&dyn Fn(MapId) -> Vec<u8>; 4] = [
            &|map| entry(Effect::Put { map, key: b"k", value: b"v", expires_at: None }),
            &|map| entry(Effect::Remove { map, key: b"k", cause: Cause::Deleted }),
            &|map| {
                let (from, to, value) = (b"a", b"b", b"v");
                entry(Effect::Rename { map, from, to, value, expires_at: None })
            },
            &|map| entry(Effect::Clear { map }),
        ];
        for (number, change) in changes.iter().enumerate() {
            assert!(!must_sync(&change(MapId(0)), &maps), "{number}");
            assert!(must_sync(&change(MapId(1)), &maps), "{number}");
            assert!(must_sync(&change(MapId(2)), &maps), "{number}: a map that is not known yet");
            assert!(must_sync(&change(MapId(9)), &maps), "{number}: nor this one");
        }
    }

    #[test]
    fn what_may_be_of_any_map_is_synced_when_any_map_is() {
        let ended = EndedSessions::default();
        for effect in [Effect::Nothing, Effect::EndSessions(ended)] {
            let entry = entry(effect);
            assert!(must_sync(&entry, &[Some(false), Some(true)]));
            assert!(!must_sync(&entry, &[Some(false), None]));
            assert!(!must_sync(&entry, &[]));
        }
    }

    #[test]
    fn one_of_many_is_enough() {
        let maps = [Some(false), Some(true)];
        let put =
            |map| entry(Effect::Put { map: MapId(map), key: b"k", value: b"v", expires_at: None });
        assert!(!must_sync(&[put(0), put(0)].concat(), &maps));
        assert!(must_sync(&[put(0), put(1), put(0)].concat(), &maps));
        assert!(must_sync(&[put(1), put(0)].concat(), &maps));
        assert!(!must_sync(&[], &maps));
    }
}
