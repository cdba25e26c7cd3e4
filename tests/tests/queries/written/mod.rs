//! The statements that were written by hand. Each means the same to both sides, or says what it means in the words of each.

mod filters;
mod groups;
mod inside;
mod joins;
mod nested;
mod sets;
mod windows;

use crate::data::Data;
use crate::statement::Statement;

/// All of them.
pub(crate) fn all(data: &Data) -> Vec<Statement> {
    let parts = [
        filters::all(),
        filters::of_values(),
        filters::in_other_words(),
        filters::of_partitions(data),
        groups::all(),
        groups::of_rarer_kinds(),
        inside::all(),
        joins::all(),
        joins::halves(),
        nested::all(),
        sets::all(),
        windows::all(),
    ];
    parts.concat()
}
