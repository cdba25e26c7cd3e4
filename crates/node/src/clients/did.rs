//! [`Did`]: what a client did last, as a number that fits a byte, and its name.

use isogrid_core::Op;

/// What a client did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Did {
    /// Nothing yet.
    Nothing,
    Get,
    Exists,
    Touch,
    Put,
    Delete,
    CompareAndSet,
    Expire,
    Increment,
    IncrementFloat,
    Append,
    Rename,
    Scan,
    Seek,
    Len,
    Clear,
    /// Several operations in one call.
    Batch,
    Watch,
    Topology,
    Aggregate,
    /// Opened a session.
    Session,
    /// A statement of SQL.
    #[cfg_attr(not(feature = "sql"), allow(dead_code, reason = "statements are SQL's"))]
    Statement,
    /// Something of the operators' door.
    Admin,
    /// Looked at health or figures.
    Look,
    /// A link of another node.
    Link,
    /// A question of another node.
    Question,
}

/// The names, in the order of the numbers.
const NAMES: [&str; 26] = [
    "",
    "get",
    "exists",
    "touch",
    "put",
    "delete",
    "compare_and_set",
    "expire",
    "increment",
    "increment_float",
    "append",
    "rename",
    "scan",
    "seek",
    "len",
    "clear",
    "batch",
    "watch",
    "topology",
    "aggregate",
    "session",
    "statement",
    "admin",
    "look",
    "link",
    "question",
];

impl Did {
    /// An operation on a map.
    #[inline]
    pub(crate) fn of(op: &Op<'_>) -> Did {
        match op {
            Op::Get { .. } => Did::Get,
            Op::Exists { .. } => Did::Exists,
            Op::Touch { .. } => Did::Touch,
            Op::Put { .. } => Did::Put,
            Op::Delete { .. } => Did::Delete,
            Op::CompareAndSet { .. } => Did::CompareAndSet,
            Op::Expire { .. } => Did::Expire,
            Op::Increment { .. } => Did::Increment,
            Op::IncrementFloat { .. } => Did::IncrementFloat,
            Op::Append { .. } => Did::Append,
            Op::Rename { .. } => Did::Rename,
            Op::Scan(_) => Did::Scan,
            Op::Seek(_) => Did::Seek,
            Op::Len { .. } => Did::Len,
            Op::Clear { .. } => Did::Clear,
        }
    }

    /// The name of the one with this number.
    pub(super) fn name_of(number: u8) -> &'static str {
        NAMES.get(usize::from(number)).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_its_name() {
        assert_eq!(Did::Question as usize + 1, NAMES.len());
        let pairs = [(Did::Nothing, ""), (Did::Get, "get"), (Did::Clear, "clear")];
        let later = [(Did::Batch, "batch"), (Did::Statement, "statement"), (Did::Link, "link")];
        for (did, name) in pairs.into_iter().chain(later) {
            assert_eq!(Did::name_of(did as u8), name);
        }
    }
}
