//! What each operation means for one map in one partition.
//!
//! A record whose expiry has passed counts as absent everywhere. A read leaves it where it is; a write removes it first,
//! as a change with a version of its own.

use isogrid_core::{Cause, Condition, Error, ErrorCode, Expiry, NumberFormat, Op, Reply, Result};

use crate::hash::KeyHash;
use crate::map_store::{Common, MapStore, Target, Write, displaced, resolve_expiry};
use crate::number;
use crate::partition::Context;
use crate::raw::NewValue;
use crate::table::Place;

/// The parts of a put.
struct Put<'a> {
    value: &'a [u8],
    condition: Condition,
    expiry: Expiry,
    return_old: bool,
}

/// Whether a condition lets a write happen.
enum Verdict {
    Go,
    /// The key is absent, and that is the answer.
    Missing,
    /// What stands there is the answer.
    Conflict,
}

impl MapStore {
    /// Executes one operation. The reply borrows from the map or from `common`.
    #[inline]
    pub(crate) fn execute<'s>(
        &'s mut self,
        common: &'s mut Common,
        op: &Op<'_>,
        hash: KeyHash,
        context: &Context,
    ) -> Reply<'s> {
        let now = context.now;
        let to = |key| Target { key, hash, now, over_mark: context.over_mark };
        match *op {
            Op::Get { key } => self.get(&to(key)),
            Op::Put { key, value, condition, expiry, return_old } => {
                self.put(common, &to(key), &Put { value, condition, expiry, return_old })
            }
            Op::Exists { key } => {
                let record = self.content.table.get(hash, key);
                Reply::Flag(record.is_some_and(|record| !record.is_expired(now)))
            }
            Op::Touch { key } => Reply::Flag(matches!(self.get(&to(key)), Reply::Found(_))),
            Op::Delete { key, condition, return_old } => {
                self.delete(common, &to(key), condition, return_old)
            }
            Op::CompareAndSet { key, expected, value, expiry } => {
                self.compare_and_set(common, &to(key), expected, (value, expiry))
            }
            Op::Expire { key, expiry } => self.expire_key(common, &to(key), expiry),
            Op::Increment { key, delta, format, expiry } => {
                self.increment(common, &to(key), (delta, format), expiry)
            }
            Op::IncrementFloat { key, delta, format, expiry } => {
                self.increment_float(common, &to(key), (delta, format), expiry)
            }
            Op::Append { key, value } => self.append(common, &to(key), value),
            Op::Rename { from, to: new, if_absent } => {
                self.rename(common, &to(from), new, if_absent)
            }
            Op::Scan(ref scan) => match self.content.scan(common, scan, now) {
                Ok(page) => Reply::Page(page),
                Err(error) => Reply::Failed(error),
            },
            Op::Seek(ref seek) => match self.content.seek(common, seek, now) {
                Ok(found) => Reply::Sought(found),
                Err(error) => Reply::Failed(error),
            },
            Op::Len { .. } => Reply::Count(self.live_len(now) as u64),
            Op::Clear { .. } => {
                let live = self.live_len(now);
                self.clear(common);
                Reply::Count(live as u64)
            }
        }
    }

    /// Reads a value, and notes the use if the map has an eviction policy; otherwise nothing is written.
    #[inline]
    fn get(&mut self, target: &Target<'_>) -> Reply<'_> {
        if self.clock.is_tracking() {
            return self.get_and_note_use(target);
        }
        match self.content.table.get(target.hash, target.key) {
            Some(record) if !record.is_expired(target.now) => Reply::Found(record.entry()),
            _ => Reply::Missing,
        }
    }

    fn get_and_note_use(&mut self, target: &Target<'_>) -> Reply<'_> {
        let Some(place) = self.content.table.find(target.hash, target.key) else {
            return Reply::Missing;
        };
        let mut record = self.content.table.record_mut(place);
        if record.to_ref().is_expired(target.now) {
            return Reply::Missing;
        }
        let access = self.clock.used(record.to_ref().access());
        record.set_access(access);
        Reply::Found(record.into_ref().entry())
    }

    fn put<'s>(
        &'s mut self,
        common: &'s mut Common,
        target: &Target<'_>,
        put: &Put<'_>,
    ) -> Reply<'s> {
        let place = self.live_place(common, target);
        match self.judge(put.condition, place) {
            Verdict::Go => {}
            Verdict::Missing => return Reply::Missing,
            Verdict::Conflict => return self.conflict(place),
        }
        let write = Write {
            value: NewValue::Whole(put.value),
            expires_at: self.expiry_of(put.expiry, target, place),
            keep_old: put.return_old,
        };
        match self.store(common, target, place, &write) {
            Ok(version) => Reply::Written { version, old: displaced(common, put.return_old) },
            Err(error) => Reply::Failed(error),
        }
    }

    fn delete<'s>(
        &'s mut self,
        common: &'s mut Common,
        target: &Target<'_>,
        condition: Condition,
        return_old: bool,
    ) -> Reply<'s> {
        let place = self.live_place(common, target);
        let Some(present) = place else { return Reply::Missing };
        match self.judge(condition, place) {
            Verdict::Go => {}
            Verdict::Missing => return Reply::Missing,
            Verdict::Conflict => return self.conflict(place),
        }
        let old = self.remove(common, present, target.hash, Cause::Deleted);
        common.displaced = old.filter(|_| return_old);
        Reply::Deleted { version: common.version, old: displaced(common, return_old) }
    }

    fn compare_and_set<'s>(
        &'s mut self,
        common: &'s mut Common,
        target: &Target<'_>,
        expected: Option<&[u8]>,
        (value, expiry): (&[u8], Expiry),
    ) -> Reply<'s> {
        let place = self.live_place(common, target);
        if place.map(|place| self.content.table.record(place).value()) != expected {
            return self.conflict(place);
        }
        let expires_at = self.expiry_of(expiry, target, place);
        let write = Write { value: NewValue::Whole(value), expires_at, keep_old: false };
        match self.store(common, target, place, &write) {
            Ok(version) => Reply::Written { version, old: None },
            Err(error) => Reply::Failed(error),
        }
    }

    fn expire_key(
        &mut self,
        common: &mut Common,
        target: &Target<'_>,
        expiry: Expiry,
    ) -> Reply<'static> {
        let place = self.live_place(common, target);
        let Some(present) = place else { return Reply::Missing };
        let expires_at = self.expiry_of(expiry, target, place);
        let version = self.set_expiry(common, target, present, expires_at);
        Reply::Written { version, old: None }
    }

    fn increment(
        &mut self,
        common: &mut Common,
        target: &Target<'_>,
        (delta, format): (i64, NumberFormat),
        expiry: Expiry,
    ) -> Reply<'static> {
        let place = self.live_place(common, target);
        let present = place.map(|place| self.content.table.record(place).value());
        let incremented = number::add_integer(present, delta, format).and_then(|value| {
            let written = number::write_integer(value, format);
            let version = self.store_number(common, target, place, (written.as_slice(), expiry))?;
            Ok(Reply::Integer { value, version })
        });
        incremented.unwrap_or_else(Reply::Failed)
    }

    fn increment_float(
        &mut self,
        common: &mut Common,
        target: &Target<'_>,
        (delta, format): (f64, NumberFormat),
        expiry: Expiry,
    ) -> Reply<'static> {
        let place = self.live_place(common, target);
        let present = place.map(|place| self.content.table.record(place).value());
        let incremented = number::add_float(present, delta, format).and_then(|value| {
            let written = number::write_float(value, format);
            let version = self.store_number(common, target, place, (written.as_slice(), expiry))?;
            Ok(Reply::Float { value, version })
        });
        incremented.unwrap_or_else(Reply::Failed)
    }

    fn store_number(
        &mut self,
        common: &mut Common,
        target: &Target<'_>,
        place: Option<Place>,
        (number, expiry): (&[u8], Expiry),
    ) -> Result<isogrid_core::Version> {
        common.check_value(number.len())?;
        let expires_at = self.expiry_of(expiry, target, place);
        let write = Write { value: NewValue::Whole(number), expires_at, keep_old: false };
        self.store(common, target, place, &write)
    }

    fn append(&mut self, common: &mut Common, target: &Target<'_>, value: &[u8]) -> Reply<'static> {
        let place = self.live_place(common, target);
        let present = place.map(|place| self.content.table.record(place));
        let len = present.map_or(0, |record| record.shape().value_len()) + value.len();
        if let Err(error) = common.check_value(len) {
            return Reply::Failed(error);
        }
        let expires_at = present.and_then(|record| record.expires_at());
        let write = Write { value: NewValue::Appended(value), expires_at, keep_old: false };
        match self.store(common, target, place, &write) {
            Ok(version) => Reply::Integer { value: len as i64, version },
            Err(error) => Reply::Failed(error),
        }
    }

    fn judge(&self, condition: Condition, place: Option<Place>) -> Verdict {
        match (condition, place) {
            (Condition::Always, _)
            | (Condition::IfAbsent, None)
            | (Condition::IfPresent, Some(_)) => Verdict::Go,
            (Condition::IfPresent, None) => Verdict::Missing,
            (Condition::IfAbsent, Some(_)) | (Condition::IfVersion(_), None) => Verdict::Conflict,
            (Condition::IfVersion(version), Some(place)) => {
                if self.content.table.record(place).version() == version {
                    Verdict::Go
                } else {
                    Verdict::Conflict
                }
            }
        }
    }

    pub(crate) fn conflict(&self, place: Option<Place>) -> Reply<'_> {
        Reply::Conflict { current: place.map(|place| self.content.table.record(place).entry()) }
    }

    fn expiry_of(
        &self,
        expiry: Expiry,
        target: &Target<'_>,
        place: Option<Place>,
    ) -> Option<isogrid_core::Timestamp> {
        let present = place.and_then(|place| self.content.table.record(place).expires_at());
        resolve_expiry(expiry, target.now, present)
    }
}

impl Common {
    /// Refuses a key or a value that is too long, before anything is touched.
    #[inline]
    pub(crate) fn check(&self, op: &Op<'_>) -> Result<()> {
        if let isogrid_core::Target::Key(key) = op.target() {
            self.check_key(key)?;
        }
        if let Some(key) = op.second_key() {
            self.check_key(key)?;
        }
        op.value().map_or(Ok(()), |value| self.check_value(value.len()))
    }

    #[inline]
    fn check_key(&self, key: &[u8]) -> Result<()> {
        if key.len() > self.key_bytes_max {
            return Err(too_long(ErrorCode::KeyTooLong, key.len(), self.key_bytes_max));
        }
        Ok(())
    }

    #[inline]
    fn check_value(&self, len: usize) -> Result<()> {
        if len > self.value_bytes_max {
            return Err(too_long(ErrorCode::ValueTooLarge, len, self.value_bytes_max));
        }
        Ok(())
    }
}

#[cold]
fn too_long(code: ErrorCode, bytes: usize, bytes_max: usize) -> Error {
    Error::new(code, format!("{bytes} bytes, at most {bytes_max}"))
}

#[cfg(test)]
#[path = "execute_test.rs"]
mod tests;
