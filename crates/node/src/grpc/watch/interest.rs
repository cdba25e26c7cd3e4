//! What the effects of the log are for somebody who watches a map, or some of its keys.

use bytes::Bytes;
use isogrid_core::{Cause, Effect, MapId, Timestamp, Version};
use isogrid_proto::pb::{self, watch_event::Event};
use isogrid_value::Predicate;

/// What a watcher wants to hear of.
pub(super) struct Interest<'a> {
    pub(super) map: MapId,
    pub(super) prefix: &'a [u8],
    pub(super) filter: Option<&'a Predicate>,
}

impl Interest<'_> {
    fn is_wanted(&self, map: MapId, key: &[u8]) -> bool {
        map == self.map && key.starts_with(self.prefix)
    }

    /// What an effect is for a watcher: a rename is a removal and a put, at one position.
    pub(super) fn changes(&self, effect: &Effect<'_>, version: Version) -> [Option<Event>; 2] {
        let put = |map: MapId, key: &[u8], value: &[u8], expires_at: Option<Timestamp>| {
            self.is_wanted(map, key).then(|| {
                let is_meant = self.filter.is_none_or(|filter| filter.accepts(key, value));
                let key = Bytes::copy_from_slice(key);
                if !is_meant {
                    return Event::Unmatched(pb::Unmatched { key, version: version.0 });
                }
                let entry = entry(version, value, expires_at);
                Event::Put(pb::PutEvent { key, entry: Some(entry) })
            })
        };
        let removed = |map: MapId, key: &[u8], cause: Cause| {
            self.is_wanted(map, key).then(|| {
                let cause = match cause {
                    Cause::Deleted => pb::RemovalCause::Deleted,
                    Cause::Expired => pb::RemovalCause::Expired,
                    Cause::Evicted => pb::RemovalCause::Evicted,
                };
                let key = Bytes::copy_from_slice(key);
                Event::Removed(pb::RemovedEvent { key, version: version.0, cause: cause.into() })
            })
        };
        match *effect {
            Effect::Put { map, key, value, expires_at } => [put(map, key, value, expires_at), None],
            Effect::Remove { map, key, cause } => [removed(map, key, cause), None],
            Effect::Rename { map, from, to, value, expires_at } => {
                [removed(map, from, Cause::Deleted), put(map, to, value, expires_at)]
            }
            Effect::Clear { map } => {
                let cleared = Event::Cleared(pb::Cleared { version: version.0 });
                [(map == self.map).then_some(cleared), None]
            }
            Effect::Nothing | Effect::EndSessions(_) => [None, None],
        }
    }
}

fn entry(version: Version, value: &[u8], expires_at: Option<Timestamp>) -> pb::Entry {
    pb::Entry {
        version: version.0,
        value: Bytes::copy_from_slice(value),
        expires_at_ms: expires_at.map(|at| at.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rename_is_a_removal_and_a_put_for_those_who_watch_both_keys() {
        let (map, version) = (MapId(2), Version(9));
        let expires_at = Some(Timestamp(77));
        let rename = Effect::Rename { map, from: b"a1", to: b"b1", value: b"v", expires_at };
        let told = |map, prefix: &[u8]| {
            let changes = Interest { map, prefix, filter: None }.changes(&rename, version);
            changes.map(|change| match change {
                Some(Event::Removed(gone)) if gone.cause() == pb::RemovalCause::Deleted => {
                    format!("{:?} gone at {}", gone.key, gone.version)
                }
                Some(Event::Put(put)) => format!("{:?} is {:?}", put.key, put.entry),
                other => format!("{other:?}"),
            })
        };
        let entry = Some(entry(version, b"v", expires_at));
        let (gone, put) = ("b\"a1\" gone at 9".to_owned(), format!("b\"b1\" is {entry:?}"));
        let none = || "None".to_owned();
        assert_eq!(told(map, b""), [gone.clone(), put.clone()]);
        assert_eq!(told(map, b"a"), [gone, none()]);
        assert_eq!(told(map, b"b"), [none(), put]);
        assert_eq!(told(MapId(3), b""), [none(), none()]);
    }
    #[test]
    fn a_put_that_the_filter_does_not_mean_is_told_without_its_value() {
        let filter = Predicate::new(isogrid_value::col("a").ge(2)).expect("it is small");
        let interest = Interest { map: MapId(2), prefix: b"", filter: Some(&filter) };
        let told = |value: &[u8]| {
            let put = Effect::Put { map: MapId(2), key: b"k", value, expires_at: None };
            interest.changes(&put, Version(9)).map(|change| match change {
                Some(Event::Unmatched(unmatched)) => {
                    format!("{:?} at {}", unmatched.key, unmatched.version)
                }
                Some(Event::Put(_)) => "put".to_owned(),
                other => format!("{other:?}"),
            })
        };
        assert_eq!(told(b"{\"a\": 2}"), ["put", "None"]);
        assert_eq!(told(b"{\"a\": 1}"), ["b\"k\" at 9", "None"]);
    }
}
