//! [`Bounds`]: between which values a column must be, as keys of an index.

use isogrid_value::{Cell, INDEX_KEY_BYTES_MAX, key_behind, push_cell};

use super::text;

/// One end of a range.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct End {
    pub(super) value: Cell<'static>,
    /// Whether the value itself is within.
    pub(super) is_included: bool,
}

/// Between which values a column must be. At least one end is there.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Bounds {
    pub(super) from: Option<End>,
    pub(super) to: Option<End>,
}

impl Bounds {
    /// The keys that begin with a beginning and go on within the bounds; some more where a key is cut.
    pub(super) fn behind(&self, begin: &[u8], is_time: bool) -> (Vec<u8>, Vec<u8>) {
        let key = |end: &End| {
            let mut key = begin.to_vec();
            push_cell(&end.value, is_time, &mut key);
            let is_whole = key.len() <= INDEX_KEY_BYTES_MAX;
            key.truncate(INDEX_KEY_BYTES_MAX);
            (key, is_whole)
        };
        // All values of the same kind begin alike: those of other kinds are neither smaller nor larger.
        let kind = |end: &Option<End>| {
            let (key, _) = key(end.as_ref()?);
            key.get(..=begin.len()).map(<[u8]>::to_vec)
        };
        let begin_of_kind = || kind(&self.from).or_else(|| kind(&self.to)).unwrap_or_default();
        let from = match &self.from {
            Some(end) => match key(end) {
                (key, true) if !end.is_included => key_behind(&key),
                (key, _) => key,
            },
            None => begin_of_kind(),
        };
        let to = match &self.to {
            Some(end) => match key(end) {
                (key, true) if !end.is_included => key,
                (key, _) => key_behind(&key),
            },
            None => key_behind(&begin_of_kind()),
        };
        (from, to)
    }

    /// As it is shown of a column.
    pub(super) fn shown(&self, column: &str) -> String {
        let from = self.from.as_ref().map(|end| {
            let sign = if end.is_included { ">=" } else { ">" };
            format!("{column} {sign} {}", text(&end.value))
        });
        let to = self.to.as_ref().map(|end| {
            let sign = if end.is_included { "<=" } else { "<" };
            format!("{column} {sign} {}", text(&end.value))
        });
        from.into_iter().chain(to).collect::<Vec<_>>().join(" and ")
    }
}
