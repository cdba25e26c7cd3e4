//! Values that say themselves how they are written, as JSON or as MessagePack: their fields, and whether they fit the columns of a
//! map or a filter. Nothing here knows of tables or queries: nodes check with it what is written, and queries read with it what is there.
//!
//! | module | what it holds |
//! |---|---|
//! | `fields` | from a value's bytes to its fields |
//! | `cell` | [`Cell`]: one field of one value |
//! | `fold` | [`Fold`]: counts, sums and extremes of groups |
//! | `json` | anything, as JSON |
//! | `change` | from cells to values, and values with some of their fields changed |
//! | `time` | points in time as text |
//! | `order` | cells as bytes that sort as the cells do |
//! | `index_keys` | [`IndexReader`]: the keys of a value in its map's indexes |
//! | `filter` | [`Filter`]: which records are meant |
//! | `live` | [`Members`] and [`Top`]: what a watch of some records shows |
//! | `ranking` | [`Order`]: any two fields stand to each other |
//! | `seen` | [`Wanted`]: some fields of a value, in one pass |
//! | `shape` | [`Shape`]: what the values of a map with columns must be |

mod cell;
mod change;
mod fields;
mod filter;
mod fold;
mod index_keys;
mod json;
mod live;
mod order;
mod ranking;
mod seen;
mod shape;
mod time;

pub use cell::{Cell, hex};
pub use change::{NamedCell, object, with_fields};
pub use fields::{Take, fields, from_message_pack, has_fields, text};
pub use filter::{Comparison, Constant, Field, Filter, Predicate, col};
pub use fold::{Extent, Fold, Group};
pub use index_keys::{IndexKeys, IndexReader, KeyList};
pub use live::{Change, Members, Origin, Place, Top};
pub use order::{INDEX_KEY_BYTES_MAX, finish_key, key_behind, push_cell, push_json};
pub use ranking::Order;
pub use seen::{Found, Seen, Wanted, key_text};
pub use shape::Shape;
pub use time::millis;
