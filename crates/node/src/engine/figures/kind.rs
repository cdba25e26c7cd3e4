//! What an operation is and what came of it: the labels of its counts.

use isogrid_core::{ErrorCode, Op, Reply};

/// What an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Get,
    Exists,
    Touch,
    Put,
    Delete,
    CompareAndSet,
    Expire,
    Increment,
    Append,
    Rename,
    Scan,
    Seek,
    Len,
    Clear,
}

/// How many kinds there are.
pub(crate) const KINDS: usize = Kind::ALL.len();

impl Kind {
    pub(crate) const ALL: [Kind; 14] = [
        Kind::Get,
        Kind::Exists,
        Kind::Touch,
        Kind::Put,
        Kind::Delete,
        Kind::CompareAndSet,
        Kind::Expire,
        Kind::Increment,
        Kind::Append,
        Kind::Rename,
        Kind::Scan,
        Kind::Seek,
        Kind::Len,
        Kind::Clear,
    ];

    #[inline]
    pub(crate) fn of(op: &Op<'_>) -> Kind {
        match op {
            Op::Get { .. } => Kind::Get,
            Op::Exists { .. } => Kind::Exists,
            Op::Touch { .. } => Kind::Touch,
            Op::Put { .. } => Kind::Put,
            Op::Delete { .. } => Kind::Delete,
            Op::CompareAndSet { .. } => Kind::CompareAndSet,
            Op::Expire { .. } => Kind::Expire,
            Op::Increment { .. } | Op::IncrementFloat { .. } => Kind::Increment,
            Op::Append { .. } => Kind::Append,
            Op::Rename { .. } => Kind::Rename,
            Op::Scan(_) => Kind::Scan,
            Op::Seek(_) => Kind::Seek,
            Op::Len { .. } => Kind::Len,
            Op::Clear { .. } => Kind::Clear,
        }
    }

    /// As a label.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Kind::Get => "get",
            Kind::Exists => "exists",
            Kind::Touch => "touch",
            Kind::Put => "put",
            Kind::Delete => "delete",
            Kind::CompareAndSet => "compare_and_set",
            Kind::Expire => "expire",
            Kind::Increment => "increment",
            Kind::Append => "append",
            Kind::Rename => "rename",
            Kind::Scan => "scan",
            Kind::Seek => "seek",
            Kind::Len => "len",
            Kind::Clear => "clear",
        }
    }

    /// Whether it goes through the log.
    pub(crate) fn is_write(self) -> bool {
        !matches!(
            self,
            Kind::Get | Kind::Exists | Kind::Touch | Kind::Scan | Kind::Seek | Kind::Len
        )
    }
}

/// What came of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Outcome {
    Ok,
    /// There was no such key.
    Miss,
    /// Its condition did not hold.
    Conflict,
    /// This node was the wrong one.
    NotOwner,
    Error,
}

impl Outcome {
    pub(crate) const ALL: [Outcome; 5] =
        [Outcome::Ok, Outcome::Miss, Outcome::Conflict, Outcome::NotOwner, Outcome::Error];

    #[inline]
    pub(crate) fn of(reply: &Reply<'_>) -> Outcome {
        match reply {
            Reply::Missing | Reply::Flag(false) => Outcome::Miss,
            Reply::Conflict { .. } => Outcome::Conflict,
            Reply::Failed(error) if error.code() == ErrorCode::NotOwner => Outcome::NotOwner,
            Reply::Failed(_) => Outcome::Error,
            _ => Outcome::Ok,
        }
    }

    /// As a label.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::Miss => "miss",
            Outcome::Conflict => "conflict",
            Outcome::NotOwner => "not_owner",
            Outcome::Error => "error",
        }
    }
}

/// What is counted in one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) kind: Kind,
    pub(crate) outcome: Outcome,
}

/// How many of these there are.
pub(crate) const CELLS: usize = KINDS * Outcome::ALL.len();

impl Cell {
    #[inline]
    pub(crate) fn index(self) -> usize {
        self.kind as usize * Outcome::ALL.len() + self.outcome as usize
    }

    pub(crate) fn all() -> impl Iterator<Item = Cell> {
        let outcomes = |kind| Outcome::ALL.into_iter().map(move |outcome| Cell { kind, outcome });
        Kind::ALL.into_iter().flat_map(outcomes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_has_a_number_of_its_own() {
        let numbers: Vec<usize> = Cell::all().map(Cell::index).collect();
        assert_eq!(numbers, (0..CELLS).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_read_and_not_there_is_a_miss() {
        assert_eq!(Outcome::of(&Reply::Missing), Outcome::Miss);
        assert_eq!(Outcome::of(&Reply::Flag(false)), Outcome::Miss);
        assert_eq!(Outcome::of(&Reply::Flag(true)), Outcome::Ok);
        let elsewhere = isogrid_core::Error::new(ErrorCode::NotOwner, "");
        assert_eq!(Outcome::of(&Reply::Failed(elsewhere)), Outcome::NotOwner);
    }
}
